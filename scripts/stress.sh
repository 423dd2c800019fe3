#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Run parts of the check again and again beside a CPU hog for each CPU, and print what
# failed how often: stress.sh TIMES PART...; results of each run in build/stress.
# HOGS: how many, instead. Exit 0: nothing failed.
. "$(dirname "$0")/lib.sh"
. scripts/parts.sh

DIR=$ROOT/build/stress
times=$1
shift
[ "$times" -gt 0 ] 2>/dev/null && [ $# -gt 0 ] || die "usage: stress.sh TIMES PART..."

# Builds are no part of it
for part; do
	[ -z "$(kernel_of "$part")" ] || build_part "$part"
done

hogs=()
# shellcheck disable=SC2317
stop() { kill "${hogs[@]}" 2>/dev/null || :; }
trap 'exit 130' INT TERM
trap stop EXIT
for ((i = 0; i < ${HOGS:-$(nproc)}; i++)); do
	(while :; do :; done) &
	hogs+=($!)
done

rm -rf "$DIR"
for ((run = 1; run <= times; run++)); do
	say stress "run $run of $times: $*"
	scripts/check.sh "$@" >"$LOG/stress-$run.log" 2>&1 || :
	mkdir -p "$DIR/$run"
	for part; do
		cp "$RESULTS/$part.ktap" "$DIR/$run/"
		rm -rf "${DIR:?}/$run/$part"
		[ ! -d "$LOG/$part" ] || cp -r "$LOG/$part" "$DIR/$run/$part"
		rm -f "$DIR/$run/$part/initramfs.cpio"
	done
	cp "$RESULTS/report" "$DIR/$run/"
	tail -n 1 "$DIR/$run/report"
done

printf '\n%-16s %5s %7s  %s\n' part runs failed "seconds of each"
for part; do
	failed=0 seconds=''
	for ((run = 1; run <= times; run++)); do
		seconds+=" $(sed -n 's/^## seconds //p' "$DIR/$run/$part.ktap")"
		! sed -n '/^failed:/,$p' "$DIR/$run/report" | grep -q "^  $part: " ||
			failed=$((failed + 1))
	done
	printf '%-16s %5s %7s %s\n' "$part" "$times" "$failed" "$seconds"
done
sed -n '/^failed:/,/^$/p' "$DIR"/*/report | grep '^  ' | sort | uniq -c | sort -rn >"$DIR/failed" || :
if [ -s "$DIR/failed" ]; then
	printf '\nfailed, how often and what:\n'
	cat "$DIR/failed"
	exit 1
fi

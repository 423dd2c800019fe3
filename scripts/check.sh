#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Run parts of the check one after the other and sum up: check.sh PART...
# Parts: lint kunit-uml kunit-arm64 kunit-kcsan y m n debug series. One failing part does not stop the rest.
# Exit 0: all passed; 1: a test or splat failed; 2: a part could not be run.
. "$(dirname "$0")/lib.sh"

LINE="[check] ----"

# One program whose exit status is its whole result
alone()
{
	local name=$1
	shift

	limited "$@" 2>&1 | tee "$LOG/$name.log"
}

suites()
{
	local steps=guest/steps/check

	[ "$1" != debug ] || steps=guest/steps/debug
	scripts/selftests.sh || return
	scripts/kbuild.sh "$1" || return
	scripts/guest.sh "$1" "$1" $steps guest/dt/probe.dtso
}

run_part()
{
	case $1 in
	lint) limited scripts/lint.sh | tee "$RESULTS/lint.ktap" ;;
	series) alone series scripts/series.py --build ;;
	kunit-*) scripts/kunit.sh "${1#kunit-}" ;;
	y | m | debug) suites "$1" ;;
	n) scripts/kbuild.sh n ;;
	*) die "no part $1" ;;
	esac
}

# A part that leaves no results of its own is one result
record()
{
	local ktap=$RESULTS/$1.ktap

	if [ ! -s "$ktap" ]; then
		printf 'TAP version 13\n1..1\n%s 1 %s\n' \
			"$([ "$2" = 0 ] && echo ok || echo not ok)" "$1" >"$ktap"
	elif [ "$2" != 0 ]; then
		echo "## status $1 $2" >>"$ktap"
	fi
}

# Ctrl-C ends all of it, not one part
trap 'exit 130' INT TERM

worst=0 files=()
rm -f "$RESULTS/status" "$RESULTS/summary"
for part in "$@"; do
	files+=("$RESULTS/$part.ktap")
	rm -f "$RESULTS/$part.ktap"
done
for part in "$@"; do
	echo "$LINE $part"
	rc=0
	(run_part "$part") || rc=$?
	record "$part" "$rc"
	[ "$rc" -ne 130 ] || exit 130
	[ "$rc" -lt 2 ] || worst=2
done
echo "$LINE results"
rc=0
scripts/report "${files[@]}" | tee "$RESULTS/report" || rc=1
[ $worst -eq 0 ] || rc=$worst
tail -n 1 "$RESULTS/report" >"$RESULTS/summary"
echo $rc >"$RESULTS/status"
exit $rc

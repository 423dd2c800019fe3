#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Run the KUnit suites of the heaps with the kernel's kunit.py: kunit.sh uml|kcsan [build]
# Results in build/results/kunit-WHERE.ktap. kcsan: on arm64, under the data race
# detector and with two NUMA nodes. With "build", only build the kernel.
. "$(dirname "$0")/lib.sh"

where=${1:-}
dir=$OUT/kunit-$where
ktap=$RESULTS/kunit-$where.ktap
config=(--kunitconfig drivers/dma-buf/heaps/tests)
# Two CPUs for the races
machine="-smp 2"
case $where in
uml)
	arch=(--make_options "CC=${CCACHE}gcc")
	objects=710
	;;
kcsan)
	config+=(--kunitconfig "$ROOT/guest/config/kcsan.config")
	for node in 0 1; do
		machine+=" -object memory-backend-ram,id=ram$node,size=512M"
		machine+=" -numa node,nodeid=$node,cpus=$node,memdev=ram$node"
	done
	objects=1000
	;;
*)
	die "usage: kunit.sh uml|kcsan"
	;;
esac
# ccache in CC alone, kunit.py's make cannot have it in AR
[ "$where" = uml ] ||
	arch=(--arch arm64 --cross_compile "$CROSS" --make_options "CC=$CCACHE${CROSS}gcc"
		--qemu_args "$machine")

kunit()
{
	(cd "$TREE" && limited python3 tools/testing/kunit/kunit.py "$@")
}

# races LOG: reports of KCSAN where one of the two was at work for us. The kernel
# has races of its own: what counts is who called, or who called that one.
races()
{
	awk '
		/^==================/ {
			if (ours)
				print report
			report = ""
			ours = 0
			next
		}
		/^(read|write|read-write|assert)?.* by (task|interrupt)/ { depth = 0 }
		/^ [a-z_]/ && ++depth <= 2 &&
			/^ (dma_heap|system_heap|heap_test|heap_cache|pool_|reserved_|region_|give_back_|piece_|mock_|race_|backing_|buffer_|model_)/ {
			ours = 1
		}
		{ report = report $0 "\n" }' "$1"
}

mkdir -p "$dir"
lock_build "kunit $where" "$dir"
[ -f "$TREE/drivers/dma-buf/heaps/tests/.kunitconfig" ] ||
	die "no drivers/dma-buf/heaps/tests/.kunitconfig"
kunit config "${config[@]}" --build_dir "$dir" "${arch[@]}" >"$LOG/kunit-$where-config.log" 2>&1 || {
	tail -n 8 "$LOG/kunit-$where-config.log" >&2
	die "kunit.py finds no configuration; log $LOG/kunit-$where-config.log"
}
build_step "kunit $where" "$dir" "$objects" kunit build "${config[@]}" \
	--build_dir "$dir" "${arch[@]}" --jobs "$JOBS" || exit 2
[ "${2:-}" != build ] || exit 0

rm -f "$ktap"
log=$LOG/kunit-$where-run.log
rc=0
LIMIT=900 kunit exec "${config[@]}" --build_dir "$dir" "${arch[@]}" --timeout 600 \
	--raw_output=all >"$log" 2>&1 || rc=$?
[ "$V" = 0 ] || cat "$log"
# The kernel's messages in between are no results; a time stamp may precede the lines
sed -E 's/^\[ *[0-9]+\.[0-9]+\]( \[[^]]*\])? ?//; s/\r$//' "$log" >"$log.plain"
awk '
	/^KTAP version/ { on = 1 }
	on && /^ *(KTAP version|1\.\.|ok |not ok |# Subtest)/' "$log.plain" >"$ktap"
if [ $rc -ne 0 ]; then
	echo "## status kunit $rc" >>"$ktap"
	tail -n 8 "$log" >&2
	die "kunit.py stopped with status $rc; log $log"
fi
if grep -qE '^ *not ok ' "$ktap"; then
	grep -E '^ *not ok ' "$ktap" >&2
	echo "[kunit $where] log: $log" >&2
	exit 1
fi
if [ "$where" = kcsan ]; then
	grep -q 'kcsan: selftest: .* tests passed' "$log.plain" || {
		echo "## status kcsan 2" >>"$ktap"
		die "no sign of KCSAN; log $log"
	}
	races "$log.plain" >"$log.races"
	if [ -s "$log.races" ]; then
		echo "## status kcsan 1" >>"$ktap"
		head -n 40 "$log.races" >&2
		echo "[kunit $where] races: $log.races" >&2
		exit 1
	fi
fi
say "kunit $where" "$(scripts/report "$ktap" | tail -n 1)"

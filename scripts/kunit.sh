#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Run the KUnit suites of the heaps with the kernel's kunit.py: kunit.sh uml|arm64
# Results in build/results/kunit-WHERE.ktap.
. "$(dirname "$0")/lib.sh"

where=${1:-}
dir=$OUT/kunit-$where
ktap=$RESULTS/kunit-$where.ktap
config=(--kunitconfig drivers/dma-buf/heaps/tests)
case $where in
uml)
	arch=(--make_options "CC=${CCACHE}gcc")
	objects=710
	;;
arm64)
	# Two CPUs for the races; ccache in CC alone, kunit.py's make cannot have it in AR
	arch=(--arch arm64 --cross_compile "$CROSS" --make_options "CC=$CCACHE${CROSS}gcc"
		--qemu_args "-smp 2")
	objects=1000
	;;
*)
	die "usage: kunit.sh uml|arm64"
	;;
esac

kunit()
{
	(cd "$TREE" && limited python3 tools/testing/kunit/kunit.py "$@")
}

rm -f "$ktap"
mkdir -p "$dir"
[ -f "$TREE/drivers/dma-buf/heaps/tests/.kunitconfig" ] ||
	die "no drivers/dma-buf/heaps/tests/.kunitconfig"
kunit config "${config[@]}" --build_dir "$dir" "${arch[@]}" >"$LOG/kunit-$where-config.log" 2>&1 || {
	tail -n 8 "$LOG/kunit-$where-config.log" >&2
	die "kunit.py finds no configuration; log $LOG/kunit-$where-config.log"
}
build_step "kunit $where" "$dir" "$objects" kunit build "${config[@]}" \
	--build_dir "$dir" "${arch[@]}" --jobs "$JOBS" || exit 2

log=$LOG/kunit-$where-run.log
rc=0
LIMIT=900 kunit exec "${config[@]}" --build_dir "$dir" "${arch[@]}" --timeout 600 \
	--raw_output=all >"$log" 2>&1 || rc=$?
[ "$V" = 0 ] || cat "$log"
# The kernel's messages in between are no results; a time stamp may precede the lines
sed -E 's/^\[ *[0-9]+\.[0-9]+\]( \[[^]]*\])? ?//; s/\r$//' "$log" | awk '
	/^KTAP version/ { on = 1 }
	on && /^ *(KTAP version|1\.\.|ok |not ok |# Subtest)/' >"$ktap"
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
say "kunit $where" "$(scripts/report "$ktap" | tail -n 1)"

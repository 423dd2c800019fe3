#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Run the KUnit suites of the heaps on User Mode Linux, with the kernel's kunit.py:
# kunit.sh [build | run SUITE.TEST]. Results in build/results/kunit-uml.ktap.
# TIMEOUT: seconds for all of them.
. "$(dirname "$0")/lib.sh"

dir=$OUT/kunit-uml
ktap=$RESULTS/kunit-uml.ktap
log=$LOG/kunit-uml-run.log
# UML warns of a bus without a number
 config=(--kunitconfig drivers/dma-buf/heaps/tests
	--kconfig_add CONFIG_UML_PCI_OVER_VIRTIO_DEVICE_ID=0)
# ccache in CC alone, kunit.py's make cannot have it in AR
arch=(--make_options "CC=${CCACHE}gcc")

kunit()
{
	(cd "$TREE" && limited python3 tools/testing/kunit/kunit.py "$@")
}

mkdir -p "$dir"
lock_build "kunit uml" "$dir"
[ -f "$TREE/drivers/dma-buf/heaps/tests/.kunitconfig" ] ||
	die "no drivers/dma-buf/heaps/tests/.kunitconfig"
kunit config "${config[@]}" --build_dir "$dir" "${arch[@]}" >"$LOG/kunit-uml-config.log" 2>&1 || {
	tail -n 8 "$LOG/kunit-uml-config.log" >&2
	die "kunit.py finds no configuration; log $LOG/kunit-uml-config.log"
}
build_step "kunit uml" "$dir" 710 kunit build "${config[@]}" \
	--build_dir "$dir" "${arch[@]}" --jobs "$JOBS" || exit 2

[ "${1:-}" != build ] || exit 0
only=()
[ "${1:-}" != run ] || only=("$2")

rm -f "$ktap"
rc=0
LIMIT=900 kunit exec "${config[@]}" --build_dir "$dir" "${arch[@]}" --timeout "${TIMEOUT:-600}" \
	--kernel_args panic_on_warn=1 --kernel_args heap_test_helpers.need=builtin,faults,trace \
	${SEED:+--kernel_args "heap_model_kunit.seed=$SEED"} \
	--raw_output=all "${only[@]}" >"$log" 2>&1 || rc=$?
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
splats "$log.plain" >"$log.splats"
if [ -s "$log.splats" ]; then
	echo "## status splats 1" >>"$ktap"
	head -n 20 "$log.splats" >&2
	echo "[kunit uml] log: $log" >&2
	exit 1
fi
say "kunit uml" "$(scripts/report "$ktap" | tail -n 1)"

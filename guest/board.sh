#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Run selftests of the DMA-BUF heaps on this board: run.sh [PROGRAM...], without a name
# all of them; as root. HEAP and NEED are as for the selftests. Prints KTAP.
# All of them together suspend the machine, fill its memory and unload modules.
cd "$(dirname "$0")" || exit 2
PATH=$PWD/bin:$PATH
importer=/sys/kernel/debug/dma_heap_test_importer

[ "$(id -u)" = 0 ] || {
	echo "run.sh: only root may do that" >&2
	exit 2
}
[ -d /sys/kernel/debug/tracing ] || mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
[ -e $importer ] || modprobe dma_heap_test_importer 2>/dev/null ||
	insmod importer/dma_heap_test_importer.ko ||
	echo "# no test importer: build importer/ for the kernel $(uname -r)"

echo "# $(uname -srvm), heaps: $(ls /dev/dma_heap | tr '\n' ' ')"
for program; do
	set -- "$@" -t "dmabuf-heaps:$program"
	shift
done
[ $# -gt 0 ] || set -- -c dmabuf-heaps
exec selftests/run_kselftest.sh "$@"

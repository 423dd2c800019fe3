#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Pack what tests the heaps on a board of arm64 into build/hwkit.tar.gz: selftests, dmaheap
# and dmaheap-bench, static, and the test importer: its source and, if the build directory
# of the board's kernel is named, a module for that: hwkit.sh [DIRECTORY]
. "$(dirname "$0")/lib.sh"

kernel=${1:-}
kit=$OUT/hwkit
tests=drivers/dma-buf/heaps/tests
[ -z "$kernel" ] || [ -f "$kernel/Module.symvers" ] || die "$kernel: no kernel was built there"

# The importer's part of the makefile of tests
importer_makefile()
{
	sed -n '/^obj-$(CONFIG_DMABUF_HEAPS_TEST_IMPORTER)/,/^obj-$(CONFIG_DMABUF_HEAPS_TEST_PROT/p' \
		"$tests/Makefile" | sed '$d; 1s/^.*+=/obj-m +=/'
}

scripts/selftests.sh
scripts/bench.sh tool
rm -rf "$kit"
mkdir -p "$kit/bin" "$kit/importer"
cp -r "$OUT/selftests/install" "$kit/selftests"
cp "$OUT"/tools/dmaheap{,-client} "$OUT/bench/dmaheap-bench" "$kit/bin/"
cp guest/board.sh "$kit/run.sh"
{
	echo "# SPDX-License-Identifier: GPL-2.0"
	importer_makefile
} >"$kit/importer/Makefile"
grep -o 'heap_test_[a-z]*\.o' "$kit/importer/Makefile" | sed 's/o$/c/' | sort -u |
	while read -r source; do
		cp "$tests/$source" "$kit/importer/"
	done
cp "$tests"/heap_test_{importer,mover}.h "$kit/importer/"

if [ -n "$kernel" ]; then
	limited make -C "$kernel" M="$kit/importer" ARCH=$KARCH CROSS_COMPILE="$CCACHE$CROSS" \
		-j"$JOBS" modules >"$LOG/hwkit.log" 2>&1 || {
		first_errors "$LOG/hwkit.log" >&2
		die "the importer does not build; log $LOG/hwkit.log"
	}
	find "$kit/importer" -type f ! -name '*.ko' ! -name 'heap_test_*.[ch]' \
		! -name Makefile -delete
	find "$kit/importer" -name '*.mod.c' -delete
fi
tar -C "$kit" --transform 's,^\.,dmabuf-heaps-hwkit,' -czf build/hwkit.tar.gz .
say hwkit "build/hwkit.tar.gz, $(du -h build/hwkit.tar.gz | cut -f1); on the board, as root: ./run.sh"

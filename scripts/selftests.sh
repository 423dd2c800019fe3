#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Build the kselftests of the heaps with the kernel's own makefiles, static: for
# arm64, with one program for arm, in build/out/selftests/install; selftests.sh
# arm|riscv|x86: for these, in build/out/selftests-ARCH/install. For arm64 the tools that
# they use as well, in build/out/tools.
. "$(dirname "$0")/lib.sh"

dir=$OUT/selftests${1:+-$1}
use_arch "${1:-}"
compat=
[ "$KARCH" != arm64 ] || compat=arm-linux-gnueabihf-

build()
{
	kmake "$dir" headers || return
	rm -rf "$dir/install"
	# No kmake: this makefile takes its own variables, and no ccache in their names
	limited make -C "$TREE/tools/testing/selftests" O="$dir" ARCH=$KARCH -j"$JOBS" \
		CROSS_COMPILE=$CROSS CROSS_COMPILE_COMPAT=$compat \
		TARGETS=dmabuf-heaps FORCE_TARGETS=1 \
		INSTALL_PATH="$dir/install" install || return
	[ "$KARCH" = arm64 ] || return 0
	mkdir -p "$OUT/tools"
	limited make -C tools/dma-buf CROSS_COMPILE=$CROSS LDFLAGS=-static \
		OUTPUT="$OUT/tools/" "$OUT/tools/dmaheap" "$OUT/tools/dmaheap-client"
}

mkdir -p "$dir"
build >"$LOG/${dir##*/}.log" 2>&1 || {
	first_errors "$LOG/${dir##*/}.log" >&2
	die "the selftests do not build; log $LOG/${dir##*/}.log"
}
say selftests "$(grep -c . "$dir/install/kselftest-list.txt") programs"

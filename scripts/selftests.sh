#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Build the kselftests of the heaps with the kernel's own makefiles, static for
# arm64 and arm, and install them in build/out/selftests/install.
. "$(dirname "$0")/lib.sh"

dir=$OUT/selftests

build()
{
	kmake "$dir" headers || return
	rm -rf "$dir/install"
	# No kmake: this makefile takes its own variables, and no ccache in their names
	limited make -C "$TREE/tools/testing/selftests" O="$dir" ARCH=arm64 \
		CROSS_COMPILE=$CROSS CROSS_COMPILE_COMPAT=arm-linux-gnueabihf- \
		TARGETS=dmabuf-heaps FORCE_TARGETS=1 \
		INSTALL_PATH="$dir/install" install
}

mkdir -p "$dir"
build >"$LOG/selftests.log" 2>&1 || {
	first_errors "$LOG/selftests.log" >&2
	die "the selftests do not build; log $LOG/selftests.log"
}
say selftests "$(grep -c . "$dir/install/kselftest-list.txt") programs"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Change the configuration of the guest kernel by hand, from the Kconfig of this
# repo. It stays in build/out/y until a fragment in guest/config changes.
. "$(dirname "$0")/lib.sh"

[ -e "$OUT/y/.config" ] || scripts/kbuild.sh y
exec make -C "$TREE" O="$OUT/y" ARCH=arm64 CROSS_COMPILE="$CCACHE$CROSS" \
	KBUILD_KCONFIG="$ROOT/Kconfig" --no-print-directory menuconfig

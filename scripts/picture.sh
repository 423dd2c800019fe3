#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Draw the picture of dmaheap top for the README, of a run in the guest, anew:
# tools/dma-buf/dmaheap-top.png
. "$(dirname "$0")/lib.sh"

rows=20 columns=100
picture=tools/dma-buf/dmaheap-top.png

scripts/selftests.sh
scripts/kbuild.sh y
mkdir -p "$LOG"
echo "picture 120 /guest/top.sh $rows $columns" >"$LOG/picture.steps"
APPEND="cma=32M" scripts/guest.sh picture y "$LOG/picture.steps" guest/dt/cma.dtso
scripts/picture.py $rows $columns "$TREE/lib/fonts/font_ter16x32.c" \
	"$LOG/picture/file" "$picture"
say picture "$(stat -c %s $picture) bytes in $picture"

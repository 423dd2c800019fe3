#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The demo: build it, run it in the guest, print its table, keep the captured
# frame as build/demo/frame.png. "demo.sh build" only builds it.
. "$(dirname "$0")/lib.sh"

out=$ROOT/build/demo
headers=$OUT/selftests/usr/include

build()
{
	kmake "$OUT/selftests" headers &&
		limited make -C demo CROSS_COMPILE=$CROSS O="$OUT/demo" KHDR="$headers"
}

mkdir -p "$OUT/selftests" "$OUT/demo"
build >"$LOG/demo-build.log" 2>&1 || {
	first_errors "$LOG/demo-build.log" >&2
	die "the demo does not build; log $LOG/demo-build.log"
}
[ "${1:-}" != build ] || exit 0

rc=0
scripts/guest.sh demo y guest/steps/demo || rc=$?
echo
sed -n '/^## step demo/,/^## exit demo/ { /^## /d; p }' "$LOG/demo/guest.log" 2>/dev/null || :
[ $rc -eq 0 ] || exit $rc

mkdir -p "$out"
rm -f "$out/frame.ppm" "$out/frame.png"
mv "$LOG/demo/file" "$out/frame.ppm"
[ -s "$out/frame.ppm" ] || die "the guest sent no frame"
read -r width height < <(pamfile "$out/frame.ppm" 2>/dev/null |
	sed -n 's/.* \([0-9]\+\) by \([0-9]\+\).*/\1 \2/p') || die "$out/frame.ppm is no picture"
size=$(wc -c <"$out/frame.ppm")
[ "$size" -gt $((width * height * 3)) ] ||
	die "$out/frame.ppm is cut short: $size bytes for $width x $height pixels"
pnmtopng "$out/frame.ppm" >"$out/frame.png" 2>/dev/null || die "pnmtopng fails on $out/frame.ppm"
echo
say demo "frame of $width x $height pixels in $out/frame.png"

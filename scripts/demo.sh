#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The demo: build it and a kernel that has no more than it needs, run it in the guest,
# print its table, keep the captured frame as build/demo/frame.png. Results in
# build/results/demo.ktap. "demo.sh build" only builds the program.
# DEMO: options of the program, "-h system-uncached -n 100" for example.
# Exit 0: all well; 1: a figure of the table is wrong; 2: no verdict.
. "$(dirname "$0")/lib.sh"

out=$ROOT/build/demo
program=$OUT/demo-program
ktap=$RESULTS/demo.ktap

build()
{
	kmake "$program" headers &&
		limited make -C demo CROSS_COMPILE=$CROSS O="$program" KHDR="$program/usr/include"
}

# Does the frame have as many pixels as it says, and can it be shown?
make_picture()
{
	local width height size

	rm -f "$out/frame.ppm" "$out/frame.png"
	mv "$LOG/demo/file" "$out/frame.ppm" || return
	[ -s "$out/frame.ppm" ] || { echo "the guest sent no frame"; return 1; }
	read -r width height < <(pamfile "$out/frame.ppm" |
		sed -n 's/.* \([0-9]\+\) by \([0-9]\+\).*/\1 \2/p') ||
		{ echo "$out/frame.ppm is no picture"; return 1; }
	size=$(wc -c <"$out/frame.ppm")
	[ "$size" -gt $((width * height * 3)) ] || {
		echo "$out/frame.ppm is cut short: $size bytes for $width x $height pixels"
		return 1
	}
	pnmtopng "$out/frame.ppm" >"$out/frame.png" || return
	picture="frame of $width x $height pixels in $out/frame.png"
}

mkdir -p "$program" "$out"
rm -f "$ktap"
build >"$LOG/demo-build.log" 2>&1 || {
	first_errors "$LOG/demo-build.log" >&2
	die "the demo does not build; log $LOG/demo-build.log"
}
[ "${1:-}" != build ] || exit 0
scripts/kbuild.sh demo || exit

rc=0
sed "/^demo /s|\$|${DEMO:+ $DEMO}|" guest/steps/demo >"$LOG/demo.steps"
scripts/guest.sh demo demo "$LOG/demo.steps" || rc=$?
echo
sed -n '/^## step demo/,/^## exit demo/ { /^## /d; /^TAP /d; /^1\.\./d; /^ok /d; p }' \
	"$LOG/demo/guest.log" 2>/dev/null || :
[ $rc -eq 0 ] || exit $rc

picture='' ok=ok
make_picture >"$LOG/demo-picture.log" 2>&1 || ok="not ok" rc=1
{
	echo "## step picture"
	echo "TAP version 13"
	echo "1..1"
	echo "$ok 1 frame_is_a_whole_picture"
	echo "## exit picture $rc"
} >>"$ktap"
[ $rc -eq 0 ] || {
	cat "$LOG/demo-picture.log" >&2
	exit $rc
}
echo
say demo "$picture"

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Test dmaheap on this machine: files in a directory stand in for sysfs, debugfs,
# tracefs and /proc, descriptors of anonymous memory for buffers. KTAP; the exit
# status is 1 if a test failed. ONLY=text: those with the text in their names.
# Each test has a directory of its own, and several run at a time: most of them wait.
set -u
export LC_ALL=C PYTHONDONTWRITEBYTECODE=1
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
# A child that is killed before it is a program of its own has this trap as well
trap '[ $BASHPID != $$ ] || { kill $(jobs -p) 2>/dev/null; wait; rm -rf "$work"; }' EXIT
trap 'exit 130' INT TERM
chmod 755 "$work"
slots=$((2 * $(nproc)))

unset MAKEFLAGS MFLAGS MAKELEVEL
CC=${CC:-gcc}
sanitizers=-fsanitize=address,undefined
echo 'int main(void) { return 0; }' >"$work/probe.c"
$CC $sanitizers -o "$work/probe" "$work/probe.c" 2>/dev/null || sanitizers=
cflags="-g -O1 -Werror $sanitizers"
[ -z "$sanitizers" ] || cflags+=" -fno-sanitize-recover=all"

build=$work/build
DMAHEAP=$build/dmaheap
LIBTRY=$build/libtry
wrap=-Wl
for name in fopen64 inotify_init1 ioctl mkdir nanosleep opendir poll read rmdir; do
	wrap+=,--wrap=$name
done

build()
{
	mkdir "$build" &&
		$CC $cflags -Wall -Wextra -c -o "$work/fake.o" "$here/fake.c" &&
		make -s -C "$here/.." -j"$(nproc)" CC="$CC" OUTPUT="$build/" \
			CFLAGS="$cflags" LDFLAGS="$wrap $work/fake.o" "$DMAHEAP" &&
		make -s -C "$here/.." CC="$CC" OUTPUT="$build/" CFLAGS="$cflags" \
			"$build/libdmaheap.so.1.0" &&
		$CC $cflags -Wall -Wextra "$wrap" -I"$here/../lib" -o "$LIBTRY" "$here/libtry.c" \
			"$work/fake.o" "$build/libdmaheap.a"
}

if ! build >"$work/log" 2>&1; then
	sed 's/^/# /' "$work/log"
	echo "Bail out! dmaheap does not build"
	exit 1
fi

all=()
# tests NAME...: functions, in the order of their results
tests() { all+=("$@"); }

. "$here/lib.sh"
. "$here/files.sh"
root=$work/files
make_files
for file in args list leaks top alloc trace library; do
	# shellcheck disable=SC1090
	. "$here/$file.sh"
done

# run NAME: a test in its directory; what it found wrong in "bad" there, why it cannot
# run in "skip"
run()
{
	dir=$work/$1
	root=$dir/root out=$dir/out err=$dir/err bad='' skip='' status=''
	mkdir "$dir"
	chmod 755 "$dir"
	fresh
	: >"$out"; : >"$err"
	"$1"
	! grep -q -e 'ERROR: .*Sanitizer' -e 'runtime error' "$err" || problem "a sanitizer objects"
	printf '%s' "$bad" >"$dir/bad"
	printf '%s' "$skip" >"$dir/skip"
	: >"$dir/done"
}

# tell NUMBER NAME: its result
tell()
{
	local dir=$work/$2

	if [ -s "$dir/skip" ] && [ ! -s "$dir/bad" ]; then
		echo "ok $1 $2 # SKIP $(cat "$dir/skip")"
	elif [ -e "$dir/done" ] && [ ! -s "$dir/bad" ]; then
		echo "ok $1 $2"
	else
		echo "not ok $1 $2"
		failed=1
		{
			[ -e "$dir/done" ] || echo "it did not come to its end"
			cat "$dir/bad"
			echo "stdout:"
			head -n 30 "$dir/out"
			echo "stderr:"
			head -n 30 "$dir/err"
		} 2>/dev/null | cut -c1-200 | sed 's/^/# /'
	fi
	chmod -R u+rwx "$dir"
	rm -rf "$dir"
}

failed=0 chosen=() pids=()
for name in "${all[@]}"; do
	[[ $name != *${ONLY:-}* ]] || chosen+=("$name")
done
echo "TAP version 13"
echo "1..${#chosen[@]}"
begun=0
for number in "${!chosen[@]}"; do
	# The next ones begin while this one is waited for
	while [ $begun -lt ${#chosen[@]} ] && [ $begun -lt $((number + slots)) ]; do
		run "${chosen[begun]}" &
		pids[begun]=$!
		begun=$((begun + 1))
	done
	wait "${pids[number]}"
	tell $((number + 1)) "${chosen[number]}"
done
exit $failed

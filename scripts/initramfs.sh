#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Pack the guest's file system: initramfs.sh VARIANT STEPS OUTPUT
# init, busybox, the selftests, dmaheap and the sample client, the benchmark if built, the modules of VARIANT.
# Machines other than arm64 get init and the selftests alone, the kernels of the demo and
# of the fuzzer get init and their own program alone. The init loads the modules that every
# board can use; the others are for devices and tests to load. SELFTESTS: the architecture
# of the selftests, if it is not that of the kernel.
. "$(dirname "$0")/lib.sh"

variant=$1 steps=$2 output=$3
use_arch "$variant"
init=$OUT/init selftests=$OUT/selftests
if [ "$KARCH" != arm64 ]; then
	init+=-$KARCH SELFTESTS=$KARCH
fi
selftests+=${SELFTESTS:+-$SELFTESTS}

# tree_of DIR TARGET: all of DIR, as TARGET in the guest
tree_of()
{
	[ -d "$1" ] || return 0
	find -H "$1" -mindepth 0 -printf '%y %m %p %P\n' | sort -k3 |
	while read -r type mode path name; do
		name=$2${name:+/$name}
		case $type in
		d) echo "dir $name 755 0 0" ;;
		f) echo "file $name $path $mode 0 0" ;;
		l) [ -d "$path" ] || echo "slink $name $(readlink "$path") 777 0 0" ;;
		esac
	done
}

# programs DIR TARGET: what can be run of DIR, without its objects
programs()
{
	echo "dir $2 755 0 0"
	find "$1" -maxdepth 1 -type f -perm /111 -printf "file $2/%f %p 755 0 0\n" 2>/dev/null || :
}

modules()
{
	local root=$OUT/$variant/install/lib

	[ -d "$root" ] || return 0
	tree_of "$root" /lib
	find "$root" -path '*/dma-buf/heaps/*.ko' ! -path '*/tests/*_kunit.ko' -printf '%f\n' |
		sed 's/\.ko$//' | grep -vx -e cma_heap -e carveout_heap -e sram_heap -e dma_heap_test_protector |
		sort >"$output.modules"
	echo "file /modules.list $output.modules 644 0 0"
}

spec()
{
	local dir

	for dir in bin sbin dev proc sys tmp usr usr/bin usr/sbin; do
		echo "dir /$dir 755 0 0"
	done
	[ -d "$OUT/$variant/install/lib" ] || echo "dir /lib 755 0 0"
	echo "nod /dev/console 600 0 0 c 5 1"
	echo "file /init $init 755 0 0"
	echo "slink /usr/bin/timeout /init 777 0 0"
	echo "file /steps $steps 644 0 0"
	echo "file /splats $ROOT/guest/splats 644 0 0"
	if [ "$variant" = demo ]; then
		programs "$OUT/demo-program" /demo
		return
	fi
	if [ "$variant" = fuzz ]; then
		programs "$OUT/fuzz-program" /fuzz
		echo "file /fuzz/corpus $OUT/fuzz-program/corpus 644 0 0"
		return
	fi
	tree_of "$selftests/install" /selftests
	[ "$KARCH" = arm64 ] || return 0
	echo "file /bin/busybox $ROOT/build/busybox/busybox 755 0 0"
	echo "dir /guest 755 0 0"
	echo "file /guest/overlay.sh $ROOT/guest/overlay.sh 755 0 0"
	echo "file /guest/bench.sh $ROOT/guest/bench.sh 755 0 0"
	echo "file /guest/kunit.sh $ROOT/guest/kunit.sh 755 0 0"
	echo "file /guest/top.sh $ROOT/guest/top.sh 755 0 0"
	programs "$OUT/tools" /usr/bin | sed 1d
	programs "$OUT/bench" /bench
	[ "$variant" != versal ] || tree_of "$OUT/hwkit" /hwkit
	modules
}

if [ ! -x "$init" ] || [ -n "$(find guest -maxdepth 1 -name '*.[ch]' -newer "$init")" ]; then
	# Two runs may begin at once: neither must pack what the other is writing
	${CROSS}gcc -std=gnu11 -O2 -Wall -Wextra -Werror -static -o "$init.$$" guest/*.c ||
		die "guest/*.c do not build"
	mv "$init.$$" "$init"
fi
spec >"$output.spec"
"$OUT/$variant/usr/gen_init_cpio" "$output.spec" >"$output" ||
	die "gen_init_cpio failed; spec $output.spec"

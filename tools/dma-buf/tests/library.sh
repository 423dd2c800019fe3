# SPDX-License-Identifier: GPL-2.0
# libdmaheap
# shellcheck shell=bash disable=SC2034,SC2154

# Call the library; what it said is in $out
try()
{
	timeout 60 "$LIBTRY" "$root" "$@" >"$out" 2>"$err" </dev/null
	status=$?
	is 0; quiet
}

# chooses HEAPS WITH WITHOUT DMA_BITS ALIGNMENT SIZE MAX
chooses()
{
	try choose "${@:2}"
	[ "$(cat "$out")" = "ok${1:+ $1}" ] || problem "$(cat "$out"), not '$1' for ${*:2}"
}

# said LINE...: these lines and no others
said() { [ "$(cat "$out")" = "$(printf '%s\n' "$@")" ] || problem "it does not say '$*'"; }

# A kernel that says nothing of its heaps, which are called NAME...
stock()
{
	rm -rf "$root/sys/class/dma_heap" "$root/dev/dma_heap"
	mkdir -p "$root/dev/dma_heap"
	for name; do
		: >"$root/dev/dma_heap/$name"
	done
}

library_lists_what_the_kernel_tells()
{
	try list
	said "default_cma_region CK---- CKP-A- ---R-- 0 4096 67108864 [] []" \
		"secure -KPR-- CKPRAD ------ 36 65536 33554432 [vault] [system]" \
		"system C----- CKP-A- ---R-- 0 4096 2147483648 [] []"
	echo max >"$root/sys/class/dma_heap/system/buffer_limit_bytes"
	echo 2 >"$root/sys/class/dma_heap/system/cached"
	: >"$root/sys/class/dma_heap/system/protected"
	echo 65 >"$root/sys/class/dma_heap/system/dma_bits"
	echo 4k >"$root/sys/class/dma_heap/system/alignment"
	try list
	row "system C----- -K---- C-PRA- 0 4096 18446744073709551615 [] []"
	rm -r "$root/dev/dma_heap"
	try list
	said ENOENT
}

library_guesses_by_names_on_stock_kernels()
{
	local max=18446744073709551615 name

	stock system system-uncached-dma32 linux,cma cma-uncached protected,video carveout_vpu \
		camera@90000000
	try list
	row "system C----- ------ CKPRA- 0 4096 $max [] []"
	row "system-uncached-dma32 ------ ------ CKPRAD 32 4096 $max [] []"
	row "linux,cma CK---- ------ CKPRA- 0 4096 $max [] []"
	row "cma-uncached -K---- ------ CKPRA- 0 4096 $max [] []"
	row "protected,video --P--- ------ --P-A- 0 4096 $max [] []"
	row "carveout_vpu -K-R-- ------ -KPRA- 0 4096 $max [] []"
	row "camera@90000000 ------ ------ ----A- 0 4096 $max [] []"
	# What is not known is never chosen
	chooses "system system-uncached-dma32" - - 0 0 0 9
	chooses "linux,cma cma-uncached" K - 0 0 0 9
	chooses "carveout_vpu" KR - 0 0 0 9
	chooses "linux,cma" CK - 0 0 0 9
	chooses "cma-uncached" K C 0 0 0 9
	chooses "protected,video" P - 0 0 0 9
	chooses "system-uncached-dma32" - - 32 0 0 9
	chooses "" CK - 32 0 0 9
	stock cma linux,cma
	chooses "linux,cma" K - 0 0 0 1
	for name in reserved default-pool default_cma_region cma; do
		stock system "$name"
		chooses "$name" CK - 0 0 0 9
	done
}

library_chooses_by_attributes()
{
	heap system-dma32 cached=1 contiguous=0 protected=0 reserved=0 alignment=4096 dma_bits=32
	heap system-uncached cached=0 contiguous=0 protected=0 reserved=0 alignment=4096 dma_bits=36
	heap video cached=0 contiguous=1 protected=0 reserved=1 alignment=2097152 \
		dma_bits=33 buffer_limit_bytes=33554432
	heap system dma_bits=36
	heap reserved cached=1 contiguous=1 protected=0 alignment=4096 alias_of=default_cma_region
	chooses "system system-dma32 system-uncached" - - 0 0 0 9
	chooses "system system-dma32" C - 0 0 0 9
	chooses "system-uncached" - C 0 0 0 9
	chooses "system-dma32" - - 32 0 0 9
	chooses "default_cma_region" K - 0 0 0 9
	chooses "video" KR - 0 0 0 9
	chooses "video" - - 0 0x200000 0 9
	chooses "video" K - 33 0 0 9
	chooses "secure" P - 0 0 0 9
	chooses "secure" P - 36 65536 33554432 9
	# Its fallback has room for more
	chooses "secure" P - 0 0 0x80000000 9
	chooses "" K - 0 0 0x80000000 9
	chooses "" C - 0 0x200000 0 9
	chooses "system" - - 0 0 0 1
	chooses "" - - 0 0 0 0
	# All are told but this one
	rm -r "$root/sys/class/dma_heap/system"
	chooses "system-dma32 system" C - 0 0 0 9
	for need in "C C 0 0 0" "A - 0 0 0" "- D 0 0 0" "- - 65 0 0" "- - 0 3 0"; do
		# shellcheck disable=SC2086
		try choose $need 9
		said EINVAL
	done
}

# The heap that leads to another one is what the other one is
library_looks_behind_links()
{
	stock system
	heap system cached=1 contiguous=0 protected=0 alignment=4096
	ln -s system "$root/dev/dma_heap/system-uncached"
	ln -s ../dma_heap/system-uncached "$root/dev/dma_heap/vidbuf_cached"
	ln -s nowhere "$root/dev/dma_heap/cma"
	try list
	row "system-uncached C----- CKP-A- ---R-- 0 4096 18446744073709551615 [system] []"
	row "vidbuf_cached C----- CKP-A- ---R-- 0 4096 18446744073709551615 [system] []"
	chooses "system" - - 0 0 0 9
	chooses "" - C 0 0 0 9
	try alloc-from vidbuf_cached 4096
	said "vidbuf_cached 4096"
	try alloc-from cma 4096
	said ENOENT
	# A sandbox may have the link alone
	rm "$root/dev/dma_heap/vidbuf_cached"
	mv "$root/dev/dma_heap/system" "$root/dev/other"
	ln -sf ../other "$root/dev/dma_heap/system-uncached"
	ln -s ../../class/dma_heap/system "$root/sys/class/dma_heap/other"
	chooses "system-uncached" - - 0 0 0 9
}

library_asks_the_next_heap()
{
	stock system system-dma32 linux,cma reserved
	try alloc - - 5000 picture
	said "system 8192"
	echo 12 >"$root/dev/dma_heap/system"
	try alloc - - 4096
	said "system-dma32 4096"
	# Contiguous memory is for others; it is the first error that is told
	echo 24 >"$root/dev/dma_heap/system-dma32"
	try alloc - - 4096
	said EMFILE
	echo 13 >"$root/dev/dma_heap/system-dma32"
	try alloc - - 4096
	said ENOMEM
	rm "$root/dev/dma_heap/"system*
	try alloc - - 4096
	said "linux,cma 4096"
	# What is wrong with the request no other heap makes right
	echo 22 >"$root/dev/dma_heap/linux,cma"
	try alloc - - 4096
	said EINVAL
	try alloc - - 4096 "$(printf '%032d' 0)"
	said ENAMETOOLONG
	try alloc P - 4096
	said ENODEV
	try alloc C C 4096
	said EINVAL
	try alloc-from linux,cma 4096
	said EINVAL
	try alloc-from system 4096
	said ENOENT
}

# Signals and busy drivers do not end an access, and only such a kernel does all of it
library_syncs_a_part_or_all()
{
	local part=0x40186240 all=0x40086200

	FAKE_IOCTL="4 11 4 0 11 0" try access
	said "ioctl $all: 2 0 0" "ioctl $all: 2 0 0" "ioctl $all: 2 0 0" "ioctl $all: 2 0 0" \
		"begin ok of 0" "ioctl $all: 6 0 0" "ioctl $all: 6 0 0" "end ok" "again EBADF"
	FAKE_IOCTL="11 0 0" try access 4096 17
	said "ioctl $part: 2 4096 17" "ioctl $part: 2 4096 17" "begin ok of 17" \
		"ioctl $part: 6 4096 17" "end ok" "again EBADF"
	FAKE_IOCTL="25 4 0 0" try access 4096 17
	said "ioctl $part: 2 4096 17" "ioctl $all: 2 0 0" "ioctl $all: 2 0 0" "begin ok of 0" \
		"ioctl $all: 6 0 0" "end ok" "again EBADF"
	FAKE_IOCTL="22" try access 4096 17
	said "ioctl $part: 2 4096 17" "begin EINVAL of 17" "end EBADF" "again EBADF"
	FAKE_IOCTL="25 25" try access 4096 17
	said "ioctl $part: 2 4096 17" "ioctl $all: 2 0 0" "begin ENOTTY of 0" "end EBADF" \
		"again EBADF"
	FAKE_IOCTL="0" try access 4096 0
	said "begin EINVAL of 0" "end EBADF" "again EBADF"
	FAKE_IOCTL="0 5" try access
	said "ioctl $all: 2 0 0" "begin ok of 0" "ioctl $all: 6 0 0" "end EIO" "again EBADF"
}

library_says_who_pays_and_who_served()
{
	local charge=0x40086241

	FAKE_IOCTL=0 try charge
	said "ioctl $charge: 0 0 0" ok
	FAKE_IOCTL=25 try charge
	said "ioctl $charge: 0 0 0" ENOTTY
	FAKE_IOCTL=12 try charge
	said "ioctl $charge: 0 0 0" ENOMEM
	try served 64
	said "EINVAL -" ENAMETOOLONG ok
	# A name that somebody has given a buffer comes after that
	printf '%s:\t%s\n' pos 0 exp_name system name a exp_name forged >"$dir/fdinfo"
	FAKE_FDINFO=$dir/fdinfo try served 64
	said "ok system" ENAMETOOLONG ok
	FAKE_FDINFO=$dir/fdinfo try served 6
	said "ENAMETOOLONG -" ENAMETOOLONG ok
	FAKE_FDINFO=$dir/nothing try served 64
	said "ENOENT -" ENAMETOOLONG ok
}

library_shares_buffers_over_a_socket()
{
	try share packet
	said "send ok EINVAL" \
		"ok 3 bytes 'one', 1 buffers, 1 more are open" \
		"send ok" "ok 3 bytes 'all', 16 buffers, 16 more are open" \
		"send ok" "ok 4 bytes 'none', 0 buffers, 0 more are open" \
		"send ok" "EMSGSIZE 0 bytes 'many', 0 buffers, 0 more are open" \
		"send ok" "EMSGSIZE 0 bytes 'lo', 0 buffers, 0 more are open" \
		"send EINVAL" "EINVAL 0 bytes '', 0 buffers, 0 more are open" \
		"EINVAL 0 bytes '', 0 buffers, 0 more are open" \
		"ok 0 bytes '', 0 buffers, 0 more are open" \
		"send EPIPE"
	try share stream
	row "ok 3 bytes 'one', 1 buffers, 1 more are open"
	row "ok 2 bytes 'lo', 1 buffers, 1 more are open"
	row "ok 2 bytes 'ng', 0 buffers, 0 more are open"
	row "send EPIPE"
	try share-at-limit
	said "EMSGSIZE 0 bytes 'two', 0 buffers, 0 more are open"
}

# waits_for_all_of_it DIRECTORY STEPS: below and without this one
waits_for_all_of_it()
{
	rm -rf "${root:?}/$1" "$dir/polls"
	FAKE_POLL="sh $dir/step" unprivileged "$LIBTRY" "$root" wait late -1
	said ok
	[ "$(wc -l <"$dir/polls")" = "$2" ] || problem "it did not wait $2 times"
	# It is there: nothing to wait for
	FAKE_POLL="sh $dir/step" unprivileged "$LIBTRY" "$root" wait late 0
	said ok
	[ "$(wc -l <"$dir/polls")" = "$2" ] || problem "it waits for what is there"
	chmod 0 "$root/dev/dma_heap/late"
	unprivileged "$LIBTRY" "$root" wait late 1
	said EACCES
	try wait later 1
	said ETIMEDOUT
}

# As it comes with devices: the directories, another node, the node, the right to open it
library_waits_for_a_late_heap()
{
	chmod 777 "$root" "$root/dev" "$dir"
	cat >"$dir/step" <<-EOF
	dev=$root/dev
	if [ ! -e \$dev ]; then
		mkdir -m 777 \$dev
	elif [ ! -e \$dev/dma_heap ]; then
		mkdir -m 777 \$dev/dma_heap
	elif [ ! -e \$dev/dma_heap/other ]; then
		: >\$dev/dma_heap/other
	elif [ ! -e \$dev/dma_heap/late ]; then
		(umask 777; : >\$dev/dma_heap/late)
	else
		chmod 444 \$dev/dma_heap/late
	fi
	echo >>$dir/polls
	EOF
	waits_for_all_of_it dev/dma_heap 4
	export FAKE_NO_INOTIFY=1
	waits_for_all_of_it dev/dma_heap 4
	unset FAKE_NO_INOTIFY
	waits_for_all_of_it dev 5
	# It sleeps after an event of no use
	rm "$dir/polls"
	echo "echo >>$dir/polls; [ -e $dir/once ] || touch $dir/once $root/dev/dma_heap/more" \
		>"$dir/step"
	FAKE_POLL="sh $dir/step" try wait later 500
	said ETIMEDOUT
	[ "$(wc -l <"$dir/polls")" -le 2 ] || problem "it does not sleep"
	for name in "" . .. ../dma_heap/late; do
		try wait "$name" 0
		said EINVAL
	done
}

# In each language, with all its functions, by the shared library
library_header_is_c_and_cplusplus()
{
	local lib=$here/../lib shared=$build/libdmaheap.so.1.0 names

	# Comments have names with ()
	names=$(grep -o '\bdmaheap_[a-z_]*([^)]' "$lib/libdmaheap.h" | sed 's/(.$//' | sort -u)
	nm -D --defined-only "$shared" | sed -n 's/.* T \(.*\)@@LIBDMAHEAP_1$/\1/p' >"$dir/exported"
	[ -s "$dir/exported" ] || problem "it exports nothing"
	[ "$(cat "$dir/exported")" = "$names" ] || problem "it does not export what the header has"
	{
		echo '#include <libdmaheap.h>'
		echo '#include <libdmaheap.h>'
		echo 'typedef void (*function)(void);'
		echo 'int main(void)'
		echo '{'
		echo '	struct dmaheap_need need = { DMAHEAP_CACHED, 0, 32, 0, 4096 };'
		echo '	const function all[] = {'
		# shellcheck disable=SC2086
		printf '		(function)%s,\n' $names
		echo '	};'
		echo '	return !all[0] || need.dma_bits != 32;'
		echo '}'
	} >"$dir/all.c"
	cp "$dir/all.c" "$dir/all.cc"
	ln -s libdmaheap.so.1.0 "$build/libdmaheap.so.1"
	for compile in "$CC -std=c99" "$CC -std=gnu17" "${CXX:-g++} -std=c++11" \
		"${CXX:-g++} -std=c++20"; do
		case $compile in *++*) source=all.cc ;; *) source=all.c ;; esac
		# shellcheck disable=SC2086
		$compile -Wall -Wextra -Wpedantic -Werror $sanitizers -I"$lib" -o "$dir/all" \
			"$dir/$source" "$build/libdmaheap.so.1" >"$dir/log" 2>&1 ||
			problem "$compile: $(cat "$dir/log")"
		LD_LIBRARY_PATH=$build "$dir/all" >"$out" 2>"$err" ||
			problem "$compile: it does not run"
	done
}

# What a package is made of, and what a client does with it
library_is_found_when_installed()
{
	local prefix=$dir/inst/opt

	make -s -C "$here/.." CC="$CC" OUTPUT="$dir/" CFLAGS=-O1 prefix=/opt \
		DESTDIR="$dir/inst" install >"$out" 2>&1 || problem "$(cat "$out")"
	for file in bin/dmaheap bin/dmaheap-bench include/libdmaheap.h lib/libdmaheap.a \
		lib/libdmaheap.so lib/libdmaheap.so.1 lib/pkgconfig/libdmaheap.pc \
		share/man/man8/dmaheap.8; do
		[ -f "$prefix/$file" ] || problem "no $file"
	done
	export PKG_CONFIG_PATH=$prefix/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$dir/inst
	# shellcheck disable=SC2046
	$CC -Wall -Wextra -Werror -o "$dir/client" "$here/../../../samples/dma-buf/client.c" \
		$(pkg-config --cflags --libs libdmaheap) >"$out" 2>&1 ||
		problem "$(cat "$out")"
	readelf -d "$dir/client" | grep -q 'NEEDED.*\[libdmaheap\.so\.1\]' ||
		problem "it does not need the library by its soname"
	ldd "$prefix/bin/dmaheap" | grep -q libdmaheap && problem "dmaheap needs the shared library"
	# This machine may have no heaps; it then says so
	LD_LIBRARY_PATH=$prefix/lib "$dir/client" >"$out" 2>"$err"
	status=$?
	[ -e /dev/dma_heap ] || { is 1; says "client: list the heaps: No such file"; }
}

# A vendor has an ioctl of the same name, which is another one
library_minds_no_header_of_a_vendor()
{
	mkdir -p "$dir/vendor/linux" "$dir/objects"
	cat >"$dir/vendor/linux/dma-buf.h" <<-EOF
	#include_next <linux/dma-buf.h>
	struct dma_buf_sync_partial {
		__u64 flags;
		__u32 offset;
		__u32 len;
	};
	#undef DMA_BUF_IOCTL_SYNC_PARTIAL
	#define DMA_BUF_IOCTL_SYNC_PARTIAL _IOW('b', 2, struct dma_buf_sync_partial)
	EOF
	make -s -C "$here/.." CC="$CC" OUTPUT="$dir/objects/" \
		CFLAGS="$cflags -I$dir/vendor" "$dir/objects/libdmaheap.a" >"$out" 2>&1 ||
		problem "$(cat "$out")"
	$CC $cflags "$wrap" -I"$here/../lib" -o "$dir/libtry" "$here/libtry.c" "$work/fake.o" \
		"$dir/objects/libdmaheap.a" >"$out" 2>&1 || problem "$(cat "$out")"
	FAKE_IOCTL="0 0" "$dir/libtry" "$root" access 4096 17 >"$out" 2>"$err"
	row "ioctl 0x40186240: 2 4096 17"
}

tests library_lists_what_the_kernel_tells library_guesses_by_names_on_stock_kernels \
	library_chooses_by_attributes library_looks_behind_links library_asks_the_next_heap \
	library_syncs_a_part_or_all library_says_who_pays_and_who_served \
	library_shares_buffers_over_a_socket library_waits_for_a_late_heap \
	library_header_is_c_and_cplusplus library_is_found_when_installed \
	library_minds_no_header_of_a_vendor

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Static checks, one KTAP line each: style, kernel-doc, include rules, device tree
# bindings, a build of our kernel files without a warning by gcc, clang and sparse, 64
# and 32 bit; and of our own scripts.
# A file that checkpatch had nothing to say of is not looked at again; FRESH=1 has all.
. "$(dirname "$0")/lib.sh"

DRIVER=drivers/dma-buf
HEAPS=$DRIVER/heaps
# Beside the compiled objects, for the next clone, too
MEMORY=$ROOT/build/lint.clean
[ -z "$CCACHE" ] || MEMORY=$(ccache --get-config cache_dir)/dmabuf-heaps-lint
LINES_MAX=800

scripts/tree.sh >/dev/null

# Text files of ours that the kernel tree gets
ours() { git -c safe.directory='*' ls-files -co --exclude-standard -- "$@"; }

code() { ours 'drivers/*.[ch]' 'include/*.h' 'tools/*.[ch]' 'samples/*.[ch]'; }

shell_scripts() { ours '*.sh' .ci/run; }

python_scripts()
{
	local file

	ours '*.py'
	for file in $(ours scripts); do
		[[ $file == *.* ]] || ! head -n 1 "$file" | grep -q python || echo "$file"
	done
}

# Passes if the command prints nothing, whatever its status is
silent() { { "$@" 2>&1 || :; } | (! grep .); }

# All that decides what checkpatch says of a file, but the file
checkpatch_key()
{
	cat "$TREE"/scripts/{checkpatch.pl,spelling.txt,const_structs.checkpatch} \
		scripts/lint.sh .checkpatch.conf ~/.checkpatch.conf 2>/dev/null || :
	perl -v
}

# checkpatch_file KEY FILE: a clean file leaves a mark of its name and content
checkpatch_file()
{
	local sum mark

	sum=$({ echo "$1 $2"; cat "$2"; } | sha256sum)
	mark=$MEMORY/${sum%% *}
	if [ -e "$mark" ] && [ "${FRESH:-0}" = 0 ]; then
		touch "$mark"
		echo "$2" >>"$LOG/checkpatch.known"
		return
	fi
	if "$TREE/scripts/checkpatch.pl" --no-tree --strict --terse -f "$2" >"$mark.$$"; then
		mv "$mark.$$" "$mark"
		echo "$2" >>"$LOG/checkpatch.new"
	else
		grep -v '^total: ' "$mark.$$" || echo "$2: checkpatch failed"
		rm "$mark.$$"
	fi
}

checkpatch()
{
	local file key

	key=$(checkpatch_key | sha256sum)
	mkdir -p "$MEMORY"
	find "$MEMORY" -type f -mtime +60 -delete
	: >"$LOG/checkpatch.known"
	: >"$LOG/checkpatch.new"
	for file in $(code; ours 'drivers/*Kconfig' 'drivers/*Makefile' \
		'tools/*Makefile' 'tools/*.sh' 'Documentation/*' 'guest/*.[ch]' \
		'demo/*.[ch]'); do
		checkpatch_file "$key" "$file"
	done
}

kernel_doc()
{
	local file

	for file in $(ours 'drivers/*.[ch]' 'include/*.h' 'tools/dma-buf/lib/*.h'); do
		"$TREE/scripts/kernel-doc" -none -Wall -Werror "$file" 2>&1 || :
	done
}

# may_not FILE HEADER...: FILE must include none of the HEADERs
may_not()
{
	local file=$1 header
	shift

	[ -e "$file" ] || return 0
	for header in "$@"; do
		! grep -Hn "#include [<\"]\(linux/\)\?${header}[>\"]" "$file" || return 1
	done
}

# Calls go one way: the core knows no memory, the exporter no heap, a pool no
# buffer, a heap no other heap
include_rules()
{
	local file heap pool

	may_not $DRIVER/dma-heap.c scatterlist.h dma-heap-source.h heap_source.h heap_pool.h
	may_not include/linux/dma-heap-source.h dma-buf.h dma-heap.h
	may_not $HEAPS/heap_source.h dma-buf.h dma-heap.h heap_pool.h
	for file in "$HEAPS"/heap_buffer*.c; do
		may_not "$file" heap_pool.h cma.h genalloc.h \
			dma-direct.h dma-map-ops.h iommu.h pci.h swiotlb.h
	done
	for pool in "$HEAPS"/heap_pool*.[ch]; do
		may_not "$pool" dma-buf.h dma-heap.h dma-mapping.h
	done
	may_not $HEAPS/system_heap.c cma.h genalloc.h
	for heap in "$HEAPS"/*_heap.c "$HEAPS"/carveout*.c; do
		may_not "$heap" dma-resv.h
	done
	# Programs leave the ioctls to the library; fake.c stands in for the kernel
	for file in $(ours 'demo/*.[ch]' samples/dma-buf/client.c 'tools/dma-buf/*.[ch]' \
		':!tools/dma-buf/lib' ':!tools/dma-buf/tests/fake.c'); do
		may_not "$file" dma-heap.h dma-buf.h
	done
}

spdx()
{
	local file

	for file in $(ours | grep -v -e '^README.md$' -e '^COPYING$' -e '^MAINTAINERS$' \
		-e '^series/' -e '^Documentation/ABI/' -e '^guest/\(config\|steps\|splats\|fuzz/corpus\)' -e '^scripts/check\.inventory$' -e '/\(config\|settings\)$' \
		-e '\.patch$' -e '\.png$' -e '\.kunitconfig$'); do
		head -n 2 "$file" | grep -q SPDX-License-Identifier || echo "$file"
	done
}

config()
{
	cat guest/config/base.config tools/testing/selftests/dmabuf-heaps/config
	echo CONFIG_KUNIT=y
	echo CONFIG_DMABUF_HEAPS_KUNIT_TEST=y
	echo CONFIG_SAMPLES=y
	echo CONFIG_SAMPLE_DMABUF_HEAP=y
	echo CONFIG_OF=y
	# For the 32-bit machine; the others have no such options, or always
	echo CONFIG_MMU=y
	echo CONFIG_ARCH_MULTIPLATFORM=y
	echo CONFIG_ARCH_MULTI_V7=y
}

# warnings DIR MAKE-ARGS...: build the driver's directory, every warning an error
warnings()
{
	local dir=$OUT/lint-$1
	shift

	mkdir -p "$dir"
	config >"$dir.config"
	if ! cmp -s "$dir.config" "$dir/last.config"; then
		KCONFIG_ALLCONFIG=$dir.config kmake "$dir" -s "$@" allnoconfig
		cp "$dir.config" "$dir/last.config"
	fi
	kmake "$dir" -s W=1 KCFLAGS=-Werror "$@" $DRIVER/ samples/
}

# sparse is noisy about the kernel's own headers. With the arguments of gcc's build
# nothing is compiled for it.
run_sparse()
{
	local dir=$OUT/lint-gcc log=$LOG/sparse.log

	kmake "$dir" -s W=1 KCFLAGS=-Werror C=2 $DRIVER/ samples/ >"$log" 2>&1
	! grep -E "($DRIVER/dma-heap.c|$HEAPS/.*\.[ch]|dma-heap[a-z-]*.h):[0-9]+:[0-9]+: (warning|error)" "$log"
}

# What is only style or information differs from version to version
shell_check() { shell_scripts | xargs shellcheck -x -P SCRIPTDIR -S warning; }

python_check() { python_scripts | xargs pyflakes3; }

yaml_check()
{
	ours '*.yaml' '*.yml' |
		xargs -r yamllint -s -c "$TREE/Documentation/devicetree/bindings/.yamllint"
}

# Tests are read more often than other code, by people with less time
long_tests()
{
	ours 'drivers/dma-buf/heaps/tests/*.[ch]' 'tools/testing/selftests/*.[ch]' \
		'tools/testing/selftests/*.sh' 'tools/dma-buf/tests/*' |
		xargs wc -l |
		awk -v max=$LINES_MAX '$2 != "total" && $1 > max {
			print $2 ": " $1 " lines, more than " max }'
}

# The threat model names tests: each has to be one
threats()
{
	grep -oE '``[a-z0-9]+(_[a-z0-9]+)+``' Documentation/driver-api/dma-buf-heaps-threats.rst |
		tr -d '`' | grep -v '_bytes$' | sort -u |
		while read -r name; do
			grep -qE "[.	]$name$" scripts/check.inventory || echo "no test $name"
		done
}

look() { check "$1" "$LOG/lint-${1// /-}.log" "${@:2}"; }

x86=()
# Blocks are there as well, and the compiler is where we are
[ "$(uname -m)" != x86_64 ] || x86=(x86)

echo "TAP version 13"
echo "1..$((15 + ${#x86[@]}))"
look "checkpatch" silent checkpatch
echo "# checkpatch: $(wc -l <"$LOG/checkpatch.new") files are clean," \
	"$(wc -l <"$LOG/checkpatch.known") are as they were when they were clean"
look "kernel-doc" silent kernel_doc
look "include rules" include_rules
look "licence lines" silent spdx
look "bindings" scripts/bindings.sh
look "gcc" warnings gcc
look "sparse" run_sparse
look "clang" warnings clang LLVM=1 CROSS_COMPILE= "CC=${CCACHE}clang"
look "gcc 32 bit" warnings arm ARCH=arm "CROSS_COMPILE=${CCACHE}arm-linux-gnueabihf-"
[ ${#x86[@]} = 0 ] || look "gcc x86-64" warnings x86 ARCH=x86_64 "CROSS_COMPILE=$CCACHE"
look "shell syntax" bash -n scripts/*.sh .ci/run
look "shellcheck" shell_check
look "pyflakes" silent python_check
look "yamllint" yaml_check
look "length of tests" silent long_tests
look "tests of the threat model" silent threats
end_checks

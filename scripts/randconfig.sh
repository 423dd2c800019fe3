#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Compile the driver, and the files it changes elsewhere, with random values of the options
# that its sources depend on: randconfig.sh [TIMES]. Each time the base is a small kernel of
# one of four architectures, and a warning of W=1 is an error. No vmlinux is linked; instead
# the symbols of the objects are compared. SEED=n: begin with the configuration of that seed.
# KTAP, a line for each; the seeds are in the comments.
. "$(dirname "$0")/lib.sh"

times=${1:-10}
# KUnit takes the variable in hexadecimal, too
first=$((${SEED:-$(date +%s)}))

# Kconfig chooses these. All others are as small.config has them, or random if one of
# these makes them appear.
OPTIONS='BLOCK|BUG|CGROUPS|CMA|CMA_(DEBUGFS|SYSFS)|COMPACTION|COMPAT|CPUSETS'
OPTIONS+='|DEBUG_(ATOMIC_SLEEP|FS|LIST|SG|VM)|DMABUF_.*|DMADEVICES'
OPTIONS+='|DMA_(API_DEBUG|CMA|RESTRICTED_POOL)|ENABLE_DEFAULT_TRACERS|FAIL(SLAB|_PAGE_ALLOC)'
OPTIONS+='|FAULT_INJECTION(_DEBUG_FS)?|FTRACE|HIBERNATION|HIGHMEM|IOMMU_SUPPORT|KASAN|KPROBES'
OPTIONS+='|KUNIT(_.*)?|LRU_GEN|MEMCG|MEMORY_(FAILURE|HOTPLUG|HOTREMOVE)|MIGRATION|MMU|MODULES'
OPTIONS+='|MODULE_UNLOAD|NUMA|OF|PCI|PM|PREEMPT_RT|PRINTK|PROC_FS|PROVE_LOCKING|SAMPLES|SAMPLE_.*'
OPTIONS+='|SHMEM|SMP|SRAM|SUSPEND|SWAP|SWIOTLB_DYNAMIC|SW_SYNC|SYNC_FILE|SYSFS'
OPTIONS+='|TRANSPARENT_HUGEPAGE|UDMABUF|ZONE_DMA|ZONE_DMA32'

# Objects of ours call each other by these names
OURS='(cma|dma_(buf|contiguous|fence|heap|resv|sync)|heap)_.*'

# Architecture, prefix of the compiler, what allnoconfig does not know of it
ARCHES=(
	"arm64 aarch64-linux-gnu- CONFIG_64BIT=y"
	"arm arm-linux-gnueabihf- CONFIG_ARCH_MULTI_V7=y CONFIG_AEABI=y CONFIG_ARCH_VIRT=y"
	"riscv riscv64-linux-gnu- CONFIG_64BIT=y"
	"x86 x86_64-linux-gnu- CONFIG_64BIT=y"
)

is_set() { grep -qE "^CONFIG_$1=[ym]" "$dir/.config"; }

# The directory keeps what all configurations of an architecture share
configure()
{
	mkdir -p "$dir"
	if [ ! -e "$dir.base" ]; then
		{
			cat guest/config/small.config
			printf '%s\n' "$@"
		} >"$dir.small"
		KCONFIG_ALLCONFIG=$dir.small kmake "$dir" -s allnoconfig
		mv "$dir/.config" "$dir.base"
	fi
	{
		grep -vE "^(# )?CONFIG_($OPTIONS)[= ]" "$dir.base"
		echo CONFIG_DMABUF_HEAPS=y
	} >"$dir.fixed"
	KCONFIG_ALLCONFIG=$dir.fixed KCONFIG_SEED=$seed kmake "$dir" -s randconfig
	is_set DMABUF_HEAPS
}

# Says what would not link: a symbol of ours that is not defined, or not exported and needed
# by a module
symbols()
{
	local objects=() modules=()

	mapfile -t objects < <(find "${places[@]}" -name '*.o')
	"${CROSS}nm" "${objects[@]}" >"$dir.symbols"
	awk 'NF == 3 { print $3 }' "$dir.symbols" | sort -u >"$dir.defined"
	awk -v ours="^$OURS\$" '$1 == "U" && $2 ~ ours { print $2 }' "$dir.symbols" |
		sort -u | comm -23 - "$dir.defined" | sed 's/$/: not defined/'
	mapfile -t modules < <(cat "$dir"/{drivers/dma-buf,samples/dma-buf}/modules.order 2>/dev/null)
	[ ${#modules[@]} = 0 ] || (cd "$dir" && "${CROSS}nm" -u "${modules[@]}") |
		awk -v ours="^$OURS\$" '$2 ~ ours { print $2 }' | sort -u |
		comm -23 - <(sed -n 's/^__export_symbol_//p' "$dir.defined") |
		sed 's/$/: not exported, but a module needs it/'
}

build()
{
	local targets=(drivers/dma-buf/ kernel/dma/) places

	configure "$@"
	places=("$dir/drivers/dma-buf" "$dir/kernel/dma")
	find "$dir"/{drivers,kernel,mm,samples}/ \( -name '*.o' -o -name modules.order \) \
		-delete 2>/dev/null || :
	! is_set CMA || targets+=(mm/cma.o)
	! is_set CMA_SYSFS || targets+=(mm/cma_sysfs.o)
	! is_set MEMORY_FAILURE || targets+=(mm/memory-failure.o)
	! is_set OF || targets+=(drivers/of/platform.o)
	! is_set SRAM || targets+=(drivers/misc/sram.o)
	! is_set SAMPLE_DMABUF_HEAP || targets+=(samples/dma-buf/)
	kmake "$dir" -s W=1 KCFLAGS=-Werror "${targets[@]}"
	places=("$dir"/{drivers,kernel/dma,mm})
	! is_set SAMPLE_DMABUF_HEAP || places+=("$dir/samples")
	symbols >"$dir.wrong"
	cat "$dir.wrong"
	[ ! -s "$dir.wrong" ]
}

echo "TAP version 13"
echo "1..$times"
for ((seed = first; seed < first + times; seed++)); do
	read -r KARCH CROSS options <<<"${ARCHES[seed % ${#ARCHES[@]}]}"
	dir=$OUT/random-$KARCH
	echo "# seed $seed, $KARCH"
	# shellcheck disable=SC2086
	check "random configuration compiles" "$LOG/random-$seed.log" build $options
done
end_checks

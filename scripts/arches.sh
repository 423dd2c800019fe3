#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Compile the driver's directory, and what the DMA API tells it, for every architecture
# that Debian has a cross compiler for, with the architecture's own configuration and
# all heaps and tests as modules; every warning is an error. KTAP, a line for each.
# Modules of ours may refer to nothing that the kernel does not export for them.
. "$(dirname "$0")/lib.sh"

# ARCH, prefix of the compiler, configuration, one more option; without LPAE, with physical
# addresses that are not bus addresses, with DMA operations of a bus, big-endian, without
# MMU's huge pages, with caches that are maintained before a transfer only
ARCHES="
arm arm-linux-gnueabihf- multi_v7_defconfig
arm arm-linux-gnueabi- multi_v5_defconfig
mips mips64el-linux-gnuabi64- loongson3_defconfig
mips mips64el-linux-gnuabi64- cavium_octeon_defconfig
powerpc powerpc64-linux-gnu- ppc64_defconfig
s390 s390x-linux-gnu- defconfig
sparc sparc64-linux-gnu- sparc64_defconfig
parisc hppa-linux-gnu- generic-32bit_defconfig
alpha alpha-linux-gnu- defconfig
m68k m68k-linux-gnu- multi_defconfig
sh sh4-linux-gnu- rts7751r2dplus_defconfig
x86 i686-linux-gnu- i386_defconfig
arm64 aarch64-linux-gnu- defconfig CONFIG_CPU_BIG_ENDIAN=y
"

# The headers of implementers of the DMA API have inline functions that need these
FORBIDDEN='min_low_pfn|max_pfn|dma_to_phys|phys_to_dma|__phys_to_dma|__dma_to_phys|force_dma_unencrypted|swiotlb_.*|__swiotlb_.*'

configure()
{
	local dir=$1 config=$2 option=$3

	kmake "$dir" -s "$config"
	{
		cat "$dir/.config"
		printf '%s\n' "$option" CONFIG_MODULES=y CONFIG_DMABUF_HEAPS=y \
			CONFIG_DMABUF_HEAPS_SYSTEM=m CONFIG_DMABUF_HEAPS_CMA=m \
			CONFIG_DMABUF_HEAPS_CARVEOUT=m CONFIG_DEBUG_FS=y CONFIG_KUNIT=m \
			CONFIG_DMABUF_HEAPS_KUNIT_TEST=m CONFIG_DMABUF_HEAPS_TEST_IMPORTER=m
	} >"$dir/merged.config"
	KCONFIG_ALLCONFIG=$dir/merged.config kmake "$dir" -s allnoconfig
	grep -q '^CONFIG_DMABUF_HEAPS_SYSTEM=m' "$dir/.config"
	[ -z "$option" ] || grep -qx "$option" "$dir/.config"
}

build()
{
	local dir=$OUT/arch-$1

	mkdir -p "$dir"
	configure "$dir" "$2" "${3:-}"
	kmake "$dir" -s KCFLAGS=-Werror drivers/dma-buf/ kernel/dma/
	# No module of ours may need a symbol that modules are not given
	! find "$dir/drivers/dma-buf" \( -path '*/heaps/*.o' \) -exec "${CROSS}nm" -u {} + |
		grep -wE "U ($FORBIDDEN)"
}

echo "TAP version 13"
echo "1..$(grep -c . <<<"$ARCHES")"
while read -r KARCH CROSS config option; do
	[ -n "$KARCH" ] || continue
	name=$KARCH-${config%_defconfig}${option:+-${option#CONFIG_}}
	check "${name/-/ }" "$LOG/arch-$name.log" build "$name" "$config" "$option"
done <<<"$ARCHES"
end_checks

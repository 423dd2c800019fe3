# SPDX-License-Identifier: GPL-2.0
# The parts of the check that run in a guest: which kernel, which machine, which steps.
# Source it after lib.sh.
# shellcheck shell=bash

# kernel_of PART: the variant of kbuild.sh that the part boots; nothing if it boots none
kernel_of()
{
	case $1 in
	y | cma | kexec | pool | reclaim | swiotlb | smmu | passthrough | restricted | million) echo y ;;
	m | kunit-arm64 | board-* | soak) echo m ;;
	debug | debug-*) echo debug ;;
	kunit-kcsan | kcsan) echo kcsan ;;
	demo | arm | riscv | versal | 16k | compat | fuzz) echo "$1" ;;
	x86 | x86-pt) echo x86 ;;
	esac
}

# dirty_regions [ADDRESS...]: memory where carveouts will be, and there, holds what the last kernel left there
dirty_regions()
{
	local at

	head -c 1M /dev/zero | tr '\0' '\245' >"$OUT/dirt.$$"
	mv "$OUT/dirt.$$" "$OUT/dirt"
	for at in 0xb0000000 0xb4000000 0xb6000000 0xb8000000 0xba400000 0xbe400000 "$@"; do
		args+=(-device "loader,file=$OUT/dirt,addr=$at,force-raw=on")
	done
}

# Memory ends within what has struct pages, see bad.dtso; sram.dtso has the rest
memory_that_ends()
{
	MEM=2110M
	APPEND="mem=2046M"
}

# nodes SIZE SIZE: two NUMA nodes with a CPU each
nodes()
{
	local id

	for id in 0 1; do
		args+=(-object "memory-backend-ram,id=node$id,size=$1"
			-numa "node,nodeid=$id,memdev=node$id,cpus=$id")
		shift
	done
}

# Two devices that move bytes, with addresses of 32 bits
movers()
{
	args+=(-device "edu,dma_mask=0xffffffff" -device "edu,dma_mask=0xffffffff")
}

# machine PART: set what guest.sh needs to know of the machine of a part: MEM, CPUS,
# APPEND, MODULES, NEXT, SELFTESTS (an architecture, if not the kernel's), args (of QEMU)
# and overlays
machine()
{
	local need='' seed=${SEED:+heap_model_kunit.seed=$SEED}

	MEM=2G CPUS=2 APPEND='' MODULES='' NEXT='' SELFTESTS='' args=() overlays=()
	case $1 in
	y)
		overlays=(probe)
		movers
		;;
	# The machine of y, with programs of 32 bits
	compat)
		SELFTESTS=arm
		overlays=(probe)
		movers
		;;
	m) overlays=(probe) ;;
	# With a disk to hibernate to. The base copies page tables of 48 bits only (nolva).
	cma)
		memory_that_ends
		truncate -s 2G "$OUT/swap"
		APPEND+=" no_console_suspend arm64.nolva"
		args+=(-drive "file=$OUT/swap,if=none,id=swap,format=raw,cache=unsafe"
			-device "virtio-blk-pci,drive=swap")
		overlays=(probe cma carveout bad sram)
		dirty_regions 0xc0e00000
		movers
		APPEND+=" cma_heap.chunk_kib=64"
		;;
	# Boots the kernel that it has as a disk. The secure world hangs in "torn". An ITS
	# would keep its tables in memory that the next kernel takes.
	kexec)
		memory_that_ends
		NEXT=1
		args=(-machine "its=off")
		APPEND+=" arm64.nolva dma_heap_test_protector.hang_at=0xb9000000"
		overlays=(carveout sram)
		;;
	# The second node ends above 4 GiB and both begin below; memory to unplug
	pool)
		MEM=5G,maxmem=8G
		nodes 2G 3G
		args+=(-object "memory-backend-ram,id=hotplug,size=1G"
			-device "virtio-mem-pci,memdev=hotplug,requested-size=512M")
		APPEND="memhp_default_state=online_kernel cma=64M"
		;;
	# A disk of which not all fits into memory
	reclaim)
		truncate -s 4G "$OUT/disk"
		args+=(-drive "file=$OUT/disk,if=none,id=disk,format=raw,readonly=on"
			-device "virtio-blk-pci,drive=disk")
		;;
	# No device sees memory, all get copies, of which there can be 128 MiB; and no
	# cgroup is charged
	swiotlb)
		movers
		APPEND="swiotlb=65536,force dma_heap.mem_accounting=0"
		;;
	# An IOMMU that translates, and one that is passed through: then a device that
	# does not reach all memory gets copies
	smmu)
		movers
		args+=(-machine "iommu=smmuv3")
		;;
	passthrough)
		MEM=6G
		movers
		args+=(-machine "iommu=smmuv3")
		APPEND="iommu.passthrough=1"
		;;
	# All on PCI get copies in a region of their own
	restricted)
		overlays=(restricted)
		movers
		;;
	debug)
		overlays=(probe)
		nodes 1G 1G
		need=$KUNIT_NEEDS,builtin
		APPEND="cma=64M $seed"
		;;
	debug-all)
		overlays=(probe)
		movers
		nodes 1G 1G
		APPEND="cma=64M kunit.enable=0"
		;;
	# Part debug has run the KUnit suites of that kernel
	debug-cma | debug-cma-all)
		memory_that_ends
		overlays=(probe cma carveout bad sram)
		dirty_regions 0xc0e00000
		movers
		APPEND+=" cma_heap.chunk_kib=64 kunit.enable=0"
		;;
	debug-swiotlb)
		APPEND="swiotlb=65536,force dma_heap.mem_accounting=0 kunit.enable=0"
		;;
	# The suites as modules, with an area to fill
	kunit-arm64)
		MODULES=bare
		nodes 1G 1G
		need=$KUNIT_NEEDS
		APPEND="cma=32M $seed"
		;;
	kunit-kcsan)
		nodes 512M 512M
		MEM=1G
		need=$KUNIT_NEEDS,builtin
		APPEND="cma=32M $seed"
		;;
	kcsan)
		nodes 1G 1G
		APPEND="cma=32M kunit.enable=0"
		;;
	# One kernel, three boards: one that needs no heap for a region, one that does,
	# and one that loads nothing by itself
	board-spared) MODULES=coldplug ;;
	board-autoload)
		memory_that_ends
		MODULES=coldplug overlays=(cma carveout bad sram)
		dirty_regions 0xc0e00000
		movers
		;;
	board-unloaded)
		MODULES=bare overlays=(carveout)
		dirty_regions
		APPEND="cma=64M"
		;;
	# All heaps at once. With slab_debug=F, slabs are counted by the object.
	soak)
		memory_that_ends
		APPEND+=" slab_debug=FZ"
		overlays=(cma carveout bad sram)
		dirty_regions 0xc0e00000
		movers
		;;
	# Programs run without a shell: the kernel hands NEED to them
	arm)
		MEM=1G overlays=(arm)
		APPEND="cma_heap.chunk_kib=64 NEED=carveout,importer,border,cma,chunks,highzone"
		;;
	# The IOMMU translates
	x86)
		movers
		args+=(-device intel-iommu)
		APPEND="intel_iommu=on iommu.passthrough=0 NEED=importer,blocks,mover,segments,translated,poison,pool"
		;;
	# The IOMMU passes addresses through; edu does not reach memory above 4 GiB
	x86-pt)
		MEM=5G
		movers
		args+=(-device intel-iommu)
		APPEND="intel_iommu=on iommu=pt NEED=importer,bounces,mover,segments,copies"
		;;
	# The second node is above 4 GiB, so that devices with addresses of 32 bits get copies
	fuzz)
		MEM=1G
		nodes 512M 512M
		movers
		args+=(-machine max-ram-below-4g=512M -device intel-iommu)
		APPEND="intel_iommu=on iommu.passthrough=0 cma=32M"
		;;
	16k)
		movers
		APPEND="cma=64M"
		;;
	riscv) APPEND="NEED=importer,counts" ;;
	demo | million) ;;
	# Two of its CPUs are for firmware
	versal) CPUS=4 ;;
	*) die "no part $1" ;;
	esac
	APPEND+=${need:+ heap_test_helpers.need=$need}
	overlays=("${overlays[@]/#/guest/dt/}")
	overlays=("${overlays[@]/%/.dtso}")
}

# What the KUnit suites must not skip on arm64
KUNIT_NEEDS=area,faults,nodes,noncoherent,swiotlb,trace,writecombine

# build_part PART: all that the part boots
build_part()
{
	local kernel

	kernel=$(kernel_of "$1")
	[ "$1" != compat ] || scripts/selftests.sh arm || return
	case $kernel in
	arm | riscv | x86) scripts/selftests.sh "$kernel" || return ;;
	demo) scripts/demo.sh build || return ;;
	# The kit brings them
	versal) ;;
	*) scripts/selftests.sh || return ;;
	esac
	# Only the kernel y has all that it measures built in
	[ "$1" != y ] || scripts/bench.sh tool || return
	scripts/kbuild.sh "$kernel" || return
	[ "$1" != versal ] || scripts/hwkit.sh "$OUT/$kernel"
}

# boot_part PART RUN STEPS: boot its machine with these steps
boot_part()
{
	local args overlays MEM CPUS APPEND MODULES NEXT SELFTESTS

	machine "$1"
	MEM=$MEM CPUS=$CPUS APPEND=$APPEND MODULES=$MODULES NEXT=$NEXT SELFTESTS=$SELFTESTS \
		QEMU_ARGS="${args[*]}" scripts/guest.sh "$2" "$(kernel_of "$1")" "$3" "${overlays[@]}"
}

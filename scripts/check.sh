#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Run parts of the check and sum up: check.sh PART...
# Parts: lint tools y cma pool swiotlb m kunit-arm64 board-spared board-autoload
# board-unloaded n debug debug-cma arm kunit-kcsan kunit-uml riscv series.
# Those with a guest and the tools one after the other, the others beside them. One
# failing part does not stop the rest.
# Exit 0: all passed; 1: a test or splat failed; 2: a part could not be run.
. "$(dirname "$0")/lib.sh"

LINE="[check] ----"

# One program whose exit status is its whole result
alone()
{
	local name=$1
	shift

	limited "$@" 2>&1 | tee "$LOG/$name.log"
}

suites()
{
	scripts/selftests.sh || return
	scripts/kbuild.sh "$1" || return
	scripts/guest.sh "$1" "$1" "guest/steps/$1" guest/dt/probe.dtso
}

# guest_with_regions RUN VARIANT STEPS OVERLAY...: in a machine with carveouts, where
# somebody was before the kernel
guest_with_regions()
{
	local args='' at

	head -c 1M /dev/zero | tr '\0' '\245' >"$OUT/dirt"
	for at in 0xb0000000 0xb4000000 0xb6000000 0xb8000000 0xba400000 0xbe400000; do
		args+=" -device loader,file=build/out/dirt,addr=$at,force-raw=on"
	done
	QEMU_ARGS=$args scripts/guest.sh "$@"
}

regions()
{
	scripts/selftests.sh || return
	scripts/kbuild.sh "$2" || return
	# Part debug has run the KUnit suites of that kernel
	APPEND="cma_heap.chunk_kib=64 kunit.enable=0" guest_with_regions "$1" "$2" "guest/steps/$1" \
		guest/dt/{probe,cma,carveout,bad}.dtso
}

# One kernel for three boards: one without regions for heaps, one with, and one
# that loads nothing by itself
board()
{
	scripts/selftests.sh || return
	scripts/kbuild.sh m || return
	case $1 in
	board-spared)
		MODULES=coldplug scripts/guest.sh "$1" m "guest/steps/$1"
		;;
	board-autoload)
		MODULES=coldplug guest_with_regions "$1" m "guest/steps/$1" \
			guest/dt/{cma,carveout,bad}.dtso
		;;
	board-unloaded)
		MODULES=bare APPEND="cma=64M" guest_with_regions "$1" m "guest/steps/$1" \
			guest/dt/carveout.dtso
		;;
	*) die "no part $1" ;;
	esac
}

# The suites as modules, with an area of contiguous memory to fill
kunit_guest()
{
	scripts/selftests.sh || return
	scripts/kbuild.sh m || return
	MODULES=bare APPEND="cma=32M" scripts/guest.sh kunit-arm64 m guest/steps/kunit-arm64
}

# Two nodes, the second of which ends above 4 GiB and both of which begin below,
# and memory that can be taken away again
pool_guest()
{
	local args=(-object "memory-backend-ram,id=node0,size=2G"
		-object "memory-backend-ram,id=node1,size=3G"
		-numa "node,memdev=node0,cpus=0" -numa "node,memdev=node1,cpus=1"
		-object "memory-backend-ram,id=hotplug,size=1G"
		-device "virtio-mem-pci,memdev=hotplug,requested-size=512M")

	scripts/selftests.sh || return
	scripts/kbuild.sh y || return
	MEM=5G,maxmem=8G CPUS=2 QEMU_ARGS="${args[*]}" \
		APPEND="memhp_default_state=online_kernel cma=64M" \
		scripts/guest.sh pool y guest/steps/pool
}

# Where blocks do not exist, PTEs cannot tell their protection, or the kernel has not
# mapped all memory. What it does not know itself it puts into the environment.
other_machine()
{
	scripts/selftests.sh "$1" || return
	scripts/kbuild.sh "$1" || return
	if [ "$1" = arm ]; then
		MEM=1G APPEND="cma_heap.chunk_kib=64 NEED=carveout,importer,border,cma,chunks" \
			scripts/guest.sh arm arm guest/steps/arm guest/dt/arm.dtso
	else
		scripts/guest.sh "$1" "$1" "guest/steps/$1"
	fi
}

# No device sees memory, all get copies, of which there can be 128 MiB; and nobody
# is charged
swiotlb_guest()
{
	scripts/selftests.sh || return
	scripts/kbuild.sh y || return
	APPEND="swiotlb=65536,force dma_heap.mem_accounting=0" scripts/guest.sh swiotlb y guest/steps/swiotlb
}

run_part()
{
	case $1 in
	lint) limited scripts/lint.sh | tee "$RESULTS/lint.ktap" ;;
	tools) limited tools/dma-buf/tests/run.sh | tee "$RESULTS/tools.ktap" ;;
	series) alone series scripts/series.py --build ;;
	kunit-arm64) kunit_guest ;;
	kunit-*) scripts/kunit.sh "${1#kunit-}" ;;
	y | m | debug) suites "$1" ;;
	debug-cma) regions debug-cma debug ;;
	cma) regions cma y ;;
	board-*) board "$1" ;;
	pool) pool_guest ;;
	swiotlb) swiotlb_guest ;;
	n) scripts/kbuild.sh n ;;
	arm | riscv) other_machine "$1" ;;
	*) die "no part $1" ;;
	esac
}

# What builds the kernel a part runs in; nothing for parts that run in none
kernel_of()
{
	case $1 in
	y | cma | pool | swiotlb) echo scripts/kbuild.sh y ;;
	m | kunit-arm64 | board-*) echo scripts/kbuild.sh m ;;
	debug | debug-cma) echo scripts/kbuild.sh debug ;;
	arm | riscv) echo "scripts/kbuild.sh $1" ;;
	kunit-*) echo "scripts/kunit.sh ${1#kunit-} build" ;;
	esac
}

# A part that leaves no results of its own is one result
record()
{
	local ktap=$RESULTS/$1.ktap

	if [ ! -s "$ktap" ]; then
		printf 'TAP version 13\n1..1\n%s 1 %s\n' \
			"$([ "$2" = 0 ] && echo ok || echo not ok)" "$1" >"$ktap"
	elif [ "$2" != 0 ]; then
		echo "## status $1 $2" >>"$ktap"
	fi
}

one_part()
{
	local rc=0

	echo "$LINE $1"
	(run_part "$1") || rc=$?
	record "$1" "$rc"
	echo $rc >"$LOG/$1.rc"
	[ $rc -ne 130 ] || exit 130
}

# A guest leaves most of a second CPU idle. Meanwhile: the kernels of the next guests,
# in their order, and what needs no guest. A build that fails here fails again, and is
# told, in its part.
beside()
{
	local build part

	for part in "${guests[@]}"; do
		kernel_of "$part"
	done | awk 'NR == 1 { seen[$0] = 1 } !seen[$0]++' | while read -r build; do
		# shellcheck disable=SC2086
		$build </dev/null || :
	done
	for part in "${others[@]}"; do
		one_part "$part" >"$LOG/$part.out" 2>&1
	done
}

worker=
start_worker()
{
	set -m
	beside </dev/null >"$LOG/beside.log" 2>&1 &
	worker=$!
	set +m
	renice -n 19 -g "$worker" >/dev/null
}

stop_worker() { [ -z "$worker" ] || kill -- -"$worker" 2>/dev/null || :; }

# What a part of the worker has said and says, until it has ended
follow()
{
	touch "$LOG/$1.out"
	tail -n +1 -s 0.2 -f "$LOG/$1.out" &
	until [ -e "$LOG/$1.rc" ] || ! kill -0 "$worker" 2>/dev/null; do
		sleep 0.5
	done
	sleep 0.5
	kill $!
	wait $! 2>/dev/null || :
}

# Ctrl-C ends all of it, not one part
trap 'exit 130' INT TERM
trap stop_worker EXIT

guests=() others=() files=()
rm -f "$RESULTS/status" "$RESULTS/summary"
for part in "$@"; do
	rm -f "$RESULTS/$part.ktap" "$LOG/$part".{rc,out}
	files+=("$RESULTS/$part.ktap")
	# The tools have to be in time, and must not be last for the CPU
	if [ "$part" = tools ] || [ -n "$(kernel_of "$part")" ]; then
		guests+=("$part")
	else
		others+=("$part")
	fi
done
[ ${#guests[@]} = 0 ] || start_worker
for part in "${guests[@]}"; do
	one_part "$part"
done
for part in "${others[@]}"; do
	if [ -n "$worker" ]; then
		follow "$part"
	else
		one_part "$part"
	fi
done
worst=0
for part in "$@"; do
	rc=$(cat "$LOG/$part.rc" 2>/dev/null) || rc=2
	[ "$rc" -lt 2 ] || worst=2
done
echo "$LINE results"
rc=0
scripts/report "${files[@]}" | tee "$RESULTS/report" || rc=1
[ $worst -eq 0 ] || rc=$worst
tail -n 1 "$RESULTS/report" >"$RESULTS/summary"
echo $rc >"$RESULTS/status"
exit $rc

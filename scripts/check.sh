#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Run parts of the check one after the other and sum up: check.sh PART...
# Parts: lint kunit-uml kunit-arm64 kunit-kcsan y m n debug pool swiotlb arm riscv series.
# One failing part does not stop the rest.
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
	local steps=guest/steps/check

	[ "$1" != debug ] || steps=guest/steps/debug
	scripts/selftests.sh || return
	scripts/kbuild.sh "$1" || return
	scripts/guest.sh "$1" "$1" $steps guest/dt/probe.dtso
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
		APPEND="memhp_default_state=online_kernel" \
		scripts/guest.sh pool y guest/steps/pool
}

# Where blocks do not exist, or PTEs cannot tell their protection
other_machine()
{
	scripts/selftests.sh "$1" || return
	scripts/kbuild.sh "$1" || return
	scripts/guest.sh "$1" "$1" "guest/steps/$1"
}

# No device sees memory, all get copies, of which there can be 128 MiB
swiotlb_guest()
{
	scripts/selftests.sh || return
	scripts/kbuild.sh y || return
	APPEND="swiotlb=65536,force" scripts/guest.sh swiotlb y guest/steps/swiotlb
}

run_part()
{
	case $1 in
	lint) limited scripts/lint.sh | tee "$RESULTS/lint.ktap" ;;
	series) alone series scripts/series.py --build ;;
	kunit-*) scripts/kunit.sh "${1#kunit-}" ;;
	y | m | debug) suites "$1" ;;
	pool) pool_guest ;;
	swiotlb) swiotlb_guest ;;
	n) scripts/kbuild.sh n ;;
	arm | riscv) other_machine "$1" ;;
	*) die "no part $1" ;;
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

# Ctrl-C ends all of it, not one part
trap 'exit 130' INT TERM

worst=0 files=()
rm -f "$RESULTS/status" "$RESULTS/summary"
for part in "$@"; do
	files+=("$RESULTS/$part.ktap")
	rm -f "$RESULTS/$part.ktap"
done
for part in "$@"; do
	echo "$LINE $part"
	rc=0
	(run_part "$part") || rc=$?
	record "$part" "$rc"
	[ "$rc" -ne 130 ] || exit 130
	[ "$rc" -lt 2 ] || worst=2
done
echo "$LINE results"
rc=0
scripts/report "${files[@]}" | tee "$RESULTS/report" || rc=1
[ $worst -eq 0 ] || rc=$worst
tail -n 1 "$RESULTS/report" >"$RESULTS/summary"
echo $rc >"$RESULTS/status"
exit $rc

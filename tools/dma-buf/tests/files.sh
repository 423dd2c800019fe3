# SPDX-License-Identifier: GPL-2.0
# Files that stand in for the kernel's, below $root.
# shellcheck shell=bash disable=SC2034,SC2154

# heap NAME FILE=VALUE...
heap()
{
	local at=$root/sys/class/dma_heap/$1 pair file

	mkdir -p "$at" "$root/dev/dma_heap"
	: >"$root/dev/dma_heap/$1"
	for pair in "${@:2}"; do
		file=$at/${pair%%=*}
		[ -d "${file%/*}" ] || mkdir -p "${file%/*}"
		printf '%s\n' "${pair#*=}" >"$file"
	done
}

# process PID COMM [FD INODE SIZE HEAP]...
process()
{
	local at=$root/proc/$1

	mkdir -p "$at/fd" "$at/fdinfo"
	printf '%s\n' "$2" >"$at/comm"
	shift 2
	while [ $# -ge 4 ]; do
		ln -sf "/dmabuf:" "$at/fd/$1"
		printf '%s:\t%s\n' pos 0 flags 02000002 mnt_id 9 ino "$2" size "$3" count 1 \
			exp_name "$4" >"$at/fdinfo/$1"
		shift 4
	done
}

columns="heap size age_ms pid importers cpu cache inode comm name cgroup"
list_file() { echo "$root/sys/kernel/debug/dma_heap_buffers"; }

# buffer COLUMN...: a line of the list, in which printf finds its escapes
buffer()
{
	local IFS=$'\t'

	mkdir -p "$root/sys/kernel/debug"
	[ -e "$(list_file)" ] || { echo "${columns// /$'\t'}" >"$(list_file)"; }
	printf '%s\n' "$*" >>"$(list_file)"
}

events="alloc alloc_fail free pool_hit pool_miss scrub shrink decay map sync"

# line COMM PID CPU TIME EVENT, as in trace_pipe
line() { printf '%16s-%-7s [%s] d..1. %12s: dma_heap_%s\n' "$@"; }

tracefs()
{
	local tracing=$root/sys/kernel/tracing event

	mkdir -p "$tracing/instances" "$tracing/template/events/dma_heap"
	for event in $events; do
		mkdir "$tracing/template/events/dma_heap/dma_heap_$event"
		echo 0 >"$tracing/template/events/dma_heap/dma_heap_$event/enable"
	done
	echo 0 >"$tracing/template/events/dma_heap/enable"
	echo 1 >"$tracing/template/events/enable"
	echo 5 >"$tracing/template/buffer_percent"
	{
		line camera 1234 001 1234.567890 "alloc: heap=system size=8388608 inode=77"
		line "a-1 [0] x: y: z" 77 000 0.000001 "alloc_fail: heap=12 size=4096 reason=charge"
		line "<...>" 9 011 2.500000 \
			"map: inode=7 dev=a device size=12288 dir=both maintained=0"
		line "<...>" 9 011 3.500000 "pool_hit: pool=system size=4096 dirty"
		line "<...>" 9 011 4.500000 \
			"sync: inode=7 begin dir=both offset=0 len=1 maintained=64"
		echo "CPU:1 [LOST 3 EVENTS]"
	} >"$tracing/template/trace_pipe"
}

make_files()
{
	mkdir -p "$root/proc" "$root/sys/class/dma_heap" "$root/sys/kernel/dma_heap"
	echo "MemTotal:        4194304 kB" >"$root/proc/meminfo"
	echo 96512 >"$root/sys/kernel/dma_heap/total_pools_kb"
	heap system cached=1 contiguous=0 protected=0 alignment=4096 buffer_limit_bytes=2147483648 \
		heap_limit_bytes=max fallback= bytes=3221225472 buffers=120 peak_bytes=3221225473 \
		peak_buffers=150 fallbacks=0 failures/too_large=1 failures/limit=2 \
		failures/memcg=3 failures/nomem=4 failures/killed=5 pool/zeroed_bytes=67108864 \
		pool/unzeroed_bytes=16777216 pool/hits=900 pool/dirty_hits=50 pool/misses=50 \
		pool/scrubbed_bytes=123456789 pool/max_bytes=134217728 pool/decay_ms=1000
	heap default_cma_region cached=1 contiguous=1 protected=0 alignment=4096 \
		buffer_limit_bytes=67108864 heap_limit_bytes=max fallback= bytes=1048576 buffers=1 \
		peak_bytes=1048576 peak_buffers=1 failures/too_large=0 failures/limit=0 \
		failures/memcg=0 failures/nomem=0 failures/killed=0 pool/zeroed_bytes=0 \
		pool/unzeroed_bytes=0 pool/hits=0 pool/dirty_hits=0 pool/misses=1
	heap secure cached=0 contiguous=1 protected=1 alignment=65536 buffer_limit_bytes=33554432 \
		heap_limit_bytes=33554432 fallback=system bytes=0 buffers=0 peak_bytes=0 \
		peak_buffers=0 failures/too_large=0 area/size_bytes=33554432 \
		area/free_bytes=16777216 area/largest_free_bytes=8388608 fallbacks=7 \
		dma_bits=36 alias_of=vault reserved=1
	buffer system 3145728000 3600123 1234 2 m d 77 camera preview /cam
	buffer system 8388608 120000 1234 0 - - 78 camera - /cam
	buffer 's\171stem' 67108864 61000 999 0 - ds 79 'a\040b\134c' 'name\040of\011it' '/a\040b'
	buffer default_cma_region 1048576 59999 1234 0 - u 80 camera - -
	buffer system 4096 3600000 55 0 v - 81 kernel - -
	buffer system 4096 3600000 55 1 - - 82 kernel - -
	process 1234 camera 3 77 3145728000 system 4 78 8388608 system 5 78 8388608 system
	process 55 gpu 3 77 3145728000 system 9 99 4096 no-heap
	tracefs
}

# All of these files as they were in the beginning
fresh()
{
	if [ -e "$root" ]; then
		chmod -R u+rwx "$root"
		rm -rf "$root"
	fi
	cp -a "$work/files" "$root"
}

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# For the picture of dmaheap top: some processes with buffers, and top in a terminal,
# all of whose output goes to the host. top.sh ROWS COLUMNS

pids=

# as NAME HEAP SIZE COUNT: a process of that name that has buffers
as()
{
	ln -sf /usr/bin/dmaheap "/tmp/$1"
	"/tmp/$1" alloc --hold 1h "$2" "$3" -n "$4" >/dev/null &
	pids="$pids $!"
}

as camera camera@a0000000 3110400 6
as camera system 24m 12
as compositor display@a4000000 3840k 3
as codec system 12441600 14
as display system-uncached 8100k 3
as gpu system 64k 300
as browser system 1m 90
while sleep 0.1; do
	dmaheap bench -n 8 -p 4 -s 64k,3m,8m,16m,33177600
done >/dev/null &

LC_ALL=C.UTF-8 TERM=linux /selftests/dmabuf-heaps/heap_terminal "$1" "$2" 9 q \
	dmaheap top >/dev/vport0p3 || exit 1
# All of them have to be in the picture
for pid in $pids; do
	kill "$pid" || exit 1
done

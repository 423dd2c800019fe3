# SPDX-License-Identifier: GPL-2.0
# dmaheap alloc and bench
# shellcheck shell=bash disable=SC2034,SC2154

alloc_prints_a_line_per_buffer()
{
	dmaheap alloc system 5000 -n 3 --mmap --fill --name 'a name'
	is 0; quiet
	row "$(head -n 1 "$out" | tr -s ' ')"
	shows "INODE"
	[ "$(wc -l <"$out")" = 4 ] || problem "not three lines"
	shows " 8.0K "
	dmaheap alloc -b system 5000
	shows " 8192 "
}

alloc_writes_json()
{
	dmaheap alloc --json -n2 system 1m
	is 0; quiet; json
	query 'd["heap"] == "system" and d["name"] is None and d["error"] is None'
	query 'len(d["buffers"]) == 2 and all(b["size"] == 1 << 20 and b["fd"] > 2 and
		b["inode"] > 0 and b["alloc_ns"] > 0 for b in d["buffers"])'
	query 'all(b["mmap_ns"] is None and b["fill_ns"] is None for b in d["buffers"])'
	dmaheap alloc --json system 1m --fill --name '"\'
	is 0; json
	query 'd["name"] == "\"\\"'
	query 'd["buffers"][0]["fill_ns"] > 0 and d["buffers"][0]["mmap_ns"] > 0'
}

alloc_says_what_failed()
{
	echo 12 >"$root/dev/dma_heap/system"
	dmaheap alloc system 1g
	is 1
	says "system: buffer 1 of 1, 1073741824 bytes: allocation: Cannot allocate memory"
	echo "2 12" >"$root/dev/dma_heap/system"
	dmaheap alloc -j -n5 --hold 100 system 4k
	is 1; json
	says "buffer 3 of 5"
	query 'len(d["buffers"]) == 2 and d["error"] == "Cannot allocate memory"'
	dmaheap alloc nonsense 4k
	is 1
	says "/dev/dma_heap/nonsense: No such file or directory; dmaheap list shows"
	for node in "" . .. ../dma_heap/system; do
		dmaheap alloc "$node" 4k
		is 1
		says "No such file"
	done
	chmod 0 "$root/dev/dma_heap/secure"
	nobody alloc secure 4k
	is 1
	says "/dev/dma_heap/secure: Permission denied; needs the right"
	: >"$root/dev/dma_heap/system"
	dmaheap alloc system 4k --name "$(printf '%0100d' 0)"
	is 1
	says "name: File name too long"
	dmaheap alloc system 100g --mmap --json || :
	json
	(ulimit -n 20; "$DMAHEAP" --root "$root" alloc system 4k -n 100 >"$out" 2>"$err")
	status=$?
	is 1
	says "of 100"
}

alloc_holds_buffers()
{
	local start=$EPOCHREALTIME

	dmaheap alloc system 4k --hold 100ms
	is 0
	[ $((${EPOCHREALTIME/./} - ${start/./})) -ge 100000 ] ||
		problem "it does not wait"
	# While it holds buffers they have been shown, and are open
	: >"$out"
	"$DMAHEAP" --root "$root" alloc system 4k -n 3 --hold 1h >"$out" 2>"$err" &
	until_true lines "$out" 4
	[ "$(find /proc/$!/fd -lname '/memfd:buffer*' | wc -l)" = 3 ] ||
		problem "not three buffers are open"
	kill $!
	ends $!
	is 143
}

alloc_waits_for_a_late_heap()
{
	FAKE_POLL="touch $root/dev/dma_heap/late" dmaheap alloc --wait 1h late 4k
	is 0; quiet
	shows " 4.0K "
	dmaheap alloc --wait 1ms later 4k
	is 1
	says "/dev/dma_heap/later: No such file or directory; dmaheap list shows"
}

bench_prints_a_line_per_size()
{
	dmaheap bench -n5 -p0 -s 4k,1m
	is 0; quiet
	row "SIZE SAMPLES ALLOC-US 99% CLOSE-US 99%"
	like '^4\.0K +5( +[0-9]+\.[0-9]){4}$' "4 KiB"
	like '^1\.0M +5( +[0-9]+\.[0-9]){4}$' "1 MiB"
	dmaheap bench -b -n1 -p0 secure
	like '^ +4096 +1 ' "4096 bytes"
	[ "$(wc -l <"$out")" = 6 ] || problem "not five sizes"
}

bench_writes_json_and_errors()
{
	dmaheap bench --json -n3 -p1 -s 4k secure
	is 0; quiet; json
	query 'd["heap"] == "secure" and d["pause_ms"] == 1 and len(d["results"]) == 1'
	query 'd["results"][0]["alloc_ns"]["median"] <= d["results"][0]["alloc_ns"]["p99"]'
	query 'd["results"][0]["samples"] == 3 and d["results"][0]["close_ns"]["p99"] > 0'
	echo 12 >"$root/dev/dma_heap/system"
	dmaheap bench --json
	is 1; json
	says "system gives no 4096 bytes: Cannot allocate memory"
	query 'all(r["error"] == "Cannot allocate memory" for r in d["results"])'
	dmaheap bench
	is 1
	row "4.0K - - - - -"
	dmaheap bench nonsense
	is 1
	says "No such file"
}

tests alloc_prints_a_line_per_buffer alloc_writes_json alloc_says_what_failed \
	alloc_holds_buffers alloc_waits_for_a_late_heap bench_prints_a_line_per_size \
	bench_writes_json_and_errors

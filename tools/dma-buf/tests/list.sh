# SPDX-License-Identifier: GPL-2.0
# dmaheap list
# shellcheck shell=bash disable=SC2034,SC2154

list_shows_sizes_in_columns()
{
	dmaheap list
	is 0; quiet
	row "HEAP CACHED CONTIG PROT ALIGN MAX-ALLOC FALLBACK LIMIT BYTES BUFFERS PEAK PEAK-BUF \
CLEAN DIRTY FAILED"
	row "system|yes|no|no|4.0K 2.0G - max 3.0G 120 3.0G 150 64.0M 16.0M 15"
	row "secure|no|yes|yes|64.0K 32.0M system 32.0M 0 0 0 0 - - 0"
	# Columns are below each other
	[ "$(awk 'NR > 1 { print length($0) }' "$out" | sort -u | wc -l)" = 1 ] ||
		problem "not aligned"
	! grep -q ' $' "$out" || problem "blanks at the end"
}

list_shows_exact_sizes_of_one_heap()
{
	dmaheap list --bytes system
	is 0; quiet
	row "system|yes|no|no|4096 2147483648 - max 3221225472 120 3221225473 150 67108864 \
16777216 15"
	hides secure
}

list_writes_json()
{
	dmaheap list --json
	is 0; quiet; json
	query 'd["total_pools_kib"] == 96512'
	query '[h["name"] for h in d["heaps"]] == ["default_cma_region", "secure", "system"]'
	query 'd["heaps"][2]["cached"] is True and d["heaps"][2]["protected"] is False'
	query 'd["heaps"][2]["fallback"] is None and d["heaps"][1]["fallback"] == "system"'
	query 'd["heaps"][2]["heap_limit_bytes"] == "max"'
	query 'd["heaps"][2]["buffer_limit_bytes"] == 2147483648'
	query 'd["heaps"][2]["failures"] ==
		{"too_large": 1, "limit": 2, "memcg": 3, "nomem": 4, "killed": 5}'
	query 'd["heaps"][2]["pool"]["hits"] == 900'
	query 'd["heaps"][2]["pool"]["max_bytes"] == 134217728'
	query 'd["heaps"][1]["area"] == {"size_bytes": 33554432, "free_bytes": 16777216,
		"largest_free_bytes": 8388608}'
	query 'd["heaps"][1]["dma_bits"] == 36 and d["heaps"][1]["alias_of"] == "vault"'
	query 'd["heaps"][2]["alias_of"] is None and d["heaps"][1]["reserved"] is True'
	query 'd["heaps"][1]["fallbacks"] == 7 and d["heaps"][2]["fallbacks"] == 0'
	query '"area" not in d["heaps"][2]'
	query 'd["heaps"][1]["pool"]["hits"] is None'
}

list_refuses_unknown_heaps()
{
	dmaheap list nonsense system
	is 1
	says "there is no heap 'nonsense'"
	row "system|yes|no|no|4.0K 2.0G - max 3.0G 120 3.0G 150 64.0M 16.0M 15"
	dmaheap list --json nonsense
	is 1; json
	query 'd["heaps"] == []'
}

# Stock kernels have the directories alone, older ones only nodes
list_works_on_stock_kernels()
{
	rm -rf "$root"/sys/class/dma_heap/*/* "$root/sys/kernel/dma_heap"
	dmaheap list
	is 0; quiet
	row "system - - - - - - - - - - - - - -"
	dmaheap list --json
	json
	query 'd["total_pools_kib"] is None and d["heaps"][2]["cached"] is None'
	query 'd["heaps"][2]["bytes"] is None and d["heaps"][2]["failures"]["killed"] is None'
	rm -rf "$root/sys/class"
	dmaheap list
	is 0; quiet
	row "system - - - - - - - - - - - - - -"
}

list_says_that_there_are_no_heaps()
{
	rm -rf "${root:?}/sys/class" "${root:?}/dev"
	for command in "list" "list --json" "top -b -n1" "top --json -n1"; do
		# shellcheck disable=SC2086
		dmaheap $command
		is 1
		says "/sys/class/dma_heap: No such file or directory; needs a kernel with heaps"
		[ ! -s "$out" ] || problem "it shows something"
	done
	mkdir -p "$root/sys/class/dma_heap"
	dmaheap list
	is 0
	says "no heap"
	dmaheap list --json
	is 0; json
}

list_leaves_out_what_may_not_be_read()
{
	chmod 0 "$root/sys/class/dma_heap/system/bytes" "$root/sys/class/dma_heap/system/pool"
	nobody list
	is 0; quiet
	row "system|yes|no|no|4.0K 2.0G - max - 120 3.0G 150 - - 15"
	chmod 0 "$root/sys/class/dma_heap"
	nobody list
	is 1
	says "/sys/class/dma_heap: Permission denied; needs the right to read"
}

list_survives_garbage()
{
	local base=$root/sys/class/dma_heap/system

	echo x >"$base/bytes"
	echo -1 >"$base/buffers"
	: >"$base/peak_bytes"
	echo 99999999999999999999999 >"$base/peak_buffers"
	printf '12' >"$base/alignment"
	head -c 100000 /dev/zero >"$base/buffer_limit_bytes"
	rm "$base/cached"
	mkdir "$base/cached"
	echo '0x10' >"$base/pool/zeroed_bytes"
	dmaheap list
	is 0; quiet
	row "system|-|no|no|12 - - max - - - - - 16.0M 15"
}

# Everything a file name can hold
list_escapes_odd_names()
{
	local odd=$'a b\033[31m\t"\\\nc\303\244\377\342\200\256'

	heap "$odd" cached=1 "fallback=$odd"
	dmaheap list
	is 0; quiet
	! grep -q $'[\001-\011\013-\037\177-\377]' "$out" || problem "it shows controls"
	shows 'a b\033[31m\011"\'
	[ "$(wc -l <"$out")" = 5 ] || problem "lines are broken"
	LC_ALL=C.UTF-8 dmaheap list
	shows $'c\303\244\\377\\342\\200\\256'
	dmaheap list --json
	is 0; json
	query 'any(h["name"] == "a b\x1b[31m\t\"\\\nc\u00e4\ufffd\u202e" for h in d["heaps"])'
	dmaheap list "$odd"$'\033'
	is 1
	! grep -q $'\033' "$err" || problem "it complains in red"
}

tests list_shows_sizes_in_columns list_shows_exact_sizes_of_one_heap list_writes_json \
	list_refuses_unknown_heaps list_works_on_stock_kernels \
	list_says_that_there_are_no_heaps list_leaves_out_what_may_not_be_read \
	list_survives_garbage list_escapes_odd_names

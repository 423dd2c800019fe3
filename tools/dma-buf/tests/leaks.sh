# SPDX-License-Identifier: GPL-2.0
# dmaheap leaks
# shellcheck shell=bash disable=SC2034,SC2154

leaks_shows_old_unused_buffers()
{
	dmaheap leaks
	is 1; quiet
	row "HEAP SIZE AGE PID PROCESS COMM NAME INODE CGROUP"
	row "system 8.0M 2m00s 1234 lives camera - 78 /cam"
	tr -s ' ' <"$out" | grep -qFx 'system 64.0M 1m01s 999 gone a b\c name of\011it 79 /a b' ||
		problem "no line of the process that is gone"
	hides preview; hides kernel; hides default_cma
	row "2 of 6 buffers, 72.0M"
	[ "$(awk 'NR == 2 { print $2 }' "$out")" = 8.0M ] || problem "the oldest is not the first"
	dmaheap leaks --bytes
	row "2 of 6 buffers, 75497472"
}

leaks_compares_ages_exactly()
{
	dmaheap leaks --older 121; is 0; quiet
	row "none of 6 buffers"
	dmaheap leaks --older 120001ms; is 0
	# Of exactly that age, too
	dmaheap leaks --older 2m; is 1
	row "1 of 6 buffers, 8.0M"
	dmaheap leaks --older 119s; is 1
	row "1 of 6 buffers, 8.0M"
	dmaheap leaks --older 59999ms; is 1
	row "3 of 6 buffers, 73.0M"
	dmaheap leaks --older 60; is 1
	row "2 of 6 buffers, 72.0M"
	dmaheap leaks --older=1h; is 0
	dmaheap leaks -o 0; is 1
}

leaks_writes_json()
{
	dmaheap leaks --json
	is 1; quiet; json
	query 'd["older_ms"] == 60000 and len(d["buffers"]) == 2'
	query 'd["buffers"][0] == {"heap": "system", "size": 8388608, "age_ms": 120000,
		"pid": 1234, "alive": True, "comm": "camera", "name": None, "inode": 78,
		"cgroup": "/cam"}'
	query 'd["buffers"][1]["comm"] == "a b\\c" and d["buffers"][1]["name"] == "name of\tit"'
	query 'd["buffers"][1]["alive"] is False and d["buffers"][1]["cgroup"] == "/a b"'
	dmaheap leaks --json --older 1h
	is 0; json
	query 'd["buffers"] == []'
}

leaks_needs_the_list_of_buffers()
{
	rm "$(list_file)"
	dmaheap leaks
	is 3
	says "dma_heap_buffers: No such file or directory; needs debugfs"
	fresh
	chmod 0 "$(list_file)"
	nobody leaks
	is 3
	says "Permission denied; needs root"
	chmod 700 "$root/sys/kernel/debug"
	nobody leaks --json
	is 3
	says "Permission denied; needs root"
	: >"$(list_file)"
	dmaheap leaks
	is 3
	says "is not the list"
	echo "heap size" >"$(list_file)"
	dmaheap leaks
	is 3
	says "is not the list"
	rm "$(list_file)"
	mkdir "$(list_file)"
	dmaheap leaks
	is 3
	says "Is a directory"
}

leaks_counts_lines_without_sense()
{
	local columns="new size age_ms pid heap importers cpu cache inode comm name cgroup more"

	rm "$(list_file)"
	buffer x 4096 99999 1 other 0 - - 5 init - - y z
	buffer x 4096
	buffer x size 99999 1 other 0 - - 5 init - - y
	buffer x 4096 99999 -1 other 0 - - 5 init - - y
	printf 'x\t4096\t99999\t1\tother' >>"$(list_file)"
	dmaheap leaks
	is 1
	row "other 4.0K 1m39s 1 gone init - 5 -"
	row "1 of 1 buffers, 4.0K"
	says "4 lines of the list make no sense"
	rm "$(list_file)"
	columns="heap size age_ms pid importers cpu cache inode comm name cgroup"
	buffer system 4096 99999 1 0 - - 5 '\\134\377\03\400' 'x\1' 'z\'
	dmaheap leaks --json
	is 1; json; quiet
	query 'd["buffers"][0]["comm"] == "\\\\\ufffd\\03\\400"'
	query 'd["buffers"][0]["cgroup"] == "z\\"'
}

ten_thousand_buffers_are_summed()
{
	awk 'BEGIN {
		OFS = "\t"
		for (i = 0; i < 10000; i++)
			print "system", 4096, 70000 + i, i % 100, 0, "-", "-", i + 100, "comm",
				"-", "-"
	}' >>"$(list_file)"
	dmaheap leaks
	is 1; quiet
	row "10002 of 10006 buffers, 111.1M"
	dmaheap top -b -n1
	is 0; quiet
	grep -qE '^ +99 comm .* 400\.0K +100$' "$out" || problem "no sum"
}

tests leaks_shows_old_unused_buffers leaks_compares_ages_exactly leaks_writes_json \
	leaks_needs_the_list_of_buffers leaks_counts_lines_without_sense \
	ten_thousand_buffers_are_summed

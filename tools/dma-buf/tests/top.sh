# SPDX-License-Identifier: GPL-2.0
# dmaheap top
# shellcheck shell=bash disable=SC2034,SC2154

top_prints_tables_in_batch_mode()
{
	dmaheap top -b -n1
	is 0; quiet
	shows "3 heaps: 3.0G in 121 buffers, pools 94.2M"
	like '^system +#+\.+ +3\.0G +4\.0G +120 #+=*\.+ +64\.0M +16\.0M +-$' "system"
	like '^default_cma_r\S+ {10,}1\.0M +- +1 ' "CMA, without a bar"
	like '^secure +\.+ +0 +32\.0M +0 ' "secure"
	like '^ +1234 camera +#+ +2\.9G +3$' "the camera"
	like '^ +999 a b\\c +#\.+ +64\.0M +1$' "the one that is gone"
	like '^ +55 kernel +\.+ +8\.0K +2$' "the kernel"
	[ "$(grep -n 1234 "$out" | cut -d: -f1)" -lt "$(grep -n 999 "$out" | cut -d: -f1)" ] ||
		problem "the largest is not the first"
	! grep -q $'\033' "$out" || problem "it shows sequences"
	! grep -q '.\{101\}' "$out" || problem "too wide"
	dmaheap top -b -n2 -d0.1
	is 0
	[ "$(grep -c ^HEAP "$out")" = 2 ] || problem "not two tables"
}

top_computes_hit_rates_between_samples()
{
	local pool=$root/sys/class/dma_heap/system/pool

	FAKE_PAUSE="echo 930 >'$pool/hits'; echo 60 >'$pool/misses'" dmaheap top -j -n2
	is 0; quiet
	[ "$(wc -l <"$out")" = 2 ] || problem "not two lines"
	query_lines '[x["source"] for x in d] == ["debugfs"] * 2 and not d[0]["partial"]'
	query_lines 'd[0]["heaps"][2]["bytes"] == 3221225472'
	query_lines 'd[0]["heaps"][2]["hit_percent"] is None'
	query_lines 'd[1]["heaps"][2]["hit_percent"] == 75.0'
	query_lines 'd[1]["heaps"][0]["hit_percent"] is None'
	query_lines 'd[0]["processes"][0] ==
		{"pid": 1234, "comm": "camera", "bytes": 3155165184, "buffers": 3}'
}

top_falls_back_to_fdinfo()
{
	rm "$(list_file)"
	dmaheap top -b -n1
	is 0; quiet
	shows "by process: from /proc/*/fdinfo (debugfs: No such file or directory)"
	# The second descriptor of a buffer does not count
	like '^ +1234 camera .* 2\.9G +2$' "the camera"
	like '^ +55 gpu .* 2\.9G +1$' "the other one"
	dmaheap top --json -n1
	query_lines 'd[0]["source"] == "fdinfo"'
	query_lines '[p["buffers"] for p in d[0]["processes"]] == [2, 1]'
	fresh
	chmod 0 "$(list_file)" "$root/proc/55/fdinfo"
	nobody top -b -n1
	is 0; quiet
	shows "by process: from /proc/*/fdinfo, not of all processes (debugfs: Permission denied)"
	hides gpu
	chmod 0 "$root/proc"
	nobody top -b -n1
	is 0
	shows "no processes"
	nobody top -j -n1
	query_lines 'd[0]["source"] is None and d[0]["processes"] == []'
}

# A forged buffer name is no field of fdinfo
top_ignores_forged_fdinfo()
{
	local base=$root/proc/7/fdinfo

	rm "$(list_file)"
	process 7 forger 3 70 4096 no-heap 4 71 4096 system 5 72 4096 system 6 73 x system \
		7 74 4096 system
	printf 'name:\ta\nexp_name:\tsystem\n' >>"$base/3"
	printf 'name:\ta\nsize:\t0\nino:\t77\n' >>"$base/4"
	printf 'name:\ta\nsize:\t1099511627776\nexp_name:\tno-heap\n' >>"$base/5"
	# Good or bad, the first line of a kind is the one, even without a name
	printf 'size:\t1048576\n' >>"$base/6"
	printf 'size:\t1048576\nino:\t71\nexp_name:\tno-heap\n' >>"$base/7"
	dmaheap top -b -n1
	is 0; quiet
	like '^ +7 forger +\S+ +12\.0K +3$' "what the forger has"
}

# Files that go away, are cut short or are no files
top_survives_fdinfo_that_goes_away()
{
	rm "$(list_file)"
	process 7 odd 3 77 4096 system 4 78 4096 system 5 79 4096 system 6 80 4096 system
	rm "$root/proc/7/fdinfo/3" "$root/proc/7/fd/4" "$root/proc/7/comm"
	printf 'ino:\t79\nsize:' >"$root/proc/7/fdinfo/5"
	process 8 none
	rm -rf "$root/proc/8/fdinfo"
	: >"$root/proc/9"
	dmaheap top -b -n1
	is 0; quiet
	like '^ +7 +\.+ +4\.0K +1$' "the odd one"
}

# Before every single opening of a file or directory
top_survives_anything_that_goes_away()
{
	local number list paths

	paths="'$root/sys/class/dma_heap/system' '$root/proc/1234' '$(list_file)'"
	rm -rf "$root"/sys/class/dma_heap/{secure,default_cma_region}
	mv "$root" "$dir/whole"
	for list in list no-list; do
		for ((number = 1; ; number++)); do
			cp -a "$dir/whole" "$root"
			[ $list = list ] || rm "$(list_file)"
			FAKE_OPEN="$number rm -rf $paths; : >'$dir/gone'" dmaheap top -j -n1
			is 0; quiet
			cat "$out" >>"$dir/all"
			rm -rf "$root"
			rm "$dir/gone" 2>/dev/null || break
		done
		[ "$number" -gt 25 ] || problem "only $number openings with $list"
	done
	mv "$dir/all" "$out"
	query_lines 'all(len(x["heaps"]) < 2 for x in d) and any(x["processes"] for x in d)'
}

# size_of HEAP TEXT, and a bar or a lack of it
size_of()
{
	local bar=' +[#.]+'

	[ "$2" != - ] || bar=
	dmaheap top -b -n1
	is 0; quiet
	like "^$1$bar +[0-9.]+[KMG]? +$2 +[0-9]+ " "$1 of $2"
}

# The size of an area is not what somebody allows for one allocation
top_shows_the_size_of_areas()
{
	local base=$root/sys/class/dma_heap bytes

	for bytes in 4096 max 67108864; do
		echo $bytes >"$base/default_cma_region/buffer_limit_bytes"
		size_of 'default_cma_r\S+' -
	done
	mkdir "$base/default_cma_region/area"
	echo 16777216 >"$base/default_cma_region/area/size_bytes"
	for bytes in 4096 max; do
		echo $bytes >"$base/default_cma_region/buffer_limit_bytes"
		size_of 'default_cma_r\S+' 16.0M
	done
	echo 2097152 >"$base/default_cma_region/heap_limit_bytes"
	size_of 'default_cma_r\S+' 2.0M
	# In pieces, which are not contiguous
	heap camera-chunks contiguous=0 buffer_limit_bytes=max heap_limit_bytes=max \
		bytes=4096 buffers=1 area/size_bytes=8388608
	size_of camera-chunks 8.0M
	dmaheap list --json camera-chunks
	is 0; json
	query 'd["heaps"][0]["area"]["size_bytes"] == 8388608'
	echo max >"$base/default_cma_region/area/size_bytes"
	echo max >"$base/default_cma_region/heap_limit_bytes"
	size_of 'default_cma_r\S+' -
	size_of system 4.0G
}

top_needs_a_terminal()
{
	dmaheap top
	is 1
	says "no terminal to draw on; use --batch"
	[ ! -s "$out" ] || problem "it shows something"
}

top_escapes_odd_names()
{
	rm "$(list_file)"
	buffer system 4096 99999 1234 0 - - 77 $'\033[2J\377"' - -
	process 1234 x
	dmaheap top -b -n1
	is 0; quiet
	shows '\033[2J\377"'
	! grep -q $'\033' "$out" || problem "it shows sequences"
	dmaheap top -j -n1
	query_lines 'd[0]["processes"][0]["comm"] == "\x1b[2J\ufffd\""'
}

# in_terminal CASE of top.py
in_terminal()
{
	python3 "$here/top.py" "$1" "$DMAHEAP" "$root" >"$out" 2>"$err" </dev/null
	status=$?
	is 0
}

top_fits_more_heaps_than_lines()
{
	local i

	for i in $(seq 30); do
		heap "heap-$i-with-a-very-long-name-that-fits-nowhere" bytes=4096
		buffer system $((i * 4096)) 99999 "$((i + 5000))" 0 - - $i "comm$i" - -
	done
	in_terminal every_size_is_filled
}

tests top_prints_tables_in_batch_mode top_computes_hit_rates_between_samples \
	top_falls_back_to_fdinfo top_ignores_forged_fdinfo top_survives_fdinfo_that_goes_away \
	top_survives_anything_that_goes_away top_shows_the_size_of_areas top_needs_a_terminal \
	top_escapes_odd_names top_fits_more_heaps_than_lines

# The cases of top.py
while read -r name; do
	eval "top_terminal_$name() { in_terminal $name; }"
	tests "top_terminal_$name"
done < <(python3 "$here/top.py" --list)

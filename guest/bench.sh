#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# In the guest: does dmaheap-bench measure what it says? As little of each scenario as it
# can do; the figures mean nothing, the rows that it prints do.
BENCH=/bench/dmaheap-bench
COLUMNS="scenario,heap,size,threads,phase,samples,p50_ns,p99_ns,max_ns,wall_ns,caller_ns"
COLUMNS="$COLUMNS,scrubber_ns,scrubbed_bytes,paid_bytes,maintained_bytes,step,free_bytes"
COLUMNS="$COLUMNS,largest_bytes,failed"
csv=/tmp/bench.csv
number=0 failed=0

result()
{
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number $2"
	else
		echo "not ok $number $2"
		sed 's/^/# /' $csv
		failed=1
	fi
}

measure()
{
	$BENCH -c -p 1 -w 1 -n 3 "$@" >$csv 2>&1 && [ "$(head -n 1 $csv)" = "$COLUMNS" ]
}

# rows SCENARIO SIZE THREADS SAMPLES PHASE...: is there one row for each phase, in this
# order, and no other of the scenario, size and threads, with figures that can be true?
rows()
{
	what=$1,system,$2,$3 samples=$4
	shift 4
	awk -F, -v what="$what" -v samples="$samples" -v phases="$*" '
		NR > 1 && $1 "," $2 "," $3 "," $4 == what {
			seen = seen (seen ? " " : "") $5
			if ($6 != samples || $7 <= 0 || $7 > $8 || $8 > $9)
				bad = 1
		}
		END { exit bad || seen != phases }' $csv
}

# sum PHASE FIRST LAST: of these columns in all rows of the phase
sum()
{
	awk -F, -v phase="$1" -v first="$2" -v last="$3" '
		$5 == phase {
			for (i = first; i <= last; i++)
				total += $i
		}
		END { printf "%d\n", total }' $csv
}

life="alloc mmap touch munmap close cycle"
shared="attach map sync partial unmap detach"
echo "TAP version 13"
echo "1..10"
measure -S warm -s 4k,1m && rows warm 4096 1 3 $life && rows warm 1048576 1 3 $life
result $? warm_times_each_phase_of_a_buffer
[ "$(sum cycle 13 14)" -ge 1048576 ]
result $? warm_counts_the_bytes_that_were_zeroed
measure -S warm -s 4k -m && rows warm 4096 1 3 alloc close cycle
result $? warm_without_mapping_has_no_phases_of_it
measure -S burst -s 64k && rows burst 65536 1 8 alloc close cycle
result $? burst_allocates_eight_at_once
measure -S mix -o 20 && rows mix 0 1 20 alloc close cycle
result $? mix_times_every_step
# The scrubber first zeroes the buffers of the scenarios before
while [ "$(cat /sys/class/dma_heap/system/pool/unzeroed_bytes)" != 0 ]; do
	sleep 1
done
measure -S untouched -s 4k,1m && rows untouched 4096 1 30 alloc close cycle &&
	rows untouched 1048576 1 30 alloc close cycle && [ "$(sum cycle 13 14)" = 0 ]
result $? untouched_zeroes_nothing
measure -S browser -b 50 && [ "$(sum chunks 6 6)" -ge 40 ] &&
	[ "$(sum hit_permille 7 7)" -le 1000 ] && [ "$(sum cycle 6 6)" = 50 ]
result $? browser_counts_chunks_and_hits
measure -S rival -P 5 && rows alone 1048576 1 5 alloc close &&
	rows rival 1048576 1 5 alloc close
result $? rival_measures_with_and_without_it
measure -S dma -D 64k -i 1,2 && rows dma-written 65536 2 3 $shared &&
	[ "$(sum sync 15 15)" -gt 0 ]
result $? dma_counts_the_bytes_of_maintenance
! $BENCH -S nonsense >$csv 2>&1 && grep -q "bad scenario 'nonsense'" $csv
result $? unknown_scenario_is_refused
exit $failed

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Show that the check cannot be fooled: results with a hole, made up for the purpose,
# have to fail, and what the kernel complains of has to be seen. Prints KTAP.
. "$(dirname "$0")/lib.sh"

DIR=$OUT/harness
count=0
rm -rf "$DIR"
mkdir -p "$DIR"

result()
{
	count=$((count + 1))
	if [ "$1" = 0 ]; then
		echo "ok $count $2"
	else
		echo "not ok $count $2"
		sed 's/^/# /' "$DIR/said"
	fi
}

# What a run of part "x" leaves, one test skipped
good()
{
	cat <<-EOT
	## expect prog
	## expect kernel
	## step prog
	TAP version 13
	1..3
	ok 1 heap.system.opens
	ok 2 heap.cached.opens
	ok 3 heap.system.maps # SKIP no room for 64 bytes
	## exit prog 0 1.5
	## step kernel
	KTAP version 1
	1..1
	    KTAP version 1
	    1..2
	        ok 1 one
	        ok 2 two
	    ok 1 rows
	    ok 2 alone
	ok 1 suite
	## exit kernel 0 0.2
	EOT
}

# report_says STATUS NAME TEXT SED: with what SED makes of these results, the report
# gives STATUS and says TEXT
report_says()
{
	local rc=0

	good | sed "$4" >"$DIR/x.ktap"
	scripts/report --inventory "$DIR/inventory" "$DIR/x.ktap" >"$DIR/said" 2>&1 || rc=$?
	[ "$rc" = "$1" ] && grep -qF -- "$3" "$DIR/said"
	result $? "$2"
}

finds() { report_says 1 "report: $1" "$2" "$3"; }

report()
{
	good >"$DIR/x.ktap"
	printf '%s\n' "# a head" "make check: x" >"$DIR/inventory"
	scripts/report --inventory "$DIR/inventory" --update "$DIR/x.ktap" >"$DIR/said"
	report_says 0 "report: what is in the inventory passes" "5 passed, 0 failed, 1 skipped" ''
	report_says 0 "report: a number in a reason does not matter" "1 skipped" 's/64 bytes/8 bytes/'
	finds "a failed test" "not ok 2 heap.cached" 's/^ok 2 heap/not &/'
	report_says 0 "report: a step may begin again in the next kernel" "5 passed, 0 failed, 1 skipped" \
		's/^## step prog/&\n&/'
	finds "a step that began again in between" "3 results planned, 1 came" \
		's/^ok 2 heap.*/## step prog\nTAP version 13\n1..2\nok 1 heap.cached.opens/; s/^ok 3/ok 2/'
	finds "what a failed test said" "    prog.c:7:cached:Expected 1" \
		's/^ok 2 heap/# prog.c:7:cached:Expected 1 == 2\nnot &/'
	finds "what a failed script said" "    kbuild.sh: not what" \
		's/^ok 2 heap/# kbuild.sh: not what was wanted\nnot &/'
	finds "a test that is missing" "missing: heap.opens cached" '/cached/d; s/1\.\.3/1..2/; s/^ok 3/ok 2/'
	finds "a test nobody knows" "not in the inventory: heap.closes" 's/1\.\.3/1..4/; /^ok 3/a ok 4 heap.system.closes'
	finds "a suite that is missing" "prog: the whole suite is missing" '/prog/,/exit prog/d'
	finds "a value of a parameter that is missing" "missing: rows x2" '/ok 2 two/d'
	finds "a skip that is not allowed" "no skip is allowed: heap.opens cached" 's/^ok 2.*/& # SKIP why not/'
	finds "a skip for another reason" "no skip is allowed: heap.maps" 's/no room/no device/'
	report_says 0 "report: an allowed skip that does not happen is told" "x: prog: heap.maps system" 's/ # SKIP.*//'
	finds "a suite that is skipped as a whole" "no skip is allowed: (whole)" '/^ok [123] heap/d; s/1\.\.3/1..0 # SKIP no heap/'
	finds "XFAIL" "xfail: heap.cached.opens" 's/^ok 2 .*/& # XFAIL known/'
	finds "TODO" "todo: heap.cached.opens" 's/^ok 2 .*/not & # TODO later/'
	finds "XPASS" "heap.cached.opens # XPASS" 's/^ok 2 heap.*/& # XPASS/'
	finds "a plan that is not kept" "4 results planned, 3 came" 's/1\.\.3/1..4/'
	finds "a plan that is missing" "no plan" '/^1\.\.3/d'
	finds "a number that is missing" "came as number" '/^ok 2 heap/d'
	finds "a step that did not end" "did not end" '/exit kernel/,$d'
	finds "a step that did not begin" "did not end" '/step kernel/,$d'
	stopped='# stopped after 9 s\n#   7 (prog) D 1 1\n#     [<0>] io_schedule+0x1'
	finds "where a step was when its time was up" "stopped after 9 s in heap.cached.opens" \
		"s/^ok 2 heap/#  RUN           heap.cached.opens ...\n&/; s/^## exit prog 0/$stopped\n## exit prog 124/"
	finds "what held up a step" "prog: prog (D): io_schedule" "s/^## exit prog 0/$stopped\n## exit prog 124/"
	finds "a step that failed for no result" "exit status 1 of prog" 's/exit prog 0/exit prog 1/'
	finds "a suite that failed though all in it is well" "though all in it are ok" 's/^ok 1 suite/not &/'
	finds "a part that failed beside its results" "exit status 2 of boot" '$a ## status boot 2'
	finds "a part that has no results" "no result" d
	sed -i 's/^make check:.*/make check: y/' "$DIR/inventory"
	finds "a part that no target runs" "x: no target runs this part" ''
}

# says_splat WANTED LINE
says_splat()
{
	echo "[    1.234567] $2" >"$DIR/console"
	splats "$DIR/console" >"$DIR/said"
	[ "$(wc -l <"$DIR/said")" = "$1" ]
	result $? "splats: $([ "$1" = 1 ] && echo seen || echo harmless): $2"
}

kernel_log()
{
	says_splat 1 "BUG kmalloc-64 (Not tainted): Right Redzone overwritten"
	says_splat 1 "Call trace:"
	says_splat 1 "Call Trace:"
	says_splat 1 "sysfs: cannot create duplicate filename '/class/dma_heap/system'"
	says_splat 1 "kobject: kobject_add_internal failed for x with -EEXIST, don't try to register things with the same name in the same directory."
	says_splat 1 "debugfs: Directory 'system' with parent 'dma_heap' already present!"
	says_splat 1 "    not ok 3 a_case"
	says_splat 1 "DMA-API: device driver maps memory from kernel text"
	says_splat 0 "DMA-API: debugging enabled by kernel config"
	says_splat 0 "    ok 3 a_case"
}

# A race in FUNCTION, called by CALLER
race()
{
	cat <<-EOT
	[    1.5] ==================================================================
	[    1.5] BUG: KCSAN: data-race in $1 / worker_thread
	[    1.5]
	[    1.5] write to 0xffff000004f8c0a0 of 8 bytes by task 12 on cpu 0:
	[    1.5]  $1+0x24/0x80
	[    1.5]  $2+0x24/0x80
	[    1.5]  kthread+0x24/0x80
	[    1.5]
	[    1.5] read to 0xffff000004f8c0a0 of 8 bytes by task 13 on cpu 1:
	[    1.5]  worker_thread+0x24/0x80
	[    1.5] ==================================================================
	EOT
}

# says_race WANTED NAME FUNCTION CALLER
says_race()
{
	race "$3" "$4" >"$DIR/console"
	scripts/races.sh "$DIR/console" "$DIR/functions" >"$DIR/said"
	[ "$(grep -c data-race "$DIR/said")" = "$1" ]
	result $? "races: $2"
}

races()
{
	printf '%s\n' charge_current cma_heap_alloc >"$DIR/functions"
	says_race 1 "seen in a function of ours without a prefix" charge_current do_ioctl
	says_race 1 "seen in what a function of ours calls" __list_add cma_heap_alloc
	says_race 0 "not ours between two others" folio_add_lru do_fault
}

set +e
{
	report
	kernel_log
	races
} >"$DIR/results"
echo "TAP version 13"
echo "1..$(grep -cE '^(not )?ok' "$DIR/results")"
cat "$DIR/results"
! grep -q '^not ok' "$DIR/results"

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# dmaheap, of tools/dma-buf, on the files of a real kernel, and dmaheap-client, the
# sample of its library. They have to be in PATH, or named by DMAHEAP and CLIENT; NEED in
# the environment names what must not be lacking: tool, trace.
here=$(cd "$(dirname "$0")" && pwd)
dmaheap=${DMAHEAP:-dmaheap}
client=${CLIENT:-dmaheap-client}
dir=$(mktemp -d) || exit 1
out=$dir/out
err=$dir/err
heaps=/sys/class/dma_heap
list=/sys/kernel/debug/dma_heap_buffers
count=0
failed=0
holder=
mapper=
NEED=,${NEED:-},

clean_up()
{
	for pid in $holder $mapper; do
		kill "$pid" 2>/dev/null
	done
	rm -rf "$dir"
}
trap clean_up EXIT

# lacking WHAT MESSAGE: none of this, or, if it is needed, a failure
lacking()
{
	case $NEED in
	*,$1,*)
		echo "TAP version 13"
		echo "1..1"
		echo "not ok 1 $2"
		exit 1
		;;
	esac
	echo "TAP version 13"
	echo "1..0 # SKIP $2"
	exit 4
}

bad=
problem()
{
	bad="$bad# $*
"
}

run()
{
	"$dmaheap" "$@" >"$out" 2>"$err" </dev/null
	status=$?
}

is() { [ "$status" = "$1" ] || problem "exit status $status, not $1"; }
quiet() { [ ! -s "$err" ] || problem "it complains"; }
says() { grep -qF -- "$1" "$err" || problem "it does not complain '$1'"; }
shows() { grep -qF -- "$1" "$out" || problem "it does not show '$1'"; }
matches() { grep -qE -- "$1" "$out" || problem "no line like '$1'"; }
attr() { cat "$heaps/system/$1"; }

result()
{
	count=$((count + 1))
	if [ -z "$bad" ]; then
		echo "ok $count $1"
		return
	fi
	failed=1
	echo "not ok $count $1"
	printf '%s' "$bad"
	sed 's/^/# stdout: /' "$out" | head -n 20
	sed 's/^/# stderr: /' "$err" | head -n 20
	bad=
}

# wait_for COMMAND...: until it succeeds, for half a minute at most
wait_for()
{
	left=300
	until "$@" >/dev/null 2>&1; do
		left=$((left - 1))
		[ $left -gt 0 ] || return 1
		sleep 0.1
	done
}

# hold ARGUMENT...: have buffers allocated, whose inode is then in $inode
hold()
{
	: >"$dir/held"
	"$dmaheap" alloc --json --hold 1h "$@" >"$dir/held" 2>"$err" &
	holder=$!
	wait_for grep '^}' "$dir/held"
	inode=$(sed -n 's/.*"inode": \([0-9]*\).*/\1/p' "$dir/held" | head -n 1)
	[ -n "$inode" ] || problem "nothing is allocated: $(cat "$err")"
}

release()
{
	kill "$holder"
	wait "$holder" 2>/dev/null
	holder=
}

# The sum of all numbers in a directory
sum_of() { cat "$1"/* | awk '{ sum += $1 } END { print sum + 0 }'; }

# The tool shows what sysfs has; the scrubber may run between the two readings
list_says_what_sysfs_says()
{
	run list --bytes system
	tail -n 1 "$out" | {
		read -r name cached contig prot align max fallback limit bytes buffers peak \
			peak_buffers clean dirty failures
		[ "$name" = system ] && [ "$cached$contig$prot" = yesnono ] &&
			[ "$fallback" = - ] && [ "$align" = "$(attr alignment)" ] &&
			[ "$max" = "$(attr buffer_limit_bytes)" ] &&
			[ "$limit" = "$(attr heap_limit_bytes)" ] &&
			[ "$bytes" = "$(attr bytes)" ] && [ "$bytes" -ge 10485760 ] &&
			[ "$buffers" = "$(attr buffers)" ] && [ "$peak" = "$(attr peak_bytes)" ] &&
			[ "$peak_buffers" = "$(attr peak_buffers)" ] &&
			[ "$clean" = "$(attr pool/zeroed_bytes)" ] &&
			[ "$dirty" = "$(attr pool/unzeroed_bytes)" ] &&
			[ "$failures" = "$(sum_of "$heaps/system/failures")" ]
	}
}

list_is_true()
{
	hold system 5m -n 2
	wait_for list_says_what_sysfs_says || problem "it is not what sysfs says"
	is 0
	quiet
	release
	result "list says what sysfs says"
}

list_has_all()
{
	for heap in "$heaps"/*; do
		run list "${heap##*/}"
		is 0
		quiet
		! grep -q '^[^ ]* *-  *-' "$out" || problem "facts of $heap are not known"
	done
	run list --json
	is 0
	[ "$(grep -c '"name":' "$out")" = "$(ls "$heaps" | wc -l)" ] || problem "not all heaps"
	[ "$(sed -n 's/.*"total_pools_kib": \([0-9]*\),/\1/p' "$out")" -ge 0 ] ||
		problem "nothing of the pools"
	result "list has all heaps and their facts"
}

# finds_leak INODE: among the buffers that nobody has used for a while
finds_leak()
{
	run leaks --older 500ms
	grep -q " $1 " "$out"
}

leak_is_found()
{
	hold system 12k --name 'a b\c'
	wait_for finds_leak "$inode" || problem "it finds no leak"
	is 1
	quiet
	matches "^system +12\.0K +[0-9.]+s +$holder +lives +dmaheap +a b.c +$inode +[/-]"
	run leaks --older 500ms --json
	shows '"name": "a b\\c"'
	shows "\"inode\": $inode"
	shows '"alive": true'
	run leaks --older 1h
	is 0
	release
	run leaks --older 0
	! grep -q " $inode " "$out" || problem "it shows a buffer that is gone"
	result "leaks finds a buffer that nobody uses"
}

# When a younger one is found that nobody uses
used_is_no_leak()
{
	hold system 12k --mmap
	mapped=$inode
	mapper=$holder
	hold system 12k
	wait_for finds_leak "$inode" || problem "it does not find the younger one"
	! grep -q " $mapped " "$out" || problem "a mapped buffer is taken for a leak"
	grep -q "	$mapped	" "$list" || problem "the buffer is not in the list"
	release
	holder=$mapper
	release
	mapper=
	result "leaks does not find a buffer that is mapped"
}

failure_is_told()
{
	before=$(attr failures/too_large)
	run alloc system $(($(attr buffer_limit_bytes) + 4096))
	is 1
	says "allocation: Cannot allocate memory"
	[ "$(attr failures/too_large)" = $((before + 1)) ] || problem "it is not counted"
	run list --json system
	shows "\"too_large\": $((before + 1))"
	run alloc nonsense 4k
	is 1
	says "/dev/dma_heap/nonsense: No such file or directory"
	result "alloc says what went wrong"
}

used_memory()
{
	run alloc --mmap --fill system 3m -n 2
	is 0
	quiet
	[ "$(grep -cE ' 3\.0M( +[0-9]+\.[0-9]){3}$' "$out")" = 2 ] || problem "not two buffers"
	run bench -n 5 -s 4k,1m system
	is 0
	quiet
	matches '^1\.0M +5( +[0-9]+\.[0-9]){4}$'
	result "alloc and bench use memory and say how much"
}

# Its owner has 20 MiB, in the list and in what it has open
top_has_owner()
{
	hold system 10m -n 2
	run top --batch --iterations 1
	is 0
	quiet
	matches '^system .*M .*G +[0-9]+ '
	matches "^ +$holder dmaheap +#+\.* +20\.0M +2\$"
	# The same without debugfs
	mkdir -p "$dir/root/sys/class"
	ln -s "$heaps" "$dir/root/sys/class/"
	ln -s /proc /dev "$dir/root/"
	"$dmaheap" --root "$dir/root" top --batch --iterations 1 >"$out" 2>"$err"
	status=$?
	is 0
	quiet
	shows "from /proc/*/fdinfo"
	matches "^ +$holder dmaheap +#+\.* +20\.0M +2\$"
	run top --json --iterations 2 --delay 0.5
	process="\"pid\": $holder, \"comm\": \"dmaheap\", \"bytes\": 20971520, \"buffers\": 2}"
	[ "$(grep -c "^{\"time\": .*$process" "$out")" = 2 ] ||
		problem "not two lines of JSON"
	release
	result "top shows the owner of buffers with their size"
}

top_in_terminal()
{
	enter=$(printf '\033[?1049h')
	leave=$(printf '\033[?1049l')

	TERM=linux "$here/heap_terminal" 24 80 3 q "$dmaheap" top -d 0.5 >"$out" 2>"$err"
	status=$?
	is 0
	quiet
	shows "$enter"
	tail -n 1 "$out" | grep -qF "$leave" || problem "it does not leave the screen"
	[ "$(grep -c "$(printf '\033\[H')" "$out")" -ge 3 ] || problem "it is not drawn anew"
	shows HIT%
	# An interrupt by key ends it by signal
	TERM=linux "$here/heap_terminal" 24 80 1 "$(printf '\003')" "$dmaheap" top \
		>"$out" 2>"$err"
	status=$?
	is 130
	tail -n 1 "$out" | grep -qF "$leave" || problem "it does not leave the screen"
	result "top draws, and leaves the terminal as it was"
}

# It allocates by need, syncs a part and has the buffer charged to itself, twice over. A
# failure of any of these ends it.
client_works()
{
	"$client" >"$out" 2>"$err" </dev/null
	status=$?
	is 0
	quiet
	shows "client: heap system, which the kernel says is cached: yes"
	shows "client: 1920 x 1080 from system, the first pixel is 0x80, "
	shows "charged to the receiver: yes"
	run trace --bytes -e sync "$client"
	is 0
	quiet
	matches "sync: .* begin dir=from_device offset=0 len=7680 "
	result "the sample client shares a picture with another process"
}

no_instance()
{
	[ -z "$(find "$tracing/instances" -name 'dmaheap-*')" ] || problem "an instance is left"
}

trace_of_command()
{
	run trace --bytes -e alloc,free "$dmaheap" alloc --json system 12288
	is 0
	quiet
	inode=$(sed -n 's/.*"inode": \([0-9]*\).*/\1/p' "$out")
	matches " (dmaheap|<[.]{3}>): alloc: heap=system size=12288 inode=$inode\$"
	matches "free: heap=system size=12288 inode=$inode\$"
	! grep -q pool "$out" || problem "it shows other events"
	no_instance
	run trace --json sh -c "'$dmaheap' alloc system 12k >/dev/null; exit 7"
	is 7
	matches '^\{"time": [0-9.]+, "cpu": [0-9]+, "comm": "[^"]+", "pid": [0-9]+, '
	matches ', "event": "alloc", "heap": "system", "size": 12288, "inode": [0-9]+\}$'
	matches '"event": "pool_(hit|miss)", "pool": "'
	no_instance
	run trace -e nonsense true
	is 1
	says "no event 'dma_heap_nonsense'"
	no_instance
	result "trace shows what a command allocates"
}

# Have a trace that has begun, whose process is then in $tracer
begin_trace()
{
	rm -f "$dir/begun" "$dir/events"
	"$dmaheap" trace -o "$dir/events" sh -c "echo \$\$ >'$dir/begun'; exec sleep 100" &
	tracer=$!
	wait_for test -s "$dir/begun" || problem "the command does not begin"
	[ -d "$tracing/instances/dmaheap-$tracer" ] || problem "no instance"
}

# Whatever ends it, and when it had no chance to, the next one
trace_cleans_up()
{
	# Not SIGINT, which the shell lets its background processes ignore
	for signal in TERM HUP; do
		begin_trace
		"$dmaheap" alloc system 4k >/dev/null
		wait_for grep 'alloc: heap=system' "$dir/events" ||
			problem "no events before $signal"
		kill -$signal $tracer
		wait $tracer
		no_instance
	done
	begin_trace
	kill -KILL $tracer
	wait $tracer 2>/dev/null
	# It could not end its command
	kill "$(cat "$dir/begun")" || problem "the command has ended"
	[ -n "$(find "$tracing/instances" -name 'dmaheap-*')" ] ||
		problem "no instance of the killed one"
	run trace true
	is 0
	no_instance
	result "trace leaves no instance, however it ends"
}

"$dmaheap" --version >"$out" 2>/dev/null || lacking tool "there is no dmaheap"
command -v "$client" >/dev/null || lacking tool "there is no dmaheap-client"
[ -e "$heaps/system/bytes" ] || lacking tool "the heap has no attributes"
[ -r "$list" ] || lacking tool "there is no list of buffers"
mount -t tracefs none /sys/kernel/tracing 2>/dev/null
tracing=/sys/kernel/tracing
[ -d "$tracing/events/dma_heap" ] || lacking trace "there are no trace events"

echo "TAP version 13"
echo "1..11"
list_is_true
list_has_all
leak_is_found
used_is_no_leak
failure_is_told
used_memory
top_has_owner
top_in_terminal
client_works
trace_of_command
trace_cleans_up
exit $failed

# SPDX-License-Identifier: GPL-2.0
# dmaheap trace
# shellcheck shell=bash disable=SC2034,SC2154

tracing=sys/kernel/tracing
no_instance() { [ -z "$(ls "$root/$tracing/instances")" ] || problem "an instance is left"; }

trace_prints_events_and_cleans_up()
{
	dmaheap trace true
	is 0; quiet; no_instance
	row "1234.567890 [1] 1234 camera: alloc: heap=system size=8.0M inode=77"
	row "0.000001 [0] 77 a-1 [0] x: y: z: alloc_fail: heap=12 size=4.0K reason=charge"
	row "2.500000 [11] 9 <...>: map: inode=7 dev=a device size=12.0K dir=both maintained=0"
	row "3.500000 [11] 9 <...>: pool_hit: pool=system size=4.0K dirty"
	row "4.500000 [11] 9 <...>: sync: inode=7 begin dir=both offset=0 len=1 maintained=64"
	row "CPU:1 [LOST 3 EVENTS]"
	[ "$(cat "$root/$tracing/last/events/dma_heap/enable")" = 1 ] || problem "not all are on"
	[ "$(cat "$root/$tracing/last/events/enable")" = 0 ] || problem "they are not turned off"
	[ "$(cat "$root/$tracing/last/buffer_percent")" = 0 ] || problem "it waits for more"
	dmaheap trace -b -o "$dir/events" -- sh -c 'echo said; exit 7'
	is 7; quiet
	[ "$(cat "$out")" = said ] || problem "what the command said is not alone"
	grep -q 'size=8388608 inode=77' "$dir/events" || problem "the events are not in the file"
	dmaheap trace sh -c 'kill -9 $$'
	is 137; no_instance
}

trace_writes_json()
{
	process 9 'late one'
	dmaheap trace --json true
	is 0; quiet
	query_lines 'd[0] == {"time": 1234.567890, "cpu": 1, "comm": "camera", "pid": 1234,
		"event": "alloc", "heap": "system", "size": 8388608, "inode": 77}'
	query_lines 'd[1]["comm"] == "a-1 [0] x: y: z"'
	query_lines 'd[1]["heap"] == "12" and d[1]["reason"] == "charge"'
	query_lines 'd[2]["comm"] == "late one"'
	query_lines 'd[2]["dev"] == "a device" and d[2]["maintained"] == 0'
	query_lines 'd[3]["size"] == 4096 and d[3]["dirty"] is True'
	query_lines 'd[4]["begin"] is True and d[4]["dir"] == "both"'
	query_lines 'd[5] == {"text": "CPU:1 [LOST 3 EVENTS]"}'
}

trace_enables_only_events_asked_for()
{
	local last=$tracing/last/events/dma_heap event

	dmaheap trace -e alloc,dma_heap_free true
	is 0; quiet
	for event in $events; do
		case $event in alloc | free) status=1 ;; *) status=0 ;; esac
		[ "$(cat "$root/$last/dma_heap_$event/enable")" = $status ] ||
			problem "$event is not $status"
	done
	dmaheap trace -e alloc,nonsense true
	is 1; no_instance
	says "this kernel has no event 'dma_heap_nonsense'"
	rm -rf "$root/$tracing/template/events/dma_heap"
	dmaheap trace true
	is 1; no_instance
	says "no events of heaps"
}

trace_survives_odd_lines()
{
	local pipe=$root/$tracing/template/trace_pipe i=0

	printf '%s\n' x '' - "                -" "0123456789abcdef+1 [0] 1.2: x: y=1" >"$pipe"
	printf '%16s-%s\n' a '' b 1 c '1 [' d '1 [0' e '1 [0] ' f '1 [0] 1.2: ' g '1 [0] 1.2: x' \
		h '1 [0] 1.2: x:' i '1 [0] 1.2: x: ' j '1 [0] 1.2: x: y' k '1 [0] 1.2: x: y=' \
		l '1 [0] 1.2: x: =' m '1 [0] 1.2: x: ==' n '1 [0] 1.2: x: a=b =c d' >>"$pipe"
	printf '\0\033[2J\377\n%0100000d\nno end' 0 >>"$pipe"
	dmaheap trace true
	is 0; quiet
	! grep -q $'\033' "$out" || problem "it shows sequences"
	dmaheap trace -j true
	is 0; quiet
	query_lines 'len(d) == 21 and d[4] == {"text": "0123456789abcdef+1 [0] 1.2: x: y=1"}'
	query_lines 'd[13] == {"time": 1.2, "cpu": 0, "comm": "i", "pid": 1, "event": "x"}'
}

trace_leaves_no_instance_on_errors()
{
	dmaheap trace /nonsense/command
	is 127; no_instance
	says "/nonsense/command: No such file or directory"
	dmaheap trace "$here"
	is 126; no_instance
	# Also if the message goes nowhere
	"$DMAHEAP" --root "$root" trace /nonsense/command >"$out" 2>/dev/full
	status=$?
	is 127; no_instance
	dmaheap trace -o /nonsense/file true
	is 1; no_instance
	mkdir "$root/$tracing/instances/dmaheap-99999999" "$root/$tracing/instances/dmaheap-$$" \
		"$root/$tracing/instances/mine"
	dmaheap trace true
	is 0
	[ "$(ls "$root/$tracing/instances" | tr '\n' ' ')" = "dmaheap-$$ mine " ] ||
		problem "wrong instances are left: $(ls "$root/$tracing/instances")"
	# One that had the same number before
	bash -c 'mkdir "$1/dmaheap-$$" && exec "${@:2}"' - "$root/$tracing/instances" \
		"$DMAHEAP" --root "$root" trace true >"$out" 2>"$err"
	status=$?
	is 0; quiet
	shows camera
	[ "$(ls "$root/$tracing/instances" | tr '\n' ' ')" = "dmaheap-$$ mine " ] ||
		problem "its own instance is left"
	chmod 700 "$root/$tracing"
	nobody trace true
	is 1
	says "/sys/kernel/tracing: Permission denied; needs root"
	rm -rf "${root:?}/$tracing"
	dmaheap trace true
	is 1
	says "/sys/kernel/tracing: No such file or directory; needs tracefs"
}

# In the background, but not deaf to Ctrl-C as what is there
interruptible()
{
	exec python3 -c 'import os, signal, sys
for number in (signal.SIGINT, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' "$DMAHEAP" --root "$root" "$@"
}

# The way a person ends it, and less friendly ones
trace_ends_on_signals_and_broken_output()
{
	local signal

	for signal in INT TERM HUP QUIT; do
		: >"$out"
		interruptible trace >"$out" 2>"$err" &
		until_true lines "$out" 6
		kill -$signal $!
		ends $!
		is 0; quiet; no_instance
	done
	: >"$out"
	interruptible trace sleep 1000 >"$out" 2>"$err" &
	until_true lines "$out" 6
	kill $!
	ends $!
	no_instance
	# A reader that has enough
	timeout 60 "$DMAHEAP" --root "$root" trace sleep 1000 2>"$err" | head -n 1 >"$out"
	[ "${PIPESTATUS[0]}" != 124 ] || problem "it does not notice that nobody reads"
	shows camera
	no_instance
	"$DMAHEAP" --root "$root" trace true >/dev/full 2>"$err"
	status=$?
	is 1; no_instance
	says "No space left"
}

# More than is taken at a time must be there when the command has ended
trace_prints_all_that_is_recorded()
{
	for i in $(seq 6000); do
		line camera 1234 001 "1.$i" "alloc: heap=system size=4096 inode=$i"
	done >"$root/$tracing/template/trace_pipe"
	dmaheap trace true
	is 0; quiet; no_instance
	[ "$(wc -l <"$out")" = 6000 ] || problem "$(wc -l <"$out") events, not 6000"
}

# flood [stubborn]: events that come faster than they can be shown (fake.c sees to it),
# until they are turned off, or even then
flood()
{
	local instances=$root/$tracing/instances
	local template=$root/$tracing/template/trace_pipe

	rm -f "$template" "$dir/events"
	mkfifo "$template" "$dir/events"
	(
		until pipe=$(ls "$instances"/*/trace_pipe) && [ -p "$pipe" ]; do
			[ -d "$instances" ] || exit
			sleep 0.02
		done
		yes "$(line camera 1234 001 1.5 "alloc: heap=system size=4096 inode=7")" >"$pipe" &
		while [ -p "$pipe" ]; do
			[ $# = 0 ] && turned_off && break
			sleep 0.02
		done
		kill $!
	) 2>/dev/null &
	feeder=$!
	# What comes out of it is counted, in blocks
	: >"$dir/blocks"
	while head -c 65536 | grep -q camera; do
		echo block >>"$dir/blocks"
	done <"$dir/events" &
	reader=$!
}

turned_off() { [ "$(cat "$root/$tracing"/instances/*/events/enable 2>/dev/null)" = 0 ]; }

# Some events are shown, and there is no end to them
flooded() { until_true lines "$dir/blocks" $((${1:-0} + 3)); }

# Without its instance, which may have been left, there is nothing to be fed
dry()
{
	rm -rf "${root:?}/$tracing/instances"
	wait $feeder $reader
	rm "$dir/events"
	mkdir "$root/$tracing/instances"
}

trace_ends_while_events_flood()
{
	local signal feeder reader

	for signal in INT TERM; do
		flood
		interruptible trace >"$dir/events" 2>"$err" &
		flooded
		kill -$signal $!
		ends $!
		is 0; quiet; no_instance
		dry
	done
	# The command ends, once there are events
	flood
	"$DMAHEAP" --root "$root" trace -o "$dir/events" \
		sh -c 'until [ -s "$0" ]; do sleep 0.02; done; exit 7' "$dir/blocks" \
		>"$out" 2>"$err" </dev/null &
	ends $!
	is 7; quiet; no_instance
	dry
	# The reader ends
	flood
	timeout 60 "$DMAHEAP" --root "$root" trace sleep 1000 2>"$err" |
		tee "$dir/events" | head -n 1 >"$out"
	[ "${PIPESTATUS[0]}" = 1 ] || problem "it does not notice that nobody reads"
	shows camera
	no_instance
	dry
}

# A second signal skips the events that are still recorded
trace_ends_when_asked_twice()
{
	local shown feeder reader

	flood stubborn
	interruptible trace >"$dir/events" 2>"$err" &
	flooded
	kill -INT $!
	until_true turned_off
	# Now it prints what has been recorded, and does not come to an end
	shown=$(wc -l <"$dir/blocks")
	flooded "$shown"
	! gone $! || problem "it does not print what has been recorded"
	kill -INT $!
	ends $!
	is 0; quiet; no_instance
	dry
	# Where events cannot be stopped, one signal is enough
	rm "$root/$tracing/template/events/enable"
	flood stubborn
	interruptible trace >"$dir/events" 2>"$err" &
	flooded
	kill -TERM $!
	ends $!
	is 0; quiet; no_instance
	dry
}

tests trace_prints_events_and_cleans_up trace_writes_json \
	trace_enables_only_events_asked_for trace_survives_odd_lines \
	trace_leaves_no_instance_on_errors trace_ends_on_signals_and_broken_output \
	trace_prints_all_that_is_recorded trace_ends_while_events_flood \
	trace_ends_when_asked_twice

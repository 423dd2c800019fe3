#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Run parts of the check and sum up: check.sh PART...; which there are: see the Makefile.
# A worker at low priority builds the kernels of the guests, in their order, and then
# runs the parts that need no guest. Beside it one guest runs, and two of them once it
# has ended. One failing part does not stop the rest.
# Exit 0: all passed; 1: a test or splat failed; 2: a part could not be run.
. "$(dirname "$0")/lib.sh"
. scripts/parts.sh

LINE="[check] ----"
INVENTORY=scripts/check.inventory

# One program whose exit status is its whole result
alone()
{
	local name=$1
	shift

	limited "$@" 2>&1 | tee "$LOG/$name.log"
}

ktap() { limited "${@:2}" | tee "$RESULTS/$1.ktap"; }

run_part()
{
	case $1 in
	lint) ktap lint scripts/lint.sh ;;
	tools) ktap tools tools/dma-buf/tests/run.sh ;;
	harness) ktap harness scripts/harness-test.sh ;;
	deps) ktap deps scripts/deps-test.sh ;;
	arches) ktap arches scripts/arches.sh ;;
	randconfig) ktap randconfig scripts/randconfig.sh ;;
	series) alone series scripts/series.py --build ;;
	n) scripts/kbuild.sh n ;;
	kunit-uml) scripts/kunit.sh ;;
	demo) scripts/demo.sh ;;
	fuzz) scripts/fuzz.sh ;;
	*) build_part "$1" && boot_part "$1" "$1" "guest/steps/$1" ;;
	esac
}

# A part that leaves no results of its own is one result, with what it said
record()
{
	local ktap=$RESULTS/$1.ktap

	if [ ! -s "$ktap" ]; then
		{
			printf 'TAP version 13\n1..1\n'
			[ ! -e "$LOG/$1.out" ] || tail -n 5 "$LOG/$1.out" | sed 's/^/# /'
			echo "$([ "$2" = 0 ] && echo ok || echo not ok) 1 $1"
		} >"$ktap"
	elif [ "$2" != 0 ]; then
		echo "## status $1 $2" >>"$ktap"
	fi
	echo "## seconds $3" >>"$ktap"
}

one_part()
{
	local rc=0 start=$SECONDS

	echo "$LINE $1"
	(run_part "$1") || rc=$?
	record "$1" "$rc" $((SECONDS - start))
	echo "$LINE $1: $((SECONDS - start)) s"
	echo $rc >"$LOG/$1.rc"
}

# A build that fails here fails again, and is told, in its part
beside()
{
	local kernel part

	for part in "${guests[@]}"; do
		kernel_of "$part"
	done | awk '!seen[$0]++' | while read -r kernel; do
		scripts/kbuild.sh "$kernel" </dev/null || :
	done
	for part in "${others[@]}"; do
		one_part "$part" >"$LOG/$part.out" 2>&1
	done
}

# start COMMAND...: in a process group of its own, to be ended as a whole; its pid in pid
start()
{
	set -m
	"$@" </dev/null &
	pid=$!
	set +m
}

stop()
{
	local one

	for one in $worker "${!running[@]}"; do
		kill -- -"$one" 2>/dev/null || :
	done
}

# Not on a terminal: two of them may run at once
start_guest()
{
	start one_part "$1" > >(cat) 2>&1
	running[$pid]=$1
}

reap()
{
	local one

	for one in "${!running[@]}"; do
		kill -0 "$one" 2>/dev/null || unset "running[$one]"
	done
	[ -z "$worker" ] || kill -0 "$worker" 2>/dev/null || worker=
}

# Ctrl-C ends all of it, not one part
declare -A running=()
worker=
trap 'exit 130' INT TERM
trap stop EXIT

guests=() others=() files=()
rm -f "$RESULTS/status" "$RESULTS/summary"
for part in "$@"; do
	rm -f "$RESULTS/$part.ktap" "$LOG/$part".{rc,out}
	files+=("$RESULTS/$part.ktap")
	if [ -n "$(kernel_of "$part")" ]; then
		guests+=("$part")
	else
		others+=("$part")
	fi
done
start beside >"$LOG/beside.log" 2>&1
worker=$pid
[ ${#guests[@]} = 0 ] || renice -n 10 -g "$worker" >/dev/null

waiting=("${guests[@]}") told=()
while [ -n "$worker" ] || [ ${#waiting[@]} -gt 0 ] || [ ${#running[@]} -gt 0 ]; do
	slots=$([ -n "$worker" ] && echo 1 || echo 2)
	while [ ${#waiting[@]} -gt 0 ] && [ ${#running[@]} -lt "$slots" ]; do
		start_guest "${waiting[0]}"
		waiting=("${waiting[@]:1}")
	done
	sleep 0.5
	reap
	# What the worker has said, a part at a time
	for part in "${others[@]}"; do
		[ -e "$LOG/$part.rc" ] && [[ " ${told[*]} " != *" $part "* ]] || continue
		cat "$LOG/$part.out"
		told+=("$part")
	done
done

worst=0
for part in "$@"; do
	rc=$(cat "$LOG/$part.rc" 2>/dev/null) || rc=2
	[ "$rc" -lt 2 ] || worst=2
done
echo "$LINE results, $SECONDS s"
rc=0
scripts/report --inventory "$INVENTORY" "${files[@]}" | tee "$RESULTS/report" || rc=1
[ $worst -eq 0 ] || rc=$worst
tail -n 1 "$RESULTS/report" >"$RESULTS/summary"
echo $rc >"$RESULTS/status"
exit $rc

#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Test dmaheap on this machine: files in a directory stand in for sysfs, debugfs,
# tracefs and /proc, descriptors of anonymous memory for buffers. KTAP; the exit
# status is 1 if a test failed. ONLY=text: those with the text in their names.
set -u
export LC_ALL=C PYTHONDONTWRITEBYTECODE=1
here=$(cd "$(dirname "$0")" && pwd)
dir=$(mktemp -d)
# A child that is killed before it is a program of its own has this trap as well
trap '[ $BASHPID != $$ ] || rm -rf "$dir"' EXIT
trap 'exit 130' INT TERM
chmod 755 "$dir"
root=$dir/root
out=$dir/out err=$dir/err
failed=0 count=0

unset MAKEFLAGS MFLAGS MAKELEVEL
CC=${CC:-gcc}
sanitizers=-fsanitize=address,undefined
echo 'int main(void) { return 0; }' >"$dir/probe.c"
$CC $sanitizers -o "$dir/probe" "$dir/probe.c" 2>/dev/null || sanitizers=
cflags="-g -O1 -Werror $sanitizers"
[ -z "$sanitizers" ] || cflags+=" -fno-sanitize-recover=all"

build()
{
	local wrap=-Wl,--wrap=ioctl,--wrap=mkdir,--wrap=rmdir,--wrap=read

	mkdir "$dir/build" &&
		$CC $cflags -Wall -Wextra -c -o "$dir/fake.o" "$here/fake.c" &&
		make -s -C "$here/.." -j"$(nproc)" CC="$CC" OUTPUT="$dir/build/" \
			CFLAGS="$cflags" LDFLAGS="$wrap $dir/fake.o" "$dir/build/dmaheap"
}

DMAHEAP=$dir/build/dmaheap
if ! build >"$dir/log" 2>&1; then
	sed 's/^/# /' "$dir/log"
	echo "Bail out! dmaheap does not build"
	exit 1
fi

# heap NAME FILE=VALUE...
heap()
{
	local base=$root/sys/class/dma_heap/$1 pair

	mkdir -p "$base" "$root/dev/dma_heap"
	: >"$root/dev/dma_heap/$1"
	for pair in "${@:2}"; do
		mkdir -p "$(dirname "$base/${pair%%=*}")"
		printf '%s\n' "${pair#*=}" >"$base/${pair%%=*}"
	done
}

# process PID COMM [FD INODE SIZE HEAP]...
process()
{
	local base=$root/proc/$1

	mkdir -p "$base/fd" "$base/fdinfo"
	printf '%s\n' "$2" >"$base/comm"
	shift 2
	while [ $# -ge 4 ]; do
		ln -sf "/dmabuf:" "$base/fd/$1"
		printf '%s:\t%s\n' pos 0 flags 02000002 mnt_id 9 ino "$2" size "$3" count 1 \
			exp_name "$4" >"$base/fdinfo/$1"
		shift 4
	done
}

columns="heap size age_ms pid importers cpu cache inode comm name cgroup"
list_file() { echo "$root/sys/kernel/debug/dma_heap_buffers"; }

# buffer COLUMN...: a line of the list, in which printf finds its escapes
buffer()
{
	local IFS=$'\t'

	mkdir -p "$root/sys/kernel/debug"
	[ -e "$(list_file)" ] || { echo "${columns// /$'\t'}" >"$(list_file)"; }
	printf '%s\n' "$*" >>"$(list_file)"
}

events="alloc alloc_fail free pool_hit pool_miss scrub shrink decay map sync"

# line COMM PID CPU TIME EVENT, as in trace_pipe
line() { printf '%16s-%-7s [%s] d..1. %12s: dma_heap_%s\n' "$@"; }

tracefs()
{
	local tracing=$root/sys/kernel/tracing event

	mkdir -p "$tracing/instances" "$tracing/template/events/dma_heap"
	for event in $events; do
		mkdir "$tracing/template/events/dma_heap/dma_heap_$event"
		echo 0 >"$tracing/template/events/dma_heap/dma_heap_$event/enable"
	done
	echo 0 >"$tracing/template/events/dma_heap/enable"
	echo 1 >"$tracing/template/events/enable"
	echo 5 >"$tracing/template/buffer_percent"
	{
		line camera 1234 001 1234.567890 "alloc: heap=system size=8388608 inode=77"
		line "a-1 [0] x: y: z" 77 000 0.000001 "alloc_fail: heap=12 size=4096 reason=charge"
		line "<...>" 9 011 2.500000 \
			"map: inode=7 dev=a device size=12288 dir=both maintained=0"
		line "<...>" 9 011 3.500000 "pool_hit: pool=system size=4096 dirty"
		line "<...>" 9 011 4.500000 \
			"sync: inode=7 begin dir=both offset=0 len=1 maintained=64"
		echo "CPU:1 [LOST 3 EVENTS]"
	} >"$tracing/template/trace_pipe"
}

fresh()
{
	chmod -R u+rwx "$root" 2>/dev/null
	rm -rf "$root"
	mkdir -p "$root/proc" "$root/sys/class/dma_heap" "$root/sys/kernel/dma_heap"
	echo "MemTotal:        4194304 kB" >"$root/proc/meminfo"
	echo 96512 >"$root/sys/kernel/dma_heap/total_pools_kb"
	heap system cached=1 contiguous=0 protected=0 alignment=4096 max_alloc=2147483648 \
		max_bytes=max fallback= bytes=3221225472 buffers=120 peak_bytes=3221225473 \
		peak_buffers=150 failures/too_large=1 failures/ceiling=2 failures/charge=3 \
		failures/memory=4 failures/killed=5 pool/clean_bytes=67108864 \
		pool/dirty_bytes=16777216 pool/hits=900 pool/dirty_hits=50 pool/misses=50 \
		pool/scrubbed_bytes=123456789 pool/max_kib=131072 pool/decay_ms=1000
	heap default_cma_region cached=1 contiguous=1 protected=0 alignment=4096 \
		max_alloc=67108864 max_bytes=max fallback= bytes=1048576 buffers=1 \
		peak_bytes=1048576 peak_buffers=1 failures/too_large=0 failures/ceiling=0 \
		failures/charge=0 failures/memory=0 failures/killed=0 pool/clean_bytes=0 \
		pool/dirty_bytes=0 pool/hits=0 pool/dirty_hits=0 pool/misses=1
	heap secure cached=0 contiguous=1 protected=1 alignment=65536 max_alloc=33554432 \
		max_bytes=33554432 fallback=system bytes=0 buffers=0 peak_bytes=0 \
		peak_buffers=0 failures/too_large=0 carveout/size_kib=32768 \
		carveout/free_kib=32768 carveout/fallbacks=7
	buffer system 3145728000 3600123 1234 2 m d 77 camera preview /cam
	buffer system 8388608 120000 1234 0 - - 78 camera - /cam
	buffer 's\171stem' 67108864 61000 999 0 - ds 79 'a\040b\134c' 'name\040of\011it' '/a\040b'
	buffer default_cma_region 1048576 59999 1234 0 - u 80 camera - -
	buffer system 4096 3600000 55 0 v - 81 kernel - -
	buffer system 4096 3600000 55 1 - - 82 kernel - -
	process 1234 camera 3 77 3145728000 system 4 78 8388608 system 5 78 8388608 system
	process 55 gpu 3 77 3145728000 system 9 99 4096 no-heap
	tracefs
}

# Run dmaheap; what it said is in $out and $err, its exit status in $status
dmaheap()
{
	timeout 60 "$DMAHEAP" --root "$root" "$@" >"$out" 2>"$err" </dev/null
	status=$?
}

# As somebody who may not read everything, if we are not somebody like that
nobody()
{
	if [ "$(id -u)" = 0 ]; then
		setpriv --reuid=65534 --regid=65534 --clear-groups \
			"$DMAHEAP" --root "$root" "$@" >"$out" 2>"$err" </dev/null
		status=$?
	else
		dmaheap "$@"
	fi
}

bad=
problem() { bad+="$*"$'\n'; }
is() { [ "$status" = "$1" ] || problem "exit status $status, not $1"; }
quiet() { [ ! -s "$err" ] || problem "it complains"; }
says() { grep -qF -- "$1" "$err" || problem "it does not complain '$1'"; }
shows() { grep -qF -- "$1" "$out" || problem "it does not show '$1'"; }
hides() { ! grep -qF -- "$1" "$out" || problem "it shows '$1'"; }
# A line of which the number of blanks does not matter; they can be written as |
row()
{
	tr -s ' ' <"$out" | sed 's/^ //; s/ /|/g' | grep -qFx -- "${1// /|}" ||
		problem "no line '$1'"
}

# like REGEX WHAT
like() { grep -qE -- "$1" "$out" || problem "no line of $2"; }
json() { python3 -m json.tool <"$out" >"$dir/json" 2>&1 || problem "no JSON: $(cat "$dir/json")"; }
# query EXPRESSION of the document d
query()
{
	python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
sys.exit(not ('"$1"'))' "$out" 2>>"$err" || problem "not true: $1"
}
# The same for lines, in a list
query_lines()
{
	python3 -c 'import json, sys
d = [json.loads(line) for line in open(sys.argv[1])]
sys.exit(not ('"$1"'))' "$out" 2>>"$err" || problem "not true: $1"
}

# t NAME COMMAND...: a test is a function
t()
{
	local name=$1
	shift

	[[ $name == *${ONLY:-}* ]] || return 0
	bad=
	fresh
	: >"$out"; : >"$err"
	"$@"
	! grep -q -e 'ERROR: .*Sanitizer' -e 'runtime error' "$err" || problem "a sanitizer objects"
	count=$((count + 1))
	if [ -z "$bad" ]; then
		echo "ok $count $name"
		return
	fi
	failed=1
	echo "not ok $count $name"
	{
		printf '%s' "$bad"
		echo "stdout:"
		head -n 30 "$out"
		echo "stderr:"
		head -n 30 "$err"
	} | cut -c1-200 | sed 's/^/# /'
}

# ---- arguments

refuses()
{
	dmaheap "$@"
	is 2
	says "Usage: dmaheap"
	[ ! -s "$out" ] || problem "it shows something"
}

bad_arguments()
{
	local command

	refuses
	refuses nonsense
	refuses ''
	refuses --nonsense
	refuses --root
	for command in list top leaks alloc bench trace; do
		refuses $command --nonsense
		refuses $command -Z
		refuses $command --json=3
	done
	for command in "--older" "--older=" "--older=x" "--older=-1" "--older=1y" "--older=1ss" \
		"--older= 1" "--older=+1" "--older=99999999999999999999" \
		"--older=18446744073709551615d" surplus; do
		refuses leaks "$command"
	done
	for command in -n0 -n-1 -nx -n -d0 -d0.05 -dx -d -d-1 -d1e3 -d1..2 -d100000 -dnan \
		surplus; do
		refuses top "$command"
	done
	refuses alloc
	refuses alloc system
	refuses alloc system 4k surplus
	for command in 0 -1 x 4x 4kk 1.5m '' ' 4' +4 0k 99999999999999999999 18446744073709551615 \
		16777216t; do
		refuses alloc system -- "$command"
	done
	for command in -n0 -nx -n-1 -n1000001 --hold=x --hold=-1 --hold=; do
		refuses alloc system 4k "$command"
	done
	for command in -n0 -nx -n1000001 -p-1 -p60001 -px -s -s0 "-s4k," "-s,4k" "-s4k,,8k" -sx \
		surplus; do
		refuses bench system "$command"
	done
	refuses bench -s "$(seq -s, 1 33)"
	for command in -e '-e ' "-e," "-ealloc," "-e,alloc" "-ealloc,,free" -e../x; do
		[ "$command" = '-e ' ] && refuses trace -e '' && continue
		refuses trace "$command"
	done
}

help_texts()
{
	local command

	dmaheap --help
	is 0; quiet
	for command in list top leaks alloc bench trace; do
		shows "  $command "
	done
	dmaheap --version
	is 0; quiet
	row "$(cat "$out")"
	shows "dmaheap "
	for command in list top leaks alloc bench trace; do
		dmaheap $command --help
		is 0; quiet
		shows "Usage: dmaheap $command "
		dmaheap $command -h
		is 0
	done
}

full_device()
{
	local command

	for command in --help list "list --json" leaks "leaks --json" "top -bn1" "top -jn1" \
		"alloc system 4k" "bench -n1 -p0"; do
		# shellcheck disable=SC2086
		"$DMAHEAP" --root "$root" $command >/dev/full 2>"$err" </dev/null
		status=$?
		[ "$status" != 0 ] || problem "$command is content with a full device"
		case $command in top*) ;; *) says "No space left" ;; esac
	done
}

# ---- list

list_table()
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

list_bytes()
{
	dmaheap list --bytes system
	is 0; quiet
	row "system|yes|no|no|4096 2147483648 - max 3221225472 120 3221225473 150 67108864 \
16777216 15"
	hides secure
}

list_json()
{
	dmaheap list --json
	is 0; quiet; json
	query 'd["total_pools_kib"] == 96512'
	query '[h["name"] for h in d["heaps"]] == ["default_cma_region", "secure", "system"]'
	query 'd["heaps"][2]["cached"] is True and d["heaps"][2]["protected"] is False'
	query 'd["heaps"][2]["fallback"] is None and d["heaps"][1]["fallback"] == "system"'
	query 'd["heaps"][2]["max_bytes"] == "max" and d["heaps"][2]["max_alloc"] == 2147483648'
	query 'd["heaps"][2]["failures"] ==
		{"too_large": 1, "ceiling": 2, "charge": 3, "memory": 4, "killed": 5}'
	query 'd["heaps"][2]["pool"]["hits"] == 900 and d["heaps"][2]["pool"]["max_kib"] == 131072'
	query 'd["heaps"][1]["carveout"] == {"size_kib": 32768, "free_kib": 32768, "fallbacks": 7}'
	query '"carveout" not in d["heaps"][2] and "cma" not in d["heaps"][2]'
	query 'd["heaps"][1]["pool"]["hits"] is None'
}

list_names()
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
list_stock()
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

list_missing()
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

list_unreadable()
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

list_garbage()
{
	local base=$root/sys/class/dma_heap/system

	echo x >"$base/bytes"
	echo -1 >"$base/buffers"
	: >"$base/peak_bytes"
	echo 99999999999999999999999 >"$base/peak_buffers"
	printf '12' >"$base/alignment"
	head -c 100000 /dev/zero >"$base/max_alloc"
	rm "$base/cached"
	mkdir "$base/cached"
	echo '0x10' >"$base/pool/clean_bytes"
	dmaheap list
	is 0; quiet
	row "system|-|no|no|12 - - max - - - - - 16.0M 15"
}

# Everything a file name can hold
list_odd_names()
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

# ---- leaks

leaks_table()
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

leaks_ages()
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

leaks_json()
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

leaks_missing()
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

leaks_lines()
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

many_buffers()
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

# ---- top

top_batch()
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

top_json()
{
	(until [ -s "$out" ]; do sleep 0.05; done
		echo 930 >"$root/sys/class/dma_heap/system/pool/hits"
		echo 60 >"$root/sys/class/dma_heap/system/pool/misses") &
	dmaheap top -j -n2 -d2
	wait
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

top_fdinfo()
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

# What somebody calls a buffer is no line of the kernel's
fdinfo_forged()
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
fdinfo_races()
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

disappearing()
{
	(for _ in $(seq 40); do
		rm -rf "$root/sys/class/dma_heap/system" "$root/proc/1234" "$(list_file)"
		heap system bytes=4096 2>/dev/null
		process 1234 camera 3 77 4096 system
		buffer system 4096 99999 1234 0 - - 77 camera - -
	done) &
	dmaheap top -j -d0.1 -n10
	wait
	is 0; quiet
	query_lines 'len(d) == 10'
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
top_areas()
{
	local base=$root/sys/class/dma_heap bytes

	for bytes in 4096 max 67108864; do
		echo $bytes >"$base/default_cma_region/max_alloc"
		size_of 'default_cma_r\S+' -
	done
	mkdir "$base/default_cma_region/cma"
	echo 16384 >"$base/default_cma_region/cma/size_kib"
	for bytes in 4096 max; do
		echo $bytes >"$base/default_cma_region/max_alloc"
		size_of 'default_cma_r\S+' 16.0M
	done
	echo 2097152 >"$base/default_cma_region/max_bytes"
	size_of 'default_cma_r\S+' 2.0M
	# In pieces, which are not contiguous
	heap camera-chunks contiguous=0 max_alloc=max max_bytes=max bytes=4096 buffers=1 \
		cma/size_kib=8192
	size_of camera-chunks 8.0M
	dmaheap list --json camera-chunks
	is 0; json
	query 'd["heaps"][0]["cma"] == {"size_kib": 8192}'
	echo 18446744073709551000 >"$base/default_cma_region/cma/size_kib"
	echo max >"$base/default_cma_region/max_bytes"
	size_of 'default_cma_r\S+' -
	size_of system 4.0G
}

top_no_terminal()
{
	dmaheap top
	is 1
	says "no terminal to draw on; use --batch"
	[ ! -s "$out" ] || problem "it shows something"
}

top_odd_names()
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

top_terminal()
{
	python3 "$here/top.py" "$1" "$DMAHEAP" "$root" >"$out" 2>"$err" </dev/null
	status=$?
	is 0
}

top_many()
{
	local i

	for i in $(seq 30); do
		heap "heap-$i-with-a-very-long-name-that-fits-nowhere" bytes=4096
		buffer system $((i * 4096)) 99999 "$((i + 5000))" 0 - - $i "comm$i" - -
	done
	top_terminal resize
}

# ---- alloc and bench

alloc_table()
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

alloc_json()
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

alloc_errors()
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
	says "name: Invalid argument"
	dmaheap alloc system 100g --mmap --json || :
	json
	(ulimit -n 20; "$DMAHEAP" --root "$root" alloc system 4k -n 100 >"$out" 2>"$err")
	status=$?
	is 1
	says "of 100"
}

alloc_hold()
{
	local start=$EPOCHREALTIME

	dmaheap alloc system 4k --hold 700ms
	is 0
	[ $((${EPOCHREALTIME/./} - ${start/./})) -ge 700000 ] ||
		problem "it does not wait"
	: >"$out"
	"$DMAHEAP" --root "$root" alloc system 4k --hold 1h >"$out" 2>"$err" &
	for _ in $(seq 100); do
		[ ! -s "$out" ] || break
		sleep 0.1
	done
	shows INODE
	kill $!
	wait $! 2>/dev/null
}

bench_table()
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

bench_json()
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

# ---- trace

tracing=sys/kernel/tracing
no_instance() { [ -z "$(ls "$root/$tracing/instances")" ] || problem "an instance is left"; }

trace_text()
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

trace_json()
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

trace_events()
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

trace_odd()
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

trace_missing()
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
trace_ends()
{
	local signal pid

	for signal in INT TERM HUP QUIT; do
		: >"$out"
		interruptible trace >"$out" 2>"$err" &
		pid=$!
		for _ in $(seq 100); do
			[ "$(wc -l <"$out")" -lt 6 ] || break
			sleep 0.1
		done
		kill -$signal $pid
		wait $pid
		status=$?
		is 0; quiet; no_instance
	done
	"$DMAHEAP" --root "$root" trace sleep 1000 >"$out" 2>"$err" &
	pid=$!
	sleep 0.5
	kill $pid
	wait $pid
	no_instance
	# A reader that has enough
	timeout 20 "$DMAHEAP" --root "$root" trace sleep 1000 2>"$err" | head -n 1 >"$out"
	[ "${PIPESTATUS[0]}" != 124 ] || problem "it does not notice that nobody reads"
	shows camera
	no_instance
	"$DMAHEAP" --root "$root" trace true >/dev/full 2>"$err"
	status=$?
	is 1; no_instance
	says "No space left"
}

# More than is taken at a time must be there when the command has ended
trace_drained()
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

	rm -f "$template" "$dir/flood"
	mkfifo "$template"
	(
		until pipe=$(ls "$instances"/*/trace_pipe) && [ -p "$pipe" ]; do
			[ -d "$instances" ] || exit
			sleep 0.05
		done
		yes "$(line camera 1234 001 1.5 "alloc: heap=system size=4096 inode=7")" >"$pipe" &
		: >"$dir/flood"
		while [ -p "$pipe" ]; do
			[ $# = 0 ] && [ "$(cat "${pipe%/*}/events/enable")" = 0 ] && break
			sleep 0.05
		done
		kill $!
	) 2>/dev/null &
	feeder=$!
}

# Without its instance, which may have been left, there is nothing to be fed
dry()
{
	rm -rf "${root:?}/$tracing/instances"
	wait $feeder
	mkdir "$root/$tracing/instances"
}

# ends PID: soon, and not by force
ends()
{
	for _ in $(seq 100); do
		kill -0 "$1" 2>/dev/null || break
		sleep 0.1
	done
	! kill -KILL "$1" 2>/dev/null || problem "it does not end"
	wait "$1" 2>/dev/null
	status=$?
}

# Until it has events to show
flooded()
{
	for _ in $(seq 100); do
		[ ! -e "$dir/flood" ] || break
		sleep 0.1
	done
	sleep 0.5
}

trace_flood()
{
	local signal pid feeder

	for signal in INT TERM; do
		flood
		interruptible trace >/dev/null 2>"$err" &
		pid=$!
		flooded
		kill -$signal $pid
		ends $pid
		is 0; quiet; no_instance
		dry
	done
	flood
	timeout -k 1 20 "$DMAHEAP" --root "$root" trace -o /dev/null sh -c 'sleep 1; exit 7' \
		>"$out" 2>"$err" </dev/null
	status=$?
	is 7; quiet; no_instance
	dry
	flood
	timeout -k 1 20 "$DMAHEAP" --root "$root" trace sleep 1000 2>"$err" | head -n 1 >"$out"
	[ "${PIPESTATUS[0]}" = 1 ] || problem "it does not notice that nobody reads"
	shows camera
	no_instance
	dry
}

# Who does not want to see what has been recorded asks again
trace_stubborn()
{
	local pid feeder

	flood stubborn
	interruptible trace >/dev/null 2>"$err" &
	pid=$!
	flooded
	kill -INT $pid
	sleep 1
	kill -0 $pid 2>/dev/null || problem "it does not print what has been recorded"
	kill -INT $pid
	ends $pid
	is 0; quiet; no_instance
	dry
	# Where events cannot be stopped nobody has to
	rm "$root/$tracing/template/events/enable"
	flood stubborn
	interruptible trace >/dev/null 2>"$err" &
	pid=$!
	flooded
	kill -TERM $pid
	ends $pid
	is 0; quiet; no_instance
	dry
}

# ---- who may allocate

# hands_out HEAP, as udev takes the pattern: alternatives, each of them one of a shell
hands_out()
{
	local pattern one

	pattern=$(sed -n 's/^SUBSYSTEM=="dma_heap", KERNEL=="\([^"]*\)",.*/\1/p' \
		"$here/../60-dma-heap.rules")
	[ -n "$pattern" ] || problem "no rule"
	while IFS= read -r one; do
		# shellcheck disable=SC2053
		[[ $1 != $one ]] || return 0
	done <<<"${pattern//|/$'\n'}"
	return 1
}

udev_rules()
{
	local name

	for name in system system-uncached; do
		hands_out $name || problem "not $name"
	done
	# What no cgroup bounds
	for name in system-dma32 system-uncached-dma32 system-camera systems system- reserved \
		default_cma_region secure ""; do
		! hands_out "$name" || problem "$name"
	done
	! command -v udevadm >/dev/null || ! udevadm verify --help >/dev/null 2>&1 ||
		udevadm verify "$here/../60-dma-heap.rules" >"$out" 2>"$err" ||
		problem "udev does not understand it"
}

# ---- the manual

manual()
{
	local option

	man --warnings -l "$here/../dmaheap.8" >"$out" 2>"$err" </dev/null
	status=$?
	is 0; quiet
	for command in list top leaks alloc bench trace; do
		"$DMAHEAP" $command --help | grep -o -e '--[a-z]*' | sort -u |
		while read -r option; do
			grep -q -e "${option//-/\\\\-}" "$here/../dmaheap.8" ||
				echo "$command $option"
		done
	done >"$dir/missing"
	[ ! -s "$dir/missing" ] || problem "not in the manual: $(cat "$dir/missing")"
}

terminal_cases=$(python3 "$here/top.py" --list)
echo "TAP version 13"
echo "1..$((45 + $(echo "$terminal_cases" | wc -l)))"
t "bad arguments" bad_arguments
t "help" help_texts
t "full device" full_device
t "list: table" list_table
t "list: exact sizes of one heap" list_bytes
t "list: JSON" list_json
t "list: names" list_names
t "list: other kernels" list_stock
t "list: no heaps" list_missing
t "list: not for us to read" list_unreadable
t "list: garbage in files" list_garbage
t "list: odd names" list_odd_names
t "leaks: table" leaks_table
t "leaks: ages" leaks_ages
t "leaks: JSON" leaks_json
t "leaks: no list" leaks_missing
t "leaks: odd lines" leaks_lines
t "10000 buffers" many_buffers
t "top: batch" top_batch
t "top: JSON" top_json
t "top: fdinfo" top_fdinfo
t "top: fdinfo that is forged" fdinfo_forged
t "top: fdinfo that goes away" fdinfo_races
t "top: heaps, processes and the list that go away" disappearing
t "top: areas" top_areas
t "top: no terminal" top_no_terminal
t "top: odd names" top_odd_names
for case in $terminal_cases; do
	t "top: terminal: $case" top_terminal "$case"
done
t "top: terminal: more than fits" top_many
t "alloc: table" alloc_table
t "alloc: JSON" alloc_json
t "alloc: errors" alloc_errors
t "alloc: hold" alloc_hold
t "bench: table" bench_table
t "bench: JSON" bench_json
t "trace: text" trace_text
t "trace: JSON" trace_json
t "trace: events" trace_events
t "trace: odd lines" trace_odd
t "trace: missing things" trace_missing
t "trace: ends" trace_ends
t "trace: all that is recorded" trace_drained
t "trace: ends under load" trace_flood
t "trace: asked again" trace_stubborn
t "udev: rules" udev_rules
t "manual" manual
exit $failed

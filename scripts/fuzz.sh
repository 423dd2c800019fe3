#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Fuzz the heaps in a guest, see guest/fuzz: fuzz.sh [build]. TIME: for how many seconds.
# INPUT=file: run the inputs in that file again and again instead, one a line. After a
# finding, the last inputs are in build/fuzz. After a run without one, the corpus is.
. "$(dirname "$0")/lib.sh"
. scripts/parts.sh

TIME=${TIME:-150} INPUT=${INPUT:-}
sources=tools/testing/selftests/dmabuf-heaps
dir=$ROOT/build/fuzz
file=$LOG/fuzz/file

# Only the kernel is to tell what code runs, so none of this is instrumented
build()
{
	local source

	kmake "$OUT/fuzz" headers || return
	for source in guest/complaints.c guest/fuzz/*.c $sources/heap_{buf,cgroup,device,file,importer,list,pattern,process}.c; do
		limited clang -std=gnu11 -O2 -Wall -Werror -D_GNU_SOURCE= \
			-I "$OUT/fuzz/usr/include" -I "$TREE/$sources" -I guest \
			-c -o "$OUT/fuzz-program/$(basename "$source" .c).o" "$source" || return
	done
	# Not -fsanitize=fuzzer: that adds functions that a static program cannot have
	limited clang++ -static -pthread -o "$OUT/fuzz-program/heap_fuzz" "$OUT"/fuzz-program/*.o \
		"$(clang -print-file-name=libclang_rt.fuzzer-x86_64.a)"
}

# The step of the part, with the time or the input that was asked for
steps()
{
	if [ -n "$INPUT" ]; then
		cp "$INPUT" "$OUT/fuzz-program/corpus"
		echo "fuzz $((TIME + 120)) /fuzz/heap_fuzz --repeat=$TIME"
	else
		cp guest/fuzz/corpus "$OUT/fuzz-program/corpus"
		sed "s/^fuzz [0-9]*/fuzz $((TIME + 300))/; s/-max_total_time=[0-9]*/-max_total_time=$TIME/" \
			guest/steps/fuzz
	fi >"$LOG/fuzz.steps"
}

inputs() { sed -n "s/^$1 //p" "$file"; }

# functions: for each function of ours, how many of its places were seen, and how many it has
functions()
{
	objdump -d --no-show-raw-insn "$OUT/fuzz/vmlinux" | awk '
		FNR == NR { seen[$1] = 1; next }
		/^[0-9a-f]+ <.*>:$/ { name = substr($2, 2, length($2) - 3) }
		after { sub(/:$/, "", $1); n[name]++; hit[name] += $1 in seen; after = 0 }
		/call.*<__sanitizer_cov_trace_pc>/ { after = 1 }
		END { for (name in n) print name, hit[name] "/" n[name] }' <(inputs place) - | sort
}

# $1: exit status of the run
keep()
{
	local count

	mkdir -p "$dir"
	[ -s "$file" ] || return 0
	if [ "$1" != 0 ]; then
		inputs input | tail -n 1 >"$dir/input"
		inputs input | tail -n 200 >"$dir/inputs"
		echo "[fuzz] the last input: make fuzz INPUT=build/fuzz/input; the last 200: build/fuzz/inputs" >&2
	elif [ -z "$INPUT" ]; then
		inputs new | sort -u >"$dir/corpus"
		count=$(wc -l <"$dir/corpus")
		say fuzz "build/fuzz/corpus: $count inputs, $(wc -c <"$dir/corpus") bytes"
		functions >"$dir/functions"
	fi
}

use_arch fuzz
[ "$(uname -m)" = x86_64 ] || die "libFuzzer's library is that of this machine, and the guest is x86-64"
scripts/kbuild.sh fuzz || exit 2
mkdir -p "$OUT/fuzz-program"
build >"$LOG/fuzz-program.log" 2>&1 || {
	first_errors "$LOG/fuzz-program.log" >&2
	die "the fuzzer does not build; log $LOG/fuzz-program.log"
}
[ "${1:-}" != build ] || exit 0
steps
rc=0
boot_part fuzz fuzz "$LOG/fuzz.steps" || rc=$?
grep -E '^# (executions|execution )' "$RESULTS/fuzz.ktap" | sed 's/^#/[fuzz]/' || :
keep $rc
exit $rc

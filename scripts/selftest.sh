#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Run one selftest program alone, in the machine of a part of the check, and print what it
# prints: selftest.sh NAME [PART] (without NAME: list them). Without PART it is the first
# one in which, by the inventory, the fewest of its tests are skipped. HEAP and NEED are
# those that the part has for it, unless they are in the environment. TEST=name: this test
# alone. LONG=1: programs that know a longer run make it. TIME, SEED, WORKERS: of
# dmabuf-heap-soak. STEP_LIMIT: seconds for it.
# Where KUnit is, in part kunit-arm64, NAME can be the module of a suite, too.
. "$(dirname "$0")/lib.sh"
. scripts/parts.sh

INVENTORY=scripts/check.inventory
name=${1:-} part=${2:-}

parts_of()
{
	awk -v name="$1" '
		/^[^\t#]/ { on = $0 == name; next }
		!on { next }
		/^\t[^\t:]+: / { sub(/:$/, "", $1); if (!($1 in skips)) { skips[$1] = 0; order[++n] = $1 } }
		/^\tskip / { skips[$2]++ }
		END { for (i = 1; i <= n; i++) print skips[order[i]], order[i] }' "$INVENTORY" |
		sort -s -n -k1,1 | cut -d' ' -f2
}

if [ -z "$name" ]; then
	echo "give one of these as T=name:" >&2
	grep -E '^dmabuf-heap' "$INVENTORY" | sed 's/^/  /' >&2
	exit 2
fi
[ -n "$part" ] || part=$(parts_of "$name" | head -n 1)
# A program that is new is in no inventory yet
[ -n "$part" ] || part=y
[ -n "$(kernel_of "$part")" ] || die "no machine of a part '$part'"

# What the part gives to the program, or to all of them
assignments=
line=$(grep -E "(^| |/)$name( |$)" "guest/steps/$part" || grep -F run_kselftest "guest/steps/$part" || :)
for variable in HEAP NEED TIME SEED WORKERS; do
	if [ -n "${!variable:-}" ]; then
		assignments+="$variable='${!variable}' "
	else
		assignments+="$(grep -oE "\b$variable=(\"[^\"]*\"|[^ ]*)" <<<"$line" | head -n 1 || :) "
	fi
done

build_part "$part"
limit=${STEP_LIMIT:-1800}
steps=$LOG/selftest.steps
case $(kernel_of "$part"):$name in
arm:* | riscv:* | x86:*) echo "$name $limit /selftests/dmabuf-heaps/$name ${TEST:+-t $TEST}" >"$steps" ;;
*:*_kunit) echo "$name $limit /guest/kunit.sh $name" >"$steps" ;;
*)
	echo "$name $limit cd /selftests/dmabuf-heaps && $assignments${LONG:+LONG=$LONG }./$name${TEST:+ -t $TEST}" >"$steps"
	;;
esac
say selftest "$name in the machine of part $part: $(sed 's/.*&& //' "$steps")"
rc=0
boot_part "$part" selftest "$steps" || rc=$?
sed '/^## /d' "$RESULTS/selftest.ktap"
echo
scripts/report "$RESULTS/selftest.ktap" || [ $rc -ne 0 ] || rc=1
exit $rc

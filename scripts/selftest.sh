#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Run one selftest program alone in the guest and print what it prints:
# selftest.sh NAME (without NAME: list them). LONG=1: those that know a longer run make it.
. "$(dirname "$0")/lib.sh"

name=${1:-}
list=$OUT/selftests/install/kselftest-list.txt

if ! grep -qxF "dmabuf-heaps:$name" "$list"; then
	echo "no selftest '$name'; give one of these as T=name:" >&2
	sed 's/.*:/  /' "$list" >&2
	exit 2
fi
echo "$name 900 cd /selftests/dmabuf-heaps && ${LONG:+LONG=$LONG }./$name" >"$LOG/selftest.steps"
rc=0
scripts/guest.sh selftest y "$LOG/selftest.steps" || rc=$?
sed '/^## /d' "$RESULTS/selftest.ktap"
echo
scripts/report "$RESULTS/selftest.ktap" || [ $rc -ne 0 ] || rc=1
exit $rc

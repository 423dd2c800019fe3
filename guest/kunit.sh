#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# In the guest: load the KUnit suites that are modules, if any, or only that of the module
# $1, then print the results of all suites there are, as one stream.
RESULTS=/sys/kernel/debug/kunit

for module in $(find /lib/modules -name "${1:-*_kunit}.ko" 2>/dev/null | sort); do
	modprobe "$(basename "$module" .ko)" || exit 1
done

set -- "$RESULTS"/*/results
echo "KTAP version 1"
echo "1..$#"
number=0
for file; do
	number=$((number + 1))
	sed -e '/^KTAP version/d' -e '/^1\.\./d' \
		-e "s/^ok 1 /ok $number /" -e "s/^not ok 1 /not ok $number /" "$file"
done

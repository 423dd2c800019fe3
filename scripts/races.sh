#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Print the reports of KCSAN in a kernel log in which our code is at work: races.sh LOG
# FUNCTIONS. FUNCTIONS is a file with the names of all functions that our objects define:
# "races.sh --functions DIR" prints it for the objects in DIR. The kernel has races of its
# own: a report counts if one of the two accesses is in such a function, or if one of its
# two nearest callers is.
. "$(dirname "$0")/lib.sh"

if [ "$1" = --functions ]; then
	find "$2/drivers/dma-buf" \( -name 'dma-heap*.o' -o -path '*/heaps/*.o' \) \
		-exec "${CROSS}nm" --defined-only {} + | awk '$2 ~ /^[tT]$/ { print $3 }' | sort -u
	exit
fi

sed -E 's/^\[ *[0-9]+\.[0-9]+\]( \[[^]]*\])? ?//; s/\r$//' "$1" | awk '
	FNR == NR { is_ours[$1]; next }
	/^==================/ {
		if (ours)
			print report
		report = ""
		ours = 0
		next
	}
	/ by (task|interrupt)/ { depth = 0 }
	/^ [A-Za-z_]/ && ++depth <= 3 {
		split($1, name, "+")
		ours = ours || name[1] in is_ours
	}
	{ report = report $0 "\n" }' "$2" -

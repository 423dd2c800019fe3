// SPDX-License-Identifier: GPL-2.0
/* What a machine is known to have, see heap_need.h */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../kselftest.h"
#include "heap_file.h"
#include "heap_need.h"

/* All words, and what each says of the machine */
static const char *const words[] = {
	/* What the kernel was built with */
	"attributes",	/* tells how pages are mapped: cached, as a block, writable */
	"blocks",	/* maps buffers in blocks */
	"counts",	/* heap_test_importer counts maintenance of caches */
	"dma-debug",	/* the DMA API checks itself */
	"faults",	/* allocations in the kernel can be made to fail */
	"hugepages",	/* has transparent huge pages */
	"importer",	/* has heap_test_importer */
	"kexec",	/* can boot another kernel */
	"list",		/* has the list of buffers in debugfs */
	"memcg",	/* has memory cgroups */
	"poison",	/* can poison pages */
	"pool",		/* has pools, whose counters are in debugfs */
	"prctl",	/* has a prctl() against huge pages */
	"protector",	/* has heap_test_protector */
	"sample",	/* has the sample heap */
	"smaps",	/* tells the flags of maps in smaps */
	"suspend",	/* can suspend to idle, and has pm_test */
	"tool",		/* has the tool dmaheap */
	"trace",	/* has the tracepoints of heaps */
	"vgem",		/* has vgem */

	/* What the machine is made of */
	"alarm",	/* has a clock with an alarm that wakes it up */
	"bounces",	/* has a device that gets copies of all memory */
	"copies",	/* gives movers copies of the buffers of the heap "system" */
	"disk",		/* has a disk at /dev/vda, and zram */
	"direct",	/* has a device that sees all memory, but not the caches */
	"gigabyte",	/* has more than 1 GiB of memory */
	"hibernation",	/* can hibernate to /dev/vda */
	"highmem",	/* has 512 MiB or more above 4 GiB */
	"highzone",	/* has memory that the kernel has not mapped (HIGHMEM) */
	"mknod",	/* lets the tests make device nodes */
	"mover",	/* has devices that move bytes: QEMU's edu, or a DMA engine */
	"numa",		/* has two nodes, both with CPUs */
	"offline",	/* has memory that can go offline, and memory that cannot */
	"segments",	/* has movers that take segments of 64 KiB, as edu */
	"swiotlb",	/* gives every device copies */
	"translated",	/* has movers behind an IOMMU that translates */
	"unaccounted",	/* was booted with dma_heap.mem_accounting=0 */

	/* What its device tree or command line sets aside */
	"areas",	/* has CMA areas other than the default one */
	"bad",		/* has nodes with mistakes */
	"border",	/* has a carveout where high memory begins */
	"carveout",	/* has carveouts */
	"chunks",	/* has CMA heaps that keep chunks of 64 KiB */
	"cma",		/* has a default CMA area */
	"fresh",	/* has a carveout nobody has used since boot */
	"sram",		/* has on-chip memory for a heap, and partitions with mistakes */
	"marker",	/* has carveouts that were dirty at boot */

	/* When modules are loaded */
	"autoload",	/* loads the modules its device tree asks for */
	"spared",	/* has nothing that a module of heaps is for */
	"unloaded",	/* has loaded no module yet */
};

static bool is_word(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		if (strlen(words[i]) == len &&
		    !strncmp(words[i], text, len))
			return true;

	return false;
}

/* A word with a mistake would forbid no skip */
static __attribute__((constructor)) void check_need(void)
{
	const char *at = getenv("NEED");
	size_t len;

	for (; at && *at; at += len + !!at[len]) {
		len = strcspn(at, ",");
		if (is_word(at, len))
			continue;
		printf("Bail out! NEED has an unknown word: %.*s\n", (int)len, at);
		exit(1);
	}
}

bool is_needed(const char *word)
{
	const char *need = getenv("NEED");

	if (!is_word(word, strlen(word))) {
		fprintf(stderr, "# unknown to NEED: %s\n", word);
		abort();
	}

	return need && word_in(need, word, ',');
}

void skip_all(const char *word, const char *why)
{
	ksft_print_header();
	if (is_needed(word))
		ksft_exit_fail_msg("%s\n", why);
	ksft_exit_skip("%s\n", why);
}

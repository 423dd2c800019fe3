/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What the files of the library share
 */
#ifndef LIBDMAHEAP_INTERNAL_H
#define LIBDMAHEAP_INTERNAL_H

#include "libdmaheap.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#define DEV_HEAPS	"/dev/dma_heap"
#define SYS_HEAPS	"/sys/class/dma_heap"

/* A heap of a list. Its node is opened with the first buffer and stays open. */
struct heap {
	struct dmaheap pub;
	char *path;
	int node;
	/* Place among the names that clients know, see guess() */
	unsigned int rank;
};

struct dmaheap_list {
	struct heap *heap;
	size_t n;
};

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the test importer share
 */
#ifndef _HEAP_TEST_IMPORTER_H
#define _HEAP_TEST_IMPORTER_H

#include <linux/compiler_attributes.h>
#include <linux/errno.h>
#include <linux/kconfig.h>
#include <linux/mutex.h>
#include <linux/types.h>

#define NAME		"dma_heap_test_importer"

/* Longer than any line of an answer */
#define LINE_SIZE	64

/**
 * struct answer - text to be read from debugfs
 * @lock: against a reader while the text is made
 * @text: the text
 * @size: bytes there is room for
 * @len: bytes there are
 */
struct answer {
	struct mutex lock;	/* see above */
	char *text;
	size_t size;
	size_t len;
};

int answer_alloc(struct answer *answer, unsigned int lines);
__printf(2, 3) void answer_add(struct answer *answer, const char *fmt, ...);

int heap_test_time(struct answer *answer, const u64 *args);

/* Only where this kernel's heaps are those that belong to the importer */
#if IS_REACHABLE(CONFIG_DMABUF_HEAPS_BUFFER)
int heap_test_kalloc(const char *args);
#else
static inline int heap_test_kalloc(const char *args)
{
	return -EOPNOTSUPP;
}
#endif

#endif /* _HEAP_TEST_IMPORTER_H */

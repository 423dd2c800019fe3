// SPDX-License-Identifier: GPL-2.0
/*
 * A buffer of a heap that the kernel allocates and uses, as a driver does; part of the
 * test importer
 */

#include <linux/dma-buf.h>
#include <linux/dma-direction.h>
#include <linux/dma-heap.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/iosys-map.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/stringify.h>

#include "heap_test_importer.h"

#define DIRT	0xa5

/* Check that the buffer is zeroed, and make all of it dirty */
static int use_map(const struct dma_buf *buf, void *vaddr)
{
	const void *dirt = memchr_inv(vaddr, 0, buf->size);

	memset(vaddr, DIRT, buf->size);

	return dirt ? -EIO : 0;
}

static int use_buffer(struct dma_buf *buf)
{
	struct iosys_map map;
	int ret;

	ret = dma_buf_begin_cpu_access(buf, DMA_BIDIRECTIONAL);
	if (ret)
		return ret;

	ret = dma_buf_vmap_unlocked(buf, &map);
	if (!ret) {
		ret = use_map(buf, map.vaddr);
		dma_buf_vunmap_unlocked(buf, &map);
	}
	dma_buf_end_cpu_access(buf, DMA_BIDIRECTIONAL);

	return ret;
}

/* @args: name of the heap, a blank, size in bytes */
int heap_test_kalloc(const char *args)
{
	char name[DMA_HEAP_NAME_MAX + 1];
	struct dma_heap *heap;
	struct dma_buf *buf;
	size_t size;
	int ret;

	if (sscanf(args, "%" __stringify(DMA_HEAP_NAME_MAX) "s %zu", name,
		   &size) != 2)
		return -EINVAL;

	heap = dma_heap_find(name);
	if (!heap)
		return -ENOENT;

	buf = dma_heap_buffer_alloc(heap, size, O_RDWR | O_CLOEXEC, 0);
	/* The buffer does not need this reference to the heap */
	dma_heap_put(heap);
	if (IS_ERR(buf))
		return PTR_ERR(buf);

	ret = use_buffer(buf);
	dma_heap_buffer_free(buf);

	return ret;
}

MODULE_IMPORT_NS(DMA_BUF_HEAP);

// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of the heaps that serve what others cannot
 */

#include <linux/array_size.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/mm.h>
#include <linux/module.h>

#include <kunit/test.h>

#include "../../dma-heap-internal.h"
#include "heap_test_helpers.h"

/**
 * struct fallback_heap - a heap of the test
 * @heap: the heap
 * @ret: the result of all allocations
 * @calls: how many there were
 * @len: length in the last one
 * @fd_flags: descriptor flags in the last one
 */
struct fallback_heap {
	struct dma_heap *heap;
	struct dma_buf *ret;
	unsigned int calls;
	unsigned long len;
	u32 fd_flags;
};

static struct dma_buf *fallback_allocate(struct dma_heap *heap, unsigned long len,
					 u32 fd_flags, u64 heap_flags)
{
	struct fallback_heap *one = dma_heap_get_drvdata(heap);

	one->calls++;
	one->len = len;
	one->fd_flags = fd_flags;

	return one->ret;
}

static const struct dma_heap_ops fallback_ops = {
	.allocate = fallback_allocate,
};

/* A heap without memory */
static struct fallback_heap *full_heap(struct kunit *test, const char *name,
				       const char *fallback, u32 attrs)
{
	struct fallback_heap *one;
	struct dma_heap_export_info exp_info = {
		.name = name,
		.ops = &fallback_ops,
		.fallback = fallback,
		.attrs = attrs,
	};

	one = kunit_kzalloc(test, sizeof(*one), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, one);
	one->ret = ERR_PTR(-ENOMEM);
	exp_info.priv = one;
	one->heap = heap_test_try_add_info(test, &exp_info);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, one->heap);

	return one;
}

static struct dma_buf *fallback_alloc(struct fallback_heap *one)
{
	return dma_heap_buffer_alloc(one->heap, 3 * PAGE_SIZE, O_RDWR, 0);
}

static long fallbacks(struct fallback_heap *one)
{
	return atomic_long_read(&one->heap->usage->fallbacks);
}

static void fallback_chain_is_asked_one_by_one(struct kunit *test)
{
	struct fallback_heap *heaps[] = {
		full_heap(test, "kunit-a", "kunit-b", 0),
		full_heap(test, "kunit-b", "kunit-c", 0),
		full_heap(test, "kunit-c", "kunit-d", 0),
		full_heap(test, "kunit-d", NULL, 0),
	};
	/* Nobody looks into it */
	struct dma_buf *dmabuf = (struct dma_buf *)test;
	int i;

	KUNIT_EXPECT_PTR_EQ(test, fallback_alloc(heaps[0]), ERR_PTR(-ENOMEM));
	KUNIT_EXPECT_EQ(test, fallbacks(heaps[0]), 0);

	heaps[2]->ret = dmabuf;
	KUNIT_EXPECT_PTR_EQ(test, fallback_alloc(heaps[0]), dmabuf);
	KUNIT_EXPECT_EQ(test, fallbacks(heaps[0]), 1);
	KUNIT_EXPECT_EQ(test, fallbacks(heaps[1]), 0);
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, heaps[i]->calls, 2);
		KUNIT_EXPECT_EQ(test, heaps[i]->len, 3 * PAGE_SIZE);
		KUNIT_EXPECT_EQ(test, heaps[i]->fd_flags, O_RDWR);
	}
	KUNIT_EXPECT_EQ(test, heaps[3]->calls, 1);

	heaps[0]->ret = dmabuf;
	KUNIT_EXPECT_PTR_EQ(test, fallback_alloc(heaps[0]), dmabuf);
	KUNIT_EXPECT_EQ(test, heaps[1]->calls, 2);
	KUNIT_EXPECT_EQ(test, fallbacks(heaps[0]), 1);
}

static void fallback_serves_only_lack_of_memory(struct kunit *test)
{
	struct fallback_heap *first = full_heap(test, "kunit-a", "kunit-b", 0);
	struct fallback_heap *second = full_heap(test, "kunit-b", "kunit-c", 0);
	struct fallback_heap *third = full_heap(test, "kunit-c", NULL, 0);

	first->ret = ERR_PTR(-EINTR);
	KUNIT_EXPECT_PTR_EQ(test, fallback_alloc(first), ERR_PTR(-EINTR));
	KUNIT_EXPECT_EQ(test, second->calls, 0);

	first->ret = ERR_PTR(-ENOMEM);
	second->ret = ERR_PTR(-EINTR);
	KUNIT_EXPECT_PTR_EQ(test, fallback_alloc(first), ERR_PTR(-EINTR));
	KUNIT_EXPECT_EQ(test, third->calls, 0);
	KUNIT_EXPECT_EQ(test, fallbacks(first), 0);
}

static void fallback_ring_ends_without_memory(struct kunit *test)
{
	struct fallback_heap *self = full_heap(test, "kunit-self", "kunit-self", 0);
	struct fallback_heap *heaps[] = {
		full_heap(test, "kunit-a", "kunit-b", 0),
		full_heap(test, "kunit-b", "kunit-c", 0),
		full_heap(test, "kunit-c", "kunit-b", 0),
	};

	KUNIT_EXPECT_PTR_EQ(test, fallback_alloc(self), ERR_PTR(-ENOMEM));
	KUNIT_EXPECT_EQ(test, self->calls, 1);

	/* All of the ring, and back */
	KUNIT_EXPECT_PTR_EQ(test, fallback_alloc(heaps[1]), ERR_PTR(-ENOMEM));
	KUNIT_EXPECT_EQ(test, heaps[1]->calls, 1);
	KUNIT_EXPECT_EQ(test, heaps[2]->calls, 1);

	/* From outside */
	KUNIT_EXPECT_PTR_EQ(test, fallback_alloc(heaps[0]), ERR_PTR(-ENOMEM));
	KUNIT_EXPECT_EQ(test, heaps[0]->calls, 1);
	KUNIT_EXPECT_GT(test, heaps[2]->calls, 1);
	KUNIT_EXPECT_LE(test, heaps[1]->calls + heaps[2]->calls, 2 + 128);
}

static void fallback_serves_when_it_appears(struct kunit *test)
{
	struct fallback_heap *first = full_heap(test, "kunit-a", "kunit-b", 0);
	struct fallback_heap *second;

	KUNIT_EXPECT_PTR_EQ(test, fallback_alloc(first), ERR_PTR(-ENOMEM));
	second = full_heap(test, "kunit-b", NULL, 0);
	second->ret = (struct dma_buf *)test;
	KUNIT_EXPECT_PTR_EQ(test, fallback_alloc(first), second->ret);
}

/* Whichever of the two is there first, and wherever in the chain */
static void fallback_of_other_access_never_serves(struct kunit *test)
{
	static const u32 attrs[] = { 0, DMA_HEAP_UNCACHED,
				     DMA_HEAP_UNCACHED | DMA_HEAP_PROTECTED };
	struct fallback_heap *heaps[3];
	int i, j;

	for (i = 0; i < ARRAY_SIZE(attrs); i++) {
		for (j = 0; j < ARRAY_SIZE(attrs); j++) {
			if (i == j)
				continue;
			heaps[0] = full_heap(test, "kunit-a", "kunit-b", attrs[i]);
			heaps[2] = full_heap(test, "kunit-c", NULL, attrs[j]);
			heaps[1] = full_heap(test, "kunit-b", "kunit-c", attrs[i]);
			heaps[2]->ret = (struct dma_buf *)test;
			KUNIT_EXPECT_PTR_EQ(test, fallback_alloc(heaps[0]),
					    ERR_PTR(-ENOMEM));
			KUNIT_EXPECT_EQ(test, heaps[1]->calls, 1);
			KUNIT_EXPECT_EQ(test, heaps[2]->calls, 0);
			heap_test_del(test, heaps[2]->heap);
			heap_test_del(test, heaps[1]->heap);
			heap_test_del(test, heaps[0]->heap);
		}
	}
}

/* Contiguous or not, reserved or not: a buffer of it will do */
static void fallback_may_be_other_memory(struct kunit *test)
{
	struct fallback_heap *first, *second;

	first = full_heap(test, "kunit-a", "kunit-b",
			  DMA_HEAP_CONTIGUOUS | DMA_HEAP_RESERVED);
	second = full_heap(test, "kunit-b", NULL, 0);
	second->ret = (struct dma_buf *)test;
	KUNIT_EXPECT_PTR_EQ(test, fallback_alloc(first), second->ret);
}

static struct kunit_case fallback_cases[] = {
	KUNIT_CASE(fallback_chain_is_asked_one_by_one),
	KUNIT_CASE(fallback_serves_only_lack_of_memory),
	KUNIT_CASE(fallback_ring_ends_without_memory),
	KUNIT_CASE(fallback_serves_when_it_appears),
	KUNIT_CASE(fallback_of_other_access_never_serves),
	KUNIT_CASE(fallback_may_be_other_memory),
	{}
};

static struct kunit_suite fallback_suite = {
	.name = "dma_heap_fallback",
	.test_cases = fallback_cases,
};

kunit_test_suite(fallback_suite);

MODULE_DESCRIPTION("KUnit tests of heaps that serve what others cannot");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF_HEAP);
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);

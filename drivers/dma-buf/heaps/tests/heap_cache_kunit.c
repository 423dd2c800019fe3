// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of cache maintenance by the exporter of DMA-BUF heaps
 *
 * Each case is a list of steps with a new buffer, in the language of
 * heap_test_cache.h. The text after the colon is what the exporter must do in the
 * step, no more and no less. Without a colon the exporter must do nothing:
 *
 *	write back	write cache lines back, through the heap's device
 *	drop		invalidate cache lines, through the heap's device
 *	to, from	sync through the mapping of the named device: it gets copies
 *			(swiotlb), or the heap's device maintains nothing
 */

#include <linux/array_size.h>
#include <linux/bits.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/fcntl.h>
#include <linux/module.h>
#include <linux/pfn.h>
#include <linux/scatterlist.h>
#include <linux/string.h>

#include <kunit/test.h>

#include "heap_test_cache.h"
#include "heap_test_helpers.h"

#define MAX_STEPS	20

/* Properties of the new buffer */
#define CLEAN		BIT(0)
#define DIRTY		0
#define READ_ONLY	BIT(1)
#define UNCACHED	BIT(2)
#define PIECES		BIT(3)
#define COHERENT_HEAP	BIT(4)

/* 16 pages. New chunks begin at pages 4, 5, 13 and 14 */
static const u8 few_orders[] = { 2, 0, 3, 0, 1 };

/* 129 pages. A device that gets copies (swiotlb) cannot map the first 128 at once */
static const u8 large_orders[] = { 7, 0 };

struct cache_case {
	const char *desc;
	unsigned int born;
	const char *steps[MAX_STEPS + 1];
};

/* Lines that may be dirty are written back before a noncoherent device accesses them */
static const struct cache_case dirty_cases[] = {
	{ "nobody wrote, devices look", CLEAN, {
		"map n r", "unmap n",
		"map n w", "unmap n",
		"map n rw", "unmap n",
	} },
	{ "born dirty, a device reads", DIRTY, {
		"map n r: write back all", "unmap n",
		"map n r",
	} },
	{ "born dirty, a device writes", DIRTY, {
		"map n w: write back all", "unmap n",
		"map n w",
	} },
	{ "born dirty, a device does both", DIRTY, {
		"map n rw: write back all", "unmap n",
		"map n rw",
	} },
	{ "mapped once more", DIRTY, {
		"map n rw: write back all", "map n rw",
		"unmap n", "unmap n",
	} },
	{ "eight devices at once", DIRTY, {
		"map n r: write back all", "map n1 r", "map n2 r", "map n3 r",
		"map n4 r", "map n5 r", "map n6 r", "map n7 r",
		"begin w", "end w: write back all",
		"unmap n3",
		"begin rw", "end rw: write back all",
	} },
	{ "devices that see the caches", DIRTY, {
		"map c r", "map c1 rw",
		"begin rw", "end rw",
		"begin r 1..2", "end r 1..2",
		"unmap c1", "unmap c",
		"mmap rw", "vmap",
		"map c rw", "unmap c",
	} },
	{ "user space writes, import, writes, import again", CLEAN, {
		"mmap rw",
		"map n r: write back all", "unmap n",
		"map n r: write back all", "unmap n",
		"munmap",
		"map n r: write back all", "unmap n",
		"map n r",
	} },
	{ "two mappings of user space, one goes", CLEAN, {
		"mmap rw", "mmap rw", "munmap",
		"map n r: write back all", "unmap n",
		"map n r: write back all", "unmap n",
		"munmap",
		"map n r: write back all", "unmap n",
		"map n r",
	} },
	/* mprotect() can make the mapping writable */
	{ "user space reads, and could write", CLEAN, {
		"mmap r",
		"map n r: write back all", "unmap n",
		"map n r: write back all", "unmap n",
	} },
	{ "user space has a descriptor that reads only", CLEAN | READ_ONLY, {
		"mmap r", "map n r", "unmap n",
		"munmap", "map n r",
	} },
	{ "born dirty, with a descriptor that reads only", DIRTY | READ_ONLY, {
		"mmap r",
		"map n r: write back all", "unmap n",
		"map n r",
	} },
	{ "the kernel has it mapped", CLEAN, {
		"vmap",
		"map n r: write back all", "unmap n",
		"map n r: write back all", "unmap n",
		"vunmap",
		"map n r: write back all", "unmap n",
		"map n r",
	} },
	{ "written before a device looks", CLEAN, {
		"begin w", "end w",
		"map n r: write back all", "unmap n",
		"begin rw", "end rw",
		"map n w: write back all", "unmap n",
	} },
	{ "read before a device looks", CLEAN, {
		"begin r", "end r",
		"map n r", "unmap n",
		"begin r 1..2", "end r 1..2",
		"map n r",
	} },
	{ "written while a device looks", CLEAN, {
		"map n r",
		"begin w", "end w: write back all",
		"begin rw", "end rw: write back all",
		"begin r", "end r",
		"unmap n", "map n r",
	} },
	{ "a device comes in the middle of a write", CLEAN, {
		"begin w",
		"map n r: write back all",
		"map n1 r: write back all",
		"end w: write back all",
		"map n2 r",
	} },
	{ "two write at a time", CLEAN, {
		"map n r",
		"begin w", "begin w",
		"end w: write back all",
		"end w: write back all",
		"unmap n", "map n r",
	} },
	{ "an end without its begin", CLEAN, {
		"map n r",
		"end w",
		"begin w", "end w: write back all",
		"unmap n", "map n r",
	} },
	{ "uncached", UNCACHED, {
		"map n rw", "map c rw",
		"begin rw", "end rw",
		"begin rw 1..2", "end rw 1..2",
		"mmap rw", "vmap",
		"unmap n", "unmap c",
		"map n r",
	} },
};

KUNIT_ARRAY_PARAM_DESC(dirty, dirty_cases, desc);

/* Lines that may be stale are invalidated before the CPU accesses them */
static const struct cache_case stale_cases[] = {
	{ "a device wrote, the CPU reads", CLEAN, {
		"map n w", "unmap n",
		"begin r: drop all", "end r",
		"begin r", "end r",
	} },
	{ "a device did both, the CPU reads", CLEAN, {
		"map n rw", "unmap n",
		"begin r: drop all", "end r",
		"begin r", "end r",
	} },
	{ "a device read, the CPU reads", CLEAN, {
		"map n r", "unmap n",
		"begin r", "end r",
	} },
	{ "a device wrote, the CPU writes", CLEAN, {
		"map n w", "unmap n",
		"begin w: drop all", "end w",
		"map n r: write back all",
	} },
	{ "a device wrote, the CPU does both", CLEAN, {
		"map n w", "unmap n",
		"begin rw: drop all", "end rw",
		"begin rw", "end rw",
	} },
	{ "nobody of the CPU's looks", CLEAN, {
		"map n w", "unmap n",
		"map n1 rw", "unmap n1",
		"map n2 r", "unmap n2",
	} },
	{ "mapped once, three frames", CLEAN, {
		"map n w",
		"begin r: drop all", "end r",
		"begin r: drop all", "end r",
		"begin r: drop all", "end r",
		"unmap n",
		"begin r: drop all", "end r",
		"begin r", "end r",
	} },
	{ "mapped once, three frames drawn upon", CLEAN, {
		"map n rw",
		"begin rw: drop all", "end rw: write back all",
		"begin rw: drop all", "end rw: write back all",
		"begin rw: drop all", "end rw: write back all",
		"unmap n",
		"begin r: drop all", "end r",
	} },
	{ "one of two writers goes", CLEAN, {
		"map n w", "map n1 w", "unmap n",
		"begin r: drop all", "end r",
		"begin r: drop all", "end r",
		"unmap n1",
		"begin r: drop all", "end r",
		"begin r", "end r",
	} },
	{ "a second one reads while one is writing", CLEAN, {
		"map n w",
		"begin w: drop all",
		"begin r: write back all, drop all", "end r",
		"end w: write back all",
		"begin r: drop all", "end r",
	} },
	{ "the same with parts", CLEAN, {
		"map n w",
		"begin w 1..3: drop 1..3",
		"begin r 2..6: write back 2..6, drop 2..6", "end r 2..6",
		"end w 1..3: write back 1..3",
	} },
	{ "the kernel maps what a device wrote", CLEAN, {
		"map n w", "unmap n",
		"vmap: drop all",
		"begin r", "end r",
	} },
	{ "user space maps what a device wrote", CLEAN, {
		"map n w", "unmap n",
		"mmap r",
		"begin r: drop all", "end r",
		"begin r", "end r",
	} },
	{ "a part is written of what a device wrote", CLEAN, {
		"map n w", "unmap n",
		"begin w 1..2: drop 1..2", "end w 1..2: write back 1..2",
		"begin r: drop all", "end r",
		"begin r", "end r",
	} },
	{ "the writer goes while the CPU writes", CLEAN, {
		"map n w",
		"begin w: drop all", "unmap n", "end w: write back all",
		"begin r: drop all", "end r",
	} },
	{ "the kernel writes, and its mapping and the device go", CLEAN, {
		"vmap", "map n w: write back all", "unmap n",
		"vunmap: write back all",
		"begin r: drop all", "end r",
		"begin r", "end r",
	} },
	/* The device's data wins over writes of user space outside of an access */
	{ "dirty and stale", DIRTY, {
		"mmap rw",
		"map n w: write back all", "unmap n",
		"begin r: drop all", "end r",
		"map n1 r: write back all",
	} },
};

KUNIT_ARRAY_PARAM_DESC(stale, stale_cases, desc);

/* An access to a part maintains that part only. The rest keeps its state */
static const struct cache_case partial_cases[] = {
	{ "read in a chunk and across borders", CLEAN, {
		"map n w",
		"begin r 1..2: drop 1..2", "end r 1..2",
		"begin r 4..5: drop 4..5", "end r 4..5",
		"begin r 3..6: drop 3..6", "end r 3..6",
		"begin r 4-1..4+1: drop 4-1..4+1", "end r 4-1..4+1",
		"begin r 4-64..14+64: drop 4-64..14+64", "end r 4-64..14+64",
		"begin r 5..13: drop 5..13", "end r 5..13",
	} },
	{ "read the first and the last", CLEAN, {
		"map n w",
		"begin r 0..0+1: drop 0..0+1", "end r 0..0+1",
		"begin r 16-1..16: drop 16-1..16", "end r 16-1..16",
		"begin r 0+1..16: drop 0+1..16", "end r 0+1..16",
		"begin r 0..16-1: drop 0..16-1", "end r 0..16-1",
	} },
	{ "read not by lines", CLEAN, {
		"map n w",
		"begin r 1+3..1+10: drop 1+3..1+10", "end r 1+3..1+10",
		"begin r 1+63..1+65: drop 1+63..1+65", "end r 1+63..1+65",
		"begin rw 1+3..9+7: drop 1+3..9+7",
		"end rw 1+3..9+7: write back 1+3..9+7",
	} },
	/* A line can be longer than the part of it that the step writes back */
	{ "read in the lines of one who writes", CLEAN, {
		"map n w",
		"begin w 2..3: drop 2..3",
		"begin r 2+3..2+9: write back 2+3..2+9, drop 2+3..2+9",
		"begin r 3-9..3+9: write back 3-9..3+9, drop 3-9..3+9",
	} },
	{ "write in a chunk and across borders", CLEAN, {
		"map n r",
		"begin w 1..2", "end w 1..2: write back 1..2",
		"begin w 3..6", "end w 3..6: write back 3..6",
		"begin rw 4-1..4+1", "end rw 4-1..4+1: write back 4-1..4+1",
		"begin w 0..0+1", "end w 0..0+1: write back 0..0+1",
		"begin w 16-1..16", "end w 16-1..16: write back 16-1..16",
		"begin w 5..13", "end w 5..13: write back 5..13",
		"begin w 4+3..5+9", "end w 4+3..5+9: write back 4+3..5+9",
	} },
	{ "all is stale still", CLEAN, {
		"map n w", "unmap n",
		"begin r 0..15: drop 0..15", "end r 0..15",
		"begin r 0..15: drop 0..15", "end r 0..15",
		"begin r: drop all", "end r",
		"begin r 1..2", "end r 1..2",
	} },
	{ "all is dirty still", DIRTY, {
		"map n r: write back all",
		"begin w 0+1..16", "end w 0+1..16: write back 0+1..16",
		"map n1 r: write back all",
		"map n2 r",
	} },
	{ "nobody mapped", CLEAN, {
		"begin rw 1..2", "end rw 1..2",
		"map n r: write back all", "unmap n",
		"begin rw 1..2", "end rw 1..2",
		"map n r: write back all",
	} },
	{ "the part ends after all", CLEAN, {
		"map n r",
		"begin w", "begin w 1..2",
		"end w: write back all",
		"end w 1..2: write back 1..2",
		"map n1 r: write back all",
		"map n2 r",
	} },
	{ "with devices of both kinds", CLEAN, {
		"map c rw", "map n r: write back all",
		"begin w 3..6", "end w 3..6: write back 3..6",
		"unmap c: write back all", "unmap n",
		"map n w", "map c r: drop all",
		"begin r 3..6: drop 3..6", "end r 3..6",
	} },
};

KUNIT_ARRAY_PARAM_DESC(partial, partial_cases, desc);

/* Coherent and noncoherent devices share a buffer, and access it without events */
static const struct cache_case mixed_cases[] = {
	{ "from memory to caches", CLEAN, {
		"map n w", "unmap n",
		"map c r: drop all", "unmap c",
		"map c r", "unmap c",
		"begin r", "end r",
	} },
	{ "from memory to caches, where it was mapped", CLEAN, {
		"map c r", "map n w",
		"unmap n: drop all",
		"begin r", "end r",
	} },
	{ "from memory to caches, while it is written", CLEAN, {
		"map n w",
		"map c r: drop all", "map c1 r: drop all",
		"unmap c", "unmap n: drop all",
		"map c r",
	} },
	{ "from memory to caches, nothing written", CLEAN, {
		"map c r", "map n r",
		"unmap n", "unmap c",
	} },
	{ "from caches to memory", CLEAN, {
		"map c w", "unmap c",
		"map n r: write back all", "unmap n",
		"map n r", "unmap n",
		"map c rw", "unmap c",
		"map n r: write back all",
	} },
	{ "from caches to memory, where it was mapped", CLEAN, {
		"map n r", "map c w",
		"unmap c: write back all",
		"unmap n", "map n r",
	} },
	{ "from caches to memory, while it is written", CLEAN, {
		"map c w",
		"map n r: write back all", "map n1 r: write back all",
		"unmap c: write back all",
		"unmap n", "map n r",
	} },
	{ "from caches to memory, nothing written", CLEAN, {
		"map n r", "map c r",
		"unmap c", "unmap n",
		"map n r",
	} },
	{ "a late one, after the CPU wrote", CLEAN, {
		"map c r", "map n r",
		"begin w", "end w: write back all",
		"map n1 r", "map c1 r",
		"begin w",
		"map n2 r: write back all",
		"end w: write back all",
	} },
	/* The coherent device's lines are dirty, other lines are stale */
	{ "both write, the CPU reads", CLEAN, {
		"map n w", "map c w: drop all",
		"begin r: write back all, drop all", "end r",
		"begin r: write back all, drop all", "end r",
		"unmap c: write back all",
		"begin r: drop all", "end r",
	} },
	{ "the kernel and a device write, the CPU reads", CLEAN, {
		"map n rw", "vmap: drop all",
		"begin r: write back all, drop all", "end r",
		"begin r: write back all, drop all", "end r",
		"vunmap: write back all",
		"begin r: drop all",
	} },
};

KUNIT_ARRAY_PARAM_DESC(mixed, mixed_cases, desc);

/* Devices that get copies (swiotlb) */
static const struct cache_case bounce_cases[] = {
	{ "reads", DIRTY, {
		"map b r: to b all", "unmap b",
	} },
	{ "writes", CLEAN, {
		"map b w: to b all", "unmap b: from b all",
		"map n r: write back all", "unmap n",
		"map n r",
	} },
	{ "is mapped once more", CLEAN, {
		"map b rw: to b all", "map b rw: from b all, to b all",
		"unmap b: from b all", "unmap b: from b all",
		"map b r: to b all", "map b r: to b all",
	} },
	{ "the CPU reads and writes", CLEAN, {
		"map b rw: to b all",
		"begin r: from b all", "end r",
		"begin w: from b all", "end w: to b all",
		"begin rw: from b all", "end rw: to b all",
		"unmap b: from b all",
		"begin rw", "end rw",
	} },
	/* Some programs never end an access. That must not hide the device's copy */
	{ "a write that never ends", CLEAN, {
		"map b rw: to b all",
		"begin w 3..6: from b 3..6",
		"begin r: from b all", "end r",
		"begin r 4..5: from b 4..5", "end r 4..5",
		"begin w 8..9: from b 8..9", "end w 8..9: to b 8..9",
		"map b rw: from b all, to b all",
		"unmap b: from b all", "unmap b: from b all",
	} },
	{ "parts", CLEAN, {
		"map b rw: to b all",
		"begin r 3..6: from b 3..6", "end r 3..6",
		"begin w 4-1..4+1: from b 4-1..4+1",
		"end w 4-1..4+1: to b 4-1..4+1",
		"begin rw 0..0+1: from b 0..0+1",
		"end rw 0..0+1: to b 0..0+1",
		"begin w 16-1..16: from b 16-1..16",
		"end w 16-1..16: to b 16-1..16",
	} },
	{ "pieces", CLEAN | PIECES, {
		"map b rw: to b all",
		"begin w 1..2: from b 1..2", "end w 1..2: to b 1..2",
		"begin w 64-1..64+1: from b 64-1..64+1",
		"end w 64-1..64+1: to b 64-1..64+1",
		"begin w 128-3..128+3: from b 128-3..128+3",
		"end w 128-3..128+3: to b 128-3..128+3",
		"begin w 32..129: from b 32..129",
		"end w 32..129: to b 32..129",
		"unmap b: from b all",
	} },
	/* Some drivers use a kernel mapping and begin no access */
	{ "the kernel reads and writes", CLEAN, {
		"map b rw: to b all",
		"vmap: from b all", "vunmap: to b all",
		"unmap b: from b all",
		"vmap", "vunmap",
	} },
	{ "a device wrote to memory", CLEAN, {
		"map n w", "unmap n",
		"map b r: drop all, to b all",
		"begin r: from b all", "end r",
	} },
	{ "a device writes to memory", CLEAN, {
		"map b r: to b all", "map n w",
		"begin r: drop all, from b all", "end r",
		"begin w 1..2: drop 1..2, from b 1..2",
		"end w 1..2: write back 1..2, to b 1..2",
		"unmap n: drop all",
	} },
	{ "a device reads from memory", CLEAN, {
		"map n r", "map b w: to b all",
		"begin r: from b all", "end r",
		"begin w: from b all", "end w: write back all, to b all",
		"unmap b: from b all, write back all",
		"unmap n", "map n r",
	} },
};

KUNIT_ARRAY_PARAM_DESC(bounce, bounce_cases, desc);

/* The heap's device is coherent and maintains nothing: each device's mapping syncs */
static const struct cache_case own_cases[] = {
	{ "reads", DIRTY | COHERENT_HEAP, {
		"map n r: to n all", "unmap n",
		"map n r: to n all", "unmap n",
	} },
	{ "writes", CLEAN | COHERENT_HEAP, {
		"map n w: to n all", "unmap n: from n all",
		"begin r", "end r",
	} },
	{ "is mapped once more", CLEAN | COHERENT_HEAP, {
		"map n rw: to n all", "map n rw: from n all, to n all",
		"unmap n: from n all", "unmap n: from n all",
	} },
	{ "the CPU reads and writes", CLEAN | COHERENT_HEAP, {
		"map n rw: to n all",
		"begin r: from n all", "end r",
		"begin w 3..6: from n 3..6", "end w 3..6: to n 3..6",
		"begin rw 4-1..4+1: from n 4-1..4+1",
		"end rw 4-1..4+1: to n 4-1..4+1",
		"unmap n: from n all",
	} },
	{ "two of them", CLEAN | COHERENT_HEAP, {
		"map n w: to n all", "map n1 r: to n1 all",
		"begin r: from n all, from n1 all", "end r",
		"begin w: from n all, from n1 all",
		"end w: to n all, to n1 all",
		"unmap n: from n all", "unmap n1",
	} },
	{ "beside one that sees the caches", CLEAN | COHERENT_HEAP, {
		"map c rw", "map n r: to n all",
		"begin w: from n all", "end w: to n all",
		"unmap c", "unmap n",
	} },
	{ "the kernel reads and writes", CLEAN | COHERENT_HEAP, {
		"map n rw: to n all",
		"vmap: from n all", "vunmap: to n all",
		"unmap n: from n all",
		"vmap", "vunmap",
	} },
};

KUNIT_ARRAY_PARAM_DESC(own, own_cases, desc);

static int cache_test_init(struct kunit *test)
{
	test->priv = heap_cache_init(test);

	return 0;
}

static const char *expectation(const char *text)
{
	const char *colon = strchr(text, ':');

	return colon ? colon + 2 : "";
}

/* Skip the test if the machine lacks a device of the case */
static void need_devices(struct kunit *test, const struct cache_case *c)
{
	struct heap_cache *cache = test->priv;
	struct heap_cache_step step;
	int i, ret;

	for (i = 0; c->steps[i]; i++) {
		ret = heap_cache_parse(cache, c->steps[i], &step);
		KUNIT_ASSERT_EQ_MSG(test, ret, 0, "%s", c->steps[i]);
		if (step.op != HEAP_CACHE_MAP || cache->users[step.user].dev)
			continue;
		if (step.user >= HEAP_CACHE_BOUNCING)
			heap_test_skip(test, "swiotlb",
				       "needs CONFIG_SWIOTLB, and slots");
		heap_test_skip(test, "noncoherent",
			       "needs a device that goes past the caches");
	}
}

static void cache_test_step(struct kunit *test, const char *text)
{
	struct heap_cache *cache = test->priv;
	struct heap_cache_step step;
	char events[160];
	int ret;

	ret = heap_cache_parse(cache, text, &step);
	KUNIT_ASSERT_EQ(test, ret, 0);
	ret = heap_cache_do(cache, &step);
	KUNIT_ASSERT_EQ_MSG(test, ret, 0, "%s", text);
	heap_cache_print_events(cache, events, sizeof(events));
	KUNIT_EXPECT_STREQ_MSG(test, events, expectation(text), "%s", text);
}

static void cache_test(struct kunit *test)
{
	const struct cache_case *c = test->param_value;
	struct heap_cache *cache = test->priv;
	int i;

	if (c->born & PIECES)
		heap_test_source_init(&cache->source, large_orders,
				      ARRAY_SIZE(large_orders));
	else
		heap_test_source_init(&cache->source, few_orders,
				      ARRAY_SIZE(few_orders));
	if (c->born & COHERENT_HEAP && !heap_cache_make_heap_coherent(cache))
		heap_test_skip(test, "noncoherent",
			       "needs devices that go past the caches");
	cache->source.written_back = c->born & CLEAN;
	cache->source.base.uncached = c->born & UNCACHED;
	need_devices(test, c);

	heap_cache_alloc(cache, c->born & READ_ONLY ? O_RDONLY : O_RDWR);
	for (i = 0; c->steps[i]; i++)
		cache_test_step(test, c->steps[i]);
	heap_cache_free(cache);
}

/* A device that gets copies (swiotlb) maps a large chunk in pieces */
static void cache_test_large_chunk_is_bounced_in_pieces(struct kunit *test)
{
	struct heap_cache *cache = test->priv;
	struct heap_cache_user *user = &cache->users[HEAP_CACHE_BOUNCING];
	struct scatterlist *sg;
	size_t max, sum = 0;
	int i;

	if (!user->dev)
		heap_test_skip(test, "swiotlb",
			       "needs CONFIG_SWIOTLB, and slots");

	heap_test_source_init(&cache->source, large_orders,
			      ARRAY_SIZE(large_orders));
	heap_cache_alloc(cache, O_RDWR);
	cache_test_step(test, "map b rw: to b all");

	max = dma_max_mapping_size(user->dev);
	KUNIT_ASSERT_LT(test, max, PAGE_SIZE << large_orders[0]);
	for_each_sgtable_dma_sg(user->sgt, sg, i) {
		KUNIT_EXPECT_LE(test, sg_dma_len(sg), max);
		KUNIT_EXPECT_TRUE(test, PAGE_ALIGNED(sg->length));
		sum += sg_dma_len(sg);
	}
	KUNIT_EXPECT_EQ(test, sum, cache->dmabuf->size);
	/* No more pieces than necessary */
	KUNIT_EXPECT_EQ(test, user->sgt->orig_nents,
			DIV_ROUND_UP(PAGE_SIZE << large_orders[0],
				     max & PAGE_MASK) + 1);
	heap_cache_free(cache);
}

#define CACHE_CASES(_rows, _claim) { \
	.run_case = cache_test, \
	.name = "cache_test_" #_claim, \
	.generate_params = _rows##_gen_params, \
	.module_name = KBUILD_MODNAME, \
}

static struct kunit_case cache_test_cases[] = {
	CACHE_CASES(dirty, dirty_lines_are_written_back),
	CACHE_CASES(stale, stale_lines_are_dropped),
	CACHE_CASES(partial, part_of_buffer_is_maintained_alone),
	CACHE_CASES(mixed, devices_of_both_kinds_see_each_other),
	CACHE_CASES(bounce, copies_follow_accesses),
	CACHE_CASES(own, mappings_are_synced_where_the_heap_cannot_maintain),
	KUNIT_CASE(cache_test_large_chunk_is_bounced_in_pieces),
	{}
};

static struct kunit_suite cache_test_suite = {
	.name = "dma_heap_cache",
	.init = cache_test_init,
	.test_cases = cache_test_cases,
};

kunit_test_suite(cache_test_suite);

MODULE_DESCRIPTION("KUnit tests of cache maintenance of DMA-BUF heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);

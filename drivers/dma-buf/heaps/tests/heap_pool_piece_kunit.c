// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the pool of DMA-BUF heaps: scrubbing large chunks piece by piece
 */

#include <linux/array_size.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/pfn.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/wait.h>

#include <kunit/test.h>

#include "../heap_source.h"
#include "../heap_pool.h"
#include "heap_pool_kunit.h"
#include "heap_test_pool.h"
#include "heap_test_source.h"

#define MAX_PIECES	8

/**
 * struct piece - one call of scrub
 * @pfn: first page
 * @len: bytes
 */
struct piece {
	unsigned long pfn;
	size_t len;
};

/**
 * struct piece_source - a source that records calls of scrub
 * @base: the source as the pool sees it
 * @pfn: first page of the first chunk
 * @freed: how many backings the pool gave back
 * @pieces: the calls of scrub; they do not touch the memory
 * @count: number of calls of scrub
 * @stop_at: the scrubber waits in the call of this number, 0 for none
 * @stopped: the scrubber has come to @stop_at
 * @gate: where the scrubber waits
 */
struct piece_source {
	struct dma_heap_source base;
	unsigned long pfn;
	unsigned int freed;
	struct piece pieces[MAX_PIECES];
	unsigned int count;
	unsigned int stop_at;
	bool stopped;
	wait_queue_head_t gate;
};

/* The first chunk is three pieces and a page, the second one less than a piece */
#define PIECES_FIRST	(3 * PIECE + PAGE_SIZE)
#define PIECES_SECOND	(3 * PAGE_SIZE)
#define PIECES_SIZE	(PIECES_FIRST + PIECES_SECOND)

static const struct piece expected_pieces[] = {
	{ 0, PIECE },
	{ PHYS_PFN(PIECE), PIECE },
	{ PHYS_PFN(2 * PIECE), PIECE },
	{ PHYS_PFN(3 * PIECE), PAGE_SIZE },
	{ PHYS_PFN(PIECES_FIRST), PIECES_SECOND },
};

static struct piece_source *to_piece_source(struct dma_heap_source *source)
{
	return container_of(source, struct piece_source, base);
}

static struct dma_heap_backing *piece_alloc(struct dma_heap_source *source,
					    size_t size)
{
	unsigned long pfn = to_piece_source(source)->pfn;
	struct dma_heap_backing *backing = dma_heap_backing_alloc(2);

	if (!backing)
		return ERR_PTR(-ENOMEM);

	sg_set_page(backing->sgt.sgl, pfn_to_page(pfn), PIECES_FIRST, 0);
	sg_set_page(sg_next(backing->sgt.sgl),
		    pfn_to_page(pfn + PHYS_PFN(PIECES_FIRST)), PIECES_SECOND, 0);
	backing->size = PIECES_SIZE;

	return backing;
}

static int piece_free(struct dma_heap_source *source,
		      struct dma_heap_backing *backing)
{
	struct piece_source *pieces = to_piece_source(source);

	WRITE_ONCE(pieces->freed, pieces->freed + 1);
	dma_heap_backing_free(backing);

	return 0;
}

/* Only the scrubber calls this */
static int piece_scrub(struct dma_heap_source *source, struct page *page,
		       size_t len, bool write_back)
{
	struct piece_source *pieces = to_piece_source(source);

	if (pieces->count < MAX_PIECES)
		pieces->pieces[pieces->count] = (struct piece) {
			page_to_pfn(page), len,
		};
	pieces->count++;
	if (pieces->count == READ_ONCE(pieces->stop_at)) {
		WRITE_ONCE(pieces->stopped, true);
		wait_event(pieces->gate, !READ_ONCE(pieces->stop_at));
	}

	return 0;
}

static const struct dma_heap_source_ops piece_ops = {
	.alloc = piece_alloc,
	.free = piece_free,
	.scrub = piece_scrub,
};

static void piece_open_gate(struct piece_source *pieces)
{
	WRITE_ONCE(pieces->stop_at, 0);
	wake_up(&pieces->gate);
}

static void piece_expect(struct kunit *test, struct piece_source *pieces,
			 unsigned int count)
{
	unsigned int i;

	KUNIT_ASSERT_EQ(test, pieces->count, count);
	for (i = 0; i < count; i++) {
		KUNIT_EXPECT_EQ_MSG(test, pieces->pieces[i].pfn,
				    pieces->pfn + expected_pieces[i].pfn,
				    "piece %u", i);
		KUNIT_EXPECT_EQ_MSG(test, pieces->pieces[i].len,
				    expected_pieces[i].len, "piece %u", i);
	}
}

/**
 * struct piece_case - what happens while the second piece is scrubbed
 * @desc: name of the case
 * @reserved: the source is reserved
 * @unwanted: the cap becomes 0, so the pool may keep nothing
 * @stopped: the scrubber does not scrub the rest
 */
struct piece_case {
	const char *desc;
	bool reserved;
	bool unwanted;
	bool stopped;
};

static const struct piece_case piece_cases[] = {
	{ "nothing", false, false, false },
	{ "the pool closes", false, true, true },
	{ "nothing, reserved", true, false, false },
	{ "the pool closes, reserved", true, true, false },
};

KUNIT_ARRAY_PARAM_DESC(piece, piece_cases, desc);

static bool piece_is_scrubbed(struct dma_heap_pool *pool,
			      struct dma_heap_pool_stats *stats)
{
	dma_heap_pool_get_stats(pool, stats);

	return !stats->dirty_pages;
}

static void piece_run(struct kunit *test, struct piece_source *pieces,
		      struct dma_heap_pool *pool)
{
	const struct piece_case *param = test->param_value;
	struct dma_heap_pool_stats stats;
	struct dma_heap_backing *backing;

	backing = dma_heap_source_get(&pieces->base, PIECES_SIZE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, backing);
	backing->zeroed = false;
	dma_heap_source_put(&pieces->base, backing);
	KUNIT_EXPECT_TRUE(test, POOL_WAIT(READ_ONCE(pieces->stopped)));
	if (param->unwanted)
		dma_heap_pool_set_max(pool, 0);
	piece_open_gate(pieces);
	KUNIT_EXPECT_TRUE(test, POOL_WAIT(piece_is_scrubbed(pool, &stats)));

	KUNIT_EXPECT_EQ(test, stats.scrubbed_pages,
			param->stopped ? 0 : PHYS_PFN(PIECES_SIZE));
	KUNIT_EXPECT_EQ(test, stats.shrunk_pages,
			param->unwanted ? PHYS_PFN(PIECES_SIZE) : 0);
	KUNIT_EXPECT_EQ(test, stats.clean_pages,
			param->unwanted ? 0 : PHYS_PFN(PIECES_SIZE));
	KUNIT_EXPECT_EQ(test, stats.lost_pages, 0);
}

/* The test reads only the struct page of a chunk's first page: any valid pfn will do */
static unsigned long piece_find_pages(void *anywhere)
{
	unsigned long pfn = page_to_pfn(virt_to_page(anywhere));

	while (!pfn_valid(pfn + PHYS_PFN(PIECES_SIZE)))
		pfn -= PHYS_PFN(PIECES_SIZE);

	return pfn;
}

/* The scrubber can stop after each piece of a large chunk */
static void pool_scrubs_in_pieces_and_may_stop_between(struct kunit *test)
{
	const struct piece_case *param = test->param_value;
	struct piece_source *pieces;
	struct dma_heap_pool *pool;

	pieces = kunit_kzalloc(test, sizeof(*pieces), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pieces);
	pieces->base.ops = &piece_ops;
	pieces->base.reserved = param->reserved;
	pieces->pfn = piece_find_pages(pieces);
	pieces->stop_at = 2;
	init_waitqueue_head(&pieces->gate);

	pool = dma_heap_pool_create("kunit-pieces", &pieces->base);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, pool);
	piece_run(test, pieces, pool);
	piece_open_gate(pieces);
	dma_heap_pool_destroy(pool);

	KUNIT_EXPECT_EQ(test, pieces->freed, 1);
	piece_expect(test, pieces,
		     param->stopped ? 2 : ARRAY_SIZE(expected_pieces));
}

const struct kunit_case pool_piece_cases[] = {
	KUNIT_CASE_PARAM(pool_scrubs_in_pieces_and_may_stop_between, piece_gen_params),
	{}
};

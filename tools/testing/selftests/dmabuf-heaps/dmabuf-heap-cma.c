// SPDX-License-Identifier: GPL-2.0
/*
 * Heaps on CMA areas: their names, that buffers are in one piece and clean, that all
 * of an area can be had and is had back.
 *
 * Needs CONFIG_CMA_DEBUGFS. NEED in the environment names what must not be lacking:
 * cma, areas (three of them), importer.
 */

#include <signal.h>

#include "heap_cma.h"
#include "heap_loop.h"

/* What devices and CPUs map as one, which is worth more if it costs no room */
#define BLOCK		MIB(2)

/* What the start of a buffer is aligned to, as long as there is such a place */
static size_t alignment(size_t len)
{
	size_t unit = page_size();

	while (unit < len && unit < BLOCK)
		unit *= 2;
	if (unit == BLOCK && round_up(len, BLOCK) != stride(len))
		return ALIGNMENT;

	return unit;
}

TEST(every_area_has_a_heap)
{
	int i;

	for (i = 0; i < heap_count; i++) {
		int fd = heap_open(heaps[i].heap, O_RDWR | O_CLOEXEC);

		EXPECT_LE(0, fd)
			TH_LOG("no heap %s", heaps[i].heap);
		close(fd);
	}
	/* The default one twice, and each also uncached */
	if (is_needed("areas"))
		EXPECT_EQ(2 * 4, heap_count);
}

CMA_TEST(size_is_that_of_the_area)
{
	EXPECT_EQ(bytes(self->pages),
		  heap_attr(variant->name.heap, "area/size_bytes"));
}

/* Largest free run of the area, and all that is free of it, in pages */
#define EXPECT_FREE_AS_IN_DEBUGFS() do {					\
	EXPECT_EQ(bytes(self->pages - area_get(variant->name.area, "used")),	\
		  heap_attr(variant->name.heap, "area/free_bytes"));		\
	EXPECT_EQ(bytes(area_get(variant->name.area, "maxchunk")),		\
		  heap_attr(variant->name.heap, "area/largest_free_bytes"));	\
} while (0)

CMA_TEST(what_is_free_is_that_of_the_area)
{
	int fds[3], i;

	ASSERT_EQ(0, pool_set(variant->name.heap, "max_bytes", 0));
	EXPECT_FREE_AS_IN_DEBUGFS();
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = heap_alloc(self->fd, MIB(4));
		ASSERT_LE(0, fds[i]);
	}
	EXPECT_FREE_AS_IN_DEBUGFS();
	EXPECT_EQ(bytes(self->pages - self->others) - 3 * MIB(4),
		  heap_attr(variant->name.heap, "area/free_bytes"));
	EXPECT_EQ(0, close(fds[1]));
	EXPECT_FREE_AS_IN_DEBUGFS();
	EXPECT_EQ(0, close(fds[0]));
	EXPECT_EQ(0, close(fds[2]));
}

/* Of two names of a heap one is the other's */
CMA_TEST(two_names_have_one_account)
{
	const char *heap = variant->name.heap;
	char of[HEAP_NAME_SIZE];
	long long limit;
	int other, fd;

	ASSERT_EQ(0, heap_attr_read(heap, "alias_of", of, sizeof(of)));
	if (strncmp(heap, DEFAULT_AREA_HEAP, strlen(DEFAULT_AREA_HEAP))) {
		EXPECT_STREQ("", of);
		return;
	}
	EXPECT_STREQ(variant->name.pool, of);

	limit = heap_attr(of, "bytes") + MIB(1);
	ASSERT_EQ(0, heap_attr_set(of, "heap_limit_bytes", limit));
	EXPECT_EQ(limit, heap_attr(heap, "heap_limit_bytes"));
	other = heap_open(of, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, other);
	fd = heap_alloc(self->fd, MIB(1));
	ASSERT_LE(0, fd);
	EXPECT_STREQ(heap, buf_exporter(fd));
	EXPECT_EQ(limit, heap_attr(of, "bytes"));
	EXPECT_EQ(limit, heap_attr(heap, "bytes"));
	EXPECT_EQ(-ENOMEM, heap_alloc(other, KIB(4)));
	EXPECT_EQ(heap_attr(of, "failures/limit"), heap_attr(heap, "failures/limit"));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(limit - (long long)MIB(1), heap_attr(of, "bytes"));
	fd = heap_alloc(other, MIB(1));
	EXPECT_LE(0, fd);
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, KIB(4)));
	EXPECT_EQ(0, close(fd));
	ASSERT_EQ(0, heap_attr_write(heap, "heap_limit_bytes", "max"));
	EXPECT_EQ(0, close(other));
}

CMA_TEST(buffers_are_in_one_aligned_piece)
{
	static const size_t lens[] = {
		KIB(4), KIB(8), KIB(64), KIB(68), MIB(1), MIB(1) + KIB(4),
		NV12_1080P, MIB(2), MIB(8), MIB(8) + KIB(4),
	};
	int i, fd, odd;

	/* So that it is not by chance that anything is aligned */
	odd = heap_alloc(self->fd, KIB(4));
	ASSERT_LE(0, odd);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		long long pages = pages_of(lens[i]);
		struct buf_chunks chunks;
		unsigned long pfn;

		fd = heap_alloc(self->fd, lens[i]);
		ASSERT_LE(0, fd)
			TH_LOG("length %zu", lens[i]);
		EXPECT_STREQ(variant->name.heap, buf_exporter(fd));
		ASSERT_EQ(0, buf_get_chunks(self->importer, fd, 64, &chunks));
		ASSERT_EQ(1, chunks.count);
		pfn = chunks.chunk[0].pfn;
		EXPECT_EQ(pages, chunks.chunk[0].pages);
		EXPECT_LE(self->base, pfn);
		EXPECT_GE(self->base + self->pages, pfn + pages);
		EXPECT_EQ(0, pfn % pages_of(alignment(lens[i])))
			TH_LOG("length %zu at page 0x%lx", lens[i], pfn);
		EXPECT_EQ(1, chunks.segments);
		EXPECT_EQ(bytes(pages), chunks.dma_end - chunks.dma_start);
		buf_put_chunks(&chunks);
		EXPECT_EQ(0, close(fd));
		/* Small pages are better than an empty pool */
		ASSERT_TRUE(WAIT_FOR(pool_empty(variant->name.pool)));
	}
	EXPECT_EQ(0, close(odd));
}

/* How many buffers of @len the area has room for, if all are had one by one */
static long long room(long long pages, size_t len)
{
	return bytes(pages) / stride(len);
}

/* Each time, through the pool or around it */
CMA_TEST(all_of_the_area_is_allocated_and_comes_back)
{
	static const size_t lens[] = {
		MIB(1), MIB(2), MIB(1) + KIB(4), NV12_1080P,
	};
	int fds[MAX_BUFS], count, round, error;

	for (round = 0; round < ARRAY_SIZE(lens) * 2; round++) {
		size_t len = lens[round / 2];
		long long most = room(self->pages - self->others, len);

		/* Nothing of another size that breaks the area up */
		if (!(round % 2))
			ASSERT_TRUE(WAIT_FOR(pool_empty(variant->name.pool)));
		count = region_take(variant->name.heap, self->fd, len, fds,
				    MAX_BUFS, &error);
		EXPECT_EQ(-ENOMEM, error);
		/* They are packed, but one may be where somebody else is */
		EXPECT_GE(most, count);
		EXPECT_LE(most - (self->others && stride(len) != ALIGNMENT),
			  count);
		EXPECT_EQ(self->others + count * pages_of(len),
			  area_get(variant->name.area, "used"));
		EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, len * 2));
		region_give_back(fds, count);
	}
}

/* In one piece, with the pool full of others */
CMA_TEST(area_is_allocated_as_one_buffer)
{
	int fds[MAX_BUFS], count, error, whole;

	if (self->others)
		SKIP(return, "somebody else has some of the area");
	count = region_take(variant->name.heap, self->fd, MIB(1), fds, MAX_BUFS,
			    &error);
	EXPECT_EQ(-ENOMEM, error);
	region_give_back(fds, count);
	EXPECT_LT(0, pool_pages(variant->name.pool));
	whole = heap_alloc(self->fd, bytes(self->pages));
	ASSERT_LE(0, whole);
	EXPECT_EQ(-1, buf_find_nonzero(whole, bytes(self->pages)));
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, KIB(4)));
	EXPECT_EQ(0, close(whole));
}

/* Finds two in a row that are halves of different blocks; returns the second one */
static int find_straddling(int importer, const int *fds, int count, int *before)
{
	unsigned long long at[MAX_BUFS];
	int i, j;

	for (i = 0; i < count; i++)
		at[i] = buf_address(importer, fds[i]);
	for (i = 0; i < count; i++) {
		if (at[i] % BLOCK != ALIGNMENT)
			continue;
		for (j = 0; j < count; j++) {
			if (at[j] != at[i] + ALIGNMENT)
				continue;
			*before = i;
			return j;
		}
	}

	return -1;
}

/* A block is worth something, but not that there is no buffer at all */
CMA_TEST(block_is_had_in_two_halves)
{
	int fds[MAX_BUFS], count, error, before, behind, fd;
	unsigned long long at;

	/* What is freed goes to where others find it */
	ASSERT_EQ(0, pool_set(variant->name.heap, "max_bytes", 0));
	count = region_take(variant->name.heap, self->fd, ALIGNMENT, fds,
			    MAX_BUFS, &error);
	EXPECT_EQ(-ENOMEM, error);
	behind = find_straddling(self->importer, fds, count, &before);
	ASSERT_LE(0, behind);
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, BLOCK));
	at = buf_address(self->importer, fds[before]);
	EXPECT_EQ(0, close(fds[before]));
	EXPECT_EQ(0, close(fds[behind]));
	fds[before] = -1;
	fds[behind] = -1;
	fd = heap_alloc(self->fd, BLOCK);
	EXPECT_LE(0, fd);
	EXPECT_EQ(at, buf_address(self->importer, fd));
	close(fd);
	region_give_back(fds, count);
}

/* Before anything is looked for, in the pool or in the area */
CMA_TEST(more_than_the_area_is_refused)
{
	const __u64 lens[] = {
		bytes(self->pages) + KIB(4), 1ULL << 40, 1ULL << 62,
	};
	const char *heap = variant->name.heap;
	long long refused = heap_attr(heap, "failures/too_large");
	struct pool_stats before, after;
	int i;

	ASSERT_LE(0, refused);
	ASSERT_EQ(0, pool_read_stats(variant->name.pool, &before));
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, lens[i]));
		EXPECT_EQ(refused + i + 1, heap_attr(heap, "failures/too_large"));
	}
	ASSERT_EQ(0, pool_read_stats(variant->name.pool, &after));
	EXPECT_EQ(before.misses, after.misses);
}

/* Right after it was dirty; clean from the pool; and without it */
CMA_TEST(buffers_are_zeroed)
{
	static const size_t lens[] = {
		KIB(4), KIB(64), KIB(68), MIB(1), 1920 * 1080 * 3 / 2, MIB(8),
	};
	int i, round, fd;

	for (i = 0; i < ARRAY_SIZE(lens) * 6; i++) {
		size_t len = page_align(lens[i / 6]);

		round = i % 3;
		fd = buf_filled(self->fd, len, SEED + i);
		ASSERT_LE(0, fd);
		EXPECT_EQ(0, close(fd));
		if (round == 1)
			EXPECT_TRUE(WAIT_FOR(pool_is_clean(variant->name.pool,
							   pages_of(len))));
		if (round == 2)
			EXPECT_TRUE(WAIT_FOR(pool_empty(variant->name.pool)));
		fd = heap_alloc(self->fd, len);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-1, buf_find_nonzero(fd, len))
			TH_LOG("length %zu, round %d", len, round);
		EXPECT_EQ(0, close(fd));
		EXPECT_TRUE(WAIT_FOR(pool_empty(variant->name.pool)));
	}
}

#define KILLS	16

/* Without a pool, so that each allocation is long; every time it is elsewhere */
CMA_TEST(killed_allocator_gives_all_back)
{
	struct loop_buffer buffer = {
		.heap_fd = self->fd,
		.len = bytes(self->pages - self->others) / 2,
	};
	struct loop loop = { .random = SEED };
	int i, fd;

	ASSERT_EQ(0, pool_set(variant->name.heap, "max_bytes", 0));
	for (i = 0; i < KILLS; i++) {
		ASSERT_EQ(0, loop_start(&loop, loop_alloc_and_close, &buffer));
		EXPECT_EQ(-SIGKILL, loop_kill(&loop));
		EXPECT_EQ(self->others, area_get(variant->name.area, "used"));
	}
	fd = heap_alloc(self->fd, buffer.len);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, buf_find_nonzero(fd, buffer.len));
	EXPECT_EQ(0, close(fd));
}

/* Sizes of all kinds, some of which are kept */
CMA_TEST(buffers_of_random_sizes_are_zeroed)
{
	static const size_t most[] = { KIB(4), KIB(64), MIB(1), MIB(4) };
	__u64 state = self->base;
	int fds[8] = { }, i, slot;
	size_t len;

	for (i = 0; i < 200; i++) {
		slot = pseudo_random(&state) % ARRAY_SIZE(fds);
		if (fds[slot] > 0)
			close(fds[slot]);
		len = most[pseudo_random(&state) % ARRAY_SIZE(most)];
		len = page_align(1 + pseudo_random(&state) % len);
		fds[slot] = heap_alloc(self->fd, len);
		if (fds[slot] == -ENOMEM)
			continue;
		ASSERT_LE(0, fds[slot]);
		ASSERT_EQ(-1, buf_find_nonzero(fds[slot], len));
		ASSERT_EQ(0, close(fds[slot]));
		fds[slot] = buf_filled(self->fd, len, i);
	}
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] > 0)
			close(fds[i]);
}

CMA_TEST(buffers_of_the_kernel_leave_nothing_behind)
{
	static const size_t lens[] = { 1, KIB(64), MIB(1) + KIB(4) };
	int i, fd;

	for (i = 0; i < ARRAY_SIZE(lens) * 2; i++) {
		EXPECT_EQ(0, importer_do(self->importer, "kalloc %s %zu",
					 variant->name.heap, lens[i / 2]));
		/* And user space is not shown what it has left behind */
		fd = heap_alloc(self->fd, lens[i / 2]);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-1, buf_find_nonzero(fd, page_align(lens[i / 2])));
		EXPECT_EQ(0, close(fd));
	}
	EXPECT_EQ(-ENOMEM, importer_do(self->importer, "kalloc %s %zu",
				       variant->name.heap,
				       bytes(self->pages) + KIB(4)));
}

int main(int argc, char **argv)
{
	cma_tests_init();

	return test_harness_run(argc, argv);
}

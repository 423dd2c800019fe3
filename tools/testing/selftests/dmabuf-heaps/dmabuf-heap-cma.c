// SPDX-License-Identifier: GPL-2.0
/*
 * Heaps on CMA areas: their names, that buffers are in one piece, that all of an
 * area can be had and is had back, that the pool is in nobody's way, and that
 * movable pages in the area survive.
 *
 * Needs CONFIG_CMA_DEBUGFS, and the test importer. NEED in the environment names
 * what must not be lacking: cma, areas (three of them), chunks, importer. HEAP names
 * the heaps to test, if not all.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "../kselftest_harness.h"
#include "heap_regions.h"

#define READ_WRITE	(PROT_READ | PROT_WRITE)
#define TIMEOUT		400
#define SEED		71
#define MAX_BUFS	1024

/* CONFIG_CMA_ALIGNMENT: what nothing needs more than to be aligned to, in bytes */
#define ALIGNMENT	MIB(1)

/* What devices and CPUs map as one, which is worth more if it costs no room */
#define BLOCK		MIB(2)

/* An image whose buffer is no whole number of either */
#define NV12_1080P	(1920 * 1080 * 3 / 2)

static struct cma_heap heaps[MAX_AREAS];
static int heap_count;

/* A heap whose pool is empty and keeps what it gets. All is had back later. */
FIXTURE(cma)
{
	int fd;
	int importer;
	int open_fds;
	int buffers;
	long long bytes;
	long long pages;
	long long base;
	/* Allocated by others */
	long long others;
	long long max_kib;
	long long decay_ms;
};

FIXTURE_VARIANT(cma)
{
	struct cma_heap name;
};

FIXTURE_SETUP(cma)
{
	const char *heap = variant->name.heap, *area = variant->name.area;

	self->fd = heap_open(heap, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->importer = importer_open();
	if (self->importer < 0) {
		ASSERT_FALSE(is_needed("importer"));
		SKIP(return, "no test importer");
	}
	self->pages = area_get(area, "count");
	self->base = area_get(area, "base_pfn");
	ASSERT_LT(0, self->pages);
	self->max_kib = pool_get(heap, "max_kib");
	self->decay_ms = pool_get(heap, "decay_ms");
	ASSERT_LE(0, self->max_kib);
	ASSERT_EQ(0, pool_set(heap, "decay_ms", 600000));
	ASSERT_TRUE(WAIT_FOR(pool_keeps(area, self->fd)));
	ASSERT_TRUE(WAIT_FOR(pool_empty(area)));
	self->others = area_get(area, "used");
	self->open_fds = open_fds();
	self->buffers = heap_buffers(heap);
	self->bytes = heap_attr(heap, "bytes");
}

FIXTURE_TEARDOWN(cma)
{
	const char *heap = variant->name.heap, *area = variant->name.area;

	EXPECT_EQ(self->open_fds, open_fds());
	EXPECT_EQ(self->buffers, heap_buffers(heap));
	EXPECT_EQ(self->bytes, heap_attr(heap, "bytes"));
	EXPECT_TRUE(WAIT_FOR(pool_empty(area)));
	EXPECT_EQ(self->others, area_get(area, "used"));
	EXPECT_EQ(0, pool_set(heap, "max_kib", self->max_kib));
	EXPECT_EQ(0, pool_set(heap, "decay_ms", self->decay_ms));
	close(self->importer);
	close(self->fd);
}

#define CMA_TEST(name)	TEST_F_TIMEOUT(cma, name, TIMEOUT)

static size_t bytes(long long pages)
{
	return pages * page_size();
}

static size_t round_up(size_t len, size_t unit)
{
	return (len + unit - 1) / unit * unit;
}

/* What a buffer of @len occupies when there is one after the other */
static size_t stride(size_t len)
{
	size_t unit = page_size();

	while (unit < len && unit < ALIGNMENT)
		unit *= 2;

	return round_up(len, unit);
}

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

/* The other name of the default area's heap, or NULL */
static const char *other_name(const struct cma_heap *name)
{
	int i;

	for (i = 0; i < heap_count; i++)
		if (!strcmp(heaps[i].area, name->area) &&
		    strcmp(heaps[i].heap, name->heap))
			return heaps[i].heap;

	return NULL;
}

/* Puts @count dirty buffers into the pool, as far as it takes them */
static int fill_pool(int heap_fd, size_t len, int count)
{
	int fds[MAX_BUFS], i, ret = 0;

	for (i = 0; i < count; i++) {
		fds[i] = buf_filled(heap_fd, len, SEED + i);
		if (fds[i] < 0) {
			ret = fds[i];
			break;
		}
	}
	region_give_back(fds, i);

	return ret;
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
	/* The default one twice */
	if (is_needed("areas"))
		EXPECT_EQ(4, heap_count);
}

CMA_TEST(tells_the_size_of_the_area)
{
	EXPECT_EQ(bytes(self->pages) / KIB(1),
		  heap_attr(variant->name.heap, "cma/size_kib"));
}

CMA_TEST(in_one_piece)
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
	}
	EXPECT_EQ(0, close(odd));
}

/* How many buffers of @len the area has room for, if all are had one by one */
static long long room(long long pages, size_t len)
{
	return bytes(pages) / stride(len);
}

static bool pool_all_clean(const char *area)
{
	return pool_is_clean(area, pool_pages(area));
}

/* Each time, through the pool or around it */
CMA_TEST(exhausted_and_had_back)
{
	static const size_t lens[] = {
		MIB(1), MIB(2), MIB(1) + KIB(4), NV12_1080P,
	};
	int fds[MAX_BUFS], count, round, error, whole;

	for (round = 0; round < ARRAY_SIZE(lens) * 2; round++) {
		size_t len = lens[round / 2];
		long long most = room(self->pages - self->others, len);

		/* Nothing of another size that breaks the area up */
		if (!(round % 2))
			ASSERT_TRUE(WAIT_FOR(pool_empty(variant->name.area)));
		count = region_take(variant->name.heap, self->fd, len, fds,
				    MAX_BUFS, &error);
		EXPECT_EQ(-ENOMEM, error);
		/* They are packed, but one may be where somebody else is */
		if (!self->others || stride(len) == ALIGNMENT)
			EXPECT_EQ(most, count);
		EXPECT_LE(most - 1, count);
		EXPECT_EQ(self->others + count * pages_of(len),
			  area_get(variant->name.area, "used"));
		EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, len * 2));
		region_give_back(fds, count);
	}

	/* In one piece, whatever is in the pool by now */
	EXPECT_LT(0, pool_pages(variant->name.area));
	if (self->others)
		return;
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
CMA_TEST(block_in_two_halves)
{
	int fds[MAX_BUFS], count, error, before, behind, fd;
	unsigned long long at;

	/* What is freed goes to where others find it */
	ASSERT_EQ(0, pool_set(variant->name.heap, "max_kib", 0));
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

CMA_TEST(too_large)
{
	const __u64 lens[] = {
		bytes(self->pages) + KIB(4), 1ULL << 40, 1ULL << 62,
	};
	long long start;
	int i;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		start = now_ms();
		EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, lens[i]));
		EXPECT_GT(AT_ONCE_MS, now_ms() - start);
	}
}

/* A buffer of another size, by the one name or the other */
CMA_TEST(pool_gives_way_to_buffers)
{
	static const size_t lens[] = { MIB(1), KIB(68), KIB(4) };
	const char *other = other_name(&variant->name);
	int other_fd = -1, i, fd;
	size_t len;

	if (other) {
		other_fd = heap_open(other, O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, other_fd);
	}
	len = bytes(self->pages - self->others) / 4 * 3;
	for (i = 0; i < ARRAY_SIZE(lens) * 2; i++) {
		int count = bytes(self->pages) / 2 / lens[i / 2];

		if (count > 256)
			count = 256;
		ASSERT_EQ(0, fill_pool(self->fd, lens[i / 2], count));
		EXPECT_LT(0, pool_pages(variant->name.area));
		/* Also when nothing is dirty any more */
		if (i % 2)
			EXPECT_TRUE(WAIT_FOR(pool_all_clean(variant->name.area)));
		/* What is not in its way may stay */
		fd = heap_alloc(other && i % 2 ? other_fd : self->fd,
				self->others ? len : bytes(self->pages));
		ASSERT_LE(0, fd)
			TH_LOG("%s", pool_text(variant->name.area));
		EXPECT_EQ(-1, buf_find_nonzero(fd, len));
		EXPECT_EQ(0, close(fd));
		ASSERT_TRUE(WAIT_FOR(pool_empty(variant->name.area)));
	}
	if (other)
		EXPECT_EQ(0, close(other_fd));
}

/* Who allocates from the area and has never heard of heaps */
CMA_TEST(pool_gives_way_to_others)
{
	long long pages = self->pages - self->others;
	int i;

	/* In as many pieces as it takes when somebody has some of it already */
	if (self->others)
		pages = pages / 4 * 3;
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, fill_pool(self->fd, MIB(1),
				       bytes(self->pages) / 2 / MIB(1)));
		EXPECT_LT(0, pool_pages(variant->name.area));
		if (i)
			EXPECT_TRUE(WAIT_FOR(pool_all_clean(variant->name.area)));
		EXPECT_EQ(0, area_set(variant->name.area, "alloc", pages))
			TH_LOG("%s", pool_text(variant->name.area));
		EXPECT_EQ(self->others + pages + pool_pages(variant->name.area),
			  area_get(variant->name.area, "used"));
		EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, bytes(pages)));
		EXPECT_EQ(0, area_set(variant->name.area, "free", pages));
		EXPECT_TRUE(WAIT_FOR(pool_empty(variant->name.area)));
		EXPECT_EQ(self->others, area_get(variant->name.area, "used"));
	}
}

/* At once, when it may still be dirty; clean from the pool; and without it */
CMA_TEST(zeroed)
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
			EXPECT_TRUE(WAIT_FOR(pool_is_clean(variant->name.area,
							   pages_of(len))));
		if (round == 2)
			EXPECT_TRUE(WAIT_FOR(pool_empty(variant->name.area)));
		fd = heap_alloc(self->fd, len);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-1, buf_find_nonzero(fd, len))
			TH_LOG("length %zu, round %d", len, round);
		EXPECT_EQ(0, close(fd));
		EXPECT_TRUE(WAIT_FOR(pool_empty(variant->name.area)));
	}
}

CMA_TEST(given_back_to_the_system)
{
	long long count, freed, pages;

	ASSERT_EQ(0, fill_pool(self->fd, MIB(1), 4));
	ASSERT_EQ(0, fill_pool(self->fd, KIB(68), 4));
	pages = 4 * pages_of(MIB(1)) + 4 * pages_of(KIB(68));
	EXPECT_TRUE(WAIT_FOR(pool_is_clean(variant->name.area, pages)));
	EXPECT_EQ(self->others + pages, area_get(variant->name.area, "used"));
	ASSERT_EQ(0, pool_shrink(variant->name.area, &count, &freed));
	EXPECT_EQ(pages, count);
	EXPECT_EQ(pages, freed);
	EXPECT_EQ(0, pool_pages(variant->name.area));
	EXPECT_EQ(self->others, area_get(variant->name.area, "used"));

	EXPECT_TRUE(WAIT_FOR(pool_keeps(variant->name.area, self->fd)));
	EXPECT_EQ(0, file_write("/proc/sys/vm/drop_caches", "2"));
	EXPECT_EQ(0, pool_pages(variant->name.area));
	EXPECT_EQ(self->others, area_get(variant->name.area, "used"));
}

/* Half of the area, if nobody says otherwise */
CMA_TEST(pool_is_bounded)
{
	int fds[MAX_BUFS], count, error;

	EXPECT_EQ(bytes(self->pages) / 1024 / 2, self->max_kib);
	count = region_take(variant->name.heap, self->fd, MIB(1), fds, MAX_BUFS,
			    &error);
	EXPECT_EQ(-ENOMEM, error);
	region_give_back(fds, count);
	EXPECT_GE(self->pages / 2, pool_pages(variant->name.area));
	EXPECT_LE(self->pages / 4, pool_pages(variant->name.area));

	ASSERT_EQ(0, pool_set(variant->name.heap, "max_kib", 3 << 10));
	EXPECT_EQ(3 * pages_of(MIB(1)), pool_pages(variant->name.area));
	ASSERT_EQ(0, pool_set(variant->name.heap, "max_kib", 0));
	EXPECT_TRUE(WAIT_FOR(!pool_pages(variant->name.area)));
	EXPECT_EQ(self->others, area_get(variant->name.area, "used"));
}

#define KILLS	16

static void allocate_forever(int heap_fd, size_t len)
{
	for (;;) {
		int fd = heap_alloc(heap_fd, len);

		if (fd < 0)
			_exit(1);
		close(fd);
	}
}

/* Without a pool, so that each allocation is long; every time it is elsewhere */
CMA_TEST(killed_allocator_gives_all_back)
{
	size_t len = bytes(self->pages - self->others) / 2;
	int i, status, fd;
	pid_t child;

	ASSERT_EQ(0, pool_set(variant->name.heap, "max_kib", 0));
	for (i = 0; i < KILLS; i++) {
		child = fork();
		ASSERT_LE(0, child);
		if (!child)
			allocate_forever(self->fd, len);
		usleep(5000 + i * 1700);
		EXPECT_EQ(0, kill(child, SIGKILL));
		ASSERT_EQ(child, waitpid(child, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status))
			TH_LOG("an allocation failed before the kill");
		EXPECT_EQ(self->others, area_get(variant->name.area, "used"));
	}
	fd = heap_alloc(self->fd, len);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, buf_find_nonzero(fd, len));
	EXPECT_EQ(0, close(fd));
}

/* No two sizes are the same, and none is smaller by as much as all are aligned to */
#define TASKS	4
#define ROUNDS	60

/* Each time of a size that there has not been yet, but in the same space */
static void allocate_slots(int heap_fd, size_t slot, int task)
{
	int i, fd;

	for (i = 0; i < ROUNDS; i++) {
		fd = heap_alloc(heap_fd, slot - KIB(4) * (i * TASKS + task));
		if (fd < 0)
			_exit(-fd);
		close(fd);
	}
	_exit(0);
}

/*
 * With a pool that takes all the rest, of sizes that nobody wants any more. There is
 * room for twice as many as there are tasks, and all sizes need the same room.
 */
CMA_TEST(many_find_room)
{
	long long size = bytes(self->pages), shrunk;
	/* Who has some of it may be in the middle */
	size_t slot = size / (self->others ? 16 : 8);
	struct pool_stats stats;
	pid_t children[TASKS];
	int i, status;

	ASSERT_EQ(0, slot % ALIGNMENT);
	ASSERT_EQ(0, pool_set(variant->name.heap, "max_kib", size / 1024));
	ASSERT_EQ(0, pool_read_stats(variant->name.area, &stats));
	shrunk = stats.shrunk_pages;
	for (i = 0; i < TASKS; i++) {
		children[i] = fork();
		ASSERT_LE(0, children[i]);
		if (!children[i])
			allocate_slots(self->fd, slot, i);
	}
	for (i = 0; i < TASKS; i++) {
		ASSERT_EQ(children[i], waitpid(children[i], &status, 0));
		EXPECT_EQ(0, status)
			TH_LOG("task %d: error %d", i, WEXITSTATUS(status));
	}
	/* The pool had to go, and not only once */
	ASSERT_EQ(0, pool_read_stats(variant->name.area, &stats));
	EXPECT_LE(shrunk + 2 * self->pages, stats.shrunk_pages)
		TH_LOG("%s", pool_text(variant->name.area));
}

/* Sizes of all kinds, some of which are kept */
CMA_TEST(survives_random_sizes)
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

CMA_TEST(kernel_allocates)
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

/* The other heap of an area, of chunks of one size, which is there on demand */

#define CHUNK_KIB	"/sys/module/cma_heap/parameters/chunk_kib"

/* Bytes of a chunk, or 0 without such heaps */
static size_t chunk_size(void)
{
	long long kib = file_number(CHUNK_KIB);

	return kib > 0 ? KIB(kib) : 0;
}

static void chunks_name(char *name, size_t size, const char *area)
{
	snprintf(name, size, "%s-chunks", area);
}

CMA_TEST(chunks_are_of_one_size)
{
	size_t chunk = chunk_size(), len = 3 * chunk + KIB(4);
	char name[HEAP_NAME_SIZE + 8];
	struct buf_chunks chunks;
	int heap_fd, fd, i;

	if (!chunk) {
		ASSERT_FALSE(is_needed("chunks"));
		SKIP(return, "no heap of chunks");
	}
	chunks_name(name, sizeof(name), variant->name.area);
	heap_fd = heap_open(name, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, heap_fd);
	EXPECT_EQ(0, heap_attr(name, "contiguous"));
	fd = heap_alloc(heap_fd, len);
	ASSERT_LE(0, fd);
	EXPECT_STREQ(name, buf_exporter(fd));
	EXPECT_EQ(-1, buf_find_nonzero(fd, len));
	ASSERT_EQ(0, buf_get_chunks(self->importer, fd, 64, &chunks));
	ASSERT_EQ(4, chunks.count);
	for (i = 0; i < chunks.count; i++) {
		unsigned long pfn = chunks.chunk[i].pfn;

		EXPECT_EQ(i < 3 ? pages_of(chunk) : 1, chunks.chunk[i].pages);
		EXPECT_EQ(0, i < 3 ? pfn % pages_of(chunk) : 0);
		EXPECT_LE(self->base, pfn);
		EXPECT_GT(self->base + self->pages, pfn);
	}
	buf_put_chunks(&chunks);
	EXPECT_EQ(0, close(fd));
	EXPECT_TRUE(WAIT_FOR(pool_empty(name)));
	EXPECT_EQ(0, close(heap_fd));
}

/* Where none is left for a buffer in one piece; and both heaps give way */
CMA_TEST(chunks_find_room)
{
	char name[HEAP_NAME_SIZE + 8];
	int heap_fd, fds[MAX_BUFS], count, error, fd, i;
	size_t chunk = chunk_size();

	if (!chunk) {
		ASSERT_FALSE(is_needed("chunks"));
		SKIP(return, "no heap of chunks");
	}
	chunks_name(name, sizeof(name), variant->name.area);
	heap_fd = heap_open(name, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, heap_fd);
	ASSERT_EQ(0, pool_set(variant->name.heap, "max_kib", 0));
	/* The rest of a large area stays in one hand */
	fd = -1;
	if (self->pages > pages_of(MIB(16)))
		fd = heap_alloc(self->fd, bytes(self->pages) - MIB(16));
	count = region_take(variant->name.heap, self->fd, chunk, fds, MAX_BUFS,
			    &error);
	EXPECT_EQ(-ENOMEM, error);
	for (i = 0; i < count; i += 2)
		close(fds[i]);
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, chunk * 2));
	i = heap_alloc(heap_fd, chunk * (count / 2));
	EXPECT_LE(0, i);
	close(i);
	for (i = 1; i < count; i += 2)
		close(fds[i]);
	close(fd);

	/* What it has left in its pool is in nobody's way */
	EXPECT_LT(0, pool_pages(name));
	fd = heap_alloc(self->fd, bytes(self->pages - self->others) / 4 * 3);
	EXPECT_LE(0, fd);
	close(fd);
	EXPECT_TRUE(WAIT_FOR(pool_empty(name)));
	EXPECT_EQ(0, close(heap_fd));
}

/* The default area, by both its names */
FIXTURE(default_area)
{
	const char *area;
	const char *names[2];
	int fds[2];
	int importer;
	long long others;
	long long max_kib;
};

FIXTURE_SETUP(default_area)
{
	int i;

	for (i = 0; i < heap_count; i++)
		if (!strcmp(heaps[i].heap, DEFAULT_AREA_HEAP))
			break;
	if (i == heap_count) {
		ASSERT_FALSE(is_needed("cma"));
		SKIP(return, "no default area");
	}
	self->area = heaps[i].area;
	self->names[0] = DEFAULT_AREA_HEAP;
	self->names[1] = self->area;
	for (i = 0; i < ARRAY_SIZE(self->fds); i++) {
		self->fds[i] = heap_open(self->names[i], O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, self->fds[i]);
	}
	self->importer = importer_open();
	if (self->importer < 0) {
		ASSERT_FALSE(is_needed("importer"));
		SKIP(return, "no test importer");
	}
	ASSERT_TRUE(WAIT_FOR(pool_keeps(self->area, self->fds[0])));
	ASSERT_EQ(0, file_write("/proc/sys/vm/drop_caches", "3"));
	ASSERT_TRUE(WAIT_FOR(pool_empty(self->area)));
	ASSERT_TRUE(WAIT_FOR(pool_keeps(self->area, self->fds[0])));
	ASSERT_TRUE(WAIT_FOR(pool_empty(self->area)));
	self->others = area_get(self->area, "used");
	self->max_kib = pool_get(self->names[0], "max_kib");
}

FIXTURE_TEARDOWN(default_area)
{
	int i;

	EXPECT_EQ(0, pool_set(self->names[0], "max_kib", self->max_kib));
	EXPECT_TRUE(WAIT_FOR(pool_empty(self->area)));
	EXPECT_EQ(self->others, area_get(self->area, "used"));
	for (i = 0; i < ARRAY_SIZE(self->fds); i++)
		close(self->fds[i]);
	close(self->importer);
}

#define DEFAULT_AREA_TEST(name) \
	TEST_F_TIMEOUT(default_area, name, TIMEOUT)

/* The one's buffer is the other's when it is closed; each has its own name */
DEFAULT_AREA_TEST(names_share_memory_and_pool)
{
	struct buf_chunks first, second;
	int i, fd;

	for (i = 0; i < ARRAY_SIZE(self->fds); i++) {
		fd = buf_filled(self->fds[i], MIB(1), SEED);
		ASSERT_LE(0, fd);
		EXPECT_STREQ(self->names[i], buf_exporter(fd));
		ASSERT_EQ(0, buf_get_chunks(self->importer, fd, 64, &first));
		EXPECT_EQ(0, close(fd));
		EXPECT_TRUE(WAIT_FOR(pool_is_clean(self->area,
						   pages_of(MIB(1)))));

		fd = heap_alloc(self->fds[!i], MIB(1));
		ASSERT_LE(0, fd);
		EXPECT_STREQ(self->names[!i], buf_exporter(fd));
		EXPECT_EQ(0, pool_pages(self->area));
		EXPECT_EQ(-1, buf_find_nonzero(fd, MIB(1)));
		ASSERT_EQ(0, buf_get_chunks(self->importer, fd, 64, &second));
		EXPECT_EQ(first.chunk[0].pfn, second.chunk[0].pfn);
		buf_put_chunks(&first);
		buf_put_chunks(&second);
		EXPECT_EQ(0, close(fd));
		EXPECT_TRUE(WAIT_FOR(pool_empty(self->area)));

		ASSERT_EQ(0, pool_set(self->names[i], "max_kib", 1024 << i));
		EXPECT_EQ(1024 << i, pool_get(self->names[!i], "max_kib"));
	}
}

/* Movable pages */

/* Memory that is left alone, KiB: what is in the area has to go somewhere */
#define LEFT_ALONE	(64 * 1024)
#define STEP		MIB(8)
#define ROOM		MIB(256)

/* Writes to every page of the next part of the map */
static void populate(char *p, size_t from, size_t to)
{
	for (; from < to; from += page_size())
		*(__u64 *)(p + from) = from ^ SEED;
}

static long long populated_wrong(const char *p, size_t from, size_t to)
{
	for (; from < to; from += page_size())
		if (*(__u64 *)(p + from) != (from ^ SEED))
			return from;

	return -1;
}

/* Returns how much was written to until three quarters of all areas are taken */
static size_t fill_areas(char *p, size_t size)
{
	long long total = meminfo_kib("CmaTotal:");
	size_t at = 0;

	while (at + STEP <= size && meminfo_kib("CmaFree:") * 4 > total &&
	       meminfo_kib("MemFree:") > LEFT_ALONE) {
		populate(p, at, at + STEP);
		at += STEP;
	}

	return at;
}

DEFAULT_AREA_TEST(movable_pages_survive)
{
	size_t size = (size_t)meminfo_kib("MemTotal:") * 1024, filled;
	long long others = area_get(self->area, "used");
	int fds[MAX_BUFS], count, want, error, i;
	char *p;

	p = mmap(NULL, size, READ_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	/* Pages, in part of it large ones */
	madvise(p, size / 2, MADV_NOHUGEPAGE);
	filled = fill_areas(p, size);
	ASSERT_LT(ROOM, filled);
	EXPECT_GE(meminfo_kib("CmaTotal:") / 2, meminfo_kib("CmaFree:"))
		TH_LOG("hardly any movable page is in an area");
	/* The first ones are not in an area, but they are where these can go */
	ASSERT_EQ(0, munmap(p, ROOM));

	want = bytes(area_get(self->area, "count") - others) / MIB(1) / 4 * 3;
	count = region_take(self->names[0], self->fds[0], MIB(1), fds, want,
			    &error);
	EXPECT_EQ(want, count)
		TH_LOG("%d", error);
	for (i = 0; i < count; i++)
		EXPECT_EQ(-1, buf_find_nonzero(fds[i], MIB(1)));
	EXPECT_EQ(-1, populated_wrong(p, ROOM, filled));
	region_give_back(fds, count);
	EXPECT_EQ(-1, populated_wrong(p, ROOM, filled));
	EXPECT_EQ(0, munmap(p + ROOM, size - ROOM));
}

static FIXTURE_VARIANT(cma) variant_data[MAX_AREAS];
static struct __fixture_variant_metadata variants[MAX_AREAS];

/* Of the default area: the tests of its names show that it is the same heap */
static bool is_second_name(const struct cma_heap *name)
{
	return other_name(name) && strcmp(name->heap, DEFAULT_AREA_HEAP);
}

int main(int argc, char **argv)
{
	bool chosen = false;
	int i;

	heap_count = cma_heaps_find(heaps, MAX_AREAS);
	if (!heap_count) {
		ksft_print_header();
		if (is_needed("cma"))
			ksft_exit_fail_msg("no CMA area, or no debugfs to see it\n");
		ksft_exit_skip("no CMA area, or no debugfs to see it\n");
	}
	for (i = 0; i < heap_count; i++) {
		if (is_second_name(&heaps[i]) ||
		    !heap_is_asked_for(heaps[i].heap))
			continue;
		variant_data[i].name = heaps[i];
		variants[i].name = heaps[i].heap;
		variants[i].data = &variant_data[i];
		__register_fixture_variant(&_cma_fixture_object, &variants[i]);
		chosen = true;
	}
	if (!chosen) {
		ksft_print_header();
		ksft_exit_skip("no CMA heap among %s\n", getenv("HEAP"));
	}

	return test_harness_run(argc, argv);
}

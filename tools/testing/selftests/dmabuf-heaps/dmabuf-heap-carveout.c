// SPDX-License-Identifier: GPL-2.0
/*
 * Heaps on carveouts of the device tree: that buffers are in one piece of the
 * region, that all of it can be had and is had back, clean, whatever was there
 * before, and what happens when there is no room.
 *
 * NEED in the environment names what must not be lacking: carveout, importer,
 * fresh (heaps that nobody has used since the machine was booted), attributes (the
 * importer tells how a page is cached).
 */

#include <sys/mman.h>
#include <sys/utsname.h>

#include "heap_carveout.h"

/* A pool is given its region in such pieces, or larger ones for the alignment */
#define FIRST_PIECE	MIB(32)

/*
 * Whether the region is in the pool as it was put there, clean, with nothing that
 * was given back yet; what nobody wants leaves the pool after a while.
 */
static bool is_fresh(const struct carveout *region)
{
	if (pool_set(region->heap, "decay_ms", 600000))
		return false;

	return WAIT_FOR(pool_is_clean(region->heap, pool_pages(region->heap))) &&
	       !carveout_get(region->heap, "free_bytes");
}

/* How many buffers of that size there are, but not more than a few */
static int count_aligned(struct __test_metadata *_metadata,
			 const struct carveout *region, int importer,
			 int heap_fd, size_t len)
{
	unsigned long long at;
	int fds[4], count, error, i;

	count = region_take(region->heap, heap_fd, len, fds, ARRAY_SIZE(fds),
			    &error);
	for (i = 0; i < count; i++) {
		at = buf_address(importer, fds[i]);
		EXPECT_NE(0, at);
		EXPECT_EQ(0, at % region->alignment)
			TH_LOG("%s: %zu bytes at 0x%llx", region->heap, len, at);
	}
	region_give_back(fds, count);

	return count;
}

/* Of all sizes that a piece in the pool may have, with and without what is left out */
static void check_first_buffers(struct __test_metadata *_metadata,
				const struct carveout *region, int importer)
{
	size_t whole = region->size + region->left_out;
	const size_t lens[] = {
		FIRST_PIECE, whole % FIRST_PIECE, region->size % FIRST_PIECE,
		whole, region->size,
	};
	int i, heap_fd, count = 0;

	heap_fd = heap_open(region->heap, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, heap_fd);
	for (i = 0; i < ARRAY_SIZE(lens); i++)
		if (lens[i])
			count += count_aligned(_metadata, region, importer,
					       heap_fd, lens[i]);
	EXPECT_LT(0, count);
	EXPECT_EQ(0, close(heap_fd));
}

/* The regions that begin before the first address that buffers are aligned to */
static int find_cut_off(const struct carveout **found)
{
	int i, count = 0;

	for (i = 0; i < carveout_count; i++)
		if (carveouts[i].left_out && !carveouts[i].protected)
			found[count++] = &carveouts[i];

	return count;
}

/* The very first test: once a heap has been used, its pool is not what it was */
TEST(first_buffers_are_aligned)
{
	int i, importer = importer_open(), count, fresh = 0;
	const struct carveout *found[MAX_CARVEOUTS];
	long long decay_ms[MAX_CARVEOUTS];

	if (importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	count = find_cut_off(found);
	for (i = 0; i < count; i++) {
		decay_ms[i] = pool_get(found[i]->heap, "decay_ms");
		fresh += is_fresh(found[i]);
	}
	if (count && fresh == count)
		for (i = 0; i < count; i++)
			check_first_buffers(_metadata, found[i], importer);
	for (i = 0; i < count; i++)
		EXPECT_EQ(0, pool_set(found[i]->heap, "decay_ms", decay_ms[i]));
	close(importer);
	if (!count || fresh < count)
		SKIP_UNLESS_NEEDED(return, "fresh",
				   "no region with a part that is left out, or used before");
}

/* First of all, since nothing of it has been scrubbed for another buffer yet */
CARVEOUT_TEST(what_was_there_at_boot_is_gone)
{
	size_t len = variant->region.size;
	int fd;

	fd = region_alloc(variant->region.heap, self->fd, len);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, buf_find_nonzero(fd, len));
	EXPECT_EQ(0, close(fd));
}

CARVEOUT_TEST(is_as_the_tree_says)
{
	const struct carveout *region = &variant->region;
	unsigned long long at;
	int fd;

	EXPECT_EQ(region->size, carveout_get(region->heap, "size_bytes"));
	EXPECT_EQ(region->size, carveout_get(region->heap, "free_bytes"));
	EXPECT_EQ(region->size, heap_attr(region->heap, "buffer_limit_bytes"));
	EXPECT_LE(0, self->fallbacks);
	fd = heap_alloc(self->fd, region->size);
	ASSERT_LE(0, fd);
	EXPECT_STREQ(region->heap, buf_exporter(fd));
	at = buf_address(self->importer, fd);
	EXPECT_NE(0, at);
	/* Where the kernel has chosen the place, any is right */
	EXPECT_EQ(region->base ?: at, at);
	EXPECT_EQ(0, close(fd));
}

/* Where the region is: where a buffer of its size is */
static unsigned long long region_base(const struct carveout *region,
				      int heap_fd, int importer)
{
	int fd = region_alloc(region->heap, heap_fd, region->size);
	unsigned long long base = buf_address(importer, fd);

	close(fd);

	return base;
}

CARVEOUT_TEST(buffers_are_in_one_aligned_piece)
{
	const struct carveout *region = &variant->region;
	static const size_t lens[] = {
		KIB(4), KIB(8), KIB(64), KIB(68), MIB(1), MIB(1) + KIB(4),
		1920 * 1080 * 3 / 2, MIB(5), MIB(9),
	};
	unsigned long long base;
	int i, odd, fd;

	base = region_base(region, self->fd, self->importer);
	ASSERT_NE(0, base);
	/* So that it is not by chance that anything is aligned */
	odd = heap_alloc(self->fd, KIB(4));
	ASSERT_LE(0, odd);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		size_t len = page_align(lens[i]);
		unsigned long long at;

		if (len > region->size / 4)
			continue;
		fd = heap_alloc(self->fd, lens[i]);
		ASSERT_LE(0, fd);
		EXPECT_STREQ(region->heap, buf_exporter(fd));
		at = buf_address(self->importer, fd);
		EXPECT_LE(base, at);
		EXPECT_GE(base + region->size, at + len);
		EXPECT_EQ(0, at % carveout_alignment(region, len))
			TH_LOG("length %zu at 0x%llx", len, at);
		EXPECT_EQ(0, close(fd));
	}
	EXPECT_EQ(0, close(odd));
}

/* A device sees one range, of the length of the buffer */
CARVEOUT_TEST(devices_see_one_range)
{
	static const int devices[] = {
		IMPORTER_64, IMPORTER_32, IMPORTER_COHERENT,
	};
	size_t len = KIB(512);
	struct buf_chunks chunks;
	int i, fd;

	fd = heap_alloc(self->fd, len);
	ASSERT_LE(0, fd);
	for (i = 0; i < ARRAY_SIZE(devices); i++) {
		ASSERT_EQ(0, buf_get_chunks(self->importer, fd, devices[i],
					    &chunks));
		EXPECT_EQ(1, chunks.count);
		EXPECT_EQ(pages_of(len), chunks.chunk[0].pages);
		EXPECT_EQ(1, chunks.segments);
		EXPECT_EQ(len, chunks.dma_end - chunks.dma_start);
		buf_put_chunks(&chunks);
	}
	EXPECT_EQ(0, close(fd));
}

/* With gaps between them, one buffer may be lost at each end of the region */
static int least_count(const struct carveout *region, size_t len)
{
	size_t apart = stride(region, len);

	return apart == len ? region->size / len : region->size / apart - 1;
}

CARVEOUT_TEST(all_of_the_region_is_allocated_and_comes_back)
{
	const struct carveout *region = &variant->region;
	static const size_t lens[] = { MIB(1), KIB(512), KIB(68) };
	int fds[MAX_BUFS], i, count, error, whole;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		size_t len = lens[i];

		/* The last length fits all regions */
		if (len > region->size)
			continue;
		count = region_take(region->heap, self->fd, len, fds, MAX_BUFS,
				    &error);
		EXPECT_EQ(-ENOMEM, error);
		EXPECT_LE(least_count(region, len), count);
		EXPECT_GE(region->size / len, count);
		EXPECT_TRUE(WAIT_FOR(carveout_get(region->heap, "free_bytes") ==
				     region->size - count * len));
		/* One of them goes, and another one can be had in its place */
		close(fds[--count]);
		fds[count] = region_alloc(region->heap, self->fd, len);
		EXPECT_LE(0, fds[count]);
		region_give_back(fds, count + (fds[count] >= 0));
	}

	/* And all that in one piece, with the pool full of others */
	whole = region_alloc(region->heap, self->fd, region->size);
	ASSERT_LE(0, whole);
	EXPECT_EQ(-1, buf_find_nonzero(whole, region->size));
	EXPECT_EQ(0, carveout_get(region->heap, "free_bytes"));
	EXPECT_EQ(0, close(whole));
}

CARVEOUT_TEST(last_page_is_allocated)
{
	const struct carveout *region = &variant->region;
	size_t left = region->size / 2;
	int fds[MAX_BUFS], count, large, error;

	if (stride(region, KIB(4)) != KIB(4))
		SKIP(return, "pages of this region are kept apart");
	if (left > MIB(1))
		left = MIB(1);
	large = region_alloc(region->heap, self->fd, region->size - left);
	ASSERT_LE(0, large);
	count = region_take(region->heap, self->fd, KIB(4), fds, MAX_BUFS,
			    &error);
	EXPECT_EQ(-ENOMEM, error);
	EXPECT_EQ(left / KIB(4), count);
	EXPECT_EQ(0, carveout_get(region->heap, "free_bytes"));
	region_give_back(fds, count);
	EXPECT_EQ(0, close(large));
}

/* Before anything is looked for, in the pool or in the region */
CARVEOUT_TEST(more_than_the_region_is_refused)
{
	const struct carveout *region = &variant->region;
	const __u64 lens[] = { region->size + KIB(4), 1ULL << 44, 1ULL << 62 };
	long long refused = heap_attr(region->heap, "failures/too_large");
	struct pool_stats before, after;
	int i;

	ASSERT_LE(0, refused);
	ASSERT_EQ(0, pool_read_stats(region->heap, &before));
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		EXPECT_EQ(-ENOMEM, region_alloc(region->heap, self->fd, lens[i]));
		EXPECT_EQ(refused + i + 1,
			  heap_attr(region->heap, "failures/too_large"));
	}
	ASSERT_EQ(0, pool_read_stats(region->heap, &after));
	EXPECT_EQ(before.misses, after.misses);
}

/* Right after it was dirty; clean from the pool; and from the region */
CARVEOUT_TEST(buffers_are_zeroed)
{
	static const size_t lens[] = {
		KIB(4), KIB(64), KIB(68), MIB(1), 1920 * 1080 * 3 / 2, MIB(8),
	};
	const struct carveout *region = &variant->region;
	int i, round, fd;

	for (i = 0; i < ARRAY_SIZE(lens) * 6; i++) {
		size_t len = page_align(lens[i / 6]);

		if (len > region->size)
			continue;
		round = i % 3;
		fd = buf_filled(self->fd, len, SEED + i);
		ASSERT_LE(0, fd);
		EXPECT_EQ(0, close(fd));
		if (round == 1)
			EXPECT_TRUE(WAIT_FOR(pool_is_clean(region->heap,
							   pages_of(len))));
		if (round == 2)
			EXPECT_EQ(0, carveout_settle(region));
		fd = region_alloc(region->heap, self->fd, len);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-1, buf_find_nonzero(fd, len))
			TH_LOG("length %zu, round %d", len, round);
		EXPECT_EQ(0, close(fd));
		EXPECT_EQ(0, carveout_settle(region));
		EXPECT_EQ(0, pool_set(region->heap, "decay_ms", 600000));
	}
}

/* A pool that keeps nothing scrubs all the same */
CARVEOUT_TEST(buffers_are_zeroed_without_a_pool)
{
	const struct carveout *region = &variant->region;
	size_t len = region->size / 2 & ~(page_size() - 1);
	long long max_bytes = pool_get(region->heap, "max_bytes");
	int i, fd;

	EXPECT_EQ(region->size, max_bytes);
	ASSERT_EQ(0, pool_set(region->heap, "max_bytes", 0));
	for (i = 0; i < 3; i++) {
		fd = region_alloc(region->heap, self->fd, len);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-1, buf_find_nonzero(fd, len));
		EXPECT_EQ(0, close(fd));
		fd = buf_filled(self->fd, len, SEED + i);
		ASSERT_LE(0, fd);
		EXPECT_EQ(0, close(fd));
		EXPECT_TRUE(WAIT_FOR(!pool_pages(region->heap)));
	}
	ASSERT_EQ(0, pool_set(region->heap, "max_bytes", max_bytes));
}

/* What one buffer after the other leaves behind is one region again */
CARVEOUT_TEST(fragments_come_together)
{
	const struct carveout *region = &variant->region;
	int fds[24] = { }, i, fd, slot, got = 0;
	__u64 state = region->base + 1;
	size_t len;

	for (i = 0; i < 1500; i++) {
		slot = pseudo_random(&state) % ARRAY_SIZE(fds);
		if (fds[slot] > 0)
			close(fds[slot]);
		len = KIB(4) << pseudo_random(&state) % 9;
		if (pseudo_random(&state) % 2)
			len = page_align(1 + pseudo_random(&state) % len);
		fds[slot] = region_alloc(region->heap, self->fd, len);
		if (fds[slot] == -ENOMEM)
			continue;
		ASSERT_LE(0, fds[slot]);
		got++;
	}
	EXPECT_LT(100, got);
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] > 0)
			close(fds[i]);
	fd = region_alloc(region->heap, self->fd, region->size);
	ASSERT_LE(0, fd)
		TH_LOG("%s", pool_text(region->heap));
	EXPECT_EQ(0, close(fd));
}

CARVEOUT_TEST(free_and_pooled_memory_add_up)
{
	const struct carveout *region = &variant->region;
	int fds[6], i;
	size_t sum = 0;

	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		size_t len = KIB(64) + KIB(4) * i;

		fds[i] = region_alloc(region->heap, self->fd, len);
		if (fds[i] < 0)
			break;
		sum += len;
		EXPECT_EQ(region->size - sum,
			  carveout_get(region->heap, "free_bytes"));
	}
	EXPECT_LT(1, i);
	region_give_back(fds, i);
	EXPECT_TRUE(WAIT_FOR(pool_is_clean(region->heap, sum / page_size())));
	EXPECT_EQ(region->size - sum,
		  carveout_get(region->heap, "free_bytes"));
	EXPECT_EQ(0, carveout_settle(region));
	EXPECT_EQ(region->size, carveout_get(region->heap, "free_bytes"));
}

/* No memory the system could have back: it is never more or less */
CARVEOUT_TEST(reclaim_does_not_touch_the_region)
{
	const struct carveout *region = &variant->region;
	long long before, pages, counted, freed;
	int fds[MAX_BUFS], count, error;

	EXPECT_EQ(0, file_write("/proc/sys/vm/drop_caches", "2"));
	before = vm_counter("nr_kernel_misc_reclaimable");
	count = region_take(region->heap, self->fd, KIB(512), fds, MAX_BUFS,
			    &error);
	region_give_back(fds, count);
	pages = count * pages_of(KIB(512));
	EXPECT_TRUE(WAIT_FOR(pool_is_clean(region->heap, pages)));
	/* Only the heap it falls back to has kept something that can go */
	EXPECT_EQ(0, file_write("/proc/sys/vm/drop_caches", "2"));
	EXPECT_EQ(before, vm_counter("nr_kernel_misc_reclaimable"));
	EXPECT_EQ(pages, pool_pages(region->heap));
	/* A pool without a shrinker has no file for it either */
	EXPECT_EQ(-ENOENT, pool_shrink(region->heap, &counted, &freed));
	EXPECT_EQ(pages, pool_pages(region->heap));
}

/* What the CPU's maps of it are like */

/* MAIR_EL1 encodings */
#define NORMAL_WRITE_BACK	0xff
#define NORMAL_NON_CACHEABLE	0x44

static bool tells_attributes(void)
{
	struct utsname name;

	return !uname(&name) && !strcmp(name.machine, "aarch64");
}

CARVEOUT_TEST(maps_are_uncached_or_not)
{
	const struct carveout *region = &variant->region;
	const size_t lens[] = { KIB(4), page_align(region->size / 3) };
	struct user_page page;
	char answer[64];
	size_t at;
	int i, fd;
	char *p;

	if (!tells_attributes())
		SKIP_UNLESS_NEEDED(return, "attributes",
				   "the importer tells no attributes here");
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		fd = heap_alloc(self->fd, lens[i]);
		ASSERT_LE(0, fd);
		EXPECT_STREQ(region->heap, buf_exporter(fd));
		p = buf_map(fd, lens[i], READ_WRITE);
		ASSERT_NE(MAP_FAILED, p);
		memset(p, 1, lens[i]);
		for (at = 0; at < lens[i]; at += page_size()) {
			ASSERT_EQ(0, importer_user_page(self->importer, p + at,
							&page));
			EXPECT_EQ(region->uncached, page.writecombined);
		}
		EXPECT_EQ(0, munmap(p, lens[i]));
		ASSERT_EQ(0, importer_ask(self->importer, "vmap", fd, 0, answer,
					  sizeof(answer)));
		EXPECT_EQ(region->uncached ? NORMAL_NON_CACHEABLE :
			  NORMAL_WRITE_BACK,
			  atoi(answer + strlen("attributes ")));
		EXPECT_EQ(0, close(fd));
	}
}

/* Between user space, the kernel and a device, with memory that was used before */
CARVEOUT_TEST(cpu_kernel_and_device_see_the_same)
{
	const size_t len = KIB(516);
	char answer[64], *p;
	int fd, round;

	for (round = 0; round < 3; round++) {
		fd = buf_filled(self->fd, len, SEED + round);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, importer_ask(self->importer, "check", fd,
					  SEED + round, answer,
					  sizeof(answer)));
		EXPECT_STREQ("offset -1\n", answer);
		ASSERT_EQ(0, importer_do(self->importer, "import %d %d", fd,
					 IMPORTER_64));
		ASSERT_EQ(0, importer_do(self->importer, "map %d",
					 DEVICE_READS_AND_WRITES));
		EXPECT_EQ(-1, importer_reads(self->importer, 0, len,
					     SEED + round));
		EXPECT_EQ(0, importer_do(self->importer, "dwrite 0 %zu %d", len,
					 SEED - 1 - round));
		EXPECT_EQ(0, importer_do(self->importer, "unmap"));
		EXPECT_EQ(0, importer_do(self->importer, "drop"));
		p = buf_map(fd, len, READ_WRITE);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(0, buf_sync(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ));
		EXPECT_EQ(-1, pattern_check(p, 0, len, SEED - 1 - round));
		EXPECT_EQ(0, buf_sync(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ));
		EXPECT_EQ(0, munmap(p, len));
		EXPECT_EQ(0, close(fd));
	}
}

CARVEOUT_TEST(buffers_of_the_kernel_leave_nothing_behind)
{
	const struct carveout *region = &variant->region;
	static const size_t lens[] = { 1, KIB(64), KIB(516) };
	int i, fd;

	for (i = 0; i < ARRAY_SIZE(lens) * 2; i++) {
		EXPECT_EQ(0, importer_do(self->importer, "kalloc %s %zu",
					 region->heap, lens[i / 2]));
		fd = heap_alloc(self->fd, lens[i / 2]);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-1, buf_find_nonzero(fd, page_align(lens[i / 2])));
		EXPECT_EQ(0, close(fd));
	}
	EXPECT_EQ(self->falls_back ? 0 : -ENOMEM,
		  importer_do(self->importer, "kalloc %s %llu", region->heap,
			      region->size + KIB(4)));
}

/* No room */

static const struct carveout *find_heap(const char *heap)
{
	int i;

	for (i = 0; i < carveout_count; i++)
		if (!strcmp(carveouts[i].heap, heap))
			return &carveouts[i];

	return NULL;
}

/* The heap behind the one behind it, and so on */
static const char *last_resort(const struct carveout *region)
{
	const struct carveout *next = region;
	const char *heap = region->fallback;

	while ((next = find_heap(heap)) && next->has_fallback)
		heap = next->fallback;

	return heap;
}

CARVEOUT_TEST(falls_back_or_fails)
{
	const struct carveout *region = &variant->region;
	size_t len = region->size;
	int whole, fd, i;

	whole = region_alloc(region->heap, self->fd, len);
	ASSERT_LE(0, whole);
	EXPECT_EQ(self->fallbacks, heap_attr(region->heap, "fallbacks"));
	for (i = 1; i <= 3; i++) {
		fd = heap_alloc(self->fd, len);
		if (!self->falls_back) {
			EXPECT_EQ(-ENOMEM, fd);
			EXPECT_EQ(self->fallbacks,
				  heap_attr(region->heap, "fallbacks"));
			continue;
		}
		ASSERT_LE(0, fd);
		EXPECT_STREQ(last_resort(region), buf_exporter(fd));
		EXPECT_EQ(self->fallbacks + i,
			  heap_attr(region->heap, "fallbacks"));
		EXPECT_EQ(-1, buf_find_nonzero(fd, len));
		EXPECT_EQ(0, close(fd));
	}
	EXPECT_EQ(0, close(whole));

	/* With room again, it is the region's */
	fd = heap_alloc(self->fd, len);
	ASSERT_LE(0, fd);
	EXPECT_STREQ(region->heap, buf_exporter(fd));
	EXPECT_EQ(0, close(fd));
}

int main(int argc, char **argv)
{
	carveout_tests_init();

	return test_harness_run(argc, argv);
}

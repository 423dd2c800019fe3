// SPDX-License-Identifier: GPL-2.0
/*
 * Buffers and a device that really moves bytes, QEMU's "edu" or a DMA engine: by
 * whatever is between it and memory, an IOMMU or copies, it reads what the CPU
 * wrote, and the CPU reads what it wrote. An edu moves 2 KiB in 100 ms: only some
 * places are looked at.
 *
 * NEED in the environment names what must not be lacking: importer, mover,
 * segments (it takes segments of 64 KiB), translated (its IOMMU translates), copies
 * (it gets copies of the buffers of the heap "system").
 */

#include "heap_fixture.h"
#include "heap_left.h"

#define SEED		171

/* Of more than one chunk, and no block at its end */
#define BUF_LEN		page_align(MIB(3) + KIB(8))

/* As much as it moves at a time */
#define PLACE_LEN	2048

/* The first and the last bytes, a border between chunks, and anywhere */
#define MAX_PLACES	4

/* A filled buffer that the CPU has mapped, and the device, which has not yet */
FIXTURE(mover)
{
	int heap_fd;
	int importer;
	struct heap_left left;
	int fd;
	char *map;
	size_t places[MAX_PLACES];
	int place_count;
	bool refused;
};

FIXTURE_VARIANT(mover)
{
	char name[HEAP_NAME_SIZE];
};

static size_t border_of_chunks(int importer, int fd)
{
	struct buf_chunks chunks;
	size_t border = 0;

	if (buf_get_chunks(importer, fd, IMPORTER_MOVER, &chunks))
		return 0;
	if (chunks.count > 1)
		border = chunks.chunk[0].pages * page_size();
	buf_put_chunks(&chunks);

	return border;
}

static void choose_places(struct _test_data_mover *self)
{
	static __u64 random = SEED;
	size_t border = border_of_chunks(self->importer, self->fd);
	int count = 0;

	self->places[count++] = 0;
	self->places[count++] = BUF_LEN - PLACE_LEN;
	if (border)
		self->places[count++] = border - PLACE_LEN / 2;
	self->places[count++] = KIB(8) + 8 * (pseudo_random(&random) %
					      ((border ?: BUF_LEN) / 16));
	self->place_count = count;
}

static bool is_uncached(const char *heap)
{
	return strstr(heap, "uncached");
}

FIXTURE_SETUP(mover)
{
	int bounces, ret;

	self->heap_fd = heap_open(variant->name, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->heap_fd);
	self->importer = importer_open();
	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	self->left = heap_left(variant->name);
	self->fd = buf_filled(self->heap_fd, BUF_LEN, SEED);
	ASSERT_LE(0, self->fd);
	if (!importer_has(self->importer, self->fd, IMPORTER_MOVER))
		SKIP_UNLESS_NEEDED(return, "mover", "no device that moves bytes");
	self->map = buf_map(self->fd, BUF_LEN, READ_WRITE);
	ASSERT_NE(MAP_FAILED, self->map);

	ret = importer_map(self->importer, self->fd, IMPORTER_MOVER, DEVICE_READS);
	if (is_uncached(variant->name) && ret == -EIO) {
		self->refused = true;
		return;
	}
	ASSERT_EQ(0, ret);
	bounces = importer_bounces(self->importer);
	/* Of a heap of lower memory, it depends */
	if (!strcmp(variant->name, "system"))
		ASSERT_EQ(is_needed("copies"), bounces);
	ASSERT_FALSE(is_uncached(variant->name) && bounces);
	ASSERT_EQ(0, importer_unmap(self->importer));
	choose_places(self);
}

FIXTURE_TEARDOWN(mover)
{
	EXPECT_EQ(0, munmap(self->map, BUF_LEN));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_NOTHING_LEFT(self->left, variant->name);
	close(self->importer);
	close(self->heap_fd);
}

#define MOVER_TEST(name)	TEST_F_TIMEOUT(mover, name, HEAP_TEST_TIMEOUT)

/* Why a device cannot have uncached memory where it gets copies */
#define REFUSED		"uncached memory is not copied"

static long long device_reads(struct _test_data_mover *self, int place, __u32 seed)
{
	return importer_reads(self->importer, self->places[place], PLACE_LEN,
			      seed);
}

static int device_writes(struct _test_data_mover *self, int place, __u32 seed)
{
	return importer_do(self->importer, "dwrite %zu %u %u",
			   self->places[place], PLACE_LEN, seed);
}

static int sync_place(struct _test_data_mover *self, __u64 flags, int place)
{
	return buf_sync_partial(self->fd, flags, self->places[place], PLACE_LEN);
}

static long long cpu_reads(struct _test_data_mover *self, int place, __u32 seed)
{
	return pattern_check(self->map + self->places[place],
			     self->places[place], PLACE_LEN, seed);
}

/* The places as written and all the rest as it was, or where it is not */
static long long cpu_reads_all(struct _test_data_mover *self, __u32 seed,
			       __u32 written)
{
	size_t at = 0;
	int i;

	for (at = 0; at < BUF_LEN; at += sizeof(__u64)) {
		bool is_written = false;

		for (i = 0; i < self->place_count; i++)
			is_written |= at >= self->places[i] &&
				      at < self->places[i] + PLACE_LEN;
		if (pattern_check(self->map + at, at, sizeof(__u64),
				  is_written ? written : seed) >= 0)
			return at;
	}

	return -1;
}

MOVER_TEST(device_reads_what_the_cpu_wrote)
{
	int i;

	if (self->refused)
		SKIP(return, REFUSED);
	ASSERT_EQ(0, importer_map(self->importer, self->fd, IMPORTER_MOVER,
				  DEVICE_READS));
	for (i = 0; i < self->place_count; i++)
		EXPECT_EQ(-1, device_reads(self, i, SEED));

	EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE));
	pattern_fill(self->map, 0, BUF_LEN, SEED + 1);
	EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE));
	for (i = 0; i < self->place_count; i++)
		EXPECT_EQ(-1, device_reads(self, i, SEED + 1));

	/* Only the part that is told of */
	EXPECT_EQ(0, sync_place(self, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE, 1));
	pattern_fill(self->map + self->places[1], self->places[1], PLACE_LEN,
		     SEED + 2);
	EXPECT_EQ(0, sync_place(self, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE, 1));
	EXPECT_EQ(-1, device_reads(self, 1, SEED + 2));
	EXPECT_EQ(-1, device_reads(self, 0, SEED + 1));
	EXPECT_EQ(0, importer_unmap(self->importer));
}

static void check_device_writes(struct __test_metadata *_metadata,
				struct _test_data_mover *self, int dir)
{
	int i;

	ASSERT_EQ(0, importer_map(self->importer, self->fd, IMPORTER_MOVER, dir));
	for (i = 0; i < self->place_count; i++)
		ASSERT_EQ(0, device_writes(self, i, SEED + 1));
	EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ));
	EXPECT_EQ(-1, cpu_reads_all(self, SEED, SEED + 1));
	EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ));

	/* While it is mapped, of a part */
	ASSERT_EQ(0, device_writes(self, 1, SEED + 2));
	EXPECT_EQ(0, sync_place(self, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ, 1));
	EXPECT_EQ(-1, cpu_reads(self, 1, SEED + 2));
	EXPECT_EQ(0, sync_place(self, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ, 1));

	/* And when it is no longer */
	for (i = 0; i < self->place_count; i++)
		ASSERT_EQ(0, device_writes(self, i, SEED + 3));
	EXPECT_EQ(0, importer_unmap(self->importer));
	EXPECT_EQ(-1, cpu_reads_all(self, SEED, SEED + 3));
}

MOVER_TEST(cpu_reads_what_a_device_wrote_that_writes)
{
	if (self->refused)
		SKIP(return, REFUSED);
	check_device_writes(_metadata, self, DEVICE_WRITES);
}

MOVER_TEST(cpu_reads_what_a_device_wrote_that_does_both)
{
	if (self->refused)
		SKIP(return, REFUSED);
	check_device_writes(_metadata, self, DEVICE_READS_AND_WRITES);
}

/* Mapped once: the device reads, writes and reads */
MOVER_TEST(three_transfers_need_one_mapping)
{
	if (self->refused)
		SKIP(return, REFUSED);
	ASSERT_EQ(0, importer_map(self->importer, self->fd, IMPORTER_MOVER,
				  DEVICE_READS_AND_WRITES));
	EXPECT_EQ(-1, device_reads(self, 0, SEED));
	ASSERT_EQ(0, device_writes(self, 1, SEED + 1));
	EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW));
	EXPECT_EQ(-1, cpu_reads(self, 1, SEED + 1));
	pattern_fill(self->map + self->places[0], self->places[0], PLACE_LEN,
		     SEED + 2);
	EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW));
	EXPECT_EQ(-1, device_reads(self, 0, SEED + 2));
	EXPECT_EQ(-1, device_reads(self, 1, SEED + 1));
	EXPECT_EQ(0, importer_unmap(self->importer));
	EXPECT_EQ(-1, cpu_reads(self, 0, SEED + 2));
	EXPECT_EQ(-1, cpu_reads(self, 1, SEED + 1));
}

/* Two attachments of two devices; the second one comes when the first has written */
MOVER_TEST(late_device_reads_what_the_first_one_wrote)
{
	int late;

	if (self->refused)
		SKIP(return, REFUSED);
	late = importer_open();
	ASSERT_LE(0, late);
	ASSERT_EQ(0, importer_map(self->importer, self->fd, IMPORTER_MOVER,
				  DEVICE_READS_AND_WRITES));
	ASSERT_EQ(0, device_writes(self, 1, SEED + 1));
	EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ));
	EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ));
	ASSERT_EQ(0, importer_map(late, self->fd, IMPORTER_MOVER_2, DEVICE_READS));
	EXPECT_EQ(-1, importer_reads(late, self->places[1], PLACE_LEN, SEED + 1));
	EXPECT_EQ(-1, importer_reads(late, self->places[0], PLACE_LEN, SEED));
	EXPECT_EQ(0, importer_unmap(late));
	EXPECT_EQ(0, importer_unmap(self->importer));
	EXPECT_EQ(-1, cpu_reads(self, 1, SEED + 1));
	close(late);
}

/* It has announced what it is going to write, and does so when that is waited for */
MOVER_TEST(access_waits_for_a_device_that_is_writing)
{
	const __u64 read = DMA_BUF_SYNC_READ;
	bool part;
	int i;

	if (self->refused)
		SKIP(return, REFUSED);
	for (i = 0; i < 2; i++) {
		part = i;
		ASSERT_EQ(0, importer_map(self->importer, self->fd, IMPORTER_MOVER,
					  DEVICE_WRITES));
		ASSERT_EQ(0, importer_do(self->importer, "dlater %zu %u %u",
					 self->places[i], PLACE_LEN, SEED + 1));
		EXPECT_EQ(0, part ?
			  sync_place(self, DMA_BUF_SYNC_START | read, i) :
			  buf_sync(self->fd, DMA_BUF_SYNC_START | read));
		EXPECT_EQ(-1, cpu_reads(self, i, SEED + 1));
		EXPECT_EQ(0, part ?
			  sync_place(self, DMA_BUF_SYNC_END | read, i) :
			  buf_sync(self->fd, DMA_BUF_SYNC_END | read));
		EXPECT_EQ(0, importer_unmap(self->importer));
	}
	self->place_count = 2;
	EXPECT_EQ(-1, cpu_reads_all(self, SEED, SEED + 1));
}

/* Pages as a whole need no copies, however malicious the device could be */
MOVER_TEST(untrusted_device_behind_an_iommu_gets_no_copies)
{
	if (!is_needed("translated"))
		SKIP(return, "no IOMMU that translates");
	ASSERT_EQ(0, importer_do(self->importer, "untrusted %d 1", IMPORTER_MOVER));
	ASSERT_EQ(0, importer_map(self->importer, self->fd, IMPORTER_MOVER,
				  DEVICE_READS));
	EXPECT_EQ(0, importer_bounces(self->importer));
	EXPECT_EQ(0, importer_unmap(self->importer));
	check_device_writes(_metadata, self, DEVICE_WRITES);
	EXPECT_EQ(0, importer_do(self->importer, "untrusted %d 0", IMPORTER_MOVER));
}

#define SEGMENT	KIB(64)

MOVER_TEST(segments_are_no_longer_than_the_device_takes)
{
	struct buf_chunks chunks;

	if (!is_needed("segments"))
		SKIP(return, "device takes segments of any length");
	if (self->refused)
		SKIP(return, REFUSED);
	ASSERT_EQ(0, buf_get_chunks(self->importer, self->fd, IMPORTER_64, &chunks));
	EXPECT_LT(SEGMENT, chunks.longest);
	buf_put_chunks(&chunks);
	ASSERT_EQ(0, buf_get_chunks(self->importer, self->fd, IMPORTER_MOVER,
				    &chunks));
	EXPECT_GE(SEGMENT, chunks.longest);
	EXPECT_LE((int)(BUF_LEN / SEGMENT), chunks.segments);
	buf_put_chunks(&chunks);
}

/* Of a heap of lower memory, it depends */
MOVER_TEST(only_uncached_memory_is_refused_and_only_where_there_are_copies)
{
	bool refused = is_uncached(variant->name) && is_needed("copies");

	if (!is_uncached(variant->name) ||
	    !strcmp(variant->name, "system-uncached"))
		EXPECT_EQ(refused, self->refused);
}

int main(int argc, char **argv)
{
	heap_tests_init();
	heap_register(&_mover_fixture_object);

	return test_harness_run(argc, argv);
}

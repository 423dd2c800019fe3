// SPDX-License-Identifier: GPL-2.0
/*
 * Caches between CPU and devices: that they are maintained when somebody is
 * about to look and there is a reason, for the bytes in question and once.
 *
 * The test importer counts what is done for the caches. NEED in the environment
 * names what must not be lacking: importer, counts, pool, bounces.
 */

#include <sys/mman.h>

#include "heap_fixture.h"
#include "heap_left.h"

#define IMPORTERS	8
#define SEED		131

/* In one chunk, in some, and in many */
static const size_t lens[] = { KIB(64), MIB(8) + KIB(4), MIB(64) };

/* A heap, and one buffer that devices have seen as it is */
FIXTURE(cache)
{
	int heap_fd;
	int importer[IMPORTERS];
	struct heap_left left;
	bool uncached;
	int fd;
	size_t len;
	char *map;
};

FIXTURE_VARIANT(cache)
{
	char name[HEAP_NAME_SIZE];
};

/* Where all devices get copies there is nothing to count, and else by kprobes */
static bool can_count(int importer, int heap_fd)
{
	bool can = false;
	int fd;

	fd = heap_alloc(heap_fd, KIB(4));
	if (fd < 0)
		return false;
	if (!importer_map(importer, fd, IMPORTER_64, DEVICE_READS)) {
		can = !importer_bounces(importer);
		importer_unmap(importer);
	}
	if (importer_do(importer, "watch %d", fd))
		can = false;
	close(fd);

	return can;
}

FIXTURE_SETUP(cache)
{
	int i;

	self->heap_fd = heap_open(variant->name, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->heap_fd);
	self->uncached = strstr(variant->name, "-uncached");
	self->left = heap_left(variant->name);
	self->fd = -1;
	for (i = 0; i < IMPORTERS; i++)
		self->importer[i] = importer_open();
	if (self->importer[0] < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	if (!can_count(self->importer[0], self->heap_fd))
		SKIP_UNLESS_NEEDED(return, "counts",
				   "nothing counts maintenance of caches");
}

FIXTURE_TEARDOWN(cache)
{
	int i;

	for (i = 0; i < IMPORTERS; i++)
		close(self->importer[i]);
	if (self->fd >= 0)
		EXPECT_EQ(0, close(self->fd));
	EXPECT_NOTHING_LEFT(self->left, variant->name);
	close(self->heap_fd);
}

#define CACHE_TEST(name) \
	TEST_F_TIMEOUT(cache, name, 2 * HEAP_TEST_TIMEOUT)

/*
 * A buffer nothing is to be done for: whatever lines were dirty, a device that
 * is not coherent was about to read them. Counted from now on.
 */
static int get_settled_buffer(struct _test_data_cache *self, size_t len)
{
	int ret;

	self->len = page_align(len);
	self->fd = heap_alloc(self->heap_fd, self->len);
	if (self->fd < 0)
		return self->fd;
	ret = importer_map(self->importer[0], self->fd, IMPORTER_64,
			   DEVICE_READS);
	if (ret)
		return ret;
	importer_unmap(self->importer[0]);

	return importer_do(self->importer[0], "watch %d", self->fd);
}

static int put_buffer(struct _test_data_cache *self)
{
	int ret = close(self->fd);

	self->fd = -1;

	return ret;
}

static void reset_counts(struct _test_data_cache *self)
{
	importer_do(self->importer[0], "count");
}

/* Bytes that were written back and dropped since the last time */
#define EXPECT_COUNTED(clean_bytes, drop_bytes) do {			\
	struct sync_count _clean, _drop;				\
									\
	EXPECT_EQ(0, importer_counted(self->importer[0], &_clean,	\
				      &_drop));				\
	EXPECT_EQ(self->uncached ? 0 : (clean_bytes), _clean.bytes);	\
	EXPECT_EQ(self->uncached ? 0 : (drop_bytes), _drop.bytes);	\
	reset_counts(self);						\
} while (0)

enum op {
	END_OF_STEPS,
	MAP,		/* importer, device, direction */
	UNMAP,		/* importer */
	MMAP,
	MUNMAP,
	BEGIN,		/* flags of DMA_BUF_IOCTL_SYNC */
	END,
	BEGIN_PART,
	END_PART,
	KERNEL,		/* the kernel maps it, writes, and unmaps it */
};

/* What is part of a buffer in the table: whole lines of any cache */
#define PART_OFFSET	(KIB(4) + 512)
#define PART_LEN	1024

struct step {
	enum op op;
	int arg;
	int device;
	int dir;
	/* Whether all of the buffer, or of the part, is maintained */
	bool clean;
	bool drop;
};

#define CLEAN		.clean = true
#define DROP		.drop = true

#define R		DMA_BUF_SYNC_READ
#define W		DMA_BUF_SYNC_WRITE
#define RW		DMA_BUF_SYNC_RW

#define DIRECT		IMPORTER_64
#define COHERENT	IMPORTER_COHERENT
#define BOUNCES		IMPORTER_BOUNCES

#define MAX_STEPS	16

struct row {
	const char *name;
	struct step steps[MAX_STEPS];
};

static const struct row rows[] = {
	{ "nobody looks", {
		{ MAP, 0, DIRECT, DEVICE_READS_AND_WRITES },
		{ UNMAP, 0 },
		{ MAP, 0, DIRECT, DEVICE_READS },
		{ UNMAP, 0 },
		{ MAP, 0, DIRECT, DEVICE_WRITES },
		{ UNMAP, 0 },
	} },
	{ "nobody but the CPU", {
		{ BEGIN, RW }, { END, RW },
		{ BEGIN, R }, { END, R },
		{ MMAP }, { BEGIN, W }, { END, W }, { MUNMAP },
	} },
	{ "a device wrote", {
		{ MAP, 0, DIRECT, DEVICE_WRITES },
		{ UNMAP, 0 },
		{ BEGIN, R, DROP }, { END, R },
		{ BEGIN, R }, { END, R },
		{ MAP, 0, DIRECT, DEVICE_READS_AND_WRITES },
		{ UNMAP, 0 },
		{ BEGIN, W, DROP }, { END, W },
	} },
	{ "a device goes on writing", {
		{ MAP, 0, DIRECT, DEVICE_WRITES },
		{ BEGIN, R, DROP }, { END, R },
		{ BEGIN, R, DROP }, { END, R },
		{ BEGIN, R, DROP }, { END, R },
		{ UNMAP, 0 },
		{ BEGIN, R, DROP }, { END, R },
		{ BEGIN, R }, { END, R },
	} },
	{ "the CPU wrote", {
		{ BEGIN, W }, { END, W },
		{ MAP, 0, DIRECT, DEVICE_READS, CLEAN },
		{ UNMAP, 0 },
		{ MAP, 0, DIRECT, DEVICE_READS },
		{ UNMAP, 0 },
	} },
	{ "the CPU goes on writing", {
		{ MAP, 0, DIRECT, DEVICE_READS },
		{ BEGIN, W }, { END, W, CLEAN },
		{ BEGIN, W }, { END, W, CLEAN },
		{ BEGIN, RW }, { END, RW, CLEAN },
		{ BEGIN, R }, { END, R },
		{ UNMAP, 0 },
		{ MAP, 0, DIRECT, DEVICE_READS },
		{ UNMAP, 0 },
	} },
	{ "both go on writing", {
		{ MAP, 0, DIRECT, DEVICE_READS_AND_WRITES },
		{ BEGIN, RW, DROP }, { END, RW, CLEAN },
		{ BEGIN, RW, DROP }, { END, RW, CLEAN },
		{ UNMAP, 0 },
	} },
	{ "mapped by user space, written, imported", {
		{ MMAP },
		{ MAP, 0, DIRECT, DEVICE_READS, CLEAN },
		{ UNMAP, 0 },
		{ MAP, 0, DIRECT, DEVICE_READS, CLEAN },
		{ UNMAP, 0 },
		{ MUNMAP },
		{ MAP, 0, DIRECT, DEVICE_READS, CLEAN },
		{ UNMAP, 0 },
		{ MAP, 0, DIRECT, DEVICE_READS },
		{ UNMAP, 0 },
	} },
	{ "mapped by the kernel", {
		{ KERNEL },
		{ MAP, 0, DIRECT, DEVICE_READS_AND_WRITES, CLEAN },
		{ UNMAP, 0 },
		{ KERNEL, DROP },
		{ MAP, 0, DIRECT, DEVICE_READS, CLEAN },
		{ UNMAP, 0 },
	} },
	{ "imported in the middle of a write", {
		{ BEGIN, W },
		{ MAP, 0, DIRECT, DEVICE_READS, CLEAN },
		{ MAP, 1, DIRECT, DEVICE_READS, CLEAN },
		{ END, W, CLEAN },
		{ MAP, 2, DIRECT, DEVICE_READS },
	} },
	{ "read in the middle of a write", {
		{ BEGIN, W },
		{ MAP, 0, DIRECT, DEVICE_WRITES, CLEAN },
		{ BEGIN, R, CLEAN, DROP },
		{ END, R },
		{ END, W, CLEAN },
	} },
	{ "ended without a start", {
		{ MAP, 0, DIRECT, DEVICE_READS },
		{ END, W }, { END, RW }, { END, R },
		{ BEGIN, W }, { END, W, CLEAN },
	} },
	{ "a coherent device", {
		{ MAP, 0, COHERENT, DEVICE_READS_AND_WRITES },
		{ BEGIN, RW }, { END, RW },
		{ UNMAP, 0 },
		{ MMAP },
		{ MAP, 0, COHERENT, DEVICE_READS },
		{ BEGIN, W }, { END, W },
		{ UNMAP, 0 },
		{ MUNMAP },
	} },
	{ "a coherent device wrote, another one reads", {
		{ MAP, 0, COHERENT, DEVICE_WRITES },
		{ UNMAP, 0 },
		{ MAP, 0, DIRECT, DEVICE_READS, CLEAN },
		{ UNMAP, 0 },
		{ MAP, 0, DIRECT, DEVICE_READS },
	} },
	{ "a coherent device reads what another one wrote", {
		{ MAP, 0, DIRECT, DEVICE_WRITES },
		{ UNMAP, 0 },
		{ MAP, 0, COHERENT, DEVICE_READS, DROP },
		{ UNMAP, 0 },
		{ MAP, 0, COHERENT, DEVICE_READS },
		{ BEGIN, R }, { END, R },
	} },
	{ "a coherent device writes while another one reads", {
		{ MAP, 0, COHERENT, DEVICE_READS_AND_WRITES },
		{ MAP, 1, DIRECT, DEVICE_READS, CLEAN },
		{ UNMAP, 0, CLEAN },
		{ UNMAP, 1 },
		{ MAP, 1, DIRECT, DEVICE_READS },
	} },
	{ "a coherent device reads while another one writes", {
		{ MAP, 0, COHERENT, DEVICE_READS },
		{ MAP, 1, DIRECT, DEVICE_WRITES },
		{ UNMAP, 1, DROP },
		{ BEGIN, R }, { END, R },
	} },
	{ "a part", {
		{ MAP, 0, DIRECT, DEVICE_READS_AND_WRITES },
		{ BEGIN_PART, R, DROP }, { END_PART, R },
		{ BEGIN_PART, RW, DROP }, { END_PART, RW, CLEAN },
		{ BEGIN_PART, W, DROP }, { END_PART, W, CLEAN },
		{ UNMAP, 0 },
		/* What was done to a part does not speak for the rest */
		{ BEGIN_PART, R, DROP }, { END_PART, R },
		{ BEGIN, R, DROP }, { END, R },
		{ BEGIN_PART, R }, { END_PART, R },
		{ MAP, 0, DIRECT, DEVICE_READS, CLEAN },
	} },
	{ "a part is written, then all of it read", {
		{ MAP, 0, DIRECT, DEVICE_WRITES },
		{ UNMAP, 0 },
		{ BEGIN_PART, W, DROP }, { END_PART, W, CLEAN },
		{ BEGIN, R, DROP }, { END, R },
	} },
	{ "a device is gone before the write ends", {
		{ MAP, 0, DIRECT, DEVICE_WRITES },
		{ BEGIN, W, DROP },
		{ UNMAP, 0 },
		{ END, W, CLEAN },
		{ BEGIN, R, DROP }, { END, R },
	} },
	{ "two devices write, each in its way", {
		{ MAP, 0, COHERENT, DEVICE_READS_AND_WRITES },
		{ MAP, 1, DIRECT, DEVICE_WRITES, CLEAN },
		{ BEGIN, R, CLEAN, DROP }, { END, R },
		{ UNMAP, 1, CLEAN, DROP },
		{ UNMAP, 0 },
	} },
	{ "a part and a coherent device", {
		{ MAP, 0, COHERENT, DEVICE_READS_AND_WRITES },
		{ BEGIN_PART, RW }, { END_PART, RW },
	} },
};

/* The same with a device that gets copies, of which there are few */
static const struct row rows_with_copies[] = {
	{ "a device that bounces", {
		{ MAP, 0, BOUNCES, DEVICE_READS_AND_WRITES },
		{ BEGIN, RW }, { END, RW },
		{ UNMAP, 0 },
		{ MAP, 0, BOUNCES, DEVICE_READS },
		{ BEGIN, W }, { END, W },
		{ UNMAP, 0 },
	} },
	{ "a device that bounces reads what another one wrote", {
		{ MAP, 0, DIRECT, DEVICE_WRITES },
		{ UNMAP, 0 },
		{ MAP, 0, BOUNCES, DEVICE_READS, DROP },
		{ UNMAP, 0 },
		{ BEGIN, R }, { END, R },
	} },
	{ "a device that bounces wrote, another one reads", {
		{ MAP, 0, BOUNCES, DEVICE_WRITES },
		{ MAP, 1, DIRECT, DEVICE_READS, CLEAN },
		{ UNMAP, 0, CLEAN },
		{ UNMAP, 1 },
		{ MAP, 1, DIRECT, DEVICE_READS },
	} },
};

static int do_sync(int fd, const struct step *step)
{
	switch (step->op) {
	case BEGIN:
		return buf_sync(fd, DMA_BUF_SYNC_START | step->arg);
	case END:
		return buf_sync(fd, DMA_BUF_SYNC_END | step->arg);
	case BEGIN_PART:
		return buf_sync_partial(fd, DMA_BUF_SYNC_START | step->arg,
					PART_OFFSET, PART_LEN);
	default:
		return buf_sync_partial(fd, DMA_BUF_SYNC_END | step->arg,
					PART_OFFSET, PART_LEN);
	}
}

static int do_step(struct _test_data_cache *self, const struct step *step)
{
	switch (step->op) {
	case MAP:
		return importer_map(self->importer[step->arg], self->fd,
				  step->device, step->dir);
	case UNMAP:
		return importer_unmap(self->importer[step->arg]);
	case MMAP:
		self->map = buf_map(self->fd, self->len, READ_WRITE);
		return self->map == MAP_FAILED ? -errno : 0;
	case MUNMAP:
		return munmap(self->map, self->len);
	case KERNEL:
		return importer_do(self->importer[1], "fill %d %u", self->fd,
				   SEED);
	default:
		return do_sync(self->fd, step);
	}
}

static bool is_partial(const struct step *step)
{
	return step->op == BEGIN_PART || step->op == END_PART;
}

/*
 * Takes the steps, and returns the number of the first after which what was
 * done is not what had to be, or 0
 */
static int wrong_step(struct _test_data_cache *self, const struct step *steps,
		      struct sync_count *clean, struct sync_count *drop)
{
	const struct step *step;
	size_t len;

	for (step = steps; step->op; step++) {
		len = is_partial(step) ? PART_LEN : self->len;
		reset_counts(self);
		if (do_step(self, step) ||
		    importer_counted(self->importer[0], clean, drop))
			return step - steps + 1;
		if (self->uncached)
			len = 0;
		if (clean->bytes != (step->clean ? len : 0) ||
		    drop->bytes != (step->drop ? len : 0))
			return step - steps + 1;
	}

	return 0;
}

static void check_rows(struct __test_metadata *_metadata,
		       struct _test_data_cache *self, size_t len,
		       const struct row *row, int count)
{
	struct sync_count clean = { }, drop = { };
	int i;

	for (; count--; row++) {
		ASSERT_EQ(0, get_settled_buffer(self, len));
		EXPECT_EQ(0, wrong_step(self, row->steps, &clean, &drop))
			TH_LOG("%s, of %zu bytes %zu written back, %zu dropped",
			       row->name, self->len, clean.bytes, drop.bytes);
		for (i = 0; i < IMPORTERS; i++)
			importer_unmap(self->importer[i]);
		EXPECT_EQ(0, put_buffer(self));
	}
}

CACHE_TEST(caches_are_maintained_for_who_looks)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(lens); i++)
		check_rows(_metadata, self, lens[i], rows, ARRAY_SIZE(rows));
}

CACHE_TEST(caches_are_maintained_for_copies)
{
	if (self->uncached)
		SKIP(return, "uncached memory is not copied");
	ASSERT_EQ(0, get_settled_buffer(self, KIB(64)));
	if (!importer_has(self->importer[0], self->fd, BOUNCES))
		SKIP_UNLESS_NEEDED(return, "bounces",
				   "no device that gets copies");
	EXPECT_EQ(0, put_buffer(self));
	check_rows(_metadata, self, KIB(64), rows_with_copies,
		   ARRAY_SIZE(rows_with_copies));
}

/* However many devices there are, memory is one */
CACHE_TEST(many_devices_cost_as_much_as_one)
{
	int i, j, dir;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		ASSERT_EQ(0, get_settled_buffer(self, lens[i]));
		reset_counts(self);
		for (j = 0; j < IMPORTERS; j++) {
			dir = j % 2 ? DEVICE_READS : DEVICE_READS_AND_WRITES;
			ASSERT_EQ(0, importer_map(self->importer[j], self->fd,
						  j % 4 < 2 ? IMPORTER_64 :
						IMPORTER_32, dir));
		}
		EXPECT_COUNTED(0, 0);
		EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_START | RW));
		EXPECT_COUNTED(0, self->len);
		EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_END | RW));
		EXPECT_COUNTED(self->len, 0);
		for (j = 0; j < IMPORTERS; j++)
			EXPECT_EQ(0, importer_unmap(self->importer[j]));
		EXPECT_COUNTED(0, 0);
		EXPECT_EQ(0, put_buffer(self));
	}
}

/* Not even by the next buffer with that memory, of what is never ended */
CACHE_TEST(new_buffer_owes_no_maintenance)
{
	int i, j;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		for (j = 0; j < 2; j++) {
			ASSERT_EQ(0, get_settled_buffer(self, lens[i]));
			reset_counts(self);
			EXPECT_EQ(0, buf_sync(self->fd,
					      DMA_BUF_SYNC_START | R));
			EXPECT_COUNTED(0, 0);
			EXPECT_EQ(0, buf_sync(self->fd,
					      DMA_BUF_SYNC_START | W));
			EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_END | W));
			ASSERT_EQ(0, importer_map(self->importer[1], self->fd,
						  IMPORTER_64, DEVICE_READS));
			EXPECT_COUNTED(self->len, 0);
			EXPECT_EQ(0, importer_unmap(self->importer[1]));
			ASSERT_EQ(0, importer_map(self->importer[1], self->fd,
						  IMPORTER_64, DEVICE_WRITES));
			EXPECT_COUNTED(0, 0);
			EXPECT_EQ(0, buf_sync(self->fd,
					      DMA_BUF_SYNC_START | W));
			EXPECT_EQ(0, importer_unmap(self->importer[1]));
			EXPECT_EQ(0, put_buffer(self));
		}
	}
}

/* No cache has longer lines */
#define LINE	256

/* Was it that part, and what shares lines with it at most? */
static bool is_about(const struct sync_count *count, size_t offset, size_t len)
{
	return count->first <= offset && count->first + LINE > offset &&
	       count->end >= offset + len &&
	       count->end < offset + len + LINE &&
	       count->bytes == count->end - count->first;
}

/* That, or of memory that is in no cache, nothing */
static bool is_done(struct _test_data_cache *self,
		    const struct sync_count *count, size_t offset, size_t len)
{
	return self->uncached ? !count->bytes : is_about(count, offset, len);
}

/* Of parts the right bytes, across the borders of chunks as well */
CACHE_TEST(partial_sync_is_about_its_lines_only)
{
	static const struct {
		size_t offset;
		size_t len;
	} parts[] = {
		{ 0, 1 }, { 0, KIB(4) }, { MIB(64) - 1, 1 }, { 5, 3 },
		{ MIB(64) - KIB(4), KIB(4) }, { MIB(30) + 12345, KIB(4) },
		{ MIB(2) - 1, 2 }, { MIB(4) - KIB(2), KIB(4) },
		{ MIB(1), MIB(5) }, { MIB(62), MIB(2) }, { 0, MIB(64) },
	};
	struct sync_count clean, drop;
	size_t offset, len;
	int i;

	ASSERT_EQ(0, get_settled_buffer(self, MIB(64)));
	ASSERT_EQ(0, importer_map(self->importer[0], self->fd, IMPORTER_64,
				  DEVICE_READS_AND_WRITES));
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		offset = parts[i].offset;
		len = parts[i].len;
		reset_counts(self);
		EXPECT_EQ(0, buf_sync_partial(self->fd, DMA_BUF_SYNC_START | RW,
					      offset, len));
		ASSERT_EQ(0, importer_counted(self->importer[0], &clean,
					      &drop));
		/* Lines that are shared with other data are written back */
		EXPECT_TRUE(!clean.bytes || is_about(&clean, offset, len));
		EXPECT_TRUE(!clean.bytes || (offset | len) % LINE);
		EXPECT_TRUE(is_done(self, &drop, offset, len));
		reset_counts(self);
		EXPECT_EQ(0, buf_sync_partial(self->fd, DMA_BUF_SYNC_END | RW,
					      offset, len));
		ASSERT_EQ(0, importer_counted(self->importer[0], &clean,
					      &drop));
		EXPECT_EQ(0, drop.bytes);
		EXPECT_TRUE(is_done(self, &clean, offset, len));
	}
	/* What is refused is not done */
	reset_counts(self);
	EXPECT_EQ(-EINVAL, buf_sync_partial(self->fd, DMA_BUF_SYNC_START | RW,
					    MIB(64), 1));
	EXPECT_EQ(-EINVAL, buf_sync_partial(self->fd, DMA_BUF_SYNC_END | RW,
					    1, MIB(64)));
	EXPECT_EQ(-EINVAL, buf_sync_partial(self->fd, DMA_BUF_SYNC_START, 0,
					    KIB(4)));
	EXPECT_COUNTED(0, 0);
}

/* To map for reading writes nothing if nobody else may by that descriptor */
CACHE_TEST(read_only_descriptor_writes_nothing_back)
{
	char *p;
	int i;

	for (i = 0; i < 2; i++) {
		self->len = page_align(KIB(68));
		self->fd = heap_alloc_flags(self->heap_fd, self->len,
					    (i ? O_RDWR : O_RDONLY) |
					    O_CLOEXEC);
		ASSERT_LE(0, self->fd);
		ASSERT_EQ(0, importer_do(self->importer[0], "watch %d",
					 self->fd));
		ASSERT_EQ(0, importer_map(self->importer[1], self->fd,
					  IMPORTER_64, DEVICE_READS));
		ASSERT_EQ(0, importer_unmap(self->importer[1]));
		p = buf_map(self->fd, self->len, PROT_READ);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(-1, find_nonzero(p, self->len));
		reset_counts(self);
		ASSERT_EQ(0, importer_map(self->importer[1], self->fd,
					  IMPORTER_64, DEVICE_READS));
		/* With the other one mprotect() is all it takes to write */
		EXPECT_COUNTED(i ? self->len : 0, 0);
		EXPECT_EQ(0, importer_unmap(self->importer[1]));
		EXPECT_EQ(0, munmap(p, self->len));
		EXPECT_EQ(0, put_buffer(self));
	}
}

/* Leaves in the pool one buffer that a device has used, clean, and nothing else */
static void recycle(struct __test_metadata *_metadata,
		    struct _test_data_cache *self, const char *heap, size_t len)
{
	int fd;

	ASSERT_TRUE(WAIT_FOR(pool_keeps(heap, self->heap_fd)));
	ASSERT_TRUE(WAIT_FOR(pool_empty(heap)));
	fd = heap_alloc(self->heap_fd, len);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, importer_map(self->importer[1], fd, IMPORTER_64,
				  DEVICE_READS_AND_WRITES));
	EXPECT_EQ(0, importer_unmap(self->importer[1]));
	EXPECT_EQ(0, close(fd));
	ASSERT_TRUE(WAIT_FOR(pool_is_clean(heap, pages_of(len))))
		TH_LOG("%s", pool_text(heap));
}

/* What the scrubber has cleaned is not cleaned once more */
CACHE_TEST(scrubbed_buffer_costs_nothing)
{
	const char *heap = variant->name;
	long long max_bytes, decay_ms;
	size_t len;
	int i;

	max_bytes = pool_get(heap, "max_bytes");
	decay_ms = pool_get(heap, "decay_ms");
	if (max_bytes < 0)
		SKIP_UNLESS_NEEDED(return, "pool", "no pool behind %s", heap);
	ASSERT_EQ(0, pool_set(heap, "max_bytes", KIB(meminfo_kib("MemTotal:"))));
	ASSERT_EQ(0, pool_set(heap, "decay_ms", 600000));
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		len = page_align(lens[i]);
		recycle(_metadata, self, heap, len);
		self->fd = heap_alloc(self->heap_fd, len);
		self->len = len;
		ASSERT_LE(0, self->fd);
		EXPECT_EQ(0, importer_do(self->importer[0], "watch %d",
					 self->fd));
		EXPECT_EQ(0, importer_map(self->importer[1], self->fd,
					  IMPORTER_64,
					  DEVICE_READS_AND_WRITES));
		EXPECT_EQ(0, importer_unmap(self->importer[1]));
		EXPECT_COUNTED(0, 0);
		/* But that it was written is known */
		EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_START | R));
		EXPECT_COUNTED(0, len);
		EXPECT_EQ(0, put_buffer(self));
	}
	EXPECT_EQ(0, pool_set(heap, "max_bytes", max_bytes));
	EXPECT_EQ(0, pool_set(heap, "decay_ms", decay_ms));
}

/* Wherever it is done: for all devices at once, or by the mapping of this one */
CACHE_TEST(device_past_the_caches_has_lines_written_back_and_dropped)
{
	const __u64 read = DMA_BUF_SYNC_READ, write = DMA_BUF_SYNC_WRITE;
	struct sync_count clean, drop;

	if (self->uncached)
		SKIP(return, "uncached");
	ASSERT_EQ(0, get_settled_buffer(self, MIB(1)));
	ASSERT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_START | write));
	ASSERT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_END | write));
	ASSERT_EQ(0, importer_map(self->importer[0], self->fd, IMPORTER_64,
				  DEVICE_READS_AND_WRITES));
	ASSERT_EQ(0, importer_counted(self->importer[0], &clean, &drop));
	EXPECT_EQ(self->len, clean.bytes);

	reset_counts(self);
	ASSERT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_START | read));
	ASSERT_EQ(0, importer_counted(self->importer[0], &clean, &drop));
	EXPECT_EQ(self->len, drop.bytes);
	ASSERT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_END | read));

	reset_counts(self);
	ASSERT_EQ(0, buf_sync_partial(self->fd, DMA_BUF_SYNC_START | write,
				      KIB(64), KIB(4)));
	ASSERT_EQ(0, buf_sync_partial(self->fd, DMA_BUF_SYNC_END | write,
				      KIB(64), KIB(4)));
	ASSERT_EQ(0, importer_counted(self->importer[0], &clean, &drop));
	EXPECT_EQ(KIB(4), clean.bytes);
	EXPECT_EQ(KIB(4), drop.bytes);
	EXPECT_EQ(KIB(64), clean.first);
	EXPECT_EQ(KIB(64), drop.first);
	ASSERT_EQ(0, importer_unmap(self->importer[0]));
}

int main(int argc, char **argv)
{
	heap_tests_init();
	heap_register(&_cache_fixture_object);

	return test_harness_run(argc, argv);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Caches between CPU and devices: that they are maintained when somebody is
 * about to look and there is a reason, for the bytes in question and once, and
 * that what is written on one side is read on the other, by way of the copies
 * of a device that bounces, too.
 *
 * The test importer counts what is done for the caches. NEED in the environment
 * as in dmabuf-heap-machine, with: importer, pool, counts, bounces (a device
 * that works on copies is there), swiotlb (all do).
 */

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "heap_fixture.h"

#define READ_WRITE	(PROT_READ | PROT_WRITE)
#define IMPORTERS	8
#define SEED		131

/* In one chunk, in some, and in many */
static const size_t lens[] = { KIB(64), MIB(8) + KIB(4), MIB(64) };

/* A heap, and one buffer that devices have seen as it is */
FIXTURE(cache)
{
	int heap_fd;
	int importer[IMPORTERS];
	int open_fds;
	int buffers;
	long long bytes;
	bool uncached;
	bool counts;
	int fd;
	size_t len;
	char *map;
};

FIXTURE_VARIANT(cache)
{
	char name[HEAP_NAME_SIZE];
};

/* Maps the buffer for a device, and keeps it mapped */
static int map_device(int importer, int fd, int device, int dir)
{
	int ret;

	ret = importer_do(importer, "import %d %d", fd, device);
	if (ret)
		return ret;
	ret = importer_do(importer, "map %d", dir);
	if (ret)
		importer_do(importer, "drop");

	return ret;
}

static int unmap_device(int importer)
{
	return importer_do(importer, "drop");
}

/* Does what is mapped bounce? Only after map_device() */
static int device_bounces(int importer)
{
	char answer[128];
	ssize_t len;
	int bounces;

	len = pread(importer, answer, sizeof(answer) - 1, 0);
	if (len < 0)
		return -errno;
	answer[len] = '\0';

	return sscanf(answer, "bounces %d", &bounces) == 1 ? bounces : -EIO;
}

/* Where all devices get copies there is nothing to count, and else by kprobes */
static bool can_count(int importer, int heap_fd)
{
	bool can = false;
	int fd;

	fd = heap_alloc(heap_fd, KIB(4));
	if (fd < 0)
		return false;
	if (!map_device(importer, fd, IMPORTER_64, DEVICE_READS)) {
		can = !device_bounces(importer);
		unmap_device(importer);
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
	self->open_fds = open_fds();
	self->buffers = heap_buffers(variant->name);
	self->bytes = heap_attr(variant->name, "bytes");
	self->fd = -1;
	for (i = 0; i < IMPORTERS; i++)
		self->importer[i] = importer_open();
	if (self->importer[0] < 0) {
		ASSERT_FALSE(is_needed("importer"));
		SKIP(return, "no test importer");
	}
	self->counts = can_count(self->importer[0], self->heap_fd);
	ASSERT_TRUE(self->counts || !is_needed("counts"));
}

FIXTURE_TEARDOWN(cache)
{
	int i;

	for (i = 0; i < IMPORTERS; i++)
		close(self->importer[i]);
	if (self->fd >= 0)
		EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(self->open_fds, open_fds());
	EXPECT_EQ(self->buffers, heap_buffers(variant->name));
	EXPECT_EQ(self->bytes, heap_attr(variant->name, "bytes"));
	close(self->heap_fd);
}

#define CACHE_TEST(name) \
	TEST_F_TIMEOUT(cache, name, 2 * HEAP_TEST_TIMEOUT)

/*
 * A buffer nothing is to be done for: whatever lines were dirty, a device that
 * is not coherent was about to read them. Counted from now on; -EOPNOTSUPP if
 * nothing can be counted.
 */
static int get_settled_buffer(struct _test_data_cache *self, size_t len)
{
	int ret;

	self->len = page_align(len);
	self->fd = heap_alloc(self->heap_fd, self->len);
	if (self->fd < 0)
		return self->fd;
	ret = map_device(self->importer[0], self->fd, IMPORTER_64,
			 DEVICE_READS);
	if (ret)
		return ret;
	unmap_device(self->importer[0]);

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

static const struct {
	const char *name;
	struct step steps[MAX_STEPS];
} table[] = {
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
		return map_device(self->importer[step->arg], self->fd,
				  step->device, step->dir);
	case UNMAP:
		return unmap_device(self->importer[step->arg]);
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

static bool has_device(struct _test_data_cache *self, int device)
{
	bool has = !importer_do(self->importer[0], "import %d %d", self->fd,
				device);

	if (has)
		unmap_device(self->importer[0]);

	return has;
}

/* Copies are few, and of an uncached buffer there are none */
static bool is_possible(struct _test_data_cache *self, const struct step *step)
{
	bool bounces = self->len <= KIB(64) && !self->uncached &&
		       has_device(self, BOUNCES);

	for (; step->op; step++)
		if (step->op == MAP && step->device == BOUNCES && !bounces)
			return false;

	return true;
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

CACHE_TEST(maintained_as_needed)
{
	struct sync_count clean = { }, drop = { };
	const struct step *steps;
	int i, j, k;

	if (!self->counts)
		SKIP(return, "nothing counts maintenance here");
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		for (j = 0; j < ARRAY_SIZE(table); j++) {
			steps = table[j].steps;
			ASSERT_EQ(0, get_settled_buffer(self, lens[i]));
			if (is_possible(self, steps))
				EXPECT_EQ(0, wrong_step(self, steps, &clean,
							&drop))
					TH_LOG("%s, of %zu bytes %zu written back, %zu dropped",
					       table[j].name, self->len,
					       clean.bytes, drop.bytes);
			for (k = 0; k < IMPORTERS; k++)
				unmap_device(self->importer[k]);
			EXPECT_EQ(0, put_buffer(self));
		}
	}
}

/* However many devices there are, memory is one */
CACHE_TEST(many_devices_are_like_one)
{
	int i, j, dir;

	if (!self->counts)
		SKIP(return, "nothing counts maintenance here");
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		ASSERT_EQ(0, get_settled_buffer(self, lens[i]));
		reset_counts(self);
		for (j = 0; j < IMPORTERS; j++) {
			dir = j % 2 ? DEVICE_READS : DEVICE_READS_AND_WRITES;
			ASSERT_EQ(0, map_device(self->importer[j], self->fd,
						j % 4 < 2 ? IMPORTER_64 :
						IMPORTER_32, dir));
		}
		EXPECT_COUNTED(0, 0);
		EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_START | RW));
		EXPECT_COUNTED(0, self->len);
		EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_END | RW));
		EXPECT_COUNTED(self->len, 0);
		for (j = 0; j < IMPORTERS; j++)
			EXPECT_EQ(0, unmap_device(self->importer[j]));
		EXPECT_COUNTED(0, 0);
		EXPECT_EQ(0, put_buffer(self));
	}
}

/* Not even by the next buffer with that memory, of what is never ended */
CACHE_TEST(nothing_is_inherited)
{
	int i, j;

	if (!self->counts)
		SKIP(return, "nothing counts maintenance here");
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
			ASSERT_EQ(0, map_device(self->importer[1], self->fd,
						IMPORTER_64, DEVICE_READS));
			EXPECT_COUNTED(self->len, 0);
			EXPECT_EQ(0, unmap_device(self->importer[1]));
			ASSERT_EQ(0, map_device(self->importer[1], self->fd,
						IMPORTER_64, DEVICE_WRITES));
			EXPECT_COUNTED(0, 0);
			EXPECT_EQ(0, buf_sync(self->fd,
					      DMA_BUF_SYNC_START | W));
			EXPECT_EQ(0, unmap_device(self->importer[1]));
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

/* Of parts the right bytes, across the borders of chunks as well */
CACHE_TEST(parts_are_the_right_ones)
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

	if (!self->counts)
		SKIP(return, "nothing counts maintenance here");
	ASSERT_EQ(0, get_settled_buffer(self, MIB(64)));
	ASSERT_EQ(0, map_device(self->importer[0], self->fd, IMPORTER_64,
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
		if (!self->uncached)
			EXPECT_TRUE(is_about(&drop, offset, len));
		reset_counts(self);
		EXPECT_EQ(0, buf_sync_partial(self->fd, DMA_BUF_SYNC_END | RW,
					      offset, len));
		ASSERT_EQ(0, importer_counted(self->importer[0], &clean,
					      &drop));
		EXPECT_EQ(0, drop.bytes);
		if (!self->uncached)
			EXPECT_TRUE(is_about(&clean, offset, len));
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
CACHE_TEST(mapped_for_reading_only)
{
	char *p;
	int i;

	if (!self->counts)
		SKIP(return, "nothing counts maintenance here");
	for (i = 0; i < 2; i++) {
		self->len = KIB(68);
		self->fd = heap_alloc_flags(self->heap_fd, self->len,
					    (i ? O_RDWR : O_RDONLY) |
					    O_CLOEXEC);
		ASSERT_LE(0, self->fd);
		ASSERT_EQ(0, importer_do(self->importer[0], "watch %d",
					 self->fd));
		ASSERT_EQ(0, map_device(self->importer[1], self->fd,
					IMPORTER_64, DEVICE_READS));
		ASSERT_EQ(0, unmap_device(self->importer[1]));
		p = buf_map(self->fd, self->len, PROT_READ);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(-1, find_nonzero(p, self->len));
		reset_counts(self);
		ASSERT_EQ(0, map_device(self->importer[1], self->fd,
					IMPORTER_64, DEVICE_READS));
		/* With the other one mprotect() is all it takes to write */
		EXPECT_COUNTED(i ? self->len : 0, 0);
		EXPECT_EQ(0, unmap_device(self->importer[1]));
		EXPECT_EQ(0, munmap(p, self->len));
		EXPECT_EQ(0, put_buffer(self));
	}
}

/*
 * A pool with nothing in it but one buffer that a device has used, and clean:
 * whether that worked, for the scrubber may be at something else
 */
static bool recycle(const char *name, int heap_fd, int importer, size_t len)
{
	long long counted, freed;
	int fd, ret, i;

	pool_shrink(name, &counted, &freed);
	fd = heap_alloc(heap_fd, len);
	if (fd < 0)
		return false;
	ret = map_device(importer, fd, IMPORTER_64, DEVICE_READS_AND_WRITES);
	if (!ret)
		ret = unmap_device(importer);
	close(fd);

	for (i = 0; !pool_is_clean(name, len / page_size()); i++) {
		if (ret || i == 200)
			return false;
		usleep(5000);
	}

	return true;
}

/* What the scrubber has cleaned is not cleaned once more */
CACHE_TEST(new_buffer_costs_nothing)
{
	long long max_kib, decay_ms;
	size_t len;
	int i;

	if (!self->counts)
		SKIP(return, "nothing counts maintenance here");
	max_kib = pool_get(variant->name, "max_kib");
	decay_ms = pool_get(variant->name, "decay_ms");
	if (max_kib < 0) {
		ASSERT_FALSE(is_needed("pool"));
		SKIP(return, "no pool behind %s", variant->name);
	}
	ASSERT_EQ(0, pool_set(variant->name, "max_kib",
			      meminfo_kib("MemTotal:")));
	ASSERT_EQ(0, pool_set(variant->name, "decay_ms", 600000));
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		len = page_align(lens[i]);
		EXPECT_TRUE(WAIT_FOR(recycle(variant->name, self->heap_fd,
					     self->importer[1], len)));
		self->fd = heap_alloc(self->heap_fd, len);
		self->len = len;
		EXPECT_LE(0, self->fd);
		EXPECT_EQ(0, importer_do(self->importer[0], "watch %d",
					 self->fd));
		EXPECT_EQ(0, map_device(self->importer[1], self->fd,
					IMPORTER_64, DEVICE_READS_AND_WRITES));
		EXPECT_EQ(0, unmap_device(self->importer[1]));
		EXPECT_COUNTED(0, 0);
		/* But that it was written is known */
		EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_START | R));
		EXPECT_COUNTED(0, len);
		EXPECT_EQ(0, put_buffer(self));
	}
	EXPECT_EQ(0, pool_set(variant->name, "max_kib", max_kib));
	EXPECT_EQ(0, pool_set(variant->name, "decay_ms", decay_ms));
}

/* Fits the smallest pool of bounce buffers, and takes more than one */
#define BOUNCED_LEN	(KIB(448) + KIB(4))

/* A part that the CPU writes and one that the device does, and their seeds */
#define CPU_OFFSET	(KIB(252) + 8)
#define CPU_LEN		(KIB(8) + 40)
#define DEVICE_OFFSET	(KIB(100) + 16)
#define DEVICE_LEN	200

static const int all_devices[] = {
	IMPORTER_64, IMPORTER_32, IMPORTER_COHERENT, IMPORTER_BOUNCES,
};

/*
 * Maps a filled buffer for the device, or tells why that cannot be: 0 if there
 * is no such device, 1 if it is mapped
 */
static int map_filled(struct _test_data_cache *self, int device, int dir,
		      int *bounces)
{
	int ret;

	self->len = BOUNCED_LEN;
	self->fd = buf_filled(self->heap_fd, self->len, SEED);
	if (self->fd < 0)
		return self->fd;
	self->map = buf_map(self->fd, self->len, READ_WRITE);
	if (self->map == MAP_FAILED)
		return -errno;
	ret = map_device(self->importer[0], self->fd, device, dir);
	if (ret == -ENODEV)
		return 0;
	if (!ret)
		*bounces = device_bounces(self->importer[0]);

	return ret ? ret : 1;
}

/* The same, and an error if it is not as the machine is known to make it */
static int map_as_known(struct _test_data_cache *self, int device, int dir,
			int *bounces)
{
	bool copies = device == IMPORTER_BOUNCES ||
		      (is_needed("swiotlb") && device != IMPORTER_COHERENT);
	int ret;

	*bounces = 0;
	ret = map_filled(self, device, dir, bounces);
	if (!ret)
		return is_needed("bounces") ? -ENODEV : 0;
	if (copies && self->uncached)
		return ret == -EIO ? 0 : -EEXIST;
	if (copies && ret == 1 && *bounces != 1)
		return -EXDEV;

	return ret;
}

static void unmap_filled(struct _test_data_cache *self)
{
	unmap_device(self->importer[0]);
	munmap(self->map, self->len);
	put_buffer(self);
}

static long long cpu_reads(struct _test_data_cache *self, size_t offset,
			   size_t len, __u32 seed)
{
	return pattern_check(self->map + offset, offset, len, seed);
}

static long long device_reads(struct _test_data_cache *self, size_t offset,
			      size_t len, __u32 seed)
{
	return importer_reads(self->importer[0], offset, len, seed);
}

static int device_writes(struct _test_data_cache *self, size_t offset,
			 size_t len, __u32 seed)
{
	return importer_do(self->importer[0], "dwrite %zu %zu %u", offset, len,
			   seed);
}

/* The CPU writes, the device reads */
CACHE_TEST(devices_see_what_the_cpu_wrote)
{
	int i, ret, bounces;

	for (i = 0; i < ARRAY_SIZE(all_devices); i++) {
		ret = map_as_known(self, all_devices[i], DEVICE_READS,
				   &bounces);
		ASSERT_LE(0, ret);
		if (!ret) {
			unmap_filled(self);
			continue;
		}
		EXPECT_EQ(-1, device_reads(self, 0, self->len, SEED));

		EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_START | W));
		pattern_fill(self->map, 0, self->len, SEED + 1);
		/* A device that has not got a copy of its own is not here */
		EXPECT_EQ(bounces ? -1 : 0,
			  device_reads(self, 0, self->len, SEED));
		EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_END | W));
		EXPECT_EQ(-1, device_reads(self, 0, self->len, SEED + 1));

		/* And a part of it */
		EXPECT_EQ(0, buf_sync_partial(self->fd, DMA_BUF_SYNC_START | W,
					      CPU_OFFSET, CPU_LEN));
		pattern_fill(self->map + CPU_OFFSET, CPU_OFFSET, CPU_LEN,
			     SEED + 2);
		EXPECT_EQ(0, buf_sync_partial(self->fd, DMA_BUF_SYNC_END | W,
					      CPU_OFFSET, CPU_LEN));
		EXPECT_EQ(-1, device_reads(self, CPU_OFFSET, CPU_LEN,
					   SEED + 2));
		EXPECT_EQ(-1, device_reads(self, 0, CPU_OFFSET, SEED + 1));
		EXPECT_EQ(-1, device_reads(self, CPU_OFFSET + CPU_LEN,
					   self->len - CPU_OFFSET - CPU_LEN,
					   SEED + 1));
		unmap_filled(self);
	}
}

/* The device writes, the CPU reads: in the middle and after the last unmap */
CACHE_TEST(cpu_sees_what_devices_wrote)
{
	static const int dirs[] = { DEVICE_WRITES, DEVICE_READS_AND_WRITES };
	int i, ret, bounces;

	for (i = 0; i < 2 * ARRAY_SIZE(all_devices); i++) {
		ret = map_as_known(self, all_devices[i / 2], dirs[i % 2],
				   &bounces);
		ASSERT_LE(0, ret);
		if (!ret) {
			unmap_filled(self);
			continue;
		}
		ASSERT_EQ(0, device_writes(self, 0, self->len, SEED + 1));
		EXPECT_EQ(bounces ? -1 : 0,
			  cpu_reads(self, 0, self->len, SEED));
		EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_START | R));
		EXPECT_EQ(-1, cpu_reads(self, 0, self->len, SEED + 1));
		EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_END | R));

		/* A part; what else was written is not yet of interest */
		ASSERT_EQ(0, device_writes(self, 0, self->len, SEED + 2));
		EXPECT_EQ(0, buf_sync_partial(self->fd, DMA_BUF_SYNC_START | R,
					      DEVICE_OFFSET, DEVICE_LEN));
		EXPECT_EQ(-1, cpu_reads(self, DEVICE_OFFSET, DEVICE_LEN,
					SEED + 2));
		EXPECT_EQ(bounces ? -1 : 0,
			  cpu_reads(self, 0, DEVICE_OFFSET, SEED + 1));
		EXPECT_EQ(0, buf_sync_partial(self->fd, DMA_BUF_SYNC_END | R,
					      DEVICE_OFFSET, DEVICE_LEN));

		EXPECT_EQ(0, importer_do(self->importer[0], "unmap"));
		EXPECT_EQ(-1, cpu_reads(self, 0, self->len, SEED + 2));
		unmap_filled(self);
	}
}

/* Each writes a part of what the other one does not, and both see it all */
CACHE_TEST(both_write_parts)
{
	int i, ret, bounces, round;
	__u32 seed;

	for (i = 0; i < ARRAY_SIZE(all_devices); i++) {
		ret = map_as_known(self, all_devices[i],
				   DEVICE_READS_AND_WRITES, &bounces);
		ASSERT_LE(0, ret);
		if (!ret) {
			unmap_filled(self);
			continue;
		}
		for (round = 0; round < 4; round++) {
			seed = SEED + 2 * round + 1;
			ASSERT_EQ(0, device_writes(self, DEVICE_OFFSET,
						   DEVICE_LEN, seed));
			EXPECT_EQ(0, buf_sync(self->fd,
					      DMA_BUF_SYNC_START | RW));
			EXPECT_EQ(-1, cpu_reads(self, DEVICE_OFFSET, DEVICE_LEN,
						seed));
			pattern_fill(self->map + CPU_OFFSET, CPU_OFFSET,
				     CPU_LEN, seed + 1);
			EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_END | RW));
			EXPECT_EQ(-1, device_reads(self, CPU_OFFSET, CPU_LEN,
						   seed + 1));
			EXPECT_EQ(-1, device_reads(self, DEVICE_OFFSET,
						   DEVICE_LEN, seed));
		}
		EXPECT_EQ(0, importer_do(self->importer[0], "unmap"));
		EXPECT_EQ(-1, cpu_reads(self, 0, DEVICE_OFFSET, SEED));
		EXPECT_EQ(-1, cpu_reads(self, DEVICE_OFFSET, DEVICE_LEN, seed));
		EXPECT_EQ(-1, cpu_reads(self, CPU_OFFSET, CPU_LEN, seed + 1));
		unmap_filled(self);
	}
}

#define RACERS		4
#define RACE_MS		3000
#define RACE_LEN	KIB(196)

struct racer {
	pthread_t thread;
	int fd;
	int importer;
	__u64 random;
	unsigned int rounds;
	const char *failed;
};

static atomic_bool race_over;

static void race_import(struct racer *racer)
{
	int device = all_devices[pseudo_random(&racer->random) %
				 ARRAY_SIZE(all_devices)];
	int dir = pseudo_random(&racer->random) % 3;
	int ret;

	ret = map_device(racer->importer, racer->fd, device, dir);
	if (!ret) {
		if (pseudo_random(&racer->random) % 2)
			usleep(pseudo_random(&racer->random) % 300);
		ret = unmap_device(racer->importer);
	} else if (device != IMPORTER_COHERENT) {
		/* There are only so many copies, and of uncached memory none */
		ret = 0;
	}
	if (ret)
		racer->failed = "import";
}

static void race_sync(struct racer *racer)
{
	static const int flags[] = { R, W, RW };
	int flag = flags[pseudo_random(&racer->random) % 3];
	size_t offset = pseudo_random(&racer->random) % RACE_LEN;
	size_t len = 1 + pseudo_random(&racer->random) % (RACE_LEN - offset);
	bool partial = pseudo_random(&racer->random) % 2;
	int ret;

	if (partial)
		ret = buf_sync_partial(racer->fd, DMA_BUF_SYNC_START | flag,
				       offset, len) ?:
		      buf_sync_partial(racer->fd, DMA_BUF_SYNC_END | flag,
				       offset, len);
	else
		ret = buf_sync(racer->fd, DMA_BUF_SYNC_START | flag) ?:
		      buf_sync(racer->fd, DMA_BUF_SYNC_END | flag);
	if (ret)
		racer->failed = "sync";
}

static void race_mmap(struct racer *racer)
{
	char *p = buf_map(racer->fd, RACE_LEN, READ_WRITE);

	if (p == MAP_FAILED) {
		racer->failed = "mmap";
		return;
	}
	memset(p, racer->rounds, page_size());
	munmap(p, RACE_LEN);
}

static void race_descriptor(struct racer *racer)
{
	int fd = dup(racer->fd);

	if (fd < 0)
		racer->failed = "dup";
	close(racer->fd);
	racer->fd = fd;
}

static void race_kernel(struct racer *racer)
{
	if (importer_do(racer->importer, "fill %d %u", racer->fd, SEED))
		racer->failed = "kernel mapping";
}

static void *race(void *data)
{
	static void (*const deeds[])(struct racer *racer) = {
		race_import, race_import, race_sync, race_sync, race_mmap,
		race_descriptor, race_kernel,
	};
	struct racer *racer = data;

	while (!race_over && !racer->failed) {
		deeds[pseudo_random(&racer->random) % ARRAY_SIZE(deeds)](racer);
		racer->rounds++;
	}

	return NULL;
}

CACHE_TEST(everything_at_once)
{
	struct racer racers[RACERS] = { };
	int i;

	self->fd = heap_alloc(self->heap_fd, RACE_LEN);
	ASSERT_LE(0, self->fd);
	for (i = 0; i < RACERS; i++) {
		racers[i].fd = dup(self->fd);
		racers[i].importer = self->importer[i];
		racers[i].random = i;
		ASSERT_EQ(0, pthread_create(&racers[i].thread, NULL, race,
					    &racers[i]));
	}
	usleep(RACE_MS * 1000);
	race_over = true;
	for (i = 0; i < RACERS; i++) {
		ASSERT_EQ(0, pthread_join(racers[i].thread, NULL));
		EXPECT_EQ(NULL, racers[i].failed)
			TH_LOG("%s", racers[i].failed);
		EXPECT_LT(0, racers[i].rounds);
		close(racers[i].fd);
	}
	/* And then all is as ever */
	self->len = RACE_LEN;
	self->map = buf_map(self->fd, self->len, READ_WRITE);
	ASSERT_NE(MAP_FAILED, self->map);
	pattern_fill(self->map, 0, self->len, SEED);
	ASSERT_EQ(0, map_device(self->importer[0], self->fd, IMPORTER_COHERENT,
				DEVICE_READS));
	EXPECT_EQ(-1, device_reads(self, 0, self->len, SEED));
	EXPECT_EQ(0, munmap(self->map, self->len));
}

int main(int argc, char **argv)
{
	heap_tests_init();
	heap_register(&_cache_fixture_object);

	return test_harness_run(argc, argv);
}

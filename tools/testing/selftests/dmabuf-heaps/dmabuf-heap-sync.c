// SPDX-License-Identifier: GPL-2.0
/*
 * CPU access brackets and importers: DMA_BUF_IOCTL_SYNC without, with and
 * against importers, and buffers imported into vgem, a DRM device without
 * hardware, and compared byte by byte through it.
 */

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "heap_fixture.h"
#include "heap_left.h"

/* Large and small chunks */
#define BUF_LEN		page_align(MIB(3) + KIB(76))
#define SEED		43

/* One importer more would be more mappings of a page than dma-debug can count */
#define VGEMS		3

static const __u64 directions[] = {
	DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE, DMA_BUF_SYNC_RW,
};

HEAP_TEST(brackets_nest_without_an_importer)
{
	int i, fd;

	fd = heap_alloc(self->fd, MIB(1));
	ASSERT_LE(0, fd);
	for (i = 0; i < ARRAY_SIZE(directions); i++) {
		EXPECT_EQ(0, buf_sync(fd, DMA_BUF_SYNC_START | directions[i]));
		EXPECT_EQ(0, buf_sync(fd, DMA_BUF_SYNC_END | directions[i]));
	}
	/* Brackets nest, and an end without a start harms nobody */
	EXPECT_EQ(0, buf_sync(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW));
	EXPECT_EQ(0, buf_sync(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW));
	EXPECT_EQ(0, buf_sync(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ));
	EXPECT_EQ(0, buf_sync(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ));
	EXPECT_EQ(0, buf_sync(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW));
	EXPECT_EQ(0, close(fd));
}

HEAP_TEST(wrong_flags_are_refused)
{
	__u64 flag;
	int bit, fd;

	fd = heap_alloc(self->fd, KIB(4));
	ASSERT_LE(0, fd);
	/* No direction */
	EXPECT_EQ(-EINVAL, buf_sync(fd, DMA_BUF_SYNC_START));
	EXPECT_EQ(-EINVAL, buf_sync(fd, DMA_BUF_SYNC_END));
	for (bit = 0; bit < 64; bit++) {
		flag = 1ULL << bit;
		if (flag & (DMA_BUF_SYNC_RW | DMA_BUF_SYNC_END))
			continue;
		EXPECT_EQ(-EINVAL, buf_sync(fd, DMA_BUF_SYNC_RW | flag))
			TH_LOG("bit %d", bit);
	}
	EXPECT_EQ(-EFAULT, heap_ioctl(fd, DMA_BUF_IOCTL_SYNC, NULL));
	EXPECT_EQ(0, close(fd));
}

/* Start and end; what both say, and that has to be the same */
static int sync_part(int fd, __u64 flags, __u64 offset, __u64 len)
{
	int start = buf_sync_partial(fd, DMA_BUF_SYNC_START | flags, offset,
				     len);
	int end = buf_sync_partial(fd, DMA_BUF_SYNC_END | flags, offset, len);

	return start == end ? start : -EPROTO;
}

/* The first and the last byte, all of it, and parts across borders of chunks */
HEAP_TEST(partial_sync_keeps_the_data)
{
	const struct {
		size_t offset;
		size_t len;
	} parts[] = {
		{ 0, 1 }, { BUF_LEN - 1, 1 }, { 0, BUF_LEN }, { 1, 63 },
		{ MIB(2) - 1, 2 }, { KIB(4) - 1, MIB(3) }, { MIB(3), KIB(76) },
		{ 1, BUF_LEN - 1 }, { 0, BUF_LEN - 1 },
	};
	int i, j, fd;
	char *p;

	fd = buf_filled(self->fd, BUF_LEN, SEED);
	ASSERT_LE(0, fd);
	p = buf_map(fd, BUF_LEN, READ_WRITE);
	ASSERT_NE(MAP_FAILED, p);
	for (i = 0; i < ARRAY_SIZE(parts); i++)
		for (j = 0; j < ARRAY_SIZE(directions); j++)
			EXPECT_EQ(0, sync_part(fd, directions[j],
					       parts[i].offset, parts[i].len));
	EXPECT_EQ(-1, pattern_check(p, 0, BUF_LEN, SEED));
	EXPECT_EQ(0, munmap(p, BUF_LEN));
	EXPECT_EQ(0, close(fd));
}

HEAP_TEST(wrong_parts_are_refused)
{
	const struct {
		__u64 offset;
		__u64 len;
	} parts[] = {
		{ 0, 0 }, { KIB(4), 0 }, { BUF_LEN, 0 }, { BUF_LEN, 1 },
		{ BUF_LEN + 1, 1 }, { 0, BUF_LEN + 1 }, { 1, BUF_LEN },
		{ BUF_LEN - 1, 2 }, { UINT64_MAX, 1 }, { UINT64_MAX, 2 },
		{ 1, UINT64_MAX }, { UINT64_MAX - 63, 64 },
		{ BUF_LEN, UINT64_MAX - BUF_LEN + 1 },
		{ KIB(64), UINT64_MAX - KIB(64) + 2 },
		{ 1ULL << 63, 1ULL << 63 }, { 0, (1ULL << 32) + 1 }, { 1ULL << 32, 1 },
	};
	int i, j, bit, fd;
	__u64 flag;
	char *p;

	fd = buf_filled(self->fd, BUF_LEN, SEED);
	ASSERT_LE(0, fd);
	for (i = 0; i < ARRAY_SIZE(parts); i++)
		for (j = 0; j < ARRAY_SIZE(directions); j++)
			EXPECT_EQ(-EINVAL, sync_part(fd, directions[j],
						     parts[i].offset,
						     parts[i].len));
	EXPECT_EQ(-EINVAL, sync_part(fd, 0, 0, BUF_LEN));
	for (bit = 0; bit < 64; bit++) {
		flag = 1ULL << bit;
		if (flag & (DMA_BUF_SYNC_RW | DMA_BUF_SYNC_END))
			continue;
		EXPECT_EQ(-EINVAL, buf_sync_partial(fd, DMA_BUF_SYNC_RW | flag,
						    0, BUF_LEN))
			TH_LOG("bit %d", bit);
	}
	EXPECT_EQ(-EFAULT, heap_ioctl(fd, DMA_BUF_IOCTL_SYNC_PARTIAL, NULL));
	EXPECT_EQ(-ENOTTY, heap_ioctl(fd, _IOW(DMA_BUF_BASE, 0x40, __u64),
				      NULL));

	/* None of that has left anything */
	EXPECT_EQ(0, sync_part(fd, DMA_BUF_SYNC_RW, 0, BUF_LEN));
	p = buf_map(fd, BUF_LEN, PROT_READ);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(-1, pattern_check(p, 0, BUF_LEN, SEED));
	EXPECT_EQ(0, munmap(p, BUF_LEN));
	EXPECT_EQ(0, close(fd));
}

/* Half of the argument cannot be read */
HEAP_TEST(partial_argument_must_be_readable)
{
	const size_t page = page_size();
	char *p;
	int fd;

	fd = heap_alloc(self->fd, KIB(4));
	ASSERT_LE(0, fd);
	p = mmap(NULL, 2 * page, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, munmap(p + page, page));
	p += page - 16;
	*(__u64 *)p = DMA_BUF_SYNC_RW;
	EXPECT_EQ(-EFAULT, heap_ioctl(fd, DMA_BUF_IOCTL_SYNC_PARTIAL, p));
	EXPECT_EQ(0, munmap(p - page + 16, page));
	EXPECT_EQ(0, close(fd));
}

/* It is about what is mapped, so the descriptor may be of any kind */
HEAP_TEST(partial_sync_needs_no_mode_of_the_descriptor)
{
	static const int modes[] = { O_RDONLY, O_WRONLY };
	int i, fd, pipe_fds[2];

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		fd = heap_alloc_flags(self->fd, PAGES(17), modes[i] | O_CLOEXEC);
		ASSERT_LE(0, fd);
		EXPECT_EQ(0, sync_part(fd, DMA_BUF_SYNC_RW, PAGES(1), PAGES(1)));
		EXPECT_EQ(-EINVAL, sync_part(fd, DMA_BUF_SYNC_RW, PAGES(16),
					     PAGES(2)));
		EXPECT_EQ(0, close(fd));
	}

	ASSERT_EQ(0, pipe2(pipe_fds, O_CLOEXEC));
	EXPECT_EQ(-ENOTTY, sync_part(pipe_fds[0], DMA_BUF_SYNC_RW, 0, 1));
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	EXPECT_EQ(-EBADF, sync_part(pipe_fds[0], DMA_BUF_SYNC_RW, 0, 1));
}

/* An exporter that knows of no parts does all of it, and the same is refused */
HEAP_TEST(partial_sync_works_for_other_exporters)
{
	const size_t len = KIB(64);
	int vgem, fd;
	__u32 handle;
	char *p;

	vgem = vgem_open();
	if (vgem == -ENODEV)
		SKIP_UNLESS_NEEDED(return, "vgem", "no vgem device");
	ASSERT_LE(0, vgem);
	ASSERT_EQ(0, vgem_create(vgem, len, &handle));
	fd = vgem_export(vgem, handle);
	ASSERT_LE(0, fd);
	p = buf_map(fd, len, READ_WRITE);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, sync_part(fd, DMA_BUF_SYNC_WRITE, 0, len));
	pattern_fill(p, 0, len, SEED);
	EXPECT_EQ(0, sync_part(fd, DMA_BUF_SYNC_RW, KIB(4), KIB(4)));
	EXPECT_EQ(0, sync_part(fd, DMA_BUF_SYNC_READ, len - 1, 1));
	EXPECT_EQ(-EINVAL, sync_part(fd, DMA_BUF_SYNC_READ, len - 1, 2));
	EXPECT_EQ(-EINVAL, sync_part(fd, DMA_BUF_SYNC_READ, 0, 0));
	EXPECT_EQ(-EINVAL, sync_part(fd, DMA_BUF_SYNC_READ, len, UINT64_MAX));
	EXPECT_EQ(-1, pattern_check(p, 0, len, SEED));
	EXPECT_EQ(0, munmap(p, len));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, vgem_close_handle(vgem, handle));
	EXPECT_EQ(0, close(vgem));
}

/* Three openers of vgem, each of which imports for itself */
FIXTURE(import)
{
	int heap_fd;
	struct heap_left left;
	int vgem[VGEMS];
	int fd;
	char *p;
};

FIXTURE_VARIANT(import)
{
	char heap[HEAP_NAME_SIZE];
};

FIXTURE_SETUP(import)
{
	int i;

	self->heap_fd = heap_open(variant->heap, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->heap_fd);
	self->vgem[0] = vgem_open();
	if (self->vgem[0] == -ENODEV)
		SKIP_UNLESS_NEEDED(return, "vgem", "no vgem device");
	for (i = 1; i < VGEMS; i++)
		self->vgem[i] = vgem_open();
	ASSERT_LE(0, self->vgem[VGEMS - 1]);
	self->left = heap_left(variant->heap);

	self->fd = heap_alloc(self->heap_fd, BUF_LEN);
	ASSERT_LE(0, self->fd);
	self->p = buf_map(self->fd, BUF_LEN, READ_WRITE);
	ASSERT_NE(MAP_FAILED, self->p);
	pattern_fill(self->p, 0, BUF_LEN, SEED);
}

FIXTURE_TEARDOWN(import)
{
	int i;

	EXPECT_EQ(0, munmap(self->p, BUF_LEN));
	if (self->fd >= 0)
		EXPECT_EQ(0, close(self->fd));
	/* Also what the importers hold has to go before they do */
	EXPECT_NOTHING_LEFT(self->left, variant->heap);
	for (i = 0; i < VGEMS; i++)
		close(self->vgem[i]);
	close(self->heap_fd);
}

#define IMPORT_TEST(name)	TEST_F_TIMEOUT(import, name, HEAP_TEST_TIMEOUT)

/* An imported buffer, exported again, is the same buffer and not a copy */
IMPORT_TEST(export_again_is_the_same_buffer)
{
	__u32 handle;
	char *q;
	int fd;

	ASSERT_EQ(0, vgem_import(self->vgem[0], self->fd, &handle));
	fd = vgem_export(self->vgem[0], handle);
	ASSERT_LE(0, fd);
	EXPECT_EQ(BUF_LEN, buf_size(fd));
	q = buf_map(fd, BUF_LEN, READ_WRITE);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_EQ(-1, pattern_check(q, 0, BUF_LEN, SEED));
	pattern_fill(q, 0, BUF_LEN, SEED + 1);
	EXPECT_EQ(-1, pattern_check(self->p, 0, BUF_LEN, SEED + 1));
	EXPECT_EQ(0, munmap(q, BUF_LEN));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, vgem_close_handle(self->vgem[0], handle));
}

/* Maps through the node of the DRM device, as if the object were its own */
static char *vgem_map(int vgem, __u64 offset, size_t len)
{
	return mmap(NULL, len, READ_WRITE, MAP_SHARED, vgem, offset);
}

static int import_and_map(int vgem, int fd, __u32 *handle, char **q)
{
	__u64 offset;
	int ret;

	ret = vgem_next_offset(vgem, BUF_LEN, &offset);
	if (ret)
		return ret;
	ret = vgem_import(vgem, fd, handle);
	if (ret)
		return ret;
	*q = vgem_map(vgem, offset, BUF_LEN);

	return *q == MAP_FAILED ? -errno : 0;
}

IMPORT_TEST(vgem_maps_the_same_memory)
{
	__u32 handle;
	char *q;

	ASSERT_EQ(0, import_and_map(self->vgem[0], self->fd, &handle, &q));
	EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW));
	EXPECT_EQ(-1, pattern_check(q, 0, BUF_LEN, SEED));
	EXPECT_EQ(0, memcmp(self->p, q, BUF_LEN));
	pattern_fill(q, 0, BUF_LEN, SEED + 1);
	EXPECT_EQ(-1, pattern_check(self->p, 0, BUF_LEN, SEED + 1));
	pattern_fill(self->p, 0, BUF_LEN, SEED + 2);
	EXPECT_EQ(-1, pattern_check(q, 0, BUF_LEN, SEED + 2));
	EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW));
	EXPECT_EQ(0, munmap(q, BUF_LEN));
	EXPECT_EQ(0, vgem_close_handle(self->vgem[0], handle));
}

IMPORT_TEST(sync_with_importers_keeps_the_data)
{
	__u32 handles[VGEMS];
	int i, j;

	for (i = 0; i < VGEMS; i++) {
		ASSERT_EQ(0, vgem_import(self->vgem[i], self->fd, &handles[i]));
		for (j = 0; j < ARRAY_SIZE(directions); j++) {
			EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_START |
					      directions[j]));
			EXPECT_EQ(-1, pattern_check(self->p, 0, BUF_LEN, SEED));
			EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_END |
					      directions[j]));
		}
	}
	/* And with fewer and fewer, the first that came going first */
	for (i = 0; i < VGEMS; i++) {
		EXPECT_EQ(0, vgem_close_handle(self->vgem[i], handles[i]));
		EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_START |
				      DMA_BUF_SYNC_RW));
		EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_END |
				      DMA_BUF_SYNC_RW));
	}
	EXPECT_EQ(-1, pattern_check(self->p, 0, BUF_LEN, SEED));
}

/* The importer takes the bracket from before it came to its end */
IMPORT_TEST(import_within_a_bracket_keeps_the_data)
{
	__u32 handle;

	EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW));
	ASSERT_EQ(0, vgem_import(self->vgem[0], self->fd, &handle));
	pattern_fill(self->p, 0, BUF_LEN, SEED + 1);
	EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW));
	EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW));
	EXPECT_EQ(0, vgem_close_handle(self->vgem[0], handle));
	EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW));
	EXPECT_EQ(-1, pattern_check(self->p, 0, BUF_LEN, SEED + 1));
}

/* Two importers see the same bytes, each through its own import */
IMPORT_TEST(two_importers_see_the_same)
{
	__u32 handles[2];
	char *q, *r;

	ASSERT_EQ(0, import_and_map(self->vgem[0], self->fd, &handles[0], &q));
	ASSERT_EQ(0, import_and_map(self->vgem[1], self->fd, &handles[1], &r));
	EXPECT_EQ(-1, pattern_check(q, 0, BUF_LEN, SEED));
	EXPECT_EQ(-1, pattern_check(r, 0, BUF_LEN, SEED));
	EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW));
	pattern_fill(q, 0, BUF_LEN, SEED + 1);
	EXPECT_EQ(-1, pattern_check(r, 0, BUF_LEN, SEED + 1));
	EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW));

	/* The other one goes on when the first is gone */
	EXPECT_EQ(0, munmap(q, BUF_LEN));
	EXPECT_EQ(0, vgem_close_handle(self->vgem[0], handles[0]));
	EXPECT_EQ(-1, pattern_check(r, 0, BUF_LEN, SEED + 1));
	pattern_fill(r, 0, BUF_LEN, SEED + 2);
	EXPECT_EQ(-1, pattern_check(self->p, 0, BUF_LEN, SEED + 2));
	EXPECT_EQ(0, munmap(r, BUF_LEN));
	EXPECT_EQ(0, vgem_close_handle(self->vgem[1], handles[1]));
}

/* The same device that imports the same buffer again gets the same object */
IMPORT_TEST(second_import_is_the_same_object)
{
	__u32 handles[2];

	ASSERT_EQ(0, vgem_import(self->vgem[0], self->fd, &handles[0]));
	ASSERT_EQ(0, vgem_import(self->vgem[0], self->fd, &handles[1]));
	EXPECT_EQ(handles[0], handles[1]);
	EXPECT_EQ(0, vgem_close_handle(self->vgem[0], handles[0]));
}

IMPORT_TEST(importer_keeps_the_buffer)
{
	__u32 handle;
	int fd;
	char *q;

	ASSERT_EQ(0, import_and_map(self->vgem[0], self->fd, &handle, &q));
	EXPECT_EQ(0, munmap(q, BUF_LEN));
	EXPECT_EQ(0, munmap(self->p, BUF_LEN));
	EXPECT_EQ(0, close(self->fd));
	self->fd = -1;
	EXPECT_EQ(self->left.buffers < 0 ? -1 : self->left.buffers + 1,
		  heap_buffers(variant->heap));

	/* Would get the memory, had the buffer been freed */
	fd = heap_alloc(self->heap_fd, BUF_LEN);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, close(fd));

	fd = vgem_export(self->vgem[0], handle);
	ASSERT_LE(0, fd);
	self->p = buf_map(fd, BUF_LEN, READ_WRITE);
	ASSERT_NE(MAP_FAILED, self->p);
	EXPECT_EQ(-1, pattern_check(self->p, 0, BUF_LEN, SEED));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, vgem_close_handle(self->vgem[0], handle));
	EXPECT_EQ(-1, pattern_check(self->p, 0, BUF_LEN, SEED));
}

/* An importer that is gone without closing what it imported */
IMPORT_TEST(killed_importer_leaves_the_data)
{
	__u32 handle;
	pid_t child;
	int i, vgem;

	for (i = 0; i < 8; i++) {
		child = fork();
		ASSERT_LE(0, child);
		if (!child) {
			vgem = vgem_open();
			if (vgem_import(vgem, self->fd, &handle))
				_exit(1);
			if (buf_sync(self->fd,
				     DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW))
				_exit(2);
			kill(getpid(), SIGKILL);
		}
		EXPECT_EQ(-SIGKILL, child_end(child));
		EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_END |
				      DMA_BUF_SYNC_RW));
	}
	EXPECT_EQ(-1, pattern_check(self->p, 0, BUF_LEN, SEED));
}

#define RACE_ROUNDS	50

struct racer {
	pthread_t thread;
	const char *failed;
	int vgem;
	int fd;
};

/* Set when the importers are through with their rounds */
static atomic_bool race_over;

static void *race_sync(void *data)
{
	struct racer *racer = data;
	unsigned int round = 0;
	__u64 direction;

	do {
		direction = directions[round++ % ARRAY_SIZE(directions)];
		if (buf_sync(racer->fd, DMA_BUF_SYNC_START | direction))
			racer->failed = "sync start";
		if (buf_sync(racer->fd, DMA_BUF_SYNC_END | direction))
			racer->failed = "sync end";
	} while (!race_over && !racer->failed);

	return NULL;
}

static void *race_import(void *data)
{
	struct racer *racer = data;
	__u32 handle;
	int i;

	for (i = 0; i < RACE_ROUNDS && !racer->failed; i++) {
		if (vgem_import(racer->vgem, racer->fd, &handle))
			racer->failed = "import";
		else if (vgem_close_handle(racer->vgem, handle))
			racer->failed = "close of the handle";
	}

	return NULL;
}

static void *race_mmap(void *data)
{
	struct racer *racer = data;
	void *p;

	do {
		p = buf_map(racer->fd, BUF_LEN, PROT_READ);
		if (p == MAP_FAILED)
			racer->failed = "mmap";
		else if (pattern_check(p, 0, BUF_LEN, SEED) != -1)
			racer->failed = "data";
		munmap(p, BUF_LEN);
	} while (!race_over && !racer->failed);

	return NULL;
}

IMPORT_TEST(sync_against_import_keeps_the_data)
{
	/* One importer for each opener of vgem, and first */
	static void *(*const mains[])(void *) = {
		race_import, race_import, race_import, race_sync, race_sync,
		race_mmap,
	};
	struct racer racers[ARRAY_SIZE(mains)] = { };
	int i;

	for (i = 0; i < ARRAY_SIZE(mains); i++) {
		racers[i].fd = self->fd;
		if (i < VGEMS)
			racers[i].vgem = self->vgem[i];
		ASSERT_EQ(0, pthread_create(&racers[i].thread, NULL, mains[i],
					    &racers[i]));
	}
	for (i = 0; i < ARRAY_SIZE(mains); i++) {
		race_over = i >= VGEMS;
		ASSERT_EQ(0, pthread_join(racers[i].thread, NULL));
		EXPECT_EQ(NULL, racers[i].failed)
			TH_LOG("%s failed", racers[i].failed);
	}
	EXPECT_EQ(-1, pattern_check(self->p, 0, BUF_LEN, SEED));
}

int main(int argc, char **argv)
{
	heap_tests_init();
	heap_register(&_import_fixture_object);

	return test_harness_run(argc, argv);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Heaps on carveouts of the device tree: their names, that buffers are in one
 * piece of the region, that all of it can be had and is had back, clean, whatever
 * was there before; what happens when there is no room; and what the kernel says
 * of nodes with mistakes.
 *
 * NEED in the environment names what must not be lacking: carveout, importer,
 * marker (a region with dirt from before the kernel), bad (nodes with mistakes),
 * border (one where high memory begins), fresh (heaps that nobody has used since
 * the machine was booted), faults (allocations that fail when they are told to).
 * HEAP names the heaps to test, if not all. What is protected is tested by
 * dmabuf-heap-protected.
 */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "../kselftest_harness.h"
#include "heap_faults.h"
#include "heap_regions.h"

#define READ_WRITE	(PROT_READ | PROT_WRITE)
#define TIMEOUT		400
#define SEED		73
#define MAX_BUFS	512

static struct carveout carveouts[MAX_CARVEOUTS];
static int carveout_count;

/*
 * A carveout that nobody uses: all of it is free and clean, before and after. Its
 * pool takes what it gets, and lets go of it later than a test lasts.
 */
FIXTURE(carveout)
{
	int fd;
	int importer;
	int open_fds;
	int buffers;
	long long bytes;
	long long decay_ms;
	/* What there is behind it, if anything */
	bool falls_back;
	long long fallbacks;
};

FIXTURE_VARIANT(carveout)
{
	struct carveout region;
};

static const struct carveout *find_heap(const char *heap)
{
	int i;

	for (i = 0; i < carveout_count; i++)
		if (!strcmp(carveouts[i].heap, heap))
			return &carveouts[i];

	return NULL;
}

FIXTURE_SETUP(carveout)
{
	const struct carveout *region = &variant->region;
	int fd;

	self->fd = heap_open(region->heap, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd)
		TH_LOG("no heap %s", region->heap);
	self->importer = importer_open();
	if (self->importer < 0) {
		ASSERT_FALSE(is_needed("importer"));
		SKIP(return, "no test importer");
	}
	self->decay_ms = pool_get(region->heap, "decay_ms");
	ASSERT_LE(0, self->decay_ms);
	ASSERT_EQ(0, carveout_settle(region));
	ASSERT_EQ(0, pool_set(region->heap, "decay_ms", 600000));
	fd = region->has_fallback ? heap_open(region->fallback, O_RDWR) : -1;
	self->falls_back = fd >= 0;
	close(fd);
	self->fallbacks = carveout_get(region->heap, "fallbacks");
	self->open_fds = open_fds();
	self->buffers = heap_buffers(region->heap);
	self->bytes = heap_attr(region->heap, "bytes");
}

FIXTURE_TEARDOWN(carveout)
{
	const struct carveout *region = &variant->region;

	EXPECT_EQ(self->open_fds, open_fds());
	EXPECT_EQ(self->buffers, heap_buffers(region->heap));
	EXPECT_EQ(self->bytes, heap_attr(region->heap, "bytes"));
	EXPECT_EQ(0, carveout_settle(region))
		TH_LOG("free %lld of %llu KiB, %s",
		       carveout_get(region->heap, "free_kib"),
		       region->size / 1024, pool_text(region->heap));
	EXPECT_EQ(0, pool_set(region->heap, "decay_ms", self->decay_ms));
	close(self->importer);
	close(self->fd);
}

#define CARVEOUT_TEST(name)	TEST_F_TIMEOUT(carveout, name, TIMEOUT)

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
	       !carveout_get(region->heap, "free_kib");
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

/* The very first test: once a heap has been used, its pool is not what it was */
TEST(first_buffers_are_aligned)
{
	int i, importer, found = 0, fresh = 0;

	importer = importer_open();
	if (importer < 0) {
		ASSERT_FALSE(is_needed("importer"));
		SKIP(return, "no test importer");
	}
	for (i = 0; i < carveout_count; i++) {
		const struct carveout *region = &carveouts[i];
		long long decay_ms = pool_get(region->heap, "decay_ms");

		if (!region->left_out || region->protected)
			continue;
		found++;
		if (is_fresh(region)) {
			check_first_buffers(_metadata, region, importer);
			fresh++;
		}
		EXPECT_EQ(0, pool_set(region->heap, "decay_ms", decay_ms));
	}
	close(importer);
	if (!fresh) {
		ASSERT_FALSE(is_needed("fresh"));
		SKIP(return, "no region with a part that is left out, or used before");
	}
	if (is_needed("fresh"))
		EXPECT_EQ(found, fresh);
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
	int fd;

	EXPECT_EQ(region->size / 1024, carveout_get(region->heap, "size_kib"));
	EXPECT_EQ(region->size / 1024, carveout_get(region->heap, "free_kib"));
	EXPECT_EQ(region->size, heap_attr(region->heap, "max_alloc"));
	EXPECT_LE(0, self->fallbacks);
	fd = heap_alloc(self->fd, KIB(4));
	ASSERT_LE(0, fd);
	EXPECT_STREQ(region->heap, buf_exporter(fd));
	EXPECT_EQ(0, close(fd));
}

CARVEOUT_TEST(in_one_piece)
{
	const struct carveout *region = &variant->region;
	static const size_t lens[] = {
		KIB(4), KIB(8), KIB(64), KIB(68), MIB(1), MIB(1) + KIB(4),
		1920 * 1080 * 3 / 2, MIB(5), MIB(9),
	};
	int i, odd, fd;

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
		EXPECT_NE(0, at);
		if (region->base) {
			EXPECT_LE(region->base, at);
			EXPECT_GE(region->base + region->size, at + len);
		}
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

/* What a buffer of @len occupies when there is one after the other */
static size_t stride(const struct carveout *region, size_t len)
{
	size_t alignment = carveout_alignment(region, len);

	return (len + alignment - 1) / alignment * alignment;
}

CARVEOUT_TEST(exhausted_and_had_back)
{
	const struct carveout *region = &variant->region;
	static const size_t lens[] = { MIB(1), KIB(512), KIB(68) };
	int fds[MAX_BUFS], i, count, error, whole;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		size_t len = lens[i];

		if (len > region->size)
			continue;
		count = region_take(region->heap, self->fd, len, fds, MAX_BUFS,
				    &error);
		if (count == MAX_BUFS) {
			region_give_back(fds, count);
			continue;
		}
		EXPECT_EQ(-ENOMEM, error);
		/* With gaps, one may be lost at each end */
		if (stride(region, len) == len)
			EXPECT_EQ(region->size / len, count);
		EXPECT_LE(region->size / stride(region, len) - 1, count);
		EXPECT_TRUE(WAIT_FOR(carveout_get(region->heap, "free_kib") ==
				     (region->size - count * len) / 1024));
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
	EXPECT_EQ(0, carveout_get(region->heap, "free_kib"));
	EXPECT_EQ(0, close(whole));
}

/* To the last page, where alignment does not keep pages apart */
CARVEOUT_TEST(to_the_last_page)
{
	const struct carveout *region = &variant->region;
	size_t left = region->size / 2;
	int fds[MAX_BUFS], count, large, error;

	if (left > MIB(1))
		left = MIB(1);
	large = region_alloc(region->heap, self->fd, region->size - left);
	ASSERT_LE(0, large);
	count = region_take(region->heap, self->fd, KIB(4), fds, MAX_BUFS,
			    &error);
	EXPECT_EQ(-ENOMEM, error);
	if (stride(region, KIB(4)) == KIB(4)) {
		EXPECT_EQ(left / KIB(4), count);
		EXPECT_EQ(0, carveout_get(region->heap, "free_kib"));
	}
	region_give_back(fds, count);
	EXPECT_EQ(0, close(large));
}

CARVEOUT_TEST(too_large)
{
	const struct carveout *region = &variant->region;
	const __u64 lens[] = { region->size + KIB(4), 1ULL << 44, 1ULL << 62 };
	long long start;
	int i;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		start = now_ms();
		EXPECT_EQ(-ENOMEM, region_alloc(region->heap, self->fd, lens[i]));
		EXPECT_GT(AT_ONCE_MS, now_ms() - start);
	}
}

/* At once, when it is dirty; clean from the pool; and from the region */
CARVEOUT_TEST(zeroed)
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
CARVEOUT_TEST(zeroed_without_a_pool)
{
	const struct carveout *region = &variant->region;
	size_t len = region->size / 2 & ~(page_size() - 1);
	long long max_kib = pool_get(region->heap, "max_kib");
	int i, fd;

	EXPECT_EQ(region->size / 1024, max_kib);
	ASSERT_EQ(0, pool_set(region->heap, "max_kib", 0));
	for (i = 0; i < 8; i++) {
		fd = region_alloc(region->heap, self->fd, len);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-1, buf_find_nonzero(fd, len));
		EXPECT_EQ(0, close(fd));
		fd = buf_filled(self->fd, len, SEED + i);
		ASSERT_LE(0, fd);
		EXPECT_EQ(0, close(fd));
		EXPECT_TRUE(WAIT_FOR(!pool_pages(region->heap)));
	}
	ASSERT_EQ(0, pool_set(region->heap, "max_kib", max_kib));
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

/* Dirty is not gone: what was free before the last close has to be had */
CARVEOUT_TEST(waits_for_the_scrubber)
{
	const struct carveout *region = &variant->region;
	int fds[MAX_BUFS], i, count, error, fd;
	size_t len = region->size;

	for (i = 0; i < 12; i++) {
		fd = region_alloc(region->heap, self->fd, len);
		ASSERT_LE(0, fd)
			TH_LOG("round %d, %s", i, pool_text(region->heap));
		EXPECT_EQ(0, close(fd));
		/* Of another size, so that nothing fits as it is */
		fd = region_alloc(region->heap, self->fd, len - KIB(4));
		ASSERT_LE(0, fd)
			TH_LOG("round %d, %s", i, pool_text(region->heap));
		EXPECT_EQ(0, close(fd));
		count = region_take(region->heap, self->fd, KIB(512), fds,
				    MAX_BUFS, &error);
		EXPECT_LT(0, count);
		region_give_back(fds, count);
	}
}

/* With others who want the same; there is room for twice as many */
CARVEOUT_TEST(many_wait_for_the_scrubber)
{
	const struct carveout *region = &variant->region;
	size_t len = page_align(region->size / 16);
	int count = region->size / stride(region, len) < 8 ? 2 : 4;
	int i, child, status;
	pid_t children[4];

	for (child = 0; child < count; child++) {
		children[child] = fork();
		ASSERT_LE(0, children[child]);
		if (children[child])
			continue;
		for (i = 0; i < 40; i++) {
			int fd = region_alloc(region->heap, self->fd, len);

			if (fd < 0)
				_exit(1);
			if (buf_find_nonzero(fd, len) != -1)
				_exit(2);
			close(fd);
		}
		_exit(0);
	}
	for (child = 0; child < count; child++) {
		ASSERT_EQ(children[child], waitpid(children[child], &status, 0));
		EXPECT_EQ(0, status);
	}
}

/* Two tasks that allocate and free without a pause, in what others have left */
struct churn {
	const struct carveout *region;
	long long pages;
	pid_t children[2];
};

#define CHURNED		20

static long long scrubbed_pages(const struct carveout *region)
{
	struct pool_stats stats;

	return pool_read_stats(region->heap, &stats) ? -1 : stats.scrubbed_pages;
}

/* Whether buffers of the region come and go; it may be those of a fallback, too */
static bool churn_goes_on(const struct churn *churn)
{
	long long enough = scrubbed_pages(churn->region) +
			   CHURNED * churn->pages;

	return WAIT_FOR(scrubbed_pages(churn->region) >= enough);
}

static void start_churn(struct __test_metadata *_metadata, struct churn *churn,
			const struct carveout *region, int heap_fd, size_t len)
{
	int i;

	churn->region = region;
	churn->pages = pages_of(len);
	for (i = 0; i < ARRAY_SIZE(churn->children); i++) {
		churn->children[i] = fork();
		ASSERT_LE(0, churn->children[i]);
		while (!churn->children[i])
			close(heap_alloc(heap_fd, len));
	}
	EXPECT_TRUE(churn_goes_on(churn))
		TH_LOG("%s", pool_text(region->heap));
}

static void end_churn(struct __test_metadata *_metadata, struct churn *churn)
{
	int i;

	EXPECT_TRUE(churn_goes_on(churn))
		TH_LOG("%s", pool_text(churn->region->heap));
	for (i = 0; i < ARRAY_SIZE(churn->children); i++) {
		kill(churn->children[i], SIGKILL);
		waitpid(churn->children[i], NULL, 0);
	}
}

/*
 * Allocates and frees in a process of its own, which does not get longer than
 * anything is waited for: -ETIMEDOUT if it was still at it
 */
static int own_alloc_in_time(const struct carveout *region, int heap_fd,
			     size_t len)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		return -errno;
	if (!child) {
		int fd = region_alloc(region->heap, heap_fd, len);

		_exit(fd < 0 ? -fd : 0);
	}
	if (!WAIT_FOR(waitpid(child, &status, WNOHANG) == child)) {
		kill(child, SIGKILL);
		waitpid(child, &status, 0);
		return -ETIMEDOUT;
	}

	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

/* What others free can never be enough: nobody needs to wait for it */
CARVEOUT_TEST(does_not_wait_in_vain)
{
	const struct carveout *region = &variant->region;
	size_t most = region->size, unit = region->alignment ?: page_size();
	struct churn churn;
	long long start;
	int held, i;

	held = region_alloc(region->heap, self->fd, most / 8 * 7 / unit * unit);
	ASSERT_LE(0, held);
	start_churn(_metadata, &churn, region, self->fd, page_align(most / 64));
	for (i = 0; i < 5; i++) {
		start = now_ms();
		EXPECT_EQ(-ENOMEM, own_alloc_in_time(region, self->fd, most / 2));
		EXPECT_GT(AT_ONCE_MS, now_ms() - start);
	}
	end_churn(_metadata, &churn);
	EXPECT_EQ(0, close(held));
}

/* Enough of it comes back, again and again, but never in one piece */
CARVEOUT_TEST(does_not_wait_for_ever)
{
	const struct carveout *region = &variant->region;
	int fds[MAX_BUFS], i, count, error;
	size_t len = MIB(1), apart;
	struct churn churn;

	while (len > region->size / 16)
		len /= 2;
	apart = stride(region, len);
	count = region_take(region->heap, self->fd, len, fds, MAX_BUFS, &error);
	EXPECT_EQ(-ENOMEM, error);
	EXPECT_LE(4, count);
	/* No two neighbours, wherever they are */
	for (i = 0; i < count; i++) {
		if (buf_address(self->importer, fds[i]) / apart % 2)
			continue;
		EXPECT_EQ(0, close(fds[i]));
		fds[i] = -1;
	}
	start_churn(_metadata, &churn, region, self->fd, len);
	for (i = 0; i < 5; i++)
		EXPECT_EQ(-ENOMEM, own_alloc_in_time(region, self->fd, 2 * apart))
			TH_LOG("%s", pool_text(region->heap));
	end_churn(_metadata, &churn);
	region_give_back(fds, count);
}

static int be_realtime(pid_t pid, int priority)
{
	struct sched_param param = { .sched_priority = priority };

	return sched_setscheduler(pid, SCHED_FIFO, &param);
}

/* The state of a process, as in ps; '?' without it */
static char state_of(pid_t pid)
{
	char path[64], text[256], *at;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (file_read(path, text, sizeof(text)))
		return '?';
	at = strrchr(text, ')');

	return at && at[1] ? at[2] : '?';
}

#define MAX_CPUS	16

static pid_t start_hog(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	be_realtime(0, 10);
	for (;;)
		;
}

static void end_child(pid_t pid, int *status)
{
	kill(pid, SIGKILL);
	waitpid(pid, status, 0);
}

/*
 * Makes a task wait for the scrubber, and kills it. False if it need not wait: even
 * the last task gets a part of a second, and that may be now.
 */
static bool waiter_is_killed(struct __test_metadata *_metadata,
			     const struct carveout *region, int heap_fd,
			     bool again)
{
	size_t len = region->size;
	int fd, status;
	pid_t waiter;
	bool waits;

	fd = buf_filled(heap_fd, len, SEED);
	ASSERT_LE(0, fd);
	/* The scrubber has just run, and has some of that part left */
	if (again)
		usleep(1100000);
	close(fd);
	waiter = fork();
	ASSERT_LE(0, waiter);
	if (!waiter) {
		be_realtime(0, 20);
		_exit(region_alloc(region->heap, heap_fd, len - KIB(4)) < 0);
	}
	EXPECT_TRUE(WAIT_FOR(strchr("DZ", state_of(waiter))));
	EXPECT_EQ(0, kill(waiter, SIGKILL));
	EXPECT_TRUE(WAIT_FOR(state_of(waiter) == 'Z'));
	/* What it has waited for is not there yet */
	waits = pool_get(region->heap, "dirty_bytes") > 0;
	end_child(waiter, &status);

	return waits && WIFSIGNALED(status);
}

/*
 * The scrubber does not get a CPU, so whoever waits for it waits until it is
 * killed; and then does not wait any longer.
 */
CARVEOUT_TEST(killed_while_it_waits)
{
	int cpus = sysconf(_SC_NPROCESSORS_ONLN), i;
	const struct carveout *region = &variant->region;
	pid_t hogs[MAX_CPUS];
	bool killed = false;

	ASSERT_GE(MAX_CPUS, cpus);
	ASSERT_EQ(0, be_realtime(0, 30));
	for (i = 0; i < cpus; i++) {
		hogs[i] = start_hog();
		ASSERT_LE(0, hogs[i]);
	}
	for (i = 0; i < 20 && !killed; i++)
		killed = waiter_is_killed(_metadata, region, self->fd, i);
	for (i = 0; i < cpus; i++)
		end_child(hogs[i], NULL);
	EXPECT_TRUE(killed)
		TH_LOG("no task had to wait, or could be killed then");
}

#define KILLS	12

CARVEOUT_TEST(killed_allocators_give_all_back)
{
	const struct carveout *region = &variant->region;
	size_t len = region->size;
	pid_t children[2];
	int i, j, fd, status;

	for (i = 0; i < KILLS; i++) {
		for (j = 0; j < ARRAY_SIZE(children); j++) {
			children[j] = fork();
			ASSERT_LE(0, children[j]);
			while (!children[j]) {
				fd = region_alloc(region->heap, self->fd,
						  len - KIB(4) * j);
				if (fd >= 0)
					close(fd);
			}
		}
		usleep(3000 + i * 1700);
		for (j = 0; j < ARRAY_SIZE(children); j++)
			EXPECT_EQ(0, kill(children[j], SIGKILL));
		for (j = 0; j < ARRAY_SIZE(children); j++)
			ASSERT_EQ(children[j], waitpid(children[j], &status, 0));
		EXPECT_EQ(self->buffers, heap_buffers(region->heap));
	}
	fd = region_alloc(region->heap, self->fd, len);
	EXPECT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
}

/* Numbers that are read at the same time may differ by what is on its way */
CARVEOUT_TEST(numbers_add_up)
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
		EXPECT_EQ((region->size - sum) / 1024,
			  carveout_get(region->heap, "free_kib"));
	}
	EXPECT_LT(1, i);
	region_give_back(fds, i);
	EXPECT_TRUE(WAIT_FOR(pool_is_clean(region->heap, sum / page_size())));
	EXPECT_EQ((region->size - sum) / 1024,
		  carveout_get(region->heap, "free_kib"));
	EXPECT_EQ(0, carveout_settle(region));
	EXPECT_EQ(region->size / 1024, carveout_get(region->heap, "free_kib"));
}

/* No memory the system could have back: it is never more or less */
CARVEOUT_TEST(is_not_the_systems_memory)
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
	if (!pool_shrink(region->heap, &counted, &freed))
		EXPECT_EQ(0, counted);
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
		SKIP(return, "the kernel tells no attributes here");
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
CARVEOUT_TEST(all_see_the_same)
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

CARVEOUT_TEST(kernel_allocates)
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
	EXPECT_EQ(self->fallbacks, carveout_get(region->heap, "fallbacks"));
	for (i = 1; i <= 3; i++) {
		fd = heap_alloc(self->fd, len);
		if (!self->falls_back) {
			EXPECT_EQ(-ENOMEM, fd);
			EXPECT_EQ(self->fallbacks,
				  carveout_get(region->heap, "fallbacks"));
			continue;
		}
		ASSERT_LE(0, fd);
		EXPECT_STREQ(last_resort(region), buf_exporter(fd));
		EXPECT_EQ(self->fallbacks + i,
			  carveout_get(region->heap, "fallbacks"));
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

/* A region that nobody has mapped, and the thread that has to do so to scrub it */
FIXTURE(unmapped)
{
	const struct carveout *region;
	int fd;
	int fail_nth;
	long long decay_ms;
	long long leaked;
};

static const struct carveout *find_unmapped(void)
{
	int i;

	for (i = 0; i < carveout_count; i++)
		if (carveouts[i].unmapped && !carveouts[i].protected)
			return &carveouts[i];

	return NULL;
}

FIXTURE_SETUP(unmapped)
{
	const char *missing = "a region that is not mapped";
	char scrubber[HEAP_NAME_SIZE + 16];

	self->region = find_unmapped();
	if (self->region)
		missing = fault_knobs_set();
	if (missing) {
		ASSERT_FALSE(is_needed("faults"))
			TH_LOG("without %s", missing);
		SKIP(return, "without %s", missing);
	}
	snprintf(scrubber, sizeof(scrubber), "dma_heap_scrub/%s",
		 self->region->heap);
	self->fail_nth = fault_open_kthread(scrubber);
	ASSERT_LE(0, self->fail_nth)
		TH_LOG("no thread %s", scrubber);
	self->fd = heap_open(self->region->heap, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->decay_ms = pool_get(self->region->heap, "decay_ms");
	ASSERT_EQ(0, carveout_settle(self->region));
	ASSERT_EQ(0, pool_set(self->region->heap, "decay_ms", 600000));
	self->leaked = carveout_leaked(self->region->heap);
}

FIXTURE_TEARDOWN(unmapped)
{
	fault_inject(self->fail_nth, 0);
	fault_knobs_restore();
	EXPECT_EQ(0, carveout_settle(self->region));
	EXPECT_EQ(0, pool_set(self->region->heap, "decay_ms", self->decay_ms));
	close(self->fail_nth);
	close(self->fd);
}

/* Lets an allocation of the scrubber fail; whether it needed as many as that */
static bool scrub_with_failure(struct __test_metadata *_metadata,
			       struct _test_data_unmapped *self, int nth)
{
	const char *heap = self->region->heap;
	int fd = buf_filled(self->fd, MIB(1), SEED + nth);
	bool failed;

	ASSERT_LE(0, fd);
	fault_inject(self->fail_nth, nth);
	EXPECT_EQ(0, close(fd));
	EXPECT_TRUE(WAIT_FOR(pool_is_clean(heap, pages_of(MIB(1)))))
		TH_LOG("failure %d: %s", nth, pool_text(heap));
	failed = fault_injected(self->fail_nth);
	EXPECT_EQ(self->leaked, carveout_leaked(heap));
	fd = region_alloc(self->region->heap, self->fd, MIB(1));
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, buf_find_nonzero(fd, MIB(1)));
	EXPECT_EQ(0, close(fd));
	ASSERT_TRUE(WAIT_FOR(pool_is_clean(heap, pages_of(MIB(1)))));

	return failed;
}

/* What cannot be mapped now can be a little later, and is not lost */
TEST_F_TIMEOUT(unmapped, failure_to_map_loses_nothing, TIMEOUT)
{
	int nth = 1;

	while (scrub_with_failure(_metadata, self, nth) && nth < 100)
		nth++;
	TH_LOG("%d allocations to scrub", nth - 1);
	/* Of the area and of its place at least */
	EXPECT_LT(2, nth);
	EXPECT_GT(100, nth);
}

TEST(every_node_has_a_heap)
{
	int i, unchained = 0;

	for (i = 0; i < carveout_count; i++) {
		int fd = heap_open(carveouts[i].heap, O_RDWR | O_CLOEXEC);

		EXPECT_LE(0, fd)
			TH_LOG("no heap %s for %s", carveouts[i].heap,
			       carveouts[i].node);
		close(fd);
		unchained += !carveouts[i].has_fallback;
	}
	/* Nodes with a fallback and without */
	if (is_needed("carveout")) {
		EXPECT_LT(0, unchained);
		EXPECT_LT(unchained, carveout_count);
	}
}

/* Was there anything before the kernel that could have been seen? */
TEST(memory_was_dirty_at_boot)
{
	unsigned char byte;
	int fd;

	if (!node_exists("marker@be400000")) {
		ASSERT_FALSE(is_needed("marker"));
		SKIP(return, "no marker in this machine");
	}
	fd = open("/sys/bus/nvmem/devices/rmem0/nvmem", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(1, pread(fd, &byte, 1, 0));
	EXPECT_EQ(0xa5, byte);
	EXPECT_EQ(0, close(fd));
}

/* Nodes with mistakes, the heaps they would have, and what must be said of them */
static const struct {
	const char *node;
	const char *heap;
	const char *message;
} bad[] = {
	{ "bad-overlap-low@bc000000", "bad-overlap-low",
	  "overlaps that of /reserved-memory/bad-overlap-high" },
	{ "bad-overlap-high@bc100000", "bad-overlap-high",
	  "overlaps that of /reserved-memory/bad-overlap-low" },
	{ "bad-overlap-other@bc400000", "bad-overlap-other",
	  "overlaps that of /reserved-memory/other@bc500000" },
	{ "bad-empty@bc800000", "bad-empty", "no memory is reserved" },
	{ "bad-pages@bc900000", "bad-pages", "whole pages" },
	{ "bad-nomap@bca00000", "bad-nomap", "no-map" },
	{ "bad-alignment-odd@bcc00000", "bad-alignment-odd", "heap-alignment" },
	{ "bad-alignment-small@bcd00000", "bad-alignment-small",
	  "heap-alignment" },
	{ "bad-alignment-large@bce00000", "bad-alignment-large",
	  "heap-alignment" },
	{ "bad-alignment-zero@bcf00000", "bad-alignment-zero",
	  "heap-alignment" },
	{ "bad-protected@bd000000", "bad-protected",
	  "must not fall back" },
	{ "bad-self@bd200000", "bad-self", "falls back on itself" },
	{ "bad-cycle-here@bd300000", "bad-cycle-here",
	  "falls back on itself" },
	{ "bad-cycle-there@bd400000", "bad-cycle-there",
	  "falls back on itself" },
	{ "bad-ring-here@bdc00000", NULL, "whole pages" },
	{ "bad-ring-there@bdc20000", NULL, "whole pages" },
	{ "bad-ring-here@bdc40000", NULL, "whole pages" },
	{ "bad-ring-there@bdc60000", NULL, "whole pages" },
	{ "bad-name-empty@bd700000", NULL, "no heap" },
	{ "bad-name-long@bd800000",
	  "a-name-of-sixty-four-characters-which-is-one-more-than-there-may",
	  "no heap" },
	{ "bad-name-slash@bd900000", "bad/name", "no heap" },
	{ "bad-place@2000000000", "bad-place", "struct pages" },
};

TEST(mistakes_are_told)
{
	char device[HEAP_NAME_SIZE];
	int i;

	if (!node_exists(bad[0].node)) {
		ASSERT_FALSE(is_needed("bad"));
		SKIP(return, "no node with a mistake");
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ASSERT_TRUE(node_exists(bad[i].node))
			TH_LOG("%s", bad[i].node);
		if (bad[i].heap) {
			EXPECT_EQ(-ENOENT, heap_open(bad[i].heap, O_RDONLY))
				TH_LOG("%s", bad[i].node);
		}
		node_device(device, sizeof(device), bad[i].node);
		/* A protected one is tried again when somebody can protect it */
		EXPECT_LE(1, kmsg_errors(device, bad[i].message))
			TH_LOG("what was said of %s", device);
	}
}

TEST(others_live_on)
{
	const struct carveout *good = find_heap("good");
	int fd, said;

	if (!node_exists(bad[0].node)) {
		ASSERT_FALSE(is_needed("bad"));
		SKIP(return, "no node with a mistake");
	}
	ASSERT_NE(NULL, good);
	fd = heap_open("good", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, kmsg_errors("good", ""));

	/* One of two with the same name */
	fd = heap_open("twin", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
	said = kmsg_errors("bd500000.twin-first", "no heap twin");
	EXPECT_EQ(1, said + kmsg_errors("bd600000.twin-second", "no heap twin"));

	/* Not a mistake, and not a heap */
	ASSERT_TRUE(node_exists("disabled@bda00000"));
	EXPECT_EQ(-ENOENT, heap_open("disabled", O_RDONLY));
	EXPECT_EQ(0, kmsg_errors("disabled", ""));
}

/* Nodes that have no heap do not hide a ring of those that would */
TEST(ring_is_broken)
{
	int here, fd, fds[2], i;
	const char *heap, *other;

	if (!node_exists("ring-here@bdd00000")) {
		ASSERT_FALSE(is_needed("bad"));
		SKIP(return, "no node with a mistake");
	}
	here = kmsg_errors("bdd00000.ring-here", "falls back on itself");
	/* First of all: to fill a ring is to fall back until the stack is full */
	ASSERT_EQ(1, here + kmsg_errors("bde00000.ring-there",
					"falls back on itself"));
	heap = here ? "ring-there" : "ring-here";
	other = here ? "ring-here" : "ring-there";
	EXPECT_EQ(-ENOENT, heap_open(other, O_RDONLY));
	fd = heap_open(heap, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	for (i = 0; i < 2; i++) {
		fds[i] = heap_alloc(fd, KIB(512));
		EXPECT_LE(0, fds[i]);
		EXPECT_STREQ(heap, buf_exporter(fds[i]));
	}
	EXPECT_EQ(-ENOMEM, heap_alloc(fd, KIB(512)));
	region_give_back(fds, i);
	EXPECT_EQ(0, close(fd));
}

/* The kernel gets at both parts, but not as at one piece */
TEST(border_of_high_memory_is_minded)
{
	const char *node = "bad-border@6fe00000";
	char device[HEAP_NAME_SIZE];

	if (!node_exists(node)) {
		ASSERT_FALSE(is_needed("border"));
		SKIP(return, "no region where high memory begins");
	}
	EXPECT_EQ(-ENOENT, heap_open("bad-border", O_RDONLY));
	node_device(device, sizeof(device), node);
	EXPECT_EQ(1, kmsg_errors(device, "partly high memory"));
}

static FIXTURE_VARIANT(carveout) variant_data[MAX_CARVEOUTS];
static struct __fixture_variant_metadata variants[MAX_CARVEOUTS];

/* Where there is room for one buffer only, whatever its size */
static bool is_single(const struct carveout *region)
{
	return region->size <= region->alignment;
}

int main(int argc, char **argv)
{
	bool chosen = false;
	int i;

	carveout_count = carveouts_find(carveouts, MAX_CARVEOUTS);
	if (!carveout_count) {
		ksft_print_header();
		if (is_needed("carveout"))
			ksft_exit_fail_msg("no carveout in the device tree\n");
		ksft_exit_skip("no carveout in the device tree\n");
	}
	for (i = 0; i < carveout_count; i++) {
		if (carveouts[i].protected || is_single(&carveouts[i]) ||
		    !heap_is_asked_for(carveouts[i].heap))
			continue;
		variant_data[i].region = carveouts[i];
		variants[i].name = carveouts[i].heap;
		variants[i].data = &variant_data[i];
		__register_fixture_variant(&_carveout_fixture_object,
					   &variants[i]);
		chosen = true;
	}
	if (!chosen) {
		ksft_print_header();
		ksft_exit_skip("no carveout among %s\n", getenv("HEAP"));
	}

	return test_harness_run(argc, argv);
}

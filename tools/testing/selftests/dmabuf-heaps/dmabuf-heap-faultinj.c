// SPDX-License-Identifier: GPL-2.0
/*
 * Failing allocations inside the kernel: the first, then the second, and so on
 * until a call has no further one. Then the same with more than one that fails.
 * Whichever does, the call either gets by without or gives ENOMEM, and leaves nothing
 * behind.
 *
 * Needs CONFIG_FAILSLAB, CONFIG_FAIL_PAGE_ALLOC, CONFIG_FAULT_INJECTION_DEBUG_FS
 * and root. What it sets below /sys/kernel/debug is set back at the end.
 */

#include <sched.h>

#include "heap_faults.h"
#include "heap_fixture.h"
#include "heap_left.h"

/* Far more than a call makes; to end if the count never runs out */
#define MAX_NTH		20000

/* A page and a chunk of each order, so that orders fall back to the next */
#define BUF_LEN		(MIB(1) + KIB(64) + KIB(4))
#define SEED		61

FIXTURE(fault)
{
	int heap_fd;
	int fail_nth;
	int make_it_fail;
	struct heap_left left;
	long available;
	long long max_bytes;
};

FIXTURE_VARIANT(fault)
{
	char heap[HEAP_NAME_SIZE];
};

FIXTURE_SETUP(fault)
{
	const char *missing = fault_knobs_set();

	if (missing)
		fault_knobs_restore();
	if (missing)
		SKIP_UNLESS_NEEDED(return, "faults", "cannot use %s", missing);
	self->heap_fd = heap_open(variant->heap, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->heap_fd);
	self->fail_nth = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fail_nth);
	self->make_it_fail = open("/proc/self/make-it-fail", O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, self->make_it_fail);
	self->left = heap_left(variant->heap);
	self->available = mem_available_kib();
	self->max_bytes = pool_get(variant->heap, "max_bytes");
}

FIXTURE_TEARDOWN(fault)
{
	fault_knobs_restore();
	if (self->max_bytes >= 0)
		EXPECT_EQ(0, pool_set(variant->heap, "max_bytes", self->max_bytes));
	EXPECT_NOTHING_LEFT(self->left, variant->heap);
	EXPECT_MEM_BACK(self->available);
	close(self->make_it_fail);
	close(self->fail_nth);
	close(self->heap_fd);
}

#define FAULT_TEST(name)	TEST_F_TIMEOUT(fault, name, HEAP_TEST_TIMEOUT)

/* Longer than any test takes */
#define NO_DECAY_MS	600000

/* How often to go through all failures: a leak of one buffer becomes 35 MiB */
#define REPEAT	32

/* With failures that go together: each time others do */
#define REPEAT_PAIRS	4
#define MAX_DISTANCE	3

/*
 * A call under test. call() makes it and nothing else, done() looks at what it
 * gave and undoes it; both return 0 or a descriptor, or -errno.
 */
struct attempt {
	int (*call)(struct attempt *attempt);
	int (*done)(struct attempt *attempt, int ret);
	int fail_nth;
	int make_it_fail;
	int heap_fd;
	int fd;
	int vgem;
	__u32 handle;
	size_t len;
	void *p;
	/* How far apart the failures are, 0: there is but one */
	int distance;
	int pairs;
	/* How many of the calls got by in spite of a failure, or did not */
	int survived;
	int failed;
};

static void one_failure(struct __test_metadata *_metadata,
			struct attempt *attempt, int nth, bool *more)
{
	int ret;

	if (attempt->distance)
		ASSERT_EQ(0, fault_again(attempt->make_it_fail, attempt->distance));
	fault_inject(attempt->fail_nth, nth);
	ret = attempt->call(attempt);
	*more = fault_injected(attempt->fail_nth);
	if (attempt->distance)
		attempt->pairs += fault_again_end(attempt->make_it_fail) > 1;

	if (ret < 0) {
		EXPECT_EQ(-ENOMEM, ret);
		EXPECT_TRUE(*more)
			TH_LOG("failed without a reason");
		attempt->failed++;
		return;
	}

	EXPECT_EQ(0, attempt->done(attempt, ret));
	attempt->survived += *more;
}

static void each_failure(struct __test_metadata *_metadata,
			 struct attempt *attempt)
{
	int nth, before = open_fds();
	bool more = true;

	for (nth = 1; more; nth++) {
		ASSERT_GT(MAX_NTH, nth);
		one_failure(_metadata, attempt, nth, &more);
		ASSERT_EQ(before, open_fds())
			TH_LOG("with allocation %d failing", nth);
	}
}

static void all_failures(struct __test_metadata *_metadata,
			 struct attempt *attempt)
{
	int i;

	for (i = 0; i < REPEAT; i++)
		each_failure(_metadata, attempt);
	TH_LOG("%zu bytes: %d allocations failed the call, %d did not",
	       attempt->len, attempt->failed / REPEAT,
	       attempt->survived / REPEAT);
}

/* Where nothing else happens after a failure, there is no second one */
static void all_pairs(struct __test_metadata *_metadata,
		      struct attempt *attempt)
{
	int i;

	for (attempt->distance = 1; attempt->distance <= MAX_DISTANCE;
	     attempt->distance++)
		for (i = 0; i < REPEAT_PAIRS; i++)
			each_failure(_metadata, attempt);
	attempt->distance = 0;
	TH_LOG("%zu bytes: %d times more than one", attempt->len, attempt->pairs);
}

static int alloc_call(struct attempt *attempt)
{
	return heap_alloc(attempt->heap_fd, attempt->len);
}

/* A buffer that was got in spite of a failure is a good one all the same */
static int alloc_done(struct attempt *attempt, int fd)
{
	size_t len = attempt->len;
	int ret = 0;
	void *p;

	p = buf_map(fd, len, READ_WRITE);
	if (p == MAP_FAILED)
		return -errno;
	if (buf_size(fd) != page_align(len) || find_nonzero(p, len) != -1)
		ret = -EIO;
	pattern_fill(p, 0, len, SEED);
	if (pattern_check(p, 0, len, SEED) != -1)
		ret = -EIO;
	munmap(p, len);
	close(fd);

	return ret;
}

/* Each allocation goes all the way to where the memory comes from */
FAULT_TEST(failure_in_a_cold_allocation_leaves_nothing)
{
	static const size_t lens[] = { KIB(4), KIB(64), BUF_LEN };
	int i;

	if (self->max_bytes >= 0)
		ASSERT_EQ(0, pool_set(variant->heap, "max_bytes", 0));
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		struct attempt attempt = {
			.call = alloc_call,
			.done = alloc_done,
			.fail_nth = self->fail_nth,
			.heap_fd = self->heap_fd,
			.len = lens[i],
		};

		all_failures(_metadata, &attempt);
		/* The buffer, the dma-buf, its inode and its file, and ... */
		EXPECT_LE(4 * REPEAT, attempt.failed);
		if (strncmp(variant->heap, "system", strlen("system")))
			continue;
		/* ... the backing, its table, a page */
		EXPECT_LE(7 * REPEAT, attempt.failed + attempt.survived);
		/* Without a large chunk there are the small ones */
		if (lens[i] > KIB(4))
			EXPECT_LE(REPEAT, attempt.survived);
	}
}

/* What is tried instead can fail, too, and so can what tidies up */
FAULT_TEST(failures_in_a_cold_allocation_that_go_together_leave_nothing)
{
	struct attempt attempt = {
		.call = alloc_call,
		.done = alloc_done,
		.fail_nth = self->fail_nth,
		.make_it_fail = self->make_it_fail,
		.heap_fd = self->heap_fd,
		.len = BUF_LEN,
	};

	if (self->max_bytes >= 0)
		ASSERT_EQ(0, pool_set(variant->heap, "max_bytes", 0));
	all_pairs(_metadata, &attempt);
	if (!strncmp(variant->heap, "system", strlen("system")))
		EXPECT_LE(REPEAT_PAIRS, attempt.pairs);
}

/* A pool has memory of each node apart, and gives out what is near the CPU */
static int stay_on_cpu(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(sched_getcpu(), &cpus);

	return sched_setaffinity(0, sizeof(cpus), &cpus) ? -errno : 0;
}

/* What is in the pool does not depend on there being memory */
FAULT_TEST(failure_in_a_warm_allocation_leaves_nothing)
{
	static const size_t lens[] = { KIB(4), KIB(64), BUF_LEN };
	struct pool_stats before, after;
	long long decay;
	int i, fd;

	if (pool_read_stats(variant->heap, &before))
		SKIP_UNLESS_NEEDED(return, "pool",
				   "no pool behind %s", variant->heap);
	ASSERT_EQ(0, stay_on_cpu());
	/* However long it takes, nothing gets too old for the pool meanwhile */
	decay = pool_get(variant->heap, "decay_ms");
	ASSERT_EQ(0, pool_set(variant->heap, "decay_ms", NO_DECAY_MS));
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		struct attempt attempt = {
			.call = alloc_call,
			.done = alloc_done,
			.fail_nth = self->fail_nth,
			.heap_fd = self->heap_fd,
			.len = lens[i],
		};
		int fds[4];

		/* More than the scrubber has in its hands at a time */
		for (fd = 0; fd < ARRAY_SIZE(fds); fd++) {
			fds[fd] = heap_alloc(self->heap_fd, lens[i]);
			ASSERT_LE(0, fds[fd]);
		}
		while (fd--)
			close(fds[fd]);
		ASSERT_EQ(0, pool_read_stats(variant->heap, &before));
		all_failures(_metadata, &attempt);
		ASSERT_EQ(0, pool_read_stats(variant->heap, &after));
		if (!heap_is_reserved(variant->heap))
			EXPECT_EQ(before.misses, after.misses);
		EXPECT_LT(before.hits + before.dirty_hits,
			  after.hits + after.dirty_hits);
		/*
		 * The buffer, the dma-buf, its inode and its file; now and then
		 * a debugging facility is in the place of one of them
		 */
		EXPECT_LE(3 * REPEAT, attempt.failed);
	}
	ASSERT_EQ(0, pool_set(variant->heap, "decay_ms", decay));
}

/* An argument that large needs memory of its own in some kernels */
union large_arg {
	struct dma_heap_allocation_data data;
	char bytes[4096];
};

static int large_arg_call(struct attempt *attempt)
{
	unsigned int cmd = _IOC(_IOC_READ | _IOC_WRITE, DMA_HEAP_IOC_MAGIC, 0,
				sizeof(union large_arg));
	union large_arg *arg = attempt->p;
	int ret;

	arg->data.fd = 0;
	ret = heap_ioctl(attempt->heap_fd, cmd, arg);

	return ret ? ret : (int)arg->data.fd;
}

FAULT_TEST(failure_with_a_large_argument_leaves_nothing)
{
	union large_arg arg = {
		.data.len = KIB(4),
		.data.fd_flags = O_RDWR | O_CLOEXEC,
	};
	struct attempt attempt = {
		.call = large_arg_call,
		.done = alloc_done,
		.fail_nth = self->fail_nth,
		.heap_fd = self->heap_fd,
		.len = KIB(4),
		.p = &arg,
	};

	if (self->max_bytes >= 0)
		ASSERT_EQ(0, pool_set(variant->heap, "max_bytes", 0));
	all_failures(_metadata, &attempt);
	EXPECT_LE(4 * REPEAT, attempt.failed);
}

/* A buffer with a pattern in it, for the calls that need one */
static int setup_buffer(struct attempt *attempt, int heap_fd)
{
	attempt->len = BUF_LEN;
	attempt->fd = buf_filled(heap_fd, BUF_LEN, SEED);

	return attempt->fd < 0 ? attempt->fd : 0;
}

static int mmap_call(struct attempt *attempt)
{
	attempt->p = buf_map(attempt->fd, attempt->len, READ_WRITE);

	return attempt->p == MAP_FAILED ? -errno : 0;
}

static int mmap_done(struct attempt *attempt, int ret)
{
	bool good = pattern_check(attempt->p, 0, attempt->len, SEED) == -1;

	munmap(attempt->p, attempt->len);

	return good ? 0 : -EIO;
}

FAULT_TEST(failure_in_mmap_leaves_nothing)
{
	struct attempt attempt = {
		.call = mmap_call,
		.done = mmap_done,
		.fail_nth = self->fail_nth,
	};

	ASSERT_EQ(0, setup_buffer(&attempt, self->heap_fd));
	all_failures(_metadata, &attempt);
	EXPECT_LE(REPEAT, attempt.failed);
	EXPECT_EQ(0, close(attempt.fd));
}

static int import_call(struct attempt *attempt)
{
	return vgem_import(attempt->vgem, attempt->fd, &attempt->handle);
}

static int import_done(struct attempt *attempt, int ret)
{
	return vgem_close_handle(attempt->vgem, attempt->handle);
}

FAULT_TEST(failure_in_an_import_leaves_nothing)
{
	struct attempt attempt = {
		.call = import_call,
		.done = import_done,
		.fail_nth = self->fail_nth,
		.make_it_fail = self->make_it_fail,
	};

	attempt.vgem = vgem_open();
	if (attempt.vgem == -ENODEV)
		SKIP_UNLESS_NEEDED(return, "vgem", "no vgem device");
	ASSERT_LE(0, attempt.vgem);
	ASSERT_EQ(0, setup_buffer(&attempt, self->heap_fd));
	all_failures(_metadata, &attempt);
	/* At least the attachment, its table and the importer's object */
	EXPECT_LE(3 * REPEAT, attempt.failed);
	all_pairs(_metadata, &attempt);
	EXPECT_LE(REPEAT_PAIRS, attempt.pairs);

	/* After all that the buffer still is what it was */
	ASSERT_EQ(0, mmap_call(&attempt));
	EXPECT_EQ(0, mmap_done(&attempt, 0));
	EXPECT_EQ(0, close(attempt.fd));
	EXPECT_EQ(0, close(attempt.vgem));
}

static int sync_call(struct attempt *attempt)
{
	int ret;

	ret = buf_sync(attempt->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
	if (!ret)
		ret = buf_sync(attempt->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
	if (!ret)
		ret = buf_sync_partial(attempt->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW,
				       KIB(4), KIB(64));
	if (!ret)
		ret = buf_sync_partial(attempt->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW,
				       KIB(4), KIB(64));

	return ret;
}

static int sync_done(struct attempt *attempt, int ret)
{
	return ret;
}

/* With an importer there, so that there is something to be done */
FAULT_TEST(sync_does_not_fail)
{
	struct attempt attempt = {
		.call = sync_call,
		.done = sync_done,
		.fail_nth = self->fail_nth,
	};

	attempt.vgem = vgem_open();
	if (attempt.vgem == -ENODEV)
		SKIP_UNLESS_NEEDED(return, "vgem", "no vgem device");
	ASSERT_LE(0, attempt.vgem);
	ASSERT_EQ(0, setup_buffer(&attempt, self->heap_fd));
	ASSERT_EQ(0, import_call(&attempt));
	all_failures(_metadata, &attempt);
	/* A bracket that fails would leave the caller with stale data */
	EXPECT_EQ(0, attempt.failed);
	EXPECT_EQ(0, import_done(&attempt, 0));
	EXPECT_EQ(0, close(attempt.fd));
	EXPECT_EQ(0, close(attempt.vgem));
}

/*
 * Debugging of the DMA API ends for good once it is the one whose allocation
 * fails, which it will be in here. Until now it should have been at work.
 */
static void check_dma_debug(void)
{
	char disabled[8];

	if (file_read("/sys/kernel/debug/dma-api/disabled", disabled,
		      sizeof(disabled)))
		snprintf(disabled, sizeof(disabled), "?");
	if (disabled[0] == 'N' || !is_needed("dma-debug"))
		return;

	ksft_print_header();
	ksft_exit_fail_msg("dma-debug disabled: %s\n", disabled);
}

int main(int argc, char **argv)
{
	heap_tests_init();
	check_dma_debug();
	heap_register(&_fault_fixture_object);

	return test_harness_run(argc, argv);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Heaps on carveouts whose memory is dirty: tasks that allocate wait for the thread
 * that scrubs it, but only as long as that can help them, can be killed meanwhile,
 * and lose nothing then.
 *
 * NEED in the environment names what must not be lacking: carveout, importer, faults
 * (allocations that fail when they are told to).
 */

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "heap_carveout.h"
#include "heap_faults.h"
#include "heap_loop.h"

/* Dirty is not gone: what was free before the last close has to be had */
CARVEOUT_TEST(allocation_waits_for_the_scrubber)
{
	const struct carveout *region = &variant->region;
	int fds[MAX_BUFS], i, count, error, fd;
	size_t len = region->size;

	for (i = 0; i < 4; i++) {
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
CARVEOUT_TEST(all_tasks_that_wait_are_served)
{
	const struct carveout *region = &variant->region;
	size_t len = page_align(region->size / 16);
	int count = region->size / stride(region, len) < 8 ? 2 : 4;
	int i, child;
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
	for (child = 0; child < count; child++)
		EXPECT_EQ(0, child_end(children[child]));
}

/* Two tasks that allocate and free without a pause, in what others have left */
struct churn {
	const struct carveout *region;
	int heap_fd;
	size_t len;
	struct loop loops[2];
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
			   CHURNED * pages_of(churn->len);

	return WAIT_FOR(scrubbed_pages(churn->region) >= enough);
}

/* Buffers that find no room count as well */
static bool churn_once(void *data)
{
	const struct churn *churn = data;

	int fd = heap_alloc(churn->heap_fd, churn->len);

	if (fd >= 0)
		buf_use(fd);
	close(fd);

	return true;
}

static void start_churn(struct __test_metadata *_metadata, struct churn *churn)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(churn->loops); i++)
		ASSERT_EQ(0, loop_start(&churn->loops[i], churn_once, churn));
	EXPECT_TRUE(churn_goes_on(churn))
		TH_LOG("%s", pool_text(churn->region->heap));
}

static void end_churn(struct __test_metadata *_metadata, struct churn *churn)
{
	int i;

	EXPECT_TRUE(churn_goes_on(churn))
		TH_LOG("%s", pool_text(churn->region->heap));
	for (i = 0; i < ARRAY_SIZE(churn->loops); i++)
		EXPECT_EQ(-SIGKILL, loop_kill(&churn->loops[i]));
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
		child_kill(child);
		return -ETIMEDOUT;
	}

	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

/* Seven eighths of the region: what is left is never enough for half of it */
static int hold_most(const struct carveout *region, int heap_fd)
{
	size_t unit = region->alignment ?: page_size();

	return region_alloc(region->heap, heap_fd,
			    region->size / 8 * 7 / unit * unit);
}

/* Frees of other buffers can never make enough room */
CARVEOUT_TEST(impossible_buffer_fails_while_others_free)
{
	const struct carveout *region = &variant->region;
	struct churn churn = {
		.region = region,
		.heap_fd = self->fd,
		.len = page_align(region->size / 64),
	};
	int held, i;

	held = hold_most(region, self->fd);
	ASSERT_LE(0, held);
	start_churn(_metadata, &churn);
	for (i = 0; i < 5; i++)
		EXPECT_EQ(-ENOMEM, own_alloc_in_time(region, self->fd,
						     region->size / 2));
	end_churn(_metadata, &churn);
	EXPECT_EQ(0, close(held));
}

/* Enough of it comes back, again and again, but never in one piece */
CARVEOUT_TEST(fragmented_region_fails_while_others_free)
{
	const struct carveout *region = &variant->region;
	struct churn churn = { .region = region, .heap_fd = self->fd };
	int fds[MAX_BUFS], i, count, error;
	size_t len = MIB(1), apart;

	while (len > region->size / 16)
		len /= 2;
	churn.len = len;
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
	start_churn(_metadata, &churn);
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

/*
 * Processes that leave the scrubber no CPU, or next to none: even the last task
 * gets a part of each second.
 */
struct hogs {
	pid_t pids[MAX_CPUS];
	int count;
};

static void starve_scrubber(struct __test_metadata *_metadata, struct hogs *hogs)
{
	int i;

	hogs->count = sysconf(_SC_NPROCESSORS_ONLN);
	ASSERT_GE(MAX_CPUS, hogs->count);
	ASSERT_EQ(0, be_realtime(0, 30));
	for (i = 0; i < hogs->count; i++) {
		hogs->pids[i] = start_hog();
		ASSERT_LE(0, hogs->pids[i]);
	}
}

static void feed_scrubber(struct __test_metadata *_metadata, struct hogs *hogs)
{
	while (hogs->count--)
		EXPECT_EQ(-SIGKILL, child_kill(hogs->pids[hogs->count]));
}

/* Asks for what can never be, and whether something was dirty all the while */
static bool fails_with_dirty_pool(struct __test_metadata *_metadata,
				  const struct carveout *region, int heap_fd)
{
	int fd = buf_filled(heap_fd, page_align(region->size / 64), SEED);
	long long scrubbed;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, close(fd));
	scrubbed = scrubbed_pages(region);
	EXPECT_EQ(-ENOMEM, region_alloc(region->heap, heap_fd, region->size / 2));

	return scrubbed_pages(region) == scrubbed &&
	       pool_get(region->heap, "unzeroed_bytes") > 0;
}

/* Nothing that the scrubber will ever do is enough */
CARVEOUT_TEST(impossible_buffer_does_not_wait_for_the_scrubber)
{
	const struct carveout *region = &variant->region;
	struct hogs hogs;
	int held;

	held = hold_most(region, self->fd);
	ASSERT_LE(0, held);
	starve_scrubber(_metadata, &hogs);
	EXPECT_TRUE(WAIT_FOR(fails_with_dirty_pool(_metadata, region, self->fd)))
		TH_LOG("%s", pool_text(region->heap));
	feed_scrubber(_metadata, &hogs);
	EXPECT_EQ(0, close(held));
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

/*
 * Makes a task wait for the scrubber, and kills it. False if it need not wait, for
 * the scrubber has had its part of a second now.
 */
static bool waiter_is_killed(struct __test_metadata *_metadata,
			     const struct carveout *region, int heap_fd)
{
	size_t len = region->size;
	pid_t waiter;
	bool waits;
	int fd;

	fd = buf_filled(heap_fd, len, SEED);
	ASSERT_LE(0, fd);
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
	/* The memory that the child waits for is still dirty */
	waits = pool_get(region->heap, "unzeroed_bytes") > 0;

	return child_end(waiter) == -SIGKILL && waits;
}

/*
 * The scrubber does not get a CPU, so a task that waits for it waits until it is
 * killed; and then does not wait any longer.
 */
CARVEOUT_TEST(task_is_killed_while_it_waits)
{
	const struct carveout *region = &variant->region;
	struct hogs hogs;

	starve_scrubber(_metadata, &hogs);
	EXPECT_TRUE(WAIT_FOR(waiter_is_killed(_metadata, region, self->fd)))
		TH_LOG("no task had to wait, or could be killed then");
	feed_scrubber(_metadata, &hogs);
}

#define KILLS	12

struct allocator {
	struct loop loop;
	const struct carveout *region;
	int heap_fd;
	size_t len;
};

static bool allocate_and_free(void *data)
{
	const struct allocator *allocator = data;
	int fd;

	fd = region_alloc(allocator->region->heap, allocator->heap_fd,
			  allocator->len);
	if (fd >= 0)
		close(fd);

	return fd >= 0 || fd == -ENOMEM;
}

/* Two that have to wait for each other, and then die one after the other */
CARVEOUT_TEST(killed_allocators_give_all_back)
{
	const struct carveout *region = &variant->region;
	struct allocator allocators[2];
	int i, j, fd;

	for (i = 0; i < KILLS; i++) {
		for (j = 0; j < ARRAY_SIZE(allocators); j++) {
			allocators[j] = (struct allocator) {
				.loop.random = i + j * KILLS,
				.region = region,
				.heap_fd = self->fd,
				.len = region->size - KIB(4) * j,
			};
			ASSERT_EQ(0, loop_start(&allocators[j].loop,
						allocate_and_free,
						&allocators[j]));
		}
		for (j = 0; j < ARRAY_SIZE(allocators); j++)
			EXPECT_EQ(-SIGKILL, loop_kill(&allocators[j].loop));
		EXPECT_EQ(self->left.buffers, heap_buffers(region->heap));
	}
	fd = region_alloc(region->heap, self->fd, region->size);
	EXPECT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
}

/* A region that nobody has mapped, and the thread that has to do so to scrub it */
FIXTURE(unmapped)
{
	const struct carveout *region;
	int fd;
	int fail_nth;
	long long decay_ms;
	long long lost;
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
	if (missing)
		SKIP_UNLESS_NEEDED(return, "faults", "without %s", missing);
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
	self->lost = carveout_lost(self->region->heap);
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
	EXPECT_EQ(self->lost, carveout_lost(heap));
	fd = region_alloc(self->region->heap, self->fd, MIB(1));
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, buf_find_nonzero(fd, MIB(1)));
	EXPECT_EQ(0, close(fd));
	ASSERT_TRUE(WAIT_FOR(pool_is_clean(heap, pages_of(MIB(1)))));

	return failed;
}

/* Memory that cannot be mapped now is not lost, and can be mapped later */
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

int main(int argc, char **argv)
{
	carveout_tests_init();

	return test_harness_run(argc, argv);
}

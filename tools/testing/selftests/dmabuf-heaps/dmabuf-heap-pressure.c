// SPDX-License-Identifier: GPL-2.0
/*
 * Pools give way: to processes that want memory, but not to a cgroup at its limit. And
 * drained, they let memory blocks go offline.
 */

#include <dirent.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "heap_cgroup.h"
#include "heap_pool_fixture.h"

#define BLOCKS		"/sys/devices/system/memory"
#define MAX_BUFS	1024

static bool is_dma32(const char *heap)
{
	return strstr(heap, "-dma32");
}

/* Memory pressure */

#define HOG_STEP	KIB(64)

/* Most of the pool is in buffers of this size */
#define FILL_LEN	MIB(3)

/* In a child: what the hog has seen */
struct hog {
	atomic_llong taken_kib;
	atomic_llong pool_before;
	/* Pages, before it took the last of its memory */
	atomic_llong pool_left;
	/* In the end; reclaim takes more than it needs at once */
	atomic_llong free_kib;
};

static char *take(size_t len, bool huge)
{
	char *p;

	p = mmap(NULL, len, READ_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		_exit(1);
	madvise(p, len, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);

	return p;
}

/* Takes memory until there is none left but the pool's, then the pool's */
static void hog_memory(struct hog *hog, const char *heap)
{
	long long free_kib = meminfo_kib("MemFree:");
	size_t quick = free_kib > 65536 ? KIB(free_kib - 65536) : 0;
	size_t rest = KIB(meminfo_kib("MemTotal:")) - quick, at;
	char *p;

	if (file_write("/proc/self/oom_score_adj", "1000"))
		_exit(2);
	p = take(quick + KIB(1), true);
	for (at = 0; at < quick; at += page_size())
		p[at] = 1;
	hog->taken_kib = quick / 1024;
	hog->pool_before = pool_pages(heap);

	p = take(rest, false);
	for (at = 0; at < rest; at += HOG_STEP) {
		hog->pool_left = pool_pages(heap);
		if (!hog->pool_left)
			break;
		memset(p + at, 1, HOG_STEP);
		hog->taken_kib += HOG_STEP / 1024;
	}
	hog->free_kib = mem_free_kib();
	_exit(0);
}

/* Fragmentation raises watermarks by this, for a while */
#define BOOST	"/proc/sys/vm/watermark_boost_factor"

/*
 * The kernel takes memory for page tables and for all that goes on beside the hog. It
 * kills the hog when less is free than its high watermarks, without a boost.
 */
static long long found_kib(const struct hog *hog)
{
	long long free = hog->free_kib;

	if (!free)
		free = file_number("/proc/sys/vm/min_free_kbytes") * 3 / 2;

	return hog->taken_kib + free + hog->taken_kib / 256 + MEM_TOLERANCE_KIB;
}

/*
 * With no swap and no cache there is nothing but the pool to be reclaimed: all
 * of it has to go before anybody is killed.
 */
POOL_TEST(hog_gets_all_of_the_pool)
{
	long long kills, pool, free_before, goal;
	char boost[24];
	struct hog *hog;
	pid_t child;
	int end;

	hog = mmap(NULL, page_size(), READ_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		   -1, 0);
	ASSERT_NE(MAP_FAILED, hog);
	goal = meminfo_kib("MemAvailable:") / 4;
	if (goal > KIB(512))
		goal = KIB(512);
	ASSERT_EQ(0, pool_fill(self->fd, FILL_LEN, KIB(goal) / FILL_LEN));
	ASSERT_EQ(0, pool_fill(self->fd, KIB(68), 480));
	ASSERT_EQ(0, pool_fill(self->fd, KIB(4), 512));
	pool = pool_pages(variant->name) * page_size() / 1024;
	EXPECT_LE(goal - (long long)FILL_LEN / 1024, pool);
	free_before = meminfo_kib("MemFree:");
	snprintf(boost, sizeof(boost), "%lld", file_number(BOOST));
	ASSERT_EQ(0, file_write(BOOST, "0"));

	kills = vm_counter("oom_kill");
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		hog_memory(hog, variant->name);
	end = child_end(child);
	EXPECT_EQ(0, file_write(BOOST, boost));
	/* With the last of the pool all may be gone, and a kill is fair */
	EXPECT_TRUE(end == 0 || end == -SIGKILL)
		TH_LOG("end %d", end);
	EXPECT_EQ(kills + (end == -SIGKILL), vm_counter("oom_kill"));
	EXPECT_LT(0, hog->pool_before);
	/* No more than the scrubber has in its hands, and than it took to fail */
	EXPECT_GE(pages_of(FILL_LEN + HOG_STEP), hog->pool_left)
		TH_LOG("end %d", end);
	/* The scrubber may have to be told that what it is at is not wanted */
	EXPECT_TRUE(WAIT_FOR(!pool_pages(variant->name)));
	/* It took the pool because it had to, and got what was in it */
	EXPECT_LE(free_before + pool, found_kib(hog))
		TH_LOG("pool %lld KiB, free %lld", pool, free_before);
	EXPECT_EQ(0, munmap(hog, page_size()));

	/* And it works as before */
	EXPECT_EQ(0, pool_fill(self->fd, MIB(1), 8));
}

#define TEST_CGROUP	"dmabuf-heap-pressure"

/* In a child: more memory than the cgroup has */
static void exceed_the_limit(void)
{
	const size_t len = MIB(64);
	char *p;

	if (cgroup_write(TEST_CGROUP, "cgroup.procs", "0"))
		_exit(1);
	p = take(len, false);
	memset(p, 1, len);
	_exit(0);
}

/* A cgroup at its limit has no claim to what belongs to nobody */
POOL_TEST(cgroup_at_its_limit_gets_nothing_of_the_pool)
{
	const long long pages = 64 * pages_of(MIB(1));
	pid_t child;

	if (!cgroup_make(TEST_CGROUP))
		SKIP_UNLESS_NEEDED(return, "memcg", "no memory controller");
	ASSERT_EQ(0, pool_fill(self->fd, MIB(1), 64));
	EXPECT_EQ(pages, pool_pages(variant->name));

	ASSERT_EQ(0, cgroup_write(TEST_CGROUP, "memory.max", "16M"));
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		exceed_the_limit();
	EXPECT_EQ(-SIGKILL, child_end(child));
	EXPECT_LT(0, cgroup_event(TEST_CGROUP, "max"));

	/* memory.reclaim finds nothing either */
	EXPECT_EQ(-EAGAIN, cgroup_write(TEST_CGROUP, "memory.reclaim", "8M"));

	EXPECT_EQ(pages, pool_pages(variant->name));
	EXPECT_EQ(0, COUNTED(shrunk_pages));
	EXPECT_TRUE(WAIT_FOR(cgroup_remove(TEST_CGROUP) != -EBUSY));
}

/* Memory that goes offline */

static bool block_is(long block, const char *file, const char *expected)
{
	char path[96], text[32] = "";

	snprintf(path, sizeof(path), BLOCKS "/memory%ld/%s", block, file);

	return !file_read(path, text, sizeof(text)) &&
	       !strncmp(text, expected, strlen(expected));
}

#define OFFLINE_SECONDS	30

static void give_up(int signal)
{
}

/*
 * The kernel goes on to take a block offline until a signal comes, and without one for
 * ever if it had taken a slab there for something that can be moved
 */
static int set_block(long block, const char *state)
{
	const struct sigaction action = { .sa_handler = give_up };
	char path[96];
	int ret;

	snprintf(path, sizeof(path), BLOCKS "/memory%ld/state", block);
	sigaction(SIGALRM, &action, NULL);
	alarm(OFFLINE_SECONDS);
	ret = file_write(path, state);
	alarm(0);

	return ret;
}

/*
 * How many blocks can go offline; they come back. Of memory that our buffers come from,
 * these are blocks that were not there at boot, and that have no page by now that cannot
 * be moved.
 */
static int count_offline(void)
{
	struct dirent *entry;
	int count = 0;
	long block;
	DIR *dir;

	dir = opendir(BLOCKS);
	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, "memory", strlen("memory")))
			continue;
		block = atol(entry->d_name + strlen("memory"));
		if (!block_is(block, "state", "online") ||
		    !block_is(block, "valid_zones", "Normal") ||
		    set_block(block, "offline"))
			continue;
		count++;
		set_block(block, "online_kernel");
	}
	closedir(dir);

	return count;
}

/* Pooled memory is the kernel's, which cannot be moved; drained, it is in nobody's way */
POOL_TEST(drained_pool_lets_memory_go_offline)
{
	int fds[MAX_BUFS], count, i, with_pool;

	if (is_dma32(variant->name))
		SKIP(return, "no memory of %s can be removed", variant->name);
	if (!count_offline())
		SKIP_UNLESS_NEEDED(return, "offline",
				   "no memory block can be removed");

	/* Until memory is short */
	for (count = 0; count < MAX_BUFS; count++) {
		fds[count] = heap_alloc(self->fd, MIB(8) + KIB(68));
		if (fds[count] < 0 || meminfo_kib("MemFree:") < KIB(128))
			break;
	}
	ASSERT_GT(MAX_BUFS, count);
	for (i = 0; i <= count; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	with_pool = count_offline();
	EXPECT_LT(0, pool_pages(variant->name));

	ASSERT_EQ(0, pool_set(variant->name, "max_bytes", 0));
	EXPECT_TRUE(WAIT_FOR(!pool_pages(variant->name)));
	EXPECT_LT(with_pool, count_offline());
}

int main(int argc, char **argv)
{
	heap_tests_init();
	heap_register(&_pool_fixture_object);

	return test_harness_run(argc, argv);
}

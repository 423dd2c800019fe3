// SPDX-License-Identifier: GPL-2.0
/*
 * Heaps and their pools as part of a machine: memory pressure and cgroups,
 * NUMA nodes, devices that reach 4 GiB only, memory that goes offline, sleep,
 * and what a mapping is to the CPU.
 *
 * A machine that lacks what a test is about skips it. NEED in the environment
 * names what must not be lacking, in a list with commas: importer,
 * pool, numa, highmem (above 4 GiB), memcg, offline, suspend.
 */

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "heap_fixture.h"

#define FOUR_GIB	0x100000000ULL
#define BLOCKS		"/sys/devices/system/memory"
#define NODES		"/sys/devices/system/node"
#define MAX_BUFS	1024
#define SEED		67

/* A heap whose pool is empty and takes all it gets; knobs as they were later */
FIXTURE(heap_pool)
{
	int fd;
	int importer;
	int open_fds;
	int buffers;
	long long bytes;
	long long max_kib;
	long long decay_ms;
	struct pool_stats stats;
};

FIXTURE_VARIANT(heap_pool)
{
	char name[HEAP_NAME_SIZE];
};

FIXTURE_SETUP(heap_pool)
{
	self->fd = heap_open(variant->name, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->importer = importer_open();
	if (self->importer < 0) {
		ASSERT_FALSE(is_needed("importer"));
		SKIP(return, "no test importer");
	}
	if (pool_read_stats(variant->name, &self->stats)) {
		ASSERT_FALSE(is_needed("pool"));
		SKIP(return, "no pool behind %s", variant->name);
	}
	self->max_kib = pool_get(variant->name, "max_kib");
	self->decay_ms = pool_get(variant->name, "decay_ms");
	ASSERT_EQ(0, pool_set(variant->name, "max_kib",
			      meminfo_kib("MemTotal:")));
	ASSERT_EQ(0, pool_set(variant->name, "decay_ms", 600000));
	/* After reclaim a pool keeps nothing for a while */
	ASSERT_TRUE(WAIT_FOR(pool_keeps(variant->name, self->fd)));
	ASSERT_EQ(0, file_write("/proc/sys/vm/drop_caches", "3"));
	ASSERT_TRUE(WAIT_FOR(pool_empty(variant->name)));
	ASSERT_EQ(0, pool_read_stats(variant->name, &self->stats));
	self->open_fds = open_fds();
	self->buffers = heap_buffers(variant->name);
	self->bytes = heap_attr(variant->name, "bytes");
}

FIXTURE_TEARDOWN(heap_pool)
{
	EXPECT_EQ(self->open_fds, open_fds());
	EXPECT_EQ(self->buffers, heap_buffers(variant->name));
	EXPECT_EQ(self->bytes, heap_attr(variant->name, "bytes"));
	EXPECT_EQ(0, pool_set(variant->name, "max_kib", self->max_kib));
	EXPECT_EQ(0, pool_set(variant->name, "decay_ms", self->decay_ms));
	EXPECT_TRUE(WAIT_FOR(pool_empty(variant->name)));
	close(self->importer);
	close(self->fd);
}

#define MACHINE_TEST(name) \
	TEST_F_TIMEOUT(heap_pool, name, 2 * HEAP_TEST_TIMEOUT)

static bool is_uncached(const char *heap)
{
	return strstr(heap, "-uncached");
}

static bool is_dma32(const char *heap)
{
	return strstr(heap, "-dma32");
}

static long long check_buffer(int fd, size_t len, __u32 seed)
{
	long long offset;
	void *p;

	p = buf_map(fd, len, PROT_READ);
	if (p == MAP_FAILED)
		return -errno;
	buf_sync(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
	offset = seed ? pattern_check(p, 0, len, seed) : find_nonzero(p, len);
	buf_sync(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
	munmap(p, len);

	return offset;
}

/* Puts buffers into the pool until @kib are in it, or one cannot be had */
static int fill_pool(int heap_fd, size_t len, long long kib)
{
	int fds[MAX_BUFS], count;

	for (count = 0; count < MAX_BUFS; count++) {
		if ((long long)count * len / 1024 >= kib)
			break;
		fds[count] = heap_alloc(heap_fd, len);
		if (fds[count] < 0)
			break;
	}
	for (int i = 0; i < count; i++)
		close(fds[i]);

	return count;
}

/* How a mapping looks to the CPU */

#define EXPECT_WRITECOMBINED(p, expected) do {				\
	struct user_page _page = { };					\
									\
	EXPECT_EQ(0, importer_user_page(self->importer, p, &_page));	\
	EXPECT_EQ(expected, _page.writecombined);			\
} while (0)

/* At both ends, on borders of chunks, and again once it was protected */
MACHINE_TEST(user_mapping_is_uncached_or_not)
{
	static const size_t places[] = {
		0, KIB(4), MIB(1), MIB(2), MIB(3) + KIB(60), MIB(5) + KIB(72),
	};
	const size_t len = MIB(5) + KIB(76);
	bool uncached = is_uncached(variant->name);
	struct utsname name;
	int i, fd;
	char *p;

	ASSERT_EQ(0, uname(&name));
	if (strcmp(name.machine, "aarch64"))
		SKIP(return, "the kernel tells no attributes here");

	fd = buf_filled(self->fd, len, SEED);
	ASSERT_LE(0, fd);
	p = buf_map(fd, len, READ_WRITE);
	ASSERT_NE(MAP_FAILED, p);
	memset(p, 1, len);
	for (i = 0; i < ARRAY_SIZE(places); i++)
		EXPECT_WRITECOMBINED(p + places[i], uncached);

	ASSERT_EQ(0, mprotect(p + MIB(1), MIB(3), PROT_READ));
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		atomic_load((atomic_char *)p + places[i]);
		EXPECT_WRITECOMBINED(p + places[i], uncached);
	}
	ASSERT_EQ(0, mprotect(p, len, READ_WRITE));
	memset(p, 2, len);
	for (i = 0; i < ARRAY_SIZE(places); i++)
		EXPECT_WRITECOMBINED(p + places[i], uncached);
	EXPECT_EQ(0, munmap(p, len));
	EXPECT_EQ(0, close(fd));
}

/* MAIR_EL1 encodings */
#define NORMAL_WRITE_BACK	0xff
#define NORMAL_NON_CACHEABLE	0x44

MACHINE_TEST(kernel_mapping_is_uncached_or_not)
{
	static const size_t lens[] = { KIB(4), MIB(3) + KIB(76) };
	int i, fd, attributes, ret;
	char answer[64];

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		fd = heap_alloc(self->fd, lens[i]);
		ASSERT_LE(0, fd);
		ret = importer_ask(self->importer, "vmap", fd, 0, answer,
				   sizeof(answer));
		if (ret == -EOPNOTSUPP) {
			close(fd);
			SKIP(return, "the CPU tells no attributes here");
		}
		ASSERT_EQ(0, ret);
		attributes = atoi(answer + strlen("attributes "));
		EXPECT_EQ(is_uncached(variant->name) ? NORMAL_NON_CACHEABLE :
			  NORMAL_WRITE_BACK, attributes);
		EXPECT_EQ(0, close(fd));
	}
}

/* What one side writes the other reads, with memory that was used before */
MACHINE_TEST(user_and_kernel_agree)
{
	static const size_t lens[] = { KIB(4), KIB(68), MIB(3) + KIB(76) };
	int i, round, fd;
	char answer[64];

	for (i = 0; i < ARRAY_SIZE(lens) * 3; i++) {
		size_t len = lens[i / 3];

		round = i % 3;
		fd = heap_alloc(self->fd, len);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-1, check_buffer(fd, len, 0));
		ASSERT_EQ(0, importer_ask(self->importer, "fill", fd,
					  SEED + round, answer,
					  sizeof(answer)));
		EXPECT_EQ(-1, check_buffer(fd, len, SEED + round));
		EXPECT_EQ(0, close(fd));

		fd = buf_filled(self->fd, len, SEED - 1);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, importer_ask(self->importer, "check", fd,
					  SEED - 1, answer, sizeof(answer)));
		EXPECT_STREQ("offset -1\n", answer);
		EXPECT_EQ(0, close(fd));
	}
}

/* As devices write: through vgem, without a map of the exporter in between */
MACHINE_TEST(importer_writes_are_seen)
{
	const size_t len = MIB(3) + KIB(76);
	int fd, again, vgem, round;
	__u32 handle;
	char *p;

	vgem = vgem_open();
	if (vgem == -ENODEV) {
		ASSERT_FALSE(is_needed("importer"));
		SKIP(return, "no vgem device");
	}
	for (round = 1; round < 4; round++) {
		fd = heap_alloc(self->fd, len);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-1, check_buffer(fd, len, 0));
		ASSERT_EQ(0, vgem_import(vgem, fd, &handle));
		again = vgem_export(vgem, handle);
		ASSERT_LE(0, again);
		p = buf_map(again, len, READ_WRITE);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(-1, find_nonzero(p, len));
		pattern_fill(p, 0, len, SEED + round);
		EXPECT_EQ(0, munmap(p, len));
		EXPECT_EQ(-1, check_buffer(fd, len, SEED + round));
		EXPECT_EQ(0, close(again));
		EXPECT_EQ(0, vgem_close_handle(vgem, handle));
		EXPECT_EQ(-1, check_buffer(fd, len, SEED + round));
		EXPECT_EQ(0, close(fd));
	}
	EXPECT_EQ(0, close(vgem));
}

/* Memory below 4 GiB */

/* Runs on a CPU of @node from now on */
static int run_on_node(int node)
{
	char path[64], text[64] = "";
	cpu_set_t cpus;

	snprintf(path, sizeof(path), NODES "/node%d/cpulist", node);
	if (file_read(path, text, sizeof(text)) || text[0] == '\n')
		return -ENOENT;
	/* One CPU will do */
	CPU_ZERO(&cpus);
	CPU_SET(atoi(text), &cpus);

	return sched_setaffinity(0, sizeof(cpus), &cpus) ? -errno : 0;
}

static unsigned long long ram_end(void)
{
	unsigned long long end = 0;
	char line[256], *at;
	FILE *file;

	file = fopen("/proc/iomem", "re");
	if (!file)
		return 0;
	/* 40000000-bfffffff : System RAM */
	while (fgets(line, sizeof(line), file)) {
		at = strchr(line, '-');
		if (at && strstr(line, "System RAM"))
			end = strtoull(at + 1, NULL, 16);
	}
	fclose(file);

	return end;
}

/* The end of the highest chunk */
static unsigned long long chunks_end(const struct buf_chunks *chunks)
{
	unsigned long long end, highest = 0;
	int i;

	for (i = 0; i < chunks->count; i++) {
		end = (chunks->chunk[i].pfn + chunks->chunk[i].pages) *
		      page_size();
		highest = end > highest ? end : highest;
	}

	return highest;
}

/*
 * Cold, then warm. 384 MiB at a time, so that a heap without a limit has to
 * get some from above 4 GiB. That one is checked, too: or this proves nothing.
 * If there are two nodes, the second one has both kinds of memory.
 */
MACHINE_TEST(below_4_gib_or_not)
{
	static const size_t lens[] = { MIB(64), MIB(8), KIB(68), KIB(4) };
	unsigned long long highest = 0;
	struct buf_chunks chunks;
	int fds[6 * ARRAY_SIZE(lens)];
	int i, round;

	if (ram_end() < FOUR_GIB + MIB(512)) {
		ASSERT_FALSE(is_needed("highmem"));
		SKIP(return, "no memory above 4 GiB");
	}
	run_on_node(1);
	for (round = 0; round < 2; round++) {
		for (i = 0; i < ARRAY_SIZE(fds); i++) {
			fds[i] = heap_alloc(self->fd, lens[i % ARRAY_SIZE(lens)]);
			ASSERT_LE(0, fds[i]);
			ASSERT_EQ(0, buf_get_chunks(self->importer, fds[i], 64,
						    &chunks));
			if (chunks_end(&chunks) > highest)
				highest = chunks_end(&chunks);
			buf_put_chunks(&chunks);
			if (!is_dma32(variant->name))
				continue;
			ASSERT_EQ(0, buf_get_chunks(self->importer, fds[i], 32,
						    &chunks));
			EXPECT_GE(FOUR_GIB, chunks.dma_end);
			EXPECT_EQ(chunks_end(&chunks), chunks.dma_end);
			buf_put_chunks(&chunks);
		}
		while (i--)
			EXPECT_EQ(0, close(fds[i]));
	}
	EXPECT_EQ(is_dma32(variant->name), highest <= FOUR_GIB);
}

/* A buffer of a page above 4 GiB, if one of some is, else the last of them */
static int alloc_high(int heap_fd, int importer)
{
	struct buf_chunks chunks;
	int fds[64], count = 0, ret;
	bool high = false;

	while (!high && count < ARRAY_SIZE(fds)) {
		fds[count] = heap_alloc(heap_fd, KIB(4));
		if (fds[count] < 0)
			break;
		if (buf_get_chunks(importer, fds[count++], 64, &chunks))
			break;
		high = chunks_end(&chunks) > FOUR_GIB;
		buf_put_chunks(&chunks);
	}

	ret = count ? fds[--count] : -ENOMEM;
	while (count--)
		close(fds[count]);

	return ret;
}

/*
 * A device with addresses of 32 bits gets a copy of what is above them. Not of
 * uncached memory, which nobody could keep coherent with the copy.
 */
MACHINE_TEST(device_with_32_bits)
{
	struct buf_chunks chunks;
	int fd, ret;

	if (ram_end() < FOUR_GIB + MIB(512)) {
		ASSERT_FALSE(is_needed("highmem"));
		SKIP(return, "no memory above 4 GiB");
	}
	run_on_node(1);
	fd = alloc_high(self->fd, self->importer);
	ASSERT_LE(0, fd);

	ret = buf_get_chunks(self->importer, fd, 32, &chunks);
	if (is_uncached(variant->name) && !is_dma32(variant->name)) {
		EXPECT_EQ(-EIO, ret);
	} else {
		ASSERT_EQ(0, ret);
		EXPECT_GE(FOUR_GIB, chunks.dma_end);
		buf_put_chunks(&chunks);
	}

	/* Whatever came of it, others can use the buffer */
	ASSERT_EQ(0, buf_get_chunks(self->importer, fd, 64, &chunks));
	EXPECT_EQ(is_dma32(variant->name), chunks_end(&chunks) <= FOUR_GIB);
	buf_put_chunks(&chunks);
	EXPECT_EQ(0, close(fd));
}

/* NUMA */

/* Whether all of a buffer is on @node */
static bool is_on_node(int importer, int fd, int node)
{
	struct buf_chunks chunks;
	bool is = true;
	int i;

	if (buf_get_chunks(importer, fd, 64, &chunks))
		return false;
	for (i = 0; i < chunks.count; i++)
		is = is && chunks.chunk[i].node == node;
	buf_put_chunks(&chunks);

	return is && i;
}

static unsigned long first_pfn(int importer, int fd)
{
	struct buf_chunks chunks;
	unsigned long pfn;

	if (buf_get_chunks(importer, fd, 64, &chunks))
		return 0;
	pfn = chunks.chunk[0].pfn;
	buf_put_chunks(&chunks);

	return pfn;
}

MACHINE_TEST(cold_memory_is_local)
{
	static const size_t lens[] = { KIB(4), KIB(68), MIB(1), MIB(33) };
	int i, node, fd;

	if (run_on_node(1) || run_on_node(0)) {
		ASSERT_FALSE(is_needed("numa"));
		SKIP(return, "no two nodes with CPUs");
	}
	for (node = 0; node < 2; node++) {
		ASSERT_EQ(0, run_on_node(node));
		for (i = 0; i < ARRAY_SIZE(lens); i++) {
			fd = heap_alloc(self->fd, lens[i]);
			ASSERT_LE(0, fd);
			EXPECT_TRUE(is_on_node(self->importer, fd, node))
				TH_LOG("length %zu, node %d", lens[i], node);
			EXPECT_EQ(0, close(fd));
		}
		/* What comes next has to be cold, too */
		EXPECT_TRUE(WAIT_FOR(pool_empty(variant->name)));
	}
}

/* Wherever a buffer is freed, its memory goes to who is near to it */
MACHINE_TEST(warm_memory_is_local)
{
	static const size_t lens[] = { KIB(4), MIB(2) + KIB(68) };
	int i, node, free_node, fds[2];
	unsigned long pfns[2];

	if (run_on_node(1) || run_on_node(0)) {
		ASSERT_FALSE(is_needed("numa"));
		SKIP(return, "no two nodes with CPUs");
	}
	for (i = 0; i < ARRAY_SIZE(lens) * 2; i++) {
		size_t len = lens[i / 2];

		free_node = i % 2;
		for (node = 0; node < 2; node++) {
			ASSERT_EQ(0, run_on_node(node));
			fds[node] = heap_alloc(self->fd, len);
			ASSERT_LE(0, fds[node]);
			pfns[node] = first_pfn(self->importer, fds[node]);
		}
		ASSERT_EQ(0, run_on_node(free_node));
		for (node = 0; node < 2; node++)
			EXPECT_EQ(0, close(fds[node]));
		EXPECT_TRUE(WAIT_FOR(pool_is_clean(variant->name,
						   2 * pages_of(len))));

		/* The other way round than what went in last */
		for (node = 0; node < 2; node++) {
			ASSERT_EQ(0, run_on_node(node));
			fds[node] = heap_alloc(self->fd, len);
			ASSERT_LE(0, fds[node]);
			EXPECT_EQ(pfns[node],
				  first_pfn(self->importer, fds[node]));
			EXPECT_TRUE(is_on_node(self->importer, fds[node], node));
		}
		EXPECT_EQ(0, pool_pages(variant->name));

		/* What is on the other node is no hit */
		ASSERT_EQ(0, run_on_node(0));
		EXPECT_EQ(0, close(fds[1]));
		EXPECT_TRUE(WAIT_FOR(pool_is_clean(variant->name,
						   pages_of(len))));
		fds[1] = heap_alloc(self->fd, len);
		ASSERT_LE(0, fds[1]);
		EXPECT_TRUE(is_on_node(self->importer, fds[1], 0));
		EXPECT_EQ(pages_of(len), pool_pages(variant->name));
		EXPECT_EQ(0, close(fds[1]));
		EXPECT_EQ(0, close(fds[0]));
		EXPECT_TRUE(WAIT_FOR(pool_empty(variant->name)));
	}
}

/* Memory pressure */

#define HOG_STEP	KIB(64)

/* In a child: what the hog has seen */
struct hog {
	atomic_llong taken_kib;
	atomic_llong pool_before;
	atomic_bool done;
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
	size_t quick = free_kib > 65536 ? KIB(free_kib - 65536) : 0, at;
	char *p;

	if (file_write("/proc/self/oom_score_adj", "1000"))
		_exit(2);
	p = take(quick + KIB(1), true);
	for (at = 0; at < quick; at += page_size())
		p[at] = 1;
	hog->taken_kib = quick / 1024;
	hog->pool_before = pool_pages(heap);

	p = take(MIB(4096), false);
	for (at = 0; pool_pages(heap) > 0 && at < MIB(4096); at += HOG_STEP) {
		memset(p + at, 1, HOG_STEP);
		hog->taken_kib += HOG_STEP / 1024;
	}
	hog->done = true;
	_exit(0);
}

/*
 * With no swap and no cache there is nothing but the pool to be reclaimed: all
 * of it has to go before anybody is killed.
 */
MACHINE_TEST(hog_gets_the_pool_before_it_is_killed)
{
	long long kills, pool, free_before, goal;
	struct hog *hog;
	pid_t child;
	int status;

	hog = mmap(NULL, page_size(), READ_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		   -1, 0);
	ASSERT_NE(MAP_FAILED, hog);
	goal = meminfo_kib("MemAvailable:") / 4;
	if (goal > KIB(512))
		goal = KIB(512);
	ASSERT_LT(0, fill_pool(self->fd, MIB(3) + KIB(68), goal * 2 / 3));
	ASSERT_LT(0, fill_pool(self->fd, KIB(68), KIB(32)));
	ASSERT_LT(0, fill_pool(self->fd, KIB(4), KIB(2)));
	pool = pool_pages(variant->name) * page_size() / 1024;
	EXPECT_LE(goal / 2, pool);
	free_before = meminfo_kib("MemFree:");

	kills = vm_counter("oom_kill");
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		hog_memory(hog, variant->name);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	/* With the last of the pool all may be gone, and a kill is fair */
	if (WIFSIGNALED(status)) {
		EXPECT_EQ(SIGKILL, WTERMSIG(status));
	} else {
		EXPECT_EQ(0, status);
		EXPECT_EQ(kills, vm_counter("oom_kill"));
		EXPECT_TRUE(hog->done);
	}
	/* The scrubber may have to be told that what it is at is not wanted */
	EXPECT_TRUE(WAIT_FOR(!pool_pages(variant->name)));
	/* It took the pool because it had to, and got what was in it */
	EXPECT_LT(free_before + pool / 2, hog->taken_kib)
		TH_LOG("pool %lld KiB, free %lld, taken %lld", pool,
		       free_before, (long long)hog->taken_kib);
	EXPECT_LT(0, hog->pool_before);
	EXPECT_EQ(0, munmap(hog, page_size()));

	/* And it works as before */
	EXPECT_LT(0, fill_pool(self->fd, MIB(1), KIB(8)));
}

#define CGROUP		"/sys/fs/cgroup"
#define TEST_CGROUP	CGROUP "/dmabuf-heap-test"

/* In a child: more memory than the cgroup has */
static void exceed_the_limit(void)
{
	const size_t len = MIB(64);
	char *p;

	if (file_write(TEST_CGROUP "/cgroup.procs", "0"))
		_exit(1);
	p = take(len, false);
	memset(p, 1, len);
	_exit(0);
}

/* A cgroup at its limit has no claim to what belongs to nobody */
MACHINE_TEST(cgroup_limit_leaves_the_pool_alone)
{
	long long pages, shrunk, reached = 0;
	struct pool_stats stats;
	int status;
	pid_t child;

	file_write(CGROUP "/cgroup.subtree_control", "+memory");
	if (mkdir(TEST_CGROUP, 0755) ||
	    access(TEST_CGROUP "/memory.max", W_OK)) {
		rmdir(TEST_CGROUP);
		ASSERT_FALSE(is_needed("memcg"));
		SKIP(return, "no memory controller");
	}
	ASSERT_LT(0, fill_pool(self->fd, MIB(1), KIB(64)));
	pages = pool_pages(variant->name);
	EXPECT_EQ(64 * pages_of(MIB(1)), pages);
	shrunk = self->stats.shrunk_pages;

	ASSERT_EQ(0, file_write(TEST_CGROUP "/memory.max", "16M"));
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		exceed_the_limit();
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status))
		TH_LOG("status %#x", status);
	reached = file_value(TEST_CGROUP "/memory.events", "max");
	EXPECT_LT(0, reached);

	/* What is asked for by hand, too, and finds nothing */
	file_write(TEST_CGROUP "/memory.reclaim", "8M");

	ASSERT_EQ(0, pool_read_stats(variant->name, &stats));
	EXPECT_EQ(pages, stats.clean_pages + stats.dirty_pages);
	EXPECT_EQ(shrunk, stats.shrunk_pages);
	EXPECT_EQ(0, rmdir(TEST_CGROUP));
}

/* Memory that goes offline */

static long block_size(void)
{
	char text[32];

	if (file_read(BLOCKS "/block_size_bytes", text, sizeof(text)))
		return 0;

	return strtol(text, NULL, 16);
}

static bool block_is(long block, const char *file, const char *expected)
{
	char path[96], text[32] = "";

	snprintf(path, sizeof(path), BLOCKS "/memory%ld/%s", block, file);

	return !file_read(path, text, sizeof(text)) &&
	       !strncmp(text, expected, strlen(expected));
}

static int set_block(long block, const char *state)
{
	char path[96];

	snprintf(path, sizeof(path), BLOCKS "/memory%ld/state", block);

	return file_write(path, state);
}

/*
 * Takes a block offline of which nobody but the kernel may have memory, where
 * our buffers come from. That works for one that was not there at boot, unless
 * somebody has a page in it by now. Returns its number, or -1.
 */
static long take_block_offline(void)
{
	struct dirent *entry;
	long block = -1;
	DIR *dir;

	dir = opendir(BLOCKS);
	if (!dir)
		return -1;
	while (block < 0 && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "memory", strlen("memory")))
			continue;
		block = atol(entry->d_name + strlen("memory"));
		if (!block_is(block, "state", "online") ||
		    !block_is(block, "valid_zones", "Normal") ||
		    set_block(block, "offline"))
			block = -1;
	}
	closedir(dir);

	return block;
}

static bool is_in_block(int importer, int fd, long block)
{
	long first = block * (block_size() / page_size());
	long end = first + block_size() / page_size();
	struct buf_chunks chunks;
	bool is = false;
	int i;

	if (buf_get_chunks(importer, fd, 64, &chunks))
		return false;
	for (i = 0; i < chunks.count; i++)
		is = is || (chunks.chunk[i].pfn >= first &&
			    chunks.chunk[i].pfn < end);
	buf_put_chunks(&chunks);

	return is;
}

/*
 * What is in the pool cannot be moved, so it has to go. The block starts out
 * empty, and then is full of buffers.
 */
MACHINE_TEST(memory_goes_offline)
{
	int fds[MAX_BUFS], count, i, in_block = 0;
	long long pages;
	long block;

	if (is_dma32(variant->name))
		SKIP(return, "no memory of %s can be removed", variant->name);
	block = take_block_offline();
	if (block < 0) {
		ASSERT_FALSE(is_needed("offline"));
		SKIP(return, "no memory block can be removed");
	}
	ASSERT_EQ(0, set_block(block, "online_kernel"));

	for (count = 0; count < MAX_BUFS; count++) {
		fds[count] = heap_alloc(self->fd, MIB(8) + KIB(68));
		if (fds[count] < 0)
			break;
		in_block += is_in_block(self->importer, fds[count], block);
		if (in_block > 8 || meminfo_kib("MemFree:") < KIB(96))
			break;
	}
	EXPECT_LT(8, in_block);

	/* In use: refused, and nobody loses anything */
	EXPECT_GT(0, set_block(block, "offline"));
	EXPECT_TRUE(block_is(block, "state", "online"));

	for (i = 0; i <= count && i < MAX_BUFS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	pages = pool_pages(variant->name);
	EXPECT_LT(8 * pages_of(MIB(8)), pages);
	EXPECT_TRUE(WAIT_FOR(pool_is_clean(variant->name, pages)));
	EXPECT_EQ(0, set_block(block, "offline"));
	EXPECT_TRUE(block_is(block, "state", "offline"));
	EXPECT_EQ(0, set_block(block, "online_kernel"));
}

/* Tries every block; what can go offline comes back. Returns how many cannot */
static int count_refused(void)
{
	struct dirent *entry;
	int refused = 0;
	long block;
	DIR *dir;

	dir = opendir(BLOCKS);
	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		if (strncmp(entry->d_name, "memory", strlen("memory")))
			continue;
		block = atol(entry->d_name + strlen("memory"));
		if (!block_is(block, "state", "online"))
			continue;
		if (set_block(block, "offline"))
			refused++;
		else
			set_block(block, "online_kernel");
	}
	closedir(dir);

	return refused;
}

/* Who refuses may be asked before the pool, which then hears of the end only */
MACHINE_TEST(refused_offlining_changes_nothing)
{
	if (!count_refused()) {
		ASSERT_FALSE(is_needed("offline"));
		SKIP(return, "no memory block is refused");
	}
	EXPECT_TRUE(WAIT_FOR(pool_keeps(variant->name, self->fd)));
}

/* Sleep */

#define POWER		"/sys/power/"

static atomic_bool sleep_over;

/* Keeps the scrubber at work */
static void *keep_busy(void *data)
{
	int heap_fd = *(int *)data, fd;

	while (!sleep_over) {
		fd = buf_filled(heap_fd, MIB(4), SEED);
		if (fd >= 0)
			close(fd);
	}

	return NULL;
}

/* Goes to sleep, with a lot left to be scrubbed; returns the time it took */
static long long sleep_now(int heap_fd, int *ret)
{
	int fds[16], i;
	long long start;

	for (i = 0; i < ARRAY_SIZE(fds); i++)
		fds[i] = buf_filled(heap_fd, MIB(4), SEED);
	start = now_ms();
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	*ret = file_write(POWER "state", "freeze");

	return now_ms() - start;
}

/* After a while without allocations, so that nobody has to help it */
static bool scrubber_works(int heap_fd, const char *heap)
{
	struct pool_stats before, now;
	int fd;

	usleep(300000);
	/* One chunk: a buffer of chunks from two nodes would not be kept */
	fd = buf_filled(heap_fd, MIB(1), SEED);
	if (fd < 0 || pool_read_stats(heap, &before))
		return false;
	close(fd);

	return WAIT_FOR(!pool_read_stats(heap, &now) && !now.dirty_pages &&
			now.scrubbed_pages > before.scrubbed_pages);
}

MACHINE_TEST(sleep_does_not_wait_for_the_scrubber)
{
	static const char *const levels[] = { "freezer", "devices" };
	long long ms;
	pthread_t thread;
	char text[64];
	int i, ret;

	if (file_read(POWER "pm_test", text, sizeof(text)) ||
	    file_read(POWER "state", text, sizeof(text)) ||
	    !strstr(text, "freeze")) {
		ASSERT_FALSE(is_needed("suspend"));
		SKIP(return, "no " POWER "pm_test");
	}
	ASSERT_EQ(0, file_write("/sys/module/suspend/parameters/pm_test_delay",
				"1"));
	ASSERT_EQ(0, pthread_create(&thread, NULL, keep_busy, &self->fd));
	for (i = 0; i < ARRAY_SIZE(levels); i++) {
		EXPECT_EQ(0, file_write(POWER "pm_test", levels[i]));
		ms = sleep_now(self->fd, &ret);
		EXPECT_EQ(0, ret)
			TH_LOG("%s", levels[i]);
		EXPECT_LE(1000, ms);
		EXPECT_GE(AT_ONCE_MS, ms);
	}
	EXPECT_EQ(0, file_write(POWER "pm_test", "none"));
	sleep_over = true;
	ASSERT_EQ(0, pthread_join(thread, NULL));

	/* And it goes on afterwards */
	EXPECT_TRUE(scrubber_works(self->fd, variant->name))
		TH_LOG("%s", pool_text(variant->name));
}

#define ALARM	"/sys/class/rtc/rtc0/wakealarm"

MACHINE_TEST(sleeps_until_the_alarm)
{
	long long ms;
	char text[64];
	int ret;

	if (file_write(ALARM, "0") ||
	    file_read(POWER "state", text, sizeof(text)) ||
	    !strstr(text, "freeze")) {
		ASSERT_FALSE(is_needed("suspend"));
		SKIP(return, "no clock with an alarm");
	}
	ASSERT_EQ(0, file_write(ALARM, "+2"));
	ms = sleep_now(self->fd, &ret);
	EXPECT_EQ(0, ret);
	EXPECT_LE(500, ms);
	EXPECT_TRUE(scrubber_works(self->fd, variant->name))
		TH_LOG("%s", pool_text(variant->name));
}

int main(int argc, char **argv)
{
	heap_tests_init();
	heap_register(&_heap_pool_fixture_object);

	return test_harness_run(argc, argv);
}

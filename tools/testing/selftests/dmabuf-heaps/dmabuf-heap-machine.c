// SPDX-License-Identifier: GPL-2.0
/*
 * Where the memory of buffers is, and what a mapping is to the CPU: NUMA nodes,
 * devices that reach 4 GiB only, and the caches.
 */

#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "heap_cgroup.h"
#include "heap_pool_fixture.h"

#define FOUR_GIB	0x100000000ULL
#define NODES		"/sys/devices/system/node"
#define SEED		67

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

/* How a mapping looks to the CPU */

#define EXPECT_WRITECOMBINED(p, expected) do {				\
	struct user_page _page = { };					\
									\
	EXPECT_EQ(0, importer_user_page(self->importer, p, &_page));	\
	EXPECT_EQ(expected, _page.writecombined);			\
} while (0)

/* At both ends, on borders of chunks, and again once it was protected */
POOL_TEST(user_mapping_is_cached_as_the_heap_is)
{
	static const size_t places[] = {
		0, KIB(4), MIB(1), MIB(2), MIB(3) + KIB(60), MIB(5) + KIB(72),
	};
	const size_t len = MIB(5) + KIB(76);
	bool uncached = is_uncached(variant->name);
	struct utsname name;
	int i, fd;
	char *p;

	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	ASSERT_EQ(0, uname(&name));
	if (strcmp(name.machine, "aarch64"))
		SKIP_UNLESS_NEEDED(return, "attributes",
				   "the kernel tells no attributes here");

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

POOL_TEST(kernel_mapping_is_cached_as_the_heap_is)
{
	static const size_t lens[] = { KIB(4), MIB(3) + KIB(76) };
	int i, fd, attributes, ret;
	char answer[64];

	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		fd = heap_alloc(self->fd, lens[i]);
		ASSERT_LE(0, fd);
		ret = importer_ask(self->importer, "vmap", fd, 0, answer,
				   sizeof(answer));
		if (ret == -EOPNOTSUPP) {
			close(fd);
			SKIP_UNLESS_NEEDED(return, "attributes",
					   "the CPU tells no attributes here");
		}
		ASSERT_EQ(0, ret);
		attributes = atoi(answer + strlen("attributes "));
		EXPECT_EQ(is_uncached(variant->name) ? NORMAL_NON_CACHEABLE :
			  NORMAL_WRITE_BACK, attributes);
		EXPECT_EQ(0, close(fd));
	}
}

/* What one side writes the other reads, with memory that was used before */
POOL_TEST(user_and_kernel_read_what_the_other_wrote)
{
	static const size_t lens[] = { KIB(4), KIB(68), MIB(3) + KIB(76) };
	int i, round, fd;
	char answer[64];

	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
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
POOL_TEST(importer_writes_are_seen)
{
	const size_t len = MIB(3) + KIB(76);
	int fd, again, vgem, round;
	__u32 handle;
	char *p;

	vgem = vgem_open();
	if (vgem < 0)
		SKIP_UNLESS_NEEDED(return, "vgem", "no vgem device");
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
POOL_TEST(only_dma32_stays_below_4_gib)
{
	static const size_t lens[] = { MIB(64), MIB(8), KIB(68), KIB(4) };
	unsigned long long highest = 0;
	struct buf_chunks chunks;
	int fds[6 * ARRAY_SIZE(lens)];
	int i, round;

	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	if (ram_end() < FOUR_GIB + MIB(512))
		SKIP_UNLESS_NEEDED(return, "highmem", "no memory above 4 GiB");
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

/* The first page of the zone that the kernel has not mapped, or 0 */
static unsigned long high_zone_start(void)
{
	unsigned long start = 0;
	bool is_high = false;
	char line[256];
	FILE *file;

	file = fopen("/proc/zoneinfo", "re");
	if (!file)
		return 0;
	/* Node 0, zone  HighMem */
	while (fgets(line, sizeof(line), file)) {
		if (strstr(line, ", zone "))
			is_high = strstr(line, "HighMem");
		else if (is_high)
			sscanf(line, " start_pfn: %lu", &start);
	}
	fclose(file);

	return start;
}

/* Low memory is scarce where there is high memory: a buffer takes none of it */
POOL_TEST(buffers_lie_in_high_memory)
{
	static const size_t lens[] = { KIB(4), KIB(68), MIB(16) };
	unsigned long start = high_zone_start();
	struct buf_chunks chunks;
	int i, j, fd;

	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	if (!start)
		SKIP_UNLESS_NEEDED(return, "highzone", "all memory is mapped");
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		fd = buf_filled(self->fd, lens[i], SEED);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, buf_get_chunks(self->importer, fd, 64, &chunks));
		for (j = 0; j < chunks.count; j++)
			EXPECT_LE(start, chunks.chunk[j].pfn);
		buf_put_chunks(&chunks);
		EXPECT_EQ(0, close(fd));
		/* Zeroed, although the kernel cannot reach it */
		fd = heap_alloc(self->fd, lens[i]);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-1, buf_find_nonzero(fd, lens[i]));
		EXPECT_EQ(0, close(fd));
	}
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
POOL_TEST(device_with_32_bits_gets_a_copy_or_eio)
{
	struct buf_chunks chunks;
	int fd, ret;

	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	if (ram_end() < FOUR_GIB + MIB(512))
		SKIP_UNLESS_NEEDED(return, "highmem", "no memory above 4 GiB");
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

POOL_TEST(cold_memory_is_local)
{
	static const size_t lens[] = { KIB(4), KIB(68), MIB(1), MIB(33) };
	int i, node, fd;

	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	if (run_on_node(1) || run_on_node(0))
		SKIP_UNLESS_NEEDED(return, "numa", "no two nodes with CPUs");
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

#define CPUSET		"dmabuf-heap-cpuset"

/* A cpuset with memory of one node, in which this task runs; false without cpusets */
static bool enter_cpuset(int node)
{
	file_write(CGROUP "/cgroup.subtree_control", "+cpuset");
	mkdir(CGROUP "/" CPUSET, 0755);

	if (!cgroup_set(CPUSET, "cpuset.mems", node) &&
	    !cgroup_write(CPUSET, "cgroup.procs", "0"))
		return true;
	cgroup_remove(CPUSET);

	return false;
}

static int leave_cpuset(void)
{
	int ret = file_write(CGROUP "/cgroup.procs", "0");

	return ret ?: cgroup_remove(CPUSET);
}

/* Of the task that runs near to other memory than it may have */
POOL_TEST(hits_are_of_the_nodes_that_the_cpuset_has)
{
	static const size_t lens[] = { KIB(4), MIB(2) + KIB(68) };
	unsigned long pfn;
	int i, fd;

	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	if (run_on_node(1) || run_on_node(0))
		SKIP_UNLESS_NEEDED(return, "numa", "no two nodes with CPUs");
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		size_t len = lens[i];

		fd = heap_alloc(self->fd, len);
		ASSERT_LE(0, fd);
		EXPECT_TRUE(is_on_node(self->importer, fd, 0));
		EXPECT_EQ(0, close(fd));
		EXPECT_TRUE(WAIT_FOR(pool_is_clean(variant->name, pages_of(len))));

		if (!enter_cpuset(1))
			SKIP_UNLESS_NEEDED(return, "numa", "no cpusets");
		fd = heap_alloc(self->fd, len);
		ASSERT_LE(0, fd);
		EXPECT_TRUE(is_on_node(self->importer, fd, 1));
		pfn = first_pfn(self->importer, fd);
		EXPECT_EQ(0, close(fd));
		EXPECT_TRUE(WAIT_FOR(pool_is_clean(variant->name,
						   2 * pages_of(len))));

		/* Its own last buffer is a hit, although the memory is not near */
		fd = heap_alloc(self->fd, len);
		ASSERT_LE(0, fd);
		EXPECT_EQ(pfn, first_pfn(self->importer, fd));
		EXPECT_EQ(0, close(fd));
		EXPECT_EQ(0, leave_cpuset());
		EXPECT_TRUE(WAIT_FOR(pool_empty(variant->name)));
	}
}

/* Wherever a buffer is freed, its memory goes to who is near to it */
POOL_TEST(warm_memory_is_local)
{
	static const size_t lens[] = { KIB(4), MIB(2) + KIB(68) };
	int i, node, free_node, fds[2];
	unsigned long pfns[2];

	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	if (run_on_node(1) || run_on_node(0))
		SKIP_UNLESS_NEEDED(return, "numa", "no two nodes with CPUs");
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

#define ZONE_LEN	MIB(16)
#define ZONE_POOLED	(MIB(256) / ZONE_LEN)
#define ZONE_MAX	512

/*
 * Requests for such memory never reach the OOM killer, which would empty the pools: the
 * kernel has to get it from them in reclaim. The pool is that of another heap.
 */
POOL_TEST(request_below_4_gib_gets_what_a_pool_holds)
{
	const char *other = is_uncached(variant->name) ? "system-dma32" :
							 "system-uncached-dma32";
	int fds[ZONE_MAX], fd, i, count = 0;
	long long max_bytes, decay_ms, kept;

	if (!is_dma32(variant->name))
		SKIP(return, "%s takes any memory", variant->name);
	/* The rest of the system needs memory, too */
	if (ram_end() < FOUR_GIB + MIB(512))
		SKIP_UNLESS_NEEDED(return, "highmem", "no memory above 4 GiB");
	fd = heap_open(other, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	max_bytes = pool_get(other, "max_bytes");
	decay_ms = pool_get(other, "decay_ms");
	EXPECT_EQ(0, pool_set(other, "max_bytes", KIB(meminfo_kib("MemTotal:"))));
	EXPECT_EQ(0, pool_set(other, "decay_ms", 600000));

	/* All there is, and then some of it in the pool */
	while (count < ZONE_MAX && (fds[count] = heap_alloc(fd, ZONE_LEN)) >= 0)
		count++;
	EXPECT_LT(ZONE_POOLED, count);
	EXPECT_GT(ZONE_MAX, count);
	/* With some room nobody has to reclaim, and the pool keeps what it gets */
	for (i = 0; i < 4 && count; i++)
		close(fds[--count]);
	EXPECT_TRUE(WAIT_FOR(pool_keeps(other, fd)));
	/* The last ones are made of what was left, and no pool keeps them */
	for (i = 0; i < ZONE_POOLED; i++)
		close(fds[i]);
	kept = pool_pages(other);
	/* Not those with memory of two nodes */
	EXPECT_LE(ZONE_POOLED * pages_of(ZONE_LEN) / 4 * 3, kept);

	for (i = 0; i < ZONE_POOLED; i++) {
		fds[i] = i < ZONE_POOLED / 2 ? heap_alloc(self->fd, ZONE_LEN) : -1;
		EXPECT_TRUE(fds[i] >= 0 || i >= ZONE_POOLED / 2)
			TH_LOG("buffer %d, %lld pages in the pool", i,
			       pool_pages(other));
	}
	EXPECT_LE(pool_pages(other), kept - ZONE_POOLED / 4 * pages_of(ZONE_LEN));
	while (count--)
		close(fds[count]);
	EXPECT_EQ(0, pool_set(other, "max_bytes", max_bytes));
	EXPECT_EQ(0, pool_set(other, "decay_ms", decay_ms));
	EXPECT_TRUE(WAIT_FOR(pool_empty(other)));
	close(fd);
}

int main(int argc, char **argv)
{
	heap_tests_init();
	heap_register(&_pool_fixture_object);

	return test_harness_run(argc, argv);
}

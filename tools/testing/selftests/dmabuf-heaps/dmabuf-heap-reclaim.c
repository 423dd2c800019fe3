// SPDX-License-Identifier: GPL-2.0
/*
 * Pools under memory pressure: beside a disk that is read again and again, and beside
 * memory that would be swapped. A pool gives idle memory before anything else goes, and
 * keeps memory that is used all the time. With both of the kernel's ways to find old
 * pages.
 */

#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/swap.h>

#include "heap_fixture.h"
#include "heap_loop.h"

#define HEAP		"system"
#define DISK		"/dev/vda"
#define LRU_GEN		"/sys/kernel/mm/lru_gen/enabled"
#define ZRAM		"/dev/zram0"
#define ZRAM_SYSFS	"/sys/block/zram0"
#define TRACEFS		"/sys/kernel/tracing"
#define INSTANCE	TRACEFS "/instances/dmabuf-heap-reclaim"

/*
 * Free pages that lie in the lists of a CPU are nothing that another CPU gets before
 * reclaim, and the lists grow to an eighth of memory: with this, to 2 MiB.
 */
#define CPU_LISTS	"/proc/sys/vm/percpu_pagelist_high_fraction"
#define LISTS_FRACTION	"1024"

/* The pool calls a backing idle after a second */
#define IDLE_SECONDS	2

#define IDLE_LEN	8294400
#define IDLE_COUNT	50

FIXTURE(reclaim)
{
	int fd;
	int disk;
	int open_fds;
	long long available;
	long long bytes;
	long long max_bytes;
	long long decay_ms;
	struct pool_stats stats;
};

/* Where kswapd begins: with generations it goes by how much there is to be had */
FIXTURE_VARIANT(reclaim)
{
	const char *lru_gen;
	const char *priority;
};

FIXTURE_VARIANT_ADD(reclaim, active_and_inactive)
{
	.lru_gen = "n",
	.priority = "priority == 12",
};

FIXTURE_VARIANT_ADD(reclaim, generations)
{
	.lru_gen = "y",
	.priority = "priority <= 12",
};

FIXTURE_SETUP(reclaim)
{
	self->disk = open(DISK, O_RDONLY | O_CLOEXEC);
	if (self->disk < 0)
		SKIP_UNLESS_NEEDED(return, "disk", "no " DISK);
	ASSERT_EQ(0, file_write(LRU_GEN, variant->lru_gen));
	ASSERT_EQ(0, file_write(CPU_LISTS, LISTS_FRACTION));
	self->fd = heap_open(HEAP, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->max_bytes = pool_get(HEAP, "max_bytes");
	self->decay_ms = pool_get(HEAP, "decay_ms");
	ASSERT_TRUE(WAIT_FOR(pool_keeps(HEAP, self->fd)));
	ASSERT_TRUE(WAIT_FOR(pool_empty(HEAP)));
	mem_available_kib();
	self->available = meminfo_kib("MemAvailable:");
	self->open_fds = open_fds();
	self->bytes = heap_attr(HEAP, "bytes");
	ASSERT_EQ(0, pool_set(HEAP, "decay_ms", 600000));
	ASSERT_EQ(0, pool_read_stats(HEAP, &self->stats));
}

FIXTURE_TEARDOWN(reclaim)
{
	rmdir(INSTANCE);
	EXPECT_EQ(0, file_write(CPU_LISTS, "0"));
	EXPECT_EQ(0, file_write(LRU_GEN, "n"));
	EXPECT_EQ(0, pool_set(HEAP, "max_bytes", self->max_bytes));
	EXPECT_EQ(0, pool_set(HEAP, "decay_ms", self->decay_ms));
	EXPECT_EQ(self->open_fds, open_fds());
	EXPECT_EQ(self->bytes, heap_attr(HEAP, "bytes"));
	close(self->fd);
	close(self->disk);
}

#define RECLAIM_TEST(name)	TEST_F_TIMEOUT(reclaim, name, HEAP_TEST_TIMEOUT)

#define COUNTED(counter)						\
	pool_counted(HEAP, &self->stats, offsetof(struct pool_stats, counter))

/* Reads @len bytes of the disk, whole MiB, into the page cache */
static int read_disk(int disk, long long at, size_t len)
{
	static char buf[1 << 20];
	long long end = at + len;

	for (; at < end; at += sizeof(buf))
		if (pread(disk, buf, sizeof(buf), at) != sizeof(buf))
			return -EIO;

	return 0;
}

/* Makes the pool hold 400 MiB that nobody uses */
static bool make_idle_pool(int heap_fd)
{
	if (pool_fill(heap_fd, IDLE_LEN, IDLE_COUNT) ||
	    !WAIT_FOR(pool_is_clean(HEAP, IDLE_COUNT * pages_of(IDLE_LEN))))
		return false;

	/* This is no wait for anything: the memory is to be that old */
	sleep(IDLE_SECONDS);

	return true;
}

static long long pool_mib(void)
{
	return pool_pages(HEAP) * page_size() >> 20;
}

/* Records what reclaim asks shrinkers for */
static int trace_begin(const char *filter)
{
	if (access(TRACEFS "/instances", F_OK))
		mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	if (mkdir(INSTANCE, 0755) && errno != EEXIST)
		return -errno;

	return file_write(INSTANCE "/events/vmscan/mm_shrink_slab_start/filter",
			  filter) ?:
	       file_write(INSTANCE "/events/vmscan/mm_shrink_slab_start/enable", "1");
}

/* How often it asked the pool's shrinker for idle memory */
static int trace_count(void)
{
	char line[512];
	int count = 0;
	FILE *trace;

	trace = fopen(INSTANCE "/trace", "re");
	while (trace && fgets(line, sizeof(line), trace))
		count += strstr(line, "idle_scan_objects") &&
			 !strstr(line, "total_scan 0 ");
	if (trace)
		fclose(trace);

	return count;
}

/* The test leaves so much memory to all that goes on beside it */
#define MARGIN		MIB(48)
#define PASSES		3
#define MAX_REFAULTS	20000
/* There may be room for that, and the pool need not give what nobody needs */
#define MAX_POOL_MIB	(64 + MARGIN / MIB(1))

/*
 * Part of the disk that fits into memory, and the pool on top of it does not. So with the
 * first pass the pool has to go, or parts of it are read again with every pass.
 */
RECLAIM_TEST(disk_that_is_read_gets_idle_memory)
{
	long long refaults, len = KIB(self->available) - MARGIN;
	int i;

	len -= len % MIB(1);
	ASSERT_GT(buf_size(self->disk), len);
	ASSERT_TRUE(make_idle_pool(self->fd));
	if (trace_begin(variant->priority))
		SKIP_UNLESS_NEEDED(return, "trace", "no events of vmscan");
	refaults = vm_counter("workingset_refault_file");
	for (i = 0; i < PASSES; i++) {
		ASSERT_EQ(0, read_disk(self->disk, 0, len));
		TH_LOG("pass %d: %lld refaults, %lld MiB in the pool", i + 1,
		       vm_counter("workingset_refault_file") - refaults,
		       pool_mib());
	}
	EXPECT_GE(MAX_REFAULTS,
		  vm_counter("workingset_refault_file") - refaults);
	EXPECT_GE(MAX_POOL_MIB, pool_mib());
	EXPECT_LT(0, trace_count());
}

/* Of as much memory as there is, compressed in memory */
static int swap_begin(void)
{
	struct {
		char boot[1024];
		__u32 version;
		__u32 last_page;
		__u32 bad_pages;
	} header = { .version = 1 };
	size_t size = page_size();
	char *page;
	int fd, ret;

	ret = file_write(ZRAM_SYSFS "/disksize", "2G");
	if (ret)
		return ret;
	page = calloc(1, size);
	if (!page)
		return -ENOMEM;
	header.last_page = (2ULL << 30) / size - 1;
	memcpy(page, &header, sizeof(header));
	memcpy(page + size - strlen("SWAPSPACE2"), "SWAPSPACE2",
	       strlen("SWAPSPACE2"));
	fd = open(ZRAM, O_RDWR | O_CLOEXEC);
	if (pwrite(fd, page, size, 0) != size)
		ret = -EIO;
	close(fd);
	free(page);

	return ret ?: swapon(ZRAM, 0) ? -errno : 0;
}

static int swap_end(void)
{
	if (swapoff(ZRAM))
		return -errno;

	return file_write(ZRAM_SYSFS "/reset", "1");
}

/* In a child: pages that cannot be compressed to nothing */
static void use_memory(size_t len)
{
	size_t at;
	char *p;

	p = mmap(NULL, len, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		_exit(1);
	for (at = 0; at < len; at += page_size())
		pattern_fill(p + at, at, sizeof(__u64), at);
	_exit(0);
}

/* The child needs so much of the pool, and leaves a quarter */
#define NEEDED		MIB(300)
#define MAX_SWAPPED	MIB(4)

RECLAIM_TEST(nothing_is_swapped_while_memory_is_idle)
{
	long long swapped;
	pid_t child;

	ASSERT_EQ(0, swap_begin());
	EXPECT_TRUE(make_idle_pool(self->fd));
	swapped = vm_counter("pswpout");
	child = fork();
	if (!child)
		use_memory(KIB(meminfo_kib("MemFree:")) + NEEDED);
	EXPECT_EQ(0, child_end(child));
	swapped = vm_counter("pswpout") - swapped;
	EXPECT_GE(pages_of(MAX_SWAPPED), swapped);
	EXPECT_LE(pages_of(NEEDED) / 2, COUNTED(shrunk_pages));
	TH_LOG("%lld pages swapped, %lld from the pool", swapped,
	       COUNTED(shrunk_pages));
	EXPECT_EQ(0, swap_end());
}

/* A camera has eight buffers of 4K NV12, and takes another one 30 times a second */
#define CAMERA_LEN	12441600
#define CAMERA_BUFS	8
#define CAMERA_US	33333
#define FRAMES		200
#define WARM_FRAMES	(3 * CAMERA_BUFS)
#define MIN_HITS	(FRAMES * 9 / 10)

/* The oldest buffer goes, a while later a new one comes; false if there is none */
static bool take_frame(int heap_fd, int *fd)
{
	void *p;

	close(*fd);
	usleep(CAMERA_US);
	*fd = heap_alloc(heap_fd, CAMERA_LEN);
	p = buf_map(*fd, CAMERA_LEN, READ_WRITE);
	if (p == MAP_FAILED)
		return false;
	touch(p, true);
	munmap(p, CAMERA_LEN);

	return true;
}

/* A round of a loop: the next part of the disk, and the first one after the last */
struct reader {
	int disk;
	long long size;
	long long at;
};

static bool read_on(void *data)
{
	struct reader *reader = data;

	if (read_disk(reader->disk, reader->at, MIB(1)))
		return false;
	reader->at = (reader->at + MIB(1)) % reader->size;

	return true;
}

RECLAIM_TEST(camera_keeps_its_memory_beside_a_disk_that_is_read)
{
	long long scanned = vm_counter("pgscan_kswapd");
	struct reader reader = {
		.disk = self->disk,
		.size = buf_size(self->disk),
	};
	int fds[CAMERA_BUFS], i;
	struct loop loop = { };

	ASSERT_EQ(0, loop_start(&loop, read_on, &reader));
	EXPECT_TRUE(WAIT_FOR(vm_counter("pgscan_kswapd") > scanned));
	for (i = 0; i < CAMERA_BUFS; i++) {
		fds[i] = heap_alloc(self->fd, CAMERA_LEN);
		EXPECT_LE(0, fds[i]);
	}
	for (i = 0; i < WARM_FRAMES; i++)
		EXPECT_TRUE(take_frame(self->fd, &fds[i % CAMERA_BUFS]));
	EXPECT_EQ(0, pool_read_stats(HEAP, &self->stats));
	scanned = vm_counter("pgscan_kswapd");
	for (i = 0; i < FRAMES; i++)
		EXPECT_TRUE(take_frame(self->fd, &fds[i % CAMERA_BUFS]));
	EXPECT_LT(scanned, vm_counter("pgscan_kswapd"));
	EXPECT_EQ(-SIGKILL, loop_kill(&loop));
	EXPECT_LE(MIN_HITS, COUNTED(hits) + COUNTED(dirty_hits));
	TH_LOG("%lld hits, %lld dirty, %lld misses", COUNTED(hits),
	       COUNTED(dirty_hits), COUNTED(misses));
	for (i = 0; i < CAMERA_BUFS; i++)
		close(fds[i]);
}

/*
 * Takes most of the memory, and gives back every other page: no two pages that are free
 * then are side by side. In a child, which holds the rest until it is killed.
 */
static pid_t shatter_memory(struct __test_metadata *_metadata)
{
	long long len = KIB(meminfo_kib("MemFree:")) / 8 * 7, at;
	pid_t child;
	int ready[2];
	char *p;

	ASSERT_EQ(0, pipe(ready));
	child = fork();
	if (child) {
		close(ready[1]);
		EXPECT_EQ(1, read(ready[0], &p, 1));
		close(ready[0]);
		return child;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	p = mmap(NULL, len, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || madvise(p, len, MADV_NOHUGEPAGE))
		_exit(1);
	for (at = 0; at < len; at += page_size())
		p[at] = 1;
	for (at = 0; at < len - page_size(); at += 2 * page_size())
		madvise(p + at, page_size(), MADV_DONTNEED);
	if (write(ready[1], "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

#define LARGE_LEN	33177600
#define LARGE_COUNT	8
/* Of 2 MiB, and what is left in the end */
#define FEW_CHUNKS	(4 * (LARGE_LEN / MIB(2) + 9))

/* A chunk of 2 MiB may be anywhere in the pool, and is nowhere else */
RECLAIM_TEST(large_buffers_get_the_large_chunks_of_an_idle_pool)
{
	struct buf_chunks chunks;
	int fds[LARGE_COUNT], i, importer;
	pid_t child;

	importer = importer_open();
	if (importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	ASSERT_TRUE(make_idle_pool(self->fd));
	child = shatter_memory(_metadata);
	for (i = 0; i < LARGE_COUNT; i++) {
		fds[i] = heap_alloc(self->fd, LARGE_LEN);
		EXPECT_LE(0, fds[i]);
		EXPECT_EQ(0, buf_get_chunks(importer, fds[i], IMPORTER_COHERENT,
					    &chunks));
		EXPECT_GE(FEW_CHUNKS, chunks.count)
			TH_LOG("buffer %d has %d chunks", i, chunks.count);
		buf_put_chunks(&chunks);
	}
	for (i = 0; i < LARGE_COUNT; i++)
		close(fds[i]);
	EXPECT_EQ(-SIGKILL, child_kill(child));
	close(importer);
}

/* With no such pool a buffer is made of pages, and none after it is made of the same */
RECLAIM_TEST(buffer_of_single_pages_is_not_kept)
{
	int fds[2 * LARGE_COUNT], i, importer, many = 0;
	struct buf_chunks chunks;
	pid_t child;

	importer = importer_open();
	if (importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	child = shatter_memory(_metadata);
	/* The first ones get what was left whole */
	for (i = 0; i < ARRAY_SIZE(fds) && many <= FEW_CHUNKS; i++) {
		fds[i] = heap_alloc(self->fd, LARGE_LEN);
		EXPECT_LE(0, fds[i]);
		EXPECT_EQ(0, buf_get_chunks(importer, fds[i], IMPORTER_COHERENT,
					    &chunks));
		many = chunks.count;
		buf_put_chunks(&chunks);
	}
	EXPECT_LT(FEW_CHUNKS, many);
	EXPECT_EQ(0, pool_read_stats(HEAP, &self->stats));
	close(fds[--i]);
	EXPECT_EQ(pages_of(LARGE_LEN), COUNTED(evicted_pages));
	while (i--)
		close(fds[i]);
	EXPECT_EQ(-SIGKILL, child_kill(child));
	close(importer);
}

int main(int argc, char **argv)
{
	heap_tests_init();

	return test_harness_run(argc, argv);
}

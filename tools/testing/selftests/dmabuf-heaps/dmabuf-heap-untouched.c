// SPDX-License-Identifier: GPL-2.0
/*
 * A buffer that nobody could write to needs no scrub when it goes: that it gets none,
 * and that all others do, whichever way they are written to.
 *
 * SEED in the environment repeats the run of the model that printed it.
 */

#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "heap_fixture.h"
#include "heap_regions.h"

/*
 * A buffer on its way from allocation to close. Each way gives somebody the right to write
 * to it, but for the first two, and uses that right if it can. A way returns 0, or what
 * went wrong.
 */
struct subject {
	int fd;
	size_t len;
	int importer;
	int vgem;
	bool protected;
};

#define MARK	0xa5a5a5a5a5a5a5a5ULL

static int do_nothing(struct subject *s)
{
	return 0;
}

static int announce_a_write(struct subject *s)
{
	if (s->protected)
		return 0;

	return buf_sync(s->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW) ?:
	       buf_sync(s->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
}

/* Call @use with a mapping of all of the buffer */
static int with_mapping(struct subject *s, int prot,
			int (*use)(char *p, size_t len))
{
	char *p = buf_map(s->fd, s->len, prot);
	int ret;

	if (p == MAP_FAILED)
		return -errno;
	ret = use(p, s->len);
	munmap(p, s->len);

	return ret;
}

static int read_all(char *p, size_t len)
{
	return find_nonzero(p, len) < 0 ? 0 : -EUCLEAN;
}

/* The mapping is never written to, but it could be, had somebody called mprotect() */
static int map_to_read(struct subject *s)
{
	return with_mapping(s, PROT_READ, read_all);
}

static int write_all(char *p, size_t len)
{
	pattern_fill(p, 0, len, 1);

	return 0;
}

static int map_and_write(struct subject *s)
{
	return with_mapping(s, READ_WRITE, write_all);
}

/* One page at the end, after the descriptor is closed */
static int map_close_and_write(struct subject *s)
{
	size_t page = page_size();
	char *p = mmap(NULL, page, READ_WRITE, MAP_SHARED, s->fd, s->len - page);

	if (p == MAP_FAILED)
		return -errno;
	close(s->fd);
	s->fd = -1;
	pattern_fill(p, 0, page, 2);
	munmap(p, page);

	return 0;
}

static int protect_all(char *p, size_t len)
{
	return mprotect(p, len, READ_WRITE) ? -errno : write_all(p, len);
}

static int protect_and_write(struct subject *s)
{
	return with_mapping(s, PROT_READ, protect_all);
}

static int fork_and_write(char *p, size_t len)
{
	pid_t child = fork();

	if (!child)
		_exit(write_all(p, len));

	return child_end(child);
}

static int write_in_a_child(struct subject *s)
{
	return with_mapping(s, READ_WRITE, fork_and_write);
}

/* The kernel writes to no such mapping for another process, so this is to fail */
static int poke_from_outside(char *p, size_t len)
{
	struct iovec remote = { p, sizeof(__u64) };
	__u64 mark = MARK;
	struct iovec local = { &mark, sizeof(mark) };

	return process_vm_writev(getpid(), &local, 1, &remote, 1, 0) < 0 ?
	       0 : -EEXIST;
}

static int write_from_outside(struct subject *s)
{
	return with_mapping(s, READ_WRITE, poke_from_outside);
}

/* Is @child stopped, and does a write of its debugger fail? */
static int poke_child(pid_t child, char *p)
{
	int status;

	if (waitpid(child, &status, WUNTRACED) != child || !WIFSTOPPED(status))
		return -ECHILD;

	return ptrace(PTRACE_POKEDATA, child, p, (void *)MARK) ? 0 : -EEXIST;
}

static int poke_as_debugger(char *p, size_t len)
{
	pid_t child = fork();
	int ret;

	if (!child) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(1);
	}
	ret = poke_child(child, p);
	child_kill(child);

	return ret;
}

static int write_as_debugger(struct subject *s)
{
	return with_mapping(s, READ_WRITE, poke_as_debugger);
}

/* A device is mapped to read only, which not every IOMMU can make sure of */
static int map_device_to_read(struct subject *s)
{
	return importer_map(s->importer, s->fd, IMPORTER_COHERENT, DEVICE_READS) ?:
	       importer_unmap(s->importer);
}

/* It really writes where there is such a device */
static int write_by_device(struct subject *s)
{
	int device = importer_has(s->importer, s->fd, IMPORTER_MOVER) ?
		     IMPORTER_MOVER : IMPORTER_COHERENT;
	int ret;

	ret = importer_map(s->importer, s->fd, device, DEVICE_WRITES);
	if (!ret && device == IMPORTER_MOVER)
		ret = importer_do(s->importer, "dwrite 0 4096 5");

	return ret ?: importer_unmap(s->importer);
}

static int write_by_kernel(struct subject *s)
{
	return importer_do(s->importer, "fill %d 6", s->fd);
}

/* The mapping is one of the importer's file */
static int write_through_importer(struct subject *s)
{
	__u64 offset;
	__u32 handle;
	char *p;
	int ret;

	ret = vgem_next_offset(s->vgem, s->len, &offset) ?:
	      vgem_import(s->vgem, s->fd, &handle);
	if (ret)
		return ret;
	p = mmap(NULL, s->len, READ_WRITE, MAP_SHARED, s->vgem, offset);
	if (p == MAP_FAILED) {
		ret = -errno;
	} else {
		pattern_fill(p, 0, s->len, 7);
		munmap(p, s->len);
	}

	return vgem_close_handle(s->vgem, handle) ?: ret;
}

static const struct way {
	const char *name;
	int (*go)(struct subject *s);
	bool gives_access;
	/* The way needs these */
	bool cpu;
	bool importer;
	bool vgem;
} ways[] = {
	{ "nothing", do_nothing },
	{ "sync", announce_a_write },
	{ "map to read", map_to_read, true, .cpu = true },
	{ "map and write", map_and_write, true, .cpu = true },
	{ "map, close and write", map_close_and_write, true, .cpu = true },
	{ "mprotect", protect_and_write, true, .cpu = true },
	{ "fork", write_in_a_child, true, .cpu = true },
	{ "process_vm_writev", write_from_outside, true, .cpu = true },
	{ "ptrace", write_as_debugger, true, .cpu = true },
	{ "device reads", map_device_to_read, true, .importer = true },
	{ "device writes", write_by_device, true, .importer = true },
	{ "kernel", write_by_kernel, true, .cpu = true, .importer = true },
	{ "mmap of an importer", write_through_importer, true, .cpu = true, .vgem = true },
};

FIXTURE(untouched)
{
	struct subject subject;
	/* The heap whose name the pool has */
	const char *pool;
	int fd;
	int open_fds;
	long long bytes;
	long long decay_ms;
	struct pool_stats stats;
};

FIXTURE_VARIANT(untouched)
{
	char name[HEAP_NAME_SIZE];
};

FIXTURE_SETUP(untouched)
{
	struct pool_stats unused;

	self->pool = heap_pool(variant->name);
	if (pool_read_stats(self->pool, &unused))
		SKIP_UNLESS_NEEDED(return, "pool", "no pool behind %s",
				   variant->name);
	self->fd = heap_open(variant->name, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->decay_ms = pool_get(variant->name, "decay_ms");
	ASSERT_EQ(0, pool_set(variant->name, "decay_ms", 600000));
	self->subject.importer = importer_open();
	self->subject.vgem = vgem_open();
	ASSERT_TRUE(self->subject.importer >= 0 || !is_needed("importer"));
	ASSERT_TRUE(self->subject.vgem >= 0 || !is_needed("vgem"));
	self->subject.protected = heap_attr(variant->name, "protected") == 1;
	ASSERT_TRUE(WAIT_FOR(pool_keeps(self->pool, self->fd)));
	ASSERT_TRUE(WAIT_FOR(!pool_get(variant->name, "unzeroed_bytes")));
	self->open_fds = open_fds();
	self->bytes = heap_attr(variant->name, "bytes");
	ASSERT_EQ(0, pool_read_stats(self->pool, &self->stats));
}

FIXTURE_TEARDOWN(untouched)
{
	EXPECT_EQ(self->open_fds, open_fds());
	EXPECT_EQ(self->bytes, heap_attr(variant->name, "bytes"));
	EXPECT_EQ(0, pool_set(variant->name, "decay_ms", self->decay_ms));
	close(self->subject.importer);
	close(self->subject.vgem);
	close(self->fd);
}

#define UNTOUCHED_TEST(name)						\
	TEST_F_TIMEOUT(untouched, name, HEAP_TEST_TIMEOUT)

#define COUNTED(counter)						\
	pool_counted(self->pool, &self->stats,			\
		     offsetof(struct pool_stats, counter))

static bool can_go(const struct way *way, const struct subject *s)
{
	return !(way->cpu && s->protected) &&
	       !(way->importer && s->importer < 0) &&
	       !(way->vgem && s->vgem < 0);
}

/* Pages that were scrubbed, whoever did it */
static long long scrubbed(const char *heap, const struct pool_stats *before)
{
	struct pool_stats now = { };

	pool_read_stats(heap, &now);

	return now.scrubbed_pages - before->scrubbed_pages +
	       now.paid_pages - before->paid_pages;
}

static bool scrubbed_all(const char *heap)
{
	return WAIT_FOR(!pool_get(heap, "unzeroed_bytes"));
}

/* Allocates, goes the way, and closes; 0 or what went wrong */
static int go_way(struct subject *s, int heap_fd,
		  int (*go)(struct subject *s))
{
	int ret;

	s->fd = heap_alloc(heap_fd, s->len);
	if (s->fd < 0)
		return s->fd;
	ret = go(s);
	if (s->fd >= 0)
		close(s->fd);

	return ret;
}

/* Each way by itself, with one page and with blocks */
UNTOUCHED_TEST(buffer_is_scrubbed_if_it_could_be_written_to)
{
	const size_t lens[] = { KIB(64), heap_fitting(variant->name, MIB(4), 2) };
	struct subject *s = &self->subject;
	long long pages;
	int i, j;

	for (j = 0; j < ARRAY_SIZE(lens); j++) {
		s->len = lens[j];
		pages = pages_of(s->len);
		for (i = 0; i < ARRAY_SIZE(ways); i++) {
			if (!can_go(&ways[i], s))
				continue;
			ASSERT_EQ(0, pool_read_stats(self->pool, &self->stats));
			ASSERT_EQ(0, go_way(s, self->fd, ways[i].go))
				TH_LOG("%s, %zu bytes", ways[i].name, s->len);
			ASSERT_TRUE(scrubbed_all(variant->name));
			EXPECT_EQ(ways[i].gives_access ? pages : 0,
				  scrubbed(self->pool, &self->stats))
				TH_LOG("%s, %zu bytes", ways[i].name, s->len);
			EXPECT_EQ(ways[i].gives_access ? 0 : pages,
				  COUNTED(untouched_pages))
				TH_LOG("%s, %zu bytes", ways[i].name, s->len);
		}
	}
}

/* It is there for the next allocation at once, which need not scrub it either */
UNTOUCHED_TEST(untouched_buffer_goes_back_zeroed)
{
	const size_t len = heap_fitting(variant->name, MIB(8), 2);
	const int rounds = 100;
	int i, fd;

	close(heap_alloc(self->fd, len));
	ASSERT_EQ(0, pool_read_stats(self->pool, &self->stats));
	for (i = 0; i < rounds; i++) {
		fd = heap_alloc(self->fd, len);
		ASSERT_LE(0, fd);
		close(fd);
	}
	EXPECT_EQ(rounds, COUNTED(hits));
	EXPECT_EQ(0, COUNTED(dirty_hits));
	EXPECT_EQ(0, scrubbed(self->pool, &self->stats));
	EXPECT_EQ(rounds * pages_of(len), COUNTED(untouched_pages));
}

/*
 * A read-only descriptor gives no right to write, and no call of the process gets it. So a
 * test can look at a buffer by way of such a descriptor, and leave it untouched.
 */
static int try_to_write(char *p, size_t len)
{
	__u64 mark = MARK;
	int mem, ret;

	if (!mprotect(p, len, READ_WRITE) || errno != EACCES)
		return -EEXIST;
	ret = poke_from_outside(p, len);
	if (ret)
		return ret;
	mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	if (mem < 0)
		return -errno;
	if (pwrite(mem, &mark, sizeof(mark), (off_t)(uintptr_t)p) != -1)
		ret = -EEXIST;
	close(mem);

	return ret ?: read_all(p, len);
}

/* Is a new buffer zero, and does it stay so? */
static int check_new_buffer(const struct subject *s, int heap_fd)
{
	struct subject looked_at = {
		.fd = heap_alloc_flags(heap_fd, s->len, O_RDONLY | O_CLOEXEC),
		.len = s->len,
	};
	int ret;

	if (looked_at.fd < 0)
		return looked_at.fd;
	ret = with_mapping(&looked_at, PROT_READ, try_to_write);
	close(looked_at.fd);

	return ret;
}

UNTOUCHED_TEST(read_only_buffer_stays_untouched)
{
	struct subject *s = &self->subject;

	if (s->protected)
		SKIP(return, "nobody maps it");
	s->len = KIB(64);
	ASSERT_EQ(0, go_way(s, self->fd, map_and_write));
	ASSERT_TRUE(scrubbed_all(variant->name));
	ASSERT_EQ(0, pool_read_stats(self->pool, &self->stats));
	EXPECT_EQ(0, check_new_buffer(s, self->fd));
	EXPECT_EQ(0, scrubbed(self->pool, &self->stats));
	EXPECT_EQ(pages_of(s->len), COUNTED(untouched_pages));
}

#define MODEL_STEPS	300

/*
 * The model knows which buffers could be written to, and so how many pages go back as
 * they are. After each step a new buffer of the same size is looked at, in a way that
 * does not count as access: no byte of an older one may be in it.
 */
UNTOUCHED_TEST(no_byte_comes_back_in_any_order_of_ways)
{
	static const size_t lens[] = { KIB(4), KIB(64), KIB(68), MIB(1), MIB(2) };
	__u64 seed = getenv("SEED") ? strtoull(getenv("SEED"), NULL, 0) :
				      (__u64)now_ms();
	struct subject *s = &self->subject;
	long long untouched = 0;
	const struct way *way;
	__u64 state = seed;
	int i;

	if (s->protected)
		SKIP(return, "nobody maps it");
	for (i = 0; i < MODEL_STEPS; i++) {
		way = &ways[pseudo_random(&state) % ARRAY_SIZE(ways)];
		s->len = heap_fitting(variant->name,
				      lens[pseudo_random(&state) % ARRAY_SIZE(lens)], 4);
		s->len = page_align(s->len);
		if (!can_go(way, s))
			continue;
		ASSERT_EQ(0, go_way(s, self->fd, way->go))
			TH_LOG("SEED=%llu step %d: %s", seed, i, way->name);
		untouched += way->gives_access ? 0 : pages_of(s->len);
		/* Zeroed by whom it may */
		if (pseudo_random(&state) % 2)
			ASSERT_TRUE(scrubbed_all(variant->name));
		ASSERT_EQ(0, check_new_buffer(s, self->fd))
			TH_LOG("SEED=%llu step %d: %s, %zu bytes", seed, i,
			       way->name, s->len);
		untouched += pages_of(s->len);
	}
	EXPECT_EQ(untouched, COUNTED(untouched_pages))
		TH_LOG("SEED=%llu", seed);
}

int main(int argc, char **argv)
{
	heap_tests_init();
	heap_register(&_untouched_fixture_object);

	return test_harness_run(argc, argv);
}

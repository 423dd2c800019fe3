// SPDX-License-Identifier: GPL-2.0
/*
 * What a successful allocation gives: size, zeroed memory, the descriptor that
 * was asked for, in every form of the argument and from every kind of caller;
 * and that nothing stays behind when the caller is killed or out of
 * descriptors.
 */

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "heap_fixture.h"
#include "heap_loop.h"

static const struct {
	const char *name;
	size_t len;
} sizes[] = {
	{ "1", 1 },
	{ "4K-1", KIB(4) - 1 },
	{ "4K", KIB(4) },
	{ "4K+1", KIB(4) + 1 },
	{ "64K", KIB(64) },
	{ "1M", MIB(1) },
	{ "1080p-NV12", 1920 * 1080 * 3 / 2 },
	{ "8M", MIB(8) },
	{ "1080p-RGBA", 1920 * 1080 * 4 },
	{ "32M", MIB(32) },
	{ "4K-RGBA", 3840 * 2160 * 4 },
	{ "256M", MIB(256) },
};

/* One allocation of a given size; the variants are all heaps by all sizes */
FIXTURE(size)
{
	int heap_fd;
	int fd;
	int open_fds;
	size_t aligned;
};

FIXTURE_VARIANT(size)
{
	const char *heap;
	size_t len;
};

/*
 * Half of the largest buffer: of the rest of a region, others may have some. Without
 * a limit, what all machines have.
 */
static long long half_of_largest(const char *heap)
{
	char text[64];

	if (heap_attr_read(heap, "buffer_limit_bytes", text, sizeof(text)))
		return -1;

	return strcmp(text, "max") ? atoll(text) / 2 : MIB(256);
}

FIXTURE_SETUP(size)
{
	long long half = half_of_largest(variant->heap);

	self->heap_fd = heap_open(variant->heap, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->heap_fd);
	self->open_fds = open_fds();
	self->aligned = page_align(variant->len);
	ASSERT_LT(0, half);
	if (self->aligned > half)
		SKIP(return, "too large for %s", variant->heap);
	self->fd = heap_alloc(self->heap_fd, variant->len);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(size)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(self->open_fds, open_fds());
	EXPECT_EQ(0, close(self->heap_fd));
}

#define SIZE_TEST(name)	TEST_F_TIMEOUT(size, name, HEAP_TEST_TIMEOUT)

SIZE_TEST(is_page_aligned_and_zeroed)
{
	void *p;

	EXPECT_EQ(self->aligned, buf_size(self->fd));

	p = buf_map(self->fd, self->aligned, READ_WRITE);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW));
	EXPECT_EQ(-1, find_nonzero(p, self->aligned));
	EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW));
	EXPECT_EQ(0, munmap(p, self->aligned));
}

SIZE_TEST(holds_data)
{
	void *p;

	p = buf_map(self->fd, self->aligned, READ_WRITE);
	ASSERT_NE(MAP_FAILED, p);
	pattern_fill(p, 0, self->aligned, variant->len);
	EXPECT_EQ(-1, pattern_check(p, 0, self->aligned, variant->len));
	EXPECT_EQ(0, munmap(p, self->aligned));

	/* Through a second mapping, which may not be at the same place */
	p = buf_map(self->fd, self->aligned, PROT_READ);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(-1, pattern_check(p, 0, self->aligned, variant->len));
	EXPECT_EQ(0, munmap(p, self->aligned));
}

SIZE_TEST(heap_and_size_are_in_fdinfo)
{
	char value[HEAP_NAME_SIZE];

	EXPECT_STREQ(variant->heap, buf_exporter(self->fd));
	buf_fdinfo(self->fd, "size:\t", value, sizeof(value));
	EXPECT_EQ(self->aligned, strtoul(value, NULL, 10));
}

/* Enough that what was freed has to be handed out again, few enough for 32 MiB */
#define DIRTY_BUFFERS	6

HEAP_TEST(reused_memory_is_zeroed)
{
	static const size_t lens[] = {
		KIB(4), KIB(64), KIB(68), MIB(1), MIB(2), 3112960,
	};
	int round, i, j, fds[DIRTY_BUFFERS];

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		size_t len = page_align(lens[i]);

		for (round = 0; round < 3; round++) {
			ASSERT_EQ(0, pool_fill(self->fd, len, DIRTY_BUFFERS))
				TH_LOG("length %zu", len);
			for (j = 0; j < DIRTY_BUFFERS; j++) {
				fds[j] = heap_alloc(self->fd, len);
				ASSERT_LE(0, fds[j]);
				EXPECT_EQ(-1, buf_find_nonzero(fds[j], len))
					TH_LOG("length %zu", len);
			}
			while (j--)
				close(fds[j]);
		}
	}
}

/* A smaller and a larger buffer than the one that left its data behind */
HEAP_TEST(reused_memory_of_other_size_is_zeroed)
{
	static const size_t lens[] = { MIB(1), KIB(256), KIB(4), MIB(2) };
	int i, fd;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		ASSERT_EQ(0, pool_fill(self->fd, MIB(1), DIRTY_BUFFERS));
		fd = heap_alloc(self->fd, lens[i]);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-1, buf_find_nonzero(fd, lens[i]));
		EXPECT_EQ(0, close(fd));
	}
}

HEAP_TEST(read_only_node_can_allocate)
{
	int heap_fd, fd;

	heap_fd = heap_open(variant->name, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, heap_fd);
	fd = heap_alloc(heap_fd, KIB(64));
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, close(heap_fd));

	/* The buffer does not need the node any more */
	EXPECT_EQ(-1, buf_find_nonzero(fd, KIB(64)));
	EXPECT_EQ(0, close(fd));
}

HEAP_TEST(fd_flags_are_honoured)
{
	static const __u32 modes[] = { O_RDONLY, O_WRONLY, O_RDWR };
	int i, fd;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		fd = heap_alloc_flags(self->fd, KIB(4), modes[i]);
		ASSERT_LE(0, fd);
		EXPECT_EQ(modes[i], fcntl(fd, F_GETFL) & O_ACCMODE);
		EXPECT_EQ(0, fcntl(fd, F_GETFD));
		EXPECT_EQ(0, close(fd));

		fd = heap_alloc_flags(self->fd, KIB(4), modes[i] | O_CLOEXEC);
		ASSERT_LE(0, fd);
		EXPECT_EQ(modes[i], fcntl(fd, F_GETFL) & O_ACCMODE);
		EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
		EXPECT_EQ(0, close(fd));
	}
}

/* The largest argument an ioctl number can announce */
#define ARG_MAX_SIZE	((1 << _IOC_SIZEBITS) - 1)

static unsigned int alloc_cmd(size_t size)
{
	return _IOC(_IOC_READ | _IOC_WRITE, DMA_HEAP_IOC_MAGIC, 0, size);
}

/*
 * A program built with an older or a newer header passes a shorter or longer
 * argument. What is missing counts as zero, what is too much is left alone.
 */
HEAP_TEST(argument_of_any_size_is_taken)
{
	static const size_t arg_sizes[] = {
		12, 16, 20, 24, 25, 48, 128, 129, ARG_MAX_SIZE,
	};
	union {
		struct dma_heap_allocation_data data;
		unsigned char bytes[ARG_MAX_SIZE + 1];
	} *arg;
	unsigned char *expected;
	size_t size;
	int i, fd;

	ASSERT_EQ(0xc0104800, alloc_cmd(16));
	ASSERT_EQ(0xc0184800, DMA_HEAP_IOCTL_ALLOC);
	ASSERT_EQ(0xc0304800, alloc_cmd(48));

	arg = malloc(sizeof(*arg));
	expected = malloc(sizeof(*arg));
	ASSERT_NE(NULL, arg);
	ASSERT_NE(NULL, expected);

	for (i = 0; i < ARRAY_SIZE(arg_sizes); i++) {
		size = arg_sizes[i];
		/* Garbage in all that the command does not cover, and beyond */
		memset(arg, 0xa5, sizeof(*arg));
		memset(arg, 0, size < sizeof(arg->data) ? size : sizeof(arg->data));
		arg->data.len = PAGES(2) - 1;
		if (size >= 16)
			arg->data.fd_flags = O_RDWR;
		memcpy(expected, arg, sizeof(*arg));

		ASSERT_EQ(0, heap_ioctl(self->fd, alloc_cmd(size), arg))
			TH_LOG("argument of %zu bytes", size);
		fd = arg->data.fd;
		EXPECT_EQ(PAGES(2), buf_size(fd));
		EXPECT_EQ(size >= 16 ? O_RDWR : O_RDONLY,
			  fcntl(fd, F_GETFL) & O_ACCMODE);
		EXPECT_EQ(0, close(fd));

		/* The descriptor and nothing else was written */
		arg->data.fd = 0;
		EXPECT_EQ(0, memcmp(arg, expected, sizeof(*arg)))
			TH_LOG("argument of %zu bytes", size);
	}
	free(expected);
	free(arg);
}

#define THREADS		100
#define THREAD_ROUNDS	10

static pthread_barrier_t thread_barrier;

struct thread_arg {
	pthread_t thread;
	int heap_fd;
	unsigned int number;
	const char *failed;
};

static const char *thread_round(int heap_fd, __u32 seed)
{
	static const size_t lens[] = { KIB(4), KIB(64), KIB(4), KIB(256) };
	size_t len = lens[seed % ARRAY_SIZE(lens)];
	const char *failed = NULL;
	void *p;
	int fd;

	fd = heap_alloc(heap_fd, len);
	if (fd < 0)
		return "allocation";

	p = buf_map(fd, len, READ_WRITE);
	if (p == MAP_FAILED) {
		close(fd);
		return "mmap";
	}

	if (find_nonzero(p, len) != -1)
		failed = "zeroed memory";
	pattern_fill(p, 0, len, seed);
	sched_yield();
	if (pattern_check(p, 0, len, seed) != -1)
		failed = "memory of its own";
	munmap(p, len);
	close(fd);

	return failed;
}

static void *thread_main(void *data)
{
	struct thread_arg *arg = data;
	int i;

	pthread_barrier_wait(&thread_barrier);
	for (i = 0; i < THREAD_ROUNDS && !arg->failed; i++)
		arg->failed = thread_round(arg->heap_fd, arg->number * 7 + i);

	return NULL;
}

HEAP_TEST(hundred_threads_get_memory_of_their_own)
{
	static struct thread_arg args[THREADS];
	int i;

	ASSERT_EQ(0, pthread_barrier_init(&thread_barrier, NULL, THREADS));
	for (i = 0; i < THREADS; i++) {
		args[i].heap_fd = self->fd;
		args[i].number = i;
		ASSERT_EQ(0, pthread_create(&args[i].thread, NULL, thread_main,
					    &args[i]));
	}
	for (i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pthread_join(args[i].thread, NULL));
		EXPECT_EQ(NULL, args[i].failed)
			TH_LOG("thread %d: %s", i, args[i].failed);
	}
	pthread_barrier_destroy(&thread_barrier);
}

struct allocator {
	int heap_fd;
	size_t len;
	/* Stays open, so that the exit has one to give back */
	int kept;
};

static bool allocate_and_free(void *data)
{
	struct allocator *allocator = data;
	int fd;

	if (allocator->kept < 0)
		allocator->kept = heap_alloc(allocator->heap_fd, MIB(1));
	fd = heap_alloc(allocator->heap_fd, allocator->len);
	if (fd < 0 || allocator->kept < 0)
		return false;

	return !close(fd);
}

#define KILLS	24

/*
 * The kill lands at another point of an allocation each time. A buffer that
 * stays behind costs up to 32 MiB, twice what EXPECT_MEM_BACK() tolerates.
 */
HEAP_TEST(killed_allocator_gives_all_back)
{
	struct allocator allocator = {
		.heap_fd = self->fd,
		.len = MIB(32),
		.kept = -1,
	};
	long long half = half_of_largest(variant->name);
	struct loop loop = { };
	long before;
	int i;

	/* As much as there is beside the one that is kept open */
	ASSERT_LE((long long)MIB(1), half);
	while (allocator.len > half)
		allocator.len /= 2;

	before = mem_available_kib();
	for (i = 0; i < KILLS; i++) {
		ASSERT_EQ(0, loop_start(&loop, allocate_and_free, &allocator));
		EXPECT_EQ(-SIGKILL, loop_kill(&loop));
	}
	EXPECT_NEW_BUFFERS(0);
	EXPECT_MEM_BACK(before);
}

#define MAX_FDS	64

HEAP_TEST(failure_to_get_a_descriptor_frees_the_buffer)
{
	int i, taken = 0, fds[MAX_FDS];
	struct rlimit old, limit;
	long before;

	before = mem_available_kib();
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
	limit = old;
	limit.rlim_cur = MAX_FDS;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));

	/* Some numbers are in use already, and not all of them low ones */
	while (taken < MAX_FDS) {
		fds[taken] = heap_alloc(self->fd, KIB(4));
		if (fds[taken] < 0)
			break;
		taken++;
	}
	ASSERT_LT(taken, MAX_FDS);
	EXPECT_EQ(-EMFILE, fds[taken]);
	EXPECT_LT(0, taken);

	/* 512 MiB, should they stay behind */
	for (i = 0; i < 512; i++) {
		ASSERT_EQ(-EMFILE, heap_alloc(self->fd, MIB(1)))
			TH_LOG("attempt %d", i);
	}

	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &old));
	EXPECT_NEW_BUFFERS(taken);
	for (i = 0; i < taken; i++)
		close(fds[i]);
	EXPECT_NEW_BUFFERS(0);
	EXPECT_MEM_BACK(before);
}

/* The other process: allocates, fills, sends, and is gone */
static int sender(int heap_fd, int sock, size_t len)
{
	void *p;
	int fd;

	fd = heap_alloc(heap_fd, len);
	if (fd < 0)
		return 1;
	p = buf_map(fd, len, READ_WRITE);
	if (p == MAP_FAILED)
		return 2;
	if (buf_sync(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE))
		return 3;
	pattern_fill(p, 0, len, 17);
	if (buf_sync(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE))
		return 4;
	if (send_fd(sock, fd))
		return 5;

	return close(fd) ? 6 : 0;
}

HEAP_TEST(buffer_passes_through_a_socket)
{
	const size_t len = MIB(2) + PAGES(1);
	int socks[2], fd;
	pid_t child;
	void *p;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks));
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		_exit(sender(self->fd, socks[1], len));
	close(socks[1]);
	ASSERT_EQ(0, child_end(child));

	/* All that keeps the buffer alive now is the message in the socket */
	EXPECT_NEW_BUFFERS(1);
	fd = receive_fd(socks[0]);
	ASSERT_LE(0, fd);
	close(socks[0]);

	EXPECT_EQ(len, buf_size(fd));
	p = buf_map(fd, len, READ_WRITE);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, buf_sync(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ));
	EXPECT_EQ(-1, pattern_check(p, 0, len, 17));
	EXPECT_EQ(0, buf_sync(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ));
	EXPECT_EQ(0, munmap(p, len));
	EXPECT_EQ(0, close(fd));
}

/* Sent, never received */
HEAP_TEST(closed_socket_frees_the_buffer)
{
	int socks[2];
	pid_t child;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks));
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		_exit(sender(self->fd, socks[1], MIB(1)));
	close(socks[1]);
	ASSERT_EQ(0, child_end(child));
	EXPECT_NEW_BUFFERS(1);
	EXPECT_EQ(0, close(socks[0]));
	EXPECT_NEW_BUFFERS(0);
}

static FIXTURE_VARIANT(size) size_variant_data[HEAP_MAX * ARRAY_SIZE(sizes)];
static struct __fixture_variant_metadata
	size_variants[HEAP_MAX * ARRAY_SIZE(sizes)];

static void register_sizes(const char *heap, int first)
{
	char *name;
	int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		if (asprintf(&name, "%s:%s", heap, sizes[i].name) < 0)
			exit(KSFT_FAIL);
		size_variant_data[first + i].heap = heap;
		size_variant_data[first + i].len = sizes[i].len;
		size_variants[first + i].name = name;
		size_variants[first + i].data = &size_variant_data[first + i];
		__register_fixture_variant(&_size_fixture_object,
					   &size_variants[first + i]);
	}
}

int main(int argc, char **argv)
{
	int i;

	heap_tests_init();
	for (i = 0; i < heap_count; i++)
		register_sizes(heap_list[i], i * ARRAY_SIZE(sizes));

	return test_harness_run(argc, argv);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * What a heap counts: that its counters are exact whatever happens to a buffer and
 * its owner, and that each failure counts once.
 *
 * LONG=1 in the environment lets counters_stay_exact allocate a million times.
 */

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "heap_account.h"
#include "heap_all.h"
#include "heap_faults.h"
#include "heap_loop.h"

ACCOUNT_TEST(counted_from_allocation_to_close)
{
	static const size_t lens[] = { 1, KIB(4), KIB(4) + 1, KIB(68), MIB(1) };
	int fds[ARRAY_SIZE(lens)], i;
	size_t total = 0;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		size_t len = page_align(lens[i]) <= PAGES(2) ? lens[i] :
						heap_fitting(variant->name, lens[i], 4);

		fds[i] = heap_alloc(self->fd, len);
		ASSERT_LE(0, fds[i]);
		total += page_align(len);
		EXPECT_IN_USE(i + 1, total);
	}
	while (i--) {
		total -= buf_size(fds[i]);
		EXPECT_EQ(0, close(fds[i]));
		EXPECT_IN_USE(i, total);
	}
}

/* A buffer that goes back to user space with the descriptor not installed */
ACCOUNT_TEST(failed_calls_leave_nothing)
{
	struct dma_heap_allocation_data *data;

	EXPECT_EQ(-EINVAL, heap_alloc(self->fd, 0));
	EXPECT_EQ(-EINVAL, heap_alloc(self->fd, UINT64_MAX));
	EXPECT_EQ(-EINVAL, heap_alloc_flags(self->fd, PAGES(1), O_NONBLOCK));
	EXPECT_IN_USE(0, 0);

	/* The argument cannot be written */
	data = mmap(NULL, page_size(), READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	ASSERT_NE(MAP_FAILED, data);
	data->len = PAGES(2);
	data->fd_flags = O_RDWR | O_CLOEXEC;
	ASSERT_EQ(0, mprotect(data, page_size(), PROT_READ));
	EXPECT_EQ(-EFAULT, heap_ioctl(self->fd, DMA_HEAP_IOCTL_ALLOC, data));
	EXPECT_IN_USE(0, 0);
	EXPECT_FAILED(0, 0, 0, 0, 0);
	munmap(data, page_size());
}

/* It is the buffer that counts, however many hold it */
ACCOUNT_TEST(many_holders_count_once)
{
	int fd, copy, socks[2], to_child[2];
	char byte = 0;
	pid_t child;

	fd = heap_alloc(self->fd, PAGES(3));
	ASSERT_LE(0, fd);
	copy = dup(fd);
	ASSERT_LE(0, copy);
	EXPECT_IN_USE(1, PAGES(3));
	EXPECT_EQ(0, close(fd));
	EXPECT_IN_USE(1, PAGES(3));

	/* A child has what its parent has closed */
	ASSERT_EQ(0, pipe2(to_child, O_CLOEXEC));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		close(to_child[1]);
		_exit(read(to_child[0], &byte, 1) ? 1 : 0);
	}
	close(to_child[0]);
	EXPECT_EQ(0, close(copy));
	EXPECT_IN_USE(1, PAGES(3));
	close(to_child[1]);
	EXPECT_EQ(0, child_end(child));
	EXPECT_IN_USE(0, 0);

	/* A message nobody has read yet */
	fd = heap_alloc(self->fd, PAGES(3));
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks));
	ASSERT_EQ(0, send_fd(socks[0], fd));
	EXPECT_EQ(0, close(fd));
	EXPECT_IN_USE(1, PAGES(3));
	fd = receive_fd(socks[1]);
	ASSERT_LE(0, fd);
	EXPECT_IN_USE(1, PAGES(3));

	/* One that will never be read */
	ASSERT_EQ(0, send_fd(socks[0], fd));
	EXPECT_EQ(0, close(fd));
	EXPECT_IN_USE(1, PAGES(3));
	close(socks[0]);
	close(socks[1]);
	EXPECT_TRUE(WAIT_FOR(heap_attr(variant->name, "buffers") ==
			     self->buffers));
	EXPECT_IN_USE(0, 0);
}

/* As does the last page of a mapping that holds the buffer alone */
ACCOUNT_TEST(mapping_counts_until_its_last_page)
{
	char *p;
	int fd;

	if (heap_attr(variant->name, "protected"))
		SKIP(return, "the CPU cannot map what %s has", variant->name);
	fd = heap_alloc(self->fd, PAGES(3));
	ASSERT_LE(0, fd);
	p = buf_map(fd, PAGES(3), READ_WRITE);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, close(fd));
	EXPECT_IN_USE(1, PAGES(3));
	EXPECT_EQ(0, munmap(p + PAGES(1), PAGES(1)));
	EXPECT_IN_USE(1, PAGES(3));
	EXPECT_EQ(0, munmap(p, PAGES(1)));
	EXPECT_IN_USE(1, PAGES(3));
	EXPECT_EQ(0, munmap(p + PAGES(2), PAGES(1)));
	EXPECT_IN_USE(0, 0);
}

#define KILLED_BUFFERS	100

/* Holds many buffers, some of them mapped, and one that way alone */
static void hold_until_killed(int heap_fd, int ready, bool map)
{
	int i, fd = -1;

	for (i = 0; i < KILLED_BUFFERS; i++) {
		fd = heap_alloc(heap_fd, PAGES(2));
		if (fd < 0)
			_exit(1);
		if (map && i % 4 == 0 &&
		    buf_map(fd, PAGES(2), READ_WRITE) == MAP_FAILED)
			_exit(2);
		if (map && !i)
			close(fd);
	}
	if (write(ready, "", 1) != 1)
		_exit(3);
	pause();
	_exit(4);
}

ACCOUNT_TEST(killed_owner_gives_all_back)
{
	bool map = !heap_attr(variant->name, "protected");
	int ready[2];
	pid_t child;
	char byte;

	ASSERT_EQ(0, pipe2(ready, O_CLOEXEC));
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		hold_until_killed(self->fd, ready[1], map);
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	EXPECT_IN_USE(KILLED_BUFFERS, KILLED_BUFFERS * PAGES(2));
	EXPECT_EQ(-SIGKILL, child_kill(child));
	EXPECT_IN_USE(0, 0);
	close(ready[0]);
}

ACCOUNT_TEST(peaks_rise_and_are_set_back)
{
	int fds[4], i;

	for (i = 0; i < ARRAY_SIZE(peak_attrs); i++)
		ASSERT_EQ(0, heap_attr_write(variant->name, peak_attrs[i], "x"));
	EXPECT_EQ(self->bytes, heap_attr(variant->name, "peak_bytes"));
	EXPECT_EQ(self->buffers, heap_attr(variant->name, "peak_buffers"));

	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = heap_alloc(self->fd, PAGES(1) * (i + 1));
		ASSERT_LE(0, fds[i]);
	}
	EXPECT_EQ(self->bytes + (long long)PAGES(10),
		  heap_attr(variant->name, "peak_bytes"));
	EXPECT_EQ(self->buffers + 4, heap_attr(variant->name, "peak_buffers"));
	EXPECT_EQ(0, close(fds[3]));
	EXPECT_EQ(0, close(fds[2]));

	/* What goes does not count, and what comes has to be more */
	fds[2] = heap_alloc(self->fd, PAGES(4));
	ASSERT_LE(0, fds[2]);
	EXPECT_EQ(self->bytes + (long long)PAGES(10),
		  heap_attr(variant->name, "peak_bytes"));
	EXPECT_EQ(self->buffers + 4, heap_attr(variant->name, "peak_buffers"));

	/* Each is set back by itself, to what there is */
	ASSERT_EQ(0, heap_attr_write(variant->name, "peak_bytes", "0\n"));
	EXPECT_EQ(self->bytes + (long long)PAGES(7),
		  heap_attr(variant->name, "peak_bytes"));
	EXPECT_EQ(self->buffers + 4, heap_attr(variant->name, "peak_buffers"));
	ASSERT_EQ(0, heap_attr_write(variant->name, "peak_buffers", "1000"));
	EXPECT_EQ(self->buffers + 3, heap_attr(variant->name, "peak_buffers"));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, close(fds[i]));
	EXPECT_EQ(self->bytes + (long long)PAGES(7),
		  heap_attr(variant->name, "peak_bytes"));
}

/* Failures */

/* Each that finds no memory counts, and nothing else does */
ACCOUNT_TEST(no_memory_is_counted)
{
	int fail_nth, nth, fd, failed = 0;
	const char *missing = fault_knobs_set();
	bool more = true;

	if (missing) {
		fault_knobs_restore();
		SKIP_UNLESS_NEEDED(return, "faults", "cannot use %s", missing);
	}
	if (self->max_bytes >= 0)
		ASSERT_EQ(0, pool_set(variant->name, "max_bytes", 0));
	fail_nth = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fail_nth);
	for (nth = 1; more; nth++) {
		ASSERT_GT(1000, nth);
		fault_inject(fail_nth, nth);
		fd = heap_alloc(self->fd, PAGES(1));
		more = fault_injected(fail_nth);
		if (fd >= 0) {
			close(fd);
			continue;
		}
		EXPECT_EQ(-ENOMEM, fd);
		failed++;
	}
	close(fail_nth);
	fault_knobs_restore();
	/* What another heap serves then has failed here all the same */
	EXPECT_LE(3, FAILED(NOMEM));
	EXPECT_TRUE(heap_has_fallback(variant->name) ?
		    failed < FAILED(NOMEM) : failed == FAILED(NOMEM))
		TH_LOG("%d calls failed", failed);
	EXPECT_FAILED(0, 0, 0, FAILED(NOMEM), 0);
	EXPECT_IN_USE(0, 0);
}

#define KILLS	60

/*
 * A process that is killed while it allocates counts once, unless the kernel was done
 * with that before it looked.
 */
ACCOUNT_TEST(killed_while_allocating_counts_once)
{
	struct loop_buffer buffer = { self->fd, MIB(64) };
	struct loop loop = { };
	long long before;
	int i;

	if (heap_fitting(variant->name, buffer.len, 4) < buffer.len)
		SKIP(return, "%s has no buffers that take long", variant->name);
	if (self->max_bytes >= 0)
		ASSERT_EQ(0, pool_set(variant->name, "max_bytes", 0));
	for (i = 0; i < KILLS && FAILED(KILLED) < 3; i++) {
		before = FAILED(KILLED);
		ASSERT_EQ(0, loop_start(&loop, loop_alloc_and_close, &buffer));
		EXPECT_EQ(-SIGKILL, loop_kill(&loop));
		EXPECT_GE(before + 1, FAILED(KILLED));
		EXPECT_IN_USE(0, 0);
	}
	EXPECT_LE(1, FAILED(KILLED));
	EXPECT_FAILED(0, 0, 0, 0, FAILED(KILLED));
}

#define COUNTERS	4
#define MANY		20000
#define VERY_MANY	1000000

struct counter {
	pthread_t thread;
	const int *fds;
	unsigned int rounds;
	__u64 state;
	int error;
};

static void *count_up_and_down(void *data)
{
	struct counter *counter = data;
	unsigned int i;
	int fd;

	for (i = 0; i < counter->rounds; i++) {
		fd = heap_alloc(counter->fds[i % heap_count], PAGES(1) *
				(1 + pseudo_random(&counter->state) % 4));
		if (fd < 0) {
			counter->error = fd;
			break;
		}
		close(fd);
	}

	return NULL;
}

TEST_F_TIMEOUT(all, counters_stay_exact, 900)
{
	unsigned int total = getenv("LONG") ? VERY_MANY : MANY;
	struct counter counters[COUNTERS] = { };
	int i;

	for (i = 0; i < COUNTERS; i++) {
		counters[i].fds = self->fds;
		counters[i].rounds = total / COUNTERS;
		counters[i].state = i;
		ASSERT_EQ(0, pthread_create(&counters[i].thread, NULL,
					    count_up_and_down, &counters[i]));
	}
	for (i = 0; i < COUNTERS; i++) {
		ASSERT_EQ(0, pthread_join(counters[i].thread, NULL));
		EXPECT_EQ(0, counters[i].error);
	}
	for (i = 0; i < heap_count; i++) {
		EXPECT_EQ(self->bytes[i], heap_attr(heap_list[i], "bytes"));
		EXPECT_EQ(self->buffers[i], heap_attr(heap_list[i], "buffers"));
	}
}

int main(int argc, char **argv)
{
	heap_tests_init();
	heap_register(&_account_fixture_object);

	return test_harness_run(argc, argv);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * What a heap tells of itself, and what it counts, in sysfs: that facts are facts,
 * that counters are exact whatever happens to a buffer and its owner, that limits
 * hold to the page, and that Android finds the total of all pools.
 *
 * LONG=1 in the environment lets counters_stay_exact allocate a million times.
 * NEED in the environment names what must not be lacking: importer, faults, pool.
 */

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "heap_faults.h"
#include "heap_fixture.h"
#include "heap_regions.h"

#define NOBODY		65534
#define MAX_TEXT	64

enum failure {
	TOO_LARGE,
	CEILING,
	CHARGE,
	MEMORY,
	KILLED,
	NR_FAILURES,
};

static const char *const failure_attrs[NR_FAILURES] = {
	"failures/too_large", "failures/ceiling", "failures/charge",
	"failures/memory", "failures/killed",
};

static const char *const fact_attrs[] = {
	"cached", "contiguous", "protected", "alignment", "fallback",
};

static const char *const limit_attrs[] = { "max_alloc", "max_bytes" };
static const char *const peak_attrs[] = { "peak_bytes", "peak_buffers" };

#define TOTAL_POOLS	"/sys/kernel/dma_heap/total_pools_kb"

static const char *const count_attrs[] = {
	"bytes", "buffers", "failures/too_large", "failures/ceiling",
	"failures/charge", "failures/memory", "failures/killed",
	"pool/clean_bytes", "pool/dirty_bytes", "pool/hits", "pool/dirty_hits",
	"pool/misses", "pool/scrubbed_bytes",
};

/* A heap, its limits as they are to be again, and its counters before */
FIXTURE(account)
{
	int fd;
	int open_fds;
	long long bytes;
	long long buffers;
	long long failures[NR_FAILURES];
	char limits[ARRAY_SIZE(limit_attrs)][MAX_TEXT];
};

FIXTURE_VARIANT(account)
{
	char name[HEAP_NAME_SIZE];
};

FIXTURE_SETUP(account)
{
	int i;

	self->fd = heap_open(variant->name, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->open_fds = open_fds();
	self->bytes = heap_attr(variant->name, "bytes");
	ASSERT_LE(0, self->bytes);
	self->buffers = heap_attr(variant->name, "buffers");
	ASSERT_LE(0, self->buffers);
	for (i = 0; i < NR_FAILURES; i++) {
		self->failures[i] = heap_attr(variant->name, failure_attrs[i]);
		ASSERT_LE(0, self->failures[i]);
	}
	for (i = 0; i < ARRAY_SIZE(limit_attrs); i++)
		ASSERT_EQ(0, heap_attr_read(variant->name, limit_attrs[i],
					    self->limits[i], MAX_TEXT));
}

FIXTURE_TEARDOWN(account)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(limit_attrs); i++)
		EXPECT_EQ(0, heap_attr_write(variant->name, limit_attrs[i],
					     self->limits[i]));
	EXPECT_EQ(self->bytes, heap_attr(variant->name, "bytes"));
	EXPECT_EQ(self->buffers, heap_attr(variant->name, "buffers"));
	EXPECT_EQ(self->open_fds, open_fds());
	close(self->fd);
}

#define ACCOUNT_TEST(name)	TEST_F_TIMEOUT(account, name, HEAP_TEST_TIMEOUT)

/* What there is more than before the test */
#define EXPECT_IN_USE(more_buffers, more_bytes) do {			\
	EXPECT_EQ(self->buffers + (long long)(more_buffers),		\
		  heap_attr(variant->name, "buffers"));			\
	EXPECT_EQ(self->bytes + (long long)(more_bytes),		\
		  heap_attr(variant->name, "bytes"));			\
} while (0)

/* Allocations that have failed since the test began, for that reason */
static long long failed_since(const char *heap, const long long *before,
			      int reason)
{
	return heap_attr(heap, failure_attrs[reason]) - before[reason];
}

#define FAILED(reason)	failed_since(variant->name, self->failures, reason)

#define EXPECT_FAILED(too_large, ceiling, charge, memory, killed) do {	\
	EXPECT_EQ(too_large, FAILED(TOO_LARGE));			\
	EXPECT_EQ(ceiling, FAILED(CEILING));				\
	EXPECT_EQ(charge, FAILED(CHARGE));				\
	EXPECT_EQ(memory, FAILED(MEMORY));				\
	EXPECT_EQ(killed, FAILED(KILLED));				\
} while (0)

/* A heap's largest buffer; much if there is no limit */
static long long largest(const char *heap)
{
	char text[MAX_TEXT];

	if (heap_attr_read(heap, "max_alloc", text, sizeof(text)))
		return -1;

	return strcmp(text, "max") ? atoll(text) : LLONG_MAX;
}

/* As much of @len as the heap has room for a few times */
static size_t fitting(const char *heap, size_t len)
{
	while ((long long)len > largest(heap) / 8)
		len /= 2;

	return page_align(len);
}

static bool has_fallback(const char *heap)
{
	char text[HEAP_NAME_SIZE];

	return !heap_attr_read(heap, "fallback", text, sizeof(text)) && text[0];
}

/* Facts */

ACCOUNT_TEST(cached_and_protected_are_true)
{
	long long cached = heap_attr(variant->name, "cached");
	long long protected = heap_attr(variant->name, "protected");
	struct user_page page;
	int fd, importer;
	char *p;

	EXPECT_TRUE(cached == 0 || cached == 1);
	fd = heap_alloc(self->fd, KIB(8));
	ASSERT_LE(0, fd);
	p = buf_map(fd, KIB(8), READ_WRITE);
	if (p == MAP_FAILED) {
		EXPECT_EQ(EACCES, errno);
		EXPECT_EQ(1, protected);
		EXPECT_EQ(0, cached);
		close(fd);
		return;
	}
	EXPECT_EQ(0, protected);
	memset(p, 1, KIB(8));
	importer = importer_open();
	if (importer < 0) {
		munmap(p, KIB(8));
		close(fd);
		ASSERT_FALSE(is_needed("importer"));
		SKIP(return, "no test importer");
	}
	EXPECT_EQ(0, importer_user_page(importer, p, &page));
	EXPECT_EQ(cached, !page.writecombined);
	close(importer);
	munmap(p, KIB(8));
	close(fd);
}

ACCOUNT_TEST(contiguous_and_alignment_are_true)
{
	static const size_t lens[] = {
		KIB(4), KIB(12), KIB(68), MIB(1), MIB(2) + KIB(68),
	};
	long long contiguous = heap_attr(variant->name, "contiguous");
	long long alignment = heap_attr(variant->name, "alignment");
	int i, fd, importer, most = 0;
	struct buf_chunks chunks;

	ASSERT_TRUE(contiguous == 0 || contiguous == 1);
	ASSERT_LE(page_size(), alignment);
	EXPECT_EQ(0, alignment & (alignment - 1));
	importer = importer_open();
	if (importer < 0) {
		ASSERT_FALSE(is_needed("importer"));
		SKIP(return, "no test importer");
	}
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		fd = heap_alloc(self->fd, fitting(variant->name, lens[i]));
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, buf_get_chunks(importer, fd, 64, &chunks));
		EXPECT_EQ(0, chunks.dma_start % alignment);
		if (contiguous)
			EXPECT_EQ(1, chunks.count);
		most = chunks.count > most ? chunks.count : most;
		buf_put_chunks(&chunks);
		EXPECT_EQ(0, close(fd));
	}
	EXPECT_EQ(contiguous, most == 1);
	close(importer);
}

/* What the machine's description of the heap says */
ACCOUNT_TEST(fallback_and_region_are_true)
{
	static struct carveout carveouts[MAX_CARVEOUTS];
	char fallback[HEAP_NAME_SIZE];
	const char *expected = "";
	long long size = 0;
	int i, count;

	count = carveouts_find(carveouts, MAX_CARVEOUTS);
	for (i = 0; i < count; i++) {
		if (strcmp(carveouts[i].heap, variant->name))
			continue;
		if (carveouts[i].has_fallback)
			expected = carveouts[i].fallback;
		size = carveouts[i].size;
		EXPECT_EQ(1, heap_attr(variant->name, "contiguous"));
		EXPECT_EQ(carveouts[i].protected,
			  heap_attr(variant->name, "protected"));
		EXPECT_EQ(!carveouts[i].uncached && !carveouts[i].protected,
			  heap_attr(variant->name, "cached"));
		if (carveouts[i].alignment)
			EXPECT_EQ(carveouts[i].alignment,
				  heap_attr(variant->name, "alignment"));
	}
	ASSERT_EQ(0, heap_attr_read(variant->name, "fallback", fallback,
				    sizeof(fallback)));
	EXPECT_STREQ(expected, fallback);
	if (size)
		EXPECT_EQ(size, heap_attr(variant->name, "max_alloc"));
}

/* Half of RAM, which has grown a bit since by what the kernel needed to boot */
ACCOUNT_TEST(default_limits)
{
	long long half = meminfo_kib("MemTotal:") * 1024 / 2;

	EXPECT_STREQ("max", self->limits[1]);
	if (strncmp(variant->name, "system", strlen("system"))) {
		EXPECT_LT(0, largest(variant->name));
		EXPECT_GE(half, largest(variant->name));
		return;
	}
	/* Those with 32 bits may have less */
	if (!strstr(variant->name, "-dma32"))
		EXPECT_LE(half - (long long)MIB(64), largest(variant->name));
	EXPECT_GE(half + (long long)MIB(1), largest(variant->name));
	EXPECT_LT((long long)MIB(256), largest(variant->name));
}

static int attr_mode(const char *heap, const char *attr)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "/sys/class/dma_heap/%s/%s", heap, attr);

	return stat(path, &st) ? -errno : (int)(st.st_mode & 07777);
}

/* What nobody can do with the attributes: read them all and change nothing */
static int nobody(const char *heap)
{
	char text[MAX_TEXT];
	int i;

	if (setgid(NOBODY) || setuid(NOBODY))
		return 1;
	for (i = 0; i < ARRAY_SIZE(fact_attrs); i++)
		if (heap_attr_read(heap, fact_attrs[i], text, sizeof(text)))
			return 2;
	for (i = 0; i < ARRAY_SIZE(count_attrs); i++)
		if (heap_attr_read(heap, count_attrs[i], text, sizeof(text)))
			return 3;
	for (i = 0; i < ARRAY_SIZE(limit_attrs); i++)
		if (heap_attr_read(heap, limit_attrs[i], text, sizeof(text)) ||
		    heap_attr_write(heap, limit_attrs[i], "0") != -EACCES)
			return 4;
	for (i = 0; i < ARRAY_SIZE(peak_attrs); i++)
		if (heap_attr_read(heap, peak_attrs[i], text, sizeof(text)) ||
		    heap_attr_write(heap, peak_attrs[i], "0") != -EACCES)
			return 5;
	if (file_read("/sys/kernel/dma_heap/total_pools_kb", text, sizeof(text)))
		return 6;

	return 0;
}

ACCOUNT_TEST(anybody_may_read)
{
	int i, status;
	pid_t child;

	for (i = 0; i < ARRAY_SIZE(fact_attrs); i++)
		EXPECT_EQ(0444, attr_mode(variant->name, fact_attrs[i]));
	for (i = 0; i < ARRAY_SIZE(count_attrs); i++)
		EXPECT_EQ(0444, attr_mode(variant->name, count_attrs[i]))
			TH_LOG("%s", count_attrs[i]);
	for (i = 0; i < ARRAY_SIZE(limit_attrs); i++)
		EXPECT_EQ(0644, attr_mode(variant->name, limit_attrs[i]));
	for (i = 0; i < ARRAY_SIZE(peak_attrs); i++)
		EXPECT_EQ(0644, attr_mode(variant->name, peak_attrs[i]));

	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		_exit(nobody(variant->name));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
}

/* Counters */

ACCOUNT_TEST(counted_from_allocation_to_close)
{
	static const size_t lens[] = { 1, KIB(4), KIB(4) + 1, KIB(68), MIB(1) };
	int fds[ARRAY_SIZE(lens)], i;
	size_t total = 0;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		size_t len = lens[i] < KIB(8) ? lens[i] :
						fitting(variant->name, lens[i]);

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
	EXPECT_EQ(-EINVAL, heap_alloc_flags(self->fd, KIB(4), O_NONBLOCK));
	EXPECT_IN_USE(0, 0);

	/* The argument cannot be written */
	data = mmap(NULL, page_size(), READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		    -1, 0);
	ASSERT_NE(MAP_FAILED, data);
	data->len = KIB(8);
	data->fd_flags = O_RDWR | O_CLOEXEC;
	ASSERT_EQ(0, mprotect(data, page_size(), PROT_READ));
	EXPECT_EQ(-EFAULT, heap_ioctl(self->fd, DMA_HEAP_IOCTL_ALLOC, data));
	EXPECT_IN_USE(0, 0);
	EXPECT_FAILED(0, 0, 0, 0, 0);
	munmap(data, page_size());
}

/* It is the buffer that counts, however many hold it */
ACCOUNT_TEST(one_buffer_many_holders)
{
	int fd, copy, status, socks[2], to_child[2];
	char byte = 0, *p;
	pid_t child;

	fd = heap_alloc(self->fd, KIB(12));
	ASSERT_LE(0, fd);
	copy = dup(fd);
	ASSERT_LE(0, copy);
	EXPECT_IN_USE(1, KIB(12));
	EXPECT_EQ(0, close(fd));
	EXPECT_IN_USE(1, KIB(12));

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
	EXPECT_IN_USE(1, KIB(12));
	close(to_child[1]);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_IN_USE(0, 0);

	/* A message nobody has read yet */
	fd = heap_alloc(self->fd, KIB(12));
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks));
	ASSERT_EQ(0, send_fd(socks[0], fd));
	EXPECT_EQ(0, close(fd));
	EXPECT_IN_USE(1, KIB(12));
	fd = receive_fd(socks[1]);
	ASSERT_LE(0, fd);
	EXPECT_IN_USE(1, KIB(12));

	/* One that will never be read */
	ASSERT_EQ(0, send_fd(socks[0], fd));
	EXPECT_EQ(0, close(fd));
	EXPECT_IN_USE(1, KIB(12));
	close(socks[0]);
	close(socks[1]);
	EXPECT_TRUE(WAIT_FOR(heap_attr(variant->name, "buffers") ==
			     self->buffers));
	EXPECT_IN_USE(0, 0);

	/* A mapping, and what is left of it */
	if (heap_attr(variant->name, "protected"))
		return;
	fd = heap_alloc(self->fd, KIB(12));
	ASSERT_LE(0, fd);
	p = buf_map(fd, KIB(12), READ_WRITE);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, close(fd));
	EXPECT_IN_USE(1, KIB(12));
	EXPECT_EQ(0, munmap(p + KIB(4), KIB(4)));
	EXPECT_IN_USE(1, KIB(12));
	EXPECT_EQ(0, munmap(p, KIB(4)));
	EXPECT_IN_USE(1, KIB(12));
	EXPECT_EQ(0, munmap(p + KIB(8), KIB(4)));
	EXPECT_IN_USE(0, 0);
}

#define KILLED_BUFFERS	100

/* Holds many buffers, some of them mapped, and one that way alone */
static void hold_until_killed(int heap_fd, int ready, bool map)
{
	int i, fd = -1;

	for (i = 0; i < KILLED_BUFFERS; i++) {
		fd = heap_alloc(heap_fd, KIB(8));
		if (fd < 0)
			_exit(1);
		if (map && i % 4 == 0 &&
		    buf_map(fd, KIB(8), READ_WRITE) == MAP_FAILED)
			_exit(2);
		if (map && !i)
			close(fd);
	}
	if (write(ready, "", 1) != 1)
		_exit(3);
	pause();
	_exit(4);
}

ACCOUNT_TEST(killed_owner)
{
	bool map = !heap_attr(variant->name, "protected");
	int ready[2], status;
	pid_t child;
	char byte;

	ASSERT_EQ(0, pipe2(ready, O_CLOEXEC));
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		hold_until_killed(self->fd, ready[1], map);
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	EXPECT_IN_USE(KILLED_BUFFERS, KILLED_BUFFERS * KIB(8));
	EXPECT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
	EXPECT_IN_USE(0, 0);
	close(ready[0]);
}

ACCOUNT_TEST(peaks)
{
	int fds[4], i;

	for (i = 0; i < ARRAY_SIZE(peak_attrs); i++)
		ASSERT_EQ(0, heap_attr_write(variant->name, peak_attrs[i], "x"));
	EXPECT_EQ(self->bytes, heap_attr(variant->name, "peak_bytes"));
	EXPECT_EQ(self->buffers, heap_attr(variant->name, "peak_buffers"));

	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = heap_alloc(self->fd, KIB(4) * (i + 1));
		ASSERT_LE(0, fds[i]);
	}
	EXPECT_EQ(self->bytes + (long long)KIB(40),
		  heap_attr(variant->name, "peak_bytes"));
	EXPECT_EQ(self->buffers + 4, heap_attr(variant->name, "peak_buffers"));
	EXPECT_EQ(0, close(fds[3]));
	EXPECT_EQ(0, close(fds[2]));

	/* What goes does not count, and what comes has to be more */
	fds[2] = heap_alloc(self->fd, KIB(16));
	ASSERT_LE(0, fds[2]);
	EXPECT_EQ(self->bytes + (long long)KIB(40),
		  heap_attr(variant->name, "peak_bytes"));
	EXPECT_EQ(self->buffers + 4, heap_attr(variant->name, "peak_buffers"));

	/* Each is set back by itself, to what there is */
	ASSERT_EQ(0, heap_attr_write(variant->name, "peak_bytes", "0\n"));
	EXPECT_EQ(self->bytes + (long long)KIB(28),
		  heap_attr(variant->name, "peak_bytes"));
	EXPECT_EQ(self->buffers + 4, heap_attr(variant->name, "peak_buffers"));
	ASSERT_EQ(0, heap_attr_write(variant->name, "peak_buffers", "1000"));
	EXPECT_EQ(self->buffers + 3, heap_attr(variant->name, "peak_buffers"));
	for (i = 0; i < 3; i++)
		EXPECT_EQ(0, close(fds[i]));
	EXPECT_EQ(self->bytes + (long long)KIB(28),
		  heap_attr(variant->name, "peak_bytes"));
}

/* Limits */

#define LIMIT	KIB(64)

ACCOUNT_TEST(largest_buffer)
{
	int fd;

	/* With somewhere to fall back to, the limit is only this heap's */
	if (has_fallback(variant->name))
		SKIP(return, "another heap serves what is too large");
	ASSERT_EQ(0, heap_attr_set(variant->name, "max_alloc", LIMIT));
	EXPECT_EQ(LIMIT, heap_attr(variant->name, "max_alloc"));

	fd = heap_alloc(self->fd, LIMIT - KIB(4));
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
	fd = heap_alloc(self->fd, LIMIT);
	ASSERT_LE(0, fd);
	EXPECT_IN_USE(1, LIMIT);
	EXPECT_FAILED(0, 0, 0, 0, 0);
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, LIMIT + 1));
	EXPECT_FAILED(1, 0, 0, 0, 0);
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, LIMIT + KIB(4)));
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, 1ULL << 62));
	EXPECT_FAILED(3, 0, 0, 0, 0);
	EXPECT_IN_USE(1, LIMIT);
	EXPECT_EQ(0, close(fd));

	/* It is a limit of each, not of all */
	fd = heap_alloc(self->fd, LIMIT);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, close(fd));

	/* What is not a whole page does not count */
	ASSERT_EQ(0, heap_attr_set(variant->name, "max_alloc", LIMIT - 1));
	EXPECT_EQ(LIMIT - KIB(4), heap_attr(variant->name, "max_alloc"));
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, LIMIT));
	EXPECT_FAILED(4, 0, 0, 0, 0);

	ASSERT_EQ(0, heap_attr_set(variant->name, "max_alloc", 0));
	EXPECT_EQ(0, heap_attr(variant->name, "max_alloc"));
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, 1));
	EXPECT_FAILED(5, 0, 0, 0, 0);
}

ACCOUNT_TEST(all_buffers_together)
{
	long long limit = self->bytes + LIMIT;
	int fd, other;

	if (has_fallback(variant->name))
		SKIP(return, "another heap serves what is too much");
	ASSERT_EQ(0, heap_attr_set(variant->name, "max_bytes", limit));
	EXPECT_EQ(limit, heap_attr(variant->name, "max_bytes"));

	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, LIMIT + 1));
	EXPECT_FAILED(0, 1, 0, 0, 0);
	fd = heap_alloc(self->fd, LIMIT);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, 1));
	EXPECT_FAILED(0, 2, 0, 0, 0);
	EXPECT_IN_USE(1, LIMIT);
	EXPECT_EQ(0, close(fd));

	fd = heap_alloc(self->fd, LIMIT - KIB(4));
	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, KIB(4) + 1));
	other = heap_alloc(self->fd, KIB(4));
	ASSERT_LE(0, other);
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, KIB(4)));
	EXPECT_FAILED(0, 4, 0, 0, 0);
	EXPECT_IN_USE(2, LIMIT);

	/* Below what there is: that stays, but nothing is added */
	ASSERT_EQ(0, heap_attr_set(variant->name, "max_bytes", 0));
	EXPECT_IN_USE(2, LIMIT);
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, KIB(4)));
	EXPECT_FAILED(0, 5, 0, 0, 0);
	EXPECT_EQ(0, close(other));

	ASSERT_EQ(0, heap_attr_write(variant->name, "max_bytes", "max\n"));
	fd = heap_alloc(self->fd, LIMIT + KIB(4));
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
	EXPECT_FAILED(0, 5, 0, 0, 0);
}

ACCOUNT_TEST(limits_as_text)
{
	static const char *const wrong[] = {
		"\n", " ", "-1", "x", "1x", "1 1", "0x", "1.5", "4k", "Max",
		"maximum", "max max", "--1", "18446744073709551616",
		"99999999999999999999999999",
	};
	char text[MAX_TEXT];
	int i, j;

	for (i = 0; i < ARRAY_SIZE(limit_attrs); i++) {
		const char *attr = limit_attrs[i];

		ASSERT_EQ(0, heap_attr_write(variant->name, attr, "max"));
		EXPECT_EQ(0, heap_attr_read(variant->name, attr, text, MAX_TEXT));
		EXPECT_STREQ("max", text);
		ASSERT_EQ(0, heap_attr_write(variant->name, attr, "0x100000\n"));
		for (j = 0; j < ARRAY_SIZE(wrong); j++) {
			EXPECT_EQ(-EINVAL, heap_attr_write(variant->name, attr,
							   wrong[j]))
				TH_LOG("'%s' for %s", wrong[j], attr);
			EXPECT_EQ(MIB(1), heap_attr(variant->name, attr));
		}
		/* As much as can be said, and no less than that */
		ASSERT_EQ(0, heap_attr_write(variant->name, attr,
					     "18446744073709551615"));
		EXPECT_EQ(0, heap_attr_read(variant->name, attr, text, MAX_TEXT));
		if (sizeof(long) < sizeof(long long)) {
			EXPECT_STREQ("max", text);
			continue;
		}
		EXPECT_EQ(ULLONG_MAX & ~(page_size() - 1ULL),
			  strtoull(text, NULL, 10));
	}
}

/* Whatever the limits, a buffer that cannot be is refused at once */
ACCOUNT_TEST(no_limit_is_not_no_bound)
{
	ASSERT_EQ(0, heap_attr_write(variant->name, "max_alloc", "max"));
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, 1ULL << 62));
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, (1ULL << 63) + KIB(4)));
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, UINT64_MAX - KIB(8)));
	EXPECT_IN_USE(0, 0);
}

#define CLIMBERS	8
#define CEILING_PAGES	100
#define CLIMB_MS	1500

static atomic_bool climb_over;
static atomic_long pages_held;
static atomic_long most_held;

struct climber {
	pthread_t thread;
	int heap_fd;
	__u64 state;
	unsigned long got;
	unsigned long refused;
	int error;
};

/*
 * Counted after they are there and before they go, so that what is seen too much
 * was too much.
 */
static void *climb(void *data)
{
	struct climber *climber = data;
	int fds[32], pages[32], count = 0, i;
	long held, most;

	while (!climb_over && !climber->error) {
		pages[count] = 1 + pseudo_random(&climber->state) % 16;
		fds[count] = heap_alloc(climber->heap_fd,
					pages[count] * page_size());
		if (fds[count] >= 0) {
			held = pages_held += pages[count++];
			most = most_held;
			while (held > most &&
			       !atomic_compare_exchange_weak(&most_held, &most,
							     held))
				;
			climber->got++;
		} else if (fds[count] == -ENOMEM) {
			climber->refused++;
		} else {
			climber->error = fds[count];
		}
		if (count == ARRAY_SIZE(fds) ||
		    (count && fds[count] < 0 &&
		     pseudo_random(&climber->state) % 4 == 0)) {
			i = pseudo_random(&climber->state) % count;
			pages_held -= pages[i];
			close(fds[i]);
			fds[i] = fds[--count];
			pages[i] = pages[count];
		}
	}
	while (count--) {
		pages_held -= pages[count];
		close(fds[count]);
	}

	return NULL;
}

ACCOUNT_TEST(ceiling_holds_whoever_climbs)
{
	const long long limit = self->bytes + CEILING_PAGES * page_size();
	struct climber climbers[CLIMBERS] = { };
	long long seen, highest = 0, refused = 0;
	long long end;
	int i;

	if (has_fallback(variant->name))
		SKIP(return, "another heap serves what is too much");
	ASSERT_EQ(0, heap_attr_set(variant->name, "max_bytes", limit));
	ASSERT_EQ(0, heap_attr_write(variant->name, "peak_bytes", "0"));
	for (i = 0; i < CLIMBERS; i++) {
		climbers[i].heap_fd = self->fd;
		climbers[i].state = i;
		ASSERT_EQ(0, pthread_create(&climbers[i].thread, NULL, climb,
					    &climbers[i]));
	}
	end = now_ms() + CLIMB_MS;
	while (now_ms() < end) {
		seen = heap_attr(variant->name, "peak_bytes");
		highest = seen > highest ? seen : highest;
		usleep(1000);
	}
	climb_over = true;
	for (i = 0; i < CLIMBERS; i++) {
		ASSERT_EQ(0, pthread_join(climbers[i].thread, NULL));
		EXPECT_EQ(0, climbers[i].error);
		EXPECT_LT(0, climbers[i].got + climbers[i].refused);
		refused += climbers[i].refused;
	}
	EXPECT_GE(CEILING_PAGES, most_held);
	EXPECT_LE(CEILING_PAGES - 16, most_held)
		TH_LOG("the ceiling was not reached");
	EXPECT_LT(0, refused);
	/* Each refusal has been counted, and nothing else */
	EXPECT_FAILED(0, refused, 0, 0, 0);
	EXPECT_IN_USE(0, 0);
	EXPECT_GE(limit, highest)
		TH_LOG("peak_bytes %lld", highest);
}

/* Failures */

/* Each that finds no memory counts, and nothing else does */
ACCOUNT_TEST(no_memory_is_counted)
{
	long long max_kib = pool_get(variant->name, "max_kib");
	int fail_nth, nth, fd, failed = 0;
	const char *missing = fault_knobs_set();
	bool more = true;

	if (missing) {
		fault_knobs_restore();
		ASSERT_FALSE(is_needed("faults"));
		SKIP(return, "cannot use %s", missing);
	}
	if (max_kib >= 0)
		ASSERT_EQ(0, pool_set(variant->name, "max_kib", 0));
	fail_nth = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fail_nth);
	for (nth = 1; more; nth++) {
		ASSERT_GT(1000, nth);
		fault_inject(fail_nth, nth);
		fd = heap_alloc(self->fd, KIB(4));
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
	if (max_kib >= 0)
		ASSERT_EQ(0, pool_set(variant->name, "max_kib", max_kib));
	if (!has_fallback(variant->name))
		EXPECT_LE(3, failed);
	/* What another heap serves then has failed here all the same */
	EXPECT_LE(failed, FAILED(MEMORY));
	if (!has_fallback(variant->name))
		EXPECT_EQ(failed, FAILED(MEMORY));
	EXPECT_FAILED(0, 0, 0, FAILED(MEMORY), 0);
	EXPECT_IN_USE(0, 0);
}

#define KILLS	60

/* Allocates until it is killed */
static void be_killed(int heap_fd, size_t len, atomic_int *allocating)
{
	int fd;

	for (;;) {
		*allocating = 1;
		fd = heap_alloc(heap_fd, len);
		*allocating = 0;
		if (fd < 0)
			_exit(1);
		close(fd);
	}
}

/*
 * Whoever is killed while it allocates counts once, unless the kernel was done
 * with that before it looked. Where buffers cannot be large, they are there
 * before anybody can be killed.
 */
ACCOUNT_TEST(killed_is_counted)
{
	size_t len = fitting(variant->name, MIB(64));
	long long max_kib = pool_get(variant->name, "max_kib");
	int i, status, hit = 0;
	atomic_int *allocating;
	pid_t child;

	allocating = mmap(NULL, page_size(), READ_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, allocating);
	if (max_kib >= 0)
		ASSERT_EQ(0, pool_set(variant->name, "max_kib", 0));
	for (i = 0; i < KILLS && FAILED(KILLED) < 3; i++) {
		*allocating = 0;
		child = fork();
		ASSERT_LE(0, child);
		if (!child)
			be_killed(self->fd, len, allocating);
		while (!*allocating)
			usleep(100);
		usleep(500 * (i % 10));
		EXPECT_EQ(0, kill(child, SIGKILL));
		ASSERT_EQ(child, waitpid(child, &status, 0));
		EXPECT_EQ(SIGKILL, WTERMSIG(status));
		hit += *allocating;
		EXPECT_IN_USE(0, 0);
	}
	if (max_kib >= 0)
		ASSERT_EQ(0, pool_set(variant->name, "max_kib", max_kib));
	EXPECT_GE(hit, FAILED(KILLED));
	if (len == MIB(64))
		EXPECT_LE(1, FAILED(KILLED))
			TH_LOG("%d of %d killed while they allocated", hit, i);
	EXPECT_FAILED(0, 0, 0, 0, FAILED(KILLED));
	munmap(allocating, page_size());
}

/* Attributes under load */

static atomic_bool load_over;

struct loader {
	pthread_t thread;
	int heap_fd;
	__u64 state;
	unsigned long rounds;
	int error;
};

static void *load(void *data)
{
	struct loader *loader = data;
	int fds[8], i = 0, count;

	while (!load_over && !loader->error) {
		for (count = 0; count < ARRAY_SIZE(fds); count++) {
			fds[count] = heap_alloc(loader->heap_fd, KIB(4) *
				(1 + pseudo_random(&loader->state) % 8));
			if (fds[count] < 0) {
				loader->error = fds[count];
				break;
			}
		}
		for (i = 0; i < count; i++)
			close(fds[i]);
		loader->rounds++;
	}

	return NULL;
}

#define LOADERS	3
#define LOAD_MS	1500

/* What there can be in a state that somebody sees half-way */
ACCOUNT_TEST(read_under_load)
{
	const long long most = LOADERS * 8;
	struct loader loaders[LOADERS] = { };
	char text[MAX_TEXT], *end_of_number;
	long long value, end;
	int i, looks = 0;

	for (i = 0; i < LOADERS; i++) {
		loaders[i].heap_fd = self->fd;
		loaders[i].state = i;
		ASSERT_EQ(0, pthread_create(&loaders[i].thread, NULL, load,
					    &loaders[i]));
	}
	end = now_ms() + LOAD_MS;
	while (now_ms() < end) {
		for (i = 0; i < ARRAY_SIZE(count_attrs); i++) {
			ASSERT_EQ(0, heap_attr_read(variant->name,
						    count_attrs[i], text,
						    MAX_TEXT));
			value = strtoll(text, &end_of_number, 10);
			ASSERT_EQ('\0', *end_of_number);
			ASSERT_LE(0, value);
		}
		value = heap_attr(variant->name, "buffers") - self->buffers;
		ASSERT_LE(0, value);
		ASSERT_GE(most, value);
		value = heap_attr(variant->name, "bytes") - self->bytes;
		ASSERT_LE(0, value);
		ASSERT_GE(most * (long long)KIB(32), value);
		ASSERT_EQ(0, value % page_size());
		for (i = 0; i < ARRAY_SIZE(peak_attrs); i++)
			ASSERT_EQ(0, heap_attr_write(variant->name,
						     peak_attrs[i], "0"));
		looks++;
	}
	load_over = true;
	for (i = 0; i < LOADERS; i++) {
		ASSERT_EQ(0, pthread_join(loaders[i].thread, NULL));
		EXPECT_EQ(0, loaders[i].error);
		EXPECT_LT(0, loaders[i].rounds);
	}
	EXPECT_LT(0, looks);
	EXPECT_FAILED(0, 0, 0, 0, 0);
	EXPECT_IN_USE(0, 0);
}

/* The call either works or gives ENOMEM, and then nothing has changed */
static int file_with_faults(const char *path, const char *text, int fail_nth)
{
	char before[MAX_TEXT] = "", after[MAX_TEXT] = "";
	bool more = true;
	int nth, ret;

	for (nth = 1; more && nth < 1000; nth++) {
		/* Some are only written */
		ret = file_read(path, before, sizeof(before));
		if (ret && ret != -EACCES)
			return -1;
		fault_inject(fail_nth, nth);
		ret = text ? file_write(path, text) :
			     file_read(path, after, sizeof(after));
		more = fault_injected(fail_nth);
		if (ret && ret != -ENOMEM && ret != -EIO)
			return -2;
		if (ret && !more)
			return -3;
		if (file_read(path, after, sizeof(after)) == -EIO)
			return -4;
		if (ret && text && strcmp(before, after))
			return -5;
	}

	return nth;
}

static int attr_with_faults(const char *heap, const char *attr,
			    const char *text, int fail_nth)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/class/dma_heap/%s/%s",
		 heap, attr);

	return file_with_faults(path, text, fail_nth);
}

/* Opens fail-nth; -1 if there is no such thing, but may be without */
static int faults_begin(struct __test_metadata *_metadata)
{
	const char *missing = fault_knobs_set();
	int fail_nth;

	if (missing) {
		fault_knobs_restore();
		/* To skip the test would forget what has only been expected */
		ASSERT_FALSE(is_needed("faults"))
			TH_LOG("cannot use %s", missing);
		return -1;
	}
	fail_nth = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fail_nth);

	return fail_nth;
}

static void faults_end(int fail_nth)
{
	close(fail_nth);
	fault_knobs_restore();
}

ACCOUNT_TEST(files_under_faults)
{
	int i, fail_nth = faults_begin(_metadata);

	if (fail_nth < 0)
		SKIP(return, "no fault injection");
	for (i = 0; i < ARRAY_SIZE(fact_attrs); i++)
		EXPECT_LT(2, attr_with_faults(variant->name, fact_attrs[i],
					      NULL, fail_nth));
	for (i = 0; i < ARRAY_SIZE(count_attrs); i++)
		EXPECT_LT(2, attr_with_faults(variant->name, count_attrs[i],
					      NULL, fail_nth))
			TH_LOG("%s", count_attrs[i]);
	for (i = 0; i < ARRAY_SIZE(limit_attrs); i++) {
		EXPECT_LT(2, attr_with_faults(variant->name, limit_attrs[i],
					      NULL, fail_nth));
		EXPECT_LT(2, attr_with_faults(variant->name, limit_attrs[i],
					      "1048576", fail_nth));
		EXPECT_EQ(MIB(1), heap_attr(variant->name, limit_attrs[i]));
	}
	for (i = 0; i < ARRAY_SIZE(peak_attrs); i++) {
		EXPECT_LT(2, attr_with_faults(variant->name, peak_attrs[i],
					      NULL, fail_nth));
		EXPECT_LT(2, attr_with_faults(variant->name, peak_attrs[i],
					      "0", fail_nth));
	}
	faults_end(fail_nth);
}

ACCOUNT_TEST(files_of_the_pool_under_faults)
{
	static const char *const knobs[] = { "pool/max_kib", "pool/decay_ms" };
	int i, fail_nth = faults_begin(_metadata);
	char before[MAX_TEXT];

	if (fail_nth < 0)
		SKIP(return, "no fault injection");
	for (i = 0; i < ARRAY_SIZE(knobs); i++) {
		EXPECT_EQ(0, heap_attr_read(variant->name, knobs[i], before,
					    sizeof(before)));
		EXPECT_LT(2, attr_with_faults(variant->name, knobs[i], NULL,
					      fail_nth));
		EXPECT_LT(2, attr_with_faults(variant->name, knobs[i], "4320",
					      fail_nth));
		EXPECT_EQ(4320, heap_attr(variant->name, knobs[i]));
		EXPECT_EQ(0, heap_attr_write(variant->name, knobs[i], before));
	}
	/* Its text is copied, and a page may have to come from somewhere */
	EXPECT_LT(2, attr_with_faults(variant->name, "pool/prefill", "4096 2",
				      fail_nth));
	EXPECT_LT(2, file_with_faults(TOTAL_POOLS, NULL, fail_nth));
	faults_end(fail_nth);
}

/* Pools */

static bool pool_attrs_agree(const char *heap)
{
	struct pool_stats stats;

	return !pool_read_stats(heap_pool(heap), &stats) &&
	       pool_get(heap, "clean_bytes") == stats.clean_pages * page_size() &&
	       pool_get(heap, "dirty_bytes") == stats.dirty_pages * page_size() &&
	       pool_get(heap, "hits") == stats.hits &&
	       pool_get(heap, "dirty_hits") == stats.dirty_hits &&
	       pool_get(heap, "misses") == stats.misses &&
	       pool_get(heap, "scrubbed_bytes") ==
	       stats.scrubbed_pages * page_size();
}

ACCOUNT_TEST(pool_as_in_debugfs)
{
	long long served, hits, misses;
	struct pool_stats stats;
	int fd, i;

	if (pool_read_stats(heap_pool(variant->name), &stats)) {
		ASSERT_FALSE(is_needed("pool"));
		SKIP(return, "no pool behind %s", variant->name);
	}
	EXPECT_TRUE(WAIT_FOR(pool_attrs_agree(variant->name)));
	hits = pool_get(variant->name, "hits") +
	       pool_get(variant->name, "dirty_hits");
	misses = pool_get(variant->name, "misses");
	for (i = 0; i < 4; i++) {
		fd = heap_alloc(self->fd, KIB(20));
		ASSERT_LE(0, fd);
		EXPECT_EQ(0, close(fd));
	}
	served = pool_get(variant->name, "hits") +
		 pool_get(variant->name, "dirty_hits") - hits;
	EXPECT_EQ(4, served + pool_get(variant->name, "misses") - misses);
	EXPECT_LE(1, served);
	EXPECT_TRUE(WAIT_FOR(pool_attrs_agree(variant->name)))
		TH_LOG("%s", pool_text(heap_pool(variant->name)));
	EXPECT_LT(0, pool_get(variant->name, "clean_bytes") +
		     pool_get(variant->name, "dirty_bytes"));
}

/* All heaps */
FIXTURE(all)
{
	int fds[HEAP_MAX];
	long long bytes[HEAP_MAX];
	long long buffers[HEAP_MAX];
	int open_fds;
};

FIXTURE_SETUP(all)
{
	int i;

	for (i = 0; i < heap_count; i++) {
		self->fds[i] = heap_open(heap_list[i], O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, self->fds[i]);
		self->bytes[i] = heap_attr(heap_list[i], "bytes");
		self->buffers[i] = heap_attr(heap_list[i], "buffers");
	}
	self->open_fds = open_fds();
}

FIXTURE_TEARDOWN(all)
{
	int i;

	EXPECT_EQ(self->open_fds, open_fds());
	for (i = 0; i < heap_count; i++) {
		EXPECT_EQ(self->bytes[i], heap_attr(heap_list[i], "bytes"));
		EXPECT_EQ(self->buffers[i], heap_attr(heap_list[i], "buffers"));
		close(self->fds[i]);
	}
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
		fd = heap_alloc(counter->fds[i % heap_count], KIB(4) *
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
	long long begin = now_ms();
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
	TH_LOG("%u buffers in %lld ms", total, now_ms() - begin);
}

/*
 * As Android's libmeminfo does it: see whether the file can be read, read all of
 * it in pieces of BUFSIZ bytes until there are no more, take the decimal number
 * it begins with, and refuse one that does not fit.
 */
static bool libmeminfo_reads(unsigned long long *kib)
{
	char content[4 * BUFSIZ + 1];
	size_t len = 0;
	ssize_t got;
	int fd;

	if (access(TOTAL_POOLS, R_OK))
		return false;
	fd = open(TOTAL_POOLS, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	while (len + BUFSIZ < sizeof(content) &&
	       (got = read(fd, content + len, BUFSIZ)) > 0)
		len += got;
	close(fd);
	if (got)
		return false;
	content[len] = '\0';
	*kib = strtoull(content, NULL, 10);

	return *kib != ULLONG_MAX;
}

/*
 * And as Pixel's collector of statistics does, which is strict: blanks at both
 * ends go, and what is left has to be digits only, without a sign.
 */
static bool pixelstats_reads(unsigned long long *kib)
{
	char content[MAX_TEXT], *begin = content, *end;

	if (file_read(TOTAL_POOLS, content, sizeof(content)))
		return false;
	begin += strspn(begin, " \t\n\v\f\r");
	end = begin + strlen(begin);
	while (end > begin && strchr(" \t\n\v\f\r", end[-1]))
		*--end = '\0';
	if (!*begin || *begin == '-')
		return false;
	errno = 0;
	*kib = strtoull(begin, &end, 10);

	return !errno && !*end;
}

/* What is in all pools, each once, without what is only for a heap */
static long long pools_kib(void)
{
	const char *seen[HEAP_MAX];
	int i, j, count = 0;
	long long bytes = 0;

	for (i = 0; i < heap_count; i++) {
		const char *pool = heap_pool(heap_list[i]);

		if (pool_waits_for_scrubber(heap_list[i]))
			continue;
		for (j = 0; j < count; j++)
			if (!strcmp(seen[j], pool))
				break;
		if (j < count)
			continue;
		seen[count++] = strdup(pool);
		bytes += pool_get(heap_list[i], "clean_bytes") +
			 pool_get(heap_list[i], "dirty_bytes");
	}
	while (count--)
		free((char *)seen[count]);

	return bytes / 1024;
}

static bool totals_agree(void)
{
	unsigned long long kib;

	return libmeminfo_reads(&kib) && (long long)kib == pools_kib();
}

TEST_F(all, total_as_android_reads_it)
{
	char text[MAX_TEXT], expected[MAX_TEXT];
	unsigned long long kib, strict;
	int i, fd;

	/* Only all heaps have all pools */
	if (getenv("HEAP"))
		SKIP(return, "not all heaps are asked for");
	for (i = 0; i < heap_count; i++) {
		fd = heap_alloc(self->fds[i], KIB(28));
		ASSERT_LE(0, fd);
		EXPECT_EQ(0, close(fd));
	}
	EXPECT_TRUE(WAIT_FOR(totals_agree()))
		TH_LOG("%lld KiB in the pools", pools_kib());
	EXPECT_LT(0, pools_kib());
	ASSERT_TRUE(libmeminfo_reads(&kib));
	ASSERT_TRUE(pixelstats_reads(&strict));
	EXPECT_EQ(kib, strict);

	/* One decimal line and nothing else */
	ASSERT_EQ(0, file_read(TOTAL_POOLS, text, sizeof(text)));
	snprintf(expected, sizeof(expected), "%llu\n", kib);
	EXPECT_STREQ(expected, text);
}

int main(int argc, char **argv)
{
	heap_tests_init();
	heap_register(&_account_fixture_object);

	return test_harness_run(argc, argv);
}

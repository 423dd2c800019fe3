// SPDX-License-Identifier: GPL-2.0
/*
 * Mapping buffers into user space: which pages appear where, what is refused,
 * and that whatever a program does to a mapping neither loses nor moves data.
 */

#include <signal.h>
#include <sys/uio.h>

#include "heap_fixture.h"

/*
 * Sizes that cross the borders of chunks of all orders: one page, one chunk,
 * and a few large chunks with a tail of smaller ones.
 */
static const size_t lens[] = {
	KIB(4), KIB(64), KIB(68), MIB(1), MIB(2), MIB(2) + KIB(4),
	MIB(5) + KIB(76), 8294400,
};

/* The buffer of most tests: five large chunks and a tail of all the others */
#define BUF_LEN		page_align(MIB(5) + KIB(76))
#define SEED		29

HEAP_TEST(all_maps_show_the_data)
{
	size_t len;
	void *p, *q;
	int i, fd;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		len = page_align(lens[i]);
		fd = heap_alloc(self->fd, len);
		ASSERT_LE(0, fd);
		p = buf_map(fd, len, READ_WRITE);
		ASSERT_NE(MAP_FAILED, p);
		q = buf_map(fd, len, PROT_READ);
		ASSERT_NE(MAP_FAILED, q);
		pattern_fill(p, 0, len, i);
		EXPECT_EQ(-1, pattern_check(p, 0, len, i));
		EXPECT_EQ(-1, pattern_check(q, 0, len, i));
		EXPECT_EQ(0, munmap(p, len));
		EXPECT_EQ(0, munmap(q, len));
		EXPECT_EQ(0, close(fd));
	}
}

/* Every page of the buffer, mapped on its own, is the page with that offset */
HEAP_TEST(each_page_alone_is_the_right_one)
{
	size_t offset;
	char *p;
	int fd;

	fd = buf_filled(self->fd, BUF_LEN, SEED);
	ASSERT_LE(0, fd);
	for (offset = 0; offset < BUF_LEN; offset += page_size()) {
		p = mmap(NULL, page_size(), PROT_READ, MAP_SHARED, fd, offset);
		ASSERT_NE(MAP_FAILED, p);
		ASSERT_EQ(-1, pattern_check(p, offset, page_size(), SEED));
		munmap(p, page_size());
	}
	EXPECT_EQ(0, close(fd));
}

/* Parts that start and end next to the borders of chunks */
HEAP_TEST(parts_show_their_data)
{
	const size_t page = page_size(), marks[] = {
		0, page, KIB(64) - page, KIB(64), KIB(64) + page,
		MIB(1) - page, MIB(1), MIB(1) + page, MIB(2) - page, MIB(2),
		MIB(2) + page, MIB(4), MIB(5), MIB(5) + KIB(64),
		BUF_LEN - page, BUF_LEN,
	};
	size_t start, len;
	int i, j, fd;
	void *p;

	fd = buf_filled(self->fd, BUF_LEN, SEED);
	ASSERT_LE(0, fd);
	for (i = 0; i < ARRAY_SIZE(marks); i++) {
		for (j = i + 1; j < ARRAY_SIZE(marks); j++) {
			/* Some are the same in a machine with large pages */
			if (marks[j] <= marks[i])
				continue;
			start = marks[i];
			len = marks[j] - start;
			p = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, start);
			ASSERT_NE(MAP_FAILED, p);
			ASSERT_EQ(-1, pattern_check(p, start, len, SEED));
			munmap(p, len);
		}
	}
	EXPECT_EQ(0, close(fd));
}

static int mmap_error(int fd, size_t len, int prot, int flags, off_t offset)
{
	void *p = mmap(NULL, len, prot, flags, fd, offset);

	if (p == MAP_FAILED)
		return -errno;
	munmap(p, len);

	return 0;
}

HEAP_TEST(map_past_the_end_is_refused)
{
	/* As far as the system call of the machine can tell */
	off_t far = (off_t)1 << (sizeof(long) > 4 ? 40 : 31);
	size_t page = page_size(), len;
	int i, fd;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		len = page_align(lens[i]);
		fd = heap_alloc(self->fd, len);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-EINVAL, mmap_error(fd, len + page, PROT_READ,
					      MAP_SHARED, 0));
		EXPECT_EQ(-EINVAL, mmap_error(fd, len + 1, PROT_READ,
					      MAP_SHARED, 0));
		EXPECT_EQ(-EINVAL, mmap_error(fd, page, PROT_READ, MAP_SHARED,
					      len));
		EXPECT_EQ(-EINVAL, mmap_error(fd, len, PROT_READ, MAP_SHARED,
					      page));
		EXPECT_EQ(-EINVAL, mmap_error(fd, page, PROT_READ, MAP_SHARED,
					      far));
		/* What is left of the last page is part of the buffer */
		EXPECT_EQ(0, mmap_error(fd, len - 1, PROT_READ, MAP_SHARED, 0));
		EXPECT_EQ(0, close(fd));
	}
}

/* Offset plus length wraps around, in bytes or in pages */
HEAP_TEST(offset_that_overflows_is_refused)
{
	off_t page = page_size();
	int fd, ret;

	fd = heap_alloc(self->fd, MIB(1));
	ASSERT_LE(0, fd);
	ret = mmap_error(fd, 2 * page, PROT_READ, MAP_SHARED, -page);
	EXPECT_TRUE(ret == -EINVAL || ret == -EOVERFLOW)
		TH_LOG("mmap gave %d", ret);
	ret = mmap_error(fd, MIB(1), PROT_READ, MAP_SHARED, -(off_t)MIB(1));
	EXPECT_TRUE(ret == -EINVAL || ret == -EOVERFLOW)
		TH_LOG("mmap gave %d", ret);
	EXPECT_EQ(-EINVAL, mmap_error(fd, page, PROT_READ, MAP_SHARED, 1));
	EXPECT_EQ(0, close(fd));
}

/* A private mapping would copy pages on write, and nobody would notice */
HEAP_TEST(private_map_is_refused)
{
	size_t len;
	int i, fd;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		len = page_align(lens[i]);
		fd = heap_alloc(self->fd, len);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-EINVAL, mmap_error(fd, len, READ_WRITE, MAP_PRIVATE,
					      0))
			TH_LOG("length %zu", len);
		EXPECT_EQ(-EINVAL, mmap_error(fd, len, PROT_READ, MAP_PRIVATE,
					      0))
			TH_LOG("length %zu", len);
		EXPECT_EQ(-EINVAL, mmap_error(fd, page_size(), PROT_WRITE,
					      MAP_PRIVATE, len - page_size()))
			TH_LOG("length %zu", len);
		EXPECT_EQ(0, close(fd));
	}
}

HEAP_TEST(read_only_descriptor_maps_for_reading)
{
	void *p;
	int fd;

	fd = heap_alloc_flags(self->fd, MIB(1), O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EACCES, mmap_error(fd, MIB(1), READ_WRITE, MAP_SHARED, 0));
	EXPECT_EQ(-EACCES, mmap_error(fd, MIB(1), PROT_WRITE, MAP_SHARED, 0));
	EXPECT_EQ(-EINVAL, mmap_error(fd, MIB(1), PROT_READ, MAP_PRIVATE, 0));

	p = buf_map(fd, MIB(1), PROT_READ);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(-1, find_nonzero(p, MIB(1)));
	EXPECT_EQ(-1, mprotect(p, MIB(1), READ_WRITE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, mprotect(p, page_size(), PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(SIGSEGV, touch(p, true));
	EXPECT_EQ(-1, find_nonzero(p, MIB(1)));
	EXPECT_EQ(0, munmap(p, MIB(1)));
	EXPECT_EQ(0, close(fd));
}

/* There is no mapping that can be written and not read */
HEAP_TEST(write_only_descriptor_maps_nothing)
{
	int fd;

	fd = heap_alloc_flags(self->fd, MIB(1), O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EACCES, mmap_error(fd, MIB(1), PROT_WRITE, MAP_SHARED, 0));
	EXPECT_EQ(-EACCES, mmap_error(fd, MIB(1), PROT_READ, MAP_SHARED, 0));
	EXPECT_EQ(0, close(fd));
}

/* A filled buffer in one mapping, and whether it still is what it was */
static char *map_filled(int heap_fd, int *fd)
{
	char *p;

	*fd = buf_filled(heap_fd, BUF_LEN, SEED);
	if (*fd < 0)
		return MAP_FAILED;
	p = buf_map(*fd, BUF_LEN, READ_WRITE);
	if (p == MAP_FAILED)
		close(*fd);

	return p;
}

static long long check_all(const char *p)
{
	return pattern_check(p, 0, BUF_LEN, SEED);
}

HEAP_TEST(protection_of_all_is_enforced)
{
	char *p;
	int fd;

	p = map_filled(self->fd, &fd);
	ASSERT_NE(MAP_FAILED, p);

	EXPECT_EQ(0, mprotect(p, BUF_LEN, PROT_READ));
	EXPECT_EQ(SIGSEGV, touch(p, true));
	EXPECT_EQ(SIGSEGV, touch(p + BUF_LEN - 1, true));
	EXPECT_EQ(-1, check_all(p));

	EXPECT_EQ(0, mprotect(p, BUF_LEN, PROT_NONE));
	EXPECT_EQ(SIGSEGV, touch(p, false));
	EXPECT_EQ(SIGSEGV, touch(p + BUF_LEN - 1, false));

	EXPECT_EQ(0, mprotect(p, BUF_LEN, READ_WRITE));
	EXPECT_EQ(0, touch(p, true));
	EXPECT_EQ(0, touch(p + BUF_LEN - 1, true));
	EXPECT_EQ(-1, check_all(p));

	EXPECT_EQ(0, munmap(p, BUF_LEN));
	EXPECT_EQ(0, close(fd));
}

/* One page in the middle, which splits whatever the kernel mapped as a block */
HEAP_TEST(protection_of_a_page_is_its_own)
{
	const size_t middle = MIB(2) + KIB(512);
	size_t page = page_size();
	char *p;
	int fd;

	p = map_filled(self->fd, &fd);
	ASSERT_NE(MAP_FAILED, p);

	EXPECT_EQ(0, mprotect(p + middle, page, PROT_READ));
	EXPECT_EQ(SIGSEGV, touch(p + middle, true));
	EXPECT_EQ(0, touch(p + middle - 1, true));
	EXPECT_EQ(0, touch(p + middle + page, true));
	EXPECT_EQ(-1, check_all(p));

	EXPECT_EQ(0, mprotect(p + middle, page, PROT_NONE));
	EXPECT_EQ(SIGSEGV, touch(p + middle, false));
	EXPECT_EQ(-1, pattern_check(p, 0, middle, SEED));
	EXPECT_EQ(-1, pattern_check(p + middle + page, middle + page,
				    BUF_LEN - middle - page, SEED));

	EXPECT_EQ(0, mprotect(p + middle, page, READ_WRITE));
	EXPECT_EQ(0, touch(p + middle, true));
	EXPECT_EQ(-1, check_all(p));

	EXPECT_EQ(0, munmap(p, BUF_LEN));
	EXPECT_EQ(0, close(fd));
}

HEAP_TEST(map_without_access_keeps_the_data)
{
	char *p;
	int fd;

	fd = buf_filled(self->fd, BUF_LEN, SEED);
	ASSERT_LE(0, fd);
	p = buf_map(fd, BUF_LEN, PROT_NONE);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(SIGSEGV, touch(p, false));
	EXPECT_EQ(0, mprotect(p, BUF_LEN, READ_WRITE));
	EXPECT_EQ(-1, check_all(p));
	EXPECT_EQ(0, touch(p + MIB(3), true));
	EXPECT_EQ(0, munmap(p, BUF_LEN));
	EXPECT_EQ(0, close(fd));
}

/* Room for a mapping at a place where nothing else is */
static char *reserve(size_t len)
{
	char *p = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	if (p != MAP_FAILED)
		munmap(p, len);

	return p;
}

HEAP_TEST(moved_map_shows_the_data)
{
	const size_t shifts[] = { 0, PAGES(1), KIB(64), MIB(1) + PAGES(1) };
	char *p, *q, *area;
	int i, fd;

	p = map_filled(self->fd, &fd);
	ASSERT_NE(MAP_FAILED, p);

	/* Also to where large blocks are no longer aligned */
	for (i = 0; i < ARRAY_SIZE(shifts); i++) {
		area = reserve(BUF_LEN + MIB(4));
		ASSERT_NE(MAP_FAILED, area);
		area += -(uintptr_t)area & (MIB(2) - 1);
		area += shifts[i];
		q = mremap(p, BUF_LEN, BUF_LEN, MREMAP_MAYMOVE | MREMAP_FIXED,
			   area);
		ASSERT_EQ(area, q);
		EXPECT_EQ(SIGSEGV, touch(p, false));
		p = q;
		EXPECT_EQ(-1, check_all(p));
		EXPECT_EQ(0, touch(p + BUF_LEN - 1, true));
	}

	EXPECT_EQ(0, munmap(p, BUF_LEN));
	EXPECT_EQ(0, close(fd));
}

HEAP_TEST(mremap_shrinks_and_does_not_grow)
{
	const size_t half = MIB(2) + KIB(512);
	char *p, *q;
	int fd;

	p = map_filled(self->fd, &fd);
	ASSERT_NE(MAP_FAILED, p);

	EXPECT_EQ(MAP_FAILED, mremap(p, BUF_LEN, BUF_LEN + page_size(),
				     MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, check_all(p));

	EXPECT_EQ(p, mremap(p, BUF_LEN, half, 0));
	EXPECT_EQ(-1, pattern_check(p, 0, half, SEED));
	EXPECT_EQ(SIGSEGV, touch(p + half, false));

	/* Not even back to what it was */
	EXPECT_EQ(MAP_FAILED, mremap(p, half, BUF_LEN, MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);

	/* The rest of the buffer is still there */
	q = buf_map(fd, BUF_LEN, PROT_READ);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_EQ(-1, check_all(q));
	EXPECT_EQ(0, munmap(q, BUF_LEN));
	EXPECT_EQ(0, munmap(p, half));
	EXPECT_EQ(0, close(fd));
}

HEAP_TEST(hole_leaves_the_rest_in_place)
{
	const struct {
		size_t start;
		size_t len;
	} holes[] = {
		{ MIB(1), PAGES(1) }, { MIB(2) - PAGES(1), PAGES(2) },
		{ PAGES(1), PAGES(1) }, { MIB(1) + KIB(64), MIB(3) },
	};
	size_t start, end;
	char *p;
	int i, fd;

	for (i = 0; i < ARRAY_SIZE(holes); i++) {
		p = map_filled(self->fd, &fd);
		ASSERT_NE(MAP_FAILED, p);
		start = holes[i].start;
		end = start + holes[i].len;
		EXPECT_EQ(0, munmap(p + start, end - start));
		EXPECT_EQ(SIGSEGV, touch(p + start, false));
		EXPECT_EQ(SIGSEGV, touch(p + end - 1, false));
		EXPECT_EQ(-1, pattern_check(p, 0, start, SEED));
		EXPECT_EQ(-1, pattern_check(p + end, end, BUF_LEN - end, SEED));
		EXPECT_EQ(0, touch(p + start - 1, true));
		EXPECT_EQ(0, touch(p + end, true));
		EXPECT_EQ(0, munmap(p, BUF_LEN));
		EXPECT_EQ(0, close(fd));
	}
}

/* Something else in place of a page, then another part of the buffer there */
HEAP_TEST(page_mapped_over_leaves_the_rest)
{
	const size_t at = MIB(1) + KIB(64), other = MIB(4) + PAGES(1);
	size_t page = page_size();
	char *p;
	int fd;

	p = map_filled(self->fd, &fd);
	ASSERT_NE(MAP_FAILED, p);

	ASSERT_EQ(p + at, mmap(p + at, page, READ_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	EXPECT_EQ(-1, find_nonzero(p + at, page));
	memset(p + at, 1, page);
	EXPECT_EQ(-1, pattern_check(p, 0, at, SEED));
	EXPECT_EQ(-1, pattern_check(p + at + page, at + page,
				    BUF_LEN - at - page, SEED));

	ASSERT_EQ(p + at, mmap(p + at, page, READ_WRITE,
			       MAP_SHARED | MAP_FIXED, fd, other));
	EXPECT_EQ(-1, pattern_check(p + at, other, page, SEED));

	ASSERT_EQ(p + at, mmap(p + at, page, READ_WRITE,
			       MAP_SHARED | MAP_FIXED, fd, at));
	EXPECT_EQ(-1, check_all(p));
	EXPECT_EQ(0, munmap(p, BUF_LEN));
	EXPECT_EQ(0, close(fd));
}

/* Overlapping views, so that every page is mapped twice and a third time */
HEAP_TEST(views_are_coherent)
{
	const size_t shift = MIB(1) + PAGES(1);
	char *p, *q;
	int fd;

	p = map_filled(self->fd, &fd);
	ASSERT_NE(MAP_FAILED, p);
	q = mmap(NULL, BUF_LEN - shift, READ_WRITE, MAP_SHARED, fd, shift);
	ASSERT_NE(MAP_FAILED, q);

	pattern_fill(q, shift, BUF_LEN - shift, SEED + 1);
	EXPECT_EQ(-1, pattern_check(p, 0, shift, SEED));
	EXPECT_EQ(-1, pattern_check(p + shift, shift, BUF_LEN - shift,
				    SEED + 1));
	EXPECT_EQ(0, munmap(q, BUF_LEN - shift));
	EXPECT_EQ(0, munmap(p, BUF_LEN));
	EXPECT_EQ(0, close(fd));
}

/* In the child: sees the parent's data, writes, and still finds it all */
static int fork_child(char *p, int fd)
{
	if (check_all(p) != -1)
		return 1;
	pattern_fill(p, 0, BUF_LEN, SEED + 1);
	if (pattern_check(p, 0, BUF_LEN, SEED + 1) != -1)
		return 2;
	/* A hole in the child's mapping is none in the parent's */
	if (munmap(p + MIB(1), MIB(1)))
		return 3;

	return close(fd) ? 4 : 0;
}

HEAP_TEST(parent_and_child_share_the_buffer)
{
	pid_t child;
	char *p;
	int fd;

	p = map_filled(self->fd, &fd);
	ASSERT_NE(MAP_FAILED, p);
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		_exit(fork_child(p, fd));
	EXPECT_EQ(0, child_end(child));
	EXPECT_EQ(-1, pattern_check(p, 0, BUF_LEN, SEED + 1));
	pattern_fill(p, 0, BUF_LEN, SEED);
	EXPECT_EQ(-1, check_all(p));
	EXPECT_EQ(0, munmap(p, BUF_LEN));
	EXPECT_EQ(0, close(fd));
}

#define TURNS	20

/* The child's half: what the parent wrote is there, the next is the child's */
static int ping_pong(char *p, int in, int out, __u32 seed)
{
	__u32 round;
	char byte;

	for (round = 0; round < TURNS; round += 2) {
		if (read(in, &byte, 1) != 1)
			return 1;
		if (pattern_check(p, 0, BUF_LEN, seed + round) != -1)
			return 2;
		pattern_fill(p, 0, BUF_LEN, seed + round + 1);
		if (write(out, "", 1) != 1)
			return 3;
	}

	return 0;
}

HEAP_TEST(processes_see_the_turns_of_each_other)
{
	int fd, to[2], from[2];
	__u32 round;
	pid_t child;
	char *p, byte;

	ASSERT_EQ(0, pipe2(to, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(from, O_CLOEXEC));
	p = map_filled(self->fd, &fd);
	ASSERT_NE(MAP_FAILED, p);
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		_exit(ping_pong(p, to[0], from[1], SEED));
	for (round = 0; round < TURNS; round += 2) {
		pattern_fill(p, 0, BUF_LEN, SEED + round);
		ASSERT_EQ(1, write(to[1], "", 1));
		ASSERT_EQ(1, read(from[0], &byte, 1));
		EXPECT_EQ(-1, pattern_check(p, 0, BUF_LEN, SEED + round + 1));
	}
	EXPECT_EQ(0, child_end(child));
	EXPECT_EQ(0, munmap(p, BUF_LEN));
	EXPECT_EQ(0, close(fd));
	close(to[0]);
	close(to[1]);
	close(from[0]);
	close(from[1]);
}

HEAP_TEST(map_keeps_the_buffer)
{
	char *p;
	int fd;

	p = map_filled(self->fd, &fd);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, close(fd));
	EXPECT_NEW_BUFFERS(1);

	/* Would get the memory, had the buffer been freed */
	fd = heap_alloc(self->fd, BUF_LEN);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, check_all(p));
	pattern_fill(p, 0, BUF_LEN, SEED + 1);
	EXPECT_EQ(-1, pattern_check(p, 0, BUF_LEN, SEED + 1));
	EXPECT_EQ(0, close(fd));

	/* A part is enough to keep it */
	EXPECT_EQ(0, munmap(p + page_size(), BUF_LEN - page_size()));
	EXPECT_NEW_BUFFERS(1);
	EXPECT_EQ(-1, pattern_check(p, 0, page_size(), SEED + 1));
	EXPECT_EQ(0, munmap(p, page_size()));
	EXPECT_NEW_BUFFERS(0);
}

/* The pages belong to the buffer: nobody else may hold on to one */
HEAP_TEST(pages_cannot_be_pinned)
{
	char copy[16];
	struct iovec local = { .iov_base = copy, .iov_len = sizeof(copy) };
	struct iovec remote = { .iov_len = sizeof(copy) };
	int fd, pipe_fds[2];
	char *p;

	p = map_filled(self->fd, &fd);
	ASSERT_NE(MAP_FAILED, p);

	remote.iov_base = p + MIB(1);
	EXPECT_EQ(-1, process_vm_readv(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, process_vm_writev(getpid(), &local, 1, &remote, 1, 0));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(0, pipe2(pipe_fds, O_CLOEXEC));
	EXPECT_EQ(-1, vmsplice(pipe_fds[1], &remote, 1, 0));
	EXPECT_EQ(EFAULT, errno);

	/* Copies are another matter */
	ASSERT_EQ(16, write(pipe_fds[1], p + MIB(2) - 8, 16));
	ASSERT_EQ(16, read(pipe_fds[0], p + MIB(2) - 8, 16));
	EXPECT_EQ(-1, check_all(p));

	close(pipe_fds[0]);
	close(pipe_fds[1]);
	EXPECT_EQ(0, munmap(p, BUF_LEN));
	EXPECT_EQ(0, close(fd));
}

/* No advice may drop pages of a buffer, dump them or leave them out of a fork */
HEAP_TEST(advice_loses_nothing)
{
	static const struct {
		int advice;
		int error;
	} table[] = {
		{ MADV_DONTNEED, EINVAL },
		{ MADV_FREE, EINVAL },
		{ MADV_DODUMP, EINVAL },
		{ MADV_DOFORK, EINVAL },
	};
	static const int any[] = {
		MADV_REMOVE, MADV_WILLNEED, MADV_COLD, MADV_PAGEOUT,
		MADV_NOHUGEPAGE, MADV_HUGEPAGE, MADV_MERGEABLE,
		MADV_SEQUENTIAL, MADV_RANDOM, MADV_NORMAL,
	};
	char *p;
	int i, fd;

	p = map_filled(self->fd, &fd);
	ASSERT_NE(MAP_FAILED, p);
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		EXPECT_EQ(-1, madvise(p, BUF_LEN, table[i].advice));
		EXPECT_EQ(table[i].error, errno)
			TH_LOG("advice %d", table[i].advice);
	}
	for (i = 0; i < ARRAY_SIZE(any); i++) {
		madvise(p, BUF_LEN, any[i]);
		EXPECT_EQ(-1, check_all(p))
			TH_LOG("advice %d", any[i]);
	}
	EXPECT_EQ(0, touch(p + BUF_LEN - 1, true));
	EXPECT_EQ(0, munmap(p, BUF_LEN));
	EXPECT_EQ(0, close(fd));
}

int main(int argc, char **argv)
{
	heap_tests_init();

	return test_harness_run(argc, argv);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * What programs do to large maps of buffers, parts of which the kernel may map in
 * blocks: move them, take pieces out, share them, fault in many threads. Whatever
 * splits a block neither loses nor moves data.
 *
 * Where the kernel maps no blocks the same has to hold without them. NEED in the
 * environment names what must not be lacking: importer, blocks.
 */

#include <pthread.h>
#include <signal.h>

#include "heap_blocks.h"
#include "heap_loop.h"

/* Pieces of a map, taken away in a block, across two and at both ends */
BLOCKS_TEST(hole_leaves_the_rest_in_place)
{
	const size_t page = page_size();
	const struct {
		size_t start;
		size_t end;
	} holes[] = {
		{ 0, page }, { KIB(64), KIB(64) + page }, { MIB(1), MIB(2) },
		{ MIB(2), MIB(4) }, { MIB(4) - page, MIB(4) + page },
		{ BUF_LEN - page, BUF_LEN }, { MIB(5), BUF_LEN },
	};
	size_t start, end;
	int i, touched;
	char *p;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	for (i = 0; i < 2 * ARRAY_SIZE(holes); i++) {
		start = holes[i / 2].start;
		end = holes[i / 2].end;
		touched = i % 2;
		p = map_all(self);
		ASSERT_NE(MAP_FAILED, p);
		if (touched)
			faults_of_writing(p, self->len);
		ASSERT_EQ(0, munmap(p + start, end - start));
		EXPECT_EQ(SIGSEGV, touch(p + start, false));
		EXPECT_EQ(SIGSEGV, touch(p + end - 1, false));
		EXPECT_RIGHT(p, 0, start);
		EXPECT_BLOCKS(p, 0, start);
		EXPECT_RIGHT(p + end, end, self->len - end);
		EXPECT_BLOCKS(p + end, end, self->len - end);
		EXPECT_EQ(0, munmap(p, self->len));
	}
}

/* All of the map, blocks as a whole, and parts of one, protected and back */
BLOCKS_TEST(protection_of_a_part_leaves_the_rest)
{
	const struct {
		size_t start;
		size_t end;
	} parts[] = {
		{ 0, BUF_LEN }, { MIB(2), MIB(4) }, { MIB(2), MIB(3) },
		{ MIB(3), MIB(3) + PAGES(1) }, { MIB(1), MIB(5) },
	};
	size_t start, end, page = page_size();
	struct user_page user;
	char *p;
	int i;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		start = parts[i].start;
		end = parts[i].end;
		p = map_all(self);
		ASSERT_NE(MAP_FAILED, p);
		faults_of_writing(p, self->len);

		ASSERT_EQ(0, mprotect(p + start, end - start, PROT_READ));
		EXPECT_EQ(SIGSEGV, touch(p + start, true));
		EXPECT_EQ(SIGSEGV, touch(p + end - page, true));
		ASSERT_EQ(0, importer_user_page(self->importer, p + start,
						&user));
		EXPECT_EQ(0, user.writable);
		EXPECT_RIGHT(p, 0, self->len);
		if (start)
			EXPECT_EQ(0, touch(p + start - page, true));
		if (end < self->len)
			EXPECT_EQ(0, touch(p + end, true));

		ASSERT_EQ(0, mprotect(p + start, end - start, READ_WRITE));
		EXPECT_EQ(0, touch(p + start, true));
		EXPECT_EQ(0, touch(p + end - page, true));
		pattern_fill(p, 0, self->len, SEED);
		EXPECT_RIGHT(p, 0, self->len);
		EXPECT_EQ(0, munmap(p, self->len));
	}
}

/* To be rounded up to pages */
static const size_t shifts[] = { 0, KIB(4), KIB(64), MIB(1) + KIB(4), 0 };

BLOCKS_TEST(moved_map_shows_the_same_pages)
{
	char *p, *q, *room;
	int i;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	p = map_all(self);
	ASSERT_NE(MAP_FAILED, p);
	faults_of_writing(p, self->len);
	for (i = 0; i < ARRAY_SIZE(shifts); i++) {
		room = find_room(BUF_LEN, self->block, page_align(shifts[i]));
		ASSERT_NE(NULL, room);
		q = mremap(p, self->len, self->len,
			   MREMAP_MAYMOVE | MREMAP_FIXED, room);
		ASSERT_EQ(room, q);
		EXPECT_EQ(SIGSEGV, touch(p, false));
		EXPECT_EQ(SIGSEGV, touch(p + self->len - 1, false));
		p = q;
		/* Not all of it has been touched when it moves on */
		EXPECT_RIGHT(p, 0, i % 2 ? self->len : MIB(3));
		EXPECT_EQ(0, touch(p + MIB(1), true));
	}
	EXPECT_RIGHT(p, 0, self->len);
	EXPECT_EQ(MAP_FAILED, mremap(p, self->len, self->len + page_size(),
				     MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, munmap(p, self->len));
}

/* The part and what it leaves behind */
BLOCKS_TEST(moved_part_shows_the_same_pages)
{
	static const size_t starts[] = { MIB(2), MIB(3) };
	char *p, *q, *room;
	int i, j;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		for (j = 0; j < ARRAY_SIZE(shifts); j++) {
			size_t start = starts[i], end = start + MIB(2);

			p = map_all(self);
			ASSERT_NE(MAP_FAILED, p);
			faults_of_writing(p, self->len);
			room = find_room(BUF_LEN, self->block, page_align(shifts[j]));
			ASSERT_NE(NULL, room);
			q = mremap(p + start, MIB(2), MIB(2),
				   MREMAP_MAYMOVE | MREMAP_FIXED, room);
			ASSERT_EQ(room, q);
			EXPECT_EQ(SIGSEGV, touch(p + start, false));
			EXPECT_EQ(SIGSEGV, touch(p + end - 1, false));
			EXPECT_RIGHT(q, start, MIB(2));
			EXPECT_RIGHT(p, 0, start);
			EXPECT_RIGHT(p + end, end, self->len - end);
			EXPECT_EQ(0, munmap(q, MIB(2)));
			EXPECT_EQ(0, munmap(p, self->len));
		}
	}
}

/* At addresses of the program's choice */
BLOCKS_TEST(chosen_address_shows_the_right_pages)
{
	char *p, *room;
	int i;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	for (i = 0; i < ARRAY_SIZE(shifts); i++) {
		room = find_room(BUF_LEN, self->block, page_align(shifts[i]));
		ASSERT_NE(NULL, room);
		p = mmap(room, self->len, READ_WRITE,
			 MAP_SHARED | MAP_FIXED_NOREPLACE, self->fd, 0);
		ASSERT_EQ(room, p);
		EXPECT_GE(2, faults_of_writing(p, self->len));
		EXPECT_RIGHT(p, 0, self->len);
		EXPECT_BLOCKS(p, 0, self->len);
		EXPECT_EQ(MAP_FAILED,
			  mmap(p + MIB(1), page_size(), READ_WRITE, MAP_SHARED |
			       MAP_FIXED_NOREPLACE, self->fd, 0));
		EXPECT_EQ(EEXIST, errno);
		EXPECT_EQ(0, munmap(p, self->len));
	}
}

/* Something else in a block's place, and then another part of the buffer */
BLOCKS_TEST(mapped_over_page_leaves_the_rest)
{
	const size_t page = page_size(), other = KIB(64) + page;
	const size_t places[] = { MIB(2), MIB(3), MIB(4) - page };
	size_t at;
	char *p;
	int i;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		at = places[i];
		p = map_all(self);
		ASSERT_NE(MAP_FAILED, p);
		faults_of_writing(p, self->len);
		ASSERT_EQ(p + at, mmap(p + at, page, READ_WRITE, MAP_PRIVATE |
				       MAP_ANONYMOUS | MAP_FIXED, -1, 0));
		EXPECT_EQ(-1, find_nonzero(p + at, page));
		memset(p + at, 1, page);
		EXPECT_RIGHT(p, 0, at);
		EXPECT_BLOCKS(p, 0, at);
		EXPECT_RIGHT(p + at + page, at + page, self->len - at - page);

		ASSERT_EQ(p + at, mmap(p + at, page, READ_WRITE, MAP_SHARED |
				       MAP_FIXED, self->fd, other));
		EXPECT_RIGHT(p + at, other, page);
		EXPECT_RIGHT(p, 0, at);
		EXPECT_EQ(0, munmap(p, self->len));
	}
}

/* What the child finds and does; the exit status says where it went wrong */
static int forked(struct _test_data_blocks *self, char *p, bool split)
{
	if (pattern_check(p, 0, self->len, SEED) != -1)
		return 1;
	if (split && munmap(p + MIB(3), page_size()))
		return 2;
	pattern_fill(p, 0, MIB(3), SEED + 1);
	pattern_fill(p + MIB(4), MIB(4), self->len - MIB(4), SEED + 1);
	if (split && touch(p + MIB(3), false) != SIGSEGV)
		return 3;

	return 0;
}

BLOCKS_TEST(parent_sees_what_the_child_writes)
{
	pid_t child;
	int i, ret;
	char *p;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	for (i = 0; i < 8; i++) {
		bool touched = i & 1, split = i & 2, hole = i & 4;

		p = map_all(self);
		ASSERT_NE(MAP_FAILED, p);
		if (touched)
			faults_of_writing(p, self->len);
		if (hole)
			ASSERT_EQ(0, mprotect(p + MIB(1), page_size(),
					      PROT_READ));
		if (hole)
			ASSERT_EQ(0, mprotect(p + MIB(1), page_size(),
					      READ_WRITE));
		child = fork();
		ASSERT_LE(0, child);
		if (!child)
			_exit(forked(self, p, split));
		ret = child_end(child);
		EXPECT_EQ(0, ret)
			TH_LOG("round %d: exit status %d", i, ret);
		EXPECT_EQ(-1, pattern_check(p, 0, MIB(3), SEED + 1));
		EXPECT_EQ(-1, pattern_check(p + MIB(4), MIB(4),
					    self->len - MIB(4), SEED + 1));
		pattern_fill(p, 0, self->len, SEED);
		EXPECT_RIGHT(p, 0, self->len);
		EXPECT_EQ(0, munmap(p, self->len));
	}
}

/* A parent's write that comes after the fork, and after its own split */
static int sees_the_parent(struct _test_data_blocks *self, char *p, int in,
			   __u32 seed)
{
	char byte;

	if (read(in, &byte, 1) != 1)
		return 1;

	return pattern_check(p, 0, self->len, seed) == -1 ? 0 : 2;
}

BLOCKS_TEST(child_sees_what_the_parent_writes)
{
	int i, fds[2];
	pid_t child;
	char *p, *q;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	q = map_all(self);
	ASSERT_NE(MAP_FAILED, q);
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, pipe2(fds, O_CLOEXEC));
		p = map_all(self);
		ASSERT_NE(MAP_FAILED, p);
		if (i & 1)
			faults_of_writing(p, self->len);
		child = fork();
		ASSERT_LE(0, child);
		if (!child)
			_exit(sees_the_parent(self, p, fds[0], SEED + i + 1));
		if (i & 2)
			EXPECT_EQ(0, munmap(p + MIB(3), page_size()));
		pattern_fill(q, 0, self->len, SEED + i + 1);
		ASSERT_EQ(1, write(fds[1], "", 1));
		EXPECT_EQ(0, child_end(child));
		EXPECT_EQ(0, munmap(p, self->len));
		close(fds[0]);
		close(fds[1]);
	}
	EXPECT_EQ(0, munmap(q, self->len));
}

#define FAULTING_THREADS	8
#define FAULTING_ROUNDS		20

struct faulter {
	pthread_t thread;
	pthread_barrier_t *barrier;
	char **map;
	size_t len;
	const char *failed;
};

/* Reads all, and writes what is there before that in every other round */
static void *fault_all(void *data)
{
	struct faulter *faulter = data;
	int round;

	for (round = 0; round < FAULTING_ROUNDS; round++) {
		pthread_barrier_wait(faulter->barrier);
		if (round % 2)
			faults_of_writing(*faulter->map, faulter->len);
		if (pattern_check(*faulter->map, 0, faulter->len, SEED) != -1)
			faulter->failed = "data";
		pthread_barrier_wait(faulter->barrier);
	}

	return NULL;
}

BLOCKS_TEST(threads_that_fault_at_once_see_the_data)
{
	struct faulter faulters[FAULTING_THREADS] = { };
	pthread_barrier_t barrier;
	char *map = MAP_FAILED;
	int i, round;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	ASSERT_EQ(0, pthread_barrier_init(&barrier, NULL,
					  FAULTING_THREADS + 1));
	map = map_all(self);
	ASSERT_NE(MAP_FAILED, map);
	for (i = 0; i < FAULTING_THREADS; i++) {
		faulters[i].barrier = &barrier;
		faulters[i].map = &map;
		faulters[i].len = self->len;
		ASSERT_EQ(0, pthread_create(&faulters[i].thread, NULL,
					    fault_all, &faulters[i]));
	}
	for (round = 0; round < FAULTING_ROUNDS; round++) {
		/* Also after a split, where faults are about windows */
		if (round % 4 > 1) {
			mprotect(map + MIB(3), page_size(), PROT_READ);
			mprotect(map + MIB(3), page_size(), READ_WRITE);
		}
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		if (round == FAULTING_ROUNDS - 1)
			EXPECT_RIGHT(map, 0, self->len);
		munmap(map, self->len);
		map = map_all(self);
	}
	for (i = 0; i < FAULTING_THREADS; i++) {
		ASSERT_EQ(0, pthread_join(faulters[i].thread, NULL));
		EXPECT_EQ(NULL, faulters[i].failed);
	}
	pthread_barrier_destroy(&barrier);
	EXPECT_EQ(0, munmap(map, self->len));
}

/* The end of the buffer is in the middle of where a block could be */
BLOCKS_TEST(nothing_is_mapped_past_the_end)
{
	const size_t page = page_size(), ends[] = {
		MIB(2) + page, MIB(3), MIB(4) - page, MIB(4),
	};
	size_t align = self->block ?: MIB(2);
	struct user_page user;
	char *p, *room;
	int i;

	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		ASSERT_EQ(0, get_buffer(self, ends[i]));
		/* Nothing else may be there */
		room = mmap(NULL, MIB(16), PROT_NONE, MAP_PRIVATE |
			    MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		ASSERT_NE(MAP_FAILED, room);
		p = room + -(uintptr_t)room % align + align;
		ASSERT_EQ(0, munmap(p - page, page));
		ASSERT_EQ(0, munmap(p, MIB(8)));
		ASSERT_EQ(p, mmap(p, self->len, READ_WRITE, MAP_SHARED |
				  MAP_FIXED_NOREPLACE, self->fd, 0));
		EXPECT_RIGHT(p, 0, self->len);
		EXPECT_BLOCKS(p, 0, self->len);
		EXPECT_EQ(SIGSEGV, touch(p + self->len, false));
		EXPECT_EQ(SIGSEGV, touch(p + self->len + page, true));
		EXPECT_EQ(SIGSEGV, touch(p - 1, false));
		EXPECT_GT(0, importer_user_page(self->importer, p + self->len,
						&user));
		EXPECT_EQ(MAP_FAILED, mmap(NULL, self->len + page, PROT_READ,
					   MAP_SHARED, self->fd, 0));
		EXPECT_EQ(EINVAL, errno);
		EXPECT_EQ(0, munmap(p, self->len));
		EXPECT_EQ(0, munmap(room, MIB(16)));
		EXPECT_EQ(0, put_buffer(self));
	}
}

/* A map of a buffer that is gone does not come back in that of another one */
BLOCKS_TEST(closed_buffer_does_not_reappear)
{
	char *p, *old = NULL;
	int round, other;

	for (round = 0; round < 6; round++) {
		ASSERT_EQ(0, get_buffer(self, BUF_LEN));
		p = mmap(old, self->len, READ_WRITE, MAP_SHARED, self->fd, 0);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(-1, pattern_check(p, 0, self->len, SEED));
		EXPECT_EQ(0, munmap(p + MIB(3), page_size()));
		faults_of_writing(p, MIB(3));
		EXPECT_EQ(0, munmap(p, self->len));
		EXPECT_EQ(0, put_buffer(self));
		EXPECT_EQ(SIGSEGV, touch(p, false));
		EXPECT_EQ(SIGSEGV, touch(p + MIB(2), true));
		old = p;

		/* Gets the memory, and the address from the next round on */
		other = heap_alloc(self->heap_fd, page_align(BUF_LEN));
		ASSERT_LE(0, other);
		EXPECT_EQ(0, importer_do(self->importer, "fill %d %u", other,
					 SEED + 1));
		p = mmap(old, page_align(BUF_LEN), READ_WRITE, MAP_SHARED,
			 other, 0);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(-1, pattern_check(p, 0, page_align(BUF_LEN),
					    SEED + 1));
		EXPECT_EQ(0, munmap(p, page_align(BUF_LEN)));
		EXPECT_EQ(0, close(other));
	}
}

/* Maps all of the buffer, faults, takes a page out and faults again */
static bool map_and_fault(void *data)
{
	struct _test_data_blocks *self = data;
	char *p = map_all(self);

	if (p == MAP_FAILED)
		return false;
	faults_of_writing(p, self->len);
	munmap(p + MIB(3), page_size());
	touch(p + MIB(2), true);

	return !munmap(p, self->len);
}

#define KILLS	20

BLOCKS_TEST(kill_during_faults_leaves_the_data)
{
	struct loop loop = { .random = SEED };
	char *p;
	int i;

	ASSERT_EQ(0, get_buffer(self, MIB(32)));
	p = map_all(self);
	ASSERT_NE(MAP_FAILED, p);
	for (i = 0; i < KILLS; i++) {
		ASSERT_EQ(0, loop_start(&loop, map_and_fault, self));
		EXPECT_EQ(-SIGKILL, loop_kill(&loop));
	}
	EXPECT_EQ(-1, pattern_check(p, 0, self->len, SEED));
	EXPECT_EQ(0, munmap(p, self->len));
}

int main(int argc, char **argv)
{
	heap_tests_init();
	heap_register(&_blocks_fixture_object);

	return test_harness_run(argc, argv);
}

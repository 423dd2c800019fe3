// SPDX-License-Identifier: GPL-2.0
/*
 * Large maps of buffers, parts of which the kernel may map in blocks: that each
 * page shown is the right one, whatever happens to the map, that blocks are
 * where they can be, and that they cost next to no faults.
 *
 * Where the kernel maps no blocks the same has to hold without them. With
 * NEED=blocks in the environment it has to have them; NEED=importer as in
 * dmabuf-heap-machine.
 */

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "heap_fixture.h"

#define READ_WRITE	(PROT_READ | PROT_WRITE)
#define THP		"/sys/kernel/mm/transparent_hugepage/"
#define SEED		97

/* A picture of each usual format, and a length of which all is blocks */
static const size_t lens[] = { MIB(8), 8294400, 3110400, 12441600 };

/* The buffer of most tests, with a tail after three blocks */
#define BUF_LEN		(MIB(6) + KIB(388))

/* One heap; of a buffer its chunks, and what they lead to expect */
FIXTURE(blocks)
{
	int heap_fd;
	int importer;
	int open_fds;
	int buffers;
	long long bytes;
	/* Size of a block, or 0 if the kernel maps none */
	size_t block;
	int fd;
	size_t len;
	struct buf_chunks chunks;
};

FIXTURE_VARIANT(blocks)
{
	char name[HEAP_NAME_SIZE];
};

static size_t block_size(void)
{
	char text[32];

	return file_read(THP "hpage_pmd_size", text, sizeof(text)) ?
	       0 : strtoul(text, NULL, 10);
}

/* Does the kernel map a block at all, in the best of cases? */
static bool maps_blocks(int importer, int heap_fd, size_t block)
{
	const size_t len = 4 * block;
	struct user_page page = { };
	int fd, found = 0;
	char *p;

	fd = heap_alloc(heap_fd, len);
	if (fd < 0)
		return false;
	p = buf_map(fd, len, READ_WRITE);
	for (size_t at = 0; p != MAP_FAILED && at < len; at += block / 2) {
		touch(p + at, true);
		if (!importer_user_page(importer, p + at, &page))
			found |= page.block;
	}
	if (p != MAP_FAILED)
		munmap(p, len);
	close(fd);

	return found;
}

FIXTURE_SETUP(blocks)
{
	self->heap_fd = heap_open(variant->name, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->heap_fd);
	self->importer = importer_open();
	if (self->importer < 0) {
		ASSERT_FALSE(is_needed("importer"));
		SKIP(return, "no test importer");
	}
	self->block = block_size();
	/* Others have been seen to be larger than any chunk */
	if (self->block > MIB(2) ||
	    !maps_blocks(self->importer, self->heap_fd, self->block))
		self->block = 0;
	ASSERT_TRUE(self->block || !is_needed("blocks"));
	self->open_fds = open_fds();
	self->buffers = heap_buffers(variant->name);
	self->bytes = heap_attr(variant->name, "bytes");
	self->fd = -1;
}

FIXTURE_TEARDOWN(blocks)
{
	if (self->fd >= 0)
		EXPECT_EQ(0, close(self->fd));
	buf_put_chunks(&self->chunks);
	EXPECT_EQ(self->open_fds, open_fds());
	EXPECT_EQ(self->buffers, heap_buffers(variant->name));
	EXPECT_EQ(self->bytes, heap_attr(variant->name, "bytes"));
	close(self->importer);
	close(self->heap_fd);
}

#define BLOCKS_TEST(name) \
	TEST_F_TIMEOUT(blocks, name, 2 * HEAP_TEST_TIMEOUT)

/* Gives the test a buffer, filled with the pattern of SEED */
static int get_buffer(struct _test_data_blocks *self, size_t len)
{
	self->len = page_align(len);
	self->fd = buf_filled(self->heap_fd, self->len, SEED);
	if (self->fd < 0)
		return self->fd;

	return buf_get_chunks(self->importer, self->fd, IMPORTER_64,
			      &self->chunks);
}

static int put_buffer(struct _test_data_blocks *self)
{
	int ret = close(self->fd);

	self->fd = -1;
	buf_put_chunks(&self->chunks);
	self->chunks = (struct buf_chunks) { };

	return ret;
}

static char *map_part(struct _test_data_blocks *self, size_t offset, size_t len,
		      int prot)
{
	return mmap(NULL, len, prot, MAP_SHARED, self->fd, offset);
}

static char *map_all(struct _test_data_blocks *self)
{
	return map_part(self, 0, self->len, READ_WRITE);
}

/* The chunk that has the byte at *@offset, which becomes that in the chunk */
static const struct buf_chunk *
find_chunk(struct _test_data_blocks *self, size_t *offset)
{
	const struct buf_chunk *chunk = self->chunks.chunk;

	while (*offset >= chunk->pages * page_size())
		*offset -= chunk++->pages * page_size();

	return chunk;
}

static unsigned long pfn_at(struct _test_data_blocks *self, size_t offset)
{
	const struct buf_chunk *chunk = find_chunk(self, &offset);

	return chunk->pfn + offset / page_size();
}

/*
 * Can the page at @p be in a block of the map of @len bytes from @map, which
 * shows the buffer from @offset? The chunk has to have all of the block, with
 * the alignment of the address.
 */
static bool fits_block(struct _test_data_blocks *self, char *p, char *map,
		       size_t offset, size_t len)
{
	const struct buf_chunk *chunk;
	size_t in_chunk;
	char *start;

	if (!self->block)
		return false;
	start = p - (uintptr_t)p % self->block;
	if (start < map || start + self->block > map + len)
		return false;
	in_chunk = offset + (start - map);
	chunk = find_chunk(self, &in_chunk);

	return in_chunk + self->block <= chunk->pages * page_size() &&
	       (chunk->pfn + in_chunk / page_size()) %
	       (self->block / page_size()) == 0;
}

/* Reads each page of a map and tells how it is mapped; NULL if it is not */
static struct user_page *read_pages(struct _test_data_blocks *self, char *map,
				    size_t len)
{
	size_t count = len / page_size();
	struct user_page *pages;

	if (touch_pages(map, len, false))
		return NULL;
	pages = calloc(count + 1, sizeof(*pages));
	if (pages &&
	    importer_user_pages(self->importer, map, count, pages)) {
		free(pages);
		pages = NULL;
	}

	return pages;
}

/*
 * Reads each page of a map that shows the buffer from @offset. Returns the
 * offset of the first that is not the right page of the buffer, or -1.
 */
static long long wrong_page(struct _test_data_blocks *self, char *map,
			    size_t offset, size_t len)
{
	struct user_page *pages = read_pages(self, map, len);
	size_t at = 0, page = page_size();

	while (pages && at < len &&
	       pages[at / page].pfn == pfn_at(self, offset + at))
		at += page;
	free(pages);

	return at < len ? offset + at : pattern_check(map, offset, len, SEED);
}

/* The same for what is no block and could be, or the other way round, or -1 */
static long long wrong_block(struct _test_data_blocks *self, char *map,
			     size_t offset, size_t len)
{
	struct user_page *pages = read_pages(self, map, len);
	size_t at = 0, page = page_size();

	while (pages && at < len &&
	       pages[at / page].block ==
	       fits_block(self, map + at, map, offset, len))
		at += page;
	free(pages);

	return at < len ? offset + at : -1;
}

/* How many pages are in blocks, or -1 if not all are mapped */
static int pages_in_blocks(struct _test_data_blocks *self, char *map,
			   size_t len)
{
	struct user_page *pages = read_pages(self, map, len);
	int count = 0;
	size_t i;

	if (!pages)
		return -1;
	for (i = 0; i < len / page_size(); i++)
		count += pages[i].block;
	free(pages);

	return count;
}

#define EXPECT_RIGHT(map, offset, len) \
	EXPECT_EQ(-1, wrong_page(self, map, offset, len))

#define EXPECT_BLOCKS(map, offset, len) \
	EXPECT_EQ(-1, wrong_block(self, map, offset, len))

static long minor_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);

	return usage.ru_minflt;
}

/* How many faults it takes to write each page once */
static long faults_of_writing(char *map, size_t len)
{
	size_t page = page_size(), at;
	char other = 0;
	long before;

	/* Whatever the reading itself takes, and the library behind the writing */
	minor_faults();
	__atomic_fetch_or(&other, 0, __ATOMIC_RELAXED);
	before = minor_faults();
	for (at = 0; at < len; at += page)
		__atomic_fetch_or(map + at, 0, __ATOMIC_RELAXED);

	return minor_faults() - before;
}

/* Addresses and offsets fit each other as soon as there is room for a block */
BLOCKS_TEST(placed_for_blocks)
{
	const size_t skips[] = { 0, KIB(4), KIB(64), MIB(1) };
	size_t offset, first;
	int i, j;
	char *p;

	if (!self->block)
		SKIP(return, "no blocks in this kernel");
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		ASSERT_EQ(0, get_buffer(self, lens[i]));
		for (j = 0; j < ARRAY_SIZE(skips); j++) {
			offset = page_align(skips[j]);
			first = (offset + self->block - 1) / self->block *
				self->block;
			if (self->len < first + self->block)
				continue;
			p = map_part(self, offset, self->len - offset,
				     PROT_READ);
			ASSERT_NE(MAP_FAILED, p);
			EXPECT_EQ(0, ((uintptr_t)p - offset) % self->block)
				TH_LOG("length %zu offset %zu at %p", self->len,
				       offset, p);
			EXPECT_EQ(0, munmap(p, self->len - offset));
		}
		EXPECT_EQ(0, put_buffer(self));
	}
}

BLOCKS_TEST(each_page_is_right)
{
	int i;
	char *p;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		ASSERT_EQ(0, get_buffer(self, lens[i]));
		p = map_all(self);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_GE(2, faults_of_writing(p, self->len))
			TH_LOG("length %zu", self->len);
		EXPECT_RIGHT(p, 0, self->len);
		EXPECT_BLOCKS(p, 0, self->len);
		EXPECT_EQ(0, munmap(p, self->len));
		EXPECT_EQ(0, put_buffer(self));
	}
}

/* Parts, which begin and end in, at and out of what could be a block */
BLOCKS_TEST(each_page_of_parts_is_right)
{
	static const size_t marks[] = {
		0, KIB(4), MIB(1), MIB(2), MIB(2) + KIB(68), MIB(5), MIB(6),
		MIB(6) + KIB(4), BUF_LEN,
	};
	size_t offset, len;
	int i, j;
	char *p;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	for (i = 0; i < ARRAY_SIZE(marks); i++) {
		for (j = i + 1; j < ARRAY_SIZE(marks); j++) {
			offset = marks[i];
			len = marks[j] - offset;
			p = map_part(self, offset, len, READ_WRITE);
			ASSERT_NE(MAP_FAILED, p);
			EXPECT_GE(2, faults_of_writing(p, len));
			EXPECT_RIGHT(p, offset, len);
			EXPECT_BLOCKS(p, offset, len);
			EXPECT_EQ(0, munmap(p, len));
		}
	}
}

/* Small maps have all their pages from the start, large ones after a fault */
BLOCKS_TEST(faults_are_few)
{
	static const size_t small[] = { KIB(4), KIB(64), MIB(1) };
	char *p;
	int i;

	for (i = 0; i < ARRAY_SIZE(small); i++) {
		ASSERT_EQ(0, get_buffer(self, small[i]));
		p = map_all(self);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(0, faults_of_writing(p, self->len))
			TH_LOG("length %zu", self->len);
		EXPECT_EQ(0, munmap(p, self->len));
		EXPECT_EQ(0, put_buffer(self));
	}
	ASSERT_EQ(0, get_buffer(self, MIB(32)));
	for (i = 0; i < 4; i++) {
		p = map_all(self);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_GE(2, faults_of_writing(p, self->len));
		EXPECT_EQ(0, munmap(p, self->len));
	}
}

/* Nor does a page that was read first take another one when it is written */
BLOCKS_TEST(read_first_then_written)
{
	char *p;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	p = map_all(self);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(-1, pattern_check(p, 0, self->len, SEED));
	EXPECT_EQ(0, faults_of_writing(p, self->len));
	EXPECT_BLOCKS(p, 0, self->len);
	EXPECT_EQ(0, munmap(p, self->len));
}

/* Pieces of a map, taken away in a block, across two and at both ends */
BLOCKS_TEST(holes)
{
	static const struct {
		size_t start;
		size_t end;
	} holes[] = {
		{ 0, KIB(4) }, { KIB(64), KIB(68) }, { MIB(1), MIB(2) },
		{ MIB(2), MIB(4) }, { MIB(4) - KIB(4), MIB(4) + KIB(4) },
		{ BUF_LEN - KIB(4), BUF_LEN }, { MIB(5), BUF_LEN },
	};
	size_t start, end;
	int i, touched;
	char *p;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	for (i = 0; i < 2 * ARRAY_SIZE(holes); i++) {
		start = page_align(holes[i / 2].start);
		end = page_align(holes[i / 2].end);
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
BLOCKS_TEST(protected_and_back)
{
	static const struct {
		size_t start;
		size_t end;
	} parts[] = {
		{ 0, BUF_LEN }, { MIB(2), MIB(4) }, { MIB(2), MIB(3) },
		{ MIB(3), MIB(3) + KIB(4) }, { MIB(1), MIB(5) },
	};
	size_t start, end, page = page_size();
	struct user_page user;
	char *p;
	int i;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		start = page_align(parts[i].start);
		end = page_align(parts[i].end);
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

/* Where blocks are, too, and whether the descriptor allows more or not */
BLOCKS_TEST(read_only_stays_read_only)
{
	char *p, *q;
	size_t at;
	int fd;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	p = map_part(self, 0, self->len, PROT_READ);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_BLOCKS(p, 0, self->len);
	for (at = 0; at < self->len; at += KIB(256) + page_size())
		EXPECT_EQ(SIGSEGV, touch(p + at, true));
	EXPECT_RIGHT(p, 0, self->len);
	ASSERT_EQ(0, mprotect(p, self->len, READ_WRITE));
	for (at = 0; at < self->len; at += page_size())
		ASSERT_EQ(0, touch(p + at, true));
	EXPECT_EQ(0, munmap(p, self->len));

	fd = heap_alloc_flags(self->heap_fd, self->len, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	q = buf_map(fd, self->len, PROT_READ);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_EQ(-1, mprotect(q + MIB(2), MIB(2), READ_WRITE));
	EXPECT_EQ(EACCES, errno);
	for (at = 0; at < self->len; at += KIB(256) + page_size()) {
		EXPECT_EQ(0, touch(q + at, false));
		EXPECT_EQ(SIGSEGV, touch(q + at, true));
	}
	EXPECT_EQ(-1, mprotect(q, self->len, READ_WRITE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, find_nonzero(q, self->len));
	EXPECT_EQ(0, munmap(q, self->len));
	EXPECT_EQ(0, close(fd));
}

/* Room at a place where nothing else is, @shift after where a block could be */
static char *find_room(struct _test_data_blocks *self, size_t shift)
{
	size_t align = self->block ?: MIB(2);
	char *p;

	p = mmap(NULL, BUF_LEN + 2 * align, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	munmap(p, BUF_LEN + 2 * align);

	return p + -(uintptr_t)p % align + shift;
}

static const size_t shifts[] = { 0, KIB(4), KIB(64), MIB(1) + KIB(4), 0 };

BLOCKS_TEST(moved)
{
	char *p, *q, *room;
	int i;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	p = map_all(self);
	ASSERT_NE(MAP_FAILED, p);
	faults_of_writing(p, self->len);
	for (i = 0; i < ARRAY_SIZE(shifts); i++) {
		room = find_room(self, shifts[i]);
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

/* A part that moves leaves the rest, and is what it was */
BLOCKS_TEST(part_moved)
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
			room = find_room(self, shifts[j]);
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
BLOCKS_TEST(placed_by_the_program)
{
	char *p, *room;
	int i;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	for (i = 0; i < ARRAY_SIZE(shifts); i++) {
		room = find_room(self, shifts[i]);
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
BLOCKS_TEST(mapped_over)
{
	static const size_t places[] = { MIB(2), MIB(3), MIB(4) - KIB(4) };
	const size_t other = KIB(68);
	size_t at, page = page_size();
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

BLOCKS_TEST(shared_with_a_child)
{
	int i, status;
	pid_t child;
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
		ASSERT_EQ(child, waitpid(child, &status, 0));
		EXPECT_EQ(0, status)
			TH_LOG("round %d: exit status %d", i,
			       WEXITSTATUS(status));
		EXPECT_EQ(-1, pattern_check(p, 0, MIB(3), SEED + 1));
		EXPECT_EQ(-1, pattern_check(p + MIB(4), MIB(4),
					    self->len - MIB(4), SEED + 1));
		pattern_fill(p, 0, self->len, SEED);
		EXPECT_RIGHT(p, 0, self->len);
		EXPECT_EQ(0, munmap(p, self->len));
	}
}

/* A parent's write that comes after the fork, and after its own split */
static int sees_the_parent(struct _test_data_blocks *self, char *p, int in)
{
	char byte;

	if (read(in, &byte, 1) != 1)
		return 1;

	return pattern_check(p, 0, self->len, SEED + 2) == -1 ? 0 : 2;
}

BLOCKS_TEST(shared_with_a_parent)
{
	int i, status, fds[2];
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
			_exit(sees_the_parent(self, p, fds[0]));
		if (i & 2)
			EXPECT_EQ(0, munmap(p + MIB(3), page_size()));
		pattern_fill(q, 0, self->len, SEED + 2);
		ASSERT_EQ(1, write(fds[1], "", 1));
		ASSERT_EQ(child, waitpid(child, &status, 0));
		EXPECT_EQ(0, status);
		EXPECT_EQ(0, munmap(p, self->len));
		close(fds[0]);
		close(fds[1]);
	}
	EXPECT_EQ(0, munmap(q, self->len));
}

/* Who does not want huge pages gets none, and the buffer all the same */
BLOCKS_TEST(advised_against)
{
	char *p;
	int i;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	for (i = 0; i < 2; i++) {
		p = map_all(self);
		ASSERT_NE(MAP_FAILED, p);
		if (i)
			faults_of_writing(p, self->len);
		/* Kernels without huge pages know no such advice */
		if (self->block)
			ASSERT_EQ(0, madvise(p, self->len, MADV_NOHUGEPAGE));
		if (!i)
			EXPECT_EQ(0, pages_in_blocks(self, p, self->len));
		EXPECT_RIGHT(p, 0, self->len);
		EXPECT_EQ(0, munmap(p + MIB(3), page_size()));
		EXPECT_RIGHT(p, 0, MIB(3));
		EXPECT_EQ(0, munmap(p, self->len));
	}
}

/* Of some fault, a window; so there are few even with pages */
BLOCKS_TEST(filled_in_by_windows)
{
	const size_t window = page_size() > KIB(64) ? page_size() : KIB(64);
	char *p;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	p = map_all(self);
	ASSERT_NE(MAP_FAILED, p);
	if (self->block)
		ASSERT_EQ(0, madvise(p, self->len, MADV_NOHUGEPAGE));
	EXPECT_GE(self->len / window + 1, faults_of_writing(p, self->len));
	EXPECT_EQ(0, faults_of_writing(p, self->len));
	EXPECT_EQ(0, munmap(p, self->len));
}

BLOCKS_TEST(forbidden_by_prctl)
{
	char *before, *after;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	before = map_all(self);
	ASSERT_NE(MAP_FAILED, before);
	if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)) {
		munmap(before, self->len);
		SKIP(return, "no such prctl");
	}
	after = map_all(self);
	EXPECT_NE(MAP_FAILED, after);
	if (after != MAP_FAILED) {
		EXPECT_EQ(0, faults_of_writing(after, self->len));
		EXPECT_EQ(0, pages_in_blocks(self, after, self->len));
		EXPECT_RIGHT(after, 0, self->len);
		EXPECT_EQ(0, munmap(after, self->len));
	}
	EXPECT_EQ(0, pages_in_blocks(self, before, self->len));
	EXPECT_RIGHT(before, 0, self->len);
	EXPECT_EQ(0, munmap(before, self->len));
	EXPECT_EQ(0, prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0));
}

/* The word in brackets is what is set */
static int thp_setting(char *word, size_t size)
{
	char text[64], *start, *end;
	int ret;

	ret = file_read(THP "enabled", text, sizeof(text));
	if (ret)
		return ret;
	start = strchr(text, '[');
	end = strchr(text, ']');
	if (!start || !end)
		return -EIO;
	*end = '\0';
	snprintf(word, size, "%s", start + 1);

	return 0;
}

/* That is about memory that could be something else */
BLOCKS_TEST(independent_of_the_thp_setting)
{
	static const char *const settings[] = { "never", "madvise", "always" };
	char *p, old[32];
	int i;

	if (thp_setting(old, sizeof(old)))
		SKIP(return, "no huge pages in this kernel");
	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	for (i = 0; i < ARRAY_SIZE(settings); i++) {
		ASSERT_EQ(0, file_write(THP "enabled", settings[i]));
		p = map_all(self);
		EXPECT_NE(MAP_FAILED, p);
		EXPECT_GE(2, faults_of_writing(p, self->len));
		EXPECT_RIGHT(p, 0, self->len);
		EXPECT_BLOCKS(p, 0, self->len);
		EXPECT_EQ(0, munmap(p, self->len));
	}
	EXPECT_EQ(0, file_write(THP "enabled", old));
}

/* Nobody gets at the pages by way of the map, blocks or not */
BLOCKS_TEST(no_way_to_the_pages)
{
	char copy[16];
	struct iovec local = { .iov_base = copy, .iov_len = sizeof(copy) };
	struct iovec remote = { .iov_len = sizeof(copy) };
	int mem, fds[2];
	size_t at;
	char *p;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	p = map_all(self);
	ASSERT_NE(MAP_FAILED, p);
	faults_of_writing(p, self->len);
	mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, mem);
	ASSERT_EQ(0, pipe2(fds, O_CLOEXEC));
	for (at = KIB(4); at < self->len; at += MIB(2)) {
		remote.iov_base = p + at;
		EXPECT_EQ(-1, process_vm_readv(getpid(), &local, 1, &remote, 1,
					       0));
		EXPECT_EQ(EFAULT, errno);
		EXPECT_EQ(-1, process_vm_writev(getpid(), &local, 1, &remote, 1,
						0));
		EXPECT_EQ(EFAULT, errno);
		EXPECT_EQ(-1, vmsplice(fds[1], &remote, 1, 0));
		EXPECT_EQ(EFAULT, errno);
		EXPECT_EQ(-1, pread(mem, copy, sizeof(copy),
				    (uintptr_t)p + at));
		EXPECT_EQ(EIO, errno);
		EXPECT_EQ(-1, pwrite(mem, copy, sizeof(copy),
				     (uintptr_t)p + at));
		EXPECT_EQ(EIO, errno);
	}
	EXPECT_EQ(0, close(mem));
	close(fds[0]);
	close(fds[1]);
	EXPECT_RIGHT(p, 0, self->len);
	EXPECT_EQ(0, munmap(p, self->len));
}

/* The flags of the map at @p, two letters each, with a blank around them */
static int map_flags(const char *p, char *flags, size_t size)
{
	unsigned long start, end;
	bool here = false;
	int ret = -ENOENT;
	char line[512];
	FILE *file;

	file = fopen("/proc/self/smaps", "re");
	if (!file)
		return -errno;
	while (ret && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start == (unsigned long)p;
		else if (here && !strncmp(line, "VmFlags:", 8))
			ret = 0;
	}
	fclose(file);
	if (!ret)
		snprintf(flags, size, "%.*s", (int)size - 1, line + 8);

	return ret;
}

/* Neither dumped nor grown, and without pages of a page cache */
BLOCKS_TEST(flags_of_the_map)
{
	static const char *const wanted[] = { " dd ", " de ", " pf ", " io " };
	char *p, flags[512] = "";
	int i;

	/* All of it in blocks, for what the kernel does for pages is not enough */
	ASSERT_EQ(0, get_buffer(self, MIB(8)));
	p = map_all(self);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(MAP_FAILED, mremap(p, self->len, self->len + page_size(),
				     MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	if (access("/proc/self/smaps", R_OK)) {
		munmap(p, self->len);
		SKIP(return, "no smaps");
	}
	ASSERT_EQ(0, map_flags(p, flags, sizeof(flags)));
	for (i = 0; i < ARRAY_SIZE(wanted); i++)
		EXPECT_TRUE(!!strstr(flags, wanted[i]))
			TH_LOG("not all in%s", flags);
	EXPECT_EQ(0, munmap(p, self->len));
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

/* Half of them read, the others write what is there */
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

BLOCKS_TEST(many_fault_at_once)
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
BLOCKS_TEST(nothing_past_the_end)
{
	static const size_t ends[] = {
		MIB(2) + KIB(4), MIB(3), MIB(4) - KIB(4), MIB(4),
	};
	size_t page = page_size(), align = self->block ?: MIB(2);
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
BLOCKS_TEST(gone_for_good)
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

static int wrong_attributes(struct _test_data_blocks *self, char *map,
			    int uncached)
{
	struct user_page page;
	int wrong = 0;
	size_t at;

	for (at = 0; at < self->len; at += page_size()) {
		touch(map + at, false);
		if (importer_user_page(self->importer, map + at, &page) ||
		    page.writecombined != uncached)
			wrong++;
	}

	return wrong;
}

BLOCKS_TEST(cached_or_not_as_blocks_and_as_pages)
{
	int uncached = !!strstr(variant->name, "-uncached");
	struct utsname machine;
	char *p;

	ASSERT_EQ(0, uname(&machine));
	if (strcmp(machine.machine, "aarch64"))
		SKIP(return, "the kernel tells no attributes here");
	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	p = map_all(self);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, wrong_attributes(self, p, uncached));
	ASSERT_EQ(0, mprotect(p, self->len, PROT_READ));
	EXPECT_EQ(0, wrong_attributes(self, p, uncached));
	ASSERT_EQ(0, mprotect(p + MIB(3), page_size(), READ_WRITE));
	EXPECT_EQ(0, wrong_attributes(self, p, uncached));
	ASSERT_EQ(0, mprotect(p, self->len, READ_WRITE));
	faults_of_writing(p, self->len);
	EXPECT_EQ(0, wrong_attributes(self, p, uncached));
	EXPECT_EQ(0, munmap(p, self->len));
}

/* Maps and faults until it is killed */
static void fault_for_ever(struct _test_data_blocks *self)
{
	char *p;

	for (;;) {
		p = map_all(self);
		if (p == MAP_FAILED)
			_exit(1);
		faults_of_writing(p, self->len);
		munmap(p + MIB(3), page_size());
		touch(p + MIB(2), true);
		munmap(p, self->len);
	}
}

BLOCKS_TEST(killed_while_it_faults)
{
	__u64 random = SEED;
	int round, status;
	pid_t child;
	char *p;

	ASSERT_EQ(0, get_buffer(self, MIB(32)));
	p = map_all(self);
	ASSERT_NE(MAP_FAILED, p);
	for (round = 0; round < 20; round++) {
		child = fork();
		ASSERT_LE(0, child);
		if (!child)
			fault_for_ever(self);
		usleep(pseudo_random(&random) % 20000);
		ASSERT_EQ(0, kill(child, SIGKILL));
		ASSERT_EQ(child, waitpid(child, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
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

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture of the tests of large maps, which the kernel may map in blocks:
 * one heap, one buffer, the chunks of the buffer, and what follows from them.
 */
#ifndef HEAP_BLOCKS_H
#define HEAP_BLOCKS_H

#include <sys/mman.h>
#include <sys/resource.h>

#include "heap_fixture.h"
#include "heap_left.h"

#define THP		"/sys/kernel/mm/transparent_hugepage/"
#define SEED		97

/* The buffer of most tests, with a tail after three blocks */
#define BUF_LEN		page_align(MIB(6) + KIB(388))

/* One heap; of a buffer its chunks, and what they lead to expect */
FIXTURE(blocks)
{
	int heap_fd;
	int importer;
	struct heap_left left;
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

static inline size_t block_size(void)
{
	char text[32];

	return file_read(THP "hpage_pmd_size", text, sizeof(text)) ?
	       0 : strtoul(text, NULL, 10);
}

/* Room at a place where nothing else is, @shift after where a block could be */
static inline char *find_room(size_t len, size_t block, size_t shift)
{
	size_t align = block ?: MIB(2);
	char *p;

	p = mmap(NULL, len + 2 * align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		 -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	munmap(p, len + 2 * align);

	return p + -(uintptr_t)p % align + shift;
}

/* For 32-bit programs, mmap() does not align maps for blocks: there, the test does it */
#define MMAP_ALIGNS	(sizeof(void *) == 8)

static inline char *map_for_blocks(int fd, size_t block, size_t offset, size_t len, int prot)
{
	char *hint = NULL;

	if (!MMAP_ALIGNS && block)
		hint = find_room(len, block, offset % block);

	return mmap(hint, len, prot, MAP_SHARED, fd, offset);
}

/* Does the kernel map a block at all, in the best of cases? */
static inline bool maps_blocks(int importer, int heap_fd, size_t block)
{
	const size_t len = 4 * block;
	struct user_page page = { };
	int fd, found = 0;
	char *p;

	fd = heap_alloc(heap_fd, len);
	if (fd < 0)
		return false;
	p = map_for_blocks(fd, block, 0, len, READ_WRITE);
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
	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	self->block = block_size();
	/* Others have been seen to be larger than any chunk */
	if (self->block > MIB(2) ||
	    !maps_blocks(self->importer, self->heap_fd, self->block))
		self->block = 0;
	ASSERT_TRUE(self->block || !is_needed("blocks"));
	self->left = heap_left(variant->name);
	self->fd = -1;
}

FIXTURE_TEARDOWN(blocks)
{
	if (self->fd >= 0)
		EXPECT_EQ(0, close(self->fd));
	buf_put_chunks(&self->chunks);
	EXPECT_NOTHING_LEFT(self->left, variant->name);
	close(self->importer);
	close(self->heap_fd);
}

#define BLOCKS_TEST(name) \
	TEST_F_TIMEOUT(blocks, name, 2 * HEAP_TEST_TIMEOUT)

/* Gives the test a buffer, filled with the pattern of SEED */
static inline int get_buffer(struct _test_data_blocks *self, size_t len)
{
	self->len = page_align(len);
	self->fd = buf_filled(self->heap_fd, self->len, SEED);
	if (self->fd < 0)
		return self->fd;

	return buf_get_chunks(self->importer, self->fd, IMPORTER_64,
			      &self->chunks);
}

static inline int put_buffer(struct _test_data_blocks *self)
{
	int ret = close(self->fd);

	self->fd = -1;
	buf_put_chunks(&self->chunks);
	self->chunks = (struct buf_chunks) { };

	return ret;
}

static inline char *map_part(struct _test_data_blocks *self, size_t offset, size_t len,
			     int prot)
{
	return map_for_blocks(self->fd, self->block, offset, len, prot);
}

static inline char *map_all(struct _test_data_blocks *self)
{
	return map_part(self, 0, self->len, READ_WRITE);
}

/* The chunk that has the byte at *@offset, which becomes that in the chunk */
static inline const struct buf_chunk *
find_chunk(struct _test_data_blocks *self, size_t *offset)
{
	const struct buf_chunk *chunk = self->chunks.chunk;

	while (*offset >= chunk->pages * page_size())
		*offset -= chunk++->pages * page_size();

	return chunk;
}

static inline unsigned long pfn_at(struct _test_data_blocks *self, size_t offset)
{
	const struct buf_chunk *chunk = find_chunk(self, &offset);

	return chunk->pfn + offset / page_size();
}

/*
 * Can the page at @p be in a block of the map of @len bytes from @map, which
 * shows the buffer from @offset? The chunk has to have all of the block, with
 * the alignment of the address.
 */
static inline bool fits_block(struct _test_data_blocks *self, char *p, char *map,
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
static inline struct user_page *read_pages(struct _test_data_blocks *self, char *map,
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
static inline long long wrong_page(struct _test_data_blocks *self, char *map,
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
static inline long long wrong_block(struct _test_data_blocks *self, char *map,
				    size_t offset, size_t len)
{
	struct user_page *pages = read_pages(self, map, len);
	size_t at = 0, page = page_size();

	while (pages && at < len &&
	       pages[at / page].block ==
	       fits_block(self, map + at, map, offset, len))
		at += page;
	free(pages);

	return at < len ? (long long)(offset + at) : -1;
}

/* How many pages are in blocks, or -1 if not all are mapped */
static inline int pages_in_blocks(struct _test_data_blocks *self, char *map,
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

static inline long minor_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_THREAD, &usage);

	return usage.ru_minflt;
}

/* How many faults it takes to write each page once */
static inline long faults_of_writing(char *map, size_t len)
{
	size_t page = page_size(), at;
	char other = 0;
	long before;

	/* Take the faults of the reading itself first, and of the library that writes */
	minor_faults();
	__atomic_fetch_or(&other, 0, __ATOMIC_RELAXED);
	before = minor_faults();
	for (at = 0; at < len; at += page)
		__atomic_fetch_or(map + at, 0, __ATOMIC_RELAXED);

	return minor_faults() - before;
}

/* Kernels without huge pages know no such advice */
static inline int advise_against_blocks(char *map, size_t len)
{
	if (access(THP "enabled", F_OK))
		return 0;

	return madvise(map, len, MADV_NOHUGEPAGE) ? -errno : 0;
}

#endif /* HEAP_BLOCKS_H */

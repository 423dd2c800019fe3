// SPDX-License-Identifier: GPL-2.0
/*
 * CMA areas that a heap has not for itself: its pool is in the way neither of its own
 * buffers nor of others', the heap of chunks and the other name of the default area
 * get at the same memory, and movable pages in the area survive.
 *
 * Needs CONFIG_CMA_DEBUGFS. NEED in the environment names what must not be lacking:
 * cma, areas, chunks, importer.
 */

#include <sys/mman.h>

#include "heap_cma.h"
#include "heap_loop.h"

#define CLIENT_LEN	MIB(1)
#define CLIENT_BUFS	4
#define CLIENT_ROUNDS	500

struct wanting {
	int fd;
	size_t len;
};

/* A buffer of another size, by the one name or the other */
CMA_TEST(pool_gives_way_to_buffers)
{
	static const size_t lens[] = { MIB(1), KIB(68), KIB(4) };
	const char *other = other_name(&variant->name);
	int other_fd = -1, i, fd;
	size_t len;

	if (other) {
		other_fd = heap_open(other, O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, other_fd);
	}
	len = bytes(self->pages - self->others) / 4 * 3;
	for (i = 0; i < ARRAY_SIZE(lens) * 2; i++) {
		int count = bytes(self->pages) / 2 / lens[i / 2];

		if (count > 256)
			count = 256;
		ASSERT_EQ(0, pool_fill(self->fd, lens[i / 2], count));
		EXPECT_LT(0, pool_pages(variant->name.pool));
		/* Also when nothing is dirty any more */
		if (i % 2)
			EXPECT_TRUE(WAIT_FOR(pool_all_clean(variant->name.pool)));
		/* Pooled memory that is not in the way may stay */
		fd = heap_alloc(other && i % 2 ? other_fd : self->fd,
				self->others ? len : bytes(self->pages));
		ASSERT_LE(0, fd)
			TH_LOG("%s", pool_text(variant->name.pool));
		EXPECT_EQ(-1, buf_find_nonzero(fd, len));
		EXPECT_EQ(0, close(fd));
		ASSERT_TRUE(WAIT_FOR(pool_empty(variant->name.pool)));
	}
	close(other_fd);
}

/* Another user of the area allocates, without the heaps */
CMA_TEST(pool_gives_way_to_others)
{
	long long pages = self->pages - self->others;
	int i;

	/* In as many pieces as it takes when somebody has some of it already */
	if (self->others)
		pages = pages / 4 * 3;
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, pool_fill(self->fd, MIB(1),
				       bytes(self->pages) / 2 / MIB(1)));
		EXPECT_LT(0, pool_pages(variant->name.pool));
		if (i)
			EXPECT_TRUE(WAIT_FOR(pool_all_clean(variant->name.pool)));
		EXPECT_EQ(0, area_set(variant->name.area, "alloc", pages))
			TH_LOG("%s", pool_text(variant->name.pool));
		EXPECT_EQ(self->others + pages + pool_pages(variant->name.pool),
			  area_get(variant->name.area, "used"));
		EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, bytes(pages)));
		EXPECT_EQ(0, area_set(variant->name.area, "free", pages));
		EXPECT_TRUE(WAIT_FOR(pool_empty(variant->name.pool)));
		EXPECT_EQ(self->others, area_get(variant->name.area, "used"));
	}
}

/* Of an area that is not @area, or NULL */
static const char *other_area(const char *area)
{
	int i;

	for (i = 0; i < heap_count; i++)
		if (strcmp(heaps[i].area, area))
			return heaps[i].area;

	return NULL;
}

/* All of another area is wanted, and more than that, while there is a pool here */
CMA_TEST(shortage_of_another_area_leaves_the_pool)
{
	const char *other = other_area(variant->name.area);
	long long pages, kept;

	if (!other)
		SKIP_UNLESS_NEEDED(return, "areas", "no second area");
	ASSERT_EQ(0, pool_fill(self->fd, MIB(1), 2));
	EXPECT_TRUE(WAIT_FOR(pool_all_clean(variant->name.pool)));
	kept = pool_pages(variant->name.pool);
	EXPECT_EQ(pages_of(MIB(2)), kept);
	pages = area_get(other, "count");
	if (!area_set(other, "alloc", pages)) {
		EXPECT_EQ(-ENOMEM, area_set(other, "alloc", 1));
		EXPECT_EQ(0, area_set(other, "free", pages));
	}
	EXPECT_EQ(kept, pool_pages(variant->name.pool))
		TH_LOG("%s", pool_text(variant->name.pool));
}

/* The next round of a task that wants all of the area, which others have some of */
static bool want_all(void *data)
{
	const struct wanting *wanting = data;

	return heap_alloc(wanting->fd, wanting->len) == -ENOMEM;
}

/* A client that always has buffers, and so leaves no room for all of the area */
CMA_TEST(client_has_hits_while_another_wants_all)
{
	struct wanting wanting = { self->fd, bytes(self->pages) };
	int fds[CLIENT_BUFS], i;
	struct pool_stats stats;
	struct loop loop;

	for (i = 0; i < CLIENT_BUFS; i++) {
		fds[i] = heap_alloc(self->fd, CLIENT_LEN);
		ASSERT_LE(0, fds[i]);
	}
	ASSERT_EQ(0, loop_start(&loop, want_all, &wanting));
	ASSERT_EQ(0, pool_read_stats(variant->name.pool, &stats));
	for (i = 0; i < CLIENT_ROUNDS; i++) {
		int *fd = &fds[i % CLIENT_BUFS];

		EXPECT_EQ(0, close(*fd));
		*fd = heap_alloc(self->fd, CLIENT_LEN);
		ASSERT_LE(0, *fd);
	}
	EXPECT_LE(CLIENT_ROUNDS * 9 / 10,
		  pool_counted(variant->name.pool, &stats,
			       offsetof(struct pool_stats, hits)));
	EXPECT_TRUE(loop_goes_on(&loop));
	EXPECT_EQ(-SIGKILL, loop_kill(&loop));
	region_give_back(fds, CLIENT_BUFS);
}

CMA_TEST(reclaim_empties_the_pool)
{
	long long count, freed, pages;

	ASSERT_EQ(0, pool_fill(self->fd, MIB(1), 4));
	ASSERT_EQ(0, pool_fill(self->fd, KIB(68), 4));
	pages = 4 * pages_of(MIB(1)) + 4 * pages_of(KIB(68));
	EXPECT_TRUE(WAIT_FOR(pool_is_clean(variant->name.pool, pages)));
	EXPECT_EQ(self->others + pages, area_get(variant->name.area, "used"));
	ASSERT_EQ(0, pool_shrink(variant->name.pool, &count, &freed));
	EXPECT_EQ(pages, count);
	EXPECT_EQ(pages, freed);
	EXPECT_EQ(0, pool_pages(variant->name.pool));
	EXPECT_EQ(self->others, area_get(variant->name.area, "used"));

	EXPECT_TRUE(WAIT_FOR(pool_keeps(variant->name.pool, self->fd)));
	EXPECT_EQ(0, file_write("/proc/sys/vm/drop_caches", "2"));
	EXPECT_EQ(0, pool_pages(variant->name.pool));
	EXPECT_EQ(self->others, area_get(variant->name.area, "used"));
}

/* Half of the area, if nobody says otherwise */
CMA_TEST(pool_keeps_half_of_the_area)
{
	int fds[MAX_BUFS], count, error;

	EXPECT_EQ(bytes(self->pages) / 2, self->max_bytes);
	count = region_take(variant->name.heap, self->fd, MIB(1), fds, MAX_BUFS,
			    &error);
	EXPECT_EQ(-ENOMEM, error);
	region_give_back(fds, count);
	EXPECT_GE(self->pages / 2, pool_pages(variant->name.pool));
	EXPECT_LE(self->pages / 4, pool_pages(variant->name.pool));

	ASSERT_EQ(0, pool_set(variant->name.heap, "max_bytes", MIB(3)));
	EXPECT_EQ(3 * pages_of(MIB(1)), pool_pages(variant->name.pool));
	ASSERT_EQ(0, pool_set(variant->name.heap, "max_bytes", 0));
	EXPECT_TRUE(WAIT_FOR(!pool_pages(variant->name.pool)));
	/* The scrubber may be about to give back what it had */
	EXPECT_TRUE(WAIT_FOR(self->others ==
			     area_get(variant->name.area, "used")));
}

/* No two sizes are the same, and none is smaller by as much as all are aligned to */
#define TASKS	4
#define ROUNDS	60

/* Each time of a size that there has not been yet, but in the same space */
static void allocate_slots(int heap_fd, size_t slot, int task)
{
	int i, fd;

	for (i = 0; i < ROUNDS; i++) {
		fd = heap_alloc(heap_fd, slot - KIB(4) * (i * TASKS + task));
		if (fd < 0)
			_exit(-fd);
		close(fd);
	}
	_exit(0);
}

/*
 * With a pool that takes all the rest, of sizes that nobody wants any more. There is
 * room for twice as many as there are tasks, and all sizes need the same room.
 */
CMA_TEST(all_tasks_find_room)
{
	long long size = bytes(self->pages), shrunk;
	/* Pages of other users may be in the middle of the area */
	size_t slot = size / (self->others ? 16 : 8);
	struct pool_stats stats;
	pid_t children[TASKS];
	int i, ret;

	ASSERT_EQ(0, slot % ALIGNMENT);
	ASSERT_EQ(0, pool_set(variant->name.heap, "max_bytes", size));
	ASSERT_EQ(0, pool_read_stats(variant->name.pool, &stats));
	shrunk = stats.shrunk_pages;
	for (i = 0; i < TASKS; i++) {
		children[i] = fork();
		ASSERT_LE(0, children[i]);
		if (!children[i])
			allocate_slots(self->fd, slot, i);
	}
	for (i = 0; i < TASKS; i++) {
		ret = child_end(children[i]);
		EXPECT_EQ(0, ret)
			TH_LOG("task %d: error %d", i, ret);
	}
	/* The pool had to go, and not only once */
	ASSERT_EQ(0, pool_read_stats(variant->name.pool, &stats));
	EXPECT_LE(shrunk + 2 * self->pages, stats.shrunk_pages)
		TH_LOG("%s", pool_text(variant->name.pool));
}

/* The other heap of an area, of chunks of one size, which is there on demand */

#define CHUNK_KIB	"/sys/module/cma_heap/parameters/chunk_kib"

/* Bytes of a chunk, or 0 without such heaps */
static size_t chunk_size(void)
{
	long long kib = file_number(CHUNK_KIB);

	return kib > 0 ? KIB(kib) : 0;
}

static void chunks_name(char *name, size_t size, const char *area)
{
	snprintf(name, size, "%s-chunks", area);
}

CMA_TEST(chunks_are_of_one_size)
{
	size_t chunk = chunk_size(), len = 3 * chunk + KIB(4);
	char name[HEAP_NAME_SIZE + 8];
	struct buf_chunks chunks;
	int heap_fd, fd, i;

	if (!chunk)
		SKIP_UNLESS_NEEDED(return, "chunks", "no heap of chunks");
	chunks_name(name, sizeof(name), variant->name.area);
	heap_fd = heap_open(name, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, heap_fd);
	EXPECT_EQ(0, heap_attr(name, "contiguous"));
	fd = heap_alloc(heap_fd, len);
	ASSERT_LE(0, fd);
	EXPECT_STREQ(name, buf_exporter(fd));
	EXPECT_EQ(-1, buf_find_nonzero(fd, len));
	ASSERT_EQ(0, buf_get_chunks(self->importer, fd, 64, &chunks));
	ASSERT_EQ(4, chunks.count);
	for (i = 0; i < chunks.count; i++) {
		unsigned long pfn = chunks.chunk[i].pfn;

		EXPECT_EQ(i < 3 ? pages_of(chunk) : 1, chunks.chunk[i].pages);
		EXPECT_EQ(0, i < 3 ? pfn % pages_of(chunk) : 0);
		EXPECT_LE(self->base, pfn);
		EXPECT_GT(self->base + self->pages, pfn);
	}
	buf_put_chunks(&chunks);
	EXPECT_EQ(0, close(fd));
	EXPECT_TRUE(WAIT_FOR(pool_empty(name)));
	EXPECT_EQ(0, close(heap_fd));
}

/* Where none is left for a buffer in one piece; and both heaps give way */
CMA_TEST(chunks_find_room_in_fragments)
{
	char name[HEAP_NAME_SIZE + 8];
	int heap_fd, fds[MAX_BUFS], count, error, fd, i;
	size_t chunk = chunk_size();

	if (!chunk)
		SKIP_UNLESS_NEEDED(return, "chunks", "no heap of chunks");
	chunks_name(name, sizeof(name), variant->name.area);
	heap_fd = heap_open(name, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, heap_fd);
	ASSERT_EQ(0, pool_set(variant->name.heap, "max_bytes", 0));
	/* The rest of a large area stays in one hand */
	fd = -1;
	if (self->pages > pages_of(MIB(16)))
		fd = heap_alloc(self->fd, bytes(self->pages) - MIB(16));
	count = region_take(variant->name.heap, self->fd, chunk, fds, MAX_BUFS,
			    &error);
	EXPECT_EQ(-ENOMEM, error);
	for (i = 0; i < count; i += 2)
		close(fds[i]);
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, chunk * 2));
	i = heap_alloc(heap_fd, chunk * (count / 2));
	EXPECT_LE(0, i);
	close(i);
	for (i = 1; i < count; i += 2)
		close(fds[i]);
	close(fd);

	/* Memory left in its pool does not keep others from the area */
	EXPECT_LT(0, pool_pages(name));
	fd = heap_alloc(self->fd, bytes(self->pages - self->others) / 4 * 3);
	EXPECT_LE(0, fd);
	close(fd);
	EXPECT_TRUE(WAIT_FOR(pool_empty(name)));
	EXPECT_EQ(0, close(heap_fd));
}

/* The default area, by both its names */
FIXTURE(default_area)
{
	const char *area;
	const char *names[2];
	int fds[2];
	int importer;
	long long others;
	long long max_bytes;
};

FIXTURE_SETUP(default_area)
{
	int i;

	for (i = 0; i < heap_count; i++)
		if (!strcmp(heaps[i].heap, DEFAULT_AREA_HEAP))
			break;
	if (i == heap_count)
		SKIP_UNLESS_NEEDED(return, "cma", "no default area");
	self->area = heaps[i].area;
	self->names[0] = DEFAULT_AREA_HEAP;
	self->names[1] = self->area;
	for (i = 0; i < ARRAY_SIZE(self->fds); i++) {
		self->fds[i] = heap_open(self->names[i], O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, self->fds[i]);
	}
	self->importer = importer_open();
	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	ASSERT_TRUE(WAIT_FOR(pool_keeps(self->area, self->fds[0])));
	ASSERT_EQ(0, file_write("/proc/sys/vm/drop_caches", "3"));
	ASSERT_TRUE(WAIT_FOR(pool_empty(self->area)));
	ASSERT_TRUE(WAIT_FOR(pool_keeps(self->area, self->fds[0])));
	ASSERT_TRUE(WAIT_FOR(pool_empty(self->area)));
	self->others = area_get(self->area, "used");
	self->max_bytes = pool_get(self->names[0], "max_bytes");
}

FIXTURE_TEARDOWN(default_area)
{
	int i;

	EXPECT_EQ(0, pool_set(self->names[0], "max_bytes", self->max_bytes));
	EXPECT_TRUE(WAIT_FOR(pool_empty(self->area)));
	EXPECT_EQ(self->others, area_get(self->area, "used"));
	for (i = 0; i < ARRAY_SIZE(self->fds); i++)
		close(self->fds[i]);
	close(self->importer);
}

#define DEFAULT_AREA_TEST(name) \
	TEST_F_TIMEOUT(default_area, name, TIMEOUT)

/* The one's buffer is the other's when it is closed; each has its own name */
DEFAULT_AREA_TEST(names_share_memory_and_pool)
{
	struct buf_chunks first, second;
	int i, fd;

	for (i = 0; i < ARRAY_SIZE(self->fds); i++) {
		fd = buf_filled(self->fds[i], MIB(1), SEED);
		ASSERT_LE(0, fd);
		EXPECT_STREQ(self->names[i], buf_exporter(fd));
		ASSERT_EQ(0, buf_get_chunks(self->importer, fd, 64, &first));
		EXPECT_EQ(0, close(fd));
		EXPECT_TRUE(WAIT_FOR(pool_is_clean(self->area,
						   pages_of(MIB(1)))));

		fd = heap_alloc(self->fds[!i], MIB(1));
		ASSERT_LE(0, fd);
		EXPECT_STREQ(self->names[!i], buf_exporter(fd));
		EXPECT_EQ(0, pool_pages(self->area));
		EXPECT_EQ(-1, buf_find_nonzero(fd, MIB(1)));
		ASSERT_EQ(0, buf_get_chunks(self->importer, fd, 64, &second));
		EXPECT_EQ(first.chunk[0].pfn, second.chunk[0].pfn);
		buf_put_chunks(&first);
		buf_put_chunks(&second);
		EXPECT_EQ(0, close(fd));
		EXPECT_TRUE(WAIT_FOR(pool_empty(self->area)));

		ASSERT_EQ(0, pool_set(self->names[i], "max_bytes", MIB(1) << i));
		EXPECT_EQ(MIB(1) << i, pool_get(self->names[!i], "max_bytes"));
	}
}

/* Movable pages */

/* Memory that is left alone, KiB: what is in the area has to go somewhere */
#define LEFT_ALONE	(64 * 1024)
#define STEP		MIB(8)
#define ROOM		MIB(256)

/* Writes to every page of the next part of the map */
static void populate(char *p, size_t from, size_t to)
{
	for (; from < to; from += page_size())
		*(__u64 *)(p + from) = from ^ SEED;
}

static long long populated_wrong(const char *p, size_t from, size_t to)
{
	for (; from < to; from += page_size())
		if (*(__u64 *)(p + from) != (from ^ SEED))
			return from;

	return -1;
}

/* Returns how much was written to until three quarters of all areas are taken */
static size_t fill_areas(char *p, size_t size)
{
	long long total = meminfo_kib("CmaTotal:");
	size_t at = 0;

	while (at + STEP <= size && meminfo_kib("CmaFree:") * 4 > total &&
	       meminfo_kib("MemFree:") > LEFT_ALONE) {
		populate(p, at, at + STEP);
		at += STEP;
	}

	return at;
}

DEFAULT_AREA_TEST(movable_pages_survive)
{
	size_t size = (size_t)meminfo_kib("MemTotal:") * 1024, filled;
	long long others = area_get(self->area, "used");
	int fds[MAX_BUFS], count, want, error, i;
	char *p;

	p = mmap(NULL, size, READ_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	/* Pages, in part of it large ones */
	madvise(p, size / 2, MADV_NOHUGEPAGE);
	filled = fill_areas(p, size);
	ASSERT_LT(ROOM, filled);
	EXPECT_GE(meminfo_kib("CmaTotal:") / 2, meminfo_kib("CmaFree:"))
		TH_LOG("hardly any movable page is in an area");
	/* The first ones are not in an area, but they are where these can go */
	ASSERT_EQ(0, munmap(p, ROOM));

	want = bytes(area_get(self->area, "count") - others) / MIB(1) / 4 * 3;
	count = region_take(self->names[0], self->fds[0], MIB(1), fds, want,
			    &error);
	EXPECT_EQ(want, count)
		TH_LOG("%d", error);
	for (i = 0; i < count; i++)
		EXPECT_EQ(-1, buf_find_nonzero(fds[i], MIB(1)));
	EXPECT_EQ(-1, populated_wrong(p, ROOM, filled));
	region_give_back(fds, count);
	EXPECT_EQ(-1, populated_wrong(p, ROOM, filled));
	EXPECT_EQ(0, munmap(p + ROOM, size - ROOM));
}

int main(int argc, char **argv)
{
	cma_tests_init();

	return test_harness_run(argc, argv);
}

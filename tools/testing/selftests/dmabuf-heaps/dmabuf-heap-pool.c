// SPDX-License-Identifier: GPL-2.0
/*
 * The pool behind a heap: that its memory is handed out again and never with
 * what was in it, that it keeps to its bound, its age and its knobs, that it
 * counts right, and that all of it can be had back.
 *
 * LONG=1 in the environment lets nothing_dirty_reaches_user_space run a hundred
 * times as long.
 */

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "heap_all.h"
#include "heap_pool_fixture.h"

/* So that it is always the same node's memory that is near */
static int stay_on_this_cpu(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(sched_getcpu(), &cpus);

	return sched_setaffinity(0, sizeof(cpus), &cpus);
}

static bool same_chunks(const struct buf_chunks *a, const struct buf_chunks *b)
{
	int i;

	for (i = 0; i < a->count && i < b->count; i++)
		if (a->chunk[i].pfn != b->chunk[i].pfn)
			return false;

	return a->count && a->count == b->count;
}

/* The next buffer of that size is the last one's memory, zeroed in between */
POOL_TEST(warm_allocation_is_a_hit)
{
	static const size_t lens[] = {
		KIB(4), KIB(64), KIB(68), MIB(1), 3112960, MIB(8), MIB(32),
	};
	struct buf_chunks first, second;
	int i, fd;

	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	ASSERT_EQ(0, stay_on_this_cpu());
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		fd = buf_filled(self->fd, lens[i], i);
		ASSERT_LE(0, fd);
		EXPECT_EQ(1, COUNTED(misses));
		EXPECT_EQ(0, pool_pages(variant->name));
		ASSERT_EQ(0, buf_get_chunks(self->importer, fd, 64, &first));
		EXPECT_EQ(0, close(fd));
		ASSERT_TRUE(WAIT_FOR(pool_is_clean(variant->name,
						   pages_of(lens[i]))))
			TH_LOG("length %zu", lens[i]);

		fd = heap_alloc(self->fd, lens[i]);
		ASSERT_LE(0, fd);
		EXPECT_EQ(1, COUNTED(hits));
		EXPECT_EQ(0, COUNTED(dirty_hits));
		EXPECT_EQ(1, COUNTED(misses));
		EXPECT_EQ(0, pool_pages(variant->name));
		EXPECT_EQ(-1, buf_find_nonzero(fd, lens[i]))
			TH_LOG("length %zu", lens[i]);
		ASSERT_EQ(0, buf_get_chunks(self->importer, fd, 64, &second));
		EXPECT_TRUE(same_chunks(&first, &second))
			TH_LOG("length %zu", lens[i]);
		buf_put_chunks(&first);
		buf_put_chunks(&second);
		EXPECT_EQ(0, close(fd));
		EXPECT_TRUE(WAIT_FOR(pool_empty(variant->name)));
		ASSERT_EQ(0, pool_read_stats(variant->name, &self->stats));
	}
}

/* Without a pause in between, so that it may have to be scrubbed on the spot */
POOL_TEST(memory_reused_at_once_is_zero)
{
	int i, fd;

	ASSERT_EQ(0, stay_on_this_cpu());
	for (i = 0; i < 64; i++) {
		fd = heap_alloc(self->fd, MIB(1));
		ASSERT_LE(0, fd);
		ASSERT_EQ(-1, buf_find_nonzero(fd, MIB(1)));
		close(fd);
		fd = buf_filled(self->fd, MIB(1), i);
		ASSERT_LE(0, fd);
		close(fd);
	}
	/* While the scrubber has one, another may be needed */
	EXPECT_LE(120, COUNTED(hits) + COUNTED(dirty_hits));
	EXPECT_EQ(128, COUNTED(hits) + COUNTED(dirty_hits) + COUNTED(misses));
}

POOL_TEST(counted_as_reclaimable)
{
	const long long pages = 32 * pages_of(MIB(2));

	ASSERT_EQ(0, pool_fill(self->fd, MIB(2), 32));
	EXPECT_TRUE(WAIT_FOR(pool_is_clean(variant->name, pages)));
	EXPECT_EQ(self->reclaimable + pages,
		  vm_counter("nr_kernel_misc_reclaimable"));

	/* Of reclaimable memory the kernel calls at least half available */
	EXPECT_LE(KIB(64), meminfo_kib("KReclaimable:"));
	EXPECT_GT(mem_gettable_kib(), self->available - KIB(48));
}

/* Counts the lines of debugfs that tell of a zeroed backing of that size */
static int listed_backings(const char *heap, size_t size, int *others)
{
	char path[256], state[16];
	int nid, count = 0;
	size_t listed;
	FILE *file;

	*others = 0;
	snprintf(path, sizeof(path), "/sys/kernel/debug/dma_heap/%s/backings", heap);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (fscanf(file, "%zu %d %15s %*u\n", &listed, &nid, state) == 3)
		if (listed == size && nid >= 0 && !strcmp(state, "clean"))
			count++;
		else
			(*others)++;
	fclose(file);

	return count;
}

POOL_TEST(debugfs_lists_what_is_in_it)
{
	int others;

	ASSERT_EQ(0, stay_on_this_cpu());
	EXPECT_EQ(0, listed_backings(variant->name, KIB(68), &others));
	EXPECT_EQ(0, others);
	ASSERT_EQ(0, pool_fill(self->fd, KIB(68), 16));
	EXPECT_TRUE(WAIT_FOR(pool_is_clean(variant->name, 16 * 17)));
	EXPECT_EQ(16, listed_backings(variant->name, KIB(68), &others));
	EXPECT_EQ(0, others);
}

POOL_TEST(drop_caches_empties_it)
{
	/* A buffer of chunks from two nodes would not be kept */
	ASSERT_EQ(0, stay_on_this_cpu());
	ASSERT_EQ(0, pool_fill(self->fd, KIB(4), 64));
	ASSERT_EQ(0, pool_fill(self->fd, KIB(68), 16));
	ASSERT_EQ(0, pool_fill(self->fd, MIB(4), 8));
	EXPECT_TRUE(WAIT_FOR(pool_is_clean(variant->name, 64 + 16 * pages_of(KIB(68)) +
					   8 * pages_of(MIB(4)))));
	EXPECT_EQ(0, file_write("/proc/sys/vm/drop_caches", "2"));
	EXPECT_EQ(0, pool_pages(variant->name));
	EXPECT_EQ(64 + 16 * pages_of(KIB(68)) + 8 * pages_of(MIB(4)), COUNTED(shrunk_pages));
	EXPECT_EQ(self->reclaimable, vm_counter("nr_kernel_misc_reclaimable"));
}

/* Dirty ones go as they are */
POOL_TEST(shrinker_frees_all_it_counts)
{
	long long count, freed, pages;

	ASSERT_EQ(0, pool_fill(self->fd, MIB(1), 32));
	pages = pool_pages(variant->name);
	EXPECT_EQ(32 * pages_of(MIB(1)), pages);
	ASSERT_EQ(0, pool_shrink(variant->name, &count, &freed));
	EXPECT_LT(0, count);
	EXPECT_LE(count, pages);
	EXPECT_LE(freed, pages);
	EXPECT_EQ(pages - freed, pool_pages(variant->name));

	/* With nothing in the scrubber's hands */
	EXPECT_TRUE(WAIT_FOR(pool_empty(variant->name)));
	ASSERT_EQ(0, pool_fill(self->fd, MIB(1), 8));
	EXPECT_TRUE(WAIT_FOR(pool_is_clean(variant->name, 8 * pages_of(MIB(1)))));
	ASSERT_EQ(0, pool_shrink(variant->name, &count, &freed));
	EXPECT_EQ(8 * pages_of(MIB(1)), count);
	EXPECT_EQ(8 * pages_of(MIB(1)), freed);
	EXPECT_EQ(0, pool_pages(variant->name));
	ASSERT_EQ(0, pool_shrink(variant->name, &count, &freed));
	EXPECT_EQ(0, count);
	EXPECT_EQ(0, freed);
}

POOL_TEST(unused_memory_decays)
{
	const long long pages = 16 * pages_of(MIB(1));

	ASSERT_EQ(0, pool_fill(self->fd, MIB(1), 16));
	EXPECT_TRUE(WAIT_FOR(pool_is_clean(variant->name, pages)));
	EXPECT_EQ(0, COUNTED(decayed_pages));

	ASSERT_EQ(0, pool_set(variant->name, "decay_ms", 300));
	EXPECT_TRUE(WAIT_FOR(!pool_pages(variant->name)))
		TH_LOG("%s", pool_text(variant->name));
	EXPECT_EQ(pages, COUNTED(decayed_pages));
	EXPECT_EQ(0, COUNTED(shrunk_pages));

	/* And what comes in from now on */
	ASSERT_EQ(0, pool_fill(self->fd, MIB(1), 4));
	EXPECT_TRUE(WAIT_FOR(!pool_pages(variant->name)))
		TH_LOG("%s", pool_text(variant->name));
	EXPECT_EQ(pages + 4 * pages_of(MIB(1)),
		  COUNTED(decayed_pages) + COUNTED(evicted_pages));
}

POOL_TEST(closed_pool_keeps_nothing)
{
	const long long pages = 16 * pages_of(MIB(1));

	ASSERT_EQ(0, pool_fill(self->fd, MIB(1), 16));
	EXPECT_TRUE(WAIT_FOR(pool_is_clean(variant->name, pages)));
	ASSERT_EQ(0, pool_set(variant->name, "max_bytes", 0));
	EXPECT_EQ(0, pool_get(variant->name, "max_bytes"));
	EXPECT_EQ(0, pool_pages(variant->name));
	EXPECT_EQ(self->reclaimable, vm_counter("nr_kernel_misc_reclaimable"));

	/* Works, but keeps nothing */
	ASSERT_EQ(0, pool_fill(self->fd, MIB(1), 16));
	EXPECT_EQ(0, pool_pages(variant->name));
	EXPECT_EQ(32, COUNTED(misses));

	/* Also what was dirty when it was closed, or in the scrubber's hands */
	ASSERT_EQ(0, pool_set(variant->name, "max_bytes", MIB(64)));
	ASSERT_EQ(0, pool_fill(self->fd, MIB(1), 32));
	EXPECT_EQ(32 * pages_of(MIB(1)), pool_pages(variant->name));
	ASSERT_EQ(0, pool_set(variant->name, "max_bytes", 0));
	EXPECT_TRUE(WAIT_FOR(!pool_pages(variant->name)))
		TH_LOG("%s", pool_text(variant->name));
}

POOL_TEST(lower_max_bytes_evicts_the_oldest)
{
	ASSERT_EQ(0, stay_on_this_cpu());
	ASSERT_EQ(0, pool_fill(self->fd, MIB(1), 32));
	EXPECT_TRUE(WAIT_FOR(pool_is_clean(variant->name,
					   32 * pages_of(MIB(1)))));
	ASSERT_EQ(0, pool_set(variant->name, "max_bytes", MIB(10)));
	EXPECT_EQ(10 * pages_of(MIB(1)), pool_pages(variant->name));

	/* One that could never fit does not cost those that do */
	ASSERT_EQ(0, pool_fill(self->fd, MIB(12), 1));
	EXPECT_EQ(10 * pages_of(MIB(1)), pool_pages(variant->name));

	/* The newest stay */
	ASSERT_EQ(0, pool_fill(self->fd, MIB(5), 1));
	EXPECT_EQ(10 * pages_of(MIB(1)), pool_pages(variant->name));
	EXPECT_TRUE(WAIT_FOR(pool_is_clean(variant->name,
					   10 * pages_of(MIB(1)))));
	ASSERT_EQ(0, pool_read_stats(variant->name, &self->stats));
	ASSERT_EQ(0, pool_fill(self->fd, MIB(5), 1));
	EXPECT_EQ(1, COUNTED(hits));
}

#define FLOODERS	4
#define FLOOD_KIB	8192
#define FLOOD_ROUNDS	200
#define FLOOD_LOOKS	100

static atomic_bool flood_over;

struct flooder {
	pthread_t thread;
	int heap_fd;
	__u64 state;
	atomic_uint rounds;
	const char *failed;
};

/* Sizes up to half more than the pool may hold, most of them far smaller */
static void *flood(void *data)
{
	static const size_t lens[] = {
		KIB(4), KIB(64), MIB(1), KIB(4), KIB(64), MIB(1), MIB(3),
		KIB(FLOOD_KIB), KIB(FLOOD_KIB) * 3 / 2,
	};
	struct flooder *flooder = data;
	int fd;

	while (!flood_over) {
		fd = heap_alloc(flooder->heap_fd,
				lens[pseudo_random(&flooder->state) %
				     ARRAY_SIZE(lens)]);
		if (fd < 0 || buf_use(fd)) {
			flooder->failed = "allocation or use";
			break;
		}
		close(fd);
		flooder->rounds++;
	}

	return NULL;
}

static bool flooded(struct flooder *flooders)
{
	int i;

	for (i = 0; i < FLOODERS; i++)
		if (flooders[i].rounds < FLOOD_ROUNDS && !flooders[i].failed)
			return false;

	return true;
}

POOL_TEST(max_bytes_holds_under_flood)
{
	const long long max_pages = pages_of(KIB(FLOOD_KIB));
	struct flooder flooders[FLOODERS] = { };
	long long most = 0, pages;
	int i, looks;

	ASSERT_EQ(0, pool_set(variant->name, "max_bytes", KIB(FLOOD_KIB)));
	for (i = 0; i < FLOODERS; i++) {
		flooders[i].heap_fd = self->fd;
		flooders[i].state = i;
		ASSERT_EQ(0, pthread_create(&flooders[i].thread, NULL, flood,
					    &flooders[i]));
	}
	for (looks = 0; looks < FLOOD_LOOKS || !flooded(flooders) ||
	     most < max_pages / 2; looks++) {
		pages = pool_pages(variant->name);
		most = pages > most ? pages : most;
	}
	flood_over = true;
	for (i = 0; i < FLOODERS; i++) {
		ASSERT_EQ(0, pthread_join(flooders[i].thread, NULL));
		EXPECT_EQ(NULL, flooders[i].failed);
	}
	EXPECT_GE(max_pages, most);
	EXPECT_LT(0, COUNTED(evicted_pages));
	EXPECT_GE(max_pages, pool_pages(variant->name));
}

POOL_TEST(prefilled_memory_does_not_decay)
{
	long long decayed;

	ASSERT_EQ(0, stay_on_this_cpu());
	ASSERT_EQ(0, pool_prefill(variant->name, MIB(1), 5));
	EXPECT_TRUE(WAIT_FOR(pool_is_clean(variant->name,
					   5 * pages_of(MIB(1)))));
	ASSERT_EQ(0, pool_read_stats(variant->name, &self->stats));
	ASSERT_EQ(0, pool_fill(self->fd, MIB(1), 5));
	EXPECT_EQ(5, COUNTED(hits));
	EXPECT_EQ(0, COUNTED(misses));

	/* The decay leaves these, and only these */
	ASSERT_EQ(0, pool_fill(self->fd, MIB(1), 9));
	ASSERT_EQ(0, pool_fill(self->fd, KIB(64), 4));
	ASSERT_EQ(0, pool_set(variant->name, "decay_ms", 300));
	EXPECT_TRUE(WAIT_FOR(pool_is_clean(variant->name,
					   5 * pages_of(MIB(1)))));
	/* Also when the next comes and is gone */
	decayed = COUNTED(decayed_pages);
	ASSERT_EQ(0, pool_fill(self->fd, KIB(64), 1));
	EXPECT_TRUE(WAIT_FOR(COUNTED(decayed_pages) ==
			     decayed + pages_of(KIB(64))));
	EXPECT_EQ(5 * pages_of(MIB(1)), pool_pages(variant->name));

	/* Until told otherwise */
	ASSERT_EQ(0, pool_prefill(variant->name, MIB(1), 0));
	EXPECT_TRUE(WAIT_FOR(!pool_pages(variant->name)))
		TH_LOG("%s", pool_text(variant->name));
}

/* EINVAL or, for numbers that are too large, ERANGE */
static bool refused(int ret)
{
	return ret == -EINVAL || ret == -ERANGE;
}

POOL_TEST(wrong_values_are_refused)
{
	static const char *const wrong[] = {
		"", "\n", "-1", "x", "1x", "1 1", "0x", "1.5", "--1",
		"99999999999999999999999999",
	};
	static const char *const wrong_prefill[] = {
		"", "\n", "4096", "4096 ", "0 1", "1 1", "4097 1", "4095 1",
		"-4096 1", "4096 -1", "4096 x", "x 1", "4096 1 1", "4096 1x",
		"4096x 1", "99999999999999999999999999 1",
		"4096 99999999999999999999999999",
	};
	long long before;
	int i, j;

	for (i = 0; i < ARRAY_SIZE(pool_knobs); i++) {
		before = pool_get(variant->name, pool_knobs[i]);
		for (j = 0; j < ARRAY_SIZE(wrong); j++) {
			/* Nothing written is nothing asked for */
			if (!wrong[j][0])
				continue;
			EXPECT_TRUE(refused(pool_write(variant->name, pool_knobs[i],
						       wrong[j])))
				TH_LOG("'%s' for %s", wrong[j], pool_knobs[i]);
			EXPECT_EQ(before, pool_get(variant->name, pool_knobs[i]));
		}
	}
	for (j = 0; j < ARRAY_SIZE(wrong_prefill); j++) {
		if (!wrong_prefill[j][0])
			continue;
		EXPECT_TRUE(refused(pool_write(variant->name, "prefill",
					       wrong_prefill[j])))
			TH_LOG("prefill of '%s'", wrong_prefill[j]);
	}

	/* More than the pool may hold, also where a product overflows */
	ASSERT_EQ(0, pool_set(variant->name, "max_bytes", MIB(1)));
	EXPECT_EQ(-ENOSPC, pool_prefill(variant->name, MIB(1) + PAGES(1), 1));
	EXPECT_EQ(-ENOSPC, pool_prefill(variant->name, PAGES(1),
					pages_of(MIB(1)) + 1));
	EXPECT_EQ(-ENOSPC, pool_prefill(variant->name, 1ULL << 63, 2));
	EXPECT_EQ(-ENOSPC, pool_prefill(variant->name, 1ULL << 44, 4294967295));
	EXPECT_EQ(0, pool_pages(variant->name));
	EXPECT_EQ(MIB(1), pool_get(variant->name, "max_bytes"));
}

#define KILLED		6
#define KILL_ROUNDS	8

/* Mixes sizes and keeps some, so that the end comes in the middle of it all */
static void allocate_until_killed(int heap_fd, __u64 state, atomic_int *allocated)
{
	static const size_t lens[] = { KIB(4), KIB(64), MIB(1), MIB(32) };
	int fds[4] = { }, i;

	for (i = 0;; i = (i + 1) % ARRAY_SIZE(fds)) {
		if (fds[i])
			close(fds[i]);
		fds[i] = heap_alloc(heap_fd, lens[pseudo_random(&state) % 4]);
		if (fds[i] < 0)
			_exit(1);
		++*allocated;
	}
}

/*
 * With the pool, and without, where zeroing 32 MiB is what takes the time; later in
 * each round, and one after another
 */
POOL_TEST(killed_processes_give_all_back)
{
	atomic_int *allocated;
	pid_t children[KILLED];
	int round, i, goal;

	allocated = mmap(NULL, page_size(), READ_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, allocated);
	for (round = 0; round < KILL_ROUNDS; round++) {
		ASSERT_EQ(0, pool_set(variant->name, "max_bytes",
				      round % 2 ? 0 : MIB(256)));
		*allocated = 0;
		for (i = 0; i < KILLED; i++) {
			children[i] = fork();
			ASSERT_LE(0, children[i]);
			if (!children[i])
				allocate_until_killed(self->fd,
						      round * KILLED + i,
						      allocated);
		}
		for (i = 0; i < KILLED; i++) {
			goal = KILLED * (2 + round) + i * round / 2;
			EXPECT_TRUE(WAIT_FOR(*allocated >= goal));
			EXPECT_EQ(0, kill(children[i], SIGKILL));
		}
		/* Less than that if an allocation failed before */
		for (i = 0; i < KILLED; i++)
			EXPECT_EQ(-SIGKILL, child_end(children[i]));
		EXPECT_EQ(self->buffers, heap_buffers(variant->name));
		EXPECT_EQ(self->reclaimable + pool_pages(variant->name),
			  vm_counter("nr_kernel_misc_reclaimable"));
	}
	EXPECT_EQ(0, munmap(allocated, page_size()));
	EXPECT_LT(0, COUNTED(hits) + COUNTED(dirty_hits));
}

/* Everything at once, on all heaps */

#define WRITERS		8
#define LIVE		4

static atomic_bool writers_over;
static atomic_bool writer_failed;
static atomic_int buffers_written;

struct writer {
	pthread_t thread;
	int *heap_fds;
	__u64 state;
	unsigned int buffers;
	const char *failed;
	long long offset;
	struct {
		int fd;
		size_t len;
		__u32 seed;
		void *p;
	} live[LIVE];
};

/* 4 KiB to 4 MiB, small ones as often as large ones, some of them odd */
static size_t random_len(__u64 *state)
{
	unsigned int shift = pseudo_random(state) % 11;

	if (pseudo_random(state) % 4)
		return KIB(4) << shift;

	return page_align(KIB(4) + pseudo_random(state) % (KIB(4) << shift));
}

static void writer_drop(struct writer *writer, int i)
{
	if (!writer->live[i].p)
		return;
	/* Nobody else may have got hold of it in the meantime */
	if (pattern_check(writer->live[i].p, 0, writer->live[i].len,
			  writer->live[i].seed) != -1)
		writer->failed = "memory of its own";
	munmap(writer->live[i].p, writer->live[i].len);
	close(writer->live[i].fd);
	writer->live[i].p = NULL;
}

static void writer_take(struct writer *writer, int i)
{
	int heap = pseudo_random(&writer->state) % heap_count;
	size_t len = random_len(&writer->state);
	void *p;

	writer->live[i].fd = heap_alloc(writer->heap_fds[heap], len);
	if (writer->live[i].fd < 0) {
		writer->failed = "allocation";
		return;
	}
	p = buf_map(writer->live[i].fd, len, READ_WRITE);
	if (p == MAP_FAILED) {
		close(writer->live[i].fd);
		writer->failed = "mmap";
		return;
	}
	writer->live[i].p = p;
	writer->live[i].len = len;
	writer->live[i].seed = pseudo_random(&writer->state);
	writer->offset = find_nonzero(p, len);
	if (writer->offset != -1)
		writer->failed = "zeroed memory";
	pattern_fill(p, 0, len, writer->live[i].seed);
	writer->buffers++;
	buffers_written++;
}

static void *writer_main(void *data)
{
	struct writer *writer = data;
	int i;

	while (!writers_over && !writer->failed) {
		i = pseudo_random(&writer->state) % LIVE;
		writer_drop(writer, i);
		if (!writer->failed)
			writer_take(writer, i);
	}
	for (i = 0; i < LIVE; i++)
		writer_drop(writer, i);
	if (writer->failed)
		writer_failed = true;

	return NULL;
}

#define DISTURBANCES	5

/* Meanwhile the pools are shrunk, closed and opened, and decay */
static void disturb(int turn)
{
	const char *heap = heap_list[turn % heap_count];
	long long count, freed;

	switch (turn / heap_count % DISTURBANCES) {
	case 0:
		pool_set(heap, "decay_ms", 50);
		break;
	case 1:
		pool_shrink(heap, &count, &freed);
		break;
	case 2:
		pool_set(heap, "max_bytes", MIB(4));
		break;
	case 3:
		pool_set(heap, "max_bytes", 0);
		break;
	case 4:
		pool_set(heap, "max_bytes", MIB(128));
		pool_set(heap, "decay_ms", 30000);
		break;
	}
}

/* In each turn all writers together get some buffers; each pool has all its turns */
#define BUFFERS		50
#define TURNS		3
#define LONG_TURNS	300

TEST_F_TIMEOUT(all, nothing_dirty_reaches_user_space, 900)
{
	int turns = (getenv("LONG") ? LONG_TURNS : TURNS) * DISTURBANCES * heap_count;
	static struct writer writers[WRITERS];
	struct pool_stats before, after;
	int i, turn, written;

	if (pool_read_stats(heap_list[0], &before))
		SKIP_UNLESS_NEEDED(return, "pool", "no pool behind %s",
				   heap_list[0]);
	for (i = 0; i < WRITERS; i++) {
		writers[i].heap_fds = self->fds;
		writers[i].state = i;
		ASSERT_EQ(0, pthread_create(&writers[i].thread, NULL,
					    writer_main, &writers[i]));
	}
	for (turn = 0; turn < turns && !writer_failed; turn++) {
		disturb(turn);
		written = buffers_written;
		EXPECT_TRUE(WAIT_FOR(buffers_written >= written + BUFFERS ||
				     writer_failed));
	}
	writers_over = true;
	for (i = 0; i < WRITERS; i++) {
		ASSERT_EQ(0, pthread_join(writers[i].thread, NULL));
		EXPECT_EQ(NULL, writers[i].failed)
			TH_LOG("writer %d: %s, at %lld", i, writers[i].failed,
			       writers[i].offset);
		EXPECT_LT(0, writers[i].buffers);
	}
	ASSERT_EQ(0, pool_read_stats(heap_list[0], &after));
	EXPECT_LT(before.hits + before.dirty_hits, after.hits + after.dirty_hits);
}

#define SHARE_LEN	MIB(8)
#define MAX_SHARE	256

/*
 * Buffers of three quarters of what all pools together may hold, closed one by one;
 * returns the most there was in all pools after any of them, in KiB
 */
static long long fill_share(int heap_fd, int *count)
{
	long long most = 0, total;
	int fds[MAX_SHARE], i;

	*count = KIB(pools_cap_kib()) / 4 * 3 / SHARE_LEN;
	if (*count > MAX_SHARE)
		*count = MAX_SHARE;
	for (i = 0; i < *count; i++) {
		fds[i] = heap_alloc(heap_fd, SHARE_LEN);
		if (fds[i] < 0)
			*count = i;
	}
	for (i = 0; i < *count; i++) {
		close(fds[i]);
		total = pools_total_kib();
		most = total > most ? total : most;
	}

	return most;
}

/* The cap of each pool alone would let them hold more; what is oldest goes first */
TEST_F_TIMEOUT(all, all_pools_together_keep_to_one_cap, 900)
{
	const long long share = pages_of(SHARE_LEN);
	long long first, second;
	int i, count;

	if (heap_count < 2)
		SKIP(return, "needs two heaps");
	if (pool_pages(heap_list[0]) < 0 || pool_pages(heap_list[1]) < 0)
		SKIP_UNLESS_NEEDED(return, "pool", "needs two pools");
	ASSERT_EQ(0, stay_on_this_cpu());
	for (i = 0; i < heap_count; i++) {
		ASSERT_EQ(0, pool_set(heap_list[i], "decay_ms", 600000));
		ASSERT_EQ(0, pool_set(heap_list[i], "max_bytes",
				      KIB(meminfo_kib("MemTotal:"))));
		ASSERT_TRUE(WAIT_FOR(pool_keeps(heap_list[i], self->fds[i])));
		ASSERT_TRUE(WAIT_FOR(pool_empty(heap_list[i])));
	}
	EXPECT_GE(pools_cap_kib(), fill_share(self->fds[0], &count));
	first = pool_pages(heap_list[0]);
	/* Not those with memory of two nodes */
	EXPECT_LE(count * share / 10 * 9, first);

	/* These are the newest, and all stay: the others have to go */
	EXPECT_GE(pools_cap_kib(), fill_share(self->fds[1], &count));
	second = pool_pages(heap_list[1]);
	EXPECT_LE(count * share / 10 * 9, second);
	EXPECT_LT(pool_pages(heap_list[0]), first);
	EXPECT_LT(pools_cap_kib() - 2 * (long long)SHARE_LEN / 1024,
		  pools_total_kib());
}

int main(int argc, char **argv)
{
	heap_tests_init();
	heap_register(&_pool_fixture_object);

	return test_harness_run(argc, argv);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite that holds the exporter of DMA-BUF heaps against a model of caches
 *
 * Random steps are done with a buffer, and between them devices and the CPU write
 * some lines, where they may. The maintenance that the exporter asks for is done
 * to a model, which knows of each line where its newest contents may be missing:
 * in memory, in the CPU's caches, in the copy of a device that bounces. "May" is
 * all that caches could have done by themselves: fetch any line at any time, and
 * write back a dirty one. After each step, nobody who may look may see anything
 * but the newest.
 *
 * Who may look, and write, as a line is written in parts:
 * - The CPU sees what was written before the begin of an access, or before the
 *   kernel mapped the buffer, and what it wrote itself.
 * - A device sees what was written before it was mapped. While it is, it sees
 *   what the CPU wrote in an access that has ended, and what another device wrote
 *   that has been unmapped. A device that bounces does not see the latter.
 * - What the CPU is about to write in an access is nobody else's until it ends.
 * - While a device that bounces is mapped to write, nobody else writes but the
 *   CPU in an access, and as long as it does, no other access begins, and the
 *   device is neither mapped again nor unmapped: the copy comes back as a whole.
 * - User space may do without accesses as long as no device can have written.
 */

#include <linux/bits.h>
#include <linux/dma-buf.h>
#include <linux/fcntl.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/string.h>

#include <kunit/test.h>

#include "heap_test_cache.h"
#include "heap_test_helpers.h"

/* The fewer, the slower the kernel is */
#if defined(CONFIG_KCSAN) || defined(CONFIG_KASAN) || \
	defined(CONFIG_PROVE_LOCKING)
#define SEQUENCES	2000
#else
#define SEQUENCES	100000
#endif

static uint count = SEQUENCES;
module_param(count, uint, 0444);
MODULE_PARM_DESC(count, "sequences to try");

static ulong seed = 1;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "of the first sequence, each next one has the next");

/* Four pages in three chunks, so that the lines are the bits of one word */
static const u8 model_orders[] = { 1, 0, 0 };

#define LINE_SIZE	(4 * PAGE_SIZE / 64)
#define ALL_LINES	(~0ULL)

#define MAX_STEPS	24
#define MAX_ACCESSES	3

/* Who writes, beyond the users of &struct heap_cache */
#define CPU		HEAP_CACHE_USERS
#define WRITERS		(HEAP_CACHE_USERS + 1)

static const unsigned int model_users[] = {
	HEAP_CACHE_NONCOHERENT, HEAP_CACHE_NONCOHERENT + 1,
	HEAP_CACHE_COHERENT, HEAP_CACHE_BOUNCING,
};

/**
 * struct model_step - a step, and who wrote what after it
 * @step: the step
 * @writer: one of WRITERS
 * @lines: the lines written
 */
struct model_step {
	struct heap_cache_step step;
	unsigned int writer;
	u64 lines;
};

/**
 * struct model - lines of a buffer, and who may use it how
 * @cache: the real one
 * @whole_lines: accesses do not begin and end within lines; else devices that
 *		 bounce only read, as nothing is known of parts of their copies
 * @rnd: decides what comes next
 * @memory_old: lines of memory that may not be the newest
 * @cache_old: the same in the CPU's caches
 * @cache_dirty: lines there that may be dirty
 * @copy_old: the same as @memory_old where devices that bounce work
 * @copy_new: lines they have written and nobody has copied back
 * @seen: lines whose newest contents each may look at and write
 * @wrote: lines whose newest contents are of each
 * @dir: direction the users have mapped with
 * @writing: lines from the first to the last that the CPU may be writing, which
 *	     grow until it writes no more
 * @accesses: accesses of the CPU that have begun
 * @access_count: how many of them there are
 * @may_be_stale: user space has to begin an access before it writes
 * @steps: what has been done
 * @step_count: how many of them there are
 * @error: what is wrong, NULL if nothing
 * @error_lines: with these lines
 */
struct model {
	struct heap_cache *cache;
	bool whole_lines;
	struct rnd_state rnd;
	u64 memory_old;
	u64 cache_old;
	u64 cache_dirty;
	u64 copy_old[HEAP_CACHE_USERS];
	u64 copy_new;
	u64 seen[WRITERS];
	u64 wrote[WRITERS];
	enum dma_data_direction dir[HEAP_CACHE_USERS];
	u64 writing;
	struct heap_cache_step accesses[MAX_ACCESSES];
	unsigned int access_count;
	bool may_be_stale;
	struct model_step steps[MAX_STEPS + 16];
	unsigned int step_count;
	const char *error;
	u64 error_lines;
};

static u32 random_below(struct model *m, u32 ceil)
{
	return prandom_u32_state(&m->rnd) % ceil;
}

static u64 random_lines(struct model *m)
{
	u64 lines = prandom_u32_state(&m->rnd);

	return lines << 32 | prandom_u32_state(&m->rnd);
}

static u64 lines_between(size_t first, size_t end)
{
	return first < end ? GENMASK_ULL(end - 1, first) : 0;
}

/* Lines all of which is in the range */
static u64 lines_within(size_t start, size_t end)
{
	return lines_between(DIV_ROUND_UP(start, LINE_SIZE), end / LINE_SIZE);
}

/* Lines any of which is in the range */
static u64 lines_touched(size_t start, size_t end)
{
	return lines_between(start / LINE_SIZE, DIV_ROUND_UP(end, LINE_SIZE));
}

static u64 access_lines(const struct heap_cache_step *step)
{
	return lines_within(step->offset, step->offset + step->len);
}

static bool is_write(const struct heap_cache_step *step)
{
	return step->dir != DMA_FROM_DEVICE;
}

static bool user_mapped(struct model *m, unsigned int user)
{
	return m->cache->users[user].mapped;
}

static bool user_writes(struct model *m, unsigned int user)
{
	return user_mapped(m, user) && m->dir[user] != DMA_TO_DEVICE;
}

static bool user_reads(struct model *m, unsigned int user)
{
	return user_mapped(m, user) && m->dir[user] != DMA_FROM_DEVICE;
}

static bool is_noncoherent(unsigned int user)
{
	return user < HEAP_CACHE_COHERENT;
}

static bool is_bouncing(unsigned int user)
{
	return user >= HEAP_CACHE_BOUNCING && user < HEAP_CACHE_USERS;
}

static bool bouncing_writes(struct model *m)
{
	return user_writes(m, HEAP_CACHE_BOUNCING);
}

static bool noncoherent_writes(struct model *m)
{
	return user_writes(m, HEAP_CACHE_NONCOHERENT) ||
	       user_writes(m, HEAP_CACHE_NONCOHERENT + 1);
}

/* Lines that the CPU is about to write in an access */
static u64 lines_in_writing(struct model *m)
{
	unsigned int i;
	u64 lines = 0;

	for (i = 0; i < m->access_count; i++)
		if (is_write(&m->accesses[i]))
			lines |= lines_touched(m->accesses[i].offset,
					       m->accesses[i].offset +
					       m->accesses[i].len);

	return lines;
}

/* From the first to the last line of those that are being written */
static u64 hull(u64 lines)
{
	return lines ? GENMASK_ULL(fls64(lines) - 1, __ffs64(lines)) : 0;
}

static void model_error(struct model *m, u64 lines, const char *error)
{
	if (!lines || m->error)
		return;

	m->error = error;
	m->error_lines = lines;
}

/* What the exporter asked for */

static void model_write_back(struct model *m, u64 lines)
{
	u64 dirty = m->cache_dirty & lines;

	m->memory_old = (m->memory_old & ~dirty) | (m->cache_old & dirty);
	m->cache_dirty &= ~lines;
}

static void model_drop(struct model *m, size_t start, size_t end)
{
	u64 lines = lines_touched(start, end);

	/* To drop a part of a line is to write it back first */
	model_write_back(m, lines & ~lines_within(start, end));
	model_error(m, lines & m->cache_dirty & m->memory_old & ~m->cache_old,
		    "drops dirty lines");

	m->cache_dirty &= ~lines;
	m->cache_old = (m->cache_old & ~lines) | (m->memory_old & lines);
}

static void model_to_user(struct model *m, unsigned int user, size_t start,
			  size_t end)
{
	/* A part of a line is what came from there when the access began */
	u64 lines = lines_within(start, end);

	m->copy_old[user] = (m->copy_old[user] & ~lines) |
			    (m->cache_old & lines);
}

static void model_from_user(struct model *m, unsigned int user, size_t start,
			    size_t end)
{
	u64 within = lines_within(start, end);
	u64 lines = lines_touched(start, end);

	m->cache_old = (m->cache_old & ~within) | (m->copy_old[user] & lines);
	m->cache_dirty |= lines;
	/* A dirty line may be written back at any time */
	m->memory_old |= m->cache_old & lines;
	if (user == HEAP_CACHE_BOUNCING)
		m->copy_new &= ~within;
}

static void model_event(struct model *m, const struct heap_cache_event *event)
{
	switch (event->type) {
	case HEAP_CACHE_WRITE_BACK:
		model_write_back(m, lines_touched(event->start, event->end));
		break;
	case HEAP_CACHE_DROP:
		model_drop(m, event->start, event->end);
		break;
	case HEAP_CACHE_TO_USER:
		if (event->dir != DMA_FROM_DEVICE)
			model_to_user(m, event->user, event->start, event->end);
		break;
	case HEAP_CACHE_FROM_USER:
		if (event->dir != DMA_TO_DEVICE)
			model_from_user(m, event->user, event->start,
					event->end);
		break;
	case HEAP_CACHE_TABLE:
		model_to_user(m, event->user, event->start, event->end);
		break;
	case HEAP_CACHE_UNEXPECTED:
		model_error(m, ALL_LINES, "is not maintenance");
		break;
	}
}

/* Who writes, and who may see it */

static void model_wrote(struct model *m, unsigned int writer, u64 lines)
{
	unsigned int i;

	for (i = 0; i < HEAP_CACHE_USERS; i++)
		if (i != writer)
			m->copy_old[i] |= lines;
	for (i = 0; i < WRITERS; i++) {
		m->seen[i] &= ~lines;
		m->wrote[i] &= ~lines;
	}
	m->seen[writer] |= lines;
	m->wrote[writer] |= lines;
}

static void model_write(struct model *m, unsigned int writer, u64 lines)
{
	if (is_noncoherent(writer)) {
		model_error(m, lines & m->memory_old, "old memory written to");
		model_error(m, lines & m->cache_dirty,
			    "memory written to that has dirty lines");
		m->memory_old &= ~lines;
		m->cache_old |= lines;
	} else if (is_bouncing(writer)) {
		model_error(m, lines & m->copy_old[writer],
			    "old copy written to");
		m->memory_old |= lines;
		m->cache_old |= lines;
		m->copy_new |= lines;
	} else {
		model_error(m, lines & m->cache_old, "stale line written to");
		m->cache_dirty |= lines;
		m->memory_old |= lines;
	}
	model_wrote(m, writer, lines);
}

/* May the copy of a device that writes be older than what the CPU is writing? */
static bool copy_is_older(struct model *m)
{
	return bouncing_writes(m) && lines_in_writing(m);
}

static u64 lines_cpu_may_write(struct model *m)
{
	u64 lines = 0;
	unsigned int i;

	for (i = 0; i < m->access_count; i++)
		if (is_write(&m->accesses[i]))
			lines |= access_lines(&m->accesses[i]);

	if (!bouncing_writes(m) &&
	    (m->cache->vmapped || (m->cache->vma_count && !m->may_be_stale)))
		lines = ALL_LINES;

	return lines & m->seen[CPU];
}

static u64 lines_may_write(struct model *m, unsigned int writer)
{
	if (writer == CPU)
		return lines_cpu_may_write(m);

	if (!user_writes(m, writer) ||
	    (bouncing_writes(m) && !is_bouncing(writer)))
		return 0;

	return m->seen[writer] &
	       ~(is_bouncing(writer) ? m->writing : lines_in_writing(m));
}

static void model_random_write(struct model *m)
{
	struct model_step *last = &m->steps[m->step_count - 1];
	unsigned int i = random_below(m, ARRAY_SIZE(model_users) + 2);
	unsigned int writer = i < ARRAY_SIZE(model_users) ? model_users[i] : CPU;
	u64 lines = lines_may_write(m, writer) & random_lines(m);

	last->writer = writer;
	last->lines = lines;
	if (lines)
		model_write(m, writer, lines);
}

/* After a step, somebody may see more than before */

static void model_user_maps(struct model *m, unsigned int user,
			    enum dma_data_direction dir)
{
	u64 elsewhere = is_bouncing(user) ? 0 : m->copy_new;

	if (m->cache->users[user].mapped == 1)
		m->dir[user] = dir;
	m->seen[user] |= ~elsewhere;
	if (is_noncoherent(user) && dir != DMA_TO_DEVICE)
		m->may_be_stale = true;
}

static void model_user_unmaps(struct model *m, unsigned int user)
{
	unsigned int i;

	for (i = 0; i < HEAP_CACHE_USERS; i++)
		if (user_mapped(m, i) && !is_bouncing(i))
			m->seen[i] |= m->wrote[user];
	if (user_mapped(m, user))
		return;
	m->seen[user] = 0;
	if (is_bouncing(user))
		model_error(m, m->copy_new & ~m->writing,
			    "loses what a device wrote to its copy");
}

static void model_cpu_looks(struct model *m, u64 lines)
{
	m->seen[CPU] |= lines & ~m->copy_new;
	if (lines == ALL_LINES && !noncoherent_writes(m))
		m->may_be_stale = false;
}

/* A copy may be older than what the CPU is in the middle of writing elsewhere */
static void model_access_begins(struct model *m,
				const struct heap_cache_step *step)
{
	u64 lines = access_lines(step);

	model_error(m, lines & m->copy_new & ~m->writing,
		    "leaves out what a device wrote to its copy");
	model_cpu_looks(m, lines);
	if (is_write(step))
		m->writing = hull(m->writing | lines_in_writing(m));
}

static void model_access_ends(struct model *m,
			      const struct heap_cache_step *step)
{
	unsigned int i;

	if (!is_write(step))
		return;

	if (!lines_in_writing(m))
		m->writing = 0;
	for (i = 0; i < HEAP_CACHE_USERS; i++)
		if (user_mapped(m, i))
			m->seen[i] |= access_lines(step) & m->seen[CPU];
}

static void model_after_step(struct model *m, const struct heap_cache_step *step)
{
	switch (step->op) {
	case HEAP_CACHE_MAP:
		model_user_maps(m, step->user, step->dir);
		break;
	case HEAP_CACHE_UNMAP:
		model_user_unmaps(m, step->user);
		break;
	case HEAP_CACHE_BEGIN:
		model_access_begins(m, step);
		break;
	case HEAP_CACHE_END:
		model_access_ends(m, step);
		break;
	case HEAP_CACHE_VMAP:
		model_cpu_looks(m, ALL_LINES);
		break;
	default:
		break;
	}
}

/* Nobody may see anything old */
static void model_look(struct model *m)
{
	u64 in_writing = lines_in_writing(m);
	unsigned int i;

	model_error(m, m->seen[CPU] & m->cache_old, "the CPU sees old lines");

	for (i = 0; i < HEAP_CACHE_USERS; i++) {
		u64 seen = user_reads(m, i) ? m->seen[i] & ~in_writing : 0;

		if (is_noncoherent(i))
			model_error(m, seen & m->memory_old,
				    "a device sees old memory");
		else if (is_bouncing(i))
			model_error(m, seen & m->copy_old[i],
				    "a device sees an old copy");
		else
			model_error(m, seen & m->cache_old,
				    "a device sees old lines");
	}
}

static int model_do(struct model *m, const struct heap_cache_step *step)
{
	struct heap_cache *cache = m->cache;
	unsigned int i;
	int ret;

	m->steps[m->step_count++] = (struct model_step) { .step = *step };

	ret = heap_cache_do(cache, step);
	if (ret)
		return ret;

	if (cache->event_count > HEAP_CACHE_EVENTS)
		return -E2BIG;
	for (i = 0; i < cache->event_count; i++)
		model_event(m, &cache->events[i]);
	model_after_step(m, step);
	model_look(m);

	return 0;
}

/* What comes next */

static enum dma_data_direction random_dir(struct model *m)
{
	return random_below(m, 3);
}

static size_t random_position(struct model *m)
{
	size_t pos = random_below(m, 65) * LINE_SIZE;

	if (pos && !m->whole_lines && !random_below(m, 2))
		pos -= random_below(m, LINE_SIZE);

	return pos;
}

static void random_range(struct model *m, struct heap_cache_step *step)
{
	size_t size = m->cache->dmabuf->size;
	size_t a, b;

	step->offset = 0;
	step->len = size;
	if (random_below(m, 2))
		return;

	a = random_position(m);
	b = random_position(m);
	if (a == b)
		return;

	step->offset = min(a, b);
	step->len = max(a, b) - step->offset;
}

static bool random_user_step(struct model *m, struct heap_cache_step *step)
{
	unsigned int user = model_users[random_below(m, ARRAY_SIZE(model_users))];
	bool map = random_below(m, 2);

	if (is_bouncing(user) && copy_is_older(m))
		return false;

	step->user = user;
	step->op = map ? HEAP_CACHE_MAP : HEAP_CACHE_UNMAP;
	step->dir = random_dir(m);
	if (is_bouncing(user) && !m->whole_lines)
		step->dir = DMA_TO_DEVICE;
	if (!map)
		return user_mapped(m, user);

	if (!user_mapped(m, user))
		return true;

	/* Once more, if it fits */
	step->dir = m->dir[user];
	return m->cache->users[user].mapped < 2 && !random_below(m, 4);
}

static bool random_begin(struct model *m, struct heap_cache_step *step)
{
	if (m->access_count == MAX_ACCESSES || copy_is_older(m))
		return false;

	step->op = HEAP_CACHE_BEGIN;
	step->dir = random_dir(m);
	random_range(m, step);

	return true;
}

static bool random_end(struct model *m, struct heap_cache_step *step)
{
	if (!m->access_count)
		return false;

	*step = m->accesses[random_below(m, m->access_count)];
	step->op = HEAP_CACHE_END;

	return true;
}

static bool random_cpu_map_step(struct model *m, struct heap_cache_step *step)
{
	switch (random_below(m, 4)) {
	case 0:
		step->op = HEAP_CACHE_MMAP;
		step->dir = DMA_BIDIRECTIONAL;
		return m->cache->vma_count < 2;
	case 1:
		step->op = HEAP_CACHE_MUNMAP;
		return m->cache->vma_count;
	case 2:
		step->op = HEAP_CACHE_VMAP;
		return !m->cache->vmapped;
	default:
		step->op = HEAP_CACHE_VUNMAP;
		return m->cache->vmapped;
	}
}

static void random_step(struct model *m, struct heap_cache_step *step)
{
	bool found;

	do {
		memset(step, 0, sizeof(*step));
		switch (random_below(m, 9)) {
		case 0 ... 3:
			found = random_user_step(m, step);
			break;
		case 4 ... 5:
			found = random_begin(m, step);
			break;
		case 6 ... 7:
			found = random_end(m, step);
			break;
		default:
			found = random_cpu_map_step(m, step);
			break;
		}
	} while (!found);
}

/* Keep the model's list of accesses as it is before and after a step */
static void track_access(struct model *m, const struct heap_cache_step *step)
{
	unsigned int i;

	if (step->op == HEAP_CACHE_BEGIN) {
		m->accesses[m->access_count++] = *step;
	} else if (step->op == HEAP_CACHE_END) {
		for (i = 0; i < m->access_count; i++)
			if (m->accesses[i].offset == step->offset &&
			    m->accesses[i].len == step->len &&
			    m->accesses[i].dir == step->dir)
				break;
		m->accesses[i] = m->accesses[--m->access_count];
	}
}

static void model_init(struct model *m, struct heap_cache *cache, u64 from)
{
	memset(m, 0, sizeof(*m));
	m->cache = cache;
	prandom_seed_state(&m->rnd, from);

	m->whole_lines = random_below(m, 2);
	cache->source.cleaned = random_below(m, 2);
	if (!cache->source.cleaned) {
		m->cache_dirty = ALL_LINES;
		m->memory_old = ALL_LINES;
	}
	/* Zeroes are there for all */
	m->seen[CPU] = ALL_LINES;
}

static int model_finish(struct model *m)
{
	struct heap_cache_step step;
	int i, ret;

	while (m->access_count && !m->error) {
		random_end(m, &step);
		track_access(m, &step);
		ret = model_do(m, &step);
		if (ret)
			return ret;
	}

	/* All of it for all devices and for the CPU */
	for (i = 0; i < ARRAY_SIZE(model_users) && !m->error; i++) {
		step = (struct heap_cache_step) { .user = model_users[i] };
		step.op = user_mapped(m, step.user) ? HEAP_CACHE_UNMAP :
						      HEAP_CACHE_MAP;
		step.dir = DMA_TO_DEVICE;
		ret = model_do(m, &step);
		if (ret)
			return ret;
	}
	if (m->error)
		return 0;

	step = (struct heap_cache_step) {
		.op = HEAP_CACHE_BEGIN,
		.dir = DMA_FROM_DEVICE,
		.len = m->cache->dmabuf->size,
	};

	return model_do(m, &step);
}

static int model_sequence(struct model *m)
{
	unsigned int n = MAX_STEPS / 2 + random_below(m, MAX_STEPS / 2);
	struct heap_cache_step step;
	unsigned int i;
	int ret;

	for (i = 0; i < n && !m->error; i++) {
		random_step(m, &step);
		track_access(m, &step);
		ret = model_do(m, &step);
		if (ret)
			return ret;
		if (!m->error && random_below(m, 4))
			model_random_write(m);
	}

	return m->error ? 0 : model_finish(m);
}

static void model_report(struct kunit *test, struct model *m)
{
	char text[64];
	unsigned int i;

	kunit_err(test, "born %s", m->cache->source.cleaned ? "clean" : "dirty");
	for (i = 0; i < m->step_count; i++) {
		struct model_step *step = &m->steps[i];

		heap_cache_print(m->cache, &step->step, text, sizeof(text));
		if (step->lines)
			kunit_err(test, "%s; writer %u, lines %016llx", text,
				  step->writer, step->lines);
		else
			kunit_err(test, "%s", text);
	}
	heap_cache_print_events(m->cache, text, sizeof(text));
	kunit_err(test, "last step: %s", text);
}

static void model_test(struct kunit *test)
{
	struct heap_cache *cache = test->priv;
	struct model *m;
	uint i;
	int ret;

	if (!cache->users[HEAP_CACHE_NONCOHERENT].dev)
		heap_test_skip(test, "noncoherent",
			       "needs a device that goes past the caches");
	if (!cache->users[HEAP_CACHE_BOUNCING].dev)
		heap_test_skip(test, "swiotlb",
			       "needs CONFIG_SWIOTLB, and slots");

	m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);

	for (i = 0; i < count; i++) {
		model_init(m, cache, seed + i);
		heap_cache_alloc(cache, O_RDWR);
		ret = model_sequence(m);
		if (ret || m->error)
			model_report(test, m);
		heap_cache_free(cache);
		KUNIT_ASSERT_EQ_MSG(test, ret, 0, "seed %lu", seed + i);
		KUNIT_ASSERT_NULL_MSG(test, m->error, "seed %lu: %s: %016llx",
				      seed + i, m->error, m->error_lines);
		cond_resched();
	}
	kunit_info(test, "%u sequences", i);
}

static int model_test_init(struct kunit *test)
{
	struct heap_cache *cache = heap_cache_init(test);

	heap_test_source_init(&cache->source, model_orders,
			      ARRAY_SIZE(model_orders));
	cache->source.keep = true;
	test->priv = cache;

	return 0;
}

static struct kunit_case model_test_cases[] = {
	KUNIT_CASE_SLOW(model_test),
	{}
};

static struct kunit_suite model_test_suite = {
	.name = "dma_heap_model",
	.init = model_test_init,
	.test_cases = model_test_cases,
};

kunit_test_suite(model_test_suite);

MODULE_DESCRIPTION("Model of caches to hold the exporter of DMA-BUF heaps against");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);

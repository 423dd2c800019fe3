// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite that compares the exporter of DMA-BUF heaps with a model of caches
 *
 * Each sequence of random steps has a seed. Each run draws a new seed for its first
 * sequence, so no two runs try the same. The parameter "seed" repeats a run. With the
 * seed of a failed sequence, a run begins with that sequence.
 */

#include <linux/array_size.h>
#include <linux/dma-buf.h>
#include <linux/fcntl.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/string.h>

#include <kunit/test.h>

#include "heap_test_cache.h"
#include "heap_test_helpers.h"
#include "heap_test_model.h"

/* A sequence takes more than twenty times as long on a kernel with slow debugging */
#define SEQUENCES	(HEAP_TEST_IS_SLOW ? 800 : 25000)

static uint count = SEQUENCES;
module_param(count, uint, 0444);
MODULE_PARM_DESC(count, "sequences to try");

static unsigned long long seed;
module_param(seed, ullong, 0444);
MODULE_PARM_DESC(seed, "of the first sequence, each next one has the next (default: 0, draw one)");

/* This parameter repeats a sequence */
#define REPEAT		"heap_model_kunit.seed=0x%llx"

/* Four pages in three chunks */
static const u8 model_orders[] = { 1, 0, 0 };

static const unsigned int model_users[] = {
	HEAP_CACHE_NONCOHERENT, HEAP_CACHE_NONCOHERENT + 1,
	HEAP_CACHE_COHERENT, HEAP_CACHE_BOUNCING,
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

static void model_random_write(struct model *m)
{
	struct model_step *last = &m->steps[m->step_count - 1];
	unsigned int i = random_below(m, ARRAY_SIZE(model_users) + 2);
	unsigned int writer = i < ARRAY_SIZE(model_users) ? model_users[i] : CPU;
	u64 lines = model_lines_may_write(m, writer) & random_lines(m);

	last->writer = writer;
	last->lines = lines;
	if (lines)
		model_write(m, writer, lines);
}

/* The functions below draw the next step */

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

	if (model_is_bouncing(user) && model_copy_is_older(m))
		return false;

	step->user = user;
	step->op = map ? HEAP_CACHE_MAP : HEAP_CACHE_UNMAP;
	step->dir = random_dir(m);
	if (model_is_bouncing(user) && !m->whole_lines)
		step->dir = DMA_TO_DEVICE;
	if (!map)
		return model_user_mapped(m, user);

	if (!model_user_mapped(m, user))
		return true;

	/* A second mapping takes the direction of the first one, so it fits */
	step->dir = m->dir[user];
	return m->cache->users[user].mapped < 2 && !random_below(m, 4);
}

static bool random_begin(struct model *m, struct heap_cache_step *step)
{
	if (m->access_count == MAX_ACCESSES || model_copy_is_older(m))
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
		return !m->cache->vmapped && !model_copy_is_older(m);
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

/* Update the model's list of accesses before the step is done */
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
	cache->source.written_back = random_below(m, 2);
	if (!cache->source.written_back) {
		m->cache_dirty = ALL_LINES;
		m->memory_old = ALL_LINES;
	}
	/* The CPU may see the zeroes of a new buffer */
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

	/* Unmap mapped devices, map all others. Then the CPU reads all of the buffer */
	for (i = 0; i < ARRAY_SIZE(model_users) && !m->error; i++) {
		step = (struct heap_cache_step) { .user = model_users[i] };
		step.op = model_user_mapped(m, step.user) ? HEAP_CACHE_UNMAP :
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

	kunit_err(test, "born %s", m->cache->source.written_back ? "clean" : "dirty");
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

static void model_test_sequence(struct kunit *test, struct model *m, u64 from)
{
	struct heap_cache *cache = test->priv;
	int ret;

	model_init(m, cache, from);
	heap_cache_alloc(cache, O_RDWR);
	ret = model_sequence(m);
	if (ret || m->error)
		model_report(test, m);
	heap_cache_free(cache);
	KUNIT_ASSERT_EQ_MSG(test, ret, 0, REPEAT, from);
	KUNIT_ASSERT_NULL_MSG(test, m->error, REPEAT ": %s: %016llx", from,
			      m->error, m->error_lines);
}

static void model_test_nobody_sees_old_lines(struct kunit *test)
{
	struct heap_cache *cache = test->priv;
	struct model *m;
	u64 first;
	uint i;

	if (!cache->users[HEAP_CACHE_NONCOHERENT].dev)
		heap_test_skip(test, "noncoherent",
			       "needs a device that goes past the caches");
	if (!cache->users[HEAP_CACHE_BOUNCING].dev)
		heap_test_skip(test, "swiotlb",
			       "needs CONFIG_SWIOTLB, and slots");

	m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m);

	/* Not 0: the parameter "seed" with 0 draws a new seed */
	first = seed ?: get_random_u64() ?: 1;
	kunit_info(test, "%u sequences, " REPEAT, count, first);

	for (i = 0; i < count; i++) {
		model_test_sequence(test, m, first + i);
		cond_resched();
	}
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
	KUNIT_CASE_SLOW(model_test_nobody_sees_old_lines),
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

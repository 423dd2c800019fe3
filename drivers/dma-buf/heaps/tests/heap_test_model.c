// SPDX-License-Identifier: GPL-2.0
/*
 * A model of caches: see heap_test_model.h
 */

#include <linux/array_size.h>
#include <linux/bitops.h>
#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/math.h>

#include "heap_test_cache.h"
#include "heap_test_model.h"

static u64 lines_between(size_t first, size_t end)
{
	return first < end ? GENMASK_ULL(end - 1, first) : 0;
}

/* Lines that are completely in the range */
static u64 lines_within(size_t start, size_t end)
{
	return lines_between(DIV_ROUND_UP(start, LINE_SIZE), end / LINE_SIZE);
}

/* Lines that are at least partly in the range */
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

static bool user_writes(struct model *m, unsigned int user)
{
	return model_user_mapped(m, user) && m->dir[user] != DMA_TO_DEVICE;
}

static bool user_reads(struct model *m, unsigned int user)
{
	return model_user_mapped(m, user) && m->dir[user] != DMA_FROM_DEVICE;
}

static bool is_noncoherent(unsigned int user)
{
	return user < HEAP_CACHE_COHERENT;
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

/* Lines that the CPU may write in its current accesses */
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

/* All lines from the first to the last of @lines */
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

/* The maintenance that the exporter asked for */

static void model_write_back(struct model *m, u64 lines)
{
	u64 dirty = m->cache_dirty & lines;

	m->memory_old = (m->memory_old & ~dirty) | (m->cache_old & dirty);
	m->cache_dirty &= ~lines;
}

static void model_drop(struct model *m, size_t start, size_t end)
{
	u64 lines = lines_touched(start, end);

	/* The CPU writes back a line before it invalidates a part of it */
	model_write_back(m, lines & ~lines_within(start, end));
	model_error(m, lines & m->cache_dirty & m->memory_old & ~m->cache_old,
		    "drops dirty lines");

	m->cache_dirty &= ~lines;
	m->cache_old = (m->cache_old & ~lines) | (m->memory_old & lines);
}

static void model_to_user(struct model *m, unsigned int user, size_t start,
			  size_t end)
{
	/* The rest of a partly covered line came from the copy when the access began */
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

/* Writes, and the users that may see them */

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

/* Let @writer write lines. The lines must be the newest in the place it writes to */
void model_write(struct model *m, unsigned int writer, u64 lines)
{
	if (is_noncoherent(writer)) {
		model_error(m, lines & m->memory_old, "old memory written to");
		model_error(m, lines & m->cache_dirty,
			    "memory written to that has dirty lines");
		m->memory_old &= ~lines;
		m->cache_old |= lines;
	} else if (model_is_bouncing(writer)) {
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

/* May a writing device's copy be older than what the CPU is writing? */
bool model_copy_is_older(struct model *m)
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

/* Lines that @writer may write now */
u64 model_lines_may_write(struct model *m, unsigned int writer)
{
	if (writer == CPU)
		return lines_cpu_may_write(m);

	if (!user_writes(m, writer) ||
	    (bouncing_writes(m) && !model_is_bouncing(writer)))
		return 0;
	/* The end of a kernel mapping overwrites the device's copy */
	if (model_is_bouncing(writer) && m->cache->vmapped)
		return 0;

	return m->seen[writer] &
	       ~(model_is_bouncing(writer) ? m->writing : lines_in_writing(m));
}

/* After a step, a user may see more than before */

static void model_user_maps(struct model *m, unsigned int user,
			    enum dma_data_direction dir)
{
	u64 elsewhere = model_is_bouncing(user) ? 0 : m->copy_new;

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
		if (model_user_mapped(m, i) && !model_is_bouncing(i))
			m->seen[i] |= m->wrote[user];
	if (model_user_mapped(m, user))
		return;
	m->seen[user] = 0;
	if (model_is_bouncing(user))
		model_error(m, m->copy_new & ~m->writing,
			    "loses what a device wrote to its copy");
}

static void model_cpu_looks(struct model *m, u64 lines)
{
	m->seen[CPU] |= lines & ~m->copy_new;
	if (lines == ALL_LINES && !noncoherent_writes(m))
		m->may_be_stale = false;
}

/* A copy may be older than the lines that another access is writing */
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
		if (model_user_mapped(m, i))
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

/* Check that no user sees old lines */
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
		else if (model_is_bouncing(i))
			model_error(m, seen & m->copy_old[i],
				    "a device sees an old copy");
		else
			model_error(m, seen & m->cache_old,
				    "a device sees old lines");
	}
}

/* Do a step with the buffer and the model, and check the model after it */
int model_do(struct model *m, const struct heap_cache_step *step)
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

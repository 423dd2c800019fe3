/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A model of caches, to hold the exporter of DMA-BUF heaps against
 *
 * Steps are done with a buffer, and between them devices and the CPU write some
 * lines, where they may. The maintenance that the exporter asks for is done to the
 * model, which knows of each line where its newest contents may be missing: in
 * memory, in the CPU's caches, in the copy of a device that bounces. "May" is all
 * that caches could have done by themselves: fetch any line at any time, and write
 * back a dirty one. After each step, nobody who may look may see anything but the
 * newest.
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
#ifndef _HEAP_TEST_MODEL_H
#define _HEAP_TEST_MODEL_H

#include <linux/dma-direction.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/types.h>

#include "heap_test_cache.h"

/* A line for each bit of a word, in four pages */
#define LINE_SIZE	(4 * PAGE_SIZE / 64)
#define ALL_LINES	(~0ULL)

#define MAX_STEPS	24
#define MAX_ACCESSES	3

/* Who writes, beyond the users of &struct heap_cache */
#define CPU		HEAP_CACHE_USERS
#define WRITERS		(HEAP_CACHE_USERS + 1)

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

static inline bool model_user_mapped(struct model *m, unsigned int user)
{
	return m->cache->users[user].mapped;
}

static inline bool model_is_bouncing(unsigned int user)
{
	return user >= HEAP_CACHE_BOUNCING && user < HEAP_CACHE_USERS;
}

bool model_copy_is_older(struct model *m);
u64 model_lines_may_write(struct model *m, unsigned int writer);
void model_write(struct model *m, unsigned int writer, u64 lines);
int model_do(struct model *m, const struct heap_cache_step *step);

#endif /* _HEAP_TEST_MODEL_H */

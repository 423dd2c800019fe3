/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A model of caches, to compare the exporter of DMA-BUF heaps with
 *
 * The test does steps with a buffer. Between two steps, devices and the CPU write some
 * lines, where they may. The model does the maintenance that the exporter asks for. It
 * knows for each line which places may lack the newest contents: memory, the CPU's
 * caches, or the copy of a device that gets copies (swiotlb). "May" covers all that
 * caches can do by themselves: fetch any line at any time, and write back a dirty
 * line. After each step, a user that may look must see only the newest contents.
 *
 * Rules for looking and writing, because a line is written in parts:
 * - The CPU sees what was written before an access began, or before the kernel mapped
 *   the buffer. It also sees its own writes.
 * - A device sees what was written before it was mapped. While it is mapped, it sees
 *   what the CPU wrote in an access that has ended. It also sees what another device
 *   wrote that has been unmapped, unless it gets copies.
 * - Until a CPU access ends, no device may use the lines that the access may write.
 * - While a device that gets copies is mapped to write, only that device and the CPU in
 *   an access may write. During such an access, no other access begins, and the device
 *   is neither mapped again nor unmapped: the copy comes back as a whole.
 * - User space may write without an access as long as no noncoherent device can have
 *   written.
 */
#ifndef _HEAP_TEST_MODEL_H
#define _HEAP_TEST_MODEL_H

#include <linux/dma-direction.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/types.h>

#include "heap_test_cache.h"

/* A line for each bit of a u64, in four pages */
#define LINE_SIZE	(4 * PAGE_SIZE / 64)
#define ALL_LINES	(~0ULL)

#define MAX_STEPS	24
#define MAX_ACCESSES	3

/* The CPU also writes, besides the users of &struct heap_cache */
#define CPU		HEAP_CACHE_USERS
#define WRITERS		(HEAP_CACHE_USERS + 1)

/**
 * struct model_step - a step, and a write after it
 * @step: the step
 * @writer: the writer, one of WRITERS
 * @lines: the written lines
 */
struct model_step {
	struct heap_cache_step step;
	unsigned int writer;
	u64 lines;
};

/**
 * struct model - lines of a buffer, and their users
 * @cache: the real buffer and its users
 * @whole_lines: accesses do not begin or end within a line; if not set, a device that
 *		 gets copies only reads, because the model does not know parts of copies
 * @rnd: decides what comes next
 * @memory_old: lines that may be old in memory
 * @cache_old: lines that may be old in the CPU's caches
 * @cache_dirty: lines that may be dirty in the CPU's caches
 * @copy_old: lines that may be old in each user's copy
 * @copy_new: lines that a device wrote to its copy and that are not copied back
 * @seen: lines whose newest contents each writer may look at and write
 * @wrote: lines whose newest contents are from each writer
 * @dir: direction of the mapping of each user
 * @writing: all lines from the first to the last that the CPU may be writing; grows
 *	     until the CPU writes no more
 * @accesses: CPU accesses that have begun and not ended
 * @access_count: number of @accesses
 * @may_be_stale: user space must begin an access before it writes
 * @steps: steps so far
 * @step_count: number of @steps
 * @error: what is wrong, NULL if nothing
 * @error_lines: lines that have the error
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

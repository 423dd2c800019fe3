/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of the pool share: heap_pool.c keeps backings, the scrubber
 * makes them clean, reclaim takes them away, files show them.
 */
#ifndef _DMA_HEAP_POOL_INTERNAL_H
#define _DMA_HEAP_POOL_INTERNAL_H

#include <linux/hashtable.h>
#include <linux/hrtimer.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/notifier.h>
#include <linux/pfn.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

#include "heap_backing.h"
#include "heap_pool.h"

struct dentry;
struct task_struct;

#define POOL_BIN_BITS	6

/* Bits of dma_heap_pool.flags */
enum {
	POOL_HURRIED,		/* the scrubber has a normal weight */
	POOL_DECAY_CHANGED,	/* it has to look at the decay again */
};

/**
 * struct dma_heap_pool_bin - all backings of one size and node
 * @node: entry in the pool's table
 * @size: bytes
 * @nid: NUMA node
 * @users: backings that point here, those that buffers have included
 * @keep: how many the decay leaves, see dma_heap_pool_prefill()
 * @count: how many are in @clean and @dirty
 * @clean: scrubbed ones, newest first
 * @dirty: others, newest first
 */
struct dma_heap_pool_bin {
	struct hlist_node node;
	size_t size;
	int nid;
	unsigned long users;
	unsigned int keep;
	unsigned int count;
	struct list_head clean;
	struct list_head dirty;
};

/**
 * struct dma_heap_pool_node - what a pool has of a NUMA node
 * @clean: scrubbed backings, oldest first
 * @dirty: others, oldest first
 * @pages: pages in both; reclaim reads it without the lock
 */
struct dma_heap_pool_node {
	struct list_head clean;
	struct list_head dirty;
	unsigned long pages;
};

/**
 * struct dma_heap_pool - backings kept for the next buffers
 * @base: what the exporter allocates from
 * @source: where backings come from and go to in the end
 * @name: of the heap, for thread, shrinker and files
 * @lock: protects all that follows up to @stats, and the pool's part of
 *	  backings. Innermost, taken in reclaim: nothing is allocated, freed or
 *	  scrubbed under it.
 * @bins: &struct dma_heap_pool_bin by size
 * @pages: all pages in the pool, those being scrubbed included
 * @clean_pages: scrubbed ones of these
 * @max_pages: the cap
 * @nid: node of all memory of the source, or NUMA_NO_NODE
 * @wanted: how many want all that is here back in the source, keep nothing
 * @decay: how long a backing stays unwanted, in jiffies
 * @pressure_until: no backing is kept before that time, in jiffies
 * @debt_until: freeing tasks scrub before that time, in jiffies
 * @scrubbing: the backing the scrubber is at, in no list
 * @paying_pages: pages freeing tasks are scrubbing, not in the pool yet
 * @leaving_pages: pages taken out of the pool that the source does not have yet
 * @passed: how often a backing has come here, become clean, or gone to the source:
 *	    who found no memory there before may now
 * @stats: counters, without the two of pages
 * @wait: where the scrubber waits for work
 * @others: where others wait for it, and for what is leaving
 * @alarm: wakes the scrubber a little later
 * @scrubber: the thread
 * @flags: what is agreed on with the scrubber
 * @shrinker: for reclaim
 * @oom_nb: for the OOM killer
 * @debugfs: directory
 * @node: entry among all pools
 * @nodes: one for each possible NUMA node
 */
struct dma_heap_pool {
	struct dma_heap_source base;
	struct dma_heap_source *source;
	const char *name;

	/* Innermost */
	spinlock_t lock;
	DECLARE_HASHTABLE(bins, POOL_BIN_BITS);
	unsigned long pages;
	unsigned long clean_pages;
	unsigned long max_pages;
	int nid;
	unsigned int wanted;
	unsigned long decay;
	u64 pressure_until;
	u64 debt_until;
	struct dma_heap_backing *scrubbing;
	unsigned long paying_pages;
	unsigned long leaving_pages;
	unsigned long passed;
	struct dma_heap_pool_stats stats;

	wait_queue_head_t wait;
	wait_queue_head_t others;
	struct hrtimer alarm;
	struct task_struct *scrubber;
	unsigned long flags;

	struct shrinker *shrinker;
	struct notifier_block oom_nb;
	struct dentry *debugfs;
	struct list_head node;

	struct dma_heap_pool_node nodes[];
};

static inline unsigned long backing_pages(const struct dma_heap_backing *backing)
{
	return PHYS_PFN(backing->size);
}

/* heap_pool.c, all with the lock held but for the last three */
struct dma_heap_backing *dma_heap_pool_oldest_clean(struct dma_heap_pool *pool,
						    int nid);
struct dma_heap_backing *dma_heap_pool_oldest_dirty(struct dma_heap_pool *pool,
						    int nid);
void dma_heap_pool_link(struct dma_heap_pool *pool,
			struct dma_heap_backing *backing);
void dma_heap_pool_unlink(struct dma_heap_pool *pool,
			  struct dma_heap_backing *backing);
void dma_heap_pool_account(struct dma_heap_pool *pool,
			   struct dma_heap_backing *backing, int sign);
void dma_heap_pool_remove(struct dma_heap_pool *pool,
			  struct dma_heap_backing *backing,
			  struct list_head *removed);
bool dma_heap_pool_make_room(struct dma_heap_pool *pool, unsigned long pages,
			     struct list_head *removed);
bool dma_heap_pool_may_keep(struct dma_heap_pool *pool,
			    struct dma_heap_backing *backing);
void dma_heap_pool_leak(struct dma_heap_pool *pool,
			struct dma_heap_backing *backing,
			struct list_head *removed);
void dma_heap_pool_let_go(struct dma_heap_pool *pool,
			  struct dma_heap_backing *backing,
			  struct list_head *removed);
void dma_heap_pool_pass(struct dma_heap_pool *pool);
void dma_heap_pool_wake_others(struct dma_heap_pool *pool);
void dma_heap_pool_release(struct dma_heap_pool *pool,
			   struct list_head *removed);
unsigned long dma_heap_pool_trim(struct dma_heap_pool *pool, int nid,
				 unsigned long nr_pages);

/* heap_pool_scrub.c */
int dma_heap_pool_scrub(struct dma_heap_pool *pool,
			struct dma_heap_backing *backing,
			bool (*stop)(struct dma_heap_pool *pool));
bool dma_heap_pool_dirty(struct dma_heap_pool *pool);
void dma_heap_pool_wake(struct dma_heap_pool *pool);
void dma_heap_pool_wake_scrubber(struct dma_heap_pool *pool,
				 unsigned long dirty_pages);
void dma_heap_pool_rush_scrubber(struct dma_heap_pool *pool);
void dma_heap_pool_change_decay(struct dma_heap_pool *pool);
int dma_heap_pool_start_scrubber(struct dma_heap_pool *pool);
void dma_heap_pool_stop_scrubber(struct dma_heap_pool *pool);

/* heap_pool_reclaim.c */
int dma_heap_pool_reclaim_init(struct dma_heap_pool *pool);
void dma_heap_pool_reclaim_fini(struct dma_heap_pool *pool);
unsigned long dma_heap_pool_shrink_all(struct dma_heap_pool *pool,
				       unsigned long *counted);

/* heap_pool_files.c */
void dma_heap_pool_files_init(struct dma_heap_pool *pool);
void dma_heap_pool_files_fini(struct dma_heap_pool *pool);

#endif /* _DMA_HEAP_POOL_INTERNAL_H */

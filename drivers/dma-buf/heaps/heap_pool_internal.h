/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The files of the pool share these: heap_pool.c keeps backings, heap_pool_scrub.c
 * zeroes them, heap_pool_reclaim.c gives them back to the source and heap_pool_shrink.c
 * to the system, heap_pool_sysfs.c shows them.
 */
#ifndef _DMA_HEAP_POOL_INTERNAL_H
#define _DMA_HEAP_POOL_INTERNAL_H

#include <linux/hashtable.h>
#include <linux/hrtimer.h>
#include <linux/list.h>
#include <linux/notifier.h>
#include <linux/pfn.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "heap_pool.h"
#include "heap_source.h"

struct dentry;
struct task_struct;

#define POOL_BIN_BITS	6

/* Lists by state: POOL_ZEROED and POOL_DIRTY, the one of POOL_OUT is not used */
#define POOL_NR_LISTS	(POOL_DIRTY + 1)

/**
 * struct dma_heap_pool_bin - all backings of one size and node
 * @node: entry in the pool's table
 * @size: bytes
 * @nid: NUMA node
 * @users: backings that point here, those of buffers included
 * @keep: how many ageing leaves, see dma_heap_pool_prefill()
 * @count: how many are in the pool
 * @debt: pages that freeing tasks have to scrub, if they come in time
 * @debt_until: when the debt is over, in jiffies
 * @pages: pages by state
 * @lists: backings by state, newest first
 */
struct dma_heap_pool_bin {
	struct hlist_node node;
	size_t size;
	int nid;
	unsigned long users;
	unsigned int keep;
	unsigned int count;
	unsigned long debt;
	u64 debt_until;
	unsigned long pages[POOL_NR_LISTS];
	struct list_head lists[POOL_NR_LISTS];
};

/**
 * struct dma_heap_pool_node - the backings of a pool on a NUMA node
 * @lists: backings by state, oldest first
 * @pages: pages in all lists; reclaim reads it without the lock
 */
struct dma_heap_pool_node {
	struct list_head lists[POOL_NR_LISTS];
	unsigned long pages;
};

/**
 * struct dma_heap_pool - backings kept for the next buffers
 * @source: where backings come from and go to in the end
 * @name: of the heap, for thread, shrinker and files
 * @nid: node of all memory of the source, or NUMA_NO_NODE
 * @lock: protects all that follows up to @stats, and the pool's part of
 *	  backings. Taken in reclaim: nothing is allocated, freed or scrubbed
 *	  under it.
 * @bins: &struct dma_heap_pool_bin by size
 * @pages: pages by state; POOL_OUT has no meaning
 * @max_pages: the cap
 * @decay: how long a backing stays unused, in jiffies
 * @no_keep: how many allocations wait for memory; the pool keeps nothing meanwhile
 * @no_keep_until: the pool keeps nothing before that time either, in jiffies
 * @progress: how often a backing has ceased to be POOL_SCRUBBING or POOL_LEAVING
 * @stats: counters, without the two of pages
 * @scrub_wq: where the scrubber waits for work
 * @progress_wq: where tasks wait for @progress
 * @wake_timer: wakes the scrubber a little after a free
 * @scrubber: the thread
 * @age_work: evicts backings that are unused for long
 * @idle_shrinker: gives idle backings to reclaim, NULL if the source is reserved
 * @shrinker: gives all backings to direct reclaim, NULL if the source is reserved
 * @oom_nb: for the OOM killer
 * @debugfs: directory
 * @node: entry among all pools
 * @nodes: one for each possible NUMA node
 */
struct dma_heap_pool {
	struct dma_heap_source *source;
	const char *name;
	int nid;

	spinlock_t lock;	/* see above */
	DECLARE_HASHTABLE(bins, POOL_BIN_BITS);
	unsigned long pages[POOL_NR_STATES];
	unsigned long max_pages;
	unsigned long decay;
	unsigned int no_keep;
	u64 no_keep_until;
	unsigned long progress;
	struct dma_heap_pool_stats stats;

	wait_queue_head_t scrub_wq;
	wait_queue_head_t progress_wq;
	struct hrtimer wake_timer;
	struct task_struct *scrubber;
	struct delayed_work age_work;

	struct shrinker *idle_shrinker;
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

/* heap_source.c */
int dma_heap_source_scrub(struct dma_heap_source *source, struct page *page,
			  size_t len, bool write_back);

/* heap_pool.c: the first five without the lock, all others with it */
struct dma_heap_backing *dma_heap_pool_get(struct dma_heap_pool *pool,
					   size_t size);
void dma_heap_pool_put(struct dma_heap_pool *pool,
		       struct dma_heap_backing *backing);
void dma_heap_pool_discard(struct dma_heap_pool *pool,
			   struct dma_heap_backing *backing);
void dma_heap_pool_dispose(struct dma_heap_pool *pool,
			   struct list_head *leaving);
unsigned long dma_heap_pool_sum(struct dma_heap_pool *pool,
				unsigned long (*sum)(struct dma_heap_pool *pool));
void dma_heap_pool_set_state(struct dma_heap_pool *pool,
			     struct dma_heap_backing *backing,
			     enum dma_heap_pool_state state);
unsigned long dma_heap_pool_kept(struct dma_heap_pool *pool);
unsigned long dma_heap_pool_unzeroed(struct dma_heap_pool *pool);
struct dma_heap_backing *dma_heap_pool_full_next(struct dma_heap_pool *pool);
struct dma_heap_backing *dma_heap_pool_oldest(struct dma_heap_pool *pool,
					      int nid,
					      enum dma_heap_pool_state state);
struct dma_heap_backing *dma_heap_pool_oldest_worthless(struct dma_heap_pool *pool,
							int nid);
bool dma_heap_pool_may_keep(struct dma_heap_pool *pool,
			    struct dma_heap_backing *backing);
void dma_heap_pool_evict(struct dma_heap_pool *pool,
			 struct dma_heap_backing *backing, u64 *reason,
			 struct list_head *leaving);
void dma_heap_pool_settle(struct dma_heap_pool *pool,
			  struct dma_heap_backing *backing, int scrub_error,
			  u64 *reason, struct list_head *leaving);

/* heap_pool_scrub.c */
int dma_heap_pool_scrub(struct dma_heap_pool *pool,
			struct dma_heap_backing *backing,
			bool (*stop)(struct dma_heap_pool *pool,
				     struct dma_heap_backing *backing));
void dma_heap_pool_wake_scrubber(struct dma_heap_pool *pool);
void dma_heap_pool_wake_scrubber_later(struct dma_heap_pool *pool);
int dma_heap_pool_start_scrubber(struct dma_heap_pool *pool);
void dma_heap_pool_stop_scrubber(struct dma_heap_pool *pool);

/* heap_pool_reclaim.c */
bool dma_heap_pools_are_over_cap(void);
void dma_heap_pools_trim(void);
unsigned long dma_heap_pools_total(void);
void dma_heap_pool_wait_scrubbed(struct dma_heap_pool *pool);
void dma_heap_pool_empty(struct dma_heap_pool *pool, unsigned long timeout);
unsigned long dma_heap_pool_trim(struct dma_heap_pool *pool, int nid,
				 unsigned long nr_pages, unsigned long age);
void dma_heap_pool_reclaim_init(struct dma_heap_pool *pool);
void dma_heap_pool_reclaim_fini(struct dma_heap_pool *pool);

/* The next two with the lock held */
struct dma_heap_backing *dma_heap_pool_next(struct dma_heap_pool *pool, int nid,
					    unsigned long age);
unsigned long dma_heap_pool_held(struct dma_heap_pool *pool);

/* heap_pool_shrink.c */
void dma_heap_pool_shrink_all(struct dma_heap_pool *pool);
int dma_heap_pool_shrink_init(struct dma_heap_pool *pool);
void dma_heap_pool_shrink_fini(struct dma_heap_pool *pool);

/* heap_pool_sysfs.c */
void dma_heap_pool_add_debugfs(struct dma_heap_pool *pool);
void dma_heap_pool_remove_debugfs(struct dma_heap_pool *pool);

#endif /* _DMA_HEAP_POOL_INTERNAL_H */

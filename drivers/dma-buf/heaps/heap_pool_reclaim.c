// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: how memory leaves a pool
 *
 * A worker evicts backings that are unused for long. A task that frees evicts what is
 * too much in all pools. An allocation gets back what the source needs for it. See
 * heap_pool_shrink.c for reclaim.
 */

#include <kunit/visibility.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/pfn.h>
#include <linux/topology.h>
#include <linux/vmstat.h>
#include <trace/events/dma_heap.h>

#include "heap_pool_internal.h"

static unsigned int max_total_percent = 25;
module_param(max_total_percent, uint, 0644);
MODULE_PARM_DESC(max_total_percent, "What all pools together may hold, in percent of RAM (default 25)");

/* An allocation waits so long for backings that other tasks have in their hands */
#define POOL_SHORTAGE	HZ

/* How long a pool that goes waits for its last scrubs */
#define POOL_LAST_SCRUBS	(60 * HZ)

/* Ageing need not be more exact than that */
#define POOL_AGE_SLACK	((unsigned long)HZ / 20)

/* Has the backing been unused for as many jiffies? */
static bool is_older(struct dma_heap_backing *backing, unsigned long age)
{
	return backing && time_after_eq(jiffies, backing->freed + age);
}

/* The next one to evict that is of that age, dirty ones first: they cost a scrub */
struct dma_heap_backing *dma_heap_pool_next(struct dma_heap_pool *pool, int nid,
					    unsigned long age)
{
	struct dma_heap_backing *backing;

	backing = dma_heap_pool_oldest_worthless(pool, nid);
	if (is_older(backing, age))
		return backing;

	backing = dma_heap_pool_oldest(pool, nid, POOL_ZEROED);

	return is_older(backing, age) ? backing : NULL;
}

/* Evict at least @nr_pages of a node, as far as they are of that age; returns how many */
unsigned long dma_heap_pool_trim(struct dma_heap_pool *pool, int nid,
				 unsigned long nr_pages, unsigned long age)
{
	struct dma_heap_backing *backing;
	unsigned long pages = 0;
	LIST_HEAD(leaving);

	spin_lock(&pool->lock);
	while (pages < nr_pages) {
		backing = dma_heap_pool_next(pool, nid, age);
		if (!backing)
			break;
		pages += backing_pages(backing);
		dma_heap_pool_evict(pool, backing, &pool->stats.shrunk_pages,
				    &leaving);
	}
	spin_unlock(&pool->lock);
	if (pages)
		trace_dma_heap_shrink(pool->name, pages);

	dma_heap_pool_dispose(pool, &leaving);

	return pages;
}

/**
 * dma_heap_pool_drain - give everything in a pool back to the source
 * @pool: the pool
 *
 * Backings being scrubbed stay. If the source is reserved, dirty ones stay, too.
 *
 * Context: Any process context, also while reclaiming memory. May sleep.
 *
 * Return: How many pages that were.
 */
unsigned long dma_heap_pool_drain(struct dma_heap_pool *pool)
{
	unsigned long freed, total = 0;
	int nid;

	for_each_node(nid) {
		do {
			freed = dma_heap_pool_trim(pool, nid, MAX_ORDER_NR_PAGES, 0);
			total += freed;
			cond_resched();
		} while (freed);
	}

	return total;
}
EXPORT_SYMBOL_IF_KUNIT(dma_heap_pool_drain);

/**
 * dma_heap_pool_make_way - give memory back for chunks that are larger than a page
 * @pool: the pool
 * @size: bytes
 *
 * An allocation of large chunks does not wait for reclaim, and so gets nothing from the
 * pool by way of its shrinker. This gives it the backings of the node that have been
 * unused for longest.
 *
 * Context: Process context, no lock held. May sleep.
 *
 * Return: Has the pool given anything back?
 */
bool dma_heap_pool_make_way(struct dma_heap_pool *pool, size_t size)
{
	return dma_heap_pool_trim(pool, numa_mem_id(), PHYS_PFN(size), 0);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_make_way, DMA_BUF_HEAP);

/* All pools together */

static LIST_HEAD(pools);
static DEFINE_MUTEX(pools_lock);

/* Only pools count there: this is what all of them hold, but for reserved memory */
bool dma_heap_pools_are_over_cap(void)
{
	unsigned int percent = min(READ_ONCE(max_total_percent), 100u);

	return global_node_page_state(NR_KERNEL_MISC_RECLAIMABLE) >
	       totalram_pages() / 100 * percent;
}

/* The pool whose oldest backing is the oldest of all, NULL if all are empty */
static struct dma_heap_pool *pools_oldest(void)
{
	struct dma_heap_pool *pool, *oldest = NULL;
	struct dma_heap_backing *backing;
	unsigned long age, most = 0;

	lockdep_assert_held(&pools_lock);

	list_for_each_entry(pool, &pools, node) {
		spin_lock(&pool->lock);
		backing = dma_heap_pool_full_next(pool);
		age = backing ? jiffies - backing->freed : 0;
		spin_unlock(&pool->lock);
		if (backing && (!oldest || age > most)) {
			oldest = pool;
			most = age;
		}
	}

	return oldest;
}

static void pool_evict_oldest(struct dma_heap_pool *pool)
{
	struct dma_heap_backing *backing;
	LIST_HEAD(leaving);

	spin_lock(&pool->lock);
	backing = dma_heap_pool_full_next(pool);
	if (backing)
		dma_heap_pool_evict(pool, backing, &pool->stats.evicted_pages,
				    &leaving);
	spin_unlock(&pool->lock);

	dma_heap_pool_dispose(pool, &leaving);
}

/* Evict what has been unused for longest in any pool, until they are below the cap */
void dma_heap_pools_trim(void)
{
	struct dma_heap_pool *pool;

	mutex_lock(&pools_lock);
	while (dma_heap_pools_are_over_cap()) {
		pool = pools_oldest();
		if (!pool)
			break;
		pool_evict_oldest(pool);
		cond_resched();
	}
	mutex_unlock(&pools_lock);
}

unsigned long dma_heap_pools_total(void)
{
	struct dma_heap_pool *pool;
	unsigned long pages = 0;

	mutex_lock(&pools_lock);
	list_for_each_entry(pool, &pools, node)
		pages += dma_heap_pool_sum(pool, dma_heap_pool_kept);
	mutex_unlock(&pools_lock);

	return pages;
}

/* Ageing */

/*
 * Evict the backings of a node that are too old. Prefilled ones stay and count as new
 * again. Returns in how many jiffies the next one is due, or MAX_JIFFY_OFFSET.
 */
static unsigned long pool_age_node(struct dma_heap_pool *pool, int nid,
				   struct list_head *leaving)
{
	struct dma_heap_backing *backing;

	lockdep_assert_held(&pool->lock);

	while ((backing = dma_heap_pool_oldest(pool, nid, POOL_ZEROED))) {
		unsigned long due = backing->freed + pool->decay;

		if (time_before(jiffies, due))
			return due - jiffies;

		if (backing->bin->count > backing->bin->keep) {
			dma_heap_pool_evict(pool, backing,
					    &pool->stats.decayed_pages, leaving);
			continue;
		}
		backing->freed = jiffies;
		list_move_tail(&backing->in_pool,
			       &pool->nodes[nid].lists[POOL_ZEROED]);
	}

	return MAX_JIFFY_OFFSET;
}

static void pool_age(struct work_struct *work)
{
	struct dma_heap_pool *pool = container_of(to_delayed_work(work),
						  struct dma_heap_pool,
						  age_work);
	unsigned long next = MAX_JIFFY_OFFSET;
	LIST_HEAD(leaving);
	u64 decayed;
	int nid;

	spin_lock(&pool->lock);
	decayed = pool->stats.decayed_pages;
	for_each_node(nid)
		next = min(next, pool_age_node(pool, nid, &leaving));
	decayed = pool->stats.decayed_pages - decayed;
	/* Under the lock, or a change of the decay could come in between and be lost */
	if (next != MAX_JIFFY_OFFSET)
		mod_delayed_work(system_freezable_power_efficient_wq,
				 &pool->age_work, max(next, POOL_AGE_SLACK));
	spin_unlock(&pool->lock);
	if (decayed)
		trace_dma_heap_decay(pool->name, decayed);

	dma_heap_pool_dispose(pool, &leaving);
}

/* Pages in the pool, and on their way from there to the source */
unsigned long dma_heap_pool_held(struct dma_heap_pool *pool)
{
	lockdep_assert_held(&pool->lock);

	return dma_heap_pool_kept(pool) + pool->pages[POOL_LEAVING];
}

/*
 * Give back all pages, also those that the scrubber or another task has in its hands,
 * if they come in time: the scrubber stops when it notices that the pool keeps nothing.
 */
void dma_heap_pool_empty(struct dma_heap_pool *pool, unsigned long timeout)
{
	dma_heap_pool_drain(pool);
	wait_event_timeout(pool->progress_wq,
			   !dma_heap_pool_sum(pool, dma_heap_pool_held), timeout);
}

/* Shortage of a source */

/**
 * dma_heap_pool_count - how much memory of the source a pool could give back
 * @pool: the pool
 *
 * Context: Any process context. Does not sleep.
 *
 * Return: Pages, also those that tasks are scrubbing or giving back.
 */
unsigned long dma_heap_pool_count(struct dma_heap_pool *pool)
{
	return dma_heap_pool_sum(pool, dma_heap_pool_held);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_count, DMA_BUF_HEAP);

/**
 * dma_heap_pool_begin_shortage - give memory back to the source that is short of it
 * @pool: the pool
 * @nr_pages: how many pages. If the pool has no more than that, it gives back all.
 *
 * An allocation from the source calls it before it would fail. To give back all, the
 * function waits up to a second for backings being scrubbed. Until
 * dma_heap_pool_end_shortage() the pool keeps nothing: tasks that free could fill it
 * before the allocation looks again.
 *
 * Context: Process context, with no lock that freeing needs. May sleep, but does
 * not allocate memory.
 */
void dma_heap_pool_begin_shortage(struct dma_heap_pool *pool,
				  unsigned long nr_pages)
{
	unsigned long freed = 0;
	int nid;

	spin_lock(&pool->lock);
	pool->no_keep++;
	spin_unlock(&pool->lock);

	for_each_node(nid)
		if (freed < nr_pages)
			freed += dma_heap_pool_trim(pool, nid, nr_pages - freed,
						    0);
	if (freed < nr_pages)
		dma_heap_pool_empty(pool, POOL_SHORTAGE);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_begin_shortage, DMA_BUF_HEAP);

/**
 * dma_heap_pool_end_shortage - end what dma_heap_pool_begin_shortage() began
 * @pool: the pool
 *
 * An allocation that began before there was the pool may call it, too. That changes
 * nothing, or ends another shortage a little early.
 *
 * Context: Process context.
 */
void dma_heap_pool_end_shortage(struct dma_heap_pool *pool)
{
	spin_lock(&pool->lock);
	if (pool->no_keep)
		pool->no_keep--;
	spin_unlock(&pool->lock);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_end_shortage, DMA_BUF_HEAP);

static bool pool_trim_one(struct dma_heap_pool *pool)
{
	int nid;

	for_each_node(nid)
		if (dma_heap_pool_trim(pool, nid, 1, 0))
			return true;

	return false;
}

static void pool_count_wait(struct dma_heap_pool *pool, ktime_t begin)
{
	s64 us = ktime_us_delta(ktime_get(), begin);

	spin_lock(&pool->lock);
	pool->stats.waited_us += us;
	spin_unlock(&pool->lock);
}

static bool pool_has_progressed(struct dma_heap_pool *pool,
				unsigned long progress)
{
	bool progressed;

	spin_lock(&pool->lock);
	progressed = pool->progress != progress;
	spin_unlock(&pool->lock);

	return progressed;
}

/*
 * Wait until memory has come to the source since @progress was read. From the first
 * wait on, *@waits, the pool keeps nothing, or other allocations could take what the
 * scrubber zeroes again and again. Returns 0, -ENOMEM if nothing will come or has come
 * by @deadline, or -EINTR if the task is killed.
 */
static int pool_wait_progress(struct dma_heap_pool *pool, unsigned long progress,
			      unsigned long deadline, bool *waits)
{
	ktime_t begin = ktime_get();
	bool coming;
	long left;

	spin_lock(&pool->lock);
	coming = dma_heap_pool_held(pool) || pool->progress != progress;
	if (coming && !*waits) {
		pool->no_keep++;
		*waits = true;
	}
	spin_unlock(&pool->lock);

	left = deadline - jiffies;
	if (!coming || left <= 0)
		return -ENOMEM;

	dma_heap_pool_wake_scrubber(pool);
	left = wait_event_killable_timeout(pool->progress_wq,
					   pool_has_progressed(pool, progress),
					   left);
	pool_count_wait(pool, begin);
	if (left < 0)
		return -EINTR;

	return left ? 0 : -ENOMEM;
}

/**
 * dma_heap_pool_reclaim_until - give memory back until an allocation succeeds
 * @pool: pool of a reserved source
 * @attempt: tries to allocate from the source. Returns -EAGAIN if more memory may
 *	     help; any other result ends this. @held are the bytes that may still come
 *	     from the pool: memory in transit may count twice, here and in the source,
 *	     but never zero times.
 * @data: for @attempt
 * @deadline: when to give up, in jiffies
 *
 * Gives back one zeroed backing after the other, the oldest first. When none is left,
 * waits for backings being scrubbed or given back by other tasks; from then on the pool
 * keeps nothing until this returns. So the source gets all memory that no buffer has,
 * unless another allocation takes it from there.
 *
 * Context: Process context, no lock held that scrubbing or freeing needs. May
 * sleep.
 *
 * Return: What @attempt gave, -ENOMEM if the pool has nothing left or did not get it in
 * time, or -EINTR if a fatal signal is pending.
 */
int dma_heap_pool_reclaim_until(struct dma_heap_pool *pool,
				int (*attempt)(void *data, size_t held),
				void *data, unsigned long deadline)
{
	unsigned long held, progress;
	bool waits = false;
	int ret;

	do {
		spin_lock(&pool->lock);
		held = dma_heap_pool_held(pool);
		progress = pool->progress;
		spin_unlock(&pool->lock);

		ret = attempt(data, PFN_PHYS(held));
		if (ret != -EAGAIN)
			break;

		ret = pool_trim_one(pool) ? 0 :
		      pool_wait_progress(pool, progress, deadline, &waits);
	} while (!ret);

	if (waits)
		dma_heap_pool_end_shortage(pool);

	return ret;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_reclaim_until, DMA_BUF_HEAP);

/*
 * Wait until nothing is dirty in a pool that gets no more backings. A source that cannot
 * scrub for so long loses the memory.
 */
void dma_heap_pool_wait_scrubbed(struct dma_heap_pool *pool)
{
	dma_heap_pool_wake_scrubber(pool);
	wait_event_timeout(pool->progress_wq,
			   !dma_heap_pool_sum(pool, dma_heap_pool_unzeroed),
			   POOL_LAST_SCRUBS);
}

void dma_heap_pool_reclaim_init(struct dma_heap_pool *pool)
{
	INIT_DELAYED_WORK(&pool->age_work, pool_age);
	if (pool->source->reserved)
		return;

	mutex_lock(&pools_lock);
	list_add_tail(&pool->node, &pools);
	mutex_unlock(&pools_lock);
}

/* Nothing is zeroed or freed any more */
void dma_heap_pool_reclaim_fini(struct dma_heap_pool *pool)
{
	cancel_delayed_work_sync(&pool->age_work);
	if (pool->source->reserved)
		return;

	mutex_lock(&pools_lock);
	list_del(&pool->node);
	mutex_unlock(&pools_lock);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: how memory leaves a pool
 *
 * Reclaim takes as much as it asks for, as whole backings, and dirty ones first: these
 * would only cost the time to scrub them. If a task has to wait for reclaim, the pool
 * keeps nothing more for a while. Before the OOM killer looks for a victim, the pool
 * is empty. A worker evicts backings that are unused for long.
 *
 * The pool also gives back memory when its source has none left. Reclaim does not touch
 * the pool of a reserved source, as no other user could have the memory.
 */

#include <kunit/visibility.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/lockdep.h>
#include <linux/nodemask.h>
#include <linux/oom.h>
#include <linux/sched/mm.h>
#include <linux/shrinker.h>
#include <linux/swap.h>
#include <trace/events/dma_heap.h>

#include "heap_pool_internal.h"

/* How long the pool keeps nothing after reclaim */
#define POOL_PRESSURE	HZ

/* How long the OOM notifier waits for backings that other tasks have in their hands */
#define POOL_SCRUB_WAIT	(HZ / 5)

/* How long an allocation waits for them that would fail otherwise */
#define POOL_SHORTAGE	HZ

/* Ageing need not be more exact than that */
#define POOL_AGE_SLACK	((unsigned long)HZ / 20)

/* Evict at least @nr_pages of a node, dirty ones first; returns how many */
static unsigned long pool_trim(struct dma_heap_pool *pool, int nid,
			       unsigned long nr_pages)
{
	struct dma_heap_backing *backing;
	unsigned long pages = 0;
	LIST_HEAD(leaving);

	spin_lock(&pool->lock);
	while (pages < nr_pages) {
		backing = dma_heap_pool_oldest_worthless(pool, nid) ?:
			  dma_heap_pool_oldest(pool, nid, POOL_ZEROED);
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
			freed = pool_trim(pool, nid, MAX_ORDER_NR_PAGES);
			total += freed;
			cond_resched();
		} while (freed);
	}

	return total;
}
EXPORT_SYMBOL_IF_KUNIT(dma_heap_pool_drain);

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

/* Reclaim */

static unsigned long pool_count_objects(struct shrinker *shrinker,
					struct shrink_control *sc)
{
	struct dma_heap_pool *pool = shrinker->private_data;

	return READ_ONCE(pool->nodes[sc->nid].pages) ?: SHRINK_EMPTY;
}

static void pool_set_pressure(struct dma_heap_pool *pool)
{
	spin_lock(&pool->lock);
	pool->no_keep_until = get_jiffies_64() + POOL_PRESSURE;
	spin_unlock(&pool->lock);
}

static unsigned long pool_scan_objects(struct shrinker *shrinker,
				       struct shrink_control *sc)
{
	struct dma_heap_pool *pool = shrinker->private_data;
	unsigned long freed;

	/* kswapd alone is no more than housekeeping, drop_caches not even that */
	if ((current->flags & PF_MEMALLOC) && !current_is_kswapd())
		pool_set_pressure(pool);

	freed = pool_trim(pool, sc->nid, sc->nr_to_scan);
	sc->nr_scanned = freed;
	mm_account_reclaimed_pages(freed);

	return freed ?: SHRINK_STOP;
}

/* The same for all nodes and pages, for whoever wants to see it work */
unsigned long dma_heap_pool_shrink_all(struct dma_heap_pool *pool,
				       unsigned long *counted)
{
	struct shrink_control sc = { .gfp_mask = GFP_KERNEL };
	unsigned long count, freed = 0;

	*counted = 0;
	fs_reclaim_acquire(GFP_KERNEL);
	for_each_online_node(sc.nid) {
		count = pool_count_objects(pool->shrinker, &sc);
		if (count == SHRINK_EMPTY)
			continue;
		*counted += count;
		sc.nr_to_scan = count;
		count = pool_scan_objects(pool->shrinker, &sc);
		if (count != SHRINK_STOP)
			freed += count;
	}
	fs_reclaim_release(GFP_KERNEL);

	return freed;
}

/* Pages in the pool, and on their way from there to the source */
static unsigned long pool_held(struct dma_heap_pool *pool)
{
	lockdep_assert_held(&pool->lock);

	return dma_heap_pool_kept(pool) + pool->pages[POOL_LEAVING];
}

/*
 * Give back all pages, also those that the scrubber or another task has in its hands,
 * if they come in time: the scrubber stops when it notices that the pool keeps nothing.
 */
static void pool_empty(struct dma_heap_pool *pool, unsigned long timeout)
{
	dma_heap_pool_drain(pool);
	wait_event_timeout(pool->progress_wq,
			   !dma_heap_pool_sum(pool, pool_held), timeout);
}

static int pool_oom(struct notifier_block *nb, unsigned long action, void *data)
{
	struct dma_heap_pool *pool = container_of(nb, struct dma_heap_pool,
						  oom_nb);
	unsigned long before, after;

	pool_set_pressure(pool);
	before = dma_heap_pool_sum(pool, pool_held);
	pool_empty(pool, POOL_SCRUB_WAIT);
	after = dma_heap_pool_sum(pool, pool_held);
	if (before > after)
		*(unsigned long *)data += before - after;

	return NOTIFY_OK;
}

/* Shortage of a source */

/**
 * dma_heap_pool_begin_shortage - give back to the source all that is in a pool
 * @pool: the pool
 *
 * An allocation from the source calls it before it would fail. The function waits up
 * to a second for backings being scrubbed. Until dma_heap_pool_end_shortage() the pool
 * keeps nothing: tasks that free could fill it before the allocation looks again.
 *
 * Context: Process context, with no lock that freeing needs. May sleep, but does
 * not allocate memory.
 */
void dma_heap_pool_begin_shortage(struct dma_heap_pool *pool)
{
	spin_lock(&pool->lock);
	pool->no_keep++;
	spin_unlock(&pool->lock);

	pool_empty(pool, POOL_SHORTAGE);
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
		if (pool_trim(pool, nid, 1))
			return true;

	return false;
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
 * scrubber zeroes again and again. Returns 0, -ENOMEM if nothing will come, or -EINTR
 * if the task is killed.
 */
static int pool_wait_progress(struct dma_heap_pool *pool,
			      unsigned long progress, bool *waits)
{
	bool coming;

	spin_lock(&pool->lock);
	coming = pool_held(pool) || pool->progress != progress;
	if (coming && !*waits) {
		pool->no_keep++;
		*waits = true;
	}
	spin_unlock(&pool->lock);

	if (!coming)
		return -ENOMEM;

	dma_heap_pool_wake_scrubber(pool);

	return wait_event_killable(pool->progress_wq,
				   pool_has_progressed(pool, progress)) ?
	       -EINTR : 0;
}

/**
 * dma_heap_pool_reclaim_until - give memory back until an allocation succeeds
 * @pool: pool of a reserved source
 * @attempt: tries to allocate from the source. Returns -EAGAIN if more memory may
 *	     help; any other result ends this. @held are the bytes that may still come
 *	     from the pool: memory in transit may count twice, here and in the source,
 *	     but never zero times.
 * @data: for @attempt
 *
 * Gives back one zeroed backing after the other, the oldest first. When none is left,
 * waits for backings being scrubbed or given back by other tasks; from then on the pool
 * keeps nothing until this returns. So the source gets all memory that no buffer has,
 * unless another allocation takes it from there.
 *
 * Context: Process context, no lock held that scrubbing or freeing needs. May
 * sleep.
 *
 * Return: What @attempt gave, -ENOMEM if the pool has nothing left, or -EINTR if a
 * fatal signal is pending.
 */
int dma_heap_pool_reclaim_until(struct dma_heap_pool *pool,
				int (*attempt)(void *data, size_t held),
				void *data)
{
	unsigned long held, progress;
	bool waits = false;
	int ret;

	do {
		spin_lock(&pool->lock);
		held = pool_held(pool);
		progress = pool->progress;
		spin_unlock(&pool->lock);

		ret = attempt(data, PFN_PHYS(held));
		if (ret != -EAGAIN)
			break;

		ret = pool_trim_one(pool) ? 0 :
		      pool_wait_progress(pool, progress, &waits);
	} while (!ret);

	if (waits)
		dma_heap_pool_end_shortage(pool);

	return ret;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_reclaim_until, DMA_BUF_HEAP);

/* Wait until nothing is dirty in a pool that gets no more backings */
void dma_heap_pool_wait_scrubbed(struct dma_heap_pool *pool)
{
	dma_heap_pool_wake_scrubber(pool);
	wait_event(pool->progress_wq,
		   !dma_heap_pool_sum(pool, dma_heap_pool_unzeroed));
}

int dma_heap_pool_reclaim_init(struct dma_heap_pool *pool)
{
	int ret;

	INIT_DELAYED_WORK(&pool->age_work, pool_age);
	if (pool->source->reserved)
		return 0;

	pool->shrinker = shrinker_alloc(SHRINKER_NUMA_AWARE, "dma-heap-pool:%s",
					pool->name);
	if (!pool->shrinker)
		return -ENOMEM;

	pool->shrinker->count_objects = pool_count_objects;
	pool->shrinker->scan_objects = pool_scan_objects;
	pool->shrinker->private_data = pool;

	pool->oom_nb.notifier_call = pool_oom;
	ret = register_oom_notifier(&pool->oom_nb);
	if (ret) {
		shrinker_free(pool->shrinker);
		return ret;
	}
	shrinker_register(pool->shrinker);

	return 0;
}

/* Nothing is zeroed or freed any more */
void dma_heap_pool_reclaim_fini(struct dma_heap_pool *pool)
{
	cancel_delayed_work_sync(&pool->age_work);
	if (pool->source->reserved)
		return;

	unregister_oom_notifier(&pool->oom_nb);
	shrinker_free(pool->shrinker);
}

#if IS_ENABLED(CONFIG_KUNIT)
/* Only for tests: they call count and scan as reclaim does */
struct shrinker *dma_heap_pool_shrinker(struct dma_heap_pool *pool)
{
	return pool->shrinker;
}
EXPORT_SYMBOL_IF_KUNIT(dma_heap_pool_shrinker);
#endif

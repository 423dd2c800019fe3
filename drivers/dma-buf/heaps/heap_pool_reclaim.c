// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: how memory gets out of a pool when others need it
 *
 * Reclaim takes as much as it asks for, as whole backings, and dirty ones
 * first: these would only cost the time to scrub them. If a task has to wait
 * for reclaim, the pool keeps nothing more for a while. Before the OOM killer
 * looks for a victim, the pool is empty.
 *
 * A source that has no more may have back what is here, too. What has been
 * reserved for it concerns nobody else.
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

#include "heap_pool_internal.h"

/* How long the pool keeps nothing after reclaim */
#define POOL_PRESSURE	HZ

/* How long to wait for the backing the scrubber is at: a chunk, if it may run */
#define POOL_SCRUBBING	(HZ / 5)

/* The same for an allocation that would fail else, on a busy machine, too */
#define POOL_SHORTAGE	HZ

static unsigned long dma_heap_pool_count(struct shrinker *shrinker,
					 struct shrink_control *sc)
{
	struct dma_heap_pool *pool = shrinker->private_data;

	return READ_ONCE(pool->nodes[sc->nid].pages) ?: SHRINK_EMPTY;
}

static void dma_heap_pool_set_pressure(struct dma_heap_pool *pool)
{
	spin_lock(&pool->lock);
	pool->pressure_until = get_jiffies_64() + POOL_PRESSURE;
	spin_unlock(&pool->lock);
}

static unsigned long dma_heap_pool_scan(struct shrinker *shrinker,
					struct shrink_control *sc)
{
	struct dma_heap_pool *pool = shrinker->private_data;
	unsigned long freed;

	/* kswapd alone is no more than housekeeping, drop_caches not even that */
	if ((current->flags & PF_MEMALLOC) && !current_is_kswapd())
		dma_heap_pool_set_pressure(pool);

	freed = dma_heap_pool_trim(pool, sc->nid, sc->nr_to_scan);
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
		count = dma_heap_pool_count(pool->shrinker, &sc);
		if (count == SHRINK_EMPTY)
			continue;
		*counted += count;
		sc.nr_to_scan = count;
		count = dma_heap_pool_scan(pool->shrinker, &sc);
		if (count != SHRINK_STOP)
			freed += count;
	}
	fs_reclaim_release(GFP_KERNEL);

	return freed;
}

/* All that is here, that freeing tasks are at, and that the source gets just now */
static unsigned long dma_heap_pool_held(struct dma_heap_pool *pool)
{
	lockdep_assert_held(&pool->lock);

	return pool->pages + pool->paying_pages + pool->leaving_pages;
}

static unsigned long dma_heap_pool_pages(struct dma_heap_pool *pool)
{
	unsigned long pages;

	spin_lock(&pool->lock);
	pages = dma_heap_pool_held(pool);
	spin_unlock(&pool->lock);

	return pages;
}

/*
 * Also what the scrubber is at, which lets go of it as soon as it notices, what
 * freeing tasks are at, and what others are just giving back
 */
static unsigned long dma_heap_pool_empty(struct dma_heap_pool *pool,
					 unsigned long timeout)
{
	unsigned long before = dma_heap_pool_pages(pool), after;

	dma_heap_pool_drain(pool);
	dma_heap_pool_rush_scrubber(pool);
	wait_event_timeout(pool->others, !dma_heap_pool_pages(pool), timeout);
	after = dma_heap_pool_pages(pool);

	return before > after ? before - after : 0;
}

static int dma_heap_pool_oom(struct notifier_block *nb, unsigned long action,
			     void *data)
{
	struct dma_heap_pool *pool = container_of(nb, struct dma_heap_pool,
						  oom_nb);
	unsigned long *freed = data;

	dma_heap_pool_set_pressure(pool);
	*freed += dma_heap_pool_empty(pool, POOL_SCRUBBING);

	return NOTIFY_OK;
}

/**
 * dma_heap_pool_give_back - give back to the source all that is in a pool
 * @pool: the pool
 *
 * Also what is being scrubbed, if that can be waited for. For an allocation from
 * the source that would fail. Until dma_heap_pool_keep_again() the pool keeps
 * nothing, or others could have filled it before that allocation looks again.
 *
 * Context: Process context, with no lock that freeing needs. May sleep, but does
 * not allocate memory.
 */
void dma_heap_pool_give_back(struct dma_heap_pool *pool)
{
	bool any;

	spin_lock(&pool->lock);
	pool->wanted++;
	any = dma_heap_pool_held(pool);
	spin_unlock(&pool->lock);

	if (any)
		dma_heap_pool_empty(pool, POOL_SHORTAGE);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_give_back, DMA_BUF_HEAP);

/**
 * dma_heap_pool_keep_again - end what dma_heap_pool_give_back() began
 * @pool: the pool
 *
 * Also for somebody who began before there was the pool; that changes nothing, or
 * ends somebody else's time a little early.
 *
 * Context: Process context.
 */
void dma_heap_pool_keep_again(struct dma_heap_pool *pool)
{
	spin_lock(&pool->lock);
	if (pool->wanted)
		pool->wanted--;
	spin_unlock(&pool->lock);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_keep_again, DMA_BUF_HEAP);

static bool dma_heap_pool_trim_one(struct dma_heap_pool *pool)
{
	int nid;

	for_each_node(nid)
		if (dma_heap_pool_trim(pool, nid, 1))
			return true;

	return false;
}

/**
 * dma_heap_pool_search_begin - an allocation from the source begins
 * @pool: the pool in front of it
 * @search: set to what dma_heap_pool_give_back_one() wants to know, if the source
 *	    is found to have no memory after that
 *
 * Context: Process context.
 */
void dma_heap_pool_search_begin(struct dma_heap_pool *pool,
				struct dma_heap_pool_search *search)
{
	spin_lock(&pool->lock);
	search->pages = dma_heap_pool_held(pool);
	search->passed = pool->passed;
	spin_unlock(&pool->lock);
	search->waits = false;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_search_begin, DMA_BUF_HEAP);

/**
 * dma_heap_pool_search_end - an allocation from the source ends
 * @pool: the pool in front of it
 * @search: set by dma_heap_pool_search_begin()
 *
 * Context: Process context.
 */
void dma_heap_pool_search_end(struct dma_heap_pool *pool,
			      const struct dma_heap_pool_search *search)
{
	if (search->waits)
		dma_heap_pool_keep_again(pool);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_search_end, DMA_BUF_HEAP);

/* Has anything become clean, or gone to the source, since the last look there? */
static bool dma_heap_pool_has_passed(struct dma_heap_pool *pool,
				     const struct dma_heap_pool_search *search)
{
	/* Whoever sees the number finds the memory */
	return smp_load_acquire(&pool->passed) != search->passed;
}

/*
 * Nothing is clean: is something of the rest on the way? Then wait for it. From now
 * on what becomes clean goes to the source, or others could take it again and again.
 */
static int dma_heap_pool_search_wait(struct dma_heap_pool *pool,
				     struct dma_heap_pool_search *search)
{
	bool coming;

	spin_lock(&pool->lock);
	coming = dma_heap_pool_held(pool) || pool->passed != search->passed;
	if (coming && !search->waits) {
		pool->wanted++;
		search->waits = true;
	}
	spin_unlock(&pool->lock);

	if (!coming)
		return -ENOENT;

	dma_heap_pool_rush_scrubber(pool);

	return wait_event_killable(pool->others,
				   dma_heap_pool_has_passed(pool, search)) ?
	       -EINTR : 0;
}

/**
 * dma_heap_pool_give_back_one - give back to the source what is wanted least
 * @pool: the pool
 * @search: for an allocation that has found no memory in the source since
 *	    dma_heap_pool_search_begin(), or since this function returned 0
 *
 * If the source is reserved, and all that is here is to be scrubbed first, wait
 * for the next one to be, and for what others are giving back. Until
 * dma_heap_pool_search_end() the pool keeps nothing then. So if nobody else takes
 * from the source meanwhile, all of it is there in the end, but for what buffers
 * have.
 *
 * Context: Process context, no lock held that scrubbing or freeing needs. May
 * sleep.
 *
 * Return: 0 if there may be more in the source now, -ENOENT if there was nothing
 * in the pool and nothing has come back since the last look, or -EINTR if a fatal
 * signal is pending.
 */
int dma_heap_pool_give_back_one(struct dma_heap_pool *pool,
				struct dma_heap_pool_search *search)
{
	int ret;

	if (!dma_heap_pool_trim_one(pool)) {
		ret = dma_heap_pool_search_wait(pool, search);
		if (ret)
			return ret;
	}
	/* What has passed by now is seen in the source */
	search->passed = smp_load_acquire(&pool->passed);

	return 0;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_give_back_one, DMA_BUF_HEAP);

/**
 * dma_heap_pool_wait_scrubbed - wait until nothing in a pool is dirty
 * @pool: the pool, which gets no more backings
 *
 * Context: Process context, no lock held. May sleep.
 */
void dma_heap_pool_wait_scrubbed(struct dma_heap_pool *pool)
{
	dma_heap_pool_rush_scrubber(pool);
	wait_event(pool->others, !dma_heap_pool_dirty(pool));
}
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_wait_scrubbed, DMA_BUF_HEAP);

int dma_heap_pool_reclaim_init(struct dma_heap_pool *pool)
{
	int ret;

	if (pool->source->reserved)
		return 0;

	pool->shrinker = shrinker_alloc(SHRINKER_NUMA_AWARE, "dma-heap-pool:%s",
					pool->name);
	if (!pool->shrinker)
		return -ENOMEM;

	pool->shrinker->count_objects = dma_heap_pool_count;
	pool->shrinker->scan_objects = dma_heap_pool_scan;
	pool->shrinker->private_data = pool;

	pool->oom_nb.notifier_call = dma_heap_pool_oom;
	ret = register_oom_notifier(&pool->oom_nb);
	if (ret) {
		shrinker_free(pool->shrinker);
		return ret;
	}
	shrinker_register(pool->shrinker);

	return 0;
}

void dma_heap_pool_reclaim_fini(struct dma_heap_pool *pool)
{
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

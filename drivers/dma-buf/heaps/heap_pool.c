// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: the pool of a source
 *
 * The pool keeps a backing as it is when its buffer goes: pages, scatterlist and
 * all, by size and node. The next buffer of that size takes it whole, so that its
 * cost does not depend on the size. In between, the scrubber zeroes it, and has it
 * written back from the CPU's caches if devices that do not look there use it.
 *
 * A backing has a state, see &enum dma_heap_pool_state. The task that made it
 * POOL_SCRUBBING or POOL_LEAVING has it to itself, and needs no lock to scrub it or
 * to give it back to the source.
 */

#include <kunit/visibility.h>
#include <linux/cpuset.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/numa.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/topology.h>
#include <linux/vmstat.h>
#include <trace/events/dma_heap.h>

#include "heap_pool.h"
#include "heap_pool_internal.h"
#include "heap_source.h"

static unsigned int max_percent = 25;
module_param(max_percent, uint, 0444);
MODULE_PARM_DESC(max_percent, "What a pool may hold at first, in percent of RAM (default 25)");

#define POOL_DECAY_MS	30000

/* So much freeing tasks scrub of a size after an allocation had to, and for so long */
#define POOL_DEBT	PHYS_PFN(SZ_1G)
#define POOL_DEBT_TIME	HZ

/* An allocation that scrubs less than that has not lost much */
#define POOL_DEBT_PAGES	PHYS_PFN(SZ_64K)

/* A size is to blame for a backlog if so much of the backlog is of that size */
#define POOL_BLAME(pages)	((pages) / 4)

/* Bins */

static struct dma_heap_pool_bin *pool_find_bin(struct dma_heap_pool *pool,
					       size_t size, int nid)
{
	struct dma_heap_pool_bin *bin;

	lockdep_assert_held(&pool->lock);

	hash_for_each_possible(pool->bins, bin, node, size)
		if (bin->size == size && bin->nid == nid)
			return bin;

	return NULL;
}

/* Find or make the bin, and count one user of it; NULL if there is no memory */
static struct dma_heap_pool_bin *pool_get_bin(struct dma_heap_pool *pool,
					      size_t size, int nid, gfp_t gfp)
{
	struct dma_heap_pool_bin *bin, *new;

	new = kzalloc(sizeof(*new), gfp);

	spin_lock(&pool->lock);
	bin = pool_find_bin(pool, size, nid);
	if (!bin && new) {
		new->size = size;
		new->nid = nid;
		INIT_LIST_HEAD(&new->lists[POOL_ZEROED]);
		INIT_LIST_HEAD(&new->lists[POOL_DIRTY]);
		hash_add(pool->bins, &new->node, size);
		swap(bin, new);
	}
	if (bin)
		bin->users++;
	spin_unlock(&pool->lock);

	kfree(new);

	return bin;
}

static void pool_put_bin(struct dma_heap_pool *pool,
			 struct dma_heap_pool_bin *bin)
{
	bool last;

	spin_lock(&pool->lock);
	last = !--bin->users;
	if (last)
		hash_del(&bin->node);
	spin_unlock(&pool->lock);

	if (last)
		kfree(bin);
}

/* The node of all chunks, or NUMA_NO_NODE if they differ */
static int backing_node(struct dma_heap_backing *backing)
{
	int nid = page_to_nid(sg_page(backing->sgt.sgl));
	struct scatterlist *sg;
	int i;

	for_each_sgtable_sg(&backing->sgt, sg, i)
		if (page_to_nid(sg_page(sg)) != nid)
			return NUMA_NO_NODE;

	return nid;
}

/*
 * Find the bin of a backing that comes back for the first time. The pool keeps neither
 * memory of several nodes, some of which is far away from every task, nor a fragmented
 * backing, which would slow every later buffer down.
 */
static void pool_adopt(struct dma_heap_pool *pool,
		       struct dma_heap_backing *backing)
{
	int nid = pool->nid;

	if (backing->fragmented)
		return;

	if (nid == NUMA_NO_NODE)
		nid = backing_node(backing);
	if (nid != NUMA_NO_NODE)
		backing->bin = pool_get_bin(pool, backing->size, nid,
					    GFP_NOWAIT | __GFP_NOWARN);
}

/* States */

static bool is_listed(enum dma_heap_pool_state state)
{
	return state == POOL_ZEROED || state == POOL_DIRTY;
}

static bool is_kept(enum dma_heap_pool_state state)
{
	return is_listed(state) || state == POOL_SCRUBBING;
}

static void pool_add(struct dma_heap_pool *pool,
		     struct dma_heap_backing *backing)
{
	struct dma_heap_pool_node *node = &pool->nodes[backing->bin->nid];

	backing->bin->pages[backing->state] += backing_pages(backing);
	list_add(&backing->in_bin, &backing->bin->lists[backing->state]);
	list_add_tail(&backing->in_pool, &node->lists[backing->state]);
	WRITE_ONCE(node->pages, node->pages + backing_pages(backing));
}

static void pool_del(struct dma_heap_pool *pool,
		     struct dma_heap_backing *backing)
{
	struct dma_heap_pool_node *node = &pool->nodes[backing->bin->nid];

	backing->bin->pages[backing->state] -= backing_pages(backing);
	list_del(&backing->in_bin);
	list_del(&backing->in_pool);
	WRITE_ONCE(node->pages, node->pages - backing_pages(backing));
}

/* Count a backing as the pool's, or no longer: @sign is 1 or -1 */
static void pool_count(struct dma_heap_pool *pool,
		       struct dma_heap_backing *backing, int sign)
{
	long pages = sign * (long)backing_pages(backing);

	if (!backing->bin)
		return;

	backing->bin->count += sign;
	/* No interrupt changes the counter */
	if (!pool->source->reserved)
		__mod_node_page_state(NODE_DATA(backing->bin->nid),
				      NR_KERNEL_MISC_RECLAIMABLE, pages);
}

/* Wake tasks that wait for memory: the source or the pool may have more now */
static void pool_make_progress(struct dma_heap_pool *pool)
{
	lockdep_assert_held(&pool->lock);

	pool->progress++;
	/* Tasks look at the counter with the lock held, after they have queued */
	if (waitqueue_active(&pool->progress_wq))
		wake_up_all(&pool->progress_wq);
}

/* Have ageing look at the pool, no later than the new zeroed backing is due */
static void pool_arm_ageing(struct dma_heap_pool *pool)
{
	if (!delayed_work_pending(&pool->age_work))
		queue_delayed_work(system_freezable_power_efficient_wq,
				   &pool->age_work, pool->decay);
}

/* The only function that changes a state. Inline, for the callers that know theirs */
static __always_inline void pool_set_state(struct dma_heap_pool *pool,
					   struct dma_heap_backing *backing,
					   enum dma_heap_pool_state state)
{
	enum dma_heap_pool_state old = backing->state;

	lockdep_assert_held(&pool->lock);

	if (is_listed(old))
		pool_del(pool, backing);
	backing->state = state;
	if (is_listed(state))
		pool_add(pool, backing);

	pool->pages[old] -= backing_pages(backing);
	pool->pages[state] += backing_pages(backing);
	if (is_kept(old) != is_kept(state))
		pool_count(pool, backing, is_kept(state) ? 1 : -1);

	if (old == POOL_SCRUBBING)
		pool_make_progress(pool);
	if (state == POOL_ZEROED)
		pool_arm_ageing(pool);
}

void dma_heap_pool_set_state(struct dma_heap_pool *pool,
			     struct dma_heap_backing *backing,
			     enum dma_heap_pool_state state)
{
	pool_set_state(pool, backing, state);
}

/* Pages in the pool */
unsigned long dma_heap_pool_kept(struct dma_heap_pool *pool)
{
	lockdep_assert_held(&pool->lock);

	return pool->pages[POOL_ZEROED] + pool->pages[POOL_DIRTY] +
	       pool->pages[POOL_SCRUBBING];
}

/* Those of them that are not zeroed yet */
unsigned long dma_heap_pool_unzeroed(struct dma_heap_pool *pool)
{
	lockdep_assert_held(&pool->lock);

	return pool->pages[POOL_DIRTY] + pool->pages[POOL_SCRUBBING];
}

/* Call one of the two functions above, or one like them, with the lock held */
unsigned long
dma_heap_pool_sum(struct dma_heap_pool *pool,
		  unsigned long (*sum)(struct dma_heap_pool *pool))
{
	unsigned long pages;

	spin_lock(&pool->lock);
	pages = sum(pool);
	spin_unlock(&pool->lock);

	return pages;
}

/* Eviction */

struct dma_heap_backing *dma_heap_pool_oldest(struct dma_heap_pool *pool,
					      int nid,
					      enum dma_heap_pool_state state)
{
	lockdep_assert_held(&pool->lock);

	return list_first_entry_or_null(&pool->nodes[nid].lists[state],
					struct dma_heap_backing, in_pool);
}

/* The oldest dirty one that the source takes back as it is */
struct dma_heap_backing *dma_heap_pool_oldest_worthless(struct dma_heap_pool *pool,
							int nid)
{
	return pool->source->reserved ? NULL :
	       dma_heap_pool_oldest(pool, nid, POOL_DIRTY);
}

/* Move a backing to @leaving, for dma_heap_pool_dispose(); count it in @reason */
void dma_heap_pool_evict(struct dma_heap_pool *pool,
			 struct dma_heap_backing *backing, u64 *reason,
			 struct list_head *leaving)
{
	dma_heap_pool_set_state(pool, backing, POOL_LEAVING);
	list_add_tail(&backing->in_pool, leaving);
	*reason += backing_pages(backing);
}

/* Give evicted backings back to the source */
void dma_heap_pool_dispose(struct dma_heap_pool *pool,
			   struct list_head *leaving)
{
	struct dma_heap_backing *backing, *next;
	unsigned long total = 0, lost = 0;

	if (list_empty(leaving))
		return;

	list_for_each_entry_safe(backing, next, leaving, in_pool) {
		unsigned long pages = backing_pages(backing);
		struct dma_heap_pool_bin *bin = backing->bin;

		total += pages;
		if (pool->source->ops->free(pool->source, backing))
			lost += pages;
		if (bin)
			pool_put_bin(pool, bin);
	}

	spin_lock(&pool->lock);
	pool->pages[POOL_LEAVING] -= total;
	pool->stats.lost_pages += lost;
	pool_make_progress(pool);
	spin_unlock(&pool->lock);
}

/* The next backing to evict from a full pool: zeroed ones have been there for longer */
struct dma_heap_backing *dma_heap_pool_full_next(struct dma_heap_pool *pool)
{
	struct dma_heap_backing *backing;
	int nid;

	for_each_node(nid) {
		backing = dma_heap_pool_oldest(pool, nid, POOL_ZEROED);
		if (backing)
			return backing;
	}
	for_each_node(nid) {
		backing = dma_heap_pool_oldest_worthless(pool, nid);
		if (backing)
			return backing;
	}

	return NULL;
}

/* Evict until the pool holds no more than @max pages; returns whether it could */
static bool pool_trim_to(struct dma_heap_pool *pool, unsigned long max,
			 struct list_head *leaving)
{
	struct dma_heap_backing *backing;

	while (dma_heap_pool_kept(pool) > max) {
		backing = dma_heap_pool_full_next(pool);
		if (!backing)
			return false;
		dma_heap_pool_evict(pool, backing, &pool->stats.evicted_pages,
				    leaving);
	}

	return true;
}

/* Evict others until a backing fits below the cap; one being scrubbed counts already */
static bool pool_make_room(struct dma_heap_pool *pool,
			   struct dma_heap_backing *backing,
			   struct list_head *leaving)
{
	unsigned long more = is_kept(backing->state) ? 0 : backing_pages(backing);

	return pool_trim_to(pool, pool->max_pages - more, leaving);
}

bool dma_heap_pool_may_keep(struct dma_heap_pool *pool,
			    struct dma_heap_backing *backing)
{
	lockdep_assert_held(&pool->lock);

	return backing->bin && backing_pages(backing) <= pool->max_pages &&
	       !pool->no_keep &&
	       !time_before64(get_jiffies_64(), pool->no_keep_until);
}

/*
 * Put a backing that the task has in its hands into the pool, or else to @leaving,
 * counted in @reason. @scrub_error is the result of dma_heap_pool_scrub(): a backing
 * that cannot be scrubbed is lost. A reserved source does not take back dirty backings:
 * they stay until they are scrubbed, whatever the cap.
 */
void dma_heap_pool_settle(struct dma_heap_pool *pool,
			  struct dma_heap_backing *backing, int scrub_error,
			  u64 *reason, struct list_head *leaving)
{
	lockdep_assert_held(&pool->lock);

	if (scrub_error == -EIO) {
		dma_heap_pool_evict(pool, backing, &pool->stats.lost_pages,
				    leaving);
	} else if (pool->source->reserved && !backing->zeroed && backing->bin) {
		dma_heap_pool_set_state(pool, backing, POOL_DIRTY);
	} else if (dma_heap_pool_may_keep(pool, backing) &&
		   pool_make_room(pool, backing, leaving)) {
		dma_heap_pool_set_state(pool, backing, backing->zeroed ?
					POOL_ZEROED : POOL_DIRTY);
	} else {
		dma_heap_pool_evict(pool, backing, reason, leaving);
	}
}

/* Allocation */

/* The node of the source, or of the caller; if its cpuset has that not, the next one */
static int pool_nid(struct dma_heap_pool *pool)
{
	int nid = pool->nid;

	if (nid == NUMA_NO_NODE) {
		nid = numa_mem_id();
		if (!node_isset(nid, cpuset_current_mems_allowed))
			nid = next_node_in(nid, cpuset_current_mems_allowed);
	}

	return nid;
}

/*
 * The newest one, zeroed if there is such. A reserved source may have zeroed memory
 * where the pool has none, and else waits for the scrubber.
 */
static struct dma_heap_backing *pool_newest(struct dma_heap_pool *pool,
					    struct dma_heap_pool_bin *bin)
{
	struct list_head *list = &bin->lists[POOL_ZEROED];

	if (list_empty(list) && !pool->source->reserved)
		list = &bin->lists[POOL_DIRTY];

	return list_first_entry_or_null(list, struct dma_heap_backing, in_bin);
}

static bool task_is_killed(struct dma_heap_pool *pool,
			   struct dma_heap_backing *backing)
{
	return fatal_signal_pending(current);
}

/*
 * No zeroed backing is left: zero the dirty one here, and throttle tasks that free
 * such. Returns 0, or -EINTR if the task is killed; the pool has the backing then.
 */
static int pool_direct_scrub(struct dma_heap_pool *pool,
			     struct dma_heap_backing *backing)
{
	LIST_HEAD(leaving);
	int ret;

	ret = dma_heap_pool_scrub(pool, backing, task_is_killed);

	spin_lock(&pool->lock);
	if (backing_pages(backing) >= POOL_DEBT_PAGES) {
		backing->bin->debt = POOL_DEBT;
		backing->bin->debt_until = get_jiffies_64() + POOL_DEBT_TIME;
	}
	if (ret)
		dma_heap_pool_settle(pool, backing, ret,
				     &pool->stats.evicted_pages, &leaving);
	else
		pool->stats.paid_pages += backing_pages(backing);
	spin_unlock(&pool->lock);

	if (ret) {
		dma_heap_pool_dispose(pool, &leaving);
		dma_heap_pool_wake_scrubber_later(pool);
	}

	return ret;
}

/*
 * Get a backing of @size bytes, zeroed. Returns NULL if the pool has none, or -EINTR
 * as an ERR_PTR() if the task is killed.
 */
struct dma_heap_backing *dma_heap_pool_get(struct dma_heap_pool *pool,
					   size_t size)
{
	struct dma_heap_backing *backing = NULL;
	struct dma_heap_pool_bin *bin;
	int ret;

	spin_lock(&pool->lock);
	bin = pool_find_bin(pool, size, pool_nid(pool));
	if (bin)
		backing = pool_newest(pool, bin);
	if (!backing) {
		pool->stats.misses++;
	} else {
		pool_set_state(pool, backing, POOL_OUT);
		if (backing->zeroed)
			pool->stats.hits++;
		else
			pool->stats.dirty_hits++;
	}
	spin_unlock(&pool->lock);

	if (!backing) {
		trace_dma_heap_pool_miss(pool->name, size);
		return NULL;
	}

	trace_dma_heap_pool_hit(pool->name, size, backing->zeroed);
	if (!backing->zeroed) {
		ret = pool_direct_scrub(pool, backing);
		if (ret)
			return ERR_PTR(ret);
	}

	return backing;
}

/* Does the scrubber not keep up with the backings of this size? */
static bool pool_is_behind(struct dma_heap_pool *pool,
			   struct dma_heap_pool_bin *bin)
{
	unsigned long backlog = dma_heap_pool_unzeroed(pool);

	if (bin->debt && time_before64(get_jiffies_64(), bin->debt_until))
		return true;

	return backlog > pool->max_pages / 2 &&
	       bin->pages[POOL_DIRTY] >= POOL_BLAME(backlog);
}

/*
 * Does the task that frees have to scrub, because the scrubber does not keep up? Makes
 * room first, with evicted backings in @leaving, so as not to scrub in vain.
 */
static bool pool_throttles(struct dma_heap_pool *pool,
			   struct dma_heap_backing *backing,
			   struct list_head *leaving)
{
	lockdep_assert_held(&pool->lock);

	/* A reserved source waits for the scrubber, unless there was no memory for a bin */
	if (pool->source->reserved)
		return !backing->bin;

	return dma_heap_pool_may_keep(pool, backing) &&
	       pool_is_behind(pool, backing->bin) &&
	       pool_make_room(pool, backing, leaving);
}

static void pool_pay_debt(struct dma_heap_backing *backing)
{
	struct dma_heap_pool_bin *bin = backing->bin;

	if (bin)
		bin->debt -= min(bin->debt, backing_pages(backing));
}

/* Take back a backing, whatever is in it: zeroes, if nobody could write to it */
void dma_heap_pool_put(struct dma_heap_pool *pool,
		       struct dma_heap_backing *backing)
{
	unsigned long dirty;
	LIST_HEAD(leaving);
	int ret = 0;

	backing->freed = jiffies;
	if (!backing->bin)
		pool_adopt(pool, backing);

	spin_lock(&pool->lock);
	if (backing->zeroed) {
		pool->stats.untouched_pages += backing_pages(backing);
	} else if (pool_throttles(pool, backing, &leaving)) {
		pool_pay_debt(backing);
		dma_heap_pool_set_state(pool, backing, POOL_SCRUBBING);
		spin_unlock(&pool->lock);
		ret = dma_heap_pool_scrub(pool, backing, NULL);
		spin_lock(&pool->lock);
		if (!ret)
			pool->stats.paid_pages += backing_pages(backing);
	}
	dma_heap_pool_settle(pool, backing, ret, &pool->stats.evicted_pages,
			     &leaving);
	dirty = pool->pages[POOL_DIRTY];
	spin_unlock(&pool->lock);

	dma_heap_pool_dispose(pool, &leaving);
	if (dirty)
		dma_heap_pool_wake_scrubber_later(pool);
	if (dma_heap_pools_are_over_cap())
		dma_heap_pools_trim();
}

/* Give a backing back to the source that dma_heap_pool_get() gave */
void dma_heap_pool_discard(struct dma_heap_pool *pool,
			   struct dma_heap_backing *backing)
{
	LIST_HEAD(leaving);

	spin_lock(&pool->lock);
	dma_heap_pool_evict(pool, backing, &pool->stats.evicted_pages, &leaving);
	spin_unlock(&pool->lock);

	dma_heap_pool_dispose(pool, &leaving);
}

/* Settings */

/**
 * dma_heap_pool_set_max - set the most a pool may hold
 * @pool: the pool
 * @max_bytes: for all backings in it together; what is too much goes at once.
 *	       0 makes it a pool that keeps nothing.
 *
 * Context: Process context, may sleep.
 */
void dma_heap_pool_set_max(struct dma_heap_pool *pool, size_t max_bytes)
{
	LIST_HEAD(leaving);

	spin_lock(&pool->lock);
	WRITE_ONCE(pool->max_pages, PHYS_PFN(max_bytes));
	pool_trim_to(pool, pool->max_pages, &leaving);
	spin_unlock(&pool->lock);

	dma_heap_pool_dispose(pool, &leaving);
}
EXPORT_SYMBOL_IF_KUNIT(dma_heap_pool_set_max);

/**
 * dma_heap_pool_set_decay - set how long a pool keeps what is unused
 * @pool: the pool
 * @decay_ms: milliseconds since a backing's buffer was freed
 *
 * Context: Process context.
 */
void dma_heap_pool_set_decay(struct dma_heap_pool *pool, unsigned int decay_ms)
{
	spin_lock(&pool->lock);
	WRITE_ONCE(pool->decay, max(msecs_to_jiffies(decay_ms), 1UL));
	/* It finds out anew when to look again */
	mod_delayed_work(system_freezable_power_efficient_wq, &pool->age_work, 0);
	spin_unlock(&pool->lock);
}
EXPORT_SYMBOL_IF_KUNIT(dma_heap_pool_set_decay);

/* Set how many of a bin stay; returns how many are missing */
static unsigned int pool_set_keep(struct dma_heap_pool *pool,
				  struct dma_heap_pool_bin *bin,
				  unsigned int count)
{
	unsigned int have;

	spin_lock(&pool->lock);
	/* A bin that is to keep something has to stay itself */
	bin->users += !!count - !!bin->keep;
	bin->keep = count;
	have = bin->count;
	spin_unlock(&pool->lock);

	return count > have ? count - have : 0;
}

/*
 * Put the backings into the pool after all are allocated: a source that is short of
 * memory would take them back from the pool. It may take those in the bin.
 */
static int pool_fill_bin(struct dma_heap_pool *pool,
			 struct dma_heap_pool_bin *bin, unsigned int count)
{
	struct dma_heap_backing *backing, *next;
	unsigned int n;
	LIST_HEAD(got);
	int ret = 0;

	for (n = 0; n < pool_set_keep(pool, bin, count); n++) {
		backing = pool->source->ops->alloc(pool->source, bin->size);
		if (IS_ERR(backing)) {
			ret = PTR_ERR(backing);
			break;
		}
		list_add_tail(&backing->in_pool, &got);
	}

	list_for_each_entry_safe(backing, next, &got, in_pool)
		dma_heap_pool_put(pool, backing);

	return ret;
}

/**
 * dma_heap_pool_prefill - get backings before they are needed
 * @pool: the pool
 * @size: bytes of each, a non-zero multiple of PAGE_SIZE
 * @count: how many there are to be, of the calling CPU's node if there is a
 *	   choice
 *
 * Ageing leaves as many as that in the pool. The shrinker does not, nor are
 * they got anew then. A count of 0 makes @size one like any other again.
 *
 * Context: Process context, may sleep.
 *
 * Return: 0, -EINVAL for a bad size, -ENOSPC for more than the pool may hold,
 * or what the source gave.
 */
int dma_heap_pool_prefill(struct dma_heap_pool *pool, size_t size,
			  unsigned int count)
{
	struct dma_heap_pool_bin *bin;
	int ret;

	if (!size || !PAGE_ALIGNED(size))
		return -EINVAL;

	if (count && PHYS_PFN(size) > READ_ONCE(pool->max_pages) / count)
		return -ENOSPC;

	bin = pool_get_bin(pool, size, pool_nid(pool), GFP_KERNEL);
	if (!bin)
		return -ENOMEM;

	ret = pool_fill_bin(pool, bin, count);
	if (ret)
		pool_set_keep(pool, bin, 0);
	pool_put_bin(pool, bin);

	return ret;
}
EXPORT_SYMBOL_IF_KUNIT(dma_heap_pool_prefill);

/**
 * dma_heap_pool_get_stats - read the counters of a pool
 * @pool: the pool
 * @stats: where to put them
 *
 * Context: Any process context.
 */
void dma_heap_pool_get_stats(struct dma_heap_pool *pool,
			     struct dma_heap_pool_stats *stats)
{
	spin_lock(&pool->lock);
	*stats = pool->stats;
	stats->clean_pages = pool->pages[POOL_ZEROED];
	stats->dirty_pages = dma_heap_pool_unzeroed(pool);
	spin_unlock(&pool->lock);
}
EXPORT_SYMBOL_IF_KUNIT(dma_heap_pool_get_stats);

/* Life */

static void pool_init(struct dma_heap_pool *pool)
{
	int nid;

	spin_lock_init(&pool->lock);
	hash_init(pool->bins);
	init_waitqueue_head(&pool->scrub_wq);
	init_waitqueue_head(&pool->progress_wq);
	for_each_node(nid) {
		INIT_LIST_HEAD(&pool->nodes[nid].lists[POOL_ZEROED]);
		INIT_LIST_HEAD(&pool->nodes[nid].lists[POOL_DIRTY]);
	}

	/* Teach lockdep the order before anybody can get it wrong */
	fs_reclaim_acquire(GFP_KERNEL);
	might_lock(&pool->lock);
	fs_reclaim_release(GFP_KERNEL);
}

/* Pages that the pool of a source may hold at first */
static unsigned long pool_share(struct dma_heap_source *source)
{
	unsigned long max = PHYS_PFN(source->pool_max);

	if (source->first)
		return max;

	return min_not_zero(totalram_pages() / 100 * min(max_percent, 100u),
			    max);
}

/**
 * dma_heap_pool_create - make the pool of a source
 * @name: name of the heap, kept
 * @source: the source; &dma_heap_source.pool is set
 *
 * Context: Process context, may sleep.
 *
 * Return: The pool, or an ERR_PTR(): -ENOMEM, or what starting the scrubber gave.
 */
struct dma_heap_pool *dma_heap_pool_create(const char *name,
					   struct dma_heap_source *source)
{
	struct dma_heap_pool *pool;
	int ret;

	pool = kzalloc(struct_size(pool, nodes, nr_node_ids), GFP_KERNEL);
	if (!pool)
		return ERR_PTR(-ENOMEM);

	pool_init(pool);
	pool->source = source;
	pool->name = name;
	pool->nid = source->first ? page_to_nid(source->first) : NUMA_NO_NODE;
	pool->max_pages = pool_share(source);
	pool->decay = msecs_to_jiffies(POOL_DECAY_MS);

	ret = dma_heap_pool_shrink_init(pool);
	if (ret)
		goto err_free_pool;

	ret = dma_heap_pool_start_scrubber(pool);
	if (ret)
		goto err_shrink_fini;

	dma_heap_pool_reclaim_init(pool);
	source->pool = pool;

	return pool;

err_shrink_fini:
	dma_heap_pool_shrink_fini(pool);
err_free_pool:
	kfree(pool);
	return ERR_PTR(ret);
}
EXPORT_SYMBOL_IF_KUNIT(dma_heap_pool_create);

/* Bins are left only if they are to keep something */
static void pool_free_bins(struct dma_heap_pool *pool)
{
	struct dma_heap_pool_bin *bin;
	struct hlist_node *next;
	int i;

	hash_for_each_safe(pool->bins, i, next, bin, node) {
		WARN_ON(bin->users != !!bin->keep);
		hash_del(&bin->node);
		kfree(bin);
	}
}

/**
 * dma_heap_pool_destroy - give back all that is in a pool, and end it
 * @pool: the pool, which no heap uses and no buffer comes from any more
 *
 * Context: Process context, may sleep.
 */
void dma_heap_pool_destroy(struct dma_heap_pool *pool)
{
	dma_heap_pool_remove_debugfs(pool);
	if (pool->source->reserved)
		dma_heap_pool_wait_scrubbed(pool);
	dma_heap_pool_stop_scrubber(pool);
	dma_heap_pool_reclaim_fini(pool);
	dma_heap_pool_shrink_fini(pool);
	dma_heap_pool_drain(pool);
	pool_free_bins(pool);
	pool->source->pool = NULL;
	kfree(pool);
}
EXPORT_SYMBOL_IF_KUNIT(dma_heap_pool_destroy);

MODULE_DESCRIPTION("Pool of memory for the DMA-BUF heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF_HEAP);

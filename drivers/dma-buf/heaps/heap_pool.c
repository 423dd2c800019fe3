// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: a pool of backings between the exporter and a source
 *
 * A backing is kept as it is when its buffer goes: pages, scatterlist and all,
 * by size and node. The next buffer of that size takes it whole, so that its
 * cost does not depend on the size. In between, the scrubber makes it zero, and
 * has it written back from the CPU's caches if its kind of buffer is used by
 * devices that do not look there.
 *
 * A backing is with a buffer, in the pool, or in the hands of whoever has taken
 * it out under pool->lock; only the last may scrub it or give it back to the
 * source, without the lock.
 */

#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/numa.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/topology.h>
#include <linux/vmstat.h>
#include <trace/events/dma_heap.h>

#include "heap_backing.h"
#include "heap_pool.h"
#include "heap_pool_internal.h"

static unsigned int max_percent = 25;
module_param(max_percent, uint, 0444);
MODULE_PARM_DESC(max_percent, "What a pool may hold at first, in percent of RAM (default 25)");

#define POOL_DECAY_MS	30000

/* How long freeing tasks help the scrubber after an allocation had to */
#define POOL_DEBT	(HZ / 4)

/* An allocation that scrubs less than that has not lost much */
#define POOL_DEBT_PAGES	PHYS_PFN(SZ_64K)

static struct dma_heap_pool *to_pool(struct dma_heap_source *base)
{
	return container_of(base, struct dma_heap_pool, base);
}

static struct dma_heap_pool_bin *
dma_heap_pool_find_bin(struct dma_heap_pool *pool, size_t size, int nid)
{
	struct dma_heap_pool_bin *bin;

	lockdep_assert_held(&pool->lock);

	hash_for_each_possible(pool->bins, bin, node, size)
		if (bin->size == size && bin->nid == nid)
			return bin;

	return NULL;
}

/* Find or make the bin, and count one user of it; NULL if there is no memory */
static struct dma_heap_pool_bin *
dma_heap_pool_get_bin(struct dma_heap_pool *pool, size_t size, int nid,
		      gfp_t gfp)
{
	struct dma_heap_pool_bin *bin, *new;

	new = kzalloc(sizeof(*new), gfp);

	spin_lock(&pool->lock);
	bin = dma_heap_pool_find_bin(pool, size, nid);
	if (!bin && new) {
		new->size = size;
		new->nid = nid;
		INIT_LIST_HEAD(&new->clean);
		INIT_LIST_HEAD(&new->dirty);
		hash_add(pool->bins, &new->node, size);
		swap(bin, new);
	}
	if (bin)
		bin->users++;
	spin_unlock(&pool->lock);

	kfree(new);

	return bin;
}

static void dma_heap_pool_put_bin(struct dma_heap_pool *pool,
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

/* The node all chunks are of, or NUMA_NO_NODE if they differ */
static int dma_heap_backing_node(struct dma_heap_backing *backing)
{
	int nid = page_to_nid(sg_page(backing->sgt.sgl));
	struct scatterlist *sg;
	int i;

	for_each_sgtable_sg(&backing->sgt, sg, i)
		if (page_to_nid(sg_page(sg)) != nid)
			return NUMA_NO_NODE;

	return nid;
}

struct dma_heap_backing *dma_heap_pool_oldest_clean(struct dma_heap_pool *pool,
						    int nid)
{
	lockdep_assert_held(&pool->lock);

	return list_first_entry_or_null(&pool->nodes[nid].clean,
					struct dma_heap_backing, in_pool);
}

struct dma_heap_backing *dma_heap_pool_oldest_dirty(struct dma_heap_pool *pool,
						    int nid)
{
	lockdep_assert_held(&pool->lock);

	return list_first_entry_or_null(&pool->nodes[nid].dirty,
					struct dma_heap_backing, in_pool);
}

/* Add a backing that is accounted for to the lists it belongs to */
void dma_heap_pool_link(struct dma_heap_pool *pool,
			struct dma_heap_backing *backing)
{
	struct dma_heap_pool_bin *bin = backing->bin;
	struct dma_heap_pool_node *node = &pool->nodes[bin->nid];

	lockdep_assert_held(&pool->lock);

	list_add(&backing->in_bin,
		 backing->scrubbed ? &bin->clean : &bin->dirty);
	list_add_tail(&backing->in_pool,
		      backing->scrubbed ? &node->clean : &node->dirty);
	bin->count++;
	WRITE_ONCE(node->pages, node->pages + backing_pages(backing));
	if (backing->scrubbed)
		pool->clean_pages += backing_pages(backing);
}

/* Undo dma_heap_pool_link() */
void dma_heap_pool_unlink(struct dma_heap_pool *pool,
			  struct dma_heap_backing *backing)
{
	struct dma_heap_pool_bin *bin = backing->bin;
	struct dma_heap_pool_node *node = &pool->nodes[bin->nid];

	lockdep_assert_held(&pool->lock);

	list_del(&backing->in_bin);
	list_del(&backing->in_pool);
	bin->count--;
	WRITE_ONCE(node->pages, node->pages - backing_pages(backing));
	if (backing->scrubbed)
		pool->clean_pages -= backing_pages(backing);
}

/* Let a backing count as pooled, or no longer; no interrupt changes the state */
void dma_heap_pool_account(struct dma_heap_pool *pool,
			   struct dma_heap_backing *backing, int sign)
{
	long pages = sign * (long)backing_pages(backing);

	lockdep_assert_held(&pool->lock);

	pool->pages += pages;
	if (!pool->source->reserved)
		__mod_node_page_state(NODE_DATA(backing->bin->nid),
				      NR_KERNEL_MISC_RECLAIMABLE, pages);
}

/* Put a backing that is not in the pool where dma_heap_pool_release() finds it */
void dma_heap_pool_let_go(struct dma_heap_pool *pool,
			  struct dma_heap_backing *backing,
			  struct list_head *removed)
{
	lockdep_assert_held(&pool->lock);

	pool->leaving_pages += backing_pages(backing);
	list_add_tail(&backing->in_pool, removed);
}

/* The same with one that is in the pool */
void dma_heap_pool_remove(struct dma_heap_pool *pool,
			  struct dma_heap_backing *backing,
			  struct list_head *removed)
{
	dma_heap_pool_unlink(pool, backing);
	dma_heap_pool_account(pool, backing, -1);
	dma_heap_pool_let_go(pool, backing, removed);
}

/* Let those notice who have looked for memory before */
void dma_heap_pool_pass(struct dma_heap_pool *pool)
{
	lockdep_assert_held(&pool->lock);

	/* Whoever sees the number finds the memory */
	smp_store_release(&pool->passed, pool->passed + 1);
}

void dma_heap_pool_wake_others(struct dma_heap_pool *pool)
{
	if (wq_has_sleeper(&pool->others))
		wake_up_all(&pool->others);
}

static bool dma_heap_pool_under_pressure(struct dma_heap_pool *pool)
{
	lockdep_assert_held(&pool->lock);

	return time_before64(get_jiffies_64(), pool->pressure_until);
}

bool dma_heap_pool_may_keep(struct dma_heap_pool *pool,
			    struct dma_heap_backing *backing)
{
	lockdep_assert_held(&pool->lock);

	return backing->bin && backing_pages(backing) <= pool->max_pages &&
	       !pool->wanted && !dma_heap_pool_under_pressure(pool);
}

/* Give backings that have been taken out to the source, without the lock */
void dma_heap_pool_release(struct dma_heap_pool *pool,
			   struct list_head *removed)
{
	struct dma_heap_backing *backing, *next;
	unsigned long pages = 0;

	if (list_empty(removed))
		return;

	list_for_each_entry_safe(backing, next, removed, in_pool) {
		struct dma_heap_pool_bin *bin = backing->bin;

		pages += backing_pages(backing);
		pool->source->ops->free(pool->source, backing);
		if (bin)
			dma_heap_pool_put_bin(pool, bin);
	}

	spin_lock(&pool->lock);
	pool->leaving_pages -= pages;
	dma_heap_pool_pass(pool);
	spin_unlock(&pool->lock);

	dma_heap_pool_wake_others(pool);
}

/* The oldest dirty one that the source takes back as it is */
static struct dma_heap_backing *
dma_heap_pool_oldest_worthless(struct dma_heap_pool *pool, int nid)
{
	return pool->source->reserved ? NULL :
					dma_heap_pool_oldest_dirty(pool, nid);
}

/* Remove at least that many pages of a node, dirty ones first; may be less */
unsigned long dma_heap_pool_trim(struct dma_heap_pool *pool, int nid,
				 unsigned long nr_pages)
{
	struct dma_heap_backing *backing;
	unsigned long pages = 0;
	LIST_HEAD(removed);

	spin_lock(&pool->lock);
	while (pages < nr_pages) {
		backing = dma_heap_pool_oldest_worthless(pool, nid) ?:
			  dma_heap_pool_oldest_clean(pool, nid);
		if (!backing)
			break;
		pages += backing_pages(backing);
		dma_heap_pool_remove(pool, backing, &removed);
	}
	pool->stats.shrunk_pages += pages;
	spin_unlock(&pool->lock);
	if (pages)
		trace_dma_heap_shrink(pool->name, pages);

	dma_heap_pool_release(pool, &removed);

	return pages;
}

/* The one to go when the pool is full: clean ones have been there for longer */
static struct dma_heap_backing *dma_heap_pool_oldest(struct dma_heap_pool *pool)
{
	struct dma_heap_backing *backing;
	int nid;

	for_each_node(nid) {
		backing = dma_heap_pool_oldest_clean(pool, nid);
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

/* See that there is room below the cap; what has to go is added to @removed */
bool dma_heap_pool_make_room(struct dma_heap_pool *pool, unsigned long pages,
			     struct list_head *removed)
{
	struct dma_heap_backing *backing;

	lockdep_assert_held(&pool->lock);

	while (pool->pages + pages > pool->max_pages) {
		backing = dma_heap_pool_oldest(pool);
		if (!backing)
			return false;
		pool->stats.evicted_pages += backing_pages(backing);
		dma_heap_pool_remove(pool, backing, removed);
	}

	return true;
}

/* The node to look at first: where the caller is, if there is a choice */
static int dma_heap_pool_nid(struct dma_heap_pool *pool)
{
	return pool->nid == NUMA_NO_NODE ? numa_mem_id() : pool->nid;
}

/*
 * The newest one, clean if there is such. A reserved source may have clean memory
 * where the pool has none, and else waits for the scrubber.
 */
static struct dma_heap_backing *
dma_heap_pool_newest(struct dma_heap_pool *pool, struct dma_heap_pool_bin *bin)
{
	struct list_head *list = &bin->clean;

	if (list_empty(list) && !pool->source->reserved)
		list = &bin->dirty;

	return list_first_entry_or_null(list, struct dma_heap_backing, in_bin);
}

static struct dma_heap_backing *dma_heap_pool_take(struct dma_heap_pool *pool,
						   size_t size)
{
	struct dma_heap_backing *backing = NULL;
	struct dma_heap_pool_bin *bin;

	spin_lock(&pool->lock);
	bin = dma_heap_pool_find_bin(pool, size, dma_heap_pool_nid(pool));
	if (bin)
		backing = dma_heap_pool_newest(pool, bin);
	if (!backing) {
		pool->stats.misses++;
	} else {
		dma_heap_pool_unlink(pool, backing);
		dma_heap_pool_account(pool, backing, -1);
		if (backing->scrubbed)
			pool->stats.hits++;
		else
			pool->stats.dirty_hits++;
	}
	spin_unlock(&pool->lock);

	if (backing)
		trace_dma_heap_pool_hit(pool->name, size, backing->scrubbed);
	else
		trace_dma_heap_pool_miss(pool->name, size);

	return backing;
}

/* Nobody may ever get the memory of a backing again */
void dma_heap_pool_leak(struct dma_heap_pool *pool,
			struct dma_heap_backing *backing,
			struct list_head *removed)
{
	lockdep_assert_held(&pool->lock);

	pool->stats.leaked_pages += backing_pages(backing);
	dma_heap_pool_let_go(pool, backing, removed);
}

/*
 * Is a backing to stay? What has to be made room for that is added to @removed.
 * A reserved source does not take back what is dirty: that stays until it is
 * scrubbed, whatever the cap.
 */
static bool dma_heap_pool_keep(struct dma_heap_pool *pool,
			       struct dma_heap_backing *backing,
			       struct list_head *removed)
{
	lockdep_assert_held(&pool->lock);

	if (pool->source->reserved && !backing->scrubbed)
		return backing->bin;

	return dma_heap_pool_may_keep(pool, backing) &&
	       dma_heap_pool_make_room(pool, backing_pages(backing), removed);
}

/*
 * Put a backing that belongs to nobody into the pool, or into @removed if the
 * pool cannot have it. Returns how many dirty pages there are then.
 */
static unsigned long dma_heap_pool_insert(struct dma_heap_pool *pool,
					  struct dma_heap_backing *backing,
					  struct list_head *removed)
{
	unsigned long pages = backing_pages(backing);

	lockdep_assert_held(&pool->lock);

	if (dma_heap_pool_keep(pool, backing, removed)) {
		dma_heap_pool_account(pool, backing, 1);
		dma_heap_pool_link(pool, backing);
		dma_heap_pool_pass(pool);
	} else {
		pool->stats.evicted_pages += pages;
		dma_heap_pool_let_go(pool, backing, removed);
	}

	return pool->pages - pool->clean_pages;
}

static bool dma_heap_pool_task_killed(struct dma_heap_pool *pool)
{
	return fatal_signal_pending(current);
}

/* A dirty backing is all there is: scrub it, and have others help from now on */
static struct dma_heap_backing *
dma_heap_pool_alloc_dirty(struct dma_heap_pool *pool,
			  struct dma_heap_backing *backing)
{
	unsigned long pages = backing_pages(backing), dirty = 0;
	LIST_HEAD(removed);
	bool scrubbed;

	scrubbed = !dma_heap_pool_scrub(pool, backing,
					dma_heap_pool_task_killed);

	spin_lock(&pool->lock);
	if (pages >= POOL_DEBT_PAGES)
		pool->debt_until = get_jiffies_64() + POOL_DEBT;
	if (scrubbed)
		pool->stats.paid_pages += pages;
	else
		dirty = dma_heap_pool_insert(pool, backing, &removed);
	spin_unlock(&pool->lock);

	dma_heap_pool_release(pool, &removed);
	if (dirty)
		dma_heap_pool_wake_scrubber(pool, dirty);

	return scrubbed ? backing : ERR_PTR(-EINTR);
}

static struct dma_heap_backing *
dma_heap_pool_alloc(struct dma_heap_source *base, size_t size)
{
	struct dma_heap_pool *pool = to_pool(base);
	struct dma_heap_backing *backing;

	backing = dma_heap_pool_take(pool, size);
	if (!backing)
		return pool->source->ops->alloc(pool->source, size);

	if (!backing->scrubbed)
		return dma_heap_pool_alloc_dirty(pool, backing);

	return backing;
}

/* Whoever frees has to scrub if the scrubber does not keep up */
static bool dma_heap_pool_has_to_pay(struct dma_heap_pool *pool,
				     struct dma_heap_backing *backing)
{
	lockdep_assert_held(&pool->lock);

	/* All of a reserved source may wait here, if it can be here at all */
	if (pool->source->reserved)
		return !backing->bin;

	return dma_heap_pool_may_keep(pool, backing) &&
	       (pool->pages - pool->clean_pages > pool->max_pages / 2 ||
		time_before64(get_jiffies_64(), pool->debt_until));
}

/* Scrub what is being freed; the lock is dropped meanwhile */
static int dma_heap_pool_pay(struct dma_heap_pool *pool,
			     struct dma_heap_backing *backing)
{
	unsigned long pages = backing_pages(backing);
	int ret;

	lockdep_assert_held(&pool->lock);

	pool->paying_pages += pages;
	spin_unlock(&pool->lock);
	ret = dma_heap_pool_scrub(pool, backing, NULL);
	spin_lock(&pool->lock);
	pool->paying_pages -= pages;
	if (!ret)
		pool->stats.paid_pages += pages;

	return ret;
}

/*
 * Find out where a backing belongs that comes back for the first time. One with
 * memory of several nodes is not worth keeping: some of it will be far away
 * wherever it is used.
 */
static void dma_heap_pool_adopt(struct dma_heap_pool *pool,
				struct dma_heap_backing *backing)
{
	int nid = pool->nid;

	if (nid == NUMA_NO_NODE)
		nid = dma_heap_backing_node(backing);
	if (nid != NUMA_NO_NODE)
		backing->bin = dma_heap_pool_get_bin(pool, backing->size, nid,
						     GFP_NOWAIT | __GFP_NOWARN);
}

static void dma_heap_pool_free(struct dma_heap_source *base,
			       struct dma_heap_backing *backing)
{
	struct dma_heap_pool *pool = to_pool(base);
	unsigned long pages = backing_pages(backing), dirty = 0;
	bool alone, pay, leak = false;
	LIST_HEAD(removed);

	backing->scrubbed = false;
	backing->cleaned = false;
	backing->freed = jiffies;
	if (!backing->bin)
		dma_heap_pool_adopt(pool, backing);

	spin_lock(&pool->lock);
	pay = dma_heap_pool_has_to_pay(pool, backing);
	if (pay)
		leak = dma_heap_pool_pay(pool, backing);
	if (leak)
		dma_heap_pool_leak(pool, backing, &removed);
	else
		dirty = dma_heap_pool_insert(pool, backing, &removed);
	alone = pool->pages == pages;
	spin_unlock(&pool->lock);

	dma_heap_pool_release(pool, &removed);
	/* Somebody may wait for what was in our hands */
	if (pay)
		dma_heap_pool_wake_others(pool);
	/*
	 * What the task has paid for is no work. But if the pool was empty, the
	 * scrubber does not know that there is something to decay.
	 */
	if (dirty)
		dma_heap_pool_wake_scrubber(pool, dirty);
	else if (alone)
		dma_heap_pool_change_decay(pool);
}

static const struct dma_heap_source_ops dma_heap_pool_ops = {
	.alloc = dma_heap_pool_alloc,
	.free = dma_heap_pool_free,
};

/**
 * dma_heap_pool_source - the source that allocates from a pool
 * @pool: the pool
 *
 * Context: Any.
 *
 * Return: What to give to dma_heap_buffer_export(); lives as long as the pool.
 */
struct dma_heap_source *dma_heap_pool_source(struct dma_heap_pool *pool)
{
	return &pool->base;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_source, DMA_BUF_HEAP);

/**
 * dma_heap_pool_origin - the source that a pool stands in front of
 * @base: what dma_heap_pool_source() gave
 *
 * Context: Any.
 *
 * Return: The source given to dma_heap_pool_create().
 */
struct dma_heap_source *dma_heap_pool_origin(struct dma_heap_source *base)
{
	return to_pool(base)->source;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_origin, DMA_BUF_HEAP);

/**
 * dma_heap_pool_set_node - say that all memory of the source is of one node
 * @pool: the pool, which nobody has used yet
 * @nid: the node
 *
 * A task on another node finds what is in the pool, too, then.
 *
 * Context: Any.
 */
void dma_heap_pool_set_node(struct dma_heap_pool *pool, int nid)
{
	pool->nid = nid;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_set_node, DMA_BUF_HEAP);

/**
 * dma_heap_pool_count_leak - note that the source will not give memory again
 * @pool: the pool
 * @size: bytes of the backing that the source got back and could not keep
 *
 * Context: Process context.
 */
void dma_heap_pool_count_leak(struct dma_heap_pool *pool, size_t size)
{
	spin_lock(&pool->lock);
	pool->stats.leaked_pages += PHYS_PFN(size);
	spin_unlock(&pool->lock);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_count_leak, DMA_BUF_HEAP);

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
	LIST_HEAD(removed);

	spin_lock(&pool->lock);
	WRITE_ONCE(pool->max_pages, PHYS_PFN(max_bytes));
	dma_heap_pool_make_room(pool, 0, &removed);
	spin_unlock(&pool->lock);

	dma_heap_pool_release(pool, &removed);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_set_max, DMA_BUF_HEAP);

/**
 * dma_heap_pool_set_decay - set how long a pool keeps what nobody wants
 * @pool: the pool
 * @decay_ms: milliseconds since a backing's buffer was freed
 *
 * Context: Process context.
 */
void dma_heap_pool_set_decay(struct dma_heap_pool *pool, unsigned int decay_ms)
{
	spin_lock(&pool->lock);
	WRITE_ONCE(pool->decay, max(msecs_to_jiffies(decay_ms), 1UL));
	spin_unlock(&pool->lock);

	dma_heap_pool_change_decay(pool);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_set_decay, DMA_BUF_HEAP);

/* Set how many of a bin stay; returns how many are missing */
static unsigned int dma_heap_pool_set_keep(struct dma_heap_pool *pool,
					   struct dma_heap_pool_bin *bin,
					   unsigned int count)
{
	unsigned int have;

	spin_lock(&pool->lock);
	/* A bin that is to keep something has to stay itself */
	bin->users += !!count - !!bin->keep;
	bin->keep = count;
	have = bin->count;
	if (pool->scrubbing && pool->scrubbing->bin == bin)
		have++;
	spin_unlock(&pool->lock);

	return count > have ? count - have : 0;
}

/*
 * None comes into the pool before all are there: a source that is short of memory
 * would have those back to give them out again. What is in the bin may go for that.
 */
static int dma_heap_pool_fill_bin(struct dma_heap_pool *pool,
				  struct dma_heap_pool_bin *bin,
				  unsigned int count)
{
	struct dma_heap_backing *backing, *next;
	unsigned int n;
	LIST_HEAD(got);
	int ret = 0;

	for (n = 0; n < dma_heap_pool_set_keep(pool, bin, count); n++) {
		backing = pool->source->ops->alloc(pool->source, bin->size);
		if (IS_ERR(backing)) {
			ret = PTR_ERR(backing);
			break;
		}
		list_add_tail(&backing->in_pool, &got);
	}

	list_for_each_entry_safe(backing, next, &got, in_pool)
		dma_heap_pool_free(&pool->base, backing);

	return ret;
}

/**
 * dma_heap_pool_prefill - get backings before they are needed
 * @pool: the pool
 * @size: bytes of each, a non-zero multiple of PAGE_SIZE
 * @count: how many there are to be, of the calling CPU's node if there is a
 *	   choice
 *
 * The decay leaves as many as that in the pool. The shrinker does not, nor are
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

	bin = dma_heap_pool_get_bin(pool, size, dma_heap_pool_nid(pool),
				    GFP_KERNEL);
	if (!bin)
		return -ENOMEM;

	ret = dma_heap_pool_fill_bin(pool, bin, count);
	if (ret)
		dma_heap_pool_set_keep(pool, bin, 0);
	dma_heap_pool_put_bin(pool, bin);

	return ret;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_prefill, DMA_BUF_HEAP);

/**
 * dma_heap_pool_drain - give everything in a pool back to the source
 * @pool: the pool
 *
 * What the scrubber is at stays, and what is dirty if the source is reserved.
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
			freed = dma_heap_pool_trim(pool, nid, MAX_ORDER_NR_PAGES);
			total += freed;
			cond_resched();
		} while (freed);
	}

	return total;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_drain, DMA_BUF_HEAP);

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
	stats->clean_pages = pool->clean_pages;
	stats->dirty_pages = pool->pages - pool->clean_pages;
	spin_unlock(&pool->lock);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_get_stats, DMA_BUF_HEAP);

static void dma_heap_pool_init(struct dma_heap_pool *pool)
{
	int nid;

	spin_lock_init(&pool->lock);
	hash_init(pool->bins);
	init_waitqueue_head(&pool->wait);
	init_waitqueue_head(&pool->others);
	for_each_node(nid) {
		INIT_LIST_HEAD(&pool->nodes[nid].clean);
		INIT_LIST_HEAD(&pool->nodes[nid].dirty);
	}

	/* Teach lockdep the order before anybody can get it wrong */
	fs_reclaim_acquire(GFP_KERNEL);
	might_lock(&pool->lock);
	fs_reclaim_release(GFP_KERNEL);
}

/**
 * dma_heap_pool_create - put a pool in front of a source
 * @name: name of the heap, kept
 * @source: the source, with a scrub operation
 *
 * Context: Process context, may sleep.
 *
 * Return: The pool, to be used through dma_heap_pool_source(), or an ERR_PTR():
 * -ENOMEM, or what starting the scrubber gave.
 */
struct dma_heap_pool *dma_heap_pool_create(const char *name,
					   struct dma_heap_source *source)
{
	struct dma_heap_pool *pool;
	int ret;

	pool = kzalloc(struct_size(pool, nodes, nr_node_ids), GFP_KERNEL);
	if (!pool)
		return ERR_PTR(-ENOMEM);

	dma_heap_pool_init(pool);
	pool->base.ops = &dma_heap_pool_ops;
	pool->base.uncached = source->uncached;
	pool->source = source;
	pool->nid = NUMA_NO_NODE;
	pool->name = name;
	pool->max_pages = totalram_pages() / 100 * min(max_percent, 100u);
	pool->decay = msecs_to_jiffies(POOL_DECAY_MS);

	ret = dma_heap_pool_start_scrubber(pool);
	if (ret)
		goto err_free_pool;

	ret = dma_heap_pool_reclaim_init(pool);
	if (ret)
		goto err_stop_scrubber;

	dma_heap_pool_files_init(pool);

	return pool;

err_stop_scrubber:
	dma_heap_pool_stop_scrubber(pool);
err_free_pool:
	kfree(pool);
	return ERR_PTR(ret);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_create, DMA_BUF_HEAP);

/* Bins are left only if they are to keep something */
static void dma_heap_pool_free_bins(struct dma_heap_pool *pool)
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
	dma_heap_pool_files_fini(pool);
	dma_heap_pool_reclaim_fini(pool);
	if (pool->source->reserved)
		dma_heap_pool_wait_scrubbed(pool);
	dma_heap_pool_stop_scrubber(pool);
	dma_heap_pool_drain(pool);
	WARN_ON(pool->pages);
	dma_heap_pool_free_bins(pool);
	kfree(pool);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_destroy, DMA_BUF_HEAP);

MODULE_DESCRIPTION("Pool of memory for the DMA-BUF heaps");
MODULE_LICENSE("GPL");

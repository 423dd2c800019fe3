// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: the scrubber of a pool
 *
 * A thread that makes dirty backings clean, and lets go of those nobody wants.
 * A backlog that is small waits until a CPU has nothing else to do, a larger
 * one gets its share of a busy CPU, or it would never be worked off there.
 *
 * Whoever frees only sets a timer, to be out of the system call when it fires. A
 * thread that is fresh and on the same CPU would be the first to run if anything
 * made the kernel choose before that; and to wake it costs more than all the rest.
 */

#include <linux/err.h>
#include <linux/freezer.h>
#include <linux/hrtimer.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <uapi/linux/sched/types.h>
#include <trace/events/dma_heap.h>

#include "heap_backing.h"
#include "heap_pool_internal.h"

/* A backlog of so much is worth a share of a busy CPU */
#define POOL_HURRY_PAGES	PHYS_PFN(SZ_64K)

/* When the scrubber wakes up after the first buffer has gone */
#define POOL_ALARM		ns_to_ktime(100 * NSEC_PER_USEC)

/* Without work for so long, the next one may be small */
#define POOL_CALM		((long)HZ)

/* The decay need not be more exact than that */
#define POOL_DECAY_SLACK	(HZ / 20)

/* So much is scrubbed before anybody can stop it */
#define POOL_PIECE		((unsigned int)SZ_2M)

static int dma_heap_pool_scrub_chunk(struct dma_heap_pool *pool,
				     struct scatterlist *sg, bool clean,
				     bool (*stop)(struct dma_heap_pool *pool))
{
	unsigned int offset, len;
	int ret;

	for (offset = 0; offset < sg->length; offset += len) {
		len = min(sg->length - offset, POOL_PIECE);
		if (stop && stop(pool))
			return -EINTR;
		ret = pool->source->ops->scrub(pool->source,
					       nth_page(sg_page(sg),
							offset >> PAGE_SHIFT),
					       len, clean);
		if (ret)
			return ret;
		/* Another kernel may not preempt what is idle before the next tick */
		if (current == pool->scrubber)
			schedule();
		else
			cond_resched();
	}

	return 0;
}

static int dma_heap_pool_scrub_chunks(struct dma_heap_pool *pool,
				      struct dma_heap_backing *backing,
				      bool (*stop)(struct dma_heap_pool *pool))
{
	struct scatterlist *sg;
	int i, ret;

	for_each_sgtable_sg(&backing->sgt, sg, i) {
		ret = dma_heap_pool_scrub_chunk(pool, sg, backing->noncoherent,
						stop);
		if (ret)
			return ret;
	}
	backing->scrubbed = true;
	backing->cleaned = backing->noncoherent || pool->source->uncached;

	return 0;
}

/*
 * Scrub piece by piece, until @stop says that it is of no use any more. Returns
 * 0, -EINTR, or what the source had to complain about.
 */
int dma_heap_pool_scrub(struct dma_heap_pool *pool,
			struct dma_heap_backing *backing,
			bool (*stop)(struct dma_heap_pool *pool))
{
	int ret;

	ret = dma_heap_pool_scrub_chunks(pool, backing, stop);
	trace_dma_heap_scrub(pool->name, backing->size,
			     current == pool->scrubber, ret);

	return ret;
}

static bool dma_heap_pool_must_let_go(struct dma_heap_pool *pool)
{
	bool keep;

	/* A reserved source does not take back what is half done */
	if (pool->source->reserved)
		return false;

	spin_lock(&pool->lock);
	keep = dma_heap_pool_may_keep(pool, pool->scrubbing);
	spin_unlock(&pool->lock);

	return !keep;
}

static struct dma_heap_backing *
dma_heap_pool_start_scrubbing(struct dma_heap_pool *pool)
{
	struct dma_heap_backing *backing = NULL;
	int nid;

	spin_lock(&pool->lock);
	for_each_node(nid) {
		backing = dma_heap_pool_oldest_dirty(pool, nid);
		if (backing)
			break;
	}
	if (backing)
		dma_heap_pool_unlink(pool, backing);
	pool->scrubbing = backing;
	spin_unlock(&pool->lock);

	return backing;
}

void dma_heap_pool_wake(struct dma_heap_pool *pool)
{
	if (wq_has_sleeper(&pool->wait))
		wake_up_all(&pool->wait);
}

static void dma_heap_pool_end_scrubbing(struct dma_heap_pool *pool, int ret)
{
	struct dma_heap_backing *backing = pool->scrubbing;
	unsigned long pages = backing_pages(backing);
	bool dropped = false;
	LIST_HEAD(removed);

	spin_lock(&pool->lock);
	pool->scrubbing = NULL;
	if (!ret)
		pool->stats.scrubbed_pages += pages;
	/* The cap may have come down meanwhile, or memory may be short */
	if (!ret && dma_heap_pool_may_keep(pool, backing)) {
		dma_heap_pool_link(pool, backing);
		dma_heap_pool_pass(pool);
		dma_heap_pool_make_room(pool, 0, &removed);
	} else {
		/* A reserved source is not interrupted, but may fail like that */
		dropped = !ret || (ret == -EINTR && !pool->source->reserved);
		dma_heap_pool_account(pool, backing, -1);
		if (dropped) {
			pool->stats.shrunk_pages += pages;
			dma_heap_pool_let_go(pool, backing, &removed);
		} else {
			dma_heap_pool_leak(pool, backing, &removed);
		}
	}
	spin_unlock(&pool->lock);
	if (dropped)
		trace_dma_heap_shrink(pool->name, pages);

	dma_heap_pool_release(pool, &removed);
	/* Somebody may wait for the backing in our hands */
	dma_heap_pool_wake_others(pool);
}

/* Returns whether there was something to scrub */
static bool dma_heap_pool_scrub_next(struct dma_heap_pool *pool)
{
	struct dma_heap_backing *backing;
	int ret;

	backing = dma_heap_pool_start_scrubbing(pool);
	if (!backing)
		return false;

	ret = dma_heap_pool_scrub(pool, backing, dma_heap_pool_must_let_go);
	dma_heap_pool_end_scrubbing(pool, ret);

	return true;
}

/*
 * Remove what is in the pool of a node for too long. What is to be kept counts
 * as new again. Returns in how many jiffies the next one is due.
 */
static unsigned long dma_heap_pool_decay_node(struct dma_heap_pool *pool,
					      int nid,
					      struct list_head *removed)
{
	struct dma_heap_backing *backing;

	lockdep_assert_held(&pool->lock);

	while ((backing = dma_heap_pool_oldest_clean(pool, nid))) {
		unsigned long due = backing->freed + pool->decay;

		if (time_before(jiffies, due))
			return due - jiffies;

		if (backing->bin->count > backing->bin->keep) {
			pool->stats.decayed_pages += backing_pages(backing);
			dma_heap_pool_remove(pool, backing, removed);
			continue;
		}
		backing->freed = jiffies;
		list_move_tail(&backing->in_pool, &pool->nodes[nid].clean);
	}

	return MAX_SCHEDULE_TIMEOUT;
}

static unsigned long dma_heap_pool_decay(struct dma_heap_pool *pool)
{
	unsigned long next = MAX_SCHEDULE_TIMEOUT;
	unsigned long before, pages;
	LIST_HEAD(removed);
	int nid;

	spin_lock(&pool->lock);
	before = pool->pages;
	for_each_node(nid)
		next = min(next, dma_heap_pool_decay_node(pool, nid, &removed));
	pages = before - pool->pages;
	spin_unlock(&pool->lock);
	if (pages)
		trace_dma_heap_decay(pool->name, pages);

	dma_heap_pool_release(pool, &removed);

	return max(next, POOL_DECAY_SLACK);
}

static void dma_heap_pool_set_policy(struct dma_heap_pool *pool, int policy)
{
	const struct sched_attr attr = {
		.size = sizeof(attr),
		.sched_policy = policy,
	};

	WARN_ON_ONCE(sched_setattr_nocheck(pool->scrubber, &attr));
}

static void dma_heap_pool_hurry(struct dma_heap_pool *pool)
{
	if (!test_and_set_bit(POOL_HURRIED, &pool->flags))
		dma_heap_pool_set_policy(pool, SCHED_BATCH);
}

/* Only the scrubber itself slows down; somebody may want it to hurry meanwhile */
static void dma_heap_pool_calm_down(struct dma_heap_pool *pool)
{
	if (!test_and_clear_bit(POOL_HURRIED, &pool->flags))
		return;

	dma_heap_pool_set_policy(pool, SCHED_IDLE);
	if (test_bit(POOL_HURRIED, &pool->flags))
		dma_heap_pool_set_policy(pool, SCHED_BATCH);
}

/* Is there anything that has yet to be scrubbed, or is just being? */
bool dma_heap_pool_dirty(struct dma_heap_pool *pool)
{
	bool dirty;

	spin_lock(&pool->lock);
	dirty = pool->pages != pool->clean_pages;
	spin_unlock(&pool->lock);

	return dirty;
}

static bool dma_heap_pool_has_work(struct dma_heap_pool *pool)
{
	return dma_heap_pool_dirty(pool) ||
	       test_bit(POOL_DECAY_CHANGED, &pool->flags);
}

static enum hrtimer_restart dma_heap_pool_alarm(struct hrtimer *timer)
{
	dma_heap_pool_wake(container_of(timer, struct dma_heap_pool, alarm));

	return HRTIMER_NORESTART;
}

/* Have the scrubber look after a backlog of @dirty_pages, soon */
void dma_heap_pool_wake_scrubber(struct dma_heap_pool *pool,
				 unsigned long dirty_pages)
{
	if (dirty_pages >= POOL_HURRY_PAGES)
		dma_heap_pool_hurry(pool);

	if (wq_has_sleeper(&pool->wait) && !hrtimer_is_queued(&pool->alarm))
		hrtimer_start(&pool->alarm, POOL_ALARM, HRTIMER_MODE_REL_SOFT);
}

/* Have it look for what it is to let go of, now */
void dma_heap_pool_rush_scrubber(struct dma_heap_pool *pool)
{
	/* If it does not get to run, it does not notice */
	dma_heap_pool_hurry(pool);
	dma_heap_pool_wake(pool);
}

/* Have the scrubber find out anew when to let go of what nobody wants */
void dma_heap_pool_change_decay(struct dma_heap_pool *pool)
{
	set_bit(POOL_DECAY_CHANGED, &pool->flags);
	dma_heap_pool_wake(pool);
}

static int dma_heap_pool_scrubber(void *data)
{
	struct dma_heap_pool *pool = data;

	set_freezable();

	while (!kthread_freezable_should_stop(NULL)) {
		long timeout;

		if (dma_heap_pool_scrub_next(pool))
			continue;

		clear_bit(POOL_DECAY_CHANGED, &pool->flags);
		timeout = dma_heap_pool_decay(pool);
		if (test_bit(POOL_HURRIED, &pool->flags))
			timeout = min(timeout, POOL_CALM);

		if (!wait_event_freezable_timeout(pool->wait,
						  dma_heap_pool_has_work(pool) ||
						  kthread_should_stop(),
						  timeout))
			dma_heap_pool_calm_down(pool);
	}

	return 0;
}

int dma_heap_pool_start_scrubber(struct dma_heap_pool *pool)
{
	struct task_struct *task;

	hrtimer_init(&pool->alarm, CLOCK_MONOTONIC, HRTIMER_MODE_REL_SOFT);
	pool->alarm.function = dma_heap_pool_alarm;
	task = kthread_create(dma_heap_pool_scrubber, pool,
			      "dma_heap_scrub/%s", pool->name);
	if (IS_ERR(task))
		return PTR_ERR(task);

	pool->scrubber = get_task_struct(task);
	dma_heap_pool_set_policy(pool, SCHED_IDLE);
	wake_up_process(task);

	return 0;
}

void dma_heap_pool_stop_scrubber(struct dma_heap_pool *pool)
{
	hrtimer_cancel(&pool->alarm);
	kthread_stop_put(pool->scrubber);
}

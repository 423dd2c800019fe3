// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: the scrubber of a pool, a thread that zeroes dirty backings
 *
 * Freeing arms a timer instead of waking the scrubber: a direct wake-up costs a third
 * of close(), and a thread that is fresh and on the same CPU would be the first to run.
 * SCHED_BATCH does not preempt a task when it wakes up, and gets its share of a busy
 * CPU all the same.
 */

#include <linux/err.h>
#include <linux/freezer.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <uapi/linux/sched/types.h>
#include <trace/events/dma_heap.h>

#include "heap_pool_internal.h"
#include "heap_source.h"

/* When the scrubber wakes up after the first buffer has gone */
#define POOL_WAKE_DELAY		ns_to_ktime(100 * NSEC_PER_USEC)

/* When the scrubber goes on after a source could not scrub for now, in jiffies */
#define POOL_RETRY	(HZ / 10)

/* So much is scrubbed before the scrub can be stopped */
#define POOL_PIECE		((unsigned int)SZ_2M)

static int pool_scrub_chunk(struct dma_heap_pool *pool,
			    struct dma_heap_backing *backing,
			    struct scatterlist *sg,
			    bool (*stop)(struct dma_heap_pool *pool,
					 struct dma_heap_backing *backing))
{
	unsigned int offset, len;
	struct page *page;
	int ret;

	for (offset = 0; offset < sg->length; offset += len) {
		len = min(sg->length - offset, POOL_PIECE);
		if (stop && stop(pool, backing))
			return -EINTR;

		page = nth_page(sg_page(sg), offset >> PAGE_SHIFT);
		ret = dma_heap_source_scrub(pool->source, page, len,
					    backing->noncoherent);
		if (ret)
			return ret == -EAGAIN ? ret : -EIO;
		cond_resched();
	}

	return 0;
}

/*
 * Scrub a backing that the task has in its hands, piece by piece, until @stop says
 * that it is of no use any more. Returns 0, -EINTR if it was stopped, -EAGAIN if the
 * source cannot scrub it for now, or -EIO if it never can.
 */
int dma_heap_pool_scrub(struct dma_heap_pool *pool,
			struct dma_heap_backing *backing,
			bool (*stop)(struct dma_heap_pool *pool,
				     struct dma_heap_backing *backing))
{
	struct scatterlist *sg;
	int i, ret = 0;

	for_each_sgtable_sg(&backing->sgt, sg, i) {
		ret = pool_scrub_chunk(pool, backing, sg, stop);
		if (ret)
			break;
	}
	if (!ret) {
		backing->zeroed = true;
		backing->written_back = backing->noncoherent ||
				   pool->source->uncached;
	}
	trace_dma_heap_scrub(pool->name, backing->size,
			     current == pool->scrubber, ret);

	return ret;
}

/* A reserved source does not take back what is half done */
static bool pool_cannot_keep(struct dma_heap_pool *pool,
			     struct dma_heap_backing *backing)
{
	bool keep;

	if (pool->source->reserved)
		return false;

	spin_lock(&pool->lock);
	keep = dma_heap_pool_may_keep(pool, backing);
	spin_unlock(&pool->lock);

	return !keep;
}

static struct dma_heap_backing *pool_next_dirty(struct dma_heap_pool *pool)
{
	struct dma_heap_backing *backing = NULL;
	int nid;

	spin_lock(&pool->lock);
	for_each_node(nid) {
		backing = dma_heap_pool_oldest(pool, nid, POOL_DIRTY);
		if (backing) {
			dma_heap_pool_set_state(pool, backing, POOL_SCRUBBING);
			break;
		}
	}
	spin_unlock(&pool->lock);

	return backing;
}

/* Returns whether there was something to scrub */
static bool pool_scrub_next(struct dma_heap_pool *pool)
{
	struct dma_heap_backing *backing = pool_next_dirty(pool);
	unsigned long pages, shrunk;
	LIST_HEAD(leaving);
	int ret;

	if (!backing)
		return false;

	ret = dma_heap_pool_scrub(pool, backing, pool_cannot_keep);
	pages = backing_pages(backing);

	spin_lock(&pool->lock);
	if (!ret)
		pool->stats.scrubbed_pages += pages;
	/* The cap may have come down meanwhile, or memory may be short */
	shrunk = pool->stats.shrunk_pages;
	dma_heap_pool_settle(pool, backing, ret, &pool->stats.shrunk_pages,
			     &leaving);
	shrunk = pool->stats.shrunk_pages - shrunk;
	spin_unlock(&pool->lock);
	if (shrunk)
		trace_dma_heap_shrink(pool->name, shrunk);

	dma_heap_pool_dispose(pool, &leaving);
	if (ret == -EAGAIN)
		schedule_timeout_interruptible(POOL_RETRY);

	return true;
}

static bool pool_has_work(struct dma_heap_pool *pool)
{
	bool dirty;

	spin_lock(&pool->lock);
	dirty = pool->pages[POOL_DIRTY];
	spin_unlock(&pool->lock);

	return dirty;
}

void dma_heap_pool_wake_scrubber(struct dma_heap_pool *pool)
{
	if (wq_has_sleeper(&pool->scrub_wq))
		wake_up_all(&pool->scrub_wq);
}

void dma_heap_pool_wake_scrubber_later(struct dma_heap_pool *pool)
{
	if (wq_has_sleeper(&pool->scrub_wq) &&
	    !hrtimer_is_queued(&pool->wake_timer))
		hrtimer_start(&pool->wake_timer, POOL_WAKE_DELAY,
			      HRTIMER_MODE_REL_SOFT);
}

static enum hrtimer_restart pool_wake_timer(struct hrtimer *timer)
{
	dma_heap_pool_wake_scrubber(container_of(timer, struct dma_heap_pool,
						 wake_timer));

	return HRTIMER_NORESTART;
}

static int pool_scrubber(void *data)
{
	struct dma_heap_pool *pool = data;

	set_freezable();

	while (!kthread_freezable_should_stop(NULL))
		if (!pool_scrub_next(pool))
			wait_event_freezable(pool->scrub_wq,
					     pool_has_work(pool) ||
					     kthread_should_stop());

	return 0;
}

int dma_heap_pool_start_scrubber(struct dma_heap_pool *pool)
{
	static const struct sched_attr attr = {
		.size = sizeof(attr),
		.sched_policy = SCHED_BATCH,
	};
	struct task_struct *task;

	hrtimer_init(&pool->wake_timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_SOFT);
	pool->wake_timer.function = pool_wake_timer;
	task = kthread_create(pool_scrubber, pool, "dma_heap_scrub/%s",
			      pool->name);
	if (IS_ERR(task))
		return PTR_ERR(task);

	pool->scrubber = get_task_struct(task);
	WARN_ON_ONCE(sched_setattr_nocheck(task, &attr));
	wake_up_process(task);

	return 0;
}

void dma_heap_pool_stop_scrubber(struct dma_heap_pool *pool)
{
	hrtimer_cancel(&pool->wake_timer);
	kthread_stop_put(pool->scrubber);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * A pool in front of a mock source, and threads that use it, for the KUnit suites
 * of the pool
 */

#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/nodemask.h>
#include <linux/percpu.h>
#include <linux/pfn.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/signal.h>
#include <linux/shrinker.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/topology.h>
#include <linux/vmstat.h>

#include <kunit/resource.h>
#include <kunit/test.h>

#include "../heap_source.h"
#include "../heap_pool.h"
#include "heap_test_helpers.h"
#include "heap_test_pool.h"
#include "heap_test_source.h"

const struct state_case state_cases[2] = {
	{ "clean" },
	{ "dirty", true },
};

KUNIT_DEFINE_ACTION_WRAPPER(backing_put_wrapper, backing_put,
			    struct mock_backing *);

/* NR_KERNEL_MISC_RECLAIMABLE of a node, with the counts of CPUs that are not in it yet */
long reclaimable_pages_of(int nid)
{
	struct pglist_data *node = NODE_DATA(nid);
	long pages = atomic_long_read(&node->vm_stat[NR_KERNEL_MISC_RECLAIMABLE]);
	int cpu;

	for_each_online_cpu(cpu) {
		s8 *diff = per_cpu_ptr(node->per_cpu_nodestats,
				       cpu)->vm_node_stat_diff;

		pages += READ_ONCE(diff[NR_KERNEL_MISC_RECLAIMABLE]);
	}

	return pages;
}

static long reclaimable_pages(void)
{
	long pages = 0;
	int nid;

	for_each_online_node(nid)
		pages += reclaimable_pages_of(nid);

	return pages;
}

/* A CPU may be moving its count to the node, so wait for the right sum */
void expect_reclaimable(struct pool_test *ctx, long pages)
{
	KUNIT_EXPECT_TRUE(ctx->test, POOL_WAIT(reclaimable_pages() ==
					       ctx->reclaimable + pages));
}

/* An action. A test that ends the pool itself must release or remove the action */
void pool_destroy(void *data)
{
	struct pool_test *ctx = data;

	mock_open_gate(&ctx->mock);
	dma_heap_pool_destroy(ctx->pool);
	ctx->pool = NULL;
}

/* The pool is destroyed, so all backings must be back in the source */
static void pool_test_expect_nothing(void *data)
{
	struct mock_backing *backing, *next;
	struct pool_test *ctx = data;

	KUNIT_EXPECT_EQ(ctx->test, SEEN(ctx, errors), 0);
	KUNIT_EXPECT_EQ(ctx->test, SEEN(ctx, freed_pages),
			SEEN(ctx, allocated_pages));
	list_for_each_entry_safe(backing, next, &ctx->mock.gone, in_mock)
		kfree(backing);
	expect_reclaimable(ctx, 0);
}

int pool_create(struct pool_test *ctx)
{
	ctx->pool = dma_heap_pool_create("kunit", &ctx->mock.base);
	if (IS_ERR(ctx->pool))
		return PTR_ERR(ctx->pool);

	return kunit_add_action_or_reset(ctx->test, pool_destroy, ctx);
}

static int pool_test_start(struct kunit *test, bool reserved)
{
	struct pool_test *ctx;
	int ret;

	ctx = kunit_kzalloc(test, sizeof(*ctx), GFP_KERNEL);
	if (!ctx)
		return -ENOMEM;

	/* Stay on one node, so that allocations find the freed backings */
	set_cpus_allowed_ptr(current, cpumask_of_node(numa_node_id()));

	ctx->test = test;
	mock_source_init(&ctx->mock);
	ctx->mock.base.reserved = reserved;
	ctx->reclaimable = reclaimable_pages();
	ret = kunit_add_action_or_reset(test, pool_test_expect_nothing, ctx);
	if (ret)
		return ret;

	ret = pool_create(ctx);
	if (ret)
		return ret;

	test->priv = ctx;

	return 0;
}

int pool_test_init(struct kunit *test)
{
	return pool_test_start(test, false);
}

/* The source of the pool is reserved */
int pool_test_init_reserved(struct kunit *test)
{
	return pool_test_start(test, true);
}

/* Create the pool again, in front of an ordinary source */
void pool_make_ordinary(struct kunit *test)
{
	struct pool_test *ctx = test->priv;

	kunit_release_action(test, pool_destroy, ctx);
	ctx->mock.base.reserved = false;
	KUNIT_ASSERT_EQ(test, pool_create(ctx), 0);
}

struct dma_heap_pool_stats pool_stats(struct pool_test *ctx)
{
	struct dma_heap_pool_stats stats;

	dma_heap_pool_get_stats(ctx->pool, &stats);

	return stats;
}

unsigned long pool_pages(struct pool_test *ctx)
{
	struct dma_heap_pool_stats stats = pool_stats(ctx);

	return stats.clean_pages + stats.dirty_pages;
}

int pool_find_far_node(struct kunit *test)
{
	int nid;

	for_each_node_state(nid, N_CPU)
		if (nid != numa_node_id())
			break;
	if (nid >= MAX_NUMNODES)
		heap_test_skip(test, "nodes", "needs CPUs on two nodes");

	return nid;
}

/* Do the counters of the pool match those of the source? */
static bool pool_is_balanced(struct pool_test *ctx)
{
	struct dma_heap_pool_stats stats = pool_stats(ctx);
	struct mock_counts seen = mock_counts(&ctx->mock);
	unsigned long pages = stats.clean_pages + stats.dirty_pages;

	return seen.allocated_pages == seen.freed_pages + seen.used_pages + pages &&
	       seen.freed_pages == stats.evicted_pages + stats.decayed_pages +
				   stats.shrunk_pages + stats.lost_pages &&
	       seen.by_scrubber >= stats.scrubbed_pages &&
	       seen.by_others >= stats.paid_pages &&
	       seen.by_scrubber + seen.by_others ==
	       stats.scrubbed_pages + stats.paid_pages + seen.in_vain;
}

static bool reclaimable_is_exact(struct pool_test *ctx)
{
	unsigned long pages = ctx->mock.base.reserved ? 0 : pool_pages(ctx);

	return reclaimable_pages() == ctx->reclaimable + pages;
}

/* The pool must not lose a backing or count one twice */
void pool_test_exit(struct kunit *test)
{
	struct pool_test *ctx = test->priv;

	if (!ctx)
		return;

	/* A failed test has reported its error, and may have left any state */
	mock_open_gate(&ctx->mock);
	if (!ctx->pool || READ_ONCE(test->status) == KUNIT_FAILURE)
		return;

	KUNIT_EXPECT_TRUE(test, POOL_WAIT(pool_is_balanced(ctx)));
	KUNIT_EXPECT_TRUE(test, POOL_WAIT(reclaimable_is_exact(ctx)));
}

struct dma_heap_backing *pool_try_get(struct pool_test *ctx, unsigned int pages)
{
	return dma_heap_source_get(&ctx->mock.base, PFN_PHYS(pages));
}

/* Like pool_get(), but another task of the test frees the backing */
struct mock_backing *pool_get_for_task(struct pool_test *ctx, unsigned int pages)
{
	struct dma_heap_backing *base = pool_try_get(ctx, pages);
	struct kunit *test = ctx->test;
	const char *wrong;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, base);
	wrong = backing_use(to_mock_backing(base), pages, DIRT);
	if (wrong)
		KUNIT_FAIL_AND_ABORT(test, "backing of %u pages %s", pages,
				     wrong);

	return to_mock_backing(base);
}

/* Allocate, check that the backing is zeroed, and make it dirty */
struct mock_backing *pool_get(struct pool_test *ctx, unsigned int pages)
{
	struct mock_backing *backing = pool_get_for_task(ctx, pages);

	KUNIT_ASSERT_EQ(ctx->test, kunit_add_action(ctx->test, backing_put_wrapper,
						    backing), 0);

	return backing;
}

void pool_put(struct pool_test *ctx, struct mock_backing *backing)
{
	kunit_release_action(ctx->test, backing_put_wrapper, backing);
}

static bool pool_is_scrubbed(struct pool_test *ctx)
{
	return !STAT(ctx, dirty_pages) && pool_is_balanced(ctx);
}

/* Wait until all backings in the pool are zeroed, and evicted ones are in the source */
void pool_wait_scrubbed(struct pool_test *ctx)
{
	POOL_WAIT_FOR(ctx->test, pool_is_scrubbed(ctx));
}

void pool_wait_pages(struct pool_test *ctx, unsigned long expected)
{
	POOL_WAIT_FOR(ctx->test,
		      pool_pages(ctx) == expected && pool_is_balanced(ctx));
}

/* Wait for zeroed pages without comparing the counters with the source */
void pool_wait_clean_pages(struct pool_test *ctx, u64 pages)
{
	POOL_WAIT_FOR(ctx->test,
		      STAT(ctx, clean_pages) == pages && !STAT(ctx, dirty_pages));
}

struct mock_backing *pool_put_clean(struct pool_test *ctx,
				    struct mock_backing *backing)
{
	pool_put(ctx, backing);
	pool_wait_scrubbed(ctx);

	return backing;
}

/* Free a backing of a new size; returns whether the allocation of its bin failed */
bool pool_put_no_bin(struct mock_backing *backing)
{
	heap_test_fault_arm(1);
	backing_put(backing);

	return heap_test_fault_taken();
}

void pool_get_many(struct pool_test *ctx, struct mock_backing **backings,
		   unsigned int count, unsigned int pages, int more)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		backings[i] = pool_get(ctx, pages + i * more);
}

void pool_put_many(struct pool_test *ctx, struct mock_backing **backings,
		   unsigned int count, bool clean)
{
	unsigned int i;

	for (i = 0; i < count; i++) {
		pool_put(ctx, backings[i]);
		if (clean)
			pool_wait_scrubbed(ctx);
	}
}

/*
 * Hold the scrubber with a backing of DECOY_PAGES, so that all other dirty backings
 * stay dirty
 */
void pool_hold_scrubber(struct pool_test *ctx)
{
	struct mock_backing *decoy = pool_get(ctx, DECOY_PAGES);

	WRITE_ONCE(ctx->mock.hold, true);
	pool_put(ctx, decoy);
	POOL_WAIT_FOR(ctx->test, READ_ONCE(ctx->mock.held));
}

void pool_release_scrubber(struct pool_test *ctx)
{
	mock_open_gate(&ctx->mock);
	pool_wait_scrubbed(ctx);
}

/*
 * Make a backing look as if it had been freed earlier. If it is in the pool, the ageing
 * worker must not be due.
 */
void pool_make_older(struct mock_backing *backing, unsigned int seconds)
{
	backing->base.freed -= seconds * HZ;
}

/* Check that the pool keeps a freed backing */
void pool_expect_keeps(struct pool_test *ctx)
{
	struct mock_backing *backing = pool_get(ctx, 40);

	pool_put_clean(ctx, backing);
	KUNIT_EXPECT_EQ(ctx->test, when_gone(backing), 0);
	KUNIT_EXPECT_PTR_EQ(ctx->test, pool_get(ctx, 40), backing);
}

int second_attempt_succeeds(void *data, size_t held)
{
	unsigned int *attempts = data;

	return (*attempts)++ ? 0 : -EAGAIN;
}

/* Search for memory as an allocation does; returns 0 if the pool gave some back */
int pool_search_once(struct pool_test *ctx)
{
	unsigned int attempts = 0;

	return dma_heap_pool_reclaim_until(ctx->pool, second_attempt_succeeds,
					   &attempts, pool_patience());
}

/* Search until nothing more comes back: a lost backing may be in transit */
int pool_search_to_end(struct pool_test *ctx)
{
	int ret;

	do {
		ret = pool_search_once(ctx);
	} while (!ret);

	return ret;
}

static unsigned long pool_call_count(struct pool_test *ctx, bool idle)
{
	struct shrinker *shrinker = dma_heap_pool_shrinker(ctx->pool, idle);
	struct shrink_control sc = {
		.gfp_mask = GFP_KERNEL,
		.nid = numa_mem_id(),
	};

	return shrinker->count_objects(shrinker, &sc);
}

/* Returns the result of scan; nr_scanned must be the same */
static unsigned long pool_call_scan(struct pool_test *ctx, bool idle,
				    unsigned long nr_to_scan)
{
	struct shrinker *shrinker = dma_heap_pool_shrinker(ctx->pool, idle);
	struct shrink_control sc = {
		.gfp_mask = GFP_KERNEL,
		.nid = numa_mem_id(),
		.nr_to_scan = nr_to_scan,
		.nr_scanned = nr_to_scan,
	};
	unsigned long freed;

	freed = shrinker->scan_objects(shrinker, &sc);
	if (freed != SHRINK_STOP)
		KUNIT_EXPECT_EQ(ctx->test, sc.nr_scanned, freed);

	return freed;
}

unsigned long pool_count(struct pool_test *ctx)
{
	return pool_call_count(ctx, true);
}

unsigned long pool_scan(struct pool_test *ctx, unsigned long nr_to_scan)
{
	return pool_call_scan(ctx, true, nr_to_scan);
}

unsigned long pool_reclaim_count(struct pool_test *ctx)
{
	return pool_call_count(ctx, false);
}

unsigned long pool_reclaim(struct pool_test *ctx, unsigned long nr_to_scan)
{
	unsigned int flags = memalloc_noreclaim_save();
	unsigned long freed = pool_call_scan(ctx, false, nr_to_scan);

	memalloc_noreclaim_restore(flags);

	return freed;
}

#define KSWAPD	(PF_KSWAPD | PF_MEMALLOC)

unsigned long pool_kswapd_count(struct pool_test *ctx)
{
	unsigned long count;

	current->flags |= KSWAPD;
	KUNIT_EXPECT_EQ(ctx->test, pool_reclaim_count(ctx), SHRINK_EMPTY);
	count = pool_count(ctx);
	current->flags &= ~KSWAPD;

	return count;
}

unsigned long pool_kswapd_scan(struct pool_test *ctx, unsigned long nr_to_scan)
{
	unsigned long freed;

	current->flags |= KSWAPD;
	freed = pool_scan(ctx, nr_to_scan);
	current->flags &= ~KSWAPD;

	return freed;
}

static int pool_task_thread(void *data)
{
	struct pool_task *task = data;

	allow_signal(SIGKILL);
	WRITE_ONCE(task->began, true);
	task->func(task->data);
	/* Readers of done also see the writes of func() */
	smp_store_release(&task->done, true);

	return 0;
}

/* An action: end the thread, even if it still waits */
static void pool_task_end(void *data)
{
	struct pool_task *task = data;

	mock_open_gate(&task->ctx->mock);
	if (!pool_task_is_done(task))
		pool_task_kill(task);
	kthread_stop_put(task->task);
}

/* Start a thread that calls @func, on the CPUs of the test; @func must not assert */
struct pool_task *pool_task_start(struct pool_test *ctx, void (*func)(void *data),
				  void *data)
{
	struct kunit *test = ctx->test;
	struct pool_task *task;

	task = kunit_kzalloc(test, sizeof(*task), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, task);
	task->ctx = ctx;
	task->func = func;
	task->data = data;
	task->task = kthread_create(pool_task_thread, task, "kunit-pool-task");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task->task);

	get_task_struct(task->task);
	set_cpus_allowed_ptr(task->task, current->cpus_ptr);
	wake_up_process(task->task);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, pool_task_end, task), 0);

	return task;
}

bool pool_task_is_done(struct pool_task *task)
{
	/* Pairs with the release in pool_task_thread() */
	return smp_load_acquire(&task->done);
}

/* Does the thread sleep in @state? */
bool pool_task_is_asleep(struct pool_task *task, unsigned int state)
{
	return READ_ONCE(task->began) &&
	       READ_ONCE(task->task->__state) == state;
}

void pool_task_kill(struct pool_task *task)
{
	send_sig(SIGKILL, task->task, 1);
}

void pool_task_join(struct pool_task *task)
{
	struct kunit *test = task->ctx->test;

	POOL_WAIT_FOR(test, pool_task_is_done(task));
	kunit_remove_action(test, pool_task_end, task);
	kthread_stop_put(task->task);
}

void pool_drain_task(void *data)
{
	struct pool_test *ctx = data;

	dma_heap_pool_drain(ctx->pool);
}

void pool_put_task(void *backing)
{
	backing_put(backing);
}

/* The test has removed the action of the pool */
void pool_destroy_task(void *data)
{
	struct pool_test *ctx = data;

	dma_heap_pool_destroy(ctx->pool);
}

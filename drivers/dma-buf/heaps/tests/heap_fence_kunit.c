// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of the exporter of DMA-BUF heaps: CPU accesses wait for fences
 */

#include <linux/array_size.h>
#include <linux/container_of.h>
#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-fence.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/scatterlist.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>
#include <trace/events/dma_heap.h>

#include <kunit/resource.h>
#include <kunit/test.h>

#include "../heap_source.h"
#include "heap_test_cache.h"
#include "heap_test_helpers.h"

static const u8 one_page[] = { 0 };

#define NEW_BYTE	0x77

/**
 * struct fence_test - a buffer, and a fence that signals when a task waits for it
 * @cache: the buffer and its devices
 * @lock: lock of @fence
 * @fence: signals when a task waits for it, if @ends is set
 * @ends: see @fence
 * @waited: a task has waited for @fence
 * @events: number of cache events before that wait
 * @copy: byte that the device writes just before @fence signals, or NULL
 * @late: add @fence when the exporter is done, see fence_probe_sync()
 */
struct fence_test {
	struct heap_cache *cache;
	spinlock_t lock;	/* see above */
	struct dma_fence fence;
	bool ends;
	bool waited;
	unsigned int events;
	u8 *copy;
	bool late;
};

static const char *fence_test_name(struct dma_fence *fence)
{
	return "kunit";
}

/* Returns false if the fence has signalled */
static bool fence_test_enable_signaling(struct dma_fence *fence)
{
	struct fence_test *ctx = container_of(fence, struct fence_test, fence);

	ctx->waited = true;
	ctx->events = ctx->cache->event_count;
	if (ctx->ends && ctx->copy)
		*ctx->copy = NEW_BYTE;

	return !ctx->ends;
}

/* The fence is a part of struct fence_test: nothing to free */
static void fence_test_release(struct dma_fence *fence)
{
}

static const struct dma_fence_ops fence_test_ops = {
	.get_driver_name = fence_test_name,
	.get_timeline_name = fence_test_name,
	.enable_signaling = fence_test_enable_signaling,
	.release = fence_test_release,
};

static void fence_test_exit(void *data)
{
	struct fence_test *ctx = data;

	flush_signals(current);
	dma_fence_signal(&ctx->fence);
	heap_cache_free(ctx->cache);
	dma_fence_put(&ctx->fence);
	synchronize_rcu();
}

static int fence_test_init(struct kunit *test)
{
	struct fence_test *ctx;

	ctx = kunit_kzalloc(test, sizeof(*ctx), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, ctx);
	test->priv = ctx;
	ctx->cache = heap_cache_init(test);
	heap_test_source_init(&ctx->cache->source, one_page, 1);
	ctx->cache->source.written_back = true;
	heap_cache_alloc(ctx->cache, O_RDWR);
	spin_lock_init(&ctx->lock);
	dma_fence_init(&ctx->fence, &fence_test_ops, &ctx->lock,
		       dma_fence_context_alloc(1), 1);

	return kunit_add_action_or_reset(test, fence_test_exit, ctx);
}

static void add_fence(struct fence_test *ctx, struct dma_fence *fence,
		      enum dma_resv_usage usage)
{
	struct dma_resv *resv = ctx->cache->dmabuf->resv;

	dma_resv_lock(resv, NULL);
	KUNIT_EXPECT_EQ(ctx->cache->test, dma_resv_reserve_fences(resv, 1), 0);
	dma_resv_add_fence(resv, fence, usage);
	dma_resv_unlock(resv);
}

static int do_step(struct fence_test *ctx, const char *text)
{
	struct heap_cache_step step;

	KUNIT_ASSERT_EQ(ctx->cache->test,
			heap_cache_parse(ctx->cache, text, &step), 0);

	return heap_cache_do(ctx->cache, &step);
}

static u8 *byte_of_buffer(struct fence_test *ctx)
{
	return page_address(sg_page(ctx->cache->source.backing->sgt.sgl));
}

/* The first byte of the copy that the device has mapped */
static u8 *byte_of_copy(struct fence_test *ctx)
{
	struct heap_cache_user *user = &ctx->cache->users[HEAP_CACHE_BOUNCING];

	return phys_to_virt(dma_to_phys(user->dev,
					sg_dma_address(user->sgt->sgl)));
}

/* Accesses. An access that writes must wait for devices that only read, too */
static const struct access_case {
	const char *desc;
	bool writes;
} access_cases[] = {
	{ "begin r", false },
	{ "begin w", true },
	{ "begin rw", true },
	{ "begin r 0..0+2", false },
	{ "begin w 0+1..0+9", true },
};

KUNIT_ARRAY_PARAM_DESC(access, access_cases, desc);

static void access_copies_what_a_device_wrote_last(struct kunit *test)
{
	const struct access_case *access = test->param_value;
	struct fence_test *ctx = test->priv;

	if (!ctx->cache->users[HEAP_CACHE_BOUNCING].dev)
		heap_test_skip(test, "swiotlb",
			       "needs CONFIG_SWIOTLB, and slots");

	KUNIT_ASSERT_EQ(test, do_step(ctx, "map b w"), 0);
	ctx->ends = true;
	ctx->copy = byte_of_copy(ctx) + 1;
	add_fence(ctx, &ctx->fence, DMA_RESV_USAGE_WRITE);
	KUNIT_EXPECT_EQ(test, do_step(ctx, access->desc), 0);
	KUNIT_EXPECT_TRUE(test, ctx->waited);
	KUNIT_EXPECT_EQ(test, byte_of_buffer(ctx)[1], NEW_BYTE);
}

static void lines_are_dropped_after_the_wait(struct kunit *test)
{
	const struct access_case *access = test->param_value;
	struct fence_test *ctx = test->priv;

	if (!ctx->cache->users[HEAP_CACHE_NONCOHERENT].dev)
		heap_test_skip(test, "noncoherent",
			       "needs devices that go past the caches");

	KUNIT_ASSERT_EQ(test, do_step(ctx, "map n w"), 0);
	ctx->ends = true;
	add_fence(ctx, &ctx->fence, DMA_RESV_USAGE_WRITE);
	KUNIT_EXPECT_EQ(test, do_step(ctx, access->desc), 0);
	KUNIT_EXPECT_TRUE(test, ctx->waited);
	KUNIT_EXPECT_EQ(test, ctx->events, 0);
	KUNIT_EXPECT_EQ(test, ctx->cache->event_count, 1);
}

static void only_writers_wait_for_devices_that_read(struct kunit *test)
{
	const struct access_case *access = test->param_value;
	struct fence_test *ctx = test->priv;

	ctx->ends = true;
	add_fence(ctx, &ctx->fence, DMA_RESV_USAGE_READ);
	KUNIT_EXPECT_EQ(test, do_step(ctx, access->desc), 0);
	KUNIT_EXPECT_EQ(test, ctx->waited, access->writes);
}

static void send_signal(void)
{
	allow_signal(SIGUSR1);
	send_sig(SIGUSR1, current, 1);
}

/* An interrupted access leaves all work to the next access */
static void interrupted_wait_changes_nothing(struct kunit *test)
{
	const struct access_case *access = test->param_value;
	struct fence_test *ctx = test->priv;
	struct dma_heap_buffer *buffer = ctx->cache->dmabuf->priv;

	if (ctx->cache->users[HEAP_CACHE_NONCOHERENT].dev)
		KUNIT_ASSERT_EQ(test, do_step(ctx, "map n w"), 0);
	add_fence(ctx, &ctx->fence, DMA_RESV_USAGE_WRITE);
	send_signal();
	KUNIT_EXPECT_EQ(test, do_step(ctx, access->desc), -ERESTARTSYS);
	KUNIT_EXPECT_TRUE(test, ctx->waited);
	KUNIT_EXPECT_EQ(test, ctx->cache->event_count, 0);
	KUNIT_EXPECT_EQ(test, buffer->writers, 0);
	KUNIT_EXPECT_FALSE(test, buffer->dirty);
}

/* The exporter has begun the access. The core has not waited yet */
static void fence_probe_sync(void *data, unsigned long ino, bool begin,
			     enum dma_data_direction dir, u64 offset, u64 len,
			     u64 maintained)
{
	struct fence_test *ctx = data;
	struct dma_resv *resv = ctx->cache->dmabuf->resv;

	if (!ctx->late || !begin || current != ctx->cache->task)
		return;

	ctx->late = false;
	if (!dma_resv_trylock(resv))
		return;
	/* The fence replaces a signalled one: no other slot is reserved */
	dma_resv_add_fence(resv, &ctx->fence, DMA_RESV_USAGE_WRITE);
	dma_resv_unlock(resv);
}

static const struct heap_test_probe fence_probes[] = {
	{ "dma_heap_sync", fence_probe_sync },
};

static void access_that_fails_late_leaves_no_writer(struct kunit *test)
{
	const struct access_case *access = test->param_value;
	struct fence_test *ctx = test->priv;
	struct dma_heap_buffer *buffer = ctx->cache->dmabuf->priv;
	struct dma_fence *done = dma_fence_get_stub();

	check_trace_callback_type_dma_heap_sync(fence_probe_sync);
	heap_test_probes_register(test, fence_probes, ARRAY_SIZE(fence_probes),
				  ctx);

	add_fence(ctx, done, DMA_RESV_USAGE_WRITE);
	dma_fence_put(done);

	ctx->late = true;
	send_signal();
	KUNIT_EXPECT_EQ(test, do_step(ctx, access->desc), -ERESTARTSYS);
	KUNIT_EXPECT_TRUE(test, ctx->waited);
	KUNIT_EXPECT_EQ(test, buffer->writers, 0);
}

static struct kunit_case fence_test_cases[] = {
	KUNIT_CASE_PARAM(access_copies_what_a_device_wrote_last, access_gen_params),
	KUNIT_CASE_PARAM(lines_are_dropped_after_the_wait, access_gen_params),
	KUNIT_CASE_PARAM(only_writers_wait_for_devices_that_read, access_gen_params),
	KUNIT_CASE_PARAM(interrupted_wait_changes_nothing, access_gen_params),
	KUNIT_CASE_PARAM(access_that_fails_late_leaves_no_writer, access_gen_params),
	{}
};

static struct kunit_suite fence_test_suite = {
	.name = "dma_heap_fence",
	.init = fence_test_init,
	.test_cases = fence_test_cases,
};

kunit_test_suite(fence_test_suite);

MODULE_DESCRIPTION("KUnit tests of fences with DMA-BUF heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF);
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);

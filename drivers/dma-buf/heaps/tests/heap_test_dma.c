// SPDX-License-Identifier: GPL-2.0
/*
 * Devices that get copies (swiotlb) or cannot map, and trace events of the DMA API
 */

#include <linux/array_size.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/kconfig.h>
#include <linux/minmax.h>
#include <linux/scatterlist.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/swiotlb.h>
#include <linux/tracepoint.h>
#include <trace/events/dma.h>

#include <kunit/resource.h>
#include <kunit/test.h>

#include "heap_test_helpers.h"

/* Complaints of CONFIG_DMA_API_DEBUG since boot, 0 without it */
u32 heap_test_dma_errors(struct kunit *test)
{
	u32 *errors = heap_test_debugfs_variable("dma-api", "error_count");

	KUNIT_EXPECT_EQ(test, !!errors, IS_ENABLED(CONFIG_DMA_API_DEBUG));

	return errors ? READ_ONCE(*errors) : 0;
}
EXPORT_SYMBOL_NS_GPL(heap_test_dma_errors, EXPORTED_FOR_KUNIT_TESTING);

#ifdef CONFIG_SWIOTLB
static struct io_tlb_mem *heap_test_swap_io_tlb(struct device *dev,
						struct io_tlb_mem *mem)
{
	return xchg(&dev->dma_io_tlb_mem, mem);
}

static struct io_tlb_mem *heap_test_empty_io_tlb(struct kunit *test)
{
	struct io_tlb_mem *mem;

	mem = kunit_kzalloc(test, sizeof(*mem), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mem);
	mem->force_bounce = true;

	return mem;
}

/* Force only this device to use swiotlb, with a copy of the handle of the slots */
bool heap_test_make_bouncing(struct kunit *test, struct device *dev)
{
	struct io_tlb_mem *mem = dev->dma_io_tlb_mem;

	if (IS_ENABLED(CONFIG_SWIOTLB_DYNAMIC) || !mem || !mem->nslabs)
		return false;

	mem = kunit_kzalloc(test, sizeof(*mem), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, mem);
	*mem = *dev->dma_io_tlb_mem;
	mem->force_bounce = true;
	heap_test_swap_io_tlb(dev, mem);

	return true;
}
#else
static struct io_tlb_mem *heap_test_swap_io_tlb(struct device *dev,
						struct io_tlb_mem *mem)
{
	return NULL;
}

static struct io_tlb_mem *heap_test_empty_io_tlb(struct kunit *test)
{
	heap_test_skip(test, "swiotlb",
		       "needs CONFIG_SWIOTLB: without, no mapping fails but with a warning");

	return NULL;
}

bool heap_test_make_bouncing(struct kunit *test, struct device *dev)
{
	return false;
}
#endif
EXPORT_SYMBOL_NS_GPL(heap_test_make_bouncing, EXPORTED_FOR_KUNIT_TESTING);

/*
 * The device must get copies (swiotlb), but there is no memory for them: all maps
 * fail. Skips the test on a kernel without swiotlb.
 */
struct io_tlb_mem *heap_test_break_dma(struct kunit *test, struct device *dev)
{
	return heap_test_swap_io_tlb(dev, heap_test_empty_io_tlb(test));
}
EXPORT_SYMBOL_NS_GPL(heap_test_break_dma, EXPORTED_FOR_KUNIT_TESTING);

/* Undo heap_test_break_dma(), which returned @mem */
void heap_test_repair_dma(struct device *dev, struct io_tlb_mem *mem)
{
	heap_test_swap_io_tlb(dev, mem);
}
EXPORT_SYMBOL_NS_GPL(heap_test_repair_dma, EXPORTED_FOR_KUNIT_TESTING);

static void heap_test_dma_record(struct heap_test_dma_trace *trace,
				 struct heap_test_dma_event event)
{
	unsigned long flags;

	if (event.dev != trace->devs[0] && event.dev != trace->devs[1])
		return;

	spin_lock_irqsave(&trace->lock, flags);
	if (trace->count < ARRAY_SIZE(trace->events))
		trace->events[trace->count] = event;
	trace->count++;
	spin_unlock_irqrestore(&trace->lock, flags);
}

static void heap_test_probe_map(void *data, struct device *dev,
				struct scatterlist *sgl, int nents, int ents,
				enum dma_data_direction dir,
				unsigned long attrs)
{
	heap_test_dma_record(data, (struct heap_test_dma_event) {
		dev, HEAP_TEST_DMA_MAP, dir, attrs, nents });
}

static void heap_test_probe_unmap(void *data, struct device *dev,
				  struct scatterlist *sgl, int nents,
				  enum dma_data_direction dir,
				  unsigned long attrs)
{
	heap_test_dma_record(data, (struct heap_test_dma_event) {
		dev, HEAP_TEST_DMA_UNMAP, dir, attrs, nents });
}

static void heap_test_probe_sync_for_cpu(void *data, struct device *dev,
					 struct scatterlist *sgl, int nents,
					 enum dma_data_direction dir)
{
	heap_test_dma_record(data, (struct heap_test_dma_event) {
		dev, HEAP_TEST_DMA_SYNC_FOR_CPU, dir, 0, nents });
}

static void heap_test_probe_sync_for_device(void *data, struct device *dev,
					    struct scatterlist *sgl, int nents,
					    enum dma_data_direction dir)
{
	heap_test_dma_record(data, (struct heap_test_dma_event) {
		dev, HEAP_TEST_DMA_SYNC_FOR_DEVICE, dir, 0, nents });
}

/**
 * struct heap_test_probes - registered probes
 * @probes: the probes
 * @tps: tracepoints of their events
 * @count: number of registered probes
 * @data: first argument of the probes
 */
struct heap_test_probes {
	const struct heap_test_probe *probes;
	struct tracepoint *tps[HEAP_TEST_MAX_PROBES];
	unsigned int count;
	void *data;
};

struct heap_test_match {
	const char *name;
	struct tracepoint *tp;
};

/* The tracepoints are not exported to modules: find them by name */
static void heap_test_match_tracepoint(struct tracepoint *tp, void *data)
{
	struct heap_test_match *match = data;

	if (!strcmp(tp->name, match->name))
		match->tp = tp;
}

static void heap_test_probes_unregister(void *data)
{
	struct heap_test_probes *p = data;
	unsigned int i;

	for (i = 0; i < p->count; i++)
		tracepoint_probe_unregister(p->tps[i], p->probes[i].func,
					    p->data);
	tracepoint_synchronize_unregister();
}

static void heap_test_probe_register(struct kunit *test,
				     struct heap_test_probes *p, unsigned int i)
{
	struct heap_test_match match = { .name = p->probes[i].name };
	int ret;

	for_each_kernel_tracepoint(heap_test_match_tracepoint, &match);
	KUNIT_ASSERT_NOT_NULL_MSG(test, match.tp, "no trace event %s",
				  match.name);

	ret = tracepoint_probe_register(match.tp, p->probes[i].func, p->data);
	KUNIT_ASSERT_EQ(test, ret, 0);
	p->tps[i] = match.tp;
	p->count = i + 1;
}

/*
 * Register functions for trace events until the test ends. @data is their first
 * argument. Skips the test on a kernel without tracepoints.
 */
void heap_test_probes_register(struct kunit *test,
			       const struct heap_test_probe *probes,
			       unsigned int count, void *data)
{
	struct heap_test_probes *p;
	unsigned int i;
	int ret;

	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		heap_test_skip(test, "trace", "needs CONFIG_TRACEPOINTS");

	KUNIT_ASSERT_LE(test, count, HEAP_TEST_MAX_PROBES);
	p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, p);
	p->probes = probes;
	p->data = data;

	ret = kunit_add_action_or_reset(test, heap_test_probes_unregister, p);
	KUNIT_ASSERT_EQ(test, ret, 0);

	for (i = 0; i < count; i++)
		heap_test_probe_register(test, p, i);
}
EXPORT_SYMBOL_NS_GPL(heap_test_probes_register, EXPORTED_FOR_KUNIT_TESTING);

static const struct heap_test_probe heap_test_dma_probes[] = {
	{ "dma_map_sg", heap_test_probe_map },
	{ "dma_unmap_sg", heap_test_probe_unmap },
	{ "dma_sync_sg_for_cpu", heap_test_probe_sync_for_cpu },
	{ "dma_sync_sg_for_device", heap_test_probe_sync_for_device },
};

/* Start to record the calls of the DMA API with a scatterlist of one or two devices */
struct heap_test_dma_trace *heap_test_dma_trace_start(struct kunit *test,
						      struct device *dev0,
						      struct device *dev1)
{
	struct heap_test_dma_trace *trace;

	check_trace_callback_type_dma_map_sg(heap_test_probe_map);
	check_trace_callback_type_dma_unmap_sg(heap_test_probe_unmap);
	check_trace_callback_type_dma_sync_sg_for_cpu(heap_test_probe_sync_for_cpu);
	check_trace_callback_type_dma_sync_sg_for_device(heap_test_probe_sync_for_device);

	trace = kunit_kzalloc(test, sizeof(*trace), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, trace);

	spin_lock_init(&trace->lock);
	trace->devs[0] = dev0;
	trace->devs[1] = dev1;

	heap_test_probes_register(test, heap_test_dma_probes,
				  ARRAY_SIZE(heap_test_dma_probes), trace);

	return trace;
}
EXPORT_SYMBOL_NS_GPL(heap_test_dma_trace_start, EXPORTED_FOR_KUNIT_TESTING);

/* Check that exactly @expected was recorded, and clear the trace */
void heap_test_dma_trace_expect(struct kunit *test,
				struct heap_test_dma_trace *trace,
				const struct heap_test_dma_event *expected,
				unsigned int count)
{
	unsigned int i;

	KUNIT_EXPECT_EQ(test, trace->count, count);

	for (i = 0; i < min(trace->count, count); i++) {
		const struct heap_test_dma_event *event = &trace->events[i];

		KUNIT_EXPECT_PTR_EQ_MSG(test, event->dev, expected[i].dev,
					"event %u", i);
		KUNIT_EXPECT_EQ_MSG(test, event->op, expected[i].op,
				    "event %u", i);
		KUNIT_EXPECT_EQ_MSG(test, event->dir, expected[i].dir,
				    "event %u", i);
		KUNIT_EXPECT_EQ_MSG(test, event->attrs, expected[i].attrs,
				    "event %u", i);
		KUNIT_EXPECT_EQ_MSG(test, event->nents, expected[i].nents,
				    "event %u", i);
	}

	trace->count = 0;
}
EXPORT_SYMBOL_NS_GPL(heap_test_dma_trace_expect, EXPORTED_FOR_KUNIT_TESTING);

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Helpers shared by the KUnit suites of the DMA-BUF heaps
 */
#ifndef _HEAP_TEST_HELPERS_H
#define _HEAP_TEST_HELPERS_H

#include <linux/completion.h>
#include <linux/dma-direction.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct device;
struct dma_heap;
struct dma_heap_ops;
struct io_tlb_mem;
struct kunit;
struct task_struct;

/* Heaps, removed when the test ends */
struct dma_heap *heap_test_try_add(struct kunit *test, const char *name,
				   const struct dma_heap_ops *ops, void *priv);
struct dma_heap *heap_test_add(struct kunit *test, const char *name,
			       const struct dma_heap_ops *ops, void *priv);
void heap_test_del(struct kunit *test, struct dma_heap *heap);

/* Devices that reach all memory, removed when the test ends */
struct device *heap_test_device(struct kunit *test, const char *name);

/**
 * struct heap_test_job - something to be done in a thread of its own
 * @func: function to run
 * @data: its argument
 * @start: internal
 * @done: internal
 * @task: internal
 */
struct heap_test_job {
	void (*func)(void *data);
	void *data;
	struct completion *start;
	struct completion done;
	struct task_struct *task;
};

void heap_test_run_jobs(struct kunit *test, struct heap_test_job *jobs,
			unsigned int count);

/* Slab allocations of this task that fail */
void heap_test_faults_init(struct kunit *test);
void heap_test_fault_arm(unsigned int nth);
bool heap_test_fault_taken(void);

/* No more steps than this are worth trying, no function allocates that often */
#define HEAP_TEST_MAX_FAULTS	200

/* Complaints of CONFIG_DMA_API_DEBUG since boot */
u32 heap_test_dma_errors(void);

/* A device that cannot map anything, until it is repaired */
struct io_tlb_mem *heap_test_break_dma(struct kunit *test, struct device *dev);
void heap_test_repair_dma(struct device *dev, struct io_tlb_mem *mem);

enum heap_test_dma_op {
	HEAP_TEST_DMA_MAP,
	HEAP_TEST_DMA_UNMAP,
	HEAP_TEST_DMA_SYNC_FOR_CPU,
	HEAP_TEST_DMA_SYNC_FOR_DEVICE,
};

/**
 * struct heap_test_dma_event - one call of the DMA API for a scatterlist
 * @dev: device it was made for
 * @op: function called
 * @dir: direction given
 * @attrs: attributes given, 0 for a sync
 * @nents: entries of the scatterlist given
 */
struct heap_test_dma_event {
	struct device *dev;
	enum heap_test_dma_op op;
	enum dma_data_direction dir;
	unsigned long attrs;
	int nents;
};

#define HEAP_TEST_MAX_EVENTS	16

/**
 * struct heap_test_dma_trace - what was asked of the DMA API
 * @lock: protects @events and @count
 * @devs: the devices of interest
 * @events: what was done for them, in order
 * @count: how many events there were, even if not all fitted
 */
struct heap_test_dma_trace {
	spinlock_t lock;	/* see above */
	struct device *devs[2];
	struct heap_test_dma_event events[HEAP_TEST_MAX_EVENTS];
	unsigned int count;
};

struct heap_test_dma_trace *heap_test_dma_trace_start(struct kunit *test,
						      struct device *dev0,
						      struct device *dev1);
void heap_test_dma_trace_expect(struct kunit *test,
				struct heap_test_dma_trace *trace,
				const struct heap_test_dma_event *expected,
				unsigned int count);

#endif /* _HEAP_TEST_HELPERS_H */

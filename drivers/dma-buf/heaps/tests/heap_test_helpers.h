/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Helpers shared by the KUnit suites of the DMA-BUF heaps
 */
#ifndef _HEAP_TEST_HELPERS_H
#define _HEAP_TEST_HELPERS_H

#include <linux/completion.h>
#include <linux/dma-direction.h>
#include <linux/kconfig.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "../heap_source.h"

struct device;
struct dma_heap;
struct dma_heap_export_info;
struct dma_heap_ops;
struct io_tlb_mem;
struct kunit;
struct sg_table;
struct task_struct;

/* Slow tests do fewer rounds on a kernel with slow debugging */
#define HEAP_TEST_IS_SLOW	(IS_ENABLED(CONFIG_KCSAN) || \
				 IS_ENABLED(CONFIG_KASAN) || \
				 IS_ENABLED(CONFIG_PROVE_LOCKING))
#define HEAP_TEST_ROUNDS(n)	((n) / (HEAP_TEST_IS_SLOW ? 5 : 1))

/* Like kunit_skip(), but fails if the parameter "need" has @word: see heap_test_skip.c */
void heap_test_skip(struct kunit *test, const char *word, const char *reason);

/* Heaps, removed when the test ends */
struct dma_heap *
heap_test_try_add_info(struct kunit *test,
		       const struct dma_heap_export_info *exp_info);
struct dma_heap *heap_test_try_add(struct kunit *test, const char *name,
				   const struct dma_heap_ops *ops, void *priv);
struct dma_heap *heap_test_add(struct kunit *test, const char *name,
			       const struct dma_heap_ops *ops, void *priv);
void heap_test_del(struct kunit *test, struct dma_heap *heap);

/* Devices that reach all memory, removed when the test ends */
struct device *heap_test_device(struct kunit *test, const char *name);

/* Change the kind of a device. Each returns false if the machine has no such devices */
bool heap_test_make_coherent(struct device *dev);
bool heap_test_make_noncoherent(struct device *dev);
bool heap_test_make_bouncing(struct kunit *test, struct device *dev);

/**
 * struct heap_test_source - memory from the page allocator, for a test's heap
 * @base: the source as the exporter knows it
 * @orders: orders of the chunks of a backing
 * @count: number of chunks of a backing
 * @ret: error that alloc returns, or 0
 * @written_back: value of &dma_heap_backing.written_back in the backings
 * @keep: use one backing again and again
 * @kept: the kept backing while no buffer has it
 * @backing: the newest backing
 * @calls: number of calls of alloc
 * @allocated: number of backings that alloc returned
 * @freed: number of backings that the source got back
 */
struct heap_test_source {
	struct dma_heap_source base;
	const u8 *orders;
	unsigned int count;
	int ret;
	bool written_back;
	bool keep;
	struct dma_heap_backing *kept;
	struct dma_heap_backing *backing;
	unsigned int calls;
	unsigned int allocated;
	unsigned int freed;
};

void heap_test_source_init(struct heap_test_source *source, const u8 *orders,
			   unsigned int count);
void heap_test_free_pages(struct sg_table *sgt);
size_t heap_test_source_size(const struct heap_test_source *source);
void heap_test_source_empty(struct heap_test_source *source);

/* For a heap whose private data is @base of a struct heap_test_source */
extern const struct dma_heap_ops heap_test_source_heap_ops;

/**
 * struct heap_test_job - a function that runs in its own thread
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

/* Let slab allocations of this task fail */
void heap_test_faults_init(struct kunit *test);
void heap_test_fault_arm(unsigned int nth);
bool heap_test_fault_taken(void);

/* Most steps to try: no function allocates that often */
#define HEAP_TEST_MAX_FAULTS	200

/*
 * A step runs once with an armed fault. It disarms the fault with
 * heap_test_fault_taken() and stores the answer in @taken. It returns whether the
 * fault made it fail.
 */
typedef bool (*heap_test_step)(struct kunit *test, void *data, bool *taken);

void heap_test_sweep_faults(struct kunit *test, heap_test_step step,
			    void *data, unsigned int expected);

/* Complaints of CONFIG_DMA_API_DEBUG since boot */
u32 heap_test_dma_errors(struct kunit *test);

/* All maps of a broken device fail until it is repaired */
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
 * @dev: device in the call
 * @op: function of the call
 * @dir: direction in the call
 * @attrs: attributes in the call, 0 for a sync
 * @nents: number of entries of the scatterlist
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
 * struct heap_test_dma_trace - recorded calls of the DMA API
 * @lock: protects @events and @count
 * @devs: devices whose calls are recorded
 * @events: the calls, in order
 * @count: number of calls, also if not all of them fitted
 */
struct heap_test_dma_trace {
	spinlock_t lock;	/* see above */
	struct device *devs[2];
	struct heap_test_dma_event events[HEAP_TEST_MAX_EVENTS];
	unsigned int count;
};

#define HEAP_TEST_MAX_PROBES	8

/**
 * struct heap_test_probe - a function that is called for a trace event
 * @name: the event
 * @func: the function
 */
struct heap_test_probe {
	const char *name;
	void *func;
};

void heap_test_probes_register(struct kunit *test,
			       const struct heap_test_probe *probes,
			       unsigned int count, void *data);

struct heap_test_dma_trace *heap_test_dma_trace_start(struct kunit *test,
						      struct device *dev0,
						      struct device *dev1);
void heap_test_dma_trace_expect(struct kunit *test,
				struct heap_test_dma_trace *trace,
				const struct heap_test_dma_event *expected,
				unsigned int count);

/* Only for the helpers */
void *heap_test_debugfs_variable(const char *dir_name, const char *name);

#endif /* _HEAP_TEST_HELPERS_H */

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
struct dma_heap_ops;
struct io_tlb_mem;
struct kunit;
struct sg_table;
struct task_struct;

/* How often what takes long is done: less on a kernel that watches itself */
#define HEAP_TEST_IS_SLOW	(IS_ENABLED(CONFIG_KCSAN) || \
				 IS_ENABLED(CONFIG_KASAN) || \
				 IS_ENABLED(CONFIG_PROVE_LOCKING))
#define HEAP_TEST_ROUNDS(n)	((n) / (HEAP_TEST_IS_SLOW ? 5 : 1))

/* Like kunit_skip(), but see the parameter "need"; words in heap_test_skip.c */
void heap_test_skip(struct kunit *test, const char *word, const char *reason);

/* Heaps, removed when the test ends */
struct dma_heap *heap_test_try_add(struct kunit *test, const char *name,
				   const struct dma_heap_ops *ops, void *priv);
struct dma_heap *heap_test_add(struct kunit *test, const char *name,
			       const struct dma_heap_ops *ops, void *priv);
void heap_test_del(struct kunit *test, struct dma_heap *heap);

/* Devices that reach all memory, removed when the test ends */
struct device *heap_test_device(struct kunit *test, const char *name);

/* The same of a kind: false if there is no such device on this machine */
bool heap_test_make_coherent(struct device *dev);
bool heap_test_make_noncoherent(struct device *dev);
bool heap_test_make_bouncing(struct kunit *test, struct device *dev);

/**
 * struct heap_test_source - memory from the page allocator, for a test's heap
 * @base: what the exporter knows
 * @orders: orders of the chunks of a backing
 * @count: how many chunks a backing has
 * @ret: errno to fail with
 * @written_back: what backings say of their cache lines
 * @keep: use one backing again and again
 * @kept: the one that is kept while no buffer has it
 * @backing: the newest backing
 * @calls: how often alloc was called
 * @allocated: how often it gave something
 * @freed: how often something was given back
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

/* Of a heap whose private data is the base of a struct heap_test_source */
extern const struct dma_heap_ops heap_test_source_heap_ops;

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

/*
 * Does once what can run into the fault that is armed, disarms it with
 * heap_test_fault_taken(), whose answer goes to @taken, and returns whether it
 * failed for that.
 */
typedef bool (*heap_test_step)(struct kunit *test, void *data, bool *taken);

void heap_test_sweep_faults(struct kunit *test, heap_test_step step,
			    void *data, unsigned int expected);

/* Complaints of CONFIG_DMA_API_DEBUG since boot */
u32 heap_test_dma_errors(struct kunit *test);

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

#define HEAP_TEST_MAX_PROBES	8

/**
 * struct heap_test_probe - a function to be called for a trace event
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

/* For the helpers themselves */
void *heap_test_debugfs_variable(const char *dir_name, const char *name);

#endif /* _HEAP_TEST_HELPERS_H */

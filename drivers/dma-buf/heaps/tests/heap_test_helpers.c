// SPDX-License-Identifier: GPL-2.0
/*
 * Helpers shared by the KUnit suites of the DMA-BUF heaps
 */

#define pr_fmt(fmt) "heap_test_helpers: " fmt

#include <linux/array_size.h>
#include <linux/completion.h>
#include <linux/debugfs.h>
#include <linux/dcache.h>
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/kthread.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/swiotlb.h>
#include <linux/tracepoint.h>
#include <trace/events/dma.h>

#include <kunit/device.h>
#include <kunit/resource.h>
#include <kunit/test.h>

#include "../heap_backing.h"
#include "../heap_buffer.h"
#include "heap_test_helpers.h"

/*
 * What a test may need of the machine or of the kernel, a word for each:
 *
 * area: an area of contiguous memory that is the default one, "cma="
 * builtin: the suites built in, where they see what modules do not
 * faults: CONFIG_FAILSLAB with its files in debugfs
 * nodes: CPUs on two NUMA nodes
 * noncoherent: devices that do not see the CPU's caches
 * swiotlb: bounce buffers, CONFIG_SWIOTLB and not CONFIG_SWIOTLB_DYNAMIC
 * trace: CONFIG_TRACEPOINTS
 * writecombine: an architecture that can map write-combined
 */
static const char * const heap_test_words[] = {
	"area", "builtin", "faults", "nodes", "noncoherent", "swiotlb", "trace",
	"writecombine",
};

static char heap_test_need[128];

static struct kparam_string heap_test_need_string = {
	.maxlen = sizeof(heap_test_need),
	.string = heap_test_need,
};

static bool heap_test_knows(const char *word, size_t len)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(heap_test_words); i++)
		if (strlen(heap_test_words[i]) == len &&
		    !strncmp(heap_test_words[i], word, len))
			return true;

	return false;
}

/* A word that is mistyped would be a test that is skipped */
static int heap_test_set_need(const char *val, const struct kernel_param *kp)
{
	const char *word = val;
	size_t len;

	for (; *word; word += len, word += *word == ',') {
		len = strcspn(word, ",");
		if (!heap_test_knows(word, len)) {
			pr_err("need=%s: unknown word '%.*s'\n", val, (int)len,
			       word);
			return -EINVAL;
		}
	}

	return param_set_copystring(val, kp);
}

static const struct kernel_param_ops heap_test_need_ops = {
	.set = heap_test_set_need,
	.get = param_get_string,
};
module_param_cb(need, &heap_test_need_ops, &heap_test_need_string, 0444);
MODULE_PARM_DESC(need, "what the machine has, comma separated: tests that need it fail instead of being skipped");

static bool heap_test_needs(const char *word)
{
	size_t len = strlen(word);
	const char *need;

	for (need = heap_test_need; *need; need += *need == ',') {
		if (strcspn(need, ",") == len && !strncmp(need, word, len))
			return true;
		need += strcspn(need, ",");
	}

	return false;
}

/*
 * Skip the test, as the machine lacks @word, which is for @reason. If the
 * parameter "need" has that word, the test fails instead: the machine was made to
 * have it.
 */
void heap_test_skip(struct kunit *test, const char *word, const char *reason)
{
	if (!heap_test_knows(word, strlen(word)))
		KUNIT_FAIL_AND_ABORT(test, "heap_test_words has no '%s'", word);
	if (heap_test_needs(word))
		KUNIT_FAIL_AND_ABORT(test, "need=%s, but this test %s", word,
				     reason);

	kunit_skip(test, "%s", reason);
}
EXPORT_SYMBOL_NS_GPL(heap_test_skip, EXPORTED_FOR_KUNIT_TESTING);

KUNIT_DEFINE_ACTION_WRAPPER(heap_test_del_wrapper, dma_heap_del,
			    struct dma_heap *);

/* Like dma_heap_add(), may fail */
struct dma_heap *heap_test_try_add(struct kunit *test, const char *name,
				   const struct dma_heap_ops *ops, void *priv)
{
	const struct dma_heap_export_info exp_info = {
		.name = name,
		.ops = ops,
		.priv = priv,
	};
	struct dma_heap *heap = dma_heap_add(&exp_info);
	int ret;

	if (IS_ERR(heap))
		return heap;

	ret = kunit_add_action_or_reset(test, heap_test_del_wrapper, heap);
	KUNIT_ASSERT_EQ(test, ret, 0);

	return heap;
}
EXPORT_SYMBOL_NS_GPL(heap_test_try_add, EXPORTED_FOR_KUNIT_TESTING);

/* Like dma_heap_add(), must not fail */
struct dma_heap *heap_test_add(struct kunit *test, const char *name,
			       const struct dma_heap_ops *ops, void *priv)
{
	struct dma_heap *heap = heap_test_try_add(test, name, ops, priv);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, heap);

	return heap;
}
EXPORT_SYMBOL_NS_GPL(heap_test_add, EXPORTED_FOR_KUNIT_TESTING);

/* Remove a heap before the test ends */
void heap_test_del(struct kunit *test, struct dma_heap *heap)
{
	kunit_release_action(test, heap_test_del_wrapper, heap);
}
EXPORT_SYMBOL_NS_GPL(heap_test_del, EXPORTED_FOR_KUNIT_TESTING);

/* A device that reaches all memory, in segments of any length */
struct device *heap_test_device(struct kunit *test, const char *name)
{
	struct device_dma_parameters *parms;
	struct device *dev;
	int ret;

	/* Before the device, to be freed after it */
	parms = kunit_kzalloc(test, sizeof(*parms), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, parms);

	dev = kunit_device_register(test, name);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);

	dev->dma_parms = parms;
	dma_set_max_seg_size(dev, UINT_MAX);
	ret = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64));
	KUNIT_ASSERT_EQ(test, ret, 0);

	return dev;
}
EXPORT_SYMBOL_NS_GPL(heap_test_device, EXPORTED_FOR_KUNIT_TESTING);

#if defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_DEVICE) || \
	defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_CPU) || \
	defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_CPU_ALL)
static void heap_test_set_coherent(struct device *dev, bool coherent)
{
	dev->dma_coherent = coherent;
}
#else
static void heap_test_set_coherent(struct device *dev, bool coherent)
{
}
#endif

/* Let the device see the CPU's caches */
bool heap_test_make_coherent(struct device *dev)
{
	heap_test_set_coherent(dev, true);

	return dev_is_dma_coherent(dev);
}
EXPORT_SYMBOL_NS_GPL(heap_test_make_coherent, EXPORTED_FOR_KUNIT_TESTING);

/* Let the device go past the CPU's caches */
bool heap_test_make_noncoherent(struct device *dev)
{
	heap_test_set_coherent(dev, false);

	return !dev_is_dma_coherent(dev);
}
EXPORT_SYMBOL_NS_GPL(heap_test_make_noncoherent, EXPORTED_FOR_KUNIT_TESTING);

static struct heap_test_source *
to_heap_test_source(struct dma_heap_source *source)
{
	return container_of(source, struct heap_test_source, base);
}

/* Free all pages of a table, of which the last may be missing, and the table */
void heap_test_free_pages(struct sg_table *sgt)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_sg(sgt, sg, i)
		if (sg_page(sg))
			__free_pages(sg_page(sg), get_order(sg->length));

	sg_free_table(sgt);
}
EXPORT_SYMBOL_NS_GPL(heap_test_free_pages, EXPORTED_FOR_KUNIT_TESTING);

static int heap_test_source_alloc_pages(struct heap_test_source *source,
					struct sg_table *sgt)
{
	struct scatterlist *sg;
	int i, ret;

	ret = sg_alloc_table(sgt, source->count, GFP_KERNEL);
	if (ret)
		return ret;

	for_each_sgtable_sg(sgt, sg, i) {
		unsigned int order = source->orders[i];
		struct page *page;

		page = alloc_pages(GFP_KERNEL | __GFP_COMP | __GFP_ZERO, order);
		if (!page) {
			heap_test_free_pages(sgt);
			return -ENOMEM;
		}
		sg_set_page(sg, page, PAGE_SIZE << order, 0);
	}

	return 0;
}

/* Bytes in a buffer from @source */
size_t heap_test_source_size(const struct heap_test_source *source)
{
	size_t size = 0;
	unsigned int i;

	for (i = 0; i < source->count; i++)
		size += PAGE_SIZE << source->orders[i];

	return size;
}
EXPORT_SYMBOL_NS_GPL(heap_test_source_size, EXPORTED_FOR_KUNIT_TESTING);

static struct dma_heap_backing *
heap_test_source_new_backing(struct heap_test_source *source)
{
	struct dma_heap_backing *backing;
	int ret;

	backing = kzalloc(sizeof(*backing), GFP_KERNEL);
	if (!backing)
		return ERR_PTR(-ENOMEM);

	ret = heap_test_source_alloc_pages(source, &backing->sgt);
	if (ret) {
		kfree(backing);
		return ERR_PTR(ret);
	}
	backing->size = heap_test_source_size(source);

	return backing;
}

/* As if it was new, but for its contents */
static struct dma_heap_backing *
heap_test_source_old_backing(struct heap_test_source *source)
{
	struct dma_heap_backing *backing = source->kept;

	source->kept = NULL;
	memset(&backing->buffer, 0, sizeof(backing->buffer));
	backing->noncoherent = false;

	return backing;
}

static struct dma_heap_backing *
heap_test_source_alloc(struct dma_heap_source *base, size_t size)
{
	struct heap_test_source *source = to_heap_test_source(base);
	struct dma_heap_backing *backing;

	source->calls++;
	if (source->ret)
		return ERR_PTR(source->ret);

	if (size != heap_test_source_size(source))
		return ERR_PTR(-ERANGE);

	backing = source->kept ? heap_test_source_old_backing(source) :
				 heap_test_source_new_backing(source);
	if (IS_ERR(backing))
		return backing;

	backing->cleaned = source->cleaned;
	source->backing = backing;
	source->allocated++;

	return backing;
}

static void heap_test_source_free_backing(struct dma_heap_backing *backing)
{
	heap_test_free_pages(&backing->sgt);
	kfree(backing);
}

static void heap_test_source_free(struct dma_heap_source *base,
				  struct dma_heap_backing *backing)
{
	struct heap_test_source *source = to_heap_test_source(base);

	if (source->keep)
		source->kept = backing;
	else
		heap_test_source_free_backing(backing);
	source->backing = NULL;
	source->freed++;
}

static const struct dma_heap_source_ops heap_test_source_ops = {
	.alloc = heap_test_source_alloc,
	.free = heap_test_source_free,
};

/* Prepare a source whose backings have @count chunks of the given @orders */
void heap_test_source_init(struct heap_test_source *source, const u8 *orders,
			   unsigned int count)
{
	source->base.ops = &heap_test_source_ops;
	source->orders = orders;
	source->count = count;
}
EXPORT_SYMBOL_NS_GPL(heap_test_source_init, EXPORTED_FOR_KUNIT_TESTING);

/* Free what the source has kept */
void heap_test_source_empty(struct heap_test_source *source)
{
	if (source->kept)
		heap_test_source_free_backing(source->kept);
	source->kept = NULL;
}
EXPORT_SYMBOL_NS_GPL(heap_test_source_empty, EXPORTED_FOR_KUNIT_TESTING);

const struct dma_heap_ops heap_test_source_heap_ops = {
	.allocate = dma_heap_buffer_allocate,
};
EXPORT_SYMBOL_NS_GPL(heap_test_source_heap_ops, EXPORTED_FOR_KUNIT_TESTING);

static int heap_test_job_thread(void *data)
{
	struct heap_test_job *job = data;

	wait_for_completion(job->start);
	job->func(job->data);
	complete(&job->done);

	return 0;
}

static int heap_test_job_create(struct heap_test_job *job,
				struct completion *start)
{
	struct task_struct *task;

	task = kthread_create(heap_test_job_thread, job, "kunit-heap-job");
	if (IS_ERR(task))
		return PTR_ERR(task);

	job->start = start;
	init_completion(&job->done);
	job->task = get_task_struct(task);
	wake_up_process(task);

	return 0;
}

/* Run all jobs at the same time, and wait until all are done */
void heap_test_run_jobs(struct kunit *test, struct heap_test_job *jobs,
			unsigned int count)
{
	DECLARE_COMPLETION_ONSTACK(start);
	unsigned int created, i;

	for (created = 0; created < count; created++)
		if (heap_test_job_create(&jobs[created], &start))
			break;

	complete_all(&start);

	for (i = 0; i < created; i++) {
		wait_for_completion(&jobs[i].done);
		kthread_stop_put(jobs[i].task);
	}
	KUNIT_ASSERT_EQ(test, created, count);
}
EXPORT_SYMBOL_NS_GPL(heap_test_run_jobs, EXPORTED_FOR_KUNIT_TESTING);

/* The variable behind a debugfs file made for it, or NULL */
static void *heap_test_debugfs_variable(const char *dir_name, const char *name)
{
	struct dentry *dir, *file;
	void *variable = NULL;

	dir = debugfs_lookup(dir_name, NULL);
	if (IS_ERR_OR_NULL(dir))
		return NULL;

	file = debugfs_lookup(name, dir);
	if (!IS_ERR_OR_NULL(file)) {
		variable = d_inode(file)->i_private;
		dput(file);
	}
	dput(dir);

	return variable;
}

#ifdef CONFIG_FAULT_INJECTION
static void heap_test_set_fail_nth(unsigned int nth)
{
	WRITE_ONCE(current->fail_nth, nth);
}

static unsigned int heap_test_get_fail_nth(void)
{
	return READ_ONCE(current->fail_nth);
}
#else
static void heap_test_set_fail_nth(unsigned int nth)
{
}

static unsigned int heap_test_get_fail_nth(void)
{
	return 0;
}
#endif

struct heap_test_faults {
	bool *ignore_reclaim;
	unsigned long *verbose;
	unsigned long saved_verbose;
};

static void heap_test_faults_exit(void *data)
{
	struct heap_test_faults *faults = data;

	heap_test_set_fail_nth(0);
	*faults->verbose = faults->saved_verbose;
	*faults->ignore_reclaim = true;
}

/*
 * Have failslab consider allocations that may reclaim, which it does not by
 * default, and keep quiet. Nobody is concerned but tasks that have armed a
 * fault. Skips the test on a kernel that cannot do this.
 */
void heap_test_faults_init(struct kunit *test)
{
	struct heap_test_faults *faults;
	int ret;

	faults = kunit_kzalloc(test, sizeof(*faults), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, faults);

	if (IS_ENABLED(CONFIG_FAILSLAB)) {
		faults->ignore_reclaim =
			heap_test_debugfs_variable("failslab", "ignore-gfp-wait");
		faults->verbose =
			heap_test_debugfs_variable("failslab", "verbose");
	}
	if (!faults->ignore_reclaim || !faults->verbose)
		heap_test_skip(test, "faults",
			       "needs CONFIG_FAILSLAB and CONFIG_FAULT_INJECTION_DEBUG_FS");

	faults->saved_verbose = *faults->verbose;
	*faults->verbose = 0;
	*faults->ignore_reclaim = false;

	ret = kunit_add_action_or_reset(test, heap_test_faults_exit, faults);
	KUNIT_ASSERT_EQ(test, ret, 0);
}
EXPORT_SYMBOL_NS_GPL(heap_test_faults_init, EXPORTED_FOR_KUNIT_TESTING);

/* Let the @nth slab allocation of this task fail, 1 is the next one */
void heap_test_fault_arm(unsigned int nth)
{
	heap_test_set_fail_nth(nth);
}
EXPORT_SYMBOL_NS_GPL(heap_test_fault_arm, EXPORTED_FOR_KUNIT_TESTING);

/* Disarm, and tell whether there was an allocation that failed */
bool heap_test_fault_taken(void)
{
	bool taken = !heap_test_get_fail_nth();

	heap_test_set_fail_nth(0);

	return taken;
}
EXPORT_SYMBOL_NS_GPL(heap_test_fault_taken, EXPORTED_FOR_KUNIT_TESTING);

#define HEAP_TEST_SWEEPS	5

/*
 * Take @step again and again, with one allocation more before the one that
 * fails, until none does; it fails at least @expected times. A debugging
 * facility that fills a store of its own now and then moves all allocations
 * after it, past the fault: another sweep finds those.
 */
void heap_test_sweep_faults(struct kunit *test, heap_test_step step,
			    void *data, unsigned int expected)
{
	unsigned int sweep, n, failed, most = 0;
	bool taken;

	for (sweep = 0; sweep < HEAP_TEST_SWEEPS && most < expected; sweep++) {
		failed = 0;
		n = 0;
		do {
			heap_test_fault_arm(++n);
			failed += step(test, data, &taken);
		} while (taken && n < HEAP_TEST_MAX_FAULTS);

		KUNIT_EXPECT_FALSE(test, taken);
		most = max(most, failed);
	}
	KUNIT_EXPECT_GE(test, most, expected);
}
EXPORT_SYMBOL_NS_GPL(heap_test_sweep_faults, EXPORTED_FOR_KUNIT_TESTING);

u32 heap_test_dma_errors(void)
{
	u32 *errors = heap_test_debugfs_variable("dma-api", "error_count");

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

/* The machine's slots under another name: only ours is forced to use them */
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
 * Whatever the device is to map has to be bounced, but there is no memory to
 * bounce it to: all mappings fail. Skips the test on a kernel without bouncing.
 */
struct io_tlb_mem *heap_test_break_dma(struct kunit *test, struct device *dev)
{
	return heap_test_swap_io_tlb(dev, heap_test_empty_io_tlb(test));
}
EXPORT_SYMBOL_NS_GPL(heap_test_break_dma, EXPORTED_FOR_KUNIT_TESTING);

/* Undo heap_test_break_dma(), whose result @mem is */
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
 * struct heap_test_probes - probes that are registered
 * @probes: they
 * @tps: tracepoints of their events
 * @count: how many are registered
 * @data: their first argument
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

/* The events are not exported to modules: they are found by name */
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
 * Have functions called for trace events, with @data first, until the test ends.
 * Skips the test on a kernel where this cannot be.
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

/*
 * Start to record what the DMA API is asked to do with scatterlists for one or
 * two devices.
 */
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

/* Check that just @expected was recorded, and start anew */
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

MODULE_DESCRIPTION("Helpers for the KUnit tests of the DMA-BUF heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF_HEAP);

// SPDX-License-Identifier: GPL-2.0
/*
 * Helpers shared by the KUnit suites of the DMA-BUF heaps: heaps, devices, threads
 */

#include <linux/completion.h>
#include <linux/dcache.h>
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/dma-heap.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/task.h>

#include <kunit/device.h>
#include <kunit/resource.h>
#include <kunit/test.h>

#include "heap_test_helpers.h"

KUNIT_DEFINE_ACTION_WRAPPER(heap_test_del_wrapper, dma_heap_del,
			    struct dma_heap *);

/* Like dma_heap_add(), may fail */
struct dma_heap *
heap_test_try_add_info(struct kunit *test,
		       const struct dma_heap_export_info *exp_info)
{
	struct dma_heap *heap = dma_heap_add(exp_info);
	int ret;

	if (IS_ERR(heap))
		return heap;

	ret = kunit_add_action_or_reset(test, heap_test_del_wrapper, heap);
	KUNIT_ASSERT_EQ(test, ret, 0);

	return heap;
}
EXPORT_SYMBOL_NS_GPL(heap_test_try_add_info, EXPORTED_FOR_KUNIT_TESTING);

/* The same for a heap of which no more is to be said */
struct dma_heap *heap_test_try_add(struct kunit *test, const char *name,
				   const struct dma_heap_ops *ops, void *priv)
{
	const struct dma_heap_export_info exp_info = {
		.name = name,
		.ops = ops,
		.priv = priv,
	};

	return heap_test_try_add_info(test, &exp_info);
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

	/* Allocate this before the device, so that it is freed after the device */
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

bool heap_test_make_coherent(struct device *dev)
{
	heap_test_set_coherent(dev, true);

	return dev_is_dma_coherent(dev);
}
EXPORT_SYMBOL_NS_GPL(heap_test_make_coherent, EXPORTED_FOR_KUNIT_TESTING);

bool heap_test_make_noncoherent(struct device *dev)
{
	heap_test_set_coherent(dev, false);

	return !dev_is_dma_coherent(dev);
}
EXPORT_SYMBOL_NS_GPL(heap_test_make_noncoherent, EXPORTED_FOR_KUNIT_TESTING);

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

/* Returns the variable that a debugfs file shows, or NULL */
void *heap_test_debugfs_variable(const char *dir_name, const char *name)
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

MODULE_DESCRIPTION("Helpers for the KUnit tests of the DMA-BUF heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF_HEAP);
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);

// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: limits, charges to memory cgroups, and records of buffers
 *
 * An exporter charges a buffer before it gets memory for it, and records it together
 * with its dma-buf. Memory that waits in a pool belongs to no cgroup, so the charge is
 * one for the buffer and not one for each of its pages.
 *
 * The limits are checked without a lock. Pages are reserved before there is memory, so
 * the heap limit holds however many tasks allocate at a time.
 */

#include <linux/atomic.h>
#include <linux/dcache.h>
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/dma-heap-record.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/memcontrol.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/string.h>

#include "dma-heap-internal.h"

#define CREATE_TRACE_POINTS
#include <trace/events/dma_heap.h>

EXPORT_TRACEPOINT_SYMBOL_GPL(dma_heap_pool_hit);
EXPORT_TRACEPOINT_SYMBOL_GPL(dma_heap_pool_miss);
EXPORT_TRACEPOINT_SYMBOL_GPL(dma_heap_scrub);
EXPORT_TRACEPOINT_SYMBOL_GPL(dma_heap_shrink);
EXPORT_TRACEPOINT_SYMBOL_GPL(dma_heap_decay);
EXPORT_TRACEPOINT_SYMBOL_GPL(dma_heap_map);
EXPORT_TRACEPOINT_SYMBOL_GPL(dma_heap_unmap);
EXPORT_TRACEPOINT_SYMBOL_GPL(dma_heap_sync);

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "dma_heap."

static bool mem_accounting __ro_after_init = true;
module_param(mem_accounting, bool, 0444);
MODULE_PARM_DESC(mem_accounting, "Charge buffers to memory cgroups (default on)");

/* One reclaim pass, and no task is killed for a buffer */
#define CHARGE_GFP	(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN)

/* The most that a memory cgroup can be charged with at once */
#define CHARGE_SLICE	((size_t)SZ_1G)

DEFINE_SPINLOCK(dma_heap_buffers_lock);
LIST_HEAD(dma_heap_buffers);
u64 dma_heap_last_number;

/* Memory cgroups */

#ifdef CONFIG_MEMCG

/*
 * Bytes to charge: the memory, unless it is reserved, and the kernel's objects of a
 * dma-buf. The kernel would charge these one by one, and kill a task if that fails.
 */
static size_t charged_size(struct dma_heap *heap, size_t size)
{
	size_t objects = sizeof(struct dma_buf) + sizeof(struct file) +
			 sizeof(struct dentry) + sizeof(struct inode);

	return heap->attrs & DMA_HEAP_RESERVED ? objects : size + objects;
}

static void objcg_uncharge(struct obj_cgroup *objcg, size_t size)
{
	size_t slice;

	for (; size; size -= slice) {
		slice = min(size, CHARGE_SLICE);
		obj_cgroup_uncharge(objcg, slice);
	}
}

/*
 * Whole pages first. The rest comes out of a page that many buffers share; in one
 * charge with the pages it would be rounded up to a page of its own.
 */
static int objcg_charge(struct obj_cgroup *objcg, size_t size)
{
	size_t done, slice;
	int ret;

	for (done = 0; done < size; done += slice) {
		slice = min(size - done, CHARGE_SLICE);
		if (slice > PAGE_SIZE)
			slice &= PAGE_MASK;
		ret = obj_cgroup_charge(objcg, CHARGE_GFP, slice);
		if (ret) {
			objcg_uncharge(objcg, done);
			return ret;
		}
	}

	return 0;
}

/* The cgroup that pays for the calling task, or NULL: the root cgroup never pays */
static struct obj_cgroup *objcg_that_pays(void)
{
	struct obj_cgroup *objcg;
	bool is_root;

	if (!memcg_kmem_online())
		return NULL;

	objcg = current_obj_cgroup();
	if (!objcg)
		return NULL;

	rcu_read_lock();
	is_root = mem_cgroup_is_root(obj_cgroup_memcg(objcg));
	rcu_read_unlock();

	return is_root ? NULL : objcg;
}

static int charge_current(struct dma_heap *heap, size_t size,
			  struct obj_cgroup **objcg)
{
	int ret;

	*objcg = NULL;
	if (!mem_accounting)
		return 0;

	*objcg = objcg_that_pays();
	if (!*objcg)
		return 0;

	obj_cgroup_get(*objcg);
	ret = objcg_charge(*objcg, charged_size(heap, size));
	if (ret) {
		obj_cgroup_put(*objcg);
		*objcg = NULL;
	}

	return ret;
}

static void uncharge(struct dma_heap *heap, size_t size,
		     struct obj_cgroup *objcg)
{
	if (!objcg)
		return;

	objcg_uncharge(objcg, charged_size(heap, size));
	obj_cgroup_put(objcg);
}

static struct dma_buf *export_charged(const struct dma_buf_export_info *exp_info,
				      struct obj_cgroup *objcg)
{
	struct mem_cgroup *memcg;
	struct dma_buf *dmabuf;

	if (!objcg)
		return dma_buf_export(exp_info);

	/* The objects are in the charge of the buffer already */
	memcg = set_active_memcg(root_mem_cgroup);
	dmabuf = dma_buf_export(exp_info);
	set_active_memcg(memcg);

	return dmabuf;
}

/*
 * Does the calling task's cgroup pay for the buffer? Then there is nothing to move: two
 * charges at a time could exceed its limit. For a removed cgroup its parent pays.
 */
static bool current_pays(struct dma_heap_record *record)
{
	struct obj_cgroup *mine = objcg_that_pays(), *payer;
	bool same;

	rcu_read_lock();
	payer = READ_ONCE(record->objcg);
	same = payer == mine ||
	       (payer && mine &&
		obj_cgroup_memcg(payer) == obj_cgroup_memcg(mine));
	rcu_read_unlock();

	return same;
}

#else /* CONFIG_MEMCG */

static int charge_current(struct dma_heap *heap, size_t size,
			  struct obj_cgroup **objcg)
{
	*objcg = NULL;

	return 0;
}

static void uncharge(struct dma_heap *heap, size_t size,
		     struct obj_cgroup *objcg)
{
}

static struct dma_buf *export_charged(const struct dma_buf_export_info *exp_info,
				      struct obj_cgroup *objcg)
{
	return dma_buf_export(exp_info);
}

static bool current_pays(struct dma_heap_record *record)
{
	return true;
}

#endif /* CONFIG_MEMCG */

/* Limits and charges */

/**
 * dma_heap_count_failure - count an allocation that failed
 * @heap: the heap
 * @size: bytes that were wanted
 * @reason: why it failed
 *
 * Context: Any.
 */
void dma_heap_count_failure(struct dma_heap *heap, size_t size,
			    enum dma_heap_failure reason)
{
	struct dma_heap_usage *usage = heap->usage;

	atomic_long_inc(&usage->failures[reason]);
	WRITE_ONCE(usage->last_failure, (size & PAGE_MASK) | (reason + 1));
	trace_dma_heap_alloc_fail(dev_name(&heap->dev), size, reason);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_count_failure, DMA_BUF_HEAP);

/* Reserve with cmpxchg, so that readers never see usage above the limit */
static bool dma_heap_try_reserve(struct dma_heap_usage *usage,
				 unsigned long pages)
{
	unsigned long heap_limit = READ_ONCE(usage->heap_limit);
	long old = atomic_long_read(&usage->pages);

	do {
		if (pages > heap_limit || old > heap_limit - pages)
			return false;
	} while (!atomic_long_try_cmpxchg(&usage->pages, &old, old + pages));

	return true;
}

/* A buffer larger than RAM is refused, whatever the limit says */
static bool dma_heap_too_large(struct dma_heap *heap, unsigned long pages)
{
	return pages > READ_ONCE(heap->usage->buffer_limit) ||
	       (!(heap->attrs & DMA_HEAP_RESERVED) &&
		pages > totalram_pages());
}

/* Reserve the pages of a buffer against both limits */
static int dma_heap_reserve(struct dma_heap *heap, size_t size)
{
	unsigned long pages = size >> PAGE_SHIFT;

	if (dma_heap_too_large(heap, pages)) {
		dma_heap_count_failure(heap, size, DMA_HEAP_TOO_LARGE);
		return -ENOMEM;
	}

	if (!dma_heap_try_reserve(heap->usage, pages)) {
		dma_heap_count_failure(heap, size, DMA_HEAP_LIMIT);
		return -ENOMEM;
	}

	return 0;
}

/**
 * dma_heap_charge - reserve pages for a buffer and charge a memory cgroup
 * @heap: the heap
 * @size: bytes of the buffer, whole pages
 * @objcg: set to the memory cgroup that has been charged, or to NULL
 *
 * Call it before getting memory. dma_heap_export() follows or, if there will be no
 * buffer, dma_heap_uncharge(). A failure has been counted.
 *
 * Context: Process context of the allocating task, may sleep.
 *
 * Return: 0 or -ENOMEM.
 */
int dma_heap_charge(struct dma_heap *heap, size_t size,
		    struct obj_cgroup **objcg)
{
	int ret;

	ret = dma_heap_reserve(heap, size);
	if (ret)
		return ret;

	ret = charge_current(heap, size, objcg);
	if (ret) {
		atomic_long_sub(size >> PAGE_SHIFT, &heap->usage->pages);
		dma_heap_count_failure(heap, size, DMA_HEAP_MEMCG);
		return -ENOMEM;
	}

	return 0;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_charge, DMA_BUF_HEAP);

/**
 * dma_heap_uncharge - undo dma_heap_charge()
 * @heap: the heap
 * @size: as given there
 * @objcg: what it set
 *
 * Context: Process context.
 */
void dma_heap_uncharge(struct dma_heap *heap, size_t size,
		       struct obj_cgroup *objcg)
{
	atomic_long_sub(size >> PAGE_SHIFT, &heap->usage->pages);
	uncharge(heap, size, objcg);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_uncharge, DMA_BUF_HEAP);

/* Buffers */

static void record_set_owner(struct dma_heap_record *record)
{
	record->pid = task_tgid_nr(current);
	memcpy(record->comm, current->comm, sizeof(record->comm));
}

static void record_add(struct dma_heap_record *record)
{
	struct dma_heap_usage *usage = record->heap->usage;

	spin_lock(&dma_heap_buffers_lock);
	record->number = ++dma_heap_last_number;
	list_add_tail(&record->node, &dma_heap_buffers);
	usage->buffers++;
	usage->buffer_pages += record->size >> PAGE_SHIFT;
	usage->peak_buffers = max(usage->peak_buffers, usage->buffers);
	usage->peak_pages = max(usage->peak_pages, usage->buffer_pages);
	spin_unlock(&dma_heap_buffers_lock);
}

/**
 * dma_heap_export - export a dma-buf and record it
 * @heap: heap it is from
 * @exp_info: what dma_buf_export() gets
 * @record: the record, embedded in what the exporter has of the buffer
 * @objcg: what dma_heap_charge() set
 * @show: called with a spinlock held to print how the buffer is used: the number
 *	  of devices attached, who of user space and kernel has it mapped, and the
 *	  state of its caches, with a TAB after each
 *
 * Context: Process context of the allocating task, may sleep.
 *
 * Return: The dma-buf, or an ERR_PTR(): what dma_buf_export() gave.
 */
struct dma_buf *dma_heap_export(struct dma_heap *heap,
				const struct dma_buf_export_info *exp_info,
				struct dma_heap_record *record,
				struct obj_cgroup *objcg,
				void (*show)(struct seq_file *seq,
					     struct dma_heap_record *record))
{
	struct dma_buf *dmabuf;

	dmabuf = export_charged(exp_info, objcg);
	if (IS_ERR(dmabuf))
		return dmabuf;

	record->heap = heap;
	record->objcg = objcg;
	record->dmabuf = dmabuf;
	record->show = show;
	record->size = dmabuf->size;
	record->ino = file_inode(dmabuf->file)->i_ino;
	record->since = get_jiffies_64();
	record_set_owner(record);
	record_add(record);
	trace_dma_heap_alloc(dev_name(&heap->dev), record->size, record->ino);

	return dmabuf;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_export, DMA_BUF_HEAP);

/**
 * dma_heap_record_remove - remove the record of a buffer, and its charge
 * @record: what dma_heap_export() got
 *
 * Context: Process context.
 */
void dma_heap_record_remove(struct dma_heap_record *record)
{
	struct dma_heap *heap = record->heap;

	spin_lock(&dma_heap_buffers_lock);
	list_del(&record->node);
	heap->usage->buffers--;
	heap->usage->buffer_pages -= record->size >> PAGE_SHIFT;
	spin_unlock(&dma_heap_buffers_lock);

	trace_dma_heap_free(dev_name(&heap->dev), record->size, record->ino);
	dma_heap_uncharge(heap, record->size, record->objcg);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_record_remove, DMA_BUF_HEAP);

/**
 * dma_heap_recharge - move the charge of a buffer to the calling task
 * @record: record of the buffer, to which the caller has a reference
 *
 * On failure nothing changes.
 *
 * Context: Process context, may sleep.
 *
 * Return: 0, or -ENOMEM if the task's memory cgroup has no room.
 */
int dma_heap_recharge(struct dma_heap_record *record)
{
	struct obj_cgroup *objcg = NULL;
	bool moves;
	pid_t from;

retry:
	moves = !current_pays(record);
	if (moves && charge_current(record->heap, record->size, &objcg))
		return -ENOMEM;

	spin_lock(&dma_heap_buffers_lock);
	if (moves) {
		swap(record->objcg, objcg);
	} else if (!current_pays(record)) {
		/* Another task has moved it meanwhile */
		spin_unlock(&dma_heap_buffers_lock);
		goto retry;
	}
	from = record->pid;
	record_set_owner(record);
	spin_unlock(&dma_heap_buffers_lock);

	trace_dma_heap_charge(dev_name(&record->heap->dev), record->size,
			      record->ino, from);
	uncharge(record->heap, record->size, objcg);

	return 0;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_recharge, DMA_BUF_HEAP);

/* Nobody sees the heap yet */
void dma_heap_usage_init(struct dma_heap *heap, u64 buffer_limit)
{
	struct dma_heap_usage *usage = &heap->own_usage;

	heap->usage = usage;
	if (heap->alias_of)
		heap->usage = heap->alias_of->usage;
	usage->buffer_limit = buffer_limit ? buffer_limit >> PAGE_SHIFT :
				       totalram_pages() / 2;
	usage->heap_limit = LONG_MAX;
}

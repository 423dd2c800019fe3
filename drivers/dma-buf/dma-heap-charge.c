// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: how much there may be, and who pays for it
 *
 * An exporter has a buffer charged before it gets memory for it, and accounted for
 * with its dma-buf. Memory that waits in a pool belongs to nobody, so
 * the charge is of the buffer and not of its pages.
 *
 * The limits are looked at without a lock, and the bytes are counted before there
 * is memory, so that the ceiling holds however many allocate at a time.
 */

#include <linux/atomic.h>
#include <linux/dcache.h>
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/dma-heap-account.h>
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
EXPORT_TRACEPOINT_SYMBOL_GPL(dma_heap_sync);

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "dma_heap."

static bool mem_accounting __ro_after_init = true;
module_param(mem_accounting, bool, 0444);
MODULE_PARM_DESC(mem_accounting, "Charge buffers to memory cgroups (default on)");

/* One reclaim pass, and nobody gets killed for a buffer */
#define CHARGE_GFP	(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN)

/* What memory cgroups can be charged with, and uncharged, in one go */
#define CHARGE_SLICE	((size_t)SZ_1G)

DEFINE_SPINLOCK(dma_heap_buffers_lock);
LIST_HEAD(dma_heap_buffers);
u64 dma_heap_last_number;

/* Memory cgroups */

#ifdef CONFIG_MEMCG

/*
 * The memory, if it is the system's, and the objects the kernel has for every
 * dma-buf: it would charge them one by one, and find a victim if that fails.
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
 * Pages, and then the rest, which comes out of a page that is there for many. Both
 * together would be rounded up each time.
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

/* The cgroup of the calling task, or NULL if that does not pay: the root never does */
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

	/* Nobody is charged twice */
	memcg = set_active_memcg(root_mem_cgroup);
	dmabuf = dma_buf_export(exp_info);
	set_active_memcg(memcg);

	return dmabuf;
}

/*
 * To charge it twice for a moment could fail. Of a cgroup that has been removed its
 * parent pays.
 */
static bool current_pays(struct dma_heap_account *account)
{
	struct obj_cgroup *mine = objcg_that_pays(), *payer;
	bool same;

	rcu_read_lock();
	payer = READ_ONCE(account->objcg);
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

static bool current_pays(struct dma_heap_account *account)
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
	atomic_long_inc(&heap->usage.failures[reason]);
	trace_dma_heap_alloc_fail(dev_name(&heap->dev), size, reason);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_count_failure, DMA_BUF_HEAP);

/* Nobody may see more than the ceiling, not even while it is found too much */
static bool dma_heap_get_pages(struct dma_heap_usage *usage,
			       unsigned long pages)
{
	unsigned long max_pages = READ_ONCE(usage->max_pages);
	long old = atomic_long_read(&usage->pages);

	do {
		if (pages > max_pages || old > max_pages - pages)
			return false;
	} while (!atomic_long_try_cmpxchg(&usage->pages, &old, old + pages));

	return true;
}

/* What is larger than memory is not worth trying, whatever the limit says */
static bool dma_heap_too_large(struct dma_heap *heap, unsigned long pages)
{
	return pages > READ_ONCE(heap->usage.max_alloc) ||
	       (!(heap->attrs & DMA_HEAP_RESERVED) &&
		pages > totalram_pages());
}

/* Count the pages of a buffer to be, if there may be one of that size */
static int dma_heap_reserve(struct dma_heap *heap, size_t size)
{
	unsigned long pages = size >> PAGE_SHIFT;

	if (dma_heap_too_large(heap, pages)) {
		dma_heap_count_failure(heap, size, DMA_HEAP_TOO_LARGE);
		return -ENOMEM;
	}

	if (!dma_heap_get_pages(&heap->usage, pages)) {
		dma_heap_count_failure(heap, size, DMA_HEAP_CEILING);
		return -ENOMEM;
	}

	return 0;
}

/**
 * dma_heap_charge - ask whether there may be a buffer, and who pays
 * @heap: the heap
 * @size: bytes of the buffer, whole pages
 * @objcg: set to the memory cgroup that has been charged, or to NULL
 *
 * To be called before memory is looked for, and followed by dma_heap_export() or, if
 * there will be no buffer, dma_heap_uncharge(). A failure has been counted.
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
		atomic_long_sub(size >> PAGE_SHIFT, &heap->usage.pages);
		dma_heap_count_failure(heap, size, DMA_HEAP_CHARGE);
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
	atomic_long_sub(size >> PAGE_SHIFT, &heap->usage.pages);
	uncharge(heap, size, objcg);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_uncharge, DMA_BUF_HEAP);

/* Buffers */

static void dma_heap_account_set_owner(struct dma_heap_account *account)
{
	account->pid = task_tgid_nr(current);
	memcpy(account->comm, current->comm, sizeof(account->comm));
}

static void dma_heap_account_add(struct dma_heap_account *account)
{
	struct dma_heap_usage *usage = &account->heap->usage;

	spin_lock(&dma_heap_buffers_lock);
	account->number = ++dma_heap_last_number;
	list_add_tail(&account->node, &dma_heap_buffers);
	usage->buffers++;
	usage->buffer_pages += account->size >> PAGE_SHIFT;
	usage->peak_buffers = max(usage->peak_buffers, usage->buffers);
	usage->peak_pages = max(usage->peak_pages, usage->buffer_pages);
	spin_unlock(&dma_heap_buffers_lock);
}

/**
 * dma_heap_export - dma_buf_export() of a buffer that is accounted for
 * @heap: heap it is from
 * @exp_info: what dma_buf_export() gets
 * @account: embedded in what the exporter has of the buffer
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
				struct dma_heap_account *account,
				struct obj_cgroup *objcg,
				void (*show)(struct seq_file *seq,
					     struct dma_heap_account *account))
{
	struct dma_buf *dmabuf;

	dmabuf = export_charged(exp_info, objcg);
	if (IS_ERR(dmabuf))
		return dmabuf;

	account->heap = heap;
	account->objcg = objcg;
	account->dmabuf = dmabuf;
	account->show = show;
	account->size = dmabuf->size;
	account->ino = file_inode(dmabuf->file)->i_ino;
	account->since = get_jiffies_64();
	dma_heap_account_set_owner(account);
	dma_heap_account_add(account);
	trace_dma_heap_alloc(dev_name(&heap->dev), account->size, account->ino);

	return dmabuf;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_export, DMA_BUF_HEAP);

/**
 * dma_heap_account_remove - a buffer goes, and with it what it is charged
 * @account: what dma_heap_export() got
 *
 * Context: Process context.
 */
void dma_heap_account_remove(struct dma_heap_account *account)
{
	struct dma_heap *heap = account->heap;

	spin_lock(&dma_heap_buffers_lock);
	list_del(&account->node);
	heap->usage.buffers--;
	heap->usage.buffer_pages -= account->size >> PAGE_SHIFT;
	spin_unlock(&dma_heap_buffers_lock);

	trace_dma_heap_free(dev_name(&heap->dev), account->size, account->ino);
	dma_heap_uncharge(heap, account->size, account->objcg);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_account_remove, DMA_BUF_HEAP);

/**
 * dma_heap_account_move - have the calling task pay for a buffer
 * @account: that of the buffer, which cannot go meanwhile
 *
 * Nobody can be made to pay but who asks for it. If that fails nothing changes.
 *
 * Context: Process context, may sleep.
 *
 * Return: 0, or -ENOMEM if the task's memory cgroup has no room.
 */
int dma_heap_account_move(struct dma_heap_account *account)
{
	struct obj_cgroup *objcg = NULL;
	bool moves;

retry:
	moves = !current_pays(account);
	if (moves && charge_current(account->heap, account->size, &objcg))
		return -ENOMEM;

	spin_lock(&dma_heap_buffers_lock);
	if (moves) {
		swap(account->objcg, objcg);
	} else if (!current_pays(account)) {
		/* Somebody else has moved it meanwhile */
		spin_unlock(&dma_heap_buffers_lock);
		goto retry;
	}
	dma_heap_account_set_owner(account);
	spin_unlock(&dma_heap_buffers_lock);

	uncharge(account->heap, account->size, objcg);

	return 0;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_account_move, DMA_BUF_HEAP);

/* Nobody sees the heap yet */
void dma_heap_usage_init(struct dma_heap *heap, u64 max_alloc)
{
	struct dma_heap_usage *usage = &heap->usage;

	usage->max_alloc = max_alloc ? max_alloc >> PAGE_SHIFT :
				       totalram_pages() / 2;
	usage->max_pages = LONG_MAX;
}

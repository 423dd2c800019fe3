// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: what buffers take, who pays for them, and how much there may be
 *
 * An exporter has a buffer charged before it gets memory for it, and accounted for
 * with its dma-buf. Memory that waits in a pool belongs to nobody, so
 * the charge is of the buffer and not of its pages.
 *
 * The limits are looked at without a lock, and the bytes are counted before there
 * is memory, so that the ceiling holds however many allocate at a time.
 */

#include <linux/atomic.h>
#include <linux/cgroup.h>
#include <linux/dcache.h>
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/dma-heap-account.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/kstrtox.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/memcontrol.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/string_helpers.h>
#include <linux/sysfs.h>

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

/* Protects the list, the sums of all buffers, and whose a buffer is */
static DEFINE_SPINLOCK(buffers_lock);
static LIST_HEAD(buffers);
static u64 last_number;

static struct dma_heap_usage *dev_to_usage(struct device *dev)
{
	return &dev_to_heap(dev)->usage;
}

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

static void show_cgroup(struct seq_file *seq, struct obj_cgroup *objcg)
{
	/* Too large for the stack */
	static char path[PATH_MAX];

	lockdep_assert_held(&buffers_lock);

	strscpy(path, "-");
	if (objcg) {
		rcu_read_lock();
		cgroup_path(obj_cgroup_memcg(objcg)->css.cgroup, path,
			    sizeof(path));
		rcu_read_unlock();
	}
	seq_escape(seq, path, " \t\n\\");
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

static void show_cgroup(struct seq_file *seq, struct obj_cgroup *objcg)
{
	seq_putc(seq, '-');
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

	spin_lock(&buffers_lock);
	account->number = ++last_number;
	list_add_tail(&account->node, &buffers);
	usage->buffers++;
	usage->buffer_pages += account->size >> PAGE_SHIFT;
	usage->peak_buffers = max(usage->peak_buffers, usage->buffers);
	usage->peak_pages = max(usage->peak_pages, usage->buffer_pages);
	spin_unlock(&buffers_lock);
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

	spin_lock(&buffers_lock);
	list_del(&account->node);
	heap->usage.buffers--;
	heap->usage.buffer_pages -= account->size >> PAGE_SHIFT;
	spin_unlock(&buffers_lock);

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

	spin_lock(&buffers_lock);
	if (moves) {
		swap(account->objcg, objcg);
	} else if (!current_pays(account)) {
		/* Somebody else has moved it meanwhile */
		spin_unlock(&buffers_lock);
		goto retry;
	}
	dma_heap_account_set_owner(account);
	spin_unlock(&buffers_lock);

	uncharge(account->heap, account->size, objcg);

	return 0;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_account_move, DMA_BUF_HEAP);

/**
 * struct buffers_reader - somebody who reads the list
 * @cursor: stands in the list, without a dma-buf, before the next one to be read;
 *	    @cursor.number is that one's
 * @last: number of the newest buffer when it began: more may come for ever
 */
struct buffers_reader {
	struct dma_heap_account cursor;
	u64 last;
};

/*
 * The position is the number of a buffer, of which there is no other, so that what
 * comes and goes between two reads moves nothing. Others have cursors, too.
 */
static struct list_head *buffers_find(struct buffers_reader *reader,
				      struct list_head *node, loff_t *pos)
{
	struct dma_heap_account *account;

	lockdep_assert_held(&buffers_lock);

	for (node = node->next; node != &buffers; node = node->next) {
		account = list_entry(node, struct dma_heap_account, node);
		if (!account->dmabuf || account->number < *pos)
			continue;
		if (account->number > reader->last)
			break;
		*pos = account->number;
		return node;
	}
	*pos = reader->last + 1;

	return NULL;
}

static void *buffers_seq_start(struct seq_file *seq, loff_t *pos)
{
	struct buffers_reader *reader = seq->private;
	struct dma_heap_account *cursor = &reader->cursor;

	spin_lock(&buffers_lock);
	if (!*pos) {
		reader->last = last_number;
		return &buffers;
	}
	/* Not where it stopped */
	if (*pos != cursor->number)
		list_move(&cursor->node, &buffers);

	return buffers_find(reader, &cursor->node, pos);
}

static void *buffers_seq_next(struct seq_file *seq, void *v, loff_t *pos)
{
	++*pos;

	return buffers_find(seq->private, v, pos);
}

static void buffers_seq_stop(struct seq_file *seq, void *v)
{
	struct buffers_reader *reader = seq->private;
	struct dma_heap_account *cursor = &reader->cursor, *next;

	if (v && v != &buffers) {
		next = list_entry(v, struct dma_heap_account, node);
		list_move_tail(&cursor->node, &next->node);
		cursor->number = next->number;
	} else {
		list_move_tail(&cursor->node, &buffers);
		cursor->number = reader->last + 1;
	}
	spin_unlock(&buffers_lock);
}

/* A column is never empty, so that blanks, too, may be what separates them */
static void show_text(struct seq_file *seq, const char *text)
{
	seq_escape(seq, text && *text ? text : "-", " \t\n\\");
}

static void show_name(struct seq_file *seq, struct dma_buf *dmabuf)
{
	spin_lock(&dmabuf->name_lock);
	show_text(seq, dmabuf->name);
	spin_unlock(&dmabuf->name_lock);
}

static int buffers_seq_show(struct seq_file *seq, void *v)
{
	struct dma_heap_account *account;
	u64 age;

	if (v == &buffers) {
		seq_puts(seq, "heap\tsize\tage_ms\tpid\timporters\tcpu\tcache\tinode\tcomm\tname\tcgroup\n");
		return 0;
	}

	account = list_entry(v, struct dma_heap_account, node);
	age = get_jiffies_64() - account->since;
	show_text(seq, dev_name(&account->heap->dev));
	seq_printf(seq, "\t%zu\t%llu\t%d\t", account->size,
		   jiffies64_to_msecs(age), account->pid);
	account->show(seq, account);
	seq_printf(seq, "%lu\t", account->ino);
	show_text(seq, account->comm);
	seq_putc(seq, '\t');
	show_name(seq, account->dmabuf);
	seq_putc(seq, '\t');
	show_cgroup(seq, account->objcg);
	seq_putc(seq, '\n');

	return 0;
}

static const struct seq_operations buffers_sops = {
	.start = buffers_seq_start,
	.next = buffers_seq_next,
	.stop = buffers_seq_stop,
	.show = buffers_seq_show,
};

static int buffers_open(struct inode *inode, struct file *file)
{
	struct buffers_reader *reader;

	reader = __seq_open_private(file, &buffers_sops, sizeof(*reader));
	if (!reader)
		return -ENOMEM;

	INIT_LIST_HEAD(&reader->cursor.node);

	return 0;
}

static int buffers_release(struct inode *inode, struct file *file)
{
	struct seq_file *seq = file->private_data;
	struct buffers_reader *reader = seq->private;

	spin_lock(&buffers_lock);
	list_del(&reader->cursor.node);
	spin_unlock(&buffers_lock);

	return seq_release_private(inode, file);
}

static const struct file_operations buffers_fops = {
	.owner = THIS_MODULE,
	.open = buffers_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = buffers_release,
};

/* Attributes */

static ssize_t cached_show(struct device *dev, struct device_attribute *attr,
			   char *buf)
{
	u32 attrs = dev_to_heap(dev)->attrs;

	return sysfs_emit(buf, "%d\n", !(attrs & (DMA_HEAP_UNCACHED |
						  DMA_HEAP_PROTECTED)));
}
static DEVICE_ATTR_RO(cached);

static ssize_t contiguous_show(struct device *dev,
			       struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  !!(dev_to_heap(dev)->attrs & DMA_HEAP_CONTIGUOUS));
}
static DEVICE_ATTR_RO(contiguous);

static ssize_t protected_show(struct device *dev,
			      struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  !!(dev_to_heap(dev)->attrs & DMA_HEAP_PROTECTED));
}
static DEVICE_ATTR_RO(protected);

static ssize_t alignment_show(struct device *dev,
			      struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%zu\n", dev_to_heap(dev)->alignment);
}
static DEVICE_ATTR_RO(alignment);

static ssize_t fallback_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%s\n", dev_to_heap(dev)->fallback ?: "");
}
static DEVICE_ATTR_RO(fallback);

static u64 pages_to_bytes(unsigned long pages)
{
	return (u64)pages << PAGE_SHIFT;
}

/* Bytes, or "max"; what is not a whole page does not count */
static int parse_limit(const char *buf, unsigned long *pages)
{
	u64 bytes;

	if (sysfs_streq(buf, "max")) {
		*pages = LONG_MAX;
		return 0;
	}

	/* Also for a number that is too large */
	if (kstrtou64(buf, 0, &bytes))
		return -EINVAL;

	*pages = min_t(u64, bytes >> PAGE_SHIFT, LONG_MAX);

	return 0;
}

/* The limit an attribute is about, in pages */
static unsigned long *attr_to_limit(struct device *dev,
				    struct device_attribute *attr)
{
	struct dev_ext_attribute *ext = container_of(attr,
						     struct dev_ext_attribute,
						     attr);

	return (void *)dev_to_usage(dev) + (unsigned long)ext->var;
}

static ssize_t limit_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	unsigned long pages = READ_ONCE(*attr_to_limit(dev, attr));

	if (pages == LONG_MAX)
		return sysfs_emit(buf, "max\n");

	return sysfs_emit(buf, "%llu\n", pages_to_bytes(pages));
}

static ssize_t limit_store(struct device *dev, struct device_attribute *attr,
			   const char *buf, size_t count)
{
	unsigned long pages;
	int ret;

	ret = parse_limit(buf, &pages);
	if (ret)
		return ret;

	WRITE_ONCE(*attr_to_limit(dev, attr), pages);

	return count;
}

#define LIMIT_ATTR(_name, _member) \
	static struct dev_ext_attribute limit_attr_##_name = { \
		__ATTR(_name, 0644, limit_show, limit_store), \
		(void *)offsetof(struct dma_heap_usage, _member) \
	}

LIMIT_ATTR(max_alloc, max_alloc);
LIMIT_ATTR(max_bytes, max_pages);

static ssize_t bytes_show(struct device *dev, struct device_attribute *attr,
			  char *buf)
{
	long pages = atomic_long_read(&dev_to_usage(dev)->pages);

	return sysfs_emit(buf, "%llu\n", pages_to_bytes(pages));
}
static DEVICE_ATTR_RO(bytes);

static ssize_t buffers_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%lu\n", READ_ONCE(dev_to_usage(dev)->buffers));
}
static DEVICE_ATTR_RO(buffers);

static ssize_t peak_bytes_show(struct device *dev,
			       struct device_attribute *attr, char *buf)
{
	unsigned long pages = READ_ONCE(dev_to_usage(dev)->peak_pages);

	return sysfs_emit(buf, "%llu\n", pages_to_bytes(pages));
}

static ssize_t peak_bytes_store(struct device *dev,
				struct device_attribute *attr, const char *buf,
				size_t count)
{
	struct dma_heap_usage *usage = dev_to_usage(dev);

	spin_lock(&buffers_lock);
	usage->peak_pages = usage->buffer_pages;
	spin_unlock(&buffers_lock);

	return count;
}
static DEVICE_ATTR_RW(peak_bytes);

static ssize_t peak_buffers_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n",
			  READ_ONCE(dev_to_usage(dev)->peak_buffers));
}

static ssize_t peak_buffers_store(struct device *dev,
				  struct device_attribute *attr,
				  const char *buf, size_t count)
{
	struct dma_heap_usage *usage = dev_to_usage(dev);

	spin_lock(&buffers_lock);
	usage->peak_buffers = usage->buffers;
	spin_unlock(&buffers_lock);

	return count;
}
static DEVICE_ATTR_RW(peak_buffers);

static struct attribute *dma_heap_attrs[] = {
	&dev_attr_cached.attr,
	&dev_attr_contiguous.attr,
	&dev_attr_protected.attr,
	&dev_attr_alignment.attr,
	&dev_attr_fallback.attr,
	&limit_attr_max_alloc.attr.attr,
	&limit_attr_max_bytes.attr.attr,
	&dev_attr_bytes.attr,
	&dev_attr_buffers.attr,
	&dev_attr_peak_bytes.attr,
	&dev_attr_peak_buffers.attr,
	NULL
};

static const struct attribute_group dma_heap_group = {
	.attrs = dma_heap_attrs,
};

static ssize_t failure_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	struct dev_ext_attribute *ext = container_of(attr,
						     struct dev_ext_attribute,
						     attr);
	unsigned long reason = (unsigned long)ext->var;

	return sysfs_emit(buf, "%lu\n",
			  atomic_long_read(&dev_to_usage(dev)->failures[reason]));
}

#define FAILURE_ATTR(_name, _reason) \
	static struct dev_ext_attribute failure_attr_##_name = { \
		__ATTR(_name, 0444, failure_show, NULL), (void *)_reason \
	}

FAILURE_ATTR(too_large, DMA_HEAP_TOO_LARGE);
FAILURE_ATTR(ceiling, DMA_HEAP_CEILING);
FAILURE_ATTR(charge, DMA_HEAP_CHARGE);
FAILURE_ATTR(memory, DMA_HEAP_MEMORY);
FAILURE_ATTR(killed, DMA_HEAP_KILLED);

static struct attribute *failure_attrs[] = {
	&failure_attr_too_large.attr.attr,
	&failure_attr_ceiling.attr.attr,
	&failure_attr_charge.attr.attr,
	&failure_attr_memory.attr.attr,
	&failure_attr_killed.attr.attr,
	NULL
};

static const struct attribute_group failure_group = {
	.name = "failures",
	.attrs = failure_attrs,
};

/* Of all heaps */
const struct attribute_group *dma_heap_dev_groups[] = {
	&dma_heap_group,
	&failure_group,
	NULL
};

/* Nobody sees the heap yet */
void dma_heap_usage_init(struct dma_heap *heap, u64 max_alloc)
{
	struct dma_heap_usage *usage = &heap->usage;

	usage->max_alloc = max_alloc ? max_alloc >> PAGE_SHIFT :
				       totalram_pages() / 2;
	usage->max_pages = LONG_MAX;
}

void __init dma_heap_account_init(void)
{
	debugfs_create_file("dma_heap_buffers", 0400, NULL, NULL,
			    &buffers_fops);
}

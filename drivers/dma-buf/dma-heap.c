// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: the registry of heaps and their character devices
 *
 * A heap is a &struct device of class dma_heap with a character device. The device
 * has the name, the private data and the reference count of the heap. The registry
 * holds one reference, every open file (through the cdev) and every dma_heap_find()
 * one more. A heap is never removed, because an open device node cannot be revoked.
 *
 * heap_list_lock makes checking a name and publishing it one step. Attributes of a heap
 * read the list under RCU: adding a device that fails removes them with the lock held.
 * The core knows names and flags; pages, scatterlists and dma_buf_ops belong to the heap.
 */

#define pr_fmt(fmt) "dma_heap: " fmt

#include <kunit/visibility.h>
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/list.h>
#include <linux/memblock.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pfn.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <trace/events/dma_heap.h>
#include <uapi/linux/dma-heap.h>

#include "dma-heap-internal.h"

#define DMA_HEAP_MINORS	128

static LIST_HEAD(heap_list);
static unsigned int heap_count;
static DEFINE_MUTEX(heap_list_lock);
static DEFINE_IDA(dma_heap_minors);
static dev_t dma_heap_devt;

static char *dma_heap_devnode(const struct device *dev, umode_t *mode)
{
	return kasprintf(GFP_KERNEL, "dma_heap/%s", dev_name(dev));
}

static const struct class dma_heap_class = {
	.name = "dma_heap",
	.devnode = dma_heap_devnode,
	.dev_groups = dma_heap_dev_groups,
};

static int dma_heap_open(struct inode *inode, struct file *file)
{
	file->private_data = container_of(inode->i_cdev, struct dma_heap, cdev);

	return nonseekable_open(inode, file);
}

static long dma_heap_ioctl_alloc(struct dma_heap *heap,
				 struct dma_heap_allocation_data __user *arg,
				 size_t size)
{
	struct dma_heap_allocation_data data = {};
	struct dma_buf *dmabuf;
	int fd;

	if (copy_from_user(&data, arg, size))
		return -EFAULT;

	if (data.fd)
		return -EINVAL;

	/* A length that a kernel of 32 bits cannot address */
	if (data.len != (size_t)data.len) {
		/* No kernel can round it up */
		if (!PAGE_ALIGN(data.len))
			return -EINVAL;
		dma_heap_count_failure(heap, SIZE_MAX, DMA_HEAP_TOO_LARGE);
		return -ENOMEM;
	}

	dmabuf = dma_heap_buffer_alloc(heap, data.len, data.fd_flags,
				       data.heap_flags);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);

	fd = get_unused_fd_flags(data.fd_flags);
	if (fd < 0)
		goto err_put_dmabuf;

	/*
	 * fd_install() gives the descriptor to user space for good, so nothing
	 * may fail after it: the caller gets the number first.
	 */
	if (put_user(fd, &arg->fd)) {
		put_unused_fd(fd);
		fd = -EFAULT;
		goto err_put_dmabuf;
	}

	fd_install(fd, dmabuf->file);

	return 0;

err_put_dmabuf:
	dma_buf_put(dmabuf);
	return fd;
}

static long dma_heap_ioctl(struct file *file, unsigned int cmd,
			   unsigned long arg)
{
	size_t size = min_t(size_t, _IOC_SIZE(cmd),
			    sizeof(struct dma_heap_allocation_data));

	/*
	 * The number alone selects the command. The argument may have another
	 * size than here, but has to go both ways and to have room for the
	 * descriptor.
	 */
	if (_IOC_NR(cmd) != _IOC_NR(DMA_HEAP_IOCTL_ALLOC) ||
	    _IOC_DIR(cmd) != _IOC_DIR(DMA_HEAP_IOCTL_ALLOC) ||
	    size < offsetofend(struct dma_heap_allocation_data, fd))
		return -EINVAL;

	return dma_heap_ioctl_alloc(file->private_data, (void __user *)arg,
				    size);
}

static const struct file_operations dma_heap_fops = {
	.owner = THIS_MODULE,
	.open = dma_heap_open,
	.unlocked_ioctl = dma_heap_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct dma_heap *dma_heap_lookup(const char *name)
{
	struct dma_heap *heap;

	list_for_each_entry_rcu(heap, &heap_list, node,
				lockdep_is_held(&heap_list_lock))
		if (!strcmp(dev_name(&heap->dev), name))
			return heap;

	return NULL;
}

static void dma_heap_release(struct device *dev)
{
	struct dma_heap *heap = dev_to_heap(dev);

	kfree(heap->fallback);
	kfree(heap);
}

/* The name becomes a file name in /dev/dma_heap and in sysfs */
static bool dma_heap_name_valid(const char *name)
{
	size_t len;

	if (!name)
		return false;

	len = strnlen(name, DMA_HEAP_NAME_MAX + 1);

	return len && len <= DMA_HEAP_NAME_MAX && !strchr(name, '/') &&
	       strcmp(name, ".") && strcmp(name, "..");
}

static const char *dma_heap_access(const struct dma_heap *heap)
{
	if (heap->attrs & DMA_HEAP_PROTECTED)
		return "protected";

	return heap->attrs & DMA_HEAP_UNCACHED ? "uncached" : "cached";
}

/* A client knows from the attributes of its heap whether it has to sync a buffer */
static bool dma_heap_may_replace(const struct dma_heap *heap,
				 const struct dma_heap *fallback)
{
	return !((heap->attrs ^ fallback->attrs) &
		 (DMA_HEAP_UNCACHED | DMA_HEAP_PROTECTED));
}

static void dma_heap_refuse_fallback(const struct dma_heap *heap,
				     const struct dma_heap *fallback)
{
	pr_err_ratelimited("heap %s (%s) never falls back on heap %s (%s)\n",
			   dev_name(&heap->dev), dma_heap_access(heap),
			   dev_name(&fallback->dev), dma_heap_access(fallback));
}

/* Tell of a fallback that will never serve, when the second of the two appears */
static void dma_heap_check_fallbacks(const struct dma_heap *new)
{
	struct dma_heap *heap;

	lockdep_assert_held(&heap_list_lock);

	list_for_each_entry(heap, &heap_list, node) {
		const char *name = dev_name(&heap->dev);

		if (dma_heap_may_replace(new, heap))
			continue;
		if (new->fallback && !strcmp(new->fallback, name))
			dma_heap_refuse_fallback(new, heap);
		if (heap->fallback && !strcmp(heap->fallback, dev_name(&new->dev)))
			dma_heap_refuse_fallback(heap, new);
	}
}

static int dma_heap_publish(struct dma_heap *heap)
{
	int minor, ret;

	lockdep_assert_held(&heap_list_lock);

	if (dma_heap_lookup(dev_name(&heap->dev)))
		return -EEXIST;

	minor = ida_alloc_max(&dma_heap_minors, DMA_HEAP_MINORS - 1, GFP_KERNEL);
	if (minor < 0)
		return minor;

	heap->dev.devt = MKDEV(MAJOR(dma_heap_devt), minor);
	ret = cdev_device_add(&heap->cdev, &heap->dev);
	if (ret) {
		ida_free(&dma_heap_minors, minor);
		return ret;
	}

	dev_info(&heap->dev, "%s%s%s memory\n",
		 heap->attrs & DMA_HEAP_RESERVED ? "reserved " : "",
		 heap->attrs & DMA_HEAP_CONTIGUOUS ? "contiguous " : "",
		 dma_heap_access(heap));
	dma_heap_check_fallbacks(heap);
	list_add_tail_rcu(&heap->node, &heap_list);
	WRITE_ONCE(heap_count, heap_count + 1);

	return 0;
}

/*
 * The device reaches all memory, because it is only used to maintain the caches of the
 * CPU. DMA operations of a bus are not prepared for a device on no bus: no mask then.
 */
static int dma_heap_set_dma_mask(struct device *dev)
{
	dev->dma_mask = &dev->coherent_dma_mask;
	if (dma_sgtable_sync_kind_before(dev, NULL) == DMA_SYNC_UNKNOWN) {
		dev->dma_mask = NULL;
		return 0;
	}

	return dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64));
}

/**
 * dma_heap_create - make a heap that clients do not see yet
 * @exp_info: name, operations and private data of the heap
 *
 * The heap has its device, so that its source can be set up before user space
 * allocates. dma_heap_register() or dma_heap_destroy() must follow.
 *
 * The names are copied. @exp_info->name must be a valid file name of at most
 * DMA_HEAP_NAME_MAX characters.
 *
 * Context: Process context, may sleep.
 *
 * Return: The heap, or an ERR_PTR(): -EINVAL for a bad name or missing
 * operations, or -ENOMEM.
 */
struct dma_heap *dma_heap_create(const struct dma_heap_export_info *exp_info)
{
	struct dma_heap *heap;
	int ret;

	if (!dma_heap_name_valid(exp_info->name)) {
		pr_err("a heap needs a name of 1 to %d characters without '/'\n",
		       DMA_HEAP_NAME_MAX);
		return ERR_PTR(-EINVAL);
	}

	if (!exp_info->ops || !exp_info->ops->allocate) {
		pr_err("heap %s has no allocate operation\n", exp_info->name);
		return ERR_PTR(-EINVAL);
	}

	heap = kzalloc(sizeof(*heap), GFP_KERNEL);
	if (!heap)
		return ERR_PTR(-ENOMEM);

	heap->ops = exp_info->ops;
	heap->attrs = exp_info->attrs;
	heap->alignment = exp_info->alignment ?: PAGE_SIZE;
	heap->dma_bits = exp_info->dma_bits;
	heap->alias_of = exp_info->alias_of;
	dma_heap_usage_init(heap, exp_info->buffer_limit);
	cdev_init(&heap->cdev, &dma_heap_fops);
	device_initialize(&heap->dev);
	heap->dev.class = &dma_heap_class;
	heap->dev.groups = exp_info->groups;
	heap->dev.release = dma_heap_release;
	dev_set_drvdata(&heap->dev, exp_info->priv);

	ret = dev_set_name(&heap->dev, "%s", exp_info->name);
	if (ret)
		goto err_put_device;

	heap->fallback = kstrdup(exp_info->fallback, GFP_KERNEL);
	if (exp_info->fallback && !heap->fallback) {
		ret = -ENOMEM;
		goto err_put_device;
	}

	ret = dma_heap_set_dma_mask(&heap->dev);
	if (ret)
		goto err_put_device;

	return heap;

err_put_device:
	put_device(&heap->dev);
	pr_err("cannot make heap %s: %pe\n", exp_info->name, ERR_PTR(ret));
	return ERR_PTR(ret);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_create, DMA_BUF_HEAP);

/**
 * dma_heap_register - let user space and drivers find a heap
 * @heap: heap that dma_heap_create() gave
 *
 * Once this returns 0, and possibly before, user space allocates from the heap. A
 * heap cannot be removed: register it as the last step of an initialisation that can
 * fail, and keep the operations and their module loaded.
 *
 * Context: Process context, may sleep.
 *
 * Return: 0, -EEXIST if there is a heap of that name, -ENOSPC if there is no minor
 * left, -ENOMEM, or what adding the device gave. On failure the caller still owns the
 * heap.
 */
int dma_heap_register(struct dma_heap *heap)
{
	int ret;

	mutex_lock(&heap_list_lock);
	ret = dma_heap_publish(heap);
	mutex_unlock(&heap_list_lock);
	if (ret)
		pr_err("cannot add heap %s: %pe\n", dev_name(&heap->dev),
		       ERR_PTR(ret));

	return ret;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_register, DMA_BUF_HEAP);

/**
 * dma_heap_destroy - drop a heap that has not been registered
 * @heap: heap that dma_heap_create() gave
 *
 * Context: Process context, may sleep.
 */
void dma_heap_destroy(struct dma_heap *heap)
{
	put_device(&heap->dev);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_destroy, DMA_BUF_HEAP);

/**
 * dma_heap_add - add a heap and its device node
 * @exp_info: name, operations and private data of the heap
 *
 * dma_heap_create() and dma_heap_register() in one step.
 *
 * Context: Process context, may sleep.
 *
 * Return: The heap, or an ERR_PTR() of what one of the two gave.
 */
struct dma_heap *dma_heap_add(const struct dma_heap_export_info *exp_info)
{
	struct dma_heap *heap;
	int ret;

	heap = dma_heap_create(exp_info);
	if (IS_ERR(heap))
		return heap;

	ret = dma_heap_register(heap);
	if (ret) {
		dma_heap_destroy(heap);
		return ERR_PTR(ret);
	}

	return heap;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_add, DMA_BUF_HEAP);

#if IS_ENABLED(CONFIG_KUNIT)
/* Only for tests, which know that no task has the node open */
void dma_heap_del(struct dma_heap *heap)
{
	mutex_lock(&heap_list_lock);
	list_del_rcu(&heap->node);
	WRITE_ONCE(heap_count, heap_count - 1);
	mutex_unlock(&heap_list_lock);
	synchronize_rcu();

	cdev_device_del(&heap->cdev, &heap->dev);
	ida_free(&dma_heap_minors, MINOR(heap->dev.devt));
	put_device(&heap->dev);
}
EXPORT_SYMBOL_IF_KUNIT(dma_heap_del);
#endif

/**
 * dma_heap_get_drvdata - private data of a heap
 * @heap: the heap
 *
 * Context: Any.
 *
 * Return: The priv pointer given to dma_heap_create().
 */
void *dma_heap_get_drvdata(struct dma_heap *heap)
{
	return dev_get_drvdata(&heap->dev);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_get_drvdata, DMA_BUF_HEAP);

/**
 * dma_heap_get_name - name of a heap
 * @heap: the heap
 *
 * Context: Any.
 *
 * Return: The name, which lives as long as the heap.
 */
const char *dma_heap_get_name(struct dma_heap *heap)
{
	return dev_name(&heap->dev);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_get_name, DMA_BUF_HEAP);

/**
 * dma_heap_get_dev - device of a heap
 * @heap: the heap
 *
 * A heap maintains the caches of its memory through the device, which has a DMA mask
 * of 64 bits. It has no mask where the DMA API asks operations of the bus, or
 * invalidates caches only before a device writes.
 *
 * Context: Any.
 *
 * Return: The device, without a reference of its own: it lives as long as the
 * heap.
 */
struct device *dma_heap_get_dev(struct dma_heap *heap)
{
	return &heap->dev;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_get_dev, DMA_BUF_HEAP);

/**
 * dma_heap_find - get the heap of a given name
 * @name: name of the heap
 *
 * Context: Process context, may sleep.
 *
 * Return: The heap with a reference to be dropped by dma_heap_put(), or NULL
 * if there is no such heap.
 */
struct dma_heap *dma_heap_find(const char *name)
{
	struct dma_heap *heap;

	/* The registry holds a reference to each heap of the list */
	mutex_lock(&heap_list_lock);
	heap = dma_heap_lookup(name);
	if (heap)
		get_device(&heap->dev);
	mutex_unlock(&heap_list_lock);

	return heap;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_find, DMA_BUF_HEAP);

/**
 * dma_heap_put - drop a reference got from dma_heap_find()
 * @heap: the heap
 *
 * Context: Process context, may sleep.
 */
void dma_heap_put(struct dma_heap *heap)
{
	put_device(&heap->dev);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_put, DMA_BUF_HEAP);

/*
 * Ask the heaps behind @heap, as long as one has no memory and names another. No chain
 * is longer than there are heaps, but for a ring.
 */
static struct dma_buf *dma_heap_fall_back(struct dma_heap *heap, size_t len,
					  u32 fd_flags, u64 heap_flags)
{
	struct dma_buf *dmabuf = ERR_PTR(-ENOMEM);
	unsigned int left = READ_ONCE(heap_count);
	struct dma_heap *next, *last = heap;

	get_device(&last->dev);
	while (dmabuf == ERR_PTR(-ENOMEM) && last->fallback && left--) {
		next = dma_heap_find(last->fallback);
		if (!next)
			break;
		dma_heap_put(last);
		last = next;
		if (!dma_heap_may_replace(heap, last)) {
			dma_heap_refuse_fallback(heap, last);
			break;
		}
		if (last == heap)
			break;
		dmabuf = last->ops->allocate(last, len, fd_flags, heap_flags);
	}
	dma_heap_put(last);
	if (!IS_ERR(dmabuf))
		atomic_long_inc(&heap->usage->fallbacks);

	return dmabuf;
}

static unsigned int dma_heap_bits(const struct dma_heap *heap)
{
	return heap->dma_bits ?: fls64(PFN_PHYS((u64)READ_ONCE(max_pfn)) - 1);
}

/**
 * dma_heap_get_promise - what holds for every buffer of a heap
 * @heap: the heap
 * @promise: to be filled in
 *
 * Buffers of the heaps that serve what @heap cannot are buffers of @heap, too.
 *
 * Context: Any.
 */
void dma_heap_get_promise(struct dma_heap *heap,
			  struct dma_heap_promise *promise)
{
	struct dma_heap *next;
	unsigned int left;

	promise->contiguous = heap->attrs & DMA_HEAP_CONTIGUOUS;
	promise->alignment = heap->alignment;
	promise->dma_bits = dma_heap_bits(heap);

	rcu_read_lock();
	left = READ_ONCE(heap_count);
	for (next = heap; next->fallback && left; left--) {
		next = dma_heap_lookup(next->fallback);
		if (!next || !dma_heap_may_replace(heap, next))
			break;
		promise->contiguous &= !!(next->attrs & DMA_HEAP_CONTIGUOUS);
		promise->alignment = min(promise->alignment, next->alignment);
		promise->dma_bits = max(promise->dma_bits, dma_heap_bits(next));
	}
	rcu_read_unlock();
}

/**
 * dma_heap_buffer_alloc - allocate a dma-buf from a heap
 * @heap: the heap
 * @len: bytes wanted, rounded up to whole pages
 * @fd_flags: O_CLOEXEC and access mode, for when the buffer gets a descriptor
 * @heap_flags: subset of DMA_HEAP_VALID_HEAP_FLAGS
 *
 * If the heap has no memory, the one that it names as its fallback serves, and so on.
 *
 * Context: Process context, may sleep.
 *
 * Return: A zeroed dma-buf, or an ERR_PTR(): -EINVAL for a length of zero, one
 * that wraps around when rounded up, or unknown flags; otherwise what the last heap
 * gave, -ENOMEM or -EINTR for a killed task.
 */
struct dma_buf *dma_heap_buffer_alloc(struct dma_heap *heap, size_t len,
				      u32 fd_flags, u64 heap_flags)
{
	struct dma_buf *dmabuf;

	if (fd_flags & ~DMA_HEAP_VALID_FD_FLAGS ||
	    heap_flags & ~DMA_HEAP_VALID_HEAP_FLAGS)
		return ERR_PTR(-EINVAL);

	/* Zero also if it wrapped around */
	len = PAGE_ALIGN(len);
	if (!len)
		return ERR_PTR(-EINVAL);

	trace_dma_heap_alloc_start(dev_name(&heap->dev), len);
	dmabuf = heap->ops->allocate(heap, len, fd_flags, heap_flags);
	if (dmabuf == ERR_PTR(-ENOMEM) && heap->fallback)
		return dma_heap_fall_back(heap, len, fd_flags, heap_flags);

	return dmabuf;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_buffer_alloc, DMA_BUF_HEAP);

/**
 * dma_heap_buffer_free - drop a buffer got from dma_heap_buffer_alloc()
 * @dmabuf: the buffer
 *
 * The memory goes back to its heap with the last reference, which need not be
 * this one.
 *
 * Context: Process context, may sleep.
 */
void dma_heap_buffer_free(struct dma_buf *dmabuf)
{
	dma_buf_put(dmabuf);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_buffer_free, DMA_BUF_HEAP);

static int __init dma_heap_init(void)
{
	int ret;

	ret = alloc_chrdev_region(&dma_heap_devt, 0, DMA_HEAP_MINORS, "dma_heap");
	if (ret)
		return ret;

	ret = class_register(&dma_heap_class);
	if (ret) {
		unregister_chrdev_region(dma_heap_devt, DMA_HEAP_MINORS);
		return ret;
	}
	dma_heap_debugfs_init();

	return 0;
}
subsys_initcall(dma_heap_init);

// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: attributes of a heap in sysfs
 */

#include <linux/atomic.h>
#include <linux/device.h>
#include <linux/dma-heap.h>
#include <linux/kstrtox.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/spinlock.h>
#include <linux/stddef.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "dma-heap-internal.h"

static struct dma_heap_usage *dev_to_usage(struct device *dev)
{
	return dev_to_heap(dev)->usage;
}

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
	struct dma_heap_promise promise;

	dma_heap_get_promise(dev_to_heap(dev), &promise);

	return sysfs_emit(buf, "%d\n", promise.contiguous);
}
static DEVICE_ATTR_RO(contiguous);

static ssize_t protected_show(struct device *dev,
			      struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  !!(dev_to_heap(dev)->attrs & DMA_HEAP_PROTECTED));
}
static DEVICE_ATTR_RO(protected);

static ssize_t reserved_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  !!(dev_to_heap(dev)->attrs & DMA_HEAP_RESERVED));
}
static DEVICE_ATTR_RO(reserved);

static ssize_t alignment_show(struct device *dev,
			      struct device_attribute *attr, char *buf)
{
	struct dma_heap_promise promise;

	dma_heap_get_promise(dev_to_heap(dev), &promise);

	return sysfs_emit(buf, "%zu\n", promise.alignment);
}
static DEVICE_ATTR_RO(alignment);

static ssize_t dma_bits_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	struct dma_heap_promise promise;

	dma_heap_get_promise(dev_to_heap(dev), &promise);

	return sysfs_emit(buf, "%u\n", promise.dma_bits);
}
static DEVICE_ATTR_RO(dma_bits);

static ssize_t alias_of_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	struct dma_heap *other = dev_to_heap(dev)->alias_of;

	return sysfs_emit(buf, "%s\n", other ? dev_name(&other->dev) : "");
}
static DEVICE_ATTR_RO(alias_of);

static ssize_t fallback_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%s\n", dev_to_heap(dev)->fallback ?: "");
}
static DEVICE_ATTR_RO(fallback);

static ssize_t fallbacks_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	return sysfs_emit(buf, "%lu\n",
			  atomic_long_read(&dev_to_usage(dev)->fallbacks));
}
static DEVICE_ATTR_RO(fallbacks);

static u64 pages_to_bytes(unsigned long pages)
{
	return (u64)pages << PAGE_SHIFT;
}

/* Bytes, rounded down to pages, or "max" */
static int parse_limit(const char *buf, unsigned long *pages)
{
	u64 bytes;

	if (sysfs_streq(buf, "max")) {
		*pages = LONG_MAX;
		return 0;
	}

	/* -EINVAL also for a number that is too large */
	if (kstrtou64(buf, 0, &bytes))
		return -EINVAL;

	*pages = min_t(u64, bytes >> PAGE_SHIFT, LONG_MAX);

	return 0;
}

/* The limit of an attribute, in pages */
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

LIMIT_ATTR(buffer_limit_bytes, buffer_limit);
LIMIT_ATTR(heap_limit_bytes, heap_limit);

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

	spin_lock(&dma_heap_buffers_lock);
	usage->peak_pages = usage->buffer_pages;
	spin_unlock(&dma_heap_buffers_lock);

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

	spin_lock(&dma_heap_buffers_lock);
	usage->peak_buffers = usage->buffers;
	spin_unlock(&dma_heap_buffers_lock);

	return count;
}
static DEVICE_ATTR_RW(peak_buffers);

static struct attribute *dma_heap_attrs[] = {
	&dev_attr_cached.attr,
	&dev_attr_contiguous.attr,
	&dev_attr_protected.attr,
	&dev_attr_reserved.attr,
	&dev_attr_alignment.attr,
	&dev_attr_dma_bits.attr,
	&dev_attr_alias_of.attr,
	&dev_attr_fallback.attr,
	&dev_attr_fallbacks.attr,
	&limit_attr_buffer_limit_bytes.attr.attr,
	&limit_attr_heap_limit_bytes.attr.attr,
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
FAILURE_ATTR(limit, DMA_HEAP_LIMIT);
FAILURE_ATTR(memcg, DMA_HEAP_MEMCG);
FAILURE_ATTR(nomem, DMA_HEAP_NOMEM);
FAILURE_ATTR(killed, DMA_HEAP_KILLED);

static const char * const failure_names[] = {
	[DMA_HEAP_TOO_LARGE] = "too_large",
	[DMA_HEAP_LIMIT] = "limit",
	[DMA_HEAP_MEMCG] = "memcg",
	[DMA_HEAP_NOMEM] = "nomem",
	[DMA_HEAP_KILLED] = "killed",
};

static ssize_t last_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	unsigned long last = READ_ONCE(dev_to_usage(dev)->last_failure);

	if (!last)
		return sysfs_emit(buf, "none\n");

	return sysfs_emit(buf, "%s %lu\n", failure_names[(last & ~PAGE_MASK) - 1],
			  last & PAGE_MASK);
}
static DEVICE_ATTR_RO(last);

static struct attribute *failure_attrs[] = {
	&failure_attr_too_large.attr.attr,
	&failure_attr_limit.attr.attr,
	&failure_attr_memcg.attr.attr,
	&failure_attr_nomem.attr.attr,
	&failure_attr_killed.attr.attr,
	&dev_attr_last.attr,
	NULL
};

static const struct attribute_group failure_group = {
	.name = "failures",
	.attrs = failure_attrs,
};

/* A value of the range of memory that a heap takes from */
static ssize_t area_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	struct dev_ext_attribute *ext = container_of(attr,
						     struct dev_ext_attribute,
						     attr);
	struct dma_heap *heap = dev_to_heap(dev);
	struct dma_heap_area area;

	heap->ops->get_area(heap, &area);

	return sysfs_emit(buf, "%llu\n",
			  *(u64 *)((void *)&area + (unsigned long)ext->var));
}

#define AREA_ATTR(_name, _member) \
	static struct dev_ext_attribute area_attr_##_name = { \
		__ATTR(_name, 0444, area_show, NULL), \
		(void *)offsetof(struct dma_heap_area, _member) \
	}

AREA_ATTR(size_bytes, size);
AREA_ATTR(free_bytes, free);
AREA_ATTR(largest_free_bytes, largest_free);

static struct attribute *area_attrs[] = {
	&area_attr_size_bytes.attr.attr,
	&area_attr_free_bytes.attr.attr,
	&area_attr_largest_free_bytes.attr.attr,
	NULL
};

static umode_t area_is_visible(struct kobject *kobj, struct attribute *attr,
			       int index)
{
	struct dma_heap *heap = dev_to_heap(kobj_to_dev(kobj));

	return heap->ops->get_area ? attr->mode : SYSFS_GROUP_INVISIBLE;
}

static const struct attribute_group area_group = {
	.name = "area",
	.attrs = area_attrs,
	.is_visible = area_is_visible,
};

/* The attributes of every heap */
const struct attribute_group *dma_heap_dev_groups[] = {
	&dma_heap_group,
	&failure_group,
	&area_group,
	NULL
};

// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: the files of a pool in sysfs and debugfs
 *
 * The settings are attributes of the heap's device, in a directory "pool". debugfs has
 * the counters, a list of the backings in the pool, and a file that reclaims them all
 * when it is written.
 */

#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/kobject.h>
#include <linux/kstrtox.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "heap_pool.h"
#include "heap_pool_internal.h"
#include "heap_source.h"

static struct dentry *debugfs_root;

static struct dma_heap_pool *dev_to_pool(struct device *dev)
{
	struct dma_heap_source *source = dev_get_drvdata(dev);

	return source->pool;
}

static ssize_t max_bytes_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	unsigned long pages = READ_ONCE(dev_to_pool(dev)->max_pages);

	return sysfs_emit(buf, "%llu\n", (u64)pages << PAGE_SHIFT);
}

static ssize_t max_bytes_store(struct device *dev, struct device_attribute *attr,
			       const char *buf, size_t count)
{
	unsigned long bytes;
	int ret;

	ret = kstrtoul(buf, 0, &bytes);
	if (ret)
		return ret;

	dma_heap_pool_set_max(dev_to_pool(dev), bytes);

	return count;
}
static DEVICE_ATTR_RW(max_bytes);

static ssize_t decay_ms_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	unsigned long decay = READ_ONCE(dev_to_pool(dev)->decay);

	return sysfs_emit(buf, "%u\n", jiffies_to_msecs(decay));
}

static ssize_t decay_ms_store(struct device *dev, struct device_attribute *attr,
			      const char *buf, size_t count)
{
	unsigned int decay_ms;
	int ret;

	ret = kstrtouint(buf, 0, &decay_ms);
	if (ret)
		return ret;
	if (decay_ms > INT_MAX)
		return -EINVAL;

	dma_heap_pool_set_decay(dev_to_pool(dev), decay_ms);

	return count;
}
static DEVICE_ATTR_RW(decay_ms);

/* sscanf() would accept numbers that are too large */
static int parse_prefill(char *text, unsigned long *size, unsigned int *count)
{
	char *number = strsep(&text, " :");
	int ret;

	if (!text)
		return -EINVAL;

	ret = kstrtoul(number, 0, size);

	return ret ?: kstrtouint(text, 0, count);
}

/**
 * dma_heap_pool_prefill_text - parse the arguments of dma_heap_pool_prefill()
 * @pool: the pool
 * @text: bytes of each and how many, a space or a colon between the two
 *
 * Context: Process context, may sleep.
 *
 * Return: what dma_heap_pool_prefill() does, -EINVAL if @text is something else,
 * -ERANGE for a number that is too large, -ENOMEM if there was no memory to read it.
 */
int dma_heap_pool_prefill_text(struct dma_heap_pool *pool, const char *text)
{
	unsigned int count;
	unsigned long size;
	char *copy;
	int ret;

	copy = kstrdup(text, GFP_KERNEL);
	if (!copy)
		return -ENOMEM;

	ret = parse_prefill(copy, &size, &count);
	kfree(copy);

	return ret ?: dma_heap_pool_prefill(pool, size, count);
}
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_prefill_text, DMA_BUF_HEAP);

static ssize_t prefill_store(struct device *dev, struct device_attribute *attr,
			     const char *buf, size_t count)
{
	int ret = dma_heap_pool_prefill_text(dev_to_pool(dev), buf);

	return ret ?: count;
}
static DEVICE_ATTR_WO(prefill);

static ssize_t emit_stat(struct device *dev, char *buf, size_t offset,
			 unsigned int unit)
{
	struct dma_heap_pool_stats stats;

	dma_heap_pool_get_stats(dev_to_pool(dev), &stats);

	return sysfs_emit(buf, "%llu\n",
			  *(u64 *)((void *)&stats + offset) * unit);
}

/* A counter of the pool, in bytes or as a number */
#define STAT_ATTR(_name, _field, _unit) \
static ssize_t _name##_show(struct device *dev, \
			    struct device_attribute *attr, char *buf) \
{ \
	return emit_stat(dev, buf, \
			 offsetof(struct dma_heap_pool_stats, _field), _unit); \
} \
static DEVICE_ATTR_RO(_name)

STAT_ATTR(zeroed_bytes, clean_pages, PAGE_SIZE);
STAT_ATTR(unzeroed_bytes, dirty_pages, PAGE_SIZE);
STAT_ATTR(hits, hits, 1);
STAT_ATTR(dirty_hits, dirty_hits, 1);
STAT_ATTR(misses, misses, 1);
STAT_ATTR(scrubbed_bytes, scrubbed_pages, PAGE_SIZE);
STAT_ATTR(untouched_bytes, untouched_pages, PAGE_SIZE);
STAT_ATTR(lost_bytes, lost_pages, PAGE_SIZE);
STAT_ATTR(waited_us, waited_us, 1);

static struct attribute *dma_heap_pool_attrs[] = {
	&dev_attr_max_bytes.attr,
	&dev_attr_decay_ms.attr,
	&dev_attr_prefill.attr,
	&dev_attr_zeroed_bytes.attr,
	&dev_attr_unzeroed_bytes.attr,
	&dev_attr_hits.attr,
	&dev_attr_dirty_hits.attr,
	&dev_attr_misses.attr,
	&dev_attr_scrubbed_bytes.attr,
	&dev_attr_untouched_bytes.attr,
	&dev_attr_lost_bytes.attr,
	&dev_attr_waited_us.attr,
	NULL
};

/* For heaps whose private data is their source */
const struct attribute_group dma_heap_pool_group = {
	.name = "pool",
	.attrs = dma_heap_pool_attrs,
};
EXPORT_SYMBOL_NS_GPL(dma_heap_pool_group, DMA_BUF_HEAP);

#define STAT(_name) \
	{ #_name, offsetof(struct dma_heap_pool_stats, _name) }

static const struct {
	const char *name;
	size_t offset;
} stat_lines[] = {
	STAT(clean_pages),
	STAT(dirty_pages),
	STAT(hits),
	STAT(dirty_hits),
	STAT(misses),
	STAT(scrubbed_pages),
	STAT(paid_pages),
	STAT(untouched_pages),
	STAT(evicted_pages),
	STAT(decayed_pages),
	STAT(shrunk_pages),
	STAT(lost_pages),
	STAT(waited_us),
};

static int stats_show(struct seq_file *seq, void *unused)
{
	struct dma_heap_pool_stats stats;
	int i;

	BUILD_BUG_ON(ARRAY_SIZE(stat_lines) * sizeof(u64) != sizeof(stats));

	dma_heap_pool_get_stats(seq->private, &stats);
	for (i = 0; i < ARRAY_SIZE(stat_lines); i++)
		seq_printf(seq, "%s %llu\n", stat_lines[i].name,
			   *(u64 *)((void *)&stats + stat_lines[i].offset));

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

static void show_list(struct seq_file *seq, const struct list_head *list)
{
	struct dma_heap_backing *backing;

	list_for_each_entry(backing, list, in_pool)
		seq_printf(seq, "%zu %d %s %lu\n", backing->size,
			   backing->bin->nid,
			   backing->zeroed ? "clean" : "dirty",
			   page_to_pfn(sg_page(backing->sgt.sgl)));
}

/* seq_file has allocated its memory before, so a spinlock is allowed here */
static int backings_show(struct seq_file *seq, void *unused)
{
	struct dma_heap_pool *pool = seq->private;
	int nid;

	spin_lock(&pool->lock);
	for_each_node(nid) {
		show_list(seq, &pool->nodes[nid].lists[POOL_ZEROED]);
		show_list(seq, &pool->nodes[nid].lists[POOL_DIRTY]);
	}
	spin_unlock(&pool->lock);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(backings);

/* Any number will do */
static int shrink_set(void *pool, u64 unused)
{
	dma_heap_pool_shrink_all(pool);

	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(shrink_fops, NULL, shrink_set, "%llu\n");

/* Show a pool under the name of its heap, which is registered and so nobody else's */
void dma_heap_pool_add_debugfs(struct dma_heap_pool *pool)
{
	struct dentry *dir;

	dir = debugfs_create_dir(pool->name, debugfs_root);
	debugfs_create_file("stats", 0400, dir, pool, &stats_fops);
	debugfs_create_file("backings", 0400, dir, pool, &backings_fops);
	if (pool->shrinker)
		debugfs_create_file("shrink", 0200, dir, pool, &shrink_fops);
	pool->debugfs = dir;
}

void dma_heap_pool_remove_debugfs(struct dma_heap_pool *pool)
{
	debugfs_remove(pool->debugfs);
}

/* Android's libmeminfo reads this file */
static ssize_t total_pools_kb_show(struct kobject *kobj,
				   struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n",
			  dma_heap_pools_total() << (PAGE_SHIFT - 10));
}

static struct kobj_attribute total_pools_kb =
	__ATTR_RO(total_pools_kb);

static int __init dma_heap_pool_sysfs_init(void)
{
	struct kobject *kobj;
	int ret;

	kobj = kobject_create_and_add("dma_heap", kernel_kobj);
	if (!kobj)
		return -ENOMEM;

	ret = sysfs_create_file(kobj, &total_pools_kb.attr);
	if (ret) {
		kobject_put(kobj);
		return ret;
	}
	debugfs_root = debugfs_create_dir("dma_heap", NULL);

	return 0;
}
module_init(dma_heap_pool_sysfs_init);

// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps: what is to be seen of a pool, and set
 *
 * The settings are attributes of the heap's device, in a directory "pool". For
 * debugging there are the counters, a list of what is in the pool, and a file
 * that reclaims it all when it is read.
 */

#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/kstrtox.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/nodemask.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "heap_backing.h"
#include "heap_pool.h"
#include "heap_pool_internal.h"

static struct dentry *debugfs_root;

static struct dma_heap_pool *dev_to_pool(struct device *dev)
{
	return container_of((struct dma_heap_source *)dev_get_drvdata(dev),
			    struct dma_heap_pool, base);
}

static ssize_t max_kib_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	unsigned long pages = READ_ONCE(dev_to_pool(dev)->max_pages);

	return sysfs_emit(buf, "%lu\n", pages << (PAGE_SHIFT - 10));
}

static ssize_t max_kib_store(struct device *dev, struct device_attribute *attr,
			     const char *buf, size_t count)
{
	unsigned long kib;
	int ret;

	ret = kstrtoul(buf, 0, &kib);
	if (ret)
		return ret;
	if (kib > SIZE_MAX / SZ_1K)
		return -EINVAL;

	dma_heap_pool_set_max(dev_to_pool(dev), kib * SZ_1K);

	return count;
}
static DEVICE_ATTR_RW(max_kib);

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

/* "<bytes> <count>"; sscanf() would take numbers that are too large, too */
static int parse_prefill(char *text, unsigned long *size, unsigned int *count)
{
	char *number = strsep(&text, " ");
	int ret;

	if (!text)
		return -EINVAL;

	ret = kstrtoul(number, 0, size);

	return ret ?: kstrtouint(text, 0, count);
}

static ssize_t prefill_store(struct device *dev, struct device_attribute *attr,
			     const char *buf, size_t count)
{
	unsigned int number;
	unsigned long size;
	char *text;
	int ret;

	text = kstrndup(buf, count, GFP_KERNEL);
	if (!text)
		return -ENOMEM;

	ret = parse_prefill(text, &size, &number);
	kfree(text);
	if (ret)
		return ret;

	ret = dma_heap_pool_prefill(dev_to_pool(dev), size, number);

	return ret ?: count;
}
static DEVICE_ATTR_WO(prefill);

static struct attribute *dma_heap_pool_attrs[] = {
	&dev_attr_max_kib.attr,
	&dev_attr_decay_ms.attr,
	&dev_attr_prefill.attr,
	NULL
};

/* For heaps whose private data is the source dma_heap_pool_source() gave */
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
	STAT(evicted_pages),
	STAT(decayed_pages),
	STAT(shrunk_pages),
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
			   backing->scrubbed ? "clean" : "dirty",
			   page_to_pfn(sg_page(backing->sgt.sgl)));
}

/* It prints to memory that seq_file has allocated before */
static int backings_show(struct seq_file *seq, void *unused)
{
	struct dma_heap_pool *pool = seq->private;
	int nid;

	spin_lock(&pool->lock);
	for_each_node(nid) {
		show_list(seq, &pool->nodes[nid].clean);
		show_list(seq, &pool->nodes[nid].dirty);
	}
	spin_unlock(&pool->lock);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(backings);

static int shrink_show(struct seq_file *seq, void *unused)
{
	unsigned long counted, freed;

	freed = dma_heap_pool_shrink_all(seq->private, &counted);
	seq_printf(seq, "%lu %lu\n", counted, freed);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(shrink);

void dma_heap_pool_files_init(struct dma_heap_pool *pool)
{
	struct dentry *dir;

	dir = debugfs_create_dir(pool->name, debugfs_root);
	debugfs_create_file("stats", 0400, dir, pool, &stats_fops);
	debugfs_create_file("backings", 0400, dir, pool, &backings_fops);
	debugfs_create_file("shrink", 0400, dir, pool, &shrink_fops);
	pool->debugfs = dir;
}

void dma_heap_pool_files_fini(struct dma_heap_pool *pool)
{
	debugfs_remove(pool->debugfs);
}

static int __init dma_heap_pool_files_root(void)
{
	debugfs_root = debugfs_create_dir("dma_heap", NULL);

	return 0;
}
module_init(dma_heap_pool_files_root);

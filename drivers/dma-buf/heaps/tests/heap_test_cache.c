// SPDX-License-Identifier: GPL-2.0
/*
 * Do steps with a buffer, and record the cache maintenance of the exporter
 *
 * The suites dma_heap_cache and dma_heap_model use this, see heap_test_cache.h.
 */

#include <linux/align.h>
#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-heap.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/iosys-map.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <trace/events/dma.h>

#include <kunit/resource.h>
#include <kunit/test.h>

#include "../heap_source.h"
#include "../heap_buffer_internal.h"
#include "heap_test_cache.h"
#include "heap_test_helpers.h"

/* Merge events of chunks that follow each other */
static void record(struct heap_cache *cache, struct heap_cache_event event)
{
	struct heap_cache_event *last;

	if (cache->event_count && cache->event_count <= HEAP_CACHE_EVENTS) {
		last = &cache->events[cache->event_count - 1];
		if (last->type == event.type && last->user == event.user &&
		    last->dir == event.dir && last->end == event.start) {
			last->end = event.end;
			return;
		}
	}

	if (cache->event_count < HEAP_CACHE_EVENTS)
		cache->events[cache->event_count] = event;
	cache->event_count++;
}

static void record_unexpected(struct heap_cache *cache)
{
	record(cache, (struct heap_cache_event) {
		.type = HEAP_CACHE_UNEXPECTED });
}

/* The device's number, or HEAP_CACHE_USERS. Calls of other tasks do not count */
static unsigned int which_user(struct heap_cache *cache, struct device *dev)
{
	unsigned int i;

	if (current != cache->task)
		return HEAP_CACHE_USERS;

	for (i = 0; i < HEAP_CACHE_USERS; i++)
		if (cache->users[i].dev == dev)
			break;

	return i;
}

/* Find the offset in the buffer of a part of one chunk */
static bool find_chunk(struct heap_cache *cache, phys_addr_t phys, size_t len,
		       size_t *offset)
{
	struct scatterlist *sg;
	size_t start = 0;
	int i;

	for_each_sgtable_sg(&cache->source.backing->sgt, sg, i) {
		if (phys >= sg_phys(sg) &&
		    phys + len <= sg_phys(sg) + sg->length) {
			*offset = start + phys - sg_phys(sg);
			return true;
		}
		start += sg->length;
	}

	return false;
}

/* Find the offset in the buffer of a part of one segment of the device's mapping */
static bool find_piece(struct heap_cache_user *user, dma_addr_t addr,
		       size_t len, size_t *offset)
{
	struct dma_heap_attachment *a = user->attachment->priv;
	struct scatterlist *sg;
	size_t start = 0;
	int i;

	for_each_sgtable_dma_sg(&a->sgt, sg, i) {
		if (addr >= sg_dma_address(sg) &&
		    addr + len <= sg_dma_address(sg) + sg_dma_len(sg)) {
			*offset = start + addr - sg_dma_address(sg);
			return true;
		}
		start += sg_dma_len(sg);
	}

	return false;
}

static void probe_map_page(void *data, struct device *dev, phys_addr_t phys,
			   dma_addr_t addr, size_t len,
			   enum dma_data_direction dir, unsigned long attrs)
{
	struct heap_cache *cache = data;

	if (dev != dma_heap_get_dev(cache->heap) || current != cache->task)
		return;

	if (cache->page.open)
		record_unexpected(cache);
	cache->page.open = true;
	cache->page.phys = phys;
	cache->page.len = len;
	cache->page.dir = dir;
	cache->page.attrs = attrs;
}

/* The maintenance that the map and the unmap of a page do */
static enum heap_cache_event_type
maintenance(enum dma_data_direction dir, unsigned long map_attrs,
	    unsigned long unmap_attrs)
{
	if (dir == DMA_TO_DEVICE && !map_attrs &&
	    unmap_attrs == DMA_ATTR_SKIP_CPU_SYNC)
		return HEAP_CACHE_WRITE_BACK;

	if (dir == DMA_FROM_DEVICE && map_attrs == DMA_ATTR_SKIP_CPU_SYNC &&
	    !unmap_attrs)
		return HEAP_CACHE_DROP;

	return HEAP_CACHE_UNEXPECTED;
}

static void probe_unmap_page(void *data, struct device *dev, dma_addr_t addr,
			     size_t len, enum dma_data_direction dir,
			     unsigned long attrs)
{
	struct heap_cache *cache = data;
	size_t offset;

	if (dev != dma_heap_get_dev(cache->heap) || current != cache->task)
		return;

	if (!cache->page.open || cache->page.dir != dir ||
	    !len || cache->page.len != len ||
	    cache->page.phys != dma_to_phys(dev, addr) ||
	    !find_chunk(cache, cache->page.phys, len, &offset)) {
		record_unexpected(cache);
		return;
	}

	cache->page.open = false;
	record(cache, (struct heap_cache_event) {
		.type = maintenance(dir, cache->page.attrs, attrs),
		.dir = dir,
		.start = offset,
		.end = offset + len,
	});
}

/* Must the device's own mapping sync? */
static bool has_syncs(struct heap_cache *cache, unsigned int user)
{
	return user >= HEAP_CACHE_BOUNCING ||
	       (cache->heap_is_coherent && user < HEAP_CACHE_COHERENT);
}

static void record_sync(struct heap_cache *cache, struct device *dev,
			dma_addr_t addr, size_t len, enum dma_data_direction dir,
			enum heap_cache_event_type type)
{
	unsigned int user = which_user(cache, dev);
	size_t offset;

	if (user == HEAP_CACHE_USERS)
		return;

	/* Other devices' mappings need no sync */
	if (!has_syncs(cache, user) ||
	    !find_piece(&cache->users[user], addr, len, &offset)) {
		record_unexpected(cache);
		return;
	}

	record(cache, (struct heap_cache_event) {
		.type = type,
		.user = user,
		.dir = dir,
		.start = offset,
		.end = offset + len,
	});
}

static void probe_sync_single_for_cpu(void *data, struct device *dev,
				      dma_addr_t addr, size_t len,
				      enum dma_data_direction dir)
{
	record_sync(data, dev, addr, len, dir, HEAP_CACHE_FROM_USER);
}

static void probe_sync_single_for_device(void *data, struct device *dev,
					 dma_addr_t addr, size_t len,
					 enum dma_data_direction dir)
{
	record_sync(data, dev, addr, len, dir, HEAP_CACHE_TO_USER);
}

static void probe_map_sg(void *data, struct device *dev,
			 struct scatterlist *sgl, int nents, int ents,
			 enum dma_data_direction dir, unsigned long attrs)
{
	struct heap_cache *cache = data;
	unsigned int user = which_user(cache, dev);

	if (user == HEAP_CACHE_USERS)
		return;

	if (attrs != DMA_ATTR_SKIP_CPU_SYNC)
		record_unexpected(cache);
	else if (user >= HEAP_CACHE_BOUNCING)
		record(cache, (struct heap_cache_event) {
			.type = HEAP_CACHE_TABLE,
			.user = user,
			.dir = dir,
			.end = heap_test_source_size(&cache->source),
		});
}

static void probe_unmap_sg(void *data, struct device *dev,
			   struct scatterlist *sgl, int nents,
			   enum dma_data_direction dir, unsigned long attrs)
{
	struct heap_cache *cache = data;
	unsigned int user = which_user(cache, dev);
	unsigned long skip = DMA_ATTR_SKIP_CPU_SYNC;

	/* The unmap itself is the last sync */
	if (user < HEAP_CACHE_BOUNCING && has_syncs(cache, user))
		skip = 0;
	if (user != HEAP_CACHE_USERS && attrs != skip)
		record_unexpected(cache);
}

static void probe_sync_sg(void *data, struct device *dev,
			  struct scatterlist *sgl, int nents,
			  enum dma_data_direction dir)
{
	struct heap_cache *cache = data;

	if (which_user(cache, dev) != HEAP_CACHE_USERS)
		record_unexpected(cache);
}

static const struct heap_test_probe cache_probes[] = {
	{ "dma_map_page", probe_map_page },
	{ "dma_unmap_page", probe_unmap_page },
	{ "dma_sync_single_for_cpu", probe_sync_single_for_cpu },
	{ "dma_sync_single_for_device", probe_sync_single_for_device },
	{ "dma_map_sg", probe_map_sg },
	{ "dma_unmap_sg", probe_unmap_sg },
	{ "dma_sync_sg_for_cpu", probe_sync_sg },
	{ "dma_sync_sg_for_device", probe_sync_sg },
};

static void register_probes(struct heap_cache *cache)
{
	check_trace_callback_type_dma_map_page(probe_map_page);
	check_trace_callback_type_dma_unmap_page(probe_unmap_page);
	check_trace_callback_type_dma_sync_single_for_cpu(probe_sync_single_for_cpu);
	check_trace_callback_type_dma_sync_single_for_device(probe_sync_single_for_device);
	check_trace_callback_type_dma_map_sg(probe_map_sg);
	check_trace_callback_type_dma_unmap_sg(probe_unmap_sg);
	check_trace_callback_type_dma_sync_sg_for_cpu(probe_sync_sg);
	check_trace_callback_type_dma_sync_sg_for_device(probe_sync_sg);

	heap_test_probes_register(cache->test, cache_probes,
				  ARRAY_SIZE(cache_probes), cache);
}

static void make_users(struct heap_cache *cache)
{
	struct kunit *test = cache->test;
	unsigned int i;
	char name[16];
	bool made;

	for (i = 0; i < HEAP_CACHE_USERS; i++) {
		struct device *dev;

		scnprintf(name, sizeof(name), "importer%u", i);
		dev = heap_test_device(test, name);
		if (i < HEAP_CACHE_COHERENT)
			made = heap_test_make_noncoherent(dev);
		else
			made = heap_test_make_coherent(dev);
		if (i >= HEAP_CACHE_BOUNCING)
			made = heap_test_make_bouncing(test, dev);
		if (made)
			cache->users[i].dev = dev;
	}
}

static void heap_cache_exit(void *data)
{
	struct heap_cache *cache = data;

	heap_cache_free(cache);
	heap_test_source_empty(&cache->source);
	/* The test must not have misused the DMA API */
	KUNIT_EXPECT_EQ(cache->test, heap_test_dma_errors(cache->test),
			cache->dma_errors);
}

/* Make a heap and devices. The test must prepare the heap's source */
struct heap_cache *heap_cache_init(struct kunit *test)
{
	struct heap_cache *cache;
	int ret;

	cache = kunit_kzalloc(test, sizeof(*cache), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, cache);

	cache->test = test;
	cache->task = current;
	cache->dma_errors = heap_test_dma_errors(test);
	cache->heap = heap_test_add(test, "kunit-heap",
				    &heap_test_source_heap_ops,
				    &cache->source.base);
	cache->source.base.dev = dma_heap_get_dev(cache->heap);
	make_users(cache);
	register_probes(cache);

	ret = kunit_add_action_or_reset(test, heap_cache_exit, cache);
	KUNIT_ASSERT_EQ(test, ret, 0);

	return cache;
}
EXPORT_SYMBOL_NS_GPL(heap_cache_init, EXPORTED_FOR_KUNIT_TESTING);

/* Make the heap's device coherent, so that it does not maintain caches */
bool heap_cache_make_heap_coherent(struct heap_cache *cache)
{
	cache->heap_is_coherent = true;

	return heap_test_make_coherent(dma_heap_get_dev(cache->heap));
}
EXPORT_SYMBOL_NS_GPL(heap_cache_make_heap_coherent, EXPORTED_FOR_KUNIT_TESTING);

/* Allocate a buffer without mappings */
void heap_cache_alloc(struct heap_cache *cache, u32 fd_flags)
{
	size_t size = heap_test_source_size(&cache->source);
	struct dma_buf *dmabuf;

	dmabuf = dma_heap_buffer_alloc(cache->heap, size, fd_flags, 0);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(cache->test, dmabuf);
	cache->dmabuf = dmabuf;
}
EXPORT_SYMBOL_NS_GPL(heap_cache_alloc, EXPORTED_FOR_KUNIT_TESTING);

static int step_map(struct heap_cache *cache, const struct heap_cache_step *step)
{
	struct heap_cache_user *user = &cache->users[step->user];
	struct sg_table *sgt;

	if (!user->attachment) {
		struct dma_buf_attachment *attachment;

		attachment = dma_buf_attach(cache->dmabuf, user->dev);
		if (IS_ERR(attachment))
			return PTR_ERR(attachment);
		user->attachment = attachment;
	}

	sgt = dma_buf_map_attachment_unlocked(user->attachment, step->dir);
	if (IS_ERR(sgt))
		return PTR_ERR(sgt);

	user->sgt = sgt;
	user->mapped++;

	return 0;
}

static int step_unmap(struct heap_cache *cache, unsigned int index)
{
	struct heap_cache_user *user = &cache->users[index];

	if (!user->mapped)
		return -ENOENT;

	user->mapped--;
	/* The exporter knows the direction */
	dma_buf_unmap_attachment_unlocked(user->attachment, user->sgt,
					  DMA_BIDIRECTIONAL);

	return 0;
}

static int step_mmap(struct heap_cache *cache, enum dma_data_direction dir)
{
	size_t size = cache->dmabuf->size;
	unsigned long prot = PROT_READ;
	unsigned long addr;

	if (cache->vma_count == HEAP_CACHE_MAPS)
		return -E2BIG;

	/* KUnit gives the task an address space only with its first mapping */
	if (!current->mm)
		kunit_vm_mmap(cache->test, NULL, 0, PAGE_SIZE, PROT_READ,
			      MAP_PRIVATE | MAP_ANONYMOUS, 0);
	if (!current->mm)
		return -ENOMEM;

	if (dir != DMA_FROM_DEVICE)
		prot |= PROT_WRITE;
	addr = vm_mmap(cache->dmabuf->file, 0, size, prot, MAP_SHARED, 0);
	if (IS_ERR_VALUE(addr))
		return addr;

	cache->vmas[cache->vma_count++] = addr;

	return 0;
}

static int step_munmap(struct heap_cache *cache)
{
	if (!cache->vma_count)
		return -ENOENT;

	return vm_munmap(cache->vmas[--cache->vma_count], cache->dmabuf->size);
}

static int step_vmap(struct heap_cache *cache)
{
	int ret = dma_buf_vmap_unlocked(cache->dmabuf, &cache->vmap);

	cache->vmapped = !ret;

	return ret;
}

static int step_vunmap(struct heap_cache *cache)
{
	if (!cache->vmapped)
		return -ENOENT;

	dma_buf_vunmap_unlocked(cache->dmabuf, &cache->vmap);
	cache->vmapped = false;

	return 0;
}

/* An access to the whole buffer uses the call that knows no parts */
static int step_begin(struct heap_cache *cache, const struct heap_cache_step *step)
{
	if (step->len == cache->dmabuf->size)
		return dma_buf_begin_cpu_access(cache->dmabuf, step->dir);

	return dma_buf_begin_cpu_access_partial(cache->dmabuf, step->dir,
						step->offset, step->len);
}

static int step_end(struct heap_cache *cache, const struct heap_cache_step *step)
{
	if (step->len == cache->dmabuf->size)
		return dma_buf_end_cpu_access(cache->dmabuf, step->dir);

	return dma_buf_end_cpu_access_partial(cache->dmabuf, step->dir,
					      step->offset, step->len);
}

/* Does the first event write back all that the second event invalidates? */
static bool is_kept(const struct heap_cache_event *first,
		    const struct heap_cache_event *second)
{
	return first->start <= second->start && first->end >= second->end;
}

static void trim_event(struct heap_cache_event *event,
		       const struct heap_cache_step *step)
{
	size_t line = dma_get_cache_alignment();
	size_t end = step->offset + step->len;

	if (event->start == ALIGN_DOWN(step->offset, line))
		event->start = step->offset;
	if (event->end == ALIGN(end, line))
		event->end = end;
}

/* The exporter invalidates whole lines, also where an access ends within a line */
static void trim_drops(struct heap_cache *cache,
		       const struct heap_cache_step *step)
{
	unsigned int count = min(cache->event_count, HEAP_CACHE_EVENTS);
	unsigned int i;

	for (i = 0; i < count; i++) {
		struct heap_cache_event *event = &cache->events[i];

		if (event->type != HEAP_CACHE_DROP)
			continue;
		if (i && event[-1].type == HEAP_CACHE_WRITE_BACK) {
			if (!is_kept(&event[-1], event))
				event[-1].type = HEAP_CACHE_UNEXPECTED;
			trim_event(&event[-1], step);
		}
		trim_event(event, step);
	}
}

static int do_step(struct heap_cache *cache, const struct heap_cache_step *step)
{
	switch (step->op) {
	case HEAP_CACHE_MAP:
		return step_map(cache, step);
	case HEAP_CACHE_UNMAP:
		return step_unmap(cache, step->user);
	case HEAP_CACHE_BEGIN:
		return step_begin(cache, step);
	case HEAP_CACHE_END:
		return step_end(cache, step);
	case HEAP_CACHE_MMAP:
		return step_mmap(cache, step->dir);
	case HEAP_CACHE_MUNMAP:
		return step_munmap(cache);
	case HEAP_CACHE_VMAP:
		return step_vmap(cache);
	case HEAP_CACHE_VUNMAP:
		return step_vunmap(cache);
	}

	return -EINVAL;
}

/* Do a step, and record in @cache what the exporter did */
int heap_cache_do(struct heap_cache *cache, const struct heap_cache_step *step)
{
	int ret;

	cache->event_count = 0;
	ret = do_step(cache, step);
	if (step_is_access(step))
		trim_drops(cache, step);

	return ret;
}
EXPORT_SYMBOL_NS_GPL(heap_cache_do, EXPORTED_FOR_KUNIT_TESTING);

static void heap_cache_detach(struct heap_cache *cache, unsigned int index)
{
	struct heap_cache_user *user = &cache->users[index];

	while (user->mapped)
		step_unmap(cache, index);
	if (user->attachment)
		dma_buf_detach(cache->dmabuf, user->attachment);
	user->attachment = NULL;
}

/* End all mappings and attachments, and drop the buffer */
void heap_cache_free(struct heap_cache *cache)
{
	unsigned int i;

	if (!cache->dmabuf)
		return;

	for (i = 0; i < HEAP_CACHE_USERS; i++)
		heap_cache_detach(cache, i);
	/* Another task cleans up after an aborted test. It does not have the mappings */
	if (current == cache->task)
		while (cache->vma_count)
			step_munmap(cache);
	step_vunmap(cache);
	__fput_sync(cache->dmabuf->file);
	cache->dmabuf = NULL;
}
EXPORT_SYMBOL_NS_GPL(heap_cache_free, EXPORTED_FOR_KUNIT_TESTING);

MODULE_DESCRIPTION("Steps for the KUnit tests of the exporter of DMA-BUF heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF);
MODULE_IMPORT_NS(DMA_BUF_HEAP);
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);

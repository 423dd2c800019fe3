// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF carveout heaps: memory that the device tree sets aside for buffers
 *
 * All space that is free is zero, so that a buffer of any size takes the time to
 * find room. What a buffer leaves is scrubbed in the pool; at first that is the
 * whole region. An allocation that finds no room has the pool give back what it
 * keeps, and waits for what is being scrubbed.
 *
 * The CPU reaches the memory through the kernel's own mapping of it, or, if there
 * is to be none, through a mapping for the time of a scrub, or never, if the
 * memory is protected: then all is done by the secure world.
 *
 * See Documentation/devicetree/bindings/reserved-memory/dma-heap-carveout.yaml.
 */

#define pr_fmt(fmt) "carveout_heap: " fmt

#include <linux/align.h>
#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/dma-heap-protect.h>
#include <linux/err.h>
#include <linux/genalloc.h>
#include <linux/io.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/numa.h>
#include <linux/of.h>
#include <linux/of_reserved_mem.h>
#include <linux/pfn.h>
#include <linux/platform_device.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "heap_backing.h"
#include "heap_buffer.h"
#include "heap_pool.h"

#define COMPATIBLE	"dma-heap-carveout"

/* What CPUs and IOMMUs map as one block, with pages of 4 KiB */
#define BLOCK		SZ_2M

/* The region is scrubbed in such pieces at first, that one may be had early */
#define FIRST_PIECE	SZ_32M

/* What fits into the alignment of a genalloc, an int */
#define MAX_ALIGNMENT	((size_t)SZ_1G)

/* For a mapping to scrub through: how often it is tried, and in what time */
#define MAP_ATTEMPTS	50
#define MAP_PAUSE_MS	100

/**
 * struct carveout_heap - a heap of a reserved region
 * @source: the source, behind the pool
 * @node: entry in the list of those that there are
 * @name: of the heap
 * @fallback: heap that serves what this one cannot, or NULL
 * @base: physical address of the region, without what is before the first place
 *	  for a buffer
 * @size: its bytes
 * @alignment: of all buffers, in bytes, a power of two
 * @protected: only the secure world and devices reach the memory
 * @nomap: the kernel has no mapping of it
 * @taking: for those who take from @space, one after the other: who waits for the
 *	    scrubber gets what it gives
 * @space: free ranges, all zero and not protected; its addresses are those of
 *	   the region less @bias
 * @bias: see @space; as the region can be beyond a long, and zero means failure
 * @pool: what is allocated from
 * @dev: device of the heap, for the maintenance of caches
 * @fallbacks: allocations that went to @fallback
 */
struct carveout_heap {
	struct dma_heap_source source;
	struct list_head node;
	const char *name;
	const char *fallback;
	phys_addr_t base;
	size_t size;
	size_t alignment;
	bool protected;
	bool nomap;
	struct mutex taking;	/* outermost */
	struct gen_pool *space;
	phys_addr_t bias;
	struct dma_heap_pool *pool;
	struct device *dev;
	atomic_long_t fallbacks;
};

/**
 * struct carveout_protection - the secure world
 * @ops: what it does
 * @data: what it is given
 */
struct carveout_protection {
	const struct dma_heap_protect_ops *ops;
	void *data;
};

/* Set once and never changed, with what it points to */
static struct carveout_protection *carveout_protection;

/* All that there are, and that none of them closes a ring of fallbacks */
static DEFINE_MUTEX(carveouts_lock);
static LIST_HEAD(carveouts);

static struct carveout_heap *to_carveout_heap(struct dma_heap_source *source)
{
	return container_of(source, struct carveout_heap, source);
}

static struct carveout_heap *dev_to_carveout(struct device *dev)
{
	return to_carveout_heap(dma_heap_pool_origin(dev_get_drvdata(dev)));
}

/* Memory, a range at a time */

static int carveout_protect(struct carveout_heap *heap, phys_addr_t base,
			    size_t size)
{
	const struct carveout_protection *p = carveout_protection;

	return heap->protected ? p->ops->protect(p->data, base, size) : 0;
}

static int carveout_unprotect(struct carveout_heap *heap, phys_addr_t base,
			      size_t size)
{
	const struct carveout_protection *p = carveout_protection;

	return heap->protected ? p->ops->unprotect(p->data, base, size) : 0;
}

/* Nobody else maps it cached, so nothing of it is in caches */
static void *carveout_map(struct page *page, size_t len)
{
	int attempts = MAP_ATTEMPTS;
	void *vaddr;

	/* What cannot be scrubbed is lost for ever, so it is worth to wait */
	while (!(vaddr = memremap(page_to_phys(page), len, MEMREMAP_WC)) &&
	       --attempts)
		msleep(MAP_PAUSE_MS);

	return vaddr;
}

static int carveout_zero_unmapped(struct page *page, size_t len)
{
	void *vaddr = carveout_map(page, len);

	if (!vaddr)
		return -ENOMEM;

	memset(vaddr, 0, len);
	memunmap(vaddr);

	return 0;
}

static int carveout_scrub(struct dma_heap_source *source, struct page *page,
			  size_t len, bool clean)
{
	struct carveout_heap *heap = to_carveout_heap(source);
	const struct carveout_protection *p = carveout_protection;

	if (heap->protected)
		return p->ops->scrub(p->data, page_to_phys(page), len);

	if (heap->nomap)
		return carveout_zero_unmapped(page, len);

	dma_heap_memory_zero(page, len);
	if (clean || source->uncached)
		dma_heap_memory_clean(heap->dev, page, len, source->uncached);

	return 0;
}

static bool carveout_find(struct carveout_heap *heap, size_t size,
			  size_t alignment, phys_addr_t *base)
{
	struct genpool_data_align align = { .align = alignment };
	unsigned long addr;

	addr = gen_pool_alloc_algo(heap->space, size, gen_pool_first_fit_align,
				   &align);
	*base = heap->bias + addr;

	return addr;
}

/* Large buffers in whole blocks, small ones not spread over the region */
static size_t carveout_alignment(struct carveout_heap *heap, size_t size)
{
	return max(heap->alignment, min(rounddown_pow_of_two(size), BLOCK));
}

/* Have the pool make room until there is enough, or all of it has been tried */
static int carveout_search(struct carveout_heap *heap, size_t size,
			   size_t alignment, phys_addr_t *base)
{
	struct dma_heap_pool_search search;
	int ret = 0;

	lockdep_assert_held(&heap->taking);

	dma_heap_pool_search_begin(heap->pool, &search);
	/* In this order: what the pool gives back meanwhile counts twice */
	if (size > PFN_PHYS(search.pages) + gen_pool_avail(heap->space))
		return -ENOENT;

	while (!ret && !carveout_find(heap, size, alignment, base))
		ret = dma_heap_pool_give_back_one(heap->pool, &search);
	dma_heap_pool_search_end(heap->pool, &search);

	return ret;
}

static int carveout_get(struct carveout_heap *heap, size_t size,
			phys_addr_t *base)
{
	int ret;

	if (mutex_lock_killable(&heap->taking))
		return -EINTR;

	ret = carveout_search(heap, size, carveout_alignment(heap, size), base);
	/* Better in small pages than not at all: the region may begin anywhere */
	if (ret == -ENOENT)
		ret = carveout_find(heap, size, heap->alignment, base) ? 0 :
									 -ENOMEM;
	mutex_unlock(&heap->taking);

	return ret;
}

static void carveout_put(struct carveout_heap *heap, phys_addr_t base,
			 size_t size)
{
	gen_pool_free(heap->space, base - heap->bias, size);
}

/* The source */

/* Make a backing of a range that has been taken from the free ones */
static struct dma_heap_backing *
carveout_make_backing(struct carveout_heap *heap, phys_addr_t base, size_t size)
{
	struct dma_heap_backing *backing;
	int ret;

	backing = dma_heap_backing_alloc(1);
	if (!backing)
		return ERR_PTR(-ENOMEM);

	ret = carveout_protect(heap, base, size);
	if (ret) {
		dma_heap_backing_free(backing);
		return ERR_PTR(ret);
	}

	sg_set_page(backing->sgt.sgl, pfn_to_page(PHYS_PFN(base)), size, 0);
	backing->size = size;
	backing->cleaned = heap->source.uncached;

	return backing;
}

static struct dma_heap_backing *
carveout_alloc_backing(struct dma_heap_source *source, size_t size)
{
	struct carveout_heap *heap = to_carveout_heap(source);
	struct dma_heap_backing *backing;
	phys_addr_t base;
	int ret;

	/* A chunk has no room for a longer length */
	if (size > min_t(size_t, heap->size, UINT_MAX))
		return ERR_PTR(-ENOMEM);

	ret = carveout_get(heap, size, &base);
	if (ret)
		return ERR_PTR(ret);

	backing = carveout_make_backing(heap, base, size);
	if (IS_ERR(backing))
		carveout_put(heap, base, size);

	return backing;
}

/*
 * Whatever cannot be trusted to be zero and reachable is lost on purpose: better
 * less memory than what one client left in the hands of the next one.
 */
static void carveout_free_backing(struct dma_heap_source *source,
				  struct dma_heap_backing *backing)
{
	struct carveout_heap *heap = to_carveout_heap(source);
	phys_addr_t base = sg_phys(backing->sgt.sgl);

	if (!backing->scrubbed) {
		pr_err("%s: %zu bytes at %pa are lost: they could not be scrubbed\n",
		       heap->name, backing->size, &base);
	} else if (carveout_unprotect(heap, base, backing->size)) {
		pr_err("%s: %zu bytes at %pa are lost: they could not be unprotected\n",
		       heap->name, backing->size, &base);
		dma_heap_pool_count_leak(heap->pool, backing->size);
	} else {
		carveout_put(heap, base, backing->size);
	}

	dma_heap_backing_free(backing);
}

static const struct dma_heap_source_ops carveout_source_ops = {
	.alloc = carveout_alloc_backing,
	.free = carveout_free_backing,
	.scrub = carveout_scrub,
};

/* The heap */

static int carveout_no_cpu_access(struct dma_buf *dmabuf,
				  enum dma_data_direction dir)
{
	return -EACCES;
}

static int carveout_no_cpu_access_partial(struct dma_buf *dmabuf,
					  enum dma_data_direction dir,
					  u64 offset, u64 len)
{
	return -EACCES;
}

static int carveout_no_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	return -EACCES;
}

static int carveout_no_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	return -EACCES;
}

/* For devices only */
static const struct dma_buf_ops carveout_protected_buf_ops = {
	.attach = dma_heap_buffer_attach,
	.detach = dma_heap_buffer_detach,
	.map_dma_buf = dma_heap_buffer_map,
	.unmap_dma_buf = dma_heap_buffer_unmap,
	.begin_cpu_access = carveout_no_cpu_access,
	.end_cpu_access = carveout_no_cpu_access,
	.begin_cpu_access_partial = carveout_no_cpu_access_partial,
	.end_cpu_access_partial = carveout_no_cpu_access_partial,
	.mmap = carveout_no_mmap,
	.vmap = carveout_no_vmap,
	.charge = dma_heap_buffer_charge,
	.release = dma_heap_buffer_release,
};

static struct dma_buf *carveout_fall_back(struct carveout_heap *carveout,
					  unsigned long len, u32 fd_flags,
					  u64 heap_flags)
{
	struct dma_heap *heap;
	struct dma_buf *dmabuf;

	heap = dma_heap_find(carveout->fallback);
	if (!heap)
		return ERR_PTR(-ENOMEM);

	dmabuf = dma_heap_buffer_alloc(heap, len, fd_flags, heap_flags);
	dma_heap_put(heap);
	if (!IS_ERR(dmabuf))
		atomic_long_inc(&carveout->fallbacks);

	return dmabuf;
}

static struct dma_buf *carveout_allocate(struct dma_heap *heap,
					 unsigned long len, u32 fd_flags,
					 u64 heap_flags)
{
	struct carveout_heap *carveout = dev_to_carveout(dma_heap_get_dev(heap));
	struct dma_buf *dmabuf;

	dmabuf = dma_heap_buffer_allocate(heap, len, fd_flags, heap_flags);
	if (dmabuf == ERR_PTR(-ENOMEM) && carveout->fallback)
		return carveout_fall_back(carveout, len, fd_flags, heap_flags);

	return dmabuf;
}

static struct dma_buf *carveout_allocate_protected(struct dma_heap *heap,
						   unsigned long len,
						   u32 fd_flags, u64 heap_flags)
{
	return dma_heap_buffer_export(heap, dma_heap_get_drvdata(heap),
				      &carveout_protected_buf_ops, len,
				      fd_flags);
}

static const struct dma_heap_ops carveout_heap_ops = {
	.allocate = carveout_allocate,
};

static const struct dma_heap_ops carveout_protected_heap_ops = {
	.allocate = carveout_allocate_protected,
};

static ssize_t size_kib_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%zu\n", dev_to_carveout(dev)->size / SZ_1K);
}
static DEVICE_ATTR_RO(size_kib);

static ssize_t free_kib_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%zu\n",
			  gen_pool_avail(dev_to_carveout(dev)->space) / SZ_1K);
}
static DEVICE_ATTR_RO(free_kib);

static ssize_t fallbacks_show(struct device *dev, struct device_attribute *attr,
			      char *buf)
{
	return sysfs_emit(buf, "%lu\n",
			  atomic_long_read(&dev_to_carveout(dev)->fallbacks));
}
static DEVICE_ATTR_RO(fallbacks);

static struct attribute *carveout_attrs[] = {
	&dev_attr_size_kib.attr,
	&dev_attr_free_kib.attr,
	&dev_attr_fallbacks.attr,
	NULL
};

static const struct attribute_group carveout_group = {
	.name = "carveout",
	.attrs = carveout_attrs,
};

static const struct attribute_group *carveout_groups[] = {
	&dma_heap_pool_group,
	&carveout_group,
	NULL
};

/* The node in the device tree */

static int carveout_parse_name(struct device *dev, struct carveout_heap *heap)
{
	int ret;

	ret = of_property_read_string(dev->of_node, "heap-name", &heap->name);
	if (ret != -EINVAL)
		return ret;

	/* There is no such property: the node's name, without the address */
	heap->name = devm_kasprintf(dev, GFP_KERNEL, "%pOFn", dev->of_node);

	return heap->name ? 0 : -ENOMEM;
}

static int carveout_parse(struct device *dev, struct carveout_heap *heap)
{
	struct device_node *node = dev->of_node;
	u32 alignment = PAGE_SIZE;
	int ret;

	ret = carveout_parse_name(dev, heap);
	if (ret)
		return dev_err_probe(dev, ret, "bad heap-name\n");

	ret = of_property_read_string(node, "heap-fallback", &heap->fallback);
	if (ret && ret != -EINVAL)
		return dev_err_probe(dev, ret, "bad heap-fallback\n");

	ret = of_property_read_u32(node, "heap-alignment", &alignment);
	if (ret && ret != -EINVAL)
		return dev_err_probe(dev, ret, "bad heap-alignment\n");

	heap->alignment = alignment;
	heap->protected = of_property_read_bool(node, "heap-protected");
	heap->nomap = of_property_read_bool(node, "no-map");
	heap->source.uncached = heap->protected ||
				of_property_read_bool(node, "heap-uncached");

	return 0;
}

static bool carveout_overlaps(struct carveout_heap *heap,
			      struct device_node *node)
{
	struct reserved_mem *rmem = of_reserved_mem_lookup(node);

	return rmem && rmem->base < heap->base + heap->size &&
	       heap->base < rmem->base + rmem->size;
}

/* Who is right if two nodes claim the same memory? Nobody gets it */
static int carveout_check_neighbours(struct device *dev,
				     struct carveout_heap *heap)
{
	struct device_node *node;

	for_each_available_child_of_node(dev->of_node->parent, node) {
		if (node == dev->of_node || !carveout_overlaps(heap, node))
			continue;

		dev_err(dev, "the region overlaps that of %pOF\n", node);
		of_node_put(node);
		return -EBUSY;
	}

	return 0;
}

static bool carveout_has_pages(struct carveout_heap *heap)
{
	unsigned long pfn = PHYS_PFN(heap->base);
	unsigned long end = pfn + PHYS_PFN(heap->size);

	for (; pfn < end; pfn++)
		if (!pfn_valid(pfn) || !PageReserved(pfn_to_page(pfn)))
			return false;

	return true;
}

static bool carveout_crosses_highmem(struct carveout_heap *heap)
{
	struct page *first = pfn_to_page(PHYS_PFN(heap->base));
	struct page *last = nth_page(first, PHYS_PFN(heap->size) - 1);

	return PageHighMem(first) != PageHighMem(last);
}

static int carveout_check_region(struct device *dev, struct carveout_heap *heap)
{
	struct reserved_mem *rmem = of_reserved_mem_lookup(dev->of_node);

	if (!rmem || !rmem->size)
		return dev_err_probe(dev, -ENODEV,
				     "no memory is reserved for the node\n");

	heap->base = rmem->base;
	heap->size = rmem->size;
	if (heap->size != rmem->size)
		return dev_err_probe(dev, -E2BIG, "the region is too large\n");

	if (!PAGE_ALIGNED(heap->base) || !PAGE_ALIGNED(heap->size))
		return dev_err_probe(dev, -EINVAL,
				     "the region is not made of whole pages\n");

	if (!carveout_has_pages(heap))
		return dev_err_probe(dev, -ENXIO,
				     "the region is not reserved memory with struct pages\n");

	/* What is in one piece for devices has to be for the kernel, too */
	if (carveout_crosses_highmem(heap))
		return dev_err_probe(dev, -EINVAL,
				     "the region is partly high memory\n");

	return carveout_check_neighbours(dev, heap);
}

static bool carveout_makes_heap(struct device_node *node, const char *name)
{
	const char *heap_name;

	if (of_property_read_string(node, "heap-name", &heap_name))
		return of_node_name_eq(node, name);

	return !strcmp(heap_name, name);
}

/*
 * The heap that the carveout of that name falls back on, or NULL. One that is there
 * tells for sure; of the nodes that are left, more than one may have the name, but
 * the last one of a ring finds all the others there.
 */
static const char *carveout_fallback_of(const char *name)
{
	const char *fallback = NULL;
	struct carveout_heap *heap;
	struct device_node *node;

	lockdep_assert_held(&carveouts_lock);

	list_for_each_entry(heap, &carveouts, node)
		if (!strcmp(heap->name, name))
			return heap->fallback;

	for_each_compatible_node(node, NULL, COMPATIBLE) {
		if (!carveout_makes_heap(node, name))
			continue;

		of_property_read_string(node, "heap-fallback", &fallback);
		of_node_put(node);
		break;
	}

	return fallback;
}

/* By way of any number of others: one that has no room would never know */
static bool carveout_falls_on_itself(struct carveout_heap *heap)
{
	const char *name = heap->fallback;
	int hops;

	/* There cannot be as many heaps; a ring of others is for them to refuse */
	for (hops = 0; name && hops < 128; hops++) {
		if (!strcmp(name, heap->name))
			return true;
		name = carveout_fallback_of(name);
	}

	return false;
}

/* What is before the first aligned address is of no use to anybody */
static int carveout_align(struct device *dev, struct carveout_heap *heap)
{
	size_t head;

	if (!is_power_of_2(heap->alignment) || heap->alignment < PAGE_SIZE ||
	    heap->alignment > min(heap->size, MAX_ALIGNMENT))
		return dev_err_probe(dev, -EINVAL, "bad heap-alignment\n");

	head = -heap->base & (heap->alignment - 1);
	heap->base += head;
	heap->size -= head;

	return 0;
}

static int carveout_check_use(struct device *dev, struct carveout_heap *heap)
{
	if (heap->nomap && !heap->source.uncached)
		return dev_err_probe(dev, -EINVAL,
				     "what is no-map has to be heap-uncached or heap-protected\n");

	if (heap->source.uncached && !heap->protected &&
	    !IS_ENABLED(CONFIG_ARM) && !IS_ENABLED(CONFIG_ARM64))
		return dev_err_probe(dev, -EOPNOTSUPP,
				     "no uncached memory on this machine\n");

	if (heap->protected && heap->fallback)
		return dev_err_probe(dev, -EINVAL,
				     "what is heap-protected must not fall back on other memory\n");

	return 0;
}

static int carveout_add_space(struct carveout_heap *heap)
{
	size_t align = max_t(size_t, heap->alignment, BLOCK);
	unsigned long start = align + (heap->base & (align - 1));
	int ret;

	heap->space = gen_pool_create(PAGE_SHIFT, NUMA_NO_NODE);
	if (!heap->space)
		return -ENOMEM;

	/* The same alignment as that of the region, and never zero */
	heap->bias = heap->base - start;
	ret = gen_pool_add(heap->space, start, heap->size, NUMA_NO_NODE);
	if (ret)
		gen_pool_destroy(heap->space);

	return ret;
}

/* What has been lost by now is in the hands of nobody: then it has to stay */
static void carveout_destroy_space(struct carveout_heap *heap)
{
	if (gen_pool_avail(heap->space) == heap->size)
		gen_pool_destroy(heap->space);
}

/* Whatever the boot loader left there has to go before anybody gets it */
static int carveout_fill_pool(struct carveout_heap *heap)
{
	struct dma_heap_source *source = dma_heap_pool_source(heap->pool);
	struct dma_heap_backing *backing;
	size_t left, size;
	phys_addr_t base;

	for (left = heap->size; left; left -= size) {
		size = min_t(size_t, left,
			     max_t(size_t, heap->alignment, FIRST_PIECE));
		if (WARN_ON(!carveout_find(heap, size, PAGE_SIZE, &base)))
			return -ENOMEM;

		backing = carveout_make_backing(heap, base, size);
		if (IS_ERR(backing)) {
			carveout_put(heap, base, size);
			return PTR_ERR(backing);
		}
		source->ops->free(source, backing);
	}

	return 0;
}

static int carveout_add_pool(struct carveout_heap *heap)
{
	struct page *page = pfn_to_page(PHYS_PFN(heap->base));

	heap->pool = dma_heap_pool_create(heap->name, &heap->source);
	if (IS_ERR(heap->pool))
		return PTR_ERR(heap->pool);

	dma_heap_pool_set_node(heap->pool, page_to_nid(page));
	dma_heap_pool_set_max(heap->pool, heap->size);

	return 0;
}

static u32 carveout_attrs_of(struct carveout_heap *carveout)
{
	u32 attrs = DMA_HEAP_CONTIGUOUS | DMA_HEAP_RESERVED;

	if (carveout->source.uncached)
		attrs |= DMA_HEAP_UNCACHED;
	if (carveout->protected)
		attrs |= DMA_HEAP_PROTECTED;

	return attrs;
}

static struct dma_heap *carveout_create_heap(struct carveout_heap *carveout)
{
	struct dma_heap_export_info exp_info = {
		.name = carveout->name,
		.ops = carveout->protected ? &carveout_protected_heap_ops :
					     &carveout_heap_ops,
		.priv = dma_heap_pool_source(carveout->pool),
		.groups = carveout_groups,
		.attrs = carveout_attrs_of(carveout),
		.alignment = carveout->alignment,
		.max_alloc = carveout->size,
		.fallback = carveout->fallback,
	};
	struct dma_heap *heap;

	heap = dma_heap_create(&exp_info);
	if (IS_ERR(heap))
		return heap;

	carveout->dev = dma_heap_get_dev(heap);
	if (carveout->source.uncached && !carveout->nomap &&
	    !dma_heap_memory_can_clean(carveout->dev)) {
		dma_heap_destroy(heap);
		return ERR_PTR(-EOPNOTSUPP);
	}

	return heap;
}

static int carveout_add(struct carveout_heap *carveout)
{
	struct dma_heap *heap;
	int ret;

	ret = carveout_add_space(carveout);
	if (ret)
		return ret;

	ret = carveout_add_pool(carveout);
	if (ret)
		goto err_destroy_space;

	heap = carveout_create_heap(carveout);
	if (IS_ERR(heap)) {
		ret = PTR_ERR(heap);
		goto err_destroy_pool;
	}

	ret = carveout_fill_pool(carveout);
	if (ret)
		goto err_wait_scrubbed;

	ret = dma_heap_register(heap);
	if (ret)
		goto err_wait_scrubbed;
	dma_heap_pool_add_debugfs(carveout->pool);

	return 0;

err_wait_scrubbed:
	dma_heap_pool_wait_scrubbed(carveout->pool);
	dma_heap_destroy(heap);
err_destroy_pool:
	dma_heap_pool_destroy(carveout->pool);
err_destroy_space:
	carveout_destroy_space(carveout);
	return ret;
}

static int carveout_publish(struct device *dev, struct carveout_heap *heap)
{
	int ret;

	lockdep_assert_held(&carveouts_lock);

	if (carveout_falls_on_itself(heap))
		return dev_err_probe(dev, -EINVAL,
				     "the heap falls back on itself\n");

	ret = carveout_add(heap);
	if (ret)
		return dev_err_probe(dev, ret, "no heap %s\n", heap->name);

	list_add_tail(&heap->node, &carveouts);

	return 0;
}

static int carveout_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct carveout_heap *heap;
	int ret;

	heap = devm_kzalloc(dev, sizeof(*heap), GFP_KERNEL);
	if (!heap)
		return -ENOMEM;

	heap->source.ops = &carveout_source_ops;
	heap->source.reserved = true;
	mutex_init(&heap->taking);
	ret = carveout_parse(dev, heap);
	if (ret)
		return ret;

	ret = carveout_check_region(dev, heap);
	if (ret)
		return ret;

	ret = carveout_align(dev, heap);
	if (ret)
		return ret;

	ret = carveout_check_use(dev, heap);
	if (ret)
		return ret;

	/* With what it points to, see carveout_publish_protection() */
	if (heap->protected && !smp_load_acquire(&carveout_protection))
		return dev_err_probe(dev, -EPROBE_DEFER,
				     "nobody protects the memory yet\n");

	mutex_lock(&carveouts_lock);
	ret = carveout_publish(dev, heap);
	mutex_unlock(&carveouts_lock);

	return ret;
}

static const struct of_device_id carveout_matches[] = {
	{ .compatible = COMPATIBLE },
	{}
};
MODULE_DEVICE_TABLE(of, carveout_matches);

/* A node that user space has open cannot be revoked: no way to unbind */
static struct platform_driver carveout_driver = {
	.probe = carveout_probe,
	.driver = {
		.name = COMPATIBLE,
		.of_match_table = carveout_matches,
		.suppress_bind_attrs = true,
	},
};

/* Protects that there is one protection, and whether the driver is registered */
static DEFINE_MUTEX(carveout_mutex);
static bool carveout_registered;

static int carveout_retry_protected(struct device *dev, void *unused)
{
	if (of_device_is_compatible(dev->of_node, COMPATIBLE) &&
	    of_property_read_bool(dev->of_node, "heap-protected") &&
	    device_attach(dev) < 0)
		dev_err(dev, "cannot be tried again\n");

	return 0;
}

static int carveout_publish_protection(struct carveout_protection *protection)
{
	lockdep_assert_held(&carveout_mutex);

	if (carveout_protection)
		return -EBUSY;

	/* Whoever sees it in carveout_probe() sees what it points to */
	smp_store_release(&carveout_protection, protection);
	if (carveout_registered)
		bus_for_each_dev(&platform_bus_type, NULL, NULL,
				 carveout_retry_protected);

	return 0;
}

/**
 * dma_heap_set_protection - say who protects the memory of protected heaps
 * @ops: what the secure world does; must stay around forever
 * @data: passed to all of them
 *
 * The protected heaps of this machine appear before this returns, or as soon as
 * the driver does. There is no way back.
 *
 * Context: Process context, may sleep. Calls @ops.
 *
 * Return: 0, -EINVAL if one of @ops is missing, -EBUSY if there is somebody else
 * already, or -ENOMEM.
 */
int dma_heap_set_protection(const struct dma_heap_protect_ops *ops, void *data)
{
	struct carveout_protection *protection;
	int ret;

	if (!ops->protect || !ops->unprotect || !ops->scrub)
		return -EINVAL;

	protection = kmalloc(sizeof(*protection), GFP_KERNEL);
	if (!protection)
		return -ENOMEM;

	protection->ops = ops;
	protection->data = data;

	mutex_lock(&carveout_mutex);
	ret = carveout_publish_protection(protection);
	mutex_unlock(&carveout_mutex);
	if (ret)
		kfree(protection);

	return ret;
}
EXPORT_SYMBOL_NS_GPL(dma_heap_set_protection, DMA_BUF_HEAP);

static int __init carveout_heap_init(void)
{
	int ret;

	mutex_lock(&carveout_mutex);
	ret = platform_driver_register(&carveout_driver);
	carveout_registered = !ret;
	mutex_unlock(&carveout_mutex);

	return ret;
}
module_init(carveout_heap_init);

MODULE_DESCRIPTION("DMA-BUF heaps of reserved memory");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF_HEAP);

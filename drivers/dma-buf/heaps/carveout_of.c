// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF carveout heaps: regions that the device tree sets aside for buffers
 *
 * See Documentation/devicetree/bindings/reserved-memory/dma-heap-carveout.yaml.
 */

#include <linux/device.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/of.h>
#include <linux/of_reserved_mem.h>
#include <linux/pfn.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "carveout.h"

#define COMPATIBLE	"dma-heap-carveout"

/* Protects the list, and that no new one closes a ring of fallbacks */
static DEFINE_MUTEX(carveouts_lock);
static LIST_HEAD(carveouts);

static int carveout_parse_name(struct device *dev, struct carveout *heap)
{
	int ret;

	ret = of_property_read_string(dev->of_node, "heap-name", &heap->name);
	if (ret != -EINVAL)
		return ret;

	/* There is no such property: the node's name, without the address */
	heap->name = devm_kasprintf(dev, GFP_KERNEL, "%pOFn", dev->of_node);

	return heap->name ? 0 : -ENOMEM;
}

static int carveout_parse(struct device *dev, struct carveout *heap)
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
	heap->source.nomap = of_property_read_bool(node, "no-map");
	heap->source.uncached = heap->protected ||
				of_property_read_bool(node, "heap-uncached");

	return 0;
}

static bool carveout_overlaps(struct carveout *heap,
			      struct device_node *node)
{
	struct reserved_mem *rmem = of_reserved_mem_lookup(node);

	return rmem && rmem->base < heap->base + heap->size &&
	       heap->base < rmem->base + rmem->size;
}

/* Who is right if two nodes claim the same memory? Nobody gets it */
static int carveout_check_neighbours(struct device *dev,
				     struct carveout *heap)
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

static bool carveout_has_pages(struct carveout *heap)
{
	unsigned long pfn = PHYS_PFN(heap->base);
	unsigned long end = pfn + PHYS_PFN(heap->size);

	for (; pfn < end; pfn++)
		if (!pfn_valid(pfn) || !PageReserved(pfn_to_page(pfn)))
			return false;

	return true;
}

static bool carveout_crosses_highmem(struct carveout *heap)
{
	struct page *first = pfn_to_page(PHYS_PFN(heap->base));
	struct page *last = nth_page(first, PHYS_PFN(heap->size) - 1);

	return PageHighMem(first) != PageHighMem(last);
}

static int carveout_check_region(struct device *dev, struct carveout *heap)
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
	struct carveout *heap;
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
static bool carveout_falls_on_itself(struct carveout *heap)
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
static int carveout_align(struct device *dev, struct carveout *heap)
{
	size_t head;

	if (!is_power_of_2(heap->alignment) || heap->alignment < PAGE_SIZE ||
	    heap->alignment > heap->size)
		return dev_err_probe(dev, -EINVAL, "bad heap-alignment\n");

	/* Page frame 0 would mean failure to genalloc */
	head = heap->base ? -heap->base & (heap->alignment - 1) :
			    heap->alignment;
	heap->base += head;
	heap->size -= head;

	return 0;
}

static int carveout_check_use(struct device *dev, struct carveout *heap)
{
	if (heap->source.nomap && !heap->source.uncached)
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

static int carveout_publish(struct device *dev, struct carveout *heap)
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
	struct carveout *heap;
	int ret;

	heap = devm_kzalloc(dev, sizeof(*heap), GFP_KERNEL);
	if (!heap)
		return -ENOMEM;

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

	if (heap->protected && !carveout_has_protection())
		return dev_err_probe(dev, -EPROBE_DEFER,
				     "waiting for a driver to call dma_heap_set_protection()\n");

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

static int carveout_retry(struct device *dev, void *unused)
{
	if (of_device_is_compatible(dev->of_node, COMPATIBLE) &&
	    of_property_read_bool(dev->of_node, "heap-protected") &&
	    device_attach(dev) < 0)
		dev_err(dev, "cannot be tried again\n");

	return 0;
}

/* Offer the regions again that wait for a protection; none before the driver is there */
void carveout_retry_protected(void)
{
	bus_for_each_dev(&platform_bus_type, NULL, NULL, carveout_retry);
}

static int __init carveout_init(void)
{
	return platform_driver_register(&carveout_driver);
}
module_init(carveout_init);

MODULE_DESCRIPTION("DMA-BUF heaps of reserved memory");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF_HEAP);

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

/* Protects the list; held while a new carveout is checked for a ring of fallbacks */
static DEFINE_MUTEX(carveouts_lock);
static LIST_HEAD(carveouts);

static int carveout_parse_name(struct device *dev, struct carveout *carveout)
{
	int ret;

	ret = of_property_read_string(dev->of_node, "heap-name", &carveout->name);
	if (ret != -EINVAL)
		return ret;

	/* Without the property the heap has the node's name, without the address */
	carveout->name = devm_kasprintf(dev, GFP_KERNEL, "%pOFn", dev->of_node);

	return carveout->name ? 0 : -ENOMEM;
}

static int carveout_parse(struct device *dev, struct carveout *carveout)
{
	struct device_node *node = dev->of_node;
	u32 alignment = PAGE_SIZE;
	int ret;

	ret = carveout_parse_name(dev, carveout);
	if (ret)
		return dev_err_probe(dev, ret, "heap-name: must be a string\n");

	ret = of_property_read_string(node, "heap-fallback", &carveout->fallback);
	if (ret && ret != -EINVAL)
		return dev_err_probe(dev, ret, "heap-fallback: must be a string\n");

	ret = of_property_read_u32(node, "heap-alignment", &alignment);
	if (ret && ret != -EINVAL)
		return dev_err_probe(dev, ret,
				     "heap-alignment: must be a number of 32 bits\n");

	carveout->alignment = alignment;
	carveout->source.protected = of_property_read_bool(node, "heap-protected");
	carveout->source.nomap = of_property_read_bool(node, "no-map");
	carveout->source.uncached = carveout->source.protected ||
				of_property_read_bool(node, "heap-uncached");

	return 0;
}

static bool carveout_overlaps(struct carveout *carveout,
			      struct device_node *node)
{
	struct reserved_mem *rmem = of_reserved_mem_lookup(node);

	return rmem && rmem->base < carveout->base + carveout->size &&
	       carveout->base < rmem->base + rmem->size;
}

/* Two nodes that claim the same memory are both refused: either could be wrong */
static int carveout_check_neighbours(struct device *dev,
				     struct carveout *carveout)
{
	struct device_node *node;

	for_each_available_child_of_node(dev->of_node->parent, node) {
		if (node == dev->of_node || !carveout_overlaps(carveout, node))
			continue;

		dev_err(dev, "the region overlaps that of %pOF\n", node);
		of_node_put(node);
		return -EBUSY;
	}

	return 0;
}

static bool carveout_has_pages(struct carveout *carveout)
{
	unsigned long pfn = PHYS_PFN(carveout->base);
	unsigned long end = pfn + PHYS_PFN(carveout->size);

	for (; pfn < end; pfn++)
		if (!pfn_valid(pfn) || !PageReserved(pfn_to_page(pfn)))
			return false;

	return true;
}

static bool carveout_crosses_highmem(struct carveout *carveout)
{
	struct page *first = pfn_to_page(PHYS_PFN(carveout->base));
	struct page *last = nth_page(first, PHYS_PFN(carveout->size) - 1);

	return PageHighMem(first) != PageHighMem(last);
}

static int carveout_check_region(struct device *dev, struct carveout *carveout)
{
	struct reserved_mem *rmem = of_reserved_mem_lookup(dev->of_node);

	if (!rmem || !rmem->size)
		return dev_err_probe(dev, -ENODEV,
				     "no memory is reserved for the node\n");

	carveout->base = rmem->base;
	carveout->size = rmem->size;
	if (carveout->size != rmem->size)
		return dev_err_probe(dev, -E2BIG, "the region is too large\n");

	if (!PAGE_ALIGNED(carveout->base) || !PAGE_ALIGNED(carveout->size))
		return dev_err_probe(dev, -EINVAL,
				     "the region is not made of whole pages\n");

	if (!carveout_has_pages(carveout))
		return dev_err_probe(dev, -ENXIO,
				     "the region is not reserved memory with struct pages\n");

	/* The kernel needs one mapping for a chunk, so a chunk is all high memory or none */
	if (carveout_crosses_highmem(carveout))
		return dev_err_probe(dev, -EINVAL,
				     "the region is partly high memory\n");

	return carveout_check_neighbours(dev, carveout);
}

static bool carveout_makes_heap(struct device_node *node, const char *name)
{
	const char *heap_name;

	if (of_property_read_string(node, "heap-name", &heap_name))
		return of_node_name_eq(node, name);

	return !strcmp(heap_name, name);
}

/*
 * The fallback of the carveout called @name, or NULL. A heap that exists has the true
 * one. Several nodes that wait may have the same name, so the answer can be wrong for
 * these; but the last node of a ring finds all others as heaps.
 */
static const char *carveout_fallback_of(const char *name)
{
	const char *fallback = NULL;
	struct carveout *carveout;
	struct device_node *node;

	lockdep_assert_held(&carveouts_lock);

	list_for_each_entry(carveout, &carveouts, node)
		if (!strcmp(carveout->name, name))
			return carveout->fallback;

	for_each_compatible_node(node, NULL, COMPATIBLE) {
		if (!carveout_makes_heap(node, name))
			continue;

		of_property_read_string(node, "heap-fallback", &fallback);
		of_node_put(node);
		break;
	}

	return fallback;
}

/* Would an allocation that finds no room come back here, over any number of heaps? */
static bool carveout_falls_on_itself(struct carveout *carveout)
{
	const char *name = carveout->fallback;
	int hops;

	/* A ring without this one is refused by its own last carveout */
	for (hops = 0; name && hops < 128; hops++) {
		if (!strcmp(name, carveout->name))
			return true;
		name = carveout_fallback_of(name);
	}

	return false;
}

/* Give up what is before the first aligned address, and page frame 0 */
static int carveout_align(struct device *dev, struct carveout *carveout)
{
	size_t alignment = carveout->alignment;
	size_t head;

	/* 0 means failure to genalloc */
	head = carveout->base ? -carveout->base & (alignment - 1) : alignment;
	if (!is_power_of_2(alignment) || alignment < PAGE_SIZE ||
	    alignment > carveout->size || head >= carveout->size)
		return dev_err_probe(dev, -EINVAL,
				     "heap-alignment 0x%zx: must be a power of two, from PAGE_SIZE to the region's size\n",
				     alignment);

	carveout->base += head;
	carveout->size -= head;

	return 0;
}

static int carveout_check_use(struct device *dev, struct carveout *carveout)
{
	if (carveout->source.nomap && !carveout->source.uncached)
		return dev_err_probe(dev, -EINVAL,
				     "no-map: needs heap-uncached or heap-protected, too\n");

	if (carveout->source.uncached && !carveout->source.protected &&
	    !IS_ENABLED(CONFIG_ARM) && !IS_ENABLED(CONFIG_ARM64))
		return dev_err_probe(dev, -EOPNOTSUPP,
				     "heap-uncached: this architecture has no uncached memory\n");

	if (carveout->source.protected && carveout->fallback)
		return dev_err_probe(dev, -EINVAL,
				     "heap-fallback: not for a region that is heap-protected\n");

	return 0;
}

static int carveout_publish(struct device *dev, struct carveout *carveout)
{
	int ret;

	lockdep_assert_held(&carveouts_lock);

	if (carveout_falls_on_itself(carveout))
		return dev_err_probe(dev, -EINVAL,
				     "heap-fallback: leads back to this heap\n");

	ret = carveout_add(carveout);
	if (ret)
		return dev_err_probe(dev, ret, "cannot make heap %s\n",
				     carveout->name);

	list_add_tail(&carveout->node, &carveouts);

	return 0;
}

static int carveout_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct carveout *carveout;
	int ret;

	carveout = devm_kzalloc(dev, sizeof(*carveout), GFP_KERNEL);
	if (!carveout)
		return -ENOMEM;

	ret = carveout_parse(dev, carveout);
	if (ret)
		return ret;

	ret = carveout_check_region(dev, carveout);
	if (ret)
		return ret;

	ret = carveout_align(dev, carveout);
	if (ret)
		return ret;

	ret = carveout_check_use(dev, carveout);
	if (ret)
		return ret;

	if (carveout->source.protected && !carveout_has_protection())
		return dev_err_probe(dev, -EPROBE_DEFER,
				     "waiting for a driver to call dma_heap_set_protection()\n");

	mutex_lock(&carveouts_lock);
	ret = carveout_publish(dev, carveout);
	mutex_unlock(&carveouts_lock);

	return ret;
}

static const struct of_device_id carveout_matches[] = {
	{ .compatible = COMPATIBLE },
	{}
};
MODULE_DEVICE_TABLE(of, carveout_matches);

/* An open device node cannot be revoked, so the driver cannot be unbound */
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
		dev_err(dev, "cannot probe again\n");

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

// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF carveout heaps: regions that the device tree sets aside for buffers
 *
 * See Documentation/devicetree/bindings/reserved-memory/dma-heap-carveout.yaml.
 */

#include <linux/device.h>
#include <linux/dma-heap.h>
#include <linux/err.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/of_reserved_mem.h>
#include <linux/pfn.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/sprintf.h>
#include <linux/workqueue.h>

#include "carveout.h"

#define COMPATIBLE	"dma-heap-carveout"

static int carveout_parse(struct device *dev, struct carveout *carveout)
{
	struct device_node *node = dev->of_node;
	u32 alignment = PAGE_SIZE;
	int ret;

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

/*
 * The linear map has all of System RAM and nothing else. To be reserved, an address need
 * not be memory; and a region stays mapped if the kernel had some of it before no-map
 * could be heeded.
 */
static const char *carveout_refuse_page(struct carveout *carveout,
					unsigned long pfn)
{
	unsigned long first = PHYS_PFN(carveout->base);

	if (carveout->source.nomap && page_is_ram(pfn))
		return "is System RAM in spite of no-map";

	if (!carveout->source.nomap && !page_is_ram(pfn))
		return "is not System RAM";

	if (!pfn_valid(pfn) || !PageReserved(pfn_to_page(pfn)))
		return "is not reserved memory with struct pages";

	if (pfn_to_page(pfn) - pfn_to_page(first) != pfn - first)
		return "has its struct page elsewhere";

	/* The kernel needs one mapping for a chunk, so a chunk is all high memory or none */
	if (!carveout->source.nomap &&
	    PageHighMem(pfn_to_page(pfn)) != PageHighMem(pfn_to_page(first)))
		return "is high memory and others are not, or the other way round";

	return NULL;
}

static int carveout_check_pages(struct device *dev, struct carveout *carveout)
{
	phys_addr_t base = carveout->base, end = base + carveout->size;
	const char *reason;

	for (; base < end; base += PAGE_SIZE) {
		reason = carveout_refuse_page(carveout, PHYS_PFN(base));
		if (reason)
			return dev_err_probe(dev, -ENXIO, "the page at %pa %s\n",
					     &base, reason);
	}

	return 0;
}

static int carveout_check_region(struct device *dev, struct carveout *carveout)
{
	struct reserved_mem *rmem = of_reserved_mem_lookup(dev->of_node);
	int ret;

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

	ret = carveout_check_pages(dev, carveout);
	if (ret)
		return ret;

	return carveout_check_neighbours(dev, carveout);
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

	if (carveout->source.protected &&
	    of_property_present(dev->of_node, "heap-fallback"))
		return dev_err_probe(dev, -EINVAL,
				     "heap-fallback: not for a region that is heap-protected\n");

	/* A stray access of the CPU to what firmware guards can end in a panic */
	if (carveout->source.protected && !carveout->source.nomap)
		return dev_err_probe(dev, -EINVAL,
				     "heap-protected: needs no-map, too\n");

	if (carveout->source.uncached && !carveout->source.protected &&
	    !IS_ENABLED(CONFIG_ARM) && !IS_ENABLED(CONFIG_ARM64))
		return dev_err_probe(dev, -EOPNOTSUPP,
				     "heap-uncached: this architecture has no uncached memory\n");

	return 0;
}

/* A string that a node need not have */
static int carveout_parse_string(struct device *dev, const char *property,
				 const char **string)
{
	int ret = of_property_read_string(dev->of_node, property, string);

	if (ret && ret != -EINVAL)
		return dev_err_probe(dev, ret, "%s: must be a string\n", property);

	return 0;
}

static int carveout_publish(struct device *dev, struct carveout *carveout)
{
	const char *name = NULL, *fallback = NULL;
	char node_name[DMA_HEAP_NAME_MAX + 2];
	int ret;

	/* Without the property the heap has the node's name */
	snprintf(node_name, sizeof(node_name), "%pOFP", dev->of_node);
	ret = carveout_parse_string(dev, "heap-name", &name) ?:
	      carveout_parse_string(dev, "heap-fallback", &fallback);
	if (ret)
		return ret;

	name = name ?: node_name;
	ret = carveout_add(carveout, name, fallback);
	if (ret)
		return dev_err_probe(dev, ret, "cannot make heap %s\n", name);

	return 0;
}

static int carveout_check(struct device *dev, struct carveout *carveout)
{
	return carveout_parse(dev, carveout) ?:
	       carveout_check_region(dev, carveout) ?:
	       carveout_align(dev, carveout) ?:
	       carveout_check_use(dev, carveout);
}

/* Without a heap the device can be offered to its driver again */
static void carveout_publish_work(struct work_struct *work)
{
	struct carveout *carveout = container_of(work, struct carveout,
						 publish_work);
	struct device *dev = carveout->dev;

	if (carveout_publish(dev, carveout)) {
		device_release_driver(dev);
		kfree(carveout);
	}
	put_device(dev);
}

/* The secure world takes its time: neither a boot nor a shutdown waits for it here */
static void carveout_publish_protected(struct device *dev,
				       struct carveout *carveout)
{
	carveout->dev = get_device(dev);
	INIT_WORK(&carveout->publish_work, carveout_publish_work);
	if (carveout_await_protection(carveout))
		dev_info(dev, "waiting for a driver to call dma_heap_set_protection()\n");
}

/* A heap stays when its device goes, so it has no memory of the device's */
static int carveout_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct carveout *carveout;
	int ret;

	carveout = kzalloc(sizeof(*carveout), GFP_KERNEL);
	if (!carveout)
		return -ENOMEM;

	ret = carveout_check(dev, carveout);
	if (!ret && !carveout->source.protected)
		ret = carveout_publish(dev, carveout);
	if (ret) {
		kfree(carveout);
		return ret;
	}

	platform_set_drvdata(pdev, carveout);
	if (carveout->source.protected)
		carveout_publish_protected(dev, carveout);

	return 0;
}

/* Only what has been probed is shut down */
static void carveout_of_shutdown(struct platform_device *pdev)
{
	carveout_shutdown(platform_get_drvdata(pdev));
}

static const struct of_device_id carveout_matches[] = {
	{ .compatible = COMPATIBLE },
	{}
};
MODULE_DEVICE_TABLE(of, carveout_matches);

/* An open device node cannot be revoked, so the driver cannot be unbound */
static struct platform_driver carveout_driver = {
	.probe = carveout_probe,
	.shutdown = carveout_of_shutdown,
	.driver = {
		.name = COMPATIBLE,
		.of_match_table = carveout_matches,
		.suppress_bind_attrs = true,
	},
};

static int __init carveout_init(void)
{
	return platform_driver_register(&carveout_driver);
}
module_init(carveout_init);

MODULE_DESCRIPTION("DMA-BUF heaps of reserved memory");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF_HEAP);

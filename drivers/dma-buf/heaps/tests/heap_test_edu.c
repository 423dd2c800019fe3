// SPDX-License-Identifier: GPL-2.0
/*
 * Devices of the test importer that really move bytes: QEMU's "edu" on PCI
 *
 * It has a page of memory of its own, to which and from which it copies by DMA at
 * the addresses that it is told. To write, it fetches bytes from a page of the
 * kernel's first; bytes that it has read it stores back in that page.
 */

#include <linux/completion.h>
#include <linux/dma-mapping.h>
#include <linux/errno.h>
#include <linux/io.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/iopoll.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/time64.h>

#include "heap_test_importer.h"

/* Registers, and where its memory is in its own eyes */
#define EDU_SOURCE	0x80
#define EDU_DEST	0x88
#define EDU_COUNT	0x90
#define EDU_COMMAND	0x98
#define EDU_START	BIT(0)
#define EDU_TO_RAM	BIT(1)
#define EDU_MEMORY	0x40000

/* A transfer takes 100 ms of the guest's time */
#define EDU_TIMEOUT	(10 * USEC_PER_SEC)

/**
 * struct edu - a device
 * @dev: the device
 * @regs: its registers
 * @page: page of the kernel's
 * @addr: where the device sees it
 * @lock: one transfer at a time
 */
struct edu {
	struct device *dev;
	void __iomem *regs;
	void *page;
	dma_addr_t addr;
	struct mutex lock;	/* see above */
};

static struct edu *edus[EDU_MAX];

struct device *edu_device(unsigned int index)
{
	return index < EDU_MAX && edus[index] ? edus[index]->dev : NULL;
}

static struct edu *edu_of(struct device *dev)
{
	int i;

	for (i = 0; i < EDU_MAX; i++)
		if (edus[i] && edus[i]->dev == dev)
			return edus[i];

	return NULL;
}

bool is_edu(struct device *dev)
{
	return edu_of(dev);
}

static int edu_transfer(struct edu *edu, dma_addr_t addr, size_t len,
			bool to_ram)
{
	u32 command;

	lockdep_assert_held(&edu->lock);

	writeq(to_ram ? EDU_MEMORY : addr, edu->regs + EDU_SOURCE);
	writeq(to_ram ? addr : EDU_MEMORY, edu->regs + EDU_DEST);
	writeq(len, edu->regs + EDU_COUNT);
	writel(EDU_START | (to_ram ? EDU_TO_RAM : 0), edu->regs + EDU_COMMAND);

	return readl_poll_timeout(edu->regs + EDU_COMMAND, command,
				  !(command & EDU_START), USEC_PER_MSEC,
				  EDU_TIMEOUT);
}

/*
 * Have the device write the pattern of @seed to @addr, or read from there to the
 * kernel's page; @good is how many bytes of that were as the pattern.
 */
static int edu_part(struct edu *edu, dma_addr_t addr, size_t len, u64 offset,
		    u32 seed, bool write, size_t *good)
{
	u64 *word = edu->page;
	int ret;

	if (write) {
		for (*good = 0; *good < len; *good += sizeof(*word))
			*word++ = importer_pattern(offset + *good, seed);
		ret = edu_transfer(edu, edu->addr, len, false);

		return ret ?: edu_transfer(edu, addr, len, true);
	}

	ret = edu_transfer(edu, addr, len, false);
	ret = ret ?: edu_transfer(edu, edu->addr, len, true);
	for (*good = 0; *good < len; *good += sizeof(*word))
		if (*word++ != importer_pattern(offset + *good, seed))
			break;

	return ret;
}

/*
 * Let the device do what device_access() does for those that are made up.
 * Returns the offset of the first word that is not as expected, -1 if all are, or
 * below that -1 minus an errno.
 */
long long edu_access(struct device *dev, struct sg_table *sgt, u64 offset,
		     u64 len, u32 seed, bool write)
{
	struct edu *edu = edu_of(dev);
	struct scatterlist *sg;
	u64 end = offset + len;
	u64 start = 0;
	int i, ret;

	for_each_sgtable_dma_sg(sgt, sg, i) {
		u64 to = min(end, start + sg_dma_len(sg));

		while (offset >= start && offset < to) {
			size_t part = min(to - offset, (u64)EDU_TRANSFER);
			size_t good;

			mutex_lock(&edu->lock);
			ret = edu_part(edu, sg_dma_address(sg) + offset - start,
				       part, offset, seed, write, &good);
			mutex_unlock(&edu->lock);
			if (ret)
				return ret - 1;
			offset += good;
			if (good < part)
				return offset;
		}
		start += sg_dma_len(sg);
	}

	return -1;
}

/* Let the device write what it has read last to the beginning of the mapping */
int edu_copy(struct device *dev, struct sg_table *sgt, u64 offset, u64 len)
{
	struct edu *edu = edu_of(dev);
	int ret;

	if (!edu)
		return -ENODEV;
	if (len > EDU_TRANSFER || offset + len > sg_dma_len(sgt->sgl))
		return -EINVAL;

	mutex_lock(&edu->lock);
	ret = edu_transfer(edu, sg_dma_address(sgt->sgl) + offset, len, true);
	mutex_unlock(&edu->lock);

	return ret;
}

/* As firmware says of a port that strangers can plug a device into */
int edu_set_untrusted(struct device *dev, bool untrusted)
{
	if (!edu_of(dev))
		return -ENODEV;

	to_pci_dev(dev)->untrusted = untrusted;

	return 0;
}

static int edu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct edu *edu;
	int i, ret;

	for (i = 0; i < EDU_MAX && edus[i]; i++)
		;
	if (i == EDU_MAX)
		return -ENOSPC;

	edu = devm_kzalloc(&pdev->dev, sizeof(*edu), GFP_KERNEL);
	if (!edu)
		return -ENOMEM;
	edu->dev = &pdev->dev;
	mutex_init(&edu->lock);

	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;
	edu->regs = pcim_iomap(pdev, 0, 0);
	if (!edu->regs)
		return -ENOMEM;
	/* That of the emulator's option dma_mask */
	ret = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(32));
	if (ret)
		return ret;
	edu->page = dmam_alloc_coherent(&pdev->dev, PAGE_SIZE, &edu->addr,
					GFP_KERNEL);
	if (!edu->page)
		return -ENOMEM;
	pci_set_master(pdev);
	edus[i] = edu;

	return 0;
}

static void edu_remove(struct pci_dev *pdev)
{
	int i;

	for (i = 0; i < EDU_MAX; i++)
		if (edus[i] && edus[i]->dev == &pdev->dev)
			edus[i] = NULL;
}

static const struct pci_device_id edu_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{}
};
MODULE_DEVICE_TABLE(pci, edu_ids);

static struct pci_driver edu_driver = {
	.name = NAME,
	.id_table = edu_ids,
	.probe = edu_probe,
	.remove = edu_remove,
};

int edu_register(void)
{
	return pci_register_driver(&edu_driver);
}

void edu_unregister(void)
{
	pci_unregister_driver(&edu_driver);
}

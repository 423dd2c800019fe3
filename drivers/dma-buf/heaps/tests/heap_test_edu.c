// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU's PCI device "edu" as a device of the test importer
 *
 * The device has a page of memory. It copies to that page and from it by DMA.
 */

#include <linux/dma-mapping.h>
#include <linux/errno.h>
#include <linux/io.h>
#include <linux/io-64-nonatomic-lo-hi.h>
#include <linux/iopoll.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/time64.h>

#include "heap_test_mover.h"

/* Registers, and the address of the device's memory as the device sees it */
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
 * @mover: the device as the importer knows it
 * @regs: its registers
 */
struct edu {
	struct mover mover;
	void __iomem *regs;
};

static int edu_transfer(struct edu *edu, dma_addr_t addr, size_t len,
			bool to_ram)
{
	u32 command;

	lockdep_assert_held(&edu->mover.lock);

	writeq(to_ram ? EDU_MEMORY : addr, edu->regs + EDU_SOURCE);
	writeq(to_ram ? addr : EDU_MEMORY, edu->regs + EDU_DEST);
	writeq(len, edu->regs + EDU_COUNT);
	writel(EDU_START | (to_ram ? EDU_TO_RAM : 0), edu->regs + EDU_COMMAND);

	return readl_poll_timeout(edu->regs + EDU_COMMAND, command,
				  !(command & EDU_START), USEC_PER_MSEC,
				  EDU_TIMEOUT);
}

static int edu_copy(struct mover *mover, dma_addr_t to, dma_addr_t from, size_t len)
{
	struct edu *edu = container_of(mover, struct edu, mover);
	int ret;

	ret = edu_transfer(edu, from, len, false);

	return ret ?: edu_transfer(edu, to, len, true);
}

static int edu_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct edu *edu;
	int ret;

	edu = devm_kzalloc(&pdev->dev, sizeof(*edu), GFP_KERNEL);
	if (!edu)
		return -ENOMEM;
	edu->mover.dev = &pdev->dev;
	edu->mover.copy = edu_copy;

	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;
	edu->regs = pcim_iomap(pdev, 0, 0);
	if (!edu->regs)
		return -ENOMEM;
	/* The mask that QEMU's option dma_mask sets */
	ret = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(32));
	if (ret)
		return ret;
	pci_set_master(pdev);
	pci_set_drvdata(pdev, edu);

	return mover_register(&edu->mover);
}

static void edu_remove(struct pci_dev *pdev)
{
	struct edu *edu = pci_get_drvdata(pdev);

	mover_unregister(&edu->mover);
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

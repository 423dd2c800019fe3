// SPDX-License-Identifier: GPL-2.0
/*
 * Devices of the test importer that really move bytes
 *
 * The kernel has a page for each device. To write, the device copies from that page. To
 * read, it copies to that page.
 */

#include <linux/dma-mapping.h>
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>

#include "heap_test_mover.h"

static struct mover *movers[MOVER_MAX];

/**
 * mover_register() - add a device to the importer
 * @mover: the device, with @dev and @copy set
 *
 * Return: 0, -ENOSPC if there are MOVER_MAX devices, or -ENOMEM
 */
int mover_register(struct mover *mover)
{
	int i;

	for (i = 0; i < MOVER_MAX && movers[i]; i++)
		;
	if (i == MOVER_MAX)
		return -ENOSPC;

	mutex_init(&mover->lock);
	mover->page = dma_alloc_coherent(mover->dev, PAGE_SIZE, &mover->addr,
					 GFP_KERNEL);
	if (!mover->page)
		return -ENOMEM;
	movers[i] = mover;

	return 0;
}

/**
 * mover_unregister() - undo mover_register()
 * @mover: the device, which is attached to no buffer
 */
void mover_unregister(struct mover *mover)
{
	int i;

	for (i = 0; i < MOVER_MAX; i++)
		if (movers[i] == mover)
			movers[i] = NULL;
	dma_free_coherent(mover->dev, PAGE_SIZE, mover->page, mover->addr);
}

struct device *mover_device(unsigned int index)
{
	return index < MOVER_MAX && movers[index] ? movers[index]->dev : NULL;
}

static struct mover *mover_of(struct device *dev)
{
	int i;

	for (i = 0; i < MOVER_MAX; i++)
		if (movers[i] && movers[i]->dev == dev)
			return movers[i];

	return NULL;
}

bool is_mover(struct device *dev)
{
	return mover_of(dev);
}

/*
 * Let the device write the pattern of @seed to @addr, or read from @addr to the
 * kernel's page. @good is set to the number of bytes that have the pattern.
 */
static int mover_part(struct mover *mover, dma_addr_t addr, size_t len, u64 offset,
		      u32 seed, bool write, size_t *good)
{
	u64 *word = mover->page;
	int ret;

	if (write) {
		for (*good = 0; *good < len; *good += sizeof(*word))
			*word++ = importer_pattern(offset + *good, seed);

		return mover->copy(mover, addr, mover->addr, len);
	}

	ret = mover->copy(mover, mover->addr, addr, len);
	for (*good = 0; *good < len; *good += sizeof(*word))
		if (*word++ != importer_pattern(offset + *good, seed))
			break;

	return ret;
}

/*
 * Let the device do what device_access() does for a device that cannot move bytes.
 * Returns the offset of the first unexpected word, -1 if there is none, or an error
 * code minus 1.
 */
long long mover_access(struct device *dev, struct sg_table *sgt, u64 offset,
		       u64 len, u32 seed, bool write)
{
	struct mover *mover = mover_of(dev);
	struct scatterlist *sg;
	u64 end = offset + len;
	u64 start = 0;
	int i, ret;

	for_each_sgtable_dma_sg(sgt, sg, i) {
		u64 to = min(end, start + sg_dma_len(sg));

		while (offset >= start && offset < to) {
			size_t part = min(to - offset, (u64)MOVER_TRANSFER);
			size_t good;

			mutex_lock(&mover->lock);
			ret = mover_part(mover,
					 sg_dma_address(sg) + offset - start,
					 part, offset, seed, write, &good);
			mutex_unlock(&mover->lock);
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

/* Let the device write the bytes it read last to a part of the first segment */
int mover_copy(struct device *dev, struct sg_table *sgt, u64 offset, u64 len)
{
	struct mover *mover = mover_of(dev);
	int ret;

	if (!mover)
		return -ENODEV;
	if (len > min_t(u64, MOVER_TRANSFER, sg_dma_len(sgt->sgl)) ||
	    offset > sg_dma_len(sgt->sgl) - len)
		return -EINVAL;

	mutex_lock(&mover->lock);
	ret = mover->copy(mover, sg_dma_address(sgt->sgl) + offset, mover->addr, len);
	mutex_unlock(&mover->lock);

	return ret;
}

/* Firmware marks the devices at external ports like this */
int mover_set_untrusted(struct device *dev, bool untrusted)
{
	if (!is_mover(dev) || !dev_is_pci(dev))
		return -ENODEV;

	to_pci_dev(dev)->untrusted = untrusted;

	return 0;
}

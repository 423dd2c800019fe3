/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the devices that really move bytes
 */
#ifndef _HEAP_TEST_MOVER_H
#define _HEAP_TEST_MOVER_H

#include <linux/mutex.h>
#include <linux/types.h>

#include "heap_test_importer.h"

/**
 * struct mover - a device
 * @dev: the device
 * @copy: lets the device copy @len bytes, at most MOVER_TRANSFER, between addresses
 *	that it sees; called with @lock held, may sleep. Returns 0 or an error code.
 * @page: the kernel's page for the device
 * @addr: address of @page as the device sees it
 * @lock: allows one transfer at a time
 */
struct mover {
	struct device *dev;
	int (*copy)(struct mover *mover, dma_addr_t to, dma_addr_t from, size_t len);
	void *page;
	dma_addr_t addr;
	struct mutex lock;	/* see above */
};

int mover_register(struct mover *mover);
void mover_unregister(struct mover *mover);

#endif /* _HEAP_TEST_MOVER_H */

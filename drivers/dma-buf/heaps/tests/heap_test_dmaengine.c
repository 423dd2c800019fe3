// SPDX-License-Identifier: GPL-2.0
/*
 * DMA engines that copy memory, as devices of the test importer
 */

#include <linux/dmaengine.h>
#include <linux/errno.h>

#include "heap_test_mover.h"

/**
 * struct engine - a channel
 * @mover: the channel as the importer knows it
 * @channel: the channel, NULL if there is none
 */
struct engine {
	struct mover mover;
	struct dma_chan *channel;
};

static struct engine engines[MOVER_MAX];

static int engine_copy(struct mover *mover, dma_addr_t to, dma_addr_t from,
		       size_t len)
{
	struct engine *engine = container_of(mover, struct engine, mover);
	struct dma_async_tx_descriptor *tx;
	dma_cookie_t cookie;

	tx = dmaengine_prep_dma_memcpy(engine->channel, to, from, len,
				       DMA_PREP_INTERRUPT | DMA_CTRL_ACK);
	if (!tx)
		return -ENOMEM;
	cookie = dmaengine_submit(tx);
	if (dma_submit_error(cookie))
		return cookie;

	if (dma_sync_wait(engine->channel, cookie) == DMA_COMPLETE)
		return 0;

	/* The engine must not write after the buffer is unmapped */
	dmaengine_terminate_sync(engine->channel);

	return -EIO;
}

/* Each channel must belong to a different device */
static bool engine_is_new(struct dma_chan *channel, void *unused)
{
	return !is_mover(channel->device->dev);
}

/* Register at most MOVER_MAX engines. The machine may have none */
void engines_register(void)
{
	dma_cap_mask_t mask;
	int i;

	dma_cap_zero(mask);
	dma_cap_set(DMA_MEMCPY, mask);
	for (i = 0; i < MOVER_MAX; i++) {
		struct dma_chan *channel;

		channel = dma_request_channel(mask, engine_is_new, NULL);
		if (!channel)
			return;
		engines[i].mover.dev = channel->device->dev;
		engines[i].mover.copy = engine_copy;
		if (mover_register(&engines[i].mover)) {
			dma_release_channel(channel);
			return;
		}
		engines[i].channel = channel;
	}
}

void engines_unregister(void)
{
	int i;

	for (i = 0; i < MOVER_MAX; i++) {
		if (!engines[i].channel)
			continue;
		mover_unregister(&engines[i].mover);
		dma_release_channel(engines[i].channel);
		engines[i].channel = NULL;
	}
}

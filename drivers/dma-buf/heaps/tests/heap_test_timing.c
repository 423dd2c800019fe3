// SPDX-License-Identifier: GPL-2.0
/*
 * The test importer measures the costs of sharing a buffer
 */

#include <linux/align.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/sizes.h>
#include <linux/slab.h>

/* Defines DMA_BUF_IOCTL_SYNC_PARTIAL if this kernel can sync a part of a buffer */
#include <uapi/linux/dma-buf.h>

#include "heap_test_importer.h"

#define MAX_IMPORTERS	8

enum timed_phase { ATTACH, MAP, SYNC, PARTIAL, UNMAP, DETACH, PHASES };

static const char * const phase_names[PHASES] = {
	"attach", "map", "sync", "partial", "unmap", "detach"
};

/**
 * struct timing - a measurement of the costs of sharing a buffer
 * @buf: the buffer
 * @importers: number of devices
 * @bytes: count bytes instead of ns
 * @start: ns or bytes at the start of the current phase
 * @taken: ns or bytes of each phase
 * @device: the devices
 * @attachment: attachments of the devices
 * @sgt: mappings of the attachments
 */
struct timing {
	struct dma_buf *buf;
	unsigned int importers;
	bool bytes;
	u64 start;
	u64 taken[PHASES];
	struct platform_device *device[MAX_IMPORTERS];
	struct dma_buf_attachment *attachment[MAX_IMPORTERS];
	struct sg_table *sgt[MAX_IMPORTERS];
};

static u64 timing_now(struct timing *t)
{
	return t->bytes ? importer_maintained() : ktime_get_ns();
}

static void phase_begins(struct timing *t)
{
	t->start = timing_now(t);
}

static void phase_ends(struct timing *t, enum timed_phase phase)
{
	t->taken[phase] = timing_now(t) - t->start;
}

static int timed_attach(struct timing *t)
{
	unsigned int i;
	int ret;

	phase_begins(t);
	for (i = 0; i < t->importers; i++) {
		t->attachment[i] = dma_buf_attach(t->buf, &t->device[i]->dev);
		if (IS_ERR(t->attachment[i])) {
			ret = PTR_ERR(t->attachment[i]);
			goto undo;
		}
	}
	phase_ends(t, ATTACH);

	return 0;

undo:
	while (i--)
		dma_buf_detach(t->buf, t->attachment[i]);
	return ret;
}

static void timed_detach(struct timing *t)
{
	unsigned int i;

	phase_begins(t);
	for (i = 0; i < t->importers; i++)
		dma_buf_detach(t->buf, t->attachment[i]);
	phase_ends(t, DETACH);
}

static void timed_unmap(struct timing *t, unsigned int number)
{
	unsigned int i;

	phase_begins(t);
	for (i = 0; i < number; i++)
		dma_buf_unmap_attachment_unlocked(t->attachment[i], t->sgt[i],
						  DMA_BIDIRECTIONAL);
	phase_ends(t, UNMAP);
}

static int timed_map(struct timing *t)
{
	unsigned int i;
	int ret;

	phase_begins(t);
	for (i = 0; i < t->importers; i++) {
		t->sgt[i] = dma_buf_map_attachment_unlocked(t->attachment[i],
							    DMA_BIDIRECTIONAL);
		if (IS_ERR(t->sgt[i])) {
			ret = PTR_ERR(t->sgt[i]);
			timed_unmap(t, i);
			return ret;
		}
	}
	phase_ends(t, MAP);

	return 0;
}

static int timed_sync(struct timing *t)
{
	int ret;

	phase_begins(t);
	ret = dma_buf_begin_cpu_access(t->buf, DMA_BIDIRECTIONAL);
	if (!ret)
		ret = dma_buf_end_cpu_access(t->buf, DMA_BIDIRECTIONAL);
	phase_ends(t, SYNC);

	return ret;
}

/* In the middle. A kernel that cannot sync parts must sync all of the buffer */
static int timed_partial(struct timing *t)
{
#ifdef DMA_BUF_IOCTL_SYNC_PARTIAL
	u64 offset = ALIGN_DOWN(t->buf->size / 2, PAGE_SIZE);
	int ret;

	phase_begins(t);
	ret = dma_buf_begin_cpu_access_partial(t->buf, DMA_BIDIRECTIONAL,
					       offset, SZ_4K);
	if (!ret)
		ret = dma_buf_end_cpu_access_partial(t->buf, DMA_BIDIRECTIONAL,
						     offset, SZ_4K);
	phase_ends(t, PARTIAL);

	return ret;
#else
	int ret = timed_sync(t);

	t->taken[PARTIAL] = t->taken[SYNC];

	return ret;
#endif
}

static int timed_phases(struct timing *t)
{
	int ret;

	ret = timed_attach(t);
	if (ret)
		return ret;

	ret = timed_map(t);
	if (!ret) {
		ret = timed_sync(t) ?: timed_partial(t);
		timed_unmap(t, t->importers);
	}
	timed_detach(t);

	return ret;
}

static void remove_importers(struct timing *t)
{
	while (t->importers--)
		platform_device_unregister(t->device[t->importers]);
}

static int add_importers(struct timing *t, unsigned int number, bool coherent)
{
	struct platform_device_info info = {
		.name = NAME,
		.dma_mask = DMA_BIT_MASK(64),
	};
	struct platform_device *device;

	for (; t->importers < number; t->importers++) {
		/* Above the ids of the importer's other devices */
		info.id = 100 + t->importers;
		device = platform_device_register_full(&info);
		if (IS_ERR(device)) {
			remove_importers(t);
			return PTR_ERR(device);
		}

		t->device[t->importers] = device;
		dma_set_max_seg_size(&device->dev, UINT_MAX);
#ifdef CONFIG_ARCH_HAS_SYNC_DMA_FOR_DEVICE
		device->dev.dma_coherent = coherent;
#endif
		/* dma_set_mask() also notes whether the device needs syncs */
		dma_set_mask(&device->dev, DMA_BIT_MASK(64));
	}

	return 0;
}

static int tell_timing(struct answer *answer, struct timing *t)
{
	int i, ret;

	ret = answer_alloc(answer, PHASES);
	if (ret)
		return ret;

	for (i = 0; i < PHASES; i++)
		answer_add(answer, "%s %llu\n", phase_names[i], t->taken[i]);

	return 0;
}

/* Arguments: descriptor, number of devices, coherent devices?, bytes instead of ns? */
int importer_time(struct importer_session *session, const u64 *args)
{
	unsigned int importers = args[1];
	struct timing *t;
	int ret;

	if (!importers || importers > MAX_IMPORTERS)
		return -EINVAL;
	if (args[3] && importer_maintained() < 0)
		return -EOPNOTSUPP;

	t = kzalloc(sizeof(*t), GFP_KERNEL);
	if (!t)
		return -ENOMEM;

	t->bytes = args[3];
	t->buf = dma_buf_get(args[0]);
	if (IS_ERR(t->buf)) {
		ret = PTR_ERR(t->buf);
		goto out_free;
	}

	ret = add_importers(t, importers, args[2]);
	if (!ret) {
		ret = timed_phases(t) ?: tell_timing(&session->answer, t);
		remove_importers(t);
	}
	dma_buf_put(t->buf);
out_free:
	kfree(t);
	return ret;
}

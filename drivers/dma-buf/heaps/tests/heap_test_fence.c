// SPDX-License-Identifier: GPL-2.0
/*
 * A device of the test importer that is at work when a task looks at the buffer
 *
 * The device announces its write with a fence. It writes when a task waits for the
 * fence, not before. A task that does not wait first sees the old contents.
 */

#include <linux/container_of.h>
#include <linux/dma-buf.h>
#include <linux/dma-fence.h>
#include <linux/dma-resv.h>
#include <linux/errno.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "heap_test_importer.h"

/**
 * struct late_write - a write of a device that starts when a task waits for it
 * @fence: signals at the end of the write; the first member, because
 *	   dma_fence_free() frees its address
 * @lock: lock of @fence
 * @work: the write
 * @session: session of the device
 * @args: arguments of importer_dwrite()
 */
struct late_write {
	struct dma_fence fence;
	spinlock_t lock;	/* see above */
	struct work_struct work;
	struct importer_session *session;
	u64 args[3];
};

static void late_write_work(struct work_struct *work)
{
	struct late_write *late = container_of(work, struct late_write, work);
	int ret = importer_dwrite(late->session, late->args);

	if (ret)
		dma_fence_set_error(&late->fence, ret);
	dma_fence_signal(&late->fence);
	dma_fence_put(&late->fence);
}

static const char *late_write_name(struct dma_fence *fence)
{
	return NAME;
}

/* The work has its own reference */
static bool late_write_enable_signaling(struct dma_fence *fence)
{
	struct late_write *late = container_of(fence, struct late_write, fence);

	dma_fence_get(fence);
	queue_work(system_unbound_wq, &late->work);

	return true;
}

static const struct dma_fence_ops late_write_ops = {
	.get_driver_name = late_write_name,
	.get_timeline_name = late_write_name,
	.enable_signaling = late_write_enable_signaling,
};

static int late_write_announce(struct late_write *late)
{
	struct dma_resv *resv = late->session->buf->resv;
	int ret;

	dma_resv_lock(resv, NULL);
	ret = dma_resv_reserve_fences(resv, 1);
	if (!ret)
		dma_resv_add_fence(resv, &late->fence, DMA_RESV_USAGE_WRITE);
	dma_resv_unlock(resv);

	return ret;
}

int importer_dlater(struct importer_session *session, const u64 *args)
{
	struct late_write *late;
	int ret;

	if (!session->sgt)
		return -EINVAL;
	if (session->late)
		return -EBUSY;

	late = kzalloc(sizeof(*late), GFP_KERNEL);
	if (!late)
		return -ENOMEM;

	late->session = session;
	memcpy(late->args, args, sizeof(late->args));
	spin_lock_init(&late->lock);
	INIT_WORK(&late->work, late_write_work);
	dma_fence_init(&late->fence, &late_write_ops, &late->lock,
		       dma_fence_context_alloc(1), 1);

	ret = late_write_announce(late);
	if (ret)
		dma_fence_put(&late->fence);
	else
		session->late = &late->fence;

	return ret;
}

/* The wait here also starts a write that no other task has waited for */
void importer_end_late_write(struct importer_session *session)
{
	struct late_write *late;

	if (!session->late)
		return;

	late = container_of(session->late, struct late_write, fence);
	dma_fence_wait(session->late, false);
	flush_work(&late->work);
	dma_fence_put(session->late);
	session->late = NULL;
}

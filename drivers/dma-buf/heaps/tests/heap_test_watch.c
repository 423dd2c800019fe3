// SPDX-License-Identifier: GPL-2.0
/*
 * The test importer counts calls for cache maintenance
 */

#include <linux/atomic.h>
#include <linux/dma-buf.h>
#include <linux/dma-direction.h>
#include <linux/err.h>
#include <linux/kprobes.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "heap_test_importer.h"

struct count {
	unsigned int calls;
	size_t bytes;
	size_t first;
	size_t end;
};

/* A chunk of the watched buffer */
struct watched {
	phys_addr_t start;
	size_t len;
};

static struct {
	raw_spinlock_t lock;
	struct watched *ranges;
	unsigned int nr;
	struct count clean;
	struct count drop;
} watch = {
	.lock = __RAW_SPIN_LOCK_UNLOCKED(watch.lock),
};

/* Bytes of all cache maintenance, of any buffer */
static atomic64_t maintained;

static void count_reset(void)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&watch.lock, flags);
	watch.clean = (struct count) { };
	watch.drop = (struct count) { };
	raw_spin_unlock_irqrestore(&watch.lock, flags);
}

/* NULL stops the watch */
static void watch_ranges(struct watched *ranges, unsigned int nr)
{
	struct watched *old;
	unsigned long flags;

	raw_spin_lock_irqsave(&watch.lock, flags);
	old = watch.ranges;
	watch.ranges = ranges;
	watch.nr = nr;
	raw_spin_unlock_irqrestore(&watch.lock, flags);
	kvfree(old);
	count_reset();
}

#if defined(CONFIG_KPROBES) && defined(CONFIG_64BIT) && \
	defined(CONFIG_HAVE_FUNCTION_ARG_ACCESS_API) && \
	defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_DEVICE) && \
	defined(CONFIG_ARCH_HAS_SYNC_DMA_FOR_CPU)

static void count_part(struct count *count, size_t offset, size_t len)
{
	count->first = count->bytes ? min(count->first, offset) : offset;
	count->end = max(count->end, offset + len);
	count->bytes += len;
}

static void count_call(struct count *count, phys_addr_t start, size_t size)
{
	size_t offset = 0, before = count->bytes;
	phys_addr_t end = start + size;
	unsigned int i;

	for (i = 0; i < watch.nr; i++) {
		struct watched *range = &watch.ranges[i];
		phys_addr_t from = max(start, range->start);
		phys_addr_t to = min(end, range->start + range->len);

		if (from < to)
			count_part(count, offset + from - range->start,
				   to - from);
		offset += range->len;
	}
	if (count->bytes != before)
		count->calls++;
}

static void on_sync(struct count *count, struct pt_regs *regs)
{
	size_t size = regs_get_kernel_argument(regs, 1);
	unsigned long flags;

	atomic64_add(size, &maintained);
	raw_spin_lock_irqsave(&watch.lock, flags);
	count_call(count, regs_get_kernel_argument(regs, 0), size);
	raw_spin_unlock_irqrestore(&watch.lock, flags);
}

static int on_sync_for_device(struct kprobe *probe, struct pt_regs *regs)
{
	on_sync(&watch.clean, regs);

	return 0;
}

static int on_sync_for_cpu(struct kprobe *probe, struct pt_regs *regs)
{
	/* arch_sync_dma_for_cpu() does nothing after a device that only read */
	if (regs_get_kernel_argument(regs, 2) != DMA_TO_DEVICE)
		on_sync(&watch.drop, regs);

	return 0;
}

static struct kprobe sync_for_device = {
	.symbol_name = "arch_sync_dma_for_device",
	.pre_handler = on_sync_for_device,
};

static struct kprobe sync_for_cpu = {
	.symbol_name = "arch_sync_dma_for_cpu",
	.pre_handler = on_sync_for_cpu,
};

static struct kprobe *probes[] = { &sync_for_device, &sync_for_cpu };
static bool counting;

void importer_start_counting(void)
{
	counting = !register_kprobes(probes, ARRAY_SIZE(probes));
}

void importer_stop_counting(void)
{
	if (counting)
		unregister_kprobes(probes, ARRAY_SIZE(probes));
	watch_ranges(NULL, 0);
}

#else

static const bool counting;

void importer_start_counting(void) { }
void importer_stop_counting(void) { }

#endif

/* Bytes maintained since the start, or an error if the kernel cannot count them */
s64 importer_maintained(void)
{
	return counting ? atomic64_read(&maintained) : -EOPNOTSUPP;
}

static int watch_table(const struct sg_table *sgt)
{
	struct watched *ranges;
	struct scatterlist *sg;
	int i;

	ranges = kvcalloc(sgt->orig_nents, sizeof(*ranges), GFP_KERNEL);
	if (!ranges)
		return -ENOMEM;

	for_each_sgtable_sg(sgt, sg, i) {
		ranges[i].start = sg_phys(sg);
		ranges[i].len = sg->length;
	}
	watch_ranges(ranges, sgt->orig_nents);

	return 0;
}

/* Learn the chunks from a mapping for a coherent device that only reads */
static int watch_buffer(struct dma_buf *buf, struct device *dev)
{
	struct dma_buf_attachment *attachment;
	struct sg_table *sgt;
	int ret;

	attachment = dma_buf_attach(buf, dev);
	if (IS_ERR(attachment))
		return PTR_ERR(attachment);

	sgt = dma_buf_map_attachment_unlocked(attachment, DMA_TO_DEVICE);
	ret = PTR_ERR_OR_ZERO(sgt);
	if (!ret) {
		ret = watch_table(sgt);
		dma_buf_unmap_attachment_unlocked(attachment, sgt,
						  DMA_TO_DEVICE);
	}
	dma_buf_detach(buf, attachment);

	return ret;
}

int importer_watch(struct importer_session *session, const u64 *args)
{
	struct device *dev = importer_device(DEVICE_COHERENT);
	struct dma_buf *buf;
	int ret;

	if (!counting || !dev)
		return -EOPNOTSUPP;

	buf = dma_buf_get(args[0]);
	if (IS_ERR(buf))
		return PTR_ERR(buf);

	ret = watch_buffer(buf, dev);
	dma_buf_put(buf);

	return ret;
}

static void tell_count(struct answer *answer, const char *name,
		       const struct count *count)
{
	answer_add(answer, "%s %u %zu %zu %zu\n", name, count->calls,
		   count->bytes, count->first, count->end);
}

int importer_count(struct importer_session *session, const u64 *args)
{
	count_reset();

	return counting ? 0 : -EOPNOTSUPP;
}

int importer_counted(struct importer_session *session, const u64 *args)
{
	struct count clean, drop;
	unsigned long flags;
	int ret;

	if (!counting)
		return -EOPNOTSUPP;

	ret = answer_alloc(&session->answer, 4);
	if (ret)
		return ret;

	raw_spin_lock_irqsave(&watch.lock, flags);
	clean = watch.clean;
	drop = watch.drop;
	raw_spin_unlock_irqrestore(&watch.lock, flags);
	tell_count(&session->answer, "clean", &clean);
	tell_count(&session->answer, "drop", &drop);

	return 0;
}

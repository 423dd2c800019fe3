// SPDX-License-Identifier: GPL-2.0
/*
 * A buffer that the test importer holds, and what a device does with it
 */

#include <linux/align.h>
#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/io.h>
#include <linux/iommu-dma.h>
#include <linux/iommu.h>
#include <linux/ioport.h>
#include <linux/iosys-map.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>

#include "heap_test_importer.h"

int importer_unmap(struct importer_session *session, const u64 *args)
{
	if (!session->sgt)
		return -EINVAL;

	importer_end_late_write(session);
	dma_buf_unmap_attachment_unlocked(session->attachment, session->sgt,
					  session->dir);
	session->sgt = NULL;

	return 0;
}

int importer_release_map(struct importer_session *session, const u64 *args)
{
	if (iosys_map_is_null(&session->map))
		return -EINVAL;

	dma_buf_vunmap_unlocked(session->buf, &session->map);
	iosys_map_clear(&session->map);

	return 0;
}

int importer_hold(struct importer_session *session, const u64 *args)
{
	if (!session->buf)
		return -EINVAL;
	if (!iosys_map_is_null(&session->map))
		return -EBUSY;

	return dma_buf_vmap_unlocked(session->buf, &session->map);
}

int importer_drop(struct importer_session *session, const u64 *args)
{
	if (!session->buf)
		return -EINVAL;

	if (session->sgt)
		importer_unmap(session, NULL);
	importer_release_map(session, NULL);
	dma_buf_detach(session->buf, session->attachment);
	dma_buf_put(session->buf);
	session->buf = NULL;

	return 0;
}

static int session_attach(struct importer_session *session, const u64 *args,
			  const struct dma_buf_attach_ops *ops)
{
	struct device *dev = importer_device(args[1]);
	struct dma_buf_attachment *attachment;
	struct dma_buf *buf;

	if (session->buf)
		return -EBUSY;
	if (!dev)
		return -ENODEV;

	buf = dma_buf_get(args[0]);
	if (IS_ERR(buf))
		return PTR_ERR(buf);

	attachment = dma_buf_dynamic_attach(buf, dev, ops, NULL);
	if (IS_ERR(attachment)) {
		dma_buf_put(buf);
		return PTR_ERR(attachment);
	}
	session->buf = buf;
	session->attachment = attachment;

	return 0;
}

int importer_import(struct importer_session *session, const u64 *args)
{
	return session_attach(session, args, NULL);
}

/* Never called: no heap moves a buffer */
static void peer_move_notify(struct dma_buf_attachment *attachment)
{
	WARN_ON(1);
}

static const struct dma_buf_attach_ops peer_ops = {
	.allow_peer2peer = true,
	.move_notify = peer_move_notify,
};

int importer_peer(struct importer_session *session, const u64 *args)
{
	return session_attach(session, args, &peer_ops);
}

/* The physical address behind a device's address: in the buffer, or in a copy */
static phys_addr_t device_sees(struct device *dev, struct scatterlist *sg)
{
	dma_addr_t addr = sg_dma_address(sg);

	return use_dma_iommu(dev) ?
	       iommu_iova_to_phys(iommu_get_domain_for_dev(dev), addr) :
	       dma_to_phys(dev, addr);
}

/* Search all chunks: an IOMMU makes one segment of many chunks */
static bool is_in_buffer(struct importer_session *session, phys_addr_t phys)
{
	struct scatterlist *sg;
	int i;

	for_each_sgtable_sg(session->sgt, sg, i)
		if (phys >= sg_phys(sg) && phys - sg_phys(sg) < sg->length)
			return true;

	return false;
}

static bool device_bounces(struct importer_session *session)
{
	struct device *dev = session->attachment->dev;
	struct scatterlist *sg;
	int i;

	/* Memory without pages cannot be copied */
	if (!sg_page(session->sgt->sgl))
		return false;

	for_each_sgtable_dma_sg(session->sgt, sg, i)
		if (!is_in_buffer(session, device_sees(dev, sg)))
			return true;

	return false;
}

int importer_map(struct importer_session *session, const u64 *args)
{
	struct answer *answer = &session->answer;
	struct sg_table *sgt;
	int ret;

	if (!session->buf)
		return -EINVAL;
	if (session->sgt)
		return -EBUSY;

	ret = answer_alloc(answer, 2);
	if (ret)
		return ret;

	sgt = dma_buf_map_attachment_unlocked(session->attachment, args[0]);
	if (IS_ERR(sgt))
		return PTR_ERR(sgt);

	session->sgt = sgt;
	session->dir = args[0];
	answer_add(answer, "bounces %d\n", device_bounces(session));
	answer_add(answer, "coherent %d\n",
		   dev_is_dma_coherent(session->attachment->dev));

	return 0;
}

/*
 * Map a page that the device sees. The kernel may have no mapping of the page. The
 * caches of an emulator are coherent, so a cached mapping will do.
 */
static void *device_page(phys_addr_t phys, bool *is_ram)
{
	*is_ram = region_intersects(phys, PAGE_SIZE, IORESOURCE_SYSTEM_RAM,
				    IORES_DESC_NONE) == REGION_INTERSECTS;

	return *is_ram ? kmap_local_page(pfn_to_page(PHYS_PFN(phys))) :
			 memremap(phys, PAGE_SIZE, MEMREMAP_WB);
}

static void device_put_page(void *page, bool is_ram)
{
	if (is_ram)
		kunmap_local(page);
	else
		memunmap(page);
}

/* Write or check words. Returns how many are written, or as expected */
static size_t device_words(u64 *word, size_t count, u64 offset, u32 seed,
			   bool write)
{
	size_t i;

	for (i = 0; i < count; i++) {
		u64 value = importer_pattern(offset + i * sizeof(*word), seed);

		if (write)
			WRITE_ONCE(word[i], value);
		else if (READ_ONCE(word[i]) != value)
			break;
	}

	return i;
}

/* Let the device access a part of one page. Returns how many bytes went well */
static size_t device_part(phys_addr_t phys, size_t len, u64 offset, u32 seed,
			  bool write)
{
	size_t good = 0;
	bool is_ram;
	void *page;

	page = device_page(ALIGN_DOWN(phys, PAGE_SIZE), &is_ram);
	if (page) {
		good = device_words(page + offset_in_page(phys),
				    len / sizeof(u64), offset, seed, write);
		device_put_page(page, is_ram);
	}

	return good * sizeof(u64);
}

/*
 * Returns the offset of the first unexpected word, -1 if there is none, or what
 * mover_access() returned.
 */
static long long device_access(struct importer_session *session, const u64 *args,
			       bool write)
{
	struct device *dev = session->attachment->dev;
	u64 end = args[0] + args[1];
	struct scatterlist *sg;
	u64 start = 0;
	int i;

	if (is_mover(dev))
		return mover_access(dev, session->sgt, args[0], args[1], args[2],
				    write);

	for_each_sgtable_dma_sg(session->sgt, sg, i) {
		u64 from = max(args[0], start);
		u64 to = min(end, start + sg_dma_len(sg));

		while (from < to) {
			phys_addr_t phys = device_sees(dev, sg) + from - start;
			size_t len = min(to - from,
					 PAGE_SIZE - offset_in_page(phys));
			size_t good = device_part(phys, len, from, args[2],
						  write);

			from += good;
			if (good < len)
				return from;
		}
		start += sg_dma_len(sg);
	}

	return -1;
}

static int check_device_access(struct importer_session *session, const u64 *args)
{
	u64 offset = args[0], len = args[1];

	if (!session->sgt || len > session->buf->size ||
	    offset > session->buf->size - len || (offset | len) % sizeof(u64))
		return -EINVAL;

	return 0;
}

int importer_dwrite(struct importer_session *session, const u64 *args)
{
	int ret = check_device_access(session, args);
	long long wrong;

	if (ret)
		return ret;

	wrong = device_access(session, args, true);

	return wrong < -1 ? wrong + 1 : 0;
}

int importer_dread(struct importer_session *session, const u64 *args)
{
	int ret = check_device_access(session, args);

	if (!ret)
		ret = answer_alloc(&session->answer, 1);
	if (!ret)
		answer_add(&session->answer, "offset %lld\n",
			   device_access(session, args, false));

	return ret;
}

int importer_dcopy(struct importer_session *session, const u64 *args)
{
	if (!session->sgt)
		return -EINVAL;

	return mover_copy(session->attachment->dev, session->sgt, args[0], args[1]);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The test importer looks at a buffer and at a mapping of its caller: pages, contents,
 * attributes
 */

#include <linux/bitfield.h>
#include <linux/compiler.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/iosys-map.h>
#include <linux/irqflags.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "heap_test_importer.h"

static int tell_chunks(struct answer *answer, struct sg_table *sgt)
{
	struct scatterlist *sg;
	int i, ret;

	ret = answer_alloc(answer, sgt->orig_nents + sgt->nents);
	if (ret)
		return ret;

	for_each_sgtable_sg(sgt, sg, i)
		answer_add(answer, "page %lu %d %u\n",
			   page_to_pfn(sg_page(sg)), page_to_nid(sg_page(sg)),
			   sg->length >> PAGE_SHIFT);
	for_each_sgtable_dma_sg(sgt, sg, i)
		answer_add(answer, "dma %llu %u\n",
			   (u64)sg_dma_address(sg), sg_dma_len(sg));

	return 0;
}

static int do_chunks(struct answer *answer, struct dma_buf *buf, u64 id)
{
	struct dma_buf_attachment *attachment;
	struct device *dev = importer_device(id);
	struct sg_table *sgt;
	int ret;

	if (!dev)
		return -ENODEV;

	attachment = dma_buf_attach(buf, dev);
	if (IS_ERR(attachment))
		return PTR_ERR(attachment);

	sgt = dma_buf_map_attachment_unlocked(attachment, DMA_BIDIRECTIONAL);
	if (IS_ERR(sgt)) {
		ret = PTR_ERR(sgt);
		goto out_detach;
	}

	ret = tell_chunks(answer, sgt);
	dma_buf_unmap_attachment_unlocked(attachment, sgt, DMA_BIDIRECTIONAL);
out_detach:
	dma_buf_detach(buf, attachment);
	return ret;
}

/* MAIR encoding of the attributes, or an error */
#ifdef CONFIG_ARM64
static int memory_attributes(const void *p)
{
	unsigned long flags;
	u64 par;

	local_irq_save(flags);
	asm volatile("at s1e1r, %0" : : "r" (p) : "memory");
	isb();
	par = read_sysreg_par();
	local_irq_restore(flags);

	return par & SYS_PAR_EL1_F ? -EFAULT : FIELD_GET(GENMASK_ULL(63, 56), par);
}
#else
static int memory_attributes(const void *p)
{
	return -EOPNOTSUPP;
}
#endif

/* Two programs may fill and check one buffer at the same time */
static void do_fill(u64 *word, size_t size, u32 seed)
{
	size_t i;

	for (i = 0; i < size / sizeof(*word); i++)
		WRITE_ONCE(word[i], importer_pattern(i * sizeof(*word), seed));
}

static long long do_check(const u64 *word, size_t size, u32 seed)
{
	size_t i;

	for (i = 0; i < size / sizeof(*word); i++)
		if (READ_ONCE(word[i]) !=
		    importer_pattern(i * sizeof(*word), seed))
			return i * sizeof(*word);

	return -1;
}

static int do_mapped(struct answer *answer, const char *verb, void *p,
		     size_t size, u64 seed)
{
	int ret;

	ret = answer_alloc(answer, 1);
	if (ret)
		return ret;

	if (!strcmp(verb, "fill")) {
		do_fill(p, size, seed);
	} else if (!strcmp(verb, "check")) {
		answer_add(answer, "offset %lld\n", do_check(p, size, seed));
	} else {
		ret = memory_attributes(p);
		if (ret >= 0)
			answer_add(answer, "attributes %d\n", ret);
	}

	return min(ret, 0);
}

/* Run a command on a kernel mapping */
static int do_vmap(struct answer *answer, const char *verb, struct dma_buf *buf,
		   u64 seed)
{
	struct iosys_map map;
	int ret;

	ret = dma_buf_begin_cpu_access(buf, DMA_BIDIRECTIONAL);
	if (ret)
		return ret;

	ret = dma_buf_vmap_unlocked(buf, &map);
	if (!ret) {
		ret = do_mapped(answer, verb, map.vaddr, buf->size, seed);
		dma_buf_vunmap_unlocked(buf, &map);
	}
	dma_buf_end_cpu_access(buf, DMA_BIDIRECTIONAL);

	return ret;
}

static int tell_user_page(struct answer *answer, unsigned long address)
{
	struct follow_pfnmap_args args = {
		.vma = vma_lookup(current->mm, address),
		.address = address,
	};
	pgprot_t wc;
	int ret;

	ret = args.vma ? follow_pfnmap_start(&args) : -EFAULT;
	if (ret)
		return ret;

	wc = pgprot_writecombine(args.pgprot);
	/* args.ptep is NULL for a PMD mapping */
	answer_add(answer, "%lu %d %d %d\n", args.pfn,
		   pgprot_val(wc) == pgprot_val(args.pgprot), !args.ptep,
		   args.writable);
	follow_pfnmap_end(&args);

	return 0;
}

#define MAX_USER_PAGES	4096

static int do_user(struct answer *answer, unsigned long address, u64 pages)
{
	int ret;

	if (pages > MAX_USER_PAGES)
		return -E2BIG;
	ret = answer_alloc(answer, pages);
	if (ret)
		return ret;

	mmap_read_lock(current->mm);
	for (; pages && !ret; pages--, address += PAGE_SIZE)
		ret = tell_user_page(answer, address);
	mmap_read_unlock(current->mm);

	return ret;
}

int importer_user(struct importer_session *session, const u64 *args)
{
	return do_user(&session->answer, args[0], args[1]);
}

int importer_chunks(struct importer_session *session, const u64 *args)
{
	struct dma_buf *buf = dma_buf_get(args[0]);
	int ret;

	if (IS_ERR(buf))
		return PTR_ERR(buf);

	ret = do_chunks(&session->answer, buf, args[1]);
	dma_buf_put(buf);

	return ret;
}

static int run_vmap(struct importer_session *session, const char *verb,
		    const u64 *args)
{
	struct dma_buf *buf = dma_buf_get(args[0]);
	int ret;

	if (IS_ERR(buf))
		return PTR_ERR(buf);

	ret = do_vmap(&session->answer, verb, buf, args[1]);
	dma_buf_put(buf);

	return ret;
}

int importer_attributes(struct importer_session *session, const u64 *args)
{
	return run_vmap(session, "vmap", args);
}

int importer_fill(struct importer_session *session, const u64 *args)
{
	return run_vmap(session, "fill", args);
}

int importer_check(struct importer_session *session, const u64 *args)
{
	return run_vmap(session, "check", args);
}

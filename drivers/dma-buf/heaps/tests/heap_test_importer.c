// SPDX-License-Identifier: GPL-2.0
/*
 * An importer for the selftests of the DMA-BUF heaps
 *
 * User space can see neither the pages of a buffer nor how they are mapped. To
 * learn that it writes one of these to dma_heap_test_importer in debugfs and
 * reads the answer from the same open file:
 *
 * "chunks FD DEVICE": map the buffer for the device; a line "page PFN NODE PAGES"
 *	for each chunk of memory, then a line "dma ADDRESS LENGTH" for each
 *	segment the device sees
 * "vmap FD": "attributes N", the memory attributes of a kernel mapping as the
 *	CPU sees them, on arm64
 * "fill FD SEED": the pattern of pattern_fill(), through a kernel mapping
 * "check FD SEED": "offset N" of the first word that is not of that pattern
 * "user ADDRESS PAGES": a line "PFN WRITECOMBINED BLOCK WRITABLE" for each page of a
 *	mapping of the caller, the last three 0 or 1; a block is what maps more than
 *	a page. At most 4096 pages.
 *
 * DEVICE is 64 or 32, which is the bits in the DMA mask of a device that is not
 * coherent, where there are such; 1, which is coherent; or 2, which works on
 * copies of all it maps, of 256 KiB each, where the kernel can make any.
 *
 * An open file can hold one buffer, so that a program can do something else in
 * between. All of it ends when the file is closed:
 *
 * "import FD DEVICE": attach the device to the buffer
 * "map DIR": map it, with the value of enum dma_data_direction; "bounces N" and
 *	"coherent N"
 * "dwrite OFFSET LEN SEED": let the device write the pattern of fill
 * "dread OFFSET LEN SEED": "offset N" of the first word the device sees that is
 *	not of that pattern
 * "hold", "release": have the kernel map it, and undo that
 * "unmap", "drop": undo what map and import did
 *
 * Calls for the maintenance of caches can be counted in one buffer, whoever it is
 * that makes them:
 *
 * "watch FD": the buffer from now on. Coherent devices are shown what others have
 *	written; that is for a new buffer to be nothing
 * "count": from zero again
 * "counted": "clean CALLS BYTES FIRST END" and "drop CALLS BYTES FIRST END": how
 *	often caches were written back and invalidated, and the range that
 *	covers it all
 *
 * What it costs to share a buffer can be measured, see heap_test_timing.c:
 *
 * "time FD IMPORTERS COHERENT BYTES": let so many devices, 1 to 8, attach, map,
 *	be there while the CPU accesses all of the buffer, then 4 KiB of it, unmap
 *	and detach; a line "PHASE N" for each, with the ns it took all of them or,
 *	if BYTES is 1, the bytes for which caches were maintained, on arm64. The
 *	devices are not coherent unless COHERENT is 1.
 *
 * And the heaps' own interface for drivers can be used, see heap_test_kalloc.c:
 *
 * "kalloc HEAP BYTES": allocate a buffer, look through a kernel mapping whether
 *	all of it is zero (EIO if not), dirty it and free it; ENOENT if there is
 *	no such heap
 */

#include <linux/align.h>
#include <linux/bitfield.h>
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/iosys-map.h>
#include <linux/irqflags.h>
#include <linux/kprobes.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pgtable.h>
#include <linux/platform_device.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/swiotlb.h>
#include <linux/uaccess.h>

#include "heap_test_importer.h"

/**
 * struct session - an open file
 * @answer: what there is to read
 * @buf: buffer it holds, or NULL
 * @attachment: of the device to the buffer
 * @sgt: the mapping, or NULL
 * @dir: of the mapping
 * @map: the kernel's mapping, if there is one
 */
struct session {
	struct answer answer;
	struct dma_buf *buf;
	struct dma_buf_attachment *attachment;
	struct sg_table *sgt;
	enum dma_data_direction dir;
	struct iosys_map map;
};

/* Those below 32 have masks of 64 bits */
#define DEVICE_COHERENT	1
#define DEVICE_BOUNCES	2

static const unsigned int device_ids[] = {
	64, 32, DEVICE_COHERENT, DEVICE_BOUNCES,
};

static struct platform_device *devices[ARRAY_SIZE(device_ids)];
static struct dentry *debugfs_file;

/* Room for an answer */
int answer_alloc(struct answer *answer, unsigned int lines)
{
	answer->size = (size_t)lines * LINE_SIZE;
	answer->text = kvmalloc(answer->size, GFP_KERNEL);

	return answer->text ? 0 : -ENOMEM;
}

static void answer_free(struct answer *answer)
{
	kvfree(answer->text);
	answer->text = NULL;
	answer->len = 0;
}

/* Append a part of a line */
void answer_add(struct answer *answer, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	answer->len += vscnprintf(answer->text + answer->len,
				  answer->size - answer->len, fmt, args);
	va_end(args);
}

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

/* NULL if this machine cannot have such a device */
static struct device *find_device(u64 id)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(devices); i++)
		if (device_ids[i] == id && devices[i])
			return &devices[i]->dev;

	return NULL;
}

static int do_chunks(struct answer *answer, struct dma_buf *buf, u64 id)
{
	struct dma_buf_attachment *attachment;
	struct device *dev = find_device(id);
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

/* As in heap_helpers.c of the selftests */
static u64 pattern_word(size_t offset, u32 seed)
{
	return ((u64)(seed ^ 0x5aa5c33cU) << 32) + offset;
}

static void do_fill(u64 *word, size_t size, u32 seed)
{
	size_t i;

	for (i = 0; i < size / sizeof(*word); i++)
		word[i] = pattern_word(i * sizeof(*word), seed);
}

static long long do_check(const u64 *word, size_t size, u32 seed)
{
	size_t i;

	for (i = 0; i < size / sizeof(*word); i++)
		if (word[i] != pattern_word(i * sizeof(*word), seed))
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

/* What is done to a kernel mapping */
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
	/* It has an entry for a page only if there is one */
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

/* Counting */

struct count {
	unsigned int calls;
	size_t bytes;
	size_t first;
	size_t end;
};

/* A chunk of the buffer that is watched */
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

static void count_reset(void)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&watch.lock, flags);
	watch.clean = (struct count) { };
	watch.drop = (struct count) { };
	raw_spin_unlock_irqrestore(&watch.lock, flags);
}

/* NULL stops it */
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
	unsigned long flags;

	raw_spin_lock_irqsave(&watch.lock, flags);
	count_call(count, regs_get_kernel_argument(regs, 0),
		   regs_get_kernel_argument(regs, 1));
	raw_spin_unlock_irqrestore(&watch.lock, flags);
}

static int on_sync_for_device(struct kprobe *probe, struct pt_regs *regs)
{
	on_sync(&watch.clean, regs);

	return 0;
}

static int on_sync_for_cpu(struct kprobe *probe, struct pt_regs *regs)
{
	/* Nothing is done after a device that only read */
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

static void start_counting(void)
{
	counting = !register_kprobes(probes, ARRAY_SIZE(probes));
}

static void stop_counting(void)
{
	if (counting)
		unregister_kprobes(probes, ARRAY_SIZE(probes));
	watch_ranges(NULL, 0);
}

#else

static const bool counting;

static void start_counting(void) { }
static void stop_counting(void) { }

#endif

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

/* Its chunks are learned from a mapping that changes nothing */
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

static int do_watch(struct session *session, const u64 *args)
{
	struct device *dev = find_device(DEVICE_COHERENT);
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

static int do_count(struct session *session, const u64 *args)
{
	count_reset();

	return counting ? 0 : -EOPNOTSUPP;
}

static int do_counted(struct session *session, const u64 *args)
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

/* A buffer that is held */

static int do_unmap(struct session *session, const u64 *args)
{
	if (!session->sgt)
		return -EINVAL;

	dma_buf_unmap_attachment_unlocked(session->attachment, session->sgt,
					  session->dir);
	session->sgt = NULL;

	return 0;
}

static int do_release(struct session *session, const u64 *args)
{
	if (iosys_map_is_null(&session->map))
		return -EINVAL;

	dma_buf_vunmap_unlocked(session->buf, &session->map);
	iosys_map_clear(&session->map);

	return 0;
}

static int do_hold(struct session *session, const u64 *args)
{
	if (!session->buf)
		return -EINVAL;
	if (!iosys_map_is_null(&session->map))
		return -EBUSY;

	return dma_buf_vmap_unlocked(session->buf, &session->map);
}

static int do_drop(struct session *session, const u64 *args)
{
	if (!session->buf)
		return -EINVAL;

	if (session->sgt)
		do_unmap(session, NULL);
	do_release(session, NULL);
	dma_buf_detach(session->buf, session->attachment);
	dma_buf_put(session->buf);
	session->buf = NULL;

	return 0;
}

static int do_import(struct session *session, const u64 *args)
{
	struct device *dev = find_device(args[1]);
	struct dma_buf_attachment *attachment;
	struct dma_buf *buf;

	if (session->buf)
		return -EBUSY;
	if (!dev)
		return -ENODEV;

	buf = dma_buf_get(args[0]);
	if (IS_ERR(buf))
		return PTR_ERR(buf);

	attachment = dma_buf_attach(buf, dev);
	if (IS_ERR(attachment)) {
		dma_buf_put(buf);
		return PTR_ERR(attachment);
	}
	session->buf = buf;
	session->attachment = attachment;

	return 0;
}

/* Where the device works: in the buffer, or on a copy */
static phys_addr_t device_sees(struct device *dev, struct scatterlist *sg)
{
	return dma_to_phys(dev, sg_dma_address(sg));
}

static bool device_bounces(struct session *session)
{
	struct device *dev = session->attachment->dev;
	struct scatterlist *sg;
	int i;

	if (device_iommu_mapped(dev))
		return false;

	for_each_sgtable_dma_sg(session->sgt, sg, i)
		if (device_sees(dev, sg) != sg_phys(sg))
			return true;

	return false;
}

static int do_map(struct session *session, const u64 *args)
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
 * A page as the device sees it, which the kernel need not have mapped. The caches
 * of an emulator are coherent with everything: no need to go past them.
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

/* How many of the words are written, or as they should be */
static size_t device_words(u64 *word, size_t count, u64 offset, u32 seed,
			   bool write)
{
	size_t i;

	for (i = 0; i < count; i++) {
		u64 value = pattern_word(offset + i * sizeof(*word), seed);

		if (write)
			WRITE_ONCE(word[i], value);
		else if (READ_ONCE(word[i]) != value)
			break;
	}

	return i;
}

/* What the device does to a part of one page; how many bytes went well */
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

/* The offset of the first word that is not as expected, or -1 */
static long long device_access(struct session *session, const u64 *args,
			       bool write)
{
	struct device *dev = session->attachment->dev;
	u64 end = args[0] + args[1];
	struct scatterlist *sg;
	u64 start = 0;
	int i;

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

static int check_device_access(struct session *session, const u64 *args)
{
	u64 offset = args[0], len = args[1];

	if (!session->sgt || len > session->buf->size ||
	    offset > session->buf->size - len || (offset | len) % sizeof(u64))
		return -EINVAL;

	return device_iommu_mapped(session->attachment->dev) ? -EOPNOTSUPP : 0;
}

static int do_dwrite(struct session *session, const u64 *args)
{
	int ret = check_device_access(session, args);

	if (!ret)
		device_access(session, args, true);

	return ret;
}

static int do_dread(struct session *session, const u64 *args)
{
	int ret = check_device_access(session, args);

	if (!ret)
		ret = answer_alloc(&session->answer, 1);
	if (!ret)
		answer_add(&session->answer, "offset %lld\n",
			   device_access(session, args, false));

	return ret;
}

/* Commands that need no more than the answer */

static int run_user(struct session *session, const u64 *args)
{
	return do_user(&session->answer, args[0], args[1]);
}

static int run_chunks(struct session *session, const u64 *args)
{
	struct dma_buf *buf = dma_buf_get(args[0]);
	int ret;

	if (IS_ERR(buf))
		return PTR_ERR(buf);

	ret = do_chunks(&session->answer, buf, args[1]);
	dma_buf_put(buf);

	return ret;
}

static int run_vmap(struct session *session, const char *verb, const u64 *args)
{
	struct dma_buf *buf = dma_buf_get(args[0]);
	int ret;

	if (IS_ERR(buf))
		return PTR_ERR(buf);

	ret = do_vmap(&session->answer, verb, buf, args[1]);
	dma_buf_put(buf);

	return ret;
}

static int run_attributes(struct session *session, const u64 *args)
{
	return run_vmap(session, "vmap", args);
}

static int run_fill(struct session *session, const u64 *args)
{
	return run_vmap(session, "fill", args);
}

static int run_check(struct session *session, const u64 *args)
{
	return run_vmap(session, "check", args);
}

static int run_time(struct session *session, const u64 *args)
{
	return heap_test_time(&session->answer, args);
}

#define MAX_ARGS	4

/* With a name of a heap in it */
#define MAX_COMMAND	128

static const struct {
	const char *verb;
	int (*run)(struct session *session, const u64 *args);
	int nr_args;
} commands[] = {
	{ "chunks", run_chunks, 2 },
	{ "vmap", run_attributes, 1 },
	{ "fill", run_fill, 2 },
	{ "check", run_check, 2 },
	{ "user", run_user, 2 },
	{ "import", do_import, 2 },
	{ "map", do_map, 1 },
	{ "unmap", do_unmap, 0 },
	{ "drop", do_drop, 0 },
	{ "hold", do_hold, 0 },
	{ "release", do_release, 0 },
	{ "dwrite", do_dwrite, 3 },
	{ "dread", do_dread, 3 },
	{ "watch", do_watch, 1 },
	{ "count", do_count, 0 },
	{ "counted", do_counted, 0 },
	{ "time", run_time, 4 },
};

/* The only one whose arguments are not numbers alone */
#define KALLOC		"kalloc "

static int do_command(struct session *session, const char *command)
{
	u64 args[MAX_ARGS] = { };
	char verb[16];
	int i, given;

	if (!strncmp(command, KALLOC, strlen(KALLOC)))
		return heap_test_kalloc(command + strlen(KALLOC));

	given = sscanf(command, "%15s %llu %llu %llu %llu", verb, &args[0],
		       &args[1], &args[2], &args[3]) - 1;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (given >= commands[i].nr_args &&
		    !strcmp(verb, commands[i].verb))
			return commands[i].run(session, args);

	return -EINVAL;
}

static ssize_t importer_write(struct file *file, const char __user *data,
			      size_t count, loff_t *ppos)
{
	struct session *session = file->private_data;
	char *command;
	int ret;

	if (count > MAX_COMMAND)
		return -EINVAL;

	command = memdup_user_nul(data, count);
	if (IS_ERR(command))
		return PTR_ERR(command);

	mutex_lock(&session->answer.lock);
	answer_free(&session->answer);
	ret = do_command(session, command);
	mutex_unlock(&session->answer.lock);
	kfree(command);

	return ret ? ret : count;
}

static ssize_t importer_read(struct file *file, char __user *data, size_t count,
			     loff_t *ppos)
{
	struct session *session = file->private_data;
	struct answer *answer = &session->answer;
	ssize_t ret;

	mutex_lock(&answer->lock);
	ret = simple_read_from_buffer(data, count, ppos, answer->text,
				      answer->len);
	mutex_unlock(&answer->lock);

	return ret;
}

static int importer_open(struct inode *inode, struct file *file)
{
	struct session *session = kzalloc(sizeof(*session), GFP_KERNEL);

	if (!session)
		return -ENOMEM;

	mutex_init(&session->answer.lock);
	file->private_data = session;

	return 0;
}

static int importer_release(struct inode *inode, struct file *file)
{
	struct session *session = file->private_data;

	do_drop(session, NULL);
	answer_free(&session->answer);
	kfree(session);

	return 0;
}

static const struct file_operations importer_fops = {
	.owner = THIS_MODULE,
	.open = importer_open,
	.read = importer_read,
	.write = importer_write,
	.release = importer_release,
	.llseek = default_llseek,
};

static void remove_devices(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(devices); i++)
		platform_device_unregister(devices[i]);
}

/*
 * A pool of bounce buffers is made use of by force through a handle of its own
 * on the pool that everybody shares. Not one that grows: that needs more.
 */
#if defined(CONFIG_SWIOTLB) && !defined(CONFIG_SWIOTLB_DYNAMIC)

static struct io_tlb_mem bouncing_mem;

static bool make_bouncing(struct device *dev)
{
	struct io_tlb_mem *mem = dev->dma_io_tlb_mem;

	if (!mem || !mem->nslabs || device_iommu_mapped(dev))
		return false;

	bouncing_mem = *mem;
	bouncing_mem.force_bounce = true;
	dev->dma_io_tlb_mem = &bouncing_mem;

	return true;
}

#else

static bool make_bouncing(struct device *dev)
{
	return false;
}

#endif

/* Nor does it get copies when everybody else does */
static bool make_coherent(struct device *dev)
{
#ifdef CONFIG_ARCH_HAS_SYNC_DMA_FOR_DEVICE
	dev->dma_coherent = true;
#endif
#ifdef CONFIG_SWIOTLB
	dev->dma_io_tlb_mem = NULL;
#endif

	return dev_is_dma_coherent(dev);
}

/* What this machine cannot have is left out */
static int add_device(int i)
{
	const struct platform_device_info info = {
		.name = NAME,
		.id = device_ids[i],
		.dma_mask = DMA_BIT_MASK(device_ids[i] == 32 ? 32 : 64),
	};
	struct platform_device *device = platform_device_register_full(&info);

	if (IS_ERR(device))
		return PTR_ERR(device);

	dma_set_max_seg_size(&device->dev, UINT_MAX);
	if ((info.id == DEVICE_COHERENT && !make_coherent(&device->dev)) ||
	    (info.id == DEVICE_BOUNCES && !make_bouncing(&device->dev))) {
		platform_device_unregister(device);
		return 0;
	}
	devices[i] = device;

	return 0;
}

static int __init importer_init(void)
{
	int i, ret;

	for (i = 0; i < ARRAY_SIZE(devices); i++) {
		ret = add_device(i);
		if (ret) {
			remove_devices();
			return ret;
		}
	}
	start_counting();
	debugfs_file = debugfs_create_file(NAME, 0600, NULL, NULL,
					   &importer_fops);

	return 0;
}
module_init(importer_init);

static void __exit importer_exit(void)
{
	debugfs_remove(debugfs_file);
	stop_counting();
	remove_devices();
}
module_exit(importer_exit);

MODULE_DESCRIPTION("Importer for the selftests of the DMA-BUF heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF);

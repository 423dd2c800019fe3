// SPDX-License-Identifier: GPL-2.0
/*
 * An importer for the selftests of the DMA-BUF heaps
 *
 * User space can see neither the pages of a buffer nor how they are mapped. To
 * learn that it writes one of these to dma_heap_test_importer in debugfs and
 * reads the answer from the same open file:
 *
 * "chunks FD BITS": map the buffer for a device with a DMA mask of BITS (64 or
 *	32); a line "page PFN NODE PAGES" for each chunk of memory, then a line
 *	"dma ADDRESS LENGTH" for each segment the device sees
 * "vmap FD": "attributes N", the memory attributes of a kernel mapping as the
 *	CPU sees them, on arm64
 * "fill FD SEED": the pattern of pattern_fill(), through a kernel mapping
 * "check FD SEED": "offset N" of the first word that is not of that pattern
 * "user ADDRESS": "page PFN" and "writecombined N" of a mapping of the caller
 * "time FD IMPORTERS COHERENT BYTES": let so many devices, 1 to 8, attach, map,
 *	be there while the CPU accesses all of the buffer, then 4 KiB of it, unmap
 *	and detach; a line "PHASE N" for each, with the ns it took all of them or,
 *	if BYTES is 1, the bytes for which caches were maintained, on arm64. The
 *	devices are not coherent unless COHERENT is 1.
 */

#include <linux/align.h>
#include <linux/atomic.h>
#include <linux/bitfield.h>
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/iosys-map.h>
#include <linux/irqflags.h>
#include <linux/kprobes.h>
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pgtable.h>
#include <linux/platform_device.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

/* Tells whether this kernel knows parts of a buffer */
#include <uapi/linux/dma-buf.h>

#define NAME		"dma_heap_test_importer"

/* Longer than any line of an answer */
#define LINE_SIZE	64

struct answer {
	/* Against a reader while the text is made */
	struct mutex lock;
	char *text;
	size_t size;
	size_t len;
};

static struct platform_device *devices[2];
static const unsigned int mask_bits[] = { 64, 32 };
static struct dentry *debugfs_file;

static int answer_alloc(struct answer *answer, unsigned int lines)
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

static __printf(2, 3) void answer_add(struct answer *answer, const char *fmt,
				      ...)
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

static int do_chunks(struct answer *answer, struct dma_buf *buf, u64 bits)
{
	struct device *dev = &devices[bits == mask_bits[1]]->dev;
	struct dma_buf_attachment *attachment;
	struct sg_table *sgt;
	int ret;

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

static int do_user(struct answer *answer, unsigned long address)
{
	struct follow_pfnmap_args args = { .address = address };
	struct mm_struct *mm = current->mm;
	int ret;

	ret = answer_alloc(answer, 2);
	if (ret)
		return ret;

	mmap_read_lock(mm);
	args.vma = vma_lookup(mm, address);
	ret = args.vma ? follow_pfnmap_start(&args) : -EFAULT;
	if (!ret) {
		pgprot_t wc = pgprot_writecombine(args.pgprot);

		answer_add(answer, "page %lu\n", args.pfn);
		answer_add(answer, "writecombined %d\n",
			   pgprot_val(wc) == pgprot_val(args.pgprot));
		follow_pfnmap_end(&args);
	}
	mmap_read_unlock(mm);

	return ret;
}

#define MAX_IMPORTERS	8

enum timed_phase { ATTACH, MAP, SYNC, PARTIAL, UNMAP, DETACH, PHASES };

static const char * const phase_names[PHASES] = {
	"attach", "map", "sync", "partial", "unmap", "detach"
};

/**
 * struct timing - a measurement of what it costs to share a buffer
 * @buf: the buffer
 * @importers: how many devices take part
 * @bytes: count bytes instead of ns
 * @start: ns or bytes when the phase began that is going on
 * @taken: ns or bytes of each phase
 * @device: the devices
 * @attachment: theirs
 * @sgt: what these mapped
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

static atomic64_t maintained_bytes;

#if defined(CONFIG_ARM64) && defined(CONFIG_KPROBES)
static int maintains(struct kprobe *probe, struct pt_regs *regs)
{
	atomic64_add(regs_get_kernel_argument(regs, 1), &maintained_bytes);

	return 0;
}

/* After a device that has only read, there is nothing to do */
static int maintains_for_cpu(struct kprobe *probe, struct pt_regs *regs)
{
	if (regs_get_kernel_argument(regs, 2) != DMA_TO_DEVICE)
		maintains(probe, regs);

	return 0;
}

static struct kprobe maintenance[] = {
	{
		.symbol_name = "arch_sync_dma_for_device",
		.pre_handler = maintains,
	}, {
		.symbol_name = "arch_sync_dma_for_cpu",
		.pre_handler = maintains_for_cpu,
	},
};

static int counting_begins(void)
{
	int i, ret;

	for (i = 0; i < ARRAY_SIZE(maintenance); i++) {
		/* Both are as they were before the last use */
		maintenance[i].addr = NULL;
		maintenance[i].flags = 0;
		ret = register_kprobe(&maintenance[i]);
		if (ret)
			goto undo;
	}

	return 0;

undo:
	while (i--)
		unregister_kprobe(&maintenance[i]);
	return ret;
}

static void counting_ends(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(maintenance); i++)
		unregister_kprobe(&maintenance[i]);
}
#else
static int counting_begins(void)
{
	return -EOPNOTSUPP;
}

static void counting_ends(void)
{
}
#endif

static u64 timing_now(struct timing *t)
{
	return t->bytes ? atomic64_read(&maintained_bytes) : ktime_get_ns();
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

/* In the middle. A kernel that knows no parts has to do all of the buffer */
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
		/* Next to those that are named after their mask */
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
		/* Also notes whether the device needs any maintenance */
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

static int measure(struct timing *t)
{
	/* There is only one set of probes */
	static DEFINE_MUTEX(counting);
	int ret;

	if (!t->bytes)
		return timed_phases(t);

	mutex_lock(&counting);
	ret = counting_begins();
	if (!ret) {
		ret = timed_phases(t);
		counting_ends();
	}
	mutex_unlock(&counting);

	return ret;
}

static int do_time(struct answer *answer, const char *args)
{
	unsigned int fd, importers, coherent, bytes;
	struct timing *t;
	int ret;

	if (sscanf(args, "%u %u %u %u", &fd, &importers, &coherent, &bytes) != 4 ||
	    !importers || importers > MAX_IMPORTERS)
		return -EINVAL;

	t = kzalloc(sizeof(*t), GFP_KERNEL);
	if (!t)
		return -ENOMEM;

	t->bytes = bytes;
	t->buf = dma_buf_get(fd);
	if (IS_ERR(t->buf)) {
		ret = PTR_ERR(t->buf);
		goto out_free;
	}

	ret = add_importers(t, importers, coherent);
	if (!ret) {
		ret = measure(t) ?: tell_timing(answer, t);
		remove_importers(t);
	}
	dma_buf_put(t->buf);
out_free:
	kfree(t);
	return ret;
}

static int do_command(struct answer *answer, const char *command)
{
	unsigned long long first, second = 0;
	struct dma_buf *buf;
	char verb[8];
	int ret;

	if (!strncmp(command, "time ", 5))
		return do_time(answer, command + 5);

	if (sscanf(command, "%7s %llu %llu", verb, &first, &second) < 2)
		return -EINVAL;

	if (!strcmp(verb, "user"))
		return do_user(answer, first);

	buf = dma_buf_get(first);
	if (IS_ERR(buf))
		return PTR_ERR(buf);

	if (!strcmp(verb, "chunks"))
		ret = do_chunks(answer, buf, second);
	else if (!strcmp(verb, "vmap") || !strcmp(verb, "fill") ||
		 !strcmp(verb, "check"))
		ret = do_vmap(answer, verb, buf, second);
	else
		ret = -EINVAL;
	dma_buf_put(buf);

	return ret;
}

static ssize_t importer_write(struct file *file, const char __user *data,
			      size_t count, loff_t *ppos)
{
	struct answer *answer = file->private_data;
	char *command;
	int ret;

	if (count > LINE_SIZE)
		return -EINVAL;

	command = memdup_user_nul(data, count);
	if (IS_ERR(command))
		return PTR_ERR(command);

	mutex_lock(&answer->lock);
	answer_free(answer);
	ret = do_command(answer, command);
	mutex_unlock(&answer->lock);
	kfree(command);

	return ret ? ret : count;
}

static ssize_t importer_read(struct file *file, char __user *data, size_t count,
			     loff_t *ppos)
{
	struct answer *answer = file->private_data;
	ssize_t ret;

	mutex_lock(&answer->lock);
	ret = simple_read_from_buffer(data, count, ppos, answer->text,
				      answer->len);
	mutex_unlock(&answer->lock);

	return ret;
}

static int importer_open(struct inode *inode, struct file *file)
{
	struct answer *answer = kzalloc(sizeof(*answer), GFP_KERNEL);

	if (!answer)
		return -ENOMEM;

	mutex_init(&answer->lock);
	file->private_data = answer;

	return 0;
}

static int importer_release(struct inode *inode, struct file *file)
{
	struct answer *answer = file->private_data;

	answer_free(answer);
	kfree(answer);

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

static int add_device(int i)
{
	const struct platform_device_info info = {
		.name = NAME,
		.id = mask_bits[i],
		.dma_mask = DMA_BIT_MASK(mask_bits[i]),
	};
	struct platform_device *device = platform_device_register_full(&info);

	if (IS_ERR(device))
		return PTR_ERR(device);

	dma_set_max_seg_size(&device->dev, UINT_MAX);
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
	debugfs_file = debugfs_create_file(NAME, 0600, NULL, NULL,
					   &importer_fops);

	return 0;
}
module_init(importer_init);

static void __exit importer_exit(void)
{
	debugfs_remove(debugfs_file);
	remove_devices();
}
module_exit(importer_exit);

MODULE_DESCRIPTION("Importer for the selftests of the DMA-BUF heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF);

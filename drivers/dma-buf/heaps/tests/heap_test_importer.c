// SPDX-License-Identifier: GPL-2.0
/*
 * An importer for the selftests of the DMA-BUF heaps
 *
 * User space can see neither the pages of a buffer nor their mappings. So a test writes
 * one of these commands to dma_heap_test_importer in debugfs, and reads the answer from
 * the same open file:
 *
 * "chunks FD DEVICE": map the buffer for the device. The answer is a line "page PFN
 *	NODE PAGES" for each chunk of memory, then a line "dma ADDRESS LENGTH" for
 *	each segment that the device sees.
 * "vmap FD": the answer is "attributes N": the memory attributes of a kernel mapping
 *	as the CPU sees them, on arm64.
 * "fill FD SEED": write the pattern of pattern_fill() through a kernel mapping.
 * "check FD SEED": the answer is "offset N" of the first word without that pattern.
 * "user ADDRESS PAGES": the answer is a line "PFN WRITECOMBINED BLOCK WRITABLE" for
 *	each page of a mapping of the caller, at most 4096 pages. The last three are 0
 *	or 1. BLOCK is 1 for a PMD mapping.
 *
 * DEVICE is a number:
 *
 * 64, 32, 31: a noncoherent device, where the kernel has such devices. The number is
 *	the bits of its DMA mask.
 * 1: a coherent device.
 * 2: a device that gets copies (swiotlb) of all its mappings, of 256 KiB each, where
 *	the kernel can make copies.
 * 3, 4: devices that really move bytes, where the machine has them: QEMU's device
 *	"edu", or a DMA engine that copies memory.
 *
 * An open file can hold one buffer, so that a program can do something else in
 * between. Closing the file ends all of this:
 *
 * "import FD DEVICE": attach the device to the buffer.
 * "peer FD DEVICE": the same, for a buffer that may have no struct pages.
 * "map DIR": map the buffer. DIR is a value of enum dma_data_direction. The answer is
 *	"bounces N" and "coherent N".
 * "dwrite OFFSET LEN SEED": let the device write the pattern of fill.
 * "dread OFFSET LEN SEED": the answer is "offset N" of the first word that the device
 *	sees without that pattern.
 * "dcopy OFFSET LEN": let a device that moves bytes write the bytes it read last.
 * "dlater OFFSET LEN SEED": like dwrite, but the device writes when a task waits for
 *	the write.
 * "untrusted DEVICE YES": if YES is not 0, map an "edu" from now on like a device that
 *	could be malicious. If YES is 0, undo that.
 * "hold", "release": map the buffer for the kernel, and undo that.
 * "unmap", "drop": undo map and import.
 *
 * Calls for cache maintenance can be counted for one buffer, from any caller:
 *
 * "watch FD": count for this buffer from now on. This maps the buffer for the coherent
 *	device, and so shows the device what others have written. That must be nothing,
 *	as in a new buffer.
 * "count": count from zero again.
 * "counted": the answer is "clean CALLS BYTES FIRST END" and "drop CALLS BYTES FIRST
 *	END": how often caches were written back and invalidated, and the range that
 *	covers all of these calls.
 *
 * The costs of sharing a buffer can be measured, see heap_test_timing.c:
 *
 * "time FD IMPORTERS COHERENT BYTES": 1 to 8 devices attach and map. The CPU accesses
 *	all of the buffer, then 4 KiB of it. The devices unmap and detach. The answer is
 *	a line "PHASE N" for each phase. N is the ns for all devices. If BYTES is 1, N
 *	is the bytes of cache maintenance, where the kernel can count them. The devices
 *	are noncoherent unless COHERENT is 1.
 *
 * The heaps' interface for drivers can be used, see heap_test_kalloc.c:
 *
 * "kalloc HEAP BYTES": allocate a buffer, check through a kernel mapping that all of it
 *	is zero, make it dirty and free it. The error is EIO if it was not zero, and
 *	ENOENT if there is no such heap.
 */

#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/swiotlb.h>
#include <linux/uaccess.h>

#include "heap_test_importer.h"

static const unsigned int device_ids[] = {
	64, 32, 31, DEVICE_COHERENT, DEVICE_BOUNCES,
};

static struct platform_device *devices[ARRAY_SIZE(device_ids)];
static struct dentry *debugfs_file;

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

/* Returns NULL if this machine has no such device */
struct device *importer_device(u64 id)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(devices); i++)
		if (device_ids[i] == id && devices[i])
			return &devices[i]->dev;

	return id >= DEVICE_MOVER ? mover_device(id - DEVICE_MOVER) : NULL;
}

/* The same pattern as in heap_pattern.c of the selftests */
u64 importer_pattern(size_t offset, u32 seed)
{
	return ((u64)(seed ^ 0x5aa5c33cU) << 32) + offset;
}

#define MAX_ARGS	4

/* Long enough for the name of a heap */
#define MAX_COMMAND	128

static int importer_untrusted(struct importer_session *session, const u64 *args)
{
	struct device *dev = importer_device(args[0]);

	return dev ? mover_set_untrusted(dev, args[1]) : -ENODEV;
}

static const struct {
	const char *verb;
	int (*run)(struct importer_session *session, const u64 *args);
	int nr_args;
} commands[] = {
	{ "chunks", importer_chunks, 2 },
	{ "vmap", importer_attributes, 1 },
	{ "fill", importer_fill, 2 },
	{ "check", importer_check, 2 },
	{ "user", importer_user, 2 },
	{ "import", importer_import, 2 },
	{ "peer", importer_peer, 2 },
	{ "map", importer_map, 1 },
	{ "unmap", importer_unmap, 0 },
	{ "drop", importer_drop, 0 },
	{ "hold", importer_hold, 0 },
	{ "release", importer_release_map, 0 },
	{ "dwrite", importer_dwrite, 3 },
	{ "dread", importer_dread, 3 },
	{ "dcopy", importer_dcopy, 2 },
	{ "dlater", importer_dlater, 3 },
	{ "untrusted", importer_untrusted, 2 },
	{ "watch", importer_watch, 1 },
	{ "count", importer_count, 0 },
	{ "counted", importer_counted, 0 },
	{ "time", importer_time, 4 },
};

/* The only command with an argument that is not a number */
#define KALLOC		"kalloc "

static int do_command(struct importer_session *session, const char *command)
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
	struct importer_session *session = file->private_data;
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
	struct importer_session *session = file->private_data;
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
	struct importer_session *session = kzalloc(sizeof(*session), GFP_KERNEL);

	if (!session)
		return -ENOMEM;

	mutex_init(&session->answer.lock);
	file->private_data = session;

	return 0;
}

static int importer_release(struct inode *inode, struct file *file)
{
	struct importer_session *session = file->private_data;

	importer_drop(session, NULL);
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
 * Force the device to use swiotlb: give it its own handle of the pool that all devices
 * share. This does not work with CONFIG_SWIOTLB_DYNAMIC: a growing pool needs more.
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

/* The device gets no copies, even if all other devices do */
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

/* Needed where devices are coherent by default, as on riscv */
static void make_noncoherent(struct device *dev)
{
#ifdef CONFIG_ARCH_HAS_SYNC_DMA_FOR_DEVICE
	dev->dma_coherent = false;
#endif
}

/* Leave out a device that this machine cannot have */
static int add_device(int i)
{
	const struct platform_device_info info = {
		.name = NAME,
		.id = device_ids[i],
		.dma_mask = DMA_BIT_MASK(device_ids[i] > DEVICE_BOUNCES ?
					 device_ids[i] : 64),
	};
	struct platform_device *device = platform_device_register_full(&info);

	if (IS_ERR(device))
		return PTR_ERR(device);

	dma_set_max_seg_size(&device->dev, UINT_MAX);
	make_noncoherent(&device->dev);
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
		if (ret)
			goto err_remove_devices;
	}
	ret = edu_register();
	if (ret)
		goto err_remove_devices;
	engines_register();

	importer_start_counting();
	debugfs_file = debugfs_create_file(NAME, 0600, NULL, NULL,
					   &importer_fops);

	return 0;

err_remove_devices:
	remove_devices();
	return ret;
}
module_init(importer_init);

static void __exit importer_exit(void)
{
	debugfs_remove(debugfs_file);
	importer_stop_counting();
	engines_unregister();
	edu_unregister();
	remove_devices();
}
module_exit(importer_exit);

MODULE_DESCRIPTION("Importer for the selftests of the DMA-BUF heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF);

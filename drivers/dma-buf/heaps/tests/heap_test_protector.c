// SPDX-License-Identifier: GPL-2.0
/*
 * A stand-in for the secure world in tests of protected carveout heaps
 *
 * The protector remembers the protected ranges and refuses what a secure world would
 * refuse. It fails when debugfs tells it to. Like a device, it can read and change
 * protected memory, which no CPU of the normal world can reach.
 */

#define pr_fmt(fmt) "heap_test_protector: " fmt

#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/dma-heap-protect.h>
#include <linux/err.h>
#include <linux/io.h>
#include <linux/kstrtox.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/syscore_ops.h>
#include <linux/uaccess.h>

#define FILL	0xa5

/**
 * struct test_range - a protected range of memory
 * @node: entry in the list of all ranges
 * @base: physical address
 * @size: bytes
 * @failed: debugfs has made a scrub or the end of the protection fail
 */
struct test_range {
	struct list_head node;
	phys_addr_t base;
	size_t size;
	bool failed;
};

static DEFINE_MUTEX(ranges_lock);
static LIST_HEAD(ranges);

/* Number of calls of each function, and number of next calls that will fail */
static u32 protects, unprotects, scrubs;
static u32 fail_protect, fail_unprotect, fail_scrub;

/* For the first ranges: they are protected before debugfs can set anything */
module_param(fail_protect, uint, 0);
MODULE_PARM_DESC(fail_protect, "How many of the first ranges cannot be protected (default 0)");

/* Calls for a range that contains this address do not return until it is another one */
static u64 hang_at;

module_param(hang_at, ullong, 0);
MODULE_PARM_DESC(hang_at, "Address whose range is not protected and not scrubbed until debugfs has another (default 0)");

static void hang(phys_addr_t base, size_t size)
{
	while (READ_ONCE(hang_at) - base < size)
		msleep(20);
}

static bool shall_fail(u32 *fail)
{
	lockdep_assert_held(&ranges_lock);

	if (!*fail)
		return false;

	(*fail)--;
	return true;
}

static struct test_range *find_overlapping(phys_addr_t base, size_t size)
{
	struct test_range *range;

	lockdep_assert_held(&ranges_lock);

	list_for_each_entry(range, &ranges, node)
		if (base < range->base + range->size &&
		    range->base < base + size)
			return range;

	return NULL;
}

static bool is_protected(phys_addr_t base, size_t size)
{
	struct test_range *range = find_overlapping(base, size);

	return range && range->base <= base &&
	       base + size <= range->base + range->size;
}

static int do_protect(struct test_range *range)
{
	lockdep_assert_held(&ranges_lock);

	protects++;
	if (shall_fail(&fail_protect))
		return -EIO;
	if (find_overlapping(range->base, range->size))
		return -EBUSY;

	list_add_tail(&range->node, &ranges);

	return 0;
}

static int test_protect(void *data, phys_addr_t base, size_t size)
{
	struct test_range *range;
	int ret;

	range = kzalloc(sizeof(*range), GFP_KERNEL);
	if (!range)
		return -ENOMEM;

	range->base = base;
	range->size = size;
	hang(base, size);

	mutex_lock(&ranges_lock);
	ret = do_protect(range);
	mutex_unlock(&ranges_lock);
	if (ret)
		kfree(range);

	return ret;
}

static int do_unprotect(phys_addr_t base, size_t size)
{
	struct test_range *range = find_overlapping(base, size);

	lockdep_assert_held(&ranges_lock);

	unprotects++;
	if (shall_fail(&fail_unprotect)) {
		if (range)
			range->failed = true;
		return -EIO;
	}
	if (!range || range->base != base || range->size != size)
		return -EINVAL;

	list_del(&range->node);
	kfree(range);

	return 0;
}

static int test_unprotect(void *data, phys_addr_t base, size_t size)
{
	int ret;

	mutex_lock(&ranges_lock);
	ret = do_unprotect(base, size);
	mutex_unlock(&ranges_lock);

	return ret;
}

/* Map a range piece by piece, and call @visit until it returns false */
static int visit_memory(phys_addr_t base, size_t size,
			bool (*visit)(void *vaddr, size_t len))
{
	size_t done, len;

	for (done = 0; done < size; done += len) {
		void *vaddr;
		bool ok;

		len = min_t(size_t, size - done, SZ_1M);
		vaddr = memremap(base + done, len, MEMREMAP_WB);
		if (!vaddr)
			return -ENOMEM;
		ok = visit(vaddr, len);
		memunmap(vaddr);
		if (!ok)
			return -EIO;
	}

	return 0;
}

static bool visit_zero(void *vaddr, size_t len)
{
	memset(vaddr, 0, len);

	return true;
}

static bool visit_fill(void *vaddr, size_t len)
{
	memset(vaddr, FILL, len);

	return true;
}

static bool visit_check(void *vaddr, size_t len)
{
	return !memchr_inv(vaddr, 0, len);
}

static int do_scrub(phys_addr_t base, size_t size)
{
	lockdep_assert_held(&ranges_lock);

	scrubs++;
	if (!is_protected(base, size))
		return -EPERM;
	if (!shall_fail(&fail_scrub))
		return 0;

	find_overlapping(base, size)->failed = true;

	return -EIO;
}

static int test_scrub(void *data, phys_addr_t base, size_t size)
{
	int ret;

	hang(base, size);
	mutex_lock(&ranges_lock);
	ret = do_scrub(base, size);
	mutex_unlock(&ranges_lock);

	return ret ?: visit_memory(base, size, visit_zero);
}

static const struct dma_heap_protect_ops test_ops = {
	.protect = test_protect,
	.unprotect = test_unprotect,
	.scrub = test_scrub,
};

static int ranges_show(struct seq_file *seq, void *unused)
{
	struct test_range *range;

	mutex_lock(&ranges_lock);
	list_for_each_entry(range, &ranges, node)
		seq_printf(seq, "%pa 0x%zx\n", &range->base, range->size);
	mutex_unlock(&ranges_lock);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(ranges);

/* "<base> <size>" */
static int parse_range(char *text, u64 *base, u64 *size)
{
	char *number = strsep(&text, " ");
	int ret;

	if (!text)
		return -EINVAL;

	ret = kstrtou64(number, 0, base);

	return ret ?: kstrtou64(text, 0, size);
}

static int use_range(u64 base, u64 size, bool (*visit)(void *vaddr, size_t len))
{
	bool ok;

	mutex_lock(&ranges_lock);
	ok = is_protected(base, size);
	mutex_unlock(&ranges_lock);

	return ok ? visit_memory(base, size, visit) : -EPERM;
}

static ssize_t write_range(const char __user *buf, size_t count,
			   bool (*visit)(void *vaddr, size_t len))
{
	u64 base, size;
	char *text;
	int ret;

	text = memdup_user_nul(buf, min(count, SZ_64));
	if (IS_ERR(text))
		return PTR_ERR(text);

	ret = parse_range(text, &base, &size) ?: use_range(base, size, visit);
	kfree(text);

	return ret ?: count;
}

static ssize_t fill_write(struct file *file, const char __user *buf,
			  size_t count, loff_t *ppos)
{
	return write_range(buf, count, visit_fill);
}

static ssize_t check_write(struct file *file, const char __user *buf,
			   size_t count, loff_t *ppos)
{
	return write_range(buf, count, visit_check);
}

static const struct file_operations fill_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = fill_write,
};

static const struct file_operations check_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = check_write,
};

static void test_protector_add_files(void)
{
	struct dentry *dir = debugfs_create_dir("dma_heap_test_protector", NULL);

	debugfs_create_u32("protects", 0400, dir, &protects);
	debugfs_create_u32("unprotects", 0400, dir, &unprotects);
	debugfs_create_u32("scrubs", 0400, dir, &scrubs);
	debugfs_create_u32("fail_protect", 0600, dir, &fail_protect);
	debugfs_create_u32("fail_unprotect", 0600, dir, &fail_unprotect);
	debugfs_create_u32("fail_scrub", 0600, dir, &fail_scrub);
	debugfs_create_x64("hang_at", 0600, dir, &hang_at);
	debugfs_create_file("ranges", 0400, dir, NULL, &ranges_fops);
	debugfs_create_file("fill", 0200, dir, NULL, &fill_fops);
	debugfs_create_file("check", 0200, dir, NULL, &check_fops);
}

/* After the devices: only what could not be scrubbed or unprotected may be left then */
static void test_protector_shutdown(void *unused)
{
	struct test_range *range;

	list_for_each_entry(range, &ranges, node)
		if (!range->failed)
			pr_err("%pa, 0x%zx bytes, is still protected\n", &range->base,
			       range->size);
}

static const struct syscore_ops test_syscore_ops = {
	.shutdown = test_protector_shutdown,
};

static struct syscore test_syscore = {
	.ops = &test_syscore_ops,
};

static int __init test_protector_init(void)
{
	int ret;

	ret = dma_heap_set_protection(&test_ops, NULL);
	if (ret)
		return ret;

	/* There is one secure world, and the kernel complains if it takes two */
	WARN_ON(dma_heap_set_protection(&test_ops, NULL) != -EBUSY);

	test_protector_add_files();
	register_syscore(&test_syscore);

	return 0;
}
module_init(test_protector_init);

MODULE_DESCRIPTION("Test protector for protected DMA-BUF heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF_HEAP);

// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of the registry of DMA-BUF heaps, and of their limits
 *
 * The ioctl and opening the device node need user space. kselftests in
 * tools/testing/selftests/dmabuf-heaps/ test them.
 */

#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/dma-heap-record.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/kdev_t.h>
#include <linux/kernfs.h>
#include <linux/kref.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pfn.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <uapi/linux/dma-heap.h>

#include <kunit/resource.h>
#include <kunit/test.h>

#include "../../dma-heap-internal.h"
#include "heap_test_helpers.h"

#define MAX_HEAPS	128
#define NAME		"kunit-heap"

/* A longer wait is a failure */
#define PATIENCE	(60 * HZ)

/**
 * struct mock_heap - private data of the mock heap
 * @ret: what mock_heap_allocate() returns
 * @calls: number of calls of mock_heap_allocate()
 * @len: length in the last call
 * @fd_flags: descriptor flags in the last call
 * @heap_flags: heap flags in the last call
 */
struct mock_heap {
	struct dma_buf *ret;
	unsigned int calls;
	unsigned long len;
	u32 fd_flags;
	u64 heap_flags;
};

static struct dma_buf *mock_heap_allocate(struct dma_heap *heap,
					  unsigned long len, u32 fd_flags,
					  u64 heap_flags)
{
	struct mock_heap *mock = dma_heap_get_drvdata(heap);

	mock->calls++;
	mock->len = len;
	mock->fd_flags = fd_flags;
	mock->heap_flags = heap_flags;

	return mock->ret;
}

static const struct dma_heap_ops mock_heap_ops = {
	.allocate = mock_heap_allocate,
};

static int dma_heap_test_init(struct kunit *test)
{
	struct mock_heap *mock;

	mock = kunit_kzalloc(test, sizeof(*mock), GFP_KERNEL);
	if (!mock)
		return -ENOMEM;

	mock->ret = ERR_PTR(-ENOMEM);
	test->priv = mock;

	return 0;
}

static struct dma_heap *mock_heap_add(struct kunit *test, const char *name)
{
	return heap_test_add(test, name, &mock_heap_ops, test->priv);
}

static unsigned int heap_refs(struct dma_heap *heap)
{
	return kref_read(&dma_heap_get_dev(heap)->kobj.kref);
}

/* The heap keeps a copy of its name */
static void dma_heap_test_heap_is_found_by_its_name(struct kunit *test)
{
	char name[] = NAME;
	struct dma_heap *heap, *found;

	heap = mock_heap_add(test, name);
	name[0] = 'X';

	KUNIT_EXPECT_STREQ(test, dma_heap_get_name(heap), NAME);
	KUNIT_EXPECT_NULL(test, dma_heap_find(name));

	found = dma_heap_find(NAME);
	KUNIT_ASSERT_PTR_EQ(test, found, heap);
	dma_heap_put(found);

	heap_test_del(test, heap);
	KUNIT_EXPECT_NULL(test, dma_heap_find(NAME));
}

static void dma_heap_test_unknown_name_finds_nothing(struct kunit *test)
{
	mock_heap_add(test, NAME);

	KUNIT_EXPECT_NULL(test, dma_heap_find(NAME "2"));
	KUNIT_EXPECT_NULL(test, dma_heap_find("kunit"));
	KUNIT_EXPECT_NULL(test, dma_heap_find(""));
}

static void dma_heap_test_drvdata_is_per_heap(struct kunit *test)
{
	struct dma_heap *heap = mock_heap_add(test, NAME);
	struct dma_heap *other;

	other = heap_test_add(test, NAME "2", &mock_heap_ops, NULL);

	KUNIT_EXPECT_PTR_EQ(test, dma_heap_get_drvdata(heap), test->priv);
	KUNIT_EXPECT_NULL(test, dma_heap_get_drvdata(other));
}

static ssize_t mock_show(struct device *dev, struct device_attribute *attr,
			 char *buf)
{
	struct mock_heap *mock = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%u\n", mock->calls);
}
static DEVICE_ATTR_RO(mock);

static struct attribute *mock_attrs[] = {
	&dev_attr_mock.attr,
	NULL
};
ATTRIBUTE_GROUPS(mock);

/* dma_heap_create() makes the heap, dma_heap_register() makes it visible */
static void dma_heap_test_created_heap_is_hidden_until_registered(struct kunit *test)
{
	const struct dma_heap_export_info exp_info = {
		.name = NAME,
		.ops = &mock_heap_ops,
		.priv = test->priv,
		.groups = mock_groups,
	};
	struct kernfs_node *node;
	struct dma_heap *heap;
	struct device *dev;

	heap = dma_heap_create(&exp_info);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, heap);
	dev = dma_heap_get_dev(heap);
	KUNIT_EXPECT_NULL(test, dma_heap_find(NAME));
	KUNIT_EXPECT_STREQ(test, dma_heap_get_name(heap), NAME);
	KUNIT_EXPECT_PTR_EQ(test, dma_heap_get_drvdata(heap), test->priv);
	KUNIT_EXPECT_FALSE(test, device_is_registered(dev));

	KUNIT_ASSERT_EQ(test, dma_heap_register(heap), 0);
	KUNIT_EXPECT_PTR_EQ(test, dma_heap_find(NAME), heap);
	dma_heap_put(heap);

	node = kernfs_find_and_get(dev->kobj.sd, "mock");
	KUNIT_EXPECT_NOT_NULL(test, node);
	kernfs_put(node);
	KUNIT_EXPECT_PTR_EQ(test, dev_get_drvdata(dev), test->priv);

	dma_heap_del(heap);
}

/* If dma_heap_register() fails, the caller keeps the heap and may destroy it */
static void dma_heap_test_failed_register_leaves_heap_to_caller(struct kunit *test)
{
	const struct dma_heap_export_info exp_info = {
		.name = NAME,
		.ops = &mock_heap_ops,
		.priv = test->priv,
	};
	struct dma_heap *heap, *other;

	heap = dma_heap_create(&exp_info);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, heap);
	other = mock_heap_add(test, NAME);
	KUNIT_EXPECT_EQ(test, dma_heap_register(heap), -EEXIST);
	KUNIT_EXPECT_EQ(test, heap_refs(heap), 1);

	/* The name is free now: the second try works */
	heap_test_del(test, other);
	KUNIT_EXPECT_EQ(test, dma_heap_register(heap), 0);
	dma_heap_del(heap);

	heap = dma_heap_create(&exp_info);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, heap);
	dma_heap_destroy(heap);
	KUNIT_EXPECT_NULL(test, dma_heap_find(NAME));
	mock_heap_add(test, NAME);
}

/* Cache maintenance uses this device, so it must reach all memory */
static void dma_heap_test_device_reaches_64_bits(struct kunit *test)
{
	struct device *dev = dma_heap_get_dev(mock_heap_add(test, NAME));

	KUNIT_EXPECT_STREQ(test, dev_name(dev), NAME);
	KUNIT_EXPECT_STREQ(test, dev->class->name, "dma_heap");
	KUNIT_EXPECT_NE(test, MAJOR(dev->devt), 0);
	KUNIT_ASSERT_NOT_NULL(test, dev->dma_mask);
	KUNIT_EXPECT_EQ(test, dma_get_mask(dev), DMA_BIT_MASK(64));
	KUNIT_EXPECT_EQ(test, dev->coherent_dma_mask, DMA_BIT_MASK(64));
}

/* The first heap with a name stays registered and usable */
static void dma_heap_test_name_clash_keeps_first_heap(struct kunit *test)
{
	struct dma_heap *heap = mock_heap_add(test, NAME);
	struct dma_heap *other, *found;
	unsigned int refs = heap_refs(heap);

	other = heap_test_try_add(test, NAME, &mock_heap_ops, NULL);
	KUNIT_EXPECT_PTR_EQ(test, other, ERR_PTR(-EEXIST));
	KUNIT_EXPECT_EQ(test, heap_refs(heap), refs);

	found = dma_heap_find(NAME);
	KUNIT_ASSERT_PTR_EQ(test, found, heap);
	KUNIT_EXPECT_PTR_EQ(test, dma_heap_get_drvdata(found), test->priv);
	dma_heap_put(found);

	/* A new heap can take the name when the first heap is gone */
	heap_test_del(test, heap);
	mock_heap_add(test, NAME);
}

static const struct dma_heap_name_case {
	const char *desc;
	const char *name;
	int ret;
} dma_heap_name_cases[] = {
	{ "none", NULL, -EINVAL },
	{ "empty", "", -EINVAL },
	{ "this directory", ".", -EINVAL },
	{ "parent directory", "..", -EINVAL },
	{ "slash alone", "/", -EINVAL },
	{ "slash within", "kunit/heap", -EINVAL },
	{ "slash at the end", "kunit-heap/", -EINVAL },
	{ "64 characters",
	  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
	  -EINVAL },
	{ "63 characters",
	  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde",
	  0 },
	{ "one character", "k", 0 },
	{ "dots within", "k..", 0 },
	{ "three dots", "...", 0 },
	{ "percent sign", "kunit%s%d", 0 },
};

KUNIT_ARRAY_PARAM_DESC(dma_heap_name, dma_heap_name_cases, desc);

static void dma_heap_test_only_valid_names_are_accepted(struct kunit *test)
{
	const struct dma_heap_name_case *param = test->param_value;
	struct dma_heap *heap, *found;

	heap = heap_test_try_add(test, param->name, &mock_heap_ops, test->priv);
	KUNIT_ASSERT_EQ(test, PTR_ERR_OR_ZERO(heap), param->ret);
	if (param->ret)
		return;

	KUNIT_EXPECT_STREQ(test, dma_heap_get_name(heap), param->name);
	found = dma_heap_find(param->name);
	KUNIT_ASSERT_PTR_EQ(test, found, heap);
	dma_heap_put(found);
}

static void dma_heap_test_heap_must_allocate(struct kunit *test)
{
	static const struct dma_heap_ops no_allocate;
	struct dma_heap *heap;

	heap = heap_test_try_add(test, NAME, NULL, NULL);
	KUNIT_EXPECT_PTR_EQ(test, heap, ERR_PTR(-EINVAL));

	heap = heap_test_try_add(test, NAME, &no_allocate, NULL);
	KUNIT_EXPECT_PTR_EQ(test, heap, ERR_PTR(-EINVAL));

	KUNIT_EXPECT_NULL(test, dma_heap_find(NAME));
}

static int collect_minor(struct device *dev, void *data)
{
	unsigned long *minors = data;

	if (MINOR(dev->devt) >= MAX_HEAPS ||
	    test_and_set_bit(MINOR(dev->devt), minors))
		return -ERANGE;

	return 0;
}

/* Count the heaps, and check that each heap has its own minor */
static unsigned int count_heaps(struct kunit *test, struct dma_heap *any)
{
	DECLARE_BITMAP(minors, MAX_HEAPS);
	int ret;

	bitmap_zero(minors, MAX_HEAPS);
	ret = class_for_each_device(dma_heap_get_dev(any)->class, NULL, minors,
				    collect_minor);
	KUNIT_EXPECT_EQ(test, ret, 0);

	return bitmap_weight(minors, MAX_HEAPS);
}

static struct dma_heap *add_numbered(struct kunit *test, unsigned int n)
{
	char name[24];

	snprintf(name, sizeof(name), "kunit-%u", n);

	return heap_test_try_add(test, name, &mock_heap_ops, NULL);
}

static void dma_heap_test_minors_run_out_and_come_back(struct kunit *test)
{
	struct dma_heap *first = mock_heap_add(test, NAME);
	unsigned int present = count_heaps(test, first);
	struct dma_heap *heap = first;
	unsigned int n;

	for (n = present; n < MAX_HEAPS; n++) {
		heap = add_numbered(test, n);
		KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(heap), "heap %u: %pe", n,
				       heap);
	}
	KUNIT_EXPECT_EQ(test, count_heaps(test, first), MAX_HEAPS);

	KUNIT_EXPECT_PTR_EQ(test, add_numbered(test, n), ERR_PTR(-ENOSPC));

	/* A name clash is still reported: the core checks names first */
	KUNIT_EXPECT_PTR_EQ(test, add_numbered(test, n - 1), ERR_PTR(-EEXIST));

	/* A heap that did not fit leaves nothing. A deleted heap frees its minor */
	KUNIT_EXPECT_EQ(test, count_heaps(test, first), MAX_HEAPS);
	heap_test_del(test, heap);
	heap = add_numbered(test, n);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, heap);
	KUNIT_EXPECT_PTR_EQ(test, add_numbered(test, n + 1), ERR_PTR(-ENOSPC));
	KUNIT_EXPECT_EQ(test, count_heaps(test, first), MAX_HEAPS);
}

/* The state without the heap that try_add() adds */
struct without_heap {
	struct dma_heap *other;
	unsigned int heaps;
	dev_t next_devt;
};

static bool try_add(struct kunit *test, void *data, bool *taken)
{
	const struct dma_heap_export_info exp_info = {
		.name = NAME,
		.ops = &mock_heap_ops,
	};
	const struct without_heap *without = data;
	struct dma_heap *heap = dma_heap_add(&exp_info);

	*taken = heap_test_fault_taken();

	/* Some allocations may fail without an error, such as those for uevents */
	if (IS_ERR(heap)) {
		KUNIT_ASSERT_TRUE(test, *taken);
		KUNIT_EXPECT_PTR_EQ(test, heap, ERR_PTR(-ENOMEM));
		KUNIT_EXPECT_NULL(test, dma_heap_find(NAME));
	} else {
		/* No minor was lost */
		KUNIT_EXPECT_EQ(test, dma_heap_get_dev(heap)->devt,
				without->next_devt);
		dma_heap_del(heap);
	}
	KUNIT_EXPECT_EQ(test, count_heaps(test, without->other),
			without->heaps);

	return IS_ERR(heap);
}

/* Each allocation of dma_heap_add() fails once. A failed heap leaves nothing */
static void dma_heap_test_failed_add_leaves_nothing(struct kunit *test)
{
	struct without_heap without = {};
	struct dma_heap *heap;

	without.other = mock_heap_add(test, NAME "2");
	without.heaps = count_heaps(test, without.other);
	heap = mock_heap_add(test, NAME);
	without.next_devt = dma_heap_get_dev(heap)->devt;
	heap_test_del(test, heap);
	heap_test_faults_init(test);

	/* At least the heap, its name, its minor and its device */
	heap_test_sweep_faults(test, try_add, &without, 4);
}

static void dma_heap_test_find_takes_a_reference(struct kunit *test)
{
	struct dma_heap *heap = mock_heap_add(test, NAME);
	unsigned int refs = heap_refs(heap);

	KUNIT_ASSERT_PTR_EQ(test, dma_heap_find(NAME), heap);
	KUNIT_EXPECT_EQ(test, heap_refs(heap), refs + 1);
	KUNIT_ASSERT_PTR_EQ(test, dma_heap_find(NAME), heap);
	KUNIT_EXPECT_EQ(test, heap_refs(heap), refs + 2);

	dma_heap_put(heap);
	KUNIT_EXPECT_EQ(test, heap_refs(heap), refs + 1);
	dma_heap_put(heap);
	KUNIT_EXPECT_EQ(test, heap_refs(heap), refs);
}

static void (*heap_release)(struct device *dev);
static DECLARE_COMPLETION(heap_released);

static void complete_heap_release(struct device *dev)
{
	heap_release(dev);
	complete(&heap_released);
}

/* The reference of dma_heap_find() keeps a deleted heap */
static void dma_heap_test_found_heap_outlives_del(struct kunit *test)
{
	struct dma_heap *heap = mock_heap_add(test, NAME);
	struct device *dev = dma_heap_get_dev(heap);

	reinit_completion(&heap_released);
	heap_release = dev->release;
	KUNIT_ASSERT_NOT_NULL(test, heap_release);
	dev->release = complete_heap_release;

	KUNIT_ASSERT_PTR_EQ(test, dma_heap_find(NAME), heap);
	heap_test_del(test, heap);
	KUNIT_EXPECT_NULL(test, dma_heap_find(NAME));

	KUNIT_ASSERT_FALSE(test, completion_done(&heap_released));
	KUNIT_EXPECT_EQ(test, heap_refs(heap), 1);
	KUNIT_EXPECT_STREQ(test, dma_heap_get_name(heap), NAME);
	KUNIT_EXPECT_PTR_EQ(test, dma_heap_get_drvdata(heap), test->priv);

	dma_heap_put(heap);
	/* CONFIG_DEBUG_KOBJECT_RELEASE delays the release */
	KUNIT_EXPECT_NE(test, wait_for_completion_timeout(&heap_released,
							  PATIENCE), 0);
}

#define ADDERS		8
#define ADD_ROUNDS	10

/**
 * struct adder - a thread that adds a heap with the same name as other threads
 * @heap: what dma_heap_add() returned
 * @found: what dma_heap_find() returned after that
 */
struct adder {
	struct dma_heap *heap;
	struct dma_heap *found;
};

static void adder_add(void *data)
{
	const struct dma_heap_export_info exp_info = {
		.name = NAME,
		.ops = &mock_heap_ops,
	};
	struct adder *adder = data;

	adder->heap = dma_heap_add(&exp_info);
	adder->found = dma_heap_find(NAME);
}

static void race_adders(struct kunit *test)
{
	struct heap_test_job jobs[ADDERS] = {};
	struct adder adders[ADDERS] = {};
	struct dma_heap *heap = NULL;
	unsigned int i, winners = 0;

	for (i = 0; i < ADDERS; i++) {
		jobs[i].func = adder_add;
		jobs[i].data = &adders[i];
	}
	heap_test_run_jobs(test, jobs, ADDERS);

	for (i = 0; i < ADDERS; i++) {
		if (IS_ERR(adders[i].heap)) {
			KUNIT_EXPECT_PTR_EQ(test, adders[i].heap,
					    ERR_PTR(-EEXIST));
			continue;
		}
		heap = adders[i].heap;
		winners++;
	}
	KUNIT_ASSERT_EQ(test, winners, 1);

	/* A loser got -EEXIST, so it must have found the winner's heap */
	for (i = 0; i < ADDERS; i++) {
		KUNIT_EXPECT_PTR_EQ(test, adders[i].found, heap);
		if (adders[i].found)
			dma_heap_put(adders[i].found);
	}
	dma_heap_del(heap);
}

static void dma_heap_test_one_of_many_adders_wins(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ADD_ROUNDS; i++)
		race_adders(test);

	KUNIT_EXPECT_NULL(test, dma_heap_find(NAME));
}

static const struct dma_heap_alloc_case {
	const char *desc;
	size_t len;
	u32 fd_flags;
	u64 heap_flags;
	/* length that the heap gets, 0 if the core refuses the request */
	unsigned long asked;
} dma_heap_alloc_cases[] = {
	{ "length 0", 0 },
	{ "length that wraps around", SIZE_MAX },
	{ "shortest length that wraps around", SIZE_MAX - PAGE_SIZE + 2 },
	{ "longest length", SIZE_MAX - PAGE_SIZE + 1,
	  .asked = SIZE_MAX - PAGE_SIZE + 1 },
	{ "one byte", 1, .asked = PAGE_SIZE },
	{ "one page", PAGE_SIZE, .asked = PAGE_SIZE },
	{ "a page and a byte", PAGE_SIZE + 1, .asked = 2 * PAGE_SIZE },
	{ "length 0 and flags", 0, O_RDWR | O_CLOEXEC },
	{ "all valid descriptor flags", PAGE_SIZE, O_ACCMODE | O_CLOEXEC,
	  .asked = PAGE_SIZE },
	{ "O_CLOEXEC", PAGE_SIZE, O_CLOEXEC, .asked = PAGE_SIZE },
	{ "O_RDWR", PAGE_SIZE, O_RDWR, .asked = PAGE_SIZE },
	{ "O_CREAT", PAGE_SIZE, O_CREAT },
	{ "O_NONBLOCK", PAGE_SIZE, O_RDWR | O_NONBLOCK },
	{ "highest descriptor flag", PAGE_SIZE, BIT(31) },
	{ "lowest heap flag", PAGE_SIZE, O_RDWR, 1 },
	{ "heap flag 32", PAGE_SIZE, O_RDWR, BIT_ULL(32) },
	{ "highest heap flag", PAGE_SIZE, O_RDWR, BIT_ULL(63) },
};

KUNIT_ARRAY_PARAM_DESC(dma_heap_alloc, dma_heap_alloc_cases, desc);

/* The heap gets only valid requests. The core rounds up the length and keeps the flags */
static void dma_heap_test_only_valid_requests_reach_the_heap(struct kunit *test)
{
	const struct dma_heap_alloc_case *param = test->param_value;
	struct dma_heap *heap = mock_heap_add(test, NAME);
	struct mock_heap *mock = test->priv;
	struct dma_buf *dmabuf;

	/* No other code returns this error */
	mock->ret = ERR_PTR(-EREMOTEIO);
	dmabuf = dma_heap_buffer_alloc(heap, param->len, param->fd_flags,
				       param->heap_flags);

	if (!param->asked) {
		KUNIT_EXPECT_PTR_EQ(test, dmabuf, ERR_PTR(-EINVAL));
		KUNIT_EXPECT_EQ(test, mock->calls, 0);
		return;
	}

	KUNIT_EXPECT_PTR_EQ(test, dmabuf, ERR_PTR(-EREMOTEIO));
	KUNIT_EXPECT_EQ(test, mock->calls, 1);
	KUNIT_EXPECT_EQ(test, mock->len, param->asked);
	KUNIT_EXPECT_EQ(test, mock->fd_flags, param->fd_flags);
	KUNIT_EXPECT_EQ(test, mock->heap_flags, param->heap_flags);
}

static struct sg_table *mock_buf_map(struct dma_buf_attachment *attachment,
				     enum dma_data_direction dir)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static void mock_buf_unmap(struct dma_buf_attachment *attachment,
			   struct sg_table *sgt, enum dma_data_direction dir)
{
}

static void mock_buf_release(struct dma_buf *dmabuf)
{
	complete(dmabuf->priv);
}

static const struct dma_buf_ops mock_buf_ops = {
	.map_dma_buf = mock_buf_map,
	.unmap_dma_buf = mock_buf_unmap,
	.release = mock_buf_release,
};

/* The core returns the heap's buffer. Its last reference releases it */
static void dma_heap_test_buffer_goes_with_its_last_reference(struct kunit *test)
{
	DEFINE_DMA_BUF_EXPORT_INFO(exp_info);
	DECLARE_COMPLETION_ONSTACK(released);
	struct dma_heap *heap = mock_heap_add(test, NAME);
	struct mock_heap *mock = test->priv;
	struct dma_buf *dmabuf;

	exp_info.ops = &mock_buf_ops;
	exp_info.size = PAGE_SIZE;
	exp_info.priv = &released;
	mock->ret = dma_buf_export(&exp_info);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mock->ret);

	dmabuf = dma_heap_buffer_alloc(heap, PAGE_SIZE, O_RDWR, 0);
	KUNIT_EXPECT_PTR_EQ(test, dmabuf, mock->ret);
	KUNIT_EXPECT_EQ(test, file_count(mock->ret->file), 1);

	get_dma_buf(mock->ret);
	dma_heap_buffer_free(mock->ret);
	flush_delayed_fput();
	KUNIT_EXPECT_FALSE(test, completion_done(&released));
	KUNIT_EXPECT_EQ(test, file_count(mock->ret->file), 1);

	/* A worker drops the last reference of a kernel thread */
	dma_heap_buffer_free(mock->ret);
	flush_delayed_fput();
	KUNIT_EXPECT_NE(test, wait_for_completion_timeout(&released, PATIENCE),
			0);
}

static unsigned long heap_failures(struct dma_heap *heap,
				   enum dma_heap_failure reason)
{
	return atomic_long_read(&heap->usage->failures[reason]);
}

static void expect_charged(struct kunit *test, struct dma_heap *heap, long pages)
{
	KUNIT_EXPECT_EQ(test, atomic_long_read(&heap->usage->pages), pages);
}

/* The test is a kernel thread, and so in no memory cgroup: objcg is NULL */
static int charge_pages(struct dma_heap *heap, unsigned long pages)
{
	struct obj_cgroup *objcg;

	return dma_heap_charge(heap, PFN_PHYS(pages), &objcg);
}

/* The last page up to the heap limit can be charged, the next page cannot */
static void dma_heap_test_charges_reach_limit_and_no_more(struct kunit *test)
{
	struct dma_heap *heap = mock_heap_add(test, NAME);

	WRITE_ONCE(heap->usage->heap_limit, 4);
	KUNIT_EXPECT_EQ(test, charge_pages(heap, 5), -ENOMEM);
	KUNIT_EXPECT_EQ(test, charge_pages(heap, 3), 0);
	KUNIT_EXPECT_EQ(test, charge_pages(heap, 2), -ENOMEM);
	expect_charged(test, heap, 3);
	KUNIT_EXPECT_EQ(test, charge_pages(heap, 1), 0);
	KUNIT_EXPECT_EQ(test, charge_pages(heap, 1), -ENOMEM);
	expect_charged(test, heap, 4);
	KUNIT_EXPECT_EQ(test, heap_failures(heap, DMA_HEAP_LIMIT), 3);

	/* Uncharged pages can be charged again */
	dma_heap_uncharge(heap, PFN_PHYS(3), NULL);
	expect_charged(test, heap, 1);
	KUNIT_EXPECT_EQ(test, charge_pages(heap, 3), 0);
	dma_heap_uncharge(heap, PFN_PHYS(3), NULL);
	dma_heap_uncharge(heap, PFN_PHYS(1), NULL);
	expect_charged(test, heap, 0);
	KUNIT_EXPECT_EQ(test, heap_failures(heap, DMA_HEAP_LIMIT), 3);
	KUNIT_EXPECT_EQ(test, heap_failures(heap, DMA_HEAP_TOO_LARGE), 0);
}

/* The buffer limit holds even if the heap limit is higher */
static void dma_heap_test_charge_larger_than_buffer_limit_fails(struct kunit *test)
{
	struct dma_heap *heap = mock_heap_add(test, NAME);

	WRITE_ONCE(heap->usage->buffer_limit, 2);
	KUNIT_EXPECT_EQ(test, charge_pages(heap, 3), -ENOMEM);
	expect_charged(test, heap, 0);
	KUNIT_EXPECT_EQ(test, heap_failures(heap, DMA_HEAP_TOO_LARGE), 1);

	KUNIT_EXPECT_EQ(test, charge_pages(heap, 2), 0);
	KUNIT_EXPECT_EQ(test, charge_pages(heap, 2), 0);
	expect_charged(test, heap, 4);
	dma_heap_uncharge(heap, PFN_PHYS(4), NULL);
	KUNIT_EXPECT_EQ(test, heap_failures(heap, DMA_HEAP_TOO_LARGE), 1);
	KUNIT_EXPECT_EQ(test, heap_failures(heap, DMA_HEAP_LIMIT), 0);
}

static struct kunit_case dma_heap_test_cases[] = {
	KUNIT_CASE(dma_heap_test_heap_is_found_by_its_name),
	KUNIT_CASE(dma_heap_test_unknown_name_finds_nothing),
	KUNIT_CASE(dma_heap_test_drvdata_is_per_heap),
	KUNIT_CASE(dma_heap_test_created_heap_is_hidden_until_registered),
	KUNIT_CASE(dma_heap_test_failed_register_leaves_heap_to_caller),
	KUNIT_CASE(dma_heap_test_device_reaches_64_bits),
	KUNIT_CASE(dma_heap_test_name_clash_keeps_first_heap),
	KUNIT_CASE_PARAM(dma_heap_test_only_valid_names_are_accepted,
			 dma_heap_name_gen_params),
	KUNIT_CASE(dma_heap_test_heap_must_allocate),
	KUNIT_CASE(dma_heap_test_minors_run_out_and_come_back),
	KUNIT_CASE(dma_heap_test_failed_add_leaves_nothing),
	KUNIT_CASE(dma_heap_test_find_takes_a_reference),
	KUNIT_CASE(dma_heap_test_found_heap_outlives_del),
	KUNIT_CASE(dma_heap_test_one_of_many_adders_wins),
	KUNIT_CASE_PARAM(dma_heap_test_only_valid_requests_reach_the_heap,
			 dma_heap_alloc_gen_params),
	KUNIT_CASE(dma_heap_test_buffer_goes_with_its_last_reference),
	KUNIT_CASE(dma_heap_test_charges_reach_limit_and_no_more),
	KUNIT_CASE(dma_heap_test_charge_larger_than_buffer_limit_fails),
	{}
};

static struct kunit_suite dma_heap_test_suite = {
	.name = "dma_heap",
	.init = dma_heap_test_init,
	.test_cases = dma_heap_test_cases,
};

kunit_test_suite(dma_heap_test_suite);

MODULE_DESCRIPTION("KUnit tests of the registry of DMA-BUF heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF);
MODULE_IMPORT_NS(DMA_BUF_HEAP);
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);

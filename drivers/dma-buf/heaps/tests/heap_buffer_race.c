// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the exporter of DMA-BUF heaps: threads do everything with one buffer at once
 */

#include <linux/dma-buf.h>
#include <linux/err.h>
#include <linux/iosys-map.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

#include <kunit/test.h>

#include "heap_test_buffer.h"
#include "heap_test_helpers.h"

#define RACE_ROUNDS	HEAP_TEST_ROUNDS(2000)

/**
 * struct race - what a thread of the race needs
 * @dmabuf: the buffer
 * @dev: device to attach again and again
 * @shared: attachment that several threads map
 * @mm: address space to map the buffer in
 * @dir: direction to map with
 * @mapped: number of mappings that worked
 * @errors: number of unexpected failures
 */
struct race {
	struct dma_buf *dmabuf;
	struct device *dev;
	struct dma_buf_attachment *shared;
	struct mm_struct *mm;
	enum dma_data_direction dir;
	unsigned int mapped;
	unsigned int errors;
};

/* Let other threads run, also on one CPU and without preemption */
static void race_pause(int round)
{
	if (round % 32)
		cond_resched();
	else
		schedule_timeout_uninterruptible(1);
}

static void race_map(struct race *race, struct dma_buf_attachment *attachment,
		     int round)
{
	struct sg_table *sgt;

	sgt = dma_buf_map_attachment_unlocked(attachment, race->dir);
	/* Other threads may have another direction mapped */
	if (sgt == ERR_PTR(-EBUSY) && attachment == race->shared)
		return;

	if (IS_ERR(sgt)) {
		race->errors++;
		return;
	}

	race->mapped++;
	race_pause(round);
	dma_buf_unmap_attachment_unlocked(attachment, sgt, race->dir);
}

static void race_mapper(void *data)
{
	struct race *race = data;
	int i;

	for (i = 0; i < RACE_ROUNDS; i++)
		race_map(race, race->shared, i);
}

static void race_attacher(void *data)
{
	struct dma_buf_attachment *attachment;
	struct race *race = data;
	int i;

	for (i = 0; i < RACE_ROUNDS; i++) {
		attachment = dma_buf_attach(race->dmabuf, race->dev);
		if (IS_ERR(attachment)) {
			race->errors++;
			continue;
		}
		race_map(race, attachment, i);
		dma_buf_detach(race->dmabuf, attachment);
	}
}

static void race_syncer(void *data)
{
	struct race *race = data;
	int i;

	for (i = 0; i < RACE_ROUNDS; i++) {
		if (dma_buf_begin_cpu_access(race->dmabuf, race->dir))
			race->errors++;
		race_pause(i);
		if (dma_buf_end_cpu_access(race->dmabuf, race->dir))
			race->errors++;
	}
}

/* Parts of all sizes, up to the whole buffer */
static void race_part_syncer(void *data)
{
	struct race *race = data;
	size_t size = race->dmabuf->size;
	int i;

	for (i = 0; i < RACE_ROUNDS; i++) {
		size_t offset = i * 611 % size;
		size_t len = (size - offset) >> i % 4 ?: 1;

		if (dma_buf_begin_cpu_access_partial(race->dmabuf, race->dir,
						     offset, len))
			race->errors++;
		race_pause(i);
		if (dma_buf_end_cpu_access_partial(race->dmabuf, race->dir,
						   offset, len))
			race->errors++;
	}
}

static void race_use(struct race *race, int round)
{
	size_t size = race->dmabuf->size;
	unsigned long addr;

	addr = vm_mmap(race->dmabuf->file, 0, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED, 0);
	if (IS_ERR_VALUE(addr)) {
		race->errors++;
		return;
	}

	if (copy_to_user((void __user *)(addr + round % size), "x", 1))
		race->errors++;
	race_pause(round);
	if (vm_munmap(addr, size))
		race->errors++;
}

static void race_user(void *data)
{
	struct race *race = data;
	int i;

	kthread_use_mm(race->mm);
	for (i = 0; i < RACE_ROUNDS; i++)
		race_use(race, i);
	kthread_unuse_mm(race->mm);
}

static void race_vmapper(void *data)
{
	struct race *race = data;
	struct iosys_map map;
	int i;

	for (i = 0; i < RACE_ROUNDS; i++) {
		if (dma_buf_vmap_unlocked(race->dmabuf, &map)) {
			race->errors++;
			continue;
		}
		race_pause(i);
		dma_buf_vunmap_unlocked(race->dmabuf, &map);
	}
}

/*
 * The exporter must not sync an unmapped table, use a detached attachment or flush a
 * removed kernel mapping. CONFIG_DMA_API_DEBUG, KASAN and list debugging find that.
 * buffer_test_exit() checks for DMA errors.
 */
void buffer_test_race_leaves_nothing_mapped(struct kunit *test)
{
	static void (* const funcs[])(void *data) = {
		race_mapper, race_mapper, race_attacher, race_syncer,
		race_syncer, race_vmapper, race_part_syncer, race_user,
	};
	static const enum dma_data_direction dirs[] = {
		DMA_TO_DEVICE, DMA_FROM_DEVICE, DMA_BIDIRECTIONAL,
		DMA_TO_DEVICE, DMA_BIDIRECTIONAL, DMA_BIDIRECTIONAL,
		DMA_BIDIRECTIONAL, DMA_BIDIRECTIONAL,
	};
	struct heap_test_job jobs[ARRAY_SIZE(funcs)] = {};
	struct race races[ARRAY_SIZE(funcs)] = {};
	struct buffer_test *ctx = test->priv;
	struct dma_buf_attachment *shared;
	struct dma_buf *dmabuf = test_buffer_alloc(test);
	struct test_mapping *mapping;
	unsigned int i;

	/* Give this task an address space */
	kunit_vm_mmap(test, NULL, 0, PAGE_SIZE, PROT_READ,
		      MAP_PRIVATE | MAP_ANONYMOUS, 0);
	KUNIT_ASSERT_NOT_NULL(test, current->mm);

	shared = test_buffer_attach(test, dmabuf, ctx->dev[0]);
	for (i = 0; i < ARRAY_SIZE(jobs); i++) {
		races[i].mm = current->mm;
		races[i].dmabuf = dmabuf;
		races[i].dev = ctx->dev[1];
		races[i].shared = shared;
		races[i].dir = dirs[i];
		jobs[i].func = funcs[i];
		jobs[i].data = &races[i];
	}
	heap_test_run_jobs(test, jobs, ARRAY_SIZE(jobs));

	for (i = 0; i < ARRAY_SIZE(jobs); i++)
		KUNIT_EXPECT_EQ_MSG(test, races[i].errors, 0, "job %u", i);
	KUNIT_EXPECT_EQ(test, races[2].mapped, RACE_ROUNDS);
	/* The first mapper found no other direction mapped */
	KUNIT_EXPECT_GT(test, races[0].mapped + races[1].mapped, 0);

	/* Nothing is left mapped: any direction fits */
	for (i = 0; i < ARRAY_SIZE(test_directions); i++) {
		mapping = test_buffer_map(test, shared, test_directions[i].dir);
		test_buffer_expect_mapped(test, ctx->dev[0], mapping->sgt);
		test_buffer_unmap(test, mapping);
	}
}

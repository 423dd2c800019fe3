/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture of tests of pools: a heap whose pool is empty, takes all it gets and
 * keeps it. After each test, passed or not, nothing of the pool may be left in the
 * kernel's counters and no memory missing, and the knobs are what they were.
 */
#ifndef HEAP_POOL_FIXTURE_H
#define HEAP_POOL_FIXTURE_H

#include "heap_fixture.h"

FIXTURE(pool)
{
	int fd;
	/* Negative without heap_test_importer */
	int importer;
	int open_fds;
	int buffers;
	long long bytes;
	long long max_bytes;
	long long decay_ms;
	long long percent;
	long long reclaimable;
	long available;
	struct pool_stats stats;
};

FIXTURE_VARIANT(pool)
{
	char name[HEAP_NAME_SIZE];
};

FIXTURE_SETUP(pool)
{
	self->fd = heap_open(variant->name, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->importer = importer_open();
	if (pool_read_stats(variant->name, &self->stats))
		SKIP_UNLESS_NEEDED(return, "pool", "no pool behind %s",
				   variant->name);
	self->max_bytes = pool_get(variant->name, "max_bytes");
	ASSERT_LE(0, self->max_bytes);
	self->decay_ms = pool_get(variant->name, "decay_ms");
	ASSERT_LE(0, self->decay_ms);

	/* After reclaim a pool keeps nothing for a while */
	ASSERT_TRUE(WAIT_FOR(pool_keeps(variant->name, self->fd)));
	/* This empties the pools of other heaps, too: one kernel counter serves all */
	self->available = mem_available_kib();
	ASSERT_TRUE(WAIT_FOR(pool_empty(variant->name)));
	self->reclaimable = vm_counter("nr_kernel_misc_reclaimable");
	self->open_fds = open_fds();
	self->buffers = heap_buffers(variant->name);
	self->bytes = heap_attr(variant->name, "bytes");
	ASSERT_EQ(0, pool_set(variant->name, "max_bytes",
			      KIB(meminfo_kib("MemTotal:"))));
	self->percent = pools_percent();
	ASSERT_EQ(0, pools_set_percent(100));
	ASSERT_EQ(0, pool_set(variant->name, "decay_ms", 600000));
	ASSERT_EQ(0, pool_read_stats(variant->name, &self->stats));
}

FIXTURE_TEARDOWN(pool)
{
	EXPECT_EQ(self->open_fds, open_fds());
	EXPECT_EQ(self->buffers, heap_buffers(variant->name));
	EXPECT_EQ(self->bytes, heap_attr(variant->name, "bytes"));
	EXPECT_EQ(0, pools_set_percent(self->percent));
	EXPECT_EQ(0, pool_set(variant->name, "max_bytes", self->max_bytes));
	EXPECT_EQ(0, pool_set(variant->name, "decay_ms", self->decay_ms));
	EXPECT_TRUE(WAIT_FOR(pool_empty(variant->name)));
	EXPECT_EQ(self->reclaimable, vm_counter("nr_kernel_misc_reclaimable"));
	EXPECT_MEM_BACK(self->available);
	close(self->importer);
	close(self->fd);
}

#define POOL_TEST(name)	TEST_F_TIMEOUT(pool, name, 2 * HEAP_TEST_TIMEOUT)

/* By how much a counter of the pool is higher than at the start of the test */
#define COUNTED(counter)						\
	pool_counted(variant->name, &self->stats,			\
		     offsetof(struct pool_stats, counter))

#endif /* HEAP_POOL_FIXTURE_H */

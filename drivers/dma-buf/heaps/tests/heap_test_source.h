/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A mock source for the KUnit suites of the pool
 *
 * The mock source tracks each backing, and can hold the scrubber in the middle of its
 * work. The suites are one module, so no function is exported.
 */
#ifndef _HEAP_TEST_SOURCE_H
#define _HEAP_TEST_SOURCE_H

#include <linux/list.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>

#include "../heap_source.h"

struct task_struct;

/* Tests fill a backing with this value */
#define DIRT		0xa5

/* Largest length in one call of scrub */
#define PIECE		SZ_2M

/**
 * struct mock_backing - a backing; the struct outlives the memory
 * @base: the backing as the pool sees it
 * @mock: source of the backing
 * @in_mock: entry in a list of the source
 * @pages: size in pages
 * @live: the pool has not given it back yet
 * @used: a test has it now
 * @dirty: a test has had it
 * @scrubbed: bytes scrubbed since the last use
 * @written_back: bytes of @scrubbed that the pool wanted written back, too
 * @gone: its number, from 1, in the order of backings given back; 0 if it was not
 */
struct mock_backing {
	struct dma_heap_backing base;
	struct mock_source *mock;
	struct list_head in_mock;
	unsigned int pages;
	bool live;
	bool used;
	bool dirty;
	size_t scrubbed;
	size_t written_back;
	unsigned int gone;
};

/**
 * struct mock_counts - counters of a mock source
 * @calls: calls of alloc
 * @freed: how many backings were given back
 * @allocated_pages: pages handed out
 * @freed_pages: pages taken back
 * @used_pages: pages that tests have now
 * @by_scrubber: pages that the scrubber scrubbed
 * @by_others: pages that other tasks scrubbed
 * @in_vain: scrubbed pages of backings that were given back half scrubbed
 * @scrubs: calls of scrub
 * @lost: how many of @freed were not zeroed, although the source is reserved
 * @policy: scheduling policy of the scrubber in its last scrub
 * @errors: calls that the pool must not make
 */
struct mock_counts {
	unsigned int calls;
	unsigned int freed;
	unsigned long allocated_pages;
	unsigned long freed_pages;
	unsigned long used_pages;
	unsigned long by_scrubber;
	unsigned long by_others;
	unsigned long in_vain;
	unsigned int scrubs;
	unsigned int lost;
	unsigned int policy;
	unsigned int errors;
};

/**
 * struct mock_source - a source that tracks memory of the page allocator
 * @base: the source as the pool sees it
 * @gate: where the scrubber and other tasks wait
 * @hold: the scrubber waits before its next scrub
 * @held: the scrubber waits now
 * @stop_opens: kthread_stop() ends the wait of the scrubber
 * @scrubber: thread of the scrubber, set by its first scrub; valid while the pool exists
 * @hold_payer: other tasks wait before they scrub
 * @payer_held: a task waits to scrub
 * @hold_free: tasks that give back wait before the source takes the backing
 * @free_held: a task waits to give back
 * @last_nid: node of the last chunk of each new backing, NUMA_NO_NODE if it may be the
 *	      node of the other chunks
 * @lock: protects all members that follow
 * @ret: error that all calls of alloc return, or 0
 * @fail_at: number of the call of alloc, from 1, that fails with -ENOMEM
 * @scrub_fail_at: number of the call of scrub, from 1, that fails
 * @scrub_error: what it fails with, or 0 for -EIO
 * @live: backings that were not given back yet
 * @gone: backings that were given back
 * @counts: the counters
 */
struct mock_source {
	struct dma_heap_source base;
	wait_queue_head_t gate;
	bool hold;
	bool held;
	bool stop_opens;
	struct task_struct *scrubber;
	bool hold_payer;
	bool payer_held;
	bool hold_free;
	bool free_held;
	int last_nid;

	spinlock_t lock;	/* see above */
	int ret;
	unsigned int fail_at;
	unsigned int scrub_fail_at;
	int scrub_error;
	struct list_head live;
	struct list_head gone;
	struct mock_counts counts;
};

struct mock_backing *to_mock_backing(struct dma_heap_backing *backing);
struct mock_counts mock_counts(struct mock_source *mock);
unsigned int when_gone(struct mock_backing *backing);
void mock_open_gate(struct mock_source *mock);
void mock_open_scrubber_gate(struct mock_source *mock);

/* For a backing that a test has, or gets now */
bool backing_holds(struct mock_backing *backing, u8 value);
const char *backing_use(struct mock_backing *backing, unsigned int pages,
			u8 value);
void backing_put(struct mock_backing *backing);

void mock_source_init(struct mock_source *mock);

extern const struct dma_heap_source_ops mock_source_ops;

#endif /* _HEAP_TEST_SOURCE_H */

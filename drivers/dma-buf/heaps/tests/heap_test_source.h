/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A mock source for the KUnit suites of the pool
 *
 * The source knows of every backing where it is, and can stop the scrubber in
 * the middle of its work. The suites are one module, so nothing is exported.
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

/* What users of a backing leave in it */
#define DIRT		0xa5

/* So much is scrubbed at once */
#define PIECE		SZ_2M

/**
 * struct mock_backing - a backing, known for longer than it lives
 * @base: what the pool knows
 * @mock: source it comes from
 * @in_mock: entry in one of its lists
 * @pages: its size
 * @live: not given back yet
 * @used: somebody has it
 * @dirty: somebody had it
 * @scrubbed: bytes scrubbed since it was last used
 * @written_back: bytes of these whose cache lines were to be written back, too
 * @gone: that many were given back before and with it, 0 if it was not
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
 * struct mock_counts - what a mock source has seen
 * @calls: how often alloc was called
 * @freed: how many backings were given back
 * @allocated_pages: pages handed out
 * @freed_pages: pages taken back
 * @used_pages: pages of those somebody has
 * @by_scrubber: pages the scrubber scrubbed
 * @by_others: pages somebody else scrubbed
 * @in_vain: pages of both that were not scrubbed to the end
 * @scrubs: calls of scrub
 * @lost: how many of @freed were not scrubbed, though the source is reserved
 * @policy: how the scrubber was scheduled when it scrubbed last
 * @errors: calls that should not have been
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
 * struct mock_source - memory from the page allocator, with all known about it
 * @base: what the pool knows
 * @gate: where the scrubber and others wait
 * @hold: have the scrubber wait before the next chunk
 * @held: it does
 * @stop_opens: have it wait no longer when it is told to stop
 * @scrubber: the scrubber's thread, once it has scrubbed; as long as the pool lives
 * @hold_payer: have others wait before they scrub
 * @payer_held: somebody does
 * @hold_free: have those wait who give back, before they are heard
 * @free_held: somebody does
 * @last_nid: node of the last chunk of each new backing, NUMA_NO_NODE if it need not
 *	      be another one than that of the rest
 * @lock: protects all that follows
 * @ret: errno to fail with
 * @fail_at: which call, counted from 1, is to fail with -ENOMEM
 * @scrub_fail_at: which call of scrub, counted from 1, is to fail with -EIO
 * @live: backings that were not given back yet
 * @gone: those that were
 * @counts: what was seen
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
	struct list_head live;
	struct list_head gone;
	struct mock_counts counts;
};

struct mock_backing *to_mock_backing(struct dma_heap_backing *backing);
struct mock_counts mock_counts(struct mock_source *mock);
unsigned int when_gone(struct mock_backing *backing);
void mock_open_gate(struct mock_source *mock);
void mock_open_scrubber_gate(struct mock_source *mock);

/* Of what somebody has, or will in a moment */
bool backing_holds(struct mock_backing *backing, u8 value);
const char *backing_use(struct mock_backing *backing, unsigned int pages,
			u8 value);
void backing_put(struct mock_backing *backing);

void mock_source_init(struct mock_source *mock);

extern const struct dma_heap_source_ops mock_source_ops;

#endif /* _HEAP_TEST_SOURCE_H */

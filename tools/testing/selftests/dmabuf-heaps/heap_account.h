/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture of tests of what a heap tells of itself in sysfs: a heap, its limits as
 * they are to be again, and its counters before.
 */
#ifndef HEAP_ACCOUNT_H
#define HEAP_ACCOUNT_H

#include <limits.h>

#include "heap_fixture.h"

#define NOBODY		65534
#define MAX_TEXT	64

enum failure {
	TOO_LARGE,
	OVER_LIMIT,
	MEMCG,
	NOMEM,
	KILLED,
	NR_FAILURES,
};

static const char *const failure_attrs[NR_FAILURES] = {
	"failures/too_large", "failures/limit", "failures/memcg",
	"failures/nomem", "failures/killed",
};

static const char *const fact_attrs[] = {
	"cached", "contiguous", "protected", "reserved", "alignment", "dma_bits",
	"alias_of", "fallback", "failures/last",
};

static const char *const limit_attrs[] = { "buffer_limit_bytes", "heap_limit_bytes" };
static const char *const peak_attrs[] = { "peak_bytes", "peak_buffers" };

static const char *const count_attrs[] = {
	"fallbacks", "bytes", "buffers", "failures/too_large", "failures/limit",
	"failures/memcg", "failures/nomem", "failures/killed",
	"pool/zeroed_bytes", "pool/unzeroed_bytes", "pool/hits", "pool/dirty_hits",
	"pool/misses", "pool/scrubbed_bytes", "pool/untouched_bytes", "pool/lost_bytes",
	"pool/waited_us",
};

FIXTURE(account)
{
	int fd;
	int open_fds;
	long long bytes;
	long long buffers;
	long long failures[NR_FAILURES];
	/* Of its pool; negative if it has none */
	long long max_bytes;
	char limits[ARRAY_SIZE(limit_attrs)][MAX_TEXT];
};

FIXTURE_VARIANT(account)
{
	char name[HEAP_NAME_SIZE];
};

FIXTURE_SETUP(account)
{
	int i;

	self->fd = heap_open(variant->name, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->open_fds = open_fds();
	self->bytes = heap_attr(variant->name, "bytes");
	ASSERT_LE(0, self->bytes);
	self->buffers = heap_attr(variant->name, "buffers");
	ASSERT_LE(0, self->buffers);
	for (i = 0; i < NR_FAILURES; i++) {
		self->failures[i] = heap_attr(variant->name, failure_attrs[i]);
		ASSERT_LE(0, self->failures[i]);
	}
	self->max_bytes = pool_get(variant->name, "max_bytes");
	for (i = 0; i < ARRAY_SIZE(limit_attrs); i++)
		ASSERT_EQ(0, heap_attr_read(variant->name, limit_attrs[i],
					    self->limits[i], MAX_TEXT));
}

FIXTURE_TEARDOWN(account)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(limit_attrs); i++)
		EXPECT_EQ(0, heap_attr_write(variant->name, limit_attrs[i],
					     self->limits[i]));
	if (self->max_bytes >= 0)
		EXPECT_EQ(0, pool_set(variant->name, "max_bytes", self->max_bytes));
	EXPECT_EQ(self->bytes, heap_attr(variant->name, "bytes"));
	EXPECT_EQ(self->buffers, heap_attr(variant->name, "buffers"));
	EXPECT_EQ(self->open_fds, open_fds());
	close(self->fd);
}

#define ACCOUNT_TEST(name)	TEST_F_TIMEOUT(account, name, HEAP_TEST_TIMEOUT)

/* What there is more than before the test */
#define EXPECT_IN_USE(more_buffers, more_bytes) do {			\
	EXPECT_EQ(self->buffers + (long long)(more_buffers),		\
		  heap_attr(variant->name, "buffers"));			\
	EXPECT_EQ(self->bytes + (long long)(more_bytes),		\
		  heap_attr(variant->name, "bytes"));			\
} while (0)

/* Allocations that have failed since the test began, for that reason */
static inline long long failed_since(const char *heap, const long long *before,
				     enum failure reason)
{
	return heap_attr(heap, failure_attrs[reason]) - before[reason];
}

#define FAILED(reason)	failed_since(variant->name, self->failures, reason)

#define EXPECT_FAILED(too_large, limit, memcg, nomem, killed) do {	\
	EXPECT_EQ(too_large, FAILED(TOO_LARGE));			\
	EXPECT_EQ(limit, FAILED(OVER_LIMIT));				\
	EXPECT_EQ(memcg, FAILED(MEMCG));				\
	EXPECT_EQ(nomem, FAILED(NOMEM));				\
	EXPECT_EQ(killed, FAILED(KILLED));				\
} while (0)

#endif /* HEAP_ACCOUNT_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture of tests that need all heaps at once: after each test the heaps have as
 * many buffers as before, and the knobs of their pools are what they were.
 */
#ifndef HEAP_ALL_H
#define HEAP_ALL_H

#include "heap_fixture.h"

static const char *const pool_knobs[] = { "max_bytes", "decay_ms" };

FIXTURE(all)
{
	int fds[HEAP_MAX];
	long long bytes[HEAP_MAX];
	long long buffers[HEAP_MAX];
	/* Negative where there is no pool */
	long long knobs[HEAP_MAX][ARRAY_SIZE(pool_knobs)];
	int open_fds;
};

FIXTURE_SETUP(all)
{
	int i, j;

	for (i = 0; i < heap_count; i++) {
		self->fds[i] = heap_open(heap_list[i], O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, self->fds[i]);
		self->bytes[i] = heap_attr(heap_list[i], "bytes");
		ASSERT_LE(0, self->bytes[i]);
		self->buffers[i] = heap_attr(heap_list[i], "buffers");
		ASSERT_LE(0, self->buffers[i]);
		for (j = 0; j < ARRAY_SIZE(pool_knobs); j++)
			self->knobs[i][j] = pool_get(heap_list[i], pool_knobs[j]);
	}
	self->open_fds = open_fds();
}

FIXTURE_TEARDOWN(all)
{
	int i, j;

	EXPECT_EQ(self->open_fds, open_fds());
	for (i = 0; i < heap_count; i++) {
		for (j = 0; j < ARRAY_SIZE(pool_knobs); j++)
			if (self->knobs[i][j] >= 0)
				EXPECT_EQ(0, pool_set(heap_list[i], pool_knobs[j],
						      self->knobs[i][j]));
		EXPECT_EQ(self->bytes[i], heap_attr(heap_list[i], "bytes"));
		EXPECT_EQ(self->buffers[i], heap_attr(heap_list[i], "buffers"));
		close(self->fds[i]);
	}
}

#endif /* HEAP_ALL_H */

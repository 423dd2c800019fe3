/* SPDX-License-Identifier: GPL-2.0 */
/* What a test of one heap must not leave behind */
#ifndef HEAP_LEFT_H
#define HEAP_LEFT_H

struct heap_left {
	int open_fds;
	/* Of the list of buffers, and of the heap's accounts */
	int buffers;
	long long counted;
	long long bytes;
};

struct heap_left heap_left(const char *heap_name);

/* For a teardown: @before is from the end of the setup */
#define EXPECT_NOTHING_LEFT(before, heap_name) do {			\
	struct heap_left _before = before;				\
	struct heap_left _left = heap_left(heap_name);			\
									\
	EXPECT_EQ(_before.open_fds, _left.open_fds);			\
	EXPECT_EQ(_before.buffers, _left.buffers);			\
	EXPECT_EQ(_before.counted, _left.counted);			\
	EXPECT_EQ(_before.bytes, _left.bytes);				\
} while (0)

#endif /* HEAP_LEFT_H */

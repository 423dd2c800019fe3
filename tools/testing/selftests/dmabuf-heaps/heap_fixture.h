/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture of the DMA-BUF heap tests: one open heap.
 *
 * Its variants are the heaps found in /dev/dma_heap, so that every test runs
 * on every heap; HEAP in the environment restricts that to those it names, with
 * blanks in between. After each test, passed or not, no descriptor and no buffer
 * may be left over, nor may any be in the heap's accounts.
 */
#ifndef HEAP_FIXTURE_H
#define HEAP_FIXTURE_H

#include "../kselftest_harness.h"
#include "heap_helpers.h"

#include <fcntl.h>

/* Emulated machines and sanitizers are slow; a hang is what this is for */
#define HEAP_TEST_TIMEOUT	400

/*
 * What free memory may change by from reading to reading, for all that goes on
 * beside the test; a leak that is looked for is made larger than that.
 */
#define MEM_TOLERANCE_KIB	(16 * 1024)

/* What there was is there again; some of it may be on its way for a while */
#define EXPECT_MEM_BACK(before) do {					\
	long _before = before;						\
									\
	EXPECT_TRUE(WAIT_FOR(mem_available_kib() >			\
			     _before - MEM_TOLERANCE_KIB))		\
		TH_LOG("%ld KiB, then %ld", _before, mem_available_kib());	\
} while (0)

#define HEAP_TEST(name)	TEST_F_TIMEOUT(heap, name, HEAP_TEST_TIMEOUT)

FIXTURE(heap)
{
	int fd;
	int open_fds;
	int buffers;
	long long bytes;
	long long counted;
};

FIXTURE_VARIANT(heap)
{
	char name[HEAP_NAME_SIZE];
};

FIXTURE_SETUP(heap)
{
	self->fd = heap_open(variant->name, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->open_fds = open_fds();
	ASSERT_LT(0, self->open_fds);
	self->buffers = heap_buffers(variant->name);
	self->bytes = heap_attr(variant->name, "bytes");
	self->counted = heap_attr(variant->name, "buffers");
}

FIXTURE_TEARDOWN(heap)
{
	EXPECT_EQ(self->open_fds, open_fds());
	EXPECT_EQ(self->buffers, heap_buffers(variant->name));
	EXPECT_EQ(self->bytes, heap_attr(variant->name, "bytes"));
	EXPECT_EQ(self->counted, heap_attr(variant->name, "buffers"));
	EXPECT_EQ(0, close(self->fd));
}

/* How many buffers there are more than at the start, if the kernel tells */
#define EXPECT_NEW_BUFFERS(count) \
	EXPECT_EQ(self->buffers < 0 ? -1 : self->buffers + (count), \
		  heap_buffers(variant->name))

static char heap_list[HEAP_MAX][HEAP_NAME_SIZE];
static int heap_count;

/*
 * Gives a fixture all heaps as variants. Its FIXTURE_VARIANT() has to consist
 * of a name of HEAP_NAME_SIZE bytes.
 */
static void heap_register(struct __fixture_metadata *fixture)
{
	struct __fixture_variant_metadata *variants;
	int i;

	variants = calloc(heap_count, sizeof(*variants));
	if (!variants)
		exit(KSFT_FAIL);

	for (i = 0; i < heap_count; i++) {
		variants[i].name = heap_list[i];
		variants[i].data = heap_list[i];
		__register_fixture_variant(fixture, &variants[i]);
	}
}

/* How many heaps HEAP in the environment names */
static int heaps_asked_for(void)
{
	const char *at = getenv("HEAP");
	int count = 0;

	while (at && *(at += strspn(at, " "))) {
		at += strcspn(at, " ");
		count++;
	}

	return count;
}

/* To be called first by main(); does not return if there is nothing to test */
static void heap_tests_init(void)
{
	heap_count = heap_names(heap_list, HEAP_MAX);
	if (heap_count && heap_count >= heaps_asked_for()) {
		heap_register(&_heap_fixture_object);
		return;
	}

	ksft_print_header();
	/* A name that is not there is a mistake, a kernel without heaps is not */
	if (getenv("HEAP") && !access(HEAP_DIR, F_OK))
		ksft_exit_fail_msg("not all of %s in %s\n", getenv("HEAP"),
				   HEAP_DIR);
	ksft_exit_skip("no heap in %s\n", HEAP_DIR);
}

#endif /* HEAP_FIXTURE_H */

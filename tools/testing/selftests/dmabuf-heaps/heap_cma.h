/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture of the tests of CMA heaps: one heap on a CMA area. Its variants are the
 * heaps of all areas; HEAP in the environment restricts that to those it names.
 */
#ifndef HEAP_CMA_H
#define HEAP_CMA_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../kselftest_harness.h"
#include "heap_helpers.h"
#include "heap_left.h"
#include "heap_regions.h"

#define TIMEOUT		400
#define SEED		71
#define MAX_BUFS	1024

/* CONFIG_CMA_ALIGNMENT: what nothing needs more than to be aligned to, in bytes */
#define ALIGNMENT	MIB(1)

/* An image whose buffer is no whole number of either */
#define NV12_1080P	(1920 * 1080 * 3 / 2)

static struct cma_heap heaps[MAX_AREAS];
static int heap_count;

/* A heap whose pool is empty and keeps what it gets. All is had back later. */
FIXTURE(cma)
{
	int fd;
	int importer;
	struct heap_left left;
	long long pages;
	long long base;
	/* Allocated by others */
	long long others;
	long long max_bytes;
	long long decay_ms;
};

FIXTURE_VARIANT(cma)
{
	struct cma_heap name;
};

FIXTURE_SETUP(cma)
{
	const char *heap = variant->name.heap, *area = variant->name.area;
	int i;

	self->fd = heap_open(heap, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->importer = importer_open();
	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	self->pages = area_get(area, "count");
	self->base = area_get(area, "base_pfn");
	ASSERT_LT(0, self->pages);
	self->max_bytes = pool_get(heap, "max_bytes");
	self->decay_ms = pool_get(heap, "decay_ms");
	ASSERT_LE(0, self->max_bytes);
	ASSERT_EQ(0, pool_set(heap, "decay_ms", 600000));
	ASSERT_TRUE(WAIT_FOR(pool_keeps(variant->name.pool, self->fd)));
	/* Another heap on the area can keep pages, and they would go during the test */
	for (i = 0; i < heap_count; i++)
		if (!strcmp(heaps[i].area, area))
			ASSERT_TRUE(WAIT_FOR(pool_empty(heaps[i].pool)));
	self->others = area_get(area, "used");
	self->left = heap_left(heap);
}

FIXTURE_TEARDOWN(cma)
{
	const char *heap = variant->name.heap, *area = variant->name.area;

	EXPECT_NOTHING_LEFT(self->left, heap);
	EXPECT_TRUE(WAIT_FOR(pool_empty(variant->name.pool)));
	EXPECT_EQ(self->others, area_get(area, "used"));
	EXPECT_EQ(0, pool_set(heap, "max_bytes", self->max_bytes));
	EXPECT_EQ(0, pool_set(heap, "decay_ms", self->decay_ms));
	close(self->importer);
	close(self->fd);
}

#define CMA_TEST(name)	TEST_F_TIMEOUT(cma, name, TIMEOUT)

static inline size_t bytes(long long pages)
{
	return pages * page_size();
}

static inline size_t round_up(size_t len, size_t unit)
{
	return (len + unit - 1) / unit * unit;
}

/* What a buffer of @len occupies when there is one after the other */
static inline size_t stride(size_t len)
{
	size_t unit = page_size();

	while (unit < len && unit < ALIGNMENT)
		unit *= 2;

	return round_up(len, unit);
}

/* The other name of a heap of the default area, or NULL */
static const char *other_name(const struct cma_heap *name)
{
	int i;

	for (i = 0; i < heap_count; i++)
		if (!strcmp(heaps[i].pool, name->pool) &&
		    strcmp(heaps[i].heap, name->heap))
			return heaps[i].heap;

	return NULL;
}

static inline bool pool_all_clean(const char *pool)
{
	return pool_is_clean(pool, pool_pages(pool));
}

static FIXTURE_VARIANT(cma) variant_data[MAX_AREAS];
static struct __fixture_variant_metadata variants[MAX_AREAS];

/* Of the default area: the tests of its names show that it is the same heap */
static bool is_second_name(const struct cma_heap *name)
{
	return other_name(name) && strncmp(name->heap, DEFAULT_AREA_HEAP,
					   strlen(DEFAULT_AREA_HEAP));
}

/* To be called first by main(); does not return if there is nothing to test */
static void cma_tests_init(void)
{
	bool chosen = false;
	int i;

	heap_count = cma_heaps_find(heaps, MAX_AREAS);
	if (!heap_count) {
		ksft_print_header();
		if (is_needed("cma"))
			ksft_exit_fail_msg("no CMA area, or no debugfs to see it\n");
		ksft_exit_skip("no CMA area, or no debugfs to see it\n");
	}
	for (i = 0; i < heap_count; i++) {
		if (is_second_name(&heaps[i]) ||
		    !heap_is_asked_for(heaps[i].heap))
			continue;
		variant_data[i].name = heaps[i];
		variants[i].name = heaps[i].heap;
		variants[i].data = &variant_data[i];
		__register_fixture_variant(&_cma_fixture_object, &variants[i]);
		chosen = true;
	}
	if (!chosen) {
		ksft_print_header();
		ksft_exit_skip("no CMA heap among %s\n", getenv("HEAP"));
	}
}

#endif /* HEAP_CMA_H */

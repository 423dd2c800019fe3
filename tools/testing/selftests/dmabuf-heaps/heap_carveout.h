/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture of the tests of carveouts: one region, all of which is free. Its
 * variants are the carveouts of the device tree that have room for more than one
 * buffer and are not protected; HEAP in the environment restricts that to those it
 * names.
 */
#ifndef HEAP_CARVEOUT_H
#define HEAP_CARVEOUT_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../kselftest_harness.h"
#include "heap_helpers.h"
#include "heap_left.h"
#include "heap_regions.h"

#define TIMEOUT		400
#define SEED		73
/* More than the largest region has room for, less than a process may have open */
#define MAX_BUFS	768

static struct carveout carveouts[MAX_CARVEOUTS];
static int carveout_count;

/*
 * A carveout that nobody uses: all of it is free and clean, before and after. Its
 * pool takes what it gets, and lets go of it later than a test lasts.
 */
FIXTURE(carveout)
{
	int fd;
	int importer;
	struct heap_left left;
	long long decay_ms;
	/* What there is behind it, if anything */
	bool falls_back;
	long long fallbacks;
};

FIXTURE_VARIANT(carveout)
{
	struct carveout region;
};

FIXTURE_SETUP(carveout)
{
	const struct carveout *region = &variant->region;
	int fd;

	self->fd = heap_open(region->heap, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd)
		TH_LOG("no heap %s", region->heap);
	self->importer = importer_open();
	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	self->decay_ms = pool_get(region->heap, "decay_ms");
	ASSERT_LE(0, self->decay_ms);
	ASSERT_EQ(0, carveout_settle(region));
	ASSERT_EQ(0, pool_set(region->heap, "decay_ms", 600000));
	fd = region->has_fallback ? heap_open(region->fallback, O_RDWR) : -1;
	self->falls_back = fd >= 0;
	close(fd);
	self->fallbacks = heap_attr(region->heap, "fallbacks");
	self->left = heap_left(region->heap);
}

FIXTURE_TEARDOWN(carveout)
{
	const struct carveout *region = &variant->region;

	EXPECT_NOTHING_LEFT(self->left, region->heap);
	EXPECT_EQ(0, carveout_settle(region))
		TH_LOG("free %lld of %llu bytes, %s",
		       carveout_get(region->heap, "free_bytes"),
		       region->size, pool_text(region->heap));
	EXPECT_EQ(0, pool_set(region->heap, "decay_ms", self->decay_ms));
	close(self->importer);
	close(self->fd);
}

#define CARVEOUT_TEST(name)	TEST_F_TIMEOUT(carveout, name, TIMEOUT)

/* What a buffer of @len occupies when there is one after the other */
static inline size_t stride(const struct carveout *region, size_t len)
{
	size_t alignment = carveout_alignment(region, len);

	return (len + alignment - 1) / alignment * alignment;
}

static FIXTURE_VARIANT(carveout) variant_data[MAX_CARVEOUTS];
static struct __fixture_variant_metadata variants[MAX_CARVEOUTS];

/* Where there is room for one buffer only, whatever its size */
static inline bool is_single(const struct carveout *region)
{
	return region->size <= region->alignment;
}

/* To be called first by main(); does not return if there is nothing to test */
static void carveout_tests_init(void)
{
	bool chosen = false;
	int i;

	carveout_count = carveouts_find(carveouts, MAX_CARVEOUTS);
	if (!carveout_count)
		skip_all("carveout", "no carveout in the device tree");
	for (i = 0; i < carveout_count; i++) {
		if (carveouts[i].protected || is_single(&carveouts[i]) ||
		    !heap_is_asked_for(carveouts[i].heap))
			continue;
		variant_data[i].region = carveouts[i];
		variants[i].name = carveouts[i].heap;
		variants[i].data = &variant_data[i];
		__register_fixture_variant(&_carveout_fixture_object,
					   &variants[i]);
		chosen = true;
	}
	if (!chosen) {
		ksft_print_header();
		ksft_exit_skip("no carveout among %s\n", getenv("HEAP"));
	}
}

#endif /* HEAP_CARVEOUT_H */

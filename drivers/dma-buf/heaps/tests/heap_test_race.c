// SPDX-License-Identifier: GPL-2.0
/*
 * Threads that use a pool at the same time, for the KUnit suites of the pool
 */

#include <linux/atomic.h>
#include <linux/err.h>

#include <kunit/test.h>

#include "../heap_source.h"
#include "heap_test_helpers.h"
#include "heap_test_pool.h"
#include "heap_test_race.h"
#include "heap_test_source.h"

void race_error(struct race *race, const char *wrong)
{
	race->errors++;
	race->wrong = wrong;
}

struct mock_backing *race_get(struct race *race, unsigned int pages)
{
	struct dma_heap_backing *base = pool_try_get(race->ctx, pages);
	const char *wrong;

	if (IS_ERR(base)) {
		race_error(race, "are none, though there is room");
		return NULL;
	}
	race->gets++;
	wrong = backing_use(to_mock_backing(base), pages, 1 + race->id);
	if (wrong) {
		race_error(race, wrong);
		return NULL;
	}

	return to_mock_backing(base);
}

void race_put(struct race *race, struct mock_backing *backing)
{
	if (!backing)
		return;
	if (!backing_holds(backing, 1 + race->id))
		race_error(race, "were written to by somebody else");
	backing_put(backing);
}

/* Returns how many backings the users got */
unsigned int race_run(struct pool_test *ctx, const race_func *funcs,
		      unsigned int users, unsigned int count)
{
	struct heap_test_job jobs[RACE_MAX_THREADS] = {};
	struct race races[RACE_MAX_THREADS] = {};
	struct kunit *test = ctx->test;
	unsigned int i, gets = 0;
	atomic_t left;

	KUNIT_ASSERT_LE(test, count, RACE_MAX_THREADS);
	atomic_set(&left, users);
	for (i = 0; i < count; i++) {
		races[i].ctx = ctx;
		races[i].id = i;
		races[i].users = &left;
		jobs[i].func = funcs[i];
		jobs[i].data = &races[i];
	}
	heap_test_run_jobs(test, jobs, count);

	for (i = 0; i < count; i++) {
		KUNIT_EXPECT_EQ_MSG(test, races[i].errors, 0, "job %u: pages that %s",
				    i, races[i].wrong);
		KUNIT_EXPECT_GT_MSG(test, races[i].gets, 0, "job %u", i);
		if (i < users)
			gets += races[i].gets;
	}

	return gets;
}

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The parts of the KUnit suites of the pool: each file has the cases of one purpose, and
 * an empty case ends its list
 */
#ifndef _HEAP_POOL_KUNIT_H
#define _HEAP_POOL_KUNIT_H

#include <kunit/test.h>

/* Cases of the suite dma_heap_pool */
extern const struct kunit_case pool_alloc_cases[];
extern const struct kunit_case pool_node_cases[];
extern const struct kunit_case pool_scrub_cases[];
extern const struct kunit_case pool_piece_cases[];
extern const struct kunit_case pool_decay_cases[];
extern const struct kunit_case pool_cap_cases[];
extern const struct kunit_case pool_shrink_cases[];
extern const struct kunit_case pool_prefill_cases[];
extern const struct kunit_case pool_fault_cases[];
extern const struct kunit_case pool_destroy_cases[];
extern const struct kunit_case pool_race_cases[];
extern const struct kunit_case give_back_cases[];

/* Cases of the suite dma_heap_reserved */
extern const struct kunit_case reserved_scrub_cases[];
extern const struct kunit_case reserved_search_cases[];
extern const struct kunit_case reserved_region_cases[];

#endif /* _HEAP_POOL_KUNIT_H */

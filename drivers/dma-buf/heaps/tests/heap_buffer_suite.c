// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit suite of the exporter of DMA-BUF heaps
 *
 * Each test has its own heap with a test source. The test's devices use the heap's
 * buffers through the dma-buf core.
 */

#include <linux/module.h>

#include <kunit/test.h>

#include "heap_test_buffer.h"

static struct kunit_case buffer_test_cases[] = {
	KUNIT_CASE(buffer_test_backing_returns_with_last_reference),
	KUNIT_CASE(buffer_test_source_error_reaches_caller),
	KUNIT_CASE(buffer_test_failed_export_frees_backing),
	KUNIT_CASE(buffer_test_attachments_go_in_any_order),
	KUNIT_CASE(buffer_test_failed_attach_leaves_nothing),
	KUNIT_CASE(buffer_test_device_sees_all_chunks),
	KUNIT_CASE(buffer_test_device_sees_chained_chunks),
	KUNIT_CASE(buffer_test_device_sees_single_chunk),
	KUNIT_CASE(buffer_test_segments_are_no_longer_than_device_takes),
	KUNIT_CASE(buffer_test_device_without_mask_can_attach),
	KUNIT_CASE(buffer_test_mappings_of_two_devices_are_independent),
	KUNIT_CASE_PARAM(buffer_test_second_map_must_fit_direction_of_first,
			 test_direction_gen_params),
	KUNIT_CASE(buffer_test_map_needs_direction),
	KUNIT_CASE(buffer_test_failed_map_affects_no_other_device),
	KUNIT_CASE_PARAM(buffer_test_second_map_shares_table,
			 test_direction_gen_params),
	KUNIT_CASE(buffer_test_table_keeps_first_direction),
	KUNIT_CASE(buffer_test_refused_map_calls_no_dma),
	KUNIT_CASE_PARAM(buffer_test_cpu_access_leaves_device_mappings,
			 test_direction_gen_params),
	KUNIT_CASE(buffer_test_vmap_lasts_until_last_user),
	KUNIT_CASE(buffer_test_vmap_of_one_chunk_is_linear_map),
	KUNIT_CASE_PARAM(buffer_test_cpu_access_keeps_vmap_writes,
			 test_direction_gen_params),
	KUNIT_CASE(buffer_test_failed_vmap_leaves_nothing),
	KUNIT_CASE_PARAM(buffer_test_uncached_buffer_is_never_synced,
			 test_direction_gen_params),
	KUNIT_CASE(buffer_test_uncached_buffer_is_not_copied),
	KUNIT_CASE(buffer_test_uncached_vmap_is_writecombined),
	KUNIT_CASE(buffer_test_noncoherent_device_marks_backing),
	KUNIT_CASE(buffer_test_coherent_device_leaves_backing_unmarked),
	KUNIT_CASE_SLOW(buffer_test_race_leaves_nothing_mapped),
	{}
};

static struct kunit_suite buffer_test_suite = {
	.name = "dma_heap_buffer",
	.init = buffer_test_init,
	.exit = buffer_test_exit,
	.test_cases = buffer_test_cases,
};

kunit_test_suite(buffer_test_suite);

MODULE_DESCRIPTION("KUnit tests of the exporter of DMA-BUF heaps");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS(DMA_BUF);
MODULE_IMPORT_NS(DMA_BUF_HEAP);
MODULE_IMPORT_NS(EXPORTED_FOR_KUNIT_TESTING);

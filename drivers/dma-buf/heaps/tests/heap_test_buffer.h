/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A buffer, its users and their accesses, for the suite of the exporter
 *
 * Buffers, attachments and mappings end with the test that made them. The suite is
 * one module, so nothing is exported.
 */
#ifndef _HEAP_TEST_BUFFER_H
#define _HEAP_TEST_BUFFER_H

#include <linux/array_size.h>
#include <linux/dma-direction.h>
#include <linux/dma-mapping.h>
#include <linux/iosys-map.h>
#include <linux/types.h>

#include "heap_test_helpers.h"

struct device;
struct dma_buf;
struct dma_buf_attachment;
struct dma_heap;
struct kunit;
struct page;
struct sg_table;

/* Default chunks of a buffer: the sizes go up and down */
#define TEST_BUFFER_CHUNKS	5
extern const u8 test_buffer_orders[TEST_BUFFER_CHUNKS];

/**
 * struct buffer_test - what every test starts with
 * @source: the test source
 * @heap: a heap of this source
 * @dev: two devices
 * @dma_errors: number of complaints of CONFIG_DMA_API_DEBUG before the test
 */
struct buffer_test {
	struct heap_test_source source;
	struct dma_heap *heap;
	struct device *dev[2];
	u32 dma_errors;
};

int buffer_test_init(struct kunit *test);
void buffer_test_exit(struct kunit *test);

/* Buffers. test_buffer_put() drops the last reference before it returns */
struct dma_buf *test_buffer_try_alloc(struct buffer_test *ctx);
void test_buffer_put(struct dma_buf *dmabuf);
struct dma_buf *test_buffer_alloc(struct kunit *test);
void test_buffer_free(struct kunit *test, struct dma_buf *dmabuf);
struct page *test_buffer_first_page(struct kunit *test);

/* Attachments of devices */
struct dma_buf_attachment *test_buffer_attach(struct kunit *test,
					      struct dma_buf *dmabuf,
					      struct device *dev);
void test_buffer_detach(struct kunit *test,
			struct dma_buf_attachment *attachment);

/**
 * struct test_mapping - one mapping of an attachment
 * @attachment: the attachment
 * @sgt: table that the map returned
 * @dir: direction asked for
 */
struct test_mapping {
	struct dma_buf_attachment *attachment;
	struct sg_table *sgt;
	enum dma_data_direction dir;
};

struct test_mapping *test_buffer_map(struct kunit *test,
				     struct dma_buf_attachment *attachment,
				     enum dma_data_direction dir);
void test_buffer_unmap(struct kunit *test, struct test_mapping *mapping);
void test_buffer_expect_mapped(struct kunit *test, struct device *dev,
			       struct sg_table *sgt);

/* CPU accesses */
void test_buffer_begin_access(struct kunit *test, struct dma_buf *dmabuf,
			      enum dma_data_direction dir);
void test_buffer_end_access(struct kunit *test, struct dma_buf *dmabuf,
			    enum dma_data_direction dir);

/**
 * struct test_vmapping - a mapping for the kernel
 * @dmabuf: the buffer
 * @map: address of the mapping
 */
struct test_vmapping {
	struct dma_buf *dmabuf;
	struct iosys_map map;
};

struct test_vmapping *test_buffer_vmap(struct kunit *test,
				       struct dma_buf *dmabuf);
void test_buffer_vunmap(struct kunit *test, struct test_vmapping *vmapping);

/* Write a number to each page through a mapping, and expect the numbers in the pages */
void test_buffer_mark(struct iosys_map *map, size_t size);
void test_buffer_expect_marks(struct kunit *test);

/* Directions of a mapping for a device, as parameters of tests */
#define TEST_DIRECTIONS	3

struct test_direction {
	const char *desc;
	enum dma_data_direction dir;
};

extern const struct test_direction test_directions[TEST_DIRECTIONS];

const void *test_direction_gen_params(const void *prev, char *desc);

/* Expected calls of the DMA API, each for all chunks of a buffer */
#define MAP(_dev, _dir) \
	{ _dev, HEAP_TEST_DMA_MAP, _dir, DMA_ATTR_SKIP_CPU_SYNC, \
	  TEST_BUFFER_CHUNKS }
#define UNMAP(_dev, _dir) \
	{ _dev, HEAP_TEST_DMA_UNMAP, _dir, DMA_ATTR_SKIP_CPU_SYNC, \
	  TEST_BUFFER_CHUNKS }

#define EXPECT_DMA(test, trace, ...) do { \
	const struct heap_test_dma_event _events[] = { __VA_ARGS__ }; \
	\
	heap_test_dma_trace_expect(test, trace, _events, \
				   ARRAY_SIZE(_events)); \
} while (0)

#define EXPECT_NO_DMA(test, trace) \
	heap_test_dma_trace_expect(test, trace, NULL, 0)

/* heap_buffer_map.c: buffers, devices and mappings for devices */
void buffer_test_backing_returns_with_last_reference(struct kunit *test);
void buffer_test_source_error_reaches_caller(struct kunit *test);
void buffer_test_failed_export_frees_backing(struct kunit *test);
void buffer_test_attachments_go_in_any_order(struct kunit *test);
void buffer_test_failed_attach_leaves_nothing(struct kunit *test);
void buffer_test_device_sees_all_chunks(struct kunit *test);
void buffer_test_device_sees_chained_chunks(struct kunit *test);
void buffer_test_device_sees_single_chunk(struct kunit *test);
void buffer_test_segments_are_no_longer_than_device_takes(struct kunit *test);
void buffer_test_device_without_mask_can_attach(struct kunit *test);
void buffer_test_mappings_of_two_devices_are_independent(struct kunit *test);
void buffer_test_second_map_must_fit_direction_of_first(struct kunit *test);
void buffer_test_map_needs_direction(struct kunit *test);
void buffer_test_failed_map_affects_no_other_device(struct kunit *test);
void buffer_test_second_map_shares_table(struct kunit *test);
void buffer_test_table_keeps_first_direction(struct kunit *test);
void buffer_test_refused_map_calls_no_dma(struct kunit *test);
void buffer_test_cpu_access_leaves_device_mappings(struct kunit *test);
void buffer_test_uncached_buffer_is_never_synced(struct kunit *test);
void buffer_test_noncoherent_device_marks_backing(struct kunit *test);
void buffer_test_coherent_device_leaves_backing_unmarked(struct kunit *test);

/* heap_buffer_vmap.c: mappings for the kernel */
void buffer_test_vmap_lasts_until_last_user(struct kunit *test);
void buffer_test_vmap_of_one_chunk_is_linear_map(struct kunit *test);
void buffer_test_cpu_access_keeps_vmap_writes(struct kunit *test);
void buffer_test_failed_vmap_leaves_nothing(struct kunit *test);
void buffer_test_uncached_buffer_is_not_copied(struct kunit *test);
void buffer_test_uncached_vmap_is_writecombined(struct kunit *test);

/* heap_buffer_race.c: everything at once */
void buffer_test_race_leaves_nothing_mapped(struct kunit *test);

#endif /* _HEAP_TEST_BUFFER_H */

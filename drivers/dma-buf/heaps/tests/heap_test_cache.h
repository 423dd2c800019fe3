/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A buffer, devices of three kinds, steps with them, and the exporter's cache
 * maintenance in each step
 *
 * A step is text. A device is a letter for its kind, and perhaps a number: n is
 * noncoherent, c is coherent, b gets copies (swiotlb). r, w and rw say how a device or
 * the CPU is about to access the buffer. A position in the buffer is a page, with
 * bytes to add or to subtract: 2+1, 3-64.
 *
 *	map n rw	unmap n
 *	begin r		end r		all of the buffer
 *	begin w 1..2	end w 1..2	a part of it
 *	mmap r		munmap		mprotect() can make it writable later,
 *	mmap rw				if the descriptor can write
 *	vmap		vunmap
 */
#ifndef _HEAP_TEST_CACHE_H
#define _HEAP_TEST_CACHE_H

#include <linux/dma-direction.h>
#include <linux/iosys-map.h>
#include <linux/types.h>

#include "heap_test_helpers.h"

struct device;
struct dma_buf;
struct dma_buf_attachment;
struct dma_heap;
struct kunit;
struct sg_table;
struct task_struct;

enum heap_cache_op {
	HEAP_CACHE_MAP,
	HEAP_CACHE_UNMAP,
	HEAP_CACHE_BEGIN,
	HEAP_CACHE_END,
	HEAP_CACHE_MMAP,
	HEAP_CACHE_MUNMAP,
	HEAP_CACHE_VMAP,
	HEAP_CACHE_VUNMAP,
};

/**
 * struct heap_cache_step - a step with the buffer
 * @op: what to do
 * @user: the device, an index of @users in &struct heap_cache, for map and unmap
 * @dir: direction as the call takes it, for unmap as for map
 * @offset: first byte, for begin and end
 * @len: bytes, for begin and end
 */
struct heap_cache_step {
	enum heap_cache_op op;
	unsigned int user;
	enum dma_data_direction dir;
	size_t offset;
	size_t len;
};

static inline bool step_is_access(const struct heap_cache_step *step)
{
	return step->op == HEAP_CACHE_BEGIN || step->op == HEAP_CACHE_END;
}

/* Users by kind: the first user of each kind, and the number of users */
#define HEAP_CACHE_NONCOHERENT	0
#define HEAP_CACHE_COHERENT	8
#define HEAP_CACHE_BOUNCING	10
#define HEAP_CACHE_USERS	11

/**
 * struct heap_cache_user - a device of the test
 * @dev: the device, NULL if the machine has none of this kind
 * @attachment: its attachment, made by the first map
 * @sgt: the table of its mapping
 * @mapped: number of its mappings
 */
struct heap_cache_user {
	struct device *dev;
	struct dma_buf_attachment *attachment;
	struct sg_table *sgt;
	unsigned int mapped;
};

enum heap_cache_event_type {
	HEAP_CACHE_WRITE_BACK,
	HEAP_CACHE_DROP,
	/* Sync to the device, and from the device, through its own mapping */
	HEAP_CACHE_TO_USER,
	HEAP_CACHE_FROM_USER,
	/* Map for a device that gets copies (swiotlb): the map copies all bytes */
	HEAP_CACHE_TABLE,
	/* Anything else */
	HEAP_CACHE_UNEXPECTED,
};

/**
 * struct heap_cache_event - an action of the exporter on caches or copies
 * @type: kind of action
 * @user: the device, for actions on its own mapping
 * @dir: direction in the call
 * @start: first byte in the buffer
 * @end: end of the range
 */
struct heap_cache_event {
	enum heap_cache_event_type type;
	unsigned int user;
	enum dma_data_direction dir;
	size_t start;
	size_t end;
};

#define HEAP_CACHE_EVENTS	32
#define HEAP_CACHE_MAPS		4

/**
 * struct heap_cache - a buffer and its users
 * @test: the test
 * @source: source of the buffer's memory
 * @heap: the buffer's heap
 * @dmabuf: the buffer, NULL if there is none now
 * @users: the devices
 * @vmas: addresses of the mappings for user space
 * @vma_count: number of @vmas
 * @vmap: the kernel mapping
 * @vmapped: there is a kernel mapping
 * @task: task that does the steps
 * @heap_is_coherent: the heap's device is coherent
 * @dma_errors: number of complaints of CONFIG_DMA_API_DEBUG before the test
 * @page: arguments of the map of the page that is being maintained
 * @events: events of the last step
 * @event_count: number of these events, also if not all of them fitted
 */
struct heap_cache {
	struct kunit *test;
	struct heap_test_source source;
	struct dma_heap *heap;
	struct dma_buf *dmabuf;
	struct heap_cache_user users[HEAP_CACHE_USERS];
	unsigned long vmas[HEAP_CACHE_MAPS];
	unsigned int vma_count;
	struct iosys_map vmap;
	bool vmapped;
	struct task_struct *task;
	bool heap_is_coherent;
	u32 dma_errors;
	struct {
		bool open;
		phys_addr_t phys;
		size_t len;
		enum dma_data_direction dir;
		unsigned long attrs;
	} page;
	struct heap_cache_event events[HEAP_CACHE_EVENTS];
	unsigned int event_count;
};

struct heap_cache *heap_cache_init(struct kunit *test);
bool heap_cache_make_heap_coherent(struct heap_cache *cache);
void heap_cache_alloc(struct heap_cache *cache, u32 fd_flags);
void heap_cache_free(struct heap_cache *cache);

int heap_cache_parse(struct heap_cache *cache, const char *text,
		     struct heap_cache_step *step);
void heap_cache_print(struct heap_cache *cache,
		      const struct heap_cache_step *step, char *text,
		      size_t size);
void heap_cache_print_events(struct heap_cache *cache, char *text, size_t size);
int heap_cache_do(struct heap_cache *cache, const struct heap_cache_step *step);

#endif /* _HEAP_TEST_CACHE_H */

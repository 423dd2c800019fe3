/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A buffer, devices of three kinds, steps that are done with them, and what the
 * exporter does about caches then
 *
 * Steps are written as text. A device is its kind and perhaps a number: n goes
 * past the caches, c sees them, b bounces. r, w and rw say what a device or the
 * CPU is about to do. Positions in the buffer are pages, with bytes to add or to
 * take off: 2+1, 3-64.
 *
 *	map n rw	unmap n
 *	begin r		end r		all of the buffer
 *	begin w 1..2	end w 1..2	a part of it
 *	mmap r		munmap		as long as the descriptor can write, so
 *	mmap rw				can the first one, later
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
 * struct heap_cache_step - something done with the buffer
 * @op: what
 * @user: who, one of the users of &struct heap_cache, for map and unmap
 * @dir: in the sense of the call, for unmap as for map
 * @offset: first byte, for begin and end
 * @len: bytes
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

/* Users by kind: their first one, how many they are */
#define HEAP_CACHE_NONCOHERENT	0
#define HEAP_CACHE_COHERENT	8
#define HEAP_CACHE_BOUNCING	10
#define HEAP_CACHE_USERS	11

/**
 * struct heap_cache_user - a device of the test
 * @dev: the device, NULL if the machine has none of this kind
 * @attachment: its attachment, made with the first map
 * @sgt: the table of its mapping
 * @mapped: how often it has mapped the buffer
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
	/* Bytes to where the device works, and from there */
	HEAP_CACHE_TO_USER,
	HEAP_CACHE_FROM_USER,
	/* A bouncing device's table, with which all bytes go there, too */
	HEAP_CACHE_TABLE,
	/* Anything else */
	HEAP_CACHE_UNEXPECTED,
};

/**
 * struct heap_cache_event - what the exporter did about caches
 * @type: what
 * @user: for which device, if that matters
 * @dir: direction given for it
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
 * struct heap_cache - a buffer and those who use it
 * @test: the test
 * @source: where its memory is from
 * @heap: its heap
 * @dmabuf: the buffer, NULL if there is none now
 * @users: the devices
 * @vmas: where it is mapped for user space
 * @vma_count: how many of them there are
 * @vmap: its kernel mapping
 * @vmapped: is there one?
 * @task: who does the steps
 * @heap_is_coherent: does the heap's device see the caches?
 * @dma_errors: what CONFIG_DMA_API_DEBUG had to complain about before
 * @page: the page that is being maintained: what it was mapped with
 * @events: what the last step gave
 * @event_count: how many there were, even if not all fitted
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

/* SPDX-License-Identifier: GPL-2.0 */
/* Heaps: their nodes, their attributes in sysfs, and how many buffers they have */
#ifndef HEAP_DEVICE_H
#define HEAP_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/dma-heap.h>
#include <linux/types.h>

#define HEAP_DIR	"/dev/dma_heap"
#define HEAP_NAME_SIZE	256
#define HEAP_MAX	128

bool heap_is_asked_for(const char *name);
int heap_names(char names[][HEAP_NAME_SIZE], int max);
int heap_open(const char *name, int flags);
bool heap_exists(const char *name);
int heap_ioctl(int heap_fd, unsigned int cmd, void *arg);
int heap_alloc_flags(int heap_fd, __u64 len, __u32 fd_flags);
int heap_alloc(int heap_fd, __u64 len);

/*
 * Attributes of a heap, by their path below the heap's directory: as a number (or a
 * negative error), or as text without the end of the line.
 */
long long heap_attr(const char *heap_name, const char *attr);
int heap_attr_read(const char *heap_name, const char *attr, char *text,
		   size_t size);
int heap_attr_write(const char *heap_name, const char *attr, const char *text);
int heap_attr_set(const char *heap_name, const char *attr, long long value);

/* Its largest buffer; LLONG_MAX if it has no limit */
long long heap_largest(const char *heap_name);

/* @len, or what of it there is room for as often as @count says */
size_t heap_fitting(const char *heap_name, size_t len, int count);
bool heap_has_fallback(const char *heap_name);

/*
 * Of memory that was set aside for a heap there may be clean some where the pool has
 * none: it is taken before anything dirty, and if there is none, the scrubber is waited
 * for.
 */
bool heap_is_reserved(const char *heap_name);

/* -1 if the kernel has no list of buffers */
int heap_buffers(const char *heap_name);

#endif /* HEAP_DEVICE_H */

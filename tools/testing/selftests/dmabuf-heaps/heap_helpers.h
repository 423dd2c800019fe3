/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the DMA-BUF heap tests share and that does not depend on the harness.
 *
 * Functions that return int give 0 or a descriptor on success and -errno on
 * failure, so that a test can name the exact error in one line.
 */
#ifndef HEAP_HELPERS_H
#define HEAP_HELPERS_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/types.h>

#define HEAP_DIR	"/dev/dma_heap"
#define HEAP_NAME_SIZE	256
#define HEAP_MAX	128

#define KIB(n)		((size_t)(n) << 10)
#define MIB(n)		((size_t)(n) << 20)

/* Heaps */
int heap_names(char names[][HEAP_NAME_SIZE], int max);
int heap_open(const char *name, int flags);
int heap_ioctl(int heap_fd, unsigned int cmd, void *arg);
int heap_alloc_flags(int heap_fd, __u64 len, __u32 fd_flags);
int heap_alloc(int heap_fd, __u64 len);

/* Buffers */
size_t page_size(void);
size_t page_align(size_t len);
long long buf_size(int fd);
int buf_sync(int fd, __u64 flags);
void *buf_map(int fd, size_t len, int prot);

/*
 * Every 64-bit word of a pattern tells its offset and the seed, so that a page
 * that shows up in the wrong place or in the wrong buffer is noticed.
 * pattern_check() takes the offset of @p in the buffer and returns the offset
 * of the first wrong word, or -1.
 */
void pattern_fill(void *p, size_t offset, size_t len, __u32 seed);
long long pattern_check(const void *p, size_t offset, size_t len, __u32 seed);
long long find_nonzero(const void *p, size_t len);

/* vgem, a DRM device without hardware, as importer */
int vgem_open(void);
int vgem_import(int vgem, int fd, __u32 *handle);
int vgem_export(int vgem, __u32 handle);
int vgem_close_handle(int vgem, __u32 handle);
int vgem_next_offset(int vgem, size_t len, __u64 *offset);

/* What a failed call must not leave behind; -1 if that cannot be told */
int open_fds(void);
int heap_buffers(const char *heap_name);
long mem_available_kib(void);

/* File helpers */
int file_read(const char *path, char *buf, size_t size);
int file_write(const char *path, const char *text);

#endif /* HEAP_HELPERS_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Client side of the DMA-BUF heaps. Every function returns a negative errno
 * when it fails.
 */
#ifndef DEMO_HEAP_H
#define DEMO_HEAP_H

#include <dirent.h>
#include <linux/types.h>
#include <stddef.h>

/* The heaps of this machine, sorted by name; each entry and the list are freed by the caller. */
int heap_list(struct dirent ***list);

int heap_open(const char *name);

/* A new, zeroed buffer of at least @len bytes; returns its fd. */
int heap_alloc(int heap, size_t len);

/* The name shows in /proc/<pid>/fdinfo and in debugfs. */
int dmabuf_set_name(int fd, const char *name);

void *dmabuf_map(int fd, size_t len, int prot);

/* Around every CPU access; @flags: DMA_BUF_SYNC_READ, _WRITE or both. */
int dmabuf_begin(int fd, __u64 flags);
int dmabuf_end(int fd, __u64 flags);

/* How many buffers the whole system holds; needs debugfs and root. */
int dmabuf_usage(unsigned long *buffers, unsigned long *bytes);

#endif

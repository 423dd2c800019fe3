/* SPDX-License-Identifier: GPL-2.0 */
/* Buffers: sizes, ioctls, mappings */
#ifndef HEAP_BUF_H
#define HEAP_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <linux/dma-buf.h>
#include <linux/types.h>

/* For 32-bit programs the headers of their compiler come first, old as they are */
#ifndef DMA_BUF_IOCTL_SYNC_PARTIAL
struct dma_buf_sync_partial {
	__u64 flags;
	__u64 offset;
	__u64 len;
};

#define DMA_BUF_IOCTL_SYNC_PARTIAL \
	_IOW(DMA_BUF_BASE, 0x40, struct dma_buf_sync_partial)
#endif

#ifndef DMA_BUF_IOCTL_CHARGE
struct dma_buf_charge {
	__u64 flags;
};

#define DMA_BUF_IOCTL_CHARGE	_IOW(DMA_BUF_BASE, 0x41, struct dma_buf_charge)
#endif

#define READ_WRITE	(PROT_READ | PROT_WRITE)

#define KIB(n)		((size_t)(n) << 10)
#define MIB(n)		((size_t)(n) << 20)
/* What a test has in pages is as many on every machine */
#define PAGES(n)	((n) * page_size())

size_t page_size(void);
size_t page_align(size_t len);
long long pages_of(size_t len);

long long buf_size(int fd);
int buf_sync(int fd, __u64 flags);
int buf_sync_partial(int fd, __u64 flags, __u64 offset, __u64 len);
int buf_charge(int fd, __u64 flags);
void *buf_map(int fd, size_t len, int prot);
int buf_use(int fd);
int buf_filled(int heap_fd, size_t len, __u32 seed);
long long buf_find_nonzero(int fd, size_t len);
void buf_fdinfo(int fd, const char *field, char *value, size_t size);
const char *buf_exporter(int fd);

/* Reads a byte, and writes it back; returns the signal that raised, or 0 */
int touch(char *p, bool write);
int touch_pages(char *p, size_t len, bool write);

#endif /* HEAP_BUF_H */

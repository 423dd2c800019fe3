// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Buffers: allocation, names, mappings, access by the CPU, charges
 */
#define _GNU_SOURCE
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "internal.h"

/*
 * System headers may be older than these ioctls. Some vendors' headers have an ioctl of
 * the same name with another number and layout, so the names here are the library's own.
 */
#define NAME_BYTES	32
#define IOCTL_NAME	_IOW('b', 1, __u64)

struct sync_part {
	__u64 flags;
	__u64 offset;
	__u64 len;
};

#define IOCTL_SYNC_PART	_IOW('b', 0x40, struct sync_part)

struct charge {
	__u64 flags;
};

#define IOCTL_CHARGE	_IOW('b', 0x41, struct charge)

static_assert(DMAHEAP_READ == DMA_BUF_SYNC_READ && DMAHEAP_WRITE == DMA_BUF_SYNC_WRITE,
	      "access is handed to the kernel as it is");

/* Opened once, by whichever thread is first */
static int node_of(const struct dmaheap *pub)
{
	/* The public part is the first one */
	struct heap *heap = (struct heap *)pub;
	int node = __atomic_load_n(&heap->node, __ATOMIC_ACQUIRE), first = -1;

	if (node >= 0)
		return node;
	node = open(heap->path, O_RDONLY | O_CLOEXEC);
	if (node < 0)
		return -errno;
	if (__atomic_compare_exchange_n(&heap->node, &first, node, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return node;
	close(node);
	return first;
}

int dmaheap_open(const struct dmaheap *heap)
{
	int node = node_of(heap);

	return node < 0 ? node : 0;
}

int dmaheap_alloc(const struct dmaheap *heap, unsigned long long size, const char *name)
{
	struct dma_heap_allocation_data data = {
		.len = size,
		.fd_flags = O_RDWR | O_CLOEXEC,
	};
	int node, error;

	if (name && strlen(name) >= NAME_BYTES)
		return -ENAMETOOLONG;
	node = node_of(heap);
	if (node < 0)
		return node;
	if (ioctl(node, DMA_HEAP_IOCTL_ALLOC, &data))
		return -errno;
	error = name ? dmaheap_set_name(data.fd, name) : 0;
	if (!error)
		return data.fd;
	close(data.fd);
	return error;
}

/* Can another heap do better? */
static bool is_of_heap(int error)
{
	return error == -ENOMEM || error == -EACCES || error == -EPERM || error == -ENOENT ||
	       error == -ENODEV || error == -ENXIO;
}

int dmaheap_alloc_need(const struct dmaheap_list *list, const struct dmaheap_need *need,
		       unsigned long long size, const char *name, const struct dmaheap **from)
{
	const struct dmaheap **best = calloc(list->n + 1, sizeof(*best));
	int n, fd = -ENODEV, first = 0;

	if (!best)
		return -ENOMEM;
	n = dmaheap_choose(list, need, size, best, list->n);
	if (n < 0)
		fd = n;
	for (int i = 0; i < n; i++) {
		fd = dmaheap_alloc(best[i], size, name);
		if (fd >= 0 && from)
			*from = best[i];
		if (fd >= 0 || !is_of_heap(fd))
			break;
		first = first ? first : fd;
	}
	free(best);
	return fd < 0 && is_of_heap(fd) && first ? first : fd;
}

int dmaheap_served(int fd, char *name, size_t room)
{
	static const char field[] = "exp_name:\t";
	char path[64], line[256];
	int error = -EINVAL;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	/* The first one counts: what follows may be what somebody has named the buffer */
	while (error == -EINVAL && fgets(line, sizeof(line), f)) {
		if (strncmp(line, field, sizeof(field) - 1))
			continue;
		line[strcspn(line, "\n")] = 0;
		error = (size_t)snprintf(name, room, "%s", line + sizeof(field) - 1) < room ?
			0 : -ENAMETOOLONG;
	}
	fclose(f);
	return error;
}

int dmaheap_set_name(int fd, const char *name)
{
	if (strlen(name) >= NAME_BYTES)
		return -ENAMETOOLONG;
	return ioctl(fd, IOCTL_NAME, name) ? -errno : 0;
}

int dmaheap_charge(int fd)
{
	struct charge charge = { 0 };

	return ioctl(fd, IOCTL_CHARGE, &charge) ? -errno : 0;
}

int dmaheap_map(int fd, unsigned int access, void **address, size_t *size)
{
	off_t end = lseek(fd, 0, SEEK_END);
	int prot = (access & DMAHEAP_READ ? PROT_READ : 0) |
		   (access & DMAHEAP_WRITE ? PROT_WRITE : 0);

	if (end < 0)
		return -errno;
	if ((unsigned long long)end > SIZE_MAX)
		return -EOVERFLOW;
	*address = mmap(NULL, end, prot, MAP_SHARED, fd, 0);
	if (*address == MAP_FAILED)
		return -errno;
	if (size)
		*size = end;
	return 0;
}

/* A wait for a fence ends with EINTR, and a driver may say EAGAIN */
static int sync_ioctl(int fd, unsigned long request, void *arg)
{
	int ret;

	do {
		ret = ioctl(fd, request, arg);
	} while (ret < 0 && (errno == EINTR || errno == EAGAIN));
	return ret < 0 ? -errno : 0;
}

/* @a->len becomes 0 if the kernel does it for the whole buffer only */
static int sync_access(struct dmaheap_access *a, unsigned long long when)
{
	struct sync_part part = {
		.flags = when | a->access,
		.offset = a->offset,
		.len = a->len,
	};
	struct dma_buf_sync whole = { .flags = part.flags };
	int error = -ENOTTY;

	if (a->len)
		error = sync_ioctl(a->fd, IOCTL_SYNC_PART, &part);
	if (error != -ENOTTY)
		return error;
	a->len = 0;
	return sync_ioctl(a->fd, DMA_BUF_IOCTL_SYNC, &whole);
}

static int begin(struct dmaheap_access *a)
{
	int error = sync_access(a, DMA_BUF_SYNC_START);

	if (error)
		a->fd = -1;
	return error;
}

int dmaheap_begin(struct dmaheap_access *a, int fd, unsigned int access)
{
	*a = (struct dmaheap_access){ .fd = fd, .access = access };
	return begin(a);
}

int dmaheap_begin_part(struct dmaheap_access *a, int fd, unsigned int access,
		       unsigned long long offset, unsigned long long len)
{
	*a = (struct dmaheap_access){ fd, access, offset, len };
	if (len)
		return begin(a);
	a->fd = -1;
	return -EINVAL;
}

int dmaheap_end(struct dmaheap_access *a)
{
	int error;

	if (a->fd < 0)
		return -EBADF;
	error = sync_access(a, DMA_BUF_SYNC_END);
	a->fd = -1;
	return error;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Client side of the DMA-BUF heaps: one node per heap, one ioctl to allocate,
 * and the ioctls of the buffer that comes back.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "heap.h"

#define HEAP_DIR	"/dev/dma_heap"
#define BUFINFO		"/sys/kernel/debug/dma_buf/bufinfo"

static int not_hidden(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int heap_list(struct dirent ***list)
{
	int n = scandir(HEAP_DIR, list, not_hidden, alphasort);

	return n < 0 ? -errno : n;
}

int heap_open(const char *name)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), HEAP_DIR "/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int heap_alloc(int heap, size_t len)
{
	struct dma_heap_allocation_data data = {
		.len = len,
		.fd_flags = O_RDWR | O_CLOEXEC,
	};

	if (ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data))
		return -errno;

	return data.fd;
}

int dmabuf_set_name(int fd, const char *name)
{
	return ioctl(fd, DMA_BUF_SET_NAME, name) ? -errno : 0;
}

void *dmabuf_map(int fd, size_t len, int prot)
{
	return mmap(NULL, len, prot, MAP_SHARED, fd, 0);
}

static int dmabuf_sync(int fd, __u64 flags)
{
	struct dma_buf_sync sync = { .flags = flags };
	int ret;

	/* The exporter may wait for a device and be interrupted. */
	do {
		ret = ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync);
	} while (ret && (errno == EINTR || errno == EAGAIN));

	return ret ? -errno : 0;
}

int dmabuf_begin(int fd, __u64 flags)
{
	return dmabuf_sync(fd, DMA_BUF_SYNC_START | flags);
}

int dmabuf_end(int fd, __u64 flags)
{
	return dmabuf_sync(fd, DMA_BUF_SYNC_END | flags);
}

int dmabuf_usage(unsigned long *buffers, unsigned long *bytes)
{
	FILE *file = fopen(BUFINFO, "re");
	int ret = -ENODATA;
	char line[512];

	if (!file)
		return -errno;

	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "Total %lu objects, %lu bytes", buffers, bytes) == 2)
			ret = 0;
	fclose(file);

	return ret;
}

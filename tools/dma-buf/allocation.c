// SPDX-License-Identifier: GPL-2.0
/*
 * Buffers of this program's own
 */
#include "dmaheap.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-heap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>

/* A descriptor, or an error */
int heap_open(const char *name)
{
	char *path;
	int fd;

	/* No way out of the directory, and not the directory itself */
	if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return -ENOENT;
	path = text_of("%s" DEV_HEAPS "/%s", root, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	free(path);
	return fd;
}

/* A descriptor, or an error; @ns is what it took */
int heap_alloc(int heap, __u64 size, __u64 *ns)
{
	struct dma_heap_allocation_data data = {
		.len = size,
		.fd_flags = O_RDWR | O_CLOEXEC,
	};
	__u64 begin = now_ns();

	if (ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data))
		return -errno;
	*ns = now_ns() - begin;
	return data.fd;
}

void heap_explain(const char *name, int error)
{
	const char *why = "";

	if (error == -ENOENT)
		why = "; dmaheap list shows which heaps there are";
	else if (error == -EACCES || error == -EPERM)
		why = "; needs the right to read this node";
	complain("%s" DEV_HEAPS "/%s: %s%s", root, name, strerror(-error), why);
}

void allow_many_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

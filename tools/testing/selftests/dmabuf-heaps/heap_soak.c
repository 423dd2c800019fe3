// SPDX-License-Identifier: GPL-2.0
/* Buffers and devices of the workers of dmabuf-heap-soak, see heap_soak.h */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "heap_soak.h"

/* The parent tells which worker it was, and the seed */
void soak_fail(struct soak *soak, const char *format, ...)
{
	va_list args;

	/* A child of the worker may have told already */
	va_start(args, format);
	if (!soak->slot->failure[0])
		vsnprintf(soak->slot->failure, sizeof(soak->slot->failure), format, args);
	va_end(args);
	_exit(1);
}

/* Sleeps, but not beyond the end of the run */
void soak_sleep(struct soak *soak, unsigned int ms)
{
	long long end = now_ms() + ms;

	while (!soak_over(soak) && now_ms() < end)
		usleep(1000);
}

/* Negative if there is no memory for another process */
pid_t soak_fork(struct soak *soak)
{
	pid_t pid = fork();

	if (pid < 0 && errno != ENOMEM && errno != EAGAIN)
		soak_fail(soak, "cannot fork: %s", strerror(errno));
	if (pid < 0)
		soak_refused(soak);

	return pid;
}

const struct soak_heap *soak_heap(struct soak *soak)
{
	return &soak->heaps[soak_random(soak, soak->heap_count)];
}

const struct soak_heap *soak_mapped_heap(struct soak *soak)
{
	const struct soak_heap *heap;

	do {
		heap = soak_heap(soak);
	} while (!heap->mapped);

	return heap;
}

/* Any size from a page to @most, small ones more often; of a small heap no more than a share */
size_t soak_size(struct soak *soak, const struct soak_heap *heap, size_t most)
{
	size_t len = page_size() << soak_random(soak, 12);

	len += page_size() * soak_random(soak, len / page_size());
	if (len > most)
		len = most;

	return heap_fitting(heap->name, len, 4);
}

int soak_alloc(struct soak *soak, const struct soak_heap *heap, size_t len)
{
	long long nonzero;
	int fd;

	fd = heap_alloc(heap->fd, len);
	if (fd == -ENOMEM) {
		soak_refused(soak);
		return fd;
	}
	if (fd < 0)
		soak_fail(soak, "cannot allocate %zu bytes from %s: %s", len, heap->name,
			  strerror(-fd));
	if (buf_size(fd) != (long long)page_align(len))
		soak_fail(soak, "a buffer of %zu bytes from %s has %lld", len,
			  heap->name, buf_size(fd));
	nonzero = heap->mapped ? buf_find_nonzero(fd, page_align(len)) : -1;
	if (nonzero >= 0)
		soak_fail(soak, "a new buffer of %zu bytes from %s is not zero at %lld",
			  len, heap->name, nonzero);
	if (nonzero < -1 && nonzero != -1 - ENOMEM)
		soak_fail(soak, "cannot map a buffer of %zu bytes from %s: %s", len,
			  heap->name, strerror(-1 - nonzero));

	return fd;
}

/* NULL if there is no memory for page tables */
void *soak_map(struct soak *soak, int fd, size_t len)
{
	void *p = buf_map(fd, page_align(len), READ_WRITE);

	if (p != MAP_FAILED)
		return p;
	if (errno != ENOMEM)
		soak_fail(soak, "cannot map a buffer of %s: %s", buf_exporter(fd),
			  strerror(errno));
	soak_refused(soak);

	return NULL;
}

static void sync_buffer(struct soak *soak, int fd, __u64 flags)
{
	int ret = buf_sync(fd, flags);

	if (ret)
		soak_fail(soak, "SYNC %llx of a buffer of %s: %s", flags,
			  buf_exporter(fd), strerror(-ret));
}

void soak_fill(struct soak *soak, int fd, void *p, size_t len, __u32 seed)
{
	sync_buffer(soak, fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE);
	pattern_fill(p, 0, len, seed);
	sync_buffer(soak, fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE);
}

void soak_check(struct soak *soak, int fd, const void *p, size_t len, __u32 seed)
{
	long long wrong;

	sync_buffer(soak, fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
	wrong = pattern_check(p, 0, len, seed);
	if (wrong >= 0)
		soak_fail(soak, "a buffer of %zu bytes of %s has %llx at %lld, not pattern %x",
			  len, buf_exporter(fd),
			  *(const unsigned long long *)((const char *)p + wrong), wrong,
			  seed);
	sync_buffer(soak, fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
}

/* A new buffer that has the pattern of the seed */
int soak_filled(struct soak *soak, const struct soak_heap *heap, size_t len, __u32 seed)
{
	int fd = soak_alloc(soak, heap, len);
	void *p;

	if (fd < 0)
		return fd;
	p = soak_map(soak, fd, len);
	if (!p) {
		close(fd);
		return -ENOMEM;
	}
	soak_fill(soak, fd, p, len, seed);
	munmap(p, page_align(len));

	return fd;
}

/* Sees that the pattern is there, in a new mapping */
void soak_verify(struct soak *soak, int fd, size_t len, __u32 seed)
{
	void *p = soak_map(soak, fd, len);

	if (!p)
		return;
	soak_check(soak, fd, p, len, seed);
	munmap(p, page_align(len));
}

/*
 * Another worker unloads the module now and then. It waits until all have closed it. One
 * attempt of 64 opens it even then, to meet the unloading.
 */
bool soak_importer(struct soak *soak)
{
	int ret;

	if (soak->importer >= 0 && soak->shared->module_wanted) {
		close(soak->importer);
		soak->importer = -1;
	}
	while (soak->importer < 0 && !soak_over(soak)) {
		if (soak->shared->module_wanted && soak_random(soak, 64)) {
			usleep(1000);
			continue;
		}
		ret = importer_open();
		if (ret >= 0)
			soak->importer = ret;
		else if (ret != -ENOENT && ret != -ENXIO && ret != -ENOMEM)
			soak_fail(soak, "cannot open the importer: %s", strerror(-ret));
		else
			usleep(1000);
	}

	return soak->importer >= 0;
}

/* Not all devices can have all memory: the one with copies and uncached memory, for example */
static bool may_be_refused(const struct soak_heap *heap, int device, int error)
{
	if (error == -ENOMEM || error == -ENODEV)
		return true;

	return error == -EIO && (device == IMPORTER_BOUNCES || heap->uncached);
}

/* Maps the buffer for the device until importer_unmap(); false if that was refused */
bool soak_import(struct soak *soak, const struct soak_heap *heap, int fd, int device,
		 int dir)
{
	int ret;

	if (!soak_importer(soak))
		return false;
	ret = importer_map_peer(soak->importer, fd, device, dir);
	if (!ret)
		return true;
	if (!may_be_refused(heap, device, ret))
		soak_fail(soak, "cannot map a buffer of %s for device %d: %s", heap->name,
			  device, strerror(-ret));
	soak_refused(soak);

	return false;
}

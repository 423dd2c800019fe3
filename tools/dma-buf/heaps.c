// SPDX-License-Identifier: GPL-2.0
/*
 * What sysfs says of the heaps. Kernels differ in what there is of it: what is
 * missing, or not for us to read, is unknown.
 */
#include "dmaheap.h"
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Files below the heap's directory, which name the values in JSON as well */
static const char * const attr_paths[ATTRS] = {
	[CACHED] = "cached",
	[CONTIGUOUS] = "contiguous",
	[PROTECTED] = "protected",
	[RESERVED] = "reserved",
	[ALIGNMENT] = "alignment",
	[DMA_BITS] = "dma_bits",
	[BUFFER_LIMIT] = "buffer_limit_bytes",
	[HEAP_LIMIT] = "heap_limit_bytes",
	[BYTES] = "bytes",
	[BUFFERS] = "buffers",
	[PEAK_BYTES] = "peak_bytes",
	[PEAK_BUFFERS] = "peak_buffers",
	[FALLBACKS] = "fallbacks",
	[FAILURES] = "failures/too_large",
	[FAILURES + 1] = "failures/limit",
	[FAILURES + 2] = "failures/memcg",
	[FAILURES + 3] = "failures/nomem",
	[FAILURES_END] = "failures/killed",
	[POOL_CLEAN] = "pool/zeroed_bytes",
	[POOL_DIRTY] = "pool/unzeroed_bytes",
	[POOL_HITS] = "pool/hits",
	[POOL_DIRTY_HITS] = "pool/dirty_hits",
	[POOL_MISSES] = "pool/misses",
	[POOL_SCRUBBED] = "pool/scrubbed_bytes",
	[POOL_MAX] = "pool/max_bytes",
	[POOL_DECAY_MS] = "pool/decay_ms",
	[AREA_SIZE] = "area/size_bytes",
	[AREA_FREE] = "area/free_bytes",
	[AREA_LARGEST_FREE] = "area/largest_free_bytes",
};

/* Another heap that this one names, or NULL */
static char *heap_name(const struct heap *heap, const char *attr)
{
	char *path = text_of(SYS_HEAPS "/%s/%s", heap->name, attr);
	char line[256], *name = NULL;

	if (!read_line(path, line, sizeof(line)))
		name = copy_of(line);
	free(path);
	return name;
}

static void heap_read(struct heap *heap)
{
	char *path;

	for (int i = 0; i < ATTRS; i++) {
		path = text_of(SYS_HEAPS "/%s/%s", heap->name, attr_paths[i]);
		heap->attr[i] = read_number(path);
		free(path);
	}
	heap->fallback = heap_name(heap, "fallback");
	heap->alias_of = heap_name(heap, "alias_of");
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct heap *)a)->name,
		      ((const struct heap *)b)->name);
}

static int read_directory(struct heaps *h, const char *path)
{
	char *real = path_of(path);
	DIR *dir = opendir(real);
	struct dirent *entry;
	int error = errno;

	free(real);
	if (!dir)
		return -error;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		h->heap = grow(h->heap, &h->room, h->n, sizeof(*h->heap));
		h->heap[h->n].name = copy_of(entry->d_name);
		heap_read(&h->heap[h->n++]);
	}
	closedir(dir);
	return 0;
}

/* 0 or an error; heaps of which there are only nodes are heaps as well */
int heaps_read(struct heaps *h)
{
	int error;

	memset(h, 0, sizeof(*h));
	error = read_directory(h, SYS_HEAPS);
	if (error == -ENOENT && !read_directory(h, DEV_HEAPS))
		error = 0;
	if (h->n)
		qsort(h->heap, h->n, sizeof(*h->heap), by_name);
	h->total_pools_kib = read_number("/sys/kernel/dma_heap/total_pools_kb");
	return error;
}

void heaps_free(struct heaps *h)
{
	for (size_t i = 0; i < h->n; i++) {
		free(h->heap[i].name);
		free(h->heap[i].fallback);
		free(h->heap[i].alias_of);
	}
	free(h->heap);
}

struct heap *heaps_find(struct heaps *h, const char *name)
{
	for (size_t i = 0; i < h->n; i++)
		if (!strcmp(h->heap[i].name, name))
			return &h->heap[i];
	return NULL;
}

void heaps_explain(int error)
{
	const char *why = "";

	if (error == -ENOENT)
		why = "; needs a kernel with heaps (CONFIG_DMABUF_HEAPS) and sysfs on /sys";
	else if (error == -EACCES)
		why = "; needs the right to read this directory";
	complain("%s" SYS_HEAPS ": %s%s", root, strerror(-error), why);
}

/* For whatever reason */
__u64 heap_failures(const struct heap *heap)
{
	__u64 sum = UNKNOWN;

	for (int i = FAILURES; i <= FAILURES_END; i++) {
		if (heap->attr[i] >= UNLIMITED)
			continue;
		sum = heap->attr[i] + (sum == UNKNOWN ? 0 : sum);
	}
	return sum;
}

/* The buffers of the heap share this: a limit, an area, or the RAM */
__u64 heap_room(const struct heap *heap)
{
	if (heap->attr[HEAP_LIMIT] < UNLIMITED)
		return heap->attr[HEAP_LIMIT];
	if (heap->attr[AREA_SIZE] < UNLIMITED)
		return heap->attr[AREA_SIZE];
	return heap->attr[CONTIGUOUS] ? UNKNOWN : read_meminfo("MemTotal");
}

/* Into an open object; files in a directory become an object of their own */
void heap_json(struct json *j, const struct heap *heap)
{
	size_t open = 0;

	json_string(j, "name", heap->name);
	json_string(j, "fallback", heap->fallback && *heap->fallback ?
				   heap->fallback : NULL);
	json_string(j, "alias_of", heap->alias_of && *heap->alias_of ?
				   heap->alias_of : NULL);
	for (int i = 0; i < ATTRS; i++) {
		const char *path = attr_paths[i];
		const char *slash = strchr(path, '/');
		size_t len = slash ? slash - path : 0;

		/* Not all heaps take from an area */
		if (i == AREA_SIZE && heap->attr[i] == UNKNOWN)
			break;
		if (open && (open != len || strncmp(path, attr_paths[i - 1], len))) {
			json_close(j, '}');
			open = 0;
		}
		if (len && !open) {
			char name[32];

			snprintf(name, sizeof(name), "%.*s", (int)len, path);
			json_open(j, name, '{');
			open = len;
		}
		if (i <= RESERVED)
			json_bool(j, path, heap->attr[i]);
		else
			json_number(j, slash ? slash + 1 : path, heap->attr[i]);
	}
	if (open)
		json_close(j, '}');
}

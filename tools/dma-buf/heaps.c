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
	[ALIGNMENT] = "alignment",
	[MAX_ALLOC] = "max_alloc",
	[MAX_BYTES] = "max_bytes",
	[BYTES] = "bytes",
	[BUFFERS] = "buffers",
	[PEAK_BYTES] = "peak_bytes",
	[PEAK_BUFFERS] = "peak_buffers",
	[FAILURES] = "failures/too_large",
	[FAILURES + 1] = "failures/ceiling",
	[FAILURES + 2] = "failures/charge",
	[FAILURES + 3] = "failures/memory",
	[FAILURES_END] = "failures/killed",
	[POOL_CLEAN] = "pool/clean_bytes",
	[POOL_DIRTY] = "pool/dirty_bytes",
	[POOL_HITS] = "pool/hits",
	[POOL_DIRTY_HITS] = "pool/dirty_hits",
	[POOL_MISSES] = "pool/misses",
	[POOL_SCRUBBED] = "pool/scrubbed_bytes",
	[POOL_MAX_KIB] = "pool/max_kib",
	[POOL_DECAY_MS] = "pool/decay_ms",
	[CMA_SIZE_KIB] = "cma/size_kib",
	[CARVEOUT_SIZE_KIB] = "carveout/size_kib",
	[CARVEOUT_FREE_KIB] = "carveout/free_kib",
	[CARVEOUT_FALLBACKS] = "carveout/fallbacks",
};

static void heap_read(struct heap *heap)
{
	char line[256];
	char *path;

	for (int i = 0; i < ATTRS; i++) {
		path = text_of(SYS_HEAPS "/%s/%s", heap->name, attr_paths[i]);
		heap->attr[i] = read_number(path);
		free(path);
	}
	path = text_of(SYS_HEAPS "/%s/fallback", heap->name);
	heap->fallback = read_line(path, line, sizeof(line)) ? NULL :
							       copy_of(line);
	free(path);
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

/* What the buffers of the heap have to share: a limit, a region, an area, or the RAM */
__u64 heap_room(const struct heap *heap)
{
	if (heap->attr[MAX_BYTES] < UNLIMITED)
		return heap->attr[MAX_BYTES];
	if (heap->attr[CARVEOUT_SIZE_KIB] < UNLIMITED / KIB)
		return heap->attr[CARVEOUT_SIZE_KIB] * KIB;
	if (heap->attr[CMA_SIZE_KIB] < UNLIMITED / KIB)
		return heap->attr[CMA_SIZE_KIB] * KIB;
	return heap->attr[CONTIGUOUS] ? UNKNOWN : read_meminfo("MemTotal");
}

static bool has_carveout(const struct heap *heap)
{
	return heap->attr[CARVEOUT_SIZE_KIB] != UNKNOWN ||
	       heap->attr[CARVEOUT_FREE_KIB] != UNKNOWN;
}

/* Into an open object; files in a directory become an object of their own */
void heap_json(struct json *j, const struct heap *heap)
{
	size_t open = 0;

	json_string(j, "name", heap->name);
	json_string(j, "fallback", heap->fallback && *heap->fallback ?
				   heap->fallback : NULL);
	for (int i = 0; i < ATTRS; i++) {
		const char *path = attr_paths[i];
		const char *slash = strchr(path, '/');
		size_t len = slash ? slash - path : 0;

		if (i == CMA_SIZE_KIB && heap->attr[i] == UNKNOWN)
			continue;
		if (i == CARVEOUT_SIZE_KIB && !has_carveout(heap))
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
		if (i <= PROTECTED)
			json_bool(j, path, heap->attr[i]);
		else
			json_number(j, slash ? slash + 1 : path, heap->attr[i]);
	}
	if (open)
		json_close(j, '}');
}

// SPDX-License-Identifier: GPL-2.0
/* CMA areas and carveouts of a machine, see heap_regions.h */

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "heap_regions.h"

#define AREAS		"/sys/kernel/debug/cma"
#define NODES		"/proc/device-tree/reserved-memory"

/* Of the next entry that is no hidden one, or NULL */
static const char *next_name(DIR *dir)
{
	struct dirent *entry;

	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			return entry->d_name;

	return NULL;
}

/* The bytes of a property of a node below /reserved-memory; negative without it */
static ssize_t property(const char *node, const char *name, void *value,
			size_t size)
{
	char path[2 * HEAP_NAME_SIZE];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), NODES "/%s/%s", node, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	len = read(fd, value, size);
	close(fd);

	return len < 0 ? -EIO : len;
}

static bool has_property(const char *node, const char *name)
{
	char value[1];

	return property(node, name, value, sizeof(value)) >= 0;
}

/* False, and nothing in @value, without it; a string of the tree ends with NUL */
static bool string_property(const char *node, const char *name, char *value,
			    size_t size)
{
	ssize_t len = property(node, name, value, size - 1);

	value[len > 0 ? len : 0] = '\0';

	return len >= 0;
}

static bool is_available(const char *node)
{
	char status[16];

	return !string_property(node, "status", status, sizeof(status)) ||
	       !strcmp(status, "okay");
}

bool node_exists(const char *node)
{
	return has_property(node, "name");
}

/* The name of the platform device of a node, with or without an address */
void node_device(char *device, size_t size, const char *node)
{
	const char *at = strchr(node, '@');

	if (at)
		snprintf(device, size, "%s.%.*s", at + 1, (int)(at - node),
			 node);
	else
		snprintf(device, size, "reserved-memory:%s", node);
}

/* CMA */

/* The name of the area that is there for everybody */
static void default_area(char *area, size_t size)
{
	DIR *dir = opendir(NODES);
	const char *node;

	/* What comes from the command line has this name, and goes first */
	snprintf(area, size, "reserved");
	if (!dir)
		return;
	while (access(AREAS "/reserved", F_OK) && (node = next_name(dir)))
		if (has_property(node, "linux,cma-default"))
			snprintf(area, size, "%s", node);
	closedir(dir);
}

/* What there should be: two for the default area, one for every other one */
static void add_cma_heap(struct cma_heap *heap, const char *name, const char *area,
			 const char *suffix)
{
	snprintf(heap->heap, HEAP_NAME_SIZE, "%s%s", name, suffix);
	snprintf(heap->area, HEAP_NAME_SIZE, "%s", area);
	snprintf(heap->pool, HEAP_NAME_SIZE, "%s%s", area, suffix);
}

/* With the uncached ones, where the kernel has them */
int cma_heaps_find(struct cma_heap *heaps, int max)
{
	static const char *const suffixes[] = { "", "-uncached", NULL };
	char common[HEAP_NAME_SIZE], path[2 * HEAP_NAME_SIZE];
	DIR *dir = opendir(AREAS);
	const char *area;
	int count = 0, i;

	if (!dir)
		return 0;
	default_area(common, sizeof(common));
	while ((area = next_name(dir))) {
		for (i = 0; suffixes[i] && count + 1 < max; i++) {
			snprintf(path, sizeof(path), "/sys/class/dma_heap/%s%s",
				 area, suffixes[i]);
			if (i && access(path, F_OK))
				continue;
			if (!strcmp(area, common))
				add_cma_heap(&heaps[count++], DEFAULT_AREA_HEAP,
					     area, suffixes[i]);
			add_cma_heap(&heaps[count++], area, area, suffixes[i]);
		}
	}
	closedir(dir);

	return count;
}

/* The name of the pool that a heap has, which is its area's if it is in one */
const char *heap_pool(const char *heap)
{
	static struct cma_heap heaps[MAX_AREAS];
	int i, count = cma_heaps_find(heaps, MAX_AREAS);

	for (i = 0; i < count; i++)
		if (!strcmp(heaps[i].heap, heap))
			return heaps[i].pool;

	return heap;
}

static void area_path(char *path, size_t size, const char *area,
		      const char *file)
{
	snprintf(path, size, AREAS "/%s/%s", area, file);
}

/* Pages, or a page frame number */
long long area_get(const char *area, const char *file)
{
	char path[2 * HEAP_NAME_SIZE];

	area_path(path, sizeof(path), area, file);

	return file_number(path);
}

int area_set(const char *area, const char *file, long long pages)
{
	char path[2 * HEAP_NAME_SIZE], text[32];

	area_path(path, sizeof(path), area, file);
	snprintf(text, sizeof(text), "%lld", pages);

	return file_write(path, text);
}

/* Carveouts */

/* Two cells each, as in the trees of all machines this is about */
static bool read_region(const char *node, struct carveout *carveout)
{
	unsigned long long cells[2];

	if (property(node, "reg", cells, sizeof(cells)) == sizeof(cells)) {
		carveout->base = be64toh(cells[0]);
		carveout->size = be64toh(cells[1]);
	} else if (property(node, "size", cells, sizeof(cells[0])) ==
		   sizeof(cells[0])) {
		carveout->size = be64toh(cells[0]);
	}

	return carveout->size;
}

static void read_alignment(const char *node, struct carveout *carveout)
{
	unsigned int cell;

	if (property(node, "heap-alignment", &cell, sizeof(cell)) !=
	    sizeof(cell))
		return;
	carveout->alignment = be32toh(cell);
	/* Where the place is not known, neither is this: no node has both */
	if (!carveout->base)
		return;
	carveout->left_out = -carveout->base & (carveout->alignment - 1);
	carveout->base += carveout->left_out;
	carveout->size -= carveout->left_out;
}

static bool read_carveout(const char *node, struct carveout *carveout)
{
	char compatible[64];

	*carveout = (struct carveout) { };
	string_property(node, "compatible", compatible, sizeof(compatible));
	if (strcmp(compatible, "dma-heap-carveout") || !is_available(node) ||
	    !read_region(node, carveout))
		return false;

	snprintf(carveout->node, HEAP_NAME_SIZE, "%s", node);
	if (!string_property(node, "heap-name", carveout->heap, HEAP_NAME_SIZE))
		snprintf(carveout->heap, HEAP_NAME_SIZE, "%s", node);
	carveout->has_fallback = string_property(node, "heap-fallback",
						 carveout->fallback,
						 HEAP_NAME_SIZE);
	read_alignment(node, carveout);
	carveout->uncached = has_property(node, "heap-uncached");
	carveout->unmapped = has_property(node, "no-map");
	carveout->protected = has_property(node, "heap-protected");

	return true;
}

/* Nodes called bad- or twin- are there to be refused, ring- leads nowhere */
int carveouts_find(struct carveout *carveouts, int max)
{
	DIR *dir = opendir(NODES);
	const char *node;
	int count = 0;

	if (!dir)
		return 0;
	while (count < max && (node = next_name(dir)))
		if (strncmp(node, "bad-", 4) && strncmp(node, "twin-", 5) &&
		    strncmp(node, "ring-", 5) &&
		    read_carveout(node, &carveouts[count]))
			count++;
	closedir(dir);

	return count;
}

long long carveout_get(const char *heap, const char *attribute)
{
	char path[2 * HEAP_NAME_SIZE];

	snprintf(path, sizeof(path), "/sys/class/dma_heap/%s/area/%s",
		 heap, attribute);

	return file_number(path);
}

/* Bytes of the region that are lost for good */
long long carveout_lost(const char *heap)
{
	return heap_attr(heap, "pool/lost_bytes");
}

/* Whether all of the region is free and clean, the pool empty */
static bool carveout_settled(const struct carveout *carveout)
{
	return carveout_get(carveout->heap, "free_bytes") +
	       carveout_lost(carveout->heap) == carveout->size;
}

/* Waits for that, with a pool that does not keep what it has */
int carveout_settle(const struct carveout *carveout)
{
	if (pool_set(carveout->heap, "decay_ms", 1))
		return -1;

	return WAIT_FOR(carveout_settled(carveout)) ? 0 : -1;
}

/* What a buffer of @len bytes is aligned to */
size_t carveout_alignment(const struct carveout *carveout, size_t len)
{
	size_t alignment = page_size();

	while (alignment * 2 <= len && alignment < MIB(2))
		alignment *= 2;

	return alignment > carveout->alignment ? alignment : carveout->alignment;
}

/*
 * A buffer of the heap's own, or an error: -ENOMEM if it is of its fallback. It is
 * used, so that it is dirty when it goes, unless only devices may.
 */
int region_alloc(const char *heap, int heap_fd, __u64 len)
{
	int fd = heap_alloc(heap_fd, len);

	if (fd < 0)
		return fd;
	if (!strcmp(buf_exporter(fd), heap)) {
		buf_use(fd);
		return fd;
	}
	close(fd);

	return -ENOMEM;
}

/* Allocates until the heap has no more, or @max; *@error is the reason */
int region_take(const char *heap, int heap_fd, size_t len, int *fds, int max,
		int *error)
{
	int count;

	*error = 0;
	for (count = 0; count < max; count++) {
		fds[count] = region_alloc(heap, heap_fd, len);
		if (fds[count] < 0) {
			*error = fds[count];
			break;
		}
	}

	return count;
}

void region_give_back(int *fds, int count)
{
	while (count--)
		close(fds[count]);
}

// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Which heaps there are, and which of them have what is needed. Kernels with the
 * attributes of heaps in sysfs tell what a heap is like; elsewhere the names that clients
 * have been looking for say it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "internal.h"

#define FLAGS		(DMAHEAP_CACHED | DMAHEAP_CONTIGUOUS | DMAHEAP_PROTECTED | DMAHEAP_RESERVED)
#define CMA		(DMAHEAP_CACHED | DMAHEAP_CONTIGUOUS)
#define UNKNOWN		ULLONG_MAX

/* Names of heaps everywhere, in the order in which they are chosen */
static const struct known {
	const char *name;
	bool is_prefix;
	unsigned int flags;
	unsigned int guessed;
} known[] = {
	{ "system", false, DMAHEAP_CACHED, FLAGS },
	{ "qcom,system", false, DMAHEAP_CACHED, FLAGS },
	{ "system_cc_shared", false, DMAHEAP_CACHED, FLAGS },
	{ "default_cma_region", false, CMA, FLAGS },
	{ "linux,cma", false, CMA, FLAGS },
	{ "reserved", false, CMA, FLAGS },
	{ "default-pool", false, CMA, FLAGS },
	{ "cma", false, CMA, FLAGS },
	{ "carveout_", true, DMAHEAP_CONTIGUOUS | DMAHEAP_RESERVED, FLAGS & ~DMAHEAP_CACHED },
	{ "protected,", true, DMAHEAP_PROTECTED, DMAHEAP_PROTECTED },
	{ "system-secure", true, DMAHEAP_PROTECTED, DMAHEAP_PROTECTED },
};

static bool cut_suffix(char *name, const char *suffix)
{
	size_t len = strlen(name), cut = strlen(suffix);

	if (len <= cut || strcmp(name + len - cut, suffix))
		return false;
	name[len - cut] = 0;
	return true;
}

/* What the name of a heap says, for kernels that say nothing */
static void guess(struct heap *heap, const char *device)
{
	struct dmaheap *pub = &heap->pub;
	char base[NAME_MAX + 1];
	bool uncached;

	snprintf(base, sizeof(base), "%s", device);
	pub->dma_bits = cut_suffix(base, "-dma32") ? 32 : 0;
	pub->guessed = DMAHEAP_ALIGNMENT | (pub->dma_bits ? DMAHEAP_DMA_BITS : 0);
	pub->alignment = sysconf(_SC_PAGESIZE);
	uncached = cut_suffix(base, "-uncached");
	for (heap->rank = 0; heap->rank < ARRAY_SIZE(known); heap->rank++) {
		const struct known *k = &known[heap->rank];

		if (k->is_prefix ? strncmp(base, k->name, strlen(k->name)) :
				   strcmp(base, k->name))
			continue;
		pub->flags = k->flags;
		pub->guessed |= k->guessed;
		break;
	}
	if (uncached) {
		pub->flags &= ~DMAHEAP_CACHED;
		pub->guessed |= DMAHEAP_CACHED;
	}
}

/* The line of an attribute; false if there is none */
static bool read_attr(const char *root, const char *device, const char *attr, char *line,
		      size_t room)
{
	char path[PATH_MAX];
	ssize_t len;
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s" SYS_HEAPS "/%s/%s", root, device,
			     attr) >= sizeof(path))
		return false;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	len = read(fd, line, room - 1);
	close(fd);
	if (len <= 0)
		return false;
	line[len] = 0;
	line[strcspn(line, "\n")] = 0;
	return true;
}

static unsigned long long read_number(const char *root, const char *device, const char *attr)
{
	unsigned long long value;
	char line[64], *end;

	if (!read_attr(root, device, attr, line, sizeof(line)) || *line < '0' || *line > '9')
		return UNKNOWN;
	errno = 0;
	value = strtoull(line, &end, 10);
	return *end || errno ? UNKNOWN : value;
}

static char *read_name(const char *root, const char *device, const char *attr)
{
	char line[NAME_MAX + 2];

	return strdup(read_attr(root, device, attr, line, sizeof(line)) ? line : "");
}

static void note(struct dmaheap *pub, unsigned int attribute)
{
	pub->told |= attribute;
	pub->guessed &= ~attribute;
}

static void read_attrs(struct dmaheap *pub, const char *root, const char *device)
{
	static const struct {
		const char *name;
		unsigned int flag;
	} flags[] = {
		{ "cached", DMAHEAP_CACHED },
		{ "contiguous", DMAHEAP_CONTIGUOUS },
		{ "protected", DMAHEAP_PROTECTED },
		{ "reserved", DMAHEAP_RESERVED },
	};
	unsigned long long value;

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		value = read_number(root, device, flags[i].name);
		if (value > 1)
			continue;
		note(pub, flags[i].flag);
		pub->flags = value ? pub->flags | flags[i].flag : pub->flags & ~flags[i].flag;
	}
	value = read_number(root, device, "alignment");
	if (value && value != UNKNOWN) {
		note(pub, DMAHEAP_ALIGNMENT);
		pub->alignment = value;
	}
	value = read_number(root, device, "dma_bits");
	if (value && value <= 64) {
		note(pub, DMAHEAP_DMA_BITS);
		pub->dma_bits = value;
	}
	/* "max" is no number, and means the same */
	pub->buffer_limit = read_number(root, device, "buffer_limit_bytes");
}

/*
 * The heap behind a node. A link gets the attributes of the heap that it leads to: boards
 * have links like vidbuf_cached, and some call a cached heap system-uncached by a link.
 */
static char *device_of(const char *path, const char *name)
{
	char *real = realpath(path, NULL), *device;
	const char *slash;

	if (!real)
		return errno == ENOMEM ? NULL : strdup(name);
	slash = strrchr(real, '/');
	device = strdup(slash ? slash + 1 : real);
	free(real);
	return device;
}

static int add_heap(struct dmaheap_list *list, const char *root, const char *name)
{
	struct heap *heaps, *heap;
	char *device;

	heaps = realloc(list->heap, (list->n + 1) * sizeof(*heaps));
	if (!heaps)
		return -ENOMEM;
	list->heap = heaps;
	heap = &heaps[list->n++];
	memset(heap, 0, sizeof(*heap));
	heap->node = -1;
	heap->pub.name = strdup(name);
	if (asprintf(&heap->path, "%s" DEV_HEAPS "/%s", root, name) < 0)
		heap->path = NULL;
	device = heap->path ? device_of(heap->path, name) : NULL;
	if (device) {
		guess(heap, device);
		read_attrs(&heap->pub, root, device);
		heap->pub.fallback = read_name(root, device, "fallback");
		heap->pub.alias_of = strcmp(device, name) ? strdup(device) :
				     read_name(root, device, "alias_of");
		free(device);
	}
	return heap->pub.name && heap->pub.fallback && heap->pub.alias_of ? 0 : -ENOMEM;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct heap *)a)->pub.name, ((const struct heap *)b)->pub.name);
}

int dmaheap_list_new(struct dmaheap_list **list, const char *root)
{
	struct dmaheap_list *l;
	struct dirent *entry;
	char path[PATH_MAX];
	int error = 0;
	DIR *dir;

	*list = NULL;
	root = root ? root : "";
	if ((size_t)snprintf(path, sizeof(path), "%s" DEV_HEAPS, root) >= sizeof(path))
		return -ENAMETOOLONG;
	dir = opendir(path);
	if (!dir)
		return -errno;
	l = calloc(1, sizeof(*l));
	if (!l)
		error = -ENOMEM;
	while (!error && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			error = add_heap(l, root, entry->d_name);
	closedir(dir);
	if (error) {
		dmaheap_list_free(l);
		return error;
	}
	if (l->n)
		qsort(l->heap, l->n, sizeof(*l->heap), by_name);
	*list = l;
	return 0;
}

void dmaheap_list_free(struct dmaheap_list *list)
{
	for (size_t i = 0; list && i < list->n; i++) {
		struct heap *heap = &list->heap[i];

		if (heap->node >= 0)
			close(heap->node);
		free(heap->path);
		free((char *)heap->pub.name);
		free((char *)heap->pub.alias_of);
		free((char *)heap->pub.fallback);
	}
	if (list)
		free(list->heap);
	free(list);
}

const struct dmaheap *dmaheap_list_get(const struct dmaheap_list *list, size_t index)
{
	return index < list->n ? &list->heap[index].pub : NULL;
}

const struct dmaheap *dmaheap_find(const struct dmaheap_list *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (!strcmp(list->heap[i].pub.name, name))
			return &list->heap[i].pub;
	return NULL;
}

static bool fits(const struct dmaheap_list *list, const struct dmaheap *pub,
		 const struct dmaheap_need *need, unsigned long long size)
{
	unsigned int asked = need->with | need->without | DMAHEAP_PROTECTED;

	if (((pub->told | pub->guessed) & asked) != asked || (pub->flags & asked) != need->with)
		return false;
	if (need->dma_bits && (!pub->dma_bits || pub->dma_bits > need->dma_bits))
		return false;
	if (need->alignment > pub->alignment || (size > pub->buffer_limit && !*pub->fallback))
		return false;
	return !*pub->alias_of || !dmaheap_find(list, pub->alias_of);
}

/* Memory that others need more than a client that did not ask for it */
static bool is_scarce(const struct dmaheap *pub, const struct dmaheap_need *need)
{
	return pub->flags & ~need->with & (DMAHEAP_CONTIGUOUS | DMAHEAP_RESERVED);
}

static bool is_better(const struct heap *a, const struct heap *b, unsigned int asked)
{
	bool told[] = { (a->pub.told & asked) == asked, (b->pub.told & asked) == asked };
	unsigned int cached = (a->pub.flags ^ b->pub.flags) & DMAHEAP_CACHED;

	if (told[0] != told[1])
		return told[0];
	if (cached)
		return a->pub.flags & cached;
	if (a->rank != b->rank)
		return a->rank < b->rank;
	/* 0, not known, comes first */
	if (a->pub.dma_bits != b->pub.dma_bits)
		return a->pub.dma_bits - 1 > b->pub.dma_bits - 1;
	return strcmp(a->pub.name, b->pub.name) < 0;
}

static int collect(const struct dmaheap_list *list, const struct dmaheap_need *need,
		   unsigned long long size, bool scarce, const struct dmaheap **best, size_t max)
{
	unsigned int asked = need->with | need->without | DMAHEAP_PROTECTED;
	size_t n = 0, at;

	for (size_t i = 0; i < list->n; i++) {
		const struct heap *heap = &list->heap[i];

		if (!fits(list, &heap->pub, need, size) || is_scarce(&heap->pub, need) != scarce)
			continue;
		/* The public part is the first one */
		for (at = n; at && is_better(heap, (const struct heap *)best[at - 1], asked); at--)
			if (at < max)
				best[at] = best[at - 1];
		if (at < max)
			best[at] = &heap->pub;
		n += n < max;
	}
	return n;
}

int dmaheap_choose(const struct dmaheap_list *list, const struct dmaheap_need *need,
		   unsigned long long size, const struct dmaheap **best, size_t max)
{
	static const struct dmaheap_need any;
	int n;

	need = need ? need : &any;
	if ((need->with | need->without) & ~FLAGS || need->with & need->without ||
	    need->alignment & (need->alignment - 1) || need->dma_bits > 64 ||
	    need->reserved || max > INT_MAX)
		return -EINVAL;
	n = collect(list, need, size, false, best, max);
	return n ? n : collect(list, need, size, true, best, max);
}

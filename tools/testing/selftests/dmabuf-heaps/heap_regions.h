/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory a machine has set aside for heaps: its CMA areas, as
 * CONFIG_CMA_DEBUGFS shows them, and the carveouts of its device tree.
 */
#ifndef HEAP_REGIONS_H
#define HEAP_REGIONS_H

#include <stdbool.h>

#include "heap_helpers.h"

#define DEFAULT_AREA_HEAP	"default_cma_region"

#define MAX_AREAS	32
#define MAX_CARVEOUTS	32

/* A heap on a CMA area, and the name of its pool: the default area's has two names */
struct cma_heap {
	char heap[HEAP_NAME_SIZE];
	char area[HEAP_NAME_SIZE];
	char pool[HEAP_NAME_SIZE];
};

/*
 * A carveout as its node describes it; no base if the kernel chooses it. What is
 * before the first address that buffers are aligned to is no part of the heap.
 */
struct carveout {
	char node[HEAP_NAME_SIZE];
	char heap[HEAP_NAME_SIZE];
	char fallback[HEAP_NAME_SIZE];
	unsigned long long base;
	unsigned long long size;
	unsigned long long left_out;
	unsigned long long alignment;
	bool has_fallback;
	bool uncached;
	bool unmapped;
	bool protected;
};

int cma_heaps_find(struct cma_heap *heaps, int max);
const char *heap_pool(const char *heap);
long long area_get(const char *area, const char *file);
int area_set(const char *area, const char *file, long long pages);

int carveouts_find(struct carveout *carveouts, int max);
bool node_exists(const char *node);
void node_device(char *device, size_t size, const char *node);
long long carveout_get(const char *heap, const char *attribute);
long long carveout_lost(const char *heap);
int carveout_settle(const struct carveout *carveout);
size_t carveout_alignment(const struct carveout *carveout, size_t len);

int region_alloc(const char *heap, int heap_fd, __u64 len);
int region_take(const char *heap, int heap_fd, size_t len, int *fds, int max,
		int *error);
void region_give_back(int *fds, int count);

#endif /* HEAP_REGIONS_H */

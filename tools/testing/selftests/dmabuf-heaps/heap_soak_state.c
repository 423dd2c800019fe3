// SPDX-License-Identifier: GPL-2.0
/*
 * The numbers of the kernel that dmabuf-heap-soak compares. It reads them when no worker
 * runs and all pools are empty. See heap_soak.h.
 *
 * Most numbers must be equal: not a page, not an object may be missing. Two kinds have a
 * bound, since the rest of the kernel has a share in them. The bounds do not depend on the
 * time between two readings: a leak at a steady rate exceeds them if the soak is long enough.
 */

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "heap_cgroup.h"
#include "heap_list.h"
#include "heap_regions.h"
#include "heap_soak.h"

#define MAX_NUMBERS	1024
#define SLABS		"/sys/kernel/slab"

/*
 * Pages that are neither free nor in slabs, page tables and stacks: percpu data of cgroups,
 * page tables of the kernel, memory of modules, pages that are on their way back.
 */
#define PAGES_SLACK	256

/*
 * Objects of a slab cache: those of the kernel's worker threads, whose number varies, lists
 * of the owners of charged objects, of which there is one for each slab, and objects that
 * wait for a grace period, such as those of the files that are read here.
 */
#define OBJECTS_SLACK	256

struct soak_number {
	enum soak_kind kind;
	char name[2 * HEAP_NAME_SIZE];
	long long value;
};

struct soak_state {
	int count;
	struct soak_number numbers[MAX_NUMBERS];
};

static void __printf(4, 5)
add(struct soak_state *state, enum soak_kind kind, long long value, const char *format, ...)
{
	struct soak_number *number = &state->numbers[state->count++];
	va_list args;

	if (state->count > MAX_NUMBERS)
		ksft_exit_fail_msg("more than %d numbers\n", MAX_NUMBERS);
	number->kind = kind;
	number->value = value;
	va_start(args, format);
	vsnprintf(number->name, sizeof(number->name), format, args);
	va_end(args);
}

static int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	int count = 0;

	while (dir && readdir(dir))
		count++;
	if (dir)
		closedir(dir);

	return count;
}

static void look_at_heap(struct soak_state *state, const char *heap)
{
	long long size = heap_attr(heap, "area/size_bytes");

	add(state, SOAK_BUFFERS, heap_attr(heap, "buffers"), "buffers of %s", heap);
	add(state, SOAK_BUFFERS, heap_attr(heap, "bytes"), "bytes of %s", heap);
	if (pool_get(heap, "max_bytes") >= 0) {
		add(state, SOAK_POOLS, pool_get(heap, "zeroed_bytes") +
		    pool_get(heap, "unzeroed_bytes"), "bytes in the pool of %s", heap);
		add(state, SOAK_REGIONS, pool_get(heap, "lost_bytes"), "bytes lost of %s",
		    heap);
	}
	if (size > 0)
		add(state, SOAK_REGIONS, size - heap_attr(heap, "area/free_bytes"),
		    "bytes of the region of %s in use", heap);
}

static void look_at_buffers(struct soak_state *state)
{
	struct listed listed;
	FILE *list = list_open();
	int count = 0;

	while (list && list_next(list, &listed))
		count++;
	if (list)
		fclose(list);
	add(state, SOAK_BUFFERS, count, "lines of " HEAP_LIST);
	add(state, SOAK_CHARGES,
	    file_value(CGROUP "/cgroup.stat", "nr_dying_descendants"),
	    "cgroups that are removed but still charged");
}

static void look_at_descriptors(struct soak_state *state)
{
	static const char *const dirs[] = {
		HEAP_DIR, "/sys/class/dma_heap", "/sys/kernel/debug/dma_heap",
	};
	char line[512], module[64];
	FILE *file = fopen("/proc/modules", "re");
	int i, users;

	add(state, SOAK_DESCRIPTORS, open_fds(), "descriptors of this process");
	for (i = 0; i < ARRAY_SIZE(dirs); i++)
		add(state, SOAK_DESCRIPTORS, count_entries(dirs[i]), "entries of %s", dirs[i]);
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%63s %*d %d", module, &users) == 2)
			add(state, SOAK_DESCRIPTORS, users, "users of the module %s", module);
	if (file)
		fclose(file);
}

static void look_at_areas(struct soak_state *state)
{
	static struct cma_heap heaps[MAX_AREAS];
	int i, count = cma_heaps_find(heaps, MAX_AREAS);

	for (i = 0; i < count; i++)
		add(state, SOAK_REGIONS, area_get(heaps[i].area, "used"),
		    "pages of the CMA area %s in use (heap %s)", heaps[i].area,
		    heaps[i].heap);
}

/* In pages; those of the kernel's stacks are in KiB */
static long long accounted_pages(void)
{
	return vm_counter("nr_slab_reclaimable") + vm_counter("nr_slab_unreclaimable") +
	       vm_counter("nr_page_table_pages") +
	       vm_counter("nr_kernel_stack") * 1024 / (long long)page_size();
}

/*
 * Managed pages of all zones that are neither free, nor at hand for a CPU, nor slabs, page
 * tables or stacks: slabs are looked at by the object.
 */
static void look_at_pages(struct soak_state *state)
{
	FILE *file = fopen("/proc/zoneinfo", "re");
	char line[256], zone[32] = "";
	long long value, used = 0, all = 0;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Node %*d, zone %31s", zone) == 1)
			used = 0;
		if (sscanf(line, " pages free %lld", &value) == 1 ||
		    sscanf(line, " count: %lld", &value) == 1)
			used -= value, all -= value;
		if (sscanf(line, " managed %lld", &value) == 1)
			used += value, all += value;
		/* The last line of a zone */
		if (used && sscanf(line, " start_pfn: %lld", &value) == 1)
			add(state, SOAK_KINDS, used, "pages in use in zone %s", zone);
	}
	if (file)
		fclose(file);
	add(state, SOAK_PAGES, all - accounted_pages(), "pages in use, but for slabs");
	add(state, SOAK_POOLS, vm_counter("nr_kernel_misc_reclaimable"),
	    "nr_kernel_misc_reclaimable");
}

/*
 * Without checks, CPUs keep slabs at hand whose objects all count as used. The kernel's
 * option slab_debug=F turns checks on.
 */
static bool objects_are_exact(void)
{
	return file_number(SLABS "/filp/sanity_checks") == 1;
}

static void look_at_objects(struct soak_state *state)
{
	FILE *file = objects_are_exact() ? fopen("/proc/slabinfo", "re") : NULL;
	char line[512], cache[128];
	long long objects;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "%127s %lld", cache, &objects) == 2 && cache[0] != '#')
			add(state, strcmp(cache, "filp") ? SOAK_OBJECTS : SOAK_DESCRIPTORS,
			    objects, "objects of the slab cache %s", cache);
	if (file)
		fclose(file);
}

/* It takes all of its memory now: pages that it took later would be missing */
struct soak_state *soak_state_new(void)
{
	struct soak_state *state = malloc(sizeof(*state));

	if (!state)
		ksft_exit_fail_msg("no memory\n");
	memset(state, 1, sizeof(*state));

	return state;
}

void soak_look(struct soak_state *state, const struct soak_heap *heaps, int count)
{
	int i;

	state->count = 0;
	look_at_pages(state);
	look_at_objects(state);
	for (i = 0; i < count; i++)
		look_at_heap(state, heaps[i].name);
	look_at_buffers(state);
	look_at_descriptors(state);
	look_at_areas(state);
}

bool soak_has(const struct soak_state *state, enum soak_kind kind)
{
	int i;

	for (i = 0; i < state->count; i++)
		if (state->numbers[i].kind == kind)
			return true;

	return false;
}

/* A slab cache may be new */
static long long value_of(const struct soak_state *state, const char *name)
{
	int i;

	for (i = 0; i < state->count; i++)
		if (!strcmp(state->numbers[i].name, name))
			return state->numbers[i].value;

	return 0;
}

static bool is_off(enum soak_kind kind, long long more)
{
	if (kind == SOAK_PAGES)
		return more > PAGES_SLACK;
	if (kind == SOAK_OBJECTS)
		return more > OBJECTS_SLACK;

	return more;
}

/* How many numbers of a kind are not what they were; tells which */
int soak_compare(const struct soak_state *before, const struct soak_state *after,
		 enum soak_kind kind, bool tell)
{
	const struct soak_number *number;
	int off = 0;

	for (number = after->numbers; number < after->numbers + after->count; number++) {
		long long was = value_of(before, number->name);

		if (number->kind != kind || !is_off(kind, number->value - was))
			continue;
		off++;
		if (tell)
			ksft_print_msg("%s: %lld, and %lld before\n", number->name,
				       number->value, was);
	}

	return off;
}

/* Numbers for the reader: those with a bound if they have changed, and some that must not */
void soak_tell(const struct soak_state *before, const struct soak_state *after)
{
	const struct soak_number *number;

	for (number = after->numbers; number < after->numbers + after->count; number++) {
		long long was = value_of(before, number->name);

		if (number->kind == SOAK_KINDS || number->kind == SOAK_PAGES ||
		    (number->kind == SOAK_OBJECTS && number->value != was) ||
		    (number->kind == SOAK_DESCRIPTORS && strstr(number->name, "filp")) ||
		    (number->kind == SOAK_POOLS && strstr(number->name, "nr_")) ||
		    number->kind == SOAK_CHARGES)
			ksft_print_msg("  %-48s %10lld %10lld %+8lld\n", number->name, was,
				       number->value, number->value - was);
	}
}

static void shrink_slabs(void)
{
	DIR *dir = opendir(SLABS);
	char path[PATH_MAX];
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), SLABS "/%s/shrink", entry->d_name);
		file_write(path, "1");
	}
	if (dir)
		closedir(dir);
}

/*
 * The kernel frees what it can, also the names of the files that this reads. The first time
 * it spares what was in use.
 */
void soak_drain(void)
{
	shrink_slabs();
	file_write("/proc/sys/vm/drop_caches", "7");
	file_write("/proc/sys/vm/drop_caches", "7");
}

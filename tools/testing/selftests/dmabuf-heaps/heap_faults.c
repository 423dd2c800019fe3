// SPDX-License-Identifier: GPL-2.0
/* Failing allocations of the tests that want them, see heap_faults.h */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "heap_faults.h"
#include "heap_helpers.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

#define CACHE_FILTER	"/sys/kernel/debug/failslab/cache-filter"
#define CACHES		"/sys/kernel/slab"

/*
 * By default allocations that may wait never fail, nor do single pages and
 * those that may be in high memory: none would be left here. Without verbose
 * the log is not filled with back traces.
 */
static struct knob {
	const char *path;
	const char *value;
	char old[32];
} knobs[] = {
	{ "/sys/kernel/debug/failslab/ignore-gfp-wait", "N" },
	{ CACHE_FILTER, "N" },
	{ "/sys/kernel/debug/failslab/verbose", "0" },
	{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N" },
	{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N" },
	{ "/sys/kernel/debug/fail_page_alloc/min-order", "0" },
	{ "/sys/kernel/debug/fail_page_alloc/verbose", "0" },
	/* For fault_again(). The probability comes last: it is of all tasks until then. */
	{ "/sys/kernel/debug/failslab/task-filter", "Y" },
	{ "/sys/kernel/debug/failslab/interval", "1" },
	{ "/sys/kernel/debug/failslab/times", "0" },
	{ "/sys/kernel/debug/failslab/probability", "100" },
	{ "/sys/kernel/debug/fail_page_alloc/task-filter", "Y" },
	{ "/sys/kernel/debug/fail_page_alloc/interval", "1" },
	{ "/sys/kernel/debug/fail_page_alloc/times", "0" },
	{ "/sys/kernel/debug/fail_page_alloc/probability", "100" },
};

static const char *const kinds[] = { "failslab", "fail_page_alloc" };

/* A range of the kernel's code */
struct code {
	unsigned long start;
	unsigned long end;
};

/* Returns what of the fault injection is not there, or NULL */
const char *fault_knobs_set(void)
{
	int i;

	if (access("/proc/self/fail-nth", W_OK))
		return "/proc/self/fail-nth";

	for (i = 0; i < ARRAY_SIZE(knobs); i++) {
		if (file_read(knobs[i].path, knobs[i].old,
			      sizeof(knobs[i].old)) ||
		    file_write(knobs[i].path, knobs[i].value))
			return knobs[i].path;
	}

	return NULL;
}

static bool begins_with(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

static const struct code all = { 0, ~0UL };
static const struct code none = { 0, 0 };

/* From the first function of that name, or whose name begins so, to the last one */
static bool find_code(struct code *code, const char *name, bool all)
{
	unsigned long address;
	bool inside = false;
	char symbol[256];
	FILE *file;
	char type;

	*code = (struct code) { };
	file = fopen("/proc/kallsyms", "re");
	if (!file)
		return false;
	while (fscanf(file, "%lx %c %255s%*[^\n]", &address, &type,
		      symbol) == 3) {
		/* What follows the last one ends it */
		if (inside && address > code->end)
			code->end = address;
		inside = strchr("Tt", type) && (all ? begins_with(symbol, name) :
						!strcmp(symbol, name));
		if (inside && (!code->start || address < code->start))
			code->start = address;
		if (inside && address >= code->end)
			code->end = address + 1;
	}
	fclose(file);

	return code->start;
}

static int set_range(const char *kind, const char *what,
		     const struct code *code)
{
	char path[128], text[32];
	int ret;

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s-start", kind, what);
	snprintf(text, sizeof(text), "0x%lx", code->start);
	ret = file_write(path, text);
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s-end", kind, what);
	snprintf(text, sizeof(text), "0x%lx", code->end);

	return file_write(path, text);
}

void fault_knobs_restore(void)
{
	int i;

	for (i = ARRAY_SIZE(knobs); i--; )
		if (knobs[i].old[0])
			file_write(knobs[i].path, knobs[i].old);
	set_range("failslab", "require", &all);
	set_range("failslab", "reject", &none);
	set_range("fail_page_alloc", "require", &all);
	set_range("fail_page_alloc", "reject", &none);
}

/*
 * The kernel takes spare objects of these beforehand and can do without them. The CPU
 * and earlier allocations decide when it takes one.
 */
static bool has_spares(const char *cache)
{
	return !strcmp(cache, "radix_tree_node") || !strcmp(cache, "vmap_area");
}

/* Allocations fail from caches without spare objects only */
static int filter_caches(void)
{
	DIR *dir = opendir(CACHES);
	struct dirent *entry;
	char path[300];
	int ret = 0;

	if (!dir)
		return -errno;
	while (!ret && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), CACHES "/%s/failslab",
			 entry->d_name);
		ret = file_write(path, has_spares(entry->d_name) ? "0" : "1");
	}
	closedir(dir);

	return ret ? ret : file_write(CACHE_FILTER, "Y");
}

/*
 * Returns what is missing, or NULL. Pages that a slab wants do not fail: it may get by
 * with less.
 */
const char *fault_only_within(const char *function, bool pages)
{
	struct code require, debugfs, slab;

	if (!find_code(&require, function, false) ||
	    !find_code(&debugfs, "debugfs_create_", true) ||
	    !find_code(&slab, "___slab_alloc", true))
		return "/proc/kallsyms";

	if (set_range("failslab", "require", &require) ||
	    set_range("failslab", "reject", &debugfs) ||
	    set_range("fail_page_alloc", "require", pages ? &require : &none) ||
	    set_range("fail_page_alloc", "reject", &slab))
		return "a filter by stack traces";
	if (filter_caches())
		return CACHES;

	return NULL;
}

/* Whether the task has that name, of which threads of the kernel show all */
static bool is_called(const char *pid, const char *name)
{
	char path[300], comm[128];

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	if (file_read(path, comm, sizeof(comm)))
		return false;
	comm[strcspn(comm, "\n")] = '\0';

	return !strcmp(comm, name);
}

int fault_open_kthread(const char *name)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	char path[300];
	int fd = -ENOENT;

	while (dir && fd == -ENOENT && (entry = readdir(dir))) {
		if (!atoi(entry->d_name) || !is_called(entry->d_name, name))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/fail-nth",
			 entry->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	if (dir)
		closedir(dir);

	return fd;
}

static int set_knob(const char *kind, const char *knob, int value)
{
	char path[128], text[16];

	snprintf(path, sizeof(path), "/sys/kernel/debug/%s/%s", kind, knob);
	snprintf(text, sizeof(text), "%d", value);

	return file_write(path, text);
}

/* Of slabs and of pages one each, and the one of fail-nth, which counts as either */
#define TIMES	2

int fault_again(int make_it_fail, int every)
{
	int i, ret = 0;

	for (i = 0; !ret && i < ARRAY_SIZE(kinds); i++) {
		ret = set_knob(kinds[i], "interval", every);
		if (!ret)
			ret = set_knob(kinds[i], "times", TIMES);
	}
	if (!ret && pwrite(make_it_fail, "1", 1, 0) < 0)
		ret = -errno;

	return ret;
}

int fault_again_end(int make_it_fail)
{
	char path[128];
	int i, count = 0;

	/* Before anything that could fail */
	if (pwrite(make_it_fail, "0", 1, 0) < 0)
		abort();
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s/times", kinds[i]);
		count += TIMES - file_number(path);
		set_knob(kinds[i], "times", 0);
	}

	return count;
}

/* Lets the nth allocation of the next calls of the thread fail */
void fault_inject(int fail_nth, int nth)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", nth);
	if (pwrite(fail_nth, text, strlen(text), 0) < 0)
		abort();
}

/* Ends that, and tells whether there were that many */
bool fault_injected(int fail_nth)
{
	char text[16] = "";

	if (pread(fail_nth, text, sizeof(text) - 1, 0) < 0)
		abort();
	fault_inject(fail_nth, 0);

	return !atoi(text);
}

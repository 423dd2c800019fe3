// SPDX-License-Identifier: GPL-2.0
/* The pool behind a heap, see heap_pool.h */

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "heap_buf.h"
#include "heap_device.h"
#include "heap_file.h"
#include "heap_pool.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

#define STAT(_name)	{ #_name, offsetof(struct pool_stats, _name) }

static const struct {
	const char *name;
	size_t offset;
} pool_stat_lines[] = {
	STAT(clean_pages),
	STAT(dirty_pages),
	STAT(hits),
	STAT(dirty_hits),
	STAT(misses),
	STAT(scrubbed_pages),
	STAT(paid_pages),
	STAT(untouched_pages),
	STAT(evicted_pages),
	STAT(decayed_pages),
	STAT(shrunk_pages),
};

/* Returns whether the line is that of a counter */
static bool pool_stat_line(const char *line, struct pool_stats *stats)
{
	char name[64];
	long long value;
	int i;

	if (sscanf(line, "%63s %lld", name, &value) != 2)
		return false;

	for (i = 0; i < ARRAY_SIZE(pool_stat_lines); i++) {
		if (strcmp(name, pool_stat_lines[i].name))
			continue;
		*(long long *)((char *)stats + pool_stat_lines[i].offset) = value;
		return true;
	}

	return false;
}

int pool_read_stats(const char *heap_name, struct pool_stats *stats)
{
	char path[128], line[128];
	int found = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/debug/dma_heap/%s/stats",
		 heap_name);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file))
		found += pool_stat_line(line, stats);
	fclose(file);

	return found == ARRAY_SIZE(pool_stat_lines) ? 0 : -ENOENT;
}

long long pool_counted(const char *heap_name, const struct pool_stats *before,
		       size_t counter)
{
	struct pool_stats now;

	if (pool_read_stats(heap_name, &now))
		return -1;

	return *(const long long *)((const char *)&now + counter) -
	       *(const long long *)((const char *)before + counter);
}

/* All the counters in one line, for messages */
const char *pool_text(const char *heap_name)
{
	static char text[1024];
	char path[128], *at;

	snprintf(path, sizeof(path), "/sys/kernel/debug/dma_heap/%s/stats",
		 heap_name);
	if (file_read(path, text, sizeof(text)))
		return "no statistics";
	for (at = text; (at = strchr(at, '\n')); )
		*at = ' ';

	return text;
}

/* What is in the pool, clean or not; negative if that cannot be told */
long long pool_pages(const char *heap_name)
{
	struct pool_stats stats;
	int ret;

	ret = pool_read_stats(heap_name, &stats);

	return ret ? ret : stats.clean_pages + stats.dirty_pages;
}

/* Whether the scrubber is done, and that many pages are there */
bool pool_is_clean(const char *heap_name, long long pages)
{
	struct pool_stats stats;

	return !pool_read_stats(heap_name, &stats) && !stats.dirty_pages &&
	       stats.clean_pages == pages;
}

/* Runs the pool's shrinker on all there is in it */
int pool_shrink(const char *heap_name, long long *counted, long long *freed)
{
	struct pool_stats before, after;
	char path[128];
	int ret;

	snprintf(path, sizeof(path), "/sys/kernel/debug/dma_heap/%s/shrink",
		 heap_name);
	ret = pool_read_stats(heap_name, &before) ?: file_write(path, "1") ?:
	      pool_read_stats(heap_name, &after);
	*counted = before.clean_pages + before.dirty_pages;
	*freed = after.shrunk_pages - before.shrunk_pages;

	return ret;
}

/* Empties it; false until also what the scrubber had in its hands is gone */
bool pool_empty(const char *heap_name)
{
	long long counted, freed;

	return !pool_shrink(heap_name, &counted, &freed) &&
	       !pool_pages(heap_name);
}

/* Whether it takes what it gets: not for a while after reclaim */
bool pool_keeps(const char *heap_name, int heap_fd)
{
	long long pages;
	int fd;

	fd = heap_alloc(heap_fd, KIB(4));
	pages = pool_pages(heap_name);
	close(fd);

	return pool_pages(heap_name) > pages;
}

/* Puts @count dirty buffers into the pool, as far as it takes them */
int pool_fill(int heap_fd, size_t len, int count)
{
	int *fds, i, ret = 0;

	fds = calloc(count, sizeof(*fds));
	if (!fds)
		return -ENOMEM;
	for (i = 0; i < count; i++) {
		fds[i] = buf_filled(heap_fd, len, i);
		if (fds[i] < 0) {
			ret = fds[i];
			break;
		}
	}
	while (i--)
		close(fds[i]);
	free(fds);

	return ret;
}

long long pool_get(const char *heap_name, const char *knob)
{
	char attr[64];

	snprintf(attr, sizeof(attr), "pool/%s", knob);

	return heap_attr(heap_name, attr);
}

int pool_write(const char *heap_name, const char *knob, const char *text)
{
	char attr[64];

	snprintf(attr, sizeof(attr), "pool/%s", knob);

	return heap_attr_write(heap_name, attr, text);
}

int pool_set(const char *heap_name, const char *knob, long long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", value);

	return pool_write(heap_name, knob, text);
}

long long pools_total_kib(void)
{
	return file_number("/sys/kernel/dma_heap/total_pools_kb");
}

#define POOLS_PERCENT \
	"/sys/module/dma_heap_pool/parameters/max_total_percent"

long long pools_percent(void)
{
	return file_number(POOLS_PERCENT);
}

int pools_set_percent(long long percent)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", percent);

	return file_write(POOLS_PERCENT, text);
}

long long pools_cap_kib(void)
{
	return meminfo_kib("MemTotal:") / 100 * pools_percent();
}

int pool_prefill(const char *heap_name, unsigned long long size, unsigned int count)
{
	char text[64];

	snprintf(text, sizeof(text), "%llu %u", size, count);

	return pool_write(heap_name, "prefill", text);
}

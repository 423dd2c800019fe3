/* SPDX-License-Identifier: GPL-2.0 */
/* The pool behind a heap: what it counts, what it has, and its knobs */
#ifndef HEAP_POOL_H
#define HEAP_POOL_H

#include <stdbool.h>
#include <stddef.h>

/* What a pool counts, by the names in debugfs */
struct pool_stats {
	long long clean_pages;
	long long dirty_pages;
	long long hits;
	long long dirty_hits;
	long long misses;
	long long scrubbed_pages;
	long long paid_pages;
	long long untouched_pages;
	long long evicted_pages;
	long long decayed_pages;
	long long shrunk_pages;
};

/* -ENOENT if there is no pool, or debugfs is not there */
int pool_read_stats(const char *heap_name, struct pool_stats *stats);

/* By how much a counter, named by its offset, is higher than before */
long long pool_counted(const char *heap_name, const struct pool_stats *before,
		       size_t counter);
const char *pool_text(const char *heap_name);
long long pool_pages(const char *heap_name);
bool pool_is_clean(const char *heap_name, long long pages);
int pool_shrink(const char *heap_name, long long *counted, long long *freed);
bool pool_empty(const char *heap_name);
bool pool_keeps(const char *heap_name, int heap_fd);
int pool_fill(int heap_fd, size_t len, int count);
long long pool_get(const char *heap_name, const char *knob);
int pool_set(const char *heap_name, const char *knob, long long value);
int pool_write(const char *heap_name, const char *knob, const char *text);

/* KiB in all pools together, and what there may be */
long long pools_total_kib(void);
long long pools_cap_kib(void);
long long pools_percent(void);
int pools_set_percent(long long percent);
int pool_prefill(const char *heap_name, unsigned long long size, unsigned int count);

#endif /* HEAP_POOL_H */

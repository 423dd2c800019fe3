/* SPDX-License-Identifier: GPL-2.0 */
/* Patterns in memory, and numbers without a pattern */
#ifndef HEAP_PATTERN_H
#define HEAP_PATTERN_H

#include <stddef.h>
#include <linux/types.h>

/*
 * Every 64-bit word of a pattern tells its offset and the seed, so that a page
 * that shows up in the wrong place or in the wrong buffer is noticed.
 * pattern_check() takes the offset of @p in the buffer and returns the offset
 * of the first wrong word, or -1.
 */
void pattern_fill(void *p, size_t offset, size_t len, __u32 seed);
long long pattern_check(const void *p, size_t offset, size_t len, __u32 seed);
long long find_nonzero(const void *p, size_t len);

/* Numbers without a system, but the same on each run */
unsigned int pseudo_random(__u64 *state);

#endif /* HEAP_PATTERN_H */

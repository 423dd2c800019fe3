// SPDX-License-Identifier: GPL-2.0
/* Patterns, see heap_pattern.h */

#include "heap_pattern.h"

static __u64 pattern_word(size_t offset, __u32 seed)
{
	return ((__u64)(seed ^ 0x5aa5c33cU) << 32) + offset;
}

void pattern_fill(void *p, size_t offset, size_t len, __u32 seed)
{
	__u64 *word = p;
	size_t i;

	for (i = 0; i < len / sizeof(*word); i++)
		word[i] = pattern_word(offset + i * sizeof(*word), seed);
}

long long pattern_check(const void *p, size_t offset, size_t len, __u32 seed)
{
	const __u64 *word = p;
	size_t i;

	for (i = 0; i < len / sizeof(*word); i++)
		if (word[i] != pattern_word(offset + i * sizeof(*word), seed))
			return offset + i * sizeof(*word);

	return -1;
}

/* Offset of the first word that is not zero, or -1 */
long long find_nonzero(const void *p, size_t len)
{
	const __u64 *word = p;
	size_t i;

	for (i = 0; i < len / sizeof(*word); i++)
		if (word[i])
			return i * sizeof(*word);

	return -1;
}

unsigned int pseudo_random(__u64 *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;

	return *state >> 33;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * What can be said about the bytes of a frame.
 */
#include <string.h>

#include "frame.h"

/*
 * Eight bytes a step, because every frame is read in full and the guest is
 * emulated. Each step maps the state one to one (xor, odd factor), hence a
 * single changed byte cannot be lost again; the shift carries high bits down.
 */
static __u64 mix(__u64 sum, __u64 word)
{
	sum = (sum ^ word) * 0x9e3779b97f4a7c15ULL;

	return sum ^ (sum >> 32);
}

__u64 frame_checksum(const void *data, size_t size)
{
	const unsigned char *p = data;
	__u64 sum = size;
	__u64 word;

	for (; size >= sizeof(word); size -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		sum = mix(sum, word);
	}
	word = 0;
	memcpy(&word, p, size);

	return mix(sum, word);
}

int frame_is_zero(const void *data, size_t size)
{
	const unsigned char *p = data;

	/* First byte zero, and each byte equal to the one before it. */
	return !size || (!p[0] && !memcmp(p, p + 1, size - 1));
}

size_t frame_compare(const void *a, const void *b, size_t size)
{
	const unsigned char *p = a;
	const unsigned char *q = b;
	size_t i = 0;

	if (!memcmp(p, q, size))
		return size;
	while (i < size && p[i] == q[i])
		i++;

	return i;
}

static int is_plain(const __u8 *pixel, unsigned int n)
{
	return !memcmp(pixel, pixel + 3, (n - 1) * 3);
}

/* Wherever the line or a part of it is not where it should be, a bar is not plain */
int frame_has_bars(const __u8 *line, unsigned int width)
{
	unsigned int seen = 0;
	unsigned int bar;

	for (bar = 0; bar < 8; bar++) {
		unsigned int first = bar * width / 8 + 1;
		unsigned int last = (bar + 1) * width / 8 - 1;
		const __u8 *p = line + first * 3;

		if (first >= last || !is_plain(p, last - first))
			return 0;
		seen |= 1U << ((p[0] >> 7) << 2 | (p[1] >> 7) << 1 | p[2] >> 7);
	}

	return seen == 0xff;
}

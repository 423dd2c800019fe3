/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What can be said about the bytes of a frame.
 */
#ifndef DEMO_FRAME_H
#define DEMO_FRAME_H

#include <linux/types.h>
#include <stddef.h>

/* Over all bytes; one changed byte always changes the result. */
__u64 frame_checksum(const void *data, size_t size);

int frame_is_zero(const void *data, size_t size);

/* Offset of the first byte that differs, @size when none does. */
size_t frame_compare(const void *a, const void *b, size_t size);

/*
 * Is one line of packed RGB eight bars of the same width, each plain and each of another
 * colour: every combination of red, green and blue, each on or off?
 */
int frame_has_bars(const __u8 *line, unsigned int width);

#endif

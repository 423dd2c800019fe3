// SPDX-License-Identifier: GPL-2.0
/* What a test of one heap must not leave behind, see heap_left.h */

#include "heap_device.h"
#include "heap_left.h"
#include "heap_process.h"

struct heap_left heap_left(const char *heap_name)
{
	return (struct heap_left) {
		.open_fds = open_fds(),
		.buffers = heap_buffers(heap_name),
		.counted = heap_attr(heap_name, "buffers"),
		.bytes = heap_attr(heap_name, "bytes"),
	};
}

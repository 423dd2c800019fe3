// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of this program itself: without it there is nothing left to do
 */
#include "dmaheap.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void *had(void *memory)
{
	if (memory)
		return memory;
	fputs("dmaheap: out of memory\n", stderr);
	exit(FAILED);
}

/* See that @array has room for one more element than the @used ones */
void *grow(void *array, size_t *room, size_t used, size_t size)
{
	if (used < *room)
		return array;
	*room = *room ? *room * 2 : 16;
	return had(reallocarray(array, *room, size));
}

void *zeroed(size_t number, size_t size)
{
	return had(calloc(number ? number : 1, size));
}

char *copy_of(const char *text)
{
	return had(strdup(text));
}

char *text_of(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		text = NULL;
	va_end(args);
	return had(text);
}

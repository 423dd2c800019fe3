// SPDX-License-Identifier: GPL-2.0
/*
 * The language of the suites dma_heap_cache and dma_heap_model, see heap_test_cache.h
 */

#include <linux/array_size.h>
#include <linux/ctype.h>
#include <linux/dma-direction.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "heap_test_cache.h"
#include "heap_test_helpers.h"

static const char * const op_names[] = {
	[HEAP_CACHE_MAP] = "map",
	[HEAP_CACHE_UNMAP] = "unmap",
	[HEAP_CACHE_BEGIN] = "begin",
	[HEAP_CACHE_END] = "end",
	[HEAP_CACHE_MMAP] = "mmap",
	[HEAP_CACHE_MUNMAP] = "munmap",
	[HEAP_CACHE_VMAP] = "vmap",
	[HEAP_CACHE_VUNMAP] = "vunmap",
};

static const char * const event_names[] = {
	[HEAP_CACHE_WRITE_BACK] = "write back",
	[HEAP_CACHE_DROP] = "drop",
	[HEAP_CACHE_TO_USER] = "to",
	[HEAP_CACHE_FROM_USER] = "from",
	[HEAP_CACHE_UNEXPECTED] = "unexpected",
};

static const struct user_kind {
	char letter;
	unsigned int first;
	unsigned int end;
} user_kinds[] = {
	{ 'n', HEAP_CACHE_NONCOHERENT, HEAP_CACHE_COHERENT },
	{ 'c', HEAP_CACHE_COHERENT, HEAP_CACHE_BOUNCING },
	{ 'b', HEAP_CACHE_BOUNCING, HEAP_CACHE_USERS },
};

/* Directions of an access, for the CPU and for a device */
static const struct {
	const char *name;
	enum dma_data_direction cpu;
	enum dma_data_direction device;
} accesses[] = {
	{ "r", DMA_FROM_DEVICE, DMA_TO_DEVICE },
	{ "w", DMA_TO_DEVICE, DMA_FROM_DEVICE },
	{ "rw", DMA_BIDIRECTIONAL, DMA_BIDIRECTIONAL },
};

static bool step_is_of_device(const struct heap_cache_step *step)
{
	return step->op == HEAP_CACHE_MAP || step->op == HEAP_CACHE_UNMAP;
}

static bool parse_user(const char *text, struct heap_cache_step *step)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(user_kinds); i++) {
		if (text[0] != user_kinds[i].letter)
			continue;
		step->user = user_kinds[i].first;
		if (isdigit(text[1]))
			step->user += text[1] - '0';
		return step->user < user_kinds[i].end;
	}

	return false;
}

static bool parse_access(const char *text, struct heap_cache_step *step)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(accesses); i++) {
		if (strcmp(text, accesses[i].name))
			continue;
		step->dir = step_is_of_device(step) ? accesses[i].device :
						      accesses[i].cpu;
		return true;
	}

	return false;
}

/* 2, 2+1 or 2-1: pages, and bytes to add or to subtract */
static size_t parse_position(const char *text)
{
	unsigned int page, plus = 0, minus = 0;

	if (sscanf(text, "%u+%u", &page, &plus) < 1 ||
	    sscanf(text, "%u-%u", &page, &minus) < 1)
		return SIZE_MAX;

	return page * PAGE_SIZE + plus - minus;
}

static bool parse_range(const char *text, struct heap_cache_step *step)
{
	const char *second = strstr(text, "..");
	size_t end;

	if (!second)
		return false;

	step->offset = parse_position(text);
	end = parse_position(second + 2);
	step->len = end - step->offset;

	return end > step->offset;
}

/* Parse the step in @text, up to a colon or to the end */
int heap_cache_parse(struct heap_cache *cache, const char *text,
		     struct heap_cache_step *step)
{
	char buf[64], *rest = buf, *word;
	int op;

	strscpy(buf, text);
	buf[strcspn(buf, ":")] = 0;
	memset(step, 0, sizeof(*step));
	step->len = heap_test_source_size(&cache->source);

	op = match_string(op_names, ARRAY_SIZE(op_names), strsep(&rest, " "));
	if (op < 0)
		return -EINVAL;
	step->op = op;

	while ((word = strsep(&rest, " "))) {
		if (parse_access(word, step))
			continue;
		if (step_is_of_device(step) && parse_user(word, step))
			continue;
		if (step_is_access(step) && parse_range(word, step))
			continue;
		return -EINVAL;
	}

	return 0;
}
EXPORT_SYMBOL_NS_GPL(heap_cache_parse, EXPORTED_FOR_KUNIT_TESTING);

static int print_user(unsigned int user, char *text, size_t size)
{
	int i = ARRAY_SIZE(user_kinds) - 1;

	while (user < user_kinds[i].first)
		i--;
	user -= user_kinds[i].first;

	return user ? scnprintf(text, size, " %c%u", user_kinds[i].letter, user) :
		      scnprintf(text, size, " %c", user_kinds[i].letter);
}

static int print_access(const struct heap_cache_step *step, char *text,
			size_t size)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(accesses); i++)
		if (step->dir == (step_is_of_device(step) ? accesses[i].device :
							    accesses[i].cpu))
			return scnprintf(text, size, " %s", accesses[i].name);

	return 0;
}

/* Print a position relative to the nearest page boundary */
static int print_position(size_t pos, char *text, size_t size)
{
	unsigned int page = (pos + PAGE_SIZE / 2) / PAGE_SIZE;
	int bytes = pos - page * PAGE_SIZE;

	return bytes ? scnprintf(text, size, "%u%+d", page, bytes) :
		       scnprintf(text, size, "%u", page);
}

static int print_range(struct heap_cache *cache, size_t start, size_t end,
		       char *text, size_t size)
{
	int n;

	if (!start && end == heap_test_source_size(&cache->source))
		return scnprintf(text, size, " all");

	n = scnprintf(text, size, " ");
	n += print_position(start, text + n, size - n);
	n += scnprintf(text + n, size - n, "..");
	n += print_position(end, text + n, size - n);

	return n;
}

/* Print the step as text for heap_cache_parse() */
void heap_cache_print(struct heap_cache *cache,
		      const struct heap_cache_step *step, char *text,
		      size_t size)
{
	size_t whole = heap_test_source_size(&cache->source);
	int n = scnprintf(text, size, "%s", op_names[step->op]);

	if (step_is_of_device(step))
		n += print_user(step->user, text + n, size - n);
	if (step_is_access(step) || step->op == HEAP_CACHE_MAP ||
	    step->op == HEAP_CACHE_MMAP)
		n += print_access(step, text + n, size - n);
	if (step_is_access(step) && step->len != whole)
		print_range(cache, step->offset, step->offset + step->len,
			    text + n, size - n);
}
EXPORT_SYMBOL_NS_GPL(heap_cache_print, EXPORTED_FOR_KUNIT_TESTING);

/* Print the events of the last step: "write back all, to b 1..2" */
void heap_cache_print_events(struct heap_cache *cache, char *text, size_t size)
{
	unsigned int i;
	int n = 0;

	text[0] = 0;
	for (i = 0; i < min(cache->event_count, HEAP_CACHE_EVENTS); i++) {
		const struct heap_cache_event *event = &cache->events[i];

		/* The step implies that the device maps a table */
		if (event->type == HEAP_CACHE_TABLE)
			continue;
		n += scnprintf(text + n, size - n, "%s%s", n ? ", " : "",
			       event_names[event->type]);
		if (event->type == HEAP_CACHE_TO_USER ||
		    event->type == HEAP_CACHE_FROM_USER)
			n += print_user(event->user, text + n, size - n);
		n += print_range(cache, event->start, event->end, text + n,
				 size - n);
	}
	if (cache->event_count > HEAP_CACHE_EVENTS)
		scnprintf(text + n, size - n, ", and more");
}
EXPORT_SYMBOL_NS_GPL(heap_cache_print_events, EXPORTED_FOR_KUNIT_TESTING);

// SPDX-License-Identifier: GPL-2.0
/*
 * dmaheap top: what there is to see at one moment
 */
#include "top.h"
#include <string.h>

static void take_processes(struct sample *s)
{
	struct buffers b;

	s->error = buffers_read(&b);
	if (!s->error) {
		processes_of_buffers(&s->processes, &b);
		buffers_free(&b);
	} else {
		s->blind = processes_of_fdinfo(&s->processes, &s->heaps,
					       &s->partial);
	}
	processes_sort(&s->processes);
}

/* 0 or an error, if there is nothing to see at all */
int sample_take(struct sample *s)
{
	int error;

	memset(s, 0, sizeof(*s));
	s->time = time(NULL);
	error = heaps_read(&s->heaps);
	if (!error)
		take_processes(s);
	return error;
}

void sample_free(struct sample *s)
{
	heaps_free(&s->heaps);
	processes_free(&s->processes);
	memset(s, 0, sizeof(*s));
}

double sample_hits(const struct heap *heap, struct heaps *before)
{
	static const enum attr counters[] = {
		POOL_HITS, POOL_DIRTY_HITS, POOL_MISSES
	};
	const struct heap *old = before ? heaps_find(before, heap->name) : NULL;
	__u64 hits = 0, all = 0;

	if (!old)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		__u64 now = heap->attr[counters[i]], then = old->attr[counters[i]];

		if (now >= UNLIMITED || then >= UNLIMITED || now < then)
			return -1;
		all += now - then;
		if (counters[i] != POOL_MISSES)
			hits += now - then;
	}
	return all ? 100.0 * hits / all : -1;
}

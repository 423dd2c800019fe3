// SPDX-License-Identifier: GPL-2.0
/*
 * Sums of buffers by process
 */
#include "dmaheap.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct process *processes_add(struct processes *p, __u64 pid, const char *comm)
{
	struct process *new;

	p->process = grow(p->process, &p->room, p->n, sizeof(*p->process));
	new = &p->process[p->n++];
	memset(new, 0, sizeof(*new));
	new->pid = pid;
	new->comm = copy_of(comm);
	return new;
}

static int by_owner(const void *a, const void *b)
{
	const struct buffer *x = *(const struct buffer * const *)a;
	const struct buffer *y = *(const struct buffer * const *)b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return strcmp(x->comm ? x->comm : "", y->comm ? y->comm : "");
}

/* A process that got a new name in between counts as two */
void processes_of_buffers(struct processes *p, const struct buffers *b)
{
	const struct buffer **sorted = zeroed(b->n, sizeof(*sorted));

	for (size_t i = 0; i < b->n; i++)
		sorted[i] = &b->buffer[i];
	qsort(sorted, b->n, sizeof(*sorted), by_owner);
	for (size_t i = 0; i < b->n; i++) {
		if (!i || by_owner(&sorted[i - 1], &sorted[i]))
			processes_add(p, sorted[i]->pid, sorted[i]->comm ?
				      sorted[i]->comm : "");
		p->process[p->n - 1].bytes += sorted[i]->size;
		p->process[p->n - 1].buffers++;
		p->bytes += sorted[i]->size;
		p->buffers++;
	}
	free(sorted);
}

static int by_bytes(const void *a, const void *b)
{
	const struct process *x = a, *y = b;

	if (x->bytes != y->bytes)
		return x->bytes > y->bytes ? -1 : 1;
	return (x->pid > y->pid) - (x->pid < y->pid);
}

/* The largest one comes first */
void processes_sort(struct processes *p)
{
	if (p->n)
		qsort(p->process, p->n, sizeof(*p->process), by_bytes);
}

void processes_free(struct processes *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->process[i].comm);
	free(p->process);
	memset(p, 0, sizeof(*p));
}

/* Is there a process of that number now? It need not be the same one */
bool process_lives(__u64 pid)
{
	char *path = text_of("%s/proc/%llu", root, pid);
	bool lives = !access(path, F_OK);

	free(path);
	return lives;
}

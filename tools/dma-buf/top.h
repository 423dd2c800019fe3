/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dmaheap top: one look at everything, and how it is shown
 */
#ifndef DMAHEAP_TOP_H
#define DMAHEAP_TOP_H

#include "dmaheap.h"
#include <time.h>

struct sample {
	struct heaps heaps;
	struct processes processes;
	/* Of the list in debugfs; then the processes are from fdinfo */
	int error;
	/* Not all processes could be looked at, or none */
	bool partial, blind;
	time_t time;
};

int sample_take(struct sample *s);
void sample_free(struct sample *s);
/* Hits of the heap's pool since @before, in percent; below 0 if not known */
double sample_hits(const struct heap *heap, struct heaps *before);

struct screen {
	unsigned int rows, columns;
	/* Of a terminal, and so are the sequences that move the cursor */
	bool colors;
};

/* @before may be NULL */
void screen_text(FILE *f, const struct screen *screen, const struct sample *s,
		 struct sample *before);
void screen_json(FILE *f, const struct sample *s, struct sample *before);

#endif

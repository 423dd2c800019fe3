/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dmaheap trace: events from the kernel to the reader
 */
#ifndef DMAHEAP_TRACE_H
#define DMAHEAP_TRACE_H

#include "dmaheap.h"

/* A tracefs instance of this process alone */
struct instance {
	/* Its directory */
	char *path;
	/* trace_pipe, which is not waited for */
	int pipe;
};

/* All of these say themselves what is wrong */
int instance_create(struct instance *in);
int instance_enable(struct instance *in, char *events);
int instance_open(struct instance *in);
/* These two do not */
int instance_stop(struct instance *in);
void instance_remove(struct instance *in);

void event_print(FILE *f, char *line, bool json);

#endif

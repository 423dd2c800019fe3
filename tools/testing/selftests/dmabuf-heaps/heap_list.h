/* SPDX-License-Identifier: GPL-2.0 */
/* The list of all buffers in debugfs, line by line */
#ifndef HEAP_LIST_H
#define HEAP_LIST_H

#include <stdbool.h>
#include <stdio.h>

#include "heap_helpers.h"

#define HEAP_LIST	"/sys/kernel/debug/dma_heap_buffers"

#define HEAP_LIST_HEAD	\
	"heap\tsize\tage_ms\tpid\timporters\tcpu\tcache\tinode\tcomm\tname\tcgroup\n"

/* A line, with what was octal made plain again */
struct listed {
	char heap[HEAP_NAME_SIZE];
	unsigned long long size;
	unsigned long long age_ms;
	int pid;
	unsigned int importers;
	char cpu[8];
	char cache[8];
	unsigned long long inode;
	char comm[64];
	char name[128];
	char cgroup[1024];
};

FILE *list_open(void);
bool list_next(FILE *list, struct listed *listed);
int list_find(int fd, struct listed *listed);
int list_count(const char *heap_name);

#endif /* HEAP_LIST_H */

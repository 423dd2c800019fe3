/* SPDX-License-Identifier: GPL-2.0 */
/* heap_test_importer, a module that tells what user space cannot see */
#ifndef HEAP_IMPORTER_H
#define HEAP_IMPORTER_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

struct buf_chunk {
	unsigned long pfn;
	unsigned long pages;
	int node;
};

struct buf_chunks {
	struct buf_chunk *chunk;
	int count;
	/* What the device was given: from the lowest address to the highest */
	int segments;
	unsigned long long longest;
	unsigned long long dma_start;
	unsigned long long dma_end;
};

/* Its devices: masks of 64 and 32 bits, and two that see the CPU's caches; two that move bytes */
enum importer_device {
	IMPORTER_COHERENT = 1,
	IMPORTER_BOUNCES = 2,
	IMPORTER_MOVER = 3,
	IMPORTER_MOVER_2 = 4,
	IMPORTER_31 = 31,
	IMPORTER_32 = 32,
	IMPORTER_64 = 64,
};

/* As enum dma_data_direction */
enum importer_dir {
	DEVICE_READS_AND_WRITES,
	DEVICE_READS,
	DEVICE_WRITES,
};

/* A page that is mapped */
struct user_page {
	unsigned long pfn;
	int writecombined;
	int block;
	int writable;
};

/* Maintenance of caches in a buffer */
struct sync_count {
	unsigned int calls;
	size_t bytes;
	size_t first;
	size_t end;
};

int importer_open(void);
int importer_do(int importer, const char *format, ...);
int importer_ask(int importer, const char *verb, unsigned long subject,
		 unsigned long detail, char *answer, size_t size);
int importer_user_page(int importer, const void *p, struct user_page *page);
int importer_user_pages(int importer, const char *p, size_t count,
			struct user_page *pages);
int importer_counted(int importer, struct sync_count *clean,
		     struct sync_count *drop);
bool importer_has(int importer, int fd, int device);
int importer_map(int importer, int fd, int device, int dir);
int importer_map_peer(int importer, int fd, int device, int dir);
int importer_unmap(int importer);
int importer_bounces(int importer);
long long importer_reads(int importer, size_t offset, size_t len, __u32 seed);

int buf_get_chunks(int importer, int fd, unsigned int mask_bits,
		   struct buf_chunks *chunks);
void buf_put_chunks(struct buf_chunks *chunks);
unsigned long long buf_address(int importer, int fd);

#endif /* HEAP_IMPORTER_H */

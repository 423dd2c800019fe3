/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Exporters charge and record the buffers of heaps with these
 */
#ifndef _LINUX_DMA_HEAP_RECORD_H
#define _LINUX_DMA_HEAP_RECORD_H

#include <linux/list.h>
#include <linux/sched.h>
#include <linux/types.h>

struct dma_buf;
struct dma_buf_export_info;
struct dma_heap;
struct obj_cgroup;
struct seq_file;

/**
 * enum dma_heap_failure - why an allocation failed
 * @DMA_HEAP_TOO_LARGE: above the limit of a buffer (buffer_limit_bytes)
 * @DMA_HEAP_LIMIT: above the limit of the heap (heap_limit_bytes)
 * @DMA_HEAP_MEMCG: above the limit of the task's memory cgroup
 * @DMA_HEAP_NOMEM: there was no memory
 * @DMA_HEAP_KILLED: the task was killed
 * @DMA_HEAP_NR_FAILURES: how many reasons there are
 */
enum dma_heap_failure {
	DMA_HEAP_TOO_LARGE,
	DMA_HEAP_LIMIT,
	DMA_HEAP_MEMCG,
	DMA_HEAP_NOMEM,
	DMA_HEAP_KILLED,
	DMA_HEAP_NR_FAILURES,
};

/**
 * struct dma_heap_record - what the core knows of a buffer
 * @node: entry in the list of all buffers
 * @heap: heap it is from
 * @objcg: memory cgroup it is charged to, or NULL
 * @dmabuf: the buffer
 * @show: prints how the buffer is used, see dma_heap_export()
 * @number: buffers of all heaps are numbered in the order of their allocation
 * @size: bytes
 * @ino: inode number of the buffer
 * @since: when it was allocated, in jiffies
 * @pid: process that allocated it, or that moved its charge to itself
 * @comm: name of that
 *
 * The exporter embeds it in what it has of a buffer. Only the core uses the fields.
 */
struct dma_heap_record {
	struct list_head node;
	struct dma_heap *heap;
	struct obj_cgroup *objcg;
	struct dma_buf *dmabuf;
	void (*show)(struct seq_file *seq, struct dma_heap_record *record);
	u64 number;
	size_t size;
	unsigned long ino;
	u64 since;
	pid_t pid;
	char comm[TASK_COMM_LEN];
};

int dma_heap_charge(struct dma_heap *heap, size_t size,
		    struct obj_cgroup **objcg);
void dma_heap_uncharge(struct dma_heap *heap, size_t size,
		       struct obj_cgroup *objcg);
void dma_heap_count_failure(struct dma_heap *heap, size_t size,
			    enum dma_heap_failure reason);
struct dma_buf *dma_heap_export(struct dma_heap *heap,
				const struct dma_buf_export_info *exp_info,
				struct dma_heap_record *record,
				struct obj_cgroup *objcg,
				void (*show)(struct seq_file *seq,
					     struct dma_heap_record *record));
void dma_heap_record_remove(struct dma_heap_record *record);
int dma_heap_recharge(struct dma_heap_record *record);

#endif /* _LINUX_DMA_HEAP_RECORD_H */

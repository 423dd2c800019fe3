/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the files of the test importer
 */
#ifndef _HEAP_TEST_IMPORTER_H
#define _HEAP_TEST_IMPORTER_H

#include <linux/compiler_attributes.h>
#include <linux/dma-direction.h>
#include <linux/errno.h>
#include <linux/iosys-map.h>
#include <linux/kconfig.h>
#include <linux/mutex.h>
#include <linux/types.h>

struct device;
struct dma_buf;
struct dma_buf_attachment;
struct dma_fence;
struct sg_table;

#define NAME		"dma_heap_test_importer"

/* Longer than any line of an answer */
#define LINE_SIZE	64

/**
 * struct answer - text for readers of the debugfs file
 * @lock: keeps readers away while a command makes the text
 * @text: the text
 * @size: size of @text in bytes
 * @len: bytes used in @text
 */
struct answer {
	struct mutex lock;	/* see above */
	char *text;
	size_t size;
	size_t len;
};

int answer_alloc(struct answer *answer, unsigned int lines);
__printf(2, 3) void answer_add(struct answer *answer, const char *fmt, ...);

/* These two have masks of 64 bits */
#define DEVICE_COHERENT	1
#define DEVICE_BOUNCES	2

/* The first of MOVER_MAX devices that move bytes */
#define DEVICE_MOVER	3
#define MOVER_MAX	2

/* The most bytes that a device copies at a time */
#define MOVER_TRANSFER	2048

struct device *importer_device(u64 id);
u64 importer_pattern(size_t offset, u32 seed);

/**
 * struct importer_session - an open file
 * @answer: the answer to read
 * @buf: the buffer that it holds, or NULL
 * @attachment: attachment of the device to the buffer
 * @sgt: the mapping, or NULL
 * @dir: direction of the mapping
 * @map: the kernel mapping, if there is one
 * @late: fence of an announced write of the device, or NULL
 */
struct importer_session {
	struct answer answer;
	struct dma_buf *buf;
	struct dma_buf_attachment *attachment;
	struct sg_table *sgt;
	enum dma_data_direction dir;
	struct iosys_map map;
	struct dma_fence *late;
};

/* heap_test_look.c */
int importer_chunks(struct importer_session *session, const u64 *args);
int importer_attributes(struct importer_session *session, const u64 *args);
int importer_fill(struct importer_session *session, const u64 *args);
int importer_check(struct importer_session *session, const u64 *args);
int importer_user(struct importer_session *session, const u64 *args);

/* heap_test_hold.c */
int importer_import(struct importer_session *session, const u64 *args);
int importer_peer(struct importer_session *session, const u64 *args);
int importer_map(struct importer_session *session, const u64 *args);
int importer_unmap(struct importer_session *session, const u64 *args);
int importer_drop(struct importer_session *session, const u64 *args);
int importer_hold(struct importer_session *session, const u64 *args);
int importer_release_map(struct importer_session *session, const u64 *args);
int importer_dwrite(struct importer_session *session, const u64 *args);
int importer_dread(struct importer_session *session, const u64 *args);
int importer_dcopy(struct importer_session *session, const u64 *args);

/* heap_test_fence.c */
int importer_dlater(struct importer_session *session, const u64 *args);
void importer_end_late_write(struct importer_session *session);

/* heap_test_mover.c */
struct device *mover_device(unsigned int index);
bool is_mover(struct device *dev);
long long mover_access(struct device *dev, struct sg_table *sgt, u64 offset,
		       u64 len, u32 seed, bool write);
int mover_copy(struct device *dev, struct sg_table *sgt, u64 offset, u64 len);
int mover_set_untrusted(struct device *dev, bool untrusted);

/* heap_test_edu.c */
#ifdef CONFIG_PCI
int edu_register(void);
void edu_unregister(void);
#else
static inline int edu_register(void)
{
	return 0;
}

static inline void edu_unregister(void)
{
}
#endif

/* heap_test_dmaengine.c */
#ifdef CONFIG_DMA_ENGINE
void engines_register(void);
void engines_unregister(void);
#else
static inline void engines_register(void)
{
}

static inline void engines_unregister(void)
{
}
#endif

/* heap_test_watch.c */
void importer_start_counting(void);
void importer_stop_counting(void);
int importer_watch(struct importer_session *session, const u64 *args);
int importer_count(struct importer_session *session, const u64 *args);
int importer_counted(struct importer_session *session, const u64 *args);
s64 importer_maintained(void);

/* heap_test_timing.c */
int importer_time(struct importer_session *session, const u64 *args);

/* Only if this kernel has the heaps that belong to the importer */
#if IS_REACHABLE(CONFIG_DMABUF_HEAPS_BUFFER)
int heap_test_kalloc(const char *args);
#else
static inline int heap_test_kalloc(const char *args)
{
	return -EOPNOTSUPP;
}
#endif

#endif /* _HEAP_TEST_IMPORTER_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the DMA-BUF heap tests share and that does not depend on the harness.
 *
 * Functions that return int give 0 or a descriptor on success and -errno on
 * failure, so that a test can name the exact error in one line.
 */
#ifndef HEAP_HELPERS_H
#define HEAP_HELPERS_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/types.h>

/* For 32-bit programs the headers of their compiler come first, old as they are */
#ifndef DMA_BUF_IOCTL_SYNC_PARTIAL
struct dma_buf_sync_partial {
	__u64 flags;
	__u64 offset;
	__u64 len;
};

#define DMA_BUF_IOCTL_SYNC_PARTIAL \
	_IOW(DMA_BUF_BASE, 0x40, struct dma_buf_sync_partial)
#endif

#ifndef DMA_BUF_IOCTL_CHARGE
struct dma_buf_charge {
	__u64 flags;
};

#define DMA_BUF_IOCTL_CHARGE	_IOW(DMA_BUF_BASE, 0x41, struct dma_buf_charge)
#endif

#define HEAP_DIR	"/dev/dma_heap"
#define HEAP_NAME_SIZE	256
#define HEAP_MAX	128

#define KIB(n)		((size_t)(n) << 10)
#define MIB(n)		((size_t)(n) << 20)

/* Heaps */
bool heap_is_asked_for(const char *name);
int heap_names(char names[][HEAP_NAME_SIZE], int max);
int heap_open(const char *name, int flags);
int heap_ioctl(int heap_fd, unsigned int cmd, void *arg);
int heap_alloc_flags(int heap_fd, __u64 len, __u32 fd_flags);
int heap_alloc(int heap_fd, __u64 len);

/*
 * Attributes of a heap in sysfs, by their path below the heap's directory: as a
 * number (or a negative error), or as text without the end of the line.
 */
long long heap_attr(const char *heap_name, const char *attr);
int heap_attr_read(const char *heap_name, const char *attr, char *text,
		   size_t size);
int heap_attr_write(const char *heap_name, const char *attr, const char *text);
int heap_attr_set(const char *heap_name, const char *attr, long long value);

/* Buffers */
size_t page_size(void);
size_t page_align(size_t len);
long long pages_of(size_t len);
long long buf_size(int fd);
int buf_sync(int fd, __u64 flags);
int buf_sync_partial(int fd, __u64 flags, __u64 offset, __u64 len);
int buf_charge(int fd, __u64 flags);
void *buf_map(int fd, size_t len, int prot);
int buf_filled(int heap_fd, size_t len, __u32 seed);
long long buf_find_nonzero(int fd, size_t len);
void buf_fdinfo(int fd, const char *field, char *value, size_t size);
const char *buf_exporter(int fd);

/* Reads a byte, and writes it back; returns the signal that raised, or 0 */
int touch(char *p, bool write);
int touch_pages(char *p, size_t len, bool write);

/*
 * Every 64-bit word of a pattern tells its offset and the seed, so that a page
 * that shows up in the wrong place or in the wrong buffer is noticed.
 * pattern_check() takes the offset of @p in the buffer and returns the offset
 * of the first wrong word, or -1.
 */
void pattern_fill(void *p, size_t offset, size_t len, __u32 seed);
long long pattern_check(const void *p, size_t offset, size_t len, __u32 seed);
long long find_nonzero(const void *p, size_t len);

/* Descriptors through a UNIX socket */
int send_fd(int sock, int fd);
int receive_fd(int sock);

/* vgem, a DRM device without hardware, as importer */
int vgem_open(void);
int vgem_import(int vgem, int fd, __u32 *handle);
int vgem_export(int vgem, __u32 handle);
int vgem_create(int vgem, size_t len, __u32 *handle);
int vgem_close_handle(int vgem, __u32 handle);
int vgem_next_offset(int vgem, size_t len, __u64 *offset);

/* What a failed call must not leave behind; -1 if that cannot be told */
int open_fds(void);
int heap_buffers(const char *heap_name);
long mem_gettable_kib(void);
long mem_available_kib(void);

/* What a pool counts, by the names in debugfs */
struct pool_stats {
	long long clean_pages;
	long long dirty_pages;
	long long hits;
	long long dirty_hits;
	long long misses;
	long long scrubbed_pages;
	long long paid_pages;
	long long evicted_pages;
	long long decayed_pages;
	long long shrunk_pages;
};

/* The pool behind a heap; -ENOENT if there is none, or debugfs is not there */
int pool_read_stats(const char *heap_name, struct pool_stats *stats);
const char *pool_text(const char *heap_name);
long long pool_pages(const char *heap_name);
bool pool_is_clean(const char *heap_name, long long pages);
int pool_shrink(const char *heap_name, long long *counted, long long *freed);
bool pool_empty(const char *heap_name);
bool pool_keeps(const char *heap_name, int heap_fd);
long long pool_get(const char *heap_name, const char *knob);
int pool_set(const char *heap_name, const char *knob, long long value);
int pool_write(const char *heap_name, const char *knob, const char *text);
bool pool_waits_for_scrubber(const char *heap_name);
int pool_prefill(const char *heap_name, size_t size, unsigned int count);

/* heap_test_importer, a module that tells what user space cannot see */
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
	unsigned long long dma_start;
	unsigned long long dma_end;
};

/* Its devices: masks of 64 and 32 bits, and two that see the CPU's caches */
enum importer_device {
	IMPORTER_COHERENT = 1,
	IMPORTER_BOUNCES = 2,
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
int importer_user_page(int importer, const void *p, struct user_page *page);
int importer_user_pages(int importer, const char *p, size_t count,
			struct user_page *pages);
int importer_counted(int importer, struct sync_count *clean,
		     struct sync_count *drop);
long long importer_reads(int importer, size_t offset, size_t len, __u32 seed);
int importer_ask(int importer, const char *verb, unsigned long subject,
		 unsigned long detail, char *answer, size_t size);
int buf_get_chunks(int importer, int fd, unsigned int mask_bits,
		   struct buf_chunks *chunks);
void buf_put_chunks(struct buf_chunks *chunks);
unsigned long long buf_address(int importer, int fd);

/* Whether NEED in the environment says that a test must not be skipped */
bool is_needed(const char *what);

/* Time */
long long now_ms(void);

/* What waits for nothing takes less, on a busy host, too */
#define AT_ONCE_MS	10000

#define WAIT_MS		20000

/* Waits until @cond holds, but not for ever; whether it does */
#define WAIT_FOR(cond) ({					\
	long long _end = now_ms() + WAIT_MS;			\
	bool _holds;						\
								\
	while (!(_holds = (cond)) && now_ms() < _end)		\
		usleep(2000);					\
	_holds;							\
})

/* Numbers without a system, but the same on each run */
unsigned int pseudo_random(__u64 *state);

/* File helpers */
int file_read(const char *path, char *buf, size_t size);
int file_write(const char *path, const char *text);
long long file_number(const char *path);
long long file_value(const char *path, const char *name);
long long vm_counter(const char *name);
long long meminfo_kib(const char *name);
int kmsg_errors(const char *word, const char *other);

#endif /* HEAP_HELPERS_H */

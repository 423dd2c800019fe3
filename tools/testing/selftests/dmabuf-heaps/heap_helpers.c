// SPDX-License-Identifier: GPL-2.0
/* Helpers of the DMA-BUF heap tests, see heap_helpers.h */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <drm/drm.h>
#include <drm/drm_mode.h>

#include "heap_helpers.h"

#define DRM_MINORS	64

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* Returns how many heaps there are; HEAP in the environment names the only one */
int heap_names(char names[][HEAP_NAME_SIZE], int max)
{
	const char *only = getenv("HEAP");
	struct dirent *entry;
	int count = 0;
	DIR *dir;

	dir = opendir(HEAP_DIR);
	if (!dir)
		return 0;

	while (count < max && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		if (only && strcmp(only, entry->d_name))
			continue;
		snprintf(names[count++], HEAP_NAME_SIZE, "%s", entry->d_name);
	}
	closedir(dir);

	return count;
}

int heap_open(const char *name, int flags)
{
	char path[sizeof(HEAP_DIR) + HEAP_NAME_SIZE];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", HEAP_DIR, name);
	fd = open(path, flags);

	return fd < 0 ? -errno : fd;
}

int heap_ioctl(int heap_fd, unsigned int cmd, void *arg)
{
	return ioctl(heap_fd, cmd, arg) < 0 ? -errno : 0;
}

int heap_alloc_flags(int heap_fd, __u64 len, __u32 fd_flags)
{
	struct dma_heap_allocation_data data = {
		.len = len,
		.fd_flags = fd_flags,
	};
	int ret;

	ret = heap_ioctl(heap_fd, DMA_HEAP_IOCTL_ALLOC, &data);

	return ret ? ret : (int)data.fd;
}

int heap_alloc(int heap_fd, __u64 len)
{
	return heap_alloc_flags(heap_fd, len, O_RDWR | O_CLOEXEC);
}

size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

size_t page_align(size_t len)
{
	return (len + page_size() - 1) & ~(page_size() - 1);
}

long long buf_size(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);

	if (size < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -errno;

	return size;
}

int buf_sync(int fd, __u64 flags)
{
	struct dma_buf_sync sync = {
		.flags = flags,
	};

	return ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync) < 0 ? -errno : 0;
}

int buf_sync_partial(int fd, __u64 flags, __u64 offset, __u64 len)
{
	struct dma_buf_sync_partial sync = {
		.flags = flags,
		.offset = offset,
		.len = len,
	};

	return ioctl(fd, DMA_BUF_IOCTL_SYNC_PARTIAL, &sync) < 0 ? -errno : 0;
}

/* Maps from the start of the buffer; MAP_FAILED and errno on failure */
void *buf_map(int fd, size_t len, int prot)
{
	return mmap(NULL, len, prot, MAP_SHARED, fd, 0);
}

/* A new buffer with the pattern of the seed, which nobody has mapped */
int buf_filled(int heap_fd, size_t len, __u32 seed)
{
	void *p;
	int fd;

	fd = heap_alloc(heap_fd, len);
	if (fd < 0)
		return fd;
	p = buf_map(fd, len, PROT_READ | PROT_WRITE);
	if (p == MAP_FAILED) {
		close(fd);
		return -ENOMEM;
	}
	pattern_fill(p, 0, len, seed);
	munmap(p, len);

	return fd;
}

static sigjmp_buf fault_return;
static atomic_int fault_signal;

static void on_fault(int sig)
{
	fault_signal = sig;
	siglongjmp(fault_return, 1);
}

int touch(char *p, bool write)
{
	struct sigaction action = { .sa_handler = on_fault };
	struct sigaction old_segv, old_bus;

	sigaction(SIGSEGV, &action, &old_segv);
	sigaction(SIGBUS, &action, &old_bus);
	fault_signal = 0;
	if (!sigsetjmp(fault_return, 1)) {
		char byte = __atomic_load_n(p, __ATOMIC_RELAXED);

		if (write)
			__atomic_store_n(p, byte, __ATOMIC_RELAXED);
	}
	sigaction(SIGSEGV, &old_segv, NULL);
	sigaction(SIGBUS, &old_bus, NULL);

	return fault_signal;
}

static __u64 pattern_word(size_t offset, __u32 seed)
{
	return ((__u64)(seed ^ 0x5aa5c33cU) << 32) + offset;
}

void pattern_fill(void *p, size_t offset, size_t len, __u32 seed)
{
	__u64 *word = p;
	size_t i;

	for (i = 0; i < len / sizeof(*word); i++)
		word[i] = pattern_word(offset + i * sizeof(*word), seed);
}

long long pattern_check(const void *p, size_t offset, size_t len, __u32 seed)
{
	const __u64 *word = p;
	size_t i;

	for (i = 0; i < len / sizeof(*word); i++)
		if (word[i] != pattern_word(offset + i * sizeof(*word), seed))
			return offset + i * sizeof(*word);

	return -1;
}

/* Offset of the first word that is not zero, or -1 */
long long find_nonzero(const void *p, size_t len)
{
	const __u64 *word = p;
	size_t i;

	for (i = 0; i < len / sizeof(*word); i++)
		if (word[i])
			return i * sizeof(*word);

	return -1;
}

static bool drm_is_vgem(int fd)
{
	char name[8] = "";
	struct drm_version version = {
		.name = name,
		.name_len = sizeof(name) - 1,
	};

	return !ioctl(fd, DRM_IOCTL_VERSION, &version) && !strcmp(name, "vgem");
}

int vgem_open(void)
{
	char path[32];
	int i, fd;

	for (i = 0; i < DRM_MINORS; i++) {
		snprintf(path, sizeof(path), "/dev/dri/card%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (drm_is_vgem(fd))
			return fd;
		close(fd);
	}

	return -ENODEV;
}

int vgem_import(int vgem, int fd, __u32 *handle)
{
	struct drm_prime_handle prime = {
		.fd = fd,
	};

	if (ioctl(vgem, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime) < 0)
		return -errno;
	*handle = prime.handle;

	return 0;
}

int vgem_export(int vgem, __u32 handle)
{
	struct drm_prime_handle prime = {
		.handle = handle,
		.flags = DRM_CLOEXEC | DRM_RDWR,
	};

	if (ioctl(vgem, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime) < 0)
		return -errno;

	return prime.fd;
}

int vgem_close_handle(int vgem, __u32 handle)
{
	struct drm_gem_close gem_close = {
		.handle = handle,
	};

	return ioctl(vgem, DRM_IOCTL_GEM_CLOSE, &gem_close) < 0 ? -errno : 0;
}

/*
 * Tells where the next object of @len bytes will be in the offset space of the
 * vgem node. DRM does not tell the offset of an imported object, yet lets its
 * owner map it there; offsets are handed out best fit, so what a buffer of
 * vgem's own gets, an import right after it is gone gets, too.
 */
int vgem_next_offset(int vgem, size_t len, __u64 *offset)
{
	struct drm_mode_create_dumb create = {
		.width = page_size(),
		.height = len / page_size(),
		.bpp = 8,
	};
	struct drm_mode_map_dumb map = { };
	int ret = 0;

	if (ioctl(vgem, DRM_IOCTL_MODE_CREATE_DUMB, &create) < 0)
		return -errno;

	map.handle = create.handle;
	if (ioctl(vgem, DRM_IOCTL_MODE_MAP_DUMB, &map) < 0)
		ret = -errno;
	*offset = map.offset;
	vgem_close_handle(vgem, create.handle);

	return ret;
}

int open_fds(void)
{
	struct dirent *entry;
	int count = 0;
	DIR *dir;

	dir = opendir("/proc/self/fd");
	if (!dir)
		return -1;

	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			count++;
	closedir(dir);

	/* Without the descriptor of the directory itself */
	return count - 1;
}

/* Number of live buffers whose exporter is the named heap */
int heap_buffers(const char *heap_name)
{
	char line[512], exporter[HEAP_NAME_SIZE];
	int count = 0;
	FILE *file;

	file = fopen("/sys/kernel/debug/dma_buf/bufinfo", "re");
	if (!file)
		return -1;

	/* size, flags, mode, references, exporter, inode, name */
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%*u\t%*x\t%*x\t%*d\t%255[^\t]\t", exporter) == 1 &&
		    !strcmp(exporter, heap_name))
			count++;
	fclose(file);

	return count;
}

/* Free pages that CPUs keep at hand count as used: with many CPUs, a lot */
static long per_cpu_free_kib(void)
{
	long pages = 0, count;
	char line[256];
	FILE *file;

	file = fopen("/proc/zoneinfo", "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, " count: %ld", &count) == 1)
			pages += count;
	fclose(file);

	return pages * (page_size() / 1024);
}

/* What a program could still get, to be compared with another reading */
long mem_gettable_kib(void)
{
	return meminfo_kib("MemAvailable:") + per_cpu_free_kib();
}

/* The same without what is only cached */
long mem_available_kib(void)
{
	file_write("/proc/sys/vm/drop_caches", "3");

	return mem_gettable_kib();
}

#define STAT(_name)	{ #_name, offsetof(struct pool_stats, _name) }

static const struct {
	const char *name;
	size_t offset;
} pool_stat_lines[] = {
	STAT(clean_pages),
	STAT(dirty_pages),
	STAT(hits),
	STAT(dirty_hits),
	STAT(misses),
	STAT(scrubbed_pages),
	STAT(paid_pages),
	STAT(evicted_pages),
	STAT(decayed_pages),
	STAT(shrunk_pages),
};

/* Returns whether the line is that of a counter */
static bool pool_stat_line(const char *line, struct pool_stats *stats)
{
	char name[64];
	long long value;
	int i;

	if (sscanf(line, "%63s %lld", name, &value) != 2)
		return false;

	for (i = 0; i < ARRAY_SIZE(pool_stat_lines); i++) {
		if (strcmp(name, pool_stat_lines[i].name))
			continue;
		*(long long *)((char *)stats + pool_stat_lines[i].offset) = value;
		return true;
	}

	return false;
}

int pool_read_stats(const char *heap_name, struct pool_stats *stats)
{
	char path[128], line[128];
	int found = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/debug/dma_heap/%s/stats",
		 heap_name);
	file = fopen(path, "re");
	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file))
		found += pool_stat_line(line, stats);
	fclose(file);

	return found == ARRAY_SIZE(pool_stat_lines) ? 0 : -ENOENT;
}

/* All the counters in one line, for messages */
const char *pool_text(const char *heap_name)
{
	static char text[1024];
	char path[128], *at;

	snprintf(path, sizeof(path), "/sys/kernel/debug/dma_heap/%s/stats",
		 heap_name);
	if (file_read(path, text, sizeof(text)))
		return "no statistics";
	for (at = text; (at = strchr(at, '\n')); )
		*at = ' ';

	return text;
}

/* What is in the pool, clean or not; negative if that cannot be told */
long long pool_pages(const char *heap_name)
{
	struct pool_stats stats;
	int ret;

	ret = pool_read_stats(heap_name, &stats);

	return ret ? ret : stats.clean_pages + stats.dirty_pages;
}

/* Whether the scrubber is done, and that many pages are there */
bool pool_is_clean(const char *heap_name, long long pages)
{
	struct pool_stats stats;

	return !pool_read_stats(heap_name, &stats) && !stats.dirty_pages &&
	       stats.clean_pages == pages;
}

/* Runs the pool's shrinker on all there is in it */
int pool_shrink(const char *heap_name, long long *counted, long long *freed)
{
	char path[128], text[64];
	int ret;

	snprintf(path, sizeof(path), "/sys/kernel/debug/dma_heap/%s/shrink",
		 heap_name);
	ret = file_read(path, text, sizeof(text));
	if (ret)
		return ret;

	return sscanf(text, "%lld %lld", counted, freed) == 2 ? 0 : -EIO;
}

static void pool_knob(char *path, size_t size, const char *heap_name,
		      const char *knob)
{
	snprintf(path, size, "/sys/class/dma_heap/%s/pool/%s", heap_name, knob);
}

long long pool_get(const char *heap_name, const char *knob)
{
	char path[128], text[64];
	int ret;

	pool_knob(path, sizeof(path), heap_name, knob);
	ret = file_read(path, text, sizeof(text));

	return ret ? ret : atoll(text);
}

int pool_write(const char *heap_name, const char *knob, const char *text)
{
	char path[128];

	pool_knob(path, sizeof(path), heap_name, knob);

	return file_write(path, text);
}

int pool_set(const char *heap_name, const char *knob, long long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", value);

	return pool_write(heap_name, knob, text);
}

int pool_prefill(const char *heap_name, size_t size, unsigned int count)
{
	char text[64];

	snprintf(text, sizeof(text), "%zu %u", size, count);

	return pool_write(heap_name, "prefill", text);
}

int importer_open(void)
{
	int fd = open("/sys/kernel/debug/dma_heap_test_importer",
		      O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int importer_tell(int importer, const char *question)
{
	ssize_t len = strlen(question);

	return write(importer, question, len) == len ? 0 : -errno;
}

/* One question, and an answer that is not long */
int importer_ask(int importer, const char *verb, unsigned long subject,
		 unsigned long detail, char *answer, size_t size)
{
	char question[64];
	ssize_t len;
	int ret;

	snprintf(question, sizeof(question), "%s %lu %lu", verb, subject,
		 detail);
	ret = importer_tell(importer, question);
	if (ret)
		return ret;
	len = pread(importer, answer, size - 1, 0);
	if (len < 0)
		return -errno;
	answer[len] = '\0';

	return 0;
}

/* A command without an answer, or whose answer does not matter */
int importer_do(int importer, const char *format, ...)
{
	char command[64];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);

	return importer_tell(importer, command);
}

/* -EINVAL for a page that is not mapped */
int importer_user_page(int importer, const void *p, struct user_page *page)
{
	char answer[128];
	int ret;

	ret = importer_ask(importer, "user", (unsigned long)p, 0, answer,
			   sizeof(answer));
	if (ret)
		return ret;
	ret = sscanf(answer, "page %lu writecombined %d block %d writable %d",
		     &page->pfn, &page->writecombined, &page->block,
		     &page->writable);

	return ret == 4 ? 0 : -EIO;
}

/* Since the last "count" */
int importer_counted(int importer, struct sync_count *clean,
		     struct sync_count *drop)
{
	char answer[256];
	int ret;

	ret = importer_ask(importer, "counted", 0, 0, answer, sizeof(answer));
	if (ret)
		return ret;
	ret = sscanf(answer, "clean %u %zu %zu %zu drop %u %zu %zu %zu",
		     &clean->calls, &clean->bytes, &clean->first, &clean->end,
		     &drop->calls, &drop->bytes, &drop->first, &drop->end);

	return ret == 8 ? 0 : -EIO;
}

/* As pattern_check(), with the eyes of the device that has mapped the buffer */
long long importer_reads(int importer, size_t offset, size_t len, __u32 seed)
{
	long long wrong;
	char answer[64];
	ssize_t got;
	int ret;

	ret = importer_do(importer, "dread %zu %zu %u", offset, len, seed);
	if (ret)
		return ret;
	got = pread(importer, answer, sizeof(answer) - 1, 0);
	if (got < 0)
		return -errno;
	answer[got] = '\0';

	return sscanf(answer, "offset %lld", &wrong) == 1 ? wrong : -EIO;
}

static void add_line(struct buf_chunks *chunks, const char *line)
{
	struct buf_chunk *chunk = &chunks->chunk[chunks->count];
	unsigned long long address;
	unsigned int len;

	if (sscanf(line, "page %lu %d %lu", &chunk->pfn, &chunk->node,
		   &chunk->pages) == 3)
		chunks->count++;
	else if (sscanf(line, "dma %llu %u", &address, &len) == 2 &&
		 address + len > chunks->dma_end)
		chunks->dma_end = address + len;
}

/* The chunks of a buffer, seen by a device whose DMA mask has @mask_bits */
int buf_get_chunks(int importer, int fd, unsigned int mask_bits,
		   struct buf_chunks *chunks)
{
	long long size = buf_size(fd);
	char question[64], line[128];
	FILE *file;
	int ret;

	if (size < 0)
		return size;
	snprintf(question, sizeof(question), "chunks %d %u", fd, mask_bits);
	ret = importer_tell(importer, question);
	if (ret)
		return ret;

	*chunks = (struct buf_chunks) {
		.chunk = calloc(size / page_size(), sizeof(*chunks->chunk)),
	};
	/* A position of its own, and closed without closing the importer */
	file = fdopen(dup(importer), "re");
	if (!chunks->chunk || !file)
		return -ENOMEM;
	rewind(file);
	while (fgets(line, sizeof(line), file))
		add_line(chunks, line);
	fclose(file);

	return 0;
}

void buf_put_chunks(struct buf_chunks *chunks)
{
	free(chunks->chunk);
}

/* NEED is a list of words: what this machine is known to have */
bool is_needed(const char *what)
{
	const char *need = getenv("NEED"), *at = need;
	size_t len = strlen(what);

	while (at && (at = strstr(at, what))) {
		if ((at == need || at[-1] == ',') &&
		    (!at[len] || at[len] == ','))
			return true;
		at += len;
	}

	return false;
}

long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

unsigned int pseudo_random(__u64 *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;

	return *state >> 33;
}

int file_read(const char *path, char *buf, size_t size)
{
	ssize_t len;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;

	len = read(fd, buf, size - 1);
	close(fd);
	if (len < 0)
		return -EIO;
	buf[len] = '\0';

	return 0;
}

int file_write(const char *path, const char *text)
{
	ssize_t len = strlen(text), written;
	int fd, ret;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;

	written = write(fd, text, len);
	ret = written < 0 ? -errno : written == len ? 0 : -EIO;
	close(fd);

	return ret;
}

/* The number behind @name in a file of such lines, or -1 */
long long file_value(const char *path, const char *name)
{
	long long value = -1;
	char line[256], key[128];
	FILE *file;

	file = fopen(path, "re");
	if (!file)
		return -1;

	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%127s %lld", key, &value) == 2 &&
		    !strcmp(key, name))
			break;
		value = -1;
	}
	fclose(file);

	return value;
}

/* With what every CPU has counted for itself */
long long vm_counter(const char *name)
{
	char text[16];

	file_read("/proc/sys/vm/stat_refresh", text, sizeof(text));

	return file_value("/proc/vmstat", name);
}

long long meminfo_kib(const char *name)
{
	return file_value("/proc/meminfo", name);
}

// SPDX-License-Identifier: GPL-2.0
/* Helpers of the DMA-BUF heap tests, see heap_helpers.h */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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
#include <sys/socket.h>
#include <drm/drm.h>
#include <drm/drm_mode.h>

#include "heap_helpers.h"

#define DRM_MINORS	64

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* Whether @word is in a list of words with @separator in between */
static bool word_in(const char *list, const char *word, char separator)
{
	size_t len = strlen(word);
	const char *at = list;

	while (at && (at = strstr(at, word))) {
		if ((at == list || at[-1] == separator) &&
		    (!at[len] || at[len] == separator))
			return true;
		at += len;
	}

	return false;
}

/* HEAP in the environment names the heaps that count, with blanks in between */
bool heap_is_asked_for(const char *name)
{
	const char *only = getenv("HEAP");

	return !only || word_in(only, name, ' ');
}

/* Returns how many heaps there are, of those that count */
int heap_names(char names[][HEAP_NAME_SIZE], int max)
{
	struct dirent *entry;
	int count = 0;
	DIR *dir;

	dir = opendir(HEAP_DIR);
	if (!dir)
		return 0;

	while (count < max && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' ||
		    !heap_is_asked_for(entry->d_name))
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

static void attr_path(char *path, size_t size, const char *heap_name,
		      const char *attr)
{
	snprintf(path, size, "/sys/class/dma_heap/%s/%s", heap_name, attr);
}

int heap_attr_read(const char *heap_name, const char *attr, char *text,
		   size_t size)
{
	char path[PATH_MAX];
	int ret;

	attr_path(path, sizeof(path), heap_name, attr);
	ret = file_read(path, text, size);
	if (ret)
		return ret;
	text[strcspn(text, "\n")] = '\0';

	return 0;
}

long long heap_attr(const char *heap_name, const char *attr)
{
	char text[64];
	int ret;

	ret = heap_attr_read(heap_name, attr, text, sizeof(text));

	return ret ? ret : atoll(text);
}

int heap_attr_write(const char *heap_name, const char *attr, const char *text)
{
	char path[PATH_MAX];

	attr_path(path, sizeof(path), heap_name, attr);

	return file_write(path, text);
}

int heap_attr_set(const char *heap_name, const char *attr, long long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", value);

	return heap_attr_write(heap_name, attr, text);
}

size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

size_t page_align(size_t len)
{
	return (len + page_size() - 1) & ~(page_size() - 1);
}

long long pages_of(size_t len)
{
	return page_align(len) / page_size();
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

int buf_charge(int fd, __u64 flags)
{
	struct dma_buf_charge charge = {
		.flags = flags,
	};

	return ioctl(fd, DMA_BUF_IOCTL_CHARGE, &charge) < 0 ? -errno : 0;
}

/* The rest of the line of fdinfo that begins with @field; empty without it */
void buf_fdinfo(int fd, const char *field, char *value, size_t size)
{
	char path[64], line[512];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	value[0] = '\0';
	file = fopen(path, "re");
	if (!file)
		return;

	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, field, strlen(field)))
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(value, size, "%s", line + strlen(field));
	}
	fclose(file);
}

/* The heap whose buffer it is */
const char *buf_exporter(int fd)
{
	static char name[HEAP_NAME_SIZE];

	buf_fdinfo(fd, "exp_name:\t", name, sizeof(name));

	return name;
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

/* Offset of the first word that is not zero, or -1; less if that is not to be seen */
long long buf_find_nonzero(int fd, size_t len)
{
	long long offset;
	void *p;

	p = buf_map(fd, len, PROT_READ);
	if (p == MAP_FAILED)
		return -1 - errno;
	offset = find_nonzero(p, len);
	munmap(p, len);

	return offset;
}

static sigjmp_buf fault_return;
static atomic_int fault_signal;

static void on_fault(int sig)
{
	fault_signal = sig;
	siglongjmp(fault_return, 1);
}

/* A byte of each page; handlers are set once, which is most of what it costs */
int touch_pages(char *p, size_t len, bool write)
{
	struct sigaction action = { .sa_handler = on_fault };
	struct sigaction old_segv, old_bus;
	size_t at, page = page_size();

	sigaction(SIGSEGV, &action, &old_segv);
	sigaction(SIGBUS, &action, &old_bus);
	fault_signal = 0;
	if (!sigsetjmp(fault_return, 1)) {
		for (at = 0; at < len; at += page) {
			char byte = __atomic_load_n(p + at, __ATOMIC_RELAXED);

			if (write)
				__atomic_store_n(p + at, byte, __ATOMIC_RELAXED);
		}
	}
	sigaction(SIGSEGV, &old_segv, NULL);
	sigaction(SIGBUS, &old_bus, NULL);

	return fault_signal;
}

int touch(char *p, bool write)
{
	return touch_pages(p, 1, write);
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

union fd_message {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int))];
};

int send_fd(int sock, int fd)
{
	struct iovec iov = { .iov_base = "", .iov_len = 1 };
	union fd_message control = { };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));

	return sendmsg(sock, &msg, 0) == 1 ? 0 : -errno;
}

int receive_fd(int sock)
{
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	union fd_message control = { };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != 1)
		return -EIO;
	if (!msg.msg_controllen || control.header.cmsg_type != SCM_RIGHTS)
		return -ENOMSG;
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(int));

	return fd;
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

/* A buffer of vgem's own */
int vgem_create(int vgem, size_t len, __u32 *handle)
{
	struct drm_mode_create_dumb create = {
		.width = page_size(),
		.height = len / page_size(),
		.bpp = 8,
	};

	if (ioctl(vgem, DRM_IOCTL_MODE_CREATE_DUMB, &create) < 0)
		return -errno;
	*handle = create.handle;

	return 0;
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
	struct drm_mode_map_dumb map = { };
	int ret;

	ret = vgem_create(vgem, len, &map.handle);
	if (ret)
		return ret;

	if (ioctl(vgem, DRM_IOCTL_MODE_MAP_DUMB, &map) < 0)
		ret = -errno;
	*offset = map.offset;
	vgem_close_handle(vgem, map.handle);

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

/* Empties it; false until also what the scrubber had in its hands is gone */
bool pool_empty(const char *heap_name)
{
	long long counted, freed;

	return !pool_shrink(heap_name, &counted, &freed) &&
	       !pool_pages(heap_name);
}

/* Whether it takes what it gets: not for a while after reclaim */
bool pool_keeps(const char *heap_name, int heap_fd)
{
	close(heap_alloc(heap_fd, KIB(4)));

	return pool_pages(heap_name) > 0;
}

long long pool_get(const char *heap_name, const char *knob)
{
	char attr[64];

	snprintf(attr, sizeof(attr), "pool/%s", knob);

	return heap_attr(heap_name, attr);
}

int pool_write(const char *heap_name, const char *knob, const char *text)
{
	char attr[64];

	snprintf(attr, sizeof(attr), "pool/%s", knob);

	return heap_attr_write(heap_name, attr, text);
}

int pool_set(const char *heap_name, const char *knob, long long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", value);

	return pool_write(heap_name, knob, text);
}

/*
 * Of memory that was reserved there may be clean some where the pool has none: it
 * is taken before anything dirty, and if there is none, the scrubber is waited for.
 */
bool pool_waits_for_scrubber(const char *heap_name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/class/dma_heap/%s/carveout",
		 heap_name);

	return !access(path, F_OK);
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
	char command[128];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);

	return importer_tell(importer, command);
}

#define PAGES_AT_A_TIME	512
#define LINE_SIZE	64

/* The next line of an answer, "PFN WRITECOMBINED BLOCK WRITABLE" */
static bool parse_user_page(char **line, struct user_page *page)
{
	char *at = *line;

	page->pfn = strtoul(at, &at, 10);
	page->writecombined = strtol(at, &at, 10);
	page->block = strtol(at, &at, 10);
	page->writable = strtol(at, &at, 10);
	if (*at != '\n')
		return false;
	*line = at + 1;

	return true;
}

/* How each page of a mapping is mapped; -EINVAL if one is not there */
int importer_user_pages(int importer, const char *p, size_t count,
			struct user_page *pages)
{
	static char answer[PAGES_AT_A_TIME * LINE_SIZE];
	size_t i, some;
	char *line;
	int ret;

	for (; count; count -= some, p += some * page_size()) {
		some = count < PAGES_AT_A_TIME ? count : PAGES_AT_A_TIME;
		ret = importer_ask(importer, "user", (unsigned long)p, some,
				   answer, sizeof(answer));
		if (ret)
			return ret;
		line = answer;
		for (i = 0; i < some; i++)
			if (!parse_user_page(&line, pages++))
				return -EIO;
	}

	return 0;
}

int importer_user_page(int importer, const void *p, struct user_page *page)
{
	return importer_user_pages(importer, p, 1, page);
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
	if (sscanf(line, "dma %llu %u", &address, &len) != 2)
		return;
	if (!chunks->segments++ || address < chunks->dma_start)
		chunks->dma_start = address;
	if (address + len > chunks->dma_end)
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

/* Where in memory the buffer is, or 0 if it is in more than one place */
unsigned long long buf_address(int importer, int fd)
{
	unsigned long long address = 0;
	struct buf_chunks chunks;

	if (buf_get_chunks(importer, fd, 64, &chunks))
		return 0;
	if (chunks.count == 1 && chunks.segments == 1)
		address = (unsigned long long)chunks.chunk[0].pfn * page_size();
	buf_put_chunks(&chunks);

	return address;
}

/* NEED is a list of words: what this machine is known to have */
bool is_needed(const char *what)
{
	const char *need = getenv("NEED");

	return need && word_in(need, what, ',');
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

/* The number in a file, or a negative error */
long long file_number(const char *path)
{
	char text[64];
	int ret;

	ret = file_read(path, text, sizeof(text));

	return ret ? ret : atoll(text);
}

/*
 * Tells how often the kernel has said something, as an error or worse, that has
 * both words in it, whatever their case.
 */
int kmsg_errors(const char *word, const char *other)
{
	char record[8192];
	int fd, count = 0;
	ssize_t len;

	fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;

	while ((len = read(fd, record, sizeof(record) - 1)) > 0 ||
	       (len < 0 && errno == EPIPE)) {
		if (len < 0)
			continue;
		record[len] = '\0';
		/* Without the names of devices that come behind the text */
		record[strcspn(record, "\n")] = '\0';
		if (atoi(record) <= 3 && strcasestr(record, word) &&
		    strcasestr(record, other))
			count++;
	}
	close(fd);

	return count;
}

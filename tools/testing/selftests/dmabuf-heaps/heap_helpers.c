// SPDX-License-Identifier: GPL-2.0
/* Helpers of the DMA-BUF heap tests, see heap_helpers.h */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <drm/drm.h>
#include <drm/drm_mode.h>

#include "heap_helpers.h"

#define DRM_MINORS	64

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

/* Maps from the start of the buffer; MAP_FAILED and errno on failure */
void *buf_map(int fd, size_t len, int prot)
{
	return mmap(NULL, len, prot, MAP_SHARED, fd, 0);
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

/* With caches dropped, so that two readings can be compared */
long mem_available_kib(void)
{
	long kib = -1;
	char line[128];
	FILE *file;

	file_write("/proc/sys/vm/drop_caches", "3");

	file = fopen("/proc/meminfo", "re");
	if (!file)
		return -1;

	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "MemAvailable: %ld kB", &kib) == 1)
			break;
	fclose(file);

	return kib;
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
	int fd;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;

	written = write(fd, text, len);
	close(fd);

	return written == len ? 0 : -EIO;
}

// SPDX-License-Identifier: GPL-2.0
/* Heaps and their attributes, see heap_device.h */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>

#include "heap_buf.h"
#include "heap_device.h"
#include "heap_file.h"

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

bool heap_exists(const char *name)
{
	int fd = heap_open(name, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return false;
	close(fd);

	return true;
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

bool heap_is_reserved(const char *heap_name)
{
	return heap_attr(heap_name, "reserved") == 1;
}

long long heap_largest(const char *heap_name)
{
	char text[64];
	int ret;

	ret = heap_attr_read(heap_name, "buffer_limit_bytes", text, sizeof(text));
	if (ret)
		return ret;

	return strcmp(text, "max") ? atoll(text) : LLONG_MAX;
}

size_t heap_fitting(const char *heap_name, size_t len, int count)
{
	long long room = heap_largest(heap_name) / 2;

	while (len > page_size() && (long long)len > room / count)
		len /= 2;

	return page_align(len);
}

bool heap_has_fallback(const char *heap_name)
{
	char text[HEAP_NAME_SIZE];

	return !heap_attr_read(heap_name, "fallback", text, sizeof(text)) &&
	       text[0];
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

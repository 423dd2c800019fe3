// SPDX-License-Identifier: GPL-2.0
/* Files of the kernel, see heap_file.h */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "heap_buf.h"
#include "heap_file.h"

/* Whether @word is in a list of words with @separator in between */
bool word_in(const char *list, const char *word, char separator)
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

int file_read(const char *path, char *buf, size_t size)
{
	ssize_t len;
	int fd, ret;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;

	len = read(fd, buf, size - 1);
	ret = len < 0 ? -errno : 0;
	close(fd);
	if (!ret)
		buf[len] = '\0';

	return ret;
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

/* The number in a file, or a negative error */
long long file_number(const char *path)
{
	char text[64];
	int ret;

	ret = file_read(path, text, sizeof(text));

	return ret ? ret : atoll(text);
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

/*
 * Tells how often the kernel has said something, of that level or worse, that has
 * both words in it, whatever their case.
 */
int kmsg_lines(int level, const char *word, const char *other)
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
		if (atoi(record) <= level && strcasestr(record, word) &&
		    strcasestr(record, other))
			count++;
	}
	close(fd);

	return count;
}

int kmsg_errors(const char *word, const char *other)
{
	return kmsg_lines(KMSG_ERROR, word, other);
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

long mem_free_kib(void)
{
	return meminfo_kib("MemFree:") + per_cpu_free_kib();
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

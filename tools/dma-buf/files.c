// SPDX-License-Identifier: GPL-2.0
/*
 * Small files of the kernel, below a root that is another one in tests
 */
#include "dmaheap.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *root = "";

char *path_of(const char *path)
{
	return text_of("%s%s", root, path);
}

/* NULL and errno if there is no such file */
FILE *open_file(const char *path)
{
	char *real = path_of(path);
	FILE *f = fopen(real, "re");
	int error = errno;

	free(real);
	errno = error;
	return f;
}

/* The first line without its end; 0 or an error, also of the reading */
int read_line(const char *path, char *line, size_t size)
{
	FILE *f = open_file(path);
	int error = 0;

	line[0] = 0;
	if (!f)
		return -errno;
	errno = 0;
	if (!fgets(line, size, f)) {
		error = -errno;
		line[0] = 0;
	}
	fclose(f);
	line[strcspn(line, "\n")] = 0;
	return error;
}

__u64 read_number(const char *path)
{
	char line[64];
	__u64 value;

	if (read_line(path, line, sizeof(line)))
		return UNKNOWN;
	if (!strcmp(line, "max"))
		return UNLIMITED;
	if (!parse_number(line, 0, UNLIMITED - 1, &value))
		return UNKNOWN;
	return value;
}

int write_file(const char *path, const char *text)
{
	char *real = path_of(path);
	int fd = open(real, O_WRONLY | O_CLOEXEC);
	int error = 0;

	free(real);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		error = -errno;
	close(fd);
	return error;
}

/* Bytes */
__u64 read_meminfo(const char *name)
{
	FILE *f = open_file("/proc/meminfo");
	__u64 value = UNKNOWN;
	size_t len = strlen(name);
	char line[256];

	if (!f)
		return value;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, name, len) || line[len] != ':')
			continue;
		value = strtoull(line + len + 1, NULL, 10) * KIB;
		break;
	}
	fclose(f);
	return value;
}

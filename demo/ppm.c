// SPDX-License-Identifier: GPL-2.0
/*
 * One picture out of the guest, as binary PPM.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ppm.h"

#define PORT_CLASS	"/sys/class/virtio-ports"
#define PORT_NAME	"org.dmaheap.file"
#define FALLBACK	"/tmp/frame.ppm"

static int port_is_ours(const char *port)
{
	char path[320];
	char name[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), PORT_CLASS "/%s/name", port);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fgets(name, sizeof(name), file))
		name[strcspn(name, "\n")] = '\0';
	fclose(file);

	return !strcmp(name, PORT_NAME);
}

int ppm_target(char *path, size_t len)
{
	DIR *dir = opendir(PORT_CLASS);
	struct dirent *entry;
	int found = 0;

	while (dir && !found && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || !port_is_ours(entry->d_name))
			continue;
		snprintf(path, len, "/dev/%s", entry->d_name);
		found = 1;
	}
	if (dir)
		closedir(dir);
	if (!found)
		snprintf(path, len, "%s", FALLBACK);

	return found;
}

static int wait_writable(int fd, int timeout_ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	int ret = poll(&pfd, 1, timeout_ms);

	if (ret < 0)
		return -errno;
	if (!ret)
		return -ETIME;

	/* Anything else is the hang-up of a port nobody holds at the host. */
	return pfd.revents & POLLOUT ? 0 : -ENOTCONN;
}

static int write_all(int fd, const void *data, size_t len, int timeout_ms)
{
	const char *p = data;
	ssize_t done;
	int ret;

	while (len) {
		ret = wait_writable(fd, timeout_ms);
		if (ret)
			return ret;
		done = write(fd, p, len);
		if (done < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (done > 0) {
			p += done;
			len -= done;
		}
	}

	return 0;
}

int ppm_write(const char *path, const __u8 *rgb, unsigned int width, unsigned int height,
	      int timeout_ms)
{
	char head[64];
	int ret, fd;

	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;

	ret = snprintf(head, sizeof(head), "P6\n%u %u\n255\n", width, height);
	ret = write_all(fd, head, ret, timeout_ms);
	if (!ret)
		ret = write_all(fd, rgb, (size_t)width * height * 3, timeout_ms);
	if (close(fd) && !ret)
		ret = -errno;

	return ret;
}

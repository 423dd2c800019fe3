// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * A heap that appears late: its driver is a module, or the device manager has not given
 * its node to the caller yet
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>
#include "internal.h"

/* A new node, and a node that somebody else may open now */
#define EVENTS		(IN_CREATE | IN_MOVED_TO | IN_ATTRIB | IN_ONLYDIR)

/* How often to look without inotify, which small kernels lack and which has limits */
#define RETRY_MS	50

static long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* Until there is a directory of heaps, /dev tells when it appears */
static bool watch(int events, const char *root)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/dev", root) >= sizeof(path) - 16 ||
	    inotify_add_watch(events, path, EVENTS) < 0)
		return false;
	strcat(path, "/dma_heap");
	return inotify_add_watch(events, path, EVENTS) >= 0 || errno == ENOENT;
}

static int try_open(const char *root, const char *name)
{
	char path[PATH_MAX];
	int fd;

	if ((size_t)snprintf(path, sizeof(path), "%s" DEV_HEAPS "/%s", root, name) >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static bool can_change(int error)
{
	return error == -ENOENT || error == -EACCES || error == -EPERM || error == -ENODEV ||
	       error == -ENXIO;
}

/* Wait for a change, or for a moment if nobody tells of changes; -ETIMEDOUT after @end */
static int next_change(int events, int timeout_ms, long long end)
{
	struct pollfd in = { .fd = events, .events = POLLIN };
	long long left = timeout_ms < 0 ? INT_MAX : end - now_ms();
	char buf[4096];

	if (left <= 0)
		return -ETIMEDOUT;
	if (events < 0 && left > RETRY_MS)
		left = RETRY_MS;
	if (poll(&in, events >= 0, left) < 0 && errno != EINTR)
		return -errno;
	while (events >= 0 && read(events, buf, sizeof(buf)) > 0)
		;
	return 0;
}

int dmaheap_wait(const char *root, const char *name, int timeout_ms)
{
	long long end = now_ms() + timeout_ms;
	int events, error, change = 0;

	if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EINVAL;
	root = root ? root : "";
	events = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	/* Watch first, then look: one of them sees a node that comes in between */
	do {
		if (events >= 0 && !watch(events, root)) {
			close(events);
			events = -1;
		}
		error = try_open(root, name);
		if (can_change(error))
			change = next_change(events, timeout_ms, end);
	} while (can_change(error) && !change);
	if (events >= 0)
		close(events);
	if (change == -ETIMEDOUT && (error == -EACCES || error == -EPERM))
		return error;
	return change ? change : error;
}

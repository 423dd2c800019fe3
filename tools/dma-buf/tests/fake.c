// SPDX-License-Identifier: GPL-2.0
/*
 * Linked with dmaheap for its tests (ld --wrap): a heap's node is a file that
 * holds the errno which allocations give, tracefs fills new directories, and a
 * trace_pipe that is a FIFO never runs dry as long as somebody has it to write to.
 *
 * FAKE_PAUSE is a command that runs instead of a pause, FAKE_POLL one that runs before
 * each poll(). FAKE_OPEN is "N COMMAND": the command runs once, right before the file or
 * directory number N is opened. FAKE_FDINFO is a file that stands in for all of
 * /proc/self/fdinfo. FAKE_IOCTL is a list of errnos, or 0, for the calls on buffers one
 * after the other, which are printed then. FAKE_NO_INOTIFY: there is none.
 */
#define _GNU_SOURCE
#define __SANE_USERSPACE_TYPES__	/* __u64 is unsigned long long */
#include "fake.h"
#include <errno.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* "12" in the node: ENOMEM; "3 12": so, after three that were fine */
static int allocate(int node, struct dma_heap_allocation_data *data)
{
	static int allocated;
	char text[32] = "";
	int after = 0, error = 0;

	if (pread(node, text, sizeof(text) - 1, 0) < 0)
		return -1;
	if (sscanf(text, "%d %d", &after, &error) == 1) {
		error = after;
		after = 0;
	}
	if (error && allocated >= after) {
		errno = error;
		return -1;
	}
	allocated++;
	data->fd = memfd_create("buffer", MFD_CLOEXEC);
	return ftruncate(data->fd, (data->len + 4095) / 4096 * 4096);
}

/* What the library hands to the kernel: flags, and for a part offset and length */
static int buffer_call(const char *errors, unsigned long request, void *arg)
{
	static size_t calls;
	__u64 words[3] = { 0 };
	size_t size = _IOC_SIZE(request);

	memcpy(words, arg, size < sizeof(words) ? size : sizeof(words));
	printf("ioctl 0x%lx: %llu %llu %llu\n", request, words[0], words[1], words[2]);
	for (size_t i = 0; i < calls; i++)
		errors += strcspn(errors, " ") + 1;
	calls++;
	errno = strtol(errors, NULL, 10);
	return errno ? -1 : 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (request == DMA_HEAP_IOCTL_ALLOC)
		return allocate(fd, arg);
	if (request == DMA_BUF_SET_NAME_B && strlen(arg) >= 32) {
		errno = EINVAL;
		return -1;
	}
	if (request == DMA_BUF_SET_NAME_B)
		return 0;
	if (getenv("FAKE_IOCTL"))
		return buffer_call(getenv("FAKE_IOCTL"), request, arg);
	return __real_ioctl(fd, request, arg);
}

static bool is_fifo(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISFIFO(st.st_mode);
}

/* However fast we are, the one that writes seems to be faster */
ssize_t __wrap_read(int fd, void *buf, size_t n)
{
	struct pollfd in = { .fd = fd, .events = POLLIN };
	ssize_t got;

	while ((got = __real_read(fd, buf, n)) < 0 && errno == EAGAIN &&
	       is_fifo(fd))
		poll(&in, 1, -1);
	return got;
}

static void before_opening(void)
{
	static int opened;
	const char *fake = getenv("FAKE_OPEN");
	int number, at;

	if (fake && sscanf(fake, "%d %n", &number, &at) == 1 &&
	    ++opened == number && system(fake + at))
		abort();
}

FILE *__wrap_fopen64(const char *path, const char *mode)
{
	const char *fake = getenv("FAKE_FDINFO");

	before_opening();
	if (fake && !strncmp(path, "/proc/self/fdinfo/", 18))
		path = fake;
	return __real_fopen64(path, mode);
}

DIR *__wrap_opendir(const char *path)
{
	before_opening();
	return __real_opendir(path);
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
	const char *fake = getenv("FAKE_PAUSE");

	if (!fake)
		return __real_nanosleep(time, left);
	if (system(fake))
		abort();
	return 0;
}

int __wrap_inotify_init1(int flags)
{
	if (!getenv("FAKE_NO_INOTIFY"))
		return __real_inotify_init1(flags);
	errno = EMFILE;
	return -1;
}

int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout)
{
	const char *fake = getenv("FAKE_POLL");

	if (fake && system(fake))
		abort();
	return __real_poll(fds, n, timeout);
}

static int run(const char *format, const char *path)
{
	char command[1024];

	snprintf(command, sizeof(command), format, path, path, path);
	return system(command);
}

int __wrap_mkdir(const char *path, mode_t mode)
{
	int ret = __real_mkdir(path, mode);

	if (!ret && run("cp -r '%s'/../../template/. '%s'/", path))
		abort();
	return ret;
}

/* What is in it goes with it, but is kept to be looked at */
int __wrap_rmdir(const char *path)
{
	if (run("rm -rf '%s'/../../last && cp -r '%s' '%s'/../../last", path))
		abort();
	return run("rm -rf '%s'", path) ? __real_rmdir(path) : 0;
}

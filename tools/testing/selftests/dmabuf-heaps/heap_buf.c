// SPDX-License-Identifier: GPL-2.0
/* Buffers, see heap_buf.h */

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>

#include "heap_buf.h"
#include "heap_device.h"
#include "heap_pattern.h"

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

/* Writes to a buffer, as all who use one do: only then it is scrubbed when it goes */
int buf_use(int fd)
{
	char *p = buf_map(fd, page_size(), READ_WRITE);

	if (p == MAP_FAILED)
		return -errno;
	touch(p, true);
	munmap(p, page_size());

	return 0;
}

/* A new buffer that has the pattern of the seed in all its pages and no mapping */
int buf_filled(int heap_fd, size_t len, __u32 seed)
{
	void *p;
	int fd;

	fd = heap_alloc(heap_fd, len);
	if (fd < 0)
		return fd;
	len = page_align(len);
	p = buf_map(fd, len, READ_WRITE);
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

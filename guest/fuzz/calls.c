// SPDX-License-Identifier: GPL-2.0
/* The calls that a program of the fuzzer consists of, and the errors that each may give */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "fuzz.h"
#include "heap_buf.h"
#include "heap_cgroup.h"
#include "heap_device.h"
#include "heap_file.h"
#include "heap_importer.h"
#include "heap_process.h"

#define PAGE		4096ul
#define BYTES_MAX	MIB(16)

const size_t fuzz_sizes[] = {
	KIB(4), KIB(4), KIB(8), KIB(12), KIB(64), KIB(64), KIB(100), MIB(1),
	MIB(2), MIB(2) + KIB(4), MIB(2) - KIB(4), MIB(4), MIB(6), 3110400, MIB(8), BYTES_MAX,
};

const unsigned int nr_fuzz_sizes = ARRAY_SIZE(fuzz_sizes);

/* As functions of the helpers return it */
static int result(long value)
{
	return value < 0 ? -errno : 0;
}

/* Opened once: while an allocation is to fail, it could be one of open() */
static void arm(struct thread *thread, int nth)
{
	char path[64];

	if (!thread->fail_fd) {
		snprintf(path, sizeof(path), "/proc/self/task/%d/fail-nth", gettid());
		thread->fail_fd = open(path, O_WRONLY | O_CLOEXEC);
	}
	snprintf(path, sizeof(path), "%d", nth);
	if (pwrite(thread->fail_fd, path, strlen(path), 0) < 0)
		complain("cannot have an allocation fail: %s", strerror(errno));
	thread->failing |= nth;
}

/* What follows in this call is not meant to fail */
static void disarm(struct thread *thread)
{
	if (thread->failing)
		arm(thread, 0);
}

/* Bits of byte d of an allocation */
#define ALLOC_FD	0x04
#define ALLOC_FLAGS	0x08
#define ALLOC_BAD	0x10
#define ALLOC_HUGE	0x20
#define ALLOC_UNSEEN	0x40
#define ALLOC_READ	0x80

static size_t length_of(const struct call *c)
{
	static const int deltas[] = { 0, 0, 0, 0, 1, -1, 4095, -4095 };
	size_t len = fuzz_sizes[c->b % nr_fuzz_sizes];

	if (c->d & ALLOC_HUGE)
		return (size_t)c->e << 56 | (size_t)c->f << 24 | len;

	return len + deltas[c->b >> 5];
}

static void check_new(int fd, size_t len, unsigned int flags)
{
	long long size = buf_size(fd);
	int is = fcntl(fd, F_GETFL) & O_ACCMODE;

	if (size != (long long)page_align(len))
		complain("new buffer of %zu bytes has %lld", len, size);
	if (fcntl(fd, F_GETFD) & FD_CLOEXEC)
		is |= O_CLOEXEC;
	if (is != (int)flags)
		complain("new buffer of %zu bytes has flags %#o instead of %#o", len, is, flags);
}

static int call_alloc(struct thread *thread, const struct call *c)
{
	static const unsigned int sizes[] = { 24, 16, 48, 12 };
	unsigned int size = sizes[c->d % ARRAY_SIZE(sizes)];
	struct heap *heap = &heaps[c->a % nr_heaps];
	size_t len = length_of(c);
	union {
		struct dma_heap_allocation_data data;
		char room[48];
	} arg = { .data = {
		.len = len,
		.fd_flags = (c->c & O_ACCMODE) | (c->c & 4 ? O_CLOEXEC : 0) |
			    (c->c >= 0xf0 ? O_APPEND : 0),
		.fd = c->d & ALLOC_FD ? c->f : 0,
		.heap_flags = c->d & ALLOC_FLAGS ? c->e : 0,
	} };
	struct buffer *buffer;

	if (ioctl(heap->fd[!(c->d & ALLOC_READ)],
		  _IOC(_IOC_READ | _IOC_WRITE, DMA_HEAP_IOC_MAGIC, c->c >> 3 == 3, size),
		  c->d & ALLOC_BAD ? NULL : &arg))
		return -errno;
	disarm(thread);
	/* The shortest argument ends before the flags */
	check_new(arg.data.fd, len, size > 12 ? arg.data.fd_flags : 0);
	if (!(c->d & ALLOC_UNSEEN))
		model_check_zero(thread, arg.data.fd, page_align(len));
	buffer = model_new(page_align(len));
	if (!buffer)
		return result(close(arg.data.fd));

	return keep_opened(c->slot, arg.data.fd, buffer);
}

static int call_dup(struct thread *thread, const struct call *c)
{
	struct opened *opened = find_opened(c->slot);
	int fd;

	if (!opened)
		return 0;
	if (c->b & 1)
		fd = dup(opened->fd);
	else
		fd = fcntl(opened->fd, F_DUPFD_CLOEXEC, c->b);
	if (fd < 0)
		return -errno;
	disarm(thread);

	return keep_opened(c->a, fd, opened->buffer);
}

static int call_close(struct thread *thread, const struct call *c)
{
	struct opened *opened = take_opened(c->slot);

	if (!opened)
		return 0;
	if (c->a & 1)
		model_check(thread, opened->buffer, opened->fd);

	return result(close(opened->fd));
}

/* A range of @whole bytes, in pages, mostly within; never empty */
static void range_of(size_t whole, unsigned int from, unsigned int pages, size_t *offset,
		     size_t *len)
{
	size_t all = whole / PAGE;

	*offset = from % all * PAGE;
	*len = pages ? pages * PAGE : whole - *offset;
	if (pages >= 128)
		*len = (pages - 127) * KIB(256);
	if (pages < 250 && *len > whole - *offset)
		*len = whole - *offset;
}

static int call_mmap(struct thread *thread, const struct call *c)
{
	static const int protections[] = {
		PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE, PROT_READ, PROT_WRITE, PROT_NONE,
		PROT_READ | PROT_EXEC,
	};
	struct opened *opened = find_opened(c->slot);
	char *where = NULL, *p;
	int flags = c->d & 1 && c->d & 2 ? MAP_PRIVATE : MAP_SHARED;
	size_t offset, len;

	if (!opened)
		return 0;
	range_of(model_size(opened->buffer), c->a, c->b, &offset, &len);
	if (c->d & 4)
		flags |= MAP_POPULATE;
	/* At an address of our own, mostly one where no block fits */
	if (c->d & 8)
		where = (char *)0x20000000000ul + (c->slot % SLOTS * 0x100000000ul) + c->e * PAGE;
	if (c->d & 16)
		flags |= MAP_LOCKED;
	p = mmap(where, len, protections[c->c % ARRAY_SIZE(protections)], flags, opened->fd,
		 offset);
	if (p == MAP_FAILED)
		return -errno;
	disarm(thread);
	keep_mapped(c->f, p, len);

	return 0;
}

static int call_munmap(struct thread *thread, const struct call *c)
{
	struct mapped *mapped = c->c & 1 ? take_mapped(c->slot) : find_mapped(c->slot);
	size_t offset = 0, len;

	if (!mapped)
		return 0;
	len = mapped->len;
	if (!(c->c & 1))
		range_of(mapped->len, c->a, c->b, &offset, &len);
	if (offset + len > mapped->len)
		len = mapped->len - offset;

	return result(munmap(mapped->p + offset, len));
}

static int call_mprotect(struct thread *thread, const struct call *c)
{
	struct mapped *mapped = find_mapped(c->slot);
	size_t offset, len;

	if (!mapped)
		return 0;
	range_of(mapped->len, c->a, c->b, &offset, &len);

	return result(mprotect(mapped->p + offset, len, c->c % 8));
}

static int call_mremap(struct thread *thread, const struct call *c)
{
	struct mapped *mapped = find_mapped(c->slot);
	size_t offset, len, new_len;
	char *p;

	if (!mapped)
		return 0;
	range_of(mapped->len, c->a, c->b, &offset, &len);
	if (offset + len > mapped->len)
		len = mapped->len - offset;
	new_len = c->c ? c->c * PAGE : len;
	p = mremap(mapped->p + offset, c->d & 2 ? 0 : len, new_len, c->d & 1 ? MREMAP_MAYMOVE : 0);
	if (p == MAP_FAILED)
		return -errno;
	disarm(thread);
	if (p != mapped->p + offset)
		keep_mapped(c->f, p, new_len);

	return 0;
}

static int call_madvise(struct thread *thread, const struct call *c)
{
	struct mapped *mapped = find_mapped(c->slot);
	size_t offset, len;
	unsigned char present[BYTES_MAX / PAGE + 1];

	if (!mapped)
		return 0;
	range_of(mapped->len, c->a, c->b, &offset, &len);
	if (offset + len > mapped->len)
		len = mapped->len - offset;
	switch (c->d % 8) {
	case 0:
		return result(msync(mapped->p + offset, len, c->c & 1 ? MS_SYNC : MS_ASYNC));
	case 1:
		return result(mlock2(mapped->p + offset, len, c->c & 1));
	case 2:
		return result(munlock(mapped->p + offset, len));
	case 3:
		return len < BYTES_MAX ? result(mincore(mapped->p + offset, len, present)) : 0;
	}
	/* Not MADV_HWPOISON and MADV_SOFT_OFFLINE: pages are gone for good */
	return c->c == 100 || c->c == 101 ? 0 :
	       result(madvise(mapped->p + offset, len, c->c % 26));
}

/* A word of some pages */
static int call_touch(struct thread *thread, const struct call *c)
{
	struct mapped *mapped = find_mapped(c->slot);
	size_t offset, len;
	__u64 value;

	if (!mapped)
		return 0;
	range_of(mapped->len, c->a, c->b, &offset, &len);
	for (size_t at = offset; at < offset + len && at < mapped->len; at += PAGE)
		if (c->c & 1 ? !touch_word(mapped->p + at) : !peek(mapped->p + at, &value))
			return -EFAULT;

	return 0;
}

static int call_write(struct thread *thread, const struct call *c)
{
	struct opened *opened = find_opened(c->slot);

	return opened ? model_write(thread, opened->buffer, opened->fd, c->a | c->b << 8) : 0;
}

static int call_check(struct thread *thread, const struct call *c)
{
	struct opened *opened = find_opened(c->slot);

	if (opened)
		model_check(thread, opened->buffer, opened->fd);

	return 0;
}

static int call_sync(struct thread *thread, const struct call *c)
{
	struct opened *opened = find_opened(c->slot);
	__u64 flags = c->b >= 0xf0 ? c->b : c->b % 8;
	size_t offset, len;

	if (!opened)
		return 0;
	if (c->a & 1)
		return buf_sync(opened->fd, flags);
	range_of(model_size(opened->buffer), c->c, c->d, &offset, &len);

	return buf_sync_partial(opened->fd, flags, offset + c->e, len - c->f);
}

static int call_charge(struct thread *thread, const struct call *c)
{
	struct opened *opened = find_opened(c->slot);

	return opened ? buf_charge(opened->fd, c->a >= 0xf0) : 0;
}

/* What does not change anything: ioctls, and all that can be done with any file */
static int call_ask(struct thread *thread, const struct call *c)
{
	struct opened *opened = find_opened(c->slot);
	struct pollfd poll_fd = { .events = c->b };
	char text[512];

	if (!opened)
		return 0;
	poll_fd.fd = opened->fd;
	switch (c->a % 10) {
	case 0:
		memset(text, 'n', sizeof(text));
		text[c->b % 64] = '\0';
		return result(ioctl(opened->fd, c->c & 1 ? DMA_BUF_SET_NAME_A : DMA_BUF_SET_NAME_B,
				    c->b < 250 ? text : NULL));
	case 1:
		return result(poll(&poll_fd, 1, 0));
	case 2:
		return result(lseek(opened->fd, c->b % 2 * c->c, c->d % 5));
	case 3:
		return result(read(opened->fd, text, 8));
	case 4:
		snprintf(text, sizeof(text), "/proc/self/fdinfo/%d", opened->fd);
		return file_read(text, text, sizeof(text));
	case 5:
		snprintf(text, sizeof(text), "/proc/self/fd/%d", opened->fd);
		return result(open(text, O_RDWR | O_CLOEXEC));
	case 6:
		return result(ioctl(opened->fd, _IOC(c->b % 4, DMA_BUF_BASE, c->c, c->d), text));
	case 7:
		return file_read("/sys/kernel/debug/dma_buf/bufinfo", text, sizeof(text));
	case 8:
		return result(fallocate(opened->fd, c->b % 4, 0, PAGE));
	}

	return result(ftruncate(opened->fd, c->b * PAGE));
}

static const int devices[] = { IMPORTER_64, IMPORTER_MOVER, IMPORTER_MOVER_2, IMPORTER_32,
			       IMPORTER_COHERENT, IMPORTER_31, IMPORTER_BOUNCES, 9 };

static int importer_of(const struct call *c)
{
	return keep_importer(c->slot / SLOTS);
}

/* A device that gets copies may undo writes of the CPU, as nobody synchronizes here */
static int call_import(struct thread *thread, const struct call *c)
{
	struct opened *opened = find_opened(c->slot);
	int device = devices[c->a % ARRAY_SIZE(devices)], importer = importer_of(c), ret;

	if (!opened || importer < 0)
		return opened ? importer : 0;
	if (device == IMPORTER_BOUNCES || device == IMPORTER_31 || device == IMPORTER_32)
		model_forget(opened->buffer);
	ret = importer_do(importer, "%s %d %d", c->b >= 0xe0 ? "peer" : "import", opened->fd,
			  device);
	if (!ret && c->c & 1)
		ret = importer_do(importer, "map %d", c->d % 3);

	return ret;
}

/* Offset and length in the upper half of a page, where only devices write */
static int device_does(int importer, const char *verb, const struct call *c)
{
	return importer_do(importer, "%s %lu %u %u", verb, c->b * PAGE + 2048 + c->c / 2 * 8,
			   8 + c->d % 127 * 8, c->e);
}

static int call_importer(struct thread *thread, const struct call *c)
{
	static const char *const verbs[] = { "map 0", "unmap", "drop", "hold", "release", "map 1",
					     "map 2" };
	static const char *const access[] = { "dwrite", "dread", "dlater", "dcopy" };
	int importer = importer_of(c);
	char text[64];

	if (importer < 0)
		return importer;
	if (c->a < 128)
		return importer_do(importer, "%s", verbs[c->a % ARRAY_SIZE(verbs)]);
	if (c->a == 255)
		return result(pread(importer, text, sizeof(text), 0));

	return device_does(importer, access[c->a % ARRAY_SIZE(access)], c);
}

/* What the device writes is what it reads, if nobody else has it write */
static int call_move(struct thread *thread, const struct call *c)
{
	struct opened *opened = find_opened(c->slot);
	int importer, device = devices[c->a % ARRAY_SIZE(devices)], ret;
	size_t page = c->b * PAGE;
	long long wrong;

	if (!opened)
		return 0;
	importer = importer_open();
	if (importer < 0)
		return importer;
	if (device == IMPORTER_BOUNCES || device == IMPORTER_31 || device == IMPORTER_32)
		model_forget(opened->buffer);
	page %= model_size(opened->buffer);
	ret = importer_map(importer, opened->fd, device, DEVICE_READS_AND_WRITES);
	if (!ret)
		ret = importer_do(importer, "dwrite %zu 512 %u", page + 2048, c->c);
	if (!ret && !thread->failing) {
		wrong = importer_reads(importer, page + 2048, 512, c->c);
		if (wrong != -1 && !racing)
			complain("device %d wrote page %zu, but reads %lld", device, page / PAGE,
				 wrong);
	}
	disarm(thread);
	close(importer);

	return ret;
}

static int call_look(struct thread *thread, const struct call *c)
{
	static const char *const verbs[] = { "chunks", "vmap", "fill", "check" };
	struct opened *opened = find_opened(c->slot);
	struct mapped *mapped = find_mapped(c->slot);
	int importer = importer_of(c), verb = c->a % 5;

	if (!opened || importer < 0)
		return opened ? importer : 0;
	if (verb == 4)
		return mapped ? importer_do(importer, "user %lu %d", mapped->p, c->b) : 0;
	if (verb >= 2)
		model_forget(opened->buffer);

	return importer_do(importer, "%s %d %d", verbs[verb], opened->fd,
			   verb ? c->b : devices[c->b % ARRAY_SIZE(devices)]);
}

/* A buffer of a driver; EIO: it was not zero */
static int call_kalloc(struct thread *thread, const struct call *c)
{
	int importer = importer_of(c);

	return importer < 0 ? importer :
	       importer_do(importer, "kalloc %s %zu", heaps[c->a % nr_heaps].name,
			   fuzz_sizes[c->b % nr_fuzz_sizes] - c->c % 2);
}

static const char *const attributes[] = {
	"pool/max_bytes", "pool/decay_ms", "pool/prefill", "buffer_limit_bytes",
	"heap_limit_bytes", "peak_bytes", "peak_buffers", "bytes",
};

static const char *const values[] = {
	"0", "1", "4096", "65536", "1048576", "8388608", "max", "-1", "", "4096 1", "65536 4",
	"2097152 1", "3112960 2", "8388608 1", "4096 0", "4095 1", "banana", "16777216\n",
	"18446744073709551615", "18446744073709551616", "4096 1 1", " 4096",
	"4294967296 4294967296",
};

static int call_set(struct thread *thread, const struct call *c)
{
	unsigned int number = c->a % nr_heaps;

	shared->touched[number] = true;

	return heap_attr_write(heaps[number].name, attributes[c->b % ARRAY_SIZE(attributes)],
			       values[c->c % ARRAY_SIZE(values)]);
}

static int call_get(struct thread *thread, const struct call *c)
{
	static const char *const others[] = {
		"alias_of", "fallback", "fallbacks", "largest", "failures/last", "failures/nomem",
		"pool/hits", "pool/misses", "pool/zeroed_bytes", "pool/unzeroed_bytes",
		"pool/scrubbed_bytes", "pool/untouched_bytes", "area/size_bytes",
		"area/free_bytes", "area/largest_free_bytes", "dma_bits", "alignment", "uevent",
	};
	unsigned int at = c->b % (ARRAY_SIZE(attributes) + ARRAY_SIZE(others));
	const char *name = attributes[at % ARRAY_SIZE(attributes)];
	char text[512];

	if (at >= ARRAY_SIZE(attributes))
		name = others[at - ARRAY_SIZE(attributes)];

	return heap_attr_read(heaps[c->a % nr_heaps].name, name, text, sizeof(text));
}

/* The list of buffers, in pieces */
static int call_list(struct thread *thread, const struct call *c)
{
	int fd = open("/sys/kernel/debug/dma_heap_buffers", O_RDONLY | O_CLOEXEC);
	long ret = fd;
	char text[1024];

	for (int i = 0; i <= c->a % 4 && ret >= 0; i++) {
		ret = read(fd, text, 1 + c->b * 4);
		if (ret >= 0 && c->c & 1)
			ret = lseek(fd, c->d * 4, SEEK_SET);
	}
	ret = result(ret);
	close(fd);

	return ret;
}

/* Touches mappings in ways of its own; ends by itself, or is ended whatever it does */
static void fork_child(struct thread *thread, const struct call *c)
{
	struct mapped *mapped = find_mapped(c->slot);
	struct call other = { .a = c->d, .b = c->e, .c = 2 };
	__u64 value;

	if (c->b & 1 && mapped)
		touch_word(mapped->p);
	if (c->b & 2 && mapped)
		mprotect(mapped->p, mapped->len, c->e % 8);
	if (c->b & 4)
		call_alloc(thread, &other);
	if (c->b & 8 && mapped)
		munmap(mapped->p, mapped->len / 2 / PAGE * PAGE);
	if (c->b & 16 && mapped)
		peek(mapped->p + mapped->len - 8, &value);
	if (c->b & 32)
		call_charge(thread, c);
}

static int call_fork(struct thread *thread, const struct call *c)
{
	pid_t pid = fork();
	int ret;

	if (pid < 0)
		return -errno;
	if (!pid) {
		fork_child(thread, c);
		_exit(0);
	}
	disarm(thread);
	if (c->a & 1)
		usleep(c->c * 16);
	if (c->a & 1)
		kill(pid, SIGKILL);
	/* Else it lives beside us, until it ends or the program does */
	ret = c->a & 2 ? 0 : waitpid(pid, NULL, 0);

	return result(ret);
}

/* The end of the program, in the midst of what the other thread does */
static int call_kill(struct thread *thread, const struct call *c)
{
	/* Not often, or most programs would be short */
	if (c->a == 0x4b)
		kill(getpid(), SIGKILL);

	return 0;
}

static int call_cgroup(struct thread *thread, const struct call *c)
{
	static const char *const limits[] = { "max", "64M", "8M", "1M", "0" };
	const char *name = fuzz_cgroups[c->a % 2];

	shared->touched[TOUCHED_CGROUP] = true;
	if (c->b & 1)
		return cgroup_write(name, "memory.max", limits[c->c % ARRAY_SIZE(limits)]);
	if (c->b & 2 && c->c == 0)
		return cgroup_write(name, "memory.reclaim", "1M");

	return file_write(c->a & 2 ? CGROUP "/cgroup.procs" :
			  c->a & 1 ? CGROUP "/fuzz/b/cgroup.procs" : CGROUP "/fuzz/a/cgroup.procs",
			  "0");
}

static int call_pressure(struct thread *thread, const struct call *c)
{
	size_t len = MIB(1 + c->b % 32);
	char *p;

	switch (c->a % 8) {
	case 0:
		return prctl(PR_SET_THP_DISABLE, c->b & 1, 0, 0, 0) ? -errno : 0;
	case 1:
		return file_write("/proc/sys/vm/drop_caches", c->b & 1 ? "2" : "3");
	case 2:
		return file_write("/proc/sys/vm/compact_memory", "1");
	case 3:
	case 4:
		p = mmap(NULL, len, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		return p == MAP_FAILED ? -errno : result(munmap(p, len));
	}
	usleep(c->b * 16);

	return 0;
}

/* Through a socket, which may be closed with it inside */
static int call_send(struct thread *thread, const struct call *c)
{
	struct opened *opened = find_opened(c->slot);
	int pair[2], fd, ret;

	if (!opened)
		return 0;
	ret = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
	if (ret)
		return -errno;
	ret = send_fd(pair[0], opened->fd);
	if (!ret && c->b & 1) {
		fd = receive_fd(pair[1]);
		disarm(thread);
		ret = fd < 0 ? fd : keep_opened(c->a, fd, opened->buffer);
	}
	close(pair[0]);
	close(pair[1]);

	return ret;
}

static int call_fail(struct thread *thread, const struct call *c)
{
	thread->fail = 1 + c->a % 24;

	return 0;
}

#define ERRORS(...)	((const unsigned char[]){ __VA_ARGS__, 0 })

static const struct {
	const char *name;
	int (*run)(struct thread *thread, const struct call *c);
	const unsigned char *errors;
} calls[] = {
	{ "alloc", call_alloc, ERRORS(EINVAL, ENOMEM, EFAULT, ENOTTY) },
	{ "alloc", call_alloc, ERRORS(EINVAL, ENOMEM, EFAULT, ENOTTY) },
	{ "alloc", call_alloc, ERRORS(EINVAL, ENOMEM, EFAULT, ENOTTY) },
	{ "dup", call_dup, ERRORS(EMFILE) },
	{ "close", call_close, ERRORS(EBADF) },
	{ "mmap", call_mmap, ERRORS(EINVAL, EACCES, ENOMEM, EAGAIN) },
	{ "mmap", call_mmap, ERRORS(EINVAL, EACCES, ENOMEM, EAGAIN) },
	{ "munmap", call_munmap, ERRORS(EINVAL) },
	{ "mprotect", call_mprotect, ERRORS(EACCES, ENOMEM, EINVAL) },
	{ "mremap", call_mremap, ERRORS(EFAULT, ENOMEM, EINVAL) },
	{ "madvise", call_madvise, ERRORS(EINVAL, ENOMEM, EBADF, EIO, EPERM, EFAULT, EBUSY,
					   EAGAIN, ENODEV, EACCES) },
	{ "touch", call_touch, ERRORS(EFAULT) },
	{ "write", call_write, ERRORS(EACCES, ENOMEM) },
	{ "write", call_write, ERRORS(EACCES, ENOMEM) },
	{ "check", call_check, ERRORS(0) },
	{ "sync", call_sync, ERRORS(EINVAL) },
	{ "sync", call_sync, ERRORS(EINVAL) },
	{ "charge", call_charge, ERRORS(EINVAL, ENOMEM) },
	{ "ask", call_ask, ERRORS(EINVAL, EFAULT, ENOTTY, ENXIO, EBADF, ESPIPE, ENODEV,
				  EOPNOTSUPP, EPERM) },
	{ "import", call_import, ERRORS(EBUSY, ENODEV, EINVAL, ENOMEM, EIO) },
	{ "import", call_import, ERRORS(EBUSY, ENODEV, EINVAL, ENOMEM, EIO) },
	{ "importer", call_importer, ERRORS(EBUSY, EINVAL, ENOMEM, EIO, ENODEV, EOPNOTSUPP) },
	{ "importer", call_importer, ERRORS(EBUSY, EINVAL, ENOMEM, EIO, ENODEV, EOPNOTSUPP) },
	{ "move", call_move, ERRORS(ENODEV, ENOMEM, EIO, EINVAL) },
	{ "look", call_look, ERRORS(ENODEV, ENOMEM, EIO, EINVAL, EOPNOTSUPP, EFAULT) },
	{ "kalloc", call_kalloc, ERRORS(ENOMEM, EINVAL) },
	{ "set", call_set, ERRORS(EINVAL, ERANGE, ENOSPC, ENOMEM, EACCES) },
	{ "get", call_get, ERRORS(ENOENT, EACCES) },
	{ "list", call_list, ERRORS(EINVAL) },
	{ "fork", call_fork, ERRORS(0) },
	{ "kill", call_kill, ERRORS(0) },
	{ "cgroup", call_cgroup, ERRORS(EAGAIN, EBUSY) },
	{ "pressure", call_pressure, ERRORS(ENOMEM) },
	{ "send", call_send, ERRORS(EIO) },
	{ "fail", call_fail, ERRORS(0) },
	{ "fail", call_fail, ERRORS(0) },
};

const unsigned int nr_fuzz_calls = ARRAY_SIZE(calls);

const char *fuzz_call_name(unsigned int op)
{
	return calls[op].name;
}

/* When a file was closed at the same time, when an allocation failed */
static bool is_allowed(struct thread *thread, unsigned int op, int error)
{
	static const unsigned char racing_errors[] = { EBADF, ENOTTY, EINVAL, EACCES, ENODEV,
						       EFAULT, ENOMEM, EIO, ENOMSG };
	static const unsigned char failing_errors[] = { ENOMEM, EAGAIN, EFAULT, EIO, ENOBUFS,
							EMFILE, ENFILE };

	if (strchr((const char *)calls[op].errors, error))
		return true;
	if (racing && memchr(racing_errors, error, sizeof(racing_errors)))
		return true;

	return thread->failing && memchr(failing_errors, error, sizeof(failing_errors));
}

void run_call(struct thread *thread, const struct call *call)
{
	unsigned int op = (call->op & ~CALL_BESIDE) % nr_fuzz_calls;
	int error;

	thread->failing = false;
	if (thread->fail)
		arm(thread, thread->fail);
	thread->fail = 0;
	error = -calls[op].run(thread, call);
	disarm(thread);
	if (error < 0 || error >= ERRNO_MAX)
		error = ERRNO_MAX - 1;
	shared->results[op][error]++;
	shared->errors[call - shared->calls] = error;
	if (error && !is_allowed(thread, op, error))
		complain("%s fails with %s", calls[op].name, strerrorname_np(error));
}

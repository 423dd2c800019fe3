// SPDX-License-Identifier: GPL-2.0
/*
 * Every way to get an allocation wrong, and the exact error for it. After each
 * the argument is as it was and, by the fixture, no descriptor and no buffer
 * was left behind.
 */

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>

#include "heap_fixture.h"

#define VALID_FD_FLAGS	((__u32)(O_ACCMODE | O_CLOEXEC))

/* The minors of the heaps' device number range */
#define HEAP_MINORS	128

/*
 * Makes a call that is to fail and returns its error. -EBADE stands for one
 * that failed, but changed its argument. One that succeeds leaves a descriptor
 * behind for the fixture to find.
 */
static int failing_ioctl(int fd, unsigned int cmd,
			 struct dma_heap_allocation_data *data)
{
	struct dma_heap_allocation_data copy = *data;
	int ret;

	ret = heap_ioctl(fd, cmd, data);
	if (!ret)
		return 0;

	return memcmp(data, &copy, sizeof(copy)) ? -EBADE : ret;
}

static int alloc_error(int fd, struct dma_heap_allocation_data data)
{
	return failing_ioctl(fd, DMA_HEAP_IOCTL_ALLOC, &data);
}

static struct dma_heap_allocation_data good_arg(void)
{
	return (struct dma_heap_allocation_data) {
		.len = PAGES(1),
		.fd_flags = O_RDWR | O_CLOEXEC,
	};
}

HEAP_TEST(zero_length_is_refused)
{
	struct dma_heap_allocation_data data = good_arg();

	data.len = 0;
	EXPECT_EQ(-EINVAL, alloc_error(self->fd, data));
}

HEAP_TEST(length_that_wraps_around_is_refused)
{
	struct dma_heap_allocation_data data = good_arg();

	data.len = UINT64_MAX;
	EXPECT_EQ(-EINVAL, alloc_error(self->fd, data));
	data.len = UINT64_MAX - page_size() + 2;
	EXPECT_EQ(-EINVAL, alloc_error(self->fd, data));
}

/*
 * More than a heap can ever give. It has to know that beforehand, and count it as
 * such: trying it would push everything else out of memory.
 */
HEAP_TEST(absurd_length_is_refused_untried)
{
	struct dma_heap_allocation_data data = good_arg();
	__u64 lens[8], ram;
	struct sysinfo info;
	long long refused;
	int i;

	ASSERT_EQ(0, sysinfo(&info));
	ram = (__u64)info.totalram * info.mem_unit;
	lens[0] = ram / 2 + MIB(1);
	lens[1] = ram - ram / 4;
	lens[2] = ram;
	lens[3] = ram * 2;
	lens[4] = 1ULL << 44;
	lens[5] = 1ULL << 62;
	lens[6] = 1ULL << 63;
	/* The largest that does not wrap around */
	lens[7] = UINT64_MAX - page_size() + 1;

	refused = heap_attr(variant->name, "failures/too_large");
	ASSERT_LE(0, refused);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		data.len = lens[i];
		EXPECT_EQ(-ENOMEM, alloc_error(self->fd, data))
			TH_LOG("length %#llx", (long long)data.len);
		EXPECT_EQ(refused + i + 1,
			  heap_attr(variant->name, "failures/too_large"))
			TH_LOG("length %#llx", (long long)data.len);
	}
}

HEAP_TEST(argument_with_a_descriptor_is_refused)
{
	struct dma_heap_allocation_data data = good_arg();

	data.fd = 1;
	EXPECT_EQ(-EINVAL, alloc_error(self->fd, data));
	data.fd = -1;
	EXPECT_EQ(-EINVAL, alloc_error(self->fd, data));
	data.fd = self->fd;
	EXPECT_EQ(-EINVAL, alloc_error(self->fd, data));
}

HEAP_TEST(unknown_fd_flags_are_refused)
{
	struct dma_heap_allocation_data data;
	__u32 flag;

	for (flag = 1; flag; flag <<= 1) {
		if (flag & VALID_FD_FLAGS)
			continue;
		data = good_arg();
		data.fd_flags |= flag;
		EXPECT_EQ(-EINVAL, alloc_error(self->fd, data))
			TH_LOG("flag %#x", flag);
		data.fd_flags = flag;
		EXPECT_EQ(-EINVAL, alloc_error(self->fd, data))
			TH_LOG("flag %#x", flag);
	}
	data.fd_flags = ~VALID_FD_FLAGS;
	EXPECT_EQ(-EINVAL, alloc_error(self->fd, data));
}

HEAP_TEST(heap_flags_are_refused)
{
	struct dma_heap_allocation_data data = good_arg();
	int bit;

	for (bit = 0; bit < 64; bit++) {
		data.heap_flags = 1ULL << bit;
		EXPECT_EQ(-EINVAL, alloc_error(self->fd, data))
			TH_LOG("bit %d", bit);
	}
	data.heap_flags = UINT64_MAX;
	EXPECT_EQ(-EINVAL, alloc_error(self->fd, data));
}

static unsigned int command(unsigned int dir, unsigned int type,
			    unsigned int nr, size_t size)
{
	return _IOC(dir, type, nr, size);
}

#define BOTH_WAYS	(_IOC_READ | _IOC_WRITE)
#define ARG_SIZE	sizeof(struct dma_heap_allocation_data)

HEAP_TEST(unknown_commands_are_refused)
{
	struct dma_heap_allocation_data data = good_arg();
	unsigned int nr, cmd;

	for (nr = 1; nr < 256; nr++) {
		cmd = command(BOTH_WAYS, DMA_HEAP_IOC_MAGIC, nr, ARG_SIZE);
		EXPECT_EQ(-EINVAL, failing_ioctl(self->fd, cmd, &data))
			TH_LOG("number %u", nr);
	}
}

/* Not checked since the first kernel with heaps, so it has to stay that way */
HEAP_TEST(magic_is_not_checked)
{
	struct dma_heap_allocation_data data = good_arg();

	ASSERT_EQ(0, heap_ioctl(self->fd, command(BOTH_WAYS, 'Z', 0, ARG_SIZE),
				&data));
	EXPECT_EQ(PAGES(1), buf_size(data.fd));
	EXPECT_EQ(0, close(data.fd));
}

/* A success that cannot tell the descriptor would lose the buffer */
HEAP_TEST(command_that_reads_nothing_back_is_refused)
{
	struct dma_heap_allocation_data data = good_arg();
	unsigned int cmd;

	cmd = command(_IOC_WRITE, DMA_HEAP_IOC_MAGIC, 0, ARG_SIZE);
	EXPECT_EQ(-EINVAL, failing_ioctl(self->fd, cmd, &data));
}

HEAP_TEST(command_that_passes_nothing_is_refused)
{
	struct dma_heap_allocation_data data = good_arg();
	unsigned int cmd;

	cmd = command(_IOC_READ, DMA_HEAP_IOC_MAGIC, 0, ARG_SIZE);
	EXPECT_EQ(-EINVAL, failing_ioctl(self->fd, cmd, &data));
	cmd = command(_IOC_NONE, DMA_HEAP_IOC_MAGIC, 0, ARG_SIZE);
	EXPECT_EQ(-EINVAL, failing_ioctl(self->fd, cmd, &data));
}

HEAP_TEST(argument_too_short_for_fd_is_refused)
{
	struct dma_heap_allocation_data data = good_arg();
	unsigned int cmd;
	size_t size;

	data.fd_flags = 0;
	for (size = 0; size < 12; size++) {
		cmd = command(BOTH_WAYS, DMA_HEAP_IOC_MAGIC, 0, size);
		EXPECT_EQ(-EINVAL, failing_ioctl(self->fd, cmd, &data))
			TH_LOG("size %zu", size);
	}
}

/* The wrong field counts even if it is only in the newer part of a short form */
HEAP_TEST(wrong_fields_are_refused_in_any_argument_size)
{
	struct {
		struct dma_heap_allocation_data data;
		__u64 tail[3];
	} arg = { .data = good_arg() };
	unsigned int older, newer;

	older = command(BOTH_WAYS, DMA_HEAP_IOC_MAGIC, 0, 16);
	newer = command(BOTH_WAYS, DMA_HEAP_IOC_MAGIC, 0, sizeof(arg));

	arg.data.heap_flags = 1;
	EXPECT_EQ(-EINVAL, failing_ioctl(self->fd, newer, &arg.data));
	arg.data = good_arg();
	arg.data.fd = 7;
	EXPECT_EQ(-EINVAL, failing_ioctl(self->fd, newer, &arg.data));
	EXPECT_EQ(-EINVAL, failing_ioctl(self->fd, older, &arg.data));
	arg.data = good_arg();
	arg.data.len = 0;
	EXPECT_EQ(-EINVAL, failing_ioctl(self->fd, newer, &arg.data));
	EXPECT_EQ(-EINVAL, failing_ioctl(self->fd, older, &arg.data));
}

HEAP_TEST(unreadable_argument_is_refused)
{
	struct dma_heap_allocation_data *data;
	char *page;

	EXPECT_EQ(-EFAULT, heap_ioctl(self->fd, DMA_HEAP_IOCTL_ALLOC, NULL));
	EXPECT_EQ(-EFAULT, heap_ioctl(self->fd, DMA_HEAP_IOCTL_ALLOC,
				      (void *)-4096L));

	/* Two pages, the second of which is gone */
	page = mmap(NULL, 2 * page_size(), READ_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, munmap(page + page_size(), page_size()));
	EXPECT_EQ(-EFAULT, heap_ioctl(self->fd, DMA_HEAP_IOCTL_ALLOC,
				      page + page_size()));

	/* Only the last field is in it */
	data = (void *)(page + page_size() -
			offsetof(struct dma_heap_allocation_data, heap_flags));
	data->len = PAGES(1);
	data->fd_flags = O_RDWR;
	EXPECT_EQ(-EFAULT, heap_ioctl(self->fd, DMA_HEAP_IOCTL_ALLOC, data));

	/* The shorter form ends before it */
	ASSERT_EQ(0, heap_ioctl(self->fd, command(BOTH_WAYS, DMA_HEAP_IOC_MAGIC,
						  0, 16), data));
	EXPECT_EQ(0, close(data->fd));
	EXPECT_EQ(0, munmap(page, page_size()));
}

/* A longer argument is not looked at beyond the fields that are known */
HEAP_TEST(tail_of_a_long_argument_is_not_read)
{
	struct dma_heap_allocation_data *data;
	char *page;

	page = mmap(NULL, 2 * page_size(), READ_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, munmap(page + page_size(), page_size()));
	data = (void *)(page + page_size() - sizeof(*data));
	*data = good_arg();
	ASSERT_EQ(0, heap_ioctl(self->fd, command(BOTH_WAYS, DMA_HEAP_IOC_MAGIC,
						  0, 48), data));
	EXPECT_EQ(PAGES(1), buf_size(data->fd));
	EXPECT_EQ(0, close(data->fd));
	EXPECT_EQ(0, munmap(page, page_size()));
}

#define COPY_OUT_FAULTS	512

/*
 * The buffer is complete and a descriptor reserved when the kernel finds that
 * it cannot tell its number: both have to go. 512 MiB, should they not.
 */
HEAP_TEST(unwritable_argument_leaves_nothing)
{
	struct dma_heap_allocation_data *data;
	long before;
	int i, lowest;

	data = mmap(NULL, page_size(), READ_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, data);
	*data = good_arg();
	data->len = MIB(1);
	ASSERT_EQ(0, mprotect(data, page_size(), PROT_READ));

	lowest = dup(self->fd);
	ASSERT_EQ(0, close(lowest));
	before = mem_available_kib();
	for (i = 0; i < COPY_OUT_FAULTS; i++) {
		ASSERT_EQ(-EFAULT, heap_ioctl(self->fd, DMA_HEAP_IOCTL_ALLOC,
					      data));
		ASSERT_EQ(self->open_fds, open_fds());
	}
	EXPECT_EQ(0, data->fd);
	/* A number can be taken without a file */
	EXPECT_EQ(lowest, dup(self->fd));
	EXPECT_EQ(0, close(lowest));
	EXPECT_NEW_BUFFERS(0);
	EXPECT_MEM_BACK(before);
	EXPECT_EQ(0, munmap(data, page_size()));
}

HEAP_TEST(node_is_not_read_written_or_mapped)
{
	char byte = 0;

	EXPECT_EQ(-1, read(self->fd, &byte, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(self->fd, &byte, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, lseek(self->fd, 0, SEEK_END));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, page_size(), PROT_READ, MAP_SHARED,
				   self->fd, 0));
	EXPECT_EQ(ENODEV, errno);
}

/* dma-buf's own commands mean nothing to a heap, and a heap's none to a buffer */
HEAP_TEST(command_of_the_wrong_kind_is_refused)
{
	struct dma_heap_allocation_data data = good_arg();
	int fd;

	fd = heap_alloc(self->fd, PAGES(1));
	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOTTY, heap_ioctl(fd, DMA_HEAP_IOCTL_ALLOC, &data));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(-EBADF, heap_ioctl(fd, DMA_HEAP_IOCTL_ALLOC, &data));
}

static int open_minor(unsigned int major, unsigned int minor, bool *made)
{
	static const char path[] = "/dev/dmabuf-heap-test-node";
	int fd, ret;

	*made = !mknod(path, S_IFCHR | 0600, makedev(major, minor));
	if (!*made)
		return -errno;
	fd = open(path, O_RDWR | O_CLOEXEC);
	ret = fd < 0 ? -errno : fd;
	unlink(path);

	return ret;
}

HEAP_TEST(node_without_a_heap_does_not_open)
{
	struct stat st;
	bool made;
	int ret;

	ASSERT_EQ(0, fstat(self->fd, &st));
	ASSERT_TRUE(S_ISCHR(st.st_mode));

	/* Heaps are numbered from 0 on, so the last is the least likely there */
	ret = open_minor(major(st.st_rdev), HEAP_MINORS - 1, &made);
	if (!made)
		SKIP_UNLESS_NEEDED(return, "mknod",
				   "cannot make a node: %s", strerror(-ret));
	EXPECT_TRUE(ret == -ENXIO || ret == -ENODEV)
		TH_LOG("open gave %d", ret);
	ret = open_minor(major(st.st_rdev), HEAP_MINORS, &made);
	EXPECT_TRUE(ret == -ENXIO || ret == -ENODEV)
		TH_LOG("open gave %d", ret);
}

int main(int argc, char **argv)
{
	heap_tests_init();

	return test_harness_run(argc, argv);
}

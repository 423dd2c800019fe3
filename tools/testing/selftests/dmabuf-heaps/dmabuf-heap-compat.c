// SPDX-License-Identifier: GPL-2.0
/* A 32-bit program on a 64-bit kernel gets what a 64-bit one gets */

#include <assert.h>
#include <sys/ioctl.h>

#include "heap_fixture.h"

static_assert(sizeof(void *) == 4, "this is about 32-bit programs");
static_assert(sizeof(struct dma_heap_allocation_data) == 24,
	      "one layout for 32 and 64 bits");
static_assert(sizeof(struct dma_buf_sync_partial) == 24,
	      "one layout for 32 and 64 bits");

HEAP_TEST(argument_of_any_size_is_taken)
{
	static const size_t arg_sizes[] = { 16, 24, 48 };
	union {
		struct dma_heap_allocation_data data;
		__u64 words[6];
	} arg;
	unsigned int cmd;
	int i, fd;
	void *p;

	for (i = 0; i < ARRAY_SIZE(arg_sizes); i++) {
		memset(&arg, 0xa5, sizeof(arg));
		arg.data = (struct dma_heap_allocation_data) {
			.len = MIB(1) + 1,
			.fd_flags = O_RDWR | O_CLOEXEC,
		};
		cmd = _IOC(_IOC_READ | _IOC_WRITE, DMA_HEAP_IOC_MAGIC, 0,
			   arg_sizes[i]);
		ASSERT_EQ(0, heap_ioctl(self->fd, cmd, &arg))
			TH_LOG("argument of %zu bytes", arg_sizes[i]);
		fd = arg.data.fd;
		EXPECT_EQ(MIB(1) + KIB(4), buf_size(fd));
		p = buf_map(fd, MIB(1) + KIB(4), READ_WRITE);
		ASSERT_TRUE(p != MAP_FAILED);
		EXPECT_EQ(0, buf_sync(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW));
		EXPECT_EQ(-1, find_nonzero(p, MIB(1) + KIB(4)));
		pattern_fill(p, 0, MIB(1) + KIB(4), i);
		EXPECT_EQ(-1, pattern_check(p, 0, MIB(1) + KIB(4), i));
		EXPECT_EQ(0, buf_sync(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW));
		EXPECT_EQ(0, munmap(p, MIB(1) + KIB(4)));
		EXPECT_EQ(0, close(fd));
	}
}

/* The upper half of the length must not be lost on the way */
HEAP_TEST(length_has_64_bits)
{
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, (1ULL << 62) + KIB(4)));
	EXPECT_EQ(-EINVAL, heap_alloc(self->fd, UINT64_MAX));
}

HEAP_TEST(partial_sync_has_64_bits)
{
	int fd;

	fd = heap_alloc(self->fd, MIB(1));
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, buf_sync_partial(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW,
				      MIB(1) - 1, 1));
	EXPECT_EQ(0, buf_sync_partial(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW,
				      MIB(1) - 1, 1));
	/* All 64 bits of either count */
	EXPECT_EQ(-EINVAL, buf_sync_partial(fd, DMA_BUF_SYNC_RW, 1ULL << 32,
					    KIB(4)));
	EXPECT_EQ(-EINVAL, buf_sync_partial(fd, DMA_BUF_SYNC_RW, 0,
					    (1ULL << 32) + KIB(4)));
	EXPECT_EQ(-EINVAL, buf_sync_partial(fd, DMA_BUF_SYNC_RW | 1ULL << 32,
					    0, KIB(4)));
	EXPECT_EQ(-EFAULT, heap_ioctl(fd, DMA_BUF_IOCTL_SYNC_PARTIAL, NULL));
	EXPECT_EQ(0, close(fd));
}

HEAP_TEST(wrong_fields_are_refused)
{
	struct dma_heap_allocation_data data = {
		.len = KIB(4),
		.heap_flags = 1ULL << 63,
	};

	EXPECT_EQ(-EINVAL, heap_ioctl(self->fd, DMA_HEAP_IOCTL_ALLOC, &data));
	EXPECT_EQ(-EINVAL, heap_alloc_flags(self->fd, KIB(4), O_NONBLOCK));
	EXPECT_EQ(-EINVAL, heap_alloc(self->fd, 0));
	EXPECT_EQ(-EFAULT, heap_ioctl(self->fd, DMA_HEAP_IOCTL_ALLOC, NULL));
	EXPECT_EQ(-EINVAL, heap_ioctl(self->fd, DMA_HEAP_IOCTL_ALLOC + 1, &data));
}

int main(int argc, char **argv)
{
	heap_tests_init();

	return test_harness_run(argc, argv);
}

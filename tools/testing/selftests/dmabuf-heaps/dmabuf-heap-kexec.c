// SPDX-License-Identifier: GPL-2.0
/*
 * kexec: one kernel boots the next without a reset, so the next one finds what the last
 * one left in memory.
 *
 * With two arguments, a kernel and an initrd, this fills buffers and boots that kernel
 * while it has them. There, with KEXEC=second in the environment, which the command line
 * has brought, it tests.
 *
 * NEED in the environment names what must not be lacking: kexec.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/reboot.h>
#include <sys/syscall.h>

#include "../kselftest_harness.h"
#include "heap_helpers.h"
#include "heap_regions.h"

#define SECOND		" KEXEC=second"
#define SECRET_SIZE	MIB(1)
#define SEED		59
#define TIMEOUT		120

/* The protector does not come back from a region in which this address is */
#define HANG_AT		"/sys/kernel/debug/dma_heap_test_protector/hang_at"

static struct carveout carveouts[MAX_CARVEOUTS];
static int carveout_count;

/* Has the secure world not come back from it? Then the region has no heap. */
static bool hangs(const struct carveout *carveout)
{
	char text[32];

	return !file_read(HANG_AT, text, sizeof(text)) &&
	       carveout->base == strtoull(text, NULL, 16);
}

/* A buffer of the whole region. A worker of the kernel may still be making the heap. */
static int whole_of(const char *heap, size_t size)
{
	int heap_fd, fd;

	if (!WAIT_FOR(heap_exists(heap)))
		return -ENOENT;
	heap_fd = heap_open(heap, O_RDWR | O_CLOEXEC);
	fd = heap_alloc(heap_fd, size);
	close(heap_fd);

	return fd;
}

/* The first kernel */

/* Fill a buffer that is closed, and one that stays open: some regions have room for one */
static bool leave_secrets(const char *heap, size_t size)
{
	size_t len = size < 4 * SECRET_SIZE ? page_size() : SECRET_SIZE;
	int heap_fd = heap_open(heap, O_RDWR | O_CLOEXEC), held, closed;

	closed = buf_filled(heap_fd, len, SEED);
	close(closed);
	held = buf_filled(heap_fd, len, SEED);
	close(heap_fd);

	return held >= 0 && closed >= 0;
}

/* No CPU can fill it; a shutdown has to end its protection */
static bool use_protected(const char *heap, size_t size)
{
	int fd = whole_of(heap, size);

	close(fd);

	return fd >= 0;
}

static bool leave_all(void)
{
	int i;

	for (i = 0; i < carveout_count; i++) {
		const struct carveout *carveout = &carveouts[i];

		if (hangs(carveout))
			continue;
		if (!(carveout->protected ?
		      use_protected(carveout->heap, carveout->size) :
		      leave_secrets(carveout->heap, carveout->size))) {
			ksft_print_msg("no buffers of %s\n", carveout->heap);
			return false;
		}
	}

	return leave_secrets("sram", heap_attr("sram", "area/size_bytes"));
}

static bool copy(const char *from_path, const char *to_path)
{
	int from = open(from_path, O_RDONLY | O_CLOEXEC);
	int to = open(to_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	static char buf[65536];
	ssize_t n;

	do {
		n = read(from, buf, sizeof(buf));
	} while (n > 0 && write(to, buf, n) == n);
	close(from);
	close(to);

	return !n;
}

/* The kernel reads what it is to boot from regular files only, which nobody may write */
static int copy_of(const char *path, const char *name)
{
	return copy(path, name) ? open(name, O_RDONLY | O_CLOEXEC) : -1;
}

/* Returns only if it fails */
static int boot(const char *kernel, const char *initrd)
{
	char command_line[4096];
	int kernel_fd = copy_of(kernel, "/tmp/kernel");
	int initrd_fd = copy_of(initrd, "/tmp/initrd");

	if (file_read("/proc/cmdline", command_line, sizeof(command_line) - sizeof(SECOND)))
		return -EIO;
	command_line[strcspn(command_line, "\n")] = '\0';
	strcat(command_line, SECOND);
	if (syscall(SYS_kexec_file_load, kernel_fd, initrd_fd,
		    strlen(command_line) + 1, command_line, 0))
		return -errno;
	syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
		LINUX_REBOOT_CMD_KEXEC, NULL);

	return -errno;
}

/* The second kernel */

FIXTURE(next)
{
};

FIXTURE_SETUP(next)
{
}

FIXTURE_TEARDOWN(next)
{
}

#define NEXT_TEST(name)	TEST_F_TIMEOUT(next, name, TIMEOUT)

NEXT_TEST(no_region_hands_out_what_the_last_kernel_left)
{
	size_t sram_size = heap_attr("sram", "area/size_bytes");
	int fd, i;

	for (i = 0; i < carveout_count; i++) {
		const struct carveout *carveout = &carveouts[i];

		if (carveout->protected)
			continue;
		fd = whole_of(carveout->heap, carveout->size);
		EXPECT_EQ(-1, buf_find_nonzero(fd, carveout->size))
			TH_LOG("in %s", carveout->heap);
		EXPECT_EQ(0, close(fd));
	}
	fd = whole_of("sram", sram_size);
	EXPECT_EQ(-1, buf_find_nonzero(fd, sram_size));
	EXPECT_EQ(0, close(fd));
}

NEXT_TEST(protected_regions_can_be_protected_again)
{
	int fd, i;

	for (i = 0; i < carveout_count; i++) {
		if (!carveouts[i].protected || hangs(&carveouts[i]))
			continue;
		fd = whole_of(carveouts[i].heap, carveouts[i].size);
		EXPECT_LE(0, fd)
			TH_LOG("%s", carveouts[i].heap);
		EXPECT_EQ(0, close(fd));
	}
	EXPECT_EQ(0, kmsg_errors("", "are lost"));
}

/* Both kernels have come here, and the first one has gone down, while it hung */
NEXT_TEST(region_whose_protection_hangs_holds_up_nothing_else)
{
	int i, hanging = 0;

	for (i = 0; i < carveout_count; i++) {
		if (hangs(&carveouts[i])) {
			EXPECT_FALSE(heap_exists(carveouts[i].heap));
			hanging++;
		} else {
			EXPECT_TRUE(WAIT_FOR(heap_exists(carveouts[i].heap)))
				TH_LOG("%s", carveouts[i].heap);
		}
	}
	EXPECT_EQ(1, hanging);
	ASSERT_EQ(0, file_write(HANG_AT, "0"));
	for (i = 0; i < carveout_count; i++)
		EXPECT_TRUE(WAIT_FOR(heap_exists(carveouts[i].heap)))
			TH_LOG("%s", carveouts[i].heap);
}

int main(int argc, char **argv)
{
	const char *second = getenv("KEXEC");
	int ret;

	carveout_count = carveouts_find(carveouts, MAX_CARVEOUTS);
	if (second)
		return test_harness_run(1, argv);
	if (argc != 3)
		skip_all("kexec", "no kernel to boot");
	if (!carveout_count || !leave_all())
		skip_all("kexec", "no carveout, or no memory of it");
	ret = boot(argv[1], argv[2]);
	ksft_print_msg("%s: %s\n", argv[1], strerror(-ret));
	skip_all("kexec", "no kexec");
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Hibernation: an image is written to a disk, read again, and the machine goes on from
 * there (test_resume). Memory that the kernel has not mapped is not in the image: so
 * nobody may have any of it, and all of it is scrubbed anew afterwards.
 *
 * NEED in the environment names what must not be lacking: hibernation, carveout,
 * protector, sram.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/swap.h>
#include <linux/fs.h>

#include "../kselftest_harness.h"
#include "heap_helpers.h"
#include "heap_left.h"
#include "heap_regions.h"

#define DISK		"/dev/vda"
#define POWER		"/sys/power/"
#define TIMEOUT		300
#define SEED		41

/* Of a swap area, see union swap_header of the kernel */
#define SWAP_VERSION_AT	1024
#define SWAP_MAGIC	"SWAPSPACE2"

static struct carveout carveouts[MAX_CARVEOUTS];
static int carveout_count;

/* Writes the header of a swap area, as mkswap does */
static int make_swap(const char *disk)
{
	int fd = open(disk, O_RDWR | O_CLOEXEC), ret = -EIO;
	size_t magic_at = page_size() - strlen(SWAP_MAGIC);
	char header[65536] = "";
	__u32 *info = (void *)header + SWAP_VERSION_AT;
	unsigned long long size;

	if (fd < 0)
		return -errno;
	if (!ioctl(fd, BLKGETSIZE64, &size)) {
		info[0] = 1;
		info[1] = size / page_size() - 1;
		memcpy(header + magic_at, SWAP_MAGIC, strlen(SWAP_MAGIC));
		if (pwrite(fd, header, page_size(), 0) == page_size() && !fsync(fd))
			ret = 0;
	}
	close(fd);

	return ret;
}

FIXTURE(hibernation)
{
	int open_fds;
};

FIXTURE_SETUP(hibernation)
{
	char modes[128];

	if (file_read(POWER "disk", modes, sizeof(modes)) ||
	    !strstr(modes, "test_resume") || make_swap(DISK) || swapon(DISK, 0))
		SKIP_UNLESS_NEEDED(return, "hibernation", "cannot hibernate to " DISK);
	ASSERT_EQ(0, file_write(POWER "disk", "test_resume"));
	self->open_fds = open_fds();
}

FIXTURE_TEARDOWN(hibernation)
{
	EXPECT_EQ(self->open_fds, open_fds());
	EXPECT_EQ(0, swapoff(DISK));
}

#define HIBERNATION_TEST(name)	TEST_F_TIMEOUT(hibernation, name, TIMEOUT)

static int hibernate(void)
{
	return file_write(POWER "state", "disk");
}

/* The region is whole, in the pool and outside */
static bool is_whole(const struct carveout *carveout)
{
	long long pool = heap_attr(carveout->heap, "pool/zeroed_bytes");

	return pool + carveout_get(carveout->heap, "free_bytes") == carveout->size;
}

/* A buffer of @heap and no more: hibernation fails, and nobody has lost anything */
static void refuse(struct __test_metadata *_metadata, const char *heap)
{
	int heap_fd = heap_open(heap, O_RDWR | O_CLOEXEC), fd, before, i;
	struct heap_left left = heap_left(heap);

	fd = heap_alloc(heap_fd, KIB(64));
	ASSERT_LE(0, fd);
	before = kmsg_errors("", "no hibernation: memory in use");
	EXPECT_EQ(-EBUSY, hibernate())
		TH_LOG("with a buffer of %s", heap);
	EXPECT_EQ(before + 1, kmsg_errors("", "no hibernation: memory in use"));
	EXPECT_EQ(0, close(fd));
	for (i = 0; i < carveout_count; i++)
		EXPECT_TRUE(!heap_exists(carveouts[i].heap) ||
			    WAIT_FOR(is_whole(&carveouts[i])))
			TH_LOG("%s after %s was refused", carveouts[i].heap, heap);
	EXPECT_NOTHING_LEFT(left, heap);
	EXPECT_EQ(0, close(heap_fd));
}

HIBERNATION_TEST(buffer_that_would_not_be_saved_forbids_it)
{
	int i, refused = 0, protected = 0;

	for (i = 0; i < carveout_count; i++) {
		if (!carveouts[i].unmapped || !heap_exists(carveouts[i].heap))
			continue;
		refuse(_metadata, carveouts[i].heap);
		refused++;
		protected += carveouts[i].protected;
	}
	if (heap_exists("sram"))
		refuse(_metadata, "sram");
	else
		SKIP_UNLESS_NEEDED(return, "sram", "no heap sram");
	if (!refused)
		SKIP_UNLESS_NEEDED(return, "carveout", "no region without a mapping");
	if (!protected)
		SKIP_UNLESS_NEEDED(return, "protector", "no protected heap");
}

/* With buffers that are in the image */
HIBERNATION_TEST(saved_buffers_survive_and_all_else_is_scrubbed)
{
	static const char *const saved[] = { "system", "cached", "uncached" };
	const size_t len = MIB(1) + KIB(68);
	long long scrubbed[MAX_CARVEOUTS];
	int fds[ARRAY_SIZE(saved)], heap_fd, fd, i;
	char *p[ARRAY_SIZE(saved)];

	for (i = 0; i < ARRAY_SIZE(saved); i++) {
		heap_fd = heap_open(saved[i], O_RDWR | O_CLOEXEC);
		if (heap_fd < 0)
			SKIP_UNLESS_NEEDED(return, "carveout", "no heap %s", saved[i]);
		fds[i] = heap_alloc(heap_fd, len);
		close(heap_fd);
		p[i] = buf_map(fds[i], len, READ_WRITE);
		ASSERT_NE(MAP_FAILED, p[i]);
		pattern_fill(p[i], 0, len, SEED + i);
	}
	for (i = 0; i < carveout_count; i++)
		scrubbed[i] = heap_attr(carveouts[i].heap, "pool/scrubbed_bytes");

	ASSERT_EQ(0, hibernate());

	for (i = 0; i < ARRAY_SIZE(saved); i++) {
		EXPECT_EQ(-1, pattern_check(p[i], 0, len, SEED + i))
			TH_LOG("%s", saved[i]);
		EXPECT_EQ(0, munmap(p[i], len));
		EXPECT_EQ(0, close(fds[i]));
	}
	for (i = 0; i < carveout_count; i++) {
		const struct carveout *carveout = &carveouts[i];

		if (!carveout->unmapped || !heap_exists(carveout->heap))
			continue;
		EXPECT_TRUE(WAIT_FOR(is_whole(carveout)));
		EXPECT_EQ(scrubbed[i] + (long long)carveout->size,
			  heap_attr(carveout->heap, "pool/scrubbed_bytes"))
			TH_LOG("%s", carveout->heap);
		heap_fd = heap_open(carveout->heap, O_RDWR | O_CLOEXEC);
		fd = heap_alloc(heap_fd, carveout->size);
		EXPECT_LE(0, fd);
		if (!carveout->protected)
			EXPECT_EQ(-1, buf_find_nonzero(fd, carveout->size));
		close(fd);
		close(heap_fd);
	}
	EXPECT_EQ(heap_attr("sram", "area/size_bytes"),
		  heap_attr("sram", "area/free_bytes"));
}

int main(int argc, char **argv)
{
	carveout_count = carveouts_find(carveouts, MAX_CARVEOUTS);
	if (!carveout_count)
		skip_all("carveout", "no carveout in the device tree");

	return test_harness_run(argc, argv);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The heap on on-chip memory that is called "sram": that devices and the CPU see the
 * same bytes in it although it has no struct pages, that nobody sees what another left,
 * what happens when it is full, and what is said of partitions with mistakes.
 *
 * NEED in the environment names what must not be lacking: sram, importer, mover, faults,
 * vgem.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "../kselftest_harness.h"
#include "heap_faults.h"
#include "heap_helpers.h"
#include "heap_left.h"
#include "heap_list.h"

#define HEAP		"sram"
#define TIMEOUT		400
#define SEED		31
/* Of the partition, see guest/dt/sram.dtso */
#define SIZE		MIB(32)
#define BUF_LEN		KIB(256)
#define PIECES		(SIZE / MIB(1))
/* As much as a device moves at a time */
#define PLACE_LEN	2048
/* More allocations than a call makes */
#define MAX_NTH		100

#define NODE		"/proc/device-tree/sram@bfe00000"

static long long sram_area(const char *attribute)
{
	char path[64];

	snprintf(path, sizeof(path), "area/%s", attribute);

	return heap_attr(HEAP, path);
}

/* All of it is free, before and after */
FIXTURE(sram)
{
	int fd;
	int importer;
	struct heap_left left;
};

FIXTURE_SETUP(sram)
{
	self->fd = heap_open(HEAP, O_RDWR | O_CLOEXEC);
	if (self->fd < 0)
		SKIP_UNLESS_NEEDED(return, "sram", "no heap " HEAP);
	self->importer = importer_open();
	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	ASSERT_EQ(SIZE, sram_area("free_bytes"));
	self->left = heap_left(HEAP);
}

FIXTURE_TEARDOWN(sram)
{
	EXPECT_NOTHING_LEFT(self->left, HEAP);
	EXPECT_EQ(SIZE, sram_area("free_bytes"));
	EXPECT_EQ(SIZE, sram_area("largest_free_bytes"));
	close(self->importer);
	close(self->fd);
}

#define SRAM_TEST(name)	TEST_F_TIMEOUT(sram, name, TIMEOUT)

/* The first test: guest memory is dirty there when the machine starts */
SRAM_TEST(what_was_there_at_boot_is_gone)
{
	int fd = heap_alloc(self->fd, SIZE);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, buf_find_nonzero(fd, SIZE));
	EXPECT_EQ(0, close(fd));
}

SRAM_TEST(attributes_are_those_of_the_partition)
{
	EXPECT_EQ(0, heap_attr(HEAP, "cached"));
	EXPECT_EQ(0, heap_attr(HEAP, "protected"));
	EXPECT_EQ(1, heap_attr(HEAP, "contiguous"));
	EXPECT_EQ(page_size(), heap_attr(HEAP, "alignment"));
	EXPECT_EQ(32, heap_attr(HEAP, "dma_bits"));
	EXPECT_EQ(SIZE, heap_attr(HEAP, "buffer_limit_bytes"));
	EXPECT_EQ(SIZE, sram_area("size_bytes"));
	EXPECT_EQ(1, kmsg_lines(KMSG_INFO, "dma_heap " HEAP ":",
				"reserved contiguous uncached memory"));
}

/* Each device reads what the CPU wrote at both ends, and the CPU what the device wrote */
static void move_bytes(struct __test_metadata *_metadata, int importer, int fd,
		       int device)
{
	static const size_t places[] = { 0, BUF_LEN - PLACE_LEN };
	char *p = buf_map(fd, BUF_LEN, READ_WRITE);
	int i;

	ASSERT_NE(MAP_FAILED, p);
	pattern_fill(p, 0, BUF_LEN, SEED);
	ASSERT_EQ(0, importer_map_peer(importer, fd, device,
				       DEVICE_READS_AND_WRITES));
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		EXPECT_EQ(-1, importer_reads(importer, places[i], PLACE_LEN, SEED));
		EXPECT_EQ(0, importer_do(importer, "dwrite %zu %d %u", places[i],
					 PLACE_LEN, SEED + 1));
		EXPECT_EQ(-1, pattern_check(p + places[i], places[i], PLACE_LEN,
					    SEED + 1));
	}
	EXPECT_EQ(-1, pattern_check(p + PLACE_LEN, PLACE_LEN,
				    BUF_LEN - 2 * PLACE_LEN, SEED));
	EXPECT_EQ(0, importer_unmap(importer));
	EXPECT_EQ(0, munmap(p, BUF_LEN));
}

SRAM_TEST(devices_and_the_cpu_see_the_same_bytes)
{
	static const int devices[] = {
		IMPORTER_64, IMPORTER_32, IMPORTER_COHERENT, IMPORTER_MOVER,
		IMPORTER_MOVER_2,
	};
	int i, other, fd, moved = 0;

	/* Not at the beginning of the partition */
	other = heap_alloc(self->fd, KIB(4));
	fd = heap_alloc(self->fd, BUF_LEN);
	ASSERT_LE(0, other);
	ASSERT_LE(0, fd);
	for (i = 0; i < ARRAY_SIZE(devices); i++) {
		if (importer_map_peer(self->importer, fd, devices[i],
				      DEVICE_READS) == -ENODEV)
			continue;
		EXPECT_EQ(0, importer_bounces(self->importer));
		EXPECT_EQ(0, importer_unmap(self->importer));
		move_bytes(_metadata, self->importer, fd, devices[i]);
		moved += devices[i] >= IMPORTER_MOVER &&
			 devices[i] <= IMPORTER_MOVER_2;
	}
	EXPECT_EQ(-1, buf_find_nonzero(other, KIB(4)));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(other));
	if (!moved)
		SKIP_UNLESS_NEEDED(return, "mover", "no device that moves bytes");
}

/* There is none that it could look at */
SRAM_TEST(importer_that_may_need_pages_is_refused)
{
	int fd = heap_alloc(self->fd, BUF_LEN), vgem = vgem_open();
	__u32 handle;

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EOPNOTSUPP, importer_map(self->importer, fd, IMPORTER_64,
					    DEVICE_READS));
	if (vgem >= 0) {
		EXPECT_EQ(-EOPNOTSUPP, vgem_import(vgem, fd, &handle));
		close(vgem);
	}
	EXPECT_EQ(0, close(fd));
	if (vgem < 0)
		SKIP_UNLESS_NEEDED(return, "vgem", "no vgem");
}

SRAM_TEST(device_that_does_not_reach_it_gets_no_address)
{
	int fd = heap_alloc(self->fd, BUF_LEN);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EIO, importer_map_peer(self->importer, fd, IMPORTER_31,
					  DEVICE_READS));
	EXPECT_EQ(0, close(fd));
}

SRAM_TEST(kernel_mapping_shows_the_bytes_of_the_buffer)
{
	/* Not at the beginning of the partition */
	int other = heap_alloc(self->fd, KIB(4)), fd = heap_alloc(self->fd, BUF_LEN);
	char *p = buf_map(fd, BUF_LEN, READ_WRITE);
	char answer[32];

	ASSERT_LE(0, other);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, importer_do(self->importer, "fill %d %d", fd, SEED));
	EXPECT_EQ(-1, pattern_check(p, 0, BUF_LEN, SEED));
	p[BUF_LEN - 8] ^= 1;
	EXPECT_EQ(0, importer_ask(self->importer, "check", fd, SEED, answer,
				  sizeof(answer)));
	EXPECT_EQ(BUF_LEN - 8, strtoll(answer + strlen("offset "), NULL, 10));
	EXPECT_EQ(0, munmap(p, BUF_LEN));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(other));
}

SRAM_TEST(maps_are_write_combined_and_shared)
{
	int fd = heap_alloc(self->fd, BUF_LEN), i;
	struct user_page page;
	char *p, *part;

	ASSERT_LE(0, fd);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, BUF_LEN, READ_WRITE, MAP_PRIVATE, fd, 0));
	EXPECT_EQ(EINVAL, errno);
	p = buf_map(fd, BUF_LEN, READ_WRITE);
	ASSERT_NE(MAP_FAILED, p);
	pattern_fill(p, 0, BUF_LEN, SEED);
	for (i = 0; i < BUF_LEN / page_size(); i++) {
		ASSERT_EQ(0, importer_user_page(self->importer, p + i * page_size(),
						&page));
		EXPECT_EQ(1, page.writecombined);
	}
	part = mmap(NULL, KIB(8), PROT_READ, MAP_SHARED, fd, BUF_LEN - KIB(8));
	ASSERT_NE(MAP_FAILED, part);
	EXPECT_EQ(-1, pattern_check(part, BUF_LEN - KIB(8), KIB(8), SEED));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, KIB(8), PROT_READ, MAP_SHARED, fd,
				   BUF_LEN - KIB(4)));
	EXPECT_EQ(0, munmap(part, KIB(8)));
	EXPECT_EQ(0, munmap(p, BUF_LEN));
	EXPECT_EQ(0, close(fd));
}

SRAM_TEST(descriptor_to_read_gives_no_map_to_write)
{
	int fd = heap_alloc_flags(self->fd, BUF_LEN, O_RDONLY | O_CLOEXEC);
	char *p;

	ASSERT_LE(0, fd);
	EXPECT_EQ(MAP_FAILED, buf_map(fd, BUF_LEN, READ_WRITE));
	EXPECT_EQ(EACCES, errno);
	p = buf_map(fd, BUF_LEN, PROT_READ);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, touch(p, false));
	EXPECT_EQ(-1, mprotect(p, BUF_LEN, READ_WRITE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(0, munmap(p, BUF_LEN));
	EXPECT_EQ(0, close(fd));
}

SRAM_TEST(list_tells_how_a_buffer_is_used)
{
	int fd = heap_alloc(self->fd, BUF_LEN);
	struct listed listed;
	char *p;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, list_find(fd, &listed));
	EXPECT_STREQ("-", listed.cpu);
	EXPECT_STREQ("u", listed.cache);
	EXPECT_EQ(0, listed.importers);
	p = buf_map(fd, BUF_LEN, READ_WRITE);
	ASSERT_NE(MAP_FAILED, p);
	/* Half of it twice: a map that is split is two */
	EXPECT_EQ(0, munmap(p + BUF_LEN / 2, page_size()));
	ASSERT_EQ(0, importer_map_peer(self->importer, fd, IMPORTER_64,
				       DEVICE_READS));
	ASSERT_EQ(0, importer_do(self->importer, "hold"));
	ASSERT_EQ(0, list_find(fd, &listed));
	EXPECT_STREQ("mv", listed.cpu);
	EXPECT_EQ(1, listed.importers);
	EXPECT_EQ(0, importer_unmap(self->importer));
	EXPECT_EQ(0, munmap(p, BUF_LEN));
	ASSERT_EQ(0, list_find(fd, &listed));
	EXPECT_STREQ("-", listed.cpu);
	EXPECT_EQ(0, listed.importers);
	EXPECT_EQ(0, close(fd));
}

SRAM_TEST(next_buffer_has_nothing_of_the_last)
{
	int other = buf_filled(self->fd, KIB(4), SEED), fd;
	char *p = buf_map(other, KIB(4), PROT_READ);

	ASSERT_NE(MAP_FAILED, p);
	fd = buf_filled(self->fd, SIZE - KIB(4), SEED);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(-1, pattern_check(p, 0, KIB(4), SEED));
	EXPECT_EQ(0, munmap(p, KIB(4)));
	EXPECT_EQ(0, close(other));
	fd = heap_alloc(self->fd, SIZE);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, buf_find_nonzero(fd, SIZE));
	EXPECT_EQ(0, close(fd));
}

SRAM_TEST(full_and_fragmented_it_says_what_is_free)
{
	long long nomem = heap_attr(HEAP, "failures/nomem");
	long long too_large = heap_attr(HEAP, "failures/too_large");
	char last[64];
	int fds[PIECES], i;

	for (i = 0; i < PIECES; i++) {
		fds[i] = heap_alloc(self->fd, MIB(1));
		ASSERT_LE(0, fds[i]);
	}
	EXPECT_EQ(0, sram_area("free_bytes"));
	EXPECT_EQ(0, sram_area("largest_free_bytes"));
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, KIB(4)));
	EXPECT_EQ(0, heap_attr_read(HEAP, "failures/last", last, sizeof(last)));
	EXPECT_STREQ("nomem 4096", last);

	for (i = 0; i < PIECES; i += 2)
		EXPECT_EQ(0, close(fds[i]));
	EXPECT_EQ(0, close(fds[1]));
	EXPECT_EQ(SIZE / 2 + MIB(1), sram_area("free_bytes"));
	EXPECT_EQ(MIB(3), sram_area("largest_free_bytes"));
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, MIB(3) + KIB(4)));
	fds[0] = heap_alloc(self->fd, MIB(3));
	EXPECT_LE(0, fds[0]);
	EXPECT_EQ(0, close(fds[0]));
	for (i = 3; i < PIECES; i += 2)
		EXPECT_EQ(0, close(fds[i]));
	EXPECT_EQ(nomem + 2, heap_attr(HEAP, "failures/nomem"));

	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, SIZE + KIB(4)));
	EXPECT_EQ(too_large + 1, heap_attr(HEAP, "failures/too_large"));
}

/* In the middle of it */
SRAM_TEST(killed_client_leaves_nothing)
{
	char *p;
	pid_t child;
	int fd, ready[2];

	ASSERT_EQ(0, pipe(ready));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		fd = heap_alloc(self->fd, SIZE);
		p = buf_map(fd, SIZE, READ_WRITE);
		if (importer_map_peer(self->importer, fd, IMPORTER_64,
				      DEVICE_READS) ||
		    p == MAP_FAILED || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pattern_fill(p, 0, SIZE, SEED);
	}
	close(ready[1]);
	EXPECT_EQ(1, read(ready[0], &(char){ 0 }, 1));
	EXPECT_EQ(0, sram_area("free_bytes"));
	EXPECT_EQ(-SIGKILL, child_kill(child));
	close(ready[0]);
	/* The importer is open here, too, and holds the buffer */
	EXPECT_EQ(0, importer_unmap(self->importer));
	EXPECT_TRUE(WAIT_FOR(sram_area("free_bytes") == SIZE));
	fd = heap_alloc(self->fd, SIZE);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-1, buf_find_nonzero(fd, SIZE));
	EXPECT_EQ(0, close(fd));
}

SRAM_TEST(failing_allocation_in_the_kernel_leaves_nothing)
{
	int nth, fd, ret, fail_nth, failed = 0;
	bool more = true;

	fail_nth = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	if (fail_nth < 0 || fault_knobs_set())
		SKIP_UNLESS_NEEDED(return, "faults", "no fault injection");
	for (nth = 1; more; nth++) {
		ASSERT_GT(MAX_NTH, nth);
		fault_inject(fail_nth, nth);
		fd = heap_alloc(self->fd, BUF_LEN);
		more = fault_injected(fail_nth);
		failed += fd < 0;
		EXPECT_EQ(fd < 0 ? -ENOMEM : fd, fd);
		if (fd >= 0)
			close(fd);
		ASSERT_EQ(SIZE, sram_area("free_bytes"));
	}
	EXPECT_LT(2, failed);

	fd = heap_alloc(self->fd, BUF_LEN);
	ASSERT_LE(0, fd);
	failed = 0;
	for (nth = 1, more = true; more; nth++) {
		ASSERT_GT(MAX_NTH, nth);
		fault_inject(fail_nth, nth);
		ret = importer_do(self->importer, "peer %d %d", fd, IMPORTER_64);
		more = fault_injected(fail_nth);
		failed += ret < 0;
		EXPECT_EQ(ret < 0 ? -ENOMEM : 0, ret);
		if (!ret)
			EXPECT_EQ(0, importer_do(self->importer, "drop"));
	}
	EXPECT_LT(1, failed);
	fault_knobs_restore();
	EXPECT_EQ(0, close(fd));
	close(fail_nth);
}

/* Partitions, and what the kernel says of them: the name is the label, if there is one */
static const struct {
	const char *name;
	const char *message;
} bad[] = {
	{ "bad-pages-sram@3000000", "0xc2e00000-0xc2e017ff]: must be whole pages" },
	{ "bad-start-sram@3002800", "0xc2e02800-0xc2e037ff]: must be whole pages" },
	{ "bad-zero-sram@0", "0x00000000-0x00000fff]: must be whole pages" },
	{ "bad-ram-sram@50000000", "0x50000000-0x50000fff]: must not be System RAM" },
	{ "bad-wc-sram@0", "0xc3ff0000-0xc3ff0fff]: must not have no-memory-wc" },
	{ "bad-pool-sram@3010000", "sram bfe00000.sram: no DMA-BUF heap of" },
	{ "bad/label [mem", "0xc2e20000-0xc2e20fff]: cannot make a heap" },
};

TEST(partitions_with_mistakes_have_no_heap)
{
	int i, fd;

	if (access(NODE, F_OK))
		SKIP_UNLESS_NEEDED(return, "sram", "no on-chip memory");
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(1, kmsg_errors(bad[i].name, bad[i].message))
			TH_LOG("what was said of %s", bad[i].name);
		EXPECT_EQ(-ENOENT, heap_open(bad[i].name, O_RDONLY));
	}
	EXPECT_EQ(-ENOENT, heap_open("reserved-sram@3030000", O_RDONLY));
	fd = heap_open("small-sram@3040000", O_RDWR | O_CLOEXEC);
	EXPECT_LE(0, fd);
	EXPECT_EQ(KIB(16), heap_attr("small-sram@3040000", "area/size_bytes"));
	EXPECT_EQ(0, close(fd));
}

int main(int argc, char **argv)
{
	if (access("/sys/class/dma_heap/" HEAP, F_OK) && access(NODE, F_OK)) {
		ksft_print_header();
		if (is_needed("sram"))
			ksft_exit_fail_msg("no heap " HEAP "\n");
		ksft_exit_skip("no on-chip memory\n");
	}

	return test_harness_run(argc, argv);
}

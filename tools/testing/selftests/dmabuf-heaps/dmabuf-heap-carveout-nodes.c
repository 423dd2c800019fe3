// SPDX-License-Identifier: GPL-2.0
/*
 * Nodes of carveouts in the device tree: that each has its heap, and what the
 * kernel does with those that have mistakes, and says of them.
 *
 * NEED in the environment names what must not be lacking: carveout, marker (a region
 * with dirt from before the kernel), bad (nodes with mistakes), border (one where
 * high memory begins).
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../kselftest_harness.h"
#include "heap_device.h"
#include "heap_helpers.h"
#include "heap_regions.h"

static struct carveout carveouts[MAX_CARVEOUTS];
static int carveout_count;

TEST(every_node_has_a_heap)
{
	int i, unchained = 0;

	for (i = 0; i < carveout_count; i++) {
		int fd = heap_open(carveouts[i].heap, O_RDWR | O_CLOEXEC);

		EXPECT_LE(0, fd)
			TH_LOG("no heap %s for %s", carveouts[i].heap,
			       carveouts[i].node);
		close(fd);
		unchained += !carveouts[i].has_fallback;
	}
	/* Nodes with a fallback and without */
	if (is_needed("carveout")) {
		EXPECT_LT(0, unchained);
		EXPECT_LT(unchained, carveout_count);
	}
}

TEST(kernel_says_once_what_each_heap_is)
{
	char device[2 * HEAP_NAME_SIZE];
	int i;

	for (i = 0; i < carveout_count; i++) {
		snprintf(device, sizeof(device), "dma_heap %s:",
			 carveouts[i].heap);
		EXPECT_EQ(1, kmsg_lines(KMSG_INFO, device,
					carveouts[i].protected ?
					"reserved contiguous protected memory" :
					carveouts[i].uncached ?
					"reserved contiguous uncached memory" :
					"reserved contiguous cached memory"))
			TH_LOG("%s", device);
	}
}

/* Was there anything before the kernel that could have been seen? */
TEST(memory_was_dirty_at_boot)
{
	unsigned char byte;
	int fd;

	if (!node_exists("marker@be400000"))
		SKIP_UNLESS_NEEDED(return, "marker",
				   "no marker in this machine");
	fd = open("/sys/bus/nvmem/devices/rmem0/nvmem", O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(1, pread(fd, &byte, 1, 0));
	EXPECT_EQ(0xa5, byte);
	EXPECT_EQ(0, close(fd));
}

/* Nodes with mistakes, the heaps they would have, and what must be said of them */
static const struct {
	const char *node;
	const char *heap;
	const char *message;
} bad[] = {
	{ "bad-overlap-low@bc000000", "bad-overlap-low@bc000000",
	  "overlaps that of /reserved-memory/bad-overlap-high" },
	{ "bad-overlap-high@bc100000", "bad-overlap-high@bc100000",
	  "overlaps that of /reserved-memory/bad-overlap-low" },
	{ "bad-overlap-other@bc400000", "bad-overlap-other@bc400000",
	  "overlaps that of /reserved-memory/other@bc500000" },
	{ "bad-empty@bc800000", "bad-empty@bc800000",
	  "no memory is reserved" },
	{ "bad-pages@bc900000", "bad-pages@bc900000",
	  "the region is not made of whole pages" },
	{ "bad-nomap@bca00000", "bad-nomap@bca00000",
	  "no-map: needs heap-uncached or heap-protected" },
	{ "bad-alignment-odd@bcc00000", "bad-alignment-odd@bcc00000",
	  "heap-alignment 0x3000: must be a power of two" },
	{ "bad-alignment-small@bcd00000", "bad-alignment-small@bcd00000",
	  "heap-alignment 0x800: must be a power of two" },
	{ "bad-alignment-large@bce00000", "bad-alignment-large@bce00000",
	  "heap-alignment 0x200000: must be a power of two" },
	{ "bad-alignment-zero@bcf00000", "bad-alignment-zero@bcf00000",
	  "heap-alignment 0x0: must be a power of two" },
	{ "bad-alignment-empty@bd400000", "bad-alignment-empty@bd400000",
	  "heap-alignment: must be a number of 32 bits" },
	{ "bad-protected@bd000000", "bad-protected@bd000000",
	  "heap-fallback: not for" },
	{ "bad-protected-mapped@bd100000", "bad-protected-mapped@bd100000",
	  "heap-protected: needs no-map" },
	{ "bad-border@bfd00000", "bad-border@bfd00000",
	  "the page at 0x00000000bfe00000 is not System RAM" },
	{ "bad-beyond@bff00000", "bad-beyond@bff00000",
	  "the page at 0x00000000bff00000 is not System RAM" },
	{ "bad-taken@48000000", "bad-taken@48000000",
	  "the page at 0x0000000048000000 is System RAM in spite of no-map" },
	{ "bad-name-empty@bd700000", NULL, "cannot make heap" },
	{ "bad-name-long@bd800000",
	  "a-name-of-sixty-four-characters-which-is-one-more-than-there-may",
	  "cannot make heap" },
	{ "bad-name-slash@bd900000", "bad/name", "cannot make heap" },
	{ "bad-name-number@bdc00000", "bad-name-number@bdc00000",
	  "heap-name: must be a string" },
	{ "bad-fallback-number@bdf00000", "bad-fallback-number@bdf00000",
	  "heap-fallback: must be a string" },
	{ "bad-place@2000000000", "bad-place@2000000000",
	  "the page at 0x0000002000000000 is not reserved memory" },
};

#define NAME_RULE	"a heap needs a name of 1 to 63 characters without '/'"

TEST(nodes_with_mistakes_have_no_heap)
{
	char device[HEAP_NAME_SIZE];
	int i;

	if (!node_exists(bad[0].node))
		SKIP_UNLESS_NEEDED(return, "bad", "no node with a mistake");
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		ASSERT_TRUE(node_exists(bad[i].node))
			TH_LOG("%s", bad[i].node);
		if (bad[i].heap) {
			EXPECT_EQ(-ENOENT, heap_open(bad[i].heap, O_RDONLY))
				TH_LOG("%s", bad[i].node);
		}
		node_device(device, sizeof(device), bad[i].node);
		/* A protected one is tried again when somebody can protect it */
		EXPECT_LE(1, kmsg_errors(device, bad[i].message))
			TH_LOG("what was said of %s", device);
	}
	/* The empty one, the long one and the one with a slash */
	EXPECT_LE(3, kmsg_errors("dma_heap: ", NAME_RULE));
}

TEST(good_nodes_beside_bad_ones_have_heaps)
{
	int fd, said;

	if (!node_exists(bad[0].node))
		SKIP_UNLESS_NEEDED(return, "bad", "no node with a mistake");
	fd = heap_open("good@bdb00000", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, kmsg_errors("good", ""));

	/* One of two with the same name */
	fd = heap_open("twin", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
	said = kmsg_errors("bd500000.twin-first", "cannot make heap twin");
	said += kmsg_errors("bd600000.twin-second", "cannot make heap twin");
	EXPECT_EQ(1, said);

	/* Not a mistake, and not a heap */
	ASSERT_TRUE(node_exists("disabled@bda00000"));
	EXPECT_EQ(-ENOENT, heap_open("disabled@bda00000", O_RDONLY));
	EXPECT_EQ(0, kmsg_errors("disabled", ""));
}

/* Regions of two buffers each, and how many there are in all they fall back on */
static const struct {
	const char *heap;
	int buffers;
} rings[] = {
	{ "ring-self@bd200000", 2 },
	{ "ring-of-other-access@bd300000", 2 },
	{ "ring-here@bdd00000", 4 },
	{ "ring-there@bde00000", 4 },
};

#define MAX_RING	16

TEST(ring_of_fallbacks_ends_without_memory)
{
	int fd, fds[MAX_RING], i, count;

	if (!node_exists("ring-here@bdd00000"))
		SKIP_UNLESS_NEEDED(return, "bad", "no node with a mistake");
	for (i = 0; i < ARRAY_SIZE(rings); i++) {
		fd = heap_open(rings[i].heap, O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, fd);
		count = 0;
		while (count < MAX_RING &&
		       (fds[count] = heap_alloc(fd, KIB(512))) >= 0)
			count++;
		ASSERT_LT(count, MAX_RING);
		EXPECT_EQ(-ENOMEM, fds[count]);
		EXPECT_EQ(rings[i].buffers, count);
		region_give_back(fds, count);
		EXPECT_EQ(0, close(fd));
	}
}

/* When the second of the two appears, and when a buffer is wanted */
TEST(fallback_of_other_access_is_told)
{
	const char *who = "heap ring-of-other-access@bd300000 (uncached) never";
	const char *said = "falls back on heap system (cached)";
	int fd, whole, before;

	if (!node_exists("ring-of-other-access@bd300000"))
		SKIP_UNLESS_NEEDED(return, "bad", "no node with a mistake");
	before = kmsg_errors(who, said);
	EXPECT_LE(1, before);
	fd = heap_open("ring-of-other-access@bd300000", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, heap_attr("ring-of-other-access@bd300000", "cached"));
	whole = heap_alloc(fd, MIB(1));
	EXPECT_LE(0, whole);
	EXPECT_EQ(before, kmsg_errors(who, said));
	EXPECT_EQ(-ENOMEM, heap_alloc(fd, MIB(1)));
	EXPECT_EQ(before + 1, kmsg_errors(who, said));
	EXPECT_EQ(0, heap_attr("ring-of-other-access@bd300000", "fallbacks"));
	EXPECT_EQ(0, close(whole));
	EXPECT_EQ(0, close(fd));
}

/* The kernel gets at both parts, but not as at one piece */
TEST(region_across_high_memory_is_refused)
{
	const char *node = "bad-border@6fe00000";
	char device[HEAP_NAME_SIZE];

	if (!node_exists(node))
		SKIP_UNLESS_NEEDED(return, "border",
				   "no region where high memory begins");
	EXPECT_EQ(-ENOENT, heap_open(node, O_RDONLY));
	node_device(device, sizeof(device), node);
	EXPECT_EQ(1, kmsg_errors(device, "high memory"));
}

int main(int argc, char **argv)
{
	carveout_count = carveouts_find(carveouts, MAX_CARVEOUTS);
	if (!carveout_count)
		skip_all("carveout", "no carveout in the device tree");

	return test_harness_run(argc, argv);
}

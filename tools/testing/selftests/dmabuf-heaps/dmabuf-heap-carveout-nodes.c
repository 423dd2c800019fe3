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
#include <string.h>
#include <unistd.h>

#include "../kselftest_harness.h"
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
	{ "bad-overlap-low@bc000000", "bad-overlap-low",
	  "overlaps that of /reserved-memory/bad-overlap-high" },
	{ "bad-overlap-high@bc100000", "bad-overlap-high",
	  "overlaps that of /reserved-memory/bad-overlap-low" },
	{ "bad-overlap-other@bc400000", "bad-overlap-other",
	  "overlaps that of /reserved-memory/other@bc500000" },
	{ "bad-empty@bc800000", "bad-empty", "no memory is reserved" },
	{ "bad-pages@bc900000", "bad-pages", "whole pages" },
	{ "bad-nomap@bca00000", "bad-nomap", "no-map" },
	{ "bad-alignment-odd@bcc00000", "bad-alignment-odd", "heap-alignment" },
	{ "bad-alignment-small@bcd00000", "bad-alignment-small",
	  "heap-alignment" },
	{ "bad-alignment-large@bce00000", "bad-alignment-large",
	  "heap-alignment" },
	{ "bad-alignment-zero@bcf00000", "bad-alignment-zero",
	  "heap-alignment" },
	{ "bad-protected@bd000000", "bad-protected",
	  "heap-fallback: not for" },
	{ "bad-self@bd200000", "bad-self", "leads back to this heap" },
	{ "bad-cycle-here@bd300000", "bad-cycle-here",
	  "leads back to this heap" },
	{ "bad-cycle-there@bd400000", "bad-cycle-there",
	  "leads back to this heap" },
	{ "bad-ring-here@bdc00000", NULL, "whole pages" },
	{ "bad-ring-there@bdc20000", NULL, "whole pages" },
	{ "bad-ring-here@bdc40000", NULL, "whole pages" },
	{ "bad-ring-there@bdc60000", NULL, "whole pages" },
	{ "bad-name-empty@bd700000", NULL, "cannot make heap" },
	{ "bad-name-long@bd800000",
	  "a-name-of-sixty-four-characters-which-is-one-more-than-there-may",
	  "cannot make heap" },
	{ "bad-name-slash@bd900000", "bad/name", "cannot make heap" },
	{ "bad-place@2000000000", "bad-place", "struct pages" },
};

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
}

TEST(good_nodes_beside_bad_ones_have_heaps)
{
	int fd, said;

	if (!node_exists(bad[0].node))
		SKIP_UNLESS_NEEDED(return, "bad", "no node with a mistake");
	fd = heap_open("good", O_RDWR | O_CLOEXEC);
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
	EXPECT_EQ(-ENOENT, heap_open("disabled", O_RDONLY));
	EXPECT_EQ(0, kmsg_errors("disabled", ""));
}

/* Nodes that have no heap do not hide a ring of those that would */
TEST(ring_of_fallbacks_is_broken)
{
	int here, fd, fds[2], i;
	const char *heap, *other;

	if (!node_exists("ring-here@bdd00000"))
		SKIP_UNLESS_NEEDED(return, "bad", "no node with a mistake");
	here = kmsg_errors("bdd00000.ring-here", "leads back to this heap");
	/* First of all: to fill a ring is to fall back until the stack is full */
	ASSERT_EQ(1, here + kmsg_errors("bde00000.ring-there",
					"leads back to this heap"));
	heap = here ? "ring-there" : "ring-here";
	other = here ? "ring-here" : "ring-there";
	EXPECT_EQ(-ENOENT, heap_open(other, O_RDONLY));
	fd = heap_open(heap, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	for (i = 0; i < 2; i++) {
		fds[i] = heap_alloc(fd, KIB(512));
		EXPECT_LE(0, fds[i]);
		EXPECT_STREQ(heap, buf_exporter(fds[i]));
	}
	EXPECT_EQ(-ENOMEM, heap_alloc(fd, KIB(512)));
	region_give_back(fds, i);
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
	EXPECT_EQ(-ENOENT, heap_open("bad-border", O_RDONLY));
	node_device(device, sizeof(device), node);
	EXPECT_EQ(1, kmsg_errors(device, "partly high memory"));
}

int main(int argc, char **argv)
{
	carveout_count = carveouts_find(carveouts, MAX_CARVEOUTS);
	if (!carveout_count) {
		ksft_print_header();
		if (is_needed("carveout"))
			ksft_exit_fail_msg("no carveout in the device tree\n");
		ksft_exit_skip("no carveout in the device tree\n");
	}

	return test_harness_run(argc, argv);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Large maps of buffers, parts of which the kernel may map in blocks: that each
 * page shown is the right one, that blocks are where they can be and nowhere
 * else, and that they cost next to no faults.
 *
 * Where the kernel maps no blocks the same has to hold without them. NEED in the
 * environment names what must not be lacking: importer, blocks, hugepages, smaps,
 * prctl, attributes (the importer tells how a page is cached).
 */

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#include "heap_blocks.h"

/* A picture of each usual format, and a length of which all is blocks */
static const size_t lens[] = { MIB(8), 8294400, 3110400, 12441600 };

/* Addresses and offsets fit each other as soon as there is room for a block */
BLOCKS_TEST(maps_are_placed_for_blocks)
{
	const size_t skips[] = { 0, PAGES(1), KIB(64), MIB(1) };
	size_t offset, first;
	int i, j;
	char *p;

	if (!self->block)
		SKIP_UNLESS_NEEDED(return, "blocks",
				   "no blocks in this kernel");
	if (!MMAP_ALIGNS)
		SKIP(return, "mmap() does not align maps of 32-bit programs for blocks");
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		ASSERT_EQ(0, get_buffer(self, lens[i]));
		for (j = 0; j < ARRAY_SIZE(skips); j++) {
			offset = skips[j];
			first = (offset + self->block - 1) / self->block *
				self->block;
			if (self->len < first + self->block)
				continue;
			p = map_part(self, offset, self->len - offset,
				     PROT_READ);
			ASSERT_NE(MAP_FAILED, p);
			EXPECT_EQ(0, ((uintptr_t)p - offset) % self->block)
				TH_LOG("length %zu offset %zu at %p", self->len,
				       offset, p);
			EXPECT_EQ(0, munmap(p, self->len - offset));
		}
		EXPECT_EQ(0, put_buffer(self));
	}
}

BLOCKS_TEST(each_page_is_right)
{
	int i;
	char *p;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		ASSERT_EQ(0, get_buffer(self, lens[i]));
		p = map_all(self);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_GE(2, faults_of_writing(p, self->len))
			TH_LOG("length %zu", self->len);
		EXPECT_RIGHT(p, 0, self->len);
		EXPECT_BLOCKS(p, 0, self->len);
		EXPECT_EQ(0, munmap(p, self->len));
		EXPECT_EQ(0, put_buffer(self));
	}
}

/* Parts, which begin and end in, at and out of what could be a block */
BLOCKS_TEST(each_page_of_parts_is_right)
{
	const size_t marks[] = {
		0, PAGES(1), MIB(1), MIB(2), page_align(MIB(2) + KIB(68)), MIB(5),
		MIB(6), MIB(6) + PAGES(1), BUF_LEN,
	};
	size_t offset, len;
	int i, j;
	char *p;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	for (i = 0; i < ARRAY_SIZE(marks); i++) {
		for (j = i + 1; j < ARRAY_SIZE(marks); j++) {
			offset = marks[i];
			len = marks[j] - offset;
			p = map_part(self, offset, len, READ_WRITE);
			ASSERT_NE(MAP_FAILED, p);
			EXPECT_GE(2, faults_of_writing(p, len));
			EXPECT_RIGHT(p, offset, len);
			EXPECT_BLOCKS(p, offset, len);
			EXPECT_EQ(0, munmap(p, len));
		}
	}
}

/* Small maps have all their pages from the start, large ones after a fault */
BLOCKS_TEST(faults_are_few)
{
	static const size_t small[] = { KIB(4), KIB(64), MIB(1) };
	char *p;
	int i;

	for (i = 0; i < ARRAY_SIZE(small); i++) {
		ASSERT_EQ(0, get_buffer(self, small[i]));
		p = map_all(self);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_EQ(0, faults_of_writing(p, self->len))
			TH_LOG("length %zu", self->len);
		EXPECT_EQ(0, munmap(p, self->len));
		EXPECT_EQ(0, put_buffer(self));
	}
	ASSERT_EQ(0, get_buffer(self, MIB(32)));
	for (i = 0; i < 4; i++) {
		p = map_all(self);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_GE(2, faults_of_writing(p, self->len));
		EXPECT_EQ(0, munmap(p, self->len));
	}
}

/* Nor does a page that was read first take another one when it is written */
BLOCKS_TEST(write_after_read_takes_no_fault)
{
	char *p;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	p = map_all(self);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(-1, pattern_check(p, 0, self->len, SEED));
	EXPECT_EQ(0, faults_of_writing(p, self->len));
	EXPECT_BLOCKS(p, 0, self->len);
	EXPECT_EQ(0, munmap(p, self->len));
}

/* Where blocks are, too, and whether the descriptor allows more or not */
BLOCKS_TEST(read_only_stays_read_only)
{
	char *p, *q;
	size_t at;
	int fd;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	p = map_part(self, 0, self->len, PROT_READ);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_BLOCKS(p, 0, self->len);
	for (at = 0; at < self->len; at += KIB(256) + page_size())
		EXPECT_EQ(SIGSEGV, touch(p + at, true));
	EXPECT_RIGHT(p, 0, self->len);
	ASSERT_EQ(0, mprotect(p, self->len, READ_WRITE));
	for (at = 0; at < self->len; at += page_size())
		ASSERT_EQ(0, touch(p + at, true));
	EXPECT_EQ(0, munmap(p, self->len));

	fd = heap_alloc_flags(self->heap_fd, self->len, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	q = buf_map(fd, self->len, PROT_READ);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_EQ(-1, mprotect(q + MIB(2), MIB(2), READ_WRITE));
	EXPECT_EQ(EACCES, errno);
	for (at = 0; at < self->len; at += KIB(256) + page_size()) {
		EXPECT_EQ(0, touch(q + at, false));
		EXPECT_EQ(SIGSEGV, touch(q + at, true));
	}
	EXPECT_EQ(-1, mprotect(q, self->len, READ_WRITE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, find_nonzero(q, self->len));
	EXPECT_EQ(0, munmap(q, self->len));
	EXPECT_EQ(0, close(fd));
}

/* A map that is to have no huge pages has none, and all of the buffer */
BLOCKS_TEST(advice_against_blocks_is_followed)
{
	char *p;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	p = map_all(self);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, advise_against_blocks(p, self->len));
	EXPECT_EQ(0, pages_in_blocks(self, p, self->len));
	EXPECT_RIGHT(p, 0, self->len);
	EXPECT_EQ(0, munmap(p, self->len));
}

/* Blocks may stay, but what splits one does not bring another one */
BLOCKS_TEST(advice_after_faults_loses_nothing)
{
	char *p;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	p = map_all(self);
	ASSERT_NE(MAP_FAILED, p);
	faults_of_writing(p, self->len);
	ASSERT_EQ(0, advise_against_blocks(p, self->len));
	EXPECT_RIGHT(p, 0, self->len);
	EXPECT_EQ(0, munmap(p + MIB(3), page_size()));
	EXPECT_RIGHT(p, 0, MIB(3));
	EXPECT_EQ(0, munmap(p, self->len));
}

/* So there are few faults even with pages */
BLOCKS_TEST(fault_maps_a_window)
{
	const size_t window = page_size() > KIB(64) ? page_size() : KIB(64);
	char *p;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	p = map_all(self);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, advise_against_blocks(p, self->len));
	EXPECT_GE(self->len / window + 1, faults_of_writing(p, self->len));
	EXPECT_EQ(0, faults_of_writing(p, self->len));
	EXPECT_EQ(0, munmap(p, self->len));
}

BLOCKS_TEST(prctl_forbids_blocks)
{
	char *before, *after;

	/* Without huge pages the call does nothing, and there may be none */
	if (prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0) < 0)
		SKIP_UNLESS_NEEDED(return, "prctl",
				   "no prctl() about huge pages");
	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	before = map_all(self);
	ASSERT_NE(MAP_FAILED, before);
	ASSERT_EQ(0, prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	after = map_all(self);
	ASSERT_NE(MAP_FAILED, after);
	EXPECT_EQ(0, faults_of_writing(after, self->len));
	EXPECT_EQ(0, pages_in_blocks(self, after, self->len));
	EXPECT_RIGHT(after, 0, self->len);
	EXPECT_EQ(0, munmap(after, self->len));
	EXPECT_EQ(0, pages_in_blocks(self, before, self->len));
	EXPECT_RIGHT(before, 0, self->len);
	EXPECT_EQ(0, munmap(before, self->len));
	EXPECT_EQ(0, prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0));
}

#define TOUCHERS	3
#define TOUCH_ROUNDS	60

struct toucher {
	pthread_t thread;
	char *map;
	size_t len;
	size_t block;
	int id;
};

/* Each begins at another block, so that all blocks are neighbours for somebody */
static void *touch_blocks(void *data)
{
	struct toucher *toucher = data;
	size_t count = toucher->len / toucher->block, i;

	for (i = 0; i < count; i++) {
		char *p = toucher->map + (i * 5 + toucher->id) % count *
					 toucher->block;

		__atomic_fetch_or(p, 0, __ATOMIC_RELAXED);
	}

	return NULL;
}

/* Some faults see that blocks are forbidden and others that they are not */
BLOCKS_TEST(prctl_in_the_middle_of_faults_does_no_harm)
{
	struct toucher touchers[TOUCHERS];
	int round, i;
	char *p;

	if (!self->block)
		SKIP_UNLESS_NEEDED(return, "blocks",
				   "no blocks in this kernel");
	ASSERT_EQ(0, get_buffer(self, MIB(32)));
	for (round = 0; round < TOUCH_ROUNDS; round++) {
		p = map_all(self);
		ASSERT_NE(MAP_FAILED, p);
		for (i = 0; i < TOUCHERS; i++) {
			touchers[i] = (struct toucher) {
				.map = p, .len = self->len,
				.block = self->block, .id = i,
			};
			ASSERT_EQ(0, pthread_create(&touchers[i].thread, NULL,
						    touch_blocks, &touchers[i]));
		}
		for (i = 0; i < 8; i++)
			EXPECT_EQ(0, prctl(PR_SET_THP_DISABLE, i % 2, 0, 0, 0));
		for (i = 0; i < TOUCHERS; i++)
			ASSERT_EQ(0, pthread_join(touchers[i].thread, NULL));
		EXPECT_EQ(0, prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0));
		EXPECT_RIGHT(p, 0, self->len);
		EXPECT_EQ(0, munmap(p, self->len));
	}
}

/* The word in brackets is what is set */
static int thp_setting(char *word, size_t size)
{
	char text[64], *start, *end;
	int ret;

	ret = file_read(THP "enabled", text, sizeof(text));
	if (ret)
		return ret;
	start = strchr(text, '[');
	end = strchr(text, ']');
	if (!start || !end)
		return -EIO;
	*end = '\0';
	snprintf(word, size, "%s", start + 1);

	return 0;
}

/* The setting is about memory that can be swapped or moved */
BLOCKS_TEST(thp_setting_does_not_matter)
{
	static const char *const settings[] = { "never", "madvise", "always" };
	char *p, old[32];
	int i;

	if (thp_setting(old, sizeof(old)))
		SKIP_UNLESS_NEEDED(return, "hugepages",
				   "no huge pages in this kernel");
	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	for (i = 0; i < ARRAY_SIZE(settings); i++) {
		ASSERT_EQ(0, file_write(THP "enabled", settings[i]));
		p = map_all(self);
		ASSERT_NE(MAP_FAILED, p);
		EXPECT_GE(2, faults_of_writing(p, self->len));
		EXPECT_RIGHT(p, 0, self->len);
		EXPECT_BLOCKS(p, 0, self->len);
		EXPECT_EQ(0, munmap(p, self->len));
	}
	EXPECT_EQ(0, file_write(THP "enabled", old));
}

/* No other interface of the kernel gets at the pages by way of the map */
BLOCKS_TEST(pages_cannot_be_pinned)
{
	char copy[16];
	struct iovec local = { .iov_base = copy, .iov_len = sizeof(copy) };
	struct iovec remote = { .iov_len = sizeof(copy) };
	int mem, fds[2];
	size_t at;
	char *p;

	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	p = map_all(self);
	ASSERT_NE(MAP_FAILED, p);
	faults_of_writing(p, self->len);
	mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, mem);
	ASSERT_EQ(0, pipe2(fds, O_CLOEXEC));
	for (at = KIB(4); at < self->len; at += MIB(2)) {
		remote.iov_base = p + at;
		EXPECT_EQ(-1, process_vm_readv(getpid(), &local, 1, &remote, 1,
					       0));
		EXPECT_EQ(EFAULT, errno);
		EXPECT_EQ(-1, process_vm_writev(getpid(), &local, 1, &remote, 1,
						0));
		EXPECT_EQ(EFAULT, errno);
		EXPECT_EQ(-1, vmsplice(fds[1], &remote, 1, 0));
		EXPECT_EQ(EFAULT, errno);
		EXPECT_EQ(-1, pread(mem, copy, sizeof(copy),
				    (uintptr_t)p + at));
		EXPECT_EQ(EIO, errno);
		EXPECT_EQ(-1, pwrite(mem, copy, sizeof(copy),
				     (uintptr_t)p + at));
		EXPECT_EQ(EIO, errno);
	}
	EXPECT_EQ(0, close(mem));
	close(fds[0]);
	close(fds[1]);
	EXPECT_RIGHT(p, 0, self->len);
	EXPECT_EQ(0, munmap(p, self->len));
}

/* The flags of the map at @p, two letters each, with a blank around them */
static int map_flags(const char *p, char *flags, size_t size)
{
	unsigned long start, end;
	bool here = false;
	int ret = -ENOENT;
	char line[512];
	FILE *file;

	file = fopen("/proc/self/smaps", "re");
	if (!file)
		return -errno;
	while (ret && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start == (unsigned long)p;
		else if (here && !strncmp(line, "VmFlags:", 8))
			ret = 0;
	}
	fclose(file);
	if (!ret)
		snprintf(flags, size, "%.*s", (int)size - 1, line + 8);

	return ret;
}

/* Neither dumped nor grown, and without pages of a page cache */
BLOCKS_TEST(map_is_neither_dumped_nor_grown)
{
	static const char *const wanted[] = { " dd ", " de ", " pf ", " io " };
	char *p, flags[512] = "";
	int i;

	if (access("/proc/self/smaps", R_OK))
		SKIP_UNLESS_NEEDED(return, "smaps", "no smaps");
	/* All of it in blocks: the kernel sets such flags itself for pages */
	ASSERT_EQ(0, get_buffer(self, MIB(8)));
	p = map_all(self);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(MAP_FAILED, mremap(p, self->len, self->len + page_size(),
				     MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(0, map_flags(p, flags, sizeof(flags)));
	for (i = 0; i < ARRAY_SIZE(wanted); i++)
		EXPECT_TRUE(!!strstr(flags, wanted[i]))
			TH_LOG("not all in%s", flags);
	EXPECT_EQ(0, munmap(p, self->len));
}

static int wrong_attributes(struct _test_data_blocks *self, char *map,
			    int uncached)
{
	struct user_page page;
	int wrong = 0;
	size_t at;

	for (at = 0; at < self->len; at += page_size()) {
		touch(map + at, false);
		if (importer_user_page(self->importer, map + at, &page) ||
		    page.writecombined != uncached)
			wrong++;
	}

	return wrong;
}

BLOCKS_TEST(pages_are_cached_or_not_as_the_heap)
{
	int uncached = !!strstr(variant->name, "-uncached");
	struct utsname machine;
	char *p;

	ASSERT_EQ(0, uname(&machine));
	if (strcmp(machine.machine, "aarch64"))
		SKIP_UNLESS_NEEDED(return, "attributes",
				   "the importer tells no attributes here");
	ASSERT_EQ(0, get_buffer(self, BUF_LEN));
	p = map_all(self);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(0, wrong_attributes(self, p, uncached));
	ASSERT_EQ(0, mprotect(p, self->len, PROT_READ));
	EXPECT_EQ(0, wrong_attributes(self, p, uncached));
	ASSERT_EQ(0, mprotect(p + MIB(3), page_size(), READ_WRITE));
	EXPECT_EQ(0, wrong_attributes(self, p, uncached));
	ASSERT_EQ(0, mprotect(p, self->len, READ_WRITE));
	faults_of_writing(p, self->len);
	EXPECT_EQ(0, wrong_attributes(self, p, uncached));
	EXPECT_EQ(0, munmap(p, self->len));
}

int main(int argc, char **argv)
{
	heap_tests_init();
	heap_register(&_blocks_fixture_object);

	return test_harness_run(argc, argv);
}

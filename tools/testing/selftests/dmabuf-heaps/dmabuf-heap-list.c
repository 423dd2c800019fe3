// SPDX-License-Identifier: GPL-2.0
/*
 * The list of all buffers in debugfs: that each has its line, that what it says is
 * so, and that it costs nothing to have it.
 */

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "heap_fixture.h"
#include "heap_list.h"

#define NOBODY		65534

/* A heap, and two sessions of the test importer */
FIXTURE(listed)
{
	int fd;
	int importer;
	int other_importer;
	int open_fds;
	long long bytes;
	bool cached;
	bool protected;
};

FIXTURE_VARIANT(listed)
{
	char name[HEAP_NAME_SIZE];
};

FIXTURE_SETUP(listed)
{
	if (access(HEAP_LIST, F_OK))
		SKIP_UNLESS_NEEDED(return, "list", "no list of buffers");
	self->fd = heap_open(variant->name, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->importer = importer_open();
	self->other_importer = importer_open();
	self->cached = heap_attr(variant->name, "cached") == 1;
	self->protected = heap_attr(variant->name, "protected") == 1;
	self->bytes = heap_attr(variant->name, "bytes");
	self->open_fds = open_fds();
}

FIXTURE_TEARDOWN(listed)
{
	EXPECT_EQ(self->open_fds, open_fds());
	EXPECT_EQ(self->bytes, heap_attr(variant->name, "bytes"));
	close(self->other_importer);
	close(self->importer);
	close(self->fd);
}

#define LIST_TEST(name)	TEST_F_TIMEOUT(listed, name, HEAP_TEST_TIMEOUT)

/* The list's line of a buffer has this in a column of text, or of numbers */
#define EXPECT_TEXT(fd, column, expected) do {				\
	struct listed _listed = { };					\
									\
	EXPECT_EQ(0, list_find(fd, &_listed));				\
	EXPECT_STREQ(expected, _listed.column);				\
} while (0)

#define EXPECT_NUMBER(fd, column, expected) do {			\
	struct listed _listed = { };					\
									\
	EXPECT_EQ(0, list_find(fd, &_listed));				\
	EXPECT_EQ(expected, _listed.column);				\
} while (0)

/* Of the slowest kernels */
#define TICK_MS	10

LIST_TEST(line_tells_what_a_buffer_is)
{
	static const size_t lens[] = { 1, KIB(4) + 1, KIB(68) };
	struct listed listed, later;
	long long begin;
	char ino[32];
	struct stat st;
	int i, fd;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		begin = now_ms();
		fd = heap_alloc(self->fd, lens[i]);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, list_find(fd, &listed));
		EXPECT_STREQ(variant->name, listed.heap);
		EXPECT_EQ(page_align(lens[i]), listed.size);
		EXPECT_EQ(getpid(), listed.pid);
		EXPECT_EQ(0, listed.importers);
		EXPECT_STREQ("-", listed.cpu);
		EXPECT_STREQ("-", listed.name);
		EXPECT_STREQ("-", listed.cgroup);
		EXPECT_GE(now_ms() - begin + TICK_MS, listed.age_ms);

		ASSERT_EQ(0, fstat(fd, &st));
		EXPECT_EQ(st.st_ino, listed.inode);
		buf_fdinfo(fd, "ino:\t", ino, sizeof(ino));
		EXPECT_EQ(st.st_ino, strtoull(ino, NULL, 10));

		/* In ticks, which come late on a busy host */
		EXPECT_TRUE(WAIT_FOR(!list_find(fd, &later) &&
				     later.age_ms >= listed.age_ms + 30));
		EXPECT_GE(now_ms() - begin + TICK_MS, later.age_ms);
		EXPECT_EQ(0, close(fd));
	}
}

LIST_TEST(as_many_lines_as_buffers)
{
	int before = list_count(variant->name), i, fds[50];

	EXPECT_EQ(before, heap_attr(variant->name, "buffers"));
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = heap_alloc(self->fd, PAGES(1));
		ASSERT_LE(0, fds[i]);
	}
	EXPECT_EQ(before + 50, list_count(variant->name));
	for (i = 0; i < ARRAY_SIZE(fds); i += 2)
		EXPECT_EQ(0, close(fds[i]));
	EXPECT_EQ(before + 25, list_count(variant->name));
	for (i = 1; i < ARRAY_SIZE(fds); i += 2)
		EXPECT_NUMBER(fds[i], size, PAGES(1));
	for (i = 1; i < ARRAY_SIZE(fds); i += 2)
		EXPECT_EQ(0, close(fds[i]));
	EXPECT_EQ(before, list_count(variant->name));
}

/* Blanks, the ends of columns and lines, and what could be taken for an escape */
LIST_TEST(names_of_any_kind_are_one_column)
{
	static const char *const comms[] = {
		"a b", " ", "\\", "\\040", "tab\tend\n", "fifteen letters", "",
	};
	static const char *const names[] = {
		"a b  c ", "x\\y\\", "\\011\t\n", "-", "31 letters are the longest name",
		"",
	};
	int i, fd;

	for (i = 0; i < ARRAY_SIZE(comms); i++) {
		ASSERT_EQ(0, prctl(PR_SET_NAME, comms[i]));
		fd = heap_alloc(self->fd, PAGES(1));
		ASSERT_LE(0, fd);
		EXPECT_TEXT(fd, comm, comms[i][0] ? comms[i] : "-");

		/* It is the name there was, until somebody else pays */
		ASSERT_EQ(0, prctl(PR_SET_NAME, "later"));
		EXPECT_TEXT(fd, comm, comms[i][0] ? comms[i] : "-");
		EXPECT_EQ(0, buf_charge(fd, 0));
		EXPECT_TEXT(fd, comm, "later");
		EXPECT_EQ(0, close(fd));
	}

	fd = heap_alloc(self->fd, PAGES(1));
	ASSERT_LE(0, fd);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		ASSERT_EQ(0, ioctl(fd, DMA_BUF_SET_NAME_B, names[i]));
		EXPECT_TEXT(fd, name, names[i][0] ? names[i] : "-");
	}
	EXPECT_EQ(0, close(fd));
}

/* From a thread that is not the first: it is the process that counts */
static void *alloc_in_thread(void *data)
{
	prctl(PR_SET_NAME, "thread");
	*(int *)data = heap_alloc(*(int *)data, PAGES(1));

	return NULL;
}

LIST_TEST(pid_is_that_of_the_process)
{
	pthread_t thread;
	int fd = self->fd;

	ASSERT_EQ(0, pthread_create(&thread, NULL, alloc_in_thread, &fd));
	ASSERT_EQ(0, pthread_join(thread, NULL));
	ASSERT_LE(0, fd);
	EXPECT_NUMBER(fd, pid, getpid());
	EXPECT_TEXT(fd, comm, "thread");
	EXPECT_EQ(0, close(fd));
}

LIST_TEST(attached_importers_are_counted)
{
	int fd;

	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	fd = heap_alloc(self->fd, PAGES(2));
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, importer_do(self->importer, "import %d %d", fd,
				 IMPORTER_64));
	EXPECT_NUMBER(fd, importers, 1);
	ASSERT_EQ(0, importer_do(self->other_importer, "import %d %d", fd,
				 IMPORTER_COHERENT));
	EXPECT_NUMBER(fd, importers, 2);
	/* Whether it is mapped does not matter */
	ASSERT_EQ(0, importer_do(self->importer, "map %d", DEVICE_READS));
	EXPECT_NUMBER(fd, importers, 2);
	EXPECT_TEXT(fd, cpu, "-");
	ASSERT_EQ(0, importer_do(self->importer, "drop"));
	EXPECT_NUMBER(fd, importers, 1);
	ASSERT_EQ(0, importer_do(self->other_importer, "drop"));
	EXPECT_NUMBER(fd, importers, 0);
	EXPECT_EQ(0, close(fd));
}

LIST_TEST(mapped_by_a_process_is_m)
{
	const size_t len = PAGES(4);
	char byte, *p, *q;
	int fd, hold[2];
	pid_t child;

	if (self->protected)
		SKIP(return, "the CPU cannot map what %s has", variant->name);
	fd = heap_alloc(self->fd, len);
	ASSERT_LE(0, fd);
	EXPECT_TEXT(fd, cpu, "-");
	p = buf_map(fd, len, READ_WRITE);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_TEXT(fd, cpu, "m");
	q = buf_map(fd, len, PROT_READ);
	ASSERT_NE(MAP_FAILED, q);
	EXPECT_EQ(0, munmap(p, len));
	EXPECT_TEXT(fd, cpu, "m");

	/* In pieces: the middle, then either end; split by protection, too */
	EXPECT_EQ(0, munmap(q + PAGES(1), PAGES(2)));
	EXPECT_TEXT(fd, cpu, "m");
	EXPECT_EQ(0, munmap(q, PAGES(1)));
	EXPECT_TEXT(fd, cpu, "m");
	EXPECT_EQ(0, mprotect(q + PAGES(3), PAGES(1), PROT_NONE));
	EXPECT_TEXT(fd, cpu, "m");
	EXPECT_EQ(0, munmap(q + PAGES(3), PAGES(1)));
	EXPECT_TEXT(fd, cpu, "-");

	/* A child has the mapping, too, and then alone */
	p = buf_map(fd, len, READ_WRITE);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, pipe2(hold, O_CLOEXEC));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		close(hold[1]);
		_exit(read(hold[0], &byte, 1) ? 1 : 0);
	}
	close(hold[0]);
	EXPECT_EQ(0, munmap(p, len));
	EXPECT_TEXT(fd, cpu, "m");
	close(hold[1]);
	EXPECT_EQ(0, child_end(child));
	EXPECT_TEXT(fd, cpu, "-");

	/* Moved and grown it is one and the same */
	p = buf_map(fd, PAGES(2), READ_WRITE);
	ASSERT_NE(MAP_FAILED, p);
	q = mremap(p, PAGES(2), PAGES(2), MREMAP_MAYMOVE | MREMAP_FIXED,
		   p + MIB(64));
	ASSERT_EQ(p + MIB(64), q);
	EXPECT_TEXT(fd, cpu, "m");
	EXPECT_EQ(0, munmap(q, PAGES(2)));
	EXPECT_TEXT(fd, cpu, "-");

	/* What is refused leaves nothing */
	EXPECT_EQ(MAP_FAILED, mmap(NULL, len, READ_WRITE, MAP_PRIVATE, fd, 0));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, len + PAGES(1), READ_WRITE, MAP_SHARED,
				   fd, 0));
	EXPECT_TEXT(fd, cpu, "-");
	EXPECT_EQ(0, close(fd));
}

LIST_TEST(mapped_by_the_kernel_is_v)
{
	int fd;
	char *p;

	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	if (self->protected)
		SKIP(return, "the CPU cannot map what %s has", variant->name);
	fd = heap_alloc(self->fd, PAGES(2));
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, importer_do(self->importer, "import %d %d", fd,
				 IMPORTER_64));
	ASSERT_EQ(0, importer_do(self->importer, "hold"));
	EXPECT_TEXT(fd, cpu, "v");
	p = buf_map(fd, PAGES(2), READ_WRITE);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_TEXT(fd, cpu, "mv");
	ASSERT_EQ(0, importer_do(self->importer, "release"));
	EXPECT_TEXT(fd, cpu, "m");
	EXPECT_EQ(0, munmap(p, PAGES(2)));
	EXPECT_TEXT(fd, cpu, "-");
	ASSERT_EQ(0, importer_do(self->importer, "drop"));
	EXPECT_EQ(0, close(fd));
}

/* Whether the importer's device of that kind is one that does not see caches */
static bool device_is_direct(int importer)
{
	char answer[64] = "";

	return pread(importer, answer, sizeof(answer) - 1, 0) > 0 &&
	       strstr(answer, "bounces 0") && strstr(answer, "coherent 0");
}

LIST_TEST(cache_column_follows_cpu_and_devices)
{
	bool direct;
	int fd;

	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	fd = heap_alloc(self->fd, PAGES(4));
	ASSERT_LE(0, fd);
	if (!self->cached) {
		EXPECT_TEXT(fd, cache, "u");
		close(fd);
		return;
	}
	ASSERT_EQ(0, importer_do(self->importer, "import %d %d", fd,
				 IMPORTER_64));
	ASSERT_EQ(0, importer_do(self->importer, "map %d", DEVICE_READS));
	direct = device_is_direct(self->importer);
	if (!direct) {
		close(fd);
		ASSERT_EQ(0, importer_do(self->importer, "drop"));
		SKIP_UNLESS_NEEDED(return, "direct",
				   "all devices see the caches, or copies");
	}
	/* What was in the caches has been written back for the device */
	EXPECT_TEXT(fd, cache, "-");
	ASSERT_EQ(0, importer_do(self->importer, "unmap"));
	EXPECT_TEXT(fd, cache, "-");

	/* The device writes: what is in the caches is old */
	ASSERT_EQ(0, importer_do(self->importer, "map %d", DEVICE_WRITES));
	EXPECT_TEXT(fd, cache, "s");
	ASSERT_EQ(0, buf_sync(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE));
	EXPECT_TEXT(fd, cache, "ds");
	ASSERT_EQ(0, buf_sync(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE));
	ASSERT_EQ(0, importer_do(self->importer, "unmap"));
	ASSERT_EQ(0, buf_sync(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ));
	EXPECT_TEXT(fd, cache, "-");
	ASSERT_EQ(0, buf_sync(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ));

	/* The CPU writes, and no device is there that would care */
	ASSERT_EQ(0, importer_do(self->importer, "drop"));
	ASSERT_EQ(0, buf_sync(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE));
	EXPECT_TEXT(fd, cache, "d");
	ASSERT_EQ(0, buf_sync(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE));
	EXPECT_TEXT(fd, cache, "d");
	EXPECT_EQ(0, close(fd));
}

/* Only for root */
LIST_TEST(only_root_reads_it)
{
	struct stat st;
	pid_t child;

	ASSERT_EQ(0, stat(HEAP_LIST, &st));
	EXPECT_EQ(0400, st.st_mode & 07777);
	EXPECT_EQ(0, st.st_uid);
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		_exit(setuid(NOBODY) || open(HEAP_LIST, O_RDONLY) >= 0 ||
		      errno != EACCES);
	EXPECT_EQ(0, child_end(child));
}

/* Without the column of ages, which grow: "heap size age_ms ..." */
static void without_ages(char *text)
{
	char *from = text, *to = text;
	int column = 0;

	for (; *from; from++) {
		column = *from == '\n' ? 0 : column + (*from == '\t');
		if (column != 2)
			*to++ = *from;
	}
	*to = '\0';
}

/* Read in other ways than from its begin to its end, it is the same list */
LIST_TEST(pieces_make_the_same_list)
{
	static char whole[1 << 20], pieces[1 << 20];
	size_t len = 0, at = 0;
	int i, list, lines, fds[900];
	ssize_t got;

	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = heap_alloc(self->fd, PAGES(1));
		ASSERT_LE(0, fds[i]);
		ASSERT_EQ(0, ioctl(fds[i], DMA_BUF_SET_NAME_B,
				   "31 letters are the longest name"));
	}
	list = open(HEAP_LIST, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, list);
	while ((got = read(list, whole + len, sizeof(whole) - 1 - len)) > 0)
		len += got;
	EXPECT_EQ(0, got);
	EXPECT_EQ(0, lseek(list, 0, SEEK_SET));
	while ((got = read(list, pieces + at, at % 97 + 1)) > 0)
		at += got;
	EXPECT_EQ(0, got);
	close(list);
	EXPECT_EQ(0, strncmp(whole, HEAP_LIST_HEAD, strlen(HEAP_LIST_HEAD)));
	/* All of them are there, and a page is not enough for them */
	for (i = 0, lines = 0; i < len; i++)
		lines += whole[i] == '\n';
	EXPECT_LE(1 + ARRAY_SIZE(fds), lines);
	EXPECT_LT(page_size(), len);
	without_ages(whole);
	without_ages(pieces);
	EXPECT_STREQ(whole, pieces);
	for (i = 0; i < ARRAY_SIZE(fds); i++)
		EXPECT_EQ(0, close(fds[i]));
}

/* Many buffers */

#define MANY	10000
#define SAMPLES	1000

static long long thread_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);

	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* What an allocation and a close cost this thread, when nothing disturbs it */
static long long least_ns(int heap_fd)
{
	long long begin, least = LLONG_MAX, took;
	int i, fd;

	for (i = 0; i < SAMPLES; i++) {
		begin = thread_ns();
		fd = heap_alloc(heap_fd, PAGES(1));
		if (fd < 0)
			return -1;
		close(fd);
		took = thread_ns() - begin;
		least = took < least ? took : least;
	}

	return least;
}

LIST_TEST(many_buffers_make_no_allocation_slower)
{
	struct rlimit limit, many = { MANY + 1000, MANY + 1000 };
	int before = list_count(variant->name), i;
	long long few, lots;
	static int fds[MANY];

	if (heap_largest(variant->name) < (long long)MIB(100))
		SKIP(return, "%s has no room for so many", variant->name);
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &many));
	few = least_ns(self->fd);
	ASSERT_LT(0, few);
	for (i = 0; i < MANY; i++) {
		fds[i] = heap_alloc(self->fd, PAGES(1));
		ASSERT_LE(0, fds[i]);
	}
	EXPECT_EQ(before + MANY, list_count(variant->name));
	lots = least_ns(self->fd);
	ASSERT_LT(0, lots);
	/* A walk over all of them would cost a hundred times as much */
	EXPECT_GE(10 * few, lots);
	EXPECT_EQ(MANY, heap_attr(variant->name, "buffers") - before);
	EXPECT_NUMBER(fds[0], size, PAGES(1));
	EXPECT_NUMBER(fds[MANY - 1], size, PAGES(1));
	for (i = 0; i < MANY; i++)
		close(fds[i]);
	EXPECT_EQ(before, list_count(variant->name));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
}

/* Coming and going */

#define CHURNERS	3
#define CHURN_LIVE	100
#define CHURN_ROUNDS	200
#define LISTINGS	20
#define KEPT		40

static atomic_bool churn_over;

struct churner {
	pthread_t thread;
	int heap_fd;
	int importer;
	__u64 state;
	atomic_ulong rounds;
	int error;
};

static void *churn(void *data)
{
	struct churner *churner = data;
	int fds[CHURN_LIVE], i;
	char name[32];

	memset(fds, -1, sizeof(fds));
	while (!churn_over && !churner->error) {
		i = pseudo_random(&churner->state) % CHURN_LIVE;
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = heap_alloc(churner->heap_fd, PAGES(1));
		if (fds[i] < 0)
			churner->error = fds[i];
		snprintf(name, sizeof(name), "round %lu", (long)churner->rounds);
		ioctl(fds[i], DMA_BUF_SET_NAME_B, name);
		buf_charge(fds[i], 0);
		churner->rounds++;
	}
	for (i = 0; i < CHURN_LIVE; i++)
		close(fds[i]);

	return NULL;
}

static bool all_have_churned(struct churner *churners)
{
	int i;

	for (i = 0; i < CHURNERS; i++)
		if (churners[i].rounds < CHURN_ROUNDS && !churners[i].error)
			return false;

	return true;
}

/* All that is there all the time is in each listing, once, whatever goes on */
LIST_TEST(listed_while_others_come_and_go)
{
	unsigned long long inodes[KEPT];
	unsigned long rounds;
	struct churner churners[CHURNERS] = { };
	int i, looks, fds[KEPT], seen[KEPT];
	struct listed line;
	struct stat st;
	FILE *list;

	for (i = 0; i < CHURNERS; i++) {
		churners[i].heap_fd = self->fd;
		churners[i].state = i;
		ASSERT_EQ(0, pthread_create(&churners[i].thread, NULL, churn,
					    &churners[i]));
	}
	/* Between those that come and go, not before them */
	for (i = 0; i < KEPT; i++) {
		rounds = churners[0].rounds;
		EXPECT_TRUE(WAIT_FOR(churners[0].rounds > rounds));
		fds[i] = heap_alloc(self->fd, PAGES(1));
		ASSERT_LE(0, fds[i]);
		ASSERT_EQ(0, fstat(fds[i], &st));
		inodes[i] = st.st_ino;
	}
	for (looks = 0; looks < LISTINGS || !all_have_churned(churners);
	     looks++) {
		list = list_open();
		ASSERT_NE(NULL, list);
		memset(seen, 0, sizeof(seen));
		while (list_next(list, &line))
			for (i = 0; i < KEPT; i++)
				seen[i] += line.inode == inodes[i];
		fclose(list);
		for (i = 0; i < KEPT; i++)
			ASSERT_EQ(1, seen[i])
				TH_LOG("listing %d", looks);
	}
	churn_over = true;
	for (i = 0; i < CHURNERS; i++) {
		ASSERT_EQ(0, pthread_join(churners[i].thread, NULL));
		EXPECT_EQ(0, churners[i].error);
	}
	for (i = 0; i < KEPT; i++)
		EXPECT_EQ(0, close(fds[i]));
}

int main(int argc, char **argv)
{
	heap_tests_init();
	heap_register(&_listed_fixture_object);

	return test_harness_run(argc, argv);
}

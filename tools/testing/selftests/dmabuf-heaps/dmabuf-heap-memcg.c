// SPDX-License-Identifier: GPL-2.0
/*
 * Who pays for a buffer: memory cgroups are charged exactly what their tasks
 * allocate, for as long as it lives, wherever that ends; limits fail allocations
 * and nothing else; DMA_BUF_IOCTL_CHARGE moves a charge; and a hostile process
 * cannot take the machine down.
 *
 * NEED in the environment names what must not be lacking: memcg; and unaccounted,
 * for a kernel that was started with dma_heap.mem_accounting=0.
 */

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "heap_cgroup.h"
#include "heap_fixture.h"
#include "heap_list.h"

/* A tree; the agents live in its leaves, "a" and "b" */
#define TOP	"dmabuf-heap-memcg"
#define MIDDLE	TOP "/middle"
#define A	MIDDLE "/a"
#define B	MIDDLE "/b"
#define ASIDE	TOP "/aside"

/* The order in which they are made */
static const char *const tree[] = { TOP, MIDDLE, A, B, ASIDE };
static const char *const inner[] = { TOP, MIDDLE };

/*
 * What of a charge cannot be told from what CPUs have at hand for the next one, and
 * what the kernel needs for the buffers; there are so many of them that a page too
 * much or too little of each is more.
 */
#define SLACK	KIB(192)
#define COUNT	64

/* The same for all memory of a cgroup, other than the kernel's, too */
#define ALL_SLACK	MIB(3)

#define MAX_AGENTS	4

/* How often a cgroup is filled, and with less than that many buffers */
#define FILL_UPS	32
#define FILL_MOST	400

FIXTURE(memcg)
{
	int fd;
	int open_fds;
	long long bytes;
	long long buffers;
	long long charge_failures;
	long long kills;
	bool charges;
	atomic_bool *over;
	struct agent agents[MAX_AGENTS];
};

FIXTURE_VARIANT(memcg)
{
	char name[HEAP_NAME_SIZE];
};

static bool accounting_is_on(void)
{
	char text[8] = "";

	file_read("/sys/module/dma_heap/parameters/mem_accounting", text,
		  sizeof(text));

	return text[0] == 'Y';
}

FIXTURE_SETUP(memcg)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(tree); i++) {
		if (!cgroup_make(tree[i])) {
			ASSERT_FALSE(is_needed("memcg"));
			SKIP(return, "no memory controller");
		}
		if (i < ARRAY_SIZE(inner))
			ASSERT_EQ(0, cgroup_write(inner[i],
						  "cgroup.subtree_control",
						  "+memory"));
	}
	ASSERT_EQ(is_needed("unaccounted"), !accounting_is_on());
	/* Carveouts are not the system's memory */
	self->charges = accounting_is_on() &&
			!pool_waits_for_scrubber(variant->name);
	self->over = mmap(NULL, page_size(), READ_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->over);
	self->fd = heap_open(variant->name, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->open_fds = open_fds();
	self->bytes = heap_attr(variant->name, "bytes");
	self->buffers = heap_attr(variant->name, "buffers");
	self->charge_failures = heap_attr(variant->name, "failures/charge");
	self->kills = vm_counter("oom_kill");
}

FIXTURE_TEARDOWN(memcg)
{
	int i;

	for (i = 0; i < MAX_AGENTS; i++)
		agent_kill(&self->agents[i]);
	EXPECT_EQ(self->open_fds, open_fds());
	EXPECT_EQ(self->bytes, heap_attr(variant->name, "bytes"));
	EXPECT_EQ(self->buffers, heap_attr(variant->name, "buffers"));
	EXPECT_EQ(self->kills, vm_counter("oom_kill"));
	for (i = ARRAY_SIZE(tree); i--; )
		EXPECT_TRUE(WAIT_FOR(cgroup_remove(tree[i]) != -EBUSY));
	close(self->fd);
	munmap(self->over, page_size());
}

#define MEMCG_TEST(name) \
	TEST_F_TIMEOUT(memcg, name, 2 * HEAP_TEST_TIMEOUT)

#define START(index, cgroup) \
	ASSERT_EQ(0, agent_start(&self->agents[index], cgroup, #index, \
				 self->fd, self->over))

/* Whether a cgroup has come to be charged that much more than before */
static bool charged_is(const char *cgroup, long long before, long long more)
{
	long long off = cgroup_charged(cgroup) - before - more;

	return off > -(long long)SLACK && off < (long long)SLACK;
}

static bool all_is(const char *cgroup, long long before, long long more)
{
	long long off = cgroup_number(cgroup, "memory.current") - before - more;

	return off > -(long long)ALL_SLACK && off < (long long)ALL_SLACK;
}

#define EXPECT_CHARGED(cgroup, before, more) do {			\
	const char *_cgroup = cgroup;					\
	long long _before = before, _more = more;			\
									\
	EXPECT_TRUE(WAIT_FOR(charged_is(_cgroup, _before, _more)))	\
		TH_LOG("%s: %lld charged, not %lld", _cgroup,		\
		       cgroup_charged(_cgroup) - _before, _more);	\
} while (0)

/* A length that the heap has room for as often as @count says */
static size_t fitting(const char *heap, size_t len, int count)
{
	long long max_alloc = heap_attr(heap, "max_alloc");

	while (len > page_size() && (long long)len * count > max_alloc / 2)
		len /= 2;

	return page_align(len);
}

/* Charged exactly, in the task's cgroup and all above it */

static void charged_on_the_way_up(struct __test_metadata *_metadata,
				  struct _test_data_memcg *self, size_t len)
{
	long long total = self->charges ? COUNT * len : 0;
	struct agent *agent = &self->agents[0];
	long long before[ARRAY_SIZE(tree)];
	long long all = cgroup_number(A, "memory.current");
	int i;

	for (i = 0; i < ARRAY_SIZE(tree); i++)
		before[i] = cgroup_charged(tree[i]);
	ASSERT_EQ(0, agent_alloc(agent, len, COUNT));
	for (i = 0; i < ARRAY_SIZE(tree); i++) {
		bool above = !strncmp(A, tree[i], strlen(tree[i]));

		EXPECT_CHARGED(tree[i], before[i], above ? total : 0);
	}
	EXPECT_TRUE(WAIT_FOR(all_is(A, all, total)));
	EXPECT_EQ(0, agent_do(agent, AGENT_CLOSE_ALL, 0, 0));
	for (i = 0; i < ARRAY_SIZE(tree); i++)
		EXPECT_CHARGED(tree[i], before[i], 0);
	EXPECT_TRUE(WAIT_FOR(all_is(A, all, 0)));
}

MEMCG_TEST(charged_exactly)
{
	static const size_t lens[] = { KIB(4), KIB(68), KIB(252), MIB(1) };
	long long max_kib = pool_get(variant->name, "max_kib");
	int i;

	START(0, A);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		size_t len = fitting(variant->name, lens[i], COUNT);

		/* Cold, then from the pool, which belongs to nobody */
		ASSERT_EQ(0, pool_set(variant->name, "max_kib", 0));
		charged_on_the_way_up(_metadata, self, len);
		ASSERT_EQ(0, pool_set(variant->name, "max_kib", max_kib));
		charged_on_the_way_up(_metadata, self, len);
		charged_on_the_way_up(_metadata, self, len);
	}
}

/* Nobody's limit covers the root of all */
MEMCG_TEST(root_is_free)
{
	size_t len = fitting(variant->name, MIB(1), 16);
	long long before = cgroup_charged(TOP);
	struct listed listed;
	int i, fds[16];

	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = heap_alloc(self->fd, len);
		ASSERT_LE(0, fds[i]);
	}
	ASSERT_EQ(0, list_find(fds[0], &listed));
	EXPECT_STREQ("-", listed.cgroup);
	EXPECT_EQ(getpid(), listed.pid);
	EXPECT_CHARGED(TOP, before, 0);
	while (i--)
		EXPECT_EQ(0, close(fds[i]));
}

/* However the last reference goes, and in whose hands */
MEMCG_TEST(last_reference_elsewhere)
{
	size_t len = fitting(variant->name, MIB(1), 32);
	long long total = self->charges ? 16 * len : 0;
	long long before_a, before_b;
	struct listed listed;
	int i, fd, round;

	for (round = 0; round < 2; round++) {
		before_a = cgroup_charged(A);
		before_b = cgroup_charged(B);
		START(0, A);
		START(1, B);
		ASSERT_EQ(0, agent_alloc(&self->agents[0], len, 16));
		for (i = 0; i < 16; i++) {
			fd = agent_give(&self->agents[0], i);
			ASSERT_LE(0, fd);
			ASSERT_LE(0, agent_take(&self->agents[1], fd));
			if (!i && !heap_attr(variant->name, "protected"))
				EXPECT_EQ(0, agent_do(&self->agents[1],
						      AGENT_MAP, 0, 0));
			if (!i)
				EXPECT_EQ(0, list_find(fd, &listed));
			EXPECT_EQ(0, close(fd));
		}
		EXPECT_STREQ(accounting_is_on() ? "/" A : "-",
			     listed.cgroup);
		EXPECT_STREQ("0", listed.comm);
		EXPECT_EQ(self->agents[0].pid, listed.pid);
		agent_kill(&self->agents[0]);
		EXPECT_CHARGED(A, before_a, total);
		EXPECT_CHARGED(B, before_b, 0);

		/* Killed, or done with it by itself */
		if (!round)
			EXPECT_EQ(0, agent_do(&self->agents[1],
					      AGENT_CLOSE_ALL, 0, 0));
		agent_kill(&self->agents[1]);
		EXPECT_CHARGED(A, before_a, 0);
		EXPECT_CHARGED(B, before_b, 0);
	}
}

/* Limits */

#define LIMIT	MIB(24)

/* Allocates until that fails; returns how many there are then */
static int alloc_all(struct agent *agent, size_t len, int most, int *error)
{
	int count;

	for (count = 0; count < most; count++) {
		*error = agent_do(agent, AGENT_ALLOC, 0, len);
		if (*error < 0)
			return count;
	}
	*error = 0;

	return count;
}

/*
 * However little room is left, and whether it is for a buffer or for what the kernel
 * needs beside it. At first without a limit: what else grows is large enough then.
 */
MEMCG_TEST(nobody_is_killed_at_the_limit)
{
	struct agent *agent = &self->agents[0];
	int i, count;

	if (!self->charges)
		SKIP(return, "not charged");
	START(0, A);
	ASSERT_EQ(0, agent_alloc(agent, page_size(), FILL_MOST));
	ASSERT_EQ(0, agent_do(agent, AGENT_CLOSE_ALL, 0, 0));
	for (i = 0; i < FILL_UPS; i++) {
		ASSERT_EQ(0, cgroup_set(A, "memory.max",
					cgroup_number(A, "memory.current") +
					KIB(128) + i * page_size()));
		count = agent_do(agent, AGENT_FILL, 0, page_size());
		EXPECT_LT(0, count);
		EXPECT_GT(FILL_MOST, count);
		EXPECT_EQ(0, cgroup_event(A, "oom"));
		ASSERT_EQ(0, cgroup_write(A, "memory.max", "max"));
		ASSERT_EQ(0, agent_do(agent, AGENT_CLOSE_ALL, 0, 0));
	}
	EXPECT_LE(FILL_UPS, cgroup_event(A, "max"));
	EXPECT_EQ(0, cgroup_event(A, "oom_kill"));
}

MEMCG_TEST(limit_fails_allocations_only)
{
	int error, count, again, fds;
	struct agent *agent = &self->agents[0];

	if (!self->charges || heap_attr(variant->name, "max_alloc") < LIMIT * 2)
		SKIP(return, "not charged, or less than the limit");
	ASSERT_EQ(0, cgroup_set(A, "memory.max", LIMIT));
	START(0, A);
	fds = agent_do(agent, AGENT_FDS, 0, 0);

	/* At once, and a little at a time */
	EXPECT_EQ(-ENOMEM, agent_do(agent, AGENT_ALLOC, 0, LIMIT + KIB(4)));
	EXPECT_EQ(self->charge_failures + 1,
		  heap_attr(variant->name, "failures/charge"));
	EXPECT_EQ(self->buffers, heap_attr(variant->name, "buffers"));
	EXPECT_EQ(self->bytes, heap_attr(variant->name, "bytes"));
	count = alloc_all(agent, MIB(1), LIMIT / MIB(1) + 1, &error);
	EXPECT_EQ(-ENOMEM, error);
	EXPECT_LE((int)(LIMIT / MIB(1)) - 3, count);
	EXPECT_GT((int)(LIMIT / MIB(1)), count);
	EXPECT_EQ(self->charge_failures + 2,
		  heap_attr(variant->name, "failures/charge"));
	EXPECT_EQ(self->buffers + count, heap_attr(variant->name, "buffers"));
	EXPECT_EQ(self->bytes + count * (long long)MIB(1),
		  heap_attr(variant->name, "bytes"));
	EXPECT_EQ(fds + count, agent_do(agent, AGENT_FDS, 0, 0));

	/* It happened, nobody died for it, and the machine has not noticed */
	EXPECT_LT(0, cgroup_event(A, "max"));
	EXPECT_EQ(0, cgroup_event(A, "oom"));
	EXPECT_EQ(0, cgroup_event(A, "oom_kill"));
	EXPECT_GE(LIMIT, cgroup_number(A, "memory.current"));

	/* With one less there is room for one again */
	EXPECT_EQ(0, agent_do(agent, AGENT_CLOSE, count - 1, 0));
	EXPECT_LE(0, agent_do(agent, AGENT_ALLOC, 0, MIB(1)));
	EXPECT_EQ(-ENOMEM, agent_do(agent, AGENT_ALLOC, 0, MIB(2)));
	EXPECT_EQ(0, agent_do(agent, AGENT_CLOSE_ALL, 0, 0));
	EXPECT_EQ(fds, agent_do(agent, AGENT_FDS, 0, 0) + 0);
	again = alloc_all(agent, MIB(1), LIMIT / MIB(1) + 1, &error);
	EXPECT_EQ(count, again);
	EXPECT_EQ(-ENOMEM, error);
}

/* A limit above the task's own, which others share, and others again do not */
MEMCG_TEST(limit_in_the_middle)
{
	int in_a, in_b, error;

	if (!self->charges || heap_attr(variant->name, "max_alloc") < LIMIT * 2)
		SKIP(return, "not charged, or less than the limit");
	ASSERT_EQ(0, cgroup_set(MIDDLE, "memory.max", LIMIT));
	START(0, A);
	START(1, B);
	START(2, ASIDE);
	ASSERT_EQ(0, agent_alloc(&self->agents[0], MIB(1), 8));
	in_b = alloc_all(&self->agents[1], MIB(1), LIMIT / MIB(1), &error);
	EXPECT_EQ(-ENOMEM, error);
	EXPECT_GE((int)(LIMIT / MIB(1)) - 8, in_b);
	EXPECT_LE((int)(LIMIT / MIB(1)) - 8 - 4, in_b);
	in_a = alloc_all(&self->agents[0], MIB(2), 1, &error);
	EXPECT_EQ(0, in_a);
	EXPECT_EQ(-ENOMEM, error);
	EXPECT_EQ(0, agent_alloc(&self->agents[2], MIB(1), LIMIT / MIB(1) + 1));

	/* What one gives back the other can have */
	EXPECT_EQ(0, agent_do(&self->agents[0], AGENT_CLOSE_ALL, 0, 0));
	EXPECT_EQ(0, agent_alloc(&self->agents[1], MIB(1), 6));
	EXPECT_EQ(0, cgroup_event(MIDDLE, "oom"));
	EXPECT_EQ(0, cgroup_event(MIDDLE, "oom_kill"));
}

/*
 * What can be reclaimed in the cgroup is, before an allocation fails: pages that
 * their owner does not want back stand for the page cache, which a machine without
 * disks has none of. What cannot be reclaimed stays, and nobody is killed.
 */
MEMCG_TEST(reclaims_before_it_fails)
{
	if (!self->charges || heap_attr(variant->name, "max_alloc") < LIMIT * 2)
		SKIP(return, "not charged, or less than the limit");
	ASSERT_EQ(0, cgroup_set(A, "memory.max", LIMIT));
	START(0, A);
	ASSERT_EQ(0, agent_do(&self->agents[0], AGENT_LAZY, 0, LIMIT * 3 / 4));
	EXPECT_LE(LIMIT * 3 / 4, cgroup_number(A, "memory.current"));
	EXPECT_LE(0, agent_do(&self->agents[0], AGENT_ALLOC, 0, LIMIT / 2));
	EXPECT_EQ(self->charge_failures,
		  heap_attr(variant->name, "failures/charge"));
	agent_kill(&self->agents[0]);

	START(1, B);
	ASSERT_EQ(0, cgroup_set(B, "memory.max", LIMIT));
	ASSERT_EQ(0, agent_do(&self->agents[1], AGENT_TOUCH, 0, LIMIT * 3 / 4));
	EXPECT_EQ(-ENOMEM,
		  agent_do(&self->agents[1], AGENT_ALLOC, 0, LIMIT / 2));
	EXPECT_EQ(self->charge_failures + 1,
		  heap_attr(variant->name, "failures/charge"));
	EXPECT_EQ(0, cgroup_event(B, "oom_kill"));
	EXPECT_EQ(0, cgroup_event(A, "oom_kill"));
}

/* Where nothing can be charged, no limit is in the way */
MEMCG_TEST(not_charged_not_limited)
{
	size_t len = fitting(variant->name, MIB(8), 4);

	if (self->charges)
		SKIP(return, "charged");
	ASSERT_EQ(0, cgroup_set(A, "memory.max", MIB(4)));
	START(0, A);
	EXPECT_EQ(0, agent_alloc(&self->agents[0], len, 3));
	EXPECT_EQ(self->charge_failures,
		  heap_attr(variant->name, "failures/charge"));
}

/* Allocates, however large the heap lets one buffer be */
static int alloc_any(struct agent *agent, const char *heap, __u64 len)
{
	char old[64];
	int ret;

	if (heap_attr_read(heap, "max_alloc", old, sizeof(old)) ||
	    heap_attr_write(heap, "max_alloc", "max"))
		return -EIO;
	ret = agent_do(agent, AGENT_ALLOC, 0, len);

	return heap_attr_write(heap, "max_alloc", old) ? -EIO : ret;
}

/*
 * A cgroup is charged with a gigabyte at a time. If there is room for the first one
 * only, it is not left there.
 */
MEMCG_TEST(charged_in_vain)
{
	const long long first = MIB(1024), len = first + MIB(16);
	long long before;

	if (!self->charges || meminfo_kib("MemTotal:") * 1024 < len)
		SKIP(return, "not charged, or more than all memory");
	ASSERT_EQ(0, cgroup_set(A, "memory.max", first + MIB(8)));
	START(0, A);
	before = cgroup_number(A, "memory.current");
	EXPECT_EQ(-ENOMEM, alloc_any(&self->agents[0], variant->name, len));
	EXPECT_TRUE(WAIT_FOR(all_is(A, before, 0)));
	EXPECT_EQ(self->charge_failures + 1,
		  heap_attr(variant->name, "failures/charge"));
	EXPECT_EQ(0, cgroup_event(A, "oom_kill"));
}

/* A length no machine has is not charged at all, limit or not, and ends at once */
MEMCG_TEST(absurd_length)
{
	long long begin;

	START(0, A);
	begin = now_ms();
	EXPECT_EQ(-ENOMEM, alloc_any(&self->agents[0], variant->name,
				     1ULL << 62));
	EXPECT_GT(AT_ONCE_MS, now_ms() - begin);
	EXPECT_EQ(self->charge_failures,
		  heap_attr(variant->name, "failures/charge"));
}

/* What outlives its cgroup is the parent's */
MEMCG_TEST(cgroup_removed)
{
	size_t len = fitting(variant->name, MIB(1), 32);
	long long total = self->charges ? 16 * len : 0;
	long long before = cgroup_charged(MIDDLE);
	struct listed listed;
	int i, fds[16];

	START(0, A);
	ASSERT_EQ(0, agent_alloc(&self->agents[0], len, ARRAY_SIZE(fds)));
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = agent_give(&self->agents[0], i);
		ASSERT_LE(0, fds[i]);
	}
	agent_kill(&self->agents[0]);
	EXPECT_CHARGED(MIDDLE, before, total);
	ASSERT_TRUE(WAIT_FOR(cgroup_remove(A) != -EBUSY));
	EXPECT_CHARGED(MIDDLE, before, total);
	/* It goes over in the background */
	EXPECT_TRUE(WAIT_FOR(!list_find(fds[0], &listed) &&
			     !strcmp(listed.cgroup,
				     accounting_is_on() ? "/" MIDDLE : "-")))
		TH_LOG("%s", listed.cgroup);

	/* Half of it is dropped, the other half moved by who is there now */
	for (i = 0; i < ARRAY_SIZE(fds) / 2; i++)
		EXPECT_EQ(0, close(fds[i]));
	EXPECT_CHARGED(MIDDLE, before, total / 2);
	for (; i < ARRAY_SIZE(fds); i++) {
		EXPECT_EQ(0, buf_charge(fds[i], 0));
		EXPECT_EQ(0, list_find(fds[i], &listed));
		EXPECT_STREQ("-", listed.cgroup);
		EXPECT_EQ(getpid(), listed.pid);
	}
	EXPECT_CHARGED(MIDDLE, before, 0);
	while (i-- > ARRAY_SIZE(fds) / 2)
		EXPECT_EQ(0, close(fds[i]));
	EXPECT_CHARGED(MIDDLE, before, 0);
}

/* Moved charges */

/* A buffer of agent @from, which agent @to then has, too; its number there */
static int pass(struct _test_data_memcg *self, int from, int index, int to)
{
	int fd, ret;

	fd = agent_give(&self->agents[from], index);
	if (fd < 0)
		return fd;
	ret = agent_take(&self->agents[to], fd);
	close(fd);

	return ret;
}

MEMCG_TEST(charge_moves)
{
	size_t len = fitting(variant->name, MIB(1), 32);
	long long total = self->charges ? 16 * len : 0;
	long long before_a = cgroup_charged(A), before_b = cgroup_charged(B);
	struct listed listed;
	int i, fd;

	START(0, A);
	START(1, B);
	ASSERT_EQ(0, agent_alloc(&self->agents[0], len, 16));
	fd = agent_give(&self->agents[0], 0);
	ASSERT_LE(0, fd);
	for (i = 0; i < 16; i++)
		ASSERT_EQ(i, pass(self, 0, i, 1));
	EXPECT_CHARGED(A, before_a, total);
	EXPECT_CHARGED(B, before_b, 0);

	for (i = 0; i < 16; i++)
		EXPECT_EQ(0, agent_do(&self->agents[1], AGENT_CHARGE, i, 0));
	EXPECT_CHARGED(A, before_a, 0);
	EXPECT_CHARGED(B, before_b, total);
	ASSERT_EQ(0, list_find(fd, &listed));
	EXPECT_EQ(self->agents[1].pid, listed.pid);
	EXPECT_STREQ("1", listed.comm);
	EXPECT_STREQ(accounting_is_on() ? "/" B : "-", listed.cgroup);
	EXPECT_EQ(self->buffers + 16, heap_attr(variant->name, "buffers"));
	EXPECT_EQ(self->bytes + 16 * (long long)len,
		  heap_attr(variant->name, "bytes"));

	/*
	 * Once more is nothing more, also where there is no room for twice; some
	 * is left for what the agent itself needs.
	 */
	ASSERT_EQ(0, cgroup_set(B, "memory.max",
				cgroup_number(B, "memory.current") + len / 2));
	for (i = 0; i < 16; i++)
		EXPECT_EQ(0, agent_do(&self->agents[1], AGENT_CHARGE, i, 0));
	EXPECT_CHARGED(B, before_b, total);

	/* Back again */
	for (i = 0; i < 8; i++)
		EXPECT_EQ(0, agent_do(&self->agents[0], AGENT_CHARGE, i, 0));
	EXPECT_CHARGED(A, before_a, total / 2);
	EXPECT_CHARGED(B, before_b, total / 2);
	EXPECT_CHARGED(MIDDLE, before_a + before_b, total);

	/* Who has allocated it is gone, who pays stays */
	agent_kill(&self->agents[0]);
	EXPECT_CHARGED(A, before_a, total / 2);
	agent_kill(&self->agents[1]);
	EXPECT_EQ(0, close(fd));
	EXPECT_CHARGED(A, before_a, 0);
	EXPECT_CHARGED(B, before_b, 0);
}

/* All that can be said against it, and that nothing has changed then */
/* Who has paid is gone with its cgroup, so that the one above pays already */
MEMCG_TEST(charge_after_removal)
{
	size_t len = fitting(variant->name, MIB(16), 4);
	struct listed listed;
	int fd;

	START(0, A);
	ASSERT_EQ(0, agent_alloc(&self->agents[0], len, 1));
	fd = agent_give(&self->agents[0], 0);
	ASSERT_LE(0, fd);
	agent_kill(&self->agents[0]);
	ASSERT_TRUE(WAIT_FOR(!cgroup_remove(A)));
	ASSERT_TRUE(WAIT_FOR(!cgroup_remove(B)));
	/* It goes over in the background */
	ASSERT_TRUE(!accounting_is_on() ||
		    WAIT_FOR(!list_find(fd, &listed) &&
			     !strcmp(listed.cgroup, "/" MIDDLE)));
	ASSERT_EQ(0, cgroup_write(MIDDLE, "cgroup.subtree_control", "-memory"));
	START(1, MIDDLE);
	ASSERT_EQ(0, agent_take(&self->agents[1], fd));

	/* To charge it once more would need room for two */
	ASSERT_EQ(0, cgroup_set(MIDDLE, "memory.max",
				cgroup_number(MIDDLE, "memory.current") + MIB(1)));
	EXPECT_EQ(0, agent_do(&self->agents[1], AGENT_CHARGE, 0, 0));
	EXPECT_EQ(0, close(fd));
}

MEMCG_TEST(charge_refused)
{
	static const char *const limited[] = { B, MIDDLE };
	size_t len = fitting(variant->name, MIB(16), 4);
	long long before_a = cgroup_charged(A), before_b = cgroup_charged(B);
	struct listed before, after;
	int i, fd, vgem, exported;
	__u32 handle;

	START(0, A);
	START(1, B);
	ASSERT_EQ(0, agent_alloc(&self->agents[0], len, 1));
	fd = agent_give(&self->agents[0], 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, agent_take(&self->agents[1], fd));
	ASSERT_EQ(0, list_find(fd, &before));

	for (i = 0; i < 64; i++)
		EXPECT_EQ(-EINVAL, agent_do(&self->agents[1], AGENT_CHARGE, 0,
					    1ULL << i));
	EXPECT_EQ(-EFAULT, heap_ioctl(fd, DMA_BUF_IOCTL_CHARGE, NULL));
	EXPECT_EQ(-EFAULT, heap_ioctl(fd, DMA_BUF_IOCTL_CHARGE, (void *)-1L));
	EXPECT_EQ(-EBADF, buf_charge(-1, 0));
	/* A length of no version */
	EXPECT_EQ(-ENOTTY, heap_ioctl(fd, _IOC(_IOC_WRITE, DMA_BUF_BASE, 0x41,
					       4), &(__u32){ 0 }));
	/* There is no room in the cgroup itself, or in one above */
	for (i = 0; i < ARRAY_SIZE(limited); i++) {
		if (!self->charges || len != MIB(16))
			break;
		ASSERT_EQ(0, cgroup_set(limited[i], "memory.max",
					cgroup_number(limited[i],
						      "memory.current") + MIB(4)));
		EXPECT_EQ(-ENOMEM,
			  agent_do(&self->agents[1], AGENT_CHARGE, 0, 0));
		EXPECT_EQ(0, cgroup_event(limited[i], "oom_kill"));
		EXPECT_EQ(0, cgroup_event(limited[i], "oom"));
		ASSERT_EQ(0, cgroup_write(limited[i], "memory.max", "max"));
	}

	ASSERT_EQ(0, list_find(fd, &after));
	EXPECT_EQ(before.pid, after.pid);
	EXPECT_STREQ(before.comm, after.comm);
	EXPECT_STREQ(before.cgroup, after.cgroup);
	EXPECT_CHARGED(A, before_a, self->charges ? len : 0);
	EXPECT_CHARGED(B, before_b, 0);
	EXPECT_EQ(self->charge_failures,
		  heap_attr(variant->name, "failures/charge"));

	/* With room it works */
	EXPECT_EQ(0, agent_do(&self->agents[1], AGENT_CHARGE, 0, 0));
	EXPECT_CHARGED(B, before_b, self->charges ? len : 0);
	EXPECT_EQ(0, close(fd));

	/* Others do not know what it is */
	vgem = vgem_open();
	if (vgem < 0) {
		ASSERT_FALSE(is_needed("memcg"));
		return;
	}
	ASSERT_EQ(0, vgem_create(vgem, KIB(4), &handle));
	exported = vgem_export(vgem, handle);
	ASSERT_LE(0, exported);
	EXPECT_EQ(-ENOTTY, buf_charge(exported, 0));
	EXPECT_EQ(-ENOTTY, buf_charge(exported, 1));
	EXPECT_EQ(0, close(exported));
	EXPECT_EQ(0, vgem_close_handle(vgem, handle));
	EXPECT_EQ(0, close(vgem));
}

#define RACE_MS	700

/* Two want to pay at a time, and nobody pays twice */
MEMCG_TEST(charge_races_with_itself)
{
	size_t len = fitting(variant->name, MIB(2), 4);
	long long before_a = cgroup_charged(A), before_b = cgroup_charged(B);
	long long in_a, in_b, total = self->charges ? len : 0;
	struct listed listed;
	int i, fd, rounds;
	bool is_a;

	for (i = 0; i < 4; i++)
		START(i, i % 2 ? B : A);
	ASSERT_EQ(0, agent_alloc(&self->agents[0], len, 1));
	for (i = 1; i < 4; i++)
		ASSERT_EQ(0, pass(self, 0, 0, i));
	fd = agent_give(&self->agents[0], 0);
	ASSERT_LE(0, fd);
	*self->over = false;
	for (i = 0; i < 4; i++)
		agent_tell(&self->agents[i], AGENT_RACE, 0, 0);
	usleep(RACE_MS * 1000);
	*self->over = true;
	for (i = 0; i < 4; i++) {
		rounds = agent_answer(&self->agents[i]);
		EXPECT_LT(10, rounds);
	}

	/* It is who is listed, and nobody else */
	ASSERT_EQ(0, list_find(fd, &listed));
	is_a = listed.pid == self->agents[0].pid ||
	       listed.pid == self->agents[2].pid;
	if (self->charges)
		EXPECT_STREQ(is_a ? "/" A : "/" B, listed.cgroup);
	EXPECT_CHARGED(A, before_a, is_a ? total : 0);
	EXPECT_CHARGED(B, before_b, is_a ? 0 : total);
	in_a = cgroup_charged(A) - before_a;
	in_b = cgroup_charged(B) - before_b;
	EXPECT_GT((long long)SLACK, llabs(in_a + in_b - total));
	for (i = 0; i < 4; i++)
		agent_kill(&self->agents[i]);
	EXPECT_EQ(0, close(fd));
	EXPECT_CHARGED(A, before_a, 0);
	EXPECT_CHARGED(B, before_b, 0);
}

/* In one process: the descriptor goes while another thread pays through it */
struct closer {
	atomic_int fd;
	atomic_bool over;
	atomic_int charged;
	atomic_int missed;
	atomic_int other;
};

static void *pay_for_what_goes(void *data)
{
	struct closer *closer = data;
	int ret;

	while (!closer->over) {
		ret = buf_charge(closer->fd, 0);
		if (!ret)
			closer->charged++;
		else if (ret == -EBADF)
			closer->missed++;
		else
			closer->other++;
	}

	return NULL;
}

static int close_under_charge(struct agent *agent, struct closer *closer,
			      long long end)
{
	pthread_t thread;
	int fd;

	closer->fd = -1;
	if (pthread_create(&thread, NULL, pay_for_what_goes, closer))
		return -ENOMEM;
	while (now_ms() < end) {
		fd = agent_do(agent, AGENT_ALLOC, 0, KIB(64));
		if (fd < 0)
			return fd;
		fd = agent_give(agent, 0);
		if (fd < 0)
			return fd;
		/* Which reference is the last one is left to chance */
		agent_tell(agent, AGENT_CLOSE_ALL, 0, 0);
		closer->fd = fd;
		sched_yield();
		close(fd);
		if (agent_answer(agent))
			return -EIO;
	}
	closer->over = true;
	pthread_join(thread, NULL);

	return 0;
}

/* The payer is in B, who allocates is in A */
MEMCG_TEST(charge_races_with_close)
{
	long long before_a = cgroup_charged(A), before_b = cgroup_charged(B);
	struct closer *closer;
	int status;
	pid_t child;

	closer = mmap(NULL, page_size(), READ_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	ASSERT_NE(MAP_FAILED, closer);
	START(0, A);
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		if (cgroup_write(B, "cgroup.procs", "0"))
			_exit(1);
		_exit(close_under_charge(&self->agents[0], closer,
					 now_ms() + RACE_MS) ? 2 : 0);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_LT(0, closer->charged);
	EXPECT_EQ(0, closer->other);
	EXPECT_CHARGED(A, before_a, 0);
	EXPECT_CHARGED(B, before_b, 0);
	munmap(closer, page_size());
}

/* Hostile users */

#define HOSTILE_CHILDREN	4
#define HOSTILE_FORKS		12
#define HOSTILE_MS		2500
#define HOSTILE_LIMIT		MIB(96)
#define HOSTILE_GROUP		1234
#define NOBODY			65534

struct hostile {
	atomic_int forks;
	atomic_int failures;
	atomic_int held;
	atomic_int stuck;
};

static int random_size(__u64 *state)
{
	static const int shifts[] = { 12, 12, 14, 16, 18, 20, 22, 24, 30 };

	return shifts[pseudo_random(state) % ARRAY_SIZE(shifts)];
}

/* Takes what it can get and never gives anything back */
static void be_hostile(const char *node, struct hostile *hostile, int seed)
{
	__u64 state = seed;
	int heap_fd, fd = -1, last = -1;
	struct rlimit files = { 2048, 2048 };
	size_t len = 0;
	void *p;

	setrlimit(RLIMIT_NOFILE, &files);
	heap_fd = open(node, O_RDWR);
	if (heap_fd < 0)
		_exit(1);
	for (;;) {
		len = 1UL << random_size(&state);
		fd = heap_alloc(heap_fd, len);
		if (fd < 0) {
			hostile->failures++;
			/* Down to the last page */
			fd = heap_alloc(heap_fd, KIB(4));
			len = KIB(4);
		}
		if (fd < 0 && hostile->failures > 1000)
			hostile->stuck++;
		if (fd < 0)
			usleep(200);
		else
			last = fd, hostile->held++;
		switch (pseudo_random(&state) % 8) {
		case 0:
			p = buf_map(last, len, READ_WRITE);
			if (p != MAP_FAILED && len <= MIB(1) && fd >= 0)
				memset(p, 0xff, len);
			break;
		case 1:
			dup(last);
			break;
		case 2:
			if (hostile->forks++ < HOSTILE_FORKS && !fork())
				state += getpid();
			break;
		case 3:
			buf_charge(last, 0);
			break;
		}
	}
}

/* The parent of all of them, which the test kills with its whole cgroup or group */
static void lead_hostiles(const char *cgroup, const char *node,
			  struct hostile *hostile)
{
	int i;

	setpgid(0, 0);
	if (cgroup && cgroup_write(cgroup, "cgroup.procs", "0"))
		_exit(1);
	if (setgid(HOSTILE_GROUP) || setuid(NOBODY))
		_exit(2);
	for (i = 0; i < HOSTILE_CHILDREN; i++)
		if (!fork())
			be_hostile(node, hostile, i);
	for (;;)
		pause();
}

/* What everybody else can still have */
static bool others_live(const char *heap, bool same_heap)
{
	int heap_fd, fd, i;
	bool live = true;
	char *p;

	p = mmap(NULL, MIB(64), READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return false;
	memset(p, 1, MIB(64));
	munmap(p, MIB(64));
	for (i = 0; i < heap_count; i++) {
		if (!same_heap && !strcmp(heap_list[i], heap))
			continue;
		heap_fd = heap_open(heap_list[i], O_RDWR | O_CLOEXEC);
		fd = heap_alloc(heap_fd, KIB(256));
		live = live && fd >= 0;
		close(fd);
		close(heap_fd);
	}

	return live;
}

static void hostile_users(struct __test_metadata *_metadata,
			  struct _test_data_memcg *self, const char *heap,
			  const char *cgroup)
{
	long long available = mem_available_kib(), end;
	struct hostile *hostile;
	char node[PATH_MAX];
	struct stat st;
	pid_t leader;
	int lived = 0;

	hostile = mmap(NULL, page_size(), READ_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, hostile);
	snprintf(node, sizeof(node), HEAP_DIR "/%s", heap);
	ASSERT_EQ(0, stat(node, &st));
	ASSERT_EQ(0, chown(node, 0, HOSTILE_GROUP));
	ASSERT_EQ(0, chmod(node, 0660));
	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
	leader = fork();
	ASSERT_LE(0, leader);
	if (!leader)
		lead_hostiles(cgroup, node, hostile);

	end = now_ms() + HOSTILE_MS;
	while (now_ms() < end || !hostile->failures) {
		EXPECT_TRUE(others_live(heap, cgroup));
		lived++;
		usleep(10000);
	}
	/* All of them, in the middle of it; the orphans are ours then */
	do {
		kill(-leader, SIGKILL);
	} while (waitpid(-leader, NULL, 0) > 0);
	EXPECT_LT(0, lived);
	EXPECT_LT(0, hostile->held);
	EXPECT_LT(0, hostile->failures);
	TH_LOG("%d buffers, %d failures, %d forks", hostile->held,
	       hostile->failures, hostile->forks);
	ASSERT_EQ(0, chown(node, st.st_uid, st.st_gid));
	ASSERT_EQ(0, chmod(node, st.st_mode));

	EXPECT_TRUE(WAIT_FOR(heap_attr(heap, "buffers") == self->buffers));
	EXPECT_EQ(self->bytes, heap_attr(heap, "bytes"));
	EXPECT_MEM_BACK(available);
	munmap(hostile, page_size());
}

/* With nothing but a limit for all that they have */
MEMCG_TEST(hostile_users_in_a_cgroup)
{
	if (!self->charges || heap_attr(variant->name, "max_alloc") <
	    (long long)HOSTILE_LIMIT)
		SKIP(return, "not charged, or less than the limit");
	ASSERT_EQ(0, cgroup_set(ASIDE, "memory.max", HOSTILE_LIMIT));
	hostile_users(_metadata, self, variant->name, ASIDE);
	EXPECT_LT(0, cgroup_event(ASIDE, "max"));
	/* What they have beside buffers may cost one of them its life */
	self->kills = vm_counter("oom_kill");
	TH_LOG("%lld of them killed by the kernel",
	       cgroup_event(ASIDE, "oom_kill"));
}

/* With nothing but a limit for the heap */
MEMCG_TEST(hostile_users_below_a_ceiling)
{
	long long ceiling = HOSTILE_LIMIT;
	long long before;

	if (heap_attr(variant->name, "max_alloc") < ceiling)
		SKIP(return, "less than the limit");
	before = heap_attr(variant->name, "failures/ceiling");
	ASSERT_EQ(0, heap_attr_write(variant->name, "peak_bytes", "0"));
	ASSERT_EQ(0, heap_attr_set(variant->name, "max_bytes", ceiling));
	hostile_users(_metadata, self, variant->name, NULL);
	EXPECT_GE(ceiling, heap_attr(variant->name, "peak_bytes"));
	EXPECT_LT(before, heap_attr(variant->name, "failures/ceiling"));
	EXPECT_EQ(0, heap_attr_write(variant->name, "max_bytes", "max"));
}

int main(int argc, char **argv)
{
	heap_tests_init();
	heap_register(&_memcg_fixture_object);

	return test_harness_run(argc, argv);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Who pays for a buffer: memory cgroups are charged exactly what their tasks
 * allocate, for as long as it lives, wherever that ends, and limits fail allocations
 * and nothing else.
 */

#include <signal.h>

#include "heap_list.h"
#include "heap_memcg.h"

/* So many that a page too much or too little of each is more than a cgroup's slack */
#define COUNT	64

/* What the memory of a cgroup may be off, other than the kernel's, too */
#define ALL_SLACK	MIB(3)

/* How often a cgroup is filled, and with less than that many buffers */
#define FILL_UPS	32
#define FILL_MOST	400

static bool all_is(const char *cgroup, long long before, long long more)
{
	long long off = cgroup_number(cgroup, "memory.current") - before - more;

	return off > -(long long)ALL_SLACK && off < (long long)ALL_SLACK;
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

MEMCG_TEST(every_page_is_charged_in_all_cgroups_above)
{
	static const size_t lens[] = { KIB(4), KIB(68), KIB(252), MIB(1) };
	int i;

	START(0, A);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		size_t len = heap_fitting(variant->name, lens[i], COUNT);

		/* Cold, then from the pool, which belongs to nobody */
		ASSERT_EQ(0, pool_set(variant->name, "max_bytes", 0));
		charged_on_the_way_up(_metadata, self, len);
		ASSERT_EQ(0, pool_set(variant->name, "max_bytes", self->max_bytes));
		charged_on_the_way_up(_metadata, self, len);
		charged_on_the_way_up(_metadata, self, len);
	}
}

/* Nobody's limit covers the root of all */
MEMCG_TEST(root_cgroup_is_not_charged)
{
	size_t len = heap_fitting(variant->name, MIB(1), 16);
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
MEMCG_TEST(charge_lives_as_long_as_the_last_reference)
{
	size_t len = heap_fitting(variant->name, MIB(1), 32);
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
		SKIP(return, "%s is not charged", variant->name);
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

	if (!self->charges)
		SKIP(return, "%s is not charged", variant->name);
	if (heap_largest(variant->name) < (long long)LIMIT * 2)
		SKIP(return, "%s has less than the limit", variant->name);
	ASSERT_EQ(0, cgroup_set(A, "memory.max", LIMIT));
	START(0, A);
	fds = agent_do(agent, AGENT_FDS, 0, 0);

	/* At once, and a little at a time */
	EXPECT_EQ(-ENOMEM, agent_do(agent, AGENT_ALLOC, 0, LIMIT + KIB(4)));
	EXPECT_EQ(self->charge_failures + 1,
		  heap_attr(variant->name, "failures/memcg"));
	EXPECT_EQ(self->buffers, heap_attr(variant->name, "buffers"));
	EXPECT_EQ(self->bytes, heap_attr(variant->name, "bytes"));
	count = alloc_all(agent, MIB(1), LIMIT / MIB(1) + 1, &error);
	EXPECT_EQ(-ENOMEM, error);
	EXPECT_LE((int)(LIMIT / MIB(1)) - 3, count);
	EXPECT_GT((int)(LIMIT / MIB(1)), count);
	EXPECT_EQ(self->charge_failures + 2,
		  heap_attr(variant->name, "failures/memcg"));
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
MEMCG_TEST(limit_above_is_shared)
{
	int in_a, in_b, error;

	if (!self->charges)
		SKIP(return, "%s is not charged", variant->name);
	if (heap_largest(variant->name) < (long long)LIMIT * 2)
		SKIP(return, "%s has less than the limit", variant->name);
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
	if (!self->charges)
		SKIP(return, "%s is not charged", variant->name);
	if (heap_largest(variant->name) < (long long)LIMIT * 2)
		SKIP(return, "%s has less than the limit", variant->name);
	ASSERT_EQ(0, cgroup_set(A, "memory.max", LIMIT));
	START(0, A);
	ASSERT_EQ(0, agent_do(&self->agents[0], AGENT_LAZY, 0, LIMIT * 3 / 4));
	EXPECT_LE(LIMIT * 3 / 4, cgroup_number(A, "memory.current"));
	EXPECT_LE(0, agent_do(&self->agents[0], AGENT_ALLOC, 0, LIMIT / 2));
	EXPECT_EQ(self->charge_failures,
		  heap_attr(variant->name, "failures/memcg"));
	agent_kill(&self->agents[0]);

	START(1, B);
	ASSERT_EQ(0, cgroup_set(B, "memory.max", LIMIT));
	ASSERT_EQ(0, agent_do(&self->agents[1], AGENT_TOUCH, 0, LIMIT * 3 / 4));
	EXPECT_EQ(-ENOMEM,
		  agent_do(&self->agents[1], AGENT_ALLOC, 0, LIMIT / 2));
	EXPECT_EQ(self->charge_failures + 1,
		  heap_attr(variant->name, "failures/memcg"));
	EXPECT_EQ(0, cgroup_event(B, "oom_kill"));
	EXPECT_EQ(0, cgroup_event(A, "oom_kill"));
}

/* Where nothing can be charged, no limit is in the way */
MEMCG_TEST(not_charged_not_limited)
{
	size_t len = heap_fitting(variant->name, MIB(8), 4);

	if (self->charges)
		SKIP(return, "%s is charged", variant->name);
	ASSERT_EQ(0, cgroup_set(A, "memory.max", MIB(4)));
	START(0, A);
	EXPECT_EQ(0, agent_alloc(&self->agents[0], len, 3));
	EXPECT_EQ(self->charge_failures,
		  heap_attr(variant->name, "failures/memcg"));
}

/* Allocates, however large the heap lets one buffer be */
static int alloc_any(struct agent *agent, const char *heap, __u64 len)
{
	char old[64];
	int ret;

	if (heap_attr_read(heap, "buffer_limit_bytes", old, sizeof(old)) ||
	    heap_attr_write(heap, "buffer_limit_bytes", "max"))
		return -EIO;
	ret = agent_do(agent, AGENT_ALLOC, 0, len);

	return heap_attr_write(heap, "buffer_limit_bytes", old) ? -EIO : ret;
}

/*
 * A cgroup is charged with a gigabyte at a time. If there is room for the first one
 * only, it is not left there.
 */
MEMCG_TEST(failed_charge_leaves_nothing_charged)
{
	const long long first = MIB(1024), len = first + MIB(16);
	long long before;

	if (!self->charges)
		SKIP(return, "%s is not charged", variant->name);
	if (meminfo_kib("MemTotal:") * 1024 < len)
		SKIP_UNLESS_NEEDED(return, "gigabyte", "less than 1 GiB of memory");
	ASSERT_EQ(0, cgroup_set(A, "memory.max", first + MIB(8)));
	START(0, A);
	before = cgroup_number(A, "memory.current");
	EXPECT_EQ(-ENOMEM, alloc_any(&self->agents[0], variant->name, len));
	EXPECT_TRUE(WAIT_FOR(all_is(A, before, 0)));
	EXPECT_EQ(self->charge_failures + 1,
		  heap_attr(variant->name, "failures/memcg"));
	EXPECT_EQ(0, cgroup_event(A, "oom_kill"));
}

/* To charge a length no machine has would begin with the first gigabyte of it */
MEMCG_TEST(absurd_length_is_not_charged)
{
	START(0, A);
	ASSERT_EQ(0, cgroup_set(A, "memory.max",
				cgroup_number(A, "memory.current") + MIB(16)));
	EXPECT_EQ(-ENOMEM, alloc_any(&self->agents[0], variant->name,
				     1ULL << 62));
	EXPECT_EQ(0, cgroup_event(A, "max"));
	EXPECT_EQ(self->charge_failures,
		  heap_attr(variant->name, "failures/memcg"));
}

/* What outlives its cgroup is the parent's */
MEMCG_TEST(removed_cgroup_leaves_its_charge_to_the_parent)
{
	size_t len = heap_fitting(variant->name, MIB(1), 32);
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

#define PARKED_LEN	MIB(56)

/*
 * Memory in a pool is charged to nobody. So a task with little memory can leave a lot
 * there, one size after the other, but no more than the pools may hold.
 */
MEMCG_TEST(pools_hold_no_more_than_their_cap_for_a_small_cgroup)
{
	long long most = 0, total;
	size_t len;

	if (!self->charges)
		SKIP(return, "%s is not charged", variant->name);
	if (heap_attr(variant->name, "contiguous") == 1)
		SKIP(return, "%s has an area of its own", variant->name);
	if (self->max_bytes < 0)
		SKIP_UNLESS_NEEDED(return, "pool", "no pool behind %s",
				   variant->name);
	ASSERT_EQ(0, cgroup_set(A, "memory.max", MIB(64)));
	START(0, A);
	for (len = MIB(8); len < PARKED_LEN; len += MIB(1)) {
		ASSERT_EQ(0, agent_alloc(&self->agents[0], len, 1));
		ASSERT_EQ(0, agent_do(&self->agents[0], AGENT_CLOSE_ALL, 0, 0));
		total = pools_total_kib();
		most = total > most ? total : most;
	}
	EXPECT_GE(pools_cap_kib(), most);
	/* It tried */
	EXPECT_LE(pools_cap_kib() / 2, most);
}

int main(int argc, char **argv)
{
	heap_tests_init();
	heap_register(&_memcg_fixture_object);

	return test_harness_run(argc, argv);
}

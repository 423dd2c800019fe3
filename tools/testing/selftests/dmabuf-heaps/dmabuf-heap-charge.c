// SPDX-License-Identifier: GPL-2.0
/* DMA_BUF_IOCTL_CHARGE: it moves the charge of a buffer to whoever calls it */

#include <pthread.h>
#include <sched.h>

#include "heap_faults.h"
#include "heap_list.h"
#include "heap_memcg.h"

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

MEMCG_TEST(charge_moves_to_the_caller)
{
	size_t len = heap_fitting(variant->name, MIB(1), 32);
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

	/* The allocating task ends, the charge stays where it is */
	agent_kill(&self->agents[0]);
	EXPECT_CHARGED(A, before_a, total / 2);
	agent_kill(&self->agents[1]);
	EXPECT_EQ(0, close(fd));
	EXPECT_CHARGED(A, before_a, 0);
	EXPECT_CHARGED(B, before_b, 0);
}

/* The cgroup that paid is gone, so its parent has the charge already */
MEMCG_TEST(parent_that_pays_already_is_not_charged_again)
{
	size_t len = heap_fitting(variant->name, MIB(16), 4);
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

/* It takes no memory, so that it cannot fail for lack of it */
MEMCG_TEST(charge_needs_no_memory)
{
	size_t len = heap_fitting(variant->name, MIB(1), 4);
	long long before = cgroup_charged(B);
	const char *missing = fault_knobs_set();
	int fd, fail_nth;

	if (missing) {
		fault_knobs_restore();
		SKIP_UNLESS_NEEDED(return, "faults", "cannot use %s", missing);
	}
	START(0, A);
	ASSERT_EQ(0, agent_alloc(&self->agents[0], len, 1));
	fd = agent_give(&self->agents[0], 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, cgroup_write(B, "cgroup.procs", "0"));
	fail_nth = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fail_nth);

	fault_inject(fail_nth, 1);
	EXPECT_EQ(0, buf_charge(fd, 0));
	EXPECT_FALSE(fault_injected(fail_nth));
	EXPECT_CHARGED(B, before, self->charges ? len : 0);

	fault_knobs_restore();
	ASSERT_EQ(0, file_write(CGROUP "/cgroup.procs", "0"));
	EXPECT_EQ(0, close(fail_nth));
	EXPECT_EQ(0, close(fd));
}

/* Its flags and its length are checked, and nothing has changed then */
MEMCG_TEST(wrong_arguments_move_no_charge)
{
	size_t len = heap_fitting(variant->name, MIB(16), 4);
	long long before_a = cgroup_charged(A), before_b = cgroup_charged(B);
	struct listed before, after;
	int i, fd;

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
	ASSERT_EQ(0, list_find(fd, &after));
	EXPECT_EQ(before.pid, after.pid);
	EXPECT_STREQ(before.comm, after.comm);
	EXPECT_STREQ(before.cgroup, after.cgroup);
	EXPECT_CHARGED(A, before_a, self->charges ? len : 0);
	EXPECT_CHARGED(B, before_b, 0);
	EXPECT_EQ(0, close(fd));
}

/* In the cgroup of the caller, or in one above */
MEMCG_TEST(charge_does_not_move_without_room)
{
	static const char *const limited[] = { B, MIDDLE };
	const size_t len = MIB(16);
	long long before_a = cgroup_charged(A), before_b = cgroup_charged(B);
	struct listed before, after;
	int i, fd;

	if (!self->charges)
		SKIP(return, "%s is not charged", variant->name);
	if (heap_largest(variant->name) < (long long)len * 2)
		SKIP(return, "%s has no room for %zu bytes", variant->name, len);
	START(0, A);
	START(1, B);
	ASSERT_EQ(0, agent_alloc(&self->agents[0], len, 1));
	fd = agent_give(&self->agents[0], 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, agent_take(&self->agents[1], fd));
	ASSERT_EQ(0, list_find(fd, &before));
	for (i = 0; i < ARRAY_SIZE(limited); i++) {
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
	EXPECT_CHARGED(A, before_a, len);
	EXPECT_CHARGED(B, before_b, 0);
	EXPECT_EQ(self->charge_failures,
		  heap_attr(variant->name, "failures/memcg"));

	/* With room it works */
	EXPECT_EQ(0, agent_do(&self->agents[1], AGENT_CHARGE, 0, 0));
	EXPECT_CHARGED(B, before_b, len);
	EXPECT_EQ(0, close(fd));
}

MEMCG_TEST(buffers_of_other_exporters_have_no_charge)
{
	int vgem, exported;
	__u32 handle;

	vgem = vgem_open();
	if (vgem < 0)
		SKIP_UNLESS_NEEDED(return, "vgem", "no vgem device");
	ASSERT_EQ(0, vgem_create(vgem, KIB(4), &handle));
	exported = vgem_export(vgem, handle);
	ASSERT_LE(0, exported);
	EXPECT_EQ(-ENOTTY, buf_charge(exported, 0));
	EXPECT_EQ(-ENOTTY, buf_charge(exported, 1));
	EXPECT_EQ(0, close(exported));
	EXPECT_EQ(0, vgem_close_handle(vgem, handle));
	EXPECT_EQ(0, close(vgem));
}

/* So many times each, which takes longer than to start the others */
#define RACE_ROUNDS	100

/* Two want to pay at a time, and nobody pays twice */
MEMCG_TEST(one_of_many_who_want_to_pay_pays)
{
	size_t len = heap_fitting(variant->name, MIB(2), 4);
	long long before_a = cgroup_charged(A), before_b = cgroup_charged(B);
	long long total = self->charges ? len : 0;
	struct listed listed;
	const char *payer;
	bool is_a;
	int i, fd;

	for (i = 0; i < 4; i++)
		START(i, i % 2 ? B : A);
	ASSERT_EQ(0, agent_alloc(&self->agents[0], len, 1));
	for (i = 1; i < 4; i++)
		ASSERT_EQ(0, pass(self, 0, 0, i));
	fd = agent_give(&self->agents[0], 0);
	ASSERT_LE(0, fd);
	for (i = 0; i < 4; i++)
		agent_tell(&self->agents[i], AGENT_RACE, 0, 0);
	/* All of them are at it when the last one gets so far */
	for (i = 0; i < 4; i++)
		EXPECT_TRUE(WAIT_FOR(self->races[i].rounds >= RACE_ROUNDS));
	for (i = 0; i < 4; i++)
		self->races[i].over = true;
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, agent_answer(&self->agents[i]));

	/* It is who is listed, and nobody else */
	ASSERT_EQ(0, list_find(fd, &listed));
	is_a = listed.pid == self->agents[0].pid ||
	       listed.pid == self->agents[2].pid;
	payer = is_a ? "/" A : "/" B;
	EXPECT_STREQ(accounting_is_on() ? payer : "-", listed.cgroup);
	EXPECT_CHARGED(A, before_a, is_a ? total : 0);
	EXPECT_CHARGED(B, before_b, is_a ? 0 : total);
	for (i = 0; i < 4; i++)
		agent_kill(&self->agents[i]);
	EXPECT_EQ(0, close(fd));
	EXPECT_CHARGED(A, before_a, 0);
	EXPECT_CHARGED(B, before_b, 0);
}

/* How often somebody has to have paid, and to have come too late */
#define PAID	100

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

static int close_under_charge(struct agent *agent, struct closer *closer)
{
	pthread_t thread;
	int fd;

	closer->fd = -1;
	if (pthread_create(&thread, NULL, pay_for_what_goes, closer))
		return -ENOMEM;
	while (closer->charged < PAID || closer->missed < PAID) {
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
MEMCG_TEST(paying_while_it_is_closed_charges_nobody)
{
	long long before_a = cgroup_charged(A), before_b = cgroup_charged(B);
	struct closer *closer;
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
		_exit(close_under_charge(&self->agents[0], closer) ? 2 : 0);
	}
	EXPECT_EQ(0, child_end(child));
	EXPECT_EQ(0, closer->other);
	EXPECT_CHARGED(A, before_a, 0);
	EXPECT_CHARGED(B, before_b, 0);
	munmap(closer, page_size());
}

int main(int argc, char **argv)
{
	heap_tests_init();
	heap_register(&_memcg_fixture_object);

	return test_harness_run(argc, argv);
}

// SPDX-License-Identifier: GPL-2.0
/* Hostile processes: what they can take, and that the machine lives on */

#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "heap_memcg.h"

#define HOSTILE_CHILDREN	4
#define HOSTILE_FORKS		12

#define HOSTILE_LIMIT		MIB(96)
/* The largest of their buffers that there is room for */
#define HOSTILE_LARGEST		MIB(16)

/*
 * Hostile processes reach these counts before the kill, and others the last one. They
 * keep their buffers: with fewer than these, the limit is not reached.
 */
#define HOSTILE_FAILURES	200
#define HOSTILE_BUFFERS		(HOSTILE_LIMIT / HOSTILE_LARGEST / 2)
#define OTHERS_LIVED		10
#define OTHERS_MEMORY		MIB(16)

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

/* Other users still get memory and buffers */
static bool others_live(const char *heap, bool same_heap)
{
	int heap_fd, fd, i;
	bool live = true;
	char *p;

	p = mmap(NULL, OTHERS_MEMORY, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		 -1, 0);
	if (p == MAP_FAILED)
		return false;
	memset(p, 1, OTHERS_MEMORY);
	munmap(p, OTHERS_MEMORY);
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
	long long available = mem_available_kib();
	struct hostile *hostile;
	char node[PATH_MAX];
	struct stat st;
	pid_t leader;
	int lived;

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

	for (lived = 0; lived < OTHERS_LIVED ||
	     hostile->failures < HOSTILE_FAILURES ||
	     hostile->held < HOSTILE_BUFFERS ||
	     hostile->forks < HOSTILE_FORKS; lived++) {
		ASSERT_TRUE(others_live(heap, cgroup));
		usleep(10000);
	}
	/* All of them, in the middle of it; the orphans are ours then */
	do {
		kill(-leader, SIGKILL);
	} while (waitpid(-leader, NULL, 0) > 0);
	ASSERT_EQ(0, chown(node, st.st_uid, st.st_gid));
	ASSERT_EQ(0, chmod(node, st.st_mode));

	EXPECT_TRUE(WAIT_FOR(heap_attr(heap, "buffers") == self->buffers));
	EXPECT_EQ(self->bytes, heap_attr(heap, "bytes"));
	EXPECT_MEM_BACK(available);
	munmap(hostile, page_size());
}

/* With nothing but a limit for all that they have */
MEMCG_TEST(others_live_beside_hostile_users_in_a_cgroup)
{
	if (!self->charges)
		SKIP(return, "%s is not charged", variant->name);
	if (heap_largest(variant->name) < (long long)HOSTILE_LIMIT)
		SKIP(return, "%s has less than the limit", variant->name);
	ASSERT_EQ(0, cgroup_set(ASIDE, "memory.max", HOSTILE_LIMIT));
	hostile_users(_metadata, self, variant->name, ASIDE);
	EXPECT_LT(0, cgroup_event(ASIDE, "max"));
	/* Other memory of the hostile processes may cause an OOM kill among them */
	self->kills = vm_counter("oom_kill");
}

/* With nothing but a limit for the heap */
MEMCG_TEST(others_live_beside_hostile_users_below_max_bytes)
{
	long long limit = HOSTILE_LIMIT;
	long long before;

	if (heap_largest(variant->name) < limit)
		SKIP(return, "%s has less than the limit", variant->name);
	before = heap_attr(variant->name, "failures/limit");
	ASSERT_EQ(0, heap_attr_write(variant->name, "peak_bytes", "0"));
	ASSERT_EQ(0, heap_attr_set(variant->name, "heap_limit_bytes", limit));
	hostile_users(_metadata, self, variant->name, NULL);
	EXPECT_GE(limit, heap_attr(variant->name, "peak_bytes"));
	EXPECT_LT(before, heap_attr(variant->name, "failures/limit"));
	EXPECT_EQ(0, heap_attr_write(variant->name, "heap_limit_bytes", "max"));
}

int main(int argc, char **argv)
{
	heap_tests_init();
	heap_register(&_memcg_fixture_object);

	return test_harness_run(argc, argv);
}

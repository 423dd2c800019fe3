/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fixture of tests of who pays for buffers: a heap, and a tree of memory cgroups
 * with agents in them.
 */
#ifndef HEAP_MEMCG_H
#define HEAP_MEMCG_H

#include "heap_cgroup.h"
#include "heap_fixture.h"

/* A tree; the agents live in its leaves, "a" and "b" */
#define TOP	"dmabuf-heap-memcg"
#define MIDDLE	TOP "/middle"
#define A	MIDDLE "/a"
#define B	MIDDLE "/b"
#define ASIDE	TOP "/aside"

/* The order in which they are made */
static const char *const tree[] = { TOP, MIDDLE, A, B, ASIDE };
static const char *const inner[] = { TOP, MIDDLE };

#define MAX_AGENTS	4

FIXTURE(memcg)
{
	int fd;
	int open_fds;
	long long bytes;
	long long buffers;
	long long charge_failures;
	long long kills;
	/* Of its pool; negative if it has none */
	long long max_bytes;
	bool charges;
	struct agent_race *races;
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
		if (!cgroup_make(tree[i]))
			SKIP_UNLESS_NEEDED(return, "memcg",
					   "no memory controller");
		if (i < ARRAY_SIZE(inner))
			ASSERT_EQ(0, cgroup_write(inner[i],
						  "cgroup.subtree_control",
						  "+memory"));
	}
	ASSERT_EQ(is_needed("unaccounted"), !accounting_is_on());
	/* Carveouts are not the system's memory */
	self->charges = accounting_is_on() &&
			!heap_is_reserved(variant->name);
	self->races = mmap(NULL, page_size(), READ_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->races);
	for (i = 0; i < MAX_AGENTS; i++)
		self->agents[i].race = &self->races[i];
	self->fd = heap_open(variant->name, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->open_fds = open_fds();
	self->bytes = heap_attr(variant->name, "bytes");
	self->buffers = heap_attr(variant->name, "buffers");
	self->charge_failures = heap_attr(variant->name, "failures/memcg");
	self->kills = vm_counter("oom_kill");
	self->max_bytes = pool_get(variant->name, "max_bytes");
}

FIXTURE_TEARDOWN(memcg)
{
	int i;

	for (i = 0; i < MAX_AGENTS; i++)
		agent_kill(&self->agents[i]);
	if (self->max_bytes >= 0)
		EXPECT_EQ(0, pool_set(variant->name, "max_bytes", self->max_bytes));
	EXPECT_EQ(self->open_fds, open_fds());
	EXPECT_EQ(self->bytes, heap_attr(variant->name, "bytes"));
	EXPECT_EQ(self->buffers, heap_attr(variant->name, "buffers"));
	EXPECT_EQ(self->kills, vm_counter("oom_kill"));
	for (i = ARRAY_SIZE(tree); i--; )
		EXPECT_TRUE(WAIT_FOR(cgroup_remove(tree[i]) != -EBUSY));
	close(self->fd);
	munmap(self->races, page_size());
}

#define MEMCG_TEST(name) \
	TEST_F_TIMEOUT(memcg, name, 2 * HEAP_TEST_TIMEOUT)

#define START(index, cgroup) \
	ASSERT_EQ(0, agent_start(&self->agents[index], cgroup, #index, \
				 self->fd))

/* Comes to be charged that much more than before */
#define EXPECT_CHARGED(cgroup, before, more) do {			\
	const char *_cgroup = cgroup;					\
	long long _before = before, _more = more;			\
									\
	EXPECT_TRUE(WAIT_FOR(cgroup_charged_is(_cgroup, _before, _more)))	\
		TH_LOG("%s: %lld charged, not %lld", _cgroup,		\
		       cgroup_charged(_cgroup) - _before, _more);	\
} while (0)

#endif /* HEAP_MEMCG_H */

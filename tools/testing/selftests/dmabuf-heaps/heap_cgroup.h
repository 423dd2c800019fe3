/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory cgroups, and agents in them: processes that allocate, hold, hand over and
 * pay for buffers when they are told to.
 */
#ifndef HEAP_CGROUP_H
#define HEAP_CGROUP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "heap_helpers.h"

#define CGROUP	"/sys/fs/cgroup"

/* Below CGROUP; all but cgroup_make() and cgroup_remove() take such a name, too */
bool cgroup_make(const char *name);
int cgroup_remove(const char *name);
int cgroup_write(const char *name, const char *file, const char *text);
int cgroup_set(const char *name, const char *file, long long value);
long long cgroup_number(const char *name, const char *file);
long long cgroup_event(const char *name, const char *event);
long long cgroup_charged(const char *name);

/*
 * What of a charge cannot be told from what CPUs have at hand for the next one, and
 * what the kernel needs for the buffers
 */
#define CGROUP_SLACK	KIB(192)

/* Whether it is charged @more than when that was @before, give or take the slack */
bool cgroup_charged_is(const char *name, long long before, long long more);

/* Memory shared with an agent: how often it has paid, and whether it may stop */
struct agent_race {
	atomic_int rounds;
	atomic_bool over;
};

struct agent {
	struct agent_race *race;
	pid_t pid;
	int sock;
};

enum agent_verb {
	AGENT_ALLOC,	/* a buffer of @len bytes; its number */
	AGENT_FILL,	/* buffers of @len bytes until there is no room; how many */
	AGENT_CLOSE,	/* buffer @index */
	AGENT_CLOSE_ALL,
	AGENT_GIVE,	/* buffer @index, see agent_give() */
	AGENT_TAKE,	/* see agent_take() */
	AGENT_CHARGE,	/* buffer @index, with @len as flags */
	AGENT_RACE,	/* the same until its race is over; the first error */
	AGENT_TOUCH,	/* @len bytes of memory */
	AGENT_LAZY,	/* the same, which can then be had back at any time */
	AGENT_MAP,	/* buffer @index, for as long as it lives */
	AGENT_FDS,	/* number of open descriptors */
};

int agent_start(struct agent *agent, const char *cgroup, const char *comm,
		int heap_fd);
void agent_tell(struct agent *agent, enum agent_verb verb, int index,
		unsigned long long len);
int agent_answer(struct agent *agent);
int agent_do(struct agent *agent, enum agent_verb verb, int index,
	     unsigned long long len);
int agent_alloc(struct agent *agent, size_t len, int count);
int agent_give(struct agent *agent, int index);
int agent_take(struct agent *agent, int fd);
void agent_kill(struct agent *agent);

#endif /* HEAP_CGROUP_H */

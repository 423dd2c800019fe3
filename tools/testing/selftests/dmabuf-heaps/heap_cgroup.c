// SPDX-License-Identifier: GPL-2.0
/* Memory cgroups and agents in them, see heap_cgroup.h */

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "heap_cgroup.h"

#define MAX_BUFFERS	4096
#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

static void cgroup_path(char *path, const char *name, const char *file)
{
	snprintf(path, PATH_MAX, CGROUP "/%s/%s", name, file);
}

/* With the memory controller, for its children, too; false without that */
bool cgroup_make(const char *name)
{
	char path[PATH_MAX];

	file_write(CGROUP "/cgroup.subtree_control", "+memory");
	cgroup_path(path, name, "");
	if (mkdir(path, 0755) && errno != EEXIST)
		return false;
	cgroup_path(path, name, "memory.max");

	return !access(path, W_OK);
}

int cgroup_remove(const char *name)
{
	char path[PATH_MAX];

	cgroup_path(path, name, "");

	return rmdir(path) ? -errno : 0;
}

int cgroup_write(const char *name, const char *file, const char *text)
{
	char path[PATH_MAX];

	cgroup_path(path, name, file);

	return file_write(path, text);
}

int cgroup_set(const char *name, const char *file, long long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%lld", value);

	return cgroup_write(name, file, text);
}

long long cgroup_number(const char *name, const char *file)
{
	char path[PATH_MAX];

	cgroup_path(path, name, file);

	return file_number(path);
}

long long cgroup_event(const char *name, const char *event)
{
	char path[PATH_MAX];

	cgroup_path(path, name, "memory.events");

	return file_value(path, event);
}

/*
 * What the kernel has charged the cgroup that is not for slab, stacks, page tables
 * and the like, in bytes: buffers, and what CPUs have at hand for the next charge,
 * which is some pages. All in one reading, since all of it changes.
 */
long long cgroup_charged(const char *name)
{
	static const char *const others[] = {
		"kernel_stack", "pagetables", "sec_pagetables", "percpu",
		"vmalloc", "slab",
	};
	char path[PATH_MAX], line[256], key[128];
	long long value, sum = -1;
	FILE *file;
	int i;

	/* Has what CPUs have counted summed up, which is done now and then only */
	cgroup_path(path, name, "cpu.stat");
	file_read(path, line, sizeof(line));
	cgroup_path(path, name, "memory.stat");
	file = fopen(path, "re");
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%127s %lld", key, &value) != 2)
			continue;
		/* It comes before the others */
		if (!strcmp(key, "kernel"))
			sum = value;
		for (i = 0; i < ARRAY_SIZE(others); i++)
			if (!strcmp(key, others[i]))
				sum -= value;
	}
	fclose(file);

	return sum;
}

bool cgroup_charged_is(const char *name, long long before, long long more)
{
	long long off = cgroup_charged(name) - before - more;

	return off > -(long long)CGROUP_SLACK && off < (long long)CGROUP_SLACK;
}

struct request {
	enum agent_verb verb;
	int index;
	unsigned long long len;
};

/* The agent's own */
static int buffers[MAX_BUFFERS];
static int buffer_count;

static int keep(int fd)
{
	if (fd < 0)
		return fd;
	if (buffer_count == MAX_BUFFERS) {
		close(fd);
		return -ENOSPC;
	}
	buffers[buffer_count] = fd;

	return buffer_count++;
}

static int fill(int heap_fd, size_t len)
{
	int ret, count = 0;

	while ((ret = keep(heap_alloc(heap_fd, len))) >= 0)
		count++;
	if (ret != -ENOMEM || !count)
		return ret;

	/* The answer takes memory, too */
	close(buffers[--buffer_count]);

	return count;
}

static int touch_memory(size_t len, bool lazy)
{
	char *p;

	p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	madvise(p, len, MADV_NOHUGEPAGE);
	memset(p, 1, len);

	return lazy && madvise(p, len, MADV_FREE) ? -errno : 0;
}

static int run_race(int fd, struct agent_race *race)
{
	int ret = 0;

	while (!ret && !race->over) {
		ret = buf_charge(fd, 0);
		if (!ret)
			race->rounds++;
	}

	return ret;
}

static int obey(const struct request *request, int heap_fd, int sock,
		struct agent_race *race)
{
	int fd = buffers[request->index], i;

	switch (request->verb) {
	case AGENT_ALLOC:
		return keep(heap_alloc(heap_fd, request->len));
	case AGENT_FILL:
		return fill(heap_fd, request->len);
	case AGENT_CLOSE:
		return close(fd);
	case AGENT_CLOSE_ALL:
		for (i = 0; i < buffer_count; i++)
			close(buffers[i]);
		buffer_count = 0;
		return 0;
	case AGENT_GIVE:
		return send_fd(sock, fd);
	case AGENT_TAKE:
		return keep(receive_fd(sock));
	case AGENT_CHARGE:
		return buf_charge(fd, request->len);
	case AGENT_RACE:
		return run_race(fd, race);
	case AGENT_TOUCH:
		return touch_memory(request->len, false);
	case AGENT_LAZY:
		return touch_memory(request->len, true);
	case AGENT_MAP:
		return buf_map(fd, buf_size(fd), PROT_READ | PROT_WRITE) ==
		       MAP_FAILED ? -errno : 0;
	case AGENT_FDS:
		return open_fds();
	}

	return -EINVAL;
}

static void be_agent(const char *cgroup, const char *comm, int heap_fd,
		     int sock, struct agent_race *race)
{
	struct request request;
	int fd, ret;

	/* What the parent has open is not ours to keep */
	for (fd = 3; fd < 1024; fd++)
		if (fd != heap_fd && fd != sock)
			close(fd);
	if (cgroup_write(cgroup, "cgroup.procs", "0") ||
	    prctl(PR_SET_NAME, comm) || prctl(PR_SET_PDEATHSIG, SIGKILL))
		_exit(1);
	ret = 0;
	do {
		if (write(sock, &ret, sizeof(ret)) != sizeof(ret))
			_exit(2);
		if (read(sock, &request, sizeof(request)) != sizeof(request))
			_exit(0);
		ret = obey(&request, heap_fd, sock, race);
	} while (true);
}

/* Returns 0 once the agent is in its cgroup */
int agent_start(struct agent *agent, const char *cgroup, const char *comm,
		int heap_fd)
{
	int socks[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks))
		return -errno;
	agent->pid = fork();
	if (agent->pid < 0)
		return -errno;
	if (!agent->pid)
		be_agent(cgroup, comm, heap_fd, socks[1], agent->race);
	close(socks[1]);
	agent->sock = socks[0];

	return agent_answer(agent);
}

void agent_tell(struct agent *agent, enum agent_verb verb, int index,
		unsigned long long len)
{
	struct request request = {
		.verb = verb,
		.index = index,
		.len = len,
	};

	if (write(agent->sock, &request, sizeof(request)) != sizeof(request))
		abort();
}

/* -EPIPE if it is no more */
int agent_answer(struct agent *agent)
{
	int ret;

	return read(agent->sock, &ret, sizeof(ret)) == sizeof(ret) ? ret : -EPIPE;
}

int agent_do(struct agent *agent, enum agent_verb verb, int index,
	     unsigned long long len)
{
	agent_tell(agent, verb, index, len);

	return agent_answer(agent);
}

/* Returns 0 if it has got as many */
int agent_alloc(struct agent *agent, size_t len, int count)
{
	int ret = 0;

	while (count-- && ret >= 0)
		ret = agent_do(agent, AGENT_ALLOC, 0, len);

	return ret < 0 ? ret : 0;
}

/* Returns a descriptor of a buffer of the agent's, which keeps its own */
int agent_give(struct agent *agent, int index)
{
	int fd, ret;

	agent_tell(agent, AGENT_GIVE, index, 0);
	fd = receive_fd(agent->sock);
	ret = agent_answer(agent);

	return ret ? ret : fd;
}

/* Returns the number the agent has it under */
int agent_take(struct agent *agent, int fd)
{
	int ret;

	agent_tell(agent, AGENT_TAKE, 0, 0);
	ret = send_fd(agent->sock, fd);
	if (ret)
		return ret;

	return agent_answer(agent);
}

void agent_kill(struct agent *agent)
{
	if (agent->pid <= 0)
		return;
	child_kill(agent->pid);
	close(agent->sock);
	agent->pid = 0;
}

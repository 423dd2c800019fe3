// SPDX-License-Identifier: GPL-2.0
/*
 * Workers of dmabuf-heap-soak that stand in the way of others: they take memory, kill,
 * suspend, unload a module, read and write all files of sysfs and debugfs. See heap_soak.h.
 */

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "heap_cgroup.h"
#include "heap_list.h"
#include "heap_loop.h"
#include "heap_module.h"
#include "heap_regions.h"
#include "heap_soak.h"
#include "heap_suspend.h"

static const char *no_memcg(void)
{
	return access(CGROUP "/cgroup.controllers", F_OK) ? "no cgroups" : NULL;
}

/* The reader: reads all files about heaps, again and again, as a monitor does */

static int read_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
	char buf[4096];
	int fd;

	if (type != FTW_F || !(st->st_mode & 0444))
		return 0;
	/* Some files are gone again, and some can be read only after a question */
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return 0;
	while (read(fd, buf, sizeof(buf)) > 0)
		;
	close(fd);

	return 0;
}

static const char *const trees[] = {
	"/sys/devices/virtual/dma_heap", "/sys/kernel/dma_heap",
	"/sys/kernel/debug/dma_heap", "/sys/kernel/debug/dma_buf",
	"/sys/kernel/debug/dma_heap_test_importer", "/sys/kernel/debug/cma",
	"/sys/module/dma_heap_pool/parameters", "/proc/self/fdinfo", "/proc/self/smaps",
};

static void reader(struct soak *soak)
{
	const struct soak_heap *heap = soak_heap(soak);
	struct listed listed;
	bool found = false;
	FILE *list;
	int i, fd;

	fd = soak_alloc(soak, heap, page_size());
	if (fd < 0)
		return;
	for (i = 0; i < ARRAY_SIZE(trees); i++)
		nftw(trees[i], read_file, 16, FTW_PHYS);
	list = list_open();
	if (!list)
		soak_fail(soak, "cannot read " HEAP_LIST);
	/* This ends the worker at a line that is none */
	while (list_next(list, &listed))
		found |= listed.pid == getpid();
	fclose(list);
	if (!found)
		soak_fail(soak, "a buffer of %s is not in " HEAP_LIST, heap->name);
	close(fd);
	soak_round(soak);
}

/* The writer: each attribute of a heap, for a moment */

static const char *const knobs[] = {
	"pool/max_bytes", "pool/decay_ms", "buffer_limit_bytes", "heap_limit_bytes",
};

static void set(struct soak *soak, const char *heap, const char *attr, const char *text)
{
	int ret = heap_attr_write(heap, attr, text);

	if (ret && ret != -ENOENT && ret != -ENOMEM)
		soak_fail(soak, "cannot write %s to %s of %s: %s", text, attr, heap,
			  strerror(-ret));
}

static void writer(struct soak *soak)
{
	const char *heap = soak_heap(soak)->name;
	const char *knob = knobs[soak_random(soak, ARRAY_SIZE(knobs))];
	char before[64], text[64];
	long long counted, freed;

	switch (soak_random(soak, 8)) {
	case 0:
		pool_shrink(heap_pool(heap), &counted, &freed);
		break;
	case 1:
		set(soak, heap, "peak_bytes", "0");
		set(soak, heap, "peak_buffers", "0");
		break;
	case 2:
		snprintf(text, sizeof(text), "%zu %u", heap_fitting(heap, MIB(1), 8),
			 1 + soak_random(soak, 4));
		set(soak, heap, "pool/prefill", text);
		break;
	case 3:
		/* Slabs, without a line in the kernel's log */
		file_write("/proc/sys/vm/drop_caches", "6");
		break;
	default:
		if (heap_attr_read(heap, knob, before, sizeof(before)))
			return;
		snprintf(text, sizeof(text), "%u", soak_random(soak, MIB(16)));
		set(soak, heap, knob, text);
		soak_sleep(soak, 1 + soak_random(soak, 20));
		set(soak, heap, knob, before);
	}
	soak_sleep(soak, 5);
	soak_round(soak);
}

/* The hog: a process in a cgroup takes memory until little is left for all others */

#define HOG_CGROUP	"soak-hog"
#define HOG_STEP	MIB(2)
#define HOG_MARGIN	MIB(96)

/* The part that it gives back and takes again */
#define HOG_TIDE	MIB(256)

static void touch_all(char *p, size_t len)
{
	size_t at;

	for (at = 0; at < len; at += page_size())
		p[at] = 1;
}

static void take_memory(struct soak *soak, size_t limit)
{
	size_t at, low = limit > HOG_TIDE ? limit - HOG_TIDE : 0;
	char *p;

	/* It has much to do before its first round */
	nice(-10);
	if (cgroup_write(HOG_CGROUP, "cgroup.procs", "0") ||
	    file_write("/proc/self/oom_score_adj", "1000"))
		_exit(1);
	p = mmap(NULL, limit, READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		_exit(2);
	/* The kernel takes small pages when it has no huge ones any more */
	madvise(p, limit, MADV_HUGEPAGE);
	touch_all(p, low);
	do {
		for (at = low; at + HOG_STEP <= limit &&
		     KIB(meminfo_kib("MemAvailable:")) > HOG_MARGIN / 2; at += HOG_STEP)
			touch_all(p + at, HOG_STEP);
		soak_sleep(soak, 20);
		madvise(p + low, limit - low, MADV_DONTNEED);
		soak_round(soak);
		soak_sleep(soak, 100 + soak_random(soak, 400));
	} while (!soak_over(soak));
	_exit(0);
}

/* If memory runs out all the same, the kernel kills the hog */
static void run_hog(struct soak *soak)
{
	long long limit = KIB(meminfo_kib("MemAvailable:")) - HOG_MARGIN;
	pid_t child;
	int end;

	if (limit < (long long)HOG_TIDE) {
		soak_refused(soak);
		soak_sleep(soak, 100);
		return;
	}
	if (!cgroup_make(HOG_CGROUP) || cgroup_set(HOG_CGROUP, "memory.max", limit))
		soak_fail(soak, "cannot make the cgroup " HOG_CGROUP);
	child = soak_fork(soak);
	/* The cgroup pays for page tables, too */
	if (!child)
		take_memory(soak, limit - limit / 128 - MIB(4));
	end = child > 0 ? child_end(child) : -SIGKILL;
	if (end && end != -SIGKILL)
		soak_fail(soak, "the hog ends with %d", end);
	soak->slot->events += end == -SIGKILL;
	if (!WAIT_FOR(cgroup_remove(HOG_CGROUP) != -EBUSY))
		soak_fail(soak, "cannot remove the cgroup " HOG_CGROUP);
}

/* The miser: allocates in a small cgroup until that refuses */

#define MISER_CGROUP	"soak-miser"
#define MISER_LIMIT	MIB(24)

/* Buffers are refused, and no process is killed for them */
static void fill_cgroup(struct soak *soak, struct agent *agent, size_t len)
{
	long long before = cgroup_charged(MISER_CGROUP);
	int count = agent_do(agent, AGENT_FILL, 0, len);

	if (count < 0 && count != -ENOMEM)
		soak_fail(soak, "cannot fill a cgroup: %s", strerror(-count));
	if (cgroup_event(MISER_CGROUP, "oom_kill"))
		soak_fail(soak, "the kernel killed a process for a buffer");
	if (count > 0 && cgroup_event(MISER_CGROUP, "max"))
		soak_round(soak);
	else
		soak_refused(soak);
	if (agent_do(agent, AGENT_CLOSE_ALL, 0, 0))
		soak_fail(soak, "the other process cannot close its buffers");
	if (!WAIT_FOR(cgroup_charged_is(MISER_CGROUP, before, 0)))
		soak_fail(soak, "a cgroup without buffers is charged %lld bytes more than before",
			  cgroup_charged(MISER_CGROUP) - before);
}

static void run_miser(struct soak *soak)
{
	const struct soak_heap *heap;
	struct agent agent = { };
	size_t len;

	do {
		heap = soak_heap(soak);
	} while (heap->reserved || heap_has_fallback(heap->name));
	/* A process can have 1024 descriptors */
	len = KIB(32) << soak_random(soak, 7);
	if (!cgroup_make(MISER_CGROUP) ||
	    cgroup_set(MISER_CGROUP, "memory.max", MISER_LIMIT))
		soak_fail(soak, "cannot make the cgroup " MISER_CGROUP);
	file_write("/proc/self/oom_score_adj", "0");
	if (!agent_start(&agent, MISER_CGROUP, "soak-miser", heap->fd)) {
		fill_cgroup(soak, &agent, len);
		/* For other memory than buffers, the kernel kills the agent */
		if (!soak_random(soak, 32) &&
		    agent_do(&agent, AGENT_ALLOC, 0, len) >= 0 &&
		    agent_do(&agent, AGENT_TOUCH, 0, 2 * MISER_LIMIT) == -EPIPE)
			soak->slot->events++;
	} else {
		soak_refused(soak);
	}
	agent_kill(&agent);
	if (!WAIT_FOR(cgroup_remove(MISER_CGROUP) != -EBUSY))
		soak_fail(soak, "cannot remove the cgroup " MISER_CGROUP);
}

/* The killer: kills a process that is busy with buffers, and starts another one */

#define VICTIM_BUFFERS	8

struct victim {
	struct soak *soak;
	int fds[VICTIM_BUFFERS];
	int socks[2];
};

static bool victim_round(void *data)
{
	struct victim *victim = data;
	struct soak *soak = victim->soak;
	const struct soak_heap *heap = soak_heap(soak);
	int *fd = &victim->fds[soak_random(soak, VICTIM_BUFFERS)];
	size_t len = heap_fitting(heap->name, MIB(1) << soak_random(soak, 4), 4);
	char *p;

	close(*fd);
	*fd = heap_alloc(heap->fd, len);
	if (*fd < 0)
		return true;
	p = buf_map(*fd, len, READ_WRITE);
	if (p != MAP_FAILED)
		memset(p, 0xa5, len);
	if (soak_random(soak, 2) && p != MAP_FAILED)
		munmap(p, len);
	/* Nobody receives it; a full socket refuses it */
	send(victim->socks[0], "", 1, MSG_DONTWAIT);
	if (!soak_random(soak, 8))
		send_fd(victim->socks[0], *fd);
	if (!soak_random(soak, 4) && soak_importer(soak)) {
		importer_unmap(soak->importer);
		importer_map_peer(soak->importer, *fd, IMPORTER_COHERENT, DEVICE_WRITES);
	}

	return true;
}

static void killer(struct soak *soak)
{
	struct loop loop = { .random = soak->random };
	struct victim victim = { .soak = soak };
	int i, end;

	for (i = 0; i < VICTIM_BUFFERS; i++)
		victim.fds[i] = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, victim.socks))
		soak_fail(soak, "no sockets: %s", strerror(errno));
	if (loop_start(&loop, victim_round, &victim)) {
		soak_refused(soak);
	} else {
		end = loop_kill(&loop);
		if (end == -SIGKILL)
			soak_round(soak);
		else if (!soak_over(soak))
			soak_fail(soak, "the victim ends with %d", end);
		soak->slot->events++;
	}
	/* The next victim does other things */
	soak->random = loop.random;
	close(victim.socks[0]);
	close(victim.socks[1]);
}

/* The sleeper: suspends the machine */

#define SLEEPER_S	2

static const char *no_suspend(void)
{
	if (!suspend_can_suspend())
		return "cannot suspend";

	return suspend_has_alarm() ? NULL : "no clock with an alarm";
}

static void sleeper(struct soak *soak)
{
	int ret;

	soak_sleep(soak, 4000 + soak_random(soak, 8000));
	if (soak_over(soak) && soak->slot->rounds)
		return;
	ret = suspend_for(SLEEPER_S);
	if (ret && ret != -EBUSY)
		soak_fail(soak, "cannot suspend: %s", strerror(-ret));
	if (!ret)
		soak_round(soak);
	else
		soak_refused(soak);
}

/* The loader: unloads and loads a module that others use; modules of heaps have to stay */

#define IMPORTER_MODULE	"dma_heap_test_importer"

static const char *no_module(void)
{
	return module_is_loaded(IMPORTER_MODULE) ? NULL : "the test importer is no module";
}

static const char *const permanent[] = {
	"dma_heap_pool", "dma_heap_buffer", "dma_heap_space", "system_heap", "cma_heap",
	"carveout_heap", "sram_heap",
};

static void loader(struct soak *soak)
{
	const char *stays = permanent[soak_random(soak, ARRAY_SIZE(permanent))];

	if (!module_unload(stays))
		soak_fail(soak, "the module %s can be unloaded", stays);
	soak->shared->module_wanted = true;
	/* Others have it open */
	if (!WAIT_FOR(!module_unload(IMPORTER_MODULE)))
		soak_fail(soak, "cannot unload " IMPORTER_MODULE);
	if (!WAIT_FOR(!module_load_by_name(IMPORTER_MODULE)))
		soak_fail(soak, "cannot load " IMPORTER_MODULE);
	soak->shared->module_wanted = false;
	soak_round(soak);
	soak_sleep(soak, 1000 + soak_random(soak, 2000));
}

const struct soak_worker soak_rivals[] = {
	{ "reader", reader, 1 },
	{ "writer", writer, 1 },
	{ "hog", run_hog, 1, "OOM kills", no_memcg, "memcg" },
	{ "miser", run_miser, 1, "OOM kills", no_memcg, "memcg" },
	{ "killer", killer, 1, "kills" },
	{ "sleeper", sleeper, 1, NULL, no_suspend, "alarm" },
	{ "loader", loader, 1, NULL, no_module, "importer" },
};

const int soak_rival_count = ARRAY_SIZE(soak_rivals);

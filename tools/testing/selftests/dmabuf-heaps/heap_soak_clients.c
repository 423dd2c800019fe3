// SPDX-License-Identifier: GPL-2.0
/*
 * Workers of dmabuf-heap-soak that use buffers as programs and drivers do, see heap_soak.h.
 * They read back all that they wrote.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "heap_cgroup.h"
#include "heap_soak.h"

static const char *no_mover(void)
{
	const char *why = NULL;
	int importer = importer_open();
	int heap_fd = heap_open("system", O_RDWR | O_CLOEXEC);
	int fd = heap_alloc(heap_fd, KIB(4));

	if (importer < 0)
		why = "no test importer";
	else if (!importer_has(importer, fd, IMPORTER_MOVER_2))
		why = "no two devices that move bytes";
	close(fd);
	close(heap_fd);
	close(importer);

	return why;
}

static const char *no_memcg(void)
{
	return access(CGROUP "/cgroup.controllers", F_OK) ? "no cgroups" : NULL;
}

/* The camera: a ring of buffers that a device fills */

#define RING		8
#define FRAME_LEN	(1920 * 1080 * 3 / 2)
#define FRAMES		16
/* An edu moves that much in 100 ms */
#define PLACE_LEN	2048

/* The device writes to a place of the buffer, and sees what the CPU wrote there next */
static bool camera_frame(struct soak *soak, const struct soak_heap *heap, int fd, char *p,
			 size_t len)
{
	int device = IMPORTER_MOVER + soak->slot->number % 2;
	size_t at = 8 * (size_t)soak_random(soak, (len - PLACE_LEN) / 8 + 1);
	__u32 seed = ++soak->seed;
	long long wrong;
	int ret;

	soak_fill(soak, fd, p, len, seed);
	if (!soak_import(soak, heap, fd, device, DEVICE_WRITES))
		return false;
	ret = importer_do(soak->importer, "dwrite %zu %u %u", at, PLACE_LEN, ~seed);
	if (ret)
		soak_fail(soak, "the device cannot write to a buffer of %s: %s", heap->name,
			  strerror(-ret));
	importer_unmap(soak->importer);

	buf_sync(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);
	if (pattern_check(p + at, at, PLACE_LEN, ~seed) >= 0)
		soak_fail(soak, "the CPU does not see the device's bytes at %zu of a buffer of %s",
			  at, heap->name);
	pattern_fill(p + at, at, PLACE_LEN, seed);
	buf_sync(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
	soak_check(soak, fd, p, len, seed);

	if (!soak_import(soak, heap, fd, device, DEVICE_READS))
		return false;
	wrong = importer_reads(soak->importer, at, PLACE_LEN, seed);
	if (wrong != -1)
		soak_fail(soak, "the device does not see the CPU's bytes in a buffer of %s: %lld",
			  heap->name, wrong);
	importer_unmap(soak->importer);

	return true;
}

static void camera(struct soak *soak)
{
	const struct soak_heap *heap = soak_mapped_heap(soak);
	size_t len = heap_fitting(heap->name, FRAME_LEN, RING);
	int ring[RING], count, frame, i;
	void *p;

	for (count = 0; count < RING; count++) {
		ring[count] = soak_alloc(soak, heap, len);
		if (ring[count] < 0)
			break;
	}
	for (frame = 0; count == RING && frame < FRAMES && !soak_over(soak); frame++) {
		p = soak_map(soak, ring[frame % RING], len);
		if (p && camera_frame(soak, heap, ring[frame % RING], p, len))
			soak_round(soak);
		if (p)
			munmap(p, page_align(len));
	}
	for (i = 0; i < count; i++)
		close(ring[i]);
}

/* The browser: many sizes, in no order */

#define TABS		24
#define BROWSER_STEPS	200
#define BROWSER_MAX	MIB(8)

static void browser(struct soak *soak)
{
	struct { int fd; size_t len; __u32 seed; } tabs[TABS];
	const struct soak_heap *heap;
	int step, i;

	for (i = 0; i < TABS; i++)
		tabs[i].fd = -1;
	for (step = 0; step < BROWSER_STEPS && !soak_over(soak); step++) {
		i = soak_random(soak, TABS);
		if (tabs[i].fd >= 0) {
			soak_verify(soak, tabs[i].fd, tabs[i].len, tabs[i].seed);
			close(tabs[i].fd);
			tabs[i].fd = -1;
			soak_round(soak);
			continue;
		}
		heap = soak_mapped_heap(soak);
		tabs[i].len = soak_size(soak, heap, BROWSER_MAX);
		tabs[i].seed = ++soak->seed;
		tabs[i].fd = soak_filled(soak, heap, tabs[i].len, tabs[i].seed);
	}
	for (i = 0; i < TABS; i++)
		close(tabs[i].fd);
}

/* The messenger: buffers go through a socket to another cgroup, which pays for them then */

#define MESSAGES	8
#define MESSENGER_LEN	MIB(2)

#define SENDER		"soak-sender"
#define RECEIVER	"soak-receiver"

static void make_cgroup(struct soak *soak, const char *name)
{
	if (!cgroup_make(name))
		soak_fail(soak, "cannot make the cgroup %s", name);
}

static void enter_cgroup(struct soak *soak, const char *name)
{
	int ret = cgroup_write(name, "cgroup.procs", "0");

	if (ret)
		soak_fail(soak, "cannot enter the cgroup %s: %s", name, strerror(-ret));
}

static void remove_cgroup(struct soak *soak, const char *name)
{
	if (!WAIT_FOR(cgroup_remove(name) != -EBUSY))
		soak_fail(soak, "cannot remove the cgroup %s", name);
}

/* An agent answers -ENOMEM when memory is short; all else is a failure of that name */
static bool agent_is_well(struct soak *soak, int ret, const char *what)
{
	if (ret >= 0)
		return true;
	if (ret != -ENOMEM)
		soak_fail(soak, "the other process cannot %s: %s", what, strerror(-ret));
	soak_refused(soak);

	return false;
}

static void expect_charge(struct soak *soak, const char *cgroup, long long before,
			  long long more)
{
	if (WAIT_FOR(cgroup_charged_is(cgroup, before, more)))
		return;
	soak_fail(soak, "%s is charged %lld bytes more than before, not %lld", cgroup,
		  cgroup_charged(cgroup) - before, more);
}

/* The receiver pays, and gives one back; then nobody pays for any */
static bool deliver(struct soak *soak, struct agent *agent)
{
	const struct soak_heap *heap = soak_mapped_heap(soak);
	size_t len = soak_size(soak, heap, MESSENGER_LEN);
	long long before = cgroup_charged(RECEIVER), paid = 0;
	long long sender_before = cgroup_charged(SENDER);
	__u32 seed = ++soak->seed;
	int fd, i, index = -1, ret;

	for (i = 0; i < MESSAGES; i++) {
		fd = soak_filled(soak, heap, len, seed);
		if (fd < 0)
			break;
		index = agent_take(agent, fd);
		close(fd);
		if (!agent_is_well(soak, index, "take a buffer"))
			break;
		ret = agent_do(agent, AGENT_CHARGE, index, 0);
		if (!agent_is_well(soak, ret, "pay for a buffer"))
			break;
		paid += heap->reserved ? 0 : page_align(len);
	}
	/* A heap that falls back to another one hands out memory of either kind */
	if (!heap_has_fallback(heap->name))
		expect_charge(soak, RECEIVER, before, paid);
	if (i == MESSAGES) {
		fd = agent_give(agent, index);
		if (agent_is_well(soak, fd, "give a buffer")) {
			soak_verify(soak, fd, len, seed);
			close(fd);
		}
	}
	agent_is_well(soak, agent_do(agent, AGENT_CLOSE_ALL, 0, 0), "close");
	expect_charge(soak, RECEIVER, before, 0);
	expect_charge(soak, SENDER, sender_before, 0);

	return i == MESSAGES;
}

/* Ends with a buffer in the socket that nobody has received */
static void converse(struct soak *soak, struct agent *agent, int heap_fd, size_t len)
{
	int i, fd;

	for (i = 0; i < 8 && !soak_over(soak); i++)
		if (deliver(soak, agent))
			soak_round(soak);
	kill(agent->pid, SIGSTOP);
	fd = heap_alloc(heap_fd, len);
	if (fd >= 0)
		send_fd(agent->sock, fd);
	close(fd);
}

static void messenger(struct soak *soak)
{
	const struct soak_heap *heap = soak_heap(soak);
	struct agent agent = { };

	make_cgroup(soak, SENDER);
	make_cgroup(soak, RECEIVER);
	enter_cgroup(soak, SENDER);
	if (agent_is_well(soak, agent_start(&agent, RECEIVER, RECEIVER, heap->fd), "start"))
		converse(soak, &agent, heap->fd, heap_fitting(heap->name, MIB(1), 1));
	agent_kill(&agent);
	enter_cgroup(soak, "");
	remove_cgroup(soak, SENDER);
	remove_cgroup(soak, RECEIVER);
}

/* The mapper: parts of buffers are mapped, moved, and inherited by a child */

#define MAPPER_MAX	MIB(8)

/* Leaves the first and the last quarter mapped */
static void map_in_parts(struct soak *soak, int fd, char *p, size_t quarter, __u32 seed)
{
	size_t last = 3 * quarter;

	if (munmap(p + quarter, 2 * quarter))
		soak_fail(soak, "cannot unmap a part: %s", strerror(errno));
	if (touch(p + quarter, false) != SIGSEGV ||
	    touch(p + last - page_size(), false) != SIGSEGV)
		soak_fail(soak, "a part that was unmapped can be read");
	if (pattern_check(p, 0, quarter, seed) >= 0 ||
	    pattern_check(p + last, last, quarter, seed) >= 0)
		soak_fail(soak, "a buffer of %s does not have its pattern beside a hole",
			  buf_exporter(fd));
	if (mprotect(p, quarter, PROT_READ))
		soak_fail(soak, "cannot protect a part: %s", strerror(errno));
	if (touch(p, true) != SIGSEGV || touch(p, false) ||
	    touch(p + last, true))
		soak_fail(soak, "the wrong part can be written");
	if (mmap(p + quarter, 2 * quarter, READ_WRITE, MAP_SHARED | MAP_FIXED, fd,
		 quarter) != p + quarter)
		soak_fail(soak, "cannot map a part again: %s", strerror(errno));
	if (mprotect(p, quarter, READ_WRITE))
		soak_fail(soak, "cannot make a part writable: %s", strerror(errno));
}

/* The mapping goes elsewhere, and a child sees and writes the same memory */
static bool map_elsewhere(struct soak *soak, int fd, char *p, size_t len, __u32 seed)
{
	char *to = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t child;
	int end;

	if (to == MAP_FAILED ||
	    mremap(p, len / 4, len / 4, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		soak_fail(soak, "cannot move a mapping: %s", strerror(errno));
	if (pattern_check(to, 0, len / 4, seed) >= 0)
		soak_fail(soak, "a buffer of %s does not have its pattern after mremap()",
			  buf_exporter(fd));
	child = soak_fork(soak);
	if (!child) {
		end = pattern_check(to, 0, len / 4, seed) >= 0;
		pattern_fill(to, 0, len / 4, ~seed);
		_exit(end);
	}
	end = child > 0 ? child_end(child) : 0;
	if (end)
		soak_fail(soak, "a child does not see the pattern of a buffer of %s: %d",
			  buf_exporter(fd), end);
	if (child > 0 && pattern_check(to, 0, len / 4, ~seed) >= 0)
		soak_fail(soak, "a buffer of %s does not have the bytes that a child wrote",
			  buf_exporter(fd));
	munmap(to, len);

	return child > 0;
}

static void mapper(struct soak *soak)
{
	const struct soak_heap *heap = soak_mapped_heap(soak);
	size_t quarter = page_align(soak_size(soak, heap, MAPPER_MAX) / 4);
	__u32 seed = ++soak->seed;
	char *p;
	int fd;

	fd = soak_filled(soak, heap, 4 * quarter, seed);
	if (fd < 0)
		return;
	p = soak_map(soak, fd, 4 * quarter);
	if (p) {
		map_in_parts(soak, fd, p, quarter, seed);
		if (map_elsewhere(soak, fd, p, 4 * quarter, seed))
			soak_round(soak);
		munmap(p + quarter, 3 * quarter);
	}
	close(fd);
}

/* The importer: devices of all kinds, also for memory that no CPU can reach */

#define IMPORTER_MAX	MIB(1)

static const int devices[] = {
	IMPORTER_64, IMPORTER_32, IMPORTER_COHERENT, IMPORTER_BOUNCES,
	IMPORTER_MOVER, IMPORTER_MOVER_2,
};

static bool is_mover(int device)
{
	return device == IMPORTER_MOVER || device == IMPORTER_MOVER_2;
}

static void device_writes(struct soak *soak, const struct soak_heap *heap, int fd,
			  int device, size_t len, __u32 seed)
{
	int ret;

	if (!soak_import(soak, heap, fd, device, DEVICE_WRITES))
		return;
	ret = importer_do(soak->importer, "dwrite 0 %zu %u", len, seed);
	if (ret)
		soak_fail(soak, "device %d cannot write to a buffer of %s: %s", device,
			  heap->name, strerror(-ret));
	importer_unmap(soak->importer);
	soak_verify(soak, fd, len, seed);
	soak_round(soak);
}

/* A driver allocates, and sees through a kernel mapping that the buffer is zero */
static void alloc_in_kernel(struct soak *soak, const struct soak_heap *heap, size_t len)
{
	int ret;

	if (!soak_importer(soak))
		return;
	ret = importer_do(soak->importer, "kalloc %s %zu", heap->name, len);
	if (ret == -ENOMEM)
		soak_refused(soak);
	else if (ret)
		soak_fail(soak, "a driver cannot use a buffer of %zu bytes of %s: %s", len,
			  heap->name, strerror(-ret));
	else
		soak_round(soak);
}

/* A device reads what the CPU wrote, and the CPU what a device wrote */
static void importer(struct soak *soak)
{
	const struct soak_heap *heap = soak_heap(soak);
	int device = devices[soak_random(soak, ARRAY_SIZE(devices))], fd;
	size_t len = page_align(soak_size(soak, heap, IMPORTER_MAX)), part;
	__u32 seed = ++soak->seed;
	long long wrong;

	if (heap->mapped && !soak_random(soak, 4)) {
		alloc_in_kernel(soak, heap, len);
		return;
	}
	fd = heap->mapped ? soak_filled(soak, heap, len, seed) : soak_alloc(soak, heap, len);
	if (fd < 0)
		return;
	part = is_mover(device) ? PLACE_LEN : len;
	if (!soak_import(soak, heap, fd, device,
			 heap->mapped ? DEVICE_READS : DEVICE_READS_AND_WRITES)) {
		close(fd);
		return;
	}
	wrong = heap->mapped ? importer_reads(soak->importer, 0, part, seed) : -1;
	if (wrong != -1)
		soak_fail(soak, "device %d does not see the bytes of a buffer of %s: %lld",
			  device, heap->name, wrong);
	importer_unmap(soak->importer);
	if (heap->mapped)
		device_writes(soak, heap, fd, device, part, ~seed);
	close(fd);
}

const struct soak_worker soak_clients[] = {
	{ "camera", camera, 2, NULL, no_mover, "mover" },
	{ "browser", browser, 2 },
	{ "messenger", messenger, 1, NULL, no_memcg, "memcg" },
	{ "mapper", mapper, 1 },
	{ "importer", importer, 1, NULL, no_mover, "mover" },
};

const int soak_client_count = ARRAY_SIZE(soak_clients);

// SPDX-License-Identifier: GPL-2.0
/*
 * Soak: many programs and drivers use all heaps at once, for as long as TIME in the
 * environment says, in seconds. Then nothing of it may be left: no buffer, no charge, no
 * file, no page, no object.
 *
 * The workers run twice. The first, shorter run makes all caches of the kernel as large as
 * this load makes them. A number that has grown after the second run shows a leak. With the
 * same SEED each worker makes the same choices, but the workers take turns as they can.
 *
 * WORKERS restricts the workers to those it names, with blanks in between. With it one
 * finds the worker by whose work something is lost.
 *
 * NEED in the environment names what must not be lacking: mover, memcg, alarm, importer.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/wait.h>

#include "heap_module.h"
#include "heap_regions.h"
#include "heap_soak.h"

/* The first run takes a quarter of the time, but no more than this */
#define WARM_UP_S	60

/* Time for the slowest worker to make its first round, and to end */
#define LATE_MS		180000

#define PROGRESS_S	60

static struct soak_heap heaps[HEAP_MAX];
static long long max_bytes[HEAP_MAX];
static int heap_count;
static struct soak_shared *shared;
static int worker_count;
static unsigned int seed;

/* Goes on while the machine is suspended */
static long long clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_BOOTTIME, &now);

	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void find_heaps(void)
{
	static char names[HEAP_MAX][HEAP_NAME_SIZE];
	static struct carveout carveouts[MAX_CARVEOUTS];
	int i;

	/* No device asks for these. With the second one, the kernel makes protected heaps. */
	module_load_by_name("cma_heap");
	module_load_by_name("dma_heap_test_protector");
	for (i = carveouts_find(carveouts, MAX_CARVEOUTS); i--; )
		if (!WAIT_FOR(heap_exists(carveouts[i].heap)))
			ksft_exit_fail_msg("no heap %s\n", carveouts[i].heap);
	heap_count = heap_names(names, HEAP_MAX);
	for (i = 0; i < heap_count; i++) {
		struct soak_heap *heap = &heaps[i];

		memcpy(heap->name, names[i], sizeof(heap->name));
		heap->fd = heap_open(heap->name, O_RDWR | O_CLOEXEC);
		heap->mapped = heap_attr(heap->name, "protected") != 1;
		heap->reserved = heap_is_reserved(heap->name);
		heap->uncached = heap_attr(heap->name, "cached") != 1;
		max_bytes[i] = pool_get(heap->name, "max_bytes");
	}
}

static void add_workers(const struct soak_worker *workers, int count)
{
	const char *only = getenv("WORKERS");
	int i, number;

	for (i = 0; i < count; i++) {
		const char *lacks = workers[i].lacks ? workers[i].lacks() : NULL;

		if (only && !word_in(only, workers[i].name, ' '))
			continue;
		if (lacks && is_needed(workers[i].need))
			ksft_exit_fail_msg("no %s: %s\n", workers[i].name, lacks);
		if (lacks)
			ksft_print_msg("no %s: %s\n", workers[i].name, lacks);
		for (number = 0; !lacks && number < workers[i].count; number++) {
			shared->slots[worker_count].worker = &workers[i];
			shared->slots[worker_count++].number = number;
		}
	}
}

static void work(struct soak_slot *slot, int run)
{
	struct soak soak = {
		.shared = shared,
		.slot = slot,
		.heaps = heaps,
		.heap_count = heap_count,
		.random = ((__u64)seed << 16) + 2 * (slot - shared->slots) + run,
		.importer = -1,
	};

	setpgid(0, 0);
	soak.seed = pseudo_random(&soak.random);
	while (!soak_over(&soak))
		slot->worker->session(&soak);
	_exit(0);
}

static void tell_failure(const struct soak_slot *slot, const char *how)
{
	ksft_print_msg("worker %s %u, seed %u, round %u: %s\n", slot->worker->name,
		       slot->number, seed, slot->rounds,
		       slot->failure[0] ? slot->failure : how);
}

/* True if the worker has ended; a message if it should not have */
static bool reap(struct soak_slot *slot, bool *good)
{
	char how[64] = "";
	int status;

	if (slot->pid <= 0 || waitpid(slot->pid, &status, WNOHANG) != slot->pid)
		return slot->pid <= 0;
	/* Of its children, too */
	kill(-slot->pid, SIGKILL);
	slot->pid = 0;
	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "ended by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status) || !shared->over)
		snprintf(how, sizeof(how), "ended with %d", WEXITSTATUS(status));
	if (how[0]) {
		tell_failure(slot, how);
		*good = false;
	}

	return true;
}

static bool all_have_rounds(void)
{
	int i;

	for (i = 0; i < worker_count; i++)
		if (!shared->slots[i].rounds)
			return false;

	return true;
}

static void tell_progress(long long ms)
{
	int i;

	ksft_print_msg("%lld s:", ms / 1000);
	for (i = 0; i < worker_count; i++)
		printf(" %s %u", shared->slots[i].worker->name, shared->slots[i].rounds);
	printf("\n");
	fflush(stdout);
}

static bool start_workers(int run)
{
	struct soak_slot *slot;

	shared->over = false;
	shared->module_wanted = false;
	fflush(stdout);
	for (slot = shared->slots; slot < shared->slots + worker_count; slot++) {
		slot->rounds = 0;
		slot->pid = fork();
		if (!slot->pid)
			work(slot, run);
		if (slot->pid < 0) {
			ksft_print_msg("cannot fork: %s\n", strerror(errno));
			return false;
		}
	}

	return true;
}

/* True if all have ended by themselves */
static bool stop_workers(void)
{
	long long end = clock_ms() + LATE_MS;
	bool good = true, all = false;
	int i;

	shared->over = true;
	while (!all && clock_ms() < end) {
		all = true;
		for (i = 0; i < worker_count; i++)
			all &= reap(&shared->slots[i], &good);
		usleep(20000);
	}
	for (i = 0; i < worker_count; i++) {
		struct soak_slot *slot = &shared->slots[i];

		if (slot->pid > 0) {
			tell_failure(slot, "does not end");
			kill(-slot->pid, SIGKILL);
			waitpid(slot->pid, NULL, 0);
			slot->pid = 0;
			good = false;
		}
		slot->total += slot->rounds;
	}

	return good;
}

/* All at once, until the time is over and each has made a round */
static bool run_workers(int run, long long seconds)
{
	long long start = clock_ms(), told = start, now = start;
	bool good = start_workers(run);
	int i;

	while (good && (now < start + seconds * 1000 || !all_have_rounds()) &&
	       now < start + seconds * 1000 + LATE_MS) {
		usleep(50000);
		for (i = 0; i < worker_count; i++)
			reap(&shared->slots[i], &good);
		now = clock_ms();
		if (now < told + PROGRESS_S * 1000)
			continue;
		told = now;
		tell_progress(now - start);
	}
	good &= stop_workers();
	for (i = 0; i < worker_count; i++) {
		if (good && !shared->slots[i].rounds) {
			tell_failure(&shared->slots[i], "no round");
			good = false;
		}
	}
	tell_progress(clock_ms() - start);

	return good;
}

/* A pool without room keeps nothing, not even prefilled buffers, which do not age */
static void drain_pools(bool drain)
{
	int i;

	for (i = 0; i < heap_count; i++)
		if (max_bytes[i] >= 0)
			pool_set(heaps[i].name, "max_bytes", drain ? 0 : max_bytes[i]);
}

static bool is_settled(const struct soak_state *before, struct soak_state *after)
{
	int kind, off = 0;

	soak_drain();
	soak_look(after, heaps, heap_count);
	for (kind = 0; kind < SOAK_KINDS; kind++)
		off += soak_compare(before, after, kind, false);

	return !off;
}

/* All that the kernel still frees is waited for */
static void settle(const struct soak_state *before, struct soak_state *after)
{
	drain_pools(true);
	WAIT_FOR(is_settled(before, after));
	drain_pools(false);
}

static void tell_table(const struct soak_state *before, const struct soak_state *after)
{
	struct soak_slot *slot;

	ksft_print_msg("  %-16s %10s %10s %10s\n", "worker", "rounds", "refused", "events");
	for (slot = shared->slots; slot < shared->slots + worker_count; slot++)
		ksft_print_msg("  %-16s %10u %10u %10u %s\n", slot->worker->name,
			       slot->total, slot->refused, slot->events,
			       slot->worker->events ?: "");
	ksft_print_msg("  %-48s %10s %10s\n", "number", "before", "after");
	soak_tell(before, after);
}

static const char *const claims[SOAK_KINDS] = {
	[SOAK_BUFFERS] = "all_buffers_are_back",
	[SOAK_CHARGES] = "no_cgroup_is_charged",
	[SOAK_DESCRIPTORS] = "all_files_and_nodes_are_as_before",
	[SOAK_POOLS] = "drained_pools_are_empty",
	[SOAK_REGIONS] = "areas_and_regions_are_free",
	[SOAK_PAGES] = "no_page_is_missing",
	[SOAK_OBJECTS] = "no_object_of_a_slab_is_missing",
};

static void soak(long long seconds)
{
	long long warm_up = seconds / 4 < WARM_UP_S ? seconds / 4 : WARM_UP_S;
	struct soak_state *idle = soak_state_new();
	struct soak_state *before = soak_state_new();
	struct soak_state *after = soak_state_new();
	bool good;
	int kind;

	drain_pools(true);
	soak_drain();
	soak_look(idle, heaps, heap_count);
	drain_pools(false);
	good = run_workers(0, warm_up);
	settle(idle, before);
	ksft_test_result(good, "workers_get_on_and_see_their_own_data_only\n");
	good = good && run_workers(1, seconds);
	ksft_test_result(good, "workers_go_on_as_they_began\n");
	settle(before, after);
	tell_table(before, after);
	for (kind = 0; kind < SOAK_KINDS; kind++) {
		if (!soak_has(after, kind)) {
			ksft_test_result_skip("%s\n", claims[kind]);
			continue;
		}
		/* The first run cannot be compared by the page: it makes caches grow */
		good = kind == SOAK_PAGES || kind == SOAK_OBJECTS ||
		       !soak_compare(idle, after, kind, true);
		good = good && !soak_compare(before, after, kind, true);
		ksft_test_result(good, "%s\n", claims[kind]);
	}
}

int main(void)
{
	const char *time_text = getenv("TIME"), *seed_text = getenv("SEED");

	ksft_print_header();
	if (!time_text)
		ksft_exit_skip("no TIME for a soak\n");
	shared = mmap(NULL, sizeof(*shared), READ_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		ksft_exit_fail_msg("no memory\n");
	seed = seed_text ? strtoul(seed_text, NULL, 0) : clock_ms() * getpid();
	ksft_set_plan(2 + SOAK_KINDS);
	find_heaps();
	ksft_print_msg("SEED=%u TIME=%s, %d heaps\n", seed, time_text, heap_count);
	/* Others are killed before the workers are */
	file_write("/proc/self/oom_score_adj", "-1000");
	file_write("/proc/sys/vm/oom_dump_tasks", "0");
	signal(SIGPIPE, SIG_IGN);
	add_workers(soak_clients, soak_client_count);
	add_workers(soak_rivals, soak_rival_count);
	soak(atoll(time_text));
	ksft_finished();
}

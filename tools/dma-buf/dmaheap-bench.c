// SPDX-License-Identifier: GPL-2.0
/*
 * dmaheap-bench - what buffers of a DMA-BUF heap cost
 *
 * Times the life of buffers in several situations. Runs on every kernel with
 * heaps; where a heap has a pool, its scrubber's work is reported beside the
 * caller's, because work that moves to a thread is not work saved.
 */
#define _GNU_SOURCE
#define __SANE_USERSPACE_TYPES__	/* __u64 is unsigned long long */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/types.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libdmaheap.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define NSEC		1000000000ull
#define KIB		1024ull
#define MIB		(1024 * KIB)
#define MAX_LIST	32
#define BURST		8
#define MIX_LIVE	64
#define BROWSER_LIVE	40
#define BROWSER_SHIFT	12	/* of the number of pages of its largest buffers */
#define IDLE_SIZE	8294400
#define IDLE_COUNT	48
#define LARGE_SIZE	33177600
#define LARGE_COUNT	8
#define WARM_UP		2
#define REGION_LIVE	8000
#define REGION_LOOKS	20

#define IMPORTER	"/sys/kernel/debug/dma_heap_test_importer"

enum phase {
	ALLOC, MMAP, TOUCH, MUNMAP, CLOSE, CYCLE,
	/* Of devices */
	ATTACH, MAP, SYNC, PARTIAL, UNMAP, DETACH,
	/* Numbers, and no times */
	CHUNKS, HIT_PERMILLE,
	PHASES
};

static const char * const phase_names[PHASES] = {
	"alloc", "mmap", "touch", "munmap", "close", "cycle",
	"attach", "map", "sync", "partial", "unmap", "detach",
	"chunks", "hit_permille"
};

/* What is left of a region after so many steps, of which some got no buffer */
struct space {
	unsigned int step, failed;
	__u64 free, largest;
};

/*
 * One measurement: the times of each phase, sample by sample, and the bytes for
 * which it maintained caches, if these were counted, or the space left
 */
struct series {
	__u64 *ns[PHASES];
	unsigned int n[PHASES];
	unsigned int room;
	__u64 maintained[PHASES];
	bool counted;
	const struct space *space;
};

/* What was used up to a moment, by this process and behind its back */
struct usage {
	__u64 wall, caller, scrubber, scrubbed, paid;
};

/* What is known of one phase of a measurement, the samples in order */
struct row {
	const char *scenario, *phase;
	__u64 size;
	unsigned int threads, n;
	const __u64 *ns;
	const struct usage *usage;
	const __u64 *maintained;
	const struct space *space;
};

struct list {
	unsigned int n;
	__u64 value[MAX_LIST];
};

static struct {
	const char *heap;
	struct list sizes, threads, thread_sizes, dma_sizes, importers, fills;
	unsigned int samples, pause_ms, settle_ms, ops, paced_ops, browser_ops, live;
	unsigned long seed;
	bool map, csv;
	FILE *file;
} opt = {
	.sizes = { 10, { 4 * KIB, 64 * KIB, MIB, 3110400, 8 * MIB, 8294400,
			 12441600, 32 * MIB, 33177600, 64 * MIB } },
	.threads = { 3, { 1, 2, 4 } },
	.thread_sizes = { 2, { 4 * KIB, MIB } },
	.dma_sizes = { 3, { 64 * KIB, 8 * MIB, 64 * MIB } },
	.importers = { 4, { 1, 2, 4, 8 } },
	.fills = { 3, { 50, 70, 90 } },
	.pause_ms = 20,
	.settle_ms = 1100,
	.ops = 3000,
	.paced_ops = 600,
	.browser_ops = 20000,
	.live = 10000,
	.seed = 1,
	.map = true,
};

static const struct dmaheap *heap;
static unsigned long page_size;

static void die(const char *format, ...)
{
	va_list args;

	fprintf(stderr, "dmaheap-bench: ");
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	exit(1);
}

static __u64 now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC + ts.tv_nsec;
}

static void pause_ns(__u64 ns)
{
	struct timespec ts = { .tv_sec = ns / NSEC, .tv_nsec = ns % NSEC };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

static void pause_ms(unsigned int ms)
{
	pause_ns(ms * 1000000ull);
}

/* A descriptor, or -1 if the heap has no room */
static int try_alloc(__u64 size)
{
	int fd = dmaheap_alloc(heap, size, NULL);

	if (fd >= 0)
		return fd;
	if (fd != -ENOMEM)
		die("%s gives no %llu bytes: %s", opt.heap, size, strerror(-fd));
	return -1;
}

static int alloc(__u64 size)
{
	int fd = try_alloc(size);

	if (fd < 0)
		die("%s has no room for %llu bytes", opt.heap, size);
	return fd;
}

/* Write to the buffer as every user does, or nothing of it has to be zeroed again */
static void use(int fd)
{
	char *map = mmap(NULL, page_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	*map = 1;
	munmap(map, page_size);
}

/* The room is written to, so that no page fault falls into a measurement */
static void series_init(struct series *s, unsigned int room)
{
	memset(s, 0, sizeof(*s));
	s->room = room;
	for (int p = 0; p < PHASES; p++) {
		s->ns[p] = malloc(room * sizeof(__u64));
		if (!s->ns[p])
			die("no memory for %u samples", room);
		memset(s->ns[p], 0xff, room * sizeof(__u64));
	}
}

static void series_free(struct series *s)
{
	for (int p = 0; p < PHASES; p++)
		free(s->ns[p]);
}

static void add(struct series *s, enum phase p, __u64 ns)
{
	if (s && s->n[p] < s->room)
		s->ns[p][s->n[p]++] = ns;
}

static int compare(const void *a, const void *b)
{
	__u64 x = *(const __u64 *)a, y = *(const __u64 *)b;

	return (x > y) - (x < y);
}

/* The smallest sample that at least @percent of all do not exceed */
static __u64 percentile(const __u64 *sorted, unsigned int n,
			unsigned int percent)
{
	return sorted[(n * percent + 99) / 100 - 1];
}

/* The number in the file, after @name if there is one; 0 without such a file */
static __u64 read_number(const char *path, const char *name)
{
	FILE *f = fopen(path, "re");
	__u64 value = 0;
	char line[256];

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		size_t len = name ? strlen(name) : 0;

		if (name && (strncmp(line, name, len) || line[len] != ' '))
			continue;
		value = strtoull(line + len, NULL, 10);
		break;
	}
	fclose(f);
	return value;
}

/* ns that a task has run; in ticks where the kernel keeps no schedstat */
static __u64 task_ns(const char *pid)
{
	unsigned long user, kernel = 0;
	char path[300];
	__u64 ns;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/schedstat", pid);
	ns = read_number(path, NULL);
	if (ns)
		return ns;
	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	/* Fields 14 and 15, behind a name that may hold anything but a ')' */
	if (fscanf(f, "%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
		   &user, &kernel) != 2)
		user = 0;
	fclose(f);
	return (user + kernel) * (NSEC / sysconf(_SC_CLK_TCK));
}

static __u64 scrubbers_ns(void)
{
	DIR *dir = opendir("/proc");
	char path[300], comm[64];
	struct dirent *entry;
	__u64 ns = 0;
	FILE *f;

	if (!dir)
		return 0;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		f = fopen(path, "re");
		if (!f)
			continue;
		if (fgets(comm, sizeof(comm), f) &&
		    !strncmp(comm, "dma_heap_scrub", 14))
			ns += task_ns(entry->d_name);
		fclose(f);
	}
	closedir(dir);
	return ns;
}

static __u64 pool_number(const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "/sys/kernel/debug/dma_heap/%s/stats",
		 opt.heap);
	return read_number(path, name);
}

static __u64 pool_bytes(const char *name)
{
	return pool_number(name) * page_size;
}

static __u64 timeval_ns(struct timeval tv)
{
	return tv.tv_sec * NSEC + tv.tv_usec * 1000ull;
}

/* Costs milliseconds itself, so the caller's time is taken on the inside */
static void usage_begin(struct usage *u)
{
	struct rusage self;

	u->scrubber = scrubbers_ns();
	u->scrubbed = pool_bytes("scrubbed_pages");
	u->paid = pool_bytes("paid_pages");
	getrusage(RUSAGE_SELF, &self);
	u->caller = timeval_ns(self.ru_utime) + timeval_ns(self.ru_stime);
	u->wall = now();
}

/* Turn the state at the beginning into what was used since */
static void usage_end(struct usage *u)
{
	struct rusage self;

	u->wall = now() - u->wall;
	getrusage(RUSAGE_SELF, &self);
	u->caller = timeval_ns(self.ru_utime) + timeval_ns(self.ru_stime) -
		    u->caller;
	u->scrubber = scrubbers_ns() - u->scrubber;
	u->scrubbed = pool_bytes("scrubbed_pages") - u->scrubbed;
	u->paid = pool_bytes("paid_pages") - u->paid;
}

static void csv_header(FILE *f)
{
	fputs("scenario,heap,size,threads,phase,samples,p50_ns,p99_ns,max_ns,", f);
	fputs("wall_ns,caller_ns,scrubber_ns,scrubbed_bytes,paid_bytes,", f);
	fputs("maintained_bytes,step,free_bytes,largest_bytes,failed\n", f);
}

static void table_header(void)
{
	printf("%-12s %9s %2s %-7s %6s %11s %11s %11s  %s\n", "scenario", "size",
	       "th", "phase", "n", "p50 us", "p99 us", "max us",
	       "in all; by caller + scrubber");
}

static void row_csv(FILE *f, const struct row *r)
{
	const struct usage *u = r->usage;
	const struct space *space = r->space;

	fprintf(f, "%s,%s,%llu,%u,%s,%u,%llu,%llu,%llu", r->scenario, opt.heap,
		r->size, r->threads, r->phase, r->n, percentile(r->ns, r->n, 50),
		percentile(r->ns, r->n, 99), r->ns[r->n - 1]);
	if (u)
		fprintf(f, ",%llu,%llu,%llu,%llu,%llu",
			u->wall, u->caller, u->scrubber, u->scrubbed, u->paid);
	else
		fprintf(f, ",,,,,");
	if (r->maintained)
		fprintf(f, ",%llu", *r->maintained);
	else
		fprintf(f, ",");
	if (space)
		fprintf(f, ",%u,%llu,%llu,%u\n", space->step, space->free,
			space->largest, space->failed);
	else
		fprintf(f, ",,,,\n");
	fflush(f);
}

static void row_table(const struct row *r)
{
	const struct usage *u = r->usage;
	const struct space *space = r->space;

	printf("%-12s %9llu %2u %-7s %6u %11.1f %11.1f %11.1f", r->scenario,
	       r->size, r->threads, r->phase, r->n,
	       percentile(r->ns, r->n, 50) / 1e3,
	       percentile(r->ns, r->n, 99) / 1e3, r->ns[r->n - 1] / 1e3);
	if (u)
		printf("  %.1f ms, CPU %.1f + %.1f ms, zeroed %.1f + %.1f MiB",
		       u->wall / 1e6, u->caller / 1e6, u->scrubber / 1e6,
		       u->paid / (double)MIB, u->scrubbed / (double)MIB);
	if (r->maintained)
		printf("  caches of %.1f KiB maintained",
		       *r->maintained / (double)KIB);
	if (space)
		printf("  step %u: free %.1f MiB, the largest %.1f; %u failed",
		       space->step, space->free / (double)MIB,
		       space->largest / (double)MIB, space->failed);
	printf("\n");
	fflush(stdout);
}

/* Report what was measured; the usage goes with the cycle, or the first phase */
static void report(const char *scenario, __u64 size, unsigned int threads,
		   struct series *s, const struct usage *u)
{
	int with_usage = s->n[CYCLE] ? CYCLE : ALLOC;

	for (int p = 0; p < PHASES; p++) {
		struct row row = {
			.scenario = scenario,
			.phase = phase_names[p],
			.size = size,
			.threads = threads,
			.n = s->n[p],
			.ns = s->ns[p],
			.usage = p == with_usage ? u : NULL,
			.maintained = s->counted ? &s->maintained[p] : NULL,
			.space = s->space,
		};

		if (!row.n)
			continue;
		qsort(s->ns[p], row.n, sizeof(*row.ns), compare);
		if (opt.csv)
			row_csv(stdout, &row);
		else
			row_table(&row);
		if (opt.file)
			row_csv(opt.file, &row);
	}
}

/* The life of one buffer: allocate, map, write to every page, unmap, close */
static void cycle(__u64 size, struct series *s)
{
	__u64 t0, t1, t2 = 0, t3 = 0, t4, t5;
	const __u64 step = page_size;
	char *map;
	int fd;

	t0 = now();
	fd = alloc(size);
	t1 = now();
	t4 = t1;
	if (opt.map) {
		map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		t2 = now();
		if (map == MAP_FAILED)
			die("mmap of %llu bytes: %s", size, strerror(errno));
		for (__u64 at = 0; at < size; at += step)
			map[at] = 1;
		t3 = now();
		munmap(map, size);
		t4 = now();
	}
	close(fd);
	t5 = now();

	add(s, ALLOC, t1 - t0);
	if (opt.map) {
		add(s, MMAP, t2 - t1);
		add(s, TOUCH, t3 - t2);
		add(s, MUNMAP, t4 - t3);
	}
	add(s, CLOSE, t5 - t4);
	add(s, CYCLE, t5 - t0);
}

static unsigned int samples_of(__u64 size)
{
	if (opt.samples)
		return opt.samples;
	return size <= MIB ? 50 : size <= 16 * MIB ? 25 : 11;
}

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

/* Whatever is in the pool beyond that goes; returns how much room it had */
static __u64 set_pool_max(__u64 max_bytes)
{
	char path[300], text[32];
	__u64 before;

	snprintf(path, sizeof(path), "/sys/class/dma_heap/%s/pool/max_bytes",
		 opt.heap);
	before = read_number(path, NULL);
	snprintf(text, sizeof(text), "%llu", max_bytes);
	if (!access(path, F_OK) && !put(path, text))
		die("%s: %s", path, strerror(errno));
	return before;
}

/*
 * Leave nothing to recycle: a pool is emptied by taking its room away for a
 * moment, all other caches by drop_caches. Pools stand back for a second after
 * the kernel was short of memory, hence the pause.
 */
static void make_cold(void)
{
	set_pool_max(set_pool_max(0));
	if (!put("/proc/sys/vm/drop_caches", "3"))
		die("/proc/sys/vm/drop_caches: %s", strerror(errno));
	pause_ms(opt.settle_ms);
}

static void run_cold(void)
{
	for (unsigned int i = 0; i < opt.sizes.n; i++) {
		__u64 size = opt.sizes.value[i];
		unsigned int n = samples_of(size);
		struct series s;

		/* Emptying the caches takes long: fewer samples */
		n = (n + 4) / 5;
		series_init(&s, n);
		while (n--) {
			make_cold();
			cycle(size, &s);
		}
		report("cold", size, 1, &s, NULL);
		series_free(&s);
	}
}

/* @times the usual number of cycles of each size */
static void cycles(const char *scenario, unsigned int times, unsigned int ms)
{
	for (unsigned int i = 0; i < opt.sizes.n; i++) {
		__u64 size = opt.sizes.value[i];
		unsigned int n = samples_of(size) * times;
		struct series s;
		struct usage u;

		series_init(&s, n);
		for (int k = 0; k < WARM_UP; k++) {
			cycle(size, NULL);
			if (ms)
				pause_ms(ms);
		}
		usage_begin(&u);
		while (n--) {
			cycle(size, &s);
			if (ms)
				pause_ms(ms);
		}
		usage_end(&u);
		report(scenario, size, 1, &s, &u);
		series_free(&s);
	}
}

static void warm(const char *scenario)
{
	cycles(scenario, 1, opt.pause_ms);
}

static void run_warm(void)
{
	warm("warm");
}

static void run_unpooled(void)
{
	__u64 max = set_pool_max(0);

	warm("unpooled");
	set_pool_max(max);
}

/* Allocated and closed, again and again without a pause, and never looked at */
static void run_untouched(void)
{
	bool map = opt.map;

	opt.map = false;
	cycles("untouched", 10, 0);
	opt.map = map;
}

/* A process on every CPU that never sleeps */
static void run_spin(void)
{
	unsigned int n = 0;
	pid_t pids[256];
	cpu_set_t all;

	if (sched_getaffinity(0, sizeof(all), &all))
		die("sched_getaffinity: %s", strerror(errno));
	for (int cpu = 0; cpu < CPU_SETSIZE && n < ARRAY_SIZE(pids); cpu++) {
		cpu_set_t one;

		if (!CPU_ISSET(cpu, &all))
			continue;
		pids[n] = fork();
		if (pids[n] < 0)
			die("fork: %s", strerror(errno));
		if (!pids[n]) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			sched_setaffinity(0, sizeof(one), &one);
			for (;;)
				__asm__ volatile("");
		}
		n++;
	}
	warm("spin");
	while (n--) {
		kill(pids[n], SIGKILL);
		waitpid(pids[n], NULL, 0);
	}
}

/*
 * Eight buffers at once, then none. The pause after them has to let one CPU
 * zero them all, or it is no pause: 80 us for each MiB, but at least the usual.
 */
static void burst(__u64 size, struct series *s)
{
	__u64 t, rest = BURST * size / MIB * 80000;
	__u64 taken[BURST];
	int fds[BURST];

	for (int i = 0; i < BURST; i++) {
		t = now();
		fds[i] = alloc(size);
		taken[i] = now() - t;
		add(s, ALLOC, taken[i]);
		use(fds[i]);
	}
	for (int i = 0; i < BURST; i++) {
		t = now();
		close(fds[i]);
		t = now() - t;
		add(s, CLOSE, t);
		add(s, CYCLE, taken[i] + t);
	}
	pause_ms(opt.pause_ms);
	if (rest > opt.pause_ms * 1000000ull)
		pause_ns(rest - opt.pause_ms * 1000000ull);
}

static void run_burst(void)
{
	for (unsigned int i = 0; i < opt.sizes.n; i++) {
		__u64 size = opt.sizes.value[i];
		unsigned int rounds = (samples_of(size) + 4) / 5;
		struct series s;
		struct usage u;

		series_init(&s, rounds * BURST);
		for (int k = 0; k < WARM_UP; k++)
			burst(size, NULL);
		usage_begin(&u);
		while (rounds--)
			burst(size, &s);
		usage_end(&u);
		report("burst", size, 1, &s, &u);
		series_free(&s);
	}
}

/* What a camera and its clients ask for, by weight: 3.4 MiB on average */
static const struct {
	__u64 size;
	unsigned int weight;
} mix_sizes[] = {
	{ 4 * KIB, 16 }, { 64 * KIB, 18 }, { 256 * KIB, 13 }, { MIB, 20 },
	{ 3110400, 12 }, { 8 * MIB, 3 }, { 8294400, 10 }, { 12441600, 4 },
	{ 32 * MIB, 2 }, { 33177600, 2 },
};

struct mix {
	unsigned short state[3];
	int fds[MIX_LIVE];
};

/* One of the first @n sizes */
static __u64 draw(unsigned short *state, size_t n)
{
	unsigned int total = 0, pick;
	size_t i;

	for (i = 0; i < n; i++)
		total += mix_sizes[i].weight;
	pick = nrand48(state) % total;
	for (i = 0; pick >= mix_sizes[i].weight; i++)
		pick -= mix_sizes[i].weight;
	return mix_sizes[i].size;
}

static void seed(unsigned short *state)
{
	state[0] = opt.seed;
	state[1] = opt.seed >> 16;
	state[2] = 0x6d78;
}

static __u64 mix_draw(struct mix *m)
{
	return draw(m->state, ARRAY_SIZE(mix_sizes));
}

static void mix_begin(struct mix *m)
{
	seed(m->state);
	for (int i = 0; i < MIX_LIVE; i++)
		use(m->fds[i] = alloc(mix_draw(m)));
}

static void mix_ops(struct mix *m, unsigned int ops, unsigned int ms,
		    struct series *s)
{
	while (ops--) {
		int *fd = &m->fds[nrand48(m->state) % MIX_LIVE];
		__u64 size = mix_draw(m);
		__u64 t0, t1, t2;

		t0 = now();
		close(*fd);
		t1 = now();
		*fd = alloc(size);
		t2 = now();
		add(s, CLOSE, t1 - t0);
		add(s, ALLOC, t2 - t1);
		add(s, CYCLE, t2 - t0);
		use(*fd);
		if (ms)
			pause_ms(ms);
	}
}

/* @before: operations that are not measured, to reach the steady state */
static void mix(const char *scenario, unsigned int before, unsigned int ops,
		unsigned int ms)
{
	struct series s;
	struct usage u;
	struct mix m;

	series_init(&s, ops);
	mix_begin(&m);
	mix_ops(&m, before, ms, NULL);
	usage_begin(&u);
	mix_ops(&m, ops, ms, &s);
	usage_end(&u);
	for (int i = 0; i < MIX_LIVE; i++)
		close(m.fds[i]);
	report(scenario, 0, 1, &s, &u);
	series_free(&s);
	pause_ms(opt.settle_ms);
}

static void run_mix_cold(void)
{
	make_cold();
	mix("mix-cold", 0, opt.ops, 0);
}

static void run_mix(void)
{
	mix("mix", opt.ops, opt.ops, 0);
}

static void run_mix_paced(void)
{
	mix("mix-paced", opt.paced_ops, opt.paced_ops, 2);
}

/* How many chunks a buffer has; 0 without the test importer */
static __u64 count_chunks(int fd)
{
	char text[65536], *at = text;
	int importer = open(IMPORTER, O_RDWR | O_CLOEXEC);
	unsigned int n = 0;
	ssize_t len;

	if (importer < 0)
		return 0;
	snprintf(text, sizeof(text), "chunks %d 1", fd);
	len = write(importer, text, strlen(text));
	if (len < 0)
		die("the test importer cannot map a buffer: %s", strerror(errno));
	while ((len = read(importer, text, sizeof(text) - 1)) > 0) {
		text[len] = '\0';
		for (at = text; (at = strstr(at, "page ")); at++)
			n++;
	}
	close(importer);
	return n;
}

/* All sizes in proportion: as many of 4 to 8 KiB as of 8 to 16 MiB */
static __u64 browser_draw(unsigned short *state)
{
	unsigned int pages = 1u << nrand48(state) % BROWSER_SHIFT;

	return (pages + nrand48(state) % pages) * page_size;
}

/* Free blocks by order, as /proc/buddyinfo has them, from order 0 on */
static void report_free_memory(const char *scenario)
{
	FILE *f = fopen("/proc/buddyinfo", "re");
	struct series s;
	char line[512];
	__u64 free[32] = { };

	while (f && fgets(line, sizeof(line), f)) {
		char *at = strstr(line, "zone");
		char *end;

		/* The name of the zone is before the numbers */
		at += at ? strcspn(at, " ") : 0;
		at += at ? strspn(at, " ") : 0;
		at += at ? strcspn(at, " ") : 0;
		for (int order = 0; at && order < 32; order++, at = end) {
			free[order] += strtoull(at, &end, 10);
			if (end == at)
				break;
		}
	}
	if (f)
		fclose(f);
	for (int order = 0; order <= 10; order++) {
		char name[64];

		snprintf(name, sizeof(name), "%s-free", scenario);
		series_init(&s, 1);
		add(&s, CHUNKS, free[order]);
		report(name, page_size << order, 1, &s, NULL);
		series_free(&s);
	}
}

/* A long time of buffers of any size, and what it leaves behind */
static void run_browser(void)
{
	int fds[BROWSER_LIVE];
	unsigned short state[3];
	__u64 hits, misses;
	struct series s;
	struct usage u;

	series_init(&s, opt.browser_ops);
	seed(state);
	for (int i = 0; i < BROWSER_LIVE; i++)
		use(fds[i] = alloc(browser_draw(state)));
	hits = pool_number("hits") + pool_number("dirty_hits");
	misses = pool_number("misses");
	usage_begin(&u);
	for (unsigned int n = 0; n < opt.browser_ops; n++) {
		int *fd = &fds[nrand48(state) % BROWSER_LIVE];
		__u64 size = browser_draw(state);
		__u64 t0, t1, t2;

		t0 = now();
		close(*fd);
		t1 = now();
		*fd = alloc(size);
		t2 = now();
		add(&s, CLOSE, t1 - t0);
		add(&s, ALLOC, t2 - t1);
		add(&s, CYCLE, t2 - t0);
		use(*fd);
	}
	usage_end(&u);
	hits = pool_number("hits") + pool_number("dirty_hits") - hits;
	misses = pool_number("misses") - misses;
	if (hits + misses)
		add(&s, HIT_PERMILLE, hits * 1000 / (hits + misses));
	for (int i = 0; i < BROWSER_LIVE; i++) {
		__u64 chunks = count_chunks(fds[i]);

		if (chunks)
			add(&s, CHUNKS, chunks);
	}
	report("browser", 0, 1, &s, &u);
	report_free_memory("browser");
	for (int i = 0; i < BROWSER_LIVE; i++)
		close(fds[i]);
	series_free(&s);
	pause_ms(opt.settle_ms);
}

/* The life of eight large buffers at once, so that none is another one's memory */
static void measure_large(const char *scenario)
{
	int fds[LARGE_COUNT];
	struct series s;

	series_init(&s, LARGE_COUNT);
	for (int i = 0; i < LARGE_COUNT; i++) {
		__u64 t0 = now(), t1, t2, t3;
		char *map;

		fds[i] = alloc(LARGE_SIZE);
		t1 = now();
		map = mmap(NULL, LARGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			   fds[i], 0);
		t2 = now();
		if (map == MAP_FAILED)
			die("mmap: %s", strerror(errno));
		for (__u64 at = 0; at < LARGE_SIZE; at += page_size)
			map[at] = 1;
		t3 = now();
		munmap(map, LARGE_SIZE);
		add(&s, ALLOC, t1 - t0);
		add(&s, MMAP, t2 - t1);
		add(&s, TOUCH, t3 - t2);
		add(&s, CYCLE, t3 - t0);
	}
	for (int i = 0; i < LARGE_COUNT; i++) {
		__u64 chunks = count_chunks(fds[i]);

		if (chunks)
			add(&s, CHUNKS, chunks);
		close(fds[i]);
	}
	report(scenario, LARGE_SIZE, 1, &s, NULL);
	series_free(&s);
	/* All of it is zeroed until the next one */
	pause_ms(opt.settle_ms);
}

/*
 * Take all memory, and give back every other page: what is free then has no two pages
 * side by side. Returns the memory that stays taken.
 */
static char *shatter(__u64 *len)
{
	char *map;

	*len = (read_number("/proc/meminfo", "MemFree:") * KIB / 8 * 7) &
	       ~(2 * page_size - 1);
	map = mmap(NULL, *len, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		die("no memory to fragment: %s", strerror(errno));
	madvise(map, *len, MADV_NOHUGEPAGE);
	for (__u64 at = 0; at < *len; at += page_size)
		map[at] = 1;
	for (__u64 at = 0; at < *len; at += 2 * page_size)
		if (madvise(map + at, page_size, MADV_DONTNEED))
			die("madvise: %s", strerror(errno));
	return map;
}

/* Large buffers where large chunks are in the pool only, unused and of another size */
static void run_shattered(void)
{
	int fds[IDLE_COUNT];
	__u64 len;
	char *map;

	make_cold();
	measure_large("large-first");
	measure_large("large-again");
	make_cold();
	for (int i = 0; i < IDLE_COUNT; i++)
		use(fds[i] = alloc(IDLE_SIZE));
	for (int i = 0; i < IDLE_COUNT; i++)
		close(fds[i]);
	pause_ms(opt.settle_ms);
	map = shatter(&len);
	measure_large("shattered-first");
	measure_large("shattered-again");
	munmap(map, len);
	make_cold();
}

/* Allocates large buffers faster than they can be zeroed */
static void provoke(void)
{
	int fds[2] = { -1, -1 };

	for (unsigned int i = 0; ; i++) {
		close(fds[i % 2]);
		use(fds[i % 2] = alloc(4 * MIB));
	}
}

static void measure_innocent(const char *scenario)
{
	struct series s;

	series_init(&s, opt.paced_ops);
	for (unsigned int i = 0; i < opt.paced_ops + WARM_UP; i++) {
		struct series *to = i < WARM_UP ? NULL : &s;
		__u64 t0, t1;
		int fd;

		t0 = now();
		fd = alloc(MIB);
		t1 = now();
		add(to, ALLOC, t1 - t0);
		use(fd);
		t0 = now();
		close(fd);
		add(to, CLOSE, now() - t0);
		pause_ms(2);
	}
	report(scenario, MIB, 1, &s, NULL);
	series_free(&s);
}

/* A client that rests between its buffers, alone and beside one that never does */
static void run_rival(void)
{
	pid_t pid;

	measure_innocent("alone");
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		provoke();
	}
	measure_innocent("rival");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	pause_ms(opt.settle_ms);
}

struct worker {
	pthread_t thread;
	pthread_barrier_t *barrier;
	__u64 size;
	struct series s;
};

/* Allocate and close, over and over; half of the rounds are a warm-up */
static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned int n = w->s.room;
	__u64 t0, t1, t2;
	int fd;

	for (unsigned int i = 0; i < n / 2; i++)
		close(alloc(w->size));
	pthread_barrier_wait(w->barrier);
	pthread_barrier_wait(w->barrier);
	while (n--) {
		t0 = now();
		fd = alloc(w->size);
		t1 = now();
		close(fd);
		t2 = now();
		add(&w->s, ALLOC, t1 - t0);
		add(&w->s, CLOSE, t2 - t1);
		add(&w->s, CYCLE, t2 - t0);
	}
	pthread_barrier_wait(w->barrier);
	return NULL;
}

/* Samples over wall time are the operations per second */
static void measure_threads(unsigned int number, __u64 size)
{
	unsigned int each = opt.samples ? opt.samples : size <= MIB ? 2000 : 200;
	struct worker *workers = calloc(number, sizeof(*workers));
	pthread_barrier_t barrier;
	struct series all;
	struct usage u;

	if (!workers)
		die("no memory for %u threads", number);
	series_init(&all, each * number);
	pthread_barrier_init(&barrier, NULL, number + 1);
	for (unsigned int i = 0; i < number; i++) {
		workers[i].barrier = &barrier;
		workers[i].size = size;
		series_init(&workers[i].s, each);
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			die("no thread number %u", i + 1);
	}
	pthread_barrier_wait(&barrier);
	usage_begin(&u);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	usage_end(&u);
	for (unsigned int i = 0; i < number; i++) {
		struct series *s = &workers[i].s;

		pthread_join(workers[i].thread, NULL);
		for (int p = 0; p < PHASES; p++)
			for (unsigned int k = 0; k < s->n[p]; k++)
				add(&all, p, s->ns[p][k]);
		series_free(s);
	}
	pthread_barrier_destroy(&barrier);
	free(workers);
	report("threads", size, number, &all, &u);
	series_free(&all);
	pause_ms(opt.pause_ms);
}

static void run_threads(void)
{
	for (unsigned int i = 0; i < opt.thread_sizes.n; i++)
		for (unsigned int k = 0; k < opt.threads.n; k++)
			measure_threads(opt.threads.value[k], opt.thread_sizes.value[i]);
}

/* 4 KiB buffers while none and while very many others live */
static void measure_live(unsigned int others)
{
	unsigned int n = opt.samples ? opt.samples : 500;
	int *fds = calloc(others + 1, sizeof(*fds));
	char scenario[32];
	__u64 t0, t1;
	struct series s;
	int fd;

	if (!fds)
		die("no memory for %u descriptors", others);
	series_init(&s, n);
	snprintf(scenario, sizeof(scenario), "live-%u", others);
	for (unsigned int i = 0; i < others; i++)
		fds[i] = alloc(4 * KIB);
	pause_ms(opt.pause_ms);
	while (n--) {
		t0 = now();
		fd = alloc(4 * KIB);
		t1 = now();
		add(&s, ALLOC, t1 - t0);
		close(fd);
		add(&s, CLOSE, now() - t1);
		/* A paced caller finds clean memory */
		pause_ms(1);
	}
	for (unsigned int i = 0; i < others; i++)
		close(fds[i]);
	free(fds);
	report(scenario, 4 * KIB, 1, &s, NULL);
	series_free(&s);
	pause_ms(opt.settle_ms);
}

/* For so many buffers and some more files */
static void allow_descriptors(unsigned int n)
{
	struct rlimit limit = { n + 100, n + 100 };
	struct rlimit have;

	getrlimit(RLIMIT_NOFILE, &have);
	if (have.rlim_cur < limit.rlim_cur && setrlimit(RLIMIT_NOFILE, &limit))
		die("only %lu descriptors may be open", (unsigned long)have.rlim_max);
}

static void run_live(void)
{
	allow_descriptors(opt.live);
	measure_live(0);
	measure_live(opt.live);
}

struct dma_case {
	const char *scenario;
	__u64 size;
	unsigned int importers;
	bool coherent;
	/* The CPU writes to every page before the devices come */
	bool written;
};

/* Let the test importer measure, or count bytes: a figure for each phase */
static void ask_importer(int fd, const struct dma_case *c, bool bytes,
			 __u64 *figure)
{
	char text[512], *line, *rest;
	ssize_t len;
	int file;

	file = open(IMPORTER, O_RDWR | O_CLOEXEC);
	if (file < 0)
		die("%s: %s (needs debugfs and CONFIG_DMABUF_HEAPS_TEST_IMPORTER)",
		    IMPORTER, strerror(errno));
	len = snprintf(text, sizeof(text), "time %d %u %d %d", fd, c->importers,
		       c->coherent, bytes);
	if (write(file, text, len) != len)
		die("%s refuses '%s': %s", IMPORTER, text, strerror(errno));
	len = pread(file, text, sizeof(text) - 1, 0);
	if (len <= 0)
		die("%s has no answer", IMPORTER);
	text[len] = 0;
	close(file);

	/* main() is in the middle of a list of heaps */
	for (line = strtok_r(text, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest))
		for (int p = ATTACH; p <= DETACH; p++) {
			size_t n = strlen(phase_names[p]);

			if (!strncmp(line, phase_names[p], n) && line[n] == ' ')
				figure[p] = strtoull(line + n, NULL, 10);
		}
}

static void write_pages(int fd, __u64 size)
{
	char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED)
		die("mmap of %llu bytes: %s", size, strerror(errno));
	for (__u64 at = 0; at < size; at += page_size)
		map[at] = 1;
	munmap(map, size);
}

/* One buffer, recycled if there is something to recycle, and its devices */
static void share(const struct dma_case *c, bool bytes, struct series *s)
{
	__u64 figure[PHASES] = { };
	int fd = alloc(c->size);

	if (c->written)
		write_pages(fd, c->size);
	ask_importer(fd, c, bytes, figure);
	close(fd);
	for (int p = ATTACH; p <= DETACH; p++) {
		if (bytes && s)
			s->maintained[p] = figure[p];
		else
			add(s, p, figure[p]);
	}
	pause_ms(opt.pause_ms);
}

static void measure_dma(const struct dma_case *c)
{
	unsigned int n = opt.samples ? opt.samples : 5;
	struct series s;

	series_init(&s, n);
	for (int k = 0; k < WARM_UP; k++)
		share(c, false, NULL);
	for (unsigned int i = 0; i < n; i++)
		share(c, false, &s);
	/* Probes take time: a run of its own */
	share(c, true, &s);
	s.counted = true;
	report(c->scenario, c->size, c->importers, &s, NULL);
	series_free(&s);
}

static void run_dma(void)
{
	static const struct dma_case cases[] = {
		{ .scenario = "dma-untouched" },
		{ .scenario = "dma-written", .written = true },
		{ .scenario = "dma-coherent", .written = true, .coherent = true },
	};

	for (size_t k = 0; k < ARRAY_SIZE(cases); k++)
		for (unsigned int i = 0; i < opt.dma_sizes.n; i++)
			for (unsigned int j = 0; j < opt.importers.n; j++) {
				struct dma_case c = cases[k];

				c.size = opt.dma_sizes.value[i];
				c.importers = opt.importers.value[j];
				measure_dma(&c);
			}
}

/* All memory a heap will ever have, and who holds it */
struct region {
	unsigned short state[3];
	__u64 size, used;
	unsigned int live;
	struct {
		int fd;
		__u64 size;
	} buffers[REGION_LIVE];
};

static __u64 region_number(const char *name)
{
	char path[300];

	snprintf(path, sizeof(path), "/sys/class/dma_heap/%s/%s", opt.heap,
		 name);
	return read_number(path, NULL);
}

/*
 * The largest buffer to be had, to 64 KiB, or all that is free. A larger one is
 * never easier to find room for.
 */
static __u64 region_largest(const struct region *r)
{
	__u64 good = 0, bad = r->size - r->used, size = bad;

	while (bad - good > 64 * KIB) {
		int fd = try_alloc(size);

		if (fd >= 0) {
			close(fd);
			if (size == bad)
				return size;
			good = size;
		} else {
			bad = size;
		}
		size = (good + bad) / 2 / page_size * page_size;
	}
	return good;
}

static void region_close_one(struct region *r)
{
	unsigned int i = nrand48(r->state) % r->live;

	close(r->buffers[i].fd);
	r->used -= r->buffers[i].size;
	r->buffers[i] = r->buffers[--r->live];
}

/*
 * Somebody needs a buffer, for which others have to go until it fits into @fill
 * bytes. Returns whether there was one place large enough for it.
 */
static bool region_step(struct region *r, __u64 fill, struct series *s)
{
	/* The largest two are not what one region is for */
	__u64 size = draw(r->state, ARRAY_SIZE(mix_sizes) - 2);
	__u64 t;
	int fd;

	size = (size + page_size - 1) / page_size * page_size;
	while (r->used + size > fill || r->live == REGION_LIVE)
		region_close_one(r);
	t = now();
	fd = try_alloc(size);
	if (fd < 0)
		return false;
	add(s, ALLOC, now() - t);
	r->buffers[r->live].fd = fd;
	r->buffers[r->live++].size = size;
	r->used += size;
	return true;
}

/* Steps until the next look at what is left */
static void region_steps(struct region *r, unsigned int percent,
			 unsigned int steps, struct space *space)
{
	char scenario[32];
	struct series s;

	series_init(&s, steps);
	space->step += steps;
	while (steps--)
		if (!region_step(r, r->size / 100 * percent, &s))
			space->failed++;
	space->free = r->size - r->used;
	space->largest = region_largest(r);
	s.space = space;
	snprintf(scenario, sizeof(scenario), "fragment-%u", percent);
	report(scenario, 0, 1, &s, NULL);
	series_free(&s);
}

/* When all buffers are gone, the whole region is to be had at once again */
static void measure_fragments(struct region *r, unsigned int percent)
{
	unsigned int every = (opt.ops + REGION_LOOKS - 1) / REGION_LOOKS;
	struct space space = { };

	/* Until the one before has been scrubbed */
	pause_ms(opt.settle_ms);
	seed(r->state);
	for (unsigned int i = 0; i < REGION_LOOKS; i++)
		region_steps(r, percent, every, &space);
	while (r->live)
		region_close_one(r);
	if (region_largest(r) != r->size)
		die("%s: the region is not whole again", opt.heap);
}

static void run_fragment(void)
{
	__u64 fallbacks = region_number("fallbacks");
	struct region *r = calloc(1, sizeof(*r));

	if (!r)
		die("no memory for a region");
	r->size = region_number("area/size_bytes");
	if (r->size < 64 * MIB)
		die("%s is no carveout of 64 MiB or more", opt.heap);
	allow_descriptors(REGION_LIVE);
	for (unsigned int i = 0; i < opt.fills.n; i++)
		measure_fragments(r, opt.fills.value[i]);
	if (region_number("fallbacks") != fallbacks)
		die("%s falls back on another heap", opt.heap);
	free(r);
}

static const struct scenario {
	const char *name;
	void (*run)(void);
	const char *what;
} scenarios[] = {
	{ "cold", run_cold, "nothing to recycle (needs root)" },
	{ "warm", run_warm, "the same size again after a pause" },
	{ "unpooled", run_unpooled, "warm, but the pool keeps nothing (needs root)" },
	{ "spin", run_spin, "warm, with a busy process on every CPU" },
	{ "untouched", run_untouched, "allocated and closed, and never used" },
	{ "burst", run_burst, "8 allocated, 8 closed, a pause" },
	{ "mix-cold", run_mix_cold, "64 buffers of many sizes, from cold (needs root)" },
	{ "mix", run_mix, "the same, steady" },
	{ "mix-paced", run_mix_paced, "the same, 2 ms between steps" },
	{ "browser", run_browser, "40 buffers of any size, for a long time" },
	{ "shattered", run_shattered, "large buffers when memory is fragmented (needs root)" },
	{ "rival", run_rival, "a client beside one that allocates without a rest" },
	{ "threads", run_threads, "threads that allocate and close" },
	{ "live", run_live, "4 KiB while 10000 buffers live" },
	{ "dma", run_dma, "devices share it (needs root and the test importer)" },
	{ "fragment", run_fragment, "what a long time leaves of a carveout" },
};

static void usage(FILE *f)
{
	fprintf(f,
		"Usage: dmaheap-bench [option]...\n"
		"Measure what buffers of a DMA-BUF heap cost.\n"
		"  -H, --heap=NAME,...      heaps, one after the other (system)\n"
		"  -S, --scenario=NAME,...  what to measure (all but dma, fragment)\n"
		"  -s, --size=SIZE,...      in bytes, or with k, m\n"
		"  -n, --samples=N          of each size (by size)\n"
		"  -p, --pause=MS           after each sample (20)\n"
		"  -w, --settle=MS          before a cold sample (1100)\n"
		"  -o, --ops=N              steps of the mix, of fragment (3000)\n"
		"  -P, --paced-ops=N        steps of mix-paced (600)\n"
		"  -b, --browser-ops=N      steps of browser (20000)\n"
		"  -r, --seed=N             of the mix, of browser, of fragment (1)\n"
		"  -t, --threads=N,...      (1,2,4)\n"
		"  -T, --thread-size=SIZE,...  (4k,1m)\n"
		"  -l, --live=N             buffers of live (10000)\n"
		"  -D, --dma-size=SIZE,...  (64k,8m,64m)\n"
		"  -i, --importers=N,...    devices that share, up to 8 (1,2,4,8)\n"
		"  -F, --fill=PERCENT,...   of the carveout in fragment (50,70,90)\n"
		"  -m, --no-map             allocate and close only\n"
		"  -c, --csv                CSV instead of a table\n"
		"  -f, --file=FILE          CSV there, too\n"
		"Scenarios:\n");
	for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++)
		fprintf(f, "  %-10s %s\n", scenarios[i].name, scenarios[i].what);
}

static void refuse(const char *what, const char *arg)
{
	fprintf(stderr, "dmaheap-bench: bad %s '%s'\n", what, arg);
	usage(stderr);
	exit(2);
}

/* A number with its unit; moves *text behind it */
static __u64 number(const char *what, char **text, const char *arg)
{
	__u64 value;
	char *end;

	errno = 0;
	value = strtoull(*text, &end, 0);
	if (errno || end == *text || **text == '-')
		refuse(what, arg);
	if (*end == 'k' || *end == 'K') {
		value *= KIB;
		end++;
	} else if (*end == 'm' || *end == 'M') {
		value *= MIB;
		end++;
	}
	*text = end;
	return value;
}

static __u64 one(const char *what, char *arg, __u64 min, __u64 max)
{
	char *text = arg;
	__u64 value = number(what, &text, arg);

	if (*text || value < min || value > max)
		refuse(what, arg);
	return value;
}

static void many(const char *what, char *arg, struct list *list, __u64 max)
{
	char *text = arg;

	list->n = 0;
	for (;;) {
		__u64 value = number(what, &text, arg);

		if (!value || value > max || list->n == MAX_LIST)
			refuse(what, arg);
		list->value[list->n++] = value;
		if (!*text)
			return;
		if (*text++ != ',')
			refuse(what, arg);
	}
}

/* The scenarios of the comma separated list, as bits */
static unsigned int choose(char *arg)
{
	unsigned int bits = 0;
	char *name;
	size_t i;

	for (name = strtok(arg, ","); name; name = strtok(NULL, ",")) {
		for (i = 0; i < ARRAY_SIZE(scenarios); i++)
			if (!strcmp(name, scenarios[i].name))
				break;
		if (i == ARRAY_SIZE(scenarios))
			refuse("scenario", name);
		bits |= 1u << i;
	}
	if (!bits)
		refuse("scenario", "");
	return bits;
}

static void open_heap(const char *name)
{
	static struct dmaheap_list *list;
	int error;

	error = list ? 0 : dmaheap_list_new(&list, NULL);
	heap = error ? NULL : dmaheap_find(list, name);
	if (!error)
		error = heap ? dmaheap_open(heap) : -ENOENT;
	if (error)
		die("/dev/dma_heap/%s: %s", name, strerror(-error));
	opt.heap = name;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "heap", required_argument, NULL, 'H' },
		{ "scenario", required_argument, NULL, 'S' },
		{ "size", required_argument, NULL, 's' },
		{ "samples", required_argument, NULL, 'n' },
		{ "pause", required_argument, NULL, 'p' },
		{ "settle", required_argument, NULL, 'w' },
		{ "ops", required_argument, NULL, 'o' },
		{ "paced-ops", required_argument, NULL, 'P' },
		{ "browser-ops", required_argument, NULL, 'b' },
		{ "seed", required_argument, NULL, 'r' },
		{ "threads", required_argument, NULL, 't' },
		{ "thread-size", required_argument, NULL, 'T' },
		{ "live", required_argument, NULL, 'l' },
		{ "dma-size", required_argument, NULL, 'D' },
		{ "importers", required_argument, NULL, 'i' },
		{ "fill", required_argument, NULL, 'F' },
		{ "no-map", no_argument, NULL, 'm' },
		{ "csv", no_argument, NULL, 'c' },
		{ "file", required_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	/* The last two need what not every kernel, and not every heap has */
	unsigned int chosen = (1u << (ARRAY_SIZE(scenarios) - 2)) - 1;
	char system[] = "system";
	char *heaps = system;
	char *file = NULL;
	char *name;
	int c;

	while ((c = getopt_long(argc, argv, "H:S:s:n:p:w:o:P:b:r:t:T:l:D:i:F:mcf:h",
				options, NULL)) != -1) {
		switch (c) {
		case 'H':
			heaps = optarg;
			break;
		case 'S':
			chosen = choose(optarg);
			break;
		case 's':
			many("size", optarg, &opt.sizes, 1ull << 40);
			break;
		case 'n':
			opt.samples = one("number of samples", optarg, 1, 1000000);
			break;
		case 'p':
			opt.pause_ms = one("pause", optarg, 0, 60000);
			break;
		case 'w':
			opt.settle_ms = one("pause", optarg, 0, 60000);
			break;
		case 'o':
			opt.ops = one("number of steps", optarg, 1, 1000000);
			break;
		case 'P':
			opt.paced_ops = one("number of steps", optarg, 1, 1000000);
			break;
		case 'b':
			opt.browser_ops = one("number of steps", optarg, 1, 1000000);
			break;
		case 'r':
			opt.seed = one("seed", optarg, 0, 0xffffffff);
			break;
		case 't':
			many("number of threads", optarg, &opt.threads, 1024);
			break;
		case 'T':
			many("size", optarg, &opt.thread_sizes, 1ull << 40);
			break;
		case 'l':
			opt.live = one("number of buffers", optarg, 1, 1000000);
			break;
		case 'D':
			many("size", optarg, &opt.dma_sizes, 1ull << 40);
			break;
		case 'i':
			many("number of devices", optarg, &opt.importers, 8);
			break;
		case 'F':
			many("percentage", optarg, &opt.fills, 100);
			break;
		case 'm':
			opt.map = false;
			break;
		case 'c':
			opt.csv = true;
			break;
		case 'f':
			file = optarg;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind != argc)
		refuse("argument", argv[optind]);

	page_size = sysconf(_SC_PAGESIZE);
	if (file) {
		opt.file = fopen(file, "we");
		if (!opt.file)
			die("%s: %s", file, strerror(errno));
		csv_header(opt.file);
	}
	if (opt.csv)
		csv_header(stdout);
	for (name = strtok(heaps, ","); name; name = strtok(NULL, ",")) {
		open_heap(name);
		if (!opt.csv) {
			printf("heap %s\n", name);
			table_header();
		}
		for (size_t i = 0; i < ARRAY_SIZE(scenarios); i++)
			if (chosen & (1u << i))
				scenarios[i].run();
	}
	if (!opt.heap)
		refuse("heap", "");
	if (opt.file && fclose(opt.file))
		die("%s: %s", file, strerror(errno));
	return 0;
}

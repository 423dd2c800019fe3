// SPDX-License-Identifier: GPL-2.0
/*
 * Coverage-guided fuzzer of heaps: libFuzzer makes programs out of calls, KCOV tells it
 * which code of ours each has run. It runs in the guest.
 *
 * Three processes: libFuzzer's, which judges; one that only forks, to be cheap to fork;
 * and its child, which runs one program, and takes all it has with it when it ends.
 *
 * Every input goes to the port org.dmaheap.file before it runs, so that the host knows
 * what the kernel died of, and a second time if it has run code that none before did:
 * these are the corpus.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <unistd.h>
#include <linux/kcov.h>
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "complaints.h"
#include "fuzz.h"
#include "heap_cgroup.h"
#include "heap_device.h"
#include "heap_file.h"
#include "heap_process.h"

#define JOURNAL		"/dev/virtio-ports/org.dmaheap.file"
#define TEST		"fuzzer_runs_and_finds_nothing"
#define INPUT_MAX	(CALLS_MAX * sizeof(struct call))
#define AREA_WORDS	(64 << 10)
#define NR_EDGES	(32 << 10)
#define NR_RESULTS	(64 * ERRNO_MAX)
#define NR_PLACES	(16 << 10)
/* More than the kernel keeps charged for itself */
#define CHARGE_SLACK	(8 << 20)

const char *const fuzz_cgroups[2] = { "fuzz/a", "fuzz/b" };
struct heap heaps[HEAPS_MAX];
int nr_heaps;
struct shared *shared;
bool racing;

/* What libFuzzer sees: ways from one place to the next, and what calls returned */
#pragma clang section bss = "__libfuzzer_extra_counters"
static __u8 counters[NR_EDGES + NR_RESULTS];
#pragma clang section bss = ""

static __u8 seen_edges[NR_EDGES];
static __u64 seen_places[NR_PLACES];
static unsigned int nr_edges, nr_places, nr_runs, nr_corpus;
static unsigned int least_runs, least_places;
static unsigned long long totals[64][2];

static int kcov_fds[THREADS];
static __u64 *kcov_areas[THREADS];
static int journal, kmsg, to_zygote, from_zygote, charge_fds[2];
static pid_t owner;
static double begin, told;

static double now(void)
{
	return now_ms() / 1000.0;
}

void complain(const char *format, ...)
{
	va_list args;

	if (atomic_exchange(&shared->has_complaint, true))
		return;
	va_start(args, format);
	vsnprintf(shared->complaint, sizeof(shared->complaint), format, args);
	va_end(args);
}

static void tell_program(void)
{
	for (unsigned int i = 0; i < shared->nr_calls; i++) {
		const struct call *c = &shared->calls[i];
		int error = shared->errors[i];

		printf("# %2u%s %s(%u, %u, %u, %u, %u, %u, %u): %s\n", i,
		       c->op & CALL_BESIDE ? " beside" : "",
		       fuzz_call_name((c->op & ~CALL_BESIDE) % nr_fuzz_calls), c->slot, c->a, c->b,
		       c->c, c->d, c->e, c->f,
		       error < 0 ? "has not ended" : error ? strerrorname_np(error) : "good");
	}
}

/* The end: something is wrong with the kernel, or with us */
static noreturn void fail(const char *format, ...)
{
	va_list args;

	printf("not ok 1 %s\n# execution %u: ", TEST, nr_runs);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	tell_program();
	printf("# executions %u, edges %u, places %u, findings 1, seconds %.0f\n", nr_runs,
	       nr_edges, nr_places, now() - begin);
	fflush(stdout);
	_exit(1);
}

/* One program, in a process of its own */

static atomic_uint position;

static void kcov(struct thread *thread, bool on)
{
	if (ioctl(kcov_fds[thread->number], on ? KCOV_ENABLE : KCOV_DISABLE,
		  on ? KCOV_TRACE_PC : 0))
		complain("no coverage: %s", strerror(errno));
}

/* The second thread runs a call when the first one has come to it, and does not wait */
static void run_thread(struct thread *thread)
{
	kcov(thread, true);
	for (unsigned int i = 0; i < shared->nr_calls; i++) {
		if (!thread->number)
			position = i;
		while (position < i)
			sched_yield();
		if (!(shared->calls[i].op & CALL_BESIDE) == !thread->number)
			run_call(thread, &shared->calls[i]);
	}
	if (!thread->number)
		position = CALLS_MAX;
}

static void *second_thread(void *data)
{
	struct thread thread = { .number = 1 };

	run_thread(&thread);
	kcov(&thread, false);

	return data;
}

static void run_program(void)
{
	struct thread thread = { };
	pthread_t second;

	setpgid(0, 0);
	file_write("/proc/self/oom_score_adj", "1000");
	for (unsigned int i = 0; i < shared->nr_calls; i++)
		racing |= shared->calls[i].op & CALL_BESIDE;
	if (racing && pthread_create(&second, NULL, second_thread, NULL))
		_exit(0);
	run_thread(&thread);
	if (racing)
		pthread_join(second, NULL);
	close_slots();
	kcov(&thread, false);
	_exit(0);
}

/* A child in the cgroup that pays at first */
static pid_t clone_into(int cgroup)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP,
		.exit_signal = SIGCHLD,
		.cgroup = cgroup,
	};

	return syscall(SYS_clone3, &args, sizeof(args));
}

static void run_zygote(int in, int out)
{
	int cgroup = open(CGROUP "/fuzz/a", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int status;
	char byte;
	pid_t pid;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	model_init();
	while (read(in, &byte, 1) == 1) {
		pid = clone_into(cgroup);
		if (!pid)
			run_program();
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			status = -1;
		kill(-pid, SIGKILL);
		while (waitpid(-1, NULL, 0) > 0)
			;
		if (write(out, &status, sizeof(status)) != sizeof(status))
			break;
	}
	_exit(0);
}

static void start_zygote(void)
{
	int in[2], out[2];
	pid_t pid;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC))
		fail("no pipe");
	pid = fork();
	if (pid < 0)
		fail("no process");
	if (!pid)
		run_zygote(in[0], out[1]);
	close(in[0]);
	close(out[1]);
	to_zygote = in[1];
	from_zygote = out[0];
}

/* What it has run */

/* Whether @pc has not been seen before */
static bool new_place(__u64 pc)
{
	unsigned int at = pc * 0x9e3779b97f4a7c15ull >> 50;

	for (; seen_places[at]; at = (at + 1) % NR_PLACES)
		if (seen_places[at] == pc)
			return false;
	if (nr_places == NR_PLACES / 2)
		fail("more than %u places", nr_places);
	seen_places[at] = pc;
	nr_places++;

	return true;
}

/* Whether the input has run code that none before it did */
static bool count_coverage(const __u64 *area)
{
	__u64 count = __atomic_load_n(area, __ATOMIC_RELAXED), last = 0;
	unsigned int edge;
	bool new = false;

	for (__u64 i = 1; i <= count && i < AREA_WORDS; i++) {
		new |= new_place(area[i]);
		edge = (area[i] * 31 ^ last) * 0x9e3779b97f4a7c15ull >> 49;
		last = area[i];
		if (counters[edge] < 255)
			counters[edge]++;
		if (!seen_edges[edge]) {
			seen_edges[edge] = 1;
			nr_edges++;
		}
	}

	return new;
}

static void count_results(void)
{
	for (unsigned int op = 0; op < nr_fuzz_calls; op++) {
		for (int error = 0; error < ERRNO_MAX; error++) {
			unsigned int n = atomic_exchange(&shared->results[op][error], 0);

			if (!n)
				continue;
			counters[NR_EDGES + op * ERRNO_MAX + error] = 1;
			totals[op][!!error] += n;
		}
	}
}

static void tell(const char *what, const struct call *calls, size_t count)
{
	char line[16 + 2 * INPUT_MAX];
	const unsigned char *byte = (const void *)calls;
	int len = sprintf(line, "%s ", what);

	for (size_t i = 0; i < count * sizeof(*calls); i++)
		len += sprintf(line + len, "%02x", byte[i]);
	line[len++] = '\n';
	if (TEMP_FAILURE_RETRY(write(journal, line, len)) != len)
		fail("cannot write to " JOURNAL);
}

/* What is left of it */

static long long number_at(int fd)
{
	char text[32] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
		fail("cannot read a counter");

	return atoll(text);
}

/* Descriptors on their way through a socket, and charges, may take a moment */
static void check_left(void)
{
	for (int i = 0; i < nr_heaps; i++) {
		if (heaps[i].alias)
			continue;
		if (!WAIT_FOR(!number_at(heaps[i].bytes_fd)))
			fail("%lld bytes of %s are left", number_at(heaps[i].bytes_fd),
			     heaps[i].name);
		if (!WAIT_FOR(!number_at(heaps[i].buffers_fd)))
			fail("%lld buffers of %s are left", number_at(heaps[i].buffers_fd),
			     heaps[i].name);
	}
	for (int i = 0; i < 2; i++)
		if (!WAIT_FOR(number_at(charge_fds[i]) < CHARGE_SLACK))
			fail("%lld bytes are charged to %s", number_at(charge_fds[i]),
			     fuzz_cgroups[i]);
}

static void fail_kernel(const char *text)
{
	fail("kernel: %s", text);
}

static void put_heap_back(const struct heap *heap)
{
	static const char *const prefills[] = { "4096 0", "65536 0", "2097152 0", "3112960 0",
						"8388608 0" };

	for (size_t i = 0; i < ARRAY_SIZE(prefills); i++)
		heap_attr_write(heap->name, "pool/prefill", prefills[i]);
	if (heap_attr_set(heap->name, "pool/max_bytes", heap->max_bytes) ||
	    heap_attr_set(heap->name, "pool/decay_ms", heap->decay_ms) ||
	    heap_attr_set(heap->name, "buffer_limit_bytes", heap->buffer_limit) ||
	    heap_attr_write(heap->name, "heap_limit_bytes", "max"))
		fail("cannot set attributes of %s back", heap->name);
}

static void put_back(void)
{
	for (int i = 0; i < nr_heaps; i++)
		if (atomic_exchange(&shared->touched[i], false))
			put_heap_back(&heaps[i]);
	if (atomic_exchange(&shared->touched[TOUCHED_CGROUP], false))
		for (int i = 0; i < 2; i++)
			if (cgroup_write(fuzz_cgroups[i], "memory.max", "max"))
				fail("cannot set the limit of %s back", fuzz_cgroups[i]);
}

static void tell_progress(void)
{
	if (now() < told + 20)
		return;
	told = now();
	printf("# %.0f s: executions %u, edges %u, places %u, corpus %u\n", told - begin, nr_runs,
	       nr_edges, nr_places, nr_corpus);
	fflush(stdout);
}

int fuzz_run(const __u8 *data, size_t size)
{
	size_t count = size / sizeof(struct call);
	bool new = false;
	int status;

	if (count > CALLS_MAX)
		count = CALLS_MAX;
	memcpy(shared->calls, data, count * sizeof(struct call));
	shared->nr_calls = count;
	memset(shared->errors, 0xff, sizeof(shared->errors));
	for (int i = 0; i < THREADS; i++)
		kcov_areas[i][0] = 0;
	tell("input", shared->calls, count);
	nr_runs++;
	/* libFuzzer looks at the time now and then, by a signal */
	if (write(to_zygote, "", 1) != 1 ||
	    TEMP_FAILURE_RETRY(read(from_zygote, &status, sizeof(status))) != sizeof(status))
		fail("the process that forks is gone");
	kernel_complaints(kmsg, fail_kernel);
	if (shared->has_complaint)
		fail("%s", shared->complaint);
	if (WIFSIGNALED(status) ? WTERMSIG(status) != SIGKILL : status)
		fail("the program ended with status %#x", status);
	for (int i = 0; i < THREADS; i++)
		new |= count_coverage(kcov_areas[i]);
	count_results();
	put_back();
	check_left();
	if (new) {
		nr_corpus++;
		tell("new", shared->calls, count);
	}
	tell_progress();

	return 0;
}

/* Programs change by calls */

static void insert(struct call *calls, size_t count, size_t at)
{
	memmove(calls + at + 1, calls + at, (count - at) * sizeof(*calls));
}

static struct call random_call(unsigned int seed)
{
	struct call call;
	unsigned char *byte = (void *)&call;

	for (size_t i = 0; i < sizeof(call); i++) {
		seed = seed * 1103515245 + 12345;
		byte[i] = seed >> 16;
	}
	/* A program with a race in every other call would never get far */
	if (seed & 0x7000)
		call.op &= ~CALL_BESIDE;

	return call;
}

size_t fuzz_mutate(__u8 *data, size_t size, size_t max_size, unsigned int seed)
{
	struct call *calls = (void *)data, call;
	size_t count = size / sizeof(*calls), room = max_size / sizeof(*calls), at, other;

	at = count ? seed / 16 % count : 0;
	other = count ? seed / 1024 % count : 0;
	call = random_call(seed);
	switch (count ? seed % 8 : 0) {
	case 0:
	case 1:
	case 2:
		if (count && seed & 0x800)
			call = calls[other];
		if (count == room)
			break;
		insert(calls, count, at);
		calls[at] = call;
		return (count + 1) * sizeof(*calls);
	case 3:
		if (count < 2)
			break;
		memmove(calls + at, calls + at + 1, (count - at - 1) * sizeof(*calls));
		return (count - 1) * sizeof(*calls);
	case 4:
		call = calls[at];
		calls[at] = calls[other];
		calls[other] = call;
		return count * sizeof(*calls);
	}
	if (count)
		mutate_bytes((void *)&calls[at], sizeof(*calls), sizeof(*calls));

	return count * sizeof(*calls);
}

/* The beginning of the one, and the end of the other */
size_t fuzz_cross(const __u8 *data1, size_t size1, const __u8 *data2, size_t size2, __u8 *out,
		  size_t max_out, unsigned int seed)
{
	size_t call = sizeof(struct call), first, second;

	first = size1 / call ? seed % (size1 / call + 1) * call : 0;
	second = size2 / call ? seed / 64 % (size2 / call + 1) * call : 0;
	if (first > max_out)
		first = max_out / call * call;
	if (second > max_out - first)
		second = (max_out - first) / call * call;
	memcpy(out, data1, first);
	memcpy(out + first, data2 + size2 / call * call - second, second);

	return first + second;
}

/* Before and after all of them */

static void find_heaps(void)
{
	static char names[HEAPS_MAX][HEAP_NAME_SIZE];
	char alias[HEAP_NAME_SIZE], path[512];

	nr_heaps = heap_names(names, HEAPS_MAX);
	qsort(names, nr_heaps, sizeof(names[0]), (int (*)(const void *, const void *))strcmp);
	for (int i = 0; i < nr_heaps; i++) {
		struct heap *heap = &heaps[i];

		snprintf(heap->name, sizeof(heap->name), "%s", names[i]);
		for (int mode = O_RDONLY; mode <= O_WRONLY; mode++)
			heap->fd[mode] = heap_open(heap->name, (mode ? O_RDWR : O_RDONLY) |
						   O_CLOEXEC);
		heap->alias = !heap_attr_read(heap->name, "alias_of", alias, sizeof(alias)) &&
			      *alias;
		snprintf(path, sizeof(path), "/sys/class/dma_heap/%s/bytes", heap->name);
		heap->bytes_fd = open(path, O_RDONLY | O_CLOEXEC);
		snprintf(path, sizeof(path), "/sys/class/dma_heap/%s/buffers", heap->name);
		heap->buffers_fd = open(path, O_RDONLY | O_CLOEXEC);
		heap->max_bytes = heap_attr(heap->name, "pool/max_bytes");
		heap->decay_ms = heap_attr(heap->name, "pool/decay_ms");
		heap->buffer_limit = heap_attr(heap->name, "buffer_limit_bytes");
		printf("# heap %s\n", heap->name);
	}
	if (!nr_heaps)
		fail("no heap");
}

static void make_cgroups(void)
{
	char path[128];

	if (file_write(CGROUP "/cgroup.subtree_control", "+memory") || !cgroup_make("fuzz") ||
	    cgroup_write("fuzz", "cgroup.subtree_control", "+memory"))
		fail("no cgroup with a limit of memory");
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), CGROUP "/%s/memory.current", fuzz_cgroups[i]);
		if (!cgroup_make(fuzz_cgroups[i]))
			fail("no cgroup %s", fuzz_cgroups[i]);
		charge_fds[i] = open(path, O_RDONLY | O_CLOEXEC);
		if (charge_fds[i] < 0)
			fail("no %s", path);
	}
}

/* All allocations can fail, and all caches can go, without a word in the log */
static void make_faults(void)
{
	if (file_write("/proc/sys/vm/drop_caches", "4") ||
	    file_write("/sys/kernel/debug/failslab/ignore-gfp-wait", "N") ||
	    file_write("/sys/kernel/debug/failslab/verbose", "0") ||
	    file_write("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N") ||
	    file_write("/sys/kernel/debug/fail_page_alloc/min-order", "0") ||
	    file_write("/sys/kernel/debug/fail_page_alloc/verbose", "0"))
		fail("cannot make allocations fail");
}

static void open_kcov(int i)
{
	kcov_fds[i] = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	if (kcov_fds[i] < 0 || ioctl(kcov_fds[i], KCOV_INIT_TRACE, AREA_WORDS))
		fail("no kcov");
	kcov_areas[i] = mmap(NULL, AREA_WORDS * sizeof(__u64), PROT_READ | PROT_WRITE,
			     MAP_SHARED, kcov_fds[i], 0);
	if (kcov_areas[i] == MAP_FAILED)
		fail("no memory of kcov");
}

/* One input a line, as hexadecimal numbers; the size of the next one, or 0 */
static size_t read_input(FILE *corpus, __u8 *data)
{
	char line[2 * INPUT_MAX + 2], *at = line;
	unsigned int byte;
	size_t size = 0;

	if (fgets(line, sizeof(line), corpus))
		for (; sscanf(at, "%2x", &byte) == 1 && size < INPUT_MAX; at += 2)
			data[size++] = byte;

	return size;
}

static FILE *open_corpus(void)
{
	FILE *corpus = fopen("/fuzz/corpus", "re");

	if (!corpus)
		fail("no corpus");

	return corpus;
}

/* A file for each, as libFuzzer wants it, and one of one call, that there is a beginning */
static void unpack_corpus(void)
{
	FILE *corpus = open_corpus(), *file;
	__u8 data[INPUT_MAX] = { };
	size_t size = sizeof(struct call);
	unsigned int number = 0;
	char path[64];

	mkdir("/tmp/corpus", 0755);
	for (; size; size = read_input(corpus, data)) {
		snprintf(path, sizeof(path), "/tmp/corpus/%04u", number++);
		file = fopen(path, "we");
		if (!file || fwrite(data, 1, size, file) != size || fclose(file))
			fail("cannot write %s", path);
	}
	fclose(corpus);
}

/* Without libFuzzer: all inputs again and again */
static void repeat_corpus(unsigned int seconds)
{
	__u8 data[INPUT_MAX];
	FILE *corpus;
	size_t size;

	while (now() < begin + seconds) {
		corpus = open_corpus();
		while ((size = read_input(corpus, data)))
			fuzz_run(data, size);
		fclose(corpus);
	}
	exit(0);
}

static void finish(void)
{
	bool enough = nr_runs >= least_runs && nr_places >= least_places;

	if (getpid() != owner)
		return;
	for (unsigned int op = 0; op < nr_fuzz_calls; op++)
		printf("# %s: %llu good, %llu errors\n", fuzz_call_name(op), totals[op][0],
		       totals[op][1]);
	for (int i = 0; i < NR_PLACES; i++)
		if (seen_places[i])
			dprintf(journal, "place %llx\n", seen_places[i]);
	if (!enough)
		printf("# at least %u executions and %u places\n", least_runs, least_places);
	printf("%s 1 %s\n", enough ? "ok" : "not ok", TEST);
	printf("# executions %u, edges %u, places %u, findings 0, seconds %.0f\n", nr_runs,
	       nr_edges, nr_places, now() - begin);
	fflush(stdout);
}

static void get_option(const char *arg, const char *name, unsigned int *value)
{
	if (!strncmp(arg, name, strlen(name)))
		*value = atoi(arg + strlen(name));
}

/* Options of ours have two dashes: libFuzzer leaves these alone */
int fuzz_begin(int *argc, char ***argv)
{
	unsigned int repeat = 0;

	begin = now();
	told = begin;
	owner = getpid();
	for (int i = 1; i < *argc; i++) {
		get_option((*argv)[i], "--least_runs=", &least_runs);
		get_option((*argv)[i], "--least_places=", &least_places);
		get_option((*argv)[i], "--repeat=", &repeat);
	}
	printf("TAP version 13\n1..1\n");
	journal = open(JOURNAL, O_WRONLY | O_CLOEXEC);
	if (journal < 0)
		fail("no " JOURNAL);
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg < 0)
		fail("no /dev/kmsg");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	find_heaps();
	make_cgroups();
	make_faults();
	for (int i = 0; i < THREADS; i++)
		open_kcov(i);
	start_zygote();
	file_write("/proc/self/oom_score_adj", "-1000");
	fflush(stdout);
	atexit(finish);
	if (repeat)
		repeat_corpus(repeat);
	unpack_corpus();

	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * dmaheap bench: what allocating and closing a buffer takes, in short.
 * dmaheap-bench is the program that measures everything else.
 */
#include "dmaheap.h"
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_SIZES	32
#define MAX_SAMPLES	1000000
#define WARM_UP		2

static const char * const titles[] = {
	"SIZE", "SAMPLES", "ALLOC-US", "99%", "CLOSE-US", "99%",
};

struct setup {
	const char *heap;
	__u64 sizes[MAX_SIZES];
	size_t n;
	__u64 samples, pause_ms;
	bool json;
};

/* In ns, sorted */
struct result {
	__u64 *alloc, *close;
	int error;
};

static int compare(const void *a, const void *b)
{
	__u64 x = *(const __u64 *)a, y = *(const __u64 *)b;

	return (x > y) - (x < y);
}

/* The smallest sample that @percent of all do not exceed */
static __u64 percentile(const __u64 *sorted, __u64 n, unsigned int percent)
{
	return sorted[(n * percent + 99) / 100 - 1];
}

static int one(const struct dmaheap *heap, __u64 size, __u64 *alloc_ns, __u64 *close_ns)
{
	int fd = heap_alloc(heap, size, alloc_ns);
	__u64 begin;

	if (fd < 0)
		return fd;
	begin = now_ns();
	close(fd);
	*close_ns = now_ns() - begin;
	return 0;
}

static void measure(const struct setup *s, const struct dmaheap *heap, __u64 size,
		    struct result *r)
{
	__u64 unused[2];

	r->error = 0;
	for (__u64 i = 0; i < WARM_UP + s->samples && !r->error; i++) {
		bool warm = i >= WARM_UP;

		r->error = one(heap, size,
			       warm ? &r->alloc[i - WARM_UP] : &unused[0],
			       warm ? &r->close[i - WARM_UP] : &unused[1]);
		pause_ns(s->pause_ms * 1000000);
	}
	if (r->error)
		return;
	qsort(r->alloc, s->samples, sizeof(*r->alloc), compare);
	qsort(r->close, s->samples, sizeof(*r->close), compare);
}

static void add_us(struct table *t, const __u64 *sorted, __u64 n)
{
	static const unsigned int percents[] = { 50, 99 };
	char buf[32];

	for (size_t i = 0; i < ARRAY_SIZE(percents); i++) {
		snprintf(buf, sizeof(buf), "%.1f",
			 percentile(sorted, n, percents[i]) / 1e3);
		table_text(t, buf);
	}
}

static void add_row(struct table *t, const struct setup *s, __u64 size,
		    const struct result *r)
{
	table_size(t, size);
	if (r->error) {
		for (size_t i = 1; i < ARRAY_SIZE(titles); i++)
			table_text(t, NULL);
		return;
	}
	table_number(t, s->samples);
	add_us(t, r->alloc, s->samples);
	add_us(t, r->close, s->samples);
}

static void add_times(struct json *j, const char *name, const __u64 *sorted,
		      __u64 n)
{
	json_open(j, name, '{');
	json_number(j, "median", percentile(sorted, n, 50));
	json_number(j, "p99", percentile(sorted, n, 99));
	json_close(j, '}');
}

static void add_object(struct json *j, const struct setup *s, __u64 size,
		       const struct result *r)
{
	json_open(j, NULL, '{');
	json_number(j, "size", size);
	json_string(j, "error", r->error ? strerror(-r->error) : NULL);
	if (!r->error) {
		json_number(j, "samples", s->samples);
		add_times(j, "alloc_ns", r->alloc, s->samples);
		add_times(j, "close_ns", r->close, s->samples);
	}
	json_close(j, '}');
}

static void begin(const struct setup *s, struct table *t, struct json *j)
{
	if (!s->json) {
		table_begin(t, titles, "rrrrrr");
		return;
	}
	json_begin(j, stdout, false);
	json_string(j, "heap", s->heap);
	json_number(j, "pause_ms", s->pause_ms);
	json_open(j, "results", '[');
}

static void end(const struct setup *s, struct table *t, struct json *j)
{
	if (!s->json) {
		table_end(t, stdout);
		return;
	}
	json_close(j, ']');
	json_end(j);
}

/* A heap too small for some sizes is measured with the others */
static int measure_all(const struct setup *s, const struct dmaheap *heap)
{
	size_t failed = 0;
	struct result r;
	struct table t;
	struct json j;

	r.alloc = zeroed(s->samples, sizeof(*r.alloc));
	r.close = zeroed(s->samples, sizeof(*r.close));
	begin(s, &t, &j);
	for (size_t i = 0; i < s->n; i++) {
		measure(s, heap, s->sizes[i], &r);
		if (r.error) {
			complain("%s gives no %llu bytes: %s", s->heap,
				 s->sizes[i], strerror(-r.error));
			failed++;
		}
		if (s->json)
			add_object(&j, s, s->sizes[i], &r);
		else
			add_row(&t, s, s->sizes[i], &r);
	}
	end(s, &t, &j);
	free(r.alloc);
	free(r.close);
	return failed ? FAILED : FINE;
}

static void parse_sizes(struct setup *s, char *list)
{
	char *size;

	s->n = 0;
	while ((size = strsep(&list, ","))) {
		if (s->n == MAX_SIZES || !parse_size(size, &s->sizes[s->n++]))
			bad_usage(&bench_command, "bad size '%s'", size);
	}
}

static void parse(struct setup *s, int argc, char **argv)
{
	static const struct option options[] = {
		{ "size", required_argument, NULL, 's' },
		{ "samples", required_argument, NULL, 'n' },
		{ "pause", required_argument, NULL, 'p' },
		{ "json", no_argument, NULL, 'j' },
		{ "bytes", no_argument, NULL, 'b' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int c;

	while ((c = getopt_long(argc, argv, "s:n:p:jbh", options, NULL)) != -1) {
		switch (c) {
		case 's':
			parse_sizes(s, optarg);
			break;
		case 'n':
			if (!parse_number(optarg, 1, MAX_SAMPLES, &s->samples))
				bad_usage(&bench_command, "bad number '%s'", optarg);
			break;
		case 'p':
			if (!parse_number(optarg, 0, 60000, &s->pause_ms))
				bad_usage(&bench_command, "bad pause '%s'", optarg);
			break;
		case 'j':
			s->json = true;
			break;
		case 'b':
			exact_bytes = true;
			break;
		case 'h':
			help(&bench_command);
		default:
			bad_usage(&bench_command, NULL);
		}
	}
	if (argc - optind > 1)
		bad_usage(&bench_command, "unexpected '%s'", argv[optind + 1]);
	if (optind < argc)
		s->heap = argv[optind];
}

static int run(int argc, char **argv)
{
	struct setup s = {
		.heap = "system",
		.sizes = { 4 * KIB, 64 * KIB, MIB, 8 * MIB, 32 * MIB },
		.n = 5,
		.samples = 50,
		.pause_ms = 5,
	};
	const struct dmaheap *heap;
	int error, status;

	parse(&s, argc, argv);
	error = heap_open(s.heap, 0, &heap);
	if (error) {
		heap_explain(s.heap, error);
		return FAILED;
	}
	status = measure_all(&s, heap);
	heap_close();
	return status;
}

const struct command bench_command = {
	.name = "bench",
	.summary = "how long allocating and closing takes, in short",
	.usage = "[OPTION]... [HEAP]\n"
		 "Median and 99 % of the time of allocating and closing a buffer (heap system).\n"
		 "dmaheap-bench measures more.\n"
		 "  -s, --size SIZE,...  in bytes, or with k, m, g (4k,64k,1m,8m,32m)\n"
		 "  -n, --samples N      of each size (50)\n"
		 "  -p, --pause MS       after each (5)\n"
		 "  -b, --bytes          exact sizes\n"
		 "  -j, --json           JSON instead of a table\n",
	.run = run,
};

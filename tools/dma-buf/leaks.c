// SPDX-License-Identifier: GPL-2.0
/*
 * dmaheap leaks: buffers that have lived for long and that nobody uses
 */
#include "dmaheap.h"
#include <getopt.h>
#include <stdlib.h>

static const char * const titles[] = {
	"HEAP", "SIZE", "AGE", "PID", "PROCESS", "COMM", "NAME", "INODE",
	"CGROUP",
};

static bool suspect(const struct buffer *b, __u64 older_ms)
{
	return b->age_ms >= older_ms && !b->importers && !b->cpu;
}

static int by_age(const void *a, const void *b)
{
	const struct buffer *x = a, *y = b;

	return (x->age_ms < y->age_ms) - (x->age_ms > y->age_ms);
}

static void add_row(struct table *t, const struct buffer *b)
{
	char age[32];

	table_text(t, b->heap);
	table_size(t, b->size);
	table_text(t, age_text(b->age_ms, age, sizeof(age)));
	table_number(t, b->pid);
	table_text(t, process_lives(b->pid) ? "lives" : "gone");
	table_text(t, b->comm);
	table_text(t, b->name);
	table_number(t, b->inode);
	table_text(t, b->cgroup);
}

static void add_object(struct json *j, const struct buffer *b)
{
	json_open(j, NULL, '{');
	json_string(j, "heap", b->heap);
	json_number(j, "size", b->size);
	json_number(j, "age_ms", b->age_ms);
	json_number(j, "pid", b->pid);
	json_bool(j, "alive", process_lives(b->pid));
	json_string(j, "comm", b->comm);
	json_string(j, "name", b->name);
	json_number(j, "inode", b->inode);
	json_string(j, "cgroup", b->cgroup);
	json_close(j, '}');
}

static size_t print_table(const struct buffers *b, __u64 older_ms)
{
	__u64 bytes = 0;
	char buf[32];
	size_t n = 0;
	struct table t;

	table_begin(&t, titles, "lrrrlllrl");
	for (size_t i = 0; i < b->n; i++) {
		if (!suspect(&b->buffer[i], older_ms))
			continue;
		add_row(&t, &b->buffer[i]);
		bytes += b->buffer[i].size;
		n++;
	}
	if (n) {
		table_end(&t, stdout);
		printf("%zu of %zu buffers, %s\n", n, b->n,
		       size_text(bytes, buf, sizeof(buf)));
	} else {
		table_drop(&t);
		printf("none of %zu buffers\n", b->n);
	}
	return n;
}

static size_t print_json(const struct buffers *b, __u64 older_ms)
{
	struct json j;
	size_t n = 0;

	json_begin(&j, stdout, false);
	json_number(&j, "older_ms", older_ms);
	json_number(&j, "all_buffers", b->n);
	json_open(&j, "buffers", '[');
	for (size_t i = 0; i < b->n; i++) {
		if (!suspect(&b->buffer[i], older_ms))
			continue;
		add_object(&j, &b->buffer[i]);
		n++;
	}
	json_close(&j, ']');
	json_end(&j);
	return n;
}

static int show(__u64 older_ms, bool json)
{
	struct buffers b;
	int error;
	size_t n;

	error = buffers_read(&b);
	if (error) {
		buffers_explain(error);
		return NO_ANSWER;
	}
	if (b.n)
		qsort(b.buffer, b.n, sizeof(*b.buffer), by_age);
	n = json ? print_json(&b, older_ms) : print_table(&b, older_ms);
	if (b.odd)
		complain("%zu lines of the list make no sense", b.odd);
	buffers_free(&b);
	return n ? FAILED : FINE;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "older", required_argument, NULL, 'o' },
		{ "json", no_argument, NULL, 'j' },
		{ "bytes", no_argument, NULL, 'b' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	__u64 older_ms = 60000;
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "o:jbh", options, NULL)) != -1) {
		switch (c) {
		case 'o':
			if (!parse_duration(optarg, &older_ms))
				bad_usage(&leaks_command, "bad age '%s'", optarg);
			break;
		case 'j':
			json = true;
			break;
		case 'b':
			exact_bytes = true;
			break;
		case 'h':
			help(&leaks_command);
		default:
			bad_usage(&leaks_command, NULL);
		}
	}
	if (optind < argc)
		bad_usage(&leaks_command, "unexpected '%s'", argv[optind]);
	return show(older_ms, json);
}

const struct command leaks_command = {
	.name = "leaks",
	.summary = "buffers that nobody has used for long",
	.usage = "[--older AGE] [--bytes] [--json]\n"
		 "Exit status: 0 if there are none, 1 if there are some, 3 if that is unknown.\n"
		 "  -o, --older AGE  at least so old: seconds, or with ms, s, m, h, d (60s)\n"
		 "  -b, --bytes      exact sizes\n"
		 "  -j, --json       JSON instead of a table\n",
	.run = run,
};

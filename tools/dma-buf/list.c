// SPDX-License-Identifier: GPL-2.0
/*
 * dmaheap list: the heaps, what they are and how they are used
 */
#include "dmaheap.h"
#include <getopt.h>
#include <stdlib.h>

static const char * const titles[] = {
	"HEAP", "CACHED", "CONTIG", "PROT", "ALIGN", "MAX-ALLOC", "FALLBACK",
	"LIMIT", "BYTES", "BUFFERS", "PEAK", "PEAK-BUF", "CLEAN", "DIRTY",
	"FAILED",
};

static const char *yes_no(__u64 value)
{
	return value == UNKNOWN ? NULL : value ? "yes" : "no";
}

static void add_row(struct table *t, const struct heap *heap)
{
	const __u64 *attr = heap->attr;

	table_text(t, heap->name);
	table_text(t, yes_no(attr[CACHED]));
	table_text(t, yes_no(attr[CONTIGUOUS]));
	table_text(t, yes_no(attr[PROTECTED]));
	table_size(t, attr[ALIGNMENT]);
	table_size(t, attr[BUFFER_LIMIT]);
	table_text(t, heap->fallback);
	table_size(t, attr[HEAP_LIMIT]);
	table_size(t, attr[BYTES]);
	table_number(t, attr[BUFFERS]);
	table_size(t, attr[PEAK_BYTES]);
	table_number(t, attr[PEAK_BUFFERS]);
	table_size(t, attr[POOL_CLEAN]);
	table_size(t, attr[POOL_DIRTY]);
	table_number(t, heap_failures(heap));
}

static void print_table(struct heap **heaps, size_t n)
{
	struct table t;

	table_begin(&t, titles, "llllrrlrrrrrrrr");
	for (size_t i = 0; i < n; i++)
		add_row(&t, heaps[i]);
	table_end(&t, stdout);
}

static void print_json(struct heap **heaps, size_t n, __u64 total_pools_kib)
{
	struct json j;

	json_begin(&j, stdout, false);
	json_number(&j, "total_pools_kib", total_pools_kib);
	json_open(&j, "heaps", '[');
	for (size_t i = 0; i < n; i++) {
		json_open(&j, NULL, '{');
		heap_json(&j, heaps[i]);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_end(&j);
}

/* All heaps, or those named; the number of names without a heap */
static size_t choose(struct heaps *h, char **names, struct heap **chosen,
		     size_t *n)
{
	size_t bad = 0;

	*n = 0;
	if (!*names)
		for (; *n < h->n; ++*n)
			chosen[*n] = &h->heap[*n];
	for (; *names; names++) {
		struct heap *heap = heaps_find(h, *names);

		if (heap) {
			chosen[(*n)++] = heap;
			continue;
		}
		complain("there is no heap '%s'", *names);
		bad++;
	}
	return bad;
}

static int show(char **names, size_t number, bool json)
{
	struct heap **chosen;
	struct heaps h;
	size_t n, bad;
	int error;

	error = heaps_read(&h);
	if (error) {
		heaps_explain(error);
		return FAILED;
	}
	chosen = zeroed(h.n + number, sizeof(*chosen));
	bad = choose(&h, names, chosen, &n);
	if (json)
		print_json(chosen, n, h.total_pools_kib);
	else if (n)
		print_table(chosen, n);
	else if (!number)
		complain("this kernel has no heap");
	free(chosen);
	heaps_free(&h);
	return bad ? FAILED : FINE;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "bytes", no_argument, NULL, 'b' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "jbh", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			json = true;
			break;
		case 'b':
			exact_bytes = true;
			break;
		case 'h':
			help(&list_command);
		default:
			bad_usage(&list_command, NULL);
		}
	}
	return show(argv + optind, argc - optind, json);
}

const struct command list_command = {
	.name = "list",
	.summary = "heaps, what they are and how they are used",
	.usage = "[--bytes] [--json] [HEAP]...\n"
		 "  -b, --bytes  exact sizes\n"
		 "  -j, --json   JSON instead of a table\n",
	.run = run,
};

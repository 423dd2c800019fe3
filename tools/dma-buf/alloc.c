// SPDX-License-Identifier: GPL-2.0
/*
 * dmaheap alloc: allocate buffers, and keep them for a while
 */
#include "dmaheap.h"
#include "libdmaheap.h"
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_COUNT	1000000

static const char * const titles[] = {
	"FD", "INODE", "SIZE", "ALLOC-US", "MMAP-US", "FILL-US",
};

struct wish {
	const char *heap, *name;
	__u64 size, count, wait_ms, hold_ms;
	bool fill, mmap, json;
};

struct allocated {
	int fd;
	__u64 inode, size;
	__u64 alloc_ns, mmap_ns, fill_ns;
	void *map;
};

/* What went wrong, and with which buffer */
static int fault(const struct wish *w, size_t number, const char *what, int error)
{
	complain("%s: buffer %zu of %llu, %llu bytes: %s: %s", w->heap,
		 number + 1, w->count, w->size, what, strerror(error));
	return -error;
}

static int use(const struct wish *w, size_t number, struct allocated *a)
{
	__u64 begin;
	int error;

	error = w->name ? dmaheap_set_name(a->fd, w->name) : 0;
	if (error)
		return fault(w, number, "name", -error);
	if (!w->mmap && !w->fill)
		return 0;
	begin = now_ns();
	a->map = mmap(NULL, a->size, PROT_READ | PROT_WRITE, MAP_SHARED, a->fd, 0);
	if (a->map == MAP_FAILED) {
		a->map = NULL;
		return fault(w, number, "mmap", errno);
	}
	a->mmap_ns = now_ns() - begin;
	if (!w->fill)
		return 0;
	begin = now_ns();
	memset(a->map, 0xa5, a->size);
	a->fill_ns = now_ns() - begin;
	if (!w->mmap) {
		munmap(a->map, a->size);
		a->map = NULL;
	}
	return 0;
}

static int allocate(const struct wish *w, size_t number,
		    const struct dmaheap *heap, struct allocated *a)
{
	struct stat st;

	memset(a, 0, sizeof(*a));
	a->mmap_ns = UNKNOWN;
	a->fill_ns = UNKNOWN;
	a->fd = heap_alloc(heap, w->size, &a->alloc_ns);
	if (a->fd < 0)
		return fault(w, number, "allocation", -a->fd);
	if (fstat(a->fd, &st)) {
		int error = errno;

		close(a->fd);
		return fault(w, number, "fstat", error);
	}
	a->inode = st.st_ino;
	/* What there is, which may be more than was asked for */
	a->size = lseek(a->fd, 0, SEEK_END);
	if ((off_t)a->size < 0)
		a->size = w->size;
	return use(w, number, a);
}

static void add_us(struct table *t, __u64 ns)
{
	char buf[32];

	snprintf(buf, sizeof(buf), "%llu.%llu", ns / 1000, ns % 1000 / 100);
	table_text(t, ns == UNKNOWN ? NULL : buf);
}

static void print_table(const struct allocated *a, size_t n)
{
	struct table t;

	table_begin(&t, titles, "rrrrrr");
	for (size_t i = 0; i < n; i++) {
		table_number(&t, a[i].fd);
		table_number(&t, a[i].inode);
		table_size(&t, a[i].size);
		add_us(&t, a[i].alloc_ns);
		add_us(&t, a[i].mmap_ns);
		add_us(&t, a[i].fill_ns);
	}
	table_end(&t, stdout);
}

static void print_json(const struct wish *w, const struct allocated *a,
		       size_t n, int error)
{
	struct json j;

	json_begin(&j, stdout, false);
	json_string(&j, "heap", w->heap);
	json_number(&j, "pid", getpid());
	json_string(&j, "name", w->name);
	json_string(&j, "error", error ? strerror(-error) : NULL);
	json_open(&j, "buffers", '[');
	for (size_t i = 0; i < n; i++) {
		json_open(&j, NULL, '{');
		json_number(&j, "fd", a[i].fd);
		json_number(&j, "inode", a[i].inode);
		json_number(&j, "size", a[i].size);
		json_number(&j, "alloc_ns", a[i].alloc_ns);
		json_number(&j, "mmap_ns", a[i].mmap_ns);
		json_number(&j, "fill_ns", a[i].fill_ns);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_end(&j);
}

static int show(const struct wish *w)
{
	struct allocated *all = NULL;
	const struct dmaheap *heap;
	size_t n = 0, room = 0;
	int error;

	error = heap_open(w->heap, w->wait_ms, &heap);
	if (error) {
		heap_explain(w->heap, error);
		return FAILED;
	}
	allow_many_files();
	while (!error && n < w->count) {
		all = grow(all, &room, n, sizeof(*all));
		error = allocate(w, n, heap, &all[n]);
		/* One that was only not used the way it should be is there */
		n += all[n].fd >= 0 && all[n].inode;
	}
	if (w->json)
		print_json(w, all, n, error);
	else if (n)
		print_table(all, n);
	fflush(stdout);
	if (!error)
		pause_ns(w->hold_ms * 1000000);
	for (size_t i = 0; i < n; i++) {
		if (all[i].map)
			munmap(all[i].map, all[i].size);
		close(all[i].fd);
	}
	free(all);
	heap_close();
	return error ? FAILED : FINE;
}

static void parse(struct wish *w, int argc, char **argv)
{
	static const struct option options[] = {
		{ "count", required_argument, NULL, 'n' },
		{ "wait", required_argument, NULL, 'w' },
		{ "hold", required_argument, NULL, 'H' },
		{ "name", required_argument, NULL, 'N' },
		{ "fill", no_argument, NULL, 'f' },
		{ "mmap", no_argument, NULL, 'm' },
		{ "json", no_argument, NULL, 'j' },
		{ "bytes", no_argument, NULL, 'b' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	int c;

	while ((c = getopt_long(argc, argv, "n:w:H:N:fmjbh", options, NULL)) != -1) {
		switch (c) {
		case 'n':
			if (!parse_number(optarg, 1, MAX_COUNT, &w->count))
				bad_usage(&alloc_command, "bad count '%s'", optarg);
			break;
		case 'w':
			if (!parse_duration(optarg, &w->wait_ms) || w->wait_ms > INT_MAX)
				bad_usage(&alloc_command, "bad time '%s'", optarg);
			break;
		case 'H':
			if (!parse_duration(optarg, &w->hold_ms))
				bad_usage(&alloc_command, "bad time '%s'", optarg);
			break;
		case 'N':
			w->name = optarg;
			break;
		case 'f':
			w->fill = true;
			break;
		case 'm':
			w->mmap = true;
			break;
		case 'j':
			w->json = true;
			break;
		case 'b':
			exact_bytes = true;
			break;
		case 'h':
			help(&alloc_command);
		default:
			bad_usage(&alloc_command, NULL);
		}
	}
	if (argc - optind < 2)
		bad_usage(&alloc_command, "heap or size is missing");
	if (argc - optind > 2)
		bad_usage(&alloc_command, "unexpected '%s'", argv[optind + 2]);
	w->heap = argv[optind];
	if (!parse_size(argv[optind + 1], &w->size))
		bad_usage(&alloc_command, "bad size '%s'", argv[optind + 1]);
}

static int run(int argc, char **argv)
{
	struct wish w = { .count = 1 };

	parse(&w, argc, argv);
	return show(&w);
}

const struct command alloc_command = {
	.name = "alloc",
	.summary = "allocate buffers, and keep them for a while",
	.usage = "[OPTION]... HEAP SIZE\n"
		 "SIZE is in bytes, or with k, m, g.\n"
		 "  -n, --count N    so many buffers (1)\n"
		 "  -w, --wait TIME  wait for a heap that appears late (0)\n"
		 "  -H, --hold TIME  keep them: seconds, or with ms, s, m, h, d (0)\n"
		 "  -N, --name NAME  name them\n"
		 "  -m, --mmap       map them while they are kept\n"
		 "  -f, --fill       write to all of them\n"
		 "  -b, --bytes      exact sizes\n"
		 "  -j, --json       JSON instead of a table\n",
	.run = run,
};

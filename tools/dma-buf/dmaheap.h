/* SPDX-License-Identifier: GPL-2.0 */
/*
 * dmaheap - what is shared between its files, by the file that has it
 */
#ifndef DMAHEAP_H
#define DMAHEAP_H

#define _GNU_SOURCE
#define __SANE_USERSPACE_TYPES__	/* __u64 is unsigned long long */
#include <linux/types.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#define ATTRIBUTE(...)	__attribute__((__VA_ARGS__))

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define NSEC		1000000000ull
#define KIB		1024ull
#define MIB		(1024 * KIB)

/* Numbers that are none: not known, and without an end */
#define UNKNOWN		(~0ull)
#define UNLIMITED	(~0ull - 1)

#define SYS_HEAPS	"/sys/class/dma_heap"
#define DEV_HEAPS	"/dev/dma_heap"

/* Exit status */
enum {
	FINE = 0,
	FAILED = 1,
	BAD_USAGE = 2,
	/* Of leaks, where 1 is an answer */
	NO_ANSWER = 3,
};

/* dmaheap.c: commands and their arguments */
struct command {
	const char *name;
	const char *summary;
	const char *usage;
	int (*run)(int argc, char **argv);
};

extern const struct command list_command;
extern const struct command top_command;
extern const struct command leaks_command;
extern const struct command alloc_command;
extern const struct command bench_command;
extern const struct command trace_command;

void complain(const char *format, ...) ATTRIBUTE(format(printf, 1, 2));
void die(const char *format, ...) ATTRIBUTE(noreturn, format(printf, 1, 2));
void help(const struct command *c) ATTRIBUTE(noreturn);
/* @format may be NULL if getopt has said what is wrong */
void bad_usage(const struct command *c, const char *format, ...)
	ATTRIBUTE(noreturn, format(printf, 2, 3));
int finish(int status);

/* memory.c: allocations that do not fail */
void *grow(void *array, size_t *room, size_t used, size_t size);
void *zeroed(size_t number, size_t size);
char *copy_of(const char *text);
char *text_of(const char *format, ...) ATTRIBUTE(format(printf, 1, 2));

/* files.c: files below the root */
extern const char *root;
char *path_of(const char *path);
FILE *open_file(const char *path);
int read_line(const char *path, char *line, size_t size);
__u64 read_number(const char *path);
int write_file(const char *path, const char *text);
__u64 read_meminfo(const char *name);

/* units.c: sizes and times as people write and read them */
extern bool exact_bytes;
bool parse_number(const char *text, __u64 min, __u64 max, __u64 *value);
bool parse_size(const char *text, __u64 *bytes);
bool parse_duration(const char *text, __u64 *ms);
const char *size_text(__u64 bytes, char *buf, size_t room);
const char *number_text(__u64 value, char *buf, size_t room);
const char *age_text(__u64 ms, char *buf, size_t room);

/* clock.c */
__u64 now_ns(void);
void pause_ns(__u64 ns);

/* text.c: strings of others, made fit for a terminal */
bool utf8_wanted(void);
size_t utf8_length(const char *text);
void unescape(char *text);
void print_shown(FILE *f, const char *text);
char *shown(const char *text);
size_t columns_of(const char *text);

/* table.c: columns as wide as what is in them */
struct table {
	const char * const *titles;
	/* 'l' or 'r' for each column */
	const char *align;
	char **cells;
	size_t n, room;
};

void table_begin(struct table *t, const char * const *titles, const char *align);
void table_text(struct table *t, const char *text);
void table_size(struct table *t, __u64 bytes);
void table_number(struct table *t, __u64 value);
void table_end(struct table *t, FILE *f);
void table_drop(struct table *t);

/* json.c: one document, or one line each */
struct json {
	FILE *f;
	unsigned int depth;
	bool lines;
	bool empty;
};

void json_begin(struct json *j, FILE *f, bool lines);
void json_end(struct json *j);
void json_open(struct json *j, const char *name, char bracket);
void json_close(struct json *j, char bracket);
void json_string(struct json *j, const char *name, const char *value);
void json_number(struct json *j, const char *name, __u64 value);
void json_real(struct json *j, const char *name, double value, int digits);
void json_bool(struct json *j, const char *name, __u64 value);
void json_literal(struct json *j, const char *name, const char *value);

/* heaps.c: what sysfs says of heaps */
enum attr {
	CACHED, CONTIGUOUS, PROTECTED, RESERVED, ALIGNMENT, DMA_BITS,
	BUFFER_LIMIT, HEAP_LIMIT,
	BYTES, BUFFERS, PEAK_BYTES, PEAK_BUFFERS, FALLBACKS,
	FAILURES, FAILURES_END = FAILURES + 4,
	POOL_CLEAN, POOL_DIRTY, POOL_HITS, POOL_DIRTY_HITS, POOL_MISSES,
	POOL_SCRUBBED, POOL_MAX, POOL_DECAY_MS,
	AREA_SIZE, AREA_FREE, AREA_LARGEST_FREE,
	ATTRS
};

struct heap {
	char *name;
	/* NULL if not known, empty if there is none */
	char *fallback;
	char *alias_of;
	__u64 attr[ATTRS];
};

struct heaps {
	struct heap *heap;
	size_t n, room;
	__u64 total_pools_kib;
};

int heaps_read(struct heaps *h);
void heaps_free(struct heaps *h);
struct heap *heaps_find(struct heaps *h, const char *name);
void heaps_explain(int error);
__u64 heap_failures(const struct heap *heap);
__u64 heap_room(const struct heap *heap);
void heap_json(struct json *j, const struct heap *heap);

/* buffers.c: what debugfs says of buffers */
struct buffer {
	char *line;
	const char *heap, *cpu, *cache, *comm, *name, *cgroup;
	__u64 size, age_ms, pid, importers, inode;
};

struct buffers {
	struct buffer *buffer;
	size_t n, room;
	/* Lines that make no sense */
	size_t odd;
};

int buffers_read(struct buffers *b);
void buffers_free(struct buffers *b);
void buffers_explain(int error);

/* processes.c: who has how much */
struct process {
	__u64 pid, bytes, buffers;
	char *comm;
};

struct processes {
	struct process *process;
	size_t n, room;
	__u64 bytes, buffers;
};

struct process *processes_add(struct processes *p, __u64 pid, const char *comm);
void processes_of_buffers(struct processes *p, const struct buffers *b);
void processes_sort(struct processes *p);
void processes_free(struct processes *p);
bool process_lives(__u64 pid);

/* fdinfo.c: the same from the files that processes have open */
int processes_of_fdinfo(struct processes *p, struct heaps *h, bool *partial);

/* allocation.c: buffers of one's own */
struct dmaheap;
int heap_open(const char *name, __u64 wait_ms, const struct dmaheap **heap);
void heap_close(void);
int heap_alloc(const struct dmaheap *heap, __u64 size, __u64 *ns);
void heap_explain(const char *name, int error);
void allow_many_files(void);

/* signals.c: signals as something to read */
int signals_open(const int *numbers, size_t n);
int signals_next(int fd);
void signals_default(int number);
void signals_unblock(void);

/* terminal.c: a screen to draw on */
int terminal_enter(void);
void terminal_leave(void);
void terminal_size(unsigned int *rows, unsigned int *columns);
int terminal_draw(const char *frame);

/* bars.c */
struct bar {
	__u64 value;
	const char *color;
};

void print_bar(FILE *f, unsigned int width, __u64 whole, const struct bar *parts,
	       size_t n, bool colors);

#endif

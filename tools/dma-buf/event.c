// SPDX-License-Identifier: GPL-2.0
/*
 * dmaheap trace: one line of trace_pipe, made readable
 */
#include "trace.h"
#include <stdlib.h>
#include <string.h>

/* As wide as the kernel makes the name of a task */
#define COMM_COLUMNS	16

struct event {
	const char *comm, *time, *name;
	char *fields;
	__u64 pid, cpu;
};

static const char prefix[] = "dma_heap_";

/* The number at *@text, which is moved behind it */
static bool take_number(char **text, __u64 *value)
{
	const char *begin = *text + strspn(*text, " ");

	*value = strtoull(begin, text, 10);
	return *text != begin;
}

/*
 *            comm-123     [001] .....    12.345678: dma_heap_free: heap=...
 * False if it is no event. Only the width says where the name of a task ends,
 * which may hold anything.
 */
static bool parse(struct event *e, char *line)
{
	char *text, *end;

	if (strlen(line) <= COMM_COLUMNS || line[COMM_COLUMNS] != '-')
		return false;
	line[COMM_COLUMNS] = 0;
	e->comm = line + strspn(line, " ");
	text = line + COMM_COLUMNS + 1;
	if (!take_number(&text, &e->pid))
		return false;
	text = strchr(text, '[');
	if (!text++ || !take_number(&text, &e->cpu) || *text != ']')
		return false;
	/* Flags, if there are any, and the time */
	end = strstr(text, ": ");
	if (!end)
		return false;
	*end = 0;
	text = strrchr(text, ' ');
	if (!text)
		return false;
	e->time = text + 1;
	if (!*e->time || e->time[strspn(e->time, "0123456789.")])
		return false;
	e->name = end + 2;
	end = strchr(e->name, ':');
	if (!end)
		return false;
	*end++ = 0;
	if (!strncmp(e->name, prefix, strlen(prefix)))
		e->name += strlen(prefix);
	e->fields = end + strspn(end, " ");
	return true;
}

/* Names of devices may have blanks; what follows a number is a word of its own */
static char *end_of_value(char *value)
{
	size_t digits = strspn(value, "0123456789");
	char *next, *end;

	if (digits && value[digits] == ' ')
		return value + digits;
	next = strchr(value, '=');
	if (!next)
		return value + strlen(value);
	for (end = next; end > value && *end != ' '; end--)
		;
	return *end == ' ' ? end : value + strlen(value);
}

/* The next name=value, or a word without a value */
static bool next_field(char **rest, char **name, char **value)
{
	char *text = *rest + strspn(*rest, " ");
	size_t word = strcspn(text, " =");
	char *end = text + word;

	if (!*text)
		return false;
	*name = text;
	*value = NULL;
	if (*end == '=') {
		*end = 0;
		*value = end + 1;
		end = end_of_value(*value);
	}
	*rest = *end ? end + 1 : end;
	*end = 0;
	return true;
}

static bool among(const char *name, const char * const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

static void print_fields(FILE *f, char *fields)
{
	static const char * const sizes[] = { "size", "len", "maintained" };
	char *name, *value, buf[32];
	__u64 number;

	while (next_field(&fields, &name, &value)) {
		fputc(' ', f);
		print_shown(f, name);
		if (!value)
			continue;
		fputc('=', f);
		if (among(name, sizes, ARRAY_SIZE(sizes)) &&
		    parse_number(value, 0, UNLIMITED - 1, &number))
			fputs(size_text(number, buf, sizeof(buf)), f);
		else
			print_shown(f, value);
	}
}

/* Names are strings, even if they look like numbers */
static void add_field(struct json *j, const char *name, const char *value)
{
	static const char * const names[] = { "heap", "pool", "dev" };
	__u64 number;

	if (!value)
		json_bool(j, name, true);
	else if (!among(name, names, ARRAY_SIZE(names)) &&
		 parse_number(value, 0, UNLIMITED - 1, &number))
		json_number(j, name, number);
	else
		json_string(j, name, value);
}

static void print_json(FILE *f, const struct event *e)
{
	char *fields = e->fields, *name, *value;
	struct json j;

	json_begin(&j, f, true);
	json_literal(&j, "time", e->time);
	json_number(&j, "cpu", e->cpu);
	json_string(&j, "comm", e->comm);
	json_number(&j, "pid", e->pid);
	json_string(&j, "event", e->name);
	while (next_field(&fields, &name, &value))
		add_field(&j, name, value);
	json_end(&j);
}

/* Events that were lost, or whatever else the kernel has to say */
static void print_other(FILE *f, const char *line, bool json)
{
	struct json j;

	if (json) {
		json_begin(&j, f, true);
		json_string(&j, "text", line);
		json_end(&j);
		return;
	}
	print_shown(f, line);
	fputc('\n', f);
}

/* The kernel notes the name of a task only when it has run for a while */
static void look_up_comm(struct event *e, char *comm, size_t size)
{
	char *path;

	if (strcmp(e->comm, "<...>"))
		return;
	path = text_of("/proc/%llu/comm", e->pid);
	if (!read_line(path, comm, size))
		e->comm = comm;
	free(path);
}

void event_print(FILE *f, char *line, bool json)
{
	char *copy = copy_of(line);
	char comm[64];
	struct event e;

	if (!parse(&e, line)) {
		print_other(f, copy, json);
		free(copy);
		return;
	}
	look_up_comm(&e, comm, sizeof(comm));
	if (json) {
		print_json(f, &e);
	} else {
		fprintf(f, "%s [%llu] %7llu ", e.time, e.cpu, e.pid);
		print_shown(f, e.comm);
		fprintf(f, ": %s:", e.name);
		print_fields(f, e.fields);
		fputc('\n', f);
	}
	free(copy);
}

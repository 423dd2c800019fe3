// SPDX-License-Identifier: GPL-2.0
/*
 * The list of all buffers in debugfs. Its first line names the columns; they
 * are looked for by name, so that kernels may have more of them.
 */
#include "dmaheap.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char list_path[] = "/sys/kernel/debug/dma_heap_buffers";

#define MAX_COLUMNS	32

enum column {
	HEAP, SIZE, AGE, PID, IMPORTERS, CPU, CACHE, INODE, COMM, NAME, CGROUP,
	COLUMNS
};

static const char * const column_names[COLUMNS] = {
	"heap", "size", "age_ms", "pid", "importers", "cpu", "cache", "inode",
	"comm", "name", "cgroup"
};

/* Cuts @line at its tabs */
static size_t split(char *line, char **fields)
{
	size_t n = 0;

	line[strcspn(line, "\n")] = 0;
	while (line && n < MAX_COLUMNS)
		fields[n++] = strsep(&line, "\t");
	return n;
}

/* Which field has which column; false if one is missing */
static bool find_columns(char *line, size_t *where)
{
	char *fields[MAX_COLUMNS];
	size_t n = split(line, fields);

	for (int c = 0; c < COLUMNS; c++) {
		for (where[c] = 0; where[c] < n; where[c]++)
			if (!strcmp(fields[where[c]], column_names[c]))
				break;
		if (where[c] == n)
			return false;
	}
	return true;
}

/* The text of a column, NULL for a dash */
static const char *text_in(char *field)
{
	if (!strcmp(field, "-"))
		return NULL;
	unescape(field);
	return field;
}

static bool parse_line(struct buffer *b, const size_t *where)
{
	char *fields[MAX_COLUMNS];
	size_t n = split(b->line, fields);
	const struct {
		enum column column;
		__u64 *value;
	} numbers[] = {
		{ SIZE, &b->size }, { AGE, &b->age_ms }, { PID, &b->pid },
		{ IMPORTERS, &b->importers }, { INODE, &b->inode },
	};

	for (int c = 0; c < COLUMNS; c++)
		if (where[c] >= n)
			return false;
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (!parse_number(fields[where[numbers[i].column]], 0,
				  UNLIMITED - 1, numbers[i].value))
			return false;
	b->heap = fields[where[HEAP]];
	unescape(fields[where[HEAP]]);
	b->cpu = text_in(fields[where[CPU]]);
	b->cache = text_in(fields[where[CACHE]]);
	b->comm = text_in(fields[where[COMM]]);
	b->name = text_in(fields[where[NAME]]);
	b->cgroup = text_in(fields[where[CGROUP]]);
	return true;
}

static int read_list(struct buffers *b, FILE *f)
{
	size_t where[COLUMNS];
	char *line = NULL;
	size_t room = 0;
	int error = 0;

	errno = 0;
	if (getline(&line, &room, f) < 0)
		error = errno ? -errno : -ENODATA;
	else if (!find_columns(line, where))
		error = -EPROTO;
	while (!error && getline(&line, &room, f) >= 0) {
		struct buffer *new;

		b->buffer = grow(b->buffer, &b->room, b->n, sizeof(*b->buffer));
		new = &b->buffer[b->n];
		memset(new, 0, sizeof(*new));
		new->line = line;
		if (parse_line(new, where)) {
			b->n++;
			line = NULL;
			room = 0;
		} else {
			b->odd++;
		}
	}
	if (!error && ferror(f))
		error = -errno;
	free(line);
	return error;
}

int buffers_read(struct buffers *b)
{
	FILE *f = open_file(list_path);
	int error;

	memset(b, 0, sizeof(*b));
	if (!f)
		return -errno;
	error = read_list(b, f);
	fclose(f);
	if (error)
		buffers_free(b);
	return error;
}

void buffers_free(struct buffers *b)
{
	for (size_t i = 0; i < b->n; i++)
		free(b->buffer[i].line);
	free(b->buffer);
	memset(b, 0, sizeof(*b));
}

void buffers_explain(int error)
{
	const char *why = "";
	const char *what = strerror(-error);

	if (error == -ENOENT)
		why = "; needs debugfs on /sys/kernel/debug and a kernel that lists buffers";
	else if (error == -EACCES || error == -EPERM)
		why = "; needs root, like all of debugfs";
	else if (error == -EPROTO || error == -ENODATA)
		what = "is not the list that this program knows";
	complain("%s%s: %s%s", root, list_path, what, why);
}

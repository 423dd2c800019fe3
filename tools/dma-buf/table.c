// SPDX-License-Identifier: GPL-2.0
/*
 * Tables: columns as wide as what is in them
 */
#include "dmaheap.h"
#include <stdlib.h>
#include <string.h>

static void add(struct table *t, char *cell)
{
	t->cells = grow(t->cells, &t->room, t->n, sizeof(*t->cells));
	t->cells[t->n++] = cell;
}

void table_begin(struct table *t, const char * const *titles, const char *align)
{
	memset(t, 0, sizeof(*t));
	t->titles = titles;
	t->align = align;
	for (size_t i = 0; align[i]; i++)
		add(t, copy_of(titles[i]));
}

/* Unknown is a dash, and so is what would look like nothing */
void table_text(struct table *t, const char *text)
{
	add(t, text && *text ? shown(text) : copy_of("-"));
}

void table_size(struct table *t, __u64 bytes)
{
	char buf[32];

	table_text(t, size_text(bytes, buf, sizeof(buf)));
}

void table_number(struct table *t, __u64 value)
{
	char buf[32];

	table_text(t, number_text(value, buf, sizeof(buf)));
}

static void print_cell(FILE *f, const char *cell, size_t width, bool right,
		       bool last)
{
	int pad = width - columns_of(cell);

	fprintf(f, "%*s%s", right ? pad : 0, "", cell);
	/* No blanks at the end of a line */
	if (last)
		fputc('\n', f);
	else
		fprintf(f, "%*s", right ? 2 : pad + 2, "");
}

void table_end(struct table *t, FILE *f)
{
	size_t columns = strlen(t->align);
	size_t *width = zeroed(columns, sizeof(*width));

	for (size_t i = 0; i < t->n; i++) {
		size_t w = columns_of(t->cells[i]);

		if (w > width[i % columns])
			width[i % columns] = w;
	}
	for (size_t i = 0; i < t->n; i++) {
		size_t c = i % columns;

		print_cell(f, t->cells[i], width[c], t->align[c] == 'r',
			   c == columns - 1);
	}
	free(width);
	table_drop(t);
}

void table_drop(struct table *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->cells[i]);
	free(t->cells);
	memset(t, 0, sizeof(*t));
}

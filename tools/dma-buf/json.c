// SPDX-License-Identifier: GPL-2.0
/*
 * JSON: a document with a line for each value, or each object on one line
 */
#include "dmaheap.h"
#include <string.h>

void json_begin(struct json *j, FILE *f, bool lines)
{
	memset(j, 0, sizeof(*j));
	j->f = f;
	j->lines = lines;
	j->empty = true;
	json_open(j, NULL, '{');
}

void json_end(struct json *j)
{
	json_close(j, '}');
	fputc('\n', j->f);
}

static void new_line(struct json *j)
{
	if (j->lines)
		return;
	fputc('\n', j->f);
	for (unsigned int i = 0; i < j->depth; i++)
		fputs("  ", j->f);
}

/* Bytes that are no UTF-8 become the character for such */
static void quoted(FILE *f, const char *text)
{
	fputc('"', f);
	while (*text) {
		size_t len = utf8_length(text);
		unsigned char c = *text;

		if (!len) {
			fputs("\\ufffd", f);
			len = 1;
		} else if (c == '"' || c == '\\') {
			fprintf(f, "\\%c", c);
		} else if (c < ' ' || c == 0x7f) {
			fprintf(f, "\\u%04x", c);
		} else {
			fwrite(text, 1, len, f);
		}
		text += len;
	}
	fputc('"', f);
}

/* What comes before a value; elements of an array have no name */
static void lead(struct json *j, const char *name)
{
	if (!j->empty)
		fputs(j->lines ? ", " : ",", j->f);
	if (j->depth)
		new_line(j);
	if (name) {
		quoted(j->f, name);
		fputs(": ", j->f);
	}
	j->empty = false;
}

void json_open(struct json *j, const char *name, char bracket)
{
	lead(j, name);
	fputc(bracket, j->f);
	j->depth++;
	j->empty = true;
}

void json_close(struct json *j, char bracket)
{
	j->depth--;
	if (!j->empty)
		new_line(j);
	fputc(bracket, j->f);
	j->empty = false;
}

void json_literal(struct json *j, const char *name, const char *value)
{
	lead(j, name);
	fputs(value, j->f);
}

void json_string(struct json *j, const char *name, const char *value)
{
	lead(j, name);
	if (value)
		quoted(j->f, value);
	else
		fputs("null", j->f);
}

void json_number(struct json *j, const char *name, __u64 value)
{
	char buf[32];

	if (value == UNKNOWN)
		json_string(j, name, NULL);
	else if (value == UNLIMITED)
		json_string(j, name, "max");
	else
		json_literal(j, name, number_text(value, buf, sizeof(buf)));
}

void json_real(struct json *j, const char *name, double value, int digits)
{
	lead(j, name);
	fprintf(j->f, "%.*f", digits, value);
}

/* 0, 1 or not known */
void json_bool(struct json *j, const char *name, __u64 value)
{
	json_literal(j, name, value == UNKNOWN ? "null" : value ? "true" : "false");
}

// SPDX-License-Identifier: GPL-2.0
/* Complaints of the kernel, see complaints.h */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "complaints.h"

/* Of /splats: how a line begins that is no complaint of the kernel */
#define COMMENT		'#'
#define HARMLESS	'!'
#define EXPLAINS_TRACE	'?'
/* In capitals or not, as the architecture has it */
#define TRACE		"Call trace:"

#define MAX_SPLATS	128

static char *splats[MAX_SPLATS];
static int nr_splats;
/* Traces of calls to come that are no complaint */
static int explained;

static void read_splats(void)
{
	FILE *f = fopen("/splats", "re");
	char line[128];

	while (f && nr_splats < MAX_SPLATS && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] && line[0] != COMMENT)
			splats[nr_splats++] = strdup(line);
	}
	if (f)
		fclose(f);
}

/* Is one of the texts behind @mark in @text? Those without a mark: @mark is 0. */
static bool contains(const char *text, char mark)
{
	for (int i = 0; i < nr_splats; i++) {
		bool marked = splats[i][0] == HARMLESS ||
			      splats[i][0] == EXPLAINS_TRACE;

		if (mark ? splats[i][0] == mark : !marked)
			if (strstr(text, splats[i] + marked))
				return true;
	}
	return false;
}

static bool is_splat(const char *text)
{
	explained += contains(text, EXPLAINS_TRACE);
	if (!contains(text, 0) || contains(text, HARMLESS))
		return false;
	if (!strcasestr(text, TRACE) || !explained)
		return true;
	explained--;
	return false;
}

/* What user space writes there does not count */
int kernel_complaints(int kmsg_fd, void (*tell)(const char *text))
{
	char record[8192];
	int count = 0;
	ssize_t n;

	if (!nr_splats)
		read_splats();
	if (!nr_splats) {
		tell("no /splats to compare with");
		return 1;
	}
	for (;;) {
		char *text;

		n = read(kmsg_fd, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE) {
			tell("some messages were overwritten unread");
			count++;
			continue;
		}
		if (n <= 0)
			return count;
		record[n] = '\0';
		record[strcspn(record, "\n")] = '\0';
		text = strchr(record, ';');
		if (!text || atoi(record) >> 3 || !is_splat(text))
			continue;
		tell(text + 1);
		count++;
	}
}

// SPDX-License-Identifier: GPL-2.0
/* The list of all buffers, see heap_list.h */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "heap_list.h"

/* NULL if it cannot be read, or does not begin as it should */
FILE *list_open(void)
{
	FILE *list = fopen(HEAP_LIST, "re");
	char line[256];

	if (!list)
		return NULL;
	if (fgets(line, sizeof(line), list) && !strcmp(line, HEAP_LIST_HEAD))
		return list;
	fclose(list);

	return NULL;
}

/* A backslash and three octal digits are one character; nothing else is escaped */
static bool plain(const char *from, char *to, size_t size)
{
	unsigned int code;
	int len;

	while (*from && size-- > 1) {
		if (*from != '\\') {
			*to++ = *from++;
			continue;
		}
		if (sscanf(from, "\\%3o%n", &code, &len) != 1 || len != 4)
			return false;
		*to++ = code;
		from += len;
	}
	*to = '\0';

	return !*from;
}

static bool number(const char *text, unsigned long long *value)
{
	char *end;

	*value = strtoull(text, &end, 10);

	return end != text && !*end;
}

/* Exactly as many columns as there should be, and nothing empty */
static bool parse(char *line, struct listed *listed)
{
	unsigned long long pid, importers;
	char *column[11];
	int i;

	line[strcspn(line, "\n")] = '\0';
	for (i = 0; i < 11; i++) {
		column[i] = strsep(&line, "\t");
		if (!column[i] || !column[i][0] || strchr(column[i], ' '))
			return false;
	}
	if (line || !number(column[1], &listed->size) ||
	    !number(column[2], &listed->age_ms) || !number(column[3], &pid) ||
	    !number(column[4], &importers) ||
	    !number(column[7], &listed->inode))
		return false;
	listed->pid = pid;
	listed->importers = importers;

	return plain(column[0], listed->heap, sizeof(listed->heap)) &&
	       plain(column[5], listed->cpu, sizeof(listed->cpu)) &&
	       plain(column[6], listed->cache, sizeof(listed->cache)) &&
	       plain(column[8], listed->comm, sizeof(listed->comm)) &&
	       plain(column[9], listed->name, sizeof(listed->name)) &&
	       plain(column[10], listed->cgroup, sizeof(listed->cgroup));
}

/* False at the end; a line that is not one ends the program */
bool list_next(FILE *list, struct listed *listed)
{
	char line[4096], copy[4096];

	if (!fgets(line, sizeof(line), list))
		return false;
	memcpy(copy, line, sizeof(copy));
	if (!parse(line, listed)) {
		printf("# not a line of the list: %s\n", copy);
		abort();
	}

	return true;
}

/* The line of a buffer; there must be one and no more */
int list_find(int fd, struct listed *listed)
{
	struct listed line;
	struct stat st;
	int found = 0;
	FILE *list;

	if (fstat(fd, &st))
		return -errno;
	list = list_open();
	if (!list)
		return -ENOENT;
	while (list_next(list, &line)) {
		if (line.inode != st.st_ino)
			continue;
		*listed = line;
		found++;
	}
	fclose(list);

	return found == 1 ? 0 : -ESRCH;
}

/* How many buffers of a heap there are */
int list_count(const char *heap_name)
{
	struct listed line;
	int count = 0;
	FILE *list;

	list = list_open();
	if (!list)
		return -1;
	while (list_next(list, &line))
		count += !strcmp(line.heap, heap_name);
	fclose(list);

	return count;
}

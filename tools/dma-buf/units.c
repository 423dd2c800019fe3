// SPDX-License-Identifier: GPL-2.0
/*
 * Sizes and times as people write and read them
 */
#include "dmaheap.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool exact_bytes;

/* The number that @text begins with, and what is behind it */
static bool leading_number(const char *text, __u64 *value, const char **rest)
{
	char *end;

	/* strtoull() would take blanks and signs */
	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	*value = strtoull(text, &end, 10);
	*rest = end;
	return !errno;
}

bool parse_number(const char *text, __u64 min, __u64 max, __u64 *value)
{
	const char *rest;

	return leading_number(text, value, &rest) && !*rest && *value >= min &&
	       *value <= max;
}

/* Bytes, or with k, m, g; never 0 */
bool parse_size(const char *text, __u64 *bytes)
{
	static const char units[] = "kmgt";
	unsigned int shift = 0;
	const char *rest, *unit;

	if (!leading_number(text, bytes, &rest))
		return false;
	if (*rest) {
		unit = strchr(units, tolower((unsigned char)*rest));
		if (!unit || rest[1])
			return false;
		shift = 10 * (unit - units + 1);
	}
	if (!*bytes || *bytes >= UNLIMITED >> shift)
		return false;
	*bytes <<= shift;
	return true;
}

/* Seconds, or with ms, s, m, h, d */
bool parse_duration(const char *text, __u64 *ms)
{
	static const struct {
		const char *name;
		__u64 ms;
	} units[] = {
		{ "", 1000 }, { "ms", 1 }, { "s", 1000 }, { "m", 60000 },
		{ "h", 3600000 }, { "d", 86400000 },
	};
	const char *rest;
	__u64 value;

	if (!leading_number(text, &value, &rest))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (strcmp(rest, units[i].name))
			continue;
		*ms = value * units[i].ms;
		return value <= UNLIMITED / 2 / units[i].ms;
	}
	return false;
}

const char *number_text(__u64 value, char *buf, size_t room)
{
	if (value == UNKNOWN)
		snprintf(buf, room, "-");
	else if (value == UNLIMITED)
		snprintf(buf, room, "max");
	else
		snprintf(buf, room, "%llu", value);
	return buf;
}

const char *size_text(__u64 bytes, char *buf, size_t room)
{
	static const char units[] = "KMGTPE";
	double value = bytes;
	int unit = -1;

	if (exact_bytes || bytes >= UNLIMITED || bytes < KIB)
		return number_text(bytes, buf, room);
	/* What would be printed as 1024.0 is one of the next unit */
	while (value >= 1023.95 && units[unit + 1]) {
		value /= 1024;
		unit++;
	}
	snprintf(buf, room, "%.1f%c", value, units[unit]);
	return buf;
}

/* With two units, which is as much as anybody wants to know */
const char *age_text(__u64 ms, char *buf, size_t room)
{
	__u64 s = ms / 1000;

	if (ms == UNKNOWN)
		snprintf(buf, room, "-");
	else if (s < 10)
		snprintf(buf, room, "%llu.%llus", s, ms % 1000 / 100);
	else if (s < 60)
		snprintf(buf, room, "%llus", s);
	else if (s < 3600)
		snprintf(buf, room, "%llum%02llus", s / 60, s % 60);
	else if (s < 86400)
		snprintf(buf, room, "%lluh%02llum", s / 3600, s / 60 % 60);
	else
		snprintf(buf, room, "%llud%02lluh", s / 86400, s / 3600 % 24);
	return buf;
}

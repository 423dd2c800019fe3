// SPDX-License-Identifier: GPL-2.0
/*
 * Names that other people have chosen: what they hold must neither move the
 * cursor nor break a table
 */
#include "dmaheap.h"
#include <stdlib.h>
#include <string.h>

/* As locales say it: the first of these that is set decides */
bool utf8_wanted(void)
{
	static const char * const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };
	const char *value;

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		value = getenv(names[i]);
		if (value && *value)
			return strcasestr(value, "utf-8") ||
			       strcasestr(value, "utf8");
	}
	return false;
}

/* How many bytes make the character at @text; 0 if it is no UTF-8 */
size_t utf8_length(const char *text)
{
	const unsigned char *s = (const unsigned char *)text;
	/* Of the second byte, which excludes long forms and surrogates */
	unsigned char low = 0x80, high = 0xbf;
	size_t len;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	len = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

static bool octal(char c)
{
	return c >= '0' && c <= '7';
}

/* Undo, in place, what the kernel does to blanks and backslashes */
void unescape(char *text)
{
	char *to = text;

	while (*text) {
		if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' &&
		    octal(text[2]) && octal(text[3])) {
			*to++ = (text[1] - '0') << 6 | (text[2] - '0') << 3 |
				(text[3] - '0');
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = 0;
}

static unsigned int code_point(const char *text, size_t len)
{
	unsigned int code = (unsigned char)text[0] & (0xff >> (len + 1));

	for (size_t i = 1; i < len; i++)
		code = code << 6 | ((unsigned char)text[i] & 0x3f);
	return code;
}

/* Controls, and what joins, turns round or hides other characters */
static bool unfit(unsigned int code)
{
	return code < 0xa0 || code == 0xad ||
	       (code >= 0x300 && code <= 0x36f) ||
	       (code >= 0x200b && code <= 0x200f) ||
	       (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2060 && code <= 0x206f) ||
	       (code >= 0xfe00 && code <= 0xfe0f) || code == 0xfeff ||
	       code >= 0xe0000;
}

/* What is not printable comes out as \ooo, byte by byte */
void print_shown(FILE *f, const char *text)
{
	bool utf8 = utf8_wanted();

	while (*text) {
		size_t len = utf8_length(text);

		if (len == 1 && *text >= ' ' && *text != 0x7f) {
			fputc(*text++, f);
		} else if (len > 1 && utf8 && !unfit(code_point(text, len))) {
			fwrite(text, 1, len, f);
			text += len;
		} else {
			fprintf(f, "\\%03o", (unsigned char)*text++);
		}
	}
}

char *shown(const char *text)
{
	size_t size;
	char *to;
	FILE *f = open_memstream(&to, &size);

	if (!f)
		die("out of memory");
	print_shown(f, text);
	if (fclose(f))
		die("out of memory");
	return to;
}

/* Of a text that is fit to be shown */
size_t columns_of(const char *text)
{
	size_t columns = 0;

	for (; *text; text++)
		columns += (*text & 0xc0) != 0x80;
	return columns;
}

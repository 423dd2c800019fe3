// SPDX-License-Identifier: GPL-2.0
/*
 * Bars: of blocks with eighths where characters and colours can be had
 */
#include "dmaheap.h"

#define RESET	"\033[0m"

/* Eighths of @width columns up to and with the value */
static unsigned int eighths(__u64 value, __u64 whole, unsigned int width)
{
	double part;

	if (!whole)
		return 0;
	part = (double)value / whole;
	if (part > 1)
		part = 1;
	return part * width * 8 + 0.5;
}

/* One column of an ASCII bar is there as soon as half of it is */
static void print_ascii(FILE *f, unsigned int from, unsigned int to, char sign)
{
	for (unsigned int i = (from + 4) / 8; i < (to + 4) / 8; i++)
		fputc(sign, f);
}

static void print_blocks(FILE *f, unsigned int from, unsigned int to, bool last)
{
	/* Parts begin at whole columns, only the last one has a fine end */
	for (unsigned int i = (from + 4) / 8; i < (last ? to : to + 4) / 8; i++)
		fputs("\342\226\210", f);
	if (last && to % 8 && to / 8 >= (from + 4) / 8)
		fprintf(f, "\342\226%c", 0x90 - to % 8);
}

/* How many columns the call above takes */
static unsigned int columns_to(unsigned int to, unsigned int from, bool fine)
{
	if (fine && to / 8 >= (from + 4) / 8)
		return (to + 7) / 8;
	return (to + 4) / 8;
}

/* Where nothing is */
static void print_rest(FILE *f, unsigned int n, bool colors, bool blocks)
{
	if (colors)
		fputs("\033[90m", f);
	while (n--)
		fputs(blocks ? "\342\226\221" : ".", f);
	if (colors)
		fputs(RESET, f);
}

/*
 * Exactly @width columns: @n parts one behind the other, '#' and '=' where
 * there are neither colours nor blocks, and nothing if @whole is not known
 */
void print_bar(FILE *f, unsigned int width, __u64 whole, const struct bar *parts,
	       size_t n, bool colors)
{
	static const char signs[] = "#=";
	bool blocks = colors && utf8_wanted();
	unsigned int from = 0, done = 0;
	__u64 sum = 0;

	/* An empty bar would say that there is nothing */
	if (whole >= UNLIMITED) {
		fprintf(f, "%*s", (int)width, "");
		return;
	}
	/* The fine end is that of the last part that there is */
	while (n > 1 && !parts[n - 1].value)
		n--;
	for (size_t i = 0; i < n; i++) {
		unsigned int to;

		sum += parts[i].value;
		to = eighths(sum, whole, width);
		if (colors)
			fputs(parts[i].color, f);
		if (blocks)
			print_blocks(f, from, to, i == n - 1);
		else
			print_ascii(f, from, to, signs[i % 2]);
		if (colors)
			fputs(RESET, f);
		done = columns_to(to, from, blocks && i == n - 1);
		from = to;
	}
	print_rest(f, width > done ? width - done : 0, colors, blocks);
}

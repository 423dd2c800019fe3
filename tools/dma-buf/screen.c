// SPDX-License-Identifier: GPL-2.0
/*
 * dmaheap top: how a sample is shown, on a terminal, on paper or as JSON
 */
#include "top.h"
#include <stdlib.h>
#include <string.h>

#define BOLD	"\033[1m"
#define TURNED	"\033[7m"
#define GREEN	"\033[32m"
#define YELLOW	"\033[33m"
#define RED	"\033[31m"
#define BLUE	"\033[34m"
#define RESET	"\033[0m"

#define NUMBER	8
#define HITS	6
#define COMM	16
#define MIN_NAME	16
#define MAX_NAME	32

/* What is left of the screen, and how wide the columns are */
struct page {
	FILE *f;
	const struct screen *screen;
	unsigned int line, name, bar, pool_bar;
};

static void begin_line(struct page *p)
{
	if (p->line++)
		fputs(p->screen->colors ? "\033[K\n" : "\n", p->f);
}

static unsigned int lines_left(const struct page *p)
{
	return p->screen->rows > p->line ? p->screen->rows - p->line : 0;
}

static void style(struct page *p, const char *sequence)
{
	if (p->screen->colors)
		fputs(sequence, p->f);
}

/* Exactly @width columns; where it does not fit a '+' says so */
static void print_field(FILE *f, const char *text, unsigned int width)
{
	char *fit = shown(text);
	size_t columns = columns_of(fit);
	char *end = fit;

	if (columns > width && width) {
		for (size_t i = 0; i < width - 1; i++)
			end += utf8_length(end);
		end[0] = '+';
		end[1] = 0;
		columns = width;
	}
	fprintf(f, "%s%*s", fit, (int)(width - columns), "");
	free(fit);
}

static void print_right(FILE *f, const char *text, unsigned int width)
{
	fprintf(f, "%*s", (int)width, text);
}

static void print_size(FILE *f, __u64 bytes)
{
	char buf[32];

	fputc(' ', f);
	print_right(f, size_text(bytes, buf, sizeof(buf)), NUMBER - 1);
}

static void print_number(FILE *f, __u64 value)
{
	char buf[32];

	fputc(' ', f);
	print_right(f, number_text(value, buf, sizeof(buf)), NUMBER - 1);
}

/* Without bars the numbers still have room in 64 columns */
static void set_widths(struct page *p, const struct heaps *h)
{
	unsigned int columns = p->screen->columns, spare, max = MIN_NAME;

	p->name = MIN_NAME;
	if (columns > 80)
		max += (columns - 80) / 2;
	if (max > MAX_NAME)
		max = MAX_NAME;
	for (size_t i = 0; i < h->n; i++) {
		size_t n = strlen(h->heap[i].name);

		if (n > p->name)
			p->name = n > max ? max : n;
	}
	spare = p->name + 5 * NUMBER + HITS + 2;
	spare = columns > spare ? columns - spare : 0;
	p->bar = spare * 3 / 5;
	p->pool_bar = spare - p->bar;
}

/* The account of two names of a heap is one */
static __u64 sum_of(const struct heaps *h, enum attr attr)
{
	__u64 sum = UNKNOWN;

	for (size_t i = 0; i < h->n; i++) {
		const char *alias_of = h->heap[i].alias_of;

		if (h->heap[i].attr[attr] >= UNLIMITED || (alias_of && *alias_of))
			continue;
		sum = h->heap[i].attr[attr] + (sum == UNKNOWN ? 0 : sum);
	}
	return sum;
}

static void print_title(struct page *p, const struct sample *s)
{
	char clock[16], bytes[32], buffers[32], pools[32];
	__u64 pool_bytes = s->heaps.total_pools_kib;
	struct tm tm;
	char *text;

	if (pool_bytes < UNLIMITED)
		pool_bytes *= KIB;
	localtime_r(&s->time, &tm);
	strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	text = text_of("dmaheap %s  %zu heaps: %s in %s buffers, pools %s", clock,
		       s->heaps.n,
		       size_text(sum_of(&s->heaps, BYTES), bytes, sizeof(bytes)),
		       number_text(sum_of(&s->heaps, BUFFERS), buffers,
				   sizeof(buffers)),
		       size_text(pool_bytes, pools, sizeof(pools)));
	begin_line(p);
	style(p, TURNED);
	print_field(p->f, text, p->screen->columns);
	style(p, RESET);
	free(text);
}

/* Why the processes are not those of the list in debugfs */
static void print_notice(struct page *p, const struct sample *s)
{
	char *text;

	if (!s->error)
		return;
	if (s->blind)
		text = text_of("no processes: neither debugfs (%s) nor /proc can be read",
			       strerror(-s->error));
	else
		text = text_of("by process: from /proc/*/fdinfo%s (debugfs: %s)",
			       s->partial ? ", not of all processes" : "",
			       strerror(-s->error));
	begin_line(p);
	style(p, YELLOW);
	print_field(p->f, text, p->screen->columns);
	style(p, RESET);
	free(text);
}

static void print_heap_titles(struct page *p, size_t n, size_t of)
{
	char *name = n < of ? text_of("HEAP (%zu of %zu)", n, of) :
			      copy_of("HEAP");

	begin_line(p);
	style(p, BOLD);
	print_field(p->f, name, p->name);
	fprintf(p->f, " %*s%*s%*s%*s %*s%*s%*s%*s", (int)p->bar, "", NUMBER,
		"USED", NUMBER, "OF", NUMBER, "BUFFERS", (int)p->pool_bar, "",
		NUMBER, "CLEAN", NUMBER, "DIRTY", HITS, "HIT%");
	style(p, RESET);
	free(name);
}

/* Full ones catch the eye */
static const char *color_of(__u64 used, __u64 room)
{
	if (used >= UNLIMITED || room >= UNLIMITED || used < room / 10 * 7)
		return GREEN;
	return used < room / 10 * 9 ? YELLOW : RED;
}

static __u64 known(__u64 value)
{
	return value >= UNLIMITED ? 0 : value;
}

static void print_heap(struct page *p, const struct heap *heap, double hits)
{
	__u64 used = heap->attr[BYTES], room = heap_room(heap);
	__u64 cap = known(heap->attr[POOL_MAX]);
	struct bar use = { known(used), color_of(used, room) };
	struct bar pool[] = {
		{ known(heap->attr[POOL_CLEAN]), GREEN },
		{ known(heap->attr[POOL_DIRTY]), YELLOW },
	};
	char text[16] = "-";

	if (hits >= 0)
		snprintf(text, sizeof(text), "%.1f", hits);
	begin_line(p);
	print_field(p->f, heap->name, p->name);
	fputc(' ', p->f);
	print_bar(p->f, p->bar, room, &use, 1, p->screen->colors);
	print_size(p->f, used);
	print_size(p->f, room);
	print_number(p->f, heap->attr[BUFFERS]);
	fputc(' ', p->f);
	print_bar(p->f, p->pool_bar, cap, pool, ARRAY_SIZE(pool),
		  p->screen->colors);
	print_size(p->f, heap->attr[POOL_CLEAN]);
	print_size(p->f, heap->attr[POOL_DIRTY]);
	print_right(p->f, text, HITS);
}

/* When there is no room for all, processes get half of what there is */
static void print_heaps(struct page *p, const struct sample *s,
			struct sample *before)
{
	unsigned int left = lines_left(p);
	size_t n = s->heaps.n;

	/* Two lines of titles, two empty ones */
	left = left > 4 ? left - 4 : 1;
	if (n + s->processes.n > left && n > (left + 1) / 2) {
		size_t spare = left > s->processes.n ? left - s->processes.n : 0;

		n = spare > (left + 1) / 2 ? spare : (left + 1) / 2;
		if (n > s->heaps.n)
			n = s->heaps.n;
	}
	begin_line(p);
	print_heap_titles(p, n, s->heaps.n);
	for (size_t i = 0; i < n; i++) {
		const struct heap *heap = &s->heaps.heap[i];

		print_heap(p, heap, sample_hits(heap, before ? &before->heaps : NULL));
	}
}

static void print_process(struct page *p, const struct process *process,
			  __u64 largest, unsigned int width)
{
	struct bar bar = { process->bytes, BLUE };

	begin_line(p);
	fprintf(p->f, "%7llu ", process->pid);
	print_field(p->f, process->comm, COMM);
	fputc(' ', p->f);
	print_bar(p->f, width, largest, &bar, 1, p->screen->colors);
	print_size(p->f, process->bytes);
	print_number(p->f, process->buffers);
}

static void print_processes(struct page *p, const struct processes *processes)
{
	unsigned int width = NUMBER + COMM + 1 + 2 * NUMBER;
	unsigned int left = lines_left(p);
	size_t n = processes->n;
	char *title;

	if (left < 3)
		return;
	if (n > left - 2)
		n = left - 2;
	title = n < processes->n ? text_of("COMM (%zu of %zu)", n, processes->n) :
				   copy_of("COMM");
	width = p->screen->columns > width ? p->screen->columns - width : 0;
	begin_line(p);
	begin_line(p);
	style(p, BOLD);
	fprintf(p->f, "%7s ", "PID");
	print_field(p->f, title, COMM + 1 + width);
	fprintf(p->f, "%*s%*s", NUMBER, "BYTES", NUMBER, "BUFFERS");
	style(p, RESET);
	free(title);
	for (size_t i = 0; i < n; i++)
		print_process(p, &processes->process[i],
			      processes->process[0].bytes, width);
}

/* What is smaller than the numbers gets the beginnings of lines, or the first */
static void print_clipped(FILE *f, const char *text, unsigned int rows,
			  unsigned int columns)
{
	unsigned int column = 0;
	bool visible = true;

	while (*text) {
		if (*text == '\033') {
			/* Takes no room, and ends with a letter */
			size_t n = strcspn(text, "HJKm") + 1;

			fwrite(text, 1, n, f);
			text += n;
			continue;
		}
		if (*text == '\n' && !--rows)
			return;
		if (*text == '\n')
			column = 0;
		else if ((*text & 0xc0) != 0x80)
			visible = column++ < columns;
		if (*text == '\n' || visible)
			fputc(*text, f);
		text++;
	}
}

static void print_page(FILE *f, const struct screen *screen,
		       const struct sample *s, struct sample *before)
{
	struct page p = { .f = f, .screen = screen };

	set_widths(&p, &s->heaps);
	if (screen->colors)
		fputs("\033[H", f);
	print_title(&p, s);
	print_notice(&p, s);
	print_heaps(&p, s, before);
	print_processes(&p, &s->processes);
}

void screen_text(FILE *f, const struct screen *screen, const struct sample *s,
		 struct sample *before)
{
	char *text = NULL;
	size_t size;
	FILE *page = open_memstream(&text, &size);

	if (!page)
		die("out of memory");
	print_page(page, screen, s, before);
	if (fclose(page))
		die("out of memory");
	print_clipped(f, text, screen->rows, screen->columns);
	/* Nothing is left of what was there before */
	fputs(screen->colors ? "\033[K\033[J" : "\n", f);
	free(text);
}

static const char *source(const struct sample *s)
{
	if (!s->error)
		return "debugfs";
	return s->blind ? NULL : "fdinfo";
}

void screen_json(FILE *f, const struct sample *s, struct sample *before)
{
	struct json j;

	json_begin(&j, f, true);
	json_number(&j, "time", s->time);
	json_string(&j, "source", source(s));
	json_bool(&j, "partial", s->partial);
	json_number(&j, "total_pools_kib", s->heaps.total_pools_kib);
	json_open(&j, "heaps", '[');
	for (size_t i = 0; i < s->heaps.n; i++) {
		const struct heap *heap = &s->heaps.heap[i];
		double hits = sample_hits(heap, before ? &before->heaps : NULL);

		json_open(&j, NULL, '{');
		heap_json(&j, heap);
		if (hits < 0)
			json_string(&j, "hit_percent", NULL);
		else
			json_real(&j, "hit_percent", hits, 1);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_open(&j, "processes", '[');
	for (size_t i = 0; i < s->processes.n; i++) {
		const struct process *process = &s->processes.process[i];

		json_open(&j, NULL, '{');
		json_number(&j, "pid", process->pid);
		json_string(&j, "comm", process->comm);
		json_number(&j, "bytes", process->bytes);
		json_number(&j, "buffers", process->buffers);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_end(&j);
}

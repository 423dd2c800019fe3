// SPDX-License-Identifier: GPL-2.0
/*
 * dmaheap top: heaps and processes, again and again
 */
#include "top.h"
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAPER_COLUMNS	100

struct view {
	__u64 delay_ms, iterations;
	bool batch, json;
};

/* What ends the pause between two refreshes */
enum event {
	NOTHING, RESIZED, LEFT
};

static void frame(FILE *f, const struct view *v, const struct sample *s,
		  struct sample *before)
{
	struct screen screen = {
		.rows = ~0u,
		.columns = PAPER_COLUMNS,
		.colors = !v->batch,
	};

	if (v->json) {
		screen_json(f, s, before);
		return;
	}
	if (!v->batch)
		terminal_size(&screen.rows, &screen.columns);
	screen_text(f, &screen, s, before);
}

/* The whole frame in one write, which does not flicker */
static int draw(const struct view *v, const struct sample *s,
		struct sample *before)
{
	char *text = NULL;
	size_t size;
	int error;
	FILE *f;

	f = open_memstream(&text, &size);
	if (!f)
		return -ENOMEM;
	frame(f, v, s, before);
	error = fclose(f) ? -ENOMEM : terminal_draw(text);
	free(text);
	return error;
}

static void stop_for_a_while(void)
{
	terminal_leave();
	signals_default(SIGTSTP);
}

static enum event come_back(void)
{
	return terminal_enter() ? LEFT : RESIZED;
}

static enum event on_signal(int number)
{
	switch (number) {
	case SIGTSTP:
		/*
		 * Where no shell could let it go on, the kernel does not stop
		 * it, and no SIGCONT will come; if one does, it does no harm
		 */
		stop_for_a_while();
		return come_back();
	case SIGCONT:
		terminal_leave();
		return come_back();
	case SIGWINCH:
		return RESIZED;
	}
	terminal_leave();
	signals_default(number);
	return LEFT;
}

static enum event on_keys(bool *keys)
{
	char key[16];
	ssize_t n = read(STDIN_FILENO, key, sizeof(key));

	if (n <= 0) {
		*keys = false;
		return NOTHING;
	}
	for (ssize_t i = 0; i < n; i++)
		if (key[i] == 'q' || key[i] == 'Q')
			return LEFT;
	return NOTHING;
}

static int ms_until(__u64 deadline)
{
	__u64 now = now_ns();

	return now < deadline ? (deadline - now) / 1000000 + 1 : 0;
}

static enum event wait_until(__u64 deadline, int signals, bool *keys)
{
	int ms;

	while ((ms = ms_until(deadline))) {
		struct pollfd fds[] = {
			{ .fd = signals, .events = POLLIN },
			{ .fd = *keys ? STDIN_FILENO : -1, .events = POLLIN },
		};
		enum event event = NOTHING;
		int number;

		if (poll(fds, ARRAY_SIZE(fds), ms) < 0 && errno != EINTR)
			return LEFT;
		if (fds[1].revents)
			event = on_keys(keys);
		if (event == NOTHING && fds[0].revents) {
			number = signals_next(signals);
			if (number)
				event = on_signal(number);
		}
		if (event != NOTHING)
			return event;
	}
	return NOTHING;
}

/* Until it is time for the next one; true if there is to be none */
static bool rest(const struct view *v, int signals, const struct sample *s,
		 struct sample *before)
{
	__u64 deadline = now_ns() + v->delay_ms * 1000000;
	static bool keys = true;
	enum event event;

	if (v->batch) {
		pause_ns(v->delay_ms * 1000000);
		return false;
	}
	do {
		event = wait_until(deadline, signals, &keys);
		if (event == RESIZED && draw(v, s, before))
			return true;
	} while (event == RESIZED);
	return event == LEFT;
}

/* 0, or what is in the way */
static int show_one(const struct view *v, const struct sample *s,
		    struct sample *before, __u64 number)
{
	if (!v->batch)
		return draw(v, s, before);
	if (number && !v->json)
		putchar('\n');
	frame(stdout, v, s, before);
	return fflush(stdout) ? -errno : 0;
}

static int show_all(const struct view *v, int signals)
{
	struct sample samples[2] = { };
	int status = FINE;

	for (__u64 i = 0; !v->iterations || i < v->iterations; i++) {
		struct sample *now = &samples[i % 2];
		struct sample *before = i ? &samples[(i + 1) % 2] : NULL;
		int error;

		if (i && rest(v, signals, before, i > 1 ? now : NULL))
			break;
		sample_free(now);
		error = sample_take(now);
		if (error) {
			terminal_leave();
			heaps_explain(error);
			status = FAILED;
			break;
		}
		if (show_one(v, now, before, i)) {
			status = FAILED;
			break;
		}
	}
	sample_free(&samples[0]);
	sample_free(&samples[1]);
	return status;
}

static int show(const struct view *v)
{
	static const int numbers[] = {
		SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH
	};
	const char *type = getenv("TERM");
	int signals, status;

	if (v->batch)
		return show_all(v, -1);
	if (!isatty(STDOUT_FILENO) || !type || !*type || !strcmp(type, "dumb")) {
		complain("standard output is no terminal to draw on; use --batch");
		return FAILED;
	}
	signals = signals_open(numbers, ARRAY_SIZE(numbers));
	if (terminal_enter())
		return FAILED;
	status = show_all(v, signals);
	terminal_leave();
	close(signals);
	return status;
}

/* Seconds with a fraction, as ms */
static bool parse_delay(const char *text, __u64 *ms)
{
	char *end;
	double s;

	if (text[strspn(text, "0123456789.")])
		return false;
	s = strtod(text, &end);
	if (end == text || *end || s < 0.1 || s > 86400)
		return false;
	*ms = s * 1000 + 0.5;
	return true;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "delay", required_argument, NULL, 'd' },
		{ "iterations", required_argument, NULL, 'n' },
		{ "batch", no_argument, NULL, 'b' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	struct view v = { .delay_ms = 2000 };
	int c;

	while ((c = getopt_long(argc, argv, "d:n:bjh", options, NULL)) != -1) {
		switch (c) {
		case 'd':
			if (!parse_delay(optarg, &v.delay_ms))
				bad_usage(&top_command, "bad delay '%s'", optarg);
			break;
		case 'n':
			if (!parse_number(optarg, 1, UNLIMITED - 1, &v.iterations))
				bad_usage(&top_command, "bad number '%s'", optarg);
			break;
		case 'b':
			v.batch = true;
			break;
		case 'j':
			v.batch = true;
			v.json = true;
			break;
		case 'h':
			help(&top_command);
		default:
			bad_usage(&top_command, NULL);
		}
	}
	if (optind < argc)
		bad_usage(&top_command, "unexpected '%s'", argv[optind]);
	return show(&v);
}

const struct command top_command = {
	.name = "top",
	.summary = "heaps and processes, live",
	.usage = "[OPTION]...\n"
		 "  -d, --delay S       seconds between two refreshes, 0.1 and more (2)\n"
		 "  -n, --iterations N  end after so many refreshes\n"
		 "  -b, --batch         no terminal: one table after the other\n"
		 "  -j, --json          an object on a line for each refresh (implies -b)\n"
		 "Key q ends it.\n",
	.run = run,
};

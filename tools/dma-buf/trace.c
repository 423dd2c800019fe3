// SPDX-License-Identifier: GPL-2.0
/*
 * dmaheap trace: what happens to buffers while it happens
 */
#include "trace.h"
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Now and then, whether or not the kernel says that there is something */
#define LOOK_MS		100
/* Until signals and the reader of the output are looked after again */
#define MAX_READS	16

/* When there is more to be read */
enum more {
	NEVER, LATER, NOW
};

struct trace {
	struct instance instance;
	char *events;
	const char *file;
	char **command;
	FILE *f;
	bool json;
	/* A line that has not come to its end */
	char *line;
	size_t used, room;
	pid_t child;
	int status;
	bool done;
};

static void take_text(struct trace *t, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		t->line = grow(t->line, &t->room, t->used, 1);
		if (text[i] != '\n') {
			/* There is no text behind a zero */
			t->line[t->used++] = text[i] ? text[i] : ' ';
			continue;
		}
		t->line[t->used] = 0;
		event_print(t->f, t->line, t->json);
		t->used = 0;
	}
}

static bool output_lost(struct trace *t)
{
	int error = fflush(t->f) ? errno : 0;

	/* Lines before may have been lost, whatever became of the last one */
	if (!error && !ferror(t->f))
		return false;
	if (t->child <= 0)
		complain("output: %s", strerror(error ? error : EIO));
	t->status = FAILED;
	t->done = true;
	return true;
}

/* Not all that is there: events may come faster than they can be printed */
static enum more take_events(struct trace *t)
{
	char buf[8192];

	for (int i = 0; i < MAX_READS; i++) {
		ssize_t n = read(t->instance.pipe, buf, sizeof(buf));

		if (n <= 0)
			return n ? LATER : NEVER;
		take_text(t, buf, n);
		if (output_lost(t))
			return NEVER;
	}
	return NOW;
}

static void reap(struct trace *t)
{
	int status;

	if (t->child <= 0 || waitpid(t->child, &status, WNOHANG) != t->child)
		return;
	t->status = WIFEXITED(status) ? WEXITSTATUS(status) :
					128 + WTERMSIG(status);
	t->child = 0;
	t->done = true;
}

static void take_signal(struct trace *t, int number)
{
	if (number == SIGCHLD)
		reap(t);
	else
		t->done = true;
}

static void follow(struct trace *t, int signals)
{
	enum more more = LATER;
	int number;

	while (!t->done) {
		int pipe = more == NEVER ? -1 : t->instance.pipe;
		struct pollfd fds[] = {
			{ .fd = signals, .events = POLLIN },
			{ .fd = pipe, .events = POLLIN },
			/* Only whether there still is a reader */
			{ .fd = fileno(t->f) },
		};

		poll(fds, ARRAY_SIZE(fds), more == NOW ? 0 : LOOK_MS);
		t->done = fds[2].revents;
		while ((number = signals_next(signals)))
			take_signal(t, number);
		more = take_events(t);
	}
}

static bool asked_to_end(int signals)
{
	int number;

	do {
		number = signals_next(signals);
	} while (number == SIGCHLD);
	return number;
}

/* What is recorded already; who does not want to see that has to ask again */
static void drain(struct trace *t, int signals)
{
	/* Where recording goes on there is no last event to wait for */
	bool stopped = !instance_stop(&t->instance);

	while (!ferror(t->f) && take_events(t) == NOW && stopped)
		if (asked_to_end(signals))
			break;
}

static int start(struct trace *t)
{
	int error;

	if (!t->command)
		return 0;
	fflush(NULL);
	t->child = fork();
	/* Complaining can change errno */
	error = errno;
	if (t->child < 0) {
		complain("fork: %s", strerror(error));
		return -error;
	}
	if (!t->child) {
		signal(SIGPIPE, SIG_DFL);
		signals_unblock();
		execvp(t->command[0], t->command);
		error = errno;
		complain("%s: %s", t->command[0], strerror(error));
		_exit(error == ENOENT ? 127 : 126);
	}
	return 0;
}

/* A command that outlives the interest in it is asked to end, and may refuse */
static void end(struct trace *t)
{
	if (t->child <= 0)
		return;
	kill(t->child, SIGTERM);
	for (int i = 0; i < 100 && !waitpid(t->child, NULL, WNOHANG); i++)
		pause_ns(10 * 1000000);
}

static int run_instance(struct trace *t, int signals)
{
	int error;

	error = instance_enable(&t->instance, t->events);
	if (!error)
		error = instance_open(&t->instance);
	if (!error)
		error = start(t);
	if (error)
		return FAILED;
	follow(t, signals);
	drain(t, signals);
	return t->status;
}

static int show(struct trace *t)
{
	static const int numbers[] = {
		SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD
	};
	int signals, status;

	t->f = t->file ? fopen(t->file, "we") : stdout;
	if (!t->f)
		die("%s: %s", t->file, strerror(errno));
	/* Whatever ends this, the instance has to be removed */
	signals = signals_open(numbers, ARRAY_SIZE(numbers));
	signal(SIGPIPE, SIG_IGN);
	if (instance_create(&t->instance))
		return FAILED;
	status = run_instance(t, signals);
	instance_remove(&t->instance);
	end(t);
	close(signals);
	free(t->line);
	if (t->file && fclose(t->f)) {
		complain("%s: %s", t->file, strerror(errno));
		status = FAILED;
	}
	return status;
}

static bool good_list(const char *events)
{
	size_t n = strlen(events);

	return n && !strchr(events, '/') && !strstr(events, ",,") &&
	       events[0] != ',' && events[n - 1] != ',';
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "event", required_argument, NULL, 'e' },
		{ "output", required_argument, NULL, 'o' },
		{ "json", no_argument, NULL, 'j' },
		{ "bytes", no_argument, NULL, 'b' },
		{ "help", no_argument, NULL, 'h' },
		{ }
	};
	struct trace t = { };
	int c;

	while ((c = getopt_long(argc, argv, "+e:o:jbh", options, NULL)) != -1) {
		switch (c) {
		case 'e':
			if (!good_list(optarg))
				bad_usage(&trace_command, "bad events '%s'", optarg);
			t.events = optarg;
			break;
		case 'o':
			t.file = optarg;
			break;
		case 'j':
			t.json = true;
			break;
		case 'b':
			exact_bytes = true;
			break;
		case 'h':
			help(&trace_command);
		default:
			bad_usage(&trace_command, NULL);
		}
	}
	if (optind < argc)
		t.command = argv + optind;
	return show(&t);
}

const struct command trace_command = {
	.name = "trace",
	.summary = "what happens to buffers, as it happens",
	.usage = "[OPTION]... [--] [COMMAND [ARGUMENT]...]\n"
		 "Until interrupted, or until COMMAND ends, whose exit status it takes.\n"
		 "  -e, --event NAME,...  only these: alloc, alloc_fail, free, pool_hit, pool_miss,\n"
		 "                        scrub, shrink, decay, map, sync (all)\n"
		 "  -o, --output FILE     there and not to standard output\n"
		 "  -b, --bytes           exact sizes\n"
		 "  -j, --json            an object on a line for each event\n",
	.run = run,
};

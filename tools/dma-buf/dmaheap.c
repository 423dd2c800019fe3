// SPDX-License-Identifier: GPL-2.0
/*
 * dmaheap - who has the memory of DMA-BUF heaps
 *
 * The commands are in files of their own. Here is what leads to them: the
 * arguments before the command, messages, help.
 */
#include "dmaheap.h"
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define VERSION		"1.0"

static const struct command * const commands[] = {
	&list_command, &top_command, &leaks_command,
	&alloc_command, &bench_command, &trace_command,
};

static void message(const char *format, va_list args)
{
	/* Messages may quote what others have named */
	char *text;

	fflush(stdout);
	if (vasprintf(&text, format, args) < 0)
		abort();
	fprintf(stderr, "dmaheap: ");
	print_shown(stderr, text);
	fprintf(stderr, "\n");
	free(text);
}

void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	message(format, args);
	va_end(args);
}

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	message(format, args);
	va_end(args);
	exit(FAILED);
}

static void usage(FILE *f, const struct command *c)
{
	if (c) {
		fprintf(f, "Usage: dmaheap %s %s", c->name, c->usage);
		return;
	}
	fprintf(f, "Usage: dmaheap [--root DIR] COMMAND [ARGUMENT]...\n"
		"Show who has the memory of DMA-BUF heaps.\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(f, "  %-7s %s\n", commands[i]->name, commands[i]->summary);
	fprintf(f,
		"  --root DIR  look below DIR for /sys, /proc and /dev (for tests)\n"
		"  --help, --version\n"
		"Each command knows --help; see dmaheap(8).\n");
}

void help(const struct command *c)
{
	usage(stdout, c);
	exit(finish(FINE));
}

void bad_usage(const struct command *c, const char *format, ...)
{
	va_list args;

	if (format) {
		va_start(args, format);
		message(format, args);
		va_end(args);
	}
	usage(stderr, c);
	exit(BAD_USAGE);
}

/* @status, unless what was printed went nowhere */
int finish(int status)
{
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	complain("standard output: %s", strerror(errno));
	return status == FINE ? FAILED : status;
}

static int run(const struct command *c, int argc, char **argv)
{
	char *name = text_of("dmaheap %s", c->name);
	int status;

	/* getopt names it in its messages, and begins anew */
	argv[0] = name;
	optind = 0;
	status = finish(c->run(argc, argv));
	free(name);
	return status;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "root", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ }
	};
	int c;

	while ((c = getopt_long(argc, argv, "+hV", options, NULL)) != -1) {
		switch (c) {
		case 'r':
			root = optarg;
			break;
		case 'h':
			help(NULL);
		case 'V':
			printf("dmaheap " VERSION "\n");
			return finish(FINE);
		default:
			bad_usage(NULL, NULL);
		}
	}
	if (optind >= argc)
		bad_usage(NULL, "a command is missing");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[optind], commands[i]->name))
			return run(commands[i], argc - optind, argv + optind);
	bad_usage(NULL, "there is no command '%s'", argv[optind]);
}

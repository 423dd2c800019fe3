// SPDX-License-Identifier: GPL-2.0
/*
 * Signals as something to wait for beside other things: none of them comes in
 * the middle of anything
 */
#include "dmaheap.h"
#include <errno.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

static sigset_t before;

int signals_open(const int *numbers, size_t n)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	for (size_t i = 0; i < n; i++)
		sigaddset(&set, numbers[i]);
	sigprocmask(SIG_BLOCK, &set, &before);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		die("signalfd: %s", strerror(errno));
	return fd;
}

/* The next signal, 0 if there is none */
int signals_next(int fd)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return 0;
	return info.ssi_signo;
}

/* As they were, for a program to be started */
void signals_unblock(void)
{
	sigprocmask(SIG_SETMASK, &before, NULL);
}

/* Do what the signal does to a program that does not look after it */
void signals_default(int number)
{
	sigset_t one, old;

	sigemptyset(&one);
	sigaddset(&one, number);
	signal(number, SIG_DFL);
	raise(number);
	sigprocmask(SIG_UNBLOCK, &one, &old);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

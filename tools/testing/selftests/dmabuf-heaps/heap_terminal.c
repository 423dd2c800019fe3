// SPDX-License-Identifier: GPL-2.0
/*
 * heap_terminal ROWS COLUMNS TIMES KEYS COMMAND...: run a command in a terminal of
 * that size and type KEYS when it has begun so many times to draw its screen. What
 * it writes goes to standard output, its exit status is ours; 125 if it leaves the
 * terminal in another mode than before. For dmabuf-heap-tool.sh.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define NOT_RESTORED	125
#define NO_TERMINAL	126
#define LIMIT_MS	60000

static void die(const char *what)
{
	fprintf(stderr, "heap_terminal: %s: %s\n", what, strerror(errno));
	exit(NO_TERMINAL);
}

static int open_terminal(int *slave, const struct winsize *size)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);

	if (master < 0 || grantpt(master) || unlockpt(master))
		die("no terminal");
	*slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	if (*slave < 0)
		die("no other end");
	if (ioctl(*slave, TIOCSWINSZ, size))
		die("size");
	return master;
}

static pid_t start(int slave, char **command)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid)
		return pid;
	setsid();
	if (ioctl(slave, TIOCSCTTY, 0))
		die("controlling terminal");
	for (int fd = 0; fd < 3; fd++)
		dup2(slave, fd);
	execvp(command[0], command);
	die(command[0]);
	return 0;
}

/* How often the cursor is sent to the corner, where a screen begins */
static int count_screens(const char *buf, ssize_t n)
{
	static const char home[] = "\033[H";
	static int seen;
	int count = 0;

	for (; n > 0; n--, buf++) {
		if (*buf != home[seen])
			seen = 0;
		if (*buf == home[seen] && !home[++seen]) {
			seen = 0;
			count++;
		}
	}
	return count;
}

/* Pass on what comes within that time; false if nothing does */
static bool pass(int master, int ms, int *screens)
{
	struct pollfd fd = { .fd = master, .events = POLLIN };
	char buf[4096];
	ssize_t n;

	if (poll(&fd, 1, ms) <= 0)
		return false;
	n = read(master, buf, sizeof(buf));
	if (n <= 0)
		return false;
	if (write(STDOUT_FILENO, buf, n) != n)
		die("standard output");
	*screens += count_screens(buf, n);
	return true;
}

static int follow(int master, pid_t pid, int times, const char *keys)
{
	int status, waited = 0, screens = 0;
	bool typed = false;

	while (!waitpid(pid, &status, WNOHANG)) {
		while (pass(master, 0, &screens))
			;
		if (!typed && screens >= times) {
			if (write(master, keys, strlen(keys)) < 0)
				die("keys");
			typed = true;
		}
		if (waited >= LIMIT_MS) {
			kill(pid, SIGKILL);
			errno = ETIMEDOUT;
			die("it does not end");
		}
		usleep(10000);
		waited += 10;
	}
	while (pass(master, 100, &screens))
		;
	return status;
}

int main(int argc, char **argv)
{
	struct termios before, after;
	struct winsize size = { };
	int master, slave, status;

	if (argc < 6)
		return 2;
	size.ws_row = atoi(argv[1]);
	size.ws_col = atoi(argv[2]);
	master = open_terminal(&slave, &size);
	if (tcgetattr(slave, &before))
		die("mode");
	status = follow(master, start(slave, argv + 5), atoi(argv[3]), argv[4]);
	memset(&after, 0, sizeof(after));
	if (tcgetattr(slave, &after))
		die("mode");
	if (before.c_lflag != after.c_lflag || before.c_iflag != after.c_iflag ||
	    before.c_oflag != after.c_oflag || before.c_cflag != after.c_cflag ||
	    memcmp(before.c_cc, after.c_cc, sizeof(before.c_cc)))
		return NOT_RESTORED;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

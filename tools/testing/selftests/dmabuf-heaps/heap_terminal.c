// SPDX-License-Identifier: GPL-2.0
/*
 * heap_terminal ROWS COLUMNS MS KEYS COMMAND...: run a command in a terminal of
 * that size and type KEYS after MS. What it writes goes to standard output, its
 * exit status is ours; 125 if it leaves the terminal in another mode than before.
 * For dmabuf-heap-tool.sh.
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

/* Pass on what comes within that time; false if nothing does */
static bool pass(int master, int ms)
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
	return true;
}

static int follow(int master, pid_t pid, int ms, const char *keys)
{
	int status, waited = 0;

	while (!waitpid(pid, &status, WNOHANG)) {
		if (waited == ms && write(master, keys, strlen(keys)) < 0)
			die("keys");
		if (waited >= LIMIT_MS) {
			kill(pid, SIGKILL);
			errno = ETIMEDOUT;
			die("it does not end");
		}
		while (pass(master, 0))
			;
		usleep(10000);
		waited += 10;
	}
	while (pass(master, 100))
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
	status = follow(master, start(slave, argv + 5), atoi(argv[3]) / 10 * 10,
			argv[4]);
	memset(&after, 0, sizeof(after));
	if (tcgetattr(slave, &after))
		die("mode");
	if (before.c_lflag != after.c_lflag || before.c_iflag != after.c_iflag ||
	    before.c_oflag != after.c_oflag || before.c_cflag != after.c_cflag ||
	    memcmp(before.c_cc, after.c_cc, sizeof(before.c_cc)))
		return NOT_RESTORED;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

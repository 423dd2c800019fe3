// SPDX-License-Identifier: GPL-2.0
/*
 * PID 1 of the test guest.
 *
 * Runs the steps listed in /steps, each with its own time limit, and sends
 * what they print through the virtio port org.dmaheap.log. After each one it sees
 * that heaps have all their buffers back, after the last one it looks for leaks and
 * kernel complaints, and only then writes the number of failures to
 * org.dmaheap.verdict: no verdict means that the guest died.
 *
 * Where there are modules, those that devices ask for are loaded before, as a
 * distribution does, and then those of /modules.list. With the argument "coldplug"
 * only the former are, with "bare" none. "shell" is for somebody at the console.
 *
 * Called as "timeout" it is the small part of timeout(1) that the kselftest
 * runner needs and busybox lacks.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "complaints.h"

#define PORT		"/dev/virtio-ports/org.dmaheap."
#define KMEMLEAK	"/sys/kernel/debug/kmemleak"
#define GCOV		"/sys/kernel/debug/gcov"
#define TIMED_OUT	124

/*
 * Set for good, by KUnit when it runs a test, and when a board loads a module that was
 * built for it outside of the kernel's tree
 */
#define TAINT_TEST	18
#define TAINT_OUTSIDE	12

/* By a warning, which no_splat() looks at, too: some are harmless */
#define TAINT_WARN	9

static int log_fd;
static bool balanced = true;
static int kmsg_fd;
static int failures;

static bool put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) >= 0;

	if (!ok)
		fprintf(stderr, "init: %s: %s\n", path, strerror(errno));
	close(fd);
	return ok;
}

/* guest.sh looks for what the kernel says from here on */
static void stop(void)
{
	sync();
	put("/dev/kmsg", "init: stops\n");
	reboot(RB_AUTOBOOT);
	_exit(1);
}

static void die(const char *what)
{
	fprintf(stderr, "init: %s: %s\n", what, strerror(errno));
	stop();
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void write_all(int fd, const char *buf, size_t len)
{
	while (len) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno != EINTR)
			die("write to a port");
		if (n > 0) {
			buf += n;
			len -= n;
		}
	}
}

static void result(int number, bool ok, const char *what)
{
	dprintf(log_fd, "%s %d %s\n", ok ? "ok" : "not ok", number, what);
	failures += !ok;
}

static void mount_one(const char *type, const char *dir, bool needed)
{
	mkdir(dir, 0755);
	if (mount(type, dir, type, 0, NULL) && needed)
		die(dir);
}

static void set_up_files(void)
{
	mount_one("proc", "/proc", true);
	mount_one("sysfs", "/sys", true);
	if (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) && errno != EBUSY)
		die("/dev");
	mount_one("devpts", "/dev/pts", false);
	mount_one("tmpfs", "/dev/shm", true);
	mount_one("tmpfs", "/tmp", true);
	mount_one("debugfs", "/sys/kernel/debug", true);
	mount_one("cgroup2", "/sys/fs/cgroup", false);
	if (symlink("/proc/self/fd", "/dev/fd") ||
	    symlink("fd/0", "/dev/stdin") ||
	    symlink("fd/1", "/dev/stdout") || symlink("fd/2", "/dev/stderr"))
		die("links in /dev");
}

/* No system() here: /bin/sh is one of the links that this makes */
static void install_busybox(void)
{
	pid_t pid;
	int status;

	/* Not on every machine: there, steps are programs and arguments */
	if (access("/bin/busybox", X_OK))
		return;

	pid = fork();
	if (!pid) {
		execl("/bin/busybox", "busybox", "--install", "-s", NULL);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		die("busybox");
}

/* Give the ports the paths that udev would give them */
static void set_up_ports(void)
{
	glob_t found;

	mkdir("/dev/virtio-ports", 0755);
	if (glob("/sys/class/virtio-ports/*/name", 0, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char name[64] = "", node[300], path[300];
		FILE *f = fopen(found.gl_pathv[i], "r");

		if (f && fscanf(f, "%63s", name) == 1) {
			snprintf(node, sizeof(node), "../%s",
				 basename(dirname(found.gl_pathv[i])));
			snprintf(path, sizeof(path), "/dev/virtio-ports/%s", name);
			if (symlink(node, path))
				die(path);
		}
		if (f)
			fclose(f);
	}
	globfree(&found);
}

/* What a shell would do with a simple command */
static void exec_words(const char *command)
{
	char *words = strdup(command), *argv[16];
	int n = 0;

	for (char *word = strtok(words, " "); word && n < 15;
	     word = strtok(NULL, " "))
		argv[n++] = word;
	argv[n] = NULL;
	execvp(argv[0], argv);
}

/* The child side of a step: a session of its own, output to @out */
static void exec_shell(const char *command, int out)
{
	int null = open("/dev/null", O_RDONLY);

	setsid();
	dup2(null, 0);
	dup2(out, 1);
	dup2(out, 2);
	execl("/bin/sh", "sh", "-c", command, NULL);
	exec_words(command);
	_exit(127);
}

/* Copy what is in the pipe to the log; false at its end */
static bool pump(int fd, char *last)
{
	char buf[4096];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n <= 0)
		return false;
	write_all(log_fd, buf, n);
	*last = buf[n - 1];
	return true;
}

/* A comment for each line of a file; the first is led by @title */
static void tell_file(const char *title, const char *path)
{
	char line[256];
	FILE *f = fopen(path, "re");

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = 0;
		dprintf(log_fd, "#   %s%s\n", title, line);
		title = "  ";
	}
	if (f)
		fclose(f);
}

/* Where each process and each thread of the kernel is that has work */
static void tell_stacks(void)
{
	char path[300], state;
	glob_t found;
	int parent = 0;

	if (glob("/proc/[0-9]*", 0, NULL, &found))
		return;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		FILE *f;

		snprintf(path, sizeof(path), "%s/stat", found.gl_pathv[i]);
		f = fopen(path, "re");
		if (!f || fscanf(f, "%*d (%*[^)]) %c %d", &state, &parent) != 2)
			state = 'X';
		if (f)
			fclose(f);
		/* The parent of the kernel's threads is kthreadd */
		if (strchr(parent == 2 ? "XZIS" : "XZ", state))
			continue;
		tell_file("", path);
		snprintf(path, sizeof(path), "%s/stack", found.gl_pathv[i]);
		tell_file("  ", path);
	}
	globfree(&found);
}

/*
 * Wait for the end of @pid, at most @limit seconds, and forward its output.
 * Whatever a step started dies with it.
 */
static int follow(pid_t pid, int out, int limit)
{
	double end = now() + limit;
	int pidfd = syscall(SYS_pidfd_open, pid, 0);
	struct pollfd fds[] = {
		{ .fd = pidfd, .events = POLLIN },
		{ .fd = out, .events = POLLIN },
	};
	bool timed_out = false;
	char last = '\n';
	int status;

	if (pidfd < 0)
		die("pidfd_open");
	while (!(fds[0].revents & POLLIN)) {
		double left = end - now();

		if (left <= 0) {
			timed_out = true;
			break;
		}
		poll(fds, 2, left * 1000 + 1);
		if (fds[1].revents && !pump(out, &last))
			fds[1].fd = -1;
	}
	if (timed_out) {
		dprintf(log_fd, "%s# stopped after %d s\n", last == '\n' ? "" : "\n",
			limit);
		last = '\n';
		tell_stacks();
	}
	kill(-1, SIGKILL);
	while (fds[1].fd >= 0 && poll(&fds[1], 1, 5000) > 0)
		if (!pump(out, &last))
			break;
	if (last != '\n')
		dprintf(log_fd, "\n");
	close(pidfd);
	if (timed_out)
		return TIMED_OUT;
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void run_step(const char *name, int limit, const char *command)
{
	double start = now();
	char marker[128];
	int out[2], status;
	pid_t pid;

	snprintf(marker, sizeof(marker), "step: %s\n", name);
	put("/dev/kmsg", marker);
	dprintf(log_fd, "## step %s\n", name);
	if (pipe2(out, O_CLOEXEC))
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid)
		exec_shell(command, out[1]);
	close(out[1]);
	status = follow(pid, out[0], limit);
	close(out[0]);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	failures += status != 0;
	dprintf(log_fd, "## exit %s %d %.1f\n", name, status, now() - start);
}

static long number(const char *path)
{
	FILE *f = fopen(path, "re");
	long value = -1;

	if (f && fscanf(f, "%ld", &value) != 1)
		value = -1;
	if (f)
		fclose(f);
	return value;
}

/* Tells what heaps have given out and not got back */
static bool none_in_use(const char *step)
{
	bool none = true;
	glob_t found;

	if (glob("/sys/class/dma_heap/*/{bytes,buffers}", GLOB_BRACE, NULL,
		 &found))
		return true;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		long value = number(found.gl_pathv[i]);

		if (!value)
			continue;
		none = false;
		if (step)
			dprintf(log_fd, "# after %s: %ld in %s\n", step, value,
				found.gl_pathv[i]);
	}
	globfree(&found);
	return none;
}

/* A task that has ended may not have closed all its files yet */
static bool all_given_back(const char *step)
{
	double end = now() + 5;

	while (!none_in_use(NULL) && now() < end)
		usleep(20000);
	return none_in_use(step);
}

/* Each line of the file: name, limit in seconds, command */
static void run_steps(void)
{
	char line[1024], name[64];
	FILE *f = fopen("/steps", "re");
	int limit, at;

	if (!f)
		die("/steps");
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '#' || line[0] == '\n')
			continue;
		line[strcspn(line, "\n")] = '\0';
		if (sscanf(line, "%63s %d %n", name, &limit, &at) != 2) {
			errno = EINVAL;
			die(line);
		}
		run_step(name, limit, line + at);
		balanced &= all_given_back(name);
	}
	fclose(f);
}

#define MAX_ALIASES	256

/* The arguments of modprobe: what devices call the driver they need, each once */
static char *coldplug_argv[MAX_ALIASES + 3] = { "modprobe", "-abq" };
static int coldplug_argc = 2;

static void add_alias(const char *alias)
{
	for (int i = 2; i < coldplug_argc; i++)
		if (!strcmp(coldplug_argv[i], alias))
			return;
	if (coldplug_argc < MAX_ALIASES + 2)
		coldplug_argv[coldplug_argc++] = strdup(alias);
}

static int visit_device(const char *path, const struct stat *st, int type,
			struct FTW *at)
{
	char alias[512] = "";
	FILE *f;

	(void)st;
	if (type != FTW_F || strcmp(path + at->base, "modalias"))
		return 0;
	f = fopen(path, "re");
	if (f && fscanf(f, "%511[^\n]", alias) == 1)
		add_alias(alias);
	if (f)
		fclose(f);
	return 0;
}

/* Most devices ask for what is built in or not there: that is no failure */
static void coldplug(void)
{
	pid_t pid;

	if (access("/lib/modules", F_OK))
		return;
	if (nftw("/sys/devices", visit_device, 16, FTW_PHYS))
		die("/sys/devices");
	pid = fork();
	if (!pid) {
		execvp(coldplug_argv[0], coldplug_argv);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

static void load_modules(void)
{
	char name[64], command[128];
	FILE *f = fopen("/modules.list", "re");

	while (f && fscanf(f, "%63s", name) == 1) {
		snprintf(command, sizeof(command), "modprobe %s", name);
		if (system(command)) {
			fprintf(stderr, "init: %s failed\n", command);
			failures++;
		}
	}
	if (f)
		fclose(f);
}

/* What has been found since boot and is still lost; into the log, if @log */
static bool kmemleak_is_empty(bool log)
{
	FILE *f = fopen(KMEMLEAK, "re");
	bool empty = true;
	char line[256];

	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		empty = false;
		if (log)
			dprintf(log_fd, "# %s", line);
	}
	fclose(f);
	return empty;
}

/*
 * An object counts as lost only if it is 5 s old and two scans agree. What a CPU
 * has in a register alone is not found: what is lost is so the next time as well.
 */
static bool no_leak(void)
{
	for (int i = 0; i < 3; i++) {
		sleep(6);
		/* A kmemleak that has switched itself off refuses to scan */
		if (!put(KMEMLEAK, "scan") || !put(KMEMLEAK, "scan"))
			return false;
		if (kmemleak_is_empty(false))
			return true;
	}
	return kmemleak_is_empty(true);
}

static void tell_complaint(const char *text)
{
	dprintf(log_fd, "# kernel: %s\n", text);
}

/* Read the kernel's messages since boot */
static bool no_splat(void)
{
	return !kernel_complaints(kmsg_fd, tell_complaint);
}

static bool no_taint(void)
{
	long taint = number("/proc/sys/kernel/tainted");

	if (!(taint & ~(1L << TAINT_TEST | 1L << TAINT_OUTSIDE | 1L << TAINT_WARN)))
		return true;
	dprintf(log_fd, "# tainted: %ld\n", taint);
	return false;
}

static void check_kernel(void)
{
	bool leaks = !access(KMEMLEAK, F_OK);
	double start = now();
	int before = failures;

	dprintf(log_fd, "## step kernel\nTAP version 13\n1..%d\n", 3 + leaks);
	result(1, balanced, "no buffer left after any step");
	result(2, no_taint(), "no taint");
	if (leaks)
		result(3, no_leak(), "no memory leak");
	result(3 + leaks, no_splat(), "no kernel splat");
	dprintf(log_fd, "## exit kernel %d %.1f\n", failures != before,
		now() - start);
}

/* To the host: the path and the size of each file of gcov, and the bytes of it */
static int file_fd;

static int send_counts(const char *path, const struct stat *st, int type, struct FTW *at)
{
	static char data[1 << 20];
	const char *end = strrchr(path, '.');
	size_t size = 0;
	ssize_t n;
	int fd;

	(void)st;
	(void)at;
	if (type != FTW_F || !end || strcmp(end, ".gcda"))
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while ((n = read(fd, data + size, sizeof(data) - size)) > 0)
		size += n;
	if (n < 0)
		die(path);
	close(fd);
	dprintf(file_fd, "%s %zu\n", path, size);
	write_all(file_fd, data, size);
	return 0;
}

static void send_coverage(void)
{
	if (access(GCOV, F_OK))
		return;
	file_fd = open(PORT "file", O_WRONLY | O_CLOEXEC);
	if (file_fd < 0 || nftw(GCOV, send_counts, 16, FTW_PHYS))
		die(GCOV);
	close(file_fd);
}

static void interactive(void)
{
	pid_t pid = fork();

	if (!pid) {
		setsid();
		execl("/bin/busybox", "cttyhack", "/bin/sh", "-l", NULL);
		_exit(127);
	}
	while (wait(NULL) != pid)
		;
}

/* What @mode says, of all that could be loaded */
static void load(const char *mode)
{
	if (!strcmp(mode, "bare"))
		return;
	coldplug();
	if (strcmp(mode, "coldplug"))
		load_modules();
}

static void batch(const char *mode)
{
	int fd = open(PORT "verdict", O_WRONLY | O_CLOEXEC);

	log_fd = open(PORT "log", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || log_fd < 0)
		die("virtio ports");
	load(mode);
	run_steps();
	check_kernel();
	send_coverage();
	if (dprintf(fd, "%d\n", failures) < 0)
		die("verdict");
	close(fd);
}

/* timeout [--foreground] SECONDS COMMAND... */
static int timeout_main(int argc, char **argv)
{
	double end;
	pid_t pid;
	int status;

	/* The runner puts a second timeout inside of this one: that one counts */
	if (argc > 3 && !strcmp(argv[1], "--foreground")) {
		execvp(argv[3], argv + 3);
		return 127;
	}
	if (argc < 3)
		return 125;
	end = now() + atoi(argv[1]);
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		execvp(argv[2], argv + 2);
		_exit(127);
	}
	while (!waitpid(pid, &status, WNOHANG)) {
		if (now() >= end) {
			kill(-pid, SIGKILL);
			return TIMED_OUT;
		}
		usleep(20000);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	if (!strcmp(basename(argv[0]), "timeout"))
		return timeout_main(argc, argv);

	set_up_files();
	kmsg_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg_fd < 0)
		die("/dev/kmsg");
	setenv("PATH", "/bin:/sbin:/usr/bin:/usr/sbin", 1);
	setenv("HOME", "/tmp", 1);
	install_busybox();
	set_up_ports();
	if (argc > 1 && !strcmp(argv[1], "shell")) {
		load(argv[1]);
		interactive();
	} else {
		batch(argc > 1 ? argv[1] : "");
	}
	stop();
}

// SPDX-License-Identifier: GPL-2.0
/*
 * dmaheap trace: an instance of tracefs, so that nobody else's tracing is
 * touched. It is called after this process, which lets the next one remove what
 * a killed one has left.
 */
#include "trace.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PREFIX	"dmaheap-"

static const char * const mounts[] = {
	"/sys/kernel/tracing", "/sys/kernel/debug/tracing"
};

static int fault(const char *path, int error)
{
	const char *why = "";

	if (error == ENOENT)
		why = "; needs tracefs on /sys/kernel/tracing and a kernel with tracing";
	else if (error == EACCES || error == EPERM)
		why = "; needs root, like all of tracefs";
	complain("%s%s: %s%s", root, path, strerror(error), why);
	return -error;
}

static void remove_directory(const char *path)
{
	char *real = path_of(path);

	/* The last reader may be on its way out */
	for (int i = 0; i < 50 && rmdir(real) && errno == EBUSY; i++)
		pause_ns(10 * 1000000);
	free(real);
}

/* Also the process that had our number before us is no more */
static bool is_alive(pid_t pid)
{
	return pid != getpid() && (!kill(pid, 0) || errno != ESRCH);
}

/* Instances whose process is no more; those in use are not given away */
static void remove_stale(const char *instances)
{
	char *real = path_of(instances);
	DIR *dir = opendir(real);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		size_t len = strlen(PREFIX);
		char *path;
		__u64 pid;

		if (strncmp(entry->d_name, PREFIX, len) ||
		    !parse_number(entry->d_name + len, 1, 0x7fffffff, &pid) ||
		    is_alive(pid))
			continue;
		path = text_of("%s/%s", real, entry->d_name);
		rmdir(path);
		free(path);
	}
	if (dir)
		closedir(dir);
	free(real);
}

static int create_below(struct instance *in, const char *mount)
{
	char *instances = text_of("%s/instances", mount);
	int error = 0;
	char *real;

	in->path = text_of("%s/" PREFIX "%d", instances, (int)getpid());
	remove_stale(instances);
	free(instances);
	real = path_of(in->path);
	if (mkdir(real, 0750))
		error = errno;
	free(real);
	return error;
}

/* 0 or an error; then there is nothing to be removed */
int instance_create(struct instance *in)
{
	int error = ENOENT;

	in->pipe = -1;
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++) {
		error = create_below(in, mounts[i]);
		if (!error)
			return 0;
		free(in->path);
		in->path = NULL;
		if (error != ENOENT)
			return fault(mounts[i], error);
	}
	return fault(mounts[0], error);
}

static int turn_on(struct instance *in, const char *event)
{
	char *path = text_of("%s/events/dma_heap%s%s/enable", in->path,
			     *event ? "/" : "", event);
	int error = write_file(path, "1");

	if (error == -ENOENT && *event)
		complain("this kernel has no event '%s'", event);
	else if (error == -ENOENT)
		complain("this kernel has no events of heaps");
	else if (error)
		fault(path, -error);
	free(path);
	return error;
}

/* Those in the list, with or without what all of their names begin with */
int instance_enable(struct instance *in, char *events)
{
	static const char all[] = "dma_heap_";
	int error = 0;
	char *event;

	if (!events)
		return turn_on(in, "");
	while (!error && (event = strsep(&events, ","))) {
		bool whole = !strncmp(event, all, strlen(all));
		char *name = text_of("%s%s", whole ? "" : all, event);

		error = turn_on(in, name);
		free(name);
	}
	return error;
}

int instance_open(struct instance *in)
{
	char *path = text_of("%s/buffer_percent", in->path);
	char *real;
	int error;

	/* Readers want to hear of the first event, not of a half full buffer */
	write_file(path, "0");
	free(path);
	path = text_of("%s/trace_pipe", in->path);
	real = path_of(path);
	in->pipe = open(real, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	error = in->pipe < 0 ? fault(path, errno) : 0;
	free(real);
	free(path);
	return error;
}

/* 0 or an error; what is in the buffer can still be read */
int instance_stop(struct instance *in)
{
	char *path = text_of("%s/events/enable", in->path);
	int error = write_file(path, "0");

	free(path);
	return error;
}

void instance_remove(struct instance *in)
{
	if (!in->path)
		return;
	if (in->pipe >= 0)
		close(in->pipe);
	remove_directory(in->path);
	free(in->path);
	in->path = NULL;
}

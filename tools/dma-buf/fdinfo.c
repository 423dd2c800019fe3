// SPDX-License-Identifier: GPL-2.0
/*
 * Who has which buffers open, for want of the list in debugfs. A buffer that
 * several processes have open counts for each of them, but only once however
 * many descriptors a process has for it.
 */
#include "dmaheap.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Inodes that were counted, by size of the number */
struct inodes {
	__u64 *inode;
	size_t n, room;
};

struct info {
	__u64 inode, size;
	bool of_heap, exporter_known;
};

/* True if it was not in yet */
static bool insert(struct inodes *in, __u64 inode)
{
	size_t low = 0, high = in->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (in->inode[mid] == inode)
			return false;
		if (in->inode[mid] < inode)
			low = mid + 1;
		else
			high = mid;
	}
	in->inode = grow(in->inode, &in->room, in->n, sizeof(*in->inode));
	memmove(&in->inode[low + 1], &in->inode[low],
		(in->n - low) * sizeof(*in->inode));
	in->inode[low] = inode;
	in->n++;
	return true;
}

static bool is_buffer(const char *pid, const char *fd)
{
	char *path = text_of("%s/proc/%s/fd/%s", root, pid, fd);
	char target[16] = "";
	ssize_t n = readlink(path, target, sizeof(target) - 1);

	free(path);
	return n > 0 && !strncmp(target, "/dmabuf:", 8);
}

/* Good or bad, the first one counts */
static void take_number(const char *value, __u64 *number)
{
	if (*number == UNKNOWN &&
	    !parse_number(value, 0, UNLIMITED - 1, number))
		*number = UNLIMITED;
}

/*
 * False at the last line that counts: the name is what somebody has given the
 * buffer, may have ends of lines in it, and comes after all that is of the kernel
 */
static bool take_line(struct info *info, char *line, struct heaps *h)
{
	char *value = strchr(line, ':');

	if (!value)
		return true;
	*value++ = 0;
	value += strspn(value, " \t");
	value[strcspn(value, "\n")] = 0;
	if (!strcmp(line, "ino")) {
		take_number(value, &info->inode);
	} else if (!strcmp(line, "size")) {
		take_number(value, &info->size);
	} else if (!strcmp(line, "exp_name") && !info->exporter_known) {
		info->exporter_known = true;
		info->of_heap = heaps_find(h, value);
	}
	return strcmp(line, "name");
}

/* False if the descriptor is gone, or none of a heap's buffer */
static bool read_info(const char *pid, const char *fd, struct heaps *h,
		      struct info *info)
{
	char *path = text_of("/proc/%s/fdinfo/%s", pid, fd);
	FILE *f = open_file(path);
	char line[256];

	free(path);
	if (!f)
		return false;
	info->inode = UNKNOWN;
	info->size = UNKNOWN;
	info->of_heap = false;
	info->exporter_known = false;
	while (fgets(line, sizeof(line), f) && take_line(info, line, h))
		;
	fclose(f);
	return info->of_heap && info->inode < UNLIMITED &&
	       info->size < UNLIMITED;
}

static struct process *new_process(struct processes *p, const char *pid)
{
	char *path = text_of("/proc/%s/comm", pid);
	char comm[64];

	read_line(path, comm, sizeof(comm));
	free(path);
	return processes_add(p, strtoull(pid, NULL, 10), comm);
}

/* 0 or an error; a process that has ended has no buffers */
static int scan_process(struct processes *p, const char *pid, struct heaps *h,
			struct inodes *all)
{
	char *path = text_of("%s/proc/%s/fdinfo", root, pid);
	DIR *dir = opendir(path);
	struct process *process = NULL;
	struct inodes own = { };
	struct dirent *entry;
	int error = errno;
	struct info info;

	free(path);
	if (!dir)
		return error == EACCES || error == EPERM ? -error : 0;
	while ((entry = readdir(dir))) {
		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    !is_buffer(pid, entry->d_name) ||
		    !read_info(pid, entry->d_name, h, &info) ||
		    !insert(&own, info.inode))
			continue;
		if (!process)
			process = new_process(p, pid);
		process->bytes += info.size;
		process->buffers++;
		if (insert(all, info.inode)) {
			p->bytes += info.size;
			p->buffers++;
		}
	}
	closedir(dir);
	free(own.inode);
	return 0;
}

/* @partial: there were processes that we may not look at */
int processes_of_fdinfo(struct processes *p, struct heaps *h, bool *partial)
{
	struct inodes all = { };
	struct dirent *entry;
	char *path;
	int error;
	DIR *dir;

	path = path_of("/proc");
	dir = opendir(path);
	error = errno;
	free(path);
	*partial = false;
	if (!dir)
		return -error;
	while ((entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]) &&
		    scan_process(p, entry->d_name, h, &all))
			*partial = true;
	closedir(dir);
	free(all.inode);
	return 0;
}

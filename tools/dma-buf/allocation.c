// SPDX-License-Identifier: GPL-2.0
/*
 * Buffers of this program's own
 */
#include "dmaheap.h"
#include "libdmaheap.h"
#include <errno.h>
#include <string.h>
#include <sys/resource.h>

/* Of the heap that is open */
static struct dmaheap_list *list;

void heap_close(void)
{
	dmaheap_list_free(list);
	list = NULL;
}

/*
 * 0 and the heap, whose node is open from now on, or an error. A heap may appear during
 * the first @wait_ms.
 */
int heap_open(const char *name, __u64 wait_ms, const struct dmaheap **heap)
{
	int error = wait_ms ? dmaheap_wait(root, name, wait_ms) : 0;

	if (error == -ETIMEDOUT)
		error = -ENOENT;
	if (!error)
		error = dmaheap_list_new(&list, root);
	if (error)
		return error;
	*heap = dmaheap_find(list, name);
	error = *heap ? dmaheap_open(*heap) : -ENOENT;
	if (error)
		heap_close();
	return error;
}

/* A descriptor, or an error; @ns is what it took */
int heap_alloc(const struct dmaheap *heap, __u64 size, __u64 *ns)
{
	__u64 begin = now_ns();
	int fd = dmaheap_alloc(heap, size, NULL);

	*ns = now_ns() - begin;
	return fd;
}

void heap_explain(const char *name, int error)
{
	const char *why = "";

	if (error == -ENOENT)
		why = "; dmaheap list shows which heaps there are";
	else if (error == -EACCES || error == -EPERM)
		why = "; needs the right to read this node";
	complain("%s" DEV_HEAPS "/%s: %s%s", root, name, strerror(-error), why);
}

void allow_many_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

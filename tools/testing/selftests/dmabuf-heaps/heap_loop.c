// SPDX-License-Identifier: GPL-2.0
/* A child that does the same again and again, see heap_loop.h */

#include <errno.h>
#include <unistd.h>
#include <sys/mman.h>

#include "heap_buf.h"
#include "heap_device.h"
#include "heap_loop.h"
#include "heap_pattern.h"
#include "heap_process.h"

/* The longest part of a round that a kill is put off for */
#define MAX_DELAY_US	5000

static void do_rounds(struct loop *loop, bool (*round)(void *data), void *data)
{
	while (round(data))
		__atomic_add_fetch(loop->rounds, 1, __ATOMIC_RELAXED);
	_exit(1);
}

int loop_start(struct loop *loop, bool (*round)(void *data), void *data)
{
	loop->rounds = mmap(NULL, page_size(), READ_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (loop->rounds == MAP_FAILED)
		return -errno;
	loop->child = fork();
	if (loop->child < 0) {
		munmap(loop->rounds, page_size());
		return -EAGAIN;
	}
	if (!loop->child)
		do_rounds(loop, round, data);

	return 0;
}

unsigned int loop_rounds(const struct loop *loop)
{
	return __atomic_load_n(loop->rounds, __ATOMIC_RELAXED);
}

/* Waits for one more round to begin and to end; false if the child does not get on */
bool loop_goes_on(struct loop *loop)
{
	unsigned int before = loop_rounds(loop);

	return WAIT_FOR(loop_rounds(loop) - before >= 2);
}

/*
 * Kills the child in the middle of what it does, at another point each time. Returns
 * what child_kill() does, or -EAGAIN if the child has not got on before.
 */
int loop_kill(struct loop *loop)
{
	bool goes_on = loop_goes_on(loop);
	int ret;

	usleep(pseudo_random(&loop->random) % MAX_DELAY_US);
	ret = child_kill(loop->child);
	munmap(loop->rounds, page_size());

	return goes_on ? ret : -EAGAIN;
}

bool loop_alloc_and_close(void *data)
{
	const struct loop_buffer *buffer = data;
	int fd = heap_alloc(buffer->heap_fd, buffer->len);

	return fd >= 0 && !close(fd);
}

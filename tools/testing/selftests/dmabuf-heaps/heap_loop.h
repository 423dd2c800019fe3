/* SPDX-License-Identifier: GPL-2.0 */
/* A child that does the same again and again until it is killed */
#ifndef HEAP_LOOP_H
#define HEAP_LOOP_H

#include <stdbool.h>
#include <sys/types.h>
#include <linux/types.h>

struct loop {
	pid_t child;
	/* How often the child has done it; shared with the child */
	unsigned int *rounds;
	__u64 random;
};

/* @round gives false to end the child, whose exit status then is 1 */
int loop_start(struct loop *loop, bool (*round)(void *data), void *data);
unsigned int loop_rounds(const struct loop *loop);
bool loop_goes_on(struct loop *loop);
int loop_kill(struct loop *loop);

/* A round: a buffer comes and goes */
struct loop_buffer {
	int heap_fd;
	size_t len;
};

bool loop_alloc_and_close(void *data);

#endif /* HEAP_LOOP_H */

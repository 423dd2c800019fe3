/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Threads that use a pool at the same time, for the KUnit suites of the pool
 */
#ifndef _HEAP_TEST_RACE_H
#define _HEAP_TEST_RACE_H

#include <linux/atomic.h>
#include <linux/types.h>

struct mock_backing;
struct pool_test;

#define RACE_MAX_THREADS	6

/**
 * struct race - data of one thread of a race
 * @ctx: the test
 * @id: number of the thread
 * @gets: how many backings a user got, or how many rounds another thread did
 * @errors: number of errors
 * @wrong: text of the last error
 * @users: how many users have not ended yet
 */
struct race {
	struct pool_test *ctx;
	unsigned int id;
	unsigned int gets;
	unsigned int errors;
	const char *wrong;
	atomic_t *users;
};

typedef void (*race_func)(void *data);

/* A thread fills its backings with a number of its own */
void race_error(struct race *race, const char *wrong);
struct mock_backing *race_get(struct race *race, unsigned int pages);
void race_put(struct race *race, struct mock_backing *backing);

/* The users come first in @funcs. The other threads go on until all users have ended */
unsigned int race_run(struct pool_test *ctx, const race_func *funcs,
		      unsigned int users, unsigned int count);

#endif /* _HEAP_TEST_RACE_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Threads that use a pool all at once, for the KUnit suites of the pool
 */
#ifndef _HEAP_TEST_RACE_H
#define _HEAP_TEST_RACE_H

#include <linux/atomic.h>
#include <linux/types.h>

struct mock_backing;
struct pool_test;

#define RACE_MAX_THREADS	6

/**
 * struct race - what one of the threads of a race needs
 * @ctx: the test
 * @id: which one it is
 * @gets: backings it was given, or what else it got done
 * @errors: what should not have been
 * @wrong: the last of that
 * @users: how many of the users are not done yet
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

/* Each backing is filled with a number that is the thread's own */
void race_error(struct race *race, const char *wrong);
struct mock_backing *race_get(struct race *race, unsigned int pages);
void race_put(struct race *race, struct mock_backing *backing);

/* Users first, then those who go on until the users are done */
unsigned int race_run(struct pool_test *ctx, const race_func *funcs,
		      unsigned int users, unsigned int count);

#endif /* _HEAP_TEST_RACE_H */

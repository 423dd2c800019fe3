// SPDX-License-Identifier: GPL-2.0
/*
 * Time that only goes forward
 */
#include "dmaheap.h"
#include <errno.h>
#include <time.h>

__u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * NSEC + ts.tv_nsec;
}

void pause_ns(__u64 ns)
{
	struct timespec ts = { .tv_sec = ns / NSEC, .tv_nsec = ns % NSEC };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

/* SPDX-License-Identifier: GPL-2.0 */
/* Processes: descriptors, children, and waiting */
#ifndef HEAP_PROCESS_H
#define HEAP_PROCESS_H

#include <stdbool.h>
#include <unistd.h>
#include <sys/types.h>

/* How many descriptors are open; -1 if that cannot be told */
int open_fds(void);

/* Descriptors through a UNIX socket */
int send_fd(int sock, int fd);
int receive_fd(int sock);

/*
 * Wait for the end of a child, which child_kill() brings about. Both return its exit
 * status, or minus the signal that ended it.
 */
int child_end(pid_t child);
int child_kill(pid_t child);

long long now_ms(void);

#define WAIT_MS		60000

/* Waits until @cond holds, but not for ever; whether it does */
#define WAIT_FOR(cond) ({					\
	long long _end = now_ms() + WAIT_MS;			\
	bool _holds;						\
								\
	while (!(_holds = (cond)) && now_ms() < _end)		\
		usleep(2000);					\
	_holds;							\
})

#endif /* HEAP_PROCESS_H */

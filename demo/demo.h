/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the demo share: how a failed step is reported, and the
 * few limits both processes agree on.
 */
#ifndef DEMO_H
#define DEMO_H

#include <stdnoreturn.h>

#define DEMO_MAX_BUFFERS	16
#define DEMO_TIMEOUT_MS		60000	/* longest wait for a frame or a peer: a hang */

/* Print "demo: FAILED at <step>: <why>" and leave with status 1. */
noreturn void fail(const char *step, const char *why);

/* Pass through what the step returned; a negative errno ends the program. */
int check(int ret, const char *step);

#endif

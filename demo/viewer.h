/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DEMO_VIEWER_H
#define DEMO_VIEWER_H

/* The second process; returns its exit status. */
int viewer_run(int sock);

#endif

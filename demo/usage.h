/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DEMO_USAGE_H
#define DEMO_USAGE_H

/*
 * How many buffers the whole system holds; needs debugfs and root. 0 or a negative
 * errno.
 */
int dmabuf_usage(unsigned long *buffers, unsigned long *bytes);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
#ifndef COMPLAINTS_H
#define COMPLAINTS_H

/*
 * Reads what the kernel has said since the last call, or since boot, and calls @tell for
 * each complaint, by the texts of /splats. Returns how many there were.
 */
int kernel_complaints(int kmsg_fd, void (*tell)(const char *text));

#endif /* COMPLAINTS_H */

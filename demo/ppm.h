/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One picture out of the guest.
 */
#ifndef DEMO_PPM_H
#define DEMO_PPM_H

#include <linux/types.h>
#include <stddef.h>

/*
 * Where a picture goes: the virtio port called org.dmaheap.file, which the
 * host turns into a file, and 1 is returned; without that port, 0 and
 * /tmp/frame.ppm of the guest.
 */
int ppm_target(char *path, size_t len);

/*
 * Write packed RGB as binary PPM to @path; 0 or a negative errno. @timeout_ms
 * is how long the other side may take nothing.
 */
int ppm_write(const char *path, const __u8 *rgb, unsigned int width, unsigned int height,
	      int timeout_ms);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A V4L2 capture device that writes into buffers somebody else allocated.
 * Functions return 0 or a negative errno.
 */
#ifndef DEMO_CAMERA_H
#define DEMO_CAMERA_H

#include <linux/types.h>

struct camera {
	int fd;
	char node[32];		/* device node found */
	__u32 width;
	__u32 height;
	__u32 stride;		/* bytes from one line to the next */
	__u32 size;		/* bytes a frame buffer must have */
	__u32 fourcc;
	__u32 rate;		/* frames per second the device agreed to */
};

struct camera_frame {
	__u32 index;		/* which buffer */
	__u32 sequence;		/* gaps are frames that found no free buffer */
	__u32 bytes;
};

/* Find the capture node of the driver called @driver. */
int camera_open(struct camera *cam, const char *driver);

/* Choose the input whose name starts with @prefix. */
int camera_set_input(struct camera *cam, const char *prefix);

/* Ask for packed RGB; the device may change size and rate, @cam says to what. */
int camera_set_format(struct camera *cam, __u32 width, __u32 height);
int camera_set_rate(struct camera *cam, __u32 rate);

/* Room for @count DMA-BUFs in the queue; 0 makes the device let go of all. */
int camera_request(struct camera *cam, unsigned int count);
int camera_queue(struct camera *cam, unsigned int index, int dmabuf);
int camera_start(struct camera *cam);
int camera_stop(struct camera *cam);

/* Wait at most @timeout_ms for the next filled buffer. */
int camera_dequeue(struct camera *cam, struct camera_frame *frame, int timeout_ms);

#endif

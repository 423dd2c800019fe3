/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the demo measured, and the table that shows it.
 */
#ifndef DEMO_REPORT_H
#define DEMO_REPORT_H

#include <linux/types.h>

#include "camera.h"
#include "demo.h"

struct report {
	char heaps[256];
	const char *heap;		/* the one used */

	unsigned int buffers;
	__u64 alloc_ns[DEMO_MAX_BUFFERS];

	struct camera cam;
	unsigned int frames_wanted;
	unsigned int frames;
	unsigned int skipped;		/* frame numbers the camera left out */
	unsigned int doubled;		/* frames with the number of the one before */
	__u64 stream_ns;		/* from the first frame to the last */
	__u64 bytes;			/* that went through the buffers */

	unsigned int cpu_differs;	/* frames the two processes read differently */
	unsigned int drm_differs;
	unsigned int repeated;		/* new number, but the bytes of the frame before */
	unsigned int no_picture;
	unsigned int mismatches;	/* frames with any of these four */

	int usage_error;		/* errno: usage could not be read */
	unsigned long peak_buffers;
	unsigned long peak_bytes;
	unsigned long left;

	__u32 kept;			/* sequence of the saved frame */
	char path[64];			/* where it went */
	int to_host;			/* path is the port to the host */
};

void report_print(struct report *r);

/* The same as KTAP: one result for each claim; how many are not true. */
unsigned int report_ktap(const struct report *r);

#endif

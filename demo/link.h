/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The socket between camera and viewer: fixed messages, one of them with a
 * buffer's fd.
 */
#ifndef DEMO_LINK_H
#define DEMO_LINK_H

#include <linux/types.h>

enum link_type {
	LINK_BUFFER,	/* to the viewer, once per buffer, carries the fd */
	LINK_FRAME,	/* to the viewer: buffer @index holds a new frame */
	LINK_DONE,	/* to the viewer: let go of everything, save the frame */
	LINK_RESULT,	/* from the viewer: answer to LINK_FRAME */
	LINK_SAVED,	/* from the viewer: answer to LINK_DONE */
};

struct link_msg {
	__u32 type;
	__u32 index;		/* buffer */
	__u32 sequence;		/* the camera's number of the frame */
	__u32 keep;		/* LINK_FRAME: this is the frame to save */

	__u32 width;		/* LINK_BUFFER: the picture in the buffer */
	__u32 height;
	__u32 stride;
	__u32 size;

	__u64 checksum;	/* LINK_RESULT: over all bytes of the frame */
	__u32 drm_differs;	/* LINK_RESULT: DRM shows other bytes */
	__u32 repeated;		/* LINK_RESULT: new number, old bytes */
	__u32 no_picture;	/* LINK_RESULT: no colour bars in it */

	__u32 to_host;		/* LINK_SAVED: @path is the port to the host */
	char path[64];		/* LINK_SAVED: where the picture went */
};

/* A pair of connected sockets; 0 or a negative errno. */
int link_create(int sock[2]);

/* @fd may be -1; 0 or a negative errno. */
int link_send(int sock, const struct link_msg *msg, int fd);

/*
 * 1 and a message, 0 when the peer is gone, or a negative errno. *@fd is the
 * fd that came with the message, -1 when none did; the caller closes it.
 */
int link_recv(int sock, struct link_msg *msg, int *fd, int timeout_ms);

#endif

// SPDX-License-Identifier: GPL-2.0
/*
 * The second process, a stand-in for a compositor: it knows buffers only by
 * the fds it is sent, reads every frame with the CPU, and hands each buffer
 * to a DRM device.
 */
#include <errno.h>
#include <libdmaheap.h>
#include <linux/types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "demo.h"
#include "drm.h"
#include "frame.h"
#include "link.h"
#include "ppm.h"
#include "viewer.h"

struct view {
	int fd;			/* as received */
	int drm_fd;		/* as the DRM device gives it back */
	__u32 handle;
	size_t size;
	const __u8 *cpu;	/* mapping of fd */
	const __u8 *drm;	/* mapping of drm_fd */
};

struct viewer {
	int sock;
	int drm;
	unsigned int views;
	struct view view[DEMO_MAX_BUFFERS];

	__u32 width;
	__u32 height;
	__u32 stride;

	int seen;		/* a frame came before this one */
	__u32 sequence;		/* of that frame */
	__u64 checksum;

	__u8 *kept;		/* packed RGB of the frame to save */
};

static const __u8 *map_or_fail(int fd, size_t size, const char *step)
{
	size_t mapped;
	void *map;

	check(dmaheap_map(fd, DMAHEAP_READ, &map, &mapped), step);
	if (mapped < size)
		fail(step, "it is too small");

	return map;
}

/*
 * The import attaches the buffer to the DRM device and keeps it mapped for
 * DMA there. DRM refuses to map imported objects through its own node, so
 * what the device holds is looked at through the fd it exports for it.
 */
static void add_buffer(struct viewer *v, const struct link_msg *msg, int fd)
{
	struct view *view = &v->view[v->views];

	if (fd < 0)
		fail("viewer: receive a buffer", "no fd came with the message");
	if (v->views == DEMO_MAX_BUFFERS || msg->index != v->views)
		fail("viewer: receive a buffer", strerror(EPROTO));

	view->fd = fd;
	view->size = msg->size;
	view->cpu = map_or_fail(fd, view->size, "viewer: mmap the buffer");

	check(drm_import(v->drm, fd, &view->handle), "viewer: import the buffer into vgem");
	view->drm_fd = check(drm_export(v->drm, view->handle),
			     "viewer: export the buffer from vgem");
	view->drm = map_or_fail(view->drm_fd, view->size, "viewer: mmap vgem's buffer");

	v->width = msg->width;
	v->height = msg->height;
	v->stride = msg->stride;
	v->views++;
}

static int compare_with_drm(const struct view *view, __u32 sequence)
{
	size_t at = frame_compare(view->cpu, view->drm, view->size);

	if (at == view->size)
		return 0;
	fprintf(stderr, "demo: frame %u: byte %zu is 0x%02x through the heap, 0x%02x through DRM\n",
		sequence, at, view->cpu[at], view->drm[at]);

	return 1;
}

static void keep_picture(struct viewer *v, const struct view *view)
{
	size_t line = (size_t)v->width * 3;
	__u32 y;

	free(v->kept);
	v->kept = malloc(line * v->height);
	if (!v->kept)
		fail("viewer: keep a frame", strerror(ENOMEM));

	for (y = 0; y < v->height; y++)
		memcpy(v->kept + y * line, view->cpu + (size_t)y * v->stride, line);
}

/* The lowest quarter: the camera writes text into the picture above it */
static int has_picture(const struct viewer *v, const struct view *view)
{
	__u32 y;

	for (y = v->height - v->height / 4; y < v->height; y++)
		if (!frame_has_bars(view->cpu + (size_t)y * v->stride, v->width))
			return 0;

	return 1;
}

/* Everything that reads the frame, between SYNC START and SYNC END. */
static void look_at_frame(struct viewer *v, const struct view *view,
			  const struct link_msg *msg, struct link_msg *result)
{
	result->checksum = frame_checksum(view->cpu, view->size);
	result->drm_differs = compare_with_drm(view, msg->sequence);
	result->no_picture = !has_picture(v, view);
	if (msg->keep)
		keep_picture(v, view);
}

static void show_frame(struct viewer *v, const struct link_msg *msg)
{
	struct link_msg result = {
		.type = LINK_RESULT,
		.index = msg->index,
		.sequence = msg->sequence,
	};
	const struct view *view = &v->view[msg->index];
	struct dmaheap_access access;

	if (msg->index >= v->views)
		fail("viewer: receive a frame", strerror(EPROTO));

	check(dmaheap_begin(&access, view->fd, DMAHEAP_READ), "viewer: SYNC START");
	look_at_frame(v, view, msg, &result);
	check(dmaheap_end(&access), "viewer: SYNC END");

	/* The camera writes the number into the picture: a new one shows. */
	result.repeated = v->seen && msg->sequence != v->sequence &&
			  result.checksum == v->checksum;
	v->seen = 1;
	v->sequence = msg->sequence;
	v->checksum = result.checksum;

	check(link_send(v->sock, &result, -1), "viewer: answer");
}

static void drop_buffers(struct viewer *v)
{
	struct view *view;

	for (view = v->view; view < v->view + v->views; view++) {
		munmap((void *)view->drm, view->size);
		munmap((void *)view->cpu, view->size);
		check(drm_release(v->drm, view->handle), "viewer: GEM_CLOSE");
		close(view->drm_fd);
		close(view->fd);
	}
	close(v->drm);
}

static void save_picture(struct viewer *v)
{
	struct link_msg saved = { .type = LINK_SAVED };

	if (!v->kept)
		fail("viewer: save a frame", "none was kept");

	saved.to_host = ppm_target(saved.path, sizeof(saved.path));
	/* Give up on the port before the camera gives up on the viewer. */
	check(ppm_write(saved.path, v->kept, v->width, v->height, DEMO_TIMEOUT_MS / 2),
	      "viewer: save a frame");
	free(v->kept);
	check(link_send(v->sock, &saved, -1), "viewer: answer");
}

int viewer_run(int sock)
{
	struct viewer v = { .sock = sock };
	struct link_msg msg;
	int fd;

	v.drm = check(drm_open("vgem"), "viewer: find the DRM device vgem");

	for (;;) {
		/* A camera that is gone has said itself what went wrong. */
		if (!check(link_recv(sock, &msg, &fd, 2 * DEMO_TIMEOUT_MS), "viewer: receive"))
			return 1;

		switch (msg.type) {
		case LINK_BUFFER:
			add_buffer(&v, &msg, fd);
			break;
		case LINK_FRAME:
			show_frame(&v, &msg);
			break;
		case LINK_DONE:
			drop_buffers(&v);
			save_picture(&v);
			return 0;
		default:
			fail("viewer: receive", strerror(EPROTO));
		}
	}
}

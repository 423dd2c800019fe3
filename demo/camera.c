// SPDX-License-Identifier: GPL-2.0
/*
 * A V4L2 capture device that writes into buffers somebody else allocated:
 * V4L2_MEMORY_DMABUF, single-planar.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "camera.h"

#define CAPTURE	V4L2_BUF_TYPE_VIDEO_CAPTURE

static int xioctl(int fd, unsigned long request, void *arg)
{
	int ret;

	do {
		ret = ioctl(fd, request, arg);
	} while (ret && errno == EINTR);

	return ret ? -errno : 0;
}

static int is_video(const struct dirent *entry)
{
	return !strncmp(entry->d_name, "video", 5);
}

static int is_camera(int fd, const char *driver)
{
	const __u32 want = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
	struct v4l2_capability cap;

	if (xioctl(fd, VIDIOC_QUERYCAP, &cap))
		return 0;

	return !strcmp((const char *)cap.driver, driver) &&
	       (cap.device_caps & want) == want;
}

int camera_open(struct camera *cam, const char *driver)
{
	struct dirent **list;
	int n, i;

	cam->fd = -1;
	n = scandir("/dev", &list, is_video, alphasort);
	if (n < 0)
		return -errno;

	for (i = 0; i < n; i++) {
		if (cam->fd < 0) {
			snprintf(cam->node, sizeof(cam->node), "/dev/%.20s", list[i]->d_name);
			cam->fd = open(cam->node, O_RDWR | O_NONBLOCK | O_CLOEXEC);
			if (cam->fd >= 0 && !is_camera(cam->fd, driver)) {
				close(cam->fd);
				cam->fd = -1;
			}
		}
		free(list[i]);
	}
	free(list);

	return cam->fd < 0 ? -ENODEV : 0;
}

int camera_set_input(struct camera *cam, const char *prefix)
{
	struct v4l2_input input = { 0 };
	int ret;

	for (;;) {
		ret = xioctl(cam->fd, VIDIOC_ENUMINPUT, &input);
		if (ret)
			return ret == -EINVAL ? -ENODEV : ret;	/* EINVAL: no more */
		if (!strncmp((const char *)input.name, prefix, strlen(prefix)))
			return xioctl(cam->fd, VIDIOC_S_INPUT, &input.index);
		input.index++;
	}
}

int camera_set_format(struct camera *cam, __u32 width, __u32 height)
{
	struct v4l2_format format = {
		.type = CAPTURE,
		.fmt.pix = {
			.width = width,
			.height = height,
			.pixelformat = V4L2_PIX_FMT_RGB24,
			.field = V4L2_FIELD_NONE,
		},
	};
	int ret = xioctl(cam->fd, VIDIOC_S_FMT, &format);

	if (ret)
		return ret;
	if (format.fmt.pix.pixelformat != V4L2_PIX_FMT_RGB24)
		return -EOPNOTSUPP;

	cam->width = format.fmt.pix.width;
	cam->height = format.fmt.pix.height;
	cam->stride = format.fmt.pix.bytesperline;
	cam->size = format.fmt.pix.sizeimage;
	cam->fourcc = format.fmt.pix.pixelformat;

	return 0;
}

int camera_set_rate(struct camera *cam, __u32 rate)
{
	struct v4l2_streamparm parm = {
		.type = CAPTURE,
		.parm.capture.timeperframe = { .numerator = 1, .denominator = rate },
	};
	const struct v4l2_fract *period = &parm.parm.capture.timeperframe;
	int ret = xioctl(cam->fd, VIDIOC_S_PARM, &parm);

	if (!ret)
		cam->rate = period->denominator / (period->numerator ? period->numerator : 1);

	return ret;
}

int camera_request(struct camera *cam, unsigned int count)
{
	struct v4l2_requestbuffers request = {
		.count = count,
		.type = CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
	};
	int ret = xioctl(cam->fd, VIDIOC_REQBUFS, &request);

	/* A device may ask for more buffers than we have, or grant fewer. */
	if (!ret && request.count != count)
		return -ENOBUFS;

	return ret;
}

int camera_queue(struct camera *cam, unsigned int index, int dmabuf)
{
	struct v4l2_buffer buf = {
		.index = index,
		.type = CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
		.m.fd = dmabuf,
	};

	return xioctl(cam->fd, VIDIOC_QBUF, &buf);
}

int camera_start(struct camera *cam)
{
	int type = CAPTURE;

	return xioctl(cam->fd, VIDIOC_STREAMON, &type);
}

int camera_stop(struct camera *cam)
{
	int type = CAPTURE;

	return xioctl(cam->fd, VIDIOC_STREAMOFF, &type);
}

static int wait_readable(int fd, int timeout_ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int ret = poll(&pfd, 1, timeout_ms);

	if (ret < 0)
		return -errno;
	if (!ret)
		return -ETIME;

	return pfd.revents & POLLIN ? 0 : -EIO;
}

int camera_dequeue(struct camera *cam, struct camera_frame *frame, int timeout_ms)
{
	struct v4l2_buffer buf = {
		.type = CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
	};
	int ret = wait_readable(cam->fd, timeout_ms);

	if (!ret)
		ret = xioctl(cam->fd, VIDIOC_DQBUF, &buf);
	if (ret)
		return ret;
	if (buf.flags & V4L2_BUF_FLAG_ERROR)
		return -EIO;

	frame->index = buf.index;
	frame->sequence = buf.sequence;
	frame->bytes = buf.bytesused;

	return 0;
}

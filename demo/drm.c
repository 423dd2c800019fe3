// SPDX-License-Identifier: GPL-2.0
/*
 * PRIME: DMA-BUFs in and out of a DRM device.
 */
#include <drm/drm.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "drm.h"

#define MAX_CARDS	64

static int is_driver(int fd, const char *driver)
{
	char name[32] = "";
	struct drm_version version = {
		.name = name,
		.name_len = sizeof(name) - 1,
	};

	return !ioctl(fd, DRM_IOCTL_VERSION, &version) && !strcmp(name, driver);
}

int drm_open(const char *driver)
{
	char path[32];
	int i, fd;

	for (i = 0; i < MAX_CARDS; i++) {
		snprintf(path, sizeof(path), "/dev/dri/card%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (is_driver(fd, driver))
			return fd;
		close(fd);
	}

	return -ENODEV;
}

int drm_import(int drm, int dmabuf, __u32 *handle)
{
	struct drm_prime_handle prime = { .fd = dmabuf };

	if (ioctl(drm, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime))
		return -errno;
	*handle = prime.handle;

	return 0;
}

int drm_export(int drm, __u32 handle)
{
	struct drm_prime_handle prime = {
		.handle = handle,
		.flags = DRM_CLOEXEC | DRM_RDWR,
	};

	if (ioctl(drm, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime))
		return -errno;

	return prime.fd;
}

int drm_release(int drm, __u32 handle)
{
	struct drm_gem_close close = { .handle = handle };

	return ioctl(drm, DRM_IOCTL_GEM_CLOSE, &close) ? -errno : 0;
}

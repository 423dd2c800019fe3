// SPDX-License-Identifier: GPL-2.0
/* vgem, see heap_vgem.h */

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <drm/drm.h>
#include <drm/drm_mode.h>

#include "heap_buf.h"
#include "heap_vgem.h"

#define DRM_MINORS	64

static bool drm_is_vgem(int fd)
{
	char name[8] = "";
	struct drm_version version = {
		.name = name,
		.name_len = sizeof(name) - 1,
	};

	return !ioctl(fd, DRM_IOCTL_VERSION, &version) && !strcmp(name, "vgem");
}

int vgem_open(void)
{
	char path[32];
	int i, fd;

	for (i = 0; i < DRM_MINORS; i++) {
		snprintf(path, sizeof(path), "/dev/dri/card%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (drm_is_vgem(fd))
			return fd;
		close(fd);
	}

	return -ENODEV;
}

int vgem_import(int vgem, int fd, __u32 *handle)
{
	struct drm_prime_handle prime = {
		.fd = fd,
	};

	if (ioctl(vgem, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime) < 0)
		return -errno;
	*handle = prime.handle;

	return 0;
}

int vgem_export(int vgem, __u32 handle)
{
	struct drm_prime_handle prime = {
		.handle = handle,
		.flags = DRM_CLOEXEC | DRM_RDWR,
	};

	if (ioctl(vgem, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime) < 0)
		return -errno;

	return prime.fd;
}

/* A buffer of vgem's own */
int vgem_create(int vgem, size_t len, __u32 *handle)
{
	struct drm_mode_create_dumb create = {
		.width = page_size(),
		.height = len / page_size(),
		.bpp = 8,
	};

	if (ioctl(vgem, DRM_IOCTL_MODE_CREATE_DUMB, &create) < 0)
		return -errno;
	*handle = create.handle;

	return 0;
}

int vgem_close_handle(int vgem, __u32 handle)
{
	struct drm_gem_close gem_close = {
		.handle = handle,
	};

	return ioctl(vgem, DRM_IOCTL_GEM_CLOSE, &gem_close) < 0 ? -errno : 0;
}

/*
 * Tells where the next object of @len bytes will be in the offset space of the
 * vgem node. DRM does not tell the offset of an imported object, yet lets its
 * owner map it there; offsets are handed out best fit, so what a buffer of
 * vgem's own gets, an import right after it is gone gets, too.
 */
int vgem_next_offset(int vgem, size_t len, __u64 *offset)
{
	struct drm_mode_map_dumb map = { };
	int ret;

	ret = vgem_create(vgem, len, &map.handle);
	if (ret)
		return ret;

	if (ioctl(vgem, DRM_IOCTL_MODE_MAP_DUMB, &map) < 0)
		ret = -errno;
	*offset = map.offset;
	vgem_close_handle(vgem, map.handle);

	return ret;
}

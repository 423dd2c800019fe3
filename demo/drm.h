/* SPDX-License-Identifier: GPL-2.0 */
/*
 * PRIME: DMA-BUFs in and out of a DRM device. Functions return a negative
 * errno when they fail.
 */
#ifndef DEMO_DRM_H
#define DEMO_DRM_H

#include <linux/types.h>

/* The first card of the driver called @driver; returns its fd. */
int drm_open(const char *driver);

/* Attach the buffer to the device and map it there, until drm_release(). */
int drm_import(int drm, int dmabuf, __u32 *handle);

/* A DMA-BUF fd for the buffer the device holds under @handle. */
int drm_export(int drm, __u32 handle);

int drm_release(int drm, __u32 handle);

#endif

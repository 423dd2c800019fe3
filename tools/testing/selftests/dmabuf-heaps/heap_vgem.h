/* SPDX-License-Identifier: GPL-2.0 */
/* vgem, a DRM device without hardware, as importer */
#ifndef HEAP_VGEM_H
#define HEAP_VGEM_H

#include <stddef.h>
#include <linux/types.h>

/* -ENODEV if there is none */
int vgem_open(void);
int vgem_import(int vgem, int fd, __u32 *handle);
int vgem_export(int vgem, __u32 handle);
int vgem_create(int vgem, size_t len, __u32 *handle);
int vgem_close_handle(int vgem, __u32 handle);
int vgem_next_offset(int vgem, size_t len, __u64 *offset);

#endif /* HEAP_VGEM_H */

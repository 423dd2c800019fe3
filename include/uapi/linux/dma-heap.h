/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
#ifndef _UAPI_LINUX_DMA_HEAP_H
#define _UAPI_LINUX_DMA_HEAP_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * DOC: dma-heap ioctl
 *
 * Every heap is a character device below ``/dev/dma_heap/``. Its only ioctl,
 * DMA_HEAP_IOCTL_ALLOC, turns a length into a file descriptor of a new,
 * zeroed dma-buf. Opening the device for reading is enough to allocate.
 *
 * The argument may be shorter than &struct dma_heap_allocation_data, as long
 * as it reaches to the end of @fd: what is missing counts as zero. It may be
 * longer, too: the kernel neither reads nor writes what lies beyond the fields
 * it knows.
 *
 * The call returns 0, or -1 and one of these errors, in which case no
 * descriptor was created and nothing was written back:
 *
 * ``EINVAL``
 *	the length is zero or wraps around when rounded up to whole pages, @fd
 *	is not zero, a flag is unknown, or the command is not an allocation
 *	that carries its argument both ways
 * ``ENOMEM``
 *	the heap cannot provide that much memory, now or ever
 * ``EMFILE``, ``ENFILE``
 *	no file descriptor is left
 * ``EFAULT``
 *	the argument could not be read or written
 * ``EINTR``
 *	the caller is being killed
 */

/* Flags of the new file descriptor: access mode and close-on-exec */
#define DMA_HEAP_VALID_FD_FLAGS (O_CLOEXEC | O_ACCMODE)

/* No heap flag is defined so far */
#define DMA_HEAP_VALID_HEAP_FLAGS (0ULL)

/**
 * struct dma_heap_allocation_data - argument of DMA_HEAP_IOCTL_ALLOC
 * @len: bytes wanted, rounded up to whole pages by the kernel
 * @fd: zero on entry; on success the file descriptor of the new dma-buf
 * @fd_flags: subset of DMA_HEAP_VALID_FD_FLAGS
 * @heap_flags: subset of DMA_HEAP_VALID_HEAP_FLAGS
 */
struct dma_heap_allocation_data {
	__u64 len;
	__u32 fd;
	__u32 fd_flags;
	__u64 heap_flags;
};

#define DMA_HEAP_IOC_MAGIC 'H'

/* Allocate a dma-buf from the heap whose device is open */
#define DMA_HEAP_IOCTL_ALLOC	_IOWR(DMA_HEAP_IOC_MAGIC, 0x0, \
				      struct dma_heap_allocation_data)

#endif /* _UAPI_LINUX_DMA_HEAP_H */

/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * libdmaheap - allocate buffers from DMA-BUF heaps, and use them
 *
 * A buffer is a file descriptor, as everywhere else: close() releases it, munmap() ends a
 * mapping. Functions that return int return a negative errno if they fail. All of them
 * may be called by several threads at once, unless they share a struct dmaheap_access.
 */
#ifndef LIBDMAHEAP_H
#define LIBDMAHEAP_H

#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Attributes of a heap */
#define DMAHEAP_CACHED		0x01u	/* the CPU maps it cached, else write-combined */
#define DMAHEAP_CONTIGUOUS	0x02u	/* every buffer is in one piece of memory */
#define DMAHEAP_PROTECTED	0x04u	/* only devices reach the memory */
#define DMAHEAP_RESERVED	0x08u	/* the memory is set aside for the heap */
/* These two only say what is known */
#define DMAHEAP_ALIGNMENT	0x10u
#define DMAHEAP_DMA_BITS	0x20u

/* Access by the CPU */
#define DMAHEAP_READ		0x01u
#define DMAHEAP_WRITE		0x02u

/**
 * struct dmaheap - a heap, and what is known of it
 * @name: name of its node in /dev/dma_heap
 * @alias_of: the heap of which this is another name, or ""
 * @fallback: the heap that serves a buffer if this one cannot, or "" if there is none
 *	      or it is not known. The attributes hold for its buffers, too.
 * @flags: DMAHEAP_CACHED and others that apply
 * @told: attributes that the kernel tells, set in @flags or not
 * @guessed: attributes that the kernel does not tell, taken from a well-known name.
 *	     Nothing is known of an attribute that is neither in @told nor in @guessed.
 * @dma_bits: bits of the highest address of a buffer, 0 if not known
 * @alignment: of the addresses of a buffer's pieces, in bytes
 * @buffer_limit: the largest buffer in bytes, ULLONG_MAX if there is no limit or it is
 *		  not known
 *
 * It is what the kernel said when the list was made: contiguous can go and dma_bits can
 * grow when a heap's fallback appears.
 */
struct dmaheap {
	const char *name;
	const char *alias_of;
	const char *fallback;
	unsigned int flags;
	unsigned int told;
	unsigned int guessed;
	unsigned int dma_bits;
	unsigned long long alignment;
	unsigned long long buffer_limit;
};

/**
 * struct dmaheap_need - which heaps can serve a buffer
 * @with: attributes that a heap must have, DMAHEAP_CACHED to DMAHEAP_RESERVED
 * @without: attributes that it must not have. DMAHEAP_PROTECTED is always among them
 *	     unless it is in @with.
 * @dma_bits: bits of the highest address that the devices reach, 0 for any
 * @reserved: must be 0
 * @alignment: of the addresses, in bytes, 0 for any
 *
 * All zero is any memory that the CPU can map. Set the rest to zero by an initializer.
 */
struct dmaheap_need {
	unsigned int with;
	unsigned int without;
	unsigned int dma_bits;
	unsigned int reserved;
	unsigned long long alignment;
};

/**
 * struct dmaheap_access - an access by the CPU, from begin to end
 * @fd: the buffer, -1 while there is no access
 * @access: DMAHEAP_READ, DMAHEAP_WRITE or both
 * @offset: first byte of the part
 * @len: bytes of the part, 0 for the whole buffer
 */
struct dmaheap_access {
	int fd;
	unsigned int access;
	unsigned long long offset;
	unsigned long long len;
};

struct dmaheap_list;

/**
 * dmaheap_list_new - look which heaps there are
 * @list: where the list goes
 * @root: directory in which /dev and /sys are, NULL for the usual place
 *
 * The list does not change, and has the heaps that have a node now: make a new one to see
 * heaps that came later.
 *
 * Return: 0, -ENOENT if the kernel has no heaps, or another error.
 */
int dmaheap_list_new(struct dmaheap_list **list, const char *root);

/**
 * dmaheap_list_free - forget the heaps; buffers stay
 * @list: a list, or NULL
 */
void dmaheap_list_free(struct dmaheap_list *list);

/**
 * dmaheap_list_get - the heap at a place of the list, in order of names
 * @list: the list
 * @index: from 0
 *
 * Return: The heap, which lives as long as the list, or NULL at the end.
 */
const struct dmaheap *dmaheap_list_get(const struct dmaheap_list *list, size_t index);

/**
 * dmaheap_find - a heap by its name, for a client that was told which one to use
 * @list: the list
 * @name: the name
 *
 * Return: The heap, which lives as long as the list, or NULL.
 */
const struct dmaheap *dmaheap_find(const struct dmaheap_list *list, const char *name);

/**
 * dmaheap_choose - the heaps that have what is needed, the best one first
 * @list: the list
 * @need: what is needed, NULL for any memory that the CPU can map
 * @size: bytes of the largest buffer, or 0
 * @best: where the heaps go
 * @max: how many there is room for
 *
 * A heap counts only if all attributes that @need names are told or guessed. A heap that
 * is contiguous or reserved counts without being asked for only if there is no other. The
 * order is: attributes told, before guessed; cached, before not; system, before the default
 * CMA heap under its names, before others; more address bits, before fewer; names.
 *
 * Return: The number of heaps in @best, or -EINVAL for a need that makes no sense.
 */
int dmaheap_choose(const struct dmaheap_list *list, const struct dmaheap_need *need,
		   unsigned long long size, const struct dmaheap **best, size_t max);

/**
 * dmaheap_wait - wait until a heap can be opened
 * @root: as for dmaheap_list_new()
 * @name: name of the heap
 * @timeout_ms: how long at most, in milliseconds, -1 for ever
 *
 * For a heap whose driver is loaded late, or whose node the device manager has not given
 * to the caller yet. Make a new list afterwards. Without inotify it looks every 50 ms.
 *
 * Return: 0, -ETIMEDOUT if there is no such heap by then, -EACCES if the caller may still
 * not open it, or another error.
 */
int dmaheap_wait(const char *root, const char *name, int timeout_ms);

/**
 * dmaheap_open - open a heap's node now
 * @heap: the heap
 *
 * The first allocation does it otherwise. For a client that gives up rights, or measures
 * time. The node stays open as long as the list.
 *
 * Return: 0, or the error of open().
 */
int dmaheap_open(const struct dmaheap *heap);

/**
 * dmaheap_alloc - allocate a buffer from one heap
 * @heap: the heap
 * @size: bytes, which the kernel rounds up to whole pages
 * @name: name for people to read, at most 31 bytes, or NULL
 *
 * The kernel may leave it to the heap's fallback, see dmaheap_served().
 *
 * Return: The descriptor, for reading and writing and closed on exec, or an error:
 * -ENOMEM, -ENAMETOOLONG, or that of open() or the kernel.
 */
int dmaheap_alloc(const struct dmaheap *heap, unsigned long long size, const char *name);

/**
 * dmaheap_alloc_need - allocate a buffer from the best heap that has the memory
 * @list: the list
 * @need: as for dmaheap_choose()
 * @size: bytes, which the kernel rounds up to whole pages
 * @name: name for people to read, at most 31 bytes, or NULL
 * @from: where the heap goes that was asked with success, or NULL
 *
 * If a heap has no memory, or the caller may not open it, the next one is asked.
 *
 * Return: The descriptor, -ENODEV if no heap has what is needed, or the error of the
 * best heap.
 */
int dmaheap_alloc_need(const struct dmaheap_list *list, const struct dmaheap_need *need,
		       unsigned long long size, const char *name, const struct dmaheap **from);

/**
 * dmaheap_served - which heap a buffer is from
 * @fd: the buffer
 * @name: where the name goes
 * @room: bytes there
 *
 * Needs /proc. This is another heap than the one that was asked if the kernel left the
 * allocation to the fallback. For a buffer that is not from a heap it is the name of the
 * driver.
 *
 * Return: 0, -EINVAL if @fd is not a dma-buf, -ENAMETOOLONG, or another error.
 */
int dmaheap_served(int fd, char *name, size_t room);

/**
 * dmaheap_set_name - give a buffer a name for people to read
 * @fd: the buffer
 * @name: the name, at most 31 bytes
 *
 * Return: 0, -ENAMETOOLONG or another error.
 */
int dmaheap_set_name(int fd, const char *name);

/**
 * dmaheap_charge - have a buffer charged to the caller's memory cgroup from now on
 * @fd: the buffer, which another process may have allocated
 *
 * Return: 0, -ENOTTY if the kernel cannot do that, -ENOMEM if the cgroup has no room, or
 * another error. The buffer stays charged as it was if it fails.
 */
int dmaheap_charge(int fd);

/**
 * dmaheap_map - map a whole buffer
 * @fd: the buffer
 * @access: DMAHEAP_READ, DMAHEAP_WRITE or both
 * @address: where the address goes
 * @size: where the bytes go that are mapped, for munmap(); or NULL
 *
 * Return: 0, -EACCES for a protected buffer, or another error.
 */
int dmaheap_map(int fd, unsigned int access, void **address, size_t *size);

/**
 * dmaheap_begin - begin to access a mapping of a buffer
 * @a: where the access is noted; see dmaheap_end()
 * @fd: the buffer
 * @access: DMAHEAP_READ, DMAHEAP_WRITE or both
 *
 * Without it the CPU need not see what devices wrote. Waits for fences, too. A signal does
 * not end it.
 *
 * Return: 0, -EACCES for a protected buffer, or another error: then there is no access.
 */
int dmaheap_begin(struct dmaheap_access *a, int fd, unsigned int access);

/**
 * dmaheap_begin_part - begin to access a part of a mapping
 * @a: where the access is noted; see dmaheap_end()
 * @fd: the buffer
 * @access: DMAHEAP_READ, DMAHEAP_WRITE or both
 * @offset: first byte of the part
 * @len: bytes of the part, at least 1
 *
 * The cost is that of the part. A kernel that cannot do that does it for the whole
 * buffer; @a->len is 0 then.
 *
 * Return: 0, -EINVAL for a part that is not in the buffer, which a kernel without parts
 * does not notice, or another error: then there is no access.
 */
int dmaheap_begin_part(struct dmaheap_access *a, int fd, unsigned int access,
		       unsigned long long offset, unsigned long long len);

/**
 * dmaheap_end - end what dmaheap_begin() or dmaheap_begin_part() has begun
 * @a: the access
 *
 * Return: 0, -EBADF if there is no access, or another error.
 */
int dmaheap_end(struct dmaheap_access *a);

/**
 * dmaheap_send - send buffers over a UNIX socket
 * @sock: the socket; SOCK_SEQPACKET keeps a message and its buffers together
 * @fds: the buffers, which stay open here
 * @count: how many, at most 16; 0 is allowed
 * @data: what goes with them, such as the format of a picture
 * @len: bytes of it, at least 1
 *
 * Return: 0, -EMSGSIZE if not all of it was sent, or another error.
 */
int dmaheap_send(int sock, const int *fds, size_t count, const void *data, size_t len);

/**
 * dmaheap_receive - receive what dmaheap_send() has sent
 * @sock: the socket
 * @fds: where the descriptors go, closed on exec
 * @count: how many are expected at most, up to 16; set to how many there are
 * @data: where the data goes
 * @len: bytes there, at least 1
 *
 * A peer can send any descriptor: dmaheap_served() tells whether it is a buffer.
 *
 * Return: The bytes in @data, 0 if the peer has closed the socket, -EMSGSIZE if there were
 * more bytes or descriptors than expected or than the process may open, or another error.
 * No descriptor stays open if it fails.
 */
ssize_t dmaheap_receive(int sock, int *fds, size_t *count, void *data, size_t len);

#ifdef __cplusplus
}
#endif

#endif /* LIBDMAHEAP_H */

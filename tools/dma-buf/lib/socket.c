// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Buffers over a UNIX socket
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include "internal.h"

#define MAX_FDS	16

union fds_room {
	struct cmsghdr head;	/* for its alignment */
	char room[CMSG_SPACE(MAX_FDS * sizeof(int))];
};

int dmaheap_send(int sock, const int *fds, size_t count, const void *data, size_t len)
{
	struct iovec iov = { .iov_base = (void *)data, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	union fds_room room = { 0 };
	ssize_t sent;

	if (count > MAX_FDS || !len)
		return -EINVAL;
	if (count) {
		msg.msg_control = &room;
		msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
		room.head.cmsg_level = SOL_SOCKET;
		room.head.cmsg_type = SCM_RIGHTS;
		room.head.cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(&room.head), fds, count * sizeof(int));
	}
	do {
		sent = sendmsg(sock, &msg, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	return (size_t)sent == len ? 0 : -EMSGSIZE;
}

/* Take all descriptors of a message: those that are not kept must be closed */
static size_t take_fds(struct msghdr *msg, int *fds)
{
	struct cmsghdr *head;
	size_t n = 0, some;

	for (head = CMSG_FIRSTHDR(msg); head; head = CMSG_NXTHDR(msg, head)) {
		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
			continue;
		some = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(fds + n, CMSG_DATA(head), some * sizeof(int));
		n += some;
	}
	return n;
}

ssize_t dmaheap_receive(int sock, int *fds, size_t *count, void *data, size_t len)
{
	struct iovec iov = { .iov_base = data, .iov_len = len };
	union fds_room room;
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &room,
		.msg_controllen = sizeof(room),
	};
	size_t expected = *count, n;
	int taken[MAX_FDS];
	ssize_t got;

	*count = 0;
	if (expected > MAX_FDS || !len)
		return -EINVAL;
	do {
		got = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	n = take_fds(&msg, taken);
	if (n > expected || msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) {
		while (n)
			close(taken[--n]);
		return -EMSGSIZE;
	}
	memcpy(fds, taken, n * sizeof(int));
	*count = n;
	return got;
}

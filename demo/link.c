// SPDX-License-Identifier: GPL-2.0
/*
 * The socket between camera and viewer. SOCK_SEQPACKET keeps message borders,
 * so a fd cannot be taken for that of another message.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "link.h"

union fd_room {
	struct cmsghdr head;	/* for its alignment */
	char room[CMSG_SPACE(sizeof(int))];
};

int link_create(int sock[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) ? -errno : 0;
}

static void attach_fd(struct msghdr *hdr, union fd_room *room, int fd)
{
	struct cmsghdr *cmsg;

	memset(room, 0, sizeof(*room));
	hdr->msg_control = room;
	hdr->msg_controllen = sizeof(*room);
	cmsg = CMSG_FIRSTHDR(hdr);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
}

int link_send(int sock, const struct link_msg *msg, int fd)
{
	struct iovec iov = { .iov_base = (void *)msg, .iov_len = sizeof(*msg) };
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };
	union fd_room room;

	if (fd >= 0)
		attach_fd(&hdr, &room, fd);

	return sendmsg(sock, &hdr, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int take_fd(struct msghdr *hdr)
{
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(hdr);
	int fd;

	if (!cmsg || cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
		return -1;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(fd));

	return fd;
}

int link_recv(int sock, struct link_msg *msg, int *fd, int timeout_ms)
{
	struct iovec iov = { .iov_base = msg, .iov_len = sizeof(*msg) };
	union fd_room room;
	struct msghdr hdr = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &room,
		.msg_controllen = sizeof(room),
	};
	struct pollfd pfd = { .fd = sock, .events = POLLIN };
	ssize_t len;
	int ret;

	*fd = -1;
	ret = poll(&pfd, 1, timeout_ms);
	if (ret <= 0)
		return ret ? -errno : -ETIME;

	len = recvmsg(sock, &hdr, MSG_CMSG_CLOEXEC);
	if (len < 0)
		return errno == ECONNRESET ? 0 : -errno;
	if (!len)
		return 0;
	*fd = take_fd(&hdr);

	return len == sizeof(*msg) ? 1 : -EBADMSG;
}

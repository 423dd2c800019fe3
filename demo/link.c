// SPDX-License-Identifier: GPL-2.0
/*
 * The socket between camera and viewer. SOCK_SEQPACKET keeps message borders,
 * so a fd cannot be taken for that of another message.
 */
#include <errno.h>
#include <libdmaheap.h>
#include <poll.h>
#include <sys/socket.h>

#include "link.h"

int link_create(int sock[2])
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) ? -errno : 0;
}

int link_send(int sock, const struct link_msg *msg, int fd)
{
	return dmaheap_send(sock, &fd, fd >= 0, msg, sizeof(*msg));
}

int link_recv(int sock, struct link_msg *msg, int *fd, int timeout_ms)
{
	struct pollfd pfd = { .fd = sock, .events = POLLIN };
	size_t count = 1;
	ssize_t len;
	int ret;

	*fd = -1;
	ret = poll(&pfd, 1, timeout_ms);
	if (ret <= 0)
		return ret ? -errno : -ETIME;

	len = dmaheap_receive(sock, fd, &count, msg, sizeof(*msg));
	if (len <= 0)
		return len == -ECONNRESET ? 0 : len;

	return len == sizeof(*msg) ? 1 : -EBADMSG;
}

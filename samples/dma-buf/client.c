// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * How to use DMA-BUF heaps, with libdmaheap: one process draws a picture into a buffer and
 * sends it over a socket, another one looks at it.
 *
 *   cc client.c $(pkg-config --cflags --libs libdmaheap)
 */
#include <errno.h>
#include <libdmaheap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define WIDTH	1920
#define HEIGHT	1080
#define GREY	0x80

/* What goes with the buffer */
struct picture {
	unsigned int width, height, stride;
};

/* Ends the program if @result is an error */
static int check(const char *step, int result)
{
	if (result >= 0)
		return result;
	fprintf(stderr, "client: %s: %s\n", step, strerror(-result));
	exit(1);
}

static void draw(int sock)
{
	struct picture picture = { WIDTH, HEIGHT, WIDTH * 4 };
	struct dmaheap_need need = { .with = DMAHEAP_CACHED };
	const struct dmaheap *heap;
	struct dmaheap_access access;
	struct dmaheap_list *heaps;
	size_t size;
	void *map;
	int fd;

	check("list the heaps", dmaheap_list_new(&heaps, NULL));
	fd = check("allocate", dmaheap_alloc_need(heaps, &need, WIDTH * HEIGHT * 4, "picture",
						  &heap));
	printf("client: heap %s, which the kernel says is cached: %s\n", heap->name,
	       heap->told & DMAHEAP_CACHED ? "yes" : "no, its name does");
	check("map", dmaheap_map(fd, DMAHEAP_WRITE, &map, &size));
	check("begin to write", dmaheap_begin(&access, fd, DMAHEAP_WRITE));
	memset(map, GREY, size);
	check("end to write", dmaheap_end(&access));
	check("send", dmaheap_send(sock, &fd, 1, &picture, sizeof(picture)));
	munmap(map, size);
	close(fd);
	dmaheap_list_free(heaps);
}

static void look(int sock)
{
	struct dmaheap_access access;
	struct picture picture;
	size_t size, count = 1;
	unsigned char *line;
	char heap[64];
	int error, fd;
	size_t got;
	void *map;

	got = check("receive", dmaheap_receive(sock, &fd, &count, &picture, sizeof(picture)));
	if (got != sizeof(picture) || !count)
		check("receive", -EPROTO);
	/* Any file could have come. This one is a buffer, and cannot be truncated. */
	check("ask for the heap", dmaheap_served(fd, heap, sizeof(heap)));
	/* The memory counts as this process's own from now on, if the kernel can do that */
	error = dmaheap_charge(fd);
	if (error != -ENOTTY)
		check("charge", error);
	check("map", dmaheap_map(fd, DMAHEAP_READ, &map, &size));
	if (picture.stride > size)
		check("look", -EPROTO);
	check("begin to read", dmaheap_begin_part(&access, fd, DMAHEAP_READ, 0, picture.stride));
	line = map;
	printf("client: %u x %u from %s, the first pixel is %#x, charged to the receiver: %s\n",
	       picture.width, picture.height, heap, line[0], error ? "no" : "yes");
	check("end to read", dmaheap_end(&access));
	munmap(map, size);
	close(fd);
}

int main(void)
{
	int sock[2], status;
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock))
		check("make a socket", -errno);
	child = fork();
	if (!child) {
		close(sock[0]);
		look(sock[1]);
		return 0;
	}
	check("fork", child < 0 ? -errno : 0);
	close(sock[1]);
	draw(sock[0]);
	fflush(stdout);
	if (waitpid(child, &status, 0) < 0)
		check("wait", -errno);
	return !WIFEXITED(status) || WEXITSTATUS(status);
}

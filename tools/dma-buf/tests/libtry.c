// SPDX-License-Identifier: GPL-2.0
/*
 * Calls libdmaheap for its tests: libtry ROOT COMMAND [ARGUMENT]... Prints what the
 * library says, an error by its name. Linked with fake.c.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libdmaheap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* In the order of their bits */
static const char letters[] = "CKPRAD";

static const char *root;

static const char *result(int ret)
{
	return ret < 0 ? strerrorname_np(-ret) : "ok";
}

static void must(int ret)
{
	if (ret >= 0)
		return;
	printf("%s\n", result(ret));
	exit(0);
}

static struct dmaheap_list *heaps(void)
{
	struct dmaheap_list *list;

	must(dmaheap_list_new(&list, root));
	return list;
}

/* "CK" for cached and contiguous; "-" for none */
static unsigned int parse_flags(const char *text)
{
	unsigned int flags = 0;

	for (; *text; text++)
		if (*text != '-')
			flags |= 1u << (strchr(letters, *text) - letters);
	return flags;
}

static void print_flags(unsigned int flags)
{
	putchar(' ');
	for (size_t i = 0; letters[i]; i++)
		putchar(flags & 1u << i ? letters[i] : '-');
}

static void list(char **arg)
{
	struct dmaheap_list *list = heaps();
	const struct dmaheap *heap;

	(void)arg;
	for (size_t i = 0; (heap = dmaheap_list_get(list, i)); i++) {
		printf("%s", heap->name);
		print_flags(heap->flags);
		print_flags(heap->told);
		print_flags(heap->guessed);
		printf(" %u %llu %llu [%s] [%s]\n", heap->dma_bits, heap->alignment,
		       heap->buffer_limit, heap->alias_of, heap->fallback);
		if (dmaheap_find(list, heap->name) != heap)
			printf("%s is not found\n", heap->name);
	}
	dmaheap_list_free(list);
}

/* WITH WITHOUT DMA_BITS ALIGNMENT SIZE MAX: names of heaps */
static void choose(char **arg)
{
	struct dmaheap_need need = {
		.with = parse_flags(arg[0]),
		.without = parse_flags(arg[1]),
		.dma_bits = strtoul(arg[2], NULL, 0),
		.alignment = strtoull(arg[3], NULL, 0),
	};
	size_t max = strtoul(arg[5], NULL, 0);
	const struct dmaheap **best = calloc(max, sizeof(*best));
	struct dmaheap_list *list = heaps();
	int n = dmaheap_choose(list, &need, strtoull(arg[4], NULL, 0), best, max);

	printf("%s", result(n));
	for (int i = 0; i < n; i++)
		printf(" %s", best[i]->name);
	printf("\n");
	free(best);
	dmaheap_list_free(list);
}

static void print_buffer(const char *heap, int fd)
{
	unsigned char *map;
	size_t size;
	int error;

	must(fd);
	error = dmaheap_map(fd, DMAHEAP_READ | DMAHEAP_WRITE, (void **)&map, &size);
	must(error);
	map[size - 1] = 1;
	munmap(map, size);
	printf("%s %zu\n", heap, size);
	close(fd);
}

/* WITH WITHOUT SIZE [NAME] */
static void alloc(char **arg)
{
	struct dmaheap_need need = {
		.with = parse_flags(arg[0]),
		.without = parse_flags(arg[1]),
	};
	struct dmaheap_list *list = heaps();
	const struct dmaheap *from = NULL;
	int fd = dmaheap_alloc_need(list, &need, strtoull(arg[2], NULL, 0), arg[3], &from);

	print_buffer(from ? from->name : "none", fd);
	dmaheap_list_free(list);
}

/* HEAP SIZE [NAME] */
static void alloc_from(char **arg)
{
	struct dmaheap_list *list = heaps();
	const struct dmaheap *heap = dmaheap_find(list, arg[0]);

	must(heap ? dmaheap_open(heap) : -ENOENT);
	print_buffer(heap->name, dmaheap_alloc(heap, strtoull(arg[1], NULL, 0), arg[2]));
	dmaheap_list_free(list);
}

/* NAME MILLISECONDS */
static void wait_for(char **arg)
{
	printf("%s\n", result(dmaheap_wait(root, arg[0], strtol(arg[1], NULL, 10))));
}

/* An access for writing to the whole, or to a part: OFFSET LENGTH */
static void write_access(char **arg)
{
	int fd = memfd_create("buffer", MFD_CLOEXEC), ret;
	struct dmaheap_access a;

	if (arg[0])
		ret = dmaheap_begin_part(&a, fd, DMAHEAP_WRITE, strtoull(arg[0], NULL, 0),
					 strtoull(arg[1], NULL, 0));
	else
		ret = dmaheap_begin(&a, fd, DMAHEAP_WRITE);
	printf("begin %s of %llu\n", result(ret), a.len);
	printf("end %s\n", result(dmaheap_end(&a)));
	printf("again %s\n", result(dmaheap_end(&a)));
}

static void charge(char **arg)
{
	(void)arg;
	printf("%s\n", result(dmaheap_charge(memfd_create("buffer", MFD_CLOEXEC))));
}

/* ROOM: which heap the buffer is from, and its name of one byte more than fits */
static void served(char **arg)
{
	int fd = memfd_create("buffer", MFD_CLOEXEC);
	char name[64] = "nothing";
	int ret = dmaheap_served(fd, name, strtoul(arg[0], NULL, 0));

	printf("%s %s\n", result(ret), ret ? "-" : name);
	printf("%s\n", result(dmaheap_set_name(fd, "12345678901234567890123456789012")));
	printf("%s\n", result(dmaheap_set_name(fd, "1234567890123456789012345678901")));
}

static int count_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static ino_t inode_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : st.st_ino;
}

/* Receive with room for @room descriptors, and say what has come of @sent ones */
static void receive(int sock, const int *sent, size_t room, size_t len)
{
	int before = count_open(), fds[17];
	char data[16] = "";
	ssize_t got;

	got = dmaheap_receive(sock, fds, &room, data, len);
	printf("%s %zd bytes '%s', %zu buffers", result(got), got < 0 ? 0 : got, data, room);
	for (size_t i = 0; i < room; i++)
		if (inode_of(fds[i]) != inode_of(sent[i]) || fcntl(fds[i], F_GETFD) != FD_CLOEXEC)
			printf(", %zu is not what it should be", i);
	printf(", %d more are open\n", count_open() - before);
	while (room)
		close(fds[--room]);
}

/* Messages of a socket of some TYPE, with as many descriptors as can be, and too many */
static void share(char **arg)
{
	int type = strcmp(arg[0], "stream") ? SOCK_SEQPACKET : SOCK_STREAM;
	int sock[2], fds[17];

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, sock))
		exit(1);
	for (size_t i = 0; i < 17; i++)
		fds[i] = memfd_create("buffer", MFD_CLOEXEC);
	printf("send %s", result(dmaheap_send(sock[0], fds, 1, "one", 3)));
	printf(" %s\n", result(dmaheap_send(sock[0], fds, 17, "more", 4)));
	receive(sock[1], fds, 4, 3);
	printf("send %s\n", result(dmaheap_send(sock[0], fds, 16, "all", 3)));
	receive(sock[1], fds, 16, 3);
	printf("send %s\n", result(dmaheap_send(sock[0], NULL, 0, "none", 4)));
	receive(sock[1], fds, 4, 4);
	printf("send %s\n", result(dmaheap_send(sock[0], fds, 3, "many", 4)));
	receive(sock[1], fds, 2, 4);
	printf("send %s\n", result(dmaheap_send(sock[0], fds, 1, "long", 4)));
	receive(sock[1], fds, 1, 2);
	printf("send %s\n", result(dmaheap_send(sock[0], fds, 1, "", 0)));
	receive(sock[1], fds, 17, 4);
	receive(sock[1], fds, 1, 0);
	close(sock[0]);
	if (type == SOCK_STREAM)
		receive(sock[1], fds, 1, 2);
	receive(sock[1], fds, 1, 4);
	printf("send %s\n", result(dmaheap_send(sock[1], fds, 1, "gone", 4)));
}

/* The process may open none, or one of two descriptors that come */
static void share_at_limit(char **arg)
{
	int sock[2], fd = memfd_create("buffer", MFD_CLOEXEC);
	int fds[] = { fd, fd };
	struct rlimit limit;

	(void)arg;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock))
		exit(1);
	dmaheap_send(sock[0], fds, 2, "two", 3);
	/* One is that of the directory, by which they are counted */
	limit.rlim_cur = dup(fd) + 1;
	limit.rlim_max = limit.rlim_cur;
	close(limit.rlim_cur - 1);
	if (setrlimit(RLIMIT_NOFILE, &limit))
		exit(1);
	receive(sock[1], fds, 2, 3);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(char **arg);
		int args;
	} commands[] = {
		{ "list", list, 0 }, { "choose", choose, 6 }, { "alloc", alloc, 3 },
		{ "alloc-from", alloc_from, 2 }, { "wait", wait_for, 2 },
		{ "access", write_access, 0 }, { "charge", charge, 0 }, { "served", served, 1 },
		{ "share", share, 1 }, { "share-at-limit", share_at_limit, 0 },
	};

	for (size_t i = 0; argc > 2 && i < ARRAY_SIZE(commands); i++) {
		if (strcmp(argv[2], commands[i].name) || argc - 3 < commands[i].args)
			continue;
		root = argv[1];
		commands[i].run(argv + 3);
		return 0;
	}
	return 2;
}

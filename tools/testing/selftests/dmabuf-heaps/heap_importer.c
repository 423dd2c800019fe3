// SPDX-License-Identifier: GPL-2.0
/* The test importer, see heap_importer.h */

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "heap_buf.h"
#include "heap_importer.h"

int importer_open(void)
{
	int fd = open("/sys/kernel/debug/dma_heap_test_importer",
		      O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int importer_tell(int importer, const char *question)
{
	ssize_t len = strlen(question);

	return write(importer, question, len) == len ? 0 : -errno;
}

/* One question, and an answer that is not long */
int importer_ask(int importer, const char *verb, unsigned long subject,
		 unsigned long detail, char *answer, size_t size)
{
	char question[64];
	ssize_t len;
	int ret;

	snprintf(question, sizeof(question), "%s %lu %lu", verb, subject,
		 detail);
	ret = importer_tell(importer, question);
	if (ret)
		return ret;
	len = pread(importer, answer, size - 1, 0);
	if (len < 0)
		return -errno;
	answer[len] = '\0';

	return 0;
}

/* A command without an answer, or whose answer does not matter */
int importer_do(int importer, const char *format, ...)
{
	char command[128];
	va_list args;

	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);

	return importer_tell(importer, command);
}

#define PAGES_AT_A_TIME	512
#define LINE_SIZE	64

/* The next line of an answer, "PFN WRITECOMBINED BLOCK WRITABLE" */
static bool parse_user_page(char **line, struct user_page *page)
{
	char *at = *line;

	page->pfn = strtoul(at, &at, 10);
	page->writecombined = strtol(at, &at, 10);
	page->block = strtol(at, &at, 10);
	page->writable = strtol(at, &at, 10);
	if (*at != '\n')
		return false;
	*line = at + 1;

	return true;
}

/* How each page of a mapping is mapped; -EINVAL if one is not there */
int importer_user_pages(int importer, const char *p, size_t count,
			struct user_page *pages)
{
	static char answer[PAGES_AT_A_TIME * LINE_SIZE];
	size_t i, some;
	char *line;
	int ret;

	for (; count; count -= some, p += some * page_size()) {
		some = count < PAGES_AT_A_TIME ? count : PAGES_AT_A_TIME;
		ret = importer_ask(importer, "user", (unsigned long)p, some,
				   answer, sizeof(answer));
		if (ret)
			return ret;
		line = answer;
		for (i = 0; i < some; i++)
			if (!parse_user_page(&line, pages++))
				return -EIO;
	}

	return 0;
}

int importer_user_page(int importer, const void *p, struct user_page *page)
{
	return importer_user_pages(importer, p, 1, page);
}

/* Since the last "count" */
int importer_counted(int importer, struct sync_count *clean,
		     struct sync_count *drop)
{
	char answer[256];
	int ret;

	ret = importer_ask(importer, "counted", 0, 0, answer, sizeof(answer));
	if (ret)
		return ret;
	ret = sscanf(answer, "clean %u %zu %zu %zu drop %u %zu %zu %zu",
		     &clean->calls, &clean->bytes, &clean->first, &clean->end,
		     &drop->calls, &drop->bytes, &drop->first, &drop->end);

	return ret == 8 ? 0 : -EIO;
}

/* Not all machines can have all devices */
bool importer_has(int importer, int fd, int device)
{
	int ret = importer_do(importer, "import %d %d", fd, device);

	if (!ret)
		importer_do(importer, "drop");

	return ret != -ENODEV;
}

static int attach_and_map(int importer, const char *verb, int fd, int device,
			  int dir)
{
	int ret;

	ret = importer_do(importer, "%s %d %d", verb, fd, device);
	if (ret)
		return ret;
	ret = importer_do(importer, "map %d", dir);
	if (ret)
		importer_do(importer, "drop");

	return ret;
}

/* Maps the buffer for a device, until importer_unmap() */
int importer_map(int importer, int fd, int device, int dir)
{
	return attach_and_map(importer, "import", fd, device, dir);
}

/* The same, for a buffer without struct pages */
int importer_map_peer(int importer, int fd, int device, int dir)
{
	return attach_and_map(importer, "peer", fd, device, dir);
}

int importer_unmap(int importer)
{
	return importer_do(importer, "drop");
}

/* Does the device work on a copy? To be asked right after importer_map() */
int importer_bounces(int importer)
{
	char answer[128];
	ssize_t len;
	int bounces;

	len = pread(importer, answer, sizeof(answer) - 1, 0);
	if (len < 0)
		return -errno;
	answer[len] = '\0';

	return sscanf(answer, "bounces %d", &bounces) == 1 ? bounces : -EIO;
}

/* As pattern_check(), with the eyes of the device that has mapped the buffer */
long long importer_reads(int importer, size_t offset, size_t len, __u32 seed)
{
	long long wrong;
	char answer[64];
	ssize_t got;
	int ret;

	ret = importer_do(importer, "dread %zu %zu %u", offset, len, seed);
	if (ret)
		return ret;
	got = pread(importer, answer, sizeof(answer) - 1, 0);
	if (got < 0)
		return -errno;
	answer[got] = '\0';

	return sscanf(answer, "offset %lld", &wrong) == 1 ? wrong : -EIO;
}

static void add_line(struct buf_chunks *chunks, const char *line)
{
	struct buf_chunk *chunk = &chunks->chunk[chunks->count];
	unsigned long long address;
	unsigned int len;

	if (sscanf(line, "page %lu %d %lu", &chunk->pfn, &chunk->node,
		   &chunk->pages) == 3)
		chunks->count++;
	if (sscanf(line, "dma %llu %u", &address, &len) != 2)
		return;
	if (len > chunks->longest)
		chunks->longest = len;
	if (!chunks->segments++ || address < chunks->dma_start)
		chunks->dma_start = address;
	if (address + len > chunks->dma_end)
		chunks->dma_end = address + len;
}

/* The chunks of a buffer, seen by a device whose DMA mask has @mask_bits */
int buf_get_chunks(int importer, int fd, unsigned int mask_bits,
		   struct buf_chunks *chunks)
{
	long long size = buf_size(fd);
	char question[64], line[128];
	FILE *file;
	int ret;

	if (size < 0)
		return size;
	snprintf(question, sizeof(question), "chunks %d %u", fd, mask_bits);
	ret = importer_tell(importer, question);
	if (ret)
		return ret;

	*chunks = (struct buf_chunks) {
		.chunk = calloc(size / page_size(), sizeof(*chunks->chunk)),
	};
	/* A position of its own, and closed without closing the importer */
	file = fdopen(dup(importer), "re");
	if (!chunks->chunk || !file)
		return -ENOMEM;
	rewind(file);
	while (fgets(line, sizeof(line), file))
		add_line(chunks, line);
	fclose(file);

	return 0;
}

void buf_put_chunks(struct buf_chunks *chunks)
{
	free(chunks->chunk);
}

/* Where in memory the buffer is, or 0 if it is in more than one place */
unsigned long long buf_address(int importer, int fd)
{
	unsigned long long address = 0;
	struct buf_chunks chunks;

	if (buf_get_chunks(importer, fd, 64, &chunks))
		return 0;
	if (chunks.count == 1 && chunks.segments == 1)
		address = (unsigned long long)chunks.chunk[0].pfn * page_size();
	buf_put_chunks(&chunks);

	return address;
}

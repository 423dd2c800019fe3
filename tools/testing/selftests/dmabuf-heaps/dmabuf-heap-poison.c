// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that the machine reports as broken: no buffer gets one again, whether it broke
 * in a buffer or in the pool.
 *
 * Needs CONFIG_HWPOISON_INJECT. NEED in the environment names what must not be lacking:
 * poison, pool, importer.
 */

#include "heap_pool_fixture.h"

#define HWPOISON	"/sys/kernel/debug/hwpoison/"
#define LEN		(MIB(1) + KIB(68))
#define ROUNDS		8

static int write_pfn(const char *file, unsigned long pfn)
{
	char path[64], text[32];

	snprintf(path, sizeof(path), HWPOISON "%s", file);
	snprintf(text, sizeof(text), "%lu", pfn);

	return file_write(path, text);
}

/* Of memory that is in use it says that it could do nothing: the mark is there */
static bool poison(unsigned long pfn)
{
	long long before = meminfo_kib("HardwareCorrupted:");

	write_pfn("corrupt-pfn", pfn);

	return meminfo_kib("HardwareCorrupted:") == before + KIB(4) / 1024;
}

/* A page in the middle of the first chunk */
static unsigned long inner_pfn(int importer, int fd)
{
	struct buf_chunks chunks;
	unsigned long pfn;

	if (buf_get_chunks(importer, fd, IMPORTER_COHERENT, &chunks))
		return 0;
	pfn = chunks.chunk[0].pfn + chunks.chunk[0].pages / 2;
	buf_put_chunks(&chunks);

	return pfn;
}

static bool has_pfn(int importer, int fd, unsigned long pfn)
{
	struct buf_chunks chunks;
	bool has = false;
	int i;

	if (buf_get_chunks(importer, fd, IMPORTER_COHERENT, &chunks))
		return true;
	for (i = 0; i < chunks.count; i++)
		has |= pfn - chunks.chunk[i].pfn < chunks.chunk[i].pages;
	buf_put_chunks(&chunks);

	return has;
}

/* How many of some buffers there are at a time have the page */
static int buffers_with(struct _test_data_pool *self, unsigned long pfn)
{
	int fds[ROUNDS], count, with = 0;

	for (count = 0; count < ROUNDS; count++) {
		fds[count] = heap_alloc(self->fd, LEN);
		if (fds[count] < 0)
			break;
		with += has_pfn(self->importer, fds[count], pfn);
	}
	if (!count)
		return -1;
	while (count--)
		close(fds[count]);

	return with;
}

POOL_TEST(page_that_breaks_in_the_pool_is_in_no_buffer)
{
	unsigned long pfn;
	int fd;

	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	fd = heap_alloc(self->fd, LEN);
	ASSERT_LE(0, fd);
	pfn = inner_pfn(self->importer, fd);
	ASSERT_EQ(0, buf_use(fd));
	EXPECT_EQ(0, close(fd));
	EXPECT_TRUE(WAIT_FOR(pool_is_clean(variant->name, pages_of(LEN))));
	ASSERT_TRUE(poison(pfn));
	EXPECT_EQ(0, buffers_with(self, pfn));
}

POOL_TEST(page_that_breaks_in_a_buffer_is_in_no_other)
{
	unsigned long pfn;
	int fd;

	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	fd = heap_alloc(self->fd, LEN);
	ASSERT_LE(0, fd);
	pfn = inner_pfn(self->importer, fd);
	ASSERT_EQ(0, buf_use(fd));
	ASSERT_TRUE(poison(pfn));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, buffers_with(self, pfn));
}

/* Without a pool it is the source that has to see it */
POOL_TEST(page_that_breaks_is_not_given_back)
{
	unsigned long pfn;
	int fd;

	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	ASSERT_EQ(0, pool_set(variant->name, "max_bytes", 0));
	fd = heap_alloc(self->fd, LEN);
	ASSERT_LE(0, fd);
	pfn = inner_pfn(self->importer, fd);
	ASSERT_TRUE(poison(pfn));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, buffers_with(self, pfn));
}

int main(int argc, char **argv)
{
	if (access(HWPOISON "corrupt-pfn", W_OK))
		skip_all("poison", "cannot poison pages");
	heap_tests_init();
	heap_register(&_pool_fixture_object);

	return test_harness_run(argc, argv);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * Heaps on protected carveouts: that the CPU gets at them in no way but devices
 * do, that a range is protected as long as anybody could use it and clean before
 * anybody does, and what happens when the secure world fails.
 *
 * The secure world is heap_test_protector, which tells in debugfs what it was
 * asked to do. NEED in the environment names what must not be lacking: protector,
 * importer, counts, bounces, mover, fresh. The last tests lose some memory of a region
 * called "torn" for good.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "../kselftest_harness.h"
#include "heap_left.h"
#include "heap_regions.h"

#define PROTECTOR	"/sys/kernel/debug/dma_heap_test_protector/"
#define TIMEOUT		400
#define MAX_BUFS	512
#define TORN		"torn"

static struct carveout regions[MAX_CARVEOUTS];
static int region_count;

static long long protector_get(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), PROTECTOR "%s", name);

	return file_number(path);
}

static int protector_set(const char *name, int value)
{
	char path[128], text[16];

	snprintf(path, sizeof(path), PROTECTOR "%s", name);
	snprintf(text, sizeof(text), "%d", value);

	return file_write(path, text);
}

/* What a device of the secure world does to a range: "fill" or "check" */
static int secure_device(const char *what, unsigned long long base, size_t len)
{
	char path[128], text[64];

	snprintf(path, sizeof(path), PROTECTOR "%s", what);
	snprintf(text, sizeof(text), "0x%llx 0x%zx", base, len);

	return file_write(path, text);
}

/* Whether all of the range is protected, or with !@all, whether any of it is */
static bool is_protected(unsigned long long base, size_t len, bool all)
{
	unsigned long long from, size;
	bool any = false;
	char line[128];
	FILE *file;

	file = fopen(PROTECTOR "ranges", "re");
	if (!file)
		return false;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "0x%llx 0x%llx", &from, &size) != 2)
			continue;
		if (all ? from <= base && base + len <= from + size :
			  from < base + len && base < from + size)
			any = true;
	}
	fclose(file);

	return any;
}

FIXTURE(protected)
{
	int fd;
	int importer;
	struct heap_left left;
	long long decay_ms;
	long long lost;
	const struct carveout *region;
};

FIXTURE_VARIANT(protected)
{
	struct carveout region;
};

FIXTURE_SETUP(protected)
{
	const struct carveout *region = &variant->region;

	self->region = region;
	self->importer = importer_open();
	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	if (access(PROTECTOR "ranges", R_OK))
		SKIP_UNLESS_NEEDED(return, "protector", "no test protector");
	/* Once the provider is there it may take the kernel a moment */
	ASSERT_TRUE(WAIT_FOR((self->fd = heap_open(region->heap, O_RDWR |
						   O_CLOEXEC)) >= 0))
		TH_LOG("no heap %s", region->heap);
	ASSERT_EQ(0, protector_set("fail_protect", 0));
	ASSERT_EQ(0, protector_set("fail_scrub", 0));
	ASSERT_EQ(0, protector_set("fail_unprotect", 0));
	self->decay_ms = pool_get(region->heap, "decay_ms");
	ASSERT_EQ(0, carveout_settle(region));
	ASSERT_EQ(0, pool_set(region->heap, "decay_ms", 600000));
	self->lost = carveout_lost(region->heap);
	if (self->lost)
		SKIP_UNLESS_NEEDED(return, "fresh",
				   "lost memory when this was run before");
	self->left = heap_left(region->heap);
}

FIXTURE_TEARDOWN(protected)
{
	const struct carveout *region = &variant->region;

	EXPECT_NOTHING_LEFT(self->left, region->heap);
	EXPECT_EQ(0, carveout_settle(region))
		TH_LOG("free %lld of %llu bytes, %s",
		       carveout_get(region->heap, "free_bytes"),
		       region->size, pool_text(region->heap));
	EXPECT_EQ(0, pool_set(region->heap, "decay_ms", self->decay_ms));
	close(self->importer);
	close(self->fd);
}

#define PROTECTED_TEST(name)	TEST_F_TIMEOUT(protected, name, TIMEOUT)

/* First of all: nobody has scrubbed it for another buffer yet */
PROTECTED_TEST(what_was_there_at_boot_is_gone)
{
	size_t len = self->region->size;
	unsigned long long at;
	int fd;

	fd = heap_alloc(self->fd, len);
	ASSERT_LE(0, fd);
	at = buf_address(self->importer, fd);
	EXPECT_EQ(self->region->base, at);
	EXPECT_EQ(0, secure_device("check", at, len));
	EXPECT_EQ(0, close(fd));
}

PROTECTED_TEST(cpu_is_kept_out)
{
	const __u64 start = DMA_BUF_SYNC_START, end = DMA_BUF_SYNC_END;
	char answer[64];
	__u64 dir;
	int fd;

	fd = heap_alloc(self->fd, MIB(1));
	ASSERT_LE(0, fd);
	EXPECT_EQ(MIB(1), buf_size(fd));
	EXPECT_EQ(MAP_FAILED, buf_map(fd, MIB(1), READ_WRITE));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(MAP_FAILED, buf_map(fd, KIB(4), PROT_READ));
	EXPECT_EQ(EACCES, errno);
	for (dir = DMA_BUF_SYNC_READ; dir <= DMA_BUF_SYNC_RW; dir++) {
		EXPECT_EQ(-EACCES, buf_sync(fd, start | dir));
		EXPECT_EQ(-EACCES, buf_sync(fd, end | dir));
		EXPECT_EQ(-EACCES, buf_sync_partial(fd, start | dir, 0, KIB(4)));
		EXPECT_EQ(-EACCES, buf_sync_partial(fd, end | dir, 0, KIB(4)));
	}
	EXPECT_EQ(-EACCES, importer_ask(self->importer, "vmap", fd, 0, answer,
					sizeof(answer)));
	/* The kernel does not get at it either if it does not ask before */
	EXPECT_EQ(0, importer_do(self->importer, "import %d %d", fd, IMPORTER_64));
	EXPECT_EQ(-EINVAL, importer_do(self->importer, "hold"));
	EXPECT_EQ(0, importer_do(self->importer, "drop"));
	EXPECT_EQ(-EACCES, importer_do(self->importer, "kalloc %s 4096",
				       self->region->heap));
	EXPECT_EQ(0, close(fd));
}

/* Maps the buffer for each device in each direction */
static void map_for_all(struct __test_metadata *_metadata, int importer, int fd)
{
	static const int devices[] = {
		IMPORTER_64, IMPORTER_32, IMPORTER_COHERENT,
	};
	int i, dir;

	for (i = 0; i < ARRAY_SIZE(devices); i++) {
		for (dir = DEVICE_READS_AND_WRITES; dir <= DEVICE_WRITES; dir++) {
			EXPECT_EQ(0, importer_map(importer, fd, devices[i], dir));
			EXPECT_EQ(0, importer_unmap(importer));
		}
	}
}

PROTECTED_TEST(devices_map_it)
{
	int fd;

	fd = heap_alloc(self->fd, MIB(1));
	ASSERT_LE(0, fd);
	map_for_all(_metadata, self->importer, fd);
	EXPECT_EQ(0, close(fd));
}

/* Maintenance of caches would be an access, too */
/* Its own page of the kernel's, and a system buffer, show that it was these bytes */
PROTECTED_TEST(device_that_moves_bytes_reads_what_it_wrote)
{
	static const size_t places[] = { 0, MIB(1) - 2048 };
	int heap_fd, fd, copy, i;
	char *p;

	fd = heap_alloc(self->fd, MIB(1));
	ASSERT_LE(0, fd);
	if (!importer_has(self->importer, fd, IMPORTER_MOVER)) {
		close(fd);
		SKIP_UNLESS_NEEDED(return, "mover", "no device that moves bytes");
	}
	ASSERT_EQ(0, importer_map(self->importer, fd, IMPORTER_MOVER,
				  DEVICE_READS_AND_WRITES));
	for (i = 0; i < ARRAY_SIZE(places); i++)
		ASSERT_EQ(0, importer_do(self->importer, "dwrite %zu 2048 %d",
					 places[i], i));
	for (i = 0; i < ARRAY_SIZE(places); i++)
		EXPECT_EQ(-1, importer_reads(self->importer, places[i], 2048, i));

	/* The device still has the bytes that it has read last */
	heap_fd = heap_open("system", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, heap_fd);
	copy = heap_alloc(heap_fd, KIB(4));
	ASSERT_LE(0, copy);
	EXPECT_EQ(0, importer_unmap(self->importer));
	ASSERT_EQ(0, importer_map(self->importer, copy, IMPORTER_MOVER,
				  DEVICE_WRITES));
	EXPECT_EQ(0, importer_do(self->importer, "dcopy 0 2048"));
	EXPECT_EQ(0, importer_unmap(self->importer));
	p = buf_map(copy, KIB(4), PROT_READ);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(-1, pattern_check(p, places[1], 2048, 1));
	EXPECT_EQ(0, munmap(p, KIB(4)));
	close(copy);
	close(heap_fd);
	EXPECT_EQ(0, close(fd));
}

PROTECTED_TEST(no_caches_are_maintained)
{
	struct sync_count clean, drop;
	int fd;

	fd = heap_alloc(self->fd, MIB(1));
	ASSERT_LE(0, fd);
	if (importer_do(self->importer, "watch %d", fd))
		SKIP_UNLESS_NEEDED(return, "counts",
				   "nothing counts maintenance of caches");
	map_for_all(_metadata, self->importer, fd);
	ASSERT_EQ(0, importer_counted(self->importer, &clean, &drop));
	EXPECT_EQ(0, clean.calls);
	EXPECT_EQ(0, drop.calls);
	EXPECT_EQ(0, close(fd));
}

/* To make a copy somebody has to read it */
PROTECTED_TEST(device_with_copies_is_refused)
{
	int fd;

	fd = heap_alloc(self->fd, MIB(1));
	ASSERT_LE(0, fd);
	if (!importer_has(self->importer, fd, IMPORTER_BOUNCES))
		SKIP_UNLESS_NEEDED(return, "bounces",
				   "no device that gets copies");
	EXPECT_EQ(-EIO, importer_map(self->importer, fd, IMPORTER_BOUNCES,
				     DEVICE_READS));
	EXPECT_EQ(0, close(fd));
}

PROTECTED_TEST(buffers_are_in_one_aligned_piece)
{
	static const size_t lens[] = {
		KIB(4), KIB(68), MIB(1), 1920 * 1080 * 3 / 2,
	};
	const struct carveout *region = self->region;
	unsigned long long at;
	int i, odd, fd;

	odd = heap_alloc(self->fd, KIB(4));
	ASSERT_LE(0, odd);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		fd = heap_alloc(self->fd, lens[i]);
		ASSERT_LE(0, fd);
		at = buf_address(self->importer, fd);
		EXPECT_LE(region->base, at);
		EXPECT_GE(region->base + region->size, at + page_align(lens[i]));
		EXPECT_EQ(0, at % carveout_alignment(region, lens[i]));
		EXPECT_EQ(0, close(fd));
	}
	EXPECT_EQ(0, close(odd));
}

/* In the pool, too; and no longer than it is there */
PROTECTED_TEST(range_is_protected_while_in_use)
{
	long long protects = protector_get("protects");
	long long unprotects = protector_get("unprotects");
	long long scrubs = protector_get("scrubs");
	unsigned long long at;
	int fd;

	EXPECT_FALSE(is_protected(self->region->base, self->region->size, false));
	fd = heap_alloc(self->fd, MIB(1));
	ASSERT_LE(0, fd);
	at = buf_address(self->importer, fd);
	ASSERT_NE(0, at);
	EXPECT_TRUE(is_protected(at, MIB(1), true));
	EXPECT_EQ(protects + 1, protector_get("protects"));
	EXPECT_EQ(0, secure_device("fill", at, MIB(1)));
	EXPECT_EQ(-EIO, secure_device("check", at, MIB(1)));
	EXPECT_EQ(0, close(fd));

	EXPECT_TRUE(WAIT_FOR(pool_is_clean(self->region->heap,
					   MIB(1) / page_size())));
	EXPECT_TRUE(is_protected(at, MIB(1), true));
	EXPECT_EQ(scrubs + 1, protector_get("scrubs"));
	EXPECT_EQ(unprotects, protector_get("unprotects"));

	/* Back from the pool: nothing to be protected again */
	fd = heap_alloc(self->fd, MIB(1));
	ASSERT_LE(0, fd);
	EXPECT_EQ(at, buf_address(self->importer, fd));
	EXPECT_EQ(protects + 1, protector_get("protects"));
	EXPECT_EQ(0, secure_device("check", at, MIB(1)));
	EXPECT_EQ(0, close(fd));

	EXPECT_EQ(0, carveout_settle(self->region));
	EXPECT_FALSE(is_protected(at, MIB(1), false));
	EXPECT_EQ(unprotects + 1, protector_get("unprotects"));
	EXPECT_EQ(-EPERM, secure_device("fill", at, MIB(1)));
}

PROTECTED_TEST(buffers_are_scrubbed)
{
	static const size_t lens[] = { KIB(4), KIB(68), MIB(1), MIB(4) };
	unsigned long long at;
	int i, fd;

	for (i = 0; i < ARRAY_SIZE(lens) * 3; i++) {
		size_t len = lens[i / 3];

		fd = heap_alloc(self->fd, len);
		ASSERT_LE(0, fd);
		at = buf_address(self->importer, fd);
		EXPECT_EQ(0, secure_device("check", at, len));
		EXPECT_EQ(0, secure_device("fill", at, len));
		EXPECT_EQ(0, close(fd));
		if (i % 3 != 2)
			continue;
		EXPECT_EQ(0, carveout_settle(self->region));
	}
	/* Whatever is still dirty */
	fd = heap_alloc(self->fd, self->region->size);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, secure_device("check", self->region->base,
				   self->region->size));
	EXPECT_EQ(0, close(fd));
}

PROTECTED_TEST(all_of_the_region_is_allocated_and_comes_back)
{
	const struct carveout *region = self->region;
	int fds[MAX_BUFS], round, count;

	for (round = 0; round < 3; round++) {
		for (count = 0; count < MAX_BUFS; count++) {
			fds[count] = heap_alloc(self->fd, KIB(512));
			if (fds[count] < 0)
				break;
		}
		EXPECT_EQ(-ENOMEM, fds[count]);
		EXPECT_EQ(region->size / KIB(512), count);
		EXPECT_EQ(0, carveout_get(region->heap, "free_bytes"));
		while (count--)
			close(fds[count]);
	}
}

PROTECTED_TEST(refused_protection_fails_the_allocation)
{
	const struct carveout *region = self->region;
	size_t len = region->size;
	int i, fd;

	ASSERT_EQ(0, protector_set("fail_protect", 3));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(-EIO, heap_alloc(self->fd, len));
		EXPECT_EQ(region->size,
			  carveout_get(region->heap, "free_bytes"));
	}
	EXPECT_EQ(0, protector_get("fail_protect"));
	EXPECT_FALSE(is_protected(region->base, region->size, false));
	fd = heap_alloc(self->fd, len);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(self->lost, carveout_lost(region->heap));
}

/* Failures that cost memory: last, and of one region only */

FIXTURE(torn)
{
	const struct carveout *region;
	int fd;
	int importer;
	long long lost;
	int told;
};

/* How often the kernel has said that it has lost something of the region */
static int times_told(const struct carveout *region)
{
	return kmsg_errors(region->heap, "are lost");
}

FIXTURE_SETUP(torn)
{
	int i;

	for (i = 0; i < region_count; i++)
		if (!strcmp(regions[i].heap, TORN))
			self->region = &regions[i];
	if (!self->region || access(PROTECTOR "ranges", R_OK))
		SKIP_UNLESS_NEEDED(return, "protector",
				   "no test protector, or no region " TORN);
	self->importer = importer_open();
	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	self->fd = heap_open(TORN, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, carveout_settle(self->region));
	self->lost = carveout_lost(TORN);
	self->told = times_told(self->region);
}

FIXTURE_TEARDOWN(torn)
{
	EXPECT_EQ(0, protector_set("fail_scrub", 0));
	EXPECT_EQ(0, protector_set("fail_unprotect", 0));
	EXPECT_EQ(0, file_write(PROTECTOR "hang_at", "0"));
	EXPECT_EQ(0, carveout_settle(self->region))
		TH_LOG("free %lld bytes, %s", carveout_get(TORN, "free_bytes"),
		       pool_text(TORN));
	close(self->importer);
	close(self->fd);
}

#define TORN_TEST(name)	TEST_F_TIMEOUT(torn, name, TIMEOUT)

/* Takes all there is, page by page in the end; none of it is in the range */
static long long pages_outside(int heap_fd, int importer,
			       unsigned long long base, size_t len)
{
	static const size_t lens[] = { MIB(1), KIB(64), KIB(4) };
	int fds[MAX_BUFS], count = 0, i = 0;
	long long pages = 0;

	while (i < ARRAY_SIZE(lens) && count < MAX_BUFS) {
		unsigned long long at;

		fds[count] = heap_alloc(heap_fd, lens[i]);
		if (fds[count] == -ENOMEM) {
			i++;
			continue;
		}
		if (fds[count] < 0)
			break;
		at = buf_address(importer, fds[count]);
		if (!at || (at < base + len && base < at + lens[i]))
			pages = -1;
		if (pages >= 0)
			pages += lens[i] / page_size();
		count++;
	}
	while (count--)
		close(fds[count]);

	return pages;
}

/* Lets the next call of the kind fail for a buffer, and looks what is left */
static void lose(struct __test_metadata *_metadata,
		 struct _test_data_torn *self, const char *kind, size_t len)
{
	const struct carveout *region = self->region;
	unsigned long long at;
	int fd;

	ASSERT_EQ(0, pool_set(TORN, "decay_ms", 600000));
	fd = heap_alloc(self->fd, len);
	ASSERT_LE(0, fd);
	at = buf_address(self->importer, fd);
	EXPECT_EQ(0, secure_device("fill", at, len));
	ASSERT_EQ(0, protector_set(kind, 1));
	EXPECT_EQ(0, close(fd));
	/* Also gives back to the region what is not in use */
	EXPECT_EQ(0, pool_set(TORN, "decay_ms", 1));
	EXPECT_TRUE(WAIT_FOR(carveout_lost(TORN) == self->lost + len))
		TH_LOG("%s", pool_text(TORN));
	EXPECT_EQ(0, protector_get(kind));
	EXPECT_TRUE(WAIT_FOR(times_told(region) == self->told + 1));

	EXPECT_EQ(0, carveout_settle(region));
	EXPECT_EQ(region->size / page_size() -
		  carveout_lost(TORN) / page_size(),
		  pages_outside(self->fd, self->importer, at, len));
	/* Nobody may rely on it to be safe, nor on it to be accessible */
	EXPECT_TRUE(is_protected(at, len, true));
}

#define MAX_WAIT	"/sys/module/carveout_heap/parameters/max_wait_ms"
#define SHORT_WAIT_MS	500

static int set_max_wait(long long ms)
{
	char text[16];

	snprintf(text, sizeof(text), "%lld", ms);

	return file_write(MAX_WAIT, text);
}

/* An allocation waits as long as it is told to, and others do not wait at all */
TORN_TEST(hung_scrub_stops_its_own_region_only)
{
	const struct carveout *region = self->region;
	long long max_wait = file_number(MAX_WAIT), waited;
	int i, heap_fd, fd;
	char text[32];

	ASSERT_LT(SHORT_WAIT_MS, max_wait);
	/* All of it is dirty */
	fd = heap_alloc(self->fd, region->size);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, importer_map(self->importer, fd, IMPORTER_64, DEVICE_WRITES));
	ASSERT_EQ(0, importer_unmap(self->importer));
	snprintf(text, sizeof(text), "0x%llx", region->base);
	ASSERT_EQ(0, file_write(PROTECTOR "hang_at", text));
	EXPECT_EQ(0, close(fd));
	waited = heap_attr(TORN, "pool/waited_us");
	ASSERT_EQ(0, set_max_wait(SHORT_WAIT_MS));
	EXPECT_EQ(-ENOMEM, heap_alloc(self->fd, KIB(64)));
	waited = heap_attr(TORN, "pool/waited_us") - waited;
	EXPECT_LE(SHORT_WAIT_MS * 1000 - 20000, waited);
	EXPECT_GT(max_wait * 1000, waited);
	ASSERT_EQ(0, set_max_wait(max_wait));

	for (i = 0; i < region_count; i++) {
		if (&regions[i] == region)
			continue;
		heap_fd = heap_open(regions[i].heap, O_RDWR | O_CLOEXEC);
		fd = heap_alloc(heap_fd, regions[i].size);
		EXPECT_LE(0, fd)
			TH_LOG("%s", regions[i].heap);
		close(fd);
		close(heap_fd);
	}
	ASSERT_EQ(0, file_write(PROTECTOR "hang_at", "0"));
	EXPECT_EQ(0, carveout_settle(region));
	fd = heap_alloc(self->fd, region->size);
	EXPECT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
}

TORN_TEST(unscrubbed_range_is_lost)
{
	lose(_metadata, self, "fail_scrub", KIB(64));
}

TORN_TEST(range_that_stays_protected_is_lost)
{
	lose(_metadata, self, "fail_unprotect", KIB(128));
}

/*
 * The last test: what the pool keeps is for the next kernel when the machine goes down.
 * The protector says then what is protected still.
 */
TORN_TEST(memory_in_a_pool_stays_protected)
{
	size_t len = KIB(64);
	unsigned long long at;
	int i, heap_fd, fd;

	for (i = 0; i < region_count; i++) {
		if (&regions[i] == self->region)
			continue;
		heap_fd = heap_open(regions[i].heap, O_RDWR | O_CLOEXEC);
		ASSERT_LE(0, heap_fd);
		ASSERT_EQ(0, pool_set(regions[i].heap, "decay_ms", 600000));
		fd = heap_alloc(heap_fd, len);
		ASSERT_LE(0, fd);
		at = buf_address(self->importer, fd);
		EXPECT_EQ(0, close(fd));
		EXPECT_TRUE(WAIT_FOR(pool_is_clean(regions[i].heap, pages_of(len))));
		EXPECT_TRUE(is_protected(at, len, true));
		EXPECT_EQ(0, close(heap_fd));
	}
}

static FIXTURE_VARIANT(protected) variant_data[MAX_CARVEOUTS];
static struct __fixture_variant_metadata variants[MAX_CARVEOUTS];

int main(int argc, char **argv)
{
	struct carveout all[MAX_CARVEOUTS];
	int i, count = carveouts_find(all, MAX_CARVEOUTS);

	for (i = 0; i < count; i++)
		if (all[i].protected)
			regions[region_count++] = all[i];
	if (!region_count) {
		ksft_print_header();
		if (is_needed("protector"))
			ksft_exit_fail_msg("no protected carveout in the device tree\n");
		ksft_exit_skip("no protected carveout in the device tree\n");
	}
	if (!heap_is_asked_for(TORN)) {
		ksft_print_header();
		ksft_exit_skip("no protected carveout among %s\n",
			       getenv("HEAP"));
	}
	for (i = 0; i < region_count; i++) {
		variant_data[i].region = regions[i];
		variants[i].name = regions[i].heap;
		variants[i].data = &variant_data[i];
		__register_fixture_variant(&_protected_fixture_object,
					   &variants[i]);
	}

	return test_harness_run(argc, argv);
}

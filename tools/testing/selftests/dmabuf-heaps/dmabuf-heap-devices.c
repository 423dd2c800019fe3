// SPDX-License-Identifier: GPL-2.0
/*
 * Buffers between CPU and devices: what is written on one side is read on the
 * other, also by way of the copies of a device that bounces.
 *
 * NEED in the environment names what must not be lacking: importer, bounces (a
 * device that works on copies is there), swiotlb (all but the coherent one do).
 */

#include <pthread.h>

#include "heap_fixture.h"
#include "heap_left.h"

#define SEED		131

/* Fits the smallest pool of bounce buffers, and takes more than one */
#define BUF_LEN		page_align(KIB(448) + KIB(4))

/* A part that the CPU writes and one that the device does */
#define CPU_OFFSET	(KIB(252) + 8)
#define CPU_LEN		(KIB(8) + 40)
#define DEVICE_OFFSET	(KIB(100) + 16)
#define DEVICE_LEN	200

static const struct {
	const char *name;
	int device;
} devices[] = {
	{ "64", IMPORTER_64 },
	{ "32", IMPORTER_32 },
	{ "coherent", IMPORTER_COHERENT },
	{ "bounces", IMPORTER_BOUNCES },
};

/* A filled buffer that the CPU has mapped, and a device that has not yet */
FIXTURE(device)
{
	int heap_fd;
	int importer;
	struct heap_left left;
	int fd;
	char *map;
	/* Whether the device works on a copy; known when it has mapped it */
	bool bounces;
};

FIXTURE_VARIANT(device)
{
	const char *heap;
	int device;
};

/* Does the command line make all devices work on copies? */
static bool all_devices_bounce(void)
{
	char text[4096], *option;

	if (file_read("/proc/cmdline", text, sizeof(text)))
		return false;
	option = strstr(text, "swiotlb=");
	if (!option)
		return false;
	option += strlen("swiotlb=");
	option[strcspn(option, " ")] = '\0';

	return word_in(option, "force", ',');
}

/* Only the coherent device is spared */
static bool device_bounces(int device)
{
	return device == IMPORTER_BOUNCES ||
	       (device != IMPORTER_COHERENT && all_devices_bounce());
}

static bool is_uncached(const char *heap)
{
	return strstr(heap, "-uncached");
}

FIXTURE_SETUP(device)
{
	self->heap_fd = heap_open(variant->heap, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->heap_fd);
	self->importer = importer_open();
	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	ASSERT_TRUE(all_devices_bounce() || !is_needed("swiotlb"));
	self->left = heap_left(variant->heap);
	self->fd = buf_filled(self->heap_fd, BUF_LEN, SEED);
	ASSERT_LE(0, self->fd);
	if (!importer_has(self->importer, self->fd, variant->device))
		SKIP_UNLESS_NEEDED(return, "bounces",
				   "no device that gets copies");
	if (device_bounces(variant->device) && is_uncached(variant->heap))
		SKIP(return, "uncached memory is not copied");
	self->map = buf_map(self->fd, BUF_LEN, READ_WRITE);
	ASSERT_NE(MAP_FAILED, self->map);
}

FIXTURE_TEARDOWN(device)
{
	EXPECT_EQ(0, munmap(self->map, BUF_LEN));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_NOTHING_LEFT(self->left, variant->heap);
	close(self->importer);
	close(self->heap_fd);
}

#define DEVICE_TEST(name) \
	TEST_F_TIMEOUT(device, name, 2 * HEAP_TEST_TIMEOUT)

static int map_device(struct _test_data_device *self, int device, int dir)
{
	int ret = importer_map(self->importer, self->fd, device, dir);

	if (ret)
		return ret;
	self->bounces = importer_bounces(self->importer);
	/* For a device of 32 bits it depends on where the buffer is */
	if (device != IMPORTER_32 && self->bounces != device_bounces(device))
		return -EXDEV;

	return 0;
}

static long long cpu_reads(struct _test_data_device *self, size_t offset,
			   size_t len, __u32 seed)
{
	return pattern_check(self->map + offset, offset, len, seed);
}

static void cpu_writes(struct _test_data_device *self, size_t offset,
		       size_t len, __u32 seed)
{
	pattern_fill(self->map + offset, offset, len, seed);
}

static long long device_reads(struct _test_data_device *self, size_t offset,
			      size_t len, __u32 seed)
{
	return importer_reads(self->importer, offset, len, seed);
}

static int device_writes(struct _test_data_device *self, size_t offset,
			 size_t len, __u32 seed)
{
	return importer_do(self->importer, "dwrite %zu %zu %u", offset, len,
			   seed);
}

/* Where the first byte is of another seed: none in a copy, else the first one */
#define UNLESS_COPIED	(self->bounces ? -1 : 0)

DEVICE_TEST(device_sees_what_the_cpu_writes)
{
	ASSERT_EQ(0, map_device(self, variant->device, DEVICE_READS));
	EXPECT_EQ(-1, device_reads(self, 0, BUF_LEN, SEED));

	EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE));
	cpu_writes(self, 0, BUF_LEN, SEED + 1);
	EXPECT_EQ(UNLESS_COPIED, device_reads(self, 0, BUF_LEN, SEED));
	EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE));
	EXPECT_EQ(-1, device_reads(self, 0, BUF_LEN, SEED + 1));
	EXPECT_EQ(0, importer_unmap(self->importer));
}

DEVICE_TEST(device_sees_the_part_the_cpu_writes)
{
	const __u64 write = DMA_BUF_SYNC_WRITE;

	ASSERT_EQ(0, map_device(self, variant->device, DEVICE_READS));
	EXPECT_EQ(0, buf_sync_partial(self->fd, DMA_BUF_SYNC_START | write,
				      CPU_OFFSET, CPU_LEN));
	cpu_writes(self, CPU_OFFSET, CPU_LEN, SEED + 1);
	EXPECT_EQ(0, buf_sync_partial(self->fd, DMA_BUF_SYNC_END | write,
				      CPU_OFFSET, CPU_LEN));
	EXPECT_EQ(-1, device_reads(self, CPU_OFFSET, CPU_LEN, SEED + 1));
	EXPECT_EQ(-1, device_reads(self, 0, CPU_OFFSET, SEED));
	EXPECT_EQ(-1, device_reads(self, CPU_OFFSET + CPU_LEN,
				   BUF_LEN - CPU_OFFSET - CPU_LEN, SEED));
	EXPECT_EQ(0, importer_unmap(self->importer));
}

static const int writing_dirs[] = { DEVICE_WRITES, DEVICE_READS_AND_WRITES };

/* In the middle, of all and of a part, and after the last unmap */
DEVICE_TEST(cpu_sees_what_the_device_writes)
{
	const __u64 read = DMA_BUF_SYNC_READ;
	__u32 seed = SEED;
	int i;

	for (i = 0; i < ARRAY_SIZE(writing_dirs); i++) {
		ASSERT_EQ(0, map_device(self, variant->device, writing_dirs[i]));
		ASSERT_EQ(0, device_writes(self, 0, BUF_LEN, seed + 1));
		EXPECT_EQ(UNLESS_COPIED, cpu_reads(self, 0, BUF_LEN, seed));
		EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_START | read));
		EXPECT_EQ(-1, cpu_reads(self, 0, BUF_LEN, seed + 1));
		EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_END | read));

		/* Only the synced part has to be new */
		ASSERT_EQ(0, device_writes(self, 0, BUF_LEN, seed + 2));
		EXPECT_EQ(0, buf_sync_partial(self->fd,
					      DMA_BUF_SYNC_START | read,
					      DEVICE_OFFSET, DEVICE_LEN));
		EXPECT_EQ(-1, cpu_reads(self, DEVICE_OFFSET, DEVICE_LEN,
					seed + 2));
		EXPECT_EQ(UNLESS_COPIED,
			  cpu_reads(self, 0, DEVICE_OFFSET, seed + 1));
		EXPECT_EQ(0, buf_sync_partial(self->fd, DMA_BUF_SYNC_END | read,
					      DEVICE_OFFSET, DEVICE_LEN));

		EXPECT_EQ(0, importer_do(self->importer, "unmap"));
		EXPECT_EQ(-1, cpu_reads(self, 0, BUF_LEN, seed + 2));
		EXPECT_EQ(0, importer_unmap(self->importer));
		seed += 2;
	}
}

/* Each writes a part that the other one does not, and both see it all */
DEVICE_TEST(both_see_the_parts_of_the_other)
{
	__u32 seed = SEED;
	int round;

	ASSERT_EQ(0, map_device(self, variant->device, DEVICE_READS_AND_WRITES));
	for (round = 0; round < 4; round++) {
		seed = SEED + 2 * round + 1;
		ASSERT_EQ(0, device_writes(self, DEVICE_OFFSET, DEVICE_LEN,
					   seed));
		EXPECT_EQ(0, buf_sync(self->fd,
				      DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW));
		EXPECT_EQ(-1, cpu_reads(self, DEVICE_OFFSET, DEVICE_LEN, seed));
		cpu_writes(self, CPU_OFFSET, CPU_LEN, seed + 1);
		EXPECT_EQ(0, buf_sync(self->fd,
				      DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW));
		EXPECT_EQ(-1, device_reads(self, CPU_OFFSET, CPU_LEN, seed + 1));
		EXPECT_EQ(-1, device_reads(self, DEVICE_OFFSET, DEVICE_LEN,
					   seed));
	}
	EXPECT_EQ(0, importer_do(self->importer, "unmap"));
	EXPECT_EQ(-1, cpu_reads(self, 0, DEVICE_OFFSET, SEED));
	EXPECT_EQ(-1, cpu_reads(self, DEVICE_OFFSET, DEVICE_LEN, seed));
	EXPECT_EQ(-1, cpu_reads(self, CPU_OFFSET, CPU_LEN, seed + 1));
	EXPECT_EQ(0, importer_unmap(self->importer));
}

/* The copy of a device comes back as a whole, also for a map to write only */
DEVICE_TEST(device_that_writes_leaves_the_rest_to_the_cpu)
{
	const __u64 write = DMA_BUF_SYNC_WRITE;

	ASSERT_EQ(0, map_device(self, variant->device, DEVICE_WRITES));
	EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_START | write));
	cpu_writes(self, CPU_OFFSET, CPU_LEN, SEED + 1);
	EXPECT_EQ(0, buf_sync(self->fd, DMA_BUF_SYNC_END | write));
	ASSERT_EQ(0, device_writes(self, DEVICE_OFFSET, DEVICE_LEN, SEED + 2));
	EXPECT_EQ(0, importer_do(self->importer, "unmap"));
	EXPECT_EQ(-1, cpu_reads(self, 0, DEVICE_OFFSET, SEED));
	EXPECT_EQ(-1, cpu_reads(self, DEVICE_OFFSET, DEVICE_LEN, SEED + 2));
	EXPECT_EQ(-1, cpu_reads(self, CPU_OFFSET, CPU_LEN, SEED + 1));
	EXPECT_EQ(0, importer_unmap(self->importer));
}

/* A copy of memory that a device writes while the CPU does would be stale */
HEAP_TEST(only_cached_memory_is_copied)
{
	int importer = importer_open(), i, fd;

	if (importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	fd = heap_alloc(self->fd, BUF_LEN);
	ASSERT_LE(0, fd);
	if (!importer_has(importer, fd, IMPORTER_BOUNCES))
		SKIP_UNLESS_NEEDED(goto out, "bounces",
				   "no device that gets copies");
	for (i = 0; i < ARRAY_SIZE(devices); i++) {
		bool refused = is_uncached(variant->name) &&
			       device_bounces(devices[i].device);

		EXPECT_EQ(refused ? -EIO : 0,
			  importer_map(importer, fd, devices[i].device,
				       DEVICE_READS))
			TH_LOG("device %s", devices[i].name);
		EXPECT_EQ(refused ? -EINVAL : 0, importer_unmap(importer));
	}
out:
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, close(importer));
}

#define RACERS		4
#define RACE_ROUNDS	400
#define RACE_LEN	KIB(196)

struct racer {
	pthread_t thread;
	int fd;
	int importer;
	__u64 random;
	bool uncached;
	unsigned int imports;
	const char *failed;
};

/* There are only so many copies, and of uncached memory none */
static bool may_fail(const struct racer *racer, int device, int error)
{
	return error == -ENODEV ? device == IMPORTER_BOUNCES :
	       device_bounces(device) &&
	       (error == -EIO || (error == -ENOMEM && !racer->uncached));
}

static void race_import(struct racer *racer)
{
	int device = devices[pseudo_random(&racer->random) %
			     ARRAY_SIZE(devices)].device;
	int dir = pseudo_random(&racer->random) % 3;
	int ret;

	ret = importer_map(racer->importer, racer->fd, device, dir);
	if (ret) {
		if (!may_fail(racer, device, ret))
			racer->failed = "import";
		return;
	}
	if (pseudo_random(&racer->random) % 2)
		usleep(pseudo_random(&racer->random) % 300);
	if (importer_unmap(racer->importer))
		racer->failed = "end of an import";
	racer->imports++;
}

static void race_sync(struct racer *racer)
{
	static const __u64 flags[] = {
		DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE, DMA_BUF_SYNC_RW,
	};
	__u64 flag = flags[pseudo_random(&racer->random) % ARRAY_SIZE(flags)];
	size_t offset = pseudo_random(&racer->random) % RACE_LEN;
	size_t len = 1 + pseudo_random(&racer->random) % (RACE_LEN - offset);
	bool partial = pseudo_random(&racer->random) % 2;
	int ret;

	if (partial)
		ret = buf_sync_partial(racer->fd, DMA_BUF_SYNC_START | flag,
				       offset, len) ?:
		      buf_sync_partial(racer->fd, DMA_BUF_SYNC_END | flag,
				       offset, len);
	else
		ret = buf_sync(racer->fd, DMA_BUF_SYNC_START | flag) ?:
		      buf_sync(racer->fd, DMA_BUF_SYNC_END | flag);
	if (ret)
		racer->failed = "sync";
}

static void race_mmap(struct racer *racer)
{
	char *p = buf_map(racer->fd, RACE_LEN, READ_WRITE);

	if (p == MAP_FAILED) {
		racer->failed = "mmap";
		return;
	}
	memset(p, racer->random, page_size());
	munmap(p, RACE_LEN);
}

static void race_descriptor(struct racer *racer)
{
	int fd = dup(racer->fd);

	if (fd < 0)
		racer->failed = "dup";
	close(racer->fd);
	racer->fd = fd;
}

static void race_kernel(struct racer *racer)
{
	if (importer_do(racer->importer, "fill %d %u", racer->fd, SEED))
		racer->failed = "kernel mapping";
}

static void *race(void *data)
{
	static void (*const deeds[])(struct racer *racer) = {
		race_import, race_import, race_sync, race_sync, race_mmap,
		race_descriptor, race_kernel,
	};
	struct racer *racer = data;
	int i;

	for (i = 0; i < RACE_ROUNDS && !racer->failed; i++)
		deeds[pseudo_random(&racer->random) % ARRAY_SIZE(deeds)](racer);

	return NULL;
}

/* And then all is as ever */
static void check_after_race(struct __test_metadata *_metadata, int fd)
{
	int importer = importer_open();
	char *p;

	ASSERT_LE(0, importer);
	p = buf_map(fd, RACE_LEN, READ_WRITE);
	ASSERT_NE(MAP_FAILED, p);
	pattern_fill(p, 0, RACE_LEN, SEED);
	ASSERT_EQ(0, importer_map(importer, fd, IMPORTER_COHERENT,
				  DEVICE_READS));
	EXPECT_EQ(-1, importer_reads(importer, 0, RACE_LEN, SEED));
	EXPECT_EQ(0, importer_unmap(importer));
	EXPECT_EQ(0, munmap(p, RACE_LEN));
	EXPECT_EQ(0, close(importer));
}

HEAP_TEST(threads_that_do_everything_at_once_do_no_harm)
{
	struct racer racers[RACERS] = { };
	int i, fd;

	racers[0].importer = importer_open();
	if (racers[0].importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	fd = heap_alloc(self->fd, RACE_LEN);
	ASSERT_LE(0, fd);
	for (i = 0; i < RACERS; i++) {
		racers[i].fd = dup(fd);
		if (i)
			racers[i].importer = importer_open();
		racers[i].random = i;
		racers[i].uncached = is_uncached(variant->name);
		ASSERT_EQ(0, pthread_create(&racers[i].thread, NULL, race,
					    &racers[i]));
	}
	for (i = 0; i < RACERS; i++) {
		ASSERT_EQ(0, pthread_join(racers[i].thread, NULL));
		EXPECT_EQ(NULL, racers[i].failed)
			TH_LOG("%s", racers[i].failed);
		/* With the coherent device at least */
		EXPECT_LT(0, racers[i].imports);
		close(racers[i].fd);
		close(racers[i].importer);
	}
	check_after_race(_metadata, fd);
	EXPECT_EQ(0, close(fd));
}

#define VARIANTS	(HEAP_MAX * ARRAY_SIZE(devices))

static FIXTURE_VARIANT(device) variant_data[VARIANTS];
static struct __fixture_variant_metadata variants[VARIANTS];

static void register_devices(const char *heap, int first)
{
	char *name;
	int i;

	for (i = 0; i < ARRAY_SIZE(devices); i++) {
		if (asprintf(&name, "%s:%s", heap, devices[i].name) < 0)
			exit(KSFT_FAIL);
		variant_data[first + i].heap = heap;
		variant_data[first + i].device = devices[i].device;
		variants[first + i].name = name;
		variants[first + i].data = &variant_data[first + i];
		__register_fixture_variant(&_device_fixture_object,
					   &variants[first + i]);
	}
}

int main(int argc, char **argv)
{
	int i;

	heap_tests_init();
	for (i = 0; i < heap_count; i++)
		register_devices(heap_list[i], i * ARRAY_SIZE(devices));

	return test_harness_run(argc, argv);
}

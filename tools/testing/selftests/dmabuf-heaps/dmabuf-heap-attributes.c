// SPDX-License-Identifier: GPL-2.0
/*
 * What a heap tells of itself in sysfs: that facts are facts, that anybody can read
 * them at any time, and that Android finds the total of all pools.
 */

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "heap_account.h"
#include "heap_all.h"
#include "heap_faults.h"
#include "heap_regions.h"

#define TOTAL_POOLS	"/sys/kernel/dma_heap/total_pools_kb"

/* Facts */

ACCOUNT_TEST(cached_and_protected_are_true)
{
	long long cached = heap_attr(variant->name, "cached");
	long long protected = heap_attr(variant->name, "protected");
	struct user_page page;
	int fd, importer;
	char *p;

	EXPECT_TRUE(cached == 0 || cached == 1);
	importer = importer_open();
	if (importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	fd = heap_alloc(self->fd, PAGES(2));
	ASSERT_LE(0, fd);
	p = buf_map(fd, PAGES(2), READ_WRITE);
	if (p == MAP_FAILED) {
		EXPECT_EQ(EACCES, errno);
		EXPECT_EQ(1, protected);
		EXPECT_EQ(0, cached);
		close(fd);
		close(importer);
		return;
	}
	EXPECT_EQ(0, protected);
	memset(p, 1, PAGES(2));
	EXPECT_EQ(0, importer_user_page(importer, p, &page));
	EXPECT_EQ(cached, !page.writecombined);
	close(importer);
	munmap(p, PAGES(2));
	close(fd);
}

ACCOUNT_TEST(contiguous_and_alignment_are_true)
{
	static const size_t lens[] = {
		KIB(4), KIB(12), KIB(68), MIB(1), MIB(2) + KIB(68),
	};
	long long contiguous = heap_attr(variant->name, "contiguous");
	long long alignment = heap_attr(variant->name, "alignment");
	int i, fd, importer, most = 0;
	struct buf_chunks chunks;

	ASSERT_TRUE(contiguous == 0 || contiguous == 1);
	ASSERT_LE(page_size(), alignment);
	EXPECT_EQ(0, alignment & (alignment - 1));
	importer = importer_open();
	if (importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		fd = heap_alloc(self->fd, heap_fitting(variant->name, lens[i], 4));
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, buf_get_chunks(importer, fd, 64, &chunks));
		EXPECT_EQ(0, chunks.dma_start % alignment);
		most = chunks.count > most ? chunks.count : most;
		buf_put_chunks(&chunks);
		EXPECT_EQ(0, close(fd));
	}
	/* A buffer from the fallback can be worse */
	EXPECT_TRUE(contiguous == (most == 1) ||
		    (heap_has_fallback(variant->name) && !contiguous));
	close(importer);
}

static int bits_of(unsigned long long number)
{
	int bits = 0;

	for (; number; number >>= 1)
		bits++;

	return bits;
}

/* Of the last address of the system's memory, as root sees it */
static int bits_of_memory(void)
{
	unsigned long long end, last = 0;
	char line[128];
	FILE *file;

	file = fopen("/proc/iomem", "re");
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file))
		if (strstr(line, " : System RAM") &&
		    sscanf(line, "%*x-%llx", &end) == 1)
			last = end;
	fclose(file);

	return bits_of(last);
}

ACCOUNT_TEST(dma_bits_are_enough_for_every_buffer)
{
	int bits = heap_attr(variant->name, "dma_bits"), importer, fd;
	struct buf_chunks chunks;
	char other[HEAP_NAME_SIZE];

	if (strstr(variant->name, "dma32")) {
		EXPECT_EQ(32, bits);
	} else if (!strncmp(variant->name, "system", strlen("system"))) {
		EXPECT_EQ(bits_of_memory(), bits);
	} else if (!heap_has_fallback(variant->name)) {
		EXPECT_GE(bits_of_memory(), bits);
	} else {
		ASSERT_EQ(0, heap_attr_read(variant->name, "fallback", other,
					    sizeof(other)));
		EXPECT_LE(heap_attr(other, "dma_bits"), bits);
	}
	importer = importer_open();
	if (importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	fd = heap_alloc(self->fd, heap_fitting(variant->name, MIB(1), 4));
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, buf_get_chunks(importer, fd, IMPORTER_COHERENT, &chunks));
	EXPECT_GE(bits, bits_of(chunks.dma_end - 1));
	buf_put_chunks(&chunks);
	EXPECT_EQ(0, close(fd));
	close(importer);
}

/* A heap promises no more than the heap behind it */
static long long with_fallback(const struct carveout *carveout, const char *attr,
			       long long own)
{
	long long other = -1;

	if (carveout->has_fallback)
		other = heap_attr(carveout->fallback, attr);

	return other < 0 || other > own ? own : other;
}

/* What the machine's description of the heap says */
ACCOUNT_TEST(facts_are_those_of_the_device_tree)
{
	static struct carveout carveouts[MAX_CARVEOUTS];
	char fallback[HEAP_NAME_SIZE];
	const char *expected = "";
	long long size = 0;
	int i, count;

	count = carveouts_find(carveouts, MAX_CARVEOUTS);
	for (i = 0; i < count; i++) {
		if (strcmp(carveouts[i].heap, variant->name))
			continue;
		if (carveouts[i].has_fallback)
			expected = carveouts[i].fallback;
		size = carveouts[i].size;
		EXPECT_EQ(with_fallback(&carveouts[i], "contiguous", 1),
			  heap_attr(variant->name, "contiguous"));
		EXPECT_EQ(carveouts[i].protected,
			  heap_attr(variant->name, "protected"));
		EXPECT_EQ(!carveouts[i].uncached && !carveouts[i].protected,
			  heap_attr(variant->name, "cached"));
		EXPECT_EQ(1, heap_attr(variant->name, "reserved"));
		if (carveouts[i].base && !carveouts[i].has_fallback)
			EXPECT_EQ(bits_of(carveouts[i].base + carveouts[i].size - 1),
				  heap_attr(variant->name, "dma_bits"));
		if (carveouts[i].alignment)
			EXPECT_EQ(with_fallback(&carveouts[i], "alignment",
						carveouts[i].alignment),
				  heap_attr(variant->name, "alignment"));
	}
	ASSERT_EQ(0, heap_attr_read(variant->name, "fallback", fallback,
				    sizeof(fallback)));
	EXPECT_STREQ(expected, fallback);
	if (size)
		EXPECT_EQ(size, heap_attr(variant->name, "buffer_limit_bytes"));
}

/* Half of RAM, which has grown a bit since by what the kernel needed to boot */
ACCOUNT_TEST(default_limit_is_half_of_memory)
{
	long long half = meminfo_kib("MemTotal:") * 1024 / 2;

	EXPECT_STREQ("max", self->limits[1]);
	if (strncmp(variant->name, "system", strlen("system"))) {
		EXPECT_LT(0, heap_largest(variant->name));
		EXPECT_GE(half, heap_largest(variant->name));
		return;
	}
	/* Those with 32 bits may have less */
	if (!strstr(variant->name, "-dma32"))
		EXPECT_LE(half - (long long)MIB(64), heap_largest(variant->name));
	EXPECT_GE(half + (long long)MIB(1), heap_largest(variant->name));
	EXPECT_LT((long long)MIB(256), heap_largest(variant->name));
}

static int attr_mode(const char *heap, const char *attr)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "/sys/class/dma_heap/%s/%s", heap, attr);

	return stat(path, &st) ? -errno : (int)(st.st_mode & 07777);
}

/* User nobody can read all attributes and change none */
static int nobody(const char *heap)
{
	char text[MAX_TEXT];
	int i;

	if (setgid(NOBODY) || setuid(NOBODY))
		return 1;
	for (i = 0; i < ARRAY_SIZE(fact_attrs); i++)
		if (heap_attr_read(heap, fact_attrs[i], text, sizeof(text)))
			return 2;
	for (i = 0; i < ARRAY_SIZE(count_attrs); i++)
		if (heap_attr_read(heap, count_attrs[i], text, sizeof(text)))
			return 3;
	for (i = 0; i < ARRAY_SIZE(limit_attrs); i++)
		if (heap_attr_read(heap, limit_attrs[i], text, sizeof(text)) ||
		    heap_attr_write(heap, limit_attrs[i], "0") != -EACCES)
			return 4;
	for (i = 0; i < ARRAY_SIZE(peak_attrs); i++)
		if (heap_attr_read(heap, peak_attrs[i], text, sizeof(text)) ||
		    heap_attr_write(heap, peak_attrs[i], "0") != -EACCES)
			return 5;
	if (file_read(TOTAL_POOLS, text, sizeof(text)))
		return 6;

	return 0;
}

ACCOUNT_TEST(only_root_may_write)
{
	pid_t child;
	int i;

	for (i = 0; i < ARRAY_SIZE(fact_attrs); i++)
		EXPECT_EQ(0444, attr_mode(variant->name, fact_attrs[i]));
	for (i = 0; i < ARRAY_SIZE(count_attrs); i++) {
		EXPECT_EQ(0444, attr_mode(variant->name, count_attrs[i]))
			TH_LOG("%s", count_attrs[i]);
	}
	for (i = 0; i < ARRAY_SIZE(limit_attrs); i++)
		EXPECT_EQ(0644, attr_mode(variant->name, limit_attrs[i]));
	for (i = 0; i < ARRAY_SIZE(peak_attrs); i++)
		EXPECT_EQ(0644, attr_mode(variant->name, peak_attrs[i]));

	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		_exit(nobody(variant->name));
	EXPECT_EQ(0, child_end(child));
}

/* Attributes under load */

static atomic_bool load_over;

struct loader {
	pthread_t thread;
	int heap_fd;
	__u64 state;
	atomic_ulong rounds;
	int error;
};

static void *load(void *data)
{
	struct loader *loader = data;
	int fds[8], i = 0, count;

	while (!load_over && !loader->error) {
		for (count = 0; count < ARRAY_SIZE(fds); count++) {
			fds[count] = heap_alloc(loader->heap_fd, PAGES(1) *
				(1 + pseudo_random(&loader->state) % 8));
			if (fds[count] < 0) {
				loader->error = fds[count];
				break;
			}
		}
		for (i = 0; i < count; i++)
			close(fds[i]);
		loader->rounds++;
	}

	return NULL;
}

#define LOADERS	3
#define LOOKS	100
#define ROUNDS	20

static bool all_are_loading(struct loader *loaders)
{
	int i;

	for (i = 0; i < LOADERS; i++)
		if (loaders[i].rounds < ROUNDS && !loaders[i].error)
			return false;

	return true;
}

/* Counters read during changes stay within what the loaders can have */
ACCOUNT_TEST(counters_are_plausible_under_load)
{
	const long long most = LOADERS * 8;
	struct loader loaders[LOADERS] = { };
	char text[MAX_TEXT], *end_of_number;
	long long value;
	int i, looks;

	for (i = 0; i < LOADERS; i++) {
		loaders[i].heap_fd = self->fd;
		loaders[i].state = i;
		ASSERT_EQ(0, pthread_create(&loaders[i].thread, NULL, load,
					    &loaders[i]));
	}
	for (looks = 0; looks < LOOKS || !all_are_loading(loaders); looks++) {
		for (i = 0; i < ARRAY_SIZE(count_attrs); i++) {
			ASSERT_EQ(0, heap_attr_read(variant->name,
						    count_attrs[i], text,
						    MAX_TEXT));
			value = strtoll(text, &end_of_number, 10);
			ASSERT_EQ('\0', *end_of_number);
			ASSERT_LE(0, value);
		}
		value = heap_attr(variant->name, "buffers") - self->buffers;
		ASSERT_LE(0, value);
		ASSERT_GE(most, value);
		value = heap_attr(variant->name, "bytes") - self->bytes;
		ASSERT_LE(0, value);
		ASSERT_GE(most * (long long)PAGES(8), value);
		ASSERT_EQ(0, value % page_size());
		for (i = 0; i < ARRAY_SIZE(peak_attrs); i++)
			ASSERT_EQ(0, heap_attr_write(variant->name,
						     peak_attrs[i], "0"));
	}
	load_over = true;
	for (i = 0; i < LOADERS; i++) {
		ASSERT_EQ(0, pthread_join(loaders[i].thread, NULL));
		EXPECT_EQ(0, loaders[i].error);
	}
	EXPECT_FAILED(0, 0, 0, 0, 0);
	EXPECT_IN_USE(0, 0);
}

/* The call either works or gives ENOMEM, and then nothing has changed */
static int file_with_faults(const char *path, const char *text, int fail_nth)
{
	char before[MAX_TEXT] = "", after[MAX_TEXT] = "";
	bool more = true;
	int nth, ret, readable;

	for (nth = 1; more && nth < 1000; nth++) {
		/* Some are only written */
		readable = file_read(path, before, sizeof(before));
		if (readable && readable != -EACCES)
			return -1;
		fault_inject(fail_nth, nth);
		ret = text ? file_write(path, text) :
			     file_read(path, after, sizeof(after));
		more = fault_injected(fail_nth);
		if (ret && ret != -ENOMEM)
			return -2;
		if (ret && !more)
			return -3;
		if (file_read(path, after, sizeof(after)) != readable)
			return -4;
		if (ret && text && strcmp(before, after))
			return -5;
	}

	return nth;
}

static int attr_with_faults(const char *heap, const char *attr,
			    const char *text, int fail_nth)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/class/dma_heap/%s/%s",
		 heap, attr);

	return file_with_faults(path, text, fail_nth);
}

static void faults_end(int fail_nth)
{
	close(fail_nth);
	fault_knobs_restore();
}

ACCOUNT_TEST(failed_reads_and_writes_change_nothing)
{
	const char *missing = fault_knobs_set();
	int i, fail_nth;

	if (missing) {
		fault_knobs_restore();
		SKIP_UNLESS_NEEDED(return, "faults", "cannot use %s", missing);
	}
	fail_nth = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fail_nth);
	for (i = 0; i < ARRAY_SIZE(fact_attrs); i++)
		EXPECT_LT(2, attr_with_faults(variant->name, fact_attrs[i],
					      NULL, fail_nth));
	for (i = 0; i < ARRAY_SIZE(count_attrs); i++) {
		EXPECT_LT(2, attr_with_faults(variant->name, count_attrs[i],
					      NULL, fail_nth))
			TH_LOG("%s", count_attrs[i]);
	}
	for (i = 0; i < ARRAY_SIZE(limit_attrs); i++) {
		EXPECT_LT(2, attr_with_faults(variant->name, limit_attrs[i],
					      NULL, fail_nth));
		EXPECT_LT(2, attr_with_faults(variant->name, limit_attrs[i],
					      "1048576", fail_nth));
		EXPECT_EQ(MIB(1), heap_attr(variant->name, limit_attrs[i]));
	}
	for (i = 0; i < ARRAY_SIZE(peak_attrs); i++) {
		EXPECT_LT(2, attr_with_faults(variant->name, peak_attrs[i],
					      NULL, fail_nth));
		EXPECT_LT(2, attr_with_faults(variant->name, peak_attrs[i],
					      "0", fail_nth));
	}
	faults_end(fail_nth);
}

ACCOUNT_TEST(failed_writes_change_no_knob)
{
	static const char *const knobs[] = { "pool/max_bytes", "pool/decay_ms" };
	const char *missing = fault_knobs_set();
	char before[MAX_TEXT], two_pages[MAX_TEXT];
	int i, fail_nth;

	if (missing) {
		fault_knobs_restore();
		SKIP_UNLESS_NEEDED(return, "faults", "cannot use %s", missing);
	}
	fail_nth = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fail_nth);
	for (i = 0; i < ARRAY_SIZE(knobs); i++) {
		EXPECT_EQ(0, heap_attr_read(variant->name, knobs[i], before,
					    sizeof(before)));
		EXPECT_LT(2, attr_with_faults(variant->name, knobs[i], NULL,
					      fail_nth));
		EXPECT_LT(2, attr_with_faults(variant->name, knobs[i], "1048576",
					      fail_nth));
		EXPECT_EQ(MIB(1), heap_attr(variant->name, knobs[i]));
		EXPECT_EQ(0, heap_attr_write(variant->name, knobs[i], before));
	}
	/* Its text is copied, and a page may have to come from somewhere */
	snprintf(two_pages, sizeof(two_pages), "%zu 2", PAGES(1));
	EXPECT_LT(2, attr_with_faults(variant->name, "pool/prefill", two_pages,
				      fail_nth));
	EXPECT_LT(2, file_with_faults(TOTAL_POOLS, NULL, fail_nth));
	faults_end(fail_nth);
}

/* Pools */

static bool pool_attrs_agree(const char *heap)
{
	struct pool_stats stats;

	return !pool_read_stats(heap_pool(heap), &stats) &&
	       pool_get(heap, "zeroed_bytes") == stats.clean_pages * page_size() &&
	       pool_get(heap, "unzeroed_bytes") == stats.dirty_pages * page_size() &&
	       pool_get(heap, "hits") == stats.hits &&
	       pool_get(heap, "dirty_hits") == stats.dirty_hits &&
	       pool_get(heap, "misses") == stats.misses &&
	       pool_get(heap, "scrubbed_bytes") ==
	       stats.scrubbed_pages * page_size();
}

ACCOUNT_TEST(pool_attributes_are_those_of_debugfs)
{
	long long served, hits, misses;
	struct pool_stats stats;
	int fd, i;

	if (pool_read_stats(heap_pool(variant->name), &stats))
		SKIP_UNLESS_NEEDED(return, "pool", "no pool behind %s",
				   variant->name);
	EXPECT_TRUE(WAIT_FOR(pool_attrs_agree(variant->name)));
	hits = pool_get(variant->name, "hits") +
	       pool_get(variant->name, "dirty_hits");
	misses = pool_get(variant->name, "misses");
	for (i = 0; i < 4; i++) {
		fd = heap_alloc(self->fd, KIB(20));
		ASSERT_LE(0, fd);
		EXPECT_EQ(0, close(fd));
	}
	served = pool_get(variant->name, "hits") +
		 pool_get(variant->name, "dirty_hits") - hits;
	EXPECT_EQ(4, served + pool_get(variant->name, "misses") - misses);
	EXPECT_LE(1, served);
	EXPECT_TRUE(WAIT_FOR(pool_attrs_agree(variant->name)))
		TH_LOG("%s", pool_text(heap_pool(variant->name)));
	EXPECT_LT(0, pool_get(variant->name, "zeroed_bytes") +
		     pool_get(variant->name, "unzeroed_bytes"));
}

/*
 * As Android's libmeminfo does it: see whether the file can be read, read all of
 * it in pieces of BUFSIZ bytes until there are no more, take the decimal number
 * it begins with, and refuse one that does not fit.
 */
static bool libmeminfo_reads(unsigned long long *kib)
{
	char content[4 * BUFSIZ + 1];
	size_t len = 0;
	ssize_t got;
	int fd;

	if (access(TOTAL_POOLS, R_OK))
		return false;
	fd = open(TOTAL_POOLS, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	while (len + BUFSIZ < sizeof(content) &&
	       (got = read(fd, content + len, BUFSIZ)) > 0)
		len += got;
	close(fd);
	if (got)
		return false;
	content[len] = '\0';
	*kib = strtoull(content, NULL, 10);

	return *kib != ULLONG_MAX;
}

/*
 * And as Pixel's collector of statistics does, which is strict: blanks at both
 * ends go, and what is left has to be digits only, without a sign.
 */
static bool pixelstats_reads(unsigned long long *kib)
{
	char content[MAX_TEXT], *begin = content, *end;

	if (file_read(TOTAL_POOLS, content, sizeof(content)))
		return false;
	begin += strspn(begin, " \t\n\v\f\r");
	end = begin + strlen(begin);
	while (end > begin && strchr(" \t\n\v\f\r", end[-1]))
		*--end = '\0';
	if (!*begin || *begin == '-')
		return false;
	errno = 0;
	*kib = strtoull(begin, &end, 10);

	return !errno && !*end;
}

/* What is in all pools, each once, without what is only for a heap */
static long long pools_kib(void)
{
	const char *seen[HEAP_MAX];
	int i, j, count = 0;
	long long bytes = 0;

	for (i = 0; i < heap_count; i++) {
		const char *pool = heap_pool(heap_list[i]);

		if (heap_is_reserved(heap_list[i]))
			continue;
		for (j = 0; j < count; j++)
			if (!strcmp(seen[j], pool))
				break;
		if (j < count)
			continue;
		seen[count++] = strdup(pool);
		bytes += pool_get(heap_list[i], "zeroed_bytes") +
			 pool_get(heap_list[i], "unzeroed_bytes");
	}
	while (count--)
		free((char *)seen[count]);

	return bytes / 1024;
}

static bool totals_agree(void)
{
	unsigned long long kib;

	return libmeminfo_reads(&kib) && (long long)kib == pools_kib();
}

TEST_F(all, android_reads_the_total_of_all_pools)
{
	char text[MAX_TEXT], expected[MAX_TEXT];
	unsigned long long kib, strict;
	int i, fd;

	/* Only all heaps have all pools */
	if (getenv("HEAP"))
		SKIP(return, "HEAP leaves out heaps whose pools count");
	for (i = 0; i < heap_count; i++) {
		fd = heap_alloc(self->fds[i], KIB(28));
		ASSERT_LE(0, fd);
		EXPECT_EQ(0, close(fd));
	}
	EXPECT_TRUE(WAIT_FOR(totals_agree()))
		TH_LOG("%lld KiB in the pools", pools_kib());
	EXPECT_LT(0, pools_kib());
	ASSERT_TRUE(libmeminfo_reads(&kib));
	ASSERT_TRUE(pixelstats_reads(&strict));
	EXPECT_EQ(kib, strict);

	/* One decimal line and nothing else */
	ASSERT_EQ(0, file_read(TOTAL_POOLS, text, sizeof(text)));
	snprintf(expected, sizeof(expected), "%llu\n", kib);
	EXPECT_STREQ(expected, text);
}

int main(int argc, char **argv)
{
	heap_tests_init();
	heap_register(&_account_fixture_object);

	return test_harness_run(argc, argv);
}

// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoints of heaps: that each event is there when something happens, as
 * often as it happens, and with the right values. Done in an instance of tracefs
 * of its own.
 */

#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "heap_cgroup.h"
#include "heap_faults.h"
#include "heap_fixture.h"
#include "heap_list.h"
#include "heap_loop.h"
#include "heap_regions.h"

#define TRACEFS		"/sys/kernel/tracing"
#define INSTANCE	TRACEFS "/instances/dmabuf-heap-trace"
#define TEST_CGROUP	"dmabuf-heap-trace"

FIXTURE(traced)
{
	int fd;
	int importer;
	int open_fds;
	long long bytes;
	long long max_bytes;
	long long decay_ms;
	char buffer_limit_bytes[32];
	char heap_limit_bytes[32];
	struct pool_stats stats;
};

FIXTURE_VARIANT(traced)
{
	char name[HEAP_NAME_SIZE];
};

/* What is not there, or NULL */
static const char *trace_begin(void)
{
	if (access(TRACEFS "/instances", F_OK))
		mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	if (mkdir(INSTANCE, 0755) && errno != EEXIST)
		return INSTANCE;
	if (file_write(INSTANCE "/events/dma_heap/enable", "1"))
		return INSTANCE "/events/dma_heap";
	file_write(INSTANCE "/buffer_size_kb", "1024");

	return NULL;
}

static void trace_end(void)
{
	file_write(INSTANCE "/events/dma_heap/enable", "0");
	rmdir(INSTANCE);
}

static void trace_clear(void)
{
	close(open(INSTANCE "/trace", O_WRONLY | O_TRUNC | O_CLOEXEC));
}

/* The next event of a trace that is one of heaps, as "name: values" */
static bool trace_next(FILE *trace, char *event, size_t size)
{
	char line[512], *at;

	while (fgets(line, sizeof(line), trace)) {
		at = line[0] == '#' ? NULL : strstr(line, ": dma_heap_");
		if (!at)
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(event, size, "%s", at + 2);
		return true;
	}

	return false;
}

/* How often there is exactly this event; -1 if there is no trace */
static int traced(const char *format, ...)
{
	char expected[512], event[512];
	int count = 0;
	va_list args;
	FILE *trace;

	va_start(args, format);
	vsnprintf(expected, sizeof(expected), format, args);
	va_end(args);

	trace = fopen(INSTANCE "/trace", "re");
	if (!trace)
		return -1;
	while (trace_next(trace, event, sizeof(event)))
		count += !strcmp(event, expected);
	fclose(trace);

	return count;
}

/*
 * The sum of the number behind @key in all events that begin with the text, and
 * have @end at their end; or how many there are if there is no key
 */
static long long trace_sum(const char *key, const char *end, const char *format,
			   ...)
{
	char begin[256], event[512], *at;
	long long sum = 0;
	va_list args;
	FILE *trace;

	va_start(args, format);
	vsnprintf(begin, sizeof(begin), format, args);
	va_end(args);

	trace = fopen(INSTANCE "/trace", "re");
	if (!trace)
		return -1;
	while (trace_next(trace, event, sizeof(event))) {
		if (strncmp(event, begin, strlen(begin)) ||
		    strlen(event) < strlen(end) ||
		    strcmp(event + strlen(event) - strlen(end), end))
			continue;
		at = key ? strstr(event, key) : NULL;
		if (key && !at)
			continue;
		sum += key ? atoll(at + strlen(key)) : 1;
	}
	fclose(trace);

	return sum;
}

FIXTURE_SETUP(traced)
{
	const char *missing;

	missing = trace_begin();
	if (missing)
		SKIP_UNLESS_NEEDED(return, "trace", "no %s", missing);
	self->fd = heap_open(variant->name, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fd);
	self->importer = importer_open();
	self->open_fds = open_fds();
	self->bytes = heap_attr(variant->name, "bytes");
	self->max_bytes = pool_get(variant->name, "max_bytes");
	self->decay_ms = pool_get(variant->name, "decay_ms");
	ASSERT_EQ(0, heap_attr_read(variant->name, "buffer_limit_bytes",
				    self->buffer_limit_bytes, sizeof(self->buffer_limit_bytes)));
	ASSERT_EQ(0, heap_attr_read(variant->name, "heap_limit_bytes",
				    self->heap_limit_bytes, sizeof(self->heap_limit_bytes)));
	ASSERT_EQ(0, pool_read_stats(heap_pool(variant->name), &self->stats));
	trace_clear();
}

FIXTURE_TEARDOWN(traced)
{
	trace_end();
	EXPECT_EQ(0, pool_set(variant->name, "max_bytes", self->max_bytes));
	EXPECT_EQ(0, pool_set(variant->name, "decay_ms", self->decay_ms));
	EXPECT_EQ(0, heap_attr_write(variant->name, "buffer_limit_bytes",
				     self->buffer_limit_bytes));
	EXPECT_EQ(0, heap_attr_write(variant->name, "heap_limit_bytes",
				     self->heap_limit_bytes));
	EXPECT_EQ(self->open_fds, open_fds());
	EXPECT_EQ(self->bytes, heap_attr(variant->name, "bytes"));
	close(self->importer);
	close(self->fd);
}

#define TRACE_TEST(name)	TEST_F_TIMEOUT(traced, name, HEAP_TEST_TIMEOUT)

static unsigned long inode_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : st.st_ino;
}

TRACE_TEST(alloc_and_free_are_one_event_each)
{
	unsigned long ino;
	int fd, copy;

	fd = heap_alloc(self->fd, PAGES(2) + 1);
	ASSERT_LE(0, fd);
	ino = inode_of(fd);
	EXPECT_EQ(1, traced("dma_heap_alloc: heap=%s size=%zu inode=%lu",
			    variant->name, PAGES(3), ino));
	copy = dup(fd);
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, traced("dma_heap_free: heap=%s size=%zu inode=%lu",
			    variant->name, PAGES(3), ino));
	EXPECT_EQ(0, close(copy));
	EXPECT_EQ(1, traced("dma_heap_free: heap=%s size=%zu inode=%lu",
			    variant->name, PAGES(3), ino));
	EXPECT_EQ(1, traced("dma_heap_alloc_start: heap=%s size=%zu", variant->name,
			    PAGES(3)));
	EXPECT_EQ(1, trace_sum(NULL, "", "dma_heap_alloc_start: "));
	EXPECT_EQ(1, trace_sum(NULL, "", "dma_heap_alloc: "));
	EXPECT_EQ(1, trace_sum(NULL, "", "dma_heap_free: "));
	EXPECT_EQ(0, trace_sum(NULL, "", "dma_heap_alloc_fail: "));
}

#define EXPECT_FAIL_EVENTS(count, size, reason)				\
	EXPECT_EQ(count, traced("dma_heap_alloc_fail: heap=%s size=%zu reason=%s", \
				variant->name, (size_t)(size), reason))

/* A page too much */
TRACE_TEST(too_large_is_one_event)
{
	ASSERT_EQ(0, heap_attr_set(variant->name, "buffer_limit_bytes", PAGES(2)));
	close(heap_alloc(self->fd, 0));
	EXPECT_EQ(0, trace_sum(NULL, "", "dma_heap_alloc_fail: "));
	close(heap_alloc(self->fd, PAGES(2) + 1));
	EXPECT_FAIL_EVENTS(1, PAGES(3), "too_large");
	EXPECT_EQ(1, trace_sum(NULL, "", "dma_heap_alloc_fail: "));
	/* One of length zero is no request */
	EXPECT_EQ(1, trace_sum(NULL, "", "dma_heap_alloc_start: "));
}

/* By the name that the event prints */
TRACE_TEST(events_of_one_buffer_are_filtered_by_inode)
{
	const char *filter = INSTANCE "/events/dma_heap/dma_heap_free/filter";
	int fds[2] = { heap_alloc(self->fd, PAGES(1)), heap_alloc(self->fd, PAGES(1)) };
	char text[64];

	ASSERT_LE(0, fds[0]);
	ASSERT_LE(0, fds[1]);
	snprintf(text, sizeof(text), "inode == %lu", inode_of(fds[1]));
	ASSERT_EQ(0, file_write(filter, text));
	EXPECT_EQ(0, close(fds[0]));
	EXPECT_EQ(0, trace_sum(NULL, "", "dma_heap_free: "));
	EXPECT_EQ(0, close(fds[1]));
	EXPECT_EQ(1, trace_sum(NULL, "", "dma_heap_free: "));
	EXPECT_EQ(0, file_write(filter, "0"));
}

TRACE_TEST(taking_over_a_buffer_is_one_event)
{
	struct agent agent = { };
	unsigned long ino;
	pid_t from;
	int fd;

	if (!cgroup_make(TEST_CGROUP))
		SKIP_UNLESS_NEEDED(return, "memcg", "no memory controller");
	ASSERT_EQ(0, agent_start(&agent, TEST_CGROUP, "agent", self->fd));
	from = agent.pid;
	ASSERT_EQ(0, agent_do(&agent, AGENT_ALLOC, 0, PAGES(2)));
	fd = agent_give(&agent, 0);
	ASSERT_LE(0, fd);
	ino = inode_of(fd);
	EXPECT_EQ(-EINVAL, buf_charge(fd, 1));
	EXPECT_EQ(0, trace_sum(NULL, "", "dma_heap_charge: "));
	EXPECT_EQ(0, buf_charge(fd, 0));
	EXPECT_EQ(1, traced("dma_heap_charge: heap=%s size=%zu inode=%lu from=%d",
			    variant->name, PAGES(2), ino, from));
	EXPECT_EQ(1, trace_sum(NULL, "", "dma_heap_charge: "));
	agent_kill(&agent);
	EXPECT_EQ(0, close(fd));
	EXPECT_TRUE(WAIT_FOR(cgroup_remove(TEST_CGROUP) != -EBUSY));
}

TRACE_TEST(limit_is_one_event)
{
	ASSERT_EQ(0, heap_attr_set(variant->name, "heap_limit_bytes",
				   self->bytes + PAGES(2)));
	close(heap_alloc(self->fd, PAGES(3)));
	EXPECT_FAIL_EVENTS(1, PAGES(3), "limit");
	EXPECT_EQ(1, trace_sum(NULL, "", "dma_heap_alloc_fail: "));
}

/* No room in the cgroup */
TRACE_TEST(failed_charge_is_one_event)
{
	struct agent agent = { };

	if (heap_is_reserved(variant->name))
		SKIP(return, "%s is not charged", variant->name);
	if (!cgroup_make(TEST_CGROUP))
		SKIP_UNLESS_NEEDED(return, "memcg", "no memory controller");
	ASSERT_EQ(0, cgroup_set(TEST_CGROUP, "memory.max", KIB(1024)));
	ASSERT_EQ(0, agent_start(&agent, TEST_CGROUP, "agent", self->fd));
	EXPECT_EQ(-ENOMEM, agent_do(&agent, AGENT_ALLOC, 0, MIB(2)));
	EXPECT_FAIL_EVENTS(1, MIB(2), "memcg");
	EXPECT_EQ(1, trace_sum(NULL, "", "dma_heap_alloc_fail: "));
	agent_kill(&agent);
	EXPECT_TRUE(WAIT_FOR(cgroup_remove(TEST_CGROUP) != -EBUSY));
}

/* Whichever piece of it is missing */
TRACE_TEST(lack_of_memory_is_one_event)
{
	const char *missing = fault_knobs_set();
	int fd, fail_nth, nth, failed = 0;
	bool more = true;

	if (missing) {
		fault_knobs_restore();
		SKIP_UNLESS_NEEDED(return, "faults", "cannot use %s", missing);
	}
	ASSERT_EQ(0, pool_set(variant->name, "max_bytes", 0));
	fail_nth = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fail_nth);
	for (nth = 1; more; nth++) {
		ASSERT_GT(1000, nth);
		trace_clear();
		fault_inject(fail_nth, nth);
		fd = heap_alloc(self->fd, PAGES(4));
		more = fault_injected(fail_nth);
		failed += fd < 0;
		EXPECT_FAIL_EVENTS(fd < 0, PAGES(4), "nomem");
		close(fd);
	}
	close(fail_nth);
	fault_knobs_restore();
	EXPECT_LT(0, failed);
}

#define KILLS	60

/* Where an allocation takes long enough to be killed in it */
TRACE_TEST(kill_is_one_event)
{
	long long killed = heap_attr(variant->name, "failures/killed");
	struct loop_buffer buffer = { self->fd, MIB(64) };
	struct loop loop = { };
	int i;

	if (heap_largest(variant->name) < (long long)MIB(256))
		SKIP(return, "%s has no buffers that take long", variant->name);
	ASSERT_EQ(0, pool_set(variant->name, "max_bytes", 0));
	for (i = 0; i < KILLS; i++) {
		trace_clear();
		ASSERT_EQ(0, loop_start(&loop, loop_alloc_and_close, &buffer));
		EXPECT_EQ(-SIGKILL, loop_kill(&loop));
		if (heap_attr(variant->name, "failures/killed") > killed)
			break;
	}
	EXPECT_EQ(killed + 1, heap_attr(variant->name, "failures/killed"));
	EXPECT_FAIL_EVENTS(1, MIB(64), "killed");
}

/* By how much a counter of the pool is higher than before */
#define COUNTED(counter) \
	pool_counted(pool, &self->stats, offsetof(struct pool_stats, counter))

static bool pool_emptied(const char *heap, const char *pool)
{
	long long counted, freed;

	if (heap_is_reserved(heap))
		return true;

	return !pool_shrink(pool, &counted, &freed) && !pool_pages(pool);
}

/* Events are as many, and say as much, as the pool has counted */
TRACE_TEST(pool_events_agree_with_counters)
{
	const char *pool = heap_pool(variant->name);
	long long pages = page_size();
	int fd, i;

	ASSERT_TRUE(WAIT_FOR(pool_emptied(variant->name, pool)));
	ASSERT_EQ(0, pool_read_stats(pool, &self->stats));
	trace_clear();
	fd = heap_alloc(self->fd, PAGES(5));
	ASSERT_LE(0, fd);
	EXPECT_EQ(COUNTED(misses),
		  traced("dma_heap_pool_miss: pool=%s size=%zu", pool, PAGES(5)));
	EXPECT_EQ(0, close(fd));
	ASSERT_TRUE(WAIT_FOR(!COUNTED(dirty_pages)));

	for (i = 0; i < 60; i++) {
		/* Large enough that some have to be scrubbed on the spot */
		fd = buf_filled(self->fd, i % 2 ? PAGES(5) : KIB(256), i);
		ASSERT_LE(0, fd);
		EXPECT_EQ(0, close(fd));
	}
	ASSERT_TRUE(WAIT_FOR(pool_pages(pool) >= 0 &&
			     COUNTED(scrubbed_pages) * pages ==
			     trace_sum("size=", " by=scrubber ret=0",
				       "dma_heap_scrub: pool=%s ", pool)))
		TH_LOG("%lld pages, %lld bytes traced", COUNTED(scrubbed_pages),
		       trace_sum("size=", " by=scrubber ret=0",
				 "dma_heap_scrub: pool=%s ", pool));
	EXPECT_EQ(COUNTED(paid_pages) * pages,
		  trace_sum("size=", " by=task ret=0", "dma_heap_scrub: pool=%s ",
			    pool));
	EXPECT_EQ(COUNTED(hits), trace_sum(NULL, " clean",
					   "dma_heap_pool_hit: pool=%s ", pool));
	EXPECT_EQ(COUNTED(dirty_hits),
		  trace_sum(NULL, " dirty", "dma_heap_pool_hit: pool=%s ", pool));
	EXPECT_EQ(COUNTED(misses),
		  trace_sum(NULL, "", "dma_heap_pool_miss: pool=%s ", pool));
	EXPECT_LT(0, COUNTED(hits) + COUNTED(dirty_hits));
	EXPECT_LT(0, COUNTED(scrubbed_pages) + COUNTED(paid_pages));
	EXPECT_EQ(61, trace_sum(NULL, "", "dma_heap_alloc: heap=%s ",
				variant->name));
}

TRACE_TEST(shrinking_is_one_event)
{
	const char *pool = heap_pool(variant->name);
	long long counted, freed;
	int fd;

	if (heap_is_reserved(variant->name))
		SKIP(return, "%s gives nothing back to the system",
		     variant->name);
	ASSERT_TRUE(WAIT_FOR(pool_emptied(variant->name, pool)));
	fd = heap_alloc(self->fd, PAGES(9));
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
	ASSERT_TRUE(WAIT_FOR(pool_is_clean(pool, 9)));
	ASSERT_EQ(0, pool_read_stats(pool, &self->stats));
	trace_clear();
	ASSERT_EQ(0, pool_shrink(pool, &counted, &freed));
	EXPECT_EQ(9, freed);
	EXPECT_EQ(9, COUNTED(shrunk_pages));
	EXPECT_EQ(1, traced("dma_heap_shrink: pool=%s pages=9", pool));
	EXPECT_EQ(0, trace_sum(NULL, "", "dma_heap_decay: "));

	/* Nothing is no event */
	ASSERT_EQ(0, pool_shrink(pool, &counted, &freed));
	EXPECT_EQ(1, trace_sum(NULL, "", "dma_heap_shrink: pool=%s ", pool));
}

TRACE_TEST(decay_events_add_up)
{
	const char *pool = heap_pool(variant->name);
	int fd;

	fd = heap_alloc(self->fd, PAGES(11));
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
	ASSERT_TRUE(WAIT_FOR(!COUNTED(dirty_pages)));
	ASSERT_EQ(0, pool_read_stats(pool, &self->stats));
	ASSERT_LE(11, self->stats.clean_pages);
	trace_clear();
	ASSERT_EQ(0, pool_set(variant->name, "decay_ms", 20));
	EXPECT_TRUE(WAIT_FOR(!pool_pages(pool)));
	EXPECT_TRUE(WAIT_FOR(COUNTED(decayed_pages) ==
			     trace_sum("pages=", "", "dma_heap_decay: pool=%s ",
				       pool)))
		TH_LOG("%lld pages decayed, %lld traced", COUNTED(decayed_pages),
		       trace_sum("pages=", "", "dma_heap_decay: pool=%s ", pool));
	EXPECT_EQ(self->stats.clean_pages, COUNTED(decayed_pages));
	EXPECT_EQ(0, trace_sum(NULL, "", "dma_heap_shrink: pool=%s ", pool));
}

/* Bytes that were maintained since the last question, -1 if nobody counts them */
static long long really_maintained(int importer)
{
	struct sync_count clean = { }, drop = { };

	if (importer_counted(importer, &clean, &drop) ||
	    importer_do(importer, "count"))
		return -1;

	return clean.bytes + drop.bytes;
}

/* The last of an event of the buffer's: what was maintained for it */
static long long maintained_for(const char *event, const char *rest, int *count)
{
	char line[512], *at;
	long long value = -1;
	FILE *trace;

	*count = 0;
	trace = fopen(INSTANCE "/trace", "re");
	if (!trace)
		return -1;
	while (trace_next(trace, line, sizeof(line))) {
		if (strncmp(line, event, strlen(event)) || !strstr(line, rest))
			continue;
		at = strstr(line, " maintained=");
		value = at ? atoll(at + strlen(" maintained=")) : -1;
		++*count;
	}
	fclose(trace);

	return value;
}

/* One event that says what there really was to be done */
#define EXPECT_MAINTAINED(event, ...) do {				\
	const char *_event = event;					\
	char _rest[256];						\
	int _count;							\
									\
	snprintf(_rest, sizeof(_rest), __VA_ARGS__);			\
	EXPECT_EQ(really_maintained(watcher),				\
		  maintained_for(_event, _rest, &_count));		\
	EXPECT_EQ(1, _count)						\
		TH_LOG("%s %s", _event, _rest);				\
	trace_clear();							\
} while (0)

TRACE_TEST(maps_and_syncs_tell_what_was_maintained)
{
	const size_t len = PAGES(16);
	long long begun, cached = heap_attr(variant->name, "cached");
	unsigned long ino;
	int fd, watcher;

	if (self->importer < 0)
		SKIP_UNLESS_NEEDED(return, "importer", "no test importer");
	if (heap_attr(variant->name, "protected"))
		SKIP(return, "the CPU cannot map what %s has", variant->name);
	fd = heap_alloc(self->fd, len);
	ASSERT_LE(0, fd);
	ino = inode_of(fd);
	watcher = importer_open();
	ASSERT_LE(0, watcher);
	if (importer_do(watcher, "watch %d", fd)) {
		close(watcher);
		close(fd);
		SKIP_UNLESS_NEEDED(return, "counts",
				   "nobody counts what is maintained");
	}
	ASSERT_EQ(0, importer_do(watcher, "count"));
	trace_clear();

	/* The CPU writes before there is any device */
	ASSERT_EQ(0, buf_sync(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE));
	EXPECT_MAINTAINED("dma_heap_sync: ",
			  "inode=%lu begin dir=to_device offset=0 len=%zu ", ino,
			  len);
	ASSERT_EQ(0, buf_sync(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE));
	EXPECT_MAINTAINED("dma_heap_sync: ",
			  "inode=%lu end dir=to_device offset=0 len=%zu ", ino,
			  len);

	/* A device reads what it wrote: all of it is written back, once */
	ASSERT_EQ(0, importer_do(self->importer, "import %d %d", fd,
				 IMPORTER_64));
	ASSERT_EQ(0, importer_do(self->importer, "map %d", DEVICE_READS));
	EXPECT_EQ(cached ? len : 0,
		  trace_sum(" maintained=", "", "dma_heap_map: "));
	EXPECT_MAINTAINED("dma_heap_map: dev=",
			  " inode=%lu size=%zu dir=to_device ", ino, len);
	ASSERT_EQ(0, importer_do(self->importer, "unmap"));
	EXPECT_MAINTAINED("dma_heap_unmap: dev=",
			  " inode=%lu size=%zu dir=to_device ", ino, len);
	ASSERT_EQ(0, importer_do(self->importer, "map %d",
				 DEVICE_READS_AND_WRITES));
	EXPECT_EQ(0, trace_sum(" maintained=", "", "dma_heap_map: "));
	EXPECT_MAINTAINED("dma_heap_map: dev=",
			  " inode=%lu size=%zu dir=bidirectional ", ino, len);

	/* The CPU reads a part of what the device may have written */
	ASSERT_EQ(0, buf_sync_partial(fd, DMA_BUF_SYNC_START |
				      DMA_BUF_SYNC_READ, PAGES(2), PAGES(1)));
	begun = trace_sum(" maintained=", "", "dma_heap_sync: ");
	EXPECT_EQ(cached ? PAGES(1) : 0, begun);
	EXPECT_MAINTAINED("dma_heap_sync: ",
			  "inode=%lu begin dir=from_device offset=%zu len=%zu ",
			  ino, PAGES(2), PAGES(1));
	ASSERT_EQ(0, buf_sync_partial(fd, DMA_BUF_SYNC_END |
				      DMA_BUF_SYNC_READ, PAGES(2), PAGES(1)));
	EXPECT_EQ(0, trace_sum(" maintained=", "", "dma_heap_sync: "));
	EXPECT_MAINTAINED("dma_heap_sync: ",
			  "inode=%lu end dir=from_device offset=%zu len=%zu ",
			  ino, PAGES(2), PAGES(1));

	/* And writes one */
	ASSERT_EQ(0, buf_sync_partial(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW,
				      PAGES(4), PAGES(2)));
	EXPECT_MAINTAINED("dma_heap_sync: ",
			  "inode=%lu begin dir=bidirectional offset=%zu len=%zu ",
			  ino, PAGES(4), PAGES(2));
	ASSERT_EQ(0, buf_sync_partial(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW,
				      PAGES(4), PAGES(2)));
	EXPECT_EQ(cached ? PAGES(2) : 0,
		  trace_sum(" maintained=", "", "dma_heap_sync: "));
	EXPECT_MAINTAINED("dma_heap_sync: ",
			  "inode=%lu end dir=bidirectional offset=%zu len=%zu ",
			  ino, PAGES(4), PAGES(2));
	ASSERT_EQ(0, importer_do(self->importer, "drop"));
	EXPECT_EQ(0, close(watcher));
	EXPECT_EQ(0, close(fd));
}

int main(int argc, char **argv)
{
	heap_tests_init();
	heap_register(&_traced_fixture_object);

	return test_harness_run(argc, argv);
}

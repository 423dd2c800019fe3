// SPDX-License-Identifier: GPL-2.0
/*
 * Heaps as modules: who loads them, that they stay, and that a module whose
 * initialisation fails, wherever it does, leaves nothing behind.
 *
 * What is loaded stays, so each test is for a machine in a certain state, which
 * NEED in the environment names, and is skipped elsewhere:
 *
 * spared: a machine without any region for heaps, after coldplug
 * autoload: a machine with carveouts and on-chip memory, after coldplug, but nothing
 *	else loaded; and sample, if there is the heap of samples/dma-buf, too
 * unloaded: a machine with one CMA area and carveouts, nothing loaded at all
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "../kselftest_harness.h"
#include "heap_faults.h"
#include "heap_module.h"
#include "heap_regions.h"

#define TIMEOUT		240
#define DRIVER		"carveout_heap"
#define SRAM		"sram_heap"
#define PROTECTOR	"dma_heap_test_protector"
#define SAMPLE		"dmabuf_heap_sample"

/* Two that are right and eight that are not, which do no harm to those */
#define PREFILL		"4096:x,65536:3,4096,4096:1:1,0:1,1000:1,65536:4294967297," \
			"18446744073709617152:1,:,1048576:2"
#define PREFILLED	(3 * KIB(64) + 2 * MIB(1))
#define PREFILL_WRONG	8
#define WAITS		"waiting for a driver to call dma_heap_set_protection()"

/* Each after what it needs */
static const char *const modules[] = {
	"dma_heap_pool", "dma_heap_buffer", "dma_heap_space", "system_heap",
	"cma_heap", "carveout_heap", SRAM,
};

static struct cma_heap cma_heaps[MAX_AREAS];
static int cma_heap_count;
static struct carveout carveouts[MAX_CARVEOUTS];
static int carveout_count;

static bool any_loaded(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(modules); i++)
		if (module_is_loaded(modules[i]))
			return true;

	return false;
}

static int open_module(const char *module)
{
	char path[512];
	struct utsname name;
	int fd;

	if (uname(&name))
		return -errno;
	snprintf(path, sizeof(path),
		 "/lib/modules/%s/kernel/drivers/dma-buf/heaps/%s.ko",
		 name.release, module);
	fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* Without what modprobe does: in this task, and with its errno */
static int load(const char *module)
{
	int fd = open_module(module), ret;

	if (fd < 0)
		return fd;
	ret = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);

	return ret;
}

/* A heap that can be seen can be used, and is there as a whole */
static bool heap_works(const char *heap)
{
	int heap_fd = heap_open(heap, O_RDWR | O_CLOEXEC), fd;

	fd = heap_alloc(heap_fd, KIB(4));
	close(fd);
	close(heap_fd);

	/* On-chip memory has no pool */
	return fd >= 0 && (pool_get(heap, "max_bytes") >= 0 ||
			   heap_attr(heap, "area/size_bytes") > 0);
}

static bool all_heaps_work(void)
{
	char names[HEAP_MAX][HEAP_NAME_SIZE];
	int i, count = heap_names(names, HEAP_MAX);

	for (i = 0; i < count; i++) {
		if (heap_works(names[i]))
			continue;
		printf("# heap %s does not work\n", names[i]);
		return false;
	}

	return count > 0;
}

/* Protected ones need a provider */
static int missing_carveouts(void)
{
	int i, missing = 0;

	for (i = 0; i < carveout_count; i++)
		missing += !carveouts[i].protected &&
			   !heap_exists(carveouts[i].heap);

	return missing;
}

static int missing_cma_heaps(void)
{
	int i, missing = 0;

	for (i = 0; i < cma_heap_count; i++)
		missing += !heap_exists(cma_heaps[i].heap);

	return missing;
}

/* Offers the device of a node to its driver, if that has left it alone */
static void offer_device(const char *device)
{
	file_write("/sys/bus/platform/drivers_probe", device);
}

#define EXPECT_PERMANENT(module) do {					\
	const char *_module = module;					\
	char _line[512] = "";						\
									\
	EXPECT_TRUE(module_line(_module, _line, sizeof(_line)))		\
		TH_LOG("%s is not loaded", _module);			\
	EXPECT_NE(NULL, strstr(_line, "[permanent]"))			\
		TH_LOG("%s", _line);					\
	EXPECT_GT(0, module_unload(_module))				\
		TH_LOG("%s could be unloaded", _module);		\
	EXPECT_TRUE(module_is_loaded(_module));				\
} while (0)

/* A kernel for boards with such regions does not cost the others anything */
TEST(nothing_is_loaded_without_need)
{
	char names[HEAP_MAX][HEAP_NAME_SIZE];
	int i;

	if (!is_needed("spared"))
		SKIP(return, "NEED does not name spared");
	ASSERT_EQ(0, cma_heap_count);
	ASSERT_EQ(0, carveout_count);
	for (i = 0; i < ARRAY_SIZE(modules); i++) {
		EXPECT_FALSE(module_is_loaded(modules[i]))
			TH_LOG("%s", modules[i]);
	}
	EXPECT_EQ(0, heap_names(names, HEAP_MAX));
	EXPECT_GE(0, meminfo_kib("CmaTotal:"));

	/* Who insists is told that there is nothing */
	EXPECT_EQ(0, load("dma_heap_pool"));
	EXPECT_EQ(0, load("dma_heap_buffer"));
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(-ENODEV, load("cma_heap"));
		EXPECT_FALSE(module_is_loaded("cma_heap"));
		EXPECT_NE(0, module_load_by_name("cma_heap"));
		EXPECT_FALSE(module_is_loaded("cma_heap"));
	}
	EXPECT_EQ(0, heap_names(names, HEAP_MAX));
	EXPECT_NE(0, access("/sys/module/cma_heap", F_OK));

	/* A driver without a device is not wrong, and nothing stands in the way */
	EXPECT_EQ(0, module_load_by_name(DRIVER));
	EXPECT_PERMANENT(DRIVER);
	EXPECT_EQ(0, heap_names(names, HEAP_MAX));
	EXPECT_EQ(0, module_load_by_name("system_heap prefill=" PREFILL));
	EXPECT_PERMANENT("system_heap");
	EXPECT_TRUE(WAIT_FOR(pool_get("system", "zeroed_bytes") == PREFILLED))
		TH_LOG("%lld bytes", pool_get("system", "zeroed_bytes"));
	EXPECT_EQ(PREFILL_WRONG, kmsg_errors("system_heap: ", "cannot prefill"));
	EXPECT_EQ(1, kmsg_errors("system_heap: ", "cannot prefill 4096:x: "));
	EXPECT_TRUE(all_heaps_work());
}

#define PROTECTOR_FILES	"/sys/kernel/debug/dma_heap_test_protector/"

/* How many protected carveouts have a heap, or have been told to have none */
static int count_protected(bool refused)
{
	int i, count = 0;

	for (i = 0; i < carveout_count; i++)
		if (carveouts[i].protected)
			count += refused ?
				 kmsg_errors(carveouts[i].heap,
					     "cannot make heap") > 0 :
				 heap_exists(carveouts[i].heap);

	return count;
}

/*
 * The secure world may be late, and may not be able to protect anything when it
 * comes. Then there are no protected heaps, and it keeps none of their memory.
 */
static void load_failing_protector(struct __test_metadata *_metadata)
{
	int i, all = 0, torn = 0;
	char text[128];

	for (i = 0; i < carveout_count; i++) {
		all += carveouts[i].protected;
		if (!strcmp(carveouts[i].heap, "torn"))
			torn = i;
	}
	EXPECT_LT(1, all);
	ASSERT_TRUE(carveouts[torn].protected);
	EXPECT_EQ(all, kmsg_lines(KMSG_INFO, "dma-heap-carveout", WAITS));

	/* One that hangs does not stop the others, nor who has loaded it */
	snprintf(text, sizeof(text), PROTECTOR " fail_protect=1000000 hang_at=0x%llx",
		 carveouts[torn].base);
	ASSERT_EQ(0, module_load_by_name(text));
	EXPECT_TRUE(WAIT_FOR(count_protected(true) == all - 1));
	EXPECT_EQ(0, kmsg_errors("torn", "cannot make heap"));
	ASSERT_EQ(0, file_write(PROTECTOR_FILES "hang_at", "0"));
	EXPECT_TRUE(WAIT_FOR(count_protected(true) == all));
	EXPECT_EQ(0, count_protected(false));
	EXPECT_LE(all, 1000000 - file_number(PROTECTOR_FILES "fail_protect"));
	EXPECT_EQ(0, file_read(PROTECTOR_FILES "ranges", text, sizeof(text)));
	EXPECT_STREQ("", text);
	EXPECT_EQ(0, missing_carveouts());
	EXPECT_TRUE(all_heaps_work());
}

/* True once the driver, which leaves a device that it has no heap for, has made one */
static bool offered(const struct carveout *carveout)
{
	char device[2 * HEAP_NAME_SIZE];

	node_device(device, sizeof(device), carveout->node);
	offer_device(device);

	return heap_exists(carveout->heap);
}

/* When it can, it is up to somebody to try again */
static void try_protected_again(struct __test_metadata *_metadata)
{
	int i;

	ASSERT_EQ(0, file_write(PROTECTOR_FILES "fail_protect", "0"));
	for (i = 0; i < carveout_count; i++) {
		if (!carveouts[i].protected)
			continue;
		EXPECT_TRUE(WAIT_FOR(offered(&carveouts[i])))
			TH_LOG("no heap %s", carveouts[i].heap);
	}
}

/* The kernel tells of its devices, and that is enough to get their driver */
TEST(carveouts_load_their_module)
{
	char last[64];
	int i;

	if (!is_needed("autoload"))
		SKIP(return, "NEED does not name autoload");
	ASSERT_LT(0, carveout_count);
	ASSERT_LT(0, cma_heap_count);
	EXPECT_PERMANENT(DRIVER);
	EXPECT_EQ(0, missing_carveouts());
	EXPECT_PERMANENT(SRAM);
	EXPECT_TRUE(heap_exists("sram"));
	EXPECT_EQ(0, heap_attr_read("sram", "failures/last", last, sizeof(last)));
	EXPECT_STREQ("none", last);
	EXPECT_FALSE(module_is_loaded("system_heap"));
	EXPECT_FALSE(module_is_loaded("cma_heap"));
	EXPECT_EQ(cma_heap_count, missing_cma_heaps());

	/* After that, in any order */
	EXPECT_EQ(0, module_load_by_name("cma_heap"));
	EXPECT_EQ(0, missing_cma_heaps());
	EXPECT_EQ(0, module_load_by_name("system_heap"));
	EXPECT_TRUE(all_heaps_work());
	for (i = 0; i < ARRAY_SIZE(modules); i++)
		EXPECT_PERMANENT(modules[i]);

	for (i = 0; i < carveout_count; i++)
		EXPECT_EQ(!carveouts[i].protected, heap_exists(carveouts[i].heap));
	load_failing_protector(_metadata);
	try_protected_again(_metadata);
	EXPECT_TRUE(all_heaps_work());
}

/* Whether a process runs a program, which has nothing to do at present */
static bool sleeps_in(pid_t pid, const char *program)
{
	char path[64], stat[128], wanted[64];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	snprintf(wanted, sizeof(wanted), "%d (%s) S ", pid, program);

	return !file_read(path, stat, sizeof(stat)) && !strncmp(stat, wanted, strlen(wanted));
}

/* By dmaheap of tools/dma-buf */
TEST(late_heap_is_waited_for)
{
	pid_t tool;

	if (!is_needed("autoload"))
		SKIP(return, "NEED does not name autoload");
	ASSERT_FALSE(heap_exists("sample"));
	tool = fork();
	ASSERT_LE(0, tool);
	if (!tool) {
		execlp("dmaheap", "dmaheap", "alloc", "--wait", "1h", "sample", "4k", NULL);
		_exit(127);
	}
	EXPECT_TRUE(WAIT_FOR(sleeps_in(tool, "dmaheap")));
	if (module_load_by_name(SAMPLE)) {
		child_kill(tool);
		SKIP_UNLESS_NEEDED(return, "sample", "no module " SAMPLE);
	}
	EXPECT_EQ(0, child_end(tool));
}

/* A heap from outside of the kernel's tree is no different, and says what it is like */
TEST(sample_stays_loaded_and_works)
{
	if (!is_needed("autoload"))
		SKIP(return, "NEED does not name autoload");
	if (module_load_by_name(SAMPLE))
		SKIP_UNLESS_NEEDED(return, "sample", "no module " SAMPLE);
	EXPECT_PERMANENT(SAMPLE);
	EXPECT_TRUE(heap_works("sample"));
	EXPECT_EQ(1, heap_attr("sample", "contiguous"));
	EXPECT_EQ(1, heap_attr("sample", "cached"));
}

/* Failures */

#define MAX_NTH		20000

/* What a module can leave behind */
static const char *const traces[] = {
	HEAP_DIR, "/sys/class/dma_heap", "/sys/kernel/debug/dma_heap",
	"/sys/bus/platform/drivers",
};

struct footprint {
	int entries[ARRAY_SIZE(traces)];
};

static int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	int count = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		count++;
	closedir(dir);

	return count;
}

static struct footprint look(void)
{
	struct footprint footprint;
	int i;

	for (i = 0; i < ARRAY_SIZE(traces); i++)
		footprint.entries[i] = count_entries(traces[i]);

	return footprint;
}

/* Loads the module with one failure after the other; returns how many it took */
static int load_with_failures(struct __test_metadata *_metadata, int fail_nth,
			      const char *module)
{
	struct footprint before = look(), after;
	char path[128];
	bool injected;
	int nth, ret;

	ASSERT_EQ(NULL, fault_only_within("do_one_initcall", true));
	snprintf(path, sizeof(path), "/sys/module/%s", module);
	for (nth = 1; nth < MAX_NTH; nth++) {
		fault_inject(fail_nth, nth);
		ret = load(module);
		injected = fault_injected(fail_nth);
		if (!ret)
			break;

		EXPECT_TRUE(injected)
			TH_LOG("%s: failed without a reason: %d", module, ret);
		EXPECT_FALSE(module_is_loaded(module));
		EXPECT_NE(0, access(path, F_OK));
		after = look();
		for (int i = 0; i < ARRAY_SIZE(traces); i++) {
			EXPECT_EQ(before.entries[i], after.entries[i])
				TH_LOG("%s: something new in %s after failure %d",
				       module, traces[i], nth);
		}
		if (!injected)
			break;
	}
	EXPECT_EQ(0, ret);
	EXPECT_TRUE(module_is_loaded(module));

	return nth;
}

/*
 * What an uninterested driver leaves alone can be offered to it again. Returns
 * how often it was, until it took the device.
 */
static int probe_with_failures(struct __test_metadata *_metadata, int fail_nth,
			       const struct carveout *carveout)
{
	struct footprint before = look(), after;
	char device[2 * HEAP_NAME_SIZE];
	int nth;

	/* The table of a region is in pages that can be had in another way */
	ASSERT_EQ(NULL, fault_only_within("platform_probe", false));
	node_device(device, sizeof(device), carveout->node);
	for (nth = 1; nth < MAX_NTH; nth++) {
		bool injected;

		fault_inject(fail_nth, nth);
		offer_device(device);
		injected = fault_injected(fail_nth);
		if (heap_exists(carveout->heap))
			break;
		EXPECT_TRUE(injected)
			TH_LOG("%s: no heap without a reason", device);
		after = look();
		for (int i = 0; i < ARRAY_SIZE(traces); i++) {
			EXPECT_EQ(before.entries[i], after.entries[i])
				TH_LOG("%s: something new in %s after failure %d",
				       device, traces[i], nth);
		}
		if (!injected)
			break;
	}
	EXPECT_TRUE(heap_exists(carveout->heap));

	return nth;
}

/* Nothing is loaded, and it is up to the test what fails */
FIXTURE(unloaded)
{
	int fail_nth;
};

FIXTURE_SETUP(unloaded)
{
	const char *missing;

	if (!is_needed("unloaded"))
		SKIP(return, "NEED does not name unloaded");
	ASSERT_FALSE(any_loaded());
	ASSERT_LT(0, cma_heap_count);
	ASSERT_LT(0, carveout_count);
	missing = fault_knobs_set();
	ASSERT_EQ(NULL, missing)
		TH_LOG("cannot use %s", missing);
	self->fail_nth = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->fail_nth);
}

FIXTURE_TEARDOWN(unloaded)
{
	fault_knobs_restore();
	close(self->fail_nth);
}

/*
 * The driver of the carveouts comes first here, and the heap of the system last. A
 * module that can do without one of its heaps is there when that has failed. For
 * a carveout it is offered the device again.
 */
TEST_F_TIMEOUT(unloaded, failing_init_leaves_nothing, TIMEOUT)
{
	static const struct {
		const char *name;
		int failures;
	} order[] = {
		{ "dma_heap_pool", 0 },
		{ "dma_heap_buffer", 0 },
		{ "dma_heap_space", 0 },
		{ "carveout_heap", 1 },
		{ "cma_heap", 1 },
		{ "system_heap", 8 },
		{ SRAM, 0 },
	};
	int i, taken, offered = 0;

	for (i = 0; i < ARRAY_SIZE(order); i++) {
		taken = load_with_failures(_metadata, self->fail_nth,
					   order[i].name);
		TH_LOG("%s: loaded at attempt %d", order[i].name, taken);
		/*
		 * The heap, its device, the pool, the node, and so on. It ends with
		 * the first failure that can be done without: that of one of the
		 * names of an area, for example.
		 */
		EXPECT_LT(order[i].failures, taken);
		EXPECT_PERMANENT(order[i].name);
	}
	/* One of the names of the only area has to do, if the other one failed */
	EXPECT_GE(1, missing_cma_heaps());
	EXPECT_EQ(2, cma_heap_count);
	for (i = 0; i < carveout_count; i++) {
		if (carveouts[i].protected || heap_exists(carveouts[i].heap))
			continue;
		taken = probe_with_failures(_metadata, self->fail_nth,
					    &carveouts[i]);
		TH_LOG("%s: taken at offer %d", carveouts[i].node, taken);
		EXPECT_LT(10, taken);
		offered++;
	}
	/* The one whose allocation it was that the driver could live without */
	EXPECT_EQ(1, offered);
	EXPECT_EQ(0, missing_carveouts());
	EXPECT_TRUE(all_heaps_work());
}

int main(int argc, char **argv)
{
	cma_heap_count = cma_heaps_find(cma_heaps, MAX_AREAS);
	carveout_count = carveouts_find(carveouts, MAX_CARVEOUTS);

	return test_harness_run(argc, argv);
}

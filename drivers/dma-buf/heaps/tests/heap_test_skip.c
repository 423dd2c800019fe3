// SPDX-License-Identifier: GPL-2.0
/*
 * Skip a test if the machine lacks something, or fail it if the machine must have it
 */

#define pr_fmt(fmt) "heap_test_helpers: " fmt

#include <linux/array_size.h>
#include <linux/errno.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>
#include <linux/string.h>
#include <linux/types.h>

#include <kunit/test.h>

#include "heap_test_helpers.h"

/*
 * A test may need these things of the machine or of the kernel:
 *
 * area: a default area of contiguous memory, "cma="
 * builtin: the suites are built in, and see symbols that modules do not see
 * faults: CONFIG_FAILSLAB with its files in debugfs
 * nodes: CPUs on two NUMA nodes
 * noncoherent: devices that do not see the CPU's caches
 * swiotlb: bounce buffers, CONFIG_SWIOTLB and not CONFIG_SWIOTLB_DYNAMIC
 * trace: CONFIG_TRACEPOINTS
 * writecombine: an architecture that can map write-combined
 */
static const char * const heap_test_words[] = {
	"area", "builtin", "faults", "nodes", "noncoherent", "swiotlb", "trace",
	"writecombine",
};

static char heap_test_need[128];

static struct kparam_string heap_test_need_string = {
	.maxlen = sizeof(heap_test_need),
	.string = heap_test_need,
};

static bool heap_test_knows(const char *word, size_t len)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(heap_test_words); i++)
		if (strlen(heap_test_words[i]) == len &&
		    !strncmp(heap_test_words[i], word, len))
			return true;

	return false;
}

/* Refuse an unknown word: a mistyped word would let a test be skipped */
static int heap_test_set_need(const char *val, const struct kernel_param *kp)
{
	const char *word = val;
	size_t len;

	for (; *word; word += len, word += *word == ',') {
		len = strcspn(word, ",");
		if (!heap_test_knows(word, len)) {
			pr_err("need=%s: unknown word '%.*s'\n", val, (int)len,
			       word);
			return -EINVAL;
		}
	}

	return param_set_copystring(val, kp);
}

static const struct kernel_param_ops heap_test_need_ops = {
	.set = heap_test_set_need,
	.get = param_get_string,
};
module_param_cb(need, &heap_test_need_ops, &heap_test_need_string, 0444);
MODULE_PARM_DESC(need, "what the machine has, comma separated: tests that need it fail instead of being skipped");

static bool heap_test_needs(const char *word)
{
	size_t len = strlen(word);
	const char *need;

	for (need = heap_test_need; *need; need += *need == ',') {
		if (strcspn(need, ",") == len && !strncmp(need, word, len))
			return true;
		need += strcspn(need, ",");
	}

	return false;
}

/*
 * Skip the test for @reason, because the machine lacks @word. If the parameter "need"
 * has that word, the test fails instead: the machine was made to have it.
 */
void heap_test_skip(struct kunit *test, const char *word, const char *reason)
{
	if (!heap_test_knows(word, strlen(word)))
		KUNIT_FAIL_AND_ABORT(test, "heap_test_words has no '%s'", word);
	if (heap_test_needs(word))
		KUNIT_FAIL_AND_ABORT(test, "need=%s, but this test %s", word,
				     reason);

	kunit_skip(test, "%s", reason);
}
EXPORT_SYMBOL_NS_GPL(heap_test_skip, EXPORTED_FOR_KUNIT_TESTING);

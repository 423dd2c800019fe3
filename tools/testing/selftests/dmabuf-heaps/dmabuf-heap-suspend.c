// SPDX-License-Identifier: GPL-2.0
/*
 * Suspend to idle: the scrubber does not hold it up, and goes on afterwards. Without
 * an alarm that wakes the machine up, nothing here suspends it.
 */

#include "heap_pool_fixture.h"
#include "heap_suspend.h"

/* When the alarm is to go off: if it works, if it has not yet, and if it need not */
#define SOON_S	2
#define LATE_S	60

/* The same without the end of it, for a second: devices are suspended, tasks frozen */
static int suspend_devices(void)
{
	int ret;

	ret = file_write(SUSPEND_DELAY, "1");
	if (!ret)
		ret = file_write(SUSPEND_POWER "pm_test", "devices");
	if (!ret)
		ret = suspend_for(LATE_S);
	file_write(SUSPEND_POWER "pm_test", "none");
	file_write(SUSPEND_ALARM, "0");

	return ret;
}

/* More than the scrubber gets done before somebody looks */
static int make_dirty(int heap_fd)
{
	return pool_fill(heap_fd, MIB(4), 64);
}

static bool pool_is_dirty(const char *heap)
{
	struct pool_stats stats;

	return !pool_read_stats(heap, &stats) && stats.dirty_pages;
}

/* With no allocation that could help it */
static bool scrubber_works(int heap_fd, const char *heap)
{
	struct pool_stats before, now;

	if (!WAIT_FOR(!pool_is_dirty(heap)) || pool_read_stats(heap, &before) ||
	    make_dirty(heap_fd))
		return false;

	return WAIT_FOR(!pool_read_stats(heap, &now) && !now.dirty_pages &&
			now.scrubbed_pages > before.scrubbed_pages);
}

#define ATTEMPTS	5

POOL_TEST(scrubber_is_frozen_with_its_work_undone)
{
	bool undone = false;
	int i;

	if (!suspend_can_suspend())
		SKIP_UNLESS_NEEDED(return, "suspend", "no " SUSPEND_POWER "pm_test");
	if (!suspend_has_alarm())
		SKIP_UNLESS_NEEDED(return, "alarm", "no clock with an alarm");

	/* On a busy machine the scrubber may be done before it is frozen */
	for (i = 0; i < ATTEMPTS && !undone; i++) {
		ASSERT_EQ(0, make_dirty(self->fd));
		EXPECT_EQ(0, suspend_devices());
		undone = pool_is_dirty(variant->name);
	}
	EXPECT_TRUE(undone)
		TH_LOG("%s", pool_text(variant->name));
	EXPECT_TRUE(scrubber_works(self->fd, variant->name))
		TH_LOG("%s", pool_text(variant->name));
}

POOL_TEST(scrubber_goes_on_when_the_alarm_wakes_the_machine)
{
	long long before = file_number(SUSPEND_POWER "suspend_stats/success");
	int ret = -EBUSY, seconds;
	char alarm[32];

	if (!suspend_can_suspend())
		SKIP_UNLESS_NEEDED(return, "suspend", "no " SUSPEND_POWER "pm_test");
	if (!suspend_has_alarm())
		SKIP_UNLESS_NEEDED(return, "alarm", "no clock with an alarm");

	ASSERT_LE(0, before);
	for (seconds = SOON_S; ret == -EBUSY && seconds < LATE_S; seconds *= 2) {
		ASSERT_EQ(0, make_dirty(self->fd));
		ret = suspend_for(seconds);
	}
	EXPECT_EQ(0, ret);
	EXPECT_TRUE(pool_is_dirty(variant->name))
		TH_LOG("%s", pool_text(variant->name));
	EXPECT_EQ(before + 1, file_number(SUSPEND_POWER "suspend_stats/success"));
	/* It is gone once it has gone off */
	EXPECT_EQ(0, file_read(SUSPEND_ALARM, alarm, sizeof(alarm)));
	EXPECT_STREQ("", alarm);
	EXPECT_TRUE(scrubber_works(self->fd, variant->name))
		TH_LOG("%s", pool_text(variant->name));
}

int main(int argc, char **argv)
{
	heap_tests_init();
	heap_register(&_pool_fixture_object);

	return test_harness_run(argc, argv);
}

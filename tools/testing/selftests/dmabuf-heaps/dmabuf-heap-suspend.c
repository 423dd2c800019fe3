// SPDX-License-Identifier: GPL-2.0
/*
 * Suspend to idle: the scrubber does not hold it up, and goes on afterwards. Without
 * an alarm that wakes the machine up, nothing here suspends it.
 */

#include "heap_pool_fixture.h"

/* Sleep */

#define POWER	"/sys/power/"
#define ALARM	"/sys/class/rtc/rtc0/wakealarm"
#define DELAY	"/sys/module/suspend/parameters/pm_test_delay"

/* When the alarm is to go off: if it works, if it has not yet, and if it need not */
#define SOON_S	2
#define LATE_S	60

static bool has_alarm(void)
{
	return !file_write(ALARM, "0");
}

static bool can_suspend(void)
{
	char text[64];

	return !access(POWER "pm_test", W_OK) && !access(DELAY, W_OK) &&
	       !file_read(POWER "state", text, sizeof(text)) &&
	       strstr(text, "freeze");
}

/*
 * Suspends, but not for ever: the alarm is armed before that. Should it go off too
 * early, it is an event since wakeup_count was read, for which the kernel refuses to
 * suspend with EBUSY.
 */
static int suspend(int seconds)
{
	char count[32], alarm[32];
	int ret;

	snprintf(alarm, sizeof(alarm), "+%d", seconds);
	ret = file_read(POWER "wakeup_count", count, sizeof(count));
	if (!ret)
		ret = file_write(ALARM, "0");
	if (!ret)
		ret = file_write(ALARM, alarm);
	if (!ret)
		ret = file_write(POWER "wakeup_count", count);
	if (!ret)
		ret = file_write(POWER "state", "freeze");

	return ret;
}

/* The same without the end of it, for a second: devices are suspended, tasks frozen */
static int suspend_devices(void)
{
	int ret;

	ret = file_write(DELAY, "1");
	if (!ret)
		ret = file_write(POWER "pm_test", "devices");
	if (!ret)
		ret = suspend(LATE_S);
	file_write(POWER "pm_test", "none");
	file_write(ALARM, "0");

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

	if (!can_suspend())
		SKIP_UNLESS_NEEDED(return, "suspend", "no " POWER "pm_test");
	if (!has_alarm())
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
	long long before = file_number(POWER "suspend_stats/success");
	int ret = -EBUSY, seconds;
	char alarm[32];

	if (!can_suspend())
		SKIP_UNLESS_NEEDED(return, "suspend", "no " POWER "pm_test");
	if (!has_alarm())
		SKIP_UNLESS_NEEDED(return, "alarm", "no clock with an alarm");

	ASSERT_LE(0, before);
	for (seconds = SOON_S; ret == -EBUSY && seconds < LATE_S; seconds *= 2) {
		ASSERT_EQ(0, make_dirty(self->fd));
		ret = suspend(seconds);
	}
	EXPECT_EQ(0, ret);
	EXPECT_TRUE(pool_is_dirty(variant->name))
		TH_LOG("%s", pool_text(variant->name));
	EXPECT_EQ(before + 1, file_number(POWER "suspend_stats/success"));
	/* It is gone once it has gone off */
	EXPECT_EQ(0, file_read(ALARM, alarm, sizeof(alarm)));
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

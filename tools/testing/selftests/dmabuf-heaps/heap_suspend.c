// SPDX-License-Identifier: GPL-2.0
/* Suspend to idle, see heap_suspend.h */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "heap_file.h"
#include "heap_suspend.h"

bool suspend_has_alarm(void)
{
	return !file_write(SUSPEND_ALARM, "0");
}

bool suspend_can_suspend(void)
{
	char text[64];

	return !access(SUSPEND_POWER "pm_test", W_OK) && !access(SUSPEND_DELAY, W_OK) &&
	       !file_read(SUSPEND_POWER "state", text, sizeof(text)) &&
	       strstr(text, "freeze");
}

/*
 * Suspends, but not for ever: the alarm is armed before that. Should it go off too
 * early, it is an event since wakeup_count was read, for which the kernel refuses to
 * suspend with EBUSY.
 */
int suspend_for(int seconds)
{
	char count[32], alarm[32];
	int ret;

	snprintf(alarm, sizeof(alarm), "+%d", seconds);
	ret = file_read(SUSPEND_POWER "wakeup_count", count, sizeof(count));
	if (!ret)
		ret = file_write(SUSPEND_ALARM, "0");
	if (!ret)
		ret = file_write(SUSPEND_ALARM, alarm);
	if (!ret)
		ret = file_write(SUSPEND_POWER "wakeup_count", count);
	if (!ret)
		ret = file_write(SUSPEND_POWER "state", "freeze");

	return ret;
}

/* SPDX-License-Identifier: GPL-2.0 */
/* Suspend to idle, until an alarm wakes the machine up */
#ifndef HEAP_SUSPEND_H
#define HEAP_SUSPEND_H

#include <stdbool.h>

#define SUSPEND_POWER	"/sys/power/"
#define SUSPEND_ALARM	"/sys/class/rtc/rtc0/wakealarm"
#define SUSPEND_DELAY	"/sys/module/suspend/parameters/pm_test_delay"

bool suspend_has_alarm(void);
bool suspend_can_suspend(void);
int suspend_for(int seconds);

#endif /* HEAP_SUSPEND_H */

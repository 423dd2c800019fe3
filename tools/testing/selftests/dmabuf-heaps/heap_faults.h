/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Lets allocations in the kernel fail. Needs CONFIG_FAILSLAB,
 * CONFIG_FAIL_PAGE_ALLOC, CONFIG_FAULT_INJECTION_DEBUG_FS and root.
 */
#ifndef HEAP_FAULTS_H
#define HEAP_FAULTS_H

#include <stdbool.h>

const char *fault_knobs_set(void);
void fault_knobs_restore(void);

/*
 * Only allocations below @function fail, those of pages only with @pages, and none that
 * the kernel can do without: those of debugfs, and spare objects. Needs
 * CONFIG_FAULT_INJECTION_STACKTRACE_FILTER and a kernel that does not merge slabs.
 */
const char *fault_only_within(const char *function, bool pages);

/*
 * With a descriptor of /proc/self/make-it-fail: after the allocation that fault_inject()
 * names, each @every-th of this task fails, too, until two of slabs or two of pages have
 * failed. The second function ends that, and returns how many did.
 */
int fault_again(int make_it_fail, int every);
int fault_again_end(int make_it_fail);

/* A descriptor of a kernel thread's fail-nth, or a negative error */
int fault_open_kthread(const char *name);

/* With a descriptor of /proc/self/fail-nth, or of another task's */
void fault_inject(int fail_nth, int nth);
bool fault_injected(int fail_nth);

#endif /* HEAP_FAULTS_H */

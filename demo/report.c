// SPDX-License-Identifier: GPL-2.0
/*
 * The table: one row per fact, a group name in front of each group.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report.h"

#define CLAIMS	8

/* A macro, so that the compiler checks the format. */
#define row(group, label, ...)					\
	do {							\
		printf("%-8s %-16s ", group, label);		\
		printf(__VA_ARGS__);				\
		putchar('\n');					\
	} while (0)

static int by_value(const void *a, const void *b)
{
	__u64 x = *(const __u64 *)a;
	__u64 y = *(const __u64 *)b;

	return (x > y) - (x < y);
}

static void print_buffers(struct report *r)
{
	__u64 *ns = r->alloc_ns;
	unsigned int n = r->buffers;

	qsort(ns, n, sizeof(*ns), by_value);
	row("buffers", "allocated", "%u x %u bytes from %s, all zero", n, r->cam.size, r->heap);
	row("", "allocation", "min %.1f  median %.1f  max %.1f us", ns[0] / 1e3,
	    (ns[(n - 1) / 2] + ns[n / 2]) / 2e3, ns[n - 1] / 1e3);
}

static void print_stream(const struct report *r)
{
	const struct camera *cam = &r->cam;

	row("camera", "device", "%s, V4L2_MEMORY_DMABUF", cam->node);
	row("", "format", "%ux%u %.4s at %u frames/s", cam->width, cam->height,
	    (const char *)&cam->fourcc, cam->rate);
	row("stream", "frames", "%u captured, camera left out %u, sent %u twice", r->frames,
	    r->skipped, r->doubled);
	if (r->stream_ns)
		row("", "rate", "%.1f frames/s", (r->frames - 1) * 1e9 / r->stream_ns);
	row("", "bytes", "%.1f MB", r->bytes / 1e6);
}

static void print_checks(const struct report *r)
{
	row("checks", "both processes", "%u frames compared, %u mismatches", r->frames,
	    r->cpu_differs);
	row("", "heap and DRM", "%u frames compared, %u mismatches", r->frames, r->drm_differs);
	row("", "next frame", "%u frames compared, %u show an old picture",
	    r->frames - 1 - r->doubled, r->repeated);
	row("", "colour bars", "%u frames looked at, %u without", r->frames, r->no_picture);
}

static void print_memory(const struct report *r)
{
	if (r->usage_error) {
		row("memory", "DMA-BUFs", "not known: bufinfo: %s", strerror(r->usage_error));
		return;
	}
	row("memory", "while streaming", "%lu buffers, %lu bytes", r->peak_buffers, r->peak_bytes);
	row("", "left at the end", "%lu buffers", r->left);
}

/* Claims in the order of the table. A check that compared nothing proves nothing. */
unsigned int report_ktap(const struct report *r)
{
	const unsigned long page = sysconf(_SC_PAGESIZE);
	const unsigned long bytes = (r->cam.size + page - 1) / page * page * r->buffers;
	const struct {
		const char *claim;
		int ok;
	} claims[CLAIMS] = {
		{ "all_frames_arrive", r->frames == r->frames_wanted },
		{ "both_processes_read_the_same", !r->cpu_differs },
		{ "heap_and_drm_read_the_same", !r->drm_differs },
		{ "next_frame_is_another", !r->repeated && r->frames > 1 + r->doubled },
		{ "every_frame_has_colour_bars", !r->no_picture },
		{ "only_our_buffers_exist", !r->usage_error && r->peak_buffers == r->buffers &&
					    r->peak_bytes == bytes },
		{ "no_buffer_is_left", !r->usage_error && !r->left },
		{ "picture_goes_to_the_host", r->to_host },
	};
	unsigned int i, failed = 0;

	printf("TAP version 13\n1..%u\n", CLAIMS);
	for (i = 0; i < CLAIMS; i++) {
		printf("%sok %u %s\n", claims[i].ok ? "" : "not ", i + 1, claims[i].claim);
		failed += !claims[i].ok;
	}

	return failed;
}

void report_print(struct report *r)
{
	row("heaps", "found", "%s", r->heaps);
	print_buffers(r);
	print_stream(r);
	print_checks(r);
	print_memory(r);
	row("picture", "frame", "number %u, written to %s%s", r->kept, r->path,
	    r->to_host ? "" : " in the guest: no port to the host");
}

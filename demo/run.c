// SPDX-License-Identifier: GPL-2.0
/*
 * The demo: what a camera stack does with DMA-BUF heaps. This process is the
 * allocator and the camera; it gives every captured frame to the viewer, a
 * process of its own that knows the buffers only by fd. A buffer goes back to
 * the camera when the viewer has answered.
 */
#include <errno.h>
#include <libdmaheap.h>
#include <linux/types.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "camera.h"
#include "demo.h"
#include "frame.h"
#include "link.h"
#include "report.h"
#include "usage.h"
#include "viewer.h"

struct buffer {
	int fd;
	const __u8 *map;
	size_t size;	/* of the mapping */
};

struct demo {
	struct dmaheap_list *heaps;
	const char *heap;
	unsigned int width;
	unsigned int height;
	unsigned int rate;
	unsigned int frames;
	unsigned int buffers;
	int ktap;

	int sock;
	pid_t viewer;
	struct camera cam;
	struct buffer buffer[DEMO_MAX_BUFFERS];
	unsigned long buffers_before;
	unsigned long bytes_before;
	struct report report;
};

void fail(const char *step, const char *why)
{
	fflush(stdout);
	fprintf(stderr, "demo: FAILED at %s: %s\n", step, why);
	exit(1);
}

int check(int ret, const char *step)
{
	if (ret < 0)
		fail(step, strerror(-ret));

	return ret;
}

static __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void list_heaps(struct demo *d)
{
	size_t room = sizeof(d->report.heaps);
	const struct dmaheap *heap;
	size_t used = 0, i;

	check(dmaheap_list_new(&d->heaps, NULL), "list the heaps");
	for (i = 0; (heap = dmaheap_list_get(d->heaps, i)); i++)
		if (used < room)
			used += snprintf(d->report.heaps + used, room - used, "%s%s",
					 i ? " " : "", heap->name);
	if (!i)
		fail("list the heaps", "there is none");
}

/* Before any buffer exists: the viewer must not inherit what it is to be sent. */
static void start_viewer(struct demo *d)
{
	int sock[2];

	check(link_create(sock), "create the socket");
	fflush(stdout);
	d->viewer = fork();
	if (d->viewer < 0)
		fail("fork the viewer", strerror(errno));
	if (!d->viewer) {
		close(sock[0]);
		/* No viewer, and no buffers, may outlive a camera that failed. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		exit(viewer_run(sock[1]));
	}
	close(sock[1]);
	d->sock = sock[0];
}

/* A viewer that ended by itself has said why. */
static void wait_for_viewer(struct demo *d)
{
	int status;

	if (waitpid(d->viewer, &status, 0) < 0)
		fail("wait for the viewer", strerror(errno));
	if (WIFSIGNALED(status))
		fail("wait for the viewer", strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status))
		exit(1);
}

static void tell_viewer(struct demo *d, const struct link_msg *msg, int fd)
{
	int ret = link_send(d->sock, msg, fd);

	if (ret == -EPIPE || ret == -ECONNRESET)
		wait_for_viewer(d);
	check(ret, "send to the viewer");
}

static void hear_viewer(struct demo *d, struct link_msg *msg, __u32 type)
{
	int fd, ret;

	ret = check(link_recv(d->sock, msg, &fd, DEMO_TIMEOUT_MS), "wait for the viewer");
	if (!ret)
		wait_for_viewer(d);
	if (!ret || fd >= 0 || msg->type != type)
		fail("hear the viewer", strerror(EPROTO));
}

static void set_up_camera(struct demo *d)
{
	struct camera *cam = &d->cam;

	check(camera_open(cam, "vivid"), "find the camera vivid");
	check(camera_set_input(cam, "Webcam"), "choose the camera's input");
	check(camera_set_format(cam, d->width, d->height), "set the camera's format");
	check(camera_set_rate(cam, d->rate), "set the camera's frame rate");
}

static void check_zero(const struct demo *d, const struct buffer *buf)
{
	struct dmaheap_access access;
	int zero;

	check(dmaheap_begin(&access, buf->fd, DMAHEAP_READ), "SYNC START");
	zero = frame_is_zero(buf->map, d->cam.size);
	check(dmaheap_end(&access), "SYNC END");
	if (!zero)
		fail("check a new buffer", "it is not zero");
}

static void allocate_buffer(struct demo *d, const struct dmaheap *heap, unsigned int index)
{
	struct buffer *buf = &d->buffer[index];
	char name[32];	/* the kernel takes 31 characters and the end */
	__u64 start;
	void *map;

	start = now_ns();
	buf->fd = check(dmaheap_alloc(heap, d->cam.size, NULL), "allocate a buffer");
	d->report.alloc_ns[index] = now_ns() - start;

	snprintf(name, sizeof(name), "demo-frame-%u", index);
	check(dmaheap_set_name(buf->fd, name), "name a buffer");

	check(dmaheap_map(buf->fd, DMAHEAP_READ, &map, &buf->size), "mmap a buffer");
	buf->map = map;
	check_zero(d, buf);
}

static void allocate_buffers(struct demo *d)
{
	const struct dmaheap *heap = dmaheap_find(d->heaps, d->heap);
	char step[300];
	unsigned int i;

	snprintf(step, sizeof(step), "open the heap %s", d->heap);
	check(heap ? dmaheap_open(heap) : -ENOENT, step);
	for (i = 0; i < d->buffers; i++)
		allocate_buffer(d, heap, i);
	dmaheap_list_free(d->heaps);
}

static void share_buffers(struct demo *d)
{
	struct link_msg msg = {
		.type = LINK_BUFFER,
		.width = d->cam.width,
		.height = d->cam.height,
		.stride = d->cam.stride,
		.size = d->cam.size,
	};

	for (msg.index = 0; msg.index < d->buffers; msg.index++)
		tell_viewer(d, &msg, d->buffer[msg.index].fd);
}

static void start_camera(struct demo *d)
{
	unsigned int i;

	check(camera_request(&d->cam, d->buffers), "request DMA-BUF capture");
	for (i = 0; i < d->buffers; i++)
		check(camera_queue(&d->cam, i, d->buffer[i].fd), "queue a buffer");
	check(camera_start(&d->cam), "start the stream");
}

static void stop_camera(struct demo *d)
{
	check(camera_stop(&d->cam), "stop the stream");
	check(camera_request(&d->cam, 0), "release the camera's buffers");
	close(d->cam.fd);
}

static __u64 own_checksum(const struct demo *d, const struct buffer *buf)
{
	struct dmaheap_access access;
	__u64 sum;

	check(dmaheap_begin(&access, buf->fd, DMAHEAP_READ), "SYNC START");
	sum = frame_checksum(buf->map, d->cam.size);
	check(dmaheap_end(&access), "SYNC END");

	return sum;
}

/* Both processes read the frame at the same time, each through its mapping. */
static void show_frame(struct demo *d, const struct camera_frame *frame, int keep)
{
	struct link_msg msg = {
		.type = LINK_FRAME,
		.index = frame->index,
		.sequence = frame->sequence,
		.keep = keep,
	};
	struct report *r = &d->report;
	struct link_msg result;
	int cpu_differs;
	__u64 sum;

	tell_viewer(d, &msg, -1);
	sum = own_checksum(d, &d->buffer[frame->index]);
	hear_viewer(d, &result, LINK_RESULT);
	if (result.sequence != frame->sequence)
		fail("hear the viewer", "the answer is for another frame");

	cpu_differs = result.checksum != sum;
	r->cpu_differs += cpu_differs;
	r->drm_differs += result.drm_differs;
	r->repeated += result.repeated;
	r->no_picture += result.no_picture;
	r->mismatches += cpu_differs || result.drm_differs || result.repeated ||
			 result.no_picture;
	if (keep)
		r->kept = frame->sequence;
}

/*
 * A slow guest makes the camera late: it then leaves numbers out, or fills two
 * buffers with the frame of one number. Numbers never go back.
 */
static void count_sequence(struct report *r, __u32 last, __u32 now)
{
	if (now < last)
		fail("wait for a frame", "its number is lower than the one before");
	if (now == last)
		r->doubled++;
	else
		r->skipped += now - last - 1;
}

static void capture(struct demo *d)
{
	struct report *r = &d->report;
	struct camera_frame frame;
	__u32 last = 0;
	__u64 start = 0;

	for (r->frames = 0; r->frames < d->frames; r->frames++) {
		check(camera_dequeue(&d->cam, &frame, DEMO_TIMEOUT_MS), "wait for a frame");
		if (frame.bytes != d->cam.size)
			fail("wait for a frame", "the frame has not the size of the format");
		if (!r->frames)
			start = now_ns();
		else
			count_sequence(r, last, frame.sequence);
		last = frame.sequence;
		r->stream_ns = now_ns() - start;
		r->bytes += frame.bytes;

		show_frame(d, &frame, r->frames == d->frames / 2);
		check(camera_queue(&d->cam, frame.index, d->buffer[frame.index].fd),
		      "queue a buffer again");
	}
}

static void finish_viewer(struct demo *d)
{
	struct link_msg msg = { .type = LINK_DONE };
	struct link_msg saved;

	tell_viewer(d, &msg, -1);
	hear_viewer(d, &saved, LINK_SAVED);
	memcpy(d->report.path, saved.path, sizeof(d->report.path));
	d->report.to_host = saved.to_host;
	wait_for_viewer(d);
	close(d->sock);
}

static void free_buffers(struct demo *d)
{
	unsigned int i;

	for (i = 0; i < d->buffers; i++) {
		munmap((void *)d->buffer[i].map, d->buffer[i].size);
		close(d->buffer[i].fd);
	}
}

static void usage_before(struct demo *d)
{
	d->report.usage_error = -dmabuf_usage(&d->buffers_before, &d->bytes_before);
}

static void usage_while_streaming(struct demo *d)
{
	struct report *r = &d->report;

	if (r->usage_error)
		return;
	check(dmabuf_usage(&r->peak_buffers, &r->peak_bytes), "read bufinfo");
	r->peak_buffers -= d->buffers_before;
	r->peak_bytes -= d->bytes_before;
}

/* The kernel may free the last buffer a moment after the last close. */
static void usage_after(struct demo *d)
{
	const struct timespec moment = { .tv_nsec = 10000000 };
	struct report *r = &d->report;
	unsigned long buffers, bytes;
	int tries;

	if (r->usage_error)
		return;
	for (tries = 0; tries < 100; tries++) {
		check(dmabuf_usage(&buffers, &bytes), "read bufinfo");
		r->left = buffers - d->buffers_before;
		if (!r->left)
			break;
		nanosleep(&moment, NULL);
	}
}

static void run(struct demo *d)
{
	list_heaps(d);
	usage_before(d);
	start_viewer(d);
	set_up_camera(d);
	allocate_buffers(d);
	share_buffers(d);
	start_camera(d);
	capture(d);
	usage_while_streaming(d);
	stop_camera(d);
	finish_viewer(d);
	free_buffers(d);
	usage_after(d);
}

static unsigned int parse_number(const char *text, unsigned long min, unsigned long max,
				 const char *what)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*end || end == text || n < min || n > max)
		fail(what, "not a number in range");

	return n;
}

static void parse_size(struct demo *d, char *text)
{
	char *x = strchr(text, 'x');

	if (!x)
		fail("option -s", "not of the form WIDTHxHEIGHT");
	*x = '\0';
	d->width = parse_number(text, 16, 8192, "option -s");
	d->height = parse_number(x + 1, 16, 8192, "option -s");
}

static noreturn void say_usage(void)
{
	fprintf(stderr, "usage: run [-h heap] [-s WxH] [-r rate] [-n frames] [-b buffers] [-t]\n");
	exit(2);
}

static void parse_options(struct demo *d, int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "b:h:n:r:s:t")) != -1) {
		switch (c) {
		case 'b':
			d->buffers = parse_number(optarg, 2, DEMO_MAX_BUFFERS, "option -b");
			break;
		case 'h':
			d->heap = optarg;
			break;
		case 'n':
			d->frames = parse_number(optarg, 2, 1000000, "option -n");
			break;
		case 'r':
			d->rate = parse_number(optarg, 1, 1000, "option -r");
			break;
		case 's':
			parse_size(d, optarg);
			break;
		case 't':
			d->ktap = 1;
			break;
		default:
			say_usage();
		}
	}
}

int main(int argc, char **argv)
{
	struct demo d = {
		.heap = "system",
		.width = 1280,
		.height = 720,
		.rate = 30,
		.frames = 60,
		.buffers = 4,
	};

	parse_options(&d, argc, argv);
	run(&d);

	d.report.heap = d.heap;
	d.report.buffers = d.buffers;
	d.report.frames_wanted = d.frames;
	d.report.cam = d.cam;
	report_print(&d.report);

	printf("demo: %u frames, %u mismatches\n", d.report.frames, d.report.mismatches);
	if (d.ktap && report_ktap(&d.report))
		return 1;
	if (d.report.mismatches)
		fail("compare the frames", "see the rows of checks");
	if (d.report.left)
		fail("free the buffers", "some are left, see the rows of memory");

	return 0;
}

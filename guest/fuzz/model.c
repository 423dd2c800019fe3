// SPDX-License-Identifier: GPL-2.0
/*
 * What buffers have to contain. Every write is a word of its own value, in a page of a
 * buffer, where only one thread ever writes; it has to be there until the end.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "fuzz.h"

#define PAGE		4096ul
#define CELLS		4
/* Nothing else is mapped here, so a stale pointer hits nothing that others use */
#define WINDOW(thread)	((void *)(0x10000000000ul + ((unsigned long)(thread) << 32)))

struct cell {
	unsigned long page;
	__u64 tag;
};

struct buffer {
	size_t size;
	/* Others write to all of it, or may undo writes */
	atomic_bool forgotten;
	struct cell cells[THREADS][CELLS];
	int count[THREADS];
};

static struct buffer buffers[2 * CALLS_MAX];
static atomic_uint nr_buffers;
static atomic_uint last_tag;
static __thread sigjmp_buf *guard;

struct buffer *model_new(size_t size)
{
	unsigned int number = nr_buffers++;

	if (number >= ARRAY_SIZE(buffers))
		return NULL;
	buffers[number].size = size;

	return &buffers[number];
}

size_t model_size(const struct buffer *buffer)
{
	return buffer->size;
}

void model_forget(struct buffer *buffer)
{
	buffer->forgotten = true;
}

static void on_fault(int sig)
{
	if (guard)
		siglongjmp(*guard, 1);
	signal(sig, SIG_DFL);
}

void model_init(void)
{
	struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };

	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
}

bool peek(const void *p, __u64 *value)
{
	sigjmp_buf env;
	bool there = !sigsetjmp(env, 0);

	if (there) {
		guard = &env;
		*value = __atomic_load_n((const __u64 *)p, __ATOMIC_RELAXED);
	}
	guard = NULL;

	return there;
}

bool poke(void *p, __u64 value)
{
	sigjmp_buf env;
	bool there = !sigsetjmp(env, 0);

	if (there) {
		guard = &env;
		__atomic_store_n((__u64 *)p, value, __ATOMIC_RELAXED);
	}
	guard = NULL;

	return there;
}

/* A write that changes nothing, whatever is there */
bool touch_word(void *p)
{
	sigjmp_buf env;
	bool there = !sigsetjmp(env, 0);

	if (there) {
		guard = &env;
		__atomic_fetch_or((__u64 *)p, 0, __ATOMIC_RELAXED);
	}
	guard = NULL;

	return there;
}

/* Offset of the first word that is not zero, @size if there is none, -1 if not all is there */
static long long first_nonzero(const __u64 *p, size_t size)
{
	__u64 value;
	size_t at, i;

	for (at = 0; at < size; at += PAGE) {
		if (!peek(p + at / sizeof(*p), &value))
			return -1;
		for (i = 0; i < PAGE / sizeof(*p); i++)
			if (p[at / sizeof(*p) + i])
				return at + i * sizeof(*p);
	}

	return size;
}

static void *map_window(struct thread *thread, int fd, size_t offset, size_t size, int prot)
{
	return mmap(WINDOW(thread->number), size, prot, MAP_SHARED | MAP_FIXED, fd, offset);
}

/* Else somebody may unmap it, or a fault fail */
static bool is_sure(struct thread *thread)
{
	return !racing && !thread->failing;
}

/* Memory that somebody else had must not be seen */
void model_check_zero(struct thread *thread, int fd, size_t size)
{
	void *p = map_window(thread, fd, 0, size, PROT_READ);
	long long at;

	if (p == MAP_FAILED)
		return;
	at = first_nonzero(p, size);
	if (at < 0 && is_sure(thread))
		complain("new buffer of %zu bytes is not all there", size);
	else if (at >= 0 && (size_t)at < size)
		complain("new buffer of %zu bytes is not zero at %#llx", size, at);
	munmap(p, size);
}

static __u64 *cell_in(char *page, int thread)
{
	return (__u64 *)(page + 64 * thread);
}

/* A window of the one page; the checks look at all of the buffer */
int model_write(struct thread *thread, struct buffer *buffer, int fd, unsigned int page)
{
	int i, n = buffer->count[thread->number];
	struct cell *cells = buffer->cells[thread->number];
	__u64 value = 0, tag = 0x5e00000000000000ull + ++last_tag;
	char *p;

	page %= buffer->size / PAGE;
	for (i = 0; i < n && cells[i].page != page; i++)
		;
	if (i == CELLS)
		i = 0;
	p = map_window(thread, fd, page * PAGE, PAGE, PROT_READ | PROT_WRITE);
	if (p == MAP_FAILED)
		return -errno;
	if (poke(cell_in(p, thread->number), tag)) {
		cells[i].page = page;
		cells[i].tag = tag;
		if (i == n)
			buffer->count[thread->number]++;
		if (!peek(cell_in(p, thread->number), &value) || value != tag)
			complain("written %#llx to page %u, read %#llx", (long long)tag, page,
				 (long long)value);
	} else if (is_sure(thread)) {
		complain("page %u of %zu bytes is not there", page, buffer->size);
	}
	munmap(p, PAGE);

	return 0;
}

void model_check(struct thread *thread, struct buffer *buffer, int fd)
{
	char *p = map_window(thread, fd, 0, buffer->size, PROT_READ);
	struct cell *cell;
	__u64 value;

	if (p == MAP_FAILED)
		return;
	for (int i = 0; i < buffer->count[thread->number]; i++) {
		cell = &buffer->cells[thread->number][i];
		if (!peek(cell_in(p + cell->page * PAGE, thread->number), &value)) {
			if (is_sure(thread))
				complain("page %lu of %zu is not there", cell->page, buffer->size);
		} else if (value != cell->tag && !buffer->forgotten) {
			complain("page %lu of %zu bytes had %#llx, has %#llx", cell->page,
				 buffer->size, (long long)cell->tag, (long long)value);
		}
	}
	munmap(p, buffer->size);
}

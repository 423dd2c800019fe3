// SPDX-License-Identifier: GPL-2.0
/*
 * What a program has: descriptors and mappings of buffers, and sessions of the importer.
 * Two threads put in, take out and use. What a slot leads to stays as it is for good, so
 * a thread may use what the other one has closed by then.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <sys/mman.h>

#include "fuzz.h"
#include "heap_importer.h"

/* Of a program: each call makes one of them, or two */
#define THINGS_MAX	(4 * CALLS_MAX)

/* Above what else is open */
#define FIRST_FD	200

static struct opened all_opened[THINGS_MAX];
static struct mapped all_mapped[THINGS_MAX];
static atomic_uint nr_opened, nr_mapped;

/* Numbers of these plus one, or 0 */
static atomic_uint slots[SLOTS], maps[SLOTS];

/* Descriptors, or 0 */
static atomic_int importers[IMPORTERS];

/* The next slot in which something is, so that most calls have something to work with */
static unsigned int find(const atomic_uint *table, unsigned int slot)
{
	unsigned int found = 0;

	for (unsigned int i = 0; i < SLOTS && !found; i++)
		found = table[(slot + i) % SLOTS];

	return found;
}

struct opened *find_opened(unsigned int slot)
{
	unsigned int found = find(slots, slot);

	return found ? &all_opened[found - 1] : NULL;
}

struct mapped *find_mapped(unsigned int slot)
{
	unsigned int found = find(maps, slot);

	return found ? &all_mapped[found - 1] : NULL;
}

struct opened *take_opened(unsigned int slot)
{
	unsigned int found = atomic_exchange(&slots[slot % SLOTS], 0);

	return found ? &all_opened[found - 1] : NULL;
}

struct mapped *take_mapped(unsigned int slot)
{
	unsigned int found = atomic_exchange(&maps[slot % SLOTS], 0);

	return found ? &all_mapped[found - 1] : NULL;
}

static void close_slot(unsigned int slot)
{
	struct opened *opened = take_opened(slot);

	if (opened)
		close(opened->fd);
}

static void unmap_slot(unsigned int slot)
{
	struct mapped *mapped = take_mapped(slot);

	if (mapped)
		munmap(mapped->p, mapped->len);
}

/*
 * Where threads race, no number of a descriptor is used twice: one that was closed
 * must not become that of another buffer.
 */
int keep_opened(unsigned int slot, int fd, struct buffer *buffer)
{
	unsigned int number = nr_opened++;
	int other;

	if (racing) {
		other = fcntl(fd, F_DUPFD_CLOEXEC, FIRST_FD + number);
		close(fd);
		if (other < 0)
			return -errno;
		fd = other;
	}
	close_slot(slot);
	all_opened[number] = (struct opened){ .fd = fd, .buffer = buffer };
	slots[slot % SLOTS] = number + 1;

	return 0;
}

void keep_mapped(unsigned int slot, char *p, size_t len)
{
	unsigned int number = nr_mapped++;

	unmap_slot(slot);
	all_mapped[number] = (struct mapped){ .p = p, .len = len };
	maps[slot % SLOTS] = number + 1;
}

/* Opened by the first one that wants it */
int keep_importer(unsigned int number)
{
	atomic_int *importer = &importers[number % IMPORTERS];
	int fd = *importer, none = 0;

	if (fd)
		return fd;
	fd = importer_open();
	if (fd < 0 || atomic_compare_exchange_strong(importer, &none, fd))
		return fd;
	close(fd);

	return none;
}

/* Before the process ends, as KCOV does not see that */
void close_slots(void)
{
	struct thread thread = { };
	unsigned int slot;

	for (slot = 0; slot < SLOTS; slot++)
		for (thread.number = 0; slots[slot] && thread.number < THREADS; thread.number++)
			model_check(&thread, find_opened(slot)->buffer, find_opened(slot)->fd);
	for (slot = 0; slot < SLOTS; slot++) {
		unmap_slot(slot);
		close_slot(slot);
	}
	for (slot = 0; slot < IMPORTERS; slot++)
		if (importers[slot])
			close(importers[slot]);
}

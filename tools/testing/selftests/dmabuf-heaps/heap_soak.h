/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the parts of dmabuf-heap-soak. A worker is a process that does one kind of
 * thing in rounds until it is told to stop. A failing worker leaves a message and ends.
 */
#ifndef HEAP_SOAK_H
#define HEAP_SOAK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdnoreturn.h>

#include "../kselftest.h"
#include "heap_helpers.h"

#define SOAK_MAX_WORKERS	32

/* Of a worker; shared with the parent of all of them */
struct soak_slot {
	const struct soak_worker *worker;
	pid_t pid;
	/* Among the workers of its kind */
	unsigned int number;
	/* In this run, and in all runs */
	atomic_uint rounds;
	unsigned int total;
	/* Attempts that failed because something else had taken all there is */
	atomic_uint refused;
	/* Processes that were killed, or events of a kind that only this worker knows */
	atomic_uint events;
	char failure[256];
};

struct soak_shared {
	atomic_bool over;
	/* The module of the test importer is to be unloaded: close the importer */
	atomic_bool module_wanted;
	struct soak_slot slots[SOAK_MAX_WORKERS];
};

struct soak_heap {
	char name[HEAP_NAME_SIZE];
	int fd;
	/* The CPU can map its buffers */
	bool mapped;
	/* Its memory is charged to no cgroup */
	bool reserved;
	bool uncached;
};

/* The state of a worker */
struct soak {
	struct soak_shared *shared;
	struct soak_slot *slot;
	const struct soak_heap *heaps;
	int heap_count;
	__u64 random;
	/* Of the last pattern */
	__u32 seed;
	/* Negative while it is closed */
	int importer;
};

struct soak_worker {
	const char *name;
	/* One or more rounds, after which the worker has no buffer left */
	void (*session)(struct soak *soak);
	/* How many such workers there are */
	int count;
	/* The events that soak_slot counts, or NULL */
	const char *events;
	/* Why this machine cannot have it, or NULL; and a word of NEED */
	const char *(*lacks)(void);
	const char *need;
};

extern const struct soak_worker soak_clients[], soak_rivals[];
extern const int soak_client_count, soak_rival_count;

static inline bool soak_over(const struct soak *soak)
{
	return soak->shared->over;
}

static inline void soak_round(struct soak *soak)
{
	soak->slot->rounds++;
}

static inline void soak_refused(struct soak *soak)
{
	soak->slot->refused++;
}

static inline unsigned int soak_random(struct soak *soak, unsigned int below)
{
	return pseudo_random(&soak->random) % below;
}

noreturn void __printf(2, 3) soak_fail(struct soak *soak, const char *format, ...);
void soak_sleep(struct soak *soak, unsigned int ms);
pid_t soak_fork(struct soak *soak);

/* A negative number or NULL: something else has taken all of the memory */
const struct soak_heap *soak_heap(struct soak *soak);
const struct soak_heap *soak_mapped_heap(struct soak *soak);
size_t soak_size(struct soak *soak, const struct soak_heap *heap, size_t most);
int soak_alloc(struct soak *soak, const struct soak_heap *heap, size_t len);
void *soak_map(struct soak *soak, int fd, size_t len);
void soak_fill(struct soak *soak, int fd, void *p, size_t len, __u32 seed);
void soak_check(struct soak *soak, int fd, const void *p, size_t len, __u32 seed);
int soak_filled(struct soak *soak, const struct soak_heap *heap, size_t len, __u32 seed);
void soak_verify(struct soak *soak, int fd, size_t len, __u32 seed);

/* Opens the importer if necessary; false once all is over */
bool soak_importer(struct soak *soak);
bool soak_import(struct soak *soak, const struct soak_heap *heap, int fd, int device,
		 int dir);

/* Numbers that must not change */
enum soak_kind {
	SOAK_BUFFERS,
	SOAK_CHARGES,
	SOAK_DESCRIPTORS,
	SOAK_POOLS,
	SOAK_REGIONS,
	SOAK_PAGES,
	SOAK_OBJECTS,
	SOAK_KINDS,
};

struct soak_state;

struct soak_state *soak_state_new(void);
void soak_look(struct soak_state *state, const struct soak_heap *heaps, int count);
bool soak_has(const struct soak_state *state, enum soak_kind kind);
int soak_compare(const struct soak_state *before, const struct soak_state *after,
		 enum soak_kind kind, bool tell);
void soak_tell(const struct soak_state *before, const struct soak_state *after);
void soak_drain(void);

#endif /* HEAP_SOAK_H */

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fuzzer of heaps. heap_fuzz.c runs programs and judges them, calls.c has the calls
 * that a program consists of, slots.c what they work with, and model.c knows what
 * buffers have to contain.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

#define CALLS_MAX	32
#define SLOTS		8
#define HEAPS_MAX	8
#define THREADS		2
#define ERRNO_MAX	134

/* A program is an array of these. Every value of every byte means something. */
struct call {
	/* The upper bit: in the second thread */
	unsigned char op;
	unsigned char slot;
	unsigned char a, b, c, d, e, f;
};

#define CALL_BESIDE	0x80

struct heap {
	char name[256];
	bool alias;
	int fd[2];
	int bytes_fd, buffers_fd;
	long long max_bytes, decay_ms, buffer_limit;
};

extern struct heap heaps[HEAPS_MAX];
extern int nr_heaps;

struct thread {
	int number;
	/* The file that has an allocation fail, or 0 */
	int fail_fd;
	/* The n-th allocation of the next call fails, if not 0 */
	int fail;
	/* One of this call was to fail */
	bool failing;
};

/* The two cgroups of the fuzzer, below CGROUP of heap_cgroup.h */
extern const char *const fuzz_cgroups[2];

/* Between the process that judges and the one that runs the program; the former clears it */
struct shared {
	unsigned int nr_calls;
	struct call calls[CALLS_MAX];
	/* What each returned; less than 0: it has not ended */
	atomic_int errors[CALLS_MAX];
	/* Has to be set back: attributes of heaps, and limits of cgroups */
	atomic_bool touched[HEAPS_MAX + 1];
	atomic_bool has_complaint;
	char complaint[200];
	/* By number of the call: good ones, and others by error */
	atomic_uint results[64][ERRNO_MAX];
};

#define TOUCHED_CGROUP	HEAPS_MAX

struct buffer;

extern struct shared *shared;
/* Two threads run: what one has, the other may take away */
extern bool racing;

void complain(const char *format, ...);

/* calls.c */
extern const size_t fuzz_sizes[];
extern const unsigned int nr_fuzz_sizes, nr_fuzz_calls;
const char *fuzz_call_name(unsigned int op);
void run_call(struct thread *thread, const struct call *call);

/* slots.c */
#define IMPORTERS	2

struct opened {
	struct buffer *buffer;
	int fd;
};

struct mapped {
	char *p;
	size_t len;
};

struct opened *find_opened(unsigned int slot);
struct opened *take_opened(unsigned int slot);
int keep_opened(unsigned int slot, int fd, struct buffer *buffer);
struct mapped *find_mapped(unsigned int slot);
struct mapped *take_mapped(unsigned int slot);
void keep_mapped(unsigned int slot, char *p, size_t len);
int keep_importer(unsigned int number);
void close_slots(void);

/* model.c */
struct buffer *model_new(size_t size);
size_t model_size(const struct buffer *buffer);
void model_forget(struct buffer *buffer);
int model_write(struct thread *thread, struct buffer *buffer, int fd, unsigned int page);
void model_check(struct thread *thread, struct buffer *buffer, int fd);
void model_check_zero(struct thread *thread, int fd, size_t size);
bool peek(const void *p, __u64 *value);
bool poke(void *p, __u64 value);
bool touch_word(void *p);
void model_init(void);

/* heap_fuzz.c: what libFuzzer calls, by its names, and what it has for us */
int fuzz_begin(int *argc, char ***argv) __asm__("LLVMFuzzerInitialize");
int fuzz_run(const __u8 *data, size_t size) __asm__("LLVMFuzzerTestOneInput");
size_t fuzz_mutate(__u8 *data, size_t size, size_t max_size, unsigned int seed)
	__asm__("LLVMFuzzerCustomMutator");
size_t fuzz_cross(const __u8 *data1, size_t size1, const __u8 *data2, size_t size2, __u8 *out,
		  size_t max_out, unsigned int seed) __asm__("LLVMFuzzerCustomCrossOver");
size_t mutate_bytes(__u8 *data, size_t size, size_t max_size) __asm__("LLVMFuzzerMutate");

#endif /* FUZZ_H */

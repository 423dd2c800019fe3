/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Files in which the kernel tells something, and what it says there of memory.
 *
 * In all headers of these tests, functions that return int give 0 or a descriptor on
 * success and -errno on failure, so that a test can name the exact error in one line.
 */
#ifndef HEAP_FILE_H
#define HEAP_FILE_H

#include <stdbool.h>
#include <stddef.h>

/* Whether @word is in a list of words with @separator in between */
bool word_in(const char *list, const char *word, char separator);

/* The first read of a file, as text */
int file_read(const char *path, char *buf, size_t size);
int file_write(const char *path, const char *text);
long long file_number(const char *path);
long long file_value(const char *path, const char *name);

long long vm_counter(const char *name);
long long meminfo_kib(const char *name);
long mem_free_kib(void);
long mem_gettable_kib(void);
long mem_available_kib(void);
#define KMSG_ERROR	3
#define KMSG_INFO	6

int kmsg_lines(int level, const char *word, const char *other);
int kmsg_errors(const char *word, const char *other);

#endif /* HEAP_FILE_H */

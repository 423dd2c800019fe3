/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What ld --wrap calls instead of the function, and how that is still reached
 */
#ifndef FAKE_H
#define FAKE_H

#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <sys/types.h>
#include <time.h>

FILE *__real_fopen64(const char *path, const char *mode);
FILE *__wrap_fopen64(const char *path, const char *mode);
int __real_inotify_init1(int flags);
int __wrap_inotify_init1(int flags);
int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);
int __real_nanosleep(const struct timespec *time, struct timespec *left);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);
DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);
int __real_poll(struct pollfd *fds, nfds_t n, int timeout);
int __wrap_poll(struct pollfd *fds, nfds_t n, int timeout);
ssize_t __real_read(int fd, void *buf, size_t n);
ssize_t __wrap_read(int fd, void *buf, size_t n);
int __real_rmdir(const char *path);
int __wrap_rmdir(const char *path);

#endif

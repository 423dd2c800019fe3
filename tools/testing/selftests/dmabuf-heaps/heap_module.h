/* SPDX-License-Identifier: GPL-2.0 */
/* Modules of the kernel */
#ifndef HEAP_MODULE_H
#define HEAP_MODULE_H

#include <stdbool.h>
#include <stddef.h>

bool module_line(const char *module, char *line, size_t size);
bool module_is_loaded(const char *module);
int module_load_by_name(const char *module);
int module_unload(const char *module);

#endif /* HEAP_MODULE_H */

// SPDX-License-Identifier: GPL-2.0
/* Modules of the kernel, see heap_module.h */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "heap_module.h"

/* The line of /proc/modules; false if the module is not loaded */
bool module_line(const char *module, char *line, size_t size)
{
	bool found = false;
	FILE *file;

	file = fopen("/proc/modules", "re");
	while (file && !found && fgets(line, size, file))
		found = !strncmp(line, module, strlen(module)) &&
			line[strlen(module)] == ' ';
	if (file)
		fclose(file);

	return found;
}

bool module_is_loaded(const char *module)
{
	char line[512];

	return module_line(module, line, sizeof(line));
}

/* Status 0 if it could be loaded, as a shell sees it */
int module_load_by_name(const char *module)
{
	char command[512];

	snprintf(command, sizeof(command), "modprobe %s 2>/dev/null", module);

	return system(command);
}

int module_unload(const char *module)
{
	return syscall(SYS_delete_module, module, O_NONBLOCK) ? -errno : 0;
}

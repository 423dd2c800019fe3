// SPDX-License-Identifier: GPL-2.0
/*
 * The terminal as a screen to draw on, and as it was before when we leave it
 */
#include "dmaheap.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* Other screen, no cursor, no wrapping; and back */
#define ENTER	"\033[?1049h\033[?25l\033[?7l\033[2J"
#define LEAVE	"\033[0m\033[?7h\033[?25h\033[?1049l"

static struct termios before;
static bool keys, entered;

static int put(const char *text, size_t len)
{
	struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };

	while (len) {
		ssize_t n = write(STDOUT_FILENO, text, len);

		if (n < 0 && errno == EAGAIN)
			poll(&out, 1, -1);
		else if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			text += n;
			len -= n;
		}
	}
	return 0;
}

/* Keys come at once and are not shown; Ctrl-C and the like stay signals */
static void read_keys(void)
{
	struct termios now;

	keys = !tcgetattr(STDIN_FILENO, &before);
	if (!keys)
		return;
	now = before;
	now.c_lflag &= ~(ICANON | ECHO);
	now.c_cc[VMIN] = 0;
	now.c_cc[VTIME] = 0;
	tcsetattr(STDIN_FILENO, TCSANOW, &now);
}

int terminal_enter(void)
{
	static bool registered;

	if (entered)
		return 0;
	if (!registered && atexit(terminal_leave))
		return -ENOMEM;
	registered = true;
	entered = true;
	read_keys();
	return put(ENTER, strlen(ENTER));
}

/* Also at exit, whatever the reason */
void terminal_leave(void)
{
	if (!entered)
		return;
	entered = false;
	put(LEAVE, strlen(LEAVE));
	if (keys)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
}

void terminal_size(unsigned int *rows, unsigned int *columns)
{
	struct winsize size;

	*rows = 24;
	*columns = 80;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		return;
	if (size.ws_row)
		*rows = size.ws_row;
	if (size.ws_col)
		*columns = size.ws_col;
}

int terminal_draw(const char *frame)
{
	return put(frame, strlen(frame));
}

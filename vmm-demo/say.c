/* SPDX-License-Identifier: BSD-3-Clause */
#include "say.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

static char line[128];
static size_t line_len;

void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("vmm    ", stdout);
	vprintf(format, args);
	putchar('\n');
	va_end(args);
}

void cannot(int error, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	va_start(args, format);
	fputs("vmm-demo: ", stderr);
	vfprintf(stderr, format, args);
	if (error)
		fprintf(stderr, ": %s", strerror(error));
	putc('\n', stderr);
	va_end(args);
	exit(EXIT_CANNOT);
}

void say_guest_rest(void)
{
	if (line_len)
		printf("guest  %.*s\n", (int)line_len, line);
	line_len = 0;
}

/* A guest may write anything: what a terminal would obey is not let out. */
static void guest_char(uint8_t c)
{
	if (c == '\n' || line_len == sizeof(line))
		say_guest_rest();
	if (c != '\n')
		line[line_len++] = c >= ' ' && c < 0x7f ? (char)c : '?';
}

void say_guest(const uint8_t *text, size_t count)
{
	while (count--)
		guest_char(*text++);
}

const char *pretty(uint64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB" };
	static char buffer[4][32];
	static unsigned int at;
	unsigned int unit = 0;

	while (unit < 3 && bytes && bytes % 1024 == 0) {
		bytes /= 1024;
		unit++;
	}
	at = (at + 1) % 4;
	snprintf(buffer[at], sizeof(buffer[at]), "%ju %s", (uintmax_t)bytes,
		 units[unit]);
	return buffer[at];
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include "util/log.h"

/* A callback and its argument, never one's with the other's. */
struct sink {
	gpmm_log_fn *fn;
	void *arg;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sink installed;

void gpmm_log_set(gpmm_log_fn *fn, void *arg)
{
	pthread_mutex_lock(&lock);
	installed = (struct sink){ fn, arg };
	pthread_mutex_unlock(&lock);
}

static struct sink get_sink(void)
{
	struct sink sink;

	pthread_mutex_lock(&lock);
	sink = installed;
	pthread_mutex_unlock(&lock);
	return sink;
}

void gpmm__log(enum gpmm_log_level level, const char *format, ...)
{
	struct sink sink = get_sink();
	char line[256];
	va_list args;

	if (!sink.fn)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	sink.fn(sink.arg, level, line);
}

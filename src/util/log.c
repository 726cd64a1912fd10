/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>

#include "util/log.h"

static struct {
	gpmm_log_fn *fn;
	void *arg;
} sink;

void gpmm_log_set(gpmm_log_fn *fn, void *arg)
{
	/* The argument is in place before a reader can see its function. */
	__atomic_store_n(&sink.fn, NULL, __ATOMIC_RELEASE);
	__atomic_store_n(&sink.arg, arg, __ATOMIC_RELEASE);
	__atomic_store_n(&sink.fn, fn, __ATOMIC_RELEASE);
}

void gpmm__log(enum gpmm_log_level level, const char *format, ...)
{
	gpmm_log_fn *fn = __atomic_load_n(&sink.fn, __ATOMIC_ACQUIRE);
	char line[256];
	va_list args;

	if (!fn)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fn(__atomic_load_n(&sink.arg, __ATOMIC_RELAXED), level, line);
}

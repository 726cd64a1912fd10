/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef GPMM_UTIL_LOG_H
#define GPMM_UTIL_LOG_H

#include <gpmm/types.h>

/* Hand a line to the embedder's callback; nothing where there is none. */
void gpmm__log(enum gpmm_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif

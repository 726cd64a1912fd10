/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Scalars, ranges, versions and the log callback.
 *
 * Conventions that every gpmm header shares:
 *
 * - Errors are 0 or a negative errno; the library never sets errno, prints,
 *   exits or raises a signal.
 * - A range is a start and a size, half-open: [start, start + size). The end
 *   may be 2^64, which wraps to 0: [2^64 - 4096, 2^64) is a valid range.
 * - "Context:" of a function says who may call it:
 *     any       any thread, in or out of a read section
 *     reader    a thread inside a read section (see thread.h)
 *     not-reader  any thread that is not inside a read section
 *     writer    not-reader, and not from a callback of the same set
 *     callback  from inside a callback the library makes
 *     registered  a thread that called gpmm_thread_register()
 * - "Owns:" says what is borrowed, taken or given. On failure the caller
 *   keeps everything it passed.
 */
#ifndef GPMM_TYPES_H
#define GPMM_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A guest-physical address, in bytes. */
typedef uint64_t gpmm_gpa_t;
/* A host-physical address, in bytes (nested page tables only). */
typedef uint64_t gpmm_hpa_t;

/* [start, start + size), in bytes; start + size may be exactly 2^64. */
struct gpmm_range {
	uint64_t start;
	uint64_t size;
};

/*
 * The whole 64-bit space, where a function takes a range to look in (a limit,
 * a range to iterate or to harvest). Its last byte is included.
 */
#ifdef __cplusplus
#define GPMM_RANGE_ALL (gpmm_range{ 0, UINT64_MAX })
#else
#define GPMM_RANGE_ALL ((struct gpmm_range){ 0, UINT64_MAX })
#endif

/* The version of these headers: what the caller is compiled for. */
#define GPMM_VERSION_MAJOR	0
#define GPMM_VERSION_MINOR	1
#define GPMM_VERSION_PATCH	0

/* The library's version at run time, "major.minor.patch". Context: any. */
const char *gpmm_version(void);

enum gpmm_log_level {
	GPMM_LOG_ERROR,		/* something is lost or poisoned */
	GPMM_LOG_WARNING,	/* a fallback was taken, or more about an error */
	GPMM_LOG_DEBUG,
};

/*
 * @message: one line without a newline, valid during the call only
 *
 * Called on whatever thread has something to say, perhaps with a set's lock
 * held: it must not call back into the library.
 */
typedef void gpmm_log_fn(void *arg, enum gpmm_log_level level,
			 const char *message);

/*
 * gpmm_log_set - install the process's log callback; NULL silences
 *
 * The library is silent until this is called.
 *
 * Context: any. @fn may still run for a moment, with its @arg, on another
 * thread after it was replaced.
 * Owns: borrows @arg until then.
 */
void gpmm_log_set(gpmm_log_fn *fn, void *arg);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* Memory of our own that nobody may touch, where AddressSanitizer sees to it. */
#ifndef GPMM_UTIL_ASAN_H
#define GPMM_UTIL_ASAN_H

#if defined(__SANITIZE_ADDRESS__)
#define ASAN_ON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASAN_ON 1
#endif
#endif

#ifdef ASAN_ON
#include <sanitizer/asan_interface.h>
#define asan_poison(p, n)	ASAN_POISON_MEMORY_REGION(p, n)
#define asan_unpoison(p, n)	ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define asan_poison(p, n)	((void)0)
#define asan_unpoison(p, n)	((void)0)
#endif

#endif

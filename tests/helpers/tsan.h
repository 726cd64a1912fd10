/* SPDX-License-Identifier: BSD-3-Clause */
/* UNDER_TSAN: ThreadSanitizer blocks all signals in a handler, and more. */
#ifndef TESTS_TSAN_H
#define TESTS_TSAN_H

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif

#endif

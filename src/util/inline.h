/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef GPMM_UTIL_INLINE_H
#define GPMM_UTIL_INLINE_H

/* For what is inlined because its arguments are known, or stay in registers. */
#define ALWAYS_INLINE	inline __attribute__((always_inline))

#endif

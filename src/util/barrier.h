/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A barrier that one thread has for all, so that the others need none where
 * they pass often.
 */
#ifndef GPMM_UTIL_BARRIER_H
#define GPMM_UTIL_BARRIER_H

#include <stdbool.h>

/*
 * Each other thread of the process that runs orders what it did before with
 * what it does next, at some point meanwhile; those that do not run have.
 * Some microseconds. Return: whether so; false where membarrier(2) is missing.
 */
bool gpmm__barrier_threads(void);

#endif

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

/*
 * The same for who has relied on it since that first was so. Should the call
 * have been forbidden since (liburcu would end the process), it takes 20 ms,
 * longer than any CPU keeps a store to itself.
 */
void gpmm__barrier_must(void);

#endif

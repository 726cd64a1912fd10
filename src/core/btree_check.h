/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef GPMM_CORE_BTREE_CHECK_H
#define GPMM_CORE_BTREE_CHECK_H

#include <stddef.h>
#include <stdint.h>

/*
 * Check the invariants B to E of btree.h on a snapshot, count its items.
 * Return: NULL, or what is wrong.
 */
const char *gpmm__btree_check(uintptr_t root, size_t *items);

/* Log every node and item of a snapshot at debug level. */
void gpmm__btree_dump(uintptr_t root);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The guest's page tables. */
#ifndef PAGING_H
#define PAGING_H

#include <stdint.h>

/*
 * Write tables at PAGE_TABLES that map [0, @top) to itself, for user mode,
 * writable, in pages of 2 MiB. @low is guest address 0; @top is whole GiB.
 */
void paging_write(uint64_t *low, uint64_t top);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* The ROM: guest.S, as assembled. */
#ifndef ROM_H
#define ROM_H

#include <stdint.h>

/* Write ROM_SIZE bytes: the guest, and a last word that makes the sum 0. */
void rom_write(uint64_t *rom);

#endif

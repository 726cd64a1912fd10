/* SPDX-License-Identifier: BSD-3-Clause */
#include "paging.h"

#include "guest.h"

#define PRESENT 0x1
#define WRITE	0x2
#define USER	0x4
#define LARGE	0x80

#define TABLE	UINT64_C(0x1000)
#define LEVEL4	PAGE_TABLES
#define LEVEL3	(LEVEL4 + TABLE)
#define LEVEL2	(LEVEL3 + TABLE)	/* one table for each GiB, in a row */

void paging_write(uint64_t *low, uint64_t top)
{
	uint64_t *level4 = low + LEVEL4 / 8;
	uint64_t *level3 = low + LEVEL3 / 8;
	uint64_t *level2 = low + LEVEL2 / 8;
	uint64_t i;

	level4[0] = LEVEL3 | USER | WRITE | PRESENT;
	for (i = 0; i < top >> 30; i++)
		level3[i] = (LEVEL2 + i * TABLE) | USER | WRITE | PRESENT;
	for (i = 0; i < top >> 21; i++)
		level2[i] = i << 21 | LARGE | USER | WRITE | PRESENT;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "rom.h"

#include <string.h>

#include "guest.h"
#include "say.h"

extern const uint8_t guest_start[] __attribute__((visibility("hidden")));
extern const uint8_t guest_end[] __attribute__((visibility("hidden")));

void rom_write(uint64_t *rom)
{
	size_t size = guest_end - guest_start;
	size_t last = ROM_SIZE / 8 - 1;
	uint64_t sum = 0;
	size_t i;

	if (size > last * 8)
		cannot(0, "the guest's %zu bytes do not fit its ROM", size);
	memcpy(rom, guest_start, size);
	for (i = 0; i < last; i++)
		sum += rom[i];
	rom[last] = -sum;
}

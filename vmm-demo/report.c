/* SPDX-License-Identifier: BSD-3-Clause */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>

#include "guest.h"
#include "say.h"

#define AREAS_MAX 32

static const char *const kinds[KINDS] = {
	[KIND_RAM] = "RAM",
	[KIND_ROM] = "ROM",
	[KIND_DIMM] = "DIMM",
	[KIND_DEVICE] = "device",
	[KIND_RESERVED] = "reserved",
};

static const char *const exits[ACCESSES] = {
	[ACCESS_CONSOLE] = "console port, a character each",
	[ACCESS_PORT] = "other ports",
	[ACCESS_DEVICE] = "MMIO: device registers",
	[ACCESS_READ_ONLY] = "MMIO: write to read-only memory",
	[ACCESS_RESERVED] = "MMIO: reserved hole",
	[ACCESS_NOTHING] = "MMIO: nothing there",
	[ACCESS_BROKEN] = "MMIO: memory that does not answer",
};

/* Printing may block, and a read section must not: copy first. */
static size_t copy_areas(const struct gpmm_set *set, struct gpmm_area *areas)
{
	struct gpmm_iter iter;
	size_t count = 0;

	gpmm_read_lock();
	gpmm_iter_init(&iter, gpmm_set_view_rcu(set), 0);
	while (count < AREAS_MAX && gpmm_iter_next(&iter, &areas[count]))
		count++;
	gpmm_read_unlock();
	return count;
}

static void print_area(const struct gpmm_area *area)
{
	printf("  0x%010" PRIx64 "  0x%010" PRIx64 "  %10s  %c%c%c  %-8s  %s\n",
	       area->start, gpmm_area_last(area), pretty(area->size),
	       area->flags & GPMM_READ ? 'r' : '-',
	       area->flags & GPMM_WRITE ? 'w' : '-',
	       area->flags & GPMM_EXEC ? 'x' : '-',
	       kinds[KIND_OF(area->flags)], area->backend->ops->name);
}

void report_map(const struct machine *machine)
{
	struct gpmm_area areas[AREAS_MAX];
	size_t count = copy_areas(machine->set, areas);
	size_t i;

	printf("  %-12s  %-12s  %10s  %-3s  %-8s  %s\n", "first", "last",
	       "size", "", "what", "backend");
	for (i = 0; i < count; i++)
		print_area(&areas[i]);
}

void report_accesses(const struct accesses *accesses)
{
	uint64_t total = 0;
	unsigned int i;

	for (i = 0; i < ACCESSES; i++) {
		total += accesses->count[i];
		if (accesses->count[i])
			printf("  %6" PRIu64 "  %s\n", accesses->count[i],
			       exits[i]);
	}
	printf("  %6" PRIu64 "  in all\n", total);
}

/* Count the pages of RAM whose last word is not what the guest wrote. */
static int check_ram(void *arg, const struct gpmm_area *area)
{
	uint64_t *wrong = arg;
	uint64_t offset;

	if (KIND_OF(area->flags) != KIND_RAM)
		return 0;
	offset = area->start < LOW_FREE ? LOW_FREE - area->start : 0;
	for (offset += 4096 - 8; offset < area->size; offset += 4096) {
		const uint64_t *word = (void *)((char *)area->hva + offset);

		*wrong += *word != ((area->start + offset) ^ PATTERN);
	}
	return 0;
}

static bool must(bool holds, const char *what)
{
	if (!holds)
		printf("FAIL: %s\n", what);
	return holds;
}

static bool all_kinds_seen(const struct accesses *accesses)
{
	return accesses->count[ACCESS_CONSOLE] &&
	       accesses->count[ACCESS_DEVICE] &&
	       accesses->count[ACCESS_READ_ONLY] &&
	       accesses->count[ACCESS_RESERVED] &&
	       accesses->count[ACCESS_NOTHING];
}

bool report_verdict(enum outcome outcome, const struct accesses *accesses,
		    const struct device *device,
		    const struct observer *observer)
{
	uint64_t wrong = 0;
	bool pass;

	if (!must(outcome != OUTCOME_HUNG, "the guest hung") ||
	    !must(outcome != OUTCOME_DIED, "the guest died"))
		return false;
	gpmm_set_for_each(accesses->machine->set, GPMM_RANGE_ALL, check_ram,
			  &wrong);
	pass = must(!device->failed, "a check of the guest's did not hold");
	pass &= must(!device->error, "a change under the guest did not work");
	pass &= must(!wrong, "RAM does not hold what the guest wrote");
	pass &= must(!observer->torn, "a reader saw half a change");
	pass &= must(all_kinds_seen(accesses), "an exit did not come");
	if (pass)
		puts("PASS");
	return pass;
}

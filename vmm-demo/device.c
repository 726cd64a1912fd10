/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include <string.h>
#include <time.h>

#include "guest.h"
#include "report.h"
#include "say.h"

static uint64_t microseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* The guest asks for other memory. Return: 0 or a negative errno. */
static int change(struct device *device, uint64_t offset, uint64_t value)
{
	switch (offset) {
	case DEV_PLUG:
		return dimm_plug(device->machine, &device->dimm, value);
	case DEV_SEAL:
		return dimm_seal(device->machine, &device->dimm, value);
	case DEV_MOVE:
		return dimm_move(device->machine, &device->dimm);
	default:
		return dimm_unplug(device->machine, &device->dimm);
	}
}

static const char *name_of(uint64_t offset, uint64_t value)
{
	switch (offset) {
	case DEV_PLUG:
		return "plug";
	case DEV_SEAL:
		return value ? "seal half" : "unseal";
	case DEV_MOVE:
		return "move";
	default:
		return "unplug";
	}
}

static void say_change(const struct device *device, const char *name,
		       size_t areas, uint64_t took)
{
	const struct dimm *dimm = &device->dimm;
	size_t now = gpmm_set_len(device->machine->set);

	if (dimm->start)
		say("DIMM %s: %zu -> %zu areas in one commit, %ju us: %s at "
		    "%#jx", name, areas, now, (uintmax_t)took,
		    pretty(dimm->size), (uintmax_t)dimm->start);
	else
		say("DIMM %s: %zu -> %zu areas in one commit, %ju us: gone",
		    name, areas, now, (uintmax_t)took);
}

static void change_and_tell(struct device *device, uint64_t offset,
			    uint64_t value)
{
	const char *name = name_of(offset, value);
	size_t areas = gpmm_set_len(device->machine->set);
	uint64_t since = microseconds();
	int ret = change(device, offset, value);
	uint64_t took = microseconds() - since;

	if (ret)
		say("DIMM %s: refused, nothing changed: %s", name,
		    strerror(-ret));
	else
		say_change(device, name, areas, took);
	if (device->machine->options->verbose)
		report_map(device->machine);
}

uint64_t device_read(struct device *device, uint64_t offset)
{
	const struct options *options = device->machine->options;

	switch (offset) {
	case DEV_ID:
		return DEVICE_ID;
	case DEV_SCRATCH:
		return device->scratch;
	case DEV_LOW_END:
		return options->low_size;
	case DEV_HIGH_END:
		return HIGH_BASE + options->high_size;
	case DEV_RESERVED:
		return device->machine->reserved;
	case DEV_DIMM:
		return device->dimm.start;
	default:
		return UINT64_MAX;
	}
}

void device_write(struct device *device, uint64_t offset, uint64_t value)
{
	switch (offset) {
	case DEV_SCRATCH:
		device->scratch = value;
		break;
	case DEV_PLUG:
	case DEV_SEAL:
	case DEV_MOVE:
	case DEV_UNPLUG:
		change_and_tell(device, offset, value);
		break;
	case DEV_WRONG:
		say("the guest finds a wrong word at %#jx", (uintmax_t)value);
		break;
	case DEV_DONE:
		device->failed = value;
		device->done = true;
		break;
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include <errno.h>
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
	if (device->churn.running)
		return -EBUSY;
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

static void churn(struct device *device, uint64_t rounds)
{
	if (churn_start(&device->churn, device->machine, &device->dimm, rounds))
		return;
	say("DIMM churn: seal half and unseal, %ju times, while the guest runs",
	    (uintmax_t)rounds);
}

static uint64_t churn_left(struct device *device)
{
	uint64_t left = atomic_load(&device->churn.left);

	if (!left)
		device_stop(device);
	return left;
}

void device_stop(struct device *device)
{
	struct gpmm_kvm_stats stats;

	if (!device->churn.running)
		return;
	device->error = churn_join(&device->churn);
	gpmm_kvm_get_stats(device->machine->memslots, &stats);
	say("DIMM churn: %s; the gate took the guest out %ju times, for %ju us "
	    "at most", device->error ? strerror(-device->error) : "done",
	    (uintmax_t)stats.stalls.kicks,
	    (uintmax_t)stats.stalls.max_ns / 1000);
}

static uint64_t read_register(struct device *device, uint64_t offset)
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
	case DEV_CHURN:
		return churn_left(device);
	case DEV_DIMM:
		return device->dimm.start;
	default:
		return UINT64_MAX;
	}
}

static void write_register(struct device *device, uint64_t offset,
			   uint64_t value)
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
	case DEV_CHURN:
		churn(device, value);
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

static void say_access(const struct device *device, const char *what,
		       uint64_t offset, uint64_t value)
{
	if (device->machine->options->verbose)
		say("%s device register %#jx: %#jx", what, (uintmax_t)offset,
		    (uintmax_t)value);
}

static int on_read(void *arg, uint64_t offset, unsigned int width,
		   uint64_t *value)
{
	(void)width;
	*value = read_register(arg, offset);
	say_access(arg, "read", offset, *value);
	return 0;
}

static int on_write(void *arg, uint64_t offset, unsigned int width,
		    uint64_t value)
{
	(void)width;
	say_access(arg, "write", offset, value);
	write_register(arg, offset, value);
	return 0;
}

void device_init(struct device *device, struct machine *machine)
{
	static const struct gpmm_mmio_ops ops = {
		.read = on_read,
		.write = on_write,
	};
	int ret;

	*device = (struct device){ .machine = machine };
	ret = gpmm_mmio_create(&ops, device, DEVICE_BASE, NULL, &device->mmio);
	if (ret)
		cannot(-ret, "no window for the device");
}

void device_fini(struct device *device)
{
	struct gpmm_set *set = device->machine->set;
	int ret = gpmm_set_unmap(set, DEVICE_BASE, DEVICE_SIZE);

	if (!ret)
		ret = gpmm_mmio_retire(set, device->mmio);
	if (ret)
		cannot(-ret, "the device cannot be removed");
}

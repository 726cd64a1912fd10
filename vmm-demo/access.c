/* SPDX-License-Identifier: BSD-3-Clause */
#include "access.h"

#include <string.h>

#include "device.h"
#include "guest.h"
#include "say.h"

static const char *const where[ACCESSES] = {
	[ACCESS_READ_ONLY] = "read-only memory, dropped",
	[ACCESS_RESERVED] = "a reserved hole",
	[ACCESS_NOTHING] = "nothing",
	[ACCESS_BROKEN] = "memory that does not answer",
};

/*
 * KVM tells only that no memory answered. Whether a device was meant, or a
 * write met the ROM, the set knows.
 */
static enum access kind_of(const struct gpmm_set *set, gpmm_gpa_t addr,
			   bool write, struct gpmm_area *area)
{
	if (!gpmm_set_find(set, addr, area))
		return ACCESS_NOTHING;
	if (area->flags & GPMM_MMIO)
		return ACCESS_DEVICE;
	if (!area->host)
		return ACCESS_RESERVED;
	return write && !(area->flags & GPMM_WRITE) ? ACCESS_READ_ONLY :
						      ACCESS_BROKEN;
}

static void access_device(const struct gpmm_area *area, gpmm_gpa_t addr,
			  uint8_t *data, uint32_t size, bool write)
{
	struct device *device = area->owner;
	uint64_t offset = addr - area->start;
	uint64_t value = 0;

	if (write) {
		memcpy(&value, data, size);
	} else {
		value = device_read(device, offset);
		memcpy(data, &value, size);
	}
	if (device->machine->options->verbose)
		say("%s device register %#jx: %#jx", write ? "write" : "read",
		    (uintmax_t)offset, (uintmax_t)value);
	if (write)
		device_write(device, offset, value);
}

void access_memory(struct accesses *accesses, gpmm_gpa_t addr, uint8_t *data,
		   uint32_t size, bool write)
{
	struct gpmm_area area;
	enum access kind =
		kind_of(accesses->machine->set, addr, write, &area);

	accesses->count[kind]++;
	if (kind == ACCESS_DEVICE) {
		access_device(&area, addr, data, size, write);
		return;
	}
	say("%s %u bytes at %#jx: %s", write ? "write" : "read", size,
	    (uintmax_t)addr, where[kind]);
	if (!write)
		memset(data, 0xff, size);
}

void access_port(struct accesses *accesses, uint16_t port, uint8_t *data,
		 uint32_t size, uint32_t count, bool write)
{
	if (port == CONSOLE_PORT && write) {
		accesses->count[ACCESS_CONSOLE]++;
		say_guest(data, (size_t)size * count);
		return;
	}
	accesses->count[ACCESS_PORT]++;
	say("%s port %#x: nothing", write ? "write" : "read", port);
	if (!write)
		memset(data, 0xff, (size_t)size * count);
}

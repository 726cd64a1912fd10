/* SPDX-License-Identifier: BSD-3-Clause */
#include "access.h"

#include <string.h>

#include "guest.h"
#include "say.h"

static const char *const where[ACCESSES] = {
	[ACCESS_DEVICE] = "the device, which refuses it",
	[ACCESS_READ_ONLY] = "read-only memory, dropped",
	[ACCESS_RESERVED] = "a reserved hole",
	[ACCESS_NOTHING] = "nothing",
	[ACCESS_BROKEN] = "memory that does not answer",
};

/*
 * KVM tells only that no memory answered. Whether a device was meant, or a
 * write met the ROM, the set knows.
 */
static enum access kind_of(const struct gpmm_set *set,
			   const struct gpmm_kvm_access *access,
			   struct gpmm_area *area)
{
	bool found = gpmm_set_find(set, access->gpa, area);

	switch (gpmm_kvm_judge(access, found ? area : NULL)) {
	case GPMM_KVM_NOTHING:
		return ACCESS_NOTHING;
	case GPMM_KVM_ROM:
		return ACCESS_READ_ONLY;
	case GPMM_KVM_MMIO:
		return area->owner ? ACCESS_DEVICE : ACCESS_RESERVED;
	default:
		return ACCESS_BROKEN;
	}
}

/* The set finds the device's window, and the window its callbacks. */
static int access_device(const struct machine *machine,
			 const struct gpmm_kvm_access *access)
{
	const struct gpmm_guest guest = { .set = machine->set };

	return access->write ?
		       gpmm_io_write(&guest, access->gpa, access->data,
				     access->size, NULL) :
		       gpmm_io_read(&guest, access->gpa, access->data,
				    access->size, NULL);
}

void access_memory(struct accesses *accesses,
		   const struct gpmm_kvm_access *access)
{
	struct gpmm_area area;
	enum access kind = kind_of(accesses->machine->set, access, &area);

	accesses->count[kind]++;
	if (kind == ACCESS_DEVICE &&
	    !access_device(accesses->machine, access))
		return;
	say("%s %ju bytes at %#jx: %s", access->write ? "write" : "read",
	    (uintmax_t)access->size, (uintmax_t)access->gpa, where[kind]);
	if (!access->write)
		memset(access->data, 0xff, access->size);
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

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The KVM backend: a set's areas as memslots of a virtual machine.
 */
#ifndef GPMM_KVM_H
#define GPMM_KVM_H

#include <gpmm/backend.h>
#include <gpmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gpmm_kvm_options {
	/* KVM address space, bits 16 to 31 of a slot; 0 is the normal one. */
	unsigned int address_space;
	/* The first slot the backend may use; lower ones are the embedder's. */
	unsigned int first_slot;
	/* At most so many slots; 0: all that KVM_CAP_NR_MEMSLOTS allows. */
	unsigned int slot_count;
	/* Slots kept back from ordinary maps, for hotplug. */
	unsigned int reserve;
};

/*
 * gpmm_kvm_create - a backend over a virtual machine's memslots
 * @vm_fd: from KVM_CREATE_VM
 * @options: NULL for the defaults
 * @backend: receives it
 *
 * Areas need host memory that is page-aligned. An area without GPMM_WRITE
 * becomes a read-only slot, GPMM_LOG_DIRTY turns on its dirty log. Areas that
 * run on in guest and host addresses share a slot.
 *
 * Context: any; only the process that created the VM may use it.
 * Owns: borrows @vm_fd, which outlives the backend; the caller owns *@backend.
 * Return: 0; -EINVAL; -ENOMEM; -EBADF, -ENOTTY where @vm_fd is no VM.
 */
int gpmm_kvm_create(int vm_fd, const struct gpmm_kvm_options *options,
		    struct gpmm_backend **backend);

/*
 * gpmm_kvm_destroy - free the backend; slots it still has stay in the VM
 *
 * Context: any; no set may still have areas of it. NULL is ignored.
 */
void gpmm_kvm_destroy(struct gpmm_backend *backend);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stddef.h>

#include <gpmm/kvm.h>

#include "kvm/kvm_sys.h"

static int decode_mmio(struct kvm_run *run, struct gpmm_kvm_access *access)
{
	*access = (struct gpmm_kvm_access){
		.gpa = run->mmio.phys_addr,
		.size = run->mmio.len,
		.write = run->mmio.is_write,
		.data = run->mmio.data,
	};
	return 0;
}

static int decode_fault(const struct kvm_run *run,
			struct gpmm_kvm_access *access)
{
	const struct kvm_memory_fault *fault = kvm_run_memory_fault(run);

	*access = (struct gpmm_kvm_access){
		.gpa = fault->gpa,
		.size = fault->size,
		.fault = true,
		.is_private = fault->flags & KVM_MEMORY_EXIT_FLAG_PRIVATE,
	};
	return 0;
}

int gpmm_kvm_decode(struct kvm_run *run, int ret,
		    struct gpmm_kvm_access *access)
{
	if (!ret && run->exit_reason == KVM_EXIT_MMIO)
		return decode_mmio(run, access);
	if ((ret == -EFAULT || ret == -EHWPOISON) &&
	    run->exit_reason == KVM_EXIT_MEMORY_FAULT)
		return decode_fault(run, access);
	return -ENOENT;
}

enum gpmm_kvm_verdict gpmm_kvm_judge(const struct gpmm_kvm_access *access,
				     const struct gpmm_area *area)
{
	if (!area || !gpmm_area_contains(area, access->gpa))
		return GPMM_KVM_NOTHING;
	if (area->hva && !(area->flags & GPMM_RWX))
		return GPMM_KVM_NOTHING;
	if (!area->hva)
		return GPMM_KVM_MMIO;
	if (!access->write || area->flags & GPMM_WRITE)
		return GPMM_KVM_RAM;
	return area->flags & GPMM_MMIO ? GPMM_KVM_MMIO : GPMM_KVM_ROM;
}

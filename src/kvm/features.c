/* SPDX-License-Identifier: BSD-3-Clause */
#include "kvm/features.h"

#include <gpmm/kvm.h>

/* A capability whose value has all of @bits (0: any value) is a feature. */
static const struct {
	uint64_t feature;
	uint32_t cap;
	uint32_t bits;
} table[] = {
	{ GPMM_KVM_READONLY, KVM_CAP_READONLY_MEM, 0 },
	{ GPMM_KVM_REGION2, KVM_CAP_USER_MEMORY2, 0 },
	{ GPMM_KVM_MANUAL_LOG, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
	  KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE },
	{ GPMM_KVM_INITIALLY_SET_LOG, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
	  KVM_DIRTY_LOG_INITIALLY_SET },
	{ GPMM_KVM_RING_LOG, KVM_CAP_DIRTY_LOG_RING, 0 },
	{ GPMM_KVM_RING_LOG, KVM_CAP_DIRTY_LOG_RING_ACQ_REL, 0 },
	{ GPMM_KVM_GUEST_MEMFD, KVM_CAP_GUEST_MEMFD, 0 },
	{ GPMM_KVM_ATTRIBUTES, KVM_CAP_MEMORY_ATTRIBUTES,
	  KVM_MEMORY_ATTRIBUTE_PRIVATE },
	{ GPMM_KVM_FAULT_EXIT, KVM_CAP_MEMORY_FAULT_INFO, 0 },
	{ GPMM_KVM_PRE_FAULT, KVM_CAP_PRE_FAULT_MEMORY, 0 },
	{ GPMM_KVM_NO_ZAP_ALL, KVM_CAP_DISABLE_QUIRKS2,
	  KVM_X86_QUIRK_SLOT_ZAP_ALL },
	{ GPMM_KVM_EVENT, KVM_CAP_IOEVENTFD, 0 },
	{ GPMM_KVM_EVENT_ANY_SIZE, KVM_CAP_IOEVENTFD_ANY_LENGTH, 0 },
	{ GPMM_KVM_COALESCED, KVM_CAP_COALESCED_MMIO, 0 },
};

int gpmm__kvm_features(struct kvm_sys *sys, uint64_t *features)
{
	int ret = gpmm__kvm_check_vm(sys);
	uint64_t found = 0;

	if (ret)
		return ret;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		int has = gpmm__kvm_extension(sys, table[i].cap);

		if (has < 0)
			return has;
		if (has && (has & table[i].bits) == table[i].bits)
			found |= table[i].feature;
	}
	/* The slot of a guest_memfd is made by the second form only. */
	if (!(found & GPMM_KVM_REGION2))
		found &= ~GPMM_KVM_GUEST_MEMFD;
	*features = found;
	return 0;
}

int gpmm_kvm_features(int vm_fd, uint64_t *features)
{
	struct kvm_sys sys = { .ops = &gpmm__kvm_sys_real, .vm_fd = vm_fd };

	return gpmm__kvm_features(&sys, features);
}

int gpmm__kvm_no_zap_all(struct kvm_sys *sys)
{
	return gpmm__kvm_enable_cap(sys, KVM_CAP_DISABLE_QUIRKS2,
				    KVM_X86_QUIRK_SLOT_ZAP_ALL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef GPMM_KVM_FEATURES_H
#define GPMM_KVM_FEATURES_H

#include "kvm/kvm_sys.h"

/* Return: 0, or -errno where it is no VM. */
int gpmm__kvm_features(struct kvm_sys *sys, uint64_t *features);

/* Turn KVM_X86_QUIRK_SLOT_ZAP_ALL off, for good. Return: 0 or -errno. */
int gpmm__kvm_no_zap_all(struct kvm_sys *sys);

#endif

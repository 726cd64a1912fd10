/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef KVM_GUEST_CODE_H
#define KVM_GUEST_CODE_H

#include "helpers/kvm_guest.h"

/* Position-independent; less than a page. */
extern const uint8_t kvm_guest_code[];
extern const uint8_t kvm_guest_code_end[];
extern const uint8_t kvm_guest_code_load[];
extern const uint8_t kvm_guest_code_store[];
extern const uint8_t kvm_guest_code_touch[];
extern const uint8_t kvm_guest_code_watch[];
extern const uint8_t kvm_guest_code_reader[];
extern const uint8_t kvm_guest_code_writer[];

extern const uint8_t *const kvm_guest_routines[KVM_GUEST_ROUTINES];

#endif

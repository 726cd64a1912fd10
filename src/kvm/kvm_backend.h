/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef GPMM_KVM_BACKEND_H
#define GPMM_KVM_BACKEND_H

#include <stddef.h>

#include <gpmm/kvm.h>

#include "kvm/dirty_log.h"
#include "kvm/gate.h"
#include "kvm/hook.h"
#include "kvm/kvm_sys.h"
#include "kvm/kvm_txn.h"
#include "kvm/slots.h"
#include "util/lock.h"

struct kvm_backend {
	struct gate gate;
	struct gpmm_backend backend;
	struct kvm_sys sys;
	uint64_t features;	/* GPMM_KVM_READONLY and so on */
	struct lock lock;	/* held from begin to commit or abort */
	struct slots slots;
	struct kvm_txn txn;
	struct dirty_log log;
	struct hooks hooks;
	uint64_t commits;
};

static inline struct kvm_backend *to_kvm(struct gpmm_backend *backend)
{
	return (struct kvm_backend *)((char *)backend -
				      offsetof(struct kvm_backend, backend));
}

/* What a tracker calls; log.source is in @kvm. */
extern const struct gpmm_dirty_source_ops gpmm__kvm_source_ops;

/* gpmm_kvm_create() over a kernel of the caller's. @sys is copied. */
int gpmm__kvm_create_on(const struct kvm_sys *sys,
			const struct gpmm_kvm_options *options,
			struct gpmm_backend **backend);

#endif

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
	/*
	 * In an order in which a transaction on one slot touches few cache
	 * lines: an ioctl leaves none of them in the first cache.
	 */
	_Alignas(64) struct gpmm_backend backend;
	struct lock lock;	/* held from begin to commit or abort */
	_Alignas(64) uint64_t features;	/* GPMM_KVM_READONLY and so on */
	uint64_t commits;
	struct kvm_sys sys;
	_Alignas(64) struct kvm_txn txn;
	_Alignas(64) struct slots slots;
	_Alignas(64) struct dirty_log log;
	struct hooks hooks;
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

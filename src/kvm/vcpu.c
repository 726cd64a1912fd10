/* SPDX-License-Identifier: BSD-3-Clause */
/* vCPUs come and go, and run. */
#include <errno.h>

#include "kvm/kvm_backend.h"
#include "util/alloc.h"

/* Not while a transaction counts on it that there is no vCPU, or no ring. */
static int add(struct kvm_backend *kvm, struct gpmm_kvm_vcpu *vcpu)
{
	int ret = lock_acquire(&kvm->lock);

	if (ret)
		return ret;
	ret = gpmm__rings_add(&kvm->log.rings, &vcpu->ring, vcpu->options.fd);
	if (!ret)
		gpmm__gate_add(&kvm->gate, vcpu);
	lock_release(&kvm->lock);
	return ret;
}

/* What is in it yet must not go with it. */
static void remove_ring(struct kvm_backend *kvm, struct gpmm_kvm_vcpu *vcpu)
{
	lock_acquire(&kvm->lock);
	gpmm__rings_drain(&kvm->log.rings, &kvm->slots, &kvm->log.sink);
	gpmm__rings_remove(&kvm->log.rings, &vcpu->ring);
	lock_release(&kvm->lock);
}

/* Nothing but a signal brings a thread out that is in the guest already. */
static bool are_valid(const struct kvm_backend *kvm,
		      const struct gpmm_kvm_vcpu_options *options)
{
	return (options->kick || options->signal) &&
	       (!kvm->log.rings.size || options->run);
}

int gpmm_kvm_vcpu_create(struct gpmm_backend *backend,
			 const struct gpmm_kvm_vcpu_options *options,
			 struct gpmm_kvm_vcpu **vcpu)
{
	struct kvm_backend *kvm = to_kvm(backend);
	struct gpmm_kvm_vcpu *new;
	int ret;

	if (!are_valid(kvm, options))
		return -EINVAL;
	new = gpmm__alloc_aligned(_Alignof(struct gpmm_kvm_vcpu), sizeof(*new));
	if (!new)
		return -ENOMEM;
	*new = (struct gpmm_kvm_vcpu){
		.gate = &kvm->gate,
		.backend = backend,
		.options = *options,
	};
	ret = add(kvm, new);
	if (ret) {
		gpmm__free(new);
		return ret;
	}
	*vcpu = new;
	return 0;
}

void gpmm_kvm_vcpu_destroy(struct gpmm_kvm_vcpu *vcpu)
{
	if (!vcpu)
		return;
	gpmm__gate_remove(vcpu->gate, vcpu);
	remove_ring(to_kvm(vcpu->backend), vcpu);
	gpmm__free(vcpu);
}

static bool is_ring_full(const struct gpmm_kvm_vcpu *vcpu)
{
	return vcpu->ring.entries &&
	       vcpu->options.run->exit_reason == KVM_EXIT_DIRTY_RING_FULL;
}

int gpmm_kvm_run(struct gpmm_kvm_vcpu *vcpu, int vcpu_fd)
{
	int ret;

	gpmm_kvm_enter(vcpu);
	ret = gpmm__kvm_run(&to_kvm(vcpu->backend)->sys, vcpu_fd);
	gpmm_kvm_leave(vcpu);
	if (ret || !is_ring_full(vcpu))
		return ret;
	ret = gpmm_kvm_drain_rings(vcpu->backend);
	return ret ? ret : -EINTR;
}

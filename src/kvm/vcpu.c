/* SPDX-License-Identifier: BSD-3-Clause */
/* A vCPU's side of the gate. */
#include <errno.h>

#include "kvm/kvm_backend.h"
#include "util/alloc.h"

int gpmm_kvm_vcpu_create(struct gpmm_backend *backend,
			 const struct gpmm_kvm_vcpu_options *options,
			 struct gpmm_kvm_vcpu **vcpu)
{
	struct gate *gate = &to_kvm(backend)->gate;
	struct gpmm_kvm_vcpu *new;

	if (!options->kick && !options->immediate_exit && !options->signal)
		return -EINVAL;
	new = gpmm__alloc_aligned(_Alignof(*new), sizeof(*new));
	if (!new)
		return -ENOMEM;
	*new = (struct gpmm_kvm_vcpu){
		.gate = gate,
		.sys = &to_kvm(backend)->sys,
		.options = *options,
	};
	pthread_mutex_lock(&gate->mutex);
	new->next = gate->vcpus;
	gate->vcpus = new;
	pthread_mutex_unlock(&gate->mutex);
	*vcpu = new;
	return 0;
}

void gpmm_kvm_vcpu_destroy(struct gpmm_kvm_vcpu *vcpu)
{
	struct gpmm_kvm_vcpu **link;

	if (!vcpu)
		return;
	pthread_mutex_lock(&vcpu->gate->mutex);
	link = &vcpu->gate->vcpus;
	while (*link != vcpu)
		link = &(*link)->next;
	*link = vcpu->next;
	pthread_mutex_unlock(&vcpu->gate->mutex);
	gpmm__free(vcpu);
}

static bool must_wait(const struct gate *gate)
{
	return gate->closed && !pthread_equal(gate->closer, pthread_self());
}

static __attribute__((noinline)) void enter_closed(struct gpmm_kvm_vcpu *vcpu)
{
	struct gate *gate = vcpu->gate;

	pthread_mutex_lock(&gate->mutex);
	gate_set(&vcpu->inside, false);
	pthread_cond_broadcast(&gate->left);
	while (must_wait(gate))
		pthread_cond_wait(&gate->opened, &gate->mutex);
	gate_set(&vcpu->inside, true);
	pthread_mutex_unlock(&gate->mutex);
}

void gpmm_kvm_enter(struct gpmm_kvm_vcpu *vcpu)
{
	__atomic_store_n(&vcpu->thread, pthread_self(), __ATOMIC_RELAXED);
	gate_set(&vcpu->inside, true);
	if (__builtin_expect(gate_get(&vcpu->gate->closed), 0))
		enter_closed(vcpu);
}

static __attribute__((noinline)) void leave_closed(struct gate *gate)
{
	pthread_mutex_lock(&gate->mutex);
	pthread_cond_broadcast(&gate->left);
	pthread_mutex_unlock(&gate->mutex);
}

/*
 * What the gate has set it clears, after the thread is out: a kick that comes
 * later than that only makes the next KVM_RUN return at once.
 */
void gpmm_kvm_leave(struct gpmm_kvm_vcpu *vcpu)
{
	gate_set(&vcpu->inside, false);
	if (__builtin_expect(gate_get(&vcpu->gate->closed), 0))
		leave_closed(vcpu->gate);
	if (__builtin_expect(gate_get(&vcpu->kicked), 0)) {
		gate_set(&vcpu->kicked, false);
		__atomic_store_n(vcpu->options.immediate_exit, 0,
				 __ATOMIC_SEQ_CST);
	}
}

int gpmm_kvm_run(struct gpmm_kvm_vcpu *vcpu, int vcpu_fd)
{
	int ret;

	gpmm_kvm_enter(vcpu);
	ret = gpmm__kvm_run(vcpu->sys, vcpu_fd);
	gpmm_kvm_leave(vcpu);
	return ret;
}

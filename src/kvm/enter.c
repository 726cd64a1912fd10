/* SPDX-License-Identifier: BSD-3-Clause */
/* A vCPU's side of the gate: in, out, and out while its thread waits. */
#include <assert.h>

#include "kvm/gate.h"

__thread struct place gpmm__place;

static void come_out(struct gpmm_kvm_vcpu *vcpu)
{
	if (__builtin_expect(gate_pass(vcpu, false), 0))
		gpmm__gate_tell(vcpu->gate);
}

void gpmm__gate_leave_all(void)
{
	struct gpmm_kvm_vcpu *vcpu;

	for (vcpu = gpmm__place.inside; vcpu; vcpu = vcpu->outer)
		come_out(vcpu);
	gpmm__place.out = gpmm__place.inside != NULL;
}

static void step_out(void)
{
	gpmm__gate_leave_all();
	gpmm__gate_open_all();
}

/* Return: the first gate that is closed; NULL: the thread is inside of all. */
static struct gate *go_in(void)
{
	struct gpmm_kvm_vcpu *vcpu;

	for (vcpu = gpmm__place.inside; vcpu; vcpu = vcpu->outer)
		if (gate_pass(vcpu, true))
			return vcpu->gate;
	return NULL;
}

/* Inside of all or of none: the closer of one may wait at another. */
static __attribute__((noinline)) void go_in_all(void)
{
	struct gate *closed;

	while ((closed = go_in())) {
		step_out();
		gpmm__gate_wait(closed);
	}
	gpmm__place.out = false;
}

/* A closer stays out until it has opened what it closed. */
static void step_in(void)
{
	if (gpmm__place.out && !gpmm__place.closed)
		go_in_all();
}

const struct standing gpmm__gate_standing = { step_out, step_in };

void gpmm_kvm_enter(struct gpmm_kvm_vcpu *vcpu)
{
	assert(!gate_get(&vcpu->inside));
	__atomic_store_n(&vcpu->thread, pthread_self(), __ATOMIC_RELAXED);
	vcpu->outer = gpmm__place.inside;
	gpmm__place.inside = vcpu;
	gpmm__standing = &gpmm__gate_standing;
	if (__builtin_expect(gate_pass(vcpu, true), 0))
		go_in_all();
}

static void forget_inside(const struct gpmm_kvm_vcpu *vcpu)
{
	struct gpmm_kvm_vcpu **link = &gpmm__place.inside;

	while (*link != vcpu)
		link = &(*link)->outer;
	*link = vcpu->outer;
}

/*
 * What the gate has set it clears, after the thread is out: a kick that comes
 * later than that only makes the next KVM_RUN return at once.
 */
void gpmm_kvm_leave(struct gpmm_kvm_vcpu *vcpu)
{
	forget_inside(vcpu);
	come_out(vcpu);
	if (__builtin_expect(gate_get(&vcpu->kicked), 0)) {
		gate_set(&vcpu->kicked, false);
		__atomic_store_n(vcpu->options.immediate_exit, 0,
				 __ATOMIC_SEQ_CST);
	}
}

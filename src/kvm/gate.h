/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The gate keeps vCPUs out of KVM_RUN while slots are deleted and made anew.
 *
 * C  A vCPU whose @inside is set saw the gate open after it had set it; the
 *    gate counts as shut once it is closed and no vCPU is inside. Both sides
 *    write first and read then, so that at least one of them sees the other.
 *    It is the closer that sees to it, by membarrier(2) between the two: what
 *    a vCPU did before it is seen, and what it does later sees the gate. Only
 *    where that cannot be had is every enter and leave fenced as well.
 * D  A kick is given under the mutex to a vCPU seen inside; its leave takes
 *    the mutex too where it sees the gate closed. So a thread that is being
 *    kicked exists.
 * F  A thread that waits for others has come out of every gate and opened all
 *    that it had closed (util/standing.h); but a closer that waits for vCPUs
 *    to come out keeps its gates closed. So a vCPU inside is not waiting, nor
 *    is whoever has a gate closed, but for vCPUs inside: all get on. Nothing
 *    waits between a slot's going and its return: a gate opened early is one
 *    of a transaction that is whole here and not published yet, or undone
 *    next, which closes it again.
 */
#ifndef GPMM_KVM_GATE_H
#define GPMM_KVM_GATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <gpmm/kvm.h>

#include "kvm/dirty_ring.h"
#include "util/standing.h"

struct gpmm_kvm_vcpu {
	/* Written by the vCPU's thread at each enter and leave. */
	_Alignas(64) bool inside;
	bool kicked;		/* the gate has set immediate_exit */
	pthread_t thread;	/* that is inside */
	struct gpmm_kvm_vcpu *outer;	/* as which it was inside before */
	struct gate *gate;
	struct gpmm_backend *backend;
	struct gpmm_kvm_vcpu_options options;
	struct dirty_ring ring;
	struct gpmm_kvm_vcpu *next;	/* in gate->vcpus */
};

struct gate {
	/* Read by every enter, written only by a close or an open. */
	_Alignas(64) bool closed;
	bool fenced;		/* vCPUs are, see C; constant */
	_Alignas(64) pthread_mutex_t mutex;
	pthread_cond_t left;	/* a vCPU has left while it was closed */
	pthread_cond_t opened;
	pthread_t closer;	/* where closed */
	struct gate *next_closed;	/* that it has closed */
	struct gpmm_kvm_vcpu *vcpus;	/* come with the backend's lock held */
	uint64_t closed_at;	/* ns; 0: nobody is held */
	struct gpmm_kvm_stalls stalls;
};

/* Where the calling thread stands. */
struct place {
	struct gpmm_kvm_vcpu *inside;	/* the last it has entered as */
	struct gate *closed;		/* the last it has closed */
	bool out;			/* and to return to where it was inside */
};

extern __thread struct place gpmm__place;

/* See C. */
static inline void gate_set(bool *flag, bool value)
{
	__atomic_store_n(flag, value, __ATOMIC_SEQ_CST);
}

static inline bool gate_get(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_SEQ_CST);
}

/* A vCPU goes in or out. Return: whether the gate is closed. */
static inline bool gate_pass(struct gpmm_kvm_vcpu *vcpu, bool inside)
{
	const struct gate *gate = vcpu->gate;

	if (__builtin_expect(gate->fenced, 0)) {
		gate_set(&vcpu->inside, inside);
		return gate_get(&gate->closed);
	}
	__atomic_store_n(&vcpu->inside, inside, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&gate->closed, __ATOMIC_ACQUIRE);
}

/* Is there any behind it? */
static inline bool gate_has_vcpus(const struct gate *gate)
{
	return __atomic_load_n(&gate->vcpus, __ATOMIC_ACQUIRE);
}

/* Return: 0 or -errno. */
int gpmm__gate_init(struct gate *gate);
void gpmm__gate_fini(struct gate *gate);

/*
 * Return with every vCPU out of KVM_RUN. The caller's own are inside again
 * once it has opened what it closed.
 *
 * Return: whether there is any vCPU behind the gate.
 */
bool gpmm__gate_close(struct gate *gate);

/* Come, with the backend's lock held; or go. */
void gpmm__gate_add(struct gate *gate, struct gpmm_kvm_vcpu *vcpu);
void gpmm__gate_remove(struct gate *gate, struct gpmm_kvm_vcpu *vcpu);

/* Nothing happens where it is open, or another thread closed it. */
void gpmm__gate_open(struct gate *gate);

/* All that the caller has closed. */
void gpmm__gate_open_all(void);

/* Wait until no other thread has it closed. */
void gpmm__gate_wait(struct gate *gate);

/* A vCPU is out, which the closer may wait for. */
void gpmm__gate_tell(struct gate *gate);

/* Come out of all gates that the caller is inside of. Does not wait. */
void gpmm__gate_leave_all(void);

/* Of threads that enter or close gates. */
extern const struct standing gpmm__gate_standing;

void gpmm__gate_get_stalls(struct gate *gate, struct gpmm_kvm_stalls *stalls);

#endif

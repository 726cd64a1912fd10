/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The gate keeps vCPUs out of KVM_RUN while slots are deleted and made anew.
 *
 * C  A vCPU whose @inside is set saw the gate open after it had set it; the
 *    gate counts as shut once it is closed and no vCPU but the closer's own
 *    is inside. Both sides write first and read then, sequentially
 *    consistent, so that at least one of them sees the other.
 * D  A kick is given under the mutex to a vCPU seen inside; its leave takes
 *    the mutex too where it sees the gate closed. So a thread that is being
 *    kicked exists.
 */
#ifndef GPMM_KVM_GATE_H
#define GPMM_KVM_GATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <gpmm/kvm.h>

#include "kvm/dirty_ring.h"

struct gpmm_kvm_vcpu {
	/* Written by the vCPU's thread at each enter and leave. */
	_Alignas(64) bool inside;
	bool kicked;		/* the gate has set immediate_exit */
	pthread_t thread;	/* that is inside */
	struct gate *gate;
	struct gpmm_backend *backend;
	struct gpmm_kvm_vcpu_options options;
	struct dirty_ring ring;
	struct gpmm_kvm_vcpu *next;	/* in gate->vcpus */
};

struct gate {
	/* Read by every enter, written only by a close or an open. */
	_Alignas(64) bool closed;
	_Alignas(64) pthread_mutex_t mutex;
	pthread_cond_t left;	/* a vCPU has left while it was closed */
	pthread_cond_t opened;
	pthread_t closer;	/* where closed */
	struct gpmm_kvm_vcpu *vcpus;
	uint64_t closed_at;	/* ns; 0: nobody is held */
	struct gpmm_kvm_stalls stalls;
};

/* See C. */
static inline void gate_set(bool *flag, bool value)
{
	__atomic_store_n(flag, value, __ATOMIC_SEQ_CST);
}

static inline bool gate_get(const bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_SEQ_CST);
}

/* Return: 0 or -errno. */
int gpmm__gate_init(struct gate *gate);
void gpmm__gate_fini(struct gate *gate);

/*
 * Return with every vCPU but the caller's own out of KVM_RUN.
 *
 * Return: whether there is any vCPU behind the gate.
 */
bool gpmm__gate_close(struct gate *gate);

/* Nothing happens where it is open, or another thread closed it. */
void gpmm__gate_open(struct gate *gate);

void gpmm__gate_get_stalls(struct gate *gate, struct gpmm_kvm_stalls *stalls);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#include "kvm/gate.h"

#include <signal.h>
#include <time.h>

#include "util/barrier.h"

/* A kick that came between a check and KVM_RUN may be lost: try again. */
#define KICK_AGAIN_NS 5000000L

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* ----------------------------------------------------------------- life --- */

static int init_conds(struct gate *gate)
{
	pthread_condattr_t attr;
	int ret = pthread_condattr_init(&attr);

	if (ret)
		return -ret;
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	ret = pthread_cond_init(&gate->left, &attr);
	if (!ret) {
		ret = pthread_cond_init(&gate->opened, NULL);
		if (ret)
			pthread_cond_destroy(&gate->left);
	}
	pthread_condattr_destroy(&attr);
	return -ret;
}

int gpmm__gate_init(struct gate *gate)
{
	int ret = -pthread_mutex_init(&gate->mutex, NULL);

	if (ret)
		return ret;
	ret = init_conds(gate);
	if (ret)
		pthread_mutex_destroy(&gate->mutex);
	gate->fenced = !gpmm__barrier_threads();
	return ret;
}

void gpmm__gate_fini(struct gate *gate)
{
	pthread_cond_destroy(&gate->opened);
	pthread_cond_destroy(&gate->left);
	pthread_mutex_destroy(&gate->mutex);
}

/* -------------------------------------------------------------- writers --- */

static pthread_t thread_of(const struct gpmm_kvm_vcpu *vcpu)
{
	return __atomic_load_n(&vcpu->thread, __ATOMIC_RELAXED);
}

static void kick(struct gpmm_kvm_vcpu *vcpu)
{
	const struct gpmm_kvm_vcpu_options *options = &vcpu->options;

	if (options->kick) {
		options->kick(options->arg);
		return;
	}
	if (options->immediate_exit) {
		gate_set(&vcpu->kicked, true);
		__atomic_store_n(options->immediate_exit, 1, __ATOMIC_SEQ_CST);
	}
	if (options->signal)
		pthread_kill(thread_of(vcpu), options->signal);
}

/* Kick all who are inside. Return: whether there was any. */
static bool kick_all(struct gate *gate)
{
	struct gpmm_kvm_vcpu *vcpu;
	bool any = false;

	for (vcpu = gate->vcpus; vcpu; vcpu = vcpu->next) {
		if (!gate_get(&vcpu->inside))
			continue;
		any = true;
		kick(vcpu);
		gate->stalls.kicks++;
	}
	return any;
}

static bool is_anyone_inside(const struct gate *gate)
{
	const struct gpmm_kvm_vcpu *vcpu;

	for (vcpu = gate->vcpus; vcpu; vcpu = vcpu->next)
		if (gate_get(&vcpu->inside))
			return true;
	return false;
}

/* Wait until all are out, or a kick may have been lost. */
static void wait_for_leave(struct gate *gate)
{
	uint64_t until = now() + KICK_AGAIN_NS;
	const struct timespec time = {
		.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000,
	};

	while (is_anyone_inside(gate))
		if (pthread_cond_timedwait(&gate->left, &gate->mutex, &time))
			return;
}

static bool is_anothers_locked(const struct gate *gate)
{
	return gate->closed && !pthread_equal(gate->closer, pthread_self());
}

static void wait_locked(struct gate *gate)
{
	while (is_anothers_locked(gate))
		pthread_cond_wait(&gate->opened, &gate->mutex);
}

/* Another closer is waited for as anybody else is, see F. */
static void lock_to_close(struct gate *gate)
{
	pthread_mutex_lock(&gate->mutex);
	if (!is_anothers_locked(gate))
		return;
	pthread_mutex_unlock(&gate->mutex);
	gpmm__step_out();
	pthread_mutex_lock(&gate->mutex);
	wait_locked(gate);
}

/* A vCPU that comes later has had the mutex after us: it sees the gate. */
static void close_locked(struct gate *gate)
{
	if (gate->vcpus)
		gate->closed_at = now();
	gate->closer = pthread_self();
	gate->next_closed = gpmm__place.closed;
	gpmm__place.closed = gate;
	gate_set(&gate->closed, true);
	if (gate->vcpus && !gate->fenced)
		gpmm__barrier_must();
}

bool gpmm__gate_close(struct gate *gate)
{
	bool any;

	gpmm__standing = &gpmm__gate_standing;
	gpmm__gate_leave_all();
	lock_to_close(gate);
	if (!gate->closed)
		close_locked(gate);
	while (kick_all(gate))
		wait_for_leave(gate);
	any = gate->vcpus != NULL;
	pthread_mutex_unlock(&gate->mutex);
	return any;
}

static void count_stall(struct gate *gate)
{
	struct gpmm_kvm_stalls *stalls = &gate->stalls;
	uint64_t held;

	if (!gate->closed_at)
		return;
	held = now() - gate->closed_at;
	gate->closed_at = 0;
	stalls->count++;
	stalls->total_ns += held;
	if (held > stalls->max_ns)
		stalls->max_ns = held;
}

static void forget_closed(const struct gate *gate)
{
	struct gate **link = &gpmm__place.closed;

	while (*link != gate)
		link = &(*link)->next_closed;
	*link = gate->next_closed;
}

static void open_own(struct gate *gate)
{
	pthread_mutex_lock(&gate->mutex);
	if (gate->closed && pthread_equal(gate->closer, pthread_self())) {
		count_stall(gate);
		forget_closed(gate);
		gate_set(&gate->closed, false);
		pthread_cond_broadcast(&gate->opened);
	}
	pthread_mutex_unlock(&gate->mutex);
}

void gpmm__gate_open(struct gate *gate)
{
	if (gate_get(&gate->closed))
		open_own(gate);
	gpmm__step_in();
}

void gpmm__gate_open_all(void)
{
	while (gpmm__place.closed)
		open_own(gpmm__place.closed);
}

void gpmm__gate_get_stalls(struct gate *gate, struct gpmm_kvm_stalls *stalls)
{
	pthread_mutex_lock(&gate->mutex);
	*stalls = gate->stalls;
	pthread_mutex_unlock(&gate->mutex);
}

/* ---------------------------------------------------------------- vCPUs --- */

void gpmm__gate_add(struct gate *gate, struct gpmm_kvm_vcpu *vcpu)
{
	pthread_mutex_lock(&gate->mutex);
	vcpu->next = gate->vcpus;
	__atomic_store_n(&gate->vcpus, vcpu, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&gate->mutex);
}

void gpmm__gate_remove(struct gate *gate, struct gpmm_kvm_vcpu *vcpu)
{
	struct gpmm_kvm_vcpu **link = &gate->vcpus;

	pthread_mutex_lock(&gate->mutex);
	while (*link != vcpu)
		link = &(*link)->next;
	__atomic_store_n(link, vcpu->next, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&gate->mutex);
}

void gpmm__gate_wait(struct gate *gate)
{
	pthread_mutex_lock(&gate->mutex);
	wait_locked(gate);
	pthread_mutex_unlock(&gate->mutex);
}

void gpmm__gate_tell(struct gate *gate)
{
	pthread_mutex_lock(&gate->mutex);
	pthread_cond_broadcast(&gate->left);
	pthread_mutex_unlock(&gate->mutex);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The gate alone, without KVM: what a vCPU does between enter and leave never
 * meets what is done while the gate is closed, with membarrier(2) and without.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>

#include "helpers/child.h"
#include "helpers/kvm_suite.h"
#include "kvm/gate.h"

#define CLOSES 4000
#define COLD (64u << 20)

static struct gate gate;
static struct gpmm_kvm_vcpu vcpu;

/* Of the vCPU and of the closer: each looks at the other's. */
static unsigned int running, shut;
static unsigned int rounds, met;
static char cold[COLD];
static bool stop;

static unsigned int get(const unsigned int *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static void set(unsigned int *word, unsigned int value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static void no_kick(void *arg)
{
	(void)arg;
}

/* Stores that miss: what is stored after them is seen late. */
static void delay_stores(void)
{
	static unsigned int at;

	for (unsigned int i = 0; i < 32; i++, at += 4099 * 64)
		cold[at % COLD]++;
}

/* Long enough for the closer to shut it meanwhile. */
static void run(void)
{
	bool seen = false;

	set(&running, 1);
	for (unsigned int i = 0; i < 500; i++)
		seen |= get(&shut);
	set(&running, 0);
	if (seen)
		__atomic_fetch_add(&met, 1, __ATOMIC_RELAXED);
}

static void *enter_and_leave(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		delay_stores();
		gpmm_kvm_enter(&vcpu);
		run();
		gpmm_kvm_leave(&vcpu);
		set(&rounds, get(&rounds) + 1);
	}
	return arg;
}

static void close_and_open(void)
{
	unsigned int before = get(&rounds);
	bool seen = false;

	while (get(&rounds) == before)
		sched_yield();
	gpmm__gate_close(&gate);
	set(&shut, 1);
	for (unsigned int i = 0; i < 100; i++)
		seen |= get(&running);
	if (seen)
		__atomic_fetch_add(&met, 1, __ATOMIC_RELAXED);
	set(&shut, 0);
	gpmm__gate_open(&gate);
}

/* Return: whether the two have met. */
static bool race(unsigned int closes)
{
	pthread_t thread;

	met = 0;
	stop = false;
	gate.vcpus = &vcpu;
	vcpu = (struct gpmm_kvm_vcpu){
		.gate = &gate, .options = { .kick = no_kick },
	};
	pthread_create(&thread, NULL, enter_and_leave, NULL);
	for (unsigned int i = 0; i < closes; i++)
		close_and_open();
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	return met != 0;
}

static void test_nobody_is_inside_a_closed_gate(void)
{
	CU_ASSERT_EQUAL_FATAL(gpmm__gate_init(&gate), 0);
	CU_ASSERT_FALSE(race(CLOSES));
	gpmm__gate_fini(&gate);
}

static int race_without_membarrier(rlim_t limit)
{
	(void)limit;
	if (!lose_membarrier())
		return CHILD_SKIPS;
	return gpmm__gate_init(&gate) || !gate.fenced || race(CLOSES);
}

static void test_nor_where_there_is_no_membarrier(void)
{
	in_a_child(race_without_membarrier, 0);
}

SUITE("kvm enter",
	TEST(test_nobody_is_inside_a_closed_gate),
	TEST(test_nor_where_there_is_no_membarrier))

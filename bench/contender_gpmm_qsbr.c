/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gpmm as an embedder has it that brings liburcu's qsbr flavour: its readers
 * are online all the time and announce a quiescent state after each lookup,
 * which is as strict as a section each. No target is judged by it.
 */
#define URCU_INLINE_SMALL_FUNCTIONS
#include <urcu/urcu-qsbr.h>
#include <urcu/static/urcu-qsbr.h>

#include "gpmm_set.h"
#include "loops.h"

extern const struct rcu_flavor_struct urcu_qsbr_flavor;

static void *build(const struct bench_areas *areas, const uint32_t *order)
{
	return bench_gpmm_build(areas, order, &(struct gpmm_set_options){
		.flavor = &urcu_qsbr_flavor,
	});
}

static void destroy(void *set)
{
	bench_must(gpmm_set_destroy(set), "gpmm_set_destroy");
}

static inline void nothing(void *set)
{
	(void)set;
}

static inline void announce(void *set)
{
	(void)set;
	_urcu_qsbr_quiescent_state();
}

static inline bool look(void *set, uint64_t addr, struct bench_found *found)
{
	return bench_gpmm_look(set, addr, found);
}

BENCH_LOOPS(qsbr, , nothing, announce, look)

/* A thread that is online is a reader, and a reader cannot commit. */
static void replace(void *set, const struct bench_area *area)
{
	struct gpmm_area new = bench_gpmm_area(area);

	_urcu_qsbr_thread_offline();
	bench_must(gpmm_set_map(set, &new, GPMM_MAP_REPLACE), "gpmm_set_map");
	_urcu_qsbr_thread_online();
}

const struct bench_contender bench_gpmm_qsbr = {
	.name = "gpmm-qsbr", .concurrent = true,
	.build = build, .destroy = destroy, .settle = bench_gpmm_settle,
	.enter = urcu_qsbr_register_thread,
	.leave = urcu_qsbr_unregister_thread,
	.owner = bench_gpmm_owner,
	BENCH_LOOPS_OF(qsbr), .batch = qsbr_batch, .section = qsbr_section,
	.replace = replace,
};

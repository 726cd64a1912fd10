/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>

#include <gpmm/thread.h>

#include "util/rcu.h"
#include "util/standing.h"

#ifdef RCU_TSAN
char gpmm__rcu_tag;
#endif

#ifdef GPMM_DOUBLE

unsigned int gpmm__rcu_nesting;
unsigned long gpmm__rcu_grace_periods;
bool (*gpmm__rcu_busy)(void);
unsigned int gpmm__point_self;
void (*gpmm__point_hook)(bool stuck);

void gpmm_thread_register(void)
{
}

void gpmm_thread_unregister(void)
{
}

void gpmm__rcu_wait(const struct rcu_flavor_struct *flavor)
{
	(void)flavor;
	assert(!gpmm__rcu_nesting);
	gpmm__step_out();
	while (gpmm__rcu_busy && gpmm__rcu_busy())
		point(true);
	gpmm__rcu_grace_periods++;
	gpmm__step_in();
}

#else

void gpmm_thread_register(void)
{
	urcu_memb_register_thread();
}

void gpmm_thread_unregister(void)
{
	urcu_memb_unregister_thread();
}

void gpmm__rcu_wait(const struct rcu_flavor_struct *flavor)
{
	gpmm__step_out();
	if (flavor)
		flavor->update_synchronize_rcu();
	else
		urcu_memb_synchronize_rcu();
	rcu_tsan_acquire();
	gpmm__step_in();
}

#endif

void gpmm_read_lock(void)
{
	rcu_enter();
}

void gpmm_read_unlock(void)
{
	rcu_leave();
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A thread may stand where others wait for it to go: inside a gate, or with a
 * gate closed (kvm/gate.h). Whoever waits in the library for what another
 * thread does steps out first, so that nobody waits for a thread that waits.
 */
#ifndef GPMM_UTIL_STANDING_H
#define GPMM_UTIL_STANDING_H

struct standing {
	/* Go from wherever the calling thread stands. Does not wait. */
	void (*step_out)(void);
	/* Return to where it is to be. */
	void (*step_in)(void);
};

/* The calling thread's; NULL where it has never stood anywhere. */
extern __thread const struct standing *gpmm__standing;

/* Before a wait, and after it. */
void gpmm__step_out(void);
void gpmm__step_in(void);

#endif

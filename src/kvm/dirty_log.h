/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * KVM's logs of what guests write, as a tracker's source. Called with the
 * backend's lock held.
 */
#ifndef GPMM_KVM_DIRTY_LOG_H
#define GPMM_KVM_DIRTY_LOG_H

#include <gpmm/dirty.h>
#include <gpmm/kvm.h>

#include "kvm/dirty_ring.h"
#include "kvm/slots.h"

struct dirty_log {
	struct gpmm_dirty_sink sink;	/* .mark NULL: no tracker */
	struct dirty_rings rings;
	enum gpmm_kvm_log kind;
	int manual;		/* KVM_DIRTY_LOG_INITIALLY_SET and so on */
	struct gpmm_dirty_source source;
	unsigned int page_shift;
	uint64_t *bitmap;	/* one slot's; grows */
	size_t room;		/* words */
};

/* Return: 0; -EOPNOTSUPP; -EINVAL; -ENOMEM; the kernel's. */
int gpmm__dirty_log_init(struct dirty_log *log, struct slots *slots,
			 const struct gpmm_kvm_options *options);
/* Turn it on. Return: 0 or -errno. */
int gpmm__dirty_log_enable(struct dirty_log *log, struct kvm_sys *sys);
/* Turn it off, as far as KVM can: rings stay. */
void gpmm__dirty_log_disable(struct dirty_log *log, struct kvm_sys *sys);
void gpmm__dirty_log_fini(struct dirty_log *log);

/* All that was written in [first, last], and perhaps more. */
int gpmm__dirty_log_collect(struct dirty_log *log, struct slots *slots,
			    uint64_t first, uint64_t last);

/* Is nobody told what is written? Then a plan's ioctls are all there is. */
static inline bool gpmm__dirty_log_is_idle(const struct dirty_log *log)
{
	return !log->sink.mark && !log->rings.size;
}

/*
 * Around the ioctls of a plan; where it is idle they do nothing:
 * _room: before any. Return: 0 or -ENOMEM.
 * _before: harvest the logs that it ends. @held: no vCPU runs meanwhile.
 * _after: it was @made, or failed; @slots' map is as before. @held: none has
 * run since.
 */
int gpmm__dirty_log_room(struct dirty_log *log, const struct slots *slots);
void gpmm__dirty_log_before(struct dirty_log *log, struct slots *slots,
			    bool held);
void gpmm__dirty_log_after(struct dirty_log *log, struct slots *slots,
			   bool held, bool made);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* One virtual CPU, in 64-bit mode at CPL 3 from its first instruction. */
#ifndef VCPU_H
#define VCPU_H

#include "access.h"

struct vcpu {
	int fd;
	struct gpmm_kvm_vcpu *gate;
	struct kvm_run *run;
	size_t run_size;
};

enum outcome {
	OUTCOME_DONE,		/* the guest rang the doorbell */
	OUTCOME_HUNG,		/* it showed no sign of life */
	OUTCOME_DIED,		/* it cannot go on; said why */
};

/* Make it ready to run the ROM; ends the process where KVM refuses. */
void vcpu_create(struct vcpu *vcpu, const struct machine *machine);
void vcpu_destroy(struct vcpu *vcpu);

/* Run until @done or the end. Context: registered (gpmm/thread.h). */
enum outcome vcpu_run(struct vcpu *vcpu, struct accesses *accesses,
		      const bool *done);

#endif

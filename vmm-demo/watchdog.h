/* SPDX-License-Identifier: BSD-3-Clause */
/* A timer that takes a vCPU out of a guest that goes nowhere. */
#ifndef WATCHDOG_H
#define WATCHDOG_H

struct kvm_run;

/*
 * Look every @seconds; if watchdog_pat() was not called since the last look,
 * set immediate_exit and interrupt KVM_RUN. One for the process: SIGALRM goes
 * to the calling thread if all others block it.
 */
void watchdog_start(struct kvm_run *run, double seconds);
void watchdog_pat(void);
void watchdog_stop(void);

#endif

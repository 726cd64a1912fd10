/* SPDX-License-Identifier: BSD-3-Clause */
/* A timer that takes a vCPU out of a guest that goes nowhere. */
#ifndef WATCHDOG_H
#define WATCHDOG_H

#include <stdbool.h>

struct kvm_run;

/*
 * Look every @seconds; if watchdog_pat() was not called since the last look,
 * set immediate_exit and interrupt KVM_RUN. One for the process: SIGALRM goes
 * to the calling thread if all others block it.
 */
void watchdog_start(struct kvm_run *run, double seconds);
/* The guest gave a sign of life; what went before was the VMM's time. */
void watchdog_pat(void);
/* Whether it set immediate_exit since the last pat: the gate does so too. */
bool watchdog_barked(void);
void watchdog_stop(void);

#endif

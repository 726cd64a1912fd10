/* SPDX-License-Identifier: BSD-3-Clause */
/* Threads beside the vCPU's. */
#ifndef THREAD_H
#define THREAD_H

#include <pthread.h>

/*
 * Start @run with SIGALRM blocked: the watchdog's signal is for the vCPU's
 * thread. Ends the process where there is no thread to be had.
 */
void thread_start(pthread_t *thread, void *(*run)(void *arg), void *arg);

#endif

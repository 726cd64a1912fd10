/* SPDX-License-Identifier: BSD-3-Clause */
/* Faults under guest accesses: the handlers and the table behind them. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <gpmm/guest.h>

#include "guest/fault.h"

#ifdef FAULT_RECOVERY

/* Each relative to itself: the library may be loaded anywhere. */
struct fault_entry {
	int32_t from;
	int32_t to;
};

/* The linker's names for the ends of the section. */
extern const struct fault_entry __start_gpmm_faults[]
	__attribute__((visibility("hidden")));
extern const struct fault_entry __stop_gpmm_faults[]
	__attribute__((visibility("hidden")));

static const int signals[] = { SIGBUS, SIGSEGV };

static struct {
	pthread_mutex_t lock;
	unsigned int users;
	/*
	 * Ours is in the chain of handlers: it stays where another was put
	 * over it, and to go in again would make the chain a ring.
	 */
	bool installed[2];
	struct sigaction earlier[2];	/* constant while it is */
} faults = { .lock = PTHREAD_MUTEX_INITIALIZER };

static uintptr_t target(const int32_t *relative)
{
	return (uintptr_t)relative + (intptr_t)*relative;
}

/* Where to go on after a fault at @pc; 0: not one of ours. */
static uintptr_t resume_at(uintptr_t pc)
{
	const struct fault_entry *entry;

	for (entry = __start_gpmm_faults; entry < __stop_gpmm_faults; entry++)
		if (pc >= target(&entry->from) && pc < target(&entry->to))
			return target(&entry->to);
	return 0;
}

/*
 * Raised by the very instruction? A signal that somebody sent, or the notice
 * of a bad page that nobody has touched, may come at any instruction.
 */
static bool is_synchronous(int signal, const siginfo_t *info)
{
	if (signal == SIGBUS)
		return info->si_code == BUS_ADRERR ||
		       info->si_code == BUS_MCEERR_AR;
	return signal == SIGSEGV && info->si_code > 0;
}

bool gpmm_fault_recover(int signal, const void *info, void *context)
{
	ucontext_t *uc = context;
	uintptr_t to;

	if (!is_synchronous(signal, info))
		return false;
	to = resume_at(uc->uc_mcontext.gregs[REG_RIP]);
	if (to)
		uc->uc_mcontext.gregs[REG_RIP] = to;
	return to != 0;
}

/*
 * The default is death. A fault comes back when the handler returns; anything
 * else is sent again, to be delivered then.
 */
static void take_default(int signal, const siginfo_t *info)
{
	struct sigaction dfl;

	memset(&dfl, 0, sizeof(dfl));
	dfl.sa_handler = SIG_DFL;
	sigaction(signal, &dfl, NULL);
	if (!is_synchronous(signal, info))
		syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signal);
}

static void call_earlier(const struct sigaction *earlier, int signal,
			 siginfo_t *info, void *context)
{
	sigset_t mask = earlier->sa_mask, old;

	if (!(earlier->sa_flags & SA_NODEFER))
		sigaddset(&mask, signal);
	pthread_sigmask(SIG_BLOCK, &mask, &old);
	if (earlier->sa_flags & SA_SIGINFO)
		earlier->sa_sigaction(signal, info, context);
	else
		earlier->sa_handler(signal);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
	const struct sigaction *earlier =
		&faults.earlier[signal == SIGSEGV];
	int saved = errno;

	if (gpmm_fault_recover(signal, info, context))
		return;
	if (earlier->sa_flags & SA_SIGINFO ||
	    (earlier->sa_handler != SIG_DFL && earlier->sa_handler != SIG_IGN))
		call_earlier(earlier, signal, info, context);
	else if (earlier->sa_handler == SIG_DFL ||
		 is_synchronous(signal, info))
		take_default(signal, info);
	errno = saved;
}

/*
 * On the alternate stack where the thread has one; SA_NODEFER lets an earlier
 * handler fault into ours, if it uses the library.
 */
static int install(int i)
{
	struct sigaction ours;

	if (faults.installed[i])
		return 0;
	memset(&ours, 0, sizeof(ours));
	ours.sa_sigaction = on_signal;
	ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
	if (sigaction(signals[i], NULL, &faults.earlier[i]) ||
	    sigaction(signals[i], &ours, NULL))
		return -errno;
	faults.installed[i] = true;
	return 0;
}

static void uninstall(int i)
{
	struct sigaction now;

	if (!faults.installed[i] || sigaction(signals[i], NULL, &now))
		return;
	if (!(now.sa_flags & SA_SIGINFO) || now.sa_sigaction != on_signal)
		return;
	sigaction(signals[i], &faults.earlier[i], NULL);
	faults.installed[i] = false;
}

int gpmm_fault_install(void)
{
	int ret = 0;

	pthread_mutex_lock(&faults.lock);
	for (int i = 0; !ret && !faults.users && i < 2; i++)
		ret = install(i);
	if (ret)
		uninstall(0);
	else
		faults.users++;
	pthread_mutex_unlock(&faults.lock);
	return ret;
}

void gpmm_fault_remove(void)
{
	pthread_mutex_lock(&faults.lock);
	if (faults.users && !--faults.users)
		for (int i = 0; i < 2; i++)
			uninstall(i);
	pthread_mutex_unlock(&faults.lock);
}

#else

bool gpmm_fault_recover(int signal, const void *info, void *context)
{
	(void)signal;
	(void)info;
	(void)context;
	return false;
}

int gpmm_fault_install(void)
{
	return -EOPNOTSUPP;
}

void gpmm_fault_remove(void)
{
}

#endif

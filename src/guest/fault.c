/* SPDX-License-Identifier: BSD-3-Clause */
/* Faults under guest accesses: the handlers, and the way back. */
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

#ifdef FAULT_TABLE

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

static inline uintptr_t get_pc(const ucontext_t *uc)
{
#if defined(__x86_64__)
	return uc->uc_mcontext.gregs[REG_RIP];
#elif defined(__aarch64__)
	return uc->uc_mcontext.pc;
#else
	return uc->uc_mcontext.__gregs[REG_PC];
#endif
}

static inline void set_pc(ucontext_t *uc, uintptr_t pc)
{
#if defined(__x86_64__)
	uc->uc_mcontext.gregs[REG_RIP] = (greg_t)pc;
#elif defined(__aarch64__)
	uc->uc_mcontext.pc = pc;
#else
	uc->uc_mcontext.__gregs[REG_PC] = pc;
#endif
}

/* Return: false where the fault is none of ours. */
static bool resume(const siginfo_t *info, ucontext_t *uc)
{
	uintptr_t to = resume_at(get_pc(uc));

	(void)info;
	if (to)
		set_pc(uc, to);
	return to != 0;
}

#else

/* By pages: not every processor tells the byte. */
static bool is_in(const struct fault_span *span, const void *addr)
{
	uintptr_t page = ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
	uintptr_t first = (uintptr_t)span->start & page;
	uintptr_t last = ((uintptr_t)span->start + span->size - 1) | ~page;

	return span->size && (uintptr_t)addr - first <= last - first;
}

/* What the hardware lost may be told by its first byte, of a huge page. */
static bool is_of(const struct fault_record *record, const siginfo_t *info)
{
	return (info->si_signo == SIGBUS && info->si_code == BUS_MCEERR_AR) ||
	       is_in(&record->spans[0], info->si_addr) ||
	       is_in(&record->spans[1], info->si_addr);
}

/*
 * Does not return where the fault is ours: the access does. Signals are let
 * through again as they were before the handler.
 */
static bool resume(const siginfo_t *info, const ucontext_t *uc)
{
	struct fault_record *record = gpmm__fault_record;

	if (!record || !is_of(record, info))
		return false;
	pthread_sigmask(SIG_SETMASK, &uc->uc_sigmask, NULL);
	_longjmp(record->resume, 1);
}

#endif

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

/*
 * Raised by the very instruction? A signal that somebody sent, or the notice
 * of a bad page that nobody has touched, may come at any instruction. The
 * kernel's own code is that of an address that can be none.
 */
static bool is_synchronous(int signal, const siginfo_t *info)
{
	if (signal == SIGBUS)
		return info->si_code == BUS_ADRERR ||
		       info->si_code == BUS_MCEERR_AR ||
		       info->si_code == SI_KERNEL;
	return signal == SIGSEGV && info->si_code > 0;
}

bool gpmm_fault_recover(int signal, const void *info, void *context)
{
	return is_synchronous(signal, info) && resume(info, context);
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

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The writers' mutex. It knows its owner, so that a writer who would wait for
 * itself is told; one who waits for another steps out of where others wait for
 * it (standing.h). The double build has one thread, or those of a test that
 * takes turns between them (point.h).
 *
 * Most sets have one writer. An atomic instruction waits until all that was
 * stored before is with the other CPUs, which take a while to let go of lines
 * that readers look at. So a lock that one thread takes again and again becomes
 * that thread's friend: it says in its seat, with a plain store, what it is
 * inside of, and no longer takes the mutex. Whoever else comes takes that, ends
 * the friendship, has every CPU order its accesses (membarrier), and then knows
 * whether to wait for the friend to leave. A pair beside a reader at 64 areas
 * takes 550 ns for 1020, at 4096 890 for 1030 (bench/bench_set_change
 * --only=gpmm --areas=N, by turns with a STREAK that nobody reaches).
 *
 * A writer is inside of two locks at once: a set's, and a backend's within it.
 * So each lock has a depth, and a seat names a lock for each.
 *
 *  A  a seat's @inside is written by the thread whose it is, and names one lock
 *     of each depth at most: others of that depth which it takes meanwhile it
 *     takes by their mutex
 *  B  @friend is written with the mutex held, and its seat's thread goes by
 *     what it finds there after it has stored that it is inside
 *  C  the lock is held by whoever has the mutex, once @friend is NOBODY and the
 *     friend of before does not name it; or else by the friend that names it
 */
#ifndef GPMM_UTIL_LOCK_H
#define GPMM_UTIL_LOCK_H

#include <assert.h>
#include <errno.h>
#include <stdbool.h>

#ifdef GPMM_DOUBLE
#include "util/point.h"
#include "util/standing.h"

struct lock {
	bool held;
	unsigned int owner;
};

static inline int lock_init(struct lock *lock)
{
	lock->held = false;
	return 0;
}

static inline int lock_init_inner(struct lock *lock)
{
	return lock_init(lock);
}

static inline void lock_fini(struct lock *lock)
{
	assert(!lock->held);
	(void)lock;
}

static inline int lock_acquire(struct lock *lock)
{
	bool waits;

	point(false);
	waits = lock->held;
	if (waits && lock->owner == gpmm__point_self)
		return -EDEADLK;
	if (waits)
		gpmm__step_out();
	while (lock->held)
		point(true);
	lock->held = true;
	lock->owner = gpmm__point_self;
	if (waits)
		gpmm__step_in();
	return 0;
}

static inline void lock_release(struct lock *lock)
{
	assert(lock->held);
	lock->held = false;
	point(false);
}

#else
#include <pthread.h>

/* Is a lock taken by itself, or while one that is OUTER is held? */
enum depth { OUTER, INNER, DEPTHS };

/* Where a thread says what it is inside of. Seats outlive threads. */
struct seat {
	struct lock *inside[DEPTHS];	/* NULL: of none by friendship */
	unsigned int waited;	/* how many wait for it to leave */
	pthread_mutex_t mutex;	/* of those */
	pthread_cond_t left;
	struct seat *next;	/* that nobody sits in */
};

#define NOBODY	((struct seat *)1)

/* The calling thread's; NULL: it has none. */
extern __thread struct seat *gpmm__seat;

struct lock {
	struct seat *friend;	/* or NOBODY */
	/* Guarded by the mutex: who had that last, and how often in a row. */
	const void *last;
	unsigned int streak;
	enum depth depth;	/* constant */
	pthread_mutex_t mutex;
};

/*
 * _inner: of one that is taken while another is held, again and again. They may
 * be released in any order. Return: 0 or -errno.
 */
int lock_init(struct lock *lock);
int lock_init_inner(struct lock *lock);
void lock_fini(struct lock *lock);

/* What lock_acquire() does for others than friends. */
int gpmm__lock_acquire(struct lock *lock);

/* Wake those who wait for the seat's thread to leave. */
void gpmm__seat_left(struct seat *seat);

static inline void seat_leave(struct seat *seat, enum depth depth)
{
	__atomic_store_n(&seat->inside[depth], NULL, __ATOMIC_RELEASE);
	/* Who waits has made this CPU order the two. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (__builtin_expect(__atomic_load_n(&seat->waited, __ATOMIC_RELAXED),
			     0))
		gpmm__seat_left(seat);
}

/* Return: 0, or -EDEADLK where the caller holds it. */
static inline int lock_acquire(struct lock *lock)
{
	struct seat *seat = gpmm__seat;

	if (__builtin_expect(__atomic_load_n(&lock->friend,
					     __ATOMIC_RELAXED) != seat ||
			     seat->inside[lock->depth], 0))
		return gpmm__lock_acquire(lock);
	__atomic_store_n(&seat->inside[lock->depth], lock, __ATOMIC_RELEASE);
	/* Who ends the friendship has made this CPU order the two. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (__builtin_expect(__atomic_load_n(&lock->friend,
					     __ATOMIC_RELAXED) == seat, 1))
		return 0;
	seat_leave(seat, lock->depth);
	return gpmm__lock_acquire(lock);
}

static inline void lock_release(struct lock *lock)
{
	struct seat *seat = gpmm__seat;
	int ret;

	if (__builtin_expect(seat && seat->inside[lock->depth] == lock, 1)) {
		seat_leave(seat, lock->depth);
		return;
	}
	ret = pthread_mutex_unlock(&lock->mutex);
	assert(!ret);
	(void)ret;
}

#endif
#endif

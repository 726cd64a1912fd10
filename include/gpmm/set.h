/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MemorySet: a concurrent ordered set of memory areas.
 *
 * Readers never block, take no lock and write no shared line. One writer at a
 * time (a mutex inside the set) builds the next state beside the current one,
 * tells the backends, and publishes it with a single store: a reader sees all
 * of a transaction or nothing of it. A change that fails has changed nothing:
 * not the set, not its backends.
 *
 * Edges: every start and size is a multiple of the set's granule, and of the
 * granule of the backend of each area it cuts; -EINVAL otherwise, before
 * anything changes. All 2^64 bytes at once have no size: gpmm_set_clear() is
 * for them, or two ranges.
 *
 * Keys are 32 bits wide as long as all areas lie in the first 2^31 granules
 * (8 TiB of 4 KiB pages). The first area above makes them 64 bits wide, which
 * takes time in proportion to the set, once, until the set is empty again;
 * lookups are somewhat slower then.
 *
 * Host memory that a set lets go of is released without the set's lock, often
 * by a thread of the library's own, which is not registered and takes no
 * signals. A release callback may change sets, the one it comes from too; it
 * must not destroy that one, nor wait for a thread that drains or destroys it.
 *
 * Errors that every changing function may return:
 *   -EINVAL   misaligned, wrapping past 2^64, or otherwise malformed
 *   -ENOMEM   no memory to build the next state
 *   -ENOSPC   a backend ran out of slots or tables
 *   -EDEADLK  called from inside a read section, or by the lock's holder
 *   -EIO      a backend failed without a cause of its own; or an undo failed
 *             and its range is now poisoned (gpmm_set_repair())
 *   other     what a backend returned
 */
#ifndef GPMM_SET_H
#define GPMM_SET_H

#include <gpmm/area.h>
#include <gpmm/backend.h>
#include <gpmm/hit.h>
#include <gpmm/thread.h>
#include <gpmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gpmm_set;
struct gpmm_txn;
struct rcu_flavor_struct;

/* ---------------------------------------------------------------- life --- */

struct gpmm_set_options {
	/* Bytes, a power of two; 0: the host's page size. */
	uint64_t granule;
	/* For areas mapped without one; NULL: gpmm_backend_none(). */
	struct gpmm_backend *backend;
	/* Neighbours that could be one area stay two. */
	bool no_merge;
	/*
	 * Retired memory that may wait for a grace period, in bytes, before a
	 * writer waits for it; 0: a default in proportion to the set.
	 */
	size_t limbo_max;
	/*
	 * The embedder's own liburcu flavour; NULL: urcu-memb. Its threads
	 * then open sections of that flavour, and only they may read. A thread
	 * that is online in urcu-qsbr counts as a reader: it goes offline
	 * around what it changes.
	 */
	const struct rcu_flavor_struct *flavor;
};

/*
 * gpmm_set_create - make an empty set
 * @options: NULL for the defaults
 * @set: receives it
 *
 * Context: not-reader; not in the forked child of a process with sets.
 * Owns: the caller owns *@set; the set borrows the backend.
 * Return: 0; -EINVAL; -ENOMEM; -EAGAIN where no reclaim thread could start.
 */
int gpmm_set_create(const struct gpmm_set_options *options,
		    struct gpmm_set **set);

/*
 * gpmm_set_destroy - clear a set and free it
 *
 * Tells the backends to unmap what is left, waits for readers and releases
 * host memory that nobody pins.
 *
 * Context: writer; no other thread uses the set any more, nor does a release
 * callback of its memory. NULL is ignored.
 * Owns: takes @set where it returns 0; otherwise the set is as before.
 * Return: 0, or what gpmm_set_clear() returned.
 */
int gpmm_set_destroy(struct gpmm_set *set);

/*
 * gpmm_set_abandon - free a set without telling its backends
 *
 * For when what they mapped is gone already (the VM's descriptor is closed).
 * Waits for readers, too, before it releases host memory.
 *
 * Context: as gpmm_set_destroy(). NULL is ignored.
 */
void gpmm_set_abandon(struct gpmm_set *set);

/*
 * gpmm_set_drain - wait until all that was retired is released
 *
 * After it returns, host memory of every area removed before the call is
 * released, but for pins, and node memory no longer needed is given back.
 *
 * Context: writer, and not from a release callback of the set's host memory.
 * Return: 0, or -EDEADLK where it would wait for the caller.
 */
int gpmm_set_drain(struct gpmm_set *set);

/* ------------------------------------------------------------- reading --- */

/* How many areas the set has at the moment. Context: any. */
size_t gpmm_set_len(const struct gpmm_set *set);
bool gpmm_set_is_empty(const struct gpmm_set *set);

/*
 * gpmm_set_generation - a number that grows with each change of the set
 *
 * What a reader finds after it read the generation is still so as long as,
 * inside a read section, it reads the same generation again: the means to
 * keep a translation at hand and check it with one load.
 *
 * Context: any.
 */
uint64_t gpmm_set_generation(const struct gpmm_set *set);

/*
 * gpmm_set_find - what lies at @addr?
 * @area: receives the area; left alone where there is none; may be NULL
 *
 * Opens and closes a read section of its own. The host memory behind the area
 * may be unmapped once it has returned: a caller that goes on to touch it
 * holds a section around both (and may then call gpmm_set_find_rcu()).
 *
 * Context: registered. Return: whether an area contains @addr.
 */
bool gpmm_set_find(const struct gpmm_set *set, gpmm_gpa_t addr,
		   struct gpmm_area *area);

/*
 * The same for a caller who is in a read section; gpmm_set_hit_rcu() copies
 * nothing. Context: reader.
 */
bool gpmm_set_find_rcu(const struct gpmm_set *set, gpmm_gpa_t addr,
		       struct gpmm_area *area);

/*
 * gpmm_set_overlaps - does any area intersect [start, start + size)?
 *
 * A size of 0, or a range that wraps, overlaps nothing.
 *
 * Context: registered.
 */
bool gpmm_set_overlaps(const struct gpmm_set *set, gpmm_gpa_t start,
		       uint64_t size);

struct gpmm_hole {
	uint64_t size;		/* bytes wanted; more than 0 */
	uint64_t align;		/* of the start; a power of two; 0: 1 */
	struct gpmm_range limit;	/* where to look; of size 0: anywhere */
	/*
	 * Bottom-up: nothing below it is returned. Top-down: nothing ends
	 * above it (0: no such bound).
	 */
	gpmm_gpa_t hint;
	bool top_down;		/* highest fit instead of lowest */
};

/*
 * gpmm_set_find_free - the lowest (highest) hole that fits
 * @addr: receives its start, which is also aligned to the set's granule
 *
 * It says where a hole is, not that it stays one: gpmm_view_find_free() of
 * gpmm_txn_view() and a map in one transaction have nobody between them.
 *
 * Context: registered. Return: 0; -ENOENT where nothing fits; -EINVAL for a
 * size of 0, an alignment that is no power of two, or a limit that wraps.
 */
int gpmm_set_find_free(const struct gpmm_set *set, const struct gpmm_hole *hole,
		       gpmm_gpa_t *addr);

/* Return: 0 to go on; anything else ends the walk and is returned. */
typedef int gpmm_area_fn(void *arg, const struct gpmm_area *area);

/*
 * gpmm_set_for_each - visit the areas that intersect @range, ascending
 *
 * All within one snapshot and one read section: @fn must be short and must
 * not change this set. A range of size 0, or that wraps, intersects none.
 *
 * Context: registered. Return: 0, or what @fn returned.
 */
int gpmm_set_for_each(const struct gpmm_set *set, struct gpmm_range range,
		      gpmm_area_fn *fn, void *arg);

/*
 * A view is one snapshot of a set: every answer it gives belongs to the same
 * moment, whatever writers do. It is valid inside the read section in which
 * it was taken (or until its transaction's next request, gpmm_txn_view()).
 * Copy it freely. Its members are the library's.
 */
struct gpmm_view {
	const struct gpmm_set *set;
	uintptr_t root;
};

/* Context: reader. */
struct gpmm_view gpmm_set_view_rcu(const struct gpmm_set *set);

/*
 * As their gpmm_set_ namesakes, within the view. Context: reader; but a view of
 * gpmm_txn_view() needs no section, here and below.
 */
bool gpmm_view_find(struct gpmm_view view, gpmm_gpa_t addr,
		    struct gpmm_area *area);
bool gpmm_view_overlaps(struct gpmm_view view, gpmm_gpa_t start,
			uint64_t size);
int gpmm_view_find_free(struct gpmm_view view, const struct gpmm_hole *hole,
			gpmm_gpa_t *addr);
int gpmm_view_for_each(struct gpmm_view view, struct gpmm_range range,
		       gpmm_area_fn *fn, void *arg);

/*
 * gpmm_view_next - the first area that ends above @addr
 *
 * It contains @addr or lies above it.
 *
 * Context: reader. Return: whether there is one.
 */
bool gpmm_view_next(struct gpmm_view view, gpmm_gpa_t addr,
		    struct gpmm_area *area);

/* A position in a view; its members are the library's. */
struct gpmm_iter {
	const struct gpmm_set *set;
	uintptr_t root;
	void *node[17];		/* the way from the leaf, [0], to the top */
	unsigned int at[17];
};

/*
 * gpmm_iter_init - start at the first area that ends above @addr
 * gpmm_iter_next - give the area at the position and step past it
 *
 *	gpmm_iter_init(&it, gpmm_set_view_rcu(set), 0);
 *	while (gpmm_iter_next(&it, &area))
 *		...
 *
 * Context: reader. Return: whether there was one.
 */
void gpmm_iter_init(struct gpmm_iter *it, struct gpmm_view view,
		    gpmm_gpa_t addr);
bool gpmm_iter_next(struct gpmm_iter *it, struct gpmm_area *area);

/* ------------------------------------------------------------- changing --- */

/* gpmm_set_map(): unmap what is in the way, in the same transaction. */
#define GPMM_MAP_REPLACE	(1u << 0)

/*
 * gpmm_set_map - add an area
 * @area: its host memory, where it has one, must hold [hva, hva + size)
 * @how: 0 or GPMM_MAP_REPLACE
 *
 * With GPMM_MAP_REPLACE readers see the old areas or the new one, never a
 * hole. The new area merges with neighbours it runs on from (see
 * gpmm_set_options.no_merge and GPMM_NOMERGE).
 *
 * Context: writer.
 * Owns: the set takes a reference of its own on the host memory.
 * Return: 0; -EEXIST where something is in the way and @how has no REPLACE;
 * the common errors, -EINVAL also where not all of the memory is @area->host's
 * (memory of the embedder's own needs one, too: GPMM_HOST_USER), a backend's
 * table is of another version or lacks a function, or @area->reserved is not 0.
 */
int gpmm_set_map(struct gpmm_set *set, const struct gpmm_area *area,
		 unsigned int how);

/*
 * gpmm_set_unmap - remove every area, or part of one, in a range
 *
 * What sticks out left and right stays. A size of 0, or nothing mapped there,
 * is success.
 *
 * Context: writer. Return: 0 or the common errors.
 */
int gpmm_set_unmap(struct gpmm_set *set, gpmm_gpa_t start, uint64_t size);

/*
 * @area: a whole area that intersects the range, as it is now
 * @flags: holds the old flags; set it to the new ones
 *
 * Called once for each area, ascending, before anything changes, with the
 * set's lock held. Return: true to change the part inside the range.
 */
typedef bool gpmm_protect_fn(void *arg, const struct gpmm_area *area,
			     uint32_t *flags);

/*
 * gpmm_set_protect - change flags in a range
 *
 * Areas that cross an edge of the range are split there.
 *
 * Context: writer. Return: 0 or the common errors.
 */
int gpmm_set_protect(struct gpmm_set *set, gpmm_gpa_t start, uint64_t size,
		     gpmm_protect_fn *update, void *arg);

/* An update that sets the flags to *(uint32_t *)@arg. */
gpmm_protect_fn gpmm_protect_to;

/* Remove every area, ascending. Context: writer. Return: the common errors. */
int gpmm_set_clear(struct gpmm_set *set);

/*
 * gpmm_set_split - cut the area around @at in two: [start, at), [at, end)
 *
 * Calls no backend. The halves stay apart until a change beside the cut, or
 * gpmm_set_merge(), finds that they run on.
 *
 * Context: writer. Return: 0 (also where an area starts at @at already);
 * -ENOENT where no area contains @at; the common errors.
 */
int gpmm_set_split(struct gpmm_set *set, gpmm_gpa_t at);

/*
 * gpmm_set_shrink_left - cut the left end off the area that contains @addr
 * gpmm_set_shrink_right - cut the right end off it
 * @size: bytes that stay; more than 0, at most the area's size
 *
 * Context: writer. Return: 0; -ENOENT where no area contains @addr; the common
 * errors, -EINVAL also for such a size.
 */
int gpmm_set_shrink_left(struct gpmm_set *set, gpmm_gpa_t addr, uint64_t size);
int gpmm_set_shrink_right(struct gpmm_set *set, gpmm_gpa_t addr, uint64_t size);

/*
 * gpmm_set_merge - merge all neighbours that run on, in and beside a range
 *
 * Works on a set with no_merge too; GPMM_NOMERGE is honoured.
 *
 * Context: writer. Return: 0 or the common errors.
 */
int gpmm_set_merge(struct gpmm_set *set, gpmm_gpa_t start, uint64_t size);

/* --------------------------------------------------------- transactions --- */

/*
 * gpmm_txn_begin - start a transaction; holds the set's lock until it ends
 * @txn: receives it
 *
 * Each change sees those before it; readers and backends see none until
 * commit. A change that fails leaves the transaction as it was before it, to
 * be continued, committed or aborted.
 *
 * Context: writer. The same thread ends the transaction.
 * Return: 0 or -EDEADLK.
 */
int gpmm_txn_begin(struct gpmm_set *set, struct gpmm_txn **txn);

/*
 * gpmm_txn_commit - make it all real, or nothing of it
 *
 * Context: writer; the thread that began @txn.
 * Owns: takes @txn, also on failure, when everything is as it was before
 * gpmm_txn_begin().
 * Return: 0 or the common errors.
 */
int gpmm_txn_commit(struct gpmm_txn *txn);

/*
 * End a transaction and forget it. Cannot fail. Context: the thread that began
 * it. Owns: takes @txn.
 */
void gpmm_txn_abort(struct gpmm_txn *txn);

/*
 * What the set would be now; valid without a read section, until the next
 * request, even one that fails, or the end. Context: the thread that began @txn.
 */
struct gpmm_view gpmm_txn_view(const struct gpmm_txn *txn);

/*
 * As their gpmm_set_ namesakes. Context: the thread that began @txn, and not
 * from a callback (@update too).
 */
int gpmm_txn_map(struct gpmm_txn *txn, const struct gpmm_area *area,
		 unsigned int how);
int gpmm_txn_unmap(struct gpmm_txn *txn, gpmm_gpa_t start, uint64_t size);
int gpmm_txn_protect(struct gpmm_txn *txn, gpmm_gpa_t start, uint64_t size,
		     gpmm_protect_fn *update, void *arg);
int gpmm_txn_clear(struct gpmm_txn *txn);
int gpmm_txn_split(struct gpmm_txn *txn, gpmm_gpa_t at);
int gpmm_txn_shrink_left(struct gpmm_txn *txn, gpmm_gpa_t addr, uint64_t size);
int gpmm_txn_shrink_right(struct gpmm_txn *txn, gpmm_gpa_t addr,
			  uint64_t size);
int gpmm_txn_merge(struct gpmm_txn *txn, gpmm_gpa_t start, uint64_t size);

/* --------------------------------------------------------------- poison --- */

/*
 * Where a backend fails and then also fails to undo, the set cannot know what
 * that backend has in the range: the range is poisoned. Readers go on seeing
 * the set as before; changes that touch the range fail with -EIO; all others
 * work. Host memory that the backend may still have there is kept until the
 * range is repaired or the set abandoned.
 */

/* Is any byte of the range poisoned? Context: not-reader, callback too. */
bool gpmm_set_is_poisoned(struct gpmm_set *set, gpmm_gpa_t start,
			  uint64_t size);

/*
 * gpmm_set_repair - try again to undo what could not be undone
 *
 * Context: writer.
 * Return: 0 where nothing is poisoned any more; -EDEADLK or -ENOMEM; or what
 * a backend returned, with what succeeded no longer poisoned.
 */
int gpmm_set_repair(struct gpmm_set *set);

/* ------------------------------------------------------------ figures --- */

struct gpmm_set_stats {
	size_t areas;
	unsigned int height;	/* levels of the tree; 0: empty */
	size_t node_bytes;	/* live nodes */
	size_t free_bytes;	/* kept for the next change */
	size_t limbo_bytes;	/* waiting for a grace period */
	size_t total_bytes;	/* all that the set has allocated for nodes */
	uint64_t commits;
	uint64_t stalls;	/* writers that waited for a grace period */
};

/* Context: writer; all zeros from a callback of the set. */
void gpmm_set_get_stats(struct gpmm_set *set, struct gpmm_set_stats *stats);

#ifdef __cplusplus
}
#endif
#endif

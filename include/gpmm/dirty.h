/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dirty tracking: which pages were written since one last asked.
 *
 * A tracker unites what its sources see (KVM's logs of what guests write) with
 * what the VMM marks itself. Any number of clients (a migration, a display)
 * harvest it independently: each sees every write that happened since it was
 * created. What a harvest gives is an epoch of that client's: it holds every
 * write up to its start that no earlier one held, and those that race with it
 * are in it or in the next. It may name pages that were not written, and
 * never misses one that was.
 *
 * A page's contents are read after its harvest: what is written from then on
 * is in the next one. So a device or a thread that writes guest memory itself
 * writes first and marks then.
 */
#ifndef GPMM_DIRTY_H
#define GPMM_DIRTY_H

#include <gpmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gpmm_dirty;
struct gpmm_dirty_client;

/* -------------------------------------------------------------- sources --- */

/*
 * Where a source puts what it has found: a tracker's, lock-free.
 *
 * Context: any. Pages outside of the tracker's range are ignored.
 */
struct gpmm_dirty_sink {
	void (*mark)(void *arg, gpmm_gpa_t start, uint64_t size);
	/* Bit n of @bits (n % 64 of word n / 64) is page n from @start on. */
	void (*mark_bits)(void *arg, gpmm_gpa_t start, const uint64_t *bits,
			  uint64_t pages);
	void *arg;
};

struct gpmm_dirty_source;

/* Context of every call: callback, with the tracker's lock held. */
struct gpmm_dirty_source_ops {
	/* Return: 0; -EBUSY where it serves another tracker. */
	int (*attach)(struct gpmm_dirty_source *source,
		      const struct gpmm_dirty_sink *sink);
	void (*detach)(struct gpmm_dirty_source *source);
	/*
	 * Give all that was written in @range so far, and perhaps beside it,
	 * to the sink, and start anew there. Where it fails, what it has given
	 * need not be given again.
	 */
	int (*collect)(struct gpmm_dirty_source *source,
		       struct gpmm_range range);
};

/* Embed it in your own structure. */
struct gpmm_dirty_source {
	const struct gpmm_dirty_source_ops *ops;
};

/* -------------------------------------------------------------- tracker --- */

/*
 * gpmm_dirty_create - make a tracker
 * @range: the guest addresses it tracks, page-aligned, as the guest may have
 *	(not GPMM_RANGE_ALL); one bit a page and one more for each client: all
 *	cost address space, only touched parts memory
 * @sources: attached until it is destroyed
 * @dirty: receives it
 *
 * Context: any.
 * Owns: borrows the sources; the caller owns *@dirty.
 * Return: 0; -EINVAL; -ENOMEM; -EBUSY where a source has a tracker already.
 */
int gpmm_dirty_create(struct gpmm_range range,
		      struct gpmm_dirty_source *const *sources, size_t count,
		      struct gpmm_dirty **dirty);

/* Context: any; it has no clients any more. NULL is ignored. */
void gpmm_dirty_destroy(struct gpmm_dirty *dirty);

/*
 * gpmm_dirty_mark - say that the VMM has written guest memory
 * @dirty: a struct gpmm_dirty (so that it can be struct gpmm_guest's mark)
 * @size: bytes; what lies outside of the tracker's range is ignored
 *
 * Lock-free; one load where there is no client (and, where the system has no
 * membarrier(2), as much as with one).
 *
 * Context: any, after the write.
 */
void gpmm_dirty_mark(void *dirty, gpmm_gpa_t start, uint64_t size);

/* -------------------------------------------------------------- clients --- */

/*
 * gpmm_dirty_client_create - begin to track for a client
 *
 * It sees what is written from now on; what came before, it has read itself.
 *
 * Context: not-reader.
 * Owns: the caller owns *@client, which @dirty outlives.
 * Return: 0; -ENOMEM; what a source returned.
 */
int gpmm_dirty_client_create(struct gpmm_dirty *dirty,
			     struct gpmm_dirty_client **client);

/* Context: any; NULL is ignored. */
void gpmm_dirty_client_destroy(struct gpmm_dirty_client *client);

/*
 * Return: 0 to go on. Anything else puts this run back, ends the harvest and
 * is returned by it; what was not given yet stays for the next.
 */
typedef int gpmm_dirty_fn(void *arg, gpmm_gpa_t start, uint64_t size);

/*
 * gpmm_dirty_harvest - take what was written
 * @range: where; page-aligned; GPMM_RANGE_ALL for all that is tracked
 * @fn: called for each run of pages, ascending; it may take its time, and may
 *	read the set
 *
 * Sources that can do so start anew in @range only: harvest what you are about
 * to send.
 *
 * Context: not-reader; one thread at a time for each client.
 * Return: 0; -EINVAL; what a source or @fn returned, with all that was not
 * given, or was refused, still to be harvested.
 */
int gpmm_dirty_harvest(struct gpmm_dirty_client *client,
		       struct gpmm_range range, gpmm_dirty_fn *fn, void *arg);

/*
 * gpmm_dirty_put_back - have it harvested again by this client
 *
 * For what was given and could not be sent.
 *
 * Context: any.
 */
void gpmm_dirty_put_back(struct gpmm_dirty_client *client, gpmm_gpa_t start,
			 uint64_t size);

#ifdef __cplusplus
}
#endif
#endif

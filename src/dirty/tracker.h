/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef GPMM_DIRTY_TRACKER_H
#define GPMM_DIRTY_TRACKER_H

#include <gpmm/dirty.h>

#include "dirty/page_map.h"
#include "util/lock.h"
#include "util/range.h"

/*
 * All marks go to @pending, one bitmap, however many clients there are. Under
 * the lock, before a client harvests or comes, they are passed on to each.
 */
struct gpmm_dirty {
	struct span span;
	unsigned int page_shift;
	/*
	 * A mark looks at @active after its page was written, and nothing on
	 * its way keeps the processor from looking before: so whoever sets it
	 * has every thread finish what it has written. Where the system cannot,
	 * all marks are taken.
	 */
	bool active;		/* there are clients, or marks are unordered */
	bool unordered;		/* gpmm__barrier_threads() cannot be had */
	struct page_map pending;
	struct lock lock;	/* the clients, and passing on */
	struct gpmm_dirty_client *clients;
	size_t nr_sources;
	struct gpmm_dirty_source *sources[];
};

struct gpmm_dirty_client {
	struct gpmm_dirty *dirty;
	struct gpmm_dirty_client *next;
	struct page_map pages;
};

/* The part of @range that is tracked, as pages. Return: whether there is. */
bool gpmm__dirty_pages(const struct gpmm_dirty *dirty, struct span range,
		       uint64_t *first, uint64_t *last);

/* Collect from the sources, and pass all that is pending on. */
int gpmm__dirty_gather(struct gpmm_dirty *dirty, struct gpmm_range range);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "dirty/tracker.h"
#include "util/alloc.h"
#include "util/barrier.h"

/* ----------------------------------------------------------------- life --- */

static struct gpmm_range all_of(const struct gpmm_dirty *dirty)
{
	return (struct gpmm_range){
		dirty->span.first, dirty->span.last - dirty->span.first + 1,
	};
}

/* What was written before goes to the others, or to nobody. */
static int join(struct gpmm_dirty *dirty, struct gpmm_dirty_client *client)
{
	int ret = lock_acquire(&dirty->lock);

	if (ret)
		return ret;
	ret = gpmm__dirty_gather(dirty, all_of(dirty));
	if (!ret) {
		client->next = dirty->clients;
		dirty->clients = client;
		__atomic_store_n(&dirty->active, true, __ATOMIC_SEQ_CST);
		if (!dirty->unordered)
			gpmm__barrier_must();
	}
	lock_release(&dirty->lock);
	return ret;
}

int gpmm_dirty_client_create(struct gpmm_dirty *dirty,
			     struct gpmm_dirty_client **client)
{
	struct gpmm_dirty_client *new = gpmm__zalloc(sizeof(*new));
	int ret;

	if (!new)
		return -ENOMEM;
	new->dirty = dirty;
	ret = gpmm__page_map_init(&new->pages, dirty->pending.pages);
	if (ret) {
		gpmm__free(new);
		return ret;
	}
	ret = join(dirty, new);
	if (ret) {
		gpmm__page_map_fini(&new->pages);
		gpmm__free(new);
		return ret;
	}
	*client = new;
	return 0;
}

void gpmm_dirty_client_destroy(struct gpmm_dirty_client *client)
{
	struct gpmm_dirty_client **link;
	struct gpmm_dirty *dirty;

	if (!client)
		return;
	dirty = client->dirty;
	lock_acquire(&dirty->lock);
	link = &dirty->clients;
	while (*link != client)
		link = &(*link)->next;
	*link = client->next;
	__atomic_store_n(&dirty->active, dirty->clients || dirty->unordered,
			 __ATOMIC_SEQ_CST);
	lock_release(&dirty->lock);
	gpmm__page_map_fini(&client->pages);
	gpmm__free(client);
}

/* -------------------------------------------------------------- harvest --- */

struct run {
	struct gpmm_dirty_client *client;
	gpmm_dirty_fn *fn;
	void *arg;
	uint64_t first;		/* pages */
	uint64_t count;		/* 0: none yet */
};

/* Give a run to the caller; what it refuses is put back. */
static int give(struct run *run)
{
	const struct gpmm_dirty *dirty = run->client->dirty;
	uint64_t count = run->count;
	int ret;

	if (!count)
		return 0;
	run->count = 0;
	ret = run->fn(run->arg,
		      dirty->span.first + (run->first << dirty->page_shift),
		      count << dirty->page_shift);
	if (ret)
		gpmm__page_map_mark(&run->client->pages, run->first, count);
	return ret;
}

/* Add @count pages to the run, or give it away and begin another. */
static int extend(struct run *run, uint64_t first, uint64_t count)
{
	int ret;

	if (run->count && run->first + run->count == first) {
		run->count += count;
		return 0;
	}
	ret = give(run);
	run->first = first;
	run->count = count;
	return ret;
}

/* The runs in one word; where it ends early, its bits go back. */
static int extend_word(struct run *run, uint64_t index, uint64_t bits)
{
	while (bits) {
		unsigned int from = __builtin_ctzll(bits);
		uint64_t rest = ~(bits >> from);
		unsigned int count = rest ? __builtin_ctzll(rest) : 64;
		int ret = extend(run, index * 64 + from, count);

		if (ret) {
			gpmm__page_map_or(&run->client->pages, index, bits);
			return ret;
		}
		if (from + count == 64)
			break;
		bits &= ~UINT64_C(0) << (from + count);
	}
	return 0;
}

static int walk(struct run *run, uint64_t first, uint64_t last)
{
	struct page_map *pages = &run->client->pages;
	uint64_t index = first / 64;
	uint64_t bits;
	int ret = 0;

	while (!ret && index <= last / 64 &&
	       (bits = gpmm__page_map_take(pages, &index, first, last))) {
		ret = extend_word(run, index, bits);
		index++;
	}
	return ret ? ret : give(run);
}

static int gather(struct gpmm_dirty *dirty, struct gpmm_range range)
{
	int ret = lock_acquire(&dirty->lock);

	if (ret)
		return ret;
	ret = gpmm__dirty_gather(dirty, range);
	lock_release(&dirty->lock);
	return ret;
}

int gpmm_dirty_harvest(struct gpmm_dirty_client *client,
		       struct gpmm_range range, gpmm_dirty_fn *fn, void *arg)
{
	struct gpmm_dirty *dirty = client->dirty;
	struct run run = { .client = client, .fn = fn, .arg = arg };
	uint64_t page = UINT64_C(1) << dirty->page_shift;
	uint64_t first, last;
	struct span span;
	int ret;

	if (!limit_to_span(range, &span) || !is_aligned(span.first, page) ||
	    !is_aligned(span.last + 1, page))
		return -EINVAL;
	if (!gpmm__dirty_pages(dirty, span, &first, &last))
		return 0;
	range.start = dirty->span.first + (first << dirty->page_shift);
	range.size = (last - first + 1) << dirty->page_shift;
	ret = gather(dirty, range);
	return ret ? ret : walk(&run, first, last);
}

void gpmm_dirty_put_back(struct gpmm_dirty_client *client, gpmm_gpa_t start,
			 uint64_t size)
{
	uint64_t first, last;
	struct span range;

	if (range_to_span(start, size, &range) &&
	    gpmm__dirty_pages(client->dirty, range, &first, &last))
		gpmm__page_map_mark(&client->pages, first, last - first + 1);
}

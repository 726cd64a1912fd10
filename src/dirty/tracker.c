/* SPDX-License-Identifier: BSD-3-Clause */
#include "dirty/tracker.h"

#include <errno.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/barrier.h"

/* ---------------------------------------------------------------- marks --- */

bool gpmm__dirty_pages(const struct gpmm_dirty *dirty, struct span range,
		       uint64_t *first, uint64_t *last)
{
	if (!span_overlaps(dirty->span, range))
		return false;
	if (range.first < dirty->span.first)
		range.first = dirty->span.first;
	if (range.last > dirty->span.last)
		range.last = dirty->span.last;
	*first = (range.first - dirty->span.first) >> dirty->page_shift;
	*last = (range.last - dirty->span.first) >> dirty->page_shift;
	return true;
}

static bool is_active(const struct gpmm_dirty *dirty)
{
	return __atomic_load_n(&dirty->active, __ATOMIC_SEQ_CST);
}

void gpmm_dirty_mark(void *arg, gpmm_gpa_t start, uint64_t size)
{
	struct gpmm_dirty *dirty = arg;
	uint64_t first, last;
	struct span range;

	if (is_active(dirty) && range_to_span(start, size, &range) &&
	    gpmm__dirty_pages(dirty, range, &first, &last))
		gpmm__page_map_mark(&dirty->pending, first, last - first + 1);
}

/* Set the bits of a word whose first page is number @page, all inside. */
static void mark_word(struct page_map *map, uint64_t page, uint64_t bits)
{
	unsigned int shift = page % 64;

	gpmm__page_map_or(map, page / 64, bits << shift);
	if (shift)
		gpmm__page_map_or(map, page / 64 + 1, bits >> (64 - shift));
}

/* A word that is not inside as a whole: page by page. */
static void mark_pages(struct gpmm_dirty *dirty, uint64_t start, uint64_t bits)
{
	for (; bits; bits &= bits - 1)
		gpmm_dirty_mark(dirty, start + ((uint64_t)__builtin_ctzll(bits)
						<< dirty->page_shift),
				UINT64_C(1) << dirty->page_shift);
}

static void mark_bits(void *arg, gpmm_gpa_t start, const uint64_t *bits,
		      uint64_t pages)
{
	struct gpmm_dirty *dirty = arg;
	uint64_t word_size = UINT64_C(64) << dirty->page_shift;

	if (!is_active(dirty))
		return;
	for (uint64_t i = 0; i * 64 < pages; i++, start += word_size) {
		const struct span word = { start, start + (word_size - 1) };
		uint64_t some = bits[i];

		if (pages - i * 64 < 64)
			some &= ~(~UINT64_C(0) << pages % 64);
		if (!some)
			continue;
		if (span_contains(dirty->span, word) && word.last > start)
			mark_word(&dirty->pending, (start - dirty->span.first)
				  >> dirty->page_shift, some);
		else
			mark_pages(dirty, start, some);
	}
}

/* ----------------------------------------------------------- passing on --- */

static void pass_on(struct gpmm_dirty *dirty)
{
	uint64_t last = dirty->pending.pages - 1;
	struct gpmm_dirty_client *client;
	uint64_t index = 0;
	uint64_t bits;

	for (; (bits = gpmm__page_map_take(&dirty->pending, &index, 0, last));
	     index++)
		for (client = dirty->clients; client; client = client->next)
			gpmm__page_map_or(&client->pages, index, bits);
}

int gpmm__dirty_gather(struct gpmm_dirty *dirty, struct gpmm_range range)
{
	int ret = 0;

	for (size_t i = 0; i < dirty->nr_sources && !ret; i++) {
		struct gpmm_dirty_source *source = dirty->sources[i];

		ret = source->ops->collect(source, range);
	}
	pass_on(dirty);
	return ret;
}

/* ----------------------------------------------------------------- life --- */

static void detach(struct gpmm_dirty *dirty, size_t count)
{
	while (count--)
		dirty->sources[count]->ops->detach(dirty->sources[count]);
}

static int attach(struct gpmm_dirty *dirty,
		  struct gpmm_dirty_source *const *sources, size_t count)
{
	const struct gpmm_dirty_sink sink = {
		gpmm_dirty_mark, mark_bits, dirty,
	};

	for (size_t i = 0; i < count; i++) {
		int ret = sources[i]->ops->attach(sources[i], &sink);

		if (ret) {
			detach(dirty, i);
			return ret;
		}
		dirty->sources[i] = sources[i];
	}
	dirty->nr_sources = count;
	return 0;
}

static int init(struct gpmm_dirty *dirty,
		struct gpmm_dirty_source *const *sources, size_t count)
{
	uint64_t pages = ((dirty->span.last - dirty->span.first) >>
			  dirty->page_shift) + 1;
	int ret = gpmm__page_map_init(&dirty->pending, pages);

	if (ret)
		return ret;
	ret = lock_init(&dirty->lock);
	if (!ret) {
		ret = attach(dirty, sources, count);
		if (!ret)
			return 0;
		lock_fini(&dirty->lock);
	}
	gpmm__page_map_fini(&dirty->pending);
	return ret;
}

int gpmm_dirty_create(struct gpmm_range range,
		      struct gpmm_dirty_source *const *sources, size_t count,
		      struct gpmm_dirty **dirty)
{
	uint64_t page = sysconf(_SC_PAGESIZE);
	struct gpmm_dirty *new;
	struct span span;
	int ret;

	if (!range_to_span(range.start, range.size, &span) ||
	    !is_aligned(range.start | range.size, page))
		return -EINVAL;
	new = gpmm__zalloc(sizeof(*new) + count * sizeof(*new->sources));
	if (!new)
		return -ENOMEM;
	new->span = span;
	new->page_shift = __builtin_ctzll(page);
	new->unordered = !gpmm__barrier_threads();
	new->active = new->unordered;
	ret = init(new, sources, count);
	if (ret) {
		gpmm__free(new);
		return ret;
	}
	*dirty = new;
	return 0;
}

void gpmm_dirty_destroy(struct gpmm_dirty *dirty)
{
	if (!dirty)
		return;
	detach(dirty, dirty->nr_sources);
	lock_fini(&dirty->lock);
	gpmm__page_map_fini(&dirty->pending);
	gpmm__free(dirty);
}

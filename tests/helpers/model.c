/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "helpers/model.h"

void model_init(struct model *model, gpmm_gpa_t base, uint64_t granule,
		uint32_t cells, bool no_merge, struct gpmm_backend *backend)
{
	*model = (struct model){ .base = base, .granule = granule,
				 .cells = cells, .no_merge = no_merge,
				 .backend = backend };
	model->cell = calloc(cells, sizeof(*model->cell));
	if (!model->cell)
		abort();
}

void model_fini(struct model *model)
{
	free(model->cell);
}

void model_copy(struct model *to, const struct model *from)
{
	memcpy(to->cell, from->cell, from->cells * sizeof(*from->cell));
}

/* ------------------------------------------------------------- addresses */

static gpmm_gpa_t addr_of(const struct model *m, uint32_t i)
{
	return m->base + i * m->granule;
}

static gpmm_gpa_t last_of(const struct model *m)
{
	return m->base + (m->cells * m->granule - 1);
}

/* The cells [*from, *to) that a range touches; false where it touches none. */
static bool clip(const struct model *m, gpmm_gpa_t start, uint64_t size,
		 uint32_t *from, uint32_t *to)
{
	gpmm_gpa_t last = start + (size - 1);

	if (!size || last < m->base || start > last_of(m))
		return false;
	if (start < m->base)
		start = m->base;
	if (last > last_of(m))
		last = last_of(m);
	*from = (start - m->base) / m->granule;
	*to = (last - m->base) / m->granule + 1;
	return true;
}

static bool bad_range(const struct model *m, gpmm_gpa_t start, uint64_t size)
{
	return start % m->granule || size % m->granule ||
	       (size && start + (size - 1) < start);
}

/* ----------------------------------------------------------------- areas */

static uint32_t area_first(const struct model *m, uint32_t i)
{
	while (!m->cell[i].first)
		i--;
	return i;
}

static uint32_t area_end(const struct model *m, uint32_t i)
{
	do
		i++;
	while (i < m->cells && m->cell[i].backend && !m->cell[i].first);
	return i;
}

static struct gpmm_area area_at(const struct model *m, uint32_t i)
{
	uint32_t from = area_first(m, i);
	const struct model_cell *c = &m->cell[from];

	return (struct gpmm_area){
		.start = addr_of(m, from),
		.size = (area_end(m, i) - from) * m->granule,
		.flags = c->flags,
		.backend = c->backend,
		.host = c->host,
		.hva = (void *)c->hva,
		.owner = c->owner,
	};
}

bool area_equal(const struct gpmm_area *a, const struct gpmm_area *b)
{
	return a->start == b->start && a->size == b->size &&
	       a->flags == b->flags && a->backend == b->backend &&
	       a->host == b->host && a->hva == b->hva &&
	       (a->host || a->owner == b->owner);
}

static bool inside(const struct model *m, uint32_t i)
{
	return i > 0 && i < m->cells && m->cell[i].backend &&
	       !m->cell[i].first;
}

/* Would a cut before cell @i be off its backend's granule? */
static bool bad_cut(const struct model *m, uint32_t i)
{
	uint64_t granule;

	if (!inside(m, i))
		return false;
	granule = m->cell[i].backend->granule;
	return granule > 1 && addr_of(m, i) % granule;
}

/* ----------------------------------------------------------------- merge */

static bool run_on(const struct model *m, uint32_t i)
{
	const struct model_cell *a = &m->cell[i - 1], *b = &m->cell[i];

	return a->backend && a->backend == b->backend &&
	       a->flags == b->flags && !(a->flags & GPMM_NOMERGE) &&
	       a->host == b->host &&
	       (a->host ? a->hva + m->granule == b->hva :
			  a->owner == b->owner);
}

/* Could the areas on the two sides of @i be one? */
static bool may_merge(const struct model *m, uint32_t i)
{
	struct gpmm_area left, right;
	struct gpmm_backend *be;

	if (!i || i >= m->cells || !m->cell[i].first || !run_on(m, i))
		return false;
	left = area_at(m, i - 1);
	right = area_at(m, i);
	be = left.backend;
	return !be->ops->can_merge || be->ops->can_merge(be, &left, &right);
}

static void merge_at(struct model *m, uint32_t i)
{
	if (may_merge(m, i))
		m->cell[i].first = false;
}

static void automerge_at(struct model *m, uint32_t i)
{
	if (m->no_merge || !may_merge(m, i))
		return;
	m->cell[i].first = false;
	m->merged = true;
}

/* Has the set no edge there? */
static bool is_merged(const struct model *m, struct gpmm_view view, uint32_t i)
{
	struct gpmm_area area;

	return gpmm_view_find(view, addr_of(m, i), &area) &&
	       area.start != addr_of(m, i);
}

static bool settle_at(struct model *m, struct gpmm_view view, uint32_t i)
{
	if (!may_merge(m, i) || !is_merged(m, view, i))
		return false;
	m->cell[i].first = false;
	return true;
}

void model_settle(struct model *m, struct gpmm_view view)
{
	uint32_t i;

	if (!m->merged)
		return;
	for (i = m->from; i <= m->to; i++)
		settle_at(m, view, i);
	while (m->cell[m->from].backend &&
	       settle_at(m, view, area_first(m, m->from)))
		;
	while (m->cell[m->to - 1].backend &&
	       settle_at(m, view, area_end(m, m->to - 1)))
		;
}

/* --------------------------------------------------------------- changes */

static void begin_merge(struct model *m, uint32_t from, uint32_t to)
{
	m->merged = false;
	m->from = from;
	m->to = to;
}

static void cut_at(struct model *m, uint32_t i)
{
	if (inside(m, i))
		m->cell[i].first = true;
}

static void empty(struct model *m, uint32_t from, uint32_t to)
{
	cut_at(m, to);
	memset(&m->cell[from], 0, (to - from) * sizeof(*m->cell));
}

static void fill(struct model *m, const struct gpmm_area *area, uint32_t from,
		 uint32_t to)
{
	uint32_t i;

	for (i = from; i < to; i++) {
		struct model_cell *c = &m->cell[i];

		c->backend = area->backend ? area->backend : m->backend;
		c->host = area->host;
		c->hva = area->host ? (uintptr_t)area->hva +
				      (i - from) * m->granule : 0;
		c->owner = area->owner;
		c->flags = area->flags;
		c->first = i == from;
	}
}

int model_map(struct model *m, const struct gpmm_area *area, unsigned int how)
{
	const struct gpmm_backend *be =
		area->backend ? area->backend : m->backend;
	uint32_t from, to;

	if (!area->size || bad_range(m, area->start, area->size))
		return -EINVAL;
	if (be->granule > 1 && (area->start % be->granule ||
				area->size % be->granule))
		return -EINVAL;
	if (!clip(m, area->start, area->size, &from, &to))
		abort();
	if (!(how & GPMM_MAP_REPLACE) &&
	    model_overlaps(m, area->start, area->size))
		return -EEXIST;
	if (bad_cut(m, from) || bad_cut(m, to))
		return -EINVAL;
	empty(m, from, to);
	fill(m, area, from, to);
	begin_merge(m, from, to);
	automerge_at(m, from);
	automerge_at(m, to);
	return 0;
}

int model_unmap(struct model *m, gpmm_gpa_t start, uint64_t size)
{
	uint32_t from, to;

	if (bad_range(m, start, size))
		return -EINVAL;
	if (!clip(m, start, size, &from, &to))
		return 0;
	if (bad_cut(m, from) || bad_cut(m, to))
		return -EINVAL;
	empty(m, from, to);
	return 0;
}

/* Change the part of one area that lies in [from, to). */
static void repaint(struct model *m, uint32_t from, uint32_t to,
		    uint32_t flags)
{
	uint32_t i;

	cut_at(m, from);
	cut_at(m, to);
	for (i = from; i < to; i++)
		m->cell[i].flags = flags;
}

/*
 * Two passes: the callbacks see the areas as they are before anything
 * changes, and so do the checks of what would be cut.
 */
static int protect_pass(struct model *m, uint32_t from, uint32_t to,
			gpmm_protect_fn *update, void *arg, bool *change,
			uint32_t *flags)
{
	struct gpmm_area area;
	uint32_t i, end;

	for (i = from; i < to; i = end) {
		end = i + 1;
		if (!m->cell[i].backend)
			continue;
		area = area_at(m, i);
		end = area_end(m, i);
		flags[i - from] = area.flags;
		change[i - from] = update(arg, &area, &flags[i - from]);
		if (change[i - from] &&
		    ((i == from && bad_cut(m, from)) ||
		     (end > to && bad_cut(m, to))))
			return -EINVAL;
	}
	return 0;
}

/* A changed piece may then run on from what is beside it, at either end. */
static void protect_apply(struct model *m, uint32_t from, uint32_t to,
			  const bool *change, const uint32_t *flags,
			  bool *edge)
{
	uint32_t i, end;

	for (i = from; i < to; i = end) {
		end = i + 1;
		if (!m->cell[i].backend)
			continue;
		end = area_end(m, i);
		if (end > to)
			end = to;
		if (!change[i - from])
			continue;
		repaint(m, i, end, flags[i - from]);
		edge[i - from] = edge[end - from] = true;
	}
	begin_merge(m, from, to);
	for (i = from; i <= to; i++)
		if (edge[i - from])
			automerge_at(m, i);
}

int model_protect(struct model *m, gpmm_gpa_t start, uint64_t size,
		  gpmm_protect_fn *update, void *arg)
{
	uint32_t from, to, *flags;
	bool *change, *edge;
	int ret;

	m->merged = false;
	if (bad_range(m, start, size))
		return -EINVAL;
	if (!clip(m, start, size, &from, &to))
		return 0;
	change = calloc(to - from, sizeof(*change));
	edge = calloc(to - from + 1, sizeof(*edge));
	flags = calloc(to - from, sizeof(*flags));
	if (!change || !edge || !flags)
		abort();
	ret = protect_pass(m, from, to, update, arg, change, flags);
	if (!ret)
		protect_apply(m, from, to, change, flags, edge);
	free(change);
	free(edge);
	free(flags);
	return ret;
}

/* The cell of @addr where something is mapped there. */
static bool mapped_cell(const struct model *m, gpmm_gpa_t addr, uint32_t *i)
{
	uint32_t to;

	return clip(m, addr, 1, i, &to) && m->cell[*i].backend;
}

int model_split(struct model *m, gpmm_gpa_t at)
{
	uint32_t i;

	if (at % m->granule)
		return -EINVAL;
	if (!mapped_cell(m, at, &i))
		return -ENOENT;
	if (bad_cut(m, i))
		return -EINVAL;
	cut_at(m, i);
	return 0;
}

int model_shrink_left(struct model *m, gpmm_gpa_t addr, uint64_t size)
{
	struct gpmm_area area;
	uint32_t i;

	if (!size || size % m->granule)
		return -EINVAL;
	if (!mapped_cell(m, addr, &i))
		return -ENOENT;
	area = area_at(m, i);
	if (size > area.size)
		return -EINVAL;
	return model_unmap(m, area.start, area.size - size);
}

int model_shrink_right(struct model *m, gpmm_gpa_t addr, uint64_t size)
{
	struct gpmm_area area;
	uint32_t i;

	if (!size || size % m->granule)
		return -EINVAL;
	if (!mapped_cell(m, addr, &i))
		return -ENOENT;
	area = area_at(m, i);
	if (size > area.size)
		return -EINVAL;
	return model_unmap(m, area.start + size, area.size - size);
}

int model_merge(struct model *m, gpmm_gpa_t start, uint64_t size)
{
	uint32_t from, to, i;

	if (bad_range(m, start, size))
		return -EINVAL;
	if (!clip(m, start, size, &from, &to))
		return 0;
	for (i = from; i <= to; i++)
		merge_at(m, i);
	return 0;
}

void model_clear(struct model *m)
{
	memset(m->cell, 0, m->cells * sizeof(*m->cell));
}

/* --------------------------------------------------------------- reading */

size_t model_len(const struct model *m)
{
	size_t len = 0;
	uint32_t i;

	for (i = 0; i < m->cells; i++)
		len += m->cell[i].first;
	return len;
}

bool model_find(const struct model *m, gpmm_gpa_t addr, struct gpmm_area *area)
{
	uint32_t i;

	if (!mapped_cell(m, addr, &i))
		return false;
	*area = area_at(m, i);
	return true;
}

bool model_overlaps(const struct model *m, gpmm_gpa_t start, uint64_t size)
{
	uint32_t from, to;

	if (size && start + (size - 1) < start)
		return false;
	if (!clip(m, start, size, &from, &to))
		return false;
	for (; from < to; from++)
		if (m->cell[from].backend)
			return true;
	return false;
}

static uint64_t hole_align(const struct model *m, const struct gpmm_hole *hole)
{
	return hole->align > m->granule ? hole->align : m->granule;
}

static gpmm_gpa_t limit_last(const struct gpmm_hole *hole)
{
	if (!hole->limit.start && hole->limit.size == UINT64_MAX)
		return UINT64_MAX;
	return hole->limit.start + (hole->limit.size - 1);
}

/* Try each aligned start upwards; step over what is in the way. */
static int find_lowest(const struct model *m, const struct gpmm_hole *hole,
		       gpmm_gpa_t *addr)
{
	uint64_t align = hole_align(m, hole);
	gpmm_gpa_t last = limit_last(hole);
	gpmm_gpa_t at = hole->hint > hole->limit.start ? hole->hint :
							 hole->limit.start;
	uint32_t from, to;

	for (;;) {
		gpmm_gpa_t up = (at + (align - 1)) & ~(align - 1);

		if (up < at || up > last || last - up < hole->size - 1)
			return -ENOENT;
		if (!clip(m, up, hole->size, &from, &to))
			to = from = 0;
		while (from < to && !m->cell[from].backend)
			from++;
		if (from == to) {
			*addr = up;
			return 0;
		}
		at = addr_of(m, from) + m->granule;
		if (!at)
			return -ENOENT;
	}
}

static int find_highest(const struct model *m, const struct gpmm_hole *hole,
			gpmm_gpa_t *addr)
{
	uint64_t align = hole_align(m, hole);
	gpmm_gpa_t last = limit_last(hole);
	uint32_t from, to;

	if (hole->hint && hole->hint - 1 < last)
		last = hole->hint - 1;
	for (;;) {
		gpmm_gpa_t at = last - (hole->size - 1);

		if (last < hole->size - 1)
			return -ENOENT;
		at &= ~(align - 1);
		if (at < hole->limit.start)
			return -ENOENT;
		if (!clip(m, at, hole->size, &from, &to))
			to = from = 0;
		while (from < to && !m->cell[to - 1].backend)
			to--;
		if (from == to) {
			*addr = at;
			return 0;
		}
		if (!addr_of(m, to - 1))
			return -ENOENT;
		last = addr_of(m, to - 1) - 1;
	}
}

int model_find_free(const struct model *m, const struct gpmm_hole *hole,
		    gpmm_gpa_t *addr)
{
	return hole->top_down ? find_highest(m, hole, addr) :
				find_lowest(m, hole, addr);
}

bool model_next(const struct model *m, uint32_t *i, struct gpmm_area *area)
{
	while (*i < m->cells && !m->cell[*i].first)
		++*i;
	if (*i >= m->cells)
		return false;
	*area = area_at(m, *i);
	*i = area_end(m, *i);
	return true;
}

/* --------------------------------------------------------------- compare */

struct walk_beside {
	const struct model *model;
	uint32_t at;
	struct gpmm_area expected;
};

static int visit(void *arg, const struct gpmm_area *area)
{
	struct walk_beside *w = arg;

	return !model_next(w->model, &w->at, &w->expected) ||
	       !area_equal(area, &w->expected);
}

static const char *differs_each(const struct model *m, struct gpmm_view view,
				gpmm_gpa_t *where)
{
	struct walk_beside w = { .model = m };

	if (gpmm_view_for_each(view, GPMM_RANGE_ALL, visit, &w)) {
		*where = w.expected.start;
		return "for_each visits another area";
	}
	if (model_next(m, &w.at, &w.expected)) {
		*where = w.expected.start;
		return "for_each ends early";
	}
	return NULL;
}

static const char *differs_iter(const struct model *m, struct gpmm_view view,
				gpmm_gpa_t *where)
{
	struct walk_beside w = { .model = m };
	struct gpmm_area area;
	struct gpmm_iter it;

	gpmm_iter_init(&it, view, 0);
	while (gpmm_iter_next(&it, &area))
		if (visit(&w, &area)) {
			*where = area.start;
			return "the iterator gives another area";
		}
	if (model_next(m, &w.at, &w.expected)) {
		*where = w.expected.start;
		return "the iterator ends early";
	}
	return NULL;
}

const char *model_differs(const struct model *m, struct gpmm_view view,
			  gpmm_gpa_t *where)
{
	const char *what = differs_each(m, view, where);

	return what ? what : differs_iter(m, view, where);
}

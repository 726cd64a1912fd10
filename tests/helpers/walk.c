/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/find.h"
#include "core/set.h"
#include "helpers/walk.h"
#include "util/alloc.h"

/* Nobody ever reads or writes there: the set only counts with addresses. */
#define HOST_BASE	UINT64_C(0x100000000000)
#define HOST_STRIDE	UINT64_C(0x200000000000)
#define PAGE		UINT64_C(4096)

static int wrong(struct walk *w, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int wrong(struct walk *w, const char *format, ...)
{
	va_list args;
	int n = snprintf(w->why, sizeof(w->why), "step %lu: ", w->steps);

	va_start(args, format);
	vsnprintf(w->why + n, sizeof(w->why) - n, format, args);
	va_end(args);
	return -1;
}

/* --------------------------------------------------------------- drawing */

/* 0 to @n - 1 */
static uint32_t draw(struct walk *w, uint32_t n)
{
	uint32_t value = 0, reach = 1;

	if (!w->bytes)
		return rng_below(&w->rng, n);
	for (; reach < n && reach < 1u << 24; reach <<= 8) {
		if (!w->left) {
			w->dry = true;
			return 0;
		}
		value = value << 8 | *w->bytes++;
		w->left--;
	}
	return value % n;
}

static bool one_in(struct walk *w, uint32_t n)
{
	return draw(w, n) == n - 1;
}

static gpmm_gpa_t cell_addr(const struct walk *w, uint32_t i)
{
	return w->shape.base + i * w->shape.granule;
}

/* Any address in the cells, between granules too. */
static gpmm_gpa_t draw_addr(struct walk *w)
{
	gpmm_gpa_t addr = cell_addr(w, draw(w, w->shape.cells));

	switch (draw(w, 4)) {
	case 0:
		return addr;
	case 1:
		return addr + (w->shape.granule - 1);
	default:
		return addr + w->shape.granule / 2;
	}
}

/* A range of cells; now and then it leaves them. */
static struct gpmm_range draw_range(struct walk *w)
{
	uint32_t from = draw(w, w->shape.cells);
	uint32_t size = 1 + draw(w, one_in(w, 4) ? w->shape.longest : 4);

	if (size > w->shape.cells - from)
		size = w->shape.cells - from;
	if (one_in(w, 256))
		return (struct gpmm_range){ w->shape.base,
			w->shape.cells * w->shape.granule };
	return (struct gpmm_range){ cell_addr(w, from),
				    size * w->shape.granule };
}

static uint32_t draw_flags(struct walk *w)
{
	uint32_t flags = 1 + draw(w, 3);

	if (one_in(w, 16))
		flags |= GPMM_LOG_DIRTY;
	if (one_in(w, 64))
		flags |= GPMM_NOMERGE;
	if (one_in(w, 64))
		flags |= UINT32_C(1) << GPMM_EMBEDDER_SHIFT;
	return flags;
}

static uint64_t host_size(const struct walk *w)
{
	uint64_t size = 2 * w->shape.cells * w->shape.granule;

	return (size + PAGE - 1) / PAGE * PAGE;
}

/* Mostly where neighbours of the same host run on. */
static void draw_memory(struct walk *w, struct gpmm_area *area)
{
	uint32_t n = draw(w, WALK_HOSTS + 1);
	uint64_t offset = area->start - w->shape.base;

	if (n == WALK_HOSTS) {
		area->owner = one_in(w, 2) ? w : NULL;
		return;
	}
	area->host = w->host[n];
	if (one_in(w, 4))
		offset += draw(w, w->shape.cells) * w->shape.granule;
	area->hva = (char *)gpmm_host_addr(area->host) + offset;
}

static struct gpmm_area draw_area(struct walk *w)
{
	struct gpmm_range range = draw_range(w);
	struct gpmm_area area = { .start = range.start, .size = range.size };

	area.flags = draw_flags(w);
	area.backend = w->backend[draw(w, WALK_BACKENDS)];
	if (area.backend->granule > w->shape.granule && !one_in(w, 4)) {
		area.start -= area.start % area.backend->granule;
		area.size += area.backend->granule - 1;
		area.size -= area.size % area.backend->granule;
	}
	if (one_in(w, 8))
		area.backend = NULL;
	draw_memory(w, &area);
	return area;
}

/* ------------------------------------------------------------- injecting */

/* Let something fail during the next operation, now and then. */
static void arm(struct walk *w)
{
	if (!one_in(w, 8))
		return;
	w->alloc_armed = w->txn || one_in(w, 2);
	if (w->alloc_armed)
		gpmm__alloc_left = draw(w, 3);
	else
		mock_fail(&w->mock[draw(w, WALK_MOCKS)], MOCK_FALLIBLE,
			  draw(w, 3), 1, one_in(w, 2) ? -ENOSPC : -EPERM);
}

/* Return: the error of what was armed and struck, or 0. Disarms. */
static int disarm(struct walk *w)
{
	int i, error = 0;

	if (w->alloc_armed && gpmm__alloc_left < 0)
		error = -ENOMEM;
	w->alloc_armed = false;
	gpmm__alloc_left = -1;
	for (i = 0; i < WALK_MOCKS; i++) {
		if (w->mock[i].failed)
			error = w->mock[i].fail_error;
		w->mock[i].failed = 0;
		mock_heal(&w->mock[i]);
	}
	w->failures += error != 0;
	return error;
}

/* Did the set fail as it was made to? Then the model has no say. */
static bool struck(struct walk *w, int ret)
{
	int error = disarm(w);

	return error && ret == error;
}

static int agree(struct walk *w, const char *what, int ret, int expected)
{
	if (ret == expected)
		return 0;
	return wrong(w, "%s gave %d, not %d", what, ret, expected);
}

/* --------------------------------------------------------------- changes */

/* A view of the transaction would end what waits in it for more requests. */
static int settle(struct walk *w)
{
	if (!w->now.merged)
		return 0;
	gpmm_read_lock();
	model_settle(&w->now, w->txn ? gpmm_txn_view(w->txn) :
				       gpmm_set_view_rcu(w->set));
	gpmm_read_unlock();
	return 0;
}

static int map(struct walk *w, const struct gpmm_area *area, unsigned int how)
{
	int ret;

	arm(w);
	ret = w->txn ? gpmm_txn_map(w->txn, area, how) :
		       gpmm_set_map(w->set, area, how);
	if (struck(w, ret))
		return walk_check(w);
	if (agree(w, "map", ret, model_map(&w->now, area, how)))
		return -1;
	return ret ? 0 : settle(w);
}

static int step_map(struct walk *w, unsigned int how)
{
	struct gpmm_area area = draw_area(w);

	return map(w, &area, how);
}

static int unmap(struct walk *w, struct gpmm_range r)
{
	int ret;

	arm(w);
	ret = w->txn ? gpmm_txn_unmap(w->txn, r.start, r.size) :
		       gpmm_set_unmap(w->set, r.start, r.size);
	if (struck(w, ret))
		return walk_check(w);
	return agree(w, "unmap", ret, model_unmap(&w->now, r.start, r.size));
}

static int step_unmap(struct walk *w)
{
	return unmap(w, draw_range(w));
}

/* A whole area goes, to come back later in the transaction. */
static int step_take_out(struct walk *w)
{
	struct gpmm_area *area = &w->gone[w->gone_count];

	if (!model_find(&w->now, draw_addr(w), area))
		return 0;
	w->gone_count++;
	return unmap(w, (struct gpmm_range){ area->start, area->size });
}

/* One of them comes, perhaps not as it was. */
static int step_put_back(struct walk *w)
{
	uint32_t i = draw(w, w->gone_count);
	struct gpmm_area area = w->gone[i];

	w->gone[i] = w->gone[--w->gone_count];
	if (one_in(w, 4))
		area.flags = draw_flags(w);
	if (one_in(w, 8)) {
		area.host = NULL;
		area.hva = NULL;
		draw_memory(w, &area);
	}
	if (one_in(w, 8))
		area.backend = w->backend[draw(w, WALK_BACKENDS)];
	return map(w, &area, one_in(w, 8) ? GPMM_MAP_REPLACE : 0);
}

static int step_remap(struct walk *w)
{
	bool full = w->gone_count == WALK_GONE;

	return full || (w->gone_count && one_in(w, 2)) ? step_put_back(w) :
							 step_take_out(w);
}

/* What to do to flags, and what was seen while doing it. */
struct repaint {
	uint32_t mask;
	uint32_t value;
	gpmm_gpa_t above;	/* the last area's end; 0 before the first */
	unsigned long count;
	uint64_t hash;		/* of all areas seen */
	bool unordered;
};

static bool repaint(void *arg, const struct gpmm_area *area, uint32_t *flags)
{
	struct repaint *r = arg;

	r->unordered |= r->count && area->start < r->above;
	r->unordered |= *flags != area->flags;
	r->above = area->start + area->size;
	r->count++;
	r->hash = (r->hash ^ area->start) * UINT64_C(0x100000001b3);
	r->hash = (r->hash ^ area->size) * UINT64_C(0x100000001b3);
	r->hash = (r->hash ^ area->flags) * UINT64_C(0x100000001b3);
	*flags = (*flags & ~r->mask) | r->value;
	return *flags != area->flags;
}

static struct repaint draw_repaint(struct walk *w)
{
	struct repaint r = { .mask = GPMM_RW };

	r.value = 1 + draw(w, 3);
	if (one_in(w, 8)) {
		r.mask |= GPMM_LOG_DIRTY;
		r.value |= one_in(w, 2) ? GPMM_LOG_DIRTY : 0;
	}
	if (one_in(w, 16)) {
		r.mask |= GPMM_NOMERGE;
		r.value |= one_in(w, 4) ? GPMM_NOMERGE : 0;
	}
	return r;
}

static int step_protect(struct walk *w)
{
	struct gpmm_range r = draw_range(w);
	struct repaint ask = draw_repaint(w), seen = ask;
	int ret, expected;

	arm(w);
	ret = w->txn ? gpmm_txn_protect(w->txn, r.start, r.size, repaint,
					&seen) :
		       gpmm_set_protect(w->set, r.start, r.size, repaint,
					&seen);
	if (struck(w, ret))
		return walk_check(w);
	expected = model_protect(&w->now, r.start, r.size, repaint, &ask);
	if (agree(w, "protect", ret, expected))
		return -1;
	if (seen.unordered)
		return wrong(w, "protect's callback saw areas out of order");
	if (!ret && (seen.count != ask.count || seen.hash != ask.hash))
		return wrong(w, "protect's callback saw other areas");
	return ret ? 0 : settle(w);
}

static int step_split(struct walk *w)
{
	gpmm_gpa_t at = draw_addr(w);
	int ret;

	arm(w);
	ret = w->txn ? gpmm_txn_split(w->txn, at) : gpmm_set_split(w->set, at);
	if (struck(w, ret))
		return walk_check(w);
	return agree(w, "split", ret, model_split(&w->now, at));
}

static int step_shrink_left(struct walk *w)
{
	gpmm_gpa_t addr = draw_addr(w);
	uint64_t size = (1 + draw(w, 4)) * w->shape.granule;
	int ret;

	arm(w);
	ret = w->txn ? gpmm_txn_shrink_left(w->txn, addr, size) :
		       gpmm_set_shrink_left(w->set, addr, size);
	if (struck(w, ret))
		return walk_check(w);
	return agree(w, "shrink_left", ret,
		     model_shrink_left(&w->now, addr, size));
}

static int step_shrink_right(struct walk *w)
{
	gpmm_gpa_t addr = draw_addr(w);
	uint64_t size = (1 + draw(w, 4)) * w->shape.granule;
	int ret;

	arm(w);
	ret = w->txn ? gpmm_txn_shrink_right(w->txn, addr, size) :
		       gpmm_set_shrink_right(w->set, addr, size);
	if (struck(w, ret))
		return walk_check(w);
	return agree(w, "shrink_right", ret,
		     model_shrink_right(&w->now, addr, size));
}

static int step_merge(struct walk *w)
{
	struct gpmm_range r = draw_range(w);
	int ret;

	arm(w);
	ret = w->txn ? gpmm_txn_merge(w->txn, r.start, r.size) :
		       gpmm_set_merge(w->set, r.start, r.size);
	if (struck(w, ret))
		return walk_check(w);
	return agree(w, "merge", ret, model_merge(&w->now, r.start, r.size));
}

static int step_clear(struct walk *w)
{
	int ret;

	arm(w);
	ret = w->txn ? gpmm_txn_clear(w->txn) : gpmm_set_clear(w->set);
	if (struck(w, ret))
		return walk_check(w);
	model_clear(&w->now);
	return agree(w, "clear", ret, 0);
}

/* Ask for what must be refused. */
static int step_misuse(struct walk *w)
{
	struct gpmm_area area = draw_area(w);
	uint64_t g = w->shape.granule;
	int ret = -EINVAL;

	switch (draw(w, 5)) {
	case 0:
		area.size = 0;
		ret = gpmm_set_map(w->set, &area, 0);
		break;
	case 1:
		ret = gpmm_set_unmap(w->set, -g, 2 * g);
		break;
	case 2:
		if (g > 1)
			ret = gpmm_set_unmap(w->set, area.start + g / 2, g);
		break;
	case 3:
		if (g > 1)
			ret = gpmm_set_split(w->set, area.start + g / 2);
		break;
	default:
		gpmm_read_lock();
		ret = gpmm_set_map(w->set, &area, GPMM_MAP_REPLACE);
		gpmm_read_unlock();
		return agree(w, "a change inside a section", ret, -EDEADLK);
	}
	return agree(w, "misuse", ret, -EINVAL);
}

/* ---------------------------------------------------------- transactions */

static uint64_t sum_words(uint64_t sum, const void *from, size_t bytes)
{
	const uint64_t *word = from;

	for (size_t i = 0; i < bytes / sizeof(*word); i++)
		sum = (sum ^ word[i]) * UINT64_C(0x100000001b3);
	return sum;
}

/* The records that this version of the leaf, or one before, has. */
static uint64_t sum_block(const struct leaf_flat *leaf)
{
	return sum_words(0, leaf->block->record,
			 leaf->used * sizeof(leaf->block->record[0]));
}

static uint64_t sum_nodes(uintptr_t root, const void *node,
			  unsigned int height)
{
	enum node_class class = root_class(root, height);
	uint64_t sum = sum_words(height, node, node_size(class));

	if (class == LEAF_FLAT)
		sum = sum * 31 + sum_block(node);
	for (unsigned int i = 0; height && i < node_len(class, node); i++)
		sum = sum * 31 + sum_nodes(root, node_child(class, node, i),
					   height - 1);
	return sum;
}

static uint64_t sum_published(const struct walk *w)
{
	uintptr_t root = w->set->face.root;

	return root ? sum_nodes(root, root_node(root), root_height(root)) : 0;
}

/* Invariant A, as long as a transaction changes nodes of its own. */
static int check_published(struct walk *w)
{
	return w->txn && sum_published(w) != w->nodes ?
	       wrong(w, "a node that readers reach was written") : 0;
}

static int step_begin(struct walk *w)
{
	int ret = gpmm_txn_begin(w->set, &w->txn);

	if (ret)
		w->txn = NULL;
	model_copy(&w->then, &w->now);
	w->nodes = sum_published(w);
	w->gone_count = 0;
	return agree(w, "begin", ret, 0);
}

static int step_commit(struct walk *w)
{
	int ret;

	if (walk_check(w))
		return -1;
	arm(w);
	ret = gpmm_txn_commit(w->txn);
	w->txn = NULL;
	if (struck(w, ret)) {
		model_copy(&w->now, &w->then);
		return walk_check(w);
	}
	return agree(w, "commit", ret, 0) ? -1 : walk_check(w);
}

static int step_abort(struct walk *w)
{
	if (check_published(w))
		return -1;
	gpmm_txn_abort(w->txn);
	w->txn = NULL;
	model_copy(&w->now, &w->then);
	return walk_check(w);
}

/* --------------------------------------------------------------- looking */

/* What readers should see. */
static const struct model *published(const struct walk *w)
{
	return w->txn ? &w->then : &w->now;
}

static bool same_hit(struct gpmm_hit a, struct gpmm_hit b)
{
	return a.record == b.record && (!a.record || a.start == b.start);
}

/* Does @path find the same for @addr among others, at every place of a run? */
static bool each_agrees(struct gpmm_view view, const struct find_path *path,
			gpmm_gpa_t addr, struct gpmm_hit expected)
{
	enum { RUN = 16 + 4 + 3 };	/* all that is taken at once */
	unsigned int shift = view.set->face.shift;
	struct gpmm_hit hits[RUN];
	gpmm_gpa_t addrs[RUN];

	for (int i = 0; i < RUN; i++)
		addrs[i] = i % 2 ? addr : addr ^ UINT64_C(0x123457) << 2 * i;
	path->find_each(view.root, shift, addrs, RUN, hits);
	for (int i = 0; i < RUN; i++)
		if (!same_hit(hits[i], i % 2 ? expected :
			      path->find(view.root, shift, addrs[i])))
			return false;
	return true;
}

/* And by way of its own form, and of one that it may have had before? */
static bool ways_agree(struct gpmm_view view, const struct find_path *path,
		       gpmm_gpa_t addr, struct gpmm_hit expected)
{
	unsigned int shift = view.set->face.shift;
	uintptr_t before = (addr >> shift) % 64;

	return same_hit(path->way(view.root)(view.root, shift, addr),
			expected) &&
	       same_hit(path->way(before)(view.root, shift, addr), expected);
}

/* Do all the paths that this processor can take agree? */
static bool paths_agree(struct gpmm_view view, gpmm_gpa_t addr, bool found,
			const struct gpmm_area *area)
{
	for (unsigned int i = 0; i <= gpmm__find_widest(); i++) {
		const struct find_path *path = &gpmm__find_paths[i];
		struct gpmm_hit hit = path->find(view.root,
						 view.set->face.shift, addr);
		struct gpmm_area other;

		if (!hit.record != !found ||
		    !each_agrees(view, path, addr, hit) ||
		    !ways_agree(view, path, addr, hit))
			return false;
		if (!found)
			continue;
		gpmm_hit_area(view.set, hit, &other);
		if (!area_equal(&other, area))
			return false;
	}
	return true;
}

static int look_find(struct walk *w, const struct model *m,
		     struct gpmm_view view)
{
	struct gpmm_area area, expected;
	gpmm_gpa_t addr = draw_addr(w);
	bool found = gpmm_view_find(view, addr, &area);

	if (found != model_find(m, addr, &expected))
		return wrong(w, "find(%#lx) gave %d", addr, found);
	if (found && !area_equal(&area, &expected))
		return wrong(w, "find(%#lx) gave another area", addr);
	if (!paths_agree(view, addr, found, &area))
		return wrong(w, "find(%#lx) is not the same on all paths",
			     addr);
	return 0;
}

static int look_overlaps(struct walk *w, const struct model *m,
			 struct gpmm_view view)
{
	gpmm_gpa_t start = draw_addr(w);
	uint64_t size = draw(w, 8) * (w->shape.granule / 2 + 1);
	bool overlaps = gpmm_view_overlaps(view, start, size);

	if (overlaps == model_overlaps(m, start, size))
		return 0;
	return wrong(w, "overlaps(%#lx, %#lx) gave %d", start, size, overlaps);
}

static struct gpmm_hole draw_hole(struct walk *w)
{
	struct gpmm_hole hole = {
		.size = (1 + draw(w, 8)) * w->shape.granule,
		.limit = GPMM_RANGE_ALL,
		.top_down = one_in(w, 2),
	};

	if (!one_in(w, 4))
		hole.limit = draw_range(w);
	if (one_in(w, 4))
		hole.limit.start += w->shape.granule / 2;
	if (hole.limit.start + (hole.limit.size - 1) < hole.limit.start)
		hole.limit = GPMM_RANGE_ALL;
	if (one_in(w, 2))
		hole.align = w->shape.granule << draw(w, 3);
	if (one_in(w, 2))
		hole.hint = draw_addr(w);
	return hole;
}

static int look_hole(struct walk *w, const struct model *m,
		     struct gpmm_view view)
{
	struct gpmm_hole hole = draw_hole(w);
	gpmm_gpa_t addr = 0, expected = 0;
	int ret = gpmm_view_find_free(view, &hole, &addr);

	if (ret == model_find_free(m, &hole, &expected) && addr == expected)
		return 0;
	return wrong(w, "find_free(size %#lx align %#lx limit %#lx+%#lx hint "
		     "%#lx %s) gave %d, %#lx, not %#lx", hole.size, hole.align,
		     hole.limit.start, hole.limit.size, hole.hint,
		     hole.top_down ? "down" : "up", ret, addr, expected);
}

static int look_next(struct walk *w, const struct model *m,
		     struct gpmm_view view)
{
	gpmm_gpa_t addr = draw_addr(w);
	uint32_t i = (addr - m->base) / m->granule;
	struct gpmm_area area, expected;
	struct gpmm_iter it;
	bool found;

	while (i > 0 && m->cell[i].backend && !m->cell[i].first)
		i--;
	found = model_next(m, &i, &expected);
	if (gpmm_view_next(view, addr, &area) != found)
		return wrong(w, "next(%#lx) gave %d", addr, !found);
	if (found && !area_equal(&area, &expected))
		return wrong(w, "next(%#lx) gave another area", addr);
	gpmm_iter_init(&it, view, addr);
	if (gpmm_iter_next(&it, &area) != found ||
	    (found && !area_equal(&area, &expected)))
		return wrong(w, "iter_init(%#lx) starts elsewhere", addr);
	return 0;
}

static int look_at(struct walk *w, const struct model *m,
		   struct gpmm_view view)
{
	if (look_find(w, m, view) || look_overlaps(w, m, view))
		return -1;
	switch (draw(w, 8)) {
	case 0:
		return look_hole(w, m, view);
	case 1:
		return look_next(w, m, view);
	default:
		return 0;
	}
}

static int look(struct walk *w)
{
	int ret;

	gpmm_read_lock();
	ret = look_at(w, published(w), gpmm_set_view_rcu(w->set));
	if (!ret && w->txn && one_in(w, 6))
		ret = look_at(w, &w->now, gpmm_txn_view(w->txn));
	gpmm_read_unlock();
	return ret;
}

/* -------------------------------------------------------------- checking */

static int check_view(struct walk *w, const struct model *m,
		      struct gpmm_view view)
{
	gpmm_gpa_t where = 0;
	const char *what;

	gpmm_read_lock();
	what = model_differs(m, view, &where);
	gpmm_read_unlock();
	return what ? wrong(w, "%s at %#lx", what, where) : 0;
}

static int check_mock(struct walk *w, int n, const struct gpmm_backend *be)
{
	const struct model *m = published(w);
	const struct mock *mock = &w->mock[n];
	uint32_t i;

	if (mock->complaint)
		return wrong(w, "mock %d: %s", n, mock->complaint);
	if (mock->refused)
		return wrong(w, "mock %d was asked for nonsense", n);
	if (mock->in_txn)
		return wrong(w, "mock %d is still in a transaction", n);
	for (i = 0; i < m->cells; i++) {
		const struct model_cell *c = &m->cell[i];
		uint8_t byte = c->backend == be ? (uint8_t)c->flags : 0;

		if (mock->bytes[i] != byte)
			return wrong(w, "mock %d has %#x at %#lx, not %#x", n,
				     mock->bytes[i], cell_addr(w, i), byte);
		if (byte && mock->hvas[i] != c->hva)
			return wrong(w, "mock %d has another memory at %#lx",
				     n, cell_addr(w, i));
	}
	return 0;
}

static int check_mocks(struct walk *w)
{
	return check_mock(w, 0, w->backend[0]) ||
	       check_mock(w, 1, w->backend[1]) ||
	       check_mock(w, 2, w->backend[2]) ||
	       check_mock(w, 3, w->fanout) ||
	       check_mock(w, 4, w->fanout) ? -1 : 0;
}

int walk_check(struct walk *w)
{
	int ret = w->txn ? 0 : gpmm__set_check(w->set);

	if (ret)
		return wrong(w, "gpmm__set_check gave %d: %s", ret, w->said);
	if (gpmm_set_len(w->set) != model_len(published(w)))
		return wrong(w, "len is %zu, not %zu", gpmm_set_len(w->set),
			     model_len(published(w)));
	if (gpmm_set_is_empty(w->set) != !model_len(published(w)))
		return wrong(w, "is_empty is wrong");
	if (check_published(w))
		return -1;
	if (check_view(w, published(w), gpmm_set_view_rcu(w->set)))
		return -1;
	if (w->txn && check_view(w, &w->now, gpmm_txn_view(w->txn)))
		return -1;
	return check_mocks(w);
}

/* --------------------------------------------------------------- walking */

static int step_seldom(struct walk *w)
{
	switch (draw(w, 32)) {
	case 0:
		return step_clear(w);
	case 1:
		return w->txn ? 0 : agree(w, "drain", gpmm_set_drain(w->set),
					  0);
	default:
		return w->txn ? 0 : step_misuse(w);
	}
}

static int step(struct walk *w)
{
	if (w->txn && one_in(w, 8))
		return one_in(w, 3) ? step_abort(w) : step_commit(w);
	if (w->txn && one_in(w, 2))
		return step_remap(w);
	switch (draw(w, 32)) {
	case 0 ... 9:
		return step_map(w, 0);
	case 10 ... 14:
		return step_map(w, GPMM_MAP_REPLACE);
	case 15 ... 19:
		return step_unmap(w);
	case 20 ... 24:
		return step_protect(w);
	case 25:
		return step_split(w);
	case 26:
		return step_shrink_left(w);
	case 27:
		return step_shrink_right(w);
	case 28:
		return step_merge(w);
	case 29:
		return step_seldom(w);
	default:
		return w->txn || !one_in(w, 1 + w->shape.cells / 256) ?
			       0 : step_begin(w);
	}
}

int walk_step(struct walk *w)
{
	w->steps++;
	return step(w) || look(w) ? -1 : 0;
}

void walk_feed(struct walk *w, const uint8_t *bytes, size_t size)
{
	w->bytes = bytes;
	w->left = size;
	w->dry = false;
}

/* --------------------------------------------------------- begin and end */

/* A backend that has its own mind about what may become one. */
static bool picky(struct gpmm_backend *be, const struct gpmm_area *left,
		  const struct gpmm_area *right)
{
	(void)left;
	return right->start / be->granule % 8;
}

static void on_log(void *arg, enum gpmm_log_level level, const char *message)
{
	struct walk *w = arg;

	if (level == GPMM_LOG_ERROR)
		snprintf(w->said, sizeof(w->said), "%s", message);
}

static void on_release(void *arg, void *addr, uint64_t size)
{
	struct walk *w = arg;

	(void)addr;
	(void)size;
	w->released++;
}

static int open_backends(struct walk *w)
{
	const struct walk_shape *s = &w->shape;
	struct gpmm_backend *two[2];
	int i;

	for (i = 0; i < WALK_MOCKS; i++)
		mock_init_at(&w->mock[i], s->base, s->granule, s->cells,
			     i == 1 || i == 4);
	w->mock[2].be.granule = 4 * s->granule;
	w->mock[2].ops.can_merge = picky;
	two[0] = &w->mock[3].be;
	two[1] = &w->mock[4].be;
	if (gpmm_fanout_create(two, 2, &w->fanout))
		return -1;
	for (i = 0; i < 3; i++)
		w->backend[i] = &w->mock[i].be;
	w->backend[3] = w->fanout;
	w->backend[4] = gpmm_backend_none();
	return 0;
}

static int open_hosts(struct walk *w)
{
	uint64_t i;

	for (i = 0; i < WALK_HOSTS; i++) {
		struct gpmm_host_options options = {
			.kind = GPMM_HOST_USER,
			.size = host_size(w),
			.user = (void *)(HOST_BASE + i * HOST_STRIDE),
			.release = on_release,
			.release_arg = w,
		};

		if (gpmm_host_create(&options, &w->host[i]))
			return -1;
	}
	return 0;
}

/* Areas to begin with, in one transaction. */
static int populate(struct walk *w)
{
	uint32_t stride = w->shape.areas ? w->shape.cells / w->shape.areas : 0;
	struct gpmm_txn *txn;
	uint32_t i;
	int ret = 0;

	if (gpmm_txn_begin(w->set, &txn))
		return -1;
	for (i = 0; stride && i + stride <= w->shape.cells; i += stride) {
		struct gpmm_area area = {
			.start = cell_addr(w, i),
			.size = (1 + draw(w, stride)) * w->shape.granule,
			.flags = draw_flags(w),
		};

		draw_memory(w, &area);
		ret |= gpmm_txn_map(txn, &area, 0);
		ret |= model_map(&w->now, &area, 0);
	}
	return gpmm_txn_commit(txn) || ret ? -1 : 0;
}

int walk_open(struct walk *w, const struct walk_shape *shape, uint64_t seed)
{
	struct gpmm_set_options options = {
		.granule = shape->granule,
		.no_merge = shape->no_merge,
		.limbo_max = shape->limbo_max,
	};

	memset(w, 0, sizeof(*w));
	w->shape = *shape;
	w->rng.state = seed;
	gpmm_log_set(on_log, w);
	if (open_backends(w) || open_hosts(w))
		return wrong(w, "no backends or no hosts");
	options.backend = w->backend[0];
	if (gpmm_set_create(&options, &w->set))
		return wrong(w, "no set");
	model_init(&w->now, shape->base, shape->granule, shape->cells,
		   shape->no_merge, options.backend);
	model_init(&w->then, shape->base, shape->granule, shape->cells,
		   shape->no_merge, options.backend);
	return populate(w) ? wrong(w, "cannot populate") : walk_check(w);
}

static int close_set(struct walk *w)
{
	if (w->txn && step_abort(w))
		return -1;
	if (walk_check(w))
		return -1;
	if (gpmm_set_destroy(w->set))
		return wrong(w, "destroy failed");
	w->set = NULL;
	model_clear(&w->now);
	return check_mocks(w);
}

static int close_hosts(struct walk *w)
{
	int i;

	if (w->released)
		return wrong(w, "host memory released while referenced");
	for (i = 0; i < WALK_HOSTS; i++)
		gpmm_host_put(w->host[i]);
	if (w->released != WALK_HOSTS)
		return wrong(w, "host memory leaked");
	return 0;
}

int walk_close(struct walk *w)
{
	int i, ret = -1;

	disarm(w);
	gpmm_log_set(NULL, NULL);
	if (!w->why[0] && !close_set(w))
		ret = close_hosts(w);
	gpmm_fanout_destroy(w->fanout);
	for (i = 0; i < WALK_MOCKS; i++)
		mock_fini(&w->mock[i]);
	model_fini(&w->now);
	model_fini(&w->then);
	return ret;
}

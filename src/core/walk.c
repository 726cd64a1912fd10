/* SPDX-License-Identifier: BSD-3-Clause */
/* Walking a view's areas in order. */
#include "core/find.h"
#include "core/narrow.h"
#include "core/set.h"

void gpmm_iter_init(struct gpmm_iter *it, struct gpmm_view view,
		    gpmm_gpa_t addr)
{
	it->set = view.set;
	gpmm__cursor_seek(it, view.root, addr >> view.set->face.shift);
}

/* Item @i of a narrow leaf. */
static inline struct gpmm_hit hit_at(const struct gpmm_set *set,
				     enum node_class class, const void *leaf,
				     unsigned int i)
{
	uint64_t first = (uint64_t)(((const int32_t *)leaf)[i] + 1);

	return (struct gpmm_hit){ narrow_record(class, leaf, i),
				  first << set->face.shift };
}

bool gpmm_iter_next(struct gpmm_iter *it, struct gpmm_area *area)
{
	uintptr_t root = it->root;
	struct item item;
	uint64_t first;

	if (root_node(root) && !root_is_wide(root)) {
		enum node_class class = root_class(root, 0);

		if (narrow_first(class, it->node[0], it->at[0], &first)) {
			gpmm_hit_area(it->set, hit_at(it->set, class,
						      it->node[0],
						      it->at[0]++), area);
			return true;
		}
	}
	if (!gpmm__cursor_next(it, &item))
		return false;
	item_to_area(&item, it->set->face.shift, area);
	return true;
}

/* What is to be visited. */
struct walk {
	uint64_t last;		/* byte */
	gpmm_area_fn *fn;
	void *arg;
};

/* Visit what is left of a narrow leaf. @end: receives whether that was all. */
static int visit_leaf(struct gpmm_iter *it, const struct walk *walk, bool *end)
{
	enum node_class class = root_class(it->root, 0);
	const void *leaf = it->node[0];
	unsigned int len = node_len(class, leaf);
	int ret = 0;

	for (; !ret && it->at[0] < len; it->at[0]++) {
		struct gpmm_hit hit = hit_at(it->set, class, leaf, it->at[0]);
		struct gpmm_area area;

		*end = hit.start > walk->last;
		if (*end)
			break;
		gpmm_hit_area(it->set, hit, &area);
		ret = walk->fn(walk->arg, &area);
	}
	return ret;
}

static int visit_narrow(struct gpmm_iter *it, const struct walk *walk)
{
	bool end = false;
	int ret;

	do {
		ret = visit_leaf(it, walk, &end);
	} while (!ret && !end && gpmm__cursor_next_leaf(it));
	return ret;
}

static int visit(struct gpmm_iter *it, const struct walk *walk)
{
	struct gpmm_area area;
	int ret = 0;

	while (!ret && gpmm_iter_next(it, &area) && area.start <= walk->last)
		ret = walk->fn(walk->arg, &area);
	return ret;
}

int gpmm_view_for_each(struct gpmm_view view, struct gpmm_range range,
		       gpmm_area_fn *fn, void *arg)
{
	struct gpmm_iter it;
	struct span span;
	struct walk walk;

	if (!root_node(view.root) || !limit_to_span(range, &span))
		return 0;
	walk = (struct walk){ span.last, fn, arg };
	gpmm_iter_init(&it, view, span.first);
	return root_is_wide(view.root) ? visit(&it, &walk) :
					 visit_narrow(&it, &walk);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>

#include "core/fanout.h"
#include "core/tell.h"

bool gpmm__backend_is_valid(const struct gpmm_backend *be)
{
	const struct gpmm_backend_ops *ops = be->ops;

	if (backend_is_fanout(be))
		return true;
	return ops && ops->abi == GPMM_BACKEND_ABI && ops->map && ops->unmap &&
	       ops->protect &&
	       (!ops->begin || (ops->commit && ops->abort)) &&
	       (!be->granule || is_power_of_two(be->granule));
}

static int call(const struct edit *edit)
{
	return tell_call(edit->op, &edit->area, edit->new_flags);
}

static int call_inverse(const struct edit *edit)
{
	struct edit inverse = *edit;

	switch (edit->op) {
	case EDIT_MAP:
		inverse.op = EDIT_UNMAP;
		break;
	case EDIT_UNMAP:
		inverse.op = EDIT_MAP;
		break;
	default:
		inverse.area.flags = edit->new_flags;
		inverse.new_flags = edit->area.flags;
	}
	return call(&inverse);
}

/* --------------------------------------------------------------- undoing --- */

/* Does an undo of backend @be still have to deal with the edit? */
static bool is_due(const struct edit *edit, const struct gpmm_backend *be)
{
	return edit->op != EDIT_UNDONE && !edit->stuck &&
	       edit->area.backend == be;
}

static int call_inverses(struct edit *edits, size_t n,
			 const struct gpmm_backend *be)
{
	int ret = 0;

	while (!ret && n--)
		if (is_due(&edits[n], be))
			ret = call_inverse(&edits[n]);
	return ret;
}

static void settle(struct edit *edits, size_t n,
		   const struct gpmm_backend *be, int ret)
{
	while (n--) {
		if (!is_due(&edits[n], be))
			continue;
		if (ret)
			edits[n].stuck = true;
		else
			edits[n].op = EDIT_UNDONE;
	}
}

/* Undo all that a backend with begin and commit has of the first @n edits. */
static int undo_committed(struct edit *edits, size_t n,
			  struct gpmm_backend *be)
{
	int ret = tell_error(be->ops->begin(be));

	if (!ret) {
		ret = call_inverses(edits, n, be);
		if (ret)
			be->ops->abort(be);
		else
			ret = tell_error(be->ops->commit(be));
		if (!ret && be->ops->published)
			be->ops->published(be);
	}
	settle(edits, n, be, ret);
	return ret;
}

static struct span edit_span(const struct edit *edit)
{
	return (struct span){ edit->area.start, gpmm_area_last(&edit->area) };
}

/*
 * Is what an earlier edit would put back covered by what stayed? @hull: of all
 * that stayed; undos mostly descend, and so lie below it.
 */
static bool is_blocked(const struct edit *edits, size_t i, size_t n,
		       struct span hull)
{
	struct span span = edit_span(&edits[i]);

	if (!span_overlaps(span, hull))
		return false;
	for (size_t j = i + 1; j < n; j++)
		if (edits[j].stuck &&
		    edits[j].area.backend == edits[i].area.backend &&
		    span_overlaps(span, edit_span(&edits[j])))
			return true;
	return false;
}

static int undo_one(struct edit *edits, size_t i, size_t n, struct span *hull)
{
	struct span span = edit_span(&edits[i]);
	int ret = is_blocked(edits, i, n, *hull) ? -EIO :
						   call_inverse(&edits[i]);

	if (!ret) {
		edits[i].op = EDIT_UNDONE;
		return 0;
	}
	edits[i].stuck = true;
	if (span.first < hull->first)
		hull->first = span.first;
	if (span.last > hull->last)
		hull->last = span.last;
	return ret;
}

/* Move the edits that stay stuck to the front, in their order. */
static size_t gather_stuck(struct edit *edits, size_t n)
{
	size_t stuck = 0;

	for (size_t i = 0; i < n; i++) {
		struct edit edit = edits[i];

		if (!edit.stuck)
			continue;
		edit.stuck = false;
		edits[i] = edits[stuck];
		edits[stuck++] = edit;
	}
	return stuck;
}

int gpmm__tell_inverse(struct edit *edits, size_t n, size_t *stuck)
{
	struct span hull = { UINT64_MAX, 0 };	/* nothing */
	int first = 0;

	for (size_t i = n; i--;) {
		struct gpmm_backend *be = edits[i].area.backend;
		int ret;

		if (!is_due(&edits[i], be))
			continue;
		if (be->ops->begin)
			ret = undo_committed(edits, i + 1, be);
		else
			ret = undo_one(edits, i, n, &hull);
		first = first ? first : ret;
	}
	*stuck = gather_stuck(edits, n);
	return first;
}

static struct teller *teller_of(const struct tell *tell,
				const struct gpmm_backend *be)
{
	for (size_t i = 0; i < tell->tellers.len; i++)
		if (tell->tellers.v[i].be == be)
			return &tell->tellers.v[i];
	return NULL;
}

/* Is what it was told in effect, so that only the inverse undoes it? */
static bool has_acted(const struct teller *teller)
{
	return !teller || teller->state == TELLER_AT_ONCE ||
	       teller->state == TELLER_COMMITTED;
}

/* Undo the first @told edits, of backends that have not committed by abort. */
static void undo(struct tell *tell, size_t told, size_t *stuck)
{
	size_t n = 0;

	for (size_t i = tell->tellers.len; i--;) {
		struct teller *teller = &tell->tellers.v[i];

		if (teller->state == TELLER_BEGUN)
			teller->be->ops->abort(teller->be);
	}
	for (size_t i = 0; i < told; i++) {
		struct teller *teller = teller_of(tell,
						  tell->edits[i].area.backend);

		if (has_acted(teller))
			tell->edits[n++] = tell->edits[i];
	}
	gpmm__tell_inverse(tell->edits, n, stuck);
}

/* --------------------------------------------------------------- telling --- */

/* The backend of all edits, where it has begin; or NULL. */
static struct gpmm_backend *find_sole(const struct tell *tell)
{
	struct gpmm_backend *be = tell->edits[0].area.backend;

	for (size_t i = 1; i < tell->n; i++)
		if (tell->edits[i].area.backend != be)
			return NULL;
	return be->ops->begin ? be : NULL;
}

int gpmm__tell_prepare(struct tell *tell)
{
	tell->tellers.len = 0;
	tell->sole = find_sole(tell);
	for (size_t i = 0; !tell->sole && i < tell->n; i++) {
		struct gpmm_backend *be = tell->edits[i].area.backend;
		struct teller teller = {
			.be = be,
			.state = be->ops->begin ? TELLER_NEW : TELLER_AT_ONCE,
		};
		int ret;

		if ((!be->ops->begin && !be->ops->published) ||
		    teller_of(tell, be))
			continue;
		ret = vec_reserve(&tell->tellers, 1);
		if (ret)
			return ret;
		vec_push(&tell->tellers, teller);
	}
	return 0;
}

/* The lowest in memory of those that have not begun; NULL: all have. */
static struct teller *next_to_begin(const struct tell *tell)
{
	struct teller *next = NULL;

	for (size_t i = 0; i < tell->tellers.len; i++) {
		struct teller *teller = &tell->tellers.v[i];

		if (teller->state == TELLER_NEW &&
		    (!next || (uintptr_t)teller->be < (uintptr_t)next->be))
			next = teller;
	}
	return next;
}

/*
 * A backend may take a lock from begin to commit: two sets that share several
 * backends must not take them in two orders.
 */
static int begin_all(struct tell *tell)
{
	struct teller *teller;
	int ret = 0;

	while (!ret && (teller = next_to_begin(tell))) {
		ret = tell_error(teller->be->ops->begin(teller->be));
		teller->state = ret ? TELLER_OVER : TELLER_BEGUN;
	}
	return ret;
}

static int commit_all(struct tell *tell)
{
	for (size_t i = 0; i < tell->tellers.len; i++) {
		struct teller *teller = &tell->tellers.v[i];
		int ret;

		if (teller->state == TELLER_AT_ONCE)
			continue;
		ret = tell_error(teller->be->ops->commit(teller->be));
		teller->state = ret ? TELLER_OVER : TELLER_COMMITTED;
		if (ret)
			return ret;
	}
	return 0;
}

/* Its own begin, commit and abort make it whole: there is nothing to undo. */
static int tell_sole(const struct tell *tell, struct gpmm_backend *be)
{
	int ret = tell_error(be->ops->begin(be));

	if (ret)
		return ret;
	for (size_t i = 0; !ret && i < tell->n; i++)
		ret = call(&tell->edits[i]);
	if (!ret)
		return tell_error(be->ops->commit(be));
	be->ops->abort(be);
	return ret;
}

static int tell_several(struct tell *tell, size_t *stuck)
{
	size_t told = 0;
	int ret = begin_all(tell);

	while (!ret && told < tell->n) {
		ret = call(&tell->edits[told]);
		told += !ret;
	}
	if (!ret)
		ret = commit_all(tell);
	if (ret)
		undo(tell, told, stuck);
	return *stuck ? -EIO : ret;
}

int gpmm__tell(struct tell *tell, size_t *stuck)
{
	*stuck = 0;
	return tell->sole ? tell_sole(tell, tell->sole) :
			    tell_several(tell, stuck);
}

void gpmm__tell_published(const struct tell *tell)
{
	if (tell->sole)
		tell_sole_published(tell->sole);
	for (size_t i = 0; i < tell->tellers.len; i++) {
		struct gpmm_backend *be = tell->tellers.v[i].be;

		if (be->ops->published)
			be->ops->published(be);
	}
}

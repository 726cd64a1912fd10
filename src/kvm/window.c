/* SPDX-License-Identifier: BSD-3-Clause */
#include "kvm/window.h"

#include "util/alloc.h"

/* --------------------------------------------------------------- owners --- */

static void *owner_of(const struct slot *piece)
{
	return (void *)(uintptr_t)piece->at.hva;
}

static struct window_owner *find_owner(const struct windows *windows,
				       const void *owner)
{
	struct window_owner *at = windows->owners;

	while (at && at->owner != owner)
		at = at->next;
	return at;
}

/* What is mapped of an owner that nobody asked for before. */
static void count_mapped(struct windows *windows,
			 struct window_owner *owner)
{
	const struct slot *piece = gpmm__slot_first(&windows->tree, 0);

	for (; piece; piece = piece->next) {
		if (owner_of(piece) != owner->owner)
			continue;
		if (!owner->known)
			owner->lowest = piece->at.gpa;
		owner->known = true;
		owner->mapped += piece->at.size;
	}
}

struct window_owner *gpmm__window_owner(struct windows *windows, void *owner)
{
	struct window_owner *at = find_owner(windows, owner);

	if (at)
		return at;
	at = gpmm__zalloc(sizeof(*at));
	if (!at)
		return NULL;
	at->owner = owner;
	count_mapped(windows, at);
	at->next = windows->owners;
	windows->owners = at;
	return at;
}

void gpmm__window_owner_drop(struct windows *windows,
			     struct window_owner *owner)
{
	struct window_owner **link = &windows->owners;

	while (*link != owner)
		link = &(*link)->next;
	*link = owner->next;
	gpmm__free(owner);
}

static void touch(struct window_owner *owner)
{
	if (owner->touched)
		return;
	owner->touched = true;
	owner->lifted = !owner->mapped;
	owner->from = UINT64_MAX;
}

static void count_edit(struct windows *windows, const struct window_edit *edit)
{
	struct window_owner *owner = find_owner(windows, edit->owner);

	if (!owner)
		return;
	touch(owner);
	owner->mapped += edit->mapped ? edit->size : -edit->size;
	if (!owner->mapped)
		owner->lifted = true;
	else if (edit->mapped && edit->gpa < owner->from)
		owner->from = edit->gpa;
}

/* --------------------------------------------------------------- pieces --- */

/* Precondition: a spare node. */
static void insert(struct windows *windows, uint64_t gpa, uint64_t size,
		   void *owner)
{
	struct slot *piece = gpmm__spare_take(&windows->spare);

	*piece = (struct slot){
		.at = { .gpa = gpa, .size = size, .hva = (uintptr_t)owner },
	};
	gpmm__slot_insert(&windows->tree, piece);
}

/* Cut [first, last] out of a piece that meets it. A split takes a node. */
static void cut_piece(struct windows *windows, struct slot *piece,
		      uint64_t first, uint64_t last)
{
	uint64_t end = region_last(&piece->at);
	bool left = piece->at.gpa < first;

	if (left)
		piece->at.size = first - piece->at.gpa;
	else
		gpmm__slot_remove(&windows->tree, piece);
	if (end > last)
		insert(windows, last + 1, end - last, owner_of(piece));
	if (!left)
		gpmm__spare_give(&windows->spare, piece);
}

static void cut(struct windows *windows, uint64_t first, uint64_t last)
{
	struct slot *piece;

	while ((piece = gpmm__slot_first(&windows->tree, first)) &&
	       piece->at.gpa <= last)
		cut_piece(windows, piece, first, last);
}

static void apply(struct windows *windows, const struct window_edit *edit,
		  bool map)
{
	if (map)
		insert(windows, edit->gpa, edit->size, edit->owner);
	else
		cut(windows, edit->gpa, edit->gpa + (edit->size - 1));
}

/*
 * A rollback takes a node for each edit that unmaps: those are kept aside.
 * Pieces are never merged, so it splits none.
 */
static int edit(struct windows *windows, const struct window_edit *edit)
{
	size_t aside = windows->unmapped + !edit->mapped;

	if (vec_reserve(&windows->journal, 1) ||
	    spare_have(&windows->spare, aside + 1))
		return -ENOMEM;
	windows->unmapped = aside;
	vec_push(&windows->journal, *edit);
	apply(windows, edit, edit->mapped);
	count_edit(windows, edit);
	return 0;
}

int gpmm__window_map(struct windows *windows, uint64_t gpa, uint64_t size,
		     void *owner)
{
	return edit(windows, &(struct window_edit){ gpa, size, owner, true });
}

int gpmm__window_unmap(struct windows *windows, uint64_t gpa, uint64_t size,
		       void *owner)
{
	return edit(windows, &(struct window_edit){ gpa, size, owner, false });
}

/* ----------------------------------------------------------- questions --- */

bool gpmm__window_next(struct windows *windows,
		       const struct window_owner *owner, uint64_t *first,
		       uint64_t last, uint64_t *end)
{
	const struct slot *piece = gpmm__slot_first(&windows->tree, *first);

	while (piece && piece->at.gpa <= last &&
	       owner_of(piece) != owner->owner)
		piece = piece->next;
	if (!piece || piece->at.gpa > last)
		return false;
	if (*first < piece->at.gpa)
		*first = piece->at.gpa;
	do {
		*end = region_last(&piece->at);
		piece = piece->next;
	} while (*end < last && piece && piece->at.gpa == *end + 1 &&
		 owner_of(piece) == owner->owner);
	if (*end > last)
		*end = last;
	return true;
}

/* Nothing of it lies below what was lowest, but for what came since. */
void gpmm__window_settle(struct windows *windows,
			 struct window_owner *owner)
{
	uint64_t first = owner->from;
	uint64_t end;

	if (!owner->lifted && owner->lowest < first)
		first = owner->lowest;
	owner->new_lowest = owner->lowest;
	owner->distance = 0;
	if (!owner->mapped ||
	    !gpmm__window_next(windows, owner, &first, UINT64_MAX, &end))
		return;
	owner->new_lowest = first;
	if (owner->lifted && owner->known)
		owner->distance = first - owner->lowest;
}

/* ------------------------------------------------------------------ end --- */

static void forget(struct windows *windows)
{
	struct window_owner *owner;

	for (owner = windows->owners; owner; owner = owner->next)
		owner->touched = false;
	windows->journal.len = 0;
	windows->unmapped = 0;
	spare_trim(&windows->spare);
}

void gpmm__windows_done(struct windows *windows)
{
	struct window_owner *owner;

	if (!windows->journal.len)
		return;
	for (owner = windows->owners; owner; owner = owner->next) {
		if (!owner->touched)
			continue;
		owner->lowest = owner->new_lowest;
		owner->known |= owner->mapped > 0;
	}
	forget(windows);
}

void gpmm__windows_drop(struct windows *windows)
{
	while (windows->journal.len) {
		const struct window_edit *edit =
			&windows->journal.v[--windows->journal.len];
		struct window_owner *owner = find_owner(windows, edit->owner);

		apply(windows, edit, !edit->mapped);
		if (owner)
			owner->mapped -= edit->mapped ? edit->size :
							-edit->size;
	}
	forget(windows);
}

void gpmm__windows_fini(struct windows *windows)
{
	gpmm__slot_free_all(&windows->tree);
	gpmm__spare_shrink(&windows->spare, 0);
	vec_free(&windows->journal);
}

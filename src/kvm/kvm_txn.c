/* SPDX-License-Identifier: BSD-3-Clause */
#include "kvm/kvm_txn.h"

#include <errno.h>

#include "kvm/lost.h"
#include "util/alloc.h"

/*
 * The largest slot, in bytes. KVM takes 2^31 - 1 pages; 2^30 of 4K leaves the
 * boundaries of a longer area where KVM can use its largest pages.
 */
#define SLOT_MAX (UINT64_C(1) << 42)

/* What has no part in changing one slot is kept out of the code that does. */
#define NOINLINE __attribute__((noinline))

/* ---------------------------------------------------------------- nodes --- */

static int reserve(struct kvm_txn *txn, uint64_t count)
{
	return spare_have(&txn->spare, count);
}

/* Precondition: reserve(). */
static void add_piece(struct kvm_txn *txn, const struct kvm_region *region,
		      bool nomerge)
{
	struct slot *piece = gpmm__spare_take(&txn->spare);

	piece->at = *region;
	piece->nomerge = nomerge;
	piece->taken = false;
	piece->missing = false;
	piece->match = NULL;
	gpmm__slot_insert(&txn->pieces, piece);
}

/* --------------------------------------------------------------- pieces --- */

/* Precondition: room in txn->before. */
static void note_taken(struct kvm_txn *txn, struct slot *slot)
{
	txn->before.at[txn->before.count++] = slot;
	slot->taken = true;
	slot->match = NULL;
}

/* There is going to be more to it than one slot. */
static int unfold(struct kvm_txn *txn)
{
	const struct slot_change *change = txn->slots->changes.at;
	const enum txn_kind kind = txn->kind;

	if (kind == TXN_PIECES)
		return 0;
	if (gpmm__slot_array_room(&txn->before, 1) || reserve(txn, 1))
		return -ENOMEM;
	txn->kind = TXN_PIECES;
	if (kind == TXN_EMPTY)
		return 0;
	if (txn->old)
		note_taken(txn, txn->old);
	if (change->to.size)
		add_piece(txn, &change->to, txn->nomerge);
	return 0;
}

/* Copy a slot of the VM into the transaction. */
static int take_slot(struct kvm_txn *txn, struct slot *slot)
{
	if (gpmm__slot_array_room(&txn->before, txn->before.count + 1) ||
	    reserve(txn, 1))
		return -ENOMEM;
	add_piece(txn, &slot->at, slot->nomerge);
	note_taken(txn, slot);
	return 0;
}

/* In one file, what runs on in host addresses does so in it. */
static bool runs_on(const struct kvm_region *left,
		    const struct kvm_region *right)
{
	return left->gpa + left->size == right->gpa &&
	       left->hva + left->size == right->hva &&
	       left->flags == right->flags && left->memfd == right->memfd;
}

/* Must @slot be taken for what is to be in a region? */
static NOINLINE bool matters(const struct slot *slot,
			     const struct kvm_region *region)
{
	return !slot->taken && !slot->missing &&
	       (region_overlaps(&slot->at, region) ||
		(!slot->nomerge && (runs_on(&slot->at, region) ||
				    runs_on(region, &slot->at))));
}

/* Begin with the slots among which are all that matter. */
static struct slot *walk_start(struct slot_walk *walk, struct kvm_txn *txn,
			       const struct kvm_region *region, bool nomerge)
{
	uint64_t first = region->gpa;
	uint64_t last = region_last(region);

	if (!nomerge) {
		first -= first > 0;
		last += last < UINT64_MAX;
	}
	return gpmm__slot_walk_start(walk, &txn->slots->live, first, last);
}

/*
 * From here on the pieces tell what is in the region, and what it may be
 * merged with.
 */
static int take(struct kvm_txn *txn, const struct kvm_region *region,
		bool nomerge)
{
	struct slot_walk walk;
	struct slot *slot;
	int ret = unfold(txn);

	if (!ret && txn->slots->lost.count &&
	    gpmm__lost_overlaps(txn->slots, region->gpa, region_last(region)))
		ret = -EIO;
	for (slot = walk_start(&walk, txn, region, nomerge); slot && !ret;
	     slot = slot_walk_next(&walk))
		if (matters(slot, region))
			ret = take_slot(txn, slot);
	return ret;
}

/* Make @piece what lies above @last of it. Its order stays. */
static void keep_above(struct kvm_region *piece, uint64_t last)
{
	uint64_t cut = last + 1 - piece->gpa;

	piece->gpa += cut;
	piece->hva += cut;
	piece->memfd_offset += cut;
	piece->size -= cut;
}

/* Cut [first, last] out of one piece that meets it. */
static void cut_piece(struct kvm_txn *txn, struct slot *piece, uint64_t first,
		      uint64_t last)
{
	bool left = piece->at.gpa < first;
	bool right = region_last(&piece->at) > last;
	struct kvm_region above = piece->at;

	if (left)
		piece->at.size = first - piece->at.gpa;
	else
		gpmm__slot_remove(&txn->pieces, piece);
	if (right) {
		keep_above(&above, last);
		add_piece(txn, &above, piece->nomerge);
	}
	if (!left)
		gpmm__spare_give(&txn->spare, piece);
}

/* Precondition: take(), and one node reserved. */
static void cut(struct kvm_txn *txn, uint64_t first, uint64_t last)
{
	struct slot *piece;

	piece = gpmm__slot_first(&txn->pieces, first);
	while (piece && piece->at.gpa <= last) {
		struct slot *next = piece->next;

		cut_piece(txn, piece, first, last);
		piece = next;
	}
}

static uint64_t piece_count(const struct kvm_region *region)
{
	return (region->size - 1) / SLOT_MAX + 1;
}

/* Precondition: take(), nothing in the way, piece_count() nodes reserved. */
static void add(struct kvm_txn *txn, struct kvm_region region, bool nomerge)
{
	while (region.size > SLOT_MAX) {
		struct kvm_region part = region;

		part.size = SLOT_MAX;
		add_piece(txn, &part, nomerge);
		keep_above(&region, region_last(&part));
	}
	add_piece(txn, &region, nomerge);
}

/* ------------------------------------------------------------- one slot --- */

/* Is there more than @margin between what ends at @low and begins at @high? */
static bool is_apart(uint64_t low, uint64_t high, bool margin)
{
	return low < high && high - low > margin;
}

/* Of what is not apart from it the slots themselves tell. */
static NOINLINE bool stands_beside(const struct slot_spot *spot,
				   const struct kvm_region *region)
{
	return !(spot->below && matters(spot->below->slot, region)) &&
	       !(spot->above && matters(spot->above->slot, region));
}

/*
 * Does no slot matter for what is to be in @region, but for one that lies
 * exactly there? *@there is that one, or NULL. What is apart from the region,
 * as most are, is not looked at itself: see slot_map.h.
 */
static bool stands_alone(struct kvm_txn *txn, const struct kvm_region *region,
			 bool nomerge, struct slot_entry **there)
{
	const uint64_t last = region_last(region);
	const struct slot_spot spot = slot_map_spot(&txn->slots->live,
						    region->gpa, last);

	*there = spot.there;
	if ((!spot.below ||
	     is_apart(spot.below->last, region->gpa, !nomerge)) &&
	    (!spot.above || is_apart(last, spot.above->gpa, !nomerge)))
		return true;
	return stands_beside(&spot, region);
}

/* The slot itself is written when all is done, and asked for meanwhile. */
static void change_from(struct kvm_txn *txn, struct slot_entry *entry,
			const struct kvm_region *region)
{
	struct slot_change *change = txn->slots->changes.at;

	change->id = entry->id;
	change->from.gpa = region->gpa;
	change->from.size = region->size;
	change->from.flags = entry->flags;
	txn->old = entry->slot;
	txn->entry = entry;
	__builtin_prefetch(txn->old, 1);
}

static bool cut_single(struct kvm_txn *txn, const struct kvm_region *gap)
{
	struct slot_entry *there;

	if (txn->kind != TXN_EMPTY || !stands_alone(txn, gap, true, &there))
		return false;
	if (!there)
		return true;
	change_from(txn, there, gap);
	txn->slots->changes.at->to.size = 0;
	txn->kind = TXN_ONE;
	return true;
}

/* Can it be added? What has gone may have been its slot, which moves then. */
static bool may_come(const struct kvm_txn *txn, const struct kvm_region *region)
{
	if (txn->kind == TXN_EMPTY)
		return true;
	return txn->kind == TXN_ONE && !txn->slots->changes.at->to.size &&
	       gpmm__slot_in_place(&txn->old->at, region);
}

static bool add_single(struct kvm_txn *txn, const struct kvm_region *region,
		       bool nomerge)
{
	struct slot_change *change = txn->slots->changes.at;
	struct slot_entry *there;

	if (region->size > SLOT_MAX || !may_come(txn, region) ||
	    !stands_alone(txn, region, nomerge, &there) || there)
		return false;
	if (txn->kind == TXN_EMPTY) {
		change->from.size = 0;
		txn->old = NULL;
	}
	change->to = *region;
	txn->nomerge = nomerge;
	txn->kind = TXN_ONE;
	return true;
}

bool gpmm__kvm_txn_switch(struct kvm_txn *txn, uint64_t gpa, uint64_t size,
			  uint64_t hva, uint32_t flags, bool nomerge)
{
	struct slots *slots = txn->slots;
	struct kvm_region *to = &slots->changes.at->to;
	struct slot_entry *there;

	if (txn->kind != TXN_EMPTY)
		return false;
	*to = (struct kvm_region){ gpa, size, hva, flags, 0, 0 };
	if (!stands_alone(txn, to, nomerge, &there) ||
	    !there || (there->flags ^ flags) & ~SLOT_SWITCHES)
		return false;
	slots->changes.count = there->flags != flags;
	change_from(txn, there, to);
	txn->flags = flags;
	txn->nomerge = nomerge;
	txn->kind = TXN_SWITCH;
	return true;
}

/* ------------------------------------------------------ more than one --- */

static NOINLINE int cut_pieces(struct kvm_txn *txn,
			       const struct kvm_region *gap)
{
	int ret = take(txn, gap, true);

	if (!ret)
		ret = reserve(txn, 1);
	if (!ret)
		cut(txn, gap->gpa, region_last(gap));
	return ret;
}

static NOINLINE int add_pieces(struct kvm_txn *txn,
			       const struct kvm_region *region, bool nomerge)
{
	struct slot *piece;
	int ret = take(txn, region, nomerge);

	if (ret)
		return ret;
	piece = gpmm__slot_first(&txn->pieces, region->gpa);
	if (piece && region_overlaps(&piece->at, region))
		return -EEXIST;
	ret = reserve(txn, piece_count(region));
	if (!ret)
		add(txn, *region, nomerge);
	return ret;
}

/* Most often a piece is replaced as a whole, and keeps its place. */
static bool become_whole(struct kvm_txn *txn, const struct kvm_region *region,
			 bool nomerge)
{
	struct slot *piece = gpmm__slot_first(&txn->pieces, region->gpa);

	if (!piece || piece->at.gpa != region->gpa ||
	    piece->at.size != region->size)
		return false;
	piece->at = *region;
	piece->nomerge = nomerge;
	return true;
}

int gpmm__kvm_txn_replace(struct kvm_txn *txn, const struct kvm_region *region,
			  bool nomerge)
{
	int ret = take(txn, region, nomerge);

	if (ret || become_whole(txn, region, nomerge))
		return ret;
	ret = reserve(txn, 1 + piece_count(region));
	if (ret)
		return ret;
	cut(txn, region->gpa, region_last(region));
	add(txn, *region, nomerge);
	return 0;
}

/* ----------------------------------------------------------- operations --- */

int gpmm__kvm_txn_cut(struct kvm_txn *txn, uint64_t first, uint64_t last)
{
	/* Nothing is merged across a gap. */
	const struct kvm_region gap = {
		.gpa = first, .size = last - first + 1,
	};

	return cut_single(txn, &gap) ? 0 : cut_pieces(txn, &gap);
}

int gpmm__kvm_txn_add(struct kvm_txn *txn, const struct kvm_region *region,
		      bool nomerge)
{
	return add_single(txn, region, nomerge) ? 0 :
		add_pieces(txn, region, nomerge);
}

/* ------------------------------------------------------------------ end --- */

static bool is_one(const struct slot *left, const struct slot *right)
{
	return !left->nomerge && !right->nomerge &&
	       runs_on(&left->at, &right->at) &&
	       left->at.size + right->at.size <= SLOT_MAX;
}

/* Empty the tree into an array, what runs on as one. */
static int gather(struct kvm_txn *txn)
{
	struct slot_array *after = &txn->after;
	struct slot_tree *pieces = &txn->pieces;
	struct slot *piece;

	if (gpmm__slot_array_room(after, pieces->count))
		return -ENOMEM;
	while ((piece = pieces->lowest)) {
		struct slot *left = after->count ?
			after->at[after->count - 1] : NULL;

		pieces->lowest = piece->next;
		if (left && is_one(left, piece)) {
			left->at.size += piece->at.size;
			gpmm__spare_give(&txn->spare, piece);
		} else {
			after->at[after->count++] = piece;
		}
	}
	pieces->root = NULL;
	pieces->last = NULL;
	pieces->count = 0;
	return 0;
}

static int compare_gpa(const void *left, const void *right)
{
	const struct slot *a = *(struct slot *const *)left;
	const struct slot *b = *(struct slot *const *)right;

	return (a->at.gpa > b->at.gpa) - (a->at.gpa < b->at.gpa);
}

/* It comes or goes. */
static NOINLINE int plan_number(struct kvm_txn *txn)
{
	if (!txn->old &&
	    (reserve(txn, 1) || gpmm__slot_map_room(&txn->slots->live, 1)))
		return -ENOMEM;
	return gpmm__slots_plan_one(txn->slots, &txn->exchange);
}

/*
 * There is no hole: a slot that overlaps where it was does not stand alone
 * there. Where nothing has changed it only seemed to go.
 */
static int plan_one(struct kvm_txn *txn)
{
	struct slots *slots = txn->slots;
	const struct slot_change *change = slots->changes.at;
	const struct kvm_region *to = &change->to;
	bool moves = change->from.gpa != to->gpa;

	if (!txn->old || !to->size)
		return plan_number(txn);
	slots->changes.count = moves || change->from.flags != to->flags;
	return moves ? gpmm__slot_map_room(&slots->live, 1) : 0;
}

static NOINLINE int plan_all(struct kvm_txn *txn)
{
	int ret = gather(txn);

	if (!ret)
		ret = gpmm__slot_map_room(&txn->slots->live, txn->after.count);
	if (ret)
		return ret;
	gpmm__slot_array_sort(&txn->before, compare_gpa);
	txn->exchange.before = &txn->before;
	txn->exchange.after = &txn->after;
	return gpmm__slots_plan(txn->slots, &txn->exchange);
}

int gpmm__kvm_txn_plan(struct kvm_txn *txn)
{
	if (txn->kind == TXN_ONE)
		return plan_one(txn);
	if (txn->kind == TXN_PIECES)
		return plan_all(txn);
	txn->slots->changes.count = 0;
	return 0;
}

/* Where it starts as @new does, it becomes that and keeps its place. */
static void become(struct kvm_txn *txn, struct slot *old, struct slot *new)
{
	old->id = new->id;
	old->at = new->at;
	gpmm__slot_map_changed(&txn->slots->live, old);
	old->nomerge = new->nomerge;
	old->taken = false;
	gpmm__spare_give(&txn->spare, new);
}

static void retire(struct kvm_txn *txn, struct slot_entry *entry)
{
	struct slot *old = entry->slot;

	gpmm__slot_map_remove(&txn->slots->live, entry);
	gpmm__spare_give(&txn->spare, old);
}

static void come(struct kvm_txn *txn, const struct slot_change *change)
{
	struct slot *slot = gpmm__spare_take(&txn->spare);

	slot->at = change->to;
	slot->id = change->id;
	slot->nomerge = txn->nomerge;
	slot->taken = false;
	slot->missing = false;
	gpmm__slot_map_insert(&txn->slots->live, slot);
}

static void done_one(struct kvm_txn *txn)
{
	const struct slot_change *change = txn->slots->changes.at;
	const struct kvm_region *to = &change->to;
	struct slot *slot = txn->old;

	if (slot && to->size) {
		slot->at.flags = to->flags;
		slot->nomerge = txn->nomerge;
		txn->entry->flags = to->flags;
		if (change->from.gpa != to->gpa)
			gpmm__slot_map_move(&txn->slots->live, txn->entry,
					    to->gpa);
	} else if (slot) {
		retire(txn, txn->entry);
	} else {
		come(txn, change);
	}
}

/* Both arrays are sorted; what goes makes room before anything comes. */
static NOINLINE void done_all(struct kvm_txn *txn)
{
	struct slot_array *before = &txn->before;
	struct slot_array *after = &txn->after;
	size_t i = 0;
	size_t j = 0;
	size_t come = 0;

	while (i < before->count || j < after->count) {
		struct slot *old = i < before->count ? before->at[i] : NULL;
		struct slot *new = j < after->count ? after->at[j] : NULL;

		if (old && new && old->at.gpa == new->at.gpa)
			become(txn, before->at[i++], after->at[j++]);
		else if (!new || (old && old->at.gpa < new->at.gpa))
			retire(txn, gpmm__slot_map_entry(&txn->slots->live,
							 before->at[i++]));
		else
			after->at[come++] = after->at[j++];
	}
	for (j = 0; j < come; j++)
		gpmm__slot_map_insert(&txn->slots->live, after->at[j]);
	before->count = 0;
	after->count = 0;
}

void gpmm__kvm_txn_done(struct kvm_txn *txn)
{
	if (txn->kind == TXN_ONE)
		done_one(txn);
	else if (txn->kind == TXN_PIECES)
		done_all(txn);
	spare_trim(&txn->spare);
	slot_map_trim(&txn->slots->live);
}

void gpmm__kvm_txn_drop(struct kvm_txn *txn)
{
	size_t i;

	for (i = 0; i < txn->before.count; i++)
		txn->before.at[i]->taken = false;
	for (i = 0; i < txn->after.count; i++)
		gpmm__spare_give(&txn->spare, txn->after.at[i]);
	gpmm__slot_free_all(&txn->pieces);
	spare_trim(&txn->spare);
	slot_map_trim(&txn->slots->live);
	txn->before.count = 0;
	txn->after.count = 0;
}

void gpmm__kvm_txn_fini(struct kvm_txn *txn)
{
	gpmm__spare_shrink(&txn->spare, 0);
	gpmm__free(txn->before.at);
	gpmm__free(txn->after.at);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "kvm/dirty_log.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "util/alloc.h"

/* ----------------------------------------------------------------- life --- */

static int init_manual(struct dirty_log *log, struct kvm_sys *sys)
{
	const uint32_t cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2;
	int has = gpmm__kvm_extension(sys, cap);

	if (has <= 0)
		return has ? has : -EOPNOTSUPP;
	log->manual = has;
	return 0;
}

int gpmm__dirty_log_init(struct dirty_log *log, struct slots *slots,
			 const struct gpmm_kvm_options *options)
{
	memset(log, 0, sizeof(*log));
	if (options->ring_size && options->log != GPMM_KVM_LOG_RING)
		return -EINVAL;
	log->kind = options->log;
	log->page_shift = __builtin_ctzl(sysconf(_SC_PAGESIZE));
	switch (options->log) {
	case GPMM_KVM_LOG_BITMAP:
		return 0;
	case GPMM_KVM_LOG_MANUAL:
		return init_manual(log, slots->sys);
	case GPMM_KVM_LOG_RING:
		return gpmm__rings_init(&log->rings, slots,
					options->ring_size);
	}
	return -EINVAL;
}

int gpmm__dirty_log_enable(struct dirty_log *log, struct kvm_sys *sys)
{
	if (log->manual)
		return gpmm__kvm_enable_cap(sys,
					    KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
					    log->manual);
	return gpmm__rings_enable(&log->rings, sys);
}

void gpmm__dirty_log_disable(struct dirty_log *log, struct kvm_sys *sys)
{
	if (log->manual)
		gpmm__kvm_enable_cap(sys, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, 0);
}

void gpmm__dirty_log_fini(struct dirty_log *log)
{
	gpmm__rings_fini(&log->rings);
	gpmm__free(log->bitmap);
}

/* -------------------------------------------------------------- bitmaps --- */

static uint64_t page_count(const struct dirty_log *log,
			   const struct kvm_region *region)
{
	return region->size >> log->page_shift;
}

static int bitmap_room(struct dirty_log *log, const struct kvm_region *region)
{
	size_t words = (page_count(log, region) + 63) / 64;
	uint64_t *grown;

	if (words <= log->room)
		return 0;
	grown = gpmm__realloc(log->bitmap, words * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	log->bitmap = grown;
	log->room = words;
	return 0;
}

static void give_words(struct dirty_log *log, const struct kvm_region *region,
		       uint64_t word, uint64_t pages)
{
	log->sink.mark_bits(log->sink.arg,
			    region->gpa + (word * 64 << log->page_shift),
			    log->bitmap + word, pages);
}

/* Narrow words [*first, *last] to those with bits. Return: is there any? */
static bool trim(const struct dirty_log *log, uint64_t *first, uint64_t *last)
{
	while (*first <= *last && !log->bitmap[*first])
		++*first;
	while (*last > *first && !log->bitmap[*last])
		--*last;
	return *first <= *last;
}

/*
 * Only what is harvested is cleared, before anybody reads the pages: what is
 * written from here on is logged anew.
 */
static int collect_manual(struct dirty_log *log, struct slots *slots,
			  const struct slot *slot, uint64_t from, uint64_t to)
{
	uint64_t pages = page_count(log, &slot->at);
	uint64_t first = from / 64;
	uint64_t last = to / 64;
	uint64_t count;

	if (!trim(log, &first, &last))
		return 0;
	count = (last - first + 1) * 64;
	if (first * 64 + count > pages)
		count = pages - first * 64;
	give_words(log, &slot->at, first, count);
	return gpmm__kvm_clear_dirty_log(slots->sys,
					 slots->address_space | slot->id,
					 first * 64, count,
					 log->bitmap + first);
}

static int collect_slot(struct dirty_log *log, struct slots *slots,
			const struct slot *slot, uint64_t first, uint64_t last)
{
	int ret = bitmap_room(log, &slot->at);

	if (!ret)
		ret = gpmm__kvm_get_dirty_log(slots->sys,
					      slots->address_space | slot->id,
					      log->bitmap);
	if (ret)
		return ret;
	if (log->kind == GPMM_KVM_LOG_BITMAP) {
		give_words(log, &slot->at, 0, page_count(log, &slot->at));
		return 0;
	}
	first = first > slot->at.gpa ? first - slot->at.gpa : 0;
	if (last > region_last(&slot->at))
		last = region_last(&slot->at);
	return collect_manual(log, slots, slot, first >> log->page_shift,
			      (last - slot->at.gpa) >> log->page_shift);
}

static bool is_logged(const struct kvm_region *region)
{
	return region->size && region->flags & KVM_MEM_LOG_DIRTY_PAGES;
}

int gpmm__dirty_log_collect(struct dirty_log *log, struct slots *slots,
			    uint64_t first, uint64_t last)
{
	struct slot_walk walk;
	const struct slot *slot;
	int ret = 0;

	if (log->kind == GPMM_KVM_LOG_RING)
		return gpmm__rings_drain(&log->rings, slots, &log->sink);
	for (slot = gpmm__slot_walk_start(&walk, &slots->live, first, last);
	     slot && !ret; slot = slot_walk_next(&walk))
		if (is_logged(&slot->at) && !slot->missing)
			ret = collect_slot(log, slots, slot, first, last);
	return ret;
}

/* ---------------------------------------------------------------- plans --- */

/* KVM frees a bitmap with its slot; of a moved one it keeps it. */
static bool ends_log(const struct slot_change *change)
{
	return is_logged(&change->from) &&
	       (!is_logged(&change->to) || change->from.gpa != change->to.gpa);
}

static bool starts_full(const struct dirty_log *log)
{
	return log->manual & KVM_DIRTY_LOG_INITIALLY_SET;
}

/* Its log may be full of ones that say nothing. */
static bool starts_log(const struct slot_change *change)
{
	return !change->from.size && is_logged(&change->to);
}

int gpmm__dirty_log_room(struct dirty_log *log, const struct slots *slots)
{
	const struct slot_change *at = slots->changes.at;
	int ret = 0;

	if (!log->sink.mark || log->kind == GPMM_KVM_LOG_RING)
		return 0;
	for (size_t i = 0; i < slots->changes.count && !ret; i++) {
		if (ends_log(&at[i]))
			ret = bitmap_room(log, &at[i].from);
		if (!ret && starts_log(&at[i]))
			ret = bitmap_room(log, &at[i].to);
	}
	return ret;
}

/* What cannot be known counts as written. */
static void give_all(const struct dirty_log *log,
		     const struct kvm_region *region)
{
	log->sink.mark(log->sink.arg, region->gpa, region->size);
}

static void end_log(struct dirty_log *log, struct slots *slots,
		    const struct slot_change *change)
{
	if (log->kind != GPMM_KVM_LOG_RING &&
	    !gpmm__kvm_get_dirty_log(slots->sys, slots->address_space |
				     change->id, log->bitmap))
		give_words(log, &change->from, 0,
			   page_count(log, &change->from));
	else
		give_all(log, &change->from);
}

void gpmm__dirty_log_before(struct dirty_log *log, struct slots *slots,
			    bool held)
{
	const struct slot_change *at = slots->changes.at;

	if (!log->sink.mark)
		return;
	if (log->kind == GPMM_KVM_LOG_RING &&
	    !gpmm__rings_drain(&log->rings, slots, &log->sink))
		return;
	for (size_t i = 0; held && i < slots->changes.count; i++)
		if (ends_log(&at[i]))
			end_log(log, slots, &at[i]);
}

static void set_pages(uint64_t *bits, uint64_t first, uint64_t last)
{
	for (uint64_t word = first / 64; word <= last / 64; word++) {
		uint64_t some = ~UINT64_C(0);

		if (word == first / 64)
			some &= ~UINT64_C(0) << first % 64;
		if (word == last / 64)
			some &= ~UINT64_C(0) >> (63 - last % 64);
		bits[word] |= some;
	}
}

/* Have the bits of those pages of @to that @from has, too. */
static void set_common(struct dirty_log *log, const struct kvm_region *from,
		       const struct kvm_region *to)
{
	uint64_t first = from->gpa > to->gpa ? from->gpa : to->gpa;
	uint64_t last = region_last(from) < region_last(to) ?
		region_last(from) : region_last(to);

	set_pages(log->bitmap, (first - to->gpa) >> log->page_shift,
		  (last - to->gpa) >> log->page_shift);
}

/*
 * The log of a slot made anew starts full. The pages that were logged before
 * were harvested; of the others every client is still to have each.
 */
static void start_log(struct dirty_log *log, struct slots *slots,
		      const struct slot_change *change)
{
	uint64_t pages = page_count(log, &change->to);
	struct slot_walk walk;
	const struct slot *old;

	memset(log->bitmap, 0, (pages + 63) / 64 * sizeof(*log->bitmap));
	for (old = gpmm__slot_walk_start(&walk, &slots->live, change->to.gpa,
					 region_last(&change->to));
	     old; old = slot_walk_next(&walk))
		if (is_logged(&old->at))
			set_common(log, &old->at, &change->to);
	gpmm__kvm_clear_dirty_log(slots->sys,
				  slots->address_space | change->id, 0, pages,
				  log->bitmap);
}

/*
 * What guests wrote until a log ended is given now, not before: a harvest on
 * its way would take it, and the guests write on.
 */
void gpmm__dirty_log_after(struct dirty_log *log, struct slots *slots,
			   bool held, bool made)
{
	const struct slot_change *at = slots->changes.at;

	if (made)
		gpmm__rings_rename(&log->rings, slots);
	if (!log->sink.mark)
		return;
	for (size_t i = 0; i < slots->changes.count; i++) {
		if (!held && ends_log(&at[i]))
			give_all(log, &at[i].from);
		if (held && made && starts_full(log) && starts_log(&at[i]))
			start_log(log, slots, &at[i]);
	}
}

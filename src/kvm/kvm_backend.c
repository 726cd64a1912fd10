/* SPDX-License-Identifier: BSD-3-Clause */
#include "kvm/kvm_backend.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <gpmm/host.h>

#include "kvm/features.h"
#include "util/alloc.h"
#include "util/range.h"

/* --------------------------------------------------- an area as a slot --- */

/*
 * KVM cannot withhold reading or execution alone: an area with any of the
 * three rights has a slot, one with none has not, and its accesses exit.
 */
static bool has_slot(const struct gpmm_area *area, uint32_t flags)
{
	return area->hva && (flags & GPMM_RWX);
}

static uint32_t slot_flags(uint32_t flags)
{
	if (!(flags & GPMM_WRITE))
		return KVM_MEM_READONLY;
	return flags & GPMM_LOG_DIRTY ? KVM_MEM_LOG_DIRTY_PAGES : 0;
}

/* Of an area that has a slot: are both one to it, and to its merging? */
static bool same_slot(uint32_t flags, uint32_t other)
{
	uint32_t change = flags ^ other;

	return !(change & (GPMM_WRITE | GPMM_NOMERGE)) &&
	       !(change & GPMM_LOG_DIRTY && flags & GPMM_WRITE);
}

static bool is_guest_memfd(const struct gpmm_area *area)
{
	return area->host &&
	       gpmm_host_kind(area->host) == GPMM_HOST_GUEST_MEMFD;
}

/* What this kernel's slots cannot be. */
static int check_region(const struct kvm_backend *kvm,
			const struct kvm_region *region)
{
	const uint32_t no_memfd = KVM_MEM_READONLY | KVM_MEM_LOG_DIRTY_PAGES;

	if (region->flags & KVM_MEM_READONLY &&
	    !(kvm->features & GPMM_KVM_READONLY))
		return -EOPNOTSUPP;
	if (!(region->flags & KVM_MEM_GUEST_MEMFD))
		return 0;
	return region->flags & no_memfd ||
	       !(kvm->features & GPMM_KVM_GUEST_MEMFD) ? -EOPNOTSUPP : 0;
}

/* Out of the way of those without. */
static __attribute__((noinline)) void add_memfd(struct kvm_region *region,
						const struct gpmm_area *area)
{
	region->flags |= KVM_MEM_GUEST_MEMFD;
	region->memfd = gpmm_host_fd(area->host);
	region->memfd_offset = gpmm_host_offset(area->host) +
		((char *)area->hva - (char *)gpmm_host_addr(area->host));
}

/* Precondition: has_slot(). Return: 0 or -EOPNOTSUPP. */
static int make_region(const struct kvm_backend *kvm,
		       const struct gpmm_area *area, uint32_t flags,
		       struct kvm_region *region)
{
	region->gpa = area->start;
	region->size = area->size;
	region->hva = (uintptr_t)area->hva;
	region->flags = slot_flags(flags);
	region->memfd = 0;
	region->memfd_offset = 0;
	if (is_guest_memfd(area))
		add_memfd(region, area);
	return check_region(kvm, region);
}

static bool is_wellformed(struct gpmm_backend *be, const struct gpmm_area *area)
{
	struct span span;

	return range_to_span(area->start, area->size, &span) &&
	       is_aligned(area->start | area->size | (uintptr_t)area->hva,
			  be->granule);
}

/* ----------------------------------------------------------------- ops --- */

/* Without memory, and with somebody whom its hooks could belong to. */
static bool is_window(const struct gpmm_area *area)
{
	return !area->hva && area->owner;
}

static int change_window(struct kvm_backend *kvm, const struct gpmm_area *area,
			 bool map)
{
	struct windows *windows = &kvm->hooks.windows;

	if (gpmm__hooks_are_lost(&kvm->hooks, area->start,
				 gpmm_area_last(area)))
		return -EIO;
	return map ? gpmm__window_map(windows, area->start, area->size,
				      area->owner) :
		     gpmm__window_unmap(windows, area->start, area->size,
					area->owner);
}

static int kvm_map(struct gpmm_backend *be, const struct gpmm_area *area)
{
	struct kvm_region region;
	int ret;

	if (!is_wellformed(be, area))
		return -EINVAL;
	if (is_window(area))
		return change_window(to_kvm(be), area, true);
	if (!has_slot(area, area->flags))
		return 0;
	ret = make_region(to_kvm(be), area, area->flags, &region);
	if (ret)
		return ret;
	return gpmm__kvm_txn_add(&to_kvm(be)->txn, &region,
				 area->flags & GPMM_NOMERGE);
}

static int kvm_unmap(struct gpmm_backend *be, const struct gpmm_area *area)
{
	if (!is_wellformed(be, area))
		return -EINVAL;
	if (is_window(area))
		return change_window(to_kvm(be), area, false);
	if (!has_slot(area, area->flags))
		return 0;
	return gpmm__kvm_txn_cut(&to_kvm(be)->txn, area->start,
				 gpmm_area_last(area));
}

static __attribute__((noinline)) int protect(struct gpmm_backend *be,
					     const struct gpmm_area *area,
					     uint32_t new_flags)
{
	struct kvm_region region;
	bool had = has_slot(area, area->flags);
	bool has = has_slot(area, new_flags);
	int ret;

	if (had && !has)
		return kvm_unmap(be, area);
	if (!is_wellformed(be, area))
		return -EINVAL;
	if (!has || (had && same_slot(area->flags, new_flags)))
		return 0;
	ret = make_region(to_kvm(be), area, new_flags, &region);
	if (ret)
		return ret;
	return gpmm__kvm_txn_replace(&to_kvm(be)->txn, &region,
				     new_flags & GPMM_NOMERGE);
}

/* Most often a log is turned on or off, and there is the slot. */
static int kvm_protect(struct gpmm_backend *be, const struct gpmm_area *area,
		       uint32_t new_flags)
{
	const uint32_t log =
		new_flags & GPMM_LOG_DIRTY ? KVM_MEM_LOG_DIRTY_PAGES : 0;

	if (area->flags & new_flags & GPMM_WRITE && area->hva &&
	    (area->flags ^ new_flags) & GPMM_LOG_DIRTY &&
	    gpmm__kvm_txn_switch(&to_kvm(be)->txn, area->start, area->size,
				 (uintptr_t)area->hva, log,
				 new_flags & GPMM_NOMERGE))
		return 0;
	return protect(be, area, new_flags);
}

static int kvm_begin(struct gpmm_backend *be)
{
	struct kvm_backend *kvm = to_kvm(be);
	int ret = lock_acquire(&kvm->lock);

	if (ret)
		return ret;
	if (kvm->hooks.lost)
		gpmm__hooks_repair(&kvm->hooks);
	kvm_txn_begin(&kvm->txn, &kvm->slots);
	return 0;
}

/* Both, or neither. */
static int apply_both(struct kvm_backend *kvm)
{
	int ret = gpmm__hooks_apply(&kvm->hooks);

	if (ret) {
		gpmm__slots_unplan(&kvm->slots);
		return ret;
	}
	ret = slots_apply(&kvm->slots);
	if (ret && !gpmm__hooks_undo(&kvm->hooks))
		ret = -EIO;
	return ret;
}

static int plan_more(struct kvm_backend *kvm)
{
	int ret = gpmm__dirty_log_room(&kvm->log, &kvm->slots);

	if (!ret)
		ret = gpmm__hooks_plan(&kvm->hooks);
	if (ret)
		gpmm__slots_unplan(&kvm->slots);
	return ret;
}

/* Is there more to the planned change than its slots? */
static bool is_more(const struct kvm_backend *kvm)
{
	return !gpmm__dirty_log_is_idle(&kvm->log) ||
	       !gpmm__hooks_are_idle(&kvm->hooks);
}

/*
 * Keep vCPUs out of a hole. Where there are none, none comes: who adds one
 * waits for the lock. Return: whether there are any, and they are held.
 */
static bool hold_vcpus(struct kvm_backend *kvm)
{
	return kvm->txn.exchange.hole && gate_has_vcpus(&kvm->gate) &&
	       gpmm__gate_close(&kvm->gate);
}

static __attribute__((noinline)) int apply_more(struct kvm_backend *kvm)
{
	int ret = plan_more(kvm);
	bool held;

	if (ret)
		return ret;
	held = hold_vcpus(kvm);
	gpmm__dirty_log_before(&kvm->log, &kvm->slots, held);
	ret = apply_both(kvm);
	gpmm__dirty_log_after(&kvm->log, &kvm->slots, held, !ret);
	if (!ret)
		gpmm__hooks_done(&kvm->hooks);
	return ret;
}

static inline int apply(struct kvm_backend *kvm)
{
	if (__builtin_expect(is_more(kvm), 0))
		return apply_more(kvm);
	hold_vcpus(kvm);
	return slots_apply(&kvm->slots);
}

static void kvm_abort(struct gpmm_backend *be)
{
	struct kvm_backend *kvm = to_kvm(be);

	gpmm__kvm_txn_drop(&kvm->txn);
	gpmm__hooks_drop(&kvm->hooks);
	lock_release(&kvm->lock);
	/* Of an undo: what it was to undo may have left the gate closed. */
	gpmm__gate_open(&kvm->gate);
}

static __attribute__((cold)) int fail(struct kvm_backend *kvm, int error)
{
	kvm_abort(&kvm->backend);
	return error;
}

/*
 * What most transactions do not need is not called for them: code that has not
 * been run for a while is as slow to fetch as data.
 */
static int kvm_commit(struct gpmm_backend *be)
{
	struct kvm_backend *kvm = to_kvm(be);
	const uint32_t before = kvm->slots.ids.live;
	int ret = kvm_txn_plan(&kvm->txn);

	if (ret)
		return fail(kvm, ret);
	ret = apply(kvm);
	if (ret)
		return fail(kvm, ret);
	gpmm__slots_owe(&kvm->slots, before);
	kvm_txn_done(&kvm->txn);
	kvm->commits++;
	lock_release(&kvm->lock);
	return 0;
}

static void kvm_published(struct gpmm_backend *be)
{
	struct kvm_backend *kvm = to_kvm(be);

	gpmm__slots_owe(&kvm->slots, 0);
	if (gate_get(&kvm->gate.closed))
		gpmm__gate_open(&kvm->gate);
}

static const struct gpmm_backend_ops kvm_ops = {
	.abi = GPMM_BACKEND_ABI,
	.name = "kvm",
	.map = kvm_map,
	.unmap = kvm_unmap,
	.protect = kvm_protect,
	.begin = kvm_begin,
	.commit = kvm_commit,
	.abort = kvm_abort,
	.published = kvm_published,
};

/* ---------------------------------------------------------------- life --- */

/* KVM says how many address spaces there are only where there are several. */
static bool has_space(struct kvm_sys *sys, unsigned int address_space)
{
	return !address_space || (int64_t)address_space <
		gpmm__kvm_extension(sys, KVM_CAP_MULTI_ADDRESS_SPACE);
}

static int slot_budget(struct kvm_sys *sys,
		       const struct gpmm_kvm_options *options, uint32_t *count)
{
	int most = gpmm__kvm_extension(sys, KVM_CAP_NR_MEMSLOTS);

	if (most < 0)
		return most;
	if (options->first_slot >= (unsigned int)most ||
	    !has_space(sys, options->address_space))
		return -EINVAL;
	*count = most - options->first_slot;
	if (options->slot_count > *count || options->reserve >= *count)
		return -EINVAL;
	if (options->slot_count)
		*count = options->slot_count;
	return options->reserve < *count ? 0 : -EINVAL;
}

/*
 * Once nothing else can fail any more. KVM refuses rings where there is a vCPU,
 * but no quirk that it has: that is last, as it cannot be had back.
 */
static int switch_on(struct kvm_backend *kvm,
		     const struct gpmm_kvm_options *options)
{
	int ret;

	if (options->no_zap_all && !(kvm->features & GPMM_KVM_NO_ZAP_ALL))
		return -EOPNOTSUPP;
	ret = gpmm__dirty_log_enable(&kvm->log, &kvm->sys);
	if (ret || !options->no_zap_all)
		return ret;
	ret = gpmm__kvm_no_zap_all(&kvm->sys);
	if (ret)
		gpmm__dirty_log_disable(&kvm->log, &kvm->sys);
	return ret;
}

static int init_slots(struct kvm_backend *kvm,
		      const struct gpmm_kvm_options *options, uint32_t count)
{
	int ret = gpmm__slots_init(&kvm->slots, &kvm->sys, options->first_slot,
				   count);

	if (ret)
		return ret;
	kvm->slots.address_space = (uint32_t)options->address_space << 16;
	kvm->slots.reserve = options->reserve;
	ret = gpmm__dirty_log_init(&kvm->log, &kvm->slots, options);
	if (!ret)
		ret = switch_on(kvm, options);
	if (ret) {
		gpmm__dirty_log_fini(&kvm->log);
		gpmm__slots_fini(&kvm->slots);
	}
	kvm->log.source.ops = &gpmm__kvm_source_ops;
	return ret;
}

static int init_rooms(struct kvm_backend *kvm,
		      const struct gpmm_kvm_options *options, uint32_t count)
{
	int ret = gpmm__gate_init(&kvm->gate);

	if (ret)
		return ret;
	ret = gpmm__hooks_init(&kvm->hooks, &kvm->sys);
	if (ret)
		goto fini_gate;
	ret = init_slots(kvm, options, count);
	if (!ret)
		return 0;
	gpmm__hooks_fini(&kvm->hooks);
fini_gate:
	gpmm__gate_fini(&kvm->gate);
	return ret;
}

static int init(struct kvm_backend *kvm, const struct kvm_sys *sys,
		const struct gpmm_kvm_options *options)
{
	uint32_t count;
	int ret;

	kvm->sys = *sys;
	ret = gpmm__kvm_features(&kvm->sys, &kvm->features);
	if (!ret)
		ret = slot_budget(&kvm->sys, options, &count);
	if (!ret)
		ret = lock_init_inner(&kvm->lock);
	if (ret)
		return ret;
	ret = init_rooms(kvm, options, count);
	if (ret) {
		lock_fini(&kvm->lock);
		return ret;
	}
	kvm->backend.ops = &kvm_ops;
	kvm->backend.granule = sysconf(_SC_PAGESIZE);
	return 0;
}

int gpmm__kvm_create_on(const struct kvm_sys *sys,
			const struct gpmm_kvm_options *options,
			struct gpmm_backend **backend)
{
	static const struct gpmm_kvm_options defaults;
	struct kvm_backend *kvm;
	int ret;

	kvm = gpmm__alloc_aligned(_Alignof(struct kvm_backend), sizeof(*kvm));
	if (!kvm)
		return -ENOMEM;
	memset(kvm, 0, sizeof(*kvm));
	ret = init(kvm, sys, options ? options : &defaults);
	if (ret) {
		gpmm__free(kvm);
		return ret;
	}
	*backend = &kvm->backend;
	return 0;
}

int gpmm_kvm_create(int vm_fd, const struct gpmm_kvm_options *options,
		    struct gpmm_backend **backend)
{
	const struct kvm_sys sys = {
		.ops = &gpmm__kvm_sys_real,
		.vm_fd = vm_fd,
	};

	return gpmm__kvm_create_on(&sys, options, backend);
}

void gpmm_kvm_destroy(struct gpmm_backend *backend)
{
	struct kvm_backend *kvm;

	if (!backend)
		return;
	kvm = to_kvm(backend);
	gpmm__dirty_log_fini(&kvm->log);
	gpmm__slots_fini(&kvm->slots);
	gpmm__hooks_fini(&kvm->hooks);
	gpmm__kvm_txn_fini(&kvm->txn);
	gpmm__gate_fini(&kvm->gate);
	lock_fini(&kvm->lock);
	gpmm__free(kvm);
}

int gpmm_kvm_set_reserve(struct gpmm_backend *backend, unsigned int reserve)
{
	struct kvm_backend *kvm = to_kvm(backend);
	int ret;

	if (reserve >= kvm->slots.ids.count)
		return -EINVAL;
	ret = lock_acquire(&kvm->lock);
	if (ret)
		return ret;
	kvm->slots.reserve = reserve;
	lock_release(&kvm->lock);
	return 0;
}

void gpmm_kvm_get_stats(struct gpmm_backend *backend,
			struct gpmm_kvm_stats *stats)
{
	struct kvm_backend *kvm = to_kvm(backend);
	int ret = lock_acquire(&kvm->lock);

	*stats = (struct gpmm_kvm_stats){
		.slots = kvm->slots.ids.live,
		.slots_max = kvm->slots.ids.count,
		.ioctls = kvm->sys.calls,
		.commits = kvm->commits,
	};
	gpmm__gate_get_stalls(&kvm->gate, &stats->stalls);
	if (!ret)
		lock_release(&kvm->lock);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "kvm/dirty_ring.h"

#include <errno.h>
#include <unistd.h>

#include "util/alloc.h"

#define DEFAULT_SIZE 65536

/* ----------------------------------------------------------------- life --- */

/* Newer kernels spell out the order of memory accesses; x86 has it anyway. */
static int find_cap(struct dirty_rings *rings, struct kvm_sys *sys)
{
	int most;

	rings->cap = KVM_CAP_DIRTY_LOG_RING_ACQ_REL;
	most = gpmm__kvm_extension(sys, rings->cap);
	if (!most) {
		rings->cap = KVM_CAP_DIRTY_LOG_RING;
		most = gpmm__kvm_extension(sys, rings->cap);
	}
	if (most <= 0)
		return most ? most : -EOPNOTSUPP;
	return rings->size > (uint32_t)most ? -EINVAL : 0;
}

int gpmm__rings_init(struct dirty_rings *rings, struct slots *slots,
		     uint32_t size)
{
	int ret;

	rings->size = size ? size : DEFAULT_SIZE;
	ret = find_cap(rings, slots->sys);
	if (ret)
		return ret;
	rings->count = rings->size / sizeof(struct kvm_dirty_gfn);
	rings->page = sysconf(_SC_PAGESIZE);
	rings->by_id = gpmm__zalloc(slots->ids.count * sizeof(*rings->by_id));
	return rings->by_id ? 0 : -ENOMEM;
}

int gpmm__rings_enable(struct dirty_rings *rings, struct kvm_sys *sys)
{
	return rings->size ? gpmm__kvm_enable_cap(sys, rings->cap,
						  rings->size) : 0;
}

void gpmm__rings_fini(struct dirty_rings *rings)
{
	gpmm__free(rings->by_id);
	vec_free(&rings->taken);
}

/* Have room for all entries of all rings, and of one more. */
static int taken_room(struct dirty_rings *rings)
{
	size_t room = rings->count;
	const struct dirty_ring *ring;

	for (ring = rings->first; ring; ring = ring->more)
		room += rings->count;
	return vec_reserve(&rings->taken, room);
}

int gpmm__rings_add(struct dirty_rings *rings, struct dirty_ring *ring,
		    int vcpu_fd)
{
	int ret;

	if (!rings->size)
		return 0;
	ret = taken_room(rings);
	if (!ret)
		ret = gpmm__kvm_map_ring(vcpu_fd, rings->size, &ring->entries);
	if (ret)
		return ret;
	ring->found = false;
	ring->more = rings->first;
	rings->first = ring;
	return 0;
}

void gpmm__rings_remove(struct dirty_rings *rings, struct dirty_ring *ring)
{
	struct dirty_ring **link = &rings->first;

	if (!rings->size)
		return;
	while (*link != ring)
		link = &(*link)->more;
	*link = ring->more;
	gpmm__kvm_unmap_ring(ring->entries, rings->size);
}

void gpmm__rings_rename(struct dirty_rings *rings, const struct slots *slots)
{
	const struct slot_change *at = slots->changes.at;

	if (!rings->size)
		return;
	for (size_t i = 0; i < slots->changes.count; i++)
		rings->by_id[at[i].id - slots->ids.first] = at[i].to;
}

/* -------------------------------------------------------------- harvest --- */

/* Entries of slots that are not ours, or gone, are nobody's. */
static void take(struct dirty_rings *rings, const struct slots *slots,
		 const struct kvm_dirty_gfn *entry)
{
	uint32_t index = (entry->slot & 0xffff) - slots->ids.first;
	const struct kvm_region *region;

	if (index >= slots->ids.count ||
	    (entry->slot & ~UINT32_C(0xffff)) != slots->address_space)
		return;
	region = &rings->by_id[index];
	if (entry->offset < region->size / rings->page)
		vec_push(&rings->taken,
			 region->gpa + entry->offset * rings->page);
}

static struct kvm_dirty_gfn *entry_at(const struct dirty_rings *rings,
				      const struct dirty_ring *ring,
				      uint32_t index)
{
	return &ring->entries[index & (rings->count - 1)];
}

static bool is_dirty(const struct kvm_dirty_gfn *entry)
{
	return __atomic_load_n(&entry->flags, __ATOMIC_ACQUIRE) &
	       KVM_DIRTY_GFN_F_DIRTY;
}

/*
 * A vCPU may have run before its ring was added: KVM's entries begin where
 * they stood then, and follow each other. Return: whether there is any yet.
 */
static bool find_first(const struct dirty_rings *rings,
		       struct dirty_ring *ring)
{
	uint32_t at = 0;
	uint32_t back = 0;

	while (at < rings->count && !is_dirty(entry_at(rings, ring, at)))
		at++;
	if (at == rings->count)
		return false;
	while (back < rings->count &&
	       is_dirty(entry_at(rings, ring, at - back - 1)))
		back++;
	/* Where all are dirty, as only in a new one: the first. */
	ring->next = at - back;
	ring->found = true;
	return true;
}

/* There is room, unless KVM has reset entries and said that it had not. */
static uint32_t drain(struct dirty_rings *rings, struct dirty_ring *ring,
		      const struct slots *slots)
{
	size_t most = rings->taken.cap - rings->taken.len;
	uint32_t done = 0;

	if (!ring->found && !find_first(rings, ring))
		return 0;
	if (most > rings->count)
		most = rings->count;
	for (; done < most; done++, ring->next++) {
		struct kvm_dirty_gfn *entry =
			entry_at(rings, ring, ring->next);

		if (!is_dirty(entry))
			break;
		take(rings, slots, entry);
		__atomic_store_n(&entry->flags, KVM_DIRTY_GFN_F_RESET,
				 __ATOMIC_RELEASE);
	}
	return done;
}

static void give_taken(struct dirty_rings *rings,
		       const struct gpmm_dirty_sink *sink)
{
	for (size_t i = 0; sink->mark && i < rings->taken.len; i++)
		sink->mark(sink->arg, rings->taken.v[i], rings->page);
	rings->taken.len = 0;
}

int gpmm__rings_drain(struct dirty_rings *rings, struct slots *slots,
		      const struct gpmm_dirty_sink *sink)
{
	struct dirty_ring *ring;
	int ret;

	for (ring = rings->first; ring; ring = ring->more)
		if (drain(rings, ring, slots))
			rings->unreset = true;
	if (!rings->unreset)
		return 0;
	ret = gpmm__kvm_reset_rings(slots->sys);
	if (ret < 0)
		return ret;
	rings->unreset = false;
	give_taken(rings, sink);
	return 0;
}

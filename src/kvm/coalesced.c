/* SPDX-License-Identifier: BSD-3-Clause */
#include "kvm/coalesced.h"

#include <string.h>

int gpmm__coalesced_init(struct coalesced *coalesced)
{
	coalesced->max = gpmm__kvm_coalesced_max();
	return lock_init(&coalesced->harvesting);
}

void gpmm__coalesced_fini(struct coalesced *coalesced)
{
	vec_free(&coalesced->queue);
	lock_fini(&coalesced->harvesting);
}

/* What was harvested goes, or a queue that is never empty would grow. */
int gpmm__coalesced_room(struct coalesced *coalesced)
{
	struct kept_write *at = coalesced->queue.v;

	coalesced->queue.len -= coalesced->next;
	if (coalesced->next)
		memmove(at, at + coalesced->next,
			coalesced->queue.len * sizeof(*at));
	coalesced->next = 0;
	return vec_reserve(&coalesced->queue, coalesced->max);
}

/* KVM writes an entry and then @last; it may write one that @first has left. */
void gpmm__coalesced_fetch(struct coalesced *coalesced,
			   void *(*owner_at)(void *arg, uint64_t gpa),
			   void *arg)
{
	struct kvm_coalesced_mmio_ring *ring = coalesced->ring;
	uint32_t first = ring->first;
	uint32_t last = __atomic_load_n(&ring->last, __ATOMIC_ACQUIRE);

	while (first != last) {
		struct kept_write kept = {
			.write = ring->coalesced_mmio[first],
		};

		if (!kept.write.pio) {
			kept.owner = owner_at(arg, kept.write.phys_addr);
			vec_push(&coalesced->queue, kept);
		}
		first = (first + 1) % coalesced->max;
	}
	__atomic_store_n(&ring->first, first, __ATOMIC_RELEASE);
}

void gpmm__coalesced_move(struct coalesced *coalesced, const void *owner,
			  uint64_t distance)
{
	size_t i;

	for (i = coalesced->next; i < coalesced->queue.len; i++)
		if (coalesced->queue.v[i].owner == owner)
			coalesced->queue.v[i].write.phys_addr += distance;
}

bool gpmm__coalesced_take(struct coalesced *coalesced,
			  struct kvm_coalesced_mmio *write)
{
	if (coalesced->next < coalesced->queue.len) {
		*write = coalesced->queue.v[coalesced->next++].write;
		return true;
	}
	coalesced->next = 0;
	coalesced->queue.len = 0;
	return false;
}

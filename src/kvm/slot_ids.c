/* SPDX-License-Identifier: BSD-3-Clause */
#include "kvm/slot_ids.h"

#include <assert.h>
#include <errno.h>

#include "util/alloc.h"

int gpmm__slot_ids_init(struct slot_ids *ids, uint32_t first, uint32_t count)
{
	size_t words = (count + 63) / 64;

	ids->used = gpmm__zalloc(words * sizeof(*ids->used));
	if (!ids->used)
		return -ENOMEM;
	ids->first = first;
	ids->count = count;
	ids->live = 0;
	ids->hint = 0;
	return 0;
}

void gpmm__slot_ids_fini(struct slot_ids *ids)
{
	gpmm__free(ids->used);
}

uint32_t gpmm__slot_ids_take(struct slot_ids *ids)
{
	uint32_t word = ids->hint / 64;

	assert(ids->live < ids->count);
	while (!~ids->used[word])
		word++;
	ids->hint = word * 64 + __builtin_ctzll(~ids->used[word]);
	gpmm__slot_ids_take_this(ids, ids->first + ids->hint);
	return ids->first + ids->hint++;
}

void gpmm__slot_ids_take_this(struct slot_ids *ids, uint32_t id)
{
	uint32_t bit = id - ids->first;

	ids->used[bit / 64] |= UINT64_C(1) << bit % 64;
	ids->live++;
}

bool gpmm__slot_ids_taken(const struct slot_ids *ids, uint32_t id)
{
	uint32_t bit = id - ids->first;

	return ids->used[bit / 64] >> bit % 64 & 1;
}

void gpmm__slot_ids_give(struct slot_ids *ids, uint32_t id)
{
	uint32_t bit = id - ids->first;

	ids->used[bit / 64] &= ~(UINT64_C(1) << bit % 64);
	ids->live--;
	if (bit < ids->hint)
		ids->hint = bit;
}

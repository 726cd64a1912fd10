/* SPDX-License-Identifier: BSD-3-Clause */
/* From guest addresses to the process's, and back. */
#include "guest/section.h"

int gpmm_translate(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
		   uint32_t access, struct gpmm_run *run)
{
	return find_run(guest->set, gpa, access, run);
}

/*
 * The generation is read before the lookup. If the set changes between them
 * the cache holds something newer than the generation says, and is not used.
 */
static int refill(struct gpmm_cache *cache, gpmm_gpa_t gpa)
{
	struct gpmm_area area;
	int ret;

	cache->generation = gpmm_set_generation(cache->guest->set);
	cache->size = 0;
	ret = find_memory(cache->guest->set, gpa, cache->access, &area);
	if (ret)
		return ret;
	cache->start = area.start;
	cache->size = area.size;
	cache->hva = area.hva;
	cache->flags = area.flags;
	return 0;
}

void *gpmm_cache_fill(struct gpmm_cache *cache, gpmm_gpa_t gpa, uint64_t size)
{
	uint64_t offset;

	if (!size || refill(cache, gpa))
		return NULL;
	offset = gpa - cache->start;
	if (size > cache->size - offset)
		return NULL;
	return cache->hva + offset;
}

struct wanted {
	uintptr_t hva;
	gpmm_gpa_t gpa;
};

static int has_hva(void *arg, const struct gpmm_area *area)
{
	struct wanted *wanted = arg;
	uint64_t offset = wanted->hva - (uintptr_t)area->hva;

	if (!area->host || offset >= area->size)
		return 0;
	wanted->gpa = area->start + offset;
	return 1;
}

int gpmm_translate_hva(const struct gpmm_guest *guest, const void *hva,
		       gpmm_gpa_t *gpa)
{
	struct wanted wanted = { .hva = (uintptr_t)hva };

	if (!gpmm_set_for_each(guest->set, GPMM_RANGE_ALL, has_hva, &wanted))
		return -ENXIO;
	*gpa = wanted.gpa;
	return 0;
}

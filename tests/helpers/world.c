/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include "helpers/model.h"
#include "helpers/world.h"

void world_open(struct world *world)
{
	struct gpmm_set_options options = { .granule = 1 };

	mock_init(&world->mock);
	options.backend = &world->mock.be;
	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &world->set), 0);
}

void world_close(struct world *world)
{
	CU_ASSERT_EQUAL(gpmm_set_destroy(world->set), 0);
	CU_ASSERT(mock_all(&world->mock, 0, MOCK_SIZE, 0));
	CU_ASSERT_PTR_NULL(world->mock.complaint);
	mock_fini(&world->mock);
}

struct gpmm_area area_of(gpmm_gpa_t start, uint64_t size, uint32_t flags)
{
	return (struct gpmm_area){ .start = start, .size = size,
				   .flags = flags };
}

int put(struct gpmm_set *set, gpmm_gpa_t start, uint64_t size, uint32_t flags)
{
	struct gpmm_area area = area_of(start, size, flags);

	return gpmm_set_map(set, &area, 0);
}

int put_over(struct gpmm_set *set, gpmm_gpa_t start, uint64_t size,
	     uint32_t flags)
{
	struct gpmm_area area = area_of(start, size, flags);

	return gpmm_set_map(set, &area, GPMM_MAP_REPLACE);
}

bool found(struct gpmm_set *set, gpmm_gpa_t addr, gpmm_gpa_t start,
	   uint64_t size, uint32_t flags)
{
	struct gpmm_area area;

	return gpmm_set_find(set, addr, &area) && area.start == start &&
	       area.size == size && area.flags == flags;
}

static int collect(void *arg, const struct gpmm_area *area)
{
	struct snapshot *s = arg;

	s->area = realloc(s->area, (s->count + 1) * sizeof(*s->area));
	if (!s->area)
		abort();
	s->area[s->count++] = *area;
	return 0;
}

void snapshot_view(struct snapshot *snapshot, struct gpmm_view view)
{
	*snapshot = (struct snapshot){ 0 };
	gpmm_view_for_each(view, GPMM_RANGE_ALL, collect, snapshot);
}

void snapshot_take(struct snapshot *snapshot, const struct gpmm_set *set)
{
	*snapshot = (struct snapshot){ 0 };
	gpmm_set_for_each(set, GPMM_RANGE_ALL, collect, snapshot);
}

void snapshot_free(struct snapshot *snapshot)
{
	free(snapshot->area);
}

/* The areas' edges are where find is most likely to be wrong. */
static bool finds(const struct gpmm_set *set, const struct snapshot *s,
		  size_t i)
{
	const struct gpmm_area *area = &s->area[i];
	gpmm_gpa_t last = gpmm_area_last(area);
	bool next = i + 1 < s->count && s->area[i + 1].start == last + 1;
	struct gpmm_area first_found, last_found;

	return gpmm_set_find(set, area->start, &first_found) &&
	       gpmm_set_find(set, last, &last_found) &&
	       area_equal(&first_found, area) &&
	       area_equal(&last_found, area) &&
	       (last == UINT64_MAX || gpmm_set_find(set, last + 1, NULL) ==
					      next);
}

bool snapshot_holds(const struct snapshot *snapshot,
		    const struct gpmm_set *set)
{
	struct snapshot now;
	bool same;
	size_t i;

	snapshot_take(&now, set);
	same = now.count == snapshot->count &&
	       gpmm_set_len(set) == snapshot->count;
	for (i = 0; same && i < now.count; i++)
		same = area_equal(&now.area[i], &snapshot->area[i]) &&
		       finds(set, snapshot, i);
	snapshot_free(&now);
	return same;
}

bool holds(struct gpmm_set *set, const struct piece *pieces, size_t n)
{
	struct snapshot now;
	bool same;
	size_t i;

	snapshot_take(&now, set);
	same = now.count == n && gpmm_set_len(set) == n;
	for (i = 0; same && i < n; i++)
		same = now.area[i].start == pieces[i].start &&
		       now.area[i].size == pieces[i].size &&
		       now.area[i].flags == pieces[i].flags;
	snapshot_free(&now);
	return same;
}

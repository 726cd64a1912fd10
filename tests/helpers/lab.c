/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include "core/set.h"
#include "helpers/lab.h"
#include "host/host.h"

#define HOST_BASE	UINT64_C(0x100000000000)
#define HOST_SIZE	UINT64_C(0x100000)

/* -------------------------------------------------------- begin and end */

static struct gpmm_host *host_open(uint64_t n)
{
	struct gpmm_host_options options = {
		.kind = GPMM_HOST_USER,
		.size = HOST_SIZE,
		.user = (void *)(HOST_BASE + n * HOST_SIZE),
	};
	struct gpmm_host *host = NULL;

	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&options, &host), 0);
	return host;
}

void lab_open(struct lab *lab, gpmm_gpa_t base)
{
	struct gpmm_backend *two[2];
	int i;

	memset(lab, 0, sizeof(*lab));
	lab->base = base;
	for (i = 0; i < LAB_MOCKS; i++)
		mock_init_at(&lab->mock[i], base, 1, MOCK_SIZE,
			     i == LAB_TXN || i == LAB_FAN_TXN);
	two[0] = &lab->mock[LAB_FAN_PLAIN].be;
	two[1] = &lab->mock[LAB_FAN_TXN].be;
	CU_ASSERT_EQUAL_FATAL(gpmm_fanout_create(two, 2, &lab->fanout), 0);
	for (i = 0; i < LAB_HOSTS; i++)
		lab->host[i] = host_open(i);
}

void lab_close(struct lab *lab)
{
	int i;

	gpmm_fanout_destroy(lab->fanout);
	for (i = 0; i < LAB_MOCKS; i++)
		mock_fini(&lab->mock[i]);
	for (i = 0; i < LAB_HOSTS; i++)
		gpmm_host_put(lab->host[i]);
}

struct gpmm_area lab_area(const struct lab *lab, int which, uint64_t offset,
			  uint64_t size, uint32_t flags, int host)
{
	struct gpmm_area area = {
		.start = lab->base + offset,
		.size = size,
		.flags = flags,
		.backend = which == LAB_MOCKS ?
				   lab->fanout :
				   (struct gpmm_backend *)&lab->mock[which].be,
	};

	if (host >= 0) {
		area.host = lab->host[host];
		area.hva = (char *)gpmm_host_addr(area.host) + offset;
	}
	return area;
}

static int fill_more(struct lab *lab, struct gpmm_txn *txn, unsigned int more)
{
	struct gpmm_area area;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < more; i++) {
		area = lab_area(lab, LAB_PLAIN, 0xc000 + 4 * i, 2 + i % 2, 1,
				i % 3 ? -1 : 0);
		ret |= gpmm_txn_map(txn, &area, 0);
	}
	return ret;
}

static int fill_some(struct lab *lab, struct gpmm_txn *txn)
{
	const struct gpmm_area areas[] = {
		lab_area(lab, LAB_PLAIN, 0x1000, 0x1000, 1, 0),
		lab_area(lab, LAB_TXN, 0x2000, 0x1000, 1, 0),
		lab_area(lab, LAB_MOCKS, 0x3000, 0x1000, 3, 1),
		lab_area(lab, LAB_PLAIN, 0x4000, 0x1000, 3, -1),
		lab_area(lab, LAB_TXN, 0x6000, 0x1000, 2, 1),
		lab_area(lab, LAB_PLAIN, 0x7000, 0x1000, 1, 0),
		lab_area(lab, LAB_PLAIN, 0x9000, 0x1000, 1, 0),
		lab_area(lab, LAB_MOCKS, 0xa000, 0x800, 2, -1),
		lab_area(lab, LAB_TXN, 0xa800, 0x400, 2 | GPMM_NOMERGE, 1),
		lab_area(lab, LAB_TXN, 0xac00, 0x400, 2 | GPMM_NOMERGE, 1),
	};
	int ret = 0;
	size_t i;

	for (i = 0; i < sizeof(areas) / sizeof(areas[0]); i++)
		ret |= gpmm_txn_map(txn, &areas[i], 0);
	return ret;
}

void lab_fill(struct lab *lab, unsigned int more)
{
	struct gpmm_set_options options = { .granule = 1 };
	struct gpmm_txn *txn;

	options.backend = &lab->mock[LAB_PLAIN].be;
	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &lab->set), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(lab->set, &txn), 0);
	CU_ASSERT_EQUAL_FATAL(fill_some(lab, txn), 0);
	CU_ASSERT_EQUAL_FATAL(fill_more(lab, txn, more), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_txn_commit(txn), 0);
	CU_ASSERT_EQUAL(gpmm_set_split(lab->set, lab->base + 0x4800), 0);
	CU_ASSERT_EQUAL(gpmm_set_drain(lab->set), 0);
}

void lab_empty(struct lab *lab)
{
	int i;

	CU_ASSERT_EQUAL(gpmm__set_check(lab->set), 0);
	CU_ASSERT_EQUAL(gpmm_set_destroy(lab->set), 0);
	for (i = 0; i < LAB_MOCKS; i++) {
		const struct mock *mock = &lab->mock[i];

		CU_ASSERT(mock_all(mock, lab->base, MOCK_SIZE, 0));
		CU_ASSERT_FALSE(mock->in_txn);
		CU_ASSERT_EQUAL(mock->refused, 0);
		CU_ASSERT_PTR_NULL(mock->complaint);
	}
	for (i = 0; i < LAB_HOSTS; i++)
		CU_ASSERT_EQUAL(lab->host[i]->refs, 1);
}

/* ------------------------------------------------------------- remember */

void lab_remember(struct lab *lab)
{
	int i;

	snapshot_take(&lab->areas, lab->set);
	for (i = 0; i < LAB_MOCKS; i++) {
		lab->bytes[i] = malloc(MOCK_SIZE);
		if (!lab->bytes[i])
			abort();
		memcpy(lab->bytes[i], lab->mock[i].bytes, MOCK_SIZE);
	}
	for (i = 0; i < LAB_HOSTS; i++)
		lab->refs[i] = lab->host[i]->refs;
}

bool lab_areas_unchanged(const struct lab *lab)
{
	return snapshot_holds(&lab->areas, lab->set);
}

bool lab_tables_unchanged(const struct lab *lab)
{
	int i;

	for (i = 0; i < LAB_MOCKS; i++)
		if (memcmp(lab->bytes[i], lab->mock[i].bytes, MOCK_SIZE))
			return false;
	return true;
}

bool lab_unchanged(const struct lab *lab)
{
	int i;

	for (i = 0; i < LAB_HOSTS; i++)
		if (lab->refs[i] != lab->host[i]->refs)
			return false;
	for (i = 0; i < LAB_MOCKS; i++)
		if (lab->mock[i].in_txn || lab->mock[i].complaint)
			return false;
	return lab_areas_unchanged(lab) && lab_tables_unchanged(lab);
}

void lab_forget(struct lab *lab)
{
	int i;

	snapshot_free(&lab->areas);
	for (i = 0; i < LAB_MOCKS; i++)
		free(lab->bytes[i]);
}

/* -------------------------------------------------------------- changes */

static int map_alone(struct lab *lab)
{
	struct gpmm_area area = lab_area(lab, LAB_MOCKS, 0xb800, 0x400, 3, 1);

	return gpmm_set_map(lab->set, &area, 0);
}

static int map_between(struct lab *lab)
{
	struct gpmm_area area = lab_area(lab, LAB_PLAIN, 0x8000, 0x1000, 1, 0);

	return gpmm_set_map(lab->set, &area, 0);
}

/* A narrow tree becomes wide; a wide one grows. */
static int map_high(struct lab *lab)
{
	struct gpmm_area area = {
		.start = UINT64_C(1) << 60,
		.size = 0x1000,
		.flags = GPMM_MMIO,
		.backend = gpmm_backend_none(),
	};

	return gpmm_set_map(lab->set, &area, 0);
}

static int replace_many(struct lab *lab)
{
	struct gpmm_area area = lab_area(lab, LAB_MOCKS, 0x1800, 0x5000, 2, 0);

	return gpmm_set_map(lab->set, &area, GPMM_MAP_REPLACE);
}

static int replace_inside(struct lab *lab)
{
	struct gpmm_area area = lab_area(lab, LAB_TXN, 0x3400, 0x800, 1, 1);

	return gpmm_set_map(lab->set, &area, GPMM_MAP_REPLACE);
}

static int replace_by_the_same(struct lab *lab)
{
	struct gpmm_area area = lab_area(lab, LAB_PLAIN, 0x1400, 0x400, 1, 0);

	return gpmm_set_map(lab->set, &area, GPMM_MAP_REPLACE);
}

static int unmap_inside(struct lab *lab)
{
	return gpmm_set_unmap(lab->set, lab->base + 0x3400, 0x800);
}

static int unmap_many(struct lab *lab)
{
	return gpmm_set_unmap(lab->set, lab->base + 0x1800, 0x8c00);
}

static int unmap_all(struct lab *lab)
{
	return gpmm_set_unmap(lab->set, lab->base, MOCK_SIZE);
}

static bool flip(void *arg, const struct gpmm_area *area, uint32_t *flags)
{
	(void)arg;
	(void)area;
	*flags = *flags & 1 ? (*flags & ~3u) | 2 : (*flags & ~3u) | 1;
	return true;
}

static int protect_inside(struct lab *lab)
{
	return gpmm_set_protect(lab->set, lab->base + 0x3400, 0x800, flip,
				NULL);
}

static int protect_many(struct lab *lab)
{
	return gpmm_set_protect(lab->set, lab->base + 0x1800, 0x8c00, flip,
				NULL);
}

static int clear(struct lab *lab)
{
	return gpmm_set_clear(lab->set);
}

static int split(struct lab *lab)
{
	return gpmm_set_split(lab->set, lab->base + 0x3800);
}

static int shrink_left(struct lab *lab)
{
	return gpmm_set_shrink_left(lab->set, lab->base + 0x3000, 0x400);
}

static int shrink_right(struct lab *lab)
{
	return gpmm_set_shrink_right(lab->set, lab->base + 0x6000, 0x400);
}

static int merge(struct lab *lab)
{
	return gpmm_set_merge(lab->set, lab->base, MOCK_SIZE);
}

static int change_much(struct lab *lab, struct gpmm_txn *txn)
{
	struct gpmm_area over = lab_area(lab, LAB_MOCKS, 0x1800, 0x2000, 2, 0);
	struct gpmm_area new = lab_area(lab, LAB_TXN, 0x8000, 0x800, 3, 1);
	gpmm_gpa_t base = lab->base;
	int ret = gpmm_txn_map(txn, &over, GPMM_MAP_REPLACE);

	ret = ret ? ret : gpmm_txn_unmap(txn, base + 0x6400, 0x1000);
	ret = ret ? ret : gpmm_txn_map(txn, &new, 0);
	ret = ret ? ret : gpmm_txn_protect(txn, base + 0x4000, 0x5000, flip,
					   NULL);
	ret = ret ? ret : gpmm_txn_split(txn, base + 0x9800);
	ret = ret ? ret : gpmm_txn_shrink_left(txn, base + 0x9800, 0x400);
	ret = ret ? ret : gpmm_txn_shrink_right(txn, base + 0x9000, 0x400);
	return ret ? ret : gpmm_txn_merge(txn, base, MOCK_SIZE);
}

static int in_transaction(struct lab *lab,
			  int (*change)(struct lab *lab, struct gpmm_txn *txn))
{
	struct gpmm_txn *txn;
	int ret = gpmm_txn_begin(lab->set, &txn);

	if (ret)
		return ret;
	ret = change(lab, txn);
	if (!ret)
		return gpmm_txn_commit(txn);
	gpmm_txn_abort(txn);
	return ret;
}

static int transaction(struct lab *lab)
{
	return in_transaction(lab, change_much);
}

static int change_all(struct lab *lab, struct gpmm_txn *txn)
{
	struct gpmm_area new = lab_area(lab, LAB_TXN, 0x8000, 0x800, 3, 1);
	int ret = gpmm_txn_clear(txn);

	return ret ? ret : gpmm_txn_map(txn, &new, 0);
}

static int transaction_of_all(struct lab *lab)
{
	return in_transaction(lab, change_all);
}

/* Two areas go and come back, one of them as another. */
static int remap_two(struct lab *lab, struct gpmm_txn *txn)
{
	struct gpmm_area same = lab_area(lab, LAB_TXN, 0x6000, 0x1000, 2, 1);
	struct gpmm_area other = lab_area(lab, LAB_MOCKS, 0x9000, 0x1000, 2, 1);
	gpmm_gpa_t base = lab->base;
	int ret = gpmm_txn_unmap(txn, base + 0xa000, 0x800);

	ret = ret ? ret : gpmm_txn_unmap(txn, same.start, same.size);
	ret = ret ? ret : gpmm_txn_unmap(txn, other.start, other.size);
	ret = ret ? ret : gpmm_txn_unmap(txn, base + 0x2000, 0x1000);
	ret = ret ? ret : gpmm_txn_map(txn, &other, 0);
	ret = ret ? ret : gpmm_txn_map(txn, &same, 0);
	ret = ret ? ret : gpmm_txn_unmap(txn, same.start, same.size);
	return ret ? ret : gpmm_txn_map(txn, &same, GPMM_MAP_REPLACE);
}

static int transaction_of_remaps(struct lab *lab)
{
	return in_transaction(lab, remap_two);
}

const struct lab_change lab_changes[] = {
	{ "map alone", map_alone },
	{ "map between two that merge", map_between },
	{ "map high", map_high },
	{ "replace many", replace_many },
	{ "replace inside one", replace_inside },
	{ "replace by the same", replace_by_the_same },
	{ "unmap inside one", unmap_inside },
	{ "unmap many", unmap_many },
	{ "unmap all", unmap_all },
	{ "protect inside one", protect_inside },
	{ "protect many", protect_many },
	{ "clear", clear },
	{ "split", split },
	{ "shrink left", shrink_left },
	{ "shrink right", shrink_right },
	{ "merge", merge },
	{ "a transaction of each", transaction },
	{ "a transaction of clear and map", transaction_of_all },
	{ "a transaction of remaps", transaction_of_remaps },
	{ 0 },
};

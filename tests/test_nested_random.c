/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random changes in every format beside a flat array of pages, looked at by
 * walkers written from the manuals (nested_checker_*.c): each answer, no
 * faulty entry, and the largest leaves there could be.
 *
 * GPMM_SEED replays; GPMM_LONG=1 makes 1,000,000 changes a format.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers/kvm_suite.h"
#include "helpers/nested_arena.h"
#include "helpers/nested_checker.h"

/* The pages of the model: 3 GiB, beside a root entry's edge where it fits. */
#define PAGES		(3 * G1 / K4)
#define HPA_PAGES	(16 * G1 / K4)

enum state { HOLE, MAPPED, LAZY, FILLED };

struct page {
	uint32_t hpa;		/* page */
	uint16_t flags;
	uint8_t state;
	uint8_t dirty;		/* must be seen dirty */
};

static struct {
	const struct nested_name *name;
	checker_fn *checker;
	struct checked checked;
	struct nested_arena arena;
	struct gpmm_nested *t;
	struct gpmm_nested_root root;
	uint64_t base;		/* of the model's first page */
	struct page *pages;
	const uint32_t *flags;
	unsigned int flag_count;
	uint64_t random;
} m;

static uint64_t rnd(uint64_t below)
{
	m.random ^= m.random << 13;
	m.random ^= m.random >> 7;
	m.random ^= m.random << 17;
	return (m.random >> 11) % below;
}

static uint64_t seed(void)
{
	const char *text = getenv("GPMM_SEED");

	return text ? strtoull(text, NULL, 0) : 0x9e3779b97f4a7c15;
}

static const uint64_t *physical(void *arg, uint64_t pa)
{
	return nested_arena_va(arg, pa);
}

/* ------------------------------------------------------------- comparing --- */

#define FAIL(...) do {							\
	printf("%s: ", m.name->name);					\
	printf(__VA_ARGS__);						\
	printf("\n");							\
	CU_FAIL_FATAL("differs");					\
} while (0)

static bool has_access(const struct page *page)
{
	return page->flags & (GPMM_RWX | GPMM_USER_EXEC);
}

static unsigned int wanted_perm(const struct page *page)
{
	unsigned int perm = page->flags & (GPMM_RWX | GPMM_USER_EXEC);

	if (!m.checked.user_exec && (perm & GPMM_EXEC))
		perm |= GPMM_USER_EXEC;
	return perm;
}

static void compare_leaf(uint64_t gpa, const struct page *page,
			 const struct seen *seen)
{
	uint64_t hpa = seen->hpa + (gpa - seen->gpa);

	if (seen->perm != wanted_perm(page))
		FAIL("%#lx: permissions %x, not %x", gpa, seen->perm,
		     wanted_perm(page));
	if (seen->type != (page->flags & GPMM_MT_MASK) >> GPMM_MT_SHIFT)
		FAIL("%#lx: memory type %d", gpa, seen->type);
	if (hpa / K4 != page->hpa)
		FAIL("%#lx: leads to %#lx, not %#lx", gpa, hpa,
		     page->hpa * K4);
	/* Stage 2 remembers it elsewhere where writing is forbidden. */
	if (m.checked.ad && page->dirty && (seen->perm & SEEN_W) &&
	    !seen->dirty)
		FAIL("%#lx: lost its dirty bit", gpa);
}

static struct seen look(uint64_t at)
{
	uint64_t gpa = m.base + at * K4;
	const struct page *page = &m.pages[at];
	struct seen seen = m.checker(&m.checked, gpa);

	if (seen.kind == SEEN_FAULTY)
		FAIL("%#lx: a faulty entry", gpa);
	if (seen.kind == SEEN_LEAF) {
		if (page->state == HOLE || page->state == LAZY ||
		    !has_access(page))
			FAIL("%#lx: mapped", gpa);
		compare_leaf(gpa, page, &seen);
	} else if ((page->state == MAPPED || page->state == FILLED) &&
		   has_access(page)) {
		FAIL("%#lx: not mapped", gpa);
	}
	return seen;
}

/* Could the pages of the aligned @size around @at be one leaf? */
static bool is_uniform(uint64_t at, uint64_t size)
{
	uint64_t count = size / K4, gpa = (m.base + at * K4) & -size;
	const struct page *first;

	if (gpa < m.base || gpa + size > m.base + PAGES * K4)
		return false;
	first = &m.pages[(gpa - m.base) / K4];
	if (first->state != MAPPED || first->flags & GPMM_LOG_DIRTY ||
	    first->hpa % count)
		return false;
	for (uint64_t i = count; i-- > 1;)
		if (first[i].state != MAPPED || first[i].flags !=
		    first->flags || first[i].hpa != first->hpa + i)
			return false;
	return true;
}

static void compare_all(void)
{
	const char *why = "";

	for (uint64_t at = 0; at < PAGES;) {
		struct seen seen = look(at);
		uint64_t end = (seen.gpa + seen.size - m.base) / K4;

		if (seen.kind == SEEN_LEAF && seen.size < G1 &&
		    is_uniform(at, seen.size * 512))
			FAIL("%#lx: could be a larger leaf", seen.gpa);
		for (uint64_t i = at + 1; i < end && i < PAGES; i++)
			look(i);
		at = end;
	}
	if (gpmm_nested_validate(m.t, &why))
		FAIL("%s", why);
}

/* --------------------------------------------------------------- changes --- */

static uint64_t random_count(void)
{
	switch (rnd(64)) {
	case 0:
		return rnd(8) ? M2 / K4 * (1 + rnd(8)) : G1 / K4;
	case 1 ... 7:
		return M2 / K4;
	case 8 ... 20:
		return 1 + rnd(2 * M2 / K4);
	default:
		return 1 + rnd(8);
	}
}

/* Changes crowd at a few places, so that they meet. */
static void random_range(uint64_t *at, uint64_t *count)
{
	static const uint64_t places[] = {
		0, M2 / K4 * 511, M2 / K4 * 512, G1 / K4 * 2 - 4,
	};

	*count = random_count();
	*at = rnd(8) ? places[rnd(4)] + rnd(4 * M2 / K4) : rnd(PAGES);
	if (rnd(2) && *count >= M2 / K4)
		*at &= -(M2 / K4);
	if (*count == G1 / K4)
		*at &= -(G1 / K4);
	if (*at + *count > PAGES)
		*at = PAGES - *count;
}

static uint32_t random_flags(void)
{
	return m.flags[rnd(m.flag_count)];
}

static bool model_free(uint64_t at, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		if (m.pages[at + i].state != HOLE)
			return false;
	return true;
}

static void map_some(uint64_t at, uint64_t count)
{
	/* Mostly congruent, so that large leaves come about. */
	uint64_t hpa = rnd(8) ? at + G1 / K4 * rnd(8) : rnd(HPA_PAGES - PAGES);
	uint32_t flags = random_flags() | (rnd(8) ? 0 : GPMM_LAZY);
	int want = model_free(at, count) ? 0 : -EEXIST;
	int ret = gpmm_nested_map(m.t, m.base + at * K4, hpa * K4, count * K4,
				  flags);

	if (ret != want)
		FAIL("map %#lx: %d, not %d", m.base + at * K4, ret, want);
	for (uint64_t i = 0; i < count && !ret; i++)
		m.pages[at + i] = (struct page){
			.hpa = hpa + i,
			.flags = flags & ~GPMM_LAZY,
			.state = flags & GPMM_LAZY ? LAZY : MAPPED,
		};
}

static void unmap_some(uint64_t at, uint64_t count)
{
	if (gpmm_nested_unmap(m.t, m.base + at * K4, count * K4))
		FAIL("unmap");
	memset(&m.pages[at], 0, count * sizeof(*m.pages));
}

static void protect_some(uint64_t at, uint64_t count)
{
	uint32_t flags = rnd(8) ? random_flags() : 0;

	if (gpmm_nested_protect(m.t, m.base + at * K4, count * K4, flags))
		FAIL("protect");
	for (uint64_t i = 0; i < count; i++)
		if (m.pages[at + i].state != HOLE)
			m.pages[at + i].flags = flags;
}

static void fault_at(uint64_t at)
{
	struct page *page = &m.pages[at];
	uint64_t gpa = m.base + at * K4;
	uint32_t access = has_access(page) ? page->flags & 15 : GPMM_READ;
	int want = page->state == HOLE ? -ENOENT :
		   has_access(page) ? 0 : -EACCES;
	int ret;

	access &= -access;
	ret = gpmm_nested_handle_fault(m.t, gpa, access);
	if (ret != want)
		FAIL("fault at %#lx: %d, not %d", gpa, ret, want);
	if (ret || page->state != LAZY)
		return;
	page->state = FILLED;
	page->hpa = m.checker(&m.checked, gpa).hpa / K4;
	for (uint64_t i = 0; i < K4 / 8; i++)
		if (physical(&m.arena, page->hpa * K4)[i])
			FAIL("a lazy frame is not clear");
}

/* As the hardware would, through a leaf that may be written. */
static void write_at(uint64_t at)
{
	struct gpmm_nested_hit hit;
	uint64_t gpa = m.base + at * K4;

	if (!m.checked.ad || gpmm_nested_walk(m.t, gpa, GPMM_WRITE, &hit))
		return;
	if (m.pages[at].state == FILLED || m.pages[at].state == MAPPED) {
		uint64_t bit = m.name->format <= GPMM_NESTED_EPT5 ? 1 << 9 :
			       m.name->format <= GPMM_NESTED_NPT5 ? 1 << 6 :
			       1 << 7;
		uint64_t table = m.root.hpa, e;
		int low = 12 + 9 * (m.root.levels - 1);

		for (;; low -= 9) {
			uint64_t index = gpa >> low;
			uint64_t *slot;

			if (low != 12 + 9 * ((int)m.root.levels - 1))
				index &= 511;
			slot = (uint64_t *)nested_arena_va(&m.arena, table) +
			       index;
			e = *slot;
			if (low == 12 + 9 * ((int)hit.level - 1)) {
				*slot |= bit;
				break;
			}
			table = m.name->format >= GPMM_NESTED_SV39X4 ?
				(e >> 10 & 0xfffffffffff) << 12 :
				e & 0x000ffffffffff000;
		}
		m.pages[at].dirty = 1;
	}
}

/* What was written must be found; what is cleared is clean. */
static void harvest_some(uint64_t at, uint64_t count)
{
	static uint64_t bitmap[PAGES / 64 + 1];
	int64_t found;

	memset(bitmap, 0, (count / 64 + 1) * 8);
	found = gpmm_nested_harvest(m.t, m.base + at * K4, count * K4,
				    GPMM_NESTED_DIRTY | GPMM_NESTED_CLEAR,
				    bitmap);
	if (found < 0)
		FAIL("harvest: %ld", found);
	for (uint64_t i = 0; i < count; i++) {
		if (m.pages[at + i].dirty &&
		    !(bitmap[i / 64] >> (i % 64) & 1))
			FAIL("%#lx: dirty, and not found",
			     m.base + (at + i) * K4);
		m.pages[at + i].dirty = 0;
	}
}

/* Several as one, which crowd even more; what they did is looked at after. */
static void change_at_once(void)
{
	uint64_t ranges[6][2], n = 2 + rnd(5);

	if (gpmm_nested_begin(m.t))
		FAIL("begin");
	for (uint64_t i = 0; i < n; i++) {
		uint64_t at, count;

		if (i && rnd(2)) {
			at = ranges[i - 1][0];
			count = 1 + rnd(ranges[i - 1][1]);
		} else {
			random_range(&at, &count);
		}
		ranges[i][0] = at;
		ranges[i][1] = count;
		switch (rnd(4)) {
		case 0:
			protect_some(at, count);
			break;
		case 1:
			unmap_some(at, count);
			break;
		default:
			map_some(at, count);
		}
	}
	gpmm_nested_commit(m.t);
	for (uint64_t i = 0; i < n; i++) {
		look(ranges[i][0]);
		look(ranges[i][0] + ranges[i][1] - 1);
	}
}

static void change(void)
{
	uint64_t at, count;

	if (!rnd(8)) {
		change_at_once();
		return;
	}

	random_range(&at, &count);
	switch (rnd(16)) {
	case 0 ... 5:
		map_some(at, count);
		break;
	case 6 ... 9:
		unmap_some(at, count);
		break;
	case 10 ... 12:
		protect_some(at, count);
		break;
	case 13:
		fault_at(at);
		break;
	case 14:
		write_at(at);
		break;
	default:
		if (m.checked.ad)
			harvest_some(at, count);
	}
	look(at);
	look(at + count - 1);
	look(at ? at - 1 : 0);
	look(at + count < PAGES ? at + count : at);
	look(rnd(PAGES));
}

/* ----------------------------------------------------------------- rounds --- */

static const uint32_t ept_flags[] = {
	GPMM_RWX, GPMM_RWX, GPMM_RW, GPMM_READ, GPMM_EXEC,
	GPMM_READ | GPMM_EXEC, GPMM_RW | GPMM_MT_UC, GPMM_RW | GPMM_MT_WC,
	GPMM_RW | GPMM_MT_WT, GPMM_READ | GPMM_MT_WP, GPMM_RW | GPMM_LOG_DIRTY,
};
static const uint32_t npt_flags[] = {
	GPMM_RWX, GPMM_RWX, GPMM_RW, GPMM_READ, GPMM_READ | GPMM_EXEC,
	GPMM_RW | GPMM_MT_UC, GPMM_RW | GPMM_MT_WT, GPMM_RW | GPMM_LOG_DIRTY,
};
static const uint32_t stage2_flags[] = {
	GPMM_RWX, GPMM_RWX, GPMM_RW, GPMM_READ, GPMM_EXEC, GPMM_WRITE,
	GPMM_RW | GPMM_MT_UC, GPMM_RW | GPMM_MT_WC, GPMM_READ | GPMM_MT_WT,
	GPMM_RW | GPMM_LOG_DIRTY,
};
static const uint32_t gstage_flags[] = {
	GPMM_RWX, GPMM_RWX, GPMM_RW, GPMM_READ, GPMM_EXEC,
	GPMM_READ | GPMM_EXEC, GPMM_RW | GPMM_MT_UC, GPMM_RW | GPMM_MT_WC,
	GPMM_RW | GPMM_LOG_DIRTY,
};

#define FLAGS(list) (m.flags = list, \
		     m.flag_count = sizeof(list) / sizeof(*list))

static void pick(enum gpmm_nested_format format)
{
	switch (format) {
	case GPMM_NESTED_EPT4:
	case GPMM_NESTED_EPT5:
		m.checker = ept_checker;
		FLAGS(ept_flags);
		break;
	case GPMM_NESTED_NPT4:
	case GPMM_NESTED_NPT5:
		m.checker = npt_checker;
		FLAGS(npt_flags);
		break;
	case GPMM_NESTED_STAGE2:
		m.checker = stage2_checker;
		FLAGS(stage2_flags);
		break;
	case GPMM_NESTED_SV39X4:
	case GPMM_NESTED_SV48X4:
		m.checker = gstage_checker;
		FLAGS(gstage_flags);
	}
}

static void begin(const struct nested_name *name, unsigned int gpa_bits,
		  unsigned int how)
{
	struct gpmm_nested_options options;

	m.name = name;
	m.random = seed() + name->format + 1;
	pick(name->format);
	nested_arena_init(&m.arena, 16384);
	options = nested_arena_options(&m.arena, name->format, how);
	options.gpa_bits = gpa_bits;
	options.hpa_bits = 46;
	CU_ASSERT_EQUAL_FATAL(gpmm_nested_create(&options, &m.t), 0);
	gpmm_nested_get_root(m.t, &m.root);
	m.checked = (struct checked){
		.root = m.root.hpa,
		.levels = m.root.levels,
		.gpa_bits = m.root.gpa_bits,
		.phys_bits = 46,
		.user_exec = !!(how & GPMM_NESTED_USER_EXEC),
		.ad = !!(how & GPMM_NESTED_AD),
		.at = physical,
		.arg = &m.arena,
	};
	/* The upper half of the last entries; 1 GiB beside 512 GiB's edge. */
	m.base = 512 * G1 - G1;
	m.pages = calloc(PAGES, sizeof(*m.pages));
}

static void end(void)
{
	gpmm_nested_destroy(m.t);
	CU_ASSERT_EQUAL(m.arena.out, 0);
	nested_arena_fini(&m.arena);
	free(m.pages);
}

static void run(enum gpmm_nested_format format, unsigned int gpa_bits,
		unsigned int how)
{
	const bool all = getenv("GPMM_LONG") != NULL;
	const unsigned long changes = all ? 1000000 : 8000;

	begin(&nested_formats[format], gpa_bits, how);
	for (unsigned long i = 1; i <= changes; i++) {
		change();
		if (i % (all ? 20000 : 4000) == 0)
			compare_all();
	}
	end();
}

#define ROUND(name, format, gpa_bits, how)	\
static void name(void)				\
{						\
	run(format, gpa_bits, how);		\
}

ROUND(ept4, GPMM_NESTED_EPT4, 0, 0)
ROUND(ept4_with_ad_and_user_exec, GPMM_NESTED_EPT4, 0,
      GPMM_NESTED_AD | GPMM_NESTED_USER_EXEC)
ROUND(ept5_with_ad, GPMM_NESTED_EPT5, 0, GPMM_NESTED_AD)
ROUND(npt4, GPMM_NESTED_NPT4, 0, 0)
ROUND(npt5_with_ad, GPMM_NESTED_NPT5, 0, GPMM_NESTED_AD)
ROUND(stage2, GPMM_NESTED_STAGE2, 0, 0)
ROUND(stage2_concatenated_with_ad, GPMM_NESTED_STAGE2, 41, GPMM_NESTED_AD)
ROUND(stage2_with_user_exec, GPMM_NESTED_STAGE2, 42, GPMM_NESTED_USER_EXEC)
ROUND(sv39x4, GPMM_NESTED_SV39X4, 0, 0)
ROUND(sv48x4_with_ad, GPMM_NESTED_SV48X4, 0, GPMM_NESTED_AD)

SUITE("nested tables under random changes",
      TEST(ept4), TEST(ept4_with_ad_and_user_exec), TEST(ept5_with_ad),
      TEST(npt4), TEST(npt5_with_ad), TEST(stage2),
      TEST(stage2_concatenated_with_ad), TEST(stage2_with_user_exec),
      TEST(sv39x4), TEST(sv48x4_with_ad))

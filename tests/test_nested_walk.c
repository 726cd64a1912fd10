/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the walker says: addresses, how far they go on, and faults with what
 * the hardware would report, also of entries that the engine never writes.
 * The expected words are from the manuals' figures.
 */
#include <errno.h>
#include <string.h>

#include "helpers/kvm_suite.h"
#include "helpers/nested_arena.h"
#include "nested/table.h"

#define HPA	(16 * G1)
#define BIT(n)	(UINT64_C(1) << (n))

static struct nested_arena arena;
static struct gpmm_nested *t;

static void setup_bits(enum gpmm_nested_format format, unsigned int how,
		       unsigned int gpa_bits)
{
	struct gpmm_nested_options options;

	nested_arena_init(&arena, 1024);
	options = nested_arena_options(&arena, format, how);
	options.hpa_bits = 46;
	options.gpa_bits = gpa_bits;
	CU_ASSERT_EQUAL_FATAL(gpmm_nested_create(&options, &t), 0);
}

static void setup(enum gpmm_nested_format format, unsigned int how)
{
	setup_bits(format, how, 0);
}

static void teardown(void)
{
	gpmm_nested_destroy(t);
	CU_ASSERT_EQUAL(arena.out, 0);
	nested_arena_fini(&arena);
}

static void map(uint64_t gpa, uint64_t hpa, uint64_t size, uint32_t flags)
{
	CU_ASSERT_EQUAL_FATAL(gpmm_nested_map(t, gpa, hpa, size, flags), 0);
}

/* The place of an entry that occurs once. */
static uint64_t *slot_of(uint64_t entry)
{
	uint64_t *words = (uint64_t *)arena.memory;

	for (size_t i = 0; i < arena.frames * 512; i++)
		if (words[i] == entry)
			return &words[i];
	CU_FAIL_FATAL("no such entry");
	return NULL;
}

static uint64_t *leaf_slot(uint64_t gpa)
{
	struct gpmm_nested_hit hit;

	CU_ASSERT_EQUAL_FATAL(gpmm_nested_walk(t, gpa, 0, &hit), 0);
	return slot_of(hit.entry);
}

/* The root's first entry. */
static uint64_t *root_slot(void)
{
	struct gpmm_nested_root root;

	gpmm_nested_get_root(t, &root);
	return nested_arena_va(&arena, root.hpa);
}

static void expect(uint64_t gpa, uint32_t access, enum gpmm_nested_cause cause,
		   unsigned int level, uint32_t reason, uint64_t qualification)
{
	struct gpmm_nested_hit hit;

	CU_ASSERT_EQUAL(gpmm_nested_walk(t, gpa, access, &hit), -EFAULT);
	CU_ASSERT_EQUAL(hit.cause, cause);
	CU_ASSERT_EQUAL(hit.level, level);
	CU_ASSERT_EQUAL(hit.reason, reason);
	CU_ASSERT_EQUAL(hit.qualification, qualification);
}

static void ept_violations_have_their_qualification(void)
{
	setup(GPMM_NESTED_EPT4, GPMM_NESTED_USER_EXEC);
	map(0, HPA, K4, GPMM_READ);
	map(K4, HPA, K4, GPMM_RW);
	map(M2, HPA, M2, GPMM_EXEC);
	map(G1, HPA, G1, GPMM_RW | GPMM_USER_EXEC);
	expect(2 * K4, GPMM_READ, GPMM_NESTED_NOT_PRESENT, 1, 48, 0x1);
	expect(2 * M2, GPMM_WRITE, GPMM_NESTED_NOT_PRESENT, 2, 48, 0x2);
	expect(2 * G1, GPMM_EXEC, GPMM_NESTED_NOT_PRESENT, 3, 48, 0x4);
	expect(512 * G1, GPMM_READ, GPMM_NESTED_NOT_PRESENT, 4, 48, 0x1);
	expect(0, GPMM_WRITE, GPMM_NESTED_PERMISSION, 1, 48, 0x2 | 1 << 3);
	expect(K4, GPMM_EXEC, GPMM_NESTED_PERMISSION, 1, 48, 0x4 | 3 << 3);
	expect(M2, GPMM_READ, GPMM_NESTED_PERMISSION, 2, 48, 0x1 | 4 << 3);
	expect(G1, GPMM_EXEC, GPMM_NESTED_PERMISSION, 3, 48,
	       0x4 | 3 << 3 | 1 << 6);
	expect(M2, GPMM_USER_EXEC, GPMM_NESTED_PERMISSION, 2, 48,
	       0x4 | 4 << 3);
	expect(BIT(48), GPMM_READ, GPMM_NESTED_WIDTH, 4, 48, 0x1);
	teardown();
}

static void ept_misconfigurations_are_told_apart(void)
{
	uint64_t *slot, good;

	setup(GPMM_NESTED_EPT4, 0);
	map(M2, HPA, M2, GPMM_RW);
	slot = leaf_slot(M2);
	good = *slot;
	*slot = good & ~BIT(0);		/* writable, not readable */
	expect(M2, GPMM_WRITE, GPMM_NESTED_MISCONFIGURED, 2, 49, 0);
	*slot = (good & ~0x38) | 2 << 3;	/* memory type 2 */
	expect(M2, GPMM_READ, GPMM_NESTED_MISCONFIGURED, 2, 49, 0);
	*slot = good | BIT(46);		/* beyond the physical width */
	expect(M2, GPMM_READ, GPMM_NESTED_RESERVED, 2, 49, 0);
	*slot = good | BIT(12);		/* below a 2M address */
	expect(M2, GPMM_READ, GPMM_NESTED_RESERVED, 2, 49, 0);
	*slot = good | BIT(62) | BIT(11);	/* ignored */
	CU_ASSERT_EQUAL(leaf_slot(M2), slot);
	*slot = good;
	map(G1, HPA + G1, G1, GPMM_RW);
	slot = leaf_slot(G1);
	good = *slot;
	*slot = good | BIT(29);		/* below a 1G address */
	expect(G1, GPMM_READ, GPMM_NESTED_RESERVED, 3, 49, 0);
	*slot = good;
	slot = leaf_slot(M2);
	good = *root_slot();
	*root_slot() = good | BIT(3);
	expect(M2, GPMM_READ, GPMM_NESTED_RESERVED, 4, 49, 0);
	*root_slot() = good & ~BIT(0);	/* a table writable only */
	expect(M2, GPMM_WRITE, GPMM_NESTED_MISCONFIGURED, 4, 49, 0);
	*root_slot() = good & ~BIT(1);	/* no writes below */
	expect(M2, GPMM_WRITE, GPMM_NESTED_PERMISSION, 2, 48, 2 | 1 << 3);
	*slot ^= BIT(0) | BIT(2);	/* misconfigured for all that */
	expect(M2, GPMM_EXEC, GPMM_NESTED_MISCONFIGURED, 2, 49, 0);
	*slot ^= BIT(0) | BIT(2);
	*root_slot() = good;
	teardown();
}

static void npt_faults_have_their_error_code(void)
{
	const uint64_t final = BIT(32) | 4;
	uint64_t *slot, good;

	setup(GPMM_NESTED_NPT4, 0);
	map(0, HPA, K4, GPMM_READ);
	map(M2, HPA, M2, GPMM_RW);
	map(G1, HPA, G1, GPMM_READ | GPMM_EXEC);
	expect(K4, GPMM_READ, GPMM_NESTED_NOT_PRESENT, 1, 0x400, final);
	expect(2 * M2, GPMM_WRITE, GPMM_NESTED_NOT_PRESENT, 2, 0x400,
	       final | 2);
	expect(0, GPMM_WRITE, GPMM_NESTED_PERMISSION, 1, 0x400, final | 3);
	expect(M2, GPMM_EXEC, GPMM_NESTED_PERMISSION, 2, 0x400, final | 0x11);
	expect(G1, GPMM_WRITE, GPMM_NESTED_PERMISSION, 3, 0x400, final | 3);
	slot = leaf_slot(M2);
	good = *slot;
	*slot = good | BIT(13);
	expect(M2, GPMM_READ, GPMM_NESTED_RESERVED, 2, 0x400, final | 9);
	*slot = good | BIT(50);
	expect(M2, GPMM_READ, GPMM_NESTED_RESERVED, 2, 0x400, final | 9);
	*slot = good & ~BIT(2);		/* not for users */
	expect(M2, GPMM_READ, GPMM_NESTED_PERMISSION, 2, 0x400, final | 1);
	*slot = good;
	good = *root_slot();
	*root_slot() = good | BIT(63);	/* nothing below executes */
	expect(G1, GPMM_EXEC, GPMM_NESTED_PERMISSION, 3, 0x400, final | 0x11);
	*root_slot() = good | BIT(7);
	expect(G1, GPMM_READ, GPMM_NESTED_RESERVED, 4, 0x400, final | 9);
	*root_slot() = good;
	teardown();
}

static void stage2_faults_have_their_syndrome(void)
{
	const uint64_t data = UINT64_C(0x24) << 26 | BIT(25);
	const uint64_t fetch = UINT64_C(0x20) << 26 | BIT(25);
	uint64_t *slot, good;

	setup_bits(GPMM_NESTED_STAGE2, 0, 40);
	map(0, HPA, K4, GPMM_READ);
	map(M2, HPA, M2, GPMM_EXEC);
	map(G1, HPA, G1, GPMM_RW);
	/* Translation faults: 0b0001LL */
	expect(K4, GPMM_READ, GPMM_NESTED_NOT_PRESENT, 1, 0x24, data | 7);
	expect(2 * M2, GPMM_WRITE, GPMM_NESTED_NOT_PRESENT, 2, 0x24,
	       data | 6 | BIT(6));
	expect(2 * G1, GPMM_EXEC, GPMM_NESTED_NOT_PRESENT, 3, 0x20, fetch | 5);
	expect(BIT(40), GPMM_READ, GPMM_NESTED_WIDTH, 3, 0x24, data | 4);
	/* Permission faults: 0b0011LL */
	expect(0, GPMM_WRITE, GPMM_NESTED_PERMISSION, 1, 0x24,
	       data | 15 | BIT(6));
	expect(M2, GPMM_READ, GPMM_NESTED_PERMISSION, 2, 0x24, data | 14);
	expect(G1, GPMM_EXEC, GPMM_NESTED_PERMISSION, 3, 0x20, fetch | 13);
	/* Address size: 0b0000LL */
	slot = leaf_slot(M2);
	good = *slot;
	*slot = good | BIT(46);
	expect(M2, GPMM_EXEC, GPMM_NESTED_RESERVED, 2, 0x20, fetch | 2);
	*slot = good;
	/* Bit 1 clear at the last level is not valid. */
	slot = leaf_slot(0);
	good = *slot;
	*slot = good & ~BIT(1);
	expect(0, GPMM_READ, GPMM_NESTED_MISCONFIGURED, 1, 0x24, data | 7);
	*slot = good;
	teardown();
	/* There are no blocks at level 0: a translation fault there. */
	setup(GPMM_NESTED_STAGE2, 0);
	map(0, HPA, K4, GPMM_READ);
	*root_slot() ^= BIT(1);
	expect(0, GPMM_READ, GPMM_NESTED_RESERVED, 4, 0x24, data | 4);
	*root_slot() ^= BIT(1);
	teardown();
}

static void gstage_faults_have_their_cause(void)
{
	uint64_t *slot, good;

	setup(GPMM_NESTED_SV39X4, 0);
	map(0, HPA, K4, GPMM_READ);
	map(M2, HPA, M2, GPMM_RW);
	map(G1, HPA, G1, GPMM_EXEC);
	expect(K4 + 8, GPMM_READ, GPMM_NESTED_NOT_PRESENT, 1, 21,
	       (K4 + 8) >> 2);
	expect(2 * M2, GPMM_WRITE, GPMM_NESTED_NOT_PRESENT, 2, 23,
	       2 * M2 >> 2);
	expect(0, GPMM_WRITE, GPMM_NESTED_PERMISSION, 1, 23, 0);
	expect(M2, GPMM_EXEC, GPMM_NESTED_PERMISSION, 2, 20, M2 >> 2);
	expect(G1, GPMM_READ, GPMM_NESTED_PERMISSION, 3, 21, G1 >> 2);
	expect(BIT(41), GPMM_READ, GPMM_NESTED_WIDTH, 3, 21, BIT(39));
	slot = leaf_slot(M2);
	good = *slot;
	*slot = good & ~BIT(1);		/* writable, not readable */
	expect(M2, GPMM_WRITE, GPMM_NESTED_MISCONFIGURED, 2, 23, M2 >> 2);
	*slot = good & ~BIT(4);		/* not the user's */
	expect(M2, GPMM_READ, GPMM_NESTED_MISCONFIGURED, 2, 21, M2 >> 2);
	*slot = good | BIT(10);		/* a misaligned superpage */
	expect(M2, GPMM_READ, GPMM_NESTED_RESERVED, 2, 21, M2 >> 2);
	*slot = good | BIT(54);
	expect(M2, GPMM_READ, GPMM_NESTED_RESERVED, 2, 21, M2 >> 2);
	*slot = good | BIT(61) | BIT(62);	/* PBMT 3 */
	expect(M2, GPMM_READ, GPMM_NESTED_MISCONFIGURED, 2, 21, M2 >> 2);
	*slot = good;
	good = *root_slot();
	*root_slot() = good | BIT(6);	/* a pointer that is accessed */
	expect(M2, GPMM_READ, GPMM_NESTED_RESERVED, 3, 21, M2 >> 2);
	*root_slot() = good;
	teardown();
}

static void validate_finds_what_was_broken(void)
{
	static const uint64_t wrong[] = { BIT(0), BIT(12), BIT(47), BIT(50) };
	const char *why;
	uint64_t *slot;

	for (size_t i = 0; i < 7; i++) {
		setup(nested_formats[i].format, 0);
		map(G1, HPA, G1 + K4, GPMM_RW);
		CU_ASSERT_EQUAL(gpmm_nested_validate(t, &why), 0);
		slot = leaf_slot(G1);
		for (size_t j = 0; j < sizeof(wrong) / sizeof(*wrong); j++) {
			*slot ^= wrong[j];
			CU_ASSERT_EQUAL(gpmm_nested_validate(t, &why),
					-EUCLEAN);
			*slot ^= wrong[j];
		}
		slot = leaf_slot(2 * G1);
		*slot = 0;	/* leaves two empty tables */
		CU_ASSERT_EQUAL(gpmm_nested_validate(t, &why), -EUCLEAN);
		CU_ASSERT_EQUAL(strncmp(why, "A:", 2), 0);
		teardown();
	}
}

/* Nobody can wait for readers on whose way through the tables this is. */
static bool walking;

static void *va_of_walker(void *ctx, gpmm_hpa_t pa)
{
	if (walking)
		CU_ASSERT_EQUAL(gpmm_nested_drain(t), -EDEADLK);
	return nested_arena_va(ctx, pa);
}

static void a_walk_is_a_read_section(void)
{
	struct gpmm_nested_options options;
	struct gpmm_nested_hit hit;
	struct gpmm_nested_ops ops;

	nested_arena_init(&arena, 64);
	options = nested_arena_options(&arena, GPMM_NESTED_EPT4, 0);
	ops = *options.ops;
	ops.va = va_of_walker;
	options.ops = &ops;
	CU_ASSERT_EQUAL_FATAL(gpmm_nested_create(&options, &t), 0);
	map(0, HPA, K4, GPMM_READ);
	walking = true;
	CU_ASSERT_EQUAL(gpmm_nested_walk(t, 0, GPMM_READ, &hit), 0);
	*root_slot() ^= BIT(1);	/* not what the engine writes */
	CU_ASSERT_EQUAL(gpmm_nested_walk(t, 0, GPMM_READ, &hit), 0);
	*root_slot() ^= BIT(1);
	walking = false;
	CU_ASSERT_EQUAL(gpmm_nested_drain(t), 0);
	teardown();
}

static void flags_come_back_as_they_went_in(void)
{
	static const uint32_t flags[] = {
		GPMM_READ, GPMM_RW, GPMM_RW | GPMM_MT_UC,
		GPMM_RWX | GPMM_USER_EXEC,
	};
	struct gpmm_nested_hit hit;

	for (size_t i = 0; i < 7; i++) {
		setup(nested_formats[i].format, 0);
		for (size_t j = 0; j < 4; j++) {
			map(j * M2, HPA, M2, flags[j]);
			gpmm_nested_walk(t, j * M2, 0, &hit);
			CU_ASSERT_EQUAL(hit.flags, flags[j]);
			CU_ASSERT_EQUAL(hit.left, M2);
			CU_ASSERT_FALSE(hit.dirty);
		}
		teardown();
	}
}

/* ------------------------------------------------------ the quick ways --- */

/* What there is to say of an access, by the ways that are left to the walk. */
struct answer {
	int ret[2];
	gpmm_hpa_t hpa;
	struct gpmm_nested_hit hit;
};

static void ask(uint64_t gpa, uint32_t access, struct answer *answer)
{
	memset(answer, 0, sizeof(*answer));
	answer->ret[0] = gpmm_nested_walk(t, gpa, access, &answer->hit);
	answer->ret[1] = gpmm_nested_translate(t, gpa, access, 1, &answer->hpa,
					       NULL);
}

static void ways_agree(uint64_t gpa)
{
	struct usual_leaf usual[FORMAT_LEVELS + 1];
	struct answer quick, slow;
	bool plain = t->plain;

	/* Also what no leaf allows. */
	for (uint32_t access = 0; access < 32; access++) {
		ask(gpa, access, &quick);
		memcpy(usual, t->usual, sizeof(usual));
		for (size_t i = 0; i <= FORMAT_LEVELS; i++)
			t->usual[i] = (struct usual_leaf){ 0, 1 };
		t->plain = false;
		ask(gpa, access, &slow);
		t->plain = plain;
		memcpy(t->usual, usual, sizeof(usual));
		CU_ASSERT_EQUAL(memcmp(&quick, &slow, sizeof(quick)), 0);
	}
}

/* The entry of @level on the way to @gpa. */
static uint64_t *slot_at(uint64_t gpa, unsigned int level)
{
	uint64_t *table = t->root;

	for (unsigned int at = t->f.levels; at > level; at--)
		table = table_of(t, table[table_index(t, gpa, at)]);
	return &table[table_index(t, gpa, level)];
}

/* A pointer into the wild is not what this is about. */
static bool goes_astray(const uint64_t *slot, unsigned int bit, bool is_leaf,
			unsigned int level)
{
	if (!is_leaf)
		return t->f.addr_mask & BIT(bit);
	return level > 1 && entry_is_table(&t->f, *slot ^ BIT(bit), level);
}

/* With any bit of any entry on the way as it should not be. */
static void ways_agree_on_flips(uint64_t gpa, unsigned int leaf)
{
	ways_agree(gpa);
	for (unsigned int level = leaf; level <= t->f.levels; level++)
		for (unsigned int bit = 0; bit < 64; bit++) {
			uint64_t *slot = slot_at(gpa, level);

			if (goes_astray(slot, bit, level == leaf, level))
				continue;
			*slot ^= BIT(bit);
			ways_agree(gpa);
			*slot ^= BIT(bit);
		}
}

static void setup_plain(enum gpmm_nested_format format, unsigned int how)
{
	struct gpmm_nested_options options;
	struct gpmm_nested_ops ops;

	nested_arena_init(&arena, 1024);
	options = nested_arena_options(&arena, format, how);
	ops = *options.ops;
	ops.va = NULL;
	options.ops = &ops;
	options.hpa_bits = 46;
	options.va_offset = (uintptr_t)arena.memory - arena.base;
	CU_ASSERT_EQUAL_FATAL(gpmm_nested_create(&options, &t), 0);
	CU_ASSERT_EQUAL(t->plain, !t->f.addr_shift);
}

static void quick_ways_agree(enum gpmm_nested_format format, unsigned int how)
{
	static const uint32_t flags[] = {
		GPMM_RWX | GPMM_USER_EXEC, GPMM_RW, GPMM_RWX | GPMM_USER_EXEC |
		GPMM_MT_UC,
	};

	setup_plain(format, how);
	for (uint64_t j = 0; j < 3; j++) {
		map(3 * j * G1, HPA, K4, flags[j]);
		ways_agree_on_flips(3 * j * G1 + 8, 1);
		map(3 * j * G1 + G1, HPA, M2, flags[j]);
		ways_agree_on_flips(3 * j * G1 + G1 + K4, 2);
		map(3 * j * G1 + 2 * G1, HPA, G1, flags[j]);
		ways_agree_on_flips(3 * j * G1 + 2 * G1 + M2, 3);
	}
	ways_agree(K4);
	ways_agree(64 * G1);
	ways_agree(UINT64_MAX);
	teardown();
}

static void the_quick_ways_say_what_the_slow_ones_say(void)
{
	for (size_t i = 0; i < 7; i++) {
		quick_ways_agree(nested_formats[i].format, 0);
		quick_ways_agree(nested_formats[i].format, GPMM_NESTED_AD);
	}
	quick_ways_agree(GPMM_NESTED_EPT4, GPMM_NESTED_USER_EXEC);
	quick_ways_agree(GPMM_NESTED_EPT5, GPMM_NESTED_USER_EXEC);
	quick_ways_agree(GPMM_NESTED_STAGE2, GPMM_NESTED_USER_EXEC);
}

static void translate_says_how_far_it_goes_on(void)
{
	uint64_t hpa, left;

	for (size_t i = 0; i < 7; i++) {
		setup(nested_formats[i].format, 0);
		map(G1 - M2, HPA + G1 - M2, G1 + M2 + K4, GPMM_RW);
		map(2 * G1 + K4, HPA + 5 * G1, K4, GPMM_RW);
		CU_ASSERT_EQUAL(gpmm_nested_translate(t, G1 - M2 + 5, GPMM_READ,
						      UINT64_MAX, &hpa, &left),
				0);
		CU_ASSERT_EQUAL(hpa, HPA + G1 - M2 + 5);
		CU_ASSERT_EQUAL(left, G1 + M2 + K4 - 5);
		CU_ASSERT_EQUAL(gpmm_nested_translate(t, G1, GPMM_WRITE, 100,
						      &hpa, &left), 0);
		CU_ASSERT_EQUAL(left, 100);
		CU_ASSERT_EQUAL(gpmm_nested_protect(t, G1 + M2, K4, GPMM_READ),
				0);
		CU_ASSERT_EQUAL(gpmm_nested_translate(t, G1, GPMM_WRITE, G1,
						      &hpa, &left), 0);
		CU_ASSERT_EQUAL(left, M2);
		CU_ASSERT_EQUAL(gpmm_nested_translate(t, G1 + M2, GPMM_WRITE,
						      1, &hpa, NULL), -EFAULT);
		teardown();
	}
}

struct text {
	char text[4096];
	size_t length;
};

static void append(void *arg, const char *text)
{
	struct text *to = arg;
	size_t length = strlen(text);

	if (to->length + length < sizeof(to->text)) {
		memcpy(to->text + to->length, text, length + 1);
		to->length += length;
	}
}

static void the_dump_shows_runs_and_the_graph_tables(void)
{
	struct text out = { 0 };

	setup(GPMM_NESTED_EPT4, 0);
	map(0, HPA, 3 * K4, GPMM_RW);
	map(G1, HPA + G1, G1, GPMM_READ | GPMM_EXEC | GPMM_MT_UC);
	map(8 * G1, 0, G1, GPMM_RW | GPMM_LAZY);
	CU_ASSERT_EQUAL(gpmm_nested_dump(t, append, &out), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(out.text, "4 levels, 48 bits, 4 tables"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out.text,
		"\n0x000000000000-0x000000002fff -> 0x000400000000 4K rw-- "
		"WB\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out.text, "1G r-xu UC\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out.text, "lazy\n"));
	out.length = 0;
	CU_ASSERT_EQUAL(gpmm_nested_dump_dot(t, append, &out), 0);
	CU_ASSERT_EQUAL(strncmp(out.text, "digraph", 7), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(out.text, "3 leaves of 4K"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out.text, "1 leaves of 1G"));
	teardown();
}

SUITE("nested walks",
      TEST(ept_violations_have_their_qualification),
      TEST(ept_misconfigurations_are_told_apart),
      TEST(npt_faults_have_their_error_code),
      TEST(stage2_faults_have_their_syndrome),
      TEST(gstage_faults_have_their_cause),
      TEST(validate_finds_what_was_broken),
      TEST(a_walk_is_a_read_section),
      TEST(flags_come_back_as_they_went_in),
      TEST(the_quick_ways_say_what_the_slow_ones_say),
      TEST(translate_says_how_far_it_goes_on),
      TEST(the_dump_shows_runs_and_the_graph_tables))

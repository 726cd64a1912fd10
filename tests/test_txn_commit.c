/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Transactions: they see themselves, nobody else does until they commit, and
 * they are told to backends in order, whole or not at all.
 */
#include <errno.h>
#include <string.h>

#include "helpers/model.h"
#include "helpers/suite.h"
#include "helpers/world.h"

static struct gpmm_txn *begin(struct gpmm_set *set)
{
	struct gpmm_txn *txn = NULL;

	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(set, &txn), 0);
	return txn;
}

static int txn_put(struct gpmm_txn *txn, gpmm_gpa_t start, uint64_t size,
		   uint32_t flags)
{
	struct gpmm_area area = area_of(start, size, flags);

	return gpmm_txn_map(txn, &area, 0);
}

static bool sees(struct gpmm_txn *txn, gpmm_gpa_t addr, gpmm_gpa_t start,
		 uint64_t size, uint32_t flags)
{
	struct gpmm_area area;

	return gpmm_view_find(gpmm_txn_view(txn), addr, &area) &&
	       area.start == start && area.size == size &&
	       area.flags == flags;
}

static void test_sees_its_own_changes(void)
{
	uint32_t flags = 2;
	struct gpmm_txn *txn;
	struct world w;

	world_open(&w);
	CU_ASSERT_EQUAL(put(w.set, 0x1000, 0x1000, 1), 0);
	w.mock.acts = 0;
	txn = begin(w.set);
	CU_ASSERT(sees(txn, 0x1000, 0x1000, 0x1000, 1));
	CU_ASSERT_EQUAL(txn_put(txn, 0x1800, 0x1000, 1), -EEXIST);
	CU_ASSERT_EQUAL(txn_put(txn, 0x2000, 0x2000, 1), 0);
	CU_ASSERT(sees(txn, 0x3fff, 0x1000, 0x3000, 1));
	CU_ASSERT_EQUAL(gpmm_txn_protect(txn, 0x1800, 0x1000,
					 gpmm_protect_to, &flags), 0);
	CU_ASSERT(sees(txn, 0x2000, 0x1800, 0x1000, 2));
	CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, 0x2000, 0x1000), 0);
	CU_ASSERT(sees(txn, 0x1fff, 0x1800, 0x800, 2));
	CU_ASSERT_FALSE(gpmm_view_find(gpmm_txn_view(txn), 0x2000, NULL));
	CU_ASSERT(HOLDS(w.set, { 0x1000, 0x1000, 1 }));
	CU_ASSERT_EQUAL(w.mock.acts, 0);
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	CU_ASSERT(HOLDS(w.set, { 0x1000, 0x800, 1 }, { 0x1800, 0x800, 2 },
			{ 0x3000, 0x1000, 1 }));
	CU_ASSERT(mock_all(&w.mock, 0x1000, 0x800, 1));
	CU_ASSERT(mock_all(&w.mock, 0x1800, 0x800, 2));
	CU_ASSERT(mock_all(&w.mock, 0x2000, 0x1000, 0));
	CU_ASSERT(mock_all(&w.mock, 0x3000, 0x1000, 1));
	world_close(&w);
}

static void test_abort_forgets_everything(void)
{
	struct gpmm_txn *txn;
	struct world w;

	world_open(&w);
	CU_ASSERT_EQUAL(put(w.set, 0x1000, 0x1000, 1), 0);
	w.mock.acts = 0;
	txn = begin(w.set);
	CU_ASSERT_EQUAL(txn_put(txn, 0x2000, 0x1000, 1), 0);
	CU_ASSERT_EQUAL(gpmm_txn_clear(txn), 0);
	CU_ASSERT_EQUAL(txn_put(txn, 0x5000, 0x1000, 4), 0);
	gpmm_txn_abort(txn);
	CU_ASSERT_EQUAL(w.mock.acts, 0);
	CU_ASSERT(HOLDS(w.set, { 0x1000, 0x1000, 1 }));
	CU_ASSERT_EQUAL(put(w.set, 0x2000, 0x1000, 2), 0);
	world_close(&w);
}

static void test_nothing_is_nothing(void)
{
	struct gpmm_txn *txn;
	struct world w;

	world_open(&w);
	w.mock.ops.published = NULL;
	CU_ASSERT_EQUAL(gpmm_txn_commit(begin(w.set)), 0);
	txn = begin(w.set);
	CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, 0x1000, 0x1000), 0);
	CU_ASSERT_EQUAL(gpmm_txn_clear(txn), 0);
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	gpmm_txn_abort(begin(w.set));
	CU_ASSERT_EQUAL(w.mock.acts, 0);
	CU_ASSERT(gpmm_set_is_empty(w.set));
	world_close(&w);
}

static void test_failed_change_leaves_it_going(void)
{
	struct gpmm_area bad = area_of(0x3000, 0, 1);
	struct gpmm_txn *txn;
	struct world w;

	world_open(&w);
	txn = begin(w.set);
	CU_ASSERT_EQUAL(txn_put(txn, 0x1000, 0x1000, 1), 0);
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &bad, 0), -EINVAL);
	CU_ASSERT_EQUAL(txn_put(txn, 0x1fff, 1, 2), -EEXIST);
	CU_ASSERT_EQUAL(gpmm_txn_split(txn, 0x3000), -ENOENT);
	CU_ASSERT_EQUAL(gpmm_txn_shrink_left(txn, 0x1000, 0x1001), -EINVAL);
	CU_ASSERT_EQUAL(txn_put(txn, 0x2000, 0x1000, 2), 0);
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	CU_ASSERT(HOLDS(w.set, { 0x1000, 0x1000, 1 }, { 0x2000, 0x1000, 2 }));
	world_close(&w);
}

/* A hole found and filled, with nobody between. */
static void test_find_free_in_a_transaction(void)
{
	struct gpmm_hole hole = { .size = 0x1000, .align = 0x1000,
				  .limit = { 0, MOCK_SIZE } };
	struct gpmm_txn *txn;
	gpmm_gpa_t addr;
	struct world w;
	int i;

	world_open(&w);
	txn = begin(w.set);
	for (i = 0; i < 16; i++) {
		CU_ASSERT_EQUAL(gpmm_view_find_free(gpmm_txn_view(txn), &hole,
						    &addr), 0);
		CU_ASSERT_EQUAL(addr, i * 0x1000u);
		CU_ASSERT_EQUAL(txn_put(txn, addr, 0x1000,
					1 + (uint32_t)i % 2), 0);
	}
	CU_ASSERT_EQUAL(gpmm_view_find_free(gpmm_txn_view(txn), &hole, &addr),
			-ENOENT);
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(w.set), 16);
	world_close(&w);
}

static void test_a_thousand_changes_in_one(void)
{
	struct gpmm_txn *txn;
	struct world w;
	gpmm_gpa_t i;

	world_open(&w);
	txn = begin(w.set);
	for (i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(txn_put(txn, i * 32, 16, 1), 0);
	for (i = 0; i < 1000; i += 2)
		CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, i * 32, 16), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(w.set), 0);
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), 0);
	CU_ASSERT_EQUAL(gpmm_set_len(w.set), 500);
	for (i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(gpmm_set_find(w.set, i * 32 + 15, NULL),
				i % 2);
	world_close(&w);
}

/* -------------------------------------------------------- several backends */

/* What several mocks were told, in the order in which they were. */
struct story {
	char text[256];
	struct gpmm_set *set;
	size_t len_seen[256];	/* of the set, at each word */
	size_t words;
};

static void tell_story(struct mock *mock, enum mock_kind kind)
{
	static const char *const words[] = { "m", "u", "p", "(", ")", "!",
					     "*" };
	struct story *story = mock->peek_arg;
	char name[2] = { mock->ops.name[0], 0 };

	strcat(story->text, name);
	strcat(story->text, words[__builtin_ctz(kind)]);
	story->len_seen[story->words++] = gpmm_set_len(story->set);
}

struct stage {
	struct gpmm_set *set;
	struct mock a, b, c;	/* a and b have transactions */
	struct story story;
};

static void stage_mock(struct stage *s, struct mock *mock, const char *name,
		       bool transactional)
{
	mock_init_at(mock, 0, 1, MOCK_SIZE, transactional);
	mock->ops.name = name;
	mock->peek = tell_story;
	mock->peek_arg = &s->story;
}

static void stage_open(struct stage *s)
{
	memset(s, 0, sizeof(*s));
	stage_mock(s, &s->a, "a", true);
	stage_mock(s, &s->b, "b", true);
	stage_mock(s, &s->c, "c", false);
	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(
		&(struct gpmm_set_options){ .granule = 1 }, &s->set), 0);
	s->story.set = s->set;
}

static void stage_close(struct stage *s)
{
	CU_ASSERT_EQUAL(gpmm_set_destroy(s->set), 0);
	CU_ASSERT_PTR_NULL(s->a.complaint);
	CU_ASSERT_PTR_NULL(s->b.complaint);
	CU_ASSERT_PTR_NULL(s->c.complaint);
	mock_fini(&s->a);
	mock_fini(&s->b);
	mock_fini(&s->c);
}

/* Two areas of @mock's in one transaction. */
static int map_two(struct stage *s, struct mock *mock)
{
	struct gpmm_txn *txn = begin(s->set);
	struct gpmm_area area = area_of(0x1000, 0x100, 1);

	area.backend = &mock->be;
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &area, 0), 0);
	area.start = 0x2000;
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &area, 0), 0);
	s->story.text[0] = 0;
	s->story.words = 0;
	return gpmm_txn_commit(txn);
}

static void fail_two(struct stage *s, unsigned int kind, unsigned long skip,
		     const char *text)
{
	mock_fail(&s->a, kind, skip, 1, -EPERM);
	CU_ASSERT_EQUAL(map_two(s, &s->a), -EPERM);
	CU_ASSERT_STRING_EQUAL(s->story.text, text);
	CU_ASSERT(gpmm_set_is_empty(s->set));
	CU_ASSERT(mock_all(&s->a, 0, MOCK_SIZE, 0));
	CU_ASSERT_FALSE(s->a.in_txn);
}

static void test_one_backend_is_told_alone(void)
{
	struct stage s;

	stage_open(&s);
	fail_two(&s, MOCK_BEGIN, 0, "a(");
	fail_two(&s, MOCK_MAP, 0, "a(ama!");
	fail_two(&s, MOCK_MAP, 1, "a(amama!");
	fail_two(&s, MOCK_COMMIT, 0, "a(amama)");
	CU_ASSERT_EQUAL(map_two(&s, &s.a), 0);
	CU_ASSERT_STRING_EQUAL(s.story.text, "a(amama)a*");
	CU_ASSERT_EQUAL(s.story.len_seen[3], 0);
	CU_ASSERT_EQUAL(s.story.len_seen[4], 2);
	stage_close(&s);
}

/* One area of each, a to c, in one transaction. */
static int map_each(struct stage *s, gpmm_gpa_t start)
{
	struct gpmm_txn *txn = begin(s->set);
	struct gpmm_area area = area_of(start, 0x100, 1);
	struct mock *const mocks[] = { &s->a, &s->b, &s->c };
	int i;

	for (i = 0; i < 3; i++) {
		area.start = start + i * 0x100u;
		area.backend = &mocks[i]->be;
		CU_ASSERT_EQUAL(gpmm_txn_map(txn, &area, 0), 0);
	}
	s->story.text[0] = 0;
	s->story.words = 0;
	return gpmm_txn_commit(txn);
}

static void test_backends_are_told_in_order(void)
{
	struct stage s;
	size_t i;

	stage_open(&s);
	CU_ASSERT_EQUAL(map_each(&s, 0x1000), 0);
	CU_ASSERT_STRING_EQUAL(s.story.text, "a(b(ambmcma)b)a*b*");
	for (i = 0; i < s.story.words; i++)
		CU_ASSERT_EQUAL(s.story.len_seen[i], i < 7 ? 0 : 3);
	stage_close(&s);
}

/* None of the three has anything, whoever failed. */
static void check_none(struct stage *s)
{
	CU_ASSERT(gpmm_set_is_empty(s->set));
	CU_ASSERT(mock_all(&s->a, 0, MOCK_SIZE, 0));
	CU_ASSERT(mock_all(&s->b, 0, MOCK_SIZE, 0));
	CU_ASSERT(mock_all(&s->c, 0, MOCK_SIZE, 0));
	CU_ASSERT_FALSE(s->a.in_txn || s->b.in_txn);
	CU_ASSERT_FALSE(gpmm_set_is_poisoned(s->set, 0, MOCK_SIZE));
	CU_ASSERT_EQUAL(map_each(s, 0x1000), 0);
	CU_ASSERT_EQUAL(gpmm_set_clear(s->set), 0);
}

static void test_all_or_nothing(void)
{
	struct stage s;

	stage_open(&s);
	mock_fail(&s.b, MOCK_BEGIN, 0, 1, -EPERM);
	CU_ASSERT_EQUAL(map_each(&s, 0x1000), -EPERM);
	CU_ASSERT_STRING_EQUAL(s.story.text, "a(b(a!");
	check_none(&s);
	mock_fail(&s.b, MOCK_MAP, 0, 1, -EPERM);
	CU_ASSERT_EQUAL(map_each(&s, 0x1000), -EPERM);
	CU_ASSERT_STRING_EQUAL(s.story.text, "a(b(ambmb!a!");
	check_none(&s);
	mock_fail(&s.c, MOCK_MAP, 0, 1, -EPERM);
	CU_ASSERT_EQUAL(map_each(&s, 0x1000), -EPERM);
	CU_ASSERT_STRING_EQUAL(s.story.text, "a(b(ambmcmb!a!");
	check_none(&s);
	mock_fail(&s.a, MOCK_COMMIT, 0, 1, -EPERM);
	CU_ASSERT_EQUAL(map_each(&s, 0x1000), -EPERM);
	CU_ASSERT_STRING_EQUAL(s.story.text, "a(b(ambmcma)b!cu");
	check_none(&s);
	mock_fail(&s.b, MOCK_COMMIT, 0, 1, -EPERM);
	CU_ASSERT_EQUAL(map_each(&s, 0x1000), -EPERM);
	CU_ASSERT_STRING_EQUAL(s.story.text, "a(b(ambmcma)b)cua(aua)a*");
	check_none(&s);
	stage_close(&s);
}

/* A backend may want to know of publication without having transactions. */
static unsigned int heard;

static void hear(struct gpmm_backend *be)
{
	(void)be;
	heard++;
}

static void test_published_without_transactions(void)
{
	struct gpmm_area other = area_of(0x4000, 0x1000, 1);
	struct world w;

	world_open(&w);
	w.mock.ops.published = hear;
	heard = 0;
	CU_ASSERT_EQUAL(put(w.set, 0x1000, 0x1000, 1), 0);
	CU_ASSERT_EQUAL(heard, 1);
	CU_ASSERT_EQUAL(gpmm_set_unmap(w.set, 0x8000, 0x1000), 0);
	CU_ASSERT_EQUAL(heard, 1);
	/* Nor of a change that is not its own. */
	other.backend = gpmm_backend_none();
	CU_ASSERT_EQUAL(gpmm_set_map(w.set, &other, 0), 0);
	CU_ASSERT_EQUAL(gpmm_set_unmap(w.set, 0x4000, 0x1000), 0);
	CU_ASSERT_EQUAL(heard, 1);
	CU_ASSERT_EQUAL(gpmm_set_unmap(w.set, 0x1000, 0x1000), 0);
	CU_ASSERT_EQUAL(heard, 2);
	world_close(&w);
}

/* A word for failure that is not an errno is -EIO. */
static int fail_oddly(struct gpmm_backend *be, const struct gpmm_area *area)
{
	(void)be;
	(void)area;
	return 1;
}

static void test_failure_without_a_cause(void)
{
	struct world w;

	world_open(&w);
	w.mock.ops.map = fail_oddly;
	CU_ASSERT_EQUAL(put(w.set, 0x1000, 0x1000, 1), -EIO);
	CU_ASSERT(gpmm_set_is_empty(w.set));
	world_close(&w);
}

/* Sets flags, but says no; or says yes to what they are. */
static bool change_your_mind(void *arg, const struct gpmm_area *area,
			     uint32_t *flags)
{
	bool yes = *(bool *)arg;

	*flags = yes ? area->flags : area->flags + 1;
	return yes;
}

static void test_protect_that_changes_nothing_tells_nobody(void)
{
	struct world w;
	uint64_t generation;
	int yes;

	world_open(&w);
	CU_ASSERT_EQUAL(put(w.set, 0x1000, 0x1000, 1), 0);
	CU_ASSERT_EQUAL(put(w.set, 0x4000, 0x1000, 1), 0);
	w.mock.acts = 0;
	generation = gpmm_set_generation(w.set);
	for (yes = 0; yes < 2; yes++) {
		bool arg = yes;

		/* One area as a whole, a part of it, and several. */
		CU_ASSERT_EQUAL(gpmm_set_protect(w.set, 0x1000, 0x1000,
						 change_your_mind, &arg), 0);
		CU_ASSERT_EQUAL(gpmm_set_protect(w.set, 0x1800, 0x100,
						 change_your_mind, &arg), 0);
		CU_ASSERT_EQUAL(gpmm_set_protect(w.set, 0, 0x8000,
						 change_your_mind, &arg), 0);
	}
	CU_ASSERT_EQUAL(w.mock.acts, 0);
	CU_ASSERT_EQUAL(gpmm_set_generation(w.set), generation);
	CU_ASSERT(HOLDS(w.set, { 0x1000, 0x1000, 1 }, { 0x4000, 0x1000, 1 }));
	world_close(&w);
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "a transaction sees its own changes, nobody else does",
		  test_sees_its_own_changes },
		{ "abort forgets everything", test_abort_forgets_everything },
		{ "a transaction of nothing tells nobody",
		  test_nothing_is_nothing },
		{ "a failed change leaves the transaction going",
		  test_failed_change_leaves_it_going },
		{ "a hole can be found and filled",
		  test_find_free_in_a_transaction },
		{ "a thousand changes in one",
		  test_a_thousand_changes_in_one },
		{ "backends are told in order, readers see it between",
		  test_backends_are_told_in_order },
		{ "one backend is told alone",
		  test_one_backend_is_told_alone },
		{ "several backends have all of it or nothing",
		  test_all_or_nothing },
		{ "a backend without transactions hears of publication",
		  test_published_without_transactions },
		{ "a protect that changes nothing tells nobody",
		  test_protect_that_changes_nothing_tells_nobody },
		{ "a failure without a cause is -EIO",
		  test_failure_without_a_cause },
		{ 0 },
	};

	return suite_run("txn_commit", tests);
}

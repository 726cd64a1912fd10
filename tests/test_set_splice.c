/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One item more, less or another in a node: every number of them, every place,
 * each way that the processor has.
 */
#include <stdlib.h>

#include "core/find.h"
#include "helpers/suite.h"

#define ALIGNED	__attribute__((aligned(64)))

/* Item @id: no two have anything in common. */
static struct item item_of(unsigned int id)
{
	return (struct item){
		.first = 100 + id * 10, .last = 104 + id * 10,
		.link = id * UINT64_C(0x123456789), .flags = ~id,
		.host = (struct gpmm_host *)(uintptr_t)(id * 64 + 1),
		.backend = (struct gpmm_backend *)(uintptr_t)(id * 64 + 2),
	};
}

static bool is_item(enum node_class class, const void *node, unsigned int i,
		    unsigned int id)
{
	struct item want = item_of(id), is;

	gpmm__node_get(class, node, i, &is);
	return is.first == want.first && is.last == want.last &&
	       is.link == want.link && is.flags == want.flags &&
	       is.host == want.host && is.backend == want.backend;
}

/* What item @i is after the change: @other is what comes. */
static unsigned int id_after(enum splice_how how, unsigned int at,
			     unsigned int other, unsigned int i)
{
	if (how != SPLICE_REMOVE && i == at)
		return other;
	if (how == SPLICE_INSERT && i > at)
		return i - 1;
	return i + (how == SPLICE_REMOVE && i >= at);
}

static unsigned int len_after(enum splice_how how, unsigned int len)
{
	return len + (how == SPLICE_INSERT) - (how == SPLICE_REMOVE);
}

/* Is the node as it should be, up to the last lane? */
static bool is_changed(enum node_class class, const void *node,
		       enum splice_how how, unsigned int len, unsigned int at)
{
	const int32_t *key = node;

	len = len_after(how, len);
	for (unsigned int i = 0; i < len; i++)
		if (!is_item(class, node, i, id_after(how, at, 99, i)))
			return false;
	for (unsigned int i = len; i < node_cap(class); i++)
		if (key[i] != NARROW_FILLER)
			return false;
	return true;
}

/* @each: of a way of changing, a number of items and a place. */
static void for_all(unsigned int cap,
		    void (*each)(const struct splice_path *path,
				 enum splice_how how, unsigned int len,
				 unsigned int at))
{
	for (enum find_width width = 0; width <= gpmm__find_widest(); width++)
		for (enum splice_how how = 0; how < SPLICE_HOWS; how++)
			for (unsigned int len = how != SPLICE_INSERT;
			     len + (how == SPLICE_INSERT) <= cap; len++)
				for (unsigned int at = 0;
				     at < len + (how == SPLICE_INSERT); at++)
					each(gpmm__find_paths[width].splice,
					     how, len, at);
}

/* ------------------------------------------------------------------ leaves --- */

static void make_leaf(struct leaf_narrow *leaf, unsigned int len)
{
	memset(leaf, 0xee, sizeof(*leaf));
	for (unsigned int i = 0; i < LEAF_CAP; i++)
		leaf->key[i] = NARROW_FILLER;
	for (unsigned int i = 0; i < len; i++) {
		struct item item = item_of(i);

		gpmm__node_put(LEAF_NARROW, leaf, i, &item);
	}
}

static void change_leaf(const struct splice_path *path, enum splice_how how,
			unsigned int len, unsigned int at)
{
	struct leaf_narrow leaf ALIGNED, copy ALIGNED, was ALIGNED;
	struct item other = item_of(99);

	make_leaf(&leaf, len);
	make_leaf(&was, len);
	memset(&copy, 0x55, sizeof(copy));
	path->leaf[how](&copy, &leaf, at, &other, NULL);
	CU_ASSERT(is_changed(LEAF_NARROW, &copy, how, len, at));
	CU_ASSERT(!memcmp(&leaf, &was, sizeof(leaf)));
	path->leaf[how](&leaf, &leaf, at, &other, NULL);
	CU_ASSERT(is_changed(LEAF_NARROW, &leaf, how, len, at));
}

static void test_leaf(void)
{
	for_all(LEAF_CAP, change_leaf);
}

/* The bytes of a leaf that a copy needs hold all its items. */
static void test_leaf_bytes(void)
{
	struct leaf_narrow leaf ALIGNED, copy ALIGNED;

	for (unsigned int len = 0; len <= LEAF_CAP; len++) {
		make_leaf(&leaf, len);
		memset(&copy, 0x55, sizeof(copy));
		memcpy(&copy, &leaf, leaf_bytes(&leaf));
		CU_ASSERT(is_changed(LEAF_NARROW, &copy, SPLICE_REPLACE, len,
				     LEAF_CAP));
		CU_ASSERT_EQUAL(leaf_bytes(&leaf) % 64, 0);
		CU_ASSERT(leaf_bytes(&leaf) <= sizeof(leaf));
	}
}

/* ------------------------------------------------------------- flat leaves --- */

/* Records from the last place down, so that none is where its item is. */
static void make_flat(struct leaf_flat *leaf, struct record_block *block,
		      unsigned int len)
{
	memset(leaf, 0, sizeof(*leaf));
	memset(block, 0xee, sizeof(*block));
	leaf->block = block;
	leaf->len = len;
	leaf->used = len + 3;
	for (unsigned int i = 0; i < FLAT_CAP; i++)
		leaf->key[i] = NARROW_FILLER;
	for (unsigned int i = 0; i < len; i++) {
		struct item item = item_of(i);

		leaf->place[i] = (uint8_t)(len + 2 - i);
		gpmm__node_put(LEAF_FLAT, leaf, i, &item);
	}
}

static void change_flat(const struct splice_path *path, enum splice_how how,
			unsigned int len, unsigned int at)
{
	struct record_block block ALIGNED, was ALIGNED;
	struct leaf_flat leaf ALIGNED, fresh ALIGNED;
	unsigned int more = how != SPLICE_REMOVE;
	struct item other = item_of(99);
	size_t kept = (len + 3) * sizeof(*block.record);
	size_t rest = kept + more * sizeof(*block.record);

	make_flat(&leaf, &block, len);
	make_flat(&fresh, &was, len);
	path->flat[how](&leaf, at, &other);
	CU_ASSERT(is_changed(LEAF_FLAT, &leaf, how, len, at));
	CU_ASSERT_EQUAL(leaf.len, len_after(how, len));
	CU_ASSERT_EQUAL(leaf.used, len + 3 + more);
	CU_ASSERT_PTR_EQUAL(leaf.block, &block);
	for (unsigned int i = 0; i < FLAT_CAP; i++)
		CU_ASSERT(leaf.place[i] < leaf.used);
	/* What others may be looking at, and what is not theirs. */
	CU_ASSERT(!memcmp(&block, &was, kept));
	CU_ASSERT(!memcmp((char *)&block + rest, (char *)&was + rest,
			  sizeof(block) - rest));
}

static void test_flat(void)
{
	for_all(FLAT_CAP, change_flat);
}

/* ------------------------------------------------------------------ arrays --- */

/* Every number of lanes, and every place. */
static void lanes_each(const struct splice_path *path)
{
	for (unsigned int len = 0; len < FLAT_CAP; len++) {
		for (unsigned int at = 0; at <= len; at++) {
			ALIGNED struct {
				int32_t key[FLAT_CAP];
				uint8_t place[FLAT_CAP];
			} lanes;
			bool good = true;

			for (unsigned int i = 0; i < FLAT_CAP; i++) {
				lanes.key[i] = i < len ? 10 * (int)i + 10 :
							 NARROW_FILLER;
				lanes.place[i] = (uint8_t)(i + 100);
			}
			path->lanes(lanes.key, lanes.place, at,
				    10 * (int)at + 5, 7);
			for (unsigned int i = 0; i < FLAT_CAP; i++) {
				unsigned int old = i - (i > at);
				int32_t key = old < len ?
					10 * (int)old + 10 : NARROW_FILLER;

				good = good && (i == at ?
					lanes.key[i] == 10 * (int)at + 5 &&
					lanes.place[i] == 7 :
					lanes.key[i] == key &&
					lanes.place[i] == old + 100);
			}
			CU_ASSERT(good);
		}
	}
}

static void test_lanes(void)
{
	for (enum find_width width = 0; width <= gpmm__find_widest(); width++)
		lanes_each(gpmm__find_paths[width].splice);
}

/* Queries on either side of each key, and the extremes. */
static void count_each(const struct splice_path *path)
{
	for (unsigned int len = 0; len <= FLAT_CAP; len++) {
		ALIGNED int32_t key[FLAT_CAP];

		for (unsigned int i = 0; i < FLAT_CAP; i++)
			key[i] = i < len ? 10 * (int)i - 1 : NARROW_FILLER;
		for (unsigned int i = 0; i < len; i++) {
			CU_ASSERT_EQUAL(path->count(key, 10 * (int)i - 1), i);
			CU_ASSERT_EQUAL(path->count(key, 10 * (int)i), i + 1);
		}
		CU_ASSERT_EQUAL(path->count(key, INT32_MIN), 0);
		CU_ASSERT_EQUAL(path->count(key, NARROW_FILLER), len);
	}
}

static void test_count(void)
{
	for (enum find_width width = 0; width <= gpmm__find_widest(); width++)
		count_each(gpmm__find_paths[width].splice);
}

static void copy_each(const struct splice_path *path)
{
	struct inner_tall from ALIGNED, to ALIGNED, was ALIGNED;

	memset(&from, 0x11, sizeof(from));
	memset(&was, 0x22, sizeof(was));
	for (size_t size = 0; size <= sizeof(from); size += 64) {
		to = was;
		path->copy(&to, &from, size);
		CU_ASSERT(!memcmp(&to, &from, size));
		CU_ASSERT(!memcmp((char *)&to + size, (char *)&was + size,
				  sizeof(to) - size));
	}
}

static void test_copy(void)
{
	for (enum find_width width = 0; width <= gpmm__find_widest(); width++)
		copy_each(gpmm__find_paths[width].splice);
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "a leaf's items", test_leaf },
		{ "a leaf's bytes", test_leaf_bytes },
		{ "a flat leaf's items", test_flat },
		{ "a flat leaf's keys and places", test_lanes },
		{ "keys below a query", test_count },
		{ "lines", test_copy },
		{ 0 },
	};

	return suite_run("set_splice", tests);
}

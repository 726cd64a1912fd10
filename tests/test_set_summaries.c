/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a parent keeps of a node that changes, each way that the processor has,
 * against what node.c finds in the node when all is done.
 */
#include "core/find.h"
#include "helpers/rng.h"
#include "helpers/suite.h"

#define ALIGNED	__attribute__((aligned(64)))
#define ROUNDS	2000

/* None, as often as not, or up to 49. */
static uint32_t some(struct rng *rng)
{
	return (uint32_t)(rng_below(rng, 2) ? rng_below(rng, 50) : 0);
}

/* From the first granule on, or anywhere, or up to the last. */
static uint64_t some_start(struct rng *rng, uint64_t most)
{
	const uint64_t starts[] = { 0, some(rng), NARROW_LAST - most };

	return starts[rng_below(rng, 3)];
}

/* Before the last item it may be nearly all there is. */
static uint64_t some_hole(struct rng *rng, uint64_t at, unsigned int left)
{
	if (!left && at < 10000 && rng_below(rng, 2))
		return UINT64_C(0x7fff0000) - at;
	return some(rng);
}

/* @len items; the last may end where a narrow tree does. */
static void make_leaf(struct rng *rng, struct leaf_narrow *leaf,
		      unsigned int len)
{
	uint64_t at = some_start(rng, LEAF_CAP * 100);

	memset(leaf, 0xee, sizeof(*leaf));
	for (unsigned int i = 0; i < LEAF_CAP; i++)
		leaf->key[i] = NARROW_FILLER;
	for (unsigned int i = 0; i < len; i++) {
		unsigned int left = len - 1 - i;
		struct item item = { .first = at + some_hole(rng, at, left) };

		item.last = item.first + some(rng);
		if (!left && item.first > NARROW_LAST / 2)
			item.last = NARROW_LAST;
		at = item.last + 1;
		gpmm__node_put(LEAF_NARROW, leaf, i, &item);
	}
}

/* What a parent keeps of a node, by node.c. */
static struct summary keep(enum node_class class, void *node)
{
	struct item is;

	gpmm__node_summary(class, node, node_len(class, node), &is);
	return (struct summary){ node, (int32_t)is.first - 1, (int32_t)is.last,
				 (int32_t)is.gap };
}

static bool is_kept(enum node_class class, void *node,
		    const struct summary *kept)
{
	struct summary is = keep(class, node);

	return kept->key == is.key && kept->last == is.last &&
	       kept->gap == is.gap;
}

/* What may come between the item before @at and that at @behind. */
static struct item between(struct rng *rng, const struct leaf_narrow *leaf,
			   unsigned int at, unsigned int behind)
{
	uint64_t low = at ? leaf->record[at - 1].last + UINT64_C(1) : 0;
	uint64_t high = NARROW_LAST;
	struct item item = { 0 };

	if (behind < LEAF_CAP && leaf->key[behind] != NARROW_FILLER)
		high = (uint64_t)leaf->key[behind];
	item.first = low + rng_below(rng, (uint32_t)(high - low) + 1);
	item.last = item.first +
		    rng_below(rng, (uint32_t)(high - item.first) + 1);
	return item;
}

static bool has_room(const struct leaf_narrow *leaf, unsigned int at)
{
	uint64_t low = at ? leaf->record[at - 1].last + UINT64_C(1) : 0;

	return low <= NARROW_LAST &&
	       (at == LEAF_CAP || leaf->key[at] == NARROW_FILLER ||
		(int64_t)low <= leaf->key[at]);
}

static void change_leaf(struct rng *rng, const struct splice_path *path,
			enum splice_how how)
{
	unsigned int least = how == SPLICE_REMOVE ? 2 : 1;
	unsigned int most = LEAF_CAP - (how == SPLICE_INSERT);
	unsigned int len = least + (unsigned int)rng_below(rng, most - least + 1);
	unsigned int at = (unsigned int)rng_below(
		rng, len + (how == SPLICE_INSERT));
	struct leaf_narrow leaf ALIGNED, copy ALIGNED;
	struct summary kept, was;
	struct item item;

	make_leaf(rng, &leaf, len);
	if (how == SPLICE_INSERT && !has_room(&leaf, at))
		return;
	kept = was = keep(LEAF_NARROW, &leaf);
	item = between(rng, &leaf, at, at + (how != SPLICE_INSERT));
	path->leaf[how](&copy, &leaf, at, &item, &kept);
	CU_ASSERT(is_kept(LEAF_NARROW, &copy, &kept));
	kept = was;
	path->leaf[how](&leaf, &leaf, at, &item, &kept);
	CU_ASSERT(is_kept(LEAF_NARROW, &leaf, &kept));
}

static void test_leaf(void)
{
	struct rng rng = { 1 };

	for (enum find_width width = 0; width <= gpmm__find_widest(); width++)
		for (unsigned int i = 0; i < ROUNDS; i++)
			for (enum splice_how how = 0; how < SPLICE_HOWS; how++)
				change_leaf(&rng,
					    gpmm__find_paths[width].splice,
					    how);
}

/* ---------------------------------------------------------- inner nodes --- */

/* The child behind one that ends at @at. */
static struct summary some_child(struct rng *rng, int32_t at)
{
	uintptr_t child = (rng_below(rng, 1000) + UINT64_C(1)) * 64;
	int32_t key = at + (int32_t)some(rng);
	int32_t gap = (int32_t)some(rng);

	return (struct summary){ (void *)child, key, key + 2 * gap + 2, gap };
}

static void make_inner(struct rng *rng, enum node_class class, void *node,
		       unsigned int len)
{
	struct inner_arrays inner = narrow_arrays(class, node);
	int32_t at = (int32_t)some_start(rng, TALL_CAP * 200) - 1;

	memset(node, 0xee, node_size(class));
	for (unsigned int i = 0; i < node_cap(class); i++) {
		struct summary child = some_child(rng, at);

		inner.key[i] = NARROW_FILLER;
		if (i >= len)
			continue;
		inner.key[i] = child.key;
		inner.child[i] = child.child;
		inner.last[i] = (uint32_t)child.last;
		inner.gap[i] = (uint32_t)child.gap;
		at = child.last;
	}
}

/* What child @i, of @len, may become, or stay, between those beside it. */
static struct summary another(struct rng *rng, struct inner_arrays inner,
			      unsigned int i, unsigned int len)
{
	struct summary now = { inner.child[i], inner.key[i],
			       (int32_t)inner.last[i],
			       (int32_t)inner.gap[i] };
	int32_t low = i ? (int32_t)inner.last[i - 1] : -1;
	int32_t high = i + 1 < len ? inner.key[i + 1] : NARROW_FILLER;
	uint32_t size;

	if (rng_below(rng, 2))
		now.child = (char *)now.child + 64;
	if (rng_below(rng, 2))
		now.key = low + (int32_t)rng_below(
			rng, (uint32_t)now.last - (uint32_t)low);
	if (rng_below(rng, 2))
		now.last = now.key + 1 + (int32_t)rng_below(
			rng, (uint32_t)high - (uint32_t)now.key);
	size = (uint32_t)now.last - (uint32_t)now.key;
	if (rng_below(rng, 2) || (uint32_t)now.gap >= size)
		now.gap = (int32_t)rng_below(rng, size);
	return now;
}

/* Is @to as @from is, but for child @i? */
static bool is_put(enum node_class class, const void *node, const void *was,
		   unsigned int i, const struct summary *now)
{
	struct inner_arrays to = narrow_arrays(class, node);
	struct inner_arrays from = narrow_arrays(class, was);

	for (unsigned int j = 0; j < node_cap(class); j++) {
		bool same = to.key[j] == from.key[j] &&
			    to.child[j] == from.child[j] &&
			    to.last[j] == from.last[j] &&
			    to.gap[j] == from.gap[j];

		if (j == i)
			same = to.key[j] == now->key &&
			       to.child[j] == now->child &&
			       (int32_t)to.last[j] == now->last &&
			       (int32_t)to.gap[j] == now->gap;
		if (!same)
			return false;
	}
	return true;
}

static void change_inner(struct rng *rng, const struct splice_path *path)
{
	unsigned int len = 1 + (unsigned int)rng_below(rng, INNER_CAP);
	unsigned int i = (unsigned int)rng_below(rng, len);
	struct inner_narrow node ALIGNED, copy ALIGNED;
	struct summary now, kept, was;

	make_inner(rng, INNER_NARROW, &node, len);
	kept = was = keep(INNER_NARROW, &node);
	now = another(rng, narrow_arrays(INNER_NARROW, &node), i, len);
	path->inner(&copy, &node, i, &now, &kept);
	CU_ASSERT(is_put(INNER_NARROW, &copy, &node, i, &now));
	CU_ASSERT(is_kept(INNER_NARROW, &copy, &kept));
	kept = was;
	path->inner(&node, &node, i, &now, &kept);
	CU_ASSERT(!memcmp(&node, &copy, sizeof(node)));
	CU_ASSERT(is_kept(INNER_NARROW, &node, &kept));
}

static void test_inner(void)
{
	struct rng rng = { 2 };

	for (enum find_width width = 0; width <= gpmm__find_widest(); width++)
		for (unsigned int i = 0; i < ROUNDS; i++)
			change_inner(&rng, gpmm__find_paths[width].splice);
}

static void put_child(struct rng *rng, const struct splice_path *path,
		      enum node_class class)
{
	unsigned int len = 1 + (unsigned int)rng_below(rng, node_cap(class));
	unsigned int i = (unsigned int)rng_below(rng, len);
	struct inner_tall node ALIGNED, was ALIGNED;
	struct inner_arrays arrays = narrow_arrays(class, &node);
	struct summary now;

	memset(&node, 0x55, sizeof(node));
	make_inner(rng, class, &node, len);
	was = node;
	now = another(rng, arrays, i, len);
	path->put_child(&arrays, i, &now);
	CU_ASSERT(is_put(class, &node, &was, i, &now));
	CU_ASSERT(!memcmp((char *)&node + node_size(class),
			  (char *)&was + node_size(class),
			  sizeof(node) - node_size(class)));
}

static void test_put_child(void)
{
	struct rng rng = { 3 };

	for (enum find_width width = 0; width <= gpmm__find_widest(); width++)
		for (unsigned int i = 0; i < ROUNDS; i++) {
			put_child(&rng, gpmm__find_paths[width].splice,
				  INNER_NARROW);
			put_child(&rng, gpmm__find_paths[width].splice,
				  INNER_TALL);
		}
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "a leaf", test_leaf },
		{ "an inner node", test_inner },
		{ "a child put in place", test_put_child },
		{ 0 },
	};

	return suite_run("set_summaries", tests);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* A set's life; poison and figures. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <gpmm/host.h>

#include "core/btree_check.h"
#include "core/find.h"
#include "core/set.h"
#include "util/log.h"

/* ------------------------------------------------------------------ life --- */

static int take_options(struct gpmm_set *set,
			const struct gpmm_set_options *options)
{
	uint64_t granule = options->granule;

	if (!granule)
		granule = (uint64_t)sysconf(_SC_PAGESIZE);
	if (!is_power_of_two(granule))
		return -EINVAL;
	set->face.shift = (unsigned int)__builtin_ctzll(granule);
	set->face.find = gpmm__find_path->way(0);
	set->flavor = options->flavor;
	set->txn.was.flavor = set->flavor;
	set->txn.was.shift = set->face.shift;
	set->limbo_max = options->limbo_max;
	set->txn.plan.shift = set->face.shift;
	set->txn.plan.merge = !options->no_merge;
	set->txn.tree.pool = &set->pool;
	set->txn.set = set;
	set->backend = options->backend ? options->backend :
		gpmm_backend_none();
	return gpmm__backend_is_valid(set->backend) ? 0 : -EINVAL;
}

static int start(struct gpmm_set *set)
{
	int ret = lock_init(&set->lock);

	if (ret)
		return ret;
	ret = gpmm__limbo_init(&set->limbo);
	if (ret)
		goto fini_lock;
	ret = gpmm__worker_get();
	if (!ret)
		return 0;
	gpmm__limbo_fini(&set->limbo);
fini_lock:
	lock_fini(&set->lock);
	return ret;
}

int gpmm_set_create(const struct gpmm_set_options *options,
		    struct gpmm_set **set_out)
{
	static const struct gpmm_set_options defaults;
	struct gpmm_set *set = gpmm__alloc_aligned(LINE_PAIR, sizeof(*set));
	int ret;

	if (!set)
		return -ENOMEM;
	memset(set, 0, sizeof(*set));
	ret = take_options(set, options ? options : &defaults);
	if (!ret)
		ret = start(set);
	if (ret) {
		gpmm__free(set);
		return ret;
	}
	*set_out = set;
	return 0;
}

static int put_host(void *arg, const struct gpmm_area *area)
{
	(void)arg;
	gpmm_host_put(area->host);
	return 0;
}

/* What transactions keep for the next one. */
static void free_scratch(struct gpmm_txn *txn)
{
	gpmm__plan_fini(&txn->plan);
	vec_free(&txn->taken);
	vec_free(&txn->tree.out);
	vec_free(&txn->tell.tellers);
	vec_free(&txn->run.items);
	gpmm__free(txn->pending);
	txn->pending = NULL;
}

void gpmm_set_abandon(struct gpmm_set *set)
{
	if (!set)
		return;
	gpmm__worker_cancel(&set->limbo.work);
	gpmm__set_reclaim(set);
	gpmm__worker_put();
	if (set->areas)
		gpmm__rcu_wait(set->flavor);
	gpmm_view_for_each((struct gpmm_view){ set, set->face.root },
			   GPMM_RANGE_ALL, put_host, NULL);
	for (size_t i = 0; i < set->poisoned.len; i++)
		gpmm_host_put(set->poisoned.v[i].area.host);
	gpmm__limbo_fini(&set->limbo);
	free_scratch(&set->txn);
	vec_free(&set->poisoned);
	gpmm__pool_fini(&set->pool);
	lock_fini(&set->lock);
	gpmm__free(set);
}

int gpmm_set_destroy(struct gpmm_set *set)
{
	int ret = set ? gpmm_set_clear(set) : 0;

	if (!ret)
		gpmm_set_abandon(set);
	return ret;
}

/*
 * Give back what is free, and move what is scattered. Return: whether there
 * is more to give back a grace period later, perhaps of the worker's making.
 */
static bool settle(struct gpmm_set *set)
{
	bool more;

	lock_acquire(&set->lock);
	gpmm__pool_trim(&set->pool);
	more = gpmm__set_gather(set, true) || limbo_bytes(&set->limbo);
	free_scratch(&set->txn);
	lock_release(&set->lock);
	return more;
}

/* Writers who go on meanwhile always leave more: three times are enough. */
int gpmm_set_drain(struct gpmm_set *set)
{
	bool more = true;
	int ret = set_lock(set);

	if (ret)
		return ret;
	lock_release(&set->lock);
	for (int times = 3; !ret && more && times--;) {
		ret = gpmm__set_reclaim(set);
		if (!ret)
			more = settle(set);
	}
	if (!ret && more)
		gpmm__set_leave_to_worker(set);
	return ret;
}

/* ---------------------------------------------------------------- poison --- */

bool gpmm_set_is_poisoned(struct gpmm_set *set, gpmm_gpa_t start,
			  uint64_t size)
{
	/* Refused where a callback asks, who holds the lock already. */
	bool locked = !lock_acquire(&set->lock);
	bool poisoned = false;
	struct span span;

	for (size_t i = 0; i < set->poisoned.len; i++) {
		const struct gpmm_area *area = &set->poisoned.v[i].area;
		struct span poison = { area->start, gpmm_area_last(area) };

		if (range_to_span(start, size, &span) &&
		    span_overlaps(poison, span))
			poisoned = true;
	}
	if (locked)
		lock_release(&set->lock);
	return poisoned;
}

/* What is undone lets go of its memory like anything that is removed. */
static int repair_locked(struct gpmm_set *set)
{
	size_t n = set->poisoned.len, stuck;
	int ret = host_refs_reserve(&set->limbo.open.hosts, n);

	if (ret)
		return ret;
	ret = gpmm__tell_inverse(set->poisoned.v, n, &stuck);
	for (size_t i = stuck; i < n; i++) {
		struct gpmm_host *host = set->poisoned.v[i].area.host;

		if (host)
			host_refs_add(&set->limbo.open.hosts, host);
	}
	set->poisoned.len = stuck;
	return ret;
}

int gpmm_set_repair(struct gpmm_set *set)
{
	int ret = set_lock(set);

	if (ret)
		return ret;
	ret = repair_locked(set);
	lock_release(&set->lock);
	gpmm__set_leave_to_worker(set);
	return ret;
}

/* --------------------------------------------------------------- figures --- */

void gpmm_set_get_stats(struct gpmm_set *set, struct gpmm_set_stats *stats)
{
	size_t limbo, unused;

	*stats = (struct gpmm_set_stats){ 0 };
	if (lock_acquire(&set->lock))
		return;
	limbo = limbo_bytes(&set->limbo);
	unused = gpmm__pool_free_bytes(&set->pool);
	*stats = (struct gpmm_set_stats){
		.areas = set->areas,
		.height = root_node(set->face.root) ? root_height(set->face.root) + 1 : 0,
		.node_bytes = set->pool.node_bytes - limbo -
			      unused,
		.free_bytes = unused,
		.limbo_bytes = limbo,
		.total_bytes = set->pool.chunks.bytes,
		.commits = set->stamp - set->moves - set->unpublished,
		.stalls = set->stalls,
	};
	lock_release(&set->lock);
}

static bool same_item(enum node_class class, uintptr_t a, uintptr_t b,
		      unsigned int i)
{
	struct item of_a, of_b;

	memset(&of_a, 0, sizeof(of_a));
	memset(&of_b, 0, sizeof(of_b));
	gpmm__node_get(class, root_node(a), i, &of_a);
	gpmm__node_get(class, root_node(b), i, &of_b);
	return !memcmp(&of_a, &of_b, sizeof(of_a));
}

static bool same_block(const struct leaf_flat *a, const struct leaf_flat *b)
{
	return a->block == b->block && a->used == b->used;
}

/* Is the writers' top, where there is one, as the published one? */
static bool tops_agree(uintptr_t root, uintptr_t top)
{
	enum node_class class = root_class(root, root_height(root));
	unsigned int len;

	if (!top)
		return true;
	len = node_len(class, root_node(root));
	if ((root ^ top) & ROOT_BITS || node_len(class, root_node(top)) != len)
		return false;
	if (class == LEAF_FLAT && !same_block(root_node(root), root_node(top)))
		return false;
	while (len--)
		if (!same_item(class, root, top, len))
			return false;
	return true;
}

/* Bytes of the nodes that a root reaches. */
static size_t tree_bytes(uintptr_t root, const void *node, unsigned int height)
{
	enum node_class class = root_class(root, height);
	size_t bytes = node_size(class);

	if (class == LEAF_FLAT)
		bytes += node_size(RECORD_BLOCK);
	if (height)
		for (unsigned int i = node_len(class, node); i--;)
			bytes += tree_bytes(root, node_child(class, node, i),
					    height - 1);
	return bytes;
}

/* Is every node in the tree, the writers' top, free or in limbo? */
static bool none_lost(const struct gpmm_set *set)
{
	uintptr_t root = set->txn.was.root;
	size_t bytes = limbo_bytes(&set->limbo) +
		       gpmm__pool_free_bytes(&set->pool);

	if (root)
		bytes += tree_bytes(root, root_node(root), root_height(root));
	if (set->txn.was.top)
		bytes += node_size(root_class(root, root_height(root)));
	return bytes == set->pool.node_bytes;
}

int gpmm__set_check(struct gpmm_set *set)
{
	const char *wrong;
	size_t items;

	lock_acquire(&set->lock);
	wrong = gpmm__btree_check(set->face.root, &items);
	if (!wrong && items != set->areas)
		wrong = "a count of areas that is not the tree's";
	if (!wrong && set->face.find != gpmm__find_path->way(set->face.root))
		wrong = "the way of a tree of another form";
	if (!wrong && !tops_agree(set->txn.was.root, set->txn.was.top))
		wrong = "a top that is not the writers'";
	if (!wrong && !none_lost(set))
		wrong = "nodes that nothing reaches";
	if (wrong) {
		gpmm__log(GPMM_LOG_ERROR, "the tree has %s", wrong);
		gpmm__btree_dump(set->face.root);
	}
	lock_release(&set->lock);
	return wrong ? -EIO : 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <errno.h>

#include "core/pool.h"

#ifdef GPMM_DOUBLE
static void count_given(struct pool *pool, enum node_class class, size_t n)
{
	pool->reserved[class] += n;
}
#else
#define count_given(pool, class, n)	((void)0)
#endif

/* ----------------------------------------------------------------- bins --- */

static void link_to(struct pool *pool, struct slab *slab, unsigned int bin)
{
	struct slab **head = &pool->bin[slab->class][bin];

	slab->bin = (uint8_t)bin;
	slab->prev = NULL;
	slab->next = *head;
	if (slab->next)
		slab->next->prev = slab;
	*head = slab;
}

static void unlink_from(struct pool *pool, struct slab *slab)
{
	if (slab->prev)
		slab->prev->next = slab->next;
	else
		pool->bin[slab->class][slab->bin] = slab->next;
	if (slab->next)
		slab->next->prev = slab->prev;
}

static unsigned int slab_free_count(const struct slab *slab)
{
	return (unsigned int)__builtin_popcountll(slab->free);
}

static unsigned int bin_of(const struct slab *slab)
{
	unsigned int n = slab_free_count(slab);
	unsigned int bin = (n + 3) / 4;

	if (n == slab->nodes)
		return BIN_EMPTY;
	return bin < BIN_EMPTY ? bin : BIN_EMPTY - 1;
}

static void move_to(struct pool *pool, struct slab *slab, unsigned int bin)
{
	pool->empty += bin == BIN_EMPTY;
	pool->empty -= slab->bin == BIN_EMPTY;
	if (pool->empty < pool->empty_least)
		pool->empty_least = pool->empty;
	unlink_from(pool, slab);
	link_to(pool, slab, bin);
}

/* The slab's number of free nodes has changed. */
static inline void rebin(struct pool *pool, struct slab *slab)
{
	unsigned int bin = bin_of(slab);

	if (bin != slab->bin)
		move_to(pool, slab, bin);
}

/* ---------------------------------------------------------------- slabs --- */

static size_t slab_nodes(enum node_class class, size_t *first)
{
	size_t size = node_size(class);
	size_t n = (SLAB_BYTES - sizeof(struct slab)) /
		   (size + sizeof(uint64_t));

	do {
		*first = sizeof(struct slab) + n * sizeof(uint64_t);
		*first = (*first + 63) / 64 * 64;
	} while (*first + n * size > SLAB_BYTES && n--);
	return n;
}

static int grow(struct pool *pool, enum node_class class)
{
	struct chunk *chunk;
	struct slab *slab = gpmm__slab_alloc(&pool->chunks, &chunk);
	size_t size = node_size(class);
	size_t first, n;

	if (!slab)
		return -ENOMEM;
	n = slab_nodes(class, &first);
	*slab = (struct slab){
		.chunk = chunk,
		.first = (char *)slab + first,
		.free = (UINT64_C(1) << n) - 1,
		.reciprocal = (uint16_t)(65536 / (size / 64) + 1),
		.class = (uint8_t)class,
		.nodes = (uint8_t)n,
		.apart = (uint8_t)(4096 / size + 1),
	};
	slab->meta[slab->last] = 0;
	asan_poison(slab->first, n * size);
	link_to(pool, slab, BIN_EMPTY);
	pool->empty++;
	pool->slabs[class]++;
	pool->nodes[class] += n;
	pool->free[class] += n;
	pool->node_bytes += n * size;
	return 0;
}

static void slab_free(struct pool *pool, struct slab *slab)
{
	enum node_class class = slab->class;

	if (slab == pool->open[class])
		pool->open[class] = NULL;
	unlink_from(pool, slab);
	pool->empty -= slab->bin == BIN_EMPTY;
	pool->slabs[class]--;
	pool->nodes[class] -= slab->nodes;
	pool->free[class] -= slab_free_count(slab);
	pool->node_bytes -= slab->nodes * node_size(class);
	asan_unpoison(slab, SLAB_BYTES);
	gpmm__slab_free(&pool->chunks, slab->chunk, slab);
}

/* ---------------------------------------------------------------- nodes --- */

int gpmm__pool_grow(struct pool *pool, enum node_class class, size_t n)
{
	int ret = 0;

	while (!ret && pool->free[class] < n)
		ret = grow(pool, class);
	return ret;
}

/* About the fullest of those that have some free nodes. */
static void open_slab(struct pool *pool, enum node_class class)
{
	unsigned int bin = BIN_FULL + 1;
	struct slab *slab;

	while (!pool->bin[class][bin])
		bin++;
	assert(bin <= BIN_EMPTY);
	slab = pool->bin[class][bin];
	slab_look_ahead(slab, node_size(class), slab->last);
	pool->open[class] = slab;
}

void *gpmm__pool_open_take(struct pool *pool, enum node_class class,
			   uint64_t stamp)
{
	open_slab(pool, class);
	return gpmm__pool_take(pool, class, stamp);
}

void *gpmm__pool_taken(struct pool *pool, struct slab *slab, void *node)
{
	rebin(pool, slab);
	if (!slab->free)
		pool->open[slab->class] = NULL;
	return node;
}

void *gpmm__pool_take(struct pool *pool, enum node_class class, uint64_t stamp)
{
	/* Nearly every change takes one of these: with the size a constant. */
	if (class == INNER_TALL)
		return pool_take(pool, INNER_TALL, stamp);
	if (class == INNER_NARROW)
		return pool_take(pool, INNER_NARROW, stamp);
	return pool_take(pool, class, stamp);
}

static inline void poison(const struct slab *slab, uint64_t nodes)
{
#ifdef ASAN_ON
	const size_t size = node_size(slab->class);

	for (; nodes; nodes &= nodes - 1)
		asan_poison(slab->first + __builtin_ctzll(nodes) * size, size);
#else
	(void)slab;
	(void)nodes;
#endif
}

/* Let the nodes be taken again, one bit for each. */
static void put_back(struct pool *pool, struct slab *slab, uint64_t nodes)
{
	unsigned int n = (unsigned int)__builtin_popcountll(nodes);

	assert(!(slab->free & nodes));
	poison(slab, nodes);
	count_given(pool, slab->class, n);
	slab->free |= nodes;
	pool->free[slab->class] += n;
	rebin(pool, slab);
}

void gpmm__pool_give(struct pool *pool, void *node)
{
	struct slab *slab = slab_of(node);

	put_back(pool, slab, UINT64_C(1) << slab_index(slab, node));
}

void gpmm__pool_give_all(struct pool *pool, struct node_batch *batch)
{
	const unsigned int turn = batch->turn;
	struct slab *next;

	for (struct slab *slab = batch->slabs; slab; slab = next) {
		uint64_t nodes = slab->waiting[turn];

		next = slab->next_waiting[turn];
		slab->waiting[turn] = 0;
		put_back(pool, slab, nodes);
	}
	*batch = (struct node_batch){ .turn = turn };
}

size_t gpmm__pool_free_bytes(const struct pool *pool)
{
	size_t bytes = 0;

	for (unsigned int class = 0; class < NODE_CLASSES; class++)
		bytes += pool->free[class] * node_size(class);
	return bytes;
}

/* ------------------------------------------------------ giving memory back --- */

/* Free @n empty slabs, or as many as there are. */
static void free_empty(struct pool *pool, size_t n)
{
	for (unsigned int class = 0; class < NODE_CLASSES; class++) {
		struct slab **head = &pool->bin[class][BIN_EMPTY];

		for (; n && *head; n--)
			slab_free(pool, *head);
	}
}

void gpmm__pool_trim(struct pool *pool)
{
	free_empty(pool, pool->empty);
	pool->empty_least = pool->empty;
}

bool gpmm__pool_shed(struct pool *pool)
{
	free_empty(pool, (pool->empty_least + 1) / 2);
	pool->empty_least = pool->empty;
	return pool->empty;
}

static void mark(struct pool *pool, struct slab *slab)
{
	unlink_from(pool, slab);
	pool->free[slab->class] -= slab_free_count(slab);
	link_to(pool, slab, BIN_MARKED);
}

/*
 * All but the fullest slabs, as many as live nodes would fill; and all that
 * are cut from chunks, where those are to be left.
 */
static void mark_class(struct pool *pool, enum node_class class, size_t fill)
{
	for (unsigned int bin = BIN_FULL; bin < BIN_EMPTY; bin++) {
		struct slab *slab = pool->bin[class][bin], *next;

		for (; slab; slab = next) {
			next = slab->next;
			if (pool->chunks.leave && slab->chunk)
				mark(pool, slab);
			else if (fill)
				fill--;
			else
				mark(pool, slab);
		}
	}
	pool->open[class] = NULL;
}

static size_t live_bytes(const struct pool *pool)
{
	return pool->node_bytes - gpmm__pool_free_bytes(pool);
}

/* A few nodes can hold on to many chunks. */
static bool is_sparse(const struct pool *pool)
{
	return live_bytes(pool) < pool->chunks.bytes / 8;
}

/* Moving more would keep writers waiting for some milliseconds. */
#define MOVE_MOST	((size_t)8 << 20)

bool gpmm__pool_mark(struct pool *pool, bool thorough)
{
	bool any = false;

	if (!thorough && live_bytes(pool) > MOVE_MOST)
		return false;
	pool->chunks.leave = is_sparse(pool) &&
			     (thorough || pool->chunks.bytes >= CHUNK_BYTES);
	for (unsigned int class = 0; class < NODE_CLASSES; class++) {
		size_t slabs = pool->slabs[class];
		size_t live = pool->nodes[class] - pool->free[class];
		size_t nodes = slabs ? pool->nodes[class] / slabs : 1;
		size_t fill = (live + nodes - 1) / nodes;
		size_t more = thorough ? fill / 16 + 1 : fill / 4 + 8;

		if (!pool->chunks.leave && slabs <= fill + more)
			continue;
		mark_class(pool, class, fill);
		any = true;
	}
	return any;
}

bool gpmm__pool_is_marked(const void *node)
{
	return slab_of(node)->bin == BIN_MARKED;
}

void gpmm__pool_unmark(struct pool *pool)
{
	pool->chunks.leave = false;
	for (unsigned int class = 0; class < NODE_CLASSES; class++) {
		struct slab *slab;

		while ((slab = pool->bin[class][BIN_MARKED])) {
			unlink_from(pool, slab);
			pool->free[class] += slab_free_count(slab);
			link_to(pool, slab, bin_of(slab));
		}
	}
}

void gpmm__pool_fini(struct pool *pool)
{
	for (unsigned int class = 0; class < NODE_CLASSES; class++)
		for (unsigned int bin = 0; bin < BINS; bin++)
			while (pool->bin[class][bin])
				slab_free(pool, pool->bin[class][bin]);
	*pool = (struct pool){ 0 };
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Node memory of one set. Nodes are cut from slabs; what a node needs beside
 * its contents (the transaction that made it, a link, what waits with it)
 * stands apart, in the slab's head, because a retired node may not be written
 * while readers are in it, and because a full node has no room.
 *
 * Nodes are taken from the slab that has fewest free ones, so that live nodes
 * gather in few slabs and others become empty.
 *
 * LOCKING: the set's lock protects a pool and every list of its nodes.
 *
 * Invariant:
 *  A  an open slab has free nodes, @ahead among them: only to take a node makes
 *     any less free, and that looks ahead again, or closes the slab
 */
#ifndef GPMM_CORE_POOL_H
#define GPMM_CORE_POOL_H

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/chunk.h"
#include "core/node.h"
#include "util/alloc.h"
#include "util/asan.h"

/*
 * Slabs lie in bins by how many nodes are free: none, up to 4, 8, ..., more,
 * all.
 */
enum {
	BIN_FULL,
	BIN_EMPTY = 8,
	BIN_MARKED,
	BINS,
};

struct slab {
	struct slab *next;
	struct slab *prev;
	struct chunk *chunk;	/* that it is cut from; may be NULL */
	char *first;		/* node */
	uint64_t free;		/* one bit for each node */
	uint16_t reciprocal;	/* 2^16 / (node size / 64), rounded up */
	uint8_t class;
	uint8_t nodes;
	uint8_t bin;
	uint8_t apart;		/* nodes to one that is a page away */
	uint8_t last;		/* taken */
	uint8_t ahead;		/* to be taken next, see invariant A */
	/* Of each of two batches: the nodes in it, and the next slab. */
	uint64_t waiting[2];
	struct slab *next_waiting[2];
	/*
	 * For each node: of a live one the transaction's stamp, twice and 1
	 * more; of one in a list the next in that, which is even.
	 */
	uint64_t meta[];
};

/* Any nodes; last in, first out. */
struct node_list {
	void *head;
	size_t bytes;
};

/*
 * Nodes to be given back at once: by slabs, of which there are far fewer. A
 * pool has two at most, of different turns.
 */
struct node_batch {
	struct slab *slabs;
	size_t bytes;
	unsigned int turn;	/* 0 or 1 */
};

struct pool {
	/* Taken from; may be NULL. */
	struct slab *open[NODE_CLASSES];
	struct slab *bin[NODE_CLASSES][BINS];
	size_t free[NODE_CLASSES];	/* nodes that can be taken */
	size_t nodes[NODE_CLASSES];	/* all of them, and of what slabs */
	size_t slabs[NODE_CLASSES];
	size_t node_bytes;	/* of all nodes: live, free and in limbo */
	struct chunks chunks;
	size_t empty;		/* slabs all free */
	size_t empty_least;	/* since some were freed last */
#ifdef GPMM_DOUBLE
	/* What is left of a reservation: slabs hide one that is too small. */
	size_t reserved[NODE_CLASSES];
#endif
};

/* gcc asks for it only where told that the CPU can; others ignore it. */
static inline void prefetch_write(const void *line)
{
#ifdef __x86_64__
	__asm__ volatile("prefetchw %0" : : "m" (*(const char *)line));
#else
	__builtin_prefetch(line, 1);
#endif
}

static inline struct slab *slab_of(const void *node)
{
	return (struct slab *)((uintptr_t)node & ~(uintptr_t)(SLAB_ALIGN - 1));
}

/* The division by the node's size, as a multiplication: exact below 2^8. */
static inline unsigned int slab_index(const struct slab *slab,
				      const void *node)
{
	uint32_t lines = (uint32_t)((const char *)node - slab->first) / 64;

	return lines * slab->reciprocal >> 16;
}

static inline uint64_t *node_meta(const void *node)
{
	struct slab *slab = slab_of(node);

	return &slab->meta[slab_index(slab, node)];
}

/* Did transaction @stamp make the node? */
static inline bool node_is_of(const void *node, uint64_t stamp)
{
	return *node_meta(node) == stamp * 2 + 1;
}

/* From now on @stamp did. */
static inline void node_adopt(const void *node, uint64_t stamp)
{
	*node_meta(node) = stamp * 2 + 1;
}

static inline enum node_class node_class_of(const void *node)
{
	return slab_of(node)->class;
}

/* Put a live node on a list, where it may be read still. */
static inline void node_list_add(struct node_list *list, void *node)
{
	*node_meta(node) = (uintptr_t)list->head;
	list->head = node;
	list->bytes += node_size(node_class_of(node));
}

/* Put a node into a batch, where it may be read still. */
static inline void node_batch_add(struct node_batch *batch, const void *node)
{
	struct slab *slab = slab_of(node);
	uint64_t *waiting = &slab->waiting[batch->turn];

	if (!*waiting) {
		slab->next_waiting[batch->turn] = batch->slabs;
		batch->slabs = slab;
	}
	*waiting |= UINT64_C(1) << slab_index(slab, node);
	batch->bytes += node_size(slab->class);
}

/* The same with a list, which is empty afterwards. */
static inline void node_batch_join(struct node_batch *batch,
				   struct node_list *list)
{
	void *next;

	for (void *node = list->head; node; node = next) {
		next = (void *)(uintptr_t)*node_meta(node);
		node_batch_add(batch, node);
	}
	*list = (struct node_list){ 0 };
}

int gpmm__pool_grow(struct pool *pool, enum node_class class, size_t n);

/* Have at least @n free nodes of a class. Return: 0 or -ENOMEM. */
static inline int pool_reserve(struct pool *pool, enum node_class class,
			       size_t n)
{
#ifdef GPMM_DOUBLE
	/* Every reservation is a place that can fail. */
	if (n && gpmm__alloc_fails())
		return -ENOMEM;
	pool->reserved[class] = n;
#endif
	return pool->free[class] < n ? gpmm__pool_grow(pool, class, n) : 0;
}

/* Reserve @n nodes if that takes no more memory. Return: whether they are. */
static inline bool pool_spares(struct pool *pool, enum node_class class,
			       size_t n)
{
	if (pool->free[class] < n)
		return false;
#ifdef GPMM_DOUBLE
	pool->reserved[class] = n;
#endif
	return true;
}

/* Open a slab, of which there are some with free nodes, and take one there. */
void *gpmm__pool_open_take(struct pool *pool, enum node_class class,
			   uint64_t stamp);

/* Taking @node from the open slab has made it another bin's. Return: @node. */
void *gpmm__pool_taken(struct pool *pool, struct slab *slab, void *node);

/* The first free node from @at on, around. There are some. */
static inline unsigned int slab_free_from(const struct slab *slab,
					  unsigned int at)
{
	unsigned int turn = at % 64;
	uint64_t free = slab->free >> turn | slab->free << (-turn % 64);

	return (turn + (unsigned int)__builtin_ctzll(free)) % 64;
}

/*
 * What the next transaction is to take: a node a page away. For a reader's CPU
 * fetches ahead, within a page, what follows the node it reads, and a writer
 * who is about to fill that has to have it back. With this, and with LINE_PAIR,
 * a pair beside a reader takes 350 ns for 413 at 64 areas
 * (bench/bench_set_change --areas=64, medians of whole benches by turns).
 *
 * The next change will most likely take it. Readers may have looked at it in
 * its life before: have its lines back by then. With this and what
 * narrow_seek() asks for a pair beside a reader takes 501 ns for 853 at 64
 * areas, 969 for 1805 at 4096 (bench/bench_set_change --quick --only=gpmm,
 * least of three by turns).
 */
static ALWAYS_INLINE void slab_look_ahead(struct slab *slab, size_t size,
					  unsigned int last)
{
	const char *node;

	slab->ahead = (uint8_t)slab_free_from(slab, last + slab->apart);
	/* A block lasts for a hundred changes. */
	if (size == sizeof(struct record_block))
		return;
	node = slab->first + slab->ahead * size;
#pragma GCC unroll 10
	for (size_t at = 0; at < size; at += 64)
		prefetch_write(node + at);
}

/*
 * Take a reserved node; it belongs to transaction @stamp. Cannot fail. What one
 * transaction takes lies side by side, so that it is read in a row.
 * Inlined where the class is known. What is rare comes last, as tail calls, so
 * that no registers have to be kept over them.
 */
static ALWAYS_INLINE void *pool_take(struct pool *pool, enum node_class class,
				     uint64_t stamp)
{
	const size_t size = node_size(class);
	struct slab *slab = pool->open[class];
	unsigned int i;
	void *node;

	if (__builtin_expect(!slab, 0))
		return gpmm__pool_open_take(pool, class, stamp);
	i = slab->meta[slab->last] == stamp * 2 + 1 ?
		slab_free_from(slab, slab->last + 1) : slab->ahead;
#ifdef GPMM_DOUBLE
	assert(slab->free >> i & 1);
	assert(pool->reserved[class]);
	pool->reserved[class]--;
#endif
	slab->free &= ~(UINT64_C(1) << i);
	slab->meta[i] = stamp * 2 + 1;
	slab->last = (uint8_t)i;
	pool->free[class]--;
	node = slab->first + i * size;
	asan_unpoison(node, size);
	if (__builtin_expect(!slab->free, 0))
		return gpmm__pool_taken(pool, slab, node);
	slab_look_ahead(slab, size, i);
	/* In between nobody looks for it, and to move it is not cheap. */
	if (__builtin_expect(slab->bin == BIN_EMPTY, 0))
		return gpmm__pool_taken(pool, slab, node);
	return node;
}

/* The same, not inlined. */
void *gpmm__pool_take(struct pool *pool, enum node_class class, uint64_t stamp);

/* Give back a node that no reader can be in. */
void gpmm__pool_give(struct pool *pool, void *node);

/* Give back a batch of them, which is empty afterwards. */
void gpmm__pool_give_all(struct pool *pool, struct node_batch *batch);

/* Bytes of free nodes. */
size_t gpmm__pool_free_bytes(const struct pool *pool);

/* Free all empty slabs. */
void gpmm__pool_trim(struct pool *pool);

/*
 * Free half of the slabs that were empty ever since the last call, so that a
 * set that has calmed down gives back its memory by and by.
 * Return: whether there may be more.
 */
bool gpmm__pool_shed(struct pool *pool);

/*
 * Are live nodes scattered over more slabs than they would fill, @thorough: by
 * a sixteenth, otherwise: by a quarter and some? If so, the sparsest slabs are
 * marked for their live nodes to leave: there are enough free ones in others.
 * Until gpmm__pool_unmark() no node is taken from a marked slab.
 */
bool gpmm__pool_mark(struct pool *pool, bool thorough);
bool gpmm__pool_is_marked(const void *node);
void gpmm__pool_unmark(struct pool *pool);

/* Free everything, live nodes too. */
void gpmm__pool_fini(struct pool *pool);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Node memory of one set. Nodes are cut from slabs; what a node needs beside
 * its contents (the transaction that made it, a link) stands apart, in the
 * slab's head, because a retired node may not be written while readers are in
 * it, and because a full node has no room.
 *
 * LOCKING: the set's lock protects a pool and every list of its nodes.
 */
#ifndef GPMM_CORE_POOL_H
#define GPMM_CORE_POOL_H

#include <stddef.h>
#include <stdint.h>

#include "core/node.h"

struct node_list {
	void *head;
	void *tail;
	size_t count;
};

/* One list for each class. */
struct node_lists {
	struct node_list of[NODE_CLASSES];
};

struct slab;

struct pool {
	struct node_lists free;
	struct slab *slabs;
	size_t total_bytes;
#ifdef GPMM_DOUBLE
	/* What is left of a reservation: slabs hide one that is too small. */
	size_t reserved[NODE_CLASSES];
#endif
};

/* Have at least @n free nodes of a class. Return: 0 or -ENOMEM. */
int gpmm__pool_reserve(struct pool *pool, enum node_class class, size_t n);

/* Take a reserved node; it belongs to transaction @stamp. Cannot fail. */
void *gpmm__pool_take(struct pool *pool, enum node_class class, uint64_t stamp);

/* Give back a node that no reader can be in. */
void gpmm__pool_give(struct pool *pool, enum node_class class, void *node);

/* Give back lists of them, which are empty afterwards. O(1). */
void gpmm__pool_give_all(struct pool *pool, struct node_lists *lists);

enum node_class gpmm__pool_class(const void *node);

/* The transaction that made a node. */
uint64_t gpmm__pool_stamp(const void *node);

/* Put a node, live or not, at the end of a list. */
void gpmm__node_list_add(struct node_list *list, void *node);

/* Append lists to others; they are empty afterwards. O(1). */
void gpmm__node_lists_join(struct node_lists *to, struct node_lists *from);

/* Bytes of the nodes in lists. */
size_t gpmm__node_lists_bytes(const struct node_lists *lists);

/* Bytes of all the pool's nodes, live, free and in limbo. */
size_t gpmm__pool_node_bytes(const struct pool *pool);

/* Free the slabs that are wholly free. */
void gpmm__pool_trim(struct pool *pool);

/* Free everything, live nodes too. */
void gpmm__pool_fini(struct pool *pool);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#include <assert.h>
#include <errno.h>

#include "core/pool.h"
#include "util/alloc.h"

#if defined(__SANITIZE_ADDRESS__)
#define POOL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POOL_ASAN 1
#endif
#endif

#ifdef POOL_ASAN
#include <sanitizer/asan_interface.h>
#define poison(p, n)	ASAN_POISON_MEMORY_REGION(p, n)
#define unpoison(p, n)	ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define poison(p, n)	((void)0)
#define unpoison(p, n)	((void)0)
#endif

#define SLAB_ALIGN	16384
/*
 * glibc keeps 16 bytes before each allocation: with that much left over,
 * aligned slabs lie side by side and not every other slab's length apart.
 */
#define SLAB_BYTES	(SLAB_ALIGN - 16)

struct node_meta {
	void *next;
	uint64_t stamp;
};

struct slab {
	struct slab *next;
	struct slab *prev;
	enum node_class class;
	uint32_t nodes;
	uint32_t free;		/* counted by trim only */
	uint32_t reciprocal;	/* 2^16 / (node size / 64), rounded up */
	char *first;		/* node */
	struct node_meta meta[];
};

#ifdef GPMM_DOUBLE
static void count_reserved(struct pool *pool, enum node_class class, size_t n)
{
	pool->reserved[class] = n;
}

static void count_taken(struct pool *pool, enum node_class class)
{
	assert(pool->reserved[class]);
	pool->reserved[class]--;
}

static void count_given(struct pool *pool, enum node_class class)
{
	pool->reserved[class]++;
}
#else
#define count_reserved(pool, class, n)	((void)0)
#define count_taken(pool, class)	((void)0)
#define count_given(pool, class)	((void)0)
#endif

static struct slab *slab_of(const void *node)
{
	return (struct slab *)((uintptr_t)node & ~(uintptr_t)(SLAB_ALIGN - 1));
}

/* The division by the node's size, as a multiplication: exact below 2^8. */
static struct node_meta *meta_of(const void *node)
{
	struct slab *slab = slab_of(node);
	uint32_t lines = (uint32_t)((const char *)node - slab->first) / 64;

	return &slab->meta[lines * slab->reciprocal >> 16];
}

uint64_t gpmm__pool_stamp(const void *node)
{
	return meta_of(node)->stamp;
}

enum node_class gpmm__pool_class(const void *node)
{
	return slab_of(node)->class;
}

void gpmm__node_list_add(struct node_list *list, void *node)
{
	meta_of(node)->next = NULL;
	if (list->head)
		meta_of(list->tail)->next = node;
	else
		list->head = node;
	list->tail = node;
	list->count++;
}

static void list_join(struct node_list *to, struct node_list *from)
{
	if (!from->head)
		return;
	if (to->head)
		meta_of(to->tail)->next = from->head;
	else
		to->head = from->head;
	to->tail = from->tail;
	to->count += from->count;
	*from = (struct node_list){ 0 };
}

void gpmm__node_lists_join(struct node_lists *to, struct node_lists *from)
{
	for (unsigned int class = 0; class < NODE_CLASSES; class++)
		list_join(&to->of[class], &from->of[class]);
}

static size_t slab_nodes(enum node_class class, size_t *first)
{
	size_t size = node_size(class);
	size_t n = (SLAB_BYTES - sizeof(struct slab)) /
		   (size + sizeof(struct node_meta));

	do {
		*first = sizeof(struct slab) + n * sizeof(struct node_meta);
		*first = (*first + 63) / 64 * 64;
	} while (*first + n * size > SLAB_BYTES && n--);
	return n;
}

static int grow(struct pool *pool, enum node_class class)
{
	struct slab *slab = gpmm__alloc_aligned(SLAB_ALIGN, SLAB_BYTES);
	size_t size = node_size(class);
	size_t first;

	if (!slab)
		return -ENOMEM;
	slab->class = class;
	slab->nodes = (uint32_t)slab_nodes(class, &first);
	slab->first = (char *)slab + first;
	slab->reciprocal = (uint32_t)(65536 / (size / 64) + 1);
	slab->prev = NULL;
	slab->next = pool->slabs;
	if (slab->next)
		slab->next->prev = slab;
	pool->slabs = slab;
	pool->total_bytes += SLAB_ALIGN;
	for (uint32_t i = 0; i < slab->nodes; i++)
		gpmm__pool_give(pool, class, slab->first + i * size);
	return 0;
}

int gpmm__pool_reserve(struct pool *pool, enum node_class class, size_t n)
{
	/* In the double every reservation is a place that can fail. */
	if (n && gpmm__alloc_fails())
		return -ENOMEM;
	while (pool->free.of[class].count < n) {
		int ret = grow(pool, class);

		if (ret)
			return ret;
	}
	count_reserved(pool, class, n);
	return 0;
}

void *gpmm__pool_take(struct pool *pool, enum node_class class, uint64_t stamp)
{
	struct node_list *list = &pool->free.of[class];
	void *node = list->head;
	struct node_meta *meta;

	assert(node);
	count_taken(pool, class);
	meta = meta_of(node);
	list->head = meta->next;
	list->count--;
	meta->stamp = stamp;
	unpoison(node, node_size(class));
	return node;
}

void gpmm__pool_give(struct pool *pool, enum node_class class, void *node)
{
	struct node_list *list = &pool->free.of[class];
	struct node_meta *meta = meta_of(node);

	poison(node, node_size(class));
	count_given(pool, class);
	meta->stamp = 0;
	meta->next = list->head;
	if (!list->head)
		list->tail = node;
	list->head = node;
	list->count++;
}

static void poison_list(const struct node_list *list, enum node_class class)
{
#ifdef POOL_ASAN
	for (void *node = list->head; node; node = meta_of(node)->next)
		poison(node, node_size(class));
#else
	(void)list;
	(void)class;
#endif
}

void gpmm__pool_give_all(struct pool *pool, struct node_lists *lists)
{
	for (unsigned int class = 0; class < NODE_CLASSES; class++)
		poison_list(&lists->of[class], class);
	gpmm__node_lists_join(&pool->free, lists);
}

size_t gpmm__node_lists_bytes(const struct node_lists *lists)
{
	size_t bytes = 0;

	for (unsigned int class = 0; class < NODE_CLASSES; class++)
		bytes += lists->of[class].count * node_size(class);
	return bytes;
}

size_t gpmm__pool_node_bytes(const struct pool *pool)
{
	size_t bytes = 0;

	for (struct slab *slab = pool->slabs; slab; slab = slab->next)
		bytes += slab->nodes * node_size(slab->class);
	return bytes;
}

static void slab_free(struct pool *pool, struct slab *slab)
{
	if (slab->prev)
		slab->prev->next = slab->next;
	else
		pool->slabs = slab->next;
	if (slab->next)
		slab->next->prev = slab->prev;
	pool->total_bytes -= SLAB_ALIGN;
	unpoison(slab, SLAB_BYTES);
	gpmm__free(slab);
}

/* Keep on the free list only nodes whose slab has live ones. */
static void drop_free_nodes(struct node_list *list)
{
	struct node_list kept = { 0 };
	void *next;

	for (void *node = list->head; node; node = next) {
		next = meta_of(node)->next;
		if (slab_of(node)->free < slab_of(node)->nodes)
			gpmm__node_list_add(&kept, node);
	}
	*list = kept;
}

void gpmm__pool_trim(struct pool *pool)
{
	struct slab *next;

	for (struct slab *slab = pool->slabs; slab; slab = slab->next)
		slab->free = 0;
	for (unsigned int class = 0; class < NODE_CLASSES; class++)
		for (void *node = pool->free.of[class].head; node;
		     node = meta_of(node)->next)
			slab_of(node)->free++;
	for (unsigned int class = 0; class < NODE_CLASSES; class++)
		drop_free_nodes(&pool->free.of[class]);
	for (struct slab *slab = pool->slabs; slab; slab = next) {
		next = slab->next;
		if (slab->free == slab->nodes)
			slab_free(pool, slab);
	}
}

void gpmm__pool_fini(struct pool *pool)
{
	while (pool->slabs)
		slab_free(pool, pool->slabs);
	*pool = (struct pool){ 0 };
}

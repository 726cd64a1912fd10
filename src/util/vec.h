/* SPDX-License-Identifier: BSD-3-Clause */
/* Growing arrays whose room is made before it is needed. */
#ifndef GPMM_UTIL_VEC_H
#define GPMM_UTIL_VEC_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#include "util/alloc.h"

/* struct { type *v; size_t len, cap; } */
#define VEC(type)							\
	struct {							\
		type *v;						\
		size_t len;						\
		size_t cap;						\
	}

/* Make room for @more items beyond len. Return: 0 or -ENOMEM. */
#define vec_reserve(vec, more)						\
	gpmm__vec_reserve((void **)&(vec)->v, &(vec)->cap,		\
			  (vec)->len + (more), sizeof(*(vec)->v))

/* Append to room that vec_reserve() made. */
#define vec_push(vec, item)	((vec)->v[(vec)->len++] = (item))

#define vec_free(vec)							\
	do {								\
		gpmm__free((vec)->v);					\
		(vec)->v = NULL;					\
		(vec)->len = (vec)->cap = 0;				\
	} while (0)

/* What vec_reserve() does where there is no room. */
int gpmm__vec_grow(void **v, size_t *cap, size_t need, size_t size);

static inline int gpmm__vec_reserve(void **v, size_t *cap, size_t need,
				    size_t size)
{
	return need <= *cap ? 0 : gpmm__vec_grow(v, cap, need, size);
}

#endif

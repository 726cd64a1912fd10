/* SPDX-License-Identifier: BSD-3-Clause */
/* Accesses that may fault, on any processor (raw.h). */
#ifndef GPMM_GUEST_RAW_PORTABLE_H
#define GPMM_GUEST_RAW_PORTABLE_H

/* What to do under the record of the two spans. */
typedef void fault_step(void *arg);

/* Return: 0, or -EFAULT where @step was left at a fault on one of them. */
int gpmm__fault_try(fault_step *step, void *arg, struct fault_span a,
		    struct fault_span b);

struct raw_word {
	void *at;
	int order;
	int ret;
	uint64_t value;
	uint64_t expected;
};

static inline int raw_word_try(fault_step *step, struct raw_word *word,
			       size_t size)
{
	struct fault_span span = { word->at, size };

	return gpmm__fault_try(step, word, span, span);
}

/* An order the compiler learns only at run time may become the strongest. */
#define RAW(bits)							\
static inline void raw_load_step##bits(void *arg)			\
{									\
	struct raw_word *word = arg;					\
									\
	word->value = __atomic_load_n((uint##bits##_t *)word->at,	\
				      word->order);			\
}									\
									\
static inline int raw_load##bits(const void *from, uint##bits##_t *value, \
				 int order)				\
{									\
	struct raw_word word = { .at = (void *)from, .order = order };	\
	int ret = raw_word_try(raw_load_step##bits, &word, bits / 8);	\
									\
	*value = (uint##bits##_t)word.value;				\
	return ret;							\
}									\
									\
static inline void raw_store_step##bits(void *arg)			\
{									\
	struct raw_word *word = arg;					\
									\
	__atomic_store_n((uint##bits##_t *)word->at,			\
			 (uint##bits##_t)word->value, word->order);	\
}									\
									\
static inline int raw_store##bits(void *to, uint##bits##_t value,	\
				  int order)				\
{									\
	struct raw_word word = { .at = to, .order = order,		\
				 .value = value };			\
									\
	return raw_word_try(raw_store_step##bits, &word, bits / 8);	\
}									\
									\
static inline void raw_exchange_step##bits(void *arg)			\
{									\
	struct raw_word *word = arg;					\
	uint##bits##_t old = (uint##bits##_t)word->expected;		\
									\
	word->ret = __atomic_compare_exchange_n(			\
		(uint##bits##_t *)word->at, &old,			\
		(uint##bits##_t)word->value, 0, __ATOMIC_SEQ_CST,	\
		__ATOMIC_SEQ_CST) ? 0 : -EAGAIN;			\
	word->expected = old;						\
}									\
									\
static inline int raw_exchange##bits(void *at, uint##bits##_t *expected, \
				     uint##bits##_t desired, int order)	\
{									\
	struct raw_word word = { .at = at, .order = order,		\
				 .value = desired,			\
				 .expected = *expected };		\
	int ret = raw_word_try(raw_exchange_step##bits, &word,		\
			       bits / 8);				\
									\
	*expected = (uint##bits##_t)word.expected;			\
	return ret ? ret : word.ret;					\
}

RAW(8)
RAW(16)
RAW(32)
RAW(64)

#undef RAW

size_t gpmm__raw_copy_blocks(char *to, const char *from, size_t size);
size_t gpmm__raw_copy_bytes(char *to, const char *from, size_t size);
size_t gpmm__raw_fill_bytes(char *to, int byte, size_t size);

static inline size_t raw_copy_blocks(char *to, const char *from, size_t size)
{
	return gpmm__raw_copy_blocks(to, from, size);
}

static inline size_t raw_copy_bytes(char *to, const char *from, size_t size)
{
	return gpmm__raw_copy_bytes(to, from, size);
}

static inline size_t raw_fill_blocks(char *to, int byte, size_t size)
{
	(void)to;
	(void)byte;
	(void)size;
	return 0;
}

static inline size_t raw_fill_bytes(char *to, int byte, size_t size)
{
	return gpmm__raw_fill_bytes(to, byte, size);
}

#include "guest/raw_whole.h"

#endif

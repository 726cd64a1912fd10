/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Short copies where loads and stores need not be aligned: two pieces, as
 * wide as they can be, that meet or overlap. Both are loaded before either
 * is stored.
 */
#ifndef GPMM_GUEST_RAW_ENDS_H
#define GPMM_GUEST_RAW_ENDS_H

/* Return: 0 or not. */
#define RAW_ENDS(bits)							\
static inline int raw_ends##bits(char *to, const char *from, size_t size) \
{									\
	size_t second = size - bits / 8;				\
	uint##bits##_t a, b;						\
									\
	if (raw_load##bits(from, &a, __ATOMIC_RELAXED))			\
		return 1;						\
	if (!second)							\
		return raw_store##bits(to, a, __ATOMIC_RELAXED);	\
	if (raw_load##bits(from + second, &b, __ATOMIC_RELAXED))	\
		return 1;						\
	if (raw_store##bits(to, a, __ATOMIC_RELAXED))			\
		return 1;						\
	return raw_store##bits(to + second, b, __ATOMIC_RELAXED);	\
}

RAW_ENDS(8)
RAW_ENDS(16)
RAW_ENDS(32)
RAW_ENDS(64)

#undef RAW_ENDS

#define RAW_INLINE 1
#define RAW_SHORT 64

static inline __attribute__((always_inline)) int
raw_copy_short(char *to, const char *from, size_t size)
{
	if (size > 32)
		return raw_ends256(to, from, size);
	if (size >= 16)
		return raw_ends128(to, from, size);
	if (size >= 8)
		return raw_ends64(to, from, size);
	if (size >= 4)
		return raw_ends32(to, from, size);
	if (size >= 2)
		return raw_ends16(to, from, size);
	return size ? raw_ends8(to, from, size) : 0;
}

#endif

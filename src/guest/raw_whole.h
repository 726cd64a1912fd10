/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Short copies where loads and stores should be aligned: one of 1, 2, 4 or 8
 * bytes is a single access on whichever side is aligned.
 */
#ifndef GPMM_GUEST_RAW_WHOLE_H
#define GPMM_GUEST_RAW_WHOLE_H

#define RAW_SHORT 8

/* Return: 0 or not. */
#define RAW_WHOLE(bits)							\
static inline int raw_whole##bits(char *to, const char *from)		\
{									\
	uint##bits##_t value;						\
	size_t lost;							\
									\
	if ((uintptr_t)from % sizeof(value))				\
		lost = raw_copy_bytes((char *)&value, from,		\
				      sizeof(value));			\
	else								\
		lost = raw_load##bits(from, &value, __ATOMIC_RELAXED);	\
	if (lost)							\
		return 1;						\
	if ((uintptr_t)to % sizeof(value))				\
		return raw_copy_bytes(to, (char *)&value,		\
				      sizeof(value)) != 0;		\
	return raw_store##bits(to, value, __ATOMIC_RELAXED);		\
}

RAW_WHOLE(8)
RAW_WHOLE(16)
RAW_WHOLE(32)
RAW_WHOLE(64)

#undef RAW_WHOLE

static inline int raw_copy_short(char *to, const char *from, size_t size)
{
	switch (size) {
	case 0:
		return 0;
	case 1:
		return raw_whole8(to, from);
	case 2:
		return raw_whole16(to, from);
	case 4:
		return raw_whole32(to, from);
	case 8:
		return raw_whole64(to, from);
	default:
		return 1;
	}
}

#endif

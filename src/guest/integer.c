/* SPDX-License-Identifier: BSD-3-Clause */
/* Loads, stores and exchanges of integers. */
#include "guest/raw.h"
#include "guest/section.h"

static inline bool type_is_valid(enum gpmm_type type)
{
	/* One bit for each, big-endian or not. */
	const uint32_t types = 0x116 | UINT32_C(0x116) << GPMM_BIG_ENDIAN;

	return (unsigned int)type < 32 && types >> type & 1;
}

static inline unsigned int size_of(enum gpmm_type type)
{
	return type & 15;
}

/* Between the host's order of bytes and the type's; either way. */
static inline uint64_t convert(enum gpmm_type type, uint64_t value)
{
	bool host_is_big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
	bool is_big = type & GPMM_BIG_ENDIAN;

	if (__builtin_expect(is_big == host_is_big, 1))
		return value;
	return __builtin_bswap64(value) >> (64 - 8 * size_of(type));
}

/* In one piece, and where the processor makes such an access atomic. */
static inline bool is_atomic(const struct gpmm_run *run, unsigned int size)
{
	return !((uintptr_t)run->hva & (size - 1)) && run->size >= size;
}

#define LOAD(bits)							\
	case bits / 8: {						\
		uint##bits##_t got;					\
		int ret = raw_load##bits(hva, &got, order);		\
									\
		*value = got;						\
		return ret;						\
	}

static inline int load(const void *hva, unsigned int size, int order,
		       uint64_t *value)
{
	switch (size) {
	LOAD(8)
	LOAD(16)
	LOAD(32)
	default:
	LOAD(64)
	}
}

#define STORE(bits)							\
	case bits / 8:							\
		return raw_store##bits(hva, (uint##bits##_t)value, order);

static inline int store(void *hva, unsigned int size, int order,
			uint64_t value)
{
	switch (size) {
	STORE(8)
	STORE(16)
	STORE(32)
	default:
	STORE(64)
	}
}

#define EXCHANGE(bits)							\
	case bits / 8: {						\
		uint##bits##_t old = (uint##bits##_t)*expected;		\
		int ret = raw_exchange##bits(hva, &old,			\
				(uint##bits##_t)desired, order);	\
									\
		*expected = old;					\
		return ret;						\
	}

static int exchange(void *hva, unsigned int size, int order,
		    uint64_t *expected, uint64_t desired)
{
	switch (size) {
	EXCHANGE(8)
	EXCHANGE(16)
	EXCHANGE(32)
	default:
	EXCHANGE(64)
	}
}

/* The bytes of an integer that is already in the type's order. */
union bytes {
	uint64_t u64;
	uint32_t u32;
	uint16_t u16;
	uint8_t u8;
};

static uint64_t from_bytes(const union bytes *bytes, unsigned int size)
{
	switch (size) {
	case 1:
		return bytes->u8;
	case 2:
		return bytes->u16;
	case 4:
		return bytes->u32;
	default:
		return bytes->u64;
	}
}

static void to_bytes(union bytes *bytes, unsigned int size, uint64_t value)
{
	switch (size) {
	case 1:
		bytes->u8 = (uint8_t)value;
		break;
	case 2:
		bytes->u16 = (uint16_t)value;
		break;
	case 4:
		bytes->u32 = (uint32_t)value;
		break;
	default:
		bytes->u64 = value;
	}
}

#define NOINLINE __attribute__((noinline, cold))

/* By bytes, or the error of that. */
static NOINLINE int load_bytes(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
			       enum gpmm_type type, uint64_t *value)
{
	unsigned int size = size_of(type);
	union bytes bytes;
	int ret = gpmm_read(guest, gpa, &bytes, size, NULL);

	if (!ret)
		*value = convert(type, from_bytes(&bytes, size));
	return ret;
}

static NOINLINE int store_bytes(const struct gpmm_guest *guest,
				gpmm_gpa_t gpa, enum gpmm_type type,
				uint64_t value)
{
	unsigned int size = size_of(type);
	union bytes bytes;

	to_bytes(&bytes, size, convert(type, value));
	return gpmm_write(guest, gpa, &bytes, size, NULL);
}

static NOINLINE int load_slow(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
			      enum gpmm_type type, enum gpmm_order order,
			      uint64_t *value)
{
	unsigned int size = size_of(type);
	struct gpmm_run run;
	uint64_t got = 0;
	bool atomic;
	int ret;

	if (range_wraps(gpa, size))
		return -EINVAL;
	section_enter(guest->set);
	ret = find_run(guest->set, gpa, GPMM_READ, &run);
	atomic = !ret && is_atomic(&run, size);
	if (atomic)
		ret = load(run.hva, size, (int)order, &got);
	section_leave(guest->set);
	if (!ret && !atomic)
		return load_bytes(guest, gpa, type, value);
	if (!ret)
		*value = convert(type, got);
	return ret;
}

static NOINLINE int store_slow(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
			       enum gpmm_type type, enum gpmm_order order,
			       uint64_t value)
{
	unsigned int size = size_of(type);
	struct gpmm_run run;
	bool atomic;
	int ret;

	if (range_wraps(gpa, size))
		return -EINVAL;
	section_enter(guest->set);
	ret = find_run(guest->set, gpa, GPMM_WRITE, &run);
	atomic = !ret && is_atomic(&run, size);
	if (atomic) {
		ret = store(run.hva, size, (int)order, convert(type, value));
		mark(guest, gpa, ret ? 0 : size);
	}
	section_leave(guest->set);
	return ret || atomic ? ret : store_bytes(guest, gpa, type, value);
}

/*
 * Is it there in one piece that is aligned, and where? What is aligned in the
 * guest is in one piece where edges of areas are aligned, too.
 */
static inline bool find_plain(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
			      unsigned int size, uint32_t access, char **hva)
{
	struct gpmm_hit hit = find_hit(guest->set, gpa);

	if (__builtin_expect(!has_memory(hit, access) ||
			     set_anew(guest)->face.shift < 3, 0))
		return false;
	*hva = gpmm_hit_hva(hit, gpa);
	return !(((uintptr_t)*hva | gpa) & (size - 1));
}

#define INLINE inline __attribute__((always_inline))

static INLINE int load_as(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
			  enum gpmm_type type, enum gpmm_order order,
			  uint64_t *value)
{
	uint64_t got;
	char *hva;
	int ret;

	if (!quick_enter(guest->set))
		return load_slow(guest, gpa, type, order, value);
	if (__builtin_expect(!find_plain(guest, gpa, size_of(type), GPMM_READ,
					 &hva), 0)) {
		quick_leave();
		return load_slow(guest, gpa, type, order, value);
	}
	ret = load(hva, size_of(type), (int)order, &got);
	quick_leave();
	if (__builtin_expect(!ret, 1))
		*value = convert(type, got);
	return ret;
}

static INLINE int store_as(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
			   enum gpmm_type type, enum gpmm_order order,
			   uint64_t value)
{
	char *hva;
	int ret;

	if (!quick_enter(guest->set))
		return store_slow(guest, gpa, type, order, value);
	if (__builtin_expect(!find_plain(guest, gpa, size_of(type), GPMM_WRITE,
					 &hva), 0)) {
		quick_leave();
		return store_slow(guest, gpa, type, order, value);
	}
	ret = store(hva, size_of(type), (int)order, convert(type, value));
	if (!ret)
		mark(guest, gpa, size_of(type));
	quick_leave();
	return ret;
}

/*
 * What is known of a type when the library is built need not be asked: 2.4 ns
 * over the lookup for 3.5 (bench_guest_access --quick, load/8/near over 4096
 * areas). Apart from each other, so that none saves registers for another.
 */
#define APART	static __attribute__((noinline))

APART int load_any(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
		   enum gpmm_type type, enum gpmm_order order, uint64_t *value)
{
	return type_is_valid(type) ? load_as(guest, gpa, type, order, value) :
				     -EINVAL;
}

APART int load_le32(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
		    enum gpmm_order order, uint64_t *value)
{
	return load_as(guest, gpa, GPMM_LE32, order, value);
}

APART int load_le16(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
		    enum gpmm_order order, uint64_t *value)
{
	return load_as(guest, gpa, GPMM_LE16, order, value);
}

int gpmm_load(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
	      enum gpmm_type type, enum gpmm_order order, uint64_t *value)
{
	if (type == GPMM_LE64)
		return load_as(guest, gpa, GPMM_LE64, order, value);
	if (type == GPMM_LE32)
		return load_le32(guest, gpa, order, value);
	if (type == GPMM_LE16)
		return load_le16(guest, gpa, order, value);
	return load_any(guest, gpa, type, order, value);
}

APART int store_any(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
		    enum gpmm_type type, enum gpmm_order order, uint64_t value)
{
	return type_is_valid(type) ? store_as(guest, gpa, type, order, value) :
				     -EINVAL;
}

APART int store_le32(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
		     enum gpmm_order order, uint64_t value)
{
	return store_as(guest, gpa, GPMM_LE32, order, value);
}

APART int store_le16(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
		     enum gpmm_order order, uint64_t value)
{
	return store_as(guest, gpa, GPMM_LE16, order, value);
}

int gpmm_store(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
	       enum gpmm_type type, enum gpmm_order order, uint64_t value)
{
	if (type == GPMM_LE64)
		return store_as(guest, gpa, GPMM_LE64, order, value);
	if (type == GPMM_LE32)
		return store_le32(guest, gpa, order, value);
	if (type == GPMM_LE16)
		return store_le16(guest, gpa, order, value);
	return store_any(guest, gpa, type, order, value);
}

static int find_atomic(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
		       unsigned int size, struct gpmm_run *run)
{
	int ret = find_run(guest->set, gpa, GPMM_RW, run);

	if (ret)
		return ret;
	return is_atomic(run, size) ? 0 : -EINVAL;
}

int gpmm_compare_exchange(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
			  enum gpmm_type type, enum gpmm_order order,
			  uint64_t *expected, uint64_t desired)
{
	unsigned int size = size_of(type);
	struct gpmm_run run;
	uint64_t old;
	int ret;

	if (!type_is_valid(type))
		return -EINVAL;
	old = convert(type, *expected);
	section_enter(guest->set);
	ret = find_atomic(guest, gpa, size, &run);
	if (!ret) {
		ret = exchange(run.hva, size, (int)order, &old,
			       convert(type, desired));
		if (!ret)
			mark(guest, gpa, size);
		if (ret != -EFAULT)
			*expected = convert(type, old);
	}
	section_leave(guest->set);
	return ret;
}

static int set_bits(void *hva, unsigned int size, int order, uint64_t bits,
		    uint64_t *old)
{
	int ret = load(hva, size, __ATOMIC_RELAXED, old);

	if (ret)
		return ret;
	do {
		ret = exchange(hva, size, order, old, *old | bits);
	} while (ret == -EAGAIN);
	return ret;
}

int gpmm_fetch_or(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
		  enum gpmm_type type, enum gpmm_order order, uint64_t bits,
		  uint64_t *old)
{
	unsigned int size = size_of(type);
	struct gpmm_run run;
	uint64_t was = 0;
	int ret;

	if (!type_is_valid(type))
		return -EINVAL;
	section_enter(guest->set);
	ret = find_atomic(guest, gpa, size, &run);
	if (!ret)
		ret = set_bits(run.hva, size, (int)order,
			       convert(type, bits), &was);
	if (!ret) {
		mark(guest, gpa, size);
		*old = convert(type, was);
	}
	section_leave(guest->set);
	return ret;
}

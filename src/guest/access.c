/* SPDX-License-Identifier: BSD-3-Clause */
/* Reading, writing, filling, comparing and copying guest memory. */
#include <string.h>

#include "guest/raw.h"
#include "guest/section.h"

#define NOINLINE __attribute__((noinline, cold))

static inline uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline void tell(uint64_t *done, uint64_t bytes)
{
	if (done)
		*done = bytes;
}

/* @at: bytes of the access before @hva. Return: bytes of @size not done. */
typedef size_t step_fn(void *hva, uint64_t at, uint64_t size, void *arg);

/* One run of host memory after another; @step is inlined into each caller. */
static ALWAYS_INLINE int
walk(const struct gpmm_guest *guest, gpmm_gpa_t gpa, uint64_t size,
     uint32_t access, uint64_t *at, step_fn *step, void *arg)
{
	const struct gpmm_set *set = guest->set;
	struct gpmm_run run;
	uint64_t n, left;
	int ret;

	do {
		ret = find_run(set, gpa + *at, access, &run);
		if (ret)
			return ret;
		n = least(least(run.size, size - *at), SECTION_BYTES);
		left = step(run.hva, *at, n, arg);
		if (access & GPMM_WRITE)
			mark(guest, gpa + *at, n - left);
		*at += n - left;
		if (left)
			return -EFAULT;
		if (n == SECTION_BYTES) {
			section_leave(set);
			section_enter(set);
		}
	} while (*at < size);
	return 0;
}

static ALWAYS_INLINE int
walk_all(const struct gpmm_guest *guest, gpmm_gpa_t gpa, uint64_t size,
	 uint32_t access, uint64_t *done, step_fn *step, void *arg)
{
	uint64_t at = 0;
	int ret = 0;

	if (range_wraps(gpa, size)) {
		ret = -EINVAL;
	} else if (size) {
		section_enter(guest->set);
		ret = walk(guest, gpa, size, access, &at, step, arg);
		section_leave(guest->set);
	}
	tell(done, at);
	return ret;
}

static inline size_t read_step(void *hva, uint64_t at, uint64_t size, void *to)
{
	return gpmm__raw_copy((char *)to + at, hva, size);
}

static NOINLINE int read_slow(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
			      void *buffer, uint64_t size, uint64_t *done)
{
	return walk_all(guest, gpa, size, GPMM_READ, done, read_step, buffer);
}

int gpmm_read(const struct gpmm_guest *guest, gpmm_gpa_t gpa, void *buffer,
	      uint64_t size, uint64_t *done)
{
	size_t left;
	char *hva;

	if (!quick_enter(guest->set))
		return read_slow(guest, gpa, buffer, size, done);
	if (__builtin_expect(!find_whole(guest, gpa, size, GPMM_READ, &hva),
			     0)) {
		quick_leave();
		return read_slow(guest, gpa, buffer, size, done);
	}
	left = raw_copy(buffer, hva, size);
	quick_leave();
	tell(done, size - left);
	return left ? -EFAULT : 0;
}

static inline size_t write_step(void *hva, uint64_t at, uint64_t size,
				void *from)
{
	return gpmm__raw_copy(hva, (const char *)from + at, size);
}

static NOINLINE int write_slow(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
			       const void *buffer, uint64_t size,
			       uint64_t *done)
{
	return walk_all(guest, gpa, size, GPMM_WRITE, done, write_step,
			(void *)buffer);
}

int gpmm_write(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
	       const void *buffer, uint64_t size, uint64_t *done)
{
	size_t left;
	char *hva;

	if (!quick_enter(guest->set))
		return write_slow(guest, gpa, buffer, size, done);
	if (__builtin_expect(!find_whole(guest, gpa, size, GPMM_WRITE, &hva),
			     0)) {
		quick_leave();
		return write_slow(guest, gpa, buffer, size, done);
	}
	left = raw_copy(hva, buffer, size);
	mark(guest, gpa, size - left);
	quick_leave();
	tell(done, size - left);
	return left ? -EFAULT : 0;
}

static inline size_t fill_step(void *hva, uint64_t at, uint64_t size,
			       void *byte)
{
	(void)at;
	return gpmm__raw_fill(hva, *(uint8_t *)byte, size);
}

int gpmm_fill(const struct gpmm_guest *guest, gpmm_gpa_t gpa, uint8_t byte,
	      uint64_t size, uint64_t *done)
{
	return walk_all(guest, gpa, size, GPMM_WRITE, done, fill_step, &byte);
}

/* ------------------------------------------------------------- compare --- */

struct comparison {
	const char *with;
	int result;
};

#define COMPARED 512	/* bytes at a time */

static size_t equal_bytes(const char *a, const char *b, size_t size)
{
	size_t n = memcmp(a, b, size) ? 0 : size;

	while (n < size && a[n] == b[n])
		n++;
	return n;
}

/* Through copies: the guest may change what is compared, and both may fault. */
static size_t compare_some(const char *hva, uint64_t at, size_t size,
			   struct comparison *comparison)
{
	const char *with = comparison->with + at;
	char theirs[COMPARED], ours[COMPARED];
	size_t got = size - gpmm__raw_copy(theirs, hva, size);
	size_t equal;

	got -= gpmm__raw_copy(ours, with, got);
	equal = equal_bytes(theirs, ours, got);
	if (equal < got)
		comparison->result = (unsigned char)theirs[equal] <
				     (unsigned char)ours[equal] ? -1 : 1;
	return size - equal;
}

static size_t compare_step(void *hva, uint64_t at, uint64_t size, void *arg)
{
	uint64_t n = 0;

	while (n < size) {
		size_t part = least(size - n, COMPARED);
		size_t left = compare_some((char *)hva + n, at + n, part, arg);

		n += part - left;
		if (left)
			break;
	}
	return size - n;
}

int gpmm_compare(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
		 const void *buffer, uint64_t size, int *result,
		 uint64_t *done)
{
	struct comparison comparison = { .with = buffer };
	int ret = walk_all(guest, gpa, size, GPMM_READ, done, compare_step,
			   &comparison);

	/* A difference stops the walk as a fault does. */
	*result = comparison.result;
	return comparison.result ? 0 : ret;
}

/* ------------------------------------------------------- guest to guest --- */

/* As far as both sides lie together. */
static int copy_some(const struct gpmm_guest *guest, gpmm_gpa_t to,
		     gpmm_gpa_t from, uint64_t size, uint64_t *copied)
{
	struct gpmm_run source, target;
	int ret = find_run(guest->set, from, GPMM_READ, &source);

	*copied = 0;
	if (!ret)
		ret = find_run(guest->set, to, GPMM_WRITE, &target);
	if (ret)
		return ret;
	size = least(least(size, SECTION_BYTES),
		     least(source.size, target.size));
	*copied = size - gpmm__raw_copy(target.hva, source.hva, size);
	mark(guest, to, *copied);
	return *copied < size ? -EFAULT : 0;
}

int gpmm_copy(const struct gpmm_guest *guest, gpmm_gpa_t to, gpmm_gpa_t from,
	      uint64_t size, uint64_t *done)
{
	uint64_t at = 0, copied;
	int ret = 0;

	if (range_wraps(to, size) || range_wraps(from, size) ||
	    to - from < size || from - to < size)
		ret = -EINVAL;
	while (!ret && at < size) {
		section_enter(guest->set);
		ret = copy_some(guest, to + at, from + at, size - at, &copied);
		section_leave(guest->set);
		at += copied;
	}
	tell(done, at);
	return ret;
}

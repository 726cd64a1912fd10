/* SPDX-License-Identifier: BSD-3-Clause */
/* Guest memory for longer than a read section: pins and scatter lists. */
#include <sys/uio.h>

#include "guest/section.h"

int gpmm_pin(const struct gpmm_guest *guest, struct gpmm_holder *holder,
	     gpmm_gpa_t gpa, uint64_t size, uint32_t access,
	     struct gpmm_pin *pin)
{
	struct gpmm_area area;
	uint64_t remain;
	int ret;

	if (!size || range_wraps(gpa, size))
		return -EINVAL;
	section_enter(guest->set);
	ret = find_memory(guest->set, gpa, access, &area);
	if (!ret) {
		remain = area.size - (gpa - area.start);
		ret = gpmm_pin_area(holder, &area, gpa,
				    size < remain ? size : remain, pin);
	}
	section_leave(guest->set);
	return ret;
}

void gpmm_pin_release(const struct gpmm_guest *guest, struct gpmm_pin *pin,
		      uint64_t written)
{
	mark(guest, pin->gpa, written < pin->size ? written : pin->size);
	gpmm_unpin(pin);
}

/* A scatter list being built. */
struct gather {
	const struct gpmm_guest *guest;
	struct gpmm_holder *holder;
	uint32_t access;
	struct iovec *iov;
	struct gpmm_pin *pins;
	size_t capacity;
	size_t count;
};

/* One piece; beyond the capacity it is only counted. */
static int add_piece(struct gather *gather, gpmm_gpa_t gpa, uint64_t size,
		     uint64_t *got)
{
	size_t i = gather->count;
	struct gpmm_run run;
	int ret;

	if (i >= gather->capacity) {
		ret = find_run(gather->guest->set, gpa, gather->access, &run);
		*got = ret || run.size > size ? size : run.size;
	} else {
		ret = gpmm_pin(gather->guest, gather->holder, gpa, size,
			       gather->access, &gather->pins[i]);
		if (!ret) {
			*got = gather->pins[i].size;
			gather->iov[i].iov_base = gather->pins[i].addr;
			gather->iov[i].iov_len = *got;
		}
	}
	gather->count += !ret;
	return ret;
}

static int add_range(struct gather *gather, struct gpmm_range range)
{
	uint64_t got;
	int ret = 0;

	if (range_wraps(range.start, range.size))
		return -EINVAL;
	while (!ret && range.size) {
		ret = add_piece(gather, range.start, range.size, &got);
		if (!ret) {
			range.start += got;
			range.size -= got;
		}
	}
	return ret;
}

static size_t pinned(const struct gather *gather)
{
	return gather->count < gather->capacity ? gather->count :
						  gather->capacity;
}

int gpmm_gather(const struct gpmm_guest *guest, struct gpmm_holder *holder,
		const struct gpmm_range *ranges, size_t n, uint32_t access,
		struct iovec *iov, struct gpmm_pin *pins, size_t capacity,
		size_t *count)
{
	struct gather gather = { guest, holder, access, iov, pins, capacity,
				 0 };
	int ret = 0;

	section_enter(guest->set);
	for (size_t i = 0; !ret && i < n; i++)
		ret = add_range(&gather, ranges[i]);
	section_leave(guest->set);
	*count = gather.count;
	if (!ret && gather.count > capacity)
		ret = -ENOSPC;
	if (ret)
		gpmm_gather_release(guest, pins, pinned(&gather), 0);
	return ret;
}

void gpmm_gather_release(const struct gpmm_guest *guest, struct gpmm_pin *pins,
			 size_t count, uint64_t written)
{
	for (size_t i = 0; i < count; i++) {
		uint64_t size = pins[i].size;

		gpmm_pin_release(guest, &pins[i], written);
		written -= written < size ? written : size;
	}
}

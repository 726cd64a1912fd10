/* SPDX-License-Identifier: BSD-3-Clause */
/* Accesses that go wherever the map sends them. */
#include "guest/mmio.h"
#include "guest/raw.h"
#include "guest/section.h"

/* An access in hand; a bad buffer may be NULL and tells no direction. */
struct io {
	const struct gpmm_guest *guest;
	bool write;
	unsigned char *in;		/* of a read */
	const unsigned char *out;	/* of a write */
};

/* What lies at an address, and bytes that go the same way. */
struct place {
	enum { MEMORY, WINDOW, NOTHING, BARRED } kind;
	uint64_t size;
	struct gpmm_mmio *mmio;		/* WINDOW: referenced */
};

static struct place place_of(const struct gpmm_area *area, gpmm_gpa_t gpa)
{
	struct place place = { .size = area->size - (gpa - area->start) };

	if (gpa < area->start) {
		place.kind = NOTHING;
		place.size = area->start - gpa;
	} else if (area->host) {
		place.kind = MEMORY;
	} else if (area->flags & GPMM_MMIO && area->owner) {
		place.kind = WINDOW;
		place.mmio = area->owner;
		gpmm__mmio_get(place.mmio);
	} else {
		place.kind = BARRED;
	}
	return place;
}

static struct place look(const struct gpmm_set *set, gpmm_gpa_t gpa)
{
	struct place place = { .kind = NOTHING, .size = UINT64_MAX };
	struct gpmm_area area;

	section_enter(set);
	if (gpmm_view_next(gpmm_set_view_rcu(set), gpa, &area))
		place = place_of(&area, gpa);
	section_leave(set);
	return place;
}

static uint64_t take(const unsigned char *bytes, unsigned int width)
{
	uint64_t value = 0;

	while (width--)
		value = value << 8 | bytes[width];
	return value;
}

static void give(unsigned char *bytes, unsigned int width, uint64_t value)
{
	for (; width--; value >>= 8)
		*bytes++ = (unsigned char)value;
}

/* One piece. Return: 0 and its width, or what the callback returned. */
static int window_io(const struct io *io, const struct gpmm_mmio *mmio,
		     gpmm_gpa_t gpa, uint64_t at, uint64_t *size)
{
	const struct gpmm_mmio_ops *ops = mmio->ops;
	uint64_t offset = gpa + at - mmio->base, value = 0;
	unsigned int width = gpmm__mmio_width(ops, offset, *size);
	unsigned char bytes[8];
	int ret;

	*size = 0;
	if (!width)
		return -EINVAL;
	if (io->write ? !ops->write : !ops->read)
		return -EACCES;
	if (io->write && raw_copy(bytes, io->out + at, width))
		return -EFAULT;
	if (io->write)
		ret = ops->write(mmio->arg, offset, width, take(bytes, width));
	else
		ret = ops->read(mmio->arg, offset, width, &value);
	if (ret)
		return ret;
	give(bytes, width, value);
	if (!io->write && raw_copy(io->in + at, bytes, width))
		return -EFAULT;
	*size = width;
	return 0;
}

static int unassigned_io(const struct io *io, uint64_t at, uint64_t *size)
{
	int byte = io->guest->unassigned == GPMM_UNASSIGNED_ONES ? 0xff : 0;
	uint64_t left = 0;

	if (io->guest->unassigned == GPMM_UNASSIGNED_FAIL) {
		*size = 0;
		return -ENXIO;
	}
	if (!io->write)
		left = gpmm__raw_fill(io->in + at, byte, *size);
	*size -= left;
	return left ? -EFAULT : 0;
}

/* @size: as below. What is no longer there is looked for again. */
static int memory_io(const struct io *io, gpmm_gpa_t gpa, uint64_t at,
		     uint64_t *size)
{
	int ret = io->write ? gpmm_write(io->guest, gpa + at, io->out + at,
					 *size, size) :
			      gpmm_read(io->guest, gpa + at, io->in + at,
					*size, size);

	return ret == -ENXIO || ret == -ENODEV ? 0 : ret;
}

/* @size: bytes to go, receives those done. */
static int io_some(const struct io *io, gpmm_gpa_t gpa, uint64_t at,
		   uint64_t *size)
{
	struct place place = look(io->guest->set, gpa + at);
	int ret;

	if (*size > place.size)
		*size = place.size;
	switch (place.kind) {
	case MEMORY:
		return memory_io(io, gpa, at, size);
	case WINDOW:
		ret = window_io(io, place.mmio, gpa, at, size);
		gpmm__mmio_put(place.mmio);
		return ret;
	case NOTHING:
		return unassigned_io(io, at, size);
	default:
		*size = 0;
		return -ENODEV;
	}
}

static int io_all(const struct io *io, gpmm_gpa_t gpa, uint64_t size,
		  uint64_t *done)
{
	uint64_t at = 0, part;
	int ret = range_wraps(gpa, size) ? -EINVAL : 0;

	while (!ret && at < size) {
		part = size - at;
		ret = io_some(io, gpa, at, &part);
		at += part;
	}
	if (done)
		*done = at;
	return ret;
}

int gpmm_io_read(const struct gpmm_guest *guest, gpmm_gpa_t gpa, void *buffer,
		 uint64_t size, uint64_t *done)
{
	struct io io = { .guest = guest, .in = buffer };

	return io_all(&io, gpa, size, done);
}

int gpmm_io_write(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
		  const void *buffer, uint64_t size, uint64_t *done)
{
	struct io io = { .guest = guest, .write = true, .out = buffer };

	return io_all(&io, gpa, size, done);
}

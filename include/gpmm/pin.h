/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pins: host memory kept past a read section, and who keeps it.
 *
 * gpmm_area_pin() (area.h) takes a plain reference: one shared counter, no
 * name. A device that pins all day has a holder per thread instead: its pins
 * write no line that another thread writes, and whoever waits for them is
 * told whose they are.
 *
 * A pin keeps memory, not a mapping: unmap publishes at once, and the memory
 * goes when the last pin does. Discards of pinned memory are refused.
 */
#ifndef GPMM_PIN_H
#define GPMM_PIN_H

#include <gpmm/area.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gpmm_set;

#define GPMM_LABEL_SIZE 32

/* One thread's pins. */
struct gpmm_holder;

/*
 * gpmm_holder_create - a holder for the calling thread
 * @label: who it is, for certificates; copied, cut to GPMM_LABEL_SIZE - 1
 *
 * One thread at a time pins and unpins with it.
 *
 * Context: any. Owns: the caller owns *@holder. Return: 0 or -ENOMEM.
 */
int gpmm_holder_create(const char *label, struct gpmm_holder **holder);

/* Context: any; it holds no pin any more. NULL is ignored. */
void gpmm_holder_destroy(struct gpmm_holder *holder);

/* A pin. @addr and @size are to be read, the rest is the library's. */
struct gpmm_pin {
	void *addr;		/* of the first byte */
	uint64_t size;		/* bytes, all contiguous */
	gpmm_gpa_t gpa;		/* where it was when it was pinned */
	struct gpmm_holder *holder;
	void *slot;
};

/*
 * gpmm_pin_area - pin part of an area's memory
 * @gpa, @size: within @area, which has host memory; @size more than 0
 *
 * Where the same memory is being discarded it waits for the end of that.
 *
 * Context: reader: inside the section in which @area was found.
 * Owns: borrows @holder until gpmm_unpin().
 * Return: 0; -EINVAL where that does not hold; -ENOMEM.
 */
int gpmm_pin_area(struct gpmm_holder *holder, const struct gpmm_area *area,
		  gpmm_gpa_t gpa, uint64_t size, struct gpmm_pin *pin);

/*
 * gpmm_unpin - drop a pin
 *
 * Context: any, on the thread that uses the pin's holder. The last drop may
 * unmap the memory and call its release callback.
 */
void gpmm_unpin(struct gpmm_pin *pin);

/* One pin that is still held. */
struct gpmm_holding {
	char label[GPMM_LABEL_SIZE];
	int thread;		/* that created the holder, gettid(2) */
	uint64_t since_ns;	/* CLOCK_MONOTONIC, to a few ms */
	gpmm_gpa_t gpa;
	void *addr;
	uint64_t size;		/* bytes */
};

/*
 * What a drain found. Set @holdings and @capacity before; both may be 0.
 */
struct gpmm_certificate {
	struct gpmm_holding *holdings;	/* receives the first @capacity pins */
	size_t capacity;

	bool done;		/* nothing holds the memory */
	bool readers;		/* read sections from before are still open */
	size_t pins;		/* of holders; the first of them listed */
	size_t area_pins;	/* by gpmm_area_pin(), nameless */
};

/*
 * gpmm_drain - wait until nobody reaches a stretch of host memory
 * @set: the set it was unmapped from
 * @offset, @size: bytes within @host; @size 0: all of it
 * @timeout_ms: how long to wait at most, all in all
 * @certificate: may be NULL
 *
 * First for the read sections in which it could still be found, then for the
 * pins that overlap it. (gpmm_area_pin() does not say where: those count for
 * every stretch.) Unmap it before; what is still mapped can be pinned again.
 *
 * Context: not-reader; with a reference on @host.
 * Return: 0 and a certificate that says done; -ETIMEDOUT and one that says
 * who; -EINVAL; -ENOMEM; -EAGAIN where no thread can be started; -EDEADLK
 * inside a read section.
 */
int gpmm_drain(const struct gpmm_set *set, struct gpmm_host *host,
	       uint64_t offset, uint64_t size, unsigned int timeout_ms,
	       struct gpmm_certificate *certificate);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guest memory: from guest-physical addresses to bytes.
 *
 * What every access has in common:
 *
 * - A range may span any number of areas. One that wraps past 2^64 is
 *   -EINVAL; a size of 0 is success.
 * - @done (where there is one, it may be NULL) receives the bytes, from the
 *   start on, that were accessed: all of them where 0 is returned.
 * - Errors, the first that is met going up:
 *     -ENXIO   no area there
 *     -ENODEV  a device's window, without host memory (see gpmm_io_read())
 *     -EACCES  the area's flags do not allow it, or it is GPMM_PRIVATE
 *     -EFAULT  the host memory itself faulted (see gpmm_fault_install())
 * - Writes report what they changed to the context's @mark, afterwards.
 * - They open read sections of their own, also inside the caller's; long
 *   ones leave it from time to time, so that they hold up nobody, and may see
 *   a change of the map in between.
 *
 * For a set with a liburcu flavour of the embedder's (gpmm_set_options.flavor)
 * "registered" means: with that flavour. A thread of urcu-qsbr's is online, and
 * holds up grace periods as long as the call takes.
 */
#ifndef GPMM_GUEST_H
#define GPMM_GUEST_H

#include <sys/types.h>

#include <gpmm/area.h>
#include <gpmm/pin.h>
#include <gpmm/set.h>
#include <gpmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What gpmm_io_read() and gpmm_io_write() do where nothing is (mmio.h). */
enum gpmm_unassigned {
	GPMM_UNASSIGNED_FAIL,	/* -ENXIO */
	GPMM_UNASSIGNED_ONES,	/* reads give ones, writes go nowhere */
	GPMM_UNASSIGNED_ZEROS,	/* reads give zeros, writes go nowhere */
};

/*
 * Whose memory is accessed, and on whose behalf. The embedder's: as many as it
 * likes, constant while in use.
 */
struct gpmm_guest {
	const struct gpmm_set *set;
	/*
	 * Told of every stretch written, in ascending pieces, perhaps inside a
	 * read section: a dirty bitmap, say. May be NULL.
	 */
	void (*mark)(void *arg, gpmm_gpa_t start, uint64_t size);
	void *mark_arg;
	enum gpmm_unassigned unassigned;
};

/* ------------------------------------------------------------- faults --- */

/*
 * gpmm_fault_install - turn faults under the library's accesses into -EFAULT
 *
 * Host memory may fault though it is mapped: its file was truncated, huge
 * pages ran out, the hardware lost a page. Without a handler that kills the
 * process. This installs one for SIGBUS and SIGSEGV; what it does not find to
 * be the library's goes to the handler that was there before. An embedder with
 * handlers of its own calls gpmm_fault_recover() in them instead.
 *
 * It covers every access below that takes a struct gpmm_guest; pointers that
 * are handed out (translations, pins) are not covered. A bad buffer of the
 * caller's is -EFAULT too. A thread that blocks the signal is killed by the
 * fault: the kernel asks no handler then.
 *
 * Context: any; once for each gpmm_fault_remove().
 * Return: 0, or what the system said.
 */
int gpmm_fault_install(void);

/*
 * gpmm_fault_remove - put the earlier handlers back
 *
 * A handler that was installed over the library's stays, and may go on calling
 * it.
 *
 * Context: any; no access is under way that may fault.
 */
void gpmm_fault_remove(void);

/*
 * gpmm_fault_recover - for signal handlers: was that fault the library's?
 * @signal, @info, @context: as the handler (SA_SIGINFO) was given them
 *
 * Context: a handler of SIGBUS or SIGSEGV. Async-signal-safe.
 * Return: true where the handler shall return at once. On processors other
 * than x86-64, 64-bit Arm and RISC-V it does not return then: the handler is
 * left, the signal mask as it was before.
 */
bool gpmm_fault_recover(int signal, const void *info, void *context);

/* -------------------------------------------------------- translation --- */

/* Bytes that lie together in the guest and in the process. */
struct gpmm_run {
	void *hva;
	uint64_t size;		/* that remain from there to the area's end */
	uint32_t flags;		/* the area's */
};

/*
 * gpmm_translate - where is this byte?
 * @access: GPMM_READ, GPMM_WRITE or both: what the area must allow
 *
 * Writes through @run->hva are not told to @mark; who makes them does that,
 * afterwards (gpmm_dirty_mark()). The same goes for gpmm_cached().
 *
 * Context: reader; @run->hva is valid until the section's end.
 * Return: 0, -ENXIO, -ENODEV, -EACCES.
 */
int gpmm_translate(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
		   uint32_t access, struct gpmm_run *run);

/*
 * A translation at hand for memory used again and again, a ring say. Zero it
 * but for @guest and @access; its other members are the library's. One thread
 * at a time uses it.
 */
struct gpmm_cache {
	const struct gpmm_guest *guest;
	uint32_t access;	/* GPMM_READ, GPMM_WRITE or both */
	uint32_t flags;
	uint64_t generation;
	gpmm_gpa_t start;
	uint64_t size;		/* 0: nothing */
	char *hva;
};

/* The slow half of gpmm_cached(). */
void *gpmm_cache_fill(struct gpmm_cache *cache, gpmm_gpa_t gpa, uint64_t size);

/*
 * gpmm_cached - translate [gpa, gpa + size) through a cache
 *
 * Context: reader; what it returns is valid until the section's end.
 * Return: the address; NULL where the range does not lie within one area that
 * allows the cache's access (gpmm_translate() says why), or @size is 0.
 */
static inline void *gpmm_cached(struct gpmm_cache *cache, gpmm_gpa_t gpa,
				uint64_t size)
{
	uint64_t offset = gpa - cache->start;

	if (__builtin_expect(gpmm_set_generation(cache->guest->set) ==
			     cache->generation && offset < cache->size &&
			     size - 1 < cache->size - offset, 1))
		return cache->hva + offset;
	return gpmm_cache_fill(cache, gpa, size);
}

/*
 * gpmm_translate_hva - which guest address is this byte of the process?
 * @gpa: receives the lowest, where the memory is mapped more than once
 *
 * Walks the set: linear in its areas.
 *
 * Context: registered. Return: 0 or -ENXIO.
 */
int gpmm_translate_hva(const struct gpmm_guest *guest, const void *hva,
		       gpmm_gpa_t *gpa);

/* ------------------------------------------------------------- access --- */

/* Context: registered, for all of these. Return: 0 or the errors above. */
int gpmm_read(const struct gpmm_guest *guest, gpmm_gpa_t gpa, void *buffer,
	      uint64_t size, uint64_t *done);
int gpmm_write(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
	       const void *buffer, uint64_t size, uint64_t *done);
int gpmm_fill(const struct gpmm_guest *guest, gpmm_gpa_t gpa, uint8_t byte,
	      uint64_t size, uint64_t *done);

/* Guest to guest. The ranges must not overlap: -EINVAL. */
int gpmm_copy(const struct gpmm_guest *guest, gpmm_gpa_t to, gpmm_gpa_t from,
	      uint64_t size, uint64_t *done);

/*
 * gpmm_compare - guest memory with a buffer
 * @result: receives what memcmp(guest, buffer) would return
 * @done: receives the bytes that are equal, from the start on
 */
int gpmm_compare(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
		 const void *buffer, uint64_t size, int *result,
		 uint64_t *done);

/* How an integer lies in guest memory: its bytes, and GPMM_BIG_ENDIAN. */
enum gpmm_type {
	GPMM_U8 = 1,
	GPMM_LE16 = 2,
	GPMM_LE32 = 4,
	GPMM_LE64 = 8,
	GPMM_BIG_ENDIAN = 16,
	GPMM_BE16 = GPMM_BIG_ENDIAN | 2,
	GPMM_BE32 = GPMM_BIG_ENDIAN | 4,
	GPMM_BE64 = GPMM_BIG_ENDIAN | 8,
};

enum gpmm_order {
	GPMM_RELAXED = __ATOMIC_RELAXED,
	GPMM_ACQUIRE = __ATOMIC_ACQUIRE,	/* loads */
	GPMM_RELEASE = __ATOMIC_RELEASE,	/* stores */
	GPMM_ACQ_REL = __ATOMIC_ACQ_REL,	/* exchanges */
	GPMM_SEQ_CST = __ATOMIC_SEQ_CST,
};

/*
 * gpmm_load, gpmm_store - one integer
 * @value: receives, is, the integer; bits above the type's are 0, ignored
 *
 * Aligned in the guest and in the process (in a page-granular set the one is
 * the other) the access is single-copy atomic and ordered as named.
 * Misaligned it is neither, and may span areas: a store that fails in the
 * second may have changed, and told @mark of, its bytes in the first.
 *
 * Context: registered.
 * Return: 0; the errors above; -EINVAL for no such type.
 */
int gpmm_load(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
	      enum gpmm_type type, enum gpmm_order order, uint64_t *value);
int gpmm_store(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
	       enum gpmm_type type, enum gpmm_order order, uint64_t value);

/*
 * gpmm_compare_exchange - store @desired where there is *@expected
 * gpmm_fetch_or - set bits, and give what was there before
 * @expected: receives what is there, also where it differs
 *
 * Need reading and writing to be allowed. A store that found another value
 * is not reported to @mark.
 *
 * Context: registered.
 * Return: 0; -EAGAIN where *@expected was not there; the errors above; -EINVAL
 * for no such type, or misaligned.
 */
int gpmm_compare_exchange(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
			  enum gpmm_type type, enum gpmm_order order,
			  uint64_t *expected, uint64_t desired);
int gpmm_fetch_or(const struct gpmm_guest *guest, gpmm_gpa_t gpa,
		  enum gpmm_type type, enum gpmm_order order, uint64_t bits,
		  uint64_t *old);

/* ------------------------------------------- memory for longer than that --- */

/*
 * gpmm_pin - pin guest memory past any read section
 * @access: GPMM_READ, GPMM_WRITE or both
 *
 * Pins the bytes from @gpa on that lie together, at most @size: @pin->size
 * says how many.
 *
 * Context: registered. Owns: borrows @holder until the unpin.
 * Return: 0; -ENXIO, -ENODEV, -EACCES; -EINVAL for a size of 0 or a range that
 * wraps; -ENOMEM.
 */
#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic push	/* as stat() does struct stat */
#pragma GCC diagnostic ignored "-Wshadow"
#endif
int gpmm_pin(const struct gpmm_guest *guest, struct gpmm_holder *holder,
	     gpmm_gpa_t gpa, uint64_t size, uint32_t access,
	     struct gpmm_pin *pin);
#if defined(__cplusplus) && defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

/*
 * Unpin, after telling @mark of the first @written bytes. Context: any, on the
 * thread that uses the pin's holder.
 */
void gpmm_pin_release(const struct gpmm_guest *guest, struct gpmm_pin *pin,
		      uint64_t written);

struct iovec;

/*
 * gpmm_gather - a scatter list: guest ranges in, pinned iovecs out
 * @ranges: guest memory, in the list's order
 * @access: what all of it must allow
 * @iov, @pins: @capacity of each; receive one element for each piece that
 *	lies together, ranges of size 0 giving none
 * @count: receives how many, or how many it would have been
 *
 * Context: registered. Owns: borrows @holder until gpmm_gather_release().
 * Return: 0; -ENOSPC where @capacity is too small; otherwise as gpmm_pin(). On
 * failure nothing stays pinned.
 */
int gpmm_gather(const struct gpmm_guest *guest, struct gpmm_holder *holder,
		const struct gpmm_range *ranges, size_t n, uint32_t access,
		struct iovec *iov, struct gpmm_pin *pins, size_t capacity,
		size_t *count);

/*
 * gpmm_gather_release - unpin a scatter list
 * @written: bytes, from the list's start on, to tell @mark of
 *
 * Context: any, on the thread that uses the pins' holder.
 */
void gpmm_gather_release(const struct gpmm_guest *guest, struct gpmm_pin *pins,
			 size_t count, uint64_t written);

/*
 * gpmm_read_from - read(2) from a file into guest memory
 * gpmm_write_to - write(2) guest memory to a file
 * @offset: in the file; -1: where it stands
 *
 * Without a copy between. The memory is pinned meanwhile, so the call may
 * block as long as the file likes. Less than @size is transferred where
 * read(2) or write(2) would transfer less (the end of the file, a pipe, a
 * signal after some bytes): still 0. As with write(2), a pipe without a reader
 * raises SIGPIPE.
 *
 * Context: registered, not-reader.
 * Return: 0; the errors above; what the system said, -EINTR and -EAGAIN only
 * where nothing was transferred.
 */
int gpmm_read_from(const struct gpmm_guest *guest, int fd, off_t offset,
		   gpmm_gpa_t gpa, uint64_t size, uint64_t *done);
int gpmm_write_to(const struct gpmm_guest *guest, int fd, off_t offset,
		  gpmm_gpa_t gpa, uint64_t size, uint64_t *done);

#ifdef __cplusplus
}
#endif
#endif

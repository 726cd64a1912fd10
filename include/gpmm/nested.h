/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Nested page tables: the second stage of translation, gpa to hpa, in the
 * formats that hardware walks.
 *
 * For a hypervisor without KVM under it. The tables stand alone, or serve a
 * set as a backend (gpmm_nested_backend()). The embedder gives frames with
 * their physical addresses and flushes its TLBs when told; everything else
 * is in here: large leaves, splitting, collapsing, lazy areas, accessed and
 * dirty bits, and a walker that says what the hardware would say.
 *
 * One writer at a time changes a table: the table's own lock sees to it, and
 * handle_fault takes it too. Walkers take no lock and never wait; they run in
 * read sections (thread.h), and a frame that was part of the tables goes back
 * to the embedder only after the flush *and* a grace period.
 *
 * Change is whole or not at all: every frame a transaction could need is
 * allocated before anything changes. What follows cannot fail.
 *
 * Permissions and memory types are those of area.h. What a format cannot say
 * is refused with -EINVAL (gpmm_nested_check_flags() says why).
 *
 *                R-X  --X  -WX -W-  user X   memory types     A/D
 *   EPT          yes  yes  no  no   option   WB UC WC WT WP   option
 *   AMD NPT      yes  no   no  no   no       WB UC WT         always there
 *   Arm stage 2  yes  yes  yes yes  option   WB UC WC WT      option
 *   RISC-V       yes  yes  no  no   no       WB UC WC         option
 */
#ifndef GPMM_NESTED_H
#define GPMM_NESTED_H

#include <gpmm/area.h>
#include <gpmm/backend.h>
#include <gpmm/thread.h>
#include <gpmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct gpmm_nested;

enum gpmm_nested_format {
	/* Intel SDM vol. 3C, "The Extended Page Table Mechanism (EPT)" */
	GPMM_NESTED_EPT4,
	GPMM_NESTED_EPT5,
	/* AMD APM vol. 2, 15.25 "Nested Paging": the long-mode format, 5.3 */
	GPMM_NESTED_NPT4,
	GPMM_NESTED_NPT5,
	/*
	 * Arm ARM (DDI 0487), VMSAv8-64 stage 2, 4K granule. gpa_bits picks
	 * the root: one table of three levels up to 39, 2 to 16 concatenated
	 * ones up to 43, four levels up to 48.
	 */
	GPMM_NESTED_STAGE2,
	/* RISC-V privileged, "Hypervisor Extension": G-stage, 16 KiB root */
	GPMM_NESTED_SV39X4,
	GPMM_NESTED_SV48X4,
};

/* gpmm_nested_options.how */
/*
 * The hardware keeps accessed and dirty bits: leaves start clear. Without it
 * they are set beforehand where the format has them. EPT: EPTP bit 6; Arm:
 * VTCR_EL2.HA and HD; RISC-V: henvcfg.ADUE.
 */
#define GPMM_NESTED_AD		(1u << 0)
/*
 * Execution in guest user mode has its own bit: GPMM_EXEC is then the
 * supervisor's alone. EPT: mode-based execute control; Arm: FEAT_XNX.
 */
#define GPMM_NESTED_USER_EXEC	(1u << 1)
/* Tables whose leaves could be one large leaf stay as they are. */
#define GPMM_NESTED_NO_COLLAPSE	(1u << 2)
/* No leaves of 1 GiB (of 1 GiB and 2 MiB): for hardware without them. */
#define GPMM_NESTED_NO_1G	(1u << 3)
#define GPMM_NESTED_NO_2M	(1u << 4)

/* The version of struct gpmm_nested_ops that this header describes. */
#define GPMM_NESTED_ABI 1

/*
 * What the embedder gives. alloc and free are called by whatever thread
 * changes the tables or handles a fault, by several at once; flush and hpa by
 * one at a time. Context: callback, perhaps with the table's lock held.
 */
struct gpmm_nested_ops {
	uint32_t abi;		/* GPMM_NESTED_ABI */
	/*
	 * 2^order frames of 4 KiB in one piece, aligned to its size; order is
	 * above 0 for a concatenated root only. Contents do not matter.
	 * Return: 0 or -errno.
	 */
	int (*alloc)(void *ctx, unsigned int order, gpmm_hpa_t *pa);
	void (*free)(void *ctx, gpmm_hpa_t pa, unsigned int order);
	/*
	 * Where the frame at @pa can be read and written. Optional: where it
	 * is NULL, that is @pa + gpmm_nested_options.va_offset.
	 */
	void *(*va)(void *ctx, gpmm_hpa_t pa);
	/*
	 * Drop translations of these guest-physical ranges from every TLB and
	 * paging-structure cache, and return when it is done. @count 0: of
	 * all. At most once a transaction, before a frame can be reused; not
	 * called where no cache can hold what changed.
	 */
	void (*flush)(void *ctx, const struct gpmm_range *ranges,
		      size_t count);
	/*
	 * For gpmm_nested_backend(): which physical memory is behind @area at
	 * @gpa, and how many bytes from there on are contiguous (at least a
	 * frame; more than the area's is fine). Optional otherwise.
	 * Return: 0 or -errno.
	 */
	int (*hpa)(void *ctx, const struct gpmm_area *area, gpmm_gpa_t gpa,
		   gpmm_hpa_t *hpa, uint64_t *size);
};

struct gpmm_nested_options {
	enum gpmm_nested_format format;
	unsigned int how;		/* GPMM_NESTED_AD and so on */
	const struct gpmm_nested_ops *ops;
	void *ctx;			/* for the calls */
	uint64_t va_offset;		/* bytes; see gpmm_nested_ops.va */
	/*
	 * Bits of a guest-physical address, 32 or more (RISC-V: what the format
	 * has, no fewer); 0: all that the format has.
	 */
	unsigned int gpa_bits;
	/* Bits of a host-physical address, 32 or more; 0: as above. */
	unsigned int hpa_bits;
	/*
	 * Frames that may wait for a grace period before a change that is
	 * made directly (not through a set) waits for it; 0: 1024.
	 */
	size_t limbo_max;
};

/* Ranges that a flush tells apart; more become "all". */
#define GPMM_NESTED_FLUSH_MAX 32

/* ---------------------------------------------------------------- life --- */

/*
 * gpmm_nested_create - make an empty table; it has its root and no more
 *
 * Context: any.
 * Owns: borrows ops and ctx; the caller owns *@nested.
 * Return: 0; -EINVAL where the format has no such width or option; -ENOMEM
 * or what alloc returned.
 */
int gpmm_nested_create(const struct gpmm_nested_options *options,
		       struct gpmm_nested **nested);

/*
 * gpmm_nested_destroy - give every frame back
 *
 * Does not flush: no hardware walks the tables any more.
 *
 * Context: not-reader; no other thread uses the table. NULL is ignored.
 */
void gpmm_nested_destroy(struct gpmm_nested *nested);

struct gpmm_nested_root {
	gpmm_hpa_t hpa;		/* of the root table, aligned to its size */
	uint64_t size;		/* of the root table, bytes */
	unsigned int levels;
	unsigned int gpa_bits;
	/*
	 * EPT: the EPTP (write-back). NPT: N_CR3. Arm: VTTBR_EL2 without
	 * VMID. RISC-V: hgatp without VMID.
	 */
	uint64_t value;
	/*
	 * Arm: the fields of VTCR_EL2 that depend on the table: T0SZ, SL0,
	 * TG0, HA, HD. 0 for the others.
	 */
	uint64_t control;
};

/* What to load into the hardware. Context: any. */
void gpmm_nested_get_root(const struct gpmm_nested *nested,
			  struct gpmm_nested_root *root);

/*
 * gpmm_nested_check_flags - can the format say this?
 * @why: receives a sentence where it cannot; may be NULL; static
 *
 * Context: any. Return: 0 or -EINVAL.
 */
int gpmm_nested_check_flags(const struct gpmm_nested *nested, uint32_t flags,
			    const char **why);

/* ------------------------------------------------------------- changing --- */

/*
 * Flags of a mapping are an area's: permissions, memory type, and
 *   GPMM_LAZY	@hpa is ignored; there is no table and no memory until
 *		gpmm_nested_handle_fault() puts a cleared frame of the table's
 *		own there, which unmap takes away again.
 *   GPMM_LOG_DIRTY  leaves of 4 KiB only, and never collapsed, so that dirty
 *		bits tell pages apart. protect sets and clears it.
 * Others are ignored. A mapping without any access is remembered, and protect
 * gives it back.
 *
 * Starts and sizes are multiples of 4 KiB. Leaves are the largest that gpa,
 * hpa and size allow. What changes a part of a large leaf splits it.
 *
 * Errors that each may return:
 *   -EINVAL   misaligned, beyond the width of either address, or flags that
 *             the format cannot say; map: a size of 0
 *   -ENOMEM   no memory (also what alloc returned)
 *   -EDEADLK  from inside a read section, or by the lock's holder
 */

/*
 * gpmm_nested_map - make [gpa, gpa + size) mean [hpa, hpa + size)
 *
 * Context: writer. Return: 0; -EEXIST where any of it is mapped; as above.
 */
int gpmm_nested_map(struct gpmm_nested *nested, gpmm_gpa_t gpa, gpmm_hpa_t hpa,
		    uint64_t size, uint32_t flags);

/* Forget what is mapped in a range; holes are passed over. Context: writer. */
int gpmm_nested_unmap(struct gpmm_nested *nested, gpmm_gpa_t gpa,
		      uint64_t size);

/*
 * gpmm_nested_protect - change permissions, memory type and GPMM_LOG_DIRTY
 *
 * Holes are passed over; a lazy range stays one, and what it has got so far
 * changes with it. Accessed and dirty bits are kept.
 *
 * Context: writer. Return: 0 or as above.
 */
int gpmm_nested_protect(struct gpmm_nested *nested, gpmm_gpa_t gpa,
			uint64_t size, uint32_t flags);

/*
 * gpmm_nested_begin, _commit, _abort - several changes as one
 *
 * Between begin and commit the three calls above only plan: they fail where
 * they cannot be done after those before them, and reserve the frames they
 * need. commit does it all, with one flush, and cannot fail. begin takes the
 * table's lock, commit and abort drop it: one thread makes all the calls.
 *
 * A change reserves no more frames than it needs where it lies above all
 * those before it, or below; else it reserves for the worst case, and commit
 * gives back what was left.
 *
 * Hardware may see part of the changes while commit is at work, as it walks
 * several entries.
 *
 * Context: writer. Return: 0 or -EDEADLK.
 */
int gpmm_nested_begin(struct gpmm_nested *nested);
void gpmm_nested_commit(struct gpmm_nested *nested);
void gpmm_nested_abort(struct gpmm_nested *nested);

/*
 * gpmm_nested_drain - wait for a grace period and free the frames in limbo
 *
 * Changes that are made directly and faults do this by themselves when many
 * frames wait; what a set's changes retire is freed soon after by a thread of
 * the library's.
 *
 * Context: not-reader. Return: 0 or -EDEADLK.
 */
int gpmm_nested_drain(struct gpmm_nested *nested);

/* -------------------------------------------------------------- reading --- */

enum gpmm_nested_cause {
	GPMM_NESTED_OK,
	GPMM_NESTED_NOT_PRESENT,
	GPMM_NESTED_PERMISSION,
	GPMM_NESTED_MISCONFIGURED,	/* a value that is reserved */
	GPMM_NESTED_RESERVED,		/* a bit that must be 0 */
	GPMM_NESTED_WIDTH,		/* the gpa is beyond the table's */
};

struct gpmm_nested_hit {
	enum gpmm_nested_cause cause;
	unsigned int level;	/* of the last entry read; 1: 4 KiB */
	uint64_t entry;		/* as read */
	/* Without a fault: */
	gpmm_hpa_t hpa;		/* of the gpa itself */
	uint64_t left;		/* bytes from the gpa to the leaf's end */
	uint32_t flags;		/* permissions and memory type */
	bool accessed;
	bool dirty;
	/*
	 * With a fault, as the hardware reports it of an access by guest code
	 * (not of its own walk of the guest's tables):
	 *   EPT    reason 48 violation, 49 misconfiguration; bits 0-6 of the
	 *          exit qualification
	 *   NPT    reason 0x400; EXITINFO1
	 *   Arm    reason ESR_EL2.EC 0x20 or 0x24; qualification ESR_EL2
	 *          without what describes the instruction
	 *   RISC-V reason scause 20, 21 or 23; qualification htval
	 */
	uint32_t reason;
	uint64_t qualification;
};

/*
 * gpmm_nested_walk - what the hardware would make of an access
 * @access: GPMM_READ, GPMM_WRITE, GPMM_EXEC or GPMM_USER_EXEC; 0: any
 *
 * Opens a read section of its own and never waits. Sets no accessed or dirty
 * bit.
 *
 * Context: registered. Return: 0, or -EFAULT with @hit->cause.
 */
int gpmm_nested_walk(const struct gpmm_nested *nested, gpmm_gpa_t gpa,
		     uint32_t access, struct gpmm_nested_hit *hit);

/*
 * gpmm_nested_translate - gpa to hpa, and how far it goes on
 * @limit: bytes the caller cares for
 * @hpa: receives the address
 * @left: receives the bytes, at most @limit, that are contiguous from there
 *	on, across leaves, and allow @access; may be NULL
 *
 * Context: registered. Return: 0 or -EFAULT.
 */
int gpmm_nested_translate(const struct gpmm_nested *nested, gpmm_gpa_t gpa,
			  uint32_t access, uint64_t limit, gpmm_hpa_t *hpa,
			  uint64_t *left);

/*
 * gpmm_nested_handle_fault - answer a guest's fault
 * @access: as for gpmm_nested_walk()
 *
 * In a lazy range it puts one leaf with a cleared frame where there is none.
 * Many threads may do so at once: one frame wins, the others go back. What
 * has become accessible meanwhile is left alone.
 *
 * Context: registered, writer.
 * Return: 0: let the guest try again; -ENOENT: nothing is mapped there (a
 * device's window, perhaps); -EACCES: it is, and forbids this; -ENOMEM or
 * what alloc returned; -EDEADLK.
 */
int gpmm_nested_handle_fault(struct gpmm_nested *nested, gpmm_gpa_t gpa,
			     uint32_t access);

/* --------------------------------------------------- accessed and dirty --- */

#define GPMM_NESTED_ACCESSED	(1u << 0)
#define GPMM_NESTED_DIRTY	(1u << 1)
#define GPMM_NESTED_CLEAR	(1u << 2)	/* and make them clean */

/*
 * gpmm_nested_harvest - read (and clear) accessed or dirty bits of a range
 * @what: one of _ACCESSED and _DIRTY, with or without _CLEAR
 * @bitmap: a bit for each 4 KiB, bit 0 of word 0 for @gpa; bits are set in
 *	it, none is cleared
 *
 * A large leaf sets the bits of all its pages, and stays as it is where the
 * range holds only a part of it. With _CLEAR there is one flush before it
 * returns: what the guest writes after that is dirty again, so read pages
 * after harvesting them.
 *
 * Collapsing makes a writable leaf dirty: the result is a superset.
 *
 * Context: writer.
 * Return: how many 4 KiB pages were found, or -EINVAL, -EDEADLK; -ENOTSUP on
 * a table made without GPMM_NESTED_AD.
 */
int64_t gpmm_nested_harvest(struct gpmm_nested *nested, gpmm_gpa_t gpa,
			    uint64_t size, unsigned int what,
			    uint64_t *bitmap);

/* ---------------------------------------------------------- inspection --- */

struct gpmm_nested_stats {
	size_t tables;		/* frames of tables, the root's included */
	size_t owned;		/* frames given to lazy ranges */
	size_t limbo;		/* frames that wait for a grace period */
	size_t lazy;		/* lazy ranges */
	uint64_t flushes;
};

/* Context: writer. */
void gpmm_nested_get_stats(struct gpmm_nested *nested,
			   struct gpmm_nested_stats *stats);

/* @text: a piece of the dump, with its newlines. */
typedef void gpmm_nested_print_fn(void *arg, const char *text);

/*
 * gpmm_nested_dump - one line for each run of like leaves
 * gpmm_nested_dump_dot - the tables as a graph for Graphviz
 *
 * Context: writer. Return: 0 or -EDEADLK.
 */
int gpmm_nested_dump(struct gpmm_nested *nested, gpmm_nested_print_fn *print,
		     void *arg);
int gpmm_nested_dump_dot(struct gpmm_nested *nested,
			 gpmm_nested_print_fn *print, void *arg);

/*
 * gpmm_nested_validate - check every invariant of the tables
 * @why: receives a sentence about the first that is broken; may be NULL;
 *	static
 *
 * Context: writer. Return: 0; -EUCLEAN; -ENOMEM; -EDEADLK.
 */
int gpmm_nested_validate(struct gpmm_nested *nested, const char **why);

/* -------------------------------------------------------------- backend --- */

/*
 * gpmm_nested_backend - the table as a backend of sets
 *
 * Areas with host memory are mapped at what ops.hpa says; GPMM_LAZY areas are
 * lazy; others (windows, GPMM_MMIO) are left unmapped. A protect that sets or
 * clears GPMM_MMIO unmaps or maps; one that makes an area lazy, or a lazy area
 * anything else, is -EINVAL. A set's transaction is one transaction of the
 * table.
 *
 * The tables change when the set's readers have begun to see the transaction
 * (published), and before the call that made it returns. Where another
 * backend's commit fails they never do: lazy areas keep what they hold, and
 * there is nothing that an undo could fail in. From begin to published the
 * table is locked: another backend's callbacks must not change it, nor
 * another set that has it as its backend.
 *
 * Context: any. Owns: the backend is part of the table.
 */
struct gpmm_backend *gpmm_nested_backend(struct gpmm_nested *nested);

#ifdef __cplusplus
}
#endif
#endif

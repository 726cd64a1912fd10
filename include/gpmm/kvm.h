/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The KVM backend: a set's areas as memslots of a virtual machine.
 */
#ifndef GPMM_KVM_H
#define GPMM_KVM_H

#include <gpmm/backend.h>
#include <gpmm/dirty.h>
#include <gpmm/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kvm_run;		/* of <linux/kvm.h> */

/* ------------------------------------------------------------- features --- */

/* What a host's KVM has; what it lacks is refused with -EOPNOTSUPP. */
#define GPMM_KVM_READONLY		(UINT64_C(1) << 0)
/* KVM_SET_USER_MEMORY_REGION2, which slots of a guest_memfd need. */
#define GPMM_KVM_REGION2		(UINT64_C(1) << 1)
/* GPMM_KVM_LOG_MANUAL, and that it starts full. */
#define GPMM_KVM_MANUAL_LOG		(UINT64_C(1) << 2)
#define GPMM_KVM_INITIALLY_SET_LOG	(UINT64_C(1) << 3)
/* GPMM_KVM_LOG_RING */
#define GPMM_KVM_RING_LOG		(UINT64_C(1) << 4)
/* Areas whose host memory is GPMM_HOST_GUEST_MEMFD. */
#define GPMM_KVM_GUEST_MEMFD		(UINT64_C(1) << 5)
/* gpmm_kvm_set_private() */
#define GPMM_KVM_ATTRIBUTES		(UINT64_C(1) << 6)
/* KVM_EXIT_MEMORY_FAULT, see gpmm_kvm_decode() */
#define GPMM_KVM_FAULT_EXIT		(UINT64_C(1) << 7)
/* KVM_PRE_FAULT_MEMORY, see gpmm_kvm_populate() */
#define GPMM_KVM_PRE_FAULT		(UINT64_C(1) << 8)
/* gpmm_kvm_options.no_zap_all */
#define GPMM_KVM_NO_ZAP_ALL		(UINT64_C(1) << 9)
/* gpmm_kvm_attach_event(), and with writes of any width */
#define GPMM_KVM_EVENT			(UINT64_C(1) << 10)
#define GPMM_KVM_EVENT_ANY_SIZE		(UINT64_C(1) << 11)
/* gpmm_kvm_attach_coalesced() */
#define GPMM_KVM_COALESCED		(UINT64_C(1) << 12)

/*
 * gpmm_kvm_features - what this VM's KVM has
 *
 * As KVM_CHECK_EXTENSION says, which is a hint: a kernel may still refuse.
 *
 * Context: any. Return: 0; -EBADF, -ENOTTY where @vm_fd is no VM (/dev/kvm
 * itself is none).
 */
int gpmm_kvm_features(int vm_fd, uint64_t *features);

/* -------------------------------------------------------------- backend --- */

/* How KVM logs what guests write to areas with GPMM_LOG_DIRTY. */
enum gpmm_kvm_log {
	/* A bitmap a slot; a harvest write-protects the whole slot again. */
	GPMM_KVM_LOG_BITMAP,
	/*
	 * The same, but a harvest clears and protects only its own range. Where
	 * KVM can, a log starts with all pages set and protects none: it starts
	 * at once, and the first harvest of a client that was there before
	 * gives every page. A client that is created after takes and protects
	 * them all at its creation, and is given none of them.
	 */
	GPMM_KVM_LOG_MANUAL,
	/* A ring a vCPU. The backend is made before the first vCPU is. */
	GPMM_KVM_LOG_RING,
};

struct gpmm_kvm_options {
	/* KVM address space, bits 16 to 31 of a slot; 0 is the normal one. */
	unsigned int address_space;
	/* The first slot the backend may use; lower ones are the embedder's. */
	unsigned int first_slot;
	/* At most so many slots; 0: all that KVM_CAP_NR_MEMSLOTS allows. */
	unsigned int slot_count;
	/* Slots kept back from ordinary maps, for hotplug. */
	unsigned int reserve;
	enum gpmm_kvm_log log;
	/* Of each ring: bytes, a power of two; 0: 64K, 4,096 entries. */
	unsigned int ring_size;
	/*
	 * A slot that goes takes only its own shadow pages with it, and not
	 * all of the VM's (turns KVM_X86_QUIRK_SLOT_ZAP_ALL off, for good).
	 */
	bool no_zap_all;
};

/*
 * gpmm_kvm_create - a backend over a virtual machine's memslots
 * @vm_fd: from KVM_CREATE_VM
 * @options: NULL for the defaults
 * @backend: receives it
 *
 * Areas with host memory become slots; start, size and host address are
 * page-aligned. One without GPMM_WRITE is read-only (writes exit as MMIO), one
 * with none of GPMM_RWX has no slot (every access exits), GPMM_LOG_DIRTY turns
 * on the dirty log. Areas that run on in guest and host addresses with equal
 * slots share one, unless one of them is GPMM_NOMERGE. Areas without host
 * memory are accepted and have no slot: KVM exits to the VMM there, which asks
 * the set who owns the address.
 *
 * Areas of a guest_memfd (GPMM_HOST_GUEST_MEMFD) are slots that KVM changes
 * not at all: they are neither read-only nor logged, -EOPNOTSUPP, and where
 * they move they are deleted and made anew.
 *
 * A transaction makes the fewest ioctls that lead from the slots before it to
 * those after it: none for what it mapped and unmapped again, one for memory
 * that moved to another guest address or whose dirty log was switched. A slot
 * whose size, host address or read-only bit changes is deleted and made anew:
 * KVM has no atomic way, and a vCPU that looks meanwhile sees a hole, unless
 * it runs behind the gate (gpmm_kvm_vcpu_create()).
 *
 * Where an ioctl fails those before it are undone, and the commit returns its
 * error: -ENOSPC where slots run out, -EEXIST where a slot of the embedder's
 * own is in the way. Where the kernel refuses to undo too, the commit returns
 * -EIO, and changes of those slots' ranges fail with -EIO until a later
 * transaction, each of which tries first, has repaired them.
 *
 * Context: any; only the process that created the VM may use it.
 * Owns: borrows @vm_fd, which outlives the backend; the caller owns *@backend.
 * Return: 0; -EINVAL for slots or an address space that the VM has not, a ring
 * of a size that KVM does not take, a ring where there is a vCPU already, or a
 * ring's size without rings; -ENOMEM; -EBADF, -ENOTTY where @vm_fd is no VM;
 * -EOPNOTSUPP where the host lacks what was asked for.
 */
int gpmm_kvm_create(int vm_fd, const struct gpmm_kvm_options *options,
		    struct gpmm_backend **backend);

/*
 * gpmm_kvm_destroy - free the backend; slots it still has stay in the VM
 *
 * Hooks that are still attached are freed with it and stay, too.
 *
 * Context: any; no set may still have areas of it. NULL is ignored.
 */
void gpmm_kvm_destroy(struct gpmm_backend *backend);

/*
 * gpmm_kvm_set_reserve - change how many slots are kept back
 * @reserve: fewer than the backend may use in all
 *
 * The code that plugs memory in lowers it for its own transaction. Slots in
 * use stay, whatever the reserve.
 *
 * Context: writer. Return: 0 or -EINVAL.
 */
int gpmm_kvm_set_reserve(struct gpmm_backend *backend, unsigned int reserve);

/*
 * gpmm_kvm_populate - have memory there before the guest asks for it
 * @vcpu_fd: a vCPU that is not running; -1: host memory only
 * @start, @size: page-aligned; what has no slot is skipped
 *
 * Allocates host memory (MADV_POPULATE_WRITE) and, with GPMM_KVM_PRE_FAULT
 * and a vCPU that can, maps it into the guest too (KVM_PRE_FAULT_MEMORY).
 *
 * Context: not-reader. Writers wait for 16 MiB at a time.
 * Return: 0; -EINVAL; -EOPNOTSUPP where the host cannot (Linux before 5.14, or
 * memory that it maps read-only); what the kernel said, with part of it done.
 */
int gpmm_kvm_populate(struct gpmm_backend *backend, int vcpu_fd,
		      gpmm_gpa_t start, uint64_t size);

/*
 * gpmm_kvm_set_private - convert memory in place
 * @is_private: the guest's own, from its guest_memfd; else shared, from its
 *	host address
 *
 * What an exit with gpmm_kvm_access.is_private asks for.
 *
 * Context: not-reader. Return: 0; -EINVAL; -EOPNOTSUPP without
 * GPMM_KVM_ATTRIBUTES; what the kernel said.
 */
int gpmm_kvm_set_private(struct gpmm_backend *backend, gpmm_gpa_t start,
			 uint64_t size, bool is_private);

/* --------------------------------------------------------------- hooks --- */

/*
 * A hook lets KVM itself deal with what a guest writes to a window: an area of
 * this backend's without memory, of which it has told the backend the owner.
 * The write then makes no exit.
 *
 * A hook belongs to an owner, whether any area of it is mapped or not, and is
 * in the VM as far as areas of that owner cover it. They change together: what
 * is mapped, unmapped or cut in a transaction takes its hooks along, in the
 * transaction's commit, which fails whole where KVM refuses one of them. (As
 * with slots: what cannot be undone either is refused with -EIO until a later
 * transaction has repaired it.) Where the owner's areas move, hooks move by
 * the same distance; that is when a transaction unmaps the last of them and
 * maps some (then or later), and the distance is that between the lowest
 * addresses that they had and have. While none is mapped they lie where they
 * were, also for a hook that is attached then. A window whose owner is another
 * after the move (gpmm_mmio_create() fixes its base) has hooks of both owners
 * attached meanwhile.
 *
 * While a transaction moves a hook, writes may exit as if there were none.
 */
struct gpmm_kvm_hook;

/* An eventfd that is signalled by a write (KVM_IOEVENTFD). */
struct gpmm_kvm_event {
	void *owner;		/* of the window; not NULL */
	gpmm_gpa_t gpa;		/* where it lies, or will first */
	unsigned int size;	/* of the write, bytes: 1, 2, 4, 8; 0: any */
	int fd;
	bool match;		/* only where @value is written; not with 0 */
	uint64_t value;
};

/*
 * gpmm_kvm_attach_event - signal an eventfd instead of an exit
 * @hook: receives it
 *
 * Context: writer.
 * Owns: duplicates event->fd; the caller owns *@hook.
 * Return: 0; -EINVAL; -ENOMEM; -EOPNOTSUPP without GPMM_KVM_EVENT (or
 * GPMM_KVM_EVENT_ANY_SIZE); -EEXIST where there is such an event in the VM (of
 * one that no area covers yet, only the commit that maps one is told); -EBADF;
 * -EIO where another is in the way that could not be undone, or this could not;
 * what the kernel said.
 */
int gpmm_kvm_attach_event(struct gpmm_backend *backend,
			  const struct gpmm_kvm_event *event,
			  struct gpmm_kvm_hook **hook);

/*
 * gpmm_kvm_set_coalesced_ring - say where KVM puts writes that it keeps
 * @run: any vCPU's kvm_run, mapped to KVM_GET_VCPU_MMAP_SIZE
 *
 * Once, before gpmm_kvm_attach_coalesced().
 *
 * Context: writer.
 * Owns: borrows @run until the backend is destroyed.
 * Return: 0; -EOPNOTSUPP without GPMM_KVM_COALESCED; what the kernel said.
 */
int gpmm_kvm_set_coalesced_ring(struct gpmm_backend *backend,
				struct kvm_run *run);

/*
 * gpmm_kvm_attach_coalesced - keep writes for later instead of an exit
 * @owner: of the window; not NULL
 * @gpa, @size: bytes; where it lies, or will first. A part that no area of
 *	@owner covers exits.
 * @hook: receives it
 *
 * For registers whose writes have no effect that the guest waits for. Where
 * KVM's ring (KVM_REGISTER_COALESCED_MMIO) is full they exit.
 *
 * Context: writer.
 * Owns: the caller owns *@hook.
 * Return: 0; -EINVAL, also without gpmm_kvm_set_coalesced_ring(); -ENOMEM;
 * -EOPNOTSUPP without GPMM_KVM_COALESCED; -EEXIST where it overlaps another
 * of @owner's; -EIO as gpmm_kvm_attach_event(); what the kernel said.
 */
int gpmm_kvm_attach_coalesced(struct gpmm_backend *backend, void *owner,
			      gpmm_gpa_t gpa, uint32_t size,
			      struct gpmm_kvm_hook **hook);

/*
 * gpmm_kvm_detach - remove a hook
 *
 * Writes that were kept until then are still harvested.
 *
 * Context: writer. NULL is ignored.
 * Owns: takes @hook where it returns 0; it is still attached otherwise.
 * Return: 0; -EIO where it takes part in what could not be undone; -ENOMEM;
 * what the kernel said.
 */
int gpmm_kvm_detach(struct gpmm_kvm_hook *hook);

struct gpmm_kvm_access;

/*
 * @access: a write, as one that made an exit; its gpa is where the place that
 *	was written lies by now
 *
 * Return: 0 to go on; anything else ends the harvest after this write and is
 * returned by it.
 */
typedef int gpmm_kvm_write_fn(void *arg, const struct gpmm_kvm_access *access);

/*
 * gpmm_kvm_harvest_coalesced - take the writes that KVM has kept
 * @fn: called for each, in their order, on this thread; it may change the set
 *
 * For every vCPU's thread before it serves an exit (a device may rely on the
 * order), and from time to time. Threads take turns.
 *
 * Context: not-reader, and not from a callback.
 * Return: 0; -EDEADLK from @fn; -ENOMEM with nothing taken; what @fn returned,
 * with the rest still to be harvested.
 */
int gpmm_kvm_harvest_coalesced(struct gpmm_backend *backend,
			       gpmm_kvm_write_fn *fn, void *arg);

/* ---------------------------------------------------------------- gate --- */

/*
 * The gate keeps vCPUs out of KVM_RUN while a transaction deletes slots and
 * makes others over the same addresses, and until the set's readers see the
 * outcome. Other transactions do not close it. vCPUs that were not told to
 * the backend see the hole.
 *
 *	for (;;) {
 *		ret = gpmm_kvm_run(vcpu, vcpu_fd);
 *		if (ret == -EINTR) ... see to what else is to be done ...
 *
 * A writer waits only for threads that are in KVM_RUN, or between enter and
 * leave where these are used, and of those for none that waits in the library,
 * at a gate or for anything else: a vCPU's thread may itself change the set,
 * also there. A writer that has to wait for others itself, as it has been told
 * to undo or in a backend that it tells after this one, opens the gate before:
 * guests then run on slots that readers of the set do not see yet.
 */
struct gpmm_kvm_vcpu;

/* How to bring a vCPU out of KVM_RUN: @kick, or else @signal. */
struct gpmm_kvm_vcpu_options {
	/*
	 * &kvm_run->immediate_exit: set before the signal is sent, which else
	 * is sent again where it came just before KVM_RUN. May be NULL.
	 */
	uint8_t *immediate_exit;
	/*
	 * Sent to the thread inside. It needs a handler, which may be empty,
	 * and must not be blocked in KVM_RUN: a writer would wait for ever.
	 */
	int signal;
	/*
	 * Makes KVM_RUN return, also where it is just about to be entered.
	 * Context: callback, with the set's lock held; it must not block.
	 */
	void (*kick)(void *arg);
	void *arg;
	/*
	 * With GPMM_KVM_LOG_RING: the vCPU's descriptor and its kvm_run, so
	 * that its ring is found and gpmm_kvm_run() empties it when it is full.
	 */
	int fd;
	struct kvm_run *run;
};

/*
 * gpmm_kvm_vcpu_create - let a vCPU run behind the backend's gate
 * @backend: from gpmm_kvm_create()
 * @vcpu: receives it
 *
 * Context: any.
 * Owns: borrows what @options points to until destroyed; the caller owns
 * *@vcpu, which the backend outlives.
 * Return: 0; -EINVAL where no way to kick is given, or no @run where there are
 * rings; -ENOMEM; what mapping the ring returned.
 */
int gpmm_kvm_vcpu_create(struct gpmm_backend *backend,
			 const struct gpmm_kvm_vcpu_options *options,
			 struct gpmm_kvm_vcpu **vcpu);

/* Context: any; its thread is not inside. NULL is ignored. */
void gpmm_kvm_vcpu_destroy(struct gpmm_kvm_vcpu *vcpu);

/*
 * gpmm_kvm_run - KVM_RUN behind the gate
 * @vcpu_fd: from KVM_CREATE_VCPU
 *
 * -EINTR says that the gate, a signal or immediate_exit ended it, or a full
 * dirty ring, which is empty again: call it again. An embedder's own use of
 * immediate_exit needs a flag of its own beside it, set before immediate_exit
 * and looked at after each return, as the gate clears immediate_exit where it
 * has kicked.
 *
 * Context: not-reader, by one thread at a time for each vCPU.
 * Return: 0 with an exit in kvm_run; KVM_RUN's -errno; or what emptying a full
 * ring returned.
 */
int gpmm_kvm_run(struct gpmm_kvm_vcpu *vcpu, int vcpu_fd);

/*
 * gpmm_kvm_enter, gpmm_kvm_leave - the gate around a KVM_RUN of one's own
 *
 * Between the two belong ioctls of the vCPU. Others that access guest memory
 * may run there too, and so may what changes a set, or anything else of the
 * library's: a thread that has to wait in it counts as out until it returns.
 * What the embedder has itself, a lock of its own say, must not be waited for
 * where its holder may be changing a set.
 *
 * A thread may be inside as several vCPUs, of one backend or of several; a
 * vCPU is entered once before it is left. Entering an open gate writes a cache
 * line of the vCPU's own and no shared one.
 *
 * Context: not-reader; the same thread leaves.
 */
void gpmm_kvm_enter(struct gpmm_kvm_vcpu *vcpu);
void gpmm_kvm_leave(struct gpmm_kvm_vcpu *vcpu);

/* ----------------------------------------------------------- dirty log --- */

/*
 * gpmm_kvm_dirty_source - what guests write, for a tracker (dirty.h)
 *
 * Its areas have GPMM_LOG_DIRTY. A client that was created before that was set
 * does not see what was written until then (but see GPMM_KVM_LOG_MANUAL). What
 * was logged of a slot that is deleted, split, merged or moved stays with its
 * guest addresses: it is harvested first, where the gate is closed. Where it is
 * not, as no hole is made or no vCPU runs behind it, a write could come
 * between: all of such a slot counts as written.
 *
 * Context: any.
 * Owns: the backend's, and gone with it; one tracker at a time.
 */
struct gpmm_dirty_source *gpmm_kvm_dirty_source(struct gpmm_backend *backend);

/*
 * gpmm_kvm_drain_rings - what KVM_EXIT_DIRTY_RING_FULL asks for
 *
 * For who calls KVM_RUN between enter and leave; gpmm_kvm_run() does it.
 *
 * Context: not-reader. Return: 0 or -errno.
 */
int gpmm_kvm_drain_rings(struct gpmm_backend *backend);

/* How long guests were held, from the closing of the gate to its opening. */
struct gpmm_kvm_stalls {
	uint64_t count;
	uint64_t total_ns;
	uint64_t max_ns;
	uint64_t kicks;		/* vCPUs brought out of KVM_RUN */
};

/* --------------------------------------------------------------- exits --- */

/* What a vCPU was about when KVM_RUN returned. */
struct gpmm_kvm_access {
	gpmm_gpa_t gpa;
	uint64_t size;		/* bytes; 1 to 8 of an MMIO exit */
	bool write;		/* MMIO exits only */
	bool fault;		/* KVM_EXIT_MEMORY_FAULT, and not MMIO */
	bool is_private;	/* a fault: the guest meant private memory */
	void *data;		/* written, or to be read; of a fault NULL */
};

/*
 * gpmm_kvm_decode - the memory access in an exit
 * @ret: what KVM_RUN, or gpmm_kvm_run(), returned: 0 or -errno
 *
 * Knows KVM_EXIT_MMIO and, with -EFAULT or -EHWPOISON, KVM_EXIT_MEMORY_FAULT
 * (KVM's api documentation, 5 and 6).
 *
 * Context: any; kvm_run is the caller's.
 * Owns: access->data points into @run, until the next KVM_RUN.
 * Return: 0; -ENOENT where the exit is about no address.
 */
int gpmm_kvm_decode(struct kvm_run *run, int ret,
		    struct gpmm_kvm_access *access);

enum gpmm_kvm_verdict {
	/*
	 * No area, or memory without any right: the guest is lost, or probes.
	 * (A hole kept reserved is an area without memory, and so judged
	 * GPMM_KVM_MMIO: its owner is NULL.)
	 */
	GPMM_KVM_NOTHING,
	/*
	 * Memory that the access is allowed to: KVM found a hole that was, or
	 * could not reach the host's page. After a fault call KVM_RUN again
	 * (once its cause is gone: is_private says which kind the guest wants);
	 * an MMIO exit KVM has half emulated: do the access, then call KVM_RUN
	 * again.
	 */
	GPMM_KVM_RAM,
	/* A write to read-only memory: drop it, or let the guest know. */
	GPMM_KVM_ROM,
	/*
	 * A device. An area without memory has its owner in area->owner. A
	 * write to a ROM device, read-only memory with GPMM_MMIO, has it in
	 * area->host: that is the device's own memory, told apart by
	 * gpmm_host_addr(), and the offset in it, which stays the same however
	 * the area is moved or cut, is
	 *	(char *)area->hva - (char *)gpmm_host_addr(area->host) +
	 *	(access->gpa - area->start)
	 */
	GPMM_KVM_MMIO,
};

/*
 * gpmm_kvm_judge - what to do about an access
 * @area: what the set has at access->gpa now (gpmm_set_find()); NULL: nothing
 *
 * Before an MMIO exit is given to a device the set must be asked: exits of
 * KVM_EXIT_MMIO also come for RAM. For those, but not for faults, which have
 * no data, gpmm_io_read() and gpmm_io_write() (mmio.h) of access->gpa, data and
 * size do both, the access to memory and the call of a window's owner, also
 * where it goes on into another area.
 *
 * Context: any.
 */
enum gpmm_kvm_verdict gpmm_kvm_judge(const struct gpmm_kvm_access *access,
				     const struct gpmm_area *area);

/* ------------------------------------------------------------- figures --- */

struct gpmm_kvm_stats {
	unsigned int slots;	/* in use */
	unsigned int slots_max;	/* that the backend may use, reserve included */
	uint64_t ioctls;	/* made so far, failed ones included */
	uint64_t commits;	/* transactions that succeeded */
	struct gpmm_kvm_stalls stalls;
};

/* Context: writer. */
void gpmm_kvm_get_stats(struct gpmm_backend *backend,
			struct gpmm_kvm_stats *stats);

#ifdef __cplusplus
}
#endif
#endif

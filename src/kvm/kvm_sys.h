/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The kernel, as the rest of the room sees it: each ioctl once, errors as
 * -errno. A table of functions stands under it, so that tests can put a fake
 * kernel there or let the Nth call fail.
 */
#ifndef GPMM_KVM_SYS_H
#define GPMM_KVM_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <linux/kvm.h>

/* What the headers of Debian 12 do not have yet. */
#ifndef KVM_CAP_USER_MEMORY2
#define KVM_CAP_USER_MEMORY2 231
#endif
#ifndef KVM_CAP_MEMORY_FAULT_INFO
#define KVM_CAP_MEMORY_FAULT_INFO 232
#endif
#ifndef KVM_CAP_MEMORY_ATTRIBUTES
#define KVM_CAP_MEMORY_ATTRIBUTES 233
#endif
#ifndef KVM_CAP_GUEST_MEMFD
#define KVM_CAP_GUEST_MEMFD 234
#endif
#ifndef KVM_CAP_PRE_FAULT_MEMORY
#define KVM_CAP_PRE_FAULT_MEMORY 236
#endif
#ifndef KVM_PRE_FAULT_MEMORY
#define KVM_PRE_FAULT_MEMORY 0xc040aed5UL
#endif
#ifndef KVM_SET_MEMORY_ATTRIBUTES
#define KVM_SET_MEMORY_ATTRIBUTES 0x4020aed2UL
#endif
#ifndef KVM_MEMORY_ATTRIBUTE_PRIVATE
#define KVM_MEMORY_ATTRIBUTE_PRIVATE (1ULL << 3)
#endif
#ifndef KVM_X86_QUIRK_SLOT_ZAP_ALL
#define KVM_X86_QUIRK_SLOT_ZAP_ALL (1 << 7)
#endif
#ifndef KVM_SET_USER_MEMORY_REGION2
#define KVM_SET_USER_MEMORY_REGION2 0x40a0ae49UL
#endif
#ifndef KVM_MEM_GUEST_MEMFD
#define KVM_MEM_GUEST_MEMFD (1UL << 2)
#endif
#ifndef KVM_EXIT_MEMORY_FAULT
#define KVM_EXIT_MEMORY_FAULT 39
#endif
#ifndef KVM_MEMORY_EXIT_FLAG_PRIVATE
#define KVM_MEMORY_EXIT_FLAG_PRIVATE (1ULL << 3)
#endif

/*
 * The C library's function is one more return, and one more page of code, when
 * the kernel has left little of either in the caches.
 */
#if defined(__x86_64__) && !defined(__ILP32__)
static inline int kvm_call_ioctl(int fd, unsigned long request, uintptr_t arg)
{
	long ret = SYS_ioctl;

	__asm__ volatile("syscall"
			 : "+a" (ret)
			 : "D" ((long)fd), "S" (request), "d" (arg)
			 : "rcx", "r11", "memory");
	return ret;
}
#else
static inline int kvm_call_ioctl(int fd, unsigned long request, uintptr_t arg)
{
	int ret = ioctl(fd, request, arg);

	return ret < 0 ? -errno : ret;
}
#endif

struct kvm_sys_ops {
	/* As ioctl(2), but returns -errno. */
	int (*ioctl)(void *ctx, int fd, unsigned long request, uintptr_t arg);
};

/* The real one. */
extern const struct kvm_sys_ops gpmm__kvm_sys_real;

/* One virtual machine. */
struct kvm_sys {
	const struct kvm_sys_ops *ops;
	void *ctx;		/* of @ops */
	uint64_t calls;		/* ioctls made, failed ones included */
	int vm_fd;
};

/*
 * Inline, and the real one not through its table: a system call leaves the CPU
 * without its return addresses, and each return after it is mispredicted.
 */
static inline __attribute__((always_inline)) int
kvm_vm_ioctl(struct kvm_sys *sys, unsigned long request, uintptr_t arg)
{
	sys->calls++;
	if (sys->ops == &gpmm__kvm_sys_real)
		return kvm_call_ioctl(sys->vm_fd, request, arg);
	return sys->ops->ioctl(sys->ctx, sys->vm_fd, request, arg);
}

/* What a memslot says; a size of 0 is no slot. */
struct kvm_region {
	uint64_t gpa;		/* bytes, as all three */
	uint64_t size;
	uint64_t hva;
	uint32_t flags;		/* KVM_MEM_READONLY and so on */
	int memfd;		/* with KVM_MEM_GUEST_MEMFD */
	uint64_t memfd_offset;	/* bytes */
};

/* Return: what KVM_CHECK_EXTENSION says; negative where @vm_fd is no VM. */
int gpmm__kvm_extension(struct kvm_sys *sys, unsigned int cap);

/*
 * Is @vm_fd a VM? /dev/kvm itself answers KVM_CHECK_EXTENSION, too; a vCPU
 * calls it invalid. Return: 0, -ENOTTY or -EBADF.
 */
int gpmm__kvm_check_vm(struct kvm_sys *sys);

/* The first form has a fifth of the bytes. */
static inline int kvm_set_region1(struct kvm_sys *sys, uint32_t slot,
				  const struct kvm_region *region)
{
	const struct kvm_userspace_memory_region arg = {
		.slot = slot,
		.flags = region->flags,
		.guest_phys_addr = region->gpa,
		.memory_size = region->size,
		.userspace_addr = region->hva,
	};

	return kvm_vm_ioctl(sys, KVM_SET_USER_MEMORY_REGION, (uintptr_t)&arg);
}

/* What the slot of a guest_memfd is made by. */
int gpmm__kvm_set_region2(struct kvm_sys *sys, uint32_t slot,
			  const struct kvm_region *region);

/*
 * Make, change or (size 0) delete a slot; bits 16 to 31 of @slot are the
 * address space. What KVM allows to change: facts in slots.h.
 */
static inline int kvm_set_region(struct kvm_sys *sys, uint32_t slot,
				 const struct kvm_region *region)
{
	if (__builtin_expect(region->flags & KVM_MEM_GUEST_MEMFD, 0))
		return gpmm__kvm_set_region2(sys, slot, region);
	return kvm_set_region1(sys, slot, region);
}

/* kvm_run's memory_fault, bytes. */
struct kvm_memory_fault {
	uint64_t flags;
	uint64_t gpa;
	uint64_t size;
};

static inline const struct kvm_memory_fault *
kvm_run_memory_fault(const struct kvm_run *run)
{
	return (const void *)&run->hw;	/* a member of the same union */
}

/* Return: 0 or -errno. */
int gpmm__kvm_enable_cap(struct kvm_sys *sys, uint32_t cap, uint64_t arg);

/*
 * The dirty log of a slot, a bit a page; @bitmap has whole words for all of
 * it. To clear, @first is a multiple of 64 pages, and @count is one too where
 * it does not end the slot.
 */
int gpmm__kvm_get_dirty_log(struct kvm_sys *sys, uint32_t slot,
			    uint64_t *bitmap);
int gpmm__kvm_clear_dirty_log(struct kvm_sys *sys, uint32_t slot,
			      uint64_t first, uint32_t count,
			      uint64_t *bitmap);

/* Private memory or shared. Return: 0 or -errno. */
int gpmm__kvm_set_private(struct kvm_sys *sys, uint64_t gpa, uint64_t size,
			  bool is_private);
/*
 * Map memory into the guest before it asks. *@gpa and *@size become what is
 * left to do. Return: 0 or -errno.
 */
int gpmm__kvm_pre_fault(struct kvm_sys *sys, int vcpu_fd, uint64_t *gpa,
			uint64_t *size);

/* An eventfd for writes at an address. */
struct kvm_event {
	uint64_t gpa;
	uint32_t size;		/* bytes; 0: any */
	int fd;
	bool match;		/* only of @value */
	uint64_t value;
};

/* Add an event to the VM or remove it. Return: 0 or -errno. */
int gpmm__kvm_set_event(struct kvm_sys *sys, const struct kvm_event *event,
			bool on);
/*
 * Keep writes to a range, or no more. To remove a zone KVM removes all that
 * contain its range. Return: 0 or -errno.
 */
int gpmm__kvm_set_coalesced(struct kvm_sys *sys, uint64_t gpa, uint32_t size,
			    bool on);

/*
 * The ring of what was kept, @page of a vCPU's mapping (as the capability
 * says), and how many entries it can have.
 */
struct kvm_coalesced_mmio_ring *gpmm__kvm_coalesced_ring(struct kvm_run *run,
							 unsigned int page);
uint32_t gpmm__kvm_coalesced_max(void);

/* A vCPU's dirty ring, mapped. Return: 0 or -errno. */
int gpmm__kvm_map_ring(int vcpu_fd, size_t bytes, struct kvm_dirty_gfn **ring);
void gpmm__kvm_unmap_ring(struct kvm_dirty_gfn *ring, size_t bytes);
/* Return: 0 or more, or -errno with nothing done. */
int gpmm__kvm_reset_rings(struct kvm_sys *sys);

/* KVM_RUN on a vCPU's descriptor; not counted. */
int gpmm__kvm_run(struct kvm_sys *sys, int vcpu_fd);

#endif

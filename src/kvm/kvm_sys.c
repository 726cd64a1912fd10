/* SPDX-License-Identifier: BSD-3-Clause */
#include "kvm/kvm_sys.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static int real_ioctl(void *ctx, int fd, unsigned long request, uintptr_t arg)
{
	(void)ctx;
	return kvm_call_ioctl(fd, request, arg);
}

const struct kvm_sys_ops gpmm__kvm_sys_real = {
	.ioctl = real_ioctl,
};

int gpmm__kvm_extension(struct kvm_sys *sys, unsigned int cap)
{
	return kvm_vm_ioctl(sys, KVM_CHECK_EXTENSION, cap);
}

int gpmm__kvm_check_vm(struct kvm_sys *sys)
{
	int ret = gpmm__kvm_extension(sys, KVM_CAP_USER_MEMORY);

	if (ret < 0)
		return ret == -EINVAL ? -ENOTTY : ret;
	/* A version is what the device has, and no VM. */
	return kvm_vm_ioctl(sys, KVM_GET_API_VERSION, 0) < 0 ? 0 : -ENOTTY;
}

/* struct kvm_userspace_memory_region2, which older headers lack. */
int gpmm__kvm_set_region2(struct kvm_sys *sys, uint32_t slot,
			  const struct kvm_region *region)
{
	const struct {
		uint32_t slot, flags;
		uint64_t gpa, size, hva, memfd_offset;
		uint32_t memfd, pad1;
		uint64_t pad2[14];
	} arg = {
		slot, region->flags, region->gpa, region->size, region->hva,
		region->memfd_offset, region->memfd, 0, { 0 },
	};

	_Static_assert(sizeof(arg) == 160, "as the kernel has it");
	return kvm_vm_ioctl(sys, KVM_SET_USER_MEMORY_REGION2, (uintptr_t)&arg);
}

int gpmm__kvm_enable_cap(struct kvm_sys *sys, uint32_t cap, uint64_t arg)
{
	const struct kvm_enable_cap enable = { .cap = cap, .args = { arg } };

	return kvm_vm_ioctl(sys, KVM_ENABLE_CAP, (uintptr_t)&enable);
}

int gpmm__kvm_get_dirty_log(struct kvm_sys *sys, uint32_t slot,
			    uint64_t *bitmap)
{
	const struct kvm_dirty_log log = {
		.slot = slot, .dirty_bitmap = bitmap,
	};

	return kvm_vm_ioctl(sys, KVM_GET_DIRTY_LOG, (uintptr_t)&log);
}

int gpmm__kvm_clear_dirty_log(struct kvm_sys *sys, uint32_t slot,
			      uint64_t first, uint32_t count, uint64_t *bitmap)
{
	const struct kvm_clear_dirty_log log = {
		.slot = slot,
		.first_page = first,
		.num_pages = count,
		.dirty_bitmap = bitmap,
	};

	return kvm_vm_ioctl(sys, KVM_CLEAR_DIRTY_LOG, (uintptr_t)&log);
}

/* struct kvm_memory_attributes, which older headers lack. */
int gpmm__kvm_set_private(struct kvm_sys *sys, uint64_t gpa, uint64_t size,
			  bool is_private)
{
	const struct {
		uint64_t address, size, attributes, flags;
	} arg = {
		gpa, size, is_private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0, 0,
	};

	return kvm_vm_ioctl(sys, KVM_SET_MEMORY_ATTRIBUTES, (uintptr_t)&arg);
}

/* struct kvm_pre_fault_memory, likewise; KVM writes gpa and size back. */
int gpmm__kvm_pre_fault(struct kvm_sys *sys, int vcpu_fd, uint64_t *gpa,
			uint64_t *size)
{
	struct {
		uint64_t gpa, size, flags, padding[5];
	} arg = { *gpa, *size, 0, { 0 } };
	int ret;

	ret = sys->ops->ioctl(sys->ctx, vcpu_fd, KVM_PRE_FAULT_MEMORY,
			      (uintptr_t)&arg);
	*gpa = arg.gpa;
	*size = arg.size;
	return ret;
}

int gpmm__kvm_set_event(struct kvm_sys *sys, const struct kvm_event *event,
			bool on)
{
	const struct kvm_ioeventfd arg = {
		.datamatch = event->value,
		.addr = event->gpa,
		.len = event->size,
		.fd = event->fd,
		.flags = (event->match ? KVM_IOEVENTFD_FLAG_DATAMATCH : 0) |
			 (on ? 0 : KVM_IOEVENTFD_FLAG_DEASSIGN),
	};

	return kvm_vm_ioctl(sys, KVM_IOEVENTFD, (uintptr_t)&arg);
}

int gpmm__kvm_set_coalesced(struct kvm_sys *sys, uint64_t gpa, uint32_t size,
			    bool on)
{
	const struct kvm_coalesced_mmio_zone arg = {
		.addr = gpa, .size = size,
	};

	return kvm_vm_ioctl(sys, on ? KVM_REGISTER_COALESCED_MMIO :
			KVM_UNREGISTER_COALESCED_MMIO, (uintptr_t)&arg);
}

struct kvm_coalesced_mmio_ring *gpmm__kvm_coalesced_ring(struct kvm_run *run,
							 unsigned int page)
{
	return (void *)((char *)run + page * sysconf(_SC_PAGESIZE));
}

/* The ring has a page. */
uint32_t gpmm__kvm_coalesced_max(void)
{
	return (sysconf(_SC_PAGESIZE) -
		sizeof(struct kvm_coalesced_mmio_ring)) /
	       sizeof(struct kvm_coalesced_mmio);
}

int gpmm__kvm_map_ring(int vcpu_fd, size_t bytes, struct kvm_dirty_gfn **ring)
{
	off_t offset = (off_t)KVM_DIRTY_LOG_PAGE_OFFSET *
		       sysconf(_SC_PAGESIZE);
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
			vcpu_fd, offset);

	if (at == MAP_FAILED)
		return -errno;
	*ring = at;
	return 0;
}

void gpmm__kvm_unmap_ring(struct kvm_dirty_gfn *ring, size_t bytes)
{
	munmap(ring, bytes);
}

/* Newer kernels stop for a signal, with part of it done. */
int gpmm__kvm_reset_rings(struct kvm_sys *sys)
{
	int ret;

	do
		ret = kvm_vm_ioctl(sys, KVM_RESET_DIRTY_RINGS, 0);
	while (ret == -EINTR);
	return ret;
}

int gpmm__kvm_run(struct kvm_sys *sys, int vcpu_fd)
{
	return sys->ops->ioctl(sys->ctx, vcpu_fd, KVM_RUN, 0);
}

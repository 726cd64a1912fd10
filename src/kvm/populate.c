/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Memory that is there before the guest asks for it, and memory that changes
 * between private and shared.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "kvm/kvm_backend.h"
#include "util/range.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

/* Bytes in one go: writers wait meanwhile. */
#define STEP (UINT64_C(16) << 20)

/* The part of [*first, last] in the next slot, STEP at most; or none. */
static bool next_part(struct slots *slots, uint64_t *first, uint64_t last,
		      struct kvm_region *part)
{
	const struct slot *slot = gpmm__slot_map_find(&slots->live, *first,
						      last);
	uint64_t skip;

	if (!slot)
		return false;
	if (*first < slot->at.gpa)
		*first = slot->at.gpa;
	skip = *first - slot->at.gpa;
	*part = slot->at;
	part->gpa += skip;
	part->hva += skip;
	part->memfd_offset += skip;
	part->size -= skip;
	if (part->size - 1 > last - part->gpa)
		part->size = last - part->gpa + 1;
	if (part->size > STEP)
		part->size = STEP;
	return true;
}

/* A guest_memfd need not be mapped: its file has the memory. */
static int populate_file(const struct kvm_region *part)
{
	return fallocate(part->memfd, FALLOC_FL_KEEP_SIZE, part->memfd_offset,
			 part->size) ? -errno : 0;
}

static int populate_host(const struct kvm_region *part)
{
	int advice = part->flags & KVM_MEM_READONLY ? MADV_POPULATE_READ :
						      MADV_POPULATE_WRITE;

	if (part->flags & KVM_MEM_GUEST_MEMFD)
		return populate_file(part);
	if (!madvise((void *)(uintptr_t)part->hva, part->size, advice))
		return 0;
	/* An older kernel, or memory that is mapped otherwise. */
	return errno == EINVAL ? -EOPNOTSUPP : -errno;
}

/*
 * Not instead of populate_host(): KVM faults as a read does, which may find a
 * page of zeroes that a write would have to replace. A vCPU that is in a guest
 * of its own cannot do it (KVM's api documentation, 4.143).
 */
static int pre_fault(struct kvm_backend *kvm, int vcpu_fd,
		     const struct kvm_region *part)
{
	uint64_t gpa = part->gpa;
	uint64_t size = part->size;
	int ret = 0;

	while (!ret && size)
		ret = gpmm__kvm_pre_fault(&kvm->sys, vcpu_fd, &gpa, &size);
	return ret == -EOPNOTSUPP ? 0 : ret;
}

static int populate_part(struct kvm_backend *kvm, int vcpu_fd,
			 const struct kvm_region *part)
{
	int ret = populate_host(part);

	if (!ret && vcpu_fd >= 0 && kvm->features & GPMM_KVM_PRE_FAULT)
		ret = pre_fault(kvm, vcpu_fd, part);
	return ret;
}

/* One part, under the lock: its slot and so its memory stay. */
static int populate_next(struct kvm_backend *kvm, int vcpu_fd, uint64_t *first,
			 uint64_t last, bool *more)
{
	struct kvm_region part = { .size = 0 };
	int ret = lock_acquire(&kvm->lock);

	if (ret)
		return ret;
	*more = next_part(&kvm->slots, first, last, &part);
	if (*more)
		ret = populate_part(kvm, vcpu_fd, &part);
	lock_release(&kvm->lock);
	if (*more && !ret) {
		*more = last - part.gpa >= part.size;
		*first = part.gpa + part.size;
	}
	return ret;
}

int gpmm_kvm_populate(struct gpmm_backend *backend, int vcpu_fd,
		      gpmm_gpa_t start, uint64_t size)
{
	struct kvm_backend *kvm = to_kvm(backend);
	struct span span;
	bool more = true;
	int ret = 0;

	if (!size)
		return 0;
	if (!range_to_span(start, size, &span) ||
	    !is_aligned(start | size, backend->granule))
		return -EINVAL;
	while (more && !ret) {
		ret = populate_next(kvm, vcpu_fd, &span.first, span.last,
				    &more);
		if (ret == -EINTR || ret == -EAGAIN)
			ret = 0;
	}
	return ret;
}

int gpmm_kvm_set_private(struct gpmm_backend *backend, gpmm_gpa_t start,
			 uint64_t size, bool is_private)
{
	struct kvm_backend *kvm = to_kvm(backend);
	struct span span;
	int ret;

	if (!(kvm->features & GPMM_KVM_ATTRIBUTES))
		return -EOPNOTSUPP;
	if (!range_to_span(start, size, &span) ||
	    !is_aligned(start | size, backend->granule))
		return -EINVAL;
	ret = lock_acquire(&kvm->lock);
	if (ret)
		return ret;
	ret = gpmm__kvm_set_private(&kvm->sys, start, size, is_private);
	lock_release(&kvm->lock);
	return ret;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A guest of a few pages under the real /dev/kvm: 64-bit code at CPL 3, which
 * also runs natively where KVM has no hardware virtualization. Addresses are
 * mapped one to one below 8 GiB. The guest's own pages, page tables included,
 * are one slot of the rig's; everything else is free for what is tested.
 */
#ifndef KVM_GUEST_H
#define KVM_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/kvm.h>

#define KVM_GUEST_SLOT 0
#define KVM_GUEST_GPA UINT64_C(0x1c0000000)
#define KVM_GUEST_PAGES 16
/* Never memory: the guest's store there ends a call. */
#define KVM_GUEST_DOORBELL UINT64_C(0x1f0000000)
/* A page of the rig's slot that the guest may count in. */
#define KVM_GUEST_SCRATCH (KVM_GUEST_GPA + UINT64_C(13) * 4096)
#define KVM_GUEST_VCPUS 4

struct kvm_guest_vcpu {
	int fd;
	struct kvm_run *run;
	bool pending;		/* the last exit is to be completed first */
};

struct kvm_guest {
	int kvm_fd;
	int vm_fd;
	long run_size;
	uint8_t *memory;	/* of the rig's own slot */
	unsigned int nr_vcpus;
	struct kvm_guest_vcpu vcpus[KVM_GUEST_VCPUS];
};

enum kvm_guest_routine {
	KVM_GUEST_LOAD,		/* result = [rdi] */
	KVM_GUEST_STORE,	/* [rdi] = rax, result = [rdi] */
	KVM_GUEST_TOUCH,	/* [rdi] of each of rcx pages = rax */
	KVM_GUEST_WATCH,	/* see kvm_guest_code.c */
	KVM_GUEST_READER,
	KVM_GUEST_WRITER,
	KVM_GUEST_ROUTINES
};

/* The registers with which a routine starts; rsi is the doorbell. */
struct kvm_guest_args {
	uint64_t rdi, rax, rbx, rcx, rdx, r8;
};

enum kvm_guest_exit {
	KVM_GUEST_DONE,		/* the doorbell */
	KVM_GUEST_MMIO_READ,
	KVM_GUEST_MMIO_WRITE,
	KVM_GUEST_OTHER,	/* run->exit_reason, or an error of KVM_RUN */
};

struct kvm_guest_result {
	enum kvm_guest_exit exit;
	uint64_t gpa;		/* of an MMIO exit */
	uint64_t value;		/* what was written */
	uint32_t reason;	/* run->exit_reason */
	int error;		/* KVM_RUN's, -errno; 0 */
};

/* Return: NULL, or why it cannot be had here. */
const char *kvm_guest_init(struct kvm_guest *guest, unsigned int nr_vcpus);
/* The host's view of the scratch page. */
uint64_t *kvm_guest_scratch(struct kvm_guest *guest);
void kvm_guest_fini(struct kvm_guest *guest);

/* The same in two steps: what needs a VM without vCPUs goes between them. */
const char *kvm_guest_init_vm(struct kvm_guest *guest);
const char *kvm_guest_add_vcpus(struct kvm_guest *guest, unsigned int count);

/* Set a vCPU up to run @routine; complete what the last exit left. */
void kvm_guest_prepare(struct kvm_guest_vcpu *vcpu,
		       enum kvm_guest_routine routine,
		       const struct kvm_guest_args *args);

/* KVM_RUN once. -EINTR is a result like others. */
struct kvm_guest_result kvm_guest_run(struct kvm_guest_vcpu *vcpu);

/* What a KVM_RUN of the caller's own ended with; @ret: 0 or -errno. */
struct kvm_guest_result kvm_guest_exit(struct kvm_guest_vcpu *vcpu, int ret);

/* Prepare and run until something other than a signal ends it. */
struct kvm_guest_result kvm_guest_call(struct kvm_guest_vcpu *vcpu,
				       enum kvm_guest_routine routine,
				       const struct kvm_guest_args *args);

/* Shorthands on the first vCPU. */
struct kvm_guest_result kvm_guest_load(struct kvm_guest *guest, uint64_t gpa);
struct kvm_guest_result kvm_guest_store(struct kvm_guest *guest, uint64_t gpa,
					uint64_t value);

#endif

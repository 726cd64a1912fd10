/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/kvm_guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "helpers/kvm_guest_code.h"

#define PAGE UINT64_C(4096)
#define SIZE (KVM_GUEST_PAGES * PAGE)

/* Pages of the rig's own memory. */
enum { PML4, PDPT, PD, TSS = PD + 8, CODE, STACK, SCRATCH };

static uint64_t gpa_of(unsigned int page)
{
	return KVM_GUEST_GPA + page * PAGE;
}

static void build_tables(uint8_t *memory)
{
	const uint64_t present_write_user = 7;
	const uint64_t large = 0x80;
	uint64_t *pml4 = (uint64_t *)(memory + PML4 * PAGE);
	uint64_t *pdpt = (uint64_t *)(memory + PDPT * PAGE);
	uint64_t *pd = (uint64_t *)(memory + PD * PAGE);

	pml4[0] = gpa_of(PDPT) | present_write_user;
	for (unsigned int i = 0; i < 8; i++)
		pdpt[i] = gpa_of(PD + i) | present_write_user;
	for (uint64_t i = 0; i < 8 * 512; i++)
		pd[i] = i << 21 | present_write_user | large;
}

static const char *make_memory(struct kvm_guest *guest)
{
	struct kvm_userspace_memory_region region = {
		.slot = KVM_GUEST_SLOT,
		.guest_phys_addr = KVM_GUEST_GPA,
		.memory_size = SIZE,
	};

	guest->memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (guest->memory == MAP_FAILED)
		return "no memory for the guest";
	build_tables(guest->memory);
	memcpy(guest->memory + CODE * PAGE, kvm_guest_code,
	       kvm_guest_code_end - kvm_guest_code);
	region.userspace_addr = (uintptr_t)guest->memory;
	if (ioctl(guest->vm_fd, KVM_SET_USER_MEMORY_REGION, &region))
		return "KVM refuses the guest's memory";
	return NULL;
}

static struct kvm_segment user_segment(uint16_t selector, uint8_t type)
{
	return (struct kvm_segment){
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.dpl = 3,
		.db = type == 3,
		.s = 1,
		.l = type == 11,
		.g = 1,
	};
}

/* Long mode at CPL 3: KVM without VMX or SVM runs only that natively. */
static bool set_mode(struct kvm_guest_vcpu *vcpu)
{
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs))
		return false;
	sregs.cs = user_segment(0x33, 11);
	sregs.ss = sregs.ds = sregs.es = user_segment(0x2b, 3);
	sregs.fs = sregs.gs = sregs.ds;
	sregs.tr = (struct kvm_segment){
		.base = gpa_of(TSS), .limit = 0x67, .type = 11, .present = 1,
	};
	memset(&sregs.ldt, 0, sizeof(sregs.ldt));
	sregs.ldt.unusable = 1;
	sregs.cr0 = 0x80050033;
	sregs.cr3 = gpa_of(PML4);
	sregs.cr4 = 0x20;
	sregs.efer = 0xd01;
	return !ioctl(vcpu->fd, KVM_SET_SREGS, &sregs);
}

static bool set_cpuid(struct kvm_guest *guest, struct kvm_guest_vcpu *vcpu)
{
	const unsigned int most = 256;
	struct kvm_cpuid2 *cpuid;
	bool done;

	cpuid = calloc(1, sizeof(*cpuid) + most * sizeof(*cpuid->entries));
	if (!cpuid)
		return false;
	cpuid->nent = most;
	done = !ioctl(guest->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) &&
	       !ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid);
	free(cpuid);
	return done;
}

const char *kvm_guest_init_vm(struct kvm_guest *guest)
{
	*guest = (struct kvm_guest){ .vm_fd = -1, .memory = MAP_FAILED };
#ifndef __x86_64__
	return "the guest's code is for x86-64";
#endif
	guest->kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (guest->kvm_fd < 0)
		return "no /dev/kvm that this user may open";
	guest->vm_fd = ioctl(guest->kvm_fd, KVM_CREATE_VM, 0);
	if (guest->vm_fd < 0)
		return "KVM_CREATE_VM fails";
	guest->run_size = ioctl(guest->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	return make_memory(guest);
}

const char *kvm_guest_add_vcpus(struct kvm_guest *guest, unsigned int count)
{
	while (guest->nr_vcpus < count) {
		struct kvm_guest_vcpu *vcpu = &guest->vcpus[guest->nr_vcpus];

		vcpu->fd = ioctl(guest->vm_fd, KVM_CREATE_VCPU,
				 guest->nr_vcpus);
		if (vcpu->fd < 0)
			return "KVM_CREATE_VCPU fails";
		guest->nr_vcpus++;
		vcpu->run = mmap(NULL, guest->run_size, PROT_READ | PROT_WRITE,
				 MAP_SHARED, vcpu->fd, 0);
		if (vcpu->run == MAP_FAILED)
			return "kvm_run cannot be mapped";
		if (!set_cpuid(guest, vcpu) || !set_mode(vcpu))
			return "KVM refuses the vCPU's state";
	}
	return NULL;
}

const char *kvm_guest_init(struct kvm_guest *guest, unsigned int nr_vcpus)
{
	const char *problem = kvm_guest_init_vm(guest);

	return problem ? problem : kvm_guest_add_vcpus(guest, nr_vcpus);
}

void kvm_guest_fini(struct kvm_guest *guest)
{
	for (unsigned int i = 0; i < guest->nr_vcpus; i++) {
		if (guest->vcpus[i].run != MAP_FAILED)
			munmap(guest->vcpus[i].run, guest->run_size);
		close(guest->vcpus[i].fd);
	}
	if (guest->vm_fd >= 0)
		close(guest->vm_fd);
	if (guest->kvm_fd >= 0)
		close(guest->kvm_fd);
	if (guest->memory != MAP_FAILED)
		munmap(guest->memory, SIZE);
}

/* An MMIO exit is completed by the next KVM_RUN, which must not go on. */
static void complete(struct kvm_guest_vcpu *vcpu)
{
	if (!vcpu->pending)
		return;
	vcpu->run->immediate_exit = 1;
	ioctl(vcpu->fd, KVM_RUN, 0);
	vcpu->run->immediate_exit = 0;
	vcpu->pending = false;
}

void kvm_guest_prepare(struct kvm_guest_vcpu *vcpu,
		       enum kvm_guest_routine routine,
		       const struct kvm_guest_args *args)
{
	struct kvm_regs regs = {
		.rip = gpa_of(CODE) +
		       (kvm_guest_routines[routine] - kvm_guest_code),
		.rsp = gpa_of(STACK) + PAGE,
		.rflags = 0x3202,
		.rsi = KVM_GUEST_DOORBELL,
		.rdi = args->rdi,
		.rax = args->rax,
		.rbx = args->rbx,
		.rcx = args->rcx,
		.rdx = args->rdx,
		.r8 = args->r8,
	};

	complete(vcpu);
	set_mode(vcpu);
	ioctl(vcpu->fd, KVM_SET_REGS, &regs);
}

static void read_mmio(const struct kvm_run *run, struct kvm_guest_result *to)
{
	to->gpa = run->mmio.phys_addr;
	memcpy(&to->value, run->mmio.data, sizeof(to->value));
	if (!run->mmio.is_write)
		to->exit = KVM_GUEST_MMIO_READ;
	else if (to->gpa == KVM_GUEST_DOORBELL)
		to->exit = KVM_GUEST_DONE;
	else
		to->exit = KVM_GUEST_MMIO_WRITE;
}

struct kvm_guest_result kvm_guest_exit(struct kvm_guest_vcpu *vcpu, int ret)
{
	struct kvm_guest_result result = { .exit = KVM_GUEST_OTHER };

	result.error = ret;
	result.reason = vcpu->run->exit_reason;
	if (result.error)
		return result;
	vcpu->pending = result.reason == KVM_EXIT_MMIO ||
			result.reason == KVM_EXIT_IO;
	if (result.reason == KVM_EXIT_MMIO)
		read_mmio(vcpu->run, &result);
	return result;
}

struct kvm_guest_result kvm_guest_run(struct kvm_guest_vcpu *vcpu)
{
	return kvm_guest_exit(vcpu, ioctl(vcpu->fd, KVM_RUN, 0) ? -errno : 0);
}

uint64_t *kvm_guest_scratch(struct kvm_guest *guest)
{
	return (uint64_t *)(guest->memory + SCRATCH * PAGE);
}

struct kvm_guest_result kvm_guest_call(struct kvm_guest_vcpu *vcpu,
				       enum kvm_guest_routine routine,
				       const struct kvm_guest_args *args)
{
	struct kvm_guest_result result;

	kvm_guest_prepare(vcpu, routine, args);
	do
		result = kvm_guest_run(vcpu);
	while (result.error == -EINTR);
	return result;
}

struct kvm_guest_result kvm_guest_load(struct kvm_guest *guest, uint64_t gpa)
{
	const struct kvm_guest_args args = { .rdi = gpa };

	return kvm_guest_call(&guest->vcpus[0], KVM_GUEST_LOAD, &args);
}

struct kvm_guest_result kvm_guest_store(struct kvm_guest *guest, uint64_t gpa,
					uint64_t value)
{
	const struct kvm_guest_args args = { .rdi = gpa, .rax = value };

	return kvm_guest_call(&guest->vcpus[0], KVM_GUEST_STORE, &args);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "vcpu.h"

#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"
#include "say.h"
#include "watchdog.h"

#define CR0_64BIT	0x80050033	/* paging, protection, write protect */
#define CR4_PAE		0x20
#define EFER_64BIT	0xd01		/* long mode, no-execute, syscall */
#define RFLAGS_IOPL3	0x3202		/* CPL 3 may use ports */
#define CPUID_ENTRIES	256

/* All that KVM can offer: without it KVM assumes a CPU of long ago. */
static void set_cpuid(const struct machine *machine, int vcpu_fd)
{
	struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) +
				  CPUID_ENTRIES * sizeof(cpuid->entries[0]));

	if (!cpuid)
		cannot(ENOMEM, "no memory");
	cpuid->nent = CPUID_ENTRIES;
	if (ioctl(machine->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) ||
	    ioctl(vcpu_fd, KVM_SET_CPUID2, cpuid))
		cannot(errno, "KVM describes no CPU");
	free(cpuid);
}

static void set_sregs(int vcpu_fd)
{
	struct kvm_segment code = {
		.limit = 0xffffffff,
		.selector = 0x33,
		.type = 11,
		.present = 1,
		.dpl = 3,
		.s = 1,
		.l = 1,
		.g = 1,
	};
	struct kvm_segment data = {
		.limit = 0xffffffff,
		.selector = 0x2b,
		.type = 3,
		.present = 1,
		.dpl = 3,
		.db = 1,
		.s = 1,
		.g = 1,
	};
	struct kvm_sregs sregs;

	if (ioctl(vcpu_fd, KVM_GET_SREGS, &sregs))
		cannot(errno, "KVM shows no registers");
	sregs.cs = code;
	sregs.ss = sregs.ds = sregs.es = data;
	sregs.tr = (struct kvm_segment){ .limit = 0x67,
					 .type = 11,
					 .present = 1 };
	sregs.ldt = (struct kvm_segment){ .unusable = 1 };
	sregs.cr0 = CR0_64BIT;
	sregs.cr3 = PAGE_TABLES;
	sregs.cr4 = CR4_PAE;
	sregs.efer = EFER_64BIT;
	if (ioctl(vcpu_fd, KVM_SET_SREGS, &sregs))
		cannot(errno, "KVM refuses 64-bit mode");
}

static void set_regs(int vcpu_fd)
{
	struct kvm_regs regs = {
		.rip = ROM_BASE,
		.rsp = STACK_TOP,
		.rflags = RFLAGS_IOPL3,
	};

	if (ioctl(vcpu_fd, KVM_SET_REGS, &regs))
		cannot(errno, "KVM refuses the registers");
}

static void ignore(int signal)
{
	(void)signal;
}

/* Run behind the gate, so that no change of the set shows the guest a hole. */
static void join_gate(struct vcpu *vcpu, const struct machine *machine)
{
	struct sigaction action = { .sa_handler = ignore };
	struct gpmm_kvm_vcpu_options options = {
		.immediate_exit = &vcpu->run->immediate_exit,
		.signal = SIGUSR1,
	};
	int ret = gpmm_kvm_vcpu_create(machine->memslots, &options,
				       &vcpu->gate);

	if (ret)
		cannot(-ret, "no gate for the virtual CPU");
	sigaction(SIGUSR1, &action, NULL);
}

void vcpu_create(struct vcpu *vcpu, const struct machine *machine)
{
	int size = ioctl(machine->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	vcpu->fd = ioctl(machine->vm_fd, KVM_CREATE_VCPU, 0);
	if (size < 0 || vcpu->fd < 0)
		cannot(errno, "KVM makes no virtual CPU");
	vcpu->run_size = size;
	vcpu->run = mmap(NULL, vcpu->run_size, PROT_READ | PROT_WRITE,
			 MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		cannot(errno, "KVM does not share its virtual CPU");
	set_cpuid(machine, vcpu->fd);
	set_sregs(vcpu->fd);
	set_regs(vcpu->fd);
	join_gate(vcpu, machine);
}

void vcpu_destroy(struct vcpu *vcpu)
{
	gpmm_kvm_vcpu_destroy(vcpu->gate);
	munmap(vcpu->run, vcpu->run_size);
	close(vcpu->fd);
}

static void say_where(const struct vcpu *vcpu, const char *what,
		      uint32_t detail)
{
	struct kvm_regs regs = { 0 };

	ioctl(vcpu->fd, KVM_GET_REGS, &regs);
	say("the guest stops at %#jx: %s, code %u", (uintmax_t)regs.rip, what,
	    detail);
}

/* Return: whether the guest may go on. */
static bool handle_exit(struct vcpu *vcpu, struct accesses *accesses)
{
	struct kvm_run *run = vcpu->run;
	struct gpmm_kvm_access access;

	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		access_port(accesses, run->io.port,
			    (uint8_t *)run + run->io.data_offset, run->io.size,
			    run->io.count, run->io.direction == KVM_EXIT_IO_OUT);
		return true;
	case KVM_EXIT_MMIO:
		gpmm_kvm_decode(run, 0, &access);
		access_memory(accesses, &access);
		return !accesses->count[ACCESS_BROKEN];
	case KVM_EXIT_SHUTDOWN:
		say_where(vcpu, "a fault that it cannot take",
			  run->exit_reason);
		return false;
	case KVM_EXIT_INTERNAL_ERROR:
		say_where(vcpu, "KVM cannot emulate the instruction",
			  run->internal.suberror);
		return false;
	default:
		say_where(vcpu, "an exit of another kind", run->exit_reason);
		return false;
	}
}

enum outcome vcpu_run(struct vcpu *vcpu, struct accesses *accesses,
		      const bool *done)
{
	int ret;

	watchdog_pat();
	while (!*done) {
		ret = gpmm_kvm_run(vcpu->gate, vcpu->fd);
		if (ret == -EINTR && !watchdog_barked())
			continue;
		if (ret == -EINTR) {
			say_where(vcpu, "no sign of life", EINTR);
			return OUTCOME_HUNG;
		}
		if (ret) {
			say_where(vcpu, strerror(-ret), -ret);
			return OUTCOME_DIED;
		}
		if (!handle_exit(vcpu, accesses))
			return OUTCOME_DIED;
		watchdog_pat();
	}
	return OUTCOME_DONE;
}

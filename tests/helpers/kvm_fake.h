/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A kernel to stand under src/kvm/kvm_sys: memslots with KVM's rules, features
 * that come and go, and an error at any call.
 */
#ifndef KVM_FAKE_H
#define KVM_FAKE_H

#include "kvm/kvm_sys.h"

#define FAKE_SLOTS 64
#define FAKE_EVENTS 32
#define FAKE_PAGE 4096

/* A ring of so many entries, the smallest that KVM has. */
#define FAKE_RING (FAKE_PAGE / sizeof(struct kvm_dirty_gfn))

/* An ioeventfd, or a zone whose writes are kept (fd -1). */
struct kvm_fake_event {
	uint64_t addr;
	uint32_t len;
	int fd;
	bool match;
	uint64_t value;
	unsigned int signals;
};

struct kvm_fake {
	struct kvm_region slots[FAKE_SLOTS];
	unsigned int nr_slots;		/* what KVM_CAP_NR_MEMSLOTS says */
	int spaces;			/* address spaces; 0: it does not say */
	unsigned int space;		/* of the last slot that was set */
	bool says_region2;		/* the capability is there */
	bool has_region2;		/* and so is the ioctl */
	/* Calls that change something: how many; how many more succeed. */
	unsigned long changes;
	void (*on_change)(void);	/* what else goes on, before each */
	long left;			/* negative: all of them */
	bool stay;			/* all later ones fail, not just one */
	int error;			/* the error, -errno */
	bool questions_fail;		/* KVM_CHECK_EXTENSION counts, too */
	/* The dirty logs, of slots of up to 64 pages. */
	uint64_t dirty[FAKE_SLOTS];
	int manual;			/* what the capability says */
	int ring;
	bool has_readonly;
	bool has_memfd;
	bool has_attributes;
	bool has_pre_fault;
	bool has_quirk;
	uint64_t private_gpa, private_size;	/* the last conversion */
	uint64_t private_attributes;
	unsigned int pre_faults;
	uint64_t quirks;		/* disabled */
	uint64_t log;			/* bits of manual-protect turned on */
	/* A dirty ring, in a file that stands for the vCPU's descriptor. */
	int ring_fd;
	struct kvm_dirty_gfn *entries;
	uint32_t pushed, reset;		/* entries so far */
	struct kvm_run *vcpu_run;
	unsigned int region1_calls;
	unsigned int region2_calls;
	/* What deals with writes to windows. */
	bool has_event;
	bool has_any_size;
	bool has_coalesced;
	struct kvm_fake_event events[FAKE_EVENTS];
	unsigned int nr_events;
	/* A vCPU's mapping; the ring is its second page. */
	_Alignas(FAKE_PAGE) uint8_t run[2 * FAKE_PAGE];
};

/* A machine with everything, and no slot. */
void kvm_fake_init(struct kvm_fake *fake);

/* What to give to gpmm__kvm_create_on(). */
struct kvm_sys kvm_fake_sys(struct kvm_fake *fake);

/* A guest writes a page; nothing where it is not logged. */
void kvm_fake_write(struct kvm_fake *fake, uint64_t gpa);

/*
 * With a ring, KVM logs a page's first write after its entry was reset; a
 * KVM_RUN with a full ring ends at once. Return: whether there is room for it.
 */
bool kvm_fake_add_ring(struct kvm_fake *fake, struct kvm_run *run);
void kvm_fake_remove_ring(struct kvm_fake *fake);
bool kvm_fake_ring_is_full(const struct kvm_fake *fake);

/* A guest writes to a device. Return: whether that makes no exit. */
bool kvm_fake_mmio(struct kvm_fake *fake, uint64_t gpa, uint32_t size,
		   uint64_t value);

unsigned int kvm_fake_count(const struct kvm_fake *fake);

/* Return: the number of the slot at @gpa, or -1. */
int kvm_fake_find(const struct kvm_fake *fake, uint64_t gpa);

#endif

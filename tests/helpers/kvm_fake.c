/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/kvm_fake.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE FAKE_PAGE

void kvm_fake_init(struct kvm_fake *fake)
{
	*fake = (struct kvm_fake){
		.nr_slots = FAKE_SLOTS,
		.says_region2 = true,
		.has_region2 = true,
		.has_readonly = true,
		.has_memfd = true,
		.has_attributes = true,
		.has_pre_fault = true,
		.has_quirk = true,
		.has_event = true,
		.has_any_size = true,
		.has_coalesced = true,
		.left = -1,
		.error = -ENOMEM,
		.manual = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE |
			  KVM_DIRTY_LOG_INITIALLY_SET,
	};
}

unsigned int kvm_fake_count(const struct kvm_fake *fake)
{
	unsigned int count = 0;

	for (int i = 0; i < FAKE_SLOTS; i++)
		count += fake->slots[i].size > 0;
	return count;
}

int kvm_fake_find(const struct kvm_fake *fake, uint64_t gpa)
{
	for (int i = 0; i < FAKE_SLOTS; i++)
		if (gpa - fake->slots[i].gpa < fake->slots[i].size)
			return i;
	return -1;
}

static bool fails(struct kvm_fake *fake)
{
	fake->changes++;
	if (fake->on_change)
		fake->on_change();
	if (fake->left < 0)
		return false;
	if (fake->left-- > 0)
		return false;
	fake->left = fake->stay ? 0 : -1;
	return true;
}

static bool in_the_way(const struct kvm_fake *fake, uint32_t id,
		       const struct kvm_region *new)
{
	for (uint32_t i = 0; i < FAKE_SLOTS; i++) {
		const struct kvm_region *old = &fake->slots[i];

		if (i != id && old->size && old->gpa < new->gpa + new->size &&
		    new->gpa < old->gpa + old->size)
			return true;
	}
	return false;
}

/* Such a slot is neither read-only nor logged, and never changed. */
static bool may_be_memfd(const struct kvm_region *old,
			 const struct kvm_region *new)
{
	if (!new->size || !((old->flags | new->flags) & KVM_MEM_GUEST_MEMFD))
		return true;
	return !old->size && new->flags == KVM_MEM_GUEST_MEMFD &&
	       new->memfd >= 0 && !(new->memfd_offset % PAGE);
}

/* A log starts with its slot or flag, ends with it, and moves along. */
static void set_log(struct kvm_fake *fake, uint32_t id,
		    const struct kvm_region *old, const struct kvm_region *new)
{
	uint64_t pages = new->size / PAGE;

	if (new->size && new->flags & KVM_MEM_LOG_DIRTY_PAGES) {
		if (old->size && old->flags & KVM_MEM_LOG_DIRTY_PAGES)
			return;
		fake->dirty[id] = 0;
		if (fake->log & KVM_DIRTY_LOG_INITIALLY_SET && pages < 64)
			fake->dirty[id] = (UINT64_C(1) << pages) - 1;
	} else {
		fake->dirty[id] = 0;
	}
}

/* KVM's rules for one slot. */
static int set_region(struct kvm_fake *fake, uint32_t id,
		      const struct kvm_region *new)
{
	struct kvm_region *old = &fake->slots[id & 0xffff];

	if (fails(fake))
		return fake->error;
	fake->space = id >> 16;
	if ((id & 0xffff) >= fake->nr_slots ||
	    fake->space >= (fake->spaces ? (unsigned int)fake->spaces : 1) ||
	    (new->gpa | new->size | new->hva) % PAGE ||
	    new->flags & ~(KVM_MEM_READONLY | KVM_MEM_LOG_DIRTY_PAGES |
			   KVM_MEM_GUEST_MEMFD))
		return -EINVAL;
	if (!may_be_memfd(old, new))
		return -EINVAL;
	if (!new->size && !old->size)
		return -EINVAL;
	if (new->size && old->size &&
	    (new->size != old->size || new->hva != old->hva ||
	     (new->flags ^ old->flags) & KVM_MEM_READONLY))
		return -EINVAL;
	if (new->size && in_the_way(fake, id & 0xffff, new))
		return -EEXIST;
	set_log(fake, id & 0xffff, old, new);
	*old = *new;
	if (!new->size)
		memset(old, 0, sizeof(*old));
	return 0;
}

static int set_region1(struct kvm_fake *fake, uintptr_t arg)
{
	const struct kvm_userspace_memory_region *in = (const void *)arg;
	const struct kvm_region region = {
		in->guest_phys_addr, in->memory_size, in->userspace_addr,
		in->flags, 0, 0,
	};

	fake->region1_calls++;
	if (in->flags & KVM_MEM_GUEST_MEMFD)
		return -EINVAL;
	return set_region(fake, in->slot, &region);
}

static int set_region2(struct kvm_fake *fake, uintptr_t arg)
{
	const uint32_t *head = (const void *)arg;
	const uint64_t *body = (const void *)arg;
	const struct kvm_region region = {
		body[1], body[2], body[3], head[1], head[10], body[4],
	};

	fake->region2_calls++;
	if (!fake->has_region2)
		return -EINVAL;
	return set_region(fake, head[0], &region);
}

static bool is_logged(const struct kvm_fake *fake, uint32_t id)
{
	return fake->slots[id].flags & KVM_MEM_LOG_DIRTY_PAGES;
}

/* ---------------------------------------------------------------- ring --- */

bool kvm_fake_add_ring(struct kvm_fake *fake, struct kvm_run *run)
{
	const off_t offset = KVM_DIRTY_LOG_PAGE_OFFSET * PAGE;
	void *at;

	fake->ring_fd = memfd_create("vcpu", MFD_CLOEXEC);
	if (fake->ring_fd < 0 || ftruncate(fake->ring_fd, offset + PAGE))
		return false;
	at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
		  fake->ring_fd, offset);
	if (at == MAP_FAILED)
		return false;
	fake->entries = at;
	fake->vcpu_run = run;
	return true;
}

void kvm_fake_remove_ring(struct kvm_fake *fake)
{
	munmap(fake->entries, PAGE);
	close(fake->ring_fd);
	fake->entries = NULL;
}

bool kvm_fake_ring_is_full(const struct kvm_fake *fake)
{
	return fake->pushed - fake->reset == FAKE_RING;
}

static void push(struct kvm_fake *fake, uint32_t id, uint64_t page)
{
	struct kvm_dirty_gfn *entry =
		&fake->entries[fake->pushed % FAKE_RING];

	if (kvm_fake_ring_is_full(fake))
		return;
	entry->slot = id;
	entry->offset = page;
	__atomic_store_n(&entry->flags, KVM_DIRTY_GFN_F_DIRTY,
			 __ATOMIC_RELEASE);
	fake->pushed++;
}

static int reset_ring(struct kvm_fake *fake)
{
	int count = 0;

	if (fails(fake))
		return fake->error;
	for (; fake->reset != fake->pushed; fake->reset++, count++) {
		struct kvm_dirty_gfn *entry =
			&fake->entries[fake->reset % FAKE_RING];

		if (!(entry->flags & KVM_DIRTY_GFN_F_RESET))
			break;
		entry->flags = 0;
		fake->dirty[entry->slot] &= ~(UINT64_C(1) << entry->offset);
	}
	return count;
}

static int run_vcpu(const struct kvm_fake *fake)
{
	fake->vcpu_run->exit_reason = kvm_fake_ring_is_full(fake) ?
		KVM_EXIT_DIRTY_RING_FULL : KVM_EXIT_HLT;
	return 0;
}

void kvm_fake_write(struct kvm_fake *fake, uint64_t gpa)
{
	int id = kvm_fake_find(fake, gpa);
	uint64_t page;

	if (id < 0 || !is_logged(fake, id))
		return;
	page = (gpa - fake->slots[id].gpa) / PAGE;
	if (fake->entries && !(fake->dirty[id] >> page & 1))
		push(fake, id, page);
	fake->dirty[id] |= UINT64_C(1) << page;
}

static int get_log(struct kvm_fake *fake, uintptr_t arg)
{
	const struct kvm_dirty_log *log = (const void *)arg;

	if (fails(fake))
		return fake->error;
	if (fake->entries)
		return -ENXIO;
	if (!is_logged(fake, log->slot))
		return -ENOENT;
	*(uint64_t *)log->dirty_bitmap = fake->dirty[log->slot];
	if (!fake->log)
		fake->dirty[log->slot] = 0;
	return 0;
}

static int clear_log(struct kvm_fake *fake, uintptr_t arg)
{
	const struct kvm_clear_dirty_log *log = (const void *)arg;

	if (fails(fake))
		return fake->error;
	if (!fake->log || !is_logged(fake, log->slot) || log->first_page % 64)
		return -EINVAL;
	fake->dirty[log->slot] &= ~*(uint64_t *)log->dirty_bitmap;
	return 0;
}

static int enable_cap(struct kvm_fake *fake, uintptr_t arg)
{
	const struct kvm_enable_cap *cap = (const void *)arg;

	if (fails(fake))
		return fake->error;
	if (cap->cap == KVM_CAP_DISABLE_QUIRKS2) {
		fake->quirks = cap->args[0];
		return 0;
	}
	if (cap->cap == KVM_CAP_DIRTY_LOG_RING)
		return cap->args[0] == FAKE_PAGE ? 0 : -EINVAL;
	if (cap->cap != KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2 ||
	    cap->args[0] & ~(uint64_t)fake->manual)
		return -EINVAL;
	fake->log = cap->args[0];
	return 0;
}

static int set_attributes(struct kvm_fake *fake, uintptr_t arg)
{
	const uint64_t *in = (const void *)arg;

	if (fails(fake))
		return fake->error;
	fake->private_gpa = in[0];
	fake->private_size = in[1];
	fake->private_attributes = in[2];
	return 0;
}

/* A page at a time, as an interrupted kernel does. */
static int pre_fault(struct kvm_fake *fake, uintptr_t arg)
{
	uint64_t *in = (void *)arg;

	if (fails(fake))
		return fake->error;
	fake->pre_faults++;
	in[0] += PAGE;
	in[1] -= PAGE;
	return 0;
}

/* --------------------------------------------------------- windows --- */

/* KVM's: one would be signalled where the other would. */
static bool collides(const struct kvm_fake_event *a,
		     const struct kvm_fake_event *b)
{
	return a->fd >= 0 && b->fd >= 0 && a->addr == b->addr &&
	       (!a->len || !b->len || a->len == b->len) &&
	       (!a->match || !b->match || a->value == b->value);
}

static int add_event(struct kvm_fake *fake, const struct kvm_fake_event *new)
{
	for (unsigned int i = 0; i < fake->nr_events; i++)
		if (collides(&fake->events[i], new))
			return -EEXIST;
	if (fake->nr_events == FAKE_EVENTS)
		return -ENOSPC;
	fake->events[fake->nr_events++] = *new;
	return 0;
}

static void remove_event(struct kvm_fake *fake, unsigned int i)
{
	fake->events[i] = fake->events[--fake->nr_events];
}

static int set_event(struct kvm_fake *fake, uintptr_t arg)
{
	const struct kvm_ioeventfd *in = (const void *)arg;
	const struct kvm_fake_event event = {
		in->addr, in->len, in->fd,
		in->flags & KVM_IOEVENTFD_FLAG_DATAMATCH, in->datamatch, 0,
	};

	if (fails(fake))
		return fake->error;
	if (!(in->flags & KVM_IOEVENTFD_FLAG_DEASSIGN))
		return add_event(fake, &event);
	for (unsigned int i = 0; i < fake->nr_events; i++) {
		const struct kvm_fake_event *at = &fake->events[i];

		if (at->fd == event.fd && collides(at, &event) &&
		    at->len == event.len && at->match == event.match) {
			remove_event(fake, i);
			return 0;
		}
	}
	return -ENOENT;
}

/* All zones that contain the range go; none is no error. */
static int set_zone(struct kvm_fake *fake, uintptr_t arg, bool on)
{
	const struct kvm_coalesced_mmio_zone *in = (const void *)arg;
	const struct kvm_fake_event zone = {
		.addr = in->addr, .len = in->size, .fd = -1,
	};

	if (fails(fake))
		return fake->error;
	if (on)
		return add_event(fake, &zone);
	for (unsigned int i = fake->nr_events; i--;) {
		const struct kvm_fake_event *at = &fake->events[i];

		if (at->fd < 0 && at->addr <= zone.addr &&
		    zone.addr + zone.len <= at->addr + at->len)
			remove_event(fake, i);
	}
	return 0;
}

static bool keep(struct kvm_fake *fake, uint64_t gpa, uint32_t size,
		 uint64_t value)
{
	struct kvm_coalesced_mmio_ring *ring =
		(void *)(fake->run + FAKE_PAGE);
	const uint32_t max = (FAKE_PAGE - sizeof(*ring)) /
			     sizeof(*ring->coalesced_mmio);
	struct kvm_coalesced_mmio *at = &ring->coalesced_mmio[ring->last];

	if ((ring->last + 1) % max == ring->first)
		return false;
	*at = (struct kvm_coalesced_mmio){ .phys_addr = gpa, .len = size };
	memcpy(at->data, &value, size);
	ring->last = (ring->last + 1) % max;
	return true;
}

static bool is_signalled(const struct kvm_fake_event *event, uint64_t gpa,
			 uint32_t size, uint64_t value)
{
	return event->fd >= 0 && event->addr == gpa &&
	       (!event->len || event->len == size) &&
	       (!event->match || event->value == value);
}

bool kvm_fake_mmio(struct kvm_fake *fake, uint64_t gpa, uint32_t size,
		   uint64_t value)
{
	for (unsigned int i = 0; i < fake->nr_events; i++) {
		struct kvm_fake_event *at = &fake->events[i];

		if (is_signalled(at, gpa, size, value)) {
			at->signals++;
			return true;
		}
		if (at->fd < 0 && gpa >= at->addr &&
		    gpa + size <= at->addr + at->len)
			return keep(fake, gpa, size, value);
	}
	return false;
}

static int extension(struct kvm_fake *fake, uintptr_t cap)
{
	if (fake->questions_fail && fails(fake))
		return fake->error;
	switch (cap) {
	case KVM_CAP_NR_MEMSLOTS:
		return fake->nr_slots;
	case KVM_CAP_MULTI_ADDRESS_SPACE:
		return fake->spaces;
	case KVM_CAP_USER_MEMORY2:
		return fake->says_region2;
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2:
		return fake->manual;
	case KVM_CAP_DIRTY_LOG_RING:
		return fake->ring;
	case KVM_CAP_READONLY_MEM:
		return fake->has_readonly;
	case KVM_CAP_GUEST_MEMFD:
		return fake->has_memfd;
	case KVM_CAP_MEMORY_ATTRIBUTES:
		return fake->has_attributes ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0;
	case KVM_CAP_PRE_FAULT_MEMORY:
		return fake->has_pre_fault;
	case KVM_CAP_IOEVENTFD:
		return fake->has_event;
	case KVM_CAP_IOEVENTFD_ANY_LENGTH:
		return fake->has_any_size;
	case KVM_CAP_COALESCED_MMIO:
		return fake->has_coalesced;
	case KVM_CAP_DISABLE_QUIRKS2:
		return fake->has_quirk ? KVM_X86_QUIRK_SLOT_ZAP_ALL : 0;
	default:
		return 0;
	}
}

static int fake_ioctl(void *ctx, int fd, unsigned long request, uintptr_t arg)
{
	(void)fd;
	switch (request) {
	case KVM_CHECK_EXTENSION:
		return extension(ctx, arg);
	case KVM_SET_USER_MEMORY_REGION:
		return set_region1(ctx, arg);
	case KVM_SET_USER_MEMORY_REGION2:
		return set_region2(ctx, arg);
	case KVM_GET_DIRTY_LOG:
		return get_log(ctx, arg);
	case KVM_CLEAR_DIRTY_LOG:
		return clear_log(ctx, arg);
	case KVM_SET_MEMORY_ATTRIBUTES:
		return set_attributes(ctx, arg);
	case KVM_PRE_FAULT_MEMORY:
		return pre_fault(ctx, arg);
	case KVM_RESET_DIRTY_RINGS:
		return reset_ring(ctx);
	case KVM_RUN:
		return run_vcpu(ctx);
	case KVM_IOEVENTFD:
		return set_event(ctx, arg);
	case KVM_REGISTER_COALESCED_MMIO:
		return set_zone(ctx, arg, true);
	case KVM_UNREGISTER_COALESCED_MMIO:
		return set_zone(ctx, arg, false);
	case KVM_ENABLE_CAP:
		return enable_cap(ctx, arg);
	default:
		return -ENOTTY;
	}
}

static const struct kvm_sys_ops fake_ops = {
	.ioctl = fake_ioctl,
};

struct kvm_sys kvm_fake_sys(struct kvm_fake *fake)
{
	return (struct kvm_sys){ .ops = &fake_ops, .ctx = fake, .vm_fd = -1 };
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Kinds of slots and what not every host has, over a fake kernel that has all
 * of it, or none.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gpmm/host.h>
#include <gpmm/kvm.h>

#include "helpers/kvm_fake.h"
#include "helpers/kvm_suite.h"
#include "kvm/features.h"
#include "kvm/kvm_backend.h"
#include "util/alloc.h"

#define PAGE UINT64_C(4096)
#define PAGES 16

static struct kvm_fake fake;
static struct gpmm_backend *be;
static struct gpmm_host *host;

static int create(const struct gpmm_kvm_options *options)
{
	struct kvm_sys sys = kvm_fake_sys(&fake);

	return gpmm__kvm_create_on(&sys, options, &be);
}

/* Any file will do for a guest_memfd: the fake kernel does not look. */
static void make_host(enum gpmm_host_kind kind)
{
	struct gpmm_host_options options = {
		.kind = kind, .size = PAGES * PAGE, .fd = -1,
	};

	if (kind == GPMM_HOST_GUEST_MEMFD) {
		options.fd = memfd_create("guest", 0);
		options.offset = 4 * PAGE;
		CU_ASSERT_EQUAL_FATAL(ftruncate(options.fd, 64 * PAGE), 0);
	}
	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&options, &host), 0);
	if (options.fd >= 0)
		close(options.fd);
}

static void setup(enum gpmm_host_kind kind)
{
	kvm_fake_init(&fake);
	CU_ASSERT_EQUAL_FATAL(create(NULL), 0);
	make_host(kind);
}

static void teardown(void)
{
	gpmm_kvm_destroy(be);
	gpmm_host_put(host);
}

static struct gpmm_area at(uint64_t page, uint64_t count, uint64_t memory,
			   uint32_t flags)
{
	return (struct gpmm_area){
		.start = page * PAGE,
		.size = count * PAGE,
		.flags = flags,
		.host = host,
		.hva = (char *)gpmm_host_addr(host) + memory * PAGE,
	};
}

static void begin(void)
{
	CU_ASSERT_EQUAL_FATAL(be->ops->begin(be), 0);
}

static void commit(void)
{
	CU_ASSERT_EQUAL_FATAL(be->ops->commit(be), 0);
	be->ops->published(be);
}

static int map_alone(struct gpmm_area area)
{
	int ret;

	begin();
	ret = be->ops->map(be, &area);
	commit();
	return ret;
}

static void unmap(struct gpmm_area area)
{
	CU_ASSERT_EQUAL_FATAL(be->ops->unmap(be, &area), 0);
}

static bool memfd_slot_is(uint64_t page, uint64_t count, uint64_t memory)
{
	int id = kvm_fake_find(&fake, page * PAGE);
	const struct kvm_region *slot = &fake.slots[id < 0 ? 0 : id];

	return id >= 0 && slot->size == count * PAGE &&
	       slot->flags == KVM_MEM_GUEST_MEMFD &&
	       slot->memfd == gpmm_host_fd(host) &&
	       slot->memfd_offset == (4 + memory) * PAGE;
}

/* ---------------------------------------------------------- guest_memfd --- */

static void test_a_guest_memfd_is_bound_at_its_offset(void)
{
	setup(GPMM_HOST_GUEST_MEMFD);
	CU_ASSERT_EQUAL(map_alone(at(0, 10, 2, GPMM_RW)), 0);
	CU_ASSERT(memfd_slot_is(0, 10, 2));
	CU_ASSERT_EQUAL(map_alone(at(10, 4, 12, GPMM_RW)), 0);
	CU_ASSERT(memfd_slot_is(0, 14, 2));
	begin();
	unmap(at(4, 2, 6, GPMM_RW));
	commit();
	CU_ASSERT(memfd_slot_is(0, 4, 2));
	CU_ASSERT(memfd_slot_is(6, 8, 8));
	teardown();
}

/* The kernel copies a fifth as much for the first, which can delete all. */
static void test_only_a_guest_memfd_takes_the_second_form(void)
{
	setup(GPMM_HOST_GUEST_MEMFD);
	CU_ASSERT_EQUAL(map_alone(at(0, 4, 0, GPMM_RW)), 0);
	CU_ASSERT_EQUAL(fake.region2_calls, 1);
	CU_ASSERT_EQUAL(fake.region1_calls, 0);
	begin();
	unmap(at(0, 4, 0, GPMM_RW));
	commit();
	CU_ASSERT_EQUAL(kvm_fake_count(&fake), 0);
	gpmm_host_put(host);
	make_host(GPMM_HOST_ANON);
	CU_ASSERT_EQUAL(map_alone(at(0, 4, 0, GPMM_RW)), 0);
	CU_ASSERT_EQUAL(fake.region2_calls, 1);
	CU_ASSERT_EQUAL(fake.region1_calls, 2);
	teardown();
}

static void test_a_refused_form_changes_nothing(void)
{
	setup(GPMM_HOST_GUEST_MEMFD);
	fake.has_region2 = false;
	begin();
	CU_ASSERT_EQUAL(be->ops->map(be, &(struct gpmm_area){
			.start = 0, .size = 4 * PAGE, .flags = GPMM_RW,
			.host = host, .hva = gpmm_host_addr(host) }), 0);
	CU_ASSERT_EQUAL(be->ops->commit(be), -EINVAL);
	CU_ASSERT_EQUAL(kvm_fake_count(&fake), 0);
	fake.has_region2 = true;
	CU_ASSERT_EQUAL(map_alone(at(0, 4, 0, GPMM_RW)), 0);
	teardown();
}

/* However they lie in host memory. */
static void test_guest_memfds_do_not_share_a_slot(void)
{
	struct gpmm_area left, right;
	struct gpmm_host *first;

	setup(GPMM_HOST_GUEST_MEMFD);
	first = host;
	left = at(0, 4, 0, GPMM_RW);
	make_host(GPMM_HOST_GUEST_MEMFD);
	right = at(4, 4, 0, GPMM_RW);
	left.hva = (char *)right.hva - left.size;
	CU_ASSERT_EQUAL(map_alone(left), 0);
	CU_ASSERT_EQUAL(map_alone(right), 0);
	CU_ASSERT_EQUAL(kvm_fake_count(&fake), 2);
	CU_ASSERT(memfd_slot_is(4, 4, 0));
	gpmm_host_put(first);
	teardown();
}

static void test_a_guest_memfd_that_moves_is_made_anew(void)
{
	struct gpmm_area new;
	unsigned long before;

	setup(GPMM_HOST_GUEST_MEMFD);
	new = at(20, 4, 0, GPMM_RW);
	map_alone(at(0, 4, 0, GPMM_RW));
	before = fake.changes;
	begin();
	unmap(at(0, 4, 0, GPMM_RW));
	CU_ASSERT_EQUAL(be->ops->map(be, &new), 0);
	commit();
	CU_ASSERT_EQUAL(fake.changes - before, 2);
	CU_ASSERT(memfd_slot_is(20, 4, 0));
	teardown();
}

static void test_a_guest_memfd_is_neither_read_only_nor_logged(void)
{
	setup(GPMM_HOST_GUEST_MEMFD);
	CU_ASSERT_EQUAL(map_alone(at(0, 4, 0, GPMM_READ)), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(map_alone(at(0, 4, 0, GPMM_RW | GPMM_LOG_DIRTY)),
			-EOPNOTSUPP);
	CU_ASSERT_EQUAL(kvm_fake_count(&fake), 0);
	teardown();
}

/* ------------------------------------------------------------- refusals --- */

static void test_what_the_host_lacks_is_refused(void)
{
	kvm_fake_init(&fake);
	fake.has_readonly = false;
	fake.has_memfd = false;
	fake.has_attributes = false;
	fake.has_quirk = false;
	CU_ASSERT_EQUAL(create(&(struct gpmm_kvm_options){
			.no_zap_all = true }), -EOPNOTSUPP);
	CU_ASSERT_EQUAL_FATAL(create(NULL), 0);
	make_host(GPMM_HOST_GUEST_MEMFD);
	CU_ASSERT_EQUAL(map_alone(at(0, 4, 0, GPMM_RW)), -EOPNOTSUPP);
	gpmm_host_put(host);
	make_host(GPMM_HOST_ANON);
	CU_ASSERT_EQUAL(map_alone(at(0, 4, 0, GPMM_READ)), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(map_alone(at(0, 4, 0, GPMM_RW)), 0);
	CU_ASSERT_EQUAL(gpmm_kvm_set_private(be, 0, PAGE, true), -EOPNOTSUPP);
	teardown();
}

static uint64_t features(void)
{
	struct kvm_sys sys = kvm_fake_sys(&fake);
	uint64_t found = 0;

	CU_ASSERT_EQUAL(gpmm__kvm_features(&sys, &found), 0);
	return found;
}

static void test_features_say_what_is_there(void)
{
	kvm_fake_init(&fake);
	CU_ASSERT_EQUAL(features(), GPMM_KVM_READONLY | GPMM_KVM_REGION2 |
			GPMM_KVM_MANUAL_LOG | GPMM_KVM_INITIALLY_SET_LOG |
			GPMM_KVM_GUEST_MEMFD | GPMM_KVM_ATTRIBUTES |
			GPMM_KVM_PRE_FAULT | GPMM_KVM_NO_ZAP_ALL |
			GPMM_KVM_EVENT | GPMM_KVM_EVENT_ANY_SIZE |
			GPMM_KVM_COALESCED);
	fake.has_event = fake.has_any_size = fake.has_coalesced = false;
	fake.manual = KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE;
	fake.says_region2 = false;
	fake.ring = 4096;
	CU_ASSERT_EQUAL(features(), GPMM_KVM_READONLY | GPMM_KVM_MANUAL_LOG |
			GPMM_KVM_RING_LOG | GPMM_KVM_ATTRIBUTES |
			GPMM_KVM_PRE_FAULT | GPMM_KVM_NO_ZAP_ALL);
}

/* ---------------------------------------------------- private, populate --- */

static void test_memory_is_converted_in_place(void)
{
	setup(GPMM_HOST_GUEST_MEMFD);
	CU_ASSERT_EQUAL(gpmm_kvm_set_private(be, PAGE, 2 * PAGE, true), 0);
	CU_ASSERT_EQUAL(fake.private_gpa, PAGE);
	CU_ASSERT_EQUAL(fake.private_size, 2 * PAGE);
	CU_ASSERT_EQUAL(fake.private_attributes, KVM_MEMORY_ATTRIBUTE_PRIVATE);
	CU_ASSERT_EQUAL(gpmm_kvm_set_private(be, PAGE, 2 * PAGE, false), 0);
	CU_ASSERT_EQUAL(fake.private_attributes, 0);
	CU_ASSERT_EQUAL(gpmm_kvm_set_private(be, 1, PAGE, true), -EINVAL);
	fake.left = 0;
	fake.error = -EFAULT;
	CU_ASSERT_EQUAL(gpmm_kvm_set_private(be, 0, PAGE, true), -EFAULT);
	teardown();
}

static unsigned int resident(void)
{
	unsigned char pages[PAGES];
	unsigned int count = 0;

	mincore(gpmm_host_addr(host), PAGES * PAGE, pages);
	for (int i = 0; i < PAGES; i++)
		count += pages[i] & 1;
	return count;
}

static void test_populate_allocates_host_memory(void)
{
	setup(GPMM_HOST_MEMFD);
	map_alone(at(0, 4, 0, GPMM_RW));
	map_alone(at(6, 4, 8, GPMM_RW));
	map_alone(at(20, 1, 15, GPMM_READ));
	CU_ASSERT_EQUAL(resident(), 0);
	CU_ASSERT_EQUAL(gpmm_kvm_populate(be, -1, 2 * PAGE, 5 * PAGE), 0);
	CU_ASSERT_EQUAL(resident(), 3);
	CU_ASSERT_EQUAL(gpmm_kvm_populate(be, -1, 0, 64 * PAGE), 0);
	CU_ASSERT_EQUAL(resident(), 9);
	CU_ASSERT_EQUAL(gpmm_kvm_populate(be, -1, 0, 0), 0);
	CU_ASSERT_EQUAL(gpmm_kvm_populate(be, -1, 0, 5), -EINVAL);
	CU_ASSERT_EQUAL(mprotect(gpmm_host_addr(host), PAGE, PROT_READ), 0);
	CU_ASSERT_EQUAL(gpmm_kvm_populate(be, -1, 0, PAGE), -EOPNOTSUPP);
	CU_ASSERT_EQUAL(fake.pre_faults, 0);
	teardown();
}

static void test_populate_goes_through_a_vcpu_where_kvm_can(void)
{
	setup(GPMM_HOST_ANON);
	map_alone(at(0, 4, 0, GPMM_RW));
	map_alone(at(6, 4, 8, GPMM_RW));
	CU_ASSERT_EQUAL(gpmm_kvm_populate(be, 5, 2 * PAGE, 5 * PAGE), 0);
	CU_ASSERT_EQUAL(fake.pre_faults, 3);
	/* KVM only reads: the memory must have been there. */
	CU_ASSERT_EQUAL(resident(), 3);
	fake.left = 1;
	fake.error = -ENOMEM;
	CU_ASSERT_EQUAL(gpmm_kvm_populate(be, 5, 0, 4 * PAGE), -ENOMEM);
	fake.left = 1;
	fake.error = -EINTR;
	CU_ASSERT_EQUAL(gpmm_kvm_populate(be, 5, 0, 4 * PAGE), 0);
	/* A vCPU that is in a guest of its own. */
	fake.left = 0;
	fake.error = -EOPNOTSUPP;
	CU_ASSERT_EQUAL(gpmm_kvm_populate(be, 5, 6 * PAGE, 4 * PAGE), 0);
	CU_ASSERT_EQUAL(fake.left, -1);
	CU_ASSERT_EQUAL(resident(), 8);
	teardown();
}

/* A guest_memfd's memory is its file's; it may not be mapped at all. */
static void test_populate_allocates_a_guest_memfd(void)
{
	struct stat stat;

	setup(GPMM_HOST_GUEST_MEMFD);
	map_alone(at(0, 4, 2, GPMM_RW));
	CU_ASSERT_EQUAL(gpmm_kvm_populate(be, -1, PAGE, 2 * PAGE), 0);
	CU_ASSERT_EQUAL_FATAL(fstat(gpmm_host_fd(host), &stat), 0);
	CU_ASSERT_EQUAL(stat.st_blocks, 2 * PAGE / 512);
	CU_ASSERT_EQUAL(fallocate(gpmm_host_fd(host), FALLOC_FL_PUNCH_HOLE |
				  FALLOC_FL_KEEP_SIZE, (4 + 2 + 1) * PAGE,
				  2 * PAGE), 0);
	CU_ASSERT_EQUAL_FATAL(fstat(gpmm_host_fd(host), &stat), 0);
	CU_ASSERT_EQUAL(stat.st_blocks, 0);
	teardown();
}

static bool same_slots(const struct kvm_fake *before)
{
	return !memcmp(before->slots, fake.slots, sizeof(fake.slots));
}

/* Two slots of four pages; each page's ioctl fails once. */
static void test_any_ioctl_of_populate_may_fail(void)
{
	static struct kvm_fake before;
	int ret, n;

	setup(GPMM_HOST_ANON);
	map_alone(at(0, 4, 0, GPMM_RW));
	map_alone(at(6, 4, 8, GPMM_RW));
	before = fake;
	fake.error = -ENOMEM;
	for (n = 0; ; n++) {
		fake.left = n;
		fake.pre_faults = 0;
		ret = gpmm_kvm_populate(be, 5, 0, 16 * PAGE);
		fake.left = -1;
		CU_ASSERT(same_slots(&before));
		CU_ASSERT_EQUAL(fake.pre_faults, (unsigned int)n);
		if (!ret)
			break;
		CU_ASSERT_EQUAL_FATAL(ret, -ENOMEM);
	}
	CU_ASSERT_EQUAL(n, 8);
	teardown();
}

/* To private and back: what failed is as it was, and works the next time. */
static void test_any_ioctl_of_a_conversion_may_fail(void)
{
	static struct kvm_fake before;

	setup(GPMM_HOST_GUEST_MEMFD);
	map_alone(at(0, 8, 0, GPMM_RW));
	for (int to_private = 1; to_private >= 0; to_private--) {
		before = fake;
		fake.left = 0;
		fake.error = -EFAULT;
		CU_ASSERT_EQUAL(gpmm_kvm_set_private(be, PAGE, 2 * PAGE,
						     to_private), -EFAULT);
		CU_ASSERT_EQUAL(fake.left, -1);
		CU_ASSERT(same_slots(&before));
		CU_ASSERT_EQUAL(fake.private_attributes,
				before.private_attributes);
		CU_ASSERT_EQUAL(gpmm_kvm_set_private(be, PAGE, 2 * PAGE,
						     to_private), 0);
		CU_ASSERT_EQUAL(fake.private_attributes, to_private ?
				KVM_MEMORY_ATTRIBUTE_PRIVATE : 0);
	}
	/* The map goes on as before. */
	CU_ASSERT_EQUAL(map_alone(at(8, 2, 8, GPMM_RW)), 0);
	CU_ASSERT(memfd_slot_is(0, 10, 0));
	teardown();
}

static struct gpmm_kvm_options options_of(enum gpmm_kvm_log log)
{
	kvm_fake_init(&fake);
	fake.ring = FAKE_PAGE;
	return (struct gpmm_kvm_options){
		.no_zap_all = true, .log = log,
		.ring_size = log == GPMM_KVM_LOG_RING ? FAKE_PAGE : 0,
	};
}

/* Questions too: whatever fails, there is no backend, and the VM is as it was. */
static void any_ioctl_may_fail(enum gpmm_kvm_log log)
{
	int ret, n;

	for (n = 0; ; n++) {
		const struct gpmm_kvm_options options = options_of(log);

		fake.questions_fail = true;
		fake.left = n;
		fake.error = -EBADF;
		ret = create(&options);
		if (!ret)
			break;
		CU_ASSERT_EQUAL_FATAL(ret, -EBADF);
		CU_ASSERT_EQUAL(fake.log, 0);
		CU_ASSERT_EQUAL(fake.quirks, 0);
	}
	CU_ASSERT(n > 10);
	gpmm_kvm_destroy(be);
}

static void any_allocation_may_fail(enum gpmm_kvm_log log)
{
	int ret, n;

	for (n = 0; ; n++) {
		const struct gpmm_kvm_options options = options_of(log);

		gpmm__alloc_left = n;
		ret = create(&options);
		gpmm__alloc_left = -1;
		if (!ret)
			break;
		CU_ASSERT_EQUAL_FATAL(ret, -ENOMEM);
		CU_ASSERT_EQUAL(fake.changes, 0);
	}
	CU_ASSERT(n >= 2);
	gpmm_kvm_destroy(be);
}

static const enum gpmm_kvm_log logs[] = {
	GPMM_KVM_LOG_BITMAP, GPMM_KVM_LOG_MANUAL, GPMM_KVM_LOG_RING,
};

static void test_any_ioctl_of_create_may_fail(void)
{
	for (int i = 0; i < 3; i++)
		any_ioctl_may_fail(logs[i]);
}

static void test_any_allocation_of_create_may_fail(void)
{
	for (int i = 0; i < 3; i++)
		any_allocation_may_fail(logs[i]);
}

static void test_shadow_pages_can_be_spared(void)
{
	kvm_fake_init(&fake);
	CU_ASSERT_EQUAL(create(&(struct gpmm_kvm_options){
			.no_zap_all = true }), 0);
	CU_ASSERT_EQUAL(fake.quirks, KVM_X86_QUIRK_SLOT_ZAP_ALL);
	gpmm_kvm_destroy(be);
	fake.left = 0;
	fake.error = -EPERM;
	CU_ASSERT_EQUAL(create(&(struct gpmm_kvm_options){
			.no_zap_all = true }), -EPERM);
}

SUITE("kvm kinds",
	TEST(test_a_guest_memfd_is_bound_at_its_offset),
	TEST(test_only_a_guest_memfd_takes_the_second_form),
	TEST(test_a_refused_form_changes_nothing),
	TEST(test_guest_memfds_do_not_share_a_slot),
	TEST(test_a_guest_memfd_that_moves_is_made_anew),
	TEST(test_a_guest_memfd_is_neither_read_only_nor_logged),
	TEST(test_what_the_host_lacks_is_refused),
	TEST(test_features_say_what_is_there),
	TEST(test_memory_is_converted_in_place),
	TEST(test_populate_allocates_host_memory),
	TEST(test_populate_goes_through_a_vcpu_where_kvm_can),
	TEST(test_populate_allocates_a_guest_memfd),
	TEST(test_any_ioctl_of_populate_may_fail),
	TEST(test_any_ioctl_of_a_conversion_may_fail),
	TEST(test_any_ioctl_of_create_may_fail),
	TEST(test_any_allocation_of_create_may_fail),
	TEST(test_shadow_pages_can_be_spared))

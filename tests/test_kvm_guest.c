/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The KVM backend seen through a guest that runs under the real /dev/kvm.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gpmm/host.h>

#include "helpers/kvm_guest.h"
#include "helpers/kvm_suite.h"
#include "kvm/kvm_backend.h"

#define PAGE UINT64_C(4096)
#define PAGES 64
/* Where the areas under test lie, and a slot of the embedder's own. */
#define GPA UINT64_C(0x40000000)
#define OTHER_SLOT 1
#define FIRST_SLOT 2

static struct kvm_guest guest;
static struct gpmm_backend *be;
static uint64_t *memory;

/* The real kernel, but call number @fail_at from now on fails. */
static long fail_at = -1;

static int failing_ioctl(void *ctx, int fd, unsigned long request,
			 uintptr_t arg)
{
	if (fail_at >= 0 && fail_at-- == 0)
		return -ENOSPC;
	return gpmm__kvm_sys_real.ioctl(ctx, fd, request, arg);
}

static const struct kvm_sys_ops failing_ops = { .ioctl = failing_ioctl };

static void setup_with(const struct gpmm_kvm_options *options)
{
	struct kvm_sys sys = { .ops = &failing_ops };
	const char *problem = kvm_guest_init(&guest, 1);

	if (problem)
		CU_FAIL_FATAL(problem);
	memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CU_ASSERT_PTR_NOT_EQUAL_FATAL(memory, MAP_FAILED);
	for (uint64_t i = 0; i < PAGES; i++)
		memory[i * PAGE / 8] = 1000 + i;
	sys.vm_fd = guest.vm_fd;
	CU_ASSERT_EQUAL_FATAL(gpmm__kvm_create_on(&sys, options, &be), 0);
}

static void setup(void)
{
	setup_with(&(struct gpmm_kvm_options){ .first_slot = FIRST_SLOT });
}

static void teardown(void)
{
	gpmm_kvm_destroy(be);
	kvm_guest_fini(&guest);
	munmap(memory, PAGES * PAGE);
}

static struct gpmm_area at(uint64_t page, uint64_t count, uint64_t host,
			   uint32_t flags)
{
	return (struct gpmm_area){
		.start = GPA + page * PAGE,
		.size = count * PAGE,
		.flags = flags,
		.hva = (char *)memory + host * PAGE,
	};
}

static void begin(void)
{
	CU_ASSERT_EQUAL_FATAL(be->ops->begin(be), 0);
}

static int commit(void)
{
	return be->ops->commit(be);
}

static int map(struct gpmm_area area)
{
	return be->ops->map(be, &area);
}

static int unmap(struct gpmm_area area)
{
	return be->ops->unmap(be, &area);
}

static int map_alone(struct gpmm_area area)
{
	begin();
	CU_ASSERT_EQUAL(map(area), 0);
	return commit();
}

/* Does the guest read the host's page @host at its page @page? */
static bool reads(uint64_t page, uint64_t host)
{
	struct kvm_guest_result result;

	result = kvm_guest_load(&guest, GPA + page * PAGE);
	return result.exit == KVM_GUEST_DONE && result.value == 1000 + host;
}

static bool reads_nothing(uint64_t page)
{
	struct kvm_guest_result result;

	result = kvm_guest_load(&guest, GPA + page * PAGE);
	return result.exit == KVM_GUEST_MMIO_READ &&
	       result.gpa == GPA + page * PAGE;
}

/* ------------------------------------------------------------------------ */

static void test_guest_reads_and_writes_what_is_mapped(void)
{
	struct kvm_guest_result result;

	setup();
	CU_ASSERT(reads_nothing(0));
	CU_ASSERT_EQUAL(map_alone(at(0, 4, 8, GPMM_RWX)), 0);
	CU_ASSERT(reads(0, 8));
	CU_ASSERT(reads(3, 11));
	CU_ASSERT(reads_nothing(4));
	result = kvm_guest_store(&guest, GPA + PAGE, 77);
	CU_ASSERT_EQUAL(result.exit, KVM_GUEST_DONE);
	CU_ASSERT_EQUAL(result.value, 77);
	CU_ASSERT_EQUAL(memory[9 * PAGE / 8], 77);
	begin();
	CU_ASSERT_EQUAL(unmap(at(0, 4, 8, GPMM_RWX)), 0);
	CU_ASSERT_EQUAL(commit(), 0);
	CU_ASSERT(reads_nothing(0));
	teardown();
}

static void test_write_to_a_read_only_slot_exits_as_mmio(void)
{
	struct kvm_guest_result result;

	setup();
	CU_ASSERT_EQUAL(map_alone(at(0, 2, 0, GPMM_READ | GPMM_EXEC)), 0);
	CU_ASSERT(reads(1, 1));
	result = kvm_guest_store(&guest, GPA + PAGE, 77);
	CU_ASSERT_EQUAL(result.exit, KVM_GUEST_MMIO_WRITE);
	CU_ASSERT_EQUAL(result.gpa, GPA + PAGE);
	CU_ASSERT_EQUAL(result.value, 77);
	CU_ASSERT_EQUAL(memory[PAGE / 8], 1001);
	teardown();
}

static void test_protect_moves_between_rom_and_ram(void)
{
	const struct gpmm_area area = at(1, 2, 1, GPMM_RW);

	setup();
	map_alone(at(0, 4, 0, GPMM_RW));
	begin();
	CU_ASSERT_EQUAL(be->ops->protect(be, &area, GPMM_READ), 0);
	CU_ASSERT_EQUAL(commit(), 0);
	CU_ASSERT_EQUAL(kvm_guest_store(&guest, GPA + PAGE, 1).exit,
			KVM_GUEST_MMIO_WRITE);
	CU_ASSERT_EQUAL(kvm_guest_store(&guest, GPA, 1000).exit,
			KVM_GUEST_DONE);
	CU_ASSERT_EQUAL(kvm_guest_store(&guest, GPA + 3 * PAGE, 1003).exit,
			KVM_GUEST_DONE);
	for (uint64_t i = 0; i < 4; i++)
		CU_ASSERT(reads(i, i));
	teardown();
}

static void test_split_shrink_and_replace_show_in_the_guest(void)
{
	setup();
	map_alone(at(0, 10, 0, GPMM_RW));
	begin();
	unmap(at(4, 2, 4, GPMM_RW));
	CU_ASSERT_EQUAL(commit(), 0);
	CU_ASSERT(reads(3, 3));
	CU_ASSERT(reads_nothing(4));
	CU_ASSERT(reads_nothing(5));
	CU_ASSERT(reads(6, 6));
	begin();
	unmap(at(0, 1, 0, GPMM_RW));
	unmap(at(9, 1, 9, GPMM_RW));
	CU_ASSERT_EQUAL(commit(), 0);
	CU_ASSERT(reads_nothing(0));
	CU_ASSERT(reads(1, 1));
	CU_ASSERT(reads(8, 8));
	CU_ASSERT(reads_nothing(9));
	begin();
	unmap(at(2, 1, 2, GPMM_RW));
	map(at(2, 1, 40, GPMM_RW));
	CU_ASSERT_EQUAL(commit(), 0);
	CU_ASSERT(reads(1, 1));
	CU_ASSERT(reads(2, 40));
	CU_ASSERT(reads(3, 3));
	teardown();
}

static void test_moved_memory_shows_at_its_new_address(void)
{
	struct gpmm_kvm_stats before, after;

	setup();
	map_alone(at(0, 4, 0, GPMM_RW));
	CU_ASSERT(reads(0, 0));
	gpmm_kvm_get_stats(be, &before);
	begin();
	unmap(at(0, 4, 0, GPMM_RW));
	map(at(2, 4, 0, GPMM_RW));
	CU_ASSERT_EQUAL(commit(), 0);
	gpmm_kvm_get_stats(be, &after);
	CU_ASSERT_EQUAL(after.ioctls - before.ioctls, 1);
	CU_ASSERT(reads_nothing(1));
	CU_ASSERT(reads(2, 0));
	CU_ASSERT(reads(5, 3));
	teardown();
}

static int set_other_slot(uint64_t page, uint64_t count)
{
	struct kvm_userspace_memory_region region = {
		.slot = OTHER_SLOT,
		.guest_phys_addr = GPA + page * PAGE,
		.memory_size = count * PAGE,
		.userspace_addr = (uintptr_t)memory + 50 * PAGE,
	};

	return ioctl(guest.vm_fd, KVM_SET_USER_MEMORY_REGION, &region);
}

static void test_embedders_own_slot_in_the_way_is_eexist(void)
{
	setup();
	map_alone(at(0, 4, 0, GPMM_RW));
	CU_ASSERT_EQUAL_FATAL(set_other_slot(10, 2), 0);
	begin();
	map(at(4, 2, 20, GPMM_RW));
	unmap(at(1, 1, 1, GPMM_RW));
	map(at(8, 4, 8, GPMM_RW));
	CU_ASSERT_EQUAL(commit(), -EEXIST);
	for (uint64_t i = 0; i < 4; i++)
		CU_ASSERT(reads(i, i));
	CU_ASSERT(reads_nothing(4));
	CU_ASSERT(reads_nothing(8));
	CU_ASSERT(reads(10, 50));
	set_other_slot(10, 0);
	CU_ASSERT_EQUAL(map_alone(at(8, 4, 8, GPMM_RW)), 0);
	CU_ASSERT(reads(10, 10));
	teardown();
}

/* Split, replace, protect, move and map, in one transaction. */
static int big_transaction(void)
{
	const struct gpmm_area rom = at(12, 2, 12, GPMM_RW);

	begin();
	unmap(at(2, 1, 2, GPMM_RW));
	unmap(at(5, 1, 5, GPMM_RW));
	map(at(5, 1, 45, GPMM_RW));
	be->ops->protect(be, &rom, GPMM_READ);
	unmap(at(30, 2, 20, GPMM_RW));
	map(at(34, 2, 20, GPMM_RW));
	map(at(40, 2, 40, GPMM_RW));
	return commit();
}

static void check_before(void)
{
	for (uint64_t i = 0; i < 16; i++)
		CU_ASSERT(reads(i, i));
	CU_ASSERT(reads(30, 20));
	CU_ASSERT(reads_nothing(34));
	CU_ASSERT(reads_nothing(40));
	CU_ASSERT_EQUAL(kvm_guest_store(&guest, GPA + 12 * PAGE, 1012).exit,
			KVM_GUEST_DONE);
}

static void test_any_ioctl_may_fail_and_the_guest_sees_no_change(void)
{
	int ret, n;

	setup();
	map_alone(at(0, 16, 0, GPMM_RW));
	map_alone(at(30, 2, 20, GPMM_RW));
	for (n = 0;; n++) {
		fail_at = n;
		ret = big_transaction();
		fail_at = -1;
		if (!ret)
			break;
		CU_ASSERT_EQUAL_FATAL(ret, -ENOSPC);
		check_before();
	}
	/* One delete, one move, and seven slots made. */
	CU_ASSERT_EQUAL(n, 9);
	CU_ASSERT(reads_nothing(2));
	CU_ASSERT(reads(5, 45));
	CU_ASSERT(reads_nothing(30));
	CU_ASSERT(reads(34, 20));
	CU_ASSERT(reads(40, 40));
	CU_ASSERT_EQUAL(kvm_guest_store(&guest, GPA + 12 * PAGE, 1).exit,
			KVM_GUEST_MMIO_WRITE);
	teardown();
}

/* ------------------------------------------------------------------ limits */

static unsigned int real_limit(void)
{
	return ioctl(guest.vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS);
}

/* Every other page, so that none run on, @count of them in one go. */
static int map_many(unsigned int first, unsigned int count)
{
	begin();
	for (unsigned int i = first; i < first + count; i++)
		CU_ASSERT_EQUAL_FATAL(map(at(2 * i, 1, 0, GPMM_RW)), 0);
	return commit();
}

static void exhaust(unsigned int slots)
{
	struct gpmm_kvm_stats stats;

	CU_ASSERT_EQUAL_FATAL(map_many(0, slots), 0);
	gpmm_kvm_get_stats(be, &stats);
	CU_ASSERT_EQUAL(stats.slots, stats.slots_max);
	CU_ASSERT_EQUAL(map_many(slots, 1), -ENOSPC);
	CU_ASSERT(reads(0, 0));
	CU_ASSERT(reads(2 * (slots - 1), 0));
	CU_ASSERT(reads_nothing(2 * slots));
	begin();
	unmap(at(0, 1, 0, GPMM_RW));
	CU_ASSERT_EQUAL(commit(), 0);
	CU_ASSERT_EQUAL(map_many(slots, 1), 0);
	CU_ASSERT(reads_nothing(0));
	CU_ASSERT(reads(2 * slots, 0));
}

/*
 * The limit is on a slot's number: the last 100 of them are quickly used up.
 */
static void test_slots_run_out_at_the_real_limit(void)
{
	struct gpmm_kvm_options options = { 0 };
	const char *problem = kvm_guest_init_vm(&guest);

	CU_ASSERT_PTR_NULL_FATAL(problem);
	options.first_slot = real_limit() - 100;
	kvm_guest_fini(&guest);
	setup_with(&options);
	exhaust(100);
	teardown();
}

static void test_a_slot_past_the_real_limit_is_refused_by_kvm(void)
{
	struct kvm_userspace_memory_region region = {
		.guest_phys_addr = GPA, .memory_size = PAGE,
	};

	setup();
	region.userspace_addr = (uintptr_t)memory;
	region.slot = real_limit();
	CU_ASSERT_EQUAL(ioctl(guest.vm_fd, KVM_SET_USER_MEMORY_REGION,
			      &region), -1);
	region.slot--;
	CU_ASSERT_EQUAL(ioctl(guest.vm_fd, KVM_SET_USER_MEMORY_REGION,
			      &region), 0);
	teardown();
}

/* Some 3 s: KVM takes longer for each slot from 16,000 on. */
static void test_all_slots_of_the_machine_can_be_used(void)
{
	setup();
	exhaust(real_limit() - FIRST_SLOT);
	teardown();
}

static void test_what_is_no_vm_is_refused(void)
{
	struct gpmm_backend *none;
	uint64_t features;
	int vcpu, fds[2];

	setup();
	vcpu = guest.vcpus[0].fd;
	CU_ASSERT_EQUAL(gpmm_kvm_create(-1, NULL, &none), -EBADF);
	CU_ASSERT_EQUAL_FATAL(pipe(fds), 0);
	CU_ASSERT_EQUAL(gpmm_kvm_create(fds[0], NULL, &none), -ENOTTY);
	CU_ASSERT_EQUAL(gpmm_kvm_create(guest.kvm_fd, NULL, &none), -ENOTTY);
	CU_ASSERT_EQUAL(gpmm_kvm_create(vcpu, NULL, &none), -ENOTTY);
	CU_ASSERT_EQUAL(gpmm_kvm_features(guest.kvm_fd, &features), -ENOTTY);
	close(fds[0]);
	close(fds[1]);
	teardown();
}

/* ---------------------------------------------- what not all hosts have --- */

static bool has(uint64_t feature)
{
	uint64_t features = 0;

	CU_ASSERT_EQUAL(gpmm_kvm_features(guest.vm_fd, &features), 0);
	if (!(features & feature))
		printf("the host lacks it: ");
	return features & feature;
}

/* KVM_CREATE_GUEST_MEMFD; flags: it can be mapped, and starts shared. */
static int create_guest_memfd(void)
{
	struct {
		uint64_t size, flags, reserved[6];
	} arg = { PAGES * PAGE, 3, { 0 } };

	return ioctl(guest.vm_fd, 0xc040aed4UL, &arg);
}

static void test_a_guest_memfd_backs_the_guest_where_it_can_be_mapped(void)
{
	struct gpmm_host_options options = {
		.kind = GPMM_HOST_GUEST_MEMFD, .size = PAGES * PAGE,
	};
	struct gpmm_area area = at(0, 4, 0, GPMM_RW);
	uint64_t *shared;

	setup();
	if (!has(GPMM_KVM_GUEST_MEMFD)) {
		teardown();
		return;
	}
	options.fd = create_guest_memfd();
	if (options.fd < 0) {
		printf("it cannot be mapped here: ");
		teardown();
		return;
	}
	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&options, &area.host), 0);
	area.hva = gpmm_host_addr(area.host);
	CU_ASSERT_EQUAL_FATAL(map_alone(area), 0);
	CU_ASSERT_EQUAL(gpmm_kvm_populate(be, -1, GPA, 4 * PAGE), 0);
	CU_ASSERT_EQUAL(kvm_guest_store(&guest, GPA + PAGE, 77).exit,
			KVM_GUEST_DONE);
	shared = area.hva;
	CU_ASSERT_EQUAL(shared[PAGE / 8], 77);
	/* Bound once: the same range elsewhere is the kernel's error. */
	area.start += 64 * PAGE;
	CU_ASSERT(map_alone(area) < 0);
	area.start -= 64 * PAGE;
	begin();
	CU_ASSERT_EQUAL(unmap(area), 0);
	area.start += 64 * PAGE;
	CU_ASSERT_EQUAL(map(area), 0);
	CU_ASSERT_EQUAL(commit(), 0);
	CU_ASSERT_EQUAL(kvm_guest_load(&guest, GPA + 65 * PAGE).value, 77);
	close(options.fd);
	gpmm_host_put(area.host);
	teardown();
}

static void test_slots_work_without_zapping_all(void)
{
	const struct gpmm_kvm_options options = {
		.first_slot = FIRST_SLOT, .no_zap_all = true,
	};
	bool can;

	setup();
	can = has(GPMM_KVM_NO_ZAP_ALL);
	teardown();
	if (!can)
		return;
	setup_with(&options);
	map_alone(at(0, 10, 0, GPMM_RW));
	map_alone(at(20, 10, 20, GPMM_RW));
	CU_ASSERT(reads(4, 4));
	CU_ASSERT(reads(24, 24));
	begin();
	unmap(at(4, 2, 4, GPMM_RW));
	CU_ASSERT_EQUAL(commit(), 0);
	CU_ASSERT(reads(3, 3));
	CU_ASSERT(reads_nothing(4));
	CU_ASSERT(reads(24, 24));
	teardown();
}

/* By the vCPU or by the host alone, as the machine can. */
static void test_populated_memory_is_there_for_the_guest(void)
{
	unsigned char pages[8];

	setup();
	madvise(memory, PAGES * PAGE, MADV_REMOVE);
	map_alone(at(0, 8, 0, GPMM_RW));
	CU_ASSERT_EQUAL(gpmm_kvm_populate(be, guest.vcpus[0].fd, GPA,
					  8 * PAGE), 0);
	CU_ASSERT_EQUAL(mincore(memory, 8 * PAGE, pages), 0);
	for (int i = 0; i < 8; i++)
		CU_ASSERT(pages[i] & 1);
	CU_ASSERT_EQUAL(kvm_guest_load(&guest, GPA).exit, KVM_GUEST_DONE);
	teardown();
}

static void test_private_memory_is_refused_where_there_is_none(void)
{
	setup();
	if (!has(GPMM_KVM_ATTRIBUTES))
		CU_ASSERT_EQUAL(gpmm_kvm_set_private(be, GPA, PAGE, true),
				-EOPNOTSUPP);
	teardown();
}

static const char *missing(void)
{
	const char *problem = kvm_guest_init(&guest, 1);

	kvm_guest_fini(&guest);
	return problem;
}

SUITE_IF(missing(), "kvm guest",
	TEST(test_guest_reads_and_writes_what_is_mapped),
	TEST(test_write_to_a_read_only_slot_exits_as_mmio),
	TEST(test_protect_moves_between_rom_and_ram),
	TEST(test_split_shrink_and_replace_show_in_the_guest),
	TEST(test_moved_memory_shows_at_its_new_address),
	TEST(test_embedders_own_slot_in_the_way_is_eexist),
	TEST(test_any_ioctl_may_fail_and_the_guest_sees_no_change),
	TEST(test_slots_run_out_at_the_real_limit),
	TEST(test_a_slot_past_the_real_limit_is_refused_by_kvm),
	TEST(test_all_slots_of_the_machine_can_be_used),
	TEST(test_what_is_no_vm_is_refused),
	TEST(test_a_guest_memfd_backs_the_guest_where_it_can_be_mapped),
	TEST(test_slots_work_without_zapping_all),
	TEST(test_populated_memory_is_there_for_the_guest),
	TEST(test_private_memory_is_refused_where_there_is_none))

/* SPDX-License-Identifier: BSD-3-Clause */
/* What an exit was about, and whose business it is. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include <gpmm/gpmm.h>

#include "helpers/kvm_guest.h"
#include "helpers/kvm_suite.h"
#include "kvm/kvm_sys.h"

#define PAGE UINT64_C(4096)
#define RAM UINT64_C(0x40000000)
#define ROM UINT64_C(0x40100000)
#define ROM_DEVICE UINT64_C(0x40200000)
#define CLOSED UINT64_C(0x40300000)
#define WINDOW UINT64_C(0x40400000)
#define NOTHING UINT64_C(0x40500000)

/* A device: one register that reads as its offset. */
struct device {
	struct gpmm_kvm_window window;
	uint64_t offset;
	uint64_t written;
	unsigned int size;
	unsigned int reads;
};

static struct kvm_guest guest;
static struct gpmm_backend *be;
static struct gpmm_set *set;
static struct gpmm_host *host;
static struct device device;

static void device_access(struct gpmm_kvm_window *window, uint64_t offset,
			  void *data, unsigned int size, bool write)
{
	struct device *at = (struct device *)window;

	at->offset = offset;
	at->size = size;
	if (write) {
		memcpy(&at->written, data, size);
	} else {
		at->reads++;
		memcpy(data, &offset, size);
	}
}

static void map(uint64_t start, uint32_t flags, bool has_memory)
{
	struct gpmm_area area = {
		.start = start, .size = PAGE, .flags = flags,
	};

	if (has_memory) {
		area.host = host;
		area.hva = gpmm_host_addr(host);
	} else {
		area.owner = &device;
	}
	CU_ASSERT_EQUAL_FATAL(gpmm_set_map(set, &area, 0), 0);
}

static void setup(void)
{
	const struct gpmm_host_options memory = {
		.kind = GPMM_HOST_ANON, .size = PAGE,
	};
	const struct gpmm_kvm_options options = { .first_slot = 1 };
	struct gpmm_set_options set_options = { 0 };
	const char *problem = kvm_guest_init(&guest, 1);

	if (problem)
		CU_FAIL_FATAL(problem);
	device = (struct device){ .window = { device_access } };
	CU_ASSERT_EQUAL_FATAL(gpmm_kvm_create(guest.vm_fd, &options, &be), 0);
	set_options.backend = be;
	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&set_options, &set), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&memory, &host), 0);
	gpmm_thread_register();
	map(RAM, GPMM_RW, true);
	map(ROM, GPMM_READ, true);
	map(ROM_DEVICE, GPMM_READ | GPMM_MMIO, true);
	map(CLOSED, 0, true);
	map(WINDOW, GPMM_RW | GPMM_MMIO, false);
}

static void teardown(void)
{
	gpmm_thread_unregister();
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
	gpmm_host_put(host);
	gpmm_kvm_destroy(be);
	kvm_guest_fini(&guest);
}

static enum gpmm_kvm_verdict judge(struct gpmm_kvm_access *access,
				   struct gpmm_area *area)
{
	if (gpmm_kvm_decode(guest.vcpus[0].run, 0, access))
		return -1;
	if (!gpmm_set_find(set, access->gpa, area))
		return gpmm_kvm_judge(access, NULL);
	return gpmm_kvm_judge(access, area);
}

/* The verdict on the guest's write (or read) at @gpa, which must exit. */
static enum gpmm_kvm_verdict on_write(uint64_t gpa)
{
	struct gpmm_kvm_access access;
	struct gpmm_area area;

	CU_ASSERT_EQUAL(kvm_guest_store(&guest, gpa, 5).exit,
			KVM_GUEST_MMIO_WRITE);
	return judge(&access, &area);
}

static enum gpmm_kvm_verdict on_read(uint64_t gpa)
{
	struct gpmm_kvm_access access;
	struct gpmm_area area;

	CU_ASSERT_EQUAL(kvm_guest_load(&guest, gpa).exit,
			KVM_GUEST_MMIO_READ);
	return judge(&access, &area);
}

static void test_each_kind_of_area_has_its_verdict(void)
{
	setup();
	CU_ASSERT_EQUAL(on_write(ROM), GPMM_KVM_ROM);
	CU_ASSERT_EQUAL(on_write(ROM_DEVICE), GPMM_KVM_MMIO);
	CU_ASSERT_EQUAL(on_write(WINDOW), GPMM_KVM_MMIO);
	CU_ASSERT_EQUAL(on_write(CLOSED), GPMM_KVM_NOTHING);
	CU_ASSERT_EQUAL(on_write(NOTHING), GPMM_KVM_NOTHING);
	CU_ASSERT_EQUAL(on_read(WINDOW), GPMM_KVM_MMIO);
	CU_ASSERT_EQUAL(on_read(NOTHING), GPMM_KVM_NOTHING);
	CU_ASSERT_EQUAL(on_read(CLOSED), GPMM_KVM_NOTHING);
	teardown();
}

/* The guest looked while RAM was not there yet. */
static void test_memory_that_is_there_by_now_is_ram(void)
{
	struct gpmm_kvm_access access;
	struct gpmm_area area;

	setup();
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, RAM, PAGE), 0);
	CU_ASSERT_EQUAL(kvm_guest_store(&guest, RAM, 5).exit,
			KVM_GUEST_MMIO_WRITE);
	map(RAM, GPMM_RW, true);
	CU_ASSERT_EQUAL(judge(&access, &area), GPMM_KVM_RAM);
	CU_ASSERT_EQUAL(access.gpa, RAM);
	CU_ASSERT_EQUAL(access.size, 8);
	CU_ASSERT_EQUAL(*(uint64_t *)access.data, 5);
	teardown();
}

static void test_owners_get_their_accesses(void)
{
	struct gpmm_kvm_access access;
	struct gpmm_area area;
	struct kvm_guest_result result;

	setup();
	kvm_guest_store(&guest, WINDOW + 16, 99);
	CU_ASSERT_EQUAL(judge(&access, &area), GPMM_KVM_MMIO);
	CU_ASSERT_EQUAL(gpmm_kvm_dispatch(&access, &area), 0);
	CU_ASSERT_EQUAL(device.offset, 16);
	CU_ASSERT_EQUAL(device.size, 8);
	CU_ASSERT_EQUAL(device.written, 99);
	/* The store's routine goes on and reads the word back. */
	result = kvm_guest_run(&guest.vcpus[0]);
	CU_ASSERT_EQUAL(result.exit, KVM_GUEST_MMIO_READ);
	CU_ASSERT_EQUAL(judge(&access, &area), GPMM_KVM_MMIO);
	CU_ASSERT_EQUAL(gpmm_kvm_dispatch(&access, &area), 0);
	result = kvm_guest_run(&guest.vcpus[0]);
	CU_ASSERT_EQUAL(result.exit, KVM_GUEST_DONE);
	CU_ASSERT_EQUAL(result.value, 16);
	CU_ASSERT_EQUAL(device.reads, 1);
	teardown();
}

static void test_what_is_no_access_of_the_area_is_not_dispatched(void)
{
	struct gpmm_area area = { .start = WINDOW, .size = PAGE };
	struct gpmm_kvm_access access = { .gpa = WINDOW, .size = 4 };

	CU_ASSERT_EQUAL(gpmm_kvm_dispatch(&access, &area), -ENOENT);
	area.owner = &device;
	access.gpa = WINDOW + PAGE;
	CU_ASSERT_EQUAL(gpmm_kvm_dispatch(&access, &area), -EINVAL);
	access.gpa = WINDOW;
	access.fault = true;
	CU_ASSERT_EQUAL(gpmm_kvm_dispatch(&access, &area), -EINVAL);
}

static void test_memory_faults_are_decoded(void)
{
	struct kvm_run run = { .exit_reason = KVM_EXIT_MEMORY_FAULT };
	const struct kvm_memory_fault fault = {
		.flags = KVM_MEMORY_EXIT_FLAG_PRIVATE,
		.gpa = RAM, .size = PAGE,
	};
	struct gpmm_area area = {
		.start = RAM, .size = PAGE, .flags = GPMM_RW, .hva = &device,
	};
	struct gpmm_kvm_access access;

	memcpy(&run.hw, &fault, sizeof(fault));
	CU_ASSERT_EQUAL(gpmm_kvm_decode(&run, 0, &access), -ENOENT);
	CU_ASSERT_EQUAL(gpmm_kvm_decode(&run, -EINTR, &access), -ENOENT);
	CU_ASSERT_EQUAL_FATAL(gpmm_kvm_decode(&run, -EFAULT, &access), 0);
	CU_ASSERT(access.fault);
	CU_ASSERT(access.is_private);
	CU_ASSERT_EQUAL(access.gpa, RAM);
	CU_ASSERT_EQUAL(access.size, PAGE);
	CU_ASSERT_EQUAL(gpmm_kvm_judge(&access, &area), GPMM_KVM_RAM);
	CU_ASSERT_EQUAL(gpmm_kvm_decode(&run, -EHWPOISON, &access), 0);
}

static void test_other_exits_are_about_no_address(void)
{
	struct kvm_run run = { .exit_reason = KVM_EXIT_IO };
	struct gpmm_kvm_access access;

	CU_ASSERT_EQUAL(gpmm_kvm_decode(&run, 0, &access), -ENOENT);
	run.exit_reason = KVM_EXIT_UNKNOWN;
	CU_ASSERT_EQUAL(gpmm_kvm_decode(&run, -EFAULT, &access), -ENOENT);
}

static const char *missing(void)
{
	const char *problem = kvm_guest_init(&guest, 1);

	kvm_guest_fini(&guest);
	return problem;
}

SUITE_IF(missing(), "kvm exit",
	TEST(test_each_kind_of_area_has_its_verdict),
	TEST(test_memory_that_is_there_by_now_is_ram),
	TEST(test_owners_get_their_accesses),
	TEST(test_what_is_no_access_of_the_area_is_not_dispatched),
	TEST(test_memory_faults_are_decoded),
	TEST(test_other_exits_are_about_no_address))

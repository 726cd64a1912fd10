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
#define HOLE UINT64_C(0x40600000)

/* A device: one register that reads as its offset. */
struct device {
	uint64_t offset;
	uint64_t written;
	unsigned int width;
	unsigned int reads;
};

static struct kvm_guest guest;
static struct gpmm_backend *be;
static struct gpmm_set *set;
static struct gpmm_host *host;
static struct gpmm_host *rom_device;
static struct gpmm_mmio *mmio;
static struct device device;

static int device_read(void *arg, uint64_t offset, unsigned int width,
		       uint64_t *value)
{
	struct device *at = arg;

	at->offset = offset;
	at->width = width;
	at->reads++;
	*value = offset;
	return 0;
}

static int device_write(void *arg, uint64_t offset, unsigned int width,
			uint64_t value)
{
	struct device *at = arg;

	at->offset = offset;
	at->width = width;
	at->written = value;
	return 0;
}

static void map_area(struct gpmm_area area)
{
	CU_ASSERT_EQUAL_FATAL(gpmm_set_map(set, &area, 0), 0);
}

static void map(uint64_t start, uint32_t flags, struct gpmm_host *memory,
		uint64_t pages)
{
	map_area((struct gpmm_area){
		.start = start,
		.size = pages * PAGE,
		.flags = flags,
		.host = memory,
		.hva = gpmm_host_addr(memory),
	});
}

static void setup(void)
{
	static const struct gpmm_mmio_ops ops = {
		.read = device_read, .write = device_write,
	};
	const struct gpmm_host_options memory = {
		.kind = GPMM_HOST_ANON, .size = 4 * PAGE,
	};
	const struct gpmm_kvm_options options = { .first_slot = 1 };
	struct gpmm_set_options set_options = { 0 };
	const char *problem = kvm_guest_init(&guest, 1);

	if (problem)
		CU_FAIL_FATAL(problem);
	device = (struct device){ 0 };
	CU_ASSERT_EQUAL_FATAL(gpmm_kvm_create(guest.vm_fd, &options, &be), 0);
	set_options.backend = be;
	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&set_options, &set), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&memory, &host), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&memory, &rom_device), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_mmio_create(&ops, &device, WINDOW, NULL,
					       &mmio), 0);
	gpmm_thread_register();
	map(RAM, GPMM_RW, host, 1);
	map(ROM, GPMM_READ, host, 1);
	map(ROM_DEVICE, GPMM_READ | GPMM_MMIO, rom_device, 4);
	map(CLOSED, 0, host, 1);
	map_area(gpmm_mmio_area(mmio, PAGE));
	map_area((struct gpmm_area){ .start = HOLE, .size = PAGE });
}

static void teardown(void)
{
	CU_ASSERT_EQUAL(gpmm_set_clear(set), 0);
	CU_ASSERT_EQUAL(gpmm_mmio_retire(set, mmio), 0);
	gpmm_thread_unregister();
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
	gpmm_host_put(rom_device);
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

/* What an embedder does about an exit. */
static int answer(const struct gpmm_kvm_access *access)
{
	const struct gpmm_guest context = { .set = set };

	return access->write ?
		       gpmm_io_write(&context, access->gpa, access->data,
				     access->size, NULL) :
		       gpmm_io_read(&context, access->gpa, access->data,
				    access->size, NULL);
}

/* Where in the ROM device the guest's write at @gpa is meant to go. */
static uint64_t rom_device_offset(uint64_t gpa)
{
	struct gpmm_kvm_access access;
	struct gpmm_area area;

	CU_ASSERT_EQUAL(kvm_guest_store(&guest, gpa, 9).exit,
			KVM_GUEST_MMIO_WRITE);
	CU_ASSERT_EQUAL(judge(&access, &area), GPMM_KVM_MMIO);
	CU_ASSERT_PTR_EQUAL(area.host, rom_device);
	return (char *)area.hva - (char *)gpmm_host_addr(area.host) +
	       (access.gpa - area.start);
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
	map(RAM, GPMM_RW, host, 1);
	CU_ASSERT_EQUAL(judge(&access, &area), GPMM_KVM_RAM);
	CU_ASSERT_EQUAL(access.gpa, RAM);
	CU_ASSERT_EQUAL(access.size, 8);
	CU_ASSERT_EQUAL(*(uint64_t *)access.data, 5);
	CU_ASSERT_EQUAL(answer(&access), 0);
	CU_ASSERT_EQUAL(*(uint64_t *)gpmm_host_addr(host), 5);
	teardown();
}

/* Its memory says whose it is and where in it, wherever it lies by now. */
static void test_rom_devices_are_told_apart_by_their_memory(void)
{
	struct gpmm_kvm_access access;
	struct gpmm_area area = {
		.start = NOTHING, .size = 3 * PAGE,
		.flags = GPMM_READ | GPMM_MMIO,
	};

	setup();
	CU_ASSERT_EQUAL(rom_device_offset(ROM_DEVICE + 8), 8);
	/* Cut, and moved without its first page. */
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, ROM_DEVICE + PAGE, PAGE), 0);
	CU_ASSERT_EQUAL(rom_device_offset(ROM_DEVICE + 2 * PAGE + 16),
			2 * PAGE + 16);
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, ROM_DEVICE, 4 * PAGE), 0);
	area.host = rom_device;
	area.hva = (char *)gpmm_host_addr(rom_device) + PAGE;
	map_area(area);
	CU_ASSERT_EQUAL(rom_device_offset(NOTHING + 24), PAGE + 24);
	/* Nobody writes it behind the device's back. */
	CU_ASSERT_EQUAL(judge(&access, &area), GPMM_KVM_MMIO);
	CU_ASSERT_EQUAL(answer(&access), -EACCES);
	/* What it reads as is its memory: no exit. */
	*(uint64_t *)((char *)gpmm_host_addr(rom_device) + PAGE + 24) = 77;
	CU_ASSERT_EQUAL(kvm_guest_load(&guest, NOTHING + 24).value, 77);
	teardown();
}

static void test_a_reserved_hole_is_a_device_of_nobody(void)
{
	struct gpmm_kvm_access access;
	struct gpmm_area area;

	setup();
	kvm_guest_store(&guest, HOLE, 1);
	CU_ASSERT_EQUAL(judge(&access, &area), GPMM_KVM_MMIO);
	CU_ASSERT_PTR_NULL(area.owner);
	CU_ASSERT_EQUAL(answer(&access), -ENODEV);
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
	CU_ASSERT_PTR_EQUAL(area.owner, mmio);
	CU_ASSERT_EQUAL(answer(&access), 0);
	CU_ASSERT_EQUAL(device.offset, 16);
	CU_ASSERT_EQUAL(device.width, 8);
	CU_ASSERT_EQUAL(device.written, 99);
	/* The store's routine goes on and reads the word back. */
	result = kvm_guest_run(&guest.vcpus[0]);
	CU_ASSERT_EQUAL(result.exit, KVM_GUEST_MMIO_READ);
	CU_ASSERT_EQUAL(judge(&access, &area), GPMM_KVM_MMIO);
	CU_ASSERT_EQUAL(answer(&access), 0);
	result = kvm_guest_run(&guest.vcpus[0]);
	CU_ASSERT_EQUAL(result.exit, KVM_GUEST_DONE);
	CU_ASSERT_EQUAL(result.value, 16);
	CU_ASSERT_EQUAL(device.reads, 1);
	teardown();
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
	TEST(test_rom_devices_are_told_apart_by_their_memory),
	TEST(test_a_reserved_hole_is_a_device_of_nobody),
	TEST(test_memory_faults_are_decoded),
	TEST(test_other_exits_are_about_no_address))

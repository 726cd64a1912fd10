/* SPDX-License-Identifier: BSD-3-Clause */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "dimm.h"
#include "guest.h"
#include "paging.h"
#include "rom.h"
#include "say.h"

#define GIB (UINT64_C(1) << 30)

static int open_kvm(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		cannot(0, "there is no %s: this machine offers no "
		       "virtualization, or its kvm module is not loaded", path);
	if (errno == EACCES || errno == EPERM)
		cannot(0, "no permission to open %s: run as root, or join the "
		       "group that owns it (often kvm)", path);
	cannot(errno, "cannot open %s", path);
}

static void create_vm(struct machine *machine, const char *path)
{
	machine->kvm_fd = open_kvm(path);
	if (ioctl(machine->kvm_fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		cannot(0, "%s is not KVM", path);
	machine->vm_fd = ioctl(machine->kvm_fd, KVM_CREATE_VM, 0);
	if (machine->vm_fd < 0)
		cannot(errno, "KVM makes no virtual machine");
	if (ioctl(machine->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_READONLY_MEM) <=
	    0)
		cannot(0, "this KVM has no read-only memory");
	/* Wanted on VMX only: three pages, after one that it takes itself. */
	if (ioctl(machine->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_SET_TSS_ADDR) >
		    0 &&
	    ioctl(machine->vm_fd, KVM_SET_TSS_ADDR, KVM_PAGES_BASE + 0x1000UL))
		cannot(errno, "KVM refuses room for its task state");
}

static void create_set(struct machine *machine)
{
	struct gpmm_set_options options = { 0 };
	int ret = gpmm_kvm_create(machine->vm_fd, NULL, &machine->memslots);

	if (ret)
		cannot(-ret, "no memslot backend");
	options.backend = machine->memslots;
	ret = gpmm_set_create(&options, &machine->set);
	if (ret)
		cannot(-ret, "no memory set");
}

/*
 * The guest touches all its RAM. What the system has not it promises all the
 * same, and kills who asks for it later.
 */
static void check_memory(const struct options *options)
{
	uint64_t wanted = options->low_size + options->high_size;
	struct sysinfo info;
	uint64_t have;

	if (sysinfo(&info))
		return;
	have = ((uint64_t)info.totalram + info.totalswap) * info.mem_unit;
	if (wanted > have)
		cannot(0, "no %s of memory for RAM: this machine has %ju MiB",
		       pretty(wanted), (uintmax_t)(have >> 20));
}

static struct gpmm_host *host_memory(uint64_t size, const char *what)
{
	struct gpmm_host_options options = {
		.kind = GPMM_HOST_ANON,
		.size = size,
	};
	struct gpmm_host *host;
	int ret = gpmm_host_create(&options, &host);

	if (ret)
		cannot(-ret, "no %s of memory for %s on this machine",
		       pretty(size), what);
	return host;
}

static void map(struct machine *machine, const struct gpmm_area *area,
		const char *what)
{
	int ret = gpmm_set_map(machine->set, area, 0);

	if (ret)
		cannot(-ret, "cannot map %s, %s at %#jx", what,
		       pretty(area->size), (uintmax_t)area->start);
}

/* RAM or ROM. The set keeps @host from here on. */
static void map_memory(struct machine *machine, gpmm_gpa_t start,
		       struct gpmm_host *host, uint32_t flags, const char *what)
{
	struct gpmm_area area = {
		.start = start,
		.size = gpmm_host_size(host),
		.flags = flags,
		.host = host,
		.hva = gpmm_host_addr(host),
	};

	map(machine, &area, what);
	gpmm_host_put(host);
}

/* A range that is kept free of memory: every access exits, to nobody. */
static void map_hole(struct machine *machine, gpmm_gpa_t start, uint64_t size,
		     const char *what)
{
	struct gpmm_area area = {
		.start = start,
		.size = size,
		.flags = KIND(KIND_RESERVED),
		.backend = gpmm_backend_none(),
	};

	map(machine, &area, what);
}

static void map_ram(struct machine *machine)
{
	const struct options *options = machine->options;
	struct gpmm_host *low = host_memory(options->low_size, "low RAM");
	struct gpmm_host *high = host_memory(options->high_size, "high RAM");

	machine->low = gpmm_host_addr(low);
	map_memory(machine, 0, low, GPMM_RWX | KIND(KIND_RAM), "low RAM");
	map_memory(machine, HIGH_BASE, high, GPMM_RWX | KIND(KIND_RAM),
		   "high RAM");
}

static void map_rom(struct machine *machine)
{
	struct gpmm_host *rom = host_memory(ROM_SIZE, "the ROM");

	rom_write(gpmm_host_addr(rom));
	map_memory(machine, ROM_BASE, rom,
		   GPMM_READ | GPMM_EXEC | KIND(KIND_ROM), "the ROM");
}

static void map_device(struct machine *machine, struct gpmm_mmio *mmio)
{
	struct gpmm_area area = gpmm_mmio_area(mmio, DEVICE_SIZE);

	area.flags |= GPMM_RW | KIND(KIND_DEVICE);
	map(machine, &area, "the device");
}

static void map_holes(struct machine *machine)
{
	map_hole(machine, KVM_PAGES_BASE, KVM_PAGES_SIZE,
		 "what KVM may need for itself");
	map_hole(machine, machine->reserved, RESERVED_SIZE,
		 "the reserved hole");
}

void machine_create(struct machine *machine, const struct options *options,
		    struct gpmm_mmio *device)
{
	uint64_t end;

	*machine = (struct machine){ .options = options };
	machine->reserved = HIGH_BASE + options->high_size;
	end = machine->reserved + RESERVED_SIZE + DIMM_ROOM;
	machine->top = (end + GIB - 1) / GIB * GIB;
	create_vm(machine, options->kvm_path);
	check_memory(options);
	create_set(machine);
	map_ram(machine);
	map_rom(machine);
	map_device(machine, device);
	map_holes(machine);
	paging_write(machine->low, machine->top);
}

void machine_destroy(struct machine *machine)
{
	int ret = gpmm_set_destroy(machine->set);

	if (ret)
		cannot(-ret, "the set cannot be destroyed");
	gpmm_kvm_destroy(machine->memslots);
	close(machine->vm_fd);
	close(machine->kvm_fd);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A set's transactions on memslots against hand-written ioctls that make the
 * same final change: time, and ioctls counted on both sides.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gpmm/gpmm.h>

#include "areas.h"
#include "gpmm_set.h"
#include "harness.h"

#define PAGE BENCH_PAGE
/* Each area has 8 pages, of 16 that it may lie in. */
#define AREA (8 * PAGE)
#define STRIDE (16 * PAGE)
#define FIRST UINT64_C(0x100000000)

struct machine {
	int vm_fd;
	uint64_t ioctls;	/* of the raw one */
	struct gpmm_backend *be;
	struct gpmm_set *set;
	struct gpmm_host *host;
	char *memory;
	size_t areas;
	size_t turn;
};

static uint64_t gpa_of(size_t area)
{
	return FIRST + area * STRIDE;
}

/* Memory never runs on from one area to the next. */
static char *hva_of(const struct machine *machine, size_t area)
{
	return machine->memory + area * STRIDE;
}

/* ---- raw ioctls; each area's slot has its number, pieces the next ---- */

static void raw_slot(struct machine *machine, unsigned int slot, uint32_t flags,
		     uint64_t gpa, uint64_t size, const char *hva)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)hva,
	};

	machine->ioctls++;
	if (ioctl(machine->vm_fd, KVM_SET_USER_MEMORY_REGION, &region))
		bench_die("slot %u: %s", slot, strerror(errno));
}

static void raw_whole(struct machine *machine, size_t area, uint32_t flags)
{
	raw_slot(machine, area, flags, gpa_of(area), AREA,
		 hva_of(machine, area));
}

static void raw_delete(struct machine *machine, unsigned int slot)
{
	raw_slot(machine, slot, 0, 0, 0, NULL);
}

static void raw_pair(struct machine *machine, size_t area)
{
	raw_delete(machine, area);
	raw_whole(machine, area, 0);
}

static void raw_split(struct machine *machine, size_t area)
{
	unsigned int other = machine->areas;
	uint64_t gpa = gpa_of(area);
	char *hva = hva_of(machine, area);

	raw_delete(machine, area);
	raw_slot(machine, area, 0, gpa, 3 * PAGE, hva);
	raw_slot(machine, other, 0, gpa + 5 * PAGE, 3 * PAGE, hva + 5 * PAGE);
	raw_delete(machine, area);
	raw_delete(machine, other);
	raw_whole(machine, area, 0);
}

static void raw_log(struct machine *machine, size_t area)
{
	raw_whole(machine, area, KVM_MEM_LOG_DIRTY_PAGES);
	raw_whole(machine, area, 0);
}

static void raw_move(struct machine *machine, size_t area)
{
	raw_slot(machine, area, 0, gpa_of(area) + AREA, AREA,
		 hva_of(machine, area));
	raw_whole(machine, area, 0);
}

/* ---- the same through a set; each makes two transactions ---- */

static struct gpmm_area area_at(const struct machine *machine, size_t area)
{
	return (struct gpmm_area){
		.start = gpa_of(area),
		.size = AREA,
		.flags = GPMM_RW,
		.host = machine->host,
		.hva = hva_of(machine, area),
	};
}

static void set_pair(struct machine *machine, size_t area)
{
	struct gpmm_area whole = area_at(machine, area);

	bench_must(gpmm_set_unmap(machine->set, whole.start, AREA), "unmap");
	bench_must(gpmm_set_map(machine->set, &whole, 0), "map");
}

static void set_split(struct machine *machine, size_t area)
{
	struct gpmm_area middle = area_at(machine, area);

	middle.start += 3 * PAGE;
	middle.hva = (char *)middle.hva + 3 * PAGE;
	middle.size = 2 * PAGE;
	bench_must(gpmm_set_unmap(machine->set, middle.start, middle.size),
		   "unmap");
	bench_must(gpmm_set_map(machine->set, &middle, 0), "map");
}

static void set_log(struct machine *machine, size_t area)
{
	uint32_t flags = GPMM_RW | GPMM_LOG_DIRTY;

	bench_must(gpmm_set_protect(machine->set, gpa_of(area), AREA,
				    gpmm_protect_to, &flags), "protect");
	flags = GPMM_RW;
	bench_must(gpmm_set_protect(machine->set, gpa_of(area), AREA,
				    gpmm_protect_to, &flags), "protect");
}

static void set_move_to(struct machine *machine, size_t area, uint64_t from,
			uint64_t to)
{
	struct gpmm_area moved = area_at(machine, area);
	struct gpmm_txn *txn;

	moved.start = to;
	bench_must(gpmm_txn_begin(machine->set, &txn), "begin");
	bench_must(gpmm_txn_unmap(txn, from, AREA), "unmap");
	bench_must(gpmm_txn_map(txn, &moved, 0), "map");
	bench_must(gpmm_txn_commit(txn), "commit");
}

static void set_move(struct machine *machine, size_t area)
{
	uint64_t home = gpa_of(area);

	set_move_to(machine, area, home, home + AREA);
	set_move_to(machine, area, home + AREA, home);
}

static const struct {
	const char *what;
	void (*raw)(struct machine *machine, size_t area);
	void (*set)(struct machine *machine, size_t area);
} changes[] = {
	{ "pair", raw_pair, set_pair },
	{ "split", raw_split, set_split },
	{ "log", raw_log, set_log },
	{ "move", raw_move, set_move },
};

/* ---- machines ---- */

static void make(struct machine *machine, int kvm_fd, size_t areas)
{
	*machine = (struct machine){ .areas = areas };
	machine->vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (machine->vm_fd < 0)
		bench_die("KVM_CREATE_VM: %s", strerror(errno));
	machine->memory = mmap(NULL, areas * STRIDE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			       -1, 0);
	if (machine->memory == MAP_FAILED)
		bench_die("no memory");
}

static void make_set(struct machine *machine, int kvm_fd, size_t areas)
{
	struct gpmm_host_options memory = {
		.kind = GPMM_HOST_USER, .size = areas * STRIDE,
	};
	struct gpmm_set_options options = { 0 };

	make(machine, kvm_fd, areas);
	memory.user = machine->memory;
	bench_must(gpmm_host_create(&memory, &machine->host), "host");
	bench_must(gpmm_kvm_create(machine->vm_fd, NULL, &machine->be), "kvm");
	options.backend = machine->be;
	bench_must(gpmm_set_create(&options, &machine->set), "set");
}

/*
 * By turns: of two machines filled one after the other the first was the
 * slower one, even where both were raw.
 */
static void fill(struct machine *set, struct machine *raw)
{
	for (size_t i = 0; i < set->areas; i++) {
		struct gpmm_area area = area_at(set, i);

		bench_must(gpmm_set_map(set->set, &area, 0), "map");
		raw_whole(raw, i, 0);
	}
}

static void free_machine(struct machine *machine)
{
	if (machine->set)
		bench_must(gpmm_set_destroy(machine->set), "destroy");
	gpmm_kvm_destroy(machine->be);
	gpmm_host_put(machine->host);
	close(machine->vm_fd);
	munmap(machine->memory, machine->areas * STRIDE);
}

static uint64_t ioctls(const struct machine *machine)
{
	struct gpmm_kvm_stats stats;

	if (!machine->be)
		return machine->ioctls;
	gpmm_kvm_get_stats(machine->be, &stats);
	return stats.ioctls;
}

/* ---- timing ---- */

#define CHUNK 32

/*
 * Both take turns, chunk by chunk, and in going first; ns of a transaction,
 * the median chunk.
 */
static void run_rep(struct machine *machines, size_t change, int chunks,
		    struct bench_samples *ns)
{
	static double times[2][1000];

	for (int i = 0; i < chunks; i++)
		for (int turn = 0; turn < 2; turn++) {
			int j = turn ^ (i & 1);
			struct machine *machine = &machines[j];
			uint64_t start = bench_now();

			for (int k = 0; k < CHUNK; k++) {
				size_t area = machine->turn++ * 7919 %
					      machine->areas;

				if (j)
					changes[change].raw(machine, area);
				else
					changes[change].set(machine, area);
			}
			times[j][i] = (double)(bench_now() - start) / CHUNK / 2;
		}
	for (int j = 0; j < 2; j++)
		bench_samples_add(&ns[j], bench_median(times[j], chunks));
}

/* "split/3.0-ioctls": of a transaction, on average. */
static void print(const char *bench, const struct machine *machines,
		  size_t change, const uint64_t *before,
		  const struct bench_samples *ns, uint64_t transactions)
{
	static const char *const names[] = { "gpmm", "raw-ioctl" };
	char what[64];

	for (int j = 0; j < 2; j++) {
		double each = (double)(ioctls(&machines[j]) - before[j]) /
			      transactions;
		struct bench_row row;

		snprintf(what, sizeof(what), "%s/%.1f-ioctls",
			 changes[change].what, each);
		row = bench_row(bench, what, names[j], 1,
				machines[j].areas);
		row.ns = &ns[j];
		bench_print(&row);
	}
}

static void run(const char *bench, int kvm_fd, size_t areas, int chunks)
{
	struct machine machines[2];

	make_set(&machines[0], kvm_fd, areas);
	make(&machines[1], kvm_fd, areas);
	fill(&machines[0], &machines[1]);
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		struct bench_samples ns[2] = { { .count = 0 }, { .count = 0 } };
		uint64_t before[2] = {
			ioctls(&machines[0]), ioctls(&machines[1]),
		};

		for (int rep = 0; rep < bench_options.reps; rep++)
			run_rep(machines, i, chunks, ns);
		print(bench, machines, i, before, ns,
		      (uint64_t)bench_options.reps * chunks * CHUNK * 2);
	}
	free_machine(&machines[0]);
	free_machine(&machines[1]);
}

/*
 * A memslot's grace period ends on the boot CPU, whoever waits for it (SRCU's
 * callbacks run there): elsewhere an ioctl takes two wake-ups more.
 */
static void run_away(int kvm_fd)
{
	/* A quick run has no time for it. */
	if (bench_cpus() < 2 || bench_options.effort == BENCH_QUICK)
		return;
	bench_pin(1);
	run("kvm-commit-away", kvm_fd, 8, bench_scale(1, 1, 4));
	if (bench_options.effort == BENCH_FULL)
		run("kvm-commit-away", kvm_fd, 512, 4);
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = { 8, 512, 4096 };
	int count, kvm_fd;

	bench_init(argc, argv);
	kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm_fd < 0) {
		fprintf(stderr, "no /dev/kvm: nothing to measure\n");
		return 0;
	}
	bench_pin(0);
	count = bench_scale(1, 3, 3);
	for (int i = 0; i < count; i++)
		run("kvm-commit", kvm_fd, sizes[i], bench_scale(1, 10, 100));
	run_away(kvm_fd);
	close(kvm_fd);
	return 0;
}

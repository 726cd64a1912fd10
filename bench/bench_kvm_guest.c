/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * With guests that run: what the gate costs them while it is open, for how
 * long a split holds them, and how fast what they wrote is harvested, by each
 * kind of log that the host has. A harvest's million pages a second are
 * 3.81 GiB of guest memory.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <gpmm/gpmm.h>

#include "areas.h"
#include "gpmm_set.h"
#include "harness.h"
#include "kvm_guest.h"

#define PAGE BENCH_PAGE
#define GPA UINT64_C(0x40000000)

struct bed {
	struct kvm_guest guest;
	struct gpmm_backend *be;
	struct gpmm_set *set;
	struct gpmm_host *host;
	struct gpmm_kvm_vcpu *gated[KVM_GUEST_VCPUS];
	struct kvm_guest_args args;
	bool stop;
};

static void no_op(int signal)
{
	(void)signal;
}

static void must_not(const char *problem)
{
	if (problem)
		bench_die("%s", problem);
}

static void gate_vcpu(struct bed *bed, unsigned int n)
{
	const struct kvm_guest_vcpu *vcpu = &bed->guest.vcpus[n];
	const struct gpmm_kvm_vcpu_options options = {
		.immediate_exit = &vcpu->run->immediate_exit,
		.signal = SIGUSR1,
		.fd = vcpu->fd,
		.run = vcpu->run,
	};

	bench_must(gpmm_kvm_vcpu_create(bed->be, &options, &bed->gated[n]),
		   "vcpu");
}

static void map(struct bed *bed, uint64_t page, uint64_t count)
{
	const struct gpmm_area area = {
		.start = GPA + page * PAGE,
		.size = count * PAGE,
		.flags = GPMM_RW | GPMM_LOG_DIRTY,
		.host = bed->host,
		.hva = (char *)gpmm_host_addr(bed->host) + page * PAGE,
	};

	bench_must(gpmm_set_map(bed->set, &area, 0), "map");
}

/* Return: whether the host has such a log. */
static bool make(struct bed *bed, enum gpmm_kvm_log log, unsigned int vcpus,
		 uint64_t pages)
{
	const struct gpmm_kvm_options kvm = {
		.first_slot = 1, .log = log,
		.ring_size = log == GPMM_KVM_LOG_RING ? 1u << 19 : 0,
	};
	const struct gpmm_host_options memory = {
		.kind = GPMM_HOST_ANON, .size = pages * PAGE,
	};
	struct gpmm_set_options options = { 0 };
	int ret;

	*bed = (struct bed){ .stop = false };
	must_not(kvm_guest_init_vm(&bed->guest));
	ret = gpmm_kvm_create(bed->guest.vm_fd, &kvm, &bed->be);
	if (ret == -EOPNOTSUPP) {
		kvm_guest_fini(&bed->guest);
		return false;
	}
	bench_must(ret, "kvm");
	must_not(kvm_guest_add_vcpus(&bed->guest, vcpus));
	for (unsigned int i = 0; i < vcpus; i++)
		gate_vcpu(bed, i);
	options.backend = bed->be;
	bench_must(gpmm_set_create(&options, &bed->set), "set");
	bench_must(gpmm_host_create(&memory, &bed->host), "host");
	map(bed, 0, pages);
	return true;
}

static void free_bed(struct bed *bed)
{
	for (unsigned int i = 0; i < bed->guest.nr_vcpus; i++)
		gpmm_kvm_vcpu_destroy(bed->gated[i]);
	bench_must(gpmm_set_destroy(bed->set), "destroy");
	gpmm_host_put(bed->host);
	gpmm_kvm_destroy(bed->be);
	kvm_guest_fini(&bed->guest);
}

/* ---- stalls ---- */

struct runner {
	pthread_t thread;
	struct bed *bed;
	unsigned int n;
};

static void *run_vcpu(void *arg)
{
	struct runner *runner = arg;
	struct bed *bed = runner->bed;
	const struct kvm_guest_args args = {
		.rdi = GPA + 64 * runner->n,
		.rcx = 8,
		.r8 = KVM_GUEST_SCRATCH + 64 * runner->n,
	};
	struct kvm_guest_vcpu *vcpu = &bed->guest.vcpus[runner->n];

	kvm_guest_prepare(vcpu, KVM_GUEST_WRITER, &args);
	while (!__atomic_load_n(&bed->stop, __ATOMIC_SEQ_CST))
		if (gpmm_kvm_run(bed->gated[runner->n], vcpu->fd) != -EINTR)
			bench_die("the guest saw a hole");
	return NULL;
}

static uint64_t progress(struct bed *bed, unsigned int n)
{
	return __atomic_load_n(&kvm_guest_scratch(&bed->guest)[8 * n],
			       __ATOMIC_RELAXED);
}

/* Every guest has run since the last split. */
static void let_run(struct bed *bed)
{
	for (unsigned int i = 0; i < bed->guest.nr_vcpus; i++) {
		uint64_t before = progress(bed, i);

		while (progress(bed, i) == before)
			sched_yield();
	}
}

static double held(struct bed *bed)
{
	struct gpmm_kvm_stats stats;

	gpmm_kvm_get_stats(bed->be, &stats);
	return stats.stalls.total_ns;
}

/* The last page of a slot that guests write to goes, and comes back. */
static void split(struct bed *bed, int count, struct bench_samples *p50,
		  struct bench_samples *max)
{
	static double ns[2000];
	double most = 0;

	for (int i = 0; i < count; i++) {
		double before = held(bed);

		let_run(bed);
		before = held(bed);
		if (i % 2)
			map(bed, 15, 1);
		else
			bench_must(gpmm_set_unmap(bed->set, GPA + 15 * PAGE,
						  PAGE), "unmap");
		ns[i] = held(bed) - before;
		most = ns[i] > most ? ns[i] : most;
	}
	bench_samples_add(p50, bench_median(ns, count));
	bench_samples_add(max, most);
}

static void run_stall(unsigned int vcpus)
{
	struct bench_samples p50 = { .count = 0 }, max = { .count = 0 };
	struct bench_row row = bench_row("kvm-stall", "split", "gpmm",
					 vcpus, 1);
	struct runner runners[KVM_GUEST_VCPUS];
	struct bed bed;

	make(&bed, GPMM_KVM_LOG_BITMAP, vcpus, 16);
	for (unsigned int i = 0; i < vcpus; i++) {
		runners[i] = (struct runner){ .bed = &bed, .n = i };
		pthread_create(&runners[i].thread, NULL, run_vcpu,
			       &runners[i]);
	}
	for (int rep = 0; rep < bench_options.reps; rep++)
		split(&bed, bench_scale(2, 40, 400), &p50, &max);
	__atomic_store_n(&bed.stop, true, __ATOMIC_SEQ_CST);
	for (unsigned int i = 0; i < vcpus; i++) {
		__atomic_store_n(&bed.guest.vcpus[i].run->immediate_exit, 1,
				 __ATOMIC_SEQ_CST);
		pthread_kill(runners[i].thread, SIGUSR1);
		pthread_join(runners[i].thread, NULL);
	}
	row.p50 = &p50;
	row.max = &max;
	bench_print(&row);
	free_bed(&bed);
}

/* ---- harvests ---- */

static int count_pages(void *arg, gpmm_gpa_t start, uint64_t size)
{
	(void)start;
	*(uint64_t *)arg += size / PAGE;
	return 0;
}

static void touch(struct bed *bed, uint64_t pages)
{
	const struct kvm_guest_args args = { .rdi = GPA, .rcx = pages };
	struct kvm_guest_vcpu *vcpu = &bed->guest.vcpus[0];
	int ret;

	kvm_guest_prepare(vcpu, KVM_GUEST_TOUCH, &args);
	do
		ret = gpmm_kvm_run(bed->gated[0], vcpu->fd);
	while (ret == -EINTR);
	if (kvm_guest_exit(vcpu, ret).exit != KVM_GUEST_DONE)
		bench_die("the guest did not finish");
}

static double time_harvest(struct gpmm_dirty_client *client, uint64_t pages)
{
	uint64_t start = bench_now();
	uint64_t found = 0;

	bench_must(gpmm_dirty_harvest(client, GPMM_RANGE_ALL, count_pages,
				      &found), "harvest");
	if (found < pages)
		bench_die("%llu of %llu pages", (unsigned long long)found,
			  (unsigned long long)pages);
	return bench_now() - start;
}

static void run_log(enum gpmm_kvm_log log, const char *what)
{
	uint64_t pages = bench_scale(64, 8192, 16384);
	const struct gpmm_range range = { GPA, pages * PAGE };
	struct bench_row row = bench_row("kvm-harvest", what, "gpmm", 1, 1);
	struct bench_samples mops = { .count = 0 };
	struct gpmm_dirty_source *source;
	struct gpmm_dirty_client *client;
	struct gpmm_dirty *dirty;
	struct bed bed;

	if (!make(&bed, log, 1, pages))
		return;
	source = gpmm_kvm_dirty_source(bed.be);
	bench_must(gpmm_dirty_create(range, &source, 1, &dirty), "dirty");
	bench_must(gpmm_dirty_client_create(dirty, &client), "client");
	time_harvest(client, 0);
	for (int rep = 0; rep < bench_options.reps; rep++) {
		touch(&bed, pages);
		bench_samples_add(&mops, pages * 1e3 /
				  time_harvest(client, pages));
	}
	row.mops = &mops;
	bench_print(&row);
	gpmm_dirty_client_destroy(client);
	gpmm_dirty_destroy(dirty);
	free_bed(&bed);
}

/* What the VMM marks itself: no kernel in it. */
static void run_marks(void)
{
	uint64_t pages = bench_scale(64, 1 << 18, 1 << 18);
	const struct gpmm_range range = { GPA, pages * PAGE };
	struct bench_row row = bench_row("kvm-harvest", "marks", "gpmm", 1, 0);
	struct bench_samples mops = { .count = 0 };
	struct gpmm_dirty_client *client;
	struct gpmm_dirty *dirty;

	bench_must(gpmm_dirty_create(range, NULL, 0, &dirty), "dirty");
	bench_must(gpmm_dirty_client_create(dirty, &client), "client");
	for (int rep = 0; rep < bench_options.reps; rep++) {
		gpmm_dirty_mark(dirty, GPA, pages * PAGE);
		bench_samples_add(&mops, pages * 1e3 /
				  time_harvest(client, pages));
	}
	row.mops = &mops;
	bench_print(&row);
	gpmm_dirty_client_destroy(client);
	gpmm_dirty_destroy(dirty);
}

/* What an open gate adds to a KVM_RUN. */
static void run_gate(void)
{
	struct bench_row row = bench_row("kvm-gate", "enter-leave", "gpmm", 1,
					 0);
	const int count = bench_scale(1000, 100000, 1000000);
	struct bench_samples ns = { .count = 0 };
	struct bed bed;

	make(&bed, GPMM_KVM_LOG_BITMAP, 1, 1);
	for (int rep = 0; rep < bench_options.reps; rep++) {
		uint64_t start = bench_now();

		for (int i = 0; i < count; i++) {
			gpmm_kvm_enter(bed.gated[0]);
			gpmm_kvm_leave(bed.gated[0]);
		}
		bench_samples_add(&ns, (double)(bench_now() - start) / count);
	}
	row.ns = &ns;
	bench_print(&row);
	free_bed(&bed);
}

int main(int argc, char **argv)
{
	const struct sigaction action = { .sa_handler = no_op };
	struct kvm_guest guest;
	const char *problem;

	bench_init(argc, argv);
	problem = kvm_guest_init(&guest, 2);
	kvm_guest_fini(&guest);
	if (problem) {
		fprintf(stderr, "%s: nothing to measure\n", problem);
		return 0;
	}
	sigaction(SIGUSR1, &action, NULL);
	run_gate();
	run_stall(1);
	run_stall(2);
	run_log(GPMM_KVM_LOG_BITMAP, "bitmap");
	run_log(GPMM_KVM_LOG_MANUAL, "manual");
	run_log(GPMM_KVM_LOG_RING, "ring");
	run_marks();
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hooks on windows under the real /dev/kvm: a guest's writes signal an eventfd
 * or are kept, and make no exit, wherever the window lies by then.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gpmm/gpmm.h>

#include "helpers/kvm_guest.h"
#include "helpers/kvm_suite.h"
#include "kvm/kvm_backend.h"

#define PAGE UINT64_C(4096)
#define HERE UINT64_C(0x40000000)
#define THERE UINT64_C(0x40200000)
#define RAM UINT64_C(0x40100000)
#define DOORBELL 16		/* offsets in the window */
#define LOG 64

static struct kvm_guest guest;
static struct gpmm_backend *be;
static struct gpmm_set *set;
static struct gpmm_host *host;
static int fd;
static char owner;

static struct gpmm_area window(uint64_t start, uint64_t pages)
{
	return (struct gpmm_area){
		.start = start,
		.size = pages * PAGE,
		.flags = GPMM_MMIO,
		.owner = &owner,
	};
}

static struct gpmm_area ram(uint64_t start)
{
	return (struct gpmm_area){
		.start = start,
		.size = 3 * PAGE,
		.flags = GPMM_RW,
		.host = host,
		.hva = gpmm_host_addr(host),
	};
}

static void map(struct gpmm_area area)
{
	CU_ASSERT_EQUAL_FATAL(gpmm_set_map(set, &area, 0), 0);
}

static void setup_window(void)
{
	const struct gpmm_kvm_options options = { .first_slot = 1 };
	const struct gpmm_host_options memory = {
		.kind = GPMM_HOST_ANON, .size = 3 * PAGE,
	};
	struct gpmm_set_options set_options = { 0 };
	const char *problem = kvm_guest_init(&guest, 1);

	if (problem)
		CU_FAIL_FATAL(problem);
	CU_ASSERT_EQUAL_FATAL(gpmm_kvm_create(guest.vm_fd, &options, &be), 0);
	set_options.backend = be;
	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&set_options, &set), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&memory, &host), 0);
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	CU_ASSERT_FATAL(fd >= 0);
	map(window(HERE, 4));
}

/* A doorbell of 8 bytes, and a page less a bit whose writes are kept. */
static void attach(struct gpmm_kvm_hook **hooks)
{
	const struct gpmm_kvm_event event = {
		.owner = &owner, .gpa = HERE + DOORBELL, .size = 8, .fd = fd,
	};

	CU_ASSERT_EQUAL_FATAL(gpmm_kvm_attach_event(be, &event, &hooks[0]), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_kvm_set_coalesced_ring(be,
						guest.vcpus[0].run), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_kvm_attach_coalesced(be, &owner, HERE + LOG,
			2 * PAGE - LOG, &hooks[1]), 0);
}

static void teardown(void)
{
	CU_ASSERT_EQUAL(gpmm_set_destroy(set), 0);
	gpmm_kvm_destroy(be);
	gpmm_host_put(host);
	close(fd);
	kvm_guest_fini(&guest);
}

/* The guest writes @value, and no more than that. */
static struct kvm_guest_result write_at(uint64_t gpa, uint64_t value)
{
	const struct kvm_guest_args args = {
		.rdi = gpa, .rax = value, .rcx = 1,
	};

	return kvm_guest_call(&guest.vcpus[0], KVM_GUEST_TOUCH, &args);
}

static bool exits(uint64_t gpa)
{
	struct kvm_guest_result result = write_at(gpa, 1);

	return result.exit == KVM_GUEST_MMIO_WRITE && result.gpa == gpa;
}

static uint64_t signals(void)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

/* Does a write there signal the eventfd, and only that? */
static bool rings(uint64_t gpa)
{
	return write_at(gpa, 7).exit == KVM_GUEST_DONE && signals() == 1;
}

struct kept {
	size_t count;
	uint64_t gpa[8], value[8];
};

static int take(void *arg, const struct gpmm_kvm_access *access)
{
	struct kept *kept = arg;

	CU_ASSERT_EQUAL(access->size, 8);
	kept->gpa[kept->count] = access->gpa;
	memcpy(&kept->value[kept->count++], access->data, 8);
	return 0;
}

static struct kept harvest(void)
{
	struct kept kept = { 0 };

	CU_ASSERT_EQUAL(gpmm_kvm_harvest_coalesced(be, take, &kept), 0);
	return kept;
}

/* Is a write there kept? */
static bool keeps(uint64_t gpa, uint64_t value)
{
	struct kept kept;

	if (write_at(gpa, value).exit != KVM_GUEST_DONE)
		return false;
	kept = harvest();
	return kept.count == 1 && kept.gpa[0] == gpa && kept.value[0] == value;
}

static int move(uint64_t from, uint64_t to)
{
	struct gpmm_area area = window(to, 4);
	struct gpmm_txn *txn;

	CU_ASSERT_EQUAL_FATAL(gpmm_txn_begin(set, &txn), 0);
	CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, from, 4 * PAGE), 0);
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &area, 0), 0);
	return gpmm_txn_commit(txn);
}

/* ---------------------------------------------------------------- tests --- */

static void test_writes_to_hooks_make_no_exit(void)
{
	struct gpmm_kvm_hook *hooks[2];

	setup_window();
	CU_ASSERT(exits(HERE + DOORBELL));
	CU_ASSERT(exits(HERE + LOG));
	attach(hooks);
	CU_ASSERT(rings(HERE + DOORBELL));
	CU_ASSERT(keeps(HERE + LOG, 5));
	CU_ASSERT(exits(HERE + DOORBELL + 8));
	CU_ASSERT_EQUAL(gpmm_kvm_detach(hooks[0]), 0);
	CU_ASSERT(exits(HERE + DOORBELL));
	CU_ASSERT_EQUAL(gpmm_kvm_detach(hooks[1]), 0);
	CU_ASSERT(exits(HERE + LOG));
	CU_ASSERT_EQUAL(signals(), 0);
	CU_ASSERT_EQUAL(harvest().count, 0);
	teardown();
}

static void test_hooks_follow_a_window_that_moves(void)
{
	struct gpmm_kvm_hook *hooks[2];
	struct kept kept;

	setup_window();
	attach(hooks);
	CU_ASSERT_EQUAL(write_at(HERE + LOG, 1).exit, KVM_GUEST_DONE);
	CU_ASSERT_EQUAL(move(HERE, THERE), 0);
	CU_ASSERT(exits(HERE + DOORBELL));
	CU_ASSERT(exits(HERE + LOG));
	CU_ASSERT(rings(THERE + DOORBELL));
	/* What was kept before the move is where its register is now. */
	CU_ASSERT_EQUAL(write_at(THERE + LOG + 8, 2).exit, KVM_GUEST_DONE);
	kept = harvest();
	CU_ASSERT_EQUAL(kept.count, 2);
	CU_ASSERT(kept.gpa[0] == THERE + LOG && kept.value[0] == 1);
	CU_ASSERT(kept.gpa[1] == THERE + LOG + 8 && kept.value[1] == 2);
	/* By a page, into itself; away and back. */
	CU_ASSERT_EQUAL(move(THERE, THERE + PAGE), 0);
	CU_ASSERT(exits(THERE + DOORBELL));
	CU_ASSERT(rings(THERE + PAGE + DOORBELL));
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, THERE + PAGE, 4 * PAGE), 0);
	CU_ASSERT(exits(THERE + PAGE + DOORBELL));
	map(window(HERE, 4));
	CU_ASSERT(rings(HERE + DOORBELL));
	CU_ASSERT(keeps(HERE + LOG, 3));
	teardown();
}

static void test_hooks_stay_with_what_is_left_of_a_window(void)
{
	struct gpmm_kvm_hook *hooks[2];

	setup_window();
	attach(hooks);
	/* The zone's second page goes, and RAM comes there. */
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, HERE + PAGE, PAGE), 0);
	CU_ASSERT(rings(HERE + DOORBELL));
	CU_ASSERT(keeps(HERE + LOG, 3));
	CU_ASSERT(exits(HERE + PAGE));
	map((struct gpmm_area){
		.start = HERE + PAGE, .size = PAGE, .flags = GPMM_RW,
		.host = host, .hva = gpmm_host_addr(host),
	});
	CU_ASSERT_EQUAL(write_at(HERE + PAGE, 9).exit, KVM_GUEST_DONE);
	CU_ASSERT_EQUAL(*(uint64_t *)gpmm_host_addr(host), 9);
	/* The window takes its place back. */
	CU_ASSERT_EQUAL(gpmm_set_unmap(set, HERE + PAGE, PAGE), 0);
	map(window(HERE + PAGE, 1));
	CU_ASSERT(keeps(HERE + PAGE, 4));
	/* Its left end goes: the doorbell with it, the rest stays. */
	CU_ASSERT_EQUAL(gpmm_set_shrink_left(set, HERE, 3 * PAGE), 0);
	CU_ASSERT(exits(HERE + DOORBELL));
	CU_ASSERT(keeps(HERE + PAGE + 8, 4));
	CU_ASSERT_EQUAL(gpmm_set_split(set, HERE + 2 * PAGE), 0);
	CU_ASSERT(keeps(HERE + PAGE + 8, 5));
	teardown();
}

/* ------------------------------------------------------- a failing move --- */

/* The kernel, but for one call that fails. */
static long left = -1;

static int failing_ioctl(void *ctx, int on, unsigned long request,
			 uintptr_t arg)
{
	if (left >= 0 && request != KVM_RUN && !left--)
		return -ENOSPC;
	return gpmm__kvm_sys_real.ioctl(ctx, on, request, arg);
}

/*
 * The window moves, and memory is put where it was. Each ioctl fails once:
 * nothing has changed for the guest.
 */
static void test_a_move_that_fails_leaves_hooks_where_they_were(void)
{
	static const struct kvm_sys_ops failing = { failing_ioctl };
	struct gpmm_area there = window(THERE, 4), low;
	struct gpmm_kvm_hook *hooks[2];
	struct gpmm_txn *txn;
	long n = 0;
	int ret;

	setup_window();
	low = ram(HERE);
	attach(hooks);
	map(ram(RAM));
	to_kvm(be)->sys.ops = &failing;
	do {
		CU_ASSERT(rings(HERE + DOORBELL));
		CU_ASSERT(keeps(HERE + LOG, n));
		CU_ASSERT(exits(THERE + DOORBELL));
		CU_ASSERT_EQUAL(gpmm_txn_begin(set, &txn), 0);
		CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, HERE, 4 * PAGE), 0);
		CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, RAM, PAGE), 0);
		CU_ASSERT_EQUAL(gpmm_txn_map(txn, &there, 0), 0);
		CU_ASSERT_EQUAL(gpmm_txn_map(txn, &low, 0), 0);
		left = n++;
		ret = gpmm_txn_commit(txn);
		left = -1;
		CU_ASSERT(!ret || ret == -ENOSPC);
	} while (ret && n < 100);
	/* Two hooks, each out and in; a slot moves, and one is made. */
	CU_ASSERT_EQUAL(n, 4 + 2 + 1);
	CU_ASSERT(rings(THERE + DOORBELL));
	CU_ASSERT(keeps(THERE + LOG, 1));
	CU_ASSERT_EQUAL(write_at(HERE + DOORBELL, 3).exit, KVM_GUEST_DONE);
	CU_ASSERT_EQUAL(signals(), 0);
	teardown();
}

/* ------------------------------------------------------- another fails --- */

static int accept(struct gpmm_backend *backend, const struct gpmm_area *area)
{
	(void)backend;
	(void)area;
	return 0;
}

static int accept_flags(struct gpmm_backend *backend,
			const struct gpmm_area *area, uint32_t flags)
{
	(void)flags;
	return accept(backend, area);
}

static int begin(struct gpmm_backend *backend)
{
	(void)backend;
	return 0;
}

static int refuse(struct gpmm_backend *backend)
{
	(void)backend;
	return -EPERM;
}

static void abandon(struct gpmm_backend *backend)
{
	(void)backend;
}

/* KVM has committed by the time that another backend refuses to. */
static void test_hooks_come_back_where_another_backend_fails(void)
{
	static const struct gpmm_backend_ops ops = {
		.abi = GPMM_BACKEND_ABI,
		.name = "refuses",
		.map = accept,
		.unmap = accept,
		.protect = accept_flags,
		.begin = begin,
		.commit = refuse,
		.abort = abandon,
	};
	struct gpmm_backend other = { .ops = &ops };
	struct gpmm_area there = window(THERE, 2), low;
	struct gpmm_kvm_hook *hooks[2];
	struct gpmm_txn *txn;
	struct kept kept;

	setup_window();
	attach(hooks);
	low = ram(RAM);
	low.backend = &other;
	CU_ASSERT_EQUAL(write_at(HERE + LOG, 1).exit, KVM_GUEST_DONE);
	/* The move is of a half that is left; the other is cut off. */
	CU_ASSERT_EQUAL(gpmm_txn_begin(set, &txn), 0);
	CU_ASSERT_EQUAL(gpmm_txn_unmap(txn, HERE, 4 * PAGE), 0);
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &there, 0), 0);
	CU_ASSERT_EQUAL(gpmm_txn_map(txn, &low, 0), 0);
	CU_ASSERT_EQUAL(gpmm_txn_commit(txn), -EPERM);
	CU_ASSERT_EQUAL(write_at(HERE + LOG + 8, 2).exit, KVM_GUEST_DONE);
	kept = harvest();
	CU_ASSERT_EQUAL(kept.count, 2);
	CU_ASSERT(kept.gpa[0] == HERE + LOG && kept.value[0] == 1);
	CU_ASSERT(kept.gpa[1] == HERE + LOG + 8 && kept.value[1] == 2);
	CU_ASSERT(rings(HERE + DOORBELL));
	CU_ASSERT(keeps(HERE + PAGE + 8, 3));
	CU_ASSERT(exits(THERE + DOORBELL));
	teardown();
}

/* --------------------------------------------------------------- stress --- */

/* What a vCPU's thread has seen: each value once, in order. */
struct stress {
	uint64_t next;
	uint64_t kept, exits, wrong;
	bool stop;		/* atomic */
	uint64_t rounds;	/* atomic */
};

static void see(struct stress *stress, uint64_t value)
{
	stress->wrong += value != stress->next;
	stress->next = value + 1;
}

static int see_kept(void *arg, const struct gpmm_kvm_access *access)
{
	struct stress *stress = arg;
	uint64_t value;

	memcpy(&value, access->data, sizeof(value));
	stress->kept++;
	see(stress, value);
	return 0;
}

static void *run_writer(void *arg)
{
	const struct kvm_guest_args args = {
		.rdi = HERE + PAGE, .rcx = 1, .r8 = KVM_GUEST_SCRATCH,
	};
	struct stress *stress = arg;

	kvm_guest_prepare(&guest.vcpus[0], KVM_GUEST_WRITER, &args);
	while (!__atomic_load_n(&stress->stop, __ATOMIC_ACQUIRE)) {
		struct kvm_guest_result result;

		result = kvm_guest_run(&guest.vcpus[0]);
		stress->wrong += gpmm_kvm_harvest_coalesced(be, see_kept,
							    stress) != 0;
		if (result.exit == KVM_GUEST_MMIO_WRITE) {
			stress->exits++;
			see(stress, result.value);
		} else if (result.error != -EINTR) {
			printf("exit %u, error %d\n", result.reason,
			       result.error);
			stress->wrong++;
		}
		__atomic_fetch_add(&stress->rounds, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void wait_for_round(struct stress *stress)
{
	uint64_t rounds = __atomic_load_n(&stress->rounds, __ATOMIC_ACQUIRE);

	while (__atomic_load_n(&stress->rounds, __ATOMIC_ACQUIRE) == rounds)
		sched_yield();
}

/* Whether it is kept or exits: no write is lost, or told twice. */
static void test_no_write_is_lost_while_a_window_moves(void)
{
	const int moves = getenv("GPMM_LONG") ? 5000 : 100;
	struct stress stress = { .next = 1 };
	struct gpmm_kvm_hook *hooks[2];
	pthread_t thread;

	setup_window();
	attach(hooks);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, run_writer,
					     &stress), 0);
	for (int i = 0; i < moves; i++) {
		CU_ASSERT_EQUAL(i % 2 ? move(THERE, HERE) : move(HERE, THERE),
				0);
		if (i % 4 < 2)
			wait_for_round(&stress);
	}
	__atomic_store_n(&stress.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(stress.wrong, 0);
	CU_ASSERT(stress.kept > 0 && stress.exits > 0);
	/* The last one that exited had no time to be counted by the guest. */
	CU_ASSERT_EQUAL(stress.next - 2, *kvm_guest_scratch(&guest));
	teardown();
}

static const char *missing(void)
{
	const char *problem = kvm_guest_init(&guest, 1);
	uint64_t features = 0;

	if (!problem && gpmm_kvm_features(guest.vm_fd, &features))
		problem = "KVM does not tell what it has";
	if (!problem && !(features & GPMM_KVM_EVENT))
		problem = "this KVM has no ioeventfd";
	if (!problem && !(features & GPMM_KVM_COALESCED))
		problem = "this KVM has no coalesced MMIO";
	kvm_guest_fini(&guest);
	return problem;
}

SUITE_IF(missing(), "kvm windows",
	TEST(test_writes_to_hooks_make_no_exit),
	TEST(test_hooks_follow_a_window_that_moves),
	TEST(test_hooks_stay_with_what_is_left_of_a_window),
	TEST(test_a_move_that_fails_leaves_hooks_where_they_were),
	TEST(test_hooks_come_back_where_another_backend_fails),
	TEST(test_no_write_is_lost_while_a_window_moves))

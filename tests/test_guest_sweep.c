/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Everything of host memory, of guest access and of the drain that allocates,
 * with its Nth allocation failing, for every N: it says so, nothing has
 * changed, nothing was lost, and then it succeeds.
 */
#include "config.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "helpers/entries.h"
#include "helpers/guest_fixture.h"
#include "util/alloc.h"
#include "util/rcu.h"

#define BASE UINT64_C(0x40000000)
#define PIECES 200

/*
 * The linker sends the library's calls here (-Wl,--wrap), so that what it
 * holds is counted.
 */
static long blocks;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
int __real_posix_memalign(void **memory, size_t align, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
int __wrap_posix_memalign(void **memory, size_t align, size_t size);
void __wrap_free(void *memory);

static void count_blocks(long by)
{
	__atomic_fetch_add(&blocks, by, __ATOMIC_SEQ_CST);
}

void *__wrap_malloc(size_t size)
{
	count_blocks(1);
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	count_blocks(1);
	return __real_calloc(n, size);
}

int __wrap_posix_memalign(void **memory, size_t align, size_t size)
{
	count_blocks(1);
	return __real_posix_memalign(memory, align, size);
}

void __wrap_free(void *memory)
{
	count_blocks(memory ? -1 : 0);
	__real_free(memory);
}

/* A guest of pieces that do not lie together, and who uses it. */
static struct scene {
	struct world world;
	char *hva[PIECES];
	struct gpmm_pin pins[PIECES];
	struct iovec iov[PIECES];
	size_t count;
	struct gpmm_host *host;
	struct gpmm_mmio *mmio;
	struct gpmm_holder *new_holder;
	int fd;
} scene;

/* ------------------------------------------------------ what is swept --- */

/* @undo puts back what @run did. */
struct act {
	const char *name;
	int (*run)(void);
	void (*undo)(void);
};

static int create(enum gpmm_host_kind kind, unsigned int threads)
{
	struct gpmm_host_options options = { .kind = kind, .fd = scene.fd,
		.size = threads ? UINT64_C(130) << 20 : PAGE,
		.user = kind == GPMM_HOST_USER ? scene.iov : NULL,
		.prealloc_threads = threads };

	scene.host = NULL;
	return gpmm_host_create(&options, &scene.host);
}

static int create_anon(void)
{
	return create(GPMM_HOST_ANON, 0);
}

static int create_memfd(void)
{
	return create(GPMM_HOST_MEMFD, 0);
}

static int create_file(void)
{
	return create(GPMM_HOST_FILE, 0);
}

static int create_user(void)
{
	return create(GPMM_HOST_USER, 0);
}

static int create_and_preallocate(void)
{
	return create(GPMM_HOST_ANON, 2);
}

static void put_host(void)
{
	CU_ASSERT_PTR_NOT_NULL_FATAL(scene.host);
	gpmm_host_put(scene.host);
}

static int create_holder(void)
{
	scene.new_holder = NULL;
	return gpmm_holder_create("new", &scene.new_holder);
}

static void destroy_holder(void)
{
	gpmm_holder_destroy(scene.new_holder);
}

static int gather(void)
{
	struct gpmm_range range = { BASE, PIECES * PAGE };

	return gpmm_gather(&scene.world.guest, scene.new_holder, &range, 1,
			   GPMM_RW, scene.iov, scene.pins, PIECES,
			   &scene.count);
}

/* With a holder of its own: what it allocates it keeps. */
static int gather_anew(void)
{
	int ret = create_holder();

	if (!ret)
		ret = gather();
	if (ret)
		destroy_holder();
	return ret;
}

static void release_and_destroy(void)
{
	gpmm_gather_release(&scene.world.guest, scene.pins, scene.count, 0);
	destroy_holder();
}

static int pin_anew(void)
{
	int ret = create_holder();

	if (!ret)
		ret = gpmm_pin(&scene.world.guest, scene.new_holder, BASE, 8,
			       GPMM_RW, &scene.pins[0]);
	if (ret)
		destroy_holder();
	scene.count = !ret;
	return ret;
}

static const struct gpmm_mmio_ops ops = { .max_width = 4 };

static int create_window(void)
{
	scene.mmio = NULL;
	return gpmm_mmio_create(&ops, NULL, 0, NULL, &scene.mmio);
}

static void retire_window(void)
{
	const unsigned long before = gpmm__rcu_grace_periods;

	CU_ASSERT_PTR_NOT_NULL_FATAL(scene.mmio);
	CU_ASSERT_EQUAL(gpmm_mmio_retire(scene.world.set, scene.mmio), 0);
	/* For those who found it, and have not counted themselves yet. */
	CU_ASSERT(gpmm__rcu_grace_periods > before);
}

static int drain(void)
{
	return gpmm_drain(scene.world.set, scene.host, 0, 0, 5000, NULL);
}

static void nothing(void)
{
}

/* Accesses need no memory: none may fail. */
static int access_all(void)
{
	const struct gpmm_guest *guest = &scene.world.guest;
	uint64_t value = 1, old;
	char bytes[3 * 4096];
	int result;

	return gpmm_read(guest, BASE + 7, bytes, sizeof(bytes), NULL) |
	       gpmm_write(guest, BASE + 7, bytes, sizeof(bytes), NULL) |
	       gpmm_fill(guest, BASE + 7, 0, sizeof(bytes), NULL) |
	       gpmm_copy(guest, BASE, BASE + 10 * PAGE, 3 * PAGE, NULL) |
	       gpmm_compare(guest, BASE, bytes, 9, &result, NULL) |
	       gpmm_load(guest, BASE + PAGE - 3, GPMM_BE64, GPMM_ACQUIRE,
			 &value) |
	       gpmm_store(guest, BASE + PAGE - 3, GPMM_LE64, GPMM_RELEASE,
			  0) |
	       gpmm_fetch_or(guest, BASE, GPMM_LE32, GPMM_SEQ_CST, 0, &old) |
	       gpmm_io_read(guest, BASE + 7, bytes, sizeof(bytes), NULL) |
	       gpmm_write_to(guest, scene.fd, 0, BASE, 20 * PAGE, NULL) |
	       gpmm_read_from(guest, scene.fd, 0, BASE, 20 * PAGE, NULL) |
	       gpmm_host_discard(scene.host, 0, PAGE);
}

static const struct act acts[] = {
	{ "create anon", create_anon, put_host },
	{ "create memfd", create_memfd, put_host },
	{ "create file", create_file, put_host },
	{ "create user", create_user, put_host },
	{ "preallocate", create_and_preallocate, put_host },
	{ "holder", create_holder, destroy_holder },
	{ "pin", pin_anew, release_and_destroy },
	{ "gather", gather_anew, release_and_destroy },
	{ "window", create_window, retire_window },
	{ NULL, NULL, NULL },
};

/* On memory that lives meanwhile. */
static const struct act draining = { "drain", drain, nothing };
static const struct act accessing = { "access", access_all, nothing };

/* ------------------------------------------------- what must not change --- */

struct state {
	int fds;
	long blocks;
	uint64_t hosts, mapped;
	unsigned int nesting;
	int byte;
};

static void take_state(struct state *state)
{
	struct gpmm_host_stats stats;

	memset(state, 0, sizeof(*state));
	for (int kind = 0; kind <= GPMM_HOST_GUEST_MEMFD; kind++) {
		gpmm_host_get_kind_stats(kind, &stats);
		state->hosts += stats.count << (8 * kind);
		state->mapped += stats.mapped;
	}
	state->nesting = gpmm__rcu_nesting;
	state->byte = *scene.hva[0];
	state->fds = count_entries("/proc/self/fd");
	state->blocks = __atomic_load_n(&blocks, __ATOMIC_SEQ_CST);
}

static bool is_as_before(const struct state *before, const struct act *act,
			 unsigned long n)
{
	struct state now;

	take_state(&now);
	if (!memcmp(before, &now, sizeof(now)))
		return true;
	printf("    %s: not as before when allocation %lu failed\n",
	       act->name, n);
	return false;
}

/* ------------------------------------------------------------ sweeping --- */

static unsigned long points;

/* Return: whether the Nth allocation came to be asked for. */
static bool fail_nth(const struct act *act, unsigned long n)
{
	struct state before;
	bool struck;
	int ret;

	take_state(&before);
	gpmm__alloc_calls = 0;
	gpmm__alloc_left = (long)n;
	ret = act->run();
	struck = gpmm__alloc_calls > n;
	gpmm__alloc_left = -1;
	CU_ASSERT_EQUAL(ret, struck ? -ENOMEM : 0);
	if (!ret) {
		act->undo();
	} else {
		points++;
		CU_ASSERT_TRUE(is_as_before(&before, act, n));
		CU_ASSERT_EQUAL(act->run(), 0);
		act->undo();
	}
	CU_ASSERT_TRUE(is_as_before(&before, act, n));
	return struck;
}

static void sweep(const struct act *act)
{
	unsigned long n = 0;

	while (fail_nth(act, n))
		n++;
}

static void set_up(void)
{
	memset(&scene, 0, sizeof(scene));
	points = 0;
	world_make(&scene.world, 0);
	for (int i = 0; i < PIECES; i++)
		scene.hva[i] = world_ram(&scene.world, BASE + i * PAGE, PAGE,
					 GPMM_RW);
	scene.fd = memfd_create("test", MFD_CLOEXEC);
	CU_ASSERT_EQUAL_FATAL(ftruncate(scene.fd, 20 * PAGE), 0);
}

static void tear_down(void)
{
	world_end(&scene.world);
	close(scene.fd);
}

static void every_failed_allocation_changes_nothing(void)
{
	set_up();
	for (const struct act *act = acts; act->name; act++)
		sweep(act);
	CU_ASSERT(points >= 14);
	tear_down();
}

static void a_drain_fails_whole(void)
{
	set_up();
	CU_ASSERT_EQUAL_FATAL(create_anon(), 0);
	sweep(&draining);
	CU_ASSERT_EQUAL(points, 1);
	put_host();
	tear_down();
}

static void accesses_and_discards_allocate_nothing(void)
{
	set_up();
	CU_ASSERT_EQUAL_FATAL(create_anon(), 0);
	sweep(&accessing);
	CU_ASSERT_EQUAL(points, 0);
	put_host();
	tear_down();
}

/* Those of the holder that were there before are, and no others. */
static void a_failed_gather_leaves_other_pins(void)
{
	struct gpmm_holding holding;
	struct gpmm_certificate certificate = { &holding, 1, .done = true };
	struct gpmm_area area;
	struct gpmm_pin pin;

	set_up();
	CU_ASSERT_EQUAL_FATAL(create_holder(), 0);
	CU_ASSERT_EQUAL(gpmm_pin(&scene.world.guest, scene.new_holder,
				 BASE + 5, 7, GPMM_RW, &pin), 0);
	gpmm__alloc_left = 0;
	CU_ASSERT_EQUAL(gather(), -ENOMEM);
	gpmm__alloc_left = -1;
	for (int i = 0; i < PIECES; i++) {
		CU_ASSERT_TRUE(gpmm_set_find_rcu(scene.world.set,
						 BASE + i * PAGE, &area));
		CU_ASSERT_EQUAL(gpmm_drain(scene.world.set, area.host, 0, 0,
					   i ? 5000 : 0, &certificate),
				i ? 0 : -ETIMEDOUT);
		CU_ASSERT_EQUAL(certificate.pins, !i);
	}
	CU_ASSERT_EQUAL(holding.size, 7);
	gpmm_unpin(&pin);
	destroy_holder();
	tear_down();
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		TEST(every_failed_allocation_changes_nothing),
		TEST(a_drain_fails_whole),
		TEST(accesses_and_discards_allocate_nothing),
		TEST(a_failed_gather_leaves_other_pins),
		CU_TEST_INFO_NULL,
	};

	return run_suite("allocation failures", tests);
}

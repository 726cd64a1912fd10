/* SPDX-License-Identifier: BSD-3-Clause */
/* Discards: what each kind frees, what it reads as after, what is refused. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <CUnit/Basic.h>

#include <gpmm/host.h>
#include <gpmm/pin.h>

#include "helpers/entries.h"

#define SIZE (UINT64_C(1) << 20)
#define PART (SIZE / 4)

static struct gpmm_host *make(struct gpmm_host_options options)
{
	struct gpmm_host *host = NULL;

	options.size = SIZE;
	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&options, &host), 0);
	return host;
}

/* A file of SIZE bytes of 'f' with holes possible, already without a name. */
static int make_file(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	char *page = malloc(SIZE);

	CU_ASSERT_TRUE_FATAL(fd >= 0 && page);
	memset(page, 'f', SIZE);
	CU_ASSERT_EQUAL_FATAL(write(fd, page, SIZE), SIZE);
	free(page);
	return fd;
}

static uint64_t file_bytes(int fd)
{
	struct stat st;

	CU_ASSERT_EQUAL_FATAL(fstat(fd, &st), 0);
	return st.st_blocks * UINT64_C(512);
}

static uint64_t resident(struct gpmm_host *host)
{
	struct gpmm_host_stats stats;

	gpmm_host_get_stats(host, &stats);
	return stats.resident;
}

/* Discard the second quarter; the rest keeps @byte. */
static void discard_part(struct gpmm_host *host, char byte)
{
	struct gpmm_host_stats stats;
	char *addr = gpmm_host_addr(host);

	CU_ASSERT_EQUAL(gpmm_host_discard(host, PART, PART), 0);
	CU_ASSERT_EQUAL(addr[PART - 1], byte);
	CU_ASSERT_EQUAL(addr[2 * PART], byte);
	CU_ASSERT_EQUAL(addr[PART], 0);
	CU_ASSERT_EQUAL(addr[2 * PART - 1], 0);
	addr[PART] = 'n';
	CU_ASSERT_EQUAL(addr[PART], 'n');
	gpmm_host_get_stats(host, &stats);
	CU_ASSERT_EQUAL(stats.discarded, PART);
}

static void private_memory_is_freed(void)
{
	struct gpmm_host *host = make((struct gpmm_host_options){ 0 });

	memset(gpmm_host_addr(host), 'a', SIZE);
	CU_ASSERT_EQUAL(resident(host), SIZE);
	CU_ASSERT_EQUAL(gpmm_host_discard(host, PART, PART), 0);
	CU_ASSERT_EQUAL(resident(host), SIZE - PART);
	gpmm_host_put(host);
	host = make((struct gpmm_host_options){ 0 });
	memset(gpmm_host_addr(host), 'a', SIZE);
	discard_part(host, 'a');
	gpmm_host_put(host);
}

static void shared_memory_is_freed_in_the_file(void)
{
	struct gpmm_host *host = make((struct gpmm_host_options){
		.kind = GPMM_HOST_MEMFD });

	memset(gpmm_host_addr(host), 'm', SIZE);
	CU_ASSERT_EQUAL(file_bytes(gpmm_host_fd(host)), SIZE);
	CU_ASSERT_EQUAL(gpmm_host_discard(host, 2 * PART, PART), 0);
	CU_ASSERT_EQUAL(file_bytes(gpmm_host_fd(host)), SIZE - PART);
	gpmm_host_put(host);
	host = make((struct gpmm_host_options){ .kind = GPMM_HOST_MEMFD });
	memset(gpmm_host_addr(host), 'm', SIZE);
	discard_part(host, 'm');
	gpmm_host_put(host);
}

static void a_shared_file_gets_a_hole(void)
{
	int fd = make_file();
	struct gpmm_host *host = make((struct gpmm_host_options){
		.kind = GPMM_HOST_FILE, .fd = fd });

	CU_ASSERT_NOT_EQUAL(gpmm_host_fd(host), fd);
	CU_ASSERT_EQUAL(fcntl(gpmm_host_fd(host), F_GETFD), FD_CLOEXEC);
	CU_ASSERT_EQUAL(gpmm_host_discard(host, 2 * PART, PART), 0);
	CU_ASSERT_EQUAL(file_bytes(fd), SIZE - PART);
	memset((char *)gpmm_host_addr(host) + 2 * PART, 'f', PART);
	gpmm_host_put(host);
	host = make((struct gpmm_host_options){ .kind = GPMM_HOST_FILE,
						.fd = fd });
	discard_part(host, 'f');
	gpmm_host_put(host);
	close(fd);
}

static void a_private_file_is_left_alone_and_its_pages_freed(void)
{
	int fd = make_file();
	struct gpmm_host *host = make((struct gpmm_host_options){
		.kind = GPMM_HOST_FILE, .fd = fd,
		.flags = GPMM_HOST_PRIVATE | GPMM_HOST_NODUMP });
	char byte;

	memset(gpmm_host_addr(host), 'p', SIZE);
	discard_part(host, 'p');
	CU_ASSERT_EQUAL(pread(fd, &byte, 1, PART), 1);
	CU_ASSERT_EQUAL(byte, 'f');
	CU_ASSERT_EQUAL(file_bytes(fd), SIZE);
	gpmm_host_put(host);
	close(fd);
}

static void an_offset_into_a_file_counts(void)
{
	int fd = make_file();
	struct gpmm_host_options options = {
		.kind = GPMM_HOST_FILE, .fd = fd, .offset = PART,
		.size = 2 * PART };
	int files = count_entries("/proc/self/fd");
	struct gpmm_host *host;
	char byte;

	CU_ASSERT_EQUAL(pwrite(fd, "x", 1, PART), 1);
	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&options, &host), 0);
	CU_ASSERT_EQUAL(*(char *)gpmm_host_addr(host), 'x');
	CU_ASSERT_EQUAL(gpmm_host_offset(host), PART);
	CU_ASSERT_EQUAL(gpmm_host_discard(host, 0, PART), 0);
	CU_ASSERT_EQUAL(pread(fd, &byte, 1, PART), 1);
	CU_ASSERT_EQUAL(byte, 0);
	CU_ASSERT_EQUAL(pread(fd, &byte, 1, PART - 1), 1);
	CU_ASSERT_EQUAL(byte, 'f');
	gpmm_host_put(host);
	options.size = SIZE;
	CU_ASSERT_EQUAL(gpmm_host_create(&options, &host), -ENXIO);
	options.offset = 1;
	CU_ASSERT_EQUAL(gpmm_host_create(&options, &host), -EINVAL);
	options.offset = INT64_MAX & -UINT64_C(4096);
	CU_ASSERT_EQUAL(gpmm_host_create(&options, &host), -EINVAL);
	options.fd = -1;
	CU_ASSERT_EQUAL(gpmm_host_create(&options, &host), -EBADF);
	CU_ASSERT_EQUAL(count_entries("/proc/self/fd"), files);
	close(fd);
}

static void what_would_free_nothing_is_refused(void)
{
	static char memory[SIZE];
	int fd = make_file();
	struct gpmm_host *host = make((struct gpmm_host_options){
		.kind = GPMM_HOST_USER, .user = memory });

	CU_ASSERT_EQUAL(gpmm_host_discard(host, 0, SIZE), -EOPNOTSUPP);
	gpmm_host_put(host);
	host = make((struct gpmm_host_options){ .kind = GPMM_HOST_FILE,
		.fd = fd, .flags = GPMM_HOST_READONLY });
	CU_ASSERT_EQUAL(gpmm_host_discard(host, 0, SIZE), -EROFS);
	CU_ASSERT_EQUAL(file_bytes(fd), SIZE);
	gpmm_host_put(host);
	host = make((struct gpmm_host_options){ .flags = GPMM_HOST_LOCK });
	CU_ASSERT_EQUAL(gpmm_host_discard(host, 0, SIZE), -EBUSY);
	gpmm_host_put(host);
	host = make((struct gpmm_host_options){ .kind = GPMM_HOST_MEMFD,
						.flags = GPMM_HOST_LOCK });
	CU_ASSERT_EQUAL(gpmm_host_discard(host, 0, SIZE), -EBUSY);
	gpmm_host_put(host);
	close(fd);
	fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
	host = make((struct gpmm_host_options){ .kind = GPMM_HOST_FILE,
						.fd = fd });
	CU_ASSERT_EQUAL(gpmm_host_discard(host, 0, SIZE), -EOPNOTSUPP);
	gpmm_host_put(host);
	close(fd);
}

/* The system call itself: sanitizers make nothing of mlock(2). */
static void what_the_embedder_locked_stays(void)
{
	struct gpmm_host *host = make((struct gpmm_host_options){ 0 });
	struct gpmm_host_stats stats;
	char *addr = gpmm_host_addr(host);

	memset(addr, 'a', SIZE);
	if (syscall(SYS_mlock, addr + PART, 4096)) {
		printf("(no mlock here) ");
	} else {
		CU_ASSERT_EQUAL(gpmm_host_discard(host, PART, PART), -EBUSY);
		gpmm_host_get_stats(host, &stats);
		CU_ASSERT_EQUAL(stats.resident, SIZE);
		CU_ASSERT_EQUAL(stats.discarded, 0);
		CU_ASSERT_EQUAL(gpmm_host_discard(host, 0, PART), 0);
	}
	gpmm_host_put(host);
}

static void hostile_ranges_are_refused(void)
{
	static const struct gpmm_range bad[] = {
		{ 0, SIZE + 4096 }, { SIZE, 4096 }, { 4096, SIZE },
		{ 1, 4096 }, { 0, 1 }, { -UINT64_C(4096), 8192 },
		{ 4096, -UINT64_C(4096) },
	};
	struct gpmm_host *host = make((struct gpmm_host_options){ 0 });

	memset(gpmm_host_addr(host), 'a', SIZE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CU_ASSERT_EQUAL(gpmm_host_discard(host, bad[i].start,
						  bad[i].size), -EINVAL);
	CU_ASSERT_EQUAL(gpmm_host_discard(host, SIZE, 0), 0);
	CU_ASSERT_EQUAL(resident(host), SIZE);
	gpmm_host_put(host);
	host = make((struct gpmm_host_options){ .kind = GPMM_HOST_MEMFD });
	CU_ASSERT_EQUAL(gpmm_host_discard(host, 0, 0), 0);
	CU_ASSERT_EQUAL(gpmm_host_discard(host, SIZE + 4096, 0), -EINVAL);
	gpmm_host_put(host);
}

static void a_pin_keeps_its_pages(void)
{
	struct gpmm_host *host = make((struct gpmm_host_options){ 0 });
	struct gpmm_area area = { .start = 0x10000, .size = SIZE,
		.host = host, .hva = gpmm_host_addr(host) };
	struct gpmm_holder *holder;
	struct gpmm_pin pin;

	memset(area.hva, 'a', SIZE);
	CU_ASSERT_EQUAL_FATAL(gpmm_holder_create("dma", &holder), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_pin_area(holder, &area,
					    0x10000 + PART + 100, 8, &pin), 0);
	CU_ASSERT_EQUAL(gpmm_host_discard(host, PART, 4096), -EBUSY);
	CU_ASSERT_EQUAL(gpmm_host_discard(host, 0, SIZE), -EBUSY);
	CU_ASSERT_EQUAL(resident(host), SIZE);
	CU_ASSERT_EQUAL(gpmm_host_discard(host, 0, PART), 0);
	CU_ASSERT_EQUAL(gpmm_host_discard(host, PART + 4096, 4096), 0);
	gpmm_unpin(&pin);
	CU_ASSERT_EQUAL(gpmm_host_discard(host, PART, 4096), 0);
	gpmm_area_pin(&area);
	CU_ASSERT_EQUAL(gpmm_host_discard(host, 2 * PART, PART), -EBUSY);
	gpmm_area_unpin(&area);
	CU_ASSERT_EQUAL(gpmm_host_discard(host, 2 * PART, PART), 0);
	gpmm_holder_destroy(holder);
	gpmm_host_put(host);
}

/* ------------------------------------- a discard stopped half-way --- */

/*
 * The kernel tells a userfaultfd of a removal and waits until it was read,
 * before any page goes: a discard is held there as long as we like.
 */
static int watch_removals(void *addr, uint64_t size)
{
	struct uffdio_api api = { .api = UFFD_API,
				  .features = UFFD_FEATURE_EVENT_REMOVE };
	struct uffdio_register reg = { .range = { (uintptr_t)addr, size },
				       .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK |
			      UFFD_USER_MODE_ONLY);

	/* Without O_NONBLOCK poll() would not know it. */
	if (fd >= 0 && !ioctl(fd, UFFDIO_API, &api) &&
	    !ioctl(fd, UFFDIO_REGISTER, &reg))
		return fd;
	close(fd);
	return -1;
}

struct half_way {
	struct gpmm_area area;
	bool by_area;
	int uffd;
	int tid;	/* atomic: of who pins, once it has started */
	int pinned;	/* atomic: the byte it found, plus 1 */
	int discarded;	/* what the discard returned */
	int failed;	/* of the pinning thread */
};

static void *discard_it(void *arg)
{
	struct half_way *half_way = arg;

	half_way->discarded = gpmm_host_discard(half_way->area.host, 0, PART);
	return NULL;
}

static void *discard_and_tell(void *arg)
{
	struct half_way *half_way = arg;

	__atomic_store_n(&half_way->tid, (int)syscall(SYS_gettid),
			 __ATOMIC_SEQ_CST);
	return discard_it(half_way);
}

/* What a pin sees first stays: not a byte that is about to go. */
static void *pin_it(void *arg)
{
	struct half_way *half_way = arg;
	struct gpmm_holder *holder = NULL;
	struct gpmm_pin pin;

	half_way->failed = gpmm_holder_create("device", &holder);
	__atomic_store_n(&half_way->tid, (int)syscall(SYS_gettid),
			 __ATOMIC_SEQ_CST);
	if (half_way->by_area)
		gpmm_area_pin(&half_way->area);
	else
		half_way->failed |= gpmm_pin_area(holder, &half_way->area,
						  half_way->area.start, 1,
						  &pin);
	__atomic_store_n(&half_way->pinned,
			 *(volatile char *)half_way->area.hva + 1,
			 __ATOMIC_SEQ_CST);
	if (half_way->by_area)
		gpmm_area_unpin(&half_way->area);
	else
		gpmm_unpin(&pin);
	gpmm_holder_destroy(holder);
	return NULL;
}

static void stop_watching(struct half_way *half_way)
{
	struct uffdio_range all = { (uintptr_t)half_way->area.hva, SIZE };

	CU_ASSERT_EQUAL(ioctl(half_way->uffd, UFFDIO_UNREGISTER, &all), 0);
	/* Again, for a fault that came while the first one woke the others. */
	CU_ASSERT_EQUAL(ioctl(half_way->uffd, UFFDIO_WAKE, &all), 0);
}

/* Until it sleeps, as it should, or has got its pin. */
static void let_it_try(struct half_way *half_way)
{
	int tid;

	while (!(tid = __atomic_load_n(&half_way->tid, __ATOMIC_SEQ_CST)))
		sched_yield();
	while (!__atomic_load_n(&half_way->pinned, __ATOMIC_SEQ_CST) &&
	       state_of(tid) != 'S')
		sched_yield();
}

/* The byte found, plus 1. */
static int pin_half_way(struct half_way *half_way)
{
	pthread_t discarder, pinner;
	struct uffd_msg message;
	struct pollfd poll_it = { half_way->uffd, POLLIN, 0 };

	pthread_create(&discarder, NULL, discard_it, half_way);
	CU_ASSERT_EQUAL(poll(&poll_it, 1, -1), 1);
	pthread_create(&pinner, NULL, pin_it, half_way);
	let_it_try(half_way);
	CU_ASSERT_EQUAL(read(half_way->uffd, &message, sizeof(message)),
			sizeof(message));
	CU_ASSERT_EQUAL(message.event, UFFD_EVENT_REMOVE);
	pthread_join(discarder, NULL);
	stop_watching(half_way);
	pthread_join(pinner, NULL);
	CU_ASSERT_EQUAL(half_way->discarded, 0);
	CU_ASSERT_EQUAL(half_way->failed, 0);
	return __atomic_load_n(&half_way->pinned, __ATOMIC_SEQ_CST);
}

static void a_pin_waits_for_a_discard_under_way(void)
{
	for (int i = 0; i < 2; i++) {
		struct gpmm_host *host = make((struct gpmm_host_options){ 0 });
		struct half_way half_way = { .by_area = i };

		half_way.area = (struct gpmm_area){ .start = 0x10000,
			.size = SIZE, .host = host,
			.hva = gpmm_host_addr(host) };
		memset(half_way.area.hva, 'a', SIZE);
		half_way.uffd = watch_removals(half_way.area.hva, SIZE);
		if (half_way.uffd < 0)
			printf("(no userfaultfd here) ");
		else
			CU_ASSERT_EQUAL(pin_half_way(&half_way), 0 + 1);
		close(half_way.uffd);
		gpmm_host_put(host);
	}
}

/* A second discard begins when the first is over, and is waited for, too. */
static void pin_after_the_first(struct half_way *half_way)
{
	pthread_t discarder[2], pinner;
	struct uffd_msg message;
	struct pollfd poll_it = { half_way->uffd, POLLIN, 0 };
	struct half_way other = *half_way;

	pthread_create(&discarder[0], NULL, discard_it, half_way);
	CU_ASSERT_EQUAL(poll(&poll_it, 1, -1), 1);
	pthread_create(&discarder[1], NULL, discard_and_tell, &other);
	let_it_try(&other);
	CU_ASSERT_EQUAL(read(half_way->uffd, &message, sizeof(message)),
			sizeof(message));
	pthread_join(discarder[0], NULL);
	CU_ASSERT_EQUAL(poll(&poll_it, 1, -1), 1);
	pthread_create(&pinner, NULL, pin_it, half_way);
	let_it_try(half_way);
	CU_ASSERT_EQUAL(__atomic_load_n(&half_way->pinned, __ATOMIC_SEQ_CST),
			0);
	CU_ASSERT_EQUAL(read(half_way->uffd, &message, sizeof(message)),
			sizeof(message));
	pthread_join(discarder[1], NULL);
	stop_watching(half_way);
	pthread_join(pinner, NULL);
	CU_ASSERT_EQUAL(half_way->discarded | other.discarded, 0);
	CU_ASSERT_EQUAL(half_way->failed, 0);
}

static void discards_take_turns(void)
{
	struct gpmm_host *host = make((struct gpmm_host_options){ 0 });
	struct half_way half_way = { .area = { .start = 0x10000,
		.size = SIZE, .host = host, .hva = gpmm_host_addr(host) } };

	memset(half_way.area.hva, 'a', SIZE);
	half_way.uffd = watch_removals(half_way.area.hva, SIZE);
	if (half_way.uffd < 0)
		printf("(no userfaultfd here) ");
	else
		pin_after_the_first(&half_way);
	close(half_way.uffd);
	gpmm_host_put(host);
}

static void figures_of_a_kind_add_up(void)
{
	struct gpmm_host_stats before, now;
	struct gpmm_host *a, *b, *c;

	gpmm_host_get_kind_stats(GPMM_HOST_MEMFD, &before);
	a = make((struct gpmm_host_options){ .kind = GPMM_HOST_MEMFD });
	b = make((struct gpmm_host_options){ .kind = GPMM_HOST_MEMFD });
	c = make((struct gpmm_host_options){ .kind = GPMM_HOST_ANON });
	memset(gpmm_host_addr(a), 1, SIZE);
	memset(gpmm_host_addr(b), 1, PART);
	CU_ASSERT_EQUAL(gpmm_host_discard(a, 0, PART), 0);
	gpmm_host_get_kind_stats(GPMM_HOST_MEMFD, &now);
	CU_ASSERT_EQUAL(now.count - before.count, 2);
	CU_ASSERT_EQUAL(now.mapped - before.mapped, 2 * SIZE);
	CU_ASSERT_EQUAL(now.resident - before.resident, SIZE);
	CU_ASSERT_EQUAL(now.discarded - before.discarded, PART);
	gpmm_host_put(b);
	gpmm_host_put(a);
	gpmm_host_put(c);
	gpmm_host_get_kind_stats(GPMM_HOST_MEMFD, &now);
	CU_ASSERT_EQUAL(now.count, before.count);
	CU_ASSERT_EQUAL(now.mapped, before.mapped);
}

/* From the kernel's interface, which Debian 12's headers do not have yet. */
#define CREATE_VM	0xae01
#define CREATE_GUEST_MEMFD 0xc040aed4

static int make_guest_memfd(int vm, uint64_t flags)
{
	uint64_t args[8] = { SIZE, flags };

	return ioctl(vm, CREATE_GUEST_MEMFD, args);
}

static void guest_memfd_is_held_mapped_or_blind(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm = kvm < 0 ? -1 : ioctl(kvm, CREATE_VM, 0UL);

	for (uint64_t flags = 0; flags < 4; flags++) {
		int fd = vm < 0 ? -1 : make_guest_memfd(vm, flags);
		struct gpmm_host_options too_long = {
			.kind = GPMM_HOST_GUEST_MEMFD, .fd = fd,
			.size = SIZE, .offset = 4096 };
		struct gpmm_host_stats stats;
		struct gpmm_host *host;

		if (fd < 0) {
			printf("(no guest_memfd, flags %d) ", (int)flags);
			continue;
		}
		host = make((struct gpmm_host_options){
			.kind = GPMM_HOST_GUEST_MEMFD, .fd = fd });
		CU_ASSERT_PTR_NOT_NULL(gpmm_host_addr(host));
		gpmm_host_get_stats(host, &stats);
		/* Bit 0: it may be mapped; bit 1: accesses work, too. */
		CU_ASSERT_EQUAL(stats.mapped, flags & 1 ? SIZE : 0);
		if (flags == 3)
			memset(gpmm_host_addr(host), 'g', SIZE);
		CU_ASSERT_EQUAL(gpmm_host_discard(host, PART, PART), 0);
		if (flags == 3)
			CU_ASSERT_EQUAL(((char *)gpmm_host_addr(host))[PART],
					0);
		gpmm_host_put(host);
		CU_ASSERT_EQUAL(gpmm_host_create(&too_long, &host), -ENXIO);
		close(fd);
	}
	close(vm);
	close(kvm);
}

/* Any file will do for what fails before the kernel asks which it is. */
static void a_guest_memfd_that_cannot_be_held_leaves_nothing(void)
{
	struct gpmm_host_options options = { .kind = GPMM_HOST_GUEST_MEMFD,
		.fd = make_file(), .size = SIZE, .offset = 4096 };
	int files = count_entries("/proc/self/fd");
	int writable = options.fd;
	uint64_t before;
	struct gpmm_host *host;
	char name[64];

	CU_ASSERT_EQUAL(gpmm_host_create(&options, &host), -ENXIO);
	CU_ASSERT_EQUAL(count_entries("/proc/self/fd"), files);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", writable);
	options.fd = open(name, O_RDONLY | O_CLOEXEC);
	options.offset = 0;
	before = address_space();
	CU_ASSERT_EQUAL(gpmm_host_create(&options, &host), -EACCES);
	CU_ASSERT_EQUAL(address_space(), before);
	close(options.fd);
	CU_ASSERT_EQUAL(count_entries("/proc/self/fd"), files);
	close(writable);
}

int main(void)
{
	CU_pSuite suite;
	unsigned int failures;

	CU_initialize_registry();
	suite = CU_add_suite("discard", NULL, NULL);
	CU_ADD_TEST(suite, private_memory_is_freed);
	CU_ADD_TEST(suite, shared_memory_is_freed_in_the_file);
	CU_ADD_TEST(suite, a_shared_file_gets_a_hole);
	CU_ADD_TEST(suite, a_private_file_is_left_alone_and_its_pages_freed);
	CU_ADD_TEST(suite, an_offset_into_a_file_counts);
	CU_ADD_TEST(suite, what_would_free_nothing_is_refused);
	CU_ADD_TEST(suite, what_the_embedder_locked_stays);
	CU_ADD_TEST(suite, hostile_ranges_are_refused);
	CU_ADD_TEST(suite, a_pin_keeps_its_pages);
	CU_ADD_TEST(suite, a_pin_waits_for_a_discard_under_way);
	CU_ADD_TEST(suite, discards_take_turns);
	CU_ADD_TEST(suite, figures_of_a_kind_add_up);
	CU_ADD_TEST(suite, guest_memfd_is_held_mapped_or_blind);
	CU_ADD_TEST(suite, a_guest_memfd_that_cannot_be_held_leaves_nothing);
	CU_basic_run_tests();
	failures = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failures != 0;
}

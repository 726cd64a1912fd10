/* SPDX-License-Identifier: BSD-3-Clause */
/* Host memory that faults under an access: an error, and exactly how far. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "helpers/guest_fixture.h"
#include "helpers/tsan.h"

#define BASE UINT64_C(0x40000000)
#define SIZE (4 * PAGE)
/* What is left of the file: the next byte faults. */
#define LEFT (2 * PAGE)

static int make_file(void)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	CU_ASSERT_TRUE_FATAL(fd >= 0 && !ftruncate(fd, SIZE));
	return fd;
}

/* Guest memory from a file that then loses its second half. */
static void make_truncated(struct world *world)
{
	struct gpmm_host_options options = { .kind = GPMM_HOST_FILE,
		.size = SIZE, .fd = make_file() };
	struct gpmm_host *host = NULL;

	world_make(world, 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&options, &host), 0);
	world_map(world, BASE, host, GPMM_RW);
	memset(gpmm_host_addr(host), 'x', SIZE);
	CU_ASSERT_EQUAL_FATAL(ftruncate(options.fd, LEFT), 0);
	close(options.fd);
}

static void bytes_before_the_fault_are_done(void)
{
	static const uint64_t ahead[] = { 0, 1, 2, 3, 7, 8, 9, 16, 31, 33, 64,
					  100, 127, 129, 255, 257, 1000,
					  PAGE + 3 };
	static char buffer[SIZE], other[SIZE];
	struct world world;
	uint64_t done;
	int wrong = 0, result;

	make_truncated(&world);
	for (size_t i = 0; i < sizeof(ahead) / sizeof(*ahead); i++)
		for (uint64_t behind = 1; behind < 600; behind += 37) {
			gpmm_gpa_t at = BASE + LEFT - ahead[i];
			uint64_t n = ahead[i] + behind;

			memset(buffer, 0, sizeof(buffer));
			memset(other, 'w', sizeof(other));
			wrong += gpmm_read(&world.guest, at, buffer, n,
					   &done) != -EFAULT;
			wrong += done != ahead[i];
			wrong += done && (buffer[0] != 'x' ||
					  buffer[done - 1] != 'x');
			wrong += buffer[done] != 0;
			world.marks = (struct marks){ 0 };
			wrong += gpmm_write(&world.guest, at, other, n,
					    &done) != -EFAULT;
			wrong += done != ahead[i];
			wrong += world.marks.size != done;
			wrong += gpmm_compare(&world.guest, at, other, n,
					      &result, &done) != -EFAULT;
			wrong += done != ahead[i] || result;
			world.marks = (struct marks){ 0 };
			wrong += gpmm_fill(&world.guest, at, 'x', n,
					   &done) != -EFAULT;
			wrong += done != ahead[i];
			wrong += world.marks.size != done;
		}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(gpmm_copy(&world.guest, BASE, BASE + LEFT - 9, 100,
				  &done), -EFAULT);
	CU_ASSERT_EQUAL(done, 9);
	world.marks = (struct marks){ 0 };
	CU_ASSERT_EQUAL(gpmm_copy(&world.guest, BASE + LEFT - 9, BASE, 100,
				  &done), -EFAULT);
	CU_ASSERT_EQUAL(done, 9);
	CU_ASSERT_EQUAL(world.marks.size, 9);
	world_end(&world);
}

static void integers_fault_too(void)
{
	static const enum gpmm_type types[] = { GPMM_U8, GPMM_LE16, GPMM_BE32,
						GPMM_LE64 };
	struct world world;

	make_truncated(&world);
	for (size_t i = 0; i < 4; i++) {
		uint64_t value = 42, old = 43;

		CU_ASSERT_EQUAL(gpmm_load(&world.guest, BASE + LEFT, types[i],
					  GPMM_ACQUIRE, &value), -EFAULT);
		CU_ASSERT_EQUAL(gpmm_store(&world.guest, BASE + LEFT, types[i],
					   GPMM_RELEASE, 1), -EFAULT);
		CU_ASSERT_EQUAL(gpmm_store(&world.guest, BASE + LEFT, types[i],
					   GPMM_SEQ_CST, 1), -EFAULT);
		CU_ASSERT_EQUAL(gpmm_compare_exchange(&world.guest,
			BASE + LEFT, types[i], GPMM_SEQ_CST, &value, 1),
			-EFAULT);
		CU_ASSERT_EQUAL(gpmm_fetch_or(&world.guest, BASE + LEFT,
			types[i], GPMM_SEQ_CST, 1, &old), -EFAULT);
		CU_ASSERT_EQUAL(value, 42);
		CU_ASSERT_EQUAL(old, 43);
	}
	CU_ASSERT_EQUAL(world.marks.calls, 0);
	world_end(&world);
}

static void memory_that_is_inaccessible_is_an_error(void)
{
	struct world world;
	char byte = 0;
	char *hva;

	world_make(&world, 0);
	hva = world_ram(&world, BASE, SIZE, GPMM_RW);
	CU_ASSERT_EQUAL(mprotect(hva, PAGE, PROT_NONE), 0);
	CU_ASSERT_EQUAL(gpmm_read(&world.guest, BASE, &byte, 1, NULL),
			-EFAULT);
	CU_ASSERT_EQUAL(mprotect(hva, PAGE, PROT_READ), 0);
	CU_ASSERT_EQUAL(gpmm_read(&world.guest, BASE, &byte, 1, NULL), 0);
	CU_ASSERT_EQUAL(gpmm_write(&world.guest, BASE, &byte, 1, NULL),
			-EFAULT);
	world_end(&world);
}

/* The caller's own buffer: as far as it goes. */
static void a_bad_buffer_is_an_error(void)
{
	char *buffer = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *end = buffer + PAGE;
	struct world world;
	uint64_t done;
	int result;

	CU_ASSERT_EQUAL(mprotect(end, PAGE, PROT_NONE), 0);
	world_make(&world, 0);
	world_ram(&world, BASE, SIZE, GPMM_RW);
	for (uint64_t n = 0; n < 700; n += 7) {
		CU_ASSERT_EQUAL(gpmm_read(&world.guest, BASE, end - n, n + 9,
					  &done), -EFAULT);
		CU_ASSERT_EQUAL(done, n);
		CU_ASSERT_EQUAL(gpmm_write(&world.guest, BASE, end - n, n + 9,
					   &done), -EFAULT);
		CU_ASSERT_EQUAL(done, n);
		CU_ASSERT_EQUAL(gpmm_compare(&world.guest, BASE, end - n,
					     n + 9, &result, &done), -EFAULT);
		CU_ASSERT_EQUAL(done, n);
		CU_ASSERT_EQUAL(result, 0);
	}
	world_end(&world);
	munmap(buffer, 2 * PAGE);
}

static int answer(void *arg, uint64_t offset, unsigned int width,
		  uint64_t *value)
{
	(void)arg;
	(void)offset;
	(void)width;
	*value = 7;
	return 0;
}

/* Where there is no memory, too. */
static void a_bad_buffer_for_a_window_is_an_error(void)
{
	static const struct gpmm_mmio_ops ops = { .read = answer,
						  .max_width = 1 };
	char *buffer = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *end = buffer + PAGE;
	struct gpmm_mmio *mmio = NULL;
	struct gpmm_area area;
	struct world world;
	uint64_t done;

	CU_ASSERT_EQUAL(mprotect(end, PAGE, PROT_NONE), 0);
	CU_ASSERT_EQUAL_FATAL(gpmm_mmio_create(&ops, NULL, BASE, NULL, &mmio),
			      0);
	world_make(&world, 0);
	world.guest.unassigned = GPMM_UNASSIGNED_ONES;
	area = gpmm_mmio_area(mmio, PAGE);
	CU_ASSERT_EQUAL(gpmm_set_map(world.set, &area, 0), 0);
	CU_ASSERT_EQUAL(gpmm_io_read(&world.guest, BASE, end - 3, 8, &done),
			-EFAULT);
	CU_ASSERT_EQUAL(done, 3);
	CU_ASSERT_EQUAL(end[-1], 7);
	CU_ASSERT_EQUAL(gpmm_io_write(&world.guest, BASE, end, 1, &done),
			-EACCES);
	CU_ASSERT_EQUAL(gpmm_io_read(&world.guest, BASE + PAGE, end - 5, 8,
				     &done), -EFAULT);
	CU_ASSERT_EQUAL(done, 5);
	CU_ASSERT_EQUAL(gpmm_set_unmap(world.set, BASE, PAGE), 0);
	CU_ASSERT_EQUAL(gpmm_mmio_retire(world.set, mmio), 0);
	world_end(&world);
	munmap(buffer, 2 * PAGE);
}

#define HUGE (UINT64_C(2) << 20)
#define POOL "/sys/kernel/mm/hugepages/hugepages-2048kB/"

static uint64_t free_huge_pages(void)
{
	unsigned long pages = 0;
	FILE *in = fopen(POOL "free_hugepages", "r");

	if (in && fscanf(in, "%lu", &pages) != 1)
		pages = 0;
	if (in)
		fclose(in);
	return pages;
}

/* One page more than there are, of memory that did not set them aside. */
static void huge_pages_that_run_out_are_an_error(void)
{
	struct gpmm_host_options options = { .kind = GPMM_HOST_HUGETLB,
		.flags = GPMM_HOST_NORESERVE };
	int pool = open(POOL "nr_hugepages", O_RDONLY | O_CLOEXEC), ret;
	struct gpmm_host *host = NULL;
	struct world world;
	uint64_t done = 1;
	char byte = 1;

	/* As the tests of the pool do (test_host_options). */
	if (pool >= 0)
		flock(pool, LOCK_EX);
	options.size = (free_huge_pages() + 1) * HUGE;
	ret = gpmm_host_create(&options, &host);
	if (ret) {
		CU_ASSERT_EQUAL(ret, -EOPNOTSUPP);
		printf("(no hugetlb here) ");
		close(pool);
		return;
	}
	world_make(&world, 0);
	world_map(&world, BASE, host, GPMM_RW);
	for (uint64_t at = 0; at < options.size; at += HUGE) {
		ret = gpmm_write(&world.guest, BASE + at, &byte, 1, &done);
		CU_ASSERT_EQUAL(ret, at + HUGE < options.size ? 0 : -EFAULT);
	}
	CU_ASSERT_EQUAL(done, 0);
	CU_ASSERT_EQUAL(gpmm_fill(&world.guest, BASE, 2, options.size, &done),
			-EFAULT);
	CU_ASSERT_EQUAL(done, options.size - HUGE);
	world_end(&world);
	close(pool);
}

static void files_see_the_fault_as_well(void)
{
	struct world world;
	int fd = make_file();
	uint64_t done;

	make_truncated(&world);
	CU_ASSERT_EQUAL(gpmm_read_from(&world.guest, fd, 0, BASE + LEFT, PAGE,
				       &done), -EFAULT);
	CU_ASSERT_EQUAL(done, 0);
	CU_ASSERT_EQUAL(gpmm_write_to(&world.guest, fd, 0, BASE + LEFT, PAGE,
				      &done), -EFAULT);
	CU_ASSERT_EQUAL(done, 0);
	close(fd);
	world_end(&world);
}

/* --------------------------------------------------- others' handlers --- */

static volatile sig_atomic_t foreign_calls;
static char *foreign_page;

/* Repairs the fault, as an embedder's own paging would. */
static void foreign(int signal, siginfo_t *info, void *context)
{
	sigset_t blocked;

	(void)context;
	foreign_calls++;
	/* As where it is called by the kernel: not from within itself. */
	pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	CU_ASSERT(sigismember(&blocked, signal) == 1);
	if ((char *)info->si_addr == foreign_page)
		mprotect(foreign_page, PAGE, PROT_READ | PROT_WRITE);
}

static void foreign_faults_go_to_the_earlier_handler(void)
{
	struct sigaction ours = { .sa_sigaction = foreign,
				  .sa_flags = SA_SIGINFO }, old, now;
	struct world world;
	char byte;

	gpmm_fault_remove();
	sigaction(SIGSEGV, &ours, &old);
	CU_ASSERT_EQUAL(gpmm_fault_install(), 0);
	CU_ASSERT_EQUAL(gpmm_fault_install(), 0);
	foreign_page = mmap(NULL, PAGE, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*(volatile char *)foreign_page = 7;
	CU_ASSERT_EQUAL(foreign_calls, 1);
	raise(SIGSEGV);
	CU_ASSERT_EQUAL(foreign_calls, 2);
	make_truncated(&world);
	CU_ASSERT_EQUAL(gpmm_read(&world.guest, BASE + LEFT, &byte, 1, NULL),
			-EFAULT);
	CU_ASSERT_EQUAL(foreign_calls, 2);
	world_end(&world);
	gpmm_fault_remove();
	sigaction(SIGSEGV, NULL, &now);
	CU_ASSERT_PTR_NOT_EQUAL(now.sa_sigaction, foreign);
	gpmm_fault_remove();
	sigaction(SIGSEGV, NULL, &now);
	CU_ASSERT_PTR_EQUAL(now.sa_sigaction, foreign);
	sigaction(SIGSEGV, &old, NULL);
	CU_ASSERT_EQUAL(gpmm_fault_install(), 0);
}

/* An embedder's memory whose file was cut: it puts other memory there. */
static __thread struct {
	char *volatile page;
	volatile sig_atomic_t calls;
	struct world *world;
	int inner;
} mine;

static void mend(void)
{
	char byte;

	mine.calls++;
#ifndef UNDER_TSAN
	/* It uses the library, which faults in the handler of a fault. */
	mine.inner = gpmm_read(&mine.world->guest, BASE + LEFT, &byte, 1,
			       NULL);
#else
	(void)byte;
	mine.inner = -EFAULT;
#endif
	mmap(mine.page, PAGE, PROT_READ | PROT_WRITE,
	     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void mend_plainly(int signal)
{
	(void)signal;
	mend();
}

static void mend_exactly(int signal, siginfo_t *info, void *context)
{
	(void)signal;
	(void)context;
	if (info->si_code == BUS_ADRERR && info->si_addr == mine.page)
		mend();
}

/* By turns a fault of the library's and one that is none of its business. */
static void *fault_by_turns(void *arg)
{
	uintptr_t wrong = 0;
	int fd = memfd_create("test", MFD_CLOEXEC);
	uint64_t done;
	char bytes[64];

	gpmm_thread_register();
	mine.world = arg;
	mine.calls = 0;
	for (int i = 0; i < 200; i++) {
		mine.page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				 MAP_SHARED, fd, 0);
		*(volatile char *)mine.page = 1;
		wrong += mine.calls != i + 1 || mine.inner != -EFAULT;
		wrong += gpmm_read(&mine.world->guest, BASE + LEFT - 9, bytes,
				   64, &done) != -EFAULT || done != 9;
		wrong += mine.calls != i + 1;
		munmap(mine.page, PAGE);
	}
	gpmm_thread_unregister();
	close(fd);
	return (void *)wrong;
}

static void threads_fault_on_both_sides(const struct sigaction *theirs)
{
	struct sigaction old;
	pthread_t threads[3];
	struct world world;
	void *wrong;

	gpmm_fault_remove();
	sigaction(SIGBUS, theirs, &old);
	CU_ASSERT_EQUAL(gpmm_fault_install(), 0);
	make_truncated(&world);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, fault_by_turns, &world);
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], &wrong);
		CU_ASSERT_PTR_NULL(wrong);
	}
	world_end(&world);
	gpmm_fault_remove();
	sigaction(SIGBUS, &old, NULL);
	CU_ASSERT_EQUAL(gpmm_fault_install(), 0);
}

static void foreign_faults_of_threads_are_theirs(void)
{
	/* Not deferred: a fault in a handler that blocks it is death. */
	struct sigaction plain = { .sa_handler = mend_plainly,
				   .sa_flags = SA_NODEFER };
	struct sigaction exact = { .sa_sigaction = mend_exactly,
				   .sa_flags = SA_SIGINFO | SA_NODEFER };

	threads_fault_on_both_sides(&plain);
	threads_fault_on_both_sides(&exact);
}

static void (*below)(int, siginfo_t *, void *);

static void on_top(int signal, siginfo_t *info, void *context)
{
	foreign_calls++;
	below(signal, info, context);
}

/* Put over ours, and still there when ours is removed and installed again. */
static void a_handler_over_ours_makes_no_ring(void)
{
	struct sigaction top = { .sa_sigaction = on_top,
				 .sa_flags = SA_SIGINFO }, ours, now;
	struct world world;
	char byte;

	foreign_calls = 0;
	sigaction(SIGBUS, &top, &ours);
	below = ours.sa_sigaction;
	gpmm_fault_remove();
	sigaction(SIGBUS, NULL, &now);
	CU_ASSERT_PTR_EQUAL(now.sa_sigaction, on_top);
	CU_ASSERT_EQUAL(gpmm_fault_install(), 0);
	sigaction(SIGBUS, NULL, &now);
	CU_ASSERT_PTR_EQUAL(now.sa_sigaction, on_top);
	make_truncated(&world);
	CU_ASSERT_EQUAL(gpmm_read(&world.guest, BASE + LEFT, &byte, 1, NULL),
			-EFAULT);
	CU_ASSERT_TRUE(foreign_calls > 0);
	world_end(&world);
	sigaction(SIGBUS, &ours, NULL);
}

static void recover_only(int signal, siginfo_t *info, void *context)
{
	if (!gpmm_fault_recover(signal, info, context))
		_exit(99);
}

static void an_embedder_s_handler_may_ask(void)
{
	struct sigaction own = { .sa_sigaction = recover_only,
				 .sa_flags = SA_SIGINFO }, old;
	struct world world;
	char byte;

	sigaction(SIGBUS, &own, &old);
	make_truncated(&world);
	CU_ASSERT_EQUAL(gpmm_read(&world.guest, BASE + LEFT, &byte, 1, NULL),
			-EFAULT);
	world_end(&world);
	sigaction(SIGBUS, &old, NULL);
}

/*
 * A page that the hardware lost: the kernel says so in the same signal, but
 * in other words. What it says of a page nobody touches is not an access's.
 */
static void say_it_was_lost(int signal, siginfo_t *info, void *context)
{
	siginfo_t said = *info;

	said.si_code = BUS_MCEERR_AO;
	if (gpmm_fault_recover(signal, &said, context))
		_exit(98);
	said.si_code = BUS_MCEERR_AR;
	if (!gpmm_fault_recover(signal, &said, context))
		_exit(99);
}

static void a_lost_page_is_an_error_where_it_is_touched(void)
{
	struct sigaction own = { .sa_sigaction = say_it_was_lost,
				 .sa_flags = SA_SIGINFO }, old;
	struct world world;
	uint64_t done;
	char bytes[64];

	sigaction(SIGBUS, &own, &old);
	make_truncated(&world);
	CU_ASSERT_EQUAL(gpmm_read(&world.guest, BASE + LEFT - 9, bytes, 64,
				  &done), -EFAULT);
	CU_ASSERT_EQUAL(done, 9);
	world_end(&world);
	sigaction(SIGBUS, &old, NULL);
}

/* How a child dies of @kill when the library's handlers are in. */
static int death_of(void (*kill)(void))
{
	int status;
	pid_t child;

	fflush(NULL);
	child = fork();
	if (!child) {
		gpmm_fault_remove();
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		alarm(5);
		gpmm_fault_install();
		kill();
		_exit(0);
	}
	waitpid(child, &status, 0);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* On purpose, which UBSan need not report before the signal comes. */
__attribute__((no_sanitize("undefined")))
static void store_to_null(void)
{
	volatile char *volatile nowhere = NULL;

	*nowhere = 1;
}

static void send_sigbus(void)
{
	raise(SIGBUS);
}

static void ignore_sigsegv(void)
{
	gpmm_fault_remove();
	signal(SIGSEGV, SIG_IGN);
	gpmm_fault_install();
	raise(SIGSEGV);
}

static void ignore_and_store(void)
{
	ignore_sigsegv();
	store_to_null();
}

static void bugs_still_kill(void)
{
	CU_ASSERT_EQUAL(death_of(store_to_null), SIGSEGV);
	CU_ASSERT_EQUAL(death_of(send_sigbus), SIGBUS);
	CU_ASSERT_EQUAL(death_of(ignore_sigsegv), 0);
	CU_ASSERT_EQUAL(death_of(ignore_and_store), SIGSEGV);
}

/* -------------------------------------------------------- userfaultfd --- */

static int open_uffd(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	/* poll() knows a userfaultfd that does not block, and no other. */
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK |
			      UFFD_USER_MODE_ONLY);

	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Hands out pages of 'u', until told to stop through a pipe. */
struct pager {
	int uffd, stop;
	unsigned int served;
};

static void serve(struct pager *pager)
{
	static char page[4096];
	struct uffdio_copy copy = { .src = (uintptr_t)page, .len = PAGE };
	struct uffd_msg message;

	if (read(pager->uffd, &message, sizeof(message)) != sizeof(message))
		return;
	memset(page, 'u', sizeof(page));
	copy.dst = message.arg.pagefault.address & ~(PAGE - 1);
	/* The kernel asks to try again while the address space changes. */
	while (ioctl(pager->uffd, UFFDIO_COPY, &copy))
		if (errno != EAGAIN)
			return;
	pager->served++;
}

static void *page_in(void *arg)
{
	struct pager *pager = arg;
	struct pollfd fds[] = { { pager->uffd, POLLIN, 0 },
				{ pager->stop, POLLIN, 0 } };

	while (poll(fds, 2, -1) > 0 && !fds[1].revents)
		serve(pager);
	return NULL;
}

static void memory_paged_by_userfaultfd_works(void)
{
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct pager pager = { .uffd = open_uffd() };
	char buffer[3 * PAGE];
	struct world world;
	pthread_t thread;
	int stop[2];

	if (pager.uffd < 0) {
		printf("(no userfaultfd here) ");
		return;
	}
	world_make(&world, 0);
	reg.range.start = (uintptr_t)world_ram(&world, BASE, SIZE, GPMM_RW);
	reg.range.len = SIZE;
	CU_ASSERT_EQUAL_FATAL(ioctl(pager.uffd, UFFDIO_REGISTER, &reg), 0);
	CU_ASSERT_EQUAL_FATAL(pipe(stop), 0);
	pager.stop = stop[0];
	pthread_create(&thread, NULL, page_in, &pager);
	CU_ASSERT_EQUAL(gpmm_read(&world.guest, BASE + PAGE / 2, buffer,
				  2 * PAGE, NULL), 0);
	CU_ASSERT_EQUAL(buffer[0], 'u');
	CU_ASSERT_EQUAL(buffer[2 * PAGE - 1], 'u');
	CU_ASSERT_EQUAL(gpmm_store(&world.guest, BASE + 3 * PAGE, GPMM_LE32,
				   GPMM_RELAXED, 0), 0);
	CU_ASSERT_EQUAL(write(stop[1], "", 1), 1);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(pager.served, 4);
	close(stop[0]);
	close(stop[1]);
	close(pager.uffd);
	world_end(&world);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		TEST(bytes_before_the_fault_are_done),
		TEST(integers_fault_too),
		TEST(memory_that_is_inaccessible_is_an_error),
		TEST(a_bad_buffer_is_an_error),
		TEST(a_bad_buffer_for_a_window_is_an_error),
		TEST(huge_pages_that_run_out_are_an_error),
		TEST(files_see_the_fault_as_well),
		TEST(foreign_faults_go_to_the_earlier_handler),
		TEST(foreign_faults_of_threads_are_theirs),
		TEST(a_handler_over_ours_makes_no_ring),
		TEST(an_embedder_s_handler_may_ask),
		TEST(a_lost_page_is_an_error_where_it_is_touched),
		TEST(bugs_still_kill),
		TEST(memory_paged_by_userfaultfd_works),
		CU_TEST_INFO_NULL,
	};
	int ret;

	if (gpmm_fault_install())
		return 1;
	ret = run_suite("faults", tests);
	gpmm_fault_remove();
	return ret;
}

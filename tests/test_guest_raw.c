/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The accesses beneath guest memory, alone with the fault handlers: what they
 * do, and how far they come. Needs nothing but the C library, so that it also
 * runs as another processor's program under an emulator, and with the way of
 * those that have no assembly (-DGPMM_FAULT_JUMPS).
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <gpmm/guest.h>

#include "guest/raw.h"
#include "helpers/tsan.h"

static int wrong;

#define EXPECT(true_) \
	((true_) ? (void)0 : (void)(wrong++ || \
	 printf("line %d: %s\n", __LINE__, #true_)))

static size_t page;

/* Two pages, of which the second faults: SIGBUS, or where @bars SIGSEGV. */
static char *make_half(int bars)
{
	FILE *file = tmpfile();
	char *pages;

	if (!file || ftruncate(fileno(file), (off_t)(2 * page)))
		abort();
	pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_SHARED,
		     fileno(file), 0);
	if (pages == MAP_FAILED)
		abort();
	if (bars ? mprotect(pages + page, page, PROT_NONE) :
		   ftruncate(fileno(file), (off_t)page))
		abort();
	fclose(file);
	return pages;
}

/* ------------------------------------------------------ copies, fills --- */

static void copies_are_whole(void)
{
	static char from[10000], to[10000];
	size_t sizes[] = { 0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 31, 32,
			   33, 63, 64, 65, 100, 127, 128, 129, 200, 255, 256,
			   257, 511, 777, 1024, 2050, 9001 };

	for (size_t i = 0; i < sizeof(from); i++)
		from[i] = (char)(i * 7 + i / 256);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		for (size_t skew = 0; skew < 300; skew++) {
			size_t n = sizes[i], f = skew % 17, t = skew % 71;

			memset(to, 'z', t + n + 64);
			EXPECT(raw_copy(to + t, from + f, n) == 0);
			EXPECT(!memcmp(to + t, from + f, n));
			EXPECT((!t || to[t - 1] == 'z') && to[t + n] == 'z');
			EXPECT(gpmm__raw_fill(to + t, 'f' + 256, n) == 0);
			for (size_t j = 0; j < n; j++)
				EXPECT(to[t + j] == 'f');
			EXPECT((!t || to[t - 1] == 'z') && to[t + n] == 'z');
		}
}

/* One that starts @ahead bytes before the fault, of @size bytes. */
static void stop_at(char *half, size_t ahead, size_t size, size_t skew)
{
	static char buffer[16384];
	char *at = half + page - ahead, *mine = buffer + skew;

	memset(at, 'x', ahead);
	memset(mine, 'm', size + 1);
	EXPECT(raw_copy(mine, at, size) == size - ahead);
	for (size_t i = 0; i < ahead; i++)
		EXPECT(mine[i] == 'x');
	for (size_t i = ahead; i <= size; i++)
		EXPECT(mine[i] == 'm');
	memset(mine, 'w', size);
	EXPECT(raw_copy(at, mine, size) == size - ahead);
	for (size_t i = 0; i < ahead; i++)
		EXPECT(at[i] == 'w');
	EXPECT(gpmm__raw_fill(at, 'f', size) == size - ahead);
	for (size_t i = 0; i < ahead; i++)
		EXPECT(at[i] == 'f');
	EXPECT(at == half || at[-1] != 'f');
}

static void a_fault_stops_exactly(int bars)
{
	static const size_t aheads[] = { 0, 1, 2, 3, 7, 8, 9, 15, 16, 31, 33,
					 64, 65, 100, 128, 129, 257, 1000,
					 2049, 4000 };
	char *half = make_half(bars);

	for (size_t i = 0; i < sizeof(aheads) / sizeof(*aheads); i++)
		for (size_t skew = 0; skew < 3; skew++) {
			for (size_t behind = 1; behind < 700; behind += 53)
				stop_at(half, aheads[i], aheads[i] + behind,
					skew * 13);
			stop_at(half, aheads[i], aheads[i] + 2345, skew * 13);
			stop_at(half, aheads[i], aheads[i] + 9001, skew * 13);
		}
	munmap(half, 2 * page);
}

/* ------------------------------------------------------------ integers --- */

#define INTEGERS(bits)							\
static void integers##bits(char *half)					\
{									\
	uint##bits##_t *last = (uint##bits##_t *)(half + page) - 1;	\
	uint##bits##_t *past = last + 1;				\
	uint##bits##_t big = (uint##bits##_t)UINT64_C(0xf1e2d3c4b5a69788); \
	uint##bits##_t got = 0, other = big ^ 1;			\
	static const int orders[] = { __ATOMIC_RELAXED, __ATOMIC_RELEASE, \
				      __ATOMIC_SEQ_CST };		\
									\
	for (int i = 0; i < 3; i++) {					\
		memset(last - 1, 'n', 2 * sizeof(*last));		\
		EXPECT(!raw_store##bits(last, big, orders[i]));		\
		EXPECT(*last == big);					\
		EXPECT(((char *)last)[-1] == 'n');			\
		EXPECT(raw_store##bits(past, big, orders[i]) == -EFAULT); \
	}								\
	for (int i = 0; i < 3; i++) {					\
		int order = orders[i] == __ATOMIC_RELEASE ?		\
			    __ATOMIC_ACQUIRE : orders[i];		\
									\
		got = 0;						\
		EXPECT(!raw_load##bits(last, &got, order));		\
		EXPECT(got == big);					\
		EXPECT(raw_load##bits(past, &got, order) == -EFAULT);	\
	}								\
	got = other;							\
	EXPECT(raw_exchange##bits(last, &got, 1, __ATOMIC_SEQ_CST) ==	\
	       -EAGAIN);						\
	EXPECT(got == big && *last == big);				\
	EXPECT(!raw_exchange##bits(last, &got, other, __ATOMIC_SEQ_CST)); \
	EXPECT(got == big && *last == other);				\
	EXPECT(((char *)last)[-1] == 'n');				\
	EXPECT(raw_exchange##bits(past, &got, 1, __ATOMIC_SEQ_CST) ==	\
	       -EFAULT);						\
	EXPECT(got == big);						\
}

INTEGERS(8)
INTEGERS(16)
INTEGERS(32)
INTEGERS(64)

static void integers_are_whole_or_fault(int bars)
{
	char *half = make_half(bars);

	integers8(half);
	integers16(half);
	integers32(half);
	integers64(half);
	munmap(half, 2 * page);
}

/* A store that may not be: the load of an exchange works, its store faults. */
static void what_is_read_only_cannot_be_exchanged(void)
{
	char *half = make_half(1);
	uint64_t old = 0, value = 1;
	uint8_t byte = 0;

	EXPECT(!mprotect(half, page, PROT_READ));
	EXPECT(raw_exchange64(half, &old, 1, __ATOMIC_SEQ_CST) == -EFAULT);
	EXPECT(raw_exchange8(half, &byte, 1, __ATOMIC_SEQ_CST) == -EFAULT);
	EXPECT(raw_store64(half, 1, __ATOMIC_SEQ_CST) == -EFAULT);
	EXPECT(!raw_load64(half, &value, __ATOMIC_SEQ_CST) && !value);
	munmap(half, 2 * page);
}

/* Threads add up in neighbouring parts of one word. */
#define ROUNDS 20000

static union {
	uint8_t part8[8];
	uint16_t part16[4];
	uint32_t part32[2];
	uint64_t part64;
} word;

#define ADD(bits, at)							\
	do {								\
		uint##bits##_t old = 0;					\
									\
		if (raw_load##bits(at, &old, __ATOMIC_RELAXED))		\
			return arg;					\
		while (raw_exchange##bits(at, &old,			\
					  (uint##bits##_t)(old + 1),	\
					  __ATOMIC_SEQ_CST) == -EAGAIN)	\
			;						\
	} while (0)

static void *add(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		ADD(8, &word.part8[0]);
		ADD(8, &word.part8[3]);
		ADD(16, &word.part16[2]);
		ADD(16, &word.part16[3]);
	}
	return NULL;
}

static void *add_wide(void *arg)
{
	for (int i = 0; i < ROUNDS; i++)
		ADD(64, &word.part64);
	return NULL;
}

static void exchanges_lose_nothing(void)
{
	pthread_t threads[2];
	void *failed;

	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, add, NULL);
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], &failed);
		EXPECT(!failed);
	}
	EXPECT(word.part8[0] == (uint8_t)(2 * ROUNDS));
	EXPECT(word.part8[3] == (uint8_t)(2 * ROUNDS));
	EXPECT(!word.part8[1] && !word.part8[2]);
	EXPECT(word.part16[2] == (uint16_t)(2 * ROUNDS));
	EXPECT(word.part16[3] == (uint16_t)(2 * ROUNDS));
	word.part64 = 0;
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, add_wide, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], &failed);
	EXPECT(word.part64 == 2 * ROUNDS);
}

/* ------------------------------------------------------------ handlers --- */

static volatile sig_atomic_t repaired;
static char *broken;

/* An embedder's, which pages in what the library touched in its stead. */
static void repair(int signal, siginfo_t *info, void *context)
{
	if (gpmm_fault_recover(signal, info, context))
		return;
#ifndef UNDER_TSAN
	/* It uses the library itself, and that faults. */
	EXPECT(raw_copy(&(char){ 0 }, broken + page, 1) == 1);
#endif
	mprotect(broken, page, PROT_READ | PROT_WRITE);
	repaired++;
}

/*
 * Faults that are not the library's are left to others, and the library's
 * signals are let through again whatever handler asked.
 */
static void others_keep_their_faults(void)
{
	struct sigaction own = { .sa_sigaction = repair,
				 .sa_flags = SA_SIGINFO }, old;
	char *half = make_half(1);
	char byte = 0;

	own.sa_flags |= SA_NODEFER;
	broken = make_half(1);
	EXPECT(!mprotect(broken, page, PROT_NONE));
	sigaction(SIGSEGV, &own, &old);
	for (int i = 0; i < 3; i++)
		EXPECT(raw_copy(&byte, half + page, 1) == 1);
	EXPECT(!repaired);
	*(volatile char *)broken = 1;
	EXPECT(repaired == 1);
	own.sa_flags &= ~SA_NODEFER;
	sigaction(SIGSEGV, &own, NULL);
	for (int i = 0; i < 3; i++)
		EXPECT(raw_copy(&byte, half + page, 1) == 1);
	EXPECT(repaired == 1);
	sigaction(SIGSEGV, &old, NULL);
	munmap(broken, 2 * page);
	munmap(half, 2 * page);
}

#if defined(__x86_64__) && defined(FAULT_TABLE)
/* Return: 0, or what it was where it faulted. */
static int load_beside_frame(uint64_t addr)
{
	int ret = 1;

	__asm__ volatile("movq %%rbp, %%rdx\n\t"
			 "movq %%rcx, %%rbp\n\t"
			 FAULT_FROM
			 "movb (%%rbp), %%cl\n\t"
			 "xorl %0, %0\n\t"
			 FAULT_TO
			 "movq %%rdx, %%rbp\n\t"
			 : "+a"(ret), "+c"(addr) : : "rdx", "memory", "cc");
	return ret;
}

/*
 * No address at all is SIGSEGV, but SIGBUS by way of the registers of the
 * stack, one of which compilers use for whatever they like.
 */
static void what_is_no_address_faults(void)
{
	const uint64_t none = UINT64_C(1) << 63;
	char byte;

	EXPECT(raw_copy(&byte, (void *)(uintptr_t)none, 1) == 1);
	EXPECT(load_beside_frame(none) == 1);
}
#else
static void what_is_no_address_faults(void)
{
}
#endif

int main(void)
{
#if defined(UNDER_TSAN) && !defined(FAULT_TABLE)
	printf("ThreadSanitizer does not follow a jump out of a handler\n");
	return 77;
#endif
	page = (size_t)sysconf(_SC_PAGESIZE);
	if (gpmm_fault_install())
		return 1;
	copies_are_whole();
	for (int bars = 0; bars < 2; bars++) {
		a_fault_stops_exactly(bars);
		integers_are_whole_or_fault(bars);
	}
	what_is_read_only_cannot_be_exchanged();
	what_is_no_address_faults();
	exchanges_lose_nothing();
	others_keep_their_faults();
	gpmm_fault_remove();
	printf("%d wrong\n", wrong);
	return wrong != 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "emu.h"

static void put(const char *text)
{
	while (*text)
		emu_putc(*text++);
}

static void put_hex(uint64_t value)
{
	put(" 0x");
	for (int shift = 60; shift >= 0; shift -= 4)
		emu_putc("0123456789abcdef"[value >> shift & 15]);
}

static unsigned int failures;

static void fail(unsigned int number, const char *what, uint64_t is,
		 uint64_t should)
{
	put("case");
	put_hex(number);
	put(what);
	put_hex(is);
	put(", not");
	put_hex(should);
	put("\n");
	failures++;
}

static volatile uint64_t *at(uint64_t physical)
{
	return (volatile uint64_t *)(uintptr_t)physical;
}

/* x86 guests have 32 bits. */
static uint32_t pattern(const struct emu_case *c)
{
	return (uint32_t)c->gpa ^ 0x5a5aa5a5;
}

static void check_fault(unsigned int number, const struct emu_case *c,
			const struct emu_result *result)
{
	uint64_t mask = emu_mask(c);

	if (!result->fault) {
		fail(number, " did not fault", c->gpa, c->reason);
		return;
	}
	if (result->reason != c->reason)
		fail(number, " reason", result->reason, c->reason);
	if ((result->qualification ^ c->qualification) & mask)
		fail(number, " qualification", result->qualification,
		     c->qualification);
	if (result->gpa && result->gpa >> 12 != c->gpa >> 12)
		fail(number, " address", result->gpa, c->gpa);
}

static void check_allowed(unsigned int number, const struct emu_case *c,
			  const struct emu_result *result)
{
	uint64_t entry = *at(c->slot);

	if (result->fault) {
		fail(number, " faulted", result->reason,
		     result->qualification);
		return;
	}
	if (c->access == EMU_READ && (uint32_t)result->value != pattern(c))
		fail(number, " read", result->value, pattern(c));
	if (c->access == EMU_WRITE && (uint32_t)*at(c->hpa) != pattern(c))
		fail(number, " wrote", *at(c->hpa), pattern(c));
	if ((entry & c->set) != c->set || (entry & c->clear))
		fail(number, " left the leaf", entry, c->set);
}

static void run(unsigned int number, const struct emu_case *c)
{
	struct emu_result result;

	if (!c->fault && c->access == EMU_READ)
		*at(c->hpa) = pattern(c);
	if (!c->fault && c->access == EMU_EXEC)
		emu_put_code((void *)(uintptr_t)c->hpa);
	/* Each case sees its leaf unmarked. */
	if (!c->fault && c->set) {
		*at(c->slot) &= ~(c->set | c->clear);
		emu_flush();
	}
	result = emu_access(c->gpa, c->access, pattern(c));
	if (c->fault)
		check_fault(number, c, &result);
	else
		check_allowed(number, c, &result);
}

void emu_main(void)
{
	const struct emu_header *header =
		(const struct emu_header *)(uintptr_t)EMU_BASE;
	const char *why;

	if (header->magic != EMU_MAGIC) {
		put("EMU: no tables\n");
		emu_exit();
	}
	why = emu_setup(header);
	if (why) {
		put("EMU SKIP: ");
		put(why);
		put("\n");
		emu_exit();
	}
	for (unsigned int i = 0; i < header->count; i++)
		run(i, &header->cases[i]);
	put(failures ? "EMU FAIL" : "EMU PASS");
	put_hex(header->count);
	put(" cases\n");
	emu_exit();
}

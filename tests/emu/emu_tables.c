/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * emu_tables FORMAT OUTPUT [ad]: write the image that a bare-metal program
 * walks under an emulator: tables made by the library, and cases with what
 * gpmm_nested_walk() says of each, which the emulator then has to say too.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gpmm/nested.h>

#include "emu_case.h"

#define K4	UINT64_C(0x1000)
#define M2	UINT64_C(0x200000)
#define G1	UINT64_C(0x40000000)
#define IMAGE	(UINT64_C(1) << 20)

struct machine {
	const char *name;
	enum gpmm_nested_format format;
	unsigned int gpa_bits, hpa_bits;
	uint64_t ram, base;	/* RAM's start; the image's */
	uint64_t windows;	/* gpa of what is tested */
	uint64_t nothing;	/* a gpa without even a 1G entry */
	uint64_t reserved;	/* a bit that a 2M leaf may not have, or 0 */
	bool exec_only;
	uint64_t accessed, dirty;
};

/*
 * The windows lie where a gpa uses the root's second page (stage 2, G-stage);
 * the x86 guests have 32 bits. Not where it has a G-stage's highest bit:
 * QEMU 7.2 wants that bit repeated above, as if it were a sign.
 */
static const struct machine machines[] = {
	{ "ept4", GPMM_NESTED_EPT4, 0, 36, 0, 0x1000000, 0x80000000,
	  0x40000000, 1 << 13, true, 1 << 8, 1 << 9 },
	{ "npt4", GPMM_NESTED_NPT4, 0, 36, 0, 0x1000000, 0x80000000,
	  0x40000000, 1 << 13, false, 1 << 5, 1 << 6 },
	{ "stage2", GPMM_NESTED_STAGE2, 40, 40, 0x40000000, 0x44000000,
	  UINT64_C(1) << 39, UINT64_C(9) << 36, UINT64_C(1) << 44, true,
	  1 << 10, 1 << 7 },
	{ "stage2-48", GPMM_NESTED_STAGE2, 48, 48, 0x40000000, 0x44000000,
	  UINT64_C(1) << 39, UINT64_C(9) << 36, 0, true,
	  1 << 10, 1 << 7 },
	{ "sv39x4", GPMM_NESTED_SV39X4, 0, 56, 0x80000000, 0x84000000,
	  UINT64_C(1) << 39, UINT64_C(9) << 36, UINT64_C(1) << 54, true,
	  1 << 6, 1 << 7 },
	{ "sv48x4", GPMM_NESTED_SV48X4, 0, 56, 0x80000000, 0x84000000,
	  UINT64_C(1) << 48, UINT64_C(9) << 36, UINT64_C(1) << 54, true,
	  1 << 6, 1 << 7 },
};

static const struct machine *m;
static bool ad;
static uint8_t *image;
static uint64_t next;
static struct gpmm_nested *t;
static struct emu_header *header;

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "emu_tables: %s\n", what);
	exit(1);
}

static int emu_alloc(void *ctx, unsigned int order, gpmm_hpa_t *pa)
{
	uint64_t size = K4 << order, at = (next + size - 1) & -size;

	(void)ctx;
	must(at + size <= IMAGE, "the image is full");
	next = at + size;
	*pa = m->base + at;
	return 0;
}

static void emu_free(void *ctx, gpmm_hpa_t pa, unsigned int order)
{
	(void)ctx;
	(void)pa;
	(void)order;
}

static void emu_flush(void *ctx, const struct gpmm_range *ranges, size_t count)
{
	(void)ctx;
	(void)ranges;
	(void)count;
}

static const struct gpmm_nested_ops ops = {
	.abi = GPMM_NESTED_ABI,
	.alloc = emu_alloc,
	.free = emu_free,
	.flush = emu_flush,
};

static void map(uint64_t gpa, uint64_t hpa, uint64_t size, uint32_t flags)
{
	must(!gpmm_nested_map(t, gpa, hpa, size, flags), "map");
}

static uint64_t *slot_of(uint64_t entry)
{
	for (uint64_t at = 4 * K4; at < next; at += 8)
		if (!memcmp(image + at, &entry, 8))
			return (uint64_t *)(image + at);
	must(false, "no such entry");
	return NULL;
}

static uint64_t *leaf_of(uint64_t gpa)
{
	struct gpmm_nested_hit hit;

	must(!gpmm_nested_walk(t, gpa, 0, &hit), "a leaf is not there");
	return slot_of(hit.entry);
}

static void add(uint64_t gpa, uint32_t access, bool allowed)
{
	struct emu_case *c = &header->cases[header->count++];
	struct gpmm_nested_hit hit;
	bool walked = !gpmm_nested_walk(t, gpa, access, &hit);

	must(walked == allowed, "the walker is of another opinion");
	c->gpa = gpa;
	c->access = access;
	c->fault = !allowed;
	c->reason = hit.reason;
	c->qualification = hit.qualification;
	if (!allowed)
		return;
	c->hpa = hit.hpa;
	c->slot = m->base + ((uint8_t *)slot_of(hit.entry) - image);
	if (!ad)
		return;
	c->set = m->accessed;
	if (access == GPMM_WRITE)
		c->set |= m->dirty;
	else
		c->clear = m->dirty;
}

/* 4K leaves: read-write, read, read-execute, execute, none. */
static void small_leaves(uint64_t w, uint64_t data)
{
	map(w, data, K4, GPMM_RW);
	map(w + K4, data + K4, K4, GPMM_READ);
	map(w + 2 * K4, data + 2 * K4, K4, GPMM_READ | GPMM_EXEC);
	if (m->exec_only)
		map(w + 3 * K4, data + 3 * K4, K4, GPMM_EXEC);
	map(w + 4 * K4, data + 4 * K4, K4, GPMM_RW);
	must(!gpmm_nested_protect(t, w + 4 * K4, K4, 0), "protect");
	add(w + 8, GPMM_READ, true);
	add(w + 16, GPMM_WRITE, true);
	add(w, GPMM_EXEC, false);
	add(w + K4, GPMM_READ, true);
	add(w + K4 + 8, GPMM_WRITE, false);
	add(w + 2 * K4, GPMM_EXEC, true);
	add(w + 4 * K4, GPMM_READ, false);
	add(w + 4 * K4, GPMM_WRITE, false);
	add(w + 8 * K4, GPMM_READ, false);
	add(w + 8 * K4, GPMM_WRITE, false);
	add(w + 8 * K4, GPMM_EXEC, false);
	if (!m->exec_only)
		return;
	add(w + 3 * K4, GPMM_EXEC, true);
	add(w + 3 * K4, GPMM_READ, false);
}

/* 2M leaves: whole, split by a protect, and one with a reserved bit. */
static void large_leaves(uint64_t w, uint64_t data)
{
	map(w + M2, data, M2, GPMM_RW);
	add(w + M2 + 5 * K4, GPMM_READ, true);
	add(w + 2 * M2 - 8, GPMM_WRITE, true);
	add(w + M2 + K4, GPMM_EXEC, false);
	map(w + 2 * M2, data + M2, M2, GPMM_RW);
	must(!gpmm_nested_protect(t, w + 2 * M2 + 5 * K4, K4, GPMM_READ),
	     "protect");
	add(w + 2 * M2 + 4 * K4, GPMM_WRITE, true);
	add(w + 2 * M2 + 5 * K4, GPMM_READ, true);
	add(w + 2 * M2 + 5 * K4 + 8, GPMM_WRITE, false);
	add(w + 2 * M2 + 6 * K4, GPMM_WRITE, true);
	add(w + 4 * M2, GPMM_READ, false);
	add(w + 4 * M2, GPMM_WRITE, false);
	if (!m->reserved)
		return;
	map(w + 3 * M2, data, M2, GPMM_READ);
	*leaf_of(w + 3 * M2) |= m->reserved;
	add(w + 3 * M2, GPMM_READ, false);
}

static void huge_leaves(uint64_t w, uint64_t data)
{
	uint64_t at = w + G1 + (data - m->ram);

	map(w + G1, m->ram, G1, GPMM_READ | GPMM_EXEC);
	add(at + 8, GPMM_READ, true);
	add(at + 8, GPMM_WRITE, false);
	add(at + 64, GPMM_EXEC, true);
	add(m->nothing, GPMM_READ, false);
	add(m->nothing, GPMM_EXEC, false);
}

static void build(void)
{
	struct gpmm_nested_options options = {
		.format = m->format,
		.how = ad ? GPMM_NESTED_AD : 0,
		.ops = &ops,
		.gpa_bits = m->gpa_bits,
		.hpa_bits = m->hpa_bits,
	};
	struct gpmm_nested_root root;

	image = aligned_alloc(K4, IMAGE);
	must(image != NULL, "no memory");
	memset(image, 0, IMAGE);
	header = (struct emu_header *)image;
	next = 4 * K4;
	options.va_offset = (uintptr_t)image - m->base;
	must(!gpmm_nested_create(&options, &t), "create");
	gpmm_nested_get_root(t, &root);
	header->magic = EMU_MAGIC;
	header->root = root.value;
	header->control = root.control;
	/* The program itself. */
	map(m->ram, m->ram, 4 * M2, GPMM_RWX);
	small_leaves(m->windows, m->base + IMAGE);
	large_leaves(m->windows, m->base + 2 * M2);
	huge_leaves(m->windows, m->base + 5 * M2);
}

int main(int argc, char **argv)
{
	FILE *out;

	must(argc >= 3, "FORMAT OUTPUT [ad]");
	for (size_t i = 0; i < sizeof(machines) / sizeof(*machines); i++)
		if (!strcmp(argv[1], machines[i].name))
			m = &machines[i];
	must(m != NULL, "no such format");
	ad = argc > 3;
	build();
	out = fopen(argv[2], "wb");
	must(out && fwrite(image, next, 1, out) == 1 && !fclose(out),
	     "cannot write");
	gpmm_nested_destroy(t);
	free(image);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Dumps: text, one line for each run of like leaves; DOT, the tables.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "nested/table.h"

struct run {
	uint64_t gpa, size;
	gpmm_hpa_t hpa;
	uint64_t like;		/* the entry without its address */
	unsigned int level;
};

struct dump {
	const struct gpmm_nested *t;
	gpmm_nested_print_fn *print;
	void *arg;
	struct run run;
};

static void __attribute__((format(printf, 2, 3)))
put(struct dump *d, const char *format, ...)
{
	char text[256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	d->print(d->arg, text);
}

struct traits {
	char perm[5];
	const char *type;
};

static struct traits traits(const struct nested_format *f, uint64_t entry)
{
	static const char *const types[8] = { "WB", "UC", "WC", "WT", "WP" };
	uint32_t flags = f->perm_decode[format_perm_index(f, entry)];
	unsigned int type = (entry >> f->mt_shift) & f->mt_field;
	uint32_t mt = (f->mt_decode[type] & GPMM_MT_MASK) >> GPMM_MT_SHIFT;
	struct traits traits = { "----", types[mt] };

	if (entry & f->no_access)
		return traits;
	for (unsigned int i = 0; i < 4; i++)
		if (flags & (1u << i))
			traits.perm[i] = "rwxu"[i];
	return traits;
}

static const char *level_name(unsigned int level)
{
	static const char *const names[] = { "4K", "2M", "1G", "512G", "256T" };

	return names[level - 1];
}

static void end_run(struct dump *d)
{
	const struct nested_format *f = &d->t->f;
	struct run *run = &d->run;
	struct traits is = traits(f, run->like);

	if (!run->size)
		return;
	put(d, "0x%012" PRIx64 "-0x%012" PRIx64 " -> 0x%012" PRIx64
	    " %s %s %s%s%s%s%s\n", run->gpa, run->gpa + run->size - 1,
	    run->hpa, level_name(run->level), is.perm, is.type,
	    run->like & f->accessed ? " accessed" : "",
	    entry_ad(f, run->like) & f->dirty ? " dirty" : "",
	    run->like & f->owned ? " own" : "",
	    run->like & f->small ? " logged" : "");
	run->size = 0;
}

static void dump_leaf(struct dump *d, uint64_t entry, unsigned int level,
		      uint64_t gpa)
{
	const struct nested_format *f = &d->t->f;
	uint64_t like = entry & ~f->addr_mask, size = level_size(level);
	gpmm_hpa_t hpa = entry_addr(f, entry);
	struct run *run = &d->run;

	if (run->size && run->like == like && run->level == level &&
	    run->gpa + run->size == gpa && run->hpa + run->size == hpa) {
		run->size += size;
		return;
	}
	end_run(d);
	*run = (struct run){ gpa, size, hpa, like, level };
}

static void dump_table(struct dump *d, const uint64_t *table,
		       unsigned int level, uint64_t gpa, size_t entries)
{
	const struct nested_format *f = &d->t->f;

	for (size_t i = 0; i < entries; i++) {
		uint64_t entry = entry_load(&table[i]);
		uint64_t at = gpa + i * level_size(level);

		if (entry_is_empty(f, entry))
			continue;
		if (entry_is_table(f, entry, level))
			dump_table(d, table_of(d->t, entry), level - 1, at,
				   ENTRIES);
		else
			dump_leaf(d, entry, level, at);
	}
}

static void dump_lazy(struct dump *d)
{
	for (size_t i = 0; i < d->t->lazy_len; i++)
		put(d, "0x%012" PRIx64 "-0x%012" PRIx64 " lazy\n",
		    d->t->lazy[i].span.first, d->t->lazy[i].span.last);
}

int gpmm_nested_dump(struct gpmm_nested *t, gpmm_nested_print_fn *print,
		     void *arg)
{
	struct dump d = { .t = t, .print = print, .arg = arg };
	int ret = gpmm__nested_lock(t);

	if (ret)
		return ret;
	put(&d, "root %#" PRIx64 ", %u levels, %u bits, %zu tables, %zu own\n",
	    t->root_hpa, t->f.levels, t->f.gpa_bits, t->tables, t->owned);
	dump_table(&d, t->root, t->f.levels, 0, root_entries(t));
	end_run(&d);
	dump_lazy(&d);
	lock_release(&t->lock);
	return 0;
}

/* A node for each table, named by its address; leaves are counted. */
static void dot_table(struct dump *d, const uint64_t *table, gpmm_hpa_t hpa,
		      unsigned int level, uint64_t gpa, size_t entries)
{
	const struct nested_format *f = &d->t->f;
	size_t leaves = 0;

	for (size_t i = 0; i < entries; i++) {
		uint64_t entry = entry_load(&table[i]);
		uint64_t at = gpa + i * level_size(level);

		if (entry_is_empty(f, entry))
			continue;
		if (!entry_is_table(f, entry, level)) {
			leaves++;
			continue;
		}
		put(d, "\tt%" PRIx64 " -> t%" PRIx64 " [label=\"%zu\"];\n",
		    hpa, entry_addr(f, entry), i);
		dot_table(d, table_of(d->t, entry), entry_addr(f, entry),
			  level - 1, at, ENTRIES);
	}
	put(d, "\tt%" PRIx64 " [label=\"level %u at %#" PRIx64
	    "\\ngpa %#" PRIx64 "\\n%zu leaves of %s\"];\n",
	    hpa, level, hpa, gpa, leaves, level_name(level));
}

int gpmm_nested_dump_dot(struct gpmm_nested *t, gpmm_nested_print_fn *print,
			 void *arg)
{
	struct dump d = { .t = t, .print = print, .arg = arg };
	int ret = gpmm__nested_lock(t);

	if (ret)
		return ret;
	put(&d, "digraph nested {\n\tnode [shape=box];\n");
	dot_table(&d, t->root, t->root_hpa, t->f.levels, 0, root_entries(t));
	put(&d, "}\n");
	lock_release(&t->lock);
	return 0;
}

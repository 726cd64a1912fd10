/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A set over every sort of backend, with host memory behind some of it, and a
 * list of changes to it: to make each fail in every way, and see that nothing
 * has happened. For the double build.
 */
#ifndef TESTS_LAB_H
#define TESTS_LAB_H

#include <gpmm/gpmm.h>

#include "helpers/mock_backend.h"
#include "helpers/world.h"

enum {
	LAB_PLAIN,	/* acts at once */
	LAB_TXN,	/* has transactions */
	LAB_FAN_PLAIN,	/* these two are behind the fan-out */
	LAB_FAN_TXN,
	LAB_MOCKS,
	LAB_HOSTS = 2,
};

struct lab {
	gpmm_gpa_t base;	/* of all addresses */
	struct gpmm_set *set;
	struct mock mock[LAB_MOCKS];
	struct gpmm_backend *fanout;
	struct gpmm_host *host[LAB_HOSTS];

	struct snapshot areas;	/* as lab_remember() found it all */
	uint8_t *bytes[LAB_MOCKS];
	uint32_t refs[LAB_HOSTS];
};

/* Everything but the set. @base: above 8 TiB the set's keys are wide */
void lab_open(struct lab *lab, gpmm_gpa_t base);
void lab_close(struct lab *lab);

/* A dozen areas, and @more; nothing kept aside, so that changes allocate. */
void lab_fill(struct lab *lab, unsigned int more);
/* Asserts that all is well, and that nothing is left. */
void lab_empty(struct lab *lab);

/* Note everything; is everything as noted? */
void lab_remember(struct lab *lab);
bool lab_unchanged(const struct lab *lab);
/* As the mocks' tables alone are concerned. */
bool lab_tables_unchanged(const struct lab *lab);
bool lab_areas_unchanged(const struct lab *lab);
void lab_forget(struct lab *lab);

/* An area of the backend called @which (a mock, or LAB_MOCKS: the fan-out). */
struct gpmm_area lab_area(const struct lab *lab, int which, uint64_t offset,
			  uint64_t size, uint32_t flags, int host);

struct lab_change {
	const char *name;
	int (*run)(struct lab *lab);
};

/* Every change there is; ends with a nameless one. */
extern const struct lab_change lab_changes[];

#endif

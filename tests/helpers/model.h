/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a set should be, as a flat array: one cell a granule. Every operation
 * is the plainest loop that can be right, and returns what the set's should.
 */
#ifndef TESTS_MODEL_H
#define TESTS_MODEL_H

#include <gpmm/gpmm.h>

struct model_cell {
	struct gpmm_backend *backend;	/* NULL: nothing mapped */
	struct gpmm_host *host;
	uintptr_t hva;			/* of this cell; 0 without host */
	void *owner;
	uint32_t flags;
	bool first;			/* an area begins here */
};

struct model {
	gpmm_gpa_t base;
	uint64_t granule;
	uint32_t cells;
	bool no_merge;
	struct gpmm_backend *backend;	/* for areas mapped without one */
	struct model_cell *cell;
	/* Of the last change: whether it merged, and around which cells. */
	bool merged;
	uint32_t from;
	uint32_t to;
};

void model_init(struct model *model, gpmm_gpa_t base, uint64_t granule,
		uint32_t cells, bool no_merge, struct gpmm_backend *backend);
void model_fini(struct model *model);
/* @to becomes what @from is; both of one shape. */
void model_copy(struct model *to, const struct model *from);

/* As their gpmm_set_ namesakes; map must lie within the cells. */
int model_map(struct model *model, const struct gpmm_area *area,
	      unsigned int how);
int model_unmap(struct model *model, gpmm_gpa_t start, uint64_t size);
int model_protect(struct model *model, gpmm_gpa_t start, uint64_t size,
		  gpmm_protect_fn *update, void *arg);
int model_split(struct model *model, gpmm_gpa_t at);
int model_shrink_left(struct model *model, gpmm_gpa_t addr, uint64_t size);
int model_shrink_right(struct model *model, gpmm_gpa_t addr, uint64_t size);
int model_merge(struct model *model, gpmm_gpa_t start, uint64_t size);
void model_clear(struct model *model);

size_t model_len(const struct model *model);
bool model_find(const struct model *model, gpmm_gpa_t addr,
		struct gpmm_area *area);
bool model_overlaps(const struct model *model, gpmm_gpa_t start,
		    uint64_t size);
int model_find_free(const struct model *model, const struct gpmm_hole *hole,
		    gpmm_gpa_t *addr);
/*
 * The first area at or after cell *@i; *@i becomes the cell behind it. Return:
 * whether there is one.
 */
bool model_next(const struct model *model, uint32_t *i,
		struct gpmm_area *area);

/*
 * A change must merge what it touches. Where what it merged runs on from areas
 * further away, that somebody once split, it may merge those too: take over
 * what the set did there.
 */
void model_settle(struct model *model, struct gpmm_view view);

/* Do two areas have the same everything? */
bool area_equal(const struct gpmm_area *a, const struct gpmm_area *b);

/*
 * Is the view, iterated each way there is, the model? Return: NULL, or what
 * differs (a static text, and *@where).
 */
const char *model_differs(const struct model *model, struct gpmm_view view,
			  gpmm_gpa_t *where);

#endif

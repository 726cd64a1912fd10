/* SPDX-License-Identifier: BSD-3-Clause */
/* What benchmarks of gpmm alone share with the contender. */
#ifndef BENCH_GPMM_SET_H
#define BENCH_GPMM_SET_H

#include <gpmm/set.h>

#include "areas.h"

/* Ends the program where @ret is an error of @what. */
void bench_must(int ret, const char *what);

struct gpmm_area bench_gpmm_area(const struct bench_area *area);

/* @order: NULL for ascending; one transaction; @options: may be NULL */
struct gpmm_set *bench_gpmm_build(const struct bench_areas *areas,
				  const uint32_t *order,
				  const struct gpmm_set_options *options);

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
#include <stddef.h>

#include "util/standing.h"

__thread const struct standing *gpmm__standing;

void gpmm__step_out(void)
{
	if (gpmm__standing)
		gpmm__standing->step_out();
}

void gpmm__step_in(void)
{
	if (gpmm__standing)
		gpmm__standing->step_in();
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/none.h"

static int none_area(struct gpmm_backend *be, const struct gpmm_area *area)
{
	(void)be;
	(void)area;
	return 0;
}

static int none_protect(struct gpmm_backend *be, const struct gpmm_area *area,
			uint32_t new_flags)
{
	(void)be;
	(void)area;
	(void)new_flags;
	return 0;
}

const struct gpmm_backend_ops gpmm__none_ops = {
	.abi = GPMM_BACKEND_ABI,
	.name = "none",
	.map = none_area,
	.unmap = none_area,
	.protect = none_protect,
};

struct gpmm_backend *gpmm_backend_none(void)
{
	static struct gpmm_backend none = { .ops = &gpmm__none_ops };

	return &none;
}

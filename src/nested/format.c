/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include "nested/format.h"

int gpmm__format_widths(const struct gpmm_nested_options *options,
			unsigned int gpa_min, unsigned int gpa_max,
			unsigned int hpa_max, struct nested_format *f)
{
	f->gpa_bits = options->gpa_bits ? options->gpa_bits : gpa_max;
	f->hpa_bits = options->hpa_bits ? options->hpa_bits : hpa_max;
	if (f->gpa_bits < gpa_min || f->gpa_bits > gpa_max)
		return -EINVAL;
	if (f->hpa_bits < 32 || f->hpa_bits > hpa_max)
		return -EINVAL;
	return 0;
}

void gpmm__format_decode(struct nested_format *f)
{
	for (unsigned int i = 0; i < 16; i++)
		f->perm_decode[i] = FORMAT_BAD;
	/* Where several mean the same, the one with most to say stays. */
	for (unsigned int flags = 1; flags < 16; flags++) {
		uint64_t bits = f->perm_encode[flags];

		if (bits != FORMAT_REFUSED)
			f->perm_decode[format_perm_index(f, bits)] = flags;
	}
}

static unsigned int largest_leaf(unsigned int how)
{
	if (how & GPMM_NESTED_NO_2M)
		return 1;
	return how & GPMM_NESTED_NO_1G ? 2 : 3;
}

static int fill_in(const struct gpmm_nested_options *options,
		   struct nested_format *f)
{
	switch (options->format) {
	case GPMM_NESTED_EPT4:
	case GPMM_NESTED_EPT5:
		return gpmm__format_ept(options, f);
	case GPMM_NESTED_NPT4:
	case GPMM_NESTED_NPT5:
		return gpmm__format_npt(options, f);
	case GPMM_NESTED_STAGE2:
		return gpmm__format_stage2(options, f);
	case GPMM_NESTED_SV39X4:
	case GPMM_NESTED_SV48X4:
		return gpmm__format_gstage(options, f);
	}
	return -EINVAL;
}

int gpmm__nested_format(const struct gpmm_nested_options *options,
			struct nested_format *f)
{
	int ret;

	memset(f, 0, sizeof(*f));
	f->max_leaf = largest_leaf(options->how);
	ret = fill_in(options, f);
	for (unsigned int level = 2; level <= FORMAT_LEVELS; level++)
		f->table_test[level] = f->table | f->leaf_mask |
				       f->perm_inherit |
				       f->table_reserved[level];
	return ret;
}

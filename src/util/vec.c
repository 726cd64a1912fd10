/* SPDX-License-Identifier: BSD-3-Clause */
#include "util/vec.h"

int gpmm__vec_grow(void **v, size_t *cap, size_t need, size_t size)
{
	size_t grown = *cap * 2 > need ? *cap * 2 : need;
	void *moved;

	if (grown < 8)
		grown = 8;
	if (grown > SIZE_MAX / size)
		return -ENOMEM;
	moved = gpmm__realloc(*v, grown * size);
	if (!moved)
		return -ENOMEM;
	*v = moved;
	*cap = grown;
	return 0;
}

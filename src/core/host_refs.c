/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/host_refs.h"

#define WAYS	(1 << HOST_REFS_BITS)

bool gpmm__host_refs_is_empty(const struct host_refs *refs)
{
	for (unsigned int i = 0; i < WAYS; i++)
		if (refs->way[i].count)
			return false;
	return !refs->others.len;
}

void gpmm__host_refs_put(struct host_refs *refs)
{
	for (unsigned int i = 0; i < WAYS; i++)
		for (; refs->way[i].count; refs->way[i].count--)
			gpmm_host_put(refs->way[i].host);
	while (refs->others.len)
		gpmm_host_put(refs->others.v[--refs->others.len]);
}

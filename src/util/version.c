/* SPDX-License-Identifier: BSD-3-Clause */
#include <gpmm/types.h>

#include "config.h"

const char *gpmm_version(void)
{
	return PACKAGE_VERSION;
}

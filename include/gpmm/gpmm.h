/* SPDX-License-Identifier: BSD-3-Clause */
/* All of gpmm: the guest-physical memory manager. */
#ifndef GPMM_GPMM_H
#define GPMM_GPMM_H

#include <gpmm/area.h>
#include <gpmm/backend.h>
#include <gpmm/dirty.h>
#include <gpmm/guest.h>
#include <gpmm/hit.h>
#include <gpmm/host.h>
#include <gpmm/kvm.h>
#include <gpmm/mmio.h>
#include <gpmm/nested.h>
#include <gpmm/pin.h>
#include <gpmm/set.h>
#include <gpmm/thread.h>
#include <gpmm/types.h>

#endif

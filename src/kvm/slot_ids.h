/* SPDX-License-Identifier: BSD-3-Clause */
/* The numbers of a VM's slots: the lowest free one is used next. */
#ifndef GPMM_KVM_SLOT_IDS_H
#define GPMM_KVM_SLOT_IDS_H

#include <stdbool.h>
#include <stdint.h>

struct slot_ids {
	uint64_t *used;		/* bit n: number first + n is taken */
	uint32_t first;
	uint32_t count;
	uint32_t live;		/* how many are taken */
	uint32_t hint;		/* no free bit below it */
};

/* Return: 0 or -ENOMEM. */
int gpmm__slot_ids_init(struct slot_ids *ids, uint32_t first, uint32_t count);
void gpmm__slot_ids_fini(struct slot_ids *ids);

/* Take the lowest free number. Precondition: live < count. */
uint32_t gpmm__slot_ids_take(struct slot_ids *ids);
void gpmm__slot_ids_take_this(struct slot_ids *ids, uint32_t id);
bool gpmm__slot_ids_taken(const struct slot_ids *ids, uint32_t id);
void gpmm__slot_ids_give(struct slot_ids *ids, uint32_t id);

#endif

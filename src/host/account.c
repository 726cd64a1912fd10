/* SPDX-License-Identifier: BSD-3-Clause */
/* Figures: what is mapped, what is in memory, what was given back. */
#include "config.h"

#include <pthread.h>
#include <sys/mman.h>

#include "host/host.h"
#include "util/range.h"

static struct {
	pthread_mutex_t lock;
	struct gpmm_host *first;
} all = { .lock = PTHREAD_MUTEX_INITIALIZER };

void gpmm__host_register(struct gpmm_host *host)
{
	pthread_mutex_lock(&all.lock);
	host->next = all.first;
	host->link = &all.first;
	if (host->next)
		host->next->link = &host->next;
	all.first = host;
	pthread_mutex_unlock(&all.lock);
}

void gpmm__host_unregister(struct gpmm_host *host)
{
	pthread_mutex_lock(&all.lock);
	*host->link = host->next;
	if (host->next)
		host->next->link = host->link;
	pthread_mutex_unlock(&all.lock);
}

/* mincore(2) has a byte a page; where nothing is mapped it counts nothing. */
static uint64_t resident(uintptr_t from, uintptr_t to, uint64_t page)
{
	unsigned char in[4096];
	uint64_t pages = 0;

	while (from < to) {
		uint64_t n = (to - from) / page;

		n = n < sizeof(in) ? n : sizeof(in);
		if (!mincore((void *)from, n * page, in))
			for (uint64_t i = 0; i < n; i++)
				pages += in[i] & 1;
		from += n * page;
	}
	return pages * page;
}

static void add(struct gpmm_host *host, struct gpmm_host_stats *stats)
{
	uint64_t page = gpmm__host_base_page();
	uint64_t size = gpmm_host_size(host);
	uint64_t from, to;

	stats->count++;
	stats->mapped += host->is_blind ? 0 : size;
	stats->discarded += __atomic_load_n(&host->discarded,
					    __ATOMIC_RELAXED);
	from = align_down((uintptr_t)host->addr, page);
	if (!host->is_blind &&
	    align_up((uintptr_t)host->addr + size, page, &to))
		stats->resident += resident(from, to, page);
}

void gpmm_host_get_stats(struct gpmm_host *host, struct gpmm_host_stats *stats)
{
	*stats = (struct gpmm_host_stats){ 0 };
	add(host, stats);
}

void gpmm_host_get_kind_stats(enum gpmm_host_kind kind,
			      struct gpmm_host_stats *stats)
{
	*stats = (struct gpmm_host_stats){ 0 };
	pthread_mutex_lock(&all.lock);
	for (struct gpmm_host *host = all.first; host; host = host->next)
		if (host->options.kind == kind)
			add(host, stats);
	pthread_mutex_unlock(&all.lock);
}

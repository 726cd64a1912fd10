/* SPDX-License-Identifier: BSD-3-Clause */
#include "observer.h"

#include "guest.h"
#include "thread.h"

struct sight {
	gpmm_gpa_t end;		/* of the last area */
	bool in_order;
	uint64_t ram;		/* bytes */
	uint64_t dimm;
	uint64_t sealed;
};

static int look_at(void *arg, const struct gpmm_area *area)
{
	struct sight *sight = arg;

	if (area->start < sight->end)
		sight->in_order = false;
	sight->end = area->start + area->size;
	if (KIND_OF(area->flags) == KIND_RAM)
		sight->ram += area->size;
	if (KIND_OF(area->flags) != KIND_DIMM)
		return 0;
	sight->dimm += area->size;
	if (!(area->flags & GPMM_WRITE))
		sight->sealed += area->size;
	return 0;
}

/*
 * The DIMM is there or not, its middle half sealed or not, and nothing
 * between. It comes once and goes once: a move that showed it absent for a
 * moment would make it come twice, one that showed it twice doubles it.
 */
static bool is_whole(struct observer *observer, const struct sight *sight)
{
	const struct options *options = observer->machine->options;

	if (!sight->in_order ||
	    sight->ram != options->low_size + options->high_size)
		return false;
	if (sight->dimm != 0 && sight->dimm != DIMM_SIZE)
		return false;
	if (sight->sealed != 0 && sight->sealed != DIMM_SIZE / 2)
		return false;
	if ((observer->phase == 1) != (sight->dimm != 0))
		observer->phase++;
	return observer->phase <= 2;
}

static void *observe(void *arg)
{
	struct observer *observer = arg;

	gpmm_thread_register();
	do {
		struct sight sight = { .in_order = true };

		gpmm_set_for_each(observer->machine->set, GPMM_RANGE_ALL,
				  look_at, &sight);
		observer->snapshots++;
		if (!is_whole(observer, &sight))
			observer->torn++;
	} while (!atomic_load_explicit(&observer->stop, memory_order_relaxed));
	gpmm_thread_unregister();
	return NULL;
}

void observer_start(struct observer *observer, const struct machine *machine)
{
	*observer = (struct observer){ .machine = machine };
	thread_start(&observer->thread, observe, observer);
}

void observer_stop(struct observer *observer)
{
	atomic_store_explicit(&observer->stop, true, memory_order_relaxed);
	pthread_join(observer->thread, NULL);
}

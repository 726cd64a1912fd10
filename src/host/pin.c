/* SPDX-License-Identifier: BSD-3-Clause */
/* Holders and their pins; pin.h says how the two sides meet. */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/host.h"
#include "host/pin.h"
#include "util/alloc.h"
#include "util/range.h"
#include "util/standing.h"

#define LINE 64
#define CHUNK_SLOTS 64

/* Written by the holder's thread alone, but read by all. */
struct slot {
	struct gpmm_host *host;		/* NULL: free */
	uint64_t addr;
	uint64_t size;
	uint64_t gpa;
	uint64_t since_ns;
	struct chunk *chunk;		/* constant, as is @index */
	uint32_t index;
	uint32_t version;		/* grows with every pin */
} __attribute__((aligned(LINE)));

struct chunk {
	struct slot slot[CHUNK_SLOTS];
	struct chunk *next;	/* set once */
	uint64_t free;		/* bit n: slot n; the holder's thread's */
} __attribute__((aligned(LINE)));

struct gpmm_holder {
	struct chunk *first;	/* grows at the head */
	char label[GPMM_LABEL_SIZE];
	int thread;
	struct gpmm_holder *next, **link;	/* under the pins' lock */
};

static struct {
	pthread_once_t once;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct gpmm_holder *holders;
	struct gpmm_host *zombies;	/* no reference left, but pins */
} pins = { .once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER };

/* Zombies and drains under way: on a line of its own, rarely written. */
static struct {
	uint32_t count;
} __attribute__((aligned(LINE))) attention;

/* ---------------------------------------------------------------- lock --- */

static void init_changed(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pins.changed, &attr);
	pthread_condattr_destroy(&attr);
}

void gpmm__pins_lock(void)
{
	pthread_once(&pins.once, init_changed);
	pthread_mutex_lock(&pins.lock);
}

void gpmm__pins_unlock(void)
{
	pthread_mutex_unlock(&pins.lock);
}

bool gpmm__pins_wait_locked(const struct timespec *deadline)
{
	return pthread_cond_timedwait(&pins.changed, &pins.lock, deadline) !=
	       ETIMEDOUT;
}

void gpmm__pins_changed_locked(void)
{
	pthread_cond_broadcast(&pins.changed);
}

void gpmm__pins_attend_locked(int by)
{
	__atomic_fetch_add(&attention.count, by, __ATOMIC_SEQ_CST);
}

/* ------------------------------------------------- looking at the slots --- */

/* A slot as it was at one moment. */
struct seen {
	uint64_t addr, size, gpa, since_ns;
};

static bool read_slot(const struct slot *slot, const struct gpmm_host *host,
		      struct seen *seen)
{
	if (__atomic_load_n(&slot->host, __ATOMIC_SEQ_CST) != host)
		return false;
	seen->addr = __atomic_load_n(&slot->addr, __ATOMIC_ACQUIRE);
	seen->size = __atomic_load_n(&slot->size, __ATOMIC_ACQUIRE);
	seen->gpa = __atomic_load_n(&slot->gpa, __ATOMIC_ACQUIRE);
	seen->since_ns = __atomic_load_n(&slot->since_ns, __ATOMIC_ACQUIRE);
	return true;
}

/* Does the slot hold @host, and since when and so on? */
static bool look(const struct slot *slot, const struct gpmm_host *host,
		 struct seen *seen)
{
	uint32_t before, after;
	bool holds;

	after = __atomic_load_n(&slot->version, __ATOMIC_ACQUIRE);
	do {
		before = after;
		holds = read_slot(slot, host, seen);
		after = __atomic_load_n(&slot->version, __ATOMIC_ACQUIRE);
	} while (holds && before != after);
	return holds;
}

static void list(const struct gpmm_holder *holder, const struct seen *seen,
		 struct gpmm_certificate *out)
{
	struct gpmm_holding *holding;

	if (out->pins++ >= out->capacity)
		return;
	holding = &out->holdings[out->pins - 1];
	memcpy(holding->label, holder->label, sizeof(holding->label));
	holding->thread = holder->thread;
	holding->since_ns = seen->since_ns;
	holding->gpa = seen->gpa;
	holding->addr = (void *)(uintptr_t)seen->addr;
	holding->size = seen->size;
}

static void list_holder(const struct gpmm_holder *holder,
			const struct gpmm_host *host, struct span span,
			struct gpmm_certificate *out)
{
	const struct chunk *chunk = __atomic_load_n(&holder->first,
						    __ATOMIC_SEQ_CST);
	struct seen seen;

	for (; chunk; chunk = chunk->next)
		for (size_t i = 0; i < CHUNK_SLOTS; i++) {
			if (!look(&chunk->slot[i], host, &seen))
				continue;
			if (span_overlaps(span, (struct span){ seen.addr,
					  seen.addr + (seen.size - 1) }))
				list(holder, &seen, out);
		}
}

void gpmm__pins_list_locked(const struct gpmm_host *host, uint64_t offset,
			    uint64_t size, struct gpmm_certificate *out)
{
	uint64_t first = (uintptr_t)host->addr + offset;

	out->pins = 0;
	out->area_pins = __atomic_load_n(&host->area_pins, __ATOMIC_SEQ_CST);
	for (struct gpmm_holder *holder = pins.holders; holder;
	     holder = holder->next)
		list_holder(holder, host,
			    (struct span){ first, first + (size - 1) }, out);
}

static bool is_pinned(const struct gpmm_host *host, uint64_t offset,
		      uint64_t size)
{
	struct gpmm_certificate found = { .capacity = 0 };

	gpmm__pins_list_locked(host, offset, size, &found);
	return found.pins || found.area_pins;
}

/* ------------------------------------------------------------- zombies --- */

bool gpmm__pins_release(struct gpmm_host *host)
{
	bool pinned;

	gpmm__pins_lock();
	gpmm__pins_attend_locked(1);
	pinned = is_pinned(host, 0, host->size);
	if (pinned) {
		host->next_zombie = pins.zombies;
		pins.zombies = host;
	} else {
		gpmm__pins_attend_locked(-1);
	}
	gpmm__pins_unlock();
	return !pinned;
}

static struct gpmm_host *reap_locked(void)
{
	struct gpmm_host **link = &pins.zombies, *dead = NULL;

	while (*link) {
		struct gpmm_host *host = *link;

		if (is_pinned(host, 0, host->size)) {
			link = &host->next_zombie;
			continue;
		}
		*link = host->next_zombie;
		host->next_zombie = dead;
		dead = host;
		gpmm__pins_attend_locked(-1);
	}
	return dead;
}

static void attend(void)
{
	struct gpmm_host *dead;

	gpmm__pins_lock();
	dead = reap_locked();
	gpmm__pins_changed_locked();
	gpmm__pins_unlock();
	while (dead) {
		struct gpmm_host *next = dead->next_zombie;

		gpmm__host_destroy(dead);
		dead = next;
	}
}

/* ------------------------------------------------------------ discards --- */

int gpmm__pins_discard_begin(struct gpmm_host *host, uint64_t offset,
			     uint64_t size)
{
	int ret = 0;

	gpmm__step_out();
	gpmm__pins_lock();
	while (host->discarding)
		pthread_cond_wait(&pins.changed, &pins.lock);
	host->discard_turn++;
	__atomic_store_n(&host->discarding, 1, __ATOMIC_SEQ_CST);
	if (is_pinned(host, offset, size)) {
		__atomic_store_n(&host->discarding, 0, __ATOMIC_SEQ_CST);
		ret = -EBUSY;
	}
	gpmm__pins_unlock();
	gpmm__step_in();
	return ret;
}

void gpmm__pins_discard_end(struct gpmm_host *host)
{
	gpmm__pins_lock();
	__atomic_store_n(&host->discarding, 0, __ATOMIC_SEQ_CST);
	gpmm__pins_changed_locked();
	gpmm__pins_unlock();
}

/* A discard that begins later sees the pin: only this one's end matters. */
static void wait_for_discard(struct gpmm_host *host)
{
	uint32_t turn;

	gpmm__step_out();
	gpmm__pins_lock();
	turn = host->discard_turn;
	while (host->discarding && host->discard_turn == turn)
		pthread_cond_wait(&pins.changed, &pins.lock);
	gpmm__pins_unlock();
	gpmm__step_in();
}

void gpmm__pins_settle(struct gpmm_host *host)
{
	if (__atomic_load_n(&host->discarding, __ATOMIC_SEQ_CST))
		wait_for_discard(host);
}

/* ------------------------------------------------------------- holders --- */

int gpmm_holder_create(const char *label, struct gpmm_holder **holder)
{
	struct gpmm_holder *new = gpmm__zalloc(sizeof(*new));

	if (!new)
		return -ENOMEM;
	memcpy(new->label, label, strnlen(label, GPMM_LABEL_SIZE - 1));
	new->thread = (int)syscall(SYS_gettid);
	gpmm__pins_lock();
	new->next = pins.holders;
	new->link = &pins.holders;
	if (new->next)
		new->next->link = &new->next;
	pins.holders = new;
	gpmm__pins_unlock();
	*holder = new;
	return 0;
}

void gpmm_holder_destroy(struct gpmm_holder *holder)
{
	struct chunk *chunk;

	if (!holder)
		return;
	gpmm__pins_lock();
	*holder->link = holder->next;
	if (holder->next)
		holder->next->link = holder->link;
	gpmm__pins_unlock();
	while ((chunk = holder->first)) {
		assert(chunk->free == UINT64_MAX);
		holder->first = chunk->next;
		gpmm__free(chunk);
	}
	gpmm__free(holder);
}

static struct chunk *add_chunk(struct gpmm_holder *holder)
{
	struct chunk *chunk = gpmm__alloc_aligned(LINE, sizeof(*chunk));

	if (!chunk)
		return NULL;
	memset(chunk, 0, sizeof(*chunk));
	chunk->free = UINT64_MAX;
	chunk->next = holder->first;
	for (uint32_t i = 0; i < CHUNK_SLOTS; i++) {
		chunk->slot[i].chunk = chunk;
		chunk->slot[i].index = i;
	}
	__atomic_store_n(&holder->first, chunk, __ATOMIC_SEQ_CST);
	return chunk;
}

static struct slot *take_slot(struct gpmm_holder *holder)
{
	struct chunk *chunk = holder->first;
	int index;

	while (chunk && !chunk->free)
		chunk = chunk->next;
	if (!chunk)
		chunk = add_chunk(holder);
	if (!chunk)
		return NULL;
	index = __builtin_ctzll(chunk->free);
	chunk->free &= chunk->free - 1;
	return &chunk->slot[index];
}

/* The coarse clock: a few ms are enough to tell who forgot a pin. */
static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

/* Releases: whoever sees a member of the new pin sees the new version. */
static void fill(struct slot *slot, struct gpmm_host *host,
		 const struct gpmm_pin *pin)
{
	__atomic_store_n(&slot->version, slot->version + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&slot->addr, (uintptr_t)pin->addr, __ATOMIC_RELEASE);
	__atomic_store_n(&slot->size, pin->size, __ATOMIC_RELEASE);
	__atomic_store_n(&slot->gpa, pin->gpa, __ATOMIC_RELEASE);
	__atomic_store_n(&slot->since_ns, now_ns(), __ATOMIC_RELEASE);
	__atomic_store_n(&slot->host, host, __ATOMIC_SEQ_CST);
}

int gpmm_pin_area(struct gpmm_holder *holder, const struct gpmm_area *area,
		  gpmm_gpa_t gpa, uint64_t size, struct gpmm_pin *pin)
{
	uint64_t offset = gpa - area->start;
	struct slot *slot;

	if (!area->host || !size || offset >= area->size ||
	    size > area->size - offset)
		return -EINVAL;
	slot = take_slot(holder);
	if (!slot)
		return -ENOMEM;
	*pin = (struct gpmm_pin){
		.addr = (char *)area->hva + offset,
		.size = size,
		.gpa = gpa,
		.holder = holder,
		.slot = slot,
	};
	fill(slot, area->host, pin);
	gpmm__pins_settle(area->host);
	return 0;
}

void gpmm_unpin(struct gpmm_pin *pin)
{
	struct slot *slot = pin->slot;

	__atomic_store_n(&slot->host, NULL, __ATOMIC_SEQ_CST);
	slot->chunk->free |= UINT64_C(1) << slot->index;
	pin->slot = NULL;
	if (__atomic_load_n(&attention.count, __ATOMIC_SEQ_CST))
		attend();
}

/* The caller's reference is dropped after: the host lives on meanwhile. */
void gpmm__pins_area_unpin(struct gpmm_host *host)
{
	__atomic_fetch_sub(&host->area_pins, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&attention.count, __ATOMIC_SEQ_CST))
		attend();
}

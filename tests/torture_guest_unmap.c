/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Unmapping under fire: device threads read, write, copy, stream, pin and so on
 * at random while a writer maps, unmaps, replaces, discards, truncates and
 * drains beneath them.
 *
 * Guest memory is a row of slots. All memory that ever stands behind a slot
 * is filled with the slot's number, and everybody writes that number only, so
 * a byte is the number or, discarded or past a hole in a file, 0: anything
 * else was read from memory that had been freed and used again. Memory of the
 * first kind of slot is made inaccessible when it is released, its addresses
 * not to be used again for long, and as soon as a drain says that nobody
 * reaches it, so that a late access faults; such slots never fault otherwise.
 * The second kind is of files that are truncated, where a fault is an error to
 * be reported.
 *
 * Runs for a second, GPMM_LONG=1 for a minute; GPMM_SEED repeats a run's
 * choices.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <gpmm/gpmm.h>

#include "helpers/rng.h"

#define PAGE UINT64_C(4096)
#define SLOT_PAGES 16
#define SLOT_SIZE (SLOT_PAGES * PAGE)
#define SLOTS 24
#define FIRST_FILE 18		/* slots from here on are files */
#define BASE UINT64_C(0x100000000)
#define DEVICES 3
#define HELD 6		/* pins of a device at a time */
#define QUARANTINE 2048

static struct gpmm_set *set;
static uint64_t seed;
static int stop;

/* Since the last was cleared; every kind must have happened in the end. */
static struct {
	uint64_t accesses, holes, faults, pins, busy, discards, truncations;
	uint64_t drained, held, created, released, wrong;
} count;

static void add(uint64_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

static void wrong(const char *what, uint64_t a, uint64_t b)
{
	if (!__atomic_fetch_add(&count.wrong, 1, __ATOMIC_RELAXED))
		fprintf(stderr, "seed %" PRIu64 ": %s: %" PRIx64 " %" PRIx64
			"\n", seed, what, a, b);
}

/* The word that a slot's memory is filled with. */
static uint64_t word_of(unsigned int slot)
{
	return (slot + 1) * UINT64_C(0x0101010101010101);
}

static gpmm_gpa_t start_of(unsigned int slot)
{
	return BASE + slot * SLOT_SIZE;
}

/* One choice in two falls on a few slots, so that all meet there. */
static unsigned int choose_slot(uint64_t choice)
{
	return choice & 1 ? choice >> 1 & 1 : (choice >> 1) % SLOTS;
}

/* -------------------------------------------------------------- memory --- */

static struct {
	pthread_mutex_t lock;
	void *addr[QUARANTINE];
	unsigned int next;
} quarantine = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* Nobody may touch it any more; its addresses rest for a while. */
static void rest(void *arg, void *addr, uint64_t size)
{
	void **place;

	(void)arg;
	mprotect(addr, size, PROT_NONE);
	pthread_mutex_lock(&quarantine.lock);
	place = &quarantine.addr[quarantine.next++ % QUARANTINE];
	if (*place)
		munmap(*place, size);
	*place = addr;
	pthread_mutex_unlock(&quarantine.lock);
	add(&count.released);
}

static void note_release(void *arg, void *addr, uint64_t size)
{
	(void)arg;
	(void)addr;
	(void)size;
	add(&count.released);
}

/* The embedder's own memory, or the library's by turns, so discards work. */
static int make_plain(unsigned int slot, uint64_t choice,
		      struct gpmm_host **host)
{
	struct gpmm_host_options options = {
		.kind = choice % 3 == 0 ? GPMM_HOST_USER :
			choice % 3 == 1 ? GPMM_HOST_ANON : GPMM_HOST_MEMFD,
		.size = SLOT_SIZE,
		.flags = choice % 3 ? GPMM_HOST_GUARD : 0,
		.release = choice % 3 ? note_release : rest,
	};
	int ret;

	(void)slot;
	if (options.kind == GPMM_HOST_USER)
		options.user = mmap(NULL, SLOT_SIZE, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ret = options.user == MAP_FAILED ? -ENOMEM :
	      gpmm_host_create(&options, host);
	if (ret && options.user && options.user != MAP_FAILED)
		munmap(options.user, SLOT_SIZE);
	return ret;
}

static int make_file(int *fd, struct gpmm_host **host)
{
	struct gpmm_host_options options = {
		.kind = GPMM_HOST_FILE, .size = SLOT_SIZE,
		.release = note_release,
	};
	int ret;

	*fd = memfd_create("torture", MFD_CLOEXEC);
	if (*fd < 0 || ftruncate(*fd, SLOT_SIZE))
		return -errno;
	options.fd = *fd;
	ret = gpmm_host_create(&options, host);
	if (ret)
		close(*fd);
	return ret;
}

static void fill_words(void *memory, unsigned int slot)
{
	uint64_t *words = memory;

	for (size_t i = 0; i < SLOT_SIZE / 8; i++)
		words[i] = word_of(slot);
}

/* -------------------------------------------------------------- writer --- */

/* What the writer keeps of a slot, to discard and to truncate. */
static struct {
	struct gpmm_host *host;
	int fd;
} kept[SLOTS];

static void forget(unsigned int slot)
{
	gpmm_host_put(kept[slot].host);
	kept[slot].host = NULL;
	if (slot >= FIRST_FILE && kept[slot].fd > 0)
		close(kept[slot].fd);
	kept[slot].fd = 0;
}

static void replace(unsigned int slot, uint64_t choice)
{
	struct gpmm_area area = { .start = start_of(slot), .size = SLOT_SIZE,
				  .flags = GPMM_RW };
	int fd = 0, ret;

	ret = slot < FIRST_FILE ? make_plain(slot, choice, &area.host) :
				  make_file(&fd, &area.host);
	if (ret) {
		wrong("no memory", slot, (uint64_t)-ret);
		return;
	}
	add(&count.created);
	area.hva = gpmm_host_addr(area.host);
	fill_words(area.hva, slot);
	ret = gpmm_set_map(set, &area, GPMM_MAP_REPLACE);
	if (ret)
		wrong("map", slot, (uint64_t)-ret);
	forget(slot);
	kept[slot].host = area.host;
	kept[slot].fd = fd;
}

static void unmap(unsigned int slot, uint64_t choice)
{
	uint64_t first = choice % SLOT_PAGES * PAGE;
	uint64_t size = (choice >> 8) % SLOT_PAGES * PAGE + PAGE;
	int ret = gpmm_set_unmap(set, start_of(slot) + first,
				 size < SLOT_SIZE - first ? size :
							    SLOT_SIZE - first);

	if (ret)
		wrong("unmap", slot, (uint64_t)-ret);
}

/* Memory that is discarded while it is pinned would lose its pins' words. */
static void discard(unsigned int slot, uint64_t choice)
{
	int ret;

	if (!kept[slot].host ||
	    gpmm_host_kind(kept[slot].host) == GPMM_HOST_USER)
		return;
	ret = gpmm_host_discard(kept[slot].host,
				choice % SLOT_PAGES * PAGE, PAGE);
	if (ret == -EBUSY)
		add(&count.busy);
	else if (ret)
		wrong("discard", slot, (uint64_t)-ret);
	else
		add(&count.discards);
}

static void truncate_file(uint64_t choice)
{
	unsigned int slot = FIRST_FILE + choice % (SLOTS - FIRST_FILE);

	if (!kept[slot].host)
		return;
	if (ftruncate(kept[slot].fd, (choice >> 8) % SLOT_PAGES * PAGE))
		wrong("truncate", slot, (uint64_t)errno);
	add(&count.truncations);
}

/* What is unmapped and drained nobody touches, whatever he was about to do. */
static void drain(unsigned int slot)
{
	struct gpmm_certificate found = { .capacity = 0 };
	struct gpmm_host *host = kept[slot].host;
	int ret;

	if (!host || slot >= FIRST_FILE)
		return;
	if (gpmm_set_unmap(set, start_of(slot), SLOT_SIZE))
		wrong("unmap", slot, 0);
	ret = gpmm_drain(set, host, 0, 0, 2, &found);
	if (ret == -ETIMEDOUT && !found.done &&
	    (found.readers || found.pins || found.area_pins)) {
		add(&count.held);
		return;
	}
	if (ret || !found.done)
		wrong("drain", slot, (uint64_t)-ret);
	mprotect(gpmm_host_addr(host), SLOT_SIZE, PROT_NONE);
	for (int i = 0; i < 10; i++)
		sched_yield();
	mprotect(gpmm_host_addr(host), SLOT_SIZE, PROT_READ | PROT_WRITE);
	add(&count.drained);
}

static void change(uint64_t choice)
{
	unsigned int slot = choose_slot(choice >> 32 & 0xffff);

	switch (choice >> 56 & 7) {
	case 0:
	case 1:
	case 2:
		replace(slot, choice & 0xffffffff);
		break;
	case 3:
		unmap(slot, choice & 0xffffffff);
		break;
	case 4:
		drain(slot);
		break;
	case 5:
	case 6:
		discard(slot, choice & 0xffffffff);
		break;
	default:
		truncate_file(choice & 0xffffffff);
	}
}

/* ------------------------------------------------------------- devices --- */

/* An error a device may meet: nothing there; or a file cut short. */
static void note(unsigned int slot, int ret)
{
	add(&count.accesses);
	if (ret == -ENXIO)
		add(&count.holes);
	else if (ret == -EFAULT && slot >= FIRST_FILE)
		add(&count.faults);
	else if (ret)
		wrong("access", slot, (uint64_t)-ret);
}

/* Other devices write to the same memory, as they please. */
static uint64_t get_word(const void *at)
{
	return __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED);
}

static void put_word(void *at, uint64_t word)
{
	__atomic_store_n((uint64_t *)at, word, __ATOMIC_RELAXED);
}

/* A fill goes by bytes. */
static bool is_of(uint64_t word, unsigned int slot)
{
	for (; word; word >>= 8)
		if (word & 0xff && (word & 0xff) != slot + 1)
			return false;
	return true;
}

static void check_words(unsigned int slot, const void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i += 8) {
		uint64_t word = get_word((const char *)bytes + i);

		if (!is_of(word, slot))
			wrong("word", word, word_of(slot));
	}
}

struct device {
	struct gpmm_guest guest;
	int fd;		/* a file of its own */
	gpmm_gpa_t own;	/* a page of its own */
	struct gpmm_holder *holder;
	struct gpmm_cache cache;
	struct gpmm_pin held[HELD];
	unsigned int pinned;
	struct rng rng;
};

/* Aligned, within a slot, of whole words. */
static gpmm_gpa_t pick(unsigned int slot, uint64_t choice, size_t *size)
{
	uint64_t words = choice >> 16 & 127, first;

	*size = (words + 1) * 8;
	first = choice % (SLOT_SIZE / 8 - words);
	return start_of(slot) + first * 8;
}

static void make_words(uint64_t *buffer, unsigned int slot, size_t size)
{
	for (size_t i = 0; i < size / 8; i++)
		buffer[i] = word_of(slot);
}

static void read_some(struct device *device, unsigned int slot, uint64_t choice)
{
	uint64_t buffer[128], done;
	size_t size;
	gpmm_gpa_t gpa = pick(slot, choice, &size);
	int ret = gpmm_read(&device->guest, gpa, buffer, size, &done);

	note(slot, ret);
	check_words(slot, buffer, done & ~UINT64_C(7));
	if (!ret && done != size)
		wrong("done", done, size);
}

static void write_some(struct device *device, unsigned int slot,
		       uint64_t choice)
{
	uint64_t buffer[128], done;
	size_t size;
	gpmm_gpa_t gpa = pick(slot, choice, &size);

	make_words(buffer, slot, size);
	note(slot, gpmm_write(&device->guest, gpa, buffer, size, &done));
}

static void fill_some(struct device *device, unsigned int slot, uint64_t choice)
{
	size_t size;
	gpmm_gpa_t gpa = pick(slot, choice, &size);

	note(slot, gpmm_fill(&device->guest, gpa, (uint8_t)(slot + 1), size,
			     NULL));
}

/* To guest memory of its own, and from there back. */
static void copy_some(struct device *device, unsigned int slot, uint64_t choice)
{
	uint64_t buffer[128], done;
	size_t size;
	gpmm_gpa_t gpa = pick(slot, choice, &size);

	note(slot, gpmm_copy(&device->guest, device->own, gpa, size, &done));
	if (gpmm_read(&device->guest, device->own, buffer, done, NULL))
		wrong("read back", slot, done);
	check_words(slot, buffer, done & ~UINT64_C(7));
	if (gpmm_fill(&device->guest, device->own, (uint8_t)(slot + 1), size,
		      NULL))
		wrong("fill", slot, size);
	note(slot, gpmm_copy(&device->guest, gpa, device->own, size, NULL));
}

static void compare_some(struct device *device, unsigned int slot,
			 uint64_t choice)
{
	uint64_t buffer[128], done;
	int result = 0, ret;
	size_t size;
	gpmm_gpa_t gpa = pick(slot, choice, &size);

	make_words(buffer, slot, size);
	ret = gpmm_compare(&device->guest, gpa, buffer, size, &result, &done);
	note(slot, ret);
	/* Zeros are less; there is nothing more. */
	if (result > 0 || (!ret && !result && done != size))
		wrong("compare", (uint64_t)result, done);
}

static void exchange_some(struct device *device, unsigned int slot,
			  uint64_t choice)
{
	uint64_t expected = word_of(slot);
	size_t size;
	gpmm_gpa_t gpa = pick(slot, choice, &size);
	int ret = gpmm_compare_exchange(&device->guest, gpa, GPMM_LE64,
					GPMM_SEQ_CST, &expected,
					word_of(slot));

	note(slot, ret == -EAGAIN ? 0 : ret);
	check_words(slot, &expected, 8);
}

/* Out to a file, and in from it. */
static void stream_some(struct device *device, unsigned int slot,
			uint64_t choice)
{
	uint64_t buffer[128], done;
	size_t size;
	gpmm_gpa_t gpa = pick(slot, choice, &size);

	note(slot, gpmm_write_to(&device->guest, device->fd, 0, gpa, size,
				 &done));
	if (pread(device->fd, buffer, done, 0) != (ssize_t)done)
		wrong("pread", slot, done);
	check_words(slot, buffer, done & ~UINT64_C(7));
	make_words(buffer, slot, size);
	if (pwrite(device->fd, buffer, size, 0) != (ssize_t)size)
		wrong("pwrite", slot, size);
	note(slot, gpmm_read_from(&device->guest, device->fd, 0, gpa, size,
				  &done));
}

static void load_and_store(struct device *device, unsigned int slot,
			   uint64_t choice)
{
	size_t size;
	gpmm_gpa_t gpa = pick(slot, choice, &size);
	uint64_t value = 0;
	int ret = gpmm_load(&device->guest, gpa, GPMM_LE64, GPMM_ACQUIRE,
			    &value);

	note(slot, ret);
	if (!ret)
		check_words(slot, &value, 8);
	note(slot, gpmm_store(&device->guest, gpa, GPMM_LE64, GPMM_RELEASE,
			      word_of(slot)));
}

/* A ring: through the cache, within one section. */
static void use_cache(struct device *device, unsigned int slot,
		      uint64_t choice)
{
	size_t size;
	gpmm_gpa_t gpa;
	void *word;

	slot %= FIRST_FILE;
	gpa = pick(slot, choice, &size);
	gpmm_read_lock();
	for (int i = 0; i < 4; i++) {
		word = gpmm_cached(&device->cache, gpa, 8);
		if (word)
			check_words(slot, word, 8);
	}
	gpmm_read_unlock();
}

/* While it is pinned a word keeps what was written, mapped or not. */
static void check_pin(const struct gpmm_pin *pin, unsigned int slot)
{
	uint64_t word = get_word(pin->addr);

	if (word != word_of(slot))
		wrong("pinned", word, word_of(slot));
	check_words(slot, pin->addr, pin->size & ~UINT64_C(7));
}

static unsigned int slot_of(const struct gpmm_pin *pin)
{
	return (unsigned int)((pin->gpa - BASE) / SLOT_SIZE);
}

static void let_go(struct device *device, struct gpmm_pin *pin)
{
	if (!pin->slot)
		return;
	check_pin(pin, slot_of(pin));
	gpmm_pin_release(&device->guest, pin, 8);
}

/* The oldest of the requests under way ends, another begins. */
static void pin_some(struct device *device, unsigned int slot, uint64_t choice)
{
	struct gpmm_pin *pin = &device->held[device->pinned++ % HELD];
	size_t size;
	gpmm_gpa_t gpa;
	int ret;

	let_go(device, pin);
	slot %= FIRST_FILE;
	gpa = pick(slot, choice, &size);
	ret = gpmm_pin(&device->guest, device->holder, gpa, size, GPMM_RW,
		       pin);
	note(slot, ret);
	if (ret)
		return;
	add(&count.pins);
	put_word(pin->addr, word_of(slot));
}

/* Three pieces of three slots, as a request has them, held together. */
static void gather_some(struct device *device, unsigned int slot,
			uint64_t choice)
{
	struct gpmm_range ranges[3];
	struct gpmm_pin pins[8];
	struct iovec iov[8];
	size_t n = 0, size;
	int ret;

	for (unsigned int i = 0; i < 3; i++) {
		ranges[i].start = pick((slot + i) % FIRST_FILE, choice >> i,
				       &size);
		ranges[i].size = size;
	}
	ret = gpmm_gather(&device->guest, device->holder, ranges, 3, GPMM_RW,
			  iov, pins, 8, &n);
	note(0, ret == -ENOSPC ? 0 : ret);
	if (ret)
		return;
	for (size_t i = 0; i < n; i++) {
		put_word(pins[i].addr, word_of(slot_of(&pins[i])));
		check_pin(&pins[i], slot_of(&pins[i]));
	}
	gpmm_gather_release(&device->guest, pins, n, 100);
}

static void access_once(struct device *device)
{
	static void (*const ways[])(struct device *, unsigned int, uint64_t) = {
		read_some, write_some, load_and_store, use_cache, pin_some,
		gather_some, fill_some, copy_some, compare_some, exchange_some,
		stream_some,
	};
	const size_t n = sizeof(ways) / sizeof(*ways);
	uint64_t choice = rng_next(&device->rng);

	ways[(choice >> 48) % n](device, choose_slot(choice >> 32 & 0xffff),
				 choice & 0xffffffff);
}

static gpmm_gpa_t map_own(uintptr_t device)
{
	struct gpmm_host_options options = { .size = PAGE };
	struct gpmm_area area = { .start = start_of(SLOTS) + device * PAGE,
				  .size = PAGE, .flags = GPMM_RW };

	if (gpmm_host_create(&options, &area.host))
		abort();
	area.hva = gpmm_host_addr(area.host);
	if (gpmm_set_map(set, &area, 0))
		abort();
	gpmm_host_put(area.host);
	return area.start;
}

static void *be_device(void *arg)
{
	struct device device = {
		.guest = { .set = set },
		.own = map_own((uintptr_t)arg),
		.cache = { .guest = &device.guest, .access = GPMM_RW },
		.rng.state = seed + 1000 * (1 + (uintptr_t)arg),
	};

	gpmm_thread_register();
	device.fd = memfd_create("device", MFD_CLOEXEC);
	if (device.fd < 0 || gpmm_holder_create("device", &device.holder))
		abort();
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		access_once(&device);
	for (int i = 0; i < HELD; i++)
		let_go(&device, &device.held[i]);
	gpmm_holder_destroy(device.holder);
	close(device.fd);
	gpmm_thread_unregister();
	return NULL;
}

/* ---------------------------------------------------------------- main --- */

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static bool has_happened(void)
{
	const uint64_t *const counters[] = {
		&count.accesses, &count.holes, &count.faults, &count.pins,
		&count.discards, &count.busy, &count.truncations,
		&count.drained, &count.held,
	};

	for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++)
		if (!__atomic_load_n(counters[i], __ATOMIC_RELAXED))
			return false;
	return true;
}

/* For the time given, and on until everything happened, but not for ever. */
static void run(double seconds)
{
	double start = now();
	struct rng rng = { seed };

	while (now() < start + seconds ||
	       (!has_happened() && now() < start + 30))
		for (int i = 0; i < 64; i++)
			change(rng_next(&rng));
}

static void finish(void)
{
	for (unsigned int slot = 0; slot < SLOTS; slot++)
		forget(slot);
	if (gpmm_set_destroy(set))
		wrong("destroy", 0, 0);
	if (count.created != count.released)
		wrong("released", count.released, count.created);
	if (!has_happened())
		wrong("something never happened", 0, 0);
}

int main(void)
{
	pthread_t devices[DEVICES];

	seed = env_seed();
	if (gpmm_fault_install() || gpmm_set_create(NULL, &set))
		return 1;
	for (uintptr_t i = 0; i < DEVICES; i++)
		pthread_create(&devices[i], NULL, be_device, (void *)i);
	run(env_long() ? 60 : 1);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < DEVICES; i++)
		pthread_join(devices[i], NULL);
	finish();
	printf("seed %" PRIu64 ": %" PRIu64 " accesses, %" PRIu64 " holes, %"
	       PRIu64 " faults, %" PRIu64 " pins, %" PRIu64 " discards (%"
	       PRIu64 " busy), %" PRIu64 " truncations, %" PRIu64
	       " memories, %" PRIu64 " drained, %" PRIu64 " held\n", seed,
	       count.accesses, count.holes, count.faults, count.pins,
	       count.discards, count.busy, count.truncations, count.created,
	       count.drained, count.held);
	gpmm_fault_remove();
	return count.wrong != 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Windows on devices: rules, dispatch, and removal while a callback runs. */
#include "config.h"

#include <errno.h>
#include <pthread.h>

#include "helpers/guest_fixture.h"

#define BASE UINT64_C(0xf0000000)

/* A device of 64 bytes that notes how it was spoken to. */
struct device {
	unsigned char bytes[64];
	char log[256];
	int fail;
	int released;
	/* For removal under a callback. */
	struct world *world;
	struct gpmm_mmio *mmio;
	pthread_barrier_t *inside;
};

static void note(struct device *device, char what, uint64_t offset,
		 unsigned int width)
{
	char *end = device->log + strlen(device->log);

	snprintf(end, sizeof(device->log) - (end - device->log), "%c%u@%u ",
		 what, width, (unsigned int)offset);
}

static int device_read(void *arg, uint64_t offset, unsigned int width,
		       uint64_t *value)
{
	struct device *device = arg;

	note(device, 'r', offset, width);
	if (device->fail)
		return device->fail;
	memcpy(value, device->bytes + offset, width);
	return 0;
}

static int device_write(void *arg, uint64_t offset, unsigned int width,
			uint64_t value)
{
	struct device *device = arg;

	note(device, 'w', offset, width);
	if (device->fail)
		return device->fail;
	memcpy(device->bytes + offset, &value, width);
	return 0;
}

static void device_release(void *arg)
{
	__atomic_fetch_add(&((struct device *)arg)->released, 1,
			   __ATOMIC_SEQ_CST);
}

static void plug(struct world *world, struct device *device,
		 const struct gpmm_mmio_ops *ops, gpmm_gpa_t base)
{
	struct gpmm_area area;

	CU_ASSERT_EQUAL_FATAL(gpmm_mmio_create(ops, device, base,
					       device_release, &device->mmio),
			      0);
	area = gpmm_mmio_area(device->mmio, PAGE);
	CU_ASSERT_EQUAL_FATAL(gpmm_set_map(world->set, &area, 0), 0);
	device->world = world;
}

static void unplug(struct device *device, gpmm_gpa_t base)
{
	CU_ASSERT_EQUAL(gpmm_set_unmap(device->world->set, base, PAGE), 0);
	CU_ASSERT_EQUAL(gpmm_mmio_retire(device->world->set, device->mmio), 0);
}

/* What the device hears of one access. */
static void hears(const struct gpmm_mmio_ops *ops, uint64_t offset,
		  uint64_t size, int ret, const char *log)
{
	struct device device = { .fail = 0 };
	unsigned char buffer[64] = { 0 };
	struct world world;
	uint64_t done;

	world_make(&world, 0);
	plug(&world, &device, ops, BASE);
	CU_ASSERT_EQUAL(gpmm_io_write(&world.guest, BASE + offset, buffer,
				      size, &done), ret);
	CU_ASSERT_STRING_EQUAL(device.log, log);
	if (!ret)
		CU_ASSERT_EQUAL(done, size);
	unplug(&device, BASE);
	CU_ASSERT_EQUAL(device.released, 1);
	world_end(&world);
}

static void accesses_are_cut_to_the_window_s_rules(void)
{
	static const struct gpmm_mmio_ops any = { .read = device_read,
						  .write = device_write };
	static const struct gpmm_mmio_ops words = { .read = device_read,
		.write = device_write, .min_width = 4, .max_width = 4 };
	static const struct gpmm_mmio_ops bytes = { .write = device_write,
						    .max_width = 1 };
	static const struct gpmm_mmio_ops crooked = { .write = device_write,
		.max_width = 4, .unaligned = true };

	hears(&any, 8, 8, 0, "w8@8 ");
	hears(&any, 5, 8, 0, "w1@5 w2@6 w4@8 w1@12 ");
	hears(&any, 0, 12, 0, "w8@0 w4@8 ");
	hears(&words, 4, 8, 0, "w4@4 w4@8 ");
	hears(&words, 4, 2, -EINVAL, "");
	hears(&words, 4, 6, -EINVAL, "w4@4 ");
	hears(&words, 6, 4, -EINVAL, "");
	hears(&bytes, 7, 3, 0, "w1@7 w1@8 w1@9 ");
	hears(&crooked, 3, 7, 0, "w4@3 w2@7 w1@9 ");
}

static void values_are_little_endian_and_errors_come_through(void)
{
	static const struct gpmm_mmio_ops ops = { .read = device_read,
		.write = device_write, .max_width = 4 };
	static const struct gpmm_mmio_ops mute = { .max_width = 4 };
	struct device device = { .fail = 0 }, other = { .fail = 0 };
	unsigned char in[8] = { 0 }, out[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct world world;
	uint64_t done;

	world_make(&world, 0);
	plug(&world, &device, &ops, BASE);
	plug(&world, &other, &mute, BASE + PAGE);
	CU_ASSERT_EQUAL(gpmm_io_write(&world.guest, BASE, out, 8, NULL), 0);
	CU_ASSERT_EQUAL(memcmp(device.bytes, out, 8), 0);
	CU_ASSERT_EQUAL(gpmm_io_read(&world.guest, BASE, in, 8, &done), 0);
	CU_ASSERT_EQUAL(memcmp(in, out, 8), 0);
	device.fail = -EBUSY;
	CU_ASSERT_EQUAL(gpmm_io_read(&world.guest, BASE, in, 8, &done),
			-EBUSY);
	CU_ASSERT_EQUAL(done, 0);
	CU_ASSERT_EQUAL(gpmm_io_read(&world.guest, BASE + PAGE, in, 4, &done),
			-EACCES);
	CU_ASSERT_EQUAL(gpmm_io_write(&world.guest, BASE + PAGE, in, 4,
				      &done), -EACCES);
	unplug(&device, BASE);
	unplug(&other, BASE + PAGE);
	world_end(&world);
}

static void one_access_may_cross_memory_windows_and_nothing(void)
{
	static const struct gpmm_mmio_ops ops = { .read = device_read,
						  .write = device_write };
	struct gpmm_area barred = { .start = BASE + 4 * PAGE, .size = PAGE };
	struct device device = { .fail = 0 };
	unsigned char in[3 * PAGE];
	struct world world;
	uint64_t done;

	world_make(&world, 0);
	memset(world_ram(&world, BASE - PAGE, PAGE, GPMM_RW), 'm', PAGE);
	memset(world_ram(&world, BASE + 2 * PAGE, PAGE, GPMM_RW), 'n', PAGE);
	plug(&world, &device, &ops, BASE);
	CU_ASSERT_EQUAL(gpmm_set_map(world.set, &barred, 0), 0);
	device.bytes[0] = 'd';
	CU_ASSERT_EQUAL(gpmm_io_read(&world.guest, BASE - 2, in, 3, &done), 0);
	CU_ASSERT_EQUAL(memcmp(in, "mmd", 3), 0);
	CU_ASSERT_EQUAL(gpmm_io_read(&world.guest, BASE + 2 * PAGE - 2, in, 4,
				     &done), -ENXIO);
	CU_ASSERT_EQUAL(done, 0);
	world.guest.unassigned = GPMM_UNASSIGNED_ONES;
	CU_ASSERT_EQUAL(gpmm_io_read(&world.guest, BASE + 2 * PAGE - 2, in, 4,
				     &done), 0);
	CU_ASSERT_EQUAL(memcmp(in, "\xff\xffnn", 4), 0);
	world.guest.unassigned = GPMM_UNASSIGNED_ZEROS;
	CU_ASSERT_EQUAL(gpmm_io_read(&world.guest, BASE + 2 * PAGE - 2, in, 4,
				     &done), 0);
	CU_ASSERT_EQUAL(memcmp(in, "\0\0nn", 4), 0);
	CU_ASSERT_EQUAL(gpmm_io_write(&world.guest, BASE + 2 * PAGE - 2, "abcd",
				      4, &done), 0);
	CU_ASSERT_EQUAL(gpmm_read(&world.guest, BASE + 2 * PAGE, in, 2, NULL),
			0);
	CU_ASSERT_EQUAL(memcmp(in, "cd", 2), 0);
	CU_ASSERT_EQUAL(gpmm_io_read(&world.guest, BASE + 4 * PAGE, in, 1,
				     &done), -ENODEV);
	CU_ASSERT_EQUAL(gpmm_io_read(&world.guest, UINT64_MAX, in, 2, &done),
			-EINVAL);
	CU_ASSERT_EQUAL(gpmm_io_write(&world.guest, UINT64_MAX - 1, in, 2,
				      &done), 0);
	unplug(&device, BASE);
	world_end(&world);
}

static void a_part_of_a_window_keeps_its_offsets(void)
{
	static const struct gpmm_mmio_ops ops = { .read = device_read,
						  .write = device_write };
	struct device device = { .bytes = { [40] = 'x' } };
	struct world world;
	char byte = 0;

	world_make(&world, 1);
	plug(&world, &device, &ops, BASE);
	CU_ASSERT_EQUAL(gpmm_set_unmap(world.set, BASE + 16, 16), 0);
	CU_ASSERT_EQUAL(gpmm_io_read(&world.guest, BASE + 40, &byte, 1, NULL),
			0);
	CU_ASSERT_EQUAL(byte, 'x');
	CU_ASSERT_EQUAL(gpmm_io_read(&world.guest, BASE + 20, &byte, 1, NULL),
			-ENXIO);
	unplug(&device, BASE);
	world_end(&world);
}

/* What a NULL buffer is, too: of a read, of a write, wherever they go. */
static void a_bad_buffer_is_a_fault(void)
{
	static const struct gpmm_mmio_ops in = { .read = device_read };
	static const struct gpmm_mmio_ops out = { .write = device_write };
	struct device readable = { .fail = 0 }, writable = { .fail = 0 };
	const gpmm_gpa_t other = BASE + 4 * PAGE;
	struct world world;
	uint64_t done = 1;

	CU_ASSERT_EQUAL_FATAL(gpmm_fault_install(), 0);
	world_make(&world, 0);
	world.guest.unassigned = GPMM_UNASSIGNED_ONES;
	world_ram(&world, BASE + PAGE, PAGE, GPMM_RW);
	plug(&world, &readable, &in, BASE);
	plug(&world, &writable, &out, other);
	CU_ASSERT_EQUAL(gpmm_io_read(&world.guest, BASE, NULL, 4, &done),
			-EFAULT);
	CU_ASSERT_EQUAL(done, 0);
	CU_ASSERT_STRING_EQUAL(readable.log, "r4@0 ");
	CU_ASSERT_EQUAL(gpmm_io_write(&world.guest, BASE, NULL, 4, NULL),
			-EACCES);
	CU_ASSERT_EQUAL(gpmm_io_read(&world.guest, other, NULL, 4, NULL),
			-EACCES);
	CU_ASSERT_EQUAL(gpmm_io_write(&world.guest, other, NULL, 4, NULL),
			-EFAULT);
	CU_ASSERT_STRING_EQUAL(writable.log, "");
	CU_ASSERT_EQUAL(gpmm_io_read(&world.guest, BASE + PAGE, NULL, 4, NULL),
			-EFAULT);
	CU_ASSERT_EQUAL(gpmm_io_read(&world.guest, 0, NULL, 4, &done),
			-EFAULT);
	CU_ASSERT_EQUAL(done, 0);
	unplug(&readable, BASE);
	unplug(&writable, other);
	world_end(&world);
	gpmm_fault_remove();
}

static void widths_must_make_sense(void)
{
	static const struct gpmm_mmio_ops bad[] = {
		{ .min_width = 3 }, { .max_width = 16 },
		{ .min_width = 8, .max_width = 4 }, { .max_width = 5 } };
	struct gpmm_mmio *mmio = NULL;

	for (size_t i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(gpmm_mmio_create(&bad[i], NULL, 0, NULL,
						 &mmio), -EINVAL);
	CU_ASSERT_PTR_NULL(mmio);
}

/* A callback that takes its own window away, as a BAR that moves does. */
static int remove_self(void *arg, uint64_t offset, unsigned int width,
		       uint64_t value)
{
	struct device *device = arg;

	(void)offset;
	(void)width;
	(void)value;
	unplug(device, BASE);
	CU_ASSERT_EQUAL(device->released, 0);
	return 0;
}

static void a_callback_may_remove_its_own_window(void)
{
	static const struct gpmm_mmio_ops ops = { .write = remove_self };
	struct device device = { .fail = 0 };
	struct world world;
	uint64_t done;

	world_make(&world, 0);
	plug(&world, &device, &ops, BASE);
	CU_ASSERT_EQUAL(gpmm_io_write(&world.guest, BASE, "x", 1, &done), 0);
	CU_ASSERT_EQUAL(device.released, 1);
	CU_ASSERT_EQUAL(gpmm_io_write(&world.guest, BASE, "x", 1, &done),
			-ENXIO);
	world_end(&world);
}

/* What a doorbell does: it fetches a descriptor, and rings another. */
static int ring(void *arg, uint64_t offset, unsigned int width, uint64_t value)
{
	struct device *device = arg;
	unsigned char byte = 0;
	int ret = 0;

	(void)width;
	if (value > 1)
		ret = gpmm_io_write(&device->world->guest, BASE + offset + 1,
				    &(char){ (char)(value - 1) }, 1, NULL);
	if (!ret)
		ret = gpmm_io_read(&device->world->guest, BASE - PAGE + offset,
				   &byte, 1, NULL);
	device->bytes[offset] = byte;
	return ret;
}

static void a_callback_may_access_memory_and_windows(void)
{
	static const struct gpmm_mmio_ops ops = { .write = ring };
	struct device device = { .fail = 0 };
	struct world world;

	world_make(&world, 0);
	memcpy(world_ram(&world, BASE - PAGE, PAGE, GPMM_RW), "abc", 3);
	plug(&world, &device, &ops, BASE);
	CU_ASSERT_EQUAL(gpmm_io_write(&world.guest, BASE, "\3", 1, NULL), 0);
	CU_ASSERT_EQUAL(memcmp(device.bytes, "abc", 4), 0);
	unplug(&device, BASE);
	CU_ASSERT_EQUAL(device.released, 1);
	world_end(&world);
}

static int linger(void *arg, uint64_t offset, unsigned int width,
		  uint64_t *value)
{
	struct device *device = arg;

	(void)offset;
	(void)width;
	pthread_barrier_wait(device->inside);
	/* The window is removed here. */
	pthread_barrier_wait(device->inside);
	*value = (uint64_t)device->released;
	return 0;
}

static void *access_it(void *arg)
{
	struct world *world = arg;
	unsigned char released = 9;

	gpmm_thread_register();
	CU_ASSERT_EQUAL(gpmm_io_read(&world->guest, BASE, &released, 1, NULL),
			0);
	CU_ASSERT_EQUAL(released, 0);
	gpmm_thread_unregister();
	return NULL;
}

static void a_window_is_released_after_its_last_callback(void)
{
	static const struct gpmm_mmio_ops ops = { .read = linger };
	struct device device = { .fail = 0 };
	pthread_barrier_t inside;
	struct world world;
	pthread_t thread;

	world_make(&world, 0);
	pthread_barrier_init(&inside, NULL, 2);
	device.inside = &inside;
	plug(&world, &device, &ops, BASE);
	pthread_create(&thread, NULL, access_it, &world);
	pthread_barrier_wait(&inside);
	unplug(&device, BASE);
	CU_ASSERT_EQUAL(device.released, 0);
	pthread_barrier_wait(&inside);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(device.released, 1);
	gpmm_read_lock();
	CU_ASSERT_EQUAL(gpmm_mmio_retire(world.set, device.mmio), -EDEADLK);
	gpmm_read_unlock();
	pthread_barrier_destroy(&inside);
	world_end(&world);
}

static void a_window_can_outlive_its_set(void)
{
	static const struct gpmm_mmio_ops ops = { .read = device_read };
	struct device device = { .fail = 0 };
	struct world world;

	world_make(&world, 0);
	plug(&world, &device, &ops, BASE);
	world_end(&world);
	CU_ASSERT_EQUAL(device.released, 0);
	CU_ASSERT_EQUAL(gpmm_mmio_retire(NULL, device.mmio), 0);
	CU_ASSERT_EQUAL(device.released, 1);
}

/* Memory that comes and goes; where it is not ones are read. */
struct coming {
	struct world *world;
	int left;	/* atomic: rounds */
	struct gpmm_area window;
};

static void *come_and_go(void *arg)
{
	struct coming *coming = arg;
	struct gpmm_host_options options = { .size = PAGE };
	void *failed = NULL;
	struct gpmm_area area = { .start = BASE, .size = PAGE,
				  .flags = GPMM_RW };

	if (gpmm_host_create(&options, &area.host)) {
		__atomic_store_n(&coming->left, 0, __ATOMIC_RELAXED);
		return arg;
	}
	area.hva = gpmm_host_addr(area.host);
	memset(area.hva, 0xff, PAGE);
	while (__atomic_sub_fetch(&coming->left, 1, __ATOMIC_RELAXED) > 0)
		if (gpmm_set_map(coming->world->set, &area, 0) ||
		    gpmm_set_map(coming->world->set, &coming->window,
				 GPMM_MAP_REPLACE) ||
		    gpmm_set_unmap(coming->world->set, BASE, PAGE))
			failed = arg;
	gpmm_host_put(area.host);
	return failed;
}

static int read_ones(void *arg, uint64_t offset, unsigned int width,
		     uint64_t *value)
{
	(void)arg;
	(void)offset;
	(void)width;
	*value = UINT64_MAX;
	return 0;
}

/*
 * Between the look at what is there and the access it may have gone, or be a
 * window.
 */
static void memory_that_goes_meanwhile_is_no_error(void)
{
	static const struct gpmm_mmio_ops ops = { .read = read_ones };
	struct world world;
	struct coming coming = { .world = &world, .left = 100000 };
	struct gpmm_mmio *mmio = NULL;
	unsigned char bytes[8];
	unsigned int wrong = 0;
	pthread_t thread;
	void *failed;

	world_make(&world, 0);
	world.guest.unassigned = GPMM_UNASSIGNED_ONES;
	CU_ASSERT_EQUAL_FATAL(gpmm_mmio_create(&ops, NULL, BASE, NULL, &mmio),
			      0);
	coming.window = gpmm_mmio_area(mmio, PAGE);
	pthread_create(&thread, NULL, come_and_go, &coming);
	while (__atomic_load_n(&coming.left, __ATOMIC_RELAXED) > 0) {
		wrong += gpmm_io_read(&world.guest, BASE + 8, bytes,
				      sizeof(bytes), NULL) != 0;
		wrong += bytes[0] != 0xff || bytes[7] != 0xff;
	}
	pthread_join(thread, &failed);
	CU_ASSERT_PTR_NULL(failed);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(gpmm_mmio_retire(world.set, mmio), 0);
	world_end(&world);
}

int main(void)
{
	static const CU_TestInfo tests[] = {
		TEST(accesses_are_cut_to_the_window_s_rules),
		TEST(values_are_little_endian_and_errors_come_through),
		TEST(one_access_may_cross_memory_windows_and_nothing),
		TEST(a_part_of_a_window_keeps_its_offsets),
		TEST(a_bad_buffer_is_a_fault),
		TEST(widths_must_make_sense),
		TEST(a_callback_may_remove_its_own_window),
		TEST(a_callback_may_access_memory_and_windows),
		TEST(a_window_is_released_after_its_last_callback),
		TEST(a_window_can_outlive_its_set),
		TEST(memory_that_goes_meanwhile_is_no_error),
		CU_TEST_INFO_NULL,
	};

	return run_suite("windows", tests);
}

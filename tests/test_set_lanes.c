/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A leaf's keys with one come or gone: every number of them, every place, into
 * a copy and in place, each way that there is.
 */
#include "core/lanes.h"
#include "helpers/suite.h"

typedef void insert_fn(int32_t *to, const int32_t *from, unsigned int at,
		       int32_t key);
typedef void remove_fn(int32_t *to, const int32_t *from, unsigned int at);

struct keys {
	int32_t key[LEAF_CAP] __attribute__((aligned(64)));
};

/* The first @len of 0, 10, 20 and so on, but for that at @but; then fillers. */
static struct keys make(unsigned int len, unsigned int but)
{
	struct keys keys;
	unsigned int n = 0;

	for (unsigned int i = 0; i < len; i++)
		if (i != but)
			keys.key[n++] = (int32_t)i * 10;
	while (n < LEAF_CAP)
		keys.key[n++] = NARROW_FILLER;
	return keys;
}

static void insert_each(insert_fn *insert)
{
	for (unsigned int len = 1; len <= LEAF_CAP; len++)
		for (unsigned int at = 0; at < len; at++) {
			struct keys from = make(len, at), to = make(0, 0);
			struct keys then = make(len, LEAF_CAP);

			insert(to.key, from.key, at, (int32_t)at * 10);
			CU_ASSERT(!memcmp(&to, &then, sizeof(to)));
			insert(from.key, from.key, at, (int32_t)at * 10);
			CU_ASSERT(!memcmp(&from, &then, sizeof(from)));
		}
}

static void remove_each(remove_fn *remove)
{
	for (unsigned int len = 1; len <= LEAF_CAP; len++)
		for (unsigned int at = 0; at < len; at++) {
			struct keys from = make(len, LEAF_CAP), to = make(0, 0);
			struct keys then = make(len, at);

			remove(to.key, from.key, at);
			CU_ASSERT(!memcmp(&to, &then, sizeof(to)));
			remove(from.key, from.key, at);
			CU_ASSERT(!memcmp(&from, &then, sizeof(from)));
		}
}

static void test_one_comes(void)
{
	insert_each(lanes_insert);
	insert_each(lanes_insert_portable);
}

static void test_one_goes(void)
{
	remove_each(lanes_remove);
	remove_each(lanes_remove_portable);
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "one comes", test_one_comes },
		{ "one goes", test_one_goes },
		{ 0 },
	};

	return suite_run("set_lanes", tests);
}

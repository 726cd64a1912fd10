/* SPDX-License-Identifier: BSD-3-Clause */
/* A small generator whose every run can be replayed from its seed. */
#ifndef TESTS_RNG_H
#define TESTS_RNG_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct rng {
	uint64_t state;
};

/* splitmix64 */
static inline uint64_t rng_next(struct rng *rng)
{
	uint64_t z = rng->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* 0 to @n - 1 */
static inline uint32_t rng_below(struct rng *rng, uint32_t n)
{
	return (uint32_t)((rng_next(rng) >> 32) * n >> 32);
}

/* A number from the environment, or @otherwise. */
static inline uint64_t env_number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

/* GPMM_SEED, or one by the clock: chosen once, and printed for a replay. */
static inline uint64_t env_seed(void)
{
	static uint64_t seed;
	static int chosen;
	struct timespec now;

	if (chosen++)
		return seed;
	clock_gettime(CLOCK_REALTIME, &now);
	seed = env_number("GPMM_SEED", (uint64_t)now.tv_sec * 1000000007 +
					       (uint64_t)now.tv_nsec);
	printf("GPMM_SEED=%#lx\n", seed);
	return seed;
}

static inline int env_long(void)
{
	return env_number("GPMM_LONG", 0) != 0;
}

#endif

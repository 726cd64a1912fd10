/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Operations made of a fuzzer's bytes, beside the model: a program that
 * replays the files it is given, or makes up inputs of its own. With clang it
 * is a libFuzzer target too:
 *   configure CC=clang CFLAGS='-g -O1 -fsanitize=fuzzer-no-link,address'
 *   make tests/fuzz_set_ops_libfuzzer
 */
#include <stdio.h>
#include <stdlib.h>

#include "helpers/walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first byte chooses the shape, the rest is drawn from. */
static struct walk_shape shape_of(uint8_t byte)
{
	static const uint64_t granules[] = { 1, 4096, UINT64_C(1) << 21, 64 };
	uint64_t granule = granules[byte & 3];
	struct walk_shape shape = {
		.granule = granule,
		.cells = byte & 32 ? 64 : 256,
		.longest = byte & 32 ? 64 : 16,
		.areas = byte & 64 ? 40 : 0,
		.no_merge = byte & 16,
		.limbo_max = byte & 128 ? 4096 : 0,
	};

	if ((byte >> 2 & 3) == 1)
		shape.base = ((UINT64_C(1) << 31) - 32) * granule;
	else if ((byte >> 2 & 3) == 2)
		shape.base = UINT64_C(1) << 58;
	else if ((byte >> 2 & 3) == 3)
		shape.base = -(shape.cells * granule);
	return shape;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct walk_shape shape;
	struct walk walk;
	int ret;

	if (!size)
		return 0;
	shape = shape_of(data[0]);
	ret = walk_open(&walk, &shape, data[0]);
	walk_feed(&walk, data + 1, size - 1);
	while (!ret && !walk.dry)
		ret = walk_step(&walk);
	walk.bytes = NULL;
	if (walk_close(&walk) || ret) {
		fprintf(stderr, "%s\n", walk.why);
		abort();
	}
	return 0;
}

#ifndef FUZZ_LIBFUZZER

static int replay(const char *name)
{
	static uint8_t bytes[1 << 20];
	FILE *file = fopen(name, "rb");
	size_t size;

	if (!file) {
		perror(name);
		return 1;
	}
	size = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	return LLVMFuzzerTestOneInput(bytes, size);
}

/* Each input has a seed of its own, said before it runs. */
static int make_up(void)
{
	unsigned long i, n = env_number("GPMM_FUZZ", env_long() ? 200000 :
								  5000);
	uint64_t seed = env_seed();
	static uint8_t bytes[4096];
	struct rng rng;
	size_t j, size;

	for (i = 0; i < n; i++) {
		rng.state = seed + i;
		fprintf(stderr, "\rGPMM_FUZZ=1 GPMM_SEED=%#lx ", seed + i);
		size = 1 + rng_below(&rng, sizeof(bytes));
		for (j = 0; j < size; j++)
			bytes[j] = (uint8_t)rng_next(&rng);
		LLVMFuzzerTestOneInput(bytes, size);
	}
	fprintf(stderr, "\n%lu inputs\n", n);
	return 0;
}

int main(int argc, char **argv)
{
	int i, ret = 0;

	for (i = 1; i < argc; i++)
		ret |= replay(argv[i]);
	return argc > 1 ? ret : make_up();
}

#endif

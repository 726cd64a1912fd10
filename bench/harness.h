/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every benchmark shares: options, pinning, clocks, statistics and the
 * one result format.
 */
#ifndef BENCH_HARNESS_H
#define BENCH_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BENCH_CHUNK	1024	/* lookups timed as one */
#define BENCH_REPS_MAX	31

/*
 * Turns in a repetition, where they can be short: what the host does to this
 * machine for a second at a time is then in the median of all contenders alike.
 */
#define BENCH_TURNS	4

enum bench_effort {
	BENCH_SMOKE,	/* does it run at all */
	BENCH_QUICK,
	BENCH_FULL,
};

struct bench_options {
	enum bench_effort effort;
	int reps;
	const char *only;	/* a part of the contenders' names; or NULL */
	const char *width;	/* of SIMD, at most; NULL: what the CPU has */
	size_t areas;		/* this many only; 0: the benchmark's list */
	FILE *out;
};

extern struct bench_options bench_options;

/* Read the command line; ends the program where it makes no sense. */
void bench_init(int argc, char **argv);

/* Print a line to standard error and end the program. */
void bench_die(const char *format, ...)
	__attribute__((noreturn, format(printf, 1, 2)));

/* One of three, by effort. */
int bench_scale(int smoke, int quick, int full);

/* Turns of each contender. They are short in full runs alone. */
int bench_turns(void);

/* CPUs that this process may use. */
int bench_cpus(void);

/* Pin the calling thread to the @index-th of them (wraps around). */
void bench_pin(int index);

static inline uint64_t bench_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* A counter to time one lookup with: the TSC, or the clock elsewhere. */
static inline uint64_t bench_ticks(void)
{
#ifdef __x86_64__
	uint32_t low, high;

	__asm__ volatile("lfence\n\trdtsc\n\tlfence"
			 : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
#else
	return bench_now();
#endif
}

/* Nanoseconds a tick. */
double bench_tick_ns(void);

/* Ticks between two readings with nothing between them. */
uint64_t bench_tick_cost(void);

/* A value that the compiler must believe in. */
static inline void bench_keep(uint64_t value)
{
	__asm__ volatile("" : : "r"(value) : "memory");
}

/* Zero, and the compiler cannot know it. */
static inline uint64_t bench_zero(void)
{
	uint64_t zero = 0;

	__asm__ volatile("" : "+r"(zero));
	return zero;
}

/* splitmix64: the same run on every machine. */
static inline uint64_t bench_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* ---- statistics ---- */

double bench_median(double *values, size_t count);

/* One figure of a contender over its turns. */
struct bench_samples {
	double value[BENCH_REPS_MAX * BENCH_TURNS];
	int count;
};

void bench_samples_add(struct bench_samples *samples, double value);
/* 0 where there is none. */
double bench_samples_median(const struct bench_samples *samples);

/* Ticks in buckets a 32nd apart. */
#define BENCH_HIST_SUB	32
#define BENCH_HIST_SIZE	(BENCH_HIST_SUB * 60)

struct bench_hist {
	uint64_t count[BENCH_HIST_SIZE];
	uint64_t total;
	uint64_t max;
};

static inline void bench_hist_add(struct bench_hist *hist, uint64_t ticks)
{
	unsigned int shift, bucket = (unsigned int)ticks;

	if (ticks >= BENCH_HIST_SUB) {
		shift = 58 - (unsigned int)__builtin_clzll(ticks);
		bucket = (unsigned int)(ticks >> shift) +
			 shift * BENCH_HIST_SUB;
	}
	hist->count[bucket]++;
	hist->total++;
	if (ticks > hist->max)
		hist->max = ticks;
}

/* Nanoseconds, the clock's own cost taken off, of a number of ticks. */
double bench_ticks_to_ns(double ticks);

/* Ticks below which @part (0 to 1) of the samples lie. */
double bench_hist_quantile(const struct bench_hist *hist, double part);

/* ---- results ---- */

/* Negative or NULL: not measured, printed as "-". */
struct bench_row {
	const char *bench;
	const char *what;	/* the case: words joined by '/' */
	const char *name;	/* the contender */
	int threads;
	size_t areas;
	const struct bench_samples *ns;		/* ns an operation */
	const struct bench_samples *p50, *p99, *p999, *max;	/* ns */
	const struct bench_samples *mops;	/* million operations a second */
	double bytes, bytes_area;
};

/* A row with nothing measured yet. */
struct bench_row bench_row(const char *bench, const char *what,
			   const char *name, int threads, size_t areas);

/* Print a row; the first call prints the head line too. */
void bench_print(const struct bench_row *row);

#ifdef __cplusplus
}
#endif
#endif

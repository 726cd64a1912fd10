/* SPDX-License-Identifier: BSD-3-Clause */
#include "config.h"

#include <getopt.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

struct bench_options bench_options;

void bench_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

int bench_scale(int smoke, int quick, int full)
{
	switch (bench_options.effort) {
	case BENCH_SMOKE:
		return smoke;
	case BENCH_QUICK:
		return quick;
	default:
		return full;
	}
}

int bench_turns(void)
{
	return bench_options.reps * bench_scale(1, 1, BENCH_TURNS);
}

static void usage(const char *name)
{
	bench_die("usage: %s [--smoke | --quick] [--reps=N] [--areas=N] "
		  "[--only=CONTENDER]\n\t[--width=avx2 | --width=sse2] "
		  "[--output=FILE]", name);
}

static FILE *open_output(const char *path)
{
	FILE *file = fopen(path, "a");

	if (!file)
		bench_die("%s: %m", path);
	return file;
}

/* The library reads it as it is loaded: start again with it set. */
static void force_width(char **argv)
{
	if (!bench_options.width || getenv("GPMM_SIMD"))
		return;
	if (strcmp(bench_options.width, "avx2") &&
	    strcmp(bench_options.width, "sse2"))
		usage(argv[0]);
	setenv("GPMM_SIMD", bench_options.width, 1);
	execv("/proc/self/exe", argv);
	bench_die("execv: %m");
}

void bench_init(int argc, char **argv)
{
	static const struct option options[] = {
		{ "smoke", no_argument, NULL, 's' },
		{ "quick", no_argument, NULL, 'q' },
		{ "reps", required_argument, NULL, 'r' },
		{ "areas", required_argument, NULL, 'n' },
		{ "only", required_argument, NULL, 'c' },
		{ "width", required_argument, NULL, 'w' },
		{ "output", required_argument, NULL, 'o' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	bench_options = (struct bench_options){
		.effort = BENCH_FULL, .out = stdout,
	};
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 's')
			bench_options.effort = BENCH_SMOKE;
		else if (c == 'q')
			bench_options.effort = BENCH_QUICK;
		else if (c == 'r')
			bench_options.reps = atoi(optarg);
		else if (c == 'n')
			bench_options.areas = strtoul(optarg, NULL, 0);
		else if (c == 'c')
			bench_options.only = optarg;
		else if (c == 'w')
			bench_options.width = optarg;
		else if (c == 'o')
			bench_options.out = open_output(optarg);
		else
			usage(argv[0]);
	}
	if (optind != argc)
		usage(argv[0]);
	force_width(argv);
	if (!bench_options.reps)
		bench_options.reps = bench_scale(1, 5, 7);
	if (bench_options.reps < 1 || bench_options.reps > BENCH_REPS_MAX)
		usage(argv[0]);
}

/* ---- CPUs and clocks ---- */

static cpu_set_t allowed;

static int allowed_count(void)
{
	/* Asked once: a pinned thread would see only its own CPU. */
	if (!CPU_COUNT(&allowed) &&
	    sched_getaffinity(0, sizeof(allowed), &allowed))
		bench_die("sched_getaffinity: %m");
	return CPU_COUNT(&allowed);
}

int bench_cpus(void)
{
	return allowed_count();
}

void bench_pin(int index)
{
	cpu_set_t one;
	int cpu = -1;

	index %= allowed_count();
	do {
		cpu++;
		if (CPU_ISSET(cpu, &allowed))
			index--;
	} while (index >= 0);
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		bench_die("sched_setaffinity: %m");
}

double bench_tick_ns(void)
{
	static double tick_ns;
	uint64_t now, ticks;

	if (tick_ns > 0)
		return tick_ns;
	now = bench_now();
	ticks = bench_ticks();
	while (bench_now() - now < 20000000)
		;
	ticks = bench_ticks() - ticks;
	tick_ns = (double)(bench_now() - now) / (double)ticks;
	return tick_ns;
}

uint64_t bench_tick_cost(void)
{
	static uint64_t cost;
	double tries[1001];
	uint64_t ticks;
	int i;

	for (i = 0; i < 1001 && !cost; i++) {
		ticks = bench_ticks();
		tries[i] = (double)(bench_ticks() - ticks);
	}
	if (!cost)
		cost = (uint64_t)bench_median(tries, 1001);
	return cost;
}

double bench_ticks_to_ns(double ticks)
{
	double net = ticks - (double)bench_tick_cost();

	return net > 0 ? net * bench_tick_ns() : 0;
}

/* ---- statistics ---- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare);
	if (count % 2)
		return values[count / 2];
	return (values[count / 2 - 1] + values[count / 2]) / 2;
}

void bench_samples_add(struct bench_samples *samples, double value)
{
	if (samples->count < BENCH_REPS_MAX * BENCH_TURNS)
		samples->value[samples->count++] = value;
}

double bench_samples_median(const struct bench_samples *samples)
{
	struct bench_samples copy = *samples;

	return copy.count ? bench_median(copy.value, (size_t)copy.count) : 0;
}

static double bucket_ticks(unsigned int bucket)
{
	unsigned int shift;

	if (bucket < 2 * BENCH_HIST_SUB)
		return bucket;
	shift = bucket / BENCH_HIST_SUB - 1;
	return (double)((uint64_t)(bucket - shift * BENCH_HIST_SUB) << shift);
}

double bench_hist_quantile(const struct bench_hist *hist, double part)
{
	double left = (double)hist->total * part;
	unsigned int i;

	for (i = 0; i < BENCH_HIST_SIZE; i++) {
		left -= (double)hist->count[i];
		if (left < 0)
			return bucket_ticks(i);
	}
	return (double)hist->max;
}

/* ---- results ---- */

static const char *cpu_model(void)
{
	static char model[80];
	char line[256], *name;
	FILE *file;

	if (*model)
		return model;
	strcpy(model, "unknown");
	file = fopen("/proc/cpuinfo", "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "model name", 10))
			continue;
		name = strchr(line, ':') + 2;
		name[strcspn(name, "\n\t")] = 0;
		snprintf(model, sizeof(model), "%.79s", name);
		break;
	}
	if (file)
		fclose(file);
	return model;
}

struct bench_row bench_row(const char *bench, const char *what,
			   const char *name, int threads, size_t areas)
{
	return (struct bench_row){
		.bench = bench, .what = what, .name = name,
		.threads = threads, .areas = areas,
		.bytes = -1, .bytes_area = -1,
	};
}

static void print_median(const struct bench_samples *samples)
{
	if (!samples || !samples->count)
		fprintf(bench_options.out, "-\t");
	else
		fprintf(bench_options.out, "%.4g\t",
			bench_samples_median(samples));
}

/* The median, the least and the most. */
static void print_spread(const struct bench_samples *samples)
{
	struct bench_samples copy;
	double median;

	if (!samples || !samples->count) {
		fprintf(bench_options.out, "-\t-\t-\t");
		return;
	}
	copy = *samples;
	median = bench_median(copy.value, (size_t)copy.count);
	fprintf(bench_options.out, "%.4g\t%.4g\t%.4g\t", median,
		copy.value[0], copy.value[copy.count - 1]);
}

static void print_number(double number, int digits)
{
	if (number < 0)
		fputs("-\t", bench_options.out);
	else
		fprintf(bench_options.out, "%.*f\t", digits, number);
}

void bench_print(const struct bench_row *row)
{
	static bool begun;
	const char *commit = getenv("BENCH_COMMIT");
	FILE *out = bench_options.out;

	if (!begun && ftell(out) <= 0)
		fputs("#bench\tcase\tname\tthreads\tareas\tns\tns_min\tns_max"
		      "\tp50\tp99\tp99.9\tmax\tmops\tbytes\tbytes_area\tcommit\tcpu\n",
		      out);
	begun = true;
	fprintf(out, "%s\t%s\t%s\t%d\t%zu\t", row->bench, row->what, row->name,
		row->threads, row->areas);
	print_spread(row->ns);
	print_median(row->p50);
	print_median(row->p99);
	print_median(row->p999);
	print_median(row->max);
	print_median(row->mops);
	print_number(row->bytes, 0);
	print_number(row->bytes_area, 1);
	fprintf(out, "%s\t%s\n", commit ? commit : "unknown", cpu_model());
	fflush(out);
}

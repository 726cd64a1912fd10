/* SPDX-License-Identifier: BSD-3-Clause */
#include "options.h"

#include <argp.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <gpmm/gpmm.h>

#include "guest.h"
#include "say.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

#define LOW_MIN MIB
/* With the layout's holes this stays within 36 bits of physical address. */
#define HIGH_SIZE_MAX (32 * GIB)
#define TIMEOUT_MIN 0.001
#define TIMEOUT_MAX 86400.0

enum { OPT_KVM = 256, OPT_TIMEOUT };

static const struct argp_option table[] = {
	{ "memory", 'm', "SIZE", 0,
	  "RAM from address 0 on, 1M to 3G (64M)", 0 },
	{ "high-memory", 'H', "SIZE", 0,
	  "RAM from 4 GiB on, up to 32G (128M)", 0 },
	{ "timeout", OPT_TIMEOUT, "SECONDS", 0,
	  "Give up on a guest that shows no sign of life for so long (30)", 0 },
	{ "kvm", OPT_KVM, "PATH", 0, "The KVM device (/dev/kvm)", 0 },
	{ "verbose", 'v', NULL, 0,
	  "Show every device access, and the map after every change", 0 },
	{ 0 },
};

static const char doc[] =
	"Run a small guest on memory that gpmm maps, and change that memory "
	"under it."
	"\v"
	"A SIZE is a number of bytes, or of K, M or G (powers of 1024), and a "
	"multiple of the page size.\n"
	"\n"
	"Exit status:\n"
	"  0   PASS: the guest ran and all its checks held\n"
	"  1   FAIL: a check did not hold, or the guest died or hung\n"
	"  2   it could not run (no usable KVM, no permission, no memory), or its\n"
	"      output was lost\n"
	"  64  the command line makes no sense\n";

static bool unit_of(const char *suffix, uint64_t *unit)
{
	static const char letters[] = "KMG";
	const char *letter;

	*unit = 1;
	if (!*suffix)
		return true;
	letter = strchr(letters, toupper((unsigned char)*suffix));
	if (!letter || suffix[1])
		return false;
	*unit = UINT64_C(1) << (10 * (letter - letters + 1));
	return true;
}

static uint64_t size_of(struct argp_state *state, const char *name,
			const char *arg)
{
	uint64_t number, unit;
	char *suffix;

	errno = 0;
	number = strtoull(arg, &suffix, 10);
	if (!isdigit((unsigned char)*arg) || !unit_of(suffix, &unit))
		argp_failure(state, EX_USAGE, 0,
			     "--%s: '%s' is not a size such as 64M or 2G", name,
			     arg);
	if (errno || number > UINT64_MAX / unit)
		return UINT64_MAX;	/* too much for anyone */
	return number * unit;
}

/* A size between @min and @max, whole pages. */
static uint64_t memory_size(struct argp_state *state, const char *name,
			    const char *arg, uint64_t min, uint64_t max)
{
	uint64_t page = sysconf(_SC_PAGESIZE);
	uint64_t size = size_of(state, name, arg);

	if (size < min)
		argp_failure(state, EX_USAGE, 0,
			     "--%s: %s is too little, it takes at least %s",
			     name, arg, pretty(min));
	if (size > max)
		argp_failure(state, EX_USAGE, 0,
			     "--%s: %s is too much, at most %s fit", name, arg,
			     pretty(max));
	if (size % page)
		argp_failure(state, EX_USAGE, 0,
			     "--%s: %s is not a multiple of the page size, %ju",
			     name, arg, (uintmax_t)page);
	return size;
}

static double seconds(struct argp_state *state, const char *arg)
{
	char *end;
	double value = strtod(arg, &end);

	if (end == arg || *end)
		argp_failure(state, EX_USAGE, 0,
			     "--timeout: '%s' is not a number of seconds", arg);
	if (!(value >= TIMEOUT_MIN && value <= TIMEOUT_MAX))
		argp_failure(state, EX_USAGE, 0,
			     "--timeout: %s is not between %g and %.0f seconds",
			     arg, TIMEOUT_MIN, TIMEOUT_MAX);
	return value;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *options = state->input;

	switch (key) {
	case 'm':
		options->low_size =
			memory_size(state, "memory", arg, LOW_MIN, LOW_MAX);
		return 0;
	case 'H':
		options->high_size =
			memory_size(state, "high-memory", arg,
				    sysconf(_SC_PAGESIZE), HIGH_SIZE_MAX);
		return 0;
	case 'v':
		options->verbose = true;
		return 0;
	case OPT_KVM:
		options->kvm_path = arg;
		return 0;
	case OPT_TIMEOUT:
		options->timeout = seconds(state, arg);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void print_version(FILE *stream, struct argp_state *state)
{
	(void)state;
	fprintf(stream, "vmm-demo (gpmm) %s\n", gpmm_version());
}

void options_parse(struct options *options, int argc, char **argv)
{
	static const struct argp argp = { table, parse, NULL, doc,
					  NULL,	 NULL,	NULL };

	*options = (struct options){
		.low_size = 64 * MIB,
		.high_size = 128 * MIB,
		.kvm_path = "/dev/kvm",
		.timeout = 30,
	};
	argp_program_version_hook = print_version;
	argp_parse(&argp, argc, argv, 0, NULL, options);
}

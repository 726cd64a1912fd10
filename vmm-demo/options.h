/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* Exit statuses besides argp's EX_USAGE (64), for a bad command line. */
enum {
	EXIT_PASS = 0,
	EXIT_FAIL = 1,		/* the guest found an error, died or hung */
	EXIT_CANNOT = 2,	/* no usable KVM, no memory, output lost */
};

struct options {
	uint64_t low_size;	/* bytes of RAM from 0 on */
	uint64_t high_size;	/* bytes of RAM from 4 GiB on */
	const char *kvm_path;
	double timeout;		/* seconds without a sign of life */
	bool verbose;
};

/* Fill in what @argv asks for; ends the process where it makes no sense. */
void options_parse(struct options *options, int argc, char **argv);

#endif

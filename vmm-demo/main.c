/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vmm-demo: a virtual machine monitor in a few hundred lines, and the first
 * program that embeds gpmm. Start reading here.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "device.h"
#include "guest.h"
#include "machine.h"
#include "observer.h"
#include "options.h"
#include "report.h"
#include "say.h"
#include "vcpu.h"
#include "watchdog.h"

static void log_line(void *arg, enum gpmm_log_level level, const char *message)
{
	const struct options *options = arg;

	if (level < GPMM_LOG_DEBUG || options->verbose)
		fprintf(stderr, "gpmm   %s\n", message);
}

static enum outcome run(struct machine *machine, struct accesses *accesses,
			struct observer *observer, struct device *device)
{
	struct vcpu vcpu;
	enum outcome outcome;

	vcpu_create(&vcpu, machine);
	observer_start(observer, machine);
	watchdog_start(vcpu.run, machine->options->timeout);
	outcome = vcpu_run(&vcpu, accesses, &device->done);
	watchdog_stop();
	device_stop(device);
	observer_stop(observer);
	vcpu_destroy(&vcpu);
	say_guest_rest();
	return outcome;
}

static bool demonstrate(const struct options *options)
{
	struct machine machine;
	struct device device;
	struct accesses accesses = { .machine = &machine };
	struct observer observer;
	enum outcome outcome;
	bool pass;

	device_init(&device, &machine);
	machine_create(&machine, options, device.mmio);
	say("gpmm %s on %s: a machine with %s of RAM at 0 and %s at %#" PRIx64,
	    gpmm_version(), options->kvm_path, pretty(options->low_size),
	    pretty(options->high_size), (uint64_t)HIGH_BASE);
	if (options->verbose)
		report_map(&machine);
	outcome = run(&machine, &accesses, &observer, &device);
	puts("\nMemory map");
	report_map(&machine);
	puts("\nExits by kind");
	report_accesses(&accesses);
	printf("\nMeanwhile another thread read %" PRIu64
	       " snapshots of the map: %" PRIu64 " not whole\n\n",
	       observer.snapshots, observer.torn);
	pass = report_verdict(outcome, &accesses, &device, &observer);
	device_fini(&device);
	machine_destroy(&machine);
	return pass;
}

/* Or else what is opened next would be taken for it, and written to. */
static void check_streams(void)
{
	if (fcntl(STDOUT_FILENO, F_GETFD) < 0 ||
	    fcntl(STDERR_FILENO, F_GETFD) < 0)
		cannot(errno, "standard output and error must be open");
}

/* At exit, for argp ends the process itself after --help and --version. */
static void check_written(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return;
	fputs("vmm-demo: not all that it said could be written\n", stderr);
	_exit(EXIT_CANNOT);
}

int main(int argc, char **argv)
{
	struct options options;
	bool pass;

	/* For messages: libtool runs uninstalled programs as lt-vmm-demo. */
	argv[0] = program_invocation_short_name = "vmm-demo";
	check_streams();
	atexit(check_written);
	options_parse(&options, argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	gpmm_log_set(log_line, &options);
	gpmm_thread_register();
	pass = demonstrate(&options);
	gpmm_thread_unregister();
	return pass ? EXIT_PASS : EXIT_FAIL;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* One CUnit suite a binary. */
#ifndef TESTS_SUITE_H
#define TESTS_SUITE_H

#include <CUnit/CUnit.h>

struct suite_test {
	const char *name;
	void (*run)(void);
};

/* @tests: ends with a nameless one. Return: the exit status. */
int suite_run(const char *name, const struct suite_test *tests);

#endif

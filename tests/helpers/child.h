/* SPDX-License-Identifier: BSD-3-Clause */
/* What gives something up for good does so in a process of its own. */
#ifndef TESTS_CHILD_H
#define TESTS_CHILD_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

/* @run's word for what cannot be tried here. */
#define CHILD_SKIPS 77

/* From here on not root, and with no more than @limit of a resource. */
static inline bool give_up(int resource, rlim_t limit)
{
	struct rlimit most = { limit, limit };

	return !setrlimit(resource, &most) &&
	       (geteuid() || !setresuid(65534, 65534, 65534));
}

/* @run's 0 is success. */
static inline void in_a_child(int (*run)(rlim_t limit), rlim_t limit)
{
	pid_t child;
	int status;

	fflush(NULL);
	child = fork();
	if (!child)
		_exit(run(limit));
	CU_ASSERT_EQUAL_FATAL(waitpid(child, &status, 0), child);
	CU_ASSERT_TRUE_FATAL(WIFEXITED(status));
	if (WEXITSTATUS(status) == CHILD_SKIPS)
		printf("(privileges cannot be dropped here) ");
	else
		CU_ASSERT_EQUAL(WEXITSTATUS(status), 0);
}

#endif

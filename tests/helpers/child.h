/* SPDX-License-Identifier: BSD-3-Clause */
/* What gives something up for good does so in a process of its own. */
#ifndef TESTS_CHILD_H
#define TESTS_CHILD_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
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

/* From here on there is no membarrier(2). */
static inline bool lose_membarrier(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_membarrier, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog filter = { 4, code };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	       !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
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

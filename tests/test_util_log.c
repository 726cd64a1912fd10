/* SPDX-License-Identifier: BSD-3-Clause */
/* The log callback is always called with the argument it was installed with. */
#include <pthread.h>

#include "helpers/suite.h"
#include "util/log.h"

enum { CHANGES = 5000000 };

static bool done;
static unsigned long strange;

static void expect_1(void *arg, enum gpmm_log_level level, const char *message)
{
	(void)level;
	(void)message;
	if (*(int *)arg != 1)
		__atomic_fetch_add(&strange, 1, __ATOMIC_RELAXED);
}

static void expect_2(void *arg, enum gpmm_log_level level, const char *message)
{
	(void)level;
	(void)message;
	if (*(int *)arg != 2)
		__atomic_fetch_add(&strange, 1, __ATOMIC_RELAXED);
}

static void *say_much(void *arg)
{
	while (!__atomic_load_n(&done, __ATOMIC_RELAXED))
		gpmm__log(GPMM_LOG_DEBUG, "%s", "");
	return arg;
}

static void test_callbacks_get_their_own_argument(void)
{
	int one = 1, two = 2;
	pthread_t speaker;

	CU_ASSERT_EQUAL_FATAL(pthread_create(&speaker, NULL, say_much, NULL),
			      0);
	for (int i = 0; i < CHANGES; i++) {
		gpmm_log_set(expect_1, &one);
		gpmm_log_set(expect_2, &two);
	}
	__atomic_store_n(&done, true, __ATOMIC_RELAXED);
	pthread_join(speaker, NULL);
	gpmm_log_set(NULL, NULL);
	CU_ASSERT_EQUAL(strange, 0);
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "callbacks get their own argument",
		  test_callbacks_get_their_own_argument },
		{ 0 },
	};

	return suite_run("util_log", tests);
}

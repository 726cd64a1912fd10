/* SPDX-License-Identifier: BSD-3-Clause */
/* A CUnit binary of one suite: SUITE("name", TEST(function), ...). */
#ifndef KVM_SUITE_H
#define KVM_SUITE_H

#include <stdio.h>

#include <CUnit/Basic.h>

struct suite_test {
	const char *name;
	void (*run)(void);
};

#define TEST(function) { #function, function }

/* Return: main()'s. */
static inline int suite_run(const char *name, const struct suite_test *tests,
			    size_t count)
{
	CU_pSuite suite;
	unsigned int failed;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return 1;
	suite = CU_add_suite(name, NULL, NULL);
	for (size_t i = 0; i < count; i++)
		CU_add_test(suite, tests[i].name, tests[i].run);
	CU_basic_set_mode(CU_BRM_VERBOSE);
	CU_basic_run_tests();
	failed = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failed ? 1 : 0;
}

#define SUITE(name, ...)						\
int main(void)								\
{									\
	static const struct suite_test tests[] = { __VA_ARGS__ };	\
									\
	return suite_run(name, tests, sizeof(tests) / sizeof(*tests));	\
}

/* The same where something is needed: NULL, or a string that says what. */
#define SUITE_IF(missing, name, ...)					\
int main(void)								\
{									\
	static const struct suite_test tests[] = { __VA_ARGS__ };	\
	const char *why = missing;					\
									\
	if (why) {							\
		printf("SKIP: %s\n", why);				\
		return 77;						\
	}								\
	return suite_run(name, tests, sizeof(tests) / sizeof(*tests));	\
}

#endif

/* SPDX-License-Identifier: BSD-3-Clause */
/* One version, in the headers, in the library and in configure.ac. */
#include <CUnit/CUnit.h>

#include <gpmm/types.h>

#include "config.h"
#include "helpers/suite.h"

#define TEXT(x)	  #x
#define NUMBER(x) TEXT(x)

static void test_headers_and_library_and_package_agree(void)
{
	const char *headers = NUMBER(GPMM_VERSION_MAJOR) "."
			      NUMBER(GPMM_VERSION_MINOR) "."
			      NUMBER(GPMM_VERSION_PATCH);

	CU_ASSERT_STRING_EQUAL(headers, PACKAGE_VERSION);
	CU_ASSERT_STRING_EQUAL(headers, gpmm_version());
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "headers, library and package agree",
		  test_headers_and_library_and_package_agree },
		{ 0 },
	};

	return suite_run("util_version", tests);
}

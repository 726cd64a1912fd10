/* SPDX-License-Identifier: BSD-3-Clause */
/* What the process has, by what lies in its directories under /proc/self. */
#ifndef TESTS_ENTRIES_H
#define TESTS_ENTRIES_H

#include <dirent.h>

#include <CUnit/CUnit.h>

static inline int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	int n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

#endif

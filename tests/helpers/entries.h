/* SPDX-License-Identifier: BSD-3-Clause */
/* What the process has and does, as /proc/self tells. */
#ifndef TESTS_ENTRIES_H
#define TESTS_ENTRIES_H

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>

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

/* Pages mapped, whatever for. */
static inline uint64_t address_space(void)
{
	uint64_t pages = 0;
	FILE *in = fopen("/proc/self/statm", "r");

	if (!in || fscanf(in, "%" SCNu64, &pages) != 1)
		pages = 0;
	if (in)
		fclose(in);
	return pages;
}

/* Of a thread: 'R', 'S' where it sleeps, and so on. */
static inline char state_of(int tid)
{
	char name[64], state = '?';
	FILE *in;

	snprintf(name, sizeof(name), "/proc/self/task/%d/stat", tid);
	in = fopen(name, "r");
	if (in && fscanf(in, "%*d (%*[^)]) %c", &state) != 1)
		state = '?';
	if (in)
		fclose(in);
	return state;
}

#endif

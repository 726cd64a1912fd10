/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The reference's mock page table: one flag byte for each address (or for
 * each @scale bytes from @base on). map fails on a byte that is not zero,
 * unmap and protect on one that is. It can be told to fail, keeps a log of
 * what it was told, and complains where a set breaks a backend's contract.
 */
#ifndef TESTS_MOCK_BACKEND_H
#define TESTS_MOCK_BACKEND_H

#include <gpmm/backend.h>

enum mock_kind {
	MOCK_MAP = 1 << 0,
	MOCK_UNMAP = 1 << 1,
	MOCK_PROTECT = 1 << 2,
	MOCK_BEGIN = 1 << 3,
	MOCK_COMMIT = 1 << 4,
	MOCK_ABORT = 1 << 5,
	MOCK_PUBLISHED = 1 << 6,
	/* What acts on areas; what may fail. */
	MOCK_ACTS = MOCK_MAP | MOCK_UNMAP | MOCK_PROTECT,
	MOCK_FALLIBLE = MOCK_ACTS | MOCK_BEGIN | MOCK_COMMIT,
};

struct mock_call {
	enum mock_kind kind;
	int ret;
	struct gpmm_area area;
	uint32_t new_flags;
};

/* A growing array of calls. */
struct mock_log {
	struct mock_call *call;
	size_t count;
	size_t room;
};

struct mock {
	struct gpmm_backend be;
	struct gpmm_backend_ops ops;	/* of this mock only: may be changed */
	gpmm_gpa_t base;
	uint64_t scale;			/* bytes a cell stands for */
	uint32_t cells;
	uint8_t *bytes;
	uintptr_t *hvas;		/* host address of each mapped cell */

	struct mock_log log;
	bool logging;
	bool in_txn;
	struct mock_log journal;	/* what to undo on abort */

	/* Of the calls of these kinds, skip some, then fail some. */
	unsigned int fail_kinds;
	unsigned long fail_skip;
	unsigned long fail_count;
	int fail_error;
	unsigned long failed;		/* how many failed so */
	unsigned long refused;		/* how many a byte forbade */

	unsigned long acts, begins, commits, aborts, publishes;
	const char *complaint;		/* the first breach; NULL: none */

	/* Called at each call's start, to look or to try things. */
	void (*peek)(struct mock *mock, enum mock_kind kind);
	void *peek_arg;
};

#define MOCK_SIZE UINT32_C(0x10000)

/* 0x10000 bytes from 0, acting at once. */
void mock_init(struct mock *mock);
/* @transactional: with begin, commit, abort and published */
void mock_init_at(struct mock *mock, gpmm_gpa_t base, uint64_t scale,
		  uint32_t cells, bool transactional);
void mock_fini(struct mock *mock);

/*
 * After @skip calls of @kinds, the next @count fail with @error. Cleared by
 * mock_heal().
 */
void mock_fail(struct mock *mock, unsigned int kinds, unsigned long skip,
	       unsigned long count, int error);
void mock_heal(struct mock *mock);

/* The byte for @addr. */
uint8_t mock_byte(const struct mock *mock, gpmm_gpa_t addr);
/* Are all bytes of a range @byte? */
bool mock_all(const struct mock *mock, gpmm_gpa_t start, uint64_t size,
	      uint8_t byte);
/* Forget the log. */
void mock_forget(struct mock *mock);

#endif

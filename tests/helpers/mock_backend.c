/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "helpers/mock_backend.h"

#define to_mock(backend) \
	((struct mock *)((char *)(backend) - offsetof(struct mock, be)))

static void log_add(struct mock_log *log, const struct mock_call *call)
{
	if (log->count == log->room) {
		log->room = log->room ? log->room * 2 : 64;
		log->call = realloc(log->call,
				    log->room * sizeof(*log->call));
		if (!log->call)
			abort();
	}
	log->call[log->count++] = *call;
}

static void complain(struct mock *mock, const char *what)
{
	if (!mock->complaint)
		mock->complaint = what;
}

static bool injected(struct mock *mock, enum mock_kind kind)
{
	if (!(mock->fail_kinds & kind) || !mock->fail_count)
		return false;
	if (mock->fail_skip) {
		mock->fail_skip--;
		return false;
	}
	mock->fail_count--;
	mock->failed++;
	return true;
}

/* The cells of an area; false where it lies outside or between cells. */
static bool cells_of(struct mock *mock, const struct gpmm_area *area,
		     uint32_t *from, uint32_t *to)
{
	uint64_t offset = area->start - mock->base;

	if (!area->size || offset % mock->scale || area->size % mock->scale ||
	    offset / mock->scale >= mock->cells ||
	    area->size / mock->scale > mock->cells - offset / mock->scale)
		return false;
	*from = offset / mock->scale;
	*to = *from + area->size / mock->scale;
	return true;
}

/* Where a host address should lie @n cells into an area. */
static uintptr_t hva_at(const struct mock *mock, const struct gpmm_area *area,
			uint32_t n)
{
	return area->host ? (uintptr_t)area->hva + n * mock->scale : 0;
}

static bool may_map(struct mock *mock, uint32_t from, uint32_t to)
{
	for (; from < to; from++)
		if (mock->bytes[from])
			return false;
	return true;
}

/* Also: is each cell what the set says that it is? */
static bool may_change(struct mock *mock, const struct gpmm_area *area,
		       uint32_t from, uint32_t to)
{
	uint32_t i;

	for (i = from; i < to; i++) {
		if (!mock->bytes[i])
			return false;
		if (mock->bytes[i] != (uint8_t)area->flags)
			complain(mock, "area passed with wrong flags");
		if (mock->hvas[i] != hva_at(mock, area, i - from))
			complain(mock, "area passed with wrong host address");
	}
	return true;
}

static void paint(struct mock *mock, const struct gpmm_area *area,
		  uint32_t from, uint32_t to, uint8_t byte)
{
	uint32_t i;

	for (i = from; i < to; i++) {
		mock->bytes[i] = byte;
		mock->hvas[i] = byte ? hva_at(mock, area, i - from) : 0;
	}
}

static int apply(struct mock *mock, const struct mock_call *call)
{
	const struct gpmm_area *area = &call->area;
	uint8_t byte = call->kind == MOCK_MAP	? (uint8_t)area->flags :
		       call->kind == MOCK_UNMAP ? 0 :
						  (uint8_t)call->new_flags;
	uint32_t from, to;

	if (!cells_of(mock, area, &from, &to)) {
		complain(mock, "area off the table or between its cells");
		return -EIO;
	}
	if (call->kind != MOCK_UNMAP && !byte)
		complain(mock, "flags whose low byte is 0");
	if (call->kind == MOCK_MAP ? !may_map(mock, from, to) :
				     !may_change(mock, area, from, to)) {
		mock->refused++;
		return -EIO;
	}
	paint(mock, area, from, to, byte);
	return 0;
}

/* Take back what one call did. */
static void revert(struct mock *mock, const struct mock_call *call)
{
	struct mock_call back = *call;

	if (call->kind == MOCK_MAP) {
		back.kind = MOCK_UNMAP;
	} else if (call->kind == MOCK_UNMAP) {
		back.kind = MOCK_MAP;
	} else {
		back.area.flags = call->new_flags;
		back.new_flags = call->area.flags;
	}
	if (apply(mock, &back))
		complain(mock, "a transaction could not be taken back");
}

static void revert_all(struct mock *mock)
{
	while (mock->journal.count)
		revert(mock, &mock->journal.call[--mock->journal.count]);
}

static void enter(struct mock *mock, enum mock_kind kind)
{
	if (mock->peek)
		mock->peek(mock, kind);
}

static int leave(struct mock *mock, struct mock_call *call, int ret)
{
	call->ret = ret;
	if (mock->logging)
		log_add(&mock->log, call);
	return ret;
}

static int act(struct mock *mock, enum mock_kind kind,
	       const struct gpmm_area *area, uint32_t new_flags)
{
	struct mock_call call = { kind, 0, *area, new_flags };
	int ret;

	enter(mock, kind);
	mock->acts++;
	if (mock->ops.begin && !mock->in_txn)
		complain(mock, "called outside begin and commit");
	if (area->reserved)
		complain(mock, "area passed with reserved bits");
	if (injected(mock, kind))
		return leave(mock, &call, mock->fail_error);
	ret = apply(mock, &call);
	if (!ret && mock->in_txn)
		log_add(&mock->journal, &call);
	return leave(mock, &call, ret);
}

static int mock_map(struct gpmm_backend *be, const struct gpmm_area *area)
{
	return act(to_mock(be), MOCK_MAP, area, 0);
}

static int mock_unmap(struct gpmm_backend *be, const struct gpmm_area *area)
{
	return act(to_mock(be), MOCK_UNMAP, area, 0);
}

static int mock_protect(struct gpmm_backend *be, const struct gpmm_area *area,
			uint32_t new_flags)
{
	return act(to_mock(be), MOCK_PROTECT, area, new_flags);
}

static int mock_begin(struct gpmm_backend *be)
{
	struct mock_call call = { .kind = MOCK_BEGIN };
	struct mock *mock = to_mock(be);

	enter(mock, MOCK_BEGIN);
	mock->begins++;
	if (mock->in_txn)
		complain(mock, "begin inside a transaction");
	if (injected(mock, MOCK_BEGIN))
		return leave(mock, &call, mock->fail_error);
	mock->in_txn = true;
	return leave(mock, &call, 0);
}

static int mock_commit(struct gpmm_backend *be)
{
	struct mock_call call = { .kind = MOCK_COMMIT };
	struct mock *mock = to_mock(be);

	enter(mock, MOCK_COMMIT);
	mock->commits++;
	if (!mock->in_txn)
		complain(mock, "commit outside a transaction");
	mock->in_txn = false;
	if (injected(mock, MOCK_COMMIT)) {
		revert_all(mock);
		return leave(mock, &call, mock->fail_error);
	}
	mock->journal.count = 0;
	return leave(mock, &call, 0);
}

static void mock_abort(struct gpmm_backend *be)
{
	struct mock_call call = { .kind = MOCK_ABORT };
	struct mock *mock = to_mock(be);

	enter(mock, MOCK_ABORT);
	mock->aborts++;
	if (!mock->in_txn)
		complain(mock, "abort outside a transaction");
	mock->in_txn = false;
	revert_all(mock);
	leave(mock, &call, 0);
}

static void mock_published(struct gpmm_backend *be)
{
	struct mock_call call = { .kind = MOCK_PUBLISHED };
	struct mock *mock = to_mock(be);

	enter(mock, MOCK_PUBLISHED);
	mock->publishes++;
	if (mock->in_txn)
		complain(mock, "published inside a transaction");
	leave(mock, &call, 0);
}

void mock_init_at(struct mock *mock, gpmm_gpa_t base, uint64_t scale,
		  uint32_t cells, bool transactional)
{
	memset(mock, 0, sizeof(*mock));
	mock->ops = (struct gpmm_backend_ops){
		.abi = GPMM_BACKEND_ABI,
		.name = "mock",
		.map = mock_map,
		.unmap = mock_unmap,
		.protect = mock_protect,
	};
	if (transactional) {
		mock->ops.begin = mock_begin;
		mock->ops.commit = mock_commit;
		mock->ops.abort = mock_abort;
		mock->ops.published = mock_published;
	}
	mock->be.ops = &mock->ops;
	mock->be.granule = scale;
	mock->base = base;
	mock->scale = scale;
	mock->cells = cells;
	mock->bytes = calloc(cells, sizeof(*mock->bytes));
	mock->hvas = calloc(cells, sizeof(*mock->hvas));
	if (!mock->bytes || !mock->hvas)
		abort();
}

void mock_init(struct mock *mock)
{
	mock_init_at(mock, 0, 1, MOCK_SIZE, false);
}

void mock_fini(struct mock *mock)
{
	free(mock->bytes);
	free(mock->hvas);
	free(mock->log.call);
	free(mock->journal.call);
}

void mock_fail(struct mock *mock, unsigned int kinds, unsigned long skip,
	       unsigned long count, int error)
{
	mock->fail_kinds = kinds;
	mock->fail_skip = skip;
	mock->fail_count = count;
	mock->fail_error = error;
	mock->failed = 0;
}

void mock_heal(struct mock *mock)
{
	mock->fail_kinds = 0;
	mock->fail_count = 0;
}

uint8_t mock_byte(const struct mock *mock, gpmm_gpa_t addr)
{
	uint64_t cell = (addr - mock->base) / mock->scale;

	return cell < mock->cells ? mock->bytes[cell] : 0;
}

bool mock_all(const struct mock *mock, gpmm_gpa_t start, uint64_t size,
	      uint8_t byte)
{
	uint64_t n;

	for (n = 0; n < size; n += mock->scale)
		if (mock_byte(mock, start + n) != byte)
			return false;
	return true;
}

void mock_forget(struct mock *mock)
{
	mock->log.count = 0;
}

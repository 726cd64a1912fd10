/* SPDX-License-Identifier: BSD-3-Clause */
/* Between files and guest memory, without a copy. */
#include "config.h"

#include <errno.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "guest/section.h"

/* What one system call is given; the kernel takes less than 2 GiB. */
#define BATCH_PIECES 16
#define BATCH_BYTES (UINT64_C(1) << 30)

struct pieces {
	struct gpmm_area areas[BATCH_PIECES];	/* pinned */
	struct iovec iov[BATCH_PIECES];
	unsigned int count;
	uint64_t size;
};

static int pin_piece(const struct gpmm_guest *guest, struct pieces *batch,
		     gpmm_gpa_t gpa, uint64_t size, uint32_t access)
{
	struct gpmm_area *area = &batch->areas[batch->count];
	struct iovec *iov = &batch->iov[batch->count];
	int ret = find_memory(guest->set, gpa, access, area);
	uint64_t remain;

	if (ret)
		return ret;
	gpmm_area_pin(area);
	remain = area->size - (gpa - area->start);
	iov->iov_base = (char *)area->hva + (gpa - area->start);
	iov->iov_len = size < remain ? size : remain;
	batch->count++;
	batch->size += iov->iov_len;
	return 0;
}

/* At least a piece, or an error: what comes after is told when it is met. */
static int pin_batch(const struct gpmm_guest *guest, struct pieces *batch,
		     gpmm_gpa_t gpa, uint64_t size, uint32_t access)
{
	int ret = 0;

	batch->count = 0;
	batch->size = 0;
	if (size > BATCH_BYTES)
		size = BATCH_BYTES;
	section_enter(guest->set);
	while (!ret && batch->size < size && batch->count < BATCH_PIECES)
		ret = pin_piece(guest, batch, gpa + batch->size,
				size - batch->size, access);
	section_leave(guest->set);
	return batch->count ? 0 : ret;
}

static void unpin_batch(struct pieces *batch)
{
	while (batch->count)
		gpmm_area_unpin(&batch->areas[--batch->count]);
}

/*
 * The system calls themselves: the C library's end here when the thread is
 * cancelled, and leave the pins; and race detectors watch them, for which the
 * guest's own accesses were races.
 */
static ssize_t transfer(const struct pieces *batch, int fd, off_t offset,
			uint32_t access)
{
	const int half = 4 * sizeof(long);
	bool in = access == GPMM_WRITE;
	ssize_t got;

	if (offset < 0)
		got = syscall(in ? SYS_readv : SYS_writev, fd, batch->iov,
			      (long)batch->count);
	else
		got = syscall(in ? SYS_preadv : SYS_pwritev, fd, batch->iov,
			      (long)batch->count, (unsigned long)offset,
			      (unsigned long)(offset >> half >> half));
	return got < 0 ? -errno : got;
}

/* Return: 1 to go on, 0 at the end, -errno. */
static int stream_batch(const struct gpmm_guest *guest, int fd, off_t offset,
			gpmm_gpa_t gpa, uint64_t size, uint32_t access,
			uint64_t *got)
{
	struct pieces batch;
	ssize_t moved;
	bool whole;
	int ret = pin_batch(guest, &batch, gpa, size, access);

	if (ret)
		return ret;
	moved = transfer(&batch, fd, offset, access);
	whole = moved >= 0 && (uint64_t)moved == batch.size;
	if (moved > 0 && access == GPMM_WRITE)
		mark(guest, gpa, (uint64_t)moved);
	unpin_batch(&batch);
	*got = moved < 0 ? 0 : (uint64_t)moved;
	return moved < 0 ? (int)moved : whole;
}

/*
 * Another call must not wait where one of all the pieces would have returned
 * with what there was.
 */
static bool would_go_on(int fd, uint32_t access)
{
	struct pollfd file = {
		.fd = fd,
		.events = access == GPMM_WRITE ? POLLIN : POLLOUT,
	};

	return poll(&file, 1, 0) > 0;
}

static bool is_pause(int ret)
{
	return ret == -EINTR || ret == -EAGAIN;
}

static int stream(const struct gpmm_guest *guest, int fd, off_t offset,
		  gpmm_gpa_t gpa, uint64_t size, uint32_t access,
		  uint64_t *done)
{
	uint64_t at = 0, got = 0;
	int ret = 1;

	if (offset < -1 || range_wraps(gpa, size))
		ret = -EINVAL;
	while (ret > 0 && at < size) {
		ret = stream_batch(guest, fd,
				   offset < 0 ? -1 : offset + (off_t)at,
				   gpa + at, size - at, access, &got);
		at += ret < 0 ? 0 : got;
		if (ret > 0 && at < size && !would_go_on(fd, access))
			ret = 0;
	}
	if (at && is_pause(ret))
		ret = 0;
	if (done)
		*done = at;
	return ret < 0 ? ret : 0;
}

int gpmm_read_from(const struct gpmm_guest *guest, int fd, off_t offset,
		   gpmm_gpa_t gpa, uint64_t size, uint64_t *done)
{
	return stream(guest, fd, offset, gpa, size, GPMM_WRITE, done);
}

int gpmm_write_to(const struct gpmm_guest *guest, int fd, off_t offset,
		  gpmm_gpa_t gpa, uint64_t size, uint64_t *done)
{
	return stream(guest, fd, offset, gpa, size, GPMM_READ, done);
}

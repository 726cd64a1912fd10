/* SPDX-License-Identifier: BSD-3-Clause */
/* Making memory resident beforehand, in parallel. */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include "host/host.h"
#include "util/alloc.h"
#include "util/standing.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif

/*
 * Memory is handed out in pieces of this size, or of a page where that is
 * larger, so that a thread on a slow node or a busy CPU does not hold up the
 * others: some 6 ms of 4 KiB pages (bench/bench_guest_prealloc).
 */
#define PIECE (UINT64_C(16) << 20)

struct job {
	struct gpmm_host *host;
	char *addr;
	uint64_t size;
	uint64_t piece;
	uint64_t next;		/* atomic: first byte nobody took */
	uint64_t before;	/* bytes of the host done earlier */
	pthread_mutex_t lock;	/* the rest */
	uint64_t done;
	int error;		/* also read without the lock */
};

static int populate(const struct job *job, uint64_t at, uint64_t size)
{
	int advice = job->host->prot & PROT_WRITE ? MADV_POPULATE_WRITE :
						    MADV_POPULATE_READ;

	for (;;) {
		if (!madvise(job->addr + at, size, advice))
			return 0;
		if (errno == EINVAL)
			return -EOPNOTSUPP;
		/* A pool of huge pages that ran dry faults. */
		if (errno == EFAULT &&
		    job->host->page_size > gpmm__host_base_page())
			return -ENOMEM;
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
	}
}

static int tell(struct job *job)
{
	const struct gpmm_host_options *options = &job->host->options;

	if (!options->progress)
		return 0;
	return options->progress(options->progress_arg,
				 job->before + job->done,
				 job->before + job->size) ? 0 : -ECANCELED;
}

static void finish(struct job *job, uint64_t size, int error)
{
	pthread_mutex_lock(&job->lock);
	job->done += size;
	if (!error && !job->error)
		error = tell(job);
	if (error && !job->error)
		__atomic_store_n(&job->error, error, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&job->lock);
}

static void *work(void *arg)
{
	struct job *job = arg;

	while (!__atomic_load_n(&job->error, __ATOMIC_RELAXED)) {
		uint64_t at = __atomic_fetch_add(&job->next, job->piece,
						 __ATOMIC_RELAXED);
		uint64_t size = job->piece;

		if (at >= job->size)
			break;
		if (size > job->size - at)
			size = job->size - at;
		finish(job, size, populate(job, at, size));
	}
	return NULL;
}

/* Fewer threads than asked for is slower, not wrong. */
static unsigned int start(struct job *job, pthread_t *threads,
			  unsigned int count)
{
	sigset_t all, old;
	unsigned int started = 0;

	/* The embedder's signals are for the embedder's threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (started < count &&
	       !pthread_create(&threads[started], NULL, work, job))
		started++;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return started;
}

static unsigned int helpers(const struct job *job)
{
	uint64_t pieces = (job->size - 1) / job->piece + 1;
	unsigned int threads = job->host->options.prealloc_threads;

	return (threads < pieces ? threads : pieces) - 1;
}

/* The caller's thread is one of those asked for. */
static int run(struct job *job)
{
	unsigned int count = helpers(job);
	pthread_t *threads = NULL;

	if (count) {
		threads = gpmm__alloc(count * sizeof(*threads));
		if (!threads)
			return -ENOMEM;
		count = start(job, threads, count);
	}
	work(job);
	while (count)
		pthread_join(threads[--count], NULL);
	gpmm__free(threads);
	return job->error;
}

int gpmm__host_prealloc(struct gpmm_host *host, uint64_t offset, uint64_t size)
{
	struct job job = {
		.host = host,
		.addr = (char *)host->addr + offset,
		.size = size,
		.piece = host->page_size > PIECE ? host->page_size : PIECE,
		.before = offset,
	};
	int ret;

	if (!host->options.prealloc_threads)
		return 0;
	ret = pthread_mutex_init(&job.lock, NULL);
	if (ret)
		return -ret;
	gpmm__step_out();
	ret = run(&job);
	gpmm__step_in();
	pthread_mutex_destroy(&job.lock);
	return ret;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The backend as a tracker's source: locks, and who is attached. */
#include <errno.h>

#include "kvm/kvm_backend.h"
#include "util/range.h"

static struct kvm_backend *source_to_kvm(struct gpmm_dirty_source *source)
{
	return (struct kvm_backend *)((char *)source -
				      offsetof(struct kvm_backend, log.source));
}

static int attach(struct gpmm_dirty_source *source,
		  const struct gpmm_dirty_sink *sink)
{
	struct kvm_backend *kvm = source_to_kvm(source);
	int ret = lock_acquire(&kvm->lock);

	if (ret)
		return ret;
	if (kvm->log.sink.mark)
		ret = -EBUSY;
	else
		kvm->log.sink = *sink;
	lock_release(&kvm->lock);
	return ret;
}

static void detach(struct gpmm_dirty_source *source)
{
	struct kvm_backend *kvm = source_to_kvm(source);

	lock_acquire(&kvm->lock);
	kvm->log.sink = (struct gpmm_dirty_sink){ 0 };
	lock_release(&kvm->lock);
}

static int collect(struct gpmm_dirty_source *source, struct gpmm_range range)
{
	struct kvm_backend *kvm = source_to_kvm(source);
	struct span span;
	int ret;

	if (!limit_to_span(range, &span))
		return -EINVAL;
	ret = lock_acquire(&kvm->lock);
	if (ret)
		return ret;
	ret = gpmm__dirty_log_collect(&kvm->log, &kvm->slots, span.first,
				      span.last);
	lock_release(&kvm->lock);
	return ret;
}

const struct gpmm_dirty_source_ops gpmm__kvm_source_ops = {
	.attach = attach,
	.detach = detach,
	.collect = collect,
};

struct gpmm_dirty_source *gpmm_kvm_dirty_source(struct gpmm_backend *backend)
{
	return &to_kvm(backend)->log.source;
}

int gpmm_kvm_drain_rings(struct gpmm_backend *backend)
{
	struct kvm_backend *kvm = to_kvm(backend);
	int ret = lock_acquire(&kvm->lock);

	if (ret)
		return ret;
	ret = gpmm__rings_drain(&kvm->log.rings, &kvm->slots, &kvm->log.sink);
	lock_release(&kvm->lock);
	return ret;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Hooks come and go; what KVM has kept is harvested. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "kvm/kvm_backend.h"
#include "util/alloc.h"
#include "util/range.h"

/* --------------------------------------------------------------- attach --- */

static struct gpmm_kvm_hook *add_hook(struct kvm_backend *kvm, void *owner,
				      const struct gpmm_kvm_hook *wanted)
{
	struct gpmm_kvm_hook *hook = gpmm__alloc(sizeof(*hook));
	struct window_owner *at = NULL;

	if (hook)
		at = gpmm__window_owner(&kvm->hooks.windows, owner);
	if (!at) {
		gpmm__free(hook);
		if (wanted->event.fd >= 0)
			close(wanted->event.fd);
		return NULL;
	}
	*hook = *wanted;
	hook->backend = &kvm->backend;
	hook->owner = at;
	hook->next = at->hooks;
	at->hooks = hook;
	return hook;
}

static int attach_locked(struct kvm_backend *kvm, void *owner,
			 const struct gpmm_kvm_hook *wanted,
			 struct gpmm_kvm_hook **hook)
{
	struct gpmm_kvm_hook *new = add_hook(kvm, owner, wanted);
	int ret;

	if (!new)
		return -ENOMEM;
	gpmm__hooks_repair(&kvm->hooks);
	ret = gpmm__hook_plan_attach(&kvm->hooks, new);
	if (!ret)
		ret = gpmm__hooks_apply(&kvm->hooks);
	if (ret) {
		gpmm__hooks_drop(&kvm->hooks);
		gpmm__hook_free(&kvm->hooks, new);
		return ret;
	}
	gpmm__hooks_done(&kvm->hooks);
	*hook = new;
	return 0;
}

/* Its descriptor goes with it. */
static int attach_event(struct kvm_backend *kvm, void *owner,
			struct gpmm_kvm_hook *wanted,
			struct gpmm_kvm_hook **hook)
{
	int ret = lock_acquire(&kvm->lock);

	if (ret)
		return ret;
	wanted->event.fd = fcntl(wanted->event.fd, F_DUPFD_CLOEXEC, 0);
	if (wanted->event.fd < 0)
		ret = -errno;
	else
		ret = attach_locked(kvm, owner, wanted, hook);
	lock_release(&kvm->lock);
	return ret;
}

static bool is_valid(const struct gpmm_kvm_event *event)
{
	struct span span;

	return event->owner &&
	       (event->size ? is_power_of_two(event->size) : !event->match) &&
	       event->size <= 8 &&
	       range_to_span(event->gpa, event->size + !event->size, &span);
}

int gpmm_kvm_attach_event(struct gpmm_backend *backend,
			  const struct gpmm_kvm_event *event,
			  struct gpmm_kvm_hook **hook)
{
	struct kvm_backend *kvm = to_kvm(backend);
	const uint64_t needed = event->size ? GPMM_KVM_EVENT :
		GPMM_KVM_EVENT | GPMM_KVM_EVENT_ANY_SIZE;
	struct gpmm_kvm_hook wanted = {
		.event = { event->gpa, event->size, event->fd, event->match,
			   event->value },
		.size = event->size + !event->size,
	};

	if (!is_valid(event))
		return -EINVAL;
	if ((kvm->features & needed) != needed)
		return -EOPNOTSUPP;
	return attach_event(kvm, event->owner, &wanted, hook);
}

/* ------------------------------------------------------------ coalesced --- */

int gpmm_kvm_set_coalesced_ring(struct gpmm_backend *backend,
				struct kvm_run *run)
{
	struct kvm_backend *kvm = to_kvm(backend);
	int ret = lock_acquire(&kvm->lock);

	if (ret)
		return ret;
	ret = gpmm__kvm_extension(&kvm->sys, KVM_CAP_COALESCED_MMIO);
	if (ret > 0)
		kvm->hooks.coalesced.ring = gpmm__kvm_coalesced_ring(run, ret);
	lock_release(&kvm->lock);
	return ret > 0 ? 0 : ret ? ret : -EOPNOTSUPP;
}

/* KVM would remove both with one of them. */
static bool meets_another(const struct kvm_backend *kvm, const void *owner,
			  struct span span)
{
	const struct window_owner *at = kvm->hooks.windows.owners;
	const struct gpmm_kvm_hook *hook;

	while (at && at->owner != owner)
		at = at->next;
	for (hook = at ? at->hooks : NULL; hook; hook = hook->next) {
		const struct span other = {
			hook->event.gpa, hook->event.gpa + (hook->size - 1),
		};

		if (hook->coalesced && !hook->dead &&
		    span_overlaps(span, other))
			return true;
	}
	return false;
}

int gpmm_kvm_attach_coalesced(struct gpmm_backend *backend, void *owner,
			      gpmm_gpa_t gpa, uint32_t size,
			      struct gpmm_kvm_hook **hook)
{
	struct kvm_backend *kvm = to_kvm(backend);
	const struct gpmm_kvm_hook wanted = {
		.event = { .gpa = gpa, .fd = -1 },
		.size = size,
		.coalesced = true,
	};
	struct span span;
	int ret;

	if (!(kvm->features & GPMM_KVM_COALESCED))
		return -EOPNOTSUPP;
	if (!owner || !range_to_span(gpa, size, &span))
		return -EINVAL;
	ret = lock_acquire(&kvm->lock);
	if (ret)
		return ret;
	if (!kvm->hooks.coalesced.ring)
		ret = -EINVAL;
	else if (meets_another(kvm, owner, span))
		ret = -EEXIST;
	else
		ret = attach_locked(kvm, owner, &wanted, hook);
	lock_release(&kvm->lock);
	return ret;
}

/* --------------------------------------------------------------- detach --- */

int gpmm_kvm_detach(struct gpmm_kvm_hook *hook)
{
	struct kvm_backend *kvm;
	int ret;

	if (!hook)
		return 0;
	kvm = to_kvm(hook->backend);
	ret = lock_acquire(&kvm->lock);
	if (ret)
		return ret;
	gpmm__hooks_repair(&kvm->hooks);
	ret = gpmm__hook_is_lost(hook) ? -EIO :
		gpmm__hook_plan_detach(&kvm->hooks, hook);
	if (!ret)
		ret = gpmm__hooks_apply(&kvm->hooks);
	if (ret) {
		gpmm__hooks_drop(&kvm->hooks);
	} else {
		gpmm__hooks_done(&kvm->hooks);
		gpmm__hook_free(&kvm->hooks, hook);
	}
	lock_release(&kvm->lock);
	return ret;
}

/* -------------------------------------------------------------- harvest --- */

/* Empty the ring. Return: 0 or -errno. */
static int fetch(struct kvm_backend *kvm)
{
	int ret = lock_acquire(&kvm->lock);

	if (ret)
		return ret;
	ret = gpmm__hooks_fetch(&kvm->hooks);
	lock_release(&kvm->lock);
	return ret;
}

static bool take(struct kvm_backend *kvm, struct kvm_coalesced_mmio *write)
{
	bool any = !lock_acquire(&kvm->lock);

	if (!any)
		return false;
	any = gpmm__coalesced_take(&kvm->hooks.coalesced, write);
	lock_release(&kvm->lock);
	return any;
}

int gpmm_kvm_harvest_coalesced(struct gpmm_backend *backend,
			       gpmm_kvm_write_fn *fn, void *arg)
{
	struct kvm_backend *kvm = to_kvm(backend);
	struct lock *harvesting = &kvm->hooks.coalesced.harvesting;
	struct kvm_coalesced_mmio write;
	int ret = lock_acquire(harvesting);

	if (ret)
		return ret;
	ret = fetch(kvm);
	while (!ret && take(kvm, &write)) {
		const struct gpmm_kvm_access access = {
			.gpa = write.phys_addr,
			.size = write.len,
			.write = true,
			.data = write.data,
		};

		ret = fn(arg, &access);
	}
	lock_release(harvesting);
	return ret;
}

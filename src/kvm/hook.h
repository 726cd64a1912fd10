/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hooks: what KVM itself does about writes to windows. A hook is in the VM as
 * posts, one for each stretch of it that its owner's areas cover (an event has
 * one, or none). A transaction compares the posts before and after it. Called
 * with the backend's lock held.
 *
 * Invariant, outside of a transaction:
 * E  A post is in the VM if and only if it is wanted; of those that are lost
 *    the opposite holds. There is no other post.
 */
#ifndef GPMM_KVM_HOOK_H
#define GPMM_KVM_HOOK_H

#include "kvm/coalesced.h"
#include "kvm/kvm_sys.h"
#include "kvm/window.h"

struct post {
	struct post *next;
	uint64_t gpa;
	uint64_t size;
	bool there;		/* in the VM */
	bool before;		/* wanted before this transaction */
	bool wanted;
	bool lost;		/* an undo failed */
};

struct gpmm_kvm_hook {
	struct gpmm_kvm_hook *next;	/* of its owner */
	struct window_owner *owner;
	struct gpmm_backend *backend;
	struct kvm_event event;	/* .gpa: where it is; a coalesced one's too */
	uint64_t size;		/* bytes that must be covered */
	bool coalesced;
	bool touched;		/* by this transaction */
	bool dead;		/* nobody's; waits for its lost posts */
	struct post *posts;
};

struct hooks {
	struct kvm_sys *sys;
	size_t lost;		/* posts */
	bool touched;		/* some hook is */
	struct windows windows;
	struct coalesced coalesced;
};

/* Has the transaction no windows, so that no hook is planned for? */
static inline bool gpmm__hooks_are_idle(const struct hooks *hooks)
{
	return !hooks->windows.journal.len;
}

/* Return: 0 or -errno. */
int gpmm__hooks_init(struct hooks *hooks, struct kvm_sys *sys);
void gpmm__hooks_fini(struct hooks *hooks);

/* Is any byte of [first, last] of a post that is lost? */
bool gpmm__hooks_are_lost(const struct hooks *hooks, uint64_t first,
			  uint64_t last);

/* Is any of its posts? */
bool gpmm__hook_is_lost(const struct gpmm_kvm_hook *hook);

/* Try again what could not be undone. */
void gpmm__hooks_repair(struct hooks *hooks);

/* Find out what the windows' changes mean. Return: 0 or -ENOMEM. */
int gpmm__hooks_plan(struct hooks *hooks);

/* The same where one hook comes, or goes. */
int gpmm__hook_plan_attach(struct hooks *hooks, struct gpmm_kvm_hook *hook);
int gpmm__hook_plan_detach(struct hooks *hooks, struct gpmm_kvm_hook *hook);

/*
 * gpmm__hooks_apply - make the planned ioctls
 *
 * Return: 0; what the failing ioctl returned, with all undone; -EIO where an
 * undo failed too.
 */
int gpmm__hooks_apply(struct hooks *hooks);

/* Undo it after it succeeded. Return: whether that succeeded. */
bool gpmm__hooks_undo(struct hooks *hooks);

/* The end of a transaction: it holds, or all is as it was before. */
void gpmm__hooks_done(struct hooks *hooks);
void gpmm__hooks_drop(struct hooks *hooks);

/* Take everything out of the ring. Return: 0 or -ENOMEM. */
int gpmm__hooks_fetch(struct hooks *hooks);

/* Free a hook; where it has lost posts, once they are repaired. */
void gpmm__hook_free(struct hooks *hooks, struct gpmm_kvm_hook *hook);

#endif

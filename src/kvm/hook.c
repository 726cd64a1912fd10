/* SPDX-License-Identifier: BSD-3-Clause */
#include "kvm/hook.h"

#include <errno.h>
#include <inttypes.h>
#include <unistd.h>

#include "util/alloc.h"
#include "util/log.h"

/* ----------------------------------------------------------------- walk --- */

/* The next hook after @hook, of any owner; NULL: the first. */
static struct gpmm_kvm_hook *next_hook(const struct hooks *hooks,
				       const struct gpmm_kvm_hook *hook)
{
	const struct window_owner *owner;

	if (hook && hook->next)
		return hook->next;
	owner = hook ? hook->owner->next : hooks->windows.owners;
	while (owner && !owner->hooks)
		owner = owner->next;
	return owner ? owner->hooks : NULL;
}

static struct gpmm_kvm_hook *next_touched(const struct hooks *hooks,
					  const struct gpmm_kvm_hook *hook)
{
	struct gpmm_kvm_hook *next = next_hook(hooks, hook);

	while (next && !next->touched)
		next = next_hook(hooks, next);
	return next;
}

static void set_lost(struct hooks *hooks, struct post *post, bool lost)
{
	hooks->lost += lost - post->lost;
	post->lost = lost;
}

/* Forget posts that are neither wanted nor there. */
static void sweep(struct hooks *hooks, struct gpmm_kvm_hook *hook)
{
	struct post **link = &hook->posts;

	while (*link) {
		struct post *post = *link;

		if (post->there == post->wanted)
			set_lost(hooks, post, false);
		if (post->wanted || post->there) {
			link = &post->next;
			continue;
		}
		*link = post->next;
		gpmm__free(post);
	}
}

/* ----------------------------------------------------------------- plan --- */

static struct post *find_post(struct gpmm_kvm_hook *hook, uint64_t gpa,
			      uint64_t size)
{
	struct post *post = hook->posts;

	while (post && (post->gpa != gpa || post->size != size))
		post = post->next;
	return post;
}

static int want(struct gpmm_kvm_hook *hook, uint64_t gpa, uint64_t size)
{
	struct post *post = find_post(hook, gpa, size);

	if (!post) {
		post = gpmm__zalloc(sizeof(*post));
		if (!post)
			return -ENOMEM;
		post->gpa = gpa;
		post->size = size;
		post->next = hook->posts;
		hook->posts = post;
	}
	post->wanted = true;
	return 0;
}

static void touch(struct hooks *hooks, struct gpmm_kvm_hook *hook)
{
	struct post *post;

	hooks->touched = true;
	hook->touched = true;
	for (post = hook->posts; post; post = post->next) {
		post->before = post->wanted;
		post->wanted = false;
	}
}

/* An event must be covered as a whole; a zone is where it is covered. */
static int plan_hook(struct hooks *hooks, struct gpmm_kvm_hook *hook,
		     uint64_t distance)
{
	uint64_t first = hook->event.gpa + distance;
	uint64_t last = first + (hook->size - 1);
	uint64_t end;
	int ret = 0;

	touch(hooks, hook);
	if (last < first || hook->dead)
		return 0;
	while (!ret && gpmm__window_next(&hooks->windows, hook->owner, &first,
					 last, &end)) {
		if (hook->coalesced || end - first == hook->size - 1)
			ret = want(hook, first, end - first + 1);
		if (end == last)
			break;
		first = end + 1;
	}
	return ret;
}

static bool goes(const struct post *post)
{
	return post->before && !post->wanted;
}

static bool comes(const struct post *post)
{
	return post->wanted && !post->before;
}

/* Does a zone go, so that what it has kept is to be fetched? */
static bool zone_goes(const struct gpmm_kvm_hook *hook)
{
	const struct post *post = hook->coalesced ? hook->posts : NULL;

	while (post && !goes(post))
		post = post->next;
	return post != NULL;
}

static int make_room(struct hooks *hooks)
{
	const struct gpmm_kvm_hook *hook = NULL;

	while ((hook = next_touched(hooks, hook)))
		if (zone_goes(hook))
			return gpmm__coalesced_room(&hooks->coalesced);
	return 0;
}

static int plan_owner(struct hooks *hooks, struct window_owner *owner)
{
	struct gpmm_kvm_hook *hook;
	int ret = 0;

	gpmm__window_settle(&hooks->windows, owner);
	for (hook = owner->hooks; hook && !ret; hook = hook->next)
		ret = plan_hook(hooks, hook, owner->distance);
	return ret;
}

int gpmm__hooks_plan(struct hooks *hooks)
{
	struct window_owner *owner;
	int ret = 0;

	if (!hooks->windows.journal.len)
		return 0;
	for (owner = hooks->windows.owners; owner && !ret; owner = owner->next)
		if (owner->touched)
			ret = plan_owner(hooks, owner);
	return ret ? ret : make_room(hooks);
}

int gpmm__hook_plan_attach(struct hooks *hooks, struct gpmm_kvm_hook *hook)
{
	return plan_hook(hooks, hook, 0);
}

int gpmm__hook_plan_detach(struct hooks *hooks, struct gpmm_kvm_hook *hook)
{
	touch(hooks, hook);
	return make_room(hooks);
}

/* ---------------------------------------------------------------- apply --- */

/* Is any byte of [first, last] of a post that is lost, or of a stray one? */
static bool has_lost(const struct hooks *hooks, uint64_t first, uint64_t last,
		     bool stray)
{
	const struct gpmm_kvm_hook *hook = NULL;
	const struct post *post;

	if (!hooks->lost)
		return false;
	while ((hook = next_hook(hooks, hook)))
		for (post = hook->posts; post; post = post->next)
			if (post->lost && (post->there || !stray) &&
			    post->gpa <= last &&
			    first <= post->gpa + (post->size - 1))
				return true;
	return false;
}

/*
 * Nothing comes where a post is that could not be removed: with a zone KVM
 * would remove all that contain it.
 */
static int set_post(struct hooks *hooks, const struct gpmm_kvm_hook *hook,
		    struct post *post, bool on)
{
	struct kvm_event event = hook->event;
	int ret;

	if (post->there == on)
		return 0;
	if (on && has_lost(hooks, post->gpa, post->gpa + (post->size - 1),
			   true))
		return -EIO;
	event.gpa = post->gpa;
	if (hook->coalesced)
		ret = gpmm__kvm_set_coalesced(hooks->sys, post->gpa,
					      post->size, on);
	else
		ret = gpmm__kvm_set_event(hooks->sys, &event, on);
	if (!ret)
		post->there = on;
	return ret;
}

/* Remove (or add) all posts that go (or come). */
static int set_all(struct hooks *hooks, bool on)
{
	struct gpmm_kvm_hook *hook = NULL;
	struct post *post;
	int ret = 0;

	while (!ret && (hook = next_touched(hooks, hook)))
		for (post = hook->posts; post && !ret; post = post->next)
			if (on ? comes(post) : goes(post))
				ret = set_post(hooks, hook, post, on);
	return ret;
}

/* A guest wrote it when the posts were still as before. */
static void *owner_at(void *arg, uint64_t gpa)
{
	const struct hooks *hooks = arg;
	const struct gpmm_kvm_hook *hook = NULL;
	const struct post *post;

	while ((hook = next_hook(hooks, hook)))
		for (post = hook->posts; post; post = post->next)
			if (gpa - post->gpa < post->size &&
			    (hook->touched ? post->before : post->wanted))
				return hook->owner->owner;
	return NULL;
}

static void fetch(struct hooks *hooks)
{
	const struct gpmm_kvm_hook *hook = NULL;

	while ((hook = next_touched(hooks, hook)))
		if (zone_goes(hook)) {
			gpmm__coalesced_fetch(&hooks->coalesced, owner_at,
					      hooks);
			return;
		}
}

/*
 * First what goes, so that nothing is in the way of what comes. Between the
 * two, what was kept is fetched: later the same address may be another's.
 */
int gpmm__hooks_apply(struct hooks *hooks)
{
	int ret;

	if (!hooks->touched)
		return 0;
	ret = set_all(hooks, false);
	if (!ret) {
		fetch(hooks);
		ret = set_all(hooks, true);
	}
	if (ret && !gpmm__hooks_undo(hooks))
		ret = -EIO;
	return ret;
}

static bool undo_post(struct hooks *hooks, const struct gpmm_kvm_hook *hook,
		      struct post *post)
{
	if (!set_post(hooks, hook, post, post->before))
		return true;
	set_lost(hooks, post, true);
	gpmm__log(GPMM_LOG_ERROR,
		  "kvm: the hook at %#" PRIx64 " cannot be restored",
		  post->gpa);
	return false;
}

static bool undo_all(struct hooks *hooks, bool on)
{
	struct gpmm_kvm_hook *hook = NULL;
	struct post *post;
	bool whole = true;

	while ((hook = next_touched(hooks, hook)))
		for (post = hook->posts; post; post = post->next)
			if (post->before == on && post->wanted != on)
				whole &= undo_post(hooks, hook, post);
	return whole;
}

bool gpmm__hooks_undo(struct hooks *hooks)
{
	bool whole;

	if (!hooks->touched)
		return true;
	whole = undo_all(hooks, false);
	return undo_all(hooks, true) && whole;
}

/* ----------------------------------------------------------------- lost --- */

static bool is_gone(const struct gpmm_kvm_hook *hook)
{
	return hook->dead && !hook->posts;
}

static void repair_hook(struct hooks *hooks, struct gpmm_kvm_hook *hook)
{
	struct post *post;

	for (post = hook->posts; post; post = post->next)
		if (post->lost)
			set_post(hooks, hook, post, post->wanted);
	sweep(hooks, hook);
}

void gpmm__hooks_repair(struct hooks *hooks)
{
	struct gpmm_kvm_hook *hook = NULL;
	struct gpmm_kvm_hook *next;

	if (!hooks->lost)
		return;
	while ((hook = next_hook(hooks, hook)))
		repair_hook(hooks, hook);
	for (hook = next_hook(hooks, NULL); hook; hook = next) {
		next = next_hook(hooks, hook);
		if (is_gone(hook))
			gpmm__hook_free(hooks, hook);
	}
}

bool gpmm__hook_is_lost(const struct gpmm_kvm_hook *hook)
{
	const struct post *post = hook->posts;

	while (post && !post->lost)
		post = post->next;
	return post != NULL;
}

bool gpmm__hooks_are_lost(const struct hooks *hooks, uint64_t first,
			  uint64_t last)
{
	return has_lost(hooks, first, last, false);
}

/* ------------------------------------------------------------------ end --- */

/* What was kept of windows that have moved. */
static void move_kept(struct hooks *hooks)
{
	const struct window_owner *owner;

	for (owner = hooks->windows.owners; owner; owner = owner->next)
		if (owner->touched && owner->distance)
			gpmm__coalesced_move(&hooks->coalesced, owner->owner,
					     owner->distance);
}

void gpmm__hooks_done(struct hooks *hooks)
{
	struct gpmm_kvm_hook *hook = NULL;

	if (hooks->touched)
		move_kept(hooks);
	while (hooks->touched && (hook = next_touched(hooks, hook))) {
		if (hook->owner->touched)
			hook->event.gpa += hook->owner->distance;
		hook->touched = false;
		sweep(hooks, hook);
	}
	hooks->touched = false;
	gpmm__windows_done(&hooks->windows);
}

void gpmm__hooks_drop(struct hooks *hooks)
{
	struct gpmm_kvm_hook *hook = NULL;
	struct post *post;

	while (hooks->touched && (hook = next_touched(hooks, hook))) {
		for (post = hook->posts; post; post = post->next)
			post->wanted = post->before;
		hook->touched = false;
		sweep(hooks, hook);
	}
	hooks->touched = false;
	gpmm__windows_drop(&hooks->windows);
}

int gpmm__hooks_fetch(struct hooks *hooks)
{
	if (!hooks->coalesced.ring)
		return 0;
	if (gpmm__coalesced_room(&hooks->coalesced))
		return -ENOMEM;
	gpmm__coalesced_fetch(&hooks->coalesced, owner_at, hooks);
	return 0;
}

/* ----------------------------------------------------------------- life --- */

int gpmm__hooks_init(struct hooks *hooks, struct kvm_sys *sys)
{
	hooks->sys = sys;
	return gpmm__coalesced_init(&hooks->coalesced);
}

static void unlink_hook(struct hooks *hooks, struct gpmm_kvm_hook *hook)
{
	struct gpmm_kvm_hook **link = &hook->owner->hooks;

	while (*link != hook)
		link = &(*link)->next;
	*link = hook->next;
	if (!hook->owner->hooks)
		gpmm__window_owner_drop(&hooks->windows, hook->owner);
	if (hook->event.fd >= 0)
		close(hook->event.fd);
	gpmm__free(hook);
}

void gpmm__hook_free(struct hooks *hooks, struct gpmm_kvm_hook *hook)
{
	hook->dead = true;
	if (!hook->posts)
		unlink_hook(hooks, hook);
}

void gpmm__hooks_fini(struct hooks *hooks)
{
	struct gpmm_kvm_hook *hook;
	struct post *post;

	while ((hook = next_hook(hooks, NULL))) {
		while ((post = hook->posts)) {
			hook->posts = post->next;
			gpmm__free(post);
		}
		unlink_hook(hooks, hook);
	}
	gpmm__coalesced_fini(&hooks->coalesced);
	gpmm__windows_fini(&hooks->windows);
}

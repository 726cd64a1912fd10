/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Long transactions that unmap areas and map them, or others, in their exact
 * places: beside the model, and beside a set that is asked the same with each
 * request a transaction of its own. GPMM_SEED replays a run; GPMM_LONG=1 makes
 * it twenty times longer.
 */
#include <errno.h>
#include <string.h>

#include "core/set.h"
#include "helpers/mock_backend.h"
#include "helpers/model.h"
#include "helpers/rng.h"
#include "helpers/suite.h"
#include "host/host.h"

#define K		UINT64_C(1024)
#define NARROW		(UINT64_C(1) << 31)	/* granules with 32-bit keys */
#define HOST_BASE	UINT64_C(0x100000000000)
#define HOST_STRIDE	UINT64_C(0x200000000000)

enum {
	MOCKS = 3,	/* acts at once; has transactions; is coarse */
	BACKENDS = MOCKS + 1,
	HOSTS = 2,
	LONGEST = 200,	/* requests of a transaction */
};

struct shape {
	const char *name;
	uint64_t granule;
	gpmm_gpa_t base;
	uint32_t cells;
	uint32_t areas;
	bool no_merge;
	unsigned int txns;
	bool waits;	/* anything does: its keys are narrow */
};

static const struct shape shapes[] = {
	{ "1 to 20 areas, bytes", 1, 0, 64, 12, false, 300, true },
	{ "1 to 20 areas, pages", 4 * K, 0, 48, 16, true, 300, true },
	{ "17 to 64 areas", 4 * K, 0, 192, 48, false, 300, true },
	{ "17 to 64 areas, unmerged", 4 * K, 16 * K, 160, 44, true, 300, true },
	{ "17 to 64 areas, bytes, up to the last narrow one", 1, NARROW - 192,
	  192, 48, false, 300, true },
	{ "65 to 600 areas", 4 * K, 0, 1600, 380, false, 300, true },
	{ "65 to 600 areas, up to 8 TiB", 4 * K, (NARROW - 2000) * 4 * K, 2000,
	  540, true, 300, true },
	{ "65 to 600 areas, until keys are wide", 4 * K,
	  (NARROW - 1960) * 4 * K, 2000, 490, false, 40, true },
	{ "thousands of areas", 4 * K, 0, 12000, 3000, false, 40, true },
	{ "wide keys", 4 * K, 5 * NARROW * 4 * K, 800, 200, false, 40, false },
};

/* What was asked, to ask it again. */
struct request {
	enum { MAP, UNMAP, PROTECT, SPLIT, MERGE } kind;
	int ret;
	unsigned int how;
	struct gpmm_area area;	/* or the range, and the new flags */
};

/* One set with backends of its own. */
struct side {
	struct gpmm_set *set;
	struct mock mock[MOCKS];
	struct gpmm_backend *backend[BACKENDS];
};

struct pair {
	const struct shape *shape;
	struct rng rng;
	struct side one;	/* whole transactions */
	struct side each;	/* each request alone */
	struct gpmm_host *host[HOSTS];
	struct model now, then;
	struct gpmm_txn *txn;
	struct request request[LONGEST];
	unsigned int requests;
	struct gpmm_area gone[LONGEST];
	unsigned int gone_count;
	unsigned long waited;	/* requests after which an area waits */
	const char *why;
};

static bool wrong(struct pair *p, const char *why)
{
	if (!p->why)
		p->why = why;
	return false;
}

static uint32_t draw(struct pair *p, uint32_t n)
{
	return rng_below(&p->rng, n);
}

static bool one_in(struct pair *p, uint32_t n)
{
	return !draw(p, n);
}

/* ---------------------------------------------------------------- requests */

/* As gpmm_protect_to(), but no change is none to the model either. */
static bool change_to(void *arg, const struct gpmm_area *area, uint32_t *flags)
{
	*flags = *(uint32_t *)arg;
	return *flags != area->flags;
}

static int ask(struct side *side, struct gpmm_txn *txn,
	       const struct request *r)
{
	uint32_t flags = r->area.flags;
	struct gpmm_set *set = side->set;
	gpmm_gpa_t start = r->area.start;
	uint64_t size = r->area.size;

	switch (r->kind) {
	case MAP:
		return txn ? gpmm_txn_map(txn, &r->area, r->how) :
			     gpmm_set_map(set, &r->area, r->how);
	case UNMAP:
		return txn ? gpmm_txn_unmap(txn, start, size) :
			     gpmm_set_unmap(set, start, size);
	case PROTECT:
		return txn ? gpmm_txn_protect(txn, start, size,
					      change_to, &flags) :
			     gpmm_set_protect(set, start, size, change_to,
					      &flags);
	case SPLIT:
		return txn ? gpmm_txn_split(txn, start) :
			     gpmm_set_split(set, start);
	default:
		return txn ? gpmm_txn_merge(txn, start, size) :
			     gpmm_set_merge(set, start, size);
	}
}

static int ask_model(struct model *model, const struct request *r)
{
	uint32_t flags = r->area.flags;
	gpmm_gpa_t start = r->area.start;
	uint64_t size = r->area.size;

	switch (r->kind) {
	case MAP:
		return model_map(model, &r->area, r->how);
	case UNMAP:
		return model_unmap(model, start, size);
	case PROTECT:
		return model_protect(model, start, size, change_to, &flags);
	case SPLIT:
		return model_split(model, start);
	default:
		return model_merge(model, start, size);
	}
}

/* A view would end what waits; what was merged did not wait. */
static bool follow(struct pair *p, const struct request *r)
{
	p->now.merged = false;
	if (ask_model(&p->now, r) != r->ret)
		return wrong(p, "a request returned something else");
	if (!r->ret && p->now.merged)
		model_settle(&p->now, gpmm_txn_view(p->txn));
	p->request[p->requests++] = *r;
	p->waited += pending_is_open(p->one.set->txn.pending);
	return true;
}

/* Now and then an allocation fails, and is then as if nobody had asked. */
static bool request(struct pair *p, struct request *r)
{
	bool armed = one_in(p, 20), struck;

	gpmm__alloc_left = armed ? (long)draw(p, 4) : -1;
	r->ret = ask(&p->one, p->txn, r);
	struck = armed && gpmm__alloc_left < 0;
	gpmm__alloc_left = -1;
	if (struck != (r->ret == -ENOMEM))
		return wrong(p, "-ENOMEM and memory do not agree");
	return struck || follow(p, r);
}

/* ----------------------------------------------------------------- drawing */

static gpmm_gpa_t draw_addr(struct pair *p)
{
	return p->shape->base + draw(p, p->shape->cells) * p->shape->granule;
}

static uint32_t draw_flags(struct pair *p)
{
	return (1 + draw(p, 2)) | (one_in(p, 16) ? GPMM_NOMERGE : 0);
}

static void draw_memory(struct pair *p, struct gpmm_area *area)
{
	uint64_t offset = area->start - p->shape->base;
	uint32_t n = draw(p, HOSTS + 2);

	area->host = NULL;
	area->hva = NULL;
	area->owner = NULL;
	if (n < HOSTS) {
		area->host = p->host[n];
		if (one_in(p, 8))
			offset += p->shape->granule;
		area->hva = (char *)gpmm_host_addr(area->host) + offset;
	} else if (one_in(p, 4)) {
		area->owner = p;
	}
}

static struct gpmm_range draw_range(struct pair *p)
{
	gpmm_gpa_t start = draw_addr(p);
	uint64_t most = p->shape->cells - (start - p->shape->base) /
						  p->shape->granule;
	uint64_t size = 1 + draw(p, one_in(p, 8) ? 12 : 3);

	return (struct gpmm_range){
		start, (size < most ? size : most) * p->shape->granule,
	};
}

static void draw_area(struct pair *p, struct gpmm_area *area)
{
	struct gpmm_range range = draw_range(p);

	*area = (struct gpmm_area){
		.start = range.start, .size = range.size,
		.flags = draw_flags(p),
		.backend = p->one.backend[draw(p, BACKENDS)],
	};
	draw_memory(p, area);
}

/* ------------------------------------------------------------------- steps */

/* A whole area goes, to come back, perhaps. */
static bool take_out(struct pair *p)
{
	struct request r = { .kind = UNMAP };

	if (p->gone_count == LONGEST ||
	    !model_find(&p->now, draw_addr(p), &r.area))
		return true;
	p->gone[p->gone_count++] = r.area;
	return request(p, &r);
}

/* How what comes back is not what went; most often it is. */
static void alter(struct pair *p, struct gpmm_area *area)
{
	switch (draw(p, 20)) {
	case 0 ... 3:
		area->flags = draw_flags(p);
		break;
	case 4 ... 5:
		draw_memory(p, area);
		break;
	case 6:
		area->backend = p->one.backend[draw(p, BACKENDS)];
		break;
	case 7:
		area->size = p->shape->granule;
		break;
	}
}

static bool put_back(struct pair *p)
{
	struct request r = { .kind = MAP };
	uint32_t i;

	if (!p->gone_count)
		return true;
	i = draw(p, p->gone_count);
	r.area = p->gone[i];
	r.how = one_in(p, 10) ? GPMM_MAP_REPLACE : 0;
	alter(p, &r.area);
	if (!one_in(p, 20))
		p->gone[i] = p->gone[--p->gone_count];
	return request(p, &r);
}

/* Anything, anywhere. */
static bool meddle(struct pair *p)
{
	struct request r = { .kind = draw(p, MERGE + 1) };

	draw_area(p, &r.area);
	if (r.kind == MAP && one_in(p, 2))
		r.how = GPMM_MAP_REPLACE;
	return request(p, &r);
}

/* Into a hole, beside what waits as likely as not. */
static bool put_more(struct pair *p)
{
	struct request r = { .kind = MAP };

	draw_area(p, &r.area);
	r.area.size = p->shape->granule;
	return request(p, &r);
}

static bool look(struct pair *p)
{
	gpmm_gpa_t where, addr = 0, expected = 0;
	struct gpmm_hole hole = {
		.size = (1 + draw(p, 6)) * p->shape->granule,
		.limit = { p->shape->base, p->shape->cells * p->shape->granule },
		.top_down = one_in(p, 2),
	};
	struct gpmm_view view = gpmm_txn_view(p->txn);

	if (model_differs(&p->now, view, &where))
		return wrong(p, "the transaction's view is not the model");
	if (model_differs(&p->then, gpmm_set_view_rcu(p->one.set), &where))
		return wrong(p, "readers see it before commit");
	if (gpmm_view_find_free(view, &hole, &addr) !=
		    model_find_free(&p->now, &hole, &expected) ||
	    addr != expected)
		return wrong(p, "another hole is found");
	return true;
}

static bool step(struct pair *p)
{
	switch (draw(p, 64)) {
	case 0 ... 29:
		return take_out(p);
	case 30 ... 58:
		return put_back(p);
	case 59 ... 60:
		return put_more(p);
	case 61:
		return one_in(p, 2) ? look(p) : true;
	default:
		return one_in(p, 2) ? meddle(p) : true;
	}
}

/* --------------------------------------------------------- ends, compared */

/* A backend of one side on the other. */
static struct gpmm_backend *counterpart(struct pair *p,
					const struct gpmm_backend *be)
{
	for (int i = 0; i < BACKENDS; i++)
		if (p->one.backend[i] == be)
			return p->each.backend[i];
	return NULL;
}

static bool same_area(struct pair *p, const struct gpmm_area *one,
		      const struct gpmm_area *each)
{
	struct gpmm_area area = *one;

	area.backend = counterpart(p, one->backend);
	return area_equal(&area, each);
}

/* The next call from *@i on that acts. */
static const struct mock_call *next_act(const struct mock *mock, size_t *i)
{
	while (*i < mock->log.count)
		if (mock->log.call[(*i)++].kind & MOCK_ACTS)
			return &mock->log.call[*i - 1];
	return NULL;
}

/* Was a backend told the same, in the same order? */
static bool same_calls(struct pair *p, int n)
{
	struct mock *one = &p->one.mock[n], *each = &p->each.mock[n];
	const struct mock_call *a, *b;
	size_t i = 0, j = 0;

	do {
		a = next_act(one, &i);
		b = next_act(each, &j);
		if (!a != !b || (a && (a->kind != b->kind ||
				       a->new_flags != b->new_flags ||
				       !same_area(p, &a->area, &b->area))))
			return wrong(p, "a backend was told something else");
	} while (a);
	if (one->complaint || each->complaint || one->refused || each->refused)
		return wrong(p, "a backend complains");
	return true;
}

static bool same_areas(struct pair *p)
{
	struct gpmm_iter one, each;
	struct gpmm_area a, b;
	bool more;

	gpmm_iter_init(&one, gpmm_set_view_rcu(p->one.set), 0);
	gpmm_iter_init(&each, gpmm_set_view_rcu(p->each.set), 0);
	do {
		more = gpmm_iter_next(&one, &a);
		if (more != gpmm_iter_next(&each, &b) ||
		    (more && !same_area(p, &a, &b)))
			return wrong(p, "not as each request alone makes it");
	} while (more);
	return true;
}

static bool replay(struct pair *p)
{
	for (unsigned int i = 0; i < p->requests; i++) {
		struct request r = p->request[i];

		if (r.kind == MAP)
			r.area.backend = counterpart(p, r.area.backend);
		if (ask(&p->each, NULL, &r) != r.ret)
			return wrong(p, "alone, it returned something else");
	}
	for (int i = 0; i < MOCKS; i++)
		if (!same_calls(p, i))
			return false;
	return same_areas(p);
}

/* One reference for each area of either set, and the test's own. */
static bool check_refs(struct pair *p)
{
	uint32_t refs[HOSTS] = { 1, 1 }, i = 0;
	struct gpmm_area area;

	while (model_next(&p->now, &i, &area))
		for (int n = 0; n < HOSTS; n++)
			refs[n] += 2 * (area.host == p->host[n]);
	for (int n = 0; n < HOSTS; n++)
		if (p->host[n]->refs != refs[n])
			return wrong(p, "a host's references do not add up");
	return true;
}

static bool check_set(struct pair *p)
{
	gpmm_gpa_t where;

	if (gpmm__set_check(p->one.set))
		return wrong(p, "gpmm__set_check() fails");
	if (model_differs(&p->now, gpmm_set_view_rcu(p->one.set), &where))
		return wrong(p, "the set is not the model");
	if (gpmm_set_len(p->one.set) != model_len(&p->now))
		return wrong(p, "the set has another number of areas");
	return true;
}

static bool end(struct pair *p)
{
	bool abort = one_in(p, 10), failed;
	struct mock *mock = &p->one.mock[draw(p, MOCKS)];
	int ret = 0;

	if (!abort && one_in(p, 10))
		mock_fail(mock, MOCK_FALLIBLE, draw(p, 30), 1, -EPERM);
	if (abort)
		gpmm_txn_abort(p->txn);
	else
		ret = gpmm_txn_commit(p->txn);
	failed = mock->failed;
	mock->failed = 0;
	mock_heal(mock);
	if (ret != (failed ? -EPERM : 0))
		return wrong(p, "commit returned something else");
	if (abort || failed)
		model_copy(&p->now, &p->then);
	return check_set(p) && (abort || failed || replay(p)) && check_refs(p);
}

static bool run_txn(struct pair *p)
{
	unsigned int n = 1 + draw(p, one_in(p, 4) ? LONGEST : 20);

	p->requests = p->gone_count = 0;
	for (int i = 0; i < MOCKS; i++) {
		mock_forget(&p->one.mock[i]);
		mock_forget(&p->each.mock[i]);
	}
	model_copy(&p->then, &p->now);
	if (gpmm_txn_begin(p->one.set, &p->txn))
		return wrong(p, "no transaction");
	while (n--)
		if (!step(p))
			return false;
	return end(p);
}

/* -------------------------------------------------------------------- life */

static void open_side(struct pair *p, struct side *side)
{
	const struct shape *s = p->shape;
	struct gpmm_set_options options = { .granule = s->granule,
					    .no_merge = s->no_merge };

	for (int i = 0; i < MOCKS; i++) {
		mock_init_at(&side->mock[i], s->base, s->granule, s->cells,
			     i == 1);
		side->mock[i].logging = true;
		side->backend[i] = &side->mock[i].be;
	}
	side->mock[2].be.granule = 2 * s->granule;
	side->backend[MOCKS] = gpmm_backend_none();
	options.backend = side->backend[0];
	CU_ASSERT_EQUAL_FATAL(gpmm_set_create(&options, &side->set), 0);
}

static void close_side(struct side *side)
{
	CU_ASSERT_EQUAL(gpmm_set_destroy(side->set), 0);
	for (int i = 0; i < MOCKS; i++)
		mock_fini(&side->mock[i]);
}

static void open_pair(struct pair *p, const struct shape *shape, uint64_t seed)
{
	uint64_t size = 2 * shape->cells * shape->granule;

	memset(p, 0, sizeof(*p));
	p->shape = shape;
	p->rng.state = seed;
	for (uint64_t i = 0; i < HOSTS; i++) {
		struct gpmm_host_options options = {
			.kind = GPMM_HOST_USER,
			.size = (size + 4 * K - 1) / (4 * K) * (4 * K),
			.user = (void *)(HOST_BASE + i * HOST_STRIDE),
		};

		CU_ASSERT_EQUAL_FATAL(gpmm_host_create(&options, &p->host[i]),
				      0);
	}
	open_side(p, &p->one);
	open_side(p, &p->each);
	model_init(&p->now, shape->base, shape->granule, shape->cells,
		   shape->no_merge, p->one.backend[0]);
	model_init(&p->then, shape->base, shape->granule, shape->cells,
		   shape->no_merge, p->one.backend[0]);
}

static void close_pair(struct pair *p)
{
	close_side(&p->one);
	close_side(&p->each);
	for (int i = 0; i < HOSTS; i++) {
		CU_ASSERT_EQUAL(p->host[i]->refs, 1);
		gpmm_host_put(p->host[i]);
	}
	model_fini(&p->now);
	model_fini(&p->then);
}

/* As many areas as there are to be, of up to three cells, some side by side. */
static bool populate(struct pair *p)
{
	uint32_t stride = p->shape->cells / p->shape->areas;
	bool done = true;

	p->requests = 0;
	model_copy(&p->then, &p->now);
	for (uint32_t i = 0; done && i < p->shape->areas; i++) {
		struct request r = { .kind = MAP };

		draw_area(p, &r.area);
		r.area.start = p->shape->base + i * stride * p->shape->granule;
		r.area.size = (1 + draw(p, stride)) * p->shape->granule;
		draw_memory(p, &r.area);
		if (i % LONGEST == 0)
			done = !gpmm_txn_begin(p->one.set, &p->txn);
		r.ret = ask(&p->one, p->txn, &r);
		done = done && follow(p, &r);
		if (i % LONGEST == LONGEST - 1 || i + 1 == p->shape->areas) {
			done = done && !gpmm_txn_commit(p->txn) && replay(p);
			p->requests = 0;
		}
	}
	return done;
}

/* Return: how many requests left something waiting. */
static unsigned long run_once(const struct shape *shape, uint64_t seed)
{
	static struct pair pair;
	bool done;

	open_pair(&pair, shape, seed);
	done = populate(&pair);
	for (unsigned int i = 0; done && i < shape->txns; i++)
		done = run_txn(&pair);
	if (!done)
		printf("    %s: %s\n", shape->name, pair.why);
	CU_ASSERT_FATAL(done);
	close_pair(&pair);
	return pair.waited;
}

/* Areas merge and go: each round starts with as many as there are to be. */
static void test_shapes(void)
{
	unsigned int rounds = env_long() ? 200 : 10;

	printf("\n");
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		unsigned long waited = 0;

		for (unsigned int n = 0; n < rounds; n++)
			waited += run_once(&shapes[i], env_seed() + n);
		printf("    %-50s %7lu requests waited\n", shapes[i].name,
		       waited);
		CU_ASSERT(waited > 100 || !shapes[i].waits);
	}
}

int main(void)
{
	static const struct suite_test tests[] = {
		{ "a transaction of remaps comes to what its requests come "
		  "to alone", test_shapes },
		{ 0 },
	};

	return suite_run("txn_remap_random", tests);
}

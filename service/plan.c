#include "service/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/plan.h"
#include "cache/plan_fresh.h"
#include "service/resolve/plans.h"

#define CPU_S          20
#define WALL_MS        30000
#define WALL_MS_OBJECT 200
#define DATA_BYTES     (1ull << 30)

struct objects {
    struct tc_plans_ref *ref; /* the paths are ours */
    size_t count;
};

struct tc_plan_queue {
    struct tc_plan_queue *next;
    struct tc_planner *owner;
    struct tc_flat_file config;
    struct tc_waiter *waiters;
    struct objects running, wanted;
    uint64_t batch; /* number of the running one */
    int is_running;
    int one_by_one; /* the batch crashed: `at` is the object that is tried */
    size_t at;
    int failed; /* the status to tell for this batch */
    char path[TC_PATH_BYTES], temp[TC_PATH_BYTES + 64];
};

static void free_objects(struct objects *o)
{
    for (size_t i = 0; i < o->count; i++)
        free((char *)(uintptr_t)o->ref[i].path);
    free(o->ref);
    *o = (struct objects){0};
}

static int contains(const struct objects *o, const struct tc_wanted_object *w)
{
    for (size_t i = 0; i < o->count; i++) {
        if (tc_same_file_id(&o->ref[i].id, &w->id) && o->ref[i].function == w->function)
            return 1;
    }
    return 0;
}

static int append(struct objects *o, const struct tc_wanted_object *w)
{
    struct tc_plans_ref *grown = realloc(o->ref, (o->count + 1) * sizeof *grown);
    char *path = strdup(w->path);

    if (grown != NULL)
        o->ref = grown;
    if (grown == NULL || path == NULL) {
        free(path);
        return -ENOMEM;
    }
    o->ref[o->count++] = (struct tc_plans_ref){.path = path, .id = w->id, .function = w->function};
    return 0;
}

static uint32_t task_count(const struct tc_flat *config)
{
    const struct tc_config *c = tc_flat_root(config, sizeof *c);

    return c != NULL ? c->tasks.count : 0;
}

/* The plans so far; a file that isn't sound counts as none. */
static int open_plans(const struct tc_plan_queue *q, const char *path, struct tc_flat_file *ret)
{
    int r = tc_flat_file_open(path, TC_FLAT_PLANS, ret);

    if (r == 0 && tc_plans_verify(&ret->flat, task_count(&q->config.flat)) < 0) {
        tc_flat_file_close(ret);
        r = -EBADMSG;
    }
    return r;
}

/* In the child. */
static int resolve(void *arg)
{
    const struct tc_plan_queue *q = arg;
    const struct tc_plans_ref *refs = q->running.ref + (q->one_by_one ? q->at : 0);
    size_t count = q->one_by_one ? 1 : q->running.count;
    struct tc_flat_builder b;
    struct tc_flat_file old;
    int has_old = open_plans(q, q->path, &old) == 0;
    int r = tc_plans_update(&q->config.flat, has_old ? &old.flat : NULL, refs, count, &b);

    if (r == 0)
        r = tc_flat_builder_write(&b, AT_FDCWD, q->temp);
    tc_flat_builder_free(&b);
    return r;
}

static int put_in_place(struct tc_plan_queue *q)
{
    struct tc_flat_file f;
    int r = open_plans(q, q->temp, &f);

    if (r == 0) {
        tc_flat_file_close(&f);
        r = rename(q->temp, q->path) < 0 ? -errno : 0;
    }
    if (r < 0)
        (void)unlink(q->temp);
    return r;
}

static void on_end(void *ctx, int status);

#ifdef TC_TEST_CLOCK
/* Tests that wait for the end of a resolver which hangs (service/resolve/plans_object.c) don't wait
 * for half a minute. */
static int is_to_hang(const struct tc_plan_queue *q)
{
    for (size_t i = 0; i < q->running.count; i++)
        if (strstr(q->running.ref[i].path, "hangs-the-resolver") != NULL)
            return 1;
    return 0;
}
#endif

static int start(struct tc_plan_queue *q)
{
    struct tc_job_spec spec = {.run = resolve, .arg = q, .done = on_end, .ctx = q, .keep_fd = -1};

    spec.cpu_s = CPU_S;
    spec.data_bytes = DATA_BYTES;
    spec.wall_ms = WALL_MS;
    if (!q->one_by_one)
        spec.wall_ms +=
            (unsigned)(q->running.count < 1000 ? q->running.count : 1000) * WALL_MS_OBJECT;
#ifdef TC_TEST_CLOCK
    if (is_to_hang(q))
        spec.wall_ms = 4000;
#endif
    return tc_job_start(q->owner->compiler->jobs, &spec);
}

static void free_queue(struct tc_plan_queue *q)
{
    free_objects(&q->running);
    free_objects(&q->wanted);
    tc_flat_file_close(&q->config);
    free(q);
}

static void forget(struct tc_plan_queue *q)
{
    struct tc_plan_queue **at = &q->owner->first;

    while (*at != q)
        at = &(*at)->next;
    *at = q->next;
    free_queue(q);
}

/* Tells those whose batch is through. */
static void tell(struct tc_plan_queue *q, uint64_t batch, int status)
{
    struct tc_waiter **at = &q->waiters;

    while (*at != NULL) {
        struct tc_waiter *w = *at;

        if (w->batch > batch) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        w->done(w->ctx, status, status < 0 ? TC_R_RESOLVER_FAILED : 0, 0);
        free(w);
    }
}

/* Begins the next batch, or ends the queue's life. */
static void go_on(struct tc_plan_queue *q)
{
    int r = 0;

    q->is_running = 0;
    while (q->wanted.count > 0 && !q->is_running) {
        free_objects(&q->running);
        q->running = q->wanted;
        q->wanted = (struct objects){0};
        q->batch++;
        q->one_by_one = 0;
        q->failed = 0;
        r = start(q);
        q->is_running = r == 0;
        if (r < 0)
            tell(q, q->batch, r);
    }
    if (!q->is_running)
        forget(q);
}

/* One object after the other; a second crash at the same one, now refused by name, gives it up. */
static void isolate(struct tc_plan_queue *q, int status)
{
    struct tc_plans_ref *ref = &q->running.ref[q->at];
    struct tc_log *log = q->owner->compiler->log;

    if (status == 0) {
        q->at++;
    } else if (ref->refuse == 0) {
        ref->refuse = TC_R_RESOLVER_FAILED;
        tc_log_line(log, TC_LOG_ERROR, TC_R_RESOLVER_FAILED, "%s", ref->path);
    } else {
        q->failed = status;
        q->at++;
    }
}

static void on_end(void *ctx, int status)
{
    struct tc_plan_queue *q = ctx;

    if (status == 0)
        status = put_in_place(q);
    if (q->one_by_one) {
        isolate(q, status);
    } else if (status == TC_JOB_CRASHED || status == -EBADMSG) {
        q->one_by_one = 1;
        q->at = 0;
    } else {
        q->failed = status;
    }
    if (q->one_by_one && q->at < q->running.count) {
        q->failed = start(q);
        if (q->failed == 0)
            return;
    }
    if (q->failed < 0)
        tc_log_line(q->owner->compiler->log, TC_LOG_ERROR, TC_R_RESOLVER_FAILED, "%s: %s", q->path,
                    strerror(-q->failed));
    tell(q, q->batch, q->failed);
    go_on(q);
}

/* The queue of the plans file that goes with a config. Takes the config over. */
static int find_queue(struct tc_planner *p, struct tc_flat_file *config, struct tc_plan_queue **ret)
{
    const struct tc_config *c = tc_flat_root(&config->flat, sizeof *c);
    static unsigned serial;
    char path[TC_PATH_BYTES];
    struct tc_plan_queue *q;
    int r = tc_plans_path(p->compiler->dirs->cache, c->resolve_digest, path, sizeof path);

    for (q = r == 0 ? p->first : NULL; q != NULL; q = q->next) {
        if (strcmp(q->path, path) == 0) {
            tc_flat_file_close(config);
            *ret = q;
            return 0;
        }
    }
    q = r == 0 ? calloc(1, sizeof *q) : NULL;
    if (q == NULL) {
        tc_flat_file_close(config);
        return r < 0 ? r : -ENOMEM;
    }
    memcpy(q->path, path, sizeof q->path);
    (void)snprintf(q->temp, sizeof q->temp, "%s/plans-%ld-%u.new", p->compiler->dirs->cache,
                   (long)getpid(), serial++);
    q->owner = p;
    q->config = *config;
    q->next = p->first;
    p->first = q;
    *ret = q;
    return 0;
}

/* Is all there that is asked for? No more than so many functions of an object are ever there. */
static int is_there(const struct tc_flat *plans, const struct tc_wanted_object *w)
{
    const struct tc_object *o = tc_plans_find(plans, &w->id);

    return o != NULL && tc_plans_fresh(plans, &w->id) &&
           (w->function == 0 || o->functions.count >= TC_MAX_CODE_SOURCES ||
            tc_plans_code(plans, o, w->function) != NULL);
}

/* Enters what is missing; *ret_batch says which batch must be through, 0: all is there. */
static int enter(struct tc_plan_queue *q, const struct tc_wanted_object *objects, size_t count,
                 uint64_t *ret_batch)
{
    struct tc_flat_file plans;
    int has_plans = open_plans(q, q->path, &plans) == 0, r = 0;

    *ret_batch = 0;
    for (size_t i = 0; i < count && r == 0; i++) {
        if (has_plans && is_there(&plans.flat, &objects[i]))
            continue;
        if (q->is_running && contains(&q->running, &objects[i])) {
            *ret_batch = *ret_batch < q->batch ? q->batch : *ret_batch;
            continue;
        }
        if (!contains(&q->wanted, &objects[i]))
            r = append(&q->wanted, &objects[i]);
        *ret_batch = q->batch + 1;
    }
    if (has_plans)
        tc_flat_file_close(&plans);
    return r;
}

static void ask(struct tc_planner *p, struct tc_flat_file *config,
                const struct tc_wanted_object *objects, size_t count, tc_done_fn *done, void *ctx)
{
    struct tc_waiter *w = calloc(1, sizeof *w);
    struct tc_plan_queue *q = NULL;
    int r = find_queue(p, config, &q);

    if (r == 0)
        r = w == NULL ? -ENOMEM : enter(q, objects, count, &w->batch);
    if (r < 0 || w->batch == 0) {
        done(ctx, r, r < 0 ? TC_R_RESOLVER_FAILED : 0, 0);
        free(w);
    } else {
        w->done = done;
        w->ctx = ctx;
        w->next = q->waiters;
        q->waiters = w;
    }
    if (q != NULL && !q->is_running)
        go_on(q);
}

/* A request that waits for its config. */
struct tc_plan_ask {
    struct tc_plan_ask *next;
    struct tc_planner *owner;
    char *config;
    struct tc_file_id config_id;
    struct objects objects;
    tc_done_fn *done;
    void *ctx;
};

static void free_ask(struct tc_plan_ask *a)
{
    free_objects(&a->objects);
    free(a->config);
    free(a);
}

static void on_compiled(void *ctx, int status, unsigned reason, uint64_t value)
{
    struct tc_plan_ask *a = ctx, **at = &a->owner->asking;
    struct tc_wanted_object *objects;
    struct tc_flat_file config;

    (void)value;
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    if (status == 0)
        status = tc_compiled_open(a->owner->compiler->dirs, a->config, &a->config_id, &config);
    objects = calloc(a->objects.count + 1, sizeof *objects);
    if (status < 0 || objects == NULL) {
        if (status == 0)
            tc_flat_file_close(&config);
        a->done(a->ctx, status < 0 ? status : -ENOMEM, reason ? reason : TC_R_CONFIG_UNREADABLE, 0);
    } else {
        for (size_t i = 0; i < a->objects.count; i++)
            objects[i] = (struct tc_wanted_object){a->objects.ref[i].path, a->objects.ref[i].id,
                                                   a->objects.ref[i].function};
        ask(a->owner, &config, objects, a->objects.count, a->done, a->ctx);
    }
    free(objects);
    free_ask(a);
}

void tc_plan(struct tc_planner *p, const char *config, const struct tc_file_id *config_id,
             const struct tc_wanted_object *objects, size_t count, tc_done_fn *done, void *ctx)
{
    struct tc_flat_file flat;
    struct tc_plan_ask *a;
    int r = 0;

    if (tc_compiled_open(p->compiler->dirs, config, config_id, &flat) == 0) {
        ask(p, &flat, objects, count, done, ctx);
        return;
    }
    a = calloc(1, sizeof *a);
    if (a != NULL)
        a->config = strdup(config);
    for (size_t i = 0; i < count && r == 0 && a != NULL; i++)
        r = append(&a->objects, &objects[i]);
    if (a == NULL || a->config == NULL || r < 0) {
        if (a != NULL)
            free_ask(a);
        done(ctx, -ENOMEM, TC_R_RESOLVER_FAILED, 0);
        return;
    }
    a->owner = p;
    a->config_id = *config_id;
    a->done = done;
    a->ctx = ctx;
    a->next = p->asking;
    p->asking = a;
    tc_compile(p->compiler, config, on_compiled, a);
}

/* The compiler, whose waiters the asking ones are, goes first. */
void tc_planner_free(struct tc_planner *p)
{
    while (p->first != NULL) {
        struct tc_plan_queue *q = p->first;

        p->first = q->next;
        (void)unlink(q->temp);
        tell(q, UINT64_MAX, -ECANCELED);
        free_queue(q);
    }
}

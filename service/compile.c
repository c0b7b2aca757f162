#include "service/compile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service/plugin_dirs.h"
#include "service/resolve/config.h"

#define CPU_S   5
#define WALL_MS 10000

struct tc_compile {
    struct tc_compile *next;
    struct tc_compiler *owner;
    struct tc_file_id id;
    struct tc_waiter *waiters;
    char path[TC_PATH_BYTES];
    char temp[TC_PATH_BYTES];
};

static int is_current(const struct tc_flat *f)
{
    const struct tc_config *c = tc_flat_root(f, sizeof *c);
    const struct tc_dep *deps = tc_flat_at(f, c->deps.off, c->deps.count, sizeof *deps);
    struct stat st;

    for (uint32_t i = 0; i < c->deps.count; i++) {
        struct tc_file_id id;

        if (deps == NULL || stat(tc_flat_str(f, deps[i].path), &st) < 0)
            return 0;
        id = tc_file_id_of(&st);
        if (!tc_same_file_id(&id, &deps[i].id))
            return 0;
    }
    return 1;
}

static int flat_path(const struct tc_dirs *dirs, const char *path, const struct tc_file_id *id,
                     char ret[TC_PATH_BYTES])
{
    char hex[33];

    tc_config_name(path, id, hex);
    return tc_config_flat_path(dirs->runtime, hex, ret, TC_PATH_BYTES);
}

int tc_compiled_open(const struct tc_dirs *dirs, const char *path, const struct tc_file_id *id,
                     struct tc_flat_file *ret)
{
    char name[TC_PATH_BYTES];
    struct tc_flat_file f;
    int r = flat_path(dirs, path, id, name);

    if (r == 0)
        r = tc_flat_file_open(name, TC_FLAT_CONFIG, &f);
    if (r < 0)
        return r;
    if (tc_config_verify(&f.flat) < 0 || !is_current(&f.flat)) {
        tc_flat_file_close(&f);
        return -ESTALE;
    }
    *ret = f;
    return 0;
}

/* In the child. */
static int compile_file(void *arg)
{
    const struct tc_compile *c = arg;
    struct tc_config_options o = {.home = getenv("HOME"), .uid = geteuid()};
    struct tc_flat_builder b;
    int r;

    o.plugin_dirs = tc_plugin_dirs(&o.plugin_dir_count);
    r = tc_config_compile(c->path, &o, &b);
    if (r == 0)
        r = tc_flat_builder_write(&b, AT_FDCWD, c->temp);
    tc_flat_builder_free(&b);
    return r;
}

/* The child's file under its final name, if it is sound. */
static int put_in_place(struct tc_compile *c, struct tc_flat_file *ret)
{
    char name[TC_PATH_BYTES];
    const struct tc_config *root;
    struct tc_flat_file f;
    int r = tc_flat_file_open(c->temp, TC_FLAT_CONFIG, &f);

    if (r < 0)
        return r;
    root = tc_flat_root(&f.flat, sizeof *root);
    if (root == NULL || tc_config_verify(&f.flat) < 0)
        r = -EBADMSG;
    if (r == 0)
        r = flat_path(c->owner->dirs, c->path, root->id.ino != 0 ? &root->id : &c->id, name);
    if (r == 0 && rename(c->temp, name) < 0)
        r = -errno;
    if (r < 0)
        tc_flat_file_close(&f);
    else
        *ret = f;
    return r;
}

static void tell(struct tc_waiter *w, int status, unsigned reason, uint64_t value)
{
    while (w != NULL) {
        struct tc_waiter *next = w->next;
        w->done(w->ctx, status, reason, value);
        free(w);
        w = next;
    }
}

static int finish(struct tc_compile *c, int status, struct tc_flat_file *ret)
{
    if (status == 0)
        status = put_in_place(c, ret);
    if (status < 0)
        (void)unlink(c->temp);
    return status;
}

static void on_end(void *ctx, int status)
{
    struct tc_compile *c = ctx, **at = &c->owner->first;
    struct tc_compiler *owner = c->owner;
    struct tc_flat_file f;
    uint64_t errors = 0;

    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    status = finish(c, status, &f);
    if (status == 0) {
        const struct tc_config *root = tc_flat_root(&f.flat, sizeof *root);

        errors = root->errors;
        if (owner->compiled != NULL)
            owner->compiled(owner->ctx, &f.flat);
        tc_flat_file_close(&f);
    } else {
        tc_log_line(owner->log, TC_LOG_ERROR, TC_R_RESOLVER_FAILED, "config %s: %s", c->path,
                    status == TC_JOB_CRASHED ? "the loader crashed or took too long"
                                             : strerror(-status));
    }
    tell(c->waiters, status, status < 0 ? TC_R_RESOLVER_FAILED : 0, errors);
    free(c);
}

static int prepare(struct tc_compile *c, struct tc_compiler *owner, const char *path)
{
    static unsigned serial;
    char *real = realpath(path, NULL);
    struct stat st;
    int n;

    if (real == NULL)
        return -errno;
    n = snprintf(c->path, sizeof c->path, "%s", real);
    free(real);
    if (n >= (int)sizeof c->path)
        return -ENAMETOOLONG;
    if (stat(c->path, &st) < 0)
        return -errno;
    c->owner = owner;
    c->id = tc_file_id_of(&st);
    n = snprintf(c->temp, sizeof c->temp, "%s/config-%ld-%u.new", owner->dirs->runtime,
                 (long)getpid(), serial++);
    return n < (int)sizeof c->temp ? 0 : -ENAMETOOLONG;
}

static int start(struct tc_compile *c)
{
    struct tc_job_spec spec = {.run = compile_file,
                               .arg = c,
                               .done = on_end,
                               .ctx = c,
                               .keep_fd = -1,
                               .cpu_s = CPU_S,
                               .wall_ms = WALL_MS};
    int r = tc_job_start(c->owner->jobs, &spec);

    if (r < 0)
        return r;
    c->next = c->owner->first;
    c->owner->first = c;
    return 0;
}

static struct tc_compile *find_running(struct tc_compiler *owner, const struct tc_compile *like)
{
    for (struct tc_compile *c = owner->first; c != NULL; c = c->next) {
        if (strcmp(c->path, like->path) == 0 && tc_same_file_id(&c->id, &like->id))
            return c;
    }
    return NULL;
}

/* 1: it is there already, with its number of errors. */
static int is_compiled(const struct tc_compile *c, uint64_t *ret_errors)
{
    const struct tc_config *root;
    struct tc_flat_file f;

    if (tc_compiled_open(c->owner->dirs, c->path, &c->id, &f) < 0)
        return 0;
    root = tc_flat_root(&f.flat, sizeof *root);
    *ret_errors = root->errors;
    if (c->owner->compiled != NULL)
        c->owner->compiled(c->owner->ctx, &f.flat);
    tc_flat_file_close(&f);
    return 1;
}

void tc_compile(struct tc_compiler *owner, const char *path, tc_done_fn *done, void *ctx)
{
    struct tc_compile *c = calloc(1, sizeof *c), *running;
    struct tc_waiter *w = calloc(1, sizeof *w);
    uint64_t errors = 0;
    int r = c == NULL || w == NULL ? -ENOMEM : prepare(c, owner, path);

    if (r < 0 || is_compiled(c, &errors)) {
        done(ctx, r, r < 0 ? TC_R_CONFIG_UNREADABLE : 0, errors);
        free(w);
        free(c);
        return;
    }
    *w = (struct tc_waiter){.done = done, .ctx = ctx};
    running = find_running(owner, c);
    if (running != NULL) {
        free(c);
        w->next = running->waiters;
        running->waiters = w;
        return;
    }
    c->waiters = w;
    r = start(c);
    if (r == 0)
        return;
    tell(w, r, TC_R_SERVICE_FAILED, 0);
    free(c);
}

int tc_compile_now(struct tc_compiler *owner, const char *path, struct tc_flat_file *ret,
                   struct tc_failure *f)
{
    struct tc_compile c = {0};
    int r = prepare(&c, owner, path);

    if (r < 0)
        return tc_fail(f, TC_R_CONFIG_UNREADABLE, -r, "%s: %s", path, strerror(-r));
    r = tc_compiled_open(owner->dirs, c.path, &c.id, ret);
    if (r < 0) {
        struct tc_job_spec spec = {
            .run = compile_file, .arg = &c, .keep_fd = -1, .cpu_s = CPU_S, .wall_ms = WALL_MS};

        r = finish(&c, tc_job_run(&spec), ret);
    }
    if (r < 0)
        return tc_fail(f, TC_R_RESOLVER_FAILED, -r, "%s: %s", path,
                       r == TC_JOB_CRASHED ? "the loader crashed or took too long" : strerror(-r));
    return 0;
}

void tc_compiler_free(struct tc_compiler *owner)
{
    while (owner->first != NULL) {
        struct tc_compile *c = owner->first;

        owner->first = c->next;
        (void)unlink(c->temp);
        tell(c->waiters, -ECANCELED, TC_R_NO_SERVICE, 0);
        free(c);
    }
}

/* service/plan.c: joined requests, and a resolver that crashes, fails or writes rubbish. The
 * resolver is a double that does what the object's name says. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/plan.h"
#include "service/plan.h"
#include "service/resolve/config.h"
#include "service/resolve/plans.h"

static char base[64], runs_path[80];

/* The doubles work in child processes: they count their runs in a file. */
static void count_run(void)
{
    int fd = open(runs_path, O_WRONLY | O_CREAT | O_APPEND, 0600);

    if (write(fd, "x", 1) != 1)
        _exit(1);
    close(fd);
}

static long runs(void)
{
    struct stat st;

    return stat(runs_path, &st) == 0 ? (long)st.st_size : 0;
}

int tc_config_compile(const char *path, const struct tc_config_options *o,
                      struct tc_flat_builder *out)
{
    struct tc_config *c;
    struct stat st;
    struct tc_str text;

    (void)o;
    tc_flat_builder_init(out, TC_FLAT_CONFIG, sizeof *c);
    text = tc_flat_add_str(out, path);
    c = tc_flat_builder_root(out);
    c->path = text;
    if (stat(path, &st) == 0)
        c->id = tc_file_id_of(&st);
    if (strstr(path, "crash") != NULL)
        abort();
    return tc_flat_builder_finish(out);
}

static int by_inode(const void *a, const void *b)
{
    const struct tc_object *x = a, *y = b;

    return (x->id.ino > y->id.ino) - (x->id.ino < y->id.ino);
}

int tc_plans_update(const struct tc_flat *config, const struct tc_flat *old,
                    const struct tc_plans_ref *refs, size_t n, struct tc_flat_builder *out)
{
    const struct tc_plans *was = old ? tc_flat_root(old, sizeof *was) : NULL;
    const struct tc_object *kept =
        was ? tc_flat_at(old, was->objects.off, was->objects.count, sizeof *kept) : NULL;
    struct tc_object objects[64] = {0};
    struct tc_plans *root;
    struct tc_span span;
    size_t count = 0;

    (void)config;
    count_run();
    for (size_t i = 0; was != NULL && i < was->objects.count; i++)
        objects[count++] = kept[i];
    tc_flat_builder_init(out, TC_FLAT_PLANS, sizeof *root);
    for (size_t i = 0; i < n; i++) {
        if (strstr(refs[i].path, "crash") != NULL && refs[i].refuse == 0)
            abort();
        if (strstr(refs[i].path, "hopeless") != NULL)
            abort();
        if (strstr(refs[i].path, "slow") != NULL)
            usleep(300000);
        if (strstr(refs[i].path, "fail") != NULL)
            return -ENOMEM;
        objects[count].id = refs[i].id;
        objects[count++].reason = refs[i].refuse;
    }
    for (size_t i = 0; i < count; i++)
        objects[i].path = objects[i].soname = (struct tc_str){0, 0};
    qsort(objects, count, sizeof *objects, by_inode);
    span = tc_flat_add(out, objects, count, sizeof *objects);
    root = tc_flat_builder_root(out);
    root->objects = span;
    return tc_flat_builder_finish(out);
}

struct bench {
    struct tc_dirs dirs;
    struct tc_log log;
    struct tc_jobs jobs;
    struct tc_compiler compiler;
    struct tc_planner planner;
    char config[128];
    struct tc_file_id config_id;
};

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    struct stat st;

    strcpy(base, "/tmp/tc-plan-XXXXXX");
    assert_non_null(mkdtemp(base));
    snprintf(runs_path, sizeof runs_path, "%s/runs", base);
    snprintf(b->dirs.runtime, sizeof b->dirs.runtime, "%s", base);
    snprintf(b->dirs.cache, sizeof b->dirs.cache, "%s", base);
    snprintf(b->config, sizeof b->config, "%s/c.yaml", base);
    close(open(b->config, O_WRONLY | O_CREAT, 0600));
    assert_int_equal(stat(b->config, &st), 0);
    b->config_id = tc_file_id_of(&st);
    b->log.dirfd = open(base, O_RDONLY | O_DIRECTORY);
    b->compiler.dirs = &b->dirs;
    b->compiler.log = &b->log;
    b->compiler.jobs = &b->jobs;
    b->planner.compiler = &b->compiler;
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    char command[128];

    tc_jobs_kill(&b->jobs);
    tc_compiler_free(&b->compiler);
    tc_planner_free(&b->planner);
    close(b->log.dirfd);
    snprintf(command, sizeof command, "rm -rf %s", base);
    assert_int_equal(system(command), 0);
    free(b);
    return 0;
}

struct result {
    int done, status;
    unsigned reason;
};

static void on_done(void *ctx, int status, unsigned reason, uint64_t value)
{
    struct result *r = ctx;

    (void)value;
    r->done++;
    r->status = status;
    r->reason = reason;
}

static struct tc_wanted_object object(const char *name, uint64_t inode)
{
    return (struct tc_wanted_object){name, {.ino = inode, .size = 1}};
}

static void ask(struct bench *b, const struct tc_wanted_object *objects, size_t count,
                struct result *r)
{
    *r = (struct result){0};
    tc_plan(&b->planner, b->config, &b->config_id, objects, count, on_done, r);
}

static void await(struct bench *b, struct result *r)
{
    for (int i = 0; i < 1000 && !r->done; i++) {
        usleep(5000);
        tc_jobs_reap(&b->jobs);
    }
    assert_int_equal(r->done, 1);
}

/* The reason with which an object is entered, -1: it isn't. */
static int entered(struct bench *b, uint64_t inode)
{
    static const uint8_t digest[16];
    struct tc_file_id id = {.ino = inode, .size = 1};
    const struct tc_object *found;
    struct tc_flat_file f;
    char path[200];
    int reason = -1;

    assert_int_equal(tc_plans_path(b->dirs.cache, digest, path, sizeof path), 0);
    if (tc_flat_file_open(path, TC_FLAT_PLANS, &f) < 0)
        return -1;
    found = tc_plans_find(&f.flat, &id);
    if (found != NULL)
        reason = (int)found->reason;
    tc_flat_file_close(&f);
    return reason;
}

static void test_requests_for_the_same_are_joined(void **state)
{
    struct bench *b = *state;
    struct tc_wanted_object first[] = {object("slow", 1), object("b", 2)};
    struct tc_wanted_object second[] = {object("b", 2)}, third[] = {object("c", 3), first[1]};
    struct result r[4];

    ask(b, first, 2, &r[0]); /* waits for its config */
    for (int i = 0; i < 400 && runs() == 0; i++) {
        usleep(5000);
        tc_jobs_reap(&b->jobs);
    }
    ask(b, second, 1, &r[1]);
    ask(b, third, 2, &r[2]);
    ask(b, third, 1, &r[3]);
    assert_int_equal(r[0].done + r[1].done + r[2].done + r[3].done, 0);
    for (int i = 0; i < 4; i++)
        await(b, &r[i]);
    for (int i = 0; i < 4; i++)
        assert_int_equal(r[i].status, 0);
    assert_int_equal(runs(), 2);
    assert_int_equal(entered(b, 1) + entered(b, 2) + entered(b, 3), 0);
    ask(b, third, 2, &r[0]);
    assert_int_equal(r[0].done, 1);
    assert_int_equal(runs(), 2);
}

static void test_the_object_at_which_the_resolver_crashes_is_refused(void **state)
{
    struct bench *b = *state;
    struct tc_wanted_object objects[] = {object("a", 1), object("crash", 2), object("c", 3)};
    struct result r;

    ask(b, objects, 3, &r);
    await(b, &r);
    assert_int_equal(r.status, 0);
    assert_int_equal(entered(b, 1), 0);
    assert_int_equal(entered(b, 2), TC_R_RESOLVER_FAILED);
    assert_int_equal(entered(b, 3), 0);
    /* all; a; crash; crash refused; c */
    assert_int_equal(runs(), 5);
}

static void test_a_resolver_that_crashes_even_so_is_reported(void **state)
{
    struct bench *b = *state;
    struct tc_wanted_object objects[] = {object("hopeless", 1)}, fine[] = {object("b", 2)};
    struct result r;

    ask(b, objects, 1, &r);
    await(b, &r);
    assert_int_equal(r.status, TC_JOB_CRASHED);
    assert_int_equal(r.reason, TC_R_RESOLVER_FAILED);
    assert_int_equal(entered(b, 1), -1);
    ask(b, fine, 1, &r);
    await(b, &r);
    assert_int_equal(r.status, 0);
}

static void test_an_error_is_told_to_those_who_asked(void **state)
{
    struct bench *b = *state;
    struct tc_wanted_object objects[] = {object("fail", 1)};
    struct result r;

    ask(b, objects, 1, &r);
    await(b, &r);
    assert_int_equal(r.status, -ENOMEM);
    assert_int_equal(entered(b, 1), -1);
}

static void test_a_damaged_plans_file_is_written_anew(void **state)
{
    static const uint8_t digest[16];
    struct bench *b = *state;
    struct tc_wanted_object objects[] = {object("a", 1), object("b", 2)};
    struct result r;
    char path[200];
    int fd;

    ask(b, objects, 1, &r);
    await(b, &r);
    assert_int_equal(tc_plans_path(b->dirs.cache, digest, path, sizeof path), 0);
    fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "\xff\xff\xff\xff", 4, 60), 4);
    close(fd);
    assert_int_equal(entered(b, 1), -1);
    ask(b, objects, 2, &r);
    await(b, &r);
    assert_int_equal(r.status, 0);
    assert_int_equal(entered(b, 1) + entered(b, 2), 0);
}

static void test_a_config_loader_that_crashes_is_reported(void **state)
{
    struct bench *b = *state;
    struct tc_wanted_object objects[] = {object("a", 1)};
    struct result r[2] = {{0}};
    struct stat st;

    snprintf(b->config, sizeof b->config, "%s/crash.yaml", base);
    close(open(b->config, O_WRONLY | O_CREAT, 0600));
    assert_int_equal(stat(b->config, &st), 0);
    b->config_id = tc_file_id_of(&st);
    tc_compile(&b->compiler, b->config, on_done, &r[0]);
    ask(b, objects, 1, &r[1]);
    await(b, &r[0]);
    await(b, &r[1]);
    assert_int_equal(r[0].status, TC_JOB_CRASHED);
    assert_int_equal(r[1].status, TC_JOB_CRASHED);
    assert_int_equal(r[0].reason, TC_R_RESOLVER_FAILED);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_requests_for_the_same_are_joined),
        TEST(test_the_object_at_which_the_resolver_crashes_is_refused),
        TEST(test_a_resolver_that_crashes_even_so_is_reported),
        TEST(test_an_error_is_told_to_those_who_asked),
        TEST(test_a_damaged_plans_file_is_written_anew),
        TEST(test_a_config_loader_that_crashes_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

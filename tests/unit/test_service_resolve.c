/* taskcached compiles configs and plans objects for its clients, in child processes. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utime.h>

#include <cmocka.h>

#include "cache/places.h"
#include "cache/plan.h"
#include "service/flat_file.h"
#include "tests/unit/service_fixture.h"

struct running {
    struct place p;
    pid_t pid;
    struct client c;
    char config[128];
};

static void write_config(struct running *r, const char *symbol)
{
    char text[600];

    snprintf(text, sizeof text,
             "cache: { path: %s, max_size: 8MiB }\n"
             "tasks:\n"
             "  - symbol: %s\n"
             "    prototype: |\n"
             "      double %s(double x)\n"
             "    cache_policy: INPUTS\n",
             r->p.cache, symbol, symbol);
    write_file(r->config, text);
}

static int setup(void **state)
{
    struct running *r = calloc(1, sizeof *r);
    const char *const arguments[] = {"--config", r->config, "--idle-exit", "0", NULL};
    char line[512];

    place_make(&r->p);
    snprintf(r->config, sizeof r->config, "%s/taskcache.yaml", r->p.root);
    write_config(r, "cos");
    r->pid = service_run(&r->p, arguments, line);
    assert_string_equal(line, "ok\n");
    client_open(&r->p, &r->c);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct running *r = *state;

    client_close(&r->c);
    service_quit(&r->p, r->pid);
    place_remove(&r->p);
    free(r);
    return 0;
}

static int config_is_there(const struct running *r, struct tc_flat_file *ret)
{
    char hex[33], path[200];
    struct tc_file_id id;

    file_id(r->config, &id);
    tc_config_name(r->config, &id, hex);
    assert_int_equal(tc_config_flat_path(r->p.runtime, hex, path, sizeof path), 0);
    return tc_flat_file_open(path, TC_FLAT_CONFIG, ret) == 0;
}

static int plans_of(const struct running *r, struct tc_flat_file *ret)
{
    const struct tc_config *c;
    struct tc_flat_file config;
    char path[200];
    int found;

    assert_true(config_is_there(r, &config));
    c = tc_flat_root(&config.flat, sizeof *c);
    assert_int_equal(tc_plans_path(r->p.cache, c->resolve_digest, path, sizeof path), 0);
    tc_flat_file_close(&config);
    found = tc_flat_file_open(path, TC_FLAT_PLANS, ret) == 0;
    if (found)
        assert_int_equal(tc_plans_verify(&ret->flat, 1), 0);
    return found;
}

static int is_planned(const struct running *r, const char *object)
{
    struct tc_flat_file plans;
    struct tc_file_id id;
    int found;

    if (!plans_of(r, &plans))
        return 0;
    file_id(object, &id);
    found = tc_plans_find(&plans.flat, &id) != NULL;
    tc_flat_file_close(&plans);
    return found;
}

static void test_the_config_is_compiled_at_the_start_and_after_an_edit(void **state)
{
    struct running *r = *state;
    struct tc_flat_file f;

    assert_true(config_is_there(r, &f));
    tc_flat_file_close(&f);
    write_config(r, "sin");
    assert_false(config_is_there(r, &f));
    assert_int_equal(client_config(&r->c, r->config).status, 0);
    assert_true(config_is_there(r, &f));
    tc_flat_file_close(&f);
    /* Again: nothing to do, the same answer. */
    assert_int_equal(client_config(&r->c, r->config).status, 0);
}

static void test_a_config_with_errors_is_compiled_too(void **state)
{
    struct running *r = *state;
    struct tc_flat_file f;
    const struct tc_config *c;
    struct tc_reply reply;

    write_file(r->config, "tasks:\n  - symbl: x\n  - [\n");
    reply = client_config(&r->c, r->config);
    assert_int_equal(reply.status, 0);
    assert_true(reply.value > 0);
    assert_true(config_is_there(r, &f));
    c = tc_flat_root(&f.flat, sizeof *c);
    assert_int_equal(c->errors, reply.value);
    tc_flat_file_close(&f);
    reply = client_config(&r->c, "/nonexistent/taskcache.yaml");
    assert_int_equal(reply.status, -ENOENT);
    assert_int_equal(reply.reason, TC_R_CONFIG_UNREADABLE);
    assert_int_equal(client_config(&r->c, "taskcache.yaml").status, -EINVAL);
}

static void test_objects_are_planned_once(void **state)
{
    const char *objects[] = {"/lib/x86_64-linux-gnu/libm.so.6", "/lib/x86_64-linux-gnu/libc.so.6",
                             "/bin/true", "/etc/passwd"};
    struct running *r = *state;
    struct tc_flat_file before, after;
    char path[200];
    struct stat st;

    for (size_t i = 0; i < 4; i++) {
        char *real = realpath(objects[i], NULL);
        assert_non_null(real);
        objects[i] = real;
    }
    assert_int_equal(client_plan(&r->c, r->config, objects, 2).status, 0);
    assert_true(is_planned(r, objects[0]));
    assert_true(is_planned(r, objects[1]));
    assert_false(is_planned(r, objects[2]));
    assert_int_equal(client_plan(&r->c, r->config, objects, 4).status, 0);
    for (size_t i = 0; i < 4; i++)
        assert_true(is_planned(r, objects[i]));
    assert_true(plans_of(r, &before));
    assert_int_equal(client_plan(&r->c, r->config, objects, 4).status, 0);
    assert_int_equal(client_plan(&r->c, r->config, objects, 0).status, 0);
    assert_true(plans_of(r, &after));
    assert_int_equal(before.bytes, after.bytes);
    tc_flat_file_close(&before);
    tc_flat_file_close(&after);
    snprintf(path, sizeof path, "%s/log", r->p.cache);
    assert_true(stat(path, &st) < 0 || st.st_size == 0);
    for (size_t i = 0; i < 4; i++)
        free((char *)(uintptr_t)objects[i]);
}

/* A target may ask before anybody compiled its config. */
static void test_a_plan_for_a_config_that_was_just_edited(void **state)
{
    struct running *r = *state;
    char *object = realpath("/lib/x86_64-linux-gnu/libm.so.6", NULL);

    write_config(r, "tan");
    assert_int_equal(client_plan(&r->c, r->config, (const char *const[]){object}, 1).status, 0);
    assert_true(is_planned(r, object));
    free(object);
}

static void test_stores_go_on_while_it_resolves(void **state)
{
    struct running *r = *state;
    struct client other;

    client_open(&r->p, &other);
    write_config(r, "exp");
    for (int i = 0; i < 20; i++) {
        client_store(&other, &(struct draft_spec){.key = 5, .output_bytes = 10, .fill = 'x'}, 0);
        assert_int_equal(client_reply(&other).status, 0);
    }
    assert_int_equal(client_config(&r->c, r->config).status, 0);
    client_close(&other);
}

static void test_old_configs_are_swept(void **state)
{
    struct running *r = *state;
    char old[200], young[200];
    struct utimbuf ages_ago = {1000000, 1000000};

    client_close(&r->c);
    service_quit(&r->p, r->pid);
    snprintf(old, sizeof old, "%s/config-%032x.flat", r->p.runtime, 1);
    snprintf(young, sizeof young, "%s/config-%032x.flat", r->p.runtime, 2);
    write_file(old, "x");
    write_file(young, "x");
    assert_int_equal(utime(old, &ages_ago), 0);
    r->pid = service_start(&r->p, 0);
    client_open(&r->p, &r->c);
    assert_int_equal(client_hello(&r->c).status, 0);
    for (int i = 0; i < 100 && access(old, F_OK) == 0; i++)
        usleep(10000);
    assert_int_equal(access(old, F_OK), -1);
    assert_int_equal(access(young, F_OK), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_config_is_compiled_at_the_start_and_after_an_edit),
        TEST(test_a_config_with_errors_is_compiled_too),
        TEST(test_objects_are_planned_once),
        TEST(test_a_plan_for_a_config_that_was_just_edited),
        TEST(test_stores_go_on_while_it_resolves),
        TEST(test_old_configs_are_swept),
    };

    (void)signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The config loader: the files that it reads, and whom it trusts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/policy.h"
#include "cache/reason.h"
#include "service/resolve/trust.h"
#include "tests/unit/config_fixture.h"

#define I TC_POLICY_INPUTS
#define S TC_POLICY_SOURCE
#define R TC_POLICY_RUN_ID

static void copy_plugin(const char *name)
{
    char command[400];

    snprintf(command, sizeof command, "mkdir -p plugins/%s && cp '%s/%s.so' plugins/%s/", name,
             PLUGINS_DIR, name, name);
    assert_int_equal(system(command), 0);
}

/* The plugin "larger" has the tasks plain (named p), dancer (with an unknown member) and last
 * (persist_result). */
static void plugins(void **state)
{
    const struct tc_dep *dep;
    struct compiled c;

    (void)state;
    copy_plugin("larger");
    c = compile("plugins: [ larger ]\n");
    assert_int_equal(c.config->errors, 0);
    assert_int_equal(c.config->warnings, 1);
    assert_string_equal(problem(&c, 0),
                        "plugin larger: dancer: not-yet-key: the task uses members that this "
                        "version doesn't know: it stays uncached");
    assert_int_equal(c.config->tasks.count, 3);
    assert_string_equal(text_of(&c, c.tasks[0].symbol), "plain");
    assert_string_equal(text_of(&c, c.tasks[0].name), "p");
    assert_string_equal(text_of(&c, c.tasks[0].origin), "plugin larger");
    assert_int_equal(c.tasks[0].policy, I | S);
    assert_int_equal(c.tasks[0].flags, TC_TASK_POLICY_GIVEN);
    assert_int_equal(c.tasks[1].flags, TC_TASK_POLICY_GIVEN | TC_TASK_NOT_YET);
    assert_int_equal(c.tasks[2].persist, TC_TRUE);
    assert_int_equal(c.tasks[2].policy, I | S);
    assert_int_equal(c.config->deps.count, 1);
    dep = tc_flat_at(&c.flat, c.config->deps.off, 1, sizeof *dep);
    assert_non_null(strstr(text_of(&c, dep->path), "/plugins/larger/larger.so"));
    assert_int_not_equal(dep->id.ino, 0);
    compiled_free(&c);
}

static void entries_override_plugins_key_by_key(void **state)
{
    struct compiled c;

    (void)state;
    copy_plugin("larger");
    c = compile("plugins: [ { path: plugins/larger/larger.so } ]\n"
                "defaults: { cache_expiration: 5s }\n"
                "tasks:\n"
                "  - { symbol: last, cache_policy: RUN_ID }\n"
                "  - { name: p, prototype: 'int plain(int x, int y)' }\n"
                "  - { symbol: dancer, enabled: false }\n"
                "  - { symbol: other, prototype: 'int other(int x)' }\n");
    assert_int_equal(c.config->errors, 0);
    assert_int_equal(c.config->tasks.count, 4);
    assert_string_equal(text_of(&c, c.tasks[0].symbol), "last");
    assert_int_equal(c.tasks[0].policy, R);
    assert_int_equal(c.tasks[0].persist, TC_TRUE); /* the plugin's */
    assert_int_equal(c.tasks[0].line, 4);
    assert_int_equal(c.tasks[0].flags, TC_TASK_POLICY_GIVEN | TC_TASK_EXPIRES);
    assert_string_equal(text_of(&c, c.tasks[1].symbol), "plain"); /* the plugin's */
    assert_int_equal(c.tasks[1].params.count, 2);
    assert_int_equal(c.tasks[1].policy, I | S);
    assert_true(c.tasks[2].flags & TC_TASK_DISABLED);
    assert_int_equal(c.tasks[3].flags, TC_TASK_EXPIRES); /* not a plugin's: no policy */
    compiled_free(&c);
}

static void plugins_that_arent(void **state)
{
    static const char *const unknown[] = {
        "E taskcache.yaml:1:12: no-such-plugin: there is no plugin 'nosuch'\n"
        "plugins: [ nosuch ]\n           ^\n  try: see `cachectl plugins`",
        NULL};
    struct compiled c;

    (void)state;
    copy_plugin("larger");
    copy_plugin("other_major");
    write_file("text.so", "hello", 5);
    expect_problems("unknown", "plugins: [ nosuch ]\n", unknown);
    c = compile("plugins: [ ./text.so, other_major, ./none.so, larger, larger, {} ]\n");
    assert_int_equal(c.config->errors, 5);
    assert_int_equal(c.problems[0].reason, TC_R_BAD_PLUGIN);
    assert_int_equal(c.problems[0].column, 12);
    assert_int_equal(c.problems[1].reason, TC_R_PLUGIN_ABI);
    assert_int_equal(c.problems[2].reason, TC_R_NO_SUCH_PLUGIN);
    assert_int_equal(c.problems[4].reason, TC_R_DUPLICATE_KEY);
    assert_int_equal(c.problems[5].reason, TC_R_BAD_VALUE);
    assert_int_equal(c.config->tasks.count, 3);
    /* What is missing or wrong is a dependency too: when it is mended, the config is compiled anew.
     */
    assert_int_equal(c.config->deps.count, 4);
    compiled_free(&c);
}

static void expect_one(struct compiled c, enum tc_reason reason)
{
    assert_int_equal(c.config->errors, 1);
    assert_int_equal(c.config->tasks.count, 0);
    assert_int_equal(c.problems[0].reason, reason);
    compiled_free(&c);
}

static void unreadable_configs(void **state)
{
    (void)state;
    expect_one(compile_path("no-such.yaml"), TC_R_CONFIG_UNREADABLE);
    expect_one(compile_path("/"), TC_R_CONFIG_UNREADABLE);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    expect_one(compile_path("fifo"), TC_R_CONFIG_UNREADABLE);
}

#define TASK "tasks: [ { symbol: f, prototype: 'int f(int n)' } ]"

static void trust(void **state)
{
    char culprit[300], path[300];

    (void)state;
    assert_int_equal(mkdir("d", 0755), 0);
    write_file("d/c.yaml", TASK, strlen(TASK));
    assert_int_equal(symlink("d/c.yaml", "link"), 0);
    assert_int_equal(symlink("loop", "loop"), 0);
    assert_non_null(getcwd(path, sizeof path));
    strcat(path, "/link");
    assert_int_equal(tc_trusted(path, getuid(), culprit, sizeof culprit), 0);
    assert_int_equal(tc_trusted("link", getuid(), culprit, sizeof culprit), -EINVAL);

    chmod("d/c.yaml", 0666);
    assert_int_equal(tc_trusted(path, getuid(), culprit, sizeof culprit), -EPERM);
    assert_non_null(strstr(culprit, "/d/c.yaml"));
    expect_one(compile_path("link"), TC_R_UNTRUSTED);
    chmod("d/c.yaml", 0644);

    chmod("d", 0777);
    assert_int_equal(tc_trusted(path, getuid(), culprit, sizeof culprit), -EPERM);
    assert_string_equal(culprit + strlen(culprit) - 2, "/d");
    expect_one(compile_path("d/c.yaml"), TC_R_UNTRUSTED);
    chmod("d", 01777); /* sticky */
    assert_int_equal(tc_trusted(path, getuid(), NULL, 0), 0);
    chmod("d", 0775); /* the user's own group */
    assert_int_equal(tc_trusted(path, getuid(), NULL, 0), 0);
    if (getuid() == 0) {
        assert_int_equal(chown("d", 0, 12345), 0);
        chmod("d", 0775);
        assert_int_equal(tc_trusted(path, getuid(), NULL, 0), -EPERM);
        chmod("d", 0755);
        assert_int_equal(chown("d/c.yaml", 12345, 0), 0);
        assert_int_equal(tc_trusted(path, getuid(), NULL, 0), -EPERM);
        assert_int_equal(tc_trusted(path, 12345, NULL, 0), 0);
    }
    *strrchr(path, '/') = 0;
    strcat(path, "/loop");
    assert_int_equal(tc_trusted(path, getuid(), NULL, 0), -ELOOP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plugins),
        cmocka_unit_test(entries_override_plugins_key_by_key),
        cmocka_unit_test(plugins_that_arent),
        cmocka_unit_test(unreadable_configs),
        cmocka_unit_test(trust),
    };

    return cmocka_run_group_tests_name("config files", tests, fixture_setup, fixture_teardown);
}

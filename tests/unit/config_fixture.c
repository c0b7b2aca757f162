#include "tests/unit/config_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/resolve/config.h"

static char dir[] = "/tmp/tc-test-config-XXXXXX";

int fixture_setup(void **state)
{
    (void)state;
    umask(022);
    return mkdtemp(dir) == NULL || chdir(dir) < 0 ? -1 : 0;
}

int fixture_teardown(void **state)
{
    char command[100];

    (void)state;
    snprintf(command, sizeof command, "rm -r '%s'", dir);
    return chdir("/") < 0 || system(command) != 0 ? -1 : 0;
}

void write_file(const char *name, const void *data, size_t bytes)
{
    FILE *f = fopen(name, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
}

struct compiled compile_path(const char *path)
{
    static char plugins[sizeof dir + 16];
    static const char *const dirs[] = {plugins};
    const struct tc_config_options options = {
        .plugin_dirs = dirs, .plugin_dir_count = 1, .home = "/home/me", .uid = getuid()};
    struct compiled c;

    snprintf(plugins, sizeof plugins, "%s/plugins", dir);
    assert_int_equal(tc_config_compile(path, &options, &c.builder), 0);
    assert_int_equal(tc_flat_check(c.builder.data, c.builder.bytes, TC_FLAT_CONFIG, &c.flat), 0);
    assert_int_equal(tc_config_verify(&c.flat), 0);
    c.config = tc_flat_root(&c.flat, sizeof *c.config);
    c.tasks = tc_flat_at(&c.flat, c.config->tasks.off, c.config->tasks.count, sizeof *c.tasks);
    c.problems =
        tc_flat_at(&c.flat, c.config->problems.off, c.config->problems.count, sizeof *c.problems);
    return c;
}

struct compiled compile_bytes(const void *yaml, size_t bytes)
{
    write_file("taskcache.yaml", yaml, bytes);
    return compile_path("taskcache.yaml");
}

struct compiled compile(const char *yaml)
{
    return compile_bytes(yaml, strlen(yaml));
}

void compiled_free(struct compiled *c)
{
    tc_flat_builder_free(&c->builder);
}

const char *problem(const struct compiled *c, unsigned i)
{
    return i < c->config->problems.count ? tc_flat_str(&c->flat, c->problems[i].text) : "";
}

const char *text_of(const struct compiled *c, struct tc_str s)
{
    return tc_flat_str(&c->flat, s);
}

void expect_problems(const char *what, const char *yaml, const char *const *expected)
{
    static const char letters[] = "?EWN";
    struct compiled c = compile(yaml);
    unsigned i;

    for (i = 0; expected[i] != NULL; i++) {
        if (strcmp(problem(&c, i), expected[i] + 2) != 0)
            fail_msg("%s: expected\n%s\ngot\n%s", what, expected[i] + 2, problem(&c, i));
        if (letters[c.problems[i].severity] != expected[i][0])
            fail_msg("%s: %c", problem(&c, i), letters[c.problems[i].severity]);
    }
    if (i < c.config->problems.count)
        fail_msg("%s: unexpected\n%s", what, problem(&c, i));
    compiled_free(&c);
}

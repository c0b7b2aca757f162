/* A directory of its own with a config in it, for tests of the loader. */
#ifndef TC_TESTS_CONFIG_FIXTURE_H
#define TC_TESTS_CONFIG_FIXTURE_H

#include <stddef.h>

#include "cache/flat_build.h"
#include "cache/task.h"

struct compiled {
    struct tc_flat_builder builder;
    struct tc_flat flat;
    const struct tc_config *config;
    const struct tc_task *tasks;
    const struct tc_problem *problems;
};

/* cmocka's group setup and teardown: enters a new directory, and removes it. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Writes bytes to a file of the directory. */
void write_file(const char *name, const void *data, size_t bytes);

/* Writes and compiles `taskcache.yaml`, checks and verifies the result. Plugins are looked for in
 * "plugins" below the directory; home is /home/me. */
struct compiled compile_bytes(const void *yaml, size_t bytes);
struct compiled compile(const char *yaml);
struct compiled compile_path(const char *path);
void compiled_free(struct compiled *c);

/* The problem's text, "" if there are fewer. */
const char *problem(const struct compiled *c, unsigned i);
const char *text_of(const struct compiled *c, struct tc_str s);

/* Compiles and expects exactly these messages, each "E text", "W text" or "N text"; NULL ends. */
void expect_problems(const char *what, const char *yaml, const char *const *expected);

#endif

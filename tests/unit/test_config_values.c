/* The config loader: what ends up in the flat file, and arbitrary bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/policy.h"
#include "cache/reason.h"
#include "service/resolve/config_values.h"
#include "tests/unit/config_fixture.h"

#define I TC_POLICY_INPUTS
#define S TC_POLICY_SOURCE
#define R TC_POLICY_RUN_ID

static void durations(void **state)
{
    static const struct {
        const char *text;
        int r;
        int64_t ns;
    } cases[] = {
        {"0", 0, 0},
        {"10", 0, 10000000000},
        {"-5s", 0, -5000000000},
        {"1h30m", 0, 5400000000000},
        {"1w2d3h4m5s6ms7us8ns", 0, 788645006007008},
        {"100ns", 0, 100},
        {"15250w", 0, 9223200000000000000},
        {"15251w", -ERANGE, 0},
        {"99999999999999999999999s", -ERANGE, 0},
        {"15250w15250w", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"-", -EINVAL, 0},
        {"h", -EINVAL, 0},
        {"1h30", -EINVAL, 0},
        {"5 m", -EINVAL, 0},
        {"1H", -EINVAL, 0},
        {"1.5h", -EINVAL, 0},
        {"+1h", -EINVAL, 0},
        {"1y", -EINVAL, 0},
        {"--1", -EINVAL, 0},
        {"1h-1m", -EINVAL, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t ns = 0;

        if (tc_parse_duration(cases[i].text, &ns) != cases[i].r || ns != cases[i].ns)
            fail_msg("%s: %lld", cases[i].text, (long long)ns);
    }
}

static void sizes(void **state)
{
    static const struct {
        const char *text;
        int r;
        uint64_t bytes;
    } cases[] = {
        {"7", 0, 7},           {"1KiB", 0, 1024},       {"10GiB", 0, 10ull << 30},
        {"2 MiB", 0, 2 << 20}, {"3TiB", 0, 3ull << 40}, {"1k", 0, 1000},
        {"1M", 0, 1000000},    {"4G", 0, 4000000000},   {"9999999999G", -ERANGE, 0},
        {"1gib", -EINVAL, 0},  {"1GB", -EINVAL, 0},     {"-1", -EINVAL, 0},
        {"", -EINVAL, 0},      {"GiB", -EINVAL, 0},     {"1 ", 0, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t bytes = 0;

        if (tc_parse_size(cases[i].text, &bytes) != cases[i].r || bytes != cases[i].bytes)
            fail_msg("%s: %llu", cases[i].text, (unsigned long long)bytes);
    }
}

static void symbols(void **state)
{
    static const struct {
        const char *symbol, *name, *object, *file;
    } cases[] = {
        {"f", "f", "", ""},
        {"f@lib*.so.[0-9]", "f", "lib*.so.[0-9]", ""},
        {"dir/a.c:f", "f", "", "dir/a.c"},
        {"a.c:f@prog", "f", "prog", "a.c"},
        {"_ZN2ns1fEi", "_ZN2ns1fEi", "", ""},
        {"f.part.0", "f.part.0", "", ""},
        {"ns::f", "ns::f", "", ""},
        {"ns::f(int, const char *)@lib*", "ns::f(int, const char *)", "lib*", ""},
        {"a.cc:(anonymous namespace)::f(S::T)", "(anonymous namespace)::f(S::T)", "", "a.cc"},
        {"ns::operator==(A, B)", "ns::operator==(A, B)", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char yaml[200];
        struct compiled c;

        snprintf(yaml, sizeof yaml, "tasks: [ { symbol: '%s', prototype: 'int f(int n)' } ]",
                 cases[i].symbol);
        c = compile(yaml);
        assert_int_equal(c.config->tasks.count, 1);
        assert_string_equal(text_of(&c, c.tasks[0].symbol), cases[i].name);
        assert_string_equal(text_of(&c, c.tasks[0].object), cases[i].object);
        assert_string_equal(text_of(&c, c.tasks[0].file), cases[i].file);
        compiled_free(&c);
    }
}

static void the_whole_of_a_config(void **state)
{
    struct compiled c = compile("cache: { path: ./c/d, max_size: 1MiB }\n"
                                "log: { level: info, file: ~/log }\n"
                                "children: [ cc1, ld ]\n"
                                "tasks:\n"
                                "  - symbol: f@prog\n"
                                "    name: me\n"
                                "    namespace: ours\n"
                                "    enabled: off\n"
                                "    prototype: |\n"
                                "      int f(int n, int debug)\n"
                                "    cache_policy: RUN_ID + INPUTS - debug\n"
                                "    cache_expiration: -5s\n"
                                "    refresh_cache: false\n"
                                "    persist_result: yes\n"
                                "    store: async\n"
                                "  - symbol: g\n"
                                "    prototype: |\n"
                                "      double g(double x)\n");
    const struct tc_task *t = c.tasks;
    const struct tc_str *child;
    char cwd[200], expected[220];

    (void)state;
    assert_non_null(getcwd(cwd, sizeof cwd));
    snprintf(expected, sizeof expected, "%s/taskcache.yaml", cwd);
    assert_string_equal(text_of(&c, c.config->path), expected);
    snprintf(expected, sizeof expected, "%s/c/d", cwd);
    assert_string_equal(text_of(&c, c.config->cache_path), expected);
    assert_string_equal(text_of(&c, c.config->log_file), "/home/me/log");
    assert_int_equal(c.config->log_level, 3);
    assert_int_equal(c.config->max_size_bytes, 1 << 20);
    assert_int_equal(c.config->children, TC_CHILDREN_NAMED);
    assert_int_equal(c.config->child_names.count, 2);
    child = tc_flat_at(&c.flat, c.config->child_names.off, 2, sizeof *child);
    assert_string_equal(text_of(&c, child[1]), "ld");

    assert_int_equal(c.config->tasks.count, 2);
    assert_string_equal(text_of(&c, t->name), "me");
    assert_string_equal(text_of(&c, t->space), "ours");
    assert_string_equal(text_of(&c, t->origin), "taskcache.yaml:5");
    assert_int_equal(t->line, 5);
    assert_int_equal(t->flags, TC_TASK_DISABLED | TC_TASK_POLICY_GIVEN | TC_TASK_EXPIRES |
                                   TC_TASK_STORE_ASYNC);
    assert_int_equal(t->policy, I | R);
    assert_int_equal(t->excluded, 2);
    assert_int_equal(t->expiration_ns, -5000000000);
    assert_int_equal(t->persist, TC_TRUE);
    assert_int_equal(t->refresh, TC_FALSE);
    assert_int_equal(t->params.count, 2);
    assert_int_equal(t[1].flags, TC_TASK_FLOAT);
    assert_int_equal(t[1].persist, TC_UNSET);
    assert_int_equal(t[1].skip, TC_NO_EXPR);
    compiled_free(&c);
}

static void defaults_of_an_empty_config(void **state)
{
    struct compiled c = compile("{}\n");

    (void)state;
    assert_int_equal(c.config->max_size_bytes, 10ull << 30);
    assert_int_equal(c.config->cache_path.off, 0);
    assert_int_equal(c.config->children, TC_CHILDREN_FOLLOW);
    assert_int_equal(c.config->log_level, 0);
    assert_int_equal(c.config->tasks.count, 0);
    compiled_free(&c);
}

static void defaults_count_as_written_in_each_task(void **state)
{
    struct compiled c = compile("defaults: { cache_policy: INPUTS, cache_expiration: 1s }\n"
                                "tasks:\n"
                                "  - { symbol: f, prototype: 'int f(int n)' }\n"
                                "  - { symbol: g, prototype: 'int g(int n)', cache_policy: NONE,\n"
                                "      cache_expiration: ~ }\n");

    (void)state;
    assert_int_equal(c.config->problems.count, 0);
    assert_int_equal(c.tasks[0].flags, TC_TASK_POLICY_GIVEN | TC_TASK_EXPIRES);
    assert_int_equal(c.tasks[0].policy, I);
    assert_int_equal(c.tasks[1].flags, TC_TASK_POLICY_GIVEN | TC_TASK_NO_CACHE);
    compiled_free(&c);
}

/* What isn't built keeps its task, and only its task, uncached. */
static void not_yet_flags(void **state)
{
    static const struct {
        const char *head, *task;
        uint32_t flags;
    } cases[] = {
        {"", "globals: { x: in int }", 0},
        {"", "deep_stop: [ x ]", 0},
        {"", "depends: [ x, ./x ]", 0},
        {"", "private: true", TC_TASK_PRIVATE},
        {"", "private: false", 0},
        {"", "cache_key_fn: x", TC_TASK_POLICY_GIVEN | TC_TASK_PERSIST_ON},
        {"", "result_storage_key: x", TC_TASK_POLICY_GIVEN | TC_TASK_PERSIST_ON},
        {"storages: { s: { type: s3 } }\n", "result_storage: s",
         TC_TASK_NOT_YET | TC_TASK_PERSIST_ON},
        {"", "result_serializer: zstd", TC_TASK_PERSIST_ON},
        {"", "adaptive: true", 0},
        {"", "verify: 1%", 0},
        {"", "hook: got", TC_TASK_HOOK_GOT},
        {"", "hook: entry", TC_TASK_HOOK_ENTRY},
        {"", "hook: auto", 0},
        {"", "lock_timeout: 5s", 0},
        {"", "cache_policy: TASK_SOURCE_DEEP", TC_TASK_POLICY_GIVEN},
        {"policies: { p: { policy: INPUTS } }\n", "cache_policy: p", TC_TASK_POLICY_GIVEN},
        {"policies: { p: { policy: INPUTS, isolation_level: SERIALIZABLE } }\n",
         "cache_policy: TASK_SOURCE + p", TC_TASK_POLICY_GIVEN},
        {"policies: { p: { policy: INPUTS, lock_manager: memory } }\n", "cache_policy: p",
         TC_TASK_POLICY_GIVEN},
        {"policies: { p: { policy: INPUTS, isolation_level: READ_COMMITTED } }\n",
         "cache_policy: p", TC_TASK_POLICY_GIVEN},
        {"storages: { x: { type: lmdb, path: /x } }\n"
         "policies: { p: { policy: INPUTS, key_storage: x } }\n",
         "cache_policy: RUN_ID", TC_TASK_POLICY_GIVEN},
        {"flows: [ { symbol: h } ]\n", "cache_policy: INPUTS", TC_TASK_POLICY_GIVEN},
        {"flows: [ { symbol: h } ]\n", "cache_policy: RUN_ID", TC_TASK_POLICY_GIVEN},
        {"flows: [ { symbol: h, transaction: true } ]\n", "persist_result: true", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char yaml[400];
        struct compiled c;

        snprintf(yaml, sizeof yaml,
                 "%stasks: [ { symbol: f, prototype: 'int f(int n)', %s }, { symbol: g } ]",
                 cases[i].head, cases[i].task);
        c = compile(yaml);
        assert_int_equal(c.config->errors, 0);
        assert_int_equal(c.config->tasks.count, 2 + 2 * (strncmp(cases[i].head, "flows", 5) == 0));
        if (c.tasks[0].flags != cases[i].flags)
            fail_msg("%s: flags %x", yaml, c.tasks[0].flags);
        assert_int_equal(c.tasks[1].flags, 0);
        compiled_free(&c);
    }
}

static void isolation(void **state)
{
    static const struct {
        const char *policy, *task;
        uint8_t isolation, manager;
        int64_t timeout_ns;
    } cases[] = {
        {"INPUTS", "cache_policy: p", TC_READ_COMMITTED, TC_LOCKS_OF_SERVICE, 60000000000},
        {"{ policy: INPUTS, isolation_level: SERIALIZABLE }", "cache_policy: RUN_ID + p",
         TC_SERIALIZABLE, TC_LOCKS_OF_SERVICE, 60000000000},
        {"{ policy: INPUTS, isolation_level: SERIALIZABLE, lock_manager: memory }",
         "cache_policy: (p - n) + TASK_SOURCE, lock_timeout: 1500ms", TC_SERIALIZABLE,
         TC_LOCKS_OF_PROCESS, 1500000000},
        {"{ policy: INPUTS, isolation_level: READ_COMMITTED, lock_manager: service }",
         "cache_policy: p, lock_timeout: -5", TC_READ_COMMITTED, TC_LOCKS_OF_SERVICE, 0},
        {"{ policy: INPUTS, isolation_level: SERIALIZABLE }", "cache_policy: INPUTS",
         TC_READ_COMMITTED, TC_LOCKS_OF_SERVICE, 60000000000},
        /* The policy has no effect where something else gives the key. */
        {"{ policy: INPUTS, isolation_level: SERIALIZABLE }", "cache_policy: p, cache_key_fn: x",
         TC_READ_COMMITTED, TC_LOCKS_OF_SERVICE, 60000000000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char yaml[400];
        struct compiled c;

        snprintf(yaml, sizeof yaml,
                 "policies: { p: %s }\ntasks: [ { symbol: f, prototype: 'int f(int n)', %s } ]",
                 cases[i].policy, cases[i].task);
        c = compile(yaml);
        assert_int_equal(c.config->errors, 0);
        if (c.tasks[0].isolation != cases[i].isolation ||
            c.tasks[0].lock_manager != cases[i].manager ||
            c.tasks[0].lock_timeout_ns != cases[i].timeout_ns)
            fail_msg("%s: %d %d %lld", yaml, c.tasks[0].isolation, c.tasks[0].lock_manager,
                     (long long)c.tasks[0].lock_timeout_ns);
        compiled_free(&c);
    }
}

static void unknown_lock_managers(void **state)
{
    static const char *const expected[] = {
        "E taskcache.yaml:1:48: bad-value: there is no lock manager 'redis'\n"
        "policies: { p: { policy: INPUTS, lock_manager: redis } }\n"
        "                                               ^\n"
        "  try: service, memory, or plugin.name",
        NULL};

    (void)state;
    expect_problems("a manager of a plugin",
                    "policies: { p: { policy: INPUTS, lock_manager: redis } }\n", expected);
}

static void a_task_in_error_leaves_the_others(void **state)
{
    struct compiled c = compile("tasks:\n"
                                "  - { symbol: a, prototype: 'int a(int n)' }\n"
                                "  - { symbol: b, prototype: 'int b(const int *)))' }\n"
                                "  - { symbol: c, prototype: 'int c(int n)' }\n");

    (void)state;
    assert_int_equal(c.config->errors, 1);
    assert_int_equal(c.config->tasks.count, 2);
    assert_string_equal(text_of(&c, c.tasks[1].symbol), "c");
    compiled_free(&c);
}

static void too_many_tasks(void **state)
{
    char *yaml = malloc(100000), *p = yaml;
    struct compiled c;

    (void)state;
    p += sprintf(p, "tasks:\n");
    for (int i = 0; i <= 1000; i++)
        p += sprintf(p, "  - { symbol: f%d, prototype: 'int f(int n)' }\n", i);
    c = compile(yaml);
    assert_int_equal(c.config->tasks.count, 1000);
    assert_int_equal(c.config->errors, 1);
    assert_int_equal(c.problems[0].reason, TC_R_TOO_MANY);
    compiled_free(&c);
    free(yaml);
}

/* Plans depend on symbols, prototypes and types, and on the tasks' order; not on policies. */
static void the_resolve_digest(void **state)
{
    static const struct {
        const char *yaml;
        int same;
    } cases[] = {
        {"tasks: [ { symbol: f, prototype: 'int f(int n)', cache_policy: INPUTS } ]", 1},
        {"cache: {}\ntasks: [ { symbol: f, prototype: 'int  f( int n )', refresh_cache: true } ]",
         1},
        {"tasks: [ { symbol: f, prototype: 'int f(int n)', enabled: false } ]", 0},
        {"tasks: [ { symbol: g, prototype: 'int f(int n)' } ]", 0},
        {"tasks: [ { symbol: f@x, prototype: 'int f(int n)' } ]", 0},
        {"tasks: [ { symbol: x.c:f, prototype: 'int f(int n)' } ]", 0},
        {"tasks: [ { symbol: f, name: n, prototype: 'int f(int n)' } ]", 0},
        {"tasks: [ { symbol: f, prototype: 'int f(long n)' } ]", 0},
        {"tasks: [ { symbol: f, prototype: 'int f(int n)' }, { symbol: g } ]", 0},
        {"tasks: [ { symbol: g }, { symbol: f, prototype: 'int f(int n)' } ]", 0},
        {"types: 'typedef int x;'\ntasks: [ { symbol: f, prototype: 'int f(int n)' } ]", 0},
    };
    struct compiled first = compile("tasks: [ { symbol: f, prototype: 'int f(int n)' } ]");

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct compiled c = compile(cases[i].yaml);

        if ((memcmp(c.config->resolve_digest, first.config->resolve_digest, 16) == 0) !=
            cases[i].same)
            fail_msg("%s", cases[i].yaml);
        compiled_free(&c);
    }
    compiled_free(&first);
}

/* Plans hold all of a task whose prototype comes from debug information. */
static void the_resolve_digest_of_params(void **state)
{
    static const char *const others[] = {
        "tasks: [ { symbol: f, params: { x: out }, cache_policy: INPUTS } ]",
        "tasks: [ { symbol: f, params: { y: in }, cache_policy: INPUTS } ]",
        "tasks: [ { symbol: f, cache_policy: INPUTS } ]",
        "tasks: [ { symbol: f, params: { x: in }, cache_policy: TASK_SOURCE } ]",
        "tasks: [ { symbol: f, params: { x: in }, cache_policy: INPUTS - x } ]",
        "tasks: [ { symbol: f, params: { x: in }, cache_policy: INPUTS, refresh_cache: true } ]",
        "tasks: [ { symbol: f, params: { x: in }, cache_policy: INPUTS, cache_expiration: 1 } ]",
        "tasks: [ { symbol: f, params: { x: in }, cache_policy: INPUTS, skip: 'x == 0' } ]",
        "tasks: [ { symbol: f, params: { x: in }, cache_policy: INPUTS, success: 'x == 0' } ]",
        "tasks: [ { symbol: f, params: { x: in }, cache_policy: INPUTS, namespace: s } ]",
    };
    struct compiled first =
        compile("tasks: [ { symbol: f, params: { x: in }, cache_policy: INPUTS } ]");
    struct compiled moved =
        compile("\n\ntasks: [ { symbol: f, params: { x: in }, cache_policy: INPUTS } ]");

    (void)state;
    assert_int_equal(first.tasks[0].texts.count, 1);
    assert_memory_equal(first.config->resolve_digest, moved.config->resolve_digest, 16);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct compiled c = compile(others[i]);
        if (memcmp(c.config->resolve_digest, first.config->resolve_digest, 16) == 0)
            fail_msg("%s", others[i]);
        compiled_free(&c);
    }
    compiled_free(&first);
    compiled_free(&moved);
}

/* Damaged configs: any bytes give a file that verifies. */
static void arbitrary_bytes(void **state)
{
    static const char seed_text[] =
        "cache: { path: ~/.c, max_size: 10GiB }\ndefaults: { cache_policy: INPUTS + TASK_SOURCE }\n"
        "policies: { strict: { policy: INPUTS - a, isolation_level: SERIALIZABLE } }\n"
        "types: |\n  struct stats { double mean, dev; uint32_t n; };\nchildren: [ a, 'b' ]\n"
        "flows:\n  - symbol: h\n    prototype: |\n      int h(ignore void *request, int id)\n"
        "tasks:\n  - symbol: simulate@libsolver.so*\n    prototype: |\n"
        "      double simulate(const double grid[n], size_t n, int debug)\n"
        "    cache_policy: strict + TASK_SOURCE - debug\n    cache_expiration: 1h30m\n"
        "    success: 'return >= 0'\n  - { symbol: \"g\\u0041\", skip: '*x == ''a''' }\n"
        "  - symbol: k\n    prototype: >\n      int\n       k(int n)\n    skip: \"n \\\n      == "
        "1\"\n";
    uint64_t random = 88172645463325252ull;

    (void)state;
    for (int round = 0; round < 3000; round++) {
        char text[sizeof seed_text];
        size_t bytes = sizeof seed_text - 1;
        struct compiled c;

        memcpy(text, seed_text, sizeof text);
        for (int change = 0; change < 1 + round % 4; change++) {
            static const char signs[] = "\n\t :-|>'\"#&*!{}[],?%@`~\\\0\xff()+x0";
            size_t at;

            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            at = (random >> 8) % bytes;
            if (round % 3 == 0 && bytes > 10) { /* a piece less */
                size_t cut = 1 + (random >> 40) % 9;

                cut = cut < bytes - at ? cut : bytes - at;
                memmove(text + at, text + at + cut, bytes - at - cut);
                bytes -= cut;
            } else {
                text[at] = signs[(random >> 40) % (sizeof signs - 1)];
            }
        }
        c = compile_bytes(text, bytes);
        compiled_free(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations),
        cmocka_unit_test(sizes),
        cmocka_unit_test(symbols),
        cmocka_unit_test(the_whole_of_a_config),
        cmocka_unit_test(defaults_of_an_empty_config),
        cmocka_unit_test(defaults_count_as_written_in_each_task),
        cmocka_unit_test(not_yet_flags),
        cmocka_unit_test(isolation),
        cmocka_unit_test(unknown_lock_managers),
        cmocka_unit_test(a_task_in_error_leaves_the_others),
        cmocka_unit_test(too_many_tasks),
        cmocka_unit_test(the_resolve_digest),
        cmocka_unit_test(the_resolve_digest_of_params),
        cmocka_unit_test(arbitrary_bytes),
    };

    return cmocka_run_group_tests_name("config values", tests, fixture_setup, fixture_teardown);
}

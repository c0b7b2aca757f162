/* The config loader's messages, word for word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "cache/deep.h"
#include "cache/reason.h"
#include "tests/unit/config_fixture.h"

#define QUOTES                                                                                 \
    "\n  try: write it as a literal block (`key: |`, the text on the next line) or in single " \
    "quotes"
#define F1 "tasks:\n  - symbol: f\n    prototype: |\n      int f(int n, int debug)\n"

struct message_case {
    const char *what, *yaml;
    const char *expected[4];
};

static void run(const struct message_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        expect_problems(cases[i].what, cases[i].yaml, cases[i].expected);
}
#define RUN(cases) run(cases, sizeof(cases) / sizeof((cases)[0]))

static void yaml_itself(void **state)
{
    static const struct message_case cases[] = {
        {"empty",
         "",
         {"N taskcache.yaml: no-tasks: the config names no tasks: nothing will be cached\n"
          "  try: see docs/config.md for an example"}},
        {"only a comment",
         "# nothing\n",
         {"N taskcache.yaml: no-tasks: the config names no tasks: nothing will be cached\n"
          "  try: see docs/config.md for an example"}},
        {"not a mapping",
         "- a\n",
         {"E taskcache.yaml:1:1: wrong-type: a config is a map, not a list\n- a\n^"}},
        {"not YAML",
         "a: b: c\n",
         {"E taskcache.yaml:1:5: syntax: invalid nested block mapping on the same line\na: b: c\n"
          "    ^"}},
        {"a tab",
         "cache:\n\tpath: x\n",
         {"E taskcache.yaml:2:1: syntax: tab character may not be used as indentation\n"
          "\tpath: x\n^"}},
        {"not UTF-8",
         "a: \xff\n",
         {"E taskcache.yaml:1:4: syntax: the file isn't UTF-8\na: \xff\n   ^"}},
        {"two documents",
         "tasks: []\n---\ntasks: []\n",
         {"E taskcache.yaml:2:1: syntax: a config is one YAML document\n---\n^"}},
        {"twice",
         "cache: {}\ncache: {}\n",
         {"E taskcache.yaml:2:1: duplicate-key: 'cache' is given twice\ncache: {}\n^"}},
    };

    (void)state;
    RUN(cases);
}

static void what_yaml_reads_otherwise(void **state)
{
    static const struct message_case cases[] = {
        {"alias, cut off",
         "tasks:\n  - symbol: f\n    skip: *lwork == -1\n",
         {"E taskcache.yaml:3:11: needs-quotes: YAML reads what begins with '*' as an alias\n"
          "    skip: *lwork == -1\n          ^" QUOTES}},
        {"alias, whole",
         "tasks:\n  - symbol: f\n    skip: *x\n",
         {"E taskcache.yaml:3:11: needs-quotes: YAML reads what begins with '*' as an alias\n"
          "    skip: *x\n          ^" QUOTES}},
        {"tag",
         "tasks:\n  - symbol: f\n    skip: !x\n",
         {"E taskcache.yaml:3:11: needs-quotes: YAML reads what begins with '!' as a tag\n"
          "    skip: !x\n          ^" QUOTES}},
        {"anchor",
         "tasks:\n  - symbol: f\n    skip: &x\n",
         {"E taskcache.yaml:3:11: needs-quotes: YAML reads what begins with '&' as an anchor\n"
          "    skip: &x\n          ^" QUOTES}},
        {"anchor anywhere",
         "cache: &c { path: /x }\n",
         {"E taskcache.yaml:1:8: needs-quotes: YAML reads what begins with '&' as an anchor\n"
          "cache: &c { path: /x }\n       ^" QUOTES}},
        {"comment",
         "tasks:\n  - symbol: f\n    prototype: int f(int n) # the first\n",
         {"E taskcache.yaml:3:29: needs-quotes: YAML ends the text of `prototype` here: the rest "
          "is a comment\n    prototype: int f(int n) # the first\n"
          "                            ^" QUOTES}},
        {"colon",
         "tasks:\n  - symbol: f\n    skip: n ? 1 : 2\n",
         {"E taskcache.yaml:3:17: needs-quotes: YAML's special characters end the text of `skip` "
          "here\n    skip: n ? 1 : 2\n                ^" QUOTES}},
        {"flow, cut at the comma",
         "tasks:\n  - { symbol: f, prototype: int f(int a, int b), cache_policy: INPUTS }\n",
         {"E taskcache.yaml:2:29: needs-quotes: inside { } YAML ends the text of `prototype` at a "
          "comma or bracket\n"
          "  - { symbol: f, prototype: int f(int a, int b), cache_policy: INPUTS }\n"
          "                            ^" QUOTES}},
        {"flow, a bracket",
         "tasks:\n  - { symbol: f, prototype: int f(const int a[n], int n) }\n",
         {"E taskcache.yaml:2:46: needs-quotes: YAML's special characters end the text of "
          "`prototype` here\n  - { symbol: f, prototype: int f(const int a[n], int n) }\n"
          "                                             ^" QUOTES}},
    };

    (void)state;
    RUN(cases);
}

static void keys_and_values(void **state)
{
    static const struct message_case cases[] = {
        {"unknown at the top",
         "task: []\n",
         {"E taskcache.yaml:1:1: unknown-key: 'task' is no key of a config\ntask: []\n^\n"
          "  try: tasks"}},
        {"unknown, nothing near",
         "frobnicate: 1\n",
         {"E taskcache.yaml:1:1: unknown-key: 'frobnicate' is no key of a config\n"
          "frobnicate: 1\n^"}},
        {"unknown in a task",
         F1 "    cache_expires: 1h\n",
         {"E taskcache.yaml:5:5: unknown-key: 'cache_expires' is no key of a task\n"
          "    cache_expires: 1h\n    ^\n  try: cache_expiration"}},
        {"a list for a text",
         F1 "    cache_policy: [INPUTS]\n",
         {"E taskcache.yaml:5:19: wrong-type: `cache_policy` takes a text, not a list\n"
          "    cache_policy: [INPUTS]\n                  ^"}},
        {"a text for a list",
         "tasks: f\n",
         {"E taskcache.yaml:1:8: wrong-type: `tasks` takes a list, not a text\ntasks: f\n"
          "       ^"}},
        {"a text for a map",
         "tasks:\n  - f\n",
         {"E taskcache.yaml:2:5: wrong-type: a task is a map, not a text\n  - f\n    ^"}},
        {"boolean",
         F1 "    refresh_cache: maybe\n",
         {"E taskcache.yaml:5:20: bad-boolean: `refresh_cache` is true or false, not 'maybe'\n"
          "    refresh_cache: maybe\n                   ^\n  try: write true or false"}},
        {"duration",
         F1 "    cache_expiration: 5 minutes\n",
         {"E taskcache.yaml:5:23: bad-duration: '5 minutes' isn't a duration\n"
          "    cache_expiration: 5 minutes\n                      ^\n  try: write a number and one "
          "of ns us ms s m h d w, as in 1h30m; a bare number is seconds"}},
        {"duration, too long",
         F1 "    cache_expiration: 99999w\n",
         {"E taskcache.yaml:5:23: bad-duration: '99999w' is too large\n"
          "    cache_expiration: 99999w\n                      ^"}},
        {"size",
         "cache: { max_size: 10GB }\n",
         {"E taskcache.yaml:1:20: bad-size: '10GB' isn't a size\ncache: { max_size: 10GB }\n"
          "                   ^\n  try: write a number and one of KiB MiB GiB TiB k M G"}},
        {"size of nothing",
         "cache: { max_size: 0 }\n",
         {"E taskcache.yaml:1:20: bad-size: `max_size` must be more than nothing\n"
          "cache: { max_size: 0 }\n                   ^"}},
        {"word",
         F1 "    hook: plt\n",
         {"E taskcache.yaml:5:11: bad-value: `hook` can't be 'plt'\n    hook: plt\n          ^\n"
          "  try: auto, entry or got"}},
        {"children",
         "children: maybe\n",
         {"E taskcache.yaml:1:11: bad-value: `children` is follow, no, or a list of programs' "
          "names\nchildren: maybe\n          ^"}},
        {"default symbol",
         "defaults: { symbol: f }\n",
         {"E taskcache.yaml:1:13: unknown-key: `symbol` names one task: it can't be a default\n"
          "defaults: { symbol: f }\n            ^"}},
        {"a key of a policy",
         F1 "    isolation_level: SERIALIZABLE\n",
         {"E taskcache.yaml:5:5: unknown-key: 'isolation_level' is no key of a task\n"
          "    isolation_level: SERIALIZABLE\n    ^\n"
          "  try: it belongs to a policy, under `policies:`"}},
        {"headers in no storage",
         "policies: { p: { policy: INPUTS, key_storage: nix } }\n",
         {"E taskcache.yaml:1:47: bad-value: no storage 'nix' is listed under `storages:`\n"
          "policies: { p: { policy: INPUTS, key_storage: nix } }\n"
          "                                              ^\n"
          "  try: list it under `storages:`"}},
        {"secrets aren't shown",
         "storages: { s: { typ: s3, secret: hunter2 } }\n",
         {"E taskcache.yaml:1:18: unknown-key: 'typ' is no key of a storage\n"
          "storages: { s: { typ: s3, secret: ******* } }\n                 ^\n  try: type"}},
    };

    (void)state;
    RUN(cases);
}

static void tasks(void **state)
{
    static const struct message_case cases[] = {
        {"no symbol",
         "tasks:\n  - enabled: true\n",
         {"E taskcache.yaml:2:5: missing-symbol: a task needs a `symbol:`\n  - enabled: true\n"
          "    ^"}},
        {"twice by symbol",
         F1 "  - symbol: f\n    prototype: 'int f(int n)'\n",
         {"E taskcache.yaml:5:13: duplicate-task: 'f' is the same task as the one of "
          "taskcache.yaml:2\n  - symbol: f\n            ^\n"
          "  try: give one of them a `name:`, or narrow its `symbol:`"}},
        {"twice by name",
         "tasks:\n  - { symbol: f, name: x, prototype: 'int f(int n)' }\n"
         "  - { symbol: g, name: x, prototype: 'int g(int n)' }\n",
         {"E taskcache.yaml:3:24: duplicate-task: 'x' is the same task as the one of "
          "taskcache.yaml:2\n  - { symbol: g, name: x, prototype: 'int g(int n)' }\n"
          "                       ^\n"
          "  try: give one of them a `name:`, or narrow its `symbol:`"}},
        {"params beside a prototype",
         F1 "    params: { n: in }\n",
         {"E taskcache.yaml:5:5: bad-value: `params` adds to debug information, and 'f' has a "
          "`prototype`\n    params: { n: in }\n    ^\n"
          "  try: write directions and extents into the prototype"}},
        {"params that aren't texts",
         "tasks:\n  - symbol: f\n    params: { n: [ 1 ] }\n",
         {"E taskcache.yaml:3:15: wrong-type: 'n' under `params` takes a text, not a list\n"
          "    params: { n: [ 1 ] }\n              ^\n  try: in [n]"}},
        {"an object with its directory",
         "tasks:\n  - symbol: f@/usr/lib/libf.so\n",
         {"E taskcache.yaml:2:23: bad-symbol: an object is named by its file name, without "
          "directories\n  - symbol: f@/usr/lib/libf.so\n                      ^\n"
          "  try: libf.so"}},
        {"C++",
         "tasks:\n  - symbol: ns::f(int\n",
         {"E taskcache.yaml:2:13: bad-symbol: this isn't a C++ function's name: the parentheses "
          "don't close\n  - symbol: ns::f(int\n            ^\n  try: ns::f or 'ns::f(int, const "
          "char *)'"}},
        {"a prototype as symbol",
         "tasks:\n  - symbol: int f(int)\n",
         {"E taskcache.yaml:2:13: bad-symbol: this isn't a C++ function's name: the name stands "
          "alone, without the function's result\n"
          "  - symbol: int f(int)\n            ^\n"
          "  try: ns::f or 'ns::f(int, const char *)'"}},
        {"A10",
         F1 "    cache_policy: INPUTS\n    persist_result: false\n",
         {"W taskcache.yaml:5:19: policy-ignored: `persist_result: false` switches caching off "
          "for 'f': its policy has no effect\n    cache_policy: INPUTS\n                  ^\n"
          "  try: remove one of the two"}},
        {"A11", F1 "    persist_result: false\n", {NULL}},
        {"B07",
         F1 "    cache_policy: INPUTS - debgu\n",
         {"W taskcache.yaml:5:28: unknown-parameter: 'f' has no parameter 'debgu'\n"
          "    cache_policy: INPUTS - debgu\n                           ^\n  try: debug"}},
        {"B07, nothing near",
         F1 "    cache_policy: INPUTS - nosuch\n",
         {"W taskcache.yaml:5:28: unknown-parameter: 'f' has no parameter 'nosuch'\n"
          "    cache_policy: INPUTS - nosuch\n                           ^\n"
          "  try: one of n, debug"}},
        {"B07 in a default",
         "defaults: { cache_policy: INPUTS - nosuch }\n" F1,
         {"N taskcache.yaml:1:36: unknown-parameter: 'f' has no parameter 'nosuch'\n"
          "defaults: { cache_policy: INPUTS - nosuch }\n                                   ^\n"
          "  try: one of n, debug"}},
        {"policy",
         F1 "    cache_policy: INPUT + RUN_ID\n",
         {"E taskcache.yaml:5:19: bad-policy: 'INPUT' is no member of a policy\n"
          "    cache_policy: INPUT + RUN_ID\n                  ^\n  try: INPUTS"}},
        {"bad named policy",
         "policies:\n  a: { policy: INPUTS + }\n  INPUTS: { policy: RUN_ID }\n  b: {}\n",
         {"E taskcache.yaml:4:3: bad-policy: policy 'b' has no `policy`\n  b: {}\n  ^\n"
          "  try: policy: INPUTS",
          "E taskcache.yaml:2:24: bad-policy: a member such as INPUTS is missing\n"
          "  a: { policy: INPUTS + }\n                       ^\n"
          "  try: write a sum such as INPUTS + TASK_SOURCE - debug",
          "E taskcache.yaml:3:3: bad-policy: 'INPUTS' means something by itself\n"
          "  INPUTS: { policy: RUN_ID }\n  ^\n  try: another name"}},
    };

    (void)state;
    RUN(cases);
}

/* One error, in every way to write a text: the caret finds the place in the file. */
static void carets_in_texts(void **state)
{
    static const struct {
        const char *what, *yaml;
        const char *at; /* the place in the line, from there to its end */
        enum tc_reason reason;
    } cases[] = {
        {"literal", "prototype: |\n\n        int f(int n,\n              const void *x)\n", "x)\n",
         TC_R_EXTENT_MISSING},
        {"literal, stripped, indented", "prototype: |2-\n        int f(const void *x, int n)\n",
         "x, int n)\n", TC_R_EXTENT_MISSING},
        {"folded", "prototype: >\n      int\n      f(int n,\n      const void *x)\n", "x)\n",
         TC_R_EXTENT_MISSING},
        {"plain", "prototype: int f(const void *x, int n)\n", "x, int n)\n", TC_R_EXTENT_MISSING},
        {"plain, two lines", "prototype: int f(int n,\n      const void *x)\n", "x)\n",
         TC_R_EXTENT_MISSING},
        {"single", "prototype: 'int f(const void *x, int n)'\n", "x, int n)'\n",
         TC_R_EXTENT_MISSING},
        {"single, doubled quotes", "prototype: 'int f(int n)'\n    skip: 'n == ''x'' && y'\n",
         "y'\n", TC_R_UNKNOWN_PARAMETER},
        {"double, with escapes", "prototype: \"int\\x20f(\\u0063onst\\tvoid *x, int n)\"\n",
         "x, int n)\"\n", TC_R_EXTENT_MISSING},
        {"double, two lines", "prototype: \"int f(int n,\\\n      const void *x)\"\n", "x)\"\n",
         TC_R_EXTENT_MISSING},
        {"CRLF", "prototype: |\r\n      int f(int n,\r\n      const void *x)\r\n", "x)\r\n",
         TC_R_EXTENT_MISSING},
        {"types behind those of the top",
         "types: |\n      struct s { nosuch a; };\n    prototype: |\n      int f(number n)\n",
         "nosuch a; };\n", TC_R_UNKNOWN_TYPE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char yaml[400];
        const char *place, *line, *caret;
        struct compiled c;
        unsigned column;

        snprintf(yaml, sizeof yaml,
                 "types: |\n  typedef int number;\ntasks:\n  - symbol: f\n    %s", cases[i].yaml);
        place = strstr(yaml, cases[i].at);
        for (line = place; line[-1] != '\n'; line--)
            ;
        column = (unsigned)(place - line) + 1;
        c = compile(yaml);
        assert_int_equal(c.config->problems.count, 1);
        if (c.problems[0].reason != cases[i].reason || c.problems[0].column != column)
            fail_msg("%s: column %u expected\n%s", cases[i].what, column, problem(&c, 0));
        caret = strchr(problem(&c, 0), '^');
        assert_non_null(caret);
        assert_int_equal(caret[1 - (int)column - 1], '\n');
        assert_memory_equal(caret - column - strcspn(line, "\r\n"), line, strcspn(line, "\r\n"));
        compiled_free(&c);
    }
}

/* Variables and files become parameters behind the function's own, names are the resolver's. */
static void depends(void **state)
{
    struct compiled c = compile(F1 "    globals: { a.c:x: 'out double', y: in int }\n"
                                   "    depends: [ helper, ./t.bin, 'b.c:h@lib*' ]\n"
                                   "    deep_stop: [ default, libx.so* ]\n");
    const struct tc_task *t = &c.tasks[0];
    const struct tc_param *p = tc_flat_at(&c.flat, t->params.off, t->params.count, sizeof *p);
    const struct tc_global_text *g =
        tc_flat_at(&c.flat, t->globals.off, t->globals.count, sizeof *g);
    const struct tc_depend *d = tc_flat_at(&c.flat, t->depends.off, t->depends.count, sizeof *d);

    (void)state;
    assert_int_equal(c.config->problems.count, 0);
    assert_int_equal(t->params.count, 5);
    assert_int_equal(tc_own_params(p, 5), 2);
    assert_int_equal(p[2].loc, TC_LOC_GLOBAL);
    assert_int_equal(p[3].loc_index, 1);
    assert_int_equal(p[4].loc, TC_LOC_PATH);
    assert_int_equal(p[4].is_depend, 1);
    assert_int_equal(p[3].is_depend, 0);
    assert_string_equal(tc_flat_str(&c.flat, p[4].name), "./t.bin");
    assert_int_equal(tc_flat_str(&c.flat, p[4].path)[0], '/');
    assert_int_equal(t->globals.count, 3);
    assert_string_equal(tc_flat_str(&c.flat, g[0].file), "a.c");
    assert_string_equal(tc_flat_str(&c.flat, g[0].name), "x");
    assert_string_equal(tc_flat_str(&c.flat, g[1].file), "");
    assert_int_equal(g[1].path.off, 0);
    assert_int_not_equal(g[2].path.off, 0);
    assert_int_equal(t->depends.count, 2);
    assert_string_equal(tc_flat_str(&c.flat, d[1].name), "h");
    assert_string_equal(tc_flat_str(&c.flat, d[1].file), "b.c");
    assert_string_equal(tc_flat_str(&c.flat, d[1].object), "lib*");
    assert_string_equal(tc_flat_str(&c.flat, t->deep_stop), "default|libx.so*");
    assert_int_equal(t->texts.count, 1);
    compiled_free(&c);
}

static void deep_stops(void **state)
{
    (void)state;
    assert_true(tc_deep_stops("libc.so.6", ""));
    assert_false(tc_deep_stops("libblas.so.3", ""));
    assert_false(tc_deep_stops("libc.so.6", "|"));
    assert_false(tc_deep_stops("libc.so.6", "libblas.so*"));
    assert_true(tc_deep_stops("libc.so.6", "libblas.so*|default"));
    assert_true(tc_deep_stops("libblas.so.3", "default|lib*as.s?.*"));
    assert_false(tc_deep_stops("libblas.so", "default|lib*as.s?.*"));
    assert_true(tc_deep_stops("a*b", "a**b|c"));
    assert_false(tc_deep_stops("ab", "a|b"));
    assert_false(tc_deep_stops("", "?"));
    assert_true(tc_deep_stops("", "*"));
}

static void not_yet(void **state)
{
    static const struct message_case cases[] = {
        {"could not",
         F1 "    adaptive: true\n",
         {"W taskcache.yaml:5:5: not-yet-key: `adaptive` isn't built yet: it has no effect\n"
          "    adaptive: true\n    ^"}},
        {"once in the defaults",
         "defaults: { adaptive: on }\n" F1 "  - { symbol: g, prototype: 'int g(int n)' }\n",
         {"W taskcache.yaml:1:13: not-yet-key: `adaptive` isn't built yet: it has no effect\n"
          "defaults: { adaptive: on }\n            ^"}},
        {"says what happens anyway",
         F1 "    private: false\n    hook: entry\n    store: wait\n    result_serializer: raw\n"
            "    adaptive: no\n    globals: ~\nlog: { level: debug, file: x.log }\n",
         {NULL}},
        {"flow",
         F1 "flows:\n  - symbol: h\n    commit_mode: lazy\n    prototype: 'int h(void)'\n"
            "  - { symbol: i, transaction: yes, commit_mode: lazy, prototype: 'int i(void)' }\n",
         {"W taskcache.yaml:7:5: policy-ignored: `commit_mode` has no effect: the flow is no "
          "transaction\n    commit_mode: lazy\n    ^\n  try: transaction: true"}},
        {"flow and task in one",
         F1 "flows:\n  - { symbol: f, prototype: 'int f(int n)' }\n",
         {"E taskcache.yaml:6:15: duplicate-task: 'f' is the same task as the one of "
          "taskcache.yaml:2\n  - { symbol: f, prototype: 'int f(int n)' }\n"
          "              ^\n  try: give one of them a `name:`, or narrow its `symbol:`"}},
        {"flow without a symbol",
         F1 "flows:\n  - { name: h }\n",
         {"E taskcache.yaml:6:5: missing-symbol: a flow needs a `symbol:`\n  - { name: h }\n"
          "    ^"}},
        {"process_table",
         F1 "cache: { process_table: 100 }\n",
         {"W taskcache.yaml:5:10: not-yet-key: `process_table` isn't built yet: it has no effect\n"
          "cache: { process_table: 100 }\n         ^"}},
        {"policy and key function",
         F1 "    cache_policy: INPUTS\n    cache_key_fn: '{n}'\n",
         {"W taskcache.yaml:5:19: policy-ignored: `cache_key_fn` gives the key: `cache_policy` has "
          "no effect\n    cache_policy: INPUTS\n                  ^\n"
          "  try: remove one of the two"}},
        {"key function of a plugin",
         F1 "    cache_key_fn: KEY(a.b)\n",
         {"E taskcache.yaml:5:23: no-such-plugin: no plugin 'a' is listed\n"
          "    cache_key_fn: KEY(a.b)\n                      ^\n"
          "  try: list it under `plugins:`"}},
        {"sum as a key function",
         F1 "    cache_key_fn: KEY(a.b) + INPUTS\n",
         {"E taskcache.yaml:5:19: bad-value: `cache_key_fn` is one or more KEY(plugin.function), "
          "or "
          "a template\n    cache_key_fn: KEY(a.b) + INPUTS\n                  ^\n"
          "  try: write the sum as `cache_policy`"}},
        {"template with an open brace",
         F1 "    cache_key_fn: 'a{{b {n'\n",
         {"E taskcache.yaml:5:25: bad-expression: the brace of a template isn't closed\n"
          "    cache_key_fn: 'a{{b {n'\n                        ^\n  try: write `{{` for a brace"}},
        {"template with an unknown name",
         F1 "    result_storage_key: 'a-{1 + m}'\n",
         {"E taskcache.yaml:5:33: unknown-parameter: 'f' has no parameter 'm'\n"
          "    result_storage_key: 'a-{1 + m}'\n                                ^"}},
        {"unlisted storage",
         "storages: { fleet: { type: s3 } }\n" F1 "    result_storage: flet\n",
         {"W taskcache.yaml:1:13: not-yet-key: storages of type 's3' aren't built yet: 'fleet' "
          "isn't used\n"
          "storages: { fleet: { type: s3 } }\n            ^\n  try: type: lmdb",
          "E taskcache.yaml:6:21: bad-value: no storage 'flet' is listed under `storages:`\n"
          "    result_storage: flet\n                    ^\n  try: fleet"}},
    };

    (void)state;
    RUN(cases);
}

/* Most keys at once: nothing is wrong with them, and what isn't built yet says so. */
static void a_config_with_everything(void **state)
{
    struct compiled c = compile(
        "cache:    { path: ~/.cache/taskcache, max_size: 10GiB }\n"
        "defaults: { cache_policy: INPUTS + TASK_SOURCE }     # any task option\n"
        "storages: { fleet: { type: s3, bucket: my-bucket, region: eu-central-1 } }\n"
        "policies: { strict: { policy: INPUTS, isolation_level: SERIALIZABLE } }\n"
        "types: |\n  struct stats { double mean, dev; uint32_t n; };\n"
        "flows:\n  - symbol: handle_request\n    prototype: |\n"
        "      int handle_request(ignore void *request, int id)\n"
        "tasks:\n  - symbol: simulate@libsolver.so*\n    prototype: |\n"
        "      double simulate(const double grid[n], size_t n, int debug)\n"
        "    cache_policy: INPUTS + TASK_SOURCE - debug\n    cache_expiration: 1h30m\n"
        "    refresh_cache: false\n    result_storage: fleet\n    success: 'return >= 0'\n");

    (void)state;
    for (unsigned i = 0; i < c.config->problems.count; i++)
        if (c.problems[i].reason != TC_R_NOT_YET_KEY)
            fail_msg("%s", problem(&c, i));
    assert_int_equal(c.config->tasks.count, 3); /* flows come last, and what makes threads */
    assert_int_equal(c.tasks[2].flags & TC_TASK_THREADS, TC_TASK_THREADS);
    assert_int_equal(c.tasks[0].result_type, TC_F64);
    assert_int_equal(c.tasks[0].flags & TC_TASK_FLOW, 0);
    assert_int_equal(c.tasks[1].flags, TC_TASK_FLOW);
    assert_int_equal(c.tasks[1].params.count, 2);
    assert_int_not_equal(c.tasks[0].success, TC_NO_EXPR);
    compiled_free(&c);
}

/* Every ```yaml block of the reference is a config without errors or warnings. */
static void examples_in_the_documentation(void **state)
{
    static char text[100000];
    FILE *f = fopen(TC_DOCS_CONFIG, "r");
    unsigned found = 0;
    size_t bytes;

    (void)state;
    assert_non_null(f);
    bytes = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[bytes] = 0;
    for (char *p = text; (p = strstr(p, "```yaml\n")) != NULL;) {
        char *end = strstr(p + 8, "```");
        struct compiled c = compile_bytes(p + 8, (size_t)(end - p) - 8);

        if (c.config->problems.count > 0)
            fail_msg("%s", problem(&c, 0));
        assert_true(c.config->tasks.count > 0);
        compiled_free(&c);
        found++;
        p = end + 3;
    }
    assert_true(found >= 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yaml_itself),
        cmocka_unit_test(what_yaml_reads_otherwise),
        cmocka_unit_test(keys_and_values),
        cmocka_unit_test(tasks),
        cmocka_unit_test(carets_in_texts),
        cmocka_unit_test(depends),
        cmocka_unit_test(deep_stops),
        cmocka_unit_test(not_yet),
        cmocka_unit_test(a_config_with_everything),
        cmocka_unit_test(examples_in_the_documentation),
    };

    return cmocka_run_group_tests_name("config", tests, fixture_setup, fixture_teardown);
}

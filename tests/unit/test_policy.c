/* cache/policy, policy_active, nearest: what a policy means, and when caching is on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cache/nearest.h"
#include "cache/policy.h"

#define I TC_POLICY_INPUTS
#define S TC_POLICY_SOURCE
#define R TC_POLICY_RUN_ID
#define P TC_POLICY_FLOW_PARAMETERS
#define V TC_POLICY_VOID
#define D TC_POLICY_SOURCE_DEEP
#define K TC_POLICY_FUNCTION

static const char *named(void *ctx, struct tc_slice name, struct tc_policy_settings *ret)
{
    static const struct {
        const char *name, *text;
        struct tc_policy_settings settings;
    } list[] = {
        {"strict", "INPUTS - debug"},
        {"my policy", "TASK_SOURCE"},
        {"loop", "RUN_ID + loop"},
        {"nested", "strict + RUN_ID"},
        {"broken", "INPUTS +"},
        {"trailing", "INPUTS )"},
        {"off", "NO_CACHE"},
        {"keyed", "INPUTS + KEY(p.fn)"},
        {"one", "INPUTS", {{"one", NULL, NULL}}},
        {"two", "RUN_ID", {{"two", NULL, NULL}}},
        {"locks", "RUN_ID", {{NULL, NULL, "memory"}}},
        {"own", "locks + INPUTS", {{NULL, NULL, "service"}}},
        {"clash", "locks + own", {{NULL, NULL, NULL}}},
    };

    (void)ctx;
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        if (strlen(list[i].name) == name.bytes && memcmp(list[i].name, name.text, name.bytes) == 0)
            return *ret = list[i].settings, list[i].text;
    return NULL;
}

static void what_a_policy_means(void **state)
{
    static const struct {
        const char *text;
        uint32_t members;
        int no_cache;
        const char *excluded, *not_yet;
    } cases[] = {
        {"INPUTS", I, 0, "", NULL},
        {"TASK_SOURCE", S, 0, "", NULL},
        {"RUN_ID", R, 0, "", NULL},
        {"FLOW_PARAMETERS", P, 0, "", NULL},
        {"DEFAULT", I | S | R, 0, "", NULL},
        {"ACROSS_RUNS", I | S, 0, "", NULL},
        {"NO_CACHE", 0, 1, "", NULL},
        {"NONE", 0, 1, "", NULL},
        {"INPUTS + TASK_SOURCE - debug", I | S, 0, "debug ", NULL},
        {" INPUTS+TASK_SOURCE-debug\n", I | S, 0, "debug ", NULL},
        /* Order, repetition and nesting don't matter. */
        {"TASK_SOURCE + INPUTS", I | S, 0, "", NULL},
        {"INPUTS + INPUTS", I, 0, "", NULL},
        {"((INPUTS) + (RUN_ID + (TASK_SOURCE)))", I | S | R, 0, "", NULL},
        {"INPUTS + (TASK_SOURCE + RUN_ID) + DEFAULT", I | S | R, 0, "", NULL},
        {"INPUTS - a - b - a", I, 0, "a b ", NULL},
        {"(INPUTS - a) + (INPUTS - b)", I, 0, "a b ", NULL},
        {"INPUTS - a + INPUTS", I, 0, "a ", NULL},
        {"DEFAULT - 'odd name' - \"x\"", I | S | R, 0, "odd name x ", NULL},
        /* Without INPUTS there is nothing to exclude from. */
        {"TASK_SOURCE - x", S, 0, "", NULL},
        {"TASK_SOURCE - x + INPUTS", I | S, 0, "", NULL},
        {"NO_CACHE - x", 0, 1, "", NULL},
        /* NO_CACHE is neutral. */
        {"INPUTS + NO_CACHE", I, 0, "", NULL},
        {"NONE + INPUTS - x", I, 0, "x ", NULL},
        {"NO_CACHE + NO_CACHE", 0, 1, "", NULL},
        /* Names under `policies:`. */
        {"strict", I, 0, "debug ", NULL},
        {"strict + TASK_SOURCE - x", I | S, 0, "debug x ", NULL},
        {"'my policy' + INPUTS", I | S, 0, "", NULL},
        {"nested", I | R, 0, "debug ", NULL},
        {"off + INPUTS", I, 0, "", NULL},
        {"off", 0, 1, "", NULL},
        /* What one side alone configures is no conflict; `- name` configures nothing. */
        {"one + locks - x + one + INPUTS", I | R, 0, "x ", NULL},
        {"own", I | R, 0, "", NULL},
        {"TASK_SOURCE_DEEP", D, 0, "", NULL},
        {"TASK_SOURCE + TASK_SOURCE_DEEP + TASK_SOURCE", S | D, 0, "", NULL},
        {"INPUTS + TASK_SOURCE_DEEP - x", I | D, 0, "x ", NULL},
        /* Key functions. */
        {"INPUTS + KEY(p.fn) - x", I | K, 0, "x ", NULL},
        {"NO_CACHE + KEY( p.fn )", K, 0, "", NULL},
        {"keyed + RUN_ID", I | R | K, 0, "", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tc_policy p;
        struct tc_text_error e;
        char excluded[200] = "";

        if (tc_policy_parse(cases[i].text, named, NULL, &p, &e) != 0)
            fail_msg("%s: %s", cases[i].text, e.sentence);
        for (unsigned j = 0; j < p.excluded_count; j++)
            snprintf(excluded + strlen(excluded), sizeof excluded - strlen(excluded), "%.*s ",
                     (int)p.excluded[j].bytes, p.excluded[j].text);
        if (p.members != cases[i].members || !!p.no_cache != cases[i].no_cache)
            fail_msg("%s: members %x, no_cache %d", cases[i].text, p.members, p.no_cache);
        assert_string_equal(excluded, cases[i].excluded);
        assert_int_equal(p.not_yet.text != NULL, cases[i].not_yet != NULL);
        if (cases[i].not_yet != NULL) {
            assert_int_equal(p.not_yet.bytes, strlen(cases[i].not_yet));
            assert_memory_equal(p.not_yet.text, cases[i].not_yet, p.not_yet.bytes);
        }
    }
}

static void key_functions_are_told_apart(void **state)
{
    struct tc_text_error e;
    struct tc_policy p;

    (void)state;
    assert_int_equal(
        tc_policy_parse("KEY(a.b) + INPUTS + (KEY(my.plug-in.x) + KEY(a.b))", named, NULL, &p, &e),
        0);
    assert_int_equal(p.function_count, 2);
    assert_int_equal(p.functions[0].plugin.bytes, 1);
    assert_int_equal(p.functions[0].name.text[0], 'b');
    assert_int_equal(p.functions[1].plugin.bytes, strlen("my.plug-in"));
    assert_memory_equal(p.functions[1].plugin.text, "my.plug-in", strlen("my.plug-in"));
    assert_int_equal(p.functions[1].name.bytes, 1);
    assert_int_equal(p.functions[1].name.text[0], 'x');
}

static void what_is_wrong_with_a_policy(void **state)
{
    static const struct {
        const char *text;
        size_t at;
        const char *sentence, *remedy; /* NULL: the reason's */
    } cases[] = {
        {"", 0, "the policy is empty", NULL},
        {"  ", 2, "the policy is empty", NULL},
        {"INPUT", 0, "'INPUT' is no member of a policy", "INPUTS"},
        {"inputs", 0, "'inputs' is no member of a policy", "INPUTS"},
        {"INPUTS + TASKSOURCE", 9, "'TASKSOURCE' is no member of a policy", "TASK_SOURCE"},
        {"INPUTS + xyzzyplugh", 9, "'xyzzyplugh' is no member of a policy",
         "INPUTS, TASK_SOURCE, RUN_ID, FLOW_PARAMETERS, DEFAULT, ACROSS_RUNS, NO_CACHE, "
         "KEY(plugin.function), or a name under `policies:`"},
        {"INPUTS +", 8, "a member such as INPUTS is missing", NULL},
        {"INPUTS -", 8, "a parameter's name is missing", NULL},
        {"INPUTS - (x)", 9, "a parameter's name is expected here, not '('", NULL},
        {"+ INPUTS", 0, "a member such as INPUTS is expected here, not '+'", NULL},
        {"INPUTS TASK_SOURCE", 7, "'+' or '-' is expected here", NULL},
        {"(INPUTS", 0, "the parenthesis isn't closed", ""},
        {"INPUTS)", 6, "'+' or '-' is expected here", NULL},
        {"()", 1, "a member such as INPUTS is expected here, not ')'", NULL},
        {"INPUTS - 'x", 9, "the quote isn't closed", NULL},
        {"INPUTS - ''", 9, "an empty name", NULL},
        {"KEY(x", 5, "the parenthesis of KEY isn't closed", "KEY(plugin.function)"},
        {"KEY(x)", 4, "KEY takes a plugin's name and a key function of it", "KEY(plugin.function)"},
        {"KEY(.x)", 4, "KEY takes a plugin's name and a key function of it",
         "KEY(plugin.function)"},
        {"KEY(x.)", 4, "KEY takes a plugin's name and a key function of it",
         "KEY(plugin.function)"},
        {"KEY(x.y z)", 8, "KEY takes a plugin's name and a key function of it",
         "KEY(plugin.function)"},
        {"KEY(a.a) + KEY(a.b) + KEY(a.c) + KEY(a.d) + KEY(a.e)", 44,
         "a policy has at most 4 key functions", ""},
        {"KEY", 0, "'KEY' is no member of a policy",
         "INPUTS, TASK_SOURCE, RUN_ID, FLOW_PARAMETERS, DEFAULT, ACROSS_RUNS, NO_CACHE, "
         "KEY(plugin.function), or a name under `policies:`"},
        {"((((((((((((((((((INPUTS", 16, "too many parentheses", ""},
        {"INPUTS + loop", 9, "policy 'loop' names itself, or is nested too deeply", ""},
        {"INPUTS + broken", 9, "policy 'broken': a member such as INPUTS is missing", NULL},
        {"trailing", 0, "policy 'trailing': '+' or '-' is expected", NULL},
        {"one + two", 6, "the sides of the sum differ in `key_storage`: 'one' and 'two'",
         "give both policies one `key_storage`"},
        {"(one + INPUTS) + (RUN_ID + two)", 17,
         "the sides of the sum differ in `key_storage`: 'one' and 'two'",
         "give both policies one `key_storage`"},
        {"locks + own", 8, "the sides of the sum differ in `lock_manager`: 'memory' and 'service'",
         "give both policies one `lock_manager`"},
        {"clash", 0,
         "policy 'clash': the sides of the sum differ in `lock_manager`: 'memory' and 'service'",
         "give both policies one `lock_manager`"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tc_policy p = {.members = 77};
        struct tc_text_error e;

        if (tc_policy_parse(cases[i].text, named, NULL, &p, &e) != -EINVAL)
            fail_msg("accepted: %s", cases[i].text);
        assert_int_equal(p.members, 77); /* untouched */
        assert_string_equal(e.sentence, cases[i].sentence);
        assert_int_equal(e.at, cases[i].at);
        assert_string_equal(e.remedy, cases[i].remedy ? cases[i].remedy
                                                      : tc_reason_info(TC_R_BAD_POLICY)->remedy);
    }
}

static void too_many_exclusions(void **state)
{
    char text[400] = "INPUTS";
    struct tc_policy p;
    struct tc_text_error e;

    (void)state;
    for (int i = 0; i < 32; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), " - p%d", i);
    assert_int_equal(tc_policy_parse(text, NULL, NULL, &p, &e), 0);
    assert_int_equal(p.excluded_count, 32);
    strcat(text, " - p32");
    assert_int_equal(tc_policy_parse(text, NULL, NULL, &p, &e), -EINVAL);
    assert_int_equal(e.reason, TC_R_TOO_MANY);
}

/* semantics.md, "When caching is on", row by row. */
static void when_caching_is_on(void **state)
{
    enum {
        U = TC_UNSET,
        F = TC_FALSE,
        T = TC_TRUE
    };
    enum {
        GIVEN = TC_TASK_POLICY_GIVEN,
        NC = TC_TASK_NO_CACHE,
        ON = TC_TASK_PERSIST_ON
    };
    static const struct {
        const char *what;
        uint32_t flags, policy;
        uint8_t persist;
        struct tc_switches env;
        uint32_t reason, in_force;
    } cases[] = {
        {"A01 no options", 0, 0, U, {0}, TC_R_CACHING_OFF, 0},
        {"A02 persist_result", 0, 0, T, {0}, 0, I | S | R},
        {"A09 INPUTS", GIVEN, I, U, {0}, 0, I},
        {"A10 INPUTS, persist_result false", GIVEN, I, F, {0}, TC_R_CACHING_OFF, 0},
        {"A11 persist_result false", 0, 0, F, {0}, TC_R_CACHING_OFF, 0},
        {"A12 NO_CACHE, persist_result", GIVEN | NC, 0, T, {0}, TC_R_NO_KEY, 0},
        {"NO_CACHE alone", GIVEN | NC, 0, U, {0}, TC_R_NO_KEY, 0},
        {"A14 only an expiration", TC_TASK_EXPIRES, 0, U, {0}, TC_R_CACHING_OFF, 0},
        {"A16 DEFAULT_NO_CACHE, persist_result", 0, 0, T, {.default_no_cache = 1}, TC_R_NO_KEY, 0},
        {"DEFAULT_NO_CACHE, INPUTS", GIVEN, I, U, {.default_no_cache = 1}, 0, I},
        {"DEFAULT_NO_CACHE, nothing", 0, 0, U, {.default_no_cache = 1}, TC_R_CACHING_OFF, 0},
        {"A18 DISABLE_CACHING, INPUTS", GIVEN, I, U, {.disable_caching = 1}, TC_R_DISABLED, 0},
        {"enabled: false", GIVEN | TC_TASK_DISABLED, I, U, {0}, TC_R_DISABLED, 0},
        {"DEFAULT_PERSIST_RESULT", 0, 0, U, {.default_persist_result = T}, 0, I | S | R},
        {"DEFAULT_PERSIST_RESULT=0", 0, 0, U, {.default_persist_result = F}, TC_R_CACHING_OFF, 0},
        {"DEFAULT_PERSIST_RESULT=0, INPUTS", GIVEN, I, U, {.default_persist_result = F}, 0, I},
        {"DEFAULT_PERSIST_RESULT, persist_result false",
         0,
         0,
         F,
         {.default_persist_result = T},
         TC_R_CACHING_OFF,
         0},
        {"a storage is given", ON, 0, U, {0}, 0, I | S | R},
        {"a storage is given, persist_result false", ON, 0, F, {0}, TC_R_CACHING_OFF, 0},
        {"void", GIVEN, I | V, U, {0}, TC_R_POLICY_VOID, 0},
        {"not yet", GIVEN | TC_TASK_NOT_YET, I, U, {0}, TC_R_NOT_YET_BYPASS, 0},
        {"not yet, but off", TC_TASK_NOT_YET, 0, U, {0}, TC_R_CACHING_OFF, 0},
        {"not yet and NO_CACHE", GIVEN | NC | TC_TASK_NOT_YET, 0, U, {0}, TC_R_NO_KEY, 0},
        {"nothing left of the policy", GIVEN, 0, U, {0}, TC_R_NO_KEY, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tc_task task = {
            .flags = cases[i].flags, .policy = cases[i].policy, .persist = cases[i].persist};
        struct tc_active a = tc_activation(&task, &cases[i].env);

        if (a.reason != cases[i].reason || a.policy != cases[i].in_force)
            fail_msg("%s: reason %s, policy %x", cases[i].what, tc_reason_info(a.reason)->id,
                     a.policy);
    }
}

static void when_a_refresh_is_in_force(void **state)
{
    static const struct {
        uint8_t task, env;
        int refresh;
    } cases[] = {
        {TC_UNSET, TC_UNSET, 0}, {TC_TRUE, TC_UNSET, 1}, {TC_FALSE, TC_UNSET, 0},
        {TC_UNSET, TC_TRUE, 1},  {TC_FALSE, TC_TRUE, 0}, {TC_TRUE, TC_FALSE, 1},
        {TC_UNSET, TC_FALSE, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tc_task task = {
            .flags = TC_TASK_POLICY_GIVEN, .policy = I, .refresh = cases[i].task};
        struct tc_switches env = {.refresh_cache = cases[i].env};

        assert_int_equal(tc_activation(&task, &env).refresh, cases[i].refresh);
    }
}

static void booleans(void **state)
{
    static const char *const yes[] = {"1", "true", "TRUE", "Yes", "on", "oN"};
    static const char *const no[] = {"0", "false", "False", "NO", "off"};
    static const char *const neither[] = {"", "2", "tru", "truee", " true", "y", "enabled"};

    (void)state;
    for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
        assert_int_equal(tc_boolean(yes[i]), TC_TRUE);
    for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
        assert_int_equal(tc_boolean(no[i]), TC_FALSE);
    for (size_t i = 0; i < sizeof neither / sizeof neither[0]; i++)
        assert_int_equal(tc_boolean(neither[i]), TC_UNSET);
    assert_int_equal(tc_boolean(NULL), TC_UNSET);
}

static void nearest_words(void **state)
{
    static const char *const known[] = {"cache_policy", "symbol", "n", "tol", NULL};
    char longest[100];

    (void)state;
    assert_string_equal(tc_nearest("cache_polcy", 11, known), "cache_policy");
    assert_string_equal(tc_nearest("cachepolicy", 11, known), "cache_policy");
    assert_string_equal(tc_nearest("symobl", 6, known), "symbol");
    assert_string_equal(tc_nearest("N", 1, known), "n");
    assert_null(tc_nearest("m", 1, known));
    assert_null(tc_nearest("expiration", 10, known));
    assert_null(tc_nearest("", 0, (const char *const[]){NULL}));
    memset(longest, 'a', sizeof longest);
    assert_null(tc_nearest(longest, sizeof longest, known));
    assert_int_equal(tc_word_distance("abc", 3, "acb", 3), 2);
    assert_int_equal(tc_word_distance("abc", 3, "ABC", 3), 3);
    assert_int_equal(tc_word_distance("", 0, "abc", 3), 6);
}

static void shares(void **state)
{
    static const struct {
        const char *text;
        uint32_t share;
    } good[] = {{"0%", 0},
                {"0", 0},
                {"off", 0},
                {"100%", TC_ALL_HITS},
                {"100.000%", TC_ALL_HITS},
                {"50%", TC_ALL_HITS / 2},
                {"1%", TC_ALL_HITS / 100},
                {"0.01%", TC_ALL_HITS / 10000},
                {"12.5%", TC_ALL_HITS / 8},
                {"0.0000001%", 0}};
    static const char *const bad[] = {
        "",   "%",   "1",   "1 %", "101%", "100.1%", "-1%",
        "x%", "1.%", ".5%", "1%%", "1,5%", "on",     "99999999999999999999%"};
    uint32_t share = 7;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(tc_share(good[i].text, &share), 0);
        assert_int_equal(share, good[i].share);
    }
    share = 7;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (tc_share(bad[i], &share) == 0)
            fail_msg("'%s' was taken", bad[i]);
    assert_int_equal(share, 7);
}

static void the_environment_verifies_instead_of_the_task(void **state)
{
    struct tc_task task = {.flags = TC_TASK_POLICY_GIVEN, .policy = TC_POLICY_INPUTS, .verify = 5};
    struct tc_switches env = {.verify = 9};

    (void)state;
    assert_int_equal(tc_activation(&task, &env).verify, 5);
    env.verify_given = 1;
    assert_int_equal(tc_activation(&task, &env).verify, 9);
    env.verify = 0;
    assert_int_equal(tc_activation(&task, &env).verify, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_policy_means),
        cmocka_unit_test(key_functions_are_told_apart),
        cmocka_unit_test(what_is_wrong_with_a_policy),
        cmocka_unit_test(too_many_exclusions),
        cmocka_unit_test(when_caching_is_on),
        cmocka_unit_test(when_a_refresh_is_in_force),
        cmocka_unit_test(booleans),
        cmocka_unit_test(nearest_words),
        cmocka_unit_test(shares),
        cmocka_unit_test(the_environment_verifies_instead_of_the_task),
    };

    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}

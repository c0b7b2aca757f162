/* The pure parts of cachectl: what people write, and what they are shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/catalog.h"
#include "tools/json.h"
#include "tools/render.h"
#include "tools/sums.h"
#include "tools/task_text.h"
#include "tools/units.h"

static void check_split(const char *text, const char *prototype, const char *symbol,
                        const char *object)
{
    struct tc_task_text t;
    const char *why;
    assert_int_equal(tc_task_text_split(text, &t, &why), 0);
    assert_string_equal(t.prototype, prototype);
    assert_string_equal(t.symbol, symbol);
    if (object)
        assert_string_equal(t.object, object);
    else
        assert_null(t.object);
    tc_task_text_free(&t);
}

static void splits_a_task_at_the_last_at_behind_the_parameters(void **state)
{
    (void)state;
    check_split("int f(int x)@libx.so*", "int f(int x)", "f", "libx.so*");
    check_split("int f(int x)", "int f(int x)", "f", NULL);
    check_split("  double *mean (const double x[n], int n) @ lib@2.so ",
                "double *mean (const double x[n], int n) @ lib", "mean", "2.so");
    check_split("void g(out char t[min(a, b)], int a, int b)@prog",
                "void g(out char t[min(a, b)], int a, int b)", "g", "prog");
    check_split("static(4 * sizeof) double *table(int k)@l",
                "static(4 * sizeof) double *table(int k)", "table", "l");
    check_split("ns::f(int) = int f(int x)@libx*", "int f(int x)", "ns::f(int)", "libx*");
    check_split(" S::operator==(S const&) const = bool f(in S *a, in S *b)",
                "bool f(in S *a, in S *b)", "S::operator==(S const&) const", NULL);
    check_split("S::operator=(int)\t=\nint f(const int x[n == 2 ? 1 : n], int n) @p",
                "int f(const int x[n == 2 ? 1 : n], int n)", "S::operator=(int)", "p");
    check_split("int f(const int x[n == 2 ? 1 : n], int n)",
                "int f(const int x[n == 2 ? 1 : n], int n)", "f", NULL);
    check_split("a.c:g = int f(int x)@p", "int f(int x)", "a.c:g", "p");
}

static void says_why_a_task_cannot_be_read(void **state)
{
    (void)state;
    static const char *const wrong[] = {"f",          "",         "(int x)@lib",   "int f(int x)@",
                                        "int f(x)@ ", "int 3(x)", "f(x\001)",      " = int f(x)",
                                        "f(int) = ",  "f = int",  "f@p = int f(x)"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct tc_task_text t;
        const char *why = NULL;
        assert_int_equal(tc_task_text_split(wrong[i], &t, &why), -EINVAL);
        assert_non_null(why);
    }
}

static void writes_a_config_of_tasks_and_plugins(void **state)
{
    (void)state;
    struct tc_words tasks = {0}, plugins = {0};
    struct tc_text text = {0};
    struct tc_cause cause;
    tc_words_add(&tasks, "int f(const char *s,\n  int c)@it's*");
    tc_words_add(&plugins, "lapack");
    assert_int_equal(tc_task_text_config(&tasks, &plugins, &text, &cause), 0);
    assert_string_equal(text.data, "plugins:\n"
                                   "  - 'lapack'\n"
                                   "tasks:\n"
                                   "  - symbol: 'f@it''s*'\n"
                                   "    prototype: |\n"
                                   "      int f(const char *s,\n"
                                   "        int c)\n"
                                   "    cache_policy: INPUTS + TASK_SOURCE\n");
    tc_text_free(&text);
    tc_words_add(&plugins, "./no/such/plugin.so");
    assert_int_equal(tc_task_text_config(&tasks, &plugins, &text, &cause), -ENOENT);
    assert_int_equal(cause.reason, TC_R_NO_SUCH_PLUGIN);
    tc_text_free(&text);
    free(tasks.word);
    free(plugins.word);
}

static void shows_durations(void **state)
{
    (void)state;
    static const struct {
        int64_t ns;
        const char *text;
    } cases[] = {
        {0, "0 ns"},
        {999, "999 ns"},
        {1500, "1.5 us"},
        {12500000, "12.5 ms"},
        {250000000, "250 ms"},
        {1234000000, "1.23 s"},
        {59000000000, "59.0 s"},
        {250000000000, "4 min 10 s"},
        {7500000000000, "2 h 05 min"},
        {273600000000000, "3 d 04 h"},
        {-5000000000, "-5.00 s"},
    };
    char text[TC_UNITS_BYTES];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(tc_units_duration(cases[i].ns, text), cases[i].text);
    (void)tc_units_duration(INT64_MIN, text);
}

static void shows_sizes(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 B"},         {1023, "1023 B"},      {1024, "1 KiB"},         {1536, "1.50 KiB"},
        {1048575, "1 MiB"}, {3250586, "3.10 MiB"}, {10737418240, "10 GiB"}, {UINT64_MAX, "16 EiB"},
    };
    char text[TC_UNITS_BYTES];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(tc_units_bytes(cases[i].bytes, text), cases[i].text);
}

static void reads_durations(void **state)
{
    (void)state;
    int64_t ns = 77;
    assert_int_equal(tc_parse_duration("1h30m", &ns), 0);
    assert_true(ns == INT64_C(5400000000000));
    assert_int_equal(tc_parse_duration("90", &ns), 0);
    assert_true(ns == INT64_C(90000000000));
    assert_int_equal(tc_parse_duration("-1w2ns", &ns), 0);
    assert_true(ns == -(INT64_C(604800000000000) + 2));
    assert_int_equal(tc_parse_duration("5ms", &ns), 0);
    assert_true(ns == 5000000);
    ns = 77;
    assert_int_equal(tc_parse_duration("", &ns), -EINVAL);
    assert_int_equal(tc_parse_duration("-", &ns), -EINVAL);
    assert_int_equal(tc_parse_duration("3x", &ns), -EINVAL);
    assert_int_equal(tc_parse_duration("1h30", &ns), -EINVAL);
    assert_int_equal(tc_parse_duration("1.5h", &ns), -EINVAL);
    assert_int_equal(tc_parse_duration("99999999999w", &ns), -ERANGE);
    assert_true(ns == 77);
}

static void shows_numbers_that_read_back(void **state)
{
    (void)state;
    char text[TC_UNITS_BYTES];
    assert_string_equal(tc_units_double(0.1, text), "0.1");
    assert_string_equal(tc_units_double(3, text), "3.0");
    assert_string_equal(tc_units_double(-0.0, text), "-0.0");
    assert_string_equal(tc_units_double(1e300, text), "1e+300");
    assert_string_equal(tc_units_double((double)INFINITY, text), "inf");
    assert_string_equal(tc_units_float(0.1f, text), "0.1");
    const double third = 1.0 / 3;
    assert_true(strtod(tc_units_double(third, text), NULL) == third);
}

static char *json_of(void (*write)(struct tc_json *j))
{
    char *text = NULL;
    size_t bytes;
    FILE *f = open_memstream(&text, &bytes);
    struct tc_json j;
    tc_json_begin(&j, f);
    write(&j);
    tc_json_end(&j);
    fclose(f);
    return text;
}

static void write_texts(struct tc_json *j)
{
    tc_json_array(j, NULL);
    tc_json_text(j, NULL, "a\"b\\c\n\x01\x7f");
    tc_json_text(j, NULL, "\xc3\xa9\xff\xc0\xaf\xed\xa0\x80");
    tc_json_text(j, NULL, NULL);
    tc_json_close_array(j);
}

static void write_numbers(struct tc_json *j)
{
    tc_json_object(j, NULL);
    tc_json_u64(j, "u", UINT64_MAX);
    tc_json_i64(j, "i", INT64_MIN);
    tc_json_double(j, "d", 0.5);
    tc_json_double(j, "nan", (double)INFINITY);
    tc_json_array(j, "empty");
    tc_json_close_array(j);
    tc_json_close_object(j);
}

static void writes_json(void **state)
{
    (void)state;
    char *text = json_of(write_texts);
    assert_string_equal(text, "[\n  \"a\\\"b\\\\c\\n\\u0001\\u007f\",\n"
                              "  \"\xc3\xa9\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\",\n"
                              "  null\n]\n");
    free(text);
    text = json_of(write_numbers);
    assert_string_equal(text, "{\n  \"u\": 18446744073709551615,\n"
                              "  \"i\": -9223372036854775808,\n  \"d\": 0.5,\n"
                              "  \"nan\": \"inf\",\n  \"empty\": []\n}\n");
    free(text);
}

static void check_rendered(struct tc_text *t, const char *expected)
{
    assert_string_equal(t->data, expected);
    tc_text_free(t);
}

static void renders_values(void **state)
{
    (void)state;
    struct tc_text t = {0};
    const int32_t ints[] = {-1, 2, 3};
    const double reals[] = {1.5, -2};
    const uint8_t byte = 200;
    tc_render_array(&t, TC_I32, (const void *)ints, sizeof ints, 3);
    check_rendered(&t, "{-1, 2, 3}");
    tc_render_array(&t, TC_F64, (const void *)reals, sizeof reals, 600);
    check_rendered(&t, "{1.5, -2.0, ...}");
    tc_render_scalar(&t, TC_I8, &byte);
    check_rendered(&t, "-56");
    tc_render_scalar(&t, TC_U8, &byte);
    check_rendered(&t, "200");
    tc_render_string(&t, (const void *)"a\"\n\0017\xff", 6, 6);
    check_rendered(&t, "\"a\\\"\\n\\0017\\377\"");
    tc_render_string(&t, (const void *)"abc", 3, 90);
    check_rendered(&t, "\"abc\"...");
    tc_render_dump(&t, (const void *)"0123456789abcdefX", 17, 0);
    assert_non_null(strstr(t.data, "|0123456789abcdef|\n"));
    assert_non_null(strstr(t.data, "00000010  58 "));
    tc_text_free(&t);
}

static void picks_keys_and_tasks(void **state)
{
    (void)state;
    const struct tc_record head = {.key_high = 0x0123456789abcdef, .key_low = 0xfedcba9876543210};
    assert_true(tc_is_key_prefix("0"));
    assert_true(tc_is_key_prefix("0123456789abcdeffedcba9876543210"));
    assert_false(tc_is_key_prefix("0123456789abcdeffedcba98765432100"));
    assert_false(tc_is_key_prefix(""));
    assert_false(tc_is_key_prefix("12g"));
    assert_true(tc_key_has_prefix(&head, "0123456789ABCDEFfe"));
    assert_false(tc_key_has_prefix(&head, "fe"));
    assert_true(tc_task_matches("simul*@libsolver*", "simulate@libsolver.so.1"));
    assert_true(tc_task_matches("simulate", "simulate@libsolver.so.1"));
    assert_true(tc_task_matches("simulate", "solver.c:simulate@prog"));
    assert_true(tc_task_matches("*", "anything"));
    assert_false(tc_task_matches("simul", "simulate@libsolver.so.1"));
    assert_false(tc_task_matches("simulate@x*", "simulate@libsolver.so.1"));
}

/* A call whose result wasn't kept is a miss, and isn't counted a second time as a bypass. */
static void sums_counters(void **state)
{
    (void)state;
    struct tc_sums sums = {0};
    static struct tc_counters a = {.task = 7, .hits = 5, .misses = 2, .identity_ready = 1}, before;
    strcpy(a.identity, "f@x");
    a.bypass[TC_R_SKIPPED] = 3;
    a.bypass[TC_R_FAILED] = 2;
    before.hits = 1;
    tc_sums_add(&sums, &a, &before);
    tc_sums_add(&sums, &before, &before);
    assert_int_equal(sums.count, 1);
    assert_string_equal(sums.task[0].identity, "f@x");
    assert_true(sums.all.hits == 4 && sums.all.misses == 2 && sums.all.bypasses == 3);
    assert_true(sums.all.bypass[TC_R_FAILED] == 2);
    tc_sums_free(&sums);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_a_task_at_the_last_at_behind_the_parameters),
        cmocka_unit_test(says_why_a_task_cannot_be_read),
        cmocka_unit_test(writes_a_config_of_tasks_and_plugins),
        cmocka_unit_test(shows_durations),
        cmocka_unit_test(shows_sizes),
        cmocka_unit_test(reads_durations),
        cmocka_unit_test(shows_numbers_that_read_back),
        cmocka_unit_test(writes_json),
        cmocka_unit_test(renders_values),
        cmocka_unit_test(picks_keys_and_tasks),
        cmocka_unit_test(sums_counters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* cache/diag: messages as people read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/diag.h"
#include "cache/shared_page.h"

static void expect_rendered(const char *text, size_t at, const char *sentence, const char *remedy,
                            const char *expected)
{
    char *got = tc_diag_render("a.yaml", text, text ? strlen(text) : 0, at, TC_R_EXTENT_MISSING,
                               sentence, remedy);

    assert_string_equal(got, expected);
    free(got);
}

static void message_with_caret(void **state)
{
    (void)state;
    expect_rendered("tasks:\n      double mean(const double *x, int n)\n", 33,
                    "parameter 'x' of 'mean' has no extent", "const double x[n]",
                    "a.yaml:2:27: extent-missing: parameter 'x' of 'mean' has no extent\n"
                    "      double mean(const double *x, int n)\n"
                    "                          ^\n"
                    "  try: const double x[n]");
}

static void message_without_text(void **state)
{
    (void)state;
    expect_rendered(NULL, 0, "nothing there", "", "a.yaml: extent-missing: nothing there");
}

static void defaults_come_from_the_reason(void **state)
{
    (void)state;
    expect_rendered("x", 0, NULL, NULL,
                    "a.yaml:1:1: extent-missing: a pointer has no extent\nx\n^\n"
                    "  try: write how many elements it points at: `const double x[n]`");
}

static void tabs_and_utf8_keep_the_caret_in_place(void **state)
{
    (void)state;
    expect_rendered("\t\xc3\xa9 x", 4, "s", "",
                    "a.yaml:1:5: extent-missing: s\n\t\xc3\xa9 x\n\t  ^");
}

static void control_characters_dont_reach_a_terminal(void **state)
{
    (void)state;
    expect_rendered("a\x1b[31mb\r\n", 6, "s", "",
                    "a.yaml:1:7: extent-missing: s\na?[31mb\n      ^");
}

static void the_end_and_beyond(void **state)
{
    (void)state;
    expect_rendered("ab\n", 3, "s", "", "a.yaml:2:1: extent-missing: s\n\n^");
    expect_rendered("ab", 99, "s", "", "a.yaml:1:3: extent-missing: s\nab\n  ^");
    expect_rendered("", 0, "s", "", "a.yaml:1:1: extent-missing: s\n\n^");
}

static void long_lines_are_cut_around_the_caret(void **state)
{
    char text[5001];
    char *got;

    (void)state;
    memset(text, 'a', 5000);
    text[5000] = 0;
    text[3000] = 'X';
    got = tc_diag_render("a.yaml", text, 5000, 3000, TC_R_SYNTAX, "s", "");
    assert_true(strlen(got) < 400);
    assert_non_null(strchr(got, 'X'));
    assert_non_null(strchr(got, '^'));
    /* Both stand in the same column. */
    assert_int_equal(strchr(got, 'X') - (strchr(got, '\n') + 1),
                     strchr(got, '^') - (strrchr(got, '\n') + 1));
    free(got);
}

static void positions(void **state)
{
    unsigned line, column;

    (void)state;
    tc_text_position("a\nbc\n", 5, 3, &line, &column);
    assert_int_equal(line, 2);
    assert_int_equal(column, 2);
    tc_text_position("a\nbc\n", 5, 99, &line, &column);
    assert_int_equal(line, 3);
    assert_int_equal(column, 1);
}

static void text_fail_fills_in_and_cuts(void **state)
{
    struct tc_text_error e;
    char name[1000];

    (void)state;
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    assert_int_equal(tc_text_fail(&e, TC_R_VARIADIC, 7, NULL, "%s", name), -EINVAL);
    assert_int_equal(e.reason, TC_R_VARIADIC);
    assert_int_equal(e.at, 7);
    assert_int_equal(strlen(e.sentence), sizeof e.sentence - 1);
    assert_string_equal(e.remedy, tc_reason_info(TC_R_VARIADIC)->remedy);
    tc_text_fail(&e, TC_R_VARIADIC, 7, "", "x");
    assert_string_equal(e.remedy, "");
}

static void reasons_have_ids_of_their_own(void **state)
{
    (void)state;
    for (unsigned i = 1; i < TC_REASON_COUNT; i++) {
        const struct tc_reason_info *info = tc_reason_info(i);

        assert_int_equal(tc_reason_by_id(info->id), i);
        assert_true(info->sentence[0] != 0);
        assert_int_equal(i < TC_PAGE_REASONS, info->kind == TC_KIND_BYPASS);
    }
    assert_int_equal(tc_reason_by_id("no-such-reason"), TC_R_NONE);
    assert_string_equal(tc_reason_info(TC_REASON_COUNT)->id, "unknown");
    assert_string_equal(tc_reason_info(~0u)->id, "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_with_caret),
        cmocka_unit_test(message_without_text),
        cmocka_unit_test(defaults_come_from_the_reason),
        cmocka_unit_test(tabs_and_utf8_keep_the_caret_in_place),
        cmocka_unit_test(control_characters_dont_reach_a_terminal),
        cmocka_unit_test(the_end_and_beyond),
        cmocka_unit_test(long_lines_are_cut_around_the_caret),
        cmocka_unit_test(positions),
        cmocka_unit_test(text_fail_fills_in_and_cuts),
        cmocka_unit_test(reasons_have_ids_of_their_own),
    };

    return cmocka_run_group_tests_name("diag", tests, NULL, NULL);
}

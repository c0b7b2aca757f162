/* cache/object_glob: which objects a task means. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cache/object_glob.h"

static void alternatives_match(void **state)
{
    (void)state;
    assert_true(tc_object_glob("libsolver.so*", "libsolver.so.2"));
    assert_true(tc_object_glob("liba.so*|lib[bc].so*", "liba.so"));
    assert_true(tc_object_glob("liba.so*|lib[bc].so*", "libc.so.6"));
    assert_true(tc_object_glob("|liba.so||*", "anything"));
    assert_false(tc_object_glob("liba.so*|lib[bc].so*", "libd.so"));
    assert_false(tc_object_glob("liba.so|libb.so", "liba.so|libb.so"));
    assert_false(tc_object_glob("", ""));
    assert_false(tc_object_glob("", "liba.so"));
    assert_false(tc_object_glob("||", "liba.so"));
}

static void too_long_ones_match_nothing(void **state)
{
    char globs[3 * TC_OBJECT_GLOB_BYTES];

    (void)state;
    memset(globs, '*', sizeof globs);
    globs[sizeof globs - 1] = 0;
    assert_false(tc_object_glob(globs, "liba.so"));
    memcpy(globs + sizeof globs - 9, "|liba.so", 9);
    assert_true(tc_object_glob(globs, "liba.so"));
    globs[TC_OBJECT_GLOB_BYTES - 1] = '|'; /* the longest that counts */
    assert_true(tc_object_glob(globs, "libb.so"));
}

static void one_after_the_other(void **state)
{
    const char *globs = "a|bc||d|";
    char glob[TC_OBJECT_GLOB_BYTES];
    static const char *const expected[] = {"a", "bc", "d"};

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_true(tc_object_glob_next(&globs, glob));
        assert_string_equal(glob, expected[i]);
    }
    assert_false(tc_object_glob_next(&globs, glob));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alternatives_match),
        cmocka_unit_test(too_long_ones_match_nothing),
        cmocka_unit_test(one_after_the_other),
    };

    return cmocka_run_group_tests_name("object_glob", tests, NULL, NULL);
}

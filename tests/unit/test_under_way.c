/* preload/under_way.c: what is known of results that nobody waits for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cache/reason.h"
#include "preload/under_way.h"

static struct tc_under_way u;

static int begin(void **state)
{
    (void)state;
    memset(&u, 0, sizeof u);
    return 0;
}

static void add(uint64_t key, uint64_t seq, int large)
{
    tc_under_way_add(&u, &(struct tc_sent){key, seq, 7, (uint32_t)key}, large);
}

static void answer(uint64_t seq, int status, uint32_t reason)
{
    tc_under_way_answered(&u,
                          &(struct tc_reply){.head.seq = seq, .status = status, .reason = reason});
}

/* -1: not found; else how long to wait. */
static int64_t find(uint64_t key)
{
    int64_t patience = -2;

    return tc_under_way_find(&u, key, &patience) ? patience : -1;
}

static void test_found_until_overwritten(void **state)
{
    (void)state;
    assert_int_equal(find(0), -1);
    add(5, 1, 0);
    assert_int_equal(find(5), 7);
    assert_int_equal(find(0), -1);
    assert_true(tc_under_way_unanswered(&u));
    answer(1, 0, 0);
    assert_false(tc_under_way_unanswered(&u));
    assert_int_equal(find(5), 0); /* it may have been missed just before the answer */
    for (uint64_t i = 0; i < TC_UNDER_WAY; i++)
        add(100 + i, 2 + i, 0);
    assert_int_equal(find(5), -1);
    assert_int_equal(find(100 + TC_UNDER_WAY - 1), 7);
}

/* One key twice, the older one answered, wherever they lie. */
static void test_the_newest_of_a_key_counts(void **state)
{
    (void)state;
    for (uint64_t i = 1; i < TC_UNDER_WAY; i++)
        add(i, i, 0);
    add(5, 1000, 0);
    add(6, 1001, 0);
    add(5, 1002, 0); /* in front of the 5 before */
    answer(1000, 0, 0);
    assert_int_equal(find(5), 7);
    answer(1002, 0, 0);
    assert_int_equal(find(5), 0);
    assert_int_equal(find(6), 0);
}

static void test_room(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < TC_UNDER_WAY; i++) {
        assert_int_equal(tc_under_way_before(&u, 0), 0);
        add(i, 10 + i, 0);
    }
    assert_int_equal(tc_under_way_before(&u, 0), 10);
    answer(10, 0, 0);
    assert_int_equal(tc_under_way_before(&u, 0), 0);
    add(1, 500, 1);
    assert_int_equal(tc_under_way_before(&u, 0), 11);
    assert_int_equal(tc_under_way_before(&u, 1), 500); /* one large one at a time */
    answer(499, 0, 0);
    assert_int_equal(tc_under_way_before(&u, 0), 0);
    assert_int_equal(tc_under_way_before(&u, 1), 500);
    tc_under_way_lost(&u, 600);
    assert_int_equal(tc_under_way_before(&u, 1), 0);
    assert_int_equal(find(1), 0);
}

static void test_what_was_refused(void **state)
{
    (void)state;
    answer(3, -5, TC_R_NOT_STORED); /* to a message that wasn't one of these */
    assert_int_equal(u.refused.reason, 0);
    add(8, 4, 0);
    add(9, 5, 0);
    answer(4, -27, TC_R_TOO_LARGE);
    assert_int_equal(u.refused.reason, TC_R_TOO_LARGE);
    assert_int_equal(u.refused.hook, 8);
    answer(5, -28, TC_R_STORE_FULL);
    assert_int_equal(u.refused.reason, TC_R_NOT_STORED);
    assert_int_equal(u.refused.hook, 9);
    answer(4, 0, 0);
    assert_int_equal(u.answered, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_found_until_overwritten, begin),
        cmocka_unit_test_setup(test_the_newest_of_a_key_counts, begin),
        cmocka_unit_test_setup(test_room, begin),
        cmocka_unit_test_setup(test_what_was_refused, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

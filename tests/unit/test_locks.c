/* cache/locks.c: who gets a key, in which order, and what ends a claim. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cache/locks.h"

#define MS   1000000ll
#define HOLD (1000 * MS)

static struct tc_lock_claim memory[8];
static struct tc_locks locks;
static int64_t now;
static uint32_t gone_tid;
static unsigned changes;
static uint64_t changed_key;

static int is_gone(void *ctx, const struct tc_lock_owner *owner)
{
    (void)ctx;
    return owner->tid == gone_tid;
}

static void changed(void *ctx, uint64_t key_low)
{
    (void)ctx;
    changes++;
    changed_key = key_low;
}

static int begin(void **state)
{
    static const struct tc_lock_ops ops = {is_gone, changed};

    (void)state;
    memset(memory, 0xa5, sizeof memory);
    locks = (struct tc_locks){.claim = memory, .capacity = 8, .ops = &ops};
    now = 0;
    gone_tid = UINT32_MAX;
    changes = 0;
    return 0;
}

/* Thread t of link 1; its calls are told by serial. */
static struct tc_lock_owner call_of(uint32_t tid, uint64_t serial)
{
    return (struct tc_lock_owner){.link = 1, .tid = tid, .serial = serial};
}

static enum tc_lock_answer ask_as(struct tc_lock_owner owner, uint64_t key, int64_t *ret_again)
{
    return tc_locks_ask(&locks, (struct tc_key){key, ~key}, &owner, HOLD, now, ret_again);
}

static enum tc_lock_answer ask(uint32_t tid, uint64_t key)
{
    int64_t again;

    return ask_as(call_of(tid, tid), key, &again);
}

static void release(uint32_t tid, uint64_t key)
{
    struct tc_lock_owner owner = call_of(tid, tid);

    tc_locks_release(&locks, (struct tc_key){key, ~key}, &owner, now);
}

static void one_holds_others_wait_in_order(void **state)
{
    int64_t again;

    (void)state;
    assert_int_equal(ask(1, 7), TC_LOCK_YOURS);
    now = 100 * MS;
    assert_int_equal(ask_as(call_of(2, 2), 7, &again), TC_LOCK_WAIT);
    assert_int_equal(again, HOLD - 100 * MS);
    assert_int_equal(ask(3, 7), TC_LOCK_WAIT);
    assert_int_equal(ask(4, 8), TC_LOCK_YOURS);
    assert_int_equal(changes, 0);
    release(1, 7);
    assert_int_equal(changes, 1);
    assert_int_equal(changed_key, 7);
    /* It is the second one's, whoever asks first. */
    assert_int_equal(ask(3, 7), TC_LOCK_WAIT);
    assert_int_equal(ask(1, 7), TC_LOCK_WAIT);
    assert_int_equal(ask(2, 7), TC_LOCK_YOURS);
    release(2, 7);
    assert_int_equal(ask(1, 7), TC_LOCK_WAIT);
    assert_int_equal(ask(3, 7), TC_LOCK_YOURS);
    release(3, 7);
    assert_int_equal(ask(1, 7), TC_LOCK_YOURS);
}

static void keys_differ_in_all_bits(void **state)
{
    struct tc_lock_owner a = call_of(1, 1), b = call_of(2, 2);
    int64_t again;

    (void)state;
    assert_int_equal(tc_locks_ask(&locks, (struct tc_key){7, 1}, &a, HOLD, now, &again),
                     TC_LOCK_YOURS);
    assert_int_equal(tc_locks_ask(&locks, (struct tc_key){7, 2}, &b, HOLD, now, &again),
                     TC_LOCK_YOURS);
}

static void asking_again_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(ask(1, 7), TC_LOCK_YOURS);
    now = 900 * MS;
    assert_int_equal(ask(1, 7), TC_LOCK_YOURS);
    assert_int_equal(ask(2, 7), TC_LOCK_WAIT);
    assert_int_equal(ask(2, 7), TC_LOCK_WAIT);
    assert_int_equal(locks.count, 2);
    /* Held since 0, not since it was asked for again. */
    now = HOLD;
    assert_int_equal(ask(2, 7), TC_LOCK_YOURS);
}

static void only_the_owner_releases(void **state)
{
    struct tc_lock_owner other = call_of(1, 99), link = {.link = 2, .tid = 1, .serial = 1};

    (void)state;
    assert_int_equal(ask(1, 7), TC_LOCK_YOURS);
    tc_locks_release(&locks, (struct tc_key){7, ~7ull}, &other, now);
    tc_locks_release(&locks, (struct tc_key){7, ~7ull}, &link, now);
    release(2, 7);
    release(1, 8);
    assert_int_equal(ask(2, 7), TC_LOCK_WAIT);
}

static void a_waiter_that_leaves_is_passed_over(void **state)
{
    (void)state;
    assert_int_equal(ask(1, 7), TC_LOCK_YOURS);
    assert_int_equal(ask(2, 7), TC_LOCK_WAIT);
    assert_int_equal(ask(3, 7), TC_LOCK_WAIT);
    release(2, 7);
    assert_int_equal(changes, 0);
    release(1, 7);
    assert_int_equal(ask(3, 7), TC_LOCK_YOURS);
}

static void a_gone_holder_makes_room(void **state)
{
    (void)state;
    assert_int_equal(ask(1, 7), TC_LOCK_YOURS);
    assert_int_equal(ask(2, 7), TC_LOCK_WAIT);
    assert_int_equal(ask(3, 7), TC_LOCK_WAIT);
    gone_tid = 1;
    assert_int_equal(ask(3, 7), TC_LOCK_WAIT);
    assert_int_equal(changes, 1);
    assert_int_equal(ask(2, 7), TC_LOCK_YOURS);
    /* And one that ends while it is next in line. */
    gone_tid = 3;
    release(2, 7);
    assert_int_equal(locks.count, 0);
}

static void a_hold_lapses(void **state)
{
    (void)state;
    assert_int_equal(ask(1, 7), TC_LOCK_YOURS);
    now = HOLD - 1;
    assert_int_equal(ask(2, 7), TC_LOCK_WAIT);
    now = HOLD;
    assert_int_equal(ask(2, 7), TC_LOCK_YOURS);
    /* What the first one does when it comes back is of no consequence. */
    release(1, 7);
    assert_int_equal(ask(3, 7), TC_LOCK_WAIT);
}

static void a_silent_waiter_lapses(void **state)
{
    struct tc_lock_owner holder = call_of(1, 1);
    int64_t again;

    (void)state;
    assert_int_equal(
        tc_locks_ask(&locks, (struct tc_key){7, ~7ull}, &holder, INT64_MAX, now, &again),
        TC_LOCK_YOURS);
    assert_int_equal(ask(2, 7), TC_LOCK_WAIT);
    now = TC_LOCK_LAPSE_NS - 1;
    assert_int_equal(ask(3, 7), TC_LOCK_WAIT);
    now = TC_LOCK_LAPSE_NS;
    release(1, 7);
    assert_int_equal(ask(3, 7), TC_LOCK_WAIT); /* granted to 2 at the release, which never asks */
    now = 2 * TC_LOCK_LAPSE_NS;
    assert_int_equal(ask(3, 7), TC_LOCK_YOURS);
}

static void a_call_that_was_left_makes_room(void **state)
{
    int64_t again;

    (void)state;
    assert_int_equal(ask_as(call_of(1, 10), 7, &again), TC_LOCK_YOURS);
    assert_int_equal(ask(2, 7), TC_LOCK_WAIT);
    /* Thread 1 is in another call: it can't be in the first one any more. Others come first. */
    assert_int_equal(ask_as(call_of(1, 11), 7, &again), TC_LOCK_WAIT);
    assert_int_equal(ask(2, 7), TC_LOCK_YOURS);
    /* It waits for something else: it doesn't wait for 7 any more. */
    assert_int_equal(ask_as(call_of(1, 12), 8, &again), TC_LOCK_YOURS);
    release(2, 7);
    assert_int_equal(locks.count, 1);
    assert_int_equal(ask_as(call_of(1, 13), 9, &again), TC_LOCK_YOURS);
    assert_int_equal(locks.count, 2); /* calls inside each other hold both */
}

static void circles_are_found(void **state)
{
    int64_t again;

    (void)state;
    assert_int_equal(ask_as(call_of(1, 10), 100, &again), TC_LOCK_YOURS);
    assert_int_equal(ask_as(call_of(2, 20), 200, &again), TC_LOCK_YOURS);
    assert_int_equal(ask_as(call_of(3, 30), 300, &again), TC_LOCK_YOURS);
    assert_int_equal(ask_as(call_of(1, 11), 200, &again), TC_LOCK_WAIT);
    assert_int_equal(ask_as(call_of(2, 21), 300, &again), TC_LOCK_WAIT);
    assert_int_equal(ask_as(call_of(3, 31), 100, &again), TC_LOCK_DEADLOCK);
    /* It runs on, and lets go: the others come to their turn. */
    release(3, 300);
    tc_locks_release(&locks, (struct tc_key){300, ~300ull},
                     &(struct tc_lock_owner){.link = 1, .tid = 3, .serial = 30}, now);
    assert_int_equal(ask_as(call_of(2, 21), 300, &again), TC_LOCK_YOURS);
    assert_int_equal(ask_as(call_of(1, 11), 200, &again), TC_LOCK_WAIT);
    /* Who holds what nobody waits for in a circle just waits. */
    assert_int_equal(ask_as(call_of(3, 32), 100, &again), TC_LOCK_WAIT);
}

static void a_process_is_forgotten(void **state)
{
    struct tc_lock_owner other = {.link = 2, .tid = 1, .serial = 5};
    int64_t again;

    (void)state;
    assert_int_equal(ask(1, 7), TC_LOCK_YOURS);
    assert_int_equal(ask(2, 7), TC_LOCK_WAIT);
    assert_int_equal(ask(3, 8), TC_LOCK_YOURS);
    assert_int_equal(ask_as(other, 7, &again), TC_LOCK_WAIT);
    tc_locks_forget(&locks, 1, now);
    assert_int_equal(locks.count, 1);
    assert_int_equal(changes, 1);
    assert_int_equal(ask_as(other, 7, &again), TC_LOCK_YOURS);
}

static void a_full_table_refuses(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(ask(1 + i, 100 + i), TC_LOCK_YOURS);
    assert_int_equal(ask(20, 200), TC_LOCK_FULL);
    assert_int_equal(ask(20, 100), TC_LOCK_FULL);
    release(1, 100);
    assert_int_equal(ask(20, 200), TC_LOCK_YOURS);
}

/* Whatever threads do, a key has one holder, and somebody has it if anybody waits. */
static void check_all(void)
{
    for (uint32_t i = 0; i < locks.count; i++) {
        unsigned holders = 0;
        for (uint32_t k = 0; k < locks.count; k++)
            holders += locks.claim[k].state != TC_LOCK_WAITING &&
                       locks.claim[k].key.low == locks.claim[i].key.low;
        assert_int_equal(holders, 1);
    }
}

static void at_random(void **state)
{
    uint64_t serial = 0;
    int64_t again;

    (void)state;
    srand(1);
    for (int i = 0; i < 200000; i++) {
        uint32_t tid = 1 + (uint32_t)rand() % 5;
        uint64_t key = 1 + (uint64_t)rand() % 3;
        now += rand() % 200 * MS;
        gone_tid = rand() % 50 == 0 ? 1 + (uint32_t)rand() % 5 : UINT32_MAX;
        if (rand() % 3 == 0)
            tc_locks_release(&locks, (struct tc_key){key, ~key},
                             &(struct tc_lock_owner){.link = 1, .tid = tid, .serial = serial}, now);
        else if (rand() % 100 == 0)
            tc_locks_forget(&locks, 1, now);
        else
            (void)ask_as(call_of(tid, rand() % 2 ? ++serial : serial), key, &again);
        check_all();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(one_holds_others_wait_in_order, begin),
        cmocka_unit_test_setup(keys_differ_in_all_bits, begin),
        cmocka_unit_test_setup(asking_again_changes_nothing, begin),
        cmocka_unit_test_setup(only_the_owner_releases, begin),
        cmocka_unit_test_setup(a_waiter_that_leaves_is_passed_over, begin),
        cmocka_unit_test_setup(a_gone_holder_makes_room, begin),
        cmocka_unit_test_setup(a_hold_lapses, begin),
        cmocka_unit_test_setup(a_silent_waiter_lapses, begin),
        cmocka_unit_test_setup(a_call_that_was_left_makes_room, begin),
        cmocka_unit_test_setup(circles_are_found, begin),
        cmocka_unit_test_setup(a_process_is_forgotten, begin),
        cmocka_unit_test_setup(a_full_table_refuses, begin),
        cmocka_unit_test_setup(at_random, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

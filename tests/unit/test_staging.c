/* service/store/staging.c: results of transactions, until they are records or gone. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cache/totals.h"
#include "tests/unit/store_fixture.h"

static const uint64_t one[2] = {1, 0}, two[2] = {1, 1};

static struct tc_store *open_store(struct place *p)
{
    struct tc_store *s = NULL;
    struct tc_failure f = {.text = ""};

    if (tc_store_open(&p->options, &s, &f) != 0)
        fail_msg("%s", f.text);
    return s;
}

static int stage(struct tc_store *s, const uint64_t *transaction, uint64_t key, size_t bytes,
                 unsigned char fill)
{
    struct tc_draft d = {.transaction = transaction};
    unsigned char *draft =
        draft_make(&(struct draft_spec){.key = key, .output_bytes = bytes, .fill = fill}, &d.bytes);
    int r;

    d.data = draft;
    r = tc_store_put(s, &d);
    free(draft);
    return r;
}

/* With its outputs in chunks. */
static void stage_large(struct tc_store *s, const uint64_t *transaction, uint64_t key, size_t bytes)
{
    struct tc_draft d = {.transaction = transaction, .chunk_count = 2};
    unsigned char *draft =
        draft_make(&(struct draft_spec){.key = key, .output_bytes = bytes, .fill = 'L'}, &d.bytes);

    d.data = draft;
    d.bytes -= bytes;
    assert_int_equal(tc_store_reserve_chunks(s, bytes, 2, &d.chunk_first), 0);
    assert_int_equal(tc_store_put_chunk(s, d.chunk_first, draft + d.bytes, TC_CHUNK_BYTES), 0);
    assert_int_equal(tc_store_put_chunk(s, d.chunk_first + 1, draft + d.bytes + TC_CHUNK_BYTES,
                                        bytes - TC_CHUNK_BYTES),
                     0);
    assert_int_equal(tc_store_put(s, &d), 0);
    free(draft);
}

static struct tc_store_numbers numbers(struct tc_store *s)
{
    struct tc_store_numbers n;

    tc_store_numbers(s, &n);
    return n;
}

static void test_staged_results_become_records_in_one_commit(void **state)
{
    struct place p;
    struct tc_store *s;
    struct tc_details details;
    uint64_t kept = 0, key = 5;

    (void)state;
    place_make(&p);
    s = open_store(&p);
    assert_int_equal(stage(s, one, 5, 100, 'a'), 0);
    assert_int_equal(stage(s, one, 6, 100, 'b'), 0);
    stage_large(s, one, 7, TC_CHUNK_BYTES + 9);
    assert_int_equal(tc_store_commit(s), 0);
    assert_int_equal(entries(&p, "staged"), 3);
    assert_int_equal(entries(&p, "records"), 0);
    assert_int_equal(numbers(s).record_count, 0);
    assert_int_equal(stage(s, one, 8, 100000, 'c'), 0);
    assert_int_equal(stage(s, one, 8, 100001, 'd'), 0);
    assert_int_equal(tc_store_commit(s), 0);
    assert_int_equal(entries(&p, "chunks"), 3); /* two of the large one, one of this */
    assert_int_equal(tc_store_keep_staged(s, one, 77, "flows", &kept), 0);
    assert_int_equal(kept, 4);
    assert_false(has(&p, 5, 100, 'a'));
    assert_int_equal(tc_store_commit(s), 0);
    assert_true(has(&p, 5, 100, 'a') && has(&p, 6, 100, 'b'));
    assert_true(has(&p, 8, 100001, 'd'));
    assert_true(has(&p, 7, TC_CHUNK_BYTES + 9, 'L'));
    assert_int_equal(entries(&p, "staged"), 0);
    assert_int_equal(numbers(s).record_count, 4);
    assert_int_equal(look_into(&p, "details", &key, 8, &details, sizeof details), sizeof details);
    assert_int_equal(details.pid, 77);
    assert_string_equal(details.program, "flows");
    assert_int_equal(tc_store_keep_staged(s, one, 77, "flows", &kept), 0);
    assert_int_equal(kept, 0);
    tc_store_close(s);
    place_remove(&p);
}

static void test_an_aborted_commit_leaves_all_of_it_staged(void **state)
{
    struct place p;
    struct tc_store *s;
    uint64_t kept;

    (void)state;
    place_make(&p);
    s = open_store(&p);
    assert_int_equal(stage(s, one, 5, 100, 'a'), 0);
    assert_int_equal(stage(s, one, 6, 100, 'b'), 0);
    assert_int_equal(tc_store_commit(s), 0);
    assert_int_equal(tc_store_keep_staged(s, one, 1, "", &kept), 0);
    tc_store_abort(s);
    assert_int_equal(entries(&p, "staged"), 2);
    assert_false(has(&p, 5, 100, 'a') || has(&p, 6, 100, 'b'));
    /* The first of all is made with the table; that goes with it. */
    tc_store_close(s);
    place_remove(&p);
    place_make(&p);
    s = open_store(&p);
    assert_int_equal(stage(s, one, 5, 100, 'a'), 0);
    tc_store_abort(s);
    assert_int_equal(stage(s, one, 5, 100, 'a'), 0);
    assert_int_equal(tc_store_commit(s), 0);
    assert_int_equal(entries(&p, "staged"), 1);
    tc_store_close(s);
    place_remove(&p);
}

static void test_transactions_are_apart_merge_and_drop(void **state)
{
    struct place p;
    struct tc_store *s;
    uint64_t count;

    (void)state;
    place_make(&p);
    s = open_store(&p);
    assert_int_equal(stage(s, one, 5, 100, 'a'), 0);
    assert_int_equal(stage(s, two, 5, 100, 'b'), 0);
    assert_int_equal(stage(s, two, 6, 100, 'b'), 0);
    stage_large(s, two, 7, TC_CHUNK_BYTES + 1);
    assert_int_equal(tc_store_drop_staged(s, two), 0);
    assert_int_equal(tc_store_commit(s), 0);
    assert_int_equal(entries(&p, "staged"), 1);
    assert_int_equal(entries(&p, "chunks"), 0);
    assert_int_equal(stage(s, two, 5, 100, 'c'), 0);
    stage_large(s, two, 5, TC_CHUNK_BYTES + 1);
    stage_large(s, two, 7, TC_CHUNK_BYTES + 1);
    assert_int_equal(tc_store_merge_staged(s, two, one, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(tc_store_keep_staged(s, two, 1, "", &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(tc_store_keep_staged(s, one, 1, "", &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(tc_store_commit(s), 0);
    assert_true(has(&p, 5, TC_CHUNK_BYTES + 1, 'L') && has(&p, 7, TC_CHUNK_BYTES + 1, 'L'));
    assert_int_equal(entries(&p, "chunks"), 4);
    tc_store_close(s);
    place_remove(&p);
}

static void stage_and_die(struct place *p)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        struct tc_store *s = open_store(p);
        if (stage(s, one, 5, 100, 'a') != 0)
            _exit(1);
        stage_large(s, two, 7, TC_CHUNK_BYTES + 1);
        if (put(s, &(struct draft_spec){.key = 9, .output_bytes = 10, .fill = 'r'}) != 0 ||
            tc_store_commit(s) != 0)
            _exit(1);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, SIGKILL);
}

static void test_a_store_that_is_opened_anew_has_none(void **state)
{
    struct place p;
    struct tc_store *s;
    uint64_t removed;

    (void)state;
    place_make(&p);
    stage_and_die(&p);
    s = open_store(&p);
    assert_int_equal(entries(&p, "staged"), 0);
    assert_int_equal(entries(&p, "chunks"), 0);
    assert_true(has(&p, 9, 10, 'r'));
    stage_large(s, two, 7, TC_CHUNK_BYTES + 1);
    assert_int_equal(tc_store_remove_all(s, &removed), 0);
    assert_int_equal(removed, 1);
    assert_int_equal(tc_store_commit(s), 0);
    assert_int_equal(entries(&p, "staged"), 0);
    tc_store_close(s);
    place_remove(&p);
}

static void test_they_take_a_quarter_of_the_limit_and_are_not_evicted(void **state)
{
    struct place p;
    struct tc_store *s;
    uint64_t removed, kept, key = 1;
    int more = 1;

    (void)state;
    place_make(&p);
    p.options.max_size_bytes = 4 << 20;
    s = open_store(&p);
    while (stage(s, one, key, 100000, 's') == 0)
        key++;
    assert_in_range(key, 8, 11);
    assert_int_equal(stage(s, one, key, 100000, 's'), -EFBIG);
    for (uint64_t i = 100; i < 100 + 35; i++)
        assert_int_equal(put(s, &(struct draft_spec){.key = i, .output_bytes = 100000}), 0);
    assert_true(tc_store_is_over_limit(s));
    for (int i = 0; i < 100 && more; i++)
        assert_int_equal(tc_store_evict(s, 0, &removed, &more), 0);
    assert_false(tc_store_is_over_limit(s));
    /* A lower limit makes all records go, and then there is nothing more to do. */
    tc_store_set_limit(s, 100000);
    more = 1;
    for (int i = 0; i < 100 && more; i++)
        assert_int_equal(tc_store_evict(s, 0, &removed, &more), 0);
    assert_false(more || tc_store_is_over_limit(s));
    assert_int_equal(tc_store_commit(s), 0);
    assert_int_equal(entries(&p, "records"), 0);
    assert_int_equal(entries(&p, "staged"), key - 1);
    tc_store_set_limit(s, 4 << 20);
    assert_int_equal(tc_store_keep_staged(s, one, 1, "", &kept), 0);
    assert_int_equal(kept, key - 1);
    assert_int_equal(tc_store_commit(s), 0);
    assert_true(has(&p, 1, 100000, 's'));
    tc_store_close(s);
    place_remove(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_staged_results_become_records_in_one_commit),
        cmocka_unit_test(test_an_aborted_commit_leaves_all_of_it_staged),
        cmocka_unit_test(test_transactions_are_apart_merge_and_drop),
        cmocka_unit_test(test_a_store_that_is_opened_anew_has_none),
        cmocka_unit_test(test_they_take_a_quarter_of_the_limit_and_are_not_evicted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

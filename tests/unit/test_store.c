/* service/store: what it keeps, what a target sees of it, and what becomes of it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <lmdb.h>

#include "cache/hash.h"
#include "cache/totals.h"
#include "tests/unit/store_fixture.h"

static struct tc_store *open_store(struct place *p)
{
    struct tc_store *s = NULL;
    struct tc_failure f = {.text = ""};
    int r = tc_store_open(&p->options, &s, &f);

    if (r != 0)
        fail_msg("%s", f.text);
    return s;
}

static void put_ok(struct tc_store *s, uint64_t key, size_t bytes, unsigned char fill)
{
    assert_int_equal(put(s, &(struct draft_spec){.key = key, .output_bytes = bytes, .fill = fill}),
                     0);
}

static uint64_t size_of(struct tc_store *s)
{
    struct tc_store_numbers n;

    tc_store_numbers(s, &n);
    return n.size_bytes;
}

static void test_a_record_is_seen_after_the_commit_and_not_before(void **state)
{
    struct place p;
    struct tc_store *s;
    struct tc_details details;
    uint64_t key = 42;

    (void)state;
    place_make(&p);
    s = open_store(&p);
    put_ok(s, 42, 1000, 'x');
    assert_false(has(&p, 42, 1000, 'x'));
    assert_int_equal(tc_store_commit(s), 0);
    assert_true(has(&p, 42, 1000, 'x'));
    assert_int_equal(look_into(&p, "details", &key, 8, &details, sizeof details), sizeof details);
    assert_string_equal(details.program, "prog");
    assert_int_equal(details.pid, 7);
    tc_store_close(s);
    place_remove(&p);
}

static void test_the_last_store_wins_and_aborted_ones_leave_nothing(void **state)
{
    struct place p;
    struct tc_store *s;
    uint64_t size;

    (void)state;
    place_make(&p);
    s = open_store(&p);
    put_ok(s, 1, 100, 'a');
    assert_int_equal(tc_store_commit(s), 0);
    size = size_of(s);
    put_ok(s, 1, 100, 'b');
    put_ok(s, 2, 100, 'b');
    tc_store_abort(s);
    assert_int_equal(tc_store_commit(s), 0);
    assert_true(has(&p, 1, 100, 'a'));
    assert_int_equal(size_of(s), size);
    put_ok(s, 1, 100, 'b');
    put_ok(s, 1, 100, 'c');
    assert_int_equal(tc_store_commit(s), 0);
    assert_true(has(&p, 1, 100, 'c'));
    assert_int_equal(entries(&p, "records"), 1);
    assert_int_equal(size_of(s), size);
    tc_store_close(s);
    place_remove(&p);
}

static void test_a_salvaged_record_replaces_none(void **state)
{
    struct draft_spec spec = {.key = 1, .output_bytes = 100, .fill = 'o'};
    struct tc_draft d = {.program = "prog", .only_if_missing = 1};
    unsigned char *draft = draft_make(&spec, &d.bytes);
    struct place p;
    struct tc_store *s;

    (void)state;
    place_make(&p);
    s = open_store(&p);
    d.data = draft;
    put_ok(s, 1, 100, 'n');
    assert_int_equal(tc_store_put(s, &d), 0);
    assert_int_equal(tc_store_commit(s), 0);
    assert_true(has(&p, 1, 100, 'n'));
    assert_int_equal(tc_store_remove(s, (struct tc_key){1, ~1ull}), 1);
    assert_int_equal(tc_store_put(s, &d), 0);
    assert_int_equal(tc_store_commit(s), 0);
    assert_true(has(&p, 1, 100, 'o'));
    free(draft);
    tc_store_close(s);
    place_remove(&p);
}

/* Stores a record of `bytes` with chunks, in `steps` commits. */
static void put_chunked(struct tc_store *s, uint64_t key, size_t bytes, unsigned char fill)
{
    struct draft_spec spec = {.key = key, .output_bytes = bytes, .fill = fill};
    uint32_t count = (uint32_t)((bytes + TC_CHUNK_BYTES - 1) / TC_CHUNK_BYTES);
    struct tc_draft d = {.chunk_count = count, .program = "prog"};
    size_t draft_bytes;
    unsigned char *draft = draft_make(&spec, &draft_bytes), *outputs;

    d.data = draft;
    d.bytes = draft_bytes - bytes;
    outputs = draft + d.bytes;
    assert_int_equal(tc_store_reserve_chunks(s, bytes, count, &d.chunk_first), 0);
    for (uint32_t i = 0; i < count; i++) {
        size_t from = (size_t)i * TC_CHUNK_BYTES, left = bytes - from;

        assert_int_equal(tc_store_put_chunk(s, d.chunk_first + i, outputs + from,
                                            left < TC_CHUNK_BYTES ? left : TC_CHUNK_BYTES),
                         0);
        assert_int_equal(tc_store_commit(s), 0);
    }
    assert_int_equal(tc_store_put(s, &d), 0);
    assert_int_equal(tc_store_commit(s), 0);
    free(draft);
}

static void test_chunks_come_and_go_with_their_record(void **state)
{
    struct place p;
    struct tc_store *s;
    size_t bytes = 3 * TC_CHUNK_BYTES + 5;

    (void)state;
    place_make(&p);
    s = open_store(&p);
    put_chunked(s, 9, bytes, 'L');
    assert_true(has(&p, 9, bytes, 'L'));
    assert_int_equal(entries(&p, "chunks"), 4);
    put_chunked(s, 9, TC_CHUNK_BYTES + 1, 'M');
    assert_true(has(&p, 9, TC_CHUNK_BYTES + 1, 'M'));
    assert_int_equal(entries(&p, "chunks"), 2);
    put_ok(s, 9, 10, 'N');
    assert_int_equal(tc_store_commit(s), 0);
    assert_int_equal(entries(&p, "chunks"), 0);
    assert_int_equal(tc_store_remove(s, (struct tc_key){9, ~9ull}), 1);
    assert_int_equal(tc_store_commit(s), 0);
    assert_int_equal(size_of(s), 0);
    tc_store_close(s);
    place_remove(&p);
}

/* In a child that is killed: nothing is closed, synced or handed over. */
static void crash_after(struct place *p, void (*work)(struct tc_store *s))
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        work(open_store(p));
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, SIGKILL);
}

static void half_an_upload(struct tc_store *s)
{
    static unsigned char data[TC_CHUNK_BYTES];
    uint64_t first;

    put_ok(s, 5, 100, 'k');
    if (tc_store_reserve_chunks(s, 10 * TC_CHUNK_BYTES, 10, &first) != 0 ||
        tc_store_put_chunk(s, first, data, sizeof data) != 0 || tc_store_commit(s) != 0 ||
        tc_store_put_chunk(s, first + 1, data, sizeof data) != 0)
        _exit(1);
}

static void test_a_killed_service_leaves_committed_records_and_no_chunks(void **state)
{
    struct place p;
    struct tc_store *s;
    struct tc_shared_page *before, *after;
    ino_t inode;
    struct stat st;

    (void)state;
    place_make(&p);
    crash_after(&p, half_an_upload);
    assert_int_equal(stat(p.page, &st), 0);
    inode = st.st_ino;
    before = page_map(&p);
    s = open_store(&p);
    after = page_map(&p);
    assert_int_equal(stat(p.page, &st), 0);
    assert_int_equal(st.st_ino, inode);
    assert_int_equal(before->seed, after->seed);
    assert_int_equal(before->generation, 2);
    assert_true(has(&p, 5, 100, 'k'));
    assert_int_equal(entries(&p, "chunks"), 0);
    /* Numbers are never used twice. */
    put_ok(s, 6, 100, 'k');
    assert_int_equal(tc_store_commit(s), 0);
    munmap(before, sizeof *before);
    munmap(after, sizeof *after);
    tc_store_close(s);
    place_remove(&p);
}

static void test_removing_everything(void **state)
{
    struct place p;
    struct tc_store *s;
    uint64_t removed = 0, epoch;

    (void)state;
    place_make(&p);
    s = open_store(&p);
    for (uint64_t i = 0; i < 100; i++)
        put_ok(s, i * 77, 3000, 'x');
    put_chunked(s, 1, 2 * TC_CHUNK_BYTES, 'y');
    epoch = tc_store_epoch(s);
    assert_int_equal(tc_store_remove(s, (struct tc_key){77, 1}), 0);
    assert_int_equal(tc_store_remove_all(s, &removed), 0);
    assert_int_equal(tc_store_commit(s), 0);
    assert_int_equal(removed, 101);
    assert_true(tc_store_epoch(s) != epoch);
    assert_int_equal(size_of(s), 0);
    assert_int_equal(entries(&p, "records") + entries(&p, "chunks") + entries(&p, "details"), 0);
    tc_store_close(s);
    place_remove(&p);
}

static uint64_t evict_all(struct tc_store *s, int expired_too)
{
    uint64_t removed, sum = 0;
    int more = 1;

    while (more) {
        assert_int_equal(tc_store_evict(s, expired_too, &removed, &more), 0);
        assert_int_equal(tc_store_commit(s), 0);
        sum += removed;
    }
    return sum;
}

static void test_expired_records_go_first(void **state)
{
    struct place p;
    struct tc_store *s;

    (void)state;
    place_make(&p);
    s = open_store(&p);
    for (uint64_t i = 1; i <= 300; i++)
        assert_int_equal(
            put(s, &(struct draft_spec){.key = i,
                                        .output_bytes = 8,
                                        .fill = 'e',
                                        .expires_ns = i % 3 == 0 ? -5 : INT64_MAX - 1}),
            0);
    assert_int_equal(tc_store_commit(s), 0);
    assert_int_equal(evict_all(s, 0), 0);
    assert_int_equal(evict_all(s, 1), 100);
    assert_int_equal(entries(&p, "records"), 200);
    assert_int_equal(entries(&p, "expiry"), 200);
    assert_false(has(&p, 3, 8, 'e'));
    assert_true(has(&p, 4, 8, 'e'));
    tc_store_close(s);
    place_remove(&p);
}

/* Keys are hashes, so that random ones find each record. */
static uint64_t spread(uint64_t i)
{
    return tc_hash64(&i, sizeof i);
}

static void test_what_saves_least_and_lay_idle_is_evicted(void **state)
{
    struct place p;
    struct tc_store *s;
    struct tc_store_numbers n;
    struct tc_shared_page *page;
    unsigned dear = 0, cheap = 0, hot = 0;

    (void)state;
    place_make(&p);
    p.options.max_size_bytes = 4 << 20;
    s = open_store(&p);
    page = tc_store_page(s);
    for (uint64_t i = 0; i < 1500; i++) {
        assert_int_equal(put(s, &(struct draft_spec){.key = spread(i),
                                                     .output_bytes = 3000,
                                                     .fill = 'v',
                                                     .duration_ns = i % 3 == 0 ? 1000000 : 10}),
                         0);
        /* A third is hot: hit in a later epoch. */
        if (i % 3 == 2)
            page->heat[spread(i) % TC_PAGE_HEAT] = 1;
    }
    page->heat_epoch = 1;
    assert_int_equal(tc_store_commit(s), 0);
    tc_store_numbers(s, &n);
    assert_true(tc_store_is_over_limit(s));
    assert_true(evict_all(s, 0) > 100);
    tc_store_numbers(s, &n);
    assert_true(n.size_bytes <= n.max_size_bytes / 10 * 9);
    assert_true(n.size_bytes > n.max_size_bytes / 10 * 8);
    for (uint64_t i = 0; i < 1500; i++) {
        unsigned there = (unsigned)has(&p, spread(i), 3000, 'v');
        dear += i % 3 == 0 ? there : 0;
        cheap += i % 3 == 1 ? there : 0;
        hot += i % 3 == 2 ? there : 0;
    }
    assert_true(hot > 490);
    assert_true(dear > cheap);
    tc_store_close(s);
    place_remove(&p);
}

static void test_a_record_above_a_quarter_of_the_limit_is_refused(void **state)
{
    struct place p;
    struct tc_store *s;
    uint64_t first;

    (void)state;
    place_make(&p);
    p.options.max_size_bytes = 400000;
    s = open_store(&p);
    assert_int_equal(put(s, &(struct draft_spec){.key = 1, .output_bytes = 100001}), -EFBIG);
    assert_int_equal(tc_store_reserve_chunks(s, 100001, 1, &first), -EFBIG);
    put_ok(s, 1, 90000, 'q');
    assert_int_equal(tc_store_commit(s), 0);
    tc_store_close(s);
    place_remove(&p);
}

static void test_unsound_drafts_are_refused(void **state)
{
    struct place p;
    struct tc_store *s;
    struct draft_spec spec = {.key = 1, .output_bytes = 100, .fill = 'g'};
    struct tc_draft d = {.program = "prog"};
    unsigned char *draft;
    size_t bytes;

    (void)state;
    place_make(&p);
    s = open_store(&p);
    put_ok(s, 2, 50, 'h');
    draft = draft_make(&spec, &bytes);
    d.data = draft;
    for (d.bytes = 0; d.bytes < bytes; d.bytes++)
        assert_int_equal(tc_store_put(s, &d), -EBADMSG);
    d.bytes = bytes;
    for (size_t i = 0; i < 8; i++) {
        draft[i] ^= 0x40;
        assert_int_equal(tc_store_put(s, &d), -EBADMSG);
        draft[i] ^= 0x40;
    }
    assert_int_equal(tc_store_commit(s), 0);
    assert_int_equal(entries(&p, "records"), 1);
    assert_true(has(&p, 2, 50, 'h'));
    free(draft);
    tc_store_close(s);
    place_remove(&p);
}

static void test_counters_are_folded_once(void **state)
{
    struct place p;
    struct tc_store *s;
    struct tc_totals t;
    struct tc_shared_page *page;
    struct tc_counters *c;

    (void)state;
    place_make(&p);
    s = open_store(&p);
    page = page_map(&p);
    c = tc_counters_claim(page->task, TC_PAGE_TASKS, &page->totals, 77, "g@lib.so");
    for (int round = 1; round <= 2; round++) {
        c->hits += 3;
        c->saved_ns += 500;
        c->bypass[5] += 1;
        page->totals.misses += 2;
        assert_int_equal(tc_store_fold(s), 0);
        assert_int_equal(c->hits + c->saved_ns + c->bypass[5] + page->totals.misses, 0);
        assert_int_equal(look_into(&p, "tasks", "g@lib.so", 8, &t, sizeof t), sizeof t);
        assert_int_equal(t.hits, 3 * round);
        assert_int_equal(t.saved_ns, 500 * round);
        assert_int_equal(t.bypass[5], round);
        assert_int_equal(t.task, 77);
        assert_int_equal(look_into(&p, "tasks", "*", 1, &t, sizeof t), sizeof t);
        assert_int_equal(t.misses, 2 * round);
    }
    munmap(page, sizeof *page);
    tc_store_close(s);
    place_remove(&p);
}

static void test_pins_rotate_and_publish(void **state)
{
    struct place p;
    struct tc_store *s;
    struct tc_shared_page *page;
    uint64_t floor;

    (void)state;
    place_make(&p);
    s = open_store(&p);
    page = tc_store_page(s);
    floor = page->floor;
    for (uint64_t i = 0; i < 10; i++) {
        put_ok(s, i, 10, 'p');
        assert_int_equal(tc_store_commit(s), 0);
    }
    assert_int_equal(page->floor, floor);
    assert_true(page->ceiling >= floor + 10);
    usleep(2100000);
    tc_store_tick(s);
    assert_int_equal(page->floor, floor);
    usleep(2100000);
    tc_store_tick(s);
    assert_int_equal(page->floor, page->ceiling);
    tc_store_close(s);
    place_remove(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_record_is_seen_after_the_commit_and_not_before),
        cmocka_unit_test(test_the_last_store_wins_and_aborted_ones_leave_nothing),
        cmocka_unit_test(test_a_salvaged_record_replaces_none),
        cmocka_unit_test(test_chunks_come_and_go_with_their_record),
        cmocka_unit_test(test_a_killed_service_leaves_committed_records_and_no_chunks),
        cmocka_unit_test(test_removing_everything),
        cmocka_unit_test(test_expired_records_go_first),
        cmocka_unit_test(test_what_saves_least_and_lay_idle_is_evicted),
        cmocka_unit_test(test_a_record_above_a_quarter_of_the_limit_is_refused),
        cmocka_unit_test(test_unsound_drafts_are_refused),
        cmocka_unit_test(test_counters_are_folded_once),
        cmocka_unit_test(test_pins_rotate_and_publish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

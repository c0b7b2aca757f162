/* service/store/misses.c and details.c: what `cachectl why` is told, in rings of bounded length. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <lmdb.h>

#include "cache/totals.h"
#include "tests/unit/store_fixture.h"

static struct place place;

static struct tc_store *open_store(void)
{
    struct tc_store *s = NULL;
    struct tc_failure f = {.text = ""};

    if (tc_store_open(&place.options, &s, &f) != 0)
        fail_msg("%s", f.text);
    return s;
}

static void put_ok(struct tc_store *s, uint64_t key)
{
    assert_int_equal(put(s, &(struct draft_spec){.key = key, .output_bytes = 8, .fill = 'x'}), 0);
}

static void note(struct tc_store *s, uint64_t key, uint64_t record_id)
{
    const char rest[] = "idmaterialtext";
    struct tc_miss m = {.task = 1,
                        .key_low = key,
                        .record_id = record_id,
                        .identity_bytes = 2,
                        .material_bytes = 8,
                        .text_bytes = 4};

    assert_int_equal(tc_store_note_miss(s, &m, rest), 0);
}

static uint64_t ring(unsigned which, uint64_t number)
{
    return (uint64_t)which << TC_RING_SHIFT | number;
}

static long entry(unsigned which, uint64_t number, void *to, size_t bytes)
{
    uint64_t key = ring(which, number);

    return look_into(&place, "misses", &key, sizeof key, to, bytes);
}

static void a_miss_is_kept_whole(void **state)
{
    struct tc_store *s;
    struct {
        struct tc_miss m;
        char rest[14];
    } got;

    (void)state;
    place_make(&place);
    s = open_store();
    put_ok(s, 5);
    note(s, 7, 0);
    assert_int_equal(tc_store_commit(s), 0);
    assert_int_equal(entry(TC_RING_UNSTORED, 1, &got, sizeof got), sizeof got.m + 14);
    assert_int_equal(got.m.bytes, sizeof got.m);
    assert_int_equal(got.m.key_low, 7);
    assert_int_equal(got.m.order, 2); /* behind the first record */
    assert_memory_equal((char *)&got + sizeof got.m, "idmaterialtext", 14);
    tc_store_close(s);
    place_remove(&place);
}

static void rings_are_bounded_and_apart(void **state)
{
    struct tc_store *s;
    struct tc_miss m;

    (void)state;
    place_make(&place);
    s = open_store();
    for (uint64_t i = 1; i <= 300; i++)
        note(s, i, 0);
    for (uint64_t i = 1; i <= 70; i++)
        note(s, i, 1000 + i);
    assert_int_equal(tc_store_commit(s), 0);
    assert_int_equal(entries(&place, "misses"), 256 + 64);
    assert_int_equal(entry(TC_RING_UNSTORED, 44, &m, sizeof m), -ENOENT);
    assert_true(entry(TC_RING_UNSTORED, 45, &m, sizeof m) > 0);
    assert_int_equal(m.key_low, 45);
    assert_true(entry(TC_RING_UNSTORED, 300, &m, sizeof m) > 0);
    assert_int_equal(entry(TC_RING_WRONG, 6, &m, sizeof m), -ENOENT);
    assert_true(entry(TC_RING_WRONG, 70, &m, sizeof m) > 0);
    tc_store_close(s);
    /* Numbers go on in the next service. */
    s = open_store();
    note(s, 9999, 0);
    assert_int_equal(tc_store_commit(s), 0);
    assert_true(entry(TC_RING_UNSTORED, 301, &m, sizeof m) > 0);
    assert_int_equal(m.key_low, 9999);
    assert_int_equal(entries(&place, "misses"), 256 + 64);
    tc_store_close(s);
    place_remove(&place);
}

static void what_goes_leaves_its_key(void **state)
{
    struct tc_store *s;
    struct tc_gone g;
    uint64_t removed;

    (void)state;
    place_make(&place);
    s = open_store();
    put_ok(s, 5);
    put_ok(s, 5); /* replaced: that isn't gone */
    put_ok(s, 6);
    assert_int_equal(tc_store_remove(s, (struct tc_key){.low = 5, .high = 12345}), 0);
    assert_int_equal(tc_store_commit(s), 0);
    assert_int_equal(entries(&place, "misses"), 0);
    {
        struct found f = {0};
        assert_int_equal(look_up(&place, 5, &f), 0);
        assert_int_equal(tc_store_remove(s, (struct tc_key){5, f.head.key_high}), 1);
        free(f.outputs);
    }
    assert_int_equal(tc_store_commit(s), 0);
    assert_true(entry(TC_RING_GONE, 1, &g, sizeof g) > 0);
    assert_int_equal(g.why, TC_GONE_REMOVED);
    assert_int_equal(g.key_low, 5);
    assert_int_equal(g.order, 4);
    note(s, 3, 0);
    assert_int_equal(tc_store_remove_all(s, &removed), 0);
    assert_int_equal(removed, 1);
    assert_int_equal(tc_store_commit(s), 0);
    assert_int_equal(entries(&place, "misses"), 1); /* inputs of calls go, too */
    assert_true(entry(TC_RING_GONE, 1, &g, sizeof g) > 0);
    assert_int_equal(g.why, TC_GONE_ALL_REMOVED);
    tc_store_close(s);
    place_remove(&place);
}

static void eviction_leaves_keys(void **state)
{
    struct tc_store *s;
    struct tc_gone g;
    uint64_t removed, count = 0;
    int more = 1;

    (void)state;
    place_make(&place);
    place.options.max_size_bytes = 64 << 10;
    s = open_store();
    for (uint64_t i = 1; i <= 400; i++)
        put_ok(s, i * 0x9e3779b97f4a7c15ull);
    while (more) {
        assert_int_equal(tc_store_evict(s, 0, &removed, &more), 0);
        count += removed;
    }
    assert_int_equal(tc_store_commit(s), 0);
    assert_true(count > 0);
    assert_int_equal(entries(&place, "misses"), count);
    assert_true(entry(TC_RING_GONE, count, &g, sizeof g) > 0);
    assert_int_equal(g.why, TC_GONE_EVICTED);
    tc_store_close(s);
    place_remove(&place);
}

static void a_wrong_record_goes_and_its_successor_stays(void **state)
{
    struct tc_store *s;
    struct tc_gone g;
    struct found f = {0};

    (void)state;
    place_make(&place);
    s = open_store();
    put_ok(s, 5); /* record 1 */
    put_ok(s, 5); /* record 2 in its place */
    note(s, 5, 1);
    assert_int_equal(tc_store_commit(s), 0);
    assert_int_equal(look_up(&place, 5, &f), 0);
    free(f.outputs);
    note(s, 5, 2);
    note(s, 77, 3); /* which isn't there */
    assert_int_equal(tc_store_commit(s), 0);
    assert_int_equal(look_up(&place, 5, &f), -ENOENT);
    assert_true(entry(TC_RING_GONE, 1, &g, sizeof g) > 0);
    assert_int_equal(g.why, TC_GONE_WRONG);
    assert_int_equal(entries(&place, "misses"), 3 + 1);
    tc_store_close(s);
    place_remove(&place);
}

static void details_say_why(void **state)
{
    struct tc_store *s;
    size_t bytes;
    unsigned char *draft = draft_make(&(struct draft_spec){.key = 5, .output_bytes = 8}, &bytes);
    struct tc_draft d = {.data = draft,
                         .bytes = bytes,
                         .found = TC_FOUND_EXPIRED,
                         .expired_ns = 17,
                         .heads = "heads",
                         .head_bytes = 5};
    struct {
        struct tc_details d;
        char heads[8];
    } got;
    uint64_t key = 5;

    (void)state;
    place_make(&place);
    s = open_store();
    assert_int_equal(tc_store_put(s, &d), 0);
    assert_int_equal(tc_store_commit(s), 0);
    assert_int_equal(look_into(&place, "details", &key, sizeof key, &got, sizeof got),
                     sizeof got.d + 5);
    assert_int_equal(got.d.found, TC_FOUND_EXPIRED);
    assert_int_equal(got.d.expired_ns, 17);
    assert_int_equal(got.d.flags, 0); /* no RUN_ID in the key */
    assert_memory_equal((char *)&got + sizeof got.d, "heads", 5);
    free(draft);
    tc_store_close(s);
    place_remove(&place);
}

/* A store of before there were rings. */
static void an_older_store_gets_its_table(void **state)
{
    struct tc_store *s;
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi dbi;
    char path[200];

    (void)state;
    place_make(&place);
    s = open_store();
    put_ok(s, 5);
    tc_store_close(s);
    (void)snprintf(path, sizeof path, "%s/store-1", place.cache);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 8), 0);
    assert_int_equal(mdb_env_open(env, path, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "misses", 0, &dbi), 0);
    assert_int_equal(mdb_drop(txn, dbi, 1), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
    s = open_store();
    note(s, 9, 0);
    assert_int_equal(tc_store_commit(s), 0);
    assert_int_equal(entries(&place, "misses"), 1);
    assert_true(has(&place, 5, 8, 'x'));
    tc_store_close(s);
    place_remove(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_miss_is_kept_whole),
        cmocka_unit_test(rings_are_bounded_and_apart),
        cmocka_unit_test(what_goes_leaves_its_key),
        cmocka_unit_test(eviction_leaves_keys),
        cmocka_unit_test(a_wrong_record_goes_and_its_successor_stays),
        cmocka_unit_test(details_say_why),
        cmocka_unit_test(an_older_store_gets_its_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

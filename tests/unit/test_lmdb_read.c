/* cache/lmdb_read against liblmdb on sound files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cache/lmdb_read.h"
#include "tests/unit/lmdb_fixture.h"

static void compare_walk(MDB_txn *txn, MDB_dbi dbi, const struct tc_lmdb *db,
                         const struct tc_lmdb_snapshot *s, const struct tc_lmdb_table *t)
{
    struct tc_lmdb_cursor cursor;
    struct tc_lmdb_entry entry;
    MDB_cursor *oracle;
    MDB_val key, value;
    uint64_t entries = 0;
    int r = tc_lmdb_first(db, s, t, &cursor, &entry);

    assert_int_equal(mdb_cursor_open(txn, dbi, &oracle), 0);
    while (mdb_cursor_get(oracle, &key, &value, MDB_NEXT) == 0) {
        assert_int_equal(r, 0);
        assert_int_equal(entry.key_bytes, key.mv_size);
        assert_memory_equal(entry.key, key.mv_data, key.mv_size);
        assert_int_equal(entry.bytes, value.mv_size);
        assert_int_equal(memcmp(entry.data, value.mv_data, value.mv_size), 0);
        entries++;
        r = tc_lmdb_next(&cursor, &entry);
    }
    mdb_cursor_close(oracle);
    assert_int_equal(r, -ENOENT);
    assert_int_equal(tc_lmdb_next(&cursor, &entry), -ENOENT);
    assert_int_equal(entries, t->entries);
}

struct found {
    int r;
    const void *data;
    size_t bytes;
};

static void compare_value(int rc, const MDB_val *value, const struct found *found)
{
    assert_int_equal(found->r, rc == MDB_NOTFOUND ? -ENOENT : rc);
    if (rc == 0) {
        assert_int_equal(found->bytes, value->mv_size);
        assert_int_equal(memcmp(found->data, value->mv_data, value->mv_size), 0);
    }
}

/* Every key that may be there, and as many that can't. */
static void compare_keys(struct store *store, MDB_txn *txn, const struct tc_lmdb *db,
                         const struct tc_lmdb_snapshot *s, const struct tc_lmdb_table *ints,
                         const struct tc_lmdb_table *bytes, unsigned distinct)
{
    for (unsigned number = 0; number < 2 * distinct; number++) {
        uint64_t integer = int_key(number);
        unsigned char buffer[64];
        struct found found;
        MDB_val key = {sizeof(integer), &integer}, value;
        int rc = mdb_get(txn, store->ints, &key, &value);

        found.r = tc_lmdb_get(db, s, ints, integer, &found.data, &found.bytes);
        compare_value(rc, &value, &found);

        key = (MDB_val){byte_key(number, buffer), buffer};
        rc = mdb_get(txn, store->bytes, &key, &value);
        found.r = tc_lmdb_get_bytes(db, s, bytes, buffer, key.mv_size, &found.data, &found.bytes);
        compare_value(rc, &value, &found);
    }
}

static void compare(struct store *store, unsigned distinct, unsigned *ret_depth)
{
    struct tc_lmdb db = store_map(store);
    struct tc_lmdb_snapshot s;
    struct tc_lmdb_table ints, bytes;
    MDB_txn *txn;

    assert_int_equal(tc_lmdb_check(&db), 0);
    assert_int_equal(mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn), 0);
    assert_int_equal(tc_lmdb_snapshot(&db, UINT64_MAX, &s), 0);
    assert_int_equal(s.txnid, mdb_txn_id(txn));
    assert_int_equal(tc_lmdb_table(&db, &s, "ints", 4, &ints), 0);
    assert_int_equal(tc_lmdb_table(&db, &s, "bytes", 5, &bytes), 0);
    compare_walk(txn, store->ints, &db, &s, &ints);
    compare_walk(txn, store->bytes, &db, &s, &bytes);
    compare_keys(store, txn, &db, &s, &ints, &bytes, distinct);
    if (ret_depth)
        *ret_depth = ints.depth < bytes.depth ? ints.depth : bytes.depth;
    mdb_txn_abort(txn);
    munmap((void *)db.map, db.bytes);
}

static void equals_liblmdb_on_random_stores(void **state)
{
    const char *given = getenv("TC_TEST_SEED");
    uint64_t first = given ? strtoull(given, NULL, 0) : 1;
    (void)state;

    for (uint64_t seed = first; seed < first + 6; seed++) {
        struct fill fill = {.transactions = 5, .changes = 400, .distinct = 900};
        struct random r = {seed};
        struct store store;

        print_message("seed %llu\n", (unsigned long long)seed);
        fill.value_max = seed % 3 == 0 ? 5u << 20 : 40000;
        store_open(&store);
        for (int round = 0; round < 4; round++) {
            store_fill(&store, &r, &fill);
            compare(&store, fill.distinct, NULL);
        }
        store_close(&store);
    }
}

static void equals_liblmdb_on_deep_trees(void **state)
{
    struct fill fill = {.transactions = 4, .changes = 30000, .distinct = 30000, .value_max = 9000};
    struct random r = {77};
    struct store store;
    unsigned depth;
    (void)state;

    store_open(&store);
    store_fill(&store, &r, &fill);
    compare(&store, fill.distinct, &depth);
    assert_true(depth >= 3);
    store_close(&store);
}

static void missing_and_empty_tables(void **state)
{
    struct tc_lmdb_snapshot s;
    struct tc_lmdb_table t = {.root = 7};
    struct tc_lmdb_cursor cursor;
    struct tc_lmdb_entry entry;
    struct store store;
    const void *data;
    size_t bytes;
    (void)state;

    store_open(&store);
    struct tc_lmdb db = store_copy(&store);
    assert_int_equal(tc_lmdb_snapshot(&db, UINT64_MAX, &s), 0);
    assert_int_equal(tc_lmdb_table(&db, &s, "absent", 6, &t), -ENOENT);
    assert_int_equal(tc_lmdb_table(&db, &s, "int", 3, &t), -ENOENT);
    assert_int_equal(tc_lmdb_table(&db, &s, "intsy", 5, &t), -ENOENT);
    assert_int_equal(tc_lmdb_table(&db, &s, NULL, 0, &t), -ENOENT);
    assert_int_equal(t.root, 7);
    assert_int_equal(tc_lmdb_table(&db, &s, "ints", 4, &t), 0);
    assert_int_equal(tc_lmdb_get(&db, &s, &t, 0, &data, &bytes), -ENOENT);
    assert_int_equal(tc_lmdb_get_bytes(&db, &s, &t, "a", 1, &data, &bytes), -EINVAL);
    assert_int_equal(tc_lmdb_first(&db, &s, &t, &cursor, &entry), -ENOENT);
    assert_int_equal(tc_lmdb_next(&cursor, &entry), -ENOENT);
    assert_int_equal(tc_lmdb_table(&db, &s, "bytes", 5, &t), 0);
    assert_int_equal(tc_lmdb_get(&db, &s, &t, 0, &data, &bytes), -EINVAL);
    assert_int_equal(tc_lmdb_get_bytes(&db, &s, &t, NULL, 0, &data, &bytes), -ENOENT);
    free((void *)db.map);
    store_close(&store);
}

static void many_tables(void **state)
{
    struct tc_lmdb_snapshot s;
    struct tc_lmdb_table t;
    struct store store;
    char name[64];
    MDB_txn *txn;
    MDB_dbi dbi;
    (void)state;

    store_open(&store);
    assert_int_equal(mdb_txn_begin(store.env, NULL, 0, &txn), 0);
    for (uint64_t i = 0; i < 200; i++) {
        MDB_val key = {sizeof(i), &i}, value = {sizeof(i), &i};

        snprintf(name, sizeof(name), "table-%llu", (unsigned long long)i);
        assert_int_equal(mdb_dbi_open(txn, name, MDB_CREATE | MDB_INTEGERKEY, &dbi), 0);
        assert_int_equal(mdb_put(txn, dbi, &key, &value, 0), 0);
    }
    assert_int_equal(mdb_txn_commit(txn), 0);

    struct tc_lmdb db = store_copy(&store);
    assert_int_equal(tc_lmdb_snapshot(&db, UINT64_MAX, &s), 0);
    assert_true(s.main_depth >= 2);
    for (uint64_t i = 0; i < 200; i++) {
        const void *data;
        size_t bytes;
        int n = snprintf(name, sizeof(name), "table-%llu", (unsigned long long)i);

        assert_int_equal(tc_lmdb_table(&db, &s, name, (size_t)n, &t), 0);
        assert_int_equal(t.entries, 1);
        assert_int_equal(tc_lmdb_get(&db, &s, &t, i, &data, &bytes), 0);
        assert_memory_equal(data, &i, sizeof(i));
    }
    free((void *)db.map);
    store_close(&store);
}

static void unsupported_values_are_refused(void **state)
{
    struct tc_lmdb_snapshot s;
    struct tc_lmdb_table t;
    struct tc_lmdb_cursor cursor;
    struct tc_lmdb_entry entry;
    struct store store;
    const void *data;
    size_t bytes;
    MDB_txn *txn;
    MDB_dbi dups, reversed, main_table;
    MDB_val one = {1, (void *)"1"}, two = {1, (void *)"2"}, a = {1, (void *)"a"},
            b = {1, (void *)"b"};
    (void)state;

    store_open(&store);
    assert_int_equal(mdb_txn_begin(store.env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_dbi_open(txn, "dups", MDB_CREATE | MDB_DUPSORT, &dups), 0);
    assert_int_equal(mdb_dbi_open(txn, "reversed", MDB_CREATE | MDB_REVERSEKEY, &reversed), 0);
    assert_int_equal(mdb_dbi_open(txn, NULL, 0, &main_table), 0);
    assert_int_equal(mdb_put(txn, dups, &a, &one, 0), 0);
    assert_int_equal(mdb_put(txn, dups, &a, &two, 0), 0);
    assert_int_equal(mdb_put(txn, dups, &b, &one, 0), 0);
    assert_int_equal(mdb_put(txn, reversed, &a, &one, 0), 0);
    assert_int_equal(mdb_put(txn, main_table, &a, &one, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);

    struct tc_lmdb db = store_copy(&store);
    assert_int_equal(tc_lmdb_snapshot(&db, UINT64_MAX, &s), 0);
    assert_int_equal(tc_lmdb_table(&db, &s, "a", 1, &t), -ENOENT);
    assert_int_equal(tc_lmdb_table(&db, &s, "reversed", 8, &t), 0);
    assert_int_equal(tc_lmdb_get_bytes(&db, &s, &t, "a", 1, &data, &bytes), -ENOTSUP);
    assert_int_equal(tc_lmdb_table(&db, &s, "dups", 4, &t), 0);
    assert_int_equal(tc_lmdb_get_bytes(&db, &s, &t, "a", 1, &data, &bytes), -ENOTSUP);
    assert_int_equal(tc_lmdb_get_bytes(&db, &s, &t, "b", 1, &data, &bytes), 0);
    assert_int_equal(tc_lmdb_first(&db, &s, &t, &cursor, &entry), -ENOTSUP);
    assert_int_equal(tc_lmdb_next(&cursor, &entry), 0); /* the walk goes on behind it */
    assert_memory_equal(entry.key, "b", 1);
    assert_int_equal(tc_lmdb_next(&cursor, &entry), -ENOENT);
    free((void *)db.map);
    store_close(&store);
}

static void put_number(struct store *store, uint64_t number)
{
    uint64_t name = 0;
    MDB_val key = {sizeof(name), &name}, value = {sizeof(number), &number};
    MDB_txn *txn;

    assert_int_equal(mdb_txn_begin(store->env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_put(txn, store->ints, &key, &value, 0), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);
}

static uint64_t number_in(const struct tc_lmdb *db, const struct tc_lmdb_snapshot *s)
{
    struct tc_lmdb_table t;
    const void *data;
    size_t bytes;
    uint64_t number;

    assert_int_equal(tc_lmdb_table(db, s, "ints", 4, &t), 0);
    assert_int_equal(tc_lmdb_get(db, s, &t, 0, &data, &bytes), 0);
    assert_int_equal(bytes, sizeof(number));
    memcpy(&number, data, sizeof(number));
    return number;
}

static void the_ceiling_chooses_the_meta_page(void **state)
{
    struct tc_lmdb_snapshot s = {.txnid = 99};
    struct store store;
    MDB_txn *pin;
    (void)state;

    store_open(&store);
    assert_int_equal(mdb_txn_begin(store.env, NULL, MDB_RDONLY, &pin), 0);
    for (uint64_t number = 2; number < 12; number++) { /* the store's txnid after this put */
        put_number(&store, number);
        struct tc_lmdb db = store_map(&store);
        assert_int_equal(tc_lmdb_snapshot(&db, number + 5, &s), 0);
        assert_int_equal(s.txnid, number);
        assert_int_equal(number_in(&db, &s), number);
        assert_int_equal(tc_lmdb_snapshot(&db, number, &s), 0);
        assert_int_equal(s.txnid, number);
        assert_int_equal(tc_lmdb_snapshot(&db, number - 1, &s), 0);
        assert_int_equal(s.txnid, number - 1);
        if (number > 2)
            assert_int_equal(number_in(&db, &s), number - 1);
        assert_int_equal(tc_lmdb_snapshot(&db, number - 2, &s), -EAGAIN);
        assert_int_equal(s.txnid, number - 1);
        munmap((void *)db.map, db.bytes);
    }
    mdb_txn_abort(pin);
    store_close(&store);
}

static void growth_is_stale_not_garbage(void **state)
{
    struct fill fill = {.transactions = 1, .changes = 2000, .distinct = 900, .value_max = 400000};
    struct random r = {5};
    struct store store;
    struct tc_lmdb_snapshot s;
    struct tc_lmdb_table t;
    (void)state;

    store_open(&store);
    struct tc_lmdb old = store_map(&store); /* shared: it sees the new meta page */
    store_fill(&store, &r, &fill);
    assert_int_equal(tc_lmdb_snapshot(&old, UINT64_MAX, &s), 0);
    assert_int_equal(tc_lmdb_table(&old, &s, "ints", 4, &t), -ESTALE);
    munmap((void *)old.map, old.bytes);
    compare(&store, fill.distinct, NULL);
    store_close(&store);
}

/* LMDB doesn't write a page that was taken and freed in one transaction. */
static void a_file_that_ends_before_its_last_page_is_sound(void **state)
{
    struct store store;
    struct tc_lmdb_snapshot s;
    uint64_t name = 1;
    MDB_val key = {sizeof(name), &name}, value = {1 << 20, NULL};
    MDB_txn *txn;
    (void)state;

    store_open(&store);
    for (uint64_t number = 0; number < 10; number++) /* leaves free pages for all but the value */
        put_number(&store, number);
    assert_int_equal(mdb_txn_begin(store.env, NULL, 0, &txn), 0);
    assert_int_equal(mdb_put(txn, store.ints, &key, &value, MDB_RESERVE), 0);
    assert_int_equal(mdb_del(txn, store.ints, &key, NULL), 0);
    assert_int_equal(mdb_txn_commit(txn), 0);

    struct tc_lmdb db = store_map(&store);
    assert_int_equal(tc_lmdb_snapshot(&db, UINT64_MAX, &s), 0);
    assert_true(db.bytes / s.page_bytes <= s.last_page);
    assert_int_equal(number_in(&db, &s), 9);
    munmap((void *)db.map, db.bytes);
    store_close(&store);
}

static void other_formats_are_told_from_garbage(void **state)
{
    static const uint32_t magic = 0xBEEFC0DE, swapped = 0xDEC0EFBE;
    struct store store;
    (void)state;

    store_open(&store);
    struct tc_lmdb db = store_copy(&store);
    unsigned char *bytes = (unsigned char *)db.map;
    assert_int_equal(tc_lmdb_check(&db), 0);
    bytes[20] = 2;
    assert_int_equal(tc_lmdb_check(&db), -EPROTONOSUPPORT);
    memcpy(bytes + 16, &swapped, 4);
    assert_int_equal(tc_lmdb_check(&db), -EPROTONOSUPPORT);
    memset(bytes, 0, 4096);
    assert_int_equal(tc_lmdb_check(&db), -EBADMSG);
    memcpy(bytes + 24, &magic, 4);
    assert_int_equal(tc_lmdb_check(&db), -EPROTONOSUPPORT);
    db.bytes = 0;
    assert_int_equal(tc_lmdb_check(&db), -EBADMSG);
    free(bytes);
    store_close(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_liblmdb_on_random_stores),
        cmocka_unit_test(equals_liblmdb_on_deep_trees),
        cmocka_unit_test(missing_and_empty_tables),
        cmocka_unit_test(many_tables),
        cmocka_unit_test(unsupported_values_are_refused),
        cmocka_unit_test(the_ceiling_chooses_the_meta_page),
        cmocka_unit_test(growth_is_stale_not_garbage),
        cmocka_unit_test(a_file_that_ends_before_its_last_page_is_sound),
        cmocka_unit_test(other_formats_are_told_from_garbage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <errno.h>
#include <string.h>

#include "service/clock.h"
#include "service/store/internal.h"

/* What `why` may be told about a miss that left no record. It is worth no failure: a store without
 * the table, or with an entry that isn't sound, goes on. */

#define NUMBER_MASK ((1ull << TC_RING_SHIFT) - 1)

static uint64_t ring_key(unsigned ring, uint64_t number)
{
    return (uint64_t)ring << TC_RING_SHIFT | (number & NUMBER_MASK);
}

/* The number behind the ring's last one: found by its successor's first. */
static uint64_t next_number(struct tc_store *s, unsigned ring)
{
    uint64_t n = ring_key(ring + 1, 0), last = 0;
    MDB_val key = {sizeof n, &n}, value;
    MDB_cursor *c;
    int rc;

    if (mdb_cursor_open(s->txn, s->table[TC_TABLE_MISSES], &c) != 0)
        return 1;
    rc = mdb_cursor_get(c, &key, &value, MDB_SET_RANGE);
    rc = mdb_cursor_get(c, &key, &value, rc == 0 ? MDB_PREV : MDB_LAST);
    if (rc == 0 && key.mv_size == sizeof last)
        memcpy(&last, key.mv_data, sizeof last);
    mdb_cursor_close(c);
    return rc == 0 && last >> TC_RING_SHIFT == ring ? (last & NUMBER_MASK) + 1 : 1;
}

/* A new entry of `bytes`, to be filled in before the next change; the oldest one goes. */
static int add(struct tc_store *s, unsigned ring, size_t bytes, void **ret)
{
    uint64_t number = next_number(s, ring), n = ring_key(ring, number);
    MDB_val key = {sizeof n, &n}, value = {bytes, NULL};
    int rc;

    if (number > TC_RING_ENTRIES(ring)) {
        uint64_t old = ring_key(ring, number - TC_RING_ENTRIES(ring));
        MDB_val oldest = {sizeof old, &old};

        rc = mdb_del(s->txn, s->table[TC_TABLE_MISSES], &oldest, NULL);
        if (rc != 0 && rc != MDB_NOTFOUND)
            return tc_mdb_errno(rc);
    }
    rc = mdb_put(s->txn, s->table[TC_TABLE_MISSES], &key, &value, MDB_RESERVE);
    if (rc != 0)
        return tc_mdb_errno(rc);
    *ret = value.mv_data;
    return 0;
}

int tc_misses_gone(struct tc_store *s, const struct tc_record *head, enum tc_gone_why why)
{
    struct tc_gone g = {.bytes = sizeof g,
                        .why = why,
                        .key_low = head->key_low,
                        .key_high = head->key_high,
                        .when_ns = tc_wall_ns(),
                        .order = s->state.next_record,
                        .task = head->task};
    void *entry = NULL;
    int r = add(s, TC_RING_GONE, sizeof g, &entry);

    if (r == 0)
        memcpy(entry, &g, sizeof g);
    return r;
}

/* Who removes everything means what the rings know, too. */
int tc_misses_all_gone(struct tc_store *s)
{
    static const struct tc_record none;
    int r = tc_mdb_errno(mdb_drop(s->txn, s->table[TC_TABLE_MISSES], 0));

    return r < 0 ? r : tc_misses_gone(s, &none, TC_GONE_ALL_REMOVED);
}

/* The record that was found wrong goes, unless another one has taken its place. */
static int drop_wrong(struct tc_store *s, const struct tc_miss *m)
{
    uint64_t key_low = m->key_low;
    MDB_val key = {sizeof key_low, &key_low}, value;
    struct tc_record head = {0};
    int rc = mdb_get(s->txn, s->table[TC_TABLE_RECORDS], &key, &value), r;

    if (rc == MDB_NOTFOUND)
        return 0;
    if (rc != 0)
        return tc_mdb_errno(rc);
    if (value.mv_size >= sizeof head)
        memcpy(&head, value.mv_data, sizeof head);
    if (head.record_id != m->record_id)
        return 0;
    r = tc_record_drop(s, key_low, &value);
    return r < 0 ? r : tc_misses_gone(s, &head, TC_GONE_WRONG);
}

int tc_store_note_miss(struct tc_store *s, const struct tc_miss *miss, const void *rest)
{
    size_t rest_bytes = (size_t)miss->identity_bytes + miss->material_bytes + miss->text_bytes;
    int wrong = miss->record_id != 0;
    struct tc_miss m = *miss;
    void *entry = NULL;
    int r = tc_store_begin(s);

    if (r < 0)
        return r;
    m.bytes = sizeof m;
    m.order = s->state.next_record;
    m.program[sizeof m.program - 1] = 0;
    tc_crash_enter();
    if (wrong)
        r = drop_wrong(s, &m);
    if (r == 0)
        r = add(s, wrong ? TC_RING_WRONG : TC_RING_UNSTORED, sizeof m + rest_bytes, &entry);
    if (r == 0) {
        memcpy(entry, &m, sizeof m);
        memcpy((char *)entry + sizeof m, rest, rest_bytes);
    }
    tc_crash_leave();
    return r;
}

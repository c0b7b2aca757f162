#include "service/store/internal.h"

#include <errno.h>
#include <string.h>

#include "service/clock.h"
#include "service/store/expiry.h"

#define SAMPLES     16
#define BATCH       256 /* records that go in one piece of work */
#define BATCH_MS    5
#define LOW_PERCENT 90

/* xorshift64*: which records are looked at need not be unforeseeable. */
static uint64_t random_number(struct tc_store *s)
{
    s->random |= s->random == 0;
    s->random ^= s->random >> 12;
    s->random ^= s->random << 25;
    s->random ^= s->random >> 27;
    return s->random * 0x2545f4914f6cdd1dull;
}

struct candidate {
    uint64_t key_low;
    uint8_t age;  /* epochs since the last hit */
    double worth; /* ns saved by a hit, per byte */
};

static struct candidate judge(const struct tc_store *s, const MDB_val *key, const MDB_val *value)
{
    const struct tc_shared_page *p = s->page;
    struct candidate c = {.age = 255};
    struct tc_record head;

    memcpy(&c.key_low, key->mv_data, sizeof c.key_low);
    if (value->mv_size < sizeof head)
        return c;
    memcpy(&head, value->mv_data, sizeof head);
    if (head.magic != TC_RECORD_MAGIC)
        return c;
    c.age = (uint8_t)(p->heat_epoch - p->heat[c.key_low % TC_PAGE_HEAT]);
    c.worth = (double)head.duration_ns /
              (double)(value->mv_size + (head.chunk_count > 0 ? head.output_bytes : 0));
    return c;
}

static int is_worse(const struct candidate *a, const struct candidate *b)
{
    return a->age != b->age ? a->age > b->age : a->worth < b->worth;
}

/* The key's low bits are a hash: a random number and the next key behind it give a random record.
 */
static int find_victim(struct tc_store *s, uint64_t *ret_key_low)
{
    struct candidate worst = {0}, c;
    MDB_cursor *cursor;
    int found = 0, rc = mdb_cursor_open(s->txn, s->table[TC_TABLE_RECORDS], &cursor);

    if (rc != 0)
        return tc_mdb_errno(rc);
    for (int i = 0; i < SAMPLES && rc == 0; i++) {
        uint64_t n = random_number(s);
        MDB_val key = {sizeof n, &n}, value;

        rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
        if (rc == MDB_NOTFOUND)
            rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
        if (rc != 0)
            break;
        c = judge(s, &key, &value);
        if (!found || is_worse(&c, &worst))
            worst = c;
        found = 1;
    }
    mdb_cursor_close(cursor);
    if (rc != 0)
        return tc_mdb_errno(rc);
    *ret_key_low = worst.key_low;
    return 0;
}

static int drop(struct tc_store *s, uint64_t key_low, enum tc_gone_why why)
{
    MDB_val key = {sizeof key_low, &key_low}, value;
    struct tc_record head = {.key_low = key_low};
    int rc = mdb_get(s->txn, s->table[TC_TABLE_RECORDS], &key, &value), r;

    if (rc != 0)
        return tc_mdb_errno(rc);
    if (value.mv_size >= sizeof head)
        memcpy(&head, value.mv_data, sizeof head);
    r = tc_record_drop(s, key_low, &value);
    return r < 0 ? r : tc_misses_gone(s, &head, why);
}

/* 1: an expired record went, 0: there is none. */
static int drop_expired(struct tc_store *s, int64_t now)
{
    uint64_t key_low = 0;
    int64_t expires = 0;
    int r = tc_expiry_first(s, &expires, &key_low);

    if (r == -ENOENT || (r == 0 && expires > now))
        return 0;
    if (r == 0)
        r = drop(s, key_low, TC_GONE_EXPIRED);
    if (r == 0 || r == -ENOENT)
        r = tc_expiry_remove(s, expires, key_low);
    return r < 0 ? r : 1;
}

static int drop_least_valuable(struct tc_store *s)
{
    uint64_t key_low = 0;
    int r = find_victim(s, &key_low);

    if (r == 0)
        r = drop(s, key_low, TC_GONE_EVICTED);
    if (r == -ENOENT) {
        /* No record is left: the rest was wrong book-keeping. */
        s->state.size_bytes = s->state.record_count = 0;
        return 0;
    }
    return r < 0 ? r : 1;
}

/* Staged results can't be evicted. They are let in up to a quarter of the limit; where that was
 * lowered meanwhile there may be more, for which nothing else has to go. */
static uint64_t size_to_keep(const struct tc_store *s)
{
    uint64_t quarter = s->max_size_bytes / 4;

    return s->state.size_bytes + (s->staging.bytes < quarter ? s->staging.bytes : quarter);
}

int tc_store_is_over_limit(const struct tc_store *s)
{
    return size_to_keep(s) > s->max_size_bytes;
}

static int wants_eviction(struct tc_store *s)
{
    if (tc_store_is_over_limit(s))
        s->evicting = 1;
    else if (size_to_keep(s) <= s->max_size_bytes / 100 * LOW_PERCENT)
        s->evicting = 0;
    return s->evicting;
}

int tc_store_evict(struct tc_store *s, int expired_too, uint64_t *ret_removed, int *ret_more)
{
    int64_t now = tc_wall_ns(), until = tc_monotonic_ms() + BATCH_MS;
    uint64_t removed = 0;
    int r = 0, work = 1, expired = 1;

    if (!expired_too && !wants_eviction(s)) {
        *ret_removed = 0;
        *ret_more = 0;
        return 0;
    }
    r = tc_store_begin(s);
    tc_crash_enter();
    while (r == 0 && work && removed < BATCH && tc_monotonic_ms() < until) {
        if (expired)
            r = expired = drop_expired(s, now);
        if (r == 0 && wants_eviction(s))
            r = drop_least_valuable(s);
        work = r > 0 || (r == 0 && s->evicting);
        removed += r > 0;
        r = r < 0 ? r : 0;
    }
    tc_crash_leave();
    if (r < 0)
        return r;
    s->state.evicted += removed;
    *ret_removed = removed;
    *ret_more = work;
    return 0;
}

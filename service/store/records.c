#include "service/store/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cache/hash.h"
#include "service/store/expiry.h"

#define PAGE_BYTES     4096u
#define LARGEST_NODE   2000u /* about what LMDB puts on a page of its tree */
#define SMALL_OVERHEAD 24u
#define SIDE_BYTES     180u /* entries in "details" and "expiry" */

static uint64_t footprint(uint64_t value_bytes)
{
    if (value_bytes <= LARGEST_NODE)
        return value_bytes + SMALL_OVERHEAD;
    return (value_bytes + 16 + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

uint64_t tc_record_cost(size_t value_bytes, const struct tc_record *r)
{
    uint64_t n = footprint(value_bytes) + SIDE_BYTES;

    if (r->chunk_count > 0)
        n += footprint(r->output_bytes + (uint64_t)r->chunk_count * sizeof(struct tc_chunk_header));
    return n;
}

static MDB_val integer(uint64_t *n)
{
    return (MDB_val){sizeof *n, n};
}

/* Removing what isn't there is no failure. */
static int delete_integer(struct tc_store *s, enum tc_table table, uint64_t n)
{
    MDB_val key = integer(&n);
    int rc = mdb_del(s->txn, s->table[table], &key, NULL);

    return rc == MDB_NOTFOUND ? 0 : tc_mdb_errno(rc);
}

int tc_record_drop_chunks(struct tc_store *s, uint64_t first, uint64_t count)
{
    int r = 0;

    for (uint64_t i = 0; i < count && r == 0; i++)
        r = delete_integer(s, TC_TABLE_CHUNKS, first + i);
    return r;
}

static void subtract(uint64_t *from, uint64_t n)
{
    *from = *from > n ? *from - n : 0;
}

int tc_record_drop(struct tc_store *s, uint64_t key_low, const MDB_val *value)
{
    struct tc_record head = {0};
    size_t bytes = value->mv_size;
    int r = 0;

    /* `value` points into the map, and what follows changes it. */
    if (bytes >= sizeof head)
        memcpy(&head, value->mv_data, sizeof head);
    if (head.magic != TC_RECORD_MAGIC || head.chunk_first + head.chunk_count > s->state.next_chunk)
        memset(&head, 0, sizeof head);
    if (head.chunk_count > 0)
        r = tc_record_drop_chunks(s, head.chunk_first, head.chunk_count);
    if (r == 0 && head.magic != 0)
        r = tc_expiry_remove(s, head.expires_ns, key_low);
    if (r == 0)
        r = delete_integer(s, TC_TABLE_DETAILS, key_low);
    if (r == 0)
        r = delete_integer(s, TC_TABLE_RECORDS, key_low);
    if (r < 0)
        return r;
    subtract(&s->state.size_bytes, tc_record_cost(bytes, &head));
    subtract(&s->state.record_count, 1);
    return 0;
}

/* 1: there was one, and it is gone. */
static int drop_if_there(struct tc_store *s, uint64_t key_low)
{
    MDB_val key = integer(&key_low), value;
    int rc = mdb_get(s->txn, s->table[TC_TABLE_RECORDS], &key, &value), r;

    if (rc == MDB_NOTFOUND)
        return 0;
    if (rc != 0)
        return tc_mdb_errno(rc);
    r = tc_record_drop(s, key_low, &value);
    return r < 0 ? r : 1;
}

static int is_there(struct tc_store *s, uint64_t key_low)
{
    MDB_val key = integer(&key_low), value;

    return mdb_get(s->txn, s->table[TC_TABLE_RECORDS], &key, &value) == 0;
}

void tc_record_complete(struct tc_store *s, const struct tc_draft *d, struct tc_record *head)
{
    head->record_id = d->record_id != 0 ? d->record_id : s->state.next_record++;
    head->chunk_first = d->chunk_count > 0 ? d->chunk_first : 0;
    head->chunk_count = d->chunk_count;
    head->checksum = 0;
    memcpy(s->value, d->data, d->bytes);
    memcpy(s->value, head, sizeof *head);
    head->checksum = tc_record_checksum(s->value, d->bytes);
    memcpy(s->value, head, sizeof *head);
}

static int check_draft(const struct tc_store *s, const struct tc_draft *d, struct tc_record *ret)
{
    struct tc_record_view view;

    if (tc_record_decode_draft(d->data, d->bytes, &view) < 0)
        return -EBADMSG;
    if (view.head.header_bytes != sizeof view.head)
        return -EBADMSG;
    if (d->chunk_count == 0 && view.head.output_bytes > 0 && view.outputs == NULL)
        return -EBADMSG;
    if (d->bytes > TC_RECORD_INLINE_BYTES || d->bytes > s->max_size_bytes / 4 ||
        view.head.output_bytes > s->max_size_bytes / 4)
        return -EFBIG;
    *ret = view.head;
    return 0;
}

static int write_record(struct tc_store *s, const struct tc_draft *d, const struct tc_record *head)
{
    uint64_t key_low = head->key_low;
    MDB_val key = integer(&key_low), value = {d->bytes, s->value};
    int r = tc_mdb_errno(mdb_put(s->txn, s->table[TC_TABLE_RECORDS], &key, &value, 0));

    if (r == 0)
        r = tc_details_put(s, d, head);
    if (r == 0)
        r = tc_expiry_add(s, head->expires_ns, key_low);
    return r;
}

static void upload_name(char name[32], uint64_t first)
{
    (void)snprintf(name, 32, "upload-%016llx", (unsigned long long)first);
}

/* The chunks belong to a record now. */
static int forget_upload(struct tc_store *s, uint64_t first)
{
    char name[32];
    MDB_val key;
    int rc;

    upload_name(name, first);
    key = (MDB_val){strlen(name), name};
    rc = mdb_del(s->txn, s->table[TC_TABLE_META], &key, NULL);
    return rc == MDB_NOTFOUND ? 0 : tc_mdb_errno(rc);
}

int tc_record_write(struct tc_store *s, const struct tc_draft *d, struct tc_record *head)
{
    int r = drop_if_there(s, head->key_low);

    if (r >= 0) {
        tc_record_complete(s, d, head);
        r = write_record(s, d, head);
    }
    if (r < 0)
        return r;
    s->state.size_bytes += tc_record_cost(d->bytes, head);
    s->state.record_count++;
    /* A new record is as good as one that was just hit. */
    __atomic_store_n(&s->page->heat[head->key_low % TC_PAGE_HEAT], s->page->heat_epoch,
                     __ATOMIC_RELAXED);
    return 0;
}

int tc_store_put(struct tc_store *s, const struct tc_draft *d)
{
    struct tc_record head;
    int r = check_draft(s, d, &head);

    if (r == 0)
        r = tc_store_begin(s);
    if (r < 0)
        return r;
    if (d->only_if_missing && is_there(s, head.key_low))
        return d->chunk_count > 0 ? tc_store_drop_chunks(s, d->chunk_first, d->chunk_count) : 0;
    tc_crash_enter();
    memset(head.transaction, 0, sizeof head.transaction);
    r = d->transaction != NULL ? tc_store_stage(s, d, &head) : tc_record_write(s, d, &head);
    if (r == 0 && d->chunk_count > 0)
        r = forget_upload(s, d->chunk_first);
    tc_crash_leave();
    return r;
}

uint64_t tc_store_last_record(const struct tc_store *s)
{
    return s->state.next_record - 1;
}

int tc_store_reserve_chunks(struct tc_store *s, uint64_t output_bytes, uint32_t count,
                            uint64_t *ret_first)
{
    struct tc_store_upload u = {.first = s->state.next_chunk, .count = count};
    char name[32];
    int r;

    if (output_bytes > s->max_size_bytes / 4)
        return -EFBIG;
    r = tc_store_begin(s);
    if (r < 0)
        return r;
    u.first = s->state.next_chunk;
    upload_name(name, u.first);
    tc_crash_enter();
    r = tc_store_meta_put(s, name, &u, sizeof u);
    tc_crash_leave();
    if (r < 0)
        return r;
    s->state.next_chunk += count;
    *ret_first = u.first;
    return 0;
}

int tc_store_put_chunk(struct tc_store *s, uint64_t number, const void *data, size_t bytes)
{
    struct tc_chunk_header head = {.checksum = tc_hash64(data, bytes)};
    MDB_val key = integer(&number), value = {sizeof head + bytes, NULL};
    int r = tc_store_begin(s);

    if (r < 0)
        return r;
    tc_crash_enter();
    r = tc_mdb_errno(mdb_put(s->txn, s->table[TC_TABLE_CHUNKS], &key, &value, MDB_RESERVE));
    if (r == 0) {
        memcpy(value.mv_data, &head, sizeof head);
        memcpy((char *)value.mv_data + sizeof head, data, bytes);
    }
    tc_crash_leave();
    return r;
}

int tc_store_drop_chunks(struct tc_store *s, uint64_t first, uint32_t count)
{
    int r = tc_store_begin(s);

    if (r < 0)
        return r;
    tc_crash_enter();
    r = tc_record_drop_chunks(s, first, count);
    if (r == 0)
        r = forget_upload(s, first);
    tc_crash_leave();
    return r;
}

int tc_store_remove(struct tc_store *s, struct tc_key key)
{
    MDB_val k = integer(&key.low), value;
    struct tc_record head = {0};
    int r = tc_store_begin(s), rc;

    if (r < 0)
        return r;
    tc_crash_enter();
    rc = mdb_get(s->txn, s->table[TC_TABLE_RECORDS], &k, &value);
    if (rc == 0 && value.mv_size >= sizeof head)
        memcpy(&head, value.mv_data, sizeof head);
    if (rc == MDB_NOTFOUND || (head.magic == TC_RECORD_MAGIC && head.key_high != key.high))
        r = 0;
    else if (rc != 0)
        r = tc_mdb_errno(rc);
    else if ((r = tc_record_drop(s, key.low, &value)) == 0)
        r = (r = tc_misses_gone(s, &head, TC_GONE_REMOVED)) < 0 ? r : 1;
    tc_crash_leave();
    return r;
}

/* The first entry of "meta" that begins with "upload-". */
static int next_upload(struct tc_store *s, struct tc_store_upload *ret)
{
    MDB_val key = {7, (void *)(uintptr_t) "upload-"}, value;
    MDB_cursor *c;
    int rc = mdb_cursor_open(s->txn, s->table[TC_TABLE_META], &c);

    if (rc != 0)
        return tc_mdb_errno(rc);
    rc = mdb_cursor_get(c, &key, &value, MDB_SET_RANGE);
    mdb_cursor_close(c);
    if (rc != 0)
        return tc_mdb_errno(rc);
    if (key.mv_size < 7 || memcmp(key.mv_data, "upload-", 7) != 0)
        return -ENOENT;
    if (value.mv_size != sizeof *ret)
        return -EUCLEAN;
    memcpy(ret, value.mv_data, sizeof *ret);
    return 0;
}

/* Is there any? Asked by a read transaction: a start without them writes nothing. */
static int has_uploads(struct tc_store *s)
{
    struct tc_store_upload u;
    int r;

    s->txn = s->pin[1];
    r = next_upload(s, &u);
    s->txn = NULL;
    return r == 0;
}

int tc_store_remove_uploads(struct tc_store *s)
{
    struct tc_store_upload u;
    int r;

    if (!has_uploads(s))
        return 0;
    r = tc_store_begin(s);
    while (r == 0 && (r = next_upload(s, &u)) == 0) {
        if (u.count > s->state.next_chunk)
            return -EUCLEAN;
        r = tc_store_drop_chunks(s, u.first, (uint32_t)u.count);
    }
    if (r == -ENOENT)
        return tc_store_commit(s);
    tc_store_abort(s);
    return r == -ENOSPC ? 0 : r;
}

int tc_store_remove_all(struct tc_store *s, uint64_t *ret_removed)
{
    static const enum tc_table all[] = {TC_TABLE_RECORDS, TC_TABLE_CHUNKS, TC_TABLE_DETAILS,
                                        TC_TABLE_EXPIRY};
    uint64_t removed;
    int r = tc_store_begin(s);

    if (r < 0)
        return r;
    removed = s->state.record_count;
    tc_crash_enter();
    for (size_t i = 0; i < sizeof all / sizeof *all && r == 0; i++)
        r = tc_mdb_errno(mdb_drop(s->txn, s->table[all[i]], 0));
    if (r == 0)
        r = tc_store_clear_staged(s);
    for (struct tc_store_upload u; r == 0 && next_upload(s, &u) == 0;)
        r = forget_upload(s, u.first);
    if (r == 0)
        r = tc_misses_all_gone(s);
    tc_crash_leave();
    if (r < 0)
        return r;
    s->state.size_bytes = s->state.record_count = 0;
    s->epoch++;
    *ret_removed = removed;
    return 0;
}

/* Results of transactions that aren't over: table "staged", by transaction and key. */
#include "service/store/internal.h"

#include <errno.h>
#include <string.h>

#include "cache/key.h"

#define SMALL_BYTES 4096u /* of outputs */

static const char name[] = "staged";

static struct tc_staged_key key_of(const uint64_t transaction[2], uint64_t key_low)
{
    return (struct tc_staged_key){{transaction[0], transaction[1]}, key_low};
}

/* Inside the open write transaction. With that it goes again, if it was made there. */
static int make_table(struct tc_store *s)
{
    int rc;

    if (s->staging.table)
        return 0;
    rc = mdb_dbi_open(s->txn, name, MDB_CREATE, &s->table[TC_TABLE_STAGED]);
    s->staging.table = rc == 0;
    return tc_mdb_errno(rc);
}

static int read_head(const MDB_val *value, struct tc_record *ret)
{
    if (value->mv_size < sizeof *ret || value->mv_size > TC_RECORD_INLINE_BYTES)
        return -EUCLEAN;
    memcpy(ret, value->mv_data, sizeof *ret);
    return ret->magic == TC_RECORD_MAGIC ? 0 : -EUCLEAN;
}

/* Takes one entry out of the table. Its chunks stay. */
static int take_out(struct tc_store *s, struct tc_staged_key *key, size_t bytes,
                    const struct tc_record *head)
{
    MDB_val k = {sizeof *key, key};
    uint64_t cost = tc_record_cost(bytes, head);
    int r = tc_mdb_errno(mdb_del(s->txn, s->table[TC_TABLE_STAGED], &k, NULL));

    if (r == 0)
        s->staging.bytes -= cost < s->staging.bytes ? cost : s->staging.bytes;
    return r;
}

static int replace(struct tc_store *s, struct tc_staged_key *key)
{
    MDB_val k = {sizeof *key, key}, value;
    struct tc_record head;
    int rc = mdb_get(s->txn, s->table[TC_TABLE_STAGED], &k, &value), r;
    size_t bytes;

    if (rc != 0)
        return rc == MDB_NOTFOUND ? 0 : tc_mdb_errno(rc);
    bytes = value.mv_size;
    r = read_head(&value, &head);
    if (r == 0)
        r = take_out(s, key, bytes, &head);
    return r < 0 ? r : tc_record_drop_chunks(s, head.chunk_first, head.chunk_count);
}

static int put(struct tc_store *s, const struct tc_draft *d, const uint64_t transaction[2],
               struct tc_record *head)
{
    struct tc_staged_key key = key_of(transaction, head->key_low);
    MDB_val k = {sizeof key, &key}, value = {d->bytes, s->value};
    int r = replace(s, &key);

    if (r < 0)
        return r;
    memcpy(head->transaction, transaction, sizeof head->transaction);
    tc_record_complete(s, d, head);
    r = tc_mdb_errno(mdb_put(s->txn, s->table[TC_TABLE_STAGED], &k, &value, 0));
    if (r == 0)
        s->staging.bytes += tc_record_cost(d->bytes, head);
    return r;
}

/* What is small moves when it lands; the outputs of the rest go into chunks, which stay where they
 * are: so a commit is short. */
static void plan_chunks(const struct tc_store *s, struct tc_draft *d, struct tc_record_view *ret)
{
    if (d->chunk_count > 0 || tc_record_decode_draft(d->data, d->bytes, ret) < 0 ||
        ret->outputs == NULL || ret->head.output_bytes <= SMALL_BYTES)
        return;
    d->chunk_first = s->state.next_chunk;
    d->chunk_count = (uint32_t)((ret->head.output_bytes + TC_CHUNK_BYTES - 1) / TC_CHUNK_BYTES);
    d->bytes = (size_t)(ret->outputs - (const unsigned char *)d->data);
}

static int put_chunks(struct tc_store *s, const struct tc_draft *d, const struct tc_record_view *v)
{
    int r = 0;

    for (uint64_t at = 0, n = d->chunk_first; at < v->head.output_bytes && r == 0; n++) {
        uint64_t left = v->head.output_bytes - at;
        size_t bytes = left < TC_CHUNK_BYTES ? (size_t)left : TC_CHUNK_BYTES;

        r = tc_store_put_chunk(s, n, v->outputs + at, bytes);
        at += bytes;
    }
    s->state.next_chunk += d->chunk_count;
    return r;
}

int tc_store_stage(struct tc_store *s, const struct tc_draft *d, struct tc_record *head)
{
    struct tc_record as_kept = *head;
    struct tc_record_view v = {.outputs = NULL};
    struct tc_draft staged = *d;
    int r;

    plan_chunks(s, &staged, &v);
    as_kept.chunk_count = staged.chunk_count;
    if (s->staging.bytes + tc_record_cost(staged.bytes, &as_kept) > s->max_size_bytes / 4)
        return -EFBIG;
    r = make_table(s);
    if (r == 0 && staged.chunk_count > d->chunk_count)
        r = put_chunks(s, &staged, &v);
    return r < 0 ? r : put(s, &staged, staged.transaction, head);
}

/* The first entry of a transaction, copied to s->moved; -ENOENT. */
static int first_of(struct tc_store *s, const uint64_t transaction[2], struct tc_staged_key *ret,
                    size_t *ret_bytes, struct tc_record *ret_head)
{
    struct tc_staged_key from = key_of(transaction, 0);
    MDB_val k = {sizeof from, &from}, value;
    MDB_cursor *c;
    int rc = mdb_cursor_open(s->txn, s->table[TC_TABLE_STAGED], &c), r;

    if (rc != 0)
        return tc_mdb_errno(rc);
    rc = mdb_cursor_get(c, &k, &value, MDB_SET_RANGE);
    mdb_cursor_close(c);
    if (rc != 0)
        return tc_mdb_errno(rc);
    if (k.mv_size != sizeof *ret)
        return -EUCLEAN;
    memcpy(ret, k.mv_data, sizeof *ret);
    if (memcmp(ret->transaction, transaction, sizeof ret->transaction) != 0)
        return -ENOENT;
    r = read_head(&value, ret_head);
    if (r == 0) {
        memcpy(s->moved, value.mv_data, value.mv_size);
        *ret_bytes = value.mv_size;
    }
    return r;
}

/* What becomes of the entry in s->moved, which is out of the table. `d->transaction`: whose it is
 * from now on. */
typedef int end_fn(struct tc_store *s, const struct tc_draft *d, struct tc_record *head);

/* Of a `private:` task nobody learns who called it. */
static int is_private(const struct tc_draft *d)
{
    struct tc_record_view v;
    struct tc_component k;
    size_t offset = 0;

    return tc_record_decode_draft(d->data, d->bytes, &v) == 0 &&
           tc_material_next(v.material, v.head.material_bytes, &offset, &k) == 1 &&
           k.head.name_bytes == sizeof TC_PRIVATE - 1 &&
           memcmp(k.name, TC_PRIVATE, k.head.name_bytes) == 0;
}

static int keep(struct tc_store *s, const struct tc_draft *d, struct tc_record *head)
{
    struct tc_draft kept = *d;

    if (is_private(d)) {
        kept.pid = 0;
        kept.program = NULL;
    }
    memset(head->transaction, 0, sizeof head->transaction);
    return tc_record_write(s, &kept, head);
}

static int merge(struct tc_store *s, const struct tc_draft *d, struct tc_record *head)
{
    return put(s, d, d->transaction, head);
}

static int drop(struct tc_store *s, const struct tc_draft *d, struct tc_record *head)
{
    (void)d;
    return tc_record_drop_chunks(s, head->chunk_first, head->chunk_count);
}

static int end_one(struct tc_store *s, const uint64_t transaction[2], end_fn *end,
                   const struct tc_draft *like)
{
    struct tc_staged_key key;
    struct tc_record head;
    struct tc_draft d = *like;
    int r = first_of(s, transaction, &key, &d.bytes, &head);

    if (r < 0)
        return r;
    d.data = s->moved;
    d.record_id = head.record_id; /* a header may know it by that */
    d.chunk_first = head.chunk_first;
    d.chunk_count = head.chunk_count;
    r = take_out(s, &key, d.bytes, &head);
    return r < 0 ? r : end(s, &d, &head);
}

static int end_all(struct tc_store *s, const uint64_t transaction[2], end_fn *end,
                   const struct tc_draft *like, uint64_t *ret_count)
{
    uint64_t count = 0;
    int r = s->staging.table ? tc_store_begin(s) : -ENOENT;

    tc_crash_enter();
    while (r == 0) {
        r = end_one(s, transaction, end, like);
        count += r == 0;
    }
    tc_crash_leave();
    if (r != -ENOENT)
        return r;
    *ret_count = count;
    return 0;
}

int tc_store_keep_staged(struct tc_store *s, const uint64_t transaction[2], uint32_t pid,
                         const char *program, uint64_t *ret_kept)
{
    const struct tc_draft like = {.pid = pid, .program = program};

    return end_all(s, transaction, keep, &like, ret_kept);
}

int tc_store_merge_staged(struct tc_store *s, const uint64_t transaction[2],
                          const uint64_t parent[2], uint64_t *ret_moved)
{
    const struct tc_draft like = {.transaction = parent};

    return end_all(s, transaction, merge, &like, ret_moved);
}

int tc_store_drop_staged(struct tc_store *s, const uint64_t transaction[2])
{
    const struct tc_draft like = {.data = NULL};
    uint64_t count;

    return end_all(s, transaction, drop, &like, &count);
}

/* Any entry; -ENOENT. */
static int any_left(struct tc_store *s, MDB_txn *txn, struct tc_staged_key *ret)
{
    MDB_cursor *c;
    MDB_val k, value;
    int rc = mdb_cursor_open(txn, s->table[TC_TABLE_STAGED], &c);

    if (rc != 0)
        return tc_mdb_errno(rc);
    rc = mdb_cursor_get(c, &k, &value, MDB_FIRST);
    mdb_cursor_close(c);
    if (rc == 0 && k.mv_size != sizeof *ret)
        return -EUCLEAN;
    if (rc == 0)
        memcpy(ret, k.mv_data, sizeof *ret);
    return tc_mdb_errno(rc);
}

/* A handle that a read transaction opened is everybody's only after its commit. */
static int find_table(struct tc_store *s)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);

    if (rc != 0)
        return tc_mdb_errno(rc);
    rc = mdb_dbi_open(txn, name, 0, &s->table[TC_TABLE_STAGED]);
    if (rc != 0) {
        mdb_txn_abort(txn);
        return tc_mdb_errno(rc);
    }
    rc = mdb_txn_commit(txn);
    s->staging.table = s->staging_committed.table = rc == 0;
    return tc_mdb_errno(rc);
}

/* Chunks of theirs are lost to the store then. */
static int clear_damaged(struct tc_store *s)
{
    int r;

    tc_store_abort(s);
    r = tc_store_begin(s);
    return r < 0 ? r : tc_store_clear_staged(s);
}

int tc_store_sweep_staged(struct tc_store *s)
{
    struct tc_staged_key key;
    MDB_txn *txn;
    int r = find_table(s);

    if (r < 0)
        return r == -ENOENT ? 0 : r;
    r = tc_mdb_errno(mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn));
    if (r < 0)
        return r;
    r = any_left(s, txn, &key); /* a start without them writes nothing */
    mdb_txn_abort(txn);
    while (r == 0 && (r = tc_store_drop_staged(s, key.transaction)) == 0)
        r = any_left(s, s->txn, &key);
    if (r == -EUCLEAN)
        r = clear_damaged(s);
    if (r == 0 || r == -ENOENT)
        r = tc_store_commit(s);
    if (r < 0)
        tc_store_abort(s);
    return r == -ENOSPC ? 0 : r;
}

int tc_store_clear_staged(struct tc_store *s)
{
    s->staging.bytes = 0;
    return s->staging.table ? tc_mdb_errno(mdb_drop(s->txn, s->table[TC_TABLE_STAGED], 0)) : 0;
}

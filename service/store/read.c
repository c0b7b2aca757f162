/* Whole records, for those who hand them on. */
#include "service/store/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/hash.h"

static int get(const struct tc_store *s, MDB_txn *txn, enum tc_table table, uint64_t n,
               MDB_val *ret)
{
    MDB_val key = {sizeof n, &n};

    return tc_mdb_errno(mdb_get(txn, s->table[table], &key, ret));
}

/* A chunk's bytes behind `to`; how many, or a negative errno. */
static int64_t read_chunk(const struct tc_store *s, MDB_txn *txn, uint64_t n, unsigned char *to,
                          uint64_t room)
{
    struct tc_chunk_header head;
    MDB_val value;
    size_t bytes;
    int r = get(s, txn, TC_TABLE_CHUNKS, n, &value);

    if (r < 0)
        return r;
    if (value.mv_size < sizeof head || (bytes = value.mv_size - sizeof head) > room)
        return -EBADMSG;
    memcpy(&head, value.mv_data, sizeof head);
    memcpy(to, (const char *)value.mv_data + sizeof head, bytes);
    return tc_hash64(to, bytes) == head.checksum ? (int64_t)bytes : -EBADMSG;
}

static int read_chunks(const struct tc_store *s, MDB_txn *txn, const struct tc_record *head,
                       unsigned char *to)
{
    uint64_t done = 0;

    for (uint32_t i = 0; i < head->chunk_count; i++) {
        int64_t n = read_chunk(s, txn, head->chunk_first + i, to + done, head->output_bytes - done);

        if (n < 0)
            return (int)n;
        done += (uint64_t)n;
    }
    return done == head->output_bytes ? 0 : -EBADMSG;
}

static int read_record(const struct tc_store *s, MDB_txn *txn, struct tc_key key, size_t most_bytes,
                       unsigned char **ret, size_t *ret_bytes)
{
    struct tc_record_view v;
    unsigned char *whole;
    MDB_val value;
    uint64_t all;
    int r = get(s, txn, TC_TABLE_RECORDS, key.low, &value);

    if (r == 0)
        r = tc_record_decode(value.mv_data, value.mv_size, &v);
    if (r < 0)
        return r;
    if (v.head.key_low != key.low || v.head.key_high != key.high)
        return -ENOENT;
    all = value.mv_size + (v.head.chunk_count > 0 ? v.head.output_bytes : 0);
    if (all > most_bytes || v.head.output_bytes > most_bytes)
        return -EFBIG;
    whole = malloc(all);
    if (whole == NULL)
        return -ENOMEM;
    memcpy(whole, value.mv_data, value.mv_size);
    if (v.head.chunk_count > 0) {
        r = read_chunks(s, txn, &v.head, whole + value.mv_size);
        v.head.chunk_count = 0; /* as a draft says it */
        memcpy(whole, &v.head, sizeof v.head);
    }
    if (r < 0) {
        free(whole);
        return r;
    }
    *ret = whole;
    *ret_bytes = all;
    return 0;
}

int tc_store_read(struct tc_store *s, struct tc_key key, size_t most_bytes, unsigned char **ret,
                  size_t *ret_bytes)
{
    MDB_txn *txn = s->txn;
    int r = 0;

    tc_crash_enter();
    if (txn == NULL)
        r = tc_mdb_errno(mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn));
    if (r == 0)
        r = read_record(s, txn, key, most_bytes, ret, ret_bytes);
    if (txn != NULL && s->txn == NULL)
        mdb_txn_abort(txn);
    tc_crash_leave();
    return r;
}

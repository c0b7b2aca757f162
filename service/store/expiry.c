#include "service/store/expiry.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define SIGN (1ull << 63) /* turns two's complement into an order of bytes */

struct expiry_key {
    uint64_t when, key_low;
};

static struct expiry_key make(int64_t expires_ns, uint64_t key_low)
{
    return (struct expiry_key){htobe64((uint64_t)expires_ns ^ SIGN), htobe64(key_low)};
}

int tc_expiry_add(struct tc_store *s, int64_t expires_ns, uint64_t key_low)
{
    struct expiry_key k = make(expires_ns, key_low);
    MDB_val key = {sizeof k, &k}, nothing = {0, NULL};

    if (expires_ns == TC_NEVER)
        return 0;
    return tc_mdb_errno(mdb_put(s->txn, s->table[TC_TABLE_EXPIRY], &key, &nothing, 0));
}

int tc_expiry_remove(struct tc_store *s, int64_t expires_ns, uint64_t key_low)
{
    struct expiry_key k = make(expires_ns, key_low);
    MDB_val key = {sizeof k, &k};
    int rc;

    if (expires_ns == TC_NEVER)
        return 0;
    rc = mdb_del(s->txn, s->table[TC_TABLE_EXPIRY], &key, NULL);
    return rc == MDB_NOTFOUND ? 0 : tc_mdb_errno(rc);
}

int tc_expiry_first(struct tc_store *s, int64_t *ret_expires_ns, uint64_t *ret_key_low)
{
    struct expiry_key k;
    MDB_val key, value;
    MDB_cursor *c;
    int rc = mdb_cursor_open(s->txn, s->table[TC_TABLE_EXPIRY], &c);

    if (rc != 0)
        return tc_mdb_errno(rc);
    rc = mdb_cursor_get(c, &key, &value, MDB_FIRST);
    if (rc == 0 && key.mv_size == sizeof k)
        memcpy(&k, key.mv_data, sizeof k);
    else if (rc == 0)
        rc = MDB_CORRUPTED;
    mdb_cursor_close(c);
    if (rc != 0)
        return tc_mdb_errno(rc);
    *ret_expires_ns = (int64_t)(be64toh(k.when) ^ SIGN);
    *ret_key_low = be64toh(k.key_low);
    return 0;
}

/*
 * The store as cachectl reads it: the mapped data file, by the protocol of cache/lmdb_read.h when a
 * service's shared page is there, directly when none is. Nothing is locked or written. One thread.
 */
#ifndef TC_TOOLS_READER_H
#define TC_TOOLS_READER_H

#include "cache/lmdb_read.h"
#include "cache/shared_page.h"
#include "tools/session.h"

struct tc_reader {
    char path[TC_PATH_BYTES * 2]; /* of the data file */
    struct tc_mapping data;
    struct tc_mapping page_map;
    const struct tc_shared_page *page; /* NULL: no service has one */
    struct tc_lmdb db;
    struct tc_lmdb_snapshot snapshot;
    uint64_t damaged; /* entries that the last walk couldn't read */
};

/* -ENOENT: there is no store yet. Otherwise the cause is set. */
int tc_reader_open(struct tc_reader *r, const struct tc_session *s, struct tc_cause *ret_cause);
void tc_reader_close(struct tc_reader *r);

/* What a walk does with its entries. Their bytes may be overwritten while `each` looks at them:
 * what it keeps it copies, and `restart` is called whenever all that was seen so far is void.
 * `each` returns 0 or a negative errno, which ends the walk. */
struct tc_walk {
    void (*restart)(void *ctx);
    int (*each)(void *ctx, struct tc_reader *r, const struct tc_lmdb_entry *e);
    void *ctx;
};
/* -EAGAIN: the store changed too fast, several times. No such table: nothing is walked. */
int tc_reader_walk(struct tc_reader *r, const char *table, const struct tc_walk *walk);

/* Inside of `each`: a value of another table in the same snapshot. */
int tc_reader_peek(struct tc_reader *r, const char *table, uint64_t key, const void **ret,
                   size_t *ret_bytes);

/* A copy of one value; free() it. -ENOENT. */
int tc_reader_fetch(struct tc_reader *r, const char *table, uint64_t key, unsigned char **ret,
                    size_t *ret_bytes);

#endif

/*
 * What the files of service/store/ share.
 */
#ifndef TC_SERVICE_STORE_INTERNAL_H
#define TC_SERVICE_STORE_INTERNAL_H

#include <lmdb.h>

#include "cache/record.h"
#include "cache/totals.h"
#include "service/store/store.h"

#define TC_STORE_FORMAT "taskcache-store-1"

/* "state" in table "meta": written with every commit that changes it, so that it is right whenever
 * the records are. */
struct tc_store_state {
    uint64_t seed;
    uint64_t next_record, next_chunk;
    uint64_t size_bytes, record_count;
    uint64_t evicted;
    uint64_t checksum; /* XXH3-64 of what is above: salvage believes the seed of a damaged store */
};

/* "boot" in table "meta": in which boot the store was written to without a sync. */
struct tc_store_boot {
    char id[40];
    uint64_t clean; /* 1: all of it is on the disk */
};

/* "upload-%016llx" in table "meta", by the first chunk: chunks without a record yet. */
struct tc_store_upload {
    uint64_t first;
    uint64_t count;
};

enum tc_table {
    TC_TABLE_RECORDS,
    TC_TABLE_CHUNKS,
    TC_TABLE_DETAILS,
    TC_TABLE_TASKS,
    TC_TABLE_META,
    TC_TABLE_EXPIRY,
    TC_TABLE_MISSES,
    TC_TABLES,
    TC_TABLE_STAGED = TC_TABLES, /* made when it is first needed */
    TC_TABLES_AT_MOST,
};

struct tc_store {
    struct tc_store_options options;
    struct tc_shared_page *page;
    struct tc_log *log;
    unsigned number; /* of store-N */
    unsigned aside;  /* of a store that was set aside and not salvaged yet, 0 */
    char data_file[64];
    char boot_id[40];
    MDB_env *env;
    MDB_dbi table[TC_TABLES_AT_MOST];
    uint64_t map_bytes, max_size_bytes;

    MDB_txn *txn;                    /* the write transaction, NULL: none */
    struct tc_store_state state;     /* with the open transaction's changes */
    struct tc_store_state committed; /* without */
    struct {
        uint64_t bytes;           /* of staged results */
        int table;                /* TC_TABLE_STAGED is open */
    } staging, staging_committed; /* likewise */
    MDB_txn *pin[2];              /* read transactions, the older one first */
    uint64_t last_txnid;          /* last committed */
    int64_t rotated_ms, heated_ms, folded_ms;
    uint64_t epoch;
    int marked;   /* "boot" says that the disk lags behind */
    int dirty;    /* commits since the last sync was begun */
    int evicting; /* above the limit, not yet down to 90 % */
    uint64_t random;
    unsigned char *value; /* TC_RECORD_INLINE_BYTES of scratch memory */
    unsigned char *moved; /* likewise, of a staged result on its way */
};

/* store.c */
int tc_mdb_errno(int rc);
int tc_store_begin(struct tc_store *s);
int tc_store_meta_put(struct tc_store *s, const char *key, const void *data, size_t bytes);
int tc_store_meta_get(struct tc_store *s, MDB_txn *txn, const char *key, void *data, size_t bytes);

/* environment.c: the environment of store-N, its tables and its "meta". `seed`: for a new store. */
int tc_store_open_environment(struct tc_store *s, uint64_t seed, struct tc_failure *f);
void tc_store_close_environment(struct tc_store *s);
void tc_store_read_boot_id(char ret[40]);

/* generation.c */
/* N of the newest store-N; of the one to begin, if there is none. */
unsigned tc_store_number(int cache_fd);
/* Renames store-N to store-N.damaged; an older one set aside goes. */
int tc_store_set_aside(struct tc_store *s);
int tc_store_is_marked_damaged(const struct tc_store *s);

/* crash.c: a crash inside LMDB (a truncated or damaged file) leaves a mark, by which the next
 * service knows that it mustn't open this store. */
void tc_crash_guard(int cache_fd, unsigned number);
void tc_crash_enter(void);
void tc_crash_leave(void);

/* pins.c */
int tc_pins_take(struct tc_store *s);
void tc_pins_drop(struct tc_store *s);
void tc_pins_rotate(struct tc_store *s);
/* After a commit: publishes it. */
int tc_store_publish(struct tc_store *s);

/* records.c */
int tc_record_drop(struct tc_store *s, uint64_t key_low, const MDB_val *value);

/* details.c: who stored the record, and why its call missed. */
int tc_details_put(struct tc_store *s, const struct tc_draft *d, const struct tc_record *head);

/* misses.c: a record went, or all of them did. In the open transaction. */
int tc_misses_gone(struct tc_store *s, const struct tc_record *head, enum tc_gone_why why);
int tc_misses_all_gone(struct tc_store *s);

/* Inside the open transaction: takes the place of a record of the same key. */
int tc_record_write(struct tc_store *s, const struct tc_draft *d, struct tc_record *head);
/* The value as it will lie in the store, in s->value. */
void tc_record_complete(struct tc_store *s, const struct tc_draft *d, struct tc_record *head);
/* What a record takes in the store: value, side tables, chunks. */
uint64_t tc_record_cost(size_t value_bytes, const struct tc_record *r);
int tc_record_drop_chunks(struct tc_store *s, uint64_t first, uint64_t count);

/* staging.c */
int tc_store_stage(struct tc_store *s, const struct tc_draft *d, struct tc_record *head);
/* At start: finds the table, and removes what is left in it. */
int tc_store_sweep_staged(struct tc_store *s);
/* Together with all records. */
int tc_store_clear_staged(struct tc_store *s);

#endif

/*
 * The store as this process sees it: the data file mapped read-only, without descriptor, lock or
 * reader slot. See cache/lmdb_read.h and cache/shared_page.h for the protocol that keeps a reader's
 * pages in place.
 *
 * Any thread; async-signal-safe; no system call unless the file has grown or was replaced.
 */
#ifndef TC_PRELOAD_LOOKUP_H
#define TC_PRELOAD_LOOKUP_H

#include "cache/key.h"
#include "cache/lmdb_read.h"

struct tc_store_view {
    uint32_t storage;
    struct tc_lmdb db; /* db.map NULL: nothing is remembered here */
    struct tc_lmdb_snapshot snapshot;
    uint64_t generation, ceiling; /* of the shared page: the view holds while they do */
    struct tc_lmdb_table records;
    int has_records; /* it was looked up */
};

/* A consistent view of a storage as it is now: 0, or a negative errno (no store, nothing readable
 * at this moment). `last` is one that was remembered: nothing is read if nothing was committed
 * since. */
int tc_store_open(uint32_t storage, const struct tc_store_view *last, struct tc_store_view *ret);

/* Keeps a view for the next call. It must have been found protected, and been good for a look-up.
 */
void tc_store_remember(struct tc_store_view *last, const struct tc_store_view *v);

/* The record's value under `key`, inside the mapping: 0, -ENOENT or another negative errno. */
int tc_store_find(struct tc_store_view *v, uint64_t key_low, const void **ret_value,
                  size_t *ret_bytes);

/* The same of a result that a transaction has staged. */
int tc_store_find_staged(const struct tc_store_view *v, const uint64_t transaction[2],
                         uint64_t key_low, const void **ret_value, size_t *ret_bytes);

/* A chunk's value. */
int tc_store_chunk(const struct tc_store_view *v, uint64_t number, const void **ret_value,
                   size_t *ret_bytes);

/* Was all that was copied since tc_store_open() protected? If not, none of it counts. */
int tc_store_was_protected(const struct tc_store_view *v);

/* The hit leaves its mark for eviction. */
void tc_store_warm(uint32_t storage, uint64_t key_low);

#endif

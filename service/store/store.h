/*
 * The store: one LMDB environment in CACHE/store-N/, written by this process alone, and the shared
 * page by which targets read it without a lock (cache/shared_page.h, cache/lmdb_read.h).
 *
 * Tables: "records" and "chunks" (cache/record.h), "details" and "tasks" (cache/totals.h), "meta",
 * "expiry" (when which record expires) and "misses"
 * (cache/miss.h). Changes collect in one write transaction, which the
 * first of them begins and tc_store_commit() ends; only then does anybody see them.
 *
 * Functions return 0 or a negative errno; among them
 *   -ENOSPC, -EFBIG (record above a quarter of the limit), -EBADMSG (not a sound draft): reported
 *   -EUCLEAN  LMDB found damage, or refuses to go on: tc_store_recover()
 * After a failed change other than -EFBIG, -EBADMSG and -ENOENT the transaction is worth nothing:
 * tc_store_abort(). One thread.
 */
#ifndef TC_SERVICE_STORE_H
#define TC_SERVICE_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "cache/key.h"
#include "cache/miss.h"
#include "cache/shared_page.h"
#include "service/failure.h"
#include "service/log.h"

#define TC_DEFAULT_MAX_SIZE (10ull << 30)

struct tc_store_options {
    const char *cache; /* the cache directory, absolute */
    int cache_fd;
    uint64_t cache_dev, cache_ino;
    const char *page_path;
    uint64_t max_size_bytes; /* 0: TC_DEFAULT_MAX_SIZE */
    struct tc_log *log;
    /* Told what each task's counters gained, when that is kept; NULL. */
    void (*gained)(void *ctx, const struct tc_counters *gained);
    void *ctx;
};

struct tc_store;

/* Failures: store-format (another format: left as it is), store-full, service-failed. A damaged
 * store, or one that an unclean reboot left behind, is set aside and a new one begun. The strings
 * of `o` must outlive the store. */
int tc_store_open(const struct tc_store_options *o, struct tc_store **ret, struct tc_failure *f);

/* Commits, folds, syncs, lets go of the pins. */
void tc_store_close(struct tc_store *s);

/* After -EUCLEAN: opens the store anew, or sets it aside and begins another one. */
int tc_store_recover(struct tc_store *s, struct tc_failure *f);

/* N of a store that was set aside since this was asked last, 0: none. */
unsigned tc_store_take_aside(struct tc_store *s);

void tc_store_set_limit(struct tc_store *s, uint64_t max_size_bytes);

/* A record to keep. `bytes` are the draft: header, identity, material, extents, and, if
 * `chunk_count` is 0, the outputs. */
struct tc_draft {
    const void *data;
    size_t bytes;
    uint64_t chunk_first;
    uint32_t chunk_count;
    uint32_t pid;
    const char *program; /* at most 32 bytes are read */
    int only_if_missing; /* a salvaged record: what is there is newer */
    /* Why the call missed (cache/miss.h). */
    uint32_t found, head_bytes;
    int64_t expired_ns;
    const void *heads;
    uint64_t record_id;          /* 0: the next one */
    const uint64_t *transaction; /* [2]: staged for it; NULL: for everybody */
};

/* Takes the place of a record of the same key. */
int tc_store_put(struct tc_store *s, const struct tc_draft *d);
/* The record_id that was given last. */
uint64_t tc_store_last_record(const struct tc_store *s);

/* Chunks of a record that is too large for one value: numbers are reserved, the chunks written over
 * several commits, and the record put last. What a service that was killed in between left behind
 * is removed by the next one. */
int tc_store_reserve_chunks(struct tc_store *s, uint64_t output_bytes, uint32_t count,
                            uint64_t *ret_first);
int tc_store_put_chunk(struct tc_store *s, uint64_t number, const void *data, size_t bytes);
int tc_store_drop_chunks(struct tc_store *s, uint64_t first, uint32_t count);
/* Removes all chunks without a record, and commits; only while nothing is being written. */
int tc_store_remove_uploads(struct tc_store *s);
/* Changes when everything was removed or the store was replaced: chunks from before are gone. */
uint64_t tc_store_epoch(const struct tc_store *s);

/*
 * Staged results (cache/record.h): a draft put with its transaction's id is seen by that
 * transaction's look-ups alone. All staged ones together take at most a quarter of the limit
 * (-EFBIG), and are never evicted; a store that is opened anew has none.
 */
/* Makes all of them records, of this process in "details". */
int tc_store_keep_staged(struct tc_store *s, const uint64_t transaction[2], uint32_t pid,
                         const char *program, uint64_t *ret_kept);
/* Makes them another transaction's, which isn't the same one. */
int tc_store_merge_staged(struct tc_store *s, const uint64_t transaction[2],
                          const uint64_t parent[2], uint64_t *ret_moved);
int tc_store_drop_staged(struct tc_store *s, const uint64_t transaction[2]);

/* The record of this key with its outputs behind it, whatever their size, as a draft is; allocated.
 * -ENOENT, -EFBIG: it is longer; -EBADMSG, -EPROTONOSUPPORT. */
int tc_store_read(struct tc_store *s, struct tc_key key, size_t most_bytes, unsigned char **ret,
                  size_t *ret_bytes);

/* 1: removed, 0: there was none. */
int tc_store_remove(struct tc_store *s, struct tc_key key);
int tc_store_remove_all(struct tc_store *s, uint64_t *ret_removed);

/* Keeps a miss that stored nothing; `rest` is what follows it. With a record's id: that record was
 * found wrong, and goes. */
int tc_store_note_miss(struct tc_store *s, const struct tc_miss *miss, const void *rest);

/* A bounded piece of eviction: expired records first (`expired_too` asks for them even below the
 * limit), then the least valuable ones down to 90 % of the limit. `*ret_more`: there is more to do.
 */
int tc_store_evict(struct tc_store *s, int expired_too, uint64_t *ret_removed, int *ret_more);
int tc_store_is_over_limit(const struct tc_store *s);

/* Publishes what was changed; 0 too if nothing was. On failure nothing of it is there. */
int tc_store_commit(struct tc_store *s);
void tc_store_abort(struct tc_store *s);

/* To be called about once a second: counters, pins, heat. */
int tc_store_fold(struct tc_store *s);
void tc_store_tick(struct tc_store *s);

/* Syncing is done by a child, on the descriptor: it may take seconds. Returns -1 if there is
 * nothing to sync. After it: tc_store_synced(). */
int tc_store_sync_fd(const struct tc_store *s);
void tc_store_synced(struct tc_store *s);
void tc_store_sync_begins(struct tc_store *s);

struct tc_store_numbers {
    uint64_t size_bytes, record_count, max_size_bytes, txnid;
    unsigned generation; /* N of store-N */
};
void tc_store_numbers(const struct tc_store *s, struct tc_store_numbers *ret);
struct tc_shared_page *tc_store_page(const struct tc_store *s);

#endif

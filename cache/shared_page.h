/*
 * The shared page: a file in the runtime directory (tmpfs, preallocated), `CACHEID.page`, mapped by
 * the service and by every target. The service owns it; targets add to counters and heat. All
 * fields are accessed with atomic operations (relaxed unless said); a field has one writer unless
 * it is a counter.
 *
 * Reading the store without a lock (see cache/lmdb_read.h): the service keeps two read
 * transactions, rotates them, and publishes `floor` before it lets the older one go; `ceiling` is
 * the last committed txnid, published (release) after the commit returned. A reader loads `ceiling`
 * (acquire), reads, copies, and accepts only if `floor` (acquire, after an acquire fence) is still
 * <= its txnid.
 */
#ifndef TC_CACHE_SHARED_PAGE_H
#define TC_CACHE_SHARED_PAGE_H

#include <stdint.h>

#include "cache/reason.h"

#define TC_PAGE_MAGIC   0x45474150434b5354ull /* "TSKCPAGE" */
#define TC_PAGE_VERSION 3u
#define TC_PAGE_TASKS   1024u /* power of two */
#define TC_PAGE_HEAT    65536u
#define TC_PAGE_REASONS 64u
#define TC_PAGE_LOCKS   256u

/* Totals of one task. Claimed by storing its hash into `task` by compare-and-swap; open addressing
 * from (hash mod TC_PAGE_TASKS). The service folds totals into the store's table "tasks" and
 * subtracts what it folded. */
struct tc_counters {
    uint64_t task; /* XXH3-64 of the identity; 0: free */
    uint64_t hits, misses, stored;
    uint64_t saved_ns;                /* sum of the durations of replayed calls */
    uint64_t missed_ns;               /* time spent in real calls on misses */
    uint64_t bypass[TC_PAGE_REASONS]; /* by enum tc_reason */
    uint64_t reserved[2];
    char identity[128]; /* for people; written by who claimed the slot, `identity_ready` set
                           afterwards (release) */
    uint32_t identity_ready;
    uint32_t pad;
};

struct tc_shared_page {
    uint64_t magic;
    uint32_t version;
    uint32_t bytes; /* of the file */
    /* Written by the service before `ready` is set (release); constant for the page's life. */
    uint64_t cache_dev, cache_ino;
    uint64_t seed; /* of keys: the storage's secret */
    uint32_t ready;
    uint32_t service_pid;
    /* Where the data is: changes when a new store replaces an old one. Odd while it is being
     * changed. */
    uint64_t generation;
    char data_file[64]; /* relative to the cache directory: "store-1/data.mdb" */
    uint64_t data_dev, data_ino;
    /* Read protection. */
    uint64_t floor, ceiling;
    uint64_t
        data_bytes; /* length of the data file after the last commit: how far a target may map it */
    /* For people. */
    uint64_t size_bytes, max_size_bytes, record_count;
    int64_t started_ns;
    uint64_t evicted;
    uint64_t reserved[16];
    struct tc_counters totals; /* of calls whose task found no free slot */
    struct tc_counters task[TC_PAGE_TASKS];
    uint8_t
        heat[TC_PAGE_HEAT]; /* by key_low mod TC_PAGE_HEAT: the service's epoch of the last hit */
    uint8_t heat_epoch;     /* advanced by the service */
    /* By key_low mod TC_PAGE_LOCKS: counts what happened to locks on such keys. Who waits for one
     * sleeps on it (futex) until it changes, and then asks. */
    uint32_t locks[TC_PAGE_LOCKS];
};

/* A run's own counters, `run-RUNID.counters` in the runtime directory, made by `cachectl run
 * --stats` and mapped by the run's processes. RUNID is the hex XXH3-128 of the run id. */
#define TC_RUN_MAGIC 0x4e55524f4b534154ull
#define TC_RUN_TASKS 256u
struct tc_run_page {
    uint64_t magic;
    uint32_t version, bytes;
    uint64_t processes; /* that mapped this page */
    uint64_t reserved[5];
    struct tc_counters totals;
    struct tc_counters task[TC_RUN_TASKS];
};

/* The slot for a task, claimed if need be; `overflow` when the table is full. Async-signal-safe.
 * `count` is a power of two. */
struct tc_counters *tc_counters_claim(struct tc_counters *table, uint32_t count,
                                      struct tc_counters *overflow, uint64_t task,
                                      const char *identity);

#endif

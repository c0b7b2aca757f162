/*
 * Read-only look-up in LMDB 0.9 data files (MDB_DATA_VERSION 1, 64-bit little-endian hosts).
 *
 * Owns nothing: the caller maps the file and keeps the mapping; snapshots, tables, cursors and
 * results are plain values or pointers into the mapping. No allocation, no lock, no system call,
 * no libc but memcmp, at most 32 levels of a tree and one visit per page. Whatever
 * the mapped bytes hold - garbage, a page that is overwritten while it is read - nothing outside
 * [map, map + bytes) is read and every call returns. Callable from any thread and from a signal
 * handler. (A file that is truncated under its mapping is SIGBUS: the service never does that.)
 *
 * All functions return 0 or a negative errno, and touch their ret_ arguments only on success
 * (but tc_lmdb_first sets its cursor up in any case):
 *   -ENOENT           no such table or key; the end of a walk
 *   -EAGAIN           (snapshot) no meta page at or below the ceiling is readable at this moment
 *   -ESTALE           a page in use lies beyond the mapped bytes: the file has grown, map it anew.
 *                     Any look-up may say so. When the file's length hasn't changed, treat it as
 *                     -EBADMSG. (tc_lmdb_snapshot never says so: LMDB doesn't write pages that were
 *                     taken and freed in one transaction, so a sound file may end before
 * last_page.) -EBADMSG          the bytes are no sound LMDB structure -EPROTONOSUPPORT  (check)
 * LMDB data, but of another version, word size or byte order -ENOTSUP          a value that is a
 * set of duplicates or a table; a key order not known here -EINVAL           integer look-up in a
 * table of byte keys, or the reverse
 *
 * The protocol. Nothing here keeps the writer from reusing pages; the service does, by two read
 * transactions of its own, and tells readers by two numbers in the shared page:
 *   ceiling  the last committed txnid, stored after each commit and before the next one begins
 *   floor    the younger pin's txnid, stored before the older pin is released
 * A reader
 *   1. loads ceiling (acquire) and calls tc_lmdb_snapshot with it;
 *   2. loads ceiling again: if it is another, goes back to 1, whatever the call returned. LMDB
 *      overwrites the meta page of txnid N only with that of N + 2, which begins after ceiling
 * became N + 1. So an unchanged ceiling proves the copy whole; an increase by one doesn't. (The
 * txnid alone doesn't prove it either: it is the last field that LMDB writes.);
 *   3. looks up, and copies the value out of the mapping;
 *   4. issues an acquire fence and loads floor: only if floor <= snapshot.txnid were all pages of
 *      the snapshot protected up to here. Otherwise everything since 1 is void, errors and -ENOENT
 *      included: begin again, once, and then call it a miss.
 * A snapshot may be used for several look-ups as long as step 4 holds for each; a table is
 * part of the snapshot from which it was read.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* LMDB's own limit of a cursor's stack. */
#define TC_LMDB_DEPTH_MAX   32

/* MDB_INTEGERKEY in tc_lmdb_table.flags, which holds LMDB's persistent table flags. */
#define TC_LMDB_INTEGER_KEY 0x08

/* The mapped data.mdb, as far as it is mapped. */
struct tc_lmdb {
    const unsigned char *map;
    size_t bytes;
};

struct tc_lmdb_snapshot {
    uint64_t txnid;
    uint64_t main_root;
    uint64_t main_entries;
    uint64_t last_page;
    uint32_t page_bytes;
    uint16_t main_depth;
    uint16_t main_flags;
    uint8_t page_shift;
};

struct tc_lmdb_table {
    uint64_t root;
    uint16_t depth;
    uint16_t flags;
    uint64_t entries;
};

struct tc_lmdb_entry {
    const void *key;
    size_t key_bytes;
    const void *data;
    size_t bytes;
};

struct tc_lmdb_cursor {
    struct tc_lmdb db;
    struct tc_lmdb_snapshot snapshot;
    uint64_t pages_left; /* no page occurs twice in a sound tree: this ends a walk in circles */
    uint16_t depth;
    uint16_t level; /* of the deepest frame in use; `depth` when nothing is left */
    struct {
        const unsigned char *page;
        uint16_t next, count;
    } frames[TC_LMDB_DEPTH_MAX];
};

/* Is this a file that we can read? Once per mapping. */
int tc_lmdb_check(const struct tc_lmdb *db);

/* The newest state whose txnid is at most `ceiling`. */
int tc_lmdb_snapshot(const struct tc_lmdb *db, uint64_t ceiling, struct tc_lmdb_snapshot *ret);

/* A named table. A plain value of that name in the main tree is -ENOENT too. */
int tc_lmdb_table(const struct tc_lmdb *db, const struct tc_lmdb_snapshot *s, const char *name,
                  size_t name_bytes, struct tc_lmdb_table *ret);

/* Look-up in an MDB_INTEGERKEY table of 8-byte keys. The data isn't aligned. */
int tc_lmdb_get(const struct tc_lmdb *db, const struct tc_lmdb_snapshot *s,
                const struct tc_lmdb_table *t, uint64_t key, const void **ret_data,
                size_t *ret_bytes);

/* Look-up in a table of byte keys in LMDB's default order. */
int tc_lmdb_get_bytes(const struct tc_lmdb *db, const struct tc_lmdb_snapshot *s,
                      const struct tc_lmdb_table *t, const void *key, size_t key_bytes,
                      const void **ret_data, size_t *ret_bytes);

/*
 * Walk a table in key order: tc_lmdb_first sets the cursor up and gives the first entry,
 * tc_lmdb_next the following ones, -ENOENT after the last. When either reports a damaged or
 * unsupported entry or page, the cursor stays usable: the next call goes on behind it. So a walk
 * over a damaged tree gives what can still be reached.
 */
int tc_lmdb_first(const struct tc_lmdb *db, const struct tc_lmdb_snapshot *s,
                  const struct tc_lmdb_table *t, struct tc_lmdb_cursor *ret_cursor,
                  struct tc_lmdb_entry *ret);
int tc_lmdb_next(struct tc_lmdb_cursor *cursor, struct tc_lmdb_entry *ret);

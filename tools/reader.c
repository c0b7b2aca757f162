#include "tools/reader.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ATTEMPTS 8

static void pause_a_moment(void)
{
    const struct timespec ms = {.tv_nsec = 1000000};
    (void)nanosleep(&ms, NULL);
}

static uint64_t acquire(const uint64_t *p)
{
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static bool is_page_of(const struct tc_shared_page *page, size_t bytes, const struct stat *cache)
{
    return bytes >= sizeof *page && page->magic == TC_PAGE_MAGIC &&
           page->version == TC_PAGE_VERSION && __atomic_load_n(&page->ready, __ATOMIC_ACQUIRE) &&
           page->cache_dev == cache->st_dev && page->cache_ino == cache->st_ino;
}

static void map_page(struct tc_reader *r, const struct tc_session *s)
{
    char path[TC_PATH_BYTES];
    struct stat cache;
    if (tc_page_path(s->runtime, s->id, path, sizeof path) < 0 || stat(s->cache, &cache) < 0 ||
        tc_map_file(path, &r->page_map) < 0)
        return;
    const struct tc_shared_page *page = (const void *)r->page_map.base;
    if (is_page_of(page, r->page_map.bytes, &cache))
        r->page = page;
    else
        tc_unmap(&r->page_map);
}

/* Which data file the page names, read whole (the generation is odd while it changes). */
static int named_by_page(const struct tc_shared_page *page, char ret[65])
{
    for (int i = 0; i < ATTEMPTS; i++) {
        uint64_t generation = acquire(&page->generation);
        memcpy(ret, page->data_file, sizeof page->data_file);
        ret[64] = 0;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (generation % 2 == 0 && acquire(&page->generation) == generation)
            return *ret && !strstr(ret, "..") && *ret != '/' ? 0 : -ENOENT;
        pause_a_moment();
    }
    return -EAGAIN;
}

/* Without a page: the newest store-N. */
static int newest_store(const char *cache, char ret[65])
{
    unsigned newest = 0;
    DIR *d = opendir(cache);
    for (struct dirent *e; d && (e = readdir(d));) {
        unsigned n;
        int end = 0;
        if (sscanf(e->d_name, "store-%9u%n", &n, &end) == 1 && !e->d_name[end] && n > newest)
            newest = n;
    }
    if (d)
        (void)closedir(d);
    if (!newest)
        return -ENOENT;
    (void)snprintf(ret, 65, "store-%u/data.mdb", newest);
    return 0;
}

static int map_data(struct tc_reader *r)
{
    tc_unmap(&r->data);
    int e = tc_map_file(r->path, &r->data);
    r->db = (struct tc_lmdb){.map = r->data.base, .bytes = r->data.bytes};
    return e < 0 ? e : tc_lmdb_check(&r->db);
}

int tc_reader_open(struct tc_reader *r, const struct tc_session *s, struct tc_cause *ret_cause)
{
    char file[65];
    *r = (struct tc_reader){0};
    if (!*s->id)
        return -ENOENT;
    map_page(r, s);
    int e = r->page ? named_by_page(r->page, file) : -ENOENT;
    if (e == -ENOENT)
        e = newest_store(s->cache, file);
    if (e == 0) {
        (void)snprintf(r->path, sizeof r->path, "%s/%s", s->cache, file);
        e = map_data(r);
    }
    if (e == 0)
        return 0;
    tc_reader_close(r);
    if (e == -ENOENT)
        return e;
    enum tc_reason reason = e == -EPROTONOSUPPORT ? TC_R_STORE_FORMAT : TC_R_NO_STORE;
    return tc_cause_set(ret_cause, -e, reason, s->cache, "the store can't be read: %s",
                        strerror(-e));
}

void tc_reader_close(struct tc_reader *r)
{
    tc_unmap(&r->data);
    tc_unmap(&r->page_map);
    r->page = NULL;
}

/* Steps 1 and 2 of the protocol. */
static int begin(struct tc_reader *r)
{
    for (int i = 0; i < 64; i++) {
        uint64_t ceiling = r->page ? acquire(&r->page->ceiling) : UINT64_MAX;
        int e = tc_lmdb_snapshot(&r->db, ceiling, &r->snapshot);
        if (!r->page || acquire(&r->page->ceiling) == ceiling)
            return e;
    }
    return -EAGAIN;
}

/* Step 4: was all that was read protected up to here? */
static bool still_holds(const struct tc_reader *r)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return !r->page || acquire(&r->page->floor) <= r->snapshot.txnid;
}

/* -ESTALE of a file that hasn't grown is damage. */
static int grow(struct tc_reader *r)
{
    struct stat st;
    if (stat(r->path, &st) < 0)
        return -errno;
    return (size_t)st.st_size > r->data.bytes ? map_data(r) : -EBADMSG;
}

/* -EAGAIN: begin anew. Damaged entries are counted and left out. */
static int walk_once(struct tc_reader *r, const char *table, const struct tc_walk *walk)
{
    struct tc_lmdb_table t;
    struct tc_lmdb_cursor cursor;
    struct tc_lmdb_entry entry;
    walk->restart(walk->ctx);
    r->damaged = 0;
    int e = begin(r);
    if (e == 0)
        e = tc_lmdb_table(&r->db, &r->snapshot, table, strlen(table), &t);
    if (e < 0)
        return !still_holds(r) ? -EAGAIN : e == -ENOENT ? 0 : e;
    for (e = tc_lmdb_first(&r->db, &r->snapshot, &t, &cursor, &entry); e != -ENOENT;
         e = tc_lmdb_next(&cursor, &entry)) {
        int stop = e == 0 ? walk->each(walk->ctx, r, &entry) : 0;
        if (!still_holds(r))
            return -EAGAIN;
        if (e == -ESTALE)
            return e;
        if (stop < 0)
            return stop;
        r->damaged += e < 0;
    }
    return still_holds(r) ? 0 : -EAGAIN;
}

int tc_reader_walk(struct tc_reader *r, const char *table, const struct tc_walk *walk)
{
    int e = -EAGAIN;
    for (int i = 0; i < ATTEMPTS && e == -EAGAIN; i++) {
        e = walk_once(r, table, walk);
        if (e == -ESTALE)
            e = grow(r) < 0 ? -EBADMSG : -EAGAIN;
    }
    return e;
}

int tc_reader_peek(struct tc_reader *r, const char *table, uint64_t key, const void **ret,
                   size_t *ret_bytes)
{
    struct tc_lmdb_table t;
    int e = tc_lmdb_table(&r->db, &r->snapshot, table, strlen(table), &t);
    return e < 0 ? e : tc_lmdb_get(&r->db, &r->snapshot, &t, key, ret, ret_bytes);
}

int tc_reader_fetch(struct tc_reader *r, const char *table, uint64_t key, unsigned char **ret,
                    size_t *ret_bytes)
{
    int e = -EAGAIN;
    for (int i = 0; i < ATTEMPTS && e == -EAGAIN; i++) {
        const void *value;
        unsigned char *copy = NULL;
        size_t bytes = 0;
        e = begin(r);
        if (e == 0)
            e = tc_reader_peek(r, table, key, &value, &bytes);
        if (e == 0) {
            copy = tc_alloc(bytes);
            memcpy(copy, value, bytes);
        }
        if (!still_holds(r))
            e = -EAGAIN;
        else if (e == -ESTALE)
            e = grow(r) < 0 ? -EBADMSG : -EAGAIN;
        if (e == 0) {
            *ret = copy;
            *ret_bytes = bytes;
            return 0;
        }
        free(copy);
    }
    return e;
}

#include "service/store/salvage.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/hash.h"
#include "cache/lmdb_read.h"
#include "service/clock.h"
#include "service/store/internal.h"

struct wreck {
    struct tc_lmdb db;
    struct tc_lmdb_snapshot snapshot;
    struct tc_lmdb_table records, chunks, details, meta;
    int fd; /* a memfd, used for one record after the other */
};

static int map_wreck(struct wreck *w, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    void *p;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0 || st.st_size == 0) {
        (void)close(fd);
        return -EBADMSG;
    }
    w->db.bytes = (size_t)st.st_size;
    p = mmap(NULL, w->db.bytes, PROT_READ, MAP_SHARED, fd, 0);
    (void)close(fd);
    if (p == MAP_FAILED)
        return -errno;
    w->db.map = p;
    return 0;
}

static int find(const struct wreck *w, const char *name, struct tc_lmdb_table *ret)
{
    return tc_lmdb_table(&w->db, &w->snapshot, name, strlen(name), ret);
}

static int open_tables(struct wreck *w)
{
    int r = tc_lmdb_check(&w->db);

    if (r == 0)
        r = tc_lmdb_snapshot(&w->db, UINT64_MAX, &w->snapshot);
    if (r == 0)
        r = find(w, "records", &w->records);
    if (r == 0)
        r = find(w, "meta", &w->meta);
    if (r < 0)
        return -EBADMSG;
    if (find(w, "chunks", &w->chunks) < 0)
        memset(&w->chunks, 0, sizeof w->chunks);
    if (find(w, "details", &w->details) < 0)
        memset(&w->details, 0, sizeof w->details);
    return 0;
}

static int has_seed(const struct wreck *w, uint64_t seed)
{
    struct tc_store_state state;
    const void *data;
    size_t bytes;

    if (tc_lmdb_get_bytes(&w->db, &w->snapshot, &w->meta, "state", 5, &data, &bytes) < 0 ||
        bytes != sizeof state)
        return 0;
    memcpy(&state, data, sizeof state);
    return state.seed == seed &&
           tc_hash64(&state, offsetof(struct tc_store_state, checksum)) == state.checksum;
}

static int write_all(int fd, const void *data, size_t bytes, uint64_t at)
{
    const unsigned char *p = data;

    while (bytes > 0) {
        ssize_t n = pwrite(fd, p, bytes, (off_t)at);

        if (n <= 0)
            return n < 0 && errno == EINTR ? -EAGAIN : -EIO;
        p += n;
        at += (uint64_t)n;
        bytes -= (size_t)n;
    }
    return 0;
}

/* The outputs that lie in chunks, each with a checksum of its own. */
static int write_chunks(const struct wreck *w, const struct tc_record *head, uint64_t at)
{
    uint64_t left = head->output_bytes;

    for (uint32_t i = 0; i < head->chunk_count; i++) {
        struct tc_chunk_header h;
        const unsigned char *p;
        const void *data;
        size_t bytes;

        if (tc_lmdb_get(&w->db, &w->snapshot, &w->chunks, head->chunk_first + i, &data, &bytes) <
                0 ||
            bytes < sizeof h || bytes - sizeof h > left)
            return -EBADMSG;
        memcpy(&h, data, sizeof h);
        p = (const unsigned char *)data + sizeof h;
        bytes -= sizeof h;
        if (tc_hash64(p, bytes) != h.checksum || write_all(w->fd, p, bytes, at) < 0)
            return -EBADMSG;
        at += bytes;
        left -= bytes;
    }
    return left == 0 ? 0 : -EBADMSG;
}

/* The record as a draft in the memfd. */
static int write_draft(const struct wreck *w, const struct tc_lmdb_entry *e, uint64_t *ret_bytes)
{
    struct tc_record_view v;
    struct tc_record head;
    uint64_t key;
    int r = tc_record_decode(e->data, e->bytes, &v);

    if (r < 0)
        return r;
    memcpy(&key, e->key, sizeof key);
    if (v.head.key_low != key || !tc_record_live(&v.head, tc_wall_ns()))
        return -EBADMSG;
    head = v.head;
    head.chunk_count = 0;
    head.chunk_first = 0;
    if (ftruncate(w->fd, 0) < 0 || write_all(w->fd, e->data, e->bytes, 0) < 0 ||
        write_all(w->fd, &head, sizeof head, 0) < 0)
        return -EIO;
    *ret_bytes = e->bytes;
    if (v.outputs == NULL || v.head.chunk_count > 0) {
        r = write_chunks(w, &v.head, e->bytes);
        *ret_bytes += v.head.output_bytes;
    }
    return r;
}

static void find_details(const struct wreck *w, const struct tc_lmdb_entry *e,
                         struct tc_details *ret)
{
    const void *data;
    uint64_t key;
    size_t bytes;

    memset(ret, 0, sizeof *ret);
    memcpy(&key, e->key, sizeof key);
    if (tc_lmdb_get(&w->db, &w->snapshot, &w->details, key, &data, &bytes) == 0)
        memcpy(ret, data, bytes < sizeof *ret ? bytes : sizeof *ret);
    ret->program[sizeof ret->program - 1] = 0;
}

static int walk(struct wreck *w, struct tc_salvage *s)
{
    static struct tc_lmdb_cursor cursor;
    struct tc_lmdb_entry e;
    struct tc_details details;
    uint64_t bytes;
    int r = tc_lmdb_first(&w->db, &w->snapshot, &w->records, &cursor, &e);

    for (; r != -ENOENT; r = tc_lmdb_next(&cursor, &e)) {
        if (r < 0 || e.key_bytes != sizeof(uint64_t) || write_draft(w, &e, &bytes) < 0) {
            s->lost++;
            continue;
        }
        find_details(w, &e, &details);
        r = s->keep(s->ctx, w->fd, bytes, &details);
        if (r < 0)
            return r;
        s->kept++;
    }
    return 0;
}

int tc_salvage(struct tc_salvage *s)
{
    struct wreck w = {.fd = -1};
    int r = map_wreck(&w, s->data_file);

    if (r < 0)
        return r;
    r = open_tables(&w);
    if (r == 0 && !has_seed(&w, s->seed))
        r = -ESTALE;
    if (r == 0) {
        w.fd = memfd_create("salvage", MFD_CLOEXEC);
        r = w.fd < 0 ? -errno : walk(&w, s);
    }
    if (w.fd >= 0)
        (void)close(w.fd);
    (void)munmap((void *)(uintptr_t)w.db.map, w.db.bytes);
    return r;
}

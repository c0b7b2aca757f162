#include "tests/unit/store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* cmocka wants these first */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "cache/hash.h"
#include "cache/lmdb_read.h"
#include "cache/places.h"

void place_make(struct place *p)
{
    struct stat st;
    char id[64];

    memset(p, 0, sizeof *p);
    strcpy(p->root, "/tmp/tc-store-XXXXXX");
    assert_non_null(mkdtemp(p->root));
    snprintf(p->run, sizeof p->run, "%s/run", p->root);
    snprintf(p->runtime, sizeof p->runtime, "%s/run/taskcache", p->root);
    snprintf(p->cache, sizeof p->cache, "%s/cache", p->root);
    assert_int_equal(mkdir(p->run, 0700), 0);
    assert_int_equal(mkdir(p->runtime, 0700), 0);
    assert_int_equal(mkdir(p->cache, 0700), 0);
    p->cache_fd = open(p->cache, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(fstat(p->cache_fd, &st), 0);
    assert_int_equal(tc_cache_id(st.st_dev, st.st_ino, id, sizeof id), 0);
    assert_int_equal(tc_page_path(p->runtime, id, p->page, sizeof p->page), 0);
    p->log.dirfd = p->cache_fd;
    p->options = (struct tc_store_options){.cache = p->cache,
                                           .cache_fd = p->cache_fd,
                                           .cache_dev = st.st_dev,
                                           .cache_ino = st.st_ino,
                                           .page_path = p->page,
                                           .max_size_bytes = 1 << 30,
                                           .log = &p->log};
}

void place_remove(struct place *p)
{
    char command[128];

    close(p->cache_fd);
    snprintf(command, sizeof command, "rm -rf %s", p->root);
    assert_int_equal(system(command), 0);
}

unsigned char *draft_make(const struct draft_spec *spec, size_t *ret_bytes)
{
    const char *identity = spec->identity ? spec->identity : "f@libt.so";
    size_t n = strlen(identity), material = 24;
    struct tc_record head = {.magic = TC_RECORD_MAGIC,
                             .version = TC_RECORD_VERSION,
                             .header_bytes = sizeof head,
                             .key_low = spec->key,
                             .key_high = ~spec->key,
                             .task = tc_hash64(identity, n),
                             .created_ns = 1,
                             .expires_ns = spec->expires_ns ? spec->expires_ns : TC_NEVER,
                             .duration_ns = spec->duration_ns,
                             .identity_bytes = (uint32_t)n,
                             .material_bytes = (uint32_t)material,
                             .output_count = 1,
                             .output_bytes = spec->output_bytes};
    struct tc_extent extent = {1, spec->output_bytes, 0, 0};
    size_t bytes = sizeof head + n + material + sizeof extent + spec->output_bytes;
    unsigned char *draft = malloc(bytes), *p = draft;

    assert_non_null(draft);
    p = (unsigned char *)memcpy(p, &head, sizeof head) + sizeof head;
    p = (unsigned char *)memcpy(p, identity, n) + n;
    p = (unsigned char *)memset(p, 'm', material) + material;
    p = (unsigned char *)memcpy(p, &extent, sizeof extent) + sizeof extent;
    memset(p, spec->fill, spec->output_bytes);
    *ret_bytes = bytes;
    return draft;
}

int put(struct tc_store *s, const struct draft_spec *spec)
{
    struct tc_draft d = {.pid = 7, .program = "prog"};
    unsigned char *draft = draft_make(spec, &d.bytes);
    int r;

    d.data = draft;
    r = tc_store_put(s, &d);
    free(draft);
    return r;
}

struct tc_shared_page *page_map(const struct place *p)
{
    int fd = open(p->page, O_RDWR | O_CLOEXEC);
    void *m;

    assert_true(fd >= 0);
    m = mmap(NULL, sizeof(struct tc_shared_page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    assert_true(m != MAP_FAILED);
    return m;
}

/* A snapshot at the ceiling, of the data file that the page names. */
struct view {
    struct tc_shared_page *page;
    struct tc_lmdb db;
    struct tc_lmdb_snapshot snapshot;
};

static void view_open(const struct place *p, struct view *v)
{
    char path[256];
    int fd;

    v->page = page_map(p);
    assert_int_equal(v->page->ready, 1);
    assert_int_equal(v->page->generation & 1, 0);
    snprintf(path, sizeof path, "%s/%s", p->cache, v->page->data_file);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    v->db.bytes = v->page->data_bytes;
    v->db.map = mmap(NULL, v->db.bytes, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    assert_true(v->db.map != MAP_FAILED);
    assert_int_equal(tc_lmdb_check(&v->db), 0);
    assert_int_equal(tc_lmdb_snapshot(&v->db, v->page->ceiling, &v->snapshot), 0);
    assert_true(v->page->floor <= v->snapshot.txnid);
}

static void view_close(struct view *v)
{
    assert_true(v->page->floor <= v->snapshot.txnid);
    munmap((void *)(uintptr_t)v->db.map, v->db.bytes);
    munmap(v->page, sizeof *v->page);
}

static void table_of(const struct view *v, const char *name, struct tc_lmdb_table *ret)
{
    assert_int_equal(tc_lmdb_table(&v->db, &v->snapshot, name, strlen(name), ret), 0);
}

static void take_outputs(const struct view *v, const struct tc_record_view *r,
                         unsigned char *outputs)
{
    struct tc_lmdb_table chunks;
    size_t at = 0;

    if (r->outputs != NULL) {
        memcpy(outputs, r->outputs, r->head.output_bytes);
        return;
    }
    table_of(v, "chunks", &chunks);
    for (uint32_t i = 0; i < r->head.chunk_count; i++) {
        struct tc_chunk_header head;
        const unsigned char *data;
        const void *found;
        size_t bytes;

        assert_int_equal(
            tc_lmdb_get(&v->db, &v->snapshot, &chunks, r->head.chunk_first + i, &found, &bytes), 0);
        data = found;
        memcpy(&head, data, sizeof head);
        bytes -= sizeof head;
        assert_true(tc_hash64(data + sizeof head, bytes) == head.checksum);
        assert_true(at + bytes <= r->head.output_bytes);
        memcpy(outputs + at, data + sizeof head, bytes);
        at += bytes;
    }
    assert_int_equal(at, r->head.output_bytes);
}

int look_up(const struct place *p, uint64_t key, struct found *ret)
{
    struct tc_lmdb_table records;
    struct tc_record_view r;
    const void *value;
    size_t bytes;
    struct view v;

    view_open(p, &v);
    table_of(&v, "records", &records);
    if (tc_lmdb_get(&v.db, &v.snapshot, &records, key, &value, &bytes) == -ENOENT) {
        view_close(&v);
        return -ENOENT;
    }
    assert_int_equal(tc_record_decode(value, bytes, &r), 0);
    ret->head = r.head;
    ret->outputs = malloc(r.head.output_bytes + 1);
    take_outputs(&v, &r, ret->outputs);
    view_close(&v);
    return 0;
}

long look_into(const struct place *p, const char *table, const void *key, size_t key_bytes,
               void *to, size_t bytes)
{
    struct tc_lmdb_table t;
    const void *value;
    struct view v;
    uint64_t n;
    size_t got;
    long r;

    view_open(p, &v);
    table_of(&v, table, &t);
    if ((t.flags & TC_LMDB_INTEGER_KEY) != 0) {
        memcpy(&n, key, sizeof n);
        r = tc_lmdb_get(&v.db, &v.snapshot, &t, n, &value, &got);
    } else {
        r = tc_lmdb_get_bytes(&v.db, &v.snapshot, &t, key, key_bytes, &value, &got);
    }
    if (r == 0) {
        memcpy(to, value, got < bytes ? got : bytes);
        r = (long)got;
    }
    view_close(&v);
    return r;
}

uint64_t entries(const struct place *p, const char *table)
{
    struct tc_lmdb_table t;
    struct view v;

    view_open(p, &v);
    table_of(&v, table, &t);
    view_close(&v);
    return t.entries;
}

int has(const struct place *p, uint64_t key, size_t output_bytes, unsigned char fill)
{
    struct found f;
    int same;

    if (look_up(p, key, &f) < 0)
        return 0;
    same = f.head.output_bytes == output_bytes && f.head.key_high == ~key;
    for (size_t i = 0; i < output_bytes && same; i++)
        same = f.outputs[i] == fill;
    free(f.outputs);
    return same;
}

#include "cache/flat_build.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/hash.h"

/* What was added: where, how long, and its hash, so that few bytes are compared. A slot is free
 * while `off` is 0. */
struct tc_flat_added {
    uint64_t hash;
    uint32_t off, bytes;
};

/* `bytes` zeroed bytes at the end, aligned to 8; 0 if broken. Offset 0 is the header, never an
 * entry. */
static uint32_t append(struct tc_flat_builder *b, size_t bytes)
{
    size_t start = (b->bytes + 7) & ~(size_t)7;
    size_t end;

    if (b->broken || __builtin_add_overflow(start, bytes, &end) || end > UINT32_MAX)
        goto broken;
    if (end > b->allocated) {
        size_t want = b->allocated ? b->allocated : 4096;
        unsigned char *grown;

        while (want < end)
            want *= 2;
        grown = realloc(b->data, want);
        if (grown == NULL)
            goto broken;
        memset(grown + b->allocated, 0, want - b->allocated);
        b->data = grown;
        b->allocated = want;
    }
    b->bytes = end;
    return (uint32_t)start;
broken:
    b->broken = 1;
    return 0;
}

/* What is to be added: `bytes` bytes, and zeroes behind them. */
struct content {
    const void *at;
    size_t bytes, zeroes;
    uint64_t hash;
};

static int is_same(const struct tc_flat_builder *b, const struct tc_flat_added *a,
                   const struct content *c)
{
    const unsigned char *there = b->data + a->off;

    if (a->hash != c->hash || a->bytes != c->bytes + c->zeroes ||
        memcmp(there, c->at, c->bytes) != 0)
        return 0;
    for (size_t i = 0; i < c->zeroes; i++)
        if (there[c->bytes + i] != 0)
            return 0;
    return 1;
}

/* The slot that holds it, or a free one. `c` has a hash alone when it is known not to be there. */
static struct tc_flat_added *find_slot(const struct tc_flat_builder *b, const struct content *c)
{
    for (size_t i = c->hash & (b->slots - 1);; i = (i + 1) & (b->slots - 1)) {
        struct tc_flat_added *a = &b->added[i];
        if (a->off == 0 || (c->at != NULL && is_same(b, a, c)))
            return a;
    }
}

/* Makes room for one more. 0: no memory; then nothing is found again, which only costs space. */
static int reserve_slot(struct tc_flat_builder *b)
{
    struct tc_flat_builder grown = {.slots = b->slots != 0 ? 2 * b->slots : 256};

    if (b->added_count < b->slots / 2)
        return 1;
    grown.added = calloc(grown.slots, sizeof *grown.added);
    if (grown.added == NULL)
        return 0;
    for (size_t i = 0; i < b->slots; i++)
        if (b->added[i].off != 0)
            *find_slot(&grown, &(struct content){.hash = b->added[i].hash}) = b->added[i];
    free(b->added);
    b->added = grown.added;
    b->slots = grown.slots;
    return 1;
}

/* Where it lies; 0 if broken. */
static uint32_t add(struct tc_flat_builder *b, const void *at, size_t bytes, size_t zeroes)
{
    struct content c = {at, bytes, zeroes, tc_hash64(at, bytes)};
    struct tc_flat_added *slot = reserve_slot(b) ? find_slot(b, &c) : NULL;
    uint32_t off;

    if (slot != NULL && slot->off != 0)
        return slot->off;
    off = append(b, bytes + zeroes);
    if (b->broken)
        return 0;
    memcpy(b->data + off, at, bytes);
    if (slot != NULL) {
        *slot = (struct tc_flat_added){c.hash, off, (uint32_t)(bytes + zeroes)};
        b->added_count++;
    }
    return off;
}

void tc_flat_builder_init(struct tc_flat_builder *b, enum tc_flat_kind kind, size_t root_bytes)
{
    struct tc_flat_header *h;

    memset(b, 0, sizeof *b);
    append(b, sizeof *h);
    append(b, root_bytes);
    if (b->broken)
        return;
    h = (struct tc_flat_header *)(void *)b->data;
    h->magic = TC_FLAT_MAGIC;
    h->version = TC_FLAT_VERSION;
    h->kind = (uint32_t)kind;
}

void tc_flat_builder_free(struct tc_flat_builder *b)
{
    free(b->data);
    free(b->added);
    memset(b, 0, sizeof *b);
}

void *tc_flat_builder_root(struct tc_flat_builder *b)
{
    return b->broken ? NULL : b->data + sizeof(struct tc_flat_header);
}

struct tc_span tc_flat_add(struct tc_flat_builder *b, const void *entries, size_t count,
                           size_t entry_bytes)
{
    struct tc_span span = {0, 0};
    size_t bytes;

    if (count > UINT32_MAX || __builtin_mul_overflow(count, entry_bytes, &bytes)) {
        b->broken = 1;
        return span;
    }
    if (count == 0)
        return span;
    span.off = entries != NULL ? add(b, entries, bytes, 0) : append(b, bytes);
    if (b->broken)
        return (struct tc_span){0, 0};
    span.count = (uint32_t)count;
    return span;
}

struct tc_str tc_flat_add_strn(struct tc_flat_builder *b, const char *s, size_t bytes)
{
    struct tc_str str = {0, 0};

    if (s == NULL)
        return str;
    if (bytes >= UINT32_MAX) {
        b->broken = 1;
        return str;
    }
    str.off = add(b, s, bytes, 1);
    if (b->broken)
        return (struct tc_str){0, 0};
    str.bytes = (uint32_t)bytes;
    return str;
}

struct tc_str tc_flat_add_str(struct tc_flat_builder *b, const char *s)
{
    return tc_flat_add_strn(b, s, s ? strlen(s) : 0);
}

void *tc_flat_builder_at(struct tc_flat_builder *b, uint32_t off)
{
    return b->broken || off >= b->bytes ? NULL : b->data + off;
}

int tc_flat_builder_finish(struct tc_flat_builder *b)
{
    struct tc_flat_header *h;

    if (b->broken || b->data == NULL)
        return -ENOMEM;
    h = (struct tc_flat_header *)(void *)b->data;
    h->bytes = b->bytes;
    h->checksum = tc_hash64(b->data + sizeof *h, b->bytes - sizeof *h);
    return 0;
}

static int write_all(int fd, const unsigned char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = write(fd, data, bytes);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        bytes -= (size_t)n;
    }
    return 0;
}

/* A new file beside `path`; its name must not be taken, by nobody's symbolic link either. */
static int open_temporary(int dirfd, const char *path, char *ret_name, size_t bytes)
{
    static atomic_uint serial;

    for (int attempt = 0; attempt < 100; attempt++) {
        int n = snprintf(ret_name, bytes, "%s.%ld-%u.tmp", path, (long)getpid(),
                         atomic_fetch_add(&serial, 1));
        int fd;

        if (n < 0 || (size_t)n >= bytes)
            return -ENAMETOOLONG;
        fd = openat(dirfd, ret_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0)
            return fd;
        if (errno != EEXIST)
            return -errno;
    }
    return -EEXIST;
}

int tc_flat_builder_write(const struct tc_flat_builder *b, int dirfd, const char *path)
{
    char name[4096];
    int fd, r;

    if (b->broken || b->data == NULL)
        return -ENOMEM;
    fd = open_temporary(dirfd, path, name, sizeof name);
    if (fd < 0)
        return fd;
    r = write_all(fd, b->data, b->bytes);
    if (close(fd) < 0 && r == 0)
        r = -errno;
    if (r == 0 && renameat(dirfd, name, dirfd, path) < 0)
        r = -errno;
    if (r < 0)
        (void)unlinkat(dirfd, name, 0);
    return r;
}

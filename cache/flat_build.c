#include "cache/flat_build.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/hash.h"

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
    span.off = append(b, bytes);
    if (b->broken)
        return (struct tc_span){0, 0};
    if (entries != NULL)
        memcpy(b->data + span.off, entries, bytes);
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
    str.off = append(b, bytes + 1);
    if (b->broken)
        return (struct tc_str){0, 0};
    memcpy(b->data + str.off, s, bytes);
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

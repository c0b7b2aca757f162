#include "cache/flat.h"

#include <errno.h>

#include "cache/hash.h"

int tc_flat_check(const void *base, size_t bytes, enum tc_flat_kind kind, struct tc_flat *ret)
{
    const struct tc_flat_header *h = base;

    if (base == NULL || bytes < sizeof *h || (uintptr_t)base % 8 != 0)
        return -EBADMSG;
    if (h->magic != TC_FLAT_MAGIC)
        return -EBADMSG;
    if (h->version != TC_FLAT_VERSION || h->kind != (uint32_t)kind)
        return -EPROTONOSUPPORT;
    if (h->bytes != bytes)
        return -EBADMSG;
    if (tc_hash64((const unsigned char *)base + sizeof *h, bytes - sizeof *h) != h->checksum)
        return -EBADMSG;
    ret->base = base;
    ret->bytes = bytes;
    return 0;
}

const void *tc_flat_root(const struct tc_flat *f, size_t root_bytes)
{
    if (f->bytes < sizeof(struct tc_flat_header) ||
        f->bytes - sizeof(struct tc_flat_header) < root_bytes)
        return NULL;
    return f->base + sizeof(struct tc_flat_header);
}

const void *tc_flat_at(const struct tc_flat *f, uint32_t off, uint32_t count, size_t entry_bytes)
{
    if (count == 0)
        return f->base;
    if (off % 8 != 0 || off < sizeof(struct tc_flat_header) || off > f->bytes)
        return NULL;
    if (entry_bytes != 0 && count > (f->bytes - off) / entry_bytes)
        return NULL;
    return f->base + off;
}

const char *tc_flat_str(const struct tc_flat *f, struct tc_str s)
{
    if (s.off < sizeof(struct tc_flat_header) || s.off >= f->bytes || s.bytes >= f->bytes - s.off ||
        f->base[s.off + (size_t)s.bytes] != 0)
        return "";
    return (const char *)f->base + s.off;
}

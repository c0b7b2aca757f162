#include "cache/record.h"

#include <errno.h>
#include <string.h>

#include "cache/hash.h"

/* Sizes of the parts behind the header, added without overflow: each is checked against what is
 * left. */
static int take(size_t *left, uint64_t bytes)
{
    if (bytes > *left)
        return -EBADMSG;
    *left -= (size_t)bytes;
    return 0;
}

/* The header is copied once: what is checked is what is used, though the value may change. */
static int copy_head(const void *value, size_t bytes, struct tc_record *ret)
{
    if (bytes < sizeof *ret)
        return -EBADMSG;
    memcpy(ret, value, sizeof *ret);
    __asm__ volatile("" : "+m"(*ret)); /* keeps a compiler from reading the value again */
    return 0;
}

/* `complete`: outputs are inline or in chunks, one of both. */
static int decode(const struct tc_record *head, const void *value, size_t bytes, int complete,
                  struct tc_record_view *ret)
{
    struct tc_record_view v = {.head = *head};
    const unsigned char *p = value;
    size_t left = bytes;
    uint64_t extent_bytes;

    if (v.head.magic != TC_RECORD_MAGIC)
        return -EBADMSG;
    if (v.head.version != TC_RECORD_VERSION || v.head.header_bytes != sizeof v.head)
        return -EPROTONOSUPPORT;
    if (v.head.output_count > TC_MAX_OUTPUTS || v.head.material_bytes > TC_MATERIAL_BYTES)
        return -EBADMSG;

    extent_bytes = (uint64_t)v.head.output_count * sizeof(struct tc_extent);
    if (take(&left, sizeof v.head) < 0 || take(&left, v.head.identity_bytes) < 0 ||
        take(&left, v.head.material_bytes) < 0 || take(&left, extent_bytes) < 0)
        return -EBADMSG;
    v.identity = (const char *)p + sizeof v.head;
    v.material = (const unsigned char *)v.identity + v.head.identity_bytes;
    v.extents = v.material + v.head.material_bytes;
    if (left != 0) {
        if (left != v.head.output_bytes || v.head.chunk_count != 0)
            return -EBADMSG;
        v.outputs = v.extents + extent_bytes;
    } else if (v.head.output_bytes == 0) {
        v.outputs = v.extents + extent_bytes;
    }
    if (complete && v.outputs == NULL && v.head.chunk_count == 0)
        return -EBADMSG;
    *ret = v;
    return 0;
}

int tc_record_decode_draft(const void *value, size_t bytes, struct tc_record_view *ret)
{
    struct tc_record head;
    int r = copy_head(value, bytes, &head);

    return r < 0 ? r : decode(&head, value, bytes, 0, ret);
}

/* In two parts, so that the value needn't be copied: the header with its field zeroed, and the
 * rest, the second seeded by the first through the header's own hash. */
static uint64_t checksum(const struct tc_record *head, const void *value, size_t bytes)
{
    struct {
        struct tc_record head;
        uint64_t rest;
    } sum = {.head = *head};

    sum.head.checksum = 0;
    sum.rest = tc_hash64((const unsigned char *)value + sizeof sum.head, bytes - sizeof sum.head);
    return tc_hash64(&sum, sizeof sum);
}

int tc_record_decode(const void *value, size_t bytes, struct tc_record_view *ret)
{
    struct tc_record head;
    int r = copy_head(value, bytes, &head);

    if (r < 0)
        return r;
    if (head.magic != TC_RECORD_MAGIC)
        return -EBADMSG;
    if (head.version != TC_RECORD_VERSION)
        return -EPROTONOSUPPORT;
    if (checksum(&head, value, bytes) != head.checksum)
        return -EBADMSG;
    return decode(&head, value, bytes, 1, ret);
}

uint64_t tc_record_checksum(const void *value, size_t bytes)
{
    struct tc_record head;

    return copy_head(value, bytes, &head) < 0 ? 0 : checksum(&head, value, bytes);
}

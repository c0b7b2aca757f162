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
    const unsigned char *identity = (const unsigned char *)value + sizeof *head;
    const unsigned char *material, *extents;
    uint64_t extent_bytes = (uint64_t)head->output_count * sizeof(struct tc_extent);
    size_t left = bytes;

    if (head->magic != TC_RECORD_MAGIC)
        return -EBADMSG;
    if (head->version != TC_RECORD_VERSION || head->header_bytes != sizeof *head)
        return -EPROTONOSUPPORT;
    if (head->output_count > TC_MAX_OUTPUTS || head->material_bytes > TC_MATERIAL_BYTES)
        return -EBADMSG;

    if (take(&left, sizeof *head) < 0 || take(&left, head->identity_bytes) < 0 ||
        take(&left, head->material_bytes) < 0 || take(&left, extent_bytes) < 0)
        return -EBADMSG;
    if (left != 0 && (left != head->output_bytes || head->chunk_count != 0))
        return -EBADMSG;
    if (complete && left == 0 && head->output_bytes != 0 && head->chunk_count == 0)
        return -EBADMSG;
    material = identity + head->identity_bytes;
    extents = material + head->material_bytes;
    ret->head = *head;
    ret->identity = (const char *)identity;
    ret->material = material;
    ret->extents = extents;
    ret->outputs = left != 0 || head->output_bytes == 0 ? extents + extent_bytes : NULL;
    return 0;
}

int tc_record_decode_draft(const void *value, size_t bytes, struct tc_record_view *ret)
{
    struct tc_record head;
    int r = copy_head(value, bytes, &head);

    return r < 0 ? r : decode(&head, value, bytes, 0, ret);
}

enum {
    AHEAD = offsetof(struct tc_record, checksum),
    BEHIND = AHEAD + sizeof(uint64_t),
};

/* In two parts, so that the value needn't be copied. `bytes` is at least a header's. */
static uint64_t checksum(const void *value, size_t bytes)
{
    struct {
        unsigned char ahead[AHEAD];
        uint64_t behind;
    } sum;

    memcpy(sum.ahead, value, sizeof sum.ahead);
    sum.behind = tc_hash64((const unsigned char *)value + BEHIND, bytes - BEHIND);
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
    if (checksum(value, bytes) != head.checksum)
        return -EBADMSG;
    return decode(&head, value, bytes, 1, ret);
}

uint64_t tc_record_checksum(const void *value, size_t bytes)
{
    return bytes < sizeof(struct tc_record) ? 0 : checksum(value, bytes);
}

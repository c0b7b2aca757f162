#include "service/remote/blob.h"

#include <errno.h>
#include <string.h>

#include "service/clock.h"

int tc_blob_make(void *draft, size_t bytes, struct tc_key *ret_key)
{
    struct tc_record_view v;
    struct tc_record head;

    if (tc_record_decode_draft(draft, bytes, &v) < 0 || v.outputs == NULL ||
        (v.head.flags & TC_RECORD_HEADER) != 0)
        return -EBADMSG;
    head = v.head;
    head.record_id = head.chunk_first = head.chunk_count = 0;
    memset(head.transaction, 0, sizeof head.transaction);
    head.checksum = 0;
    memcpy(draft, &head, sizeof head);
    head.checksum = tc_record_checksum(draft, bytes);
    memcpy(draft, &head, sizeof head);
    *ret_key = (struct tc_key){head.key_low, head.key_high};
    return 0;
}

int tc_blob_check(const void *blob, size_t bytes, struct tc_key key, struct tc_record_view *ret,
                  const char **ret_why)
{
    int r = tc_record_decode(blob, bytes, ret);

    *ret_why = r == -EPROTONOSUPPORT ? "is of another version" : "is damaged, or no record";
    if (r < 0)
        return r;
    if (ret->head.chunk_count != 0 || ret->outputs == NULL ||
        (ret->head.flags & TC_RECORD_HEADER) != 0)
        return -EBADMSG;
    *ret_why = "is another key's record";
    if (ret->head.key_low != key.low || ret->head.key_high != key.high)
        return -EBADMSG;
    *ret_why = "has expired";
    return tc_record_live(&ret->head, tc_wall_ns()) ? 0 : -ESTALE;
}

static int put_chunks(struct tc_store *s, const struct tc_record_view *v, struct tc_draft *d)
{
    uint64_t left = v->head.output_bytes;
    int r;

    d->chunk_count = (uint32_t)((left + TC_CHUNK_BYTES - 1) / TC_CHUNK_BYTES);
    r = tc_store_reserve_chunks(s, left, d->chunk_count, &d->chunk_first);
    for (uint32_t i = 0; i < d->chunk_count && r == 0; i++) {
        size_t bytes = left < TC_CHUNK_BYTES ? (size_t)left : TC_CHUNK_BYTES;

        r = tc_store_put_chunk(s, d->chunk_first + i, v->outputs + (uint64_t)i * TC_CHUNK_BYTES,
                               bytes);
        left -= bytes;
    }
    return r;
}

int tc_blob_store(struct tc_store *s, const void *blob, size_t bytes,
                  const struct tc_record_view *v, const char *origin)
{
    struct tc_draft d = {.data = blob, .bytes = bytes, .program = origin};
    int r = 0;

    if (bytes > TC_RECORD_INLINE_BYTES) {
        d.bytes = bytes - (size_t)v->head.output_bytes;
        if (d.bytes > TC_RECORD_INLINE_BYTES)
            return -EBADMSG;
        r = put_chunks(s, v, &d);
    }
    return r < 0 ? r : tc_store_put(s, &d);
}

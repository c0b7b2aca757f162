#include "preload/output_bytes.h"

#include <errno.h>

#include "cache/hash.h"

struct tc_output_bytes tc_output_bytes_of(const struct tc_store_view *store,
                                          const struct tc_record_view *v)
{
    struct tc_output_bytes s = {.store = store};

    if (v->outputs != NULL) {
        s.at = v->outputs;
        s.left = v->head.output_bytes;
    } else {
        s.next_chunk = v->head.chunk_first;
        s.chunks_left = v->head.chunk_count;
    }
    return s;
}

int tc_output_next_chunk(struct tc_output_bytes *s)
{
    struct tc_chunk_header head;
    const void *value;
    size_t bytes;

    if (s->chunks_left == 0 || tc_store_chunk(s->store, s->next_chunk, &value, &bytes) < 0 ||
        bytes <= sizeof head)
        return -EBADMSG;
    memcpy(&head, value, sizeof head);
    s->at = (const unsigned char *)value + sizeof head;
    s->left = bytes - sizeof head;
    if (tc_hash64(s->at, s->left) != head.checksum)
        return -EBADMSG;
    s->next_chunk++;
    s->chunks_left--;
    return 0;
}

int tc_output_take(struct tc_output_bytes *s, void *to, uint64_t bytes)
{
    unsigned char *t = to;

    while (bytes > 0) {
        uint64_t n;
        if (s->left == 0 && tc_output_next_chunk(s) < 0)
            return -EBADMSG;
        n = bytes < s->left ? bytes : s->left;
        if (!s->spare_equal || memcmp(t, s->at, n) != 0)
            memcpy(t, s->at, n);
        t += n;
        s->at += n;
        s->left -= n;
        bytes -= n;
    }
    return 0;
}

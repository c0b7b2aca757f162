#include "preload/header.h"

#include <errno.h>
#include <string.h>

#include "preload/replay.h"
#include "preload/transaction.h"

/* From a copy, as all that lies in the mapping may change. */
static int read_header(struct tc_context *x, struct tc_call *c, const void *value, size_t bytes)
{
    struct tc_record_view v;

    c->found = TC_FOUND_DAMAGED;
    if (bytes > sizeof x->scratch)
        return -ENOENT;
    memcpy(x->scratch, value, bytes);
    if (tc_record_decode(x->scratch, bytes, &v) < 0)
        return -ENOENT;
    c->found = TC_FOUND_OTHER_KEY;
    if (!(v.head.flags & TC_RECORD_HEADER) || v.outputs == NULL ||
        v.head.output_bytes != sizeof c->ref)
        return -ENOENT;
    memcpy(&c->ref, v.outputs, sizeof c->ref);
    return tc_replay_is_valid(c, &v) ? 0 : -ENOENT;
}

static int find_staged(struct tc_context *x, struct tc_call *c, const struct tc_store_view *store)
{
    const struct tc_flow *f = tc_transaction_of(x, c->flow);
    const void *value;
    size_t bytes;
    int r = -ENOENT;

    for (; f != NULL && r == -ENOENT; f = tc_transaction_of(x, tc_flow_around(x, f))) {
        if (!tc_transaction_has(f, c->header_storage))
            continue;
        r = tc_store_find_staged(store, f->transaction.id, c->key.low, &value, &bytes);
        if (r == 0)
            r = read_header(x, c, value, bytes);
    }
    return r;
}

int tc_header_find(struct tc_context *x, struct tc_call *c)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        struct tc_store_view store;
        const void *value;
        size_t bytes;
        int r = tc_store_open(c->header_storage, &x->store, &store);

        c->found = TC_FOUND_NO_STORE;
        if (r < 0)
            return -ENOENT;
        c->found = TC_FOUND_NOTHING;
        r = find_staged(x, c, &store);
        if (r == -ENOENT && (r = tc_store_find(&store, c->key.low, &value, &bytes)) == 0)
            r = read_header(x, c, value, bytes);
        if (tc_store_was_protected(&store))
            return r == 0 ? 0 : -ENOENT;
    }
    c->found = TC_FOUND_CHANGING;
    return -ENOENT;
}

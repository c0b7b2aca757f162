#include "preload/far.h"

#include "preload/client.h"
#include "preload/context.h"
#include "preload/state.h"

/* Where the cache has a record that doesn't fit the call, the far storage has no other. */
static int is_worth_asking(const struct tc_call *c)
{
    return c->far != NULL && !tc_is_sandboxed() &&
           (c->found == TC_FOUND_NOTHING || c->found == TC_FOUND_EXPIRED ||
            c->found == TC_FOUND_DAMAGED);
}

int tc_far_fetch(const struct tc_call *c)
{
    struct tc_fetch_request q = {.head.type = TC_MSG_FETCH};
    struct tc_outgoing m = {.head = &q.head, .head_bytes = sizeof q, .fd = -1};
    struct tc_reply reply;

    if (!is_worth_asking(c))
        return 0;
    q.remote = c->far->remote;
    q.key_low = c->key.low;
    q.key_high = c->key.high;
    return tc_request(&m, c->far->timeout_ns + TC_REPLY_NS, &reply) == 0 && reply.status == 0;
}

/* Locks that the service keeps, for all processes. */
#include <errno.h>

#include "preload/client.h"
#include "preload/lock.h"
#include "preload/state.h"

static struct tc_lock_request request(const struct tc_held *h, enum tc_message_type type,
                                      int64_t hold_ns)
{
    return (struct tc_lock_request){
        .head.type = (uint8_t)type,
        .key_low = h->key.low,
        .key_high = h->key.high,
        .serial = h->serial,
        .stack = h->stack,
        .hold_ns = hold_ns,
        .tid = h->tid,
        .manager = h->manager,
        .remote = h->remote,
    };
}

static int ask(const struct tc_held *h, int64_t hold_ns, int64_t *ret_again_ns)
{
    struct tc_lock_request q = request(h, TC_MSG_LOCK, hold_ns);
    struct tc_outgoing m = {
        .head = &q.head, .head_bytes = sizeof q, .fd = -1, .storage = h->storage};
    struct tc_reply reply;
    int r = tc_request(&m, TC_REPLY_NS, &reply);

    if (r < 0)
        return r;
    *ret_again_ns = reply.value > INT64_MAX ? INT64_MAX : (int64_t)reply.value;
    return reply.status;
}

static void release(const struct tc_held *h)
{
    struct tc_lock_request q = request(h, TC_MSG_UNLOCK, 1);
    struct tc_outgoing m = {
        .head = &q.head, .head_bytes = sizeof q, .fd = -1, .storage = h->storage};

    (void)tc_tell_in_any_case(&m);
}

static uint32_t *word(const struct tc_held *h)
{
    return &tc_page_of(h->storage)->locks[h->key.low % TC_PAGE_LOCKS];
}

const struct tc_lock_keeper tc_lock_service = {ask, release, word, 0};

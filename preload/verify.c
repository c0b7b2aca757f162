#include "preload/verify.h"

#include <errno.h>
#include <string.h>

#include "preload/client.h"
#include "preload/compare.h"
#include "preload/log.h"
#include "preload/miss.h"

/* xorshift32, seeded by the finalizer of splitmix64: threads and processes begin at places of their
 * own, and a thread's calls are chosen independently of what they are. */
static uint32_t draw(struct tc_context *x)
{
    uint32_t n = x->random;

    if (n == 0) {
        uint64_t z =
            (uint64_t)tc_monotonic_ns() ^ (uint64_t)(uintptr_t)x ^ (uint64_t)tc_state.pid << 40;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ z >> 27) * 0x94d049bb133111ebull;
        n = (uint32_t)(z ^ z >> 31) | 1;
    }
    n ^= n << 13;
    n ^= n >> 17;
    n ^= n << 5;
    x->random = n;
    return n;
}

int tc_verify_chosen(struct tc_context *x, const struct tc_hook *h)
{
    uint32_t share = h->active.verify;

    if (share == 0 || tc_is_sandboxed())
        return 0;
    return share == TC_ALL_HITS || draw(x) < share;
}

static const char *name_of(const struct tc_call *c, uint32_t param)
{
    return param < c->hook->param_count ? tc_task_str(c->hook, c->hook->params[param].name)
                                        : "return";
}

static void describe(const struct tc_call *c, const struct tc_compared *d, struct tc_line *l)
{
    tc_line_text(l, "output '");
    tc_line_text(l, name_of(c, d->param));
    if (d->differs == TC_DIFFERS_EXTENT) {
        tc_line_text(l, "' has another extent than in the record");
        return;
    }
    if (d->differs == TC_DIFFERS_PLACE) {
        tc_line_text(l, "' points elsewhere than in the record");
        return;
    }
    tc_line_text(l, "' differs from byte ");
    tc_line_number(l, d->byte);
    tc_line_text(l, " on");
    if (c->hook->task->flags & TC_TASK_PRIVATE)
        return;
    tc_line_text(l, ": 0x");
    tc_line_hex(l, d->was, 2);
    tc_line_text(l, " in the record, 0x");
    tc_line_hex(l, d->is, 2);
    tc_line_text(l, " now");
}

/* The task's other calls run uncached from now on: what is wrong once isn't to be relied on. */
static void switch_off(struct tc_hook *h)
{
    __atomic_store_n(&h->active.reason, TC_R_SWITCHED_OFF, __ATOMIC_RELAXED);
}

uint32_t tc_verify_result(struct tc_context *x, struct tc_call *c, const struct tc_result *result,
                          uint32_t trouble)
{
    struct tc_compared compared = {.differs = TC_DIFFERS_NOT};
    struct tc_line text = {.bytes = 0};
    int r = trouble == 0 ? tc_compare_outputs(x, c, result->flight->record_id, &compared) : 0;

    if (trouble == TC_R_FAILED)
        tc_line_text(&text, "the call failed by the `success:` rule");
    else if (trouble != 0 || r < 0)
        return TC_R_UNVERIFIED;
    else if (compared.differs == TC_DIFFERS_NOT)
        return TC_R_VERIFIED;
    else
        describe(c, &compared, &text);
    switch_off(c->hook);
    text.text[text.bytes] = 0;
    tc_miss_wrong(x, c, result->flight, text.text, text.bytes);
    tc_log_reason(TC_LOG_ERROR, c->hook->identity, TC_R_VERIFY_DIFFERS, text.text);
    return TC_R_VERIFY_DIFFERS;
}

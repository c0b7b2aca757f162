#include "preload/transaction.h"

#include <errno.h>
#include <string.h>

#include "preload/client.h"
#include "preload/log.h"

#define COMMIT_NS (20 * TC_REPLY_NS) /* it may be long */

static uint32_t get(const uint32_t *field)
{
    return __atomic_load_n(field, __ATOMIC_ACQUIRE);
}

static void set(uint32_t *field, uint32_t storage)
{
    __atomic_fetch_or(field, 1u << storage, __ATOMIC_ACQ_REL);
}

static int has(const uint32_t *field, uint32_t storage)
{
    return get(field) >> storage & 1;
}

void tc_transaction_begin(struct tc_flow *flow, uint8_t mode)
{
    char id[TC_FLOW_ID_BYTES];
    struct tc_hash128 digest;

    flow->transaction = (struct tc_flow_transaction){.mode = mode};
    if (mode == TC_COMMIT_EAGER)
        return;
    digest = tc_hash128(id, tc_flow_id(flow, id), tc_state.page->seed);
    memcpy(flow->transaction.id, &digest, sizeof flow->transaction.id);
}

struct tc_flow *tc_transaction_of(struct tc_context *x, const struct tc_flow *f)
{
    struct tc_flow *at = f != NULL ? &x->flows.at[f - x->flows.at] : NULL;

    while (at != NULL && at->transaction.mode == TC_COMMIT_NONE)
        at = tc_flow_around(x, at);
    return at;
}

int tc_transaction_has(const struct tc_flow *flow, uint32_t storage)
{
    return has(&flow->transaction.touched, storage);
}

/* The transaction that a lazy one becomes a part of; NULL: it is the outermost one. */
static struct tc_flow *transaction_around(struct tc_context *x, const struct tc_flow *flow)
{
    struct tc_flow *t = tc_transaction_of(x, tc_flow_around(x, flow));

    while (t != NULL && t->transaction.mode == TC_COMMIT_EAGER)
        t = tc_transaction_of(x, tc_flow_around(x, t));
    return t;
}

/* A lazy one lands with those around it: in a forked child these may be its parent's. */
static int is_anothers(struct tc_context *x, const struct tc_flow *t)
{
    while (t != NULL && t->pid == (uint32_t)tc_state.pid)
        t = t->transaction.mode == TC_COMMIT_LAZY ? transaction_around(x, t) : NULL;
    return t != NULL;
}

uint32_t tc_transaction_for(struct tc_context *x, uint64_t entry, struct tc_flow **ret)
{
    const struct tc_flow *f;
    struct tc_flow *t;
    uint32_t r;

    *ret = NULL;
    if (!tc_state.flows_transact)
        return 0;
    r = tc_flow_of(x, entry, &f);
    if (r != 0)
        return r;
    t = tc_transaction_of(x, f);
    if (t == NULL || t->transaction.mode == TC_COMMIT_EAGER)
        return 0;
    if (is_anothers(x, t))
        return TC_R_FORKED_TRANSACTION;
    if (get(&t->transaction.broken))
        return TC_R_TRANSACTION_LOST;
    *ret = t;
    return 0;
}

void tc_transaction_sends(struct tc_flow *flow, uint32_t storage, struct tc_store_request *q)
{
    q->flags |= TC_STORE_STAGE;
    if (!has(&flow->transaction.begun, storage))
        q->flags |= TC_STORE_BEGINS;
    memcpy(q->transaction, flow->transaction.id, sizeof q->transaction);
    set(&flow->transaction.touched, storage);
}

int tc_transaction_sent(struct tc_flow *flow, uint32_t storage, int status)
{
    if (status == -ESTALE) {
        set(&flow->transaction.broken, storage);
        return -ESTALE;
    }
    set(&flow->transaction.begun, storage);
    return 0;
}

void tc_transaction_sends_header(struct tc_flow *flow, uint32_t storage)
{
    set(&flow->transaction.headers, storage);
}

static void fill(struct tc_transaction_request *q, const struct tc_flow *flow, uint32_t op)
{
    memset(q, 0, sizeof *q);
    q->head.type = TC_MSG_TRANSACTION;
    q->op = op;
    memcpy(q->transaction, flow->transaction.id, sizeof q->transaction);
}

static void drop(const struct tc_flow *flow, uint32_t storages)
{
    struct tc_transaction_request q;
    struct tc_outgoing m = {.head = &q.head, .head_bytes = sizeof q, .fd = -1};

    fill(&q, flow, TC_TRANSACTION_DROP);
    for (m.storage = 0; storages >> m.storage != 0; m.storage++)
        if (storages >> m.storage & 1)
            (void)tc_tell(&m);
}

static int commit(struct tc_flow *flow, struct tc_flow *around, uint32_t storage)
{
    struct tc_transaction_request q;
    struct tc_outgoing m = {.head = &q.head, .head_bytes = sizeof q, .fd = -1, .storage = storage};
    struct tc_reply reply;
    int r;

    fill(&q, flow, around != NULL ? TC_TRANSACTION_MERGE : TC_TRANSACTION_COMMIT);
    if (around != NULL) {
        memcpy(q.parent, around->transaction.id, sizeof q.parent);
        q.begins = !has(&around->transaction.begun, storage);
        set(&around->transaction.touched, storage);
    }
    r = tc_request(&m, COMMIT_NS, &reply);
    if (r == 0)
        r = reply.status;
    if (r == 0 && around != NULL)
        set(&around->transaction.begun, storage);
    return r;
}

/* In these storages; *done: those where it was tried. */
static int commit_in(struct tc_flow *flow, struct tc_flow *around, uint32_t storages,
                     uint32_t *done)
{
    int r = 0;

    for (uint32_t i = 0; storages >> i != 0 && r == 0; i++) {
        if (!(storages >> i & 1))
            continue;
        r = commit(flow, around, i);
        *done |= 1u << i;
    }
    return r;
}

/* In all storages, headers after the results; where one fails, no further one is committed. */
static int commit_all(struct tc_flow *flow, struct tc_flow *around, uint32_t storages)
{
    uint32_t headers = get(&flow->transaction.headers), done = 0;
    int r = commit_in(flow, around, storages & ~headers, &done);

    if (r == 0)
        r = commit_in(flow, around, storages & headers, &done);
    if (around != NULL)
        __atomic_fetch_or(&around->transaction.headers, headers, __ATOMIC_ACQ_REL);
    drop(flow, storages & ~done);
    return r;
}

/* Once a flow function; the program goes on. */
static void tell_lost(struct tc_hook *h)
{
    const uint64_t bit = 1ull << TC_R_TRANSACTION_LOST % 64;

    if (!(__atomic_fetch_or(&h->told, bit, __ATOMIC_RELAXED) & bit))
        tc_log_reason(TC_LOG_ERROR, h->identity, TC_R_TRANSACTION_LOST, "");
}

void tc_transaction_end(struct tc_context *x, struct tc_hook *h, struct tc_flow *flow, int success)
{
    struct tc_flow_transaction *t = &flow->transaction;
    struct tc_flow *around = transaction_around(x, flow);
    uint32_t touched = get(&t->touched), begun = get(&t->begun);
    int lost = success && get(&t->broken) != 0;

    if (touched == 0 || flow->pid != (uint32_t)tc_state.pid)
        return;
    t->touched = 0; /* however that ends, there is nothing more to do about it */
    if (!success || lost || t->mode != TC_COMMIT_LAZY) {
        drop(flow, touched);
    } else {
        drop(flow, touched & ~begun);
        lost = commit_all(flow, around, begun) < 0;
        if (lost && around != NULL)
            set(&around->transaction.broken, 0); /* all or nothing */
    }
    if (lost)
        tell_lost(h);
}

void tc_transaction_abandon(const struct tc_flow *flow)
{
    if (flow->transaction.touched && flow->pid == (uint32_t)tc_state.pid && !tc_is_sandboxed())
        drop(flow, flow->transaction.touched);
}

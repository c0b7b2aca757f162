/*
 * The life of a call, first half: what happens at a task's entry.
 */
#include <errno.h>
#include <string.h>

#include "preload/capture.h"
#include "preload/client.h"
#include "preload/context.h"
#include "preload/far.h"
#include "preload/log.h"
#include "preload/miss.h"
#include "preload/replay.h"
#include "preload/report.h"
#include "preload/state.h"
#include "preload/threads.h"
#include "preload/transaction.h"
#include "preload/verify.h"

/* Callers may pass more on the stack than the prototype says: Fortran's hidden lengths. */
#define HIDDEN_EIGHTBYTES 8u

static uint32_t bypass(struct tc_call *c, uint32_t reason)
{
    tc_capture_failed(c, reason);
    tc_count_bypass(c->hook, reason);
    if (tc_report_bypass(c, reason))
        tc_miss_bypassed(c, reason);
    return TC_ACTION_BYPASS;
}

/* How much to copy for the original, never past the end of the stack: beyond the page that holds
 * the declared arguments only what can be read. */
static uint64_t eightbytes_to_copy(const struct tc_call *c)
{
    uint64_t from = c->frame->entry + 8, declared = c->hook->task->stack_slots;
    uint64_t wanted = declared + (c->hook->plan->exported ? HIDDEN_EIGHTBYTES : 0);
    uint64_t page_end = (from + 8 * declared + 4095) & ~4095ull;

    if (from + 8 * wanted <= page_end)
        return wanted;
    if (!tc_is_sandboxed() && tc_sys_readable(page_end, 1) == 0)
        return wanted;
    return (page_end - from) / 8;
}

/* The original's stack is aligned as the caller's was, by 64: a local function may count on less or
 * on more than the psABI's 16. */
static void prepare_call(struct tc_call *c)
{
    struct tc_frame *f = c->frame;
    uint64_t copy = eightbytes_to_copy(c), top = (uint64_t)(uintptr_t)f - 8 * copy - 64;

    f->copy_eightbytes = copy;
    f->call_stack = top - ((top - (f->entry + 8)) & 63);
}

static uint32_t align8(size_t n)
{
    return (uint32_t)((n + 7) & ~(size_t)7);
}

/* Everything that the second half needs, as the frame's registers will be the original's. */
static struct tc_flight *open_flight(struct tc_context *x, const struct tc_call *c)
{
    const struct tc_hook *h = c->hook;
    uint32_t args = align8(sizeof(struct tc_flight)), olds = args + h->param_count * 8;
    uint32_t extents = olds + h->old_count * 8,
             material = extents + c->out_count * (uint32_t)sizeof(struct tc_extent);
    uint32_t kept = c->kept == c->material.memory ? material : material + align8(c->material.bytes);
    size_t bytes = kept == material ? material + c->material.bytes : kept + c->kept_bytes;
    struct tc_flight *f = tc_flight_open(x, c->frame->entry, bytes);
    unsigned char *p = (unsigned char *)f;

    if (f == NULL)
        return NULL;
    f->hook = c->hook;
    f->key_low = c->key.low;
    f->key_high = c->key.high;
    f->args = args;
    f->olds = olds;
    f->extents = extents;
    f->material = material;
    f->result_address = c->frame->rdi;
    f->material_bytes = (uint32_t)c->material.bytes;
    f->kept = kept;
    f->kept_bytes = (uint32_t)c->kept_bytes;
    f->inside = c->overlaps.inside;
    memcpy(p + args, c->arg, h->param_count * 8);
    memcpy(p + olds, c->old, h->old_count * 8);
    memcpy(p + extents, c->out, c->out_count * sizeof *c->out);
    memcpy(p + material, c->material.memory, c->material.bytes);
    if (kept != material)
        memcpy(p + kept, c->kept, c->kept_bytes);
    return f;
}

static uint32_t run(struct tc_context *x, struct tc_call *c)
{
    struct tc_flight *f = open_flight(x, c);

    if (f == NULL) {
        tc_lock_drop(&c->held);
        return bypass(c, TC_R_TOO_DEEP);
    }
    if (c->held.serial != 0) {
        f->serial = c->held.serial;
        tc_flight_hold(x, f, &c->held);
    }
    f->errno_before = x->errno_place != NULL ? *x->errno_place : 0;
    f->refresh = c->hook->active.refresh;
    f->storage = c->storage;
    f->far = c->far;
    f->found = c->found;
    f->expired_ns = c->expired_ns;
    c->frame->serial = f->serial;
    prepare_call(c);
    f->record_id = c->record_id;
    if (f->record_id == 0)
        TC_COUNT(c->hook, misses, 1);
    f->started_ns = tc_monotonic_ns();
    return TC_ACTION_CALL;
}

/* What other processes stored before this one began is committed when the greeting is answered. */
static void greet_once(uint32_t storage)
{
    uint32_t *greeted = storage == 0 ? &tc_state.greeted : &tc_state.storages[storage - 1].greeted;

    /* Read first: threads would take the line from each other with every call. */
    if (__atomic_load_n(greeted, __ATOMIC_RELAXED) != 0)
        return;
    if (__atomic_exchange_n(greeted, 1, __ATOMIC_RELAXED) == 0 && !tc_is_sandboxed())
        tc_greet(storage);
}

/* From here on the call's key is one of this storage. */
static uint32_t choose_storage(struct tc_call *c, uint32_t storage)
{
    const struct tc_shared_page *page = tc_page_of(storage);
    const struct tc_task *t = c->hook->task;

    c->far = storage != 0 ? tc_state.storages[storage - 1].far : NULL;
    if (c->far != NULL) {
        storage = 0;
        if (t->key_storage != 0)
            return TC_R_NO_STORAGE;
        /* Its digests could be guessed: without a secret everybody knows the seed. */
        if (!c->far->has_secret && t->flags & TC_TASK_PRIVATE)
            c->far = NULL;
    }
    c->storage = storage;
    c->header_storage = tc_header_storage(c->hook, storage);
    if (page == NULL || tc_page_of(c->header_storage) == NULL)
        return TC_R_NO_STORAGE;
    c->seed = c->far != NULL ? c->far->seed : page->seed;
    return 0;
}

/* What the task's call has of the flow that it is in. */
static uint32_t enter_scope(struct tc_context *x, struct tc_call *c)
{
    const struct tc_hook *h = c->hook;
    uint32_t r = choose_storage(c, h->task->storage);

    c->flow = NULL;
    if (r != 0)
        return r;
    if (!tc_state.flows_not_yet && !tc_state.flows_matter && !h->in_flow &&
        !(h->active.policy & (TC_POLICY_RUN_ID | TC_POLICY_FLOW_PARAMETERS)))
        return 0;
    r = tc_flow_of(x, c->frame->entry, &c->flow);
    if (r != 0)
        return r;
    if (c->flow != NULL && c->flow->not_yet)
        return TC_R_NOT_YET_BYPASS;
    if (h->in_flow && (c->flow == NULL || c->flow->persist != TC_TRUE))
        return TC_R_CACHING_OFF;
    return c->flow != NULL && h->task->storage == 0 ? choose_storage(c, c->flow->storage) : 0;
}

static uint8_t digest_flow(struct tc_context *x, struct tc_call *c, uint8_t ret[TC_FLOW_SEEDS][16])
{
    const struct tc_hook *h = c->hook;
    int inputs = 0;
    uint32_t r;

    for (uint32_t i = 0; i < h->param_count; i++)
        inputs |= h->params[i].dir == TC_IN || h->params[i].dir == TC_INOUT;
    if (!inputs)
        return TC_FLOW_NO_PARAMETERS;
    if (!tc_state.flows_have_digests)
        return TC_FLOW_UNKNOWN;
    tc_capture_probation(c);
    r = tc_capture_olds(c);
    for (uint32_t i = 0; r == 0 && i < tc_state.flow_seed_count; i++) {
        c->seed = tc_state.flow_seed[i];
        r = tc_capture_flow(x, c, ret[i]);
    }
    if (r == 0)
        return TC_FLOW_DIGEST;
    tc_capture_failed(c, r);
    tc_report_bypass(c, r);
    return TC_FLOW_UNKNOWN;
}

/* The flow's `success:` may want to know of its arguments and of the state before the call. */
static void begin_transaction(struct tc_context *x, struct tc_call *c, struct tc_flow *flow)
{
    const struct tc_task *t = c->hook->task;
    struct tc_flight *f;

    tc_transaction_begin(flow, t->commit_mode);
    if (t->success == TC_NO_EXPR)
        return;
    tc_capture_probation(c);
    c->out_count = 0;
    c->material.bytes = c->kept_bytes = 0;
    c->kept = c->material.memory;
    f = tc_capture_olds(c) == 0 ? open_flight(x, c) : NULL;
    if (f != NULL)
        f->serial = flow->serial;
}

/* A flow function: its body runs, inside a scope of its own. */
static uint32_t enter_flow(struct tc_context *x, struct tc_frame *f, struct tc_hook *h)
{
    struct tc_call *c = &x->call;
    struct tc_flow *flow;
    uint64_t serial;

    c->hook = h;
    c->frame = f;
    c->bad_param = UINT32_MAX;
    c->bad_detail = NULL;
    c->probing = 0;
    if (x->locked != 0)
        (void)tc_flight_newest(x, f->entry); /* lets go of what was left by a jump */
    (void)choose_storage(c, 0);
    tc_capture_arguments(c);
    serial = tc_next_serial();
    flow = tc_flow_open(x, f, serial);
    if (flow == NULL)
        return bypass(c, TC_R_NO_FLOW);
    f->serial = serial;
    flow->parameters = digest_flow(x, c, flow->digest);
    if (h->task->persist != TC_UNSET)
        flow->persist = h->task->persist;
    flow->not_yet |= (h->task->flags & TC_TASK_NOT_YET) != 0;
    if (h->task->storage != 0)
        flow->storage = h->task->storage;
    if (h->task->commit_mode != TC_COMMIT_NONE)
        begin_transaction(x, c, flow);
    prepare_call(c);
    return TC_ACTION_CALL;
}

static void keep_material(struct tc_call *c)
{
    c->kept = c->material.memory;
    c->kept_bytes = c->material.bytes;
    if (!(c->hook->task->flags & TC_TASK_PRIVATE))
        return;
    c->kept_bytes = tc_material_private(&c->material, c->private);
    c->kept = c->private;
}

static void warm(const struct tc_call *c)
{
    tc_store_warm(c->storage, c->key.low);
    if (c->header_storage != 0)
        tc_store_warm(c->header_storage, c->key.low);
}

static uint32_t hit(struct tc_context *x, const struct tc_call *c, const struct tc_replayed *done)
{
    const struct tc_hook *h = c->hook;

    if (done->set_errno && x->errno_place != NULL)
        *x->errno_place = done->err;
    warm(c);
    TC_COUNT(h, hits, 1);
    TC_COUNT(h, saved_ns, (uint64_t)done->duration_ns);
    tc_report_hit(c, done);
    return TC_ACTION_RETURN;
}

static uint32_t decide(struct tc_context *x, struct tc_frame *f, struct tc_hook *h)
{
    struct tc_call *c = &x->call;
    struct tc_replayed done;
    uint32_t why = 0, r;
    int found = 0;

    c->hook = h;
    c->frame = f;
    c->bad_param = UINT32_MAX;
    c->bad_detail = NULL;
    c->held.serial = 0;
    if (x->locked != 0)
        (void)tc_flight_newest(x, f->entry);
    r = enter_scope(x, c);
    if (r != 0)
        return bypass(c, r);
    tc_capture_probation(c);
    tc_capture_arguments(c);
    r = tc_capture_skip(c);
    /* Extents and capacities may use old(e), on a hit too. */
    if (r == 0)
        r = tc_capture_olds(c);
    if (r == 0)
        r = tc_capture_outputs(c, 0);
    if (r == 0)
        r = tc_capture_key(x, c);
    if (r != 0)
        return bypass(c, r);
    keep_material(c);
    tc_report_inputs(c);
    greet_once(c->storage);
    if (c->header_storage != 0)
        greet_once(c->header_storage);
    c->found = TC_FOUND_UNWANTED;
    c->record_id = 0;
    c->verifying = tc_verify_chosen(x, h);
    if (!h->active.refresh &&
        (tc_replay(x, c, &done, &why) ||
         (tc_await_sent(c->storage, c->key.low) && tc_replay(x, c, &done, &why)) ||
         (tc_far_fetch(c) && tc_replay(x, c, &done, &why)))) {
        if (c->record_id == 0)
            return hit(x, c, &done);
        warm(c);
        return run(x, c);
    }
    if (tc_is_sandboxed())
        return bypass(c, TC_R_SANDBOXED); /* nothing could be sent, and no clock may be read */
    if (h->task->isolation == TC_SERIALIZABLE) {
        c->verifying = 0; /* what another call has just stored isn't verified */
        r = tc_lock_take(x, c, &done, &found);
        if (r != 0)
            return bypass(c, r);
        if (found)
            return hit(x, c, &done);
    }
    tc_report_miss(c, why);
    return run(x, c);
}

/* pthread_create(), where there are flows. */
static uint32_t enter_threads(struct tc_frame *f, struct tc_hook *h)
{
    struct tc_context *x;
    uint32_t reason;
    int noted;

    if (h->active.reason != 0 || !tc_flow_was_seen())
        return TC_ACTION_BYPASS;
    x = tc_is_sandboxed() ? NULL : tc_context_enter(f->entry, &reason);
    if (x == NULL) {
        if (tc_is_sandboxed() || reason != TC_R_VFORK_CHILD)
            tc_threads_missed();
        return TC_ACTION_BYPASS;
    }
    x->call.hook = h;
    x->call.frame = f;
    tc_capture_arguments(&x->call);
    noted = tc_threads_begin(x, f, x->call.arg[0]);
    if (noted)
        prepare_call(&x->call);
    tc_context_exit(x);
    return noted ? TC_ACTION_CALL : TC_ACTION_BYPASS;
}

uint32_t tc_enter(struct tc_frame *f)
{
    struct tc_hook *h = &tc_state.hooks[f->hook];
    struct tc_context *x;
    uint32_t reason = h->active.reason, action;
    int is_flow = (h->task->flags & TC_TASK_FLOW) != 0;

    f->original = h->original;
    f->serial = 0;
    f->x87_count = 0;
    if (h->task->flags & TC_TASK_THREADS)
        return enter_threads(f, h);
    if (reason == 0 && tc_state.page == NULL)
        reason = TC_R_NO_SHARED_PAGE;
    if (reason != 0) {
        tc_count_bypass(h, reason);
        return TC_ACTION_BYPASS;
    }
    if (is_flow)
        tc_flow_seen();
    x = tc_context_enter(f->entry, &reason);
    if (x == NULL) {
        /* Whose thread-local storage a vfork child writes is its parent's. */
        if (is_flow && reason != TC_R_VFORK_CHILD)
            tc_flow_missed(f->entry);
        tc_count_bypass(h, reason);
        return TC_ACTION_BYPASS;
    }
    if (!is_flow && tc_table_replay(x, f, h)) {
        tc_context_exit(x);
        return TC_ACTION_RETURN;
    }
    action = is_flow ? enter_flow(x, f, h) : decide(x, f, h);
    tc_context_exit(x);
    return action;
}

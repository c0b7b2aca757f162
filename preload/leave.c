/*
 * The life of a call, second half: the body has run; its result is kept.
 */
#include <errno.h>
#include <string.h>

#include "preload/capture.h"
#include "preload/client.h"
#include "preload/codec.h"
#include "preload/context.h"
#include "preload/miss.h"
#include "preload/report.h"
#include "preload/send.h"
#include "preload/state.h"
#include "preload/threads.h"
#include "preload/transaction.h"
#include "preload/verify.h"

static uint64_t eightbyte(const struct tc_frame *f, uint8_t place)
{
    switch (place) {
    case TC_PLACE_RAX:
        return f->rax;
    case TC_PLACE_RDX:
        return f->rdx;
    case TC_PLACE_XMM0:
        return f->xmm[0][0];
    default:
        return f->xmm[1][0];
    }
}

/* A result with members is the address of its bytes. */
static void restore_members(struct tc_call *c, const struct tc_flight *f)
{
    const uint8_t *place = c->hook->task->result_place;
    struct tc_frame *frame = c->frame;

    c->result_type = TC_PTR;
    c->result = (uint64_t)(uintptr_t)frame->result;
    if (place[0] == TC_PLACE_MEMORY) {
        c->result = f->result_address;
    } else if (place[0] == TC_PLACE_ST0) {
        tc_arch_x87_peek(frame->result, place[1] == TC_PLACE_ST1 ? 2 : 1);
    } else {
        frame->result[0] = eightbyte(frame, place[0]);
        if (place[1] != TC_PLACE_NONE)
            frame->result[1] = eightbyte(frame, place[1]);
    }
}

static void restore_call(struct tc_context *x, struct tc_frame *frame, const struct tc_flight *f)
{
    const unsigned char *p = (const unsigned char *)f;
    struct tc_call *c = &x->call;
    struct tc_hook *h = f->hook;
    uint8_t type = h->task->result_type;

    c->hook = h;
    c->frame = frame;
    c->bad_param = UINT32_MAX;
    c->bad_detail = NULL;
    c->out_count = 0;
    c->overlaps.inside = f->inside;
    memset(c->encoded_bytes, 0, sizeof c->encoded_bytes);
    /* A block's pointer comes from the function, which may have left it as it was. */
    c->probing = (h->gives_blocks || __atomic_load_n(&h->probation, __ATOMIC_RELAXED) != 0) &&
                 !tc_is_sandboxed();
    memcpy(c->arg, p + f->args, h->param_count * 8);
    for (uint32_t i = 0; i < h->param_count; i++)
        c->arg_type[i] = h->params[i].type == TC_MEMBERS ? TC_PTR : h->params[i].type;
    memcpy(c->old, p + f->olds, h->old_count * 8);
    c->key = (struct tc_key){f->key_low, f->key_high};
    c->storage = f->storage;
    c->far = f->far;
    c->seed = f->far != NULL ? f->far->seed : tc_page_of(f->storage)->seed;
    c->header_storage = tc_header_storage(h, f->storage);
    c->result_type = type;
    c->result = type == TC_F32 || type == TC_F64 ? frame->xmm[0][0] : frame->rax;
    if (type == TC_MEMBERS)
        restore_members(c, f);
}

static uint32_t check_success(struct tc_call *c)
{
    int64_t v = 1;
    uint32_t r =
        c->hook->task->success != TC_NO_EXPR ? tc_evaluate(c, c->hook->task->success, &v) : 0;

    return r != 0 ? r : v == 0 ? TC_R_FAILED : 0;
}

/* Extents that the arguments alone give must not have changed: a replay would compute them before
 * the call. */
static uint32_t check_extents(const struct tc_call *c, const struct tc_flight *f)
{
    const unsigned char *before = (const unsigned char *)f + f->extents;

    for (uint32_t i = 0; i < c->out_count; i++) {
        struct tc_extent e;
        memcpy(&e, before + i * sizeof e, sizeof e);
        if (c->capacity_bytes[i] == UINT64_MAX && memcmp(&e, &c->out[i], sizeof e) != 0)
            return TC_R_INPUTS_CHANGED;
    }
    return 0;
}

static uint32_t keep(struct tc_context *x, struct tc_frame *frame, struct tc_flight *f,
                     int64_t duration_ns)
{
    struct tc_call *c = &x->call;
    uint32_t r = check_success(c);
    struct tc_result result = {
        .flight = f,
        .material = (const unsigned char *)f + f->material,
        .kept = (const unsigned char *)f + f->kept,
        .duration_ns = duration_ns,
        .errno_after = x->errno_place != NULL ? *x->errno_place : 0,
    };

    if (r == 0 && c->hook->gives_blocks && tc_is_sandboxed())
        r = TC_R_SANDBOXED; /* where nothing can be probed */
    if (r == 0)
        r = tc_transaction_for(x, frame->entry, &result.transaction);
    if (r == 0)
        r = tc_capture_globals(c);
    if (r == 0)
        r = tc_capture_compare(x, c, result.material, f->material_bytes);
    if (r == 0)
        r = tc_capture_outputs(c, 1);
    if (r == 0)
        r = check_extents(c, f);
    if (r == 0 && f->record_id != 0)
        r = tc_send_probe(c);
    if (f->record_id != 0)
        r = tc_verify_result(x, c, &result, r);
    else if (r == 0)
        r = tc_send_result(x, c, &result);
    tc_codec_forget(c);
    return r;
}

/* A record that turned out right makes the call a hit that saved nothing. */
static void count_run(const struct tc_hook *h, const struct tc_flight *f, uint32_t reason,
                      int64_t duration_ns)
{
    if (reason == TC_R_VERIFIED) {
        TC_COUNT(h, hits, 1);
    } else {
        if (f->record_id != 0)
            TC_COUNT(h, misses, 1);
        TC_COUNT(h, missed_ns, (uint64_t)duration_ns);
    }
    if (reason == 0)
        TC_COUNT(h, stored, 1);
    else
        tc_count(h,
                 offsetof(struct tc_counters, bypass) + reason % TC_PAGE_REASONS * sizeof(uint64_t),
                 1);
}

/* A flow function has returned. Nobody sees what a transaction holds before it is over. */
static void leave_flow(struct tc_context *x, struct tc_frame *frame)
{
    struct tc_flow *flow = tc_flow_at(x, frame->entry, frame->serial);
    struct tc_flight *f;
    uint32_t r = 0;

    if (flow != NULL && flow->transaction.mode != TC_COMMIT_NONE) {
        struct tc_hook *h = &tc_state.hooks[frame->hook];
        f = tc_flight_find(x, frame->entry, frame->serial);
        if (f != NULL) {
            restore_call(x, frame, f);
            r = check_success(&x->call);
            tc_flight_close(x, f);
        } else if (h->task->success != TC_NO_EXPR) {
            r = TC_R_TOO_DEEP; /* it can't be known */
        }
        if (r != 0 && f != NULL)
            tc_report_bypass(&x->call, r);
        tc_transaction_end(x, h, flow, r == 0);
    }
    tc_flow_close(x, frame->entry, frame->serial);
}

void tc_leave(struct tc_frame *frame)
{
    int64_t now_ns = tc_monotonic_ns();
    struct tc_context *x;
    struct tc_flight *f;
    uint32_t reason = 0;

    if (tc_state.hooks[frame->hook].task->flags & TC_TASK_THREADS) {
        tc_threads_end(frame);
        return;
    }
    x = tc_context_enter(frame->entry, &reason);
    if (x == NULL)
        return;
    if (tc_state.hooks[frame->hook].task->flags & TC_TASK_FLOW) {
        leave_flow(x, frame);
        tc_context_exit(x);
        return;
    }
    f = tc_flight_find(x, frame->entry, frame->serial);
    if (f != NULL) {
        struct tc_hook *h = f->hook;
        restore_call(x, frame, f);
        reason = keep(x, frame, f, now_ns - f->started_ns);
        tc_capture_failed(&x->call, reason);
        count_run(h, f, reason, now_ns - f->started_ns);
        tc_report_run(&x->call, reason);
        if (reason != 0 && f->record_id == 0)
            tc_miss_unstored(&x->call, f, reason, now_ns);
        tc_flight_close(x, f);
    }
    tc_context_exit(x);
}

#include "preload/send.h"

#include <errno.h>
#include <string.h>

#include "preload/capture.h"
#include "preload/client.h"
#include "preload/layout.h"
#include "preload/miss.h"
#include "preload/owned.h"
#include "preload/report.h"
#include "preload/state.h"
#include "preload/transaction.h"

#ifndef MFD_CLOEXEC
#define MFD_CLOEXEC 1u
#endif

/* A draft under way: into the scratch buffer; when that is full, on into a memfd. */
struct draft {
    unsigned char *buffer;
    size_t room, used;
    int fd; /* -1: everything is in the buffer so far */
    uint64_t written;
    int error;
    void (*sink)(void *ctx, const void *data, uint64_t bytes); /* instead of all that */
    void *sink_ctx;
};

static void flush(struct draft *d)
{
    size_t done = 0;

    if (d->fd < 0)
        d->fd = (int)TC_SYS(SYS_memfd_create, "taskcache-record", MFD_CLOEXEC, 0, 0, 0, 0);
    if (d->fd < 0)
        d->error = d->fd;
    while (d->error == 0 && done < d->used) {
        long n = tc_sys_pwrite(d->fd, d->buffer + done, d->used - done, d->written);
        if (n <= 0 && n != -EINTR)
            d->error = n < 0 ? (int)n : -EIO;
        else if (n > 0) {
            done += (size_t)n;
            d->written += (uint64_t)n;
        }
    }
    d->used = 0;
}

/* Long runs go from the caller's memory to the memfd without a copy between. */
static void put(struct draft *d, const void *data, uint64_t bytes)
{
    const unsigned char *p = data;

    if (d->sink != NULL) {
        d->sink(d->sink_ctx, data, bytes);
        return;
    }
    while (bytes > 0 && d->error == 0) {
        uint64_t n = d->room - d->used;
        if (n == 0 || (d->fd >= 0 && bytes >= d->room)) {
            flush(d);
            if (bytes >= d->room && d->error == 0) {
                long w = tc_sys_pwrite(d->fd, p, bytes, d->written);
                if (w > 0) {
                    p += w;
                    bytes -= (uint64_t)w;
                    d->written += (uint64_t)w;
                } else if (w != -EINTR) {
                    d->error = w < 0 ? (int)w : -EIO;
                }
            }
            continue;
        }
        n = bytes < n ? bytes : n;
        memcpy(d->buffer + d->used, p, n);
        d->used += n;
        p += n;
        bytes -= n;
    }
}

static uint64_t bytes_of(const struct tc_extent *e)
{
    return e->pieces * e->piece_bytes;
}

/* A returned pointer as (argument, offset). It has to lie inside of an output: one past the end may
 * be anything's beginning. */
static uint32_t locate_result(const struct tc_call *c, struct tc_into_arg *ret)
{
    memset(ret, 0, sizeof *ret);
    if (c->result == 0) {
        ret->is_null = 1;
        return 0;
    }
    for (uint32_t i = 0; i < c->out_count; i++) {
        const struct tc_extent *e = &c->out[i];
        uint64_t span;
        if (e->param == UINT32_MAX || e->flags & TC_EXTENT_NULL || bytes_of(e) == 0 ||
            tc_output_is_owned(c, i))
            continue;
        span = (e->pieces - 1) * c->stride_bytes[i] + tc_capture_piece(c, e);
        if (c->result - c->arg[e->param] < span) {
            ret->param = e->param;
            ret->offset_bytes = c->result - c->arg[e->param];
            return 0;
        }
    }
    return TC_R_RESULT_OUTSIDE;
}

static void put_run(void *ctx, const void *data, uint64_t bytes)
{
    put(ctx, data, bytes);
}

static void put_output(struct draft *d, const struct tc_call *c, uint32_t i)
{
    const struct tc_extent *e = &c->out[i];
    uint64_t from = tc_output_address(c, i);
    struct tc_element element = tc_element_of(c->hook, tc_output_param(c, e));

    if (e->flags & TC_EXTENT_NULL || bytes_of(e) == 0)
        return;
    if (element.layout != NULL) {
        for (uint64_t p = 0; p < e->pieces; p++)
            tc_gather(&element, from + p * c->stride_bytes[i],
                      e->piece_bytes / element.packed_bytes, put_run, d);
        return;
    }
    if (e->pieces == 1 || c->stride_bytes[i] == e->piece_bytes) {
        put(d, (const void *)(uintptr_t)from, bytes_of(e));
        return;
    }
    for (uint64_t p = 0; p < e->pieces; p++)
        put(d, (const void *)(uintptr_t)(from + p * c->stride_bytes[i]), e->piece_bytes);
}

uint32_t tc_send_probe(struct tc_call *c)
{
    for (uint32_t i = 0; c->probing && i < c->out_count; i++) {
        const struct tc_extent *e = &c->out[i];
        if (tc_output_param(c, e) == NULL || bytes_of(e) == 0)
            continue;
        for (uint64_t p = 0; p < e->pieces; p++)
            if (tc_sys_readable(tc_output_address(c, i) + p * c->stride_bytes[i],
                                tc_capture_piece(c, e)) < 0) {
                c->bad_param = e->param;
                return TC_R_UNREADABLE;
            }
    }
    return 0;
}

static void fill_header(const struct tc_call *c, const struct tc_result *r, struct tc_record *h)
{
    const struct tc_task *t = c->hook->task;
    int64_t now_ns = tc_now_ns();

    memset(h, 0, sizeof *h);
    h->magic = TC_RECORD_MAGIC;
    h->version = TC_RECORD_VERSION;
    h->header_bytes = sizeof *h;
    h->key_low = c->key.low;
    h->key_high = c->key.high;
    h->task = c->hook->task_hash;
    h->created_ns = now_ns;
    h->expires_ns = TC_NEVER;
    if (t->flags & TC_TASK_EXPIRES &&
        __builtin_add_overflow(now_ns, t->expiration_ns, &h->expires_ns))
        h->expires_ns = t->expiration_ns > 0 ? TC_NEVER : INT64_MIN;
    h->duration_ns = r->duration_ns;
    if (r->errno_after != r->flight->errno_before) {
        h->flags |= TC_RECORD_ERRNO;
        h->err = r->errno_after;
    }
    h->identity_bytes = c->hook->identity_bytes;
    h->material_bytes = r->flight->kept_bytes;
    h->output_count = c->out_count;
    for (uint32_t i = 0; i < c->out_count; i++)
        h->output_bytes += bytes_of(&c->out[i]);
}

/* What the process may write into one file; a signal would kill the host otherwise. */
static int file_size_allowed(uint64_t bytes)
{
    struct rlimit limit;

    return TC_SYS(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &limit, 0, 0) < 0 ||
           bytes <= limit.rlim_cur;
}

static uint32_t encode_outputs(struct draft *d, const struct tc_call *c)
{
    struct tc_into_arg into;
    uint32_t reason;

    for (uint32_t i = 0; i < c->out_count; i++) {
        if (tc_output_param(c, &c->out[i]) != NULL) {
            put_output(d, c, i);
        } else if (c->hook->task->result_layout != 0) {
            struct tc_element result = tc_element_of_result(c->hook);
            tc_gather(&result, c->result, 1, put_run, d);
        } else if (c->hook->task->result_kind == TC_RESULT_VALUE) {
            put(d, &c->result, sizeof c->result);
        } else {
            reason = locate_result(c, &into);
            if (reason != 0)
                return reason;
            put(d, &into, sizeof into);
        }
    }
    return d->error != 0 ? TC_R_TOO_LARGE : 0;
}

uint32_t tc_send_outputs(const struct tc_call *c,
                         void (*sink)(void *ctx, const void *data, uint64_t bytes), void *ctx)
{
    struct draft d = {.sink = sink, .sink_ctx = ctx};

    return encode_outputs(&d, c);
}

static uint32_t encode(struct draft *d, const struct tc_call *c, const struct tc_record *h,
                       const struct tc_result *r)
{
    put(d, h, sizeof *h);
    put(d, c->hook->identity, h->identity_bytes);
    put(d, r->kept, h->material_bytes);
    put(d, c->out, c->out_count * sizeof *c->out);
    return encode_outputs(d, c);
}

static uint32_t reason_of(int r, const struct tc_reply *reply)
{
    if (r == 0)
        return reply->status == 0                ? 0
               : reply->reason == TC_R_TOO_LARGE ? TC_R_TOO_LARGE
                                                 : TC_R_NOT_STORED;
    if (r == -EPERM)
        return TC_R_SANDBOXED;
    if (r == -ECHILD)
        return TC_R_VFORK_CHILD;
    return r == -EAGAIN ? TC_R_SEND_DROPPED : TC_R_NO_SERVICE;
}

/* What `cachectl why` wants to know goes in front of the draft. */
static void add_hints(struct tc_context *x, const struct tc_call *c, const struct tc_result *r,
                      struct tc_store_request *q)
{
    q->found = r->flight->found;
    q->expired_ns = r->flight->expired_ns;
    q->heads = sizeof *q;
    q->head_bytes = tc_miss_string_heads(c, r->kept, r->flight->kept_bytes, x->check);
}

/* A transaction's results and headers need the service's answer: without one they are lost. */
static int needs_answer(const struct tc_call *c, const struct tc_result *result)
{
    return result->transaction != NULL || c->header_storage != 0;
}

/* `store: async`: does nobody wait for the acknowledgement? Where others go by it, it is waited
 * for: who waits for a lock looks for the record when it is let go, and a record that is replaced
 * would go on being found until then. */
static int goes_ahead(const struct tc_call *c, const struct tc_result *result)
{
    const struct tc_task *t = c->hook->task;

    return t->flags & TC_TASK_STORE_ASYNC && !result->flight->refresh &&
           t->isolation != TC_SERIALIZABLE;
}

static int store(const struct tc_call *c, const struct tc_result *result,
                 const struct tc_outgoing *m, struct tc_reply *ret)
{
    struct tc_refused refused;
    int r;

    if (needs_answer(c, result))
        return tc_request(m, m->fd >= 0 ? 20 * TC_REPLY_NS : TC_REPLY_NS, ret);
    r = tc_store(m, c->key.low, c->hook->index, goes_ahead(c, result) ? NULL : ret, &refused);
    if (refused.reason != 0)
        tc_report_refused(&tc_state.hooks[refused.hook], refused.reason);
    return r;
}

/* `ret_id`: of the record. */
static uint32_t send_draft(struct draft *d, uint64_t bytes, struct tc_context *x,
                           const struct tc_call *c, const struct tc_result *result,
                           uint32_t storage, uint64_t *ret_id)
{
    struct tc_store_request q = {.head.type = TC_MSG_STORE, .draft_bytes = bytes};
    struct tc_outgoing m = {.head = &q.head, .head_bytes = sizeof q, .fd = -1, .storage = storage};
    struct tc_reply reply = {.status = 0};
    int r;

    if (!(c->hook->task->flags & TC_TASK_PRIVATE)) {
        q.pid = (uint32_t)tc_state.pid;
        memcpy(q.program, tc_state.program, sizeof q.program - 1);
    }
    q.flags = result->flight->refresh ? TC_STORE_REPLACE : 0;
    q.remote = c->far != NULL ? c->far->remote : 0;
    add_hints(x, c, result, &q);
    m.part[0] = x->check;
    m.part_bytes[0] = (q.head_bytes + 7u) & ~7u;
    if (result->transaction != NULL)
        tc_transaction_sends(result->transaction, storage, &q);
    if (d->fd >= 0) {
        q.flags |= TC_STORE_MEMFD;
        m.fd = d->fd;
    } else {
        q.draft = (uint32_t)(sizeof q + m.part_bytes[0]);
        m.part[1] = d->buffer;
        m.part_bytes[1] = d->used;
    }
    r = store(c, result, &m, &reply);
    if (r == 0 && result->transaction != NULL &&
        tc_transaction_sent(result->transaction, storage, reply.status) < 0)
        return TC_R_TRANSACTION_LOST;
    *ret_id = reply.value;
    return reason_of(r, &reply);
}

/* The result is there: now everybody may know. */
static uint32_t send_header(struct tc_context *x, const struct tc_call *c, struct tc_record *h,
                            const struct tc_result *result, uint64_t record_id)
{
    struct draft d = {.buffer = x->scratch, .room = sizeof x->scratch, .fd = -1};
    const struct tc_result_ref ref = {record_id, h->created_ns};

    if (result->transaction != NULL)
        tc_transaction_sends_header(result->transaction, c->header_storage);
    h->flags |= TC_RECORD_HEADER;
    h->output_count = 0;
    h->output_bytes = sizeof ref;
    put(&d, h, sizeof *h);
    put(&d, c->hook->identity, h->identity_bytes);
    put(&d, result->kept, h->material_bytes);
    put(&d, &ref, sizeof ref);
    return send_draft(&d, d.used, x, c, result, c->header_storage, &record_id);
}

uint32_t tc_send_result(struct tc_context *x, struct tc_call *c, const struct tc_result *result)
{
    struct draft d = {.buffer = x->scratch, .room = sizeof x->scratch, .fd = -1};
    struct tc_record h;
    uint64_t bytes, id;
    uint32_t r;

    if (tc_is_sandboxed())
        return TC_R_SANDBOXED;
    if (tc_sys_getpid() != tc_state.pid)
        return TC_R_VFORK_CHILD;
    fill_header(c, result, &h);
    bytes = sizeof h + h.identity_bytes + h.material_bytes + c->out_count * sizeof *c->out +
            h.output_bytes;
    if (bytes > sizeof x->scratch &&
        (!file_size_allowed(bytes) || h.output_bytes > tc_page_of(c->storage)->max_size_bytes))
        return TC_R_TOO_LARGE;
    r = tc_send_probe(c);
    if (r == 0)
        r = encode(&d, c, &h, result);
    if (r == 0 && d.fd >= 0)
        flush(&d);
    if (r == 0)
        r = d.error != 0 ? TC_R_TOO_LARGE : send_draft(&d, bytes, x, c, result, c->storage, &id);
    if (d.fd >= 0)
        tc_sys_close(d.fd);
    if (r == 0 && c->header_storage != 0)
        r = send_header(x, c, &h, result, id);
    return r;
}

#include "preload/replay.h"

#include <errno.h>
#include <string.h>

#include "preload/capture.h"
#include "preload/codec.h"
#include "preload/header.h"
#include "preload/layout.h"
#include "preload/output_bytes.h"
#include "preload/overlap.h"
#include "preload/owned.h"
#include "preload/report.h"
#include "preload/transaction.h"

/* A block may be there or not, its content is whole elements, and a string's ends. */
static int flags_fit(const struct tc_call *c, uint32_t i, const struct tc_extent *e)
{
    const struct tc_extent *now = &c->out[i];
    struct tc_element element;

    if (!tc_output_is_owned(c, i))
        return e->flags == now->flags;
    if (now->flags & TC_EXTENT_NULL)
        return e->flags == now->flags && e->piece_bytes == 0;
    if (e->flags == TC_EXTENT_NO_BLOCK)
        return e->piece_bytes == 0;
    if (tc_output_param(c, e)->shape == TC_SHAPE_TEXT && e->piece_bytes == 0)
        return 0; /* not even its end */
    element = tc_element_of(c->hook, tc_output_param(c, e));
    return e->flags == 0 && e->pieces == 1 && e->piece_bytes % element.packed_bytes == 0 &&
           (element.layout == NULL || e->piece_bytes < INT64_MAX / element.bytes);
}

/* The record's extents must be this call's, or fit its capacity; then they become the call's. They
 * are read this one time: what lies in the mapping may be something else later. */
static int shape_fits(struct tc_call *c, const struct tc_record_view *v)
{
    uint64_t total = 0, bytes;

    if (v->head.output_count != c->out_count)
        return 0;
    for (uint32_t i = 0; i < c->out_count; i++) {
        struct tc_extent e = tc_extent_at(v, i);
        struct tc_extent *now = &c->out[i];
        if (e.param != now->param || !flags_fit(c, i, &e) ||
            __builtin_mul_overflow(e.pieces, e.piece_bytes, &bytes) ||
            __builtin_add_overflow(total, bytes, &total))
            return 0;
        if (c->capacity_bytes[i] == UINT64_MAX
                ? e.pieces != now->pieces || e.piece_bytes != now->piece_bytes
                : bytes > c->capacity_bytes[i] || e.pieces > 1)
            return 0;
        *now = e;
    }
    return total == v->head.output_bytes;
}

/* May the caller's memory be written before everything is known to be sound? Only where the
 * function would write all of it anyway. */
static int writes_whole(struct tc_call *c)
{
    if (c->hook->task->result_place[0] == TC_PLACE_MEMORY)
        return 0; /* which may be an input's, too */
    for (uint32_t i = 0; i < c->out_count; i++) {
        if (c->capacity_bytes[i] != UINT64_MAX)
            return 0;
        if (c->out[i].param != UINT32_MAX && c->hook->params[c->out[i].param].dir != TC_OUT)
            return 0;
    }
    return !tc_overlaps_inputs(c);
}

static int take_run(void *ctx, void *to, uint64_t bytes)
{
    return tc_output_take(ctx, to, bytes);
}

static void set_eightbyte(struct tc_frame *f, uint8_t place, uint64_t v)
{
    switch (place) {
    case TC_PLACE_RAX:
        f->rax = v;
        return;
    case TC_PLACE_RDX:
        f->rdx = v;
        return;
    case TC_PLACE_XMM0:
    case TC_PLACE_XMM1:
        f->xmm[place - TC_PLACE_XMM0][0] = v;
        f->xmm[place - TC_PLACE_XMM0][1] = 0;
        return;
    default:
        return;
    }
}

static int replay_members(struct tc_call *c, struct tc_output_bytes *s)
{
    struct tc_element e = tc_element_of_result(c->hook);
    const uint8_t *place = c->hook->task->result_place;
    struct tc_frame *f = c->frame;
    uint64_t to = (uint64_t)(uintptr_t)f->result;
    int r;

    if (place[0] == TC_PLACE_MEMORY)
        to = f->rdi;
    else
        memset(f->result, 0, sizeof f->result);
    r = tc_scatter(&e, to, 1, take_run, s);
    if (r < 0)
        return r;
    if (place[0] == TC_PLACE_MEMORY)
        f->rax = f->rdi;
    else if (place[0] == TC_PLACE_ST0)
        f->x87_count = place[1] == TC_PLACE_ST1 ? 2 : 1;
    set_eightbyte(f, place[0], f->result[0]);
    set_eightbyte(f, place[1], f->result[1]);
    return 0;
}

/* It points into an output, as it did when it was kept. */
static int is_inside(const struct tc_call *c, const struct tc_into_arg *into)
{
    for (uint32_t i = 0; i < c->out_count; i++) {
        const struct tc_extent *e = &c->out[i];
        if (e->param != into->param || e->param == UINT32_MAX || e->flags & TC_EXTENT_NULL ||
            e->pieces * e->piece_bytes == 0 || tc_output_is_owned(c, i))
            continue;
        return into->offset_bytes < (e->pieces - 1) * c->stride_bytes[i] + tc_capture_piece(c, e);
    }
    return 0;
}

/* The result in the registers that the psABI names for its class (3.2.3). */
static int replay_result(struct tc_call *c, struct tc_output_bytes *s)
{
    struct tc_frame *f = c->frame;
    struct tc_into_arg into;
    uint64_t image;

    s->spare_equal = 0;
    if (c->hook->task->result_kind == TC_RESULT_INTO_ARG) {
        if (tc_output_take(s, &into, sizeof into) < 0 || (!into.is_null && !is_inside(c, &into)))
            return -EBADMSG;
        f->rax = into.is_null ? 0 : c->arg[into.param] + into.offset_bytes;
        return 0;
    }
    if (c->hook->task->result_layout != 0)
        return replay_members(c, s);
    if (tc_output_take(s, &image, sizeof image) < 0)
        return -EBADMSG;
    if (c->hook->task->result_type == TC_F32 || c->hook->task->result_type == TC_F64) {
        f->xmm[0][0] = image;
        f->xmm[0][1] = 0;
    } else {
        f->rax = image;
    }
    return 0;
}

static int replay_elements(const struct tc_element *element, uint64_t to, uint64_t step,
                           struct tc_extent e, struct tc_output_bytes *s)
{
    int r = 0;

    for (uint64_t p = 0; r == 0 && p < e.pieces && e.piece_bytes != 0; p++)
        r = tc_scatter(element, to + p * step, e.piece_bytes / element->packed_bytes, take_run, s);
    return r;
}

static int replay_output(const struct tc_call *c, uint32_t i, struct tc_extent e,
                         struct tc_output_bytes *s)
{
    uint64_t to = tc_output_address(c, i), step = c->stride_bytes[i];
    const struct tc_param *param = tc_output_param(c, &e);
    struct tc_element element = tc_element_of(c->hook, param);

    /* What a function may change, but left as it was, may lie where nobody can write. */
    s->spare_equal = param->dir == TC_INOUT;
    if (element.layout != NULL)
        return replay_elements(&element, to, step, e, s);
    if (c->capacity_bytes[i] != UINT64_MAX || step == e.piece_bytes || e.pieces == 1) {
        e.piece_bytes *= e.pieces;
        e.pieces = 1;
    }
    for (uint64_t p = 0; p < e.pieces && e.piece_bytes != 0; p++)
        if (tc_output_take(s, (void *)(uintptr_t)(to + p * step), e.piece_bytes) < 0)
            return -EBADMSG;
    return 0;
}

/* What a codec made of its bytes is there already. */
static int replay_decoded(struct tc_call *c, uint32_t i, struct tc_extent e,
                          struct tc_output_bytes *s)
{
    s->at += e.piece_bytes;
    s->left -= e.piece_bytes;
    if (e.param == UINT32_MAX)
        c->frame->rax = c->block[i];
    return 0;
}

/* The block's content, then its address to where the caller looks for it. */
static int replay_block(struct tc_call *c, uint32_t i, struct tc_extent e,
                        struct tc_output_bytes *s)
{
    uint64_t block = c->block[i];
    int r;

    if (tc_output_param(c, &e)->shape == TC_SHAPE_CODEC)
        return replay_decoded(c, i, e, s);
    r = block != 0 ? replay_output(c, i, e, s) : 0;

    if (r < 0)
        return r;
    if (block != 0 && tc_output_param(c, &e)->shape == TC_SHAPE_TEXT && e.piece_bytes != 0)
        ((char *)(uintptr_t)block)[e.piece_bytes - 1] = 0;
    if (e.param == UINT32_MAX)
        c->frame->rax = block;
    else
        memcpy((void *)(uintptr_t)c->arg[e.param], &block, sizeof block);
    return 0;
}

/* The registers that a result may go to. */
struct result_registers {
    uint64_t integer[2], vector[2][2];
};

static struct result_registers save_result(const struct tc_frame *f)
{
    return (struct result_registers){{f->rax, f->rdx},
                                     {{f->xmm[0][0], f->xmm[0][1]}, {f->xmm[1][0], f->xmm[1][1]}}};
}

static void restore_result(struct tc_frame *f, const struct result_registers *r)
{
    f->rax = r->integer[0];
    f->rdx = r->integer[1];
    memcpy(f->xmm, r->vector, sizeof r->vector);
    f->x87_count = 0;
}

/* On failure the frame holds the arguments again, as `before`, as the call goes on in the original.
 */
static int replay_all(struct tc_call *c, struct tc_output_bytes *s,
                      const struct result_registers *before)
{
    int r = 0;

    for (uint32_t i = 0; r == 0 && i < c->out_count; i++) {
        struct tc_extent e = c->out[i];
        if (e.flags & TC_EXTENT_NULL)
            continue;
        r = tc_output_is_owned(c, i) ? replay_block(c, i, e, s)
            : e.param == UINT32_MAX  ? replay_result(c, s)
                                     : replay_output(c, i, e, s);
    }
    if (r < 0)
        restore_result(c->frame, before);
    return r;
}

/* All that the record says is in memory of ours, and sound: now the host's allocator may be asked,
 * and only then the caller's memory be touched. */
static int replay_sound(struct tc_context *x, struct tc_call *c, struct tc_output_bytes *s)
{
    struct result_registers before = save_result(c->frame);
    uint32_t why;
    int r;

    if (!c->hook->gives_blocks)
        return replay_all(c, s, &before);
    r = tc_owned_allocate(x, c);
    if (r < 0)
        return r;
    why = tc_codec_decode(x, c, s->at);
    if (why != 0)
        (void)tc_report_bypass(c, why);
    r = why != 0 ? -EPROTO : replay_all(c, s, &before);
    if (r < 0)
        tc_owned_release(c);
    return r;
}

/* This and the next are functions of their own to keep a small result's stack within 2 KiB.
 *
 * Straight into the caller's memory, which the function would write whole if this came to nothing.
 */
__attribute__((noinline)) static int
replay_directly(struct tc_call *c, const struct tc_store_view *store, struct tc_output_bytes *s)
{
    struct result_registers before = save_result(c->frame);
    int r = replay_all(c, s, &before);

    if (r == 0 && !tc_store_was_protected(store)) {
        restore_result(c->frame, &before);
        r = -ESTALE;
    }
    return r;
}

/* All outputs into memory of our own first. */
__attribute__((noinline)) static int replay_aside(struct tc_context *x, struct tc_call *c,
                                                  const struct tc_store_view *store,
                                                  struct tc_output_bytes *s, size_t bytes)
{
    unsigned char *aside = NULL;
    int r;

    if (!tc_is_sandboxed())
        aside = tc_sys_mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    r = aside == NULL ? -ENOMEM : tc_output_take(s, aside, bytes);

    if (r == 0 && !tc_store_was_protected(store))
        r = -ESTALE;
    if (r == 0) {
        struct tc_output_bytes sound = {.at = aside, .left = bytes};
        r = replay_sound(x, c, &sound);
    }
    if (aside != NULL)
        tc_sys_munmap(aside, bytes);
    return r;
}

static int is_this_call(const struct tc_call *c, const struct tc_record_view *v)
{
    const struct tc_record *h = &v->head;

    return h->key_low == c->key.low && h->key_high == c->key.high &&
           h->material_bytes == c->kept_bytes && memcmp(v->material, c->kept, c->kept_bytes) == 0;
}

/* In seccomp's strict mode the clock can't be read: the time stamp counter is switched off. */
int tc_replay_is_live(const struct tc_record *h)
{
    return h->expires_ns == TC_NEVER || (!tc_is_sandboxed() && tc_record_live(h, tc_now_ns()));
}

int tc_replay_is_valid(struct tc_call *c, const struct tc_record_view *v)
{
    c->found = TC_FOUND_OTHER_KEY;
    if (!is_this_call(c, v))
        return 0;
    if (!tc_replay_is_live(&v->head)) {
        c->found = TC_FOUND_EXPIRED;
        c->expired_ns = v->head.expires_ns;
        return 0;
    }
    return 1;
}

/* Is it the one that the header speaks of? */
static int has_header(const struct tc_call *c, const struct tc_record *h)
{
    return c->header_storage == 0 ||
           (h->record_id == c->ref.record_id && h->created_ns == c->ref.created_ns);
}

/* From the mapping, where bytes may change under us if we are stopped for long: what is small is
 * copied first, and only the copy counts; what is large goes straight to the caller where that does
 * no harm. */
static int replay_value(struct tc_context *x, struct tc_call *c, const struct tc_store_view *store,
                        const void *value, size_t bytes, struct tc_replayed *ret, uint32_t *ret_why)
{
    struct tc_record_view *v = &x->record; /* in the context: a hit has 2 KiB of stack */
    struct tc_output_bytes s;
    int copied = bytes <= sizeof x->scratch, r;

    if (copied)
        value = memcpy(x->scratch, value, bytes);
    c->found = TC_FOUND_DAMAGED;
    if (tc_record_decode(value, bytes, v) < 0)
        return -ENOENT;
    if (!tc_replay_is_valid(c, v) || !has_header(c, &v->head))
        return -ENOENT;
    if (!shape_fits(c, v)) {
        c->found = TC_FOUND_OTHER_SHAPE;
        *ret_why = TC_R_SHAPE_DIFFERS;
        return -ENOENT;
    }
    s = tc_output_bytes_of(store, v);
    if (!tc_store_was_protected(store))
        return -ESTALE;
    if (c->verifying) {
        c->record_id = v->head.record_id;
        return 0;
    }
    if ((copied && v->outputs != NULL) || v->head.output_bytes == 0)
        r = replay_sound(x, c, &s);
    else if (writes_whole(c))
        r = replay_directly(c, store, &s);
    else
        r = replay_aside(x, c, store, &s, v->head.output_bytes);
    if (r == -ENOMEM && c->hook->gives_blocks)
        *ret_why = TC_R_NO_BLOCK;
    if (r == 0 && copied)
        tc_table_keep(x, c, store, v);
    if (r == 0)
        *ret = (struct tc_replayed){v->head.created_ns, v->head.duration_ns,
                                    (v->head.flags & TC_RECORD_ERRNO) != 0, v->head.err};
    return r;
}

/* What the transactions around the call have staged, the innermost first. */
static int replay_staged(struct tc_context *x, struct tc_call *c, const struct tc_store_view *store,
                         struct tc_replayed *ret, uint32_t *ret_why)
{
    const struct tc_flow *f = tc_transaction_of(x, c->flow);
    const void *value;
    size_t bytes;
    int r = -ENOENT, verifying = c->verifying;

    c->verifying = 0; /* what is staged may land, or go, while the body runs */
    for (; f != NULL && r == -ENOENT; f = tc_transaction_of(x, tc_flow_around(x, f))) {
        if (!tc_transaction_has(f, c->storage))
            continue;
        r = tc_store_find_staged(store, f->transaction.id, c->key.low, &value, &bytes);
        if (r == 0)
            r = replay_value(x, c, store, value, bytes, ret, ret_why);
    }
    c->verifying = verifying;
    return r;
}

int tc_replay(struct tc_context *x, struct tc_call *c, struct tc_replayed *ret, uint32_t *ret_why)
{
    struct tc_store_view *store = &x->seen;

    *ret_why = 0;
    if (c->header_storage != 0 && tc_header_find(x, c) < 0)
        return 0;
    for (int attempt = 0; attempt < 2; attempt++) {
        const void *value;
        size_t bytes;
        int r = tc_store_open(c->storage, &x->store, store);
        if (r < 0) {
            c->found = TC_FOUND_NO_STORE;
            *ret_why = TC_R_NO_STORE;
            return 0;
        }
        r = replay_staged(x, c, store, ret, ret_why);
        if (r == 0) {
            tc_store_remember(&x->store, store);
            return 1;
        }
        if (r == -ENOENT) {
            r = tc_store_find(store, c->key.low, &value, &bytes);
            c->found = r == 0 || r == -ENOENT ? TC_FOUND_NOTHING : TC_FOUND_DAMAGED;
        }
        if (r == 0)
            r = replay_value(x, c, store, value, bytes, ret, ret_why);
        if (r == 0) {
            tc_store_remember(&x->store, store);
            return 1;
        }
        /* Nothing counts that wasn't protected, not even that there is nothing. */
        if (tc_store_was_protected(store)) {
            if (r == -ENOENT)
                tc_store_remember(&x->store, store);
            return 0;
        }
    }
    c->found = TC_FOUND_CHANGING;
    return 0;
}

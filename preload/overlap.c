#include "preload/overlap.h"

#include <string.h>

#include "preload/capture.h"
#include "preload/extent.h"
#include "preload/follow.h"
#include "preload/owned.h"

struct range {
    uint64_t address, bytes;
};

static uint64_t in_memory(const struct tc_call *c, uint32_t param, uint64_t packed_bytes)
{
    struct tc_element e = tc_element_of(c->hook, &c->hook->params[param]);
    uint64_t bytes;

    return e.layout == NULL                                                         ? packed_bytes
           : __builtin_mul_overflow(packed_bytes / e.packed_bytes, e.bytes, &bytes) ? UINT64_MAX
                                                                                    : bytes;
}

/* Where output `i` may be written: as far as is known before the call. */
static struct range range_of(const struct tc_call *c, uint32_t i)
{
    const struct tc_extent *e = &c->out[i];
    struct range r = {0, 0};

    if (e->param == UINT32_MAX) {
        if (c->hook->task->result_kind == TC_RESULT_VALUE &&
            c->hook->task->result_place[0] == TC_PLACE_MEMORY)
            r = (struct range){c->frame->rdi, tc_element_of_result(c->hook).bytes};
        return r;
    }
    r.address = c->arg[e->param];
    if (e->flags & TC_EXTENT_NULL)
        return r;
    if (tc_output_is_owned(c, i))
        r.bytes = sizeof(uint64_t); /* the pointer to the block */
    else if (c->capacity_bytes[i] != UINT64_MAX)
        r.bytes = in_memory(c, e->param, c->capacity_bytes[i]);
    else if (e->pieces != 0 && e->piece_bytes != 0)
        r.bytes = (e->pieces - 1) * c->stride_bytes[i] + tc_capture_piece(c, e);
    return r;
}

static int touch(struct range a, struct range b)
{
    return a.bytes != 0 && b.bytes != 0 &&
           (a.address - b.address < b.bytes || b.address - a.address < a.bytes);
}

static void note(struct tc_overlaps *o, uint32_t param, uint32_t output, uint64_t left,
                 uint64_t offset)
{
    if (o->count < TC_MAX_OVERLAPS)
        o->list[o->count] = (struct tc_overlap){param, output, left, offset};
    o->count++;
}

void tc_overlaps_begin(struct tc_call *c)
{
    c->overlaps.count = 0;
    c->overlaps.inside = 0;
}

/* Exactly these bytes, all of them, are written back by a replay. */
static int is_exact(const struct tc_call *c, uint32_t i)
{
    const struct tc_extent *e = &c->out[i];

    return e->param != UINT32_MAX && c->capacity_bytes[i] == UINT64_MAX &&
           (e->pieces == 1 || c->stride_bytes[i] == e->piece_bytes) &&
           tc_element_of(c->hook, &c->hook->params[e->param]).layout == NULL;
}

/* Is what tc_overlap_input() is told of it all of the input? */
static int is_one_range(const struct tc_call *c, uint32_t param)
{
    const struct tc_param *p = &c->hook->params[param];
    struct tc_element e = tc_element_of(c->hook, p);

    return p->shape == TC_SHAPE_STRING || (p->shape == TC_SHAPE_ARRAY && !tc_follows(&e));
}

void tc_overlap_input(struct tc_call *c, uint32_t param, uint64_t address, uint64_t bytes,
                      uint64_t left)
{
    struct range in = {address, bytes};

    for (uint32_t i = 0; i < c->out_count; i++) {
        struct range out = range_of(c, i);

        if (c->out[i].param == param || !touch(in, out))
            continue;
        note(&c->overlaps, param, c->out[i].param, left, address - out.address);
        if (is_one_range(c, param) && is_exact(c, i) && address - out.address < out.bytes &&
            bytes <= out.bytes - (address - out.address))
            c->overlaps.inside |= 1u << param;
    }
}

uint32_t tc_overlaps_end(struct tc_call *c, struct tc_material *m)
{
    struct tc_overlaps *o = &c->overlaps;
    uint64_t bytes;

    for (uint32_t i = 1; i < c->out_count; i++)
        for (uint32_t k = 0; k < i; k++) {
            struct range a = range_of(c, i), b = range_of(c, k);
            if (touch(a, b))
                note(o, c->out[i].param, c->out[k].param, 0, a.address - b.address);
        }
    if (o->count == 0)
        return 0;
    bytes = o->count * sizeof *o->list;
    tc_material_announce(m, sizeof TC_OVERLAP - 1);
    if (o->count > TC_MAX_OVERLAPS ||
        tc_material_begin(m, TC_OVERLAP, sizeof TC_OVERLAP - 1, TC_TAG_BYTES, bytes) < 0)
        return TC_R_NO_KEY;
    tc_material_content(m, o->list, bytes);
    return tc_material_end(m) < 0 ? TC_R_NO_KEY : 0;
}

int tc_overlap_is_output(const struct tc_call *c, uint32_t param)
{
    return c->overlaps.inside >> param & 1;
}

/* How many bytes from the pointer on are an input; of what isn't described, the first. */
static uint64_t input_span(struct tc_call *c, const struct tc_param *p, uint64_t address)
{
    struct tc_runs e;
    uint64_t n = 0;

    if (p->dir == TC_IN && (p->shape == TC_SHAPE_STRING || p->shape == TC_SHAPE_FILE))
        return tc_string_bytes(c, address, &n) == 0 ? n + 1 : UINT64_MAX;
    if (p->dir == TC_IN && (p->shape == TC_SHAPE_ARRAY || p->shape == TC_SHAPE_STRINGS))
        return tc_extent_of(c, p, &e) != 0 ? UINT64_MAX
               : e.pieces == 0             ? 0
                                           : (e.pieces - 1) * e.stride_bytes + e.piece_bytes;
    return p->dir != TC_OUT && p->type == TC_PTR;
}

int tc_overlaps_inputs(struct tc_call *c)
{
    for (uint32_t i = 0; i < c->hook->param_count; i++) {
        const struct tc_param *p = &c->hook->params[i];
        uint64_t at = c->arg[i], span = at != 0 && p->type == TC_PTR ? input_span(c, p, at) : 0;
        struct tc_element element;

        /* What is reached through pointers may be anything. */
        element = tc_element_of(c->hook, p);
        if (p->dir == TC_IN && at != 0 && tc_follows(&element))
            return 1;
        for (uint32_t k = 0; span != 0 && k < c->out_count; k++) {
            const struct tc_extent *e = &c->out[k];
            if (e->param == UINT32_MAX || e->flags & TC_EXTENT_NULL || e->pieces == 0 ||
                tc_output_is_owned(c, k))
                continue;
            uint64_t to = c->arg[e->param];
            uint64_t room = (e->pieces - 1) * c->stride_bytes[k] + tc_capture_piece(c, e);
            if (at - to < room || to - at < span)
                return 1;
        }
    }
    return 0;
}

#include "preload/extent.h"

#include <errno.h>
#include <string.h>

#include "preload/capture.h"
#include "preload/layout.h"
#include "preload/owned.h"

static int readable(void *ctx, uint64_t address, uint64_t bytes)
{
    (void)ctx;
    return tc_sys_readable(address, bytes);
}

static uint32_t evaluate(struct tc_call *c, uint32_t program, int64_t *ret)
{
    struct tc_expr_env env = {
        .code = c->hook->code,
        .code_count = c->hook->code_count,
        .arg = c->arg,
        .arg_type = c->arg_type,
        .arg_count = c->hook->param_count,
        .result = c->result,
        .result_type = c->result_type,
        .old = c->old,
        .old_count = c->hook->old_count,
        .readable = c->probing ? readable : NULL,
    };

    return tc_expr_eval(&env, program, ret) < 0 ? TC_R_BAD_EXTENT : 0;
}

/* A number and nothing else? */
static int is_constant(const struct tc_hook *h, uint32_t program, int64_t *ret)
{
    const struct tc_insn *in = &h->code[program];

    if (h->code_count < 2 || program > h->code_count - 2 || in[0].op != TC_OP_PUSH ||
        in[1].op != TC_OP_END)
        return 0;
    *ret = in[0].imm;
    return 1;
}

uint32_t tc_evaluate(struct tc_call *c, uint32_t program, int64_t *ret)
{
    return is_constant(c->hook, program, ret) ? 0 : evaluate(c, program, ret);
}

uint32_t tc_evaluate_member(struct tc_call *c, uint32_t program, uint64_t owner, int64_t *ret)
{
    static const uint8_t type = TC_PTR;
    struct tc_expr_env env = {
        .code = c->hook->code,
        .code_count = c->hook->code_count,
        .arg = &owner,
        .arg_type = &type,
        .arg_count = 1,
        .readable = c->probing ? readable : NULL,
    };

    return tc_expr_eval(&env, program, ret) < 0 ? TC_R_BAD_EXTENT : 0;
}

uint32_t tc_capture_skip(struct tc_call *c)
{
    int64_t v = 0;
    uint32_t r;

    if (c->hook->task->skip == TC_NO_EXPR)
        return 0;
    r = tc_evaluate(c, c->hook->task->skip, &v);
    return r != 0 ? r : v != 0 ? TC_R_SKIPPED : 0;
}

uint32_t tc_capture_olds(struct tc_call *c)
{
    for (uint32_t i = 0; i < c->hook->old_count; i++) {
        uint32_t r = tc_evaluate(c, c->hook->olds[i], &c->old[i]);
        if (r != 0)
            return r;
    }
    return 0;
}

static uint32_t optional(struct tc_call *c, uint32_t program, int64_t absent, int64_t *ret)
{
    *ret = absent;
    return program == TC_NO_EXPR ? 0 : tc_evaluate(c, program, ret);
}

/* Elements to bytes, all of it inside the address space. */
static uint32_t in_bytes(uint64_t elem, int64_t pieces, int64_t length, int64_t stride,
                         struct tc_runs *ret)
{
    uint64_t span;

    if (pieces < 0 || length < 0 || (pieces > 1 && stride < length))
        return TC_R_BAD_EXTENT;
    if (pieces == 0 || length == 0) {
        *ret = (struct tc_runs){(uint64_t)pieces, (uint64_t)length * elem, 0};
        return __builtin_mul_overflow((uint64_t)length, elem, &span) ? TC_R_BAD_EXTENT : 0;
    }
    if (__builtin_mul_overflow((uint64_t)length, elem, &ret->piece_bytes) ||
        ret->piece_bytes > INT64_MAX)
        return TC_R_BAD_EXTENT;
    ret->pieces = (uint64_t)pieces;
    ret->stride_bytes = ret->piece_bytes;
    if (pieces == 1)
        return 0;
    if (__builtin_mul_overflow((uint64_t)stride, elem, &ret->stride_bytes) ||
        __builtin_mul_overflow(ret->stride_bytes, ret->pieces, &span) || span > INT64_MAX)
        return TC_R_BAD_EXTENT;
    return 0;
}

void tc_runs_join(struct tc_runs *e)
{
    if (e->pieces > 1 && e->stride_bytes == e->piece_bytes)
        *e = (struct tc_runs){1, e->pieces * e->piece_bytes, e->pieces * e->piece_bytes};
}

/* Nobody means what stands behind a global. */
static uint32_t inside_global(const struct tc_call *c, const struct tc_param *p,
                              const struct tc_runs *e)
{
    uint64_t bytes = c->hook->globals[p->loc_index].bytes;

    if (bytes == 0 || e->pieces == 0 || e->piece_bytes == 0)
        return 0;
    return (e->pieces - 1) * e->stride_bytes + e->piece_bytes > bytes ? TC_R_BAD_EXTENT : 0;
}

uint32_t tc_extent_of(struct tc_call *c, const struct tc_param *p, struct tc_runs *ret)
{
    int64_t pieces, length, stride;
    uint32_t r = optional(c, p->pieces, 1, &pieces);

    if (r == 0)
        r = optional(c, p->length, 1, &length);
    if (r == 0)
        r = optional(c, p->stride, length, &stride);
    if (r == 0)
        r = in_bytes(tc_element_of(c->hook, p).bytes, pieces, length, stride, ret);
    return r == 0 && p->loc == TC_LOC_GLOBAL ? inside_global(c, p, ret) : r;
}

static int is_output(const struct tc_param *p)
{
    return (p->dir == TC_OUT || p->dir == TC_INOUT) &&
           (p->shape == TC_SHAPE_ARRAY || tc_is_owned(p));
}

static uint32_t capacity_of(struct tc_call *c, const struct tc_param *p, uint64_t *ret)
{
    int64_t elements;
    uint32_t r;

    *ret = UINT64_MAX;
    if (p->capacity == TC_NO_EXPR)
        return 0;
    r = tc_evaluate(c, p->capacity, &elements);
    if (r == 0 &&
        (elements < 0 ||
         __builtin_mul_overflow((uint64_t)elements, tc_element_of(c->hook, p).packed_bytes, ret)))
        r = TC_R_BAD_EXTENT;
    return r;
}

uint64_t tc_packed_bytes(const struct tc_call *c, const struct tc_param *p, uint64_t piece_bytes)
{
    struct tc_element e = tc_element_of(c->hook, p);

    return e.layout == NULL ? piece_bytes : piece_bytes / e.bytes * e.packed_bytes;
}

static uint32_t capture_output(struct tc_call *c, uint32_t param, int after)
{
    const struct tc_param *p = &c->hook->params[param];
    uint32_t at = c->out_count++, r = 0;
    struct tc_extent *out = &c->out[at];
    struct tc_runs e = {0};

    *out = (struct tc_extent){.param = param};
    c->stride_bytes[at] = 0;
    c->capacity_bytes[at] = UINT64_MAX;
    if (c->arg[param] == 0) {
        out->flags = TC_EXTENT_NULL;
        return 0;
    }
    if (tc_is_owned(p))
        return tc_owned_extent(c, at, after);
    if (p->extent_uses_after)
        r = capacity_of(c, p, &c->capacity_bytes[at]);
    if (r == 0 && (after || !p->extent_uses_after))
        r = tc_extent_of(c, p, &e);
    out->pieces = e.pieces;
    out->piece_bytes = tc_packed_bytes(c, p, e.piece_bytes);
    c->stride_bytes[at] = e.stride_bytes;
    if (r == 0 && after && p->extent_uses_after &&
        e.pieces * out->piece_bytes > c->capacity_bytes[at])
        r = TC_R_CAPACITY_EXCEEDED;
    return r;
}

uint32_t tc_capture_outputs(struct tc_call *c, int after)
{
    const struct tc_task *t = c->hook->task;

    c->out_count = 0;
    if (tc_is_owned(&t->owned)) {
        uint32_t r;

        c->out[0] = (struct tc_extent){.param = UINT32_MAX};
        c->out_count = 1;
        r = tc_owned_extent(c, 0, after);
        if (r != 0)
            return r;
    } else if (t->result_kind != TC_RESULT_VOID) {
        uint64_t bytes = t->result_kind != TC_RESULT_VALUE ? sizeof(struct tc_into_arg)
                         : t->result_layout != 0 ? tc_element_of_result(c->hook).packed_bytes
                                                 : sizeof(uint64_t);
        c->out[c->out_count] = (struct tc_extent){1, bytes, UINT32_MAX, 0};
        c->capacity_bytes[c->out_count++] = UINT64_MAX;
    }
    for (uint32_t i = 0; i < c->hook->param_count; i++) {
        uint32_t r = is_output(&c->hook->params[i]) ? capture_output(c, i, after) : 0;
        if (r != 0) {
            c->bad_param = i;
            return r;
        }
    }
    return 0;
}

#include "preload/values.h"

#include <string.h>

#include "cache/f64.h"
#include "preload/extent.h"
#include "preload/layout.h"

static uint32_t kind_of(uint8_t type)
{
    switch (type) {
    case TC_I8:
    case TC_I16:
    case TC_I32:
    case TC_I64:
    case TC_BOOL:
        return TASKCACHE_INTEGER;
    case TC_U8:
    case TC_U16:
    case TC_U32:
    case TC_U64:
        return TASKCACHE_UNSIGNED;
    case TC_F32:
    case TC_F64:
        return TASKCACHE_REAL;
    case TC_PTR:
        return TASKCACHE_POINTER;
    default:
        return TASKCACHE_MEMBERS;
    }
}

/* By bit patterns: a conversion would raise floating-point flags. */
static void put_scalar(uint64_t v, uint8_t type, struct taskcache_value *ret)
{
    uint64_t bits = type == TC_F32 ? tc_f64_from_f32((uint32_t)v) : v;

    ret->kind = kind_of(type);
    if (ret->kind == TASKCACHE_REAL)
        memcpy(&ret->real, &bits, sizeof bits);
    else
        memcpy(&ret->integer, &v, sizeof v);
    ret->bytes = tc_scalar_bytes(type);
}

static uint32_t probe(const struct tc_call *c, uint64_t address, uint64_t bytes)
{
    return c->probing && bytes != 0 && tc_sys_readable(address, bytes) < 0 ? TC_R_UNREADABLE : 0;
}

static uint32_t put_array(struct tc_call *c, const struct tc_param *p, uint64_t address,
                          struct taskcache_value *ret)
{
    struct tc_element element = tc_element_of(c->hook, p);
    struct tc_runs e;
    uint32_t r = tc_extent_of(c, p, &e);

    for (uint64_t i = 0; r == 0 && i < e.pieces; i++)
        r = probe(c, address + i * e.stride_bytes, e.piece_bytes);
    if (r != 0)
        return r;
    ret->kind = TASKCACHE_ARRAY;
    ret->element_kind = element.layout == NULL        ? kind_of(p->elem)
                        : tc_is_of_pointers(&element) ? (uint32_t)TASKCACHE_POINTER
                                                      : (uint32_t)TASKCACHE_MEMBERS;
    ret->element_bytes = (uint32_t)element.bytes;
    ret->pieces = e.pieces;
    ret->bytes = e.piece_bytes;
    ret->stride_bytes = e.stride_bytes;
    return 0;
}

/* A string's end, asked for page by page while the task is new. */
static uint32_t put_string(const struct tc_call *c, uint64_t address, struct taskcache_value *ret)
{
    const char *s = (const char *)(uintptr_t)address;
    uint64_t n = 0;

    for (;; n++) {
        if ((n == 0 || ((address + n) & 4095) == 0) && probe(c, address + n, 1) != 0)
            return TC_R_UNREADABLE;
        if (s[n] == 0)
            break;
    }
    ret->kind = TASKCACHE_STRING;
    ret->bytes = n;
    return 0;
}

static uint32_t direction_of(const struct tc_param *p)
{
    return p->dir == TC_IN      ? TASKCACHE_IN
           : p->dir == TC_OUT   ? TASKCACHE_OUT
           : p->dir == TC_INOUT ? TASKCACHE_INOUT
                                : TASKCACHE_IGNORED;
}

static uint32_t put_value(struct tc_call *c, uint32_t param, struct taskcache_value *ret)
{
    const struct tc_param *p = &c->hook->params[param];
    uint64_t v = c->arg[param];

    memset(ret, 0, sizeof *ret);
    ret->name = tc_task_str(c->hook, p->name);
    ret->direction = direction_of(p);
    ret->kind = TASKCACHE_NULL;
    if (p->dir == TC_HIDDEN)
        return 0; /* callers may leave it out: what is there means nothing */
    if (p->shape == TC_SHAPE_SCALAR && p->type != TC_PTR) {
        put_scalar(v, p->type, ret);
        return 0;
    }
    if (v == 0)
        return 0;
    ret->kind = TASKCACHE_POINTER;
    ret->data = (const void *)(uintptr_t)v;
    if (p->shape == TC_SHAPE_MEMBERS) {
        ret->kind = TASKCACHE_MEMBERS;
        ret->bytes = tc_element_of(c->hook, p).bytes;
        return 0;
    }
    if (p->dir != TC_IN && p->dir != TC_INOUT)
        return 0;
    if (p->shape == TC_SHAPE_ARRAY || p->shape == TC_SHAPE_STRINGS)
        return put_array(c, p, v, ret);
    if (p->shape == TC_SHAPE_STRING || p->shape == TC_SHAPE_FILE)
        return put_string(c, v, ret);
    return 0;
}

/* As the registers hold it: above a narrow type's bits is whatever was there. */
static void put_result(const struct tc_call *c, struct taskcache_value *ret)
{
    if (c->result_type != TC_PTR) {
        put_scalar((uint64_t)tc_widen(c->result, c->result_type), c->result_type, ret);
        return;
    }
    ret->kind = c->result != 0 ? TASKCACHE_POINTER : TASKCACHE_NULL;
    ret->data = (const void *)(uintptr_t)c->result;
}

uint32_t tc_values_of(struct tc_call *c, struct taskcache_value *values,
                      struct taskcache_call *call)
{
    for (uint32_t i = 0; i < c->hook->param_count; i++) {
        uint32_t r = put_value(c, i, &values[i]);
        if (r != 0) {
            c->bad_param = i;
            return r;
        }
    }
    memset(call, 0, sizeof *call);
    call->struct_size = sizeof *call;
    call->value_size = sizeof *values;
    call->task = c->hook->identity;
    call->function = (const void *)(uintptr_t)(c->hook->base + c->hook->plan->entry_vaddr);
    call->values = values;
    call->value_count = c->hook->param_count;
    if (c->result_type != TC_VOID && c->result_type != TC_MEMBERS) {
        struct taskcache_value *v = &values[TC_MAX_PARAMS];
        memset(v, 0, sizeof *v);
        v->name = "return";
        v->direction = TASKCACHE_OUT;
        put_result(c, v);
        call->result = v;
    }
    return 0;
}

#include "preload/layout.h"

#include <string.h>

#include "cache/bits.h"

static struct tc_element element(const struct tc_hook *h, uint32_t layout)
{
    const struct tc_layout *l = &h->layouts[layout - 1];
    struct tc_element e = {NULL, NULL, l->bytes, l->packed_bytes};

    if (!l->is_plain) {
        e.layout = l;
        e.members = &h->members[l->first];
    }
    return e;
}

struct tc_element tc_element_of(const struct tc_hook *h, const struct tc_param *p)
{
    uint64_t bytes = tc_scalar_bytes(p->elem);

    return p->layout != 0 ? element(h, p->layout) : (struct tc_element){NULL, NULL, bytes, bytes};
}

struct tc_element tc_element_of_layout(const struct tc_hook *h, uint32_t layout)
{
    return element(h, layout);
}

struct tc_element tc_element_of_result(const struct tc_hook *h)
{
    return element(h, h->task->result_layout);
}

void tc_gather_member(const struct tc_member *m, const unsigned char *at, tc_gather_fn *put,
                      void *ctx)
{
    uint32_t bytes = tc_scalar_value_bytes(m->type);
    uint64_t v;

    if (m->follow == TC_FOLLOW_IGNORED)
        return;
    at += m->offset;
    if (m->bits == 0 && m->stride == bytes) {
        put(ctx, at, (uint64_t)bytes * m->count);
        return;
    }
    for (uint32_t i = 0; i < m->count; i++, at += m->stride) {
        if (m->bits == 0) {
            put(ctx, at, bytes);
        } else {
            v = tc_bits_get(at, m->bit, m->bits, m->type);
            put(ctx, &v, bytes);
        }
    }
}

void tc_gather(const struct tc_element *e, uint64_t address, uint64_t count, tc_gather_fn *put,
               void *ctx)
{
    const unsigned char *at = (const unsigned char *)(uintptr_t)address;

    if (e->layout == NULL) {
        put(ctx, at, count * e->bytes);
        return;
    }
    for (uint64_t i = 0; i < count; i++, at += e->bytes)
        for (uint32_t k = 0; k < e->layout->count; k++)
            tc_gather_member(&e->members[k], at, put, ctx);
}

static int scatter_member(const struct tc_member *m, unsigned char *at, tc_scatter_fn *take,
                          void *ctx)
{
    uint32_t bytes = tc_scalar_value_bytes(m->type);
    int r = 0;

    if (m->follow == TC_FOLLOW_IGNORED)
        return 0;
    at += m->offset;
    if (m->bits == 0 && m->stride == bytes)
        return take(ctx, at, (uint64_t)bytes * m->count);
    for (uint32_t i = 0; r == 0 && i < m->count; i++, at += m->stride) {
        uint64_t v = 0;
        r = take(ctx, m->bits == 0 ? (void *)at : (void *)&v, bytes);
        if (r == 0 && m->bits != 0 &&
            ((tc_bits_get(at, m->bit, m->bits, m->type) ^ v) & tc_bits_mask(m->bits)) != 0)
            tc_bits_put(at, m->bit, m->bits, v);
    }
    return r;
}

int tc_scatter(const struct tc_element *e, uint64_t address, uint64_t count, tc_scatter_fn *take,
               void *ctx)
{
    unsigned char *at = (unsigned char *)(uintptr_t)address;
    int r = 0;

    if (e->layout == NULL)
        return take(ctx, at, count * e->bytes);
    for (uint64_t i = 0; r == 0 && i < count; i++, at += e->bytes)
        for (uint32_t k = 0; r == 0 && k < e->layout->count; k++)
            r = scatter_member(&e->members[k], at, take, ctx);
    return r;
}

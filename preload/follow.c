#include "preload/follow.h"

#include <string.h>

#include "preload/capture.h"
#include "preload/extent.h"
#include "preload/function_input.h"

struct way {
    struct tc_context *x;
    struct tc_call *c;
    struct tc_walk *walk; /* TC_MAX_DEPTH + 1, of the context */
    uint32_t depth;
    tc_gather_fn *put, *pointer;
    void *arg;
};

static uint64_t pointer_at(const struct way *w, uint64_t address)
{
    uint64_t v;

    if (w->pointer != NULL)
        w->pointer(w->arg, (const void *)(uintptr_t)address, sizeof v);
    memcpy(&v, (const void *)(uintptr_t)address, sizeof v);
    return v;
}

static void put_count(const struct way *w, uint64_t n)
{
    w->put(w->arg, &n, sizeof n);
}

static uint32_t put_string(const struct way *w, uint64_t address)
{
    uint64_t n = UINT64_MAX;
    uint32_t r = address != 0 ? tc_string_bytes(w->c, address, &n) : 0;

    if (r != 0)
        return r;
    put_count(w, n);
    if (address != 0)
        w->put(w->arg, (const void *)(uintptr_t)address, n);
    return 0;
}

static uint32_t put_function(const struct way *w, uint64_t pointer)
{
    unsigned char digest[TC_FUNCTION_DIGEST];
    uint32_t r = pointer != 0 ? tc_function_input(w->x, w->c, pointer, digest) : 0;

    if (r != 0)
        return r;
    put_count(w, pointer != 0 ? 1 : UINT64_MAX);
    if (pointer != 0)
        w->put(w->arg, digest, sizeof digest);
    return 0;
}

/* How many elements the pointer leads to. */
static uint32_t count_of(struct tc_call *c, const struct tc_member *m, uint64_t owner,
                         uint64_t element_bytes, uint64_t *ret)
{
    int64_t n = 1;
    uint32_t r = m->length == TC_NO_EXPR     ? 0
                 : m->owner == TC_OWNER_CALL ? tc_evaluate(c, m->length, &n)
                                             : tc_evaluate_member(c, m->length, owner, &n);
    uint64_t bytes;

    if (r != 0)
        return r;
    if (n < 0 || __builtin_mul_overflow((uint64_t)n, element_bytes, &bytes) || bytes > INT64_MAX)
        return TC_R_BAD_EXTENT;
    *ret = (uint64_t)n;
    return 0;
}

static uint32_t probe(const struct tc_call *c, uint64_t address, uint64_t bytes)
{
    return c->probing && tc_sys_readable(address, bytes) < 0 ? TC_R_UNREADABLE : 0;
}

static uint32_t put_strings(const struct way *w, uint64_t address, uint64_t count)
{
    uint32_t r = probe(w->c, address, count * sizeof(uint64_t));

    put_count(w, count);
    for (uint64_t i = 0; r == 0 && i < count; i++)
        r = put_string(w, pointer_at(w, address + i * sizeof(uint64_t)));
    return r;
}

/* Elements that are structs are looked at next, before the rest of this one. */
static uint32_t enter(struct way *w, const struct tc_element *e, uint64_t address, uint64_t count,
                      uint64_t owner)
{
    if (count == 0)
        return 0;
    if (e->layout == NULL) {
        w->put(w->arg, (const void *)(uintptr_t)address, count * e->bytes);
        return 0;
    }
    if (w->depth > TC_MAX_DEPTH)
        return TC_R_BAD_EXTENT;
    w->walk[w->depth++] = (struct tc_walk){*e, address, count, owner, 0, 0};
    return 0;
}

static uint32_t follow(struct way *w, const struct tc_member *m, const struct tc_walk *k,
                       uint32_t index)
{
    uint64_t at = k->address + (uint64_t)index * m->stride, n = 0;
    uint64_t to = pointer_at(w, at + m->offset);
    uint64_t owner = m->owner >= TC_OWNER_OUTER ? k->owner : at + m->owner;
    struct tc_element e = {NULL, NULL, tc_scalar_bytes(m->elem), 0};
    uint32_t r;

    if (m->follow == TC_FOLLOW_STRING)
        return put_string(w, to);
    if (m->follow == TC_FOLLOW_FUNCTION)
        return put_function(w, to);
    if (to == 0) {
        put_count(w, UINT64_MAX);
        return 0;
    }
    if (m->layout != 0)
        e = tc_element_of_layout(w->c->hook, m->layout);
    r = count_of(w->c, m, owner, e.bytes, &n);
    if (r != 0)
        return r;
    if (m->follow == TC_FOLLOW_STRINGS)
        return put_strings(w, to, n);
    r = probe(w->c, to, n * e.bytes);
    if (r != 0)
        return r;
    put_count(w, n);
    return enter(w, &e, to, n, owner);
}

/* One step: a member of the innermost element. */
static uint32_t step(struct way *w)
{
    struct tc_walk *k = &w->walk[w->depth - 1];
    const struct tc_member *m = &k->element.members[k->member];
    uint32_t index;

    if (k->member == k->element.layout->count) {
        k->member = 0;
        k->address += k->element.bytes;
        if (--k->left == 0)
            w->depth--;
        return 0;
    }
    if (m->follow <= TC_FOLLOW_IGNORED) {
        tc_gather_member(m, (const unsigned char *)(uintptr_t)k->address, w->put, w->arg);
        k->member++;
        return 0;
    }
    index = k->index++;
    if (k->index == m->count) {
        k->index = 0;
        k->member++;
    }
    return follow(w, m, k, index);
}

uint32_t tc_follow(struct tc_call *c, const struct tc_element *e, uint64_t address, uint64_t count,
                   tc_gather_fn *put, tc_gather_fn *pointer, void *arg)
{
    struct tc_context *x =
        (struct tc_context *)(void *)((char *)c - offsetof(struct tc_context, call));
    struct way w = {.x = x, .c = c, .walk = x->walk, .put = put, .pointer = pointer, .arg = arg};
    uint32_t r = enter(&w, e, address, count, 0);

    while (r == 0 && w.depth > 0)
        r = step(&w);
    return r;
}

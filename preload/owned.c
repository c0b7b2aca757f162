#include "preload/owned.h"

#include <errno.h>
#include <string.h>

#include "preload/capture.h"
#include "preload/codec.h"
#include "preload/extent.h"
#include "preload/layout.h"

/* Bound by the loader before anything of ours runs, in the process's global scope: the executable's
 * own, a preloaded allocator's, else libc's. */
extern void *malloc(size_t bytes) __attribute__((weak));
extern void free(void *block) __attribute__((weak));

/* ---- after the body ---- */

static uint32_t block_of(struct tc_call *c, uint32_t i, uint64_t *ret)
{
    const struct tc_extent *e = &c->out[i];
    uint64_t place = e->param == UINT32_MAX ? 0 : c->arg[e->param];

    *ret = c->result;
    if (e->param == UINT32_MAX)
        return 0;
    if (c->probing && tc_sys_readable(place, sizeof *ret) < 0)
        return TC_R_UNREADABLE;
    memcpy(ret, (const void *)(uintptr_t)place, sizeof *ret);
    return 0;
}

/* Read once: what is measured, probed and kept is one block, whatever other threads do. */
uint32_t tc_owned_extent(struct tc_call *c, uint32_t i, int after)
{
    struct tc_extent *e = &c->out[i];
    const struct tc_param *p = tc_output_param(c, e);
    struct tc_runs runs = {0};
    uint64_t n = 0;
    uint32_t r;

    e->pieces = 1;
    e->piece_bytes = 0;
    c->stride_bytes[i] = 0;
    c->capacity_bytes[i] = TC_ANY_SIZE;
    c->block[i] = 0;
    if (!after)
        return 0;
    if (p->shape == TC_SHAPE_CODEC && e->param == UINT32_MAX && c->result == 0) {
        e->flags |= TC_EXTENT_NO_BLOCK;
        return 0;
    }
    if (p->shape == TC_SHAPE_CODEC)
        return tc_codec_encode(
            (struct tc_context *)(void *)((char *)c - offsetof(struct tc_context, call)), c, i);
    r = block_of(c, i, &c->block[i]);
    if (r != 0)
        return r;
    if (c->block[i] == 0) {
        e->flags |= TC_EXTENT_NO_BLOCK;
        return 0;
    }
    if (p->shape == TC_SHAPE_TEXT) {
        r = tc_string_bytes(c, c->block[i], &n);
        e->piece_bytes = n + 1;
        return r;
    }
    r = tc_extent_of(c, p, &runs);
    e->piece_bytes = tc_packed_bytes(c, p, runs.piece_bytes);
    return r;
}

/* ---- the host's allocator ---- */

/* errno stays the caller's: the record says what the call made of it. */
static uint64_t call_host(struct tc_context *x, void *function, uint64_t argument)
{
    int before = x->errno_place != NULL ? *x->errno_place : 0;
    struct tc_host_call call = {(uint64_t)(uintptr_t)function, {argument}, 0};
    int threw = tc_call_host(&call);

    if (x->errno_place != NULL)
        *x->errno_place = before;
    return threw ? 0 : call.result;
}

static uint64_t allocate(struct tc_context *x, uint64_t bytes)
{
    if (malloc == NULL || free == NULL)
        return 0;
    /* An empty block isn't NULL: the record says which it was. */
    return call_host(x, (void *)(uintptr_t)malloc, bytes != 0 ? bytes : 1);
}

/* ---- static results ---- */

struct tc_static {
    struct tc_static *next;
    const struct tc_hook *hook;
    size_t mapped_bytes;
    unsigned char memory[] __attribute__((aligned(64)));
};

/* Of threads that have ended. Atomic. */
static uint64_t left_bytes;

static void unlink_static(struct tc_context *x, struct tc_static **place)
{
    struct tc_static *s = *place;

    *place = s->next;
    x->static_bytes -= s->mapped_bytes;
    tc_sys_munmap(s, s->mapped_bytes);
}

void tc_statics_leave(struct tc_context *x)
{
    __atomic_fetch_add(&left_bytes, x->static_bytes, __ATOMIC_RELAXED);
    x->statics = NULL;
    x->static_bytes = 0;
}

/* The thread's copy of the task's result is valid until its next call of the task: that is now. */
static uint64_t static_memory(struct tc_context *x, const struct tc_hook *h, uint64_t bytes)
{
    struct tc_static **place = &x->statics, *s;
    uint64_t mapped = (bytes + sizeof *s + 4095) & ~4095ull;

    while (*place != NULL && (*place)->hook != h)
        place = &(*place)->next;
    if (*place != NULL && (*place)->mapped_bytes >= mapped)
        return (uint64_t)(uintptr_t)(*place)->memory;
    if (bytes > TC_STATIC_BYTES || tc_is_sandboxed())
        return 0;
    if (__atomic_load_n(&left_bytes, __ATOMIC_RELAXED) > TC_STATIC_LEFT_BYTES)
        return 0;
    if (x->static_bytes - (*place != NULL ? (*place)->mapped_bytes : 0) + mapped > TC_STATIC_BYTES)
        return 0;
    s = tc_sys_mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    if (s == NULL)
        return 0;
    if (*place != NULL)
        unlink_static(x, place);
    s->hook = h;
    s->mapped_bytes = mapped;
    s->next = x->statics;
    x->statics = s;
    x->static_bytes += mapped;
    return (uint64_t)(uintptr_t)s->memory;
}

/* ---- on a hit ---- */

/* What a codec makes, it allocates. */
static int is_codec(const struct tc_call *c, uint32_t i)
{
    const struct tc_param *p = tc_output_param(c, &c->out[i]);

    return p != NULL && p->shape == TC_SHAPE_CODEC;
}

static int is_static(const struct tc_call *c, uint32_t i)
{
    return c->out[i].param == UINT32_MAX && c->hook->task->result_kind == TC_RESULT_STATIC;
}

void tc_owned_release(struct tc_call *c)
{
    struct tc_context *x =
        (struct tc_context *)(void *)((char *)c - offsetof(struct tc_context, call));

    for (uint32_t i = 0; i < c->out_count; i++) {
        uint64_t block = tc_output_is_owned(c, i) && !is_codec(c, i) ? c->block[i] : 0;

        c->block[i] = 0;
        if (block != 0 && !is_static(c, i))
            (void)call_host(x, (void *)(uintptr_t)free, block);
    }
}

int tc_owned_allocate(struct tc_context *x, struct tc_call *c)
{
    for (uint32_t i = 0; i < c->out_count; i++)
        c->block[i] = 0;
    for (uint32_t i = 0; i < c->out_count; i++) {
        const struct tc_extent *e = &c->out[i];
        struct tc_element element;
        uint64_t bytes;

        if (!tc_output_is_owned(c, i) || is_codec(c, i) ||
            e->flags & (TC_EXTENT_NULL | TC_EXTENT_NO_BLOCK))
            continue;
        element = tc_element_of(c->hook, tc_output_param(c, e));
        bytes = tc_element_span(&element, e->piece_bytes);
        c->block[i] = is_static(c, i) ? static_memory(x, c->hook, bytes) : allocate(x, bytes);
        if (c->block[i] == 0) {
            tc_owned_release(c);
            return -ENOMEM;
        }
    }
    return 0;
}

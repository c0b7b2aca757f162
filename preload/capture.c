#include "preload/capture.h"

#include <errno.h>
#include <string.h>

#include "preload/codec.h"
#include "preload/extent.h"
#include "preload/file_input.h"
#include "preload/follow.h"
#include "preload/function_input.h"
#include "preload/layout.h"
#include "preload/overlap.h"
#include "preload/owned.h"
#include "preload/prepare.h"

static const unsigned char *stack_argument(const struct tc_frame *f, uint32_t index)
{
    return (const unsigned char *)(uintptr_t)(f->entry + 8 + 8ull * index);
}

uint32_t tc_capture_offset(uint8_t loc, uint16_t index)
{
    static const uint8_t places[8] = {
        offsetof(struct tc_frame, rdi), offsetof(struct tc_frame, rsi),
        offsetof(struct tc_frame, rdx), offsetof(struct tc_frame, rcx),
        offsetof(struct tc_frame, r8),  offsetof(struct tc_frame, r9)};

    return loc == TC_LOC_INT ? places[index % 8]
                             : (uint32_t)offsetof(struct tc_frame, xmm) + 16u * (index % 8);
}

/* The register or stack slot that `loc` names. */
static uint64_t argument_at(const struct tc_frame *f, uint8_t loc, uint16_t index)
{
    const unsigned char *at = loc == TC_LOC_STACK
                                  ? stack_argument(f, index)
                                  : (const unsigned char *)f + tc_capture_offset(loc, index);
    uint64_t v;

    memcpy(&v, at, sizeof v);
    return v;
}

/* A value with members stands for the address of its bytes: the caller's stack, or what its
 * registers held. Both last until the call has returned. */
static uint64_t members_argument(struct tc_frame *f, const struct tc_param *p, uint32_t *used)
{
    uint64_t *image = &f->image[*used];

    if (p->loc == TC_LOC_STACK)
        return (uint64_t)(uintptr_t)stack_argument(f, p->loc_index);
    if (*used > TC_IMAGE_WORDS - 2)
        return 0;
    *used += p->second_loc != 0 ? 2 : 1;
    image[0] = argument_at(f, p->loc, p->loc_index);
    if (p->second_loc != 0)
        image[1] = argument_at(f, p->second_loc, p->second_index);
    return (uint64_t)(uintptr_t)image;
}

/* A global's address, or the pointer that it holds. */
static uint64_t global_argument(const struct tc_hook *h, const struct tc_param *p)
{
    if (p->loc == TC_LOC_PATH)
        return (uint64_t)(uintptr_t)tc_task_str(h, p->path);

    const struct tc_plan_global *g = &h->globals[p->loc_index];
    uint64_t at = h->base + g->vaddr, pointer;

    if (g->kind == TC_GLOBAL_IN_SLOT)
        memcpy(&at, (const void *)(uintptr_t)at, sizeof at);
    if (p->loc == TC_LOC_GLOBAL || at == 0)
        return at;
    memcpy(&pointer, (const void *)(uintptr_t)at, sizeof pointer);
    return pointer;
}

uint32_t tc_capture_globals(const struct tc_call *c)
{
    const struct tc_hook *h = c->hook;

    for (uint32_t i = tc_own_params(h->params, h->param_count); i < h->param_count; i++)
        if (global_argument(h, &h->params[i]) != c->arg[i])
            return TC_R_INPUTS_CHANGED;
    return 0;
}

void tc_capture_arguments(struct tc_call *c)
{
    uint32_t image = 0;

    for (uint32_t i = 0; i < c->hook->param_count; i++) {
        const struct tc_param *p = &c->hook->params[i];
        uint64_t v = 0;

        if (p->type == TC_MEMBERS)
            v = members_argument(c->frame, p, &image);
        else if (p->loc >= TC_LOC_GLOBAL)
            v = global_argument(c->hook, p);
        else if (p->dir != TC_HIDDEN)
            v = argument_at(c->frame, p->loc, p->loc_index);
        c->arg[i] = tc_scalar_bytes(p->type) == 8 ? v : (uint64_t)tc_widen(v, p->type);
        c->arg_type[i] = p->type == TC_MEMBERS ? TC_PTR : p->type;
    }
    c->result_type = TC_VOID;
}

void tc_capture_probation(struct tc_call *c)
{
    uint32_t left = __atomic_load_n(&c->hook->probation, __ATOMIC_RELAXED);

    c->probing = left != 0 && !tc_is_sandboxed();
    if (left != 0)
        __atomic_compare_exchange_n(&c->hook->probation, &left, left - 1, 0, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED);
}

void tc_capture_failed(struct tc_call *c, uint32_t reason)
{
    if (reason == TC_R_UNREADABLE || reason == TC_R_BAD_EXTENT)
        __atomic_store_n(&c->hook->probation, TC_PROBATION, __ATOMIC_RELAXED);
}

/* A run of the caller's memory, probed first while the task is new. */
static uint32_t probe(const struct tc_call *c, uint64_t address, uint64_t bytes)
{
    return c->probing && tc_sys_readable(address, bytes) < 0 ? TC_R_UNREADABLE : 0;
}

static void add_content(void *ctx, const void *data, uint64_t bytes)
{
    tc_material_content(ctx, data, bytes);
}

/* A run of the memory that an input takes: does an output lie there, too? */
static void note(struct tc_call *c, uint64_t address, uint64_t bytes, const struct tc_material *m)
{
    if (c->out_count != 0)
        tc_overlap_input(c, c->bad_param, address, bytes, m->left);
}

struct noted {
    struct tc_call *c;
    struct tc_material *m;
};

static void add_noted(void *ctx, const void *data, uint64_t bytes)
{
    struct noted *n = ctx;

    note(n->c, (uint64_t)(uintptr_t)data, bytes, n->m);
    tc_material_content(n->m, data, bytes);
}

static void note_pointer(void *ctx, const void *data, uint64_t bytes)
{
    struct noted *n = ctx;

    note(n->c, (uint64_t)(uintptr_t)data, bytes, n->m);
}

static uint32_t add_elements(struct tc_call *c, const struct tc_element *e, uint64_t address,
                             uint64_t bytes, struct tc_material *m)
{
    struct noted noted = {c, m};

    if (tc_follows(e))
        return tc_follow(c, e, address, bytes / e->bytes, add_noted, note_pointer, &noted);
    if (e->layout == NULL)
        tc_material_content(m, (const void *)(uintptr_t)address, bytes);
    else
        tc_gather(e, address, bytes / e->bytes, add_content, m);
    return 0;
}

static void count_content(void *ctx, const void *data, uint64_t bytes)
{
    uint64_t *sum = ctx;

    (void)data;
    *sum += bytes;
}

/* How many bytes the content is going to have. */
static uint32_t measure(struct tc_call *c, const struct tc_element *e, const struct tc_runs *runs,
                        uint64_t address, uint64_t *ret)
{
    uint32_t r = 0;

    *ret = 0;
    for (uint64_t i = 0; r == 0 && i < runs->pieces && runs->piece_bytes != 0; i++)
        r = tc_follow(c, e, address + i * runs->stride_bytes, runs->piece_bytes / e->bytes,
                      count_content, NULL, ret);
    return r;
}

/* Functions of their own: a hit has 2 KiB of stack, and others' inputs lie deeper. */
#define APART __attribute__((noinline)) static

static uint32_t add_array(struct tc_call *c, const struct tc_param *p, uint64_t address,
                          struct tc_material *m)
{
    struct tc_element element = tc_element_of(c->hook, p);
    struct tc_runs e;
    uint64_t shape[2], bytes;
    uint32_t r = tc_extent_of(c, p, &e);

    if (r != 0)
        return r;
    /* The shape doesn't depend on the stride: equal matrices in buffers of different width have
     * equal keys. */
    shape[0] = e.pieces;
    shape[1] = tc_packed_bytes(c, p, e.piece_bytes);
    tc_runs_join(&e);
    for (uint64_t i = 0; r == 0 && i < e.pieces && e.piece_bytes != 0; i++)
        r = probe(c, address + i * e.stride_bytes, e.piece_bytes);
    bytes = shape[0] * shape[1];
    if (r == 0 && tc_follows(&element)) {
        shape[1] = e.piece_bytes / element.bytes;
        r = measure(c, &element, &e, address, &bytes);
    }
    if (r != 0)
        return r;
    if (tc_material_begin(m, tc_task_str(c->hook, p->name), p->name.bytes, TC_TAG_ARRAY,
                          sizeof shape + bytes) < 0)
        return TC_R_NO_KEY;
    tc_material_content(m, shape, sizeof shape);
    if (!tc_follows(&element) && e.pieces != 0 && e.piece_bytes != 0)
        note(c, address, (e.pieces - 1) * e.stride_bytes + e.piece_bytes, m);
    for (uint64_t i = 0; r == 0 && i < e.pieces && e.piece_bytes != 0; i++)
        r = add_elements(c, &element, address + i * e.stride_bytes, e.piece_bytes, m);
    return r;
}

/* strlen() that asks first while the task is new. */
uint32_t tc_string_bytes(const struct tc_call *c, uint64_t address, uint64_t *ret)
{
    const char *s = (const char *)(uintptr_t)address;
    uint64_t n = 0;

    for (;; n++) {
        if (c->probing && (n == 0 || ((address + n) & 4095) == 0) &&
            tc_sys_readable(address + n, 1) < 0)
            return TC_R_UNREADABLE;
        if (s[n] == 0)
            break;
    }
    *ret = n;
    return 0;
}

static uint32_t add_string(struct tc_call *c, const struct tc_param *p, uint64_t address,
                           struct tc_material *m)
{
    uint64_t n = 0;
    uint32_t r = tc_string_bytes(c, address, &n);

    if (r != 0)
        return r;
    if (tc_material_begin(m, tc_task_str(c->hook, p->name), p->name.bytes, TC_TAG_STRING, n) < 0)
        return TC_R_NO_KEY;
    note(c, address, n + 1, m);
    tc_material_content(m, (const void *)(uintptr_t)address, n);
    return 0;
}

APART uint32_t add_codec(struct tc_call *c, const struct tc_param *p, uint64_t address,
                         struct tc_material *m)
{
    struct tc_context *x =
        (struct tc_context *)(void *)((char *)c - offsetof(struct tc_context, call));
    struct tc_codec_content content;
    uint32_t r = tc_codec_digest(x, c, p, address, &content);

    if (r != 0)
        return r;
    if (tc_material_begin(m, tc_task_str(c->hook, p->name), p->name.bytes, TC_TAG_CODEC,
                          sizeof content) < 0)
        return TC_R_NO_KEY;
    note(c, address, 1, m); /* how long it is, its codec alone knows */
    tc_material_content(m, &content, sizeof content);
    return 0;
}

APART uint32_t add_file(struct tc_call *c, const struct tc_param *p, uint64_t address,
                        struct tc_material *m)
{
    struct tc_context *x =
        (struct tc_context *)(void *)((char *)c - offsetof(struct tc_context, call));
    struct tc_file_content content;
    uint64_t bytes = 0, n = 0;
    uint32_t r = tc_string_bytes(c, address, &n);

    if (r == 0)
        r = tc_file_input(x, (const char *)(uintptr_t)address, &content, &bytes);
    if (r == 0 && p->is_depend && bytes == 0)
        r = TC_R_DEPENDENCY_MISSING;
    if (r != 0)
        return r;
    if (tc_material_begin(m, tc_task_str(c->hook, p->name), p->name.bytes, TC_TAG_FILE, bytes) < 0)
        return TC_R_NO_KEY;
    note(c, address, n + 1, m);
    tc_material_content(m, &content, bytes);
    return 0;
}

APART uint32_t add_function(struct tc_call *c, const struct tc_param *p, uint64_t address,
                            struct tc_material *m)
{
    unsigned char digest[TC_FUNCTION_DIGEST];
    struct tc_context *x =
        (struct tc_context *)(void *)((char *)c - offsetof(struct tc_context, call));
    uint32_t r = tc_function_input(x, c, address, digest);

    if (r != 0)
        return r;
    if (tc_material_begin(m, tc_task_str(c->hook, p->name), p->name.bytes, TC_TAG_FUNCTION,
                          sizeof digest) < 0)
        return TC_R_NO_KEY;
    tc_material_content(m, digest, sizeof digest);
    return 0;
}

/* Several strings: the count, then each with its length; UINT64_MAX stands for NULL. */
APART uint32_t add_strings(struct tc_call *c, const struct tc_param *p, uint64_t address,
                           struct tc_material *m)
{
    /* Each is read once where it is used: another thread may make it NULL. */
    const volatile uint64_t *strings = (const volatile void *)(uintptr_t)address;
    uint64_t total = sizeof(uint64_t), n = 0;
    struct tc_runs e;
    uint32_t r = tc_extent_of(c, p, &e);
    uint64_t count = r == 0 ? e.pieces * e.piece_bytes / sizeof(uint64_t) : 0;

    if (r == 0)
        r = probe(c, address, e.pieces * e.piece_bytes);
    for (uint64_t i = 0; r == 0 && i < count; i++) {
        uint64_t s = strings[i];
        n = 0;
        r = s != 0 ? tc_string_bytes(c, s, &n) : 0;
        total += sizeof n + n;
    }
    if (r != 0)
        return r;
    if (tc_material_begin(m, tc_task_str(c->hook, p->name), p->name.bytes, TC_TAG_STRINGS, total) <
        0)
        return TC_R_NO_KEY;
    tc_material_content(m, &count, sizeof count);
    note(c, address, count * sizeof(uint64_t), m);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t s = strings[i], frame = s != 0 ? strlen((const char *)(uintptr_t)s) : UINT64_MAX;
        tc_material_content(m, &frame, sizeof frame);
        if (s == 0)
            continue;
        note(c, s, frame + 1, m);
        tc_material_content(m, (const void *)(uintptr_t)s, frame);
    }
    return 0;
}

uint64_t tc_capture_piece(const struct tc_call *c, const struct tc_extent *e)
{
    struct tc_element element = tc_element_of(c->hook, tc_output_param(c, e));

    return tc_element_span(&element, e->piece_bytes);
}

static uint32_t add_input(struct tc_call *c, uint32_t param, struct tc_material *m)
{
    const struct tc_param *p = &c->hook->params[param];
    const char *name = tc_task_str(c->hook, p->name);
    uint64_t v = c->arg[param];
    uint32_t r;

    if (p->shape == TC_SHAPE_OPAQUE)
        return TC_R_OPAQUE;
    if (p->shape == TC_SHAPE_SCALAR) {
        if (tc_material_begin(m, name, p->name.bytes, (uint8_t)(TC_TAG_SCALAR + p->type),
                              tc_scalar_bytes(p->type)) < 0)
            return TC_R_NO_KEY;
        tc_material_content(m, &v, tc_scalar_bytes(p->type));
        r = 0;
    } else if (p->shape == TC_SHAPE_MEMBERS) {
        struct tc_element e = tc_element_of(c->hook, p);
        struct tc_runs one = {1, e.bytes, 0};
        uint64_t bytes = e.packed_bytes;

        r = v != 0 && tc_follows(&e) ? measure(c, &e, &one, v, &bytes) : 0;
        if (r != 0)
            return r;
        if (v == 0 || tc_material_begin(m, name, p->name.bytes, TC_TAG_MEMBERS, bytes) < 0)
            return TC_R_NO_KEY;
        r = add_elements(c, &e, v, e.bytes, m);
    } else if (v == 0) {
        r = tc_material_begin(m, name, p->name.bytes, TC_TAG_NULL, 0) < 0 ? TC_R_NO_KEY : 0;
    } else if (p->shape == TC_SHAPE_ARRAY) {
        r = add_array(c, p, v, m);
    } else if (p->shape == TC_SHAPE_FUNCTION) {
        r = add_function(c, p, v, m);
    } else if (p->shape == TC_SHAPE_FILE) {
        r = add_file(c, p, v, m);
    } else if (p->shape == TC_SHAPE_CODEC) {
        r = add_codec(c, p, v, m);
    } else if (p->shape == TC_SHAPE_STRING) {
        r = add_string(c, p, v, m);
    } else {
        r = add_strings(c, p, v, m);
    }
    return r == 0 && tc_material_end(m) < 0 ? TC_R_INPUTS_CHANGED : r;
}

static uint32_t add_inputs(struct tc_call *c, struct tc_material *m)
{
    const struct tc_hook *h = c->hook;
    uint32_t r = 0;

    for (uint32_t i = 0; r == 0 && i < h->key_param_count; i++) {
        if (h->params[h->key_params[i]].dir == TC_OUT && c->arg[h->key_params[i]] != 0)
            continue;
        c->bad_param = h->key_params[i];
        r = add_input(c, h->key_params[i], m);
    }
    return r;
}

/* The last components, and the key. (What a key says of a simple task's call, table.c compares,
 * too.) */
static uint32_t end_key(struct tc_call *c, struct tc_material *m)
{
    uint32_t r = tc_prepare_odd_fp(c->hook, m);

    if (r == 0 && c->out_count != 0)
        r = tc_overlaps_end(c, m);
    if (r == 0)
        c->key = tc_material_key(m);
    return r;
}

/* What is the same at all calls of the process run. */
static uint32_t begin_prepared(const struct tc_hook *h, struct tc_material *m)
{
    if (h->prefix_bytes == 0)
        return TC_R_NO_KEY;
    memcpy(m->memory, h->prefix, h->prefix_bytes);
    m->bytes = h->prefix_bytes;
    m->reserved = h->reserved;
    if (h->fpenv_at != 0)
        tc_arch_fp_control(m->memory + h->fpenv_at);
    return 0;
}

/* The key begins with what a template says. */
APART uint32_t begin_with_text(struct tc_context *x, struct tc_call *c)
{
    struct tc_key_text key;
    uint32_t r = tc_template_text(x, c, &key);

    if (r != 0)
        return r;
    tc_material_init(&c->material, x->material, &x->hash, x->call.seed);
    return tc_prepare_with_key(c->hook, &key, &c->material);
}

/* ... or with what key functions give. */
APART uint32_t begin_with_functions(struct tc_context *x, struct tc_call *c,
                                    const struct tc_flow *flow)
{
    struct tc_key_member members[TC_MAX_KEY_FUNCTIONS];
    uint32_t count, r = tc_key_functions(x, c, members, &count);

    tc_material_init(&c->material, x->material, &x->hash, x->call.seed);
    return r != 0 ? r : tc_prepare_with_functions(c->hook, flow, members, count, &c->material);
}

uint32_t tc_capture_key(struct tc_context *x, struct tc_call *c)
{
    const uint32_t of_flow = TC_POLICY_RUN_ID | TC_POLICY_FLOW_PARAMETERS;
    const struct tc_hook *h = c->hook;
    const struct tc_flow *flow = (h->active.policy & of_flow) != 0 ? c->flow : NULL;
    struct tc_material *m = &c->material;
    uint32_t r;

    tc_overlaps_begin(c);
    if (h->active.policy & TC_POLICY_KEY) {
        r = begin_with_text(x, c);
        return r != 0 ? r : end_key(c, m);
    }
    if (h->active.policy & TC_POLICY_FUNCTION) {
        r = begin_with_functions(x, c, flow);
    } else {
        tc_material_init(m, x->material, &x->hash, x->call.seed);
        r = flow != NULL ? tc_prepare_in_flow(h, flow, m) : begin_prepared(h, m);
    }
    if (r == 0)
        r = add_inputs(c, m);
    return r != 0 ? r : end_key(c, m);
}

uint32_t tc_capture_flow(struct tc_context *x, struct tc_call *c, uint8_t ret[16])
{
    const struct tc_hook *h = c->hook;
    struct tc_material *m = &c->material;
    uint32_t r;

    c->out_count = 0;
    tc_overlaps_begin(c);
    tc_material_init(m, x->material, &x->hash, x->call.seed);
    for (uint32_t i = 0; i < h->key_param_count; i++)
        tc_material_announce(m, h->params[h->key_params[i]].name.bytes);
    r = add_inputs(c, m);
    if (r != 0)
        return r;
    c->key = tc_material_key(m);
    memcpy(ret, &c->key, sizeof c->key);
    return 0;
}

static int find_param(const struct tc_call *c, const struct tc_component *k)
{
    for (uint32_t i = 0; i < c->hook->param_count; i++) {
        const struct tc_param *p = &c->hook->params[i];
        if (p->name.bytes == k->head.name_bytes &&
            memcmp(tc_task_str(c->hook, p->name), k->name, k->head.name_bytes) == 0)
            return (int)i;
    }
    return -1;
}

/* Captures one input again, under the same conditions of room as the first time, and compares. */
static uint32_t compare_one(struct tc_context *x, struct tc_call *c, uint32_t param,
                            const struct tc_component *k)
{
    struct tc_material m;
    struct tc_component now;
    size_t offset = 0;
    uint32_t r;

    tc_material_init(&m, x->check, &x->hash, x->call.seed);
    tc_material_announce(&m, k->head.name_bytes);
    if (k->head.form == 1)
        m.bytes = TC_MATERIAL_BYTES - m.reserved; /* no room: a digest, as the first time */
    offset = m.bytes;
    r = add_input(c, param, &m);
    if (r != 0)
        return r == TC_R_NO_KEY ? TC_R_INPUTS_CHANGED : r;
    if (tc_material_next(x->check, m.bytes, &offset, &now) != 1 || now.head.form != k->head.form ||
        now.head.tag != k->head.tag || now.head.content_bytes != k->head.content_bytes)
        return TC_R_INPUTS_CHANGED;
    return memcmp(now.content, k->content, k->head.form ? 16 : (size_t)k->head.content_bytes) != 0
               ? TC_R_INPUTS_CHANGED
               : 0;
}

static int is_followed(const struct tc_call *c, const struct tc_param *p)
{
    struct tc_element e = tc_element_of(c->hook, p);

    return tc_follows(&e);
}

uint32_t tc_capture_compare(struct tc_context *x, struct tc_call *c, const unsigned char *material,
                            size_t bytes)
{
    struct tc_component k;
    size_t offset = 0;

    while (tc_material_next(material, bytes, &offset, &k) == 1) {
        int param = k.head.name_bytes > 0 && k.name[0] != '=' ? find_param(c, &k) : -1;
        const struct tc_param *p = param >= 0 ? &c->hook->params[param] : NULL;
        uint32_t r;

        if (p == NULL || p->dir != TC_IN || p->shape == TC_SHAPE_SCALAR ||
            (p->shape == TC_SHAPE_MEMBERS && !is_followed(c, p)) || p->shape == TC_SHAPE_FUNCTION ||
            tc_overlap_is_output(c, (uint32_t)param))
            continue;
        c->bad_param = (uint32_t)param;
        r = compare_one(x, c, (uint32_t)param, &k);
        if (r != 0)
            return r;
    }
    return 0;
}

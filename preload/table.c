#include "preload/table.h"

#include <string.h>

#include "preload/capture.h"
#include "preload/log.h"
#include "preload/replay.h"
#include "preload/report.h"

#define KEYS_OF_MORE \
    (TC_POLICY_KEY | TC_POLICY_FUNCTION | TC_POLICY_RUN_ID | TC_POLICY_FLOW_PARAMETERS)

/* Numbers and scalar arguments only: its value is the same at all calls with the same words. */
static int is_pure(const struct tc_hook *h, uint32_t program, uint32_t scalars)
{
    if (program == TC_NO_EXPR)
        return 1;
    for (uint32_t i = program; i < h->code_count; i++) {
        const struct tc_insn *in = &h->code[i];
        switch (in->op) {
        case TC_OP_END:
            return 1;
        case TC_OP_ARG:
            if (in->arg >= TC_MAX_PARAMS || !(scalars >> in->arg & 1))
                return 0;
            break;
        case TC_OP_RETURN:
        case TC_OP_OLD:
        case TC_OP_LOAD:
        case TC_OP_STRLEN:
        case TC_OP_BITS:
            return 0;
        default:
            break;
        }
    }
    return 0;
}

/* In a register or a stack slot of the caller? */
static int place_of(const struct tc_param *p, uint32_t bytes, struct tc_simple_word *ret)
{
    if (bytes == 0 || bytes > sizeof(uint64_t) || p->second_loc != 0 ||
        (p->loc != TC_LOC_INT && p->loc != TC_LOC_SSE && p->loc != TC_LOC_STACK))
        return 0;
    ret->mask = UINT64_MAX >> (64 - 8 * bytes);
    ret->on_stack = p->loc == TC_LOC_STACK;
    ret->offset = ret->on_stack ? 8u * p->loc_index : tc_capture_offset(p->loc, p->loc_index);
    return 1;
}

static int add_scalar(const struct tc_param *p, struct tc_simple *s)
{
    if (p->dir == TC_HIDDEN)
        return 1; /* callers may leave it out */
    return s->words < TC_SIMPLE_WORDS && p->type < TC_PTR &&
           place_of(p, tc_scalar_bytes(p->type), &s->word[s->words++]);
}

static int add_output(const struct tc_hook *h, const struct tc_param *p, uint32_t scalars,
                      struct tc_simple *s)
{
    return p->dir == TC_OUT && p->shape == TC_SHAPE_ARRAY && p->type == TC_PTR && p->layout == 0 &&
           p->capacity == TC_NO_EXPR && !p->extent_uses_after && is_pure(h, p->pieces, scalars) &&
           is_pure(h, p->length, scalars) && is_pure(h, p->stride, scalars) &&
           s->outputs < TC_SIMPLE_OUTPUTS &&
           place_of(p, sizeof(uint64_t), &s->output[s->outputs++]);
}

static int is_scalar(const struct tc_param *p)
{
    return p->shape == TC_SHAPE_SCALAR && p->dir != TC_OUT && p->dir != TC_INOUT;
}

static int add_params(const struct tc_hook *h, struct tc_simple *s)
{
    uint32_t scalars = 0;

    for (uint32_t i = 0; i < h->param_count; i++)
        if (is_scalar(&h->params[i]) && h->params[i].dir != TC_HIDDEN)
            scalars |= 1u << i;
    for (uint32_t i = 0; i < h->param_count; i++) {
        const struct tc_param *p = &h->params[i];
        if (!(is_scalar(p) ? add_scalar(p, s) : add_output(h, p, scalars, s)))
            return 0;
    }
    return is_pure(h, h->task->skip, scalars);
}

static int add_result(const struct tc_task *t, struct tc_simple *s)
{
    s->has_result = t->result_kind == TC_RESULT_VALUE;
    s->in_vector = t->result_type == TC_F32 || t->result_type == TC_F64;
    return t->result_kind == TC_RESULT_VOID || (s->has_result && t->result_layout == 0);
}

void tc_table_prepare(struct tc_hook *h)
{
    static uint32_t stamps; /* one hook at a time is prepared */
    const struct tc_task *t = h->task;
    struct tc_simple *s = &h->simple;

    memset(s, 0, sizeof *s);
    if (h->prefix_bytes == 0 || h->active.policy & KEYS_OF_MORE || h->active.refresh ||
        h->active.verify != 0 || h->in_flow || tc_state.flows_not_yet || tc_state.flows_matter ||
        t->storage != 0 || t->key_storage != 0 || t->flags & (TC_TASK_FLOW | TC_TASK_THREADS) ||
        h->old_count != 0 || h->gives_blocks || !add_params(h, s) || !add_result(t, s))
        return;
    s->stamp = ++stamps;
}

static uint64_t word_of(const struct tc_frame *f, const struct tc_simple_word *w)
{
    const unsigned char *base =
        w->on_stack ? (const unsigned char *)(uintptr_t)(f->entry + 8) : (const unsigned char *)f;
    uint64_t v;

    memcpy(&v, base + w->offset, sizeof v);
    return v & w->mask;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9fb21c651e98df25ull;
    return h ^ h >> 32;
}

static void collect(struct tc_table *t, const struct tc_frame *f, const struct tc_simple *s)
{
    uint64_t h = s->stamp, nulls = 0;
    uint32_t n = 0;

    for (; n < s->words; n++)
        h = mix(h, t->word[n] = word_of(f, &s->word[n]));
    for (uint32_t i = 0; i < s->outputs; i++)
        nulls |= (uint64_t)(word_of(f, &s->output[i]) == 0) << i;
    t->word[n] = nulls;
    t->word[n + 1] = tc_arch_fp_word();
    t->hash = (uint32_t)h | 1; /* never 0, which nothing was seen of */
}

static uint32_t place_in_table(uint32_t hash)
{
    return hash >> 8 & (TC_TABLE_ENTRIES - 1);
}

static int has_words(const struct tc_table_entry *e, const struct tc_table *t,
                     const struct tc_simple *s)
{
    uint64_t differ = 0;

    for (uint32_t i = 0; i < s->words + 2u; i++)
        differ |= e->word[i] ^ t->word[i];
    return differ == 0;
}

/* Loaded in the order in which a look-up in the store loads them (lookup.c). */
static int is_current(const struct tc_table_entry *e)
{
    const struct tc_shared_page *page = tc_state.page;

    return __atomic_load_n(&page->generation, __ATOMIC_ACQUIRE) == e->generation &&
           __atomic_load_n(&page->ceiling, __ATOMIC_ACQUIRE) == e->ceiling;
}

/* Outputs in each other's memory are a part of the key (overlap.h): not here. */
static int lie_apart(const struct tc_table_entry *e, const uint64_t *to, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (e->bytes[i] != 0 && e->bytes[k] != 0 &&
                (to[i] - to[k] < e->bytes[k] || to[k] - to[i] < e->bytes[i]))
                return 0;
    return 1;
}

static void write_outputs(const struct tc_table_entry *e, const uint64_t *to, struct tc_frame *f,
                          const struct tc_simple *s)
{
    const unsigned char *at = e->outputs;
    uint64_t image;

    if (s->has_result) {
        memcpy(&image, at, sizeof image);
        at += sizeof image;
        if (s->in_vector) {
            f->xmm[0][0] = image;
            f->xmm[0][1] = 0;
        } else {
            f->rax = image;
        }
    }
    for (uint32_t i = 0; i < s->outputs; i++) {
        if (e->bytes[i] != 0)
            memcpy((void *)(uintptr_t)to[i], at, e->bytes[i]);
        at += e->bytes[i];
    }
}

/* Does the call need nothing but the look-up? What says so of the task is in h->simple.stamp. (That
 * it may be new doesn't matter: no memory of the caller's is read.) */
static int may_serve(const struct tc_context *x, const struct tc_hook *h)
{
    return h->simple.stamp != 0 && x->locked == 0 &&
           __atomic_load_n(&tc_state.greeted, __ATOMIC_RELAXED) != 0 && !tc_log_wanted(TC_LOG_INFO);
}

int tc_table_replay(struct tc_context *x, struct tc_frame *f, struct tc_hook *h)
{
    const struct tc_simple *s = &h->simple;
    struct tc_table *t = &x->table;
    uint64_t to[TC_SIMPLE_OUTPUTS];
    struct tc_table_entry *e;

    t->wanted = may_serve(x, h);
    if (!t->wanted)
        return 0;
    collect(t, f, s);
    e = &t->entry[place_in_table(t->hash)];
    if (e->stamp != s->stamp || !has_words(e, t, s) || !is_current(e) ||
        !tc_replay_is_live(&e->head))
        return 0;
    for (uint32_t i = 0; i < s->outputs; i++)
        to[i] = word_of(f, &s->output[i]);
    if (!lie_apart(e, to, s->outputs))
        return 0;
    write_outputs(e, to, f, s);
    if (e->head.flags & TC_RECORD_ERRNO && x->errno_place != NULL)
        *x->errno_place = e->head.err;
    tc_store_warm(0, e->head.key_low);
    TC_COUNT(h, hits, 1);
    TC_COUNT(h, saved_ns, (uint64_t)e->head.duration_ns);
    return 1;
}

/* The lengths of the outputs, if each is one run and all of them fit. */
static int lengths(const struct tc_call *c, const struct tc_record_view *v,
                   uint32_t ret[TC_SIMPLE_OUTPUTS])
{
    const struct tc_simple *s = &c->hook->simple;
    uint32_t first = s->has_result;

    if (c->out_count != first + s->outputs || v->outputs == NULL ||
        v->head.output_bytes > TC_TABLE_BYTES)
        return 0;
    for (uint32_t i = 0; i < s->outputs; i++) {
        const struct tc_extent *e = &c->out[first + i];
        if (e->pieces > 1 && e->piece_bytes != 0 && c->stride_bytes[first + i] != e->piece_bytes)
            return 0;
        ret[i] = (uint32_t)(e->pieces * e->piece_bytes); /* of output_bytes a part */
    }
    return 1;
}

void tc_table_keep(struct tc_context *x, const struct tc_call *c, const struct tc_store_view *store,
                   const struct tc_record_view *v)
{
    struct tc_table *t = &x->table;
    uint32_t place = place_in_table(t->hash), bytes[TC_SIMPLE_OUTPUTS];
    struct tc_table_entry *e = &t->entry[place];

    if (!t->wanted)
        return;
    if (e->stamp != 0 && t->seen[place] != t->hash) {
        t->seen[place] = t->hash;
        return;
    }
    if (c->overlaps.count != 0 || store->storage != 0 || c->flow != NULL || !lengths(c, v, bytes))
        return;
    e->stamp = 0;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    e->generation = store->generation;
    e->ceiling = store->ceiling;
    memcpy(e->word, t->word, sizeof e->word);
    e->head = v->head;
    memcpy(e->bytes, bytes, sizeof bytes);
    memcpy(e->outputs, v->outputs, v->head.output_bytes);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    e->stamp = c->hook->simple.stamp;
    t->seen[place] = t->hash;
}

#include "preload/miss.h"

#include <string.h>

#include "preload/client.h"
#include "preload/sys.h"

/* Of one task: some at once, then one a second. */
#define EVERY_NS 1000000000ll
#define AT_ONCE  8

static const struct tc_param *param_of(const struct tc_call *c, const struct tc_component *k)
{
    for (uint32_t i = 0; i < c->hook->param_count; i++) {
        const struct tc_param *p = &c->hook->params[i];
        if (p->name.bytes == k->head.name_bytes &&
            memcmp(tc_task_str(c->hook, p->name), k->name, k->head.name_bytes) == 0)
            return p;
    }
    return NULL;
}

static uint32_t add_head(const struct tc_call *c, const struct tc_component *k, unsigned char *to,
                         uint32_t room)
{
    const struct tc_param *p = param_of(c, k);
    struct tc_string_head head = {(uint8_t)k->head.name_bytes, TC_STRING_HEAD};
    const char *text;

    if (p == NULL || p->dir != TC_IN || p->shape != TC_SHAPE_STRING ||
        k->head.name_bytes > UINT8_MAX || k->head.content_bytes < TC_STRING_HEAD ||
        sizeof head + head.name_bytes + TC_STRING_HEAD > room)
        return 0;
    text = (const char *)(uintptr_t)c->arg[p - c->hook->params];
    memcpy(to, &head, sizeof head);
    memcpy(to + sizeof head, k->name, head.name_bytes);
    memcpy(to + sizeof head + head.name_bytes, text, TC_STRING_HEAD);
    return (uint32_t)sizeof head + head.name_bytes + TC_STRING_HEAD;
}

uint32_t tc_miss_string_heads(const struct tc_call *c, const unsigned char *material, size_t bytes,
                              unsigned char *to)
{
    struct tc_component k;
    size_t offset = 0;
    uint32_t used = 0;

    while (tc_material_next(material, bytes, &offset, &k) == 1)
        if (k.head.form == 1 && k.head.tag == TC_TAG_STRING)
            used += add_head(c, &k, to + used, TC_STRING_HEADS - used);
    return used;
}

/* A bucket that holds AT_ONCE messages and gets one every EVERY_NS; `paid` is the time up to which
 * messages were sent. */
static int may_tell(struct tc_hook *h, int64_t now_ns)
{
    int64_t paid = __atomic_load_n(&h->misses_told_ns, __ATOMIC_RELAXED);
    int64_t from = paid > now_ns - AT_ONCE * EVERY_NS ? paid : now_ns - AT_ONCE * EVERY_NS;

    if (from + EVERY_NS > now_ns)
        return 0;
    return __atomic_compare_exchange_n(&h->misses_told_ns, &paid, from + EVERY_NS, 0,
                                       __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

static void describe(const struct tc_call *c, uint32_t reason, struct tc_miss_message *m)
{
    m->head.type = TC_MSG_MISS;
    m->miss.reason = reason;
    m->miss.task = c->hook->task_hash;
    m->miss.when_ns = tc_now_ns();
    m->miss.identity_bytes = c->hook->identity_bytes;
    if (c->hook->task->flags & TC_TASK_PRIVATE)
        return;
    m->miss.pid = (uint32_t)tc_state.pid;
    memcpy(m->miss.program, tc_state.program, sizeof m->miss.program - 1);
}

void tc_miss_unstored(const struct tc_call *c, const struct tc_flight *f, uint32_t reason,
                      int64_t now_ns)
{
    struct tc_miss_message m = {.miss = {.key_low = f->key_low,
                                         .key_high = f->key_high,
                                         .found = f->found,
                                         .expired_ns = f->expired_ns,
                                         .material_bytes = f->kept_bytes}};
    struct tc_outgoing out = {.head = &m.head,
                              .head_bytes = sizeof m,
                              .part = {c->hook->identity, (const char *)f + f->kept},
                              .part_bytes = {c->hook->identity_bytes, f->kept_bytes},
                              .fd = -1,
                              .storage = f->storage};

    if (tc_is_sandboxed() || !may_tell(c->hook, now_ns))
        return;
    describe(c, reason, &m);
    tc_tell_at_once(&out);
}

void tc_miss_bypassed(const struct tc_call *c, uint32_t reason)
{
    struct tc_miss_message m = {.miss.found = TC_FOUND_UNWANTED};
    struct tc_outgoing out = {.head = &m.head,
                              .head_bytes = sizeof m,
                              .part = {c->hook->identity},
                              .part_bytes = {c->hook->identity_bytes},
                              .fd = -1,
                              .storage = c->storage};

    if (tc_is_sandboxed())
        return;
    describe(c, reason, &m);
    if (c->bad_param < c->hook->param_count) {
        const struct tc_str name = c->hook->params[c->bad_param].name;
        out.part[1] = tc_task_str(c->hook, name);
        out.part_bytes[1] = name.bytes;
        m.miss.text_bytes = (uint32_t)name.bytes;
    }
    tc_tell_at_once(&out);
}

void tc_miss_wrong(struct tc_context *x, const struct tc_call *c, const struct tc_flight *f,
                   const char *text, uint32_t text_bytes)
{
    struct tc_miss_message m = {.miss = {.key_low = f->key_low,
                                         .key_high = f->key_high,
                                         .record_id = f->record_id,
                                         .material_bytes = f->kept_bytes,
                                         .text_bytes = text_bytes}};
    struct tc_outgoing out = {.head = &m.head,
                              .head_bytes = sizeof m,
                              .part = {c->hook->identity, x->scratch},
                              .part_bytes = {c->hook->identity_bytes, f->kept_bytes},
                              .fd = -1,
                              .storage = f->storage};
    struct tc_reply reply;

    if (m.miss.text_bytes > TC_MISS_TEXT)
        m.miss.text_bytes = TC_MISS_TEXT;
    memcpy(x->scratch, (const char *)f + f->kept, f->kept_bytes);
    memcpy(x->scratch + f->kept_bytes, text, m.miss.text_bytes);
    out.part_bytes[1] += m.miss.text_bytes;
    describe(c, TC_R_VERIFY_DIFFERS, &m);
    (void)tc_request(&out, TC_REPLY_NS, &reply);
}

#include "preload/compare.h"

#include <errno.h>
#include <string.h>

#include "preload/output_bytes.h"
#include "preload/send.h"

/* Of the outputs as they come, run by run, against those of the record. */
struct comparison {
    const struct tc_call *c;
    struct tc_output_bytes s;
    uint64_t at; /* bytes that were compared */
    int error;
    struct tc_compared *ret;
};

/* Which output byte `at` is of, and where in it. */
static uint32_t output_at(const struct tc_call *c, uint64_t at, uint64_t *ret_byte)
{
    uint32_t i = 0;

    for (; i + 1 < c->out_count; i++) {
        uint64_t bytes = c->out[i].pieces * c->out[i].piece_bytes;
        if (at < bytes)
            break;
        at -= bytes;
    }
    *ret_byte = at;
    return i;
}

/* A result in a register is kept with all of the register, of which only its type's bytes count. */
static int counts(const struct tc_call *c, uint32_t output, uint64_t byte)
{
    const struct tc_task *t = c->hook->task;

    return c->out[output].param != UINT32_MAX || t->result_kind != TC_RESULT_VALUE ||
           t->result_layout != 0 || byte < tc_scalar_bytes(t->result_type);
}

static void compare_bytes(struct comparison *m, const unsigned char *now, uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes; i++) {
        uint64_t byte;
        uint32_t output;
        if (now[i] == m->s.at[i])
            continue;
        output = output_at(m->c, m->at + i, &byte);
        if (!counts(m->c, output, byte))
            continue;
        *m->ret = (struct tc_compared){TC_DIFFERS_BYTE, m->c->out[output].param, byte, m->s.at[i],
                                       now[i]};
        return;
    }
}

static void compare_run(void *ctx, const void *data, uint64_t bytes)
{
    struct comparison *m = ctx;
    const unsigned char *now = data;

    while (bytes > 0 && m->error == 0 && m->ret->differs == TC_DIFFERS_NOT) {
        uint64_t n;
        if (m->s.left == 0 && (m->error = tc_output_next_chunk(&m->s)) < 0)
            return;
        n = bytes < m->s.left ? bytes : m->s.left;
        if (memcmp(now, m->s.at, n) != 0)
            compare_bytes(m, now, n);
        m->at += n;
        m->s.at += n;
        m->s.left -= n;
        now += n;
        bytes -= n;
    }
}

static void compare_extents(const struct tc_call *c, const struct tc_record_view *v,
                            struct tc_compared *ret)
{
    for (uint32_t i = 0; i < c->out_count; i++) {
        struct tc_extent e = tc_extent_at(v, i);
        if (memcmp(&e, &c->out[i], sizeof e) == 0)
            continue;
        *ret = (struct tc_compared){.differs = TC_DIFFERS_EXTENT, .param = c->out[i].param};
        return;
    }
}

static int compare_value(struct tc_context *x, struct tc_call *c, const struct tc_store_view *store,
                         const void *value, size_t bytes, uint64_t record_id,
                         struct tc_compared *ret)
{
    struct comparison m = {.c = c, .ret = ret};
    struct tc_record_view v;

    if (bytes <= sizeof x->scratch)
        value = memcpy(x->scratch, value, bytes);
    if (tc_record_decode(value, bytes, &v) < 0 || v.head.record_id != record_id ||
        v.head.output_count != c->out_count)
        return -ENOENT;
    compare_extents(c, &v, ret);
    if (ret->differs != TC_DIFFERS_NOT)
        return 0;
    m.s = tc_output_bytes_of(store, &v);
    if (tc_send_outputs(c, compare_run, &m) != 0)
        *ret = (struct tc_compared){.differs = TC_DIFFERS_PLACE, .param = UINT32_MAX};
    return m.error;
}

int tc_compare_outputs(struct tc_context *x, struct tc_call *c, uint64_t record_id,
                       struct tc_compared *ret)
{
    int r = -EAGAIN;

    for (int attempt = 0; attempt < 2; attempt++) {
        struct tc_store_view store;
        const void *value;
        size_t bytes;
        *ret = (struct tc_compared){.differs = TC_DIFFERS_NOT};
        r = tc_store_open(c->storage, &x->store, &store);
        if (r == 0)
            r = tc_store_find(&store, c->key.low, &value, &bytes);
        if (r == 0)
            r = compare_value(x, c, &store, value, bytes, record_id, ret);
        /* Nothing counts that wasn't protected. */
        if (r == 0 && tc_store_was_protected(&store))
            return 0;
    }
    return r == 0 ? -EAGAIN : r;
}

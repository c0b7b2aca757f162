#include "tools/misses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/totals.h"

static struct tc_known_miss *append(struct tc_known_misses *m, const struct tc_known_miss *miss)
{
    m->miss = tc_grow(m->miss, m->count, &m->allocated, sizeof *m->miss);
    m->miss[m->count] = *miss;
    return &m->miss[m->count++];
}

static void free_one(struct tc_known_miss *m)
{
    free(m->own_identity);
    free(m->text);
    tc_known_material_free(&m->material);
    tc_known_material_free(&m->nearest_material);
}

static void forget(void *ctx)
{
    struct tc_known_misses *m = ctx;
    for (size_t i = 0; i < m->count; i++)
        free_one(&m->miss[i]);
    m->count = 0;
}

void tc_misses_free(struct tc_known_misses *m)
{
    forget(m);
    free(m->miss);
    *m = (struct tc_known_misses){0};
}

static unsigned char *copy_bytes(const unsigned char *data, size_t bytes)
{
    unsigned char *p = tc_alloc(bytes + 1);
    memcpy(p, data, bytes);
    return p;
}

/* An entry of a ring as it is in this version, the rest 0: the number of its bytes, 0: not sound.
 */
static size_t read_entry(const struct tc_lmdb_entry *e, void *to, size_t bytes)
{
    uint32_t written;
    if (e->bytes < sizeof written)
        return 0;
    memcpy(&written, e->data, sizeof written);
    if (written > e->bytes)
        return 0;
    memset(to, 0, bytes);
    memcpy(to, e->data, written < bytes ? written : bytes);
    return written;
}

static unsigned ring_of(const struct tc_lmdb_entry *e)
{
    uint64_t key = UINT64_MAX;
    if (e->key_bytes == sizeof key)
        memcpy(&key, e->key, sizeof key);
    return (unsigned)(key >> TC_RING_SHIFT);
}

static int take_miss(void *ctx, struct tc_reader *r, const struct tc_lmdb_entry *e)
{
    (void)r;
    struct tc_miss m;
    if (ring_of(e) != TC_RING_UNSTORED && ring_of(e) != TC_RING_WRONG)
        return 0;
    size_t at = read_entry(e, &m, sizeof m);
    if (at == 0 || (uint64_t)m.identity_bytes + m.material_bytes + m.text_bytes > e->bytes - at)
        return 0;
    const unsigned char *p = (const unsigned char *)e->data + at;
    struct tc_known_miss known = {.task = m.task,
                                  .key_low = m.key_low,
                                  .key_high = m.key_high,
                                  .when_ns = m.when_ns,
                                  .order = m.order,
                                  .reason = m.reason,
                                  .found = m.found,
                                  .expired_ns = m.expired_ns,
                                  .wrong_id = m.record_id,
                                  .pid = m.pid};
    memcpy(known.program, m.program, sizeof m.program);
    known.identity = known.own_identity = tc_copyn((const char *)p, m.identity_bytes);
    p += m.identity_bytes;
    if (m.material_bytes)
        known.material = (struct tc_known_material){.data = copy_bytes(p, m.material_bytes),
                                                    .bytes = m.material_bytes};
    if (m.text_bytes)
        known.text = tc_copyn((const char *)p + m.material_bytes, m.text_bytes);
    append(ctx, &known);
    return 0;
}

int tc_misses_unstored(struct tc_reader *r, struct tc_known_misses *ret)
{
    const struct tc_walk walk = {.restart = forget, .each = take_miss, .ctx = ret};
    return tc_reader_walk(r, "misses", &walk);
}

int tc_known_material_read(struct tc_reader *r, uint64_t key_low, struct tc_known_material *ret)
{
    struct tc_record_view view;
    struct tc_details d = {0};
    unsigned char *value;
    size_t bytes;
    *ret = (struct tc_known_material){0};
    int e = tc_reader_fetch(r, "records", key_low, &value, &bytes);
    if (e < 0)
        return e;
    e = tc_record_decode_draft(value, bytes, &view);
    if (e == 0) {
        ret->bytes = view.head.material_bytes;
        ret->data = copy_bytes(view.material, ret->bytes);
    }
    free(value);
    if (e < 0 || tc_reader_fetch(r, "details", key_low, &value, &bytes) < 0)
        return e;
    memcpy(&d, value, bytes < sizeof d ? bytes : sizeof d);
    if (d.bytes >= sizeof d && d.bytes <= bytes && d.head_bytes <= bytes - d.bytes &&
        d.record_id == view.head.record_id) {
        ret->head_bytes = d.head_bytes;
        ret->heads = copy_bytes(value + d.bytes, d.head_bytes);
    }
    free(value);
    return 0;
}

static struct tc_known_miss miss_of(const struct tc_item *item)
{
    struct tc_known_miss m = {.identity = item->identity,
                              .task = item->head.task,
                              .key_low = item->head.key_low,
                              .key_high = item->head.key_high,
                              .when_ns = item->head.created_ns,
                              .order = item->head.record_id,
                              .found = item->found,
                              .expired_ns = item->expired_ns,
                              .pid = item->pid};
    memcpy(m.program, item->program, sizeof m.program);
    return m;
}

/* By task, the newest first; of one time, what was stored last. */
static int by_time(const void *a, const void *b)
{
    const struct tc_known_miss *x = a, *y = b;
    int r = strcmp(x->identity, y->identity);
    if (r != 0)
        return r;
    if (x->when_ns != y->when_ns)
        return x->when_ns < y->when_ns ? 1 : -1;
    return x->order < y->order ? 1 : -(x->order > y->order);
}

static void drop_older(struct tc_known_misses *m, size_t limit)
{
    size_t kept = 0, of_task = 0;
    for (size_t i = 0; i < m->count; i++) {
        bool same = kept && strcmp(m->miss[kept - 1].identity, m->miss[i].identity) == 0;
        of_task = same ? of_task + 1 : 1;
        if (of_task > limit)
            free_one(&m->miss[i]);
        else
            m->miss[kept++] = m->miss[i];
    }
    m->count = kept;
}

static bool is_wanted(const struct tc_miss_filter *f, const char *identity, uint64_t low,
                      uint64_t high)
{
    if (f->key)
        return f->key->key_low == low && f->key->key_high == high;
    return f->task(f->ctx, identity);
}

static void drop_others(struct tc_known_misses *m, const struct tc_miss_filter *f)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->count; i++) {
        const struct tc_known_miss *k = &m->miss[i];
        if (is_wanted(f, k->identity, k->key_low, k->key_high))
            m->miss[kept++] = m->miss[i];
        else
            free_one(&m->miss[i]);
    }
    m->count = kept;
}

static void forget_nearest(void *ctx)
{
    struct tc_known_misses *m = ctx;
    for (size_t i = 0; i < m->count; i++) {
        tc_known_material_free(&m->miss[i].nearest_material);
        m->miss[i].has_nearest = false;
    }
}

static void consider(struct tc_known_miss *m, const struct tc_record_view *v)
{
    struct tc_material_view was = {v->material, v->head.material_bytes};
    if (!m->material.data || v->head.task != m->task)
        return;
    struct tc_nearness n = tc_compare_all(was, tc_known_view(&m->material));
    if (!tc_why_is_nearer(m, &v->head, &n))
        return;
    tc_known_material_free(&m->nearest_material);
    m->has_nearest = true;
    m->nearest = v->head;
    m->nearness = n;
    m->nearest_material.data = copy_bytes(v->material, v->head.material_bytes);
    m->nearest_material.bytes = v->head.material_bytes;
}

static int take_record(void *ctx, struct tc_reader *r, const struct tc_lmdb_entry *e)
{
    (void)r;
    struct tc_known_misses *m = ctx;
    struct tc_record_view view;
    if (tc_record_decode_draft(e->data, e->bytes, &view) < 0)
        return 0;
    for (size_t i = 0; i < m->count; i++)
        consider(&m->miss[i], &view);
    return 0;
}

static void forget_gone(void *ctx)
{
    struct tc_known_misses *m = ctx;
    for (size_t i = 0; i < m->count; i++)
        m->miss[i].has_gone = m->miss[i].all_removed = false;
}

/* Entries come in the order of time: the last one that fits stays. */
static int take_gone(void *ctx, struct tc_reader *r, const struct tc_lmdb_entry *e)
{
    (void)r;
    struct tc_known_misses *all = ctx;
    struct tc_gone g;
    if (ring_of(e) != TC_RING_GONE || read_entry(e, &g, sizeof g) == 0)
        return 0;
    for (size_t i = 0; i < all->count; i++) {
        struct tc_known_miss *m = &all->miss[i];
        if (g.order > m->order || g.when_ns > m->when_ns)
            continue;
        if (g.why == TC_GONE_ALL_REMOVED) {
            m->all_removed = true;
            m->all_removed_ns = g.when_ns;
        } else if (g.key_low == m->key_low && g.key_high == m->key_high) {
            m->has_gone = true;
            m->gone = g;
        }
    }
    return 0;
}

/* A later call with the key of one that stored nothing. */
static void find_earlier(struct tc_known_misses *m)
{
    for (size_t i = 0; i < m->count; i++)
        for (size_t k = i + 1; k < m->count && !m->miss[i].earlier; k++)
            if (m->miss[k].reason && !m->miss[k].wrong_id &&
                m->miss[k].key_low == m->miss[i].key_low &&
                m->miss[k].key_high == m->miss[i].key_high && m->miss[k].key_low != 0)
                m->miss[i].earlier = &m->miss[k];
}

static int read_materials(struct tc_reader *r, struct tc_known_misses *m)
{
    for (size_t i = 0; i < m->count; i++) {
        struct tc_known_material material;
        if (m->miss[i].reason)
            continue;
        int e = tc_known_material_read(r, m->miss[i].key_low, &material);
        if (e < 0 && e != -ENOENT && e != -EBADMSG)
            return e;
        m->miss[i].material = material;
    }
    return 0;
}

/* How the strings of the nearest records begin. */
static void read_heads(struct tc_reader *r, struct tc_known_misses *m)
{
    for (size_t i = 0; i < m->count; i++) {
        struct tc_known_material material;
        if (!m->miss[i].has_nearest ||
            tc_known_material_read(r, m->miss[i].nearest.key_low, &material) < 0)
            continue;
        m->miss[i].nearest_material.heads = material.heads;
        m->miss[i].nearest_material.head_bytes = material.head_bytes;
        material.heads = NULL;
        tc_known_material_free(&material);
    }
}

int tc_misses_read(struct tc_reader *r, const struct tc_catalog *catalog,
                   const struct tc_miss_filter *filter, struct tc_known_misses *ret)
{
    const struct tc_walk records = {.restart = forget_nearest, .each = take_record, .ctx = ret};
    const struct tc_walk gone = {.restart = forget_gone, .each = take_gone, .ctx = ret};
    int e = tc_misses_unstored(r, ret);
    if (e < 0)
        return e;
    drop_others(ret, filter);
    for (size_t i = 0; i < catalog->count; i++) {
        const struct tc_item *item = &catalog->item[i];
        if (is_wanted(filter, item->identity, item->head.key_low, item->head.key_high)) {
            struct tc_known_miss m = miss_of(item);
            append(ret, &m);
        }
    }
    if (ret->count)
        qsort(ret->miss, ret->count, sizeof *ret->miss, by_time);
    drop_older(ret, filter->limit);
    find_earlier(ret);
    e = read_materials(r, ret);
    if (e == 0)
        e = tc_reader_walk(r, "records", &records);
    if (e == 0)
        e = tc_reader_walk(r, "misses", &gone);
    if (e == 0)
        read_heads(r, ret);
    return e;
}

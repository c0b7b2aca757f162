#include <stdio.h>
#include <string.h>

#include "cache/totals.h"
#include "tools/sums.h"

struct totals {
    struct tc_sums *to;
    int64_t first_ns;
};

static void restart(void *ctx)
{
    struct totals *s = ctx;
    tc_sums_free(s->to);
    s->first_ns = 0;
}

static int take_totals(void *ctx, struct tc_reader *r, const struct tc_lmdb_entry *e)
{
    (void)r;
    struct totals *s = ctx;
    struct tc_totals t = {0};
    memcpy(&t, e->data, e->bytes < sizeof t ? e->bytes : sizeof t);
    if (t.bytes < sizeof t)
        memset((char *)&t + t.bytes, 0, sizeof t - t.bytes);
    TC_CLEANUP(tc_free_text) char *identity = tc_copyn(e->key, e->key_bytes);
    if (strcmp(identity, TC_TOTALS_OVERFLOW) == 0)
        t.task = 0;
    struct tc_counters c = {.task = t.task,
                            .hits = t.hits,
                            .misses = t.misses,
                            .stored = t.stored,
                            .saved_ns = t.saved_ns,
                            .missed_ns = t.missed_ns,
                            .identity_ready = 1};
    _Static_assert(sizeof c.bypass == sizeof t.bypass, "both count all reasons");
    memcpy(c.bypass, t.bypass, sizeof c.bypass);
    (void)snprintf(c.identity, sizeof c.identity, "%s", identity);
    tc_sums_add(s->to, &c, NULL);
    if (t.first_ns && (!s->first_ns || t.first_ns < s->first_ns))
        s->first_ns = t.first_ns;
    return 0;
}

int tc_sums_read(struct tc_sums *to, struct tc_reader *r, int64_t *ret_first_ns)
{
    struct totals s = {.to = to};
    const struct tc_walk walk = {.restart = restart, .each = take_totals, .ctx = &s};
    int e = tc_reader_walk(r, "tasks", &walk);
    if (e < 0)
        return e;
    *ret_first_ns = s.first_ns;
    if (!r->page)
        return 0;
    tc_sums_add(to, &r->page->totals, NULL);
    for (size_t i = 0; i < TC_PAGE_TASKS; i++)
        tc_sums_add(to, &r->page->task[i], NULL);
    return 0;
}

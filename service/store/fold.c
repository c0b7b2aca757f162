#include "service/store/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "service/clock.h"

/* What one slot had when it was looked at. */
struct delta {
    struct tc_counters *slot;
    struct tc_counters seen;
};

/* The counters between `task` and `reserved`: all are uint64_t. */
#define COUNTERS ((offsetof(struct tc_counters, reserved) - offsetof(struct tc_counters, hits)) / 8)

static uint64_t *counters(struct tc_counters *c)
{
    return &c->hits;
}

static int look(struct tc_counters *slot, struct tc_counters *ret)
{
    uint64_t any = 0;

    for (size_t i = 0; i < COUNTERS; i++) {
        counters(ret)[i] = __atomic_load_n(&counters(slot)[i], __ATOMIC_RELAXED);
        any |= counters(ret)[i];
    }
    ret->task = __atomic_load_n(&slot->task, __ATOMIC_RELAXED);
    return any != 0;
}

static void add(struct tc_totals *t, const struct tc_counters *c)
{
    t->hits += c->hits;
    t->misses += c->misses;
    t->stored += c->stored;
    t->saved_ns += c->saved_ns;
    t->missed_ns += c->missed_ns;
    for (size_t i = 0; i < TC_PAGE_REASONS; i++)
        t->bypass[i] += c->bypass[i];
}

static int fold_one(struct tc_store *s, const struct delta *d, int64_t now)
{
    int overflow = d->slot == &s->page->totals;
    char name[sizeof d->slot->identity];
    MDB_val key = {0, name}, value;
    struct tc_totals t = {0};
    int rc;

    memcpy(name, overflow ? TC_TOTALS_OVERFLOW : d->slot->identity,
           overflow ? sizeof TC_TOTALS_OVERFLOW : sizeof name);
    key.mv_size = strnlen(name, sizeof name - 1);
    if (key.mv_size == 0)
        return 0;
    rc = mdb_get(s->txn, s->table[TC_TABLE_TASKS], &key, &value);
    if (rc == 0)
        memcpy(&t, value.mv_data, value.mv_size < sizeof t ? value.mv_size : sizeof t);
    else if (rc != MDB_NOTFOUND)
        return tc_mdb_errno(rc);
    t.bytes = sizeof t;
    t.task = d->seen.task;
    t.first_ns = t.first_ns == 0 ? now : t.first_ns;
    t.last_ns = now;
    add(&t, &d->seen);
    value = (MDB_val){sizeof t, &t};
    return tc_mdb_errno(mdb_put(s->txn, s->table[TC_TABLE_TASKS], &key, &value, 0));
}

/* Only after the commit, so that nothing is lost; a service that is killed in between counts some
 * calls twice. */
static void subtract(const struct delta *d)
{
    for (size_t i = 0; i < COUNTERS; i++) {
        uint64_t n = ((const uint64_t *)&d->seen.hits)[i];
        if (n != 0)
            __atomic_fetch_sub(&counters(d->slot)[i], n, __ATOMIC_RELAXED);
    }
}

static size_t collect(struct tc_shared_page *p, struct delta *list)
{
    size_t n = 0;

    for (size_t i = 0; i < TC_PAGE_TASKS; i++) {
        list[n].slot = &p->task[i];
        if (__atomic_load_n(&p->task[i].task, __ATOMIC_RELAXED) != 0 &&
            __atomic_load_n(&p->task[i].identity_ready, __ATOMIC_ACQUIRE) != 0 &&
            look(list[n].slot, &list[n].seen))
            n++;
    }
    list[n].slot = &p->totals;
    if (look(list[n].slot, &list[n].seen))
        n++;
    return n;
}

int tc_store_fold(struct tc_store *s)
{
    struct delta *list;
    size_t count;
    int r = 0;

    if (s->txn != NULL || s->env == NULL)
        return 0;
    list = calloc(TC_PAGE_TASKS + 1, sizeof *list);
    if (list == NULL)
        return -ENOMEM;
    count = collect(s->page, list);
    if (count > 0)
        r = tc_store_begin(s);
    tc_crash_enter();
    for (size_t i = 0; i < count && r == 0; i++)
        r = fold_one(s, &list[i], tc_wall_ns());
    tc_crash_leave();
    if (r == 0)
        r = tc_store_commit(s);
    else
        tc_store_abort(s);
    for (size_t i = 0; i < count && r == 0; i++) {
        subtract(&list[i]);
        memcpy(list[i].seen.identity, list[i].slot->identity, sizeof list[i].seen.identity);
        if (s->options.gained != NULL)
            s->options.gained(s->options.ctx, &list[i].seen);
    }
    free(list);
    return r;
}

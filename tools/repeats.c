#include "tools/repeats.h"

#include <stdlib.h>
#include <string.h>

#include "cache/totals.h"

static void restart(void *ctx)
{
    struct tc_repeats *p = ctx;
    p->seen_count = 0;
}

static int take_details(void *ctx, struct tc_reader *r, const struct tc_lmdb_entry *e)
{
    (void)r;
    struct tc_repeats *p = ctx;
    struct tc_details d = {0};
    memcpy(&d, e->data, e->bytes < sizeof d ? e->bytes : sizeof d);
    if (d.bytes < sizeof d || !(d.flags & TC_DETAILS_RUN))
        return 0;
    p->seen = tc_grow(p->seen, p->seen_count, &p->seen_allocated, sizeof *p->seen);
    p->seen[p->seen_count++] = (struct tc_repeat){d.task, {d.without_run[0], d.without_run[1]}};
    return 0;
}

static int by_digest(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct tc_repeat));
}

static void sum_up(struct tc_repeats *p)
{
    if (p->seen_count)
        qsort(p->seen, p->seen_count, sizeof *p->seen, by_digest);
    for (size_t i = 0; i < p->seen_count; i++) {
        if (!p->count || p->task[p->count - 1].task != p->seen[i].task) {
            p->task = tc_grow(p->task, p->count, &p->allocated, sizeof *p->task);
            p->task[p->count++] = (struct tc_task_repeats){.task = p->seen[i].task};
        }
        p->task[p->count - 1].records++;
        p->task[p->count - 1].repeated += i && by_digest(&p->seen[i - 1], &p->seen[i]) == 0;
    }
}

int tc_repeats_read(struct tc_reader *r, struct tc_repeats *ret)
{
    const struct tc_walk walk = {.restart = restart, .each = take_details, .ctx = ret};
    int e = tc_reader_walk(r, "details", &walk);
    if (e == 0)
        sum_up(ret);
    return e;
}

void tc_repeats_free(struct tc_repeats *p)
{
    free(p->seen);
    free(p->task);
    *p = (struct tc_repeats){0};
}

static const char *name_of(const struct tc_sums *names, uint64_t task)
{
    for (size_t i = 0; i < names->count; i++)
        if (names->task[i].task == task)
            return names->task[i].identity;
    return "(a task)";
}

void tc_repeats_print(const struct tc_repeats *p, const struct tc_sums *names, FILE *to)
{
    for (size_t i = 0; i < p->count; i++) {
        const struct tc_task_repeats *t = &p->task[i];
        if (t->repeated)
            fprintf(to,
                    "%s: %llu of %llu misses differ only in the run: write `cache_policy: INPUTS + "
                    "TASK_SOURCE`\n",
                    name_of(names, t->task), (unsigned long long)t->repeated,
                    (unsigned long long)t->records);
    }
}

void tc_repeats_json(struct tc_json *j, const struct tc_repeats *p, const struct tc_sums *names)
{
    tc_json_array(j, "runs");
    for (size_t i = 0; i < p->count; i++) {
        tc_json_object(j, NULL);
        tc_json_text(j, "task", name_of(names, p->task[i].task));
        tc_json_u64(j, "records", p->task[i].records);
        tc_json_u64(j, "only_run_differs", p->task[i].repeated);
        tc_json_close_object(j);
    }
    tc_json_close_array(j);
}

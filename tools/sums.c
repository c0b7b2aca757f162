#include "tools/sums.h"

#include <stdlib.h>
#include <string.h>

#include "tools/units.h"

#define LOAD(p) __atomic_load_n(p, __ATOMIC_RELAXED)

/* The entry of a task, made if need be. */
static struct tc_task_sums *task_of(struct tc_sums *t, uint64_t task, const char *identity)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->task[i].task == task)
            return &t->task[i];
    t->task = tc_grow(t->task, t->count, &t->allocated, sizeof *t->task);
    struct tc_task_sums *entry = &t->task[t->count++];
    *entry = (struct tc_task_sums){.task = task};
    if (identity && *identity)
        (void)snprintf(entry->identity, sizeof entry->identity, "%s", identity);
    else
        (void)snprintf(entry->identity, sizeof entry->identity, "(task %016llx)",
                       (unsigned long long)task);
    return entry;
}

/* Reasons that say more about a call that has been counted as a hit or a miss: why its result
 * wasn't kept, or its record not used. */
enum side {
    BYPASSED,
    MISSED,
    HIT
};

static enum side side_of(unsigned reason)
{
    static const uint8_t reasons[] = {
        TC_R_INPUTS_CHANGED, TC_R_FAILED,     TC_R_NONLOCAL_EXIT,     TC_R_SEND_DROPPED,
        TC_R_NOT_STORED,     TC_R_TOO_LARGE,  TC_R_CAPACITY_EXCEEDED, TC_R_RESULT_OUTSIDE,
        TC_R_VERIFY_DIFFERS, TC_R_UNVERIFIED, TC_R_SHAPE_DIFFERS,     TC_R_NO_SERVICE,
        TC_R_VFORK_CHILD};
    if (reason == TC_R_VERIFIED)
        return HIT;
    return memchr(reasons, (int)reason, sizeof reasons) ? MISSED : BYPASSED;
}

/* Adds `n` to a reason, and to `bypasses` unless such calls are misses. */
static void add_bypass(struct tc_task_sums *to, unsigned reason, uint64_t n)
{
    to->bypass[reason] += n;
    to->bypasses += side_of(reason) == BYPASSED ? n : 0;
}

static void add_to(struct tc_task_sums *to, const struct tc_counters *now,
                   const struct tc_counters *before)
{
    to->hits += LOAD(&now->hits) - before->hits;
    to->misses += LOAD(&now->misses) - before->misses;
    to->stored += LOAD(&now->stored) - before->stored;
    to->saved_ns += LOAD(&now->saved_ns) - before->saved_ns;
    to->missed_ns += LOAD(&now->missed_ns) - before->missed_ns;
    for (unsigned i = 0; i < TC_PAGE_REASONS; i++)
        add_bypass(to, i, LOAD(&now->bypass[i]) - before->bypass[i]);
}

static bool is_idle(const struct tc_counters *now, const struct tc_counters *before)
{
    struct tc_task_sums t = {0};
    add_to(&t, now, before);
    return t.hits == 0 && t.misses == 0 && t.bypasses == 0 && t.stored == 0;
}

void tc_sums_add(struct tc_sums *t, const struct tc_counters *now, const struct tc_counters *before)
{
    static const struct tc_counters zero;
    char identity[sizeof now->identity + 1] = "";
    before = before ? before : &zero;
    uint64_t task = LOAD(&now->task);
    if (is_idle(now, before))
        return;
    add_to(&t->all, now, before);
    if (__atomic_load_n(&now->identity_ready, __ATOMIC_ACQUIRE))
        memcpy(identity, now->identity, sizeof now->identity);
    add_to(task_of(t, task, task ? identity : "(others)"), now, before);
}

void tc_sums_free(struct tc_sums *t)
{
    free(t->task);
    *t = (struct tc_sums){0};
}

void tc_sums_json_head(struct tc_json *j, const struct tc_task_sums *t)
{
    tc_json_u64(j, "hits", t->hits);
    tc_json_u64(j, "misses", t->misses);
    tc_json_u64(j, "bypasses", t->bypasses);
    tc_json_u64(j, "time_saved_ns", t->saved_ns);
}

void tc_sums_json_reasons(struct tc_json *j, const struct tc_task_sums *t)
{
    tc_json_object(j, "bypass_reasons");
    for (unsigned i = 0; i < TC_PAGE_REASONS; i++)
        if (t->bypass[i])
            tc_json_u64(j, tc_reason_info(i)->id, t->bypass[i]);
    tc_json_close_object(j);
}

void tc_sums_json_tasks(struct tc_json *j, const struct tc_sums *t)
{
    tc_json_array(j, "tasks");
    for (size_t i = 0; i < t->count; i++) {
        tc_json_object(j, NULL);
        tc_json_text(j, "task", t->task[i].identity);
        tc_sums_json_head(j, &t->task[i]);
        tc_json_u64(j, "stored", t->task[i].stored);
        tc_json_u64(j, "missed_ns", t->task[i].missed_ns);
        tc_sums_json_reasons(j, &t->task[i]);
        tc_json_close_object(j);
    }
    tc_json_close_array(j);
}

static void share(const char *what, uint64_t n, uint64_t calls, FILE *to)
{
    fprintf(to, "  %-16s %10llu", what, (unsigned long long)n);
    if (calls)
        fprintf(to, " / %llu (%5.2f %%)", (unsigned long long)calls,
                100.0 * (double)n / (double)calls);
    fputc('\n', to);
}

static void print_reasons(const struct tc_task_sums *t, enum side side, FILE *to)
{
    for (unsigned i = 0; i < TC_PAGE_REASONS; i++)
        if (t->bypass[i] && side_of(i) == side)
            fprintf(to, "    %-18s %6llu  %s%s%s\n", tc_reason_info(i)->id,
                    (unsigned long long)t->bypass[i], tc_style(to, TC_DIM),
                    tc_reason_info(i)->sentence, tc_style(to, TC_PLAIN));
}

void tc_sums_print(const struct tc_task_sums *t, FILE *to)
{
    char text[TC_UNITS_BYTES];
    uint64_t calls = t->hits + t->misses + t->bypasses;
    fprintf(to, "%-18s %10llu\n", "Calls", (unsigned long long)calls);
    share("Hits", t->hits, calls, to);
    print_reasons(t, HIT, to);
    share("Misses", t->misses, calls, to);
    print_reasons(t, MISSED, to);
    share("Bypassed", t->bypasses, calls, to);
    print_reasons(t, BYPASSED, to);
    fprintf(to, "%-18s %10s\n", "Time saved",
            tc_units_duration(t->saved_ns > INT64_MAX ? INT64_MAX : (int64_t)t->saved_ns, text));
}

static int by_saved(const void *a, const void *b)
{
    const struct tc_task_sums *x = a, *y = b;
    if (x->saved_ns != y->saved_ns)
        return x->saved_ns < y->saved_ns ? 1 : -1;
    return strcmp(x->identity, y->identity);
}

void tc_sums_print_tasks(const struct tc_sums *t, FILE *to)
{
    struct tc_table table;
    tc_table_begin(&table, 6, 0x1f);
    static const char *const heads[] = {"SAVED", "HITS", "MISSES", "BYPASSED", "HIT %", "TASK"};
    for (size_t i = 0; i < 6; i++)
        tc_table_cell(&table, heads[i]);
    if (t->count)
        qsort(t->task, t->count, sizeof *t->task, by_saved);
    for (size_t i = 0; i < t->count; i++) {
        const struct tc_task_sums *e = &t->task[i];
        uint64_t calls = e->hits + e->misses + e->bypasses;
        char saved[TC_UNITS_BYTES];
        tc_table_cell(&table, tc_units_duration((int64_t)e->saved_ns, saved));
        tc_table_cellf(&table, "%llu", (unsigned long long)e->hits);
        tc_table_cellf(&table, "%llu", (unsigned long long)e->misses);
        tc_table_cellf(&table, "%llu", (unsigned long long)e->bypasses);
        tc_table_cellf(&table, "%.1f", calls ? 100.0 * (double)e->hits / (double)calls : 0.0);
        tc_table_cell(&table, e->identity);
    }
    if (t->count)
        tc_table_print(&table, to);
    tc_table_free(&table);
}

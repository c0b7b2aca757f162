/*
 * Counters, summed up and shown: of the shared page and the store (`stats`), of a run (`run
 * --stats`). One thread.
 */
#ifndef TC_TOOLS_SUMS_H
#define TC_TOOLS_SUMS_H

#include "cache/shared_page.h"
#include "tools/json.h"
#include "tools/output.h"
#include "tools/reader.h"

struct tc_task_sums {
    uint64_t task; /* hash of the identity */
    char identity[129];
    uint64_t hits, misses, stored, saved_ns, missed_ns, bypasses;
    uint64_t bypass[TC_PAGE_REASONS];
};

struct tc_sums {
    struct tc_task_sums all;
    struct tc_task_sums *task;
    size_t count, allocated;
};

/* Adds one task's counters, and to the sum of all. `before` (NULL: zeroes) is subtracted. */
void tc_sums_add(struct tc_sums *t, const struct tc_counters *now,
                 const struct tc_counters *before);
/* Adds what the store has of each task, and the live counters of the page. 0 or a negative errno.
 */
int tc_sums_read(struct tc_sums *to, struct tc_reader *r, int64_t *ret_first_ns);
void tc_sums_free(struct tc_sums *t);

/* "hits", "misses", "bypasses", "time_saved_ns" of the open object. */
void tc_sums_json_head(struct tc_json *j, const struct tc_task_sums *t);
/* "bypass_reasons": {"id": n}. */
void tc_sums_json_reasons(struct tc_json *j, const struct tc_task_sums *t);
/* "tasks": [...] */
void tc_sums_json_tasks(struct tc_json *j, const struct tc_sums *t);

/* The lines "Calls", "Hits" ..., as ccache has them. */
void tc_sums_print(const struct tc_task_sums *t, FILE *to);
/* A table, a row a task. */
void tc_sums_print_tasks(const struct tc_sums *t, FILE *to);

#endif

/*
 * Tasks whose keys hold RUN_ID: how many of their records would have been one, but for the run. One
 * thread.
 */
#ifndef TC_TOOLS_REPEATS_H
#define TC_TOOLS_REPEATS_H

#include "tools/json.h"
#include "tools/reader.h"
#include "tools/sums.h"

struct tc_repeat {
    uint64_t task, digest[2]; /* of the key without the run */
};

struct tc_task_repeats {
    uint64_t task;
    uint64_t records, repeated;
};

struct tc_repeats {
    struct tc_repeat *seen;
    size_t seen_count, seen_allocated;
    struct tc_task_repeats *task;
    size_t count, allocated;
};

int tc_repeats_read(struct tc_reader *r, struct tc_repeats *ret);
void tc_repeats_free(struct tc_repeats *p);

/* "2 of 4 misses differ only in the run: write ...", a line a task for which it is so. */
void tc_repeats_print(const struct tc_repeats *p, const struct tc_sums *names, FILE *to);
/* "runs": [...] */
void tc_repeats_json(struct tc_json *j, const struct tc_repeats *p, const struct tc_sums *names);

#endif

/*
 * What one run did: the counters page that its processes map (cache/shared_page.h), and the report
 * at its end. One thread.
 */
#ifndef TC_TOOLS_RUN_STATS_H
#define TC_TOOLS_RUN_STATS_H

#include <stdio.h>

#include "tools/plans.h"
#include "tools/sums.h"

struct tc_run_stats {
    char path[TC_PATH_BYTES];
    struct tc_run_page *page, *before; /* NULL: there is no page */
    bool made;                         /* by us: an outer run of the same id has its own */
};

/* Makes the page of this run. */
int tc_run_stats_begin(struct tc_run_stats *r, const char *runtime, const char *run_id,
                       struct tc_cause *ret_cause);
/* Unmaps it, and removes it if it is ours. */
void tc_run_stats_end(struct tc_run_stats *r);

/* For people, or JSON. */
void tc_run_stats_report(const struct tc_run_stats *r, const struct tc_session *s, bool json,
                         const char *run_id, FILE *to);

#endif

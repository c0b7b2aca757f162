/*
 * The plugin @NAME@: which functions are worth caching, and how to call them. taskcache reads the
 * table from the built file; nothing here is run.
 *
 *     cachectl run --plugin ./@NAME@.so -- PROGRAM
 *
 * taskcache/plugin.h says what else there is: key functions and codecs, which are code.
 */
#include "taskcache/plugin.h"

static const struct taskcache_task tasks[] = {
    /* The declaration from the header, and what C can't say: how many elements `x` points at. Name
     * the library as slow_sum@libslow.so* if other libraries have a function of this name. */
    TASKCACHE_TASK(.symbol = "slow_sum", .prototype = "double slow_sum(const double x[n], int n)",
                   .cache_policy = "INPUTS + TASK_SOURCE", .skip = "n == 0"),
};

TASKCACHE_PLUGIN("@NAME@", "0.1", "MIT", "What it is for", tasks);

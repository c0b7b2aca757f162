/*
 * Plans files, CACHE/plans-DIGEST.flat: a child process resolves the objects that aren't in it yet
 * (service/resolve/plans.h) and writes its successor. One child at a time works for a file; what is
 * asked for meanwhile is done by the next one. When a child crashes, its objects are tried one by
 * one, and the one at which it crashes is entered as refused.
 *
 * tc_plan() tells its result through `done`, perhaps before it returns: 0 when the plans file holds
 * the objects, else a negative errno with its reason. One thread.
 */
#ifndef TC_SERVICE_PLAN_H
#define TC_SERVICE_PLAN_H

#include "service/compile.h"

struct tc_planner {
    struct tc_compiler *compiler;
    struct tc_plan_queue *first;
    struct tc_plan_ask *asking; /* wait for a config to be compiled */
};

struct tc_wanted_object {
    const char *path;
    struct tc_file_id id;
    uint64_t function; /* whose source is wanted; 0: none */
};

/* `config` and the paths are copied. */
void tc_plan(struct tc_planner *p, const char *config, const struct tc_file_id *config_id,
             const struct tc_wanted_object *objects, size_t count, tc_done_fn *done, void *ctx);

void tc_planner_free(struct tc_planner *p);

#endif

/*
 * What the functions that a task's imports bind to do beside their arguments: the other objects'
 * part of the purity report. Each function is followed inside of its own object, by a process of
 * taskcached's; which object that is, is told by the files, as `cachectl source` does it. One
 * thread.
 */
#ifndef TC_TOOLS_FAR_EFFECTS_H
#define TC_TOOLS_FAR_EFFECTS_H

#include "tools/options.h"
#include "tools/plans.h"
#include "tools/source_tree.h"

/* One for all tasks: what was asked once is kept. */
struct tc_far {
    const struct tc_libraries *libraries;
    const char *interpreter;
    struct tc_far_object *objects;
};
void tc_far_free(struct tc_far *far);

/* What is of one kind in one object is told once. */
struct tc_far_effect {
    enum tc_reason reason;
    struct tc_words what; /* "time", "clock": texts of `far` */
    char *path, *object;  /* to the first of them, "f > helper > g > inner"; the object's file */
};
struct tc_far_unseen {
    char *object, *why; /* the first NULL: of none in particular */
};
struct tc_far_report {
    struct tc_far_effect *effects;
    struct tc_far_unseen *unseen;
    size_t effect_count, effects_allocated, unseen_count, unseen_allocated;
};

/* Of a hookable task whose policy has TASK_SOURCE_DEEP; of another one it is empty. */
void tc_far_look(struct tc_far *far, const struct tc_finding *f, struct tc_far_report *ret);
void tc_far_report_free(struct tc_far_report *r);

#endif

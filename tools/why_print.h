/*
 * Explanations of misses on stdout. One thread.
 */
#ifndef TC_TOOLS_WHY_PRINT_H
#define TC_TOOLS_WHY_PRINT_H

#include "tools/explain.h"
#include "tools/json.h"
#include "tools/shown_record.h"
#include "tools/sums.h"

/* What explanations draw on. */
struct tc_why_facts {
    const struct tc_shown_record *prototype; /* says what arrays are made of, if it has a task */
    const char *cache;                       /* where plans keep what sources were made of */
};

void tc_why_print(const struct tc_known_miss *m, const struct tc_why_facts *facts);
void tc_why_json(struct tc_json *j, const struct tc_known_miss *m,
                 const struct tc_why_facts *facts);

/* The differences between two records, the older one first. */
void tc_why_print_differences(const struct tc_known_material *was,
                              const struct tc_known_material *is, const struct tc_why_facts *facts);
void tc_why_json_differences(struct tc_json *j, const struct tc_known_material *was,
                             const struct tc_known_material *is, const struct tc_why_facts *facts);

/* Calls that went by: why, and how many. */
void tc_why_print_bypasses(const struct tc_task_sums *t);

#endif

/*
 * Counting, and the log's lines about calls in Prefect's words.
 */
#ifndef TC_PRELOAD_REPORT_H
#define TC_PRELOAD_REPORT_H

#include "preload/context.h"
#include "preload/log.h"
#include "preload/replay.h"

/* "Task run 'add_one-d85' - " */
void tc_report_begin(struct tc_line *l, enum tc_log_level level, const struct tc_call *c);

/* What the task was called with, at debug; never of a `private:` task. Its key is known. */
void tc_report_inputs(const struct tc_call *c);
void tc_report_hit(const struct tc_call *c, const struct tc_replayed *done);
void tc_report_miss(const struct tc_call *c, uint32_t why);
/* 1: a person was told now, for the first time. */
int tc_report_bypass(struct tc_call *c, uint32_t reason);
/* A result that was sent ahead wasn't stored after all; told once a task. */
void tc_report_refused(struct tc_hook *h, uint32_t reason);
/* After the body: stored (reason 0), failed or not stored. */
void tc_report_run(struct tc_call *c, uint32_t reason);

#endif

/*
 * Counting, and the log's lines about calls in Prefect's words.
 */
#ifndef TC_PRELOAD_REPORT_H
#define TC_PRELOAD_REPORT_H

#include "preload/context.h"
#include "preload/replay.h"

void tc_report_hit(const struct tc_call *c, const struct tc_replayed *done);
void tc_report_miss(const struct tc_call *c, uint32_t why);
/* 1: a person was told now, for the first time. */
int tc_report_bypass(struct tc_call *c, uint32_t reason);
/* After the body: stored (reason 0), failed or not stored. */
void tc_report_run(struct tc_call *c, uint32_t reason);

#endif

#include "preload/report.h"

#include <string.h>

#include "preload/log.h"
#include "preload/state.h"

void tc_count(const struct tc_hook *h, size_t field_offset, uint64_t by)
{
    if (h->counters != NULL)
        __atomic_fetch_add((uint64_t *)(void *)((char *)h->counters + field_offset), by,
                           __ATOMIC_RELAXED);
    if (h->run_counters != NULL)
        __atomic_fetch_add((uint64_t *)(void *)((char *)h->run_counters + field_offset), by,
                           __ATOMIC_RELAXED);
}

void tc_count_bypass(struct tc_hook *h, uint32_t reason)
{
    if (reason < TC_PAGE_REASONS)
        tc_count(h, offsetof(struct tc_counters, bypass) + reason * sizeof(uint64_t), 1);
}

void tc_report_begin(struct tc_line *l, enum tc_log_level level, const struct tc_call *c)
{
    const char *symbol = tc_task_str(c->hook, c->hook->task->symbol);

    tc_line_begin(l, level);
    tc_line_text(l, "Task run '");
    tc_line_text(l, symbol);
    tc_line_text(l, "-");
    tc_line_hex(l, c->key.high >> 52, 3);
    tc_line_text(l, "' - ");
}

void tc_report_hit(const struct tc_call *c, const struct tc_replayed *done)
{
    struct tc_line l;

    if (!tc_log_wanted(TC_LOG_INFO))
        return;
    tc_report_begin(&l, TC_LOG_INFO, c);
    tc_line_text(&l, "Finished in state Cached(type=COMPLETED)");
    tc_line_text(&l, " - record of ");
    tc_line_duration(&l, tc_now_ns() - done->created_ns);
    tc_line_text(&l, " ago, saved ");
    tc_line_duration(&l, done->duration_ns);
    tc_line_end(&l, TC_LOG_INFO);
}

void tc_report_miss(const struct tc_call *c, uint32_t why)
{
    static const char found[][40] = {
        [TC_FOUND_NOTHING] = "no record yet",
        [TC_FOUND_EXPIRED] = "the record has expired",
        [TC_FOUND_OTHER_SHAPE] = "the record has another shape",
        [TC_FOUND_UNWANTED] = "refresh",
        [TC_FOUND_DAMAGED] = "the record can't be read",
        [TC_FOUND_OTHER_KEY] = "the record is of other inputs",
        [TC_FOUND_NO_STORE] = "the store can't be read",
        [TC_FOUND_CHANGING] = "the store changes too fast",
    };
    struct tc_line l;

    if (!tc_log_wanted(TC_LOG_DEBUG))
        return;
    tc_report_begin(&l, TC_LOG_DEBUG, c);
    tc_line_text(&l, why != 0 ? tc_reason_info(why)->sentence : found[c->found]);
    tc_line_text(&l, ": the body runs");
    tc_line_end(&l, TC_LOG_DEBUG);
}

/* What a person can mend is told once a task, as an error; the rest at debug. */
static int is_mistake(uint32_t reason)
{
    return reason == TC_R_OPAQUE || reason == TC_R_UNKNOWN_CODE || reason == TC_R_UNREADABLE ||
           reason == TC_R_BAD_EXTENT || reason == TC_R_INPUTS_CHANGED ||
           reason == TC_R_CAPACITY_EXCEEDED || reason == TC_R_RESULT_OUTSIDE ||
           reason == TC_R_TOO_LARGE || reason == TC_R_NOT_STORED ||
           (reason >= TC_R_PLUGIN_ERROR && reason <= TC_R_PLUGIN_UNAVAILABLE) ||
           reason == TC_R_LOCK_RECURSION || reason == TC_R_DEPENDENCY_MISSING;
}

void tc_report_refused(struct tc_hook *h, uint32_t reason)
{
    tc_count_bypass(h, reason);
    if (!(__atomic_fetch_or(&h->told, 1ull << reason % 64, __ATOMIC_RELAXED) >> reason % 64 & 1))
        tc_log_reason(TC_LOG_ERROR, h->identity, reason, "");
}

static int tell_mistake(struct tc_call *c, uint32_t reason)
{
    char detail[400] = "";

    if (__atomic_fetch_or(&c->hook->told, 1ull << reason % 64, __ATOMIC_RELAXED) >> reason % 64 & 1)
        return 0;
    if (c->bad_detail != NULL)
        tc_join(detail, sizeof detail, c->bad_detail, NULL, NULL, NULL);
    else if (c->bad_param < c->hook->param_count)
        tc_join(detail, sizeof detail, "parameter '",
                tc_task_str(c->hook, c->hook->params[c->bad_param].name), "'", NULL);
    else if (c->hook->gives_blocks && (reason == TC_R_UNREADABLE || reason == TC_R_BAD_EXTENT))
        tc_join(detail, sizeof detail, "the result", NULL, NULL, NULL);
    tc_log_reason(TC_LOG_ERROR, c->hook->identity, reason, detail);
    return 1;
}

static void tell_debug(const struct tc_call *c, uint32_t reason)
{
    struct tc_line l;

    if (!tc_log_wanted(TC_LOG_DEBUG))
        return;
    tc_line_begin(&l, TC_LOG_DEBUG);
    tc_line_text(&l, c->hook->identity);
    tc_line_text(&l, ": ");
    tc_line_text(&l, tc_reason_info(reason)->id);
    tc_line_text(&l, ": ");
    tc_line_text(&l, tc_reason_info(reason)->sentence);
    tc_line_end(&l, TC_LOG_DEBUG);
}

int tc_report_bypass(struct tc_call *c, uint32_t reason)
{
    if (is_mistake(reason))
        return tell_mistake(c, reason);
    tell_debug(c, reason);
    return 0;
}

void tc_report_run(struct tc_call *c, uint32_t reason)
{
    struct tc_line l;

    if (tc_log_wanted(TC_LOG_INFO)) {
        tc_report_begin(&l, TC_LOG_INFO, c);
        tc_line_text(&l, reason == TC_R_FAILED ? "Finished in state Failed()"
                                               : "Finished in state Completed()");
        tc_line_end(&l, TC_LOG_INFO);
    }
    if (reason != 0)
        (void)tc_report_bypass(c, reason);
}

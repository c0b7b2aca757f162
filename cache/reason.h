/*
 * Reasons: why a task isn't hooked, why a call ran without looking into the cache, what is wrong
 * with a file. Each has an id that messages, counters, documentation and tests share, and is
 * declared once, in reasons.def: id, kind, sentence, remedy. The numbers are part of flat files and
 * of the shared page: append only.
 */
#ifndef TC_CACHE_REASON_H
#define TC_CACHE_REASON_H

enum tc_reason_kind {
    TC_KIND_NONE = 0,
    TC_KIND_REFUSAL, /* the task isn't hooked (plans, doctor) */
    TC_KIND_BYPASS,  /* the call ran without looking into the cache, or its result wasn't stored */
    TC_KIND_INPUT,   /* something that a person wrote: config, prototype, command line */
    TC_KIND_SERVICE, /* storage and service */
    TC_KIND_ADVICE,  /* what a task's function may depend on or change (doctor) */
};

enum tc_reason {
#define TC_REASON(name, id, kind, sentence, remedy) TC_R_##name,
#include "cache/reasons.def"
#undef TC_REASON
    TC_REASON_COUNT
};

struct tc_reason_info {
    const char *id, *sentence, *remedy;
    enum tc_reason_kind kind;
};

/* Never NULL; unknown numbers give "unknown". */
const struct tc_reason_info *tc_reason_info(unsigned reason);

/* By id ("not-found"); 0 if there is none. */
enum tc_reason tc_reason_by_id(const char *id);

#endif

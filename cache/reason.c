#include "cache/reason.h"

#include <stddef.h>

static const struct tc_reason_info reasons[] = {
#define TC_REASON(name, id, kind, sentence, remedy) [TC_R_##name] = {id, sentence, remedy, kind},
#include "cache/reasons.def"
#undef TC_REASON
};

static const struct tc_reason_info unknown = {"unknown", "a reason that this version doesn't know",
                                              "", TC_KIND_NONE};

const struct tc_reason_info *tc_reason_info(unsigned reason)
{
    return reason < TC_REASON_COUNT ? &reasons[reason] : &unknown;
}

static int same(const char *a, const char *b)
{
    while (*a != 0 && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

enum tc_reason tc_reason_by_id(const char *id)
{
    for (unsigned i = 1; i < TC_REASON_COUNT; i++)
        if (same(reasons[i].id, id))
            return (enum tc_reason)i;
    return TC_R_NONE;
}

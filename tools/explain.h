/*
 * Why a call missed, chosen from what is known about it. Pure functions.
 */
#ifndef TC_TOOLS_EXPLAIN_H
#define TC_TOOLS_EXPLAIN_H

#include "cache/miss.h"
#include "cache/record.h"
#include "tools/compare.h"

/* A record's key material, and how its strings begin. */
struct tc_known_material {
    unsigned char *data; /* NULL: none */
    size_t bytes;
    unsigned char *heads; /* struct tc_string_head in a row, NULL */
    size_t head_bytes;
};
void tc_known_material_free(struct tc_known_material *m);
static inline struct tc_material_view tc_known_view(const struct tc_known_material *m)
{
    return (struct tc_material_view){m->data, m->bytes};
}

/* How the string of this component begins, NULL. */
const char *tc_known_beginning(const struct tc_known_material *m, const struct tc_component *c,
                               size_t *ret_bytes);

struct tc_known_miss {
    const char *identity;
    char *own_identity; /* the same, if nobody else keeps it */
    uint64_t task, key_low, key_high;
    int64_t when_ns;
    uint64_t order;  /* of records with lower ids the call could have been a hit */
    uint32_t reason; /* enum tc_reason: why nothing was stored; 0: it was */
    uint32_t found;  /* enum tc_found */
    int64_t expired_ns;
    uint64_t wrong_id; /* the record that a verification found wrong, 0 */
    uint32_t pid;
    char program[33];
    char *text; /* a parameter's name, or what differed; NULL */
    struct tc_known_material material;

    /* What else is known about its time. */
    bool has_gone;
    struct tc_gone gone; /* the last record with its key that went away before */
    bool all_removed;    /* everything was removed before, at `all_removed_ns` */
    int64_t all_removed_ns;
    const struct tc_known_miss *earlier; /* one of the same key that stored nothing, NULL */
    bool has_nearest;
    struct tc_record nearest; /* of the same task, older, with the most equal components */
    struct tc_nearness nearness;
    struct tc_known_material nearest_material;
};

enum tc_why {
    TC_WHY_FIRST = 0,
    TC_WHY_REFRESH,
    TC_WHY_EXPIRED,
    TC_WHY_SHAPE,
    TC_WHY_DAMAGED,
    TC_WHY_OTHER_KEY,
    TC_WHY_NO_STORE,
    TC_WHY_CHANGING,
    TC_WHY_EVICTED,
    TC_WHY_REMOVED,
    TC_WHY_WRONG,
    TC_WHY_NOT_STORED_BEFORE,
    TC_WHY_ANOTHER_RUN,
    TC_WHY_SOURCE,
    TC_WHY_INPUT,
    TC_WHY_ALL_REMOVED,
    TC_WHY_BYPASSED,
    TC_WHY_VERIFIED, /* the look-up was a hit: a verification found it wrong */
    TC_WHYS,
};
enum tc_why tc_explain(const struct tc_known_miss *m);

struct tc_why_words {
    const char *id, *sentence, *remedy; /* remedy: "" */
};
const struct tc_why_words *tc_why_words(enum tc_why why);

/* How long before the call it happened, with TC_WHY_EXPIRED, _EVICTED, _REMOVED, _WRONG and
 * _ALL_REMOVED; negative: not known. */
int64_t tc_why_before_ns(const struct tc_known_miss *m, enum tc_why why);

/* Should this record be the miss' nearest one? */
bool tc_why_is_nearer(const struct tc_known_miss *m, const struct tc_record *head,
                      const struct tc_nearness *nearness);

#endif

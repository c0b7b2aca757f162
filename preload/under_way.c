#include "preload/under_way.h"

#include <stddef.h>

#include "cache/reason.h"

#define LOAD(place)     __atomic_load_n(&(place), __ATOMIC_ACQUIRE)
#define STORE(place, v) __atomic_store_n(&(place), (v), __ATOMIC_RELEASE)

uint64_t tc_under_way_before(const struct tc_under_way *u, int large)
{
    uint64_t oldest = u->at[u->count % TC_UNDER_WAY].seq;

    if (large && u->large > oldest)
        oldest = u->large;
    return oldest > u->answered ? oldest : 0;
}

void tc_under_way_add(struct tc_under_way *u, const struct tc_sent *s, int large)
{
    struct tc_sent *to = &u->at[u->count % TC_UNDER_WAY];

    STORE(to->seq, s->seq); /* first: a reader that takes the old key for it waits too long */
    STORE(to->patience_ns, s->patience_ns);
    to->hook = s->hook;
    STORE(to->key_low, s->key_low);
    if (large)
        u->large = s->seq;
    STORE(u->count, u->count + 1);
}

int tc_under_way_unanswered(const struct tc_under_way *u)
{
    return u->count != 0 && u->at[(u->count - 1) % TC_UNDER_WAY].seq > u->answered;
}

static const struct tc_sent *by_seq(const struct tc_under_way *u, uint64_t seq)
{
    for (uint32_t i = 0; i < TC_UNDER_WAY; i++)
        if (u->at[i].seq == seq)
            return &u->at[i];
    return NULL;
}

void tc_under_way_answered(struct tc_under_way *u, const struct tc_reply *reply)
{
    const struct tc_sent *s =
        reply->status < 0 && u->count != 0 ? by_seq(u, reply->head.seq) : NULL;

    if (s != NULL)
        u->refused = (struct tc_refused){
            s->hook, reply->reason == TC_R_TOO_LARGE ? TC_R_TOO_LARGE : TC_R_NOT_STORED};
    if (reply->head.seq > u->answered)
        STORE(u->answered, reply->head.seq);
}

void tc_under_way_lost(struct tc_under_way *u, uint64_t seq)
{
    STORE(u->answered, seq);
}

int tc_under_way_find(const struct tc_under_way *u, uint64_t key_low, int64_t *ret_patience_ns)
{
    uint64_t count = LOAD(u->count), newest = 0;

    for (uint32_t i = 0; i < count && i < TC_UNDER_WAY; i++) {
        uint64_t seq = LOAD(u->at[i].seq);
        if (LOAD(u->at[i].key_low) != key_low || seq < newest)
            continue;
        newest = seq;
        *ret_patience_ns = seq > LOAD(u->answered) ? LOAD(u->at[i].patience_ns) : 0;
    }
    return newest != 0;
}

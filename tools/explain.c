#include "tools/explain.h"

#include <stdlib.h>

static const struct tc_why_words words[TC_WHYS] = {
    [TC_WHY_FIRST] = {"first", "no record of this task was there yet", ""},
    [TC_WHY_REFRESH] = {"refresh", "nothing was looked up: a refresh is in force",
                        "`refresh_cache: false`, or unset TASKCACHE_REFRESH_CACHE"},
    [TC_WHY_EXPIRED] = {"expired", "the record had expired", "a longer `cache_expiration`"},
    [TC_WHY_SHAPE] = {"shape-differs", "the record's extents don't fit this call",
                      "add the parameters that give the extent to the policy"},
    [TC_WHY_DAMAGED] = {"damaged", "the record can't be read", "`cachectl verify`"},
    [TC_WHY_OTHER_KEY] = {"other-key", "the record belongs to other inputs whose key begins alike",
                          ""},
    [TC_WHY_NO_STORE] = {"no-store", "the store couldn't be read", "`cachectl log`"},
    [TC_WHY_CHANGING] = {"changing", "the store changed faster than it could be read", ""},
    [TC_WHY_EVICTED] = {"evicted", "the record had been evicted to keep the cache's size",
                        "a larger `max_size`"},
    [TC_WHY_REMOVED] = {"removed", "the record had been removed", ""},
    [TC_WHY_WRONG] = {"verify-differs", "a verification had found the record wrong, and removed it",
                      "see `cachectl stats`: what does the function depend on beside its inputs?"},
    [TC_WHY_NOT_STORED_BEFORE] = {"not-stored-before",
                                  "an earlier call with this key stored nothing", ""},
    [TC_WHY_ANOTHER_RUN] = {"another-run", "only the run is another",
                            "`cache_policy: INPUTS + TASK_SOURCE`, which holds across runs"},
    [TC_WHY_SOURCE] = {"source-differs", "the function's code is another", ""},
    [TC_WHY_INPUT] = {"input-differs", "no record of these inputs was there yet", ""},
    [TC_WHY_ALL_REMOVED] = {"all-removed", "all records had been removed", ""},
    [TC_WHY_BYPASSED] = {"bypass", "nothing was looked up", ""},
    [TC_WHY_VERIFIED] = {"verify-differs", "the function gave another result than its record",
                         "find what it depends on beside its inputs, or don't cache it"},
};

const struct tc_why_words *tc_why_words(enum tc_why why)
{
    return &words[why];
}

void tc_known_material_free(struct tc_known_material *m)
{
    free(m->data);
    free(m->heads);
    *m = (struct tc_known_material){0};
}

const char *tc_known_beginning(const struct tc_known_material *m, const struct tc_component *c,
                               size_t *ret_bytes)
{
    struct tc_string_head head;
    for (size_t at = 0; m->heads && at + sizeof head <= m->head_bytes;) {
        memcpy(&head, m->heads + at, sizeof head);
        at += sizeof head;
        if ((size_t)head.name_bytes + head.text_bytes > m->head_bytes - at)
            return NULL;
        if (c->name && head.name_bytes == c->head.name_bytes &&
            memcmp(m->heads + at, c->name, head.name_bytes) == 0) {
            *ret_bytes = head.text_bytes;
            return (const char *)m->heads + at + head.name_bytes;
        }
        at += (size_t)head.name_bytes + head.text_bytes;
    }
    return NULL;
}

static enum tc_why of_gone(uint32_t why)
{
    return why == TC_GONE_EVICTED   ? TC_WHY_EVICTED
           : why == TC_GONE_EXPIRED ? TC_WHY_EXPIRED
           : why == TC_GONE_WRONG   ? TC_WHY_WRONG
                                    : TC_WHY_REMOVED;
}

static enum tc_why of_nearest(const struct tc_known_miss *m)
{
    struct tc_comparison c =
        tc_compare(tc_known_view(&m->nearest_material), tc_known_view(&m->material));
    enum tc_why why = TC_WHY_INPUT;
    struct tc_difference d;
    bool run = false;
    unsigned others = 0;
    while (tc_compare_next(&c, &d)) {
        if (tc_is_named(&d, "=source") || tc_is_named(&d, "=deep"))
            why = TC_WHY_SOURCE;
        if (tc_is_named(&d, "=run_id"))
            run = true;
        else
            others++;
    }
    return run && others == 0 ? TC_WHY_ANOTHER_RUN : why;
}

enum tc_why tc_explain(const struct tc_known_miss *m)
{
    static const enum tc_why found[] = {
        [TC_FOUND_EXPIRED] = TC_WHY_EXPIRED,     [TC_FOUND_OTHER_SHAPE] = TC_WHY_SHAPE,
        [TC_FOUND_UNWANTED] = TC_WHY_REFRESH,    [TC_FOUND_DAMAGED] = TC_WHY_DAMAGED,
        [TC_FOUND_OTHER_KEY] = TC_WHY_OTHER_KEY, [TC_FOUND_NO_STORE] = TC_WHY_NO_STORE,
        [TC_FOUND_CHANGING] = TC_WHY_CHANGING,
    };
    if (m->wrong_id)
        return TC_WHY_VERIFIED;
    if (m->reason && m->key_low == 0 && m->key_high == 0)
        return TC_WHY_BYPASSED;
    if (m->found > TC_FOUND_NOTHING && m->found < TC_FOUNDS)
        return found[m->found];
    if (m->has_gone)
        return of_gone(m->gone.why);
    if (m->earlier)
        return TC_WHY_NOT_STORED_BEFORE;
    if (m->has_nearest)
        return of_nearest(m);
    return m->all_removed ? TC_WHY_ALL_REMOVED : TC_WHY_FIRST;
}

int64_t tc_why_before_ns(const struct tc_known_miss *m, enum tc_why why)
{
    switch (why) {
    case TC_WHY_EXPIRED:
        if (m->found == TC_FOUND_EXPIRED)
            return m->when_ns - m->expired_ns;
        return m->when_ns - m->gone.when_ns;
    case TC_WHY_EVICTED:
    case TC_WHY_REMOVED:
    case TC_WHY_WRONG:
        return m->when_ns - m->gone.when_ns;
    case TC_WHY_ALL_REMOVED:
        return m->when_ns - m->all_removed_ns;
    default:
        return -1;
    }
}

bool tc_why_is_nearer(const struct tc_known_miss *m, const struct tc_record *head,
                      const struct tc_nearness *nearness)
{
    if (head->task != m->task || head->record_id >= m->order ||
        (head->key_low == m->key_low && head->key_high == m->key_high))
        return false;
    if (!m->has_nearest || tc_is_nearer(nearness, &m->nearness))
        return true;
    return !tc_is_nearer(&m->nearness, nearness) && head->record_id > m->nearest.record_id;
}

#include "tools/remove.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/hash.h"

#define BATCH     4096 /* keys of a message */
#define REMOVE_MS 60000

void tc_keys_add(struct tc_keys *k, const struct tc_record *head)
{
    k->key = tc_grow(k->key, k->count, &k->allocated, sizeof *k->key);
    k->hex = tc_grow(k->hex, k->count, &k->hex_allocated, sizeof *k->hex);
    tc_hash_hex((struct tc_hash128){.low = head->key_low, .high = head->key_high},
                k->hex[k->count].text);
    k->key[k->count++] = (struct tc_key){.low = head->key_low, .high = head->key_high};
}

void tc_keys_free(struct tc_keys *k)
{
    free(k->key);
    free(k->hex);
    *k = (struct tc_keys){0};
}

static int remove_batch(struct tc_session *s, const struct tc_key *key, size_t count,
                        bool everything, uint64_t *removed)
{
    struct tc_remove_request *m;
    size_t bytes = sizeof *m + count * sizeof *key;
    struct tc_reply reply = {0};
    m = tc_alloc(bytes);
    m->everything = everything;
    m->key_count = (uint32_t)count;
    _Static_assert(sizeof *m % 8 == 0, "the keys follow, 8-byte aligned");
    if (count)
        memcpy(m + 1, key, count * sizeof *key);
    int e = tc_client_request(&s->client, &m->head, TC_MSG_REMOVE, bytes, REMOVE_MS, &reply);
    free(m);
    *removed += e == 0 ? reply.value : 0;
    return e;
}

int tc_remove_keys(struct tc_session *s, const struct tc_keys *k, bool everything,
                   uint64_t *ret_removed, struct tc_cause *ret_cause)
{
    uint64_t removed = 0;
    int e = 0;
    if (!k->count && !everything) {
        *ret_removed = 0;
        return 0;
    }
    e = tc_session_ensure_service(s, ret_cause);
    if (e < 0)
        return e;
    if (everything)
        e = remove_batch(s, NULL, 0, true, &removed);
    for (size_t i = 0; e == 0 && !everything && i < k->count; i += BATCH)
        e = remove_batch(s, k->key + i, k->count - i < BATCH ? k->count - i : BATCH, false,
                         &removed);
    if (e < 0)
        return tc_cause_set(ret_cause, -e, TC_R_SERVICE_FAILED, s->cache,
                            "the service didn't remove them: %s", strerror(-e));
    *ret_removed = removed;
    return 0;
}

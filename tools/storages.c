#include "tools/storages.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void look(const struct tc_session *s, const struct tc_storage *storage,
                 void (*each)(struct tc_session *storage), struct tc_cause *ret)
{
    struct tc_session own = {.client.fd = -1};
    ret->reason = 0;
    if (tc_session_of_storage(s, storage, true, &own, ret) == 0 && each)
        each(&own);
    if (ret->reason == TC_R_NO_CACHE_DIR)
        (void)snprintf(ret->remedy, sizeof ret->remedy, "give storage '%.60s' another `path`",
                       tc_flat_str(&s->config_flat, storage->name));
    tc_client_close(&own.client);
}

void tc_storages_running(const struct tc_session *s, void (*each)(struct tc_session *storage))
{
    const struct tc_span span = s->config ? s->config->storages : (struct tc_span){0, 0};
    const struct tc_storage *list = tc_flat_at(&s->config_flat, span.off, span.count, sizeof *list);
    for (uint32_t i = 0; list && i < span.count; i++) {
        struct tc_session own = {.client.fd = -1};
        struct tc_cause cause;
        if (list[i].used && list[i].kind == TC_STORAGE_LMDB &&
            tc_session_of_storage(s, &list[i], false, &own, &cause) == 0)
            each(&own);
        tc_client_close(&own.client);
    }
}

void tc_storages_look(const struct tc_session *s, void (*each)(struct tc_session *storage),
                      struct tc_storage_states *ret)
{
    const struct tc_span span = s->config ? s->config->storages : (struct tc_span){0, 0};
    const struct tc_storage *list = tc_flat_at(&s->config_flat, span.off, span.count, sizeof *list);
    *ret = (struct tc_storage_states){0};
    if (!span.count || !list)
        return;
    ret->at = tc_alloc(span.count * sizeof *ret->at);
    ret->count = span.count;
    for (uint32_t i = 0; i < span.count; i++) {
        struct tc_storage_state *state = &ret->at[i];
        *state = (struct tc_storage_state){.name = tc_flat_str(&s->config_flat, list[i].name),
                                           .path = tc_flat_str(&s->config_flat, list[i].path),
                                           .max_size_bytes = list[i].max_size_bytes,
                                           .used = list[i].used};
        if (list[i].kind == TC_STORAGE_NOT_YET)
            (void)tc_cause_set(&state->cause, ENOSYS, TC_R_NOT_YET_KEY, state->name,
                               "storages of this type aren't built yet");
        else if (state->used && list[i].kind == TC_STORAGE_LMDB)
            look(s, &list[i], each, &state->cause);
    }
}

void tc_storages_free(struct tc_storage_states *states)
{
    free(states->at);
    *states = (struct tc_storage_states){0};
}

const struct tc_storage_state *tc_storages_at(const struct tc_storage_states *states,
                                              uint32_t index)
{
    return index && index <= states->count ? &states->at[index - 1] : NULL;
}

/*
 * The storages of a config as a person asks about them: can they be used? Asking starts their
 * services. Nothing here prints. One thread.
 */
#ifndef TC_TOOLS_STORAGES_H
#define TC_TOOLS_STORAGES_H

#include "tools/session.h"

struct tc_storage_state {
    const char *name, *path;
    uint64_t max_size_bytes; /* 0: as usual */
    bool used;               /* by a task or flow; else nobody has looked */
    struct tc_cause cause;   /* reason 0: it can be used */
};
struct tc_storage_states {
    struct tc_storage_state *at; /* by their index in the config */
    size_t count;
};

/* `each` gets the session of every storage that can be used, while it is connected; NULL: nobody
 * wants it. */
void tc_storages_look(const struct tc_session *s, void (*each)(struct tc_session *storage),
                      struct tc_storage_states *ret);
/* `each` gets the session of every storage whose service runs; none is started. */
void tc_storages_running(const struct tc_session *s, void (*each)(struct tc_session *storage));
void tc_storages_free(struct tc_storage_states *states);

/* What a task's index means; NULL: the cache itself. */
const struct tc_storage_state *tc_storages_at(const struct tc_storage_states *states,
                                              uint32_t index);

#endif

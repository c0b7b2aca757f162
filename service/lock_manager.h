/*
 * Who keeps the locks that isolation SERIALIZABLE takes: one table of operations for each kind.
 * None of them may block the service: who has to wait is told so, and asks again. The service's own
 * (lock_table.c) keeps them in memory: they end with the connection they came by, with the
 * process, and with the service.
 *
 * One thread.
 */
#ifndef TC_SERVICE_LOCK_MANAGER_H
#define TC_SERVICE_LOCK_MANAGER_H

#include "service/rpc/connection.h"
#include "service/store/store.h"

struct tc_lock_manager_ops {
    const char *name;
    /* Acquires, or renews: 0 with *ret_again_ns 0: the call has the lock; else it is in line, and
     * is to ask again after that time at the latest. -EDEADLK, -ENOSPC. */
    int (*ask)(void *state, const struct tc_connection *c, const struct tc_lock_request *m,
               uint64_t *ret_again_ns);
    int (*release)(void *state, const struct tc_connection *c, const struct tc_lock_request *m);
    void (*forget)(void *state, const struct tc_connection *c);
    void (*close)(void *state);
};

struct tc_lock_manager {
    const struct tc_lock_manager_ops *ops; /* NULL: there is none of this kind */
    void *state;
};

/* The service's own. Those who wait sleep on `locks` in the store's shared page. */
int tc_lock_table_open(const struct tc_store *store, struct tc_lock_manager *ret);

/* For waiters that sleep on the key's word. */
void tc_lock_changed(const struct tc_store *store, uint64_t key_low);

/* Those of plugins: `local` first, then the plugin's, see lock_far.c. */
struct tc_remotes;
int tc_lock_far_open(const struct tc_store *store, const struct tc_lock_manager *local,
                     struct tc_remotes *remotes, struct tc_lock_manager *ret);
/* Renews and releases what is due. */
void tc_lock_far_tick(const struct tc_lock_manager *m);

/* By enum tc_lock_manager_id, NULL. `managers`: TC_LOCK_MANAGERS of them. */
const struct tc_lock_manager *tc_lock_manager_of(const struct tc_lock_manager *managers,
                                                 uint32_t id);
void tc_lock_managers_forget(const struct tc_lock_manager *managers, const struct tc_connection *c);
void tc_lock_managers_close(struct tc_lock_manager *managers);

#endif

/*
 * Removing records through the service, which alone writes. One thread.
 */
#ifndef TC_TOOLS_REMOVE_H
#define TC_TOOLS_REMOVE_H

#include "cache/key.h"
#include "tools/session.h"

struct tc_keys {
    struct tc_key *key;
    struct {
        char text[33];
    } * hex;
    size_t count, allocated, hex_allocated;
};
void tc_keys_add(struct tc_keys *k, const struct tc_record *head);
void tc_keys_free(struct tc_keys *k);

/* Removes these keys, or everything; starts the service if none runs. */
int tc_remove_keys(struct tc_session *s, const struct tc_keys *k, bool everything,
                   uint64_t *ret_removed, struct tc_cause *ret_cause);

#endif

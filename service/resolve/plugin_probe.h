/*
 * What a plugin's code registers: known only by running its `init`, which happens in a child
 * process of its own, with a deadline. Whatever it does there, a crash, a hang, an error, is a
 * sentence here.
 *
 * Host code, in the child of the service that compiles a config; one thread.
 */
#ifndef TC_SERVICE_RESOLVE_PLUGIN_PROBE_H
#define TC_SERVICE_RESOLVE_PLUGIN_PROBE_H

#include "cache/plugin_table.h"

#define TC_PROBE_MS         2000

#define TC_REGISTERED_KINDS 4u /* key functions, codecs, storages, lock managers */

/* One function that was registered. */
struct tc_registered {
    char name[TC_PLUGIN_NAME_BYTES + 1];
    uint32_t kind; /* enum tc_function_kind */
    uint32_t data_version;
    uint8_t can_digest, can_encode, can_decode; /* a codec's methods */
    uint8_t pad[5];
};

struct tc_probed {
    uint32_t count, observers;
    char why[500]; /* what went wrong; nothing is registered then */
    struct tc_registered function[TC_REGISTERED_KINDS * TC_PLUGIN_FUNCTIONS];
};

/* 0, or -EPROTO with ret->why. `options` end at `count`. */
int tc_plugin_probe(const char *path, const struct taskcache_option *options, size_t count,
                    struct tc_probed *ret);

#endif
